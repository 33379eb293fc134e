"""What can be done with a run: granularities, objects, earlier iterations, Python."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import napari.layers
import numpy as np
from magicgui.widgets import Container, PushButton, Slider, Widget
from magicgui.widgets.bases import ValueWidget
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error
from numpy.typing import NDArray
from qtpy.QtWidgets import QApplication

from napari_unsupseg._typing import Labels
from napari_unsupseg._words import count
from napari_unsupseg.errors import SettingError, StrokesError, UnsupsegError
from napari_unsupseg.plugin.contributions import open_measurements
from napari_unsupseg.plugin.label_finder import LabelFinder
from napari_unsupseg.plugin.labels_layers import add_uncertainty_layer
from napari_unsupseg.plugin.object_units import object_unit
from napari_unsupseg.plugin.output_layers import OutputLayers
from napari_unsupseg.plugin.region_tables import RegionTables, can_measure_in
from napari_unsupseg.plugin.saved_run import PanelState
from napari_unsupseg.plugin.script import python_script
from napari_unsupseg.plugin.session import Actions, LayerRun, View
from napari_unsupseg.plugin.stroke_layers import StrokeLayers, kind_names
from napari_unsupseg.plugin.view_layers import MAX_RUNS, LayerSnapshot, ViewLayers
from napari_unsupseg.plugin.widgets.cluster_table import ClusterTable
from napari_unsupseg.plugin.widgets.controls import Sentence
from napari_unsupseg.plugin.widgets.layers_button import LayersButton
from napari_unsupseg.plugin.widgets.objects_section import ObjectsSection
from napari_unsupseg.plugin.widgets.progress_text import objects_text, result_text
from napari_unsupseg.plugin.widgets.save_button import SaveButton
from napari_unsupseg.plugin.widgets.segments_section import SegmentsSection
from napari_unsupseg.plugin.widgets.view_buttons import ViewButtons
from napari_unsupseg.regions.hierarchy import Hierarchy
from napari_unsupseg.regions.hierarchy_builder import precompile_objects
from napari_unsupseg.regions.labels import count_labels

if TYPE_CHECKING:
    import napari.viewer

    from napari_unsupseg.plugin.run_data import RunResult

__all__ = ["Results"]

Strokes = NDArray[np.unsignedinteger]

NOUNS = {View.CLUSTERS: "cluster", View.SEGMENTS: "segment", View.OBJECTS: "object"}
UNIT_EVENTS = ("scale", "units")  # of a layer, after which its pixels have another size
NO_STROKES = (
    "press Mark and paint the first kind on some objects, then the second on some of the background"
)
NO_UNCERTAINTY = (
    "how uncertain clusters are is known where a run has trained: train on all of the image"
)


@dataclasses.dataclass(eq=False)
class RunState:
    """What is shown of a run, beside its layers.

    Attributes
    ----------
    strokes : ndarray of unsigned integers, shape (..., Y, X), or None
        Those that the clusters that are shown were made by, if they were.
    objects : dict
        Keywords that the objects that are shown were found by.
    view : View
        The view that was seen when another run was chosen.
    controls : dict
        What the controls said then.
    """

    strokes: Strokes | None = None
    objects: dict[str, Any] = dataclasses.field(default_factory=dict)
    view: View = View.CLUSTERS
    controls: dict[str, Any] = dataclasses.field(default_factory=dict)


class Results(Container[Widget]):
    """Views of the run at hand, one at a time, with the controls of each.

    The run at hand is the last that has ended, until a layer of another one is chosen.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where its layers are.
    outputs : OutputLayers
        Adds them.
    strokes : StrokeLayers
        Has the strokes that say what objects are.
    show_status : callable
        Shows in a sentence what the layers show.

    Attributes
    ----------
    layers : ViewLayers
        The layers that show clusters, segments and objects of runs.
    """

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        outputs: OutputLayers,
        strokes: StrokeLayers,
        show_status: Callable[[str], None],
    ) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._viewer = viewer
        self._strokes = strokes
        self._show_status = show_status
        self._tables = RegionTables(self._on_edited, self.native)
        self.layers = ViewLayers(viewer, outputs, self._tables, self._show_corrections)
        self._states: WeakKeyDictionary[LayerRun, RunState] = WeakKeyDictionary()
        self._finder = LabelFinder(Hierarchy.objects, self._show_objects, self._refuse_objects)
        self._kind_finder = LabelFinder(Hierarchy.kinds, self._show_kinds, self._show_status)
        self._current: LayerRun | None = None  # the run that is going on
        self.segments_section = SegmentsSection(viewer, self._show_segments)
        self.granularity = self.segments_section.granularity
        self.smallest = self.segments_section.smallest
        self.history = Slider(
            label="history",
            min=0,
            max=1,
            readout=False,
            enabled=False,
            tooltip="The labels as they were earlier in the run, the last ones at the right end.",
        )
        self.uncertainty_button = PushButton(
            text="Uncertainty",
            tooltip="Add an image of how uncertain the cluster of each pixel is, from 0 to 1, by "
            "how it changed over the run.",
        )
        self.copy_button = PushButton(
            text="Copy as Python",
            tooltip="Put the script that makes the labels of the run on the clipboard.",
        )
        self.heading = Sentence()
        self.heading.tooltip = (
            "What Continue, Start over and all below belong to. Choose a layer of another run in "
            f"the list of layers to go on with that one; the last {MAX_RUNS} runs are kept."
        )
        self.view_buttons = ViewButtons(self.choose)
        self.clusters = ClusterTable()
        self.objects_section = ObjectsSection(viewer, self._on_objects_changed)
        self.save_button = SaveButton(self._objects_layer, show_status)
        self.measurements_button = PushButton(
            text="Measurements",
            tooltip="Colour, filter and choose objects by what is measured of them.",
        )
        self.layers_button = LayersButton(
            viewer,
            "Measure in…",
            "Other images of the same size, such as further channels, in which the intensities of "
            "objects are measured too.",
            "no other image of this size",
            self._can_measure_in,
            self._tables.measure_in,
        )
        self.objects_section.buttons.extend([self.measurements_button, self.save_button])
        self.objects_section.append(self.layers_button)
        self._editing = {
            View.SEGMENTS: self.segments_section.editing,
            View.OBJECTS: self.objects_section.editing,
        }
        self._controls = {
            View.CLUSTERS: _form([self.history, self.uncertainty_button]),
            View.SEGMENTS: self.segments_section,
            View.OBJECTS: self.objects_section,
        }
        self.extend([self.heading, self.view_buttons, self.clusters])
        self.extend([*self._controls.values(), self.copy_button])
        viewer.layers.events.renamed.connect(self._show_heading)
        self.history.changed.connect(self._show_clusters)
        self.measurements_button.changed.connect(self._show_measurements)
        self.uncertainty_button.changed.connect(self._add_uncertainty)
        self.copy_button.changed.connect(self._copy)
        self.clusters.table.itemSelectionChanged.connect(self._on_clusters_selected)

    @property
    def run(self) -> LayerRun | None:
        """The run at hand."""
        return self.layers.run

    def choose(self, view: View) -> None:
        """Show a view of the run alone; what it shows is made if it is not there yet.

        Parameters
        ----------
        view : View
            The view.
        """
        run = self.run
        if run is None or not run.has_segments:
            return
        self.layers.choose(view)
        if view is View.OBJECTS:
            with contextlib.suppress(StrokesError):  # such as do not fit say nothing
                self._begin_or_end_with_strokes(run)
        self._show_controls()
        if view is View.OBJECTS:  # what they are made of may be another by now
            self._find_objects()
        elif self.layers.is_made(view, run):
            self._say_what_is_shown(view)
        elif view is View.SEGMENTS:
            self._show_segments()
        else:
            self._show_clusters()

    def follow_layer(self, layer: napari.layers.Layer | None) -> None:
        """Show the controls of the view that a layer of the run shows, which the user has chosen.

        Parameters
        ----------
        layer : napari.layers.Layer or None
            Any layer; it may show no view.
        """
        view = self.layers.view_of(layer)
        if view is not None and view is not self.layers.view:
            self.layers.view = view
            self._show_controls()
            self._say_what_is_shown(view)

    def release(self, layer: napari.layers.Layer) -> None:
        """Measure a layer no more, since a run writes into it or it is gone.

        Parameters
        ----------
        layer : napari.layers.Layer
            The layer; in an image that is gone nothing is found any more.
        """
        if self.run is not None and layer == self.run.image:
            if self._finder.is_searching:
                self._show_status(f"{layer.name} was removed: no objects are found in it any more")
            self._finder.leave()
            self._kind_finder.leave()
        self._tables.leave(layer)
        if layer not in self._viewer.layers:
            self.clusters.leave(layer)
            self._say_what_was_removed(layer)
            self.layers.forget_removed()
            self._show_heading()
            self._follow_corrections()

    def _say_what_was_removed(self, layer: napari.layers.Layer) -> None:
        """Say how the layer of the view, or of what its objects are made of, is had again."""
        run, view = self.run, self.layers.view_of(layer)
        of_objects = view is View.CLUSTERS and self._shows_objects_of_clusters
        if run is None or view is None or not (view is self.layers.view or of_objects):
            return
        if run.has_segments and not run.is_image_replaced:
            self._show_status(f"{layer.name} was removed: press {view.value} to have it again")

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

    def leave_objects(self) -> None:
        """Show no objects that are being found, and edit none: nobody sees the panel."""
        self._finder.leave()
        self._kind_finder.leave()
        for editing in self._editing.values():
            editing.stop()

    def close(self) -> None:
        """Measure and find nothing more: the panel is gone."""
        self._tables.close()
        self._finder.leave()
        self._kind_finder.leave()
        self._leave_run()
        self.clusters.close()
        self.layers.close()
        self._viewer.layers.events.renamed.disconnect(self._show_heading)

    def _leave_run(self) -> None:
        """Follow the layer of the run no more."""
        if self.run is not None:
            for event in UNIT_EVENTS:
                getattr(self.run.labels.events, event).disconnect(self._show_unit)

    @property
    def _state(self) -> RunState:
        """What is shown of the run at hand."""
        assert self.run is not None
        return self._states.setdefault(self.run, RunState())

    def _note_state(self) -> None:
        """Remember what is seen of the run at hand, as another one is to follow."""
        if self.run is not None:
            self._state.view, self._state.controls = self.layers.view, self._read_controls()

    def _read_controls(self) -> dict[str, Any]:
        """Return what the controls say, fit for JSON."""
        return {
            "granularity": self.granularity.value,
            "smallest": self.smallest.value,
            "history": self.history.value,
            "objects": self.objects_section.save(),
            "selected": self.clusters.selected,
        }

    def _write_controls(self, said: Mapping[str, Any]) -> None:
        """Have the controls say what they said; nobody is told."""
        for control in (self.granularity, self.smallest, self.history):
            if control.label in said:
                with control.changed.blocked():
                    control.value = said[control.label]
        self.objects_section.restore(said["objects"])
        self.clusters.select(said["selected"])

    def save(self) -> dict[str, Any]:
        """Return which view is seen, what the views show, and what their controls say.

        Returns
        -------
        dict
            Fields of a `PanelState`.
        """
        assert self.run is not None, "only what is shown can be saved"
        return {
            "view": self.layers.view.name,
            "views": self.layers.save(self.run),
            "controls": self._read_controls(),
        }

    def restore(self, state: PanelState) -> None:
        """Show the run that was opened as it was when it was saved.

        Parameters
        ----------
        state : PanelState
            What was seen of it.
        """
        assert self.run is not None, "it is shown first"
        self.layers.restore(self.run, state.views)
        clusters = self.layers.snapshot(View.CLUSTERS)
        assert clusters is not None, "they have just been added"
        self.clusters.show_layer(clusters.layer)  # with the names that it has now
        if state.controls:
            self._write_controls(state.controls)
        self._follow_corrections()
        if self._shows_kinds:
            self._state.strokes = state.strokes
        if self._objects_layer() is not None:
            with contextlib.suppress(UnsupsegError):  # of strokes or clusters that are gone
                self._state.objects = self._object_keywords(self.run)
        self.choose(View[state.view])

    def begin_run(self, layer: napari.layers.Labels) -> None:
        """Have nothing of the last run lie over the labels of one that begins.

        Parameters
        ----------
        layer : napari.layers.Labels
            What the run writes into.
        """
        self.release(layer)
        self._finder.leave()
        self._kind_finder.leave()
        self.layers.begin_run(layer)
        self._show_controls()

    def end_run(self, runs: Sequence[LayerRun]) -> None:
        """Take over a run that has just ended.

        Parameters
        ----------
        runs : sequence of LayerRun
            What it has left on each of its images.
        """
        self._leave_run()
        self._note_state()
        clusters = [_clusters_of(run) for run in runs]
        self.layers.end_run(clusters)
        self._show_run()
        self._show_status(clusters[0].sentence)

    def turn_to(self, run: LayerRun) -> None:
        """Show another run that is kept, or another image of one on several.

        Parameters
        ----------
        run : LayerRun
            The run.
        """
        self._note_state()
        self._leave_run()
        self.leave_objects()
        self.layers.run, self.layers.view = run, self._states.get(run, RunState()).view
        self._show_run()
        if self._state.controls:
            self._write_controls(self._state.controls)
        # what is said yet is of the run before
        is_there = self.layers.is_made(self.layers.view, run)
        self._show_status(self._sentence(self.layers.view) if is_there else "")

    def _show_run(self) -> None:
        """Show the run at hand by its clusters, as they were made."""
        run = self.run
        assert run is not None
        for event in UNIT_EVENTS:
            getattr(run.labels.events, event).connect(self._show_unit)
        self._show_controls()
        self._follow_corrections()
        if not run.has_segments:
            return
        result = _result_of(run)
        assert result.hierarchy is not None
        self.segments_section.ticks.show_values(result.hierarchy.representative_granularities())
        precompile_objects()  # while the user looks at the clusters
        self._show_unit()
        clusters = self.layers.snapshot(View.CLUSTERS)
        self.clusters.show_layer(None if clusters is None else clusters.layer)
        last = len(result.history.iterations) - 1
        with self.history.changed.blocked():  # its labels are on the screen already
            self.history.max = max(1, last)
            self.history.value = last

    def show_actions(self, actions: Actions, current: LayerRun | None) -> None:
        """Switch the controls on or off.

        Parameters
        ----------
        actions : Actions
            What is possible now.
        current : LayerRun or None
            The run that is going on, on which *Start over* acts meanwhile.
        """
        self._current = current
        self.visible = self.run is not None
        self._show_heading()
        self.view_buttons.enabled = actions.cut_segments
        self.clusters.enabled = self.objects_section.enabled = actions.cut_segments
        self.clusters.update_areas()
        if not actions.copy_script:  # another run may change the clusters that are hidden
            self.clusters.show_all()
        self.copy_button.enabled = actions.copy_script
        self.segments_section.enabled = actions.cut_segments
        self.history.enabled = actions.show_history
        self.uncertainty_button.enabled = actions.cut_segments

    def begin_marks(self) -> None:
        """Show a view that strokes say something of, as they are drawn on the image of the run."""
        if self.run is not None and self.layers.view is View.SEGMENTS:
            self.choose(View.CLUSTERS)

    def follow_strokes(self, *, is_live: bool) -> None:
        """Make the labels of the view of what strokes say, where they are to follow them.

        Parameters
        ----------
        is_live : bool
            Whether they do unless the user has chosen otherwise.

        Raises
        ------
        StrokesError
            If strokes do not fit the image of the run.
        """
        run = self.run
        is_shown = run is not None and run.image in self._viewer.layers
        if run is None or not is_shown or not run.has_segments or run.is_image_replaced:
            return
        if self.layers.view is View.OBJECTS:
            if (is_live and self._begin_or_end_with_strokes(run)) or self.follows_strokes:
                self._show_controls()
                self._find_objects()
        elif is_live and self.layers.view is View.CLUSTERS:
            self._follow_strokes_by_clusters(run, self._strokes.strokes(run.image, run.layout))

    def _begin_or_end_with_strokes(self, run: LayerRun) -> bool:
        """Have objects be made of strokes as soon as these say what they are, until all are gone.

        Returns whether objects are made of something else than before.
        """
        strokes = self._strokes.strokes(run.image, run.layout)
        if strokes is None:
            return self.objects_section.follow_strokes(has_strokes=False)
        kinds = set(np.unique(strokes).tolist()) - {0}
        return (
            1 in kinds and len(kinds) > 1 and self.objects_section.follow_strokes(has_strokes=True)
        )

    def _follow_strokes_by_clusters(self, run: LayerRun, strokes: Strokes | None) -> None:
        """Make the clusters of what strokes say, or show those of the run where they say nothing.

        Nothing is trained: the segments of the run are told apart by the strokes on some of them.
        """
        if strokes is None or len(np.unique(strokes[strokes > 0])) < 2:
            self._kind_finder.leave()
            if self._shows_kinds:
                self._show_clusters()
        elif not self._shows_kinds_of(run, strokes):
            self._kind_finder.find(run, {"strokes": strokes})

    @property
    def _shows_kinds(self) -> bool:
        """Whether strokes have made the clusters that are shown, which alone have names then."""
        shown = self.layers.snapshot(View.CLUSTERS)
        return shown is not None and bool(shown.names)

    def _shows_kinds_of(self, run: LayerRun, strokes: Strokes) -> bool:
        """Tell whether the clusters that are shown were made by these strokes, and named so."""
        shown = self.layers.snapshot(View.CLUSTERS)
        layer_of_strokes = self._strokes.layer(run.image)
        if self._state.strokes is None or shown is None or layer_of_strokes is None:
            return False
        names = kind_names(layer_of_strokes)
        is_named_so = all(names.get(label) == name for label, name in shown.names.items())
        return is_named_so and np.array_equal(strokes, self._state.strokes)

    def _show_kinds(self, run: LayerRun, options: dict[str, Any], kinds: Labels) -> None:
        """Show the kinds that strokes have made, unless another run has ended meanwhile."""
        layer_of_strokes = self._strokes.layer(run.image)
        if run is not self.run or layer_of_strokes is None:
            return
        shares = np.bincount(kinds.ravel()) / kinds.size
        names = {
            label: name for label, name in kind_names(layer_of_strokes).items() if label in kinds
        }
        said = ", ".join(f"{name} {shares[label]:.0%}" for label, name in names.items())
        origin = {"strokes": True, "clusters": len(names), "names": names}
        layer = self._show_labels(run, View.CLUSTERS, kinds, origin, f"by your strokes: {said}")
        self.clusters.show_layer(layer)
        self._state.strokes = options["strokes"]

    @property
    def follows_strokes(self) -> bool:
        """Whether objects are seen, and made of what strokes say."""
        return self.layers.view is View.OBJECTS and self.objects_section.is_of_strokes

    @property
    def _shows_objects_of_clusters(self) -> bool:
        """Whether objects are seen, and made of the clusters that are selected."""
        return self.layers.view is View.OBJECTS and self.objects_section.is_of_clusters

    def _show_heading(self) -> None:
        """Say which run the buttons act on, and which layer: others may be chosen by now."""
        run = self._current or self.run
        if run is None:
            return
        shown = self.layers.snapshot(self.layers.view)
        labels = None if shown is None else shown.layer
        if run is self._current:
            labels = run.labels
        image = run.image.name
        layer = "" if labels is None else f", in the layer {labels.name}"
        replaced = f"; {image} has other pixels since: press Run to segment them"
        self.heading.value = f"Run on {image}{layer}{replaced if run.is_image_replaced else ''}"

    def _show_controls(self) -> None:
        """Show the controls of the chosen view alone."""
        has_views = self.run is not None and self.run.has_segments
        view = self.layers.view
        self._show_heading()
        self.view_buttons.visible = has_views
        self.view_buttons.show_view(view)
        for of_view, controls in self._controls.items():
            controls.visible = has_views and of_view is view
        has_table = view is View.CLUSTERS or self._shows_objects_of_clusters
        self.clusters.visible = has_views and has_table

    def _show_segments(self) -> None:
        """Cut the hierarchy of the last run as the sliders say, and show the segments."""
        run = self.run
        hierarchy = None if run is None else _result_of(run).hierarchy
        if run is None or hierarchy is None:
            return
        cut = self.segments_section.cut
        segments = _two_bytes(hierarchy.cut(**cut))
        sentence = count(int(segments.max()), "segment")
        self._show_labels(run, View.SEGMENTS, segments, cut, sentence)
        self._follow_corrections()

    def _find_objects(self) -> None:
        """Find the objects of the last run as the controls say, unless they are shown already."""
        if self.run is None or not self.run.has_segments:
            return
        try:
            options = self._object_keywords(self.run)
        except UnsupsegError as error:
            self._finder.leave()  # nothing that was asked for before is to come after the refusal
            self._refuse_objects(str(error))
            return
        is_made = self.layers.is_made(View.OBJECTS, self.run)
        if is_made and _are_same(options, self._state.objects):
            self._finder.leave()
            self._say_what_is_shown(View.OBJECTS)
            return
        if not self._finder.is_searching:
            self._show_status("finding objects…")
        self._finder.find(self.run, options)

    def _object_keywords(self, run: LayerRun) -> dict[str, Any]:
        """Return how objects are to be found, as keywords, or raise an `UnsupsegError`."""
        return self.objects_section.keywords | self._said_foreground(run)

    def _refuse_objects(self, reason: str) -> None:
        """Say why there are no such objects as the controls ask for, and which are seen instead."""
        if self.run is not None and self.layers.is_made(View.OBJECTS, self.run):
            reason += "; the objects that are seen are those of before"
        self._show_status(reason)

    def _show_unit(self) -> None:
        """Have the sizes of objects be in the unit of the layers, which follow their image."""
        run = self.run
        if run is not None and run.has_segments:
            unit = object_unit(run.labels, run.layout, run.request.options.get("spatial_ndim", 2))
            self.objects_section.show_unit(*unit)

    def _said_foreground(self, run: LayerRun) -> dict[str, Any]:
        """Return what the user says that objects are made of, as a keyword, or nothing."""
        if self.objects_section.is_of_clusters:
            if not self.layers.is_made(View.CLUSTERS, run):
                self._show_clusters()  # their layer was removed
            if not self.clusters.selected:
                raise SettingError("select in the table the clusters that objects are made of")
            return {"foreground": self._selected_foreground(run)}
        if self.objects_section.is_of_strokes:
            strokes = self._strokes.strokes(run.image, run.layout)
            if strokes is None:
                raise StrokesError(NO_STROKES)
            return {"strokes": strokes}
        return {}

    def _selected_foreground(self, run: LayerRun) -> list[int] | NDArray[np.bool_]:
        """Return the clusters selected in the table, or their pixels if they are not the run's."""
        snapshot = self.layers.snapshot(View.CLUSTERS)
        assert snapshot is not None
        is_of_run = not self._shows_kinds and self.history.value == self.history.max
        if snapshot.has_its_labels and is_of_run:
            return self.clusters.selected
        # merged, painted on or of an earlier iteration: the run knows no such numbers
        return np.isin(run.layout.from_layer(snapshot.layer.data), self.clusters.selected)

    def _on_objects_changed(self) -> None:
        """Find objects again, as the controls say now."""
        self._show_controls()
        self._find_objects()

    def _on_clusters_selected(self) -> None:
        """Find objects of other clusters, where they are made of those selected."""
        if self._shows_objects_of_clusters:
            self._find_objects()

    def _show_objects(self, run: LayerRun, options: dict[str, Any], objects: Labels) -> None:
        """Show objects that were found, unless another run has ended meanwhile."""
        if run is not self.run:
            return
        sentence = objects_text(objects, options)
        self._show_labels(run, View.OBJECTS, _two_bytes(objects), _recorded(options), sentence)
        self._follow_corrections()
        self._state.objects = options

    def _follow_corrections(self) -> None:
        """Have single objects and segments of the run corrected by the buttons, and list these."""
        if self.run is not None:
            spatial_ndim = self.run.request.options.get("spatial_ndim", 2)
            whole_axes = self.run.layout.axes_within_frames(spatial_ndim)
            for view, editing in self._editing.items():
                editing.follow(self.layers.edits(view), whole_axes)
            self._show_n_segments()

    def _show_corrections(self) -> None:
        """List the corrections as they are now, and say how many segments there are with them."""
        for editing in self._editing.values():
            editing.corrections.refresh()
        self._show_n_segments()

    def _show_n_segments(self) -> None:
        """Say how many segments there are, with all corrections."""
        segments = self.layers.edits(View.SEGMENTS)
        if segments is not None:
            self.segments_section.show_count(segments.count_labels())

    def _objects_layer(self) -> napari.layers.Labels | None:
        """Return the layer that the view of objects shows, if there is one."""
        snapshot = self.layers.snapshot(View.OBJECTS)
        return None if snapshot is None else snapshot.layer

    def _show_measurements(self) -> None:
        """Show what is measured of the objects beside the panel."""
        layer = self._objects_layer()
        if layer is not None:
            self._viewer.layers.selection.active = layer
        open_measurements(self._viewer)

    def _can_measure_in(self, image: napari.layers.Image) -> bool:
        """Tell whether the objects of the last run can be measured in an image."""
        return self.run is not None and can_measure_in(image, self.run)

    def _add_uncertainty(self) -> None:
        """Add a layer of how uncertain the clusters of the last run are."""
        run = self.run
        if run is None:
            return
        if run.request.region is not None:
            self._show_status(NO_UNCERTAINTY)
            return

        def add(uncertainty: Any) -> None:
            if run is self.run:
                of_image = uncertainty[run.image_index] if run.request.others else uncertainty
                add_uncertainty_layer(self._viewer, run.image, run.layout, of_image)

        create_worker(
            _result_of(run).segmenter.uncertainty,
            _connect={"returned": add, "errored": lambda error: show_error(str(error))},
        )

    def _copy(self) -> None:
        """Put the last run on the clipboard as Python."""
        run = self.run
        if run is None:
            return
        result = _result_of(run)
        if result.is_steered or self._shows_kinds:
            self._show_status(
                "strokes steered this run, and no script can draw them: save their layer, and give "
                "it to segment(…, strokes=…)"
            )
            return
        # only what was made
        cut = self.segments_section.cut if self.layers.is_made(View.SEGMENTS, run) else None
        options = self._state.objects if self.layers.is_made(View.OBJECTS, run) else None
        if options and _drawn(options):
            self._show_status(
                "these objects are made of strokes, or of clusters changed by hand, which no "
                "script can draw: save that layer, and give it to hierarchy_.objects"
            )
            return
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            first = self.layers.of_all_images()[0]
            others = [other.image for other in first.others]
            script = python_script(
                run.request,
                result,
                first.image,
                cut,
                options,
                others=others,
                index=run.image_index,
            )
            clipboard.setText(script)
            edits = [self.layers.edits(view) for view in self._editing]
            is_corrected = any(one is not None and one.history.done for one in edits)
            self._show_status(
                "the script of the run is on the clipboard"
                + (", without your corrections" if is_corrected else "")
            )

    def _show_clusters(self) -> None:
        """Show the clusters of the chosen iteration of the last run."""
        run = self.run
        if run is None:
            return
        history, index = _result_of(run).history, self.history.value
        labels, iteration = history.labels(index), history.iterations[index]
        n_clusters = count_labels(labels)
        origin = {"iterations": iteration, "clusters": n_clusters}
        sentence = f"{count(n_clusters, 'cluster')} at iteration {iteration}"
        layer = self._show_labels(run, View.CLUSTERS, labels, origin, sentence)
        self.clusters.show_layer(layer)
        self._state.strokes = None

    def _on_edited(self, layer: napari.layers.Labels) -> None:
        """Say what is left after a user or a program has edited a layer."""
        self.clusters.update_areas()
        view = self.layers.view_of(layer)
        if view is not None:
            self._say_what_is_shown(view)
        else:
            self._show_status(f"{_count_labels(layer, 'label')} left in {layer.name}")

    def _say_what_is_shown(self, view: View) -> None:
        """Say what the layer of a view has."""
        self._show_status(self._sentence(view))

    def _sentence(self, view: View) -> str:
        """Return what the layer of a view has, as it was made or as it was edited since."""
        snapshot = self.layers.snapshot(view)
        assert snapshot is not None
        is_unedited = snapshot.has_its_labels
        return snapshot.sentence if is_unedited else _count_labels(snapshot.layer, NOUNS[view])

    def _show_labels(
        self, run: LayerRun, view: View, labels: Labels, origin: dict[str, Any], sentence: str
    ) -> napari.layers.Labels:
        """Show labels in the layer of a view, and say what they are."""
        before = self.layers.snapshot(view)
        layer = self.layers.show(run, view, labels, origin, sentence)
        said = self._sentence(view)
        if before is not None and before.layer != layer:
            said += f"; {before.layer.name}, which you have changed, is kept but hidden"
        self._show_status(said)
        self._show_heading()
        return layer


