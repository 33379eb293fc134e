"""What the panel does and offers, without a window."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_unsupseg import Settings
from napari_unsupseg.plugin.label_history import LabelHistory
from napari_unsupseg.plugin.large.pyramid import LabelPyramid
from napari_unsupseg.plugin.run_data import RunRequest, RunResult
from napari_unsupseg.plugin.session import (
    Event,
    LayerRun,
    NetworkJob,
    Session,
    State,
    available_actions,
)

IDLE, TRAINING, PAUSED, FINISHING, STOPPING, ENDED = State


def new_run(pyramid=None) -> LayerRun:
    image = np.zeros((4, 5), np.uint8)
    request = RunRequest(image, {"axes": "yx"}, Settings(), "cpu", 0, 0, pyramid=pyramid)
    return LayerRun(Image(image), request, Labels(np.zeros((4, 5), np.uint8)))


def result(n_pictures=2, hierarchy=True) -> RunResult:
    history = LabelHistory(10**6)
    for iteration in range(n_pictures):
        history.add(iteration, np.ones((4, 5), np.uint8))
    made = SimpleNamespace() if hierarchy else None
    return RunResult({}, made, history, SimpleNamespace(), (), is_steered=False)


def in_state(state: State, *, last: RunResult | None = None) -> Session:
    """Return a session that events have brought into a state."""
    session = Session()
    if last is not None or state is ENDED:
        session = session.start(new_run()).end(last or result())
    if state in (IDLE, ENDED):
        return session
    session = session.start(new_run())
    way = {PAUSED: Event.PAUSE, FINISHING: Event.FINISH, STOPPING: Event.STOP}
    return session.after(way[state]) if state in way else session


TABLE = [
    # state, then the state after PAUSE, RESUME, FINISH, STOP
    (IDLE, (IDLE, IDLE, IDLE, IDLE)),
    (TRAINING, (PAUSED, TRAINING, FINISHING, STOPPING)),
    (PAUSED, (PAUSED, TRAINING, FINISHING, STOPPING)),
    (FINISHING, (FINISHING, FINISHING, FINISHING, STOPPING)),
    (STOPPING, (STOPPING, STOPPING, FINISHING, STOPPING)),
    (ENDED, (ENDED, ENDED, ENDED, ENDED)),
]


@pytest.mark.parametrize(
    ("state", "event", "expected"),
    [
        pytest.param(state, event, after, id=f"{event.name} {state.name}")
        for state, states in TABLE
        for event, after in zip(Event, states, strict=True)
    ],
)
def test_an_event_leads_from_one_state_to_the_next(state, event, expected):
    session = in_state(state)
    assert session.state is state
    following = session.after(event)
    assert following.state is expected
    assert (following.run, following.last) == (session.run, session.last)
    assert session.state is state, "a session is never changed"


@pytest.mark.parametrize("state", [TRAINING, PAUSED, FINISHING, STOPPING])
def test_a_run_that_ends_with_a_result_is_the_last_one(state):
    session, left = in_state(state), result()
    ended = session.end(left)
    assert (ended.state, ended.run) == (ENDED, None)
    assert ended.last.result is left
    assert ended.last.image is session.run.image
    assert ended.last.request is session.run.request


@pytest.mark.parametrize(("last", "state"), [(None, IDLE), (result(), ENDED)])
def test_a_run_without_a_result_leaves_the_last_one(last, state):
    session = in_state(TRAINING, last=last)
    ended = session.end(None)
    assert (ended.state, ended.run, ended.last) == (state, None, session.last)


def test_a_run_may_have_a_successor_and_lose_it():
    session = in_state(TRAINING)
    request = dataclasses.replace(session.run.request, device="cuda")
    session = session.replace_run(request)
    assert session.run.successor is request
    assert session.replace_run(None).run.successor is None


def enabled(session: Session, **kwargs: bool) -> set[str]:
    """Return the names of what is switched on."""
    there = {"has_image": True, "has_last_image": True, "has_network": session.last is not None}
    actions = available_actions(session, **there | kwargs)
    return {name for name, is_on in dataclasses.asdict(actions).items() if is_on}


NETWORK = {"load_network", "save_network", "apply_network"}
LAST_RUN = {"cut_segments", "show_history", "copy_script"}
FILES = {"open_run", "save_run"}
ENABLED = {
    IDLE: {"run", "draw_strokes", "open_run", "load_network"},
    TRAINING: {"pause", "stop", "start_over", "draw_strokes", "see_progress"},
    PAUSED: {"pause", "stop", "start_over", "draw_strokes", "see_progress"},
    FINISHING: {"stop", "start_over", "draw_strokes", "see_progress"},
    STOPPING: {"draw_strokes", "see_progress"},
    ENDED: {"run", "continue_training", "start_over", "draw_strokes"} | NETWORK | LAST_RUN | FILES,
}


@pytest.mark.parametrize("state", State, ids=lambda state: state.name)
def test_what_is_enabled_in_each_state(state):
    assert enabled(in_state(state)) == ENABLED[state]


@pytest.mark.parametrize("state", [TRAINING, PAUSED, FINISHING, STOPPING])
def test_the_last_run_waits_while_another_goes_on(state):
    assert enabled(in_state(state, last=result())) == ENABLED[state]


@pytest.mark.parametrize(
    ("given", "off"),
    [
        pytest.param({"has_image": False}, {"run", "draw_strokes", "apply_network"}, id="no image"),
        pytest.param(
            {"has_last_image": False}, {"continue_training", "start_over"}, id="its image is gone"
        ),
        pytest.param({"has_network": False}, {"save_network", "apply_network"}, id="no network"),
    ],
)
def test_what_is_not_there_switches_off(given, off):
    assert enabled(in_state(ENDED), **given) == ENABLED[ENDED] - off


@pytest.mark.parametrize(
    ("left", "off"),
    [
        pytest.param(result(hierarchy=False), {"cut_segments", "show_history"}, id="no hierarchy"),
        pytest.param(result(n_pictures=1), {"show_history"}, id="one picture"),
    ],
)
def test_what_a_run_has_not_left_switches_off(left, off):
    assert enabled(in_state(ENDED, last=left)) == ENABLED[ENDED] - off


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (NetworkJob.BRIEF, {"draw_strokes"} | LAST_RUN),
        (NetworkJob.STOPPABLE, {"draw_strokes", "stop", "see_progress"} | LAST_RUN),
    ],
    ids=lambda value: value.name if isinstance(value, NetworkJob) else "",
)
def test_a_job_of_the_network_and_a_run_exclude_each_other(job, expected):
    session = in_state(ENDED).with_job(job)
    assert enabled(session) == expected
    assert enabled(session.with_job(NetworkJob.NONE)) == ENABLED[ENDED]


def test_a_network_that_is_loaded_in_the_middle_of_a_run_leaves_its_buttons():
    assert enabled(in_state(TRAINING).with_job(NetworkJob.BRIEF)) == ENABLED[TRAINING]


def test_a_run_is_blank_until_labels_are_written():
    run = new_run()
    assert run.is_blank
    run.labels.data[2, 3] = 1
    assert not run.is_blank


def test_a_run_on_a_large_image_is_blank_until_its_pyramid_is_written():
    pyramid = LabelPyramid((600, 700), np.uint8)
    run = new_run(pyramid)
    assert run.is_blank
    pyramid.write((slice(0, 2), slice(0, 2)), np.ones((2, 2), np.uint8))
    assert not run.is_blank


def test_nothing_goes_on_with_an_image_that_has_other_data():
    session = in_state(ENDED)
    session.last.image.data = np.ones((4, 5), np.uint8)
    off = {"continue_training", "start_over", "cut_segments", "show_history"}
    assert enabled(session) == ENABLED[ENDED] - off
