"""What the samples of a pixel are: grey, red, green and blue, CMYK or channels; and alpha."""

import warnings
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg.errors import FileError
from napari_unsupseg.image.axes import CHANNELS, SAMPLES
from napari_unsupseg.image.tiling import is_large

__all__ = ["ColourModel", "Pixels", "SampleModel", "interpret_samples"]

ColourModel = Literal["grey", "rgb", "cmyk", "channels"]


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
        unless the image is too large to be loaded. CMYK becomes RGB, with a warning.

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
    is_rgb = colour == "rgb" and values.shape[axis] == 3
    return Pixels(values, axes if is_rgb else axes.replace(SAMPLES, CHANNELS), mask)


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
