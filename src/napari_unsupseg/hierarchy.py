"""A run's history and the image itself, made into a hierarchy of segments that can be cut anywhere.

Fragments merge, two neighbours at a time, in the order of how little tells them apart: what the
network's labels said of them on its way, what lies on their common border, and their colours.
"""

import functools
import numbers
import threading
import warnings
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab

from napari_unsupseg.compiling import naming_interrupts
from napari_unsupseg.errors import SettingError
from napari_unsupseg.fragments import find_fragments
from napari_unsupseg.images import PreparedImage
from napari_unsupseg.outlines import refine_outlines
from napari_unsupseg.parts import map_parts, result_of
from napari_unsupseg.region_graph import (
    RegionGraph,
    describe_regions,
    group_of_each,
    order_leaves,
)
from napari_unsupseg.segments import label_dtype, number_regions
from napari_unsupseg.strokes import name_segments, paint

__all__ = [
    "Hierarchy",
    "build_hierarchy",
    "build_hierarchy_parts",
    "check_cut",
    "compile_ahead",
    "without_small",
]

Labels = NDArray[np.unsignedinteger]
Floats = NDArray[np.float64]

ALIKE_LEVEL = 0.46  # of the segments that clusters are made of
MAX_ALIKE = 2000  # of these segments, whose distances are all compared
TYPICAL = 1.23  # dissimilarity at which the default level cuts
STEEPNESS = 3  # of levels there, so that those of use lie well apart


