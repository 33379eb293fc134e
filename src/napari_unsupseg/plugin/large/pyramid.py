"""Labels of a large image, at full size and reduced sizes, as napari's multiscale layers ask."""

import math
from typing import Any

import numpy as np

from napari_unsupseg._typing import Labels
from napari_unsupseg.errors import FileError
from napari_unsupseg.image.tiling import Slices

__all__ = ["LabelPyramid"]

MAX_COARSEST_SIDE = 512  # pixels along y and x of the coarsest level
CHUNK_SIDE = 256  # pixels along y and x of what is compressed together


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
        # napari takes a list of arrays for multiscale data from two levels on
        n_levels = 1 + max(1, math.ceil(math.log2(max(shape[-2:]) / MAX_COARSEST_SIDE)))
        *finer, coarsest = [
            (*shape[:-2], *(math.ceil(n / 2**level) for n in shape[-2:]))
            for level in range(n_levels)
        ]
        self.levels: list[Any] = [self._blank(level_shape, dtype) for level_shape in finer]
        # napari keeps a copy of the coarsest level of a plane, but of a plain array a view
        is_plane = len(shape) == 2 and channels is None
        self.levels.append(np.zeros(coarsest, dtype) if is_plane else self._blank(coarsest, dtype))

    def write(self, part: Slices, labels: Labels, level: int = 0) -> None:
        """Put labels into a level, and every second one of them into the next, and so on.

        Parameters
        ----------
        part : tuple of slice
            Part of the image, at full size. Above level 0 it begins at pixels of that level, at
            multiples of 2ᴸ.
        labels : ndarray of unsigned integers, shape (..., y, x)
            Labels of that part: those of every pixel, or of one in 2ᴸ along y and x.
        level : int
            L, from 0 for full size.
        """
        self.is_blank = False
        for coarser in range(level, len(self.levels)):
            step, scale = 2 ** (coarser - level), 2**coarser
            # a coarser level has the pixels at multiples of its scale; the part may begin between
            firsts = [-(-along.start // scale) for along in part[-2:]]
            rows, columns = (
                slice((first * scale - along.start) // 2**level, None, step)
                for first, along in zip(firsts, part[-2:], strict=True)
            )
            kept = labels[..., rows, columns]
            target = (
                *part[:-2],
                *(slice(at, at + n) for at, n in zip(firsts, kept.shape[-2:], strict=True)),
            )
            self._write_level(self.levels[coarser], target, kept)

    def _write_level(self, array: Any, target: Slices, labels: Labels) -> None:
        """Put labels into one level, and repeat them along its channels."""
        if not labels.size:  # a small part has none of the pixels of a coarse level
            return
        if self.channels:
            axis, n_channels = self.channels
            labels = np.repeat(np.expand_dims(labels, axis), n_channels, axis=axis)
            target = (*target[:axis], slice(None), *target[axis:])
        array[target] = labels

    def _blank(self, shape: tuple[int, ...], dtype: type[np.unsignedinteger]) -> Any:
        """Return a zarr array of zeros in memory, which takes none before it is written."""
        try:
            import zarr
        except ImportError as error:
            raise FileError(
                "labels of an image that is too large to be loaded need more packages: "
                "pip install 'napari-unsupseg[large]'"
            ) from error
        sides = [1] * (len(shape) - 2) + [CHUNK_SIDE, CHUNK_SIDE]
        chunks = tuple(min(n, side) for n, side in zip(shape, sides, strict=True))
        if self.channels:
            axis, n_channels = self.channels
            shape = (*shape[:axis], n_channels, *shape[axis:])
            chunks = (*chunks[:axis], n_channels, *chunks[axis:])
        return zarr.create_array({}, shape=shape, chunks=chunks, dtype=dtype)
