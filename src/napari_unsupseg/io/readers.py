"""Images from files of every format: whole, or as dask arrays where they are large."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import imageio.v3
import numpy as np
from numpy.typing import NDArray

from napari_unsupseg.errors import FileError
from napari_unsupseg.image import tiling
from napari_unsupseg.io.ome_zarr import open_zarr
from napari_unsupseg.io.paths import is_tiff, is_zarr
from napari_unsupseg.io.pixel_size import PixelSize
from napari_unsupseg.io.tiff import (
    count_tiff_values,
    open_tiff_lazily,
    read_tiff,
    read_tiff_axes,
    read_tiff_pixel_size,
)

__all__ = ["ImageSource", "is_chunked", "open_image", "read_image"]


class ImageSource(NamedTuple):
    """An image file, opened.

    Attributes
    ----------
    values : ndarray or dask array
        A dask array if it has more than 2²⁵ values.
    axes : str or None
        One letter an axis, as `napari_unsupseg.segment` takes them; None if the file does not say.
    pixel_size : PixelSize or None
        None if the file does not say it.
    """

    values: Any
    axes: str | None
    pixel_size: PixelSize | None


def read_image(path: Path) -> NDArray[np.generic]:
    """Read an image file whole.

    Parameters
    ----------
    path : Path
        TIFF, PNG, JPEG or any other format that imageio reads.

    Returns
    -------
    ndarray
        The values as they are stored.

    Raises
    ------
    FileError
        If the file is missing, is a folder, is damaged or is no image.
    """
    if not path.exists():
        raise FileError(f"{path}: no such file")
    if path.is_dir():
        raise FileError(f"{path}: is a folder; name the image files in it")
    try:
        if is_tiff(path):
            return read_tiff(path)
        # bytes, not the path: of a file it cannot read imageio leaves the handle open
        return np.asarray(imageio.v3.imread(path.read_bytes(), extension=path.suffix))
    except FileError:
        raise
    # what a decoder raises on a damaged file is not documented and depends on the damage
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise FileError(
            f"{path}: cannot be read as an image, it is damaged or of another kind ({reason})"
        ) from error


@contextlib.contextmanager
def open_image(path: Path) -> Iterator[ImageSource]:
    """Open an image file, and close it at the end.

    Parameters
    ----------
    path : Path
        TIFF, OME-Zarr, PNG, JPEG or any other format that imageio reads.

    Yields
    ------
    ImageSource
        The image; of a file with several levels of a pyramid the finest.

    Raises
    ------
    FileError
        If the file is missing, is a folder, is damaged or is no image.
    """
    if is_zarr(path):
        values, axes, pixel_size = open_zarr(path)
        yield ImageSource(values if tiling.is_large(values) else values.compute(), axes, pixel_size)
    elif is_chunked(path):
        with open_tiff_lazily(path) as values:
            yield ImageSource(values, read_tiff_axes(path), read_tiff_pixel_size(path))
    else:
        values = read_image(path)
        yield ImageSource(values, read_tiff_axes(path), read_tiff_pixel_size(path))


def is_chunked(path: Path) -> bool:
    """Tell whether labels of an image are written chunk by chunk unless a TIFF is asked for.

    Parameters
    ----------
    path : Path
        An image file; it need not exist.

    Returns
    -------
    bool
        Whether it is in a zarr store, or a TIFF file of more than 2²⁵ values, which is not loaded
        whole.
    """
    return is_zarr(path) or (is_tiff(path) and count_tiff_values(path) > tiling.LOADED_VALUES)
