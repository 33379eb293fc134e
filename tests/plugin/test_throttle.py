import time

import pytest

from napari_unsupseg.plugin.throttle import SHARE_SECONDS, IterationTimer, PictureThrottle


@pytest.fixture
def clock(monkeypatch):
    """Replace the clock by one that a test sets."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def advance(seconds):
        now[0] += seconds

    return advance


def test_the_pace_is_the_mean_of_the_last_iterations(clock):
    timer = IterationTimer()
    assert timer.seconds is None
    for seconds in (5, *[1, 3] * 10):  # the first is none of the last twenty durations
        clock(seconds)
        timer.tick(1)
    assert timer.seconds == pytest.approx(2)


def test_a_new_size_begins_a_new_pace(clock):
    timer = IterationTimer()
    for seconds, factor in ((1, 2), (1, 2), (7, 1)):
        clock(seconds)
        timer.tick(factor)
    assert timer.seconds is None, "the time to prepare a size is no iteration"
    clock(0.5)
    timer.tick(1)
    assert timer.seconds == pytest.approx(0.5)


def test_a_pause_is_left_out(clock):
    timer = IterationTimer()
    for seconds in (1, 1):
        clock(seconds)
        timer.tick(1)
    timer.skip_pause()
    clock(60)
    timer.tick(1)
    assert timer.seconds == pytest.approx(1)


def test_pictures_by_iterations():
    throttle = PictureThrottle(4)
    assert [n for n in range(1, 13) if throttle.is_due(n)] == [1, 4, 8, 12]


@pytest.mark.parametrize(
    ("making", "pause"),
    [
        pytest.param(0.01, 0.2, id="quick: five a second"),
        pytest.param(1.0, 5.0, id="slow: a fifth"),
    ],
)
def test_pictures_by_time(clock, making, pause):
    throttle = PictureThrottle(0)
    assert throttle.is_due(1)
    with throttle.timing_picture():
        clock(making)
    clock(pause - making - 0.001)
    assert not throttle.is_due(2)
    clock(0.002)
    assert throttle.is_due(3)


@pytest.mark.parametrize(
    ("chosen", "seconds"),
    [pytest.param((), 0.05, id="training"), pytest.param((SHARE_SECONDS,), 0.2, id="what follows")],
)
def test_text_comes_twenty_times_a_second_at_most(clock, chosen, seconds):
    throttle = PictureThrottle(100)
    assert throttle.is_text_due()
    throttle.text_sent(*chosen)
    clock(seconds - 0.001)
    assert not throttle.is_text_due()
    clock(0.002)
    assert throttle.is_text_due()
