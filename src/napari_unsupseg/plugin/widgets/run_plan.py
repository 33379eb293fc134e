"""The line that says what Run will do: how large the image is, and about how long it takes."""

import os

from napari_unsupseg._words import count
from napari_unsupseg.image.axes import CHANNELS, SAMPLES, labels_shape
from napari_unsupseg.image.tiling import is_large
from napari_unsupseg.learning.cost import count_cores, expected_seconds
from napari_unsupseg.plugin.background import preload
from napari_unsupseg.plugin.layers import layer_array, training_frames
from napari_unsupseg.plugin.training_region import WHOLE
from napari_unsupseg.plugin.widgets.controls import Sentence
from napari_unsupseg.plugin.widgets.image_form import ImageForm
from napari_unsupseg.plugin.widgets.progress_text import plan_text
from napari_unsupseg.plugin.widgets.settings_form import SettingsForm

__all__ = ["RunPlan"]

NO_AXES = "Say above what the axes of the image are: Run waits for it."


class RunPlan(Sentence):
    """A line on the run that the forms ask for; hidden while there is no image to run on.

    Parameters
    ----------
    image_form : ImageForm
        It has the image, its axes and the region.
    settings_form : SettingsForm
        It has the settings and the device.

    Attributes
    ----------
    slowness : float
        Times as long as was expected that the iterations of the last run took; before the first
        run what is known of how busy the computer is.
    n_images : int
        Images that are trained on together, which takes about what one after another would.
    """

    def __init__(self, image_form: ImageForm, settings_form: SettingsForm) -> None:
        super().__init__()
        self.slowness = _busyness()
        self.n_images = 1
        self._image_form, self._settings_form = image_form, settings_form
        # only PyTorch knows where a run would go on, and it takes seconds to load
        self._preloading = preload()

    @property
    def is_preloading(self) -> bool:
        """Whether PyTorch is still being loaded."""
        return self._preloading.is_alive()

    def refresh(self) -> None:
        """Write the line anew."""
        form = self._image_form
        if form.image.value is None or form.problem():
            self.value = ""
        elif form.axes.value is None:
            self.value = NO_AXES
        else:
            self.value = self._plan()
        self.visible = bool(self.value)

    def seconds(self) -> float | None:
        """Estimate how long the run would take on this CPU; None if nobody knows."""
        form = self._image_form
        if form.axes.value is None or form.region.value != WHOLE or self._runs_on_accelerator():
            return None
        array = layer_array(form.image.value)
        frame_shape, n_frames = training_frames(array, form.axes.value, form.spatial_ndim)
        settings = self._settings_form.settings()
        seconds = expected_seconds(frame_shape, n_frames, settings, count_cores())
        return self.n_images * self.slowness * seconds

    def _plan(self) -> str:
        form = self._image_form
        array, axes = layer_array(form.image.value), form.axes.value
        shape, lengths = labels_shape(array.shape, axes), dict(zip(axes, array.shape, strict=True))
        n_frames = 1
        for length in shape[: -form.spatial_ndim]:
            n_frames *= length
        channels = "in colour" if SAMPLES in axes else count(lengths.get(CHANNELS, 1), "channel")
        is_part = form.region.value != WHOLE
        part = "crops of it" if is_large(array) else ""
        return plan_text(
            shape[-form.spatial_ndim :],
            n_frames,
            channels,
            form.region.value if is_part else part,
            None if is_large(array) else self.seconds(),
        )

    def _runs_on_accelerator(self) -> bool:
        """Tell whether a run would go on elsewhere than on the CPU, or nobody knows yet."""
        device = self._settings_form.device.value
        if device == "cpu":
            return False
        if self.is_preloading:
            return True
        from napari_unsupseg.learning.devices import available_devices

        return available_devices()[0] != "cpu"


def _busyness() -> float:
    """Return how many processes want each core, 1 at least; 1 where the system does not say."""
    if not hasattr(os, "getloadavg"):  # on Windows
        return 1.0
    # the load is that of the whole machine, whatever this process may use of it
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
