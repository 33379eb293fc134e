"""How stable the outline of an object is: over how many levels of a hierarchy it stays."""

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg._typing import Floats, Integers
from napari_unsupseg.regions.merge_granularities import leaf_order

__all__ = ["outline_stability"]

LEVELS = 0.2  # of all granularities: over how many an outline has to stay
MIN_OVERLAP = 0.05  # below which the segment around an object is as good as any


def outline_stability(
    objects: NDArray[np.integer],
    fragments: NDArray[np.integer],
    merges: Integers,
    granularities: Floats,
) -> Floats:
    """Measure how like the segments of a hierarchy each object is, and over how many levels.

    Parameters
    ----------
    objects : ndarray of int, shape (..., Y, X)
        Objects from 1, without gaps, 0 elsewhere.
    fragments : ndarray of int, shape (..., Y, X)
        Fragments of the hierarchy from 0, -1 at pixels that take no part.
    merges : ndarray of int64, shape (F - 1, 2)
        Nodes that merge, in order.
    granularities : ndarray of float64, shape (F - 1,)
        Granularity at which each merges, 0 to 1, never falling.

    Returns
    -------
    ndarray of float64, shape (objects,)
        Intersection over union with the segment of most of its pixels, 0 to 1: the mean over the
        fifth of all granularities at which it is largest.

    Notes
    -----
    As of maximally stable extremal regions [1]_, what an image shows clearly keeps its outline
    while a threshold changes; here the granularity does.

    References
    ----------
    .. [1] J. Matas, O. Chum, M. Urban, T. Pajdla, "Robust wide-baseline stereo from maximally
       stable extremal regions", BMVC (2002). :doi:`10.5244/C.16.36`

    Examples
    --------
    >>> fragments, merges = np.array([[0, 0, 1, 2]]), np.array([[0, 1], [2, 3]])
    >>> objects = np.array([[1, 1, 2, 0]])
    >>> outline_stability(objects, fragments, merges, np.array([0.1, 1])).tolist()
    [0.8333333333333334, 0.6666666666666667]
    """
    n_objects, n_fragments = int(objects.max(initial=0)), len(merges) + 1
    areas = np.bincount(objects.ravel(), minlength=n_objects + 1)[1:]
    positions, sizes = leaf_order(merges)
    ends = positions + sizes
    # sums over the fragments of a node, which lie side by side, are differences of two sums
    pixels = np.bincount(positions[fragments[fragments >= 0]], minlength=n_fragments)
    pixels_before = np.append(0, np.cumsum(pixels))
    shared = (objects > 0) & (fragments >= 0)
    keys, counts = np.unique(
        (objects[shared].astype(np.int64) - 1) * n_fragments + positions[fragments[shared]],
        return_counts=True,
    )
    shared_before = np.append(0, np.cumsum(counts))

    parents = np.full(2 * n_fragments - 1, -1)
    parents[merges.ravel()] = np.repeat(np.arange(n_fragments, 2 * n_fragments - 1), 2)
    births = np.append(np.zeros(n_fragments), granularities)
    deaths = np.where(parents < 0, 1.0, births[parents])

    # a segment with more than half of an object has the middle one of its pixels in this order
    firsts = np.searchsorted(keys, np.arange(n_objects) * n_fragments)
    lasts = np.append(firsts[1:], len(keys))
    climbing = np.flatnonzero(lasts > firsts)
    middles = (shared_before[firsts] + shared_before[lasts] - 1)[climbing] // 2
    middle_keys = keys[np.searchsorted(shared_before, middles, side="right") - 1]
    nodes = np.argsort(positions[:n_fragments])[middle_keys % n_fragments]
    overlaps: list[Floats] = []  # of each object with its node, one step up after the other
    levels: list[Floats] = []
    while len(climbing):
        start, end = (
            shared_before[np.searchsorted(keys, climbing * n_fragments + place[nodes])]
            for place in (positions, ends)
        )
        node_pixels = pixels_before[ends[nodes]] - pixels_before[positions[nodes]]
        intersections = end - start
        overlap, level = np.zeros(n_objects), np.zeros(n_objects)
        overlap[climbing] = intersections / (areas[climbing] + node_pixels - intersections)
        level[climbing] = deaths[nodes] - births[nodes]
        overlaps.append(overlap)
        levels.append(level)
        goes_on = (parents[nodes] >= 0) & (areas[climbing] >= MIN_OVERLAP * node_pixels)
        climbing, nodes = climbing[goes_on], parents[nodes[goes_on]]
    return _mean_of_largest(overlaps, levels, n_objects)


def _mean_of_largest(overlaps: list[Floats], levels: list[Floats], n_objects: int) -> Floats:
    """Return the mean of each object's overlaps over the levels at which they are largest."""
    if not overlaps:
        return np.zeros(n_objects)
    values, weights = np.array(overlaps), np.array(levels)
    order = np.argsort(-values, axis=0)
    values, weights = (np.take_along_axis(one, order, axis=0) for one in (values, weights))
    before = np.cumsum(weights, axis=0) - weights
    mean: Floats = (values * np.clip(LEVELS - before, 0, weights)).sum(axis=0) / LEVELS
    return mean
