"""A run in a thread worker of napari: steps of the library in, small updates out."""

import contextlib
import warnings
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from napari_unsupseg._generators import map_yields
from napari_unsupseg._typing import Labels
from napari_unsupseg.errors import StrokesError
from napari_unsupseg.image.tiling import load_if_small
from napari_unsupseg.options import AxesOptions, ImageOptions
from napari_unsupseg.plugin.background import (
    run_until_stopped,
    translate_worker_errors,
)
from napari_unsupseg.plugin.label_history import LabelHistory
from napari_unsupseg.plugin.run_control import RunControl
from napari_unsupseg.plugin.run_data import Phase, RunLeg, RunRequest, RunResult, RunUpdate
from napari_unsupseg.plugin.throttle import SHARE_SECONDS, IterationTimer, PictureThrottle
from napari_unsupseg.plugin.training_region import TrainingRegion
from napari_unsupseg.regions.labels import count_labels
from napari_unsupseg.regions.strokes import apply_strokes

if TYPE_CHECKING:
    from napari_unsupseg.learning.lazy_inference import LazyLabels
    from napari_unsupseg.learning.step import Step
    from napari_unsupseg.regions.hierarchy import Hierarchy
    from napari_unsupseg.segmenter import Segmenter

__all__ = ["run"]

Result = TypeVar("Result")
Updates = Generator[RunUpdate, None, None]


def run(request: RunRequest, control: RunControl) -> Generator[RunUpdate, None, RunResult | None]:
    """Train on an image, and yield as often as there is something to show.

    Parameters
    ----------
    request : RunRequest
        What to run.
    control : RunControl
        Has it pause, go on and end, after the iteration under way.

    Yields
    ------
    RunUpdate
        After an iteration or a part of what follows, and from time to time while it is paused.

    Returns
    -------
    RunResult or None
        None if it was stopped before there were labels, or abandoned.

    Raises
    ------
    UnsupsegError
        If the image cannot be segmented or memory runs out.
    RunError
        If anything else goes wrong.
    """
    with translate_worker_errors("the run failed: "):
        runner = _Runner(request, control)
        step = yield from runner.train()
        if step is None or control.is_abandoned:
            return None
        return (yield from runner.finish(step))


