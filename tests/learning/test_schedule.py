import numpy as np
import pytest
import skimage.data

import napari_unsupseg.learning.schedule
import napari_unsupseg.learning.staged_training
from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.learning.schedule import plan_stages

# the stages' own labels, not the clusters made of them afterwards
QUICK = {"filters": 12, "max_clusters": 20, "final_clusters": 0, "precision": "float32"}


@pytest.fixture(scope="module")
def coins():
    """Coins, shape (303, 384)."""
    return skimage.data.coins()


@pytest.mark.parametrize(
    ("shape", "n_frames", "settings", "expected"),
    [
        pytest.param((100, 100), 1, {}, [(1, 150)], id="small"),
        pytest.param((160, 160), 1, {}, [(1, 150)], id="rather small"),
        pytest.param((256, 256), 1, {}, [(2, 145), (1, 5)], id="middling"),
        pytest.param((481, 321), 1, {}, [(4, 145), (1, 5)], id="BSDS500"),
        pytest.param((4096, 4096), 1, {}, [(4, 145), (1, 5)], id="large"),
        pytest.param((100, 100), 3, {}, [(1, 150)], id="few small frames"),
        pytest.param((100, 100), 20, {}, [(1, 145), (1, 5)], id="many small frames"),
        pytest.param((481, 321), 2, {}, [(4, 145), (1, 5)], id="two frames"),
        pytest.param((64, 512, 512), 1, {}, [(4, 145), (1, 5)], id="a volume"),
        pytest.param((481, 321), 1, {"settle": 0}, [(1, 150)], id="as the paper"),
        pytest.param((481, 321), 1, {"settle": None}, [(1, 150)], id="never settles"),
        pytest.param((481, 321), 1, {"iterations": 8}, [(4, 6), (1, 2)], id="few iterations"),
        pytest.param((481, 321), 1, {"iterations": 1}, [(1, 1)], id="one iteration"),
    ],
)
def test_the_plan_of_a_run(shape, n_frames, settings, expected):
    stages = plan_stages(shape, n_frames, Settings.from_dict(settings))
    assert [(stage.factor, stage.iterations) for stage in stages] == expected


@pytest.mark.parametrize(
    ("side", "settle", "is_whole"),
    [
        pytest.param(150, 0.02, [True], id="small"),
        pytest.param(512, 0.02, [True, False], id="a usual micrograph"),
        pytest.param(2048, 0.02, [False, False], id="large"),
        pytest.param(700, 0, [True], id="whole as in the paper"),
        pytest.param(2048, 0, [False], id="too large to be whole"),
    ],
)
def test_what_is_trained_on_whole(side, settle, is_whole):
    stages = plan_stages((side, side), 1, Settings(settle=settle))
    fits = [side**2 / stage.factor**2 <= stage.max_pixels for stage in stages]
    assert fits == is_whole


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
def small_views(monkeypatch):
    """Have images of more than 10 000 pixels count as too large to be reduced whole."""
    for name in ("MAX_REDUCED_PIXELS", "REDUCED_PIXELS"):
        monkeypatch.setattr(napari_unsupseg.learning.schedule, name, 10_000)
    monkeypatch.setattr(napari_unsupseg.learning.staged_training, "PREVIEW_PIXELS", 5_000)


@pytest.mark.usefixtures("small_views")
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


@pytest.mark.usefixtures("small_views")
def test_a_preview_is_that_of_its_iteration_whenever_it_is_asked_for(coins):
    settings = Settings(iterations=12, **QUICK)
    at_once = [step.labels for step in Segmenter(settings).steps(coins)]
    steps = list(Segmenter(settings).steps(coins))
    for early, late in zip(at_once, steps, strict=True):
        np.testing.assert_array_equal(early, late.labels)


def test_a_run_that_is_left_leaves_no_thread_behind(coins):
    import threading

    before = threading.active_count()
    steps = Segmenter(Settings(**QUICK)).steps(coins)
    next(steps)
    steps.close()
    assert threading.active_count() == before
