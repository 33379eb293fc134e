"""The labels that were shown during a run, compressed, so that they can be shown again."""

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

    Attributes
    ----------
    max_bytes : int
        As given.
    entries : list of tuple
        Iteration, compressed labels, their shape and data type, of each.

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
        self.max_bytes = max_bytes
        self.entries: list[tuple[int, bytes, tuple[int, ...], np.dtype[np.unsignedinteger]]] = []

    @property
    def iterations(self) -> list[int]:
        """Iterations whose labels are kept, first to last."""
        return [iteration for iteration, *_ in self.entries]

    def add(self, iteration: int, labels: Labels) -> None:
        """Add labels; they replace those of the same iteration.

        Parameters
        ----------
        iteration : int
            Number of the iteration, not below that of the labels added last.
        labels : ndarray of unsigned integers, shape (..., Y, X)
            Its labels.
        """
        if self.entries and self.entries[-1][0] == iteration:
            self.entries.pop()
        # at the fastest level, since the training waits for it
        packed = imagecodecs.zstd_encode(labels.tobytes(), level=1)
        self.entries.append((iteration, bytes(packed), labels.shape, labels.dtype))
        while len(self.entries) > 2 and self._n_bytes() > self.max_bytes:
            self.entries[1:-1] = self.entries[2:-1:2]  # the rest stays evenly spaced

    def labels(self, index: int) -> Labels:
        """Return labels that were added.

        Parameters
        ----------
        index : int
            Index into `iterations`.

        Returns
        -------
        ndarray of unsigned integers, shape (..., Y, X)
            A copy that can be written to.
        """
        _, packed, shape, dtype = self.entries[index]
        # frombuffer gives a view of bytes that cannot be written to, and users paint on labels
        return np.frombuffer(imagecodecs.zstd_decode(packed), dtype).reshape(shape).copy()

    def _n_bytes(self) -> int:
        return sum(len(packed) for _, packed, *_ in self.entries)
