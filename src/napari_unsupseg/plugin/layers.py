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
from napari_unsupseg.image.tiling import check_large_image, crop_slices, is_large
from napari_unsupseg.plugin.large.pyramid import LabelPyramid
from napari_unsupseg.regions.labels import label_dtype
from napari_unsupseg.regions.measure import measure_regions
from napari_unsupseg.settings import Settings

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.layers import Labels as LabelsLayer

__all__ = [
    "axes_choices",
    "blank_labels",
    "blank_pyramid",
    "check_large_layer",
    "from_layer_axes",
    "labels_keywords",
    "layer_array",
    "pyramid_if_large",
    "region_features",
    "show_cluster_names",
    "to_layer_axes",
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
    zarr = sys.modules.get("zarr")  # whoever made such an array has imported it
    if zarr is not None and isinstance(array, zarr.Array):
        import dask.array as da

        return da.from_zarr(array)
    return array


def axes_choices(layer: "Image") -> list[tuple[str, str | None]]:
    """Return what the axes of a layer may be, as choices of a menu.

    Parameters
    ----------
    layer : napari.layers.Image
        Image layer.

    Returns
    -------
    list of tuple of str and str or None
        Words for the menu, and one letter for each axis, the likeliest first. The first letters are
        None, and the words ask for a choice, if neither shape nor axis labels tell the axes.
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
    # the last two axes that are no channels run along a plane, unless they have other names
    in_plane = [index for index, letter in enumerate(letters) if letter != CHANNELS][-2:]
    for index, letter in zip(in_plane, "yx", strict=False):
        if letters[index] == "?":
            letters[index] = letter
    named = "".join(letters)
    is_clear = "?" not in named and len(set(named)) == len(named)
    return named if is_clear and named.replace(CHANNELS, "").endswith("yx") else None


def _choice(shape: tuple[int, ...], axes: str) -> tuple[str, str]:
    return describe_axes(shape, axes), axes


def training_frames(layer: "Image", axes: str, spatial_ndim: int) -> tuple[tuple[int, ...], int]:
    """Return size and number of the frames that a run on a layer trains on.

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


def labels_keywords(layer: "Image", axes: str) -> dict[str, Any]:
    """Return the keywords that align a Labels layer with an Image layer.

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
    # a leading channel axis is left out, since napari aligns layers by their last axes
    kept_axes = list(range(layer.ndim))[1 if _channel_axis(layer, axes) == 0 else 0 :]
    to_physical = CompositeAffine(
        scale=layer.scale,
        translate=layer.translate,
        rotate=layer.rotate,
        shear=layer.shear,
        ndim=layer.ndim,
    ).set_slice(kept_axes)
    return {
        "scale": to_physical.scale,
        "translate": to_physical.translate,
        "rotate": to_physical.rotate,
        "shear": to_physical.shear,
        "affine": layer.affine.set_slice(kept_axes),
        "units": [layer.units[axis] for axis in kept_axes],
        "axis_labels": [layer.axis_labels[axis] for axis in kept_axes],
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
    units = {axis: layer.units[axes.index(axis)] for axis in "zyx" if axis in axes}
    spacing, origin, unit = {}, {}, ""
    # in pixels where there is no unit of length, or another along y than along x
    if units["y"] == units["x"] and units["y"].is_compatible_with("meter"):
        alike = [axis for axis, own in units.items() if own == units["y"]]
        spacing = {axis: float(layer.scale[axes.index(axis)]) for axis in alike}
        origin = {axis: float(layer.translate[axes.index(axis)]) for axis in alike}
        unit = f"{units['y']:~}".replace("µ", "u")  # part of a column's name
    table = measure_regions(
        labels, channels.values, axes=channels.axes, spacing=spacing, unit=unit, origin=origin
    )
    return {"index": table.pop("label"), **table}  # the name that napari looks labels up by


def show_cluster_names(layer: "LabelsLayer") -> None:
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
    """Give data of a Labels layer the axes that labels of its image have.

    It is the inverse of `to_layer_axes`.

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
    without_channels: Labels = labels.max(axis=channel_axis)
    return without_channels


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


def pyramid_if_large(layer: "Image", axes: str, settings: Settings) -> LabelPyramid | None:
    """Return a pyramid for the labels of a layer that is too large to be loaded.

    Parameters
    ----------
    layer : napari.layers.Image
        The image.
    axes : str
        One letter for each of its axes.
    settings : Settings
        What the labels are made with.

    Returns
    -------
    LabelPyramid or None
        None for an image that can be loaded.

    Raises
    ------
    ImageError
        If the settings need all of such an image.
    FileError
        If a package is missing.
    """
    if not is_large(layer_array(layer)):
        return None
    check_large_layer(layer, min_size=settings.min_size)
    return blank_pyramid(layer, axes, settings.max_clusters)


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


def _channel_axis(layer: "Image", axes: str) -> int | None:
    """Return the axis of a layer that holds channels; the samples of RGB are none of its axes."""
    found = (axes[: layer.ndim].find(letter) for letter in CHANNELS + SAMPLES)
    return next((axis for axis in found if axis >= 0), None)
