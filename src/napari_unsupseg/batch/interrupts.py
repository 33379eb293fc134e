"""Ctrl-C and SIGTERM, which ends jobs of a cluster: who hears them, and what they do."""

# what the command needs before PyTorch is there, and a worker as soon as it starts: it imports
# nothing that takes long
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

__all__ = ["dask_setup", "handle_interrupts"]

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def handle_interrupts(
    handler: Callable[..., None], numbers: Sequence[signal.Signals] = INTERRUPTS
) -> Iterator[None]:
    """Have signals call a function, until the end of the block.

    Parameters
    ----------
    handler : callable
        Takes the number of the signal and the frame that it came in.
    numbers : sequence of Signals
        The signals; Ctrl-C sends SIGINT.

    Yields
    ------
    None
        In another thread than the main one nothing is changed: no signal reaches it, and Python
        does not let it set a handler.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, before in previous.items():
            # None stands for a handler that was not set by Python and cannot be set again
            signal.signal(number, before or signal.SIG_DFL)


def dask_setup(_worker: Any) -> None:
    """Have the process of a worker ignore these signals; dask calls this when one starts.

    A terminal sends Ctrl-C to all processes of a command, and Slurm SIGTERM. The first of them
    alone is to hear it, and tells its workers to keep the labels so far.

    Parameters
    ----------
    _worker : distributed.Worker
        The worker.
    """
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
