"""Clusters to segments: the connected regions of an image's labels."""

import numpy as np
import skimage.measure
from numpy.typing import NDArray

__all__ = ["connected_components", "label_dtype"]


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


def connected_components(labels: NDArray[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
    """Give every connected region of a cluster a label of its own.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (Y, X)
        Clusters; 0 is left out.

    Returns
    -------
    ndarray of uint8, uint16 or uint32, shape (Y, X)
        Segments from 1, 0 where `labels` is 0. Pixels are neighbours across their sides, not
        across their corners.

    Examples
    --------
    >>> connected_components(np.array([[1, 1, 0], [2, 1, 1], [1, 2, 2]], dtype=np.uint8))
    array([[1, 1, 0],
           [2, 1, 1],
           [3, 4, 4]], dtype=uint8)
    """
    segments, n_segments = skimage.measure.label(labels, connectivity=1, return_num=True)
    relabelled: NDArray[np.unsignedinteger] = segments.astype(label_dtype(n_segments))
    return relabelled
