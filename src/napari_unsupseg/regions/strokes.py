"""Strokes: what a user has drawn on an image, to say which of its pixels are alike."""

import numpy as np
import skimage.measure
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from napari_unsupseg._typing import Labels
from napari_unsupseg.errors import StrokesError
from napari_unsupseg.regions.labels import label_dtype

__all__ = ["apply_strokes", "check_strokes", "propagate_strokes", "split_by_stroke"]


END = 1 / 3  # of what a stroke has in one segment; with less of it in another it only ends there
BY_NETWORK = 0.3  # what the network's labels weigh where colours weigh 1 from black to white


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
    array = np.asarray(strokes)
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
    drawn: Labels = array.astype(label_dtype(max_clusters)) * valid
    return drawn if drawn.any() else None


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
        Groups; what of a divided one is under no stroke stays together.

    Examples
    --------
    >>> split_by_stroke(np.array([0, 0, 0, 1, 1]), np.array([1, 0, 2, 2, 0]))
    array([2, 0, 4, 1, 1])
    """
    n_groups = int(groups.max()) + 1
    pairs = np.unique(np.stack([groups[strokes > 0], strokes[strokes > 0]]), axis=1)
    # one more for -1
    is_contested = np.bincount(pairs[0], minlength=n_groups + 1) > 1
    apart: NDArray[np.int64] = np.where(is_contested[groups], strokes.astype(np.int64), 0)
    return groups + n_groups * apart


def propagate_strokes(
    segments: NDArray[np.integer],
    features: NDArray[np.floating],
    strokes: Labels,
    labels: Labels,
    *,
    all_named: bool = False,
) -> NDArray[np.int64]:
    """Give segments the labels of strokes that look like them.

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
    all_named : bool
        Whether segments that the network gives to none of the strokes are named too.

    Returns
    -------
    ndarray of int64, shape (segments,)
        Label of the stroke, 0 where a segment has none.
    """
    strokes = _drop_stroke_ends(strokes, segments)
    inside, drawn = segments >= 0, strokes > 0
    names = np.unique(strokes[drawn])
    areas = np.bincount(segments[inside], minlength=len(features))
    shares = np.stack(
        [np.bincount(segments[inside], labels[inside] == name, len(areas)) for name in names], 1
    ) / areas[:, np.newaxis]  # fmt: skip
    pairs = np.stack([segments[drawn], np.searchsorted(names, strokes[drawn])])
    seeds, columns = np.unique(pairs, axis=1)
    # in a segment that the network mostly gives to another stroke's label a stroke names nothing
    counts = (shares[seeds].max(axis=1) < 0.5) | (shares[seeds].argmax(axis=1) == columns)
    counts |= ~np.isin(columns, columns[counts])
    seeds, columns = seeds[counts], columns[counts]
    points = np.hstack([features, BY_NETWORK * np.sqrt(shares)])
    found: NDArray[np.int64] = names[columns[cdist(points, points[seeds]).argmin(axis=1)]].astype(
        np.int64
    )
    if not all_named:
        found[shares.sum(axis=1) < 0.5] = 0
    found[seeds] = names[columns]
    return found


def _drop_stroke_ends(strokes: Labels, segments: NDArray[np.integer]) -> Labels:
    """Take away what strokes have in segments that they hardly reach into."""
    drawn = strokes > 0
    numbers = skimage.measure.label(strokes, connectivity=strokes.ndim)[drawn]
    n_segments = int(segments.max()) + 1
    parts, part, sizes = np.unique(
        numbers * n_segments + segments[drawn], return_inverse=True, return_counts=True
    )
    stroke = parts // n_segments
    most = np.zeros(numbers.max() + 1)
    np.maximum.at(most, stroke, sizes)
    kept = strokes.copy()
    kept[drawn] *= (sizes >= END * most[stroke])[part]
    return kept


def apply_strokes(labels: Labels, strokes: Labels | None) -> Labels:
    """Give the pixels under strokes the labels of these.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (..., Y, X)
        Labels of an image.
    strokes : ndarray of unsigned integers, shape (..., Y, X), or None
        As `check_strokes` returns them.

    Returns
    -------
    ndarray of unsigned integers, shape (..., Y, X)
        The labels themselves if there are no strokes.
    """
    if strokes is None:
        return labels
    painted: Labels = np.where(strokes > 0, strokes, labels)
    return painted
