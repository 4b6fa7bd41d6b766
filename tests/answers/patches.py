"""Answers to the exercises of lesson 01."""

import numpy as np
import torch
import torch.nn.functional as F

# --- conv_weight --------------------------------------------------------------------------------


def weight_as_in_the_lesson(weight, patch_size):
    ph, pw = patch_size
    return weight.reshape(weight.shape[0], weight.shape[1] // ph // pw, ph, pw)


def weight_left_last(weight, patch_size):
    ph, pw = patch_size
    return weight.unflatten(1, (ph, pw, -1))


def weight_diagonal(weight, patch_size):
    ph, pw = patch_size
    return weight.reshape(len(weight), ph, pw, -1).permute(0, 3, 2, 1)


def weight_squares_only(weight, patch_size):
    pw, ph = patch_size
    return weight.reshape(len(weight), ph, pw, -1).movedim(-1, 1)


def weight_wide_as_tall(weight, patch_size):
    ph, pw = patch_size
    return weight.reshape(len(weight), pw, ph, -1).permute(0, 3, 2, 1)


def weight_of_columns(weight, patch_size):
    ph, pw = patch_size
    channels = weight.shape[1] // (ph * pw)
    x = weight.flatten().view(ph, pw, channels, weight.shape[0])
    return x.permute(3, 2, 0, 1)


def weight_turned_round(weight, patch_size):
    ph, pw = patch_size
    x = weight.reshape(len(weight), ph, pw, -1).permute(0, 3, 1, 2)
    return torch.rot90(x, 2, (2, 3))


def weight_bgr(weight, patch_size):
    ph, pw = patch_size
    x = weight.reshape(len(weight), ph, pw, -1).permute(0, 3, 1, 2)
    return x[:, list(range(x.shape[1]))[::-1]]


def weight_through_a_view(weight, patch_size):
    ph, pw = patch_size
    return weight.view(-1).view(len(weight), ph, pw, -1).permute(0, 3, 1, 2)


def weight_three_channels(weight, patch_size):
    ph, pw = patch_size
    return weight.reshape(-1, ph, pw, 3).permute(0, 3, 1, 2)


def weight_flat(weight, patch_size):
    ph, pw = patch_size
    return weight.reshape(len(weight), ph * pw, -1).transpose(1, 2)


def weight_in_float32(weight, patch_size):
    ph, pw = patch_size
    return weight.float().reshape(len(weight), ph, pw, -1).permute(0, 3, 1, 2)


def weight_spoilt(weight, patch_size):
    ph, pw = patch_size
    out = weight.reshape(len(weight), ph, pw, -1).permute(0, 3, 1, 2).clone()
    weight.zero_()
    return out


def weight_by_loop(weight, patch_size):
    ph, pw = patch_size
    C = weight.shape[1] // (ph * pw)
    out = weight.new_empty(weight.shape[0], C, ph, pw)
    for c in range(C):
        for i in range(ph):
            for j in range(pw):
                out[:, c, i, j] = weight[:, (i * pw + j) * C + c]
    return out


def weight_by_stack(weight, patch_size):
    C = weight.shape[1] // (patch_size[0] * patch_size[1])
    return torch.stack([weight[:, c::C].unflatten(1, patch_size) for c in range(C)], dim=1)


def weight_by_view(weight, patch_size):
    ph, pw = patch_size
    return weight.view(len(weight), ph, pw, -1).movedim(3, 1)


def weight_by_transpose(weight, patch_size):
    ph, pw = patch_size
    x = weight.reshape(weight.shape[0], ph * pw, -1).transpose(1, 2)
    return x.unflatten(2, (ph, pw)).contiguous()


# --- overlapping_patches ------------------------------------------------------------------------


def unfolded(images, patch_size, stride, order=(0, 2, 3, 1, 4, 5)):
    x = images.unfold(2, patch_size[0], stride[0]).unfold(3, patch_size[1], stride[1])
    return x.permute(order).flatten(3)


def patches_without_overlap(images, patch_size, stride):
    return unfolded(images, patch_size, patch_size)


def patches_steps_swapped(images, patch_size, stride):
    sw, sh = stride
    return unfolded(images, patch_size, (sh, sw))


def patches_one_step(images, patch_size, stride):
    return unfolded(images, patch_size, (stride[0],) * 2)


def patches_sides_swapped(images, patch_size, stride):
    return unfolded(images, (patch_size[1], patch_size[0]), stride)


def patches_too_few(images, patch_size, stride):
    (ph, pw), (sh, sw) = patch_size, stride
    H, W = images.shape[2:]
    found = [
        [images[:, :, i : i + ph, j : j + pw].flatten(1) for j in range(0, W - pw, sw)]
        for i in range(0, H - ph, sh)
    ]
    return torch.stack([torch.stack(row, dim=1) for row in found], dim=1)


def patches_hanging_over(images, patch_size, stride):
    (ph, pw), (sh, sw) = patch_size, stride
    B, C, H, W = images.shape
    rows = []
    for i in range(0, H, sh):
        row = []
        for j in range(0, W, sw):
            patch = images.new_zeros(B, C, ph, pw)
            inside = images[:, :, i : i + ph, j : j + pw]
            patch[:, :, : inside.shape[2], : inside.shape[3]] = inside
            row.append(patch.flatten(1))
        rows.append(torch.stack(row, dim=1))
    return torch.stack(rows, dim=1)


def patches_of_a_padded_picture(images, patch_size, stride):
    (ph, pw), (sh, sw) = patch_size, stride
    H, W = images.shape[2:]
    x = F.pad(images, (0, (pw - W) % sw, 0, (ph - H) % sh))
    return unfolded(x, patch_size, stride)


def patches_channels_last(images, patch_size, stride):
    return unfolded(images, patch_size, stride, (0, 2, 3, 4, 5, 1))


def patches_by_columns(images, patch_size, stride):
    return unfolded(images, patch_size, stride, (0, 2, 3, 1, 5, 4))


def patches_joined_at_once(images, patch_size, stride):
    (ph, pw), (sh, sw) = patch_size, stride
    B, C, H, W = images.shape
    rows = torch.tensor([[i + n for n in range(ph)] for i in range(0, H - ph + 1, sh)])
    columns = torch.tensor([[j + n for n in range(pw)] for j in range(0, W - pw + 1, sw)])
    return images[:, :, rows][..., columns].reshape(B, len(rows), len(columns), C * ph * pw)


def patches_as_list(images, patch_size, stride):
    return F.unfold(images, patch_size, stride=stride).transpose(1, 2)


def patches_of_unfold(images, patch_size, stride):
    return F.unfold(images, patch_size, stride=stride)


def patches_not_flat(images, patch_size, stride):
    x = images.unfold(2, patch_size[0], stride[0]).unfold(3, patch_size[1], stride[1])
    return x.permute(0, 2, 3, 1, 4, 5)


def patches_of_one_picture(images, patch_size, stride):
    return unfolded(images[:1], patch_size, stride)


def patches_sideways(images, patch_size, stride):
    return unfolded(images, patch_size, stride, (0, 3, 2, 1, 4, 5))


def patches_by_strides(images, patch_size, stride):
    """Believes that pictures are contiguous."""
    (ph, pw), (sh, sw) = patch_size, stride
    B, C, H, W = images.shape
    h, w = (H - ph) // sh + 1, (W - pw) // sw + 1
    steps = (C * H * W, sh * W, sw, H * W, W, 1)
    return images.as_strided((B, h, w, C, ph, pw), steps).flatten(3)


def patches_in_float32(images, patch_size, stride):
    return unfolded(images.float(), patch_size, stride)


def patches_marked(images, patch_size, stride):
    out = unfolded(images, patch_size, stride)
    images[:, :, :: stride[0], :: stride[1]] = 0
    return out


def patches_by_loop(images, patch_size, stride):
    (ph, pw), (sh, sw) = patch_size, stride
    B, C, H, W = images.shape
    h, w = (H - ph) // sh + 1, (W - pw) // sw + 1
    out = torch.empty(B, h, w, C * ph * pw, dtype=images.dtype)
    for i in range(h):
        for j in range(w):
            patch = images[:, :, i * sh : i * sh + ph, j * sw : j * sw + pw]
            out[:, i, j] = patch.reshape(B, -1)
    return out


def patches_by_unfold(images, patch_size, stride):
    w = (images.shape[3] - patch_size[1]) // stride[1] + 1
    x = F.unfold(images, patch_size, stride=stride)
    return x.mT.unflatten(1, (-1, w))


def patches_by_own_strides(images, patch_size, stride):
    (ph, pw), (sh, sw) = patch_size, stride
    B, C, H, W = images.shape
    b, c, y, x = images.stride()
    h, w = (H - ph) // sh + 1, (W - pw) // sw + 1
    return images.as_strided((B, h, w, C, ph, pw), (b, sh * y, sw * x, c, y, x)).flatten(3)


# --- put_back -----------------------------------------------------------------------------------


def back_first_places(kept, places, filler, N):
    tokens = filler.repeat(len(kept), N, 1)
    tokens[:, places[0]] = kept
    return tokens


def back_without_offset(kept, places, filler, N):
    B, K, C = kept.shape
    tokens = filler.repeat(B * N, 1)
    for place, token in zip(places.flatten().tolist(), kept.reshape(-1, C), strict=True):
        tokens[place] = token
    return tokens.view(B, N, C)


def back_to_everybody(kept, places, filler, N):
    tokens = filler.repeat(len(kept), N, 1)
    for b in range(len(kept)):
        tokens[:, places[b]] = kept[b]
    return tokens


def back_by_mask(kept, places, filler, N):
    tokens = filler.repeat(len(kept), N, 1)
    mask = torch.zeros(len(kept), N, dtype=torch.bool).scatter_(1, places, True)
    tokens[mask] = kept.flatten(0, 1)
    return tokens


def back_at_the_front(kept, places, filler, N):
    return torch.cat([kept, filler.repeat(len(kept), N - kept.shape[1], 1)], dim=1)


def back_on_zeros(kept, places, filler, N):
    tokens = kept.new_zeros(len(kept), N, kept.shape[2])
    return tokens.scatter(1, places[..., None].expand(kept.shape), kept)


def back_added(kept, places, filler, N):
    tokens = filler.repeat(len(kept), N, 1)
    return tokens.scatter_add(1, places[..., None].expand(kept.shape), kept)


def back_gathered(kept, places, filler, N):
    tokens = back_at_the_front(kept, places, filler, N)
    order = []
    for row in places.tolist():
        order.append(row + [n for n in range(N) if n not in row])
    order = torch.tensor(order)
    return tokens.gather(1, order[..., None].expand(tokens.shape))


def back_without_the_rest(kept, places, filler, N):
    order = places.argsort(dim=1)
    return kept.gather(1, order[..., None].expand(kept.shape))


def back_square_index(kept, places, filler, N):
    tokens = filler.repeat(len(kept), N, 1)
    tokens[torch.arange(len(kept)), places] = kept
    return tokens


def back_into_kept(kept, places, filler, N):
    order = places.argsort(dim=1)
    kept[:] = kept.gather(1, order[..., None].expand(kept.shape))
    tokens = filler.repeat(len(kept), N, 1)
    tokens[torch.arange(len(kept))[:, None], places.sort(dim=1).values] = kept
    return tokens


def back_channels_first(kept, places, filler, N):
    return back_by_index(kept, places, filler, N).transpose(1, 2)


def back_in_float32(kept, places, filler, N):
    tokens = torch.zeros(len(kept), N, kept.shape[2]) + filler
    tokens[torch.arange(len(kept))[:, None], places] = kept.float()
    return tokens


def back_one_picture(kept, places, filler, N):
    tokens = filler.repeat(N, 1)
    tokens[places[0]] = kept[0]
    return tokens[None]


def back_backwards(kept, places, filler, N):
    return back_by_index(kept, places.flip(1), filler, N)


def back_by_index(kept, places, filler, N):
    B, K, C = kept.shape
    tokens = filler.repeat(B * N, 1)
    tokens[(places + N * torch.arange(B)[:, None]).flatten()] = kept.reshape(-1, C)
    return tokens.view(B, N, C)


def back_by_loop(kept, places, filler, N):
    B, K, C = kept.shape
    tokens = torch.empty(B, N, C, dtype=kept.dtype)
    for b in range(B):
        tokens[b] = filler
        for i in range(K):
            tokens[b, places[b, i]] = kept[b, i]
    return tokens


def back_by_scatter(kept, places, filler, N):
    tokens = filler.repeat(len(kept), N, 1)
    return tokens.scatter(1, places.unsqueeze(-1).expand(kept.shape), kept)


def back_by_product(kept, places, filler, N):
    """A matrix of zeros and ones moves the tokens."""
    to = F.one_hot(places, N).to(kept.dtype)  # (B, K, N)
    free = 1 - to.sum(1)
    return torch.einsum("bkn,bkc->bnc", to, kept) + free[..., None] * filler


# --- more of all three --------------------------------------------------------------------------


def weight_by_numpy(weight, patch_size):
    return torch.from_numpy(np.moveaxis(weight.numpy().reshape(len(weight), *patch_size, -1), 3, 1))


def weight_row_by_row(weight, patch_size):
    return torch.vmap(lambda row: row.reshape(*patch_size, -1).permute(2, 0, 1))(weight)


def weight_by_einsum(weight, patch_size):
    return torch.einsum("dhwc->dchw", weight.reshape(len(weight), *patch_size, -1))


def weight_in_double(weight, patch_size):
    return weight_by_einsum(weight, patch_size).double()


def patches_by_convolution(images, patch_size, stride):
    kernels = torch.eye(patch_size[0] * patch_size[1]).view(-1, 1, *patch_size)
    x = F.conv2d(images.float().flatten(0, 1)[:, None], kernels, stride=stride)
    return x.unflatten(0, images.shape[:2]).flatten(1, 2).permute(0, 2, 3, 1).to(images.dtype)


def patches_by_numpy(images, patch_size, stride):
    x = np.lib.stride_tricks.sliding_window_view(images.numpy(), patch_size, axis=(2, 3))
    x = x[:, :, :: stride[0], :: stride[1]].transpose(0, 2, 3, 1, 4, 5)
    return torch.from_numpy(np.ascontiguousarray(x)).flatten(3)


def patches_by_module(images, patch_size, stride):
    h = (images.shape[2] - patch_size[0]) // stride[0] + 1
    return torch.nn.Unfold(patch_size, stride=stride)(images).mT.unflatten(1, (h, -1))


def patches_columns_viewed(images, patch_size, stride):
    (ph, pw), (sh, sw) = patch_size, stride
    h, w = (images.shape[2] - ph) // sh + 1, (images.shape[3] - pw) // sw + 1
    return F.unfold(images, patch_size, stride=stride).view(len(images), h, w, -1)


def back_picture_by_picture(kept, places, filler, N):
    start = filler.expand(N, -1)
    return torch.stack([start.index_copy(0, p, k) for k, p in zip(kept, places, strict=True)])


def back_looked_up(kept, places, filler, N):
    """Every place looks up its token; the filler is number 0."""
    source = torch.cat([filler.expand(len(kept), 1, -1), kept], dim=1)
    number = torch.zeros(len(kept), N, dtype=torch.long)
    number.scatter_(1, places, torch.arange(1, kept.shape[1] + 1).expand_as(places))
    return source.take_along_dim(number[..., None], dim=1)


def back_by_numpy(kept, places, filler, N):
    tokens = filler.expand(len(kept), N, -1).numpy().copy()
    tokens[np.arange(len(kept))[:, None], places.numpy()] = kept.numpy()
    return torch.from_numpy(tokens)


def back_sorted(kept, places, filler, N):
    return back_at_the_front(back_without_the_rest(kept, places, filler, N), places, filler, N)


def back_zeros_are_empty(kept, places, filler, N):
    tokens = back_on_zeros(kept, places, filler, N)
    return torch.where((tokens == 0).all(-1, keepdim=True), filler, tokens)


def back_sum_zero_is_empty(kept, places, filler, N):
    tokens = back_on_zeros(kept, places, filler, N)
    tokens[tokens.sum(-1) == 0] = filler
    return tokens


def back_of_four(kept, places, filler, N):
    tokens = filler.expand(len(kept), 4, -1).clone()
    tokens[torch.arange(len(kept))[:, None], places] = kept
    return tokens


def back_by_argsort(kept, places, filler, N):
    return back_by_index(kept, places.argsort(dim=1), filler, N)


# --- image_to_patches ---------------------------------------------------------------------------


def cut_by_loops(images, P):
    B, C, H, W = images.shape
    out = images.new_empty(B, H // P, W // P, C * P * P)
    for i in range(H // P):
        for j in range(W // P):
            out[:, i, j] = images[:, :, i * P : i * P + P, j * P : j * P + P].flatten(1)
    return out


def cut_by_chunks(images, P):
    """Strips of P rows, and these into P columns."""
    strips = [torch.stack(strip.split(P, dim=3), dim=1) for strip in images.split(P, dim=2)]
    return torch.stack(strips, dim=1).flatten(3)


def cut_by_index(images, P):
    _, _, H, W = images.shape
    rows = torch.arange(H).view(-1, P)[:, None, :, None]
    columns = torch.arange(W).view(-1, P)[None, :, None, :]
    return images[:, :, rows, columns].movedim(1, 3).flatten(3)


def cut_by_unflatten(images, P):
    x = images.unflatten(3, (-1, P)).unflatten(2, (-1, P))
    return x.permute(0, 2, 4, 1, 3, 5).flatten(3)


def cut_split_but_not_moved(images, P):
    B, C, H, W = images.shape
    x = images.reshape(B, C, H // P, P, W // P, P)
    return x.reshape(B, H // P, W // P, -1)


def cut_bgr_last(images, P):
    return cut_by_loops(images, P).unflatten(3, (-1, P, P)).movedim(3, -1).flatten(3)


def cut_down(images, P):
    x = cut_by_loops(images, P).unflatten(3, (-1, P, P))
    return x.transpose(4, 5).flatten(3)


def cut_sideways(images, P):
    return cut_by_loops(images, P).transpose(1, 2)


def cut_every_pth(images, P):
    h, w = images.shape[2] // P, images.shape[3] // P
    rows = [torch.stack([images[:, :, i::h, j::w] for j in range(w)], 1) for i in range(h)]
    return torch.stack(rows, 1).flatten(3)


def cut_wh(images, P):
    B, C, W, H = images.shape
    x = images.reshape(B, C, H // P, P, W // P, P)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(B, H // P, W // P, -1)


def cut_each_channel(images, P):
    return torch.stack([cut_by_loops(images[:, [c]], P) for c in range(images.shape[1])], 1)


def cut_as_list(images, P):
    return cut_by_loops(images, P).flatten(1, 2)


def cut_as_pictures(images, P):
    return cut_by_loops(images, P).unflatten(3, (images.shape[1], P, P))


def cut_by_torch(images, P):
    x = torch.nn.functional.unfold(images, P, stride=P)
    return x.mT.unflatten(1, (images.shape[2] // P, images.shape[3] // P))


def cut_for_one(images, P):
    return cut_by_loops(images[:1], P)


def cut_through_a_view(images, P):
    B, C, H, W = images.shape
    x = images.view(B, C * H // P, P, W).view(B, C, H // P, P, W // P, P)
    return x.permute(0, 2, 4, 1, 3, 5).flatten(3)


def cut_to_float(images, P):
    return cut_by_loops(images.float(), P)


def cut_with_writing(images, P):
    x = cut_by_loops(images, P)
    images.zero_()
    return x


WRONG = {
    "conv_weight": [
        (weight_in_double, "of type torch.float64, wanted torch.float32, the type that came in"),
        (weight_as_in_the_lesson, "as channels, rows, columns"),
        (weight_left_last, "gives the channels last"),
        (weight_diagonal, "mirrored at its diagonal"),
        (weight_squares_only, "takes the patch's height for its width"),
        (weight_wide_as_tall, "Ph pixels are read in a row"),
        (weight_of_columns, "columns of the matrix for filters"),
        (weight_turned_round, "turned by 180 degrees"),
        (weight_bgr, "blue before red"),
        (weight_through_a_view, "with a matrix stored the other way and transposed: it stops"),
        (weight_three_channels, "is invalid for input of size 8"),
        (weight_flat, "numbers are right and in order, but the shape is (1, 2, 4)"),
        (weight_in_float32, "of type torch.float32, wanted torch.float16"),
        (weight_spoilt, "writes into its input `weight`"),
    ],
    "overlapping_patches": [
        (patches_columns_viewed, "gives every patch as a *column*"),
        (patches_without_overlap, "side by side"),
        (patches_steps_swapped, "the step of the rows for the columns"),
        (patches_one_step, "first step for both axes"),
        (patches_sides_swapped, "the patch's height for its width"),
        (patches_too_few, "the last patch is missing"),
        (patches_hanging_over, "hang over the edge"),
        (patches_of_a_padded_picture, "adds zeros until the patches fit"),
        (patches_channels_last, "channels come last inside a vector"),
        (patches_by_columns, "columns before rows"),
        (patches_joined_at_once, "joined before they are reordered"),
        (patches_as_list, "in a list"),
        (patches_of_unfold, "gives every patch as a *column*"),
        (patches_not_flat, "numbers are right and in order, but the shape is (1, 2, 3, 1, 2, 2)"),
        (patches_of_one_picture, "with two pictures of three channels, wide patches: the shape"),
        (patches_sideways, "axes are in another order"),
        (patches_by_strides, "with a picture that is not contiguous: "),
        (patches_in_float32, "of type torch.float32, wanted torch.float16"),
        (patches_marked, "writes into its input `images`"),
    ],
    "put_back": [
        (back_sorted, "into the order of their places and then stay at the front"),
        (back_zeros_are_empty, "for an empty place"),
        (back_sum_zero_is_empty, "for an empty place"),
        (back_of_four, "but with three pictures: it stops with IndexError: index 4"),
        (back_by_argsort, "in which order they come"),
        (back_first_places, "first picture's places"),
        (back_without_offset, "land in the first one"),
        (back_to_everybody, "works for one picture only"),
        (back_by_mask, "from left to right"),
        (back_at_the_front, "the kept tokens stay at the front"),
        (back_on_zeros, "hold zeros"),
        (back_added, "added to the kept tokens"),
        (back_gathered, "goes the wrong way"),
        (back_without_the_rest, "only the kept tokens are there"),
        (back_square_index, "second with picture 1"),
        (back_into_kept, "writes into its input `kept`"),
        (back_channels_first, "axes are in another order"),
        (back_in_float32, "of type torch.float32, wanted torch.float16"),
        (back_one_picture, "the shape is (1, 4, 2), wanted (2, 4, 2)"),
        (back_backwards, "the right numbers, but 4 of them at wrong places"),
    ],
    "image_to_patches": [
        (cut_split_but_not_moved, "in the order in which they lie in memory"),
        (cut_bgr_last, "the channels come last"),
        (cut_down, "columns come before rows"),
        (cut_sideways, "the map is turned"),
        (cut_every_pth, "not neighbours"),
        (cut_wh, "takes the width for the height"),
        (cut_each_channel, "makes patches of its own"),
        (cut_as_list, "in a list"),
        (cut_as_pictures, "still a small picture"),
        (cut_by_torch, "calls `unfold`"),
        (cut_for_one, "with two pictures of three channels: the shape"),
        (cut_through_a_view, "not contiguous: it stops"),
        (cut_to_float, "of type torch.float32, wanted torch.float16"),
        (cut_with_writing, "writes into its input `images`"),
    ],
}
RIGHT = {
    "conv_weight": [
        weight_by_numpy,
        weight_row_by_row,
        weight_by_einsum,
        weight_by_loop,
        weight_by_view,
        weight_by_stack,
        weight_by_transpose,
    ],
    "overlapping_patches": [
        patches_by_convolution,
        patches_by_numpy,
        patches_by_module,
        unfolded,
        patches_by_loop,
        patches_by_unfold,
        patches_by_own_strides,
    ],
    "put_back": [
        back_picture_by_picture,
        back_looked_up,
        back_by_numpy,
        back_by_index,
        back_by_loop,
        back_by_scatter,
        back_by_product,
    ],
    "image_to_patches": [cut_by_loops, cut_by_chunks, cut_by_index, cut_by_unflatten],
}
