"""A run's history and the image itself, made into a hierarchy of segments that can be cut anywhere.

Fragments merge, two neighbours at a time, in the order of how little tells them apart: what the
network's labels said of them on its way, what lies on their common border, and their colours.
"""

import dataclasses
import heapq
import numbers
import warnings
from collections.abc import Sequence
from typing import Any

import lazy_loader
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.color import rgb2lab
from skimage.filters import gaussian, sobel
from skimage.measure import label as connected_regions
from skimage.segmentation import watershed

from napari_unsupseg.errors import SettingError
from napari_unsupseg.images import PreparedImage
from napari_unsupseg.segments import label_dtype

__all__ = ["Hierarchy", "build_hierarchy", "check_cut"]

hg = lazy_loader.load("higra")  # it takes most of a second to load

Labels = NDArray[np.unsignedinteger]
Floats = NDArray[np.float64]

LEAF_PIXELS = 8  # of a basin, before anything is merged
MAX_LEAVES = 2**17
LEAF_BLUR = 0.5  # pixels; what noise the basins need not follow
FRAGMENT_PIXELS = 100  # of a fragment on average, unless there would be too many
MAX_FRAGMENTS = 10_000
COLOUR_BINS = 10  # of each channel's histogram

# weights of what tells two regions apart, chosen on half of BSDS500's val images
HISTORY = 0.5  # share of pixels whose labels differ, over iterations
HISTORY_AT_BORDER = 0.8  # share of border pixels with other labels on the other side
COLOUR = 1.0  # distance of mean colours, 1 from black to white
COLOURS = 1.2  # share of pixels whose colours differ, over channels
EDGE = 2.2  # step in colour across the border
SMALL = 0.002  # share of the image below which a region merges the sooner
SOONER = 0.3  # power of its size at which it does
FARTHEST = 1e3  # for what must have a finite weight
TYPICAL = 1.59  # dissimilarity at which the default level cuts
STEEPNESS = 3  # of levels there, so that those of use lie well apart


class Hierarchy:
    """Segments of an image, from fine to coarse; each cut only merges those of a finer one.

    Parameters
    ----------
    fragments : ndarray of int, shape (Y, X)
        The finest segments from 0, -1 at pixels that take no part.
    merges : ndarray of int, shape (F - 1, 2)
        Nodes that merge, in order; nodes below F are fragments, node F + i is what merge i made.
    levels : ndarray of float, shape (F - 1,)
        Level of each merge, 0 to 1, never falling.

    Attributes
    ----------
    default_level : float
        Level that suits most images.
    n_fragments : int
        Segments of the finest cut.
    """

    default_level = 0.5

    def __init__(
        self, fragments: NDArray[np.integer], merges: NDArray[np.integer], levels: Floats
    ) -> None:
        self.n_fragments = len(merges) + 1
        self._fragments = fragments
        self._levels = levels
        self._parents = np.full(2 * self.n_fragments - 1, -1)
        for index, pair in enumerate(merges):
            self._parents[pair] = self.n_fragments + index

    def cut(self, *, n_segments: int | None = None, level: float | None = None) -> Labels:
        """Cut the hierarchy.

        Parameters
        ----------
        n_segments : int, optional
            Segments to have; as many as there are fragments, if there are fewer.
        level : float, optional
            0 gives the finest segments, 1 a single one, even of parts that touch nowhere; by
            default `default_level`.

        Returns
        -------
        ndarray of uint8, uint16 or uint32, shape (Y, X)
            Segments from 1, 0 at pixels that take no part.

        Raises
        ------
        SettingError
            If both are given, or one is out of its range.
        """
        groups = self._groups(self._count(n_segments, level))
        table = np.append(groups + 1, 0).astype(label_dtype(int(groups.max()) + 1))
        segments: Labels = table[self._fragments]  # the last entry is for -1
        return segments

    def boundaries(self) -> NDArray[np.float32]:
        """Draw how long each border lasts.

        Returns
        -------
        ndarray of float32, shape (Y, X)
            Level at which a pixel's segment merges with its last other neighbour's, right or
            below; 0 inside the finest segments.
        """
        levels = np.zeros(self._fragments.shape, dtype=np.float32)
        if self.n_fragments == 1:
            return levels
        tree = hg.Tree(np.append(self._parents[:-1], len(self._parents) - 1))
        for axis in (0, 1):
            near, far = _neighbours(self._fragments, axis)
            places = np.nonzero((near != far) & (near >= 0) & (far >= 0))
            pairs, inverse = np.unique(
                np.stack([near[places], far[places]]), axis=1, return_inverse=True
            )
            ancestors = tree.lowest_common_ancestor(*pairs.astype(np.int64))
            found = self._levels[ancestors - self.n_fragments][inverse.ravel()]
            np.maximum.at(levels, places, found.astype(np.float32))
        return levels

    def _count(self, n_segments: int | None, level: float | None) -> int:
        """Return how many segments are asked for."""
        check_cut(n_segments=n_segments, level=level)
        if n_segments is not None:
            if n_segments > self.n_fragments:
                warnings.warn(
                    f"n_segments is {n_segments:,} but there are {self.n_fragments:,} segments at "
                    "the finest: these are given",
                    stacklevel=3,
                )
            return min(n_segments, self.n_fragments)
        level = self.default_level if level is None else level
        return self.n_fragments - int(np.searchsorted(self._levels, level, side="right"))

    def _groups(self, n_segments: int) -> NDArray[np.intp]:
        """Return the segment of each fragment, from 0."""
        first_left_out = 2 * self.n_fragments - n_segments
        tops = np.arange(first_left_out)
        parents = self._parents[:first_left_out]
        for node in reversed(range(first_left_out)):
            if 0 <= parents[node] < first_left_out:
                tops[node] = tops[parents[node]]
        groups: NDArray[np.intp] = np.unique(tops[: self.n_fragments], return_inverse=True)[1]
        return groups


