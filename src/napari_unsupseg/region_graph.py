"""Regions of an image, what is inside each and along their borders, and the order they merge in."""

import dataclasses
import heapq
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from skimage.filters import gaussian

from napari_unsupseg.linkage import link_regions

__all__ = ["RegionGraph", "neighbours", "roots"]


Labels = NDArray[np.unsignedinteger]
Floats = NDArray[np.float64]

COLOUR_BINS = 10  # of each channel's histogram
SLOPE_BINS = 8  # of the histogram of slopes, each with as many of the image's pixels

# weights of what tells two regions apart, chosen on BSDS500's val images
HISTORY = 0.5  # share of pixels whose labels differ, over iterations
HISTORY_AT_BORDER = 0.8  # share of border pixels with other labels on the other side
COLOUR = 1.0  # distance of mean colours, 1 from black to white
COLOURS = 1.2  # share of pixels whose colours differ, over channels
SLOPES = 0.8  # share of pixels whose slopes differ, which tells textures apart
EDGE = 2.2  # step in colour across the border
ENCLOSED = 0.15  # of all this is taken off where one region encloses the other
SMALL = 0.002  # share of the image below which a region merges the sooner
SOONER = 0.3  # power of its size at which it does
FARTHEST = 1e3  # for what must have a finite weight


