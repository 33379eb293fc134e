"""The graph of an image's regions: what is inside each, and what lies along each border."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_unsupseg._typing import Colours, Floats, Integers, Labels
from napari_unsupseg.regions.compiling import jit
from napari_unsupseg.regions.dissimilarity import (
    Borders,
    HistogramBins,
    RegionStatistics,
    label_parts,
    make_weights,
    perimeters,
)
from napari_unsupseg.regions.graph import RegionGraph
from napari_unsupseg.regions.pair_table import find, make_table, put
from napari_unsupseg.regions.rarity import neighbour_rarities, quantize_colours, sample_pairs

__all__ = ["build_region_graph", "relative_spacing"]

Regions = NDArray[np.int32]  # from 0, -1 at pixels that take no part
Histograms = NDArray[np.float32]  # (n, K)

COLOUR_BINS = 10  # of each channel's histogram
SLOPE_BINS = 8  # of the histogram of slopes, each with as many of the image's pixels
COLOUR_SHARE = 0.6  # of the rarity of what lies along a border; the rest is of labels
BLUR = 1  # pixels; noise of less than this changes neither slopes nor the steps at borders
# borders per region to make room for at first; a planar graph has fewer than three per node
BORDERS_PER_REGION = {2: 3, 3: 8}


def build_region_graph(
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
        Distance of neighbours along each of these axes; by default they are the same.
    are_tiny : bool
        Whether regions are of a few pixels each. Their histograms are not made and their sizes do
        not count, since neither tells anything; mean colours then weigh more.

    Returns
    -------
    RegionGraph
        Of these regions.
    """
    numbers = regions.astype(np.int32, copy=False)
    n_regions, n_frames = int(regions.max()) + 1, math.prod(regions.shape[:-spatial_ndim])
    steps = relative_spacing(spacing, spatial_ndim)
    axes = range(regions.ndim - spatial_ndim, regions.ndim)
    smooth = gaussian_filter(colours, list(BLUR / steps), axes=axes)
    borders = _find_borders(numbers, smooth, history, steps, are_tiny=are_tiny)
    if are_tiny:
        bins, histograms = HistogramBins(0, 0, 0), np.zeros((n_regions, 0), np.float32)
    else:
        bins, histograms = _make_histograms(numbers, colours, smooth, history, steps)
    sums = RegionStatistics(
        np.zeros(n_regions),
        perimeters(borders, n_regions),
        np.zeros((n_regions, colours.shape[-1])),
        np.zeros(n_regions),
        histograms,
        np.zeros(n_regions, dtype=np.int64),
    )
    _add_pixels(numbers.ravel(), _flat(colours), sums)
    if strokes is not None:
        np.maximum.at(sums.strokes, regions[regions >= 0], strokes[regions >= 0])
    weights = make_weights(
        bins,
        n_channels=colours.shape[-1],
        n_snapshots=len(history),
        n_pixels=sums.areas.sum(),
        n_frames=n_frames,
        pixel_size=steps,
        are_tiny=are_tiny,
    )
    return RegionGraph(sums, borders, weights, bins.n_labels, len(history), lightness)


def relative_spacing(spacing: Sequence[float], n_axes: int) -> Floats:
    """Return the distance of neighbours along each axis, in units of the least; 1 by default."""
    steps = np.asarray(spacing or (1,) * n_axes, dtype=np.float64)
    relative: Floats = steps / steps.min()
    return relative


def _flat(colours: Colours) -> Colours:
    """Return colours (..., C) as (pixels, C)."""
    return colours.reshape(-1, colours.shape[-1])


@jit()
def _add_pixels(regions: Regions, colours: Colours, sums: RegionStatistics) -> None:
    """Add up areas, colours and their squares."""
    for pixel in range(len(regions)):
        region = regions[pixel]
        if region >= 0:
            sums.areas[region] += 1
            for channel in range(colours.shape[1]):
                colour = np.float64(colours[pixel, channel])
                sums.colour_sums[region, channel] += colour
                sums.square_sums[region] += colour * colour