def check_cut(*, n_segments: int | None, level: float | None) -> None:
    """Refuse what no hierarchy could be cut at.

    Parameters
    ----------
    n_segments : int, optional
        As in `Hierarchy.cut`.
    level : float, optional
        As in `Hierarchy.cut`; called granularity elsewhere.

    Raises
    ------
    SettingError
        If both are given, or one is out of its range.
    """
    if n_segments is not None and level is not None:
        raise SettingError("n_segments and granularity both say where to cut: give one of them")
    if n_segments is not None:
        is_number = isinstance(n_segments, numbers.Integral) and not isinstance(n_segments, bool)
        if not is_number or n_segments < 1:
            raise SettingError(f"n_segments must be a whole number from 1, got {n_segments!r}")
    if level is not None and not (isinstance(level, numbers.Real) and 0 <= level <= 1):
        raise SettingError(f"granularity must be a number from 0 to 1, got {level!r}")


def build_hierarchy(image: PreparedImage, history: Sequence[Labels]) -> Hierarchy:
    """Build the hierarchy of an image from the labels of a run.

    Parameters
    ----------
    image : PreparedImage
        The image.
    history : sequence of ndarray of unsigned integers, shape (Y, X)
        Labels at some iterations of one run or of several; those of early iterations tell fine
        differences, those of late ones great differences.

    Returns
    -------
    Hierarchy
        Its default level suits most images.

    Notes
    -----
    Two regions are as far apart as a weighted sum says of: the share of pixels by which their
    histograms of labels differ, over iterations; the same for colours; the distance of their mean
    colours; the step in colour and the share of changes of label at their common border. Small
    regions are brought closer. Colours are CIELAB for RGB, else the image's intensities. Basins
    of a watershed of the colours' gradient are merged into fragments by the mean of this along
    their borders; from there on it is computed anew for whatever has merged.

    References
    ----------
    .. [1] B. Perret et al., "Higra: Hierarchical Graph Analysis", SoftwareX 10 (2019).
       :doi:`10.1016/j.softx.2019.100335`
    """
    colours = _colours(image)
    fragments = _fragments(image, colours, history)
    if fragments.max() == 0:
        return Hierarchy(fragments, np.empty((0, 2), dtype=np.int64), np.empty(0))
    merges, dissimilarities = _Merging.of(fragments, colours, history).run()
    altitudes = np.maximum.accumulate(dissimilarities)
    levels = 1 - 1 / (1 + (altitudes / TYPICAL) ** STEEPNESS)
    return Hierarchy(fragments, merges, levels)


@dataclasses.dataclass(frozen=True, eq=False)
class _Regions:
    """Sums over regions' pixels: areas (n,), colours (n, C), and histograms (n, bins)."""

    areas: Floats
    colours: Floats
    colour_counts: NDArray[np.float32]
    label_counts: NDArray[np.float32]
    n_snapshots: int

    def with_room(self, n_more: int) -> "_Regions":
        """Return these with as many empty regions behind them."""

        def longer(sums: NDArray[Any]) -> NDArray[Any]:
            return np.concatenate([sums, np.zeros((n_more, *sums.shape[1:]), sums.dtype)])

        areas, colours, colour_counts, label_counts = map(longer, self._sums())
        return _Regions(areas, colours, colour_counts, label_counts, self.n_snapshots)

    def merge(self, one: int, other: int, into: int) -> None:
        """Set a region to the union of two."""
        for sums in self._sums():
            sums[into] = sums[one] + sums[other]

    def _sums(self) -> tuple[NDArray[Any], ...]:
        return self.areas, self.colours, self.colour_counts, self.label_counts


