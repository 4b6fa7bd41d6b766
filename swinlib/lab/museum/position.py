"""Mistakes of lesson 05, all on the way from a table to the bias of every pair.

Every version takes ``(table, table_window, window_size)``: a table (offsets, heads), the window
(Mh, Mw) it was made for, and that of the tokens at hand, which may be smaller but not larger.
"""

import torch
from torch import Tensor

from swinlib.lab.museum import Room
from swinlib.position import relative_position_index


def offsets(window_size):
    """(2, N, N): dy and dx, query minus key, of all pairs of a window."""
    places = torch.cartesian_prod(*(torch.arange(length) for length in window_size)).T
    return places[:, :, None] - places[:, None, :]


def bias_from_table(table, table_window, window_size):
    """As it should be: where an offset stands is a matter of the *table's* height and width."""
    dy, dx = offsets(window_size)
    Mh, Mw = table_window
    index = (dy + Mh - 1) * (2 * Mw - 1) + dx + Mw - 1
    return table[index].permute(2, 0, 1)


def no_factor(table, table_window, window_size):
    dy, dx = offsets(window_size)
    Mh, Mw = table_window
    index = (dy + Mh - 1) + dx + Mw - 1
    return table[index].permute(2, 0, 1)


def factor_of_the_wrong_axis(table, table_window, window_size):
    dy, dx = offsets(window_size)
    Mh, Mw = table_window
    index = (dy + Mh - 1) * (2 * Mh - 1) + dx + Mw - 1
    return table[index].permute(2, 0, 1)


def index_of_another_window(table, table_window, window_size):
    """A right index, but for a table that was made for the window at hand."""
    index = relative_position_index(window_size)
    return table[index].permute(2, 0, 1)


def key_minus_query(table, table_window, window_size):
    dy, dx = -offsets(window_size)
    Mh, Mw = table_window
    index = (dy + Mh - 1) * (2 * Mw - 1) + dx + Mw - 1
    return table[index].permute(2, 0, 1)


# --- what every right version does --------------------------------------------------------------


def _counting(Mh: int, Mw: int) -> Tensor:
    """A table of one head, all numbers different."""
    return torch.arange(1.0, (2 * Mh - 1) * (2 * Mw - 1) + 1)[:, None]


def square_has_all_numbers(version) -> bool:
    """A window of 3 x 3 reads all 25 numbers of its table."""
    return len(version(_counting(3, 3), (3, 3), (3, 3)).unique()) == 25


def oblong_has_all_numbers(version) -> bool:
    """A window of 2 x 5 reads all 27 numbers of its table."""
    return len(version(_counting(2, 5), (2, 5), (2, 5)).unique()) == 27


def left_is_left(version) -> bool:
    """What the table says of dy = 0, dx = 1 reaches the pairs whose key is one to the left."""
    table = torch.zeros(5, 5, 1)
    table[0 + 2, 1 + 2] = 1
    bias = version(table.flatten(0, 1), (3, 3), (3, 3))[0]
    keys_on_the_left = [(3 * y + x, 3 * y + x - 1) for y in range(3) for x in (1, 2)]
    return [tuple(pair) for pair in bias.nonzero().tolist()] == keys_on_the_left


def small_window_agrees(version) -> bool:
    """Tokens of a 2 x 3 window get what the same tokens get inside the 4 x 4 of their table."""
    table = _counting(4, 4)
    corner = torch.tensor([0, 1, 2, 4, 5, 6])  # of the large window
    large = version(table, (4, 4), (4, 4))[0]
    return torch.equal(version(table, (4, 4), (2, 3))[0], large[corner][:, corner])


def _examples():
    table = torch.randn(9 * 17, 2, generator=torch.Generator().manual_seed(0))
    return [(table, (5, 9), (5, 9)), (table, (5, 9), (4, 7))]


ROOM = Room(
    right=bias_from_table,
    wrong=(no_factor, factor_of_the_wrong_axis, index_of_another_window, key_minus_query),
    properties=(
        square_has_all_numbers,
        oblong_has_all_numbers,
        left_is_left,
        small_window_agrees,
    ),
    examples=_examples,
)
ROOMS = (ROOM,)
