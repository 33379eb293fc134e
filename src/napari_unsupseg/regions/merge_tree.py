"""How fragments merge into one, and at which granularity."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg._typing import Floats, Integers
from napari_unsupseg.regions.graph import groups_from_merges

__all__ = ["MergeTree"]


class MergeTree(NamedTuple):
    """How fragments merge into one, two nodes at a time.

    Attributes
    ----------
    merges : ndarray of int64, shape (F - 1, 2)
        Nodes that merge, in order; nodes below F are fragments, node F + i is what merge i made.
    granularities : ndarray of float64, shape (F - 1,)
        Granularity at which each merges, 0 to 1, never falling.

    Examples
    --------
    >>> tree = MergeTree(np.array([[0, 1], [2, 3]]), np.array([0.2, 0.7]))
    >>> tree.count_segments(0.5)
    2
    >>> tree.group_fragments(2)
    array([1, 1, 0])
    """

    merges: Integers
    granularities: Floats

    @property
    def n_fragments(self) -> int:
        """How many fragments there are, F."""
        return len(self.merges) + 1

    def count_segments(self, granularity: float) -> int:
        """Return how many segments are left at a granularity."""
        n_merges = np.searchsorted(self.granularities, granularity, side="right")
        return self.n_fragments - int(n_merges)

    def group_fragments(self, n_segments: int) -> NDArray[np.int64]:
        """Return the segment of each fragment, from 0, when so many are left; shape (F,)."""
        return groups_from_merges(self.n_fragments, self.merges[: self.n_fragments - n_segments])
