"""OME-Zarr images, opened chunk by chunk."""

import contextlib
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from napari_unsupseg.errors import FileError, OutOfMemoryError, UnsupsegError, first_line
from napari_unsupseg.io.paths import file_kind
from napari_unsupseg.io.pixel_size import PixelSize, combine_axes

if TYPE_CHECKING:
    import zarr

__all__ = ["FileArray", "check_chunk_files", "open_lazily", "open_zarr", "translate_zarr_errors"]

MAX_CHUNKS = 2_000_000  # dask keeps about a kilobyte for each

DEPTH = 3  # of an image in a group at most: a plate has rows, columns and fields
MISSING_PACKAGES = "OME-Zarr needs more packages: pip install 'napari-unsupseg[large]'"


def open_zarr(path: Path) -> tuple[Any, str | None, PixelSize | None]:
    """Open an image of a zarr store.

    Parameters
    ----------
    path : Path
        An image in OME-Zarr 0.4 or 0.5, or a plain zarr array.

    Returns
    -------
    values : dask array
        The finest level.
    axes : str or None
        One letter an axis, as `napari_unsupseg.segment` takes them; None if nothing says it.
    pixel_size : PixelSize or None
        None if nothing says it.

    Raises
    ------
    FileError
        If there is no such image, or a package is missing.
    """
    if file_kind(path) == "nothing":
        raise FileError(f"{path}: no such file")
    with translate_zarr_errors(path):
        import yaozarrs
        import zarr

        node = zarr.open(path, mode="r")
        if isinstance(node, zarr.Array):
            names = getattr(node.metadata, "dimension_names", None)  # zarr 2 has none
            return open_lazily(node, path), _axis_letters(names or ()), None
        metadata: Any = yaozarrs.open_group(path).ome_metadata()
        if not getattr(metadata, "multiscales", None):
            raise FileError(f"{path}: holds no image itself{_suggest_image_in(node)}")
        multiscale = metadata.multiscales[0]
        array: Any = node[multiscale.datasets[0].path]
        names = [axis.name for axis in multiscale.axes]
        if len(names) != array.ndim:
            raise FileError(
                f"{path}: is damaged, it says that its axes are {', '.join(names)}, and its array "
                f"has {array.ndim}"
            )
        axes = _axis_letters(names)
        if axes and _is_rgb(metadata):
            axes = axes.replace("c", "s")
        return open_lazily(array, path), axes, _pixel_size(multiscale, path)


class FileArray:
    """An array of a file, of which any part can be read; what cannot is named with its file.

    Parameters
    ----------
    array : zarr.Array
        The array.
    path : Path
        What errors call its file.
    """

    def __init__(self, array: Any, path: Path) -> None:
        self._array, self._path = array, path
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, part: Any) -> Any:
        """Read a part."""
        with translate_zarr_errors(self._path):
            check_chunk_files(self._array, part)
            return self._array[part]


def open_lazily(array: Any, path: Path) -> Any:
    """Return an array of a file as a dask array.

    Parameters
    ----------
    array : zarr.Array
        The array.
    path : Path
        What errors call its file.

    Returns
    -------
    dask array
        Of the same chunks.

    Raises
    ------
    FileError
        If nobody could go through its chunks. Computing a part raises it too, if that is damaged.
    """
    import dask.array as da

    _check_chunks(array, path)
    # unnamed: to give it a name of its content dask would have to read it
    return da.from_array(FileArray(array, path), chunks=array.chunks, name=False)


