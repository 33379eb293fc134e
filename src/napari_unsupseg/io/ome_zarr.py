"""OME-Zarr images, opened chunk by chunk."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unsupseg.errors import FileError, UnsupsegError
from napari_unsupseg.io.pixel_size import UNIT_NAMES, UNIT_SPELLINGS, PixelSize

if TYPE_CHECKING:
    import zarr

__all__ = ["open_zarr", "translate_zarr_errors"]

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

        node = zarr.open(path, mode="r")
        if isinstance(node, zarr.Array):
            names = getattr(node.metadata, "dimension_names", None)  # zarr 2 has none
            return da.from_zarr(node), _axis_letters(names or ()), None
        metadata: Any = yaozarrs.open_group(path).ome_metadata()
        if not getattr(metadata, "multiscales", None):
            raise FileError(f"{path}: holds no image itself{_suggest_image_in(node)}")
        multiscale = metadata.multiscales[0]
        array: Any = node[multiscale.datasets[0].path]
        axes = _axis_letters([axis.name for axis in multiscale.axes])
        if axes and _is_rgb(metadata):
            axes = axes.replace("c", "s")
        return da.from_zarr(array), axes, _pixel_size(multiscale)


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
    except (ValueError, KeyError, TypeError) as error:  # pydantic's errors are ValueErrors
        reason = str(error).strip().split("\n")[0]
        raise FileError(f"{path}: is not as OME-Zarr asks for ({reason})") from error


def _axis_letters(names: Any) -> str | None:
    """Return a letter for each axis; None unless all names are letters."""
    letters = [str(name).lower() for name in names]
    if not letters or any(len(letter) != 1 for letter in letters):
        return None
    return "".join(letters)


def _suggest_image_in(group: "zarr.Group") -> str:
    """Say where in a group there may be images, such as in the wells of a plate."""
    names = sorted(group.group_keys())
    return f"; name one of its images, such as {names[0]}/0" if names else ""


def _is_rgb(metadata: Any) -> bool:
    """Tell whether an image's channels are red, green and blue, by the colours to show them in."""
    omero = getattr(metadata, "omero", None)
    channels = omero.channels if omero else []
    colours = [str(channel.color).lstrip("#").upper() for channel in channels]
    return colours == ["FF0000", "00FF00", "0000FF"]


def _pixel_size(multiscale: Any) -> PixelSize | None:
    """Return the size and origin of a pixel of the finest level."""
    names = [axis.name for axis in multiscale.axes]
    scale, translation = _transformation(multiscale)
    spellings = UNIT_SPELLINGS | {name: unit for unit, name in UNIT_NAMES.items()}
    units = {
        spellings.get(str(getattr(axis, "unit", None)))
        for axis in multiscale.axes
        if axis.name in ("z", "y", "x")
    }
    sides = dict(zip(names, map(abs, scale), strict=True))
    starts = dict(zip(names, translation, strict=True))
    # a `PixelSize` has one unit for all axes
    if len(units) != 1 or not {"y", "x"} <= set(sides):
        return None
    unit = units.pop()
    if not unit:
        return None
    origin = (starts.get("z", 0.0), starts["y"], starts["x"])
    return PixelSize(sides["y"], sides["x"], unit, sides.get("z"), origin)


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
