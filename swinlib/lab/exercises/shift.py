"""Exercises of lesson 04: the roll, the regions, the mask, and the mask once more."""

import torch

from swinlib.lab.exercises.checking import Case, Exercise, Mistake, agree
from swinlib.windows import window_partition

# --- a roll from two slices ---------------------------------------------------------------------


def roll_by_slicing(x, shift_size):
    """Roll (B, H, W, C) up by sh and left by sw, with slices and `torch.cat` alone."""
    sh, sw = shift_size
    x = torch.cat([x[:, sh:], x[:, :sh]], dim=1)  # an empty slice is no harm, so 0 needs no case
    return torch.cat([x[:, :, sw:], x[:, :, :sw]], dim=2)


def _rolled_down(x, shift_size):
    return torch.roll(x, shift_size, dims=(1, 2))


def _rolled_wrong_axes(x, shift_size):
    return torch.roll(x, (-shift_size[0], -shift_size[1]), dims=(0, 1))


def _rolled_flat(x, shift_size):
    steps = shift_size[0] * x.shape[2] + shift_size[1]
    return torch.roll(x.flatten(1, 2), -steps, dims=1).view_as(x)


def _rolled_swapped(x, shift_size):
    return torch.roll(x, (-shift_size[1], -shift_size[0]), dims=(1, 2))


def _parts_swapped(x, shift, dim):
    length = x.shape[dim]
    shift = min(shift, length)
    return torch.cat([x.narrow(dim, shift, length - shift), x.narrow(dim, 0, shift)], dim)


def _rolled_rows_twice(x, shift_size):
    return _parts_swapped(_parts_swapped(x, shift_size[0], 1), shift_size[1], 1)


def _rolled_columns_twice(x, shift_size):
    return _parts_swapped(_parts_swapped(x, shift_size[0], 2), shift_size[1], 2)


def _sliced_wrong_axes(x, shift_size):
    return _parts_swapped(_parts_swapped(x, shift_size[0], 0), shift_size[1], 1)


def _rolled_zeros(x, shift_size):
    sh, sw = shift_size
    out = torch.zeros_like(x)
    out[:, : x.shape[1] - sh, : x.shape[2] - sw] = x[:, sh:, sw:]
    return out


def _rolled_rows_only(x, shift_size):
    return torch.roll(x, -shift_size[0], dims=1)


def _rolled_columns_only(x, shift_size):
    return torch.roll(x, -shift_size[1], dims=2)


def _maps():
    numbers = torch.arange(16.0).view(1, 4, 4, 1)
    wide = torch.arange(2 * 3 * 5 * 2.0).view(2, 3, 5, 2)
    scattered = torch.randn(2, 3, 6, 4, generator=torch.Generator().manual_seed(0))
    scattered = scattered.permute(0, 3, 2, 1)  # (2, 4, 6, 3), channels far apart
    return [
        Case("a 4 x 4 grid of counting numbers", (numbers, (1, 1))),
        Case("unlike shifts", (numbers, (1, 2))),
        Case("a shift of 0 along one axis", (numbers, (0, 3))),
        Case("two pictures that are not square, and channels", (wide, (2, 1))),
        Case("no shift at all", (wide, (0, 0))),
        Case("a tensor that is not contiguous", (scattered, (3, 2))),
        Case("half precision", (scattered.half(), (1, 4))),
    ]


