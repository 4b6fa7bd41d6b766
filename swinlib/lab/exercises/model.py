"""Exercises of lesson 07: rates, a block's forward pass, shifts, a block of another family."""

import torch
from torch import nn

from swinlib.lab.exercises.checking import Case, Exercise, Mistake, agree
from swinlib.model import Mlp, SwinTransformerBlock, WindowAttention
from swinlib.shift import cyclic_shift, reverse_cyclic_shift, shifted_window_mask
from swinlib.windows import pad_to_multiple, window_partition, window_reverse

# --- drop path rates, stage by stage ------------------------------------------------------------


def rates_by_stage(depths, last_rate):
    """Drop path rates from 0 in the first block to last_rate in the last: a list for each stage."""
    steps = max(1, sum(depths) - 1)  # between the blocks of the whole model; a lone block has none
    rates = [last_rate * i / steps for i in range(sum(depths))]
    return [[rates.pop(0) for _ in range(depth)] for depth in depths]


def _in_stages(rates, depths):
    rates = iter(rates)
    return [[next(rates) for _ in range(depth)] for depth in depths]


def _rates_never_reached(depths, last_rate):
    blocks = sum(depths)
    return _in_stages([last_rate * i / blocks for i in range(blocks)], depths)


def _rates_from_the_first(depths, last_rate):
    blocks = sum(depths)
    return _in_stages([last_rate * (i + 1) / blocks for i in range(blocks)], depths)


def _rates_anew(depths, last_rate):
    return [[last_rate * i / max(1, d - 1) for i in range(d)] for d in depths]


def _rates_of_stages(depths, last_rate):
    steps = max(1, len(depths) - 1)
    return [[last_rate * stage / steps] * depth for stage, depth in enumerate(depths)]


def _rates_flat(depths, last_rate):
    return sum(rates_by_stage(depths, last_rate), [])


def _rates_constant(depths, last_rate):
    return [[last_rate] * depth for depth in depths]


def _rates_reversed(depths, last_rate):
    return _in_stages(_rates_flat(depths, last_rate)[::-1], depths)


def _rates_down_to_0(depths, last_rate):
    """A lone block has the last rate."""
    return _in_stages(torch.linspace(last_rate, 0, sum(depths)).tolist(), depths)


def _rates_kept(depths, last_rate):
    return [[1 - rate for rate in stage] for stage in rates_by_stage(depths, last_rate)]


def same_rates(got, wanted, *_):
    """As `agree`, where a stage's rates may also be a tensor or an array."""
    return agree(_as_lists(got), _as_lists(wanted))


def _as_lists(rates):
    if hasattr(rates, "tolist"):  # a tensor or an array of NumPy
        return rates.tolist()
    if isinstance(rates, tuple | list):
        return [_as_lists(stage) for stage in rates]
    return rates


def _models():
    return [
        Case("a stage of two blocks and one of three", ((2, 3), 0.5)),
        Case("stages of one and of three blocks", ((1, 3, 1), 0.5)),
        Case("Swin-T", ((2, 2, 6, 2), 0.2)),
        Case("Swin-B", ((2, 2, 18, 2), 0.5)),
        Case("a single stage", ((4,), 0.1)),
        Case("nothing to drop", ((2, 2, 6, 2), 0.0)),
        Case("a model of a single block", ((1,), 0.2)),
    ]


