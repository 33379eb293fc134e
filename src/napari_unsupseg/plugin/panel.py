"""The panel: an Image layer, a preset, Run; all else is folded away."""

import logging
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari.layers
from magicgui.widgets import Container, Widget
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from napari_unsupseg._words import count
from napari_unsupseg.errors import ImageError, UnsupsegError
from napari_unsupseg.plugin.activity import Activity
from napari_unsupseg.plugin.labels_layers import record_origin, replace_labels
from napari_unsupseg.plugin.layers import check_large_layer
from napari_unsupseg.plugin.layout import Layout
from napari_unsupseg.plugin.network_applier import NetworkApplier
from napari_unsupseg.plugin.output_layers import OutputLayers
from napari_unsupseg.plugin.refusals import tell_refusals
from napari_unsupseg.plugin.request_builder import RequestBuilder
from napari_unsupseg.plugin.run_data import Phase, RunRequest, RunResult, RunUpdate
from napari_unsupseg.plugin.run_estimate import RunEstimate
from napari_unsupseg.plugin.saved_run import PanelState, WholeImage, image_keywords, image_layer
from napari_unsupseg.plugin.session import (
    Actions,
    Event,
    LayerRun,
    NetworkJob,
    OtherLayers,
    Session,
    State,
    View,
    available_actions,
)
from napari_unsupseg.plugin.shortcuts import Shortcuts
from napari_unsupseg.plugin.stroke_layers import StrokeLayers, kind_names
from napari_unsupseg.plugin.widgets.controls import (
    CollapsibleSection,
    Sentence,
    make_accessible,
    make_scrollable,
)
from napari_unsupseg.plugin.widgets.image_form import ImageForm
from napari_unsupseg.plugin.widgets.layers_button import LayersButton
from napari_unsupseg.plugin.widgets.mark_section import MarkSection
from napari_unsupseg.plugin.widgets.notice import Notice
from napari_unsupseg.plugin.widgets.progress_text import progress_text
from napari_unsupseg.plugin.widgets.results import Results
from napari_unsupseg.plugin.widgets.run_buttons import RunButtons
from napari_unsupseg.plugin.widgets.run_files import RunFiles
from napari_unsupseg.plugin.widgets.run_plan import RunPlan
from napari_unsupseg.plugin.widgets.run_progress import RunProgress
from napari_unsupseg.plugin.widgets.settings_form import SettingsForm
from napari_unsupseg.plugin.widgets.trained_network import TrainedNetwork
from napari_unsupseg.plugin.widgets.training_curve import TrainingCurvePlot
from napari_unsupseg.plugin.worker import run

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["SegmentationPanel"]

logger = logging.getLogger(__name__)

LEARN_ALSO_ON = "Learn also on{}"
GRANULARITY_STEP = 0.05  # of a press of a key


