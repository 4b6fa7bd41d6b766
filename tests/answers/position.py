"""Answers to the exercises of lesson 05."""

from itertools import product

import numpy as np
import torch
import torch.nn.functional as F

# --- relative_position_index --------------------------------------------------------------------


def two_axes_from_zero(window_size):
    dy, dx = from_zero(window_size)
    return dy, dx, 2 * window_size[0] - 1, 2 * window_size[1] - 1


def pairs_added(window_size):
    dy, dx, _, _ = two_axes_from_zero(window_size)
    return dy + dx


def pairs_times_height(window_size):
    dy, dx, rows, _ = two_axes_from_zero(window_size)
    return dy * rows + dx


def pairs_times_two_m(window_size):
    dy, dx, _, columns = two_axes_from_zero(window_size)
    return dy * (columns + 1) + dx


def pairs_key_minus_query(window_size):
    place = places_of(window_size)
    dy, dx = place[:, None, :] - place[:, :, None]
    mh, mw = window_size
    return (dy + mh - 1) * (2 * mw - 1) + dx + mw - 1


def pairs_not_moved(window_size):
    place = places_of(window_size)
    dy, dx = place[:, :, None] - place[:, None, :]
    return dy * (2 * window_size[1] - 1) + dx


def pairs_only_dy_moved(window_size):
    place = places_of(window_size)
    dy, dx = place[:, :, None] - place[:, None, :]
    return (dy + window_size[0] - 1) * (2 * window_size[1] - 1) + dx


def pairs_across_first(window_size):
    dy, dx, rows, _ = two_axes_from_zero(window_size)
    return dx * rows + dy


def pairs_by_xy(window_size):
    """meshgrid as NumPy has it, and the tokens down the columns."""
    mh, mw = window_size
    x, y = torch.meshgrid(torch.arange(mw), torch.arange(mh), indexing="ij")
    y, x = y.flatten(), x.flatten()
    return (y[:, None] - y + mh - 1) * (2 * mw - 1) + x[:, None] - x + mw - 1


def pairs_distance(window_size):
    place = places_of(window_size)
    dy, dx = (place[:, :, None] - place[:, None, :]).abs()
    return dy * (2 * window_size[1] - 1) + dx


def pairs_by_token_number(window_size):
    number = torch.arange(window_size[0] * window_size[1])
    return number[:, None] - number[None, :] + len(number) - 1


def pairs_square_only(window_size):
    m = window_size[0]
    dy, dx = from_zero((m, m))
    return dy * (2 * m - 1) + dx


def pairs_as_two_numbers(window_size):
    return torch.stack(from_zero(window_size))


def pairs_as_float(window_size):
    mh, mw = window_size
    y = torch.arange(float(mh)).repeat_interleave(mw)
    x = torch.arange(float(mw)).repeat(mh)
    return (y[:, None] - y + mh - 1) * (2 * mw - 1) + x[:, None] - x + mw - 1


def pairs_as_official(window_size):
    """Move, multiply in place, and add up, as in the official code."""
    place = places_of(window_size)
    offset = (place[:, :, None] - place[:, None, :]).permute(1, 2, 0).contiguous()
    offset[:, :, 0] += window_size[0] - 1
    offset[:, :, 1] += window_size[1] - 1
    offset[:, :, 0] *= 2 * window_size[1] - 1
    return offset.sum(-1)


def pairs_by_numpy(window_size):
    y, x = np.divmod(np.arange(window_size[0] * window_size[1]), window_size[1])
    dy, dx = np.subtract.outer(y, y), np.subtract.outer(x, x)
    index = (dy + window_size[0] - 1) * (2 * window_size[1] - 1) + dx + window_size[1] - 1
    return torch.from_numpy(index)


# --- offset_of ----------------------------------------------------------------------------------


def offset_from_zero(number, window_size):
    width = 2 * window_size[1] - 1
    return number // width, number % width


