"""Labels drawn over their image."""

import numpy as np
from numpy.typing import NDArray
from skimage.color import hsv2rgb
from skimage.segmentation import find_boundaries

from napari_unsupseg.image.normalize import NormalizedImage

__all__ = ["draw_label_overlay", "label_colours"]

GOLDEN_RATIO = 0.618034  # of hues round the circle, where multiples of it never come close
OPACITY = 0.4  # of the colours over the image


def label_colours(n_labels: int) -> NDArray[np.float64]:
    """Return a colour for each label, unlike those of the labels before it.

    Parameters
    ----------
    n_labels : int
        The greatest label.

    Returns
    -------
    ndarray of float64, shape (n_labels + 1, 3)
        RGB in [0, 1]; label 0 is black.
    """
    ids = np.arange(n_labels + 1)
    # two saturations and two brightnesses tell hues apart that lie close together
    hue = (ids * GOLDEN_RATIO) % 1
    saturation = np.where(ids // 3 % 2, 0.55, 0.9)
    value = np.where(ids % 2, 1.0, 0.75)
    value[0] = 0
    colours: NDArray[np.float64] = hsv2rgb(np.stack([hue, saturation, value], axis=-1))
    return colours


def draw_label_overlay(
    image: NormalizedImage, labels: NDArray[np.unsignedinteger]
) -> NDArray[np.uint8]:
    """Draw the labels' colours and borders over an image, or over the middle plane of a series.

    Parameters
    ----------
    image : NormalizedImage
        Drawn in its colours if RGB, else in grey, the mean of its channels.
    labels : ndarray of unsigned integers, shape (..., Y, X)
        Clusters or segments; 0 is left as it is.

    Returns
    -------
    ndarray of uint8, shape (Y, X, 3)
        RGB.
    """
    middle = tuple(length // 2 for length in labels.shape[:-2])
    colours = label_colours(int(labels.max()))
    values, labels = image.values[:, *middle], labels[middle]
    background = values if image.is_rgb else values.mean(axis=0, keepdims=True)
    pixels = np.broadcast_to(np.moveaxis(background, 0, -1), (*labels.shape, 3)).copy()
    inside = labels > 0
    pixels[inside] = (1 - OPACITY) * pixels[inside] + OPACITY * colours[labels[inside]]
    pixels[find_boundaries(labels, mode="inner")] = 1
    return (pixels * 255).round().astype(np.uint8)
