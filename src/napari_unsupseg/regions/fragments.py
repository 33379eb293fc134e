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
LEAST_BLUR = 0.8  # pixels; what basins need not follow even where there is no noise
MOST_BLUR = 3.0
CELL = 8  # pixels; basins of even slopes, which have no least one, do not reach beyond a grid of it
NOISE_LEFT = 0.01  # standard deviation, 1 from black to white, to which noise is blurred


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
        As in `build_region_graph`.
    strokes : ndarray of unsigned integers, shape ([Z,] Y, X), optional
        Label of each pixel under a stroke, 0 where there is none; no segment has two.
    spacing : sequence of float, optional
        Distance of neighbours along each axis; by default all are alike.

    Yields
    ------
    float
        Share that is done, from 0 to 1.

    Returns
    -------
    ndarray of int32, shape ([Z,] Y, X)
        Connected segments from 0, one for 100 pixels or fewer, -1 at pixels that take no part.

    Notes
    -----
    Basins of the gradient's length, merged by average linkage: a border's dissimilarity is the mean
    along it of what the basins on its sides differ by.
    """
    leaves: NDArray[np.integer] = watershed_basins(colours, valid, spacing)
    yield 0.3
    if strokes is not None:
        leaves = (
            label_regions(split_by_stroke(leaves.astype(np.int64), strokes) + 1, valid.ndim) - 1
        )
    graph = build_region_graph(
        leaves, colours, history, lightness, valid.ndim, strokes, spacing, are_tiny=True
    )
    yield 0.6
    regions, borders, weights = prepare_average_linkage(graph.sums, graph.borders, graph.weights)
    merging = yield from map_yields(
        merge_regions(
            regions,
            borders,
            weights,
            n_left=max(1, leaves.size // FRAGMENT_PIXELS),
            growth=math.inf,
            joins_apart=False,
        ),
        lambda share: 0.6 + 0.4 * share,
    )
    groups = np.append(groups_from_merges(graph.n_regions, merging.merges), -1)
    fragments: NDArray[np.int32] = groups.astype(np.int32)[leaves]
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
        Distance of neighbours along each axis; by default all are alike.

    Returns
    -------
    ndarray of int32, shape ([Z,] Y, X)
        Connected basins from 0, -1 at pixels that take no part.

    Notes
    -----
    From each pixel it goes down to the neighbour where the gradient is least, across sides; pixels
    that end at the same place are a basin [1]_. Where all is even it goes to the first of each cell
    of a grid. This takes a tenth of the time of flooding from markers, and small things need no
    marker to be found.

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
    # what white noise is blurred to falls with the width of the Gaussian
    blur = min(MOST_BLUR, max(LEAST_BLUR, noise / (2 * math.sqrt(math.pi) * NOISE_LEFT)))
    smooth = gaussian_filter(colours, list(blur / steps), axes=range(valid.ndim))
    squares = np.zeros(valid.shape, dtype=np.float32)
    for channel in np.moveaxis(smooth, -1, 0):
        for axis, step in enumerate(steps):
            squares += np.square(sobel(channel, axis) / np.float32(step))
    strides = [math.prod(valid.shape[axis + 1 :]) for axis in range(valid.ndim)]
    found = _descend(squares.ravel(), valid.ravel(), np.array(valid.shape), np.array(strides))
    numbered: NDArray[np.int32] = found.reshape(valid.shape)
    return numbered


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
    From the median size of the diagonal details of Haar's wavelets [1]_, which edges hardly reach.

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
    differ = upper - lower
    details = (differ[..., ::2, :] - differ[..., 1::2, :]) / 2
    columns = valid[..., :height:2, :width] & valid[..., 1:height:2, :width]
    taking_part = columns[..., ::2] & columns[..., 1::2]
    if not taking_part.any():
        return 0.0
    sizes = np.median(np.abs(details[taking_part]), axis=0)
    return float(np.linalg.norm(sizes)) / 0.6745  # the median of a standard normal's size


@jit()
def _descend(
    heights: NDArray[np.float32],
    valid: NDArray[np.bool_],
    lengths: NDArray[np.int64],
    strides: NDArray[np.int64],
) -> NDArray[np.int32]:
    """Return a number for each pixel by where the way down from it ends; -1 for no part."""
    below = np.full(len(heights), -1, dtype=np.int32)
    numbers = np.full(len(heights), -1, dtype=np.int32)
    found = 0
    for pixel in range(len(heights)):
        if not valid[pixel]:
            continue
        lowest = pixel
        for axis in range(len(lengths)):
            place = pixel // strides[axis] % lengths[axis]
            for step in (-1, 1):
                beside = pixel + step * strides[axis]
                if not 0 <= place + step < lengths[axis] or not valid[beside]:
                    continue
                is_even = heights[beside] == heights[lowest] and beside < lowest
                in_cell = place // CELL == (place + step) // CELL
                if heights[beside] < heights[lowest] or (is_even and in_cell):
                    lowest = beside
        below[pixel] = lowest
        if lowest == pixel:
            numbers[pixel] = found
            found += 1
    for pixel in range(len(heights)):
        end = pixel
        while valid[pixel] and numbers[end] < 0:
            end = below[end]
        way = pixel
        while valid[pixel] and numbers[way] < 0:
            numbers[way] = numbers[end]
            way = below[way]
    return numbers