RATES = Exercise(
    solution=rates_by_stage,
    cases=_models,
    agree=same_rates,
    checked_on="7 models: from one block to the 24 of Swin-B, stages of all lengths, a rate of 0",
    hints=(
        "Number the blocks of the whole model from 0, without a thought for stages. What is the "
        "rate of block i of n, if the first has 0 and the last has last_rate?",
        "Between n blocks there are n - 1 steps. Mind the model that has only one block.",
        "Then deal the rates out: the first depths[0] of them to stage 1, the next depths[1] to "
        "stage 2. A slice from `sum(depths[:k])` on does it, or taking them off the list.",
    ),
    mistakes=(
        Mistake(
            "the last block's rate is too small: from the first block to the last of n there are "
            "n - 1 steps, not n.",
            _rates_never_reached,
        ),
        Mistake(
            "the first block is dropped already. It has a rate of 0, and the rise begins there.",
            _rates_from_the_first,
        ),
        Mistake(
            "the rise begins anew in every stage. It goes through the whole model once.",
            _rates_anew,
        ),
        Mistake(
            "all blocks of a stage have the same rate. It rises from block to block.",
            _rates_of_stages,
        ),
        Mistake(
            "the rates are right, but in a single list. Wanted is a list for each stage.",
            _rates_flat,
        ),
        Mistake("all blocks have the rate of the last one.", _rates_constant),
        Mistake(
            "it falls from the first block to the last. It is to rise.",
            _rates_reversed,
            (_rates_down_to_0,),
        ),
        Mistake(
            "these are the probabilities of *keeping* a branch. Wanted are those of dropping it.",
            _rates_kept,
        ),
    ),
)

# --- which block shifts by how much -------------------------------------------------------------


