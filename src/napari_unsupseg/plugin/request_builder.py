"""From what the widgets show to a request for a run."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari.layers import Image

from napari_unsupseg.errors import ImageError
from napari_unsupseg.image.normalize import NormalizedImage
from napari_unsupseg.options import ImageOptions
from napari_unsupseg.plugin.labels_layers import pyramid_if_large
from napari_unsupseg.plugin.layers import layer_array
from napari_unsupseg.plugin.layout import Layout
from napari_unsupseg.plugin.refusals import tell_refusals
from napari_unsupseg.plugin.run_data import OtherImage, RunRequest
from napari_unsupseg.plugin.session import LayerRun
from napari_unsupseg.plugin.stroke_layers import StrokeLayers
from napari_unsupseg.plugin.training_region import WHOLE, Region, find_region
from napari_unsupseg.plugin.widgets.image_form import ImageForm
from napari_unsupseg.plugin.widgets.settings_form import SettingsForm

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["RequestBuilder"]


class RequestBuilder:
    """Reads widgets once, so that a run in another thread never asks them.

    Where there cannot be such a run, the user is told why, and there is no request.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the layers are.
    image_form : ImageForm
        The image, its axes and the region.
    settings_form : SettingsForm
        Settings, device and what is shown.
    strokes : StrokeLayers
        Strokes on any image.
    """

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        image_form: ImageForm,
        settings_form: SettingsForm,
        strokes: StrokeLayers,
    ) -> None:
        self._viewer = viewer
        self._image_form = image_form
        self._settings_form = settings_form
        self._strokes = strokes

    @tell_refusals
    def build(
        self, image: Image, former: LayerRun | None = None, others: Sequence[Image] = ()
    ) -> RunRequest | None:
        """Return a request for a new run.

        Parameters
        ----------
        image : napari.layers.Image
            The image.
        former : LayerRun, optional
            A run on it: its axes are taken if the form shows those of another image by now, and
            the images that it trained on together with this one.
        others : sequence of napari.layers.Image
            Images to train on together with it.

        Returns
        -------
        RunRequest or None
            None if there cannot be such a run.
        """
        options: ImageOptions
        if former is not None and image is not self._image_form.image.value:
            options = former.request.options
        else:
            options = self._image_form.image_options()
        axes, form = options.get("axes") or "", self._settings_form
        settings, layout = form.settings(), Layout.of(image, axes)
        region = find_region(self._viewer, image, axes, self._image_form.region.value)
        if region is not None and (others or (former and former.others)):
            raise ImageError(
                "images that are learned on together are trained on all over: choose "
                f"{WHOLE} under train on, or untick the others"
            )
        return RunRequest(
            image=layer_array(image),
            options={**options, "strokes": self._strokes.strokes(image, layout)},
            settings=settings,
            device=form.device.value,
            update_every=form.update_every.value,
            history_bytes=form.history_memory.value * 10**6,
            region=region,
            pyramid=pyramid_if_large(image, layout, settings),
            others=former.request.others
            if former is not None
            else tuple(
                OtherImage(layer_array(other), self._strokes.strokes(other, Layout.of(other, axes)))
                for other in others
            ),
        )

    @tell_refusals
    def build_continuation(self, last: LayerRun) -> RunRequest:
        """Return a request to train on where a run stopped, with the strokes as they are now."""
        asked, strokes = last.request, self._strokes.strokes(last.image, last.layout)
        return dataclasses.replace(
            asked,
            options={**asked.options, "strokes": strokes},
            previous=last.result,
            pyramid=pyramid_if_large(last.image, last.layout, asked.settings),
        )

    def build_opened(
        self, image: Image, axes: str, normalized: NormalizedImage, region: Region | None
    ) -> RunRequest:
        """Return the request that a run from a file would have come of.

        Parameters
        ----------
        image : napari.layers.Image
            The layer of its image.
        axes : str
            One letter for each axis of it.
        normalized : NormalizedImage
            What the network has trained on, as it saw it.
        region : tuple of slice or None
            Where that lies along y and x, if it is not all of the image.

        Returns
        -------
        RunRequest
            With the settings that the form shows.
        """
        form = self._settings_form
        options: ImageOptions = {"axes": axes, "spatial_ndim": normalized.spatial_ndim}
        if normalized.spatial_ndim == 3:
            options["spacing"] = normalized.spacing
        return RunRequest(
            image=layer_array(image),
            options={**options, "strokes": None},
            settings=form.settings(),
            device=form.device.value,
            update_every=form.update_every.value,
            history_bytes=form.history_memory.value * 10**6,
            region=region,
        )

    @tell_refusals
    def with_strokes(self, request: RunRequest, image: Image) -> RunRequest:
        """Return a request with the strokes that are on an image now."""
        strokes = self._strokes.strokes(image, Layout.of(image, request.axes))
        return dataclasses.replace(request, options={**request.options, "strokes": strokes})
