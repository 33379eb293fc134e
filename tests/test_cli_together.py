"""One network for several files: ``segment --together``."""

import json

import numpy as np
import pytest
import tifffile
from imageio.v3 import imwrite

import napari_unsupseg.image.tiling
from napari_unsupseg import Segmenter, Settings, segment
from napari_unsupseg.io.tiff import read_tiff_record

from .conftest import SMALL
from .test_cli import QUICK, call, read_rows
from .test_cli_files import line_of


@pytest.fixture
def place(tmp_path, grey, rgb, monkeypatch):
    """Return the current folder, with images of two sizes, and one of other channels."""
    monkeypatch.chdir(tmp_path)
    imwrite("a.png", grey)
    imwrite("b.png", grey[:50, 20:])
    imwrite("colour.png", rgb)
    return tmp_path


def test_labels_are_those_of_the_library(place, grey):
    call_of = ["segment", "a.png", "b.png", "--together", "-o", "out", "--save", "both.unsupseg"]
    result = call(*call_of, "--table", "all.csv", *QUICK)
    assert result.exit_code == 0, result.output
    images = [grey, grey[:50, 20:]]
    expected = segment(images, **SMALL)
    for name, labels in zip("ab", expected, strict=True):
        np.testing.assert_array_equal(tifffile.imread(f"out/{name}_labels.tif"), labels)
        record = read_tiff_record(place / f"out/{name}_labels.tif")
        assert record["image"] == f"{name}.png"
        assert record["options"]["together"] == ["a.png", "b.png"]
    assert {row["image"] for row in read_rows(place / "all.csv")} == {"a.png", "b.png"}
    loaded = Segmenter.load("both.unsupseg")
    fitted = Segmenter(Settings.from_dict(SMALL)).fit(images)
    np.testing.assert_array_equal(loaded.predict(grey), fitted.predict(grey))
    # the same call again has nothing to do
    again = call(*call_of, "--table", "all.csv", *QUICK)
    assert again.output.count("done already") == 2
    # the one that is gone is made again, and the other stays
    place.joinpath("out/b_labels.tif").unlink()
    written = place.joinpath("out/a_labels.tif").stat().st_mtime_ns
    assert call(*call_of, "--table", "all.csv", *QUICK).exit_code == 0
    np.testing.assert_array_equal(tifffile.imread("out/b_labels.tif"), expected[1])
    assert place.joinpath("out/a_labels.tif").stat().st_mtime_ns == written
    # with another image all labels would be others
    more = ["segment", "a.png", "b.png", "c.png", *call_of[3:], *QUICK]
    imwrite("c.png", grey[5:])
    refused = call(*more)
    assert refused.exit_code == 1
    assert "made with other options (together)" in refused.output


def test_each_image_has_objects_and_outlines_of_its_own(place, grey):
    call_of = "segment a.png b.png --together -o out --objects --geojson out --uncertainty out"
    result = call(*call_of.split(), "--json", "s.json", *QUICK)
    assert result.exit_code == 0, result.output
    expected = segment([grey, grey[:50, 20:]], objects=True, **SMALL)
    reports = json.loads(place.joinpath("s.json").read_text())["images"]
    for name, labels, report in zip("ab", expected, reports, strict=True):
        np.testing.assert_array_equal(tifffile.imread(f"out/{name}_labels.tif"), labels)
        assert report["objects"] == labels.max()
        assert report["image"] == f"{name}.png"
        found = json.loads(place.joinpath(f"out/{name}.geojson").read_text())
        assert len(found["features"]) == labels.max()
        assert tifffile.imread(f"out/{name}_uncertainty.tif").shape == labels.shape


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param("a.png colour.png -o out", "a.png has 1 channel and colour.png is RGB: one "
                     "network takes images of the same channels", id="other channels"),
        pytest.param("a.png b.png -o out --separate", "--separate has many", id="separate"),
        pytest.param("a.png b.png -o out --workers 2", "one process", id="workers"),
        pytest.param("a.png b.png -o out --save nets/", "name a file", id="a folder of networks"),
        pytest.param("a.png b.png -o out --strokes a.png", "is drawn on one image", id="strokes"),
        pytest.param("a.png -o out --strokes a.png", "is drawn on one image", id="strokes alone"),
        pytest.param("a.png b.png -o out.tif", "is one file, and there are 2", id="one result"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_together_is_refused(place, arguments, sentence):
    result = call("segment", *arguments.split(), "--together", *QUICK)
    assert result.exit_code > 0
    assert sentence in line_of(result.output), result.output
    assert not list(place.glob("out/*"))


def test_images_of_other_pixels_have_no_smallest_area_in_common(place, grey):
    for name, side in (("fine.tif", 1.0), ("coarse.tif", 4.0)):
        tifffile.imwrite(
            name, grey, imagej=True, resolution=(1 / side, 1 / side), metadata={"unit": "um"}
        )
    images = ["segment", "fine.tif", "coarse.tif", "--together", "-o", "out"]
    result = call(*images, "--min-area", 32, *QUICK)
    assert result.exit_code == 1
    assert "is 32 and 2 of them: give --min-size in pixels" in result.output
    assert result.output.count("error: fine.tif and coarse.tif") == 1
    assert call(*images, "--min-size", 8, *QUICK).exit_code == 0


def test_volumes_of_other_spacings_are_refused(place, grey):
    stack = np.stack([grey] * 3)
    for name, spacing in (("near.tif", 1.0), ("far.tif", 3.0)):
        metadata = {"axes": "ZYX", "unit": "um", "spacing": spacing}
        tifffile.imwrite(name, stack, imagej=True, resolution=(1, 1), metadata=metadata)
    call_of = ["segment", "near.tif", "far.tif", "--together", "-o", "out", "--spatial-ndim", 3]
    result = call(*call_of, *QUICK)
    assert result.exit_code == 1
    assert "have voxels of different shapes: give --z-spacing" in result.output
    result = call(*call_of, "--z-spacing", 2, *QUICK)
    assert result.exit_code == 0, result.output


def test_an_image_too_large_to_be_loaded_is_named(place, grey, monkeypatch):
    result = call("segment", "a.png", "-o", "big.ome.zarr", *QUICK)
    assert result.exit_code == 0, result.output
    monkeypatch.setattr(napari_unsupseg.image.tiling, "LOADED_VALUES", 100)
    result = call("segment", "a.png", "big.ome.zarr", "--together", "-o", "out", *QUICK)
    assert result.exit_code == 1
    assert "big.ome.zarr: is too large to be loaded" in result.output
