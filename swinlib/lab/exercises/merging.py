"""Exercises of lesson 06: stacking, merging, their order, other neighbourhoods, others' weights."""

import torch
from torch import nn

from swinlib.lab.exercises.checking import Case, Exercise, Mistake
from swinlib.lab.museum import merging as museum
from swinlib.windows import pad_to_multiple

# --- where a number of a merged token comes from ------------------------------------------------


def where_from(i, j, n, C):
    """Row, column and channel that number n of merged token (i, j) had on the map."""
    place, channel = divmod(n, C)  # the C numbers of a token stay together
    return 2 * i + place % 2, 2 * j + place // 2, channel  # places go down first: 0, 4, 1, 5


def _from_along_rows(i, j, n, C):
    return 2 * i + n // C // 2, 2 * j + n // C % 2, n % C


def _from_by_channel(i, j, n, C):
    return 2 * i + n % 4 // 2, 2 * j + n % 2, n // 4


def _from_by_channel_down(i, j, n, C):
    return 2 * i + n % 2, 2 * j + n % 4 // 2, n // 4


def _from_column_first(i, j, n, C):
    row, column, channel = where_from(i, j, n, C)
    return column, row, channel


def _from_other_token(i, j, n, C):
    return where_from(j, i, n, C)


def _from_halved(i, j, n, C):
    row, column, channel = where_from(i, j, n, C)
    return row - i, column - j, channel


def _from_the_corner(i, j, n, C):
    return 2 * i, 2 * j, n % C


def _from_any_channel(i, j, n, C):
    return *where_from(i, j, n, C)[:2], n


def _from_place_for_channel(i, j, n, C):
    return *where_from(i, j, n, C)[:2], n // C


def _numbers():
    return [
        Case("the second number of the first token, one channel", (0, 0, 1, 1)),
        Case("its third number", (0, 0, 2, 1)),
        Case("a token that is not the first, its last number", (1, 3, 3, 1)),
        Case("the first number of a token", (4, 2, 0, 1)),
        Case("two channels", (0, 0, 1, 2)),
        Case("two channels, the second token of the four", (0, 1, 3, 2)),
        Case("three channels", (2, 5, 7, 3)),
        Case("five channels, the first number of all", (3, 1, 0, 5)),
        Case("the first merging of Swin-T", (13, 20, 200, 96)),
        Case("its very last number", (27, 27, 383, 96)),
        Case("the last merging of Swin-L", (6, 3, 1000, 768)),
    ]


WHERE = Exercise(
    solution=where_from,
    cases=_numbers,
    checked_on="11 numbers of tokens with 1 to 768 channels",
    hints=(
        "Two questions: which of the four neighbours does number n belong to, and which of that "
        "neighbour's C numbers is it?",
        "A neighbour's C numbers stand together, so `divmod(n, C)` answers both.",
        "Neighbours 0, 1, 2, 3 are top left, bottom left, top right, bottom right. For which of "
        "them is the row odd? For which the column?",
    ),
    mistakes=(
        Mistake(
            "it goes along the rows, so that number 1 comes from the top right. The official "
            "order goes down: 0, 4, 1, 5.",
            _from_along_rows,
        ),
        Mistake(
            "it takes the four numbers of a channel to stand together, and goes along the rows, "
            "as `nn.Unfold` does. Here the C numbers of a neighbour stand together.",
            _from_by_channel,
        ),
        Mistake(
            "the order of the four is right, but it takes the four numbers of a channel to stand "
            "together. Here the C numbers of a neighbour do.",
            _from_by_channel_down,
        ),
        Mistake(
            "it gives the column before the row. Wanted are row, column, channel.",
            _from_column_first,
        ),
        Mistake(
            "it takes i for the column and j for the row of the merged token.", _from_other_token
        ),
        Mistake(
            "the merged map is half as high and half as wide: token (i, j) does not begin at row "
            "i and column j of the large one.",
            _from_halved,
        ),
        Mistake(
            "it always ends at the top left of the four neighbours, whatever n is.",
            _from_the_corner,
        ),
        Mistake(
            "row and column are right, but the channel is counted through all four neighbours. "
            "The map has channels 0 to C - 1 only.",
            _from_any_channel,
        ),
        Mistake(
            "row and column are right, but as the channel it gives which of the four neighbours "
            "it was.",
            _from_place_for_channel,
        ),
    ),
)

# --- neighbourhoods of any size -----------------------------------------------------------------


