"""Any array of known axes to one whose channels come first, and its frames."""

import dataclasses
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unsupseg._words import count
from napari_unsupseg.errors import ImageDtypeError, ImageError, UnsupsegError
from napari_unsupseg.image.axes import CHANNELS, SAMPLES, format_shape, resolve_axes
from napari_unsupseg.image.tiling import (
    check_large_image,
    compute_crops,
    is_large,
    is_lazy,
    load_if_small,
)

__all__ = [
    "ImageChannels",
    "as_array",
    "check_numbers",
    "check_spatial_ndim",
    "crop_series",
    "load_or_crop",
    "split_annotation",
    "split_channels",
    "split_frames",
]


@dataclasses.dataclass(frozen=True, eq=False)
class ImageChannels:
    """An array whose axes are known, its values as they came.

    Attributes
    ----------
    values : ndarray or dask array, shape (C, Y, X) or (C, ..., Y, X)
        A view of the caller's array; axes between channels and pixels run over planes.
    is_rgb : bool
        Whether the channels are red, green and blue, rather than stains or detectors.
    axes : str
        A letter for each axis but that of the channels.
    """

    values: NDArray[np.generic]
    is_rgb: bool
    axes: str


def split_channels(
    image: ArrayLike, axes: str | None = None, channel_axis: int | None = None
) -> ImageChannels:
    """Find the channels and planes of an image.

    Parameters
    ----------
    image : array_like
        Bool, integers or floats.
    axes : str, optional
        One letter for each axis; by default guessed where only one guess is likely, see
        `napari_unsupseg.image.axes.resolve_axes`.
    channel_axis : int, optional
        In place of `axes`: the axis that holds the channels.

    Returns
    -------
    ImageChannels
        The image, channels first. Of four samples the fourth is alpha, which is left out, with a
        warning if nobody has named them; fully transparent pixels are masked.

    Raises
    ------
    ImageDtypeError
        If the image holds anything but bool, integers or floats.
    ImageError
        If the axes are not clear, or do not make planes of at least 2 × 2 pixels.
    """
    array = _as_numbers(image)
    letters = resolve_axes(array.shape, axes, channel_axis)
    letter = SAMPLES if SAMPLES in letters else CHANNELS
    array = np.moveaxis(array, letters.index(letter), 0) if letter in letters else array[np.newaxis]
    is_rgb = letter == SAMPLES and len(array) in (3, 4)
    if is_rgb:
        if len(array) == 4 and axes is None:
            warnings.warn(
                "image has 4 values a pixel in its last axis, taken for RGBA: alpha is left out, "
                "and so is what is fully transparent; pass channel_axis=-1 to use all four as "
                "channels",
                stacklevel=2,
            )
        if len(array) == 4:
            array = _mask_transparent(array)
    _check_size(array)
    return ImageChannels(array, is_rgb, letters.replace(letter, ""))


def split_frames(image: ImageChannels, spatial_ndim: int) -> tuple[list[NDArray[np.generic]], str]:
    """Split a series into its frames.

    Parameters
    ----------
    image : ImageChannels
        The series.
    spatial_ndim : int
        Axes of a frame, the last ones.

    Returns
    -------
    frames : list of ndarray, shape (C, [Z,] Y, X)
        Every frame, in the order of the series.
    axes : str
        One letter for each of their axes, as `napari_unsupseg.segment` takes them.

    Raises
    ------
    ImageError
        If the image has no such frames.
    """
    check_spatial_ndim(image, spatial_ndim)
    leading = image.values.shape[1:-spatial_ndim]
    frames = [image.values[:, *index] for index in np.ndindex(*leading)]
    letter = SAMPLES if image.is_rgb else CHANNELS
    return frames, letter + image.axes[-spatial_ndim:]


def split_annotation(
    name: str, annotation: ArrayLike | None, image: ImageChannels, spatial_ndim: int
) -> list[Any]:
    """Split the mask or the strokes of a series into those of its frames.

    Parameters
    ----------
    name : str
        ``'mask'`` or ``'strokes'``, for the sentence of an error.
    annotation : array_like, shape (..., Y, X), or None
        A mask or strokes.
    image : ImageChannels
        The series.
    spatial_ndim : int
        Axes of a frame, the last ones.

    Returns
    -------
    list of array_like, shape ([Z,] Y, X), or of None
        One for each frame, in the order of `split_frames`; None for each without an annotation.

    Raises
    ------
    ImageError
        If it has another shape than the image.
    """
    shape = image.values.shape[1:]
    if annotation is None:
        return [None] * math.prod(shape[:-spatial_ndim])
    array = as_array(name, annotation)
    if array.shape != shape:
        raise ImageError(
            f"{name} has shape {array.shape} and the image {shape} without its channels: give "
            "one of that shape"
        )
    return list(array.reshape((-1, *shape[-spatial_ndim:])))


