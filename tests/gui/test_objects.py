import threading

import numpy as np
import pytest
from qtpy.QtCore import Qt
from skimage.data import coins

from napari_unsupseg import Segmenter, Settings, segment
from napari_unsupseg.plugin.object_editor import EditMode
from napari_unsupseg.plugin.session import View
from napari_unsupseg.regions import hierarchy

from ..conftest import SMALL
from .conftest import WAIT, click, on_canvas, wait_until_ready

COINS = coins()[::2, ::2]


@pytest.fixture
def results(viewer, panel, qtbot):
    """Return what can be done with a run on coins."""
    viewer.add_image(COINS, name="coins")
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    return panel.results


def find(qtbot, viewer, results):
    """Choose the view of objects, and return the layer once it is there."""
    click(qtbot, results.view_buttons.buttons[View.OBJECTS])
    qtbot.waitUntil(lambda: "coins objects" in viewer.layers, timeout=WAIT)
    return viewer.layers["coins objects"]


def test_objects_are_counted_and_redrawn_as_controls_move(viewer, panel, qtbot, results):
    section = results.objects_section
    layer = find(qtbot, viewer, results)
    expected = segment(COINS, objects=True, **SMALL)
    np.testing.assert_array_equal(layer.data, expected)
    assert panel.status.value == f"{expected.max()} objects"
    assert not viewer.layers["coins segmentation"].visible
    section.max_size.value = 400
    section.exclude_border.value = True
    section.split.value = 0.1
    other = segment(COINS, objects=True, split=0.1, max_size=400, exclude_border=True, **SMALL)
    qtbot.waitUntil(lambda: np.array_equal(layer.data, other), timeout=WAIT)
    assert layer.metadata["napari-unsupseg"]["max_size"] == 400
    qtbot.waitUntil(lambda: len(layer.features) == other.max(), timeout=WAIT)
    assert {"area", "eccentricity", "perimeter", "std_intensity"} <= set(layer.features)
    segmenter = Segmenter(Settings(**SMALL)).fit(COINS)
    scores = segmenter.hierarchy_.score_objects(other)["score"]
    np.testing.assert_allclose(layer.features["score"], scores)
    in_object = segmenter.labels_[other == 1]
    assert layer.features["cluster"][0] == np.bincount(in_object).argmax()
    assert len(viewer.layers) == 3


def test_objects_can_be_made_of_the_selected_clusters(viewer, panel, qtbot, results):
    section = results.objects_section
    layer = find(qtbot, viewer, results)
    before = layer.data.copy()
    results.clusters.table.clearSelection()
    section.foreground.value = "clusters"
    assert "select in the table" in panel.status.value
    np.testing.assert_array_equal(layer.data, before)
    results.clusters.table.selectRow(0)
    segmenter = Segmenter(Settings(**SMALL)).fit(COINS)
    chosen = segmenter.hierarchy_.objects(results.clusters.selected)
    qtbot.waitUntil(lambda: np.array_equal(layer.data, chosen), timeout=WAIT)


@pytest.fixture
def slow(monkeypatch):
    """Have a search wait until it is let go on."""
    go_on, find = threading.Event(), hierarchy.make_objects

    def find_later(*arguments, **options):
        assert go_on.wait(WAIT / 1000)
        return find(*arguments, **options)

    monkeypatch.setattr(hierarchy, "make_objects", find_later)
    return go_on


def test_a_control_moved_during_the_first_search_counts(viewer, panel, qtbot, results, slow):
    click(qtbot, results.view_buttons.buttons[View.OBJECTS])
    assert panel.status.value == "finding objects…"
    results.objects_section.max_size.value = 400
    slow.set()
    qtbot.waitUntil(lambda: "coins objects" in viewer.layers, timeout=WAIT)
    layer, expected = (
        viewer.layers["coins objects"],
        segment(COINS, objects=True, max_size=400, **SMALL),
    )
    qtbot.waitUntil(lambda: np.array_equal(layer.data, expected), timeout=WAIT)


def test_a_closed_panel_adds_no_layer(viewer, panel, qtbot, results, slow):
    click(qtbot, results.view_buttons.buttons[View.OBJECTS])
    results.leave_objects()
    slow.set()
    qtbot.waitUntil(lambda: not results._finder.is_searching, timeout=WAIT)
    qtbot.wait(100)
    assert "coins objects" not in viewer.layers


