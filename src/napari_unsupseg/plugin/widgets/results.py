"""What can be done with a run that has ended: other granularities, earlier iterations, a table."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import napari.layers
import numpy as np
from magicgui.widgets import Container, FloatSlider, PushButton, Slider, SpinBox, Widget
from napari.qt.threading import create_worker
from numpy.typing import NDArray
from qtpy.QtWidgets import QApplication
from superqt.utils import QSignalDebouncer

from napari_unsupseg._typing import Labels
from napari_unsupseg.plugin.layers import (
    from_layer_axes,
    labels_keywords,
    region_features,
    show_names,
    to_layer_axes,
)
from napari_unsupseg.plugin.script import python_script
from napari_unsupseg.plugin.widgets.cluster_table import ClusterTable
from napari_unsupseg.plugin.widgets.controls import CollapsibleSection
from napari_unsupseg.plugin.widgets.training_curve import TrainingCurve
from napari_unsupseg.plugin.worker import RunRequest, RunResult

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["FinishedRun", "LayerSnapshot", "Results"]

MEASURED_AFTER = 300  # milliseconds after a slider has come to rest


@dataclasses.dataclass(frozen=True, eq=False)
class LayerSnapshot:
    """A layer, and what was put into it; None if nobody can paint on it."""

    layer: napari.layers.Labels
    data: Labels | None

    @property
    def was_edited(self) -> bool:
        """Whether somebody has painted on the layer since, or named its clusters."""
        is_named = bool(self.layer.metadata.get("napari-unsupseg", {}).get("names"))
        return is_named or (
            self.data is not None and not np.array_equal(self.layer.data, self.data)
        )


@dataclasses.dataclass(eq=False)
class FinishedRun:
    """A run that has ended, and the layers that show what it has left behind."""

    image: napari.layers.Image
    request: RunRequest
    outcome: RunResult
    clusters: LayerSnapshot
    course: TrainingCurve
    segments: LayerSnapshot | None = None

    @property
    def has_segments(self) -> bool:
        """Whether the image could be loaded, which segments, history and areas need."""
        return self.outcome.hierarchy is not None


class Results(Container[Widget]):
    """Controls of the last run that has ended.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where its layers are.
    say : callable
        Told in a sentence what is shown.
    """

    def __init__(self, viewer: "napari.viewer.Viewer", say: Callable[[str], None]) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._viewer = viewer
        self._say = say
        self._to_measure: tuple[napari.layers.Labels, Labels] | None = None
        self.ended: FinishedRun | None = None
        self.granularity = FloatSlider(
            label="granularity",
            value=0.5,
            min=0,
            max=1,
            step=0.01,
            enabled=False,
            tooltip="Segments of the last run, from 0 (the finest) to 1 (a single one).",
        )
        self.smallest = SpinBox(
            label="smallest",
            value=0,
            min=0,
            max=1_000_000,
            enabled=False,
            tooltip="Pixels of the smallest segment; smaller ones join what they resemble most.",
        )
        self.history = Slider(
            label="history",
            min=0,
            max=1,
            readout=False,
            enabled=False,
            tooltip="Labels that the last run showed on its way; the last ones at the right end.",
        )
        self.copy_button = PushButton(
            text="Copy as Python",
            tooltip="Put the script that makes the labels of the last run on the clipboard.",
        )
        self.clusters = ClusterTable(self._on_clusters_changed)
        self.clusters_section = CollapsibleSection("Clusters", [self.clusters])
        sliders = Container[Widget]()
        sliders.extend([self.granularity, self.smallest, self.history])
        sliders.margins = (0, 0, 0, 0)
        self.extend([sliders, self.copy_button, self.clusters_section])
        self._resting = QSignalDebouncer(parent=self.native)
        self._resting.setTimeout(MEASURED_AFTER)
        self._resting.triggered.connect(self._measure)
        self.granularity.changed.connect(self._show_segments)
        self.smallest.changed.connect(self._show_segments)
        self.history.changed.connect(self._on_history_changed)
        self.copy_button.changed.connect(self._copy)

    def show_run(self, ended: FinishedRun) -> None:
        """Take over a run that has just ended.

        Parameters
        ----------
        ended : FinishedRun
            The run.
        """
        self.ended = ended
        self.clusters_section.visible = ended.has_segments
        if not ended.has_segments:
            self._to_measure = None
            return
        self._measure_soon(ended.clusters.layer, ended.outcome.history.labels(-1))
        self.clusters.show_layer(ended.clusters.layer)
        last = len(ended.outcome.history.iterations) - 1
        with self.history.changed.blocked():
            self.history.max = max(1, last)
            self.history.value = last

    def allow(self, allowed: bool) -> None:
        """Switch the controls on, where there is a run, or off.

        Parameters
        ----------
        allowed : bool
            Off while another run is going on.
        """
        self.visible = self.ended is not None
        ended = self.ended if allowed else None
        has_segments = ended is not None and ended.has_segments
        self.clusters.enabled = has_segments
        if not allowed:
            self.clusters.show_all()
        self.copy_button.enabled = ended is not None
        self.granularity.enabled = self.smallest.enabled = has_segments
        n_pictures = len(ended.outcome.history.iterations) if ended is not None else 0
        self.history.enabled = has_segments and n_pictures > 1

    @property
    def _cut(self) -> dict[str, Any]:
        """How the sliders cut the hierarchy, as keywords."""
        cut: dict[str, Any] = {"granularity": self.granularity.value}
        return cut | {"min_size": self.smallest.value} if self.smallest.value else cut

    def _show_segments(self) -> None:
        """Show the segments of the last run."""
        ended = self.ended
        if ended is None or ended.outcome.hierarchy is None:
            return
        how = self._cut
        # one data type for all cuts, so that napari need not build the layer anew
        cut = ended.outcome.hierarchy.cut(**how).astype(np.uint16)
        ended.segments = self._put(ended, ended.segments, cut, "segments", how)
        n_segments = int(cut.max())
        self._say("1 segment" if n_segments == 1 else f"{n_segments} segments")

    def _copy(self) -> None:
        """Put the run on the clipboard as Python."""
        ended = self.ended
        if ended is None:
            return
        if ended.outcome.is_steered:
            self._say(
                "strokes steered this run, and no script can draw them: save their layer, and give "
                "it to segment(…, strokes=…)"
            )
            return
        cut = self._cut if ended.segments else None
        script = python_script(ended.request, ended.outcome, ended.image, cut)
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(script)
            self._say("the script of the last run is on the clipboard")

    def _on_history_changed(self, index: int) -> None:
        """Show the clusters of an earlier iteration of the last run."""
        ended = self.ended
        if ended is None:
            return
        history = ended.outcome.history
        labels, iteration = history.labels(index), history.iterations[index]
        n_clusters = np.count_nonzero(np.bincount(labels.ravel())[1:])
        how = {"iterations": iteration, "clusters": n_clusters}
        ended.clusters = self._put(ended, ended.clusters, labels, "segmentation", how)
        self.clusters.show_layer(ended.clusters.layer)
        self._say(f"{n_clusters} clusters at iteration {iteration}")

    def _on_clusters_changed(self, layer: napari.layers.Labels) -> None:
        ended = self.ended
        if ended is not None:
            axes = ended.request.axes
            self._measure_soon(layer, from_layer_axes(layer.data, ended.image, axes))

    def _put(
        self,
        ended: FinishedRun,
        shown: LayerSnapshot | None,
        labels: Labels,
        kind: str,
        how: dict[str, Any],
    ) -> LayerSnapshot:
        """Put labels into the layer that shows their kind, or a new one if it was painted on."""
        data = to_layer_axes(labels, ended.image, ended.request.axes)
        if shown is None or shown.layer not in self._viewer.layers or shown.was_edited:
            layer = self._viewer.add_labels(
                data,
                name=f"{ended.image.name} {kind}",
                **labels_keywords(ended.image, ended.request.axes),
            )
        else:
            layer = shown.layer
            layer.data = data
        layer.metadata["napari-unsupseg"] = ended.outcome.record | how
        self._measure_soon(layer, labels)
        return LayerSnapshot(layer, data.copy())

    def _measure_soon(self, layer: napari.layers.Labels, labels: Labels) -> None:
        """Have a layer's regions measured, as soon as no other labels follow at once."""
        layer.features = None  # those of what it showed before
        self._to_measure = layer, labels
        self._resting.throttle()

    def _measure(self) -> None:
        """Measure regions out of the window's way."""
        ended, measured = self.ended, self._to_measure
        if ended is None or measured is None:
            return
        layer, labels = measured

        def set_features(features: dict[str, NDArray[np.number]]) -> None:
            if measured is self._to_measure:
                layer.features = features
                show_names(layer)

        create_worker(
            region_features,
            labels,
            ended.image,
            ended.request.axes,
            _connect={"returned": set_features},
        )
