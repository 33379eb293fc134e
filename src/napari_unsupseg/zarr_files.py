"""OME-Zarr: images that are opened, and labels that are written, chunk by chunk."""

import contextlib
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg.errors import FileError, UnsupsegError
from napari_unsupseg.files import UNITS, PixelSize
from napari_unsupseg.lazy import Place

if TYPE_CHECKING:
    import zarr

__all__ = [
    "LabelStore",
    "Track",
    "open_zarr",
    "places",
    "read_store_record",
    "write_store",
]

CHUNK = {2: (1024, 1024), 3: (64, 256, 256)}  # of labels, along the axes of a frame
TOP_LEVEL = 1024  # pixels along the sides of the coarsest level
RECORD = "unsupseg"  # the attribute that says how labels were made
UNIT_NAMES = {
    "um": "micrometer", "nm": "nanometer", "mm": "millimeter", "cm": "centimeter", "m": "meter",
    "angstrom": "angstrom",
}  # fmt: skip
NEEDED = "OME-Zarr needs more packages: pip install 'napari-unsupseg[large]'"

T = TypeVar("T")
Track = Callable[[Sequence[T], str], Iterable[T]]  # goes through a sequence and shows how far


def open_zarr(path: Path) -> tuple[Any, str | None, PixelSize | None]:
    """Open an image of a zarr store.

    Parameters
    ----------
    path : Path
        Of an image in OME-Zarr 0.4 or 0.5, or of an array.

    Returns
    -------
    values : dask array
        The finest level, without axes of length 1.
    axes : str or None
        One letter an axis, as `napari_unsupseg.segment` takes them; None if nothing says it.
    pixel_size : PixelSize or None
        None if there is none in a unit of length.

    Raises
    ------
    FileError
        If there is no such image, or a package is missing.
    """
    if not path.exists():
        raise FileError(f"{path}: no such file")
    with _naming(path):
        import dask.array as da
        import yaozarrs
        import zarr

        metadata: Any = None
        array: Any
        node = zarr.open(path, mode="r")
        if isinstance(node, zarr.Array):
            array, names = node, getattr(node.metadata, "dimension_names", None)
        else:
            metadata = yaozarrs.open_group(path).ome_metadata()
            if not getattr(metadata, "multiscales", None):
                raise FileError(f"{path}: holds no image itself{_inside(node)}")
            multiscale = metadata.multiscales[0]
            array, names = node[multiscale.datasets[0].path], [a.name for a in multiscale.axes]
        values = da.from_zarr(array)
    kept = [index for index, n in enumerate(array.shape) if n > 1]
    letters = [str(name).lower() for name in names or ()]
    axes = None
    if letters and all(len(letter) == 1 for letter in letters):
        axes = "".join(letters[index] for index in kept)
        if _is_colour(metadata):
            axes = axes.replace("c", "s")
    return values.squeeze(), axes, _pixel_size(metadata) if metadata else None


def _inside(group: "zarr.Group") -> str:
    """Say where in a group there may be images."""
    names = sorted(group.group_keys())
    return f"; name one of its images, such as {'/'.join(names[:1])}/0" if names else ""


def _is_colour(metadata: Any) -> bool:
    """Tell whether an image's channels are red, green and blue."""
    omero = getattr(metadata, "omero", None)
    colours = (
        [str(channel.color).lstrip("#").upper() for channel in omero.channels] if omero else []
    )
    return colours == ["FF0000", "00FF00", "0000FF"]


def _pixel_size(metadata: Any) -> PixelSize | None:
    """Return the size of a pixel of the finest level."""
    multiscale = metadata.multiscales[0]
    scale = multiscale.datasets[0].scale_transform.scale
    short = {name: unit for unit, name in UNIT_NAMES.items()}
    sides: dict[str, float] = {}
    units: set[str | None] = set()
    for axis, side in zip(multiscale.axes, scale, strict=True):
        if axis.name in ("z", "y", "x"):
            name = str(getattr(axis, "unit", None))
            sides[axis.name] = float(side)
            units.add(short.get(name, UNITS.get(name)))
    if len(units) != 1 or not {"y", "x"} <= set(sides):
        return None
    unit = units.pop()
    if unit is None:
        return None
    return PixelSize(sides["y"], sides["x"], unit, sides.get("z"))


def read_store_record(path: Path) -> dict[str, Any] | None:
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
        with _naming(path):
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
        with _naming(path):
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

    def fill(self, target: "zarr.Array[Any]", labels: Any, track: Track[Place]) -> None:
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
        missing = [place for place in places(target) if not self._is_written(target, place)]
        with _naming(self.path):
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
        with _naming(self.path):
            for index in range(1, self.n_levels):
                finer, coarser = self.level(index - 1), self.level(index)
                for place in places(coarser):
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
        with _naming(self.path):
            if "scratch" in self._group:
                del self._group["scratch"]
            self._group.attrs[RECORD] = record

    def _is_written(self, array: "zarr.Array[Any]", place: Place) -> bool:
        """Tell whether a chunk lies in the store; those of zeros alone never do."""
        index = tuple(s.start // n for s, n in zip(place, array.chunks, strict=True))
        key = array.metadata.encode_chunk_key(index)
        return (self.path / array.path / key).is_file()


def write_store(
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
        with _naming(path):
            store.level(0)[:] = labels
        store.fill_pyramid()
        store.finish(record)
        with _naming(path):
            if path.exists():
                shutil.rmtree(path)
            partial.replace(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def places(array: "zarr.Array[Any]") -> list[Place]:
    """Return where the chunks of an array lie.

    Parameters
    ----------
    array : zarr.Array
        The array.

    Returns
    -------
    list of tuple of slice
        In the order of the array.
    """
    starts = [range(0, n, step) for n, step in zip(array.shape, array.chunks, strict=True)]
    counts = [len(along) for along in starts]
    return [
        tuple(
            slice(along[i], min(along[i] + step, n))
            for along, i, step, n in zip(starts, index, array.chunks, array.shape, strict=True)
        )
        for index in np.ndindex(*counts)
    ]


def _pyramid(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the shapes of the levels, halved along y and x until they fit a screen."""
    n_levels = 1 + max(0, math.ceil(math.log2(max(shape[-2:]) / TOP_LEVEL)))
    return [
        (*shape[:-2], *(math.ceil(n / 2**index) for n in shape[-2:])) for index in range(n_levels)
    ]


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn what the libraries of the format raise into one sentence about the store."""
    try:
        yield
    except UnsupsegError:
        raise
    except ImportError as error:
        raise FileError(f"{path}: {NEEDED}") from error
    except FileNotFoundError as error:
        raise FileError(f"{path}: is no zarr store, or has lost a part of it") from error
    except OSError as error:
        raise FileError(f"{path}: cannot be read or written ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError) as error:  # pydantic's errors are ValueErrors
        reason = str(error).strip().split("\n")[0]
        raise FileError(f"{path}: is not as OME-Zarr asks for ({reason})") from error
