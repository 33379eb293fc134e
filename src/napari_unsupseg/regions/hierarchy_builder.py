"""The hierarchy of an image, built from its colours and the labels of a run.

Fragments merge, two neighbours at a time, in the order of their dissimilarity: what the network's
labels said of them over the run, what lies on their common border, and their colours.
"""

import functools
import threading
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg._generators import map_yields, run_to_end
from napari_unsupseg._typing import Labels
from napari_unsupseg.image.normalize import NormalizedImage
from napari_unsupseg.regions.colours import perceptual_colours
from napari_unsupseg.regions.compiling import translate_interrupts
from napari_unsupseg.regions.fragments import oversegment
from napari_unsupseg.regions.graph_builder import build_region_graph
from napari_unsupseg.regions.hierarchy import Hierarchy
from napari_unsupseg.regions.merge_tree import MergeTree
from napari_unsupseg.regions.merging import Merging

__all__ = [
    "build_hierarchy",
    "build_hierarchy_generator",
    "precompile",
    "precompile_objects",
    "restore_hierarchy",
]

TYPICAL_DISSIMILARITY = 1.18  # at which the default granularity of 0.5 cuts
STEEPNESS = 3  # of granularities there, so that those of use lie well apart


def build_hierarchy(
    image: NormalizedImage,
    history: Sequence[Labels],
    *,
    min_size: int = 0,
    strokes: Labels | None = None,
) -> Hierarchy:
    """Build the hierarchy of an image from the labels of a run.

    Parameters
    ----------
    image : NormalizedImage
        The image.
    history : sequence of ndarray of unsigned integers, shape (..., Y, X)
        Labels at some iterations of one run or of several; those of early iterations tell fine
        differences, those of late ones great differences.
    min_size : int
        Pixels of the smallest segment of any cut, unless it touches no other.
    strokes : ndarray of unsigned integers, shape (..., Y, X), optional
        Label of each pixel under a stroke, 0 where there is none: segments with strokes of
        different labels merge last, above every granularity but 1.

    Returns
    -------
    Hierarchy
        Its default granularity suits most images.

    Notes
    -----
    Basins of a watershed of the colours' gradient are merged into fragments by the mean
    dissimilarity along their borders (average linkage). Then the two neighbours that differ least
    merge, again and again, and what has grown is compared anew; so the hierarchy is a binary
    partition tree, which merges from the fragments up [1]_. `regions.dissimilarity` says how far
    apart two regions are: a sum of how much their histograms of labels (over the history), of
    colours and of slopes differ, the distance of their mean colours, and the step in colour and the
    changes of label at their border. Small regions are brought closer, and regions that share much
    of their borders. Colours are CIELAB for RGB, else the image's intensities.

    References
    ----------
    .. [1] B. Perret et al., "Higra: Hierarchical Graph Analysis", SoftwareX 10 (2019).
       :doi:`10.1016/j.softx.2019.100335`
    """
    return run_to_end(build_hierarchy_generator(image, history, min_size=min_size, strokes=strokes))


def build_hierarchy_generator(
    image: NormalizedImage,
    history: Sequence[Labels],
    *,
    min_size: int = 0,
    strokes: Labels | None = None,
    n_clusters: int = 0,
) -> Generator[float, None, Hierarchy]:
    """Build the hierarchy of an image, a part at a time.

    Parameters
    ----------
    image, history, min_size, strokes
        As in `build_hierarchy`, whose Notes say what is done.
    n_clusters : int
        Clusters that the run ends with; 0 if these are the last labels.

    Yields
    ------
    float
        Share that is done, from 0 to 1; the rest can be left off.

    Returns
    -------
    Hierarchy
        The hierarchy.
    """
    with translate_interrupts():
        return (yield from _build(image, history, min_size, strokes, n_clusters))


def _build(
    image: NormalizedImage,
    history: Sequence[Labels],
    min_size: int,
    strokes: Labels | None,
    n_clusters: int,
) -> Generator[float, None, Hierarchy]:
    colours, lightness = perceptual_colours(image)
    fragments = yield from map_yields(
        _oversegment_frames(image, colours, lightness, history, strokes),
        lambda share: 0.6 * share,
    )
    graph = build_region_graph(
        fragments, colours, history, lightness, image.spatial_ndim, strokes, image.spacing
    )
    yield 0.7
    if min_size > 1:
        groups = graph.merge_small(min_size)
        fragments, graph = np.append(groups, -1)[fragments], graph.contract(groups)
    local, whole = yield from map_yields(graph.merge(), lambda share: 0.7 + 0.2 * share)
    yield 1.0
    return Hierarchy(
        fragments,
        *_make_trees(local, whole),
        graph,
        colours,
        history[-1],
        image.spatial_ndim,
        strokes,
        image.spacing,
        n_clusters,
    )


