"""Strokes: a layer to draw them on, beside the image that they steer the segmentation of."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from magicgui.widgets import PushButton
from napari.layers import Image, Labels
from numpy.typing import NDArray
from superqt.utils import QSignalDebouncer

from napari_unsupseg.errors import StrokesError
from napari_unsupseg.image.axes import format_shape
from napari_unsupseg.plugin.labels_layers import add_labels_layer
from napari_unsupseg.plugin.layout import Layout
from napari_unsupseg.plugin.shortcuts import with_shortcut

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["StrokesButton"]

BRUSH = 5  # pixels
CHANGE_DELAY = 150  # milliseconds after the last touch of the brush


class StrokesButton(PushButton):
    """Makes a layer for strokes on an image, ready to paint on, or goes back to it.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the layers are.
    on_change : callable
        Called when strokes on any layer have changed.
    """

    def __init__(self, viewer: "napari.viewer.Viewer", on_change: Callable[[], None]) -> None:
        super().__init__(
            text="Draw strokes",
            tooltip=with_shortcut(
                "Paint a few lines on a layer of their own: pixels of one label become one "
                "cluster, with what looks like them. Strokes count at once, in a run that is going "
                "on or paused; press M for the next label.",
                "next stroke",
            ),
        )
        self._viewer = viewer
        self._layers: dict[Image, Labels] = {}
        self._debouncer = QSignalDebouncer(parent=self.native)
        self._debouncer.setTimeout(CHANGE_DELAY)
        self._debouncer.triggered.connect(on_change)

    def draw(self, image: Image, axes: str) -> None:
        """Make the layer for strokes on an image the active one, with the brush ready.

        Parameters
        ----------
        image : napari.layers.Image
            The image.
        axes : str
            One letter for each of its axes.
        """
        layer, layout = self._shown_layer(image), Layout.of(image, axes)
        # an image may have been given data of another shape, or other axes
        if layer is None or layer.data.shape != layout.labels_shape:
            blank = layout.blank_labels(max_clusters=1)
            layer = add_labels_layer(self._viewer, image, layout, blank, "strokes")
            layer.brush_size = BRUSH
            layer.selected_label = 1
            layer.events.paint.connect(self._on_painted)
            layer.events.set_data.connect(self._on_painted)  # also when strokes are taken back
            self._layers[image] = layer
        self._viewer.layers.selection.active = layer
        layer.mode = "paint"

    def next_kind(self) -> None:
        """Have the brush draw the next label: those drawn already in turn, then a new one."""
        layer = self._viewer.layers.selection.active
        assert isinstance(layer, Labels), "a layer for strokes is active"
        n_kinds = int(np.max(layer.data)) + 1
        layer.selected_label = layer.selected_label % n_kinds + 1

    def is_active(self) -> bool:
        """Tell whether a layer for strokes is the active one."""
        return self._viewer.layers.selection.active in self._layers.values()

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
        layer = self._shown_layer(image)
        if layer is None or not layer.data.any():
            return None
        if layer.data.shape != layout.labels_shape:
            raise StrokesError(
                f"{layer.name} has {format_shape(layer.data.shape)} pixels where {image.name}, of "
                f"the axes {layout.axes}, needs {format_shape(layout.labels_shape)}: press Draw "
                "strokes for a layer that fits, or remove this one"
            )
        strokes: NDArray[np.unsignedinteger] = layout.from_layer(layer.data).copy()
        return strokes

    def _shown_layer(self, image: Image) -> Labels | None:
        """Return the layer for strokes on an image, unless there is none or the user removed it."""
        layer = self._layers.get(image)
        return layer if layer in self._viewer.layers else None

    def _on_painted(self) -> None:
        self._debouncer.throttle()
