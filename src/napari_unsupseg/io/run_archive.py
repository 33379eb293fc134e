"""A file of several parts: a zip archive of JSON and safetensors, and no code that could run."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.numpy
from numpy.typing import NDArray

from napari_unsupseg.io.paths import atomic_write, file_kind

__all__ = ["holds_run", "pack_arrays", "pack_json", "read_part", "unpack_arrays", "write_archive"]

SIGNATURE = b"PK\3\4"
COMPRESSION = 1  # of 9: the highest takes ten times as long, for a file that is a sixth smaller


def write_archive(path: Path, parts: Mapping[str, bytes]) -> None:
    """Write parts to a file, all of them or none.

    Parameters
    ----------
    path : Path
        The file to write or replace.
    parts : mapping of str to bytes
        Content of each part by its name. The same parts make the same file.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    with (
        atomic_write(path) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION) as archive,
    ):
        for name, content in parts.items():
            # a ZipInfo made of a name alone has the same date always
            archive.writestr(
                zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION
            )


def holds_run(path: Path) -> bool:
    """Tell whether a file is the archive of a run, rather than a network alone.

    Parameters
    ----------
    path : Path
        Any path.

    Returns
    -------
    bool
        By the first bytes of the file: True also of an archive that is damaged.
    """
    if file_kind(path) != "file":  # a pipe would keep a reader waiting
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(SIGNATURE)) == SIGNATURE
    except OSError:  # whoever reads it as a network says why it cannot be read
        return False


def read_part(path: Path, name: str) -> bytes:
    """Read a part of an archive.

    Parameters
    ----------
    path : Path
        The archive.
    name : str
        Name of the part.

    Returns
    -------
    bytes
        Its content.

    Raises
    ------
    KeyError
        If there is no such part.
    zipfile.BadZipFile, zlib.error, OSError
        If the file is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def pack_json(values: Mapping[str, Any]) -> bytes:
    """Return values as the content of a part.

    Parameters
    ----------
    values : mapping
        Fit for JSON.

    Returns
    -------
    bytes
        What `json.loads` reads.
    """
    return json.dumps(values, indent=1).encode()


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as the content of a part.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Of bool or real numbers.

    Returns
    -------
    bytes
        What `unpack_arrays` reads.
    """
    # safetensors takes the bytes as they lie in memory
    native = {
        name: array.astype(array.dtype.newbyteorder("="), order="C")
        for name, array in arrays.items()
    }
    return safetensors.numpy.save(native)


def unpack_arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of a part.

    Parameters
    ----------
    content : bytes
        What `pack_arrays` returned.

    Returns
    -------
    dict of str to ndarray
        The arrays by name, which can be written to.

    Raises
    ------
    safetensors.SafetensorError
        If the content is something else.
    """
    return safetensors.numpy.load(content)