def shifts_in_stage(H, W, window_size, depth):
    """The shift (sh, sw) of every block of a stage, on a map of H x W tokens: a list of pairs."""
    (mh, mw), none = window_size, (0, 0)
    shifted = (mh // 2 if H > mh else 0, mw // 2 if W > mw else 0)  # each axis decides for itself
    return [none if block % 2 == 0 else shifted for block in range(depth)]


def _in_turn(shifted, depth, first=0):
    return [shifted if block % 2 != first else (0, 0) for block in range(depth)]


def _shifts_first(H, W, window_size, depth):
    return _in_turn(shifts_in_stage(H, W, window_size, 2)[1], depth, first=1)


def _shifts_all(H, W, window_size, depth):
    return [shifts_in_stage(H, W, window_size, 2)[1]] * depth


def _shifts_none(H, W, window_size, depth):
    return [(0, 0)] * depth


def _shifts_always(H, W, window_size, depth):
    return _in_turn((window_size[0] // 2, window_size[1] // 2), depth)


def _shifts_if_both(H, W, window_size, depth):
    (mh, mw) = window_size
    return _in_turn((mh // 2, mw // 2) if H > mh and W > mw else (0, 0), depth)


def _shifts_if_either(H, W, window_size, depth):
    (mh, mw) = window_size
    return _in_turn((mh // 2, mw // 2) if H > mh or W > mw else (0, 0), depth)


def _shifts_if_it_fits(H, W, window_size, depth):
    (mh, mw) = window_size
    return _in_turn((mh // 2 if H >= mh else 0, mw // 2 if W >= mw else 0), depth)


def _shifts_half_the_map(H, W, window_size, depth):
    (mh, mw) = window_size
    return _in_turn((H // 2 if H > mh else 0, W // 2 if W > mw else 0), depth)


def _shifts_rounded_up(H, W, window_size, depth):
    (mh, mw) = window_size
    return _in_turn(((mh + 1) // 2 if H > mh else 0, (mw + 1) // 2 if W > mw else 0), depth)


def _shifts_swapped(H, W, window_size, depth):
    return [shift[::-1] for shift in shifts_in_stage(H, W, window_size, depth)]


def _shifts_second_half(H, W, window_size, depth):
    shifted = shifts_in_stage(H, W, window_size, 2)[1]
    return [shifted if block >= depth / 2 else (0, 0) for block in range(depth)]


def _stages():
    return [
        Case("stage 3 of Swin-T, two blocks of it", (14, 14, (7, 7), 2)),
        Case("four blocks", (14, 14, (7, 7), 4)),
        Case("the last stage, a single window", (7, 7, (7, 7), 2)),
        Case("a map of one window's height", (7, 21, (7, 7), 4)),
        Case("a map of one window's width", (14, 7, (7, 7), 2)),
        Case("a map smaller than a window in one axis", (30, 5, (7, 7), 2)),
        Case("a token more than a window", (8, 8, (7, 7), 2)),
        Case("windows that are not square", (12, 12, (4, 8), 6)),
        Case("such windows, and only one of them in the height", (6, 12, (8, 4), 2)),
        Case("an odd number of blocks", (56, 48, (7, 7), 3)),
        Case("windows of a single token", (4, 6, (1, 1), 2)),
    ]


SHIFTS = Exercise(
    solution=shifts_in_stage,
    cases=_stages,
    checked_on="11 stages: maps of one window in either axis or both, windows that are not "
    "square, odd numbers of blocks",
    hints=(
        "Write down the shift of one shifted block first; then deal out: no shift, shift, no "
        "shift, shift.",
        "Each axis decides for itself. When is there another window to meet along the height?",
        "Half a window, rounded down, where the map is larger than the window; else 0. Blocks "
        "with an odd number, counted from 0, are the shifted ones.",
    ),
    mistakes=(
        Mistake("it shifts the first block of a pair. The second one is shifted.", _shifts_first),
        Mistake("it shifts every block. Only the second of each pair is shifted.", _shifts_all),
        Mistake("nothing is ever shifted, so that windows never talk to each other.", _shifts_none),
        Mistake(
            "it also shifts where one window covers the whole map. There is no other window to "
            "meet, so along that axis the shift is 0.",
            _shifts_always,
        ),
        Mistake(
            "where one axis has a single window, it gives up the shift of the other as well. That "
            "is the rule of the official classification code; here each axis decides for itself.",
            _shifts_if_both,
        ),
        Mistake(
            "it gives up the shift only where a single window covers both axes. One axis with a "
            "single window is not to be shifted, whatever the other does.",
            _shifts_if_either,
        ),
        Mistake(
            "a map exactly as large as the window is covered by it too, and is not shifted.",
            _shifts_if_it_fits,
        ),
        Mistake("it shifts by half of the map. Half of a window is wanted.", _shifts_half_the_map),
        Mistake(
            "half of an odd window is rounded up: 7 gives 4. The official code rounds down.",
            _shifts_rounded_up,
        ),
        Mistake("it gives the shift of the columns first. Wanted are (sh, sw).", _shifts_swapped),
        Mistake(
            "the shifted blocks all come at the end. They take turns with the others.",
            _shifts_second_half,
        ),
    ),
)

# --- attention along a grid ---------------------------------------------------------------------


def attend_on_grid(x, attend, window_size):
    """Attention among Mh x Mw tokens at equal distances: a map (B, H, W, C) to the same."""
    (B, H, W, C), (mh, mw) = x.shape, window_size
    gh, gw = H // mh, W // mw  # how far apart the tokens of a group are
    groups = x.reshape(B, mh, gh, mw, gw, C)  # row = gh * (place in the group) + (which group)
    groups = groups.permute(0, 2, 4, 1, 3, 5).reshape(B * gh * gw, mh * mw, C)
    groups = attend(groups).view(B, gh, gw, mh, mw, C)
    return groups.permute(0, 3, 1, 4, 2, 5).reshape(B, H, W, C)  # every token to its own place


def average(groups):
    """All tokens of a group get its mean."""
    return groups.mean(dim=1, keepdim=True).expand_as(groups)


def by_likeness(groups):
    """Attention in which queries, keys and values are the tokens themselves."""
    scores = groups @ groups.transpose(1, 2) / groups.shape[-1] ** 0.5
    return scores.softmax(dim=-1) @ groups


def _on_grid(x, attend, window_size, together=(0, 2, 4, 1, 3, 5), back=(0, 3, 1, 4, 2, 5)):
    (B, H, W, C), (mh, mw) = x.shape, window_size
    groups = x.reshape(B, mh, H // mh, mw, W // mw, C).permute(together)
    shape = groups.shape
    groups = attend(groups.reshape(-1, mh * mw, C)).reshape(shape)
    return groups.permute(back).reshape(B, H, W, C)


def _grid_windows(x, attend, window_size):
    windows = window_partition(x, window_size)
    windows = attend(windows.flatten(1, 2)).view_as(windows)
    return window_reverse(windows, window_size, *x.shape[1:3])


def _grid_not_back(x, attend, window_size):
    (B, H, W, C), (mh, mw) = x.shape, window_size
    groups = x.reshape(B, mh, H // mh, mw, W // mw, C).permute(0, 2, 4, 1, 3, 5)
    return attend(groups.reshape(-1, mh * mw, C)).reshape(B, H, W, C)


def _grid_back_as_windows(x, attend, window_size):
    return _on_grid(x, attend, window_size, back=(0, 1, 3, 2, 4, 5))


def _grid_window_apart(x, attend, window_size):
    _, H, W, _ = x.shape
    return _on_grid(x, attend, (H // window_size[0], W // window_size[1]))


def _grid_swapped(x, attend, window_size):
    return _on_grid(x, attend, window_size[::-1])


def _grid_everybody(x, attend, window_size):
    return attend(x.flatten(1, 2)).view_as(x)


def _grid_rows_only(x, attend, window_size):
    (B, H, W, C), (mh, mw) = x.shape, window_size
    groups = x.reshape(B, mh, H // mh, W // mw, mw, C).permute(0, 2, 3, 1, 4, 5)
    groups = attend(groups.reshape(-1, mh * mw, C)).reshape(groups.shape)
    return groups.permute(0, 3, 1, 2, 4, 5).reshape(B, H, W, C)


def _grid_columns_only(x, attend, window_size):
    turned = _grid_rows_only(x.transpose(1, 2), attend, window_size[::-1])
    return turned.transpose(1, 2)


def _grid_all_pictures(x, attend, window_size):
    (B, H, W, C), (mh, mw) = x.shape, window_size
    groups = x.reshape(B, mh, H // mh, mw, W // mw, C).permute(2, 4, 0, 1, 3, 5)
    groups = attend(groups.reshape(-1, B * mh * mw, C)).reshape(groups.shape)
    return groups.permute(2, 3, 0, 4, 1, 5).reshape(B, H, W, C)


def _grid_added(x, attend, window_size):
    return x + attend_on_grid(x, attend, window_size)


def _grid_silent(x, attend, window_size):
    return _on_grid(x, lambda groups: groups, window_size)


def _maps():
    numbers = torch.arange(16.0).view(1, 4, 4, 1)
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(2, 4, 12, 3, generator=generator)
    tall = torch.randn(2, 12, 8, 4, generator=generator)
    scattered = torch.randn(2, 5, 12, 6, generator=generator).permute(0, 3, 2, 1)  # (2, 6, 12, 5)
    return [
        Case("4 x 4 tokens, groups of 2 x 2, their mean", (numbers, average, (2, 2))),
        Case("groups of 4 x 2, their mean", (numbers, average, (4, 2))),
        Case("two wide maps, their mean", (wide, average, (2, 2))),
        Case("two wide maps, attention", (wide, by_likeness, (2, 4))),
        Case("two tall maps, attention", (tall, by_likeness, (4, 2))),
        Case("a group that is the whole map", (wide[:, :, :4].contiguous(), by_likeness, (4, 4))),
        Case("a tensor that is not contiguous", (scattered, by_likeness, (2, 3))),
        Case("half precision", (scattered.half(), by_likeness, (3, 2))),
    ]


GRID = Exercise(
    solution=attend_on_grid,
    cases=_maps,
    checked_on="8 cases: groups of all shapes, two pictures, wide and tall maps, non-contiguous "
    "tensors, half precision. Groups may come in any order, and tokens in any order within a group",
    allowed=(average, by_likeness, window_partition, window_reverse),
    hints=(
        "Along the height, which rows does a group take, and how far apart are they? Write it "
        "down for H = 8 and Mh = 4: rows 0, 2, 4, 6 and rows 1, 3, 5, 7.",
        "Window partition splits H into (H/Mh, Mh), which window and which place in it. Here the "
        "place in the group runs slower and the group faster: (Mh, H/Mh).",
        "Split the map into (B, Mh, H/Mh, Mw, W/Mw, C), bring the two group axes next to B and the "
        "two place axes next to C, flatten, attend. Then all of it backwards, with the inverse "
        "permutation.",
    ),
    mistakes=(
        Mistake(
            "it attends inside ordinary windows, among neighbours. The tokens of a group lie at "
            "equal distances over the whole map.",
            _grid_windows,
        ),
        Mistake(
            "the answers stay in the order of the groups: tokens are not put back where they came "
            "from.",
            _grid_not_back,
        ),
        Mistake(
            "it puts the groups back as if they were windows, side by side. Every token must "
            "return to the place it came from.",
            _grid_back_as_windows,
        ),
        Mistake(
            "its tokens are Mh and Mw apart. Wanted are Mh x Mw tokens in a group, so that they "
            "are H/Mh and W/Mw apart.",
            _grid_window_apart,
        ),
        Mistake(
            "it takes the height of a group for its width. window_size is (Mh, Mw).", _grid_swapped
        ),
        Mistake(
            "all tokens of the map attend to each other. A group has Mh x Mw tokens.",
            _grid_everybody,
        ),
        Mistake(
            "the rows of a group lie apart, but its columns are neighbours. Both must be spread.",
            _grid_rows_only,
        ),
        Mistake(
            "the columns of a group lie apart, but its rows are neighbours. Both must be spread.",
            _grid_columns_only,
        ),
        Mistake(
            "tokens of different pictures are in one group. Every picture has groups of its own.",
            _grid_all_pictures,
        ),
        Mistake(
            "it adds the map to what attention gives. That is the residual, which belongs to the "
            "block around it.",
            _grid_added,
        ),
        Mistake(
            "it gives the map back as it was: everything returns home, but `attend` was never "
            "called.",
            _grid_silent,
        ),
    ),
)

# --- a block's forward pass ---------------------------------------------------------------------


def block_forward(x, block):
    """Both equations of a block, on a map larger than its window: (B, H, W, C) to the same."""
    (H, W), M, s = x.shape[1:3], block.window_size, block.shift_size
    y = pad_to_multiple(block.norm1(x), M)
    padded = y.shape[1:3]
    windows = window_partition(cyclic_shift(y, s), M).flatten(1, 2)
    windows = block.attn(windows, shifted_window_mask(*padded, M, s)).unflatten(1, M)
    y = reverse_cyclic_shift(window_reverse(windows, M, *padded), s)[:, :H, :W]
    x = x + block.drop_path(y)
    return x + block.drop_path(block.mlp(block.norm2(x)))


def _attended(x, block, masked=True, there=cyclic_shift, back=reverse_cyclic_shift):
    """Attention in windows on a map that is normed already."""
    (H, W), M, s = x.shape[1:3], block.window_size, block.shift_size
    x = pad_to_multiple(x, M)
    padded = x.shape[1:3]
    windows = window_partition(there(x, s), M).flatten(1, 2)
    mask = shifted_window_mask(*padded, M, s) if masked else None
    windows = block.attn(windows, mask).unflatten(1, M)
    return back(window_reverse(windows, M, *padded), s)[:, :H, :W]


def _left(x, _):
    return x


def _block_with(**changes):
    """The block with another way to attend."""

    def forward(x, block):
        x = x + block.drop_path(_attended(block.norm1(x), block, **changes))
        return x + block.drop_path(block.mlp(block.norm2(x)))

    return forward


_block_without_mask = _block_with(masked=False)
_block_not_rolled_back = _block_with(back=_left)
_block_never_rolled = _block_with(there=_left, back=_left)
_block_rolled_the_other_way = _block_with(there=reverse_cyclic_shift, back=cyclic_shift)
_block_rolled_twice = _block_with(back=cyclic_shift)


def _block_norms_behind(x, block):
    x = x + block.drop_path(block.norm1(_attended(x, block)))
    return x + block.drop_path(block.norm2(block.mlp(x)))


def _block_norms_the_sum(x, block):
    x = block.norm1(x + block.drop_path(_attended(x, block)))
    return block.norm2(x + block.drop_path(block.mlp(x)))


def _block_norm_on_the_road(x, block):
    """The residual takes what the norm made of x."""
    x = block.norm1(x)
    x = block.norm2(x + block.drop_path(_attended(x, block)))
    return x + block.drop_path(block.mlp(x))


def _block_normed_by(first, second):
    """With other norms before attention and the MLP, by name; None is none."""

    def normed(x, block, name):
        return getattr(block, name)(x) if name else x

    def forward(x, block):
        x = x + block.drop_path(_attended(normed(x, block, first), block))
        return x + block.drop_path(block.mlp(normed(x, block, second)))

    return forward


def _block_one_residual(x, block):
    y = block.drop_path(_attended(block.norm1(x), block))
    return x + block.drop_path(block.mlp(block.norm2(y)))


def _block_no_first_residual(x, block):
    x = block.drop_path(_attended(block.norm1(x), block))
    return x + block.drop_path(block.mlp(block.norm2(x)))


def _block_no_second_residual(x, block):
    x = x + block.drop_path(_attended(block.norm1(x), block))
    return block.drop_path(block.mlp(block.norm2(x)))


def _block_side_by_side(x, block):
    y = block.drop_path(_attended(block.norm1(x), block))
    return x + y + block.drop_path(block.mlp(block.norm2(x)))


def _block_pads_first(x, block):
    """The norm sees the padding, and its bias is no zero."""
    H, W = x.shape[1:3]
    y = block.norm1(pad_to_multiple(x, block.window_size))
    x = x + block.drop_path(_attended(y, block)[:, :H, :W])
    return x + block.drop_path(block.mlp(block.norm2(x)))


def _block_dropping(attention, mlp):
    """Drop path on one of the two branches, or on none."""

    def dropped(y, block, wanted):
        return block.drop_path(y) if wanted else y

    def forward(x, block):
        x = x + dropped(_attended(block.norm1(x), block), block, attention)
        return x + dropped(block.mlp(block.norm2(x)), block, mlp)

    return forward


def _block_drops_the_road(x, block):
    x = block.drop_path(x + _attended(block.norm1(x), block))
    return block.drop_path(x + block.mlp(block.norm2(x)))


class Halve(nn.Module):
    """Stands in for drop path where a case must give the same result twice."""

    def forward(self, x):
        return x / 2


def _blocks():
    generator = torch.Generator().manual_seed(0)

    def block(C, heads, window, shift):
        made = SwinTransformerBlock(C, heads, window, shift).eval().requires_grad_(False)
        for name, p in made.named_parameters():
            numbers = torch.randn(p.shape, generator=generator)
            p.copy_(numbers * (p.shape[1] ** -0.5 if p.ndim > 1 and "table" not in name else 1))
        return made

    def tokens(*shape):
        return torch.randn(shape, generator=generator)

    halved = block(4, 2, (2, 2), (1, 1))
    halved.drop_path = Halve()
    scattered = tokens(2, 6, 10, 8).permute(0, 3, 2, 1)  # (2, 8, 10, 6)
    return [
        Case("ordinary windows", (tokens(1, 4, 4, 2), block(2, 1, (2, 2), (0, 0)))),
        Case("shifted windows", (tokens(1, 4, 4, 2), block(2, 1, (2, 2), (1, 1)))),
        Case("two wide maps", (tokens(2, 8, 12, 4), block(4, 2, (4, 4), (2, 2)))),
        Case("a map that must be padded", (tokens(2, 7, 10, 4), block(4, 2, (4, 4), (0, 0)))),
        Case("padded and shifted", (tokens(2, 9, 13, 4), block(4, 2, (4, 4), (2, 2)))),
        Case(
            "windows that are not square, an uneven shift",
            (tokens(1, 9, 10, 4), block(4, 1, (3, 5), (1, 2))),
        ),
        Case("a stand-in for drop path, which halves", (tokens(1, 4, 6, 4), halved)),
        Case("a tensor that is not contiguous", (scattered, block(6, 2, (4, 5), (2, 2)))),
        Case("half precision", (tokens(1, 6, 7, 4).half(), block(4, 2, (3, 3), (1, 1)).half())),
    ]


BLOCK = Exercise(
    solution=block_forward,
    cases=_blocks,
    checked_on="9 blocks: with and without shift, padded maps, windows that are not square, drop "
    "path on both branches, non-contiguous tensors, half precision",
    allowed=(
        *(pad_to_multiple, window_partition, window_reverse),
        *(cyclic_shift, reverse_cyclic_shift, shifted_window_mask),
        *(WindowAttention.forward, Mlp.forward, Halve.forward),
    ),
    hints=(
        "Two lines do the equations, if a helper does the attention: norm, pad, roll, cut into "
        "windows, attend, and then all of it backwards. What is the reverse of each step, and in "
        "which order?",
        "Attention wants windows as `(B*num_windows, N, C)`: `.flatten(1, 2)` after the "
        "partition, and afterwards `.unflatten(1, block.window_size)`. The mask is made for the "
        "*padded* map, `shifted_window_mask(padded_H, padded_W, window_size, shift_size)`.",
        "The norm comes before the padding, the crop `[:, :H, :W]` at the very end of attention. "
        "Each branch goes through `block.drop_path` and is added to what came into it, not to its "
        "normed copy.",
    ),
    mistakes=(
        Mistake(
            "the mask is missing: after the roll strangers share a window, and here they attend to "
            "each other.",
            _block_without_mask,
        ),
        Mistake(
            "the map is not rolled back: every token ends where another one stood.",
            _block_not_rolled_back,
        ),
        Mistake(
            "nothing is rolled, although the block is a shifted one; a mask alone is no shift.",
            _block_never_rolled,
        ),
        Mistake(
            "it is rolled the other way round: the shift goes up and to the left first, as "
            "`cyclic_shift` does, and then back.",
            _block_rolled_the_other_way,
        ),
        Mistake(
            "it is rolled on where it should be rolled back.",
            _block_rolled_twice,
        ),
        Mistake(
            "the norms come after the branches. In Swin they come before: MLP(LN(z)).",
            _block_norms_behind,
        ),
        Mistake(
            "the norm takes the sum of branch and residual, as the first transformer did. Here it "
            "stands inside the branch, in front of attention and of the MLP.",
            _block_norms_the_sum,
        ),
        Mistake(
            "the residual carries the normalised map on. What came in is added, not what "
            "the norm made of it.",
            _block_norm_on_the_road,
        ),
        Mistake("the norms are missing.", _block_normed_by(None, None)),
        Mistake(
            "the norm before the MLP is missing, or is the first one's: it is `block.norm2`.",
            _block_normed_by("norm1", None),
            (_block_normed_by("norm1", "norm1"),),
        ),
        Mistake(
            "the norm before attention is missing, or is the second one's: it is `block.norm1`.",
            _block_normed_by(None, "norm2"),
            (_block_normed_by("norm2", "norm2"), _block_normed_by("norm2", "norm1")),
        ),
        Mistake(
            "one residual goes round both branches. Each branch has one of its own.",
            _block_one_residual,
        ),
        Mistake("the residual beside attention is missing.", _block_no_first_residual),
        Mistake("the residual beside the MLP is missing.", _block_no_second_residual),
        Mistake(
            "the MLP sees the map as it was before attention. It works on what attention made of "
            "it.",
            _block_side_by_side,
        ),
        Mistake(
            "the padding goes through the norm, whose bias turns its zeros into other numbers. "
            "Norm first, then pad.",
            _block_pads_first,
        ),
        Mistake(
            "`block.drop_path` is never called. Each branch goes through it.",
            _block_dropping(False, False),
        ),
        Mistake(
            "only one of the two branches goes through `block.drop_path`.",
            _block_dropping(True, False),
            (_block_dropping(False, True),),
        ),
        Mistake(
            "drop path takes the residual along. Only the branch goes through it.",
            _block_drops_the_road,
        ),
    ),
)

EXERCISES = (RATES, BLOCK, SHIFTS, GRID)
