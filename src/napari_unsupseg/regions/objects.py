"""Objects made of a foreground: touching ones apart, specks left out, one number over time."""

import itertools

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg._typing import Integers, Labels
from napari_unsupseg.regions.labels import label_dtype, labels_at_border, number_connected
from napari_unsupseg.regions.splitting import Basins, cut_basins

__all__ = ["link_objects", "make_objects", "number_in_frames"]

SPECK = 0.1  # of the size of the object that the middle one of the foreground's pixels lies in


def make_objects(
    basins: Basins,
    ndim: int,
    *,
    split: float = 0.5,
    min_size: int | None = None,
    max_size: int | None = None,
    exclude_border: bool = False,
) -> Labels:
    """Make objects of a foreground.

    Parameters
    ----------
    basins : Basins, shape (..., [Z,] Y, X)
        The parts of the foreground, from `find_basins`.
    ndim : int
        Axes of a frame, 2 or 3, the last ones.
    split, min_size, max_size, exclude_border
        See `napari_unsupseg.options.ObjectOptions`.

    Returns
    -------
    ndarray of uint8, uint16 or uint32, shape (..., [Z,] Y, X)
        Objects from 1, without gaps, 0 elsewhere. In a series two objects of frames that follow
        each other have one number if each is what the other overlaps most.
    """
    objects = cut_basins(basins, split)
    sizes = np.bincount(objects.ravel())
    sizes[0] = 0
    kept = sizes >= (_speck_size(sizes) if min_size is None else min_size)
    if max_size is not None:
        kept &= sizes <= max_size
    if exclude_border:
        kept[labels_at_border(objects, ndim)] = False
    kept[0] = False
    return link_objects(np.where(kept, np.cumsum(kept), 0)[objects], ndim)


def _speck_size(sizes: Integers) -> float:
    """Return the size below which an object is a speck beside those that most pixels lie in."""
    ordered = np.sort(sizes)
    middle = np.searchsorted(np.cumsum(ordered), ordered.sum() / 2)
    return SPECK * float(ordered[middle])


def link_objects(objects: NDArray[np.integer], ndim: int) -> Labels:
    """Give an object of a frame the number of the one that it goes on from in the frame before.

    Parameters
    ----------
    objects : ndarray of int, shape (..., [Z,] Y, X)
        Objects from 1, none in two frames, 0 elsewhere.
    ndim : int
        Axes of a frame, 2 or 3, the last ones; frames follow each other along the axis before.

    Returns
    -------
    ndarray of uint8, uint16 or uint32, shape (..., [Z,] Y, X)
        Objects from 1, without gaps. Two of frames that follow each other have one number if each
        is what the other overlaps most.
    """
    n_objects = int(objects.max(initial=0))
    edges: list[Integers] = []
    if objects.ndim > ndim:  # frames follow each other along the last axis before theirs
        for series in objects.reshape(-1, *objects.shape[-ndim - 1 :]):
            edges += [_match(*pair) for pair in itertools.pairwise(series)]
    n_numbers, numbers = number_connected(edges, n_objects)
    labels: Labels = numbers.astype(label_dtype(n_numbers))[objects]
    return labels


def number_in_frames(objects: NDArray[np.integer], ndim: int) -> tuple[Integers, NDArray[np.intp]]:
    """Give what each object has in each frame a number of its own.

    Parameters
    ----------
    objects : ndarray of int, shape (..., [Z,] Y, X)
        Objects from 1, 0 elsewhere.
    ndim : int
        Axes of a frame, 2 or 3, the last ones.

    Returns
    -------
    parts : ndarray of int64, shape (..., [Z,] Y, X)
        Parts from 1, 0 elsewhere.
    whose : ndarray of int, shape (parts,)
        The object that each part is of.

    Examples
    --------
    >>> parts, whose = number_in_frames(np.array([[[1, 0, 2]], [[0, 0, 2]]]), 2)
    >>> parts.tolist(), whose.tolist()
    ([[[1, 0, 2]], [[0, 0, 3]]], [1, 2, 2])
    """
    frames = objects.reshape(-1, *objects.shape[-ndim:]).astype(np.int64)
    step = int(frames.max(initial=0)) + 1
    firsts = (np.arange(len(frames)) * step).reshape(-1, *[1] * ndim)
    keys = np.where(frames > 0, frames + firsts, 0)
    known, numbers = np.unique(keys, return_inverse=True)
    has_ground = known[0] == 0
    parts: Integers = numbers.reshape(objects.shape) + (not has_ground)
    return parts, known[int(has_ground) :] % step


def _match(before: Integers, after: Integers) -> Integers:
    """Return the pairs of objects of which each is what the other overlaps most, shape (2, P)."""
    both = np.stack([before, after])[:, (before > 0) & (after > 0)]
    pairs, overlaps = np.unique(both, axis=1, return_counts=True)
    pairs = pairs[:, np.argsort(overlaps, kind="stable")]  # what is written last is the largest
    following = np.zeros(int(before.max()) + 1, dtype=np.int64)
    following[pairs[0]] = pairs[1]
    preceding = np.zeros(int(after.max()) + 1, dtype=np.int64)
    preceding[pairs[1]] = pairs[0]
    is_mutual = (following[pairs[0]] == pairs[1]) & (preceding[pairs[1]] == pairs[0])
    mutual: Integers = pairs[:, is_mutual]
    return mutual
