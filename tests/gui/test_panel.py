import re
import subprocess
import sys
import time

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import QThreadPool
from qtpy.QtWidgets import QAbstractSpinBox, QScrollArea, QSlider

import napari_unsupseg.learning.run
from napari_unsupseg import Settings, segment
from napari_unsupseg.image.axes import axes_from_channel
from napari_unsupseg.learning.network import Network
from napari_unsupseg.plugin.session import View

from ..conftest import SMALL
from .conftest import WAIT, choose, click, labels_of, wait_until_ready

ENDLESS = 100_000


def wait_for_iteration(qtbot, panel, iteration):
    qtbot.waitUntil(lambda: panel.progress.value >= iteration, timeout=WAIT)


def test_the_labels_are_those_of_the_library(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb, name="tissue")
    click(qtbot, panel.run_button)
    labels = labels_of(viewer)
    assert labels.name == "tissue segmentation"
    wait_until_ready(qtbot, panel)
    np.testing.assert_array_equal(labels.data, segment(rgb, **SMALL))
    assert labels.data.dtype == np.uint8
    n_clusters = len(np.unique(labels.data))
    assert panel.status.value.startswith(f"{n_clusters} clusters after 8 iterations")


def test_a_larger_image_is_trained_on_at_reduced_size_first(viewer, panel, qtbot, rgb):
    image = np.tile(rgb, (4, 4, 1))
    viewer.add_image(image)
    panel.settings["settle"].value = 0.02
    seen = []
    click(qtbot, panel.run_button)
    labels = labels_of(viewer)
    labels.events.data.connect(lambda: seen.append((panel.status.value, labels.data.shape)))
    wait_until_ready(qtbot, panel)
    assert any("at 1/2 size" in status for status, _ in seen)
    assert {shape for _, shape in seen} == {image.shape[:2]}
    np.testing.assert_array_equal(labels.data, segment(image, **SMALL | {"settle": 0.02}))


def test_the_layer_says_how_its_labels_were_made(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb)
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    record = labels_of(viewer).metadata["napari-unsupseg"]
    assert Settings.from_dict(record["settings"]) == Settings.from_dict(SMALL)
    assert record["iterations"] == 8


def test_labels_appear_at_once_and_change_every_n_iterations(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb)
    pictures, iterations = [], []
    click(qtbot, panel.run_button)
    labels = labels_of(viewer)
    assert not labels.data.any()

    def remember():
        pictures.append(labels.data)
        iterations.append(panel.progress.value)

    labels.events.data.connect(remember)
    wait_until_ready(qtbot, panel)
    assert iterations == [1, 2, 4, 6, 8, 8]  # the last ones once more at the end
    assert len({id(picture) for picture in pictures}) >= 5
    assert (pictures[1] != pictures[-1]).any()


def test_a_cluster_keeps_its_colour(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb)
    click(qtbot, panel.run_button)
    labels = labels_of(viewer)
    before = labels.get_color(5)
    wait_until_ready(qtbot, panel)
    np.testing.assert_array_equal(labels.get_color(5), before)


