"""The Labels layers that runs and networks write into."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from qtpy.QtCore import QObject

from napari_unsupseg._typing import Labels as LabelsArray
from napari_unsupseg.plugin.labels_layers import add_labels_layer, replace_labels
from napari_unsupseg.plugin.large.viewport_labels import ViewportLabeler
from napari_unsupseg.plugin.layout import Layout
from napari_unsupseg.plugin.run_data import RunRequest
from napari_unsupseg.plugin.session import LayerRun
from napari_unsupseg.plugin.stroke_layers import StrokeLayers

if TYPE_CHECKING:
    import napari.viewer

    from napari_unsupseg.learning.lazy_inference import LazyLabels
    from napari_unsupseg.plugin.large.pyramid import LabelPyramid

__all__ = ["OutputLayers"]


class OutputLayers:
    """Adds layers for labels to a viewer, and fills them.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the layers go.
    strokes : StrokeLayers
        While its layer is painted on, it stays the active one.
    show_status : callable
        Shows in a sentence how far the labels of a large image are.
    parent : QObject
        Labels of large images are made no longer than it lives.
    """

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        strokes: StrokeLayers,
        show_status: Callable[[str], None],
        parent: QObject,
    ) -> None:
        self._viewer = viewer
        self._strokes = strokes
        self._show_status = show_status
        self._parent = parent
        self._labelers: dict[Labels, ViewportLabeler] = {}

    def add(
        self,
        image: Image,
        layout: Layout,
        labels: LabelsArray | list[Any],
        kind: str = "segmentation",
    ) -> Labels:
        """Add a layer in register with an image.

        Parameters
        ----------
        image : napari.layers.Image
            The image.
        layout : Layout
            Its axes.
        labels : ndarray of unsigned integers, or list of array
            Data of the layer; levels of a multiscale one, the finest first.
        kind : str
            What the labels are, for the name of the layer.

        Returns
        -------
        napari.layers.Labels
            The layer.
        """
        selection = self._viewer.layers.selection
        painted = selection.active if self._strokes.is_active() else None
        layer = add_labels_layer(self._viewer, image, layout, labels, kind)
        if painted is not None:  # the brush stays in the user's hand, and strokes are seen
            layers = self._viewer.layers
            layers.move(layers.index(painted), len(layers))
            selection.active = painted
        return layer

    def add_found(
        self,
        image: Image,
        layout: Layout,
        labels: "LabelsArray | LazyLabels",
        pyramid: "LabelPyramid | None",
    ) -> Labels:
        """Add a layer for the labels that a trained network has found in an image.

        Parameters
        ----------
        image : napari.layers.Image
            The image.
        layout : Layout
            Its axes.
        labels : ndarray of unsigned integers, shape (..., Y, X), or LazyLabels
            Labels of the image.
        pyramid : LabelPyramid or None
            Where labels go that are made where the user looks.

        Returns
        -------
        napari.layers.Labels
            The layer.
        """
        if isinstance(labels, np.ndarray):
            return self.add(image, layout, layout.to_layer(labels))
        assert pyramid is not None
        layer = self.add(image, layout, pyramid.levels)
        self.label_viewport(layer, pyramid, labels)
        return layer

    def add_blank(self, image: Image, request: RunRequest) -> Labels:
        """Add the layer of a run before its first iteration.

        Parameters
        ----------
        image : napari.layers.Image
            The image.
        request : RunRequest
            What is to be run on it.

        Returns
        -------
        napari.layers.Labels
            The layer.
        """
        layout = Layout.of(image, request.axes)
        if request.pyramid is not None:
            return self.add(image, layout, request.pyramid.levels)
        return self.add(image, layout, layout.blank_labels(request.settings.max_clusters))

    def lock(self, layer: Labels, request: RunRequest) -> None:
        """Have a layer take the labels of a run, and nothing else.

        Parameters
        ----------
        layer : napari.layers.Labels
            The layer.
        request : RunRequest
            What is run.
        """
        if request.pyramid is not None:
            self.end_labeler(layer)  # its labels are those of the run before
            replace_labels(layer, request.pyramid.levels)
        layer.editable = False  # what is painted would be lost at the next update

    def write(self, run: LayerRun, labels: LabelsArray) -> None:
        """Show the labels of an update.

        Parameters
        ----------
        run : LayerRun
            The run.
        labels : ndarray of unsigned integers, shape (..., Y, X)
            Labels of the image; of a large one they are in the pyramid already.
        """
        if run.request.pyramid is not None:
            run.labels.refresh(extent=False)  # napari cannot know that its zarr arrays changed
        else:
            replace_labels(run.labels, run.layout.to_layer(labels))

    def unlock(self, layer: Labels) -> None:
        """Let the user paint on the layer of a run that has ended, unless it is multiscale."""
        layer.editable = not layer.multiscale

    def remove(self, layer: Labels) -> None:
        """Remove a layer, unless the user has."""
        if layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def label_viewport(
        self, layer: Labels, pyramid: "LabelPyramid", lazy_labels: "LazyLabels"
    ) -> None:
        """Have a layer show the labels of a large image where the user looks.

        Parameters
        ----------
        layer : napari.layers.Labels
            The layer.
        pyramid : LabelPyramid
            What it shows.
        lazy_labels : LazyLabels
            Where the labels come from.
        """
        self._labelers[layer] = ViewportLabeler(
            self._viewer, layer, pyramid, lazy_labels, self._show_status, self._parent
        )

    def end_labeler(self, layer: Labels) -> None:
        """Make no more labels of a large image for a layer."""
        if layer in self._labelers:
            self._labelers.pop(layer).end()

    def close(self) -> None:
        """Make no more labels for any layer: the panel is gone."""
        for labeler in self._labelers.values():
            labeler.end()
