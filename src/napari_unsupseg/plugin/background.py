"""Work in napari's thread workers: errors that are not lost, and work that can be stopped."""

import atexit
import contextlib
import importlib
import threading
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

from napari.qt.threading import WorkerBase

from napari_unsupseg.errors import UnsupsegError
from napari_unsupseg.plugin.throttle import PictureThrottle

__all__ = ["RunError", "preload", "run_until_stopped", "translate_worker_errors"]

Update = TypeVar("Update")
Result = TypeVar("Result")

# napari does so when its application quits, which that of a script may never do
atexit.register(WorkerBase.await_workers)


class RunError(Exception):
    """A run failed in a way that nobody foresaw.

    Not a `RuntimeError`, since superqt takes those for deleted Qt objects and drops them.
    """


def preload() -> threading.Thread:
    """Import PyTorch, and all else that a run and its plots need, in a thread.

    It takes seconds, in which the window must not freeze.

    Returns
    -------
    threading.Thread
        Alive until everything is imported. A run that begins before waits for it.
    """
    thread = threading.Thread(target=_import_slow_modules)
    thread.start()
    return thread


def _import_slow_modules() -> None:
    for name in ("napari_unsupseg.segmenter", "pyqtgraph"):
        importlib.import_module(name)


def run_until_stopped(
    work: Generator[Update, None, Result], is_stopped: Callable[[], bool]
) -> Generator[Update, None, Result | None]:
    """Do work that is divided into parts, until it is stopped.

    Parameters
    ----------
    work : generator
        Yields after each part how far it is.
    is_stopped : callable
        Asked before each part.

    Yields
    ------
    object
        What the work yields, but no more often than twenty times a second: a window would be busy
        with it.

    Returns
    -------
    object
        What the work returns; None if it was stopped before.
    """
    throttle = PictureThrottle(0)
    while not is_stopped():
        try:
            update = next(work)
        except StopIteration as end:
            result: Result = end.value
            return result
        if throttle.is_text_due():
            throttle.text_sent()
            yield update
    return None


@contextlib.contextmanager
def translate_worker_errors(prefix: str = "") -> Iterator[None]:
    """Turn errors that a thread worker would lose into `RunError`.

    Parameters
    ----------
    prefix : str
        Beginning of the sentence on an error that nobody foresaw.

    Yields
    ------
    None
        For the work.

    Raises
    ------
    UnsupsegError
        As it is raised.
    RunError
        In place of any other error.
    """
    try:
        yield
    # what has a sentence for the user, or is no error
    except (UnsupsegError, GeneratorExit):
        raise
    # also one that would end a program: a thread would end without a word
    except BaseException as error:
        says_why = isinstance(error, Exception) and str(error)
        raise RunError(f"{prefix}{says_why or repr(error)}") from error
