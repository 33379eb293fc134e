"""TIFF: its values, axes, samples and pixel size; and labels that say how they were made."""

import contextlib
import json
import logging
import math
import struct
import uuid
import warnings
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_unsupseg.errors import FileError
from napari_unsupseg.image import tiling
from napari_unsupseg.io.colour_model import (
    ColourModel,
    ColourSpace,
    SampleModel,
    convert_to_rgb,
)
from napari_unsupseg.io.ome_zarr import open_lazily
from napari_unsupseg.io.paths import atomic_write, is_tiff, unreadable
from napari_unsupseg.io.pixel_size import NO_UNIT, PixelSize, combine_axes, unit_of

__all__ = [
    "TiffImage",
    "check_series",
    "check_tiff_axes",
    "count_tiff_values",
    "list_tiff_files",
    "ome_axes",
    "open_tiff",
    "read_tiff_axes",
    "read_tiff_record",
    "write_tiff_labels",
]

OME_UNITS = {"um": "µm", "angstrom": "Å"}  # OME writes all other units as `PixelSize` does
OME_AXES = "tzc"  # beside y and x
KNOWN_AXES = frozenset("tzcyxs")  # tifffile has Q or I if nothing in the file says what one is
MULTI_FILE_KINDS = ("ome", "mmstack", "ndtiff")  # the latter two by Micro-Manager
# compressions whose decoders make RGB of YCbCr: JPEG of four kinds, WebP, and JPEG XL of two
DECODED_TO_RGB = (6, 7, 33007, 34892, 50001, 50002, 52546)
FINEST_PRINT = 20  # µm from dot to dot, 1270 dots an inch; coarser pixels may be for a printer
DESCRIPTION = 270  # the tag with what OME and ImageJ have to say of an image
NAMESPACE = "napari-unsupseg"  # of the annotation that says how labels were made


class TiffImage(NamedTuple):
    """An image of a TIFF file.

    Attributes
    ----------
    values : ndarray or dask array
        Values as they are stored; palettes are looked up, and YCbCr and Lab are RGB.
    axes : str or None
        One letter an axis, as `napari_unsupseg.segment` takes them; None if the file does not say.
    samples : SampleModel
        What the samples of a pixel are.
    pixel_size : PixelSize or None
        None if the file does not say it.
    orientation : int
        How it is to be turned or mirrored to be shown, by the numbers of TIFF; 1 if not.
    """

    values: Any
    axes: str | None
    samples: SampleModel
    pixel_size: PixelSize | None
    orientation: int


@contextlib.contextmanager
def open_tiff(path: Path, series: int | None = None) -> Iterator[TiffImage]:
    """Open an image of a TIFF file, and close the file at the end.

    Parameters
    ----------
    path : Path
        A TIFF file.
    series : int, optional
        Which of the file's images, from 0; by default the largest, with a warning if there are
        others.

    Yields
    ------
    TiffImage
        The finest level of a pyramid. Of more than 2²⁵ values a dask array, whose chunks are read
        when they are computed.

    Raises
    ------
    FileError
        If the file is cut short, has no such series, or dask or zarr is missing where it is large.
    """
    with _quiet_tifffile(), tifffile.TiffFile(path) as tiff:
        index = _choose_series(tiff, path, series)
        chosen = tiff.series[index]
        _check_planes(tiff, chosen, path)
        _check_complete(tiff, chosen, path)
        with contextlib.ExitStack() as stack:
            if chosen.size > tiling.LOADED_VALUES:
                values: Any = stack.enter_context(_open_lazily(chosen, path))
            else:
                values = np.asarray(chosen.asarray())
            axes = chosen.axes.lower()
            if chosen.keyframe.photometric == tifffile.PHOTOMETRIC.PALETTE:
                values, axes = _look_up_palette(values, chosen.keyframe.colormap, path), axes + "s"
            elif space := _colour_space(chosen, path):
                values = convert_to_rgb(values, axes.index("s"), space, path)
            yield TiffImage(
                values,
                axes if KNOWN_AXES.issuperset(axes) else None,
                _sample_model(chosen),
                _pixel_size(tiff, index, path),
                chosen.keyframe.tags.valueof("Orientation", 1),
            )


def check_series(path: Path, series: int, n_series: int) -> None:
    """Refuse an image that a file does not hold.

    Parameters
    ----------
    path : Path
        The file.
    series : int
        Which of its images, from 0.
    n_series : int
        How many it holds.

    Raises
    ------
    FileError
        If it holds fewer.
    """
    if not 0 <= series < n_series:
        raise FileError(
            f"{path}: has no image {series}; it has {n_series}, counted from 0: choose one with "
            "--series"
        )


