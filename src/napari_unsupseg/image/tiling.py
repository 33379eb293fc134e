"""Parts of arrays: blocks, the halo around a block, crops; and arrays larger than memory.

All that goes through an image block by block takes its blocks from `block_slices`. It is not
dask's `slices_from_chunks`, since a plain installation has no dask.
"""

import itertools
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg._typing import Labels
from napari_unsupseg.errors import ImageError

__all__ = [
    "Slices",
    "add_halo",
    "block_slices",
    "check_large_image",
    "compute_crops",
    "crop_slices",
    "is_large",
    "is_lazy",
    "load_if_small",
    "map_chunks_with_halo",
    "shift_slices",
]

Slices = tuple[slice, ...]  # part of an array, along each of its axes

LOADED_VALUES = 2**25  # of a dask array that is computed whole at most, its channels counted
CROPS_PIXELS = 2**21  # of all crops together
CROP = {2: (512, 512), 3: (32, 256, 256)}  # pixels of one, by the axes of a frame
REMEDIES = {  # what to do without an option that needs all of an image
    "mask": "set the pixels that take no part to NaN, or crop the image",
    "strokes": "draw on a part of it, and apply the network to all",
    "objects": "the command napari-unsupseg finds them in a file of it, chunk by chunk",
}


def is_lazy(image: Any) -> bool:
    """Tell whether an image is a dask array.

    Parameters
    ----------
    image : object
        Anything that may be an image.

    Returns
    -------
    bool
        False also if dask is not installed.
    """
    # whoever has such an array has imported dask; importing it here would take a second
    dask = sys.modules.get("dask.array")
    return dask is not None and isinstance(image, dask.Array)


def is_large(image: Any) -> bool:
    """Tell whether an image is a dask array that is not computed whole.

    Parameters
    ----------
    image : object
        Anything that may be an image.

    Returns
    -------
    bool
        Whether it is lazy and has more than 2²⁵ values.
    """
    return is_lazy(image) and image.size > LOADED_VALUES


def load_if_small(image: Any) -> Any:
    """Compute a lazy image, unless it is too large to be loaded.

    Parameters
    ----------
    image : array_like
        The image.

    Returns
    -------
    array_like
        A dask array only if it is too large to be loaded.
    """
    # of an array that does not know its size nobody can tell; it is refused where it is read
    is_small = is_lazy(image) and not is_large(image) and not math.isnan(image.size)
    return image.compute() if is_small else image


def check_large_image(
    name: str,
    *,
    mask: object = None,
    strokes: object = None,
    joint: bool = True,
    granularity: float | None = None,
    n_segments: int | None = None,
    objects: bool = False,
    min_size: int = 0,
    is_stitched: bool = False,
    spelling: Callable[[str], str] = str,
) -> None:
    """Refuse, before any work, what cannot be had of an image that is never loaded whole.

    Parameters
    ----------
    name : str
        What the image is called in the sentence, such as its file.
    mask, strokes, joint, granularity, n_segments, objects
        Options of `napari_unsupseg.segment`, as they were asked for.
    min_size : int
        Smallest segment in pixels; 0 and 1 ask for nothing.
    is_stitched : bool
        Whether the caller finds segments chunk by chunk and stitches them, so that it can have
        those of a granularity.
    spelling : callable
        What an option is called where it was asked for; by default as in Python.

    Raises
    ------
    ImageError
        If something is asked for that needs the whole image; the sentence names it.

    Examples
    --------
    >>> check_large_image("slide.tif", n_segments=50)
    Traceback (most recent call last):
    napari_unsupseg.errors.ImageError: slide.tif is too large to be loaded, which n_segments \
would need: leave it out, or crop the image
    """
    needs_all = {
        "mask": mask is not None,
        "strokes": strokes is not None,
        "joint": not joint,
        "granularity": granularity is not None and not is_stitched,
        "n_segments": n_segments is not None,
        "objects": objects,
        "min_size": min_size > 1,
    }
    for option, is_asked_for in needs_all.items():
        if is_asked_for:
            remedy = REMEDIES.get(option, "leave it out, or crop the image")
            raise ImageError(
                f"{name} is too large to be loaded, which {spelling(option)} would need: {remedy}"
            )