def offset_key_minus_query(number, window_size):
    dy, dx = offset_from_list(number, window_size)
    return -dy, -dx


def offset_xy(number, window_size):
    dy, dx = offset_from_list(number, window_size)
    return dx, dy


def offset_height(number, window_size):
    mh, mw = window_size
    return number // (2 * mh - 1) - mh + 1, number % (2 * mh - 1) - mw + 1


def offset_window(number, window_size):
    mh, mw = window_size
    return number // mw - mh + 1, number % mw - mw + 1


def offset_two_m(number, window_size):
    mh, mw = window_size
    return number // (2 * mw) - (mh - 1), number % (2 * mw) - (mw - 1)


def offset_minus_m(number, window_size):
    mh, mw = window_size
    row, column = divmod(number, 2 * mw - 1)
    return row - mh, column - mw


def offset_one_m(number, window_size):
    """The lesson's square window."""
    m = window_size[1]
    return number // (2 * m - 1) - (m - 1), number % (2 * m - 1) - (m - 1)


def offset_from_the_middle(number, window_size):
    mh, mw = window_size
    away = number - ((2 * mh - 1) * (2 * mw - 1)) // 2
    size = divmod(abs(away), 2 * mw - 1)
    return size if away >= 0 else (-size[0], -size[1])


def offset_as_float(number, window_size):
    mh, mw = window_size
    return number / (2 * mw - 1) - (mh - 1), number % (2 * mw - 1) - (mw - 1)


def offset_absolute(number, window_size):
    dy, dx = offset_from_list(number, window_size)
    return abs(dy), abs(dx)


def offset_of_seven(number, window_size):
    return number // 13 - 6, number % 13 - 6


def offset_list_of_all(number, window_size):
    mh, mw = window_size
    return list(product(range(1 - mh, mh), range(1 - mw, mw)))


def offset_from_list(number, window_size):
    """All offsets in order."""
    mh, mw = window_size
    return list(product(range(1 - mh, mh), range(1 - mw, mw)))[number]


def offset_from_pairs(number, window_size):
    """Any pair of tokens that looks this row up."""
    mh, mw = window_size
    places = list(product(range(mh), range(mw)))
    for (y, x), (v, u) in product(places, places):
        if (y - v + mh - 1) * (2 * mw - 1) + x - u + mw - 1 == number:
            return y - v, x - u


def offset_by_numpy(number, window_size):
    mh, mw = window_size
    place = np.unravel_index(number, (2 * mh - 1, 2 * mw - 1))
    return int(place[0]) - mh + 1, int(place[1]) - mw + 1


# --- index_of_axes ------------------------------------------------------------------------------


def places_of(window_size):
    grids = torch.meshgrid(*[torch.arange(m) for m in window_size], indexing="ij")
    return torch.stack(grids).flatten(1)  # (axes, N)


def from_zero(window_size):
    place = places_of(window_size)
    offset = place[:, :, None] - place[:, None, :]
    return [o + m - 1 for o, m in zip(offset, window_size, strict=True)]


def index_with_strides(window_size):
    """A factor for each axis, from the last on."""
    index, factor = 0, 1
    for offset, m in reversed(list(zip(from_zero(window_size), window_size, strict=True))):
        index = index + factor * offset
        factor *= 2 * m - 1
    return index


def index_loops(window_size):
    places = list(product(*[range(m) for m in window_size]))
    rows = []
    for query in places:
        row = []
        for key in places[:]:
            number = 0
            for q, k, m in zip(query, key, window_size, strict=True):
                number = number * (2 * m - 1) + q - k + m - 1
            row.append(number)
        rows.append(row)
    return torch.tensor(rows)


def index_from_a_table(window_size):
    """The table's numbers, and the piece of it that each query reads, last query first."""
    sides = [2 * m - 1 for m in window_size]
    table = torch.arange(int(np.prod(sides))).view(sides)
    for axis, m in enumerate(window_size):
        table = table.unfold(axis, m, 1)
    n = len(window_size)
    pieces = table.reshape(int(np.prod(window_size)), *window_size)
    return pieces.flip(list(range(1, n + 1))).flatten(1)


