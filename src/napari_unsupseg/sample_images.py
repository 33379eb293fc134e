"""Scientific images that install with scikit-image."""

import numpy as np
import skimage.data
from numpy.typing import NDArray

__all__ = ["cell", "galaxies", "retina", "tissue"]

Picture = NDArray[np.uint8]


def tissue() -> Picture:
    """Return a section of colonic glands, immunostained with haematoxylin and DAB.

    Returns
    -------
    ndarray of uint8, shape (256, 256, 3)
        RGB; a gland and the tissue around it.
    """
    picture: Picture = skimage.data.immunohistochemistry()
    return picture[256:, 128:384]


def cell() -> Picture:
    """Return a cell seen by phase contrast.

    Returns
    -------
    ndarray of uint8, shape (320, 320)
        Grey; the cell and its surroundings.
    """
    picture: Picture = skimage.data.cell()
    return picture[200:520, 230:550]


def retina() -> Picture:
    """Return a detail of a retina, with vessels and two small aneurysms.

    Returns
    -------
    ndarray of uint8, shape (102, 102)
        Grey; the green channel.
    """
    picture: Picture = skimage.data.microaneurysms()
    return picture


def galaxies() -> Picture:
    """Return a part of the Hubble eXtreme Deep Field.

    Returns
    -------
    ndarray of uint8, shape (400, 400, 3)
        RGB; galaxies and the dark between them.
    """
    picture: Picture = skimage.data.hubble_deep_field()
    return picture[:400, :400]
