"""The layers of a run that the panel's views show: clusters, segments and objects."""

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import napari.layers
import numpy as np

from napari_unsupseg._typing import Labels
from napari_unsupseg.plugin.labels_layers import has_names, record_origin, replace_labels
from napari_unsupseg.plugin.layer_edits import LayerEdits
from napari_unsupseg.plugin.output_layers import OutputLayers
from napari_unsupseg.plugin.region_tables import RegionTables
from napari_unsupseg.plugin.run_data import RunRequest
from napari_unsupseg.plugin.saved_run import SavedView
from napari_unsupseg.plugin.session import LayerRun, View
from napari_unsupseg.regions.edits import EditHistory

if TYPE_CHECKING:
    import napari.viewer

    from napari_unsupseg.segmenter import Segmenter

__all__ = ["LayerSnapshot", "ViewLayers"]

MAX_RUNS = 5  # that are kept: the hierarchy and the network of each take memory
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
    edits : LayerEdits or None
        What the user has corrected of segments or objects, which holds for the next labels too.
    """

    run: LayerRun
    layer: napari.layers.Labels
    data: Labels | None
    sentence: str
    names: dict[int, str] = dataclasses.field(default_factory=dict)
    edits: LayerEdits | None = None

    @property
    def has_work(self) -> bool:
        """Whether the user would lose work if the layer had other labels: names, or edits."""
        loses_edits = not (self.has_its_labels if self.edits is None else self.edits.fits)
        return has_names(self.layer, besides=self.names) or loses_edits

    @property
    def has_its_labels(self) -> bool:
        """Whether the layer shows the labels that were written into it."""
        return self.data is None or np.array_equal(self.layer.data, self.data)


class ViewLayers:
    """Layers of the last runs; of the run at hand the chosen view's alone is visible.

    Which are visible changes only when a view is chosen, a run begins or is chosen, or a layer
    comes: what a user shows or hides by hand stays so. A run on several images counts as one for
    each of them.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the layers are.
    outputs : OutputLayers
        Adds them.
    tables : RegionTables
        Measures them.
    on_corrected : callable
        Called when the user has corrected segments or objects, or has taken that back.

    Attributes
    ----------
    run : LayerRun or None
        The run at hand.
    view : View
        Its view that was chosen last.
    """

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        outputs: OutputLayers,
        tables: RegionTables,
        on_corrected: Callable[[], None],
    ) -> None:
        self._viewer = viewer
        self._outputs = outputs
        self._tables = tables
        self._on_corrected = on_corrected
        # what the views of each run show that is kept, the one that ended last at the end
        self._made: dict[LayerRun, dict[View, LayerSnapshot]] = {}
        self.run: LayerRun | None = None
        self.view = View.CLUSTERS

    @property
    def _snapshots(self) -> dict[View, LayerSnapshot]:
        """What the views of the run at hand show."""
        return {} if self.run is None else self._made[self.run]

    def snapshot(self, view: View) -> LayerSnapshot | None:
        """Return what a view shows, unless its layer is gone or was never made."""
        found = self._snapshots.get(view)
        return found if found is not None and found.layer in self._viewer.layers else None

    def is_made(self, view: View, run: LayerRun) -> bool:
        """Tell whether a view has a layer with labels of a run."""
        found = self.snapshot(view)
        return found is not None and found.run is run

    def view_of(self, layer: napari.layers.Layer | None) -> View | None:
        """Return the view that shows a layer, if one does."""
        shown = self._snapshots.items()
        return next((view for view, snapshot in shown if snapshot.layer == layer), None)

    def layer_to_go_on_in(self, request: RunRequest) -> napari.layers.Labels:
        """Return the layer of the last run, or a new one if it is gone or was changed by hand.

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
        if last.layer in self._viewer.layers and not last.has_work:
            return last.layer
        if last.data is None:
            return self._outputs.add_blank(last.run.image, request)
        return self._outputs.add(last.run.image, last.run.layout, last.data)

    def begin_run(self, layer: napari.layers.Labels) -> None:
        """Show the labels of a run that begins, and nothing of the runs before.

        Parameters
        ----------
        layer : napari.layers.Labels
            What the run writes into.
        """
        self.view = View.CLUSTERS
        for made in self._made.values():
            for snapshot in made.values():
                snapshot.layer.visible = snapshot.layer == layer

    def end_run(self, clusters: Sequence[LayerSnapshot]) -> None:
        """Take over the labels of a run that has ended, which is the run at hand from now on.

        Of the runs before the last are kept, without one that was continued, or begun anew in the
        same layer.

        Parameters
        ----------
        clusters : sequence of LayerSnapshot
            The clusters of each of its images, first those of the one that it was asked for on.
        """
        network = _network_of(clusters[0].run)
        layers = [snapshot.layer for snapshot in clusters]
        before = self._made
        self._made = {
            run: made
            for run, made in before.items()
            if _network_of(run) is not network and made[View.CLUSTERS].layer not in layers
        }
        # one that was continued goes on in its layers
        continued = {
            run.image_index: made for run, made in before.items() if _network_of(run) is network
        }
        for snapshot in clusters:
            made = continued.get(snapshot.run.image_index, {})
            self._made[snapshot.run] = made | {View.CLUSTERS: snapshot}
        self.run = clusters[0].run
        self._end_edits(before)
        self._keep(list(dict.fromkeys(map(_network_of, self._made)))[-MAX_RUNS:])

    def run_of(self, layer: napari.layers.Layer | None) -> LayerRun | None:
        """Return the run that a layer belongs to, as its image or as what shows its labels.

        Parameters
        ----------
        layer : napari.layers.Layer or None
            Any layer.

        Returns
        -------
        LayerRun or None
            Of several runs on an image the one at hand, or else the last; None if there is none.
        """
        runs = [] if self.run is None else [self.run, *reversed(self._made)]
        for run in runs:
            if layer == run.image or any(layer == one.layer for one in self._made[run].values()):
                return run
        return None

    def of_all_images(self) -> list[LayerRun]:
        """Return the run at hand as it is of each of its images, in their order."""
        if self.run is None:
            return []
        network = _network_of(self.run)
        return [run for run in self._made if _network_of(run) is network]

    def forget_removed(self) -> None:
        """Keep no run but the one at hand of which no layer is left."""
        self._keep(
            [
                _network_of(run)
                for run, made in self._made.items()
                if run is self.run or any(one.layer in self._viewer.layers for one in made.values())
            ]
        )

    def _keep(self, networks: "Sequence[Segmenter]") -> None:
        """Keep the runs of these networks alone; the layers of others are any layers."""
        before = self._made
        self._made = {run: made for run, made in before.items() if _network_of(run) in networks}
        self._end_edits(before)

    def _end_edits(self, before: Mapping[LayerRun, Mapping[View, LayerSnapshot]]) -> None:
        """Follow corrections no more on layers that were made and are any layers now."""
        kept = [one.edits for made in self._made.values() for one in made.values()]
        for made in before.values():
            for one in made.values():
                if one.edits is not None and one.edits not in kept:
                    one.edits.close()

    def edits(self, view: View) -> LayerEdits | None:
        """Return the corrections of what a view shows, if it shows segments or objects."""
        snapshot = self.snapshot(view)
        return None if snapshot is None else snapshot.edits

    def close(self) -> None:
        """Follow corrections no more: the panel is gone."""
        before, self._made, self.run = self._made, {}, None
        self._end_edits(before)

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
                history = EditHistory()
                if snapshot.edits is not None:
                    snapshot.edits.note()
                    history = snapshot.edits.history
                elif not snapshot.has_its_labels:
                    labels = run.layout.from_layer(snapshot.layer.data).copy()
                record = copy.deepcopy(snapshot.layer.metadata.get("napari-unsupseg", {}))
                saved[view.name] = SavedView(
                    labels, written, record, snapshot.sentence, dict(snapshot.names), history
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
            view, layer, edits = View[name], run.labels, None
            is_clusters = view is View.CLUSTERS
            # a copy, since the user paints on the array that the layer has
            base = run.layout.to_layer(one.written if is_clusters else one.labels).copy()
            if not is_clusters:
                layer, edits = self._add_edited(run, view, base, one.edits)
            record_origin(layer, one.record)
            self._snapshots[view] = LayerSnapshot(run, layer, base, one.sentence, one.names, edits)

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

    def reveal(self) -> None:
        """Show the layer of the view, which a later run may have hidden."""
        chosen = self.snapshot(self.view)
        if chosen is not None:
            chosen.layer.visible = True

    def show(
        self, run: LayerRun, view: View, labels: Labels, origin: dict[str, Any], sentence: str
    ) -> napari.layers.Labels:
        """Show labels in the layer of a view, with the corrections that the user has made there.

        They go to a new one if the user would lose work: clusters changed by hand, or names.

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
            The layer; the one before is hidden and kept if it is another.
        """
        assert run.result is not None
        data, before = run.layout.to_layer(labels), self.snapshot(view)
        base = data.copy()  # the user paints on the array that the layer has
        if before is None or before.has_work:
            # corrections outlast a layer that was removed
            history = _leave_edits(self._snapshots.get(view))
            layer, edits = self._add_edited(run, view, base, history)
            if before is not None:
                before.layer.visible = False
        else:
            layer, edits = before.layer, before.edits
            if edits is None:
                replace_labels(layer, data)
            else:
                edits.rebase(base)
        # with how these labels were made, which other labels of the run were not
        record_origin(layer, run.result.record | origin)
        names = origin.get("names", {})
        self._snapshots[view] = LayerSnapshot(run, layer, base, sentence, names, edits)
        return layer

    def _add_edited(
        self, run: LayerRun, view: View, base: Labels, history: EditHistory
    ) -> tuple[napari.layers.Labels, LayerEdits | None]:
        """Add a layer of labels with corrections, and follow those of segments and objects."""
        layer = self._add(run, view, history.apply(base)[0])
        if view is View.CLUSTERS:
            return layer, None
        return layer, LayerEdits(layer, base, history, self._on_corrected)

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


def _network_of(run: LayerRun) -> "Segmenter":
    """Return what a run trained, by which it is known on each image and however it is continued."""
    assert run.result is not None, "the run has ended"
    return run.result.segmenter


def _leave_edits(snapshot: LayerSnapshot | None) -> EditHistory:
    """Follow no more what the user changes on a layer, and return what there was."""
    if snapshot is None or snapshot.edits is None:
        return EditHistory()
    snapshot.edits.note()
    snapshot.edits.close()
    return snapshot.edits.history