def test_other_selected_clusters_have_other_objects(viewer, panel, qtbot, results):
    layer = find(qtbot, viewer, results)
    results.clusters.table.selectRow(0)
    results.objects_section.foreground.value = "clusters"
    results.clusters.table.selectRow(1)
    hierarchy = Segmenter(Settings(**SMALL)).fit(COINS).hierarchy_
    expected = hierarchy.objects(results.clusters.selected)
    qtbot.waitUntil(lambda: np.array_equal(layer.data, expected), timeout=WAIT)


def test_clusters_changed_by_hand_are_taken_as_they_look(viewer, panel, qtbot, results):
    section, clusters = results.objects_section, viewer.layers["coins segmentation"]
    clusters.data = np.where(clusters.data > 3, 1, 2).astype(clusters.data.dtype)  # other numbers
    qtbot.waitUntil(lambda: results.clusters.table.rowCount() == 2, timeout=WAIT)
    layer = find(qtbot, viewer, results)
    results.clusters.table.selectRow(0)
    section.foreground.value = "clusters"
    hierarchy = Segmenter(Settings(**SMALL)).fit(COINS).hierarchy_
    expected = hierarchy.objects(clusters.data == 1)
    qtbot.waitUntil(lambda: np.array_equal(layer.data, expected), timeout=WAIT)
    assert layer.metadata["napari-unsupseg"]["foreground"] == "mask"
    click(qtbot, results.copy_button)
    assert "changed by hand" in panel.status.value


def test_strokes_can_say_what_objects_are(viewer, panel, qtbot, results):
    layer = find(qtbot, viewer, results)
    found = layer.data.copy()
    results.objects_section.foreground.value = "strokes"
    assert panel.status.value.startswith("press Mark and paint the first kind on some objects")
    click(qtbot, panel.strokes_button)
    assert panel.status.value.startswith("paint a few dabs on some objects, then on some backgr")
    strokes, place = viewer.layers["coins strokes"], np.argwhere(found == 1).mean(axis=0)
    strokes.paint(tuple(place), 1)
    missing = "draw on the ground with label 2"
    qtbot.waitUntil(lambda: missing in panel.status.value, timeout=WAIT)
    strokes.paint(tuple(np.argwhere(found == 0)[40]), 2)
    hierarchy = Segmenter(Settings(**SMALL)).fit(COINS).hierarchy_
    expected = hierarchy.objects(strokes=strokes.data)
    qtbot.waitUntil(lambda: "foreground" in layer.metadata["napari-unsupseg"], timeout=WAIT)
    np.testing.assert_array_equal(layer.data, expected)
    assert layer.data[tuple(place.astype(int))]
    assert viewer.layers.selection.active == strokes  # the brush stays in the user's hand
    assert layer.metadata["napari-unsupseg"]["foreground"] == "strokes"
    click(qtbot, results.copy_button)
    assert "made of strokes" in panel.status.value


def test_sizes_are_in_the_units_of_the_layer(viewer, panel, qtbot, results):
    layer, section = find(qtbot, viewer, results), results.objects_section
    assert section.min_size.label == "smallest (pixels)"
    section.max_size.value = 400
    expected = segment(COINS, objects=True, max_size=400, **SMALL)
    qtbot.waitUntil(lambda: np.array_equal(layer.data, expected), timeout=WAIT)
    image = viewer.layers["coins"]
    image.units, image.scale = ("um", "um"), (0.5, 0.2)
    assert section.max_size.label == "largest (µm²)"
    assert section.max_size.value == 40  # the same objects
    section.max_size.value = 30
    expected = segment(COINS, objects=True, max_size=300, **SMALL)
    qtbot.waitUntil(lambda: np.array_equal(layer.data, expected), timeout=WAIT)
    qtbot.waitUntil(lambda: "area_um2" in layer.features, timeout=WAIT)
    areas = layer.features["area_um2"]
    assert areas.max() <= 30


def test_an_image_without_objects_says_what_to_do(viewer, panel, qtbot):
    noise = np.random.default_rng(0).random((96, 96)).astype(np.float32)
    viewer.add_image(noise, name="coins")
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    layer = find(qtbot, viewer, panel.results)
    assert not layer.data.any()
    assert panel.status.value.startswith("no objects: nothing stands out")


