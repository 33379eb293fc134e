"""Images from files: whole, or as dask arrays where they are large."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import tifffile

from napari_unsupseg import lazy
from napari_unsupseg.errors import FileError
from napari_unsupseg.files import (
    PixelSize,
    is_tiff,
    is_zarr,
    read_axes,
    read_image,
    read_pixel_size,
    require_whole,
)
from napari_unsupseg.zarr_files import open_zarr

__all__ = ["Source", "is_by_chunks", "labels_name", "open_image", "result_name"]


class Source(NamedTuple):
    """An image file, opened.

    Attributes
    ----------
    values : ndarray or dask array
        A dask array if it has more than 2²⁵ values.
    axes : str or None
        One letter an axis, as `napari_unsupseg.segment` takes them, if the file says it.
    pixel_size : PixelSize or None
        If the file says it.
    """

    values: Any
    axes: str | None
    pixel_size: PixelSize | None


def is_by_chunks(path: Path) -> bool:
    """Tell whether labels of an image go chunk by chunk too.

    Parameters
    ----------
    path : Path
        An image file; it need not exist.

    Returns
    -------
    bool
        Whether it is in a zarr store, or a TIFF file that is not loaded whole.
    """
    return is_zarr(path) or (is_tiff(path) and _n_values(path) > lazy.LOADED_VALUES)


@contextlib.contextmanager
def open_image(path: Path) -> Iterator[Source]:
    """Open an image file, and close it at the end.

    Parameters
    ----------
    path : Path
        TIFF, OME-Zarr, PNG, JPEG or any other format that imageio reads.

    Yields
    ------
    Source
        Of a file with several levels, the finest.

    Raises
    ------
    FileError
        If the file is missing, is a folder, is damaged or is no image.
    """
    if is_zarr(path):
        values, axes, pixel_size = open_zarr(path)
        yield Source(values if lazy.is_large(values) else values.compute(), axes, pixel_size)
    elif is_by_chunks(path):
        with _lazy_tiff(path) as values:
            yield Source(values, read_axes(path), read_pixel_size(path))
    else:
        values = read_image(path)
        yield Source(values, read_axes(path), read_pixel_size(path))


def _n_values(path: Path) -> int:
    """Return how many values a TIFF file has; 0 if it is not one."""
    try:
        with tifffile.TiffFile(path) as tiff:
            return int(tiff.series[0].size)
    # `read_image` says what is wrong with it
    except Exception:
        return 0


@contextlib.contextmanager
def _lazy_tiff(path: Path) -> Iterator[Any]:
    """Give the finest level of a TIFF file as a dask array."""
    try:
        import dask.array as da
        import zarr
    except ImportError as error:
        raise FileError(
            f"{path}: is too large to be loaded, and to open it part by part needs more packages: "
            "pip install 'napari-unsupseg[large]'"
        ) from error
    require_whole(path)
    with tifffile.imread(path, aszarr=True, level=0) as store:
        yield da.from_zarr(zarr.open_array(store, mode="r"))


def result_name(image: Path, ending: str) -> str:
    """Name a result of one of many images.

    Parameters
    ----------
    image : Path
        An image file.
    ending : str
        What the result's name ends in.

    Returns
    -------
    str
        The image's name with that in place of its own ending.

    Examples
    --------
    >>> result_name(Path("scans/a.ome.zarr"), "_preview.png")
    'a_preview.png'
    """
    return image.stem.removesuffix(".ome") + ending


def labels_name(image: Path) -> str:
    """Name the labels of one of many images.

    Parameters
    ----------
    image : Path
        An image file.

    Returns
    -------
    str
        Of a TIFF file, or of an OME-Zarr store if the image is too large to be loaded.
    """
    return result_name(image, "_labels.ome.zarr" if is_by_chunks(image) else "_labels.tif")
