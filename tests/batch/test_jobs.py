from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_unsupseg import Settings
from napari_unsupseg.batch.jobs import Job, JobImage, JobOptions, labels_file_name
from napari_unsupseg.io.pixel_size import PixelSize


def options(**keywords) -> JobOptions:
    return JobOptions(settings=Settings(), device="cpu", **keywords)


# as files of older versions have it: were it another, their labels would be made again
DEFAULT_RECORD = {
    "axes": None,
    "channel_axis": None,
    "spatial_ndim": 2,
    "joint": True,
    "z_spacing": None,
    "connected": False,
    "segments": False,
    "granularity": None,
    "n_segments": None,
    "min_area": None,
    "pixel_size": None,
    "network": None,
    "strokes": None,
    "applied": False,
}


@pytest.mark.parametrize(
    ("keywords", "changed"),
    [
        pytest.param({}, {}, id="defaults"),
        pytest.param({"image": {"axes": "zyx"}}, {"axes": "zyx"}, id="axes"),
        pytest.param({"image": {"channel_axis": 0}}, {"channel_axis": 0}, id="channel axis"),
        pytest.param(
            {"image": {"spatial_ndim": 3, "spacing": (4.0, 1, 1)}},
            {"spatial_ndim": 3, "z_spacing": 4.0},
            id="volume",
        ),
        pytest.param({"image": {"spacing": (6, 2, 2)}}, {"z_spacing": 3}, id="spacing, scaled"),
        pytest.param({"joint": False}, {"joint": False}, id="separate"),
        pytest.param({"connected": True}, {"connected": True}, id="connected"),
        pytest.param({"segments": True}, {"segments": True}, id="segments"),
        pytest.param({"cut": {"granularity": 0.2}}, {"granularity": 0.2}, id="granularity"),
        pytest.param({"cut": {"n_segments": 7}}, {"n_segments": 7}, id="number"),
        pytest.param(
            {"pixel_size": 0.5, "min_area": 3.0}, {"pixel_size": 0.5, "min_area": 3.0}, id="area"
        ),
        pytest.param(
            {"network": Path("a/n.unsupseg"), "apply_only": True},
            {"network": "n.unsupseg", "applied": True},
            id="applied",
        ),
        pytest.param({"strokes": Path("a/s.tif")}, {"strokes": "s.tif"}, id="strokes"),
        pytest.param({"overwrite": True}, {}, id="overwrite decides no labels"),
    ],
)
def test_the_record_has_the_same_keys_in_every_version(keywords, changed):
    assert options(**keywords).to_dict() == DEFAULT_RECORD | changed


@pytest.mark.parametrize(
    ("keywords", "segments", "regions"),
    [
        pytest.param({}, False, False, id="clusters"),
        pytest.param({"connected": True}, False, True, id="connected components"),
        pytest.param({"segments": True}, True, True, id="segments"),
        pytest.param({"cut": {"granularity": 0.0}}, True, True, id="granularity 0"),
        pytest.param({"cut": {"granularity": None, "n_segments": 3}}, True, True, id="number"),
        pytest.param({"cut": {"granularity": None, "n_segments": None}}, False, False, id="none"),
    ],
)
def test_which_kind_of_labels_is_asked_for(keywords, segments, regions):
    assert options(**keywords).wants_segments is segments
    assert options(**keywords).wants_regions is regions


def test_every_result_that_is_asked_for():
    job = Job(Path("i.png"), Path("o.tif"), table=Path("t.csv"))
    assert job.results == [Path("o.tif"), Path("t.csv")]


@pytest.mark.parametrize(
    ("pixel_size", "expected"),
    [
        pytest.param(None, {}, id="unknown"),
        pytest.param(
            PixelSize(0.5, 0.25, "um", 3, (9, 8, 7)),
            {
                "spacing": {"z": 3, "y": 0.5, "x": 0.25},
                "unit": "um",
                "origin": {"z": 9, "y": 8, "x": 7},
            },
            id="known",
        ),
    ],
)
def test_units_of_measurements(pixel_size, expected):
    assert JobImage(np.zeros((4, 5)), "yx", pixel_size).units == expected


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param("a.png", "a_labels.tif", id="PNG"),
        pytest.param("a.tif", "a_labels.tif", id="small TIFF"),
        pytest.param("large.ome.tif", "large_labels.ome.zarr", id="large TIFF"),
        pytest.param("a.ome.zarr", "a_labels.ome.zarr", id="OME-Zarr"),
    ],
)
def test_names_of_labels(tmp_path, monkeypatch, image, expected):
    monkeypatch.setattr("napari_unsupseg.image.tiling.LOADED_VALUES", 100)
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((10, 10), np.uint8))
    tifffile.imwrite(tmp_path / "large.ome.tif", np.zeros((10, 11), np.uint8))
    assert labels_file_name(tmp_path / image) == expected
