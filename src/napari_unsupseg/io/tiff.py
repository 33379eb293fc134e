"""TIFF: its values, axes and pixel size; and labels that say how they were made."""

import contextlib
import json
import uuid
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_unsupseg.errors import FileError
from napari_unsupseg.io.paths import atomic_write, is_tiff
from napari_unsupseg.io.pixel_size import UNIT_SPELLINGS, PixelSize

__all__ = [
    "count_tiff_values",
    "open_tiff_lazily",
    "read_tiff",
    "read_tiff_axes",
    "read_tiff_pixel_size",
    "read_tiff_record",
    "write_labels",
]

OME_UNITS = {"um": "µm", "angstrom": "Å"}  # OME writes all other units as `PixelSize` does
NAMESPACE = "napari-unsupseg"  # of the annotation that says how labels were made


def read_tiff(path: Path) -> NDArray[np.generic]:
    """Read a TIFF file whole.

    Parameters
    ----------
    path : Path
        A TIFF file.

    Returns
    -------
    ndarray
        The values of its first series, as they are stored.

    Raises
    ------
    FileError
        If the file is cut short.
    """
    _check_complete(path)
    return np.asarray(tifffile.imread(path))


@contextlib.contextmanager
def open_tiff_lazily(path: Path) -> Iterator[Any]:
    """Open a TIFF file as a dask array, and close it at the end.

    Parameters
    ----------
    path : Path
        A TIFF file.

    Yields
    ------
    dask array
        The finest level of its first series. A chunk is read when it is computed.

    Raises
    ------
    FileError
        If the file is cut short, or dask or zarr is not installed.
    """
    try:
        import dask.array as da
        import zarr
    except ImportError as error:
        raise FileError(
            f"{path}: is too large to be loaded, and to open it part by part needs more packages: "
            "pip install 'napari-unsupseg[large]'"
        ) from error
    _check_complete(path)
    with tifffile.imread(path, aszarr=True, level=0) as store:
        yield da.from_zarr(zarr.open_array(store, mode="r"))


def count_tiff_values(path: Path) -> int:
    """Count the values of a TIFF file without reading them.

    Parameters
    ----------
    path : Path
        It need not be a TIFF file, nor exist.

    Returns
    -------
    int
        Values of the first series; 0 if there is none to be read.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            return int(tiff.series[0].size)
    # of a damaged file tifffile may raise anything; whoever reads the file then says what is wrong
    except Exception:
        return 0


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
    # tifffile calls an axis Q or I if nothing in the file says what it is
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
            return _ome_pixel_size(tiff.ome_metadata)
        return _imagej_pixel_size(tiff)


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
        How they were made; stored as JSON in a comment annotation. Its ``version`` is that of
        this package.
    pixel_size : PixelSize, optional
        How large a pixel is.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    comment = {"Namespace": NAMESPACE, "Value": json.dumps(record)}
    # tifffile's own UUID is drawn at random; this one depends on the content alone, so that the
    # same labels give the same file
    identity = uuid.uuid5(
        uuid.NAMESPACE_OID, comment["Value"] + sha256(labels.tobytes()).hexdigest()
    )
    metadata = {"axes": axes.upper(), "UUID": str(identity), "CommentAnnotation": comment}
    if pixel_size:
        metadata |= _ome_physical_sizes(pixel_size)
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


def _check_complete(path: Path) -> None:
    """Raise if a TIFF file ends before the data that its pages promise."""
    # tifffile decodes a strip of JPEG that is cut short without an error
    with tifffile.TiffFile(path) as tiff:
        n_bytes = path.stat().st_size
        for page in tiff.pages:
            for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
                if offset + count > n_bytes:
                    raise FileError(
                        f"{path}: cannot be read as an image, it is damaged or of another kind "
                        f"(the file ends at byte {n_bytes}, before its pixels do)"
                    )


def _imagej_pixel_size(tiff: tifffile.TiffFile) -> PixelSize | None:
    """Return the pixel size that ImageJ wrote; its tags of resolution are pixels a unit."""
    metadata = tiff.imagej_metadata or {}
    unit = UNIT_SPELLINGS.get(metadata.get("unit", ""))
    tags = tiff.pages.first.tags
    if unit is None or "XResolution" not in tags or "YResolution" not in tags:
        return None
    (y_pixels, y_units), (x_pixels, x_units) = tags["YResolution"].value, tags["XResolution"].value
    if not y_pixels or not x_pixels:
        return None
    return PixelSize(y_units / y_pixels, x_units / x_pixels, unit, metadata.get("spacing"))


def _ome_pixel_size(metadata: str) -> PixelSize | None:
    """Return the pixel size of the first image that OME-XML describes."""
    images = tifffile.xml2dict(metadata)["OME"].get("Image", {})
    pixels = (images[0] if isinstance(images, list) else images).get("Pixels", {})
    height, width = pixels.get("PhysicalSizeY"), pixels.get("PhysicalSizeX")
    depth = pixels.get("PhysicalSizeZ")
    units = {  # OME says µm where it says nothing
        UNIT_SPELLINGS.get(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        for axis in ("ZYX" if depth else "YX")
    }
    unit = units.pop()
    # a `PixelSize` has one unit for all axes
    if not height or not width or unit is None or units:
        return None
    return PixelSize(float(height), float(width), unit, float(depth) if depth else None)


def _ome_physical_sizes(pixel_size: PixelSize) -> dict[str, Any]:
    """Return a pixel size in the terms of OME-XML, as tifffile takes them."""
    sides = {"Y": pixel_size.height, "X": pixel_size.width, "Z": pixel_size.depth}
    unit = OME_UNITS.get(pixel_size.unit, pixel_size.unit)
    return {
        f"PhysicalSize{axis}{suffix}": value
        for axis, side in sides.items()
        if side
        for suffix, value in (("", side), ("Unit", unit))
    }
