"""Colours that are about as far apart as they look."""

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab

from napari_unsupseg.image.normalize import NormalizedImage

__all__ = ["perceptual_colours"]


def perceptual_colours(image: NormalizedImage) -> tuple[NDArray[np.float32], list[float]]:
    """Return an image's colours, and how much each of their channels counts for lightness.

    Parameters
    ----------
    image : NormalizedImage
        The image.

    Returns
    -------
    colours : ndarray of float32, shape (..., Y, X, C)
        CIELAB of RGB, else the intensities; 1 from black to white.
    lightness : list of float, length C
        Factors of the channels whose sum is the lightness.
    """
    # in one order for all images, so that functions are compiled for one type (see `jit`)
    values = np.ascontiguousarray(np.moveaxis(image.values, 0, -1))
    if image.is_rgb:
        return (rgb2lab(values) / 100).astype(np.float32), [1, 0, 0]
    return values, [1] * values.shape[-1]
