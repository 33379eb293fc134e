"""Ways into the panel that begin elsewhere: files opened with this plugin, and a command."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
from napari.layers import Image
from napari.utils.notifications import show_error
from qtpy.QtCore import QTimer

from napari_unsupseg.image.axes import SAMPLES
from napari_unsupseg.io.readers import read_image
from napari_unsupseg.io.tiff import read_tiff_axes

if TYPE_CHECKING:
    import napari.viewer

    from napari_unsupseg.plugin.panel import SegmentationPanel

__all__ = ["get_network_reader", "get_reader", "open_panel", "segment_active_layer"]

PLUGIN = "napari-unsupseg"
IMAGES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")

LayerData = tuple[Any, dict[str, Any], str]
NO_LAYER: list[Any] = [(None,)]  # what napari takes for a file that has been dealt with
Paths = str | Sequence[str]


def get_reader(path: Paths) -> Callable[[Paths], list[LayerData]] | None:
    """Return what opens image files and segments the first.

    Parameters
    ----------
    path : str or sequence of str
        From napari.

    Returns
    -------
    callable or None
        None for files of another kind.
    """
    suffixes = {file.suffix.lower() for file in _files(path)}
    return _read_and_segment if suffixes <= set(IMAGES) else None


def get_network_reader(path: Paths) -> Callable[[Paths], list[Any]] | None:
    """Return what opens the panel with a trained network.

    Parameters
    ----------
    path : str or sequence of str
        From napari.

    Returns
    -------
    callable or None
        None for several files: there is one network at a time.
    """
    return _open_network if len(_files(path)) == 1 else None


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
        show_error("the active layer is no image: click an Image layer in the list of layers")


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


def _read_and_segment(path: Paths) -> list[LayerData]:
    files = _files(path)
    viewer = napari.current_viewer()
    if viewer is not None:
        there = set(viewer.layers)

        def segment_first() -> None:
            new = [layer for layer in viewer.layers if layer not in there]
            images = [layer for layer in new if isinstance(layer, Image)]
            if images:
                _segment(viewer, images[0])

        QTimer.singleShot(0, segment_first)  # when the layers are there, and the window
    return [_read(file) for file in files]


def _read(file: Path) -> LayerData:
    values, axes = read_image(file), read_tiff_axes(file)
    is_rgb = axes.endswith(SAMPLES) if axes else values.ndim == 3 and values.shape[-1] in (3, 4)
    keywords: dict[str, Any] = {"name": file.stem, "rgb": is_rgb}
    if axes:
        keywords["axis_labels"] = tuple(axes.removesuffix(SAMPLES) if is_rgb else axes)
    return values, keywords, "image"


def _open_network(path: Paths) -> list[Any]:
    [file] = _files(path)
    viewer = napari.current_viewer()
    if viewer is not None:
        QTimer.singleShot(0, lambda: open_panel(viewer).load_network(file))
    return NO_LAYER


def _segment(viewer: "napari.viewer.Viewer", image: Image) -> None:
    panel = open_panel(viewer)
    panel.image.value = image
    if panel.run_button.enabled:
        panel.start()
    else:
        show_error("a run is going on: stop it first, or wait until it ends")


def _files(path: Paths) -> list[Path]:
    return [Path(path)] if isinstance(path, str) else [Path(file) for file in path]