@pytest.mark.parametrize(
    ("shape", "keywords", "channel_axis"),
    [
        pytest.param((40, 50), {}, None, id="grey"),
        pytest.param((40, 50, 3), {"rgb": True}, None, id="RGB"),
        pytest.param((3, 40, 50), {}, 0, id="channels first"),
        pytest.param((40, 4, 50), {}, 1, id="channels between"),
        pytest.param((40, 50, 4), {"rgb": False}, 2, id="channels last"),
    ],
)
def test_labels_lie_in_register_with_the_image(viewer, panel, qtbot, shape, keywords, channel_axis):
    image = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    ndim = 2 if channel_axis is None else 3
    layer = viewer.add_image(
        image,
        scale=np.arange(1, ndim + 1) * 0.5,
        translate=np.arange(ndim) * 10.0,
        rotate=30.0 if ndim == 2 else np.eye(3),
        shear=[0.2] if ndim == 2 else [0, 0, 0],
        affine=np.diag([*range(2, ndim + 2), 1]),
        units=("um",) * ndim,
        axis_labels=tuple("pqr"[:ndim]),
        **keywords,
    )
    if channel_axis is not None:
        panel.axes.value = axes_from_channel(image.shape, channel_axis)
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    labels = labels_of(viewer)
    assert labels.data.any()
    shared = slice(ndim - labels.ndim, None)  # napari aligns layers by their last axes
    for corner in np.ndindex((2,) * ndim):
        point = np.multiply(corner, layer.data.shape[:ndim])
        world = layer.data_to_world(point)[shared]
        np.testing.assert_allclose(labels.data_to_world(point[shared]), world)
    assert labels.data.shape == layer.data.shape[:ndim][shared]
    assert labels.units == layer.units[shared]
    assert labels.axis_labels == layer.axis_labels[shared]
    plane = segment(image, channel_axis=channel_axis, **SMALL)
    for k in range(labels.data.shape[channel_axis] if labels.ndim == 3 else 0):
        np.testing.assert_array_equal(labels.data.take(k, channel_axis), plane)


def test_what_nobody_can_see_has_no_label(viewer, panel, qtbot, rgb):
    picture = np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])
    picture[:, :5, 3] = 0
    viewer.add_image(picture, rgb=True)
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    np.testing.assert_array_equal(labels_of(viewer).data == 0, picture[..., 3] == 0)


def test_stop_keeps_the_labels(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb)
    panel.settings["iterations"].value = ENDLESS
    click(qtbot, panel.run_button)
    assert not panel.run_button.enabled
    wait_for_iteration(qtbot, panel, 5)
    click(qtbot, panel.stop_button)
    wait_until_ready(qtbot, panel)
    labels = labels_of(viewer)
    iterations = labels.metadata["napari-unsupseg"]["iterations"]
    assert 5 <= iterations < ENDLESS
    np.testing.assert_array_equal(labels.data, segment(rgb, **SMALL | {"iterations": iterations}))
    assert not panel.stop_button.enabled


def test_stop_leaves_labels_of_few_clusters_at_full_size(viewer, panel, qtbot, rgb):
    viewer.add_image(np.tile(rgb, (4, 4, 1)))
    panel.settings["iterations"].value = ENDLESS
    panel.settings["settle"].value = 0.01
    panel.settings["final_clusters"].value = 5
    click(qtbot, panel.run_button)
    wait_for_iteration(qtbot, panel, 5)
    click(qtbot, panel.stop_button)
    wait_until_ready(qtbot, panel)
    labels = labels_of(viewer).data
    assert 2 <= len(np.unique(labels)) <= 5
    assert not (labels[::2] == labels[1::2]).all(), "blocks of the reduced size"
    assert panel.results.granularity.enabled


def test_a_paused_run_waits_and_goes_on(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb)
    panel.settings["iterations"].value = 60
    assert not panel.pause_button.enabled
    click(qtbot, panel.run_button)
    wait_for_iteration(qtbot, panel, 3)
    click(qtbot, panel.pause_button)
    assert panel.pause_button.text == "Resume"
    qtbot.waitUntil(lambda: panel.status.value.startswith("paused at"), timeout=WAIT)
    at = panel.progress.value
    qtbot.wait(500)
    assert panel.progress.value == at < 60
    click(qtbot, panel.pause_button)
    assert panel.pause_button.text == "Pause"
    wait_until_ready(qtbot, panel)
    assert not panel.pause_button.enabled
    expected = segment(rgb, **SMALL | {"iterations": 60})
    np.testing.assert_array_equal(labels_of(viewer).data, expected)


