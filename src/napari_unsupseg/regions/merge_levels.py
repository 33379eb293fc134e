"""At which level of a hierarchy two fragments come together."""

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg._typing import Floats
from napari_unsupseg.regions.graph import leaf_order

__all__ = ["MergeLevels"]


class MergeLevels:
    """At which level regions come together.

    Parameters
    ----------
    merges : ndarray of int, shape (F - 1, 2)
        As in `Hierarchy`.
    levels : ndarray of float, shape (F - 1,)
        As in `Hierarchy`.

    Notes
    -----
    In an order of the fragments in which each node's lie side by side, two of them come together
    at the highest level between any two neighbours from one to the other; a table of the highest of
    1, 2, 4… in a row finds it in two looks [1]_.

    References
    ----------
    .. [1] M. A. Bender, M. Farach-Colton, "The LCA problem revisited", LATIN (2000).
       :doi:`10.1007/10719839_9`
    """

    def __init__(self, merges: NDArray[np.integer], levels: Floats) -> None:
        self._places, before = leaf_order(np.asarray(merges))
        highest = np.zeros(len(levels) + 1)  # between a place and the one before it
        highest[before] = levels
        self._highest = [highest]
        while 2 ** len(self._highest) <= len(highest):
            half = 2 ** (len(self._highest) - 1)
            self._highest.append(np.maximum(self._highest[-1][:-half], self._highest[-1][half:]))

    def between(self, ones: NDArray[np.integer], others: NDArray[np.integer]) -> Floats:
        """Return the level of each pair of fragments that are not the same."""
        first, last = np.sort([self._places[ones], self._places[others]], axis=0)
        sizes = np.frexp(last - first)[1] - 1  # whole part of the binary logarithm
        found = np.empty(len(ones))
        for size in np.unique(sizes):
            of_size, table = sizes == size, self._highest[size]
            ends = last[of_size] + 1 - 2**size
            found[of_size] = np.maximum(table[first[of_size] + 1], table[ends])
        return found
