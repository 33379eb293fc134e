"""Labels layers of an image: added in register with it, kept so, and given other labels."""

import copy
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import CompositeAffine
from numpy.typing import NDArray

from napari_unsupseg._typing import Labels as LabelsArray
from napari_unsupseg.image.tiling import is_large
from napari_unsupseg.plugin.layers import check_large_layer, layer_array
from napari_unsupseg.plugin.layout import Layout
from napari_unsupseg.settings import Settings

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image, Labels

    from napari_unsupseg.plugin.large.pyramid import LabelPyramid

__all__ = [
    "PLACE_EVENTS",
    "add_labels_layer",
    "add_uncertainty_layer",
    "give_class",
    "has_names",
    "labels_keywords",
    "pyramid_if_large",
    "record_origin",
    "replace_labels",
    "show_names",
]

# columns of what users have called regions, and where the metadata of a layer have it by label
GIVEN = {"name": "names", "class": "classes"}
# events of an Image layer after which it lies elsewhere, or is measured in another unit
PLACE_EVENTS = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")


def add_labels_layer(
    viewer: "napari.viewer.Viewer",
    image: "Image",
    layout: Layout,
    data: LabelsArray | list[Any],
    kind: str,
) -> "Labels":
    """Add a layer for labels of an image, which goes where the image goes.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the layers are.
    image : napari.layers.Image
        The image.
    layout : Layout
        Its axes.
    data : ndarray of unsigned integers, or list of array
        Data of the layer; levels of a multiscale one, the finest first.
    kind : str
        What the labels are, for the name of the layer.

    Returns
    -------
    napari.layers.Labels
        The layer.
    """
    layer = viewer.add_labels(data, name=f"{image.name} {kind}", **labels_keywords(image, layout))
    _keep_in_register(layer, image, layout)
    return layer


def add_uncertainty_layer(
    viewer: "napari.viewer.Viewer",
    image: "Image",
    layout: Layout,
    uncertainty: NDArray[np.float32],
) -> "Image":
    """Add a layer for how uncertain the labels of an image are, which goes where the image goes.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the layers are; the active one stays it.
    image : napari.layers.Image
        The image.
    layout : Layout
        Its axes.
    uncertainty : ndarray of float32, shape (..., Y, X)
        From 0 to 1.

    Returns
    -------
    napari.layers.Image
        The layer.
    """
    active = viewer.layers.selection.active
    layer = viewer.add_image(
        layout.to_layer(uncertainty),
        name=f"{image.name} uncertainty",
        colormap="inferno",
        contrast_limits=(0, 1),
        **labels_keywords(image, layout),
    )
    viewer.layers.selection.active = active
    _keep_in_register(layer, image, layout)
    return layer


def _keep_in_register(layer: "Labels | Image", image: "Image", layout: Layout) -> None:
    """Have a layer follow its image when a user calibrates or moves that."""
    # the image is not to keep the layer alive; what a plugin gets is a proxy, which nobody keeps
    known = weakref.ref(getattr(layer, "__wrapped__", layer))

    def align() -> None:
        labels = known()
        # other data of an image may have other axes
        if labels is not None and image.ndim == len(layout.layer_axes):
            for name, value in labels_keywords(image, layout).items():
                setattr(labels, name, value)

    for event in PLACE_EVENTS:
        getattr(image.events, event).connect(align)


def labels_keywords(image: "Image", layout: Layout) -> dict[str, Any]:
    """Return the keywords that align a Labels layer with an Image layer.

    Parameters
    ----------
    image : napari.layers.Image
        The image.
    layout : Layout
        Its axes.

    Returns
    -------
    dict
        Keywords of `napari.layers.Labels`: transform, units and axis labels.
    """
    kept_axes = layout.kept_axes
    to_physical = CompositeAffine(
        scale=image.scale,
        translate=image.translate,
        rotate=image.rotate,
        shear=image.shear,
        ndim=image.ndim,
    ).set_slice(kept_axes)
    return {
        "scale": to_physical.scale,
        "translate": to_physical.translate,
        "rotate": to_physical.rotate,
        "shear": to_physical.shear,
        "affine": image.affine.set_slice(kept_axes),
        "units": [image.units[axis] for axis in kept_axes],
        "axis_labels": [image.axis_labels[axis] for axis in kept_axes],
    }


def replace_labels(layer: "Labels", data: LabelsArray | list[Any]) -> None:
    """Give a layer other labels, with which no stroke on those before can be mixed.

    Parameters
    ----------
    layer : napari.layers.Labels
        The layer; it stays locked if it is.
    data : ndarray of unsigned integers, or list of array
        Its new data.
    """
    is_editable, mode = layer.editable, layer.mode
    layer.data = data
    layer.editable = False  # napari forgets the strokes of a layer that cannot be painted on
    if is_editable:
        layer.editable = True
        layer.mode = mode


def record_origin(layer: "Labels", record: Mapping[str, Any]) -> None:
    """Write into the metadata of a layer how its labels were made.

    Parameters
    ----------
    layer : napari.layers.Labels
        The layer.
    record : mapping
        How, fit for JSON. The layer has a copy, so that what its regions are called stays with it.
    """
    layer.metadata["napari-unsupseg"] = copy.deepcopy(dict(record))


def has_names(layer: "Labels", besides: Mapping[int, str]) -> bool:
    """Tell whether a user has given regions of a layer names or classes.

    Parameters
    ----------
    layer : napari.layers.Labels
        The layer.
    besides : mapping of int to str
        Names by label that no user has given on this layer.

    Returns
    -------
    bool
        Whether any has one.
    """
    record = layer.metadata.get("napari-unsupseg", {})
    names = {label: name for label, name in record.get("names", {}).items() if name}
    return names != besides or any(record.get("classes", {}).values())


def show_names(layer: "Labels") -> None:
    """Show the names and classes that a layer's regions were given in its table of features.

    Parameters
    ----------
    layer : napari.layers.Labels
        The layer of a run.
    """
    features = layer.features.drop(columns=list(GIVEN), errors="ignore")
    for column, key in GIVEN.items():
        given = layer.metadata.get("napari-unsupseg", {}).get(key)
        if given and "index" in features:
            features[column] = [given.get(label, "") for label in features["index"]]
    layer.features = features


def give_class(layer: "Labels", labels: list[int], name: str) -> None:
    """Write a class into the table of features for some objects of a layer.

    Parameters
    ----------
    layer : napari.layers.Labels
        A layer whose table has a column `index` or `label`.
    labels : list of int
        Labels of the objects.
    name : str
        Their class, for the column `class`; empty for none.
    """
    record = layer.metadata.get("napari-unsupseg")
    if record is not None:  # a layer of ours, which is measured anew after each edit
        record["classes"] = record.get("classes", {}) | dict.fromkeys(labels, name)
    features = layer.features.copy()
    if "class" not in features:
        features["class"] = ""
    column = "index" if "index" in features else "label"
    features.loc[features[column].isin(labels), "class"] = name
    layer.features = features


def pyramid_if_large(image: "Image", layout: Layout, settings: Settings) -> "LabelPyramid | None":
    """Return a pyramid for the labels of a layer that is too large to be loaded.

    Parameters
    ----------
    image : napari.layers.Image
        The image.
    layout : Layout
        Its axes.
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
    if not is_large(layer_array(image)):
        return None
    check_large_layer(image, min_size=settings.min_size)
    return layout.blank_pyramid(settings.max_clusters)
