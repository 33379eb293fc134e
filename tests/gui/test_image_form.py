import numpy as np
import pytest
import tifffile

from napari_unsupseg import segment

from ..conftest import SMALL
from .conftest import WAIT, click, labels_of, seen, wait_until_ready

RED = 179, 38, 30


def test_a_stack_asks_in_red_what_its_axes_are_and_run_waits_for_it(viewer, panel, qtbot):
    viewer.add_image(np.zeros((3, 40, 50)), name="stack")

    def is_red():
        pixels = seen(viewer, panel.axes.native).astype(int)
        return bool((np.abs(pixels - RED).max(axis=-1) < 10).mean() > 0.5)

    assert panel.axes.visible
    qtbot.waitUntil(is_red, timeout=WAIT)
    assert not panel.run_button.enabled
    assert not panel.strokes_button.enabled
    assert panel.plan.value.startswith("Say above what the axes of the image are")
    panel.axes.value = "zyx"
    qtbot.waitUntil(lambda: not is_red(), timeout=WAIT)
    assert panel.run_button.enabled
    assert panel.plan.value.startswith("Run segments 3 frames of 40 × 50 pixels, 1 channel")


def test_the_menu_of_axes_is_as_wide_as_what_it_says(viewer, panel, qtbot):
    viewer.add_image(np.zeros((48, 13, 8, 9)), name="movie")
    panel.axes.value = "tzyx"
    qtbot.wait(100)
    menu = panel.axes.native
    metrics = menu.fontMetrics()
    assert metrics.horizontalAdvance("48 time points × 13 slices") < menu.width() - 30  # its arrow
    assert metrics.horizontalAdvance(menu.currentText()) < menu.view().minimumWidth()


@pytest.mark.parametrize(
    ("axes", "keywords"),
    [
        pytest.param("tyx", {"imagej": True}, id="movie by ImageJ"),
        pytest.param("syx", {"photometric": "rgb", "planarconfig": "separate"}, id="planar RGB"),
        pytest.param(None, {"photometric": "minisblack"}, id="nothing tells"),
    ],
)
def test_axes_are_those_of_the_file_that_napari_has_read(viewer, panel, tmp_path, axes, keywords):
    metadata = {"axes": "TYX"} if axes == "tyx" else None
    path = tmp_path / "three.tif"
    tifffile.imwrite(path, np.zeros((3, 40, 50), np.uint8), metadata=metadata, **keywords)
    viewer.open(path, plugin="napari")
    assert panel.axes.value == axes
    viewer.layers["three"].data = np.zeros((4, 40, 50), np.uint8)  # no longer what the file has
    assert panel.axes.value is None


@pytest.mark.parametrize(
    ("shape", "labels", "axes"),
    [
        pytest.param((40, 3, 50), ("y", "c", "x"), "ycx", id="channels"),
        pytest.param((6, 40, 50), ("Z", "row", "column"), "zyx", id="stack"),
        pytest.param((6, 40, 50), ("time", "p", "q"), "tyx", id="movie"),
        pytest.param((5, 2, 40, 50), ("t", "channel", "y", "x"), "tcyx", id="movie of channels"),
        pytest.param((6, 40, 50), ("p", "q", "r"), None, id="nothing tells"),
    ],
)
def test_axis_labels_tell_what_axes_are(viewer, panel, shape, labels, axes):
    viewer.add_image(np.zeros(shape), axis_labels=labels)
    assert panel.axes.value == axes


def test_axes_are_shown_where_there_are_more_than_two(viewer, panel, grey, rgb):
    assert not panel.axes.visible
    for image, visible in ((grey, False), (rgb, False), (np.stack([rgb, rgb]), True)):
        panel.image.value = viewer.add_image(image)
        assert panel.axes.visible == visible


@pytest.mark.parametrize("volumes", [False, True], ids=["planes", "volumes"])
def test_a_stack_is_segmented_whole(viewer, panel, qtbot, volumes):
    stack = np.random.default_rng(0).integers(0, 50, (4, 30, 40)).astype(np.uint16)
    stack[:, 8:20, 10:30] += 200
    layer = viewer.add_image(stack, scale=(3, 1, 1), name="stack")
    panel.axes.value = "zyx"
    assert panel.volumes.visible
    panel.volumes.value = volumes
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    labels = labels_of(viewer)
    how = {"spatial_ndim": 3, "spacing": (3, 1, 1)} if volumes else {}
    expected = segment(stack, axes="zyx", **how, **SMALL)
    np.testing.assert_array_equal(labels.data, expected)
    np.testing.assert_array_equal(labels.scale, layer.scale)
    qtbot.waitUntil(lambda: len(labels.features) > 0, timeout=WAIT)
    assert {"centroid_z", "centroid_y", "volume"} <= set(labels.features)
    panel.results.granularity.value = 0.4
    assert viewer.layers["stack segments"].data.shape == stack.shape


def test_volumes_need_three_axes(viewer, panel):
    viewer.add_image(np.zeros((6, 40, 50)))
    for axes, visible in (("zyx", True), ("tyx", False), ("cyx", False)):
        panel.axes.value = axes
        assert panel.volumes.visible == visible
