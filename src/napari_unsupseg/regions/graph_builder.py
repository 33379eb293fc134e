"""Regions and their borders, described: what is inside each, what lies along each border."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_unsupseg._typing import Colours, Floats, Labels
from napari_unsupseg.regions.compiling import jit
from napari_unsupseg.regions.dissimilarity import (
    COLOUR,
    COLOUR_OF_TINY,
    COLOURS,
    EDGE,
    ENCLOSED,
    EVEN,
    HISTORY,
    HISTORY_AT_BORDER,
    SLOPES,
    SMALL,
    SMALL_SHARE,
    SOONER,
    Borders,
    DissimilarityWeights,
    RegionStatistics,
    perimeters,
)
from napari_unsupseg.regions.graph import RegionGraph
from napari_unsupseg.regions.pair_table import find, make_table, put

__all__ = ["describe_regions", "relative_spacing"]

COLOUR_BINS = 10  # of each channel's histogram
SLOPE_BINS = 8  # of the histogram of slopes, each with as many of the image's pixels
BLUR = 1  # pixels; what noise slopes and the steps at borders need not follow


def describe_regions(
    regions: NDArray[np.integer],
    colours: Colours,
    history: Sequence[Labels],
    lightness: Sequence[float],
    spatial_ndim: int = 2,
    strokes: Labels | None = None,
    spacing: Sequence[float] = (),
    *,
    are_tiny: bool = False,
) -> RegionGraph:
    """Describe regions and their borders.

    Parameters
    ----------
    regions : ndarray of int, shape (..., Y, X)
        Regions from 0, -1 at pixels that take no part.
    colours : ndarray of float32, shape (..., Y, X, C)
        Colours, 1 from black to white.
    history : sequence of ndarray of unsigned integers, shape (..., Y, X)
        Labels at some iterations.
    lightness : sequence of float, length C
        How much each channel of a colour counts for its lightness.
    spatial_ndim : int
        Axes along which pixels are neighbours, the last ones.
    strokes : ndarray of unsigned integers, shape (..., Y, X), optional
        Label of each pixel under a stroke, 0 where there is none; no region has two.
    spacing : sequence of float, optional
        Distance of neighbours along each of these axes; by default all are alike.
    are_tiny : bool
        Whether regions are of a few pixels each, whose histograms and sizes tell nothing; colours
        then weigh the more.

    Returns
    -------
    RegionGraph
        Of these regions.
    """
    numbers = regions.astype(np.int32, copy=False)
    flat, values = numbers.ravel(), colours.reshape(-1, colours.shape[-1])
    n_regions, n_channels = int(regions.max()) + 1, colours.shape[-1]
    steps = relative_spacing(spacing, spatial_ndim)
    axes = range(regions.ndim - spatial_ndim, regions.ndim)
    smooth = gaussian_filter(colours, list(BLUR / steps), axes=axes)
    borders = _borders(numbers, smooth, history, steps)
    counts, of_counts, n_labels = np.zeros((n_regions, 0), np.float32), np.zeros(0, np.float32), 0
    if not are_tiny:
        n_labels, columns = _columns(history, n_channels * COLOUR_BINS + SLOPE_BINS)
        n_bins = n_channels * COLOUR_BINS, SLOPE_BINS, n_labels
        of_bins = COLOURS / 2 / n_channels, SLOPES / 2, HISTORY / 2 / len(history)
        of_counts = np.repeat(np.array(of_bins, dtype=np.float32), n_bins)
        counts = np.zeros((n_regions, sum(n_bins)), dtype=np.float32)
        low, high = _ends(flat, values)
        _add_colours(flat, values, low, COLOUR_BINS / np.maximum(high - low, 1e-6), counts)
        steep = _slopes(smooth, steps)
        ends = np.quantile(steep[regions >= 0], np.linspace(0, 1, SLOPE_BINS + 1)[1:-1])
        _add_slopes(flat, steep.ravel(), ends, n_channels * COLOUR_BINS, counts)
        for labels, column in zip(history, columns, strict=True):
            _add_labels(flat, labels.ravel(), column, counts)
    sums = RegionStatistics(
        np.zeros(n_regions),
        perimeters(borders, n_regions),
        np.zeros((n_regions, n_channels)),
        np.zeros(n_regions),
        counts,
        np.zeros(n_regions, dtype=np.int64),
    )
    _add_pixels(flat, values, sums)
    if strokes is not None:
        np.maximum.at(sums.strokes, regions[regions >= 0], strokes[regions >= 0])
    n_frames = math.prod(regions.shape[:-spatial_ndim])
    weights = DissimilarityWeights(
        COLOUR_OF_TINY if are_tiny else COLOUR,
        of_counts,
        EDGE,
        HISTORY_AT_BORDER,
        ENCLOSED,
        min(SMALL**spatial_ndim / math.prod(steps), SMALL_SHARE * sums.areas.sum() / n_frames),
        0.0 if are_tiny else SOONER,
        EVEN,
    )
    return RegionGraph(sums, borders, weights, n_labels, len(history), lightness)


def relative_spacing(spacing: Sequence[float], n_axes: int) -> Floats:
    """Return the distance of neighbours along each axis, in units of the least; 1 by default."""
    steps = np.asarray(spacing or (1,) * n_axes, dtype=np.float64)
    relative: Floats = steps / steps.min()
    return relative


def _slopes(smooth: Colours, steps: Floats) -> NDArray[np.float32]:
    """Return the length of the gradient of colours (..., Y, X, C) along the last axes of pixels."""
    squares = np.zeros(smooth.shape[:-1], dtype=np.float32)
    for axis, step in enumerate(steps, start=smooth.ndim - 1 - len(steps)):
        if smooth.shape[axis] > 1:
            squares += np.square(np.gradient(smooth, axis=axis) / np.float32(step)).sum(axis=-1)
    return np.sqrt(squares)


def _columns(history: Sequence[Labels], first: int) -> tuple[int, list[NDArray[np.int64]]]:
    """Return how many labels there are in all snapshots, and the column of each."""
    columns, last = [], first - 1
    for labels in history:
        is_there = np.bincount(labels.ravel()) > 0
        columns.append(last + np.cumsum(is_there))
        last = int(columns[-1][-1])
    return last + 1 - first, columns


@jit()
def _ends(regions: NDArray[np.int32], colours: Colours) -> tuple[Floats, Floats]:
    """Return the least and the greatest value of each channel, where pixels take part."""
    low, high = np.full(colours.shape[1], np.inf), np.full(colours.shape[1], -np.inf)
    for pixel in range(len(regions)):
        if regions[pixel] >= 0:
            for channel in range(colours.shape[1]):
                low[channel] = min(low[channel], colours[pixel, channel])
                high[channel] = max(high[channel], colours[pixel, channel])
    return low, high


@jit()
def _add_pixels(regions: NDArray[np.int32], colours: Colours, sums: RegionStatistics) -> None:
    """Add up areas, colours and their squares."""
    for pixel in range(len(regions)):
        region = regions[pixel]
        if region >= 0:
            sums.areas[region] += 1
            for channel in range(colours.shape[1]):
                colour = np.float64(colours[pixel, channel])
                sums.colours[region, channel] += colour
                sums.squares[region] += colour * colour


@jit()
def _add_colours(
    regions: NDArray[np.int32],
    colours: Colours,
    low: Floats,
    scale: Floats,
    counts: NDArray[np.float32],
) -> None:
    """Count colours, channel beside channel."""
    for pixel in range(len(regions)):
        if regions[pixel] >= 0:
            for channel in range(colours.shape[1]):
                shade = int((colours[pixel, channel] - low[channel]) * scale[channel])
                bin_ = channel * COLOUR_BINS + min(shade, COLOUR_BINS - 1)
                counts[regions[pixel], bin_] += 1


@jit()
def _add_slopes(
    regions: NDArray[np.int32],
    steep: NDArray[np.float32],
    ends: NDArray[np.floating],
    first: int,
    counts: NDArray[np.float32],
) -> None:
    """Count slopes between these ends."""
    for pixel in range(len(regions)):
        if regions[pixel] >= 0:
            shade = 0
            for end in ends:
                shade += steep[pixel] >= end
            counts[regions[pixel], first + shade] += 1


@jit()
def _add_labels(
    regions: NDArray[np.int32],
    labels: Labels,
    columns: NDArray[np.int64],
    counts: NDArray[np.float32],
) -> None:
    """Count labels."""
    for pixel in range(len(regions)):
        if regions[pixel] >= 0:
            counts[regions[pixel], columns[labels[pixel]]] += 1


def _borders(
    regions: NDArray[np.int32], smooth: Colours, history: Sequence[Labels], steps: Floats
) -> Borders:
    """Return where regions touch and what lies along it; links make one of what touches nowhere.

    The side of a pixel counts by its area, where spacing makes that differ.
    """
    n_regions = int(regions.max()) + 1
    n_axes = len(steps)
    strides = [math.prod(regions.shape[axis + 1 :]) for axis in range(regions.ndim)][-n_axes:]
    maps = (
        regions.ravel(),
        smooth.reshape(-1, smooth.shape[-1]),
        np.stack([labels.ravel() for labels in history]),
        np.array(regions.shape[-n_axes:]),
        np.array(strides),
        math.prod(steps) / steps,
    )
    # in a plane regions have no more than three borders each, in a volume usually below eight
    found, room = 1, 0
    while found > room:
        room = max(2 * room, (3 if n_axes == 2 else 8) * n_regions)
        pairs, sums = np.zeros((room, 2), dtype=np.int64), np.zeros((room, 3))
        found = _gather(*maps, pairs, sums)
    order = np.lexsort(pairs[:found].T[::-1])
    pairs, sums = pairs[order], sums[order]
    links = _link(pairs, n_regions)
    sums = np.concatenate([sums, np.zeros((len(links), 3))])
    return Borders(np.concatenate([pairs, links]), *np.ascontiguousarray(sums.T))


@jit()
def _gather(
    regions: NDArray[np.int32],
    smooth: Colours,
    history: Labels,
    lengths: NDArray[np.int64],
    strides: NDArray[np.int64],
    sides: Floats,
    pairs: NDArray[np.int64],
    sums: Floats,
) -> int:
    """Fill in pairs of neighbouring regions, and lengths and sums along their borders.

    Return how many there are, or one more than there is room for.
    """
    table = make_table(2 * len(pairs) + 2)
    found = 0
    for axis in range(len(lengths)):
        length, stride = lengths[axis], strides[axis]
        for near in range(len(regions) - stride):
            far = near + stride
            one, other = regions[near], regions[far]
            if one == other or one < 0 or other < 0:
                continue
            place = near // stride % length
            if place == length - 1:
                continue
            border = find(table, one, other)
            if border < 0:
                if found == len(pairs):
                    return found + 1
                border = found
                put(table, one, other, border)
                pairs[border, 0], pairs[border, 1] = min(one, other), max(one, other)
                found += 1
            squares = 0.0
            for channel in range(smooth.shape[1]):
                squares += (smooth[near, channel] - smooth[far, channel]) ** 2
            # labels are compared a pixel away from the border, which they need not follow closely
            before = near - stride if place > 0 else near
            beyond = far + stride if place < length - 2 else far
            changes = 0
            for snapshot in range(len(history)):
                changes += history[snapshot, before] != history[snapshot, beyond]
            sums[border, 0] += sides[axis]
            sums[border, 1] += sides[axis] * math.sqrt(squares)
            sums[border, 2] += sides[axis] * changes / len(history)
    return found


def _link(pairs: NDArray[np.int64], n_regions: int) -> NDArray[np.int64]:
    """Return pairs that link the parts of the image which touch nowhere into a chain."""
    ones = np.ones(len(pairs), dtype=bool)
    adjacency = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(n_regions, n_regions))
    _, parts = connected_components(adjacency, directed=False)
    firsts = np.unique(parts, return_index=True)[1]
    return np.stack([firsts[:-1], firsts[1:]], axis=1)
