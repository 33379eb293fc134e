import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import Qt

from .conftest import WAIT, click, colour_of, wait_until_ready


@pytest.fixture
def clusters(viewer, panel, qtbot, rgb):
    """Return the list of a run's clusters."""
    viewer.add_image(rgb, name="tissue")
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    return panel.results.clusters


@pytest.fixture
def layer(clusters, viewer) -> Labels:
    """Return the layer of the clusters."""
    return viewer.layers["tissue segmentation"]


def text(clusters, line, column):
    return clusters.table.item(line, column).text()


def select(qtbot, clusters, *lines):
    """Click lines, with Ctrl from the second on."""
    clusters.table.clearSelection()
    for line in lines:
        item = clusters.table.item(line, 0)
        clusters.table.scrollToItem(item)
        qtbot.mouseClick(
            clusters.table.viewport(),
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.ControlModifier,
            clusters.table.visualItemRect(item).center(),
        )
    assert len(clusters.selected) == len(lines)


def test_each_cluster_has_a_line_with_its_colour_and_area(clusters, layer):
    areas = np.bincount(layer.data.ravel())
    labels = np.flatnonzero(areas)
    assert [text(clusters, line, 0) for line in range(clusters.table.rowCount())] == [
        str(label) for label in labels
    ]
    for line, label in enumerate(labels):
        assert text(clusters, line, 1).startswith(f"{areas[label]:,} (")
        swatch = colour_of(clusters.table.item(line, 0))
        np.testing.assert_allclose(swatch, layer.get_color(label), atol=0.03)


def test_a_small_cluster_is_not_said_to_have_nothing(qtbot, clusters, layer):
    largest = int(np.bincount(layer.data.ravel()).argmax())
    layer.data_setitem(np.nonzero(layer.data != largest), largest)
    layer.data_setitem((np.array([10]), np.array([10])), 77)
    qtbot.waitUntil(lambda: clusters.table.rowCount() == 2, timeout=WAIT)
    assert text(clusters, 1, 1).endswith(" (<1%)")
    assert text(clusters, 0, 1).endswith(" (100%)")


def test_a_click_selects_the_label(qtbot, clusters, layer):
    for line in (2, 0):
        select(qtbot, clusters, line)
        assert layer.selected_label == int(text(clusters, line, 0))


def test_two_are_merged_and_it_is_undone(qtbot, clusters, layer):
    before = layer.data.copy()
    first, _, third = np.unique(before)[:3]
    assert not clusters.merge_button.enabled
    select(qtbot, clusters, 0, 2)
    click(qtbot, clusters.merge_button)
    expected = np.where(before == third, first, before)
    np.testing.assert_array_equal(layer.data, expected)
    assert clusters.table.rowCount() == len(np.unique(expected))
    layer.paint((10, 10), 77)  # and what is painted meanwhile stays
    click(qtbot, clusters.undo_button)
    painted = layer.data == 77
    assert painted.any()
    np.testing.assert_array_equal(layer.data[~painted], before[~painted])
    assert not clusters.undo_button.enabled


def test_one_becomes_background_and_the_table_of_regions_follows(qtbot, clusters, layer):
    before = layer.data.copy()
    first = before.min()
    select(qtbot, clusters, 0)
    click(qtbot, clusters.background_button)
    np.testing.assert_array_equal(layer.data, np.where(before == first, 0, before))
    assert text(clusters, 0, 0) != str(first)
    qtbot.waitUntil(lambda: len(layer.features) > 0, timeout=WAIT)
    assert first not in layer.features["index"].tolist()
    click(qtbot, clusters.undo_button)
    np.testing.assert_array_equal(layer.data, before)


def test_one_is_hidden_and_shown(qtbot, clusters, layer):
    before = layer.data.copy()
    label, other = (int(text(clusters, line, 0)) for line in (1, 2))
    colours = [layer.get_color(which).tolist() for which in (label, other)]
    select(qtbot, clusters, 1)
    click(qtbot, clusters.hide_button)
    assert layer.get_color(label)[3] == 0
    np.testing.assert_allclose(layer.get_color(other), colours[1])
    np.testing.assert_array_equal(layer.data, before)
    select(qtbot, clusters, 1)
    assert clusters.hide_button.text == "Show"
    click(qtbot, clusters.hide_button)
    np.testing.assert_allclose(layer.get_color(label), colours[0])
    click(qtbot, clusters.undo_button)
    assert layer.get_color(label)[3] == 0