def _make_histograms(
    regions: Regions, colours: Colours, smooth: Colours, history: Sequence[Labels], steps: Floats
) -> tuple[HistogramBins, Histograms]:
    """Return the histograms of each region, (n, K), and what their K columns are."""
    flat, n_channels = regions.ravel(), colours.shape[-1]
    n_colours = n_channels * COLOUR_BINS
    n_labels, columns = _label_columns(history, n_colours + SLOPE_BINS)
    bins = HistogramBins(n_colours, SLOPE_BINS, n_labels)
    histograms = np.zeros((int(regions.max()) + 1, sum(bins)), dtype=np.float32)
    low, high = _colour_range(flat, _flat(colours))
    scale = COLOUR_BINS / np.maximum(high - low, 1e-6)  # of a constant channel all is in bin 0
    _count_colours(flat, _flat(colours), low, scale, histograms)
    slopes = _gradient_length(smooth, steps)
    # quantiles, since slopes are mostly small and few of even bins would be filled
    edges = np.quantile(slopes[regions >= 0], np.linspace(0, 1, SLOPE_BINS + 1)[1:-1])
    _count_slopes(flat, slopes.ravel(), edges, n_colours, histograms)
    for labels, label_columns in zip(history, columns, strict=True):
        _count_labels(flat, labels.ravel(), label_columns, histograms)
    return bins, histograms


def _gradient_length(smooth: Colours, steps: Floats) -> NDArray[np.float32]:
    """Return the length of the gradient of colours (..., Y, X, C) along the spatial axes."""
    squares = np.zeros(smooth.shape[:-1], dtype=np.float32)
    for axis, step in enumerate(steps, start=smooth.ndim - 1 - len(steps)):
        if smooth.shape[axis] > 1:
            squares += np.square(np.gradient(smooth, axis=axis) / np.float32(step)).sum(axis=-1)
    return np.sqrt(squares)


def _label_columns(history: Sequence[Labels], first: int) -> tuple[int, list[Integers]]:
    """Return how many labels there are in all snapshots, and the column of each.

    Only labels that occur have columns, from `first` on, snapshot after snapshot.
    """
    columns, last = [], first - 1
    for labels in history:
        occurs = np.bincount(labels.ravel()) > 0
        columns.append(last + np.cumsum(occurs))
        last = int(columns[-1][-1])
    return last + 1 - first, columns


@jit()
def _colour_range(regions: Regions, colours: Colours) -> tuple[Floats, Floats]:
    """Return the least and the greatest value of each channel, where pixels take part."""
    low, high = np.full(colours.shape[1], np.inf), np.full(colours.shape[1], -np.inf)
    for pixel in range(len(regions)):
        if regions[pixel] >= 0:
            for channel in range(colours.shape[1]):
                low[channel] = min(low[channel], colours[pixel, channel])
                high[channel] = max(high[channel], colours[pixel, channel])
    return low, high


@jit()
def _count_colours(
    regions: Regions, colours: Colours, low: Floats, scale: Floats, histograms: Histograms
) -> None:
    """Count the shades of each channel, channel beside channel."""
    for pixel in range(len(regions)):
        if regions[pixel] >= 0:
            for channel in range(colours.shape[1]):
                shade = int((colours[pixel, channel] - low[channel]) * scale[channel])
                column = channel * COLOUR_BINS + min(shade, COLOUR_BINS - 1)
                histograms[regions[pixel], column] += 1


@jit()
def _count_slopes(
    regions: Regions,
    slopes: NDArray[np.float32],
    edges: NDArray[np.floating],
    first: int,
    histograms: Histograms,
) -> None:
    """Count slopes in the bins between edges, in columns from `first` on."""
    for pixel in range(len(regions)):
        if regions[pixel] >= 0:
            bin_ = 0
            for edge in edges:
                bin_ += slopes[pixel] >= edge
            histograms[regions[pixel], first + bin_] += 1


@jit()
def _count_labels(
    regions: Regions, labels: Labels, columns: Integers, histograms: Histograms
) -> None:
    """Count labels, each in its column."""
    for pixel in range(len(regions)):
        if regions[pixel] >= 0:
            histograms[regions[pixel], columns[labels[pixel]]] += 1


def _find_borders(
    regions: Regions,
    smooth: Colours,
    history: Sequence[Labels],
    steps: Floats,
    *,
    are_tiny: bool,
) -> Borders:
    """Return where regions touch and what lies along it, and links between what touches nowhere.

    The side of a pixel counts by its area, where spacing makes that differ.
    """
    n_regions, n_axes = int(regions.max()) + 1, len(steps)
    strides = [math.prod(regions.shape[axis + 1 :]) for axis in range(regions.ndim)][-n_axes:]
    # tiny regions are but a texture's grains, whose borders tell nothing by being rare
    label_maps, rarities = (
        (np.stack(history), np.zeros((0, 0, 0), np.float32))
        if are_tiny
        else _find_rarities(smooth, history, regions >= 0, steps)
    )
    maps = (
        regions.ravel(),
        _flat(smooth),
        label_maps.reshape(-1, regions.size),
        len(history),
        rarities,
        np.array(regions.shape[-n_axes:]),
        np.array(strides),
        math.prod(steps) / steps,
    )
    n_borders, room = 1, 0
    while n_borders > room:
        room = max(2 * room, BORDERS_PER_REGION[n_axes] * n_regions)
        pairs, sums = np.zeros((room, 2), dtype=np.int64), np.zeros((room, 4))
        n_borders = _sum_along_borders(*maps, pairs, sums)
    # in the order of their regions, whatever the order in which they were met
    order = np.lexsort(pairs[:n_borders].T[::-1])
    pairs, sums = pairs[order], sums[order]
    links = _link_components(pairs, n_regions)
    sums = np.concatenate([sums, np.zeros((len(links), 4))])
    lengths, edge_sums, change_sums, rarity_sums = np.ascontiguousarray(sums.T)
    pairs = np.concatenate([pairs, links])
    return Borders(pairs, lengths, edge_sums, change_sums, rarity_sums, np.zeros(len(pairs)))


