"""What the samples of a pixel are: grey, red, green and blue, CMYK or channels; and alpha."""

import functools
import warnings
from typing import Any, Literal, NamedTuple

import numpy as np
import skimage.color
from numpy.typing import NDArray

from napari_unsupseg.errors import FileError
from napari_unsupseg.image.axes import CHANNELS, SAMPLES
from napari_unsupseg.image.tiling import is_large

__all__ = [
    "ColourModel",
    "ColourSpace",
    "Pixels",
    "SampleModel",
    "convert_to_rgb",
    "interpret_samples",
]

ColourModel = Literal["grey", "rgb", "cmyk", "channels"]
ColourSpace = Literal["YCbCr", "CIELab", "ICCLab"]  # other ways to store red, green and blue


class SampleModel(NamedTuple):
    """What a file says of the samples of a pixel.

    Attributes
    ----------
    colour : {'grey', 'rgb', 'cmyk', 'channels'}
        What those are that are no alpha; ``'channels'`` may be anything.
    alpha : int or None
        Which of the samples says how opaque a pixel is.
    """

    colour: ColourModel
    alpha: int | None = None


class Pixels(NamedTuple):
    """An image whose samples are understood.

    Attributes
    ----------
    values : ndarray or dask array
        Without alpha.
    axes : str
        One letter an axis; ``s`` for red, green and blue, ``c`` for channels.
    mask : ndarray of bool, shape (..., Y, X), or None
        False where a pixel is fully transparent; None if none is.
    """

    values: Any
    axes: str
    mask: NDArray[np.bool_] | None


def interpret_samples(values: Any, axes: str, model: SampleModel, name: object) -> Pixels:
    """Give samples the meaning that a file says they have.

    Parameters
    ----------
    values : ndarray or dask array
        Values as they are stored.
    axes : str
        One letter an axis, ``s`` for the samples if there are several.
    model : SampleModel
        What they are.
    name : object
        What the image is called in a warning, such as its path.

    Returns
    -------
    Pixels
        The image. Alpha is left out with a warning, and its fully transparent pixels are masked,
        unless the image is too large to be loaded. CMYK becomes RGB, with a warning. Samples of
        several channels each become channels.

    Raises
    ------
    FileError
        If CMYK is not of 8 or 16 bits.
    """
    if SAMPLES not in axes:
        return Pixels(values, axes, None)
    axis = axes.index(SAMPLES)
    mask = None
    if model.alpha is not None:
        values, mask = _split_alpha(values, axis, model.alpha, name)
    colour = model.colour
    if colour == "cmyk":
        warnings.warn(f"{name}: is CMYK, and is converted to RGB", stacklevel=3)
        values, colour = _cmyk_to_rgb(values, axis, name), "rgb"
    if values.shape[axis] == 1:
        return Pixels(values.squeeze(axis), axes.replace(SAMPLES, ""), mask)
    if CHANNELS in axes:
        place = axes.replace(SAMPLES, "").index(CHANNELS)
        if mask is not None:
            mask = np.asarray(mask.any(axis=place))  # seen in one of the channels
        return Pixels(_merge_into_channels(values, axes, place), axes.replace(SAMPLES, ""), mask)
    is_rgb = colour == "rgb" and values.shape[axis] == 3
    return Pixels(values, axes if is_rgb else axes.replace(SAMPLES, CHANNELS), mask)


