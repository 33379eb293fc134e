"""Segments of an image from fine to coarse: a hierarchy that can be cut anywhere."""

import functools
import math
import numbers
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unsupseg._typing import Floats, Labels
from napari_unsupseg._words import count
from napari_unsupseg.errors import ImageError, SettingError, StrokesError
from napari_unsupseg.image.channels import as_array
from napari_unsupseg.options import ObjectOptions, check_flag, documented
from napari_unsupseg.regions.boundary_refinement import refine_boundaries
from napari_unsupseg.regions.foreground import (
    ForegroundModel,
    find_foreground,
    principal_axis,
    principal_intensities,
    refine_outlines,
    typical_radius,
)
from napari_unsupseg.regions.graph import RegionGraph
from napari_unsupseg.regions.graph_builder import relative_spacing
from napari_unsupseg.regions.labels import label_regions, map_labels
from napari_unsupseg.regions.merge_granularities import MergeGranularities
from napari_unsupseg.regions.merge_tree import MergeTree
from napari_unsupseg.regions.objects import make_objects, number_in_frames, typical_size
from napari_unsupseg.regions.region_shapes import Levels, object_shapes, quantize
from napari_unsupseg.regions.representative_cuts import representative_granularities
from napari_unsupseg.regions.splitting import Basins, find_basins
from napari_unsupseg.regions.stability import outline_stability
from napari_unsupseg.regions.strokes import (
    MOST_LABELS,
    OBJECT_LABEL,
    apply_strokes,
    check_object_strokes,
    check_strokes,
    find_kinds,
    find_stroked_objects,
    propagate_strokes,
)

__all__ = ["Hierarchy", "check_cut", "check_objects"]

CLUSTERING_GRANULARITY = 0.45  # of the cut whose segments are clustered
VOTING_CLUSTERS = 12  # of which some are the foreground, where a run ends with none of its own
MAX_CLUSTERED_SEGMENTS = 2000  # of them; Ward's criterion needs memory for all their distances


ForegroundOf = Callable[[NDArray[Any]], NDArray[np.bool_]]


