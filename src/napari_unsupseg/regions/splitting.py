"""Touching objects, split where they are waisted."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.cluster.hierarchy import DisjointSet
from skimage.segmentation import watershed

from napari_unsupseg._typing import Floats, Integers
from napari_unsupseg.regions.optimal_cut import optimal_cut
from napari_unsupseg.regions.region_shapes import measure_roundness

__all__ = ["split_frames", "split_touching"]

BLUR = 1.0  # pixels; each dent of an outline would have a basin otherwise
TYPICAL_MARGIN = 0.06  # of squared roundness that a split must win


def split_touching(foreground: NDArray[np.bool_], spacing: Floats, split: float = 0.5) -> Integers:
    """Give each object of a foreground a label of its own, and touching ones two.

    Parameters
    ----------
    foreground : ndarray of bool, shape ([Z,] Y, X)
        Pixels of objects, of one frame.
    spacing : ndarray of float64, shape (2,) or (3,)
        Distance of neighbours along each axis, 1 along the finest.
    split : float
        How readily objects are split: 0 never, 1 at every waist.

    Returns
    -------
    ndarray of int64, shape ([Z,] Y, X)
        Objects from 1, 0 outside.

    Notes
    -----
    Basins of the distance to the outside are merged from the widest pass between two of them to
    the narrowest, which makes a hierarchy of each connected component. Its optimal cut is taken: a
    node is worth its area times the square of its roundness, and parts must be worth more than the
    whole by a share of its area. So two discs that touch are two objects, and an ellipse is one
    however long it is.
    """
    components: Integers = ndimage.label(foreground)[0].astype(np.int64)
    if split == 0 or not components.any():
        return components
    distance = _distance_to_outside(foreground, spacing)
    basins = watershed(-distance, mask=foreground).astype(np.int64)
    # what is thin beside something thick has no maximum of its own in the smoothed distance
    rest = ndimage.label(foreground & (basins == 0))[0]
    basins = np.where(rest > 0, basins.max() + rest, basins)
    n_basins = int(basins.max())
    pairs, widths = _find_passes(basins, distance)
    merges = _merge_basins(pairs[np.argsort(-widths, kind="stable")], n_basins)
    areas, roundness = measure_roundness(basins - 1, merges, foreground.ndim)
    margin = TYPICAL_MARGIN * (1 - split) / split
    nodes, _ = optimal_cut(merges, areas * roundness**2, margin * areas[n_basins:])
    labels: Integers = np.append(0, np.unique(nodes, return_inverse=True)[1] + 1)[basins]
    return labels


def split_frames(foreground: NDArray[np.bool_], spacing: Floats, split: float = 0.5) -> Integers:
    """Split the objects of each frame of a series.

    Parameters
    ----------
    foreground : ndarray of bool, shape (..., [Z,] Y, X)
        Pixels of objects.
    spacing : ndarray of float64, shape (2,) or (3,)
        Distance of neighbours along each axis of a frame, 1 along the finest.
    split : float
        How readily objects are split: 0 never, 1 at every waist.

    Returns
    -------
    ndarray of int64, shape (..., [Z,] Y, X)
        Objects from 1, none in two frames, 0 outside.
    """
    objects = np.zeros(foreground.shape, dtype=np.int64)
    n_found = 0
    for index in np.ndindex(foreground.shape[: -len(spacing)]):
        of_frame = split_touching(foreground[index], spacing, split)
        objects[index] = np.where(of_frame > 0, of_frame + n_found, 0)
        n_found += int(of_frame.max())
    return objects


def _distance_to_outside(foreground: NDArray[np.bool_], spacing: Floats) -> Floats:
    """Return the distance to what is no foreground, smoothed; beyond the frame there is none."""
    padded = ndimage.distance_transform_edt(np.pad(foreground, 1), sampling=spacing)
    inner = padded[(slice(1, -1),) * foreground.ndim]
    distance: Floats = ndimage.gaussian_filter(inner, BLUR / spacing)
    return distance


def _find_passes(basins: Integers, distance: Floats) -> tuple[Integers, Floats]:
    """Return the pairs of basins that touch, shape (P, 2), and the distance at each pass."""
    keys, heights = [], []
    n_labels = int(basins.max()) + 1
    for axis in range(basins.ndim):
        along, depths = np.moveaxis(basins, axis, 0), np.moveaxis(distance, axis, 0)
        near, far = along[:-1], along[1:]
        touches = (near != far) & (near > 0) & (far > 0)
        one, other = near[touches], far[touches]
        keys.append(np.minimum(one, other) * n_labels + np.maximum(one, other))
        heights.append(np.minimum(depths[:-1][touches], depths[1:][touches]))
    pairs, numbers = np.unique(np.concatenate(keys), return_inverse=True)
    widths = np.full(len(pairs), -math.inf)
    np.maximum.at(widths, numbers, np.concatenate(heights))
    return np.stack(np.divmod(pairs, n_labels), axis=1) - 1, widths


def _merge_basins(pairs: Integers, n_basins: int) -> Integers:
    """Merge the basins of each pair, in this order, unless they are together already."""
    sets = DisjointSet(range(n_basins))
    nodes = list(range(n_basins))  # what the set of each root is in the hierarchy
    merges = []
    for pair in pairs.tolist():
        one, other = (sets[basin] for basin in pair)
        if one != other:
            sets.merge(one, other)
            merges.append((nodes[one], nodes[other]))
            nodes[sets[one]] = n_basins + len(merges) - 1
    return np.array(merges, dtype=np.int64).reshape(-1, 2)
