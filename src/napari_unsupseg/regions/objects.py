"""Objects made of a foreground: touching ones apart, specks left out, one number over time."""

import itertools

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg._typing import Integers, Labels
from napari_unsupseg.regions.labels import label_dtype, labels_at_border, number_connected
from napari_unsupseg.regions.splitting import Basins, cut_basins

__all__ = [
    "best_matches",
    "count_overlaps",
    "link_objects",
    "make_objects",
    "number_in_frames",
    "select_objects",
    "typical_size",
]

Overlaps = tuple[Integers, NDArray[np.intp]]

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
    sizes, at_border = np.bincount(objects.ravel()), labels_at_border(objects, ndim)
    numbers = select_objects(sizes, at_border, min_size, max_size, exclude_border)
    return link_objects(numbers[objects], ndim)


def select_objects(
    sizes: Integers,
    at_border: NDArray[np.integer],
    min_size: int | None = None,
    max_size: int | None = None,
    exclude_border: bool = False,
) -> Integers:
    """Choose the objects to keep, and number them anew.

    Parameters
    ----------
    sizes : ndarray of int64, shape (objects + 1,)
        Pixels of each object; the first is the ground.
    at_border : ndarray of int, shape (n,)
        Those that touch the border of a frame.
    min_size, max_size, exclude_border
        See `make_objects`.

    Returns
    -------
    ndarray of int64, shape (objects + 1,)
        New number of each object from 1, without gaps; 0 of those left out.
    """
    sizes = np.append(0, sizes[1:])
    is_kept = sizes >= max(1, SPECK * typical_size(sizes) if min_size is None else min_size)
    if max_size is not None:
        is_kept &= sizes <= max_size
    if exclude_border:
        is_kept[at_border] = False
    return np.where(is_kept, np.cumsum(is_kept), 0)


def typical_size(sizes: Integers) -> int:
    """Return the size of the object that the middle one of all objects' pixels lies in.

    Parameters
    ----------
    sizes : ndarray of int64, shape (n,)
        Pixels of each object.

    Returns
    -------
    int
        Pixels; small objects hardly count, however many there are.
    """
    ordered = np.sort(sizes)
    return int(ordered[np.searchsorted(np.cumsum(ordered), ordered.sum() / 2)])


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
            pairs = itertools.pairwise(series)
            edges += [best_matches(*count_overlaps(*pair)) for pair in pairs]
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


def count_overlaps(before: NDArray[np.integer], after: NDArray[np.integer]) -> Overlaps:
    """Count the pixels that objects of two frames have in common.

    Parameters
    ----------
    before, after : ndarray of int, shape ([Z,] Y, X)
        Objects from 1 of the same part of two frames.

    Returns
    -------
    pairs : ndarray of int64, shape (2, P)
        Objects that overlap: one before, one after.
    counts : ndarray of int64, shape (P,)
        Pixels that each pair has in common.
    """
    both = np.stack([before, after])[:, (before > 0) & (after > 0)].astype(np.int64)
    return np.unique(both, axis=1, return_counts=True)


def best_matches(pairs: Integers, counts: Integers) -> Integers:
    """Return the pairs of objects of which each is what the other overlaps most.

    Parameters
    ----------
    pairs : ndarray of int64, shape (2, P)
        Objects that overlap, each pair once, in ascending order.
    counts : ndarray of int64, shape (P,)
        Pixels that each pair has in common.

    Returns
    -------
    ndarray of int64, shape (2, M)
        Those pairs.
    """
    pairs = pairs[:, np.argsort(counts, kind="stable")]  # what is written last is the largest
    before, after = pairs
    following = np.zeros(int(before.max(initial=0)) + 1, dtype=np.int64)
    following[before] = after
    preceding = np.zeros(int(after.max(initial=0)) + 1, dtype=np.int64)
    preceding[after] = before
    mutual: Integers = pairs[:, (following[before] == after) & (preceding[after] == before)]
    return mutual
