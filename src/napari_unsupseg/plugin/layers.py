"""Image layers in, Labels layers out: axes and transforms."""

import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import CompositeAffine
from numpy.typing import NDArray

from napari_unsupseg._typing import Labels
from napari_unsupseg.image.axes import CHANNELS, LEADING, SAMPLES, axes_from_channel, describe_axes
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.tiling import crop_slices, is_large
from napari_unsupseg.plugin.large.pyramid import LabelPyramid
from napari_unsupseg.regions.labels import label_dtype
from napari_unsupseg.regions.measure import measure_regions

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.layers import Labels as LabelsLayer

__all__ = [
    "axes_choices",
    "blank_labels",
    "blank_pyramid",
    "frames_of",
    "from_layer_axes",
    "labels_keywords",
    "layer_array",
    "region_features",
    "show_names",
    "to_layer_axes",
    "voxel_spacing",
]


# what an axis may be called, and its letter
AXIS_NAMES = {
    name: names[0]
    for names in (
        ("c", "ch", "channel", "channels"), ("z", "depth", "slice"), ("t", "time", "frame"),
        ("y", "row"), ("x", "column"),
    )
    for name in names
}  # fmt: skip


def layer_array(layer: "Image") -> Any:
    """Return the array of an Image layer, the finest level of a multiscale one.

    Parameters
    ----------
    layer : napari.layers.Image
        Image layer.

    Returns
    -------
    array_like
        The layer's data; a zarr array as a dask array.
    """
    array = layer.data[0] if layer.multiscale else layer.data
    zarr = sys.modules.get("zarr")  # who has such an array has loaded it
    if zarr is not None and isinstance(array, zarr.Array):
        import dask.array as da

        return da.from_zarr(array)
    return array


