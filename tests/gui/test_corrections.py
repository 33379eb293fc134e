"""Corrections of objects and segments, which outlast what they were made on."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from skimage.data import coins

from napari_unsupseg.plugin.object_editor import EditMode
from napari_unsupseg.plugin.session import View

from .conftest import WAIT, choose, click, wait_until_ready

COINS = coins()[::4, ::4][:64, :64]
CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def segment_coins(viewer, panel, qtbot, view):
    """Run on coins to the end, and show a view of the run."""
    viewer.add_image(COINS, name="coins")
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    choose(qtbot, panel, view)


def middle(labels, label):
    """Return a pixel in the middle of a region."""
    return tuple(np.argwhere(labels == label).mean(axis=0).round().astype(int))


def listed(editing):
    """Return the corrections in the list, struck out or not."""
    rows = editing.corrections.list
    items = [rows.item(index) for index in range(rows.count())]
    return [(item.text(), item.font().strikeOut()) for item in items]


def test_corrections_of_objects_outlast_their_controls(viewer, panel, qtbot):
    segment_coins(viewer, panel, qtbot, View.OBJECTS)
    layer, section = viewer.layers["coins objects"], panel.results.objects_section
    corrections, find = section.editing.corrections, panel.results.run.result.hierarchy.objects
    found, whole = find(), find(exclude_border=True)
    one, other, removed, larger = (middle(whole, label) for label in (1, 2, 3, 4))
    assert not corrections.native.isVisible()

    states = [layer.data.copy()]
    layer.brush_size = 3
    for change in (
        lambda: layer.fill(other, layer.data[one]),
        lambda: layer.fill(removed, 0),
        lambda: layer.paint(tuple(np.argwhere(layer.data == layer.data[larger]).min(axis=0)), 99),
        lambda: layer.paint(larger, 99),
    ):
        change()
        qtbot.wait(1)  # as between two strokes of a user
        states.append(layer.data.copy())
    painted = states[3] == 99
    said = ["joined 2 objects", "removed 1 object", f"painted {painted.sum()} pixels"]
    assert [text for text, _ in listed(section.editing)][:3] == said
    assert corrections.heading.value == "4 corrections"
    click(qtbot, corrections.undo_button)
    np.testing.assert_array_equal(layer.data, states[3])
    n_objects = len(np.unique(states[3])) - 1
    qtbot.waitUntil(lambda: len(layer.features) == n_objects, timeout=WAIT)

    section.exclude_border.value = True
    expected = np.where(whole == 2, 1, np.where(whole == 3, 0, whole))
    expected[painted] = 99
    qtbot.waitUntil(lambda: not panel.results._finder.is_searching, timeout=WAIT)
    np.testing.assert_array_equal(layer.data, expected)
    n_objects = len(np.unique(expected)) - 1
    assert n_objects < len(np.unique(states[3])) - 1
    assert panel.status.value == f"{n_objects} objects"
    qtbot.waitUntil(lambda: len(layer.features) == n_objects, timeout=WAIT)
    assert [name for name in (one.name for one in viewer.layers) if "objects" in name] == [
        "coins objects"
    ]

    section.max_size.value = 60  # none of those that were joined or removed is as small
    qtbot.waitUntil(lambda: listed(section.editing)[0][1], timeout=WAIT)
    assert [is_idle for _, is_idle in listed(section.editing)] == [True, True, False]
    said = "3 corrections, of which 2 have nothing to do here"
    assert corrections.heading.value == said
    section.max_size.value = 0
    section.exclude_border.value = False
    qtbot.waitUntil(lambda: np.array_equal(layer.data, states[3]), timeout=WAIT)

    canvas = viewer.window._qt_viewer.canvas.native
    canvas.setFocus()
    for state in states[2::-1]:
        qtbot.keyClick(canvas, Qt.Key.Key_Z, CONTROL)
        np.testing.assert_array_equal(layer.data, state)
    np.testing.assert_array_equal(layer.data, found)
    assert not corrections.list.isVisible()
    qtbot.keyClick(canvas, Qt.Key.Key_Z, CONTROL | SHIFT)
    np.testing.assert_array_equal(layer.data, states[1])
    click(qtbot, corrections.redo_button)
    np.testing.assert_array_equal(layer.data, states[2])
    click(qtbot, corrections.clear_button)
    np.testing.assert_array_equal(layer.data, states[0])
    assert corrections.redo_button.enabled
    assert not corrections.undo_button.enabled

    choose(qtbot, panel, View.SEGMENTS)
    section, segments = panel.results.segments_section, viewer.layers["coins segments"]
    before = segments.data.copy()
    joined = [tuple(np.argwhere(before == label)[0]) for label in (1, 2)]
    segments.fill(joined[1], 1)
    said = f"granularity: {before.max() - 1} segments"
    qtbot.waitUntil(lambda: section.heading.value == said, timeout=WAIT)
    panel.results.granularity.value = 0.3
    assert segments.data[joined[0]] == segments.data[joined[1]]
    assert listed(section.editing) == [("joined 2 segments", False)]
    click(qtbot, panel.results.copy_button)
    assert panel.status.value.endswith("on the clipboard, without your corrections")


@pytest.mark.parametrize("button", ["run_button", "continue_button"])
def test_corrections_stay_with_their_run(viewer, panel, qtbot, button):
    segment_coins(viewer, panel, qtbot, View.SEGMENTS)
    layer = viewer.layers["coins segments"]
    layer.paint((4, 4), 0)
    corrected = layer.data.copy()
    click(qtbot, getattr(panel, button))
    wait_until_ready(qtbot, panel)
    choose(qtbot, panel, View.SEGMENTS)
    is_same = button == "continue_button"
    assert ("coins segments [1]" in viewer.layers) != is_same
    shown = viewer.layers.selection.active
    assert (shown.data[4, 4] == 0) == is_same
    if not is_same:
        np.testing.assert_array_equal(layer.data, corrected)
        layer.undo()  # it is napari's alone again
        assert layer.data[4, 4] > 0


def test_a_run_that_has_no_objects_yet_corrects_none_of_the_run_before(viewer, panel, qtbot):
    segment_coins(viewer, panel, qtbot, View.OBJECTS)
    layer, section = viewer.layers["coins objects"], panel.results.objects_section
    layer.fill(middle(layer.data, 2), 0)
    section.foreground.value = "clusters"
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    click(qtbot, panel.results.view_buttons.buttons[View.OBJECTS])
    assert panel.status.value.startswith("select in the table the clusters")
    assert not section.editing.corrections.native.isVisible()
    click(qtbot, section.editing.buttons[EditMode.REMOVE])
    assert section.editing.hint.value.startswith("there is no layer of objects")


@pytest.mark.parametrize("view", [View.SEGMENTS, View.OBJECTS])
def test_corrections_outlast_the_layer_that_they_are_on(viewer, panel, qtbot, view):
    segment_coins(viewer, panel, qtbot, view)
    editing = panel.results._editing[view]
    layer = viewer.layers[f"coins {view.value.lower()}"]
    layer.fill(middle(layer.data, 2), 0)
    qtbot.wait(1)
    corrected = layer.data.copy()
    viewer.layers.remove(layer)
    assert not editing.corrections.native.isVisible()
    said = f"{layer.name} was removed: press {view.value} to have it again"
    assert panel.status.value == said
    choose(qtbot, panel, view)
    again = viewer.layers[layer.name]
    np.testing.assert_array_equal(again.data, corrected)
    click(qtbot, editing.corrections.undo_button)
    assert 2 in again.data
    assert 2 not in layer.data


def test_a_single_correction_that_has_nothing_to_do_is_said_to_have_none(viewer, panel, qtbot):
    segment_coins(viewer, panel, qtbot, View.SEGMENTS)
    layer, section = viewer.layers["coins segments"], panel.results.segments_section
    layer.fill(middle(layer.data, 2), 1)
    qtbot.wait(1)
    panel.results.granularity.value = 1
    said = "1 correction, which has nothing to do here"
    assert section.editing.corrections.heading.value == said
