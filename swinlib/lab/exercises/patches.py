"""Exercises of lesson 01: patches, the order inside them, overlaps, tokens put back."""

import torch

from swinlib.lab.exercises.checking import Case, Exercise, Mistake

# --- somebody else's weight ---------------------------------------------------------------------


def conv_weight(weight, patch_size):
    """The weight of a convolution, (D, C, Ph, Pw), from (D, Ph*Pw*C) with channels last."""
    ph, pw = patch_size
    x = weight.reshape(len(weight), ph, pw, -1)  # every axis gets its name in the order it lies in
    return x.permute(0, 3, 1, 2)


def _channels(weight, patch_size):
    return weight.shape[1] // (patch_size[0] * patch_size[1])


def _read_channels_first(weight, patch_size):
    return weight.reshape(len(weight), _channels(weight, patch_size), *patch_size)


def _turned(weight, patch_size):
    return conv_weight(weight, patch_size[::-1]).transpose(2, 3)


def _width_for_height(weight, patch_size):
    return conv_weight(weight, patch_size[::-1])


def _rows_and_columns_exchanged(weight, patch_size):
    return conv_weight(weight, patch_size).transpose(2, 3)


def _filters_as_columns(weight, patch_size):
    ph, pw = patch_size
    return weight.reshape(ph, pw, -1, len(weight)).permute(3, 2, 0, 1)


def _upside_down(weight, patch_size):
    return conv_weight(weight, patch_size).flip(2, 3)


def _blue_first(weight, patch_size):
    return conv_weight(weight, patch_size).flip(1)


def _channels_stay_last(weight, patch_size):
    return weight.reshape(len(weight), *patch_size, _channels(weight, patch_size))


def _weights():
    counting = torch.arange(4 * 18.0).view(4, 18)
    stored = torch.randn(24, 5, generator=torch.Generator().manual_seed(0))
    return [
        Case("one filter of 2 x 2 pixels and two channels", (torch.arange(8.0).view(1, 8), (2, 2))),
        Case("four filters, three channels and wide patches", (counting, (2, 3))),
        Case("a single channel", (counting, (6, 3))),
        Case("a matrix stored the other way and transposed", (stored.T, (4, 2))),
        Case("half precision", (stored.T.half(), (1, 8))),
        Case("the size of Swin-T", (torch.arange(96.0 * 48).view(96, 48), (4, 4))),
    ]


WEIGHT = Exercise(
    solution=conv_weight,
    cases=_weights,
    checked_on="6 cases: wide and tall patches, one, two and three channels, a transposed matrix, "
    "half precision, the size of Swin-T",
    hints=(
        "Write down what the 8 numbers of one row stand for, with 2 x 2 pixels of two channels: "
        "row, column and channel of each.",
        "It goes in two steps, as in `cut`: give every axis a dimension of its own, in the order "
        "in which the numbers lie, then bring the dimensions into the order that is wanted.",
        "Split into (D, Ph, Pw, C), and leave C to `-1`. Then one `permute`.",
    ),
    mistakes=(
        Mistake(
            "it reads each row as channels, rows, columns, as this lesson's `cut` would have it. "
            "Here the channels of one pixel lie side by side.",
            _read_channels_first,
        ),
        Mistake(
            "it gives the channels last, (D, Ph, Pw, C). A convolution wants them right after the "
            "filters.",
            _channels_stay_last,
        ),
        Mistake(
            "every filter is mirrored at its diagonal: rows and columns are exchanged.",
            _rows_and_columns_exchanged,
        ),
        Mistake(
            "it takes the patch's height for its width. On square patches one cannot tell.",
            _width_for_height,
        ),
        Mistake(
            "the shape is right, but Ph pixels are read in a row where there are Pw. On square "
            "patches one would see mirrored filters.",
            _turned,
        ),
        Mistake(
            "it takes the columns of the matrix for filters. As in `nn.Linear`, every *row* is one "
            "filter.",
            _filters_as_columns,
        ),
        Mistake(
            "every filter is turned by 180 degrees. A convolution in a textbook does that, "
            "`nn.Conv2d` does not.",
            _upside_down,
        ),
        Mistake("the channels come out last one first, blue before red.", _blue_first),
    ),
)

