"""What makes a region an object or not: how it stands out, and how round it is."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unsupseg._typing import Floats, Integers
from napari_unsupseg.regions.compiling import jit
from napari_unsupseg.regions.merge_granularities import MergeGranularities
from napari_unsupseg.regions.pair_table import find, make_table, put

__all__ = ["RegionShapes", "measure_roundness", "node_shapes", "object_shapes"]

BINS = 64  # of the histograms of intensities
RING = 3  # pixels around a region that it is compared with


class RegionShapes(NamedTuple):
    """What makes each of n regions an object or not.

    Attributes
    ----------
    areas : ndarray of float64, shape (n,)
        Pixels.
    roundness : ndarray of float64, shape (n,)
        Area over that of the ellipse, or ellipsoid, of the same moments; 1 for an ellipse.
    at_border : ndarray of float64, shape (n,)
        Pixels in the first and last rows and columns of a frame.
    brighter, darker : ndarray of float64, shape (n,)
        How far the median inside lies above the upper quartile around it, and below the lower one,
        in standard deviations of the image.
    """

    areas: Floats
    roundness: Floats
    at_border: Floats
    brighter: Floats
    darker: Floats


def node_shapes(
    intensities: NDArray[np.floating],
    fragments: NDArray[np.integer],
    merges: Integers,
    spacing: Floats,
) -> RegionShapes:
    """Measure every node of a hierarchy at once, in time that grows with the pixels alone.

    Parameters
    ----------
    intensities : ndarray of float, shape (..., [Z,] Y, X)
        What objects stand out by.
    fragments : ndarray of int, shape (..., [Z,] Y, X)
        Fragments from 0, -1 at pixels that take no part.
    merges : ndarray of int64, shape (F - 1, 2)
        Nodes that merge, in order.
    spacing : ndarray of float64, shape (2,) or (3,)
        Distance of neighbours along each axis of a frame, 1 along the finest.

    Returns
    -------
    RegionShapes
        A row for each of 2 F - 1 nodes, fragments first.

    Notes
    -----
    Sums over the pixels of a node are those of its parts. So are histograms of what lies around
    it, if a pixel is taken away again where what it lies near, or in, comes together.
    """
    n_fragments, ndim = len(merges) + 1, len(spacing)
    inside = fragments >= 0
    bins, deviation = _quantize(intensities, inside)
    within = _histograms(fragments[inside], bins[inside], n_fragments)
    around = np.zeros((n_fragments + len(merges), BINS), dtype=np.float32)
    for index in np.ndindex(fragments.shape[:-ndim]):
        _add_rings(fragments[index], bins[index], spacing, merges, around)
    return _describe(
        _add_up(_moments(fragments, n_fragments, ndim), merges),
        ndim,
        _add_up(within, merges),
        _add_up(around[:n_fragments], merges, around[n_fragments:]),
        deviation,
    )


def measure_roundness(
    regions: NDArray[np.integer], merges: Integers, ndim: int
) -> tuple[Floats, Floats]:
    """Measure the area and the roundness of every node of a hierarchy.

    Parameters
    ----------
    regions : ndarray of int, shape (..., [Z,] Y, X)
        Leaves of the hierarchy from 0, negative elsewhere.
    merges : ndarray of int64, shape (M, 2)
        Nodes that merge, in order.
    ndim : int
        Axes of a frame, the last ones.

    Returns
    -------
    areas : ndarray of float64, shape (n + M,)
        Pixels of each node.
    roundness : ndarray of float64, shape (n + M,)
        Area over that of the ellipse, or ellipsoid, of the same moments.
    """
    moments = _add_up(_moments(regions, int(regions.max()) + 1, ndim), merges)
    return moments[:, 0], _roundness(moments, ndim)


def _add_up(
    of_leaves: NDArray[Any], merges: Integers, own: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Return the sums over all nodes, of what leaves have, and what each merge has of its own."""
    n_leaves = len(of_leaves)
    sums = np.zeros((n_leaves + len(merges), of_leaves.shape[1]), dtype=of_leaves.dtype)
    sums[:n_leaves] = of_leaves
    if own is not None:
        sums[n_leaves:] = own
    for node, (one, other) in enumerate(merges.tolist(), start=n_leaves):
        sums[node] += sums[one] + sums[other]
    return sums


