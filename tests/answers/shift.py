"""Answers to the exercises of lesson 04."""

import numpy as np
import torch

from swinlib import region_ids, window_partition

# --- roll_by_slicing ----------------------------------------------------------------------------


def roll_down(x, shift_size):
    sh, sw = shift_size
    x = torch.cat([x[:, -sh:], x[:, :-sh]], dim=1) if sh else x
    return torch.cat([x[:, :, -sw:], x[:, :, :-sw]], dim=2) if sw else x


def roll_by_torch(x, shift_size):
    return x.roll((-shift_size[0], -shift_size[1]), (1, 2))


def roll_batch(x, shift_size):
    sh, sw = shift_size
    x = torch.cat([x[sh:], x[:sh]])
    return torch.cat([x[:, sw:], x[:, :sw]], dim=1)


def roll_swapped(x, shift_size):
    sw, sh = shift_size
    x = torch.cat([x[:, sh:], x[:, :sh]], dim=1)
    return torch.cat([x[:, :, sw:], x[:, :, :sw]], dim=2)


def roll_flat(x, shift_size):
    B, H, W, C = x.shape
    sh, sw = shift_size
    flat = x.reshape(B, H * W, C)
    steps = sh * W + sw
    return torch.cat([flat[:, steps:], flat[:, :steps]], dim=1).reshape(B, H, W, C)


def roll_padded(x, shift_size):
    sh, sw = shift_size
    return torch.nn.functional.pad(x[:, sh:, sw:], (0, 0, 0, sw, 0, sh))


def roll_only_rows(x, shift_size):
    sh, _ = shift_size
    return torch.cat([x[:, sh:], x[:, :sh]], dim=1)


def roll_only_columns(x, shift_size):
    _, sw = shift_size
    return torch.cat([x[:, :, sw:], x[:, :, :sw]], dim=2)


def roll_overwrites(x, shift_size):
    sh, sw = shift_size
    x[:] = roll_by_index(x, (sh, sw))
    return x


def roll_not_zero(x, shift_size):
    sh, sw = shift_size
    out = torch.empty_like(x)
    out[:, :-sh, :-sw] = x[:, sh:, sw:]
    out[:, -sh:, :-sw] = x[:, :sh, sw:]
    out[:, :-sh, -sw:] = x[:, sh:, :sw]
    out[:, -sh:, -sw:] = x[:, :sh, :sw]
    return out


def roll_channels_first(x, shift_size):
    return roll_by_index(x, shift_size).permute(0, 3, 1, 2)


def roll_by_view(x, shift_size):
    B, H, W, C = x.shape
    sh, sw = shift_size
    rows = (torch.arange(H) + sh) % H
    columns = (torch.arange(W) + sw) % W
    return x.view(B, H * W, C)[:, (rows[:, None] * W + columns).view(-1)].view(B, H, W, C)


def roll_in_float32(x, shift_size):
    return roll_by_index(x, shift_size).float()


def roll_by_index(x, shift_size):
    rows = (torch.arange(x.shape[1]) + shift_size[0]) % x.shape[1]
    columns = (torch.arange(x.shape[2]) + shift_size[1]) % x.shape[2]
    return x[:, rows][:, :, columns]


def roll_by_loop(x, shift_size):
    _, H, W, _ = x.shape
    out = torch.empty_like(x)
    for i in range(H):
        for j in range(W):
            out[:, i, j] = x[:, (i + shift_size[0]) % H, (j + shift_size[1]) % W]
    return out


def roll_four_parts(x, shift_size):
    sh, sw = shift_size
    top = torch.cat([x[:, sh:, sw:], x[:, sh:, :sw]], dim=2)
    bottom = torch.cat([x[:, :sh, sw:], x[:, :sh, :sw]], dim=2)
    return torch.cat([top, bottom], dim=1)


# --- label_regions ------------------------------------------------------------------------------


def official(H, W, window_size, shift_size):
    """The official loop, for pairs and shifts of 0."""
    labels = torch.zeros(H, W)
    slices = []
    for window, shift in zip(window_size, shift_size, strict=True):
        parts = [slice(0, -window), slice(-window, -shift), slice(-shift, None)]
        slices.append(parts if shift else [slice(None)])
    count = 0
    for rows in slices[0]:
        for columns in slices[1]:
            labels[rows, columns] = count
            count += 1
    return labels


