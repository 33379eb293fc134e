"""What is read off a layer: its array, its axes, its frames and voxels; and where it lies."""

import functools
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unsupseg._words import count
from napari_unsupseg.errors import ImageError
from napari_unsupseg.image.axes import (
    CHANNELS,
    LEADING,
    SAMPLES,
    axes_from_channel,
    describe_axes,
    format_shape,
    labels_shape,
)
from napari_unsupseg.image.channels import check_numbers
from napari_unsupseg.image.tiling import check_large_image, crop_slices, is_large, is_lazy
from napari_unsupseg.io.pixel_size import PixelSize
from napari_unsupseg.io.tiff import read_tiff_axes

if TYPE_CHECKING:
    from napari.layers import Image, Labels

__all__ = [
    "axes_choices",
    "check_image_layer",
    "check_large_layer",
    "has_array",
    "layer_array",
    "named_axes",
    "pixel_transform",
    "training_frames",
    "voxel_spacing",
]


# letter of an axis by its names; napari users write either in axis_labels
AXIS_NAMES = {
    name: names[0]
    for names in (
        ("c", "ch", "channel", "channels"), ("z", "depth", "slice"), ("t", "time", "frame"),
        ("y", "row"), ("x", "column"),
    )
    for name in names
}  # fmt: skip


def layer_array(layer: "Image | Labels") -> Any:
    """Return the array of a layer, the finest level of a multiscale one.

    Parameters
    ----------
    layer : napari.layers.Image or Labels
        The layer.

    Returns
    -------
    array_like
        The layer's data; a zarr array as a dask array.
    """
    array = layer.data[0] if layer.multiscale else layer.data
    zarr = sys.modules.get("zarr")  # whoever made such an array has imported it
    if zarr is not None and isinstance(array, zarr.Array):
        import dask.array as da

        return da.from_zarr(array)
    return array


def has_array(layer: "Image", array: Any) -> bool:
    """Tell whether a layer still has the array that `layer_array` once returned of it.

    Parameters
    ----------
    layer : napari.layers.Image
        Image layer.
    array : array_like
        Its array at an earlier moment.

    Returns
    -------
    bool
        False after the layer was given other data.
    """
    current = layer_array(layer)
    # a zarr array becomes another dask array each time, whose name says what it holds
    return current is array or (is_lazy(current) and is_lazy(array) and current.name == array.name)


def check_image_layer(layer: "Image") -> None:
    """Raise unless a layer has an image that can be segmented, for all that its array says of it.

    Parameters
    ----------
    layer : napari.layers.Image
        Any Image layer; its pixels are not looked at.

    Raises
    ------
    ImageError
        If what napari shows is no such image; the sentence names the layer.
    ImageDtypeError
        If it has no real numbers.
    """
    name = layer.name
    try:
        shape, dtype = layer_array(layer).shape, np.dtype(layer.dtype)
    except Exception as error:  # whatever the array of a stranger raises, such as a closed file's
        raise ImageError(f"{name} cannot be read ({error}): open its file anew") from error
    check_numbers(name, dtype, shape)
    if 0 in shape:
        raise ImageError(f"{name} is empty ({format_shape(shape)}): choose another image")
    # a colour is an axis of the array and none of the layer
    most = len(LEADING) if layer.rgb else len(LEADING + CHANNELS)
    if not 2 <= layer.ndim <= most:
        beside = " beside its colours" if layer.rgb else ""
        raise ImageError(
            f"{name} has {count(layer.ndim, 'axis')}{beside} ({format_shape(shape)}), and the "
            f"panel segments images of 2 to {most}: add a part of it, such as its data[0], as a "
            "layer"
        )


def axes_choices(layer: "Image") -> list[tuple[str, str | None]]:
    """Return what the axes of a layer may be, as choices of a menu.

    Parameters
    ----------
    layer : napari.layers.Image
        Image layer that passes `check_image_layer`.

    Returns
    -------
    list of tuple of str and str or None
        Words for the menu, and one letter for each axis, the likeliest first. The first letters are
        None, and the words ask for a choice, if neither shape nor axis labels nor the file that the
        layer was opened from tell the axes.
    """
    shape = layer_array(layer).shape
    if layer.rgb:
        leading = LEADING[-layer.ndim :]
        return [_choice(shape, leading + SAMPLES)]
    if layer.ndim == 2:
        return [_choice(shape, "yx")]
    planes = [LEADING[-layer.ndim :]] if layer.ndim <= len(LEADING) else []
    if layer.ndim == 3:
        planes.append("tyx")
    channels = [axes_from_channel(shape, axis) for axis in range(layer.ndim)]
    choices = [_choice(shape, axes) for axes in [*planes, *channels]]
    named = named_axes(layer) or _axes_of_file(layer, shape)
    if named is None:
        return [("choose what the axes are", None), *choices]
    return [_choice(shape, named), *(choice for choice in choices if choice[1] != named)]


