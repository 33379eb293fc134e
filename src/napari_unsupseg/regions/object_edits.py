"""Objects corrected by hand: removed, joined, split by a line, and those alike found."""

import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage import draw

from napari_unsupseg._typing import Floats, Labels

__all__ = ["draw_path", "find_alike", "join_objects", "remove_objects", "split_object"]


def remove_objects(labels: Labels, removed: Iterable[int]) -> Labels:
    """Make ground of objects.

    Parameters
    ----------
    labels : ndarray of unsigned integers
        Objects from 1, 0 elsewhere.
    removed : iterable of int
        Those that go.

    Returns
    -------
    ndarray of unsigned integers
        The others, with the numbers they had.

    Examples
    --------
    >>> remove_objects(np.array([1, 2, 0, 3], dtype=np.uint8), [1, 3])
    array([0, 2, 0, 0], dtype=uint8)
    """
    left: Labels = np.where(np.isin(labels, list(removed)), 0, labels).astype(labels.dtype)
    return left


def join_objects(labels: Labels, one: int, other: int) -> Labels:
    """Make one object of two.

    Parameters
    ----------
    labels : ndarray of unsigned integers
        Objects from 1, 0 elsewhere.
    one, other : int
        Two of them.

    Returns
    -------
    ndarray of unsigned integers
        Both have the number of the first.

    Examples
    --------
    >>> join_objects(np.array([1, 2, 0, 3], dtype=np.uint8), 3, 1)
    array([3, 2, 0, 3], dtype=uint8)
    """
    joined: Labels = np.where(labels == other, one, labels).astype(labels.dtype)
    return joined


def draw_path(points: ArrayLike, shape: Sequence[int]) -> NDArray[np.bool_]:
    """Draw the line that leads from point to point.

    Parameters
    ----------
    points : array_like, shape (n, 2)
        Rows and columns, which may lie outside.
    shape : sequence of int
        Rows and columns of the image.

    Returns
    -------
    ndarray of bool, shape (rows, columns)
        Pixels on the line, of which each touches the next at a corner at least.

    Examples
    --------
    >>> draw_path([[-1, -1], [1, 1]], (2, 3)).astype(int)
    array([[1, 0, 0],
           [0, 1, 0]])
    """
    path = np.zeros(shape, dtype=bool)
    corners = np.round(np.asarray(points, dtype=float)).astype(int)
    for (row, column), (next_row, next_column) in itertools.pairwise(corners):
        rows, columns = draw.line(row, column, next_row, next_column)
        is_inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
        path[rows[is_inside], columns[is_inside]] = True
    return path


def split_object(labels: Labels, label: int, path: NDArray[np.bool_], new_label: int) -> Labels:
    """Split an object where a line crosses it.

    Parameters
    ----------
    labels : ndarray of unsigned integers
        Objects from 1, 0 elsewhere.
    label : int
        The one to split.
    path : ndarray of bool, of the same shape
        The line, or surface.
    new_label : int
        What the smaller part becomes; the larger one keeps its number.

    Returns
    -------
    ndarray of unsigned integers
        Pixels under the line belong to the nearer part, or the larger. The same labels if the line
        does not lead from side to side.

    Examples
    --------
    >>> labels = np.array([[1, 1, 1, 1, 1]], dtype=np.uint8)
    >>> split_object(labels, 1, np.array([[False, False, False, True, False]]), 2)
    array([[1, 1, 1, 1, 2]], dtype=uint8)
    """
    boxes = ndimage.find_objects((labels == label).astype(np.uint8))
    if not boxes:
        return labels
    box = boxes[0]
    inside, line = labels[box] == label, path[box]
    whole = ndimage.label(inside)[0]  # of an object in pieces only those that the line crosses
    crossed = inside & np.isin(whole, np.unique(whole[line & inside]))
    parts, n_parts = ndimage.label(crossed & ~line)
    if n_parts < 2:
        return labels
    larger, smaller = np.argsort(-np.bincount(parts.ravel())[1:], kind="stable")[:2] + 1
    to_larger, to_smaller = (
        ndimage.distance_transform_edt(parts != part) for part in (larger, smaller)
    )
    split = labels.copy()
    split[box][crossed & (to_smaller < to_larger)] = new_label
    return split


def find_alike(
    features: Mapping[str, ArrayLike], label: int, similarity: float
) -> NDArray[np.int64]:
    """Find the objects that are like one of them in size, brightness and shape.

    Parameters
    ----------
    features : mapping of str to array_like, shape (objects,)
        ``index``: numbers of the objects; and columns of
        `napari_unsupseg.regions.measure.measure_objects`, of which those are compared that
        there are: areas or volumes, mean intensities, the axes' ratio and solidity.
    label : int
        The object.
    similarity : float
        How alike: 1 finds the object alone, 0 all.

    Returns
    -------
    ndarray of int64
        Numbers of objects, this one among them.

    Notes
    -----
    Two objects of which the size (as a logarithm), the brightness or the shape differ by ``d``
    standard deviations, whichever differs most, have the similarity ``1 / (1 + d)``.

    Examples
    --------
    >>> features = {"index": [1, 2, 3], "area": [100, 110, 900]}
    >>> find_alike(features, 1, 0.5)
    array([1, 2])
    """
    numbers = np.asarray(features["index"], dtype=np.int64)
    row = int(np.flatnonzero(numbers == label)[0])
    differences = np.zeros(len(numbers))
    for columns in _compared_columns(features):
        points = np.stack(columns, axis=1)
        scales = points.std(axis=0)
        scaled = (points - points[row]) / np.where(scales > 0, scales, 1)
        differences = np.maximum(differences, np.sqrt(np.mean(scaled**2, axis=1)))
    return numbers[1 / (1 + differences) >= similarity]


def _compared_columns(features: Mapping[str, ArrayLike]) -> list[list[Floats]]:
    """Return what says of objects how large, how bright and of which shape they are."""

    def named(*beginnings: str) -> list[Floats]:
        return [
            np.asarray(features[name], dtype=np.float64)
            for name in features
            if name.startswith(beginnings)
        ]

    sizes = [np.log(column) for column in named("area", "volume")]
    shape = named("solidity")
    for minor, major in zip(named("axis_minor"), named("axis_major"), strict=True):
        shape.append(minor / np.maximum(major, 1e-9))
    return [columns for columns in (sizes, named("mean_intensity"), shape) if columns]
