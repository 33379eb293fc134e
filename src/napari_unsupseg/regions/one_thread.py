"""Matrices computed by one thread, so that the last digits do not depend on how many there are."""

import contextlib
import functools
import threading
from collections.abc import Iterator

from threadpoolctl import ThreadpoolController

__all__ = ["one_matrix_thread"]

# libraries for matrices have one number of threads for the whole process: nobody is to take it for
# the user's while it is 1
_lock = threading.Lock()


@contextlib.contextmanager
def one_matrix_thread() -> Iterator[None]:
    """Have libraries for matrices use one thread until the end of the block.

    Matrices as small as ours gain nothing by more, which wait for each other where cores are busy.
    """
    with _lock, _libraries().limit(limits=1, user_api="blas"):
        yield


@functools.cache
def _libraries() -> ThreadpoolController:
    """Find the libraries, which takes milliseconds."""
    return ThreadpoolController()