# --- overlapping patches ------------------------------------------------------------------------


def overlapping_patches(images, patch_size, stride):
    """Patches (B, h, w, C*Ph*Pw) of images (B, C, H, W), a step of `stride` apart."""
    (ph, pw), (sh, sw), (H, W) = patch_size, stride, images.shape[2:]
    # A pixel may be in several patches, so no reshape will do: look up every pixel of every patch.
    rows = torch.arange(0, H - ph + 1, sh)[:, None] + torch.arange(ph)  # (h, Ph)
    columns = torch.arange(0, W - pw + 1, sw)[:, None] + torch.arange(pw)  # (w, Pw)
    x = images[:, :, rows][..., columns]  # (B, C, h, Ph, w, Pw)
    return x.permute(0, 2, 4, 1, 3, 5).flatten(3)


def _looked_up(images, starts, patch_size, order=(0, 2, 4, 1, 3, 5)):
    rows, columns = (
        start[:, None] + torch.arange(size) for start, size in zip(starts, patch_size, strict=True)
    )
    return images[:, :, rows][..., columns].permute(order).flatten(3)


def _starts(images, patch_size, stride, beyond=1):
    sides = zip(images.shape[2:], patch_size, stride, strict=True)
    return [torch.arange(0, max(side - p + beyond, 0), s) for side, p, s in sides]


def _side_by_side(images, patch_size, stride):
    return overlapping_patches(images, patch_size, patch_size)


def _steps_exchanged(images, patch_size, stride):
    return overlapping_patches(images, patch_size, stride[::-1])


def _one_step_for_both(images, patch_size, stride):
    return overlapping_patches(images, patch_size, (stride[0], stride[0]))


def _sides_exchanged(images, patch_size, stride):
    return overlapping_patches(images, patch_size[::-1], stride)


def _last_one_missing(images, patch_size, stride):
    return _looked_up(images, _starts(images, patch_size, stride, beyond=0), patch_size)


def _over_the_edge(images, patch_size, stride):
    H, W = images.shape[2:]
    starts = [torch.arange(0, side, s) for side, s in zip((H, W), stride, strict=True)]
    images = torch.nn.functional.pad(images, (0, patch_size[1], 0, patch_size[0]))
    return _looked_up(images, starts, patch_size)


def _padded_to_fit(images, patch_size, stride):
    H, W = images.shape[2:]
    over = [-(side - p) % s for side, p, s in zip((H, W), patch_size, stride, strict=True)]
    images = torch.nn.functional.pad(images, (0, over[1], 0, over[0]))
    return overlapping_patches(images, patch_size, stride)


def _vector_channels_last(images, patch_size, stride):
    return _looked_up(images, _starts(images, patch_size, stride), patch_size, (0, 2, 4, 3, 5, 1))


def _vector_by_columns(images, patch_size, stride):
    return _looked_up(images, _starts(images, patch_size, stride), patch_size, (0, 2, 4, 1, 5, 3))


def _no_reordering(images, patch_size, stride):
    starts = _starts(images, patch_size, stride)
    x = _looked_up(images, starts, patch_size, (0, 1, 2, 3, 4, 5))
    return x.reshape(len(images), len(starts[0]), len(starts[1]), -1)


def _tokens_in_a_list(images, patch_size, stride):
    return overlapping_patches(images, patch_size, stride).flatten(1, 2)


def _columns_of_unfold(images, patch_size, stride):
    return torch.nn.functional.unfold(images, patch_size, stride=stride)


def _columns_as_rows(images, patch_size, stride):
    h, w = map(len, _starts(images, patch_size, stride))
    return _columns_of_unfold(images, patch_size, stride).reshape(len(images), h, w, -1)


