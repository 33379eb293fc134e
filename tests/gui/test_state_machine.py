"""Whatever a user does in whatever order, the panel shows what is there."""

import time

import numpy as np
import pytest
import skimage.data
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from napari.layers import Image, Labels
from qtpy.QtTest import QTest

from napari_unsupseg.plugin.object_editor import EditMode
from napari_unsupseg.plugin.session import View, available_actions

from ..conftest import SMALL
from .conftest import WAIT

COINS = skimage.data.coins()[::8, ::8]
SIZES = st.tuples(st.integers(12, 24), st.integers(12, 24))
BUTTONS = {
    "run": "run_button",
    "pause": "pause_button",
    "stop": "stop_button",
    "continue_training": "continue_button",
    "start_over": "start_over_button",
    "draw_strokes": "strokes_button",
}
SEGMENTATION = " segmentation"


class PanelMachine(RuleBasedStateMachine):
    """A user at a panel; `viewer`, `panel` and `notes` are set by the test."""

    viewer = panel = notes = None

    def __init__(self):
        super().__init__()
        self.viewer.layers.clear()
        self.notes.clear()

    # what a user does

    @rule(size=SIZES)
    def add_image(self, size):
        if len(self.images) < 3:
            self.viewer.add_image(COINS[: size[0], : size[1]], name=f"image {size[0]}×{size[1]}")

    @rule(number=st.integers(0, 9))
    def choose_image(self, number):
        if self.images:
            self.panel.image.value = self.images[number % len(self.images)]

    @rule(number=st.integers(0, 9))
    def remove_layer(self, number):
        if len(self.viewer.layers) > 2:
            self.viewer.layers.pop(number % len(self.viewer.layers))

    @rule(size=SIZES, number=st.integers(0, 9))
    def replace_data(self, size, number):
        if self.images:
            self.images[number % len(self.images)].data = COINS[: size[0], : size[1]].copy()

    @rule(button=st.sampled_from(sorted(BUTTONS)))
    def click(self, button):
        """Click a button, if it is on."""
        widget = getattr(self.panel, BUTTONS[button])
        if widget.enabled:
            widget.native.click()

    @rule(iterations=st.sampled_from([1, 3, 400]))
    def set_iterations(self, iterations):
        self.panel.settings["iterations"].value = iterations

    @rule(milliseconds=st.sampled_from([1, 30, 200]))
    def wait(self, milliseconds):
        QTest.qWait(milliseconds)

    @rule()
    def wait_for_the_end(self):
        if self.panel.settings["iterations"].value < 400 and not self.is_paused:
            self.wait_until(lambda: not self.panel.stop_button.enabled or self.is_paused)

    @rule(number=st.integers(0, 9), label=st.integers(0, 5))
    def paint(self, number, label):
        editable = [layer for layer in self.labels if layer.editable]
        if editable:
            editable[number % len(editable)].paint((4, 4), label)

    @rule(number=st.integers(0, 9))
    def undo(self, number):
        if self.labels:
            self.labels[number % len(self.labels)].undo()

    @rule(value=st.sampled_from([0.0, 0.3, 0.7, 1.0]))
    def move_granularity(self, value):
        if self.panel.results.granularity.enabled:
            self.panel.results.granularity.value = value

    @rule(view=st.sampled_from(View))
    def choose_view(self, view):
        """Choose a view, whose layer then is the only one of the run that is seen."""
        results = self.panel.results
        button = results.view_buttons.buttons[view]
        if button.enabled:
            button.native.click()
            seen = [
                kind
                for kind in View
                if (snapshot := results.layers.snapshot(kind)) and snapshot.layer.visible
            ]
            assert set(seen) <= {view}

    @rule(split=st.sampled_from([0.0, 0.5, 1.0]), number=st.integers(0, 9))
    def change_objects(self, split, number):
        section = self.panel.results.objects_section
        if section.enabled and section.visible:
            section.foreground.value = section.foreground.choices[
                number % len(section.foreground.choices)
            ]
            section.split.value = split

    @rule(mode=st.sampled_from(EditMode), label=st.integers(1, 3))
    def edit_objects(self, mode, label):
        """Press the button of an edit, and do to an object what a click on it does."""
        section = self.panel.results.objects_section
        if section.enabled and section.visible:
            section.editing.buttons[mode].native.click()
            objects = self.panel.results.layers.snapshot(View.OBJECTS)
            is_clicked = section.editing._editor.mode not in (None, EditMode.SPLIT)
            if is_clicked and objects is not None and (objects.layer.data == label).any():
                section.editing._editor._click(label)

    @rule(button=st.sampled_from(["keep_button", "remove_button"]))
    def sort_out(self, button):
        section = self.panel.results.objects_section
        if section.enabled and section.visible:
            getattr(section.editing, button).native.click()

    @rule(value=st.integers(0, 5))
    def move_history(self, value):
        history = self.panel.results.history
        if history.enabled:
            history.value = min(value, history.max)

    @rule(button=st.sampled_from(["merge_button", "background_button", "hide_button"]))
    def change_clusters(self, button):
        clusters = self.panel.results.clusters
        if clusters.enabled:
            clusters.table.selectRow(0)
            if getattr(clusters, button).enabled:
                getattr(clusters, button).native.click()

    @rule()
    def undo_clusters(self):
        clusters = self.panel.results.clusters
        if clusters.enabled and clusters.undo_button.enabled:
            clusters.undo_button.native.click()

    # what is always true

    @invariant()
    def nothing_went_wrong(self):
        assert [note.message for note in self.notes if note.severity.name != "INFO"] == []

    @invariant()
    def the_buttons_are_those_of_the_session(self):
        session = self.panel._session
        last = session.last
        actions = available_actions(
            session,
            has_image=self.panel.image.value is not None,
            has_last_image=last is not None and last.image in self.viewer.layers,
            has_network=self.panel.network.segmenter is not None,
        )
        for action, button in BUTTONS.items():
            assert getattr(self.panel, button).enabled == getattr(actions, action), action

    @invariant()
    def labels_fit_their_image_and_have_its_name(self):
        for run in filter(None, (self.panel._session.run, self.panel._session.last)):
            if run.labels in self.viewer.layers:
                assert run.labels.data.shape == run.request.image.shape
                assert run.labels.name.startswith(run.image.name + SEGMENTATION)

    @invariant()
    def a_layer_that_is_written_into_is_locked(self):
        run = self.panel._session.run
        assert run is None or not run.labels.editable

    def teardown(self):
        """Wait until all is measured, compare tables, and leave the panel as it was."""
        if self.panel.stop_button.enabled:
            self.panel.stop_button.native.click()
        self.wait_until(lambda: self.panel._session.run is None)
        self.wait_until(lambda: not self.panel.results._finder.is_searching)
        for layer in self.panel.results._tables._tables:
            labels = [label for label in np.unique(layer.data).tolist() if label]
            self.wait_until(lambda layer=layer, labels=labels: index_of(layer) == labels)
        clusters = self.panel.results.clusters
        if clusters._layer is not None:
            labels = np.unique(clusters._layer.data)
            assert clusters._row_labels == labels[labels > 0].tolist()
        self.nothing_went_wrong()

    # what the rules ask

    @property
    def images(self):
        return [layer for layer in self.viewer.layers if isinstance(layer, Image)]

    @property
    def labels(self):
        return [layer for layer in self.viewer.layers if isinstance(layer, Labels)]

    @property
    def is_paused(self):
        return self.panel.pause_button.text == "Resume"

    @staticmethod
    def wait_until(is_true):
        end = time.monotonic() + WAIT / 1000
        while not is_true():
            assert time.monotonic() < end, "it never came"
            QTest.qWait(10)


def index_of(layer):
    """Return the labels in the table of a layer."""
    return layer.features["index"].tolist() if "index" in layer.features else []


@pytest.fixture
def viewer(make_napari_viewer):
    """Return a viewer whose window is not shown: drawing it is napari's work."""
    return make_napari_viewer(show=False)


@pytest.mark.filterwarnings("ignore:image is constant")
def test_the_panel_shows_what_is_there(viewer, panel, notes):
    for name, value in (SMALL | {"superpixels": 30, "iterations": 3}).items():
        panel.settings[name].value = value
    machine = type("Machine", (PanelMachine,), {"viewer": viewer, "panel": panel, "notes": notes})
    short = settings(
        max_examples=20,
        stateful_step_count=30,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],  # how far a run is by then is no choice, and cannot be shrunk
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=short)
