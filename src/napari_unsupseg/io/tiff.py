"""TIFF: what the axes are, how large a pixel is, and labels that say how they were made."""

import json
import uuid
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_unsupseg.errors import FileError
from napari_unsupseg.io.paths import atomic_write, is_tiff
from napari_unsupseg.io.pixel_size import UNITS, PixelSize

__all__ = [
    "check_tiff_is_complete",
    "read_tiff_axes",
    "read_tiff_pixel_size",
    "read_tiff_record",
    "write_labels",
]

OME_UNITS = {"um": "µm", "angstrom": "Å"}  # the others are written alike
NAMESPACE = "napari-unsupseg"  # of the annotation that says how labels were made


def check_tiff_is_complete(path: Path) -> None:
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


def read_tiff_axes(path: Path) -> str | None:
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


def read_tiff_pixel_size(path: Path) -> PixelSize | None:
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


def read_tiff_record(path: Path) -> dict[str, Any] | None:
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
    with atomic_write(path) as partial:
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
