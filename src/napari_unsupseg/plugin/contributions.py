"""Entry points that napari calls to open the panel: readers of files, and a command."""

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
IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")

LayerData = tuple[Any, dict[str, Any], str]
NO_LAYER: list[Any] = [(None,)]  # tells napari that the file was read, and gives no layer
Paths = str | Sequence[str]


def get_reader(path: Paths) -> Callable[[Paths], list[LayerData]] | None:
    """Return the reader that opens image files and segments the first.

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


def get_network_reader(path: Paths) -> Callable[[Paths], list[Any]] | None:
    """Return the reader that opens the panel with a trained network.

    Parameters
    ----------
    path : str or sequence of str
        A file, or several, as napari passes them.

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
    """Read an image file, with the letters of its axes as axis labels where the file has them."""
    values, axes = read_image(file), read_tiff_axes(file)
    is_rgb = axes.endswith(SAMPLES) if axes else values.ndim == 3 and values.shape[-1] in (3, 4)
    keywords: dict[str, Any] = {"name": file.stem, "rgb": is_rgb}
    if axes:
        keywords["axis_labels"] = tuple(axes.removesuffix(SAMPLES) if is_rgb else axes)
    return values, keywords, "image"


def _open_network(path: Paths) -> list[Any]:
    """Load a network in the panel, as soon as napari is done with the file."""
    [file] = _files(path)
    viewer = napari.current_viewer()
    if viewer is not None:
        QTimer.singleShot(0, lambda: open_panel(viewer).load_network(file))
    return NO_LAYER


def _segment(viewer: "napari.viewer.Viewer", image: Image) -> None:
    """Run the panel on an image, unless it is busy."""
    panel = open_panel(viewer)
    panel.image.value = image
    if panel.run_button.enabled:
        panel.start()
    else:
        show_error("a run is going on: stop it first, or wait until it ends")


def _files(path: Paths) -> list[Path]:
    return [Path(path)] if isinstance(path, str) else [Path(file) for file in path]
