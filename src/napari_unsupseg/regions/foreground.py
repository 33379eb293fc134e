"""The foreground of an image that nobody has labelled: what objects are made of."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import block_reduce

from napari_unsupseg._typing import Colours, Floats, Integers, Labels
from napari_unsupseg.regions.labels import labels_at_border
from napari_unsupseg.regions.one_thread import one_matrix_thread
from napari_unsupseg.regions.optimal_cut import optimal_cut
from napari_unsupseg.regions.region_shapes import (
    Levels,
    RegionShapes,
    ball,
    node_shapes,
    object_shapes,
)
from napari_unsupseg.regions.splitting import split_touching

__all__ = [
    "ForegroundModel",
    "find_foreground",
    "mean_blocks",
    "principal_axis",
    "principal_intensities",
    "refine_outlines",
    "typical_radius",
]

MIN_PIXELS = 20  # of a node that may be an object
MAX_SHARE = 0.5  # of a frame that an object may have
MAX_FOREGROUND = 0.8  # of the image that all objects may have: there has to be some ground
MAX_WALLED = 0.95  # that cells may have which fill the image, for walls between them
# of a frame's border, in sides of a square, or cube, of its size: a half disc has 1.6, the quarter
# of one in a corner 2.3, and a third of the frame 2.9
MAX_BORDER = 2.5
MIN_OBJECTNESS = 0.35  # below which an object costs more than it brings
JUDGED_PIXELS = 2**20  # of a frame that rival foregrounds are compared on
MIN_RIVAL = 0.1  # of what bright nodes are worth that dark ones must be, or the other way round
BOTH = 0.9  # factor of what bright and dark parts together are worth, which are more pixels
HOLE = 0.1  # of the size of a typical object: smaller holes in one are filled
BAND = 4  # pixels by which an outline may move
NEARER = 0.45  # of the way from ground to object: where the outline lies
MIN_RADIUS = 3.0  # of a typical object, in the finest steps
RADIUS = 1.2  # of that of a typical object: how far around a pixel means are taken
BLOCKS = 4  # in this radius, of pixels that have one mean


class ForegroundModel(NamedTuple):
    """What is decided once for a whole image, for objects to be found in its parts.

    Attributes
    ----------
    clusters : ndarray of unsigned integers, shape (n,)
        Numbers of the clusters that objects are made of; none if nothing stands out.
    axis : ndarray of float64, shape (C,)
        Direction in the colours along which objects stand out.
    radius : float
        Of a typical object, in steps of the finest axis.
    extent : float
        Side of a square, or cube, as large as what most of the foreground's pixels lie in: an
        object, or some that touch.
    spacing : ndarray of float64, shape (2,) or (3,)
        Distance of neighbours along each axis of a frame, 1 along the finest.
    """

    clusters: Labels
    axis: Floats
    radius: float
    extent: float
    spacing: Floats


def principal_axis(colours: Colours, valid: NDArray[np.bool_]) -> Floats:
    """Return the direction along which most colours differ: their first principal component.

    Parameters
    ----------
    colours : ndarray of float32, shape (..., Y, X, C)
        Colours or intensities of channels.
    valid : ndarray of bool, shape (..., Y, X)
        Pixels that take part.

    Returns
    -------
    ndarray of float64, shape (C,)
        Of length 1; upwards is brighter in most channels.
    """
    of_pixels = colours[valid].astype(np.float64)
    of_pixels -= of_pixels.mean(axis=0)
    with one_matrix_thread():
        axis = np.linalg.eigh(of_pixels.T @ of_pixels)[1][:, -1]
    upwards: Floats = axis * np.sign(axis.sum() or 1)  # which way it points is chance
    return upwards


def principal_intensities(
    colours: Colours, valid: NDArray[np.bool_], axis: Floats | None = None
) -> Floats:
    """Return what objects stand out by: the first principal component of the colours.

    Parameters
    ----------
    colours : ndarray of float32, shape (..., Y, X, C)
        Colours or intensities of channels.
    valid : ndarray of bool, shape (..., Y, X)
        Pixels that take part.
    axis : ndarray of float64, shape (C,), optional
        The component of a larger image, of which these are a part; by default `principal_axis`.

    Returns
    -------
    ndarray of float64, shape (..., Y, X)
        How far the colour lies from the mean along the component; of a single channel its
        intensities. 0 where a pixel takes no part.
    """
    if axis is None:
        axis = principal_axis(colours, valid)
    along: Floats = colours @ axis
    return np.where(valid, along - along[valid].mean(), 0)


def find_foreground(
    levels: Levels,
    fragments: NDArray[np.integer],
    merges: Integers,
    clusters: Labels,
    spacing: Floats,
) -> tuple[NDArray[np.bool_], bool]:
    """Find what objects are made of, without being told.

    Parameters
    ----------
    levels : Levels, shape (..., [Z,] Y, X)
        What objects stand out by.
    fragments : ndarray of int, shape (..., [Z,] Y, X)
        Fragments of the hierarchy from 0, -1 at pixels that take no part.
    merges : ndarray of int64, shape (F - 1, 2)
        Nodes that merge, in order.
    clusters : ndarray of unsigned integers, shape (..., [Z,] Y, X)
        Clusters from 1.
    spacing : ndarray of float64, shape (2,) or (3,)
        Distance of neighbours along each axis of a frame, 1 along the finest.

    Returns
    -------
    found : ndarray of bool, shape (..., [Z,] Y, X)
        Pixels that objects are made of; none if nothing stands out.
    is_of_clusters : bool
        Whether these are all pixels of some clusters, whose outlines are rough; else they are what
        lies between walls.

    Notes
    -----
    A node of the hierarchy is worth its area times tanh(contrast) times its squared roundness, less
    a threshold. The disjoint nodes of the largest sum are picked, bright ones and dark ones, and
    clusters of which these have more than half of the pixels are candidates for the foreground: the
    bright, the dark, and both together, for what has a rim of its own. Where these leave no ground,
    as when cells fill the image and their walls are too thin for a cluster of their own, the picked
    nodes are. That candidate is taken whose objects, touching ones split, are worth most; of large
    frames every second pixel, or fewer, are looked at for this.
    """
    valid = fragments >= 0
    ndim = len(spacing)
    frame_pixels = math.prod(fragments.shape[-ndim:])
    nodes = node_shapes(levels, fragments, merges, spacing)
    picked = list(_pick_nodes(nodes, merges, frame_pixels, ndim))
    most = max(total for _, total in picked)
    standing_out = [
        is_picked[fragments] & valid for is_picked, total in picked if total > MIN_RIVAL * most
    ]
    step = math.ceil((frame_pixels / JUDGED_PIXELS) ** (1 / ndim))
    judged: tuple[Any, ...] = (..., *[slice(None, None, step)] * ndim)
    sample = Levels(levels.bins[judged], levels.deviation)
    best, best_worth = (np.zeros_like(valid), True), 0.0
    for candidate, is_of_clusters, factor in _candidates(standing_out, clusters, valid.sum()):
        foreground = candidate[judged]
        shapes = object_shapes(sample, split_touching(foreground, spacing * step), spacing * step)
        pixels = math.prod(foreground.shape[-ndim:])
        worth = factor * max(float(worths.sum()) for worths in _worths(shapes, pixels, ndim))
        if worth > best_worth:
            best, best_worth = (candidate, is_of_clusters), worth
    return best


def _candidates(
    standing_out: Sequence[NDArray[np.bool_]], clusters: Labels, n_valid: int
) -> Iterator[tuple[NDArray[np.bool_], bool, float]]:
    """Yield what may be the foreground, whether it is of clusters, and factors of its worth."""
    voted = [_vote(pixels, clusters)[clusters] for pixels in standing_out]
    for of_clusters, pixels in zip(voted, standing_out, strict=True):
        if of_clusters.sum() <= MAX_FOREGROUND * n_valid:
            yield of_clusters, True, 1.0
        elif pixels.sum() <= MAX_WALLED * n_valid:
            yield pixels, False, 1.0
    if len(voted) == 2 and (both := voted[0] | voted[1]).sum() <= MAX_FOREGROUND * n_valid:
        yield both, True, BOTH


def _worths(shapes: RegionShapes, frame_pixels: int, ndim: int) -> Iterator[Floats]:
    """Yield what each region is worth as a bright object, then as a dark one."""
    side = shapes.areas ** ((ndim - 1) / ndim)
    is_possible = (shapes.areas <= MAX_SHARE * frame_pixels) & (
        shapes.at_border <= MAX_BORDER * side
    )
    for contrast in (shapes.brighter, shapes.darker):
        objectness = np.tanh(np.maximum(contrast, 0)) * shapes.roundness**2
        yield shapes.areas * (np.where(is_possible, objectness, 0) - MIN_OBJECTNESS)


def _pick_nodes(
    nodes: RegionShapes, merges: Integers, frame_pixels: int, ndim: int
) -> Iterator[tuple[NDArray[np.bool_], float]]:
    """Yield whether each fragment lies in a bright object, and what all are worth; then dark."""
    for worths in _worths(nodes, frame_pixels, ndim):
        picked, total = optimal_cut(merges, np.where(nodes.areas >= MIN_PIXELS, worths, 0))
        yield picked >= 0, total


def _vote(is_picked: NDArray[np.bool_], clusters: Labels) -> NDArray[np.bool_]:
    """Return of which clusters more than half of the pixels are picked, from cluster 0 on."""
    counts = np.bincount(clusters.ravel())
    votes = np.bincount(clusters.ravel(), is_picked.ravel(), len(counts)) > counts / 2
    votes[0] = False
    return votes


def refine_outlines(
    foreground: NDArray[np.bool_],
    intensities: Floats,
    valid: NDArray[np.bool_],
    spacing: Floats,
    radius: float | None = None,
) -> NDArray[np.bool_]:
    """Move the outlines of objects to where they are more like their insides than the ground.

    Parameters
    ----------
    foreground : ndarray of bool, shape (..., [Z,] Y, X)
        Pixels of objects.
    intensities : ndarray of float64, shape (..., [Z,] Y, X)
        What objects stand out by.
    valid : ndarray of bool, shape (..., [Z,] Y, X)
        Pixels that take part.
    spacing : ndarray of float64, shape (2,) or (3,)
        Distance of neighbours along each axis of a frame, 1 along the finest.
    radius : float, optional
        That of a typical object of a larger image, of which this is a part; by default that of
        each frame's.

    Returns
    -------
    ndarray of bool, shape (..., [Z,] Y, X)
        Pixels of objects; outlines have moved by some pixels at most, and small holes are filled.

    Notes
    -----
    A pixel near the outline is compared with the means of foreground and ground around it, twice: a
    few steps of the localised region-based energy [1]_, without its term of length.

    References
    ----------
    .. [1] S. Lankton, A. Tannenbaum, "Localizing region-based active contours", IEEE TIP 17
       (2008). :doi:`10.1109/TIP.2008.2004611`
    """
    refined = np.empty_like(foreground)
    for frame in np.ndindex(foreground.shape[: -len(spacing)]):
        refined[frame] = _refine_frame(
            foreground[frame], intensities[frame], valid[frame], spacing, radius
        )
    return refined


def _refine_frame(
    foreground: NDArray[np.bool_],
    intensities: Floats,
    valid: NDArray[np.bool_],
    spacing: Floats,
    radius: float | None,
) -> NDArray[np.bool_]:
    """Move the outlines of the objects of one frame."""
    if not foreground.any() or foreground[valid].all():
        return foreground
    typical = typical_radius(foreground, spacing) if radius is None else radius
    hole = HOLE * math.pi * typical ** len(spacing) / math.prod(spacing)
    refined = _fill_holes(foreground, hole)
    for _ in range(2):
        inside = _local_mean(intensities, refined, typical, spacing)
        outside = _local_mean(intensities, valid & ~refined, typical, spacing)
        step = inside - outside
        is_nearer = (intensities - outside) * np.sign(step) > NEARER * np.abs(step)
        is_near = _dilate(refined, spacing) & _dilate(~refined, spacing)
        refined = np.where(is_near, is_nearer, refined) & valid
    smooth = ndimage.median_filter(refined.astype(np.uint8), 3) > 0
    return _fill_holes(smooth, hole) & valid


def typical_radius(foreground: NDArray[np.bool_], spacing: Floats) -> float:
    """Return the radius of a typical object.

    Parameters
    ----------
    foreground : ndarray of bool, shape (..., [Z,] Y, X)
        Pixels of objects.
    spacing : ndarray of float64, shape (2,) or (3,)
        Distance of neighbours along each axis of a frame, 1 along the finest.

    Returns
    -------
    float
        Median of the radii of the largest balls in its connected parts, in the finest steps; 3 at
        least.
    """
    found: list[float] = []
    for index in np.ndindex(foreground.shape[: -len(spacing)]):
        parts, n_parts = ndimage.label(foreground[index])
        depths = ndimage.distance_transform_edt(foreground[index], sampling=spacing)
        radii = np.zeros(n_parts + 1)
        np.maximum.at(radii, parts.ravel(), depths.ravel())
        found += radii[1:].tolist()
    return max(float(np.median(found)), MIN_RADIUS) if found else MIN_RADIUS


def _fill_holes(foreground: NDArray[np.bool_], size: float) -> NDArray[np.bool_]:
    """Fill the holes that have fewer pixels than `size`."""
    holes: Integers = ndimage.label(~foreground)[0]
    is_small = np.bincount(holes.ravel()) < size
    is_small[labels_at_border(holes, holes.ndim)] = False
    is_small[0] = False
    filled: NDArray[np.bool_] = foreground | is_small[holes]
    return filled


def _dilate(region: NDArray[np.bool_], spacing: Floats) -> NDArray[np.bool_]:
    """Return the pixels of a region and those that are at most `BAND` from it."""
    padded, dilated = np.pad(region, BAND), region.copy()
    for step in ball(BAND, spacing):
        dilated |= padded[
            tuple(
                slice(BAND + n, BAND + n + length)
                for n, length in zip(step, region.shape, strict=True)
            )
        ]
    return dilated


def mean_blocks(radius: float, spacing: Floats) -> tuple[int, ...]:
    """Return the blocks of pixels that one mean of what is around is taken for.

    Parameters
    ----------
    radius : float
        Of a typical object, in steps of the finest axis.
    spacing : ndarray of float64, shape (2,) or (3,)
        Distance of neighbours along each axis, 1 along the finest.

    Returns
    -------
    tuple of int
        Pixels along each axis; means change so slowly that one for so many does.
    """
    return tuple(max(int(RADIUS * radius / step / BLOCKS), 1) for step in spacing.tolist())


def _local_mean(
    values: Floats, chosen: NDArray[np.bool_], typical: float, spacing: Floats
) -> Floats:
    """Return the mean of the chosen pixels around each one; far from them all that of no one."""
    block, radius = mean_blocks(typical, spacing), RADIUS * typical
    weights = _blur(block_reduce(chosen.astype(np.float64), block), radius, spacing * block)
    sums = _blur(block_reduce(values * chosen, block), radius, spacing * block)
    mean: Floats = sums / np.maximum(weights, 1e-6)
    for axis, side in enumerate(block):
        mean = mean.repeat(side, axis)
    return mean[tuple(slice(length) for length in values.shape)]


def _blur(values: Floats, radius: float, spacing: Floats) -> Floats:
    """Return about a Gaussian blur, in time that does not grow with its radius."""
    # two boxes of this side have together the variance of the Gaussian
    sides = [2 * int(math.sqrt(1.5) * radius / step) + 1 for step in spacing]
    blurred: Floats = ndimage.uniform_filter(ndimage.uniform_filter(values, sides), sides)
    return blurred
