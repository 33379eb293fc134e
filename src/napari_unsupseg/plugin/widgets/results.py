"""What can be done with the last run: other granularities, earlier iterations, a table, Python."""

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
    show_cluster_names,
    to_layer_axes,
)
from napari_unsupseg.plugin.script import python_script
from napari_unsupseg.plugin.session import Actions, Run
from napari_unsupseg.plugin.widgets.cluster_table import ClusterTable
from napari_unsupseg.plugin.widgets.controls import CollapsibleSection

if TYPE_CHECKING:
    import napari.viewer

    from napari_unsupseg.plugin.run_data import RunResult

__all__ = ["LayerSnapshot", "Results"]

MEASURE_DELAY = 300  # milliseconds after a slider has come to rest


@dataclasses.dataclass(frozen=True, eq=False)
class LayerSnapshot:
    """A layer, and a copy of the labels that were written into it.

    Attributes
    ----------
    layer : napari.layers.Labels
        The layer.
    data : ndarray of unsigned integers or None
        Its data; None of a large image, whose layer nobody can paint on.
    """

    layer: napari.layers.Labels
    data: Labels | None

    @property
    def was_edited(self) -> bool:
        """Whether the user has painted on the layer since, or named its clusters."""
        is_named = bool(self.layer.metadata.get("napari-unsupseg", {}).get("names"))
        return is_named or (
            self.data is not None and not np.array_equal(self.layer.data, self.data)
        )