def block_slices(
    shape: Sequence[int],
    sides: Sequence[int],
    *,
    only_whole: bool = False,
    within: Sequence[slice] | None = None,
) -> list[Slices]:
    """Divide an array into blocks.

    Parameters
    ----------
    shape : sequence of int
        Shape of the array.
    sides : sequence of int
        Length of a block along each axis, such as the chunks of a zarr array.
    only_whole : bool
        Leave out the smaller blocks at the ends of axes.
    within : sequence of slice, optional
        Only the blocks that this part of the array has a share in; it may reach beyond the array.

    Returns
    -------
    list of tuple of slice
        In the order of the array, its last axis fastest.

    Examples
    --------
    >>> [block[0] for block in block_slices((5,), (2,))]
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    >>> block_slices((5, 5), (2, 5), within=(slice(3, 9), slice(0, 1)))
    [(slice(2, 4, None), slice(0, 5, None)), (slice(4, 5, None), slice(0, 5, None))]
    """
    window = [slice(0, length) for length in shape] if within is None else within
    along_axes = [
        [
            slice(start, min(start + side, length))
            # blocks begin at multiples of their side, wherever the window does
            for start in range(max(0, part.start) // side * side, min(part.stop, length), side)
            if not only_whole or start + side <= length
        ]
        for part, side, length in zip(window, sides, shape, strict=True)
    ]
    return list(itertools.product(*along_axes))


def shift_slices(part: Slices, by: Slices) -> Slices:
    """Return a part of a part of an array as a part of the array.

    Parameters
    ----------
    part : tuple of slice
        Counted from where `by` begins.
    by : tuple of slice
        A part of the array.

    Returns
    -------
    tuple of slice
        Counted from where the array begins.

    Examples
    --------
    >>> shift_slices((slice(0, 2),), (slice(10, 20),))
    (slice(10, 12, None),)
    """
    return tuple(
        slice(inner.start + outer.start, inner.stop + outer.start)
        for inner, outer in zip(part, by, strict=True)
    )


def crop_slices(shape: Sequence[int], spatial_ndim: int, seed: int) -> list[Slices]:
    """Choose crops of an image, evenly from all over it.

    Parameters
    ----------
    shape : sequence of int
        Shape of the image without its channels.
    spatial_ndim : int
        Axes of a frame, the last ones.
    seed : int
        Decides which crops are drawn.

    Returns
    -------
    list of tuple of slice
        Crops of one size, each in one frame; 2²¹ pixels in all, or one crop if it has more.
    """
    frame = shape[-spatial_ndim:]
    sides = [min(n, side) for n, side in zip(frame, CROP[spatial_ndim], strict=True)]
    # whole blocks along each axis; they are counted, not listed: a movie may have millions
    grid = (*shape[:-spatial_ndim], *(n // side for n, side in zip(frame, sides, strict=True)))
    n_blocks = math.prod(grid)
    n_crops = min(n_blocks, max(1, CROPS_PIXELS // math.prod(sides)))
    # one of each equal share of the blocks, in the order of the file: drawn from all of them at
    # once, crops would crowd in some places and leave others out
    bounds = np.linspace(0, n_blocks, n_crops + 1).astype(int)
    random = np.random.default_rng(seed)
    chosen = [random.integers(low, high) for low, high in itertools.pairwise(bounds)]
    lengths = [1] * (len(shape) - spatial_ndim) + sides
    return [
        tuple(
            slice(int(index) * length, (int(index) + 1) * length)
            for index, length in zip(np.unravel_index(block, grid), lengths, strict=True)
        )
        for block in chosen
    ]


def compute_crops(values: Any, spatial_ndim: int, seed: int) -> NDArray[np.generic]:
    """Compute crops of an image, evenly from all over it.

    Parameters
    ----------
    values : dask array, shape (C, ..., Y, X)
        The image.
    spatial_ndim : int
        Axes of a frame, the last ones.
    seed : int
        Decides which crops are drawn.

    Returns
    -------
    ndarray, shape (C, crops, y, x) or (C, crops, z, y, x)
        The crops that `crop_slices` chooses, masked where the image is.
    """
    from dask.base import compute

    parts = crop_slices(values.shape[1:], spatial_ndim, seed)
    # in one call, so that dask reads a chunk that holds several crops once
    crops = compute(*(values[:, *part] for part in parts))
    # np.stack would drop the masks
    is_masked = any(isinstance(crop, np.ma.MaskedArray) for crop in crops)
    stack = np.ma.stack if is_masked else np.stack
    stacked: NDArray[np.generic] = stack(
        [crop.reshape(len(values), *crop.shape[-spatial_ndim:]) for crop in crops], 1
    )
    return stacked


def map_chunks_with_halo(
    values: Any,
    label: Callable[[NDArray[np.generic]], Labels],
    *,
    halo: int,
    spatial_ndim: int,
    dtype: type[np.unsignedinteger],
) -> Any:
    """Label an image chunk by chunk, each with what the network sees around it.

    Parameters
    ----------
    values : dask array, shape (C, ..., Y, X)
        The image.
    label : callable
        Returns the labels, shape (..., y, x), of a part of the image, shape (C, ..., y, x).
    halo : int
        Pixels around a chunk that its labels depend on.
    spatial_ndim : int
        Axes of a frame, the last ones.
    dtype : type
        Data type of the labels.

    Returns
    -------
    dask array, shape (..., Y, X)
        The labels, not computed yet.
    """
    import dask.array as da

    values = values.rechunk({0: -1})  # all channels of a pixel are in one chunk
    n_leading = values.ndim - 1 - spatial_ndim
    # channels and frames have no neighbours
    depth = {axis: 0 if axis <= n_leading else halo for axis in range(values.ndim)}
    return da.map_overlap(
        label,
        values,
        depth=depth,
        boundary="none",  # at the image's borders there is nothing to add
        drop_axis=0,
        dtype=dtype,
        meta=np.empty((0,) * (values.ndim - 1), dtype),  # else dask calls `label` to find out
    )


def add_halo(part: Slices, halo: Sequence[int], shape: Sequence[int]) -> tuple[Slices, Slices]:
    """Return a part of an array with what is around it.

    Parameters
    ----------
    part : tuple of slice
        The part.
    halo : sequence of int
        How much to add at both ends of each axis, as far as the array goes.
    shape : sequence of int
        Shape of the array.

    Returns
    -------
    outer : tuple of slice
        The wider part.
    inner : tuple of slice
        Where the part lies in it.
    """
    axes = list(zip(part, halo, shape, strict=True))
    outer = tuple(slice(max(0, p.start - n), min(length, p.stop + n)) for p, n, length in axes)
    inner = tuple(
        slice(p.start - wide.start, p.stop - wide.start)
        for p, wide in zip(part, outer, strict=True)
    )
    return outer, inner
