import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_unsupseg.learning.sampling
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import NormalizedImage, normalize_image
from napari_unsupseg.learning.resampling import downsample, downsample_strokes, upsample_labels
from napari_unsupseg.learning.sampling import make_training_sample

TILE = napari_unsupseg.learning.sampling.TILE[2]


def some_image(height: int, width: int, share: float = 1.0, seed: int = 0) -> NormalizedImage:
    """Return noise of two channels, a share of whose pixels takes part."""
    random = np.random.default_rng(seed)
    mask = random.random((height, width)) < share
    mask[0, 0] = True
    values = random.random((2, height, width))
    return normalize_image(split_channels(values, channel_axis=0), mask)


def view_of(image: NormalizedImage, **keywords):
    defaults = {"factor": 1, "max_pixels": 10**6, "superpixels": 100, "compactness": 10, "seed": 0}
    return make_training_sample(image, **defaults | keywords)


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


def test_an_image_that_fits_is_seen_whole():
    image = some_image(50, 60)
    view = view_of(image, max_pixels=3000)
    np.testing.assert_array_equal(view.values, image.values[np.newaxis])
    assert view.superpixels.shape == (1, 50, 60)
    assert view.is_whole


def test_superpixels_of_a_smaller_image_have_pixels_to_vote():
    view = view_of(some_image(120, 120), factor=3, superpixels=14_400)
    assert view.factor == 3
    assert view.valid.shape == (1, 40, 40)
    assert len(np.unique(view.superpixels)) <= 150


@pytest.mark.parametrize(
    ("height", "width"),
    [pytest.param(300, 300, id="square"), pytest.param(9, 5000, id="a strip")],
)
def test_tiles_are_parts_of_the_image(height, width):
    image = some_image(height, width)
    view = view_of(image, max_pixels=20_000)
    assert not view.is_whole
    assert 10_000 < view.valid.size <= 20_000
    known = {tuple(pixel) for pixel in image.values.reshape(2, -1).T}
    seen = [tuple(pixel) for pixel in np.moveaxis(view.values, 1, -1)[view.valid]]
    assert len(set(seen)) == len(seen), "no tile twice"
    assert known.issuperset(seen)


def test_tiles_share_no_superpixels():
    view = view_of(some_image(300, 300), max_pixels=4 * TILE**2)
    assert view.valid.shape == (4, TILE, TILE)
    patches = [set(of_tile.ravel()) for of_tile in view.superpixels]
    assert len(set.union(*patches)) == sum(map(len, patches))


def test_there_are_no_tiles_in_which_nothing_takes_part():
    image = some_image(640, 640)
    image.valid[:, 64:] = False
    image.values[:, ~image.valid] = 0
    view = view_of(image, max_pixels=8 * TILE**2)
    assert view.valid.sum() == 8 * TILE**2


@pytest.mark.parametrize("max_pixels", [10**6, 10**4], ids=["whole", "tiles"])
def test_an_image_can_do_without_superpixels(max_pixels):
    view = view_of(some_image(300, 300), max_pixels=max_pixels, superpixels=0)
    assert view.superpixels is None


@settings(max_examples=5)
@given(seed=st.integers(0, 1000))
def test_a_seed_decides_the_tiles(seed):
    image = some_image(300, 300)
    first, again, other = (
        view_of(image, max_pixels=3 * TILE**2, seed=s).values for s in (seed, seed, seed + 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


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


@pytest.mark.parametrize("places", [[(5, 5)], [(639, 630)], [(5, 5), (300, 333), (630, 639)]])
def test_there_are_tiles_with_the_strokes(places):
    image = some_image(640, 640)
    strokes = np.zeros(image.valid.shape, dtype=np.uint8)
    for label, place in enumerate(places, start=1):
        strokes[place] = label
    view = view_of(image, factor=1, max_pixels=8 * TILE**2, strokes=strokes)
    assert view.valid.sum() == 8 * TILE**2
    laid = view.sample_strokes(strokes, image)
    assert laid.shape == view.valid.shape
    for label, place in enumerate(places, start=1):
        np.testing.assert_array_equal(
            np.moveaxis(view.values, 1, -1)[laid == label][0], image.values[:, *place]
        )


def test_strokes_leave_half_of_the_tiles_to_the_rest_of_the_image():
    image = some_image(640, 640)
    strokes = np.zeros(image.valid.shape, dtype=np.uint8)
    strokes[:, :TILE] = 1  # 20 of 400 tiles
    view = view_of(image, max_pixels=8 * TILE**2, strokes=strokes)
    stroked = np.count_nonzero(view.sample_strokes(strokes, image)) / TILE**2
    assert 4 <= stroked <= 5
