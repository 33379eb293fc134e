"""Keys, the activity dock and preferences: what lies beside the panel, in a real window."""

import re
from pathlib import Path

import pytest
from napari._qt.widgets.qt_progress_bar import QtLabeledProgressBar
from napari.layers import Labels
from napari.utils.key_bindings import coerce_keybinding
from napari.utils.shortcuts import default_shortcuts
from npe2 import PluginManager
from qtpy.QtCore import Qt

from napari_unsupseg.plugin.preferences import SECTION, Preferences
from napari_unsupseg.plugin.session import View
from napari_unsupseg.plugin.shortcuts import SHORTCUTS
from napari_unsupseg.plugin.widgets.settings_form import DEVICES
from napari_unsupseg.settings import PRESETS, Settings

from .conftest import WAIT, wait_until_ready

PAGE = Path(__file__).parents[2] / "docs" / "shortcuts.md"
NAMES = {Qt.Key.Key_R: "Shift-R", Qt.Key.Key_H: "Shift-H", Qt.Key.Key_Comma: ",",
         Qt.Key.Key_Period: ".", Qt.Key.Key_N: "N"}  # fmt: skip


def press(qtbot, viewer, key):
    """Press a key as a user does, with Shift where its name says so."""
    shift = NAMES[key].startswith("Shift")
    modifier = Qt.KeyboardModifier.ShiftModifier if shift else Qt.KeyboardModifier.NoModifier
    qtbot.keyClick(viewer.window._qt_window, key, modifier)


def rows(viewer) -> list[QtLabeledProgressBar]:
    """Return the rows of the activity dock."""
    dock = viewer.window._qt_window._activity_dialog
    return [row for row in dock.findChildren(QtLabeledProgressBar) if not row.isHidden()]


def test_a_run_goes_by_keys_and_is_cancelled_in_the_activity_dock(viewer, panel, qtbot, grey):
    viewer.add_image(grey, name="coins")
    panel.settings["iterations"].value = 10_000
    panel.update_every.value = 1
    press(qtbot, viewer, Qt.Key.Key_R)
    qtbot.waitUntil(lambda: panel.progress.value > 2, timeout=WAIT)
    [row] = rows(viewer)
    assert row.description_label.text() == "coins: "
    assert row.qt_progress_bar.maximum() == 10_000
    press(qtbot, viewer, Qt.Key.Key_H)
    assert panel.pause_button.text == "Resume"
    qtbot.waitUntil(lambda: row.qt_progress_bar.value() == panel.progress.value, timeout=WAIT)
    press(qtbot, viewer, Qt.Key.Key_H)
    assert panel.pause_button.text == "Pause"
    assert row.cancel_button.isVisibleTo(row)
    row.cancel_button.click()
    wait_until_ready(qtbot, panel)
    assert not rows(viewer)
    assert viewer.layers[-1].data.any(), "labels so far stay"
    # granularity
    before = panel.results.granularity.value
    press(qtbot, viewer, Qt.Key.Key_Comma)
    assert panel.results.granularity.value == pytest.approx(before - 0.05)
    assert panel.results.layers.is_made(View.SEGMENTS, panel.results.run)
    for _ in range(2):
        press(qtbot, viewer, Qt.Key.Key_Period)
    assert panel.results.granularity.value == pytest.approx(before + 0.05)
    # strokes
    press(qtbot, viewer, Qt.Key.Key_N)
    layer = viewer.layers.selection.active
    assert isinstance(layer, Labels)
    assert (layer.mode, layer.selected_label) == ("paint", 1)
    chosen = []
    for _ in range(4):
        press(qtbot, viewer, Qt.Key.Key_N)
        chosen.append(layer.selected_label)
    assert chosen == [2, 1, 2, 1], "the kinds of the list, and from the first again"


def test_keys_are_given_back_when_the_panel_is_closed(viewer, panel, qtbot, grey):
    viewer.add_image(grey)
    bound = set(viewer.keymap)
    assert {coerce_keybinding(key) for key in SHORTCUTS.values()} <= bound
    viewer.window.remove_dock_widget(panel.native)
    assert not viewer.keymap
    press(qtbot, viewer, Qt.Key.Key_R)
    assert len(viewer.layers) == 1
    # and a new panel has them again, but for one that another plugin has taken meanwhile
    taken = []
    viewer.bind_key("N", lambda _: taken.append(1))
    viewer.window.add_plugin_dock_widget("napari-unsupseg")
    assert set(viewer.keymap) == bound
    press(qtbot, viewer, Qt.Key.Key_N)
    assert taken == [1]


def test_no_key_is_one_of_naparis_own():
    known = {str(key) for keys in default_shortcuts.values() for key in keys}
    assert not known & {str(coerce_keybinding(key)) for key in SHORTCUTS.values()}


def test_keys_are_those_of_the_page_and_of_the_tooltips(panel):
    lines = re.findall(r"^\| `(.+?)` \|", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    assert lines == list(SHORTCUTS.values())
    controls = {
        "run": panel.run_button,
        "pause": panel.pause_button,
        "finer": panel.results.granularity,
        "coarser": panel.results.granularity,
        "next stroke": panel.strokes_button,
    }
    for action, control in controls.items():
        assert f"({SHORTCUTS[action]})" in control.tooltip


def test_a_panel_begins_with_the_preferences_of_the_user(make_napari_viewer):
    settings = pytest.importorskip("napari.settings")
    if not hasattr(settings, "get_plugin_settings"):
        pytest.skip("napari before 0.9 has no settings of plugins")
    section = getattr(settings.get_plugin_settings("napari-unsupseg"), SECTION)
    wanted = {"preset": "paper-2018", "device": "cpu", "update_every": 7, "history_memory": 50}
    wanted["save_runs"] = True
    before = {name: getattr(section, name) for name in wanted}
    assert before == vars(Preferences())
    try:
        for name, value in wanted.items():
            setattr(section, name, value)
        _, panel = make_napari_viewer().window.add_plugin_dock_widget("napari-unsupseg")
        assert panel.preset.value == "paper-2018"
        assert panel.settings["filters"].value == Settings.from_preset("paper-2018", {}).filters
        assert panel.device.value == "cpu"
        assert panel.update_every.value == 7
        assert panel.history_memory.value == 50
        assert panel.run_files.by_itself.value
    finally:
        for name, value in before.items():
            setattr(section, name, value)


def test_the_manifest_offers_the_presets_and_devices_that_there_are():
    manifest = PluginManager.instance().get_manifest("napari-unsupseg")
    offered = manifest.contributions.configurations[SECTION].properties
    assert offered["preset"].enum == list(PRESETS)
    assert offered["device"].enum == list(DEVICES)
    assert {name: one.default for name, one in offered.items()} == vars(Preferences())


def test_menus_of_napari_draw_strokes_and_save_labels(viewer, panel, qtbot, grey, tmp_path,
                                                      monkeypatch, notes):  # fmt: skip
    from napari_unsupseg.plugin.contributions import draw_strokes, save_labels

    image = viewer.add_image(grey)
    draw_strokes(viewer)
    strokes = viewer.layers.selection.active
    assert strokes.mode == "paint"
    strokes.data[2:4] = 1
    file = tmp_path / "strokes.tif"
    monkeypatch.setattr(
        "napari_unsupseg.plugin.widgets.save_button.QFileDialog.getSaveFileName",
        lambda *_: (str(file), _[-1].split(";;")[0]),
    )
    save_labels(viewer)
    qtbot.waitUntil(file.exists, timeout=WAIT)
    viewer.layers.selection.active = image
    save_labels(viewer)
    assert "the active layer has no labels" in notes[-1].message