ROLL = Exercise(
    solution=roll_by_slicing,
    cases=_maps,
    forbidden=("roll",),
    checked_on="7 cases: unlike shifts, shifts of 0, two pictures, wide maps, non-contiguous "
    "tensors, half precision",
    hints=(
        "Do one axis at a time: first the rows, then the columns of what came out.",
        "Along the rows the new map begins with row sh. Which rows come after the last one?",
        "`torch.cat([later_part, earlier_part], dim=1)`, both parts slices of x along dimension 1.",
    ),
    mistakes=(
        Mistake(
            "it rolls down and to the right. Place (0, 0) must receive what was at (sh, sw).",
            _rolled_down,
        ),
        Mistake(
            "it takes the shift of the rows for the columns, and the other way round.",
            _rolled_swapped,
        ),
        Mistake(
            "it rolls the batch and the rows. The batch comes first: rows are dimension 1 and "
            "columns dimension 2.",
            _rolled_wrong_axes,
            (_sliced_wrong_axes,),
        ),
        Mistake(
            "it rolls the map as one long row, so that what leaves on the left comes back one row "
            "off. The axes must be rolled one by one.",
            _rolled_flat,
        ),
        Mistake(
            "what leaves on one side is lost: the places on the other side hold zeros. It must "
            "come back there.",
            _rolled_zeros,
        ),
        Mistake(
            "both steps roll the same axis: one must roll the rows, the other the columns.",
            _rolled_rows_twice,
            (_rolled_columns_twice,),
        ),
        Mistake("the rows are right, but the columns have not moved.", _rolled_rows_only),
        Mistake("the columns are right, but the rows have not moved.", _rolled_columns_only),
    ),
)

# --- region labels, for any window and shift ----------------------------------------------------


def label_regions(H, W, window_size, shift_size):
    """Label the places of the rolled map: (H, W) of whole numbers."""
    labels = []
    for length, window, shift in zip((H, W), window_size, shift_size, strict=True):
        along_axis = torch.zeros(length, dtype=torch.int64)
        if shift:  # an axis that is not shifted keeps one label
            along_axis[-window:] = 1
            along_axis[-shift:] = 2
        labels.append(along_axis)
    rows, columns = labels
    return 3 * rows[:, None] + columns[None, :]


def _axes(H, W, window_size, shift_size, label, factor=3):
    rows, columns = (
        label(length, window, shift)
        for length, window, shift in zip((H, W), window_size, shift_size, strict=True)
    )
    return factor * rows[:, None] + columns[None, :]


def _label(length, window, shift):
    labels = torch.zeros(length, dtype=torch.int64)
    if shift:
        labels[-window:] = 1
        labels[-shift:] = 2
    return labels


def _labels_before_roll(H, W, window_size, shift_size):
    def label(length, window, shift):
        return torch.roll(_label(length, window, shift), shift)

    return _axes(H, W, window_size, shift_size, label)


def _labels_sum(H, W, window_size, shift_size):
    return _axes(H, W, window_size, shift_size, _label, factor=1)


def _labels_swapped_shift(H, W, window_size, shift_size):
    return label_regions(H, W, window_size, shift_size[::-1])


def _labels_swapped_window(H, W, window_size, shift_size):
    return label_regions(H, W, window_size[::-1], shift_size)


def _labels_transposed(H, W, window_size, shift_size):
    return label_regions(H, W, window_size, shift_size).T


def _labels_rest_of_window(H, W, window_size, shift_size):
    def label(length, window, shift):
        return _label(length, window, window - shift if shift else 0)

    return _axes(H, W, window_size, shift_size, label)


def _labels_at_start(H, W, window_size, shift_size):
    def label(length, window, shift):
        labels = torch.zeros(length, dtype=torch.int64)
        labels[:shift] = 1
        return labels

    return _axes(H, W, window_size, shift_size, label)


def _labels_rows_only(H, W, window_size, shift_size):
    rows = _label(H, window_size[0], shift_size[0])
    return rows[:, None].expand(H, W)


def _labels_columns_only(H, W, window_size, shift_size):
    columns = _label(W, window_size[1], shift_size[1])
    return columns[None, :].expand(H, W)


def _labels_none_if_one_is_0(H, W, window_size, shift_size):
    labels = label_regions(H, W, window_size, shift_size)
    return labels if all(shift_size) else torch.zeros_like(labels)


