import subprocess
import sys

import pytest
from npe2 import PluginManager
from qtpy.QtWidgets import QMenu

from napari_unsupseg.plugin.panel import SegmentationPanel

from ..conftest import run_python

TITLE = "Unsupervised segmentation"


def action_in(menu: QMenu):
    """Find the panel's action in a menu or the menus within it."""
    menu.aboutToShow.emit()
    for action in menu.actions():
        if action.text().startswith(TITLE) and action.menu() is None:
            return action
        found = action_in(action.menu()) if action.menu() else None
        if found:
            return found
    return None


@pytest.mark.parametrize("menu", ["plugins_menu", "layers_menu"])
def test_the_menus_open_the_panel(viewer, menu):
    action_in(getattr(viewer.window, menu)).trigger()
    [dock] = viewer.window.dock_widgets.values()
    assert isinstance(dock, SegmentationPanel)


@pytest.mark.parametrize(
    ("key", "preset"),
    [
        ("tissue", "standard"),
        ("cell", "paper-2020"),
        ("retina", "standard"),
        ("galaxies", "standard"),
    ],
)
def test_sample_data_opens_with_the_preset_that_suits_it(viewer, key, preset):
    _, panel = viewer.window.add_plugin_dock_widget("napari-unsupseg")
    viewer.open_sample("napari-unsupseg", key)
    assert viewer.layers[0].name == key
    assert viewer.layers[0].data.std() > 5
    assert panel.preset.value == preset


def test_a_sample_leaves_settings_changed_by_hand(viewer):
    _, panel = viewer.window.add_plugin_dock_widget("napari-unsupseg")
    panel.settings["iterations"].value = 7
    viewer.open_sample("napari-unsupseg", "cell")
    assert panel.settings["iterations"].value == 7
    assert panel.settings["settle"].value == 0.02


def test_the_preset_of_a_sample_goes_with_it(viewer, rgb):
    _, panel = viewer.window.add_plugin_dock_widget("napari-unsupseg")
    viewer.open_sample("napari-unsupseg", "cell")
    image = viewer.add_image(rgb)
    panel.image.value = image
    assert panel.preset.value == "standard"
    panel.preset.value = "paper-2018"
    panel.image.value = viewer.layers["cell"]
    assert panel.preset.value == "paper-2018"


def test_listing_the_commands_does_not_load_torch():
    script = (
        "import sys; from npe2 import PluginManager; manager = PluginManager.instance();"
        "manager.discover(); manifest = manager.get_manifest('napari-unsupseg');"
        "commands = manifest.contributions.commands;"
        "print(len(commands), 'torch' in sys.modules)"
    )
    n_commands = len(
        PluginManager.instance().get_manifest("napari-unsupseg").contributions.commands
    )
    assert run_python(script).split() == [str(n_commands), "False"]


def test_torch_loads_behind_the_open_panel_and_a_run_waits_for_it():
    script = """
import sys, napari, skimage.data
viewer = napari.Viewer(show=True)
viewer.add_image(skimage.data.coins()[:64, :64])
before = 'torch' in sys.modules
_, panel = viewer.window.add_plugin_dock_widget('napari-unsupseg')
panel.settings['iterations'].value = 2
panel.settings['superpixels'].value = 300
panel.run_button.native.click()
at_run = panel.status.value
from qtpy.QtTest import QTest
while not panel.run_button.enabled:
    QTest.qWait(50)
print(before, at_run, panel.status.value, viewer.layers[1].data.any(), sep=', ')
viewer.close()
"""
    before, at_run, at_end, has_labels = run_python(script).split(", ")
    assert (before, at_run, has_labels) == ("False", "loading PyTorch…", "True")
    assert "after 2 iterations" in at_end


def test_closing_napari_in_mid_run_ends_the_process(tmp_path):
    script = """
import napari, numpy as np
from qtpy.QtCore import QTimer
viewer = napari.Viewer()
viewer.add_image(np.random.default_rng(0).random((200, 200)))
_, panel = viewer.window.add_plugin_dock_widget("napari-unsupseg")
panel.run_button.native.click()
def close_when_running():
    if panel.progress.value >= 2:
        print("closing at", panel.progress.value, flush=True)
        viewer.close()
    else:
        QTimer.singleShot(50, close_when_running)
close_when_running()
napari.run()
"""
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert process.returncode == 0, process.stderr
    assert "closing at" in process.stdout
    assert "Traceback" not in process.stderr
