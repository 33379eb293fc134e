"""Entry points that napari calls to open the panel: readers of files, and a command."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from napari.layers import Image, Labels
from napari.utils.notifications import show_error
from numpy.typing import NDArray
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from napari_unsupseg.image.axes import CHANNELS, SAMPLES
from napari_unsupseg.io.label_store import read_zarr_record
from napari_unsupseg.io.paths import TIFF_SUFFIXES
from napari_unsupseg.io.readers import open_image
from napari_unsupseg.io.run_archive import holds_run
from napari_unsupseg.plugin.layers import pixel_transform
from napari_unsupseg.plugin.saved_labels import (
    read_labels_layer,
    save_labels_layer,
    with_ending,
)

if TYPE_CHECKING:
    import napari.viewer

    from napari_unsupseg.plugin.panel import SegmentationPanel

__all__ = [
    "docked_panel",
    "draw_strokes",
    "get_labels_reader",
    "get_network_reader",
    "get_reader",
    "open_measurements",
    "open_panel",
    "save_labels",
    "segment_active_layer",
    "write_geojson",
    "write_rois",
    "write_tiff",
    "write_zarr",
]

PLUGIN = "napari-unsupseg"
NO_IMAGE = "the active layer is no image: click an Image layer in the list of layers"
MEASUREMENTS = "Measurements"  # the second of its widgets
IMAGE_SUFFIXES = (*TIFF_SUFFIXES, ".png", ".jpg", ".jpeg")

LayerData = tuple[Any, dict[str, Any], str]
NO_LAYER: list[Any] = [(None,)]  # tells napari that the file was read, and gives no layer
Paths = str | Sequence[str]


def get_reader(path: Paths) -> Callable[[Paths], list[LayerData]] | None:
    """Return the reader that opens image files and segments the first; labels of ours as such.

    Parameters
    ----------
    path : str or sequence of str
        A file, or several, as napari passes them.

    Returns
    -------
    callable or None
        None for files of another kind.
    """
    suffixes = {file.suffix.lower() for file in _files(path)}
    return _read_and_segment if suffixes <= set(IMAGE_SUFFIXES) else None


def get_labels_reader(path: Paths) -> Callable[[Paths], list[LayerData]] | None:
    """Return the reader that opens OME-Zarr labels of ours, with all that was saved with them.

    Parameters
    ----------
    path : str or sequence of str
        A store, or several, as napari passes them.

    Returns
    -------
    callable or None
        None for other stores.
    """
    are_ours = all(read_zarr_record(store) is not None for store in _files(path))
    return _read_and_segment if are_ours else None


def write_tiff(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer as TIFF, with its place, units and features.

    Parameters
    ----------
    path : str
        The file to write or replace.
    data : array, or list of array
        Data of the layer.
    attributes : dict
        What else the layer has, as napari passes it.

    Returns
    -------
    list of str
        The file that was written.

    Raises
    ------
    UnsupsegError
        If it cannot be written.
    """
    return _write(path, data, attributes, "label TIFF")