def object_shapes(
    intensities: NDArray[np.floating],
    objects: NDArray[np.integer],
    valid: NDArray[np.bool_],
    spacing: Floats,
) -> RegionShapes:
    """Measure objects against the ground around them, which other objects are no part of.

    Parameters
    ----------
    intensities : ndarray of float, shape (..., [Z,] Y, X)
        What objects stand out by.
    objects : ndarray of int, shape (..., [Z,] Y, X)
        Objects from 1, 0 elsewhere.
    valid : ndarray of bool, shape (..., [Z,] Y, X)
        Pixels that take part.
    spacing : ndarray of float64, shape (2,) or (3,)
        Distance of neighbours along each axis of a frame, 1 along the finest.

    Returns
    -------
    RegionShapes
        A row for each object.
    """
    n_objects, ndim = int(objects.max(initial=0)), len(spacing)
    numbers = objects.astype(np.int64) - 1
    bins, deviation = _quantize(intensities, valid)
    nearest = np.full(objects.shape, -1, dtype=np.int64)  # object that a pixel of ground is near
    for index in np.ndindex(objects.shape[:-ndim]):
        distance, places = ndimage.distance_transform_edt(
            numbers[index] < 0, sampling=spacing, return_indices=True
        )
        is_near = (distance > 0) & (distance <= RING)
        nearest[index][is_near] = numbers[index][tuple(places)][is_near]
    nearest[~valid] = -1
    inside, ring = numbers >= 0, nearest >= 0
    return _describe(
        _moments(numbers, n_objects, ndim),
        ndim,
        _histograms(numbers[inside], bins[inside], n_objects),
        _histograms(nearest[ring], bins[ring], n_objects),
        deviation,
    )


def _describe(
    moments: Floats,
    ndim: int,
    within: NDArray[np.float32],
    around: NDArray[np.float32],
    deviation: float,
) -> RegionShapes:
    """Return what the sums and histograms of regions say; nothing around it is no contrast."""
    medians = _quantiles(within, 0.5)
    is_alone = around.sum(axis=1) < 0.5  # sums of whole numbers in single precision
    brighter = np.where(is_alone, 0.0, (medians - _quantiles(around, 0.75)) / deviation)
    darker = np.where(is_alone, 0.0, (_quantiles(around, 0.25) - medians) / deviation)
    return RegionShapes(moments[:, 0], _roundness(moments, ndim), moments[:, -1], brighter, darker)


def _quantize(
    intensities: NDArray[np.floating], valid: NDArray[np.bool_]
) -> tuple[Integers, float]:
    """Return the bin of each pixel, and the standard deviation of the intensities in bins."""
    low, high = np.quantile(intensities[valid], [0.001, 0.999])
    scaled = (intensities - low) / max(float(high - low), 1e-6) * BINS
    bins: Integers = scaled.clip(0, BINS - 1).astype(np.int64)
    return bins, max(float(scaled[valid].std()), 1e-6)


def _histograms(
    numbers: Integers | NDArray[np.integer], bins: Integers, n_regions: int
) -> NDArray[np.float32]:
    """Count the pixels of each region in each bin, shape (n, BINS)."""
    keys = numbers.astype(np.int64) * BINS + bins
    return np.bincount(keys, minlength=n_regions * BINS).reshape(-1, BINS).astype(np.float32)


def _quantiles(histograms: NDArray[np.float32], share: float) -> Floats:
    """Return a quantile of each histogram, in bins; 0 where there is nothing."""
    sums = np.cumsum(np.maximum(histograms, 0), axis=1)
    bins: Floats = (sums < share * sums[:, -1:]).sum(axis=1).astype(np.float64)
    return bins


def _moments(numbers: NDArray[np.integer], n_regions: int, ndim: int) -> Floats:
    """Return sums over regions of 1, of coordinates, of their products, and of border pixels."""
    inside = numbers >= 0
    of_pixels = numbers[inside]
    places = [at.astype(np.float64) for at in np.nonzero(inside)[-ndim:]]
    terms: list[Floats] = [np.ones(len(of_pixels)), *places]
    terms += [places[i] * places[j] for i in range(ndim) for j in range(i, ndim)]
    height, width = numbers.shape[-2:]
    y, x = places[-2:]
    terms.append(((y == 0) | (y == height - 1) | (x == 0) | (x == width - 1)).astype(np.float64))
    sums: Floats = np.stack([np.bincount(of_pixels, term, n_regions) for term in terms], axis=1)
    return sums


def _roundness(moments: Floats, ndim: int) -> Floats:
    """Return each region's area over that of the ellipse of the same moments, at most 1."""
    areas = np.maximum(moments[:, 0], 1e-12)
    means = moments[:, 1 : ndim + 1] / areas[:, np.newaxis]
    covariances = np.empty((len(areas), ndim, ndim))
    column = ndim + 1
    for i in range(ndim):
        for j in range(i, ndim):
            product = moments[:, column] / areas - means[:, i] * means[:, j]
            # a pixel is a square, whose own variance is a twelfth
            covariances[:, i, j] = covariances[:, j, i] = product + (i == j) / 12
            column += 1
    # semi-axes of an ellipse are 2, of an ellipsoid the root of 5 standard deviations
    unit = 4 * math.pi if ndim == 2 else 4 / 3 * math.pi * 5**1.5
    ellipses = unit * np.sqrt(np.maximum(np.linalg.det(covariances), 1e-12))
    roundness: Floats = np.minimum(areas / ellipses, 1.0)
    return roundness