def _make_trees(local: Merging, whole: Merging) -> tuple[MergeTree, MergeTree]:
    """Return the tree of all that tells regions apart and that of neighbours alone.

    Both have as many segments at a granularity: what is rare in one image is not in another, so
    that dissimilarities of neighbours alone tell better how fine a cut is.
    """
    # a union can be less far from its neighbour than its parts were from each other
    altitudes = np.maximum.accumulate(local.dissimilarities)
    granularities = 1 - 1 / (1 + (altitudes / TYPICAL_DISSIMILARITY) ** STEEPNESS)
    # what strokes or gaps keep apart merges above every granularity but 1, and so does what follows
    is_kept_apart = np.isinf(np.maximum.accumulate(whole.dissimilarities))
    return (
        MergeTree(whole.merges, np.where(is_kept_apart, 1.0, granularities)),
        MergeTree(local.merges, granularities),
    )


def restore_hierarchy(
    tree: Mapping[str, NDArray[Any]],
    image: NormalizedImage,
    history: Sequence[Labels],
    *,
    strokes: Labels | None = None,
    n_clusters: int = 0,
) -> Hierarchy:
    """Make a hierarchy again of its tree, and of what it was built from.

    Parameters
    ----------
    tree : mapping of str to ndarray
        What `Hierarchy.tree` returned.
    image, history, strokes, n_clusters
        As in `build_hierarchy_generator`. Fragments are described by them anew, which takes a
        fraction of the time that the tree took.

    Returns
    -------
    Hierarchy
        The hierarchy.

    Raises
    ------
    ValueError
        If the tree is none of this image.
    """
    fragments = tree["fragments"]
    whole, local = (
        MergeTree(tree[f"{name}merges"].astype(np.int64), tree[f"{name}granularities"])
        for name in ("", "local_")
    )
    for one in (whole, local):
        _check_tree(fragments, one, image.valid)
    colours, lightness = perceptual_colours(image)
    graph = build_region_graph(
        fragments, colours, history, lightness, image.spatial_ndim, strokes, image.spacing
    )
    return Hierarchy(
        fragments,
        whole,
        local,
        graph,
        colours,
        history[-1],
        image.spatial_ndim,
        strokes,
        image.spacing,
        n_clusters,
    )


def _check_tree(fragments: NDArray[Any], tree: MergeTree, valid: NDArray[np.bool_]) -> None:
    """Raise unless all of an image merges into one: compiled code would not notice."""
    merges, granularities = tree
    n_merges = len(granularities)
    if fragments.shape != valid.shape or not np.array_equal(fragments >= 0, valid):
        raise ValueError("its fragments are not of its image")
    if len(np.unique(fragments[valid])) != n_merges + 1 or fragments.max() != n_merges:
        raise ValueError("its fragments are not those that it merges")
    nodes = np.arange(2 * n_merges)  # each merges once, after it was made
    if (
        merges.shape != (n_merges, 2)
        or not np.array_equal(np.sort(merges, axis=None), nodes)
        or (merges > nodes[:n_merges, np.newaxis] + n_merges).any()
    ):
        raise ValueError("its merges are none that there can be")
    if not (np.diff(granularities, prepend=0, append=1) >= 0).all():
        raise ValueError("its granularities do not rise from 0 to 1")


def _oversegment_frames(
    image: NormalizedImage,
    colours: NDArray[np.float32],
    lightness: Sequence[float],
    history: Sequence[Labels],
    strokes: Labels | None,
) -> Generator[float, None, NDArray[np.int32]]:
    """Divide each frame into the finest segments, numbered from 0 through all of them."""
    fragments = np.empty(image.valid.shape, dtype=np.int32)
    n_frames, n_fragments = image.n_frames, 0

    def by_frames(maps: NDArray[Any]) -> NDArray[Any]:
        return maps.reshape(n_frames, *image.frame_shape, *maps.shape[image.valid.ndim :])

    frame_strokes = [None] * n_frames if strokes is None else by_frames(strokes)
    for frame, frame_fragments in enumerate(by_frames(fragments)):
        valid = by_frames(image.valid)[frame]
        if not valid.any():
            frame_fragments[...] = -1
            continue
        labels = [by_frames(snapshot)[frame] for snapshot in history]
        parts = oversegment(
            by_frames(colours)[frame], valid, labels, lightness, frame_strokes[frame], image.spacing
        )
        numbers = yield from map_yields(parts, lambda share: (frame + share) / n_frames)  # noqa: B023
        frame_fragments[...] = np.where(valid, numbers + n_fragments, -1)
        n_fragments += int(numbers.max()) + 1
    return fragments


@functools.cache
def precompile() -> None:
    """Have a thread compile what builds hierarchies, while there is something else to do.

    The first time on a machine this takes some ten seconds, and later less than one.
    """
    threading.Thread(target=_build_small_hierarchy).start()


@functools.cache
def precompile_objects() -> None:
    """Have a thread compile what finds objects, which takes as long again."""

    def find_objects() -> None:
        hierarchy = _build_small_hierarchy()
        hierarchy.score_objects(hierarchy.objects())

    threading.Thread(target=find_objects).start()


def _build_small_hierarchy() -> Hierarchy:
    values = np.random.default_rng(0).random((1, 20, 20), dtype=np.float32)
    image = NormalizedImage(values, np.ones((20, 20), dtype=bool), is_rgb=False)
    return build_hierarchy(image, [np.ones((20, 20), dtype=np.uint8)])