class Hierarchy:
    """Segments of an image, from fine to coarse; each cut only merges those of a finer one.

    Parameters
    ----------
    fragments : ndarray of int, shape (..., Y, X)
        The finest segments from 0, -1 at pixels that take no part.
    tree : MergeTree
        How the F fragments merge.
    local_tree : MergeTree
        How they merge by what neighbours themselves differ in. Clusters and objects are made of
        it: the many small things of an image are no parts that all of it divides into.
    graph : RegionGraph
        What is inside each fragment and at its borders.
    colours : ndarray of float32, shape (..., Y, X, C)
        Colours that the graph describes, 1 from black to white.
    labels : ndarray of unsigned integers, shape (..., Y, X)
        The run's last labels.
    spatial_ndim : int
        Axes of a frame, the last ones; segments do not reach from frame to frame.
    strokes : ndarray of unsigned integers, shape (..., Y, X), optional
        Label of each pixel under a stroke, 0 where there is none.
    spacing : sequence of float
        Distance of neighbours along each axis of a frame; by default the same along all.
    n_clusters : int
        Clusters that the run ends with; 0 if these are the labels.

    Attributes
    ----------
    default_granularity : float
        Granularity that suits most images.
    n_fragments : int
        Segments of the finest cut.
    """

    default_granularity = 0.5

    def __init__(
        self,
        fragments: NDArray[np.integer],
        tree: MergeTree,
        local_tree: MergeTree,
        graph: RegionGraph,
        colours: NDArray[np.float32],
        labels: Labels,
        spatial_ndim: int = 2,
        strokes: Labels | None = None,
        spacing: Sequence[float] = (),
        n_clusters: int = 0,
    ) -> None:
        self._spatial_ndim = spatial_ndim
        self._spacing = relative_spacing(spacing, spatial_ndim)
        self._n_clusters = n_clusters
        self._strokes = strokes
        self._labels = labels
        self.n_fragments = tree.count_segments(0)  # what nothing tells apart is not cut
        self._fragments = fragments
        self._tree = tree
        self._local_tree = local_tree
        self._graph = graph
        self._colours = colours
        # the last foreground, or strokes, to be given, by which function it was found, and what of
        self._given: tuple[NDArray[Any], ForegroundOf, Basins] | None = None

    def tree(self) -> dict[str, NDArray[Any]]:
        """Return what takes long to make: the fragments, and how they merge.

        Returns
        -------
        dict of str to ndarray
            ``fragments``, and ``merges`` and ``granularities`` of both trees, which
            `restore_hierarchy` takes.
        """
        return {
            "fragments": self._fragments,
            **self._tree._asdict(),
            **{f"local_{name}": values for name, values in self._local_tree._asdict().items()},
        }

    def cut(
        self, *, n_segments: int | None = None, granularity: float | None = None, min_size: int = 0
    ) -> Labels:
        """Cut the hierarchy.

        Parameters
        ----------
        n_segments : int, optional
            Segments to have; as many as the finest cut has, if these are fewer.
        granularity : float, optional
            0 gives the finest segments, 1 a single one, even of parts that touch nowhere; by
            default `default_granularity`.
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
        groups = self._tree.group_fragments(self._count_segments(n_segments, granularity))
        if min_size > 1:
            groups = self._graph.contract(groups).merge_small(min_size)[groups]
        return map_labels(groups, self._fragments)

    def representative_granularities(self, n: int = 5) -> Floats:
        """Name a few granularities worth looking at: any other cut is much like one of theirs.

        Parameters
        ----------
        n : int
            How many to name; at most 99 are.

        Returns
        -------
        ndarray of float64, shape (n,) or fewer
            They rise, from above 0 to below 1; fewer if there are not so many different cuts.

        Raises
        ------
        SettingError
            If `n` is no whole number from 1.

        Notes
        -----
        Cuts are medoids of all cuts. A cut counts as long as it lives, from the merge that makes it
        to the next, and two are as far apart as their variation of information:
        `regions.representative_cuts` has the details.
        """
        _check_count("n", n)
        return representative_granularities(*self._tree, self._graph.sums.areas, n)

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
        Segments of a rather fine cut are clustered by Ward's criterion, on their mean colours, on
        how far these are from those of the segments around them, and on the labels they had over
        the run. So what is dim but stands out is not clustered with its surroundings. Boundaries
        are then moved by up to three pixels to where the colours change.

        With strokes, `propagate_strokes` gives the segments that the network mostly gives to
        strokes the label of the most similar segment under a stroke; only the others are clustered.
        Pixels under strokes have the labels of these.
        """
        _check_count("n_clusters", n_clusters)
        groups, graph, segments = self._clustered_segments
        if self._strokes is not None:
            clusters = self._clusters_by_strokes(self._strokes, n_clusters, graph, groups)
            return apply_strokes(map_labels(clusters, segments), self._strokes)
        clusters = graph.cluster_ward(n_clusters)
        # a cluster of small segments can lose all pixels to refinement; the rest close the gap
        occurs = np.zeros(int(clusters.max()) + 1, dtype=np.intp)
        occurs[clusters[segments[segments >= 0]]] = 1
        return map_labels(np.cumsum(occurs)[clusters] - 1, segments)

    def kinds(self, strokes: ArrayLike) -> Labels:
        """Give each pixel the label of the strokes on what looks like it.

        Parameters
        ----------
        strokes : array_like of int, shape (..., Y, X)
            A few strokes on some of each kind, one label a kind, 0 where nothing is drawn.

        Returns
        -------
        ndarray of uint8 or uint16, shape (..., Y, X)
            Label of a stroke, 0 at pixels that take no part.

        Raises
        ------
        StrokesError
            If strokes have another shape, or are of one kind alone.

        Notes
        -----
        The segments are those that `clusters` is made of, each with the label of the nearest
        segment under a stroke by what makes them look alike. Nothing is trained, so it takes
        milliseconds, and can follow a brush that moves.

        Examples
        --------
        >>> from skimage.data import coins
        >>> from napari_unsupseg import Segmenter, Settings
        >>> image = coins()[::4, ::4]
        >>> strokes = np.zeros(image.shape, dtype=np.uint8)
        >>> strokes[10:14, 8:14], strokes[30, 40:60] = 1, 2
        >>> hierarchy = Segmenter(Settings(iterations=15, superpixels=500)).fit(image).hierarchy_
        >>> np.unique(hierarchy.kinds(strokes))
        array([1, 2], dtype=uint16)
        """
        checked = check_strokes(strokes, self._fragments >= 0, MOST_LABELS)
        if checked is None or len(np.unique(checked[checked > 0])) < 2:
            raise StrokesError("strokes are of one kind at most: draw on some of two kinds")
        _, graph, segments = self._clustered_segments
        found = find_kinds(segments, graph.features(), checked)
        return apply_strokes(np.append(found, 0).astype(found.dtype)[segments], checked)

    @functools.cached_property
    def _clustered_segments(self) -> tuple[NDArray[np.intp], RegionGraph, NDArray[np.integer]]:
        """The segment of each fragment in a rather fine cut, their graph, and their pixels.

        Boundaries of the pixels lie where the colours change, not where fragments end.
        """
        n_segments = self._local_tree.count_segments(CLUSTERING_GRANULARITY)
        groups = self._local_tree.group_fragments(min(n_segments, MAX_CLUSTERED_SEGMENTS))
        graph = self._graph.contract(groups)
        segments = np.append(groups, -1)[self._fragments]
        refined = refine_boundaries(segments, self._colours, graph.mean_colours, self._spatial_ndim)
        return groups, graph, refined

    def _clusters_by_strokes(
        self, strokes: Labels, n_clusters: int, graph: RegionGraph, groups: NDArray[np.intp]
    ) -> NDArray[np.int64]:
        """Return the cluster of each segment from 0: that of strokes, or one of those left."""
        segments = np.append(groups, -1)[self._fragments]
        stroke_labels = np.unique(strokes[strokes > 0])
        n_others = n_clusters - len(stroke_labels)
        labels = propagate_strokes(
            segments, graph.features(), strokes, self._labels, label_all=n_others < 1
        )
        others = labels == 0
        if others.any():
            free = np.setdiff1d(np.arange(1, n_clusters + 1), stroke_labels)
            labels[others] = free[graph.cluster_ward(n_others, others)]
        return labels - 1

    @documented(ObjectOptions)
    def objects(
        self,
        foreground: ArrayLike | None = None,
        *,
        strokes: ArrayLike | None = None,
        min_size: int | None = None,
        **options: Unpack[ObjectOptions],
    ) -> Labels:
        """Find objects, such as nuclei or particles, and split those that touch.

        Parameters
        ----------
        foreground : array_like, optional
            What objects are made of: a mask of shape (..., Y, X), anything but 0 where objects
            are; or the numbers of clusters. By default the clusters that stand out as round things
            do.
        strokes : array_like of int, shape (..., Y, X), optional
            A few strokes in place of a foreground: 1 on some objects, any other number on some of
            the ground, 0 where nothing is drawn. What looks like the first is made objects of.
        min_size : int, optional
            Pixels of the smallest object; by default what is below a tenth of a typical one is left
            out.
        {options}

        Returns
        -------
        ndarray of uint8, uint16 or uint32, shape (..., Y, X)
            Objects from 1, 0 elsewhere; none at all if nothing stands out. An object of a series
            has one number from frame to frame as long as it overlaps itself.

        Raises
        ------
        SettingError
            If an option is out of its range, a cluster is unknown, or both foreground and strokes
            are given.
        StrokesError
            If strokes have another shape, or are on objects or on the ground alone.
        ImageError
            If the mask has another shape, or is an image.

        Notes
        -----
        `regions.foreground` says how the foreground is found and its outlines are drawn, and
        `regions.splitting` how objects that touch are told from long ones.
        """
        check_objects(min_size, **options)
        if foreground is not None and strokes is not None:
            raise SettingError("foreground and strokes both say what objects are: give one of them")
        if strokes is not None:
            given = as_array("strokes", strokes, StrokesError)
            basins = self._basins_of(given, self._stroked_foreground)
        elif foreground is not None:
            basins = self._basins_of(as_array("foreground", foreground), self._given_foreground)
        else:
            basins = self._basins
        return make_objects(basins, self._spatial_ndim, min_size=min_size, **options)

    def foreground_model(self) -> ForegroundModel:
        """Decide what objects are made of in all of an image that these are crops of.

        Returns
        -------
        ForegroundModel
            By the labels that the hierarchy was built from, which other parts of the image have.
        """
        found, is_of_clusters = self._vote(self._labels)
        if not is_of_clusters:  # what lies between walls cannot be told by the labels of a pixel
            found = np.zeros_like(found)
        parts = label_regions(found.astype(np.uint8), self._spatial_ndim)
        sizes = np.append(0, np.bincount(parts.ravel())[1:])
        volume = typical_size(sizes) * math.prod(self._spacing)
        return ForegroundModel(
            np.unique(self._labels[found]),
            principal_axis(self._colours, self._fragments >= 0),
            typical_radius(found, self._spacing),
            volume ** (1 / self._spatial_ndim),
            self._spacing,
        )

    def score_objects(self, objects: Labels, *, by_frame: bool = False) -> dict[str, Floats]:
        """Tell how sure each object is, so that doubtful ones can be looked at first.

        Parameters
        ----------
        objects : ndarray of unsigned integers, shape (..., Y, X)
            Objects from 1, such as `objects` returns.
        by_frame : bool
            Whether to have a row for each object in every frame that it is in, frame by frame, as
            `measure_objects` has them; by default one for each object.

        Returns
        -------
        dict of str to ndarray of float64, shape (objects,) or (rows,)
            ``contrast``: how far most of the inside is above, or below, most of what is around, in
            standard deviations of the image. ``roundness``: the area over that of the ellipse of
            the same moments, at most 1. ``stability``, 0 to 1: how like a segment of the hierarchy
            it is over a fifth of all granularities, see `outline_stability`. ``score``, 0 to 1: the
            product of tanh(2 contrast), the square of the roundness, and the stability. Of an
            object in several frames the means over its pixels; 0 of a number that no pixel has.

        Raises
        ------
        SettingError
            If `by_frame` is no bool.
        ImageError
            If objects have another shape than the image, or are no whole numbers from 0.
        """
        check_flag("by_frame", by_frame)
        objects = self._check_objects(as_array("objects", objects), by_frame=by_frame)
        parts, whose = number_in_frames(objects, self._spatial_ndim)
        shapes = object_shapes(self._levels, parts, self._spacing)
        contrasts = np.maximum(np.maximum(shapes.brighter, shapes.darker), 0)
        stability = outline_stability(parts, self._fragments, *self._local_tree)
        columns = {
            "contrast": contrasts,
            "roundness": shapes.roundness,
            "stability": stability,
            # twice: from half a standard deviation on more contrast makes nothing surer
            "score": np.tanh(2 * contrasts) * shapes.roundness**2 * stability,
        }
        if by_frame:
            return columns
        areas = np.bincount(whose, shapes.areas, int(objects.max(initial=0)) + 1)[1:]
        return {
            name: np.bincount(whose, column * shapes.areas, len(areas) + 1)[1:]
            / np.maximum(areas, 1)
            for name, column in columns.items()
        }

    def _check_objects(self, objects: NDArray[Any], *, by_frame: bool) -> Labels:
        """Refuse what are no objects of this image."""
        shape = self._fragments.shape
        if objects.shape != shape:
            raise ImageError(
                f"objects have shape {objects.shape} and the image {shape}: give those that were "
                "found in it"
            )
        if objects.dtype.kind not in "iu" or objects.min() < 0:
            raise ImageError(
                "objects must be whole numbers from 1, and 0 elsewhere; got "
                f"{'numbers below 0' if objects.dtype.kind in 'iu' else objects.dtype}"
            )
        if not by_frame and objects.max() > objects.size:
            raise ImageError(
                f"objects have the number {objects.max():,}, and there is a row for each up to the "
                "greatest: number them from 1 (skimage.segmentation.relabel_sequential)"
            )
        return objects

    @functools.cached_property
    def _intensities(self) -> Floats:
        return principal_intensities(self._colours, self._fragments >= 0)

    @functools.cached_property
    def _levels(self) -> Levels:
        return quantize(self._intensities, self._fragments >= 0)

    @functools.cached_property
    def run_clusters(self) -> Labels:
        """The clusters that the run ends with, shape (..., Y, X); not to be written to.

        A run on several images sets them, since they are made of all images together.
        """
        return self.clusters(self._n_clusters) if self._n_clusters else self._labels

    @functools.cached_property
    def _foreground(self) -> NDArray[np.bool_]:
        """Pixels of objects, found without being told."""
        # the network's own clusters often have one of its own along every outline
        clusters = self.run_clusters if self._n_clusters else self.clusters(VOTING_CLUSTERS)
        found, is_of_clusters = self._vote(clusters)
        return self._refine(found) if is_of_clusters else found

    def _vote(self, clusters: Labels) -> tuple[NDArray[np.bool_], bool]:
        """Return the pixels that objects are made of, and whether they are those of clusters."""
        return find_foreground(
            self._levels,
            self._fragments,
            self._local_tree.merges,
            clusters,
            self._spacing,
        )

    @functools.cached_property
    def _basins(self) -> Basins:
        """What the objects of the foreground are made of, however readily they are split."""
        return find_basins(self._foreground, self._spacing)

    def _basins_of(self, given: NDArray[Any], foreground_of: ForegroundOf) -> Basins:
        """Find those of a foreground that is given, unless it is the one given last."""
        last = self._given
        if last is None or last[1] != foreground_of or not np.array_equal(given, last[0]):
            basins = find_basins(foreground_of(given), self._spacing)
            last = self._given = given.copy(), foreground_of, basins
        return last[2]

    def _stroked_foreground(self, strokes: NDArray[Any]) -> NDArray[np.bool_]:
        """Return the pixels of what looks like what strokes on objects are on."""
        checked = check_object_strokes(strokes, self._fragments >= 0)
        _, graph, segments = self._clustered_segments
        is_object = np.append(
            find_stroked_objects(segments, graph.features(), checked, self._foreground), False
        )
        # what is drawn is right, whatever is like it
        is_drawn, is_ground = checked == OBJECT_LABEL, checked > OBJECT_LABEL
        found: NDArray[np.bool_] = self._refine(is_object[segments] | is_drawn) | is_drawn
        return found & ~is_ground

    def _given_foreground(self, given: NDArray[Any]) -> NDArray[np.bool_]:
        """Return the pixels of a mask, or of clusters of some numbers."""
        shape = self._fragments.shape
        if given.dtype == bool or given.ndim == len(shape):
            if given.shape != shape:
                raise ImageError(
                    f"foreground has shape {given.shape} and the image {shape}: give a mask of "
                    "that shape, or numbers of clusters"
                )
            if given.dtype.kind not in "biu" or (given.dtype != bool and given.all()):
                raise ImageError(
                    f"foreground must be True, or a whole number, on objects and 0 elsewhere; got "
                    f"{given.dtype} from {given.min():g} to {given.max():g}: compare an image with "
                    "a threshold, such as image > 120"
                )
            mask: NDArray[np.bool_] = (given != 0) & (self._fragments >= 0)
            return mask
        known = np.unique(self.run_clusters[self.run_clusters > 0])
        if given.ndim != 1 or not len(given) or not np.isin(given, known).all():
            raise SettingError(
                f"foreground must be a mask or a list of numbers of clusters, which are "
                f"{', '.join(map(str, known))}; got {given.tolist()!r}"
            )
        return self._refine(np.isin(self.run_clusters, given))

    def _refine(self, foreground: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return a foreground with outlines where the colours change."""
        return refine_outlines(foreground, self._intensities, self._fragments >= 0, self._spacing)

    def boundaries(self) -> NDArray[np.float32]:
        """Draw up to which granularity each border lasts.

        Returns
        -------
        ndarray of float32, shape (..., Y, X)
            From which granularity on a pixel is in one segment with its neighbours to the right,
            below and in the next plane; 0 if it always is.
        """
        lasting = np.zeros(self._fragments.shape, dtype=np.float32)
        if self.n_fragments == 1:
            return lasting
        granularities = MergeGranularities(*self._tree)
        for axis in range(lasting.ndim - self._spatial_ndim, lasting.ndim):
            length: int = lasting.shape[axis]
            near = self._fragments.take(range(length - 1), axis)
            far = self._fragments.take(range(1, length), axis)
            pixels = np.nonzero((near != far) & (near >= 0) & (far >= 0))
            between = granularities.between(near[pixels], far[pixels]).astype(np.float32)
            np.maximum.at(lasting, pixels, between)
        return lasting

    def _count_segments(self, n_segments: int | None, granularity: float | None) -> int:
        """Return how many segments a cut has."""
        check_cut(n_segments, granularity)
        if n_segments is not None:
            if n_segments > self.n_fragments:
                warnings.warn(
                    f"n_segments is {n_segments:,} but the finest cut has "
                    f"{count(self.n_fragments, 'segment')}: this cut is given",
                    stacklevel=3,
                )
            return min(n_segments, self.n_fragments)
        if granularity is None:
            granularity = self.default_granularity
        return self._tree.count_segments(granularity)


def check_cut(n_segments: int | None = None, granularity: float | None = None) -> None:
    """Refuse what no hierarchy could be cut at.

    Parameters
    ----------
    n_segments : int, optional
        Segments to have, from 1.
    granularity : float, optional
        Granularity to cut at, 0 to 1.

    Raises
    ------
    SettingError
        If both are given, or one is out of its range.
    """
    if n_segments is not None and granularity is not None:
        raise SettingError("n_segments and granularity both say where to cut: give one of them")
    if n_segments is not None:
        _check_count("n_segments", n_segments)
    if granularity is not None and not _is_share(granularity):
        raise SettingError(f"granularity must be a number from 0 to 1, got {granularity!r}")


def check_objects(
    min_size: int | None = None,
    split: float = 0.5,
    max_size: int | None = None,
    exclude_border: bool = False,
) -> None:
    """Refuse what objects cannot be made by.

    Parameters
    ----------
    min_size, split, max_size, exclude_border
        See `Hierarchy.objects`.

    Raises
    ------
    SettingError
        If one is out of its range.
    """
    if not _is_share(split):
        raise SettingError(
            f"split must be a number from 0, never, to 1, at every waist, got {split!r}"
        )
    for name, size in (("min_size", min_size), ("max_size", max_size)):
        if size is not None:
            _check_count(name, size)
    if min_size is not None and max_size is not None and min_size > max_size:
        raise SettingError(f"min_size is {min_size:,} and max_size {max_size:,}: no object fits")
    check_flag("exclude_border", exclude_border)


def _is_share(value: object) -> bool:
    """Tell whether something is a number from 0 to 1; a bool would pass for one."""
    if isinstance(value, bool) or not isinstance(value, float | int | np.floating | np.integer):
        return False
    return bool(0 <= value <= 1)


def _check_count(name: str, value: int) -> None:
    """Refuse what is no whole number from 1; a bool would pass for 0 or 1."""
    is_number = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_number or value < 1:
        raise SettingError(f"{name} must be a whole number from 1, got {value!r}")
