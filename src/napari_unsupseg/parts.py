"""Work that is done a part at a time: a generator of shares, from 0 to 1, that returns a result."""

from collections.abc import Callable, Generator
from typing import TypeVar

__all__ = ["map_parts", "result_of"]

Share = TypeVar("Share")
Shown = TypeVar("Shown")
Result = TypeVar("Result")


def result_of(parts: Generator[object, None, Result]) -> Result:
    """Go through a generator to its end.

    Parameters
    ----------
    parts : generator
        What it yields is dropped.

    Returns
    -------
    object
        What it returns.
    """
    while True:
        try:
            next(parts)
        except StopIteration as end:
            result: Result = end.value
            return result


def map_parts(
    parts: Generator[Share, None, Result], show: Callable[[Share], Shown]
) -> Generator[Shown, None, Result]:
    """Yield something else than shares.

    Parameters
    ----------
    parts : generator
        Yields shares.
    show : callable
        Makes of a share what to yield.

    Yields
    ------
    object
        What `show` has made.

    Returns
    -------
    object
        What the generator returns.
    """
    while True:
        try:
            share = next(parts)
        except StopIteration as end:
            result: Result = end.value
            return result
        yield show(share)
