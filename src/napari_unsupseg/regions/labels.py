"""Labels: the smallest data type that holds them, and the connected regions of each."""

from collections.abc import Sequence

import numpy as np
import skimage.measure
from numpy.typing import NDArray
from scipy.sparse import coo_array, csgraph

from napari_unsupseg._typing import Labels

__all__ = [
    "connected_components",
    "count_labels",
    "label_dtype",
    "label_regions",
    "labels_at_border",
    "map_labels",
    "number_connected",
    "stack_frames",
]


def label_dtype(n_labels: int) -> type[np.unsignedinteger]:
    """Return the smallest data type that holds labels 0 to `n_labels`.

    Parameters
    ----------
    n_labels : int
        The greatest label.

    Returns
    -------
    type
        `numpy.uint8`, `numpy.uint16` or `numpy.uint32`.
    """
    if n_labels < 2**8:
        return np.uint8
    return np.uint16 if n_labels < 2**16 else np.uint32


def count_labels(labels: NDArray[np.unsignedinteger]) -> int:
    """Return how many labels there are besides 0, as a number that JSON takes.

    Examples
    --------
    >>> count_labels(np.array([[0, 2], [7, 2]], dtype=np.uint8))
    2
    """
    return int(np.count_nonzero(np.unique(labels)))


def connected_components(
    labels: NDArray[np.unsignedinteger], spatial_ndim: int = 2
) -> NDArray[np.unsignedinteger]:
    """Give every connected region of a cluster a label of its own.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (..., Y, X)
        Clusters; 0 is left out.
    spatial_ndim : int
        Axes along which pixels are neighbours, the last ones.

    Returns
    -------
    ndarray of uint8, uint16 or uint32, shape (..., Y, X)
        Segments from 1, 0 where `labels` is 0. Pixels are neighbours across their sides, not
        across their corners.

    Examples
    --------
    >>> connected_components(np.array([[1, 1, 0], [2, 1, 1], [1, 2, 2]], dtype=np.uint8))
    array([[1, 1, 0],
           [2, 1, 1],
           [3, 4, 4]], dtype=uint8)
    """
    segments = label_regions(labels, spatial_ndim)
    return segments.astype(label_dtype(int(segments.max())))


def label_regions(labels: NDArray[np.integer], spatial_ndim: int = 2) -> NDArray[np.int64]:
    """Give every connected region a number, frame after frame.

    Parameters
    ----------
    labels : ndarray of int, shape (..., Y, X)
        Labels; 0 is left out.
    spatial_ndim : int
        Axes of a frame, the last ones.

    Returns
    -------
    ndarray of int64, shape (..., Y, X)
        Regions from 1, 0 where `labels` is 0.
    """
    regions = np.empty(labels.shape, dtype=np.int64)
    frames = labels.reshape(-1, *labels.shape[-spatial_ndim:])
    n_regions = 0
    for frame, numbered in zip(frames, regions.reshape(frames.shape), strict=True):
        components, n_components = skimage.measure.label(frame, connectivity=1, return_num=True)
        numbered[...] = np.where(components > 0, components + n_regions, 0)
        n_regions += n_components
    return regions


def labels_at_border(labels: NDArray[np.integer], spatial_ndim: int = 2) -> NDArray[np.integer]:
    """Return the labels that touch the border of a frame.

    Parameters
    ----------
    labels : ndarray of int, shape (..., Y, X)
        Labels.
    spatial_ndim : int
        Axes of a frame, the last ones.

    Returns
    -------
    ndarray of int, shape (labels at the border,)
        The labels, each once, ascending.

    Examples
    --------
    >>> labels_at_border(np.array([[1, 1, 0], [1, 2, 3], [1, 4, 0]])).tolist()
    [0, 1, 3, 4]
    """
    touching = [
        labels.take(place, axis).ravel()
        for axis in range(labels.ndim - spatial_ndim, labels.ndim)
        for place in (0, -1)
    ]
    return np.unique(np.concatenate(touching))


def stack_frames(
    frames: Sequence[NDArray[np.unsignedinteger]], leading: Sequence[int], *, are_numbered: bool
) -> NDArray[np.unsignedinteger]:
    """Put the labels of frames that were segmented one by one together.

    Parameters
    ----------
    frames : sequence of ndarray of unsigned integers, shape ([Z,] Y, X)
        Labels of each frame.
    leading : sequence of int
        Lengths of the axes that the frames lie along.
    are_numbered : bool
        Whether a label is a segment, whose number no segment of another frame may have.

    Returns
    -------
    ndarray of uint8, uint16 or uint32, shape (..., Y, X)
        The labels.

    Examples
    --------
    >>> frames = np.array([[[1, 2]], [[1, 1]]], dtype=np.uint8)
    >>> stack_frames(frames, [2], are_numbered=True).tolist()
    [[[1, 2]], [[3, 3]]]
    """
    stack = np.stack([frame.astype(np.int64) for frame in frames])
    if are_numbered:
        n_segments = 0
        for frame in stack:
            n_in_frame = int(frame.max())
            frame[frame > 0] += n_segments
            n_segments += n_in_frame
    return stack.reshape(*leading, *stack.shape[1:]).astype(label_dtype(int(stack.max())))


def number_connected(
    edges: Sequence[NDArray[np.int64]], n_regions: int
) -> tuple[int, NDArray[np.integer]]:
    """Give regions that edges connect one number, without gaps.

    Parameters
    ----------
    edges : sequence of ndarray of int64, shape (2, E)
        Pairs of regions, from 1.
    n_regions : int
        How many regions there are.

    Returns
    -------
    n_numbers : int
        Numbers that are left.
    numbers : ndarray of int, shape (n_regions + 1,)
        New number of each region, in the order of the first of each; 0 is no region and stays 0.

    Examples
    --------
    >>> n_numbers, numbers = number_connected([np.array([[1], [3]])], 4)
    >>> n_numbers, numbers.tolist()
    (3, [0, 1, 2, 1, 3])
    """
    ends = np.concatenate([np.empty((2, 0), dtype=np.int64), *edges], axis=1)
    graph = coo_array((np.ones(ends.shape[1]), tuple(ends)), shape=(n_regions + 1, n_regions + 1))
    n_components, numbers = csgraph.connected_components(graph, directed=False)
    return int(n_components) - 1, numbers


def map_labels(numbers: NDArray[np.integer], regions: NDArray[np.integer]) -> Labels:
    """Return an image of numbers of regions.

    Parameters
    ----------
    numbers : ndarray of int, shape (regions,)
        Number of each region, from 0.
    regions : ndarray of int, shape (..., Y, X)
        Regions from 0, -1 at pixels that are in none.

    Returns
    -------
    ndarray of uint8, uint16 or uint32, shape (..., Y, X)
        The numbers plus 1, 0 at pixels that are in no region.

    Examples
    --------
    >>> map_labels(np.array([0, 4]), np.array([[1, 0, -1]]))
    array([[5, 1, 0]], dtype=uint8)
    """
    table = np.append(numbers + 1, 0).astype(label_dtype(int(numbers.max()) + 1))
    labels: Labels = table[regions]  # the last entry is for -1
    return labels
