"""What makes a region an object or not: how it stands out, and how round it is."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg._typing import Floats, Integers
from napari_unsupseg.regions.compiling import jit
from napari_unsupseg.regions.merge_granularities import MergeGranularities
from napari_unsupseg.regions.pair_table import find, make_table, put

__all__ = [
    "Levels",
    "RegionShapes",
    "ball",
    "measure_roundness",
    "node_shapes",
    "object_shapes",
    "quantize",
]

BINS = 64  # of the histograms of intensities
RING = 3  # pixels around a region that it is compared with
# shares of a region's pixels, and of those around it, between which its contrast lies: by half of
# them a heap of objects stands out as much as each one, as long as the gaps in it are fewer
INSIDE, AROUND = 0.55, 0.75


class Levels(NamedTuple):
    """Intensities in as few levels as histograms have bins.

    Attributes
    ----------
    bins : ndarray of int8, shape (..., Y, X)
        Level of each pixel from 0, -1 where it takes no part.
    deviation : float
        Standard deviation of the intensities, in levels.
    """

    bins: NDArray[np.int8]
    deviation: float


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
        How far 55 % of the pixels inside are above three quarters of those around, or below, in
        standard deviations of the image.
    """

    areas: Floats
    roundness: Floats
    at_border: Floats
    brighter: Floats
    darker: Floats


def quantize(intensities: Floats, valid: NDArray[np.bool_]) -> Levels:
    """Bring intensities to levels; the darkest and brightest thousandth fall into the ends.

    Parameters
    ----------
    intensities : ndarray of float64, shape (..., Y, X)
        What objects stand out by.
    valid : ndarray of bool, shape (..., Y, X)
        Pixels that take part.

    Returns
    -------
    Levels
        The level of each pixel.
    """
    of_pixels = intensities[valid]
    low, high = np.quantile(of_pixels, [0.001, 0.999])
    scale = BINS / max(float(high - low), 1e-6)
    bins = np.full(valid.shape, -1, dtype=np.int8)
    bins[valid] = ((of_pixels - low) * scale).clip(0, BINS - 1)
    return Levels(bins, max(float(of_pixels.std()) * scale, 1e-6))


