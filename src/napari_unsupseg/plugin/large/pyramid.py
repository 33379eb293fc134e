"""Labels of a large image, at full size and reduced sizes, as napari's multiscale layers ask."""

import math
from typing import Any

import numpy as np

from napari_unsupseg._typing import Labels
from napari_unsupseg.errors import FileError
from napari_unsupseg.image.tiling import Slices

__all__ = ["LabelPyramid"]

TOP_LEVEL = 512  # pixels along the sides of the coarsest level at most
CHUNK = 256  # pixels along the sides of what is compressed together


class LabelPyramid:
    """Labels in memory, compressed, at full size and halved again and again; 0 at first.

    Parameters
    ----------
    shape : tuple of int
        Of the labels, (..., Y, X).
    dtype : type
        Of the labels.
    channels : tuple of int, optional
        An axis of the layer that the labels do not have, and its length: labels are repeated
        along it.

    Attributes
    ----------
    shape, channels
        As given.
    levels : list of array
        Data of a multiscale Labels layer, the finest first.
    is_blank : bool
        Whether nothing has been written yet.

    Raises
    ------
    FileError
        If a package is missing.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: type[np.unsignedinteger],
        channels: tuple[int, int] | None = None,
    ) -> None:
        self.shape = shape
        self.is_blank = True
        self.channels = channels
        # napari tells a pyramid by two levels at least
        n_levels = 1 + max(1, math.ceil(math.log2(max(shape[-2:]) / TOP_LEVEL)))
        *finer, coarsest = [
            (*shape[:-2], *(math.ceil(n / 2**level) for n in shape[-2:]))
            for level in range(n_levels)
        ]
        self.levels: list[Any] = [self._blank(of_level, dtype) for of_level in finer]
        # napari keeps a copy of the coarsest level of a plane, but of a plain array a view
        is_plane = len(shape) == 2 and channels is None
        self.levels.append(np.zeros(coarsest, dtype) if is_plane else self._blank(coarsest, dtype))

    def write(self, place: Slices, labels: Labels, level: int = 0) -> None:
        """Put labels into a level, and every second one of them into the next, and so on.

        Parameters
        ----------
        place : tuple of slice
            Part of the image.
        labels : ndarray of unsigned integers, shape (..., y, x)
            Labels of that part, one each 2ᴸ pixels along y and x from its corner on; that is a
            pixel of the level L if it is above 0.
        level : int
            L.
        """
        self.is_blank = False
        for coarser in range(level, len(self.levels)):
            step, scale = 2 ** (coarser - level), 2**coarser
            firsts = [-(-along.start // scale) for along in place[-2:]]
            rows, columns = (
                slice((first * scale - along.start) // 2**level, None, step)
                for first, along in zip(firsts, place[-2:], strict=True)
            )
            part = labels[..., rows, columns]
            target = (
                *place[:-2],
                *(slice(at, at + n) for at, n in zip(firsts, part.shape[-2:], strict=True)),
            )
            self._put(self.levels[coarser], target, part)

    def _put(self, array: Any, target: Slices, labels: Labels) -> None:
        if not labels.size:
            return
        if self.channels:
            axis, n_channels = self.channels
            labels = np.repeat(np.expand_dims(labels, axis), n_channels, axis=axis)
            target = (*target[:axis], slice(None), *target[axis:])
        array[target] = labels

    def _blank(self, shape: tuple[int, ...], dtype: type[np.unsignedinteger]) -> Any:
        try:
            import zarr
        except ImportError as error:
            raise FileError(
                "labels of an image that is too large to be loaded need more packages: "
                "pip install 'napari-unsupseg[large]'"
            ) from error
        sides = [1] * (len(shape) - 2) + [CHUNK, CHUNK]
        chunks = tuple(min(n, side) for n, side in zip(shape, sides, strict=True))
        if self.channels:
            axis, n_channels = self.channels
            shape = (*shape[:axis], n_channels, *shape[axis:])
            chunks = (*chunks[:axis], n_channels, *chunks[axis:])
        return zarr.create_array({}, shape=shape, chunks=chunks, dtype=dtype)