class Results(Container[Widget]):
    """Controls of the last run that has ended.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where its layers are.
    show_status : callable
        Shows in a sentence what the layers show.

    Attributes
    ----------
    run : Run or None
        The last run that has left labels.
    clusters_snapshot, segments_snapshot : LayerSnapshot or None
        The layers that show its clusters and its segments.
    """

    def __init__(self, viewer: "napari.viewer.Viewer", show_status: Callable[[str], None]) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._viewer = viewer
        self._show_status = show_status
        self._to_measure: tuple[napari.layers.Labels, Labels] | None = None
        self.run: Run | None = None
        self.clusters_snapshot: LayerSnapshot | None = None
        self.segments_snapshot: LayerSnapshot | None = None
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
        self._measuring = QSignalDebouncer(parent=self.native)
        self._measuring.setTimeout(MEASURE_DELAY)
        self._measuring.triggered.connect(self._measure)
        self.granularity.changed.connect(self._show_segments)
        self.smallest.changed.connect(self._show_segments)
        self.history.changed.connect(self._on_history_changed)
        self.copy_button.changed.connect(self._copy)

    def show_run(self, run: Run) -> None:
        """Take over a run that has just ended.

        Parameters
        ----------
        run : Run
            The run, with its result.
        """
        self.run, result = run, _result_of(run)
        # a copy, since the user paints on the array that the layer has
        data = run.labels.data.copy() if result.lazy_labels is None else None
        self.clusters_snapshot = LayerSnapshot(run.labels, data)
        if run.request.previous is None:  # one that was continued goes on in its layers
            self.segments_snapshot = None
        self.clusters_section.visible = run.has_segments
        if not run.has_segments:
            self._to_measure = None
            return
        self._measure_soon(run.labels, result.history.labels(-1))
        self.clusters.show_layer(run.labels)
        last = len(result.history.iterations) - 1
        with self.history.changed.blocked():  # its labels are on the screen already
            self.history.max = max(1, last)
            self.history.value = last

    def show_actions(self, actions: Actions) -> None:
        """Switch the controls on or off.

        Parameters
        ----------
        actions : Actions
            What is possible now.
        """
        self.visible = self.run is not None
        self.clusters.enabled = actions.cut_segments
        if not actions.copy_script:  # another run may change the clusters that are hidden
            self.clusters.show_all()
        self.copy_button.enabled = actions.copy_script
        self.granularity.enabled = self.smallest.enabled = actions.cut_segments
        self.history.enabled = actions.show_history

    @property
    def _cut(self) -> dict[str, Any]:
        """How the sliders cut the hierarchy, as keywords."""
        cut: dict[str, Any] = {"granularity": self.granularity.value}
        return cut | {"min_size": self.smallest.value} if self.smallest.value else cut

    def _show_segments(self) -> None:
        """Cut the hierarchy of the last run as the sliders say, and show the segments."""
        run = self.run
        hierarchy = None if run is None else _result_of(run).hierarchy
        if run is None or hierarchy is None:
            return
        cut = self._cut
        segments = hierarchy.cut(**cut)
        # one data type for nearly all cuts, so that napari need not build the layer anew
        segments = segments.astype(np.promote_types(segments.dtype, np.uint16))
        self.segments_snapshot = self._show_labels(
            run, self.segments_snapshot, segments, "segments", cut
        )
        n_segments = int(segments.max())
        self._show_status("1 segment" if n_segments == 1 else f"{n_segments} segments")

    def _copy(self) -> None:
        """Put the last run on the clipboard as Python."""
        run = self.run
        if run is None:
            return
        result = _result_of(run)
        if result.is_steered:
            self._show_status(
                "strokes steered this run, and no script can draw them: save their layer, and give "
                "it to segment(…, strokes=…)"
            )
            return
        cut = self._cut if self.segments_snapshot else None  # only what is on the screen
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(python_script(run.request, result, run.image, cut))
            self._show_status("the script of the last run is on the clipboard")

    def _on_history_changed(self, index: int) -> None:
        """Show the clusters of an earlier iteration of the last run."""
        run = self.run
        if run is None:
            return
        history = _result_of(run).history
        labels, iteration = history.labels(index), history.iterations[index]
        n_clusters = np.count_nonzero(np.bincount(labels.ravel())[1:])
        origin = {"iterations": iteration, "clusters": n_clusters}
        snapshot = self._show_labels(run, self.clusters_snapshot, labels, "segmentation", origin)
        self.clusters_snapshot = snapshot
        self.clusters.show_layer(snapshot.layer)
        self._show_status(f"{n_clusters} clusters at iteration {iteration}")

    def _on_clusters_changed(self, layer: napari.layers.Labels) -> None:
        if self.run is not None:
            labels = from_layer_axes(layer.data, self.run.image, self.run.request.axes)
            self._measure_soon(layer, labels)

    def _show_labels(
        self,
        run: Run,
        snapshot: LayerSnapshot | None,
        labels: Labels,
        kind: str,
        origin: dict[str, Any],
    ) -> LayerSnapshot:
        """Show labels in the layer of their kind, or in a new one if the user has edited that."""
        axes = run.request.axes
        data = to_layer_axes(labels, run.image, axes)
        if snapshot is None or snapshot.layer not in self._viewer.layers or snapshot.was_edited:
            layer = self._viewer.add_labels(
                data, name=f"{run.image.name} {kind}", **labels_keywords(run.image, axes)
            )
        else:
            layer = snapshot.layer
            layer.data = data
        # with how these labels were made, which other labels of the run were not
        layer.metadata["napari-unsupseg"] = _result_of(run).record | origin
        self._measure_soon(layer, labels)
        return LayerSnapshot(layer, data.copy())

    def _measure_soon(self, layer: napari.layers.Labels, labels: Labels) -> None:
        """Have the regions of a layer measured, as soon as no other labels follow at once."""
        layer.features = None  # those of what it showed before
        self._to_measure = layer, labels
        self._measuring.throttle()

    def _measure(self) -> None:
        """Measure regions in another thread."""
        run, to_measure = self.run, self._to_measure
        if run is None or to_measure is None:
            return
        layer, labels = to_measure

        def set_features(features: dict[str, NDArray[np.number]]) -> None:
            if to_measure is self._to_measure:  # the layer shows no other labels by now
                layer.features = features
                show_cluster_names(layer)

        create_worker(
            region_features,
            labels,
            run.image,
            run.request.axes,
            _connect={"returned": set_features},
        )


def _result_of(run: Run) -> "RunResult":
    """Return the result of a run that has ended."""
    assert run.result is not None
    return run.result