def test_a_paused_run_can_be_stopped(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb)
    panel.settings["iterations"].value = ENDLESS
    click(qtbot, panel.run_button)
    click(qtbot, panel.pause_button)
    qtbot.waitUntil(lambda: panel.status.value.startswith("paused at"), timeout=WAIT)
    click(qtbot, panel.stop_button)
    wait_until_ready(qtbot, panel)
    assert labels_of(viewer).data.all()


def test_continue_trains_on_where_the_run_stopped(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb)
    panel.settings["iterations"].value = 40
    assert not panel.continue_button.enabled
    click(qtbot, panel.run_button)
    wait_for_iteration(qtbot, panel, 3)
    assert not panel.continue_button.enabled
    click(qtbot, panel.stop_button)
    wait_until_ready(qtbot, panel)
    layer = labels_of(viewer)
    assert layer.metadata["napari-unsupseg"]["iterations"] < 40
    click(qtbot, panel.continue_button)
    wait_until_ready(qtbot, panel)
    assert labels_of(viewer) is layer
    assert layer.metadata["napari-unsupseg"]["iterations"] == 40
    np.testing.assert_array_equal(layer.data, segment(rgb, **SMALL | {"iterations": 40}))
    iterations = panel.results.run.result.history.iterations
    assert iterations == sorted(iterations)
    assert (iterations[0], iterations[-1]) == (1, 40)
    click(qtbot, panel.continue_button)  # a run that has ended trains as long again
    wait_until_ready(qtbot, panel)
    np.testing.assert_array_equal(layer.data, segment(rgb, **SMALL | {"iterations": 80}))


def test_start_over_begins_anew_in_the_same_layer(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb)
    panel.settings["iterations"].value = ENDLESS
    assert not panel.start_over_button.enabled
    click(qtbot, panel.run_button)
    wait_for_iteration(qtbot, panel, 3)
    for name, value in {"iterations": 6, "seed": 1}.items():
        panel.settings[name].value = value
    click(qtbot, panel.start_over_button)  # in the middle of a run
    wait_until_ready(qtbot, panel)
    layer = labels_of(viewer)
    np.testing.assert_array_equal(layer.data, segment(rgb, **SMALL | {"iterations": 6, "seed": 1}))
    panel.settings["seed"].value = 2
    click(qtbot, panel.start_over_button)  # and behind its end
    wait_until_ready(qtbot, panel)
    assert labels_of(viewer) is layer
    np.testing.assert_array_equal(layer.data, segment(rgb, **SMALL | {"iterations": 6, "seed": 2}))


@pytest.mark.parametrize("moment", ["in the middle of a run", "after its end"])
def test_start_over_keeps_to_its_image(viewer, panel, qtbot, rgb, grey, moment):
    viewer.add_image(rgb, name="tissue")
    panel.settings["iterations"].value = ENDLESS if moment == "in the middle of a run" else 4
    click(qtbot, panel.run_button)
    if moment == "after its end":
        wait_until_ready(qtbot, panel)
    else:
        wait_for_iteration(qtbot, panel, 3)
    panel.image.value = viewer.add_image(grey, name="coins")
    panel.settings["iterations"].value = 6
    click(qtbot, panel.start_over_button)
    wait_until_ready(qtbot, panel)
    expected = segment(rgb, **SMALL | {"iterations": 6})
    np.testing.assert_array_equal(labels_of(viewer).data, expected)


@pytest.mark.parametrize("button", ["continue_button", "start_over_button"])
def test_labels_painted_on_are_not_overwritten(viewer, panel, qtbot, rgb, button):
    viewer.add_image(rgb, name="tissue")
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    painted = labels_of(viewer)
    painted.paint((10, 10), 77)
    kept = painted.data.copy()
    click(qtbot, getattr(panel, button))
    wait_until_ready(qtbot, panel)
    np.testing.assert_array_equal(painted.data, kept)
    assert not (viewer.layers["tissue segmentation [1]"].data == 77).any()


