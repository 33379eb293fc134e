"""Labelled objects in files of other tools: GeoJSON for QuPath, regions of interest for ImageJ."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import roifile
from numpy.typing import NDArray

from napari_unsupseg.io.outlines import Polygon, trace_outlines
from napari_unsupseg.io.overlay import label_colours
from napari_unsupseg.io.paths import atomic_write
from napari_unsupseg.io.tiff import ome_axes

__all__ = ["Columns", "write_geojson", "write_imagej_rois"]

Columns = Mapping[str, NDArray[Any]]  # of a table, by name

# of a table that says which cluster an object is of, and which class a user has given it
CLUSTER_COLUMN, CLASS_COLUMN = "cluster", "class"
N_GROUPS = 256  # of ImageJ; 0 is that of what has none
MOVE, LINE, CLOSE = 0, 1, 4  # what a path of ImageJ consists of


class _Kind(NamedTuple):
    """What an object is classified as: a name, and a number from 1, for its colour."""

    name: str
    number: int


class _PlaneObject(NamedTuple):
    """An object in one plane.

    Attributes
    ----------
    label : int
        Its label.
    plane : dict of str to int
        Index of the plane along the axes t, z and c that labels have, from 0.
    polygons : list of Polygon
        Its parts.
    measurements : dict of str to float
        What the table says of it, but for what is no number.
    kind : _Kind or None
        Its class or cluster, if the table says it.
    """

    label: int
    plane: dict[str, int]
    polygons: list[Polygon]
    measurements: dict[str, float]
    kind: _Kind | None


def write_geojson(path: Path, labels: Any, axes: str, table: Columns | None = None) -> None:
    """Write objects as GeoJSON, as QuPath imports them.

    Parameters
    ----------
    path : Path
        The file to write or replace.
    labels : array of unsigned integers, shape (..., Y, X)
        Objects, of which a part is loaded at a time; 0 is left out.
    axes : str
        A letter for each of their axes.
    table : mapping of str to ndarray, shape (rows,), optional
        Measurements by name, as `measure_objects` returns them: ``label``, letters of axes that
        a row is of one plane of, and columns of numbers. One named ``class``, of words, is the
        classification; if it has none, one named ``cluster``.

    Raises
    ------
    FileError
        If the file cannot be written.

    Notes
    -----
    Each object is a *detection*, in every plane that it lies in. Its polygons go along the edges
    of its pixels, in pixels of the image from its top left corner, x before y [1]_, and have
    holes [2]_.

    References
    ----------
    .. [1] QuPath: exporting annotations,
       https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html
    .. [2] H. Butler et al.: The GeoJSON Format. RFC 7946, 2016. doi:10.17487/RFC7946
    """
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.write('{"type":"FeatureCollection","features":[')
        for number, found in enumerate(_find_objects(labels, axes, table or {})):
            file.write(",\n" if number else "\n")
            json.dump(_feature(found), file, separators=(",", ":"))
        file.write("\n]}\n")


def write_imagej_rois(path: Path, labels: Any, axes: str, table: Columns | None = None) -> None:
    """Write objects as a ZIP of regions of interest, as the ROI Manager of ImageJ opens them.

    Parameters
    ----------
    path : Path
        The file to write or replace.
    labels, axes, table
        As in `write_geojson`.

    Raises
    ------
    FileError
        If the file cannot be written.

    Notes
    -----
    A region has the name of its label, behind the numbers of its plane, from 1: ``t003-0012``. Its
    properties are the measurements, and its group is the number of its class or cluster.
    """
    rois = (_roi(found) for found in _find_objects(labels, axes, table or {}))
    with atomic_write(path) as partial:
        roifile.roiwrite(partial, rois, mode="w")


def _find_objects(labels: Any, axes: str, table: Columns) -> Iterator[_PlaneObject]:
    """Yield every object in every plane."""
    leading, letters = axes[:-2], ome_axes(axes).lower()
    keys = [axis for axis in leading if axis in table]
    key_columns = [np.asarray(table[name]).tolist() for name in (*keys, "label") if table]
    row_of = {key: row for row, key in enumerate(zip(*key_columns, strict=True))}
    columns = {
        name: np.asarray(column, dtype=np.float64)
        for name, column in table.items()
        if name not in ("label", *keys) and np.asarray(column).dtype.kind in "buif"
    }
    kinds = _kinds(table)
    for index in np.ndindex(*labels.shape[:-2]):
        at = [index[leading.index(axis)] for axis in keys]
        for label, polygons in trace_outlines(labels, index).items():
            row = row_of.get((*at, label))
            measured = {name: float(c[row]) for name, c in columns.items() if row is not None}
            finite = {name: value for name, value in measured.items() if math.isfinite(value)}
            kind = None if row is None else kinds[row]
            plane = dict(zip(letters, index, strict=False))
            yield _PlaneObject(label, plane, polygons, finite, kind)


def _kinds(table: Columns) -> list[_Kind | None]:
    """Return what each row of a table is classified as: classes go before clusters."""
    classes = [name if isinstance(name, str) else "" for name in table.get(CLASS_COLUMN, ())]
    if numbers := {name: at + 1 for at, name in enumerate(sorted({*classes} - {""}))}:
        return [_Kind(name, numbers[name]) if name else None for name in classes]
    clusters = table.get(CLUSTER_COLUMN, np.full(len(table.get("label", ())), np.nan))
    return [_Kind(f"Cluster {n:.0f}", int(n)) if math.isfinite(n) else None for n in clusters]


def _feature(found: _PlaneObject) -> dict[str, Any]:
    """Return an object as a feature of GeoJSON, whose rings end where they begin."""
    polygons = [
        [[*ring.tolist(), ring[0].tolist()] for ring in polygon] for polygon in found.polygons
    ]
    is_one = len(polygons) == 1
    geometry: dict[str, Any] = {
        "type": "Polygon" if is_one else "MultiPolygon",
        "coordinates": polygons[0] if is_one else polygons,
    }
    if found.plane:
        # -1 is every channel
        geometry["plane"] = {
            axis: found.plane.get(axis, -1 if axis == "c" else 0) for axis in "czt"
        }
    properties: dict[str, Any] = {"objectType": "detection", "name": str(found.label)}
    if found.kind is not None:
        # QuPath asks for a colour beside a name
        colour = (label_colours(found.kind.number)[-1] * 255).round().astype(int).tolist()
        properties["classification"] = {"name": found.kind.name, "color": colour}
    if found.measurements:
        properties["measurements"] = found.measurements
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _roi(found: _PlaneObject) -> roifile.ImagejRoi:
    """Return an object as a region of interest of ImageJ."""
    rings = [ring for polygon in found.polygons for ring in polygon]
    if len(rings) == 1:
        # whole numbers are corners of pixels to ImageJ, too
        roi = roifile.ImagejRoi.frompoints(rings[0])
        roi.roitype = roifile.ROI_TYPE.TRACED
    else:
        roi = _composite_roi(rings)
    numbers = [f"{axis}{at + 1:03}" for axis, at in found.plane.items()]
    roi.name = "-".join([*numbers, f"{found.label:04}"])
    if len(found.plane) == 1:  # a region has a place in a stack or in a hyperstack, not both
        [roi.position] = [at + 1 for at in found.plane.values()]
    else:
        for axis, at in found.plane.items():
            setattr(roi, f"{axis}_position", at + 1)
    roi.group = found.kind.number if found.kind and found.kind.number < N_GROUPS else 0
    roi.properties = found.measurements
    return roi


def _composite_roi(rings: Polygon) -> roifile.ImagejRoi:
    """Return a region of several rings, where what an odd number of them surrounds is inside."""
    path: list[float] = []
    for ring in rings:
        for number, corner in enumerate(ring.tolist()):
            path += [LINE if number else MOVE, *corner]
        path.append(CLOSE)
    corners = np.concatenate(rings)
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return roifile.ImagejRoi(
        roitype=roifile.ROI_TYPE.RECT,
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        shape_roi_size=len(path),
        multi_coordinates=np.array(path, dtype=np.float32),
    )