def _labels_corner_painted_over(H, W, window_size, shift_size):
    labels = torch.zeros(H, W, dtype=torch.int64)
    labels[H - shift_size[0] :] = 1
    labels[:, W - shift_size[1] :] = 2
    return labels


def _labels_corner_painted_over_by_rows(H, W, window_size, shift_size):
    return _labels_corner_painted_over(W, H, window_size[::-1], shift_size[::-1]).T


def _labels_multiplied(H, W, window_size, shift_size):
    rows, columns = (
        torch.arange(length) >= length - shift
        for length, shift in zip((H, W), shift_size, strict=True)
    )
    return rows[:, None] * columns[None, :]


def _labels_every_window(H, W, window_size, shift_size):
    rows, columns = (
        torch.arange(length) % window >= window - shift
        for length, window, shift in zip((H, W), window_size, shift_size, strict=True)
    )
    return rows[:, None] * 2 + columns[None, :] * 1


def _labels_by_window(H, W, window_size, shift_size):
    return (torch.arange(H) // window_size[0])[:, None] * W + torch.arange(W) // window_size[1]


def same_regions(got, wanted, H, W, window_size, shift_size):
    """As `agree`, for labels: equal where equal is wanted, whatever numbers they are.

    Tokens are compared within their windows only, for those of two windows never meet.
    """
    if not isinstance(got, torch.Tensor) or got.shape != wanted.shape:
        return agree(got, wanted)
    if got.shape == (W, H) != (H, W):  # beside a mistaken answer that exchanges the axes
        return same_regions(got.T, wanted.T, H, W, window_size, shift_size)
    if got.shape != (H, W):
        return agree(got, wanted)
    differ, apart = _unlike(got, window_size), _unlike(wanted, window_size)
    for number in range(len(apart)):
        parted = int((differ[number] & ~apart[number]).sum()) // 2
        joined = int((apart[number] & ~differ[number]).sum()) // 2
        if parted or joined:
            return (
                f"in window {number}, {parted} pairs of neighbours get unlike labels, and "
                f"{joined} pairs of strangers the same"
            )
    return None


def _unlike(labels, window_size):
    """(num_windows, N, N) of bool: which pairs of a window differ in their labels."""
    windows = window_partition(labels[None, :, :, None], window_size).flatten(1)
    return windows[:, :, None] != windows[:, None, :]


def _settings():
    return [
        Case("2 x 2 windows of 2 x 2 tokens", (4, 4, (2, 2), (1, 1))),
        Case("the lesson's 8 x 8 tokens", (8, 8, (4, 4), (2, 2))),
        Case("a shift that is not half a window", (8, 8, (4, 4), (1, 1))),
        Case("a map that is not square", (4, 12, (4, 4), (2, 2))),
        Case("unlike shifts", (8, 8, (4, 4), (1, 3))),
        Case("windows that are not square", (6, 8, (3, 4), (2, 1))),
        Case("a shift of 0 along one axis", (8, 8, (4, 4), (0, 2))),
        Case("no shift at all", (8, 12, (4, 4), (0, 0))),
        Case("the first stage of Swin-T", (56, 56, (7, 7), (3, 3))),
    ]


REGIONS = Exercise(
    solution=label_regions,
    cases=_settings,
    agree=same_regions,
    checked_on="9 settings: wide maps, windows that are not square, unlike shifts, shifts of 0, "
    "56 x 56 tokens. Any numbers will do as labels, and were compared within windows only",
    hints=(
        "Take one axis at a time. After the roll, which places hold tokens that came round from "
        "the other side? Write that down for 8 places, M = 4 and s = 1.",
        "Only the last window mixes. The last s places of the axis came round, and the M - s "
        "before them did not.",
        "Two labels r and c for a row and a column make one with `3 * r[:, None] + c[None, :]`: "
        "with a plain sum, (0, 1) and (1, 0) would look alike.",
    ),
    mistakes=(
        Mistake(
            "these are the labels of the map *before* the roll. The mask needs them where the "
            "tokens are after it: what came round sits at the bottom and on the right.",
            _labels_before_roll,
        ),
        Mistake(
            "the strips of strangers lie at the top and on the left. After a roll up and to the "
            "left, what came round sits at the bottom and on the right.",
            _labels_at_start,
        ),
        Mistake(
            "it adds the row label and the column label, so that (0, 1) and (1, 0) look alike. Two "
            "labels must make one that tells all pairs apart.",
            _labels_sum,
        ),
        Mistake(
            "it takes the shift of the rows for the columns, and the other way round.",
            _labels_swapped_shift,
        ),
        Mistake(
            "it takes the window's height for its width. window_size is (Mh, Mw).",
            _labels_swapped_window,
        ),
        Mistake(
            "rows and columns are exchanged: the map has H rows and W columns.", _labels_transposed
        ),
        Mistake(
            "the strip that came round is M - s wide. s rows went round, so it is s wide; at half "
            "a window one cannot tell.",
            _labels_rest_of_window,
        ),
        Mistake(
            "where one of the two shifts is 0 it labels nothing, but the other axis has strangers.",
            _labels_none_if_one_is_0,
        ),
        Mistake(
            "the corner, where rows and columns came round, carries the label of one of the two "
            "strips. It needs one of its own.",
            _labels_corner_painted_over,
        ),
        Mistake(
            "the corner looks like the strip at the bottom. It came round on both axes and needs a "
            "label of its own.",
            _labels_corner_painted_over_by_rows,
        ),
        Mistake(
            "it multiplies the two labels, so that everything with a 0 looks alike: only the "
            "corner is told apart.",
            _labels_multiplied,
        ),
        Mistake(
            "every window is split. Only the last row and the last column of windows hold "
            "strangers.",
            _labels_every_window,
        ),
        Mistake("only the rows are labelled. Columns come round too.", _labels_rows_only),
        Mistake("only the columns are labelled. Rows come round too.", _labels_columns_only),
        Mistake(
            "every window has a single label, so that strangers within a window look like "
            "neighbours.",
            _labels_by_window,
        ),
    ),
)

# --- the mask without any labels ----------------------------------------------------------------


def mask_by_motion(H, W, window_size, shift_size):
    """(num_windows, Mh*Mw, Mh*Mw) of bool: True where two tokens of a window are strangers."""
    rows, columns = torch.arange(H), torch.arange(W)
    # Where each came from, less where it is: s for those that moved with the rest, s - H for those
    # that went round. The roll kept two tokens side by side if it moved both by the same.
    up = (rows + shift_size[0]) % H - rows
    left = (columns + shift_size[1]) % W - columns
    moved = torch.stack(torch.meshgrid(up, left, indexing="ij"), dim=-1)  # (H, W, 2)
    moved = window_partition(moved[None], window_size).flatten(1, 2)  # (num_windows, N, 2)
    return (moved[:, :, None] != moved[:, None, :]).any(-1)


def _moved(H, W, shift_size, sign=1):
    """(H, W, 2): how far each place of the rolled map came, up and to the left."""
    parts = (
        (torch.arange(length) + sign * shift) % length - torch.arange(length)
        for length, shift in zip((H, W), shift_size, strict=True)
    )
    return torch.stack(torch.meshgrid(*parts, indexing="ij"), dim=-1)


def _motion(H, W, window_size, shift_size, sign=1, axes=(0, 1), both=False):
    moved = _moved(H, W, shift_size, sign)[..., list(axes)]
    moved = window_partition(moved[None], window_size).flatten(1, 2)
    differ = moved[:, :, None] != moved[:, None, :]
    return differ.all(-1) if both else differ.any(-1)


def _unequal(values, window_size):
    values = window_partition(values[None, ..., None], window_size).flatten(1)
    return values[:, :, None] != values[:, None, :]


def _mask_added(H, W, window_size, shift_size):
    return _unequal(_moved(H, W, shift_size).sum(-1), window_size)


def _mask_multiplied(H, W, window_size, shift_size):
    return _unequal(_moved(H, W, shift_size).prod(-1), window_size)


def _mask_not_moved(H, W, window_size, shift_size):
    rows, columns = (
        (torch.arange(length) + shift) % length
        for length, shift in zip((H, W), shift_size, strict=True)
    )
    return _unequal(rows[:, None] * W + columns, window_size)


def _mask_friends(*setting):
    return ~mask_by_motion(*setting)


def _mask_as_bias(*setting):
    return torch.where(mask_by_motion(*setting), -100.0, 0.0)


def _mask_rolled_down(*setting):
    return _motion(*setting, sign=-1)


def _mask_rows_only(*setting):
    return _motion(*setting, axes=(0,))


def _mask_columns_only(*setting):
    return _motion(*setting, axes=(1,))


def _mask_both_axes(*setting):
    return _motion(*setting, both=True)


def _mask_swapped_shift(H, W, window_size, shift_size):
    return mask_by_motion(H, W, window_size, shift_size[::-1])


def _mask_everybody(H, W, window_size, shift_size):
    one_window = mask_by_motion(H, W, (H, W), shift_size)
    return one_window[0]


def _mask_far_apart(H, W, window_size, shift_size):
    rows = (torch.arange(H) + shift_size[0]) % H
    columns = (torch.arange(W) + shift_size[1]) % W
    places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1)
    places = window_partition(places[None], window_size).flatten(1, 2)
    apart = (places[:, :, None] - places[:, None, :]).abs()
    return (apart >= torch.tensor(window_size)).any(-1)