def count_tiff_values(path: Path) -> int:
    """Count the values of the largest image of a TIFF file without reading them.

    Parameters
    ----------
    path : Path
        It need not be a TIFF file, nor exist.

    Returns
    -------
    int
        Its values; 0 if there is none to be read.
    """
    if not is_tiff(path):
        return 0
    try:
        with _quiet_tifffile(), tifffile.TiffFile(path) as tiff:
            return max(int(one.size) for one in tiff.series)
    # of a damaged file tifffile may raise anything; whoever reads the file then says what is wrong
    except Exception:
        return 0


def list_tiff_files(path: Path) -> list[Path]:
    """Name the files that the images of a TIFF file are read from.

    Parameters
    ----------
    path : Path
        It need not be a TIFF file, nor exist.

    Returns
    -------
    list of Path
        Itself first; then others, of an OME-TIFF or a stack by Micro-Manager in several files.
    """
    others: set[Path] = set()
    if not is_tiff(path):
        return [path]
    # whoever reads a damaged file then says what is wrong
    with contextlib.suppress(Exception), _quiet_tifffile(), tifffile.TiffFile(path) as tiff:
        if tiff.series[0].kind in MULTI_FILE_KINDS:
            others = _list_files(tiff) - {path.absolute()}
    return [path, *sorted(others)]


def read_tiff_axes(path: Path) -> tuple[tuple[int, ...], str] | None:
    """Read shape and axes of the largest image of a TIFF file, and none of its values.

    Parameters
    ----------
    path : Path
        It need not be a TIFF file, nor exist.

    Returns
    -------
    tuple of tuple of int and str, or None
        Its shape, and one letter for each axis, as `napari_unsupseg.segment` takes them; None if
        the file does not say them.
    """
    if not is_tiff(path):
        return None
    try:
        with _quiet_tifffile(), tifffile.TiffFile(path) as tiff:
            largest = max(tiff.series, key=lambda series: int(series.size))
            shape, axes = tuple(largest.shape), largest.axes.lower()
    # of a damaged file tifffile may raise anything; whoever reads the file then says what is wrong
    except Exception:
        return None
    return (shape, axes) if KNOWN_AXES.issuperset(axes) else None


def read_tiff_record(path: Path) -> dict[str, Any] | None:
    """Read how labels were made.

    Parameters
    ----------
    path : Path
        A TIFF file that `write_tiff_labels` may have written.

    Returns
    -------
    dict or None
        What was given to `write_tiff_labels`; None if the file is of another kind, or damaged.
    """
    try:
        with _quiet_tifffile(), tifffile.TiffFile(path) as tiff:
            ome = tifffile.xml2dict(tiff.ome_metadata or "")["OME"]
        annotation = ome["StructuredAnnotations"]["CommentAnnotation"]
        if annotation["Namespace"] != NAMESPACE:
            return None
        record: dict[str, Any] = json.loads(annotation["Value"])
    # a file that somebody else wrote can be anything
    except Exception:
        return None
    return record


