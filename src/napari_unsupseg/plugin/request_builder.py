"""From what the widgets show to a request for a run."""

import dataclasses
from typing import TYPE_CHECKING

from napari.layers import Image
from napari.utils.notifications import show_error

from napari_unsupseg.errors import UnsupsegError
from napari_unsupseg.options import ImageOptions
from napari_unsupseg.plugin.labels_layers import pyramid_if_large
from napari_unsupseg.plugin.layers import layer_array
from napari_unsupseg.plugin.layout import Layout
from napari_unsupseg.plugin.run_data import RunRequest
from napari_unsupseg.plugin.session import LayerRun
from napari_unsupseg.plugin.training_region import find_region
from napari_unsupseg.plugin.widgets.image_form import ImageForm
from napari_unsupseg.plugin.widgets.settings_form import SettingsForm
from napari_unsupseg.plugin.widgets.strokes_button import StrokesButton

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["RequestBuilder"]


class RequestBuilder:
    """Reads widgets once, so that a run in another thread never asks them.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the layers are.
    image_form : ImageForm
        The image, its axes and the region.
    settings_form : SettingsForm
        Settings, device and what is shown.
    strokes : StrokesButton
        Strokes on any image.
    """

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        image_form: ImageForm,
        settings_form: SettingsForm,
        strokes: StrokesButton,
    ) -> None:
        self._viewer = viewer
        self._image_form = image_form
        self._settings_form = settings_form
        self._strokes = strokes

    def build(self, image: Image, former: LayerRun | None = None) -> RunRequest | None:
        """Return a request for a new run.

        Parameters
        ----------
        image : napari.layers.Image
            The image.
        former : LayerRun, optional
            A run on it: its axes are taken if the form shows those of another image by now.

        Returns
        -------
        RunRequest or None
            None if there cannot be such a run; the user has then been told why.
        """
        options: ImageOptions | None
        if former is not None and image is not self._image_form.image.value:
            options = former.request.options
        else:
            options = self._image_form.image_options()
        if options is None:
            return None
        axes, form = options.get("axes") or "", self._settings_form
        settings = form.settings()
        try:
            region = find_region(self._viewer, image, axes, self._image_form.region.value)
            pyramid = pyramid_if_large(image, Layout.of(image, axes), settings)
        except UnsupsegError as error:
            show_error(str(error))
            return None
        request = RunRequest(
            image=layer_array(image),
            options=options,
            settings=settings,
            device=form.device.value,
            update_every=form.update_every.value,
            history_bytes=form.history_memory.value * 10**6,
            region=region,
            pyramid=pyramid,
        )
        return self.with_strokes(request, image)

    def build_continuation(self, last: LayerRun) -> RunRequest:
        """Return a request to train on where a run stopped, with the strokes as they are now."""
        asked = last.request
        pyramid = pyramid_if_large(last.image, last.layout, asked.settings)
        request = dataclasses.replace(asked, previous=last.result, pyramid=pyramid)
        return self.with_strokes(request, last.image)

    def with_strokes(self, request: RunRequest, image: Image) -> RunRequest:
        """Return a request with the strokes that are on an image now."""
        strokes = self._strokes.strokes(image, request.axes)
        return dataclasses.replace(request, options={**request.options, "strokes": strokes})
