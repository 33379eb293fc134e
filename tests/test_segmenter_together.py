"""Several images that one network is trained on together, from end to end."""

import dask.array as da
import numpy as np
import pytest
from skimage.metrics import adapted_rand_error

import napari_unsupseg.image.tiling
from napari_unsupseg import Segmenter, Settings, segment
from napari_unsupseg.errors import ImageError, SettingError, StrokesError

from .conftest import SMALL

QUICK = {
    "filters": 16, "max_clusters": 20, "superpixels": 500, "iterations": 30, "final_clusters": 3,
    "precision": "float32",
}  # fmt: skip


def squares(shape: tuple[int, int], bright: tuple[int, int], dim: tuple[int, int], seed: int = 0):
    """Return an image of a bright and a dim square on dark ground, and its truth."""
    truth = np.zeros(shape, dtype=int)
    for number, (y, x) in ((2, bright), (1, dim)):
        truth[y : y + 16, x : x + 16] = number
    levels = np.array([20, 120, 220])[truth]
    image = levels + np.random.default_rng(seed).normal(0, 5, shape)
    return image.round().astype(np.uint8), truth


A, TRUTH_A = squares((48, 60), (4, 5), (26, 30))
B, TRUTH_B = squares((66, 40), (40, 20), (6, 2), seed=1)


