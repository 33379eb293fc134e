"""Any array and its axes to channels first, float32 in [0, 1]: the one room that knows axes."""

import dataclasses
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unsupseg.errors import ImageDtypeError, ImageError
from napari_unsupseg.settings import IntensityRule

__all__ = ["ImageChannels", "PreparedImage", "prepare", "split_channels"]

PERCENTILES = (0.1, 99.9)


@dataclasses.dataclass(frozen=True, eq=False)
class ImageChannels:
    """An array whose axes are known, its values as they came.

    Attributes
    ----------
    values : ndarray, shape (C, Y, X)
        A view of the caller's array.
    is_rgb : bool
        Whether the channels are red, green and blue, rather than stains or detectors.
    """

    values: NDArray[np.generic]
    is_rgb: bool


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedImage:
    """An image as the network sees it.

    Attributes
    ----------
    values : ndarray of float32, shape (C, Y, X)
        Intensities in [0, 1]; 0 at pixels that take no part.
    valid : ndarray of bool, shape (Y, X)
        Pixels that take part.
    is_rgb : bool
        Whether the channels are red, green and blue.
    """

    values: NDArray[np.float32]
    valid: NDArray[np.bool_]
    is_rgb: bool

    @property
    def is_constant(self) -> bool:
        """Whether all pixels that take part are alike, so that there is nothing to tell apart."""
        flat = self.values.reshape(len(self.values), -1)
        inside = flat if self.valid.all() else flat[:, self.valid.ravel()]
        return bool((inside == inside[:, :1]).all())


def split_channels(image: ArrayLike, channel_axis: int | None = None) -> ImageChannels:
    """Find the channels of a 2D image.

    Parameters
    ----------
    image : array_like, shape (Y, X) or with one more axis for channels
        Bool, integers or floats.
    channel_axis : int, optional
        The axis that holds the channels. By default an image with two axes is grey, one with a
        last axis of 3 is RGB and one with a last axis of 4 is RGBA, whose alpha is left out with
        a warning.

    Returns
    -------
    ImageChannels
        The image, channels first.

    Raises
    ------
    ImageDtypeError
        If the image holds anything but bool, integers or floats.
    ImageError
        If the axes do not make a 2D image of at least 2 × 2 pixels.
    """
    array = _as_numbers(image)
    if channel_axis is None:
        if array.ndim == 3 and array.shape[-1] in (3, 4):
            if array.shape[-1] == 4:
                warnings.warn(
                    "image has 4 values a pixel in its last axis, taken for RGBA: alpha is left "
                    "out; pass channel_axis=-1 to use all four as channels",
                    stacklevel=2,
                )
            array, is_rgb = np.moveaxis(array[..., :3], -1, 0), True
        else:
            array, is_rgb = array[np.newaxis], False
    else:
        is_rgb = _is_last_of_three(array.shape, channel_axis)
        array = np.moveaxis(array, _checked_axis(array, channel_axis), 0)
    _require_2d(array, channel_axis)
    return ImageChannels(array, is_rgb)


def prepare(
    image: ImageChannels, mask: ArrayLike | None = None, intensity: IntensityRule = "auto"
) -> PreparedImage:
    """Bring the intensities of an image to [0, 1] and find the pixels that take part.

    Parameters
    ----------
    image : ImageChannels
        From `split_channels`.
    mask : array_like of bool, shape (Y, X), optional
        True where a pixel takes part; by default all do. Pixels that are NaN in any channel, or
        masked in a `numpy.ma.MaskedArray`, take no part either.
    intensity : {'auto', 'percentile', 'range'}
        ``'percentile'`` maps each channel's 0.1 and 99.9 percentiles to 0 and 1 and clips.
        ``'range'`` maps the ends of the data type's range to 0 and 1 (0 and 1 themselves for
        floats). ``'auto'`` takes the range for 8-bit RGB and percentiles for all else.

    Returns
    -------
    PreparedImage
        The image in float32.

    Raises
    ------
    ImageError
        If the mask does not fit, no pixel is left, a value is infinite, or floats lie outside
        [0, 1] under ``'range'``.
    """
    raw = image.values
    valid = _valid_pixels(raw, mask)
    if intensity == "auto":
        intensity = "range" if image.is_rgb and raw.dtype == np.uint8 else "percentile"
    scale = _scale_by_range if intensity == "range" else _scale_by_percentiles
    data = np.ma.getdata(raw)
    values = np.empty(raw.shape, dtype=np.float32)
    for channel, scaled in zip(data, values, strict=True):
        scaled[...] = scale(channel, valid)
    if not valid.all():
        values[:, ~valid] = 0
    return PreparedImage(values, valid, image.is_rgb)


