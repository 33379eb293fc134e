"""The widget Measurements: what is dragged, clicked and typed in it, and what the layer shows."""

import time

import numpy as np
import pandas as pd
import pytest
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap, ensure_colormap
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from .conftest import WAIT, click, on_canvas, scroll

SIDE, GAP = 16, 4  # pixels of a square, and beside it
AREAS = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0]
SCORES = [0.9, 0.1, 0.8, 0.3, 0.7, 0.2, 0.6, 0.5, 1.0]


def squares(n=3, dtype=np.uint16):
    """Return n × n squares with the labels 1 to n², row by row."""
    labels = np.arange(1, n * n + 1, dtype=dtype).reshape(n, n)
    tile = np.zeros((SIDE + GAP, SIDE + GAP), dtype=dtype)
    tile[:SIDE, :SIDE] = 1
    return np.kron(labels, tile)


def middle(label, n=3):
    """Return y and x of the middle of a square."""
    return tuple((SIDE + GAP) * part + SIDE // 2 for part in divmod(label - 1, n))


def table(**columns):
    measured = {"index": range(1, 10), "area_um2": AREAS, "score": SCORES}
    return pd.DataFrame({**measured, **columns})


def open_widget(viewer):
    _, widget = viewer.window.add_plugin_dock_widget("napari-unsupseg", "Measurements")
    return widget


@pytest.fixture
def layer(viewer) -> Labels:
    """Return a layer of nine squares, measured."""
    return viewer.add_labels(squares(), name="cells", features=table(), opacity=1)


@pytest.fixture
def widget(viewer, layer):
    """Return the widget, docked beside the layer."""
    return open_widget(viewer)


def shown(layer, labels=range(1, 10)):
    """Return the colours that labels are shown in, shape (n, 4)."""
    return np.array([layer.get_color(label) for label in labels])


def visible(layer):
    """Return the labels that are not transparent."""
    return [label for label, alpha in enumerate(shown(layer)[:, 3], start=1) if alpha > 0]


def pixel(viewer, layer, label, n=3):
    """Return red, green and blue of a square in a picture of the canvas."""
    picture = viewer.screenshot(flash=False)[..., :3].astype(int)
    place = on_canvas(viewer, layer, middle(label, n))
    ratio = picture.shape[0] / viewer.window._qt_viewer.canvas.size[0]
    return picture[round(place.y() * ratio), round(place.x() * ratio)]


def send(plot, kind, position, button, buttons):
    viewport = plot.viewport()
    place = QPointF(position)
    event = QMouseEvent(
        kind,
        place,
        QPointF(viewport.mapToGlobal(position)),
        button,
        buttons,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(viewport, event)


def on_plot(plot, x, y) -> QPoint:
    """Return where a place of a plot is in its widget."""
    scene = plot.getPlotItem().vb.mapViewToScene(QPointF(x, y))
    return plot.mapFromScene(scene)


def drag(qtbot, plot, *places):
    """Drag the mouse through places of a plot, in its units."""
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    points = [on_plot(plot, *place) for place in places]
    send(plot, QEvent.Type.MouseMove, points[0], none, none)
    qtbot.wait(20)
    send(plot, QEvent.Type.MouseButtonPress, points[0], left, left)
    for point in points:
        qtbot.wait(20)  # pyqtgraph leaves out what comes faster
        send(plot, QEvent.Type.MouseMove, point, none, left)
    qtbot.wait(20)
    send(plot, QEvent.Type.MouseButtonRelease, points[-1], left, none)


def drag_low_end(qtbot, widget, value):
    low, _ = widget.histogram.range
    drag(qtbot, widget.histogram.plot, (low, 0.5), (low + 1, 0.5), (value, 0.5))


def test_a_dragged_range_hides_what_is_outside_and_is_undone(viewer, layer, widget, qtbot):
    own = shown(layer)
    assert widget.sentence.value == "cells: 9 objects"
    drag_low_end(qtbot, widget, 45)
    qtbot.waitUntil(lambda: visible(layer) == [5, 6, 7, 8, 9], timeout=WAIT)
    assert widget.sentence.value.startswith("cells: 5 of 9 objects (area_um2 from 4")
    np.testing.assert_allclose(shown(layer)[4:], own[4:], atol=1e-6)
    assert pixel(viewer, layer, 1).max() == 0  # black, as the canvas is
    np.testing.assert_allclose(pixel(viewer, layer, 9) / 255, own[8, :3], atol=0.02)
    assert (np.unique(layer.data) == range(10)).all()  # nothing is lost
    click(qtbot, widget.all_button)
    np.testing.assert_array_equal(shown(layer), own)
    assert widget.histogram.range == (10, 90)


def test_a_range_can_be_typed(layer, widget, qtbot):
    widget.low.value = 25
    widget.high.value = 60
    qtbot.waitUntil(lambda: visible(layer) == [3, 4, 5, 6], timeout=WAIT)
    assert widget.histogram.range == (25, 60)
    assert widget.sentence.value == "cells: 4 of 9 objects (area_um2 25 to 60)"


@pytest.mark.parametrize(
    ("end", "value", "new", "text", "left"),
    [
        pytest.param("low", 75, 500, "from 75 on", [1, 8, 9], id="from"),
        pytest.param("high", 25, 1, "up to 25", [1, 2], id="up to"),
    ],
)
def test_an_end_that_nobody_has_moved_hides_no_object_that_is_to_come(
    layer, widget, qtbot, end, value, new, text, left
):
    getattr(widget, end).value = value
    layer.features = table(area_um2=[new, *AREAS[1:]])  # beyond all that were there
    qtbot.waitUntil(lambda: visible(layer) == left, timeout=WAIT)
    said = f"cells: {len(left)} of 9 objects (area_um2 {text})"
    qtbot.waitUntil(lambda: widget.sentence.value == said, timeout=WAIT)
    assert getattr(widget, end).value == value


def test_ranges_of_several_measurements_hold_together(layer, widget, qtbot):
    widget.low.value = 25
    widget.measurement.value = "score"
    assert widget.histogram.range == (0.1, 1)
    widget.low.value = 0.55
    qtbot.waitUntil(lambda: visible(layer) == [3, 5, 7, 9], timeout=WAIT)
    assert widget.sentence.value.endswith("(area_um2 from 25 on, score from 0.55 on)")
    widget.measurement.value = "area_um2"
    assert widget.histogram.range == (25, 90)


def test_what_is_kept_is_one_edit_that_ctrl_z_takes_back(viewer, layer, widget, qtbot):
    before = layer.data.copy()
    widget.low.value = 65
    qtbot.waitUntil(lambda: visible(layer) == [7, 8, 9], timeout=WAIT)
    click(qtbot, widget.keep_button)
    np.testing.assert_array_equal(layer.data, np.where(before >= 7, before, 0))
    qtbot.waitUntil(lambda: widget.sentence.value == "cells: 3 objects", timeout=WAIT)
    assert widget.histogram.range == (70, 90)
    canvas = viewer.window._qt_viewer.canvas.native
    canvas.setFocus()
    qtbot.keyClick(canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    np.testing.assert_array_equal(layer.data, before)
    qtbot.waitUntil(lambda: widget.sentence.value == "cells: 9 objects", timeout=WAIT)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_objects_are_coloured_by_a_measurement_and_get_their_own_back(viewer, qtbot, dtype):
    layer = viewer.add_labels(squares(dtype=dtype), features=table(), opacity=1)
    layer.new_colormap()
    own = shown(layer)
    widget = open_widget(viewer)
    widget.colour.value = True
    positions = np.clip((np.array(AREAS) - 10.8) / (89.2 - 10.8), 0, 1)  # percentiles 1 and 99
    expected = ensure_colormap("viridis").map(positions)
    np.testing.assert_allclose(shown(layer), expected, atol=1e-6)
    for label in (1, 5, 9):
        np.testing.assert_allclose(
            pixel(viewer, layer, label) / 255, expected[label - 1, :3], atol=0.02
        )
    widget.measurement.value = "score"
    np.testing.assert_allclose(shown(layer, [9])[0], expected[-1], atol=1e-6)
    widget.colour.value = False
    np.testing.assert_array_equal(shown(layer), own)
    np.testing.assert_allclose(pixel(viewer, layer, 5) / 255, own[4, :3], atol=0.02)


def test_labels_beyond_two_bytes_are_coloured_too(viewer, qtbot):
    data = squares(dtype=np.int32)
    data[data > 0] += 100_000
    layer = viewer.add_labels(data, features=table(index=range(100_001, 100_010)), opacity=1)
    widget = open_widget(viewer)
    widget.colour.value = True
    expected = ensure_colormap("viridis").map(np.array([0.0, 1.0]))
    np.testing.assert_allclose(shown(layer, [100_001, 100_009]), expected, atol=1e-6)
    np.testing.assert_allclose(pixel(viewer, layer, 9) / 255, expected[1, :3], atol=0.02)


def lasso(qtbot, widget, *labels):
    """Draw a line around the points of some objects."""
    index = np.array(labels) - 1
    (left, right), (low, high) = (
        (values[index].min() - margin, values[index].max() + margin)
        for values, margin in ((np.array(AREAS), 4), (np.array(SCORES), 0.04))
    )
    corners = (left, low), (right, low), (right, high), (left, high)
    drag(qtbot, widget.scatter.plot, *corners)


def test_objects_in_a_drawn_line_are_chosen_and_the_others_dimmed(viewer, layer, widget, qtbot):
    own = shown(layer)
    assert (widget.x.value, widget.y.value) == ("area_um2", "score")
    lasso(qtbot, widget, 7, 8)
    assert "2 of 9" in widget.sentence.value
    alphas = shown(layer)[:, 3]
    assert (alphas[[6, 7]] == 1).all()
    np.testing.assert_allclose(np.delete(alphas, [6, 7]), 0.25)
    np.testing.assert_allclose(pixel(viewer, layer, 1) / 255, own[0, :3] * 0.25, atol=0.02)
    np.testing.assert_allclose(pixel(viewer, layer, 8) / 255, own[7, :3], atol=0.02)
    click(qtbot, widget.remove_button)
    assert np.unique(layer.data).tolist() == [0, 1, 2, 3, 4, 5, 6, 9]
    qtbot.waitUntil(lambda: widget.sentence.value == "cells: 7 objects", timeout=WAIT)


def test_chosen_objects_get_a_class_in_the_table(layer, widget, qtbot):
    for labels, name in (((7, 8), "small"), ((9,), "large")):
        lasso(qtbot, widget, *labels)
        assert f"{len(labels)} of 9" in widget.sentence.value
        widget.class_name.value = name
        click(qtbot, widget.class_button)
    assert layer.features["class"].tolist() == [""] * 6 + ["small", "small", "large"]
    qtbot.wait(200)
    assert "1 of 9" in widget.sentence.value  # the line stays


def click_plot(qtbot, plot, x, y):
    qtbot.mouseClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=on_plot(plot, x, y))


def centre(viewer):
    return np.array(getattr(viewer, "scene", viewer).camera.center[-2:])


def marked(widget):
    """Return x and y of the points that are marked."""
    return np.transpose(widget.scatter._mark.getData()).tolist()


def test_a_clicked_point_shows_its_object(viewer, layer, widget, qtbot):
    click_plot(qtbot, widget.scatter.plot, AREAS[5], SCORES[5])
    assert layer.selected_label == 6
    np.testing.assert_allclose(centre(viewer), np.array(middle(6)) - 0.5)
    assert marked(widget) == [[AREAS[5], SCORES[5]]]
    assert widget.object_sentence.value == "object 6: area_um2 60, score 0.2"


def test_a_click_beside_all_points_chooses_all(layer, widget, qtbot):
    lasso(qtbot, widget, 7, 8)
    assert "2 of 9" in widget.sentence.value
    click_plot(qtbot, widget.scatter.plot, 45, 0.9)
    assert widget.sentence.value == "cells: 9 objects"


def test_an_object_below_the_mouse_is_marked(viewer, layer, widget, qtbot):
    canvas = viewer.window._qt_viewer.canvas.native
    qtbot.mouseMove(canvas, on_canvas(viewer, layer, middle(4)))
    qtbot.waitUntil(lambda: marked(widget) == [[AREAS[3], SCORES[3]]], timeout=WAIT)
    widget.colour.value = True
    assert marked(widget) == [[AREAS[3], SCORES[3]]]
    layer.selected_label = 2
    assert marked(widget) == [[AREAS[1], SCORES[1]]]


def test_doubtful_objects_come_one_after_the_other(viewer, layer, widget, qtbot):
    for label in (2, 6, 4):
        click(qtbot, widget.doubtful_button)
        assert layer.selected_label == label
        np.testing.assert_allclose(centre(viewer), np.array(middle(label)) - 0.5)
    widget.measurement.value = "score"
    widget.low.value = 0.65  # 1, 3, 5 and 9 are left
    for label in (5, 3, 1, 9, 5):
        click(qtbot, widget.doubtful_button)
        assert layer.selected_label == label


def test_what_is_looked_at_or_removed_meanwhile_is_not_asked_twice(viewer, layer, widget, qtbot):
    def next_doubtful():
        click(qtbot, widget.doubtful_button)
        return layer.selected_label

    assert [next_doubtful(), next_doubtful()] == [2, 6]
    canvas = viewer.window._qt_viewer.canvas.native
    qtbot.mouseMove(canvas, on_canvas(viewer, layer, middle(9)))
    qtbot.waitUntil(lambda: marked(widget) == [[AREAS[8], SCORES[8]]], timeout=WAIT)
    assert next_doubtful() == 4
    layer.data = np.where(layer.data == 4, 0, layer.data)
    qtbot.waitUntil(lambda: widget.sentence.value == "cells: 8 objects", timeout=WAIT)
    assert next_doubtful() == 8
    click_plot(qtbot, widget.scatter.plot, AREAS[0], SCORES[0])
    assert layer.selected_label == 1
    assert next_doubtful() == 7


def test_the_wheel_scrolls_past_plots(viewer, widget, qtbot):
    for plot in (widget.histogram.plot, widget.scatter.plot):
        seen = plot.getPlotItem().vb.viewRange()
        scroll(plot.viewport(), -1)
        assert plot.getPlotItem().vb.viewRange() == seen
        assert not plot.getPlotItem().autoBtn.isVisible()


def test_without_scores_none_is_doubtful(viewer, layer, widget, qtbot):
    layer.features = table().drop(columns="score")
    qtbot.waitUntil(lambda: not widget.doubtful_button.visible, timeout=WAIT)


def test_a_layer_without_objects_is_told_from_one_without_measurements(viewer):
    viewer.add_labels(np.zeros((20, 30), np.uint8), name="noise objects")
    assert open_widget(viewer).sentence.value.startswith("noise objects is empty")


@pytest.mark.parametrize(
    ("features", "says"),
    [
        (None, "cells has no measurements"),
        (pd.DataFrame({"area": AREAS}), "has no numbers in a column index or label"),
        (pd.DataFrame({"label": list("abcdefghi"), "area": AREAS}), "has no numbers in a column"),
        (pd.DataFrame({"label": range(1, 10), "name": list("abcdefghi")}), "only names"),
        (pd.DataFrame({"label": [70, 71], "area": [1, 2]}), "none of the objects in the table"),
    ],
    ids=["no table", "no labels", "labels of letters", "no numbers", "other labels"],
)
def test_what_cannot_be_shown_is_said(viewer, features, says):
    viewer.add_labels(squares(), name="cells", features=features)
    widget = open_widget(viewer)
    assert says in widget.sentence.value
    assert not widget.histogram.visible


def test_the_widget_opens_without_a_layer_and_follows(viewer, qtbot):
    widget = open_widget(viewer)
    assert widget.sentence.value.startswith("Add or select a Labels layer")
    image = viewer.add_image(np.zeros((60, 60)))
    cells = viewer.add_labels(squares(), name="cells", features=table())
    assert widget.sentence.value == "cells: 9 objects"
    own = shown(cells)
    widget.low.value = 45
    qtbot.waitUntil(lambda: len(visible(cells)) == 5, timeout=WAIT)
    viewer.layers.selection.active = image
    assert len(visible(cells)) == 5
    viewer.add_labels(squares(2), name="others")
    assert widget.sentence.value.startswith("others has no measurements")
    np.testing.assert_array_equal(shown(cells), own)


def test_a_layer_that_is_removed_is_left(viewer, layer, widget, qtbot):
    own = shown(layer)
    widget.colour.value = True
    viewer.layers.remove(layer)
    assert widget.sentence.value.startswith("Add or select a Labels layer")
    np.testing.assert_array_equal(shown(layer), own)
    layer.features = None
    layer.data = squares(2)
    qtbot.wait(200)


def test_a_closed_widget_leaves_no_trace(viewer, layer, widget, qtbot):
    own = shown(layer)
    widget.colour.value = True
    n_callbacks = len(viewer.mouse_move_callbacks)
    dock = next(iter(viewer.window._wrapped_dock_widgets.values()))
    dock.title.close_button.click()
    np.testing.assert_array_equal(shown(layer), own)
    assert len(viewer.mouse_move_callbacks) == n_callbacks - 1
    layer.features = None
    viewer.theme = "light"
    qtbot.wait(200)


def test_values_that_are_missing(viewer, qtbot):
    areas = [np.nan, *AREAS[1:]]
    columns = {"area_um2": areas, "nothing": [np.nan] * 9, "ratio": [np.inf, *AREAS[1:]]}
    layer = viewer.add_labels(squares(), name="cells", features=table(**columns))
    widget = open_widget(viewer)
    assert widget.sentence.value == "cells: 9 objects"
    widget.colour.value = True
    np.testing.assert_allclose(shown(layer, [1])[0], [0.5, 0.5, 0.5, 1])
    widget.measurement.value = "ratio"
    assert widget.histogram.range == (20, 90)
    widget.low.value = 30
    qtbot.waitUntil(lambda: visible(layer) == [3, 4, 5, 6, 7, 8, 9], timeout=WAIT)
    click(qtbot, widget.all_button)
    widget.measurement.value = "nothing"
    assert "none has a value of nothing" in widget.sentence.value
    viewer.theme = "light"
    assert not widget.low.enabled
    widget.y.value = "nothing"
    assert len(visible(layer)) == 9


def test_a_table_that_changes_is_followed_with_the_range(layer, widget, qtbot):
    widget.low.value = 45
    layer.features = None  # as while a layer is measured again
    qtbot.waitUntil(lambda: not widget.keep_button.enabled, timeout=WAIT)
    assert len(visible(layer)) == 9
    layer.features = table(area_um2=AREAS[::-1], roundness=SCORES)
    qtbot.waitUntil(lambda: visible(layer) == [1, 2, 3, 4, 5], timeout=WAIT)
    assert "roundness" in widget.x.choices


def line_is_drawn(widget):
    """Tell whether there is a line around points."""
    return len(widget.scatter._lasso.getData()[0]) > 0


def test_a_line_goes_with_what_it_was_drawn_around(viewer, layer, widget, qtbot):
    lasso(qtbot, widget, 7, 8)
    assert line_is_drawn(widget)
    layer.features = table(roundness=SCORES).drop(columns="score")
    qtbot.waitUntil(lambda: widget.sentence.value == "cells: 9 objects", timeout=WAIT)
    assert not line_is_drawn(widget)
    lasso(qtbot, widget, 7, 8)
    viewer.add_labels(squares(), name="others", features=table(roundness=SCORES))
    assert widget.sentence.value == "others: 9 objects"
    assert not line_is_drawn(widget)


def test_size_and_brightness_come_first(viewer):
    ones = [1.0] * 9
    features = table(cluster=ones, mean_intensity_red=SCORES, z=ones)
    columns = ["index", "cluster", "area_um2", "mean_intensity_red", "z"]
    viewer.add_labels(squares(), features=features[columns])
    widget = open_widget(viewer)
    assert (widget.measurement.value, widget.x.value) == ("area_um2", "area_um2")
    assert widget.y.value == "mean_intensity_red"


def test_the_background_is_no_object(viewer):
    layer = viewer.add_labels(squares(), features={"label": [0, 1, 2], "area": [999, 5, 6]})
    widget = open_widget(viewer)
    assert widget.sentence.value.endswith(": 2 objects")
    assert widget.histogram.range == (5, 6)
    widget.colour.value = True
    assert pixel(viewer, layer, 1).max() > 0
    place = on_canvas(viewer, layer, (SIDE + GAP // 2, SIDE // 2))
    assert viewer.screenshot(flash=False)[place.y(), place.x(), :3].max() == 0


def test_a_layer_of_several_resolutions_is_coloured_and_not_edited(viewer, qtbot):
    levels = [squares(), squares()[::2, ::2]]
    layer = viewer.add_labels(levels, multiscale=True, features=table())
    widget = open_widget(viewer)
    widget.low.value = 45
    qtbot.waitUntil(lambda: visible(layer) == [5, 6, 7, 8, 9], timeout=WAIT)
    buttons = widget.keep_button, widget.remove_button, widget.doubtful_button
    assert not any(button.enabled for button in buttons)
    click_plot(qtbot, widget.scatter.plot, AREAS[5], SCORES[5])
    assert layer.selected_label == 6


def test_a_table_by_frames_counts_by_its_means(viewer, qtbot):
    lines = pd.DataFrame({"label": [1, 1, 2], "frame": [0, 1, 0], "area": [10.0, 20.0, 30.0]})
    viewer.add_labels(np.stack([squares(), squares()]), features=lines)
    widget = open_widget(viewer)
    widget.measurement.value = "area"
    assert widget.histogram.range == (15, 30)


@pytest.mark.parametrize("ndisplay", [2, 3])
def test_volumes_and_movies_go_to_the_plane_of_an_object(viewer, qtbot, ndisplay):
    data = np.zeros((10, 60, 60), np.uint16)
    data[2:5, 10:20, 10:20], data[7, 30:40, 40:50] = 1, 2
    features = pd.DataFrame({"index": [1, 2], "area": [300, 100], "score": [0.2, 0.1]})
    layer = viewer.add_labels(data, features=features, scale=(3, 1, 1))
    viewer.dims.ndisplay = ndisplay
    viewer.dims.set_current_step(0, 0)
    widget = open_widget(viewer)
    click(qtbot, widget.doubtful_button)
    np.testing.assert_allclose(centre(viewer), (34.5, 44.5))
    assert ndisplay == 3 or viewer.dims.current_step[0] == 7
    click(qtbot, widget.doubtful_button)
    np.testing.assert_allclose(centre(viewer), (14.5, 14.5))
    assert ndisplay == 3 or viewer.dims.current_step[0] == 4  # the nearest of the three
    widget.low.value = 200
    qtbot.waitUntil(lambda: "1 of 2" in widget.sentence.value, timeout=WAIT)
    click(qtbot, widget.keep_button)
    assert np.unique(layer.data).tolist() == [0, 1]
    layer.undo()
    assert (layer.data == 2).sum() == 100


def test_colours_of_a_user_are_kept(viewer, layer, widget, qtbot):
    widget.colour.value = True
    red = DirectLabelColormap(color_dict={None: "red", 0: "transparent"})
    layer.colormap = red
    assert not widget.colour.value
    np.testing.assert_array_equal(shown(layer, [3])[0], [1, 0, 0, 1])
    widget.low.value = 45
    qtbot.waitUntil(lambda: visible(layer) == [5, 6, 7, 8, 9], timeout=WAIT)
    np.testing.assert_array_equal(shown(layer, [9])[0], [1, 0, 0, 1])
    click(qtbot, widget.all_button)
    assert layer.colormap is red


def test_the_button_that_shuffles_colours_shuffles_the_users(layer, widget, qtbot):
    own = {tuple(colour) for colour in layer.colormap.colors}
    widget.colour.value = True
    layer.new_colormap()
    assert not widget.colour.value
    assert {tuple(colour) for colour in shown(layer)} <= own


def test_only_the_selected_label_is_shown_where_that_is_asked_for(layer, widget):
    layer.show_selected_label = True
    widget.colour.value = True
    layer.selected_label = 3
    assert visible(layer) == [3]
    layer.show_selected_label = False
    assert len(visible(layer)) == 9
    widget.colour.value = False
    assert len(visible(layer)) == 9


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_plots_have_the_colours_of_the_theme(viewer, widget, theme):
    viewer.theme = theme
    expected = get_theme(theme).text.as_hex("long")
    for plot in (widget.histogram.plot, widget.scatter.plot):
        assert plot.getAxis("left").textPen().color().name() == expected


def test_ten_thousand_objects_are_fluent(viewer, qtbot):
    rng = np.random.default_rng(0)
    n = 100
    columns = {
        "index": range(1, n * n + 1),
        **dict(zip("abc", rng.random((3, n * n)), strict=True)),
    }
    layer = viewer.add_labels(squares(n), features=pd.DataFrame(columns))
    widget = open_widget(viewer)
    widget.colour.value = True
    durations = []
    for low in np.linspace(0.1, 0.5, 9):
        start = time.process_time()
        widget.histogram.set_range(low, 0.9)
        widget._set_range(low, 0.9)
        widget._show_chosen()
        durations.append(time.process_time() - start)
    assert sum(alpha > 0 for alpha in shown(layer, range(1, n * n + 1))[:, 3]) < 0.5 * n * n
    assert np.median(durations) < 0.1, durations