def all_pixels(labels: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([one.ravel() for one in labels])


def test_the_same_thing_has_the_same_number_in_each():
    segmenter = Segmenter(Settings(**QUICK)).fit([A, B])
    assert [labels.shape for labels in segmenter.labels_] == [A.shape, B.shape]
    assert np.mean(all_pixels(segmenter.labels_) == all_pixels([TRUTH_A, TRUTH_B]) + 1) > 0.98
    # and in an image that the network has not seen
    other, truth = squares((50, 50), (30, 2), (1, 30), seed=2)
    assert np.mean(segmenter.predict(other) == truth + 1) > 0.95


@pytest.mark.parametrize("options", [{}, {"n_segments": 5}, {"objects": True}])
def test_a_list_of_one_gives_the_labels_of_that_one(options):
    alone, [listed] = (segment(image, **SMALL, **options) for image in (A, [A]))
    np.testing.assert_array_equal(listed, alone)


def test_images_of_one_size_are_as_the_frames_of_a_movie():
    other, _ = squares(A.shape, (10, 40), (30, 3), seed=1)
    settings = QUICK | {"intensity": "range"}  # those of a movie have percentiles in common
    together = segment([A, other], **settings)
    movie = segment(np.stack([A, other]), axes="tyx", **settings)
    np.testing.assert_array_equal(np.stack(together), movie)


def test_the_order_of_images_matters_no_more_than_a_seed():
    truth = all_pixels([TRUTH_A, TRUTH_B])
    in_order = segment([A, B], **QUICK)
    reverse = segment([B, A], **QUICK)[::-1]
    other_seed = segment([A, B], seed=1, **QUICK)
    for labels in (reverse, other_seed):
        assert adapted_rand_error(all_pixels(in_order), all_pixels(labels))[0] < 0.02
    assert adapted_rand_error(truth, all_pixels(in_order))[0] < 0.02


def test_images_of_several_axes_and_of_other_lengths():
    stack = np.stack([A, A[::-1], A[:, ::-1]])
    labels = segment([stack, B], axes=["zyx", None], **SMALL)
    assert [one.shape for one in labels] == [stack.shape, B.shape]
    both = segment([stack, stack[:2, :30]], axes="zyx", spatial_ndim=3, **SMALL)
    assert [one.shape for one in both] == [stack.shape, (2, 30, 60)]
    assert all(one.all() for one in (*labels, *both))


def test_each_image_has_a_mask_of_its_own():
    mask = np.ones(A.shape, bool)
    mask[:20] = False
    first, second = segment([A, B], mask=[mask, None], **SMALL)
    np.testing.assert_array_equal(first > 0, mask)
    assert second.all()


def test_strokes_on_one_image_count_in_all():
    strokes = np.zeros(A.shape, int)
    strokes[8:16, 9:17] = 7  # on the bright square
    strokes[40:46, 4:20] = 5  # on the ground
    segmenter = Segmenter(Settings(**QUICK)).fit([A, B], strokes=[strokes, None])
    for labels, truth in zip(segmenter.labels_, (TRUTH_A, TRUTH_B), strict=True):
        assert np.mean(labels[truth == 2] == 7) > 0.95
        assert np.mean(labels[truth == 0] == 5) > 0.95
    drawn, nothing = segmenter.strokes
    np.testing.assert_array_equal(drawn, strokes)
    assert not nothing.any()


def test_each_image_has_a_hierarchy_of_its_own_and_the_clusters_are_common():
    inner, _ = squares((48, 48), (5, 5), (26, 28))
    # its bright square touches the border, beside which the frame of both images goes on
    edge, truth = squares((48, 30), (5, 14), (30, 6), seed=1)
    segmenter = Segmenter(Settings(**QUICK)).fit([inner, edge])
    first, second = segmenter.hierarchies_
    for hierarchy, labels in zip((first, second), segmenter.labels_, strict=True):
        np.testing.assert_array_equal(hierarchy.run_clusters, labels)
        cut = hierarchy.cut(n_segments=3)
        assert cut.shape == labels.shape
        assert cut.max() == 3
    foreground = [2, 3]
    assert second.objects(foreground, min_size=20).max() == 2
    whole = second.objects(foreground, min_size=20, exclude_border=True)
    assert set(np.unique(truth[whole > 0])) == {1}
    with pytest.raises(SettingError, match="of 2 images, and each has a hierarchy of its own"):
        _ = segmenter.hierarchy_
    objects = segment([inner, edge], objects=True, exclude_border=True, **QUICK)
    assert [one.shape for one in objects] == [inner.shape, edge.shape]


def test_steps_are_of_all_images_and_can_be_divided():
    segmenter = Segmenter(Settings(**SMALL))
    *_, step = segmenter.steps([A, B])
    assert [one.shape for one in segmenter.split(step.labels)] == [A.shape, B.shape]
    assert np.count_nonzero(step.labels) == A.size + B.size
    assert [one.shape for one in segmenter.uncertainty()] == [A.shape, B.shape]
    segmenter.fit(A)
    assert len(segmenter.split(segmenter.labels_)) == 1


@pytest.mark.parametrize(
    ("images", "options", "error", "sentence"),
    [
        pytest.param([A, np.stack([B] * 3, axis=-1)], {}, ImageError,
                     r"images\[0\] has 1 channel and images\[1\] is RGB", id="grey and RGB"),
        pytest.param([np.stack([A] * 2), np.stack([B] * 4)], {"channel_axis": 0}, ImageError,
                     r"images\[0\] has 2 channels and images\[1\] has 4 channels", id="channels"),
        pytest.param([A, B * np.nan], {}, ImageError, r"images\[1\]: image has no pixel",
                     id="nothing to segment"),
        pytest.param([A, B], {"axes": "tyx"}, ImageError,
                     r"images\[0\]: axes 'tyx' has 3 letters for the 2 axes", id="frames"),
        pytest.param([A, B], {"axes": ["yx"]}, ImageError,
                     "axes must be a list with one for each of the 2 images", id="too few axes"),
        pytest.param([A, B], {"mask": A > 0}, ImageError, "mask must be a list", id="one mask"),
        pytest.param([A, B], {"strokes": [A * 0, A * 0 + 1]}, StrokesError,
                     r"images\[1\]: strokes have shape \(48, 60\)", id="strokes of another"),
        pytest.param([A, B], {"strokes": [None]}, StrokesError, "strokes must be a list",
                     id="too few strokes"),
        pytest.param([A, B], {"joint": False}, SettingError, "images in a list are trained on",
                     id="each by itself"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_on_together_is_refused(images, options, error, sentence):
    with pytest.raises(error, match=sentence):
        segment(images, **SMALL, **options)


def test_an_image_too_large_to_be_loaded_is_refused(monkeypatch):
    monkeypatch.setattr(napari_unsupseg.image.tiling, "LOADED_VALUES", 1000)
    for images in ([A, da.from_array(B)], [da.from_array(B)]):
        with pytest.raises(ImageError, match=r"images\[\d\]: is too large to be loaded"):
            segment(images, **SMALL)