def _as_numbers(image: ArrayLike) -> NDArray[np.generic]:
    try:
        array = image if isinstance(image, np.ma.MaskedArray) else np.asarray(image)
    except ValueError as error:
        raise ImageError(f"image is not an array of one shape ({error})") from error
    if array.dtype.kind not in "buif":
        raise ImageDtypeError(
            f"image has dtype {array.dtype}; expected bool, integers or floats"
            + (", for example its magnitude np.abs(image)" if array.dtype.kind == "c" else "")
        )
    return array


def _checked_axis(array: NDArray[np.generic], axis: int) -> int:
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise ImageError(f"channel_axis must be a whole number or None, got {axis!r}")
    if not -array.ndim <= axis < array.ndim:
        raise ImageError(
            f"channel_axis {axis} is not an axis of an image of shape {array.shape}; "
            f"expected {-array.ndim} to {array.ndim - 1}"
        )
    return int(axis)


def _is_last_of_three(shape: tuple[int, ...], axis: int) -> bool:
    return axis in (-1, len(shape) - 1) and len(shape) == 3 and shape[-1] == 3


def _require_2d(array: NDArray[np.generic], channel_axis: int | None) -> None:
    """Raise unless `array`, channels first, is a 2D image."""
    n_channels, *spatial = array.shape
    size = " × ".join(map(str, spatial))
    if len(spatial) != 2 and channel_axis is None:
        choices = ", ".join(f"{axis} (length {n})" for axis, n in enumerate(spatial))
        raise ImageError(
            f"image has {len(spatial)} axes ({size}) where the 2 of a plane were expected; "
            + (
                f"if one of them holds channels, name it with channel_axis: {choices}; "
                "of a stack or movie, pass one plane at a time"
                if len(spatial) == 3
                else "pass one 2D plane at a time"
            )
        )
    if len(spatial) != 2:
        raise ImageError(
            f"image has {len(spatial)} axes beside its channels ({size}) where the 2 of a plane "
            "were expected; pass one 2D plane at a time"
        )
    if min(n_channels, *spatial) == 0:
        raise ImageError(f"image is empty: {n_channels} channels of {size} pixels")
    if min(spatial) < 2:
        raise ImageError(f"image is {size} pixels; at least 2 × 2 are needed")


def _valid_pixels(raw: NDArray[np.generic], mask: ArrayLike | None) -> NDArray[np.bool_]:
    """Return where a pixel takes part: inside every mask and finite."""
    valid = np.ones(raw.shape[1:], dtype=bool)
    if mask is not None:
        mask = np.asarray(mask)
        if mask.shape != valid.shape or mask.dtype != bool:
            raise ImageError(
                f"mask has shape {mask.shape} and dtype {mask.dtype}; expected the image's "
                f"{valid.shape} and bool, True where a pixel takes part"
            )
        valid &= mask
    if isinstance(raw, np.ma.MaskedArray):
        valid &= ~np.ma.getmaskarray(raw).any(axis=0)
    data = np.ma.getdata(raw)
    if data.dtype.kind == "f":
        valid &= ~np.isnan(data).any(axis=0)
        n_infinite = int(np.isinf(data[:, valid]).sum())
        if n_infinite:
            raise ImageError(
                f"image has {n_infinite} infinite values; replace them by finite numbers, or by "
                "NaN to leave their pixels out"
            )
    if not valid.any():
        raise ImageError("image has no pixel to segment: all are NaN or masked")
    return valid


def _scale_by_percentiles(
    channel: NDArray[np.generic], valid: NDArray[np.bool_]
) -> NDArray[np.float32]:
    inside = channel[valid].astype(np.float64)
    low, high = np.percentile(inside, PERCENTILES)
    if low == high:  # fewer bright pixels than the percentiles see
        low, high = inside.min(), inside.max()
    if low == high:
        return np.zeros(channel.shape, dtype=np.float32)
    scaled: NDArray[np.float64] = (channel.astype(np.float64) - low) / (high - low)
    return scaled.clip(0, 1).astype(np.float32)


def _scale_by_range(channel: NDArray[np.generic], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    if channel.dtype.kind in "ui":
        info = np.iinfo(channel.dtype.str)
        # single precision holds every integer of 16 bits
        exact = np.float32 if channel.dtype.itemsize <= 2 else np.float64
        numbers: NDArray[Any] = channel.astype(exact)
        scaled: NDArray[Any] = (numbers - info.min) / (float(info.max) - info.min)
        return scaled.astype(np.float32, copy=False)
    inside = channel[valid].astype(np.float64)
    if inside.min() < 0 or inside.max() > 1:
        raise ImageError(
            f"image has floats from {inside.min():g} to {inside.max():g}, and intensity 'range' "
            "expects them in 0…1; use intensity='percentile' or rescale the image"
        )
    return channel.astype(np.float32)
