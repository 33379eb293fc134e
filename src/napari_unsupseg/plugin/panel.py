"""The panel: an Image layer, a preset, Run; all else is folded away."""

import atexit
import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari.layers
import numpy as np
from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    Label,
    ProgressBar,
    PushButton,
    SpinBox,
    Widget,
)
from magicgui.widgets.bases import ValueWidget
from napari.qt.threading import WorkerBase, create_worker
from napari.utils.notifications import show_error, show_warning
from numpy.typing import NDArray
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QSizePolicy

from napari_unsupseg.errors import ImageError, UnsupsegError
from napari_unsupseg.image.tiling import is_large
from napari_unsupseg.plugin.large.viewport_labels import ViewportLabeler
from napari_unsupseg.plugin.layers import (
    axes_choices,
    blank_labels,
    blank_pyramid,
    frames_of,
    labels_keywords,
    layer_array,
    to_layer_axes,
    voxel_spacing,
)
from napari_unsupseg.plugin.training_region import REGIONS, WHOLE, find_region
from napari_unsupseg.plugin.widgets.controls import (
    CollapsibleSection,
    make_accessible,
    make_scrollable,
    row,
    setting_control,
    settings_under,
    value_widget,
)
from napari_unsupseg.plugin.widgets.progress_text import progress_text, segments_text, slow_notice
from napari_unsupseg.plugin.widgets.results import FinishedRun, LayerSnapshot, Results
from napari_unsupseg.plugin.widgets.strokes_button import StrokesButton
from napari_unsupseg.plugin.widgets.trained_network import TrainedNetwork
from napari_unsupseg.plugin.widgets.training_curve import TrainingCurve, TrainingCurvePlot
from napari_unsupseg.plugin.worker import RunControl, RunRequest, RunResult, RunUpdate, preload, run
from napari_unsupseg.settings import GROUPS, PRESETS, Settings, setting_specs

if TYPE_CHECKING:
    import napari.viewer

    from napari_unsupseg.learning.lazy_inference import LazyLabels
    from napari_unsupseg.plugin.large.pyramid import LabelPyramid

__all__ = ["SegmentationPanel"]

logger = logging.getLogger(__name__)

DEVICES = ("auto", "cpu", "cuda", "mps", "xpu")
CUSTOM = "custom"
DEFAULT_PRESET = next(iter(PRESETS))
HISTORY_MEGABYTES = 200
LARGE_NOTICE = (
    "This image is too large to be loaded: the network trains on crops of it, or on what you "
    "choose under train on, and labels are then made where you look."
)
PERCENT = 100
LOADED_MS = 100  # from one look whether PyTorch is loaded to the next

# napari does so when its application quits, which that of a script may never do
atexit.register(WorkerBase.await_workers)


@dataclasses.dataclass(eq=False)
class ActiveRun:
    """A run from its start to its end."""

    request: RunRequest
    image: napari.layers.Image
    labels: napari.layers.Labels
    control: RunControl
    course: TrainingCurve
    follower: RunRequest | None = None  # what begins in its place when it has ended
    is_trained: bool = False  # and what comes after is under way

    @property
    def is_blank(self) -> bool:
        """Whether there are no labels yet."""
        pyramid = self.request.pyramid
        return not self.labels.data.any() if pyramid is None else pyramid.is_blank


