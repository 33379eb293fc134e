"""Corrections in the file of a run: those that do not fit its image are refused."""

import dataclasses

import numpy as np
import pytest
from skimage.data import coins

from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.errors import FileError
from napari_unsupseg.plugin.saved_run import SavedView, WholeImage, read_run, write_run
from napari_unsupseg.regions.edits import EditHistory, Join, PixelSet, Remove, Repaint, Target

from ..conftest import SMALL

IMAGE = coins()[:40, :40]
BOX = np.ones((5, 5), bool)
CODES = np.full((5, 5), 2, np.uint8)


@pytest.fixture(scope="module")
def run_file(tmp_path_factory):
    """Return the file of a run."""
    path = tmp_path_factory.mktemp("run") / "run.unsupseg"
    Segmenter(Settings.from_dict(SMALL)).fit(IMAGE).save(path, run=True)
    return path


@pytest.mark.parametrize(
    ("edit", "fits"),
    [
        pytest.param(Remove(PixelSet((35, 35), BOX), 1), True, id="pixels"),
        pytest.param(Remove(PixelSet((38, 35), BOX), 1), False, id="pixels outside"),
        pytest.param(Join((PixelSet((35, 35), ~BOX),) * 2), False, id="no pixels"),
        pytest.param(Remove(PixelSet((35,), BOX[0]), 1), False, id="pixels of a line"),
        pytest.param(Repaint((0, 0), CODES, (Target(1, np.array([[39, 39]])),)), True, id="points"),
        pytest.param(
            Repaint((0, 0), CODES, (Target(1, np.array([[40, 0]])),)), False, id="points outside"
        ),
        pytest.param(Repaint((0, 0), CODES, ()), False, id="no targets"),
    ],
)
def test_corrections_fit_their_image(run_file, tmp_path, edit, fits):
    result, state = read_run(run_file, "cpu", 0)
    labels = result.segmenter.labels_
    view = SavedView(labels, labels, {}, "", {}, EditHistory((edit,)))
    path = tmp_path / "corrected.unsupseg"
    write_run(path, result, dataclasses.replace(state, views={"OBJECTS": view}))
    if fits:
        _, opened = read_run(path, "cpu", 0)
        [again] = opened.views["OBJECTS"].edits.done
        assert again.text("cell") == edit.text("cell")
    else:
        with pytest.raises(FileError, match="damaged or was changed"):
            read_run(path, "cpu", 0)


@pytest.mark.parametrize(
    ("region", "sentence"),
    [
        pytest.param((slice(5, 45), slice(9, 49)), "", id="where it was"),
        pytest.param((slice(5, 45), slice(9, 48)), "damaged or was changed", id="smaller"),
        pytest.param((slice(5, 45), slice(25, 65)), "damaged or was changed", id="outside"),
    ],
)
def test_a_region_fits_its_image(run_file, tmp_path, region, sentence):
    result, state = read_run(run_file, "cpu", 0)
    whole = WholeImage(coins()[:60, :60], "yx", region)
    path = tmp_path / "region.unsupseg"
    write_run(path, result, dataclasses.replace(state, whole=whole))
    if sentence:
        with pytest.raises(FileError, match=sentence):
            read_run(path, "cpu", 0)
    else:
        again, opened = read_run(path, "cpu", 0)
        expected = result.segmenter.predict_hierarchy(whole.pixels).cut()
        np.testing.assert_array_equal(again.hierarchy.cut(), expected)
        assert opened.whole.region == region