def _images():
    numbers = torch.arange(12.0).view(1, 1, 3, 4)
    colours = torch.arange(2 * 3 * 7 * 10.0).view(2, 3, 7, 10)
    scattered = torch.randn(2, 9, 6, 3, generator=torch.Generator().manual_seed(0))
    scattered = scattered.permute(0, 3, 1, 2)  # (2, 3, 9, 6), as a picture comes from a file
    return [
        Case("3 x 4 counting numbers, patches of 2 x 2, steps of 1", (numbers, (2, 2), (1, 1))),
        Case("patches that do not overlap", (torch.arange(24.0).view(1, 1, 4, 6), (2, 2), (2, 2))),
        Case("pixels left over at the edge", (torch.arange(42.0).view(1, 1, 6, 7), (3, 3), (2, 2))),
        Case("two pictures of three channels, wide patches", (colours, (2, 4), (1, 1))),
        Case("unlike steps", (colours, (3, 3), (2, 1))),
        Case("gaps between the patches", (colours, (2, 2), (3, 4))),
        Case("a patch as large as the picture", (colours, (7, 10), (1, 2))),
        Case("a picture that is not contiguous", (scattered, (4, 2), (1, 2))),
        Case("half precision", (scattered.half(), (3, 3), (2, 1))),
    ]


OVERLAPPING = Exercise(
    solution=overlapping_patches,
    cases=_images,
    checked_on="9 cases: overlaps and gaps, pixels left over, two pictures, wide patches, unlike "
    "steps, non-contiguous tensors, half precision",
    hints=(
        "Take one axis first. A column of 7 pixels, Ph = 3, steps of 2: which rows are in the "
        "first patch, which in the second, and how many patches are there?",
        "Make a table (h, Ph) of row numbers: where a patch begins, plus where in the patch a row "
        "is. The same for columns. `x[:, :, table]` looks up all of them at once.",
        "The beginnings are `torch.arange(0, H - Ph + 1, sh)`. After both look-ups the axes are "
        "(B, C, h, Ph, w, Pw), and the rest is as in `cut`. `Tensor.unfold` is another way.",
    ),
    mistakes=(
        Mistake(
            "the patches lie side by side, as if the step were the patch size. Look at `stride`.",
            _side_by_side,
        ),
        Mistake("it takes the step of the rows for the columns, and vice versa.", _steps_exchanged),
        Mistake("it takes the first step for both axes. They are (sh, sw).", _one_step_for_both),
        Mistake("it takes the patch's height for its width, and vice versa.", _sides_exchanged),
        Mistake(
            "the last patch is missing where it ends exactly at the edge of the picture.",
            _last_one_missing,
        ),
        Mistake(
            "some patches hang over the edge and are filled up with zeros. Take whole ones only.",
            _over_the_edge,
        ),
        Mistake(
            "it adds zeros until the patches fit. What is left over at the edge is to be ignored.",
            _padded_to_fit,
        ),
        Mistake(
            "the channels come last inside a vector. Wanted are channels, then rows, then columns.",
            _vector_channels_last,
        ),
        Mistake(
            "inside a vector it reads columns before rows.",
            _vector_by_columns,
        ),
        Mistake(
            "the axes are joined before they are reordered, so that one token has pixels of "
            "several patches. What is inside a patch must come last first.",
            _no_reordering,
        ),
        Mistake(
            "the tokens come in a list. Wanted is a map: (B, h, w, C*Ph*Pw).", _tokens_in_a_list
        ),
        Mistake(
            "`F.unfold` gives every patch as a *column*, (B, C*Ph*Pw, patches). Its last two axes "
            "must change places before the patches become a map.",
            _columns_of_unfold,
            (_columns_as_rows,),
        ),
    ),
)

# --- tokens put back, for a batch ---------------------------------------------------------------


