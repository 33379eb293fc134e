"""Strokes: layers to draw them on, beside the images that they steer the segmentation of."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels, Layer
from numpy.typing import NDArray
from qtpy.QtCore import QObject
from superqt.utils import QSignalThrottler

from napari_unsupseg.errors import StrokesError
from napari_unsupseg.image.axes import format_shape
from napari_unsupseg.plugin.labels_layers import add_labels_layer
from napari_unsupseg.plugin.layout import Layout

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["StrokeLayers", "add_kind", "kind_names", "rename_kind"]

FIRST_KINDS = ("object", "background")  # labels 1 and 2, as `Hierarchy.objects` takes them
CHANGE_MS = 150  # from one look at strokes that are being drawn to the next


class StrokeLayers:
    """Makes layers for strokes on images, and knows which there are.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the layers are.
    on_change : callable
        Called while strokes on any layer change, and when they have.
    parent : QObject
        It is called no longer than that lives.
    """

    def __init__(
        self, viewer: "napari.viewer.Viewer", on_change: Callable[[], None], parent: QObject
    ) -> None:
        self._viewer = viewer
        self._layers: dict[Image, Labels] = {}
        self._throttler = QSignalThrottler(parent=parent)
        self._throttler.setTimeout(CHANGE_MS)
        self._throttler.triggered.connect(on_change)

    def draw(self, image: Image, axes: str) -> Labels:
        """Make the layer for strokes on an image the active one, with the brush ready.

        Parameters
        ----------
        image : napari.layers.Image
            The image.
        axes : str
            One letter for each of its axes.

        Returns
        -------
        napari.layers.Labels
            The layer.
        """
        layer, layout = self.layer(image), Layout.of(image, axes)
        # an image may have been given data of another shape, or other axes
        if layer is None or layer.data.shape != layout.labels_shape:
            blank = layout.blank_labels(max_clusters=1)
            layer = self._add(image, layout, blank, dict(enumerate(FIRST_KINDS, start=1)))
        self._viewer.layers.selection.active = layer
        layer.mode = "paint"
        return layer

    def restore(
        self,
        image: Image,
        layout: Layout,
        strokes: NDArray[np.unsignedinteger],
        kinds: Mapping[int, str],
    ) -> None:
        """Make the layer of strokes that were saved.

        Parameters
        ----------
        image : napari.layers.Image
            The image.
        layout : Layout
            Its axes.
        strokes : ndarray of unsigned integers, shape (..., Y, X)
            The strokes.
        kinds : mapping of int to str
            Names by label.
        """
        # a copy, since the user paints on the array that the layer has
        self._add(image, layout, layout.to_layer(strokes).copy(), kinds)

    def _add(
        self,
        image: Image,
        layout: Layout,
        data: NDArray[np.unsignedinteger],
        kinds: Mapping[int, str],
    ) -> Labels:
        layer = add_labels_layer(self._viewer, image, layout, data, "strokes")
        layer.features = {"index": list(kinds), "name": list(kinds.values())}
        layer.selected_label = 1
        layer.events.paint.connect(self.note_change)
        layer.events.set_data.connect(self.note_change)  # also when strokes are taken back
        layer.events.features.connect(self.note_change)  # names of kinds
        self._layers[image] = layer
        return layer

    def is_active(self) -> bool:
        """Tell whether a layer for strokes is the active one."""
        return self._viewer.layers.selection.active in self._layers.values()

    def image_of(self, layer: Layer | None) -> Image | None:
        """Return the image that strokes on a layer are of; None if it is for no strokes."""
        return next((image for image, drawn in self._layers.items() if drawn == layer), None)

    def strokes(self, image: Image, layout: Layout) -> NDArray[np.unsignedinteger] | None:
        """Return the strokes on an image.

        Parameters
        ----------
        image : napari.layers.Image
            The image.
        layout : Layout
            Its axes, as it is to be segmented.

        Returns
        -------
        ndarray of unsigned integers, shape (..., Y, X), or None
            A copy of them, 0 where there are none; None without any, or if their layer is gone.

        Raises
        ------
        StrokesError
            If their layer has another shape.
        """
        layer = self.layer(image)
        if layer is None or not layer.data.any():
            return None
        if layer.data.shape != layout.labels_shape:
            raise StrokesError(
                f"{layer.name} has {format_shape(layer.data.shape)} pixels where {image.name}, of "
                f"the axes {layout.axes}, needs {format_shape(layout.labels_shape)}: press Mark "
                "for a layer that fits, or remove this one"
            )
        strokes: NDArray[np.unsignedinteger] = layout.from_layer(layer.data).copy()
        return strokes

    def layer(self, image: Image | None) -> Labels | None:
        """Return the layer for strokes on an image.

        Parameters
        ----------
        image : napari.layers.Image or None
            The image, if there is one.

        Returns
        -------
        napari.layers.Labels or None
            None if there is none, or the user has removed it.
        """
        layer = None if image is None else self._layers.get(image)
        return layer if layer in self._viewer.layers else None

    def note_change(self) -> None:
        """Have somebody look soon at what there is now, as strokes were drawn or are gone."""
        self._throttler.throttle()


def kind_names(layer: Labels) -> dict[int, str]:
    """Return the kinds that a layer for strokes has, those that are drawn without a name too.

    Parameters
    ----------
    layer : napari.layers.Labels
        The layer. napari shows the name of a stroke under the mouse.

    Returns
    -------
    dict of int to str
        Name by label.
    """
    names: dict[int, str] = dict(zip(layer.features["index"], layer.features["name"], strict=True))
    drawn = np.flatnonzero(np.bincount(layer.data.ravel())[1:]) + 1
    return {
        label: names.get(label) or f"kind {label}" for label in sorted({*names, *drawn.tolist()})
    }


def add_kind(layer: Labels, name: str = "") -> int:
    """Add a kind to a layer for strokes.

    Parameters
    ----------
    layer : napari.layers.Labels
        The layer.
    name : str
        What it is called.

    Returns
    -------
    int
        Its label, the next after those known.
    """
    known = [] if "index" not in layer.features else list(kind_names(layer))
    label = max(known, default=0) + 1
    rename_kind(layer, label, name or f"kind {label}")
    return label


def rename_kind(layer: Labels, label: int, name: str) -> None:
    """Give a kind of a layer for strokes a name.

    Parameters
    ----------
    layer : napari.layers.Labels
        The layer.
    label : int
        Label of the kind.
    name : str
        Its name.
    """
    names = {} if "index" not in layer.features else kind_names(layer)
    names[label] = name
    layer.features = {"index": list(names), "name": list(names.values())}
