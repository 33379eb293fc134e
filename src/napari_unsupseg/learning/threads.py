"""Threads that each keep to one core, where torch would spread every operation over all of them."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import ParamSpec, Self, TypeVar

import torch

__all__ = ["CoreThreads"]

Arguments = ParamSpec("Arguments")
Item = TypeVar("Item")
Result = TypeVar("Result")


# while threads start, torch's number for threads yet to come is 1, which nobody else is to read
_starting = threading.Lock()


class CoreThreads:
    """Threads of a CPU, with one core each, so that results do not depend on how many there are.

    A context, at whose end they end. Another device has its own, which the caller's thread sets to
    work.

    Parameters
    ----------
    device : torch.device
        What computes.
    n_threads : int, optional
        How many on a CPU; by default as many as torch uses.

    Attributes
    ----------
    n_threads : int
        Works that can go beside each other.
    """

    def __init__(self, device: torch.device, n_threads: int | None = None) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self.n_threads = 1
        if device.type == "cpu":
            self._pool, self.n_threads = _start(n_threads)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait until the threads have ended."""
        if self._pool is not None:
            self._pool.shutdown()

    def run(
        self, work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Have one of the threads do a work; return what came of it."""
        if self._pool is None:
            return work(*args, **kwargs)
        return self._pool.submit(work, *args, **kwargs).result()

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Do a work on each item; return what came of it, in their order.

        When one fails its error is raised after the others have ended: they may write into what
        the caller still holds.
        """
        if self._pool is None:
            return [work(item) for item in items]
        futures = [self._pool.submit(work, item) for item in items]
        wait(futures)
        return [future.result() for future in futures]


def _start(n_threads: int | None) -> tuple[ThreadPoolExecutor, int]:
    """Start threads for which torch uses one core each, and as many as before for all others."""
    with _starting:
        of_others = torch.get_num_threads()
        n_threads = n_threads or of_others
        pool = ThreadPoolExecutor(n_threads, "unsupseg", _keep_to_one_core)
        # a start that fails is an error, not an endless wait
        all_started = threading.Barrier(n_threads, timeout=60)
        wait([pool.submit(all_started.wait) for _ in range(n_threads)])
        # each has set its own number, yet also what new threads begin with
        torch.set_num_threads(of_others)
    return pool, n_threads


def _keep_to_one_core() -> None:
    torch.get_num_threads()  # at its first use in a thread, torch sets what the next line sets
    torch.set_num_threads(1)
