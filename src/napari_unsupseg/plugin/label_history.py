"""What was shown during a run, compressed, so that any of it can be shown again."""

import imagecodecs
import numpy as np

from napari_unsupseg._typing import Labels

__all__ = ["LabelHistory"]


class LabelHistory:
    """Labels at some iterations of a run, within a limit of memory.

    When they are too many, every second one between the first and the last is dropped.

    Parameters
    ----------
    max_bytes : int
        What the compressed labels may take; the first and the last are kept whatever they take.

    Examples
    --------
    >>> history = LabelHistory(max_bytes=10_000)
    >>> for iteration in (1, 5, 10):
    ...     history.add(iteration, np.full((40, 50), iteration, dtype=np.uint8))
    >>> history.iterations
    [1, 5, 10]
    >>> int(history.labels(1).max())
    5
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: list[tuple[int, bytes, tuple[int, ...], np.dtype[np.unsignedinteger]]] = []

    @property
    def iterations(self) -> list[int]:
        """Iterations whose labels are kept, first to last."""
        return [iteration for iteration, *_ in self._entries]

    def add(self, iteration: int, labels: Labels) -> None:
        """Keep labels, in place of what was kept of the same iteration."""
        if self._entries and self._entries[-1][0] == iteration:
            self._entries.pop()
        packed = imagecodecs.zstd_encode(labels.tobytes(), level=1)
        self._entries.append((iteration, bytes(packed), labels.shape, labels.dtype))
        while len(self._entries) > 2 and self._n_bytes() > self._max_bytes:
            self._entries[1:-1] = self._entries[2:-1:2]

    def labels(self, index: int) -> Labels:
        """Return the labels of one of the iterations, by its index."""
        _, packed, shape, dtype = self._entries[index]
        return np.frombuffer(imagecodecs.zstd_decode(packed), dtype).reshape(shape).copy()

    def _n_bytes(self) -> int:
        return sum(len(packed) for _, packed, *_ in self._entries)
