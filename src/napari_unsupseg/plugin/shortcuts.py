"""Keys for what the panel is asked for most: bound while it is open, named in tooltips."""

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["SHORTCUTS", "Shortcuts", "with_shortcut"]

# key of each, as napari's `bind_key` has them; none is napari's own, of any kind of layer
SHORTCUTS = {
    "run": "Shift-R",
    "pause": "Shift-H",
    "finer": ",",
    "coarser": ".",
    "next stroke": "N",
}


def with_shortcut(tooltip: str, action: str) -> str:
    """Return a tooltip that names the key too.

    Parameters
    ----------
    tooltip : str
        A sentence.
    action : str
        One of `SHORTCUTS`.

    Returns
    -------
    str
        The tooltip.

    Examples
    --------
    >>> with_shortcut("Segment the image.", "run")
    'Segment the image. (Shift-R)'
    """
    return f"{tooltip} ({SHORTCUTS[action]})"


class Shortcuts:
    """The keys of one panel in the window of its viewer.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer. A key that another plugin has bound in it is left to that plugin.
    actions : mapping of str to callable
        What each of `SHORTCUTS` does.
    """

    def __init__(
        self, viewer: "napari.viewer.Viewer", actions: Mapping[str, Callable[[], Any]]
    ) -> None:
        self._viewer = viewer
        self._actions = actions
        self._bound: list[str] = []
        self.bind()

    def bind(self) -> None:
        """Take the keys, but those that another plugin has: the panel is open."""
        for action, do in self._actions.items():
            with contextlib.suppress(ValueError):  # it is bound already
                self._viewer.bind_key(SHORTCUTS[action], lambda _viewer, do=do: do())
                self._bound.append(SHORTCUTS[action])

    def unbind(self) -> None:
        """Give the keys back: the panel is closed."""
        for key in self._bound:
            self._viewer.bind_key(key, None)
        self._bound = []
