"""The layers of a run that the panel's views show: clusters, segments and objects."""

import copy
import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import napari.layers
import numpy as np

from napari_unsupseg._typing import Labels
from napari_unsupseg.plugin.labels_layers import has_names, record_origin, replace_labels
from napari_unsupseg.plugin.output_layers import OutputLayers
from napari_unsupseg.plugin.region_tables import RegionTables
from napari_unsupseg.plugin.run_data import RunRequest
from napari_unsupseg.plugin.saved_run import SavedView
from napari_unsupseg.plugin.session import LayerRun, View

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["LayerSnapshot", "ViewLayers"]

KINDS = {View.CLUSTERS: "segmentation", View.SEGMENTS: "segments", View.OBJECTS: "objects"}


@dataclasses.dataclass(frozen=True, eq=False)
class LayerSnapshot:
    """A layer, and a copy of the labels that were written into it.

    Attributes
    ----------
    run : LayerRun
        The run that the labels are of.
    layer : napari.layers.Labels
        The layer.
    data : ndarray of unsigned integers or None
        Its data; None of a large image, whose layer nobody can paint on.
    sentence : str
        What the panel says of these labels.
    names : dict of int to str
        Names that labels were given as they were written.
    """

    run: LayerRun
    layer: napari.layers.Labels
    data: Labels | None
    sentence: str
    names: dict[int, str] = dataclasses.field(default_factory=dict)

    @property
    def was_edited(self) -> bool:
        """Whether the user has painted on the layer since, or named or classed its regions."""
        return has_names(self.layer, besides=self.names) or not self.has_its_labels

    @property
    def has_its_labels(self) -> bool:
        """Whether the layer shows the labels that were written into it."""
        return self.data is None or np.array_equal(self.layer.data, self.data)


