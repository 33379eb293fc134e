import threading
import time

import numpy as np
import pytest

from napari_unsupseg.plugin import run_control
from napari_unsupseg.plugin.run_control import RunControl


def test_a_run_that_is_told_nothing_goes_on():
    control = RunControl()
    assert not control.is_stopped
    assert not control.is_abandoned
    assert not control.is_paused
    assert control.is_picture_drawn
    assert control.new_strokes() == ()


def test_a_stop_ends_a_pause_and_the_wait_for_a_picture():
    control = RunControl()
    control.pause()
    control.picture_sent()
    control.stop()
    assert control.is_stopped
    assert not control.is_paused
    assert control.is_picture_drawn
    control.picture_sent()
    assert control.is_picture_drawn, "a stopped run waits for no picture"


@pytest.mark.parametrize(("method", "is_stopped"), [("stop", False), ("abandon", True)])
def test_a_stop_can_be_cleared_and_an_end_cannot(method, is_stopped):
    control = RunControl()
    getattr(control, method)()
    assert control.is_stopped
    control.clear_stop()
    assert control.is_stopped == is_stopped


def test_only_the_newest_strokes_are_handed_out_and_once():
    control, newest = RunControl(), np.ones((2, 3), np.uint8)
    control.set_strokes(None)
    control.set_strokes(newest)
    [strokes] = control.new_strokes()
    assert strokes is newest
    assert control.new_strokes() == ()
    control.set_strokes(None)
    assert control.new_strokes() == (None,)


@pytest.mark.parametrize(
    ("hold", "wait", "release", "constant"),
    [
        ("pause", "wait_while_paused", "resume", "POLL_SECONDS"),
        ("picture_sent", "wait_until_drawn", "picture_drawn", "DRAW_TIMEOUT"),
    ],
)
def test_a_wait_ends_at_once_when_it_is_over_and_by_itself(
    monkeypatch, hold, wait, release, constant
):
    control = RunControl()
    getattr(control, hold)()
    monkeypatch.setattr(run_control, constant, 0.01)
    getattr(control, wait)()  # it ends though nothing happens
    monkeypatch.setattr(run_control, constant, 60)
    timer = threading.Timer(0.01, getattr(control, release))
    start = time.perf_counter()
    timer.start()
    getattr(control, wait)()
    assert time.perf_counter() - start < 30
    timer.join()
