import pytest

from napari_unsupseg import Settings
from napari_unsupseg.learning.cost import expected_seconds, finishing_seconds, stage_costs
from napari_unsupseg.plugin.run_data import Phase, RunUpdate
from napari_unsupseg.plugin.run_estimate import RunEstimate

SHAPE, N_FRAMES, SETTINGS = (512, 512), 3, Settings()
REDUCED, FULL = stage_costs(SHAPE, N_FRAMES, SETTINGS)
FINISH = finishing_seconds(SHAPE, N_FRAMES)
SLOW = 3.0  # times what was expected


def update(iteration, stage, phase=Phase.TRAINING):
    seconds = SLOW * stage.iteration_seconds if iteration > 1 else None
    return RunUpdate(phase, iteration, 500, 9, 0.5, stage.factor, "cpu", iteration_seconds=seconds)


def seconds(n_reduced, n_full, finish):
    training = n_reduced * REDUCED.iteration_seconds + n_full * FULL.iteration_seconds
    return SLOW * (training + finish)


@pytest.mark.parametrize(
    ("updates", "left"),
    [
        pytest.param([update(1, REDUCED)], None, id="nothing is measured"),
        pytest.param(
            [update(1, REDUCED), update(21, REDUCED)],
            seconds(REDUCED.iterations - 20, FULL.iterations, FINISH),
            id="as most images",
        ),
        pytest.param(
            [update(1, REDUCED), update(201, REDUCED)],
            seconds(50, FULL.iterations, FINISH),
            id="longer than most",
        ),
        pytest.param(
            [update(70, REDUCED), update(71, REDUCED)],
            seconds(REDUCED.iterations - 1, FULL.iterations, FINISH),
            id="continued",
        ),
        pytest.param(
            [update(60, REDUCED), update(61, FULL), update(62, FULL)],
            seconds(0, FULL.iterations - 1, FINISH),
            id="at full size",
        ),
        pytest.param(
            [update(61, FULL), update(62, REDUCED), update(63, REDUCED)],
            seconds(REDUCED.iterations - 1, FULL.iterations, FINISH),
            id="back for strokes",
        ),
        pytest.param(
            [update(1, REDUCED), update(21, REDUCED), update(40, REDUCED, Phase.PAUSED)],
            seconds(REDUCED.iterations - 20, FULL.iterations, FINISH),
            id="paused",
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
    assert estimate.seconds_left() == pytest.approx(expected_seconds(SHAPE, N_FRAMES, SETTINGS))
