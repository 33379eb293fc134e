"""A real window with the panel docked in it."""

import gc
import os
import sys
import time

# the window's fixture resets napari's settings, and must not reset the user's
os.environ["NAPARI_CONFIG"] = ""

import numpy as np
import pytest
import torch
from napari.layers import Labels
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QFileDialog

import napari_unsupseg.learning.inference
from napari_unsupseg.plugin.panel import SegmentationPanel

from ..conftest import SMALL

WAIT = 60_000
MOMENT = 0.02  # seconds


@pytest.fixture(scope="session", autouse=True)
def _screen():
    """Stop here, not in a crash of Qt, where there is no screen and no Xvfb."""
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
        pytest.exit("the tests in tests/gui open windows: install Xvfb", returncode=1)


@pytest.fixture(scope="module", autouse=True)
def _frozen():
    """Have the garbage collector leave alone what was there before the tests of a file.

    napari collects garbage after each of them, to see that its window is gone. With half a million
    objects of the modules that are loaded, this would take a third of a test's time.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _one_thread():
    """Have the main thread use as many threads as the panel's, since labels depend on that.

    Something in a window sets its number to that of the cores after some tests.
    """
    torch.set_num_threads(1)


def click(qtbot, button):
    """Click a button as a user does."""
    assert button.enabled
    qtbot.mouseClick(button.native, Qt.MouseButton.LeftButton)


def choose(qtbot, panel, view):
    """Click the button of a view, and wait for what it shows."""
    click(qtbot, panel.results.view_buttons.buttons[view])
    results = panel.results
    qtbot.waitUntil(lambda: results.layers.is_made(view, results.run), timeout=WAIT)


def labels_of(viewer) -> Labels:
    """Return the only Labels layer of a viewer."""
    [labels] = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    return labels


def on_canvas(viewer, layer, place) -> QPoint:
    """Return where a pixel of a layer, (…, y, x), is on the canvas."""
    camera = getattr(viewer, "scene", viewer).camera  # napari before 0.9 has no scene
    world = np.array(layer.data_to_world(place))[-2:]
    offset = (world - camera.center[-2:]) * camera.zoom
    y, x = offset + np.array(viewer.window._qt_viewer.canvas.size) / 2
    return QPoint(round(x), round(y))


def scroll(widget, notches):
    """Turn the mouse wheel over a widget: up, or down if below 0."""
    place = widget.rect().center()
    event = QWheelEvent(
        QPointF(place),
        QPointF(widget.mapToGlobal(place)),
        QPoint(),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    while widget is not None:  # Qt has only events of a real mouse go on to the parent
        event.accept()
        QApplication.sendEvent(widget, event)
        widget = None if event.isAccepted() else widget.parentWidget()


def seen(viewer, widget):
    """Return the pixels of a widget in a picture of the window, shape (y, x, 3)."""
    window = widget.window()
    picture = viewer.screenshot(canvas_only=False, flash=False)[..., :3]
    ratio = picture.shape[1] / window.width()
    corner = widget.mapTo(window, widget.rect().topLeft())
    left, top = round(corner.x() * ratio), round(corner.y() * ratio)
    height, width = round(widget.height() * ratio), round(widget.width() * ratio)
    return picture[top : top + height, left : left + width]


def colour_of(item):
    """Return the colour of the square that a line of a list or table begins with."""
    picture = item.icon().pixmap(8, 8).toImage()
    return picture.pixelColor(4, 4).getRgbF()


def wait_until_ready(qtbot, panel):
    """Wait until the next run can begin."""
    qtbot.waitUntil(lambda: panel.run_button.enabled, timeout=WAIT)


@pytest.fixture
def chosen(monkeypatch, tmp_path):
    """Answer the file dialogs with one file."""
    path = tmp_path / "tissue.unsupseg"
    for name in ("getSaveFileName", "getOpenFileName"):
        monkeypatch.setattr(QFileDialog, name, lambda *_, **__: (str(path), ""))
    return path


@pytest.fixture
def notes():
    """Collect the notifications that napari would show."""
    seen = []
    notification_manager.notification_ready.connect(seen.append)
    yield seen
    notification_manager.notification_ready.disconnect(seen.append)


@pytest.fixture
def viewer(make_napari_viewer):
    """Return a viewer in a window that is shown."""
    return make_napari_viewer(show=True)


@pytest.fixture
def panel(viewer) -> SegmentationPanel:
    """Return the panel, docked as the Plugins menu docks it, with quick settings."""
    _, panel = viewer.window.add_plugin_dock_widget("napari-unsupseg")
    for name, value in SMALL.items():
        panel.settings[name].value = value
    panel.update_every.value = 2
    return panel


@pytest.fixture
def slowly(monkeypatch):
    """Have each tile take a moment, and return the tiles that were labelled."""
    labelled = []
    real = napari_unsupseg.learning.inference._label_tile

    def label_tile(network, n_labels, frame, tile):
        time.sleep(MOMENT)
        labelled.append(tile)
        return real(network, n_labels, frame, tile)

    monkeypatch.setattr(napari_unsupseg.learning.inference, "_label_tile", label_tile)
    return labelled
