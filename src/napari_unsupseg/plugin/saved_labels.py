"""Labels layers in files: their labels, place, units and features, written and read again."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

import napari_unsupseg
from napari_unsupseg._typing import Labels as LabelsArray
from napari_unsupseg._words import count
from napari_unsupseg.errors import FileError, ImageError
from napari_unsupseg.image.axes import LEADING
from napari_unsupseg.image.tiling import is_large
from napari_unsupseg.io.label_store import (
    LabelStore,
    check_zarr_axes,
    read_zarr_properties,
    read_zarr_record,
    write_zarr_labels,
)
from napari_unsupseg.io.object_files import write_geojson, write_imagej_rois
from napari_unsupseg.io.ome_zarr import open_lazily
from napari_unsupseg.io.paths import check_writable, file_kind, is_zarr, result_file_name
from napari_unsupseg.io.pixel_size import NO_UNIT, PixelSize, unit_of
from napari_unsupseg.io.readers import open_image
from napari_unsupseg.io.tiff import check_tiff_axes, read_tiff_record, write_tiff_labels
from napari_unsupseg.io.writers import write_table
from napari_unsupseg.plugin.layers import layer_array, named_axes, pixel_transform
from napari_unsupseg.regions.labels import label_dtype

__all__ = ["FORMATS", "place_of", "read_labels_layer", "save_labels_layer", "with_ending"]

# what a layer can be saved as, in the order in which a user is offered it, and the endings of each
FORMATS = {
    "label TIFF": (".tif", ".tiff"),
    "OME-Zarr labels": (".ome.zarr", ".zarr"),
    "GeoJSON for QuPath": (".geojson",),
    "ImageJ ROIs": (".zip",),
    "measurements as CSV": (".csv",),
}
PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
KEY = "napari-unsupseg"  # of how labels were made, in the metadata of a layer


def with_ending(path: str, kind: str) -> Path:
    """Return a path with the ending of a file that labels are saved as.

    Parameters
    ----------
    path : str
        As the user has typed it.
    kind : str
        A key of `FORMATS`, which gives the ending if the path has none of any of them.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    FileError
        If such a file exists, and the user has not typed its ending.

    Examples
    --------
    >>> with_ending("cells.1", "label TIFF").name
    'cells.1.tif'
    """
    known = tuple(ending for endings in FORMATS.values() for ending in endings)
    if path.lower().endswith(known):
        return Path(path)
    file = Path(path + FORMATS[kind][0])
    if file_kind(file) != "nothing":  # nobody was asked whether it may be replaced
        raise FileError(f"{file}: exists already; to replace it, type all of its name")
    return file


def save_labels_layer(path: Path, layer: Labels) -> None:
    """Save a layer with all that its format can hold.

    Parameters
    ----------
    path : Path
        The file to write or replace, whose ending is one of `FORMATS`.
    layer : napari.layers.Labels
        The layer. A TIFF and OME-Zarr keep its place, units and features, see
        `read_labels_layer`; GeoJSON and ROIs have its outlines in pixels, and its features; CSV has
        its features alone.

    Raises
    ------
    FileError
        If the ending is another one, or the file cannot be written.
    ImageError
        If the layer has what no such file can hold.
    """
    check_writable(path, overwrite=True)
    labels, axes = _labels_of(layer), _axes_of(layer)
    ending = path.suffix.lower()
    if ending == ".csv":
        if layer.features.empty:
            raise ImageError(f"{layer.name} has no measurements, or none yet: wait a moment")
        write_table(path, _table_of(layer))
        return
    if ending in (".geojson", ".zip"):
        if not labels.any():
            raise ImageError(f"{layer.name} has no labels, of which there could be outlines")
        write = write_geojson if ending == ".geojson" else write_imagej_rois
        write(path, labels, axes, _table_of(layer))
        return
    properties = _properties_of(layer)
    record = {
        **layer.metadata.get(KEY, {}),
        "version": napari_unsupseg.__version__,
        "columns": list(layer.features),
        "shape": labels.shape,
        "layer": place_of(layer),
    }
    record = json.loads(json.dumps(record, default=str))
    pixel_size = _pixel_size_of(layer, axes)
    if ending in (".tif", ".tiff"):
        check_tiff_axes(path, axes)
        write_tiff_labels(path, labels, axes, record | {"properties": properties}, pixel_size)
    elif ending == ".zarr":
        check_zarr_axes(path, axes)
        if file_kind(path) != "nothing" and read_zarr_record(path) is None:
            raise FileError(f"{path}: exists already, and holds no labels; choose another name")
        write_zarr_labels(
            path,
            labels,
            axes=axes,
            pixel_size=pixel_size,
            spatial_ndim=3 if "z" in axes else 2,
            record=record,
            properties=properties,
        )
    else:
        endings = ", ".join(ending for endings in FORMATS.values() for ending in endings)
        raise FileError(f"{path}: is no kind of file that labels are saved as: {endings}")


def _table_of(layer: Labels) -> dict[str, NDArray[Any]]:
    """Return the features of a layer, the labels first, as tables of the command have them."""
    table = {name: layer.features[name].to_numpy() for name in layer.features}
    return {"label": table.pop("index", np.arange(len(layer.features))), **table}


def read_labels_layer(path: Path) -> tuple[Any, dict[str, Any], str] | None:
    """Read labels that this program has written, from a layer or a file.

    Parameters
    ----------
    path : Path
        A TIFF file or an OME-Zarr store.

    Returns
    -------
    tuple of array, dict and str, or None
        What napari makes a Labels layer of; a multiscale one if it is too large to be loaded. None
        if the file holds no such labels.
    """
    record = read_zarr_record(path) if is_zarr(path) else read_tiff_record(path)
    if record is None:
        return None
    with open_image(path) as source:
        data, axes, pixel_size, _ = source
    assert axes is not None  # they are written with them
    data = data.reshape(record.pop("shape", data.shape))  # TIFF is read without axes of length 1
    properties = record.pop("properties", None)
    if is_zarr(path):
        properties = read_zarr_properties(path)
        store = LabelStore(path)
        if is_large(data):
            data = [open_lazily(store.level(index), path) for index in range(store.n_levels)]
    place = pixel_transform(axes, pixel_size) if pixel_size else {}
    place |= {"axis_labels": tuple(axes)} | record.pop("layer", {})
    features = _features_of(properties or [], record.pop("columns", []))
    for key in {"names", "classes"} & set(record):  # JSON has no numbers as keys
        record[key] = {int(label): name for label, name in record[key].items()}
    keywords = {"name": result_file_name(path, ""), "metadata": {KEY: record}, **place}
    return data, keywords | ({"features": features} if features else {}), "labels"


def _labels_of(layer: Labels) -> LabelsArray:
    """Return the labels of a layer, as unsigned numbers of as few bytes as hold them."""
    array = layer_array(layer)
    if is_large(array) and not isinstance(array, np.ndarray):
        raise ImageError(
            f"{layer.name} is too large to be saved from here: label its file on the command line"
        )
    labels: NDArray[Any] = np.asarray(array)
    least, most = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if least < 0 or most >= 2**32:
        raise ImageError(
            f"{layer.name} has label {least if least < 0 else most}, and files hold those from 0 "
            "to 4,294,967,295"
        )
    return labels.astype(label_dtype(most))


def _axes_of(layer: Labels) -> str:
    """Return a letter for each axis of a layer: as they are named, or z and then t."""
    if not 2 <= layer.ndim <= len("tczyx"):
        raise ImageError(f"{layer.name} has {count(layer.ndim, 'axis')}, and files hold 2 to 5")
    return named_axes(layer) or ("tczyx" if layer.ndim == 5 else LEADING[-layer.ndim :])


def _pixel_size_of(layer: Labels, axes: str) -> PixelSize | None:
    """Return the pixel size of a layer, as far as files of images say such things."""
    at = {axis: index for index, axis in enumerate(axes)}
    scale = {axis: float(layer.scale[index]) for axis, index in at.items()}
    start = {axis: float(layer.translate[index]) for axis, index in at.items()}
    units = {axis: unit_of(str(layer.units[index])) for axis, index in at.items()}
    unit = units["y"] if units["y"] == units["x"] and units["y"] else NO_UNIT
    depth = scale["z"] if "z" in at and units["z"] == units["y"] else None
    is_timed = "t" in at and str(layer.units[at["t"]]) == "second"
    size = PixelSize(
        scale["y"],
        scale["x"],
        unit,
        depth,
        (start["z"] if depth else 0.0, start["y"], start["x"]),
        scale["t"] if is_timed else None,
    )
    return size if size.is_possible and size != PixelSize(1, 1, NO_UNIT, depth and 1) else None


def place_of(layer: Labels | Image) -> dict[str, Any]:
    """Return where a layer lies, exactly.

    Parameters
    ----------
    layer : napari.layers.Labels or Image
        The layer.

    Returns
    -------
    dict
        Keywords of such a layer, fit for JSON.
    """
    _, attributes, _ = layer.as_layer_data_tuple()
    return {
        name: np.asarray(value).tolist()
        if name not in ("units", "axis_labels")
        else [str(part) for part in value]
        for name, value in attributes.items()
        if name in PLACE
    }


def _properties_of(layer: Labels) -> list[dict[str, Any]]:
    """Return the rows of a layer's features, fit for JSON: what is no number is left out."""
    columns = {name: layer.features[name].tolist() for name in layer.features}
    labels = columns.get("index", range(len(layer.features)))
    rows = []
    for row, label in enumerate(labels):
        values = {name: column[row] for name, column in columns.items()}
        known = {
            name: value
            for name, value in values.items()
            if isinstance(value, str) or (isinstance(value, int | float) and math.isfinite(value))
        }
        rows.append({"label-value": int(label), **known})
    return rows


def _features_of(properties: list[dict[str, Any]], columns: list[str]) -> dict[str, list[Any]]:
    """Return features of the rows that `_properties_of` has made of them."""
    return {name: [row.get(name, math.nan) for row in properties] for name in columns}
