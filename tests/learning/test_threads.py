import threading
import time

import pytest
import torch

from napari_unsupseg.learning.threads import CoreThreads

from ..conftest import threads_of_torch

CPU = torch.device("cpu")


def test_threads_keep_to_one_core_and_leave_the_others_theirs():
    seen = []
    with threads_of_torch(3):
        threads = CoreThreads(CPU, 2)
        assert threads.map(lambda _: torch.get_num_threads(), range(8)) == [1] * 8
        other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        other.start()
        other.join()
        assert [torch.get_num_threads(), *seen] == [3, 3]


def test_a_thread_that_starts_late_leaves_the_others_theirs():
    seen = []
    with threads_of_torch(3):
        for _ in range(500):  # of which an early end met some three
            CoreThreads(CPU, 2).map(lambda _: None, range(8))
            other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
            other.start()
            other.join()
    assert seen == [3] * 500


def test_one_thread_keeps_to_one_core_too():
    with threads_of_torch(3):
        assert CoreThreads(CPU, 1).run(torch.get_num_threads) == 1
        assert CoreThreads(CPU).n_threads == 3


def test_on_another_device_the_caller_s_thread_does_the_work():
    threads = CoreThreads(torch.device("meta"), 3)
    assert threads.run(threading.current_thread) is threading.current_thread()
    assert threads.map(lambda _: threading.current_thread(), [0]) == [threading.current_thread()]
    assert threads.n_threads == 1


def test_an_error_is_told_when_all_works_have_ended():
    ended = []

    def fail_at_the_first(item):
        if item == 0:
            raise MemoryError("no room")
        time.sleep(0.05)
        ended.append(item)

    with pytest.raises(MemoryError, match="no room"):
        CoreThreads(CPU, 3).map(fail_at_the_first, range(3))
    assert len(ended) == 2


def test_no_thread_outlives_its_owner():
    before = set(threading.enumerate())
    threads = CoreThreads(CPU, 2)
    own = set(threading.enumerate()) - before
    assert len(own) == 2
    del threads
    for thread in own:
        thread.join(10)
        assert not thread.is_alive()