def put_back(kept, places, filler, N):
    """All N tokens (B, N, C): kept[b, i] at places[b, i], and the filler everywhere else."""
    B, _, C = kept.shape
    tokens = filler.expand(B, N, C).clone()  # expanded alone, all places would share one memory
    pictures = torch.arange(B)[:, None]  # (B, 1) beside (B, K): each picture has its own places
    tokens[pictures, places] = kept
    return tokens


def _filled(kept, filler, N):
    return filler.expand(len(kept), N, -1).clone()


def _places_of_the_first(kept, places, filler, N):
    return put_back(kept, places[:1].expand(len(kept), -1), filler, N)


def _all_into_the_first(kept, places, filler, N):
    tokens = _filled(kept, filler, N)
    tokens.view(-1, kept.shape[-1])[places.flatten()] = kept.flatten(0, 1)
    return tokens


def _everybody_gets_all(kept, places, filler, N):
    tokens = _filled(kept, filler, N)
    tokens[:, places] = kept
    return tokens


def _paired_off(kept, places, filler, N):
    tokens = _filled(kept, filler, N)
    tokens[torch.arange(len(kept)), places] = kept
    return tokens


def _from_left_to_right(kept, places, filler, N):
    return put_back(kept, places.sort(dim=1).values, filler, N)


def _at_the_front(kept, places, filler, N):
    return put_back(kept, torch.arange(kept.shape[1]).expand_as(places), filler, N)


def _zeros_for_the_rest(kept, places, filler, N):
    return put_back(kept, places, torch.zeros_like(filler), N)


def _added_to_the_filler(kept, places, filler, N):
    return put_back(kept + filler, places, filler, N)


def _fetched(kept, places, filler, N):
    tokens = put_back(kept, torch.arange(kept.shape[1]).expand_as(places), filler, N)
    rest = torch.stack([torch.tensor(sorted(set(range(N)) - set(p.tolist()))) for p in places])
    order = torch.cat([places, rest.long()], dim=1)
    return tokens[torch.arange(len(kept))[:, None], order]


def _only_the_kept(kept, places, filler, N):
    return kept[torch.arange(len(kept))[:, None], places.argsort(dim=1)]


def _sorted_in_front(kept, places, filler, N):
    return _at_the_front(_only_the_kept(kept, places, filler, N), places, filler, N)


def _zeros_overwritten(kept, places, filler, N):
    tokens = _zeros_for_the_rest(kept, places, filler, N)
    return torch.where((tokens == 0).all(-1, keepdim=True), filler, tokens)


def _sums_overwritten(kept, places, filler, N):
    tokens = _zeros_for_the_rest(kept, places, filler, N)
    return torch.where(tokens.sum(-1, keepdim=True) == 0, filler, tokens)


def _places_sorted_again(kept, places, filler, N):
    return put_back(kept, places.argsort(dim=1), filler, N)


def _kept():
    generator = torch.Generator().manual_seed(0)
    two = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    tokens = torch.arange(3 * 4 * 2.0).view(3, 4, 2)
    two_places = torch.tensor([[2, 0], [3, 2]])
    places = torch.stack([torch.randperm(7, generator=generator) for _ in range(3)])
    filler = torch.tensor([-1.0, -2.0])
    nothing = torch.tensor([[[0.0, 0.0], [5.0, 6.0]], [[3.0, -3.0], [7.0, 8.0]]])
    scattered = torch.randn(2, 7, 3, generator=generator).transpose(0, 1)[:3]  # (3, 2, 3)
    far = torch.randn(3, generator=generator)
    return [
        Case("one picture, two of its four tokens", (two, torch.tensor([[3, 1]]), filler, 4)),
        Case("two pictures, each with its own places", (tokens[:2, :2], two_places, filler, 4)),
        Case("three pictures", (tokens, places[:, :4], filler, 7)),
        Case("no token missing", (tokens, places[:, :4].argsort(dim=1), filler, 4)),
        Case("a token of zeros, and one that adds up to zero", (nothing, two_places, filler, 5)),
        Case("every token missing", (tokens[:, :0], places[:, :0], filler, 5)),
        Case("tokens that are not contiguous", (scattered, places[:, 5:], far, 7)),
        Case("half precision", (scattered.half(), places[:, :2], far.half(), 9)),
    ]


