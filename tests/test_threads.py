import threading

import torch

from napari_unsupseg.threads import Threads

from .conftest import threads_of_torch


def test_threads_keep_to_one_core_and_leave_the_others_theirs():
    seen = []
    with threads_of_torch(3):
        threads = Threads(2)
        assert threads.each(lambda _: torch.get_num_threads(), range(8)) == [1] * 8
        other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        other.start()
        other.join()
        assert [torch.get_num_threads(), *seen] == [3, 3]


def test_a_thread_that_starts_late_leaves_the_others_theirs():
    seen = []
    with threads_of_torch(3):
        for _ in range(500):  # of which an early end met some three
            Threads(2).each(lambda _: None, range(8))
            other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
            other.start()
            other.join()
    assert seen == [3] * 500


def test_one_thread_is_the_callers():
    assert Threads(1).each(lambda _: threading.current_thread(), [0]) == [
        threading.current_thread()
    ]
