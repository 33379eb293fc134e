"""Strokes: what a user has drawn on an image, to say which of its pixels are alike."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.spatial.distance import cdist

from napari_unsupseg._typing import Labels
from napari_unsupseg.errors import StrokesError
from napari_unsupseg.image.channels import as_array
from napari_unsupseg.regions.labels import label_dtype

__all__ = [
    "apply_strokes",
    "check_object_strokes",
    "check_strokes",
    "find_kinds",
    "find_stroked_objects",
    "propagate_strokes",
    "split_by_stroke",
]


# a stroke labels a segment if it has this share there of its pixels in the segment of its most;
# with fewer it only ends there, since nobody draws to the pixel
MIN_OVERLAP = 1 / 3
NETWORK_WEIGHT = 0.3  # of the network's labels, where colours weigh 1 from black to white
GUESS_WEIGHT = 0.3  # of what was found without strokes; between .3 and 1 little changes
OBJECT_LABEL = 1  # of strokes on objects; all others are on the ground
MOST_LABELS = 2**16 - 1  # of strokes that are no clusters of a run


def check_strokes(
    strokes: ArrayLike | None, valid: NDArray[np.bool_], max_clusters: int
) -> Labels | None:
    """Check strokes against an image.

    Parameters
    ----------
    strokes : array_like of int, shape (..., Y, X), or None
        Label that each pixel under a stroke should have, 0 where there is none.
    valid : ndarray of bool, shape (..., Y, X)
        Pixels of the image that take part; strokes on others count for nothing.
    max_clusters : int
        q, the greatest label.

    Returns
    -------
    ndarray of unsigned integers, shape (..., Y, X), or None
        A copy; None if no pixel lies under a stroke.

    Raises
    ------
    StrokesError
        If shape, data type or a value is another.

    Examples
    --------
    >>> check_strokes([[0, 2]], np.array([[True, True]]), 100)
    array([[0, 2]], dtype=uint8)
    >>> check_strokes([[0, 200]], np.array([[True, True]]), 100)
    Traceback (most recent call last):
    napari_unsupseg.errors.StrokesError: strokes have the label 200, but there are 100 clusters; \
