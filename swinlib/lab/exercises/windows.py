"""Exercises of lesson 03: windows cut and joined, a token found, windows in time and with gaps."""

import torch

from swinlib import windows as reference
from swinlib.lab.exercises.checking import Case, Exercise, Mistake

# --- where is this token? -----------------------------------------------------------------------


def find_token(window, place, H, W, window_size):
    """(picture, row, column) of token number `place` in window number `window` of a batch."""
    Mh, Mw = window_size
    picture, window = divmod(window, (H // Mh) * (W // Mw))  # whole pictures first
    y, x = divmod(window, W // Mw)  # then whole rows of windows,
    i, j = divmod(place, Mw)  # and whole rows of the window itself
    return picture, y * Mh + i, x * Mw + j


def _steps(window, place, H, W, window_size):
    """Picture; row and column of the window; row and column in it; and its sides."""
    Mh, Mw = window_size
    picture, window = divmod(window, (H // Mh) * (W // Mw))
    return picture, *divmod(window, W // Mw), *divmod(place, Mw), Mh, Mw


def _found_in_one_picture(window, place, H, W, window_size):
    Mh, Mw = window_size
    y, x = divmod(window, W // Mw)
    return 0, y * Mh + place // Mw, x * Mw + place % Mw


def _found_by_tokens_of_picture(window, place, H, W, window_size):
    Mh, Mw = window_size
    y, x = divmod(window % (H * W), W // Mw)
    return window // (H * W), y * Mh + place // Mw, x * Mw + place % Mw


def _found_by_columns_of_windows(window, place, H, W, window_size):
    picture, _, _, i, j, Mh, Mw = _steps(window, place, H, W, window_size)
    x, y = divmod(window % ((H // Mh) * (W // Mw)), H // Mh)
    return picture, y * Mh + i, x * Mw + j


def _found_with_height_of_map(window, place, H, W, window_size):
    picture, _, _, i, j, Mh, Mw = _steps(window, place, H, W, window_size)
    y, x = divmod(window % ((H // Mh) * (W // Mw)), H // Mh)
    return picture, y * Mh + i, x * Mw + j


def _found_with_height_of_window(window, place, H, W, window_size):
    picture, y, x, _, _, Mh, Mw = _steps(window, place, H, W, window_size)
    return picture, y * Mh + place // Mh, x * Mw + place % Mh


def _found_down_the_window(window, place, H, W, window_size):
    picture, y, x, _, _, Mh, Mw = _steps(window, place, H, W, window_size)
    return picture, y * Mh + place % Mh, x * Mw + place // Mh


def _found_inside_only(window, place, H, W, window_size):
    picture, _, _, i, j, _, _ = _steps(window, place, H, W, window_size)
    return picture, i, j


def _found_corner(window, place, H, W, window_size):
    picture, y, x, _, _, Mh, Mw = _steps(window, place, H, W, window_size)
    return picture, y * Mh, x * Mw


def _found_without_steps(window, place, H, W, window_size):
    picture, y, x, i, j, _, _ = _steps(window, place, H, W, window_size)
    return picture, y + i, x + j


def _found_steps_swapped(window, place, H, W, window_size):
    picture, y, x, i, j, Mh, Mw = _steps(window, place, H, W, window_size)
    return picture, y * Mw + i, x * Mh + j


def _found_column_first(window, place, H, W, window_size):
    picture, row, column = find_token(window, place, H, W, window_size)
    return picture, column, row


def _numbers():
    return [
        Case("token 15 of the lesson's 4 x 6 grid", (4, 1, 4, 6, (2, 2))),
        Case("another place in the first window", (0, 3, 4, 6, (2, 2))),
        Case("a window of the second picture", (7, 2, 4, 6, (2, 2))),
        Case("windows that are not square", (9, 4, 6, 12, (2, 3))),
        Case("a map that is taller than wide", (20, 5, 12, 6, (3, 2))),
        Case("a window as large as the map", (3, 17, 4, 6, (4, 6))),
        Case("windows of a single token", (11, 0, 2, 3, (1, 1))),
        Case("the last token of 128 maps", (8191, 48, 56, 56, (7, 7))),
    ]


FIND = Exercise(
    solution=find_token,
    cases=_numbers,
    allowed=(reference.window_partition,),
    checked_on="8 tokens: of later pictures, of wide and tall maps, in windows that are not "
    "square, as large as the map, or a single token",
    hints=(
        "Work from the outside to the inside: which picture, then which window of it, then which "
        "token of that.",
        "One picture has (H // Mh) * (W // Mw) windows, and a row of windows has W // Mw. "
        "`divmod(7, 6)` is (1, 1): one whole picture, and window 1 of the next.",
        "Three times `divmod`: by the windows of a picture, by the windows in a row, and the place "
        "by Mw. Then a row of windows is Mh tokens high, and a window is Mw tokens wide.",
    ),
    mistakes=(
        Mistake(
            "it knows one picture only. After the windows of the first picture come those of the "
            "second.",
            _found_in_one_picture,
        ),
        Mistake(
            "it looks for the next picture after H*W windows. H*W tokens fill far fewer windows.",
            _found_by_tokens_of_picture,
        ),
        Mistake(
            "it counts the windows down the columns. They are numbered like words on a page.",
            _found_by_columns_of_windows,
        ),
        Mistake(
            "it takes the number of windows in a column for the number in a row.",
            _found_with_height_of_map,
        ),
        Mistake(
            "it takes a window's height for its width. One row of a window holds Mw tokens.",
            _found_with_height_of_window,
        ),
        Mistake(
            "it counts the tokens of a window down its columns. In a window, too, they are "
            "numbered like words on a page.",
            _found_down_the_window,
        ),
        Mistake(
            "this is the place inside the window. Where the window itself lies is missing.",
            _found_inside_only,
        ),
        Mistake(
            "this is the upper left token of the window. The place inside it is missing.",
            _found_corner,
        ),
        Mistake(
            "it adds windows and tokens as if they were equally large. The next window begins a "
            "whole window later.",
            _found_without_steps,
        ),
        Mistake(
            "it makes steps of Mw downwards and of Mh to the right. Down is the height, Mh.",
            _found_steps_swapped,
        ),
        Mistake(
            "the column comes before the row. Wanted is (picture, row, column).",
            _found_column_first,
        ),
    ),
)

# --- windows in a video -------------------------------------------------------------------------


def partition_video(x, window_size):
    """(B, T, H, W, C) to (B*num_windows, Mt, Mh, Mw, C), windows that do not overlap."""
    B, T, H, W, C = x.shape
    Mt, Mh, Mw = window_size
    x = x.reshape(B, T // Mt, Mt, H // Mh, Mh, W // Mw, Mw, C)
    x = x.permute(0, 1, 3, 5, 2, 4, 6, 7)  # what says *which* window to the front, in order
    return x.reshape(-1, Mt, Mh, Mw, C)


def _video(x, window_size, order):
    B, T, H, W, C = x.shape
    Mt, Mh, Mw = window_size
    x = x.reshape(B, T // Mt, Mt, H // Mh, Mh, W // Mw, Mw, C)
    return x.permute(order).reshape(-1, Mt, Mh, Mw, C)


def _reshaped(x, window_size):
    return x.reshape(-1, *window_size, x.shape[-1])


def _video_by_frames(x, window_size):
    return reference.window_partition(x.flatten(0, 1), window_size[1:])[:, None]


def _video_frames_joined(x, window_size):
    """Frames are cut one by one, and then Mt windows at a time are called one."""
    return reference.window_partition(x.flatten(0, 1), window_size[1:]).unflatten(
        0, (-1, window_size[0])
    )


def _video_frames_listed(x, window_size):
    return reference.window_partition(x.flatten(0, 1), window_size[1:])


def _video_space_first(x, window_size):
    return _video(x, window_size, (0, 3, 5, 1, 2, 4, 6, 7))


def _video_windows_first(x, window_size):
    return _video(x, window_size, (1, 3, 5, 0, 2, 4, 6, 7))


def _video_with_gaps(x, window_size):
    B, T, H, W, C = x.shape
    Mt, Mh, Mw = window_size
    x = x.reshape(B, Mt, T // Mt, Mh, H // Mh, Mw, W // Mw, C)
    return x.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(-1, Mt, Mh, Mw, C)


def _video_time_last(x, window_size):
    Mh, Mw, Mt = window_size
    return partition_video(x, (Mt, Mh, Mw))


def _video_sides_swapped(x, window_size):
    Mt, Mh, Mw = window_size
    return partition_video(x, (Mt, Mw, Mh))


def _video_long_windows(x, window_size):
    """T frames of a window, however many Mt are asked for."""
    return partition_video(x, (x.shape[1], *window_size[1:]))


def _videos():
    numbers = torch.arange(32.0).view(1, 4, 2, 4, 1)
    one = torch.arange(1 * 4 * 4 * 8 * 2.0).view(1, 4, 4, 8, 2)
    two = torch.arange(2 * 4 * 12 * 24 * 3.0).view(2, 4, 12, 24, 3)
    scattered = torch.randn(2, 3, 6, 6, 12, generator=torch.Generator().manual_seed(0))
    scattered = scattered.permute(0, 2, 3, 4, 1)  # (2, 6, 6, 12, 3), channels far apart
    return [
        Case("4 frames of 2 x 4 counting numbers", (numbers, (2, 2, 2))),
        Case("windows that are not square", (one, (2, 4, 1))),
        Case("two videos, and three unlike sides", (two, (2, 3, 4))),
        Case("windows of a single frame", (two, (1, 3, 2))),
        Case("windows as long as the video", (two, (4, 2, 12))),
        Case("a tensor that is not contiguous", (scattered, (3, 2, 6))),
        Case("half precision", (scattered.half(), (2, 6, 3))),
    ]


VIDEO = Exercise(
    solution=partition_video,
    cases=_videos,
    checked_on="7 videos: two at once, windows of three unlike sides, of a single frame, as long "
    "as the video, non-contiguous tensors, half precision",
    allowed=(reference.window_partition,),
    hints=(
        "Time is one more axis that is cut as rows and columns are. Which two numbers does frame t "
        "become?",
        "Split all three axes: (B, T/Mt, Mt, H/Mh, Mh, W/Mw, Mw, C). Which of these eight say "
        "which window it is, and which say where in the window?",
        "Those that say which window go to the front, after B, in the order time, rows, columns: "
        "dimensions 0, 1, 3 and 5. Then the others, and one `reshape`.",
    ),
    mistakes=(
        Mistake(
            "it reads the memory in pieces of a window's size. A window lies scattered in memory: "
            "its axes must be split and moved before they are merged.",
            _reshaped,
        ),
        Mistake(
            "every frame is cut by itself. A window reaches over Mt frames.",
            _video_by_frames,
            (_video_frames_listed,),
        ),
        Mistake(
            "frames are cut one by one, and then Mt windows at a time are joined. These are "
            "neighbours of one frame, not the same place in Mt frames: time must be cut as well.",
            _video_frames_joined,
        ),
        Mistake(
            "the windows are right, but come in another order: places first, times within. Time is "
            "the outermost axis, so the earliest windows come first.",
            _video_space_first,
        ),
        Mistake(
            "the windows are right, but the videos take turns. All windows of the first video come "
            "first.",
            _video_windows_first,
        ),
        Mistake(
            "its windows have gaps: it takes every so many-th token. Those of a window are "
            "neighbours.",
            _video_with_gaps,
        ),
        Mistake(
            "it takes the sides of the window for (Mh, Mw, Mt). Time comes first: (Mt, Mh, Mw).",
            _video_time_last,
        ),
        Mistake(
            "it takes a window's height for its width. The order is (Mt, Mh, Mw).",
            _video_sides_swapped,
        ),
        Mistake(
            "each window has all frames. Time is cut too, every Mt frames.", _video_long_windows
        ),
    ),
)

# --- windows with gaps --------------------------------------------------------------------------


def partition_grid(x, grid_size):
    """(B, H, W, C) to (B*num_windows, Gh, Gw, C), windows spread evenly over the whole map."""
    B, H, W, C = x.shape
    Gh, Gw = grid_size
    x = x.reshape(B, Gh, H // Gh, Gw, W // Gw, C)
    x = x.permute(0, 2, 4, 1, 3, 5)  # a window holds token n of *every* block of H/Gh x W/Gw
    return x.reshape(-1, Gh, Gw, C)


def _grid(x, grid_size, order):
    B, H, W, C = x.shape
    Gh, Gw = grid_size
    x = x.reshape(B, Gh, H // Gh, Gw, W // Gw, C)
    return x.permute(order).reshape(-1, Gh, Gw, C)


def _grid_ordinary(x, grid_size):
    return reference.window_partition(x, grid_size)


def _grid_size_as_step(x, grid_size):
    return partition_grid(x, (x.shape[1] // grid_size[0], x.shape[2] // grid_size[1]))


def _grid_blocks(x, grid_size):
    return reference.window_partition(x, (x.shape[1] // grid_size[0], x.shape[2] // grid_size[1]))


def _grid_down_columns(x, grid_size):
    return _grid(x, grid_size, (0, 4, 2, 1, 3, 5))


def _grid_takes_turns(x, grid_size):
    return _grid(x, grid_size, (2, 4, 0, 1, 3, 5))


def _grid_rows_only(x, grid_size):
    B, H, W, C = x.shape
    Gh, Gw = grid_size
    x = x.reshape(B, Gh, H // Gh, W // Gw, Gw, C)
    return x.permute(0, 2, 3, 1, 4, 5).reshape(-1, Gh, Gw, C)


def _grid_columns_only(x, grid_size):
    B, H, W, C = x.shape
    Gh, Gw = grid_size
    x = x.reshape(B, H // Gh, Gh, Gw, W // Gw, C)
    return x.permute(0, 1, 4, 2, 3, 5).reshape(-1, Gh, Gw, C)


def _grid_sides_swapped(x, grid_size):
    return partition_grid(x, grid_size[::-1])


def _maps():
    numbers = torch.arange(24.0).view(1, 4, 6, 1)
    wide = torch.arange(2 * 6 * 12 * 3.0).view(2, 6, 12, 3)
    scattered = torch.randn(2, 3, 6, 24, generator=torch.Generator().manual_seed(0))
    scattered = scattered.permute(0, 2, 3, 1)  # (2, 6, 24, 3), channels far apart
    return [
        Case("the lesson's 4 x 6 grid", (numbers, (2, 2))),
        Case("a grid that is not square", (torch.arange(32.0).view(1, 4, 8, 1), (4, 2))),
        Case("two pictures, and channels", (wide, (3, 2))),
        Case("a grid as large as the map", (wide, (6, 12))),
        Case("a grid of a single token", (wide, (1, 1))),
        Case("a tensor that is not contiguous", (scattered, (2, 3))),
        Case("half precision", (scattered.half(), (6, 3))),
    ]


GRID = Exercise(
    solution=partition_grid,
    cases=_maps,
    checked_on="7 maps: two pictures, channels, grids that are not square, as large as the map or "
    "a single token, non-contiguous tensors, half precision",
    allowed=(reference.window_partition,),
    hints=(
        "Take a single axis of 6 tokens and Gw = 2. The windows are (0, 3), (1, 4) and (2, 5). "
        "Which number stays the same within a window: j // 3 or j % 3?",
        "Split an axis of H into (Gh, H/Gh). Now the *second* part says which window it is, and "
        "the first where in the window.",
        "`x.reshape(B, Gh, H // Gh, Gw, W // Gw, C)`. Dimensions 2 and 4 go to the front, after "
        "B, and 1 and 3 after them.",
    ),
    mistakes=(
        Mistake(
            "these are the lesson's windows, of neighbours. In this grid a window's tokens lie "
            "H/Gh rows and W/Gw columns apart.",
            _grid_ordinary,
        ),
        Mistake(
            "it takes the size of a window for the step between its tokens. Gh and Gw say how many "
            "tokens a window has along each side.",
            _grid_size_as_step,
        ),
        Mistake(
            "it cuts into Gh x Gw blocks of neighbours. Wanted is the opposite: windows of Gh x Gw "
            "tokens, one from each of these blocks.",
            _grid_blocks,
        ),
        Mistake(
            "the windows are right, but counted down the columns. The second begins with the token "
            "to the right of where the first begins.",
            _grid_down_columns,
        ),
        Mistake(
            "the windows are right, but the pictures take turns. All windows of the first picture "
            "come first.",
            _grid_takes_turns,
        ),
        Mistake(
            "it reads the memory in pieces of a window's size. What says which window it is must "
            "first come to the front.",
            _reshaped,
        ),
        Mistake(
            "the rows of a window lie apart, but its columns are neighbours. Both must spread.",
            _grid_rows_only,
        ),
        Mistake(
            "the columns of a window lie apart, but its rows are neighbours. Both must spread.",
            _grid_columns_only,
        ),
        Mistake(
            "it takes the height of the grid for its width. grid_size is (Gh, Gw).",
            _grid_sides_swapped,
        ),
    ),
)

# --- the lesson's own pieces: cut into windows --------------------------------------------------


def window_partition(x, M):
    """Windows (B*num_windows, M, M, C) of a map (B, H, W, C), those of the first picture first."""
    B, H, W, C = x.shape
    x = x.reshape(B, H // M, M, W // M, M, C)  # row of windows, row inside; column, column inside
    x = x.permute(0, 1, 3, 2, 4, 5)  # which window to the front
    return x.reshape(-1, M, M, C)


def _partition(x, M, order):
    B, H, W, C = x.shape
    return x.reshape(B, H // M, M, W // M, M, C).permute(order).reshape(-1, M, M, C)


def _cut_as_it_lies(x, M):
    return x.reshape(-1, M, M, x.shape[-1])


def _cut_down_columns(x, M):
    return _partition(x, M, (0, 3, 1, 2, 4, 5))


def _cut_in_turns(x, M):
    return _partition(x, M, (1, 3, 0, 2, 4, 5))


def _cut_turned(x, M):
    return _partition(x, M, (0, 1, 3, 4, 2, 5))


def _cut_with_gaps(x, M):
    B, H, W, C = x.shape
    x = x.reshape(B, M, H // M, M, W // M, C)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(-1, M, M, C)


def _cut_width_first(x, M):
    B, W, H, C = x.shape
    return x.reshape(B, H // M, M, W // M, M, C).permute(0, 1, 3, 2, 4, 5).reshape(-1, M, M, C)


def _cut_to_lists(x, M):
    return window_partition(x, M).flatten(1, 2)


def _cut_pictures_apart(x, M):
    return window_partition(x, M).unflatten(0, (len(x), -1))


def _cut_channels_first(x, M):
    return window_partition(x, M).movedim(-1, 1)


def _maps_to_cut():
    numbers = torch.arange(24.0).view(1, 4, 6, 1)
    two = torch.arange(2 * 6 * 9 * 2.0).view(2, 6, 9, 2)
    tall = torch.arange(3 * 8 * 4 * 5.0).view(3, 8, 4, 5)
    scattered = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    scattered = scattered.permute(0, 2, 3, 1)  # (2, 8, 12, 3), channels far apart
    return [
        Case("the lesson's 4 x 6 grid", (numbers, 2)),
        Case("two pictures of two channels", (two, 3)),
        Case("three maps that are taller than wide", (tall, 2)),
        Case("a window as wide as the map", (tall, 4)),
        Case("windows of a single token", (two, 1)),
        Case("a tensor that is not contiguous", (scattered, 4)),
        Case("half precision", (scattered.half(), 2)),
    ]


PARTITION = Exercise(
    solution=window_partition,
    cases=_maps_to_cut,
    checked_on="7 maps: wide and tall, one to three at once, windows as wide as the map or of a "
    "single token, non-contiguous tensors, half precision",
    hints=(
        "The loop of section 2, over pictures as well, and `torch.stack`: that is a right answer "
        "already.",
        "Without loops: row i of the map is row i % M of the window row i // M. Split both axes "
        "accordingly, (B, H/M, M, W/M, M, C). A `reshape` does it, since nothing moves yet.",
        "Of these six axes B, H/M and W/M say which window it is: they go to the front, in this "
        "order. Then one `reshape(-1, M, M, C)` joins them.",
    ),
    mistakes=(
        Mistake(
            "it reads the memory in pieces of a window's size. The second row of a window lies a "
            "whole map row later: axes must be split and moved before they are joined.",
            _cut_as_it_lies,
        ),
        Mistake(
            "the windows are right, but counted down the columns. They come like words on a page.",
            _cut_down_columns,
        ),
        Mistake(
            "the windows are right, but the pictures take turns. All windows of the first picture "
            "come first.",
            _cut_in_turns,
        ),
        Mistake("every window is turned: its rows and columns are exchanged.", _cut_turned),
        Mistake(
            "its windows have gaps: it takes every so many-th token. Split an axis into (H/M, M), "
            "in this order.",
            _cut_with_gaps,
        ),
        Mistake(
            "it takes the width for the height. Rows come first: (B, H, W, C).", _cut_width_first
        ),
        Mistake(
            "every window is a list of tokens. Keep its rows and columns: (n, M, M, C).",
            _cut_to_lists,
        ),
        Mistake(
            "the pictures have a dimension of their own. Wanted is one long batch of windows.",
            _cut_pictures_apart,
        ),
        Mistake("the channels stand before rows and columns. They stay last.", _cut_channels_first),
    ),
)

# --- the lesson's own pieces: and put together --------------------------------------------------


def window_reverse(windows, M, H, W):
    """The map (B, H, W, C) that these windows (B*num_windows, M, M, C) were cut from."""
    C = windows.shape[-1]
    x = windows.reshape(-1, H // M, W // M, M, M, C)  # the batch follows from the rest
    x = x.permute(0, 1, 3, 2, 4, 5)  # row of windows, row inside; column, column inside
    return x.reshape(-1, H, W, C)


def _reverse(windows, M, H, W, order):
    x = windows.reshape(-1, H // M, W // M, M, M, windows.shape[-1])
    return x.permute(order).reshape(-1, H, W, windows.shape[-1])


def _joined_as_they_lie(windows, M, H, W):
    return windows.reshape(-1, H, W, windows.shape[-1])


def _joined_down_columns(windows, M, H, W):
    x = windows.reshape(-1, W // M, H // M, M, M, windows.shape[-1])
    return x.permute(0, 2, 3, 1, 4, 5).reshape(-1, H, W, windows.shape[-1])


def _joined_in_turns(windows, M, H, W):
    h, w = H // M, W // M
    x = windows.reshape(h, w, -1, M, M, windows.shape[-1])
    return x.permute(2, 0, 3, 1, 4, 5).reshape(-1, H, W, windows.shape[-1])


def _joined_turned(windows, M, H, W):
    return _reverse(windows, M, H, W, (0, 1, 4, 2, 3, 5))


def _joined_with_gaps(windows, M, H, W):
    return _reverse(windows, M, H, W, (0, 3, 1, 4, 2, 5))


def _joined_sides_exchanged(windows, M, H, W):
    return window_reverse(windows, M, W, H)


def _joined_sides_exchanged_and_shaped(windows, M, H, W):
    return window_reverse(windows, M, W, H).reshape(-1, H, W, windows.shape[-1])


def _joined_to_lists(windows, M, H, W):
    return window_reverse(windows, M, H, W).flatten(1, 2)


def _joined_one_picture(windows, M, H, W):
    return window_reverse(windows[: H // M * (W // M)], M, H, W)


def _windows_to_join():
    return [
        Case(case.what, (window_partition(*case.args), case.args[1], *case.args[0].shape[1:3]))
        for case in _maps_to_cut()[:-2]
    ] + [
        Case("windows that are not contiguous", (_scattered(12, 4, 4, 3), 4, 8, 12)),
        Case("half precision", (_scattered(6, 3, 3, 2).half(), 3, 9, 6)),
    ]


def _scattered(n, M, N, C):
    x = torch.randn(n, C, M, N, generator=torch.Generator().manual_seed(0))
    return x.permute(0, 2, 3, 1)


REVERSE = Exercise(
    solution=window_reverse,
    cases=_windows_to_join,
    checked_on="7 maps: wide and tall, one to three at once, windows as wide as the map or of a "
    "single token, non-contiguous tensors, half precision",
    hints=(
        "First give every window its place: the first axis is pictures, rows of windows and "
        "columns of windows, in this order. How many of each?",
        "(B, H/M, W/M, M, M, C), where B may be -1. In the map, a row of windows and the row "
        "inside it make a row. Which two axes must stand side by side?",
        "Swap the third and the fourth axis, as on the way there. Then `reshape(-1, H, W, C)`.",
    ),
    mistakes=(
        Mistake(
            "the windows are read as they lie in memory. Rows of neighbouring windows must be "
            "brought side by side before the axes are joined.",
            _joined_as_they_lie,
        ),
        Mistake(
            "it lays the windows down the columns. They come like words on a page.",
            _joined_down_columns,
        ),
        Mistake(
            "it lets the pictures take turns. All windows of the first picture come first.",
            _joined_in_turns,
        ),
        Mistake(
            "every window stands in its place, but turned: its rows and columns are exchanged.",
            _joined_turned,
        ),
        Mistake(
            "the tokens of a window are spread over the whole map. They are neighbours.",
            _joined_with_gaps,
        ),
        Mistake("it takes the width for the height.", _joined_sides_exchanged),
        Mistake(
            "it puts together a map of W x H and gives it the shape of one of H x W. That is "
            "right on squares only.",
            _joined_sides_exchanged_and_shaped,
        ),
        Mistake("the tokens come in a list. Wanted is a map: (B, H, W, C).", _joined_to_lists),
        Mistake("only the first picture comes back.", _joined_one_picture),
    ),
)

EXERCISES = (PARTITION, REVERSE, FIND, VIDEO, GRID)
