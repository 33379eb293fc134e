import json

import numpy as np
import pytest
import roifile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unsupseg.errors import FileError
from napari_unsupseg.io.object_files import write_geojson, write_imagej_rois
from napari_unsupseg.regions.measure import measure_objects

from .test_outlines import as_labels, fill

WRITERS = {"geojson": write_geojson, "zip": write_imagej_rois}
RING = as_labels("00000 01110 01010 01110 00003")


def read_features(path):
    collection = json.loads(path.read_text("utf-8"))
    assert collection["type"] == "FeatureCollection"
    return collection["features"]


def polygons_of(geometry):
    """Return rings as GeoJSON has them, without the last corner, which is the first."""
    polygons = geometry["coordinates"]
    polygons = [polygons] if geometry["type"] == "Polygon" else polygons
    assert all(ring[0] == ring[-1] for polygon in polygons for ring in polygon)
    return [[np.array(ring[:-1]) for ring in polygon] for polygon in polygons]


def fill_roi(roi, shape):
    """Return the pixels in a region of ImageJ: those within an odd number of rings."""
    rings = roi.coordinates(multi=True)
    return np.logical_xor.reduce([fill([[ring]], shape) for ring in rings])


def any_labels(ndim):
    shapes = hnp.array_shapes(min_dims=ndim, max_dims=ndim, max_side=6)
    return hnp.arrays(np.uint16, shapes, elements=st.integers(0, 3))


