"""A real napari window with the panel docked in it, driven and photographed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import napari
import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray
from PIL import Image as Picture
from qtpy.QtCore import QPoint, QRect, Qt, QThreadPool
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDockWidget, QWidget
from skimage.util import montage

from napari_unsupseg.plugin.session import View

__all__ = ["COLOURS", "Rgb", "Window", "quantised", "side_by_side", "write_picture"]

Rgb = NDArray[np.uint8]

TITLE = "Unsupervised segmentation"
SIZE = (1180, 680)
PANEL_WIDTH = 320
TICK_MS = 20
REDRAW_MS = 300
COLOURS = 256  # of a PNG with a palette, a third of the size of one without
GAP = 6  # pixels between pictures side by side


class Window:
    """A viewer on one image, with the panel.

    Parameters
    ----------
    image : ndarray
        The image.
    name : str
        Of its layer.
    size : tuple of int
        Width and height of the window.
    **keywords
        Of the Image layer.
    """

    def __init__(
        self, image: NDArray[Any], name: str, size: tuple[int, int] = SIZE, **keywords: Any
    ) -> None:
        self._open(size, lambda viewer: viewer.add_image(image, name=name, **keywords))

    @classmethod
    def of_sample(cls, key: str, size: tuple[int, int] = SIZE) -> Self:
        """Open a viewer on one of the plugin's samples, with the panel."""
        window = cls.__new__(cls)
        window._open(size, lambda viewer: viewer.open_sample("napari-unsupseg", key)[0])
        return window

    def _open(self, size: tuple[int, int], add: Callable[[napari.Viewer], Image]) -> None:
        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(*size)
        self.image = add(self.viewer)
        dock, self.panel = self.viewer.window.add_plugin_dock_widget("napari-unsupseg")
        self._main = dock.window()
        self._main.resizeDocks([dock], [PANEL_WIDTH], Qt.Orientation.Horizontal)
        self.rest()
        self.viewer.reset_view()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        QThreadPool.globalInstance().waitForDone()  # regions may still be measured
        self.viewer.close()

    @property
    def labels(self) -> Labels:
        """The layer that the last run has made."""
        layers = self.viewer.layers
        return next(one for one in reversed(layers) if one.name.endswith("segmentation"))

    def rest(self, milliseconds: int = REDRAW_MS) -> None:
        """Let the window draw what has changed."""
        QTest.qWait(milliseconds)

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Let the window live until something has happened."""
        while not is_so():
            QTest.qWait(TICK_MS)

    def run(self) -> None:
        """Press Run, and wait for the end."""
        self.panel.run_button.native.click()
        self.wait_until_ended()

    def choose(self, view: View) -> None:
        """Press the button of a view of the run."""
        self.panel.results.view_buttons.buttons[view].native.click()

    def run_until(self, iteration: int) -> None:
        """Press Run, and wait for an iteration."""
        self.panel.run_button.native.click()
        self.wait_until(lambda: self.panel.progress.value >= iteration)

    def wait_until_ended(self) -> None:
        """Wait until the next run could begin."""
        self.wait_until(lambda: self.panel.run_button.enabled)

    def hide_other_docks(self, shown: QWidget | None = None) -> None:
        """Leave the canvas and the panel alone, or another widget in place of the panel."""
        for dock in self._main.findChildren(QDockWidget):
            if not dock.isAncestorOf(shown or self.panel.native):
                dock.hide()
            elif shown:
                self._main.resizeDocks([dock], [PANEL_WIDTH], Qt.Orientation.Horizontal)

    def place_below(self, dock: QDockWidget, height: int) -> None:
        """Put a dock below the canvas, as a user drags it there."""
        self._main.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
        self._main.resizeDocks([dock], [height], Qt.Orientation.Vertical)

    def place_of(self, widget: QWidget) -> QRect:
        """Return where a widget is in the picture of the window."""
        return QRect(widget.mapTo(self._main, QPoint(0, 0)), widget.size())

    def picture(self) -> Rgb:
        """Photograph the window."""
        self.rest()
        return self.viewer.screenshot(canvas_only=False, flash=False)[..., :3]

    def canvas(self, scale: float = 1.5) -> Rgb:
        """Photograph the layers alone, so many pixels for one of theirs."""
        self.rest()
        return self.viewer.export_figure(scale_factor=scale, flash=False)[..., :3]

    def canvas_as_seen(self) -> Rgb:
        """Photograph the canvas as it is in the window."""
        self.rest()
        return self.viewer.screenshot(canvas_only=True, flash=False)[..., :3]


def side_by_side(pictures: list[Rgb], n_rows: int = 1) -> Rgb:
    """Lay pictures of one size in rows."""
    shape = n_rows, len(pictures) // n_rows
    white = (255, 255, 255)
    laid = montage(pictures, white, grid_shape=shape, padding_width=GAP, channel_axis=-1)
    return laid[GAP:-GAP, GAP:-GAP]


def quantised(picture: Picture.Image, n_colours: int) -> Picture.Image:
    """Return a picture with a palette, in which rare colours are there too."""
    coverage = Picture.Quantize.MAXCOVERAGE
    return picture.quantize(n_colours, coverage, kmeans=1, dither=Picture.Dither.NONE)


def write_picture(path: Path, picture: Rgb) -> None:
    """Write a PNG with a palette of its own."""
    quantised(Picture.fromarray(picture), COLOURS).save(path, optimize=True)
    print(f"{path}: {picture.shape[1]} × {picture.shape[0]}, {path.stat().st_size // 1000} kB")  # noqa: T201
