"""Scientific images that install with scikit-image."""

import numpy as np
import skimage.data
from numpy.typing import NDArray

__all__ = ["cell", "tissue"]


def tissue() -> NDArray[np.uint8]:
    """Return a section of colonic glands, immunostained with haematoxylin and DAB.

    Returns
    -------
    ndarray of uint8, shape (256, 256, 3)
        RGB; a gland and the tissue around it.
    """
    picture: NDArray[np.uint8] = skimage.data.immunohistochemistry()
    return picture[256:, 128:384]


def cell() -> NDArray[np.uint8]:
    """Return a cell seen by phase contrast.

    Returns
    -------
    ndarray of uint8, shape (660, 550)
        Grey.
    """
    picture: NDArray[np.uint8] = skimage.data.cell()
    return picture