def axes_choices(layer: "Image") -> list[tuple[str, str | None]]:
    """Return what the axes of a layer may be, in words.

    Parameters
    ----------
    layer : napari.layers.Image
        Image layer.

    Returns
    -------
    list of tuple of str and str or None
        What the image is then taken for, and one letter an axis, the likeliest first. The letters
        are None in the first choice if nothing tells which it is.
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
    named = _named_axes(layer)
    if named is None:
        return [("choose what the axes are", None), *choices]
    return [_choice(shape, named), *(choice for choice in choices if choice[1] != named)]


def _named_axes(layer: "Image") -> str | None:
    """Return a letter for each axis if their labels tell which run over planes and channels."""
    letters = [AXIS_NAMES.get(label.lower(), "?") for label in layer.axis_labels]
    in_plane = [index for index, letter in enumerate(letters) if letter != CHANNELS][-2:]
    for index, letter in zip(in_plane, "yx", strict=False):
        if letters[index] == "?":
            letters[index] = letter
    named = "".join(letters)
    is_clear = "?" not in named and len(set(named)) == len(named)
    return named if is_clear and named.replace(CHANNELS, "").endswith("yx") else None


def _choice(shape: tuple[int, ...], axes: str) -> tuple[str, str]:
    return describe_axes(shape, axes), axes


def frames_of(layer: "Image", axes: str, spatial_ndim: int) -> tuple[tuple[int, ...], int]:
    """Return the size and number of the frames of a layer's image that are trained on.

    Parameters
    ----------
    layer : napari.layers.Image
        The image.
    axes : str
        One letter for each of its axes.
    spatial_ndim : int
        Axes of a frame.

    Returns
    -------
    tuple of int, int
        Pixels along each axis of a frame, and how many frames there are.
    """
    array = layer_array(layer)
    lengths = zip(axes, array.shape, strict=True)
    shape = tuple(length for axis, length in lengths if axis not in CHANNELS + SAMPLES)
    if is_large(array):
        crops = crop_slices(shape, spatial_ndim, seed=0)
        shape = (len(crops), *(along.stop - along.start for along in crops[0][-spatial_ndim:]))
    return shape[-spatial_ndim:], math.prod(shape[:-spatial_ndim])


def voxel_spacing(layer: "Image", axes: str) -> tuple[float, ...]:
    """Return the distance of a layer's voxels along z, y and x.

    Parameters
    ----------
    layer : napari.layers.Image
        The image.
    axes : str
        One letter for each of its axes.

    Returns
    -------
    tuple of float
        From its scale.
    """
    return tuple(abs(float(layer.scale[axes.index(axis)])) for axis in "zyx")


def labels_keywords(layer: "Image", axes: str) -> dict[str, Any]:
    """Return what puts a Labels layer in register with an Image layer.

    Parameters
    ----------
    layer : napari.layers.Image
        The image.
    axes : str
        One letter for each of its axes.

    Returns
    -------
    dict
        Keywords of `napari.layers.Labels`: transform, units and axis labels.
    """
    kept = list(range(layer.ndim))[1 if _channel_axis(layer, axes) == 0 else 0 :]
    to_physical = CompositeAffine(
        scale=layer.scale,
        translate=layer.translate,
        rotate=layer.rotate,
        shear=layer.shear,
        ndim=layer.ndim,
    ).set_slice(kept)
    return {
        "scale": to_physical.scale,
        "translate": to_physical.translate,
        "rotate": to_physical.rotate,
        "shear": to_physical.shear,
        "affine": layer.affine.set_slice(kept),
        "units": [layer.units[axis] for axis in kept],
        "axis_labels": [layer.axis_labels[axis] for axis in kept],
    }


def region_features(labels: Labels, layer: "Image", axes: str) -> dict[str, NDArray[np.number]]:
    """Measure the regions of a layer's labels.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (..., Y, X)
        Labels of the image.
    layer : napari.layers.Image
        The image.
    axes : str
        One letter for each of its axes.

    Returns
    -------
    dict of str to ndarray, shape (labels,)
        Features for a Labels layer: those of `measure_regions`, in the image's unit if that is one
        of length.
    """
    channels = split_channels(layer_array(layer), axes)
    (height, width), (unit, other) = (
        [of[axes.index(axis)] for axis in "yx"] for of in (layer.scale, layer.units)
    )
    spacing, name = (1.0, 1.0), ""
    if unit == other and unit.is_compatible_with("meter"):
        spacing, name = (height, width), f"{unit:~}".replace("µ", "u")
    table = measure_regions(labels, channels.values, axes=channels.axes, spacing=spacing, unit=name)
    return {"index": table.pop("label"), **table}  # the name that napari looks labels up by


def show_names(layer: "LabelsLayer") -> None:
    """Show the names that a layer's clusters were given in its table of features.

    Parameters
    ----------
    layer : napari.layers.Labels
        The layer of a run.
    """
    names = layer.metadata.get("napari-unsupseg", {}).get("names")
    features = layer.features.drop(columns="name", errors="ignore")
    if names and "index" in features:
        features["name"] = [names.get(label, "") for label in features["index"]]
    layer.features = features


def to_layer_axes(labels: Labels, layer: "Image", axes: str) -> Labels:
    """Give labels of an image the axes that their Labels layer has.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (..., Y, X)
        Labels of an image.
    layer : napari.layers.Image
        The image.
    axes : str
        One letter for each of its axes.

    Returns
    -------
    ndarray of unsigned integers
        The labels, repeated along a channel axis that lies behind or between others: napari
        aligns layers by their last axes, so only a leading axis can be left out.
    """
    channel_axis = _channel_axis(layer, axes)
    if not channel_axis:
        return labels
    n_channels = layer_array(layer).shape[channel_axis]
    return np.repeat(np.expand_dims(labels, channel_axis), n_channels, axis=channel_axis)


def from_layer_axes(labels: Labels, layer: "Image", axes: str) -> Labels:
    """Take back what `to_layer_axes` has done.

    Parameters
    ----------
    labels : ndarray of unsigned integers
        Data of a Labels layer.
    layer : napari.layers.Image
        The image.
    axes : str
        One letter for each of its axes.

    Returns
    -------
    ndarray of unsigned integers, shape (..., Y, X)
        Labels of the image; the greatest of a pixel's, where they differ among channels.
    """
    channel_axis = _channel_axis(layer, axes)
    if not channel_axis:
        return labels
    of_image: Labels = labels.max(axis=channel_axis)
    return of_image


def blank_labels(layer: "Image", axes: str, max_clusters: int) -> Labels:
    """Return the labels of a layer before the first iteration.

    Parameters
    ----------
    layer : napari.layers.Image
        The image.
    axes : str
        One letter for each of its axes.
    max_clusters : int
        q, which decides the data type.

    Returns
    -------
    ndarray of uint8 or uint16
        Zeros.
    """
    shape = layer_array(layer).shape[: layer.ndim]
    if _channel_axis(layer, axes) == 0:
        shape = shape[1:]
    return np.zeros(shape, dtype=label_dtype(max_clusters))


def blank_pyramid(layer: "Image", axes: str, max_clusters: int) -> LabelPyramid:
    """Return the labels of a layer that is too large to be loaded, before the first iteration.

    Parameters
    ----------
    layer : napari.layers.Image
        The image.
    axes : str
        One letter for each of its axes.
    max_clusters : int
        q, which decides the data type.

    Returns
    -------
    LabelPyramid
        Zeros, repeated along a channel axis as by `to_layer_axes`.

    Raises
    ------
    FileError
        If a package is missing.
    """
    lengths = dict(zip(axes, layer_array(layer).shape, strict=True))
    shape = tuple(n for axis, n in lengths.items() if axis not in CHANNELS + SAMPLES)
    axis = _channel_axis(layer, axes)
    channels = (axis, lengths[axes[axis]]) if axis else None
    return LabelPyramid(shape, label_dtype(max_clusters), channels)


def _channel_axis(layer: "Image", axes: str) -> int | None:
    """Return the axis of a layer that holds channels; the samples of RGB are none of its axes."""
    places = (axes[: layer.ndim].find(letter) for letter in CHANNELS + SAMPLES)
    return next((place for place in places if place >= 0), None)