def _mask_rows_of_tokens(H, W, window_size, shift_size):
    moved = _moved(H, W, shift_size).reshape(-1, window_size[0] * window_size[1], 2)
    return (moved[:, :, None] != moved[:, None, :]).any(-1)


def _maps_to_mask():
    return [
        Case("2 x 2 windows of 2 x 2 tokens", (4, 4, (2, 2), (1, 1))),
        Case("the lesson's 8 x 8 tokens", (8, 8, (4, 4), (2, 2))),
        Case("a map that is not square", (4, 12, (2, 2), (1, 1))),
        Case("unlike shifts", (8, 8, (4, 4), (1, 3))),
        Case("windows that are not square", (6, 8, (3, 4), (2, 1))),
        Case("a shift of 0 along one axis", (8, 8, (4, 4), (2, 0))),
        Case("a map of a single window", (4, 4, (4, 4), (2, 2))),
        Case("no shift at all", (8, 12, (4, 4), (0, 0))),
        Case("the second stage of Swin-T", (28, 28, (7, 7), (3, 3))),
    ]


MASK = Exercise(
    solution=mask_by_motion,
    cases=_maps_to_mask,
    checked_on="9 settings: wide maps, windows that are not square, unlike shifts, shifts of 0, a "
    "single window, 28 x 28 tokens",
    allowed=(window_partition,),
    hints=(
        "Most rows go up by s. Those that come round go down, and by how much? Two tokens are "
        "still neighbours if the roll moved both by the same, along both axes.",
        "Row i of the rolled map came from row (i + s) % H. For 4 rows and s = 1, write down where "
        "each row came from, less where it is now.",
        "Make a map (1, H, W, 2) of how far each place was moved, cut it with `window_partition`, "
        "and compare `[:, :, None]` with `[:, None, :]`.",
    ),
    mistakes=(
        Mistake(
            "it is the wrong way round, True where tokens may attend. Strangers are wanted True.",
            _mask_friends,
        ),
        Mistake(
            "it gives -100 and 0, which is what comes later. Wanted is True for strangers, else "
            "False.",
            _mask_as_bias,
        ),
        Mistake(
            "it rolls the wrong way: place i of the rolled map came from (i + s) % H, not (i - s).",
            _mask_rolled_down,
        ),
        Mistake(
            "it adds the two motions, so that up and then left looks like left and then up. Either "
            "axis must be compared separately.",
            _mask_added,
        ),
        Mistake(
            "it multiplies the two motions, so that different ones look alike. Either axis must be "
            "compared separately.",
            _mask_multiplied,
        ),
        Mistake(
            "it compares where tokens came from, so that all are strangers. Compare how far they "
            "were moved.",
            _mask_not_moved,
        ),
        Mistake("only rows that came round are noticed. Columns come round too.", _mask_rows_only),
        Mistake(
            "only columns that came round are noticed. Rows come round too.", _mask_columns_only
        ),
        Mistake(
            "it calls tokens strangers only where *both* axes tell them apart. One is enough.",
            _mask_both_axes,
        ),
        Mistake(
            "it takes the shift of the rows for the columns, and the other way round.",
            _mask_swapped_shift,
        ),
        Mistake(
            "it compares all tokens of the map. A mask is for the pairs of one window: "
            "(num_windows, Mh*Mw, Mh*Mw).",
            _mask_everybody,
        ),
        Mistake(
            "it asks how far apart two tokens were. On a map of one window, strangers are near "
            "each other too: ask whether the roll moved both by the same.",
            _mask_far_apart,
        ),
        Mistake(
            "it takes Mh*Mw tokens of a row for a window. A window is a rectangle: cut the map "
            "with `window_partition`.",
            _mask_rows_of_tokens,
        ),
    ),
)

