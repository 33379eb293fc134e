"""What hierarchies agree on that each leave out one term of the dissimilarity."""

from collections.abc import Generator, Iterator

import numpy as np

from napari_unsupseg._generators import map_yields
from napari_unsupseg._typing import Floats
from napari_unsupseg.regions.dissimilarity import (
    Borders,
    DissimilarityWeights,
    HistogramBins,
    RegionStatistics,
    border_dissimilarities,
)
from napari_unsupseg.regions.merge_granularities import MergeGranularities
from napari_unsupseg.regions.merging import merge_regions

__all__ = ["add_consensus", "to_granularities"]

TYPICAL_DISSIMILARITY = 1.1  # at which such a hierarchy has the granularity of 0.5
TINY = 1e-9  # of a dissimilarity, where there is none
STEEPNESS = 3  # of granularities there, so that those of use lie well apart


def add_consensus(
    regions: RegionStatistics,
    borders: Borders,
    weights: DissimilarityWeights,
    bins: HistogramBins,
) -> Generator[float, None, Borders]:
    """Add to the edges of borders how long they last in hierarchies that leave out one term each.

    A border that lies between two things lasts whichever term is left out. One that one term alone
    speaks for does not, and neither does one that has only been left by an unlucky order of merges.

    Parameters
    ----------
    regions : RegionStatistics
        The regions.
    borders : Borders
        Their borders.
    weights : DissimilarityWeights
        What each term weighs; `weights.consensus` is what the mean granularity does.
    bins : HistogramBins
        Columns of the regions' histograms.

    Yields
    ------
    float
        Share that is done, from 0 to 1.

    Returns
    -------
    Borders
        With sums of edges that the consensus is in.
    """
    lasting = np.zeros(len(borders.lengths))
    touching = borders.lengths > 0
    if not touching.any():
        return borders
    median = np.median(border_dissimilarities(regions, borders, weights)[touching])
    members = list(_leave_out_each(weights, bins))
    for index, member in enumerate(members):
        merging = yield from map_yields(
            merge_regions(regions, borders, member),
            lambda share: (index + share) / len(members),  # noqa: B023
        )
        # without a term all is less far apart
        left = np.median(border_dissimilarities(regions, borders, member)[touching])
        granularities = to_granularities(
            merging.dissimilarities, TYPICAL_DISSIMILARITY * max(left, TINY) / max(median, TINY)
        )
        between = MergeGranularities(merging.merges, granularities).between(*borders.pairs.T)
        lasting += between / len(members)
    in_edges = weights.consensus / weights.edge * lasting * borders.lengths
    return borders._replace(edge_sums=borders.edge_sums + in_edges)


def _leave_out_each(
    weights: DissimilarityWeights, bins: HistogramBins
) -> Iterator[DissimilarityWeights]:
    """Yield weights without one of the terms and factors of a dissimilarity."""
    yield weights._replace(mean_colour=0.0)
    yield weights._replace(edge=0.0)
    yield weights._replace(change=0.0)
    yield weights._replace(enclosed=0.0)
    yield weights._replace(size_exponent=0.0)
    ends = np.cumsum(bins)
    for start, end in zip(ends - bins, ends, strict=True):
        histograms = weights.histograms.copy()
        histograms[start:end] = 0
        yield weights._replace(histograms=histograms)


def to_granularities(dissimilarities: Floats, typical: float) -> Floats:
    """Return the granularity of each merge, 0 to 1.

    Parameters
    ----------
    dissimilarities : ndarray of float64, shape (m,)
        How far apart what merges is, in the order of the merges.
    typical : float
        What has a granularity of 0.5.

    Returns
    -------
    ndarray of float64, shape (m,)
        Never falling.
    """
    # a union can be less far from its neighbour than its parts were from each other
    altitudes = np.maximum.accumulate(dissimilarities)
    granularities: Floats = 1 - 1 / (1 + (altitudes / typical) ** STEEPNESS)
    return granularities
