"""The table of a layer's regions is true to what the layer shows."""

import numpy as np
import pytest

from napari_unsupseg.plugin.session import View
from napari_unsupseg.regions.measure import measure_regions

from .conftest import choose, click, labels_of, wait_until_ready

WAIT = 6_000


def wait_for_table(qtbot, layer, image):
    """Wait until a layer has the table of its labels, and compare the table."""
    labels = [label for label in np.unique(layer.data).tolist() if label]
    areas = np.bincount(layer.data.ravel())[labels].tolist()

    def is_true() -> bool:
        table = layer.features
        has_labels = "index" in table and table["index"].tolist() == labels
        return has_labels and table["area"].tolist() == areas

    qtbot.waitUntil(is_true, timeout=WAIT)
    expected = measure_regions(layer.data, image[None])
    np.testing.assert_allclose(layer.features["mean_intensity"], expected["mean_intensity"])


@pytest.fixture
def clusters(viewer, panel, qtbot, grey):
    """Return the layer of a run's clusters, measured."""
    viewer.add_image(grey, name="coins")
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    layer = labels_of(viewer)
    wait_for_table(qtbot, layer, grey)
    return layer


@pytest.fixture
def segments(viewer, panel, clusters, qtbot, grey):
    """Return the layer of a run's segments, measured."""
    choose(qtbot, panel, View.SEGMENTS)
    panel.results.granularity.value = 0.4
    layer = viewer.layers["coins segments"]
    wait_for_table(qtbot, layer, grey)
    return layer


def paint(layer):
    layer.paint((5, 5), 19)


def fill(layer):
    layer.fill((5, 5), int(layer.data[5, 5]), 18)


def erase(layer):
    layer.data_setitem(np.nonzero(layer.data == layer.data.max()), 0)


def undo(layer):
    erase(layer)
    layer.undo()


def replace(layer):
    layer.data = np.where(layer.data == 2, 1, layer.data)


def write_in_place(layer):
    layer.data[layer.data == 2] = 0
    layer.refresh()


EDITS = [paint, fill, erase, undo, replace, write_in_place]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
@pytest.mark.parametrize("kind", ["clusters", "segments"])
def test_a_table_follows_every_edit(request, panel, qtbot, grey, kind, edit):
    layer = request.getfixturevalue(kind)
    edit(layer)
    wait_for_table(qtbot, layer, grey)
    table = panel.results.clusters
    shown = [int(table.table.item(line, 0).text()) for line in range(table.table.rowCount())]
    areas = np.bincount(panel.results.layers.snapshot(View.CLUSTERS).layer.data.ravel())
    assert shown == [label for label in np.flatnonzero(areas) if label]


@pytest.mark.parametrize("button", ["merge_button", "background_button"])
def test_a_table_follows_the_clusters_and_so_does_the_status(panel, qtbot, grey, clusters, button):
    before = panel.status.value
    table = panel.results.clusters
    table.table.selectAll()
    n_labels = 1 if button == "merge_button" else 0
    click(qtbot, getattr(table, button))
    said = {1: "1 cluster", 0: "0 clusters"}
    qtbot.waitUntil(lambda: panel.status.value == said[n_labels], timeout=WAIT)
    wait_for_table(qtbot, clusters, grey)
    click(qtbot, table.undo_button)
    qtbot.waitUntil(lambda: panel.status.value == before, timeout=WAIT)
    wait_for_table(qtbot, clusters, grey)


def test_both_layers_are_measured_when_granularity_moves_at_the_end_of_a_run(
    viewer, panel, qtbot, grey
):
    viewer.add_image(grey, name="coins")
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    panel.results.granularity.value = 0.4  # before anything has been measured
    for name in ("coins segmentation", "coins segments"):
        wait_for_table(qtbot, viewer.layers[name], grey)


def test_a_slider_that_returns_leaves_no_empty_table(viewer, panel, qtbot, grey, segments):
    shown = panel.results.granularity.value
    for value in (0.9, shown):
        panel.results.granularity.value = value
    wait_for_table(qtbot, segments, grey)


def test_layers_of_earlier_runs_keep_a_true_table(viewer, panel, qtbot, grey, clusters):
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    erase(clusters)
    wait_for_table(qtbot, clusters, grey)
    wait_for_table(qtbot, viewer.layers["coins segmentation [1]"], grey)


def test_a_run_whose_image_gets_other_data_ends_with_a_table_of_its_own_pixels(
    viewer, panel, qtbot, grey, notes
):
    image = viewer.add_image(grey, name="coins")
    panel.settings["iterations"].value = 100_000
    click(qtbot, panel.run_button)
    qtbot.waitUntil(lambda: panel.progress.value >= 3, timeout=WAIT)
    image.data = np.zeros((3, 20, 30), np.uint8)  # nobody knows what its first axis is
    qtbot.waitUntil(lambda: "clusters after" in panel.status.value, timeout=WAIT)
    ending = "; coins has other pixels since: press Run to segment them"
    assert panel.results.heading.value.endswith(ending)
    assert not panel.run_button.enabled
    layer = labels_of(viewer)
    assert layer.data.shape == grey.shape
    wait_for_table(qtbot, layer, grey)
    assert not panel.continue_button.enabled
    assert not panel.start_over_button.enabled
    assert not panel.results.granularity.enabled
    assert panel.axes.visible
    assert not notes


@pytest.mark.parametrize("moment", ["during the run", "after its end"])
def test_calibration_reaches_clusters_and_segments_alike(viewer, panel, qtbot, grey, moment):
    image = viewer.add_image(grey, name="coins")
    click(qtbot, panel.run_button)
    if moment == "after its end":
        wait_until_ready(qtbot, panel)
        panel.results.granularity.value = 0.6
    image.scale, image.units = (0.5, 0.25), ("um", "um")
    wait_until_ready(qtbot, panel)
    panel.results.granularity.value = 0.4
    for name in ("coins segmentation", "coins segments"):
        layer = viewer.layers[name]
        np.testing.assert_array_equal(layer.scale, (0.5, 0.25))
        qtbot.waitUntil(lambda layer=layer: "area_um2" in layer.features, timeout=WAIT)
        areas = np.bincount(layer.data.ravel())
        expected = areas[areas > 0] * 0.125
        assert layer.features["area_um2"].tolist() == pytest.approx(expected.tolist())


def test_planes_of_several_times_have_a_table(viewer, panel, qtbot, grey):
    movie = np.stack([[grey, grey], [grey, grey]])
    viewer.add_image(movie, name="movie", axis_labels=("t", "z", "y", "x"))
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    layer = labels_of(viewer)
    qtbot.waitUntil(lambda: "index" in layer.features, timeout=WAIT)
    assert sorted(set(layer.features["index"])) == np.unique(layer.data).tolist()


def test_a_layer_that_is_removed_leaves_no_lines(viewer, panel, clusters):
    assert panel.results.clusters.table.rowCount() > 0
    viewer.layers.remove(clusters)
    assert panel.results.clusters.table.rowCount() == 0
