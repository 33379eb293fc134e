import dask.array as da
import numpy as np
import pytest
from skimage.data import coins

from napari_unsupseg import segment
from napari_unsupseg.errors import ImageError, SettingError

from .conftest import SMALL
from .regions.helpers import ball


@pytest.fixture(scope="module")
def movie() -> np.ndarray:
    """Return three frames of two discs that move towards each other."""
    shape, random = (48, 96), np.random.default_rng(0)
    frames = [
        ball(shape, (24, 22 + shift), (10, 10)) | ball(shape, (24, 74 - shift), (10, 10))
        for shift in (0, 4, 8)
    ]
    return np.stack(frames) * 0.7 + random.normal(0, 0.03, (3, *shape)) + 0.1


def test_coins_are_counted():
    objects = segment(coins(), objects=True)
    assert (objects.max(), objects.dtype) == (24, np.uint8)


@pytest.mark.parametrize("joint", [True, False])
def test_an_object_has_one_number_in_all_frames(movie, joint):
    objects = segment(movie, axes="tyx", objects=True, joint=joint, **SMALL)
    assert objects.shape == movie.shape
    for frame, shift in zip(objects, (0, 4, 8), strict=True):
        assert (frame[24, 22 + shift], frame[24, 74 - shift], frame.max()) == (1, 2, 2)


def test_objects_of_a_volume_reach_through_its_planes(movie):
    volume = np.concatenate([movie[:1]] * 6)
    objects = segment(volume, axes="zyx", spatial_ndim=3, objects=True, **SMALL)
    assert [np.unique(plane).tolist() for plane in objects] == [[0, 1, 2]] * 6


def test_the_options_of_objects_arrive(movie):
    options = {"objects": True, **SMALL}
    assert segment(movie[0], **options).max() == 2
    assert segment(movie[0], max_size=100, **options).max() == 0
    assert segment(movie[0], **options | {"min_size": 400}).max() == 0
    assert segment(movie[0, :, :72], exclude_border=True, **options).max() == 1
    touching = np.maximum(movie[0], np.roll(movie[0], 17, axis=1))
    assert segment(touching, split=0, **options).max() < segment(touching, **options).max()


@pytest.mark.parametrize("min_size", [150, 313, 317, 318])
def test_the_smallest_object_is_chosen_among_those_that_are_found(movie, min_size):
    every = segment(movie[0], objects=True, min_size=1, **SMALL)
    sizes = np.bincount(every.ravel())
    assert sizes[1:].max() < 330  # the discs have 317 each
    objects = segment(movie[0], objects=True, min_size=min_size, **SMALL)
    np.testing.assert_array_equal(objects > 0, (every > 0) & (sizes[every] >= min_size))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param({"objects": True, "n_segments": 5}, "two kinds of labels", id="segments"),
        pytest.param({"objects": True, "granularity": 0.5}, "two kinds of labels", id="a cut"),
        pytest.param({"split": 0.2}, "split: for objects alone", id="split alone"),
        pytest.param(
            {"max_size": 9, "exclude_border": True}, "max_size and exclude_border", id="two alone"
        ),
        pytest.param({"objects": 1}, "objects must be True or False", id="objects no bool"),
        pytest.param({"objects": True, "split": 1.5}, "split must be", id="split above 1"),
        pytest.param(
            {"objects": True, "min_size": 9, "max_size": 3}, "no object fits", id="none between"
        ),
    ],
)
def test_what_cannot_be_is_refused_before_the_run(options, sentence):
    with pytest.raises(SettingError, match=sentence):
        segment(np.zeros((0, 0)), **options)  # an image that would be refused next


def test_of_an_image_that_is_never_loaded_whole_there_are_no_objects():
    slide = da.zeros((6000, 6000), chunks=1000)
    with pytest.raises(ImageError, match="which objects would need: the command"):
        segment(slide, objects=True)
