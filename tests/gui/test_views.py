"""Clusters, segments and objects of a run, one at a time."""

import numpy as np
import pytest
from skimage.data import coins

from napari_unsupseg import segment
from napari_unsupseg.plugin.labels_layers import give_class
from napari_unsupseg.plugin.session import View

from ..conftest import SMALL
from .conftest import WAIT, choose, click, wait_until_ready

COINS = coins()[::2, ::2]


@pytest.fixture
def ended(viewer, panel, qtbot):
    """Return the panel after a run on coins."""
    viewer.add_image(COINS, name="coins")
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    return panel


def seen(viewer):
    """Return the names of the Labels layers that are visible."""
    return {layer.name for layer in viewer.layers if layer.visible} - {"coins"}


def controls(panel):
    """Return which controls of views are on the screen."""
    results = panel.results
    known = {
        "table": results.clusters,
        "history": results.history,
        "granularity": results.granularity,
        "smallest": results.smallest,
        "split": results.objects_section.split,
    }
    return {name for name, control in known.items() if control.native.isVisible()}


def test_each_view_is_made_when_first_chosen_and_alone_is_seen(viewer, ended, qtbot):
    assert seen(viewer) == {"coins segmentation"}
    assert controls(ended) == {"table", "history"}
    said = ended.status.value
    choose(qtbot, ended, View.SEGMENTS)
    segments = viewer.layers["coins segments"]
    np.testing.assert_array_equal(segments.data, segment(COINS, granularity=0.5, **SMALL))
    assert seen(viewer) == {"coins segments"}
    assert viewer.layers.selection.active == segments
    assert controls(ended) == {"granularity", "smallest"}
    choose(qtbot, ended, View.OBJECTS)
    objects = viewer.layers["coins objects"]
    assert seen(viewer) == {"coins objects"}
    assert viewer.layers.selection.active == objects
    assert ended.status.value == f"{objects.data.max()} objects"
    assert controls(ended) == {"split"}
    choose(qtbot, ended, View.CLUSTERS)
    assert seen(viewer) == {"coins segmentation"}
    assert ended.status.value == said
    assert len(viewer.layers) == 4


def test_what_is_shown_or_hidden_by_hand_stays_so(viewer, ended, qtbot):
    choose(qtbot, ended, View.SEGMENTS)
    viewer.layers["coins segmentation"].visible = True
    viewer.layers["coins segments"].visible = False
    ended.results.granularity.value = 0.2
    assert seen(viewer) == {"coins segmentation"}
    choose(qtbot, ended, View.SEGMENTS)  # its button is down already, and shows it again
    assert seen(viewer) == {"coins segments"}


@pytest.mark.parametrize("button", ["run_button", "start_over_button", "continue_button"])
def test_nothing_of_a_run_lies_over_the_next_one(viewer, ended, qtbot, button):
    choose(qtbot, ended, View.SEGMENTS)
    choose(qtbot, ended, View.OBJECTS)
    click(qtbot, getattr(ended, button))
    of_the_run = ended._session.run.labels
    assert seen(viewer) == {of_the_run.name}
    assert controls(ended) == {"table", "history"}
    wait_until_ready(qtbot, ended)
    assert seen(viewer) == {of_the_run.name}
    before = viewer.layers["coins segments"].data.copy()
    choose(qtbot, ended, View.SEGMENTS)
    shown = viewer.layers.selection.active
    assert seen(viewer) == {shown.name}
    is_continued = button == "continue_button"
    assert (shown.name == "coins segments") == is_continued
    expected = ended.results.run.result.hierarchy.cut(granularity=0.5)
    np.testing.assert_array_equal(shown.data, expected)
    assert is_continued or (viewer.layers["coins segments"].data == before).all()


def test_a_run_that_leaves_nothing_shows_the_run_before_again(viewer, ended, qtbot):
    choose(qtbot, ended, View.OBJECTS)
    click(qtbot, ended.run_button)
    viewer.layers.remove(ended._session.run.labels)
    wait_until_ready(qtbot, ended)
    assert seen(viewer) == {"coins segmentation"}
    assert controls(ended) == {"table", "history"}


