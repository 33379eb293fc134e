"""What the panel refuses to do, as its user is told it."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from napari.utils.notifications import show_error

from napari_unsupseg.errors import UnsupsegError

__all__ = ["tell_refusals"]

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def tell_refusals(function: Callable[Parameters, Result]) -> Callable[Parameters, Result | None]:
    """Decorate what a user asks for, so that a sentence in the window says why it cannot be.

    Parameters
    ----------
    function : callable
        It may raise `UnsupsegError`.

    Returns
    -------
    callable
        It shows such an error, and returns None then.
    """

    @functools.wraps(function)
    def tell(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result | None:
        try:
            return function(*args, **kwargs)
        except UnsupsegError as error:
            show_error(str(error))
            return None

    return tell