class _Runner:
    """One run, from the first step to its result."""

    def __init__(self, request: RunRequest, control: RunControl) -> None:
        self._request, self._control = request, control
        self._image = load_if_small(request.image)
        self._region = TrainingRegion(
            self._image,
            request.axes,
            request.options.get("spatial_ndim", 2),
            request.settings.seed,
            request.region,
            request.pyramid,
        )
        self._timer, self._throttle = IterationTimer(), PictureThrottle(request.update_every)
        self._iteration = self._n_steps = 0
        self._ran_to_end = True
        self._is_steered = request.options.get("strokes") is not None
        self._segmenter, self._history, self._steps = self._begin()

    def _begin(self) -> tuple["Segmenter", LabelHistory, Generator["Step", None, None]]:
        """Return what a run needs to begin, or to be continued."""
        # here, not above: torch takes seconds to load and the window must not wait
        from napari_unsupseg.segmenter import Segmenter

        request = self._request
        options = _crop_strokes(request.options, self._region)
        strokes = self._with_others(options.get("strokes"))
        if request.previous is not None:
            segmenter = request.previous.segmenter
            segmenter.strokes = strokes
            return segmenter, request.previous.history, segmenter.resume()
        segmenter = Segmenter(request.settings, device=request.device)
        image = self._region.image
        if request.others:
            image = [image, *(load_if_small(other.image) for other in request.others)]
        steps = segmenter.steps(image, **{**options, "strokes": strokes})
        return segmenter, LabelHistory(request.history_bytes), steps

    def train(self) -> Generator[RunUpdate, None, "Step | None"]:
        """Take steps to the end or a stop, and return the last one; None if there was none."""
        step, control = None, self._control
        with contextlib.closing(self._steps) as steps:  # its memory is free before segments come
            for step in steps:
                self._n_steps += 1
                yield from self._show_step(step)
                if control.is_stopped:
                    self._ran_to_end = False
                    break
        if step is None or self._ran_to_end or self._is_left_off(step):
            return step
        # the labels so far at once: those to keep take a moment
        labels = self._labels_of_image(step)
        yield self._update(step, Phase.SEGMENTING, labels=labels)
        control.clear_stop()
        for step in self._segmenter.finish():
            yield from self._show_step(step)
            if self._is_left_off(step):
                break
        return step

    def _is_left_off(self, step: "Step") -> bool:
        """Tell whether a stop came after the last iteration, or nobody waits for what follows."""
        control = self._control
        is_after_training = step.hierarchy_share is not None
        return control.is_abandoned or (control.is_stopped and is_after_training)

    def _show_step(self, step: "Step") -> Updates:
        """Yield what there is to show of a step; then wait if paused, and follow new strokes."""
        if step.hierarchy_share is not None:  # labels do not change while a hierarchy is made
            if self._throttle.is_text_due():
                self._throttle.text_sent(SHARE_SECONDS)
                yield self._update(step, Phase.SEGMENTING, share=step.hierarchy_share)
            return
        self._timer.tick(step.factor)
        is_trained = step.iteration == self._iteration  # only its labels are others now
        self._iteration = step.iteration
        labels = self._due_labels(step, is_trained=is_trained)
        if labels is not None or self._throttle.is_text_due():
            self._throttle.text_sent()
            phase = Phase.SEGMENTING if is_trained else Phase.TRAINING
            yield self._update(step, phase, labels=labels)
        # what follows the training cannot be paused: a pause that came too late is none
        while self._control.is_paused and not is_trained:
            yield self._update(step, Phase.PAUSED)
            self._control.wait_while_paused()
            self._timer.skip_pause()
        self._follow_strokes()

    def _labels_of_image(self, step: "Step") -> Labels:
        """Return the labels of all of the image; those of others beside it are left out."""
        return self._region.embed_labels(self._segmenter.split(step.labels)[0])

    def _with_others(self, strokes: ArrayLike | None) -> Any:
        """Return strokes on the image as the library takes them, with those on the others."""
        if not self._request.others:
            return strokes
        return [strokes, *(other.strokes for other in self._request.others)]

    def _due_labels(self, step: "Step", *, is_trained: bool) -> Labels | None:
        """Return the labels of a step if it is time for a picture, and remember them."""
        is_due = self._throttle.is_due(step.iteration)
        if is_due and self._request.update_every:
            self._control.wait_until_drawn()  # each picture that was asked for is to be seen
        # none is made while the last one still waits: the window would fall behind
        if not is_trained and not (is_due and self._control.is_picture_drawn):
            return None
        with self._throttle.timing_picture():
            labels = self._labels_of_image(step)
            self._history.add(step.iteration, labels)
        self._control.picture_sent()
        return labels

    def _follow_strokes(self) -> None:
        """Hand strokes drawn since the last step to the segmenter."""
        for strokes in self._control.new_strokes():
            try:
                cropped = None if strokes is None else self._region.crop_labels(strokes)
                self._segmenter.strokes = self._with_others(cropped)
                self._is_steered |= strokes is not None
            except StrokesError as error:  # the run goes on with those it has
                warnings.warn(str(error), stacklevel=2)

    def finish(self, step: "Step") -> Generator[RunUpdate, None, RunResult | None]:
        """Label all of the image, make its hierarchy, and return the result of the run."""
        request, segmenter = self._request, self._segmenter
        labels = self._labels_of_image(step)
        # the labels are ready; what follows may take a moment
        yield self._update(step, Phase.SEGMENTING, labels=labels)
        lazy_labels: LazyLabels | None = None
        hierarchy: Hierarchy | None = None
        others: list[Hierarchy] = []
        predicted: Labels | None = None
        if request.pyramid is not None:
            lazy_labels = segmenter.lazy_labels(self._image, axes=request.axes)
        elif request.region is not None:
            of_image: AxesOptions = {
                "axes": request.axes,
                "spacing": request.options.get("spacing"),
            }
            prediction = segmenter.predict_generator(self._image, **of_image)
            predicted = yield from self._until_stopped(step, Phase.PREDICTING, prediction)
            if predicted is not None:
                labels = self._draw_strokes(predicted)
                yield self._update(step, Phase.SEGMENTING, labels=labels)
                segments = segmenter.predict_hierarchy_generator(
                    self._image, labels=predicted, **of_image
                )
                hierarchy = yield from self._until_stopped(step, Phase.SEGMENTING, segments)
        else:
            of_each = segmenter.hierarchies_generator()
            hierarchies = yield from self._until_stopped(step, Phase.SEGMENTING, of_each)
            if hierarchies is not None:
                hierarchy, *others = hierarchies
        if self._control.is_abandoned:
            return None
        self._history.add(self._iteration, labels)
        previous = request.previous
        is_steered = self._is_steered or (previous is not None and previous.is_steered)
        return RunResult(
            record=self._record(step, None if predicted is None else labels)
            | {"strokes": is_steered},
            hierarchy=hierarchy,
            history=self._history,
            segmenter=segmenter,
            legs=self._legs(step),
            is_steered=is_steered,
            covers_image=request.region is None
            or request.pyramid is not None
            or predicted is not None,
            lazy_labels=lazy_labels,
            other_hierarchies=tuple(others),
        )

    def _until_stopped(
        self, step: "Step", phase: Phase, work: Generator[float, None, Result]
    ) -> Generator[RunUpdate, None, Result | None]:
        """Yield how far a phase after the training is, and return its result; None if stopped."""
        updates = map_yields(work, lambda share: self._update(step, phase, share=share))
        return (yield from run_until_stopped(updates, lambda: self._control.is_stopped))

    def _draw_strokes(self, labels: Labels) -> Labels:
        """Return labels of the image with the strokes in its region as they were drawn."""
        drawn = labels.copy()
        inside = self._region.crop_labels(drawn)  # a view of it
        inside[...] = apply_strokes(inside, self._segmenter.strokes)
        return drawn

    def _record(self, step: "Step", predicted: Labels | None) -> dict[str, Any]:
        """Return how the labels were made; those predicted may have fewer clusters or more."""
        record = self._segmenter.record(step)
        if predicted is not None:
            record["clusters"] = count_labels(predicted)
        if self._request.region is not None:
            rows, columns = self._request.region
            record["region"] = {"y": [rows.start, rows.stop], "x": [columns.start, columns.stop]}
        return record

    def _legs(self, step: "Step") -> tuple[RunLeg, ...]:
        """Return the legs of the run at its end, this one last."""
        is_finished = not self._ran_to_end and step.hierarchy_share is None
        leg = RunLeg(self._n_steps, self._ran_to_end, is_finished)
        previous = self._request.previous
        return (leg,) if previous is None else (*previous.legs, leg)

    def _update(
        self,
        step: "Step",
        phase: Phase,
        *,
        labels: Labels | None = None,
        share: float | None = None,
    ) -> RunUpdate:
        segmenter, seconds = self._segmenter, self._timer.seconds
        return RunUpdate(
            phase=phase,
            iteration=step.iteration,
            n_iterations=step.iteration + segmenter.iterations_left_,
            n_clusters=step.n_clusters,
            loss=step.loss,
            factor=step.factor,
            device=str(segmenter.device),
            labels=labels,
            other_labels=() if labels is None else tuple(segmenter.split(step.labels)[1:]),
            share=share,
            iteration_seconds=seconds,
            seconds_left=None if seconds is None else segmenter.seconds_left(seconds),
        )


def _crop_strokes(options: ImageOptions, region: TrainingRegion) -> ImageOptions:
    """Return the options of an image for the region of it that is trained on."""
    strokes = options.get("strokes")
    if strokes is None:
        return options
    return {**options, "strokes": region.crop_labels(np.asarray(strokes))}
