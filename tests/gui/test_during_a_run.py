"""What a user or a program does to layers while a run goes on."""

import numpy as np
import pytest
from napari.layers import Labels

from napari_unsupseg import segment
from napari_unsupseg.learning.network import Network

from ..conftest import SMALL
from .conftest import WAIT, click, labels_of, wait_until_ready


@pytest.fixture
def image(viewer, grey):
    """Return the layer of an image."""
    return viewer.add_image(grey, name="coins")


@pytest.fixture
def endless(viewer, panel, image, qtbot):
    """Return the layer of a run that ends only if it is stopped."""
    panel.settings["iterations"].value = 100_000
    click(qtbot, panel.run_button)
    qtbot.waitUntil(lambda: panel.progress.value >= 3, timeout=WAIT)
    return labels_of(viewer)


def test_labels_stay_locked_however_often_they_change(panel, qtbot, endless):
    seen = []
    endless.events.data.connect(lambda: seen.append(endless.editable))
    qtbot.waitUntil(lambda: len(seen) > 3, timeout=WAIT)
    assert not endless.editable
    click(qtbot, panel.stop_button)
    wait_until_ready(qtbot, panel)
    assert endless.editable


def test_no_stroke_of_before_is_taken_back_in_the_result(viewer, panel, image, qtbot):
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    layer = labels_of(viewer)
    layer.paint((5, 5), 19)
    layer.undo()  # so that the layer is as the run has left it, and can be painted on again
    click(qtbot, panel.start_over_button)
    wait_until_ready(qtbot, panel)
    expected = layer.data.copy()
    layer.undo()
    layer.redo()
    np.testing.assert_array_equal(layer.data, expected)


def test_labels_that_are_removed_are_not_announced(viewer, panel, qtbot, endless):
    viewer.layers.remove(endless)
    wait_until_ready(qtbot, panel)
    assert panel.status.value == "the run has ended, as the layer of its labels was removed"
    assert not panel.continue_button.enabled
    assert panel.results.clusters.table.rowCount() == 0


def test_the_heading_names_the_run_that_start_over_acts_on(viewer, panel, image, qtbot, grey):
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    assert panel.results.heading.value == "Run on coins, in the layer coins segmentation"
    panel.image.value = viewer.add_image(grey, name="other")
    panel.settings["iterations"].value = 100_000
    click(qtbot, panel.run_button)
    assert panel.results.heading.value == "Run on other, in the layer other segmentation"
    viewer.layers.remove("other segmentation")
    wait_until_ready(qtbot, panel)
    assert panel.results.heading.value == "Run on coins, in the layer coins segmentation"


def test_a_button_that_is_off_does_nothing_for_a_script_either(viewer, panel, qtbot, notes):
    def call_all():
        for action in (
            panel.start, panel.toggle_pause, panel.stop, panel.continue_training,
            panel.start_over, panel.draw_strokes, panel.apply_network,
        ):  # fmt: skip
            action()

    call_all()
    viewer.layers.remove(viewer.add_image(np.zeros((9, 9))))
    assert not panel.run_button.enabled
    assert not panel.strokes_button.enabled
    call_all()
    assert not viewer.layers
    assert not notes


def test_a_script_cannot_begin_a_second_run(viewer, panel, qtbot, endless):
    panel.start()
    panel.continue_training()
    assert [layer for layer in viewer.layers if isinstance(layer, Labels)] == [endless]
    panel.stop()
    wait_until_ready(qtbot, panel)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_what_would_end_a_program_ends_the_run(
    viewer, panel, image, qtbot, notes, monkeypatch, error
):
    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Network, "forward", fail)
        click(qtbot, panel.run_button)
        wait_until_ready(qtbot, panel)
    assert panel.status.value == f"the run failed: {error!r}"
    assert [note.message for note in notes] == [panel.status.value]
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)


def test_two_viewers_run_side_by_side(make_napari_viewer, qtbot, grey, rgb):
    panels = []
    for image in (grey, rgb):
        viewer = make_napari_viewer(show=True)
        _, panel = viewer.window.add_plugin_dock_widget("napari-unsupseg")
        for name, value in SMALL.items():
            panel.settings[name].value = value
        viewer.add_image(image)
        panels.append((viewer, panel, image))
    for _, panel, _ in panels:
        panel.start()
    for viewer, panel, image in panels:
        wait_until_ready(qtbot, panel)
        np.testing.assert_array_equal(labels_of(viewer).data, segment(image, **SMALL))


def test_a_renamed_image_names_the_next_layers(viewer, panel, image, qtbot):
    click(qtbot, panel.run_button)
    image.name = "money"
    wait_until_ready(qtbot, panel)
    panel.results.granularity.value = 0.3
    assert "money segments" in viewer.layers
    assert panel.image.native.currentText() == "money"


def test_a_theme_that_changes_leaves_the_run_alone(viewer, panel, qtbot, endless):
    viewer.theme = "light"
    seen = panel.progress.value
    qtbot.waitUntil(lambda: panel.progress.value > seen, timeout=WAIT)
    click(qtbot, panel.stop_button)
    wait_until_ready(qtbot, panel)
