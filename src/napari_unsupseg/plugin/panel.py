"""The panel: an Image layer, the settings, Run and Stop."""

import dataclasses
import decimal
import logging
import threading
from typing import TYPE_CHECKING, Any, cast

import napari.layers
import numpy as np
from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    FloatSlider,
    Label,
    ProgressBar,
    PushButton,
    Slider,
    SpinBox,
    Widget,
    create_widget,
)
from magicgui.widgets.bases import ValueWidget
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error, show_warning
from numpy.typing import NDArray
from superqt.utils import QSignalDebouncer

from napari_unsupseg.errors import UnsupsegError
from napari_unsupseg.lazy import is_large
from napari_unsupseg.plugin.layers import (
    axes_choices,
    blank_labels,
    labels_keywords,
    layer_array,
    region_features,
    spread,
    voxel_spacing,
)
from napari_unsupseg.plugin.worker import Outcome, Request, Update, preload, run
from napari_unsupseg.presets import PRESETS
from napari_unsupseg.settings import Knob, Settings, knobs

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["SegmentationPanel"]

logger = logging.getLogger(__name__)

DEVICES = ("auto", "cpu", "cuda", "mps", "xpu")
CUSTOM = "custom"
UPDATE_EVERY = 5
HISTORY_MEGABYTES = 200
MEASURED_AFTER = 300  # milliseconds after a slider has come to rest


@dataclasses.dataclass(frozen=True, eq=False)
class ActiveRun:
    """A run from its start to its end."""

    request: Request
    image: napari.layers.Image
    labels: napari.layers.Labels
    stop: threading.Event


@dataclasses.dataclass(frozen=True, eq=False)
class Shown:
    """A layer, and what was put into it."""

    layer: napari.layers.Labels
    data: NDArray[np.unsignedinteger]

    @property
    def was_edited(self) -> bool:
        """Whether somebody has painted on the layer since."""
        return not np.array_equal(self.layer.data, self.data)


@dataclasses.dataclass(eq=False)
class EndedRun:
    """A run that has ended, and the layers that show what it has left behind."""

    image: napari.layers.Image
    axes: str
    outcome: Outcome
    clusters: Shown
    segments: Shown | None = None