class _Merging:
    """Merges the two neighbours that differ least, again and again.

    Parameters
    ----------
    regions : _Regions
        What is inside each fragment.
    pairs : ndarray of int, shape (E, 2)
        Neighbours, all of them linked somehow.
    borders : ndarray of float, shape (E, 3)
        Pixel pairs along their border, and sums over these of edges and of changes of label.
    """

    def __init__(
        self, regions: _Regions, pairs: NDArray[np.int64], borders: NDArray[np.float64]
    ) -> None:
        self._n_fragments = len(regions.areas)
        self._regions = regions
        self._small = SMALL * regions.areas.sum()
        self._pairs = pairs
        self._borders = borders

    @classmethod
    def of(
        cls,
        fragments: NDArray[np.int64],
        colours: NDArray[np.float32],
        history: Sequence[Labels],
    ) -> "_Merging":
        """Describe fragments and their borders."""
        regions = _describe(fragments, colours, history)
        return cls(regions, *_borders(fragments, colours, history))

    def linked(self, n_regions: int) -> NDArray[np.int64]:
        """Merge by the mean dissimilarity along borders; return the region of each fragment."""
        graph = _graph(self._pairs, self._n_fragments)
        lengths = np.maximum(self._borders[:, 0], 1e-3)
        weights = np.minimum(self._weights(), FARTHEST)
        tree, altitudes = hg.binary_partition_tree_average_linkage(graph, weights, lengths)
        regions: NDArray[np.int64] = hg.labelisation_horizontal_cut_from_num_regions(
            tree, altitudes, n_regions
        )
        return regions

    def run(self) -> tuple[NDArray[np.int64], Floats]:
        """Return the nodes that merge, (F - 1, 2), and their dissimilarities, in order."""
        # higra's tree with a rule of one's own is ten times slower than this where regions
        # come to have many neighbours
        self._regions = self._regions.with_room(self._n_fragments - 1)
        neighbours: list[dict[int, Floats]] = [{} for _ in range(2 * self._n_fragments - 1)]
        for (one, other), border in zip(self._pairs.tolist(), self._borders, strict=True):
            neighbours[one][other] = neighbours[other][one] = border
        queue = list(zip(self._weights().tolist(), *self._pairs.T.tolist(), strict=True))
        heapq.heapify(queue)
        merges, weights = [], []
        for new in range(self._n_fragments, 2 * self._n_fragments - 1):
            weight, one, other = heapq.heappop(queue)
            while other not in neighbours[one]:  # one of them has merged since
                weight, one, other = heapq.heappop(queue)
            merges.append((one, other))
            weights.append(weight)
            self._regions.merge(one, other, into=new)
            borders = _join(neighbours, one, other)
            neighbours[new] = borders
            if borders:
                beyond = np.fromiter(borders, dtype=np.int64)
                along = np.stack(list(borders.values()))
                for far, found in zip(
                    beyond.tolist(), self._dissimilarity(new, beyond, along).tolist(), strict=True
                ):
                    neighbours[far][new] = borders[far]
                    heapq.heappush(queue, (found, new, far))
        return np.array(merges), np.array(weights)

    def _weights(self) -> Floats:
        """Return the dissimilarity of each pair."""
        parts = np.array_split(np.arange(len(self._pairs)), len(self._pairs) // 1000 + 1)
        return np.concatenate(
            [
                self._dissimilarity(self._pairs[part, 0], self._pairs[part, 1], self._borders[part])
                for part in parts
            ]
        )

    def _dissimilarity(
        self, one: int | NDArray[np.int64], other: NDArray[np.int64], borders: Floats
    ) -> Floats:
        """Return how much tells regions apart, infinite where they share no border."""
        regions = self._regions
        a, b = regions.areas[one][..., np.newaxis], regions.areas[other][:, np.newaxis]
        lengths, edges, changes = borders.T

        def difference(sums: NDArray[Any]) -> NDArray[Any]:
            return sums[one] / a - sums[other] / b

        inside = (
            HISTORY / 2 * np.abs(difference(regions.label_counts)).sum(1) / regions.n_snapshots
            + COLOURS / 2 * np.abs(difference(regions.colour_counts)).sum(1)
            / regions.colours.shape[1]
            + COLOUR * np.linalg.norm(difference(regions.colours), axis=1)
        )  # fmt: skip
        with np.errstate(divide="ignore", invalid="ignore"):
            between = (EDGE * edges + HISTORY_AT_BORDER * changes) / lengths
        size = np.minimum(1, np.minimum(a, b).ravel() / self._small) ** SOONER
        dissimilarity: Floats = np.where(lengths > 0, (inside + between) * size, np.inf)
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


def _colours(image: PreparedImage) -> NDArray[np.float32]:
    """Return colours that are about as far apart as they look, (Y, X, C), black to white 1."""
    values = np.moveaxis(image.values, 0, -1)
    return (rgb2lab(values) / 100).astype(np.float32) if image.is_rgb else values


def _neighbours(maps: NDArray[Any], axis: int, before: int = 0) -> tuple[Any, Any]:
    """Return both sides of each pair of neighbours along an axis; `before` looks further away."""
    length = maps.shape[axis]
    near = np.maximum(np.arange(length - 1) - before, 0)
    far = np.minimum(np.arange(1, length) + before, length - 1)
    return maps.take(near, axis), maps.take(far, axis)


def _fragments(
    image: PreparedImage, colours: NDArray[np.float32], history: Sequence[Labels]
) -> NDArray[np.int64]:
    """Divide an image into fragments from 0; -1 where pixels take no part."""
    smooth = gaussian(colours, LEAF_BLUR, channel_axis=-1)
    gradient = np.linalg.norm([sobel(channel) for channel in np.moveaxis(smooth, -1, 0)], axis=0)
    # watersheds lie on the edges to the pixel, where SLIC's superpixels may reach across
    n_leaves = min(MAX_LEAVES, max(1, image.valid.size // LEAF_PIXELS))
    basins = watershed(gradient, n_leaves)
    leaves = _number(np.where(image.valid, basins, 0))
    n_fragments = min(MAX_FRAGMENTS, max(1, image.valid.size // FRAGMENT_PIXELS))
    if leaves.max() < n_fragments:
        return leaves
    merged = _Merging.of(leaves, colours, history).linked(n_fragments)
    # fragments must not reach across pixels that take no part
    return _number(np.append(merged + 1, 0)[leaves])


def _number(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the connected regions of labels, from 0; -1 where labels are 0."""
    regions: NDArray[np.int64] = connected_regions(labels, connectivity=1) - 1
    return regions


def _graph(pairs: NDArray[np.integer], n_regions: int) -> Any:
    graph = hg.UndirectedGraph(n_regions)
    graph.add_edges(pairs[:, 0], pairs[:, 1])
    return graph


def _sums(
    regions: NDArray[np.int64], values: NDArray[np.floating], n_regions: int
) -> NDArray[np.float64]:
    """Sum values (pixels, C) over regions, (n, C)."""
    return np.stack([np.bincount(regions, column, n_regions) for column in values.T], axis=1)


def _pairs(
    regions: NDArray[np.int64], *strengths: Sequence[NDArray[Any]]
) -> tuple[NDArray[np.int64], Floats, list[Floats]]:
    """Return pairs of neighbouring regions, their borders' lengths, and sums along the borders.

    Each strength is a pair of maps, (Y - 1, X) and (Y, X - 1), of what lies between neighbours.
    """
    n_regions = int(regions.max()) + 1
    codes, along = [], [[] for _ in strengths]  # type: ignore[var-annotated]
    for axis in (0, 1):
        near, far = _neighbours(regions, axis)
        is_border = (near != far) & (near >= 0) & (far >= 0)
        near, far = near[is_border], far[is_border]
        codes.append(np.minimum(near, far) * n_regions + np.maximum(near, far))
        for kept, strength in zip(along, strengths, strict=True):
            kept.append(strength[axis][is_border])
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
    fragments: NDArray[np.int64], colours: NDArray[np.float32], history: Sequence[Labels]
) -> _Regions:
    """Sum up what is inside each fragment."""
    inside = fragments >= 0
    regions, values = fragments[inside], colours[inside]
    n_regions = int(regions.max()) + 1
    low, high = values.min(0), values.max(0)
    bins = ((values - low) / np.maximum(high - low, 1e-6) * COLOUR_BINS).astype(np.int64)
    return _Regions(
        np.bincount(regions).astype(np.float64),
        _sums(regions, values, n_regions),
        _counts(regions, list(np.minimum(bins, COLOUR_BINS - 1).T), n_regions),
        _counts(regions, [labels[inside] for labels in history], n_regions),
        len(history),
    )


def _borders(
    fragments: NDArray[np.int64], colours: NDArray[np.float32], history: Sequence[Labels]
) -> tuple[NDArray[np.int64], Floats]:
    """Return which fragments are neighbours, (E, 2), and what lies along their borders, (E, 3)."""
    smooth = gaussian(colours, 1, channel_axis=-1)
    edges, changes = [], []
    for axis in (0, 1):
        edges.append(np.linalg.norm(np.subtract(*_neighbours(smooth, axis)), axis=-1))
        differ = (np.not_equal(*_neighbours(labels, axis, before=1)) for labels in history)
        changes.append(sum(differ) / len(history))
    pairs, lengths, sums = _pairs(fragments, edges, changes)
    links = _link(pairs, int(fragments.max()) + 1)
    borders = np.stack([lengths, *sums], axis=1)
    return np.concatenate([pairs, links]), np.concatenate([borders, np.zeros((len(links), 3))])


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
