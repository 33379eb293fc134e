"""Labels layers of an image, without a window."""

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_unsupseg import Settings
from napari_unsupseg.errors import ImageError
from napari_unsupseg.plugin.labels_layers import (
    add_labels_layer,
    labels_keywords,
    pyramid_if_large,
    replace_labels,
    show_names,
)
from napari_unsupseg.plugin.layers import check_large_layer
from napari_unsupseg.plugin.layout import Layout


def image_of(shape, **kwargs) -> Image:
    return Image(np.zeros(shape, np.uint8), **kwargs)


@settings(deadline=None)  # the first example imports
@given(
    scale=st.tuples(*[st.floats(0.1, 10)] * 3),
    translate=st.tuples(*[st.floats(-50, 50)] * 3),
    axes=st.sampled_from(["cyx", "zyx", "yxc"]),
)
def test_labels_lie_where_their_image_lies(scale, translate, axes):
    layer = image_of((3, 7, 8), scale=scale, translate=translate)
    layout = Layout.of(layer, axes)
    labels = Labels(layout.blank_labels(9), **labels_keywords(layer, layout))
    shared = slice(3 - labels.ndim, None)
    for point in ((0, 0, 0), (2, 6, 7)):
        world = layer.data_to_world(point)[shared]
        np.testing.assert_allclose(labels.data_to_world(point[shared]), world)


@pytest.mark.parametrize(
    "moved",
    [
        pytest.param({"scale": (5, 0.5, 0.25)}, id="calibrated"),
        pytest.param({"translate": (0, 3, 4)}, id="moved"),
        pytest.param({"units": ("pixel", "um", "um")}, id="given a unit"),
        pytest.param({"affine": np.diag([1, 2, 3, 1])}, id="registered"),
    ],
)
@pytest.mark.parametrize("axes", ["cyx", "zyx", "yxc"])
def test_labels_go_where_their_image_goes(moved, axes):
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((2, 7, 8), np.uint8))
    layout = Layout.of(image, axes)
    labels = add_labels_layer(viewer, image, layout, layout.blank_labels(9), "segments")
    for name, value in moved.items():
        setattr(image, name, value)
    expected = Labels(layout.blank_labels(9), **labels_keywords(image, layout))
    assert labels.units == expected.units
    for corner in np.ndindex((2,) * labels.ndim):
        np.testing.assert_allclose(labels.data_to_world(corner), expected.data_to_world(corner))
    image.data = np.zeros((4, 5), np.uint8)  # of other axes, which the labels do not have
    image.scale = (2, 2)
    np.testing.assert_allclose(labels.scale, expected.scale)


@pytest.mark.parametrize("is_locked", [True, False])
def test_no_stroke_on_earlier_labels_comes_back(is_locked):
    layer = Labels(np.ones((6, 7), np.uint8))
    layer.paint((2, 2), 5)
    layer.mode = "fill"
    layer.editable = not is_locked
    replace_labels(layer, np.full((6, 7), 3, np.uint8))
    layer.undo()
    assert np.unique(layer.data).tolist() == [3]
    assert layer.editable == (not is_locked)
    assert layer.mode == ("pan_zoom" if is_locked else "fill")


@pytest.fixture
def large(monkeypatch) -> Image:
    monkeypatch.setattr("napari_unsupseg.image.tiling.LOADED_VALUES", 1000)
    return Image(da.zeros((60, 70), np.uint8), name="slide")


def test_a_large_image_has_a_pyramid_and_a_small_one_none(large):
    chosen = Settings(max_clusters=50)
    assert pyramid_if_large(image_of((60, 70)), Layout((60, 70), "yx", False), chosen) is None
    pyramid = pyramid_if_large(large, Layout.of(large, "yx"), chosen)
    assert pyramid.shape == (60, 70)
    assert pyramid.levels[0].dtype == np.uint8


def test_what_a_large_image_cannot_have_is_refused_in_the_words_of_the_panel(large):
    with pytest.raises(ImageError, match="slide is too large to be loaded, which min size would"):
        pyramid_if_large(large, Layout.of(large, "yx"), Settings(min_size=5))
    with pytest.raises(ImageError, match="which strokes would need"):
        check_large_layer(large, strokes=True)
    check_large_layer(large, min_size=1)
    check_large_layer(image_of((60, 70)), strokes=True, min_size=5)


def test_names_of_clusters_are_a_column_until_they_are_gone():
    layer = Labels(np.array([[1, 2]]), features={"index": [1, 2], "area": [5, 6]})
    layer.metadata["napari-unsupseg"] = {"names": {2: "stroma"}}
    show_names(layer)
    assert layer.features["name"].tolist() == ["", "stroma"]
    layer.metadata["napari-unsupseg"] = {"names": {}}
    show_names(layer)
    assert list(layer.features) == ["index", "area"]