@given(labels=any_labels(4))
def test_features_filled_again_are_the_labels(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("out") / "a.geojson"
    write_geojson(path, labels, "tzyx")
    read = np.zeros_like(labels)
    for feature in read_features(path):
        plane = feature["geometry"]["plane"]
        assert plane["c"] == -1
        pixels = fill(polygons_of(feature["geometry"]), labels.shape[-2:])
        read[plane["t"], plane["z"]][pixels] = int(feature["properties"]["name"])
    np.testing.assert_array_equal(read, labels)


@given(labels=any_labels(4))
def test_regions_filled_again_are_the_labels(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("out") / "a.zip"
    write_imagej_rois(path, labels, "tzyx")
    read = np.zeros_like(labels)
    for roi in roifile.roiread(path) if labels.any() else []:
        assert (roi.position, roi.c_position) == (0, 0)
        number = int(roi.name.split("-")[-1])
        read[roi.t_position - 1, roi.z_position - 1][fill_roi(roi, labels.shape[-2:])] = number
    np.testing.assert_array_equal(read, labels)


def test_a_feature_has_what_qupath_asks_for(tmp_path):
    path = tmp_path / "a.geojson"
    table = {
        "label": np.array([1, 3]),
        "area_um2": np.array([2.0, 0.25]),
        "solidity": np.array([0.5, np.nan]),
        "cluster": np.array([2, 4]),
        "note": np.array(["a", "b"]),
    }
    write_geojson(path, RING, "yx", table)
    ring, pixel = read_features(path)
    assert {ring["type"], pixel["type"]} == {"Feature"}
    assert "plane" not in ring["geometry"]
    assert len(ring["geometry"]["coordinates"]) == 2  # a hole
    assert ring["properties"] == {
        "objectType": "detection",
        "name": "1",
        "classification": {"name": "Cluster 2", "color": [120, 191, 19]},
        "measurements": {"area_um2": 2.0, "solidity": 0.5, "cluster": 2.0},
    }
    # JSON knows no NaN
    assert pixel["properties"]["measurements"] == {"area_um2": 0.25, "cluster": 4.0}
    assert pixel["geometry"]["coordinates"] == [[[5, 4], [5, 5], [4, 5], [4, 4], [5, 4]]]


def test_a_region_has_what_imagej_shows(tmp_path):
    path = tmp_path / "a.zip"
    table = {"label": np.array([1, 3]), "area": np.array([8, 1]), "cluster": np.array([300, 4])}
    write_imagej_rois(path, RING, "yx", table)
    ring, pixel = roifile.roiread(path)
    assert (ring.name, pixel.name) == ("0001", "0003")
    assert ring.properties == {"area": 8.0, "cluster": 300.0}
    assert (ring.group, pixel.group) == (0, 4)  # ImageJ has 255
    assert ring.composite
    assert (ring.left, ring.top, ring.right, ring.bottom) == (1, 1, 4, 4)
    assert pixel.roitype == roifile.ROI_TYPE.TRACED
    assert not pixel.subpixelresolution


def test_an_object_of_no_known_cluster_has_no_class(tmp_path):
    table = {"label": np.array([1, 3]), "cluster": np.array([np.nan, 7])}
    write_geojson(tmp_path / "a.geojson", RING, "yx", table)
    ring, pixel = read_features(tmp_path / "a.geojson")
    assert "classification" not in ring["properties"]
    assert pixel["properties"]["classification"]["name"] == "Cluster 7"


def test_classes_go_before_clusters(tmp_path):
    table = {
        "label": np.array([1, 3]),
        "cluster": np.array([7, 7]),
        "class": np.array([np.nan, "mitosis"], dtype=object),
    }
    for ending, write in WRITERS.items():
        write(tmp_path / f"a.{ending}", RING, "yx", table)
    ring, pixel = read_features(tmp_path / "a.geojson")
    assert "classification" not in ring["properties"]
    assert pixel["properties"]["classification"]["name"] == "mitosis"
    assert [roi.group for roi in roifile.roiread(tmp_path / "a.zip")] == [0, 1]


def test_each_frame_has_its_own_measurements(tmp_path):
    labels = np.stack([RING, RING[::-1]])
    labels[1, 2, 2] = 1  # the hole is closed
    table = measure_objects(labels, labels[np.newaxis], axes="tyx")
    for ending, write in WRITERS.items():
        write(tmp_path / f"a.{ending}", labels, "tyx", table)
    features = read_features(tmp_path / "a.geojson")
    places = [feature["geometry"]["plane"]["t"] for feature in features]
    measured = [feature["properties"]["measurements"]["area"] for feature in features]
    assert (places, measured) == ([0, 0, 1, 1], [8, 1, 9, 1])
    rois = roifile.roiread(tmp_path / "a.zip")
    # one axis is that of a stack, in which a place is one number
    assert [(roi.position, roi.t_position) for roi in rois] == [(1, 0), (1, 0), (2, 0), (2, 0)]
    assert [roi.name for roi in rois] == ["t001-0001", "t001-0003", "t002-0001", "t002-0003"]
    assert [roi.properties["area"] for roi in rois] == [8, 1, 9, 1]


def test_a_volume_has_its_measurements_in_every_plane(tmp_path):
    labels = np.stack([RING] * 2)
    table = measure_objects(labels, labels[np.newaxis], axes="zyx", spatial_ndim=3)
    write_geojson(tmp_path / "a.geojson", labels, "zyx", table)
    features = read_features(tmp_path / "a.geojson")
    assert [feature["geometry"]["plane"]["z"] for feature in features] == [0, 0, 1, 1]
    assert [f["properties"]["measurements"]["volume"] for f in features] == [16, 2, 16, 2]


def test_a_region_far_from_the_corner_lies_where_it_does(tmp_path):
    labels = np.zeros((2, 70_000), dtype=np.uint8)
    labels[0, 65_000:] = 1
    write_imagej_rois(tmp_path / "a.zip", labels, "yx")
    [roi] = roifile.roiread(tmp_path / "a.zip")
    assert sorted(map(tuple, roi.coordinates().tolist())) == [
        (65_000, 0),
        (65_000, 1),
        (70_000, 0),
        (70_000, 1),
    ]


@pytest.mark.parametrize("ending", WRITERS)
def test_no_objects_make_an_empty_file_and_a_file_is_replaced(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    WRITERS[ending](path, RING, "yx")
    full = path.stat().st_size
    WRITERS[ending](path, np.zeros_like(RING), "yx")
    assert 0 < path.stat().st_size < full
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", WRITERS)
def test_a_place_that_cannot_be_written_is_named(tmp_path, ending):
    path = tmp_path / "not there" / f"a.{ending}"
    with pytest.raises(FileError, match=r"not there.*cannot be written"):
        WRITERS[ending](path, RING, "yx")
