"""Functions that are compiled when they are first called, and kept compiled for the next time."""

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(**options: Any) -> Callable[[Function], Function]:
    """Have a function compiled by numba, which lets other threads go on while it runs.

    Parameters
    ----------
    **options
        Of `numba.njit`.

    Returns
    -------
    callable
        The decorator.
    """

    def decorate(function: Function) -> Function:
        made: Function
        try:
            made = njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:  # neither the package's folder nor the user's can be written to
            made = njit(nogil=True, **options)(function)
        return made

    return decorate