def write_zarr(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer as OME-Zarr, with its place, units and features, see `write_tiff`."""
    return _write(path, data, attributes, "OME-Zarr labels")


def write_geojson(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write the outlines of a Labels layer and its features for QuPath, see `write_tiff`."""
    return _write(path, data, attributes, "GeoJSON for QuPath")


def write_rois(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write the outlines of a Labels layer and its features for ImageJ, see `write_tiff`."""
    return _write(path, data, attributes, "ImageJ ROIs")


def get_network_reader(path: Paths) -> Callable[[Paths], list[Any]] | None:
    """Return the reader that opens the panel with a run or a trained network.

    Parameters
    ----------
    path : str or sequence of str
        A file, or several, as napari passes them.

    Returns
    -------
    callable or None
        None for several files: there is one run, or network, at a time.
    """
    return _open_run_or_network if len(_files(path)) == 1 else None


def segment_active_layer(viewer: "napari.viewer.Viewer") -> None:
    """Open the panel, and run it on the active layer.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Given by napari.
    """
    layer = viewer.layers.selection.active
    if isinstance(layer, Image):
        _segment(viewer, layer)
    else:
        show_error(NO_IMAGE)


def draw_strokes(viewer: "napari.viewer.Viewer") -> None:
    """Open the panel, and make a layer for strokes on the active image.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Given by napari.
    """
    layer = viewer.layers.selection.active
    if isinstance(layer, Image):
        panel = open_panel(viewer)
        panel.image.value = layer
        panel.draw_strokes()
    else:
        show_error(NO_IMAGE)


def save_labels(viewer: "napari.viewer.Viewer") -> None:
    """Ask where the active Labels layer is to be saved with its table, and save it.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Given by napari.
    """
    layer = viewer.layers.selection.active
    if isinstance(layer, Labels):
        open_panel(viewer).results.save_button.ask_where(layer)
    else:
        show_error("the active layer has no labels: click a Labels layer in the list of layers")


def docked_panel() -> "SegmentationPanel":
    """Return the panel of napari's window for a dock: the one that was closed, or a new one.

    Returns
    -------
    SegmentationPanel
        With what it knows of runs, if it was in a dock before.
    """
    from napari_unsupseg.plugin.panel import SegmentationPanel

    viewer = napari.current_viewer()
    assert viewer is not None, "napari asks for widgets where it has a window"
    window = viewer.window._qt_window  # there is no public way to it
    kept = window.findChild(QWidget, PLUGIN)
    if kept is not None and isinstance(kept._magic_widget, SegmentationPanel):
        return kept._magic_widget
    panel = SegmentationPanel(viewer)
    panel.native.setObjectName(PLUGIN)
    panel.keep_in(window)
    return panel


def open_panel(viewer: "napari.viewer.Viewer") -> "SegmentationPanel":
    """Return the panel of a viewer, docked if it was not.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer.

    Returns
    -------
    SegmentationPanel
        The panel.
    """
    dock, panel = viewer.window.add_plugin_dock_widget(PLUGIN)
    dock.show()
    opened: SegmentationPanel = panel
    return opened


def open_measurements(viewer: "napari.viewer.Viewer") -> None:
    """Show the widget *Measurements* in front of the panel, docked if it was not.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer.
    """
    dock, _ = viewer.window.add_plugin_dock_widget(PLUGIN, MEASUREMENTS, tabify=True)
    dock.show()
    dock.raise_()


def _read_and_segment(path: Paths) -> list[LayerData]:
    """Read image files, and segment the first one as soon as it is a layer."""
    files = _files(path)
    viewer = napari.current_viewer()
    if viewer is not None:
        earlier_layers = set(viewer.layers)

        def segment_first() -> None:
            new_layers = (layer for layer in viewer.layers if layer not in earlier_layers)
            images = [layer for layer in new_layers if isinstance(layer, Image)]
            if images:
                _segment(viewer, images[0])

        # napari adds the layers, and may show its window, only after this reader has returned
        QTimer.singleShot(0, segment_first)
    return [_read(file) for file in files]


def _read(file: Path) -> LayerData:
    """Read an image file, with axis labels, pixel size and position where the file has them."""
    if (labels := read_labels_layer(file)) is not None:
        return labels
    with open_image(file) as source:
        values, axes, pixel_size, mask = source
    is_rgb = axes is not None and SAMPLES in axes
    keywords: dict[str, Any] = {"name": file.stem, "rgb": is_rgb}
    if axes is not None:
        if is_rgb:  # napari wants them last
            values, axes = np.moveaxis(values, axes.index(SAMPLES), -1), axes.replace(SAMPLES, "")
        if mask is not None and CHANNELS in axes:
            warnings.warn(
                f"{file}: has fully transparent pixels, which are segmented too, since its "
                "channels are no colours; draw a training region to leave them out",
                stacklevel=2,
            )
        elif mask is not None:
            values = _with_alpha(values if is_rgb else np.stack([values] * 3, axis=-1), mask)
            keywords["rgb"] = True
        keywords["axis_labels"] = tuple(axes)
        if pixel_size is not None:
            keywords |= pixel_transform(axes, pixel_size)
    return values, keywords, "image"


def _write(path: str, data: Any, attributes: dict[str, Any], kind: str) -> list[str]:
    """Write a Labels layer in the format of its path, or else in that of a kind."""
    file = with_ending(path, kind)
    layer = Labels.create(data, attributes, "labels")
    assert isinstance(layer, Labels)
    save_labels_layer(file, layer)
    return [str(file)]


def _with_alpha(colours: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    """Return RGBA, transparent outside a mask: what nobody sees in a layer is not segmented."""
    opaque = np.iinfo(colours.dtype).max if colours.dtype.kind in "ui" else 1
    alpha = np.where(mask, opaque, 0).astype(colours.dtype)
    return np.concatenate([colours, alpha[..., np.newaxis]], axis=-1)


def _open_run_or_network(path: Paths) -> list[Any]:
    """Open a run or a network in the panel, as soon as napari is done with the file."""
    [file] = _files(path)
    viewer = napari.current_viewer()

    def open_file() -> None:
        panel = open_panel(viewer)
        if holds_run(file):
            panel.open_run(file)
        else:
            panel.load_network(file)

    if viewer is not None:
        QTimer.singleShot(0, open_file)
    return NO_LAYER


def _segment(viewer: "napari.viewer.Viewer", image: Image) -> None:
    """Run the panel on an image, unless it is busy."""
    panel = open_panel(viewer)
    panel.image.value = image
    if panel.run_button.enabled:
        panel.start()
    elif panel.axes.choices and panel.axes.value is None:
        show_error(f"choose under axes what the axes of {image.name} are, then press Run")
    else:
        show_error("a run is going on: stop it first, or wait until it ends")


def _files(path: Paths) -> list[Path]:
    return [Path(path)] if isinstance(path, str) else [Path(file) for file in path]
