"""What is read off an Image layer, without a window."""

from types import SimpleNamespace

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.layers import Image

from napari_unsupseg.errors import UnsupsegError
from napari_unsupseg.plugin.layers import (
    axes_choices,
    check_image_layer,
    layer_array,
    training_frames,
    voxel_spacing,
)


def image_of(shape, **kwargs) -> Image:
    return Image(np.zeros(shape, np.uint8), **kwargs)


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


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        pytest.param(np.zeros((0, 5)), r"odd is empty \(0 × 5\)", id="empty"),
        pytest.param(np.zeros((5, 6), complex), "odd has dtype complex128", id="complex"),
        pytest.param(np.zeros((5, 6), object), "odd has dtype object", id="objects"),
        pytest.param(np.zeros(5), "odd has 1 axis ", id="one axis"),
        pytest.param(
            da.ones((5, 6))[da.ones(5) > 0], "odd is a dask array that does not know its size",
            id="unknown size",
        ),
    ],
)  # fmt: skip
def test_a_layer_that_napari_may_come_to_show_is_refused(data, sentence):
    layer = SimpleNamespace(
        name="odd", data=data, dtype=data.dtype, ndim=data.ndim, rgb=False, multiscale=False
    )
    with pytest.raises(UnsupsegError, match=sentence):
        check_image_layer(layer)


@pytest.mark.parametrize("dtype", [bool, np.int16, np.float32])
@pytest.mark.parametrize("ndim", [2, 3, 4, 5])
def test_a_layer_that_can_be_segmented_is_not(dtype, ndim):
    check_image_layer(Image(np.zeros((2,) * ndim, dtype)))


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
    assert training_frames(layer_array(image_of(shape)), axes, spatial_ndim) == (frame, n_frames)


def test_voxels_have_the_spacing_of_the_layer():
    layer = image_of((2, 5, 7, 8), scale=(1, 3, -0.5, 0.25))
    assert voxel_spacing(layer, "czyx") == (3, 0.5, 0.25)