def test_an_error_when_starting_over_keeps_the_labels(
    viewer, panel, qtbot, rgb, notes, monkeypatch
):
    def fail(*_):
        raise RuntimeError("the loop broke")

    viewer.add_image(rgb)
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    kept = labels_of(viewer).data.copy()
    monkeypatch.setattr(Network, "forward", fail)
    for button in (panel.start_over_button, panel.continue_button):
        click(qtbot, button)
        wait_until_ready(qtbot, panel)
        assert panel.status.value.endswith("the loop broke")
        np.testing.assert_array_equal(labels_of(viewer).data, kept)
    assert panel.results.granularity.enabled


def test_a_run_says_how_fast_it_is_and_where(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb)
    panel.settings["iterations"].value = ENDLESS
    panel.device.value = "cpu"
    click(qtbot, panel.run_button)
    wait_for_iteration(qtbot, panel, 30)
    where, speed = panel.status.value.split("\n")
    assert re.fullmatch(r"iteration \d+ of at most 100000, \d+ clusters", where)
    pattern = r"[\d.e+]+ iterations/s, about [\d.]+ (s|min|h) left(, at most .+)?, cpu"
    assert re.fullmatch(pattern, speed)
    click(qtbot, panel.stop_button)
    wait_until_ready(qtbot, panel)


def test_pictures_come_by_time_not_faster_than_five_a_second(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb)
    panel.update_every.value = 0
    panel.settings["iterations"].value = ENDLESS
    click(qtbot, panel.run_button)
    times = []
    labels_of(viewer).events.data.connect(lambda: times.append(time.perf_counter()))
    qtbot.waitUntil(lambda: len(times) == 8, timeout=WAIT)
    assert panel.progress.value > 8  # most iterations are not shown
    assert np.median(np.diff(times)) > 0.15
    click(qtbot, panel.stop_button)
    wait_until_ready(qtbot, panel)


def test_a_second_run_has_a_layer_of_its_own(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb, name="tissue")
    for seed in (0, 1):
        panel.settings["seed"].value = seed
        click(qtbot, panel.run_button)
        wait_until_ready(qtbot, panel)
    first, second = (layer for layer in viewer.layers if isinstance(layer, Labels))
    assert first.name != second.name
    np.testing.assert_array_equal(first.data, segment(rgb, **SMALL, seed=0))
    np.testing.assert_array_equal(second.data, segment(rgb, **SMALL, seed=1))


def test_labels_cannot_be_painted_while_they_change(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb)
    click(qtbot, panel.run_button)
    assert not labels_of(viewer).editable
    wait_until_ready(qtbot, panel)
    assert labels_of(viewer).editable


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        pytest.param(RuntimeError("the loop broke"), "the loop broke", id="RuntimeError"),
        pytest.param(
            RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out of memory", id="memory"
        ),
        pytest.param(KeyError("a bug"), "a bug", id="another error"),
    ],
)
def test_an_error_in_the_loop_is_shown_and_the_next_run_works(
    viewer, panel, qtbot, rgb, notes, monkeypatch, error, shown
):
    def fail(*_):
        raise error

    viewer.add_image(rgb)
    with monkeypatch.context() as patch:
        patch.setattr(Network, "forward", fail)
        click(qtbot, panel.run_button)
        wait_until_ready(qtbot, panel)
    assert [note.message for note in notes if shown in note.message] == [panel.status.value]
    assert not any(isinstance(layer, Labels) for layer in viewer.layers)
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    np.testing.assert_array_equal(labels_of(viewer).data, segment(rgb, **SMALL))


def test_labels_so_far_outlive_an_error(viewer, panel, qtbot, rgb, notes, monkeypatch):
    def fail(*_):
        raise RuntimeError("the loop broke")

    viewer.add_image(rgb)
    panel.settings["iterations"].value = ENDLESS
    click(qtbot, panel.run_button)
    wait_for_iteration(qtbot, panel, 3)
    monkeypatch.setattr(Network, "forward", fail)
    wait_until_ready(qtbot, panel)
    assert any("the loop broke" in note.message for note in notes)
    assert labels_of(viewer).data.all()


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        pytest.param(np.full((20, 20), np.nan, np.float32), "no pixel to segment", id="all NaN"),
        pytest.param(np.zeros((1, 20)), "at least 2 × 2", id="one pixel high"),
    ],
)
def test_bad_input_is_told(viewer, panel, qtbot, notes, image, shown):
    viewer.add_image(image, contrast_limits=(0, 1))
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    assert [note.message for note in notes if shown in note.message] == [panel.status.value]