def test_colours_that_napari_shuffles_are_those_of_the_list_and_hide_nothing(
    qtbot, clusters, layer
):
    label = int(text(clusters, 1, 0))
    select(qtbot, clusters, 1)
    click(qtbot, clusters.hide_button)
    hiding = layer.colormap
    layer.new_colormap()
    item = clusters.table.item(1, 0)
    np.testing.assert_allclose(colour_of(item), layer.get_color(label), atol=0.03)
    assert not item.font().strikeOut()
    layer.colormap = hiding  # as what colours objects for a while gives it back
    assert clusters.table.item(1, 0).font().strikeOut()


def test_what_is_hidden_is_shown_when_the_run_goes_on(qtbot, panel, clusters, layer):
    label = int(text(clusters, 0, 0))
    select(qtbot, clusters, 0)
    click(qtbot, clusters.hide_button)
    click(qtbot, panel.continue_button)
    assert layer.get_color(label)[3] == 1
    wait_until_ready(qtbot, panel)


def test_what_is_painted_is_counted_and_measured(qtbot, clusters, layer):
    first, second = (int(text(clusters, line, 0)) for line in (0, 1))
    select(qtbot, clusters, 1)
    layer.data_setitem(np.nonzero(layer.data == second), first)
    n_painted = np.count_nonzero(layer.data == first)
    qtbot.waitUntil(lambda: text(clusters, 0, 1).startswith(f"{n_painted:,} "), timeout=WAIT)
    assert text(clusters, 1, 0) != str(second)
    qtbot.waitUntil(lambda: len(layer.features) > 0, timeout=WAIT)
    assert layer.features["area"].tolist()[0] == n_painted
    layer.undo()
    qtbot.waitUntil(lambda: text(clusters, 1, 0) == str(second), timeout=WAIT)


def test_a_selection_outlives_a_stroke(qtbot, clusters, layer):
    select(qtbot, clusters, 0, 1)
    selected, before = clusters.selected, text(clusters, 2, 1)
    layer.paint((10, 10), int(text(clusters, 2, 0)))
    qtbot.waitUntil(lambda: text(clusters, 2, 1) != before, timeout=WAIT)
    assert clusters.selected == selected


def test_names_are_in_the_table_of_features(qtbot, viewer, clusters, layer):
    qtbot.waitUntil(lambda: len(layer.features) > 0, timeout=WAIT)
    labels = [int(text(clusters, line, 0)) for line in range(3)]
    clusters.table.item(1, 2).setText("stroma")

    def name_of(label):
        if "name" not in layer.features:
            return None
        return layer.features.set_index("index")["name"][label]

    assert name_of(labels[1]) == "stroma"
    assert name_of(labels[0]) == ""
    select(qtbot, clusters, 0, 1)
    click(qtbot, clusters.merge_button)
    qtbot.waitUntil(lambda: name_of(labels[0]) == "stroma", timeout=WAIT)
    click(qtbot, clusters.undo_button)
    qtbot.waitUntil(lambda: name_of(labels[1]) == "stroma", timeout=WAIT)
    assert name_of(labels[0]) == ""
    click(qtbot, clusters.undo_button)
    qtbot.waitUntil(lambda: len(layer.features) > 0, timeout=WAIT)
    assert "name" not in layer.features


def test_named_clusters_are_not_lost_when_the_run_goes_on(qtbot, panel, viewer, clusters, layer):
    clusters.table.item(0, 2).setText("stroma")
    label = int(text(clusters, 0, 0))
    click(qtbot, panel.continue_button)
    wait_until_ready(qtbot, panel)
    assert layer.metadata["napari-unsupseg"]["names"] == {label: "stroma"}
    assert "tissue segmentation [1]" in viewer.layers


def test_names_are_kept_with_the_layer(qtbot, clusters, layer):
    label = int(text(clusters, 1, 0))
    clusters.table.item(1, 2).setText("stroma")
    assert layer.metadata["napari-unsupseg"]["names"] == {label: "stroma"}
    select(qtbot, clusters, 0, 1)
    click(qtbot, clusters.merge_button)
    assert text(clusters, 0, 2) == "stroma"
    click(qtbot, clusters.undo_button)
    click(qtbot, clusters.undo_button)
    assert layer.metadata["napari-unsupseg"]["names"] == {}


def test_merged_clusters_are_not_lost_when_the_run_goes_on(qtbot, panel, viewer, clusters, layer):
    select(qtbot, clusters, 0, 1)
    click(qtbot, clusters.merge_button)
    kept = layer.data.copy()
    click(qtbot, panel.continue_button)
    wait_until_ready(qtbot, panel)
    np.testing.assert_array_equal(layer.data, kept)
    assert "tissue segmentation [1]" in viewer.layers
