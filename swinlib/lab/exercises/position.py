"""Exercises of lesson 05: the index, from number to offset, any number of axes, other windows."""

import torch
import torch.nn.functional as F

from swinlib.lab.exercises.checking import Case, Exercise, Mistake, agree

# --- which offset is this? ----------------------------------------------------------------------


def offset_of(number, window_size):
    """(dy, dx), query minus key, of entry `number` of the bias table."""
    Mh, Mw = window_size
    row, column = divmod(number, 2 * Mw - 1)  # as many numbers as a row of the table has places
    return row - (Mh - 1), column - (Mw - 1)


def _offset(number, columns, up, left):
    return number // columns - up, number % columns - left


def _offset_not_moved(number, window_size):
    return _offset(number, 2 * window_size[1] - 1, 0, 0)


def _offset_of_key(number, window_size):
    Mh, Mw = window_size
    return tuple(-part for part in _offset(number, 2 * Mw - 1, Mh - 1, Mw - 1))


def _offset_columns_first(number, window_size):
    return offset_of(number, window_size)[::-1]


def _offset_divided_by_rows(number, window_size):
    Mh, Mw = window_size
    return _offset(number, 2 * Mh - 1, Mh - 1, Mw - 1)


def _offset_divided_by_window(number, window_size):
    Mh, Mw = window_size
    return _offset(number, Mw, Mh - 1, Mw - 1)


def _offset_too_long_a_row(number, window_size):
    Mh, Mw = window_size
    return _offset(number, 2 * Mw, Mh - 1, Mw - 1)


def _offset_moved_by_window(number, window_size):
    Mh, Mw = window_size
    return _offset(number, 2 * Mw - 1, Mh, Mw)


def _offset_moved_alike(number, window_size):
    _, Mw = window_size
    return _offset(number, 2 * Mw - 1, Mw - 1, Mw - 1)


