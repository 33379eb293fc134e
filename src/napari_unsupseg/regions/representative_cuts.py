"""Granularities whose cuts stand for all others of a hierarchy."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from napari_unsupseg._typing import Floats, Integers

__all__ = ["representative_granularities"]

STEPS = 100  # of all granularities, between which cuts are compared


def representative_granularities(
    merges: Integers, granularities: Floats, areas: Floats, n: int
) -> Floats:
    """Choose the cuts that are most like all others, each of which counts as long as it lives.

    Parameters
    ----------
    merges : ndarray of int, shape (F - 1, 2)
        Nodes that merge, in order; nodes below F are fragments, node F + i is what merge i made.
    granularities : ndarray of float64, shape (F - 1,)
        Granularity at which each merges, 0 to 1, never falling.
    areas : ndarray of float64, shape (F,)
        Pixels of each fragment.
    n : int
        Cuts to choose.

    Returns
    -------
    ndarray of float64, shape (n,) or fewer
        Multiples of .01 between 0 and 1, rising; fewer if there are not so many different cuts.

    Notes
    -----
    The lifetime of a cut is from the merge that makes it to the next [1]_. It counts by the
    integral of (g (1 - g))² over that, g being the granularity, since the ends are rarely wanted:
    at the one everything is in crumbs, at the other all is one. How far two cuts are apart is
    measured by their variation of information [2]_. For cuts of one hierarchy that is the
    difference of their entropies, so that merging a crumb is next to nothing, and cuts lie on a
    line. The n medoids of points on a line are found exactly by dynamic programming [3]_: those
    with the least sum, over all cuts, of the distance to the nearest of them.

    References
    ----------
    .. [1] A. L. N. Fred, A. K. Jain, "Combining multiple clusterings using evidence accumulation",
       IEEE TPAMI 27 (2005). :doi:`10.1109/TPAMI.2005.113`
    .. [2] M. Meilă, "Comparing clusterings: an information based distance", Journal of
       Multivariate Analysis 98 (2007). :doi:`10.1016/j.jmva.2006.11.013`
    .. [3] H. Wang, M. Song, "Ckmeans.1d.dp: optimal k-means clustering in one dimension by dynamic
       programming", The R Journal 3 (2011). :doi:`10.32614/RJ-2011-015`

    Examples
    --------
    Four equal fragments; two cuts live long.

    >>> merges, areas = np.array([[0, 1], [2, 3], [4, 5]]), np.full(4, 25.0)
    >>> representative_granularities(merges, np.array([0.4, 0.41, 0.8]), areas, 2).tolist()
    [0.2, 0.6]
    """
    levels = np.arange(1, STEPS) / STEPS
    n_merges = np.searchsorted(granularities, levels, side="right")
    cuts, firsts, counts = np.unique(n_merges, return_index=True, return_counts=True)
    lifetimes = np.add.reduceat((levels * (1 - levels)) ** 2, firsts)
    medoids = _medoids(_entropies(merges, areas)[cuts], lifetimes, min(n, len(cuts)))
    middles: Floats = levels[(firsts + (counts - 1) // 2)[medoids]]
    return middles


def _entropies(merges: Integers, areas: Floats) -> Floats:
    """Return the entropy of the segments after 0, 1 … F - 1 merges, in nats, shape (F,)."""
    sizes = areas.tolist()
    for one, other in merges.tolist():
        sizes.append(sizes[one] + sizes[other])
    terms = entr(np.array(sizes) / areas.sum())
    lost = terms[merges].sum(axis=1) - terms[len(areas) :]
    entropies: Floats = np.append(np.cumsum(lost[::-1])[::-1], 0)
    return entropies


def _medoids(values: Floats, weights: Floats, n: int) -> NDArray[np.intp]:
    """Return the n of m sorted values with the least weighted sum of distances to the nearest."""
    m = len(values)
    distances = np.abs(values[:, np.newaxis] - values) * weights
    before = np.pad(np.cumsum(distances, axis=1), ((0, 0), (1, 0)))  # [k, j]: of k to those below j
    costs = np.full((m + 1, m + 1), np.inf)  # [i, j]: of those from i to below j, with one medoid
    medoids = np.zeros((m + 1, m + 1), dtype=np.intp)
    for first in range(m):
        sums = before[first:, first + 1 :] - before[first:, first, np.newaxis]
        sums = np.where(np.tri(m - first, dtype=bool).T, sums, np.inf)  # it is one of them
        medoids[first, first + 1 :] = first + sums.argmin(axis=0)
        costs[first, first + 1 :] = sums.min(axis=0)

    totals, starts = costs[0], []  # of those below each, with so many medoids
    for _ in range(n - 1):
        choices = totals[:, np.newaxis] + costs
        starts.append(choices.argmin(axis=0))
        totals = choices.min(axis=0)
    chosen, end = [], m
    for start_of in reversed(starts):
        chosen.append(medoids[start_of[end], end])
        end = start_of[end]
    return np.array([*chosen, medoids[0, end]])[::-1]
