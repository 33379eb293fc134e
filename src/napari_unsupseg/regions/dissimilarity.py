"""How far apart two neighbouring regions are, and the constants that weigh it."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_unsupseg._typing import Floats, Integers
from napari_unsupseg.regions.compiling import jit

__all__ = [
    "LABEL_HISTOGRAM",
    "Borders",
    "DissimilarityWeights",
    "HistogramBins",
    "RegionStatistics",
    "border_dissimilarities",
    "dissimilarity",
    "label_parts",
    "make_weights",
    "perimeters",
    "prepare_average_linkage",
    "weigh_rarity",
]

# Weights of the terms of a dissimilarity. All were chosen together, by the scores of the default
# cut on BSDS500's val images and on micrographs, so one is best for the values of the others only.
LABEL_HISTOGRAM = 0.33  # share of pixels whose labels differ, mean over snapshots
LABEL_CHANGE = 0.97  # share of the border across which labels differ, mean over snapshots
MEAN_COLOUR = 0.53  # distance of mean colours, 1 from black to white
MEAN_COLOUR_OF_TINY = 2.1  # the same for tiny regions; it stands in for the missing histograms
COLOUR_HISTOGRAM = 1.15  # share of pixels whose colours differ, mean over channels
SLOPE_HISTOGRAM = 0.75  # share of pixels whose slopes differ, which tells textures apart
EDGE = 2.9  # mean step in colour across the border
# two more, of the tree of the whole image alone
RARITY = 4.0  # how seldom what is on its two sides is neighbours, in place of LABEL_CHANGE
SPECTRAL = 0.22  # mean step of the graph's eigenvectors across it, relative to that of all borders
ENCLOSED = 0.33  # share taken off the sum where one region encloses the other
# small regions merge earlier, since they are more often noise than things
SMALL_SIDE = 28  # pixels, side of the square or cube below whose area a region is small
SMALL_SHARE = 0.008  # of a frame's area, where that is less
SIZE_EXPONENT = 0.34  # power of the size, relative to a small region's greatest, as a factor
VARIANCE = 2.2  # of the variances within, beside the square of the distance of mean colours


class RegionStatistics(NamedTuple):
    """Sums over the pixels of each region, which add up when regions merge.

    Attributes
    ----------
    areas : ndarray of float64, shape (n,)
        Pixels.
    perimeters : ndarray of float64, shape (n,)
        Lengths of all borders with other regions; the image's edge does not count.
    colour_sums : ndarray of float64, shape (n, C)
        Sums of colours.
    square_sums : ndarray of float64, shape (n,)
        Sums of the squares of colours, over all channels.
    histograms : ndarray of float32, shape (n, K)
        Pixels in each bin: of the colours' histogram for each channel, of that of slopes, and of
        that of labels for each snapshot.
    strokes : ndarray of int64, shape (n,)
        Label of the strokes on it, 0 without.
    """

    areas: Floats
    perimeters: Floats
    colour_sums: Floats
    square_sums: Floats
    histograms: NDArray[np.float32]
    strokes: Integers


class Borders(NamedTuple):
    """Sums along the borders of regions, which add up when borders become one.

    Attributes
    ----------
    pairs : ndarray of int64, shape (E, 2)
        Regions on both sides.
    lengths : ndarray of float64, shape (E,)
        Pixel pairs along it; 0 for a link, which joins two parts of an image that touch nowhere.
    edge_sums : ndarray of float64, shape (E,)
        Sum along it of the steps in colour.
    change_sums : ndarray of float64, shape (E,)
        Sum along it of the shares of snapshots with other labels on the other side.
    rarity_sums : ndarray of float64, shape (E,)
        Sum along it of how seldom the colours and labels on its sides are neighbours.
    spectral_sums : ndarray of float64, shape (E,)
        Sum along it of the steps of the graph's eigenvectors; 0 before these are known.
    """

    pairs: Integers
    lengths: Floats
    edge_sums: Floats
    change_sums: Floats
    rarity_sums: Floats
    spectral_sums: Floats


class HistogramBins(NamedTuple):
    """How many columns of `RegionStatistics.histograms` count what, in their order.

    Attributes
    ----------
    n_colours : int
        Shades of colour, over all channels.
    n_slopes : int
        Steps of steepness.
    n_labels : int
        Labels, over all snapshots.
    """

    n_colours: int
    n_slopes: int
    n_labels: int


class DissimilarityWeights(NamedTuple):
    """What each term of a dissimilarity weighs.

    Attributes
    ----------
    mean_colour : float
        Weight of the distance of mean colours.
    histograms : ndarray of float32, shape (K,)
        Weight of each bin's difference, as shares of the pixels.
    edge : float
        Weight of the mean step in colour across the border.
    change : float
        Weight of the mean share of changes of label across the border.
    rarity : float
        Weight of how seldom colours and labels of both sides are neighbours, mean along the border.
    spectral : float
        Weight of the mean step of the graph's eigenvectors across the border.
    enclosed : float
        Share taken off the sum of all these where one region encloses the other.
    small_area : float
        Pixels below which a region merges earlier.
    size_exponent : float
        Power of its size, relative to `small_area`, that is a factor of its dissimilarities.
    variance : float
        Weight of the variances within two regions beside the square of the distance of their mean
        colours. A small thing on even ground is clearly apart from it and keeps its dissimilarity;
        one of many in a texture is not.
    """

    mean_colour: float
    histograms: NDArray[np.float32]
    edge: float
    change: float
    rarity: float
    spectral: float
    enclosed: float
    small_area: float
    size_exponent: float
    variance: float


def make_weights(
    bins: HistogramBins,
    *,
    n_channels: int,
    n_snapshots: int,
    n_pixels: float,
    n_frames: int,
    pixel_size: Floats,
    are_tiny: bool,
) -> DissimilarityWeights:
    """Make the weights of a graph's dissimilarities.

    Parameters
    ----------
    bins : HistogramBins
        Columns of its histograms.
    n_channels : int
        C, channels of its colours.
    n_snapshots : int
        Snapshots of labels in its history.
    n_pixels : float
        Pixels that take part, over all frames.
    n_frames : int
        Frames of the image.
    pixel_size : ndarray of float64, shape (spatial axes,)
        Size of a pixel along each spatial axis, 1 along that of the least.
    are_tiny : bool
        Whether regions are of a few pixels each, so that their sizes tell nothing.

    Returns
    -------
    DissimilarityWeights
        These weights.
    """
    # half: of two disjoint histograms the differences of all bins add up to 2
    per_bin = (
        COLOUR_HISTOGRAM / 2 / n_channels,
        SLOPE_HISTOGRAM / 2,
        LABEL_HISTOGRAM / 2 / n_snapshots,
    )
    small_area = SMALL_SIDE ** len(pixel_size) / math.prod(pixel_size)
    return DissimilarityWeights(
        MEAN_COLOUR_OF_TINY if are_tiny else MEAN_COLOUR,
        np.repeat(np.array(per_bin, dtype=np.float32), bins),
        EDGE,
        LABEL_CHANGE,
        0.0,  # as long as neighbours alone are compared
        SPECTRAL,
        ENCLOSED,
        min(small_area, SMALL_SHARE * n_pixels / n_frames),
        0.0 if are_tiny else SIZE_EXPONENT,
        VARIANCE,
    )


def weigh_rarity(weights: DissimilarityWeights) -> DissimilarityWeights:
    """Return weights by which changes of label count by how rare they are, not by their number."""
    return weights._replace(change=0.0, rarity=RARITY)


@jit(fastmath={"reassoc", "contract"})
def dissimilarity(
    one: int,
    other: int,
    border: int,
    regions: RegionStatistics,
    borders: Borders,
    weights: DissimilarityWeights,
) -> float:
    """Compute how far apart two neighbouring regions are.

    Parameters
    ----------
    one, other : int
        The regions, in any order.
    border : int
        Their border.
    regions : RegionStatistics
        Sums over regions.
    borders : Borders
        Sums along borders.
    weights : DissimilarityWeights
        What each term weighs.

    Returns
    -------
    float
        0 or more; infinite if the border is a link.

    Notes
    -----
    The sum of six terms: distance of mean colours, difference of histograms, and along the border
    the mean step in colour, the mean share of changes of label, how rare they are in the mean, and
    the mean step of the graph's eigenvectors, each times its weight. Times a factor below 1 if the
    smaller region is small and not clearly apart from the other, that is, if their variances are
    large beside the distance of their means. Times a factor below 1 for the share of its perimeter
    along which one region lies at the other.
    """
    length = borders.lengths[border]
    if length == 0:
        return math.inf
    area, other_area = regions.areas[one], regions.areas[other]
    square = 0.0  # of the distance of mean colours
    variances = regions.square_sums[one] / area + regions.square_sums[other] / other_area
    for channel in range(regions.colour_sums.shape[1]):
        mean = regions.colour_sums[one, channel] / area
        other_mean = regions.colour_sums[other, channel] / other_area
        square += (mean - other_mean) ** 2
        variances -= mean * mean + other_mean * other_mean
    # single precision: twice as many bins are compared by an instruction
    difference = np.float32(0)
    per_pixel, per_other_pixel = np.float32(1 / area), np.float32(1 / other_area)
    for k in range(regions.histograms.shape[1]):
        share = regions.histograms[one, k] * per_pixel
        difference += weights.histograms[k] * abs(
            share - regions.histograms[other, k] * per_other_pixel
        )
    along = (
        weights.edge * borders.edge_sums[border]
        + weights.change * borders.change_sums[border]
        + weights.rarity * borders.rarity_sums[border]
        + weights.spectral * borders.spectral_sums[border]
    )
    apart = weights.mean_colour * math.sqrt(square) + difference + along / length
    enclosed = length / min(regions.perimeters[one], regions.perimeters[other])
    # rounding can leave variances a little below 0
    spread = square + weights.variance * max(variances, 0.0)
    unclear = 1 - square / spread if spread > 0 else 1.0  # 0 where means alone tell them apart
    relative_size = min(1.0, min(area, other_area) / weights.small_area)
    size_factor = relative_size ** (weights.size_exponent * unclear)
    value: float = apart * size_factor * (1 - weights.enclosed * enclosed)
    return value


@jit()
def border_dissimilarities(
    regions: RegionStatistics, borders: Borders, weights: DissimilarityWeights
) -> Floats:
    """Return the dissimilarity of the regions on both sides of each border, shape (E,)."""
    values = np.empty(len(borders.lengths))
    for border in range(len(values)):
        one, other = borders.pairs[border, 0], borders.pairs[border, 1]
        values[border] = dissimilarity(one, other, border, regions, borders, weights)
    return values


def perimeters(borders: Borders, n_regions: int) -> Floats:
    """Return the length of all borders of each region, shape (n,)."""
    lengths = borders.lengths.repeat(2)  # (E,) -> (2E,), as the flat pairs
    return np.bincount(borders.pairs.ravel(), lengths, n_regions).astype(float)


def label_parts(pairs: Integers, n_regions: int) -> NDArray[np.int32]:
    """Return the part of each region, (n,), of a graph that need not hang together."""
    ones = np.ones(len(pairs), dtype=bool)
    adjacency = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(n_regions, n_regions))
    parts: NDArray[np.int32] = connected_components(adjacency, directed=False)[1]
    return parts


def prepare_average_linkage(
    regions: RegionStatistics, borders: Borders, weights: DissimilarityWeights
) -> tuple[RegionStatistics, Borders, DissimilarityWeights]:
    """Return what makes `merge_regions` merge by average linkage.

    Two groups of regions are then as far apart as the regions on the sides of their common border
    are now, mean along it. The dissimilarity of now takes the place of the steps in colour, which
    `merge_regions` averages along borders anyway, and all else weighs nothing.
    """
    n_regions, n_borders = len(regions.areas), len(borders.lengths)
    values = border_dissimilarities(regions, borders, weights)
    edge_sums = np.where(borders.lengths > 0, values, 0) * borders.lengths
    only_edges = DissimilarityWeights(
        mean_colour=0.0,
        histograms=np.zeros(0, np.float32),
        edge=1.0,
        change=0.0,
        rarity=0.0,
        spectral=0.0,
        enclosed=0.0,
        small_area=1.0,
        size_exponent=0.0,
        variance=0.0,
    )
    without_contents = regions._replace(
        colour_sums=np.zeros((n_regions, 0)),
        square_sums=np.zeros(n_regions),
        histograms=np.zeros((n_regions, 0), dtype=np.float32),
    )
    none = np.zeros(n_borders)
    along = borders._replace(
        edge_sums=edge_sums, change_sums=none, rarity_sums=none, spectral_sums=none
    )
    return without_contents, along, only_edges
