"""Images from files of every format: whole, or as dask arrays where they are large."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg.errors import FileError, first_line
from napari_unsupseg.image import tiling
from napari_unsupseg.io.colour_model import Pixels, SampleModel, interpret_samples
from napari_unsupseg.io.microscope_formats import open_by_bioio
from napari_unsupseg.io.ome_zarr import open_zarr
from napari_unsupseg.io.paths import file_kind, is_microscope_format, is_tiff, is_zarr, unreadable
from napari_unsupseg.io.pictures import read_picture
from napari_unsupseg.io.pixel_size import PixelSize
from napari_unsupseg.io.tiff import check_series, count_tiff_values, list_tiff_files, open_tiff

__all__ = ["ImageSource", "is_chunked", "list_files", "open_image", "read_image"]


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
    mask : ndarray of bool, shape (..., Y, X), or None
        False at pixels that are fully transparent; None if none is.
    """

    values: Any
    axes: str | None
    pixel_size: PixelSize | None
    mask: NDArray[np.bool_] | None = None


def read_image(path: Path) -> NDArray[np.generic]:
    """Read an image file whole.

    Parameters
    ----------
    path : Path
        TIFF, PNG, JPEG or any other format that imageio reads.

    Returns
    -------
    ndarray
        The values; alpha is left out with a warning, palettes are looked up.

    Raises
    ------
    FileError
        If the file is missing, is a folder, is damaged or is no image.
    """
    with open_image(path) as image:
        return np.asarray(image.values)


@contextlib.contextmanager
def open_image(
    path: Path, *, series: int | None = None, as_stored: bool = False
) -> Iterator[ImageSource]:
    """Open an image file, and close it at the end.

    Parameters
    ----------
    path : Path
        TIFF, OME-Zarr, PNG, JPEG or any other format that imageio reads, and those of
        microscopes' makers (CZI, LIF, ND2 and others) if bioio and its reader are installed.
    series : int, optional
        Which image of a file, from 0; by default the largest of a TIFF file, and the first scene
        of a microscope's.
    as_stored : bool
        Whether the samples of a pixel are left as they are, for a caller who says what they are.

    Yields
    ------
    ImageSource
        The image; of a file with several levels of a pyramid the finest.

    Raises
    ------
    FileError
        If the file is missing, is a folder, is damaged, is no image or has no such series.
    """
    if is_zarr(path):
        check_series(path, series or 0, n_series=1)
        values, axes, pixel_size = open_zarr(path)
        yield ImageSource(tiling.load_if_small(values), axes, _if_possible(pixel_size))
        return
    kind = file_kind(path)
    if kind == "nothing":
        raise FileError(f"{path}: no such file")
    if kind == "folder":
        raise FileError(f"{path}: is a folder; name the image files in it")
    if kind == "device":
        raise FileError(f"{path}: is a device or a pipe; name an image file")
    with contextlib.ExitStack() as stack:
        pixel_size, orientation = None, 1
        with _translate_errors(path):
            if is_microscope_format(path):
                values, axes, pixel_size = open_by_bioio(path, series)
                values = values if tiling.is_large(values) else values.compute()
                samples = SampleModel("rgb")  # of images with such an axis
            elif is_tiff(path):
                tiff = stack.enter_context(open_tiff(path, series))
                values, axes, samples, pixel_size, orientation = tiff
            else:
                check_series(path, series or 0, n_series=1)
                values, axes, samples, orientation = read_picture(path)
            if orientation in range(2, 9):  # any other number means nothing
                warnings.warn(
                    f"{path}: is to be turned or mirrored when it is shown (orientation "
                    f"{orientation}), which is not done: labels lie as its pixels are stored",
                    stacklevel=3,
                )
            pixels = Pixels(values, axes or "", None)
            if axes is not None and not as_stored:
                pixels = interpret_samples(values, axes, samples, path)
            values = tiling.load_if_small(pixels.values)  # it may be small without its alpha
        yield ImageSource(values, pixels.axes or None, _if_possible(pixel_size), pixels.mask)


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
    return is_zarr(path) or count_tiff_values(path) > tiling.LOADED_VALUES


def list_files(path: Path) -> list[Path]:
    """Name the files and folders that an image is read from.

    Parameters
    ----------
    path : Path
        An image file; it need not exist.

    Returns
    -------
    list of Path
        Itself first; then others, of a TIFF image in several files, and the folders beside those
        of Olympus (OIF and VSI).
    """
    if not is_microscope_format(path):
        return list_tiff_files(path)
    beside = (path.with_name(f"{path.name}.files"), path.with_name(f"_{path.stem}_"))
    return [path, *(folder for folder in beside if folder.is_dir())]


def _if_possible(pixel_size: PixelSize | None) -> PixelSize | None:
    """Return a pixel size, or None in place of one that no pixel has."""
    return pixel_size if pixel_size and pixel_size.is_possible else None


@contextlib.contextmanager
def _translate_errors(path: Path) -> Iterator[None]:
    """Turn what decoders raise into one sentence about the file."""
    try:
        yield
    except FileError:
        raise
    # what a decoder raises on a damaged file is not documented and depends on the damage
    except Exception as error:
        raise unreadable(path, first_line(error)) from error
