"""Images that are larger than memory: dask arrays, of which only parts are ever computed."""

import itertools
import math
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import zarr


__all__ = [
    "Slices",
    "add_halo",
    "compute_crops",
    "crop_slices",
    "is_large",
    "is_lazy",
    "map_chunks_with_halo",
    "places",
]

Slices = tuple[slice, ...]  # part of an array, along each of its axes

LOADED_VALUES = 2**25  # an image of no more is computed whole
CROPS_PIXELS = 2**21  # of all crops together
CROP = {2: (512, 512), 3: (32, 256, 256)}


def is_lazy(image: Any) -> bool:
    """Tell whether an image is a dask array.

    Parameters
    ----------
    image : object
        What a caller gave.

    Returns
    -------
    bool
        False also if dask is not there.
    """
    dask = sys.modules.get("dask.array")  # who has such an array has loaded it
    return dask is not None and isinstance(image, dask.Array)


def is_large(image: Any) -> bool:
    """Tell whether an image is a dask array that is not computed whole.

    Parameters
    ----------
    image : object
        What a caller gave.

    Returns
    -------
    bool
        Whether it has more than 2²⁵ values.
    """
    return is_lazy(image) and image.size > LOADED_VALUES


def crop_slices(shape: Sequence[int], spatial_ndim: int, seed: int) -> list[Slices]:
    """Choose parts of an image, evenly from all over it.

    Parameters
    ----------
    shape : sequence of int
        Of the image, without channels.
    spatial_ndim : int
        Axes of a frame, the last ones.
    seed : int
        Decides which parts.

    Returns
    -------
    list of tuple of slice
        Parts of one size in one frame each; two megapixels in all, or one part if it has more.
    """
    frame = shape[-spatial_ndim:]
    sides = [min(n, side) for n, side in zip(frame, CROP[spatial_ndim], strict=True)]
    lengths = [1] * (len(shape) - spatial_ndim) + sides
    steps = [range(0, n - side + 1, side) for n, side in zip(shape, lengths, strict=True)]
    n_places = math.prod(map(len, steps))
    n_crops = min(n_places, max(1, CROPS_PIXELS // math.prod(lengths)))
    # one of each equal share of the places, in the order of the file
    bounds = np.linspace(0, n_places, n_crops + 1).astype(int)
    random = np.random.default_rng(seed)
    places = []
    for low, high in itertools.pairwise(bounds):
        indices = np.unravel_index(random.integers(low, high), [len(step) for step in steps])
        starts = [step[index] for step, index in zip(steps, indices, strict=True)]
        places.append(tuple(slice(at, at + n) for at, n in zip(starts, lengths, strict=True)))
    return places


def compute_crops(values: Any, spatial_ndim: int, seed: int) -> NDArray[np.generic]:
    """Compute parts of an image, evenly from all over it.

    Parameters
    ----------
    values : dask array, shape (C, ..., Y, X)
        The image.
    spatial_ndim : int
        Axes of a frame, the last ones.
    seed : int
        Decides which parts.

    Returns
    -------
    ndarray, shape (C, crops, y, x) or (C, crops, z, y, x)
        The parts that `crop_slices` chooses.
    """
    from dask.base import compute

    places = crop_slices(values.shape[1:], spatial_ndim, seed)
    crops = compute(*(values[:, *place] for place in places))
    return np.stack([crop.reshape(len(values), *crop.shape[-spatial_ndim:]) for crop in crops], 1)


def map_chunks_with_halo(
    values: Any,
    label: Callable[[NDArray[np.generic]], NDArray[np.unsignedinteger]],
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
        Labels (..., y, x) of a part (C, ..., y, x).
    halo : int
        Pixels around a chunk that its labels depend on.
    spatial_ndim : int
        Axes of a frame, the last ones.
    dtype : type
        Of the labels.

    Returns
    -------
    dask array, shape (..., Y, X)
        The labels, not computed yet.
    """
    import dask.array as da

    values = values.rechunk({0: -1})
    n_leading = values.ndim - 1 - spatial_ndim
    depth = {axis: 0 if axis <= n_leading else halo for axis in range(values.ndim)}
    around = da.overlap.overlap(values, depth, boundary="none")
    labels = around.map_blocks(
        label, drop_axis=0, dtype=dtype, meta=np.empty((0,) * (values.ndim - 1), dtype)
    )
    inner = {axis - 1: extent for axis, extent in depth.items() if axis}
    return da.overlap.trim_internal(labels, inner, boundary="none")


def add_halo(place: Slices, halo: Sequence[int], shape: Sequence[int]) -> tuple[Slices, Slices]:
    """Return a part of an array with what is around it.

    Parameters
    ----------
    place : tuple of slice
        The part.
    halo : sequence of int
        How much to add at both ends of each axis, as far as the array goes.
    shape : sequence of int
        Of the array.

    Returns
    -------
    outer : tuple of slice
        The wider part.
    inner : tuple of slice
        Where the part lies in it.
    """
    axes = list(zip(place, halo, shape, strict=True))
    outer = tuple(slice(max(0, p.start - n), min(length, p.stop + n)) for p, n, length in axes)
    inner = tuple(
        slice(p.start - wide.start, p.stop - wide.start)
        for p, wide in zip(place, outer, strict=True)
    )
    return outer, inner


def places(array: "zarr.Array[Any]") -> list[Slices]:
    """Return where the chunks of an array lie.

    Parameters
    ----------
    array : zarr.Array
        The array.

    Returns
    -------
    list of tuple of slice
        In the order of the array.
    """
    starts = [range(0, n, step) for n, step in zip(array.shape, array.chunks, strict=True)]
    counts = [len(along) for along in starts]
    return [
        tuple(
            slice(along[i], min(along[i] + step, n))
            for along, i, step, n in zip(starts, index, array.chunks, array.shape, strict=True)
        )
        for index in np.ndindex(*counts)
    ]
