"""How fast a run goes, and how often it shows a picture."""

import collections
import contextlib
import time
from collections.abc import Iterator

__all__ = ["IterationTimer", "PictureThrottle"]

COUNTED = 20  # iterations that a pace is the mean of
PICTURE_SECONDS = 0.2  # from one picture to the next at least
WORDS_SECONDS = 0.05  # from one update without a picture to the next
SHARE = 5  # times as long as a picture takes to make, until the next


class IterationTimer:
    """Seconds that an iteration takes, as the mean of the last ones at the present size."""

    def __init__(self) -> None:
        self._seconds: collections.deque[float] = collections.deque(maxlen=COUNTED)
        self._factor = 0
        self._since: float | None = None

    @property
    def seconds(self) -> float | None:
        """The mean; None while there is nothing to take it of."""
        return sum(self._seconds) / len(self._seconds) if self._seconds else None

    def count(self, factor: int) -> None:
        """Count an iteration that has just ended, at a size."""
        now = time.perf_counter()
        if factor != self._factor:  # what prepares a size is none of its iterations
            self._seconds.clear()
        elif self._since is not None:
            self._seconds.append(now - self._since)
        self._factor, self._since = factor, now

    def forget(self) -> None:
        """Leave out the time until the next iteration ends."""
        self._since = None


class PictureThrottle:
    """When to show a picture.

    Parameters
    ----------
    every : int
        Iterations from one to the next; 0 for about five a second, and fewer where making them
        would take more than a fifth of the time.
    """

    def __init__(self, every: int) -> None:
        self._every = every
        self._next_picture = 0.0
        self._next_words = 0.0

    def is_due(self, iteration: int) -> bool:
        """Tell whether to show an iteration."""
        if self._every:
            return iteration == 1 or iteration % self._every == 0
        return time.perf_counter() >= self._next_picture

    def text_is_due(self) -> bool:
        """Tell whether to say how far an iteration is without a picture."""
        return time.perf_counter() >= self._next_words

    @contextlib.contextmanager
    def timing_picture(self) -> Iterator[None]:
        """Take the time that it takes to make one."""
        begun = time.perf_counter()
        yield
        ended = time.perf_counter()
        self._next_picture = begun + max(PICTURE_SECONDS, SHARE * (ended - begun))

    def text_shown(self) -> None:
        """Note that something was said."""
        self._next_words = time.perf_counter() + WORDS_SECONDS
