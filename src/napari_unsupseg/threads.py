"""Threads that each keep to one core, where torch would spread every operation over all of them."""

import functools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

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
            self._pool = ThreadPoolExecutor(n_threads, "unsupseg", _keep_to_one_core)

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


def _keep_to_one_core() -> None:
    torch.get_num_threads()  # at its first use in a thread, torch sets what the next line sets
    _thread_pools().limit(limits=1, user_api="openmp")


@functools.cache
def _thread_pools() -> "ThreadpoolController":
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
