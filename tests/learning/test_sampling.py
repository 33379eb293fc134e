import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_unsupseg.learning.sampling
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.image_list import join_images
from napari_unsupseg.image.normalize import NormalizedImage, normalize_image
from napari_unsupseg.learning.sampling import make_training_sample

TILE = napari_unsupseg.learning.sampling.TILE[2]


def some_image(height: int, width: int, share: float = 1.0, seed: int = 0) -> NormalizedImage:
    """Return noise of two channels, a share of whose pixels takes part."""
    random = np.random.default_rng(seed)
    mask = random.random((height, width)) < share
    mask[0, 0] = True
    values = random.random((2, height, width))
    return normalize_image(split_channels(values, channel_axis=0), mask)


def make_sample(image: NormalizedImage, **keywords):
    defaults = {"factor": 1, "max_pixels": 10**6, "superpixels": 100, "compactness": 10, "seed": 0}
    return make_training_sample(image, **defaults | keywords)


def test_an_image_that_fits_is_seen_whole():
    image = some_image(50, 60)
    sample = make_sample(image, max_pixels=3000)
    np.testing.assert_array_equal(sample.values, image.values[np.newaxis])
    assert sample.superpixels.shape == (1, 50, 60)
    assert sample.is_whole


def test_superpixels_of_a_smaller_image_have_pixels_to_vote():
    sample = make_sample(some_image(120, 120), factor=3, superpixels=14_400)
    assert sample.factor == 3
    assert sample.valid.shape == (1, 40, 40)
    assert len(np.unique(sample.superpixels)) <= 150


@pytest.mark.parametrize(
    ("height", "width"),
    [pytest.param(300, 300, id="square"), pytest.param(9, 5000, id="a strip")],
)
def test_tiles_are_parts_of_the_image(height, width):
    image = some_image(height, width)
    sample = make_sample(image, max_pixels=20_000)
    assert not sample.is_whole
    assert 10_000 < sample.valid.size <= 20_000
    known = {tuple(pixel) for pixel in image.values.reshape(2, -1).T}
    seen = [tuple(pixel) for pixel in np.moveaxis(sample.values, 1, -1)[sample.valid]]
    assert len(set(seen)) == len(seen), "no tile twice"
    assert known.issuperset(seen)


def test_tiles_share_no_superpixels():
    sample = make_sample(some_image(300, 300), max_pixels=4 * TILE**2)
    assert sample.valid.shape == (4, TILE, TILE)
    patches = [set(of_tile.ravel()) for of_tile in sample.superpixels]
    assert len(set.union(*patches)) == sum(map(len, patches))


def test_there_are_no_tiles_in_which_nothing_takes_part():
    image = some_image(640, 640)
    image.valid[:, 64:] = False
    image.values[:, ~image.valid] = 0
    sample = make_sample(image, max_pixels=8 * TILE**2)
    assert sample.valid.sum() == 8 * TILE**2


@pytest.mark.parametrize("max_pixels", [10**6, 10**4], ids=["whole", "tiles"])
def test_an_image_can_do_without_superpixels(max_pixels):
    sample = make_sample(some_image(300, 300), max_pixels=max_pixels, superpixels=0)
    assert sample.superpixels is None


@settings(max_examples=5)
@given(seed=st.integers(0, 1000))
def test_a_seed_decides_the_tiles(seed):
    image = some_image(300, 300)
    first, again, other = (
        make_sample(image, max_pixels=3 * TILE**2, seed=s).values for s in (seed, seed, seed + 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("pixels", [[(5, 5)], [(639, 630)], [(5, 5), (300, 333), (630, 639)]])
def test_there_are_tiles_with_the_strokes(pixels):
    image = some_image(640, 640)
    strokes = np.zeros(image.valid.shape, dtype=np.uint8)
    for label, pixel in enumerate(pixels, start=1):
        strokes[pixel] = label
    sample = make_sample(image, factor=1, max_pixels=8 * TILE**2, strokes=strokes)
    assert sample.valid.sum() == 8 * TILE**2
    cut = sample.sample_strokes(strokes, image)
    assert cut.shape == sample.valid.shape
    for label, pixel in enumerate(pixels, start=1):
        np.testing.assert_array_equal(
            np.moveaxis(sample.values, 1, -1)[cut == label][0], image.values[:, *pixel]
        )


def test_strokes_leave_half_of_the_tiles_to_the_rest_of_the_image():
    image = some_image(640, 640)
    strokes = np.zeros(image.valid.shape, dtype=np.uint8)
    strokes[:, :TILE] = 1  # 20 of 400 tiles
    sample = make_sample(image, max_pixels=8 * TILE**2, strokes=strokes)
    stroked = np.count_nonzero(sample.sample_strokes(strokes, image)) / TILE**2
    assert 4 <= stroked <= 5


def test_all_of_a_short_series_is_trained_on():
    movie = np.random.default_rng(0).random((3, 60, 70))
    image = normalize_image(split_channels(movie, "tyx"))
    sample = make_training_sample(
        image, factor=2, max_pixels=10**5, superpixels=50, compactness=10, seed=0
    )
    assert sample.is_whole
    assert sample.superpixels.shape == (3, 30, 35)
    patches = [set(np.unique(frame)) for frame in sample.superpixels]
    assert not patches[0] & patches[1]


def test_each_of_several_images_has_the_same_share_of_tiles():
    sizes = [(400, 300), (100, 70), (200, 500)]
    images = [some_image(*size, seed=seed) for seed, size in enumerate(sizes)]
    together = join_images(images)
    sample = make_sample(together, max_pixels=18 * TILE**2)
    frames = [frame for frame, _ in sample.locations]
    assert [frames.count(image) for image in range(3)] == [6, 6, 6]
    assert sample.valid.any(axis=(1, 2)).all()
    # where strokes need tiles of one image, the others still have some
    strokes = np.zeros(together.valid.shape, np.uint8)
    strokes[0, :300:TILE, :300:TILE] = 1
    sample = make_sample(together, max_pixels=18 * TILE**2, strokes=strokes)
    assert {frame for frame, _ in sample.locations[9:]} == {0, 1, 2}


def test_no_image_goes_without_a_tile():
    together = join_images([some_image(40, 40, seed=seed) for seed in range(5)])
    sample = make_sample(together, max_pixels=TILE**2)
    assert [frame for frame, _ in sample.locations] == [0, 1, 2, 3, 4]
