"""Stacks, movies and volumes from end to end."""

import itertools

import numpy as np
import pytest

from napari_unsupseg import Segmenter, Settings, segment
from napari_unsupseg.errors import ImageError
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.regions.boundary_refinement import refine_boundaries
from napari_unsupseg.regions.hierarchy_builder import build_hierarchy
from napari_unsupseg.regions.labels import connected_components

from .conftest import SMALL

QUICK = {
    "filters": 16, "max_clusters": 20, "superpixels": 500, "iterations": 30, "precision": "float32",
}  # fmt: skip


def squares(n_frames: int, noise: float = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return a movie of a bright and a dim square that move over dark ground, and its truth."""
    truth = np.zeros((n_frames, 60, 70), dtype=int)
    for t, frame in enumerate(truth):
        frame[5 + t : 25 + t, 5:25] = 1
        frame[30:50, 30 + t : 50 + t] = 2
    levels = np.array([20, 120, 220])[truth]
    return levels + np.random.default_rng(0).normal(0, noise, truth.shape), truth


@pytest.mark.parametrize(
    ("axes", "spatial_ndim"), [("tyx", 2), ("zyx", 2), ("zyx", 3)], ids=["movie", "stack", "volume"]
)
def test_a_cluster_has_one_number_in_all_frames(axes, spatial_ndim):
    movie, truth = squares(6)
    labels = segment(movie, axes=axes, spatial_ndim=spatial_ndim, final_clusters=3, **QUICK)
    assert labels.shape == movie.shape
    assert np.mean(labels == truth + 1) > 0.98


@pytest.mark.parametrize("axes", ["tzyx", "tczyx", "tzyxs"])
def test_every_axis_but_channels_is_in_the_labels(axes):
    lengths = {"t": 2, "z": 3, "c": 2, "s": 3, "y": 20, "x": 24}
    image = np.random.default_rng(0).random([lengths[axis] for axis in axes])
    assert segment(image, axes=axes, **SMALL).shape == (2, 3, 20, 24)
    assert segment(image, axes=axes, spatial_ndim=3, **SMALL).shape == (2, 3, 20, 24)


@pytest.mark.parametrize("spatial_ndim", [2, 3])
def test_segments_keep_to_their_frame(spatial_ndim):
    movie, _ = squares(6)
    labels = segment(movie, axes="zyx", spatial_ndim=spatial_ndim, n_segments=18, **QUICK)
    assert labels.max() == 18
    frames = [set(np.unique(frame)) for frame in labels]
    shared = any(one & other for one, other in itertools.pairwise(frames))
    assert shared == (spatial_ndim == 3)
    assert connected_components(labels, spatial_ndim).max() == 18


def test_masked_voxels_take_no_part():
    movie, _ = squares(4)
    mask = np.ones(movie.shape, bool)
    mask[1, :30] = False
    for spatial_ndim in (2, 3):
        labels = segment(movie, axes="zyx", spatial_ndim=spatial_ndim, mask=mask, **SMALL)
        np.testing.assert_array_equal(labels > 0, mask)


def test_steps_show_all_frames_while_they_train():
    movie, _ = squares(20)
    steps = list(Segmenter(Settings(**QUICK)).steps(movie, axes="tyx"))
    for step in (steps[0], steps[-1]):
        assert step.labels.shape == movie.shape
        assert step.labels.all()


def test_the_same_seed_gives_the_same_labels():
    movie, _ = squares(5)
    first, again = (segment(movie, axes="zyx", spatial_ndim=3, **QUICK) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_a_hierarchy_of_frames_is_theirs_alone():
    frames = [squares(1, noise=0)[0][0], squares(1, noise=0)[0][0][::-1]]
    series = normalize_image(split_channels(np.stack(frames), "tyx"))
    history = [(series.values[0] > level).astype(np.uint8) for level in (0.2, 0.7)]
    cut = build_hierarchy(series, history).cut()
    for index, frame in enumerate(series.frames()):
        alone = build_hierarchy(frame, [labels[index] for labels in history]).cut()
        pairs = np.unique(np.stack([cut[index].ravel(), alone.ravel()]), axis=1)
        assert pairs.shape[1] == alone.max(), "the same segments"


def test_outlines_do_not_reach_from_frame_to_frame():
    random = np.random.default_rng(0)
    segments = random.integers(0, 4, (3, 8, 9))
    colours, means = random.random((3, 8, 9, 1), dtype=np.float32), random.random((4, 1))
    together = refine_boundaries(segments, colours, means)
    for one, *of_frame in zip(together, segments, colours, strict=True):
        np.testing.assert_array_equal(one, refine_boundaries(*of_frame, means))


@pytest.mark.parametrize("spacing", [(1, 1), (0, 1, 1), (np.inf, 1, 1), (-1, 1, 1)])
def test_spacings_that_cannot_be(spacing):
    with pytest.raises(ImageError, match="spacing must be 3 numbers above 0"):
        segment(np.ones((9, 40, 40)), axes="zyx", spatial_ndim=3, spacing=spacing)


def test_segments_of_another_volume_follow_its_spacing():
    volumes = np.random.default_rng(0).integers(0, 4000, (2, 6, 30, 40), np.uint16)
    segmenter = Segmenter(Settings.from_dict(SMALL)).fit(volumes[0], axes="zyx", spatial_ndim=3)
    labels = segmenter.predict(volumes[1], axes="zyx")
    cuts = []
    for spacing in ((1, 1, 1), (6, 1, 1)):
        channels = split_channels(volumes[1], "zyx")
        image = normalize_image(channels, None, "auto", 3, spacing=spacing)
        expected = build_hierarchy(image, [labels])
        of_volume = {"axes": "zyx", "spacing": spacing}
        found = segmenter.predict_hierarchy(volumes[1], **of_volume)
        cuts.append(segmenter.predict(volumes[1], granularity=0.4, **of_volume))
        np.testing.assert_array_equal(cuts[-1], expected.cut(granularity=0.4))
        np.testing.assert_array_equal(found.objects(), expected.objects())
    assert (cuts[0] != cuts[1]).any()


@pytest.mark.parametrize("cut", [{}, {"n_segments": 4}], ids=["clusters", "segments"])
def test_separate_frames_are_segmented_as_if_alone(cut):
    stack = np.random.default_rng(0).integers(0, 255, (2, 3, 30, 40), np.uint8)
    labels = segment(stack, axes="tcyx", joint=False, **cut, **SMALL)
    assert labels.shape == (2, 30, 40)
    alone = [segment(frame, axes="cyx", **cut, **SMALL) for frame in stack]
    np.testing.assert_array_equal(labels[0], alone[0])
    np.testing.assert_array_equal(labels[1], alone[1] + (4 if cut else 0))


def test_separate_frames_have_their_masks():
    stack = np.random.default_rng(0).integers(0, 255, (2, 30, 40), np.uint8)
    mask = np.zeros(stack.shape, bool)
    mask[0, :10], mask[1, 20:] = True, True
    labels = segment(stack, axes="zyx", joint=False, mask=mask, **SMALL)
    np.testing.assert_array_equal(labels > 0, mask)
