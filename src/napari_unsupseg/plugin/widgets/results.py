"""What can be done with the last run: granularities, objects, earlier iterations, Python."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import napari.layers
import numpy as np
from magicgui.widgets import Container, FloatSlider, PushButton, Slider, SpinBox, Widget
from numpy.typing import NDArray
from qtpy.QtWidgets import QApplication

from napari_unsupseg._typing import Labels
from napari_unsupseg._words import count
from napari_unsupseg.plugin.labels_layers import replace_labels
from napari_unsupseg.plugin.object_finder import ObjectFinder
from napari_unsupseg.plugin.output_layers import OutputLayers
from napari_unsupseg.plugin.region_tables import RegionTables
from napari_unsupseg.plugin.run_data import RunRequest
from napari_unsupseg.plugin.script import python_script
from napari_unsupseg.plugin.session import Actions, LayerRun
from napari_unsupseg.plugin.widgets.cluster_table import ClusterTable
from napari_unsupseg.plugin.widgets.controls import CollapsibleSection, narrow_readout
from napari_unsupseg.plugin.widgets.objects_section import ObjectsSection
from napari_unsupseg.plugin.widgets.progress_text import result_text

if TYPE_CHECKING:
    import napari.viewer

    from napari_unsupseg.plugin.run_data import RunResult

__all__ = ["LayerSnapshot", "Results"]

NO_OBJECTS = (
    "no objects: nothing stands out as round things do; select the clusters that objects are made "
    "of in the table, and choose them under Objects"
)


@dataclasses.dataclass(frozen=True, eq=False)
class LayerSnapshot:
    """A layer, and a copy of the labels that were written into it.

    Attributes
    ----------
    layer : napari.layers.Labels
        The layer.
    data : ndarray of unsigned integers or None
        Its data; None of a large image, whose layer nobody can paint on.
    sentence : str
        What the panel says of these labels.
    """

    layer: napari.layers.Labels
    data: Labels | None
    sentence: str

    @property
    def was_edited(self) -> bool:
        """Whether the user has painted on the layer since, or named its clusters."""
        is_named = bool(self.layer.metadata.get("napari-unsupseg", {}).get("names"))
        return is_named or not self.has_its_labels

    @property
    def has_its_labels(self) -> bool:
        """Whether the layer shows the labels that were written into it."""
        return self.data is None or np.array_equal(self.layer.data, self.data)


class Results(Container[Widget]):
    """Controls of the last run that has ended.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where its layers are.
    outputs : OutputLayers
        Adds them.
    show_status : callable
        Shows in a sentence what the layers show.

    Attributes
    ----------
    run : LayerRun or None
        The last run that has left labels.
    clusters_snapshot, segments_snapshot, objects_snapshot : LayerSnapshot or None
        The layers that show its clusters, its segments and its objects.
    """

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        outputs: OutputLayers,
        show_status: Callable[[str], None],
    ) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._viewer = viewer
        self._outputs = outputs
        self._show_status = show_status
        self._tables = RegionTables(self._on_edited, self.native)
        self.run: LayerRun | None = None
        self.clusters_snapshot: LayerSnapshot | None = None
        self.segments_snapshot: LayerSnapshot | None = None
        self.objects_snapshot: LayerSnapshot | None = None
        self._finder = ObjectFinder(self._show_objects)
        self._object_options: dict[str, Any] = {}  # of those that are shown
        self.granularity = FloatSlider(
            label="granularity",
            value=0.5,
            min=0,
            max=1,
            step=0.01,
            enabled=False,
            tooltip="Segments of the last run, from 0 (the finest) to 1 (a single one).",
        )
        narrow_readout(self.granularity, "0.00")
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
        self.clusters = ClusterTable()
        self.clusters_section = CollapsibleSection("Clusters", [self.clusters])
        self.objects_section = ObjectsSection(self._find_objects, self._find_other_objects)
        sliders = Container[Widget]()
        sliders.extend([self.granularity, self.smallest, self.history])
        sliders.margins = (0, 0, 0, 0)
        self.extend([sliders, self.copy_button, self.clusters_section, self.objects_section])
        self.granularity.changed.connect(self._show_segments)
        self.smallest.changed.connect(self._show_segments)
        self.history.changed.connect(self._on_history_changed)
        self.copy_button.changed.connect(self._copy)
        self.clusters.table.itemSelectionChanged.connect(self._on_clusters_selected)

    def release(self, layer: napari.layers.Labels) -> None:
        """Measure a layer no more, since a run writes into it or it is gone.

        Parameters
        ----------
        layer : napari.layers.Labels
            The layer.
        """
        self._tables.leave(layer)
        if layer not in self._viewer.layers:
            self.clusters.leave(layer)

    def measure(self, run: LayerRun) -> None:
        """Keep the table of features of a run that has ended true to its labels.

        Parameters
        ----------
        run : LayerRun
            The run, with or without a result.
        """
        is_shown = run.labels in self._viewer.layers
        if is_shown and run.request.pyramid is None:  # those of a large image are nowhere whole
            self._tables.follow(run.labels, run)

    def layer_to_go_on_in(self, request: RunRequest) -> napari.layers.Labels:
        """Return the layer of the last run, or a new one if it is gone or was painted on.

        Parameters
        ----------
        request : RunRequest
            What is to be run on the image of the last run.

        Returns
        -------
        napari.layers.Labels
            The layer.
        """
        run, snapshot = self.run, self.clusters_snapshot
        assert run is not None
        assert snapshot is not None
        if snapshot.layer in self._viewer.layers and not snapshot.was_edited:
            return snapshot.layer
        if snapshot.data is None:
            return self._outputs.add_blank(run.image, request)
        return self._outputs.add(run.image, run.layout, snapshot.data)

    def leave_search(self) -> None:
        """Show no objects that are being found."""
        self._finder.leave()

    def close(self) -> None:
        """Measure and find nothing more: the panel is gone."""
        self._tables.close()
        self._finder.leave()

    def show_run(self, run: LayerRun) -> None:
        """Take over a run that has just ended.

        Parameters
        ----------
        run : LayerRun
            The run, with its result.
        """
        self.run, result = run, _result_of(run)
        # a copy, since the user paints on the array that the layer has
        data = run.labels.data.copy() if result.lazy_labels is None else None
        sentence = result_text(result)
        if run.is_image_replaced:
            sentence += f", of data that {run.image.name} no longer has"
        self.clusters_snapshot = LayerSnapshot(run.labels, data, sentence)
        self._show_status(sentence)
        if run.request.previous is None:  # one that was continued goes on in its layers
            self.segments_snapshot = self.objects_snapshot = None
        self.clusters_section.visible = self.objects_section.visible = run.has_segments
        if not run.has_segments:
            return
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
        self.clusters.enabled = self.objects_section.enabled = actions.cut_segments
        self.clusters.update_areas()
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
        segments = _two_bytes(hierarchy.cut(**cut))
        sentence = count(int(segments.max()), "segment")
        self.segments_snapshot = self._show_labels(
            run, self.segments_snapshot, segments, "segments", cut, sentence
        )

    def _find_objects(self) -> None:
        """Find the objects of the last run as the controls say."""
        if self.run is None or not self.run.has_segments:
            return
        options = self.objects_section.keywords
        if not self.objects_section.is_automatic:
            if not self.clusters.selected:
                self._show_status("select the clusters that objects are made of, in the table")
                return
            options |= {"foreground": self._selected_foreground(self.run)}
        if not self._finder.is_searching:
            self._show_status("finding objects…")
        self._finder.find(self.run, options)

    def _selected_foreground(self, run: LayerRun) -> list[int] | NDArray[np.bool_]:
        """Return the clusters selected in the table, or their pixels if they are not the run's."""
        snapshot = self.clusters_snapshot
        assert snapshot is not None
        if snapshot.has_its_labels and self.history.value == self.history.max:
            return self.clusters.selected
        # merged, painted on or of an earlier iteration: the run knows no such numbers
        return np.isin(run.layout.from_layer(snapshot.layer.data), self.clusters.selected)

    def _find_other_objects(self) -> None:
        """Find objects again where there are some, as the controls say now."""
        snapshot = self.objects_snapshot
        is_shown = snapshot is not None and snapshot.layer in self._viewer.layers
        if is_shown or self._finder.is_searching:
            self._find_objects()

    def _on_clusters_selected(self) -> None:
        """Find objects of other clusters, where they are made of those selected."""
        if not self.objects_section.is_automatic and self.clusters.selected:
            self._find_other_objects()

    def _show_objects(self, run: LayerRun, options: dict[str, Any], objects: Labels) -> None:
        """Show objects that were found, unless another run has ended meanwhile."""
        if run is not self.run:
            return
        n_objects = int(objects.max())
        sentence = count(n_objects, "object") if n_objects else NO_OBJECTS
        before = self.objects_snapshot
        self.objects_snapshot = self._show_labels(
            run, before, _two_bytes(objects), "objects", _recorded(options), sentence
        )
        self._object_options = options
        if before is None:  # clusters and segments would cover them
            for snapshot in (self.clusters_snapshot, self.segments_snapshot):
                if snapshot is not None:
                    snapshot.layer.visible = False

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
        # only what was made
        cut = self._cut if self.segments_snapshot else None
        options = self._object_options if self.objects_snapshot else None
        if options and isinstance(options.get("foreground"), np.ndarray):
            self._show_status(
                "these objects are made of clusters that were changed by hand, which no script "
                "can do: save the layer of clusters, and give a mask of it to hierarchy_.objects"
            )
            return
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(python_script(run.request, result, run.image, cut, options))
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
        sentence = f"{count(n_clusters, 'cluster')} at iteration {iteration}"
        self.clusters_snapshot = self._show_labels(
            run, self.clusters_snapshot, labels, "segmentation", origin, sentence
        )
        self.clusters.show_layer(self.clusters_snapshot.layer)

    def _on_edited(self, layer: napari.layers.Labels) -> None:
        """Say what is left after a user or a program has edited a layer."""
        self.clusters.update_areas()
        for snapshot in (self.clusters_snapshot, self.segments_snapshot, self.objects_snapshot):
            if snapshot is not None and snapshot.layer == layer and snapshot.has_its_labels:
                self._show_status(snapshot.sentence)  # all edits were taken back
                return
        n_labels = np.count_nonzero(np.unique(layer.data))
        self._show_status(f"{count(n_labels, 'label')} left in {layer.name}")

    def _show_labels(
        self,
        run: LayerRun,
        snapshot: LayerSnapshot | None,
        labels: Labels,
        kind: str,
        origin: dict[str, Any],
        sentence: str,
    ) -> LayerSnapshot:
        """Show labels in the layer of their kind, or in a new one if the user has edited that."""
        data = run.layout.to_layer(labels)
        if snapshot is None or snapshot.layer not in self._viewer.layers or snapshot.was_edited:
            layer = self._outputs.add(run.image, run.layout, data, kind)
            ndim = run.request.options.get("spatial_ndim", 2) if kind == "objects" else None
            self._tables.follow(layer, run, objects_ndim=ndim)
        else:
            layer = snapshot.layer
            replace_labels(layer, data)
        # with how these labels were made, which other labels of the run were not
        layer.metadata["napari-unsupseg"] = _result_of(run).record | origin
        self._show_status(sentence)
        return LayerSnapshot(layer, data.copy(), sentence)


def _two_bytes(labels: Labels) -> Labels:
    """Return labels of two bytes at least: nearly all are then of one data type.

    For labels of another napari would build the layer anew.
    """
    return labels.astype(np.promote_types(labels.dtype, np.uint16))


def _recorded(options: dict[str, Any]) -> dict[str, Any]:
    """Return how objects were made, fit for JSON: of a mask only that there was one."""
    is_mask = isinstance(options.get("foreground"), np.ndarray)
    return options | {"foreground": "mask"} if is_mask else options


def _result_of(run: LayerRun) -> "RunResult":
    """Return the result of a run that has ended."""
    assert run.result is not None
    return run.result
