"""Which files are images, how results are named, and how a file is never left half written."""

import contextlib
import glob
import hashlib
import os
import platform
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import psutil

from napari_unsupseg.errors import FileError

__all__ = [
    "atomic_write",
    "check_writable",
    "file_kind",
    "hidden_path",
    "is_same_place",
    "is_tiff",
    "is_zarr",
    "lies_within",
    "list_images",
    "partial_path",
    "remove",
    "result_file_name",
]

TIFF_SUFFIXES = (".tif", ".tiff")
IMAGE_SUFFIXES = (*TIFF_SUFFIXES, ".zarr", ".png", ".jpg", ".jpeg", ".bmp")


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


def file_kind(path: Path) -> Literal["nothing", "file", "folder", "device"]:
    """Tell what is at a path.

    Parameters
    ----------
    path : Path
        Any path; through links.

    Returns
    -------
    {'nothing', 'file', 'folder', 'device'}
        ``'device'`` for a pipe too, and all else that may keep a reader waiting. Nothing is where
        the system says that nothing can be, as of a name that is too long; `Path.exists` raises
        an error then.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return "nothing"
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "device"


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
    kind = file_kind(path)
    if kind == "folder" and not is_zarr(path):
        raise FileError(f"{path}: is a folder; name a file to write")
    if kind != "nothing" and not overwrite:
        raise FileError(
            f"{path}: exists already; choose another place, or overwrite it (--overwrite)"
        )
    if kind == "device":
        raise FileError(f"{path}: is a device or a pipe, which cannot be replaced; name a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            path.lstat()  # a name that is too long is known by this alone
        # what the bits of permission say does not hold for root, nor on every file system
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise FileError(f"{path}: cannot be written ({error.strerror})") from error


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a file beside `path` to write to, and put it in the place of `path` at the end.

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
    with partial_path(path) as partial:
        try:
            yield partial
            partial.replace(path)
        except OSError as error:
            raise FileError(f"{path}: cannot be written ({error.strerror or error})") from error


@contextlib.contextmanager
def partial_path(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to write to, and remove at the end what is still there.

    What a process that was killed has left of the same file is removed too.

    Parameters
    ----------
    path : Path
        The file or store that is to be written.

    Yields
    ------
    Path
        Where nothing is yet; no other process of any computer has it.
    """
    # computers that share a folder may have processes of the same number
    host = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
    start = hidden_path(path, f".{host}-").name
    for left in path.parent.glob(glob.escape(start) + "*.partial"):
        number = left.name.removeprefix(start).removesuffix(".partial")
        if number.isdecimal() and not psutil.pid_exists(int(number)):
            remove(left)
    mine = path.with_name(f"{start}{os.getpid()}.partial")
    remove(mine)
    try:
        yield mine
    finally:
        remove(mine)


def hidden_path(path: Path, ending: str) -> Path:
    """Name a hidden file beside another that belongs to it.

    Parameters
    ----------
    path : Path
        The other file.
    ending : str
        What the name ends in.

    Returns
    -------
    Path
        Its name is short, however long that of the other is: file systems allow 255 bytes.
    """
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]
    return path.with_name(f".{path.name[:30]}.{digest}{ending}")


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; nothing need be there.

    Parameters
    ----------
    path : Path
        The file or folder; of a link the link alone goes.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def is_same_place(one: Path, other: Path) -> bool:
    """Tell whether two paths are those of one file, however they are written.

    Parameters
    ----------
    one, other : Path
        They need not exist.

    Returns
    -------
    bool
        Through links too, and in capitals or not where the system takes these for the same.
    """
    are_there = "nothing" not in (file_kind(one), file_kind(other))
    return (are_there and one.samefile(other)) or _resolved(one) == _resolved(other)


def lies_within(inner: Path, outer: Path) -> bool:
    """Tell whether a file lies in a folder, such as an image in a zarr store.

    Parameters
    ----------
    inner, outer : Path
        They need not exist.

    Returns
    -------
    bool
        At any depth; a folder does not lie in itself.
    """
    resolved = Path(os.path.realpath(inner))
    return any(is_same_place(parent, outer) for parent in resolved.parents)


def _resolved(path: Path) -> str:
    """Return a path without links, in small letters where the system does not tell them apart."""
    resolved = os.path.normcase(os.path.realpath(path))
    return resolved.casefold() if sys.platform == "darwin" else resolved


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
