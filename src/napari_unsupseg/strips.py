"""An image in strips of rows, in bands of strips, a band to each thread.

A strip passes through a whole layer while it lies in its core's cache. Threads go through bands of
their own and meet at a layer's end; threads within every operation would wait for each other dozens
of times a strip.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from napari_unsupseg.threads import Threads, count_threads

__all__ = [
    "Band",
    "Bands",
    "Frame",
    "Moments",
    "Rows",
    "axes_first",
    "both",
    "sum_over_pixels",
    "sums_with",
]

# 100 axes of a strip are 3 MB on a CPU: they stay in the cache, and malloc keeps them at hand
STRIP_PIXELS = {"cpu": 2**13}
STRIP_PIXELS_ELSEWHERE = 2**18
BAND_PIXELS = 2**11  # fewer are done before a thread has begun
TILE_ROWS = 16  # pixels of a row that AMX multiplies at once: a part costs as much, and more

Rows = torch.Tensor  # (rows, X, axes) or (planes, Y, X, axes), some rows of a map
Result = TypeVar("Result")

batch_norm_backward = torch.ops.aten.native_batch_norm_backward


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """What every layer needs to know of the image.

    Attributes
    ----------
    shape : tuple of int
        Pixels along each axis.
    mask : Tensor, shape ([Z,] Y, X, 1), or None
        1 where a pixel takes part; None if all do.
    n_pixels : int
        N, the pixels that take part.
    device : torch.device
        Where the image is.
    dtype : torch.dtype
        Of the image, the responses and the parameters.
    """

    shape: tuple[int, ...]
    mask: torch.Tensor | None
    n_pixels: int
    device: torch.device
    dtype: torch.dtype

    @classmethod
    def of(cls, image: torch.Tensor, mask: torch.Tensor | None) -> "Frame":
        """Describe an image (1, C, [Z,] Y, X)."""
        shape = tuple(image.shape[2:])
        if mask is None:
            return cls(shape, None, math.prod(shape), image.device, image.dtype)
        weights = mask.to(image.dtype)[..., None]
        n_pixels = int(mask.count_nonzero())
        return cls(shape, weights, n_pixels, image.device, image.dtype)

    def empty(self, n_axes: int, dtype: torch.dtype) -> torch.Tensor:
        """Return a map to be filled, ([Z,] Y, X, n_axes)."""
        return torch.empty(*self.shape, n_axes, dtype=dtype, device=self.device)

    def zeros(self, *shape: int) -> torch.Tensor:
        """Return zeros of the image's data type on its device."""
        return torch.zeros(*shape, dtype=self.dtype, device=self.device)

    def n_pairs(self, axis: int) -> int:
        """Return how many neighbours along an axis both take part."""
        if self.mask is None:
            return self.n_pixels - self.n_pixels // self.shape[axis]
        return int(both(self.mask, axis).count_nonzero())

    def leave_out(self, strip: Rows, first: int, last: int) -> Rows:
        """Set a strip to 0 at pixels that take no part."""
        return strip if self.mask is None else strip.mul_(self.mask[first:last])

    def inside(self, padded: Rows) -> Rows:
        """Return rows without the pixels around them, (rows, ..., X, axes)."""
        for axis, length in enumerate(self.shape[1:], start=1):
            padded = padded.narrow(axis, 1, length)
        return padded


