import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unsupseg.errors import ImageError
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.image_list import (
    is_image_list,
    join_images,
    join_maps,
    name_error,
    split_images,
    split_maps,
)
from napari_unsupseg.image.normalize import normalize_image

PLANE = np.zeros((4, 5))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param([PLANE, PLANE], True, id="two arrays"),
        pytest.param((PLANE,), True, id="a tuple of one"),
        pytest.param([PLANE, [[0, 1]]], True, id="an array and rows"),
        pytest.param(PLANE, False, id="an array"),
        pytest.param(PLANE.tolist(), False, id="rows of numbers"),
        pytest.param(list(PLANE), False, id="rows that are arrays"),
        pytest.param([], False, id="nothing"),
        pytest.param("a.tif", False, id="a text"),
    ],
)
def test_a_list_of_images_is_told_from_an_image(image, expected):
    assert is_image_list(image) == expected


shapes = st.integers(2, 3).flatmap(
    lambda ndim: st.lists(
        st.tuples(*[st.integers(1, 3)] * (ndim - 2), st.integers(2, 9), st.integers(2, 9)),
        min_size=1,
        max_size=4,
    )
)


@settings(max_examples=50, deadline=None)
@given(shapes=shapes, n_channels=st.integers(1, 3), seed=st.integers(0, 99))
def test_what_is_laid_together_comes_apart_as_it_was(shapes, n_channels, seed):
    random = np.random.default_rng(seed)
    images = []
    for shape in shapes:
        values = random.random((n_channels, *shape))
        mask = random.random(shape) < 0.8
        mask.flat[0] = True
        axes = "c" + "zyx"[-len(shape) :]
        images.append(normalize_image(split_channels(values, axes), mask))
    together = join_images(images)
    assert together.valid.sum() == sum(image.valid.sum() for image in images)
    assert together.n_frames == sum(image.n_frames for image in images)
    assert [len(frames) for frames in together.frames_of_images] == [
        image.n_frames for image in images
    ]
    for image, again in zip(images, split_images(together), strict=True):
        np.testing.assert_array_equal(again.values, image.values)
        np.testing.assert_array_equal(again.valid, image.valid)
        assert not again.image_shapes
    maps = [random.integers(1, 9, shape).astype(np.uint8) for shape in shapes]
    joined = join_maps(maps, together)
    assert joined.shape == together.valid.shape
    for one, again in zip(maps, split_maps(joined, together), strict=True):
        np.testing.assert_array_equal(again, one)


def test_a_map_that_is_missing_is_nothing_everywhere():
    images = [normalize_image(split_channels(np.eye(n) + 1)) for n in (3, 4)]
    together = join_images(images)
    assert join_maps([None, None], together) is None
    joined = join_maps([None, np.ones((4, 4), np.uint8)], together)
    assert [one.sum() for one in split_maps(joined, together)] == [0, 16]
    assert joined.dtype == np.uint8


def test_pixels_beside_an_image_take_no_part():
    images = [normalize_image(split_channels(np.eye(n) + 1)) for n in (2, 3)]
    together = join_images(images)
    assert together.valid.astype(int).tolist() == [
        [[1, 1, 0], [1, 1, 0], [0, 0, 0]], [[1] * 3] * 3
    ]  # fmt: skip
    assert not together.values[0, 0][~together.valid[0]].any()


def test_one_image_alone_has_no_shapes_of_several():
    image = normalize_image(split_channels(np.eye(3)))
    assert not image.image_shapes
    assert [list(frames) for frames in image.frames_of_images] == [[0]]
    assert split_images(image) == [image]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [pytest.param("", "too small", id="one"), pytest.param("b", "b: too small", id="several")],
)
def test_an_error_has_the_name_of_its_image_and_is_not_its_own_cause(name, sentence):
    original = ImageError("too small")
    with pytest.raises(ImageError, match=f"^{sentence}$") as caught, name_error(name):
        raise original
    assert caught.value.__cause__ is (original if name else None)
