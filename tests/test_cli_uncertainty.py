"""How uncertain pixels are, in files that the command writes."""

import numpy as np
import pytest
import tifffile
from imageio.v3 import imread, imwrite
from skimage.data import coins

from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.io.readers import open_image

from .conftest import SMALL
from .test_cli import QUICK, call


@pytest.fixture
def image_file(tmp_path):
    path = tmp_path / "coins.png"
    imwrite(path, coins()[::4, ::4])
    return path


def test_the_uncertainty_is_that_of_the_library(image_file, tmp_path):
    out = tmp_path / "u.tif"
    sizes = ["--pixel-size", 0.5]
    result = call(
        "segment", image_file, "-o", tmp_path / "o.tif", "--uncertainty", out, *sizes, *QUICK
    )
    assert result.exit_code == 0, result.output
    assert f"  uncertainty {out}" in result.stdout
    segmenter = Segmenter(Settings.from_dict(SMALL)).fit(imread(image_file))
    found = tifffile.imread(out)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, segmenter.uncertainty())
    with open_image(out) as opened:
        assert (opened.pixel_size.height, opened.pixel_size.unit) == (0.5, "um")


def test_beside_the_images_it_is_no_image_to_segment(image_file, tmp_path):
    arguments = ("segment", tmp_path, "-o", tmp_path, "--uncertainty", tmp_path, *QUICK)
    assert call(*arguments).exit_code == 0
    again = call(*arguments)
    assert again.stdout.count("done already") == 1
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"coins.png", "coins_labels.tif", "coins_uncertainty.tif"}


def test_many_runs_have_no_common_uncertainty(image_file, tmp_path):
    result = call(
        "segment", image_file, "-o", tmp_path / "o.tif", "--separate", "--uncertainty", "u.tif"
    )
    assert result.exit_code == 2
    assert "u.tif: is of one run, and --separate has many" in result.stderr


@pytest.mark.parametrize("flag", ["--uncertainty", "--counts"])
def test_of_an_image_that_is_too_large_to_be_loaded_there_is_none(tmp_path, monkeypatch, flag):
    path, out = (
        tmp_path / "large.tif",
        tmp_path / f"o{'.tif' if flag == '--uncertainty' else '.csv'}",
    )
    tifffile.imwrite(path, coins()[:100, :100], photometric="minisblack")
    monkeypatch.setattr("napari_unsupseg.image.tiling.LOADED_VALUES", 1000)
    result = call("segment", path, "-o", tmp_path / "o.ome.zarr", flag, out, *QUICK)
    assert result.exit_code == 1
    assert f"large.tif: is too large to be loaded, which {flag} needs; crop it" in result.stderr