class Hierarchy:
    """Segments of an image, from fine to coarse; each cut only merges those of a finer one.

    Parameters
    ----------
    fragments : ndarray of int, shape (..., Y, X)
        The finest segments from 0, -1 at pixels that take no part.
    merges : ndarray of int, shape (F - 1, 2)
        Nodes that merge, in order; nodes below F are fragments, node F + i is what merge i made.
    levels : ndarray of float, shape (F - 1,)
        Level of each merge, 0 to 1, never falling.
    graph : RegionGraph
        What is inside each fragment and at its borders.
    colours : ndarray of float32, shape (..., Y, X, C)
        Colours that the graph is of.
    labels : ndarray of unsigned integers, shape (..., Y, X)
        The run's last labels.
    spatial_ndim : int
        Axes of a frame, the last ones; segments do not reach from frame to frame.
    strokes : ndarray of unsigned integers, shape (..., Y, X), optional
        Label of each pixel under a stroke, 0 where there is none.

    Attributes
    ----------
    default_level : float
        Level that suits most images.
    n_fragments : int
        Segments of the finest cut.
    """

    default_level = 0.5

    def __init__(
        self,
        fragments: NDArray[np.integer],
        merges: NDArray[np.integer],
        levels: Floats,
        graph: RegionGraph,
        colours: NDArray[np.float32],
        labels: Labels,
        spatial_ndim: int = 2,
        strokes: Labels | None = None,
    ) -> None:
        self._spatial_ndim = spatial_ndim
        self._strokes = strokes
        self._labels = labels
        self.n_fragments = len(merges) + 1
        self._fragments = fragments
        self._levels = levels
        self._graph = graph
        self._colours = colours
        self._merges = merges

    def cut(
        self, *, n_segments: int | None = None, level: float | None = None, min_size: int = 0
    ) -> Labels:
        """Cut the hierarchy.

        Parameters
        ----------
        n_segments : int, optional
            Segments to have; as many as there are fragments, if there are fewer.
        level : float, optional
            0 gives the finest segments, 1 a single one, even of parts that touch nowhere; by
            default `default_level`.
        min_size : int
            Pixels of the smallest segment, unless it touches no other: smaller ones then join the
            neighbour that they resemble most.

        Returns
        -------
        ndarray of uint8, uint16 or uint32, shape (..., Y, X)
            Segments from 1, 0 at pixels that take no part.

        Raises
        ------
        SettingError
            If both are given, or one is out of its range.
        """
        groups = self._groups(self._count(n_segments, level))
        if min_size > 1:
            groups = self._graph.grouped(groups).merge_small(min_size)[groups]
        return _painted(groups, self._fragments)

    def clusters(self, n_clusters: int) -> Labels:
        """Give segments that look alike a common label.

        Parameters
        ----------
        n_clusters : int
            Labels to have; fewer if there are fewer segments, more if strokes have more.

        Returns
        -------
        ndarray of uint8, uint16 or uint32, shape (..., Y, X)
            Clusters from 1, the darkest, 0 at pixels that take no part. With strokes: a cluster
            for each of their labels, with that number, and others with the numbers that are left.

        Raises
        ------
        SettingError
            If it is no whole number from 1.

        Notes
        -----
        Segments of a rather fine cut, by Ward's criterion on their mean colours, on how these
        differ from their neighbours', so that what is dim but stands out is not taken for its
        surroundings, and on the labels they had over the run. Their outlines are then moved by up
        to three pixels to where the colours change.

        With strokes each segment whose pixels the network mostly gives to them has the label of
        the stroked segment that it is most like, by the same measure and by how much of it the
        network gives to each label. Pixels under strokes have the labels of these.
        """
        _check_count("n_clusters", n_clusters)
        groups = self._groups(min(self._count(None, ALIKE_LEVEL), MAX_ALIKE))
        graph = self._graph.grouped(groups)
        segments = np.append(groups, -1)[self._fragments]
        segments = refine_outlines(segments, self._colours, graph.mean_colours, self._spatial_ndim)
        if self._strokes is not None:
            steered = self._steered(self._strokes, n_clusters, graph, groups)
            return paint(_painted(steered, segments), self._strokes)
        clusters = graph.alike(n_clusters)
        left = np.zeros(int(clusters.max()) + 1, dtype=np.intp)
        left[clusters[segments[segments >= 0]]] = 1
        return _painted(np.cumsum(left)[clusters] - 1, segments)

    def _steered(
        self, strokes: Labels, n_clusters: int, graph: RegionGraph, groups: NDArray[np.intp]
    ) -> NDArray[np.int64]:
        """Return the cluster of each segment from 0: that of strokes, or one of those left."""
        segments = np.append(groups, -1)[self._fragments]
        names = np.unique(strokes[strokes > 0])
        n_others = n_clusters - len(names)
        labels = name_segments(
            segments, graph.features(), strokes, self._labels, all_named=n_others < 1
        )
        others = labels == 0
        if others.any():
            free = np.setdiff1d(np.arange(1, n_clusters + 1), names)
            labels[others] = free[graph.alike(n_others, others)]
        return labels - 1

    def boundaries(self) -> NDArray[np.float32]:
        """Draw how long each border lasts.

        Returns
        -------
        ndarray of float32, shape (..., Y, X)
            Level at which a pixel's segment merges with its last other neighbour's, right, below
            or behind; 0 inside the finest segments.
        """
        levels = np.zeros(self._fragments.shape, dtype=np.float32)
        if self.n_fragments == 1:
            return levels
        meet = _MeetingLevels(self._merges, self._levels)
        for axis in range(levels.ndim - self._spatial_ndim, levels.ndim):
            near, far = (self._fragments.take(range(*ends), axis) for ends in self._sides(axis))
            places = np.nonzero((near != far) & (near >= 0) & (far >= 0))
            np.maximum.at(levels, places, meet.of(near[places], far[places]).astype(np.float32))
        return levels

    def _sides(self, axis: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return where the pixels before and behind each side lie along an axis."""
        length = self._fragments.shape[axis]
        return (0, length - 1), (1, length)

    def _count(self, n_segments: int | None, level: float | None) -> int:
        """Return how many segments are asked for."""
        check_cut(n_segments, level, name="level")
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
        return group_of_each(self.n_fragments, self._merges[: self.n_fragments - n_segments])


class _MeetingLevels:
    """At which level regions come together.

    Parameters
    ----------
    merges : ndarray of int, shape (F - 1, 2)
        As in `Hierarchy`.
    levels : ndarray of float, shape (F - 1,)
        As in `Hierarchy`.

    Notes
    -----
    In an order of the fragments in which each node's lie side by side, two of them come together
    at the highest level between any two neighbours from one to the other; a table of the highest of
    1, 2, 4… in a row finds it in two looks [1]_.

    References
    ----------
    .. [1] M. A. Bender, M. Farach-Colton, "The LCA problem revisited", LATIN (2000).
       :doi:`10.1007/10719839_9`
    """

    def __init__(self, merges: NDArray[np.integer], levels: Floats) -> None:
        self._places, before = order_leaves(np.asarray(merges))
        highest = np.zeros(len(levels) + 1)  # between a place and the one before it
        highest[before] = levels
        self._highest = [highest]
        while 2 ** len(self._highest) <= len(highest):
            half = 2 ** (len(self._highest) - 1)
            self._highest.append(np.maximum(self._highest[-1][:-half], self._highest[-1][half:]))

    def of(self, ones: NDArray[np.integer], others: NDArray[np.integer]) -> Floats:
        """Return the level of each pair of fragments that are not the same."""
        first, last = np.sort([self._places[ones], self._places[others]], axis=0)
        sizes = np.frexp(last - first)[1] - 1  # whole part of the binary logarithm
        found = np.empty(len(ones))
        for size in np.unique(sizes):
            of_size, table = sizes == size, self._highest[size]
            ends = last[of_size] + 1 - 2**size
            found[of_size] = np.maximum(table[first[of_size] + 1], table[ends])
        return found


def _painted(numbers: NDArray[np.integer], regions: NDArray[np.integer]) -> Labels:
    """Return an image of each region's number, from 1; 0 where there is none."""
    table = np.append(numbers + 1, 0).astype(label_dtype(int(numbers.max()) + 1))
    labels: Labels = table[regions]  # the last entry is for -1
    return labels


def check_cut(n_segments: int | None, level: float | None, *, name: str = "granularity") -> None:
    """Refuse what no hierarchy could be cut at.

    Parameters
    ----------
    n_segments : int, optional
        As in `Hierarchy.cut`.
    level : float, optional
        As in `Hierarchy.cut`.
    name : str
        What the level is called where it was asked for.

    Raises
    ------
    SettingError
        If both are given, or one is out of its range.
    """
    if n_segments is not None and level is not None:
        raise SettingError(f"n_segments and {name} both say where to cut: give one of them")
    if n_segments is not None:
        _check_count("n_segments", n_segments)
    if level is not None and not (isinstance(level, numbers.Real) and 0 <= level <= 1):
        raise SettingError(f"{name} must be a number from 0 to 1, got {level!r}")


def _check_count(name: str, value: int) -> None:
    is_number = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_number or value < 1:
        raise SettingError(f"{name} must be a whole number from 1, got {value!r}")


def build_hierarchy(
    image: PreparedImage,
    history: Sequence[Labels],
    *,
    min_size: int = 0,
    strokes: Labels | None = None,
) -> Hierarchy:
    """Build the hierarchy of an image from the labels of a run.

    Parameters
    ----------
    image : PreparedImage
        The image.
    history : sequence of ndarray of unsigned integers, shape (..., Y, X)
        Labels at some iterations of one run or of several; those of early iterations tell fine
        differences, those of late ones great differences.
    min_size : int
        Pixels of the smallest segment of any cut, unless it touches no other.
    strokes : ndarray of unsigned integers, shape (..., Y, X), optional
        Label of each pixel under a stroke, 0 where there is none: segments with strokes of
        different labels merge last, above every level but 1.

    Returns
    -------
    Hierarchy
        Its default level suits most images.

    Notes
    -----
    Two regions are as far apart as a weighted sum says of: the share of pixels by which their
    histograms of labels differ, over iterations; the same for colours, and for how steeply these
    change; the distance of their mean colours; the step in colour and the share of changes of label
    at their common border. Small regions are brought closer, and regions that share much of their
    borders. Colours are CIELAB for RGB, else the image's intensities. Basins
    of a watershed of the colours' gradient are merged into fragments by the mean of this along
    their borders; from there on it is computed anew for whatever has merged.

    References
    ----------
    .. [1] B. Perret et al., "Higra: Hierarchical Graph Analysis", SoftwareX 10 (2019).
       :doi:`10.1016/j.softx.2019.100335`
    """
    return result_of(build_hierarchy_parts(image, history, min_size=min_size, strokes=strokes))


def build_hierarchy_parts(
    image: PreparedImage,
    history: Sequence[Labels],
    *,
    min_size: int = 0,
    strokes: Labels | None = None,
) -> Generator[float, None, Hierarchy]:
    """Build the hierarchy of an image, a part at a time.

    Parameters
    ----------
    image : PreparedImage
        As in `build_hierarchy`.
    history : sequence of ndarray of unsigned integers, shape (..., Y, X)
        As in `build_hierarchy`.
    min_size : int
        As in `build_hierarchy`.
    strokes : ndarray of unsigned integers, shape (..., Y, X), optional
        As in `build_hierarchy`.

    Yields
    ------
    float
        Share that is done, from 0 to 1; the rest can be left off.

    Returns
    -------
    Hierarchy
        As of `build_hierarchy`.
    """
    with naming_interrupts():
        return (yield from _build(image, history, min_size, strokes))


def _build(
    image: PreparedImage, history: Sequence[Labels], min_size: int, strokes: Labels | None
) -> Generator[float, None, Hierarchy]:
    colours, lightness = _colours(image)
    finding = _find_fragments(image, colours, lightness, history, strokes)
    fragments = yield from map_parts(finding, lambda share: 0.6 * share)
    graph = describe_regions(
        fragments, colours, history, lightness, image.spatial_ndim, strokes, image.spacing
    )
    yield 0.7
    if min_size > 1:
        groups = graph.merge_small(min_size)
        fragments, graph = np.append(groups, -1)[fragments], graph.grouped(groups)
    merging = yield from map_parts(graph.merge(), lambda share: 0.7 + 0.2 * share)
    altitudes = np.maximum.accumulate(merging.dissimilarities)
    levels = 1 - 1 / (1 + (altitudes / TYPICAL) ** STEEPNESS)
    yield 1.0
    return Hierarchy(
        fragments,
        merging.merges,
        levels,
        graph,
        colours,
        history[-1],
        image.spatial_ndim,
        strokes,
    )


def _find_fragments(
    image: PreparedImage,
    colours: NDArray[np.float32],
    lightness: Sequence[float],
    history: Sequence[Labels],
    strokes: Labels | None,
) -> Generator[float, None, NDArray[np.int32]]:
    """Divide each frame into the finest segments, numbered from 0 through all of them."""
    fragments = np.empty(image.valid.shape, dtype=np.int32)
    n_frames, n_found = image.n_frames, 0

    def by_frames(maps: NDArray[Any]) -> NDArray[Any]:
        return maps.reshape(n_frames, *image.frame_shape, *maps.shape[image.valid.ndim :])

    drawn = [None] * n_frames if strokes is None else by_frames(strokes)
    for frame, found in enumerate(by_frames(fragments)):
        valid = by_frames(image.valid)[frame]
        if not valid.any():
            found[...] = -1
            continue
        labels = [by_frames(snapshot)[frame] for snapshot in history]
        finding = find_fragments(
            by_frames(colours)[frame], valid, labels, lightness, drawn[frame], image.spacing
        )
        numbers = yield from map_parts(finding, lambda share: (frame + share) / n_frames)  # noqa: B023
        found[...] = np.where(valid, numbers + n_found, -1)
        n_found += int(numbers.max()) + 1
    return fragments


@functools.cache
def compile_ahead() -> None:
    """Have what makes hierarchies compiled by a thread, while there is something else to do.

    The first time on a machine this takes some ten seconds, and later less than one.
    """
    values = np.random.default_rng(0).random((1, 20, 20), dtype=np.float32)
    image = PreparedImage(values, np.ones((20, 20), dtype=bool), is_rgb=False)
    history = [np.ones((20, 20), dtype=np.uint8)]
    threading.Thread(target=build_hierarchy, args=(image, history)).start()


@naming_interrupts()
def without_small(labels: Labels, image: PreparedImage, min_size: int) -> Labels:
    """Merge small regions of an image's labels into the neighbour they resemble most.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (..., Y, X)
        Clusters or segments, 0 at pixels that take no part.
    image : PreparedImage
        The image.
    min_size : int
        Pixels of the smallest connected region, unless it touches no other.

    Returns
    -------
    ndarray of unsigned integers, shape (..., Y, X)
        Labels; of regions that merge, that of the largest.
    """
    colours, lightness = _colours(image)
    regions = number_regions(labels, image.spatial_ndim) - 1
    graph = describe_regions(
        regions,
        colours,
        [np.zeros_like(labels)],
        lightness,
        image.spatial_ndim,
        spacing=image.spacing,
    )
    groups = graph.merge_small(min_size)
    inside = labels > 0
    of_regions = np.zeros(graph.n_regions + 1, dtype=labels.dtype)  # the last one is for -1
    of_regions[regions[inside]] = labels[inside]
    by_area = np.argsort(np.bincount(regions[inside]), kind="stable")
    of_groups = np.empty(graph.n_regions, dtype=labels.dtype)
    of_groups[groups[by_area]] = of_regions[by_area]
    of_regions[:-1] = of_groups[groups]
    return of_regions[regions]


def _colours(image: PreparedImage) -> tuple[NDArray[np.float32], list[float]]:
    """Return colours that are about as far apart as they look, (..., Y, X, C), black to white 1.

    And how much each of the channels counts for lightness.
    """
    values = np.moveaxis(image.values, 0, -1)
    if image.is_rgb:
        return (rgb2lab(values) / 100).astype(np.float32), [1, 0, 0]
    return values, [1] * values.shape[-1]
