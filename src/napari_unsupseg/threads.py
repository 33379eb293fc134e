"""Threads that each keep to one core, where torch would spread every operation over all of them."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch

__all__ = ["Threads", "count_threads"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def count_threads(device: torch.device) -> int:
    """Return how many threads can go beside each other: as many as torch uses on a CPU, or 1."""
    return torch.get_num_threads() if device.type == "cpu" else 1


class Threads:
    """Threads that go through parts of a work, with no graph and one core each.

    They end when nobody refers to this any more.

    Parameters
    ----------
    n_threads : int
        How many; with 1 the caller's does it all, with as many cores as it uses.
    """

    def __init__(self, n_threads: int) -> None:
        self._pool = None
        if n_threads > 1:
            of_others = (torch.get_num_threads(),)
            self._pool = ThreadPoolExecutor(n_threads, "unsupseg", _keep_to_one_core, of_others)

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


def _keep_to_one_core(of_others: int) -> None:
    """Have torch use one core in this thread, and as many as before in threads yet to come."""
    torch.get_num_threads()  # at its first use in a thread, torch sets what the next line sets
    torch.set_num_threads(1)
    # that is this thread's, yet also what new threads begin with, which only another can set back
    restore = threading.Thread(target=torch.set_num_threads, args=(of_others,))
    restore.start()
    restore.join()