class Band:
    """Rows that one thread goes through, and its room for what is on the way.

    Parameters
    ----------
    frame : Frame
        What it is a band of.
    first, last : int
        Its first row, and the one after its last.
    """

    def __init__(self, frame: Frame, first: int, last: int) -> None:
        self.frame = frame
        self._first, self._last = first, last
        pixels = STRIP_PIXELS.get(frame.device.type, STRIP_PIXELS_ELSEWHERE)
        self._height = min(last - first, max(1, pixels // math.prod(frame.shape[1:])))
        self._room: dict[tuple[str, int, torch.dtype], torch.Tensor] = {}

    def strips(self) -> Iterator[tuple[int, int]]:
        """Yield the first row of each strip, and the one after its last."""
        for first in range(self._first, self._last, self._height):
            yield first, min(first + self._height, self._last)

    def scratch(
        self, n_rows: int, n_axes: int, name: str, dtype: torch.dtype | None = None
    ) -> Rows:
        """Return room for intermediate values, the same each time that a name is used.

        Blocks that malloc hands out here and there push each other out of the cache.

        Parameters
        ----------
        n_rows, n_axes : int
            No more rows than a strip has with its two neighbours.
        name : str
            Values of one name are overwritten by the next.
        dtype : torch.dtype, optional
            By default that of the image.

        Returns
        -------
        Tensor, shape (n_rows, ..., X, n_axes)
            To be filled.
        """
        key = (name, n_axes, dtype or self.frame.dtype)
        if key not in self._room:
            lengths = (self._height + 2, *self.frame.shape[1:], n_axes)
            self._room[key] = torch.empty(*lengths, dtype=key[2], device=self.frame.device)
        return self._room[key][:n_rows]

    def wide(self, strip: Rows, name: str = "wide") -> Rows:
        """Return a strip in the image's data type: itself, or a copy in scratch."""
        if strip.dtype == self.frame.dtype:
            return strip
        return self.scratch(len(strip), strip.shape[-1], name).copy_(strip)

    def padded(
        self,
        rows: tuple[int, int],
        n_axes: int,
        dtype: torch.dtype,
        name: str,
        write: Callable[[int, int, Rows], None],
    ) -> Rows:
        """Have a strip and the rows beside it written, with zeros beyond the image.

        Parameters
        ----------
        rows : tuple of int
            First row of the strip, and the one after its last.
        n_axes, dtype : int, torch.dtype
            Of the map.
        name : str
            As in `scratch`.
        write : callable
            Given first row, the one after the last, and where they go, (rows, ..., X, n_axes).

        Returns
        -------
        Tensor, shape (rows + 2, ..., at least X + 2, n_axes)
            The strip with what is around it.
        """
        frame, (first, last), key = self.frame, rows, (name, n_axes, dtype)
        if key not in self._room:
            lengths = [length + 2 for length in (self._height, *frame.shape[1:])]
            if dtype == torch.bfloat16:
                lengths[-1] += -frame.shape[-1] % TILE_ROWS
            self._room[key] = torch.zeros(*lengths, n_axes, dtype=dtype, device=frame.device)
        padded = self._room[key][: last - first + 2]
        low, high = max(first - 1, 0), min(last + 1, frame.shape[0])
        if low == first:
            padded[0] = 0
        if high == last:
            padded[-1] = 0
        write(low, high, frame.inside(padded[low - first + 1 : high - first + 1]))
        return padded


class Bands:
    """All bands of an image, and the threads that go through them.

    Parameters
    ----------
    frame : Frame
        The image.
    """

    def __init__(self, frame: Frame) -> None:
        enough = math.prod(frame.shape) // BAND_PIXELS
        n_bands = max(1, min(count_threads(frame.device), enough, frame.shape[0]))
        edges = [index * frame.shape[0] // n_bands for index in range(n_bands + 1)]
        self.frame = frame
        self._bands = [Band(frame, *ends) for ends in itertools.pairwise(edges)]
        self._threads = Threads(n_bands)

    def each(self, work: Callable[[Band], Result]) -> list[Result]:
        """Have each band gone through; return what came of it, from first to last."""
        return self._threads.each(work, self._bands)

    def summed(self, work: Callable[[Band], tuple[torch.Tensor, ...]]) -> list[torch.Tensor]:
        """Have each band gone through; return the sums of what came of it."""
        return [torch.stack(parts).sum(0) for parts in zip(*self.each(work), strict=True)]


class Moments:
    """Mean and variance over the pixels that take part, gathered strip by strip (Chan et al.)."""

    def __init__(self, band: Band) -> None:
        self._band = band
        self._parts: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def add(self, strip: Rows, first: int, last: int) -> None:
        """Take in a strip, 0 at pixels that take no part."""
        mask, n_pixels = self._band.frame.mask, math.prod(strip.shape[:-1])
        mean, variance = self._of_all(strip)
        count, squares = mean.new_full((1,), n_pixels), variance * n_pixels
        if mask is not None:  # what is left out is 0 and has no part in them
            count = mask[first:last].sum()[None]
            mean = mean * n_pixels / count.clamp(min=1)
            squares -= mean.square() * count * (n_pixels - count) / n_pixels
            squares.clamp_(min=0)
        self._parts.append((count, mean, squares))

    def _of_all(self, strip: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and variance over all pixels of a strip."""
        if strip.device.type != "cpu":
            over = tuple(range(strip.ndim - 1))
            variance, mean = torch.var_mean(self._band.wide(strip), over, correction=0)
            return mean, variance
        # var_mean takes twenty times as long on a CPU
        earlier = self._band.frame.zeros(strip.shape[-1])  # counts for nothing, but has the dtype
        return torch.batch_norm_update_stats(axes_first(strip), earlier, earlier.clone(), 0)

    @staticmethod
    def pooled(every: "list[Moments]") -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and variance of all bands, each (axes,)."""
        parts = [part for moments in every for part in moments._parts]
        counts, means, squares = (torch.stack(part) for part in zip(*parts, strict=True))
        n_pixels = every[0]._band.frame.n_pixels
        mean = (counts * means).sum(0) / n_pixels
        between = (counts * (means - mean).square()).sum(0)
        return mean, (squares.sum(0) + between) / n_pixels


def sum_over_pixels(strip: Rows) -> torch.Tensor:
    """Sum over pixels, (axes,)."""
    return strip.sum(tuple(range(strip.ndim - 1)))


def sums_with(strip: Rows, maps: Rows, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum a strip, and its product with maps of its data type, over pixels, each (axes,).

    Both lie in memory with their axes innermost: the sums on a CPU are wrong if only one does.
    """
    if strip.device.type != "cpu":
        strip = strip.to(dtype)
        return sum_over_pixels(strip), sum_over_pixels(strip * maps)
    # a third of the time or less, in one pass over both
    zeros, ones = _constants(strip.shape[-1], dtype)
    _, product, total = batch_norm_backward(
        axes_first(strip), axes_first(maps), ones, None, None, zeros, ones, True, 0,
        [False, True, True],
    )  # fmt: skip
    return total, product


@functools.cache
def _constants(n_axes: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(n_axes, dtype=dtype), torch.ones(n_axes, dtype=dtype)


def axes_first(strip: Rows) -> torch.Tensor:
    """Return a strip as (1, axes, rows, ..., X), a batch of one for torch's layers."""
    return strip.movedim(-1, 0)[None]


def both(mask: torch.Tensor, axis: int) -> torch.Tensor:
    """Return 1 where a pixel and the next along an axis take part."""
    n_pairs = mask.shape[axis] - 1
    return mask.narrow(axis, 0, n_pairs) * mask.narrow(axis, 1, n_pairs)