def index_kron(window_size):
    """Every axis' differences, spread out over the others."""
    total = torch.tensor([[0]])
    for m in window_size:
        d = torch.arange(m)[:, None] - torch.arange(m)[None, :] + (m - 1)
        n = len(total)
        total = total.repeat_interleave(m, 0).repeat_interleave(m, 1) * (2 * m - 1) + d.repeat(n, n)
    return total


def index_sum(window_size):
    return sum(from_zero(window_size))


def index_own(window_size):
    parts = from_zero(window_size)
    index = parts[-1]
    for part, m in zip(parts[:-1], window_size[:-1], strict=True):
        index = index + part * (2 * m - 1)
    return index


def index_last_factor(window_size):
    parts = from_zero(window_size)
    return sum(parts[:-1], start=torch.tensor(0)) * (2 * window_size[-1] - 1) + parts[-1]


def index_times_m(window_size):
    number = 0
    for part, m in zip(from_zero(window_size), window_size, strict=True):
        number = number * m + part
    return number


def index_times_two_m(window_size):
    number = 0
    for part, m in zip(from_zero(window_size), window_size, strict=True):
        number = number * 2 * m + part
    return number


def index_reversed_pair(window_size):
    return index_with_strides(window_size).transpose(0, 1)


def index_from_minus(window_size):
    """Forgets to add M - 1."""
    place = places_of(window_size)
    offset = place[:, :, None] - place[:, None, :]
    number = torch.zeros_like(offset[0])
    for part, m in zip(offset, window_size, strict=True):
        number = number * (2 * m - 1) + part
    return number


def index_first_axis_least(window_size):
    index, factor = 0, 1
    for offset, m in zip(from_zero(window_size), window_size, strict=True):
        index, factor = index + factor * offset, factor * (2 * m - 1)
    return index


def index_xy(window_size):
    """Tokens by columns."""
    places = list(product(*[range(m) for m in window_size[::-1]]))
    index = torch.zeros(len(places), len(places), dtype=torch.int64)
    for i, query in enumerate(places):
        for j, key in enumerate(places):
            for q, k, m in zip(query[::-1], key[::-1], window_size, strict=True):
                index[i, j] = index[i, j] * (2 * m - 1) + q - k + m - 1
    return index


def index_distance(window_size):
    place = places_of(window_size)
    number = 0
    for part, m in zip(place[:, :, None] - place[:, None], window_size, strict=True):
        number = number * (2 * m - 1) + part.abs()
    return number


def index_of_planes(window_size):
    return index_with_strides(window_size[-2:])


def index_of_two(window_size):
    """The lesson's cell, for windows of two axes."""
    Mh, Mw = window_size
    row, column = from_zero((Mh, Mw))
    return row * (2 * Mw - 1) + column


def index_unrolled(window_size):
    """(M, M, M, M) for a window of M x M: queries and keys are not merged."""
    return index_with_strides(window_size).view(*window_size, *window_size)


def index_as_float(window_size):
    return index_with_strides(window_size).float()


def index_flat(window_size):
    return index_with_strides(window_size).flatten()


# --- resize_table -------------------------------------------------------------------------------


def sides(window_size):
    return 2 * window_size[0] - 1, 2 * window_size[1] - 1


def resized(table, old, new, **settings):
    settings = {"mode": "bicubic", "align_corners": False, **settings}
    picture = table.unflatten(0, old).permute(2, 0, 1)[None].float()
    return F.interpolate(picture, new, **settings)[0].permute(1, 2, 0).flatten(0, 1).to(table)


def table_by_head(table, old_size, new_size):
    columns = []
    for head in range(table.shape[1]):
        picture = table[:, head].reshape(1, 1, *sides(old_size)).float()
        picture = F.interpolate(picture, sides(new_size), mode="bicubic")
        columns.append(picture.flatten())
    return torch.stack(columns, dim=1).to(table.dtype)