def _clusters_of(run: LayerRun) -> LayerSnapshot:
    """Return the clusters that a run has left in its layer."""
    result = _result_of(run)
    # a copy, since the user paints on the array that the layer has
    data = run.labels.data.copy() if result.lazy_labels is None else None
    return LayerSnapshot(run, run.labels, data, result_text(result))


def _form(widgets: list[ValueWidget[Any]]) -> Container[Widget]:
    """Return widgets below each other, with their labels."""
    form = Container[Widget]()
    form.extend(widgets)  # given at once their labels would differ in width
    form.margins = (0, 0, 0, 0)
    return form


def _two_bytes(labels: Labels) -> Labels:
    """Return labels of two bytes at least: nearly all are then of one data type.

    For labels of another napari would build the layer anew.
    """
    return labels.astype(np.promote_types(labels.dtype, np.uint16))


def _count_labels(layer: napari.layers.Labels, noun: str) -> str:
    """Say how many labels a layer has."""
    return count(count_labels(layer.data), noun)


def _are_same(options: dict[str, Any], others: dict[str, Any]) -> bool:
    """Tell whether objects would be made in the same way, from the same mask or strokes too."""
    return options.keys() == others.keys() and all(
        np.array_equal(options[name], others[name]) for name in options
    )


def _recorded(options: dict[str, Any]) -> dict[str, Any]:
    """Return how objects were made, fit for JSON: of what was drawn only that it was."""
    drawn = _drawn(options)
    if drawn is None:
        return options
    kept = {name: value for name, value in options.items() if name != drawn}
    return kept | {"foreground": {"foreground": "mask", "strokes": "strokes"}[drawn]}


def _drawn(options: dict[str, Any]) -> str | None:
    """Return the keyword that has a mask or strokes, if one has."""
    return next((name for name, one in options.items() if isinstance(one, np.ndarray)), None)


def _result_of(run: LayerRun) -> "RunResult":
    """Return the result of a run that has ended."""
    assert run.result is not None
    return run.result