@dataclasses.dataclass(frozen=True, eq=False)
class _Regions:
    """Sums over regions' pixels: areas (n,), colours (n, C), and histograms (n, bins).

    The lightness of a colour is its product with `lightness` (C,). `stroke_counts` has a column for
    each stroke's label, and none without strokes.
    """

    areas: Floats
    colours: Floats
    colour_counts: NDArray[np.float32]
    slope_counts: NDArray[np.float32]
    label_counts: NDArray[np.float32]
    stroke_counts: NDArray[np.float32]
    n_snapshots: int
    lightness: Floats

    def grouped(self, groups: NDArray[np.int64], n_groups: int) -> "_Regions":
        """Return the sums over groups of regions."""
        ones = np.ones(len(groups), dtype=np.float32)
        members = csr_array((ones, (groups, np.arange(len(groups)))), (n_groups, len(groups)))
        return self._map(lambda sums: members @ sums)

    def with_room(self, n_more: int) -> "_Regions":
        """Return these with as many empty regions behind them."""

        def longer(sums: NDArray[Any]) -> NDArray[Any]:
            return np.concatenate([sums, np.zeros((n_more, *sums.shape[1:]), sums.dtype)])

        return self._map(longer)

    def merge(self, one: int, other: int, into: int) -> None:
        """Set a region to the union of two."""
        for sums in self._sums():
            sums[into] = sums[one] + sums[other]

    def _map(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> "_Regions":
        changed: dict[str, Any] = dict(zip(SUMS, map(change, self._sums()), strict=True))
        return dataclasses.replace(self, **changed)

    def _sums(self) -> tuple[NDArray[Any], ...]:
        return tuple(getattr(self, name) for name in SUMS)


SUMS = ("areas", "colours", "colour_counts", "slope_counts", "label_counts", "stroke_counts")


class RegionGraph:
    """Regions that cover an image, each with its neighbours.

    Parameters
    ----------
    regions : _Regions
        What is inside each.
    pairs : ndarray of int, shape (E, 2)
        Neighbours, all of them linked somehow.
    borders : ndarray of float, shape (E, 3)
        Pixel pairs along their border, and sums over these of edges and of changes of label; the
        first is 0 where a pair is a mere link between parts that touch nowhere.
    n_frames : int
        Frames that the image has.
    """

    def __init__(
        self,
        regions: _Regions,
        pairs: NDArray[np.int64],
        borders: Floats,
        n_frames: int = 1,
    ) -> None:
        self.pairs = pairs
        self._regions = regions
        self._borders = borders
        self._n_frames = n_frames
        self._small = SMALL * regions.areas.sum() / n_frames
        lengths = borders[:, 0].repeat(2)
        self._perimeters = np.bincount(pairs.ravel(), lengths, len(regions.areas)).astype(float)

    @property
    def n_regions(self) -> int:
        """How many there are."""
        return len(self._regions.areas)

    @property
    def mean_colours(self) -> Floats:
        """Mean colour of each, (n, C)."""
        return self._regions.colours / self._regions.areas[:, np.newaxis]

    @property
    def strokes(self) -> NDArray[np.int64]:
        """Which stroke's label lies in each, (n,): from 1, in order; 0 where there is none."""
        counts = self._regions.stroke_counts
        columns: NDArray[np.int64] = np.append(np.zeros((len(counts), 1)), counts, axis=1).argmax(1)
        return columns

    @classmethod
    def of(
        cls,
        regions: NDArray[np.int64],
        colours: NDArray[np.float32],
        history: Sequence[Labels],
        lightness: Sequence[float],
        spatial_ndim: int = 2,
        strokes: Labels | None = None,
    ) -> "RegionGraph":
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

        Returns
        -------
        RegionGraph
            Of these regions.
        """
        along = _last_axes(regions, spatial_ndim)
        blur = [int(axis in along) for axis in range(regions.ndim)]
        smooth = gaussian(colours, blur, channel_axis=-1)
        described = _describe(regions, colours, smooth, history, lightness, along, strokes)
        n_frames = math.prod(regions.shape[:-spatial_ndim])
        return cls(described, *_borders(regions, smooth, history, along), n_frames)

    def grouped(self, groups: NDArray[np.int64]) -> "RegionGraph":
        """Merge groups of regions, each given by its number from 0, shape (n,)."""
        n_groups = int(groups.max()) + 1
        between = np.sort(groups[self.pairs], axis=1)
        apart = between[:, 0] != between[:, 1]
        unique, inverse = np.unique(between[apart] @ [n_groups, 1], return_inverse=True)
        pairs = np.stack(np.divmod(unique, n_groups), axis=1)
        borders = _sums(inverse, self._borders[apart], len(pairs))
        return RegionGraph(self._regions.grouped(groups, n_groups), pairs, borders, self._n_frames)

    def linked(self, n_groups: int) -> NDArray[np.int64]:
        """Group regions by the mean dissimilarity along borders; return the group of each."""
        lengths = np.maximum(self._borders[:, 0], 1e-3)
        weights = np.minimum(self.weights(), FARTHEST)
        return link_regions(self.n_regions, self.pairs, weights, lengths, n_groups)

    def without_small(self, min_pixels: float) -> NDArray[np.int64]:
        """Merge small regions into the neighbour they resemble most; return the group of each."""
        merges, _ = self.merge(smaller_than=min_pixels)
        parents = np.full(self.n_regions + len(merges), -1)
        for node, pair in enumerate(merges, start=self.n_regions):
            parents[pair] = node
        groups: NDArray[np.int64] = np.unique(
            roots(parents)[: self.n_regions], return_inverse=True
        )[1]
        return groups

    def merge(self, smaller_than: float = np.inf) -> tuple[NDArray[np.int64], Floats]:
        """Merge the two neighbours that differ least, again and again.

        Parameters
        ----------
        smaller_than : float
            Area in pixels that one of the two must be below. If it is finite, parts of the image
            that touch nowhere stay apart.

        Returns
        -------
        merges : ndarray of int, shape (m, 2)
            What merges, in order: regions, or from n on what an earlier merge made; n - 1 of them
            if all merge.
        dissimilarities : ndarray of float, shape (m,)
            How far apart they were.
        """
        # higra's tree with a rule of one's own is ten times slower than this where regions
        # come to have many neighbours
        n_regions = self.n_regions
        regions = self._regions.with_room(n_regions - 1)
        perimeters = np.append(self._perimeters, np.zeros(n_regions - 1))
        neighbours: list[dict[int, Floats]] = [{} for _ in range(2 * n_regions - 1)]
        for one, other, border in zip(*self.pairs.T.tolist(), self._borders, strict=True):
            neighbours[one][other] = neighbours[other][one] = border
        areas = regions.areas
        waits = np.minimum(*areas[self.pairs].T) < smaller_than
        # each pair waits with one of the two, and only a region's first pair in the queue: most
        # pairs of a region with many neighbours are gone before their turn comes
        waiting: list[list[tuple[float, int]]] = [[] for _ in range(2 * n_regions - 1)]
        for weight, one, other in zip(
            self.weights()[waits].tolist(), *self.pairs[waits].T.tolist(), strict=True
        ):
            waiting[one].append((weight, other))
        for pairs in waiting:
            heapq.heapify(pairs)
        queue = [(pairs[0][0], one, pairs[0][1]) for one, pairs in enumerate(waiting) if pairs]
        heapq.heapify(queue)
        merges: list[tuple[int, int]] = []
        dissimilarities = []
        while queue:
            dissimilarity, one, other = heapq.heappop(queue)
            if other not in neighbours[one]:  # one of them has merged since
                pairs = waiting[one]
                while pairs and pairs[0][1] not in neighbours[one]:
                    heapq.heappop(pairs)
                if pairs:
                    heapq.heappush(queue, (pairs[0][0], one, pairs[0][1]))
                continue
            if np.isinf(dissimilarity) and np.isfinite(smaller_than):
                break
            new = n_regions + len(merges)
            merges.append((one, other))
            dissimilarities.append(dissimilarity)
            regions.merge(one, other, into=new)
            waiting[one] = waiting[other] = []  # or millions of pairs are let go at once at the end
            borders = _join(neighbours, one, other)
            neighbours[new] = borders
            if borders:
                beyond = np.fromiter(borders, dtype=np.int64)
                along = np.stack(list(borders.values()))
                perimeters[new] = along[:, 0].sum()
                found = self._dissimilarity(regions, perimeters, new, beyond, along)
                waits = np.minimum(areas[new], areas[beyond]) < smaller_than
                for far, border in borders.items():
                    neighbours[far][new] = border
                pairs = list(zip(found[waits].tolist(), beyond[waits].tolist(), strict=True))
                if pairs:
                    heapq.heapify(pairs)
                    waiting[new] = pairs
                    heapq.heappush(queue, (pairs[0][0], new, pairs[0][1]))
        return np.array(merges, dtype=np.int64).reshape(-1, 2), np.array(dissimilarities)

    def features(self) -> Floats:
        """Return what makes regions look alike wherever they lie, (n, features).

        Mean colours, how these differ from the neighbours', and the labels over the run.
        """
        means = self.mean_colours
        n_regions = len(means)
        along = csr_array((self._borders[:, 0], tuple(self.pairs.T)), (n_regions, n_regions))
        along += along.T
        lengths = along.sum(axis=1)[:, np.newaxis]
        around = np.where(lengths > 0, along @ means / np.maximum(lengths, 1), means)
        shares = self._regions.label_counts / self._regions.areas[:, np.newaxis]
        # regions without a label in common are as far apart as HISTORY says (Hellinger distance)
        labels = HISTORY * np.sqrt(shares / (2 * self._regions.n_snapshots))
        return np.hstack([means, means - around, labels])

    def alike(self, n_clusters: int, among: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
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
        sums = self._regions.colours[among] @ self._regions.lightness
        areas = np.bincount(clusters, self._regions.areas[among], n_found)
        lightness = np.bincount(clusters, sums, n_found) / areas
        by_lightness: NDArray[np.int64] = np.argsort(np.argsort(lightness, kind="stable"))
        return by_lightness[clusters]

    def weights(self) -> Floats:
        """Return the dissimilarity of each pair, shape (E,); infinite where it is a mere link."""
        ones, others = self.pairs.T
        parts = np.array_split(np.arange(len(self.pairs)), len(self.pairs) // 1000 + 1)
        return np.concatenate(
            [
                self._dissimilarity(
                    self._regions, self._perimeters, ones[part], others[part], self._borders[part]
                )
                for part in parts
            ]
        )

    def _dissimilarity(
        self,
        regions: _Regions,
        perimeters: Floats,
        one: int | NDArray[np.int64],
        other: NDArray[np.int64],
        borders: Floats,
    ) -> Floats:
        """Return how much tells regions apart."""
        a, b = regions.areas[one][..., np.newaxis], regions.areas[other][:, np.newaxis]
        lengths, edges, changes = borders.T

        def difference(sums: NDArray[Any]) -> NDArray[Any]:
            return sums[one] / a - sums[other] / b

        inside = (
            HISTORY / 2 * np.abs(difference(regions.label_counts)).sum(1) / regions.n_snapshots
            + COLOURS / 2 * np.abs(difference(regions.colour_counts)).sum(1)
            / regions.colours.shape[1]
            + COLOUR * np.linalg.norm(difference(regions.colours), axis=1)
            + SLOPES / 2 * np.abs(difference(regions.slope_counts)).sum(1)
        )  # fmt: skip
        with np.errstate(divide="ignore", invalid="ignore"):
            between = (EDGE * edges + HISTORY_AT_BORDER * changes) / lengths
            enclosed = lengths / np.minimum(perimeters[one], perimeters[other])
        size = np.minimum(1, np.minimum(a, b).ravel() / self._small) ** SOONER
        strokes = regions.stroke_counts[one] + regions.stroke_counts[other]
        may_merge = (lengths > 0) & ((strokes > 0).sum(1) < 2)
        dissimilarity: Floats = np.where(
            may_merge, (inside + between) * size * (1 - ENCLOSED * enclosed), np.inf
        )
        return dissimilarity


def _join(neighbours: list[dict[int, Floats]], one: int, other: int) -> dict[int, Floats]:
    """Take two regions out of the graph; return the borders of what they are together."""
    borders = neighbours[one]
    for far, border in neighbours[other].items():
        borders[far] = borders[far] + border if far in borders else border
    for merged in (one, other):
        borders.pop(merged, None)
    for far in borders:
        neighbours[far].pop(one, None)
        neighbours[far].pop(other, None)
    neighbours[one] = neighbours[other] = {}
    return borders


def roots(parents: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the root of each node of a forest, whose parents come later; a root's parent is -1."""
    found = np.arange(len(parents))
    for node in reversed(range(len(parents))):
        if parents[node] >= 0:
            found[node] = found[parents[node]]
    return found


def _last_axes(maps: NDArray[Any], n_axes: int) -> range:
    return range(maps.ndim - n_axes, maps.ndim)


def neighbours(maps: NDArray[Any], axis: int, before: int = 0) -> tuple[Any, Any]:
    """Return both sides of each pair of neighbours along an axis; `before` looks further away."""
    length = maps.shape[axis]
    near = np.maximum(np.arange(length - 1) - before, 0)
    far = np.minimum(np.arange(1, length) + before, length - 1)
    return maps.take(near, axis), maps.take(far, axis)


def _sums(
    regions: NDArray[np.int64], values: NDArray[np.floating], n_regions: int
) -> NDArray[np.float64]:
    """Sum values (pixels, C) over regions, (n, C)."""
    return np.stack([np.bincount(regions, column, n_regions) for column in values.T], axis=1)


def _pairs(
    regions: NDArray[np.int64], *strengths: Sequence[NDArray[Any]]
) -> tuple[NDArray[np.int64], Floats, list[Floats]]:
    """Return pairs of neighbouring regions, their borders' lengths, and sums along the borders.

    Each strength has a map for each of the last axes, of what lies between neighbours along it.
    """
    n_regions = int(regions.max()) + 1
    codes, along = [], [[] for _ in strengths]  # type: ignore[var-annotated]
    axes = _last_axes(regions, len(strengths[0]))
    for index, axis in enumerate(axes):
        near, far = neighbours(regions, axis)
        is_border = (near != far) & (near >= 0) & (far >= 0)
        near, far = near[is_border], far[is_border]
        codes.append(np.minimum(near, far) * n_regions + np.maximum(near, far))
        for kept, strength in zip(along, strengths, strict=True):
            kept.append(strength[index][is_border])
    unique, inverse = np.unique(np.concatenate(codes), return_inverse=True)
    pairs = np.stack(np.divmod(unique, n_regions), axis=1)
    sums = [np.bincount(inverse, np.concatenate(kept)).astype(np.float64) for kept in along]
    return pairs, np.bincount(inverse).astype(np.float64), sums


def _link(pairs: NDArray[np.int64], n_regions: int) -> NDArray[np.int64]:
    """Return pairs that link the parts of the image which touch nowhere into a chain."""
    ones = np.ones(len(pairs), dtype=bool)
    adjacency = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(n_regions, n_regions))
    _, parts = connected_components(adjacency, directed=False)
    firsts = np.unique(parts, return_index=True)[1]
    return np.stack([firsts[:-1], firsts[1:]], axis=1)


