import dask.array as da
import numpy as np
import pytest

from napari_unsupseg.errors import ImageDtypeError, ImageError
from napari_unsupseg.image.channels import split_channels, split_frames


@pytest.mark.parametrize(
    ("shape", "channel_axis", "channels_first", "is_rgb"),
    [
        pytest.param((5, 6), None, (1, 5, 6), False, id="grey"),
        pytest.param((5, 6, 3), None, (3, 5, 6), True, id="RGB"),
        pytest.param((5, 6, 3), -1, (3, 5, 6), True, id="RGB named"),
        pytest.param((5, 6, 3), 2, (3, 5, 6), True, id="RGB numbered"),
        pytest.param((3, 5, 6), 0, (3, 5, 6), False, id="three channels first"),
        pytest.param((5, 7, 6), 1, (7, 5, 6), False, id="channels between"),
        pytest.param((5, 6, 4), -1, (4, 5, 6), False, id="four channels, not RGBA"),
        pytest.param((5, 3), None, (1, 5, 3), False, id="three pixels wide"),
        pytest.param((5, 6, 1), -1, (1, 5, 6), False, id="one channel"),
    ],
)
def test_channels_are_found(shape, channel_axis, channels_first, is_rgb):
    image = np.arange(np.prod(shape)).reshape(shape)
    found = split_channels(image, channel_axis=channel_axis)
    assert found.values.shape == channels_first
    assert found.is_rgb == is_rgb
    assert np.shares_memory(found.values, image)


def test_rgba_drops_alpha_and_says_so():
    with pytest.warns(UserWarning, match="alpha is left out"):
        found = split_channels(np.ones((5, 6, 4), np.uint8))
    assert found.values.shape == (3, 5, 6)
    assert found.is_rgb
    assert not np.ma.isMaskedArray(found.values)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("is_masked", [False, True], ids=["array", "masked array"])
def test_what_is_fully_transparent_is_masked(dtype, is_masked):
    samples = np.ones((5, 6, 4), dtype)
    samples[0, :, 3] = 0
    hidden = np.zeros((5, 6), bool)
    hidden[0] = True
    if is_masked:
        samples = np.ma.MaskedArray(samples, mask=np.zeros(samples.shape, bool))
        samples[4, :, 0] = np.ma.masked
    found = split_channels(samples, "yxs").values
    np.testing.assert_array_equal(np.ma.getmaskarray(found)[2], hidden)
    assert np.ma.getmaskarray(found)[0, 4].all() == is_masked
    assert np.shares_memory(np.ma.getdata(found), np.ma.getdata(samples))


@pytest.mark.parametrize(
    ("image", "channel_axis", "sentence"),
    [
        pytest.param(np.zeros((0, 5)), None, "empty", id="empty"),
        pytest.param(np.zeros((0,)), None, "1 axis", id="no axes"),
        pytest.param(np.zeros((1, 5)), None, "at least 2 × 2", id="one pixel high"),
        pytest.param(np.zeros((5, 1)), None, "at least 2 × 2", id="one pixel wide"),
        pytest.param(np.zeros((5, 0)), None, "empty", id="no pixel wide"),
        pytest.param(np.zeros((5, 6, 7)), None, "3 axes .5 × 6 × 7.: say what", id="3 axes"),
        pytest.param(np.zeros((2, 5, 6, 7)), None, "4 axes .*: say what", id="4 axes"),
        pytest.param(np.zeros((2, 2, 2, 2, 5, 6)), 0, "beside its channels", id="many axes"),
        pytest.param(np.zeros((5, 6)), 0, "beside its channels", id="no axis left"),
        pytest.param(np.zeros((5, 6)), 2, "not an axis", id="axis too high"),
        pytest.param(np.zeros((5, 6)), -3, "not an axis", id="axis too low"),
        pytest.param(np.zeros((5, 6)), "c", "whole number", id="axis a word"),
        pytest.param([[1, 2], [3]], None, "one shape", id="ragged"),
    ],
)
def test_wrong_axes(image, channel_axis, sentence):
    with pytest.raises(ImageError, match=sentence):
        split_channels(image, channel_axis=channel_axis)


@pytest.mark.parametrize("dtype", ["complex64", "object", "U3", "datetime64[s]"])
def test_wrong_dtype(dtype):
    with pytest.raises(ImageDtypeError, match="expected bool, integers or floats"):
        split_channels(np.zeros((5, 5), dtype))


@pytest.mark.parametrize("axes", ["tzcyx", "ctzyx", "tzyxc", "tczyx"])
def test_channels_come_first_and_planes_stay_in_order(axes):
    lengths = {"t": 2, "z": 3, "c": 4, "y": 5, "x": 6}
    image = np.arange(720).reshape([lengths[axis] for axis in axes])
    found = split_channels(image, axes)
    assert found.values.shape == (4, 2, 3, 5, 6)
    assert found.axes == "tzyx"
    assert np.shares_memory(found.values, image)


def test_a_dask_array_stays_one():
    image = da.zeros((5, 6, 3), np.uint8)
    found = split_channels(image)
    assert isinstance(found.values, da.Array)
    assert found.values.shape == (3, 5, 6)


@pytest.mark.parametrize(
    ("axes", "spatial_ndim", "n_frames", "frame_axes"),
    [
        pytest.param("tzcyx", 2, 6, "cyx", id="planes of channels"),
        pytest.param("tzcyx", 3, 2, "czyx", id="volumes of channels"),
        pytest.param("tzyxs", 2, 6, "syx", id="planes of RGB"),
    ],
)
def test_a_series_is_split_into_frames(axes, spatial_ndim, n_frames, frame_axes):
    lengths = {"t": 2, "z": 3, "c": 3, "s": 3, "y": 5, "x": 6}
    image = split_channels(np.arange(540).reshape([lengths[axis] for axis in axes]), axes)
    frames, letters = split_frames(image, spatial_ndim)
    assert (len(frames), letters) == (n_frames, frame_axes)
    expected = np.moveaxis(image.values.reshape(3, n_frames, *frames[0].shape[1:]), 1, 0)
    np.testing.assert_array_equal(frames, expected)
