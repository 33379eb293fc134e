"""Any array of known axes to channels first, float32 in [0, 1]."""

import dataclasses
import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unsupseg.axes import CHANNELS, SAMPLES, resolve_axes
from napari_unsupseg.errors import ImageDtypeError, ImageError
from napari_unsupseg.lazy import draw_crops, is_lazy
from napari_unsupseg.settings import IntensityRule

__all__ = [
    "ImageChannels",
    "PreparedImage",
    "prepare",
    "prepare_crops",
    "split_channels",
    "split_frames",
]

PERCENTILES = (0.1, 99.9)


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


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedImage:
    """An image as the network sees it: one frame, or a series of them.

    A frame is what convolutions see as one, a plane (Y, X) or a volume (Z, Y, X).

    Attributes
    ----------
    values : ndarray of float32, shape (C, ..., Y, X)
        Intensities in [0, 1]; 0 at pixels that take no part.
    valid : ndarray of bool, shape (..., Y, X)
        Pixels that take part.
    is_rgb : bool
        Whether the channels are red, green and blue.
    spatial_ndim : int
        Axes of a frame, 2 or 3, the last ones; those between channels and frame run over frames.
    limits : ndarray of float64, shape (C, 2)
        Intensities of each channel that have become 0 and 1.
    spacing : tuple of float
        Distance of neighbours along each axis of a frame, in any unit; empty if alike.
    """

    values: NDArray[np.float32]
    valid: NDArray[np.bool_]
    is_rgb: bool
    spatial_ndim: int = 2
    limits: NDArray[np.float64] = dataclasses.field(default_factory=lambda: np.zeros((0, 2)))
    spacing: tuple[float, ...] = ()

    @property
    def is_constant(self) -> bool:
        """Whether all pixels that take part are alike, so that there is nothing to tell apart."""
        flat = self.values.reshape(len(self.values), -1)
        inside = flat if self.valid.all() else flat[:, self.valid.ravel()]
        return bool((inside == inside[:, :1]).all())

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Pixels along each axis of a frame."""
        return self.valid.shape[-self.spatial_ndim :]

    @property
    def n_frames(self) -> int:
        """Number of frames; 1 if the image is one."""
        return math.prod(self.valid.shape[: -self.spatial_ndim])

    def factors(self, factor: int) -> tuple[int, ...]:
        """Return how many pixels to average along each axis, `factor` along the finest."""
        spacing = self.spacing or (1.0,) * self.spatial_ndim
        return tuple(max(1, round(factor * min(spacing) / step)) for step in spacing)

    def frames(self) -> Iterator["PreparedImage"]:
        """Yield each frame as an image of its own."""
        if self.valid.ndim == self.spatial_ndim:
            yield self
            return
        values = self.values.reshape(len(self.values), -1, *self.frame_shape)
        for index, valid in enumerate(self.valid.reshape(-1, *self.frame_shape)):
            yield dataclasses.replace(self, values=values[:, index], valid=valid)


def split_channels(
    image: ArrayLike, axes: str | None = None, channel_axis: int | None = None
) -> ImageChannels:
    """Find the channels and planes of an image.

    Parameters
    ----------
    image : array_like
        Bool, integers or floats.
    axes : str, optional
        As in `resolve_axes`.
    channel_axis : int, optional
        As in `resolve_axes`.

    Returns
    -------
    ImageChannels
        The image, channels first. Of four samples that nobody has named the fourth is taken for
        alpha and left out, with a warning.

    Raises
    ------
    ImageDtypeError
        If the image holds anything but bool, integers or floats.
    ImageError
        If the axes are not clear, or do not make planes of at least 2 × 2 pixels.
    """
    array = _as_numbers(image)
    letters = resolve_axes(array.shape, axes, channel_axis)
    is_rgb = SAMPLES in letters and array.shape[letters.index(SAMPLES)] in (3, 4)
    if is_rgb:
        array = np.moveaxis(array, letters.index(SAMPLES), 0)
        if len(array) == 4 and axes is None:
            warnings.warn(
                "image has 4 values a pixel in its last axis, taken for RGBA: alpha is left "
                "out; pass channel_axis=-1 to use all four as channels",
                stacklevel=2,
            )
        array = array[:3]
    elif set(letters) & {CHANNELS, SAMPLES}:
        place = letters.index(CHANNELS if CHANNELS in letters else SAMPLES)
        array = np.moveaxis(array, place, 0)
    else:
        array = array[np.newaxis]
    _require_pixels(array)
    others = letters.replace(CHANNELS, "").replace(SAMPLES, "")
    return ImageChannels(array, is_rgb, others)


def split_frames(image: ImageChannels, spatial_ndim: int) -> tuple[list[NDArray[np.generic]], str]:
    """Take a series apart.

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
    """
    leading = image.values.shape[1:-spatial_ndim]
    frames = [image.values[:, *index] for index in np.ndindex(*leading)]
    letter = SAMPLES if image.is_rgb else CHANNELS
    return frames, letter + image.axes[-spatial_ndim:]


def prepare(
    image: ImageChannels,
    mask: ArrayLike | None = None,
    intensity: IntensityRule = "auto",
    spatial_ndim: int = 2,
    limits: NDArray[np.float64] | None = None,
    spacing: Sequence[float] | None = None,
) -> PreparedImage:
    """Bring the intensities of an image to [0, 1] and find the pixels that take part.

    Parameters
    ----------
    image : ImageChannels
        From `split_channels`.
    mask : array_like of bool, shape (Y, X) or (..., Y, X), optional
        True where a pixel takes part; by default all do. Pixels that are NaN in any channel, or
        masked in a `numpy.ma.MaskedArray`, take no part either.
    intensity : {'auto', 'percentile', 'range'}
        ``'percentile'`` maps each channel's 0.1 and 99.9 percentiles to 0 and 1 and clips.
        ``'range'`` maps the ends of the data type's range to 0 and 1 (0 and 1 themselves for
        floats). ``'auto'`` takes the range for 8-bit RGB and percentiles for all else. Frames of
        one image have them in common.
    spatial_ndim : int
        2 if frames are planes, 3 if they are volumes.
    limits : ndarray of float64, shape (C, 2), optional
        Intensities of each channel that become 0 and 1; by default as `intensity` says.
    spacing : sequence of float, optional
        Distance of neighbours along each axis of a frame; by default alike.

    Returns
    -------
    PreparedImage
        The image in float32.

    Raises
    ------
    ImageError
        If there are no volumes, mask or spacing do not fit, no pixel is left, a value is infinite,
        or floats lie outside [0, 1] under ``'range'``.
    """
    raw = image.values
    if spatial_ndim not in (2, 3):
        raise ImageError(f"spatial_ndim must be 2 or 3, got {spatial_ndim!r}")
    if spatial_ndim == 3 and image.axes[-3:] != "zyx":
        raise ImageError(
            "spatial_ndim is 3 but the image has no axis z before y and x"
            f": beside channels it has {image.axes!r}; name its axes with axes"
        )
    spacing = (1.0,) * spatial_ndim if spacing is None else tuple(map(float, spacing))
    if len(spacing) != spatial_ndim or not all(0 < step < math.inf for step in spacing):
        raise ImageError(f"spacing must be {spatial_ndim} numbers above 0, got {spacing}")
    valid = _valid_pixels(raw, mask)
    is_range = _is_range(image, intensity)
    if limits is None:
        find = _range_of_dtype if is_range else _percentiles
        limits = np.array([find(channel, valid) for channel in np.ma.getdata(raw)])
    values = np.empty(raw.shape, dtype=np.float32)
    # single precision holds every integer of 16 bits
    exact = np.float32 if is_range and raw.dtype.itemsize <= 2 else np.float64
    for channel, scaled, (low, high) in zip(np.ma.getdata(raw), values, limits, strict=True):
        if low == high:
            scaled[...] = 0
        else:
            scaled[...] = ((channel.astype(exact) - low) / (high - low)).clip(0, 1)
    if not valid.all():
        values[:, ~valid] = 0
    return PreparedImage(values, valid, image.is_rgb, spatial_ndim, limits, spacing)


def prepare_crops(
    image: ImageChannels, intensity: IntensityRule, spatial_ndim: int, seed: int
) -> PreparedImage:
    """Prepare parts of a lazy image, drawn from all over it.

    Parameters
    ----------
    image : ImageChannels
        Of a dask array.
    intensity : {'auto', 'percentile', 'range'}
        As in `prepare`.
    spatial_ndim : int
        As in `prepare`.
    seed : int
        Decides which parts.

    Returns
    -------
    PreparedImage
        A frame for each part; its limits are those to prepare any other part with.
    """
    crops = draw_crops(image.values, spatial_ndim, seed)
    of_crops = dataclasses.replace(image, values=crops, axes="n" + image.axes[-spatial_ndim:])
    return prepare(of_crops, None, intensity, spatial_ndim)


def _is_range(image: ImageChannels, intensity: IntensityRule) -> bool:
    """Tell whether intensities are brought to 0…1 by the range of their data type."""
    if intensity == "auto":
        return bool(image.is_rgb and image.values.dtype == np.uint8)
    return intensity == "range"


def _as_numbers(image: ArrayLike) -> NDArray[np.generic]:
    array: Any
    try:
        is_kept = isinstance(image, np.ma.MaskedArray) or is_lazy(image)
        array = image if is_kept else np.asarray(image)
    except ValueError as error:
        raise ImageError(f"image is not an array of one shape ({error})") from error
    if array.dtype.kind not in "buif":
        raise ImageDtypeError(
            f"image has dtype {array.dtype}; expected bool, integers or floats"
            + (", for example its magnitude np.abs(image)" if array.dtype.kind == "c" else "")
        )
    numbers: NDArray[np.generic] = array
    return numbers


def _require_pixels(array: NDArray[np.generic]) -> None:
    """Raise unless an array, channels first, has planes that can be segmented."""
    n_channels, *size = array.shape
    words = " × ".join(map(str, size))
    if min(n_channels, *size) == 0:
        raise ImageError(f"image is empty: {n_channels} channels of {words} pixels")
    if min(size[-2:]) < 2:
        raise ImageError(f"image is {words} pixels; at least 2 × 2 are needed")


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


def _percentiles(channel: NDArray[np.generic], valid: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the intensities that become 0 and 1; alike if all are."""
    inside = channel[valid].astype(np.float64)
    low, high = np.percentile(inside, PERCENTILES)
    if low == high:  # fewer bright pixels than the percentiles see
        low, high = inside.min(), inside.max()
    return float(low), float(high)


def _range_of_dtype(channel: NDArray[np.generic], valid: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the intensities that become 0 and 1, by the data type alone."""
    if channel.dtype.kind in "ui":
        info = np.iinfo(channel.dtype.str)
        return float(info.min), float(info.max)
    inside = channel[valid].astype(np.float64)
    if inside.min() < 0 or inside.max() > 1:
        raise ImageError(
            f"image has floats from {inside.min():g} to {inside.max():g}, and intensity 'range' "
            "expects them in 0…1; use intensity='percentile' or rescale the image"
        )
    return 0.0, 1.0
