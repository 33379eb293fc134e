"""How fast a run goes, and how often it shows a picture."""

import collections
import contextlib
import time
from collections.abc import Iterator

__all__ = ["SHARE_SECONDS", "IterationTimer", "PictureThrottle"]

TIMED_ITERATIONS = 20  # that a pace is the mean of
PICTURE_SECONDS = 0.2  # from one picture to the next at least
TEXT_SECONDS = 0.05  # from one update without a picture to the next
SHARE_SECONDS = 0.2  # after the training, which is over: each update has all of the window drawn
PICTURE_SHARE = 5  # times as long as a picture takes to make, until the next


class IterationTimer:
    """Seconds that an iteration takes, as the mean of the last ones at the present size."""

    def __init__(self) -> None:
        self._durations: collections.deque[float] = collections.deque(maxlen=TIMED_ITERATIONS)
        self._factor = 0
        self._last_end: float | None = None

    @property
    def seconds(self) -> float | None:
        """The mean; None before the second iteration at a size."""
        return sum(self._durations) / len(self._durations) if self._durations else None

    def tick(self, factor: int) -> None:
        """Time an iteration that has just ended.

        Parameters
        ----------
        factor : int
            Pixels of the image along a side of each that the iteration trained on.
        """
        now = time.perf_counter()
        if factor != self._factor:  # what prepares a size is none of its iterations
            self._durations.clear()
        elif self._last_end is not None:
            self._durations.append(now - self._last_end)
        self._factor, self._last_end = factor, now

    def skip_pause(self) -> None:
        """Leave out the time until the next iteration ends."""
        self._last_end = None


class PictureThrottle:
    """When to show labels, which takes a while, and when to show how far a run is.

    Parameters
    ----------
    every : int
        Iterations from one picture to the next; 0 for about five pictures a second, and fewer where
        making them would take more than a fifth of the time.
    """

    def __init__(self, every: int) -> None:
        self._every = every
        self._next_picture = 0.0
        self._next_text = 0.0

    def is_due(self, iteration: int) -> bool:
        """Tell whether to show the labels of an iteration, counted from 1."""
        if self._every:
            return iteration == 1 or iteration % self._every == 0
        return time.perf_counter() >= self._next_picture

    def is_text_due(self) -> bool:
        """Tell whether to show how far an iteration is, without its labels."""
        return time.perf_counter() >= self._next_text

    @contextlib.contextmanager
    def timing_picture(self) -> Iterator[None]:
        """Time the making of a picture, which decides when the next one is due."""
        start = time.perf_counter()
        yield
        end = time.perf_counter()
        self._next_picture = start + max(PICTURE_SECONDS, PICTURE_SHARE * (end - start))

    def text_sent(self, seconds: float = TEXT_SECONDS) -> None:
        """Note that an update is on its way to the panel, and when the next one may follow."""
        self._next_text = time.perf_counter() + seconds
