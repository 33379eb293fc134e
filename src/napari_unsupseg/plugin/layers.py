"""Image layers in, Labels layers out: axes and transforms."""

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import CompositeAffine
from numpy.typing import NDArray

from napari_unsupseg.images import split_channels
from napari_unsupseg.segments import label_dtype, region_table

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = [
    "blank_labels",
    "channel_choices",
    "labels_keywords",
    "layer_array",
    "region_features",
    "spread",
]

Labels = NDArray[np.unsignedinteger]

CHANNEL_NAMES = ("c", "ch", "channel", "channels")


def layer_array(layer: "Image") -> Any:
    """Return the array of an Image layer, the finest level of a multiscale one.

    Parameters
    ----------
    layer : napari.layers.Image
        Image layer.

    Returns
    -------
    array_like
        The layer's data.
    """
    return layer.data[0] if layer.multiscale else layer.data


def channel_choices(layer: "Image") -> list[tuple[str, int | None]]:
    """Return the axes of a layer that may hold its channels, in words.

    Parameters
    ----------
    layer : napari.layers.Image
        Image layer.

    Returns
    -------
    list of tuple of str and int or None
        Name and axis, the likeliest first. The axis is None for grey and RGB layers, and for
        layers of more axes in the first choice, if no axis label tells which holds channels.
    """
    if layer.rgb:
        return [("red, green, blue", None)]
    if layer.ndim == 2:
        return [("one (grey)", None)]
    choices: list[tuple[str, int | None]] = [
        (f"axis {axis}, of length {length}", axis)
        for axis, length in enumerate(layer_array(layer).shape)
    ]
    named = [axis for axis, label in enumerate(layer.axis_labels) if label in CHANNEL_NAMES]
    if named:
        return [choices[named[0]], *choices[: named[0]], *choices[named[0] + 1 :]]
    return [("choose the axis", None), *choices]


def labels_keywords(layer: "Image", channel_axis: int | None) -> dict[str, Any]:
    """Return what puts a Labels layer in register with an Image layer.

    Parameters
    ----------
    layer : napari.layers.Image
        The image.
    channel_axis : int or None
        Axis of the image that holds its channels.

    Returns
    -------
    dict
        Keywords of `napari.layers.Labels`: transform, units and axis labels.
    """
    axes = list(range(layer.ndim))[1 if channel_axis == 0 else 0 :]
    to_physical = CompositeAffine(
        scale=layer.scale,
        translate=layer.translate,
        rotate=layer.rotate,
        shear=layer.shear,
        ndim=layer.ndim,
    ).set_slice(axes)
    return {
        "scale": to_physical.scale,
        "translate": to_physical.translate,
        "rotate": to_physical.rotate,
        "shear": to_physical.shear,
        "affine": layer.affine.set_slice(axes),
        "units": [layer.units[axis] for axis in axes],
        "axis_labels": [layer.axis_labels[axis] for axis in axes],
    }


def region_features(
    labels: Labels, layer: "Image", channel_axis: int | None
) -> dict[str, NDArray[np.number]]:
    """Measure the regions of a layer's labels.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (Y, X)
        Labels of the image.
    layer : napari.layers.Image
        The image.
    channel_axis : int or None
        Axis of the image that holds its channels.

    Returns
    -------
    dict of str to ndarray, shape (labels,)
        Features for a Labels layer: those of `region_table`, in the image's unit if that is one
        of length.
    """
    channels = split_channels(layer_array(layer), channel_axis).values
    axes = [axis for axis in range(layer.ndim) if axis != channel_axis]
    (height, width), (unit, other) = (
        [of[axis] for axis in axes] for of in (layer.scale, layer.units)
    )
    if unit == other and unit.is_compatible_with("meter"):
        name = f"{unit:~}".replace("µ", "u")
        table = region_table(labels, channels, spacing=(height, width), unit=name)
    else:
        table = region_table(labels, channels)
    return {"index": table.pop("label"), **table}  # the name that napari looks labels up by


def spread(labels: Labels, layer: "Image", channel_axis: int | None) -> Labels:
    """Give labels of a plane the axes that their Labels layer has.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (Y, X)
        Labels of an image.
    layer : napari.layers.Image
        The image.
    channel_axis : int or None
        Axis of the image that holds its channels.

    Returns
    -------
    ndarray of unsigned integers
        The labels, repeated along a channel axis that lies behind or between those of the plane:
        napari aligns layers by their last axes, so only a leading axis can be left out.
    """
    if not channel_axis:
        return labels
    n_channels = layer_array(layer).shape[channel_axis]
    return np.repeat(np.expand_dims(labels, channel_axis), n_channels, axis=channel_axis)


def blank_labels(layer: "Image", channel_axis: int | None, max_clusters: int) -> Labels:
    """Return the labels of a layer before the first iteration.

    Parameters
    ----------
    layer : napari.layers.Image
        The image.
    channel_axis : int or None
        Axis of the image that holds its channels.
    max_clusters : int
        q, which decides the data type.

    Returns
    -------
    ndarray of uint8 or uint16
        Zeros.
    """
    shape = layer_array(layer).shape[: layer.ndim]
    return np.zeros(shape[1:] if channel_axis == 0 else shape, dtype=label_dtype(max_clusters))
