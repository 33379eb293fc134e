"""Image layers in, Labels layers out, without a window."""

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Image, Labels

from napari_unsupseg import Settings
from napari_unsupseg.errors import ImageError
from napari_unsupseg.plugin.layers import (
    axes_choices,
    blank_labels,
    blank_pyramid,
    check_large_layer,
    from_layer_axes,
    labels_keywords,
    layer_array,
    pyramid_if_large,
    region_features,
    show_cluster_names,
    to_layer_axes,
    training_frames,
    voxel_spacing,
)


def image_of(shape, **kwargs) -> Image:
    return Image(np.zeros(shape, np.uint8), **kwargs)


KINDS = [
    pytest.param((7, 8), "yx", False, (7, 8), id="grey"),
    pytest.param((7, 8, 3), "yxs", True, (7, 8), id="colour"),
    pytest.param((2, 7, 8), "cyx", False, (7, 8), id="channels first"),
    pytest.param((7, 2, 8), "ycx", False, (7, 2, 8), id="channels between"),
    pytest.param((7, 8, 2), "yxc", False, (7, 8, 2), id="channels last"),
    pytest.param((5, 2, 7, 8), "zcyx", False, (5, 2, 7, 8), id="stack of channels"),
]


@pytest.mark.parametrize(("shape", "axes", "rgb", "expected"), KINDS)
def test_blank_labels_have_the_axes_of_their_layer(shape, axes, rgb, expected):
    layer = image_of(shape, rgb=rgb)
    labels = blank_labels(layer, axes, 300)
    assert labels.shape == expected
    assert labels.dtype == np.uint16
    assert not labels.any()
    pyramid = blank_pyramid(layer, axes, 300)
    assert pyramid.levels[0].shape == expected
    assert pyramid.levels[0].dtype == np.uint16


@pytest.mark.parametrize(("shape", "axes", "rgb", "expected"), KINDS)
def test_labels_go_to_the_axes_of_a_layer_and_back(shape, axes, rgb, expected):
    layer = image_of(shape, rgb=rgb)
    lengths = [n for n, axis in zip(shape, axes, strict=True) if axis not in "cs"]
    labels = np.random.default_rng(0).integers(1, 9, lengths).astype(np.uint8)
    data = to_layer_axes(labels, layer, axes)
    assert data.shape == expected
    np.testing.assert_array_equal(from_layer_axes(data, layer, axes), labels)


@pytest.mark.parametrize(
    ("shape", "kwargs", "first", "others"),
    [
        pytest.param((7, 8), {}, "yx", [], id="grey"),
        pytest.param((7, 8, 3), {"rgb": True}, "yxs", [], id="colour"),
        pytest.param((5, 7, 8, 3), {"rgb": True}, "zyxs", [], id="stack in colour"),
        pytest.param((5, 7, 8), {}, None, ["zyx", "tyx", "cyx", "ycx", "yxc"], id="three axes"),
        pytest.param(
            (5, 7, 8), {"axis_labels": ("z", "y", "x")}, "zyx", ["tyx", "cyx", "ycx", "yxc"],
            id="three axes with names",
        ),
    ],
)  # fmt: skip
def test_axes_to_choose_from(shape, kwargs, first, others):
    choices = [axes for _, axes in axes_choices(image_of(shape, **kwargs))]
    assert choices == [first, *others]


def test_the_finest_level_counts_and_zarr_becomes_dask():
    pixels = np.zeros((600, 700), np.uint8)
    assert layer_array(Image([pixels, pixels[::2, ::2]], multiscale=True)).shape == (600, 700)
    stored = Image(zarr.create_array({}, data=pixels, chunks=(100, 100)))
    assert isinstance(layer_array(stored), da.Array)


@pytest.mark.parametrize(
    ("shape", "axes", "spatial_ndim", "frame", "n_frames"),
    [
        pytest.param((7, 8), "yx", 2, (7, 8), 1, id="grey"),
        pytest.param((5, 7, 8), "zyx", 2, (7, 8), 5, id="planes"),
        pytest.param((5, 7, 8), "zyx", 3, (5, 7, 8), 1, id="volume"),
        pytest.param((4, 2, 5, 7, 8), "tczyx", 3, (5, 7, 8), 4, id="volumes of channels"),
    ],
)
def test_frames(shape, axes, spatial_ndim, frame, n_frames):
    assert training_frames(image_of(shape), axes, spatial_ndim) == (frame, n_frames)


def test_voxels_have_the_spacing_of_the_layer():
    layer = image_of((2, 5, 7, 8), scale=(1, 3, -0.5, 0.25))
    assert voxel_spacing(layer, "czyx") == (3, 0.5, 0.25)


@settings(deadline=None)  # the first example imports
@given(
    scale=st.tuples(*[st.floats(0.1, 10)] * 3),
    translate=st.tuples(*[st.floats(-50, 50)] * 3),
    axes=st.sampled_from(["cyx", "zyx", "yxc"]),
)
def test_labels_lie_where_their_image_lies(scale, translate, axes):
    layer = image_of((3, 7, 8), scale=scale, translate=translate)
    labels = Labels(blank_labels(layer, axes, 9), **labels_keywords(layer, axes))
    shared = slice(3 - labels.ndim, None)
    for point in ((0, 0, 0), (2, 6, 7)):
        world = layer.data_to_world(point)[shared]
        np.testing.assert_allclose(labels.data_to_world(point[shared]), world)


@pytest.fixture
def large(monkeypatch) -> Image:
    monkeypatch.setattr("napari_unsupseg.image.tiling.LOADED_VALUES", 1000)
    return Image(da.zeros((60, 70), np.uint8), name="slide")


def test_a_large_image_has_a_pyramid_and_a_small_one_none(large):
    chosen = Settings(max_clusters=50)
    assert pyramid_if_large(image_of((60, 70)), "yx", chosen) is None
    pyramid = pyramid_if_large(large, "yx", chosen)
    assert pyramid.shape == (60, 70)
    assert pyramid.levels[0].dtype == np.uint8


def test_what_a_large_image_cannot_have_is_refused_in_the_words_of_the_panel(large):
    with pytest.raises(ImageError, match="slide is too large to be loaded, which min size would"):
        pyramid_if_large(large, "yx", Settings(min_size=5))
    with pytest.raises(ImageError, match="which strokes would need"):
        check_large_layer(large, strokes=True)
    check_large_layer(large, min_size=1)
    check_large_layer(image_of((60, 70)), strokes=True, min_size=5)


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
    layer = image_of((2, 3), units=units, scale=scale)
    labels = np.array([[4, 4, 7], [7, 7, 7]], np.uint8)
    features = region_features(labels, layer, "yx")
    assert features["index"].tolist() == [4, 7]
    [(name, values)] = area.items()
    assert features[name].tolist() == values


def test_names_of_clusters_are_a_column_until_they_are_gone():
    layer = Labels(np.array([[1, 2]]), features={"index": [1, 2], "area": [5, 6]})
    layer.metadata["napari-unsupseg"] = {"names": {2: "stroma"}}
    show_cluster_names(layer)
    assert layer.features["name"].tolist() == ["", "stroma"]
    layer.metadata["napari-unsupseg"] = {"names": {}}
    show_cluster_names(layer)
    assert list(layer.features) == ["index", "area"]