def labels_two_parts(H, W, window_size, shift_size):
    rows = torch.arange(H) >= H - shift_size[0]
    columns = torch.arange(W) >= W - shift_size[1]
    return rows[:, None] * 2 + columns[None, :]


def labels_by_position(H, W, window_size, shift_size):
    """Which uneven window a token is in, found where it came from."""
    ids = []
    for length, window, shift in zip((H, W), window_size, shift_size, strict=True):
        place = (torch.arange(length) + shift) % length
        ids.append((place - shift) // window if shift else torch.zeros(length).long())
    return (ids[0][:, None] + 1) * 1000 + ids[1]


def labels_unrolled(H, W, window_size, shift_size):
    labels = official(H, W, window_size, shift_size)
    return torch.roll(labels, shift_size, (0, 1))


def labels_top_left(H, W, window_size, shift_size):
    labels = torch.zeros(H, W)
    labels[: shift_size[0]] += 1
    labels[:, : shift_size[1]] += 2
    return labels


def labels_added(H, W, window_size, shift_size):
    labels = torch.zeros(H, W)
    labels[H - shift_size[0] :] += 1
    labels[:, W - shift_size[1] :] += 1
    return labels


def labels_shift_swapped(H, W, window_size, shift_size):
    return labels_two_parts(H, W, window_size, (shift_size[1], shift_size[0]))


def labels_window_swapped(H, W, window_size, shift_size):
    return official(H, W, (window_size[1], window_size[0]), shift_size)


def labels_turned(H, W, window_size, shift_size):
    return labels_two_parts(H, W, window_size, shift_size).t()


def labels_m_minus_s(H, W, window_size, shift_size):
    rest = [w - s if s else 0 for w, s in zip(window_size, shift_size, strict=True)]
    return labels_two_parts(H, W, window_size, rest)


def labels_rows(H, W, window_size, shift_size):
    rows = torch.arange(H) >= H - shift_size[0]
    return rows[:, None].long().repeat(1, W)


def labels_columns(H, W, window_size, shift_size):
    columns = torch.arange(W) >= W - shift_size[1]
    return columns[None, :].long().repeat(H, 1)


def labels_windows(H, W, window_size, shift_size):
    rows = torch.arange(H).div(window_size[0], rounding_mode="floor")
    columns = torch.arange(W).div(window_size[1], rounding_mode="floor")
    return rows[:, None] * 100 + columns


def labels_unless_0(H, W, window_size, shift_size):
    if 0 in shift_size:
        return torch.zeros(H, W)
    return official(H, W, window_size, shift_size)


def labels_painted(H, W, window_size, shift_size):
    labels = torch.zeros(H, W)
    labels[H - shift_size[0] :, :] = 5
    labels[:, W - shift_size[1] :] = 6
    return labels


def labels_painted_rows_last(H, W, window_size, shift_size):
    labels = torch.zeros(H, W)
    labels[:, W - shift_size[1] :] = 6
    labels[H - shift_size[0] :, :] = 5
    return labels


def labels_product(H, W, window_size, shift_size):
    rows, columns = torch.zeros(H), torch.zeros(W)
    rows[H - shift_size[0] :] = 1
    columns[W - shift_size[1] :] = 1
    return torch.outer(rows, columns)


def labels_each_window(H, W, window_size, shift_size):
    rows = torch.arange(H) % window_size[0] + shift_size[0] >= window_size[0]
    columns = torch.arange(W) % window_size[1] + shift_size[1] >= window_size[1]
    return rows[:, None] * 2 + columns


def labels_numpy(*args):
    return official(*args).numpy()


def labels_off_by_one(H, W, window_size, shift_size):
    return labels_two_parts(H, W, window_size, [max(0, s - 1) for s in shift_size])


def labels_square_only(H, W, window_size, shift_size):
    axis = torch.arange(H) >= H - shift_size[0]
    return axis[:, None] * 2 + axis[None, :]


def labels_flat(H, W, window_size, shift_size):
    return labels_two_parts(H, W, window_size, shift_size).flatten()


def labels_loop(H, W, window_size, shift_size):
    labels = torch.zeros(H, W, dtype=torch.int32)
    for i in range(H):
        for j in range(W):
            labels[i, j] = 7 * (i + shift_size[0] >= H) - 3 * (j + shift_size[1] >= W)
    return labels


# --- mask_by_motion -----------------------------------------------------------------------------


def cut(x, window_size):
    """(H, W) to (num_windows, N), written with unfold."""
    x = x.unfold(0, window_size[0], window_size[0]).unfold(1, window_size[1], window_size[1])
    return x.reshape(-1, window_size[0] * window_size[1])


def round_about(length, shift):
    return torch.arange(length) + shift >= length


def mask_from_labels(H, W, window_size, shift_size):
    labels = round_about(H, shift_size[0])[:, None] * 2 + round_about(W, shift_size[1]) * 1
    labels = cut(labels, window_size)
    return labels.unsqueeze(1) - labels.unsqueeze(2) != 0


def mask_two_axes(H, W, window_size, shift_size):
    rows = cut(round_about(H, shift_size[0])[:, None].expand(H, W), window_size)
    columns = cut(round_about(W, shift_size[1])[None].expand(H, W), window_size)
    return (rows[:, :, None] ^ rows[:, None]) | (columns[:, :, None] ^ columns[:, None])


def mask_inverted(*args):
    return mask_from_labels(*args) == 0


def mask_minus_100(*args):
    return mask_from_labels(*args) * -100.0


def mask_other_way(H, W, window_size, shift_size):
    rows, columns = torch.arange(H) < shift_size[0], torch.arange(W) < shift_size[1]
    labels = cut(rows[:, None] * 2 + columns * 1, window_size)
    return labels[:, None] != labels[:, :, None]


def mask_rows(H, W, window_size, shift_size):
    return mask_from_labels(H, W, window_size, (shift_size[0], 0))


def mask_columns(H, W, window_size, shift_size):
    return mask_from_labels(H, W, window_size, (0, shift_size[1]))


def mask_and(*args):
    H, W, window_size, shift_size = args
    return mask_rows(*args) & mask_columns(*args)


def mask_shift_swapped(H, W, window_size, shift_size):
    return mask_from_labels(H, W, window_size, shift_size[::-1])


def mask_global(H, W, window_size, shift_size):
    labels = round_about(H, shift_size[0])[:, None] * 2 + round_about(W, shift_size[1]) * 1
    return labels.flatten()[:, None] != labels.flatten()


def mask_distance(H, W, window_size, shift_size):
    rows = (torch.arange(H) + shift_size[0]) % H
    columns = (torch.arange(W) + shift_size[1]) % W
    rows = cut(rows[:, None].expand(H, W), window_size)
    columns = cut(columns[None].expand(H, W), window_size)
    far = (rows[:, None] - rows[:, :, None]).abs() >= window_size[0]
    return far | ((columns[:, None] - columns[:, :, None]).abs() >= window_size[1])


def motions(H, W, shift_size):
    rows = (torch.arange(H) + shift_size[0]) % H - torch.arange(H)
    columns = (torch.arange(W) + shift_size[1]) % W - torch.arange(W)
    return rows[:, None].expand(H, W), columns[None].expand(H, W)


def unlike(values, window_size):
    values = cut(values, window_size)
    return values[:, None] != values[:, :, None]


def mask_sum(H, W, window_size, shift_size):
    return unlike(sum(motions(H, W, shift_size)), window_size)


def mask_product(H, W, window_size, shift_size):
    up, left = motions(H, W, shift_size)
    return unlike(up * left, window_size)


def mask_by_origin(H, W, window_size, shift_size):
    numbers = torch.arange(H * W).view(H, W)
    return unlike(numbers.roll((-shift_size[0], -shift_size[1]), (0, 1)), window_size)


def mask_strips(H, W, window_size, shift_size):
    labels = round_about(H, shift_size[0])[:, None] * 2 + round_about(W, shift_size[1]) * 1
    labels = labels.reshape(-1, window_size[0] * window_size[1])
    return labels[:, None] != labels[:, :, None]


def mask_with_heads(*args):
    return mask_from_labels(*args).unsqueeze(1)


# --- more of all three --------------------------------------------------------------------------


def roll_step_by_step(x, shift_size):
    sh, sw = shift_size
    if sh:
        return roll_step_by_step(torch.cat([x[:, 1:], x[:, :1]], dim=1), (sh - 1, sw))
    return roll_step_by_step(torch.cat([x[:, :, 1:], x[:, :, :1]], 2), (0, sw - 1)) if sw else x * 1


def roll_from_four_copies(x, shift_size):
    (sh, sw), (_, H, W, _) = shift_size, x.shape
    return x.repeat(1, 2, 2, 1)[:, sh : sh + H, sw : sw + W]


def roll_by_numpy_index(x, shift_size):
    (sh, sw), (_, H, W, _) = shift_size, x.shape
    return x[:, np.r_[sh:H, 0:sh]][:, :, np.r_[sw:W, 0:sw]]


def roll_both_on_rows(x, shift_size):
    sh, sw = shift_size
    x = torch.cat([x[:, sh:], x[:, :sh]], dim=1)
    return torch.cat([x[:, sw:], x[:, :sw]], dim=1)


def roll_by_numpy(x, shift_size):
    return torch.from_numpy(np.roll(x.numpy(), (-shift_size[0], -shift_size[1]), (1, 2)))


def labels_by_bucket(H, W, window_size, shift_size):
    rows, columns = (
        torch.bucketize(torch.arange(length), torch.tensor([length - m, length - s]), right=True)
        for length, m, s in zip((H, W), window_size, shift_size, strict=True)
    )
    return rows[:, None] * 3 + columns


def labels_in_halves(*args):
    return labels_two_parts(*args) / 2


def labels_or(H, W, window_size, shift_size):
    rows, columns = round_about(H, shift_size[0]), round_about(W, shift_size[1])
    return rows[:, None] | columns


def mask_by_loops(H, W, window_size, shift_size):
    (mh, mw), (sh, sw) = window_size, shift_size
    masks = []
    for top in range(0, H, mh):
        for left in range(0, W, mw):
            places = [(top + i, left + j) for i in range(mh) for j in range(mw)]
            round_ = [(i + sh >= H, j + sw >= W) for i, j in places]
            masks.append([[a != b for b in round_] for a in round_])
    return torch.tensor(masks)


def mask_as_integers(*args):
    return mask_from_labels(*args).int()


# --- shifted_window_mask ------------------------------------------------------------------------


def official_mask(H, W, M, s):
    """As in the official code, with slices and a counter; a shift of 0 needs no mask there."""
    if s == 0:
        return torch.zeros((H // M) * (W // M), M * M, M * M)
    ids = torch.zeros(1, H, W, 1)
    slices = slice(0, -M), slice(-M, -s), slice(-s, None)
    for number, (rows, columns) in enumerate((h, w) for h in slices for w in slices):
        ids[:, rows, columns] = number
    ids = window_partition(ids, M).reshape(-1, M * M)
    mask = ids.unsqueeze(1) - ids.unsqueeze(2)
    return mask.masked_fill(mask != 0, -100.0).masked_fill(mask == 0, 0.0)


def mask_from_origins(H, W, M, s):
    """Two tokens are neighbours if they are as far apart as they were before the roll."""
    i, j = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    here = window_partition(torch.stack([i, j], -1)[None], M).flatten(1, 2)
    there = (here + s) % torch.tensor([H, W])
    apart = (here[:, :, None] - here[:, None]) != (there[:, :, None] - there[:, None])
    return -100.0 * apart.any(-1)


def mask_with_loops(H, W, M, s):
    mask = torch.zeros((H // M) * (W // M), M * M, M * M)
    for window in range(len(mask)):
        top, left = window // (W // M) * M, window % (W // M) * M
        for a in range(M * M):
            for b in range(M * M):
                came = [(top + t // M >= H - s, left + t % M >= W - s) for t in (a, b)]
                mask[window, a, b] = 0 if came[0] == came[1] else -100
    return mask


def mask_upside_down(H, W, M, s):
    return torch.where(mask_from_origins(H, W, M, s) == 0, -100.0, 0.0)


def mask_attractive(H, W, M, s):
    return torch.where(mask_from_origins(H, W, M, s) == 0, 0.0, 100.0)


def mask_minus_infinity(H, W, M, s):
    return torch.zeros_like(official_mask(H, W, M, s)).masked_fill(
        official_mask(H, W, M, s) != 0, float("-inf")
    )


def mask_of_a_billion(H, W, M, s):
    return (official_mask(H, W, M, s) != 0) * -1e9


def mask_of_the_lowest(H, W, M, s):
    lowest = torch.finfo(torch.float32).min
    return torch.zeros_like(official_mask(H, W, M, s)).masked_fill(
        official_mask(H, W, M, s) != 0, lowest
    )


def mask_true_false(H, W, M, s):
    return official_mask(H, W, M, s) != 0


def labels_of(H, W, M, s):
    rows, columns = torch.zeros(H), torch.zeros(W)
    if s:
        rows[-M:], columns[-M:] = 1, 1
        rows[-s:], columns[-s:] = 2, 2
    return 3 * rows[:, None] + columns


def masked(labels, M):
    ids = window_partition(labels[None, :, :, None], M).flatten(1)
    return torch.zeros(len(ids), M * M, M * M).masked_fill(ids[:, None] != ids[:, :, None], -100)


def mask_subtracted(H, W, M, s):
    ids = window_partition(labels_of(H, W, M, s)[None, :, :, None], M).flatten(1)
    return ids.unsqueeze(2) - ids.unsqueeze(1)


def mask_rolled_back(H, W, M, s):
    return masked(labels_of(H, W, M, s).roll((s, s), (0, 1)), M)


def mask_of_the_start(H, W, M, s):
    rows, columns = torch.arange(H) < s, torch.arange(W) < s
    return masked(rows[:, None] * 2 + columns * 1, M)


def mask_by_sum(H, W, M, s):
    labels = labels_of(H, W, M, s)
    return masked(labels // 3 + labels % 3, M)


def mask_by_m_minus_s(H, W, M, s):
    return masked(labels_of(H, W, M, M - s if s else 0), M)


def mask_everywhere(H, W, M, s):
    rows, columns = torch.arange(H) % M >= M - s, torch.arange(W) % M >= M - s
    return masked(rows[:, None] * 2 + columns * 1, M)


def mask_by_rows(H, W, M, s):
    return masked(labels_of(H, W, M, s) // 3, M)


def mask_by_columns(H, W, M, s):
    return masked(labels_of(H, W, M, s) % 3, M)


def mask_wh(H, W, M, s):
    return official_mask(W, H, M, s)


def mask_last_window(H, W, M, s):
    return official_mask(H, W, M, s)[[-1]]


def mask_everyone(H, W, M, s):
    ids = labels_of(H, W, M, s).flatten()
    return torch.where(ids == ids[:, None], 0.0, -100.0)


def mask_in_memory_order(H, W, M, s):
    ids = labels_of(H, W, M, s).reshape(-1, M * M)
    return torch.where(ids[:, None] == ids[:, :, None], 0.0, -100.0)


def mask_of_double(H, W, M, s):
    return official_mask(H, W, M, s).double()


def mask_of_ones(H, W, M, s):
    return (official_mask(H, W, M, s) != 0).float()


def mask_of_int(H, W, M, s):
    return official_mask(H, W, M, s).long()


def mask_for_heads(H, W, M, s):
    return official_mask(H, W, M, s)[:, None]


def mask_from_swinlib(H, W, M, s):
    ids = region_ids(H, W, M, s)
    return masked(ids, M)


def mask_zero_shift(H, W, M, s):
    """Half a window, whatever s is."""
    return official_mask(H, W, M, M // 2)


def regions_in_windows(H, W, M, s):
    rows, columns = round_about(H, s), round_about(W, s)
    return cut(rows[:, None] * 2 + columns * 1, (M, M))


def mask_slightly_lower(H, W, M, s):
    labels = regions_in_windows(H, W, M, s)
    return -(labels[:, None] != labels[:, :, None]).float()


def mask_hides_keys(H, W, M, s):
    came_round = regions_in_windows(H, W, M, s) > 0
    return torch.stack([came_round] * M**2, dim=1) * -100.0


def mask_other_window(H, W, M, s):
    labels = regions_in_windows(H, W, M, s)
    other = torch.cat([labels[1:], labels[:1]])
    return (labels[:, :, None] != other[:, None]) * -100.0


def mask_down_the_columns(H, W, M, s):
    labels = regions_in_windows(W, H, M, s).view(-1, M, M).transpose(1, 2).flatten(1)
    return (labels[:, :, None] != labels[:, None]) * -100.0


WRONG = {
    "roll_by_slicing": [
        (roll_both_on_rows, "both steps roll the same axis"),
        (roll_by_numpy, "calls `roll`"),
        (roll_by_torch, "calls `roll`"),
        (roll_down, "down and to the right"),
        (roll_batch, "rolls the batch and the rows"),
        (roll_swapped, "shift of the rows for the columns"),
        (roll_flat, "one long row"),
        (roll_padded, "is lost"),
        (roll_only_rows, "the columns have not moved"),
        (roll_only_columns, "the rows have not moved"),
        (roll_overwrites, "writes into its input `x`"),
        (roll_not_zero, "with a shift of 0 along one axis"),
        (roll_channels_first, "axes are in another order"),
        (roll_by_view, "with a tensor that is not contiguous: it stops with Runtime"),
        (roll_in_float32, "of type torch.float32, wanted torch.float16"),
    ],
    "label_regions": [
        (labels_or, "0 pairs of neighbours get unlike labels, and 3 pairs"),
        (labels_unless_0, "where one of the two shifts is 0"),
        (labels_painted, "carries the label of one of the two strips"),
        (labels_painted_rows_last, "looks like the strip at the bottom"),
        (labels_product, "only the corner is told apart"),
        (labels_each_window, "every window is split"),
        (labels_numpy, "wanted a tensor"),
        (labels_unrolled, "*before* the roll"),
        (labels_top_left, "at the top and on the left"),
        (labels_added, "adds the row label and the column label"),
        (labels_shift_swapped, "shift of the rows for the columns"),
        (labels_window_swapped, "window's height for its width"),
        (labels_turned, "rows and columns are exchanged"),
        (labels_m_minus_s, "M - s wide"),
        (labels_rows, "only the rows are labelled"),
        (labels_columns, "only the columns are labelled"),
        (labels_windows, "a single label"),
        (labels_square_only, "with a map that is not square: the shape is (4, 4), wanted (4, 12)"),
        (labels_off_by_one, "in window 1, "),
        (labels_flat, "the shape is (16,), wanted (4, 4)"),
    ],
    "mask_by_motion": [
        (mask_as_integers, "the numbers are right, but of type torch.int32, wanted torch.bool"),
        (mask_sum, "adds the two motions"),
        (mask_product, "multiplies the two motions"),
        (mask_by_origin, "compares where tokens came from"),
        (mask_inverted, "wrong way round"),
        (mask_minus_100, "gives -100 and 0"),
        (mask_other_way, "rolls the wrong way"),
        (mask_rows, "only rows that came round"),
        (mask_columns, "only columns that came round"),
        (mask_and, "One is enough"),
        (mask_shift_swapped, "shift of the rows for the columns"),
        (mask_global, "compares all tokens of the map"),
        (mask_distance, "how far apart"),
        (mask_strips, "Mh*Mw tokens of a row"),
        (mask_with_heads, "numbers are right and in order, but the shape is (4, 1, 4, 4)"),
    ],
    "shifted_window_mask": [
        (mask_upside_down, "the wrong way round"),
        (mask_attractive, "+100"),
        (mask_minus_infinity, "get minus infinity"),
        (mask_of_a_billion, "get minus infinity"),
        (mask_of_the_lowest, "get minus infinity"),
        (mask_true_false, "which pairs are strangers, with True or 1"),
        (mask_subtracted, "differences of the labels"),
        (mask_rolled_back, "*before* the roll"),
        (mask_of_the_start, "at the top and on the left"),
        (mask_by_sum, "(0, 1) and (1, 0) look alike"),
        (mask_by_m_minus_s, "M - s wide"),
        (mask_everywhere, "every window is masked"),
        (mask_by_rows, "Columns come round too"),
        (mask_by_columns, "Rows come round too"),
        (mask_wh, "a map of W x H"),
        (mask_last_window, "the mask of the last window"),
        (mask_everyone, "compares all tokens"),
        (mask_in_memory_order, "not cut into windows"),
        (mask_of_int, "whole numbers"),
        (mask_of_double, "the numbers are right, but of type torch.float64"),
        (mask_of_ones, "which pairs are strangers, with True or 1"),
        (mask_for_heads, "the shape is (4, 1, 4, 4), wanted (4, 4, 4)"),
        (mask_from_swinlib, "calls swinlib's `region_ids`"),
        (mask_slightly_lower, "a factor of 0.37"),
        (mask_hides_keys, "hides the same keys from everybody"),
        (mask_other_window, "one window with those of another"),
        (mask_down_the_columns, "in another order: windows are counted"),
        (mask_zero_shift, "always shifts by half a window"),
    ],
}
RIGHT = {
    "roll_by_slicing": [
        roll_step_by_step,
        roll_from_four_copies,
        roll_by_numpy_index,
        roll_by_index,
        roll_by_loop,
        roll_four_parts,
    ],
    "label_regions": [
        labels_by_bucket,
        labels_in_halves,
        official,
        labels_two_parts,
        labels_by_position,
        labels_loop,
    ],
    "mask_by_motion": [mask_by_loops, mask_from_labels, mask_two_axes],
    "shifted_window_mask": [official_mask, mask_from_origins, mask_with_loops],
}
