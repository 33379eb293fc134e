import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unsupseg.errors import ImageDtypeError, ImageError
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image

RAMP = np.arange(100).reshape(10, 10)


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
        found = split_channels(np.zeros((5, 6, 4), np.uint8))
    assert found.values.shape == (3, 5, 6)
    assert found.is_rgb


@pytest.mark.parametrize(
    ("image", "channel_axis", "sentence"),
    [
        pytest.param(np.zeros((0, 5)), None, "empty", id="empty"),
        pytest.param(np.zeros((0,)), None, "1 axes", id="no axes"),
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


@pytest.mark.parametrize(
    "dtype",
    ["bool", "uint8", "uint16", "uint32", "int16", "int32", "float16", "float32", "float64"],
)
def test_every_dtype_comes_to_zero_and_one(dtype):
    prepared = normalize_image(
        split_channels((RAMP > 49 if dtype == "bool" else RAMP).astype(dtype))
    )
    assert prepared.values.dtype == np.float32
    assert prepared.values.min() == 0
    assert prepared.values.max() == 1


@pytest.mark.parametrize(
    ("image", "intensity", "low", "high"),
    [
        pytest.param(np.full((4, 4, 3), 51, np.uint8), "auto", 0.2, 0.2, id="8-bit RGB: range"),
        pytest.param(np.full((4, 4), 51, np.uint8), "range", 0.2, 0.2, id="8-bit grey, range"),
        pytest.param(RAMP.astype(np.uint8), "auto", 0, 1, id="8-bit grey: percentiles"),
        pytest.param(np.full((4, 4), 0, np.int16), "range", 0.5, 0.5, id="signed range"),
        pytest.param(RAMP / 200, "range", 0, 0.495, id="floats as they are"),
        pytest.param(RAMP / 200, "auto", 0, 1, id="floats: percentiles"),
    ],
)
def test_intensity_rules(image, intensity, low, high):
    values = normalize_image(split_channels(image), intensity=intensity).values
    assert values.min() == pytest.approx(low, abs=1e-4)
    assert values.max() == pytest.approx(high, abs=1e-4)


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "float64"])
def test_values_far_from_zero_keep_their_differences(dtype):
    # single precision rounds them all to multiples of 64 or 128
    far = (RAMP + 2**30).astype(dtype)
    np.testing.assert_allclose(
        normalize_image(split_channels(far)).values,
        normalize_image(split_channels(RAMP)).values,
        rtol=1e-6,
    )


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "int32"])
def test_a_range_is_divided_in_double_precision_and_rounded_once(dtype):
    info = np.iinfo(dtype)
    image = np.random.default_rng(0).integers(info.min, info.max, (40, 50), dtype, endpoint=True)
    expected = (image.astype(np.float64) - info.min) / (float(info.max) - info.min)
    found = normalize_image(split_channels(image), intensity="range").values[0]
    np.testing.assert_array_equal(found, expected.astype(np.float32))


def test_a_hot_pixel_does_not_set_the_range():
    image = np.tile(RAMP, (20, 20)).astype(float)
    plain = normalize_image(split_channels(image)).values
    image[7, 7] = 1e9
    assert np.median(normalize_image(split_channels(image)).values) == pytest.approx(
        np.median(plain)
    )


def test_few_bright_pixels_are_kept():
    image = np.zeros((100, 100))
    image[50, 50:53] = 7
    assert normalize_image(split_channels(image)).values.sum() == 3


def test_each_channel_has_its_own_range():
    values = normalize_image(split_channels(np.stack([RAMP, RAMP * 1000.0]), channel_axis=0)).values
    np.testing.assert_allclose(values[0], values[1], atol=1e-6)


@given(
    hnp.arrays(np.uint16, (6, 7)),
    st.integers(1, 50),
    st.integers(-1000, 1000),
)
def test_percentiles_do_not_see_gain_and_offset(image, gain, offset):
    scaled = normalize_image(split_channels(image * float(gain) + offset)).values
    np.testing.assert_allclose(scaled, normalize_image(split_channels(image)).values, atol=1e-4)


def test_nan_and_masked_pixels_take_no_part():
    image = RAMP.astype(float)
    image[0, 0] = np.nan
    masked = np.ma.MaskedArray(image, mask=RAMP == 5)
    prepared = normalize_image(split_channels(masked), mask=RAMP != 7)
    np.testing.assert_array_equal(np.flatnonzero(~prepared.valid), [0, 5, 7])
    assert (prepared.values[0, ~prepared.valid] == 0).all()
    assert np.isfinite(prepared.values).all()


def test_excluded_pixels_do_not_set_the_range():
    image = RAMP.astype(float)
    image[0, 0] = np.inf
    assert normalize_image(split_channels(image), mask=np.isfinite(image)).values.max() == 1


@pytest.mark.parametrize(
    ("image", "keywords", "sentence"),
    [
        pytest.param(np.full((4, 4), np.nan), {}, "no pixel", id="all NaN"),
        pytest.param(np.full((4, 4), np.inf), {}, "16 infinite values", id="inf"),
        pytest.param(RAMP, {"mask": np.zeros((10, 10), bool)}, "no pixel", id="all masked"),
        pytest.param(RAMP, {"mask": np.ones((3, 3), bool)}, "expected the image's", id="shape"),
        pytest.param(RAMP, {"mask": RAMP}, "and bool", id="mask of ints"),
        pytest.param(RAMP * 1.0, {"intensity": "range"}, "0 to 99", id="floats out of range"),
    ],
)
def test_what_cannot_be_prepared(image, keywords, sentence):
    with pytest.raises(ImageError, match=sentence):
        normalize_image(split_channels(image), **keywords)


@pytest.mark.parametrize(
    ("image", "constant"),
    [
        pytest.param(np.full((4, 4), 9), True, id="one value"),
        pytest.param(np.full((4, 4, 3), 9, np.uint8), True, id="one colour"),
        pytest.param(np.stack([np.full((10, 10), 9), RAMP]), False, id="one empty channel"),
        pytest.param(RAMP, False, id="ramp"),
    ],
)
def test_constant_images_are_known(image, constant):
    channel_axis = 0 if image.shape[0] == 2 else None
    assert normalize_image(split_channels(image, channel_axis=channel_axis)).is_constant == constant
