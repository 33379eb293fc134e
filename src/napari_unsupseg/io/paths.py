"""Which files are images, how results are named, and how a file is never left half written."""

import contextlib
import glob
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from napari_unsupseg.errors import FileError

__all__ = [
    "MICROSCOPE_SUFFIXES",
    "atomic_write",
    "check_writable",
    "is_microscope_format",
    "is_tiff",
    "is_zarr",
    "list_images",
    "result_file_name",
]

TIFF_SUFFIXES = (".tif", ".tiff")
# of microscopes' makers, each with the package that has bioio's reader of it
MICROSCOPE_SUFFIXES = {
    ".czi": "bioio-czi", ".lif": "bioio-lif", ".nd2": "bioio-nd2", ".dv": "bioio-dv",
    ".r3d": "bioio-dv", ".sldy": "bioio-sldy", ".ims": "bioio-bioformats",
    ".vsi": "bioio-bioformats", ".oif": "bioio-bioformats", ".oib": "bioio-bioformats",
}  # fmt: skip
IMAGE_SUFFIXES = (*TIFF_SUFFIXES, ".zarr", ".png", ".jpg", ".jpeg", ".bmp", *MICROSCOPE_SUFFIXES)


def is_tiff(path: Path) -> bool:
    """Tell whether a file is a TIFF, by its ending.

    Parameters
    ----------
    path : Path
        It need not exist.

    Returns
    -------
    bool
        In capitals too.
    """
    return path.suffix.lower() in TIFF_SUFFIXES


def is_microscope_format(path: Path) -> bool:
    """Tell whether a file is of a format that bioio reads for us, by its ending.

    Parameters
    ----------
    path : Path
        It need not exist.

    Returns
    -------
    bool
        In capitals too.
    """
    return path.suffix.lower() in MICROSCOPE_SUFFIXES


def is_zarr(path: Path) -> bool:
    """Tell whether a path is a zarr store, or lies in one.

    Parameters
    ----------
    path : Path
        It need not exist.

    Returns
    -------
    bool
        By the endings of its parts.
    """
    return any(part.lower().endswith(".zarr") for part in path.parts)


def list_images(folder: Path) -> list[Path]:
    """Return the images in a folder, in the order of their names.

    Parameters
    ----------
    folder : Path
        The folder; those in it are left out unless they are zarr stores, as is what is hidden.

    Returns
    -------
    list of Path
        Images by their endings.

    Raises
    ------
    FileError
        If there is none.
    """
    files = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    ]
    if not files:
        endings = ", ".join(IMAGE_SUFFIXES)
        raise FileError(f"{folder}: has no image files ({endings})")
    return files


def check_writable(path: Path, *, overwrite: bool) -> None:
    """Raise before a run whose result could not be written.

    Parameters
    ----------
    path : Path
        The file to be written; its folder is made if it is not there.
    overwrite : bool
        Whether a file that exists may be replaced.

    Raises
    ------
    FileError
        If the file exists, or its folder cannot be made or written to.
    """
    if path.is_dir() and not is_zarr(path):
        raise FileError(f"{path}: is a folder; name a file to write")
    if path.exists() and not overwrite:
        raise FileError(
            f"{path}: exists already; choose another place, or overwrite it (--overwrite)"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # what the bits of permission say does not hold for root, nor on every file system
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise FileError(f"{path}: cannot be written ({error.strerror})") from error


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a file beside `path` to write to, and put it in the place of `path` at the end.

    What a process that was killed has left of the same file is removed.

    Parameters
    ----------
    path : Path
        The file to write or replace.

    Yields
    ------
    Path
        The file beside it.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    # the number of the process: two of them may write the same file
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    for abandoned in path.parent.glob(f".{glob.escape(path.stem)}.*.partial{path.suffix}"):
        abandoned.unlink(missing_ok=True)
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise FileError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)


def result_file_name(image: Path, ending: str) -> str:
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
    >>> result_file_name(Path("scans/a.ome.zarr"), "_preview.png")
    'a_preview.png'
    """
    return image.stem.removesuffix(".ome") + ending
