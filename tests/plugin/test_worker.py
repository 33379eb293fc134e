"""A run without a window: what goes out of it, and how it is stopped."""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_unsupseg import Segmenter, Settings, segment
from napari_unsupseg.plugin.background import RunError
from napari_unsupseg.plugin.run_control import RunControl
from napari_unsupseg.plugin.run_data import Phase, RunLeg, RunRequest, RunUpdate
from napari_unsupseg.plugin.saved_run import PanelState, WholeImage, read_run, write_run
from napari_unsupseg.plugin.worker import run

from ..conftest import SMALL

REGION = (slice(8, 56), slice(16, 60))


def request_for(image, *, region=None, update_every=1, options=None, **settings) -> RunRequest:
    return RunRequest(
        image=image,
        options={"axes": "yxs"} | (options or {}),
        settings=Settings.from_dict(SMALL | settings),
        device="cpu",
        update_every=update_every,
        history_bytes=10**6,
        region=region,
    )


def go_through(request, on_update=lambda update, control: None):
    """Return the updates of a run, all of them drawn at once, and its result."""
    control, updates = RunControl(), []
    work = run(request, control)
    while True:
        try:
            update = next(work)
        except StopIteration as end:
            return updates, end.value
        updates.append(update)
        control.picture_drawn()
        on_update(update, control)


def phases(updates: list[RunUpdate]) -> list[Phase]:
    """Return the phases of a run, each once for as long as it lasts."""
    return [
        update.phase
        for index, update in enumerate(updates)
        if not index or update.phase is not updates[index - 1].phase
    ]


@pytest.mark.parametrize("settle", [0, 0.02], ids=["clusters of the network", "clusters kept"])
def test_updates_lead_to_the_labels_of_the_library(rgb, settle):
    updates, result = go_through(request_for(rgb, settle=settle))
    expected = segment(rgb, **SMALL | {"settle": settle})
    np.testing.assert_array_equal(result.history.labels(-1), expected)
    assert phases(updates) == [Phase.TRAINING, Phase.SEGMENTING]
    trained = [update for update in updates if update.phase is Phase.TRAINING]
    assert [update.iteration for update in trained] == list(range(1, trained[-1].iteration + 1))
    assert all(update.labels is not None for update in trained)
    assert result.hierarchy is not None
    assert result.covers_image
    assert [leg.ran_to_end for leg in result.legs] == [True]
    assert result.record["clusters"] == len(np.unique(expected))


def test_a_region_is_predicted_in_all_of_the_image(rgb):
    updates, result = go_through(request_for(rgb, region=REGION))
    segmenter = Segmenter(Settings.from_dict(SMALL))
    *_, _last = segmenter.steps(rgb[REGION], axes="yxs")
    np.testing.assert_array_equal(result.history.labels(-1), segmenter.predict(rgb, axes="yxs"))
    assert result.record["region"] == {"y": [8, 56], "x": [16, 60]}
    assert Phase.PREDICTING in phases(updates)
    outside = updates[0].labels.copy()
    outside[REGION] = 0
    assert updates[0].labels[REGION].all()
    assert not outside.any()


def test_segments_around_a_region_of_a_volume_follow_its_spacing(tmp_path):
    volume = gaussian_filter(np.random.default_rng(0).random((6, 40, 44)), 1)
    options = {"axes": "zyx", "spatial_ndim": 3, "spacing": (6, 1, 1)}
    region = (slice(0, 32), slice(0, 36))
    _, result = go_through(request_for(volume, region=region, options=options, min_size=30))
    of_volume = {"axes": "zyx", "spacing": (6, 1, 1)}
    labels = result.segmenter.predict(volume, **of_volume)
    np.testing.assert_array_equal(result.history.labels(-1), labels)
    expected = result.segmenter.predict_hierarchy(volume, labels=labels, **of_volume).boundaries()
    np.testing.assert_array_equal(result.hierarchy.boundaries(), expected)
    path, whole = tmp_path / "run.unsupseg", WholeImage(volume, "zyx", region)
    write_run(path, result, PanelState("volume", whole=whole))
    again, _ = read_run(path, "cpu", 0)
    np.testing.assert_array_equal(again.hierarchy.boundaries(), expected)


