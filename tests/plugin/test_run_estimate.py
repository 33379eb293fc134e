from types import SimpleNamespace

import numpy as np
import pytest

from napari_unsupseg import Settings
from napari_unsupseg.learning.cost import (
    companion_seconds,
    count_cores,
    expected_seconds,
    finishing_seconds,
    stage_costs,
)
from napari_unsupseg.plugin.run_data import Phase, RunRequest, RunResult, RunUpdate
from napari_unsupseg.plugin.run_estimate import RunEstimate

SHAPE, N_FRAMES, SETTINGS = (512, 512), 3, Settings()
REDUCED, FULL = stage_costs(SHAPE, N_FRAMES, SETTINGS)
N_CORES = count_cores()
FINISH = finishing_seconds(SHAPE, N_FRAMES)
AFTER = companion_seconds(SHAPE, N_FRAMES, SETTINGS, N_CORES) + FINISH
SLOW = 3.0  # times what was expected


def update(iteration, stage, phase=Phase.TRAINING, share=None, device="cpu"):
    seconds = SLOW * stage.iteration_seconds if iteration > 1 else None
    return RunUpdate(
        phase, iteration, 500, 9, 0.5, stage.factor, device, share=share, iteration_seconds=seconds
    )


def seconds(n_reduced, n_full, after):
    training = n_reduced * REDUCED.iteration_seconds + n_full * FULL.iteration_seconds
    return SLOW * (training + after)


TRAINED = [update(1, REDUCED), update(56, FULL), update(60, FULL)]


@pytest.mark.parametrize(
    ("updates", "left"),
    [
        pytest.param([update(1, REDUCED)], None, id="nothing is measured"),
        pytest.param(
            [update(1, REDUCED), update(21, REDUCED)],
            seconds(REDUCED.iterations - 20, FULL.iterations, AFTER),
            id="as most images",
        ),
        pytest.param(
            [update(1, REDUCED), update(201, REDUCED)],
            seconds(50, FULL.iterations, AFTER),
            id="longer than most",
        ),
        pytest.param(
            [update(70, REDUCED), update(71, REDUCED)],
            seconds(REDUCED.iterations - 1, FULL.iterations, AFTER),
            id="continued",
        ),
        pytest.param(
            [update(60, REDUCED), update(61, FULL), update(62, FULL)],
            seconds(0, FULL.iterations - 1, AFTER),
            id="at full size",
        ),
        pytest.param(
            [update(61, FULL), update(62, REDUCED), update(63, REDUCED)],
            seconds(REDUCED.iterations - 1, FULL.iterations, AFTER),
            id="back for strokes",
        ),
        pytest.param(
            [update(1, REDUCED), update(21, REDUCED), update(40, REDUCED, Phase.PAUSED)],
            seconds(REDUCED.iterations - 20, FULL.iterations, AFTER),
            id="paused",
        ),
        pytest.param(
            [*TRAINED, update(60, FULL, Phase.SEGMENTING)],
            seconds(0, 0, AFTER),
            id="trained",
        ),
        pytest.param(
            [
                *TRAINED,
                update(60, FULL, Phase.SEGMENTING, 0.75),
                update(60, FULL, Phase.SEGMENTING),
            ],
            seconds(0, 0, AFTER / 4),
            id="a part of what follows is done",
        ),
        pytest.param(
            [
                *TRAINED,
                update(60, FULL, Phase.PREDICTING, 0.1),
                update(60, FULL, Phase.SEGMENTING, 0.1),
            ],
            None,
            id="all of an image whose region was trained on",
        ),
    ],
)
def test_what_is_left_is_what_the_stages_cost_by_the_pace_that_is_measured(updates, left):
    estimate = RunEstimate(SHAPE, N_FRAMES, SETTINGS)
    for one in updates:
        estimate.add(one)
    assert estimate.seconds_left() == pytest.approx(left)


def test_the_pace_is_that_of_the_stage_that_takes_longest():
    estimate = RunEstimate(SHAPE, N_FRAMES, SETTINGS)
    for one in (update(1, REDUCED), update(20, REDUCED)):
        estimate.add(one)
    hurried = RunUpdate(Phase.TRAINING, 21, 500, 9, 0.5, FULL.factor, "cpu", iteration_seconds=1e-6)
    estimate.add(hurried)
    assert estimate.slowness == pytest.approx(SLOW)


def test_at_the_expected_pace_the_whole_is_what_was_announced():
    estimate = RunEstimate(SHAPE, N_FRAMES, SETTINGS)
    first = update(1, REDUCED)
    estimate.add(first)
    second = RunUpdate(
        Phase.TRAINING, 1, 500, 9, 0.5, REDUCED.factor, "cpu",
        iteration_seconds=REDUCED.iteration_seconds,
    )  # fmt: skip
    estimate.add(second)
    assert estimate.seconds_left() == pytest.approx(
        expected_seconds(SHAPE, N_FRAMES, SETTINGS, N_CORES)
    )


def test_on_a_gpu_other_networks_train_one_after_another_and_the_rest_is_the_cpu_s():
    estimate = RunEstimate(SHAPE, N_FRAMES, SETTINGS)
    for phase in (Phase.TRAINING, Phase.SEGMENTING):
        estimate.add(update(2, REDUCED, phase, device="cuda"))
    assert estimate.seconds_left() == pytest.approx(
        SLOW * companion_seconds(SHAPE, N_FRAMES, SETTINGS, 1) + FINISH
    )


@pytest.mark.parametrize(
    ("hierarchy", "after"),
    [
        pytest.param(None, AFTER, id="stopped before there were segments"),
        pytest.param(SimpleNamespace(), FINISH, id="other networks have trained"),
    ],
)
def test_a_run_that_is_continued_keeps_its_other_networks(hierarchy, after):
    previous = RunResult({}, hierarchy, None, None, (), False)
    image, options = np.zeros((N_FRAMES, *SHAPE)), {"axes": "tyx"}
    request = RunRequest(image, options, SETTINGS, "cpu", 0, 0, previous)
    estimate = RunEstimate.of(request)
    for one in [*TRAINED, update(60, FULL, Phase.SEGMENTING)]:
        estimate.add(one)
    assert estimate.seconds_left() == pytest.approx(seconds(0, 0, after))
