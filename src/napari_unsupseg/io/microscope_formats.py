"""Formats of microscopes' makers, read by bioio where its reader of a format is installed."""

import importlib
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from napari_unsupseg.errors import FileError
from napari_unsupseg.io.paths import MICROSCOPE_SUFFIXES
from napari_unsupseg.io.pixel_size import PixelSize
from napari_unsupseg.io.tiff import check_series

__all__ = ["MicroscopeImage", "open_by_bioio"]


class MicroscopeImage(NamedTuple):
    """An image that bioio has opened.

    Attributes
    ----------
    values : dask array
        Values as they are stored, without axes of length 1.
    axes : str
        One letter an axis, as `napari_unsupseg.segment` takes them.
    pixel_size : PixelSize or None
        None if the file does not say it.
    """

    values: Any
    axes: str
    pixel_size: PixelSize | None


def open_by_bioio(path: Path, series: int | None = None) -> MicroscopeImage:
    """Open an image of a microscope's file.

    Parameters
    ----------
    path : Path
        A file with one of `MICROSCOPE_SUFFIXES`.
    series : int, optional
        Which of the file's scenes, from 0; by default the first, with a warning if there are
        others.

    Returns
    -------
    MicroscopeImage
        The scene.

    Raises
    ------
    FileError
        If bioio or its reader of the format is not installed, or there is no such scene.
    """
    reader = MICROSCOPE_SUFFIXES[path.suffix.lower()]
    try:
        bioio = importlib.import_module("bioio")
        image = bioio.BioImage(path)
    # of a format without a reader bioio raises an error of its own, which needs bioio to name
    except ImportError as error:
        raise FileError(
            f"{path}: is read by bioio, which is not installed: pip install bioio {reader}"
        ) from error
    except Exception as error:
        if type(error).__name__ != "UnsupportedFileFormatError":
            raise
        raise FileError(
            f"{path}: is read by bioio with a reader that is not installed, or is damaged: "
            f"pip install {reader}"
        ) from error
    if series is not None:
        check_series(path, series, len(image.scenes))
        image.set_scene(series)
    elif len(image.scenes) > 1:
        warnings.warn(
            f"{path}: holds {len(image.scenes)} images; 0, the first, is taken: choose another "
            "with --series",
            stacklevel=5,
        )
    # bioio gives every image five axes
    axes = image.dims.order.lower()
    kept = [index for index, n in enumerate(image.shape) if n > 1 or axes[index] in "yx"]
    values = image.dask_data[tuple(slice(None) if i in kept else 0 for i in range(len(axes)))]
    letters = "".join(axes[index] for index in kept)
    return MicroscopeImage(values, letters, _pixel_size(image.physical_pixel_sizes))


def _pixel_size(sizes: Any) -> PixelSize | None:
    """Return the size of a pixel, which bioio gives in micrometers."""
    if not sizes.Y or not sizes.X:
        return None
    return PixelSize(float(sizes.Y), float(sizes.X), "um", float(sizes.Z) if sizes.Z else None)
