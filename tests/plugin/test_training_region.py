"""Regions without a window; tests/gui/test_training_region.py has those of the screen."""

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_unsupseg.errors import ImageError
from napari_unsupseg.image.tiling import CROP, crop_slices
from napari_unsupseg.plugin.large.pyramid import LabelPyramid
from napari_unsupseg.plugin.training_region import (
    RECTANGLE,
    SCREEN,
    WHOLE,
    TrainingRegion,
    find_region,
)

HALF = (slice(8, 56), slice(20, 76))


def rectangle(region, margin=0.5):
    """Return the corners of a rectangle around pixels."""
    rows, columns = region
    low, high = (rows.start, columns.start), (rows.stop - 1, columns.stop - 1)
    return np.array([low, (low[0], high[1]), high, (high[0], low[1])]) + margin * np.array(
        [[-1, -1], [-1, 1], [1, 1], [1, -1]]
    )


@pytest.fixture
def model():
    """Return a viewer without a window, which is where rectangles are."""
    return ViewerModel()


TRANSFORMS = {
    "pixels": {},
    "scaled and moved": {"scale": (0.5, 2.25), "translate": (7, -3)},
    "turned": {"rotate": 90, "scale": (2, 3), "translate": (100, 10)},
    "mirrored": {"affine": np.diag([-1.0, 1, 1])},
}


@pytest.mark.parametrize("how", TRANSFORMS.values(), ids=TRANSFORMS)
def test_a_rectangle_in_the_world_is_one_of_pixels(model, how):
    image = model.add_image(np.zeros((90, 100)), **how)
    corners = [image.data_to_world(corner) for corner in rectangle(HALF, margin=0.3)]
    # in a layer that has a scale of its own
    shapes = model.add_shapes(scale=(3, 0.5))
    shapes.add_rectangles(np.array([shapes.world_to_data(corner) for corner in corners]))
    assert find_region(model, image, "yx", RECTANGLE) == HALF


@pytest.mark.parametrize(
    ("shape", "axes", "rgb"),
    [
        pytest.param((4, 90, 100), "zyx", False, id="stack"),
        pytest.param((3, 90, 100), "cyx", False, id="channels"),
        pytest.param((90, 100, 2), "yxc", False, id="channels last"),
        pytest.param((2, 90, 100, 3), "tyxs", True, id="movie in colour"),
    ],
)
def test_a_rectangle_on_any_kind_of_image(model, shape, axes, rgb):
    image = model.add_image(np.zeros(shape), rgb=rgb)
    corners = rectangle(HALF)
    if axes == "yxc":
        corners = np.insert(corners, 2, 0, axis=1)
    model.add_shapes([corners], shape_type="polygon", name="crop")
    assert find_region(model, image, axes, RECTANGLE) == HALF


def test_the_rectangle_is_the_selected_one(model):
    image = model.add_image(np.zeros((90, 100)))
    with pytest.raises(ImageError, match="no rectangle is selected: draw one on Image"):
        find_region(model, image, "yx", RECTANGLE)
    whole = (slice(0, 90), slice(0, 100))
    shapes = model.add_shapes([rectangle(HALF), rectangle(whole)])
    shapes.selected_data = {0}
    assert find_region(model, image, "yx", RECTANGLE) == HALF
    shapes.selected_data = {1}
    assert find_region(model, image, "yx", RECTANGLE) is None, "all of the image"
    shapes.selected_data = {0, 1}
    with pytest.raises(ImageError, match="2 rectangles are selected"):
        find_region(model, image, "yx", RECTANGLE)
    shapes.selected_data = set()
    with pytest.raises(ImageError, match="no rectangle is selected"):
        find_region(model, image, "yx", RECTANGLE)


@pytest.mark.parametrize(
    ("region", "size"),
    [
        pytest.param((slice(10, 20), slice(0, 80)), "10 × 80", id="low"),
        pytest.param((slice(200, 300), slice(0, 80)), "0 × 80", id="beside"),
    ],
)
def test_a_region_must_not_be_too_small(model, region, size):
    image = model.add_image(np.zeros((90, 100)))
    model.add_shapes([rectangle(region)])
    with pytest.raises(ImageError, match=f"has {size} pixels; at least 32 × 32 are needed"):
        find_region(model, image, "yx", RECTANGLE)


def test_the_screen_must_show_the_image_in_two_dimensions(model):
    image = model.add_image(np.zeros((4, 90, 100)))
    model.dims.ndisplay = 3
    with pytest.raises(ImageError, match="turn it so, or train on a rectangle"):
        find_region(model, image, "zyx", SCREEN)
    model.dims.ndisplay = 2
    model.dims.roll()
    with pytest.raises(ImageError, match="turn it so, or train on a rectangle"):
        find_region(model, image, "zyx", SCREEN)


def test_the_whole_image_is_no_region(model):
    assert find_region(model, model.add_image(np.zeros((90, 100))), "yx", WHOLE) is None


REGION = (slice(2, 5), slice(1, 7))


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        pytest.param((8, 9), "yx", id="grey"),
        pytest.param((8, 9, 3), "yxs", id="colour"),
        pytest.param((4, 8, 9), "zyx", id="stack"),
        pytest.param((2, 4, 8, 9), "czyx", id="stack of channels"),
    ],
)
def test_labels_of_a_region_lie_where_it_lies(shape, axes):
    image = np.arange(np.prod(shape)).reshape(shape)
    region = TrainingRegion(image, axes, 2, 0, REGION)
    y = axes.index("y")
    assert region.image.shape[y : y + 2] == (3, 6)
    leading = tuple(n for n, axis in zip(shape, axes, strict=True) if axis in "zt")
    labels = np.arange(1, 1 + np.prod((*leading, 3, 6)), dtype=np.uint8).reshape(*leading, 3, 6)
    whole = region.embed_labels(labels)
    assert whole.shape == (*leading, 8, 9)
    assert np.count_nonzero(whole) == labels.size
    np.testing.assert_array_equal(whole[..., 2:5, 1:7], labels)
    np.testing.assert_array_equal(region.crop_labels(whole), labels)


def test_labels_of_the_whole_image_stay_as_they_are():
    labels = np.ones((8, 9), np.uint8)
    region = TrainingRegion(np.zeros((8, 9)), "yx", 2, 0)
    assert region.embed_labels(labels) is labels


@pytest.mark.parametrize("region", [None, (slice(100, 500), slice(40, 600))])
def test_crops_of_a_large_image_are_written_where_they_lie(monkeypatch, region):
    monkeypatch.setattr("napari_unsupseg.image.tiling.LOADED_VALUES", 1000)
    monkeypatch.setattr("napari_unsupseg.image.tiling.CROPS_PIXELS", 20_000)
    monkeypatch.setitem(CROP, 2, (50, 60))
    image, pyramid = da.zeros((600, 700), np.uint8), LabelPyramid((600, 700), np.uint8)
    crops = TrainingRegion(image, "yx", 2, 3, region, pyramid)
    shape = crops.image.shape
    labels = np.arange(1, 7, dtype=np.uint8)[:, None, None] * np.ones((6, 50, 60), np.uint8)
    assert crops.embed_labels(labels) is labels
    expected = np.zeros((600, 700), np.uint8)
    inside = expected if region is None else expected[region]
    for label, part in enumerate(crop_slices(shape, 2, 3), start=1):
        inside[part] = label
    np.testing.assert_array_equal(pyramid.levels[0], expected)
