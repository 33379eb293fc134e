"""What is measured of the regions of a layer."""

import numpy as np
import pytest
from napari.layers import Labels

from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.plugin.layout import Layout
from napari_unsupseg.plugin.region_tables import calibration_of, region_features

from ..conftest import SMALL


@pytest.mark.parametrize(
    ("units", "scale", "area"),
    [
        pytest.param(("um", "um"), (0.5, 2), {"area_um2": [2, 4]}, id="micrometres"),
        pytest.param(("pixel", "pixel"), (0.5, 2), {"area": [2, 4]}, id="pixels"),
        pytest.param(("um", "nm"), (0.5, 2), {"area": [2, 4]}, id="two units"),
        pytest.param(("um", "um"), (2, 2), {"area_um2": [8, 16]}, id="larger pixels"),
    ],
)
def test_regions_are_measured_in_the_units_of_the_layer(units, scale, area):
    labels = np.array([[4, 4, 7], [7, 7, 7]], np.uint8)
    layout = Layout((2, 3), "yx", is_rgb=False)
    calibration = calibration_of(Labels(labels, units=units, scale=scale), layout)
    features = region_features(labels, np.zeros((2, 3), np.uint8), layout, calibration)
    assert features["index"].tolist() == [4, 7]
    [(name, values)] = area.items()
    assert features[name].tolist() == values


@pytest.mark.parametrize(
    ("turn", "y"),
    [
        pytest.param({}, 100.25, id="moved"),
        pytest.param({"rotate": 30}, 0.25, id="rotated"),
        pytest.param({"shear": [0.5]}, 0.25, id="sheared"),
        pytest.param({"affine": [[1, 0, 7], [0, 1, 0], [0, 0, 1]]}, 0.25, id="affine"),
    ],
)
def test_centroids_of_a_turned_layer_are_along_its_own_axes(turn, y):
    labels = np.ones((2, 3), np.uint8)
    layout = Layout((2, 3), "yx", is_rgb=False)
    place = {"units": ("um", "um"), "scale": (0.5, 2), "translate": (100, 0)}
    calibration = calibration_of(Labels(labels, **place, **turn), layout)
    features = region_features(labels, np.zeros((2, 3), np.uint8), layout, calibration)
    assert features["centroid_y_um"].tolist() == [y]
    assert features["centroid_x_um"].tolist() == [2]
    assert features["area_um2"].tolist() == [6]


def test_objects_of_a_movie_have_means_clusters_and_scores():
    image = np.random.default_rng(0).normal(0, 0.02, (2, 40, 60)).astype(np.float32)
    objects, clusters = np.zeros((2, *image.shape), np.uint8)
    objects[0, 5:15, 5:15], objects[1, 5:15, 5:25], objects[1, 20:30, 40:50] = 1, 1, 3
    clusters[:] = np.where(objects, 5, 2)
    image[objects > 0] += 1
    hierarchy = Segmenter(Settings(**SMALL)).fit(image, axes="tyx").hierarchy_
    layout, pixels = (
        Layout(image.shape, "tyx", is_rgb=False),
        {"spacing": {}, "origin": {}, "unit": ""},
    )
    features = region_features(
        objects, image, layout, pixels, objects_ndim=2, clusters=clusters, hierarchy=hierarchy
    )
    assert "t" not in features
    assert features["index"].tolist() == [1, 3]
    assert features["area"].tolist() == [150, 100]
    assert features["cluster"].tolist() == [5, 5]
    by_frame = hierarchy.score_objects(objects, by_frame=True)
    for name, (first, second, third) in by_frame.items():
        np.testing.assert_allclose(features[name], [(first + second) / 2, third])
    assert features["score"].max() > 0.5