# --- the lesson's own piece: the mask -----------------------------------------------------------


def shifted_window_mask(H, W, M, s):
    """What to add to the scores: (num_windows, M*M, M*M), 0 between neighbours, else -100."""
    ids = label_regions(H, W, (M, M), (s, s))  # of the rolled map
    ids = window_partition(ids[None, :, :, None], M).flatten(1)  # (num_windows, M*M)
    return torch.where(ids[:, :, None] != ids[:, None, :], -100.0, 0.0)


def _mask_of(ids, M):
    """The mask that labels (H, W) make."""
    return torch.where(_unlike(ids, (M, M)), -100.0, 0.0)


def _mask_inverted(H, W, M, s):
    return -100.0 - shifted_window_mask(H, W, M, s)


def _mask_plus_100(H, W, M, s):
    return -shifted_window_mask(H, W, M, s)


def _mask_infinite(H, W, M, s):
    return shifted_window_mask(H, W, M, s).log1p().nan_to_num(nan=-torch.inf)


def _mask_of_a_million(H, W, M, s):
    return _mask_infinite(H, W, M, s).clamp(-1e6)


def _mask_of_a_billion(H, W, M, s):
    return _mask_infinite(H, W, M, s).clamp(-1e9)


def _mask_of_the_lowest(H, W, M, s):
    return _mask_infinite(H, W, M, s).clamp(torch.finfo(torch.float32).min)


