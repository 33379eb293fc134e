"""Channels to float32 in [0, 1], and the pixels that take part."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unsupseg._words import count
from napari_unsupseg.errors import ImageError
from napari_unsupseg.image.channels import (
    ImageChannels,
    as_array,
    check_spatial_ndim,
    crop_series,
)
from napari_unsupseg.image.tiling import compute_crops
from napari_unsupseg.settings import IntensityRule

__all__ = [
    "NormalizedImage",
    "find_valid_pixels",
    "no_pixel_error",
    "normalize_crops",
    "normalize_image",
]

MAX_ANISOTROPY = 1000  # slices of electron microscopes are some ten pixels apart
PERCENTILES = (0.1, 99.9)  # rather than 0 and 100: a hot pixel of a camera is not the maximum


@dataclasses.dataclass(frozen=True, eq=False)
class NormalizedImage:
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
        Distance of neighbours along each axis of a frame, 1 along the finest; empty if it is the
        same along all.
    image_shapes : tuple of tuple of int
        Shapes, without channels, of the images that were laid together as its frames, at full size
        (see `image_list`); empty if it is one image.
    """

    values: NDArray[np.float32]
    valid: NDArray[np.bool_]
    is_rgb: bool
    spatial_ndim: int = 2
    limits: NDArray[np.float64] = dataclasses.field(default_factory=lambda: np.zeros((0, 2)))
    spacing: tuple[float, ...] = ()
    image_shapes: tuple[tuple[int, ...], ...] = ()

    @property
    def is_constant(self) -> bool:
        """Whether all pixels that take part have one colour: there is nothing to tell apart."""
        flat = self.values.reshape(len(self.values), -1)
        # an index by a mask copies; most images have none
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

    @property
    def frames_of_images(self) -> list[range]:
        """Indices of the frames of each of its images; those of all frames if it is one."""
        counts = [math.prod(shape[: -self.spatial_ndim]) for shape in self.image_shapes]
        ends = list(itertools.accumulate(counts or [self.n_frames], initial=0))
        return [range(first, after) for first, after in itertools.pairwise(ends)]

    def factors(self, factor: int) -> tuple[int, ...]:
        """Return how many pixels to average along each axis, `factor` along the finest."""
        spacing = self.spacing or (1.0,) * self.spatial_ndim
        return tuple(max(1, round(factor * min(spacing) / step)) for step in spacing)

    def frames(self) -> Iterator["NormalizedImage"]:
        """Yield each frame as an image of its own."""
        if self.valid.ndim == self.spatial_ndim:
            yield self
            return
        values = self.values.reshape(len(self.values), -1, *self.frame_shape)
        for index, valid in enumerate(self.valid.reshape(-1, *self.frame_shape)):
            yield dataclasses.replace(self, values=values[:, index], valid=valid)


