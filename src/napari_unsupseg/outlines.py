"""Outlines of segments moved to where the pixels' colours change."""

import numpy as np
from numpy.typing import NDArray
from skimage.filters import gaussian

__all__ = ["refine_outlines"]

ITERATIONS = 3  # an outline moves by a pixel in each
BLUR = 0.7  # pixels; what noise the outlines need not follow
STIFFNESS = 0.03  # colour, 1 from black to white, that each neighbour of another segment weighs
BESIDE = ((0, 1), (1, 0), (0, -1), (-1, 0))
AROUND = (*BESIDE, (1, 1), (1, -1), (-1, 1), (-1, -1))


def refine_outlines(
    segments: NDArray[np.int64], colours: NDArray[np.float32], means: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Give pixels on an outline to the segment beside them whose colour is nearer to theirs.

    Parameters
    ----------
    segments : ndarray of int64, shape (Y, X)
        Segments from 0, -1 at pixels that take no part.
    colours : ndarray of float32, shape (Y, X, C)
        Colours, 1 from black to white.
    means : ndarray of float64, shape (segments, C)
        Mean colour of each segment.

    Returns
    -------
    ndarray of int64, shape (Y, X)
        Segments; a small one may be gone, and need not be connected any more.

    Notes
    -----
    Three iterations of iterated conditional modes [1]_: each pixel takes the segment, its own or
    that of a neighbour, of the least distance in colour plus a weight times the number of its
    eight neighbours that lie in another.

    References
    ----------
    .. [1] J. Besag, "On the statistical analysis of dirty pictures", Journal of the Royal
       Statistical Society B 48 (1986). :doi:`10.1111/j.2517-6161.1986.tb01412.x`

    Examples
    --------
    >>> colours = np.repeat([[[0.1], [0.1], [0.9], [0.9]]], 5, axis=0).astype(np.float32)
    >>> segments = np.repeat([[0, 1, 1, 1]], 5, axis=0)
    >>> refine_outlines(segments, colours, np.array([[0.1], [0.8]]))[2]
    array([0, 0, 1, 1])
    """
    smooth = gaussian(colours, BLUR, channel_axis=-1).reshape(-1, colours.shape[-1])
    width = segments.shape[1] + 2
    padded = np.pad(segments, 1, constant_values=-1)
    place = np.pad(np.arange(segments.size).reshape(segments.shape), 1).ravel()
    flat = padded.ravel()
    for _ in range(ITERATIONS):
        pixels = np.flatnonzero(_on_outline(padded))
        seen = smooth[place[pixels]]
        around = np.stack([flat[pixels + row * width + column] for row, column in AROUND])
        candidates = np.stack([flat[pixels], *around[: len(BESIDE)]])
        best = np.argmin([_cost(chosen, seen, around, means) for chosen in candidates], axis=0)
        flat[pixels] = np.take_along_axis(candidates, best[np.newaxis], axis=0)[0]
    return padded[1:-1, 1:-1].copy()


def _cost(
    chosen: NDArray[np.int64],
    seen: NDArray[np.floating],
    around: NDArray[np.int64],
    means: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return what it costs pixels of colours (n, C) and neighbours (8, n) to be in segments."""
    apart = ((around != chosen) & (around >= 0)).sum(0)
    distance = np.linalg.norm(seen - means[chosen], axis=1)
    return np.where(chosen >= 0, distance + STIFFNESS * apart, np.inf)


def _on_outline(segments: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return where a pixel of a segment lies beside one of another."""
    found = np.zeros(segments.shape, dtype=bool)
    for here, there in (
        (np.s_[:-1], np.s_[1:]),
        (np.s_[:, :-1], np.s_[:, 1:]),
    ):
        one, other = segments[here], segments[there]
        differ = (one != other) & (one >= 0) & (other >= 0)
        found[here] |= differ
        found[there] |= differ
    return found
