"""Work that is done a part at a time: a generator of shares, from 0 to 1, that returns a result."""

from collections.abc import Callable, Generator
from typing import TypeVar

__all__ = ["map_yields", "run_to_end"]

Share = TypeVar("Share")
Shown = TypeVar("Shown")
Result = TypeVar("Result")


def run_to_end(parts: Generator[object, None, Result]) -> Result:
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


def map_yields(
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