class SegmentationPanel(Container[Widget]):
    """Dock widget that segments an Image layer while its labels are seen to change.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Given by napari.
    """

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__(labels=False)
        self._viewer = viewer
        self._active: ActiveRun | None = None
        self._suited = DEFAULT_PRESET  # what the image at hand, or the one before it, asks for
        self._sights: dict[napari.layers.Labels, ViewportLabeler] = {}
        self.image = value_widget(annotation=napari.layers.Image, name="image", label="image")
        self.axes = ComboBox(
            label="axes",
            choices=self._axes_choices,
            tooltip="What the image is taken for: planes are segmented one by one, by one network.",
        )
        self.volumes = CheckBox(
            text="as volumes",
            tooltip="Use a network that sees volumes, of the axes z, y and x, in place of planes.",
        )
        self.region = ComboBox(
            label="train on",
            choices=REGIONS,
            tooltip="Where the network trains; its clusters are then found in all of the image.",
        )
        self.preset = ComboBox(
            label="preset",
            choices=[*((name.replace("-", " "), name) for name in PRESETS), (CUSTOM, CUSTOM)],
            tooltip="\n".join(f"{name}: {preset.sentence}" for name, preset in PRESETS.items()),
        )
        self.settings = {
            name: setting_control(name, spec) for name, spec in setting_specs().items()
        }
        self.update_every = SpinBox(
            label="update every",
            value=0,
            min=0,
            max=1_000_000,
            tooltip="Iterations from one picture to the next; 0 shows about five each second.",
        )
        self.device = ComboBox(
            label="device",
            choices=DEVICES,
            tooltip="Where the network runs; auto takes a GPU if there is one.",
        )
        self.history_memory = SpinBox(
            label="history memory",
            value=HISTORY_MEGABYTES,
            min=0,
            max=1_000_000,
            tooltip="Megabytes for the labels shown on the way; beyond it every second is dropped.",
        )
        self.run_button = PushButton(text="Run", tooltip="Segment the image, into a new layer.")
        self.pause_button = PushButton(text="Pause", tooltip="Wait, or go on after a pause.")
        self.stop_button = PushButton(text="Stop", tooltip="End the run and keep its labels.")
        self.continue_button = PushButton(
            text="Continue", tooltip="Go on training where the last run stopped, in its layer."
        )
        self.start_over_button = PushButton(
            text="Start over",
            tooltip="Begin anew in the same layer, with the settings as they are now.",
        )
        self.strokes_button = StrokesButton(viewer, self._on_drawn)
        self.progress = ProgressBar(label="progress", visible=False)
        self.status = _sentence()
        self.notice = _sentence()
        self.notice.visible = False
        self.plot = TrainingCurvePlot(viewer)
        self.results = Results(viewer, self._say)
        self.network = TrainedNetwork(self._say, self._show_buttons, self._show_share)
        self._lay_out()
        self._loading = preload()
        self._awaiting = QTimer(self.native)
        self._awaiting.start(LOADED_MS)
        self._connect()
        self._on_image_changed()

    def _lay_out(self) -> None:
        top = Container[Widget]()
        top.extend([self.image, self.axes, self.volumes, self.region, self.preset])
        top.margins = (0, 0, 0, 0)
        beside: dict[str, list[Widget]] = {
            "Device": [self.device],
            "Output": [self.update_every, self.history_memory],
        }
        self.folds: dict[str, CollapsibleSection] = {
            heading: CollapsibleSection(
                heading,
                [
                    *(self.settings[name] for name in settings_under(heading)),
                    *beside.get(heading, []),
                ],
            )
            for heading in GROUPS
        }
        self.folds["Trained network"] = CollapsibleSection("Trained network", [self.network])
        self.curve_section = CollapsibleSection("Clusters and loss", [self.plot])
        self.curve_section.unfold()
        self.curve_section.visible = False
        body = Container[Widget](
            widgets=[
                top,
                row([self.run_button, self.pause_button, self.stop_button]),
                row([self.continue_button, self.start_over_button]),
                self.strokes_button,
                self.progress,
                self.status,
                self.notice,
                self.results,
                self.curve_section,
                *self.folds.values(),
            ],
            labels=False,
        )
        self.append(body)
        self.margins = (0, 0, 0, 0)
        body.native.layout().addStretch()
        make_scrollable(self, body)
        make_accessible(body)
        self.results.clusters.order_tabs()

    def _connect(self) -> None:
        self.image.changed.connect(self._on_image_changed)
        self.axes.changed.connect(self._on_axes_changed)
        self.volumes.changed.connect(self._show_notice)
        self.region.changed.connect(self._show_notice)
        self.device.changed.connect(self._show_notice)
        self.preset.changed.connect(self._on_preset_changed)
        for control in self.settings.values():
            control.changed.connect(self._on_setting_changed)
        self.run_button.changed.connect(self.start)
        self.pause_button.changed.connect(self.pause)
        self.stop_button.changed.connect(self.stop)
        self.continue_button.changed.connect(self.go_on)
        self.start_over_button.changed.connect(self.start_over)
        self.strokes_button.changed.connect(self.draw_strokes)
        self.network.apply_button.changed.connect(self.apply)
        self._awaiting.timeout.connect(self._on_awaiting)
        self._viewer.layers.events.removed.connect(self._on_layer_removed)
        self.native_parent_changed.connect(self._on_parent_changed)
        self.native.destroyed.connect(self._abandon)

    def start(self) -> None:
        """Begin a run on the chosen layer, with the settings as they stand."""
        image = self.image.value
        request = self._resolve(image)
        if request is not None:
            self._begin(request, image, self._add_blank(image, request))

    def pause(self) -> None:
        """Have the run wait after the iteration under way, or go on."""
        if self._active is None:
            return
        control = self._active.control
        if control.is_paused:
            control.resume()
        else:
            control.pause()
        self._show_buttons()

    def stop(self) -> None:
        """End the training after the iteration under way, or leave off what the network does.

        Labels of the run stay, and of files that have some.
        """
        if self._active:
            self._active.control.stop()
        elif self.network.can_stop:
            self.network.stop()
        else:
            return
        self.status.value = "stopping…"
        self._show_buttons()

    def go_on(self) -> None:
        """Train on where the last run stopped, in the layer it has left."""
        ended = self.results.ended
        if ended is not None:
            strokes = self.strokes_button.drawn(ended.image, ended.request.axes)
            request = dataclasses.replace(
                ended.request,
                earlier=ended.outcome,
                strokes=strokes,
                pyramid=self._pyramid(ended.image, ended.request.axes, ended.request.settings),
            )
            self._begin(request, ended.image, self._layer_of(ended, request))

    def start_over(self) -> None:
        """Begin anew in the layer of the run, or of the last one."""
        active, ended = self._active, self.results.ended
        request = self._resolve(active.image if active else self.image.value)
        if request is None:
            return  # what cannot begin ends nothing
        if active is not None:
            active.follower = request
            active.control.abandon()
            self.stop()
        elif ended is not None:
            self._begin(request, ended.image, self._layer_of(ended, request))

    def draw_strokes(self) -> None:
        """Make a layer for strokes on the chosen image, or go back to it."""
        image = self.image.value
        axes = self._known_axes(image)
        if axes is None:
            return
        if is_large(layer_array(image)):
            show_error(
                f"{image.name} is too large to be loaded, which strokes need: crop it, draw on "
                "that, and apply the network to all"
            )
            return
        self.strokes_button.draw(image, axes)
        if self._active is None:
            self._say("paint a few lines; another label for another kind; then Run or Continue")

    def _on_drawn(self) -> None:
        """Have the run at hand follow the strokes."""
        active = self._active
        if active is not None:
            active.control.set_strokes(self.strokes_button.drawn(active.image, active.request.axes))

    def load_network(self, path: Path) -> None:
        """Read a trained network, and unfold what can be done with it.

        Parameters
        ----------
        path : Path
            A file that *Save* or `Segmenter.save` wrote.
        """
        self.folds["Trained network"].unfold()
        self.network.load(path)

    def apply(self) -> None:
        """Find the clusters of the network at hand in the chosen image, into a new layer."""
        image, segmenter = self.image.value, self.network.segmenter
        axes = self._known_axes(image)
        if axes is None or segmenter is None:
            return
        try:
            pyramid = self._pyramid(image, axes, segmenter.settings)
        except UnsupsegError as error:
            show_error(str(error))
            return

        def show(found: "NDArray[np.unsignedinteger] | LazyLabels") -> None:
            if isinstance(found, np.ndarray):
                layer = self._add_layer(image, axes, to_layer_axes(found, image, axes))
                n_clusters = np.count_nonzero(np.bincount(found.ravel())[1:])
                self._say(f"{n_clusters} clusters of the trained network in {image.name}")
            else:
                assert pyramid is not None
                layer = self._add_layer(image, axes, pyramid.levels)
                self._watch(layer, pyramid, found)
            layer.metadata["napari-unsupseg"] = segmenter.record()

        self.network.apply(layer_array(image), axes, show)

    def _begin(
        self, request: RunRequest, image: napari.layers.Image, labels: napari.layers.Labels
    ) -> None:
        """Run, and show it in a layer."""
        if request.pyramid is not None:
            if labels in self._sights:
                self._sights.pop(labels).end()
            labels.data = request.pyramid.levels
        labels.editable = False  # strokes would be lost at the next update
        if not self.strokes_button.is_active():
            self._viewer.layers.selection.active = image
        ended = self.results.ended if request.earlier else None
        self._active = ActiveRun(
            request, image, labels, RunControl(), ended.course if ended else TrainingCurve()
        )
        self.plot.begin(self._active.course)
        self.curve_section.visible = True
        self.progress.value = 0
        self.status.value = "loading PyTorch…" if self._loading.is_alive() else "starting…"
        self._show_buttons()
        create_worker(
            run,
            request,
            self._active.control,
            _connect={
                "yielded": self._on_update,
                "returned": self._on_returned,
                "errored": self._on_errored,
                "warned": self._on_warned,
            },
        )

    def _add_blank(self, image: napari.layers.Image, request: RunRequest) -> napari.layers.Labels:
        """Add the layer of a run before its first iteration."""
        if request.pyramid is not None:
            return self._add_layer(image, request.axes, request.pyramid.levels)
        blank = blank_labels(image, request.axes, request.settings.max_clusters)
        return self._add_layer(image, request.axes, blank)

    def _add_layer(
        self,
        image: napari.layers.Image,
        axes: str,
        labels: NDArray[np.unsignedinteger] | list[Any],
    ) -> napari.layers.Labels:
        selection = self._viewer.layers.selection
        drawn_on = selection.active if self.strokes_button.is_active() else None
        layer = self._viewer.add_labels(
            labels, name=f"{image.name} segmentation", **labels_keywords(image, axes)
        )
        if drawn_on is not None:  # the brush stays in the user's hand
            selection.active = drawn_on
        return layer

    def _layer_of(self, ended: FinishedRun, request: RunRequest) -> napari.layers.Labels:
        """Return the layer of a run for another, or a new one if it is gone or was painted on."""
        shown = ended.clusters
        if shown.layer in self._viewer.layers and not shown.was_edited:
            return shown.layer
        if shown.data is None:
            return self._add_blank(ended.image, request)
        return self._add_layer(ended.image, ended.request.axes, shown.data)

    def _resolve(self, image: napari.layers.Image) -> RunRequest | None:
        """Freeze what the widgets say, before the run leaves this thread; None if it cannot be."""
        axes = self._known_axes(image)
        if axes is None:
            return None
        settings = self._chosen_settings()
        try:
            region = find_region(self._viewer, image, axes, self.region.value)
            pyramid = self._pyramid(image, axes, settings)
        except UnsupsegError as error:
            show_error(str(error))
            return None
        return RunRequest(
            image=layer_array(image),
            axes=axes,
            spatial_ndim=self._spatial_ndim,
            spacing=voxel_spacing(image, axes) if self._spatial_ndim == 3 else None,
            settings=settings,
            device=self.device.value,
            update_every=self.update_every.value,
            history_bytes=self.history_memory.value * 10**6,
            strokes=self.strokes_button.drawn(image, axes),
            region=region,
            pyramid=pyramid,
        )

    def _known_axes(self, image: napari.layers.Image) -> str | None:
        """Return what the axes of an image are, or ask."""
        axes: str | None = self.axes.value
        if axes is None:
            show_error(f"{image.name} has {image.ndim} axes: choose what they are under axes")
        return axes

    def _pyramid(
        self, image: napari.layers.Image, axes: str, settings: Settings
    ) -> "LabelPyramid | None":
        """Return a place for the labels of an image that is too large to be loaded."""
        if not is_large(layer_array(image)):
            return None
        if settings.min_size > 1:
            raise ImageError(
                f"{image.name} is too large to be loaded, which min size above 1 needs: set it to "
                "1, or crop the image"
            )
        return blank_pyramid(image, axes, settings.max_clusters)

    def _watch(
        self, layer: napari.layers.Labels, pyramid: "LabelPyramid", labels: "LazyLabels"
    ) -> None:
        """Have a layer show the labels of a large image where they are looked at."""

        def say(sentence: str) -> None:
            if self._active is None:
                self._say(sentence)

        self._sights[layer] = ViewportLabeler(
            self._viewer, layer, pyramid, labels, say, self.native
        )

    @property
    def _spatial_ndim(self) -> int:
        has_volumes = "zyx" in (self.axes.value or "").replace("c", "")
        return 3 if has_volumes and self.volumes.value else 2

    def _chosen_settings(self) -> Settings:
        return Settings.from_dict({name: control.value for name, control in self.settings.items()})

    def _on_preset_changed(self, preset: str) -> None:
        if preset != CUSTOM:
            for name, value in Settings.from_preset(preset, {}).to_dict().items():
                self.settings[name].value = value

    def _on_setting_changed(self) -> None:
        """Name the preset that the settings are now, if they are one."""
        chosen = self._chosen_settings()
        names = (name for name in PRESETS if Settings.from_preset(name, {}) == chosen)
        with self.preset.changed.blocked():
            self.preset.value = next(names, CUSTOM)
        self._show_notice()

    def _on_update(self, update: RunUpdate | float) -> None:
        active = self._active
        if active is None:
            return
        if isinstance(update, float):
            active.is_trained = True
            if not active.control.is_stopped:
                self.status.value = f"finding the clusters in all of {active.image.name}…"
            self._show_share(update)
            self._show_buttons()
            return
        self.progress.max = update.n_iterations
        self.progress.value = update.iteration
        self.plot.add(update)
        if update.labels is not None:
            if active.request.pyramid is not None:  # they are in it
                active.labels.refresh(extent=False)
            else:
                active.labels.data = to_layer_axes(update.labels, active.image, active.request.axes)
            # behind what napari has just been asked to draw
            QTimer.singleShot(0, active.control.picture_drawn)
        if update.hierarchy_share is not None:
            active.is_trained = True
            self._show_share(update.hierarchy_share)
            self._show_buttons()
        if update.is_over:
            if not active.control.is_stopped:
                self.status.value = segments_text(update)
        elif not active.control.is_stopped:
            self.status.value = progress_text(update)

    def _on_returned(self, outcome: RunResult | None) -> None:
        active = self._finish()
        if active is None:
            return
        if outcome is not None:
            self._keep(active, outcome)
        elif active.is_blank:
            self._remove(active.labels)
            self.status.value = "stopped before there were labels"
        self._show_buttons()
        if active.follower is not None:
            self._start_again(active, active.follower)

    def _keep(self, active: ActiveRun, outcome: RunResult) -> None:
        """Offer what a run has left behind."""
        record = outcome.record
        active.labels.metadata["napari-unsupseg"] = record
        is_array = outcome.on_demand is None
        shown = LayerSnapshot(active.labels, active.labels.data.copy() if is_array else None)
        earlier = self.results.ended if active.request.earlier else None
        segments = earlier.segments if earlier else None
        self.network.offer(outcome.segmenter)
        self.results.show_run(
            FinishedRun(active.image, active.request, outcome, shown, active.course, segments)
        )
        self.status.value = (
            f"{record['clusters']} clusters after {record['iterations']} iterations "
            f"in {record['precision']}"
            + ("" if outcome.is_everywhere else ", found only where it has trained")
            + (", no segments: stopped while they were made" if outcome.lacks_segments else "")
        )
        if outcome.on_demand is not None:
            settings = active.request.settings
            pyramid = blank_pyramid(active.image, active.request.axes, settings.max_clusters)
            active.labels.data = pyramid.levels  # without the labels of crops
            self._watch(active.labels, pyramid, outcome.on_demand)

    def _start_again(self, active: ActiveRun, request: RunRequest) -> None:
        """Begin anew in the layer of a run that was stopped for it."""
        strokes = self.strokes_button.drawn(active.image, request.axes)
        request = dataclasses.replace(request, strokes=strokes)  # with those drawn meanwhile
        labels = active.labels
        if labels not in self._viewer.layers:
            labels = self._add_blank(active.image, request)
        self._begin(request, active.image, labels)

    def _on_warned(self, warning: tuple[Any, ...]) -> None:
        show_warning(str(warning[0]))

    def _on_errored(self, error: Exception) -> None:
        show_error(str(error))
        if not isinstance(error, UnsupsegError):
            logger.error("a run failed", exc_info=error)
        active = self._finish()
        if active is None:
            return
        if active.is_blank:
            self._remove(active.labels)
        self.status.value = str(error)
        self._show_buttons()

    def _finish(self) -> ActiveRun | None:
        """Return the run that has come to its end, if anybody still waits for it."""
        active, self._active = self._active, None
        if active is not None:
            active.labels.editable = not active.labels.multiscale
        return active

    def _remove(self, layer: napari.layers.Labels) -> None:
        if layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def _on_layer_removed(self, event: Any) -> None:
        if self._active and event.value in (self._active.labels, self._active.image):
            self._active.follower = None
            self.stop()
        if event.value in self._sights:
            self._sights.pop(event.value).end()
        self._show_buttons()

    def _on_parent_changed(self) -> None:
        if self.native.parent() is None:  # napari takes the panel out of a dock that is closed
            self.stop()

    def _abandon(self) -> None:
        """End a run whose panel is gone, and ask nothing more of the panel."""
        self._viewer.layers.events.removed.disconnect(self._on_layer_removed)
        active, self._active = self._active, None
        if active is not None:
            active.control.abandon()
            active.labels.editable = not active.labels.multiscale
        for sight in self._sights.values():
            sight.end()

    def _axes_choices(self, _widget: object) -> list[tuple[str, str | None]]:
        layer = self.image.value
        return axes_choices(layer) if layer is not None else []

    def _on_image_changed(self) -> None:
        self.axes.reset_choices()
        layer = self.image.value
        self.axes.visible = layer is not None and layer.ndim > 2
        named = layer.metadata.get("napari-unsupseg", {}) if layer is not None else {}
        suits = named.get("preset", DEFAULT_PRESET)
        if self.preset.value == self._suited:  # another was chosen by hand
            self.preset.value = suits
        self._suited = suits
        self._on_axes_changed()
        self._show_buttons()

    def _on_axes_changed(self) -> None:
        self.volumes.visible = "zyx" in (self.axes.value or "").replace("c", "")
        self._show_notice()

    def _on_awaiting(self) -> None:
        if not self._loading.is_alive():
            self._awaiting.stop()
            self._show_notice()

    def _show_notice(self) -> None:
        """Say beforehand if a run would be slow; PyTorch knows where it would run."""
        sentences = [] if self._loading.is_alive() else [self._slow_notice()]
        if self.image.value is not None and is_large(layer_array(self.image.value)):
            sentences.insert(0, LARGE_NOTICE)
        self.notice.value = " ".join(filter(None, sentences))
        self.notice.visible = bool(self.notice.value)

    def _slow_notice(self) -> str:
        from napari_unsupseg.learning.devices import available_devices

        has_accelerator = available_devices()[0] != "cpu"
        is_part = self.region.value != WHOLE
        if self.axes.value is None or is_part or (self.device.value != "cpu" and has_accelerator):
            return ""
        frame_shape, n_frames = frames_of(self.image.value, self.axes.value, self._spatial_ndim)
        return slow_notice(frame_shape, n_frames, self._chosen_settings())

    def _show_share(self, share: float) -> None:
        self.progress.max = PERCENT
        self.progress.value = round(share * PERCENT)

    def _say(self, sentence: str) -> None:
        self.status.value = sentence

    def _show_buttons(self) -> None:
        """Switch on what makes sense now, and off what does not."""
        active = self._active
        is_running = active is not None and not active.control.is_stopped
        is_trained = active is not None and active.is_trained
        is_free = active is None and not self.network.is_busy
        ended = self.results.ended
        has_ended = is_free and ended is not None and ended.image in self._viewer.layers
        self.run_button.enabled = is_free and self.image.value is not None
        self.strokes_button.enabled = self.image.value is not None
        self.pause_button.enabled = is_running and not is_trained
        self.stop_button.enabled = is_running or self.network.can_stop
        self.progress.visible = active is not None or self.network.can_stop
        self.continue_button.enabled = has_ended
        self.start_over_button.enabled = is_running or has_ended
        self.pause_button.text = "Resume" if active and active.control.is_paused else "Pause"
        self.results.allow(active is None)
        self.network.allow(active is None, self.image.value is not None)


def _sentence() -> ValueWidget[Any]:
    """Return a place for a sentence, however long."""
    label = Label(value="")
    label.native.setWordWrap(True)
    # as wide as the dock, and no wider
    label.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label
