"""What the panel tells a run that goes on in another thread."""

import collections
import threading

import numpy as np
from numpy.typing import NDArray

__all__ = ["RunControl"]

POLL_SECONDS = 0.1  # from one look at a paused run to the next
DRAW_TIMEOUT = 1.0  # seconds that a picture may take to be drawn, before a run goes on without

Strokes = NDArray[np.unsignedinteger] | None


class RunControl:
    """Stop, pause, strokes and pictures of one run; any thread may call any method."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._abandoned = threading.Event()
        self._resumed = threading.Event()
        self._drawn = threading.Event()
        self._resumed.set()
        self._drawn.set()
        # a run follows the newest strokes only; append and pop of a deque need no lock
        self._strokes: collections.deque[Strokes] = collections.deque(maxlen=1)

    @property
    def is_stopped(self) -> bool:
        """Whether what the run does now is to end."""
        return self._stopped.is_set() or self.is_abandoned

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody waits for the result of the run."""
        return self._abandoned.is_set()

    @property
    def is_paused(self) -> bool:
        """Whether the run is to wait."""
        return not self._resumed.is_set()

    @property
    def is_picture_drawn(self) -> bool:
        """Whether the last picture is on the screen."""
        return self._drawn.is_set()

    def stop(self) -> None:
        """End what the run does now, after the iteration or the part under way."""
        self._stopped.set()
        # a run that waits for either would not see the stop
        self._resumed.set()
        self._drawn.set()

    def abandon(self) -> None:
        """End the run, and drop its result."""
        self._abandoned.set()
        self.stop()

    def clear_stop(self) -> None:
        """Count a stop as obeyed: another one is about what follows."""
        self._stopped.clear()

    def pause(self) -> None:
        """Have the run wait after the iteration under way."""
        self._resumed.clear()

    def resume(self) -> None:
        """Have the run go on."""
        self._resumed.set()

    def wait_while_paused(self) -> None:
        """Wait a moment, or until the run is to go on."""
        self._resumed.wait(POLL_SECONDS)

    def set_strokes(self, strokes: Strokes) -> None:
        """Have the run follow other strokes from the next iteration on.

        Parameters
        ----------
        strokes : ndarray of unsigned integers, shape (..., Y, X), or None
            Labels drawn on the whole image, 0 where there are none; None for no strokes.
        """
        self._strokes.append(strokes)

    def new_strokes(self) -> tuple[Strokes, ...]:
        """Return the strokes that were set since the last call: one, or none."""
        try:
            return (self._strokes.pop(),)
        except IndexError:
            return ()

    def picture_sent(self) -> None:
        """Note that a picture is on its way to the screen."""
        if not self.is_stopped:  # a stopped run waits for no picture
            self._drawn.clear()

    def picture_drawn(self) -> None:
        """Note that the screen shows the last picture."""
        self._drawn.set()

    def wait_until_drawn(self) -> None:
        """Wait until the screen shows the last picture, but no longer than a second."""
        self._drawn.wait(DRAW_TIMEOUT)