@jit()
def _sum_along_borders(
    regions: Regions,
    smooth: Colours,
    label_maps: Labels,
    n_snapshots: int,
    rarities: NDArray[np.float32],
    lengths: Integers,
    strides: Integers,
    side_areas: Floats,
    pairs: Integers,
    sums: Floats,
) -> int:
    """Fill in pairs of neighbouring regions, (E, 2), and sums along their borders, (E, 3).

    Return how many there are, or one more than there is room for.
    """
    table = make_table(2 * len(pairs) + 2)
    n_borders = 0
    for axis in range(len(lengths)):
        length, stride = lengths[axis], strides[axis]
        for near in range(len(regions) - stride):
            far = near + stride
            one, other = np.int64(regions[near]), np.int64(regions[far])
            if one == other or one < 0 or other < 0:
                continue
            index = near // stride % length  # along the axis
            if index == length - 1:  # the far pixel is in another row
                continue
            border = find(table, one, other)
            if border < 0:
                if n_borders == len(pairs):
                    return n_borders + 1
                border = n_borders
                put(table, one, other, np.int64(border))
                pairs[border, 0], pairs[border, 1] = min(one, other), max(one, other)
                n_borders += 1
            # labels are compared a pixel away from the border, which they need not follow closely
            before = near - stride if index > 0 else near
            beyond = far + stride if index < length - 2 else far
            changes = _count_changes(label_maps[:n_snapshots], before, beyond)
            sums[border, 0] += side_areas[axis]
            sums[border, 1] += side_areas[axis] * _colour_distance(smooth, near, far)
            sums[border, 2] += side_areas[axis] * changes / n_snapshots
            rarity = _sum_rarities(label_maps, rarities, before, beyond)
            sums[border, 3] += side_areas[axis] * rarity
    return n_borders


@jit()
def _colour_distance(colours: Colours, one: int, other: int) -> float:
    """Return the Euclidean distance of the colours of two pixels."""
    squares = 0.0
    for channel in range(colours.shape[1]):
        squares += (colours[one, channel] - colours[other, channel]) ** 2
    return math.sqrt(squares)


@jit()
def _count_changes(history: Labels, one: int, other: int) -> int:
    """Return in how many snapshots, (S, pixels), two pixels have different labels."""
    changes = 0
    for snapshot in range(len(history)):
        changes += history[snapshot, one] != history[snapshot, other]
    return changes


@jit()
def _sum_rarities(label_maps: Labels, rarities: NDArray[np.float32], one: int, other: int) -> float:
    """Return how rare it is that two pixels are neighbours, from 0 to 1."""
    total = 0.0
    for index in range(len(rarities)):
        total += rarities[index, label_maps[index, one], label_maps[index, other]]
    return total


def _find_rarities(
    smooth: Colours, history: Sequence[Labels], valid: NDArray[np.bool_], steps: Floats
) -> tuple[Labels, NDArray[np.float32]]:
    """Return maps of labels, the last of colours, (M, ..., Y, X), and how rare their changes are.

    The latter, (M, K, K), are multiplied by the share that each map has of the sum.
    """
    label_maps = np.stack([*history, quantize_colours(smooth, valid)])
    pairs, n_labels = sample_pairs(valid, steps), int(label_maps.max()) + 1
    rarities = np.stack([neighbour_rarities(labels, pairs, n_labels) for labels in label_maps])
    rarities[:-1] *= np.float32((1 - COLOUR_SHARE) / len(history))
    rarities[-1] *= np.float32(COLOUR_SHARE)
    return label_maps, rarities


def _link_components(pairs: Integers, n_regions: int) -> Integers:
    """Return pairs that link the parts of the image which touch nowhere into a chain."""
    firsts = np.unique(label_parts(pairs, n_regions), return_index=True)[1]
    return np.stack([firsts[:-1], firsts[1:]], axis=1)
