import dataclasses

import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unsupseg import segment
from napari_unsupseg.errors import ImageError
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_crops, normalize_image
from napari_unsupseg.image.tiling import CROP

RAMP = np.arange(100).reshape(10, 10)
RGB_16_BIT = np.stack([RAMP, RAMP, RAMP], axis=-1).astype(np.uint16)


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
        pytest.param(RGB_16_BIT, "auto", 0, 1, id="16-bit RGB: percentiles"),
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


@pytest.mark.parametrize("kind", ["nan", "masked"])
def test_a_pixel_without_one_of_its_channels_takes_no_part(kind):
    image = np.stack([RAMP, RAMP * 2.0])
    if kind == "nan":
        image[1, 3, 4] = np.nan
    else:
        image = np.ma.MaskedArray(image)
        image[1, 3, 4] = np.ma.masked
    prepared = normalize_image(split_channels(image, "cyx"))
    np.testing.assert_array_equal(np.argwhere(~prepared.valid), [[3, 4]])
    assert not prepared.values[:, 3, 4].any()


def test_excluded_pixels_do_not_set_the_range():
    image = RAMP.astype(float)
    image[0, 0] = np.inf
    assert normalize_image(split_channels(image), mask=np.isfinite(image)).values.max() == 1


@pytest.mark.parametrize(
    ("image", "keywords", "sentence"),
    [
        pytest.param(np.full((4, 4), np.nan), {}, "no pixel", id="all NaN"),
        pytest.param(np.full((4, 4), np.inf), {}, "16 infinite values:", id="inf"),
        pytest.param(np.array([[0, 1], [2, -np.inf]]), {}, "1 infinite value:", id="one inf"),
        pytest.param(RAMP, {"mask": np.zeros((10, 10), bool)}, "no pixel", id="all masked"),
        pytest.param(RAMP, {"mask": np.ones((3, 3), bool)}, "expected the image's", id="shape"),
        pytest.param(RAMP, {"mask": RAMP}, "and bool", id="mask of ints"),
        pytest.param(RAMP * 1.0, {"intensity": "range"}, "0 to 99", id="floats out of range"),
    ],
)
def test_what_cannot_be_normalized(image, keywords, sentence):
    with pytest.raises(ImageError, match=sentence):
        normalize_image(split_channels(image), **keywords)


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize(
    ("channels", "sentence"),
    [
        pytest.param("c_", "channel 1 is NaN everywhere", id="one of two"),
        pytest.param("_c_", "channels 0, 2 are NaN everywhere", id="two of three"),
        pytest.param("__", "all are NaN, transparent or masked", id="all"),
    ],
)
def test_channels_without_a_number_are_named(channels, sentence, joint):
    empty = np.full((10, 10), np.nan)
    image = np.stack([RAMP if channel == "c" else empty for channel in channels])
    with pytest.raises(ImageError, match=f"no pixel to segment: {sentence}"):
        segment(image, axes="cyx", joint=joint)


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


def test_frames_have_their_intensities_in_common():
    movie = np.stack([np.full((4, 5), value, float) for value in (1, 2, 5)])
    prepared = normalize_image(split_channels(movie, "tyx"))
    levels = [frame.values.max() for frame in prepared.frames()]
    np.testing.assert_allclose(levels, [0, 0.25, 1], atol=0.01)
    assert prepared.n_frames == 3
    assert prepared.frame_shape == (4, 5)


@pytest.mark.parametrize(
    ("axes", "spatial_ndim", "sentence"),
    [
        pytest.param("tyx", 3, "no axis z before y and x: beside channels it has 'tyx'", id="t"),
        pytest.param("ztyx", 3, "no axis z before y", id="z elsewhere"),
        pytest.param("zyx", 4, "must be 2 or 3, got 4", id="4D"),
    ],
)
def test_volumes_need_z(axes, spatial_ndim, sentence):
    image = split_channels(np.zeros([3] * len(axes)), axes)
    with pytest.raises(ImageError, match=sentence):
        normalize_image(image, spatial_ndim=spatial_ndim)


@pytest.mark.parametrize(
    ("spacing", "factor", "expected"),
    [
        pytest.param(None, 4, (4, 4, 4), id="alike"),
        pytest.param((3, 1, 1), 4, (1, 4, 4), id="slices far apart"),
        pytest.param((2, 1, 1), 6, (3, 6, 6), id="slices twice as far apart"),
        pytest.param((9, 1, 1), 4, (1, 4, 4), id="never below one pixel"),
    ],
)
def test_reduced_pixels_are_as_cubic_as_can_be(spacing, factor, expected):
    volume = split_channels(np.arange(60).reshape(3, 4, 5), "zyx")
    assert normalize_image(volume, spatial_ndim=3, spacing=spacing).factors(factor) == expected


@pytest.mark.parametrize(
    ("spacing", "ndim"),
    [
        pytest.param((1, 1), 3, id="too few"),
        pytest.param((0, 1, 1), 3, id="zero"),
        pytest.param((np.inf, 1), 2, id="infinite"),
        pytest.param((np.nan, 1), 2, id="nan"),
    ],
)
def test_spacing_that_cannot_be(spacing, ndim):
    volume = split_channels(np.arange(60).reshape(3, 4, 5), "zyx")
    with pytest.raises(ImageError, match=f"spacing must be {ndim} numbers above 0"):
        normalize_image(volume, spatial_ndim=ndim, spacing=spacing)


def test_crops_say_how_any_other_part_is_normalised(monkeypatch):
    monkeypatch.setitem(CROP, 2, (20, 20))
    image = split_channels(da.from_array(np.arange(2400.0).reshape(1, 40, 60)), "cyx")
    crops = normalize_crops(image, "percentile", 2, seed=0)
    assert crops.values.shape == (1, 6, 20, 20)
    expected = np.percentile(np.arange(2400), [0.1, 99.9])
    np.testing.assert_allclose(crops.limits, [expected])
    part = dataclasses.replace(image, values=image.values[:, :2, :3].compute())
    values = normalize_image(part, limits=crops.limits).values
    low, high = expected
    np.testing.assert_allclose(values, ((part.values - low) / (high - low)).clip(0, 1), atol=1e-6)


def test_limits_keep_their_precision_far_from_zero():
    """Values that single precision takes for one are told apart."""
    image = 2.0**30 + np.array([[0, 1], [2, 3]])
    values = normalize_image(split_channels(image), limits=np.array([[2**30, 2**30 + 3]])).values
    np.testing.assert_allclose(values[0], [[0, 1 / 3], [2 / 3, 1]], atol=1e-6)
