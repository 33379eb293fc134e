import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from qtpy.QtWidgets import QFileDialog

from napari_unsupseg.plugin.session import View

from .conftest import WAIT, click, wait_until_ready
from .test_objects import COINS, find


@pytest.fixture
def objects(viewer, panel, qtbot):
    """Return the layer of objects of a run, once it has a table."""
    viewer.add_image(COINS, name="coins")
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    layer = find(qtbot, viewer, panel.results)
    qtbot.waitUntil(lambda: len(layer.features) > 0, timeout=WAIT)
    return layer


def choose(monkeypatch, path, kind):
    """Have a user choose a file and its kind, by the words of the dialog."""

    def answer(_parent, _caption, suggested, kinds):
        assert suggested == "coins objects"
        [chosen] = [one for one in kinds.split(";;") if one.startswith(kind)]
        return str(path), chosen

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)


@pytest.mark.parametrize(
    ("kind", "ending"),
    [
        ("label TIFF", ".tif"),
        ("OME-Zarr labels", ".ome.zarr"),
        ("GeoJSON for QuPath", ".geojson"),
        ("ImageJ ROIs", ".zip"),
        ("measurements as CSV", ".csv"),
    ],
)
def test_objects_are_saved_as_the_user_chooses(
    viewer,
    panel,
    qtbot,
    objects,
    tmp_path,
    monkeypatch,
    kind,
    ending,
):
    objects.data[:9, :9] = objects.data.max() + 1  # painted: what is seen is saved
    choose(monkeypatch, tmp_path / "coins", kind)
    click(qtbot, panel.results.save_button)
    qtbot.waitUntil(lambda: panel.status.value == f"saved coins{ending}", timeout=WAIT)
    path = tmp_path / f"coins{ending}"
    if ending == ".geojson":
        features = json.loads(path.read_text())["features"]
        assert len(features) == objects.data.max()
        assert features[0]["properties"]["measurements"]["area"] == objects.features["area"][0]
    elif ending == ".csv":
        expected = objects.features.rename(columns={"index": "label"})
        pd.testing.assert_frame_equal(pd.read_csv(path), expected, check_dtype=False)
    elif ending in (".tif", ".ome.zarr"):
        [again] = viewer.open(path, plugin="napari-unsupseg")
        np.testing.assert_array_equal(again.data, objects.data)
        pd.testing.assert_frame_equal(again.features, objects.features, check_dtype=False)
        assert again.metadata["napari-unsupseg"]["settings"]
    else:
        assert path.stat().st_size > 1000


def test_a_file_that_nobody_asked_to_replace_stays(
    viewer,
    panel,
    qtbot,
    objects,
    tmp_path,
    monkeypatch,
    notes,
):
    (tmp_path / "coins.tif").write_text("old")
    choose(monkeypatch, tmp_path / "coins", "label TIFF")
    click(qtbot, panel.results.save_button)
    assert "coins.tif: exists already" in notes[-1].message
    assert (tmp_path / "coins.tif").read_text() == "old"
    choose(monkeypatch, tmp_path / "coins.tif", "label TIFF")  # the dialog has asked
    click(qtbot, panel.results.save_button)
    qtbot.waitUntil(lambda: panel.status.value == "saved coins.tif", timeout=WAIT)
    assert tifffile.imread(tmp_path / "coins.tif").shape == objects.data.shape


def test_what_keeps_objects_from_being_saved_is_said(
    viewer,
    panel,
    qtbot,
    objects,
    tmp_path,
    monkeypatch,
    notes,
):
    (tmp_path / "file").touch()
    choose(monkeypatch, tmp_path / "file" / "coins.tif", "label TIFF")
    click(qtbot, panel.results.save_button)
    qtbot.waitUntil(lambda: len(notes) > 0, timeout=WAIT)
    assert "coins.tif: cannot be written" in notes[-1].message
    assert panel.status.value == "nothing was saved"
    viewer.layers.remove(objects)
    click(qtbot, panel.results.save_button)
    assert panel.status.value == "there are no objects to save yet"


def test_closing_the_dialog_saves_nothing(
    viewer,
    panel,
    qtbot,
    objects,
    monkeypatch,
):
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("", ""))
    before = panel.status.value
    click(qtbot, panel.results.save_button)
    assert panel.status.value == before
    assert panel.results.layers.view is View.OBJECTS