def convert_to_rgb(values: Any, axis: int, space: ColourSpace, name: object) -> Any:
    """Convert samples as TIFF stores them to red, green and blue; those behind stay as they are.

    Parameters
    ----------
    values : ndarray or dask array of uint8 or uint16
        The first three samples are converted.
    axis : int
        The axis of the samples.
    space : {'YCbCr', 'CIELab', 'ICCLab'}
        What they are. YCbCr is that of JPEG, of which no value is left out; ICCLab has other
        numbers than CIELab for the same colours.
    name : object
        What the image is called in an error, such as its path.

    Returns
    -------
    ndarray or dask array
        Of the same shape and type; with a warning if it was Lab, which has colours that RGB lacks.

    Raises
    ------
    FileError
        If it has another type, or YCbCr more than 8 bits.
    """
    if values.dtype not in ((np.uint8,) if space == "YCbCr" else (np.uint8, np.uint16)):
        raise FileError(f"{name}: is {space} of {values.dtype}; save it as RGB")
    if space != "YCbCr":
        warnings.warn(f"{name}: is {space}, and is converted to RGB", stacklevel=3)
    convert = functools.partial(_convert_loaded, axis=axis, space=space)
    if isinstance(values, np.ndarray):
        return convert(values)
    return values.rechunk({axis: -1}).map_blocks(convert, dtype=values.dtype)


def _convert_loaded(values: NDArray[Any], axis: int, space: ColourSpace) -> NDArray[Any]:
    samples = np.moveaxis(values, axis, -1)
    stored, others = samples[..., :3], samples[..., 3:]
    white = np.float32(np.iinfo(values.dtype).max)
    middle = int(white) // 2 + 1
    if space == "YCbCr":
        neutral = np.array([0, middle, middle], dtype=np.float32)
        rgb = skimage.color.ypbpr2rgb((stored.astype(np.float32) - neutral) / white)
    else:
        # a and b are stored with a sign, or with an offset in its place
        shift = middle if space == "CIELab" else 0
        signed = (stored[..., 1:] + values.dtype.type(shift)) - np.float32(middle)
        lightness = stored[..., :1] / white * np.float32(100)
        lab = np.concatenate([lightness, signed / np.float32(middle // 128)], axis=-1)
        rgb = skimage.color.lab2rgb(lab)
    colours = (np.clip(rgb, 0, 1) * white).round().astype(values.dtype)
    return np.moveaxis(np.concatenate([colours, others], axis=-1), -1, axis)


def _merge_into_channels(values: Any, axes: str, place: int) -> Any:
    """Return channels that have samples each, such as stains in colour, along one axis."""
    apart = np.moveaxis(values, (axes.index(CHANNELS), axes.index(SAMPLES)), (place, place + 1))
    before, after = apart.shape[:place], apart.shape[place + 2 :]
    return apart.reshape((*before, apart.shape[place] * apart.shape[place + 1], *after))


def _split_alpha(
    values: Any, axis: int, alpha: int, name: object
) -> tuple[Any, NDArray[np.bool_] | None]:
    """Return values without alpha, and where a pixel is not fully transparent."""
    others = [index for index in range(values.shape[axis]) if index != alpha]
    colours = _take(values, others, axis)
    warnings.warn(f"{name}: has an alpha channel, which is left out", stacklevel=4)
    if is_large(colours):  # to look at all of its alpha would be to load it
        return colours, None
    mask = np.asarray(_take(values, [alpha], axis).squeeze(axis)) > 0
    return colours, None if mask.all() else mask


def _cmyk_to_rgb(values: Any, axis: int, name: object) -> Any:
    """Convert cyan, magenta, yellow and black without a colour profile: (1 - C) (1 - K) and so on.

    Profiles make other colours of it, but keep apart what this keeps apart.
    """
    if values.dtype not in (np.uint8, np.uint16):
        raise FileError(f"{name}: is CMYK of {values.dtype}; save it as RGB, or with 8 or 16 bits")
    white = int(np.iinfo(values.dtype).max)
    ink = _take(values, [0, 1, 2], axis).astype(np.float32) / white
    black = _take(values, [3], axis).astype(np.float32) / white
    return ((1 - ink) * (1 - black) * white).round().astype(values.dtype)


def _take(values: Any, samples: list[int], axis: int) -> Any:
    """Return some of the samples along an axis; a dask array has no method for it."""
    return values[(slice(None),) * axis + (samples,)]