def _mask_of_bool(H, W, M, s):
    return shifted_window_mask(H, W, M, s) < 0


def _mask_of_whole_numbers(H, W, M, s):
    return shifted_window_mask(H, W, M, s).long()


def _mask_of_differences(H, W, M, s):
    ids = window_partition(label_regions(H, W, (M, M), (s, s))[None, ..., None], M).flatten(1)
    return (ids[:, :, None] - ids[:, None, :]).float()


def _mask_before_roll(H, W, M, s):
    return _mask_of(_labels_before_roll(H, W, (M, M), (s, s)), M)


def _mask_at_start(H, W, M, s):
    return _mask_of(_labels_at_start(H, W, (M, M), (s, s)), M)


def _mask_of_sums(H, W, M, s):
    return _mask_of(_labels_sum(H, W, (M, M), (s, s)), M)


def _mask_rest_of_window(H, W, M, s):
    return _mask_of(_labels_rest_of_window(H, W, (M, M), (s, s)), M)


def _mask_every_window(H, W, M, s):
    return _mask_of(_labels_every_window(H, W, (M, M), (s, s)), M)


def _mask_rows_alone(H, W, M, s):
    return _mask_of(_labels_rows_only(H, W, (M, M), (s, s)), M)


def _mask_columns_alone(H, W, M, s):
    return _mask_of(_labels_columns_only(H, W, (M, M), (s, s)), M)


