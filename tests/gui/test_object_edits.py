"""Objects edited with the mouse on the canvas, and what napari's undo makes of it."""

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from skimage.data import coins

from napari_unsupseg.plugin.object_editor import EditMode
from napari_unsupseg.plugin.session import View

from .conftest import WAIT, choose, click, wait_until_ready

COINS = coins()[::2, ::2]
ACROSS = np.array([0, 30])  # pixels, from the middle of a coin to beyond it
LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


@pytest.fixture
def layer(viewer, panel, qtbot):
    """Return the layer of objects of a run on coins."""
    viewer.add_image(COINS, name="coins", scale=(0.5, 0.5), units=("um", "um"))
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    choose(qtbot, panel, View.OBJECTS)
    layer = viewer.layers["coins objects"]
    qtbot.waitUntil(lambda: "index" in layer.features, timeout=WAIT)
    qtbot.wait(200)  # until it is drawn
    return layer


@pytest.fixture
def editing(layer, panel):
    """Return the buttons of edits."""
    return panel.results.objects_section.editing


@pytest.fixture
def mouse(viewer, layer, qtbot):
    """Return what clicks at a place of the layer, or draws a line if two are given."""
    canvas = viewer.window._qt_viewer.canvas.native
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera

    def point(place):
        world = np.array(layer.data_to_world(place))[-2:] - np.array(camera.center)[-2:]
        y, x = world * camera.zoom / canvas.devicePixelRatio()
        return QPoint(round(x) + canvas.width() // 2, round(y) + canvas.height() // 2)

    def press(*places):
        qtbot.mouseMove(canvas, point(places[0]))
        qtbot.mousePress(canvas, LEFT, NONE, point(places[0]))
        for share in np.linspace(0, 1, 8) if len(places) > 1 else ():
            qtbot.mouseMove(canvas, point((1 - share) * places[0] + share * places[1]))
            qtbot.wait(10)
        qtbot.mouseRelease(canvas, LEFT, NONE, point(places[-1]))

    press.canvas = canvas
    return press


def middle(layer, label):
    """Return where the middle of an object is."""
    return np.argwhere(layer.data == label).mean(axis=0)


def numbers(layer):
    """Return the numbers of the objects of a layer."""
    return np.unique(layer.data[layer.data > 0]).tolist()


def test_a_click_removes_an_object_and_ctrl_z_brings_it_back(
    viewer, panel, qtbot, layer, editing, mouse
):
    before = layer.data.copy()
    click(qtbot, editing.buttons[EditMode.REMOVE])
    assert editing.hint.value == "click the objects that are to go"
    mouse(middle(layer, 3))
    mouse(middle(layer, 5))
    np.testing.assert_array_equal(layer.data, np.where(np.isin(before, [3, 5]), 0, before))
    said = f"{before.max() - 2} objects"
    qtbot.waitUntil(lambda: panel.status.value == said, timeout=WAIT)
    qtbot.waitUntil(lambda: len(layer.features) == before.max() - 2, timeout=WAIT)
    mouse.canvas.setFocus()
    for _ in range(2):  # each edit is a step
        qtbot.keyClick(mouse.canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    np.testing.assert_array_equal(layer.data, before)
    qtbot.waitUntil(lambda: panel.status.value == f"{before.max()} objects", timeout=WAIT)
    qtbot.waitUntil(lambda: len(layer.features) == before.max(), timeout=WAIT)


def test_two_clicks_join_objects(qtbot, layer, editing, mouse):
    before = layer.data.copy()
    click(qtbot, editing.buttons[EditMode.JOIN])
    mouse(middle(layer, 3))
    assert editing.hint.value.startswith("object 3: now click")
    mouse(middle(layer, 4))
    np.testing.assert_array_equal(layer.data, np.where(before == 4, 3, before))
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)


def test_a_line_splits_an_object(qtbot, layer, editing, mouse):
    before, centre = layer.data.copy(), middle(layer, 3)
    click(qtbot, editing.buttons[EditMode.SPLIT])
    mouse(centre - ACROSS, centre + ACROSS)
    new = before.max() + 1
    assert numbers(layer) == [*range(1, new + 1)]
    np.testing.assert_array_equal(np.where(layer.data == new, 3, layer.data), before)
    rows = [middle(layer, label)[0] for label in (3, new)]
    assert min(rows) < centre[0] < max(rows)
    layer.undo()  # the line and the split are one step
    np.testing.assert_array_equal(layer.data, before)
    mouse(centre, centre + ACROSS / 10)
    assert editing.hint.value.startswith("that split nothing")
    np.testing.assert_array_equal(layer.data, before)


@pytest.mark.parametrize(("button", "are_left"), [("keep_button", True), ("remove_button", False)])
def test_objects_alike_are_found_and_kept_or_removed(
    qtbot, layer, editing, mouse, button, are_left
):
    before, colours = layer.data.copy(), layer.colormap
    click(qtbot, editing.buttons[EditMode.ALIKE])
    assert not getattr(editing, button).enabled  # before there is something to keep or remove
    mouse(middle(layer, 3))
    editing.similarity.value = 1
    assert editing.hint.value == "1 object like object 3"
    dimmed = np.array([layer.get_color(label)[3] for label in numbers(layer)])
    assert np.flatnonzero(dimmed == 1).tolist() == [2]
    editing.similarity.value = 0.4
    n_alike = int(editing.hint.value.split()[0])
    assert 1 < n_alike < before.max()
    click(qtbot, getattr(editing, button))
    left = numbers(layer)
    assert (3 in left) == are_left
    assert len(left) == (n_alike if are_left else before.max() - n_alike)
    assert layer.colormap == colours
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)
    assert editing.hint.value.startswith("click an object")
    assert not getattr(editing, button).enabled


