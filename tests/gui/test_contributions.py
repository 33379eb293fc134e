import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from imageio.v3 import imwrite
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QLineEdit

from .conftest import WAIT

# what `napari` runs, in a process that closes its window when there are labels
NAPARI = """
import sys, napari
from napari.__main__ import main
from napari.layers import Labels
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

def look():
    viewer = napari.current_viewer()
    labels = [layer for layer in viewer.layers if isinstance(layer, Labels)] if viewer else []
    if not labels or not labels[0].data.any():
        return
    timer.stop()
    panel = list(viewer.window.dock_widgets.values())[0]
    print(viewer.layers[0].name, labels[0].name, labels[0].data.shape, panel.progress.value > 0,
          panel.native.isVisible(), sep=", ", flush=True)
    viewer.close()

app = QApplication([])
timer = QTimer()
timer.timeout.connect(look)
timer.start(50)
sys.argv = ["napari", *sys.argv[1:]]
main()
"""


def write_image(path: Path, image: np.ndarray) -> None:
    if path.suffix.startswith(".tif"):
        tifffile.imwrite(path, image, photometric="rgb")
    else:
        imwrite(path, image)


@pytest.mark.parametrize("suffix", [".tif", ".tiff", ".png", ".jpg", ".jpeg"])
def test_a_file_named_at_the_start_is_segmented_at_once(tmp_path, rgb, suffix):
    write_image(tmp_path / f"tissue{suffix}", rgb)
    command = [sys.executable, "-c", NAPARI, "--plugin", "napari-unsupseg"]
    process = subprocess.run(
        [*command, str(tmp_path / f"tissue{suffix}")], capture_output=True, text=True, timeout=240
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[-1] == "tissue, tissue segmentation, (64, 72), True, True"
    assert "Traceback" not in process.stderr


def test_axes_that_a_file_names_are_known(viewer, qtbot, tmp_path):
    stack = np.random.default_rng(0).integers(0, 255, (3, 2, 20, 30), np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", stack, imagej=True, metadata={"axes": "ZCYX"})
    viewer.open(tmp_path / "stack.tif", plugin="napari-unsupseg")
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=WAIT)
    [panel] = viewer.window.dock_widgets.values()
    assert panel.axes.value == "zcyx"
    qtbot.waitUntil(lambda: panel.progress.value > 0, timeout=WAIT)
    panel.stop()
    qtbot.waitUntil(lambda: panel.run_button.enabled, timeout=WAIT)


def run_command(viewer, qtbot, text):
    """Run a command as a user does: open the palette, type, press Enter."""
    [toggle] = [
        action
        for action in viewer.window.view_menu.actions()
        if "command palette" in action.text().lower()
    ]
    toggle.trigger()
    lines = [
        line
        for line in QApplication.allWidgets()
        if isinstance(line, QLineEdit) and "command" in line.placeholderText().lower()
    ]
    [line] = [line for line in lines if line.isVisible()]
    qtbot.keyClicks(line, text)
    qtbot.keyClick(line, Qt.Key.Key_Return)


def test_the_palette_segments_the_active_layer(viewer, qtbot, rgb):
    viewer.add_image(rgb[::2], name="other")
    viewer.add_image(rgb, name="tissue")
    run_command(viewer, qtbot, "Segment the active layer")
    qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=WAIT)
    assert isinstance(viewer.layers["tissue segmentation"], Labels)
    [panel] = viewer.window.dock_widgets.values()
    qtbot.waitUntil(lambda: panel.progress.value > 0, timeout=WAIT)
    panel.stop()
    qtbot.waitUntil(lambda: panel.run_button.enabled, timeout=WAIT)