def table_in_its_own_precision(table, old_size, new_size):
    picture = table.unflatten(0, sides(old_size)).permute(2, 0, 1)[None]
    picture = F.interpolate(picture, sides(new_size), mode="bicubic", align_corners=False)
    return picture[0].permute(1, 2, 0).flatten(0, 1)


def table_by_matrices(table, old_size, new_size):
    """One matrix along the rows, one along the columns."""
    matrices = []
    for old, new in zip(sides(old_size), sides(new_size), strict=True):
        eye = torch.eye(old)[None, :, :, None]  # every place of a line its own channel
        line = F.interpolate(eye, (new, 1), mode="bicubic", align_corners=False)
        matrices.append(line[0, :, :, 0].T)  # (new, old)
    picture = table.unflatten(0, sides(old_size)).float()
    out = torch.einsum("ry,cx,yxh->rch", *matrices, picture)
    return out.reshape(-1, table.shape[1]).to(table.dtype)


def table_heads_first(table, old_size, new_size):
    picture = table.reshape(1, table.shape[1], *sides(old_size)).float()
    picture = F.interpolate(picture, sides(new_size), mode="bicubic", align_corners=False)
    return picture.permute(0, 2, 3, 1).reshape(-1, table.shape[1]).to(table.dtype)


def table_back_by_reshape(table, old_size, new_size):
    picture = table.t().reshape(1, table.shape[1], *sides(old_size)).float()
    picture = F.interpolate(picture, sides(new_size), mode="bicubic", align_corners=False)
    return picture.reshape(-1, table.shape[1]).to(table.dtype)


def table_reshaped_twice(table, old_size, new_size):
    picture = table.reshape(1, table.shape[1], *sides(old_size)).float()
    picture = F.interpolate(picture, sides(new_size), mode="bicubic", align_corners=False)
    return picture.reshape(-1, table.shape[1]).to(table.dtype)


def table_linear(table, old_size, new_size):
    return resized(table, sides(old_size), sides(new_size), mode="bilinear")


def table_copies(table, old_size, new_size):
    settings = {"mode": "nearest", "align_corners": None}
    return resized(table, sides(old_size), sides(new_size), **settings)


def table_corner_on_corner(table, old_size, new_size):
    return resized(table, sides(old_size), sides(new_size), align_corners=True)


def table_smoothed(table, old_size, new_size):
    return resized(table, sides(old_size), sides(new_size), antialias=True)


def table_old_turned(table, old_size, new_size):
    return resized(table, sides(old_size)[::-1], sides(new_size))


def table_new_turned(table, old_size, new_size):
    return resized(table, sides(old_size), sides(new_size)[::-1])


def table_xy(table, old_size, new_size):
    return resized(table, sides(old_size)[::-1], sides(new_size)[::-1])


def table_as_a_line(table, old_size, new_size):
    rows, columns = sides(new_size)
    size = (rows * columns, 1)
    line = F.interpolate(table.T[None, :, :, None].float(), size, mode="bicubic")
    return line[0, :, :, 0].T.to(table.dtype)


