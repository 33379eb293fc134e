"""Boundaries of segments, moved to where the pixels' colours change."""

import itertools
import math

import numpy as np
from numpy.typing import NDArray
from skimage.filters import gaussian

__all__ = ["refine_boundaries"]

ITERATIONS = 3  # a boundary moves by a pixel at most in each
BATCH = 2**16  # pixels of boundaries at a time, whose neighbours take 200 bytes each in a volume
BLUR = 0.7  # pixels; noise of less than this moves no boundary
STIFFNESS = 0.24  # cost, as a distance in colour, of a pixel whose neighbours all lie elsewhere


def refine_boundaries(
    segments: NDArray[np.int64],
    colours: NDArray[np.float32],
    means: NDArray[np.float64],
    spatial_ndim: int = 2,
) -> NDArray[np.int64]:
    """Give pixels at a boundary to the segment beside them whose mean colour is nearest to theirs.

    Parameters
    ----------
    segments : ndarray of int64, shape (..., Y, X)
        Segments from 0, -1 at pixels that take no part.
    colours : ndarray of float32, shape (..., Y, X, C)
        Colours, 1 from black to white.
    means : ndarray of float64, shape (segments, C)
        Mean colour of each segment.
    spatial_ndim : int
        Axes along which pixels are neighbours, the last ones.

    Returns
    -------
    ndarray of int64, shape (..., Y, X)
        Segments, not necessarily connected any more; a small one may have no pixel left.

    Notes
    -----
    Three iterations of iterated conditional modes [1]_: each pixel takes the segment, its own or
    that of a neighbour, of the least distance in colour plus a weight times the share of its
    neighbours, those at its corners too, that lie in another.

    References
    ----------
    .. [1] J. Besag, "On the statistical analysis of dirty pictures", Journal of the Royal
       Statistical Society B 48 (1986). :doi:`10.1111/j.2517-6161.1986.tb01412.x`

    Examples
    --------
    >>> colours = np.repeat([[[0.1], [0.1], [0.9], [0.9]]], 5, axis=0).astype(np.float32)
    >>> segments = np.repeat([[0, 1, 1, 1]], 5, axis=0)
    >>> refine_boundaries(segments, colours, np.array([[0.1], [0.8]]))[2]
    array([0, 0, 1, 1])
    """
    leading = segments.ndim - spatial_ndim
    smooth = gaussian(colours, [0] * leading + [BLUR] * spatial_ndim, channel_axis=-1)
    # a margin of -1 around frames, so that offsets in flat order find no pixel of another row
    margin = [0] * leading + [1] * spatial_ndim
    width = [(n, n) for n in margin]
    padded = np.pad(segments, width, constant_values=-1)
    flat = padded.ravel()  # a view: what is written to it is in `padded`
    side_offsets, all_offsets = _neighbour_offsets(padded.shape, spatial_ndim)
    own_and_sides = np.concatenate([[0], side_offsets])
    for _ in range(ITERATIONS):
        on_boundary = np.flatnonzero(_is_on_boundary(padded, spatial_ndim))
        nearest = np.empty_like(on_boundary)  # all are found before any is changed
        for first in range(0, len(on_boundary), BATCH):
            pixels = on_boundary[first : first + BATCH]
            places = np.unravel_index(pixels, padded.shape)
            pixel_colours = smooth[*(at - n for at, n in zip(places, margin, strict=True))]
            candidates = flat[pixels + own_and_sides[:, np.newaxis]]  # (5 or 7, n)
            neighbours = flat[pixels + all_offsets[:, np.newaxis]]  # (8 or 26, n)
            costs = [_cost(segment, pixel_colours, neighbours, means) for segment in candidates]
            best = np.argmin(costs, axis=0)  # of equal ones its own, which is first
            nearest[first : first + BATCH] = np.take_along_axis(candidates, best[np.newaxis], 0)[0]
        flat[on_boundary] = nearest
    inside = tuple(slice(n, size - n) for n, size in zip(margin, padded.shape, strict=True))
    return padded[inside].copy()


def _neighbour_offsets(
    shape: tuple[int, ...], spatial_ndim: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return offsets in flat order of the neighbours across sides, and of all, corners too."""
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))][-spatial_ndim:]
    steps = np.array(
        [step for step in itertools.product((-1, 0, 1), repeat=spatial_ndim) if any(step)]
    )
    offsets: NDArray[np.int64] = steps @ np.array(strides)
    return offsets[np.abs(steps).sum(axis=1) == 1], offsets


def _cost(
    segments: NDArray[np.int64],
    colours: NDArray[np.floating],
    neighbours: NDArray[np.int64],
    means: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return what it costs pixels of colours (n, C) and neighbours (8 or 26, n) to be in (n,)."""
    share_elsewhere = ((neighbours != segments) & (neighbours >= 0)).mean(axis=0)
    distance = np.linalg.norm(colours - means[segments], axis=1)
    return np.where(segments >= 0, distance + STIFFNESS * share_elsewhere, np.inf)


def _is_on_boundary(segments: NDArray[np.int64], spatial_ndim: int) -> NDArray[np.bool_]:
    """Return where a pixel of a segment lies beside one of another."""
    is_on_boundary = np.zeros(segments.shape, dtype=bool)
    for axis in range(segments.ndim - spatial_ndim, segments.ndim):
        rows, row_flags = np.moveaxis(segments, axis, 0), np.moveaxis(is_on_boundary, axis, 0)
        differ = (rows[:-1] != rows[1:]) & (rows[:-1] >= 0) & (rows[1:] >= 0)
        row_flags[:-1] |= differ
        row_flags[1:] |= differ
    return is_on_boundary