BACK = Exercise(
    solution=put_back,
    cases=_kept,
    checked_on="8 cases: three pictures with places of their own, all tokens and none, tokens of "
    "zeros, non-contiguous tensors, half precision",
    hints=(
        "Write it with two loops first, over pictures and over tokens: one line inside puts one "
        "token into its place. That is a right answer already.",
        "Without loops, every pair (picture, place) needs its picture's number too. "
        "`tokens[a, b] = kept` pairs the numbers of a and b off against each other.",
        "Begin with `filler.expand(B, N, C).clone()`, then index it with `torch.arange(B)[:, None]`"
        " and `places`.",
    ),
    mistakes=(
        Mistake(
            "every picture gets its tokens at the first picture's places.", _places_of_the_first
        ),
        Mistake(
            "the tokens of all pictures land in the first one: places are counted from the "
            "beginning of each picture, not of the batch.",
            _all_into_the_first,
        ),
        Mistake(
            "it works for one picture only: with more, every picture gets the tokens of all of "
            "them. Each place must be paired with the number of its picture.",
            _everybody_gets_all,
        ),
        Mistake(
            "it pairs the first token of every picture with picture 0, the second with picture 1. "
            "All tokens of picture b belong to picture b.",
            _paired_off,
        ),
        Mistake(
            "the right places are filled, but from left to right, although the tokens come "
            "shuffled. kept[b, i] belongs to places[b, i].",
            _from_left_to_right,
        ),
        Mistake(
            "the kept tokens stay at the front, and the filler comes after them.", _at_the_front
        ),
        Mistake(
            "the places that nobody takes hold zeros. Put the filler there.", _zeros_for_the_rest
        ),
        Mistake(
            "the filler is added to the kept tokens, which must stay as they are.",
            _added_to_the_filler,
        ),
        Mistake(
            "it goes the wrong way: places[b, i] is where token i *goes*, not where it is fetched "
            "from.",
            _fetched,
        ),
        Mistake(
            "the tokens are brought into the order of their places and then stay at the front. "
            "Between them belong the fillers: kept[b, i] is wanted at places[b, i].",
            _sorted_in_front,
        ),
        Mistake(
            "it takes a kept token of zeros, or one whose numbers add up to 0, for an empty place. "
            "Whether a place is taken, only `places` can tell.",
            _zeros_overwritten,
            (_sums_overwritten,),
        ),
        Mistake(
            "`argsort` of the places says in which order they come, and not where they are. "
            "kept[b, i] belongs to places[b, i] itself.",
            _places_sorted_again,
        ),
        Mistake(
            "only the kept tokens are there. Wanted are all N, the others being the filler.",
            _only_the_kept,
        ),
    ),
)

# --- the lesson's own piece ---------------------------------------------------------------------


