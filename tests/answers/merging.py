"""Answers to the exercises of lesson 06."""

import numpy as np
import torch
import torch.nn.functional as F

from swinlib.windows import pad_to_multiple, window_partition

# --- space_to_depth -----------------------------------------------------------------------------


def depth_by_loop(x):
    B, H, W, C = x.shape
    out = torch.zeros(B, H // 2, W // 2, 4 * C, dtype=x.dtype)
    for i in range(H // 2):
        for j in range(W // 2):
            for n, (row, column) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
                out[:, i, j, n * C : (n + 1) * C] = x[:, 2 * i + row, 2 * j + column]
    return out


def depth_by_pixel_unshuffle(x):
    """Each channel's four numbers, then the channels inside."""
    y = F.pixel_unshuffle(x.permute(0, 3, 1, 2), 2).unflatten(1, (-1, 2, 2))
    return y.permute(0, 4, 5, 3, 2, 1).flatten(3)


def depth_by_splitting(x):
    columns = torch.stack(x.unflatten(2, (-1, 2)).unbind(3), dim=3)
    return torch.cat([columns[:, 0::2], columns[:, 1::2]], -1).flatten(3)


def depth_reading_order(x):
    return torch.cat([x[:, 0::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 0::2], x[:, 1::2, 1::2]], -1)


def depth_nn_unfold(x):
    return F.pixel_unshuffle(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


def depth_stacked_last(x):
    parts = [x[:, r::2, c::2] for c in (0, 1) for r in (0, 1)]
    return torch.stack(parts, dim=-1).flatten(3)


def depth_view(x):
    B, H, W, C = x.shape
    return x.reshape(B, H // 2, W // 2, 4 * C)


def depth_quarters(x):
    _, H, W, _ = x.shape
    h, w = H // 2, W // 2
    return torch.cat([x[:, :h, :w], x[:, h:, :w], x[:, :h, w:], x[:, h:, w:]], -1)


def depth_pooled(x):
    return F.avg_pool2d(x.float().permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1).to(x.dtype)


def depth_top_only(x):
    return x[:, 0::2, 0::2]


def depth_batch_first(x):
    parts = [x[:, r::2, c::2] for c in (0, 1) for r in (0, 1)]
    return torch.cat(parts, dim=0)


def depth_by_view(x):
    B, H, W, C = x.shape
    return x.view(B, H // 2, 2, W // 2, 2, C).permute(0, 1, 3, 4, 2, 5).flatten(3)


def depth_in_float32(x):
    return depth_by_loop(x.float())


# --- patch_merging ------------------------------------------------------------------------------


def merging_by_loop(x, norm, reduction):
    if x.shape[1] % 2:
        x = torch.cat([x, torch.zeros_like(x[:, :1])], dim=1)
    if x.shape[2] % 2:
        x = torch.cat([x, torch.zeros_like(x[:, :, :1])], dim=2)
    return reduction(norm(depth_by_loop(x)))


def merging_as_convolution(x, norm, reduction):
    """The norm by hand, then the linear layer's matrix."""
    x = depth_by_pixel_unshuffle(pad_to_multiple(x, 2))
    x = F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, norm.eps)
    return x @ reduction.weight.T


def merging_reading_order(x, norm, reduction):
    return reduction(norm(depth_reading_order(pad_to_multiple(x, 2))))


def merging_nn_unfold(x, norm, reduction):
    return reduction(norm(depth_nn_unfold(pad_to_multiple(x, 2))))


def merging_view(x, norm, reduction):
    return reduction(norm(depth_view(pad_to_multiple(x, 2))))


def merging_no_norm(x, norm, reduction):
    return reduction(depth_by_loop(pad_to_multiple(x, 2)))


def merging_no_reduction(x, norm, reduction):
    return norm(depth_by_loop(pad_to_multiple(x, 2)))


def merging_even_part(x, norm, reduction):
    x = x[:, : x.shape[1] - x.shape[1] % 2, : x.shape[2] - x.shape[2] % 2]
    return reduction(norm(depth_by_loop(x)))


def merging_padded_late(x, norm, reduction):
    out = merging_even_part(x, norm, reduction)
    return F.pad(out, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))


def merging_padded_above(x, norm, reduction):
    x = F.pad(x, (0, 0, x.shape[2] % 2, 0, x.shape[1] % 2, 0))
    return reduction(norm(depth_by_loop(x)))


def merging_two_norms(x, norm, reduction):
    return reduction(norm(norm(depth_by_loop(pad_to_multiple(x, 2)))))


def merging_norm_behind(x, norm, reduction):
    return norm(reduction(depth_by_loop(pad_to_multiple(x, 2))))


def merging_plain_statistics(x, norm, reduction):
    """Normed, but without the norm's weight and bias."""
    x = depth_by_loop(pad_to_multiple(x, 2))
    return reduction(F.layer_norm(x, x.shape[-1:]))


def merging_turned(x, norm, reduction):
    return merging_by_loop(x, norm, reduction).transpose(1, 2)


# --- where_from ---------------------------------------------------------------------------------


def from_grid(i, j, n, C):
    """Looked up in a merged map whose numbers are their own positions."""
    H, W = 2 * i + 2, 2 * j + 2
    x = torch.arange(H * W * C).view(1, H, W, C)
    merged = torch.cat([x[:, r::2, c::2] for c in (0, 1) for r in (0, 1)], dim=-1)
    number = merged[0, i, j, n].item()
    return number // (W * C), number // C % W, number % C


def from_list(i, j, n, C):
    places = [(0, 0), (1, 0), (0, 1), (1, 1)]
    row, column = places[n // C]
    return [2 * i + row, 2 * j + column, n % C]


def from_ifs(i, j, n, C):
    row, column = 2 * i, 2 * j
    if C <= n < 2 * C or n >= 3 * C:
        row += 1
    if n >= 2 * C:
        column += 1
    while n >= C:
        n -= C
    return row, column, n


def from_reading_order(i, j, n, C):
    row, column = [(0, 0), (0, 1), (1, 0), (1, 1)][n // C]
    return 2 * i + row, 2 * j + column, n % C


def from_pixel_unshuffle(i, j, n, C):
    channel, place = divmod(n, 4)
    row, column = divmod(place, 2)
    return 2 * i + row, 2 * j + column, channel


def from_channel_slowest(i, j, n, C):
    channel, place = divmod(n, 4)
    column, row = divmod(place, 2)
    return 2 * i + row, 2 * j + column, channel


def from_x_before_y(i, j, n, C):
    row, column, channel = from_list(i, j, n, C)
    return column, row, channel


def from_j_i(i, j, n, C):
    return from_list(j, i, n, C)


def from_same_size(i, j, n, C):
    row, column = [(0, 0), (1, 0), (0, 1), (1, 1)][n // C]
    return i + row, j + column, n % C


def from_top_left(i, j, n, C):
    return i * 2, j * 2, n % C


def from_4c(i, j, n, C):
    row, column, _ = from_list(i, j, n, C)
    return row, column, n


def from_quotient(i, j, n, C):
    row, column, _ = from_list(i, j, n, C)
    return row, column, n // C


def from_one_channel(i, j, n, C):
    return 2 * i + n % 2, 2 * j + n // 2, 0


def from_flat(i, j, n, C):
    return (2 * i + n // C % 2) * 100 + 2 * j + n // C // 2


def from_two_only(i, j, n, C):
    row, column, _ = from_list(i, j, n, C)
    return row, column


# --- merge_neighbours ---------------------------------------------------------------------------


def merge_by_loop(x, size):
    (B, H, W, C), (kh, kw) = x.shape, size
    h, w = (H + kh - 1) // kh, (W + kw - 1) // kw
    out = torch.zeros(B, h, w, kh * kw * C, dtype=x.dtype)
    for i in range(H):
        for j in range(W):
            place = (j % kw) * kh + i % kh
            out[:, i // kh, j // kw, place * C : (place + 1) * C] = x[:, i, j]
    return out


def merge_by_permute(x, size):
    kh, kw = size
    x = pad_to_multiple(x, (kh, kw))
    B, H, W, C = x.shape
    x = x.reshape(B, H // kh, kh, W // kw, kw, C)
    return x.permute(0, 1, 3, 4, 2, 5).reshape(B, H // kh, W // kw, -1)


def merge_by_unfold(x, size):
    kh, kw = size
    _, H, W, C = x.shape
    x = F.pad(x, (0, 0, 0, -W % kw, 0, -H % kh))
    x = x.unfold(1, kh, kh).unfold(2, kw, kw)  # (B, h, w, C, kh, kw)
    return x.permute(0, 1, 2, 5, 4, 3).flatten(3)


def merge_by_einsum(x, size):
    """A convolution with one-hot kernels."""
    kh, kw = size
    x = pad_to_multiple(x, size)
    x = x.unflatten(2, (-1, kw)).unflatten(1, (-1, kh))
    pick = torch.eye(kh * kw, dtype=x.dtype).view(kw, kh, kh * kw)
    return torch.einsum("bikjlc,lkp->bijpc", x, pick).flatten(3)


def merge_reading_order(x, size):
    kh, kw = size
    x = pad_to_multiple(x, size)
    return torch.cat([x[:, r::kh, c::kw] for r in range(kh) for c in range(kw)], dim=-1)


def merge_nn_unfold(x, size):
    kh, kw = size
    x = pad_to_multiple(x, size)
    B, H, W, C = x.shape
    y = F.unfold(x.permute(0, 3, 1, 2).float(), size, stride=size)
    return y.transpose(1, 2).reshape(B, H // kh, W // kw, -1).to(x.dtype)


def merge_channel_then_down(x, size):
    kh, kw = size
    x = pad_to_multiple(x, size)
    parts = [x[:, r::kh, c::kw] for c in range(kw) for r in range(kh)]
    return torch.stack(parts, dim=-1).flatten(3)


def merge_view(x, size):
    B, H, W, C = pad_to_multiple(x, size).shape
    x = pad_to_multiple(x, size).contiguous()
    return x.view(B, H // size[0], W // size[1], size[0] * size[1] * C)


def merge_width_first(x, size):
    return merge_by_permute(x, (size[1], size[0]))


def merge_two(x, size):
    x = pad_to_multiple(x, 2)
    return torch.cat([x[:, r::2, c::2] for c in (0, 1) for r in (0, 1)], dim=-1)


def merge_tiles(x, size):
    kh, kw = size
    x = pad_to_multiple(x, size)
    h, w = x.shape[1] // kh, x.shape[2] // kw
    parts = [x[:, r * h : (r + 1) * h, c * w : (c + 1) * w] for c in range(kw) for r in range(kh)]
    return torch.cat(parts, dim=-1)


def merge_floor(x, size):
    kh, kw = size
    h, w = x.shape[1] // kh, x.shape[2] // kw
    parts = [x[:, r::kh, c::kw][:, :h, :w] for c in range(kw) for r in range(kh)]
    return torch.cat(parts, dim=-1)


def merge_padded_above(x, size):
    kh, kw = size
    missing_rows, missing_columns = -x.shape[1] % kh, -x.shape[2] % kw
    return merge_by_permute(F.pad(x, (0, 0, missing_columns, 0, missing_rows, 0)), size)


def merge_pooled(x, size):
    x = pad_to_multiple(x, size).permute(0, 3, 1, 2).float()
    return F.avg_pool2d(x, size).permute(0, 2, 3, 1)


def merge_unpadded(x, size):
    kh, kw = size
    return torch.cat([x[:, r::kh, c::kw] for c in range(kw) for r in range(kh)], dim=-1)


def merge_first_picture(x, size):
    kh, kw = size
    x = pad_to_multiple(x, size)[0]
    parts = [x[r::kh, c::kw] for c in range(kw) for r in range(kh)]
    return torch.cat(parts, dim=-1)[None]


def merge_stacked(x, size):
    kh, kw = size
    x = pad_to_multiple(x, size)
    return torch.stack([x[:, r::kh, c::kw] for c in range(kw) for r in range(kh)], dim=-2)


def merge_float(x, size):
    return merge_by_permute(x.float(), size)


def merge_strict_view(x, size):
    kh, kw = size
    x = pad_to_multiple(x, size)
    B, H, W, C = x.shape
    x = x.view(B, H // kh, kh, W // kw, kw * C)
    return x.unflatten(-1, (kw, C)).permute(0, 1, 3, 4, 2, 5).flatten(3)


def merge_channels_first(x, size):
    return merge_by_permute(x, size).permute(0, 3, 1, 2)


def merge_marks(x, size):
    out = merge_by_permute(x, size)
    x.zero_()
    return out


# --- from_unfold --------------------------------------------------------------------------------


def unfold_by_loop(parameter):
    C = parameter.shape[-1] // 4
    out = torch.empty_like(parameter)
    for column in range(2):
        for row in range(2):
            for channel in range(C):
                there = (column * 2 + row) * C + channel
                out[..., there] = parameter[..., channel * 4 + row * 2 + column]
    return out


def unfold_by_index(parameter):
    C = parameter.shape[-1] // 4
    index = [4 * channel + place for place in (0, 2, 1, 3) for channel in range(C)]
    return parameter[..., index]


def unfold_by_slices(parameter):
    return torch.cat([parameter[..., place::4] for place in (0, 2, 1, 3)], dim=-1)


def unfold_untouched(parameter):
    return parameter + 0


def unfold_from_rows(parameter):
    first, second, third, fourth = parameter.chunk(4, dim=-1)
    return torch.cat([first, third, second, fourth], dim=-1)


def unfold_to_rows(parameter):
    return torch.cat([parameter[..., place::4] for place in range(4)], dim=-1)


def unfold_backwards(parameter):
    C = parameter.shape[-1] // 4
    index = torch.tensor([4 * c + place for place in (0, 2, 1, 3) for c in range(C)])
    return parameter[..., index.argsort()]


def unfold_places_only(parameter):
    C = parameter.shape[-1] // 4
    index = [4 * channel + place for channel in range(C) for place in (0, 2, 1, 3)]
    return parameter[..., index]


def unfold_rows_of_the_matrix(parameter):
    C = parameter.shape[0] // 4
    index = [4 * channel + place for place in (0, 2, 1, 3) for channel in range(C)]
    return parameter[index]


def unfold_everything(parameter):
    return parameter.reshape(-1, 2, 2).permute(2, 1, 0).contiguous().reshape(parameter.shape)


def unfold_flipped(parameter):
    return torch.flip(parameter, dims=(-1,))


def unfold_matrices_only(parameter):
    out, inputs = parameter.shape
    return parameter.reshape(out, inputs // 4, 2, 2).permute(0, 3, 2, 1).reshape(out, inputs)


def unfold_vectors_only(parameter):
    return parameter.view(-1, 2, 2).permute(2, 1, 0).reshape(-1)


def unfold_by_view(parameter):
    if parameter.ndim == 1:
        return unfold_by_index(parameter)
    parameter = parameter.view(parameter.numel() // 4, 4).view(len(parameter), -1, 2, 2)
    return parameter.permute(0, 3, 2, 1).flatten(1)


def unfold_in_place(parameter):
    parameter[..., :] = unfold_by_index(parameter)
    return parameter


def unfold_transposed(parameter):
    return unfold_by_index(parameter).T if parameter.ndim == 2 else unfold_by_index(parameter)


def unfold_float(parameter):
    return unfold_by_index(parameter).float()


# --- more of all three --------------------------------------------------------------------------


def from_recursion(i, j, n, C):
    if n < C:
        return 2 * i, 2 * j, n
    row, column, channel = from_recursion(i, j, n - C, C)
    return (row - 1, column + 1, channel) if row % 2 else (row + 1, column, channel)


def from_numpy(i, j, n, C):
    column, row, channel = np.unravel_index(n, (2, 2, C))
    return 2 * i + row, 2 * j + column, channel


def from_true_division(i, j, n, C):
    return 2 * i + n / C % 2, 2 * j + n // C // 2, n % C


def merge_by_windows(x, size):
    B, H, W, _ = pad_to_multiple(x, size).shape
    windows = window_partition(pad_to_multiple(x, size), size).transpose(1, 2)
    return windows.reshape(B, H // size[0], W // size[1], -1)


def merge_by_numpy(x, size):
    x = pad_to_multiple(x, size).numpy()
    parts = [x[:, i :: size[0], j :: size[1]] for j in range(size[1]) for i in range(size[0])]
    return torch.from_numpy(np.concatenate(parts, axis=-1))


def merge_padded_always(x, size):
    """P - H % P, which is P where the map fits."""
    (kh, kw), (_, H, W, _) = size, x.shape
    return merge_by_permute(F.pad(x, (0, 0, 0, kw - W % kw, 0, kh - H % kh)), size)


def unfold_recursive(parameter):
    if parameter.ndim > 1:
        return torch.stack([unfold_recursive(row) for row in parameter])
    return torch.cat([parameter[place::4] for place in (0, 2, 1, 3)])


def unfold_by_permutation_matrix(parameter):
    order = torch.arange(parameter.shape[-1]).view(-1, 2, 2).permute(2, 1, 0).flatten()
    return parameter @ torch.eye(len(order), dtype=parameter.dtype)[order].T


WRONG = {
    "space_to_depth": [
        (depth_reading_order, "the four stand along the rows"),
        (depth_nn_unfold, "as `nn.Unfold` has them"),
        (depth_stacked_last, "the four go down first, as they should"),
        (depth_view, "four tokens of a row"),
        (depth_quarters, "four quarters"),
        (depth_pooled, "which is pooling"),
        (depth_top_only, "the shape is (1, 2, 2, 1), wanted (1, 2, 2, 4)"),
        (depth_batch_first, "axes are in another order"),
        (depth_in_float32, "of type torch.float32, wanted torch.float16"),
    ],
    "patch_merging": [
        (merging_reading_order, "stacked along the rows"),
        (merging_nn_unfold, "as `nn.Unfold` does"),
        (merging_view, "a `view` alone"),
        (merging_no_norm, "the norm is missing"),
        (merging_no_reduction, "4C numbers come out"),
        (merging_even_part, "is cut off"),
        (merging_padded_late, "the padding comes after the merging"),
        (merging_padded_above, "at the top or on the left"),
        (merging_two_norms, "it is normalised twice"),
        (merging_norm_behind, "it stops with RuntimeError"),
        (merging_plain_statistics, "own weight and bias"),
        (merging_turned, "axes are in another order"),
    ],
    "where_from": [
        (from_true_division, "as floats, wanted whole numbers"),
        (from_reading_order, "goes along the rows, so that number 1"),
        (from_pixel_unshuffle, "as `nn.Unfold` does"),
        (from_channel_slowest, "the order of the four is right"),
        (from_x_before_y, "the column before the row"),
        (from_j_i, "takes i for the column"),
        (from_same_size, "half as high and half as wide"),
        (from_top_left, "always ends at the top left"),
        (from_4c, "counted through all four neighbours"),
        (from_quotient, "as the channel it gives which"),
        (from_one_channel, "but with two channels: gives (1, 0, 0), wanted (0, 0, 1)"),
        (from_flat, "returns 100, wanted 3 values"),
        (from_two_only, "returns (1, 0), wanted 3 values"),
    ],
    "merge_neighbours": [
        (merge_padded_always, "pads a map that fits as well"),
        (merge_reading_order, "in the order of reading"),
        (merge_nn_unfold, "as `nn.Unfold` has them"),
        (merge_channel_then_down, "the tokens are in the right order"),
        (merge_view, "stand in a row"),
        (merge_width_first, "the height of a neighbourhood for its width"),
        (merge_two, "always 2 x 2"),
        (merge_tiles, "large tiles"),
        (merge_floor, "is lost"),
        (merge_padded_above, "at the top or on the left"),
        (merge_pooled, "which is pooling"),
        (merge_unpadded, "with a map that must be padded: it stops with RuntimeError"),
        (merge_first_picture, "the shape is (1, 2, 3, 12), wanted (2, 2, 3, 12)"),
        (merge_stacked, "right and in order, but the shape is (1, 2, 2, 4, 1)"),
        (merge_float, "of type torch.float32, wanted torch.float16"),
        (merge_strict_view, "is not contiguous: it stops with RuntimeError"),
        (merge_channels_first, "axes are in another order"),
        (merge_marks, "writes into its input `x`"),
    ],
    "from_unfold": [
        (unfold_untouched, "nothing has moved"),
        (unfold_from_rows, "four tokens of C numbers each"),
        (unfold_to_rows, "the four tokens stand along the rows"),
        (unfold_backwards, "goes the other way"),
        (unfold_places_only, "still together"),
        (unfold_rows_of_the_matrix, "the first dimension of a matrix"),
        (unfold_everything, "mixes the rows"),
        (unfold_flipped, "from back to front"),
        (unfold_matrices_only, "it stops with ValueError"),
        (unfold_vectors_only, "the shape is (32,), wanted (4, 8)"),
        (unfold_by_view, "is not contiguous: it stops with RuntimeError"),
        (unfold_in_place, "writes into its input `parameter`"),
        (unfold_transposed, "axes are in another order"),
        (unfold_float, "of type torch.float32, wanted torch.float16"),
    ],
}
RIGHT = {
    "where_from": [from_recursion, from_numpy, from_grid, from_list, from_ifs],
    "merge_neighbours": [
        merge_by_windows,
        merge_by_numpy,
        merge_by_loop,
        merge_by_permute,
        merge_by_unfold,
        merge_by_einsum,
    ],
    "from_unfold": [
        unfold_recursive,
        unfold_by_permutation_matrix,
        unfold_by_loop,
        unfold_by_index,
        unfold_by_slices,
    ],
    "space_to_depth": [depth_by_loop, depth_by_pixel_unshuffle, depth_by_splitting, depth_by_view],
    "patch_merging": [merging_by_loop, merging_as_convolution],
}
