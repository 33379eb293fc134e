"""Objects of an image that is larger than memory, found block by block.

What they are made of, bright things or dark ones, is decided once for the whole image, on crops
from all over it: a block of nothing but ground, asked by itself, would find objects in its noise.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unsupseg._typing import Integers, Track
from napari_unsupseg.image.normalize import NormalizedImage
from napari_unsupseg.image.tiling import Slices, add_halo, block_slices
from napari_unsupseg.options import ObjectOptions
from napari_unsupseg.regions.colours import perceptual_colours
from napari_unsupseg.regions.foreground import (
    ForegroundModel,
    mean_blocks,
    principal_intensities,
    refine_outlines,
)
from napari_unsupseg.regions.labels import number_connected
from napari_unsupseg.regions.measure import SHAPES, Table, combine_measurements
from napari_unsupseg.regions.objects import best_matches, count_overlaps, select_objects
from napari_unsupseg.regions.splitting import split_touching
from napari_unsupseg.regions.stitching import match_segments, renumber

if TYPE_CHECKING:
    import zarr

__all__ = ["find_part_objects", "halo_of_objects", "measure_by_windows", "stitch_objects"]

REACH = 6  # radii of a typical object from which its outline depends on what is around it
EXTENTS = 2  # of what objects that touch cover together: mostly more than they measure across
MAX_HALO = 0.5  # of a chunk
# pixels of the bounding box of an object that is loaded whole to be measured
MEASURED_PIXELS = 2**22


def halo_of_objects(model: ForegroundModel, chunk: Sequence[int]) -> list[int]:
    """Return how much of what is around a chunk its objects are found with.

    Parameters
    ----------
    model : ForegroundModel
        How large objects are.
    chunk : sequence of int
        Sides of a chunk along the axes of a frame.

    Returns
    -------
    list of int
        Pixels along each axis of a frame, at most half of a chunk.
    """
    beyond = REACH * model.radius + EXTENTS * model.extent
    return [
        min(math.ceil(beyond / step), int(MAX_HALO * side))
        for step, side in zip(model.spacing, chunk, strict=True)
    ]


def find_part_objects(
    read: Callable[[Slices], NormalizedImage],
    clusters: "zarr.Array[Any]",
    part: Slices,
    model: ForegroundModel,
    split: float = 0.5,
) -> Integers:
    """Find the objects of a part of an image, of any size.

    Parameters
    ----------
    read : callable
        Returns a part of the image, normalised as all others.
    clusters : zarr.Array of unsigned integers, shape (..., [Z,] Y, X)
        Clusters of the image.
    part : tuple of slice
        The part.
    model : ForegroundModel
        What objects are made of in the whole image.
    split : float
        How readily objects are split: 0 never, 1 at every waist.

    Returns
    -------
    ndarray of int64, shape (..., [z,] y, x)
        Objects by numbers above 0, none in two frames, 0 elsewhere.
    """
    if not np.isin(np.asarray(clusters[part]), model.clusters).any():  # need not be read
        return np.zeros([along.stop - along.start for along in part], dtype=np.int64)
    # an outline depends on means over blocks, which have to lie as in the whole image
    sides = mean_blocks(model.radius, model.spacing)
    before = [0] * (len(part) - len(sides)) + [
        along.start % side for along, side in zip(part[-len(sides) :], sides, strict=True)
    ]
    wide = tuple(slice(along.start - n, along.stop) for along, n in zip(part, before, strict=True))
    image = read(wide)
    intensities = principal_intensities(perceptual_colours(image)[0], image.valid, model.axis)
    foreground = np.isin(np.asarray(clusters[wide]), model.clusters) & image.valid
    refined = refine_outlines(foreground, intensities, image.valid, model.spacing, model.radius)
    inner = tuple(slice(n, None) for n in before)
    return split_touching(refined, model.spacing, split)[inner]


def stitch_objects(
    find: Callable[[Slices], Integers],
    objects: "zarr.Array[Any]",
    halo: Sequence[int],
    track: Track[Slices],
    *,
    min_size: int | None = None,
    **options: Unpack[ObjectOptions],
) -> int:
    """Give every object of an image a number, each chunk's being found with what is around it.

    Parameters
    ----------
    find : callable
        Objects of a part of the image, from 1; 0 elsewhere.
    objects : zarr.Array of uint32, shape (..., [Z,] Y, X)
        Where the objects go, from 1 without gaps; a chunk lies in one frame.
    halo : sequence of int
        Pixels around a chunk that its objects are found with, along each axis of a frame.
    track : callable
        Goes through the chunks.
    min_size, **options
        See `Hierarchy.objects`; `split` is for `find` to follow.

    Returns
    -------
    int
        How many there are.

    Notes
    -----
    A chunk's objects are written as far as they reach, into the chunks around it too, unless a
    chunk before has had these pixels. So none is cut where chunks meet. One that was found before
    is found again, and has the number that it has, if both are more than half of the other in what
    both chunks have seen. An object that lies, with all that touches it and as much around as its
    outline depends on, in a chunk and its halo is found in each chunk that it lies in, and as in
    the whole image; larger ones are joined as well as may be. Sizes and borders are those of whole
    objects, and the automatic smallest size is one for the whole image.
    """
    ndim, blocks = len(halo), block_slices(objects.shape, objects.chunks)
    for block in blocks:
        objects[block] = 0  # of a call that was stopped
    n_found = 0
    for block in track(blocks, "objects"):
        n_found = _add_objects(find, objects, block, halo, n_found)
    sizes, at_border = _measure_sizes(objects, n_found, ndim, track)
    chosen = {name: value for name, value in options.items() if name != "split"}
    numbers = select_objects(sizes, at_border, min_size, **chosen)  # type: ignore[arg-type]
    n_left, linked = number_connected(list(_links(objects, numbers, ndim)), int(numbers.max()))
    renumber(objects, linked[numbers], track)
    return n_left


def _add_objects(
    find: Callable[[Slices], Integers],
    objects: "zarr.Array[Any]",
    block: Slices,
    halo: Sequence[int],
    n_found: int,
) -> int:
    """Write the objects that reach into a block; return how many numbers are given now."""
    halos = [0] * (objects.ndim - len(halo)) + list(halo)
    outer, inner = add_halo(block, halos, objects.shape)
    local = find(outer)
    inside = np.unique(local[inner])
    inside = inside[inside > 0]
    if not len(inside):
        return n_found
    numbers = np.zeros(int(local.max()) + 1, dtype=np.int64)
    numbers[inside] = np.arange(n_found + 1, n_found + len(inside) + 1)
    before = np.asarray(objects[outer])
    # of what blocks before have seen with their halos, all that lies before the end of a halo
    was_seen = np.zeros(local.shape, dtype=bool)
    for axis, (part, n_beyond, wide) in enumerate(zip(block, halos, outer, strict=True)):
        if part.start > 0:
            seen = slice(0, part.start + n_beyond - wide.start)
            was_seen[(slice(None),) * axis + (seen,)] = True
    ours, theirs = match_segments(np.where(was_seen, numbers[local], 0), before)
    again = np.arange(n_found + len(inside) + 1)
    again[ours] = theirs
    objects[outer] = np.where(before > 0, before, again[numbers[local]])
    return n_found + len(inside)


def _measure_sizes(
    objects: "zarr.Array[Any]", n_objects: int, ndim: int, track: Track[Slices]
) -> tuple[NDArray[np.int64], Integers]:
    """Return the pixels of each object, (objects + 1,), and those at the border of a frame."""
    sizes = np.zeros(n_objects + 1, dtype=np.int64)
    is_at_border = np.zeros(n_objects + 1, dtype=bool)
    for block in track(block_slices(objects.shape, objects.chunks), "sizes"):
        part = np.asarray(objects[block])
        sizes += np.bincount(part.ravel(), minlength=n_objects + 1)
        for axis in range(part.ndim - ndim, part.ndim):
            if block[axis].start == 0:
                is_at_border[part.take(0, axis)] = True
            if block[axis].stop == objects.shape[axis]:
                is_at_border[part.take(-1, axis)] = True
    return sizes, np.flatnonzero(is_at_border)


def _links(objects: "zarr.Array[Any]", numbers: Integers, ndim: int) -> Iterator[Integers]:
    """Yield the pairs of objects, by new numbers, that are one in frames after each other."""
    axis = objects.ndim - ndim - 1  # along which frames follow each other
    if axis < 0:
        return
    blocks = block_slices(objects.shape, objects.chunks)
    for leading, of_frame in itertools.groupby(blocks, lambda block: block[: axis + 1]):
        at = leading[axis].start
        if at == 0:
            continue
        overlaps = []
        for block in of_frame:
            earlier = (*block[:axis], slice(at - 1, at), *block[axis + 1 :])
            frames = (numbers[np.asarray(objects[part])] for part in (earlier, block))
            overlaps.append(count_overlaps(*frames))
        pairs, counts = (np.concatenate(parts, axis=-1) for parts in zip(*overlaps, strict=True))
        pairs, which = np.unique(pairs, axis=1, return_inverse=True)
        yield best_matches(pairs, np.bincount(which, counts).astype(np.int64))


def measure_by_windows(
    objects: "zarr.Array[Any]",
    ndim: int,
    measure: Callable[[Slices, NDArray[np.unsignedinteger]], Table],
    track: Track[Slices],
) -> Table:
    """Measure each object in a window that it lies in whole.

    Parameters
    ----------
    objects : zarr.Array of uint32, shape (..., [Z,] Y, X)
        Objects from 1; a chunk lies in one frame.
    ndim : int
        Axes of a frame, 2 or 3, the last ones.
    measure : callable
        Takes a part of the image and the objects to measure in it, and returns what
        `measure_objects` does.
    track : callable
        Goes through the chunks, and then through the windows.

    Returns
    -------
    dict of str to ndarray, shape (rows,)
        As `measure_objects`. Of objects whose bounding box has more than 2²² pixels, which are
        measured chunk by chunk, lengths and shapes are NaN.
    """
    blocks = block_slices(objects.shape, objects.chunks)
    boxes = [_list_boxes(objects, block, ndim) for block in track(blocks, "bounding boxes")]
    windows: list[tuple[int, Slices, Integers]] = []  # frame, part, objects that begin in it
    tables, frames = [], []
    n_leading = objects.ndim - ndim
    by_frame = itertools.groupby(
        zip(blocks, boxes, strict=True), lambda found: found[0][:n_leading]
    )
    for frame, (leading, found) in enumerate(by_frame):
        of_frame, of_blocks = zip(*found, strict=True)
        whole = _join_boxes(np.concatenate(of_blocks), ndim)
        lows, highs = whole[:, 1 : 1 + ndim], whole[:, 1 + ndim :]
        is_large = np.prod(highs - lows, axis=1) > MEASURED_PIXELS
        _, owners = np.unique(lows // objects.chunks[n_leading:], axis=0, return_inverse=True)
        for owner in np.unique(owners[~is_large]):
            of_owner = ~is_large & (owners == owner)
            ends = zip(lows[of_owner].min(axis=0), highs[of_owner].max(axis=0), strict=True)
            spatial = [slice(int(low), int(high)) for low, high in ends]
            windows.append((frame, (*leading, *spatial), whole[of_owner, 0]))
        if is_large.any():
            parts = [
                measure(block, _only(objects, block, whole[is_large, 0]))
                for block, boxes_in_block in zip(of_frame, of_blocks, strict=True)
                if np.isin(whole[is_large, 0], boxes_in_block[:, 0]).any()
            ]
            tables.append(_without_shapes(combine_measurements(parts)))
            frames.append(frame)
    for window, (frame, _, wanted) in zip(
        track([part for _, part, _ in windows], "measuring"), windows, strict=True
    ):
        tables.append(measure(window, _only(objects, window, wanted)))
        frames.append(frame)
    if not tables:  # the names of the columns
        return measure(blocks[0], np.asarray(objects[blocks[0]]))
    of_rows = np.repeat(frames, [len(table["label"]) for table in tables])
    columns = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    order = np.lexsort([columns["label"], of_rows])
    return {name: column[order] for name, column in columns.items()}


def _list_boxes(objects: "zarr.Array[Any]", block: Slices, ndim: int) -> Integers:
    """Return each object in a block with its first pixels and ends, shape (n, 1 + 2 axes)."""
    part = np.asarray(objects[block])
    part = part.reshape(part.shape[-ndim:])
    numbers = np.unique(part[part > 0])
    local = np.where(part > 0, np.searchsorted(numbers, part) + 1, 0)
    starts = [along.start for along in block[-ndim:]]
    rows = [
        [along.start + n for along, n in zip(box, starts, strict=True)]
        + [along.stop + n for along, n in zip(box, starts, strict=True)]
        for box in ndimage.find_objects(local)
    ]
    corners = np.array(rows, dtype=np.int64).reshape(-1, 2 * ndim)
    return np.column_stack([numbers.astype(np.int64), corners])


def _join_boxes(boxes: Integers, ndim: int) -> Integers:
    """Return the bounding box of each object once, from those in blocks."""
    boxes = boxes[np.argsort(boxes[:, 0], kind="stable")]
    numbers, firsts = np.unique(boxes[:, 0], return_index=True)
    if not len(numbers):
        return boxes
    lows = np.minimum.reduceat(boxes[:, 1 : 1 + ndim], firsts)
    highs = np.maximum.reduceat(boxes[:, 1 + ndim :], firsts)
    return np.column_stack([numbers, lows, highs])


def _only(
    objects: "zarr.Array[Any]", part: Slices, wanted: Integers
) -> NDArray[np.unsignedinteger]:
    """Return some of the objects of a part."""
    labels = np.asarray(objects[part])
    return np.where(np.isin(labels, wanted), labels, 0)


def _without_shapes(table: Table) -> Table:
    """Return a table of parts of objects, with NaN for what no parts say of the whole."""
    return {
        name: np.full(len(column), np.nan) if name.startswith(SHAPES) else column
        for name, column in table.items()
    }