def test_a_view_whose_layer_was_removed_is_made_again(viewer, ended, qtbot):
    expected = viewer.layers["coins segmentation"].data.copy()
    choose(qtbot, ended, View.SEGMENTS)
    qtbot.wait(200)  # vispy cannot draw what is gone before it was drawn once
    viewer.layers.remove("coins segmentation")
    choose(qtbot, ended, View.CLUSTERS)
    np.testing.assert_array_equal(viewer.layers["coins segmentation"].data, expected)
    assert ended.results.clusters.table.rowCount() == len(np.unique(expected[expected > 0]))


def test_objects_that_come_when_another_view_is_chosen_are_not_seen(viewer, ended, qtbot):
    click(qtbot, ended.results.view_buttons.buttons[View.OBJECTS])
    choose(qtbot, ended, View.SEGMENTS)
    qtbot.waitUntil(lambda: "coins objects" in viewer.layers, timeout=WAIT)
    assert seen(viewer) == {"coins segments"}
    assert viewer.layers.selection.active == viewer.layers["coins segments"]


def name_first_cluster(panel, layer):
    panel.results.clusters.table.item(0, 2).setText("ground")


def class_first_cluster(panel, layer):
    give_class(layer, [int(layer.data.min())], "ground")


@pytest.mark.parametrize(
    ("call", "key", "column"),
    [
        pytest.param(name_first_cluster, "names", "name", id="name"),
        pytest.param(class_first_cluster, "classes", "class", id="class"),
    ],
)
def test_what_clusters_are_called_stays_with_them(viewer, ended, qtbot, call, key, column):
    clusters = viewer.layers["coins segmentation"]
    qtbot.waitUntil(lambda: "index" in clusters.features, timeout=WAIT)
    call(ended, clusters)
    choose(qtbot, ended, View.SEGMENTS)
    choose(qtbot, ended, View.OBJECTS)
    for name in ("coins segments", "coins objects"):
        layer = viewer.layers[name]
        qtbot.waitUntil(lambda layer=layer: "index" in layer.features, timeout=WAIT)
        assert key not in layer.metadata["napari-unsupseg"]
        assert column not in layer.features
    n_layers = len(viewer.layers)
    choose(qtbot, ended, View.SEGMENTS)
    ended.results.granularity.value = 0.2  # goes on in the layer, which nobody has changed
    assert len(viewer.layers) == n_layers
    assert ended.status.value.endswith("segments")
    assert list(clusters.metadata["napari-unsupseg"][key].values()) == ["ground"]
    assert "ground" in clusters.features[column].tolist()


def test_objects_that_were_given_a_class_are_kept(viewer, ended, qtbot):
    choose(qtbot, ended, View.OBJECTS)
    layer = viewer.layers["coins objects"]
    qtbot.waitUntil(lambda: "index" in layer.features, timeout=WAIT)
    give_class(layer, [1], "")  # none is no class
    ended.results.objects_section.split.value = 0
    qtbot.waitUntil(lambda: "split" in layer.metadata["napari-unsupseg"], timeout=WAIT)
    qtbot.waitUntil(lambda: "index" in layer.features, timeout=WAIT)
    before = layer.data.copy()
    layer.fill(np.argwhere(before == 2)[0], 0)
    qtbot.waitUntil(lambda: 2 not in list(layer.features.get("index", [2])), timeout=WAIT)
    give_class(layer, [1, 3], "old")
    corrected = layer.data.copy()
    ended.results.objects_section.exclude_border.value = True
    qtbot.waitUntil(lambda: "coins objects [1]" in viewer.layers, timeout=WAIT)
    np.testing.assert_array_equal(layer.data, corrected)
    new = viewer.layers["coins objects [1]"]
    assert not new.data[before == 2].any(), "what was removed stays so"
    assert ended.status.value.endswith("coins objects, which you have changed, is kept but hidden")
    qtbot.waitUntil(lambda: "index" in new.features, timeout=WAIT)
    assert layer.features["class"].tolist()[:2] == ["old", "old"]
    assert "class" not in new.features
