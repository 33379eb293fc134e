"""OME-Zarr labels, written chunk by chunk."""

import math
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg.image.tiling import Slices
from napari_unsupseg.io.pixel_size import PixelSize

if TYPE_CHECKING:
    import zarr
from napari_unsupseg._typing import Track
from napari_unsupseg.image.tiling import block_slices
from napari_unsupseg.io.ome_zarr import translate_zarr_errors
from napari_unsupseg.io.pixel_size import UNIT_NAMES

__all__ = ["CHUNK", "LabelStore", "read_zarr_record", "write_label_store"]

CHUNK = {2: (1024, 1024), 3: (64, 256, 256)}  # of labels, along the axes of a frame
TOP_LEVEL = 1024  # pixels along the sides of the coarsest level
RECORD = "unsupseg"  # the attribute that says how labels were made


def read_zarr_record(path: Path) -> dict[str, Any] | None:
    """Read how the labels of a store were made.

    Parameters
    ----------
    path : Path
        A store that `LabelStore` may have written.

    Returns
    -------
    dict or None
        The record; None if the store is of another kind, or not finished.
    """
    store = LabelStore.of(path)
    return None if store is None or store.is_unfinished else store.record


class LabelStore:
    """Labels in OME-Zarr 0.5 with a pyramid, written chunk by chunk; what is written stays.

    Parameters
    ----------
    path : Path
        An existing store; see `create` and `of`.

    Attributes
    ----------
    path : Path
        The store.
    """

    def __init__(self, path: Path) -> None:
        import zarr

        self.path = path
        self._group = zarr.open_group(path, mode="r+")

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """Open labels that `create` began.

        Parameters
        ----------
        path : Path
            What may be such a store.

        Returns
        -------
        LabelStore or None
            None if it is not.
        """
        if not (path / "zarr.json").is_file():
            return None
        with translate_zarr_errors(path):
            store = cls(path)
        return store if RECORD in store._group.attrs else None

    @classmethod
    def create(
        cls,
        path: Path,
        shape: tuple[int, ...],
        dtype: type[np.unsignedinteger],
        *,
        axes: str,
        pixel_size: PixelSize | None,
        spatial_ndim: int,
        record: dict[str, Any],
    ) -> Self:
        """Begin a store, in place of what is there.

        Parameters
        ----------
        path : Path
            The store, a folder.
        shape : tuple of int
            Of the labels.
        dtype : type
            Of the labels.
        axes : str
            A letter for each of their axes.
        pixel_size : PixelSize or None
            If it is known.
        spatial_ndim : int
            Axes of a frame, the last ones.
        record : dict
            How the labels are made, fit for JSON.

        Returns
        -------
        LabelStore
            Unfinished, all its labels 0.

        Raises
        ------
        FileError
            If it cannot be written, or OME-Zarr has no place for the axes.
        """
        with translate_zarr_errors(path):
            from yaozarrs import DimSpec, v05
            from yaozarrs.write.v05 import prepare_image

            unit = UNIT_NAMES[pixel_size.unit] if pixel_size else None
            sides = dict(zip("yx", pixel_size[:2], strict=True)) if pixel_size else {}
            if pixel_size and pixel_size.depth:
                sides["z"] = pixel_size.depth
            shapes = _pyramid(shape)
            dims = [
                DimSpec(
                    name=axis,
                    scale=sides.get(axis, 1),
                    unit=unit if axis in sides else None,
                    scale_factor=2 if axis in "yx" else 1,
                )
                for axis in axes
            ]
            multiscale = v05.Multiscale.from_dims(dims, name="labels", n_levels=len(shapes))
            image = v05.LabelImage.model_validate(
                {"multiscales": [multiscale], "image-label": v05.ImageLabel()}
            )
            prepare_image(
                path,
                image,
                [(level, dtype) for level in shapes],
                chunks=(*[1] * (len(shape) - spatial_ndim), *CHUNK[spatial_ndim]),
                extra_attributes={RECORD: record | {"unfinished": True}},
                writer="zarr",
                overwrite=True,
            )
            return cls(path)

    @property
    def record(self) -> dict[str, Any]:
        """How the labels are made, as given to `create` or `finish`."""
        attributes: Any = self._group.attrs[RECORD]
        record = dict(attributes)
        record.pop("unfinished", None)
        return record

    @property
    def is_unfinished(self) -> bool:
        """Whether `finish` is still to come."""
        return "unfinished" in self._group.attrs[RECORD]  # type: ignore[operator]

    @property
    def n_levels(self) -> int:
        """Levels of the pyramid."""
        return sum(name.isdigit() for name in self._group.array_keys())

    def level(self, index: int) -> "zarr.Array[Any]":
        """Return the labels of a level of the pyramid, 0 the finest."""
        return self._group[str(index)]  # type: ignore[return-value]

    def scratch(self, dtype: type[np.unsignedinteger]) -> "zarr.Array[Any]":
        """Return an array for what comes before the labels, of the same chunks; `finish` drops it.

        Parameters
        ----------
        dtype : type
            Of the array.

        Returns
        -------
        zarr.Array
            As an earlier call left it, if there was one.
        """
        finest = self.level(0)
        if "scratch" not in self._group:
            self._group.create_array(
                "scratch", shape=finest.shape, chunks=finest.chunks, dtype=dtype
            )
        return self._group["scratch"]  # type: ignore[return-value]

    def fill(self, target: "zarr.Array[Any]", labels: Any, track: Track[Slices]) -> None:
        """Compute labels chunk by chunk; those already written are left as they are.

        Parameters
        ----------
        target : zarr.Array
            An array of this store.
        labels : dask array
            Labels of its shape.
        track : callable
            Goes through the chunks.

        Raises
        ------
        FileError
            If a chunk cannot be written.
        """
        labels = labels.rechunk(target.chunks)
        missing = [
            place
            for place in block_slices(target.shape, target.chunks)
            if not self._is_written(target, place)
        ]
        with translate_zarr_errors(self.path):
            for place in track(missing, "labels"):
                # one after the other: the network has all cores, and memory holds one
                target[place] = labels[place].compute(scheduler="sync")

    def fill_pyramid(self) -> None:
        """Fill the coarser levels with every second label of the finer ones.

        Raises
        ------
        FileError
            If a chunk cannot be written.
        """
        with translate_zarr_errors(self.path):
            for index in range(1, self.n_levels):
                finer, coarser = self.level(index - 1), self.level(index)
                for place in block_slices(coarser.shape, coarser.chunks):
                    *leading, rows, columns = place
                    finer_place = [slice(2 * s.start, 2 * s.stop) for s in (rows, columns)]
                    labels = np.asarray(finer[(*leading, *finer_place)])
                    coarser[place] = labels[..., ::2, ::2]

    def finish(self, record: dict[str, Any]) -> None:
        """Say that all labels are written.

        Parameters
        ----------
        record : dict
            How they were made, fit for JSON.
        """
        with translate_zarr_errors(self.path):
            if "scratch" in self._group:
                del self._group["scratch"]
            self._group.attrs[RECORD] = record

    def _is_written(self, array: "zarr.Array[Any]", place: Slices) -> bool:
        """Tell whether a chunk lies in the store; those of zeros alone never do."""
        index = tuple(s.start // n for s, n in zip(place, array.chunks, strict=True))
        key = array.metadata.encode_chunk_key(index)
        return (self.path / array.path / key).is_file()


def write_label_store(
    path: Path,
    labels: NDArray[np.unsignedinteger],
    *,
    axes: str,
    pixel_size: PixelSize | None,
    spatial_ndim: int,
    record: dict[str, Any],
) -> None:
    """Write labels that are in memory as OME-Zarr.

    Parameters
    ----------
    path : Path
        The store to write or replace, a folder.
    labels : ndarray of unsigned integers, shape (..., Y, X)
        The labels.
    axes : str
        As in `LabelStore.create`, like `pixel_size`, `spatial_ndim` and `record`.

    Raises
    ------
    FileError
        If it cannot be written, or OME-Zarr has no place for the axes.
    """
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial.zarr")
    try:
        store = LabelStore.create(
            partial,
            labels.shape,
            labels.dtype.type,
            axes=axes,
            pixel_size=pixel_size,
            spatial_ndim=spatial_ndim,
            record=record,
        )
        with translate_zarr_errors(path):
            store.level(0)[:] = labels
        store.fill_pyramid()
        store.finish(record)
        with translate_zarr_errors(path):
            if path.exists():
                shutil.rmtree(path)
            partial.replace(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _pyramid(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the shapes of the levels, halved along y and x until they fit a screen."""
    n_levels = 1 + max(0, math.ceil(math.log2(max(shape[-2:]) / TOP_LEVEL)))
    return [
        (*shape[:-2], *(math.ceil(n / 2**index) for n in shape[-2:])) for index in range(n_levels)
    ]