def test_sizes_that_exclude_each_other_are_refused(viewer, panel, qtbot, results):
    find(qtbot, viewer, results)
    viewer.layers["coins"].units, viewer.layers["coins"].scale = ("um", "um"), (0.5, 0.5)
    results.objects_section.max_size.value = 10
    before = viewer.layers["coins objects"].data.copy()
    results.objects_section.min_size.value = 12.5  # while those up to 10 are looked for
    refusal = (
        "smallest is 12.50 µm² and largest 10.00 µm²: no object fits; the objects that are seen "
        "are those of before"
    )
    assert panel.status.value == refusal
    qtbot.waitUntil(lambda: not results._finder.is_searching, timeout=WAIT)
    qtbot.wait(100)
    assert panel.status.value == refusal
    np.testing.assert_array_equal(viewer.layers["coins objects"].data, before)
    results.objects_section.max_size.value = 0
    qtbot.waitUntil(lambda: panel.status.value.endswith("objects"), timeout=WAIT)


def test_no_count_of_other_clusters_stays_when_none_is_selected(viewer, panel, qtbot, results):
    layer = find(qtbot, viewer, results)
    results.clusters.table.selectRow(0)
    results.objects_section.foreground.value = "clusters"
    qtbot.waitUntil(lambda: "foreground" in layer.metadata["napari-unsupseg"], timeout=WAIT)
    results.clusters.table.clearSelection()
    assert panel.status.value.startswith("select in the table")
    assert panel.status.value.endswith("the objects that are seen are those of before")
    click(qtbot, results.view_buttons.buttons[View.CLUSTERS])
    click(qtbot, results.view_buttons.buttons[View.OBJECTS])
    assert panel.status.value.startswith("select in the table")


def test_clusters_whose_layer_was_removed_are_made_again(viewer, panel, qtbot, results):
    find(qtbot, viewer, results)
    expected = viewer.layers["coins segmentation"].data.copy()
    viewer.layers.remove("coins segmentation")
    results.objects_section.foreground.value = "clusters"
    layer = viewer.layers["coins segmentation"]
    np.testing.assert_array_equal(layer.data, expected)
    assert not layer.visible
    assert viewer.layers.selection.active == viewer.layers["coins objects"]
    assert results.clusters.table.rowCount() == len(np.unique(expected[expected > 0]))
    assert panel.status.value.startswith("select in the table")
    results.clusters.table.selectRow(0)
    objects = viewer.layers["coins objects"]
    qtbot.waitUntil(lambda: "foreground" in objects.metadata["napari-unsupseg"], timeout=WAIT)
    viewer.layers.remove("coins segmentation")
    said = "coins segmentation was removed: press Clusters to have it again"
    assert panel.status.value == said
    click(qtbot, results.view_buttons.buttons[View.CLUSTERS])
    assert viewer.layers["coins segmentation"].visible


def test_clusters_selected_in_another_view_count(viewer, panel, qtbot, results):
    layer = find(qtbot, viewer, results)
    results.clusters.table.selectRow(0)
    results.objects_section.foreground.value = "clusters"
    qtbot.waitUntil(lambda: "foreground" in layer.metadata["napari-unsupseg"], timeout=WAIT)
    click(qtbot, results.view_buttons.buttons[View.CLUSTERS])
    results.clusters.table.selectRow(1)
    click(qtbot, results.view_buttons.buttons[View.OBJECTS])
    expected = results.run.result.hierarchy.objects(results.clusters.selected)
    qtbot.waitUntil(lambda: np.array_equal(layer.data, expected), timeout=WAIT)


def test_an_edited_layer_counts_as_it_is_when_its_view_is_chosen_again(
    viewer, panel, qtbot, results
):
    layer = find(qtbot, viewer, results)
    layer.data_setitem(np.nonzero(layer.data == 1), 0)
    edited = f"{layer.data.max() - 1} objects"
    qtbot.waitUntil(lambda: panel.status.value == edited, timeout=WAIT)
    click(qtbot, results.view_buttons.buttons[View.CLUSTERS])
    click(qtbot, results.view_buttons.buttons[View.OBJECTS])
    assert panel.status.value == edited
    assert "coins objects [1]" not in viewer.layers


def test_the_script_finds_the_same_objects(viewer, panel, qtbot, results):
    layer = find(qtbot, viewer, results)
    results.objects_section.split.value = 0.2
    qtbot.waitUntil(lambda: "split" in layer.metadata["napari-unsupseg"], timeout=WAIT)
    click(qtbot, results.copy_button)
    from qtpy.QtWidgets import QApplication

    script = QApplication.clipboard().text()
    assert "objects = segmenter.hierarchy_.objects(split=0.2)" in script
    names = {}
    image_line = next(line for line in script.splitlines() if line.startswith("image = "))
    exec(
        script.replace(image_line, "image = COINS").replace("import napari\n", ""),
        {"COINS": COINS},
        names,
    )
    np.testing.assert_array_equal(names["objects"], layer.data)