draw with labels from 1 to 100, or raise max_clusters
    """
    if strokes is None:
        return None
    array = as_array("strokes", strokes, StrokesError)
    if array.shape != valid.shape or array.dtype.kind not in "ui":
        raise StrokesError(
            f"strokes have shape {array.shape} and dtype {array.dtype}; expected the labels' "
            f"{valid.shape} and integers, 0 where nothing is drawn"
        )
    if array.min() < 0:
        raise StrokesError(
            f"strokes have the label {array.min()}; draw with labels from 1, and leave 0 where "
            "nothing is drawn"
        )
    if array.max() > max_clusters:
        raise StrokesError(
            f"strokes have the label {array.max()}, but there are {max_clusters:,} clusters; draw "
            f"with labels from 1 to {max_clusters:,}, or raise max_clusters"
        )
    checked: Labels = array.astype(label_dtype(max_clusters)) * valid
    return checked if checked.any() else None


def split_by_stroke(groups: NDArray[np.int64], strokes: NDArray[np.integer]) -> NDArray[np.int64]:
    """Divide groups in which strokes of several labels lie, by these labels.

    Parameters
    ----------
    groups : ndarray of int64
        Group of each element from 0, -1 if it is in none.
    strokes : ndarray of int, of the same shape
        Label of the stroke on each element, 0 where there is none.

    Returns
    -------
    ndarray of int64
        Groups, with gaps; what of a divided one is under no stroke stays together.

    Examples
    --------
    >>> split_by_stroke(np.array([0, 0, 0, 1, 1]), np.array([1, 0, 2, 2, 0]))
    array([2, 0, 4, 1, 1])
    """
    n_groups = int(groups.max()) + 1
    pairs = np.unique(np.stack([groups[strokes > 0], strokes[strokes > 0]]), axis=1)
    # one entry more, always False, for the group -1
    is_contested = np.bincount(pairs[0], minlength=n_groups + 1) > 1
    part: NDArray[np.int64] = np.where(is_contested[groups], strokes.astype(np.int64), 0)
    return groups + n_groups * part


def propagate_strokes(
    segments: NDArray[np.integer],
    features: NDArray[np.floating],
    strokes: Labels,
    labels: Labels,
    *,
    label_all: bool = False,
) -> NDArray[np.int64]:
    """Give segments the labels of strokes on segments that look like them.

    Parameters
    ----------
    segments : ndarray of int, shape (..., Y, X)
        Segments from 0, -1 at pixels that take no part.
    features : ndarray of float, shape (segments, F)
        What makes segments look alike.
    strokes : ndarray of unsigned integers, shape (..., Y, X)
        Label of each pixel under a stroke, 0 where there is none; one at least is not 0.
    labels : ndarray of unsigned integers, shape (..., Y, X)
        The network's labels.
    label_all : bool
        Whether segments that the network gives to none of the strokes get a label too.

    Returns
    -------
    ndarray of int64, shape (segments,)
        Label of a stroke, 0 where a segment has none.

    Notes
    -----
    A segment is a seed of a label if a stroke of that label lies on it, and not only with an end.
    All others have the label of the nearest seed, by their features and by the shares of their
    pixels that the network gives to each stroke's label.
    """
    strokes = _drop_stroke_ends(strokes, segments)
    stroke_labels = np.unique(strokes[strokes > 0])
    shares = _label_shares(segments, labels, stroke_labels, len(features))
    seeds, columns = _find_seeds(segments, strokes, stroke_labels, shares)
    # the Euclidean distance of square roots of shares is Hellinger's, but for a factor
    points = np.hstack([features, NETWORK_WEIGHT * np.sqrt(shares)])
    nearest = cdist(points, points[seeds]).argmin(axis=1)
    found: NDArray[np.int64] = stroke_labels[columns[nearest]].astype(np.int64)
    if not label_all:
        found[shares.sum(axis=1) < 0.5] = 0
    found[seeds] = stroke_labels[columns]
    return found


def check_object_strokes(strokes: ArrayLike, valid: NDArray[np.bool_]) -> Labels:
    """Check strokes that say what is an object and what is not.

    Parameters
    ----------
    strokes : array_like of int, shape (..., Y, X)
        1 on objects, any other number on the ground, 0 where nothing is drawn.
    valid : ndarray of bool, shape (..., Y, X)
        Pixels of the image that take part; strokes on others count for nothing.

    Returns
    -------
    ndarray of unsigned integers, shape (..., Y, X)
        A copy.

    Raises
    ------
    StrokesError
        If shape, data type or a value is another, or one of the two kinds is missing.
    """
    checked = check_strokes(strokes, valid, MOST_LABELS)
    has_objects = checked is not None and bool((checked == OBJECT_LABEL).any())
    has_ground = checked is not None and bool((checked > OBJECT_LABEL).any())
    if checked is None or not has_objects or not has_ground:
        missing = "the ground with label 2" if has_objects else "objects with label 1"
        raise StrokesError(
            f"strokes tell objects from ground only where both have some: draw on {missing}"
        )
    return checked


def find_kinds(
    segments: NDArray[np.integer], features: NDArray[np.floating], strokes: Labels
) -> Labels:
    """Give each segment the label of the strokes on the segment that looks most like it.

    Parameters
    ----------
    segments, features
        As in `propagate_strokes`.
    strokes : ndarray of unsigned integers, shape (..., Y, X)
        Label of each pixel under a stroke, 0 where there is none; none where no segment is.

    Returns
    -------
    ndarray of unsigned integers, shape (segments,)
        Label of a stroke. A segment under strokes of several labels has that of most pixels.

    Examples
    --------
    >>> segments = np.array([[0, 0, 1, 1, 2, 2, 3, 3]])
    >>> brightness = np.array([[0.1], [0.2], [0.8], [0.9]])
    >>> strokes = np.array([[5, 0, 0, 0, 0, 0, 0, 2]], dtype=np.uint8)
    >>> find_kinds(segments, brightness, strokes)
    array([5, 5, 2, 2], dtype=uint8)
    """
    drawn = _drop_stroke_ends(strokes, segments)
    labels = np.unique(drawn[drawn > 0])
    counts = np.stack(
        [np.bincount(segments[drawn == label], minlength=len(features)) for label in labels], axis=1
    )
    seeds = np.flatnonzero(counts.any(axis=1))
    seed_labels = labels[counts[seeds].argmax(axis=1)]
    found: Labels = seed_labels[cdist(features, features[seeds]).argmin(axis=1)]
    found[seeds] = seed_labels  # also of one that looks the same as another
    return found


def find_stroked_objects(
    segments: NDArray[np.integer],
    features: NDArray[np.floating],
    strokes: Labels,
    guess: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Find the segments that look like those under strokes on objects.

    Parameters
    ----------
    segments : ndarray of int, shape (..., Y, X)
        Segments from 0, -1 at pixels that take no part.
    features : ndarray of float, shape (segments, F)
        What makes segments look alike.
    strokes : ndarray of unsigned integers, shape (..., Y, X)
        Strokes that `check_object_strokes` has passed.
    guess : ndarray of bool, shape (..., Y, X)
        Pixels of objects that were found without strokes.

    Returns
    -------
    ndarray of bool, shape (segments,)
        Whether the nearest segment under a stroke, by features and by the share of its pixels that
        were guessed, has most of its stroke on objects. Where the guess and the strokes agree it
        helps; where they contradict each other it is no longer worth anything, or worth the
        opposite.
    """
    inside = segments >= 0
    areas = np.bincount(segments[inside], minlength=len(features))
    # refinement can take all pixels of a small segment
    shares = np.bincount(segments[inside], guess[inside], len(features)) / np.maximum(areas, 1)
    points = np.column_stack([features, GUESS_WEIGHT * shares])
    drawn = _drop_stroke_ends(strokes, segments)
    on_objects, on_ground = (
        np.bincount(segments[is_drawn], minlength=len(features))
        for is_drawn in (drawn == OBJECT_LABEL, drawn > OBJECT_LABEL)
    )
    seeds, grounds = on_objects > on_ground, (on_ground >= on_objects) & (on_ground > 0)
    if not seeds.any() or not grounds.any():  # all strokes lie in segments of one kind
        seeds, grounds = on_objects > 0, on_ground > 0
    is_nearer: NDArray[np.bool_] = cdist(points, points[seeds]).min(axis=1) < cdist(
        points, points[grounds]
    ).min(axis=1)
    return is_nearer


