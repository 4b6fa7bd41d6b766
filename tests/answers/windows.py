"""Answers to the exercises of lesson 03."""

import numpy as np
import torch

from swinlib import window_partition

# --- find_token ---------------------------------------------------------------------------------


def token_of_the_first(window, place, H, W, window_size):
    mh, mw = window_size
    per_row = W // mw
    return 0, window // per_row * mh + place // mw, window % per_row * mw + place % mw


def token_down(window, place, H, W, window_size):
    mh, mw = window_size
    rows, columns = H // mh, W // mw
    b = window // (rows * columns)
    w = window - b * rows * columns
    return b, w % rows * mh + place // mw, w // rows * mw + place % mw


def token_by_height(window, place, H, W, window_size):
    mh, mw = window_size
    b, w = divmod(window, H * W // (mh * mw))
    return b, w // (H // mh) * mh + place // mw, w % (H // mh) * mw + place % mw


def token_square_window(window, place, H, W, window_size):
    mh, mw = window_size
    b, w = divmod(window, H * W // (mh * mw))
    return b, w // (W // mw) * mh + place // mh, w % (W // mw) * mw + place % mh


def token_transposed_window(window, place, H, W, window_size):
    mh, mw = window_size
    b, w = divmod(window, H * W // (mh * mw))
    return b, w // (W // mw) * mh + place % mh, w % (W // mw) * mw + place // mh


def token_in_the_window(window, place, H, W, window_size):
    return window // (H * W // (window_size[0] * window_size[1])), *divmod(place, window_size[1])


def token_of_the_corner(window, place, H, W, window_size):
    mh, mw = window_size
    tops, lefts = range(0, H, mh), range(0, W, mw)
    corners = [(top, left) for top in tops for left in lefts]
    return window // len(corners), *corners[window % len(corners)]


def token_sum(window, place, H, W, window_size):
    mh, mw = window_size
    b, w = divmod(window, H * W // (mh * mw))
    return b, w // (W // mw) + place // mw, w % (W // mw) + place % mw


def token_crossed(window, place, H, W, window_size):
    mh, mw = window_size
    b, w = divmod(window, H * W // (mh * mw))
    return b, w // (W // mw) * mw + place // mw, w % (W // mw) * mh + place % mw


def token_xy(window, place, H, W, window_size):
    b, i, j = token_by_search(window, place, H, W, window_size)
    return b, j, i


def token_from_one(*args):
    b, i, j = token_by_search(*args)
    return b, i + 1, j + 1


def token_two_numbers(*args):
    return token_by_search(*args)[1:]


def token_flat(window, place, H, W, window_size):
    b, i, j = token_by_search(window, place, H, W, window_size)
    return b * H * W + i * W + j


def token_last_picture(window, place, H, W, window_size):
    """Divides by the tokens of a picture, not by its windows."""
    mh, mw = window_size
    b, w = divmod(window, H * W)
    return b, w // (W // mw) * mh + place // mw, w % (W // mw) * mw + place % mw


def token_by_search(window, place, H, W, window_size):
    """Walks through the batch until it has counted far enough."""
    mh, mw = window_size
    b, seen = 0, -1
    while True:
        for top in range(0, H, mh):
            for left in range(0, W, mw):
                seen += 1
                if seen == window:
                    return b, top + place // mw, left + place % mw
        b += 1


def token_from_a_table(window, place, H, W, window_size):
    """Cuts the numbers of all tokens, and looks where this one came from."""
    mh, mw = window_size
    numbers = torch.arange(H * W).view(H, W).unfold(0, mh, mh).unfold(1, mw, mw)
    numbers = numbers.reshape(-1, mh * mw)
    number = int(numbers[window % len(numbers), place])
    return [window // len(numbers), number // W, number % W]


def token_as_tensors(window, place, H, W, window_size):
    mh, mw = window_size
    shape = (window // ((H // mh) * (W // mw)) + 1, H // mh, W // mw, mh, mw)
    b, y, x, i, j = torch.unravel_index(torch.tensor(window * mh * mw + place), shape)
    return b, y * mh + i, x * mw + j


# --- partition_video ----------------------------------------------------------------------------


def video_loops(x, window_size):
    mt, mh, mw = window_size
    windows = []
    for video in x:
        for t in range(0, x.shape[1], mt):
            for i in range(0, x.shape[2], mh):
                for j in range(0, x.shape[3], mw):
                    windows.append(video[t : t + mt, i : i + mh, j : j + mw])
    return torch.stack(windows)


def video_unfold(x, window_size):
    for axis, size in enumerate(window_size, start=1):
        x = x.unfold(axis, size, size)
    return x.permute(0, 1, 2, 3, 5, 6, 7, 4).flatten(0, 3)  # (B, nt, nh, nw, C, Mt, Mh, Mw)


def video_frames_first(x, window_size):
    """Two cuts: frames as pictures with `window_partition`, then time."""
    B, T = x.shape[:2]
    mt, mh, mw = window_size
    x = window_partition(x.flatten(0, 1), (mh, mw)).unflatten(0, (B, T // mt, mt, -1))
    return x.transpose(2, 3).flatten(0, 2)  # (B, T/Mt, windows of a frame, Mt, Mh, Mw, C)


def video_reshape(x, window_size):
    return x.contiguous().view(-1, *window_size, x.shape[-1])


def video_frames(x, window_size):
    """Frames as pictures: time is left as it is."""
    _, mh, mw = window_size
    B, T, H, W, C = x.shape
    x = x.reshape(B * T, H // mh, mh, W // mw, mw, C).transpose(2, 3)
    return x.reshape(-1, 1, mh, mw, C)


def video_space_first(x, window_size):
    mt, mh, mw = window_size
    windows = []
    for video in x:
        for i in range(0, x.shape[2], mh):
            for j in range(0, x.shape[3], mw):
                for t in range(0, x.shape[1], mt):
                    windows.append(video[t : t + mt, i : i + mh, j : j + mw])
    return torch.stack(windows)


def video_turns(x, window_size):
    mt, mh, mw = window_size
    windows = []
    for t in range(0, x.shape[1], mt):
        for i in range(0, x.shape[2], mh):
            for j in range(0, x.shape[3], mw):
                windows.extend(x[:, t : t + mt, i : i + mh, j : j + mw])
    return torch.stack(windows)


def video_dilated(x, window_size):
    n = [size // side for size, side in zip(x.shape[1:4], window_size, strict=True)]
    windows = []
    for video in x:
        for t in range(n[0]):
            for i in range(n[1]):
                for j in range(n[2]):
                    windows.append(video[t :: n[0], i :: n[1], j :: n[2]])
    return torch.stack(windows)


def video_hwt(x, window_size):
    mh, mw, mt = window_size
    return video_loops(x, (mt, mh, mw))


def video_wh(x, window_size):
    mt, mh, mw = window_size
    return video_unfold(x, (mt, mw, mh))


def video_all_frames(x, window_size):
    return video_loops(x, (x.shape[1], window_size[1], window_size[2]))


def video_views(x, window_size):
    B, T, H, W, C = x.shape
    mt, mh, mw = window_size
    x = x.view(B * T // mt, mt, H // mh, mh, W // mw, mw, C)
    return x.permute(0, 2, 4, 1, 3, 5, 6).contiguous().view(-1, mt, mh, mw, C)


def video_no_copy(x, window_size):
    B, T, H, W, C = x.shape
    mt, mh, mw = window_size
    x = x.view(B, T // mt, mt, H // mh, mh, W // mw, mw, C)
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).view(-1, mt, mh, mw, C)


def video_flat(x, window_size):
    return video_loops(x, window_size).flatten(1, 3)


def video_batch_apart(x, window_size):
    return video_loops(x, window_size).unflatten(0, (len(x), -1))


def video_channels_first(x, window_size):
    return video_loops(x, window_size).movedim(-1, 1)


def video_time_inside(x, window_size):
    """(num_windows, Mh, Mw, Mt, C)."""
    return video_loops(x, window_size).movedim(1, 3)


def video_one_only(x, window_size):
    return video_loops(x[:1], window_size)


def video_in_float32(x, window_size):
    return video_loops(x.float(), window_size)


def video_writes(x, window_size):
    y = video_loops(x, window_size)
    x.zero_()
    return y


def video_index(x, window_size):
    """The numbers of all tokens cut once, and used as an index."""
    B, T, H, W, C = x.shape
    numbers = video_loops(torch.arange(T * H * W).view(1, T, H, W), window_size)  # (n, Mt, Mh, Mw)
    return x.flatten(1, 3)[:, numbers.flatten()].reshape(-1, *window_size, C)


# --- partition_grid -----------------------------------------------------------------------------


def grid_slices(x, grid_size):
    down, right = x.shape[1] // grid_size[0], x.shape[2] // grid_size[1]
    windows = [x[:, i::down, j::right] for i in range(down) for j in range(right)]
    return torch.stack(windows, dim=1).flatten(0, 1)


def grid_loops(x, grid_size):
    B, H, W, C = x.shape
    down, right = H // grid_size[0], W // grid_size[1]
    out = x.new_empty(B * down * right, *grid_size, C)
    for b in range(B):
        for i in range(H):
            for j in range(W):
                n = (b * down + i % down) * right + j % right
                out[n, i // down, j // right] = x[b, i, j]
    return out


def grid_unfold(x, grid_size):
    down, right = x.shape[1] // grid_size[0], x.shape[2] // grid_size[1]
    x = x.unfold(1, down, down).unfold(2, right, right)  # (B, Gh, Gw, C, down, right)
    return x.permute(0, 4, 5, 1, 2, 3).flatten(0, 2)


def grid_of_blocks(x, grid_size):
    """Ordinary windows, and then token n of each of them."""
    B, H, W, C = x.shape
    gh, gw = grid_size
    blocks = ordinary(x, (H // gh, W // gw)).reshape(B, gh * gw, -1, C)
    return blocks.transpose(1, 2).reshape(-1, gh, gw, C)


def ordinary(x, size):
    x = x.unfold(1, size[0], size[0]).unfold(2, size[1], size[1])
    return x.permute(0, 1, 2, 4, 5, 3).flatten(0, 2)


def grid_steps(x, grid_size):
    gh, gw = grid_size
    windows = [x[:, i::gh, j::gw] for i in range(gh) for j in range(gw)]
    return torch.stack(windows, dim=1).flatten(0, 1)


def grid_into_blocks(x, grid_size):
    return ordinary(x, (x.shape[1] // grid_size[0], x.shape[2] // grid_size[1]))


def grid_columns_first(x, grid_size):
    down, right = x.shape[1] // grid_size[0], x.shape[2] // grid_size[1]
    windows = [x[:, i::down, j::right] for j in range(right) for i in range(down)]
    return torch.stack(windows, dim=1).flatten(0, 1)


def grid_turns(x, grid_size):
    down, right = x.shape[1] // grid_size[0], x.shape[2] // grid_size[1]
    return torch.cat([x[:, i::down, j::right] for i in range(down) for j in range(right)])


def grid_reshape(x, grid_size):
    return x.reshape(-1, *grid_size, x.shape[-1])


def grid_rows(x, grid_size):
    gh, gw = grid_size
    down = x.shape[1] // gh
    starts = [(i, j) for i in range(down) for j in range(0, x.shape[2], gw)]
    return torch.stack([x[:, i::down, j : j + gw] for i, j in starts], dim=1).flatten(0, 1)


def grid_columns(x, grid_size):
    gh, gw = grid_size
    right = x.shape[2] // gw
    starts = [(i, j) for i in range(0, x.shape[1], gh) for j in range(right)]
    return torch.stack([x[:, i : i + gh, j::right] for i, j in starts], dim=1).flatten(0, 1)


def grid_swapped(x, grid_size):
    gw, gh = grid_size
    return grid_unfold(x, (gh, gw))


def grid_view(x, grid_size):
    B, H, W, C = x.shape
    gh, gw = grid_size
    x = x.view(B, gh, H // gh, gw, W // gw * C).permute(0, 2, 1, 3, 4)
    x = x.reshape(B, H // gh, gh, gw, W // gw, C).movedim(4, 2)
    return x.flatten(0, 2)


def grid_lists(x, grid_size):
    return grid_slices(x, grid_size).flatten(1, 2)


def grid_turned(x, grid_size):
    return grid_slices(x, grid_size).transpose(1, 2)


def grid_first_picture(x, grid_size):
    return grid_slices(x[:1], grid_size)


def grid_in_float32(x, grid_size):
    return grid_slices(x.float(), grid_size)


def grid_writes(x, grid_size):
    out = grid_slices(x, grid_size)
    x.mul_(0)
    return out


def grid_square(x, grid_size):
    """One step for both axes."""
    step = x.shape[1] // grid_size[0]
    windows = [x[:, i::step, j::step] for i in range(step) for j in range(step)]
    return torch.stack(windows, dim=1).flatten(0, 1)


# --- more of all three --------------------------------------------------------------------------


def token_by_numpy(window, place, H, W, window_size):
    mh, mw = window_size
    b, y, x = np.unravel_index(window, (window + 1, H // mh, W // mw))
    i, j = np.unravel_index(place, window_size)
    return b, y * mh + i, x * mw + j


def token_by_partition(window, place, H, W, window_size):
    """Brute force: number all tokens, cut the map, and look."""
    numbers = window_partition(torch.arange(H * W).view(1, H, W, 1), window_size).flatten(1)
    number = numbers[window % len(numbers), place]
    return window // len(numbers), number // W, number % W


def token_recursive(window, place, H, W, window_size):
    per_picture = (H // window_size[0]) * (W // window_size[1])
    if window < per_picture:
        return token_by_search(window, place, H, W, window_size)
    b, i, j = token_recursive(window % per_picture, place, H, W, window_size)
    return b + window // per_picture, i, j


def token_as_floats(*args):
    return tuple(float(number) for number in token_by_search(*args))


def token_divided(window, place, H, W, window_size):
    b, i, j = token_by_search(window, place, H, W, window_size)
    return window / (H // window_size[0] * (W // window_size[1])), i, j


def video_by_chunks(x, window_size):
    parts = [video for video in x]
    for axis, size in enumerate(window_size):
        parts = [piece for part in parts for piece in part.split(size, dim=axis)]
    return torch.stack(parts)


def video_by_einsum(x, window_size):
    for axis, size in reversed(list(enumerate(window_size, start=1))):
        x = x.unflatten(axis, (-1, size))
    return torch.einsum("btuhiwjc->bthwuijc", x).flatten(0, 3)


def video_time_in_channels(x, window_size):
    """Mt frames become channels, and the rest is a cut of pictures."""
    mt, mh, mw = window_size
    B, T, H, W, C = x.shape
    x = x.reshape(B * T // mt, mt, H, W, C).movedim(1, 3).flatten(3)
    return window_partition(x, (mh, mw)).unflatten(3, (mt, C)).movedim(3, 1)


def video_frames_viewed(x, window_size):
    return window_partition(x.flatten(0, 1), window_size[1:]).reshape(-1, *window_size, x.shape[-1])


def grid_by_einsum(x, grid_size):
    x = x.unflatten(2, (grid_size[1], -1)).unflatten(1, (grid_size[0], -1))
    return torch.einsum("bgihjc->bijghc", x).flatten(0, 2)


def grid_by_shuffling(x, grid_size):
    rows, columns = (
        torch.arange(length).view(n, -1).T.flatten()
        for length, n in zip(x.shape[1:3], grid_size, strict=True)
    )
    return window_partition(x[:, rows][:, :, columns], grid_size)


# --- window_partition ---------------------------------------------------------------------------


def windows_by_loops(x, M):
    out = []
    for picture in x:
        for i in range(0, x.shape[1], M):
            for j in range(0, x.shape[2], M):
                out.append(picture[i : i + M, j : j + M])
    return torch.stack(out)


def windows_by_split(x, M):
    rows = [torch.stack(row.split(M, dim=2), dim=1) for row in x.split(M, dim=1)]
    return torch.stack(rows, dim=1).flatten(0, 2)


def windows_by_index(x, M):
    numbers = windows_by_loops(torch.arange(x.shape[1] * x.shape[2]).view(1, *x.shape[1:3]), M)
    return x.flatten(1, 2)[:, numbers].flatten(0, 1)


def windows_by_unfold(x, M):
    return x.unfold(1, M, M).unfold(2, M, M).movedim(3, -1).flatten(0, 2)


def windows_of_torch(x, M):
    """Named axes, without one permute."""
    x = x.unflatten(2, (-1, M)).unflatten(1, (-1, M)).transpose(2, 3)
    return x.flatten(0, 2)


def windows_split_only(x, M):
    B, H, W, C = x.shape
    return x.reshape(B, H // M, M, W // M, M, C).reshape(-1, M, M, C)


def windows_down(x, M):
    columns = [torch.stack(c.split(M, dim=1), dim=1) for c in x.split(M, dim=2)]
    return torch.stack(columns, dim=1).flatten(0, 2)


def windows_taking_turns(x, M):
    return torch.cat(
        [
            x[:, i : i + M, j : j + M]
            for i in range(0, x.shape[1], M)
            for j in range(0, x.shape[2], M)
        ]
    )


def windows_transposed(x, M):
    return windows_by_loops(x, M).transpose(1, 2)


def windows_dilated(x, M):
    h, w = x.shape[1] // M, x.shape[2] // M
    return torch.stack([x[:, i::h, j::w] for i in range(h) for j in range(w)], 1).flatten(0, 1)


def windows_wh(x, M):
    B, W, H, C = x.shape
    x = x.reshape(B, H // M, M, W // M, M, C)
    return x.transpose(2, 3).flatten(0, 2)


def windows_flat(x, M):
    return windows_by_loops(x, M).reshape(-1, M * M, x.shape[-1])


def windows_per_picture(x, M):
    return windows_by_loops(x, M).reshape(len(x), -1, M, M, x.shape[-1])


def windows_chw(x, M):
    return windows_by_loops(x, M).permute(0, 3, 1, 2)


def windows_of_one(x, M):
    return windows_by_loops(x[:1], M)


def windows_no_copy(x, M):
    B, H, W, C = x.shape
    return x.view(B, H // M, M, W // M, M, C).permute(0, 1, 3, 2, 4, 5).view(-1, M, M, C)


def windows_to_float(x, M):
    return windows_by_loops(x.float(), M)


def windows_and_zero(x, M):
    out = windows_by_loops(x, M)
    x.zero_()
    return out


# --- window_reverse -----------------------------------------------------------------------------


def joined_by_loops(windows, M, H, W):
    n = (H // M) * (W // M)
    out = windows.new_empty(len(windows) // n, H, W, windows.shape[-1])
    for number, window in enumerate(windows):
        b, place = divmod(number, n)
        i, j = divmod(place, W // M)
        out[b, i * M : i * M + M, j * M : j * M + M] = window
    return out


def joined_by_cat(windows, M, H, W):
    windows = windows.unflatten(0, (-1, H // M, W // M))
    rows = [torch.cat(list(row.unbind(1)), dim=2) for row in windows.unbind(1)]
    return torch.cat(rows, dim=1)


def joined_by_index(windows, M, H, W):
    """Where every token went, and back by `argsort`."""
    numbers = windows_by_loops(torch.arange(H * W).view(1, H, W, 1), M).flatten()
    x = windows.reshape(-1, H * W, windows.shape[-1])[:, numbers.argsort()]
    return x.unflatten(1, (H, W))


def joined_official(windows, M, H, W):
    B = int(windows.shape[0] / (H * W / M / M))
    x = windows.reshape(B, H // M, W // M, M, M, -1)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(B, H, W, -1)


def joined_placed_only(windows, M, H, W):
    x = windows.unflatten(0, (-1, H // M, W // M))
    return x.reshape(-1, H, W, windows.shape[-1])


def joined_down(windows, M, H, W):
    x = windows.unflatten(0, (-1, W // M, H // M)).transpose(1, 2)
    return x.transpose(2, 3).reshape(-1, H, W, windows.shape[-1])


def joined_taking_turns(windows, M, H, W):
    n = (H // M) * (W // M)
    return joined_by_loops(windows.unflatten(0, (n, -1)).transpose(0, 1).flatten(0, 1), M, H, W)


def joined_transposed(windows, M, H, W):
    return joined_by_loops(windows.transpose(1, 2), M, H, W)


def joined_dilated(windows, M, H, W):
    x = windows.unflatten(0, (-1, H // M, W // M))
    return x.permute(0, 3, 1, 4, 2, 5).reshape(-1, H, W, windows.shape[-1])


def joined_wh(windows, M, H, W):
    return joined_by_cat(windows, M, W, H)


def joined_wh_viewed(windows, M, H, W):
    return joined_by_cat(windows, M, W, H).contiguous().view(-1, H, W, windows.shape[-1])


def joined_as_list(windows, M, H, W):
    return joined_by_loops(windows, M, H, W).flatten(1, 2)


def joined_first_only(windows, M, H, W):
    return joined_by_loops(windows, M, H, W)[:1]


def joined_no_copy(windows, M, H, W):
    x = windows.view(-1, H // M, W // M, M, M, windows.shape[-1])
    return x.permute(0, 1, 3, 2, 4, 5).view(-1, H, W, windows.shape[-1])


def joined_to_float(windows, M, H, W):
    return joined_by_loops(windows.float(), M, H, W)


def joined_and_zero(windows, M, H, W):
    out = joined_by_loops(windows, M, H, W)
    windows.zero_()
    return out


WRONG = {
    "find_token": [
        (token_as_floats, "as floats, wanted whole numbers"),
        (token_divided, "gives (0.666667, 2, 3), wanted (0, 2, 3)"),
        (token_of_the_first, "knows one picture only"),
        (token_down, "counts the windows down the columns"),
        (token_by_height, "windows in a column for the number in a row"),
        (token_square_window, "a window's height for its width"),
        (token_transposed_window, "counts the tokens of a window down its columns"),
        (token_in_the_window, "the place inside the window"),
        (token_of_the_corner, "the upper left token of the window"),
        (token_sum, "as if they were equally large"),
        (token_crossed, "steps of Mw downwards"),
        (token_xy, "column comes before the row"),
        (token_from_one, "gives (0, 3, 4), wanted (0, 2, 3)"),
        (token_two_numbers, "returns (2, 3), wanted 3 values"),
        (token_flat, "returns 15, wanted 3 values"),
        (token_last_picture, "next picture after H*W windows"),
    ],
    "partition_video": [
        (video_frames_viewed, "then Mt windows at a time are joined"),
        (video_reshape, "in pieces of a window's size"),
        (video_frames, "every frame is cut by itself"),
        (video_space_first, "places first, times within"),
        (video_turns, "the videos take turns"),
        (video_dilated, "its windows have gaps"),
        (video_hwt, "Time comes first"),
        (video_wh, "window's height for its width"),
        (video_all_frames, "each window has all frames"),
        (video_views, "not contiguous: it stops with RuntimeError"),
        (video_no_copy, "counting numbers: it stops with RuntimeError: view size"),
        (video_flat, "in order, but the shape is (4, 8, 1), wanted (4, 2, 2, 2, 1)"),
        (video_batch_apart, "in order, but the shape is (1, 4, 2, 2, 2, 1)"),
        (video_channels_first, "axes are in another order: yours are the wanted ones as (0, 4, 1"),
        (video_time_inside, "axes are in another order: yours are the wanted ones as (0, 2, 3, 1"),
        (video_one_only, "with two videos, and three unlike sides: the shape is (48"),
        (video_in_float32, "of type torch.float32, wanted torch.float16"),
        (video_writes, "writes into its input `x`"),
    ],
    "partition_grid": [
        (ordinary, "the lesson's windows"),
        (grid_steps, "for the step between its tokens"),
        (grid_into_blocks, "blocks of neighbours"),
        (grid_columns_first, "counted down the columns"),
        (grid_turns, "the pictures take turns"),
        (grid_reshape, "in pieces of a window's size"),
        (grid_rows, "its columns are neighbours"),
        (grid_columns, "its rows are neighbours"),
        (grid_swapped, "height of the grid for its width"),
        (grid_lists, "in order, but the shape is (6, 4, 1), wanted (6, 2, 2, 1)"),
        (grid_turned, "axes are in another order"),
        (grid_first_picture, "with two pictures, and channels: the shape is (12, 3, 2, 3)"),
        (grid_in_float32, "of type torch.float32, wanted torch.float16"),
        (grid_view, "not contiguous: it stops with RuntimeError: view size"),
        (grid_writes, "writes into its input `x`"),
        (grid_square, "the shape is (4, 2, 3, 1), wanted (6, 2, 2, 1)"),
    ],
    "window_partition": [
        (windows_split_only, "in pieces of a window's size"),
        (windows_down, "counted down the columns"),
        (windows_taking_turns, "the pictures take turns"),
        (windows_transposed, "every window is turned"),
        (windows_dilated, "its windows have gaps"),
        (windows_wh, "takes the width for the height"),
        (windows_flat, "a list of tokens"),
        (windows_per_picture, "a dimension of their own"),
        (windows_chw, "before rows and columns"),
        (windows_of_one, "with two pictures of two channels: the shape is (6"),
        (windows_no_copy, "it stops with RuntimeError: view size is not compatible"),
        (windows_to_float, "of type torch.float32, wanted torch.float16"),
        (windows_and_zero, "writes into its input `x`"),
    ],
    "window_reverse": [
        (joined_placed_only, "as they lie in memory"),
        (joined_down, "down the columns"),
        (joined_taking_turns, "lets the pictures take turns"),
        (joined_transposed, "but turned"),
        (joined_dilated, "spread over the whole map"),
        (joined_wh, "it takes the width for the height"),
        (joined_wh_viewed, "gives it the shape of one of H x W"),
        (joined_as_list, "come in a list"),
        (joined_first_only, "only the first picture"),
        (joined_no_copy, "it stops with RuntimeError: view size is not compatible"),
        (joined_to_float, "of type torch.float32, wanted torch.float16"),
        (joined_and_zero, "writes into its input `windows`"),
    ],
}
RIGHT = {
    "find_token": [
        token_by_numpy,
        token_by_partition,
        token_recursive,
        token_by_search,
        token_from_a_table,
        token_as_tensors,
    ],
    "partition_video": [
        video_by_chunks,
        video_by_einsum,
        video_time_in_channels,
        video_loops,
        video_unfold,
        video_index,
        video_frames_first,
    ],
    "partition_grid": [
        grid_by_einsum,
        grid_by_shuffling,
        grid_slices,
        grid_loops,
        grid_unfold,
        grid_of_blocks,
    ],
    "window_partition": [
        windows_by_loops,
        windows_by_split,
        windows_by_index,
        windows_by_unfold,
        windows_of_torch,
    ],
    "window_reverse": [joined_by_loops, joined_by_cat, joined_by_index, joined_official],
}