def check_chunk_files(array: Any, part: Any) -> None:
    """Raise if a chunk file of a part is cut short where its decoder would not notice.

    Blosc reads beyond the end of what it is given, and returns whatever lies there in memory.

    Parameters
    ----------
    array : zarr.Array
        The array.
    part : tuple of slice or int
        The part, along each of its axes.

    Raises
    ------
    ValueError
        If a file has another length than its first bytes say.
    """
    import zarr.storage

    codecs, store = array.compressors, array.store_path.store
    is_blosc = bool(codecs) and "blosc" in type(codecs[-1]).__name__.lower()
    is_local = isinstance(store, zarr.storage.LocalStore) and array.shards is None
    parts = part if isinstance(part, tuple) else (part,)
    parts += (slice(None),) * (len(array.shape) - len(parts))
    if not is_blosc or not is_local or not all(isinstance(along, slice | int) for along in parts):
        return
    folder = Path(store.root) / array.path
    ranges = []
    for along, length, side in zip(parts, array.shape, array.chunks, strict=True):
        pixels = range(length)[along]
        pixels = range(pixels, pixels + 1) if isinstance(pixels, int) else pixels
        ranges.append(range(pixels[0] // side, pixels[-1] // side + 1) if pixels else range(0))
    for index in itertools.product(*ranges):
        file = folder / array.metadata.encode_chunk_key(index)
        if not file.is_file():
            continue
        with file.open("rb") as opened:
            header = opened.read(16)
        if int.from_bytes(header[12:], "little") != file.stat().st_size:
            raise ValueError(f"chunk {file.relative_to(folder)} has lost a part of it")


def _check_chunks(array: Any, path: Path) -> None:
    """Raise unless an array has chunks that fit into memory, and not too many of them."""
    chunks = list(zip(array.shape, array.chunks, strict=True))
    if any(side < 1 for _, side in chunks):
        raise FileError(f"{path}: is damaged, it says that its chunks have {array.chunks} pixels")
    n_bytes = math.prod(min(length, side) for length, side in chunks) * array.dtype.itemsize
    if n_bytes > psutil.virtual_memory().total:
        raise FileError(
            f"{path}: is stored in chunks of {n_bytes / 1e9:,.0f} GB, more than this computer's "
            "memory; store it in smaller ones"
        )
    n_chunks = math.prod(math.ceil(length / side) for length, side in chunks)
    if n_chunks > MAX_CHUNKS:
        raise FileError(
            f"{path}: is stored in {n_chunks:,} chunks, and {MAX_CHUNKS:,} is the most; store it "
            "in larger ones, or crop it"
        )


@contextlib.contextmanager
def translate_zarr_errors(path: Path) -> Iterator[None]:
    """Turn what the libraries of the format raise into one sentence about the store.

    Parameters
    ----------
    path : Path
        The store that the sentence names.

    Raises
    ------
    FileError
        In place of any error of zarr, dask or yaozarrs.
    OutOfMemoryError
        In place of a `MemoryError`.
    """
    try:
        yield
    except UnsupsegError:
        raise
    except ImportError as error:
        raise FileError(f"{path}: {MISSING_PACKAGES}") from error
    except FileNotFoundError as error:
        raise FileError(f"{path}: is no zarr store, or has lost a part of it") from error
    except OSError as error:
        raise FileError(f"{path}: cannot be read or written ({error.strerror or error})") from error
    # where an index of chunks is damaged, a part of any length is asked for
    except MemoryError as error:
        raise OutOfMemoryError(
            f"{path}: takes more memory to read or write than there is, or is damaged"
        ) from error
    # what decoders raise on a damaged chunk depends on the damage
    except Exception as error:
        raise FileError(
            f"{path}: is damaged, or not as OME-Zarr asks for ({first_line(error)})"
        ) from error


def _axis_letters(names: Any) -> str | None:
    """Return a letter for each axis; None unless all names are letters."""
    letters = [str(name).lower() for name in names]
    if not letters or any(len(letter) != 1 for letter in letters):
        return None
    return "".join(letters)


def _suggest_image_in(group: "zarr.Group") -> str:
    """Say where in a group there is an image, such as in the wells of a plate."""
    name = _find_image_in(group, DEPTH)
    return f"; name one of its images, such as {name}" if name else ""


def _find_image_in(group: "zarr.Group", depth: int) -> str | None:
    """Return the name of the first image or array in a group, and in the groups within it."""
    for name in sorted(group):
        member: Any = group[name]
        attributes = getattr(member, "attrs", {})
        if "multiscales" in (attributes.get("ome") or attributes) or not hasattr(member, "groups"):
            return name
        if depth > 1 and (within := _find_image_in(member, depth - 1)):
            return f"{name}/{within}"
    return None


def _is_rgb(metadata: Any) -> bool:
    """Tell whether an image's channels are red, green and blue, by the colours to show them in."""
    omero = getattr(metadata, "omero", None)
    channels = omero.channels if omero else []
    colours = [str(channel.color).lstrip("#").upper() for channel in channels]
    return colours == ["FF0000", "00FF00", "0000FF"]


def _pixel_size(multiscale: Any, path: Path) -> PixelSize | None:
    """Return the size and origin of a pixel of the finest level."""
    scale, translation = _transformation(multiscale)
    at = {axis.name: index for index, axis in enumerate(multiscale.axes)}
    units = {axis.name: getattr(axis, "unit", None) for axis in multiscale.axes}
    spellings = {name: str(unit) if unit else None for name, unit in units.items()}
    spatial = [name for name in at if name in ("z", "y", "x")]
    return combine_axes(
        path,
        {name: abs(scale[at[name]]) for name in spatial},
        spellings,
        {name: translation[at[name]] for name in spatial},
        (scale[at["t"]], spellings["t"]) if "t" in at else None,
    )


def _transformation(multiscale: Any) -> tuple[list[float], list[float]]:
    """Return scale and translation of the finest level along each axis.

    Its own transformations come first, then those of the whole pyramid, in their order.
    """
    n_axes = len(multiscale.axes)
    scale, translation = [1.0] * n_axes, [0.0] * n_axes
    for transformation in (
        *(multiscale.datasets[0].coordinateTransformations or ()),
        *(multiscale.coordinateTransformations or ()),
    ):
        if factors := getattr(transformation, "scale", None):
            scale = [own * by for own, by in zip(scale, factors, strict=True)]
            translation = [own * by for own, by in zip(translation, factors, strict=True)]
        if offsets := getattr(transformation, "translation", None):
            translation = [own + by for own, by in zip(translation, offsets, strict=True)]
    return scale, translation
