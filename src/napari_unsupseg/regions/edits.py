"""Corrections by hand that outlast the labels they were made on.

An edit knows by its pixels which regions were meant, and not by their numbers, so that it can be
made again on other labels of the same image: those of another granularity, or of other filters.
"""

import dataclasses
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unsupseg._typing import Labels
from napari_unsupseg._words import count

__all__ = [
    "Edit",
    "EditHistory",
    "Join",
    "PixelSet",
    "Remove",
    "Repaint",
    "Split",
    "Target",
    "describe_edit",
]

MAX_POINTS = 64  # pixels that a region which was painted with is known by
GROUND, FIRST_TARGET = 1, 2  # codes of `Repaint`

Mask = NDArray[np.bool_]
Box = tuple[slice, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class PixelSet:
    """Some pixels of an image.

    Attributes
    ----------
    start : tuple of int
        The corner of the box around them, along each axis.
    mask : ndarray of bool
        Which pixels of the box they are.
    """

    start: tuple[int, ...]
    mask: Mask

    @classmethod
    def where(cls, mask: Mask) -> Self:
        """Return the pixels at which a mask of the whole image, shape (..., Y, X), is True."""
        [box] = ndimage.find_objects(mask.astype(np.uint8))
        return cls(tuple(side.start for side in box), mask[box].copy())

    @property
    def box(self) -> Box:
        """The box around them, as an index of the image."""
        sides = zip(self.start, self.mask.shape, strict=True)
        return tuple(slice(start, start + length) for start, length in sides)

    @property
    def size(self) -> int:
        """How many they are."""
        return int(np.count_nonzero(self.mask))


class _Canvas:
    """Labels that edits are made on, with what spares an edit to look at all of them.

    Parameters
    ----------
    labels : ndarray of unsigned integers
        Labels, which stay as they are.

    Attributes
    ----------
    labels : ndarray of unsigned integers
        The labels as they are after the edits so far.
    sizes : ndarray of int64, shape (labels,)
        Pixels of each label.
    boxes : dict of int to tuple of slice
        For each label a box that has all its pixels.
    """

    def __init__(self, labels: Labels) -> None:
        self.labels = labels.copy()
        self.sizes = np.bincount(labels.ravel())
        self.boxes: dict[int, Box] = dict(enumerate(ndimage.find_objects(labels), start=1))

    def main_label(self, pixels: PixelSet) -> int:
        """Return the label of more than half of some pixels, or 0 if none has so many."""
        counts = np.bincount(self.labels[pixels.box][pixels.mask])
        label = int(counts.argmax())
        return label if 2 * counts[label] > counts.sum() else 0

    def labels_within(self, pixels: PixelSet) -> list[int]:
        """Return the labels of which more than half lies in some pixels."""
        counts = np.bincount(self.labels[pixels.box][pixels.mask], minlength=len(self.sizes))
        counts[0] = 0
        return np.flatnonzero(2 * counts > self.sizes).tolist()

    def unused_label(self, wanted: int, besides: Sequence[int] = ()) -> int:
        """Return a label that is not used yet, nor among others: the wanted one, or else a new."""
        is_used = wanted < len(self.sizes) and (wanted <= 0 or self.sizes[wanted] > 0)
        return max(len(self.sizes) - 1, *besides, 0) + 1 if is_used or wanted in besides else wanted

    def relabel(self, labels: Sequence[int], new: int) -> None:
        """Give all pixels of some labels, which are used, another one, which is used or 0."""
        box = _box_around([self.boxes[label] for label in labels])
        part = self.labels[box]
        part[np.isin(part, labels)] = new
        if new:
            self.boxes[new] = box
        n_pixels = self.sizes[labels].sum()
        self.sizes[labels] = 0
        self.sizes[new] += n_pixels

    def paint(self, box: Box, where: Mask, values: NDArray[np.int64]) -> bool:
        """Write labels into pixels of a box, and tell whether that changes any."""
        before = self.labels[box][where]
        if np.array_equal(before, values):
            return False
        for label in np.unique(values[values > 0]).tolist():
            self.boxes[label] = _box_around([box, self.boxes.get(label) or box])
        greatest = max(int(values.max()), len(self.sizes) - 1)
        new_dtype = np.promote_types(self.labels.dtype, np.min_scalar_type(greatest))
        self.labels = self.labels.astype(new_dtype, copy=False)
        self.labels[box][where] = values
        self.sizes = np.pad(self.sizes, (0, greatest + 1 - len(self.sizes)))
        for labels, change in ((before, -1), (values, 1)):
            self.sizes += change * np.bincount(labels, minlength=len(self.sizes))
        return True


@dataclasses.dataclass(frozen=True, eq=False)
class Remove:
    """Regions made ground.

    Of other labels those go of which more than half lies in what was removed: also parts of it, but
    nothing that is much larger.

    Attributes
    ----------
    pixels : PixelSet
        All their pixels.
    n_regions : int
        How many there were.
    """

    pixels: PixelSet
    n_regions: int

    def text(self, noun: str) -> str:
        """Say what was done to regions that are called by a noun."""
        return f"removed {count(self.n_regions, noun)}"

    def apply(self, canvas: _Canvas) -> bool:
        """Do it to other labels, and tell whether there was anything to do."""
        removed = canvas.labels_within(self.pixels)
        if removed:
            canvas.relabel(removed, 0)
        return bool(removed)


@dataclasses.dataclass(frozen=True, eq=False)
class Join:
    """Regions that are one.

    Of other labels those become one that have more than half of a part, or lie in one by more than
    half of themselves.

    Attributes
    ----------
    parts : tuple of PixelSet
        The regions; all of them have had the number of the first since.
    """

    parts: tuple[PixelSet, ...]

    def text(self, noun: str) -> str:
        """Say what was done to regions that are called by a noun."""
        return f"joined {count(len(self.parts), noun)}"

    def apply(self, canvas: _Canvas) -> bool:
        """Do it to other labels, and tell whether there was anything to do."""
        joined: list[int] = []
        for part in self.parts:
            joined += [canvas.main_label(part), *canvas.labels_within(part)]
        joined = [label for label in dict.fromkeys(joined) if label]  # each once, in this order
        if len(joined) < 2:
            return False
        canvas.relabel(joined, joined[0])
        return True


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """A region that is two.

    Of other labels that one is split which has more than half of either piece: each of its pixels
    goes to the nearer piece. It is not if most of the cut would be beside what was split, as in a
    region that is much larger.

    Attributes
    ----------
    kept, parted : PixelSet
        The piece that has kept the number, and the one that has a new one.
    label : int
        The new number.
    """

    kept: PixelSet
    parted: PixelSet
    label: int

    def text(self, noun: str) -> str:
        """Say what was done to regions that are called by a noun."""
        return f"split one {noun}"

    def apply(self, canvas: _Canvas) -> bool:
        """Do it to other labels, and tell whether there was anything to do."""
        label = canvas.main_label(self.kept)
        if not label or label != canvas.main_label(self.parted):
            return False
        box = _box_around([canvas.boxes[label], self.kept.box, self.parted.box])
        pieces = np.zeros([side.stop - side.start for side in box], dtype=np.uint8)
        for number, piece in enumerate((self.kept, self.parted), start=1):
            pieces[_shifted(piece.box, box)][piece.mask] = number
        of_label, is_known = canvas.labels[box] == label, pieces > 0
        if np.any(of_label & ~is_known):
            nearest = ndimage.distance_transform_edt(
                ~is_known, return_distances=False, return_indices=True
            )
            pieces = pieces[tuple(nearest)]
        parted = of_label & (pieces == 2)
        cut = parted & ndimage.binary_dilation(of_label & (pieces == 1))
        if 2 * np.count_nonzero(cut & is_known) < np.count_nonzero(cut):
            return False
        new_label = canvas.unused_label(self.label)
        return canvas.paint(box, parted, np.full(np.count_nonzero(parted), new_label))


@dataclasses.dataclass(frozen=True, eq=False)
class Target:
    """The region that pixels were painted to belong to.

    Attributes
    ----------
    label : int
        Its number.
    points : ndarray of int64, shape (n, axes)
        Some of its pixels, by which it is known again; none of a region that was new.
    """

    label: int
    points: NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class Repaint:
    """Pixels that were made ground, or to belong to a region: one that was there, or a new one.

    On other labels they belong to the region that has most of the target's points. Where that is
    ground, they stay as they are.

    Attributes
    ----------
    start : tuple of int
        The corner of the box around them.
    codes : ndarray of unsigned integers
        For each pixel of the box 0 if it was not painted, 1 if it was made ground, and the number
        of a target, from 2.
    targets : tuple of Target
        The regions.
    """

    start: tuple[int, ...]
    codes: NDArray[np.unsignedinteger]
    targets: tuple[Target, ...]

    def text(self, noun: str) -> str:
        """Say what was done, whatever regions are called."""
        n_erased = np.count_nonzero(self.codes == GROUND)
        n_painted = np.count_nonzero(self.codes) - n_erased
        done = {"painted": n_painted, "erased": n_erased}
        return " and ".join(f"{verb} {count(n, 'pixel')}" for verb, n in done.items() if n)

    def apply(self, canvas: _Canvas) -> bool:
        """Do it to other labels, and tell whether there was anything to do."""
        found: list[int] = []
        for target in self.targets:
            if len(target.points):
                label = int(np.bincount(canvas.labels[tuple(target.points.T)]).argmax())
            else:
                label = canvas.unused_label(target.label, found)
            found.append(label)
        by_code = np.array([0, 0, *found])
        is_painted = np.array([False, True, *(label > 0 for label in found)])[self.codes]
        if not is_painted.any():
            return False
        box = PixelSet(self.start, is_painted).box
        return canvas.paint(box, is_painted, by_code[self.codes[is_painted]])


Edit = Remove | Join | Split | Repaint


def describe_edit(before: Labels, after: Labels) -> Edit | None:
    """Find out what was done to labels.

    Parameters
    ----------
    before, after : ndarray of unsigned integers
        Labels from 1, 0 for ground; the same shape.

    Returns
    -------
    Edit or None
        `Remove` where all that has changed is that some labels are ground, `Join` where some have
        the number of another one, `Split` where a part of one has a new number, and `Repaint` where
        anything else has changed. None if nothing has.

    Examples
    --------
    >>> before = np.array([[1, 1, 0, 2, 2, 2]], dtype=np.uint8)
    >>> describe_edit(before, np.array([[1, 1, 0, 1, 1, 1]], dtype=np.uint8)).text("cell")
    'joined 2 cells'
    >>> describe_edit(before, np.array([[1, 1, 0, 2, 2, 3]], dtype=np.uint8)).text("cell")
    'split one cell'
    >>> describe_edit(before, np.array([[0, 1, 0, 2, 2, 2]], dtype=np.uint8)).text("cell")
    'erased 1 pixel'
    """
    changed = before != after
    if not changed.any():
        return None
    old, new = np.unique(before[changed]), np.unique(after[changed])
    if old[0] and len(new) == 1:  # regions alone were changed, to one label
        label, is_left = int(new[0]), np.isin(old, after)
        was_there = bool(np.any(before == label))
        if not label and not is_left.any():
            return Remove(PixelSet.where(changed), len(old))
        if label and was_there and not is_left.any():
            return Join(tuple(PixelSet.where(before == one) for one in (label, *old)))
        if label and not was_there and is_left.all() and len(old) == 1:
            kept = PixelSet.where(after == old[0])
            return Split(kept, PixelSet.where(changed), label)
    pixels = PixelSet.where(changed)
    painted = new[new != 0]
    codes = np.zeros(pixels.mask.shape, np.min_scalar_type(FIRST_TARGET + len(painted)))
    values = after[pixels.box][pixels.mask]
    codes[pixels.mask] = np.where(
        values == 0, GROUND, FIRST_TARGET + np.searchsorted(painted, values)
    )
    targets = tuple(Target(int(label), _points_of(before == label, changed)) for label in painted)
    return Repaint(pixels.start, codes, targets)


def _points_of(region: Mask, painted: Mask) -> NDArray[np.int64]:
    """Return some pixels of a region, evenly spread, that were not painted if there are any."""
    pixels = np.flatnonzero(region & ~painted)
    if not len(pixels):
        pixels = np.flatnonzero(region)
    n_points = min(MAX_POINTS, len(pixels))
    spread = (np.arange(n_points) * 2 + 1) * len(pixels) // (2 * max(1, n_points))
    return np.stack(np.unravel_index(pixels[spread], region.shape), axis=1).astype(np.int64)


def _box_around(boxes: Sequence[Box]) -> Box:
    """Return the smallest box that has all of these in it."""
    return tuple(
        slice(min(side.start for side in sides), max(side.stop for side in sides))
        for sides in zip(*boxes, strict=True)
    )


def _shifted(box: Box, outer: Box) -> Box:
    """Return a box as an index of another one that it lies in."""
    return tuple(
        slice(side.start - around.start, side.stop - around.start)
        for side, around in zip(box, outer, strict=True)
    )


@dataclasses.dataclass(frozen=True, eq=False)
class EditHistory:
    """Edits in their order, which can be undone from the last one back, and done again.

    Attributes
    ----------
    done : tuple of Edit
        Those that hold, from the first.
    undone : tuple of Edit
        Those that were undone, the last of them last.
    """

    done: tuple[Edit, ...] = ()
    undone: tuple[Edit, ...] = ()

    def add(self, edit: Edit) -> Self:
        """Return the history with another edit, after which nothing undone can be done again."""
        return dataclasses.replace(self, done=(*self.done, edit), undone=())

    def undo(self) -> Self:
        """Return the history without its last edit; the same one if it has none."""
        return dataclasses.replace(self, done=self.done[:-1], undone=self.undone + self.done[-1:])

    def redo(self) -> Self:
        """Return the history with the edit that was undone last; the same one if none was."""
        return dataclasses.replace(self, done=self.done + self.undone[-1:], undone=self.undone[:-1])

    def undo_all(self) -> Self:
        """Return the history without any edit; they can be done again one by one."""
        return dataclasses.replace(self, done=(), undone=self.undone + self.done[::-1])

    def apply(self, labels: Labels) -> tuple[Labels, tuple[bool, ...]]:
        """Edit labels.

        Parameters
        ----------
        labels : ndarray of unsigned integers
            Labels from 1, 0 for ground, of the shape of those that the edits were made on.

        Returns
        -------
        ndarray of unsigned integers
            The labels after all edits. They are those that the user saw if they were the same
            before.
        tuple of bool
            Of each edit whether it has changed any label.

        Examples
        --------
        >>> labels = np.array([[1, 1, 0, 2, 2, 2]], dtype=np.uint8)
        >>> history = EditHistory().add(describe_edit(labels, np.where(labels == 1, 0, labels)))
        >>> history.apply(np.array([[3, 0, 0, 1, 1, 1]], dtype=np.uint8))
        (array([[0, 0, 0, 1, 1, 1]], dtype=uint8), (True,))
        >>> history.apply(np.array([[1, 1, 1, 1, 1, 1]], dtype=np.uint8))
        (array([[1, 1, 1, 1, 1, 1]], dtype=uint8), (False,))
        """
        if not self.done:
            return labels.copy(), ()
        canvas = _Canvas(labels)
        applied = tuple(edit.apply(canvas) for edit in self.done)
        return canvas.labels, applied
