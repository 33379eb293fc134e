import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import NormalizedImage, normalize_image
from napari_unsupseg.learning.resampling import downsample, downsample_strokes, upsample_labels


def some_image(height: int, width: int, share: float = 1.0, seed: int = 0) -> NormalizedImage:
    """Return noise of two channels, a share of whose pixels takes part."""
    random = np.random.default_rng(seed)
    mask = random.random((height, width)) < share
    mask[0, 0] = True
    values = random.random((2, height, width))
    return normalize_image(split_channels(values, channel_axis=0), mask)


@given(height=st.integers(2, 30), width=st.integers(2, 30), factor=st.integers(2, 5))
def test_shrinking_averages_the_pixels_that_take_part(height, width, factor):
    image = some_image(height, width, share=0.5)
    smaller = downsample(image, factor)
    for row, column in np.ndindex(smaller.valid.shape):
        square = np.s_[row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
        inside = image.valid[square]
        assert smaller.valid[row, column] == inside.any()
        if inside.any():
            expected = image.values[:, *square][:, inside].mean(axis=1)
            np.testing.assert_allclose(smaller.values[:, row, column], expected, rtol=1e-5)
        else:
            assert not smaller.values[:, row, column].any()


@given(height=st.integers(2, 30), width=st.integers(2, 30), factor=st.integers(1, 5))
def test_enlarging_labels_every_pixel_that_takes_part(height, width, factor):
    image = some_image(height, width, share=0.5)
    smaller = downsample(image, factor).valid
    labels = (np.arange(1, smaller.size + 1).reshape(smaller.shape) * smaller).astype(np.uint16)
    larger = upsample_labels(labels, factor, image)
    np.testing.assert_array_equal(larger > 0, image.valid)
    rows, columns = np.nonzero(image.valid)
    np.testing.assert_array_equal(larger[image.valid], labels[rows // factor, columns // factor])


@given(
    height=st.integers(2, 30),
    width=st.integers(2, 30),
    factor=st.integers(1, 5),
    seed=st.integers(0, 100),
)
def test_thin_strokes_stay_on_a_smaller_image(height, width, factor, seed):
    image = some_image(height, width)
    strokes = np.random.default_rng(seed).integers(0, 4, image.valid.shape).astype(np.uint8)
    strokes[strokes == 3] = 0
    smaller = downsample_strokes(strokes, image, factor)
    assert smaller.shape == downsample(image, factor).valid.shape
    for row, column in np.ndindex(smaller.shape):
        square = strokes[row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
        counts = np.bincount(square[square > 0], minlength=1)
        assert smaller[row, column] in np.flatnonzero(counts == counts.max())


@pytest.mark.parametrize(
    ("spacing", "factor", "expected"),
    [
        pytest.param(None, 3, (3, 3, 3), id="alike"),
        pytest.param((3, 1, 1), 3, (1, 3, 3), id="slices far apart"),
        pytest.param((0.5, 0.25, 0.25), 2, (1, 2, 2), id="in a unit"),
        pytest.param((9, 1, 1), 2, (1, 2, 2), id="never less than one"),
    ],
)
def test_axes_on_which_voxels_lie_apart_are_reduced_less(spacing, factor, expected):
    volume = np.random.default_rng(0).random((7, 20, 22))
    image = normalize_image(split_channels(volume, "zyx"), spatial_ndim=3, spacing=spacing)
    smaller = downsample(image, factor)
    assert smaller.frame_shape == tuple(
        -(-n // by) for n, by in zip(volume.shape, expected, strict=True)
    )
    labels = np.arange(1, smaller.valid.size + 1).reshape(smaller.valid.shape)
    assert upsample_labels(labels, factor, image).shape == volume.shape


def test_frames_are_downsampled_each_by_itself():
    movie = np.random.default_rng(0).random((2, 3, 8, 9))  # two channels, three frames
    series = normalize_image(split_channels(movie, "ctyx"))
    reduced = downsample(series, 2)
    assert reduced.values.shape == (2, 3, 4, 5)
    for frame, alone in zip(reduced.frames(), series.frames(), strict=True):
        np.testing.assert_array_equal(frame.values, downsample(alone, 2).values)


def test_strokes_of_frames_are_downsampled_each_by_itself():
    movie = normalize_image(split_channels(np.random.default_rng(0).random((3, 8, 9)), "tyx"))
    strokes = np.zeros((3, 8, 9), np.uint8)
    strokes[0, 0, 0], strokes[2, 7, 8] = 5, 6
    expected = np.zeros((3, 4, 5), np.uint8)
    expected[0, 0, 0], expected[2, 3, 4] = 5, 6
    np.testing.assert_array_equal(downsample_strokes(strokes, movie, 2), expected)
