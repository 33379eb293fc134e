"""How much tells two neighbouring regions apart."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg._typing import Floats, Integers
from napari_unsupseg.regions.compiling import jit

__all__ = [
    "COLOUR",
    "COLOURS",
    "COLOUR_OF_TINY",
    "EDGE",
    "ENCLOSED",
    "EVEN",
    "HISTORY",
    "HISTORY_AT_BORDER",
    "SLOPES",
    "SMALL",
    "SMALL_SHARE",
    "SOONER",
    "Borders",
    "DissimilarityWeights",
    "RegionStatistics",
    "as_average_linkage",
    "border_dissimilarities",
    "dissimilarity",
    "perimeters",
]

# weights of what tells two regions apart, chosen on BSDS500's val images and on micrographs
HISTORY = 0.3  # share of pixels whose labels differ, over iterations
HISTORY_AT_BORDER = 0.7  # share of border pixels with other labels on the other side
COLOUR = 0.75  # distance of mean colours, 1 from black to white
COLOUR_OF_TINY = 2.1  # the same, where regions have no histograms
COLOURS = 1.4  # share of pixels whose colours differ, over channels
SLOPES = 0.75  # share of pixels whose slopes differ, which tells textures apart
EDGE = 2.35  # step in colour across the border
ENCLOSED = 0.35  # of all this is taken off where one region encloses the other
SMALL = 27  # pixels, side of a square or cube; regions smaller than it merge the sooner
SMALL_SHARE = 0.008  # of a frame, if that is smaller
SOONER = 0.35  # power of its size at which they do
EVEN = 2.25  # of the colours' variances within, beside the square of their distance


class RegionStatistics(NamedTuple):
    """Sums over each region's pixels.

    Attributes
    ----------
    areas : ndarray of float64, shape (n,)
        Pixels.
    perimeters : ndarray of float64, shape (n,)
        Lengths of all of its borders.
    colours : ndarray of float64, shape (n, C)
        Sums of colours.
    squares : ndarray of float64, shape (n,)
        Sums of the squares of colours, over all channels.
    counts : ndarray of float32, shape (n, K)
        Histograms, one beside the other.
    strokes : ndarray of int64, shape (n,)
        Label of the strokes on it, 0 without.
    """

    areas: Floats
    perimeters: Floats
    colours: Floats
    squares: Floats
    counts: NDArray[np.float32]
    strokes: Integers


class Borders(NamedTuple):
    """Where regions touch.

    Attributes
    ----------
    pairs : ndarray of int64, shape (E, 2)
        Regions on both sides.
    lengths : ndarray of float64, shape (E,)
        Pixel pairs along it; 0 where a pair is a mere link between parts that touch nowhere.
    edges : ndarray of float64, shape (E,)
        Sum along it of the steps in colour.
    changes : ndarray of float64, shape (E,)
        Sum along it of the shares of snapshots with other labels on the other side.
    """

    pairs: Integers
    lengths: Floats
    edges: Floats
    changes: Floats


class DissimilarityWeights(NamedTuple):
    """What each part of a dissimilarity weighs.

    Attributes
    ----------
    colour : float
        Distance of mean colours.
    counts : ndarray of float32, shape (K,)
        Difference of each bin of the histograms, as shares of the pixels.
    edge : float
        Mean step in colour across the border.
    change : float
        Mean share of changes of label across the border.
    enclosed : float
        Share taken off all this where one region encloses the other.
    small : float
        Area in pixels below which a region merges the sooner.
    sooner : float
        Power of its size at which it does, where the two are not clearly apart.
    even : float
        What the variances of colours within two regions weigh beside the square of the distance
        between their means: a small thing on even ground is clearly apart from it, one of many in
        a texture is not.
    """

    colour: float
    counts: NDArray[np.float32]
    edge: float
    change: float
    enclosed: float
    small: float
    sooner: float
    even: float


@jit(fastmath={"reassoc", "contract"})
def dissimilarity(
    one: int,
    other: int,
    border: int,
    regions: RegionStatistics,
    borders: Borders,
    weights: DissimilarityWeights,
) -> float:
    """Return how much tells two neighbouring regions apart, infinite for a mere link."""
    length = borders.lengths[border]
    if length == 0:
        return math.inf
    a, b = regions.areas[one], regions.areas[other]
    between = 0.0  # square of the distance of mean colours
    within = (regions.squares[one] / a) + (regions.squares[other] / b)  # sum of the variances
    for channel in range(regions.colours.shape[1]):
        p, q = regions.colours[one, channel] / a, regions.colours[other, channel] / b
        between += (p - q) ** 2
        within -= p * p + q * q
    counts = np.float32(0)  # single precision, with which twice as many bins are compared at once
    one_part, other_part = np.float32(1 / a), np.float32(1 / b)
    for k in range(regions.counts.shape[1]):
        share = regions.counts[one, k] * one_part - regions.counts[other, k] * other_part
        counts += weights.counts[k] * abs(share)
    along = weights.edge * borders.edges[border] + weights.change * borders.changes[border]
    apart = weights.colour * math.sqrt(between) + counts + along / length
    enclosed = length / min(regions.perimeters[one], regions.perimeters[other])
    spread = between + weights.even * max(within, 0.0)
    unclear = 1 - between / spread if spread > 0 else 1.0
    size = min(1.0, min(a, b) / weights.small) ** (weights.sooner * unclear)
    value: float = apart * size * (1 - weights.enclosed * enclosed)
    return value


@jit()
def border_dissimilarities(
    regions: RegionStatistics, borders: Borders, weights: DissimilarityWeights
) -> Floats:
    """Return the dissimilarity of the regions on both sides of each border, shape (E,)."""
    found = np.empty(len(borders.lengths))
    for border in range(len(found)):
        one, other = borders.pairs[border, 0], borders.pairs[border, 1]
        found[border] = dissimilarity(one, other, border, regions, borders, weights)
    return found


def perimeters(borders: Borders, n_regions: int) -> Floats:
    """Return the length of all borders of each region, shape (n,)."""
    lengths = borders.lengths.repeat(2)
    return np.bincount(borders.pairs.ravel(), lengths, n_regions).astype(float)


def as_average_linkage(
    regions: RegionStatistics, borders: Borders, weights: DissimilarityWeights
) -> tuple[RegionStatistics, Borders, DissimilarityWeights]:
    """Have regions merged by average linkage, when these are given to `merge_regions`.

    Two groups of regions are then as far apart as the mean, along their common border, of what the
    regions on its sides differ by at the outset.
    """
    n_regions, n_borders = len(regions.areas), len(borders.lengths)
    apart = border_dissimilarities(regions, borders, weights)
    edges = np.where(borders.lengths > 0, apart, 0) * borders.lengths
    alike = regions._replace(
        colours=np.zeros((n_regions, 0)),
        squares=np.zeros(n_regions),
        counts=np.zeros((n_regions, 0), dtype=np.float32),
    )
    return (
        alike,
        borders._replace(edges=edges, changes=np.zeros(n_borders)),
        DissimilarityWeights(
            0.0, np.zeros(0, np.float32), 1.0, 0.0, 0.0, 1.0, 0.0, 0.0
        ),  # of edges alone
    )
