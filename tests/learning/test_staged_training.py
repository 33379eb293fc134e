import itertools
import threading

import numpy as np
import pytest
import skimage.data
import torch

import napari_unsupseg.learning.schedule
import napari_unsupseg.learning.staged_training
from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.learning.network import build_network
from napari_unsupseg.learning.schedule import Stage
from napari_unsupseg.learning.staged_training import TrainingState, train

# the stages' own labels, not the clusters made of them afterwards
QUICK = {"filters": 12, "max_clusters": 20, "final_clusters": 0, "precision": "float32"}


@pytest.fixture(scope="module")
def coins():
    """Coins, shape (303, 384)."""
    return skimage.data.coins()


def test_a_run_begins_small_and_ends_at_full_size(coins):
    settings = Settings(iterations=40, settle=0.2, **QUICK)
    steps = list(Segmenter(settings).steps(coins))
    factors = [step.factor for step in steps]
    assert factors == sorted(factors, reverse=True)
    assert {3, 1} == set(factors)
    assert factors.count(1) == 5 + 1
    assert len(steps) < 40, "it did not settle"
    iterations = [step.iteration for step in steps]
    assert iterations[:-1] == list(range(1, len(steps)))
    assert iterations[-1] == iterations[-2], "the last step has all of the image"
    for step in (steps[0], steps[-1]):
        assert step.labels.shape == coins.shape
        assert step.labels.min() >= 1
    assert not (np.diff(steps[0].labels[::2], axis=0)[::2] == 0).all()


def test_settle_of_none_is_the_paper_s_run(coins):
    steps = list(Segmenter(Settings(iterations=12, settle=None, **QUICK)).steps(coins[:110, :110]))
    assert len(steps) == 12


@pytest.fixture
def small_samples(monkeypatch):
    """Have images of more than 10 000 pixels count as too large to be reduced whole."""
    for name in ("MAX_REDUCED_PIXELS", "REDUCED_PIXELS"):
        monkeypatch.setattr(napari_unsupseg.learning.schedule, name, 10_000)
    monkeypatch.setattr(napari_unsupseg.learning.staged_training, "PREVIEW_PIXELS", 5_000)


@pytest.mark.usefixtures("small_samples")
def test_a_large_image_is_trained_on_in_part_and_labelled_whole(coins):
    mask = np.ones(coins.shape, bool)
    mask[:50, :70] = False
    segmenter = Segmenter(Settings(iterations=30, **QUICK))
    steps = list(segmenter.steps(coins, mask=mask))
    assert steps[-1].iteration == steps[-2].iteration == 30
    assert steps[-1].factor == 1
    for step in (steps[0], steps[-2], steps[-1]):
        assert step.labels.dtype == np.uint8
        np.testing.assert_array_equal(step.labels > 0, mask)
    assert steps[-1].n_clusters == len(np.unique(steps[-1].labels[mask]))
    preview, whole = steps[-2].labels, steps[-1].labels
    assert np.mean(preview[mask] == whole[mask]) > 0.6
    assert not np.array_equal(preview, whole)


@pytest.mark.usefixtures("small_samples")
def test_a_preview_is_that_of_its_iteration_whenever_it_is_asked_for(coins):
    settings = Settings(iterations=12, **QUICK)
    at_once = [step.labels for step in Segmenter(settings).steps(coins)]
    steps = list(Segmenter(settings).steps(coins))
    for early, late in zip(at_once, steps, strict=True):
        np.testing.assert_array_equal(early, late.labels)


def test_a_run_that_is_left_leaves_no_thread_behind(coins):
    before = threading.active_count()
    steps = Segmenter(Settings(**QUICK)).steps(coins)
    next(steps)
    steps.close()
    assert threading.active_count() == before


@pytest.mark.usefixtures("small_samples")
def test_new_strokes_have_tiles_of_their_own(coins):
    image = normalize_image(split_channels(coins))
    settings = Settings(iterations=24, superpixels=300, **QUICK)
    # in a corner that no tile reached before there were strokes
    strokes = np.zeros(coins.shape, np.uint8)
    strokes[-8:, -40:] = 13
    network = build_network(torch.from_numpy(image.values)[None], settings)
    # asked before the first iteration and after each: drawn after the fourth
    drawn = itertools.chain([None] * 4, itertools.repeat(strokes))
    labels = [step.labels for step in train(network, image, settings, strokes=drawn.__next__)]
    assert np.mean(labels[3][strokes > 0] == 13) < 0.1
    assert np.mean(labels[-1][strokes > 0] == 13) > 0.9


def test_a_caller_s_module_sees_the_image_at_its_own_size(coins):
    settings = Settings(iterations=4, superpixels=300, **QUICK)
    module = torch.nn.Conv2d(1, 8, 3, padding=1)
    steps = list(Segmenter(settings, features=module).steps(coins))
    assert [(step.iteration, step.factor) for step in steps] == [(n, 1) for n in (1, 2, 3, 4)]


def state_after(n_iterations: int, *stages: Stage) -> TrainingState:
    """Return where a run stands after some iterations of its first stage."""
    state = TrainingState()
    state.start_stages(list(stages))
    for _ in range(n_iterations):
        state.monitor.update(torch.zeros(1, 4, 4), None, 16)
    return state


def test_iterations_of_all_stages_are_left():
    state = state_after(3, Stage(4, 100, 20, 0.02), Stage(1, 50, 5, 0))
    assert state.iterations_per_stage == [17, 5]
    assert state.iterations_left == 22
    assert TrainingState().iterations_left == 0


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        pytest.param([Stage(1, 10**6, 10, 0)], 2 * 10, id="one size"),
        # 200 pixels at half the size, then 160 in tiles: 10 + 5 · 160 / 200 iterations as now
        pytest.param([Stage(2, 10**6, 10, 0), Stage(1, 160, 5, 0)], 2 * (10 + 4), id="two sizes"),
        pytest.param([], 0, id="at the end"),
    ],
)
def test_the_time_left_follows_the_pixels_of_the_stages(stages, expected):
    image = normalize_image(split_channels(np.random.default_rng(0).random((20, 40))))
    assert state_after(0, *stages).seconds_left(2, image) == pytest.approx(expected)


def test_a_run_that_is_resumed_goes_on_where_it_was_left(rgb, small):
    image = normalize_image(split_channels(rgb))
    frame = torch.from_numpy(image.values)[None]
    whole = [step.labels for step in train(build_network(frame, small), image, small)]
    network, state, labels = build_network(frame, small), TrainingState(), []
    for n_steps in (3, 100):
        for _, step in zip(range(n_steps), train(network, image, small, state), strict=False):
            labels.append(step.labels)
    np.testing.assert_array_equal(labels, whole)