def _describe(
    fragments: NDArray[np.int64],
    colours: NDArray[np.float32],
    smooth: NDArray[np.float32],
    history: Sequence[Labels],
    lightness: Sequence[float],
    along: Sequence[int],
    strokes: Labels | None,
) -> _Regions:
    """Sum up what is inside each fragment."""
    inside = fragments >= 0
    regions, values = fragments[inside], colours[inside]
    slopes = _slopes(smooth, along)[inside]
    ends = np.quantile(slopes, np.linspace(0, 1, SLOPE_BINS + 1)[1:-1])
    n_regions = int(regions.max()) + 1
    low, high = values.min(0), values.max(0)
    bins = ((values - low) / np.maximum(high - low, 1e-6) * COLOUR_BINS).astype(np.int64)
    return _Regions(
        np.bincount(regions).astype(np.float64),
        _sums(regions, values, n_regions),
        _counts(regions, list(np.minimum(bins, COLOUR_BINS - 1).T), n_regions),
        _counts(regions, [np.digitize(slopes, ends)], n_regions),
        _counts(regions, [labels[inside] for labels in history], n_regions),
        _stroke_counts(regions, strokes[inside], n_regions)
        if strokes is not None
        else np.zeros((n_regions, 0), dtype=np.float32),
        len(history),
        np.asarray(lightness, dtype=np.float64),
    )