def write_tiff_labels(
    path: Path,
    labels: NDArray[np.unsignedinteger] | NDArray[np.float32],
    axes: str,
    record: dict[str, Any],
    pixel_size: PixelSize | None = None,
) -> None:
    """Write labels, or how uncertain they are, as a compressed OME-TIFF that says how it was made.

    Parameters
    ----------
    path : Path
        The TIFF file to write or replace.
    labels : ndarray of unsigned integers or float32, shape (..., Y, X)
        The labels, or the uncertainty of each.
    axes : str
        A letter for each of their axes, see `check_tiff_axes`.
    record : dict
        How they were made; stored as JSON in a comment annotation. Its ``version`` is that of
        this package.
    pixel_size : PixelSize, optional
        How large a pixel is, and where the first one lies.

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
    metadata = {"axes": ome_axes(axes), "UUID": str(identity), "CommentAnnotation": comment}
    if pixel_size:
        metadata |= _ome_physical_sizes(pixel_size)
        metadata |= _ome_positions(pixel_size, n_planes=math.prod(labels.shape[:-2]))
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


def check_tiff_axes(path: Path, axes: str) -> None:
    """Raise before a run whose labels OME-TIFF could not hold.

    Parameters
    ----------
    path : Path
        The file to be written.
    axes : str
        A letter for each axis of the labels.

    Raises
    ------
    FileError
        If there are more axes than OME-TIFF has.
    """
    if len(axes) > len(OME_AXES) + len("yx"):
        raise FileError(
            f"{path}: OME-TIFF cannot hold labels along {', '.join(axes)}: it has five axes at "
            "most; segment parts of the image"
        )


def ome_axes(axes: str) -> str:
    """Return the axes of labels in OME-TIFF: other letters take what is left of t, z and c.

    Parameters
    ----------
    axes : str
        A letter for each axis of the labels, see `check_tiff_axes`.

    Returns
    -------
    str
        As many of ``TZCYX``, the last two ``YX``.

    Examples
    --------
    >>> ome_axes("izyx")
    'TZYX'
    """
    leading = axes[: -len("yx")]
    free = iter([letter for letter in OME_AXES if letter not in leading])
    return "".join(a if a in OME_AXES else next(free) for a in leading).upper() + "YX"


@contextlib.contextmanager
def _quiet_tifffile() -> Iterator[None]:
    """Have tifffile not log what is raised or handled here."""
    logger = logging.getLogger("tifffile")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _choose_series(tiff: tifffile.TiffFile, path: Path, series: int | None) -> int:
    """Return which image of a file to take; say so where it holds others."""
    n_series = len(tiff.series)
    if series is not None:
        check_series(path, series, n_series)
        return series
    sizes = [one.size for one in tiff.series]
    if not sizes:
        raise unreadable(path, "it holds no image")
    largest = sizes.index(max(sizes))
    if n_series > 1:
        shapes = [" × ".join(map(str, one.shape)) for one in tiff.series]
        others = ", ".join(f"{i} ({s})" for i, s in enumerate(shapes) if i != largest)
        warnings.warn(
            f"{path}: holds {n_series} images; {largest} ({shapes[largest]}) is taken, the first "
            f"of the largest, and not {others}: choose another with --series",
            stacklevel=4,
        )
    return largest


def _check_planes(tiff: tifffile.TiffFile, series: Any, path: Path) -> None:
    """Raise if planes lie in files that are not there; say so where no file is said to have them.

    tifffile has 0 in their place.
    """
    ome = ElementTree.fromstring(tiff.ome_metadata) if tiff.ome_metadata else None
    if ome is not None and (elsewhere := ome.find("{*}BinaryOnly")) is not None:
        warnings.warn(
            f"{path}: is a part of an image that {elsewhere.get('MetadataFile')} describes, and "
            "is read alone",
            stacklevel=4,
        )
    if series.kind not in MULTI_FILE_KINDS:
        return
    n_missing = sum(page is None for page in series)
    if n_missing == 0:
        return
    named = [] if ome is None else ome.findall(".//{*}TiffData/{*}UUID")
    own, there = ome is not None and ome.get("UUID"), {file.name for file in _list_files(tiff)}
    # a file keeps its UUID when it is renamed
    files = {str(uuid.get("FileName")) for uuid in named if uuid.text != own} - there
    if files:
        raise FileError(
            f"{path}: is one of several files of an image, and of these are missing or damaged: "
            f"{', '.join(sorted(files))}; put them into the same folder"
        )
    warnings.warn(
        f"{path}: lacks {n_missing} of its {len(series)} planes: there all pixels are 0",
        stacklevel=4,
    )


def _list_files(tiff: tifffile.TiffFile) -> set[Path]:
    """Return the files that the images of a TIFF file are read from."""
    pages = [page for series in tiff.series for page in series]
    return {Path(page.parent.filehandle.path) for page in pages if page is not None}


def _check_complete(tiff: tifffile.TiffFile, series: Any, path: Path) -> None:
    """Raise if a TIFF file ends before the data that it promises."""
    promised = int((tiff.imagej_metadata or {}).get("images", 1))
    # ImageJ writes a stack of more than 4 GB as one page; tifffile makes do with what there is
    is_short = promised > 1 and series.size < promised * tiff.pages.first.size
    # an iterator follows pages in a circle for ever
    pages = [tiff.pages[number] for number in range(len(tiff.pages))]
    # tifffile makes do without; Micro-Manager says where the next page is to be until it closes a
    # file, and one that it never closed has all pages that were taken
    is_short |= not tiff.pages.first.is_micromanager and _lacks_what_it_points_to(
        tiff, [page.offset for page in pages]
    )
    if series.kind in MULTI_FILE_KINDS:
        pages += [page for page in series if page is not None and page.parent is not tiff]
    for page in pages:
        # tifffile decodes a strip of JPEG that is cut short without an error
        is_short |= any(
            offset + count > page.parent.filehandle.size
            for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)
        )
        if is_short:
            handle = page.parent.filehandle
            raise unreadable(
                path.with_name(handle.name),
                f"the file ends at byte {handle.size}, before its image does",
            )


def _lacks_what_it_points_to(tiff: tifffile.TiffFile, offsets: list[int]) -> bool:
    """Tell whether a file is without the page after its last one, or the text about its first.

    Offsets are those of its pages, which take long to read when there are many.
    """
    following, _ = _read_directory(tiff, offsets[-1])
    _, codes = _read_directory(tiff, offsets[0])
    has_lost_text = DESCRIPTION in codes and DESCRIPTION not in tiff.pages.first.tags
    return has_lost_text or following not in (0, *offsets)


def _read_directory(tiff: tifffile.TiffFile, offset: int) -> tuple[int, list[int]]:
    """Return where the page after one lies, 0 after the last, and the codes of this one's tags."""
    layout, handle = tiff.tiff, tiff.filehandle
    handle.seek(offset)
    (n_tags,) = struct.unpack(layout.tagnoformat, handle.read(layout.tagnosize))
    tags = handle.read(n_tags * layout.tagsize)
    (following,) = struct.unpack(layout.offsetformat, handle.read(layout.offsetsize))
    starts = range(0, len(tags), layout.tagsize)
    return following, [struct.unpack_from(layout.tagformat1, tags, start)[0] for start in starts]


