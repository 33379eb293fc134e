"""The panel by keyboard, for a screen reader, in a narrow dock, enlarged, light and dark."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import napari
import numpy as np
import pandas as pd
import pytest
from imageio.v3 import imread
from napari.layers import Labels
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QScrollArea,
    QSlider,
    QSpinBox,
    QWidget,
)

from napari_unsupseg.plugin.session import View

from ..conftest import SMALL
from .conftest import WAIT, choose, click, scroll, seen, wait_until_ready

ROOT = Path(__file__).parents[2]
NARROW = 300  # pixels
MANY = 200  # controls of a window


def stops(panel) -> list[QWidget]:
    """Return the controls that Tab leads to, in its order, from the first one on."""
    found, control = [], panel.image.native
    while control not in found:
        if panel.native.isAncestorOf(control) and is_stop(control):
            found.append(control)
        control = control.nextInFocusChain()
    return found


def is_stop(control: QWidget) -> bool:
    takes_tab = control.focusPolicy().value & Qt.FocusPolicy.TabFocus.value
    return bool(takes_tab and control.isVisible() and not control.focusProxy())


def unfold(panel) -> None:
    for fold in panel.folds.values():
        fold.unfold()


def clipped(panel) -> list[str]:
    """Return the texts of labels and buttons that are not seen in full."""
    texts = [
        widget
        for kind in (QLabel, QAbstractButton)
        for widget in panel.native.findChildren(kind)
        if widget.isVisible() and widget.text()
    ]
    area = panel.native.findChild(QScrollArea)
    assert area.widget().width() <= area.viewport().width() <= NARROW
    return [
        widget.text()
        for widget in texts
        if widget.width() < widget.sizeHint().width()
        and not (isinstance(widget, QLabel) and widget.wordWrap())
    ]


def narrow_run(path: str) -> None:
    """Print what is clipped in a narrow dock after a run, and take a picture of the window."""
    viewer = napari.Viewer(show=True)
    viewer.add_image(np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8))
    dock, panel = viewer.window.add_plugin_dock_widget("napari-unsupseg")
    dock.setFixedWidth(NARROW)
    for name, value in SMALL.items():
        panel.settings[name].value = value
    panel.run_button.native.click()
    while not panel.run_button.enabled:
        QTest.qWait(20)
    unfold(panel)
    QTest.qWait(1200)  # until the plots are drawn
    found = []
    for button in panel.results.view_buttons.buttons.values():
        button.native.click()
        QTest.qWait(200)
        found += clipped(panel)
    print(found)  # noqa: T201
    viewer.screenshot(path, canvas_only=False, flash=False)
    viewer.close()


def test_a_run_by_keyboard_alone(viewer, panel, qtbot, rgb):
    window = panel.native.window()
    viewer.add_image(rgb)
    panel.image.native.setFocus()

    def tab_to(control):
        for _ in range(MANY):  # what is before it comes after the rest of the window
            if window.focusWidget() is control:
                return
            qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Tab)
        raise AssertionError(f"Tab does not lead to {control}")

    tab_to(panel.run_button.native)
    qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Space)
    assert not panel.run_button.enabled
    wait_until_ready(qtbot, panel)
    tab_to(panel.results.view_buttons.buttons[View.SEGMENTS].native)
    qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Space)
    [slider, *_] = [
        stop for stop in stops(panel) if panel.results.granularity.native.isAncestorOf(stop)
    ]
    tab_to(slider)
    qtbot.keyClick(slider, Qt.Key.Key_Right)
    assert panel.results.granularity.value > 0.5
    assert len(viewer.layers) == 3
    fold = panel.folds["Network"]
    tab_to(fold.heading.native)
    for key in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter):
        was_open = fold.content.visible
        qtbot.keyClick(fold.heading.native, key)
        assert fold.content.visible != was_open
    tab_to(panel.results.view_buttons.buttons[View.CLUSTERS].native)
    qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Return)
    tab_to(panel.results.clusters.table)
    qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Down)
    assert len(panel.results.clusters.selected) == 1
    tab_to(panel.results.clusters.background_button.native)


@pytest.mark.parametrize("view", View)
def test_tab_follows_what_is_seen(viewer, panel, qtbot, rgb, view):
    viewer.add_image(rgb)
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    choose(qtbot, panel, view)
    unfold(panel)
    qtbot.wait(100)
    middles = [stop.mapTo(panel.native, stop.rect().center()) for stop in stops(panel)]
    for one, following in itertools.pairwise(middles):
        is_beside = abs(following.y() - one.y()) < 10
        assert following.x() > one.x() if is_beside else following.y() > one.y()


@pytest.mark.parametrize("view", View)
def test_each_control_has_a_name_for_screen_readers(viewer, panel, qtbot, rgb, view):
    viewer.add_image(rgb)
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    choose(qtbot, panel, view)
    unfold(panel)
    for stop in stops(panel):
        # Qt takes the text of a button for its name
        assert stop.accessibleName() or (isinstance(stop, QAbstractButton) and stop.text()), stop
    for name, control in panel.settings.items():
        assert control.native.accessibleName() == name.replace("_", " ")
        assert control.native.accessibleDescription() == control.tooltip
    assert panel.folds["Network"].heading.native.accessibleName() == "Network"


def test_each_control_says_what_it_is_for(viewer, panel):
    viewer.add_image(np.zeros((3, 40, 50), np.uint8))
    unfold(panel)
    assert [stop for stop in stops(panel) if not described(stop)] == []


def described(control):
    """Return the tooltip of a control, or of the one that it is a part of."""
    return control.toolTip() or control.parentWidget().toolTip()


@pytest.mark.parametrize("scale", ["1", "1.25", "2"])
def test_nothing_is_clipped_in_a_narrow_dock(tmp_path, scale):
    path = str(tmp_path / "w.png")
    script = f"from tests.gui.test_accessibility import narrow_run; narrow_run({path!r})"
    environment = {**os.environ, "QT_SCALE_FACTOR": scale}
    command = [sys.executable, "-c", script]
    said = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=WAIT / 1000
    )
    assert said.stdout.strip() == "[]", said.stderr
    assert imread(tmp_path / "w.png").any()


def test_long_names_do_not_widen_the_panel(viewer, panel):
    viewer.add_image(np.zeros((3, 40, 50), np.uint8), name="a name as microscopes give them " * 3)
    body = panel.native.findChild(QScrollArea).widget()
    assert panel.axes.visible
    assert body.minimumSizeHint().width() <= 290


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_seen_after_a_run(viewer, panel, qtbot, rgb, theme):
    viewer.theme = theme
    viewer.add_image(rgb)
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    [labels] = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    labels.opacity = 1
    qtbot.waitUntil(lambda: bool(panel.plot.native.findChildren(QWidget)), timeout=WAIT)
    qtbot.wait(1200)
    canvas = viewer.screenshot(flash=False)[..., :3].reshape(-1, 3).astype(int)
    areas = np.bincount(labels.data.ravel())
    for label in np.argsort(areas)[-3:]:
        colour = np.round(labels.get_color(label)[:3] * 255)
        share = (np.abs(canvas - colour).max(axis=1) <= 3).mean()
        assert share > 0.2 * areas[label] / labels.data.size
    text, background = (
        np.array(getattr(get_theme(theme), name).as_rgb_tuple()[:3])
        for name in ("text", "background")
    )
    area = panel.native.findChild(QScrollArea)
    for widget, inside in ((panel.run_button, (2, -2)), (panel.plot, (60, -40))):
        area.ensureWidgetVisible(widget.native)
        qtbot.wait(100)
        pixels = seen(viewer, widget.native)[slice(*inside), slice(*inside)].reshape(-1, 3)
        near = np.abs(pixels.astype(int) - text).max(axis=1) < 60
        assert 0.001 < near.mean() < 0.5
    pixels = seen(viewer, panel.plot.native).reshape(-1, 3).astype(int)
    assert (np.abs(pixels - background).max(axis=1) < 6).mean() > 0.5


def test_the_wheel_scrolls_and_turns_only_what_has_the_focus(viewer, panel, qtbot, rgb):
    viewer.window.resize(1280, 800)
    viewer.add_image(rgb)
    viewer.add_image(rgb)
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    choose(qtbot, panel, View.OBJECTS)
    unfold(panel)
    wheel_over_each_control(qtbot, panel.native)


def test_the_wheel_scrolls_measurements_too(viewer, qtbot):
    features = pd.DataFrame({"index": [1, 2, 3], "area": [4, 5, 6], "score": [0.1, 0.2, 0.3]})
    viewer.add_labels(np.repeat(np.arange(4), 9).reshape(6, 6), features=features)
    viewer.window.resize(1280, 500)
    _, widget = viewer.window.add_plugin_dock_widget("napari-unsupseg", "Measurements")
    wheel_over_each_control(qtbot, widget.native)


def wheel_over_each_control(qtbot, native):
    """Check that the wheel scrolls over controls, also one that comes later, and turns none."""
    area = native.findChild(QScrollArea)
    late = QSpinBox()
    area.widget().layout().addWidget(late)
    qtbot.wait(100)
    bar = area.verticalScrollBar()
    controls = [
        control
        for kind in (QComboBox, QAbstractSpinBox, QSlider)
        for control in area.widget().findChildren(kind)
        if control.isVisible() and control.isEnabled()
    ]
    assert late in controls
    late.setValue(50)
    for control in controls:
        area.ensureWidgetVisible(control)
        before, scrolled = turned(control), bar.value()
        scroll(control, -1 if scrolled == 0 else 1)
        assert native.window().focusWidget() is not control
        assert turned(control) == before
        assert bar.value() != scrolled
    late.setFocus()
    scroll(late, -1)
    assert late.value() < 50


def turned(control):
    return control.currentIndex() if isinstance(control, QComboBox) else control.value()


def test_the_wheel_moves_a_slider_by_what_is_seen(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb)
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    choose(qtbot, panel, View.SEGMENTS)
    slider = panel.results.granularity.native.findChild(QSlider)
    slider.setFocus()
    scroll(slider, -1)
    assert 0.4 <= panel.results.granularity.value <= 0.49