def test_what_is_measured_is_shown_with_the_score_of_each_object(viewer, panel, qtbot, results):
    layer = find(qtbot, viewer, results)
    viewer.layers.selection.active = viewer.layers["coins"]
    viewer.window.resize(1270, 760)
    qtbot.wait(100)
    height = viewer.window._qt_window.height()
    click(qtbot, results.measurements_button)
    qtbot.wait(100)
    assert viewer.window._qt_window.height() == height, "it needs no more room than the panel"
    widget = viewer.window.dock_widgets["Measurements (napari-unsupseg)"]
    n_objects = int(layer.data.max())
    qtbot.waitUntil(
        lambda: widget.sentence.value == f"coins objects: {n_objects} objects", timeout=WAIT
    )
    hierarchy = Segmenter(Settings(**SMALL)).fit(COINS).hierarchy_
    scores = hierarchy.score_objects(layer.data)["score"]
    np.testing.assert_allclose(layer.features["score"], scores)
    click(qtbot, widget.doubtful_button)
    assert layer.selected_label == scores.argmin() + 1


def test_a_class_stays_when_other_objects_are_edited(viewer, panel, qtbot, results):
    layer = find(qtbot, viewer, results)
    click(qtbot, results.measurements_button)
    widget = viewer.window.dock_widgets["Measurements (napari-unsupseg)"]
    qtbot.waitUntil(lambda: widget.low.enabled, timeout=WAIT)
    middle = float(layer.features["area"].median())
    is_large = layer.features.set_index("index")["area"] >= middle
    widget.low.value = middle
    qtbot.waitUntil(lambda: f"{is_large.sum()} of" in widget.sentence.value, timeout=WAIT)
    widget.class_name.value = "large"
    click(qtbot, widget.class_button)
    [removed] = np.flatnonzero(is_large)[:1] + 1
    layer.data_setitem(np.nonzero(layer.data == removed), 0)
    qtbot.waitUntil(
        lambda: removed not in list(layer.features.get("index", [removed])), timeout=WAIT
    )
    expected = ["large" if is_large[label] else "" for label in layer.features["index"]]
    assert layer.features["class"].tolist() == expected
    assert "large" in expected


def test_colours_survive_a_search_for_alike_objects(viewer, panel, qtbot, results):
    layer = find(qtbot, viewer, results)
    own = layer.colormap
    click(qtbot, results.measurements_button)
    widget = viewer.window.dock_widgets["Measurements (napari-unsupseg)"]
    qtbot.waitUntil(lambda: widget.colour.enabled, timeout=WAIT)
    widget.colour.value = True
    editing = results.objects_section.editing
    click(qtbot, editing.buttons[EditMode.ALIKE])
    canvas = viewer.window._qt_viewer.canvas.native
    place = on_canvas(viewer, layer, np.argwhere(layer.data == 1)[9])
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=place)
    assert "like object 1" in editing.hint.value
    assert not widget.colour.value
    click(qtbot, editing.buttons[EditMode.ALIKE])
    assert layer.colormap is own


def test_objects_are_measured_in_other_images_that_are_chosen(viewer, panel, qtbot, results):
    layer = find(qtbot, viewer, results)
    viewer.add_image(COINS[:-1], name="smaller")
    menu = results.layers_button.menu
    menu.aboutToShow.emit()
    assert [action.isEnabled() for action in menu.actions()] == [False]
    viewer.add_image(COINS * 0.5, name="GFP")
    menu.aboutToShow.emit()
    assert [action.text() for action in menu.actions()] == ["GFP"]
    menu.actions()[0].trigger()
    qtbot.waitUntil(lambda: "mean_intensity_GFP" in layer.features, timeout=WAIT)
    features = layer.features
    np.testing.assert_allclose(features["mean_intensity_GFP"], features["mean_intensity_coins"] / 2)
    assert {"min_intensity_GFP", "max_intensity_GFP", "std_intensity_GFP"} <= set(features)
    assert "score" in features
    menu.aboutToShow.emit()
    assert menu.actions()[0].isChecked()
    menu.actions()[0].trigger()
    qtbot.waitUntil(lambda: "mean_intensity" in layer.features, timeout=WAIT)
