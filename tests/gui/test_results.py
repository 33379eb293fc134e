import gc
import json
import weakref

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QLabel, QSlider

from napari_unsupseg import Segmenter, Settings, segment
from napari_unsupseg.image.axes import axes_from_channel
from napari_unsupseg.plugin.session import View
from napari_unsupseg.plugin.view_layers import MAX_RUNS
from napari_unsupseg.regions.hierarchy import Hierarchy

from ..conftest import SMALL
from .conftest import WAIT, choose, click, labels_of, wait_until_ready


def test_granularity_cuts_the_last_run_at_once(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb, name="tissue")
    assert not panel.results.granularity.enabled
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    clusters = labels_of(viewer).data.copy()
    assert panel.results.granularity.enabled
    numbers = []
    for level in (0.2, 0.6, 1.0):
        panel.results.granularity.value = level
        segments = viewer.layers["tissue segments"]
        np.testing.assert_array_equal(segments.data, segment(rgb, granularity=level, **SMALL))
        assert segments.metadata["napari-unsupseg"]["granularity"] == level
        numbers.append(segments.data.max())
    assert numbers[0] > numbers[1] > numbers[2] == 1
    assert panel.status.value == "1 segment"
    assert len(viewer.layers) == 3
    panel.results.granularity.value = 0.2
    panel.results.smallest.value = 50
    assert np.bincount(segments.data.ravel())[1:].min() >= 50
    assert segments.data.max() < numbers[0]
    assert segments.metadata["napari-unsupseg"]["min_size"] == 50
    np.testing.assert_array_equal(viewer.layers["tissue segmentation"].data, clusters)