def _slopes(smooth: NDArray[np.float32], along: Sequence[int]) -> NDArray[np.float32]:
    """Return the length of the gradient of colours, (..., Y, X)."""
    squares = np.zeros(smooth.shape[:-1], dtype=np.float32)
    for axis in along:
        if smooth.shape[axis] > 1:
            squares += np.square(np.gradient(smooth, axis=axis)).sum(axis=-1)
    return np.sqrt(squares)


def _borders(
    fragments: NDArray[np.int64],
    smooth: NDArray[np.float32],
    history: Sequence[Labels],
    along: Sequence[int],
) -> tuple[NDArray[np.int64], Floats]:
    """Return which fragments are neighbours, (E, 2), and what lies along their borders, (E, 3)."""
    edges, changes = [], []
    for axis in along:
        edges.append(np.linalg.norm(np.subtract(*neighbours(smooth, axis)), axis=-1))
        differ = (np.not_equal(*neighbours(labels, axis, before=1)) for labels in history)
        changes.append(sum(differ) / len(history))
    pairs, lengths, sums = _pairs(fragments, edges, changes)
    links = _link(pairs, int(fragments.max()) + 1)
    borders = np.stack([lengths, *sums], axis=1)
    return np.concatenate([pairs, links]), np.concatenate([borders, np.zeros((len(links), 3))])


def _stroke_counts(
    regions: NDArray[np.int64], strokes: NDArray[np.unsignedinteger], n_regions: int
) -> NDArray[np.float32]:
    """Count pixels under each stroke's label in each region, (n, labels)."""
    _, columns = np.unique(np.append(strokes, 0), return_inverse=True)
    n_columns = int(columns.max()) + 1  # the first is for no stroke
    codes = regions * n_columns + columns[:-1]
    counts = np.bincount(codes, minlength=n_regions * n_columns).astype(np.float32)
    return counts.reshape(n_regions, n_columns)[:, 1:]


def _counts(
    regions: NDArray[np.int64], columns: Sequence[NDArray[np.integer]], n_regions: int
) -> NDArray[np.float32]:
    """Count values in each region, one block of columns after another, (n, sum of values)."""
    blocks = []
    for values in columns:
        size = int(values.max()) + 1
        counts = np.bincount(regions * size + values, minlength=n_regions * size)
        counts = counts.reshape(n_regions, size).astype(np.float32)
        blocks.append(counts[:, counts.any(axis=0)])
    return np.concatenate(blocks, axis=1)
