"""Outlines of segments moved to where the pixels' colours change."""

import itertools
import math

import numpy as np
from numpy.typing import NDArray
from skimage.filters import gaussian

__all__ = ["refine_boundaries"]

ITERATIONS = 3  # an outline moves by a pixel in each
BLUR = 0.7  # pixels; what noise the outlines need not follow
STIFFNESS = 0.24  # colour, 1 from black to white, that neighbours weigh if all lie elsewhere


def refine_boundaries(
    segments: NDArray[np.int64],
    colours: NDArray[np.float32],
    means: NDArray[np.float64],
    spatial_ndim: int = 2,
) -> NDArray[np.int64]:
    """Give pixels on an outline to the segment beside them whose colour is nearer to theirs.

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
        Segments; a small one may be gone, and need not be connected any more.

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
    smooth = smooth.reshape(-1, colours.shape[-1])
    around_frames = [(0, 0)] * leading + [(1, 1)] * spatial_ndim
    padded = np.pad(segments, around_frames, constant_values=-1)
    place = np.pad(np.arange(segments.size).reshape(segments.shape), around_frames).ravel()
    flat = padded.ravel()
    beside, around = _neighbourhood(padded.shape, spatial_ndim)
    for _ in range(ITERATIONS):
        pixels = np.flatnonzero(_is_on_boundary(padded, spatial_ndim))
        seen = smooth[place[pixels]]
        candidates = flat[pixels + np.concatenate([[0], beside])[:, np.newaxis]]
        neighbours = flat[pixels + around[:, np.newaxis]]
        best = np.argmin([_cost(chosen, seen, neighbours, means) for chosen in candidates], axis=0)
        flat[pixels] = np.take_along_axis(candidates, best[np.newaxis], axis=0)[0]
    inside = tuple(
        slice(low, n - high) for n, (low, high) in zip(padded.shape, around_frames, strict=True)
    )
    return padded[inside].copy()


def _neighbourhood(
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
    chosen: NDArray[np.int64],
    seen: NDArray[np.floating],
    around: NDArray[np.int64],
    means: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return what it costs pixels of colours (n, C) and neighbours (8, n) to be in segments."""
    apart = ((around != chosen) & (around >= 0)).mean(0)
    distance = np.linalg.norm(seen - means[chosen], axis=1)
    return np.where(chosen >= 0, distance + STIFFNESS * apart, np.inf)


def _is_on_boundary(segments: NDArray[np.int64], spatial_ndim: int) -> NDArray[np.bool_]:
    """Return where a pixel of a segment lies beside one of another."""
    found = np.zeros(segments.shape, dtype=bool)
    for axis in range(segments.ndim - spatial_ndim, segments.ndim):
        at, of = np.moveaxis(segments, axis, 0), np.moveaxis(found, axis, 0)
        differ = (at[:-1] != at[1:]) & (at[:-1] >= 0) & (at[1:] >= 0)
        of[:-1] |= differ
        of[1:] |= differ
    return found
