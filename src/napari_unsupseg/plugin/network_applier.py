"""The trained network on an Image layer, whose labels become a new layer."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image

from napari_unsupseg._words import count
from napari_unsupseg.plugin.labels_layers import pyramid_if_large, record_origin
from napari_unsupseg.plugin.layers import has_array, layer_array
from napari_unsupseg.plugin.layout import Layout
from napari_unsupseg.plugin.output_layers import OutputLayers
from napari_unsupseg.plugin.widgets.trained_network import TrainedNetwork
from napari_unsupseg.regions.labels import count_labels

if TYPE_CHECKING:
    import napari.viewer

    from napari_unsupseg._typing import Labels
    from napari_unsupseg.learning.lazy_inference import LazyLabels

__all__ = ["NetworkApplier"]


class NetworkApplier:
    """Finds the clusters of the trained network in Image layers.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the layers are.
    network : TrainedNetwork
        It has the network, and applies it in another thread.
    outputs : OutputLayers
        Adds the layers of labels.
    show_status : callable
        Shows in a sentence what was found.
    """

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        network: TrainedNetwork,
        outputs: OutputLayers,
        show_status: Callable[[str], None],
    ) -> None:
        self._viewer = viewer
        self._network = network
        self._outputs = outputs
        self._show_status = show_status

    def apply(self, image: Image, axes: str) -> None:
        """Find the clusters in an image, and add a layer of them.

        Nothing is added, and the search is left off, once the layer is removed or has other data.

        Parameters
        ----------
        image : napari.layers.Image
            The image.
        axes : str
            One letter for each of its axes.

        Raises
        ------
        UnsupsegError
            If it is too large for what the settings ask for, or a package is missing.
        """
        segmenter = self._network.segmenter
        assert segmenter is not None  # the button is off otherwise
        array, layout = layer_array(image), Layout.of(image, axes)
        pyramid = pyramid_if_large(image, layout, segmenter.settings)

        def is_wanted() -> bool:
            return image in self._viewer.layers and has_array(image, array)

        def on_end(labels: "Labels | LazyLabels | None") -> None:
            if not is_wanted():
                self._show_status(
                    f"{image.name} was removed or given other data meanwhile: no layer was added"
                )
            elif labels is None:
                self._show_status("stopped: no layer was added")
            else:
                layer = self._outputs.add_found(image, layout, labels, pyramid)
                record_origin(layer, segmenter.record())
                if isinstance(labels, np.ndarray):
                    found = count(count_labels(labels), "cluster")
                    self._show_status(f"{found} of the trained network in {image.name}")

        self._network.apply(array, axes, on_end, is_wanted)