def node_shapes(
    levels: Levels, fragments: NDArray[np.integer], merges: Integers, spacing: Floats
) -> RegionShapes:
    """Measure every node of a hierarchy at once, in time that grows with the pixels alone.

    Parameters
    ----------
    levels : Levels, shape (..., [Z,] Y, X)
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
    ndim, n_nodes = len(spacing), 2 * len(merges) + 1
    numbers = fragments.astype(np.int64)
    moments, histograms = _moments(numbers, n_nodes, ndim), _no_histograms(n_nodes)
    _add_inside(numbers.ravel(), levels.bins.ravel(), histograms)
    for index in np.ndindex(fragments.shape[:-ndim]):
        _add_rings(numbers[index], levels.bins[index], spacing, merges, histograms)
    _add_up(merges, moments, histograms)
    return _describe(moments, ndim, histograms, levels.deviation)


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
    n_nodes = int(regions.max(initial=-1)) + 1 + len(merges)
    moments = _moments(regions.astype(np.int64), n_nodes, ndim)
    _add_up(merges, moments, np.empty((n_nodes, 0), dtype=np.float32))
    return moments[:, 0], _roundness(moments, ndim)


def object_shapes(levels: Levels, objects: NDArray[np.integer], spacing: Floats) -> RegionShapes:
    """Measure objects against the ground around them, which other objects are no part of.

    Parameters
    ----------
    levels : Levels, shape (..., [Z,] Y, X)
        What objects stand out by.
    objects : ndarray of int, shape (..., [Z,] Y, X)
        Objects from 1, 0 elsewhere.
    spacing : ndarray of float64, shape (2,) or (3,)
        Distance of neighbours along each axis of a frame, 1 along the finest.

    Returns
    -------
    RegionShapes
        A row for each object.
    """
    n_objects, ndim = int(objects.max(initial=0)), len(spacing)
    numbers = objects.astype(np.int64) - 1
    histograms = _no_histograms(n_objects)
    _add_inside(numbers.ravel(), levels.bins.ravel(), histograms)
    for index in np.ndindex(objects.shape[:-ndim]):
        _add_nearest(*_with_margin(numbers[index], levels.bins[index], spacing), histograms)
    return _describe(_moments(numbers, n_objects, ndim), ndim, histograms, levels.deviation)


def ball(radius: int, spacing: Floats) -> Integers:
    """List the steps from a pixel to all others of a ball around it.

    Parameters
    ----------
    radius : int
        Radius in the finest steps.
    spacing : ndarray of float64, shape (2,) or (3,)
        Distance of neighbours along each axis, 1 along the finest.

    Returns
    -------
    ndarray of int64, shape (n, 2) or (n, 3)
        Pixels along each axis; the nearest first.

    Examples
    --------
    >>> ball(1, np.ones(2)).tolist()
    [[-1, 0], [0, -1], [0, 1], [1, 0]]
    """
    sides = [np.arange(-radius, radius + 1)] * len(spacing)
    steps = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, len(spacing))
    distances = np.square(steps * spacing).sum(axis=1)
    in_order: Integers = steps[np.argsort(distances, kind="stable")].astype(np.int64)
    return in_order[1 : np.count_nonzero(distances <= radius**2)]


def _describe(
    moments: Floats, ndim: int, histograms: NDArray[np.float32], deviation: float
) -> RegionShapes:
    """Return what the sums and histograms of regions say; nothing around it is no contrast."""
    is_alone = histograms[:, BINS:].sum(axis=1) < 0.5  # sums of whole numbers in single precision
    steps = (
        _quantiles(histograms, 0, 1 - INSIDE) - _quantiles(histograms, BINS, AROUND),
        _quantiles(histograms, BINS, 1 - AROUND) - _quantiles(histograms, 0, INSIDE),
    )
    brighter, darker = (np.where(is_alone, 0.0, step / deviation) for step in steps)
    return RegionShapes(moments[:, 0], _roundness(moments, ndim), moments[:, -1], brighter, darker)


def _no_histograms(n_regions: int) -> NDArray[np.float32]:
    """Return empty histograms of the levels in each region, and beside them those around it."""
    return np.zeros((n_regions, 2 * BINS), dtype=np.float32)


@jit()
def _add_inside(numbers: Integers, bins: NDArray[np.int8], histograms: NDArray[np.float32]) -> None:
    """Add pixels to the histograms of the regions that they lie in; below 0 is none."""
    for pixel in range(len(numbers)):
        if numbers[pixel] >= 0 and bins[pixel] >= 0:
            histograms[numbers[pixel], bins[pixel]] += 1


@jit()
def _add_nearest(
    numbers: Integers,
    bins: NDArray[np.int8],
    offsets: Integers,
    histograms: NDArray[np.float32],
) -> None:
    """Add a frame's pixels outside regions to the histogram around the nearest one."""
    for pixel in range(len(numbers)):
        if numbers[pixel] < 0 and bins[pixel] >= 0:
            for offset in offsets:  # from near to far
                if numbers[pixel + offset] >= 0:
                    histograms[numbers[pixel + offset], BINS + bins[pixel]] += 1
                    break


@jit()
def _add_up(merges: Integers, moments: Floats, histograms: NDArray[np.float32]) -> None:
    """Add to what each node has of its own what its parts have."""
    n_leaves = len(moments) - len(merges)
    for index in range(len(merges)):
        for part in merges[index]:
            moments[n_leaves + index] += moments[part]
            histograms[n_leaves + index] += histograms[part]


@jit()
def _quantiles(histograms: NDArray[np.float32], first: int, share: float) -> Floats:
    """Return a quantile of each histogram from a column on, in bins; 0 where there is nothing."""
    quantiles = np.zeros(len(histograms))
    for row in range(len(histograms)):
        # what was taken away again may have left a trace in single precision
        counts = np.maximum(histograms[row, first : first + BINS], 0)
        least, below, place = share * counts.sum(), counts[0], 0
        while below < least:
            place += 1
            below += counts[place]
        quantiles[row] = place
    return quantiles