def image_to_patches(images, P):
    """Patches (B, H/P, W/P, C*P*P) of images (B, C, H, W); a vector is channels, rows, columns."""
    B, C, H, W = images.shape
    x = images.reshape(B, C, H // P, P, W // P, P)  # every axis gets a name
    x = x.permute(0, 2, 4, 1, 3, 5)  # first which patch, then where inside it
    return x.flatten(3)


def _cut(images, P, order):
    B, C, H, W = images.shape
    return images.reshape(B, C, H // P, P, W // P, P).permute(order).flatten(3)


def _read_as_they_lie(images, P):
    B, _, H, W = images.shape
    return images.reshape(B, H // P, W // P, -1)


def _colours_last(images, P):
    return _cut(images, P, (0, 2, 4, 3, 5, 1))


def _columns_before_rows(images, P):
    return _cut(images, P, (0, 2, 4, 1, 5, 3))


def _map_turned(images, P):
    return _cut(images, P, (0, 4, 2, 1, 3, 5))


def _pixels_apart(images, P):
    B, C, H, W = images.shape
    x = images.reshape(B, C, P, H // P, P, W // P)
    return x.permute(0, 3, 5, 1, 2, 4).flatten(3)


def _width_unpacked_first(images, P):
    B, C, W, H = images.shape
    return images.reshape(B, C, H // P, P, W // P, P).permute(0, 2, 4, 1, 3, 5).flatten(3)


def _channels_stay_in_front(images, P):
    B, C, H, W = images.shape
    x = images.reshape(B, C, H // P, P, W // P, P)
    return x.permute(0, 1, 2, 4, 3, 5).flatten(4)


def _one_long_list(images, P):
    return image_to_patches(images, P).flatten(1, 2)


def _not_flattened(images, P):
    return image_to_patches(images, P).unflatten(3, (images.shape[1], P, P))


def _pictures():
    numbers = torch.arange(24.0).view(1, 1, 4, 6)
    colours = torch.arange(2 * 3 * 6 * 12.0).view(2, 3, 6, 12)
    tall = torch.arange(4 * 12 * 4.0).view(1, 4, 12, 4)
    scattered = torch.randn(2, 8, 12, 3, generator=torch.Generator().manual_seed(0))
    scattered = scattered.permute(0, 3, 1, 2)  # (2, 3, 8, 12), as a picture comes from a file
    return [
        Case("4 x 6 counting numbers, patches of 2 x 2", (numbers, 2)),
        Case("two pictures of three channels", (colours, 3)),
        Case("a tall picture of four channels", (tall, 2)),
        Case("a patch as wide as the picture", (tall, 4)),
        Case("patches of a single pixel", (colours, 1)),
        Case("a picture that is not contiguous", (scattered, 4)),
        Case("half precision", (scattered.half(), 2)),
    ]


PATCHES = Exercise(
    solution=image_to_patches,
    cases=_pictures,
    forbidden=("unfold", "pixel_unshuffle"),
    checked_on="7 cases: wide and tall pictures, one, three and four channels, two at once, "
    "patches of a single pixel, non-contiguous tensors, half precision",
    hints=(
        "Loops are allowed: over rows and columns of patches, one slice and one `flatten` inside. "
        "That is a right answer already.",
        "Without loops: pixel row i is row i % P of patch row i // P. So split the height into two "
        "axes, (H/P, P), and the width likewise. A `reshape` can do that, since nothing moves.",
        "Now there are six axes: (B, C, H/P, P, W/P, P). Bring them into the order which picture, "
        "which patch (two axes), channel, row and column inside. Then join the last three.",
    ),
    mistakes=(
        Mistake(
            "it reads the pixels in the order in which they lie in memory. The second row of a "
            "patch lies a whole picture row later: axes must be split and moved first.",
            _read_as_they_lie,
        ),
        Mistake(
            "inside a vector the channels come last. Wanted are channels, then rows, then columns.",
            _colours_last,
        ),
        Mistake(
            "inside a vector columns come before rows. Each patch is read like a page.",
            _columns_before_rows,
        ),
        Mistake(
            "the vectors are right, but the map is turned: patch (i, j) stands at (j, i).",
            _map_turned,
        ),
        Mistake(
            "a patch's pixels are not neighbours: it takes every so many-th pixel. Split an axis "
            "into (H/P, P), in this order.",
            _pixels_apart,
        ),
        Mistake(
            "it takes the width for the height. Rows come first: (B, C, H, W).",
            _width_unpacked_first,
        ),
        Mistake(
            "every channel makes patches of its own. A patch has the pixels of all channels.",
            _channels_stay_in_front,
        ),
        Mistake(
            "the patches come in a list. Wanted is a map: (B, H/P, W/P, C*P*P).", _one_long_list
        ),
        Mistake(
            "each patch is still a small picture. Join its axes into one vector.", _not_flattened
        ),
    ),
)

EXERCISES = (PATCHES, WEIGHT, OVERLAPPING, BACK)
