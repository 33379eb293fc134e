"""At which granularity of a hierarchy two fragments come together."""

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg._typing import Floats, Integers
from napari_unsupseg.regions.compiling import jit

__all__ = ["MergeGranularities", "leaf_order"]


class MergeGranularities:
    """At which granularity any two fragments of a hierarchy come together.

    Parameters
    ----------
    merges : ndarray of int, shape (F - 1, 2)
        Nodes that merge, in order; nodes below F are fragments, node F + i is what merge i made.
    granularities : ndarray of float64, shape (F - 1,)
        Granularity at which each merges, 0 to 1, never falling.

    Attributes
    ----------
    positions : ndarray of int64, shape (F,)
        Place of each fragment in an order in which those of each node lie side by side.

    Notes
    -----
    In an order of the fragments in which each node's lie side by side, two of them come together
    at the highest granularity between any two neighbours from one to the other. A table of the
    highest of 1, 2, 4… in a row has it in two entries, whose ranges may overlap [1]_.

    References
    ----------
    .. [1] M. A. Bender, M. Farach-Colton, "The LCA problem revisited", LATIN (2000).
       :doi:`10.1007/10719839_9`
    """

    def __init__(self, merges: NDArray[np.integer], granularities: Floats) -> None:
        positions, _ = leaf_order(np.asarray(merges))
        self.positions = positions[: len(merges) + 1]
        seconds = positions[np.asarray(merges)[:, 1]]  # right after the first part of each merge
        highest = np.zeros(len(granularities) + 1)  # [i] is that between positions i - 1 and i
        highest[seconds] = granularities
        self._highest = [highest]  # [k][i] is the highest of 2**k from i on
        while 2 ** len(self._highest) <= len(highest):
            half = 2 ** (len(self._highest) - 1)
            self._highest.append(np.maximum(self._highest[-1][:-half], self._highest[-1][half:]))

    def between(self, ones: NDArray[np.integer], others: NDArray[np.integer]) -> Floats:
        """Return the granularity at which each pair of fragments comes together.

        Parameters
        ----------
        ones, others : ndarray of int, shape (pairs,)
            The fragments of each pair, which must differ.

        Returns
        -------
        ndarray of float64, shape (pairs,)
            Their granularities.
        """
        first, last = np.sort([self.positions[ones], self.positions[others]], axis=0)
        sizes = np.frexp(last - first)[1] - 1  # whole part of the binary logarithm
        granularities = np.empty(len(ones))
        for size in np.unique(sizes):
            chosen, table = sizes == size, self._highest[size]
            ends = last[chosen] + 1 - 2**size
            granularities[chosen] = np.maximum(table[first[chosen] + 1], table[ends])
        return granularities


@jit()
def leaf_order(merges: NDArray[np.int64]) -> tuple[Integers, Integers]:
    """Put fragments in an order in which those of each node lie side by side.

    Parameters
    ----------
    merges : ndarray of int64, shape (F - 1, 2)
        Nodes that merge, in order.

    Returns
    -------
    positions : ndarray of int64, shape (2 F - 1,)
        Place of the first fragment of each node.
    sizes : ndarray of int64, shape (2 F - 1,)
        Fragments of each node.
    """
    n_fragments = len(merges) + 1
    sizes = np.ones(n_fragments + len(merges), dtype=np.int64)
    for index in range(len(merges)):
        sizes[n_fragments + index] = sizes[merges[index, 0]] + sizes[merges[index, 1]]
    positions = np.zeros(n_fragments + len(merges), dtype=np.int64)
    for index in range(len(merges) - 1, -1, -1):  # from the root down
        one, other = merges[index, 0], merges[index, 1]
        positions[one] = positions[n_fragments + index]
        positions[other] = positions[one] + sizes[one]
    return positions, sizes