def _ball(spacing: Floats) -> Integers:
    """Return the steps to all pixels of a ball around a pixel, shape (n, axes)."""
    sides = [np.arange(-RING, RING + 1)] * len(spacing)
    steps = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, len(spacing))
    distances = np.square(steps * spacing).sum(axis=1)
    chosen: Integers = steps[(distances > 0) & (distances <= RING**2)].astype(np.int64)
    return chosen


def _add_rings(
    fragments: NDArray[np.integer],
    bins: Integers,
    spacing: Floats,
    merges: Integers,
    around: NDArray[np.float32],
) -> None:
    """Add a frame's pixels to the histograms around the nodes near them.

    A pixel belongs once to every node that has a fragment near it, but not its own. So it is added
    to each fragment near it, and taken away again where two of these come together, next to each
    other in an order in which the fragments of each node are; and where its own joins the first.
    """
    n_fragments = len(merges) + 1
    joins = MergeGranularities(merges, np.arange(len(merges), dtype=np.float64))
    places = np.append(joins.positions, -1)
    in_order = np.argsort(joins.positions)
    # a margin without fragments, so that no step leaves the frame
    padded = np.pad(places[fragments], RING, constant_values=-1)
    offsets = _ball(spacing) @ (np.array(padded.strides) // padded.itemsize)
    flat, flat_bins = padded.ravel(), np.pad(bins, RING).ravel()
    room, n_pairs = 16 * n_fragments, -1
    while n_pairs < 0:
        room *= 2
        pairs = np.empty((room, 2), dtype=np.int64)
        n_pairs = _list_pairs(flat, offsets, pairs)
    if n_pairs:
        pairs = pairs[:n_pairs]
        # at granularities that are the numbers of the merges, these say which one joins a pair
        numbers = joins.between(in_order[pairs[:, 0]], in_order[pairs[:, 1]]).astype(np.int64)
        rows = np.concatenate([in_order, np.arange(n_fragments, len(around))])
        _fill_rings(flat, flat_bins, offsets, pairs, numbers + n_fragments, rows, around)


@jit()
def _list_pairs(fragments: Integers, offsets: Integers, pairs: Integers) -> int:
    """Fill in the pairs of fragments near one pixel; return how many, -1 if there is no room."""
    table = make_table(2 * len(pairs))
    near = np.empty(len(offsets), dtype=np.int64)
    n_pairs = 0
    for pixel in range(len(fragments)):
        n_near = _list_near(fragments, pixel, offsets, near)
        for k in range(2 * n_near - 1):  # each with the pixel's own, and with the next
            one = fragments[pixel] if k < n_near else near[k - n_near]
            other = near[k] if k < n_near else near[k - n_near + 1]
            if put(table, one, other, np.int64(n_pairs)):
                if n_pairs == len(pairs):
                    return -1
                pairs[n_pairs, 0], pairs[n_pairs, 1] = one, other
                n_pairs += 1
    return n_pairs


@jit()
def _fill_rings(
    fragments: Integers,
    bins: Integers,
    offsets: Integers,
    pairs: Integers,
    nodes: Integers,
    rows: Integers,
    around: NDArray[np.float32],
) -> None:
    """Add each pixel to the fragments near it, and take it away where they come together."""
    table = make_table(2 * len(pairs))
    for index in range(len(pairs)):
        put(table, pairs[index, 0], pairs[index, 1], nodes[index])
    near = np.empty(len(offsets), dtype=np.int64)
    for pixel in range(len(fragments)):
        own, n_near = fragments[pixel], _list_near(fragments, pixel, offsets, near)
        first = len(around)  # the node in which the pixel's own fragment joins one near it
        for k in range(n_near):
            around[rows[near[k]], bins[pixel]] += 1
            first = min(first, find(table, own, near[k]))
            if k > 0:
                around[find(table, near[k - 1], near[k]), bins[pixel]] -= 1
        if n_near > 0:
            around[first, bins[pixel]] -= 1


@jit()
def _list_near(fragments: Integers, pixel: int, offsets: Integers, near: Integers) -> int:
    """Fill in the other fragments near a pixel, each once, ascending; return how many."""
    own, n_near, last = fragments[pixel], 0, -1
    if own < 0:
        return 0
    for k in range(len(offsets)):
        other = fragments[pixel + offsets[k]]
        if other < 0 or other in (own, last):
            continue
        last = other  # which mostly is that of the next pixel too
        place = n_near
        while place > 0 and near[place - 1] > other:
            place -= 1
        if place > 0 and near[place - 1] == other:
            continue
        for later in range(n_near, place, -1):
            near[later] = near[later - 1]
        near[place] = other
        n_near += 1
    return n_near
