import json

import numpy as np
import pytest
import roifile
import tifffile
from imageio.v3 import imread, imwrite
from skimage.data import coins

from napari_unsupseg import segment
from napari_unsupseg.io.tiff import read_tiff_record

from .conftest import SMALL
from .io.test_object_files import fill_roi, polygons_of, read_features
from .io.test_outlines import fill
from .test_cli import QUICK, call, read_rows
from .test_segment_objects import movie  # noqa: F401

GREY = {"photometric": "minisblack"}


@pytest.fixture
def coins_file(tmp_path):
    path = tmp_path / "coins.png"
    imwrite(path, coins()[::2, ::2])
    return path


def test_objects_are_those_of_the_library_and_counted(coins_file, tmp_path):
    out, table, report = (tmp_path / name for name in ("out.tif", "out.csv", "report.json"))
    options = ["--objects", "--split", 0.3, "--max-size", 600, "--exclude-border"]
    files = ["-o", out, "--table", table]
    result = call("segment", coins_file, *files, "--json", report, *options, *QUICK)
    assert result.exit_code == 0, result.output
    objects = segment(
        imread(coins_file), objects=True, split=0.3, max_size=600, exclude_border=True, **SMALL
    )
    np.testing.assert_array_equal(tifffile.imread(out), objects)
    n_objects = int(objects.max())
    assert n_objects > 10
    assert f"{n_objects} objects of " in result.stdout
    areas = [float(row["area"]) for row in read_rows(table)]
    assert areas == np.bincount(objects.ravel())[1:].tolist()
    assert json.loads(report.read_text())["images"][0]["objects"] == n_objects
    again = call("segment", coins_file, *files, *options, *QUICK)
    assert "done already" in again.stdout
    otherwise = call("segment", coins_file, *files, "--objects", *QUICK)
    assert "exists already" in otherwise.stderr