class SegmentationPanel(Container[Widget]):
    """Dock widget that segments an Image layer while its labels are seen to change.

    It puts widgets together and hands their events to the `Session`, which decides what is
    possible next.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Given by napari.
    """

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__(labels=False)
        self._viewer = viewer
        self._window: Callable[[], QWidget | None] = lambda: None
        self._session = Session()
        self._image_form = ImageForm()
        self._settings_form = SettingsForm()
        self._buttons = RunButtons()
        self._strokes = StrokeLayers(viewer, self._on_strokes_changed, self.native)
        self.marks = MarkSection(viewer, self._on_strokes_changed, self._show_status_between_runs)
        self.progress = RunProgress()
        self._activity = Activity(self.progress, self.stop)
        self.status = Sentence()
        self.plan = RunPlan(self._image_form, self._settings_form)
        self.notice = Notice(self._image_form, self._settings_form, self.plan)
        self._estimate: RunEstimate | None = None  # of the run that is going on
        self.other_images = LayersButton(
            viewer,
            LEARN_ALSO_ON.format("…"),
            "Other images of the same axes and channels, of any size: one network is trained on "
            "all of them, and a cluster has the same number in each.",
            "no other image of the same axes and channels",
            self._image_form.can_be_learned_with,
            lambda _chosen: self._show_other_images(),
        )
        self.plot = TrainingCurvePlot(viewer)
        self.network = TrainedNetwork(
            self._show_status, self._on_network_job, self.progress.show_share
        )
        self._outputs = OutputLayers(
            viewer, self._strokes, self._show_status_between_runs, self.native
        )
        self.run_files = RunFiles(
            self._run_to_save,
            self._show_opened,
            self.network.start_job,
            self._show_status,
            self._settings_form,
        )
        self._applier = NetworkApplier(viewer, self.network, self._outputs, self._show_status)
        self.results = Results(viewer, self._outputs, self._strokes, self._show_status_between_runs)
        self._requests = RequestBuilder(
            viewer, self._image_form, self._settings_form, self._strokes
        )
        self._name_controls()
        self._lay_out()
        self._connect()
        self._shortcuts = Shortcuts(
            viewer,
            {
                "run": self.start,
                "pause": self.toggle_pause,
                "finer": lambda: self._change_granularity(-GRANULARITY_STEP),
                "coarser": lambda: self._change_granularity(GRANULARITY_STEP),
                "next stroke": self.next_stroke,
            },
        )
        self._on_image_changed()
        self.notice.refresh()

    def _name_controls(self) -> None:
        """Name the controls of the forms, for scripts that drive the panel."""
        image_form, settings_form, buttons = self._image_form, self._settings_form, self._buttons
        self.image, self.axes = image_form.image, image_form.axes
        self.volumes, self.region = image_form.volumes, image_form.region
        self.preset, self.settings = settings_form.preset, settings_form.controls
        self.device, self.update_every = settings_form.device, settings_form.update_every
        self.history_memory = settings_form.history_memory
        self.run_button, self.pause_button = buttons.run, buttons.pause
        self.stop_button, self.start_over_button = buttons.stop, buttons.start_over
        self.continue_button = buttons.continue_training
        self.strokes_button = self.marks.button

    def _lay_out(self) -> None:
        self._image_form.append(self.preset)  # beside its labels, which have one width
        self.folds: dict[str, CollapsibleSection] = {
            **self._settings_form.sections,
            "Saved runs": CollapsibleSection(
                "Saved runs",
                [self.run_files],
                "Keep a run in a file, and go on with it another day.",
            ),
            "Trained network": CollapsibleSection(
                "Trained network",
                [self.network],
                "Keep the network of a run in a file, or apply one to other images.",
            ),
        }
        self.curve_section = CollapsibleSection(
            "Clusters and loss", [self.plot], "How a run goes: its clusters and loss by iteration."
        )
        self.curve_section.unfold()
        self.curve_section.visible = False
        body = Container[Widget](
            widgets=[
                self._image_form,
                self.other_images,
                self.plan,
                self._buttons,
                self.marks,
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
        self.axes.changed.connect(self._show_actions)
        self.axes.changed.connect(self._show_other_images)
        self.run_button.changed.connect(self.start)
        self.pause_button.changed.connect(self.toggle_pause)
        self.stop_button.changed.connect(self.stop)
        self.continue_button.changed.connect(self.continue_training)
        self.start_over_button.changed.connect(self.start_over)
        self.strokes_button.changed.connect(self.draw_strokes)
        self.network.apply_button.changed.connect(self.apply_network)
        self._viewer.layers.events.removed.connect(self._on_layer_removed)
        self._viewer.layers.selection.events.active.connect(self._on_layer_chosen)
        self.native_parent_changed.connect(self._on_parent_changed)
        self.native.destroyed.connect(self._abandon)

    # actions of the user

    def start(self) -> None:
        """Begin a run on the chosen layer, with the settings as they stand."""
        if not self._actions().run:
            return
        image, others = self.image.value, self.other_images.chosen
        request = self._requests.build(image, others=others)
        if request is not None:
            of_others = [OtherLayers(one, self._outputs.add_blank(one, request)) for one in others]
            labels = self._outputs.add_blank(image, request)
            self._begin(LayerRun(image, request, labels, others=tuple(of_others)))

    def toggle_pause(self) -> None:
        """Have the run wait after the iteration under way, or go on."""
        if self._session.run is None or not self._actions().pause:
            return
        if self._session.state is State.PAUSED:
            self._session.run.control.resume()
            self._handle(Event.RESUME)
        else:
            self._session.run.control.pause()
            self._handle(Event.PAUSE)

    def stop(self) -> None:
        """End the training after the iteration under way, or leave off applying the network.

        Labels of the run stay, and of files that have some.
        """
        if self._session.run is not None:
            self._session.run.control.stop()
        elif self._session.job is NetworkJob.STOPPABLE:
            self.network.stop()
        else:
            return
        self._show_status("stopping…")
        self._handle(Event.STOP)

    def continue_training(self) -> None:
        """Train on where the last run stopped, in its layer."""
        last = self._session.last
        if last is None or not self._actions().continue_training:
            return
        request = self._requests.build_continuation(last)
        if request is None:
            return
        self._show_results_on(last.image)
        labels = self.results.layers.layer_to_go_on_in(request)
        self._begin(LayerRun(last.image, request, labels, curve=last.curve, others=last.others))

    def start_over(self) -> None:
        """Begin anew in the layer of the run, or of the last one."""
        former = self._session.run or self._session.last
        if former is None or not self._actions().start_over:
            return
        request = self._requests.build(former.image, former)
        if request is None:
            return  # what cannot begin ends nothing
        if self._session.run is None:
            self._show_results_on(former.image)
            labels = self.results.layers.layer_to_go_on_in(request)
            self._begin(LayerRun(former.image, request, labels, others=former.others))
        else:
            self._session = self._session.replace_run(request)
            former.control.abandon()
            self.stop()

    @tell_refusals
    def draw_strokes(self) -> None:
        """Make a layer for strokes on the chosen image, or go back to it."""
        image = self.image.value
        if not self._actions().draw_strokes:
            return
        axes = self._image_form.known_axes()
        check_large_layer(image, strokes=True)
        self._turn_to_run_of(image)
        last = self._session.last
        if self._actions().continue_training and last is not None and last.image == image:
            self.results.begin_marks()
            what_follows = "labels follow, and Continue trains on them"
        else:
            what_follows = "then press Run"
        self.marks.show_layer(self._strokes.draw(image, axes))
        to_slices = "switch the view to 2D, and " if self._viewer.dims.ndisplay > 2 else ""
        self._show_status_between_runs(
            f"{to_slices}paint a few dabs on some objects, then on some background; {what_follows}"
        )

    def next_stroke(self) -> None:
        """Draw strokes, of the next kind if the brush is drawing some."""
        if self._strokes.is_active():
            self.marks.next_kind()
        else:
            self.draw_strokes()

    def _change_granularity(self, change: float) -> None:
        """Show finer or coarser segments of the last run."""
        slider = self.results.granularity
        if self._actions().cut_segments:
            self.results.choose(View.SEGMENTS)
            slider.value = round(min(max(slider.value + change, slider.min), slider.max), 2)

    def load_network(self, path: Path) -> None:
        """Read a trained network, and unfold what can be done with it.

        Parameters
        ----------
        path : Path
            A file that *Save* or `Segmenter.save` wrote.
        """
        self.folds["Trained network"].unfold()
        self.network.load(path)

    def open_run(self, path: Path) -> None:
        """Open a run, with layers of its image and of what it has found.

        Parameters
        ----------
        path : Path
            A file that *Save run…* or `Segmenter.save` wrote.
        """
        if self._actions().open_run:
            self.run_files.open(path)
        else:
            show_error("a run is going on: stop it first, or wait until it ends")

    @tell_refusals
    def apply_network(self) -> None:
        """Find the clusters of the trained network in the chosen image, into a new layer."""
        if self._actions().apply_network:
            self._applier.apply(self.image.value, self._image_form.known_axes())

    # a run in a file

    def _run_to_save(self) -> tuple[LayerRun, PanelState] | None:
        """Return the last run and what is seen of it; None if there is none, or it goes on now."""
        last, current = self._session.last, self._session.run
        if last is None or last.result is None:
            return None
        if current is not None and current.request.previous is last.result:
            return None
        asked, whole = last.request, None
        if asked.pyramid is not None or asked.others:
            raise ImageError(
                "a run on several images, or on one too large to be loaded, cannot be saved here: "
                "save its network"
            )
        if asked.region is not None:
            whole = WholeImage(asked.image, asked.axes, asked.region)
        drawn = self._strokes.layer(last.image)
        state = PanelState(
            last.image.name,
            image_keywords(last.image),
            last.curve,
            strokes=self._strokes.strokes(last.image, last.layout),
            kinds={} if drawn is None else kind_names(drawn),
            whole=whole,
            **self.results.save(),
        )
        return last, state

    def _show_opened(self, result: RunResult, state: PanelState) -> None:
        """Add layers of a run that was opened, and have all controls act on it."""
        segmenter = result.segmenter
        image, axes = image_layer(segmenter, state)
        image = self._viewer.add_layer(image)
        layout = Layout.of(image, axes)
        clusters = state.views.get(View.CLUSTERS.name)
        shown = result.history.labels(-1) if clusters is None else clusters.labels
        labels = self._outputs.add(image, layout, layout.to_layer(shown))
        self._settings_form.show(segmenter.settings)
        self._image_form.choose(image, axes, segmenter.image_.spatial_ndim)
        region = None if state.whole is None else state.whole.region
        request = self._requests.build_opened(image, axes, segmenter.image_, region)
        self.results.begin_run(labels)
        run = LayerRun(image, request, labels, curve=state.curve, result=result)
        self._session = self._session.turn_to(run)
        self.plot.begin(run.curve)
        self.curve_section.visible = bool(run.curve.iterations)
        self._show_result(run, result)
        self.results.measure(run)
        if state.strokes is not None:
            self._strokes.restore(image, layout, state.strokes, state.kinds)
            self.marks.show_layer(self._strokes.layer(image))
        self.results.restore(state)
        self._show_actions()

    # a run from its start to its end

    def _begin(self, new: LayerRun) -> None:
        """Start a run in its thread."""
        self.results.begin_run(new.labels)
        for one in (new, *new.of_others):
            self._outputs.lock(one.labels, one.request)
        new.image.events.data.connect(self._on_image_replaced)
        self._session = self._session.start(new)
        # adding a layer has made that one active; a brush stays in the user's hand
        if not self._strokes.is_active():
            self._viewer.layers.selection.active = new.image
        # of several images nobody knows the stages, which the largest decides
        self._estimate = None if new.others else RunEstimate.of(new.request)
        self.plot.begin(new.curve)
        self.curve_section.visible = True
        self.progress.value = 0
        self._show_status("loading PyTorch…" if self.plan.is_preloading else "starting…")
        self._show_actions()
        create_worker(
            run,
            new.request,
            new.control,
            _connect={
                "yielded": self._on_update,
                "returned": self._on_returned,
                "errored": self._on_errored,
                "warned": self._on_warned,
            },
        )

    def _on_update(self, update: RunUpdate) -> None:
        current = self._session.run
        if current is None:  # the panel is gone
            return
        self.plot.add(update)
        self.progress.show_update(update)
        if update.labels is not None:
            shown = zip(current.of_others, update.other_labels, strict=True)
            for one, labels in ((current, update.labels), *shown):
                self._outputs.write(one, labels)
            # behind what napari has just been asked to draw
            QTimer.singleShot(0, current.control.picture_drawn)
        if current.control.is_stopped:  # the status says so until the run obeys
            return
        self._show_status(progress_text(update, current.image.name, self._seconds_left(update)))
        if update.phase in (Phase.PREDICTING, Phase.SEGMENTING):
            self._handle(Event.FINISH)

    def _seconds_left(self, update: RunUpdate) -> float | None:
        """Estimate what the run may still take, and what the next one will on such a computer."""
        if self._estimate is None:
            return None
        self._estimate.add(update)
        if self._estimate.slowness is not None and update.device == "cpu":
            self.plan.slowness = self._estimate.slowness
        return self._estimate.seconds_left()

    def _on_returned(self, result: RunResult | None) -> None:
        current = self._session.run
        if current is not None and current.labels not in self._viewer.layers:
            result = None  # it came just as the user removed its labels
        ended = self._end_run(result)
        if ended is None:
            return
        self.results.measure(ended)
        self._finish_others(ended, result)
        if result is not None:
            self._show_result(ended, result)
        elif ended.labels not in self._viewer.layers:
            self.results.layers.choose(View.CLUSTERS)  # of the run before
            self._show_status("the run has ended, as the layer of its labels was removed")
        elif ended.is_blank:
            self._outputs.remove(ended.labels)
            self.results.layers.choose(View.CLUSTERS)
            self._show_status("stopped before there were labels")
        self._show_actions()
        if ended.successor is not None:
            self._begin_successor(ended, ended.successor)

    def _finish_others(self, ended: LayerRun, result: RunResult | None) -> None:
        """Measure the labels of images that were trained on too; layers without any go."""
        for one in ended.of_others:
            if one.is_blank:
                self._outputs.remove(one.labels)
                continue
            self.results.measure(one)
            if result is not None:
                record_origin(one.labels, result.record)

    def _show_result(self, ended: LayerRun, result: RunResult) -> None:
        """Hand the result of a run to the widgets that work with it."""
        assert self._session.last is not None
        record_origin(ended.labels, result.record)
        self.network.set_network(result.segmenter)
        self.results.end_run([self._session.last, *self._session.last.results_of_others()])
        if result.lazy_labels is not None:
            max_clusters = ended.request.settings.max_clusters
            pyramid = ended.layout.blank_pyramid(max_clusters)
            replace_labels(ended.labels, pyramid.levels)  # without the labels of crops
            self._outputs.label_viewport(ended.labels, pyramid, result.lazy_labels)

    def _begin_successor(self, ended: LayerRun, request: RunRequest) -> None:
        """Begin anew in the layer of a run that was stopped for it."""
        current = self._requests.with_strokes(request, ended.image)  # some were drawn meanwhile
        if current is None:
            return
        labels = ended.labels
        if labels not in self._viewer.layers:
            labels = self._outputs.add_blank(ended.image, current)
        self._begin(LayerRun(ended.image, current, labels, others=ended.others))

    def _on_errored(self, error: Exception) -> None:
        show_error(str(error))
        if not isinstance(error, UnsupsegError):
            logger.error("a run failed", exc_info=error)
        ended = self._end_run(None)
        if ended is None:
            return
        self.results.measure(ended)
        self._finish_others(ended, None)
        if ended.is_blank:
            self._outputs.remove(ended.labels)
            self.results.layers.choose(View.CLUSTERS)
        self._show_status(str(error))
        self._show_actions()

    def _on_warned(self, warning: tuple[Any, ...]) -> None:
        show_warning(str(warning[0]))

    def _end_run(self, result: RunResult | None) -> LayerRun | None:
        """Return the run that has come to its end; None if the panel is gone."""
        ended = self._session.run
        if ended is not None:
            self._session = self._session.end(result)
            ended.image.events.data.disconnect(self._on_image_replaced)
            for one in (ended, *ended.of_others):
                self._outputs.unlock(one.labels)
        return ended

    # events from elsewhere

    def reset_choices(self, *event: Any) -> None:
        """Offer the images that are there now; napari calls it when layers come or go."""
        super().reset_choices(*event)
        # the menu of images says nothing when its last one goes
        self._on_image_changed()

    @tell_refusals
    def _on_strokes_changed(self) -> None:
        """Have the run that is going on follow the strokes, or the objects of the last one."""
        current = self._session.run
        if current is not None:
            strokes = self._strokes.strokes(current.image, current.layout)
            current.control.set_strokes(strokes)
        else:
            self.results.follow_strokes(is_live=self.marks.live.value)

    def _on_network_job(self, job: NetworkJob) -> None:
        self._session = self._session.with_job(job)
        self._show_actions()

    def _on_layer_removed(self, event: Any) -> None:
        current = self._session.run
        if current is not None and event.value in (current.labels, current.image):
            if event.value == current.labels:  # whoever removes labels wants none
                current.control.abandon()
            self._stop_for_good()
        self._outputs.end_labeler(event.value)
        self.results.release(event.value)
        if self._strokes.image_of(event.value) is not None:
            self._strokes.note_change()
        self.marks.show_layer(self._strokes.layer(self.image.value))
        self._show_actions()

    def _on_layer_chosen(self) -> None:
        """Go on with the run that the chosen layer belongs to, unless another one is going on."""
        layer, before = self._viewer.layers.selection.active, self.results.run
        self._turn_to_run_of(self._strokes.image_of(layer) or layer)
        if self._session.run is None:
            self.results.follow_layer(layer)
        if self.results.run is not before:
            self.results.layers.reveal()

    def _on_image_replaced(self) -> None:
        """Keep the labels so far of pixels that nobody sees any more."""
        if self._session.run is not None:
            self._stop_for_good()
        self._show_actions()

    def _stop_for_good(self) -> None:
        """Stop the run, which has nowhere to go on in."""
        self._session = self._session.replace_run(None)
        self.stop()

    def keep_in(self, window: QWidget) -> None:
        """Have a window keep the panel while its dock is closed, with all that it knows of runs.

        Parameters
        ----------
        window : QWidget
            The window of the viewer. The panel is gone when it is.
        """
        # Qt's objects that know each other by Python are never collected
        self._window = weakref.ref(window)

    def _on_parent_changed(self) -> None:
        parent = self.native.parent()
        if parent is None:  # napari takes the panel out of a dock that is closed
            self.stop()
            self.results.leave_objects()
            self._shortcuts.unbind()
            QTimer.singleShot(0, self._return_to_window)
        elif parent is not self._window():  # it is in a dock again
            self._shortcuts.bind()
            self.run_files.follow_window()
            self.native.show()

    def _return_to_window(self) -> None:
        """Wait in the window, hidden, for a dock: without a parent the panel would be gone."""
        window = self._window()
        if self.native.parent() is None and window is not None:
            self.native.setParent(window)

    def _abandon(self) -> None:
        """End a run whose panel is gone, and ask nothing more of the panel."""
        # the viewer may outlive the panel
        self._viewer.layers.events.removed.disconnect(self._on_layer_removed)
        self._viewer.layers.selection.events.active.disconnect(self._on_layer_chosen)
        current = self._end_run(None)
        if current is not None:
            current.control.abandon()
        self._outputs.close()
        self.results.close()
        self._activity.end()
        self._shortcuts.unbind()
        self.marks.close()

    def _on_image_changed(self) -> None:
        image = self.image.value
        metadata = {} if image is None else image.metadata.get("napari-unsupseg", {})
        self._settings_form.suggest_preset(metadata.get("preset"))
        self.marks.show_layer(self._strokes.layer(image))
        self._show_other_images()
        if image is not None and self._session.run is None:
            self._show_results_on(image)
        self._show_actions()

    # what the widgets show

    def _turn_to_run_of(self, layer: napari.layers.Layer | None) -> None:
        """Have all controls act on the run that a layer belongs to, unless one is going on."""
        run = self.results.layers.run_of(layer)
        if run in (None, self.results.run) or self._session.run is not None:
            return
        self.results.turn_to(run)
        asked_for = self.results.layers.of_all_images()[0]
        self._session = self._session.turn_to(asked_for)
        self.plot.begin(asked_for.curve)
        if run.image in self._viewer.layers:
            spatial_ndim = run.request.options.get("spatial_ndim", 2)
            self._image_form.choose(run.image, run.request.axes, spatial_ndim)
        self._show_actions()

    def _show_results_on(self, image: napari.layers.Image) -> None:
        """Show what the run at hand has left for one of its images, if it is one of several."""
        view = self.results.layers.view
        for one in self.results.layers.of_all_images():
            if one.image == image and one is not self.results.run:
                self.results.turn_to(one)
                self.results.choose(view)

    def _show_other_images(self) -> None:
        """Say how many images are trained on beside the chosen one, if there are others at all."""
        n_others = len(self.other_images.chosen)
        self.other_images.text = LEARN_ALSO_ON.format(
            f" {count(n_others, 'image')}…" if n_others else "…"
        )
        self.other_images.visible = bool(self.other_images.fitting)
        self.plan.n_images = 1 + n_others
        self.plan.refresh()

    def _handle(self, event: Event) -> None:
        """Take an event of the run, and show what is possible now."""
        self._session = self._session.after(event)
        self._show_actions()

    def _actions(self) -> Actions:
        """Return what the user can do now."""
        last = self._session.last
        return available_actions(
            self._session,
            has_image=self.image.value is not None,
            has_last_image=last is not None and last.image in self._viewer.layers,
            has_network=self.network.segmenter is not None,
            asks_for_axes=self._image_form.asks_for_axes,
        )

    def _show_actions(self) -> None:
        """Switch the controls on or off."""
        actions = self._actions()
        self._buttons.show_actions(actions, is_paused=self._session.state is State.PAUSED)
        self.strokes_button.enabled = actions.draw_strokes
        self.progress.visible = actions.see_progress
        if actions.see_progress:
            run = self._session.run
            self._activity.begin("trained network" if run is None else run.image.name)
        else:
            self._activity.end()
        self.results.show_actions(actions, self._session.run)
        self.network.show_actions(actions)
        self.run_files.show_actions(actions)

    def _show_status(self, sentence: str) -> None:
        self.status.value = sentence

    def _show_status_between_runs(self, sentence: str) -> None:
        """Show a sentence, unless a run says how far it is."""
        if self._session.run is None:
            self._show_status(sentence)