def _drop_stroke_ends(strokes: Labels, segments: NDArray[np.integer]) -> Labels:
    """Return strokes without their parts in segments that they hardly reach into."""
    is_drawn = strokes > 0
    numbers = _number_strokes(strokes)[is_drawn]
    n_segments = int(segments.max()) + 1
    # a part is what a stroke has in a segment
    parts, part, sizes = np.unique(
        numbers * n_segments + segments[is_drawn], return_inverse=True, return_counts=True
    )
    stroke = parts // n_segments
    largest = np.zeros(numbers.max() + 1)
    np.maximum.at(largest, stroke, sizes)
    without_ends = strokes.copy()
    without_ends[is_drawn] *= (sizes >= MIN_OVERLAP * largest[stroke])[part]
    return without_ends


def _number_strokes(strokes: Labels) -> NDArray[np.int64]:
    """Return the number of the stroke at each pixel: pixels of one label that touch are one."""
    numbers = np.zeros(strokes.shape, dtype=np.int64)
    neighbours = np.ones((3,) * strokes.ndim)
    # scikit-image numbers all labels at once, but along three axes at most
    for label in np.unique(strokes[strokes > 0]):
        of_label, _ = ndimage.label(strokes == label, neighbours)
        numbers[of_label > 0] = of_label[of_label > 0] + numbers.max()
    return numbers


def _label_shares(
    segments: NDArray[np.integer],
    labels: Labels,
    stroke_labels: NDArray[np.unsignedinteger],
    n_segments: int,
) -> NDArray[np.float64]:
    """Return the share of each segment's pixels with each label, (segments, stroke labels)."""
    inside = segments >= 0
    areas = np.bincount(segments[inside], minlength=n_segments)
    counts = [
        np.bincount(segments[inside], labels[inside] == label, n_segments)
        for label in stroke_labels
    ]
    shares: NDArray[np.float64] = np.stack(counts, axis=1) / areas[:, np.newaxis]
    return shares


def _find_seeds(
    segments: NDArray[np.integer],
    strokes: Labels,
    stroke_labels: NDArray[np.unsignedinteger],
    shares: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the segments under strokes, and for each the index of the stroke's label."""
    is_drawn = strokes > 0
    columns = np.searchsorted(stroke_labels, strokes[is_drawn])
    seeds, columns = np.unique(np.stack([segments[is_drawn], columns]), axis=1)
    # a segment that the network mostly gives to another stroke's label is no seed: the stroke,
    # or the segment, is a little off
    is_seed = (shares[seeds].max(axis=1) < 0.5) | (shares[seeds].argmax(axis=1) == columns)
    # unless the label would have no seed at all
    is_seed |= ~np.isin(columns, columns[is_seed])
    return seeds[is_seed], columns[is_seed]


def apply_strokes(labels: Labels, strokes: Labels | None) -> Labels:
    """Give the pixels under strokes the labels of these.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (..., Y, X)
        Labels of an image.
    strokes : ndarray of unsigned integers, shape (..., Y, X), or None
        Label of each pixel under a stroke, 0 where there is none.

    Returns
    -------
    ndarray of unsigned integers, shape (..., Y, X)
        The labels themselves if there are no strokes.
    """
    if strokes is None:
        return labels
    applied: Labels = np.where(strokes > 0, strokes, labels)
    return applied