def normalize_image(
    image: ImageChannels,
    mask: ArrayLike | None = None,
    intensity: IntensityRule = "auto",
    spatial_ndim: int = 2,
    limits: NDArray[np.float64] | None = None,
    spacing: Sequence[float] | None = None,
) -> NormalizedImage:
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
        Intensities of each channel that become 0 and 1, such as those of all parts of an image;
        by default those that `intensity` finds in this one.
    spacing : sequence of float, optional
        Distance of neighbours along each axis of a frame, in any unit; by default the same along
        all.

    Returns
    -------
    NormalizedImage
        The image in float32, shape (C, ..., Y, X), with its mask.

    Raises
    ------
    ImageError
        If there are no volumes, mask or spacing do not fit, no pixel is left, a value is infinite,
        or floats lie outside [0, 1] under ``'range'``.
    """
    check_spatial_ndim(image, spatial_ndim)
    steps = _check_spacing(spacing, spatial_ndim)
    valid = find_valid_pixels(image.values, mask)
    if not valid.any():
        raise no_pixel_error(image.values)
    if limits is None:
        limits = _find_limits(image, valid, intensity)
    values = _rescale(image, limits, intensity)
    if not valid.all():
        values[:, ~valid] = 0
    return NormalizedImage(values, valid, image.is_rgb, spatial_ndim, limits, steps)


def normalize_crops(
    image: ImageChannels, intensity: IntensityRule, spatial_ndim: int, seed: int
) -> NormalizedImage:
    """Normalise crops of a lazy image, drawn from all over it.

    Parameters
    ----------
    image : ImageChannels
        The image; its values are a dask array.
    intensity : {'auto', 'percentile', 'range'}
        What becomes 0 and 1, see `normalize_image`.
    spatial_ndim : int
        2 if frames are planes, 3 if they are volumes.
    seed : int
        Decides which crops are drawn.

    Returns
    -------
    NormalizedImage
        A frame for each crop. Its `limits` stand for those of the whole image: any other part is
        normalised with them.
    """
    crops = compute_crops(image.values, spatial_ndim, seed)  # (C, crops, [z,] y, x)
    return normalize_image(crop_series(image, crops, spatial_ndim), None, intensity, spatial_ndim)


def find_valid_pixels(raw: NDArray[np.generic], mask: ArrayLike | None) -> NDArray[np.bool_]:
    """Find the pixels that take part: inside every mask, and a number in every channel.

    Parameters
    ----------
    raw : ndarray, shape (C, ..., Y, X)
        The channels of an image.
    mask : array_like of bool, shape (..., Y, X), or None
        True where a pixel takes part.

    Returns
    -------
    ndarray of bool, shape (..., Y, X)
        True where a pixel takes part.

    Raises
    ------
    ImageError
        If the mask does not fit, or a value is infinite.
    """
    valid = np.ones(raw.shape[1:], dtype=bool)
    if mask is not None:
        mask = as_array("mask", mask)
        if mask.shape != valid.shape or mask.dtype != bool:
            raise ImageError(
                f"mask has shape {mask.shape} and dtype {mask.dtype}; expected the image's "
                f"{valid.shape} and bool, True where a pixel takes part"
            )
        valid &= mask
    if isinstance(raw, np.ma.MaskedArray):
        valid &= ~np.ma.getmaskarray(raw).any(axis=0)  # True in a mask of numpy is left out
    data = np.ma.getdata(raw)
    if data.dtype.kind == "f":
        valid &= ~np.isnan(data).any(axis=0)
        # NaN is how people leave pixels out; an infinite value is more likely a mistake
        n_infinite = int(np.isinf(data[:, valid]).sum())
        if n_infinite:
            raise ImageError(
                f"image has {count(n_infinite, 'infinite value')}: give a finite number instead, "
                "or NaN to leave a pixel out"
            )
    return valid


def no_pixel_error(raw: NDArray[np.generic]) -> ImageError:
    """Return the error for an image of which no pixel takes part.

    Parameters
    ----------
    raw : ndarray, shape (C, ..., Y, X)
        The channels of the image.

    Returns
    -------
    ImageError
        A sentence, to be raised; it names channels that keep all others from taking part.
    """
    data = np.ma.getdata(raw)
    is_float = data.dtype.kind == "f"
    empty = [i for i, channel in enumerate(data) if is_float and np.isnan(channel).all()]
    reason = "all are NaN, transparent or masked"
    if 0 < len(empty) < len(data):
        are = "channel {} is" if len(empty) == 1 else "channels {} are"
        named = are.format(", ".join(map(str, empty)))
        reason = f"{named} NaN everywhere, counted from 0; leave out what is empty"
    return ImageError(f"image has no pixel to segment: {reason}")


def _check_spacing(spacing: Sequence[float] | None, spatial_ndim: int) -> tuple[float, ...]:
    """Return the distance of neighbours along each axis of a frame, or raise."""
    if spacing is None:
        return (1.0,) * spatial_ndim
    try:
        steps = np.asarray(spacing)
    except ValueError:  # of sequences of different lengths
        steps = np.empty(0)
    is_numbers = steps.shape == (spatial_ndim,) and steps.dtype.kind in "uif"
    if not is_numbers or not all(0 < step < math.inf for step in steps.tolist()):
        raise ImageError(
            f"spacing must be {spatial_ndim} numbers above 0, one for each axis of a frame, got "
            f"{spacing!r}"
        )
    finest = float(steps.min())
    if steps.max() > MAX_ANISOTROPY * finest:
        raise ImageError(
            f"spacing {tuple(steps.tolist())} has axes more than {MAX_ANISOTROPY:,} times as far "
            "apart as others: check the numbers, or segment planes with spatial_ndim=2"
        )
    # in any unit: what takes distances, such as superpixels, has them in steps of the finest axis
    return tuple(float(step) / finest for step in steps)


def _is_scaled_by_dtype(image: ImageChannels, intensity: IntensityRule) -> bool:
    """Tell whether the range of the data type becomes 0 to 1, rather than percentiles."""
    if intensity == "auto":
        # the channels of a photograph belong together: scaled one by one they would change colour
        return bool(image.is_rgb and image.values.dtype == np.uint8)
    return intensity == "range"


def _find_limits(
    image: ImageChannels, valid: NDArray[np.bool_], intensity: IntensityRule
) -> NDArray[np.float64]:
    """Return the intensities of each channel that become 0 and 1, shape (C, 2)."""
    find = _dtype_limits if _is_scaled_by_dtype(image, intensity) else _percentile_limits
    return np.array([find(channel, valid) for channel in np.ma.getdata(image.values)])


def _percentile_limits(
    channel: NDArray[np.generic], valid: NDArray[np.bool_]
) -> tuple[float, float]:
    """Return a channel's percentiles, or its least and greatest value if these are the same."""
    inside = channel[valid].astype(np.float64)
    least, greatest = float(inside.min()), float(inside.max())
    if not math.isfinite(greatest - least):
        raise ImageError(
            f"image has values from {least:g} to {greatest:g}, farther apart than a computer can "
            "count; leave out the greatest by NaN, or divide all by some number"
        )
    low, high = np.percentile(inside, PERCENTILES)
    if low == high:
        # fewer than one pixel in a thousand differs from all others, and it may be what matters
        low, high = least, greatest
    return float(low), float(high)


def _dtype_limits(channel: NDArray[np.generic], valid: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the ends of the data type's range, or 0 and 1 for floats and bool."""
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


def _rescale(
    image: ImageChannels, limits: NDArray[np.float64], intensity: IntensityRule
) -> NDArray[np.float32]:
    """Map the limits of each channel to 0 and 1 and clip what lies beyond them."""
    raw = image.values
    # single precision holds every integer of 16 bits, in half the memory and time; percentiles
    # are fractions, and what is far from 0 needs double precision to be told apart
    is_exact_in_single = _is_scaled_by_dtype(image, intensity) and raw.dtype.itemsize <= 2
    precision = np.float32 if is_exact_in_single else np.float64
    values = np.empty(raw.shape, dtype=np.float32)
    # channel by channel: an array in double precision is then one channel large
    for channel, scaled, (low, high) in zip(np.ma.getdata(raw), values, limits, strict=True):
        if low == high:
            scaled[...] = 0
        else:
            scaled[...] = ((channel.astype(precision) - low) / (high - low)).clip(0, 1)
    return values
