"""Answers to the exercises of lesson 07."""

import numpy as np
import torch
import torch.nn.functional as F

from swinlib.shift import cyclic_shift, reverse_cyclic_shift, shifted_window_mask
from swinlib.windows import pad_to_multiple, window_partition, window_reverse

# --- rates_by_stage -----------------------------------------------------------------------------


def rates_official(depths, last_rate):
    """As the official code, which slices a flat list."""
    dpr = [x.item() for x in torch.linspace(0, last_rate, sum(depths))]
    return [dpr[sum(depths[:i]) : sum(depths[: i + 1])] for i in range(len(depths))]


def rates_split(depths, last_rate):
    return torch.linspace(0, last_rate, sum(depths), dtype=torch.float64).split(list(depths))


def rates_counter(depths, last_rate):
    out, block, blocks = [], 0, sum(depths)
    for depth in depths:
        stage = []
        for _ in range(depth):
            stage.append(0.0 if blocks == 1 else block / (blocks - 1) * last_rate)
            block += 1
        out.append(tuple(stage))
    return tuple(out)


def deal(rates, depths):
    """A flat list of rates, stage by stage."""
    starts = [sum(depths[:i]) for i in range(len(depths))]
    return [list(rates[start : start + depth]) for start, depth in zip(starts, depths, strict=True)]


def rates_over_n(depths, last_rate):
    n = sum(depths)
    return deal([i / n * last_rate for i in range(n)], depths)


def rates_from_one(depths, last_rate):
    n = sum(depths)
    return deal([i / n * last_rate for i in range(1, n + 1)], depths)


def rates_per_stage(depths, last_rate):
    return [torch.linspace(0, last_rate, depth).tolist() for depth in depths]


def rates_by_stage_only(depths, last_rate):
    per_stage = torch.linspace(0, last_rate, len(depths)).tolist()
    return [[rate] * depth for rate, depth in zip(per_stage, depths, strict=True)]


def rates_one_list(depths, last_rate):
    return torch.linspace(0, last_rate, sum(depths)).tolist()


def rates_all_equal(depths, last_rate):
    return [[last_rate for _ in range(depth)] for depth in depths]


def rates_falling(depths, last_rate):
    return deal(torch.linspace(last_rate, 0, sum(depths)).tolist(), depths)


def rates_keep(depths, last_rate):
    return deal((1 - torch.linspace(0, last_rate, sum(depths))).tolist(), depths)


def rates_divided_by_zero(depths, last_rate):
    n = sum(depths)
    return deal([i / (n - 1) * last_rate for i in range(n)], depths)


def rates_swin_t(depths, last_rate):
    return deal([last_rate * i / 11 for i in range(sum(depths))], depths)


def rates_lost_blocks(depths, last_rate):
    rates = torch.linspace(0, last_rate, sum(depths)).tolist()
    return [rates[2 * i : 2 * i + depth] for i, depth in enumerate(depths)]


def rates_sum(depths, last_rate):
    return sum(torch.linspace(0, last_rate, sum(depths)).tolist())


# --- block_forward ------------------------------------------------------------------------------