@pytest.mark.parametrize("settle", [0, 0.02], ids=["clusters of the network", "clusters kept"])
def test_a_stop_keeps_the_labels_so_far(rgb, settle):
    def stop_at_3(update, control):
        if update.phase is Phase.TRAINING and update.iteration == 3:
            control.stop()

    _, result = go_through(request_for(rgb, settle=settle), stop_at_3)
    assert result.record["iterations"] == 3
    assert result.legs == (RunLeg(3, ran_to_end=False, is_finished=True),)
    assert result.hierarchy is not None, "a stop is about the training alone"
    assert result.history.labels(-1).all()


def test_a_second_stop_leaves_the_segments_off(rgb):
    def stop_twice(update, control):
        if update.iteration == 3 or update.phase is Phase.SEGMENTING:
            control.stop()

    _, result = go_through(request_for(rgb), stop_twice)
    assert result.hierarchy is None
    assert result.history.labels(-1).all()


@pytest.mark.parametrize("phase", [Phase.TRAINING, Phase.SEGMENTING])
def test_an_abandoned_run_has_no_result(rgb, phase):
    def abandon(update, control):
        if update.phase is phase:
            control.abandon()

    _, result = go_through(request_for(rgb), abandon)
    assert result is None


def test_a_run_stopped_before_its_first_step_still_takes_one(rgb):
    control = RunControl()
    control.stop()
    updates = list(run(request_for(rgb), control))
    assert {update.iteration for update in updates} == {1}


def test_a_paused_run_says_so_and_goes_on(rgb):
    def pause_at_2(update, control):
        if update.phase is Phase.PAUSED:
            control.resume()
        elif update.phase is Phase.TRAINING and update.iteration == 2:
            control.pause()

    updates, result = go_through(request_for(rgb), pause_at_2)
    paused = [update for update in updates if update.phase is Phase.PAUSED]
    assert [update.iteration for update in paused] == [2]
    assert result.record["iterations"] == SMALL["iterations"]


def test_a_pause_after_the_last_iteration_holds_up_nothing(rgb):
    def pause_when_trained(update, control):
        assert update.phase is not Phase.PAUSED
        if update.phase is Phase.SEGMENTING:
            control.pause()

    _, result = go_through(request_for(rgb, settle=0.02), pause_when_trained)
    assert result.hierarchy is not None


def test_a_run_goes_on_from_the_result_of_another(rgb):
    def stop_at_3(update, control):
        if update.phase is Phase.TRAINING and update.iteration == 3:
            control.stop()

    request = request_for(rgb)
    _, first = go_through(request, stop_at_3)
    updates, second = go_through(dataclasses.replace(request, previous=first))
    assert updates[0].iteration == 4
    np.testing.assert_array_equal(second.history.labels(-1), segment(rgb, **SMALL))
    assert second.legs == (*first.legs, RunLeg(5, ran_to_end=True))
    assert second.history.iterations[0] == 1


@pytest.mark.parametrize("region", [None, REGION], ids=["image", "region"])
def test_strokes_are_those_of_the_whole_image(rgb, region):
    strokes = np.zeros(rgb.shape[:2], np.uint8)
    strokes[12, 20:50] = 3
    strokes[50, 20:50] = 8
    request = request_for(rgb, region=region, options={"strokes": strokes})
    _, result = go_through(request)
    labels = result.history.labels(-1)
    assert set(labels[strokes == 3]) == {3}
    assert set(labels[strokes == 8]) == {8}
    assert result.is_steered
    assert result.record["strokes"]


def test_strokes_that_cannot_be_are_warned_of_and_the_run_goes_on(rgb):
    strokes = np.full(rgb.shape[:2], 200, np.uint8)

    def draw(update, control):
        if update.iteration == 2:
            control.set_strokes(strokes)

    with pytest.warns(UserWarning, match="200"):
        _, result = go_through(request_for(rgb), draw)
    assert not result.is_steered
    assert result.history.labels(-1).all()


def test_what_nobody_foresaw_is_a_run_error(rgb, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("the loop broke")

    monkeypatch.setattr(Segmenter, "steps", fail)
    with pytest.raises(RunError, match=r"^the run failed: the loop broke$"):
        go_through(request_for(rgb))
