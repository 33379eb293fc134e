"""Threads that each keep to one core, where torch would spread every operation over all of them."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch

__all__ = ["Threads", "count_threads"]

Item = TypeVar("Item")
Result = TypeVar("Result")


# while threads start, torch's number for threads yet to come is 1, which nobody else is to read
_starting = threading.Lock()


def count_threads(device: torch.device) -> int:
    """Return how many threads can go beside each other: as many as torch uses on a CPU, or 1."""
    if device.type != "cpu":
        return 1
    with _starting:
        return torch.get_num_threads()


class Threads:
    """Threads that go through parts of a work, with no graph and one core each.

    They end when nobody refers to this any more.

    Parameters
    ----------
    n_threads : int
        How many; with 1 the caller's does it all, with as many cores as it uses.
    """

    def __init__(self, n_threads: int) -> None:
        self._pool = _start(n_threads) if n_threads > 1 else None

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Do a work on each item; return what came of it, in their order.

        When one fails its error is raised after the others have ended: they may write into what
        the caller still holds.
        """
        if self._pool is None:
            return [work(item) for item in items]
        futures = [self._pool.submit(_without_graph, work, item) for item in items]
        wait(futures)
        return [future.result() for future in futures]


def _without_graph(work: Callable[[Item], Result], item: Item) -> Result:
    with torch.no_grad():  # is a thread's own
        return work(item)


def _start(n_threads: int) -> ThreadPoolExecutor:
    """Start threads for which torch uses one core each, and as many as before for all others."""
    with _starting:
        of_others = torch.get_num_threads()
        pool = ThreadPoolExecutor(n_threads, "unsupseg", _keep_to_one_core)
        # a start that fails is an error, not an endless wait
        all_started = threading.Barrier(n_threads, timeout=60)
        wait([pool.submit(all_started.wait) for _ in range(n_threads)])
        # each has set its own number, yet also what new threads begin with
        torch.set_num_threads(of_others)
    return pool


def _keep_to_one_core() -> None:
    torch.get_num_threads()  # at its first use in a thread, torch sets what the next line sets
    torch.set_num_threads(1)