def attend(x, block, mask="made", forth=-1, back=1):
    """Padding, roll, windows and back by torch alone, for a map that is normed already."""
    B, H, W, C = x.shape
    (mh, mw), (sh, sw) = block.window_size, block.shift_size
    x = F.pad(x, (0, 0, 0, -W % mw, 0, -H % mh))
    pH, pW = x.shape[1:3]
    x = torch.roll(x, (forth * sh, forth * sw), (1, 2))
    x = x.view(B, pH // mh, mh, pW // mw, mw, C).permute(0, 1, 3, 2, 4, 5).reshape(-1, mh * mw, C)
    if mask == "made":
        mask = shifted_window_mask(pH, pW, (mh, mw), (sh, sw))
    x = block.attn(x, mask).view(B, pH // mh, pW // mw, mh, mw, C)
    x = x.permute(0, 1, 3, 2, 4, 5).reshape(B, pH, pW, C)
    return torch.roll(x, (back * sh, back * sw), (1, 2))[:, :H, :W]


def block_by_torch(x, block):
    z = x + block.drop_path(attend(block.norm1(x), block))
    return z + block.drop_path(block.mlp(block.norm2(z)))


def block_in_steps(x, block):
    """Every step by its name, the mask only where there is a shift."""
    shortcut = x
    _, H, W, _ = x.shape
    x = pad_to_multiple(block.norm1(x), block.window_size)
    _, Hp, Wp, _ = x.shape
    mask = None
    if any(block.shift_size):
        x = cyclic_shift(x, block.shift_size)
        mask = shifted_window_mask(Hp, Wp, block.window_size, block.shift_size)
    windows = window_partition(x, block.window_size)
    attended = block.attn(windows.flatten(1, 2), mask).view_as(windows)
    x = window_reverse(attended, block.window_size, Hp, Wp)
    if any(block.shift_size):
        x = reverse_cyclic_shift(x, block.shift_size)
    x = shortcut + block.drop_path(x[:, :H, :W].contiguous())
    return x + block.drop_path(block.mlp(block.norm2(x)))


def block_unmasked(x, block):
    z = x + block.drop_path(attend(block.norm1(x), block, mask=None))
    return z + block.drop_path(block.mlp(block.norm2(z)))


def block_left_rolled(x, block):
    z = x + block.drop_path(attend(block.norm1(x), block, back=0))
    return z + block.drop_path(block.mlp(block.norm2(z)))


def block_unrolled(x, block):
    z = x + block.drop_path(attend(block.norm1(x), block, forth=0, back=0))
    return z + block.drop_path(block.mlp(block.norm2(z)))


def block_down_and_right(x, block):
    z = x + block.drop_path(attend(block.norm1(x), block, forth=1, back=-1))
    return z + block.drop_path(block.mlp(block.norm2(z)))


def block_rolled_on(x, block):
    z = x + block.drop_path(attend(block.norm1(x), block, back=-1))
    return z + block.drop_path(block.mlp(block.norm2(z)))


def block_post_norm_v2(x, block):
    z = x + block.drop_path(block.norm1(attend(x, block)))
    return z + block.drop_path(block.norm2(block.mlp(z)))


def block_post_norm_2017(x, block):
    z = block.norm1(x + block.drop_path(attend(x, block)))
    return block.norm2(z + block.drop_path(block.mlp(z)))


def block_normed_shortcut(x, block):
    x = block.norm1(x)
    x = x + block.drop_path(attend(x, block))
    x = block.norm2(x)
    return x + block.drop_path(block.mlp(x))


def block_unnormed(x, block):
    z = x + block.drop_path(attend(x, block))
    return z + block.drop_path(block.mlp(z))


def block_one_shortcut(x, block):
    z = block.drop_path(attend(block.norm1(x), block))
    return block.drop_path(block.mlp(block.norm2(z))) + x


def block_attention_replaces(x, block):
    z = block.drop_path(attend(block.norm1(x), block))
    return z + block.drop_path(block.mlp(block.norm2(z)))


def block_mlp_replaces(x, block):
    z = x + block.drop_path(attend(block.norm1(x), block))
    return block.drop_path(block.mlp(block.norm2(z)))


def block_in_parallel(x, block):
    mlp = block.drop_path(block.mlp(block.norm2(x)))
    return x + block.drop_path(attend(block.norm1(x), block)) + mlp


def block_padded_before_the_norm(x, block):
    H, W = x.shape[1:3]
    padded = block.norm1(pad_to_multiple(x, block.window_size))
    z = x + block.drop_path(attend(padded, block)[:, :H, :W])
    return z + block.drop_path(block.mlp(block.norm2(z)))


def block_without_drop_path(x, block):
    z = x + attend(block.norm1(x), block)
    return z + block.mlp(block.norm2(z))


def block_drops_everything(x, block):
    z = block.drop_path(x + attend(block.norm1(x), block))
    return block.drop_path(z + block.mlp(block.norm2(z)))


def block_first_norm_twice(x, block):
    z = x + block.drop_path(attend(block.norm1(x), block))
    return z + block.drop_path(block.mlp(block.norm1(z)))


def block_no_first_norm(x, block):
    z = x + block.drop_path(attend(x, block))
    return z + block.drop_path(block.mlp(block.norm2(z)))


def block_drops_once(x, block):
    z = x + attend(block.norm1(x), block)
    return z + block.drop_path(block.mlp(block.norm2(z)))


def block_mask_of_the_map(x, block):
    """The mask for the map before it was padded."""
    mask = shifted_window_mask(*x.shape[1:3], block.window_size, block.shift_size)
    z = x + block.drop_path(attend(block.norm1(x), block, mask=mask))
    return z + block.drop_path(block.mlp(block.norm2(z)))


def block_its_own_attention(x, block):
    z = x + block.drop_path(block.window_attention(block.norm1(x)))
    return z + block.drop_path(block.mlp(block.norm2(z)))


def block_adds_in_place(x, block):
    x += block.drop_path(attend(block.norm1(x), block))
    return x + block.drop_path(block.mlp(block.norm2(x)))


def block_in_float(x, block):
    return block_by_torch(x, block).float()


# --- shifts_in_stage ----------------------------------------------------------------------------


def shifts_by_loop(H, W, window_size, depth):
    out = []
    for block in range(depth):
        pair = []
        for length, window in zip((H, W), window_size, strict=True):
            windows = -(-length // window)  # as many as cover the padded map
            pair.append(window // 2 if block % 2 == 1 and windows > 1 else 0)
        out.append(pair)
    return out


def shifts_by_product(H, W, window_size, depth):
    mh, mw = window_size
    return [((b % 2) * (H > mh) * (mh // 2), (b % 2) * (W > mw) * (mw // 2)) for b in range(depth)]


def shifts_padded(H, W, window_size, depth):
    mh, mw = window_size
    H, W = H + -H % mh, W + -W % mw
    pair = [(0, 0), (0 if H == mh else mh // 2, 0 if W == mw else mw // 2)]
    return (pair * depth)[:depth]


def shifts_even_blocks(*args):
    return [shift for block, shift in enumerate(shifts_padded(*args[:3], args[3] + 1)) if block]


def shifts_everywhere(H, W, window_size, depth):
    return [shifts_padded(H, W, window_size, 2)[1] for _ in range(depth)]


def shifts_nowhere(H, W, window_size, depth):
    return [(0, 0) for _ in range(depth)]


def shifts_any_map(H, W, window_size, depth):
    return [(m * (b % 2), n * (b % 2)) for b in range(depth) for m, n in [half(window_size)]]


def half(window_size):
    return window_size[0] // 2, window_size[1] // 2


def shifts_official(H, W, window_size, depth):
    """The official rule, min(resolution) <= window, for both axes at once."""
    if H <= window_size[0] or W <= window_size[1]:
        return [(0, 0)] * depth
    return shifts_any_map(H, W, window_size, depth)


def shifts_unless_tiny(H, W, window_size, depth):
    if H <= window_size[0] and W <= window_size[1]:
        return [(0, 0)] * depth
    return shifts_any_map(H, W, window_size, depth)


def shifts_off_by_one(H, W, window_size, depth):
    return shifts_padded(H + 1, W + 1, window_size, depth)


def shifts_of_the_map(H, W, window_size, depth):
    sh, sw = (H // 2) * (H > window_size[0]), (W // 2) * (W > window_size[1])
    return [(sh, sw) if b % 2 else (0, 0) for b in range(depth)]


def shifts_ceil(H, W, window_size, depth):
    mh, mw = window_size
    sh, sw = -(-mh // 2) if H > mh else 0, -(-mw // 2) if W > mw else 0
    return [(sh, sw) if b % 2 else (0, 0) for b in range(depth)]


def shifts_sw_sh(H, W, window_size, depth):
    return [(sw, sh) for sh, sw in shifts_padded(H, W, window_size, depth)]


def shifts_late(H, W, window_size, depth):
    shifted = shifts_padded(H, W, window_size, 2)[1]
    return [(0, 0)] * (depth - depth // 2) + [shifted] * (depth // 2)


def shifts_one_number(H, W, window_size, depth):
    return [shift[0] for shift in shifts_padded(H, W, window_size, depth)]


def shifts_of_swin_t(H, W, window_size, depth):
    return [(3 * (b % 2) * (H > 7), 3 * (b % 2) * (W > 7)) for b in range(depth)]


def shifts_pairs_only(H, W, window_size, depth):
    return shifts_padded(H, W, window_size, 2) * (depth // 2)


def shifts_quotient(H, W, window_size, depth):
    mh, mw = window_size
    return [((b % 2) * (H % mh), (b % 2) * (W % mw)) for b in range(depth)]


# --- attend_on_grid -----------------------------------------------------------------------------


def spread(length, count):
    """The order of rows that brings those of a group together."""
    return torch.arange(length).view(count, length // count).T.flatten()


def grid_by_shuffling(x, attend, window_size):
    """Shuffle rows and columns, attend in ordinary windows, shuffle back."""
    rows, columns = spread(x.shape[1], window_size[0]), spread(x.shape[2], window_size[1])
    windows = window_partition(x[:, rows][:, :, columns], window_size)
    windows = attend(windows.flatten(1, 2)).unflatten(1, window_size)
    y = window_reverse(windows, window_size, *x.shape[1:3])
    return y[:, rows.argsort()][:, :, columns.argsort()]


def grid_by_loop(x, attend, window_size):
    _, H, W, _ = x.shape
    gh, gw = H // window_size[0], W // window_size[1]
    out = torch.empty_like(x)
    for i in range(gh):
        for j in range(gw):
            group = x[:, i::gh, j::gw]
            out[:, i::gh, j::gw] = attend(group.flatten(1, 2)).view(group.shape)
    return out


def grid_by_unfold(x, attend, window_size):
    (mh, mw), (B, H, W, C) = window_size, x.shape
    groups = x.unfold(1, H // mh, H // mh).unfold(2, W // mw, W // mw)  # (B, mh, mw, C, gh, gw)
    groups = groups.permute(4, 5, 0, 2, 1, 3)  # (gh, gw, B, mw, mh, C): columns first
    shape = groups.shape
    groups = attend(groups.reshape(-1, mh * mw, C)).view(shape)
    return groups.permute(2, 4, 0, 3, 1, 5).reshape(B, H, W, C)


def grid_plain_windows(x, attend, window_size):
    (mh, mw), (B, H, W, C) = window_size, x.shape
    y = x.reshape(B, H // mh, mh, W // mw, mw, C).transpose(2, 3)
    y = attend(y.reshape(-1, mh * mw, C)).view(y.shape)
    return y.transpose(2, 3).reshape(B, H, W, C)


def gather(x, window_size):
    """(B, H/Mh, W/Mw, Mh, Mw, C), groups of distant tokens."""
    B, H, W, C = x.shape
    mh, mw = window_size
    return x.reshape(B, mh, H // mh, mw, W // mw, C).permute(0, 2, 4, 1, 3, 5)


def grid_left_in_groups(x, attend, window_size):
    y = gather(x, window_size)
    return attend(y.flatten(0, 2).flatten(1, 2)).reshape(x.shape)


def grid_reversed_as_windows(x, attend, window_size):
    y = gather(x, window_size).flatten(0, 2)
    y = attend(y.flatten(1, 2)).view(y.shape)
    return window_reverse(y, window_size, *x.shape[1:3])


def grid_step_m(x, attend, window_size):
    mh, mw = window_size
    out = torch.empty_like(x)
    for i in range(mh):
        for j in range(mw):
            group = x[:, i::mh, j::mw]
            out[:, i::mh, j::mw] = attend(group.flatten(1, 2)).view(group.shape)
    return out


def grid_wide_for_tall(x, attend, window_size):
    return grid_by_loop(x, attend, (window_size[1], window_size[0]))


def grid_global(x, attend, window_size):
    return attend(x.reshape(x.shape[0], -1, x.shape[3])).reshape(x.shape)


def grid_only_rows(x, attend, window_size):
    mh, mw = window_size
    gh, out = x.shape[1] // mh, torch.empty_like(x)
    for i in range(gh):
        for j in range(0, x.shape[2], mw):
            group = x[:, i::gh, j : j + mw]
            out[:, i::gh, j : j + mw] = attend(group.flatten(1, 2)).view(group.shape)
    return out


def grid_only_columns(x, attend, window_size):
    mh, mw = window_size
    gw, out = x.shape[2] // mw, torch.empty_like(x)
    for i in range(0, x.shape[1], mh):
        for j in range(gw):
            group = x[:, i : i + mh, j::gw]
            out[:, i : i + mh, j::gw] = attend(group.flatten(1, 2)).view(group.shape)
    return out


def grid_batch_in_the_group(x, attend, window_size):
    gh, gw = x.shape[1] // window_size[0], x.shape[2] // window_size[1]
    out = torch.empty_like(x)
    for i in range(gh):
        for j in range(gw):
            group = x[:, i::gh, j::gw]
            out[:, i::gh, j::gw] = attend(group.reshape(1, -1, x.shape[3])).view(group.shape)
    return out


def grid_with_residual(x, attend, window_size):
    return grid_by_loop(x, attend, window_size) + x


def grid_without_attention(x, attend, window_size):
    return grid_by_loop(x, lambda group: group.clone(), window_size)


def grid_square_only(x, attend, window_size):
    m, (B, H, _, C) = window_size[0], x.shape
    y = x.reshape(B, m, H // m, m, H // m, C).permute(0, 2, 4, 1, 3, 5)
    shape = y.shape
    y = attend(y.reshape(-1, m * m, C)).view(shape)
    return y.permute(0, 3, 1, 4, 2, 5).reshape(B, H, H, C)


def grid_one_picture(x, attend, window_size):
    return grid_by_loop(x[:1], attend, window_size)


def grid_by_view(x, attend, window_size):
    B, H, W, C = x.shape
    x.view(B, H * W, C)
    return grid_by_loop(x, attend, window_size)


def grid_in_place(x, attend, window_size):
    gh, gw = x.shape[1] // window_size[0], x.shape[2] // window_size[1]
    for i in range(gh):
        for j in range(gw):
            group = x[:, i::gh, j::gw]
            x[:, i::gh, j::gw] = attend(group.flatten(1, 2)).view(group.shape)
    return x


def grid_groups(x, attend, window_size):
    return attend(gather(x, window_size).flatten(0, 2).flatten(1, 2))


def grid_in_float(x, attend, window_size):
    return grid_by_loop(x.float(), attend, window_size)


def grid_turned(x, attend, window_size):
    return grid_by_loop(x, attend, window_size).transpose(1, 2)


# --- more of all three --------------------------------------------------------------------------


def rates_by_numpy(depths, last_rate):
    return np.split(np.linspace(0, last_rate, sum(depths)), np.cumsum(depths)[:-1])


def rates_rounded(depths, last_rate):
    return [[round(rate, 1) for rate in stage] for stage in rates_counter(depths, last_rate)]


def shifts_by_numpy(H, W, window_size, depth):
    half = np.array(window_size) // 2 * (np.array((H, W)) > np.array(window_size))
    return [tuple(half * (block % 2)) for block in range(depth)]


def shifts_unless_equal(H, W, window_size, depth):
    mh, mw = window_size
    shifted = (0 if H == mh else mh // 2, 0 if W == mw else mw // 2)
    return [shifted if block % 2 else (0, 0) for block in range(depth)]


def grid_recursive(x, attend, window_size):
    if len(x) > 1:
        return torch.cat([grid_recursive(picture[None], attend, window_size) for picture in x])
    return grid_by_loop(x, attend, window_size)


def grid_by_gathering(x, attend, window_size):
    (B, H, W, C), (mh, mw) = x.shape, window_size
    order = torch.arange(H * W).view(mh, H // mh, mw, W // mw).permute(3, 1, 2, 0).flatten()
    tokens = x.reshape(B, H * W, C)
    answers = attend(tokens[:, order].reshape(-1, mh * mw, C)).reshape(B, H * W, C)
    return answers[:, order.argsort()].view(B, H, W, C)


WRONG = {
    "rates_by_stage": [
        (rates_rounded, "gives ((0, 0.1), (0.2, 0.4, 0.5)), wanted"),
        (rates_over_n, "the last block's rate is too small"),
        (rates_from_one, "the first block is dropped already"),
        (rates_per_stage, "anew in every stage"),
        (rates_by_stage_only, "all blocks of a stage have the same rate"),
        (rates_one_list, "in a single list"),
        (rates_all_equal, "the rate of the last one"),
        (rates_falling, "falls from the first block to the last"),
        (rates_keep, "*keeping* a branch"),
        (rates_divided_by_zero, "a model of a single block: it stops with ZeroDivisionError"),
        (rates_swin_t, "gives ((0, 0.0454545)"),
        (rates_lost_blocks, "but with stages of one and of three blocks: gives"),
        (rates_sum, "wanted 2 values"),
    ],
    "block_forward": [
        (block_unmasked, "the mask is missing"),
        (block_left_rolled, "is not rolled back"),
        (block_unrolled, "nothing is rolled"),
        (block_down_and_right, "rolled the other way round"),
        (block_rolled_on, "rolled on where it should be rolled back"),
        (block_post_norm_v2, "the norms come after the branches"),
        (block_post_norm_2017, "the sum of branch and residual"),
        (block_normed_shortcut, "the residual carries the normalised map on"),
        (block_unnormed, "the norms are missing"),
        (block_one_shortcut, "one residual goes round both"),
        (block_attention_replaces, "the residual beside attention is missing"),
        (block_mlp_replaces, "the residual beside the MLP is missing"),
        (block_in_parallel, "as it was before attention"),
        (block_padded_before_the_norm, "the padding goes through the norm"),
        (block_without_drop_path, "`block.drop_path` is never called"),
        (block_drops_everything, "takes the residual along"),
        (block_first_norm_twice, "it is `block.norm2`"),
        (block_no_first_norm, "it is `block.norm1`"),
        (block_drops_once, "only one of the two branches"),
        (block_mask_of_the_map, "with a map that must be padded: it stops with ValueError"),
        (block_its_own_attention, "it calls swinlib's `"),
        (block_adds_in_place, "writes into its input `x`"),
        (block_in_float, "of type torch.float32, wanted torch.float16"),
    ],
    "shifts_in_stage": [
        (
            shifts_unless_equal,
            "but with a map smaller than a window in one axis: gives ((0, 0), (3, 3))",
        ),
        (shifts_even_blocks, "shifts the first block of a pair"),
        (shifts_everywhere, "shifts every block"),
        (shifts_nowhere, "nothing is ever shifted"),
        (shifts_any_map, "where one window covers the whole map"),
        (shifts_official, "gives up the shift of the other as well"),
        (shifts_unless_tiny, "only where a single window covers both axes"),
        (shifts_off_by_one, "exactly as large as the window"),
        (shifts_of_the_map, "half of the map"),
        (shifts_ceil, "rounded up"),
        (shifts_sw_sh, "the shift of the columns first"),
        (shifts_late, "all come at the end"),
        (shifts_one_number, "gives (0, 3), wanted ((0, 0), (3, 3))"),
        (shifts_of_swin_t, "but with windows that are not square: gives ((0, 0), (3, 3)"),
        (shifts_pairs_only, "with an odd number of blocks: returns"),
        (shifts_quotient, "gives ((0, 0), (0, 0)), wanted ((0, 0), (3, 3))"),
    ],
    "attend_on_grid": [
        (grid_plain_windows, "inside ordinary windows"),
        (grid_left_in_groups, "in the order of the groups"),
        (grid_reversed_as_windows, "as if they were windows"),
        (grid_step_m, "its tokens are Mh and Mw apart"),
        (grid_wide_for_tall, "the height of a group for its width"),
        (grid_global, "all tokens of the map attend to each other"),
        (grid_only_rows, "but its columns are neighbours"),
        (grid_only_columns, "but its rows are neighbours"),
        (grid_batch_in_the_group, "tokens of different pictures"),
        (grid_with_residual, "That is the residual"),
        (grid_without_attention, "`attend` was never called"),
        (grid_square_only, "right in the case before, but with groups of 4 x 2"),
        (grid_one_picture, "the shape is (1, 4, 12, 3), wanted (2, 4, 12, 3)"),
        (grid_by_view, "is not contiguous: it stops with RuntimeError"),
        (grid_in_place, "writes into its input `x`"),
        (grid_groups, "the shape is (4, 4, 1), wanted (1, 4, 4, 1)"),
        (grid_in_float, "of type torch.float32, wanted torch.float16"),
        (grid_turned, "axes are in another order"),
    ],
}
RIGHT = {
    "rates_by_stage": [rates_by_numpy, rates_official, rates_split, rates_counter],
    "shifts_in_stage": [shifts_by_numpy, shifts_by_loop, shifts_by_product, shifts_padded],
    "attend_on_grid": [
        grid_recursive,
        grid_by_gathering,
        grid_by_shuffling,
        grid_by_loop,
        grid_by_unfold,
    ],
    "block_forward": [block_by_torch, block_in_steps],
}