def test_warnings_of_a_run_are_shown(viewer, panel, qtbot, notes):
    viewer.add_image(np.full((20, 20), 7), contrast_limits=(0, 9))
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    assert any("image is constant" in note.message for note in notes)
    assert (labels_of(viewer).data == 1).all()


def n_running() -> int:
    return QThreadPool.globalInstance().activeThreadCount()


@pytest.mark.parametrize("which", ["image", "labels"])
def test_removing_a_layer_ends_the_run(viewer, panel, qtbot, rgb, which, monkeypatch):
    iterations = []
    forward = Network.forward

    def count(*arguments):
        iterations.append(arguments)
        time.sleep(0.05)
        return forward(*arguments)

    monkeypatch.setattr(Network, "forward", count)
    image = viewer.add_image(rgb)
    panel.settings["iterations"].value = ENDLESS
    click(qtbot, panel.run_button)
    wait_for_iteration(qtbot, panel, 3)
    labels = labels_of(viewer)
    viewer.layers.remove(image if which == "image" else labels)
    done = len(iterations)
    qtbot.waitUntil(lambda: n_running() == 0, timeout=WAIT)
    qtbot.waitUntil(lambda: not panel.stop_button.enabled, timeout=WAIT)
    assert len(iterations) <= done + 1
    assert (labels in viewer.layers) == (which == "image")


def test_closing_the_panel_ends_the_run_and_keeps_the_labels(viewer, qtbot, rgb):
    dock, panel = viewer.window.add_plugin_dock_widget("napari-unsupseg")
    for name, value in SMALL.items():
        panel.settings[name].value = value
    viewer.add_image(rgb)
    panel.settings["iterations"].value = ENDLESS
    click(qtbot, panel.run_button)
    wait_for_iteration(qtbot, panel, 3)
    dock.title.close_button.click()
    qtbot.waitUntil(lambda: n_running() == 0, timeout=WAIT)
    assert labels_of(viewer).data.all()
    qtbot.waitUntil(lambda: labels_of(viewer).editable, timeout=WAIT)


def test_closing_the_viewer_ends_the_run(make_napari_viewer, qtbot, rgb):
    viewer = make_napari_viewer(show=True)
    _, panel = viewer.window.add_plugin_dock_widget("napari-unsupseg")
    panel.settings["iterations"].value = ENDLESS
    viewer.add_image(np.tile(rgb, (3, 3, 1)))
    click(qtbot, panel.run_button)
    wait_for_iteration(qtbot, panel, 2)
    start = time.perf_counter()
    viewer.close()
    qtbot.waitUntil(lambda: n_running() == 0, timeout=WAIT)
    assert time.perf_counter() - start < 20


@pytest.fixture
def slow_segments(monkeypatch):
    """Have segments take a minute, and say how far they are all the time."""
    real = napari_unsupseg.learning.run.build_hierarchy_generator

    def build(*image, **how):
        for share in np.linspace(0, 1, 600):
            time.sleep(0.1)
            yield share
        return (yield from real(*image, **how))

    monkeypatch.setattr(napari_unsupseg.learning.run, "build_hierarchy_generator", build)


