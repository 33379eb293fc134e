"""Threads that each keep to one core, where torch would spread every operation over all of them."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import ParamSpec, Self, TypeVar

import torch

__all__ = ["CoreThreads", "count_threads"]

Arguments = ParamSpec("Arguments")
Item = TypeVar("Item")
Result = TypeVar("Result")

# while threads start, torch's number of threads for threads yet to come is 1: nobody else is to
# read that number meanwhile and to take it for the user's
_start_lock = threading.Lock()


class CoreThreads:
    """A pool of threads that compute on one core each: results do not depend on their number.

    Used as a context; the threads end with it. On any other device than a CPU there are none: the
    caller's thread gives that device its work.

    Parameters
    ----------
    device : torch.device
        The device that computes.
    n_threads : int, optional
        Threads on a CPU; by default as many as torch uses.

    Attributes
    ----------
    n_threads : int
        Calls that run at the same time.
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
        self,
        function: Callable[Arguments, Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """Call a function in one of the threads and return its result."""
        if self._pool is None:
            return function(*args, **kwargs)
        return self._pool.submit(function, *args, **kwargs).result()

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Call a function on each item and return the results, in the order of the items.

        When a call fails its error is raised after the other calls have ended: they may still
        write into an array that the caller is about to use.
        """
        if self._pool is None:
            return [function(item) for item in items]
        futures = [self._pool.submit(function, item) for item in items]
        wait(futures)
        return [future.result() for future in futures]


def count_threads(device: torch.device) -> int:
    """Return how many threads compute at the same time: as torch uses on a CPU, else one."""
    return torch.get_num_threads() if device.type == "cpu" else 1


def _start(n_threads: int | None) -> tuple[ThreadPoolExecutor, int]:
    """Start threads for which torch uses one core each; for others it uses as many as before."""
    with _start_lock:
        n_torch_threads = torch.get_num_threads()
        n_threads = n_threads or n_torch_threads
        pool = ThreadPoolExecutor(n_threads, "unsupseg", _keep_to_one_core)
        # only a call that waits for all the others has the pool start every thread now; with a
        # limit in time, so that a start that fails is an error and not an endless wait
        all_started = threading.Barrier(n_threads, timeout=60)
        wait([pool.submit(all_started.wait) for _ in range(n_threads)])
        # each thread has set its own number, and with it the one that new threads begin with
        torch.set_num_threads(n_torch_threads)
    return pool, n_threads


def _keep_to_one_core() -> None:
    """Have torch use one core for the calling thread."""
    torch.get_num_threads()  # at its first use in a thread torch sets the number that we set next
    torch.set_num_threads(1)
