"""Images from files; labels, previews and tables to files; a file is never left half written."""

import contextlib
import csv
import glob
import json
import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import imageio.v3
import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_unsupseg.errors import FileError

__all__ = [
    "UNITS",
    "PixelSize",
    "is_tiff",
    "is_zarr",
    "list_images",
    "read_axes",
    "read_image",
    "read_pixel_size",
    "read_record",
    "replacing",
    "require_whole",
    "require_writable",
    "write_labels",
    "write_picture",
    "write_table",
]

TIFF_SUFFIXES = (".tif", ".tiff")
IMAGE_SUFFIXES = (*TIFF_SUFFIXES, ".zarr", ".png", ".jpg", ".jpeg", ".bmp")
# as ImageJ and OME write them
UNITS = {
    "µm": "um", "μm": "um", "\\u00B5m": "um", "um": "um", "micron": "um", "microns": "um",
    "nm": "nm", "mm": "mm", "cm": "cm", "m": "m", "Å": "angstrom",
}  # fmt: skip
OME_UNITS = {"um": "µm", "angstrom": "Å"}  # the others are written alike
NAMESPACE = "napari-unsupseg"  # of the annotation that says how labels were made


class PixelSize(NamedTuple):
    """Height and width of a pixel, their unit in ASCII, and the distance of slices."""

    height: float
    width: float
    unit: str
    depth: float | None = None


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


def read_image(path: Path) -> NDArray[np.generic]:
    """Read an image file.

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
            require_whole(path)
            return np.asarray(tifffile.imread(path))
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


def require_whole(path: Path) -> None:
    """Raise if a TIFF file ends before the data that its pages promise.

    Parameters
    ----------
    path : Path
        A TIFF file.

    Raises
    ------
    FileError
        If it is cut short.
    """
    with tifffile.TiffFile(path) as tiff:
        n_bytes = path.stat().st_size
        for page in tiff.pages:
            for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
                if offset + count > n_bytes:
                    raise FileError(
                        f"{path}: cannot be read as an image, it is damaged or of another kind "
                        f"(the file ends at byte {n_bytes}, before its pixels do)"
                    )


def read_axes(path: Path) -> str | None:
    """Read what the axes of an image file are.

    Parameters
    ----------
    path : Path
        An image file that can be read.

    Returns
    -------
    str or None
        One letter an axis, as `napari_unsupseg.segment` takes them; None if the file does not
        say, as PNG and JPEG do not need to.
    """
    if not is_tiff(path):
        return None
    with tifffile.TiffFile(path) as tiff:
        axes = tiff.series[0].axes.lower()
    return None if set(axes) - set("tzcyxs") else axes


def read_pixel_size(path: Path) -> PixelSize | None:
    """Read how large a pixel is.

    Parameters
    ----------
    path : Path
        An image file that can be read.

    Returns
    -------
    PixelSize or None
        What an OME-TIFF or a TIFF by ImageJ says; None if neither says it in a unit of length.
    """
    if not is_tiff(path):
        return None
    with tifffile.TiffFile(path) as tiff:
        if tiff.ome_metadata:
            return _pixel_size_of_ome(tiff.ome_metadata)
        unit = UNITS.get((tiff.imagej_metadata or {}).get("unit", ""))
        tags = tiff.pages.first.tags
        if unit is None or "XResolution" not in tags or "YResolution" not in tags:
            return None
        # pixels a unit, as fractions
        (y_pixels, y_units), (x_pixels, x_units) = (
            tags["YResolution"].value,
            tags["XResolution"].value,
        )
        if not y_pixels or not x_pixels:
            return None
        depth = (tiff.imagej_metadata or {}).get("spacing")
        return PixelSize(y_units / y_pixels, x_units / x_pixels, unit, depth)


def _pixel_size_of_ome(metadata: str) -> PixelSize | None:
    images = tifffile.xml2dict(metadata)["OME"].get("Image", {})
    pixels = (images[0] if isinstance(images, list) else images).get("Pixels", {})
    height, width = pixels.get("PhysicalSizeY"), pixels.get("PhysicalSizeX")
    depth = pixels.get("PhysicalSizeZ")
    units = {
        UNITS.get(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        for axis in ("ZYX" if depth else "YX")
    }
    unit = units.pop()
    if not height or not width or unit is None or units:
        return None
    return PixelSize(float(height), float(width), unit, float(depth) if depth else None)


def read_record(path: Path) -> dict[str, Any] | None:
    """Read how labels were made.

    Parameters
    ----------
    path : Path
        A TIFF file that `write_labels` may have written.

    Returns
    -------
    dict or None
        What was given to `write_labels`; None if the file is of another kind, or damaged.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            ome = tifffile.xml2dict(tiff.ome_metadata or "")["OME"]
        annotation = ome["StructuredAnnotations"]["CommentAnnotation"]
        if annotation["Namespace"] != NAMESPACE:
            return None
        record: dict[str, Any] = json.loads(annotation["Value"])
    # a file that somebody else wrote can be anything
    except Exception:
        return None
    return record


def require_writable(path: Path, *, overwrite: bool) -> None:
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
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise FileError(f"{path}: cannot be written ({error.strerror})") from error


def write_labels(
    path: Path,
    labels: NDArray[np.unsignedinteger],
    axes: str,
    record: dict[str, Any],
    pixel_size: PixelSize | None = None,
) -> None:
    """Write labels as a compressed OME-TIFF that says how they were made.

    Parameters
    ----------
    path : Path
        The TIFF file to write or replace.
    labels : ndarray of unsigned integers, shape (..., Y, X)
        The labels.
    axes : str
        A letter for each of their axes.
    record : dict
        How they were made; stored as JSON in a comment annotation.
    pixel_size : PixelSize, optional
        How large a pixel is.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    comment = {"Namespace": NAMESPACE, "Value": json.dumps(record)}
    # of the content: the same labels give the same file, and no host or time is in it
    identity = uuid.uuid5(
        uuid.NAMESPACE_OID, comment["Value"] + sha256(labels.tobytes()).hexdigest()
    )
    metadata = {"axes": axes.upper(), "UUID": str(identity), "CommentAnnotation": comment}
    if pixel_size:
        metadata |= _pixel_size_for_ome(pixel_size)
    with replacing(path) as partial:
        tifffile.imwrite(
            partial,
            labels,
            ome=True,
            compression="zlib",
            photometric="minisblack",
            metadata=metadata,
            software=f"napari-unsupseg {record['version']}",
        )


def _pixel_size_for_ome(pixel_size: PixelSize) -> dict[str, Any]:
    sides = {"Y": pixel_size.height, "X": pixel_size.width, "Z": pixel_size.depth}
    unit = OME_UNITS.get(pixel_size.unit, pixel_size.unit)
    return {
        f"PhysicalSize{axis}{what}": value
        for axis, side in sides.items()
        if side
        for what, value in (("", side), ("Unit", unit))
    }


def write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a picture to look at.

    Parameters
    ----------
    path : Path
        The PNG file to write or replace.
    picture : ndarray of uint8, shape (Y, X, 3)
        RGB.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    with replacing(path) as partial:
        imageio.v3.imwrite(partial, picture, extension=".png")


def write_table(path: Path, columns: Mapping[str, NDArray[np.number]]) -> None:
    """Write a table of measurements.

    Parameters
    ----------
    path : Path
        The CSV file to write or replace.
    columns : mapping of str to ndarray, shape (rows,)
        Columns by name.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
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
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    for left in path.parent.glob(f".{glob.escape(path.stem)}.*.partial{path.suffix}"):
        left.unlink(missing_ok=True)
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise FileError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)
