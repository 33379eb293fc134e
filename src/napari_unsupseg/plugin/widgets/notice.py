"""The notice that says before a run what is special: an image unfit or large, or a slow run."""

from qtpy.QtCore import QTimer

from napari_unsupseg.image.tiling import is_large
from napari_unsupseg.plugin.layers import layer_array
from napari_unsupseg.plugin.widgets.controls import Sentence
from napari_unsupseg.plugin.widgets.image_form import ImageForm
from napari_unsupseg.plugin.widgets.progress_text import slow_notice
from napari_unsupseg.plugin.widgets.run_plan import RunPlan
from napari_unsupseg.plugin.widgets.settings_form import SettingsForm

__all__ = ["Notice"]

NO_IMAGE = "Open an image first: drag a file into the window, or take one under File → Open."
LARGE_NOTICE = (
    "This image is too large to be loaded: the network trains on crops of it, or on what you "
    "choose under train on, and labels are then made where you look."
)
PRELOAD_POLL_MS = 100  # from one look whether PyTorch is loaded to the next


class Notice(Sentence):
    """Sentences on the run that the forms ask for; hidden where there is nothing to say.

    Parameters
    ----------
    image_form : ImageForm
        It has the image, its axes and the region.
    settings_form : SettingsForm
        It has the settings and the device.
    plan : RunPlan
        It knows how long the run may take, and is refreshed with the notice.
    """

    def __init__(self, image_form: ImageForm, settings_form: SettingsForm, plan: RunPlan) -> None:
        super().__init__()
        self.visible = False
        self._image_form, self._settings_form, self._plan = image_form, settings_form, plan
        self._preload_poll = QTimer(self.native)
        self._preload_poll.timeout.connect(self._on_preload_poll)
        self._preload_poll.start(PRELOAD_POLL_MS)
        for control in (
            image_form.image,
            image_form.axes,
            image_form.volumes,
            image_form.region,
            settings_form.device,
            *settings_form.controls.values(),
        ):
            control.changed.connect(self.refresh)

    def refresh(self) -> None:
        """Write the sentences anew, and the plan."""
        self._plan.refresh()
        has_image = self._image_form.image.value is not None
        self.value = (self._image_form.problem() or self._run_notice()) if has_image else NO_IMAGE
        self.visible = bool(self.value)

    def _run_notice(self) -> str:
        is_large_image = is_large(layer_array(self._image_form.image.value))
        sentences = [
            LARGE_NOTICE if is_large_image else "",
            self._slow_notice(),
        ]
        return " ".join(filter(None, sentences))

    def _slow_notice(self) -> str:
        seconds = self._plan.seconds()
        return "" if seconds is None else slow_notice(seconds, self._settings_form.settings())

    def _on_preload_poll(self) -> None:
        if not self._plan.is_preloading:
            self._preload_poll.stop()
            self.refresh()