class SegmentationPanel(Container[Widget]):
    """Dock widget that segments an Image layer while its labels are seen to change.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Given by napari.
    """

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self._viewer = viewer
        self._active: ActiveRun | None = None
        self._ended: EndedRun | None = None
        self._to_measure: tuple[napari.layers.Labels, NDArray[np.unsignedinteger]] | None = None
        self.image = _value_widget(annotation=napari.layers.Image, name="image", label="image")
        self.axes = ComboBox(
            label="axes",
            choices=self._axes_choices,
            tooltip="What the image is taken for: planes are segmented one by one, by one network.",
        )
        self.volumes = CheckBox(
            text="as volumes",
            tooltip="Use a network that sees volumes, of the axes z, y and x, in place of planes.",
        )
        self.preset = ComboBox(
            label="preset",
            choices=[*((name.replace("-", " "), name) for name in PRESETS), (CUSTOM, CUSTOM)],
            tooltip="\n".join(f"{name}: {preset.sentence}" for name, preset in PRESETS.items()),
        )
        self.settings = {name: _control(name, knob) for name, knob in knobs().items()}
        self.update_every = SpinBox(
            label="update every",
            value=UPDATE_EVERY,
            min=1,
            max=1_000_000,
            tooltip="Iterations from one update of the Labels layer to the next (N).",
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
        self.more = CheckBox(text="more settings", value=False)
        self.run_button = PushButton(text="Run")
        self.stop_button = PushButton(text="Stop", tooltip="End the run and keep its labels.")
        self.granularity = FloatSlider(
            label="granularity",
            value=0.5,
            min=0,
            max=1,
            step=0.01,
            enabled=False,
            tooltip="Segments of the last run, from 0 (the finest) to 1 (a single one).",
        )
        self.history = Slider(
            label="history",
            min=0,
            max=1,
            readout=False,
            enabled=False,
            tooltip="Labels that the last run showed on its way; the last ones at the right end.",
        )
        self.progress = ProgressBar(label="progress", visible=False)
        self.status = Label(value="")
        self.status.native.setWordWrap(True)  # a long sentence must not widen the dock
        self._lay_out()
        self._loading = preload()
        self._resting = QSignalDebouncer(parent=self.native)
        self._resting.setTimeout(MEASURED_AFTER)
        self._connect()
        self._on_image_changed()

    def _lay_out(self) -> None:
        shown = [self.settings[name] for name, knob in knobs().items() if knob.main]
        folded = [self.settings[name] for name, knob in knobs().items() if not knob.main]
        self._folded = Container(widgets=[*folded, self.device, self.history_memory], visible=False)
        self._folded.margins = (0, 0, 0, 0)
        buttons = Container(
            widgets=[self.run_button, self.stop_button], layout="horizontal", labels=False
        )
        buttons.margins = (0, 0, 0, 0)
        self.extend([self.image, self.axes, self.volumes, self.preset, *shown, self.update_every])
        self.extend([self.more, self._folded, buttons, self.progress])
        self.extend([self.granularity, self.history, self.status])

    def _connect(self) -> None:
        self.image.changed.connect(self._on_image_changed)
        self.axes.changed.connect(self._on_axes_changed)
        self.preset.changed.connect(self._on_preset_changed)
        for control in self.settings.values():
            control.changed.connect(self._on_setting_changed)
        self.more.changed.connect(self._on_more_changed)
        self.run_button.changed.connect(self.start)
        self.stop_button.changed.connect(self.stop)
        self.granularity.changed.connect(self._on_granularity_changed)
        self.history.changed.connect(self._on_history_changed)
        self._resting.triggered.connect(self._measure)
        self._viewer.layers.events.removed.connect(self._on_layer_removed)
        self.native_parent_changed.connect(self._on_parent_changed)
        self.native.destroyed.connect(self._abandon)

    def start(self) -> None:
        """Begin a run on the chosen layer, with the settings as they stand."""
        image = self.image.value
        if self.axes.value is None:
            show_error(f"{image.name} has {image.ndim} axes: choose what they are under axes")
            return
        if is_large(layer_array(image)):
            show_error(
                f"{image.name} is too large to be loaded: crop it or take a smaller level; in "
                "Python napari_unsupseg.segment takes it as it is"
            )
            return
        request = self._resolve(image)
        labels = self._viewer.add_labels(
            blank_labels(image, request.axes, request.settings.max_clusters),
            name=f"{image.name} segmentation",
            **labels_keywords(image, request.axes),
        )
        labels.editable = False  # strokes would be lost at the next update
        self._viewer.layers.selection.active = image
        stop = threading.Event()
        self._active = ActiveRun(request, image, labels, stop)
        self._show_running()
        create_worker(
            run,
            request,
            stop,
            _connect={
                "yielded": self._on_update,
                "returned": self._on_returned,
                "errored": self._on_errored,
                "warned": self._on_warned,
            },
        )

    def stop(self) -> None:
        """End the run after the iteration under way; its labels stay."""
        if self._active:
            self._active.stop.set()
            self.stop_button.enabled = False
            self.status.value = "stopping…"

    def _resolve(self, image: napari.layers.Image) -> Request:
        """Freeze what the widgets say, before the run leaves this thread."""
        volumes = self.volumes.visible and self.volumes.value
        return Request(
            image=layer_array(image),
            axes=self.axes.value,
            spatial_ndim=3 if volumes else 2,
            spacing=voxel_spacing(image, self.axes.value) if volumes else None,
            settings=self._chosen_settings(),
            device=self.device.value,
            update_every=self.update_every.value,
            history_bytes=self.history_memory.value * 10**6,
        )

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

    def _on_update(self, update: Update) -> None:
        active = self._active
        if active is None:
            return
        if update.labels is not None:
            self._show_labels(active, update.labels)
        self.progress.value = update.iteration
        if update.is_over:
            self.status.value = "making segments…"
        elif not active.stop.is_set():
            total = active.request.settings.iterations
            size = f" at 1/{update.factor} size" if update.factor > 1 else ""
            self.status.value = (
                f"iteration {update.iteration} of at most {total}{size}, "
                f"{update.n_clusters} clusters"
            )

    def _show_labels(self, active: ActiveRun, labels: NDArray[np.unsignedinteger]) -> None:
        active.labels.data = spread(labels, active.image, active.request.axes)

    def _on_returned(self, outcome: Outcome | None) -> None:
        active = self._finish()
        if active is None:
            return
        if outcome is None:
            self._remove(active.labels)
            self.status.value = "stopped before there were labels"
            return
        record = outcome.record
        active.labels.metadata["napari-unsupseg"] = record
        self._ended = EndedRun(
            active.image,
            active.request.axes,
            outcome,
            Shown(active.labels, active.labels.data.copy()),
        )
        self._measure_soon(active.labels, outcome.history.labels(-1))
        self.granularity.enabled = True
        self._show_history(outcome.history.iterations)
        self.status.value = (
            f"{record['clusters']} clusters after {record['iterations']} iterations "
            f"in {record['precision']}"
        )

    def _show_history(self, iterations: list[int]) -> None:
        """Give the slider a place for each iteration kept, and put it at the last."""
        last = len(iterations) - 1
        with self.history.changed.blocked():
            self.history.max = max(1, last)
            self.history.value = last
        self.history.enabled = last > 0

    def _on_granularity_changed(self, level: float) -> None:
        """Show the segments of the last run."""
        ended = self._ended
        if ended is None:
            return
        # one data type for all cuts, so that napari need not build the layer anew
        cut = ended.outcome.hierarchy.cut(level=level).astype(np.uint16)
        ended.segments = self._put(ended, ended.segments, cut, "segments", {"granularity": level})
        n_segments = int(cut.max())
        self.status.value = "1 segment" if n_segments == 1 else f"{n_segments} segments"

    def _on_history_changed(self, index: int) -> None:
        """Show the clusters of an earlier iteration of the last run."""
        ended = self._ended
        if ended is None:
            return
        history = ended.outcome.history
        labels, iteration = history.labels(index), history.iterations[index]
        n_clusters = np.count_nonzero(np.bincount(labels.ravel())[1:])
        how = {"iterations": iteration, "clusters": n_clusters}
        ended.clusters = self._put(ended, ended.clusters, labels, "segmentation", how)
        self.status.value = f"{n_clusters} clusters at iteration {iteration}"

    def _put(
        self,
        ended: EndedRun,
        shown: Shown | None,
        labels: NDArray[np.unsignedinteger],
        kind: str,
        how: dict[str, Any],
    ) -> Shown:
        """Put labels into the layer that shows their kind, or a new one if it was painted on."""
        data = spread(labels, ended.image, ended.axes)
        if shown is None or shown.layer not in self._viewer.layers or shown.was_edited:
            layer = self._viewer.add_labels(
                data,
                name=f"{ended.image.name} {kind}",
                **labels_keywords(ended.image, ended.axes),
            )
        else:
            layer = shown.layer
            layer.data = data
        layer.metadata["napari-unsupseg"] = ended.outcome.record | how
        self._measure_soon(layer, labels)
        return Shown(layer, data.copy())

    def _measure_soon(
        self, layer: napari.layers.Labels, labels: NDArray[np.unsignedinteger]
    ) -> None:
        """Have a layer's regions measured, as soon as no other labels follow at once."""
        layer.features = None  # those of what it showed before
        self._to_measure = layer, labels
        self._resting.throttle()

    def _measure(self) -> None:
        """Measure regions out of the window's way."""
        ended, measured = self._ended, self._to_measure
        if ended is None or measured is None:
            return
        layer, labels = measured

        def set_features(features: dict[str, NDArray[np.number]]) -> None:
            if measured is self._to_measure:
                layer.features = features

        create_worker(
            region_features,
            labels,
            ended.image,
            ended.axes,
            _connect={"returned": set_features},
        )

    def _on_warned(self, warning: tuple[Any, ...]) -> None:
        show_warning(str(warning[0]))

    def _on_errored(self, error: Exception) -> None:
        show_error(str(error))
        if not isinstance(error, UnsupsegError):
            logger.error("a run failed", exc_info=error)
        active = self._finish()
        if active is None:
            return
        if not active.labels.data.any():
            self._remove(active.labels)
        self.status.value = str(error)

    def _finish(self) -> ActiveRun | None:
        """Return the run that has come to its end, and make the panel ready for the next."""
        active, self._active = self._active, None
        if active is not None:
            active.labels.editable = True
            self.progress.visible = False
            self._show_buttons()
        return active

    def _remove(self, layer: napari.layers.Labels) -> None:
        if layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def _on_layer_removed(self, event: Any) -> None:
        if self._active and event.value in (self._active.labels, self._active.image):
            self.stop()

    def _on_parent_changed(self) -> None:
        if self.native.parent() is None:  # napari takes the panel out of a dock that is closed
            self.stop()

    def _abandon(self) -> None:
        """End a run whose panel is gone, and ask nothing more of the panel."""
        self._viewer.layers.events.removed.disconnect(self._on_layer_removed)
        active, self._active = self._active, None
        if active is not None:
            active.stop.set()
            active.labels.editable = True

    def _axes_choices(self, _widget: object) -> list[tuple[str, str | None]]:
        layer = self.image.value
        return axes_choices(layer) if layer is not None else []

    def _on_image_changed(self) -> None:
        self.axes.reset_choices()
        layer = self.image.value
        self.axes.visible = layer is not None and layer.ndim > 2
        self._on_axes_changed()
        self._show_buttons()

    def _on_axes_changed(self) -> None:
        self.volumes.visible = "zyx" in (self.axes.value or "").replace("c", "")

    def _on_more_changed(self, more: bool) -> None:
        self._folded.visible = more

    def _show_buttons(self) -> None:
        self.run_button.enabled = self._active is None and self.image.value is not None
        self.stop_button.enabled = self._active is not None

    def _show_running(self) -> None:
        assert self._active is not None
        self.progress.max = self._active.request.settings.iterations
        self.progress.value = 0
        self.progress.visible = True
        self.status.value = "loading PyTorch…" if self._loading.is_alive() else "starting…"
        self._show_buttons()


def _control(name: str, knob: Knob) -> ValueWidget[Any]:
    """Return the control of a setting: its range, its default, the paper's symbol."""
    options: dict[str, Any] = {
        "tooltip": f"{knob.sentence} ({knob.symbol} in the paper)" if knob.symbol else knob.sentence
    }
    if knob.choices:
        options["choices"] = knob.choices
    else:
        options |= {"min": knob.minimum, "max": knob.maximum}
    if knob.kind is float:
        options["step"] = _resolution(knob)
    return _value_widget(
        value=knob.default,
        annotation=str if knob.choices else knob.kind,
        label=name.replace("_", " "),
        options=options,
    )


def _resolution(knob: Knob) -> float:
    """Return the power of ten that both ends of a range are multiples of."""
    ends = (decimal.Decimal(str(end)).normalize() for end in (knob.minimum, knob.maximum))
    return 10.0 ** min(0, *(int(end.as_tuple().exponent) for end in ends))


def _value_widget(**arguments: Any) -> ValueWidget[Any]:
    return cast(ValueWidget[Any], create_widget(**arguments))