@pytest.mark.usefixtures("slow_segments")
@pytest.mark.parametrize(
    "settle",
    [pytest.param(0, id="the labels are the network's"), pytest.param(0.5, id="they come of it")],
)
def test_stop_leaves_segments_off(viewer, panel, qtbot, rgb, settle):
    viewer.add_image(rgb)
    panel.settings["settle"].value = settle
    click(qtbot, panel.run_button)
    qtbot.waitUntil(lambda: "segments… 1%" in panel.status.value, timeout=WAIT)
    assert not panel.pause_button.enabled
    shown = labels_of(viewer).data.copy()
    start = time.perf_counter()
    click(qtbot, panel.stop_button)
    wait_until_ready(qtbot, panel)
    assert time.perf_counter() - start < 5
    assert panel.status.value.endswith(", no segments: stopped while they were made")
    np.testing.assert_array_equal(labels_of(viewer).data, shown)
    assert shown.all()
    assert not panel.results.granularity.enabled
    click(qtbot, panel.continue_button)
    wait_for_iteration(qtbot, panel, SMALL["iterations"] + 1)
    click(qtbot, panel.stop_button)


@pytest.mark.usefixtures("slow_segments")
def test_closing_the_viewer_does_not_wait_for_segments(make_napari_viewer, qtbot, rgb):
    viewer = make_napari_viewer(show=True)
    _, panel = viewer.window.add_plugin_dock_widget("napari-unsupseg")
    for name, value in SMALL.items():
        panel.settings[name].value = value
    viewer.add_image(rgb)
    click(qtbot, panel.run_button)
    qtbot.waitUntil(lambda: "making segments… 1%" in panel.status.value, timeout=WAIT)
    start = time.perf_counter()
    viewer.close()
    qtbot.waitUntil(lambda: n_running() == 0, timeout=WAIT)
    assert time.perf_counter() - start < 10


def test_a_script_may_end_in_the_middle_of_a_run():
    script = """
import napari
from qtpy.QtTest import QTest
from napari_unsupseg.sample_images import tissue
viewer = napari.Viewer(show=True)
viewer.add_image(tissue())
_, panel = viewer.window.add_plugin_dock_widget("napari-unsupseg")
panel.run_button.native.click()
while panel.progress.value < 2:
    QTest.qWait(20)
viewer.close()
"""
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=WAIT / 1000)
    assert ended.returncode == 0, ended.stderr
    assert "thread" not in ended.stderr


def test_the_panel_fits_a_narrow_dock_and_scrolls(viewer, qtbot):
    viewer.window.resize(1000, 500)
    dock, panel = viewer.window.add_plugin_dock_widget("napari-unsupseg")
    dock.setFixedWidth(300)
    panel.status.value = "a sentence of many words, " * 10
    for fold in panel.folds.values():
        click(qtbot, fold.heading)
    area = dock.findChild(QScrollArea)
    qtbot.waitUntil(lambda: area.verticalScrollBar().maximum() > 0, timeout=WAIT)
    assert area.widget().width() <= area.viewport().width() <= 300


def test_nothing_is_cut_off_when_all_is_unfolded(viewer, panel, qtbot, rgb):
    viewer.window.resize(1280, 800)
    viewer.add_image(rgb)
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    choose(qtbot, panel, View.SEGMENTS)
    for section in panel.folds.values():
        section.unfold()
    [area] = panel.native.findChildren(QScrollArea)
    qtbot.waitUntil(lambda: area.verticalScrollBar().isVisible(), timeout=WAIT)
    qtbot.waitUntil(lambda: area.widget().width() <= area.viewport().width(), timeout=WAIT)
    granularity = panel.results.granularity.native
    slider = granularity.findChild(QSlider)
    assert slider.width() >= 1.5 * granularity.findChild(QAbstractSpinBox).width()


def test_nothing_to_run_on(panel):
    assert not panel.run_button.enabled
    assert not panel.stop_button.enabled


def test_the_image_may_be_open_before_the_panel(viewer, qtbot, rgb):
    viewer.add_image(rgb, name="tissue")
    _, panel = viewer.window.add_plugin_dock_widget("napari-unsupseg")
    assert panel.image.value is viewer.layers["tissue"]
    assert panel.run_button.enabled
