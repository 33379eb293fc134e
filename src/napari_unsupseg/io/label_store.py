"""OME-Zarr labels, written chunk by chunk."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg._typing import Track
from napari_unsupseg.errors import FileError
from napari_unsupseg.image.tiling import Slices, block_slices
from napari_unsupseg.io.ome_zarr import check_chunk_files, translate_zarr_errors
from napari_unsupseg.io.paths import partial_path, remove
from napari_unsupseg.io.pixel_size import UNIT_NAMES, PixelSize

if TYPE_CHECKING:
    import zarr

__all__ = [
    "CHUNK",
    "LabelStore",
    "check_zarr_axes",
    "read_zarr_properties",
    "read_zarr_record",
    "write_zarr_labels",
]

CHUNK = {2: (1024, 1024), 3: (64, 256, 256)}  # of labels, along the axes of a frame
TOP_LEVEL = 1024  # pixels along the sides of the coarsest level

# names within a store; older stores have them too
RECORD = "unsupseg"  # the attribute that says how labels were made
UNFINISHED = "unfinished"  # the key of the record that is there until all labels are
TEMPORARY = "scratch"  # the array that `LabelStore.temporary_array` returns


def read_zarr_record(path: Path) -> dict[str, Any] | None:
    """Read how the labels of a store were made.

    Parameters
    ----------
    path : Path
        A store that `LabelStore` may have written.

    Returns
    -------
    dict or None
        The record; None if the store is of another kind, or not complete.
    """
    store = LabelStore.from_path(path)
    return store.record if store is not None and store.is_complete else None


def read_zarr_properties(path: Path) -> list[dict[str, Any]]:
    """Read what is known of each label of a store.

    Parameters
    ----------
    path : Path
        Labels in OME-Zarr.

    Returns
    -------
    list of dict
        For each label, its number as ``label-value``, and values by name.

    Raises
    ------
    FileError
        If the store cannot be read.
    """
    with translate_zarr_errors(path):
        import zarr

        attributes: Any = zarr.open_group(path, mode="r").attrs
        properties: list[dict[str, Any]] = attributes["ome"]["image-label"].get("properties", [])
    return properties


class LabelStore:
    """Labels in OME-Zarr 0.5 with a pyramid, written chunk by chunk; what is written stays.

    Parameters
    ----------
    path : Path
        An existing store; see `create` and `from_path`.
    name : Path, optional
        What errors call it, if that is not where it is.

    Attributes
    ----------
    path : Path
        The store, a folder.
    """

    def __init__(self, path: Path, name: Path | None = None) -> None:
        import zarr

        self.path = path
        self._name = name or path
        self._group = zarr.open_group(path, mode="r+")

    @classmethod
    def from_path(cls, path: Path) -> Self | None:
        """Open labels that `create` began.

        Parameters
        ----------
        path : Path
            What may be such a store.

        Returns
        -------
        LabelStore or None
            None if it is not, or so damaged that its arrays cannot be opened.
        """
        if not (path / "zarr.json").is_file():
            return None
        try:
            with translate_zarr_errors(path):
                store = cls(path)
                record: Any = store._group.attrs.get(RECORD)
                arrays = dict(store._group.arrays())
        except FileError:
            return None
        # others may use the same words for something else
        is_own = isinstance(record, dict) and isinstance(record.get("settings", {}), dict)
        return store if is_own and "0" in arrays else None

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
        name: Path | None = None,
    ) -> Self:
        """Begin a store, in place of what is there.

        Parameters
        ----------
        path : Path
            The store, a folder.
        shape : tuple of int
            Shape of the labels, (..., Y, X).
        dtype : type
            Data type of the labels.
        axes : str
            A letter for each axis of the labels.
        pixel_size : PixelSize or None
            How large a pixel is, if it is known.
        spatial_ndim : int
            Axes of a frame, the last ones: a chunk lies in one frame.
        record : dict
            How the labels are made, fit for JSON.
        name : Path, optional
            What errors call it, if that is not where it is.

        Returns
        -------
        LabelStore
            Incomplete, all its labels 0.

        Raises
        ------
        FileError
            If it cannot be written, or OME-Zarr has no such axes.
        """
        with translate_zarr_errors(name or path):
            from yaozarrs.write.v05 import prepare_image

            level_shapes = _pyramid_shapes(shape)
            prepare_image(
                path,
                _label_image(axes, pixel_size, len(level_shapes)),
                [(level_shape, dtype) for level_shape in level_shapes],
                chunks=(*[1] * (len(shape) - spatial_ndim), *CHUNK[spatial_ndim]),
                extra_attributes={RECORD: record | {UNFINISHED: True}},
                writer="zarr",
                overwrite=True,
            )
            return cls(path, name)

    @property
    def record(self) -> dict[str, Any]:
        """How the labels are made, as given to `create` or `mark_complete`."""
        attributes: Any = self._group.attrs[RECORD]
        return {name: value for name, value in attributes.items() if name != UNFINISHED}

    @property
    def is_complete(self) -> bool:
        """Whether all labels are written, as `mark_complete` says."""
        attributes: Any = self._group.attrs[RECORD]
        return UNFINISHED not in attributes

    @property
    def n_levels(self) -> int:
        """Levels of the pyramid."""
        return sum(name.isdigit() for name in self._group.array_keys())

    def level(self, index: int) -> "zarr.Array[Any]":
        """Return the labels of a level of the pyramid, 0 the finest."""
        return self._group[str(index)]  # type: ignore[return-value]

    def temporary_array(self, dtype: type[np.unsignedinteger]) -> "zarr.Array[Any]":
        """Return an array of the same shape and chunks, which is there until `mark_complete`.

        It is for the clusters that regions or segments are made from.

        Parameters
        ----------
        dtype : type
            Data type of the array.

        Returns
        -------
        zarr.Array
            All 0; or as an earlier call left it, if there was one.
        """
        finest = self.level(0)
        if TEMPORARY not in self._group:
            self._group.create_array(
                TEMPORARY, shape=finest.shape, chunks=finest.chunks, dtype=dtype
            )
        return self._group[TEMPORARY]  # type: ignore[return-value]

    def write_missing_chunks(
        self, target: "zarr.Array[Any]", labels: Any, track: Track[Slices]
    ) -> None:
        """Compute labels chunk by chunk, and leave those that are written as they are.

        Parameters
        ----------
        target : zarr.Array
            An array of this store.
        labels : dask array
            Labels of its shape.
        track : callable
            Goes through the chunks, and shows how far.

        Raises
        ------
        FileError
            If a chunk cannot be written.
        """
        labels = labels.rechunk(target.chunks)
        # one after the other: the network has all cores, and memory holds one
        missing = [
            block
            for block in block_slices(target.shape, target.chunks)
            if not self._is_written(target, block)
        ]
        for block in track(missing, "labels"):
            computed = labels[block].compute(scheduler="sync")
            with translate_zarr_errors(self._name):
                target[block] = computed

    def write_pyramid(self) -> None:
        """Fill the coarser levels with every second label of the finer ones along y and x.

        Raises
        ------
        FileError
            If a chunk cannot be written.
        """
        with translate_zarr_errors(self._name):
            for index in range(1, self.n_levels):
                finer, coarser = self.level(index - 1), self.level(index)
                for block in block_slices(coarser.shape, coarser.chunks):
                    *leading, rows, columns = block
                    finer_rows, finer_columns = (
                        slice(2 * part.start, 2 * part.stop) for part in (rows, columns)
                    )
                    labels = np.asarray(finer[(*leading, finer_rows, finer_columns)])
                    coarser[block] = labels[..., ::2, ::2]

    def mark_complete(
        self, record: dict[str, Any], properties: list[dict[str, Any]] | None = None
    ) -> None:
        """Say that all labels are written, and remove the temporary array.

        Parameters
        ----------
        record : dict
            How they were made, fit for JSON.
        properties : list of dict, optional
            What is known of each label, see `read_zarr_properties`.

        Raises
        ------
        FileError
            If the store cannot be written.
        """
        with translate_zarr_errors(self._name):
            if properties:
                ome: Any = self._group.attrs["ome"]
                self._group.attrs["ome"] = ome | {"image-label": {"properties": properties}}
            if TEMPORARY in self._group:
                del self._group[TEMPORARY]
            self._group.attrs[RECORD] = record

    def _is_written(self, array: "zarr.Array[Any]", block: Slices) -> bool:
        """Tell whether a chunk lies whole in the store; zarr never stores those of zeros alone."""
        index = tuple(part.start // n for part, n in zip(block, array.chunks, strict=True))
        key = array.metadata.encode_chunk_key(index)
        if not (self.path / array.path / key).is_file():
            return False
        try:
            check_chunk_files(array, block)
            array[block]
        # what a decoder raises depends on the damage, such as half a chunk on a disk that was full
        except Exception:
            return False
        return True


def write_zarr_labels(
    path: Path,
    labels: NDArray[np.unsignedinteger],
    *,
    axes: str,
    pixel_size: PixelSize | None,
    spatial_ndim: int,
    record: dict[str, Any],
    properties: list[dict[str, Any]] | None = None,
) -> None:
    """Write labels that are in memory as OME-Zarr.

    Parameters
    ----------
    path : Path
        The store to write or replace, a folder.
    labels : ndarray of unsigned integers, shape (..., Y, X)
        The labels.
    axes : str
        A letter for each of their axes.
    pixel_size : PixelSize or None
        How large a pixel is, if it is known.
    spatial_ndim : int
        Axes of a frame, the last ones.
    record : dict
        How the labels were made, fit for JSON.
    properties : list of dict, optional
        What is known of each label, see `read_zarr_properties`.

    Raises
    ------
    FileError
        If it cannot be written, or OME-Zarr has no such axes.
    """
    # beside the store, so that what is there stays until all is written
    with partial_path(path) as partial:
        store = LabelStore.create(
            partial,
            labels.shape,
            labels.dtype.type,
            axes=axes,
            pixel_size=pixel_size,
            spatial_ndim=spatial_ndim,
            record=record,
            name=path,
        )
        with translate_zarr_errors(path):
            store.level(0)[:] = labels
        store.write_pyramid()
        store.mark_complete(record, properties)
        with translate_zarr_errors(path):
            remove(path)
            partial.replace(path)


def check_zarr_axes(path: Path, axes: str) -> None:
    """Raise before a run whose labels OME-Zarr could not hold.

    Parameters
    ----------
    path : Path
        The store to be written.
    axes : str
        A letter for each axis of the labels.

    Raises
    ------
    FileError
        If OME-Zarr has no such axes, or a package is missing.
    """
    try:
        with translate_zarr_errors(path):
            _label_image(axes, None, 1)
    except FileError as error:
        if isinstance(error.__cause__, ImportError):
            raise
        raise FileError(
            f"{path}: OME-Zarr cannot hold labels along {', '.join(axes)}: it has five axes at "
            "most, t before all others and z, y and x behind them; write a TIFF, or name the axes "
            "otherwise with --axes"
        ) from error


def _pyramid_shapes(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the shapes of the levels, halved along y and x until they fit a screen."""
    n_levels = 1 + max(0, math.ceil(math.log2(max(shape[-2:]) / TOP_LEVEL)))
    return [
        (*shape[:-2], *(math.ceil(n / 2**index) for n in shape[-2:])) for index in range(n_levels)
    ]


def _label_image(axes: str, pixel_size: PixelSize | None, n_levels: int) -> Any:
    """Return the metadata of labels, a model of yaozarrs."""
    from yaozarrs import DimSpec, v05

    unit = UNIT_NAMES.get(pixel_size.unit) if pixel_size else None
    sides = {"y": pixel_size.height, "x": pixel_size.width} if pixel_size else {}
    if pixel_size and pixel_size.depth:
        sides["z"] = pixel_size.depth
    origin = dict(zip("zyx", pixel_size.origin, strict=True)) if pixel_size else {}
    units = dict.fromkeys(sides, unit)
    if pixel_size and pixel_size.interval:
        sides["t"], units["t"], origin["t"] = pixel_size.interval, "second", 0.0
    dims = [
        DimSpec(
            name=axis,
            scale=sides.get(axis, 1),
            unit=units.get(axis),
            translation=origin[axis] if axis in sides and any(origin.values()) else None,
            scale_factor=2 if axis in "yx" else 1,
        )
        for axis in axes
    ]
    multiscale = v05.Multiscale.from_dims(dims, name="labels", n_levels=n_levels)
    return v05.LabelImage.model_validate(
        {"multiscales": [multiscale], "image-label": v05.ImageLabel()}
    )
