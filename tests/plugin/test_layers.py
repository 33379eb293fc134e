"""What is read off an Image layer, without a window."""

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.layers import Image

from napari_unsupseg.plugin.layers import (
    axes_choices,
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
