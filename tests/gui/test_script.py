import subprocess
import sys

import numpy as np
import pytest
import tifffile
from imageio.v3 import imwrite
from qtpy.QtWidgets import QApplication

from .conftest import WAIT, click, wait_until_ready

SAVE = "\nimport numpy\nnumpy.save({path!r}, {name})\n"


def run_copied(qtbot, panel, folder, name="labels"):
    """Copy a run as Python, and return what the script makes in a process of its own."""
    QApplication.clipboard().clear()
    click(qtbot, panel.results.copy_button)
    path = folder / f"{name}.npy"
    script = QApplication.clipboard().text() + SAVE.format(path=str(path), name=name)
    subprocess.run([sys.executable, "-c", script], check=True)
    return np.load(path)


@pytest.mark.parametrize("settle", [0, 0.02])
def test_the_copied_script_makes_the_same_labels(viewer, panel, qtbot, rgb, tmp_path, settle):
    imwrite(tmp_path / "tissue.png", rgb)
    viewer.open(tmp_path / "tissue.png", plugin="napari")
    panel.settings["settle"].value = settle
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    panel.results.granularity.value = 0.3
    panel.results.smallest.value = 12
    labels, segments = viewer.layers[-2], viewer.layers[-1]
    assert run_copied(qtbot, panel, tmp_path).tobytes() == labels.data.tobytes()
    found = run_copied(qtbot, panel, tmp_path, "segments")
    np.testing.assert_array_equal(found, segments.data)


@pytest.mark.parametrize("settle", [0, 0.01])
def test_a_run_that_was_stopped_and_went_on(viewer, panel, qtbot, rgb, tmp_path, settle):
    imwrite(tmp_path / "tissue.png", np.tile(rgb, (3, 3, 1)) if settle else rgb)
    viewer.open(tmp_path / "tissue.png", plugin="napari")
    panel.settings["settle"].value = settle
    panel.settings["iterations"].value = 10_000
    click(qtbot, panel.run_button)
    for button in (panel.continue_button, None):
        at = panel.progress.value
        qtbot.waitUntil(lambda at=at: panel.progress.value >= at + 5, timeout=WAIT)
        click(qtbot, panel.stop_button)
        wait_until_ready(qtbot, panel)
        assert run_copied(qtbot, panel, tmp_path).tobytes() == viewer.layers[-1].data.tobytes()
        if button:
            click(qtbot, button)


def test_volumes_with_their_spacing(viewer, panel, qtbot, tmp_path):
    stack = np.random.default_rng(0).integers(0, 50, (4, 30, 40)).astype(np.uint16)
    stack[:, 8:20, 10:30] += 200
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")
    viewer.open(tmp_path / "stack.tif", plugin="napari", scale=(3, 1, 1))
    panel.axes.value = "zyx"
    panel.volumes.value = True
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    assert run_copied(qtbot, panel, tmp_path).tobytes() == viewer.layers[-1].data.tobytes()