def test_a_mode_ends_where_the_user_does_something_else(viewer, panel, qtbot, layer, editing):
    def is_on():
        return any(button.native.isChecked() for button in editing.buttons.values())

    elsewhere = [
        lambda: click(qtbot, editing.buttons[EditMode.SPLIT]),  # it is down already
        lambda: setattr(layer, "mode", "paint"),
        lambda: setattr(layer, "visible", False),
        lambda: setattr(viewer.layers.selection, "active", viewer.layers["coins"]),
        lambda: choose(qtbot, panel, View.CLUSTERS),
        panel.results.leave_objects,  # as when its dock is closed
    ]
    for leave in elsewhere:
        choose(qtbot, panel, View.OBJECTS)
        click(qtbot, editing.buttons[EditMode.SPLIT])
        assert is_on()
        assert viewer.layers.selection.active == layer
        leave()
        assert not is_on()
        assert layer.mouse_pan == (layer.mode == "pan_zoom")


def test_a_click_on_ground_or_a_moved_view_edits_nothing(qtbot, layer, editing, mouse):
    before = layer.data.copy()
    click(qtbot, editing.buttons[EditMode.REMOVE])
    mouse(np.argwhere(before == 0)[0])
    mouse(middle(layer, 3), middle(layer, 3) + ACROSS)
    np.testing.assert_array_equal(layer.data, before)


@pytest.mark.parametrize("mode", EditMode)
@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        pytest.param(
            lambda viewer, layer: viewer.layers.remove(layer),
            "there is no layer of objects: press Objects to find them",
            id="removed",
        ),
        pytest.param(
            lambda viewer, layer: layer.data_setitem(np.nonzero(layer.data), 0),
            "there are no objects in coins objects",
            id="empty",
        ),
    ],
)
def test_a_button_that_can_do_nothing_says_why(
    viewer, panel, qtbot, layer, editing, mode, change, refusal
):
    change(viewer, layer)
    qtbot.wait(1)
    click(qtbot, editing.buttons[mode])
    assert not editing.buttons[mode].native.isChecked()
    assert editing.hint.native.isVisible()
    assert editing.hint.value == refusal
    assert not editing.similarity.native.isVisible()
    if layer in viewer.layers:
        click(qtbot, editing.corrections.undo_button)
    panel.results.objects_section.split.value = 0
    choose(qtbot, panel, View.OBJECTS)
    qtbot.waitUntil(lambda: not editing.hint.native.isVisible(), timeout=WAIT)
    click(qtbot, editing.buttons[mode])
    assert editing.buttons[mode].native.isChecked()
