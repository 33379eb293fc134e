"""A hash table of pairs of regions, for compiled code."""

import numpy as np

from napari_unsupseg._typing import Integers
from napari_unsupseg.regions.compiling import jit

__all__ = ["find", "make_table", "put"]


FREE = -1


@jit()
def make_table(size: int) -> Integers:
    """Make an empty table.

    Parameters
    ----------
    size : int
        Pairs that it is to have room for; it finds them in constant time up to half of this.

    Returns
    -------
    ndarray of int64, shape (a power of two, 2)
        The key of each pair, `FREE` where there is none, and its number.
    """
    room = 16
    while room < size:
        room *= 2
    table = np.empty((room, 2), dtype=np.int64)
    table[:, 0] = FREE
    return table


@jit()
def put(table: Integers, one: int, other: int, number: int) -> int:
    """Keep a number of a pair of regions, in any order; return 1 if the pair is new, else 0."""
    place = _place(table, one, other)
    is_new = table[place, 0] == FREE
    table[place, 0], table[place, 1] = _key(one, other), number
    return int(is_new)


@jit()
def find(table: Integers, one: int, other: int) -> int:
    """Return the number kept of a pair of regions, -1 if there is none."""
    place = _place(table, one, other)
    return -1 if table[place, 0] == FREE else table[place, 1]


@jit()
def _key(one: int, other: int) -> int:
    return (min(one, other) << 32) | max(one, other)


@jit()
def _place(table: Integers, one: int, other: int) -> int:
    """Return where a pair lies in a table, or would lie (linear probing)."""
    key, mask = _key(one, other), len(table) - 1
    # Fibonacci hashing: a product with 2^64 over the golden ratio, of which the high bits are mixed
    place = ((key * -7046029254386353131) >> 24) & mask
    while table[place, 0] != FREE and table[place, 0] != key:
        place = (place + 1) & mask
    return place
