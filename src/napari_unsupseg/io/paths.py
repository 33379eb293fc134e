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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import psutil

from napari_unsupseg.errors import FileError

__all__ = [
    "MICROSCOPE_SUFFIXES",
    "TIFF_SUFFIXES",
    "atomic_write",
    "check_writable",
    "digest_of",
    "file_kind",
    "find_clash",
    "hidden_path",
    "identify_file",
    "is_microscope_format",
    "is_tiff",
    "is_unchanged",
    "is_zarr",
    "list_images",
    "partial_path",
    "remove",
    "result_file_name",
    "unreadable",
]

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the latter two of BigTIFF
# those of microscopes and slide scanners are TIFF too
TIFF_SUFFIXES = (
    ".tif", ".tiff", ".btf", ".tf2", ".tf8", ".lsm", ".stk", ".qptiff", ".svs", ".ndpi", ".scn",
    ".bif",
)  # fmt: skip
# of microscopes' makers, each with the package that has bioio's reader of it
MICROSCOPE_SUFFIXES = {
    ".czi": "bioio-czi", ".lif": "bioio-lif", ".nd2": "bioio-nd2", ".dv": "bioio-dv",
    ".r3d": "bioio-dv", ".sldy": "bioio-sldy", ".ims": "bioio-bioformats",
    ".vsi": "bioio-bioformats", ".oif": "bioio-bioformats", ".oib": "bioio-bioformats",
}  # fmt: skip
IMAGE_SUFFIXES = (*TIFF_SUFFIXES, ".zarr", ".png", ".jpg", ".jpeg", ".bmp", *MICROSCOPE_SUFFIXES)


def is_tiff(path: Path) -> bool:
    """Tell whether a file is a TIFF, by its first bytes: many kinds of TIFF have other endings.

    Parameters
    ----------
    path : Path
        It need not exist.

    Returns
    -------
    bool
        False for what cannot be read.
    """
    # to open a pipe would wait for somebody to write to it
    if file_kind(path) != "file":
        return False
    try:
        with path.open("rb") as file:
            return file.read(4) in TIFF_SIGNATURES
    except OSError:
        return False


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
        If there is none, or the folder cannot be read.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise FileError(f"{folder}: cannot be read ({error.strerror})") from error
    files = [
        path
        for path in entries
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


def unreadable(path: Path, reason: str) -> FileError:
    """Return the error for a file that is no image as it should be.

    Parameters
    ----------
    path : Path
        The file.
    reason : str
        What a decoder says of it.

    Returns
    -------
    FileError
        A sentence, to be raised.
    """
    return FileError(
        f"{path}: cannot be read as an image, it is damaged or of another kind ({reason})"
    )


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
    except (FileExistsError, NotADirectoryError) as error:
        raise FileError(f"{path}: cannot be written, as one of its folders is a file") from error
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


def find_clash(
    written: Sequence[Path], others: Sequence[Path]
) -> tuple[Path, Literal["is", "holds", "lies in"], Path] | None:
    """Find a file to be written by which another would be lost.

    Parameters
    ----------
    written : sequence of Path
        Files and stores to be written.
    others : sequence of Path
        Files that are to stay; or `written` itself, for two that would be lost by each other.

    Returns
    -------
    tuple of Path, str and Path, or None
        The first file that is one of the others, however both paths are written, or is a folder
        that holds one, or lies in one, such as in a zarr store.
    """
    places = {key: path for path in others for key in _place_keys(path)}
    around = {parent: path for path in others for parent in _resolved_parents(path)}
    for path in written:
        keys, parents = _place_keys(path), _resolved_parents(path)
        relations: dict[Literal["is", "holds", "lies in"], list[Path | None]] = {
            "is": [places.get(key) for key in keys],
            "holds": [around.get(key) for key in keys],
            "lies in": [places.get(parent) for parent in parents],
        }
        for relation, found in relations.items():
            for other in found:
                if other is not None and other is not path:  # not itself, where it is in both
                    return path, relation, other
    return None


def _place_keys(path: Path) -> list[str]:
    """Return what is the same for all paths of a file: two keys, one where nothing is there."""
    keys = [_resolved(path)]
    if file_kind(path) == "file":
        status = path.stat()
        keys.append(f"{status.st_dev}:{status.st_ino}")  # the same of hard links
    return keys


def _resolved_parents(path: Path) -> list[str]:
    """Return the folders that a file lies in, without links."""
    return [str(parent) for parent in Path(_resolved(path)).parents]


def _resolved(path: Path) -> str:
    """Return a path without links, in small letters where the system does not tell them apart."""
    resolved = os.path.normcase(os.path.realpath(path))
    return resolved.casefold() if sys.platform == "darwin" else resolved


def digest_of(path: Path) -> str:
    """Return what tells the content of a file from that of any other.

    Parameters
    ----------
    path : Path
        The file, of which a part is read at a time.

    Returns
    -------
    str
        Its SHA-256 in hexadecimal digits.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def identify_file(path: Path) -> dict[str, int | str] | None:
    """Return what tells a file from another that takes its place later.

    Parameters
    ----------
    path : Path
        An image file or a zarr store.

    Returns
    -------
    dict or None
        Its size in bytes, when it was modified in nanoseconds, and the SHA-256 of its content, fit
        for JSON; of a store size and time of its metadata, and the SHA-256 of the names and sizes
        of all its files. None if it cannot be read.
    """
    try:
        status = _identifying_file(path).stat()
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file())
            lines = [f"{file.relative_to(path).as_posix()} {file.stat().st_size}" for file in files]
            digest = hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()
        else:
            digest = digest_of(path)
    except OSError:
        return None
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": digest}


def is_unchanged(path: Path, identity: object) -> bool:
    """Tell whether a file is still the one that `identify_file` was asked about.

    Parameters
    ----------
    path : Path
        The file.
    identity : object
        What it returned, or anything else that was stored in its place.

    Returns
    -------
    bool
        By size and time where these are the same, which takes no time; else by content, since a
        copy of the same may have another time. True where one of both is not known.
    """
    if not isinstance(identity, dict) or file_kind(path) not in ("file", "folder"):
        return True
    status = _identifying_file(path).stat()
    if (status.st_size, status.st_mtime_ns) == (identity.get("size"), identity.get("mtime_ns")):
        return True
    now = identify_file(path)
    return now is None or now["sha256"] == identity.get("sha256")


def _identifying_file(path: Path) -> Path:
    """Return the file whose time is that of an image: of a zarr store that of its metadata."""
    names = ("zarr.json", ".zattrs", ".zarray")
    return next((path / name for name in names if (path / name).is_file()), path)


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