def _offset_wraps(number, window_size):
    """The middle of the table found by counting: right where no row is left."""
    Mh, Mw = window_size
    middle = (Mh - 1) * (2 * Mw - 1) + Mw - 1
    away = abs(number - middle)
    sign = 1 if number >= middle else -1
    return sign * (away // (2 * Mw - 1)), sign * (away % (2 * Mw - 1))


def same_offset(got, wanted, *_):
    """As `agree`, but no list will do: the lesson compares offsets with tuples."""
    says = agree(got, wanted)
    if says is None and not isinstance(got, tuple):
        return "the numbers are right, but in a list. Wanted is a tuple: `return dy, dx`"
    return says


def _entries():
    return [
        Case("the smallest window", (5, (2, 2))),
        Case("the first entry of the table", (0, (3, 3))),
        Case("the middle of the table", (84, (7, 7))),
        Case("a key that is up on the right", (96, (7, 7))),
        Case("the lesson's 2 x 5 window", (20, (2, 5))),
        Case("a window that is taller than wide", (11, (5, 2))),
        Case("a window of a single row", (2, (1, 4))),
        Case("the last entry of a large table", (528, (12, 12))),
    ]


OFFSET = Exercise(
    solution=offset_of,
    cases=_entries,
    agree=same_offset,
    checked_on="8 entries: first, middle and last, of square, wide, high and single-row windows",
    hints=(
        "Undo the lesson's formula from its end: last came the sum of row times factor and column. "
        "Which operation takes that apart?",
        "`divmod` by the factor gives row and column of the table, both counted from 0. The "
        "offsets run from -(M - 1) to M - 1.",
        "The factor is 2 * Mw - 1, the length of a row. Then take away what was added to make "
        "everything count from 0: Mh - 1 below, Mw - 1 across.",
    ),
    mistakes=(
        Mistake(
            "this is the place in the table, counted from 0. Offsets have 0 in the middle.",
            _offset_not_moved,
        ),
        Mistake(
            "the signs are the wrong way round: this is key minus query, wanted is query minus "
            "key.",
            _offset_of_key,
        ),
        Mistake("dx comes before dy. Wanted is (dy, dx).", _offset_columns_first),
        Mistake(
            "it divides by the number of rows of the table. How long is one row of it?",
            _offset_divided_by_rows,
        ),
        Mistake(
            "it divides by the width of the window. The table is wider than the window.",
            _offset_divided_by_window,
        ),
        Mistake(
            "it makes a row of the table one place too long. Offsets run from -(Mw - 1) to Mw - 1, "
            "and 0 is counted once.",
            _offset_too_long_a_row,
        ),
        Mistake(
            "both parts are one too small. The smallest offset is -(M - 1), not -M.",
            _offset_moved_by_window,
        ),
        Mistake(
            "it takes the window's width for its height: dy starts at -(Mh - 1).",
            _offset_moved_alike,
        ),
        Mistake(
            "counting from the middle, it forgets that one step to the side may lead into the next "
            "row of the table.",
            _offset_wraps,
        ),
    ),
)

# --- an index for any number of axes ------------------------------------------------------------


def index_of_axes(window_size):
    """(N, N) of int64: the number of every pair's offset, for a window with any number of axes."""
    index = torch.zeros(1, 1, dtype=torch.int64)
    for M in window_size:
        offset = torch.arange(M)[:, None] - torch.arange(M) + M - 1  # (M, M), of this axis alone
        # The axes so far count for as many as this one has offsets, as the tens do for the ones.
        index = index[:, None, :, None] * (2 * M - 1) + offset[:, None, :]
        index = index.flatten(2).flatten(0, 1)  # a query is a row, a key a column
    return index


def _offsets(window_size):
    """(axes, N, N): the offsets of all pairs, counted from 0."""
    places = torch.cartesian_prod(*(torch.arange(M) for M in window_size)).view(
        -1, len(window_size)
    )
    return (places[:, None] - places + torch.tensor(window_size) - 1).movedim(-1, 0)


def _numbered(window_size, lengths):
    index = 0
    for offset, length in zip(_offsets(window_size), lengths, strict=True):
        index = index * length + offset
    return index


def _index_without_factor(window_size):
    return _numbered(window_size, [1] * len(window_size))


def _index_own_factor(window_size):
    """Each axis times its own 2M - 1, where those of the axes behind it belong."""
    factors = [2 * M - 1 for M in window_size[:-1]] + [1]
    return sum(o * f for o, f in zip(_offsets(window_size), factors, strict=True))


def _index_all_own_factors(window_size):
    factors = [2 * M - 1 for M in window_size]
    return sum(o * f for o, f in zip(_offsets(window_size), factors, strict=True))


def _index_next_factor(window_size):
    """Each axis times the 2M - 1 of the one behind it, and of no others."""
    factors = [2 * M - 1 for M in window_size[1:]] + [1]
    return sum(o * f for o, f in zip(_offsets(window_size), factors, strict=True))


def _index_one_factor(window_size):
    """Every axis but the last times the 2M - 1 of the last."""
    factors = [2 * window_size[-1] - 1] * (len(window_size) - 1) + [1]
    return sum(o * f for o, f in zip(_offsets(window_size), factors, strict=True))


def _index_window_as_factor(window_size):
    return _numbered(window_size, window_size)


def _index_long_factor(window_size):
    return _numbered(window_size, [2 * M for M in window_size])


def _index_key_minus_query(window_size):
    return index_of_axes(window_size).T


def _index_one_axis_moved(window_size):
    """Rows count from 0, columns from -(Mw - 1)."""
    return index_of_axes(window_size) - (window_size[1] - 1)


def _index_negative(window_size):
    index = index_of_axes(window_size)
    return index - index[0, 0]


def _index_backwards(window_size):
    """The first axis counts for one, the last for most."""
    lengths = [2 * M - 1 for M in window_size]
    index = 0
    for offset, length in zip(_offsets(window_size).flip(0), lengths[::-1], strict=True):
        index = index * length + offset
    return index


def _index_tokens_backwards(window_size):
    """Tokens are counted along the first axis first."""
    N = len(index_of_axes(window_size))
    order = torch.arange(N).view(*window_size).permute(*range(len(window_size))[::-1]).flatten()
    return index_of_axes(window_size)[order][:, order]


def _index_without_sign(window_size):
    """The distance, whichever way."""
    index = 0
    for offset, M in zip(_offsets(window_size), window_size, strict=True):
        index = index * (2 * M - 1) + (offset - M + 1).abs()
    return index


def _index_two_axes(window_size):
    """The last two axes only."""
    return index_of_axes(window_size[-2:])


def _windows():
    return [
        Case("three tokens in a row", ((3,),)),
        Case("the smallest window", ((2, 2),)),
        Case("a window that is not square", ((2, 3),)),
        Case("a window of a single column", ((4, 1),)),
        Case("three axes", ((2, 2, 2),)),
        Case("three unlike axes", ((2, 4, 3),)),
        Case("four axes", ((2, 1, 3, 2),)),
        Case("the windows of the paper", ((7, 7),)),
        Case("boxes of a video", ((2, 5, 7),)),
    ]


AXES = Exercise(
    solution=index_of_axes,
    cases=_windows,
    checked_on="9 windows with one to four axes: unlike sides, sides of 1, 7 x 7, and 2 x 5 x 7",
    hints=(
        "Three digits make one number as two do: 3, 5 and 2 make (3 * 10 + 5) * 10 + 2. Here the "
        "digits are offsets, and every axis has its own number of them.",
        "Start with an index of zeros and take one axis after the other: old index times the "
        "number of offsets of the new axis, plus the new axis' offset, counted from 0.",
        "Coordinates of all tokens: `torch.cartesian_prod(*[torch.arange(M) for M in window_size])`"
        " is (N, axes) with two axes or more. Without them: a query's old number is a row, its new "
        "one too, so `index[:, None, :, None]` and `offset[:, None, :]` broadcast to four "
        "dimensions, the first two of which are the query.",
    ),
    mistakes=(
        Mistake(
            "the parts are added up without a factor, so that offsets of different axes share "
            "numbers.",
            _index_without_factor,
        ),
        Mistake(
            "every axis is multiplied by its own number of offsets. What counts is how many "
            "numbers the axes *after* it can make.",
            _index_own_factor,
            (_index_all_own_factors,),
        ),
        Mistake(
            "every axis is multiplied by the number of offsets of the next one alone. With three "
            "axes, a step along the first must count for all that the other *two* can make.",
            _index_next_factor,
        ),
        Mistake(
            "all axes but the last get the same factor. One step along the first of three must "
            "count for all the numbers that the other two can make.",
            _index_one_factor,
        ),
        Mistake(
            "it multiplies by the side of the window. The offsets along a side are almost twice as "
            "many.",
            _index_window_as_factor,
        ),
        Mistake(
            "it multiplies by 2M, so that some rows of the table are never read. How many "
            "different offsets has an axis?",
            _index_long_factor,
        ),
        Mistake(
            "it takes key minus query. Queries go down, keys across, and the offset is query minus "
            "key.",
            _index_key_minus_query,
        ),
        Mistake(
            "the numbers are right but for where they start: every offset must count from 0.",
            _index_negative,
        ),
        Mistake(
            "the first axis counts for one and the last for most. As in the lesson, the last axis "
            "counts for one.",
            _index_backwards,
        ),
        Mistake(
            "the tokens are counted along the first axis first. Token 1 is the neighbour of token "
            "0 along the *last* axis.",
            _index_tokens_backwards,
        ),
        Mistake(
            "it takes distances for offsets: one to the left and one to the right share a number.",
            _index_without_sign,
        ),
        Mistake(
            "it looks at two axes only. There may be any number of them.",
            _index_two_axes,
        ),
    ),
)

# --- a table for another window -----------------------------------------------------------------


def resize_table(table, old_size, new_size):
    """((2Mh-1)*(2Mw-1), heads) of a window of old_size to the same of one of new_size."""
    rows, columns = (2 * M - 1 for M in old_size)
    size = [2 * M - 1 for M in new_size]
    picture = table.float().T.reshape(1, -1, rows, columns)  # heads are the channels of a picture
    picture = F.interpolate(picture, size=size, mode="bicubic", align_corners=False)
    return picture.flatten(2)[0].T.to(table.dtype)


def _resized(table, old_size, new_size, mode="bicubic", **settings):
    rows, columns = (2 * M - 1 for M in old_size)
    size = [2 * M - 1 for M in new_size]
    if mode != "nearest":
        settings = {"align_corners": False, **settings}
    picture = table.float().T.reshape(1, -1, rows, columns)
    picture = F.interpolate(picture, size=size, mode=mode, **settings)
    return picture.flatten(2)[0].T.to(table.dtype)


def _table_not_transposed(table, old_size, new_size):
    """The flat table read as (heads, rows, columns), although heads are its last axis."""
    rows, columns = (2 * M - 1 for M in old_size)
    size = [2 * M - 1 for M in new_size]
    picture = table.float().reshape(1, -1, rows, columns)
    picture = F.interpolate(picture, size=size, mode="bicubic", align_corners=False)
    return picture.flatten(2)[0].T.to(table.dtype)


def _table_not_transposed_back(table, old_size, new_size):
    picture = _resized(table, old_size, new_size).T
    return picture.reshape(-1, table.shape[1])


def _table_never_transposed(table, old_size, new_size):
    rows, columns = (2 * M - 1 for M in old_size)
    size = [2 * M - 1 for M in new_size]
    picture = table.float().reshape(1, -1, rows, columns)
    picture = F.interpolate(picture, size=size, mode="bicubic", align_corners=False)
    return picture.reshape(-1, table.shape[1]).to(table.dtype)


def _table_bilinear(table, old_size, new_size):
    return _resized(table, old_size, new_size, mode="bilinear")


def _table_nearest(table, old_size, new_size):
    return _resized(table, old_size, new_size, mode="nearest")


def _table_corners(table, old_size, new_size):
    return _resized(table, old_size, new_size, align_corners=True)


def _table_antialiased(table, old_size, new_size):
    return _resized(table, old_size, new_size, antialias=True)


def _table_rows_for_columns(table, old_size, new_size):
    return _resized(table, old_size[::-1], new_size)


def _table_new_swapped(table, old_size, new_size):
    return _resized(table, old_size, new_size[::-1])


def _table_both_swapped(table, old_size, new_size):
    return _resized(table, old_size[::-1], new_size[::-1])


def _table_flat(table, old_size, new_size):
    """Stretched as one long line of numbers."""
    rows, columns = (2 * M - 1 for M in new_size)
    line = F.interpolate(table.float().T[:, None, None], size=(1, rows * columns), mode="bicubic")
    return line.flatten(1).T.to(table.dtype)


def _table_cropped(table, old_size, new_size):
    """The middle of the old table, or the old table in the middle of zeros."""
    rows, columns = (2 * M - 1 for M in old_size)
    down, right = (new - old for new, old in zip(new_size, old_size, strict=True))
    picture = table.T.reshape(-1, rows, columns)
    return F.pad(picture, (right, right, down, down)).flatten(1).T


def _table_one_head(table, old_size, new_size):
    return _resized(table.mean(1, keepdim=True), old_size, new_size).expand(-1, table.shape[1])


def _tables():
    generator = torch.Generator().manual_seed(0)

    def numbers(Mh, Mw, heads):
        return torch.randn((2 * Mh - 1) * (2 * Mw - 1), heads, generator=generator)

    whole = torch.randperm(18, generator=generator).view(9, 2).float()
    scattered = numbers(4, 3, 3).T.contiguous().T  # a head's numbers lie together
    return [
        Case("two heads, and 3 x 3 tokens instead of 2 x 2", (whole, (2, 2), (3, 3))),
        Case("a single head", (numbers(4, 4, 1), (4, 4), (5, 5))),
        Case("a smaller window", (numbers(5, 5, 3), (5, 5), (3, 3))),
        Case("a window that is not square", (numbers(3, 5, 3), (3, 5), (4, 6))),
        Case("unlike changes", (numbers(4, 3, 2), (4, 3), (2, 6))),
        Case("the same window again", (numbers(3, 4, 2), (3, 4), (3, 4))),
        Case("a table that is not contiguous", (scattered, (4, 3), (6, 5))),
        Case("half precision", (numbers(7, 7, 4).half(), (7, 7), (8, 8))),
        Case("the first stage of Swin-T, 7 x 7 to 12 x 12", (numbers(7, 7, 3), (7, 7), (12, 12))),
    ]


RESIZE = Exercise(
    solution=resize_table,
    cases=_tables,
    checked_on="9 tables: one head and several, smaller and larger windows, not square, unlike "
    "changes, the same window, non-contiguous tensors, half precision",
    hints=(
        "`F.interpolate` resizes pictures, (batch, channels, rows, columns). What of a table would "
        "you call its channels, and how many rows and columns has it?",
        "The heads are the channels, but they are the *last* axis of the table, and a reshape does "
        "not move an axis. Both at the beginning and at the end one transpose is needed.",
        "`table.T.reshape(1, heads, rows, columns)`, then `F.interpolate` with `size`, mode "
        '"bicubic" and `align_corners=False`, then flatten the last two and transpose. Half '
        "precision: interpolate in float32 and go back at the end.",
    ),
    mistakes=(
        Mistake(
            "the table is read as if the heads came first. They are its last axis, and must be "
            "moved to the front before the rest becomes rows and columns.",
            _table_not_transposed,
        ),
        Mistake(
            "on the way back the heads are merged with the offsets in the wrong order: they must "
            "be moved to the end, not only reshaped.",
            _table_not_transposed_back,
        ),
        Mistake(
            "the heads are mixed up, on the way there and on the way back: a reshape does not move "
            "an axis.",
            _table_never_transposed,
        ),
        Mistake("these are the numbers of bilinear resizing. Wanted is bicubic.", _table_bilinear),
        Mistake(
            "it takes the nearest old number everywhere. Wanted is bicubic resizing.",
            _table_nearest,
        ),
        Mistake(
            "it aligns the corners, as with `align_corners=True`. The official code has False.",
            _table_corners,
        ),
        Mistake(
            "it smooths before it shrinks, as with `antialias=True`. The official code does not.",
            _table_antialiased,
        ),
        Mistake(
            "it takes the rows of the old table for its columns. A table has 2*Mh - 1 rows.",
            _table_rows_for_columns,
        ),
        Mistake(
            "the rows of the new table are as many as its columns should be. Height comes first.",
            _table_new_swapped,
        ),
        Mistake(
            "it takes width for height, in the old table and in the new one.", _table_both_swapped
        ),
        Mistake(
            "it stretches one long line of numbers. The table is a picture: its rows and columns "
            "must be resized separately.",
            _table_flat,
        ),
        Mistake(
            "it keeps the old numbers and cuts off or adds what differs. Wanted is the whole "
            "table, resized like a picture.",
            _table_cropped,
        ),
        Mistake(
            "all heads get the same numbers. Each has a table of its own to be resized.",
            _table_one_head,
        ),
    ),
)

# --- the index of a window ----------------------------------------------------------------------


def relative_position_index(window_size):
    """(N, N) of int64: the number of every pair's offset, in a window of (Mh, Mw) tokens."""
    Mh, Mw = window_size
    y = torch.arange(Mh).repeat_interleave(Mw)  # the row of each token: 0, 0, ..., 1, 1, ...
    x = torch.arange(Mw).repeat(Mh)  # its column: 0, 1, ..., 0, 1, ...
    dy = y[:, None] - y + Mh - 1  # queries down, keys across; from 0 on
    dx = x[:, None] - x + Mw - 1
    return dy * (2 * Mw - 1) + dx


def _square_factor(window_size):
    """The 2M - 1 of the height."""
    dy, dx = _offsets(window_size)
    return dy * (2 * window_size[0] - 1) + dx


def _columns_count_for_more(window_size):
    """dx, times the length of a column of the table, plus dy."""
    dy, dx = _offsets(window_size)
    return dx * (2 * window_size[0] - 1) + dy


def _some_windows():
    return [
        Case("the smallest window", ((2, 2),)),
        Case("a square window", ((3, 3),)),
        Case("a window that is wider than tall", ((2, 3),)),
        Case("a window that is taller than wide", ((4, 2),)),
        Case("a single row", ((1, 4),)),
        Case("a single column", ((5, 1),)),
        Case("the window of the paper", ((7, 7),)),
    ]


INDEX = Exercise(
    solution=relative_position_index,
    cases=_some_windows,
    checked_on="7 windows: square, wide, high, a single row, a single column, 7 x 7",
    hints=(
        "Begin with two vectors of N numbers: the row and the column of each token. "
        "`v[:, None] - v[None, :]` then holds the difference of every pair.",
        "Both parts of an offset must count from 0: what is the smallest dy, and the smallest dx? "
        "Then section 3: a step down counts for a whole row of the table.",
        "dy + Mh - 1 is a row of the table, dx + Mw - 1 a column of it, and a row has 2 * Mw - 1 "
        "places. The rows of the tokens are `torch.arange(Mh).repeat_interleave(Mw)`.",
    ),
    mistakes=(
        Mistake(
            "the two parts are added up without a factor, so that above and left share a number.",
            _index_without_factor,
        ),
        Mistake(
            "the factor is made from the height of the window. How long is one row of the table?",
            _square_factor,
        ),
        Mistake(
            "the factor is the width of the window, as if the tokens' numbers were subtracted: the "
            "end of a row and the start of the next look like neighbours. Offsets along a row are "
            "almost twice as many.",
            _index_window_as_factor,
        ),
        Mistake(
            "the factor is one too large, so that some numbers are never used. How many different "
            "dx are there?",
            _index_long_factor,
        ),
        Mistake(
            "this is key minus query. Queries go down, keys across, and the offset is query minus "
            "key.",
            _index_key_minus_query,
        ),
        Mistake(
            "the numbers are right but for where they start: both parts must count from 0.",
            _index_negative,
        ),
        Mistake(
            "dy counts from 0 and dx does not: its smallest is -(Mw - 1), which must become 0 too.",
            _index_one_axis_moved,
        ),
        Mistake(
            "a step to the side counts for more than a step down. The table is read row by row, so "
            "it is dy that is multiplied.",
            _columns_count_for_more,
        ),
        Mistake(
            "the tokens are counted down the columns. Token 1 is the right neighbour of token 0.",
            _index_tokens_backwards,
        ),
        Mistake(
            "it takes distances for offsets: left and right share a number.",
            _index_without_sign,
        ),
    ),
)

EXERCISES = (INDEX, OFFSET, AXES, RESIZE)
