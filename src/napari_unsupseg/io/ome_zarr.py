"""OME-Zarr images, opened chunk by chunk."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unsupseg.errors import FileError, UnsupsegError
from napari_unsupseg.io.pixel_size import UNITS, PixelSize

if TYPE_CHECKING:
    import zarr
from napari_unsupseg.io.pixel_size import UNIT_NAMES

__all__ = ["open_zarr", "translate_zarr_errors"]

NEEDED = "OME-Zarr needs more packages: pip install 'napari-unsupseg[large]'"


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
    with translate_zarr_errors(path):
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


@contextlib.contextmanager
def translate_zarr_errors(path: Path) -> Iterator[None]:
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
