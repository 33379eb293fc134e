"""How seldom two labels are neighbours: what lies along a boundary is rare, a texture is not."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans

from napari_unsupseg._typing import Colours, Floats, Integers, Labels
from napari_unsupseg.regions.compiling import jit
from napari_unsupseg.regions.one_thread import one_matrix_thread

__all__ = ["neighbour_rarities", "quantize_colours", "sample_pairs"]

DISTANCE = 8  # pixels between two that are compared; grains of most textures are smaller
MAX_PAIRS = 100_000  # along each axis; of more the shares are the same
N_COLOURS = 24  # of a palette, so that few colours of one thing are told apart
MAX_SAMPLE = 5000  # pixels whose colours a palette is made of


def sample_pairs(valid: NDArray[np.bool_], steps: Floats) -> Integers:
    """Choose pairs of pixels that are `DISTANCE` apart along an axis, evenly over an image.

    Parameters
    ----------
    valid : ndarray of bool, shape (..., Y, X)
        Pixels that take part.
    steps : ndarray of float64, shape (spatial axes,)
        Distance of neighbours along each of the last axes, 1 along that of the least.

    Returns
    -------
    ndarray of int64, shape (2, n)
        Flat indices of both pixels of each pair.

    Examples
    --------
    >>> sample_pairs(np.ones((1, 10), dtype=bool), np.ones(2))
    array([[0, 1],
           [8, 9]])
    """
    inside = np.flatnonzero(valid)
    near = inside[:: 1 + len(inside) // MAX_PAIRS]
    pairs = []
    for axis, step in enumerate(steps, start=valid.ndim - len(steps)):
        distance = max(1, round(DISTANCE / step))
        stride, length = math.prod(valid.shape[axis + 1 :]), valid.shape[axis]
        along = near[near // stride % length < length - distance]
        ends = np.stack([along, along + distance * stride])
        pairs.append(ends[:, valid.ravel()[ends[1]]])
    return np.concatenate(pairs, axis=1)


def neighbour_rarities(labels: Labels, pairs: Integers, n_labels: int) -> NDArray[np.float32]:
    """Return how seldom each two labels are neighbours.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (..., Y, X)
        Labels, below K.
    pairs : ndarray of int64, shape (2, n)
        Flat indices of the pixels of each pair of neighbours.
    n_labels : int
        K.

    Returns
    -------
    ndarray of float32, shape (K, K)
        1 for labels that are never beside each other, 0 for those that are as often as each is
        beside itself.

    Notes
    -----
    One less ``n(a, b) / sqrt(n(a, a) n(b, b))``, where n(a, b) counts pairs. Pointwise mutual
    information is of the same use for boundaries [1]_: it compares n(a, b) with what chance would
    have it. A step within a texture is met everywhere, and one to another thing seldom.

    References
    ----------
    .. [1] P. Isola et al., "Crisp Boundary Detection Using Pointwise Mutual Information", European
       Conference on Computer Vision (2014). :doi:`10.1007/978-3-319-10578-9_52`

    Examples
    --------
    >>> stripes = np.array([0, 1, 0, 1, 0, 0, 1, 1, 2, 2])
    >>> neighbour_rarities(stripes, np.stack([np.arange(9), np.arange(1, 10)]), 3).round(2)
    array([[0. , 0. , 1. ],
           [0. , 0. , 0.5],
           [1. , 0.5, 0. ]], dtype=float32)
    """
    near, far = labels.ravel()[pairs].astype(np.int64)
    counts = np.bincount(near * n_labels + far, minlength=n_labels**2).reshape(n_labels, n_labels)
    counts = counts + counts.T
    own = np.sqrt(np.maximum(np.diag(counts), 1))
    shares = np.minimum(counts / own / own[:, np.newaxis], 1)
    np.fill_diagonal(shares, 1)
    return (1 - shares).astype(np.float32)


def quantize_colours(colours: Colours, valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Reduce the colours of an image to those of a palette, found by k-means.

    Parameters
    ----------
    colours : ndarray of float32, shape (..., Y, X, C)
        Colours.
    valid : ndarray of bool, shape (..., Y, X)
        Pixels that take part.

    Returns
    -------
    ndarray of uint8, shape (..., Y, X)
        The colour of each pixel in the palette, below `N_COLOURS`.
    """
    flat = colours.reshape(valid.size, -1)
    generator = np.random.default_rng(0)
    inside = np.flatnonzero(valid)
    sample = flat[generator.choice(inside, min(len(inside), MAX_SAMPLE), replace=False)]
    distinct = generator.permutation(np.unique(sample, axis=0))
    # as long as there is nothing to reduce, k-means is not asked
    palette = distinct
    if len(distinct) > N_COLOURS:
        with one_matrix_thread():
            palette = kmeans(sample, distinct[:N_COLOURS])[0]
    return _nearest_colours(flat, palette).reshape(valid.shape)


@jit()
def _nearest_colours(colours: Colours, palette: Colours) -> NDArray[np.uint8]:
    """Return the index of the nearest colour of a palette, (K, C), to each of (pixels, C)."""
    nearest = np.zeros(len(colours), dtype=np.uint8)
    for pixel in range(len(colours)):
        least = np.float32(np.inf)
        for index in range(len(palette)):
            square = np.float32(0)
            for channel in range(palette.shape[1]):
                square += (colours[pixel, channel] - palette[index, channel]) ** 2
            if square < least:
                least = square
                nearest[pixel] = index
    return nearest
