"""Regions of an image, each with its neighbours, and how they merge."""

import math
from collections.abc import Generator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import csr_array

from napari_unsupseg._generators import map_yields, run_to_end
from napari_unsupseg._typing import Floats, Integers
from napari_unsupseg.regions.compiling import jit
from napari_unsupseg.regions.dissimilarity import (
    LABEL_HISTOGRAM,
    Borders,
    DissimilarityWeights,
    RegionStatistics,
    border_dissimilarities,
    label_parts,
    perimeters,
    weigh_rarity,
)
from napari_unsupseg.regions.merging import Merging, merge_regions
from napari_unsupseg.regions.spectral import eigenvector_steps

__all__ = ["RegionGraph", "groups_from_merges"]

MAX_EMBEDDED = 4000  # regions whose eigenvectors are found; they take a tenth of a second


class RegionGraph:
    """Regions that cover an image, each with its neighbours.

    Parameters
    ----------
    sums : RegionStatistics
        What is inside each of the n regions.
    borders : Borders
        Where they touch. With links between what touches nowhere the graph is connected.
    weights : DissimilarityWeights
        What tells them apart.
    n_labels : int
        Columns of `sums.histograms` that count labels of the history, the last ones.
    n_snapshots : int
        Snapshots of the history; each pixel is counted once for each of them.
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
        """How many regions there are, n."""
        return len(self.sums.areas)

    @property
    def mean_colours(self) -> Floats:
        """Mean colour of each region, shape (n, C)."""
        return self.sums.colour_sums / self.sums.areas[:, np.newaxis]

    def contract(self, groups: NDArray[np.int64]) -> "RegionGraph":
        """Return the graph of groups of regions.

        Parameters
        ----------
        groups : ndarray of int64, shape (n,)
            Group of each region, from 0 without gaps.

        Returns
        -------
        RegionGraph
            As if the groups had been described as regions from the start.
        """
        n_groups = int(groups.max()) + 1
        borders = self._contract_borders(groups, n_groups)
        # a matrix with a 1 where a region is in a group adds up rows faster than np.add.at
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

    def _contract_borders(self, groups: NDArray[np.int64], n_groups: int) -> Borders:
        """Return the borders between groups, each the sum of those between their regions."""
        between = np.sort(groups[self.borders.pairs], axis=1)  # (E, 2)
        is_outer = between[:, 0] != between[:, 1]
        codes, inverse = np.unique(between[is_outer] @ [n_groups, 1], return_inverse=True)
        pairs = np.stack(np.divmod(codes, n_groups), axis=1)
        along = (
            np.bincount(inverse, sums[is_outer], len(pairs)).astype(float)
            for sums in self.borders[1:]
        )
        return Borders(pairs, *along)

    def merge(self) -> Generator[float, None, tuple[Merging, Merging]]:
        """Merge the two neighbours that differ least, again and again, as `merge_regions` does.

        Yields
        ------
        float
            Share that is done, from 0 to 1.

        Returns
        -------
        local, whole : Merging
            By what the neighbours themselves differ in; and by what all of the image says of their
            borders, too: how rare such changes are, and the eigenvectors of the graph.
        """
        local = yield from map_yields(
            merge_regions(self.sums, self.borders, self.weights), lambda share: 0.3 * share
        )
        spectral_sums = yield from map_yields(
            self._spectral_sums(local.merges), lambda share: 0.3 + 0.4 * share
        )
        borders = self.borders._replace(spectral_sums=spectral_sums)
        whole = yield from map_yields(
            merge_regions(self.sums, borders, weigh_rarity(self.weights)),
            lambda share: 0.7 + 0.3 * share,
        )
        return local, whole

    def _spectral_sums(self, merges: Integers) -> Generator[float, None, Floats]:
        """Return the sum along each border of the steps of the graph's eigenvectors.

        Those of a graph of many regions are the steps of the groups that these merge into first;
        within a group there are none.
        """
        parts = label_parts(self.borders.pairs[self.borders.lengths > 0], self.n_regions)
        n_groups = math.ceil(self.n_regions * MAX_EMBEDDED / np.bincount(parts).max())
        groups = groups_from_merges(self.n_regions, merges[: max(0, self.n_regions - n_groups)])
        graph = self.contract(groups)
        steps = yield from eigenvector_steps(
            graph.borders.pairs,
            graph.borders.lengths,
            border_dissimilarities(graph.sums, graph.borders, graph.weights),
            graph.n_regions,
        )
        between = np.sort(groups[self.borders.pairs], axis=1)  # (E, 2)
        # the borders of groups are in the order of their codes
        codes = graph.borders.pairs @ [graph.n_regions, 1]
        border = np.searchsorted(codes, between @ [graph.n_regions, 1]) % max(1, len(codes))
        inside = between[:, 0] == between[:, 1]
        sums: Floats = np.where(inside, 0, steps[border]) * self.borders.lengths
        return sums

    def merge_small(self, min_pixels: float) -> NDArray[np.int64]:
        """Merge regions below some size into the neighbour they resemble most.

        Parameters
        ----------
        min_pixels : float
            Size of the smallest region that is left, unless it touches no other.

        Returns
        -------
        ndarray of int64, shape (n,)
            Group of each region, from 0.
        """
        merging = merge_regions(
            self.sums, self.borders, self.weights, smaller_than=min_pixels, joins_apart=False
        )
        return groups_from_merges(self.n_regions, run_to_end(merging).merges)

    def features(self) -> Floats:
        """Describe how regions look, wherever they lie.

        Returns
        -------
        ndarray of float64, shape (n, features)
            Points whose Euclidean distances say how unlike regions are: mean colours, by how much
            these differ from the neighbours', and the labels over the run.
        """
        means = self.mean_colours
        n_regions = len(means)
        ones, others = self.borders.pairs.T
        adjacency = csr_array((self.borders.lengths, (ones, others)), (n_regions, n_regions))
        adjacency += adjacency.T
        lengths = adjacency.sum(axis=1)[:, np.newaxis]
        # a region without neighbours differs from none
        around = np.where(lengths > 0, adjacency @ means / np.maximum(lengths, 1), means)
        labels = self.sums.histograms[:, self.sums.histograms.shape[1] - self._n_labels :]
        shares = labels / self.sums.areas[:, np.newaxis]
        # regions without a label in common are as far apart as LABEL_HISTOGRAM says (Hellinger)
        history = LABEL_HISTOGRAM * np.sqrt(shares / (2 * self._n_snapshots))
        return np.hstack([means, means - around, history])

    def cluster_ward(
        self, n_clusters: int, among: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int64]:
        """Cluster regions, wherever they lie, by Ward's criterion [1]_ on their features.

        Parameters
        ----------
        n_clusters : int
            Clusters to have.
        among : ndarray of bool, shape (n,), optional
            The m regions to cluster; by default all.

        Returns
        -------
        ndarray of int64, shape (m,)
            Cluster of each region from 0, the darkest; fewer clusters if there are fewer regions.

        References
        ----------
        .. [1] J. H. Ward, "Hierarchical grouping to optimize an objective function", Journal of
           the American Statistical Association 58 (1963). :doi:`10.1080/01621459.1963.10500845`
        """
        among = np.ones(self.n_regions, dtype=bool) if among is None else among
        features = self.features()[among]
        clusters = np.arange(len(features))
        if len(features) > n_clusters:
            clusters = fcluster(linkage(features, "ward"), n_clusters, "maxclust") - 1
        n_clusters = int(clusters.max()) + 1
        sums = self.sums.colour_sums[among] @ np.asarray(self._lightness, dtype=float)
        areas = np.bincount(clusters, self.sums.areas[among], n_clusters)
        lightness = np.bincount(clusters, sums, n_clusters) / areas
        ranks: NDArray[np.int64] = np.argsort(np.argsort(lightness, kind="stable"))
        return ranks[clusters]


def groups_from_merges(n_regions: int, merges: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the group of each region after merges.

    Parameters
    ----------
    n_regions : int
        n, regions that there were.
    merges : ndarray of int, shape (m, 2)
        What merges, in order: a region, below n, or n + i for what merge i made.

    Returns
    -------
    ndarray of int64, shape (n,)
        Groups from 0, without gaps.
    """
    parents = np.full(n_regions + len(merges), -1)
    parents[merges] = np.arange(n_regions, len(parents))[:, np.newaxis]
    roots = _roots(parents)[:n_regions]
    groups: NDArray[np.int64] = np.unique(roots, return_inverse=True)[1]
    return groups


@jit()
def _roots(parents: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the root of each node of a forest, whose parents come later; a root's parent is -1."""
    roots = np.arange(len(parents))
    for node in range(len(parents) - 1, -1, -1):
        if parents[node] >= 0:
            roots[node] = roots[parents[node]]
    return roots