def _moments(numbers: Integers, n_regions: int, ndim: int) -> Floats:
    """Return sums over regions of 1, of coordinates, of their products, and of border pixels."""
    frames = numbers.reshape(-1, *(1,) * (3 - ndim), *numbers.shape[-ndim:])
    sums = _sum_moments(frames, n_regions)
    return sums if ndim == 3 else sums.take([0, 2, 3, 7, 8, 9, 10], axis=1)  # in order of rows


@jit()
def _sum_moments(numbers: Integers, n_regions: int) -> Floats:
    """Return the moments of the regions of volumes, shape (n, 11)."""
    sums = np.zeros((n_regions, 11))
    n_frames, depth, height, width = numbers.shape
    for frame in range(n_frames):
        for z in range(depth):
            for y in range(height):
                for x in range(width):
                    number = numbers[frame, z, y, x]
                    if number >= 0:
                        of_region = sums[number]
                        of_region[0] += 1
                        of_region[1] += z
                        of_region[2] += y
                        of_region[3] += x
                        of_region[4] += z * z
                        of_region[5] += z * y
                        of_region[6] += z * x
                        of_region[7] += y * y
                        of_region[8] += y * x
                        of_region[9] += x * x
                        of_region[10] += y in (0, height - 1) or x in (0, width - 1)
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


def _with_margin(
    numbers: Integers, bins: NDArray[np.int8], spacing: Floats
) -> tuple[Integers, NDArray[np.int8], Integers]:
    """Return a frame's regions and levels with a margin that no step leaves, and all steps."""
    padded = np.pad(numbers, RING, constant_values=-1)
    offsets = ball(RING, spacing) @ (np.array(padded.strides) // padded.itemsize)
    return padded.ravel(), np.pad(bins, RING, constant_values=-1).ravel(), offsets


def _add_rings(
    fragments: Integers,
    bins: NDArray[np.int8],
    spacing: Floats,
    merges: Integers,
    histograms: NDArray[np.float32],
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
    flat, flat_bins, offsets = _with_margin(places[fragments], bins, spacing)
    offsets = np.sort(offsets)  # along rows, where the next pixel mostly is of the same fragment
    room, n_pairs = 16 * n_fragments, -1
    while n_pairs < 0:
        room *= 2
        pairs = np.empty((room, 2), dtype=np.int64)
        n_pairs = _list_pairs(flat, offsets, pairs)
    if n_pairs:
        pairs = pairs[:n_pairs]
        # at granularities that are the numbers of the merges, these say which one joins a pair
        numbers = joins.between(in_order[pairs[:, 0]], in_order[pairs[:, 1]]).astype(np.int64)
        rows = np.concatenate([in_order, np.arange(n_fragments, len(histograms))])
        _fill_rings(flat, flat_bins, offsets, pairs, numbers + n_fragments, rows, histograms)


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
    bins: NDArray[np.int8],
    offsets: Integers,
    pairs: Integers,
    nodes: Integers,
    rows: Integers,
    histograms: NDArray[np.float32],
) -> None:
    """Add each pixel to the fragments near it, and take it away where they come together."""
    table = make_table(2 * len(pairs))
    for index in range(len(pairs)):
        put(table, pairs[index, 0], pairs[index, 1], nodes[index])
    near = np.empty(len(offsets), dtype=np.int64)
    for pixel in range(len(fragments)):
        level = BINS + bins[pixel]
        own, n_near = fragments[pixel], _list_near(fragments, pixel, offsets, near)
        first = len(histograms)  # the node in which the pixel's own fragment joins one near it
        for k in range(n_near):
            histograms[rows[near[k]], level] += 1
            first = min(first, find(table, own, near[k]))
            if k > 0:
                histograms[find(table, near[k - 1], near[k]), level] -= 1
        if n_near > 0:
            histograms[first, level] -= 1


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