def test_ticks_of_granularity_are_levels_worth_looking_at(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb, name="tissue")
    slider = panel.results.granularity
    bar = slider.native.findChild(QSlider)
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    choose(qtbot, panel, View.SEGMENTS)
    hierarchy = Segmenter(Settings(**SMALL)).fit(rgb).hierarchy_
    ticks = hierarchy.representative_granularities().tolist()
    assert len(ticks) == 5
    slider.value = 0.0
    bar.setFocus()
    stops = []
    for key, times in ((Qt.Key.Key_PageUp, 7), (Qt.Key.Key_PageDown, 7)):
        for _ in range(times):
            qtbot.keyClick(bar, key)
            stops.append(slider.value)
    assert stops == pytest.approx([*ticks, 1, 1, *ticks[::-1], 0, 0])
    shown = viewer.layers["tissue segments"].data
    np.testing.assert_array_equal(shown, hierarchy.cut(granularity=0))

    # they are drawn below the groove, where a click on one goes to it, from the other side too
    qtbot.waitUntil(lambda: bar.height() > 0, timeout=WAIT)  # laid out
    picture = bar.grab().toImage()
    lowest = [picture.pixelColor(x, picture.height() - 2).lightness() for x in range(bar.width())]
    is_tick = np.array(lowest) > 128
    [starts] = np.nonzero(is_tick & ~np.roll(is_tick, 1))
    assert len(starts) == 5
    width = bar.width() - 16  # of napari's handle
    np.testing.assert_allclose((starts - 7) / width, ticks, atol=3 / width)
    for index in (3, 1):
        place = QPoint(int(starts[index]) + 3, bar.height() // 2)
        qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=place)
        assert slider.value == pytest.approx(ticks[index])
    # a click elsewhere on the groove is a page
    qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=QPoint(bar.width() - 2, bar.height() // 2))
    assert slider.value == pytest.approx(ticks[2])
    assert "Page Up" in slider.tooltip


def test_history_shows_an_earlier_iteration(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb, name="tissue")
    assert not panel.results.history.enabled
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    labels = labels_of(viewer)
    last = labels.data.copy()
    assert panel.results.history.enabled
    assert (
        panel.results.history.value == panel.results.history.max == 4
    )  # of the iterations 1, 2, 4, 6, 8
    panel.results.history.value = 2
    np.testing.assert_array_equal(labels.data, segment(rgb, **SMALL | {"iterations": 4}))
    assert panel.status.value == f"{len(np.unique(labels.data))} clusters at iteration 4"
    assert labels.metadata["napari-unsupseg"]["iterations"] == 4
    json.dumps(labels.metadata["napari-unsupseg"])  # what a file says of it
    panel.results.history.value = 4
    np.testing.assert_array_equal(labels.data, last)
    labels.paint((10, 10), 77)
    panel.results.history.value = 0
    assert labels.data[10, 10] == 77
    new = viewer.layers["tissue segmentation [1]"]
    np.testing.assert_array_equal(new.data, segment(rgb, **SMALL | {"iterations": 1}))


def test_history_keeps_to_its_memory(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb)
    panel.history_memory.value = 0
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    assert panel.results.history.max == 1
    panel.results.history.value = 0
    assert panel.status.value.endswith("at iteration 1")


@pytest.mark.parametrize(
    ("scale", "unit", "area", "centroid"),
    [
        pytest.param((1, 1), "pixel", "area", "centroid_y", id="pixels"),
        pytest.param((0.5, 2), "um", "area_um2", "centroid_y_um", id="micrometres"),
    ],
)
@pytest.mark.parametrize("channel_axis", [None, 0, 2], ids=["RGB", "first", "last"])
def test_layers_have_a_table_of_their_regions(
    viewer, panel, qtbot, rgb, scale, unit, area, centroid, channel_axis
):
    ndim = 2 if channel_axis is None else 3
    viewer.add_image(
        np.moveaxis(rgb, -1, channel_axis or 2),
        rgb=channel_axis is None,
        units=(unit,) * ndim,
        scale=scale if ndim == 2 else np.insert(np.array(scale, float), channel_axis, 1),
        name="tissue",
    )
    if channel_axis is not None:
        panel.axes.value = axes_from_channel(viewer.layers["tissue"].data.shape, channel_axis)
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    for level in (None, 0.2, 0.6):
        if level is not None:
            panel.results.granularity.value = level
        layer = viewer.layers["tissue segments" if level else "tissue segmentation"]
        qtbot.waitUntil(lambda layer=layer: len(layer.features) > 0, timeout=WAIT)
        labels = layer.data.take(0, channel_axis) if channel_axis == 2 else layer.data
        areas = np.bincount(labels.ravel())
        assert layer.features["index"].tolist() == np.flatnonzero(areas).tolist()
        expected = areas[areas > 0] * np.prod(scale)
        np.testing.assert_allclose(layer.features[area], expected)
        assert layer.features[centroid].iloc[0] == pytest.approx(
            np.nonzero(labels == 1)[0].mean() * scale[0]
        )
        assert "mean_intensity_2" in layer.features


def test_segments_of_which_the_layer_is_gone_are_made_again(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb, name="tissue")
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    panel.results.granularity.value = 0.4
    qtbot.wait(200)  # vispy cannot draw what is gone before it was drawn once
    viewer.layers.remove("tissue segments")
    panel.results.granularity.value = 0.7
    assert viewer.layers["tissue segments"].data.max() >= 1


def test_more_segments_than_two_bytes_can_count_stay_apart(viewer, panel, qtbot, rgb, monkeypatch):
    viewer.add_image(rgb, name="tissue")
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    segments = np.arange(1, 1 + rgb[..., 0].size, dtype=np.uint32).reshape(rgb.shape[:2]) + 2**16
    monkeypatch.setattr(Hierarchy, "cut", lambda *_, **__: segments)
    panel.results.granularity.value = 0
    np.testing.assert_array_equal(viewer.layers["tissue segments"].data, segments)


def test_how_uncertain_clusters_are_is_an_image_beside_them(viewer, panel, qtbot, rgb):
    image = viewer.add_image(rgb, name="tissue", scale=(0.5, 0.5), units="um")
    assert not panel.results.uncertainty_button.enabled
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    active = viewer.layers.selection.active
    click(qtbot, panel.results.uncertainty_button)
    qtbot.waitUntil(lambda: "tissue uncertainty" in viewer.layers, timeout=WAIT)
    layer = viewer.layers["tissue uncertainty"]
    expected = Segmenter(Settings(**SMALL)).fit(rgb).uncertainty()
    np.testing.assert_array_equal(layer.data, expected)
    assert tuple(layer.scale) == (0.5, 0.5)
    assert viewer.layers.selection.active is active
    assert panel.image.value is image
    image.scale = (2, 2)
    assert tuple(layer.scale) == (2, 2)


def test_results_say_which_image_they_are_of(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb, name="tissue")
    other = viewer.add_image(rgb[::2], name="other")
    for name in ("other", "tissue"):
        panel.image.value = viewer.layers[name]
        click(qtbot, panel.run_button)
        wait_until_ready(qtbot, panel)
    panel.image.value = other
    assert panel.results.heading.native.isVisible()
    assert panel.results.heading.value == "Run on tissue, in the layer tissue segmentation"
    viewer.layers["tissue"].name = "kidney"
    viewer.layers["tissue segmentation"].name = "glomeruli"
    assert panel.results.heading.value == "Run on kidney, in the layer glomeruli"


def test_choosing_a_layer_chooses_its_run(viewer, panel, qtbot, rgb, grey):
    levels, runs, results = {"tissue": 0.3, "coins": 0.6}, {}, panel.results
    for name, image in (("tissue", rgb), ("coins", grey)):
        panel.image.value = viewer.add_image(image, name=name)
        click(qtbot, panel.run_button)
        wait_until_ready(qtbot, panel)
        choose(qtbot, panel, View.OBJECTS)
        choose(qtbot, panel, View.SEGMENTS)
        results.granularity.value = levels[name]
        runs[name] = results.run
    objects = viewer.layers["tissue objects"].data.copy()
    for name, kind in (
        ("tissue", "segments"),
        ("coins", "segmentation"),
        ("tissue", "objects"),
        ("coins", "segments"),
        ("tissue", "segments"),
    ):
        is_of_other = results.run is not runs[name]
        layer = viewer.layers[f"{name} {kind}"]
        viewer.layers.selection.active = layer
        assert results.run is runs[name]
        assert results.heading.value == f"Run on {name}, in the layer {name} {kind}"
        assert results.layers.snapshot(results.layers.view).layer is layer
        assert panel.image.value is viewer.layers[name]
        assert results.granularity.value == levels[name]
        n_labels = np.count_nonzero(np.unique(layer.data))
        assert panel.status.value.startswith(f"{n_labels} "), "of this run, not of the other"
        assert layer.visible or not is_of_other, "a later run has hidden it"
    np.testing.assert_array_equal(viewer.layers["tissue objects"].data, objects)
    results.granularity.value = 0.1
    cut = runs["tissue"].result.hierarchy.cut(granularity=0.1)
    np.testing.assert_array_equal(viewer.layers["tissue segments"].data, cut)

    # the run goes on in its layers, which show it from then on
    click(qtbot, panel.continue_button)
    wait_until_ready(qtbot, panel)
    assert {layer.name for layer in viewer.layers if layer.visible} == {
        "tissue",
        "coins",
        "tissue segmentation",
    }
    continued = results.run
    assert continued.result.segmenter is runs["tissue"].result.segmenter
    viewer.layers.selection.active = viewer.layers["coins"]
    assert results.run is runs["coins"]
    assert results.layers.view is View.SEGMENTS
    viewer.layers.selection.active = viewer.layers["tissue segments"]
    assert results.run is continued
    results.granularity.value = 0.2
    cut = continued.result.hierarchy.cut(granularity=0.2)
    np.testing.assert_array_equal(viewer.layers["tissue segments"].data, cut)
    assert len(viewer.layers) == 8, "no layer more"


def test_the_last_runs_are_kept_and_the_memory_of_others_is_free(viewer, panel, qtbot, rgb):
    images = [viewer.add_image(rgb[: 40 + at], name=f"image {at}") for at in range(MAX_RUNS + 1)]
    networks = []
    for image in images:
        panel.image.value = image
        click(qtbot, panel.run_button)
        wait_until_ready(qtbot, panel)
        networks.append(weakref.ref(panel.results.run.result.segmenter))
    gc.collect()
    assert [network() is None for network in networks] == [True] + MAX_RUNS * [False]
    viewer.layers.selection.active = viewer.layers["image 0 segmentation"]
    assert panel.results.run.image is images[-1]
    qtbot.wait(200)  # vispy cannot draw what is gone before it was drawn once
    viewer.layers.remove("image 1 segmentation")
    click(qtbot, panel.start_over_button)  # in the layer of the last run, which is no more
    wait_until_ready(qtbot, panel)
    gc.collect()
    assert [network() is None for network in networks[-2:]] == [False, True]
    assert networks[1]() is None


def test_a_panel_that_is_closed_and_opened_again_knows_its_run(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb, name="tissue")
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    choose(qtbot, panel, View.SEGMENTS)
    panel.native.parent().destroyOnClose()  # as the cross of the dock does
    qtbot.wait(100)
    assert not panel.native.isVisible()
    _, opened = viewer.window.add_plugin_dock_widget("napari-unsupseg")
    assert opened is panel
    qtbot.waitUntil(panel.native.isVisible, timeout=WAIT)
    panel.results.granularity.value = 0.2
    hierarchy = panel.results.run.result.hierarchy
    segments = viewer.layers["tissue segments"]
    np.testing.assert_array_equal(segments.data, hierarchy.cut(granularity=0.2))
    click(qtbot, panel.continue_button)
    wait_until_ready(qtbot, panel)
    assert len(viewer.layers) == 3


def test_measurements_are_a_tab_beside_the_panel(viewer, qtbot):
    viewer.window.add_dock_widget(QLabel("another"), name="another", area="right")
    beside, _ = viewer.window.add_plugin_dock_widget("napari-unsupseg")
    viewer.window.add_dock_widget(QLabel("a third"), name="a third", area="right")
    dock, widget = viewer.window.add_plugin_dock_widget("napari-unsupseg", "Measurements")
    window = dock.parent()
    qtbot.waitUntil(lambda: window.tabifiedDockWidgets(beside) == [dock], timeout=WAIT)
    assert widget.native.isVisible(), "it is in front"
    # and what is docked below leaves both their height
    viewer.window.resize(1280, 800)
    viewer.window.add_plugin_dock_widget("napari", "Features table widget")
    qtbot.waitUntil(lambda: 380 <= widget.native.height() < 500, timeout=WAIT)


def test_an_image_goes_on_when_the_panel_is_gone(viewer, panel, qtbot, rgb):
    image = viewer.add_image(rgb, name="tissue")
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    with qtbot.waitSignal(panel.native.destroyed):
        viewer.window.remove_dock_widget("all")
        panel.native.deleteLater()
    image.name, image.scale = "kidney", (2, 2)
    assert tuple(viewer.layers["tissue segmentation"].scale) == (2, 2)