def named_axes(layer: "Image | Labels") -> str | None:
    """Return a letter for each axis if their labels tell which run over planes and channels.

    Parameters
    ----------
    layer : napari.layers.Image or Labels
        The layer.

    Returns
    -------
    str or None
        None if they do not.
    """
    letters = [AXIS_NAMES.get(label.lower(), "?") for label in layer.axis_labels]
    # the last two axes that are no channels run along a plane, unless they have other names
    in_plane = [index for index, letter in enumerate(letters) if letter != CHANNELS][-2:]
    for index, letter in zip(in_plane, "yx", strict=False):
        if letters[index] == "?":
            letters[index] = letter
    named = "".join(letters)
    is_clear = "?" not in named and len(set(named)) == len(named)
    return named if is_clear and named.replace(CHANNELS, "").endswith("yx") else None


def _axes_of_file(layer: "Image", shape: tuple[int, ...]) -> str | None:
    """Return a letter for each axis if the file of a layer says it, and the layer has its shape.

    napari's own reader hands on none of what a TIFF file says of its axes.
    """
    path = layer.source.path
    said = None if path is None else _read_tiff_axes(path)
    return said[1] if said is not None and said[0] == shape else None


@functools.lru_cache(maxsize=64)  # a menu asks each time that any layer comes or goes
def _read_tiff_axes(path: str) -> tuple[tuple[int, ...], str] | None:
    return read_tiff_axes(Path(path))


def _choice(shape: tuple[int, ...], axes: str) -> tuple[str, str]:
    return describe_axes(shape, axes), axes


def pixel_transform(axes: str, pixel_size: PixelSize) -> dict[str, Any]:
    """Return where a layer lies, by the size of its pixels.

    Parameters
    ----------
    axes : str
        A letter for each axis of the layer.
    pixel_size : PixelSize
        What a file says.

    Returns
    -------
    dict
        Keywords of a layer: scale, position and units.
    """
    sides = {"z": pixel_size.depth, "y": pixel_size.height, "x": pixel_size.width}
    starts = dict(zip("zyx", pixel_size.origin, strict=True))
    return {
        "scale": [sides.get(axis) or 1.0 for axis in axes],
        "translate": [starts[axis] if sides.get(axis) else 0.0 for axis in axes],
        "units": [pixel_size.unit if sides.get(axis) else "pixel" for axis in axes],
    }


def training_frames(array: Any, axes: str, spatial_ndim: int) -> tuple[tuple[int, ...], int]:
    """Return size and number of the frames that a run on an image trains on.

    Parameters
    ----------
    array : array_like
        The image, see `layer_array`.
    axes : str
        One letter for each of its axes.
    spatial_ndim : int
        Axes of a frame.

    Returns
    -------
    tuple of int, int
        Pixels along each axis of a frame, and how many frames there are.
    """
    shape = labels_shape(array.shape, axes)
    if is_large(array):
        crops = crop_slices(shape, spatial_ndim, seed=0)
        shape = (len(crops), *(along.stop - along.start for along in crops[0][-spatial_ndim:]))
    return shape[-spatial_ndim:], math.prod(shape[:-spatial_ndim])


def voxel_spacing(layer: "Image", axes: str) -> tuple[float, ...]:
    """Return the distance between neighbouring voxels of a layer along z, y and x.

    Parameters
    ----------
    layer : napari.layers.Image
        The image.
    axes : str
        One letter for each of its axes.

    Returns
    -------
    tuple of float
        In the units of the layer.
    """
    return tuple(abs(float(layer.scale[axes.index(axis)])) for axis in "zyx")


def check_large_layer(layer: "Image", *, strokes: object = None, min_size: int = 0) -> None:
    """Refuse, before any work, what cannot be had of an image that is too large to be loaded.

    Parameters
    ----------
    layer : napari.layers.Image
        The image.
    strokes : object
        Anything but None asks for strokes.
    min_size : int
        Pixels of the smallest region.

    Raises
    ------
    ImageError
        If the image is too large for what is asked for.
    """
    if is_large(layer_array(layer)):
        check_large_image(
            layer.name,
            strokes=strokes,
            min_size=min_size,
            spelling=lambda name: name.replace("_", " "),  # as the panel labels its controls
        )