@pytest.mark.parametrize("flag", ["--min-size", "--min-area"])
def test_the_smallest_object_is_one_of_those_that_are_found(coins_file, tmp_path, flag):
    network = tmp_path / "one.unsupseg"
    saved = call("segment", coins_file, "-o", tmp_path / "clusters.tif", "--save", network, *QUICK)
    assert saved.exit_code == 0, saved.output

    def areas(command, limit, *more):
        table = tmp_path / f"{command}{limit}.csv"
        files = ["-o", table.with_suffix(".tif"), "--table", table, "--pixel-size", 1]
        result = call(command, *more, coins_file, *files, "--objects", flag, limit)
        assert result.exit_code == 0, result.output
        return [float(row["area_um2"]) for row in read_rows(table)]

    for command, more in (("segment", QUICK), ("apply", [network])):
        found = areas(command, 1, *more)
        limit = sorted(found)[len(found) // 2]
        assert areas(command, int(limit), *more) == [area for area in found if area >= limit]


def test_slices_are_as_far_apart_as_is_said(movie, tmp_path):  # noqa: F811
    path, columns = tmp_path / "volume.tif", {}
    tifffile.imwrite(path, np.concatenate([movie[:1]] * 6).astype(np.float32), **GREY)
    for name, more in (("unknown", []), ("known", ["--z-spacing", 3])):
        table = tmp_path / f"{name}.csv"
        files = ["-o", table.with_suffix(".tif"), "--table", table, "--pixel-size", 0.5, *more]
        axes = ["--axes", "zyx", "--spatial-ndim", 3]
        result = call("segment", path, *files, *axes, "--objects", *QUICK)
        assert result.exit_code == 0, result.output
        assert ("give --z-spacing" in result.stderr) == (name == "unknown")
        columns[name] = read_rows(table)[0]
    voxels = float(columns["unknown"]["area_um2"]) / 0.25
    assert voxels > 1000
    assert float(columns["known"]["volume_um3"]) == voxels * 0.25 * 1.5


@pytest.mark.parametrize("kind", ["--objects", "--segments", "--connected"])
def test_outlines_are_those_of_the_labels_and_have_their_measurements(coins_file, tmp_path, kind):
    out, table = tmp_path / "out.tif", tmp_path / "out.csv"
    geojson, rois = tmp_path / "out.geojson", tmp_path / "out.zip"
    files = ["-o", out, "--table", table, "--geojson", geojson, "--rois", rois]
    result = call("segment", coins_file, *files, kind, "--pixel-size", 0.5, *QUICK)
    assert result.exit_code == 0, result.output
    labels = tifffile.imread(out)
    rows = {int(row.pop("label")): row for row in read_rows(table)}
    assert len(rows) == labels.max() > 5
    in_features, in_regions = np.zeros_like(labels), np.zeros_like(labels)
    for feature in read_features(geojson):
        label = int(feature["properties"]["name"])
        in_features[fill(polygons_of(feature["geometry"]), labels.shape)] = label
        measured = feature["properties"]["measurements"]
        assert measured == {name: float(value) for name, value in rows[label].items()}
    for roi in roifile.roiread(rois):
        in_regions[fill_roi(roi, labels.shape)] = int(roi.name)
        assert roi.properties["area_um2"] == float(rows[int(roi.name)]["area_um2"])
    np.testing.assert_array_equal(in_features, labels)
    np.testing.assert_array_equal(in_regions, labels)
    assert f"  geojson  {geojson}" in result.stdout
    assert f"  rois     {rois}" in result.stdout


@pytest.mark.parametrize("how", [[], ["--separate"]], ids=["jointly", "separately"])
def test_an_object_of_a_movie_has_one_number(movie, tmp_path, how):  # noqa: F811
    path, out = tmp_path / "movie.tif", tmp_path / "out.tif"
    tifffile.imwrite(path, movie.astype(np.float32), metadata={"axes": "TYX"}, **GREY)
    result = call("segment", path, "-o", out, "--objects", *how, *QUICK)
    assert result.exit_code == 0, result.output
    assert [np.unique(frame).tolist() for frame in tifffile.imread(out)] == [[0, 1, 2]] * 3
    assert read_tiff_record(out)["objects"] == 2


def test_a_trained_network_finds_objects_in_other_images(coins_file, tmp_path):
    network, out = tmp_path / "coins.unsupseg", tmp_path / "other.tif"
    other = tmp_path / "other.png"
    imwrite(other, coins()[1::2, 1::2])
    saved = call("segment", coins_file, "-o", tmp_path / "o.tif", "--save", network, *QUICK)
    assert saved.exit_code == 0, saved.output
    result = call("apply", network, other, "-o", out, "--objects", "--max-size", 400)
    assert result.exit_code == 0, result.output
    sizes = np.bincount(tifffile.imread(out).ravel())[1:]
    assert len(sizes) > 10
    assert sizes.max() <= 400


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param(["--objects", "--segments"], "--segments and --objects are two", id="both"),
        pytest.param(["--objects", "--n-segments", 5], "two kinds of labels", id="a cut"),
        pytest.param(
            ["--objects", "--segments", "--connected"], "three kinds of labels", id="all three"
        ),
        pytest.param(["--geojson", "o.geojson"], "o.geojson: outlines are those of", id="geojson"),
        pytest.param(["--rois", "rois/"], "coins_rois.zip: outlines are those of", id="rois"),
        pytest.param(["--split", 0.3], "--split: for objects alone", id="split alone"),
        pytest.param(["--exclude-border"], "give --objects too", id="border alone"),
        pytest.param(["--objects", "--split", 3], "split must be a number", id="split above 1"),
        pytest.param(["--objects", "--split", "nan"], "split must be a number", id="split NaN"),
        pytest.param(
            ["--objects", "--max-size", 5, "--min-size", 9], "no object fits", id="none between"
        ),
    ],
)
def test_what_cannot_be_is_refused(coins_file, tmp_path, options, sentence):
    result = call("segment", coins_file, "-o", tmp_path / "out.tif", *options, *QUICK)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert not (tmp_path / "out.tif").exists()


def test_an_area_above_the_largest_object_is_refused_before_training(coins_file, tmp_path):
    sizes = ["--min-area", 600, "--pixel-size", 0.5, "--max-size", 300]
    result = call("segment", coins_file, "-o", tmp_path / "o.tif", "--objects", *sizes, *QUICK)
    assert result.exit_code == 1
    assert "--min-area 600 is 2,400 pixels and --max-size 300: no object fits" in result.stderr


def test_an_area_is_that_of_the_smallest_object(coins_file, tmp_path):
    out = tmp_path / "o.tif"
    sizes = ["--min-area", 100, "--pixel-size", 0.5]
    result = call("segment", coins_file, "-o", out, "--objects", *sizes, *QUICK)
    assert result.exit_code == 0, result.output
    assert np.bincount(tifffile.imread(out).ravel())[1:].min() >= 400
