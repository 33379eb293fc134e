"""Touching objects, split where they are waisted."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unsupseg._typing import Floats, Integers
from napari_unsupseg.regions.compiling import jit
from napari_unsupseg.regions.optimal_cut import optimal_cut
from napari_unsupseg.regions.pair_table import find, make_table, put
from napari_unsupseg.regions.region_shapes import measure_roundness

__all__ = ["Basins", "cut_basins", "find_basins", "split_touching"]

BLUR = 1.0  # pixels; each dent of an outline would have a basin otherwise
ROUNDING = 1e-6  # of distances that are the same
TYPICAL_MARGIN = 0.06  # of squared roundness that a split must win


class Basins(NamedTuple):
    """The parts that a foreground may be split into, and the hierarchy in which they merge.

    Attributes
    ----------
    numbers : ndarray of int32, shape (..., [Z,] Y, X)
        Basin of each pixel from 0, -1 outside the foreground.
    merges : ndarray of int64, shape (M, 2)
        Nodes that merge, in order; nodes below n are basins, node n + i is what merge i made. A
        connected component is a root.
    areas, roundness : ndarray of float64, shape (n + M,)
        Pixels of each node, and these over those of the ellipse of the same moments.
    """

    numbers: NDArray[np.int32]
    merges: Integers
    areas: Floats
    roundness: Floats


def split_touching(foreground: NDArray[np.bool_], spacing: Floats, split: float = 0.5) -> Integers:
    """Give each object of a foreground a label of its own, and touching ones two.

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

    Notes
    -----
    Basins of the distance to the outside are merged from the widest pass between two of them to
    the narrowest, which makes a hierarchy of each connected component. Its optimal cut is taken: a
    node is worth its area times the square of its roundness, and parts must be worth more than the
    whole by a share of its area. So two discs that touch are two objects, and an ellipse is one
    however long it is.
    """
    return cut_basins(find_basins(foreground, spacing), split)


def cut_basins(basins: Basins, split: float) -> Integers:
    """Join the basins of each object: what there is to do anew for another `split`.

    Parameters
    ----------
    basins : Basins
        What `find_basins` returned.
    split : float
        How readily objects are split: 0 never, 1 at every waist.

    Returns
    -------
    ndarray of int64, shape (..., [Z,] Y, X)
        Objects from 1, none in two frames, 0 outside.
    """
    n_basins = len(basins.areas) - len(basins.merges)
    margin = TYPICAL_MARGIN * (1 - split) / split if split > 0 else np.inf
    nodes, _ = optimal_cut(
        basins.merges, basins.areas * basins.roundness**2, margin * basins.areas[n_basins:]
    )
    return np.append(np.unique(nodes, return_inverse=True)[1] + 1, 0)[basins.numbers]


def find_basins(foreground: NDArray[np.bool_], spacing: Floats) -> Basins:
    """Find the parts that a foreground may be split into.

    Parameters
    ----------
    foreground : ndarray of bool, shape (..., [Z,] Y, X)
        Pixels of objects.
    spacing : ndarray of float64, shape (2,) or (3,)
        Distance of neighbours along each axis of a frame, 1 along the finest.

    Returns
    -------
    Basins
        The parts of all frames, and how these merge.
    """
    ndim, n_basins = len(spacing), 0
    numbers = np.full(foreground.shape, -1, dtype=np.int64)
    found = []
    for index in np.ndindex(foreground.shape[:-ndim]):
        distance = _distance_to_outside(foreground[index], spacing)
        of_frame, peaks, pairs, widths = _find_passes(distance)
        numbers[index][foreground[index]] = of_frame[foreground[index]] + n_basins
        found.append((peaks, pairs + n_basins, widths))
        n_basins += len(peaks)
    peaks, pairs, widths = (np.concatenate(of_frames) for of_frames in zip(*found, strict=True))
    in_order = np.argsort(-widths, kind="stable")
    joined = _join_flat(pairs[in_order], widths[in_order], peaks)
    left, joined = np.unique(joined, return_inverse=True)
    merges = _merge_basins(joined[pairs[in_order]], len(left))
    numbers = np.append(joined, -1)[numbers]
    areas, roundness = measure_roundness(numbers, merges, ndim)
    return Basins(numbers.astype(np.int32), merges, areas, roundness)


def _distance_to_outside(foreground: NDArray[np.bool_], spacing: Floats) -> Floats:
    """Return the smoothed distance to what is no foreground, 0 there and in a margin of a pixel."""
    padded = np.pad(foreground, 1)
    distance = ndimage.distance_transform_edt(padded, sampling=spacing)
    inner = (slice(1, -1),) * foreground.ndim  # beyond the frame there is no foreground
    distance[inner] = ndimage.gaussian_filter(distance[inner], BLUR / spacing)
    smoothed: Floats = distance * padded
    return smoothed


def _find_passes(distance: Floats) -> tuple[Integers, Floats, Integers, Floats]:
    """Climb from each pixel to a maximum of the distance, whose basin it lies in.

    Return the basin of each pixel from 0, -1 outside, without the margin; the maximum of each; the
    pairs of basins that touch, shape (P, 2); and the distance at the widest pass of each pair.
    """
    offsets = np.array(distance.strides) // distance.itemsize
    basins, peaks = _climb(distance.ravel(), offsets)
    pairs, widths = _list_passes(distance.ravel(), offsets, basins)
    inner = (slice(1, -1),) * distance.ndim
    return basins.reshape(distance.shape)[inner], peaks, pairs, widths


@jit()
def _climb(distance: Floats, offsets: Integers) -> tuple[Integers, Floats]:
    """Return the basin of each pixel, and the maxima; of equal neighbours the later is higher."""
    higher = np.arange(len(distance))
    for pixel in range(len(distance)):
        if distance[pixel] > 0:
            for offset in offsets:
                for near in (pixel - offset, pixel + offset):
                    step = distance[near] - distance[higher[pixel]]
                    if step > 0 or (step == 0 and near > higher[pixel]):
                        higher[pixel] = near
    tops = np.flatnonzero((higher == np.arange(len(distance))) & (distance > 0))
    basins = np.full(len(distance), -1)
    basins[tops] = np.arange(len(tops))
    for pixel in range(len(distance)):
        if distance[pixel] > 0:
            basins[pixel] = basins[_root(higher, pixel)]
    return basins, distance[tops]


@jit()
def _list_passes(distance: Floats, offsets: Integers, basins: Integers) -> tuple[Integers, Floats]:
    """Return the pairs of basins that touch, and the distance at the widest pass of each."""
    n_crossings = 0
    for pixel in range(len(basins)):
        for offset in offsets:
            if basins[pixel] >= 0 and basins[pixel - offset] not in (-1, basins[pixel]):
                n_crossings += 1
    table, n_pairs = make_table(2 * n_crossings), 0
    pairs, widths = np.empty((n_crossings, 2), dtype=np.int64), np.zeros(n_crossings)
    for pixel in range(len(basins)):
        for offset in offsets:
            one, other = basins[pixel], basins[pixel - offset]
            if one < 0 or other in (-1, one):
                continue
            if find(table, one, other) < 0:
                put(table, one, other, np.int64(n_pairs))
                pairs[n_pairs, 0], pairs[n_pairs, 1] = one, other
                n_pairs += 1
            index = find(table, one, other)
            width = min(distance[pixel], distance[pixel - offset])
            widths[index] = max(widths[index], width)
    return pairs[:n_pairs], widths[:n_pairs]


@jit()
def _join_flat(pairs: Integers, widths: Floats, peaks: Floats) -> Integers:
    """Return the basin that each one is part of, as its pass is no narrower than it is itself."""
    parents, highest = np.arange(len(peaks)), peaks.copy()
    for index in range(len(pairs)):  # from the widest pass on
        one, other = _root(parents, pairs[index, 0]), _root(parents, pairs[index, 1])
        if one != other and min(highest[one], highest[other]) <= widths[index] + ROUNDING:
            parents[other] = one
            highest[one] = max(highest[one], highest[other])
    for basin in range(len(parents)):
        parents[basin] = _root(parents, basin)
    return parents


@jit()
def _merge_basins(pairs: Integers, n_basins: int) -> Integers:
    """Merge the basins of each pair, in this order, unless they are together already."""
    parents = np.arange(2 * n_basins)  # of basins and nodes; a root is its own
    merges = np.empty((n_basins, 2), dtype=np.int64)
    n_merges = 0
    for index in range(len(pairs)):
        roots = (_root(parents, pairs[index, 0]), _root(parents, pairs[index, 1]))
        if roots[0] != roots[1]:
            merges[n_merges] = roots
            parents[roots[0]] = parents[roots[1]] = n_basins + n_merges
            n_merges += 1
    return merges[:n_merges]


@jit()
def _root(parents: Integers, node: int) -> int:
    """Return the root above a node, and halve the way to it."""
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node