@contextlib.contextmanager
def _open_lazily(series: Any, path: Path) -> Iterator[Any]:
    """Give the finest level of a series as a dask array."""
    try:
        import dask.array  # noqa: F401  # `open_lazily` needs it
        import zarr
    except ImportError as error:
        raise FileError(
            f"{path}: is too large to be loaded, and to open it part by part needs more packages: "
            "pip install 'napari-unsupseg[large]'"
        ) from error
    with series.aszarr(level=0) as store:
        yield open_lazily(zarr.open_array(store, mode="r"), path)


def _look_up_palette(values: Any, palette: NDArray[Any] | None, path: Path) -> Any:
    """Return the colours (..., Y, X, 3) that a palette (3, colours) of 16 bits says."""
    if palette is None:
        raise FileError(f"{path}: lacks the palette that its pixels refer to; save it as RGB")
    colours: NDArray[np.uint8] = (palette.T >> 8).astype(np.uint8)
    if isinstance(values, np.ndarray):
        return colours[values]
    return values.map_blocks(
        colours.__getitem__, new_axis=values.ndim, chunks=(*values.chunks, 3), dtype=colours.dtype
    )


def _colour_space(series: Any, path: Path) -> ColourSpace | None:
    """Return what is to be converted to RGB, if anything is; refuse what cannot be."""
    page, photometrics = series.keyframe, tifffile.PHOTOMETRIC
    if page.photometric in (photometrics.CFA, photometrics.ITULAB):
        kind = "raw data of a camera's sensor" if page.photometric == photometrics.CFA else "ITULab"
        raise FileError(f"{path}: is {kind}; save it as RGB")
    if page.photometric == photometrics.YCBCR and page.compression in DECODED_TO_RGB:
        return None
    spaces: dict[Any, ColourSpace] = {
        photometrics.YCBCR: "YCbCr",
        photometrics.CIELAB: "CIELab",
        photometrics.ICCLAB: "ICCLab",
    }
    space = spaces.get(page.photometric)
    # one sample alone is lightness
    return space if page.samplesperpixel >= 3 else None


def _sample_model(series: Any) -> SampleModel:
    """Say what the samples of a series are, by the tags of its first page."""
    page, kinds = series.keyframe, tifffile.EXTRASAMPLE
    extra = list(page.extrasamples)
    is_alpha = [kind in (kinds.ASSOCALPHA, kinds.UNASSALPHA) for kind in extra]
    n_colours = page.samplesperpixel - len(extra)
    alpha = n_colours + is_alpha.index(True) if any(is_alpha) else None
    colours: dict[Any, ColourModel] = {
        tifffile.PHOTOMETRIC.RGB: "rgb",
        tifffile.PHOTOMETRIC.YCBCR: "rgb",  # converted, as are the next two
        tifffile.PHOTOMETRIC.CIELAB: "rgb",
        tifffile.PHOTOMETRIC.ICCLAB: "rgb",
        tifffile.PHOTOMETRIC.PALETTE: "rgb",  # looked up
        tifffile.PHOTOMETRIC.SEPARATED: "cmyk",
    }
    colour = colours.get(page.photometric, "channels")
    # a sample beside the colours that is no alpha is a channel, and so are all then
    has_others = len(extra) > sum(is_alpha)
    is_other_ink = colour == "cmyk" and n_colours != 4
    return SampleModel("channels" if has_others or is_other_ink else colour, alpha)


