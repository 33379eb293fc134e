"""A row in napari's activity dock that shows what the panel's bar shows, and can be cancelled."""

from collections.abc import Callable

from magicgui.widgets import ProgressBar
from napari.utils.progress import cancelable_progress
from qtpy.QtCore import QTimer

__all__ = ["Activity"]


class _Row(cancelable_progress):  # type: ignore[misc] # napari gives it no types
    """A row of the dock; napari's own asks who is to cancel only where it runs a loop."""

    def cancel(self) -> None:
        super().cancel()
        if self.cancel_callback is not None:
            self.cancel_callback()


class Activity:
    """Shows long work in napari's activity dock as well, as long as there is any.

    A row of the dock has napari handle all events that wait whenever it is given another value.
    So it is brought up to date from the event loop, and never in the middle of something else.

    Parameters
    ----------
    bar : ProgressBar
        How far the work is; the row follows it.
    cancel : callable
        Called when the user presses *Cancel* in the dock.

    Attributes
    ----------
    row : cancelable_progress or None
        What the dock shows; None while there is no work.
    """

    def __init__(self, bar: ProgressBar, cancel: Callable[[], None]) -> None:
        self._bar = bar
        self._cancel = cancel
        self._name = ""  # of the work; empty if there is none
        self.row: cancelable_progress | None = None
        self._is_updating = False
        self._timer = QTimer(bar.native)  # a row is brought up to date no longer than the bar lives
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._update)
        bar.changed.connect(self._update_soon)
        bar.native.destroyed.connect(self._forget)  # maybe while napari handles events for the row

    def begin(self, name: str) -> None:
        """Show a row for some work, unless there is one already.

        Parameters
        ----------
        name : str
            What is done, such as the name of an image.
        """
        self._name = name
        self._update_soon()

    def end(self) -> None:
        """Take the row away: the work is done, or nobody waits for it any more."""
        self._name = ""
        row, self.row = self.row, None
        if row is not None:
            row.close()

    def _update_soon(self) -> None:
        if self._name and not self._timer.isActive():
            self._timer.start(0)

    def _update(self) -> None:
        """Show how far the work is; events that napari handles meanwhile may end or change it."""
        if self._is_updating or not self._name:
            return
        self._is_updating = True
        try:
            row = self.row or _Row(
                total=self._bar.max, desc=self._name, cancel_callback=self._cancel
            )
            if not self._name:  # it ended while napari made the row
                row.close()
                return
            self.row = row
            if row.total != self._bar.max:
                row.total = self._bar.max
            if self._name and row.n != self._bar.value:
                row.update(self._bar.value - row.n)
        finally:
            self._is_updating = False
        if self._name and (row.n != self._bar.value or row.total != self._bar.max):
            self._update_soon()  # it changed meanwhile

    def _forget(self) -> None:
        """Ask the bar nothing more: Qt has deleted it, with its window."""
        self._name = ""
