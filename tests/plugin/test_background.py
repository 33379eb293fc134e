import pytest

from napari_unsupseg.errors import ImageError
from napari_unsupseg.plugin.background import (
    RunError,
    run_until_stopped,
    translate_worker_errors,
)


def count(n, done):
    for index in range(n):
        done.append(index)
        yield index
    return "result"


def result_of(work):
    """Go through a generator; return what it yields and its result."""
    yielded = []
    while True:
        try:
            yielded.append(next(work))
        except StopIteration as end:
            return yielded, end.value


def test_work_that_is_not_stopped_has_its_result():
    done = []
    yielded, result = result_of(run_until_stopped(count(100, done), lambda: False))
    assert result == "result"
    assert done == list(range(100))
    assert yielded[0] == 0
    assert len(yielded) < 100, "a quick work is not told of part by part"


def test_work_that_is_stopped_has_none():
    done = []
    work = run_until_stopped(count(100, done), lambda: len(done) == 3)
    assert result_of(work) == ([0], None)
    assert done == [0, 1, 2]


def test_no_error_is_lost_and_those_for_the_user_stay():
    with (
        pytest.raises(RunError, match=r"^it failed: 'a bug'$") as raised,
        translate_worker_errors("it failed: "),
    ):
        raise KeyError("a bug")
    assert isinstance(raised.value.__cause__, KeyError)
    with pytest.raises(ImageError, match=r"^too small$"), translate_worker_errors("it failed: "):
        raise ImageError("too small")


def test_what_would_end_a_program_is_an_error_of_the_run():
    with (
        pytest.raises(RunError, match=r"^it failed: SystemExit\(3\)$"),
        translate_worker_errors("it failed: "),
    ):
        raise SystemExit(3)
    with pytest.raises(GeneratorExit), translate_worker_errors("it failed: "):
        raise GeneratorExit