class ViewLayers:
    """Layers of the last run, of which the chosen view's alone is visible.

    Which are visible changes only when a view is chosen, a run begins or a layer comes: what a user
    shows or hides by hand stays so.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the layers are.
    outputs : OutputLayers
        Adds them.
    tables : RegionTables
        Measures them.

    Attributes
    ----------
    view : View
        The view that was chosen last.
    """

    def __init__(
        self, viewer: "napari.viewer.Viewer", outputs: OutputLayers, tables: RegionTables
    ) -> None:
        self._viewer = viewer
        self._outputs = outputs
        self._tables = tables
        self._snapshots: dict[View, LayerSnapshot] = {}
        self._of_other_images: dict[LayerRun, dict[View, LayerSnapshot]] = {}  # of the same run
        self.view = View.CLUSTERS

    def snapshot(self, view: View) -> LayerSnapshot | None:
        """Return what a view shows, unless its layer is gone or was never made."""
        found = self._snapshots.get(view)
        return found if found is not None and found.layer in self._viewer.layers else None

    def is_made(self, view: View, run: LayerRun) -> bool:
        """Tell whether a view has a layer with labels of a run."""
        found = self.snapshot(view)
        return found is not None and found.run is run

    def view_of(self, layer: napari.layers.Labels) -> View | None:
        """Return the view that shows a layer, if one does."""
        shown = self._snapshots.items()
        return next((view for view, snapshot in shown if snapshot.layer == layer), None)

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
        last = self._snapshots[View.CLUSTERS]
        if last.layer in self._viewer.layers and not last.was_edited:
            return last.layer
        if last.data is None:
            return self._outputs.add_blank(last.run.image, request)
        return self._outputs.add(last.run.image, last.run.layout, last.data)

    def begin_run(self, layer: napari.layers.Labels) -> None:
        """Show the labels of a run that begins, and nothing of the run before.

        Parameters
        ----------
        layer : napari.layers.Labels
            What the run writes into.
        """
        self.view = View.CLUSTERS
        for snapshot in self._snapshots.values():
            snapshot.layer.visible = snapshot.layer == layer

    def end_run(self, snapshot: LayerSnapshot) -> None:
        """Take over the labels of a run that has ended.

        Parameters
        ----------
        snapshot : LayerSnapshot
            Its clusters.
        """
        if snapshot.run.request.previous is None:  # one that was continued goes on in its layers
            self._snapshots = {}
        self._of_other_images.clear()
        self._snapshots[View.CLUSTERS] = snapshot

    def turn_to(self, snapshot: LayerSnapshot) -> None:
        """Take over another image of a run on several; what was made of each comes again.

        Parameters
        ----------
        snapshot : LayerSnapshot
            Its clusters.
        """
        self._of_other_images[self._snapshots[View.CLUSTERS].run] = self._snapshots
        made = self._of_other_images.pop(snapshot.run, {})
        self._snapshots = {View.CLUSTERS: snapshot} | made

    def save(self, run: LayerRun) -> dict[str, SavedView]:
        """Return what the views of a run show, by their names; copies of it.

        Parameters
        ----------
        run : LayerRun
            The run.

        Returns
        -------
        dict of str to SavedView
            Of the views that there are layers of.
        """
        saved = {}
        for view, snapshot in self._snapshots.items():
            if self.is_made(view, run) and snapshot.data is not None:
                labels = written = run.layout.from_layer(snapshot.data)
                if not snapshot.has_its_labels:
                    labels = run.layout.from_layer(snapshot.layer.data).copy()
                record = copy.deepcopy(snapshot.layer.metadata.get("napari-unsupseg", {}))
                saved[view.name] = SavedView(
                    labels, written, record, snapshot.sentence, dict(snapshot.names)
                )
        return saved

    def restore(self, run: LayerRun, saved: Mapping[str, SavedView]) -> None:
        """Show what the views of a run showed when it was saved.

        Parameters
        ----------
        run : LayerRun
            The run; its clusters are in its layer already.
        saved : mapping of str to SavedView
            What they showed, by their names.
        """
        for name, one in saved.items():
            view, layer = View[name], run.labels
            if view is not View.CLUSTERS:
                layer = self._add(run, view, run.layout.to_layer(one.labels))
            record_origin(layer, one.record)
            written = run.layout.to_layer(one.written)
            self._snapshots[view] = LayerSnapshot(run, layer, written, one.sentence, one.names)

    def choose(self, view: View) -> None:
        """Show the layer of a view, if it is there, and hide those of the others.

        Parameters
        ----------
        view : View
            The view.
        """
        self.view = view
        for kind, snapshot in self._snapshots.items():
            snapshot.layer.visible = kind is view
        chosen = self.snapshot(view)
        if chosen is not None:
            self._viewer.layers.selection.active = chosen.layer

    def show(
        self, run: LayerRun, view: View, labels: Labels, origin: dict[str, Any], sentence: str
    ) -> napari.layers.Labels:
        """Show labels in the layer of a view, or in a new one if the user has edited that.

        Parameters
        ----------
        run : LayerRun
            The run, with its result.
        view : View
            What the labels are.
        labels : ndarray of unsigned integers, shape (..., Y, X)
            Labels of its image.
        origin : dict
            How they were made, for the metadata.
        sentence : str
            What the panel says of them.

        Returns
        -------
        napari.layers.Labels
            The layer; one that was edited is hidden and kept.
        """
        assert run.result is not None
        data, before = run.layout.to_layer(labels), self.snapshot(view)
        if before is None or before.was_edited:
            layer = self._add(run, view, data)
            if before is not None:
                before.layer.visible = False
        else:
            layer = before.layer
            replace_labels(layer, data)
        # with how these labels were made, which other labels of the run were not
        record_origin(layer, run.result.record | origin)
        names = origin.get("names", {})
        self._snapshots[view] = LayerSnapshot(run, layer, data.copy(), sentence, names)
        return layer

    def _add(self, run: LayerRun, view: View, data: Labels) -> napari.layers.Labels:
        """Add a layer; it is seen and active if its view is the chosen one."""
        active = self._viewer.layers.selection.active
        layer = self._outputs.add(run.image, run.layout, data, KINDS[view])
        if view is not self.view:
            layer.visible = False
            self._viewer.layers.selection.active = active
        ndim = run.request.options.get("spatial_ndim", 2) if view is View.OBJECTS else None
        self._tables.follow(layer, run, objects_ndim=ndim)
        return layer