def merge_neighbours(x, size):
    """Stack kh x kw neighbours in the channels: (B, H, W, C) to (B, H/kh, W/kw, kh*kw*C)."""
    kh, kw = size
    x = pad_to_multiple(x, size)
    parts = [x[:, row::kh, column::kw] for column in range(kw) for row in range(kh)]
    return torch.cat(parts, dim=-1)  # one slice for each place, down the columns as for 2 x 2


def _cut(x, size):
    """(B, H/kh, kh, W/kw, kw, C)."""
    kh, kw = size
    x = pad_to_multiple(x, size)
    return x.unflatten(2, (-1, kw)).unflatten(1, (-1, kh))


def _merged_along_rows(x, size):
    return _cut(x, size).permute(0, 1, 3, 2, 4, 5).flatten(3)


def _merged_by_channel(x, size):
    return _cut(x, size).permute(0, 1, 3, 5, 2, 4).flatten(3)


def _merged_by_channel_down(x, size):
    return _cut(x, size).permute(0, 1, 3, 5, 4, 2).flatten(3)


def _merged_by_view(x, size):
    kh, kw = size
    x = pad_to_multiple(x, size)
    B, H, W, C = x.shape
    return x.reshape(B, H // kh, W // kw, kh * kw * C)


def _merged_swapped(x, size):
    return merge_neighbours(x, size[::-1])


def _merged_by_two(x, size):
    return merge_neighbours(x, (2, 2))


def _merged_quarters(x, size):
    """Far-apart tokens: the places of kh x kw tiles of the map, one behind the other."""
    kh, kw = size
    x = pad_to_multiple(x, size)
    tiles = [tile for part in x.chunk(kw, dim=2) for tile in part.chunk(kh, dim=1)]
    return torch.cat(tiles, dim=-1)


def _merged_cropped(x, size):
    kh, kw = size
    return merge_neighbours(x[:, : x.shape[1] // kh * kh, : x.shape[2] // kw * kw], size)


def _merged_padded_first(x, size):
    kh, kw = size
    _, H, W, _ = x.shape
    x = torch.nn.functional.pad(x, (0, 0, -W % kw, 0, -H % kh, 0))
    return merge_neighbours(x, size)


def _merged_padded_always(x, size):
    (kh, kw), (_, H, W, _) = size, x.shape
    x = torch.nn.functional.pad(x, (0, 0, 0, kw - W % kw, 0, kh - H % kh))
    return merge_neighbours(x, size)


def _merged_mean(x, size):
    return _cut(x, size).double().mean(dim=(2, 4)).to(x.dtype)


def _maps():
    numbers = torch.arange(16.0).view(1, 4, 4, 1)
    wide = torch.arange(2 * 4 * 9 * 2.0).view(2, 4, 9, 2)
    scattered = torch.randn(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    scattered = scattered.permute(0, 3, 2, 1)  # (2, 8, 6, 3), channels far apart
    return [
        Case("a 4 x 4 grid of counting numbers", (numbers, (2, 2))),
        Case("neighbourhoods of 2 rows and 4 columns", (numbers, (2, 4))),
        Case("pairs side by side", (numbers, (1, 2))),
        Case("two pictures that are not square, and channels", (wide, (2, 3))),
        Case("a map that must be padded", (wide[:1, :3, :5, :1] + 1, (2, 3))),
        Case("neighbourhoods of a single token", (wide, (1, 1))),
        Case("a tensor that is not contiguous", (scattered, (4, 2))),
        Case("half precision, and a map that must be padded", (scattered.half(), (3, 4))),
    ]


NEIGHBOURS = Exercise(
    solution=merge_neighbours,
    cases=_maps,
    checked_on="8 cases: tall and wide neighbourhoods, two pictures, wide maps, padding, "
    "non-contiguous tensors, half precision",
    allowed=(pad_to_multiple,),
    hints=(
        "A single slice takes one place of all neighbourhoods at once. How many places are there, "
        "and what is the step of the slices?",
        "Rows step by kh and columns by kw. To go *down* first, as the official order does, the "
        "row must run faster than the column.",
        "Pad with `pad_to_multiple(x, size)`. Then `torch.cat` along the channels, in a list with "
        "two `for`: the outer one over columns, the inner one over rows.",
    ),
    mistakes=(
        Mistake(
            "the neighbours of a token stand in the order of reading, along the rows. Wanted is "
            "the official order, down the columns.",
            _merged_along_rows,
        ),
        Mistake(
            "the numbers of a channel stand together, along the rows, as `nn.Unfold` has them. "
            "Wanted: all C numbers of one token, then all of the token below it.",
            _merged_by_channel,
        ),
        Mistake(
            "the tokens are in the right order, but the numbers of a channel stand together. "
            "Wanted: all C numbers of one token, then all of the next.",
            _merged_by_channel_down,
        ),
        Mistake(
            "it puts tokens together that stand in a row. A neighbourhood has kh rows and kw "
            "columns, and a `view` alone cannot gather it.",
            _merged_by_view,
        ),
        Mistake(
            "it takes the height of a neighbourhood for its width. size is (kh, kw).",
            _merged_swapped,
        ),
        Mistake("its neighbourhoods are always 2 x 2, whatever size asks for.", _merged_by_two),
        Mistake(
            "it cuts the map into kh x kw large tiles and stacks those. A merged "
            "token is made of neighbours: the slices need a step.",
            _merged_quarters,
        ),
        Mistake(
            "what does not fill a whole neighbourhood at the bottom and on the right is lost. Pad "
            "it with zeros.",
            _merged_cropped,
        ),
        Mistake(
            "the padding comes in at the top or on the left. It belongs at the bottom and on the "
            "right.",
            _merged_padded_first,
        ),
        Mistake(
            "it pads a map that fits as well, by a whole neighbourhood: where H % kh is 0, kh - 0 "
            "rows are added.",
            _merged_padded_always,
        ),
        Mistake(
            "it takes the mean of a neighbourhood, which is pooling. Merging keeps every number.",
            _merged_mean,
        ),
    ),
)

# --- weights that were learned in another order -------------------------------------------------


def from_unfold(parameter):
    """Bring the last dimension, 4C long, from the order of `nn.Unfold` into the official one."""
    by_channel = parameter.unflatten(-1, (-1, 2, 2))  # (..., C, row, column)
    return by_channel.transpose(-3, -1).flatten(-3)  # (..., column, row, C): the channel is last


def _kept(parameter):
    return parameter.clone()


def _from_rows(parameter):
    return parameter.unflatten(-1, (2, 2, -1)).transpose(-3, -2).flatten(-3)


def _to_rows(parameter):
    return parameter.unflatten(-1, (-1, 2, 2)).movedim(-3, -1).flatten(-3)


def _to_unfold(parameter):
    return parameter.unflatten(-1, (2, 2, -1)).transpose(-3, -1).flatten(-3)


def _still_by_channel(parameter):
    return parameter.unflatten(-1, (-1, 2, 2)).transpose(-2, -1).flatten(-3)


def _outputs_reordered(parameter):
    return parameter.unflatten(0, (-1, 2, 2)).transpose(0, 2).flatten(0, 2)


def _all_dimensions(parameter):
    numbers = parameter.reshape(-1, 2, 2).permute(2, 1, 0)
    return numbers.reshape(parameter.shape)


def _reversed(parameter):
    return parameter.flip(-1)


def _parameters():
    scattered = torch.randn(20, 8, generator=torch.Generator().manual_seed(0)).T  # (8, 20)
    return [
        Case("one channel", (torch.arange(4.0),)),
        Case("two channels: a norm's 8 numbers", (torch.arange(8.0),)),
        Case("three channels", (torch.arange(12.0),)),
        Case("a matrix, two channels", (torch.arange(32.0).view(4, 8),)),
        Case("a matrix, three channels", (torch.arange(48.0).view(4, 12),)),
        Case("a matrix that is not contiguous", (scattered,)),
        Case("half precision", (scattered.half(),)),
    ]


UNFOLD = Exercise(
    solution=from_unfold,
    cases=_parameters,
    checked_on="7 parameters, vectors and matrices: 1 to 5 channels, non-contiguous tensors, half "
    "precision",
    hints=(
        "The 4C numbers have three coordinates: channel, row and column of the four. Which runs "
        "fastest in `nn.Unfold`'s order, and which in the official one? Section 4 prints both.",
        "`nn.Unfold` counts (channel, row, column), the last one fastest. Split the last dimension "
        "into these three.",
        "The official order is (column, row, channel): exchange the first and the last of the "
        "three, and flatten them again. Counting from the end, -3 to -1, serves vectors and "
        "matrices alike.",
    ),
    mistakes=(
        Mistake("nothing has moved: the numbers come out in the order they went in.", _kept),
        Mistake(
            "it takes what comes for an order along the rows, four tokens of C numbers each. "
            "`nn.Unfold` has the four numbers of a channel together.",
            _from_rows,
        ),
        Mistake(
            "the C numbers of a token are together now, but the four tokens stand along the rows. "
            "The official order goes down first.",
            _to_rows,
        ),
        Mistake(
            "it goes the other way, from the official order to that of `nn.Unfold`. With one or "
            "two channels one cannot tell.",
            _to_unfold,
        ),
        Mistake(
            "rows and columns are exchanged, but the four numbers of a channel are still together. "
            "In the official order a token's C numbers are.",
            _still_by_channel,
        ),
        Mistake(
            "it reorders the first dimension of a matrix, the layer's outputs. The order in "
            "question is that of its inputs: the last dimension.",
            _outputs_reordered,
        ),
        Mistake(
            "it mixes the rows of a matrix with one another. Every row is to be reordered by "
            "itself.",
            _all_dimensions,
        ),
        Mistake("it turns the last dimension round, from back to front.", _reversed),
    ),
)

# --- four neighbours, one behind the other ------------------------------------------------------


def space_to_depth(x):
    """Stack every 2 x 2 neighbourhood in the channels: (B, H, W, C) to (B, H/2, W/2, 4C)."""
    x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))  # (B, H/2, row, W/2, column, C)
    return x.permute(0, 1, 3, 4, 2, 5).flatten(3)  # the row runs faster than the column


def _by_two(version):
    """A way to merge neighbourhoods of any size, for 2 x 2 alone."""

    def of_two(x):
        return version(x, (2, 2))

    of_two.__name__ = version.__name__
    return of_two


def _even_maps():
    numbers = torch.arange(16.0).view(1, 4, 4, 1)
    wide = torch.arange(2 * 4 * 6 * 3.0).view(2, 4, 6, 3)
    scattered = torch.randn(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    scattered = scattered.permute(0, 3, 2, 1)  # (2, 8, 6, 3), channels far apart
    return [
        Case("a 4 x 4 grid of counting numbers", (numbers,)),
        Case("a map that is wider than tall", (numbers.view(1, 2, 8, 1),)),
        Case("two channels", (numbers.view(1, 2, 4, 2),)),
        Case("two pictures with three channels", (wide,)),
        Case("a single neighbourhood", (wide[:1, :2, :2],)),
        Case("a tensor that is not contiguous", (scattered,)),
        Case("half precision", (scattered.half(),)),
    ]


DEPTH = Exercise(
    solution=space_to_depth,
    cases=_even_maps,
    checked_on="7 maps: wide ones, one to three channels, two pictures, a single neighbourhood, "
    "non-contiguous tensors, half precision",
    hints=(
        "All top left tokens at once are a slice with a step of 2 along the rows and along the "
        "columns. Where does the slice of the bottom left tokens begin?",
        "Four slices of `(B, H/2, W/2, C)`, put together along the last axis with `torch.cat`. In "
        "which order? The first merged token of the counting grid is 0, 4, 1, 5.",
        "`x[:, row::2, column::2]` for (row, column) in the order (0, 0), (1, 0), (0, 1), (1, 1).",
    ),
    mistakes=(
        Mistake(
            "the four stand along the rows, 0, 1, 4, 5. The official order goes down first: top "
            "left, bottom left, top right, bottom right.",
            _by_two(_merged_along_rows),
        ),
        Mistake(
            "the four numbers of a channel stand together, as `nn.Unfold` has them. Wanted: all C "
            "numbers of one token, then all of the token below it.",
            _by_two(_merged_by_channel),
        ),
        Mistake(
            "the four go down first, as they should, but the numbers of a channel stand together. "
            "Wanted: all C numbers of one token, then all of the next.",
            _by_two(_merged_by_channel_down),
        ),
        Mistake(
            "it puts four tokens of a row together. A neighbourhood has two rows and two columns, "
            "and a `view` alone cannot gather it.",
            _by_two(_merged_by_view),
        ),
        Mistake(
            "it cuts the map into four quarters and stacks those. Neighbours are "
            "wanted: the slices need a step of 2.",
            _by_two(_merged_quarters),
        ),
        Mistake(
            "it takes the mean of the four, which is pooling. Stacking keeps every number.",
            _by_two(_merged_mean),
        ),
    ),
)

# --- the whole merging --------------------------------------------------------------------------


def patch_merging(x, norm, reduction):
    """Halve height and width, double the channels: (B, H, W, C) to (B, H/2, W/2, 2C)."""
    x = pad_to_multiple(x, 2)
    x = torch.cat([x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)], dim=-1)
    return reduction(norm(x))


def _merging_by_channel(x, norm, reduction):
    return reduction(norm(_merged_by_channel(x, (2, 2))))


def _merging_without_norm(x, norm, reduction):
    return reduction(space_to_depth(pad_to_multiple(x, 2)))


def _merging_without_reduction(x, norm, reduction):
    return norm(space_to_depth(pad_to_multiple(x, 2)))


def _exhibit(version):
    """A mistake of the museum's, which takes the layer's weight."""

    def merging(x, norm, reduction):
        return version(x, norm, reduction.weight)

    merging.__name__ = version.__name__
    return merging


def _merging_pads_first(x, norm, reduction):
    _, H, W, _ = x.shape
    x = nn.functional.pad(x, (0, 0, W % 2, 0, H % 2, 0))
    return patch_merging(x, norm, reduction)


def _merging_normed_plainly(x, norm, reduction):
    """Without the norm's weight and bias."""
    x = space_to_depth(pad_to_multiple(x, 2))
    return reduction(nn.functional.layer_norm(x, x.shape[-1:]))


def _merging_twice_normed(x, norm, reduction):
    return reduction(norm(norm(space_to_depth(pad_to_multiple(x, 2)))))


def _whole_mergings():
    generator = torch.Generator().manual_seed(0)

    def layers(C, dtype=torch.float32):
        norm = nn.LayerNorm(4 * C)
        reduction = nn.Linear(4 * C, 2 * C, bias=False)
        for p in (*norm.parameters(), *reduction.parameters()):
            p.requires_grad_(False).copy_(torch.randn(p.shape, generator=generator))
        return norm.to(dtype), reduction.to(dtype)

    def tokens(*shape):
        return torch.randn(shape, generator=generator)

    scattered = tokens(2, 3, 7, 4).permute(0, 3, 2, 1)  # (2, 4, 7, 3), channels far apart
    return [
        Case("an even map", (tokens(1, 4, 4, 2), *layers(2))),
        Case("two wide pictures", (tokens(2, 4, 10, 3), *layers(3))),
        Case("an odd height", (tokens(2, 5, 4, 2), *layers(2))),
        Case("an odd width", (tokens(1, 4, 7, 2), *layers(2))),
        Case("both sides odd", (tokens(2, 5, 7, 3), *layers(3))),
        Case("a single token", (tokens(1, 1, 1, 4), *layers(4))),
        Case("a tensor that is not contiguous", (scattered, *layers(3))),
        Case("half precision", (scattered.half(), *layers(3, torch.float16))),
    ]


MERGING = Exercise(
    solution=patch_merging,
    cases=_whole_mergings,
    checked_on="8 maps: even and odd sides, two pictures, a single token, non-contiguous tensors, "
    "half precision",
    allowed=(pad_to_multiple,),
    hints=(
        "Four steps, in the lesson's order: pad, stack, norm, reduce. Which of them know of C, and "
        "which of 4C?",
        "`pad_to_multiple(x, 2)` makes both sides even, with zeros at the bottom and on the right. "
        "It must come first: afterwards the odd row is gone.",
        "Then your `space_to_depth`, then `norm`, which takes 4C numbers, then `reduction`, which "
        "makes 2C of them.",
    ),
    mistakes=(
        Mistake(
            "the four are stacked along the rows. The official order goes down first: 0, 4, 1, 5.",
            _exhibit(museum.stacked_along_rows),
        ),
        Mistake(
            "the numbers of a channel are stacked together, as `nn.Unfold` does. All C numbers of "
            "one token come first.",
            _merging_by_channel,
        ),
        Mistake(
            "four tokens of a row are taken for a neighbourhood: a `view` alone cannot gather it.",
            _exhibit(museum.gathered_by_a_view),
        ),
        Mistake(
            "the norm is missing, between stacking and the linear layer.", _merging_without_norm
        ),
        Mistake(
            "4C numbers come out: the linear layer, `reduction`, was never called.",
            _merging_without_reduction,
        ),
        Mistake(
            "an odd row or column is cut off. Pad it, so that its tokens find partners.",
            _exhibit(museum.odd_row_dropped),
        ),
        Mistake(
            "the padding comes after the merging, as whole tokens of zeros. Pad first, so that the "
            "odd row is merged with the zeros.",
            _exhibit(museum.padded_after_merging),
        ),
        Mistake(
            "the padding comes in at the top or on the left. It belongs at the bottom and on the "
            "right.",
            _merging_pads_first,
        ),
        Mistake("it is normalised twice.", _merging_twice_normed),
        Mistake(
            "the norm's own weight and bias, which are learned, are left out. Call `norm`.",
            _merging_normed_plainly,
        ),
    ),
)

EXERCISES = (DEPTH, MERGING, WHERE, NEIGHBOURS, UNFOLD)