def load_or_crop(
    image: ImageChannels, spatial_ndim: int, seed: int, **needs_all: Any
) -> tuple[ImageChannels, bool]:
    """Load a lazy image, or crops from all over it if it is too large.

    Parameters
    ----------
    image : ImageChannels
        Of an array, which is given back as it is, or of a dask array.
    spatial_ndim : int
        Axes of a frame, the last ones.
    seed : int
        Decides where the crops are.
    **needs_all
        Options that only a whole image can have, for `check_large_image`.

    Returns
    -------
    image : ImageChannels
        Of an array; crops are a series of frames.
    is_cropped : bool
        Whether it is crops.

    Raises
    ------
    ImageError
        If the image has no such frames; if crops are all there can be, and an option needs all of
        the image.
    """
    check_spatial_ndim(image, spatial_ndim)
    values: Any = image.values
    if not is_large(values):
        return dataclasses.replace(image, values=load_if_small(values)), False
    check_large_image("image", **needs_all)
    crops = compute_crops(values, spatial_ndim, seed)
    return crop_series(image, crops, spatial_ndim), True


def crop_series(
    image: ImageChannels, crops: NDArray[np.generic], spatial_ndim: int
) -> ImageChannels:
    """Return crops (C, crops, [Z,] y, x) of an image as a series of frames."""
    return dataclasses.replace(image, values=crops, axes="n" + image.axes[-spatial_ndim:])


def as_array(
    name: str, values: ArrayLike, error_class: type[UnsupsegError] = ImageError
) -> NDArray[Any]:
    """Return what is drawn on an image as an array, or raise.

    Parameters
    ----------
    name : str
        What it is, for the sentence of an error.
    values : array_like
        A mask or strokes.
    error_class : type
        Class of the error.

    Returns
    -------
    ndarray
        What is masked in a `numpy.ma.MaskedArray` is 0: nothing is drawn there.

    Raises
    ------
    UnsupsegError
        Of the given class, if it is not an array of one shape.
    """
    try:
        array: NDArray[Any] = np.asarray(np.ma.filled(values, 0))
    except ValueError as error:
        raise error_class(
            f"{name} must be an array of the image's shape, and its rows have different lengths"
        ) from error
    return array


def check_numbers(name: str, dtype: np.dtype[Any], shape: Sequence[float]) -> None:
    """Raise unless an image has real numbers, and knows how many; no pixel is looked at.

    Parameters
    ----------
    name : str
        What the image is called in the sentence of an error.
    dtype : numpy.dtype
        Its data type.
    shape : sequence of int or float
        Its shape; NaN is a length that a dask array does not know.

    Raises
    ------
    ImageDtypeError
        If it holds anything but bool, integers or floats.
    ImageError
        If it does not know its size.
    """
    if dtype.kind not in "buif":
        raise ImageDtypeError(
            f"{name} has dtype {dtype}; expected bool, integers or floats"
            + (", for example its magnitude np.abs(image)" if dtype.kind == "c" else "")
        )
    if not all(math.isfinite(length) for length in shape):
        raise ImageError(
            f"{name} is a dask array that does not know its size: call compute_chunk_sizes() on it"
        )


def check_spatial_ndim(image: ImageChannels, spatial_ndim: object) -> None:
    """Raise unless an image has frames of so many axes.

    Parameters
    ----------
    image : ImageChannels
        The image.
    spatial_ndim : int
        2 if frames are planes, 3 if they are volumes.

    Raises
    ------
    ImageError
        If it is another number, or there are no volumes.
    """
    if not isinstance(spatial_ndim, int | np.integer) or spatial_ndim not in (2, 3):
        raise ImageError(f"spatial_ndim must be 2 or 3, got {spatial_ndim!r}")
    if spatial_ndim == 3 and image.axes[-3:] != "zyx":
        raise ImageError(
            "spatial_ndim is 3 but the image has no axis z before y and x"
            f": beside channels it has {image.axes!r}; name its axes with axes"
        )


def _as_numbers(image: ArrayLike) -> NDArray[np.generic]:
    """Return an image as an array of real numbers, or raise."""
    array: Any
    try:
        # np.asarray would drop the mask, or compute all of a dask array
        is_array = isinstance(image, np.ma.MaskedArray) or is_lazy(image)
        array = image if is_array else np.asarray(image)
    except ValueError as error:
        raise ImageError(f"image is not an array of one shape ({error})") from error
    check_numbers("image", array.dtype, array.shape)
    if array.dtype.itemsize > np.dtype(np.float64).itemsize:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused so
            array = array.astype(np.float64)
    numbers: NDArray[np.generic] = array
    return numbers


def _mask_transparent(samples: Any) -> Any:
    """Return the first three of four samples, those of pixels masked that nobody can see."""
    if is_lazy(samples):
        samples = samples.rechunk({0: -1})  # colours and alpha of a pixel are in one chunk
        return samples.map_blocks(
            _mask_transparent,
            chunks=((3,), *samples.chunks[1:]),
            meta=np.ma.empty((0,) * samples.ndim, dtype=samples.dtype),
        )
    colours, alpha = samples[:3], samples[3:]
    is_hidden = alpha == 0
    if not np.any(is_hidden):
        return colours
    return np.ma.MaskedArray(colours, np.broadcast_to(is_hidden, colours.shape))


def _check_size(array: NDArray[np.generic]) -> None:
    """Raise unless an array, channels first, has planes of at least 2 × 2 pixels."""
    n_channels, *size = array.shape
    words = format_shape(size)
    if min(n_channels, *size) == 0:
        raise ImageError(f"image is empty: {count(n_channels, 'channel')} of {words} pixels")
    if min(size[-2:]) < 2:
        raise ImageError(f"image is {words} pixels; at least 2 × 2 are needed")
