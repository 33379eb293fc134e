"""The finest segments of an image: basins of its gradient, merged until they can be described."""

import math
from collections.abc import Generator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, sobel

from napari_unsupseg._generators import map_yields
from napari_unsupseg._typing import Colours, Labels
from napari_unsupseg.regions.compiling import jit
from napari_unsupseg.regions.dissimilarity import prepare_average_linkage
from napari_unsupseg.regions.graph import groups_from_merges
from napari_unsupseg.regions.graph_builder import build_region_graph, relative_spacing
from napari_unsupseg.regions.labels import label_regions
from napari_unsupseg.regions.merging import merge_regions
from napari_unsupseg.regions.strokes import split_by_stroke

__all__ = ["estimate_noise", "oversegment", "watershed_basins"]


FRAGMENT_PIXELS = 100  # of a fragment on average
MIN_BLUR = 0.8  # pixels; without noise basins still need not follow every pixel
MAX_BLUR = 3.0  # pixels; more would blur small things away
CELL = 8  # pixels, side of a grid's cells: where slopes are even no basin reaches across its lines
RESIDUAL_NOISE = 0.01  # standard deviation, 1 from black to white, to which noise is blurred


def oversegment(
    colours: Colours,
    valid: NDArray[np.bool_],
    history: Sequence[Labels],
    lightness: Sequence[float],
    strokes: Labels | None = None,
    spacing: Sequence[float] = (),
) -> Generator[float, None, NDArray[np.int32]]:
    """Divide a frame into the finest segments of its hierarchy.

    Parameters
    ----------
    colours : ndarray of float32, shape ([Z,] Y, X, C)
        Colours, 1 from black to white.
    valid : ndarray of bool, shape ([Z,] Y, X)
        Pixels that take part.
    history : sequence of ndarray of unsigned integers, shape ([Z,] Y, X)
        Labels at some iterations.
    lightness : sequence of float, length C
        How much each channel of a colour counts for its lightness.
    strokes : ndarray of unsigned integers, shape ([Z,] Y, X), optional
        Label of each pixel under a stroke, 0 where there is none; no segment has two.
    spacing : sequence of float, optional
        Distance of neighbours along each axis; by default they are the same.

    Yields
    ------
    float
        Share that is done, from 0 to 1.

    Returns
    -------
    ndarray of int32, shape ([Z,] Y, X)
        Connected segments from 0, about one for 100 pixels, -1 at pixels that take no part.

    Notes
    -----
    Basins of the gradient's length, merged by average linkage: a border's dissimilarity is the mean
    along it of what the basins on its sides differ by.
    """
    basins: NDArray[np.integer] = watershed_basins(colours, valid, spacing)
    yield 0.3
    if strokes is not None:
        by_stroke = split_by_stroke(basins.astype(np.int64), strokes)
        basins = label_regions(by_stroke + 1, valid.ndim) - 1  # connected again
    graph = build_region_graph(
        basins, colours, history, lightness, valid.ndim, strokes, spacing, are_tiny=True
    )
    yield 0.6
    regions, borders, weights = prepare_average_linkage(graph.sums, graph.borders, graph.weights)
    merging = yield from map_yields(
        merge_regions(
            regions,
            borders,
            weights,
            n_left=max(1, basins.size // FRAGMENT_PIXELS),
            growth=math.inf,
            joins_apart=False,
        ),
        lambda share: 0.6 + 0.4 * share,
    )
    # the last entry is for pixels that take no part, which have the index -1
    groups = np.append(groups_from_merges(graph.n_regions, merging.merges), -1)
    fragments: NDArray[np.int32] = groups.astype(np.int32)[basins]
    return fragments


def watershed_basins(
    colours: Colours, valid: NDArray[np.bool_], spacing: Sequence[float] = ()
) -> NDArray[np.int32]:
    """Divide a frame into the basins of its gradient.

    Parameters
    ----------
    colours : ndarray of float32, shape ([Z,] Y, X, C)
        Colours, 1 from black to white.
    valid : ndarray of bool, shape ([Z,] Y, X)
        Pixels that take part.
    spacing : sequence of float, optional
        Distance of neighbours along each axis; by default they are the same.

    Returns
    -------
    ndarray of int32, shape ([Z,] Y, X)
        Connected basins from 0, -1 at pixels that take no part.

    Notes
    -----
    From each pixel a path leads down to the neighbour, across sides, where the gradient is least,
    and on from there; pixels whose paths end at the same pixel are a basin [1]_. Where all is even
    a path ends at the first pixel of a cell of a grid. This takes a tenth of the time of flooding
    from markers, and small things need no marker to be found.

    References
    ----------
    .. [1] J. Fairfield, "Toboggan contrast enhancement for contrast segmentation", 10th
       International Conference on Pattern Recognition (1990). :doi:`10.1109/ICPR.1990.118167`

    Examples
    --------
    >>> colours = np.zeros((5, 8, 1), dtype=np.float32)
    >>> colours[:, 4:] = 1
    >>> watershed_basins(colours, np.ones((5, 8), dtype=bool))[2]
    array([0, 0, 0, 0, 1, 1, 1, 1], dtype=int32)
    """
    steps = relative_spacing(spacing, valid.ndim)
    noise = estimate_noise(colours, valid)
    # a Gaussian of width s leaves 1 / (2 sqrt(pi) s) of white noise's standard deviation
    blur = min(MAX_BLUR, max(MIN_BLUR, noise / (2 * math.sqrt(math.pi) * RESIDUAL_NOISE)))
    smooth = gaussian_filter(colours, list(blur / steps), axes=range(valid.ndim))
    squares = np.zeros(valid.shape, dtype=np.float32)
    for channel in np.moveaxis(smooth, -1, 0):
        for axis, step in enumerate(steps):
            squares += np.square(sobel(channel, axis) / np.float32(step))
    strides = [math.prod(valid.shape[axis + 1 :]) for axis in range(valid.ndim)]
    lowest = _lowest_neighbours(
        squares.ravel(), valid.ravel(), np.array(valid.shape), np.array(strides)
    )
    basins: NDArray[np.int32] = _number_basins(lowest).reshape(valid.shape)
    return basins


def estimate_noise(colours: Colours, valid: NDArray[np.bool_]) -> float:
    """Estimate the standard deviation of an image's noise.

    Parameters
    ----------
    colours : ndarray of float32, shape (..., Y, X, C)
        Colours.
    valid : ndarray of bool, shape (..., Y, X)
        Pixels that take part.

    Returns
    -------
    float
        Root of the variances' sum over channels; 0 if no square of 2 × 2 pixels takes part.

    Notes
    -----
    From the median size of the diagonal details of Haar's wavelets [1]_. Few of them lie at edges,
    which a median passes over.

    References
    ----------
    .. [1] D. L. Donoho, I. M. Johnstone, "Ideal spatial adaptation by wavelet shrinkage",
       Biometrika 81 (1994). :doi:`10.1093/biomet/81.3.425`

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(0, 0.1, (200, 200, 1)).astype(np.float32)
    >>> round(estimate_noise(noise, np.ones((200, 200), dtype=bool)), 2)
    0.1
    """
    height, width = (n // 2 * 2 for n in valid.shape[-2:])
    upper, lower = (colours[..., row:height:2, :width, :] for row in (0, 1))
    steps = upper - lower
    details = (steps[..., ::2, :] - steps[..., 1::2, :]) / 2  # (..., Y / 2, X / 2, C)
    columns = valid[..., :height:2, :width] & valid[..., 1:height:2, :width]
    squares = columns[..., ::2] & columns[..., 1::2]  # of 2 x 2 valid pixels
    if not squares.any():
        return 0.0
    sizes = np.median(np.abs(details[squares]), axis=0)
    return float(np.linalg.norm(sizes)) / 0.6745  # the median of a standard normal's size


@jit()
def _lowest_neighbours(
    heights: NDArray[np.float32],
    valid: NDArray[np.bool_],
    lengths: NDArray[np.int64],
    strides: NDArray[np.int64],
) -> NDArray[np.int32]:
    """Return the lowest of each pixel and its neighbours, -1 at pixels that take no part."""
    lowest_of = np.full(len(heights), -1, dtype=np.int32)
    for pixel in range(len(heights)):
        if not valid[pixel]:
            continue
        lowest = pixel
        for axis in range(len(lengths)):
            index = pixel // strides[axis] % lengths[axis]
            for step in (-1, 1):
                neighbour = pixel + step * strides[axis]
                if not 0 <= index + step < lengths[axis] or not valid[neighbour]:
                    continue
                # of equal pixels the first in flat order is the lowest, so that no path is a circle
                is_even = heights[neighbour] == heights[lowest] and neighbour < lowest
                in_cell = index // CELL == (index + step) // CELL
                if heights[neighbour] < heights[lowest] or (is_even and in_cell):
                    lowest = neighbour
        lowest_of[pixel] = lowest
    return lowest_of


@jit()
def _number_basins(lowest: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return a number for each pixel by where the path down from it ends, -1 for none."""
    numbers = np.full(len(lowest), -1, dtype=np.int32)
    n_basins = 0
    for pixel in range(len(lowest)):
        if lowest[pixel] == pixel:
            numbers[pixel] = n_basins
            n_basins += 1
    for start in range(len(lowest)):
        if lowest[start] < 0:
            continue
        end = start
        while numbers[end] < 0:
            end = lowest[end]
        # all of the path is numbered, so that no pixel is passed twice without a number
        pixel = start
        while numbers[pixel] < 0:
            numbers[pixel] = numbers[end]
            pixel = lowest[pixel]
    return numbers
