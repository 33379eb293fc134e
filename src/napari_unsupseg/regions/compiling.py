"""Functions that are compiled when they are first called, and kept compiled for the next time."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from numba import njit

__all__ = ["jit", "translate_interrupts"]

Function = TypeVar("Function", bound=Callable[..., Any])


def jit(**options: Any) -> Callable[[Function], Function]:
    """Have a function compiled by numba, which lets other threads go on while it runs.

    Parameters
    ----------
    **options
        Of `numba.njit`.

    Returns
    -------
    callable
        The decorator.

    Notes
    -----
    Call a function with arguments of one type each. What is compiled lies in numbered files, one
    for each list of types, and two processes that compile for different types at a time may both
    take the same number: the second file is then found under the name of the first.
    """

    def decorate(function: Function) -> Function:
        compiled: Function
        try:
            compiled = njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:  # neither the package's folder nor the user's can be written to
            compiled = njit(nogil=True, **options)(function)
        return compiled

    return decorate


@contextlib.contextmanager
def translate_interrupts() -> Iterator[None]:
    """Raise the `KeyboardInterrupt` of a compiled call that Ctrl-C ended, not numba's error.

    Raises
    ------
    KeyboardInterrupt
        In place of a `SystemError` that it has caused.
    """
    try:
        yield
    except SystemError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            raise error.__cause__ from None
        raise
