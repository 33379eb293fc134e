"""Regions of an image, each with its neighbours, and how they merge."""

from collections.abc import Generator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import csr_array

from napari_unsupseg._generators import run_to_end
from napari_unsupseg._typing import Floats
from napari_unsupseg.regions.compiling import jit
from napari_unsupseg.regions.dissimilarity import (
    HISTORY,
    Borders,
    DissimilarityWeights,
    RegionStatistics,
    perimeters,
)
from napari_unsupseg.regions.merging import Merging, merge_regions

__all__ = ["RegionGraph", "groups_from_merges", "leaf_order"]


class RegionGraph:
    """Regions that cover an image, each with its neighbours.

    Parameters
    ----------
    sums : RegionStatistics
        What is inside each.
    borders : Borders
        Where they touch; all of them are linked somehow.
    weights : DissimilarityWeights
        What tells them apart.
    n_labels : int
        Columns of `sums.histograms` that count labels of the history, the last ones.
    n_snapshots : int
        Labels that each pixel has in these.
    lightness : sequence of float, length C
        How much each channel of a colour counts for its lightness.
    """

    def __init__(
        self,
        sums: RegionStatistics,
        borders: Borders,
        weights: DissimilarityWeights,
        n_labels: int,
        n_snapshots: int,
        lightness: Sequence[float],
    ) -> None:
        self.sums = sums
        self.borders = borders
        self.weights = weights
        self._n_labels = n_labels
        self._n_snapshots = n_snapshots
        self._lightness = lightness

    @property
    def n_regions(self) -> int:
        """How many there are."""
        return len(self.sums.areas)

    @property
    def mean_colours(self) -> Floats:
        """Mean colour of each, (n, C)."""
        return self.sums.colour_sums / self.sums.areas[:, np.newaxis]

    def contract(self, groups: NDArray[np.int64]) -> "RegionGraph":
        """Merge groups of regions, each given by its number from 0, shape (n,)."""
        n_groups = int(groups.max()) + 1
        between = np.sort(groups[self.borders.pairs], axis=1)
        apart = between[:, 0] != between[:, 1]
        codes, inverse = np.unique(between[apart] @ [n_groups, 1], return_inverse=True)
        pairs = np.stack(np.divmod(codes, n_groups), axis=1)
        along = (
            np.bincount(inverse, sums[apart], len(pairs)).astype(float) for sums in self.borders[1:]
        )
        borders = Borders(pairs, *along)
        ones = np.ones(len(groups), dtype=np.float32)
        members = csr_array((ones, (groups, np.arange(len(groups)))), (n_groups, len(groups)))
        strokes = np.zeros(n_groups, dtype=np.int64)
        np.maximum.at(strokes, groups, self.sums.strokes)
        sums = RegionStatistics(
            members @ self.sums.areas,
            perimeters(borders, n_groups),
            members @ self.sums.colour_sums,
            members @ self.sums.square_sums,
            members @ self.sums.histograms,
            strokes,
        )
        return RegionGraph(
            sums, borders, self.weights, self._n_labels, self._n_snapshots, self._lightness
        )

    def merge(self) -> Generator[float, None, Merging]:
        """Merge the two neighbours that differ least, again and again, as `merge_regions` does."""
        return merge_regions(self.sums, self.borders, self.weights)

    def merge_small(self, min_pixels: float) -> NDArray[np.int64]:
        """Merge small regions into the neighbour they resemble most; return the group of each."""
        merging = merge_regions(
            self.sums, self.borders, self.weights, smaller_than=min_pixels, joins_apart=False
        )
        return groups_from_merges(self.n_regions, run_to_end(merging).merges)

    def features(self) -> Floats:
        """Return what makes regions look alike wherever they lie, (n, features).

        Mean colours, how these differ from the neighbours', and the labels over the run.
        """
        means = self.mean_colours
        n_regions = len(means)
        ones, others = self.borders.pairs.T
        along = csr_array((self.borders.lengths, (ones, others)), (n_regions, n_regions))
        along += along.T
        lengths = along.sum(axis=1)[:, np.newaxis]
        around = np.where(lengths > 0, along @ means / np.maximum(lengths, 1), means)
        labels = self.sums.histograms[:, self.sums.histograms.shape[1] - self._n_labels :]
        shares = labels / self.sums.areas[:, np.newaxis]
        # regions without a label in common are as far apart as HISTORY says (Hellinger distance)
        history = HISTORY * np.sqrt(shares / (2 * self._n_snapshots))
        return np.hstack([means, means - around, history])

    def cluster_ward(
        self, n_clusters: int, among: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int64]:
        """Cluster regions, wherever they lie, by Ward's criterion.

        Parameters
        ----------
        n_clusters : int
            Clusters to have.
        among : ndarray of bool, shape (n,), optional
            The m regions to cluster; by default all.

        Returns
        -------
        ndarray of int, shape (m,)
            Cluster of each region from 0, the darkest; fewer clusters if there are fewer regions.
        """
        among = np.ones(self.n_regions, dtype=bool) if among is None else among
        features = self.features()[among]
        clusters = np.arange(len(features))
        if len(features) > n_clusters:
            clusters = fcluster(linkage(features, "ward"), n_clusters, "maxclust") - 1
        n_found = int(clusters.max()) + 1
        sums = self.sums.colour_sums[among] @ np.asarray(self._lightness, dtype=float)
        areas = np.bincount(clusters, self.sums.areas[among], n_found)
        lightness = np.bincount(clusters, sums, n_found) / areas
        by_lightness: NDArray[np.int64] = np.argsort(np.argsort(lightness, kind="stable"))
        return by_lightness[clusters]


def groups_from_merges(n_regions: int, merges: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the group of each region after merges, from 0."""
    parents = np.full(n_regions + len(merges), -1)
    parents[merges] = np.arange(n_regions, len(parents))[:, np.newaxis]
    roots = _roots(parents)[:n_regions]
    groups: NDArray[np.int64] = np.unique(roots, return_inverse=True)[1]
    return groups


@jit()
def leaf_order(merges: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Put regions, all of which merge, in an order in which those that merge lie side by side.

    Parameters
    ----------
    merges : ndarray of int, shape (n - 1, 2)
        What merges, in order: regions, or from n on what an earlier merge made.

    Returns
    -------
    places : ndarray of int, shape (n,)
        Place of each region.
    seconds : ndarray of int, shape (n - 1,)
        Place at which the second part of each merge begins, right after the first.
    """
    n_regions = len(merges) + 1
    sizes = np.ones(n_regions + len(merges), dtype=np.int64)
    for index in range(len(merges)):
        sizes[n_regions + index] = sizes[merges[index, 0]] + sizes[merges[index, 1]]
    places = np.zeros(n_regions + len(merges), dtype=np.int64)
    seconds = np.empty(len(merges), dtype=np.int64)
    for index in range(len(merges) - 1, -1, -1):
        one, other = merges[index, 0], merges[index, 1]
        places[one] = places[n_regions + index]
        places[other] = seconds[index] = places[one] + sizes[one]
    return places[:n_regions], seconds


@jit()
def _roots(parents: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the root of each node of a forest, whose parents come later; a root's parent is -1."""
    found = np.arange(len(parents))
    for node in range(len(parents) - 1, -1, -1):
        if parents[node] >= 0:
            found[node] = found[parents[node]]
    return found