def _mask_of_turned_map(H, W, M, s):
    return shifted_window_mask(W, H, M, s)


def _mask_of_one_window(H, W, M, s):
    return shifted_window_mask(H, W, M, s)[-1:]


def _mask_of_all_pairs(H, W, M, s):
    ids = label_regions(H, W, (M, M), (s, s)).flatten()
    return torch.where(ids[:, None] != ids, -100.0, 0.0)


def _mask_of_strips(H, W, M, s):
    """Labels cut as they lie in memory."""
    ids = label_regions(H, W, (M, M), (s, s)).reshape(-1, M * M)
    return torch.where(ids[:, :, None] != ids[:, None, :], -100.0, 0.0)


def _cut_labels(H, W, M, s):
    """(num_windows, M*M), the labels of every window's tokens."""
    return window_partition(label_regions(H, W, (M, M), (s, s))[None, ..., None], M).flatten(1)


def _mask_of_minus_1(H, W, M, s):
    return shifted_window_mask(H, W, M, s) / 100


def _mask_half_a_window(H, W, M, s):
    return shifted_window_mask(H, W, M, M // 2)


def _mask_half_a_window_if_any(H, W, M, s):
    return shifted_window_mask(H, W, M, M // 2 if s else 0)


def _two_labels(H, W, M, s):
    """(num_windows, M*M): labels that tell only whether a row or a column came round."""
    rows, columns = torch.arange(H) >= H - s, torch.arange(W) >= W - s
    ids = 2 * rows[:, None] + 1 * columns
    return window_partition(ids[None, :, :, None], M).flatten(1)


def _mask_of_keys(H, W, M, s, labels=_two_labels):
    """What came round, whoever asks."""
    return torch.where(labels(H, W, M, s)[:, None] != 0, -100.0, 0.0).repeat(1, M * M, 1)


def _mask_of_labelled_keys(H, W, M, s):
    return _mask_of_keys(H, W, M, s, _cut_labels)


def _against(*others):
    """Masks that compare the labels of each window with those that `others` make of all."""
    return tuple(
        lambda H, W, M, s, labels=labels, other=other: torch.where(
            labels(H, W, M, s)[:, :, None] != other(labels(H, W, M, s))[:, None], -100.0, 0.0
        )
        for labels in (_cut_labels, _two_labels)
        for other in others
    )


_MASKS_OF_OTHERS = _against(
    lambda ids: ids[:1], lambda ids: ids.roll(-1, 0), lambda ids: ids.roll(1, 0)
)


def _mask_columns_first(H, W, M, s):
    """The windows counted down the first column, then down the second."""
    mask = shifted_window_mask(H, W, M, s)
    return mask.unflatten(0, (H // M, W // M)).transpose(0, 1).flatten(0, 1)


def _mask_settings():
    return [
        Case("2 x 2 windows of 2 x 2 tokens", (4, 4, 2, 1)),
        Case("the lesson's 8 x 8 tokens", (8, 8, 4, 2)),
        Case("a shift that is not half a window", (8, 8, 4, 1)),
        Case("a wide map", (4, 12, 4, 2)),
        Case("a high map", (12, 6, 3, 1)),
        Case("no shift at all", (8, 12, 4, 0)),
        Case("the second stage of Swin-T", (28, 28, 7, 3)),
    ]


SHIFTED = Exercise(
    solution=shifted_window_mask,
    cases=_mask_settings,
    allowed=(window_partition,),
    checked_on="7 settings: wide and tall maps, shifts that are not half a window, no shift, "
    "28 x 28 tokens",
    hints=(
        "Two steps. First a label for every place of the rolled map (`label_regions`, or write it "
        "out again). Then, window by window: which pairs have unlike labels?",
        "Cut the labels like a map: they are one of the shape (1, H, W, 1). That gives "
        "(num_windows, M*M). Now compare every label of a window with every other.",
        "A column against a row: `ids[:, :, None]` is (num_windows, M*M, 1). Where the two differ "
        "-100.0, else 0.0: `torch.where` takes both.",
    ),
    mistakes=(
        Mistake(
            "it is the wrong way round: neighbours get -100, and strangers may attend.",
            _mask_inverted,
        ),
        Mistake(
            "strangers get +100, which draws all attention to them. It is added to the scores.",
            _mask_plus_100,
        ),
        Mistake(
            "strangers get minus infinity, or another very low number. It would do here, but -100 "
            "is asked for, as in the official weights' training.",
            _mask_infinite,
            (_mask_of_a_million, _mask_of_a_billion, _mask_of_the_lowest),
        ),
        Mistake(
            "these say which pairs are strangers, with True or 1. Wanted is what to *add*: 0 "
            "between neighbours, and -100.",
            _mask_of_bool,
        ),
        Mistake(
            "these are whole numbers. They are added to scores, so wanted is float32.",
            _mask_of_whole_numbers,
        ),
        Mistake(
            "these are the differences of the labels. Only whether they are 0 counts: 0 there, "
            "-100 elsewhere.",
            _mask_of_differences,
        ),
        Mistake(
            "it labels the map *before* the roll. What came round sits at the bottom and on the "
            "right when the windows are cut.",
            _mask_before_roll,
        ),
        Mistake(
            "it looks for strangers at the top and on the left. After a roll up and to the left "
            "they are at the bottom and on the right.",
            _mask_at_start,
        ),
        Mistake(
            "it adds the labels of row and column, so that (0, 1) and (1, 0) look alike.",
            _mask_of_sums,
        ),
        Mistake(
            "the strip that came round is M - s wide. s rows went round; at half a window one "
            "cannot tell.",
            _mask_rest_of_window,
        ),
        Mistake(
            "every window is masked. Only the last row and the last column of windows mix.",
            _mask_every_window,
        ),
        Mistake("only rows are told apart. Columns come round too.", _mask_rows_alone),
        Mistake("only columns are told apart. Rows come round too.", _mask_columns_alone),
        Mistake("this is the mask of a map of W x H.", _mask_of_turned_map),
        Mistake(
            "this is the mask of the last window. Every window has its own.", _mask_of_one_window
        ),
        Mistake(
            "it compares all tokens of the map. Only those of one window meet.", _mask_of_all_pairs
        ),
        Mistake(
            "the labels are not cut into windows: it takes them as they lie in memory, row by row.",
            _mask_of_strips,
        ),
        Mistake(
            "strangers get -1, which makes them hardly less likely: a softmax turns it into a "
            "factor of 0.37.",
            _mask_of_minus_1,
        ),
        Mistake(
            "it always shifts by half a window. The shift is `s`, which need not be that.",
            _mask_half_a_window,
            (_mask_half_a_window_if_any,),
        ),
        Mistake(
            "it hides the same keys from everybody. Tokens that came round together may attend to "
            "one another: what counts is whether query and key differ.",
            _mask_of_keys,
            (_mask_of_labelled_keys,),
        ),
        Mistake(
            "it compares the labels of one window with those of another. Only tokens of the same "
            "window meet.",
            _MASKS_OF_OTHERS[0],
            _MASKS_OF_OTHERS[1:],
        ),
        Mistake(
            "the masks are right, but in another order: windows are counted like words on a page, "
            "along the rows.",
            _mask_columns_first,
        ),
    ),
)

EXERCISES = (REGIONS, SHIFTED, ROLL, MASK)