def table_in_the_middle(table, old_size, new_size):
    old, new = sides(old_size), sides(new_size)
    out = table.new_zeros(*new, table.shape[1])
    down, right = ((n - o) // 2 for n, o in zip(new, old, strict=True))
    for y, x in product(range(old[0]), range(old[1])):
        if 0 <= y + down < new[0] and 0 <= x + right < new[1]:
            out[y + down, x + right] = table[y * old[1] + x]
    return out.flatten(0, 1)


def table_shared(table, old_size, new_size):
    one = resized(table.float().mean(1)[:, None], sides(old_size), sides(new_size))
    return one.repeat(1, table.shape[1]).to(table.dtype)


def table_square_only(table, old_size, new_size):
    old = round(len(table) ** 0.5)
    return resized(table, (old, old), sides(new_size))


def table_window_for_table(table, old_size, new_size):
    return resized(table, sides(old_size), new_size)


def table_with_a_batch(table, old_size, new_size):
    return resized(table, sides(old_size), sides(new_size))[None]


def table_as_picture(table, old_size, new_size):
    return resized(table, sides(old_size), sides(new_size)).unflatten(0, sides(new_size))


def table_viewed(table, old_size, new_size):
    heads = table.shape[1]
    picture = table.view(*sides(old_size), heads).view(-1).view(*sides(old_size), heads)
    return resized(picture.flatten(0, 1), sides(old_size), sides(new_size))


def table_in_float32(table, old_size, new_size):
    return resized(table.float(), sides(old_size), sides(new_size))


def table_written_to(table, old_size, new_size):
    table -= table.mean()
    return resized(table, sides(old_size), sides(new_size))


# --- more of all three --------------------------------------------------------------------------


def offset_recursive(number, window_size):
    width = 2 * window_size[1] - 1
    if number < width:
        return 1 - window_size[0], number + 1 - window_size[1]
    dy, dx = offset_recursive(number - width, window_size)
    return dy + 1, dx


def offset_of_numpy_numbers(number, window_size):
    mh, mw = window_size
    row, column = np.unravel_index(number, (2 * mh - 1, 2 * mw - 1))
    return row - mh + 1, column - mw + 1


def offset_in_a_list(number, window_size):
    return list(offset_from_list(number, window_size))


def offset_of_floats(number, window_size):
    return tuple(map(float, offset_from_list(number, window_size)))


def offset_of_zero(number, window_size):
    return (0, 0)


def index_recursive(window_size):
    if not window_size:
        return torch.zeros(1, 1, dtype=torch.int64)
    *outer, m = window_size
    total = index_recursive(outer)
    d = torch.arange(m)[:, None] - torch.arange(m) + m - 1
    return torch.kron(total, torch.ones(m, m).long()) * (2 * m - 1) + d.repeat(*total.shape)


def index_by_numpy(window_size):
    parts = [part.numpy() for part in from_zero(window_size)]
    return torch.from_numpy(np.ravel_multi_index(parts, [2 * m - 1 for m in window_size]))


def index_next_alone(window_size):
    factors = [2 * m - 1 for m in window_size[1:]] + [1]
    return sum(part * f for part, f in zip(from_zero(window_size), factors, strict=True))


def index_in_int32(window_size):
    return index_with_strides(window_size).int()


def table_by_upsample(table, old_size, new_size):
    picture = table.float().T.unflatten(1, sides(old_size))[:, None]
    picture = torch.nn.Upsample(size=sides(new_size), mode="bicubic")(picture)
    return picture.flatten(1).T.to(table.dtype)


def table_turned(table, old_size, new_size):
    return resized(table, sides(old_size), sides(new_size)).T


WRONG = {
    "relative_position_index": [
        (pairs_added, "above and left share a number"),
        (pairs_times_height, "made from the height of the window"),
        (pairs_by_token_number, "the factor is the width of the window"),
        (pairs_times_two_m, "one too large"),
        (pairs_key_minus_query, "this is key minus query"),
        (pairs_not_moved, "both parts must count from 0"),
        (pairs_only_dy_moved, "dy counts from 0 and dx does not"),
        (pairs_across_first, "a step to the side counts for more"),
        (pairs_by_xy, "counted down the columns"),
        (pairs_distance, "takes distances for offsets"),
        (pairs_square_only, "wider than tall: the shape is (4, 4), wanted (6, 6)"),
        (pairs_as_two_numbers, "the shape is (2, 4, 4), wanted (4, 4)"),
        (pairs_as_float, "the numbers are right, but of type torch.float32, wanted torch.int64"),
    ],
    "offset_of": [
        (offset_in_a_list, "but in a list. Wanted is a tuple"),
        (offset_of_floats, "as floats, wanted whole numbers"),
        (offset_of_zero, "the same answer in all 8 cases"),
        (offset_from_zero, "the place in the table, counted from 0"),
        (offset_key_minus_query, "this is key minus query"),
        (offset_xy, "dx comes before dy"),
        (offset_height, "divides by the number of rows"),
        (offset_window, "divides by the width of the window"),
        (offset_two_m, "one place too long"),
        (offset_minus_m, "both parts are one too small"),
        (offset_one_m, "takes the window's width for its height"),
        (offset_from_the_middle, "may lead into the next row"),
        (offset_as_float, "gives (0.666667, 1), wanted (0, 1)"),
        (
            offset_absolute,
            "right in the case before, but with the first entry of the table: gives (2, 2)",
        ),
        (offset_of_seven, "gives (-6, -1), wanted (0, 1)"),
        (offset_list_of_all, "wanted 2 values"),
    ],
    "index_of_axes": [
        (index_next_alone, "of the next one alone"),
        (index_in_int32, "of type torch.int32, wanted torch.int64"),
        (index_sum, "added up without a factor"),
        (index_own, "by its own number of offsets"),
        (index_last_factor, "all axes but the last get the same factor"),
        (index_times_m, "multiplies by the side of the window"),
        (index_times_two_m, "multiplies by 2M"),
        (index_reversed_pair, "takes key minus query"),
        (index_from_minus, "every offset must count from 0"),
        (index_first_axis_least, "the first axis counts for one"),
        (index_xy, "counted along the first axis first"),
        (index_distance, "takes distances for offsets"),
        (index_of_planes, "looks at two axes only"),
        (index_of_two, "it stops with ValueError: not enough values to unpack"),
        (index_unrolled, "with the smallest window: the numbers are right and in order, but the"),
        (index_as_float, "the numbers are right, but of type torch.float32, wanted torch.int64"),
        (index_flat, "the numbers are right and in order, but the shape is (9,)"),
    ],
    "resize_table": [
        (table_turned, "axes are in another order"),
        (table_heads_first, "as if the heads came first"),
        (table_back_by_reshape, "on the way back the heads are merged"),
        (table_reshaped_twice, "on the way there and on the way back"),
        (table_linear, "bilinear"),
        (table_copies, "nearest old number"),
        (table_corner_on_corner, "aligns the corners"),
        (table_smoothed, "smooths before it shrinks"),
        (table_old_turned, "rows of the old table for its columns"),
        (table_new_turned, "rows of the new table"),
        (table_xy, "in the old table and in the new one"),
        (table_as_a_line, "one long line of numbers"),
        (table_in_the_middle, "cuts off or adds what differs"),
        (table_shared, "all heads get the same numbers"),
        (table_square_only, "with a window that is not square: it stops with RuntimeError"),
        (table_window_for_table, "the shape is (9, 2), wanted (25, 2)"),
        (table_with_a_batch, "in order, but the shape is (1, 25, 2)"),
        (table_as_picture, "in order, but the shape is (5, 5, 2)"),
        (table_viewed, "is not contiguous: it stops with RuntimeError: view"),
        (table_in_float32, "of type torch.float32, wanted torch.float16"),
        (table_written_to, "writes into its input `table`"),
    ],
}
RIGHT = {
    "offset_of": [
        offset_recursive,
        offset_of_numpy_numbers,
        offset_from_list,
        offset_from_pairs,
        offset_by_numpy,
    ],
    "index_of_axes": [
        index_recursive,
        index_by_numpy,
        index_with_strides,
        index_loops,
        index_from_a_table,
        index_kron,
    ],
    "resize_table": [
        table_by_upsample,
        table_by_head,
        table_in_its_own_precision,
        table_by_matrices,
    ],
    "relative_position_index": [pairs_as_official, pairs_by_numpy, index_from_a_table],
}