def _pixel_size(tiff: tifffile.TiffFile, series: int, path: Path) -> PixelSize | None:
    """Return what an OME-TIFF or a TIFF by ImageJ says of the size of a pixel."""
    if tiff.ome_metadata:
        return _ome_pixel_size(tiff.ome_metadata, series, path)
    return _imagej_pixel_size(tiff, path) or _baseline_pixel_size(tiff.series[series])


def _imagej_pixel_size(tiff: tifffile.TiffFile, path: Path) -> PixelSize | None:
    """Return the pixel size that ImageJ wrote; its tags of resolution are pixels a unit."""
    metadata, tags = tiff.imagej_metadata or {}, tiff.pages.first.tags
    unit = metadata.get("unit")
    sides = {}
    # without a unit there may be dots per inch, for a printer
    if unit_of(unit) != NO_UNIT:
        for axis in "yx":
            n_pixels, n_units = tags.valueof(f"{axis.upper()}Resolution", (0, 0))
            if n_pixels:
                sides[axis] = n_units / n_pixels
        if depth := metadata.get("spacing"):
            sides["z"] = abs(depth)  # negative where slices go down
    units = {axis: metadata.get(f"{axis}unit", unit) for axis in sides}
    interval = metadata.get("finterval")
    return combine_axes(path, sides, units, interval=(interval, "s") if interval else None)


def _baseline_pixel_size(series: Any) -> PixelSize | None:
    """Return the pixel size by the tags that every TIFF may have, if it is no printer's."""
    tags = series.keyframe.tags
    by = {2: 25_400, 3: 10_000}.get(tags.valueof("ResolutionUnit", 0), 0)  # µm an inch, a cm
    resolutions = [tags.valueof(f"{axis}Resolution", (0, 0)) for axis in "YX"]
    sides = [by * n_units / n_pixels for n_pixels, n_units in resolutions if n_pixels]
    is_of_microscope = len(sides) == 2 and all(0 < side < FINEST_PRINT for side in sides)
    return PixelSize(sides[0], sides[1], "um") if is_of_microscope else None


def _ome_pixel_size(metadata: str, series: int, path: Path) -> PixelSize | None:
    """Return the pixel size of an image that OME-XML describes."""
    images = tifffile.xml2dict(metadata)["OME"].get("Image", {})
    images = images if isinstance(images, list) else [images]
    pixels = images[min(series, len(images) - 1)].get("Pixels", {})
    sides = {a.lower(): pixels.get(f"PhysicalSize{a}") for a in "ZYX"}
    # OME says µm where it says nothing
    units = {a.lower(): pixels.get(f"PhysicalSize{a}Unit", "µm") for a in "ZYX"}
    interval = float(pixels.get("TimeIncrement", 0)), pixels.get("TimeIncrementUnit", "s")
    return combine_axes(
        path,
        {a: float(side) for a, side in sides.items() if side},
        units,
        interval=interval if interval[0] else None,
    )


def _ome_physical_sizes(pixel_size: PixelSize) -> dict[str, Any]:
    """Return a pixel size in the terms of OME-XML, as tifffile takes them."""
    sides = {"Y": pixel_size.height, "X": pixel_size.width, "Z": pixel_size.depth}
    unit = OME_UNITS.get(pixel_size.unit, pixel_size.unit)
    sizes: dict[str, Any] = {
        f"PhysicalSize{axis}{suffix}": value
        for axis, side in sides.items()
        if side
        for suffix, value in (("", side), ("Unit", unit))
    }
    if pixel_size.interval:
        sizes |= {"TimeIncrement": pixel_size.interval, "TimeIncrementUnit": "s"}
    return sizes


def _ome_positions(pixel_size: PixelSize, n_planes: int) -> dict[str, Any]:
    """Return where the first pixel lies in the terms of OME-XML, which says it for each plane."""
    if not any(pixel_size.origin):
        return {}
    unit = OME_UNITS.get(pixel_size.unit, pixel_size.unit)
    return {
        "Plane": {
            f"Position{axis}{suffix}": [value] * n_planes
            for axis, start in zip("ZYX", pixel_size.origin, strict=True)
            for suffix, value in (("", start), ("Unit", unit))
        }
    }
