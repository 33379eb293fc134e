"""A hash table of pairs of regions, for compiled code."""

from typing import TypeAlias

import numpy as np

from napari_unsupseg._typing import Integers
from napari_unsupseg.regions.compiling import jit

__all__ = ["find", "make_table", "put"]

Number: TypeAlias = int | np.int64  # in compiled code always 64 bits

EMPTY = -1


@jit()
def make_table(size: int) -> Integers:
    """Make an empty table.

    Parameters
    ----------
    size : int
        Rows to have at least. A pair is found in constant time while half of the rows are empty.

    Returns
    -------
    ndarray of int64, shape (a power of two, 2)
        The key of each pair, `EMPTY` where there is none, and its number. A table has 16 rows or
        more.
    """
    n_rows = 16
    while n_rows < size:  # a power of two, so that `_slot` needs a mask and no division
        n_rows *= 2
    table = np.empty((n_rows, 2), dtype=np.int64)
    table[:, 0] = EMPTY
    return table


@jit()
def put(table: Integers, one: Number, other: Number, number: Number) -> int:
    """Store the number of a pair of regions, in any order; return 1 if the pair is new, else 0."""
    slot = _slot(table, one, other)
    is_new = table[slot, 0] == EMPTY
    table[slot, 0], table[slot, 1] = _key(one, other), number
    return int(is_new)


@jit()
def find(table: Integers, one: Number, other: Number) -> int:
    """Return the number of a pair of regions, in any order; -1 if it has none."""
    slot = _slot(table, one, other)
    return -1 if table[slot, 0] == EMPTY else table[slot, 1]


@jit()
def _key(one: Number, other: Number) -> Number:
    """Return one number for a pair of regions below 2^31, whatever their order."""
    return (min(one, other) << 32) | max(one, other)


@jit()
def _slot(table: Integers, one: Number, other: Number) -> Number:
    """Return the row of a pair in a table, or the empty one where it would go (linear probing)."""
    key, mask = _key(one, other), len(table) - 1
    # Fibonacci hashing: a product with 2^64 over the golden ratio, of which the high bits are mixed
    slot = ((key * -7046029254386353131) >> 24) & mask
    while table[slot, 0] != EMPTY and table[slot, 0] != key:
        slot = (slot + 1) & mask
    return slot
