"""A run in napari's thread worker: steps of the library in, small updates out."""

import collections
import contextlib
import dataclasses
import importlib
import threading
import warnings
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unsupseg._generators import map_yields
from napari_unsupseg._typing import Labels
from napari_unsupseg.errors import StrokesError, UnsupsegError
from napari_unsupseg.image.tiling import is_large, is_lazy
from napari_unsupseg.plugin.label_history import LabelHistory
from napari_unsupseg.plugin.throttle import IterationTimer, PictureThrottle
from napari_unsupseg.plugin.training_region import Region, TrainingRegion
from napari_unsupseg.regions.strokes import apply_strokes
from napari_unsupseg.settings import Settings

if TYPE_CHECKING:
    from napari_unsupseg.learning.lazy_inference import LazyLabels
    from napari_unsupseg.learning.step import Step
    from napari_unsupseg.plugin.large.pyramid import LabelPyramid
    from napari_unsupseg.regions.hierarchy import Hierarchy
    from napari_unsupseg.segmenter import Segmenter

__all__ = [
    "RunControl",
    "RunError",
    "RunLeg",
    "RunRequest",
    "RunResult",
    "RunUpdate",
    "load_if_small",
    "preload",
    "run",
    "run_while",
    "translate_worker_errors",
]

Result = TypeVar("Result")
LayerSnapshot = TypeVar("LayerSnapshot")
Strokes = NDArray[np.unsignedinteger] | None

PAUSE = 0.1  # seconds from one look at a paused run to the next
SCREEN = 1.0  # seconds that a picture may take to be shown, before a run goes on without


class RunError(Exception):
    """A run failed in a way that nobody foresaw.

    Not a `RuntimeError`, since superqt takes those for deleted Qt objects and drops them.
    """


class RunControl:
    """What the panel tells a run while it goes on, from any thread."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._abandoned = threading.Event()
        self._going = threading.Event()
        self._shown = threading.Event()
        self._going.set()
        self._shown.set()
        self._strokes: collections.deque[Strokes] = collections.deque(maxlen=1)

    @property
    def is_stopped(self) -> bool:
        """Whether what the run does now is to end."""
        return self._stopped.is_set() or self.is_abandoned

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody waits for what comes of the run."""
        return self._abandoned.is_set()

    @property
    def is_paused(self) -> bool:
        """Whether the run is to wait."""
        return not self._going.is_set()

    @property
    def is_picture_drawn(self) -> bool:
        """Whether the last picture is on the screen."""
        return self._shown.is_set()

    def stop(self) -> None:
        """End what the run does now, after the iteration or the part under way."""
        self._stopped.set()
        self._going.set()
        self._shown.set()

    def abandon(self) -> None:
        """End the run, and leave off what would follow."""
        self._abandoned.set()
        self.stop()

    def clear_stop(self) -> None:
        """Take a stop so far as done: another one is about what follows."""
        self._stopped.clear()

    def pause(self) -> None:
        """Have the run wait after the iteration under way."""
        self._going.clear()

    def resume(self) -> None:
        """Have the run go on."""
        self._going.set()

    def wait_while_paused(self) -> None:
        """Wait a moment, or until the run is to go on."""
        self._going.wait(PAUSE)

    def set_strokes(self, strokes: Strokes) -> None:
        """Have the run follow other strokes from the next iteration on; None for none."""
        self._strokes.append(strokes)

    def new_strokes(self) -> Iterator[Strokes]:
        """Yield the strokes to follow, if others were given since this was asked."""
        while self._strokes:
            yield self._strokes.pop()

    def picture_sent(self) -> None:
        """Say that a picture is on its way to the screen."""
        if not self.is_stopped:
            self._shown.clear()

    def picture_drawn(self) -> None:
        """Say that the screen has taken the last picture."""
        self._shown.set()

    def wait_until_drawn(self) -> None:
        """Wait until the screen has taken the last picture, but not for ever."""
        self._shown.wait(SCREEN)


@dataclasses.dataclass(frozen=True)
class RunLeg:
    """A part of a run: from its start, or from where it went on, to a stop or the end.

    Attributes
    ----------
    n_steps : int
        Steps that were taken before a stop.
    is_whole : bool
        Whether there were no more to take.
    is_finished : bool
        Whether a stopped one came to its labels to keep.
    """

    n_steps: int
    is_whole: bool
    is_finished: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class RunResult:
    """What a run leaves behind.

    Attributes
    ----------
    record : dict
        How the last labels were made.
    hierarchy : Hierarchy or None
        Segments at every granularity; none of an image that is too large to be loaded, if it has
        labels only where the run has trained, or if it was stopped while they were made.
    history : LabelHistory
        The labels that were shown, and the last ones; those of crops of such an image.
    segmenter : Segmenter
        Its network, which can be trained on.
    parts : tuple of Part
        The run, and how it went on.
    is_steered : bool
        Whether it followed strokes.
    is_everywhere : bool
        Whether there are labels of all of the image.
    on_demand : LazyLabels or None
        The labels of an image that is too large to be loaded, any part of it.
    """

    record: dict[str, Any]
    hierarchy: "Hierarchy | None"
    history: LabelHistory
    segmenter: "Segmenter"
    parts: tuple[RunLeg, ...]
    is_steered: bool
    is_everywhere: bool = True
    on_demand: "LazyLabels | None" = None

    @property
    def lacks_segments(self) -> bool:
        """Whether there could be segments, but the run was stopped while they were made."""
        return self.hierarchy is None and self.on_demand is None and self.is_everywhere


@dataclasses.dataclass(frozen=True, eq=False)
class RunRequest:
    """All that a run needs, resolved from the panel before it starts.

    Attributes
    ----------
    image : array_like
        Data of the Image layer.
    axes : str
        As in `napari_unsupseg.segment`.
    spatial_ndim : int
        As in `napari_unsupseg.segment`.
    spacing : tuple of float or None
        As in `napari_unsupseg.segment`.
    settings : Settings
        The settings.
    device : str
        As in `napari_unsupseg.segment`.
    update_every : int
        Iterations from one update of the labels to the next; 0 for some each second.
    history_bytes : int
        Memory that labels shown on the way may take.
    earlier : Outcome or None
        A run to go on with.
    strokes : ndarray of unsigned integers, shape (..., Y, X), or None
        As in `napari_unsupseg.segment`.
    region : tuple of slice or None
        Where to train, along y and x; None for everywhere.
    pyramid : LabelPyramid or None
        Where the labels go of an image that is too large to be loaded.
    """

    image: ArrayLike
    axes: str
    spatial_ndim: int
    spacing: tuple[float, ...] | None
    settings: Settings
    device: str
    update_every: int
    history_bytes: int
    earlier: RunResult | None = None
    strokes: Strokes = None
    region: Region | None = None
    pyramid: "LabelPyramid | None" = None


@dataclasses.dataclass(frozen=True, eq=False)
class RunUpdate:
    """What the panel shows of an iteration.

    Attributes
    ----------
    iteration : int
        Number of the iteration.
    n_iterations : int
        What it may become at most.
    n_clusters : int
        Clusters left.
    loss : float
        As in `Step`.
    factor : int
        Pixels of the image along a side of each that was trained on.
    labels : ndarray of uint8 or uint16, shape (..., Y, X), or None
        Labels, if it is time for a picture, and after the last iteration.
    seconds : float or None
        What an iteration takes; None while nobody knows.
    seconds_left : float or None
        What the training may still take at most.
    where : str
        Device and precision.
    is_paused : bool
        Whether the run waits.
    is_over : bool
        Whether the training is, and segments are being made.
    hierarchy_share : float or None
        How much of them is made, from 0 to 1, if anybody knows.
    """

    iteration: int
    n_iterations: int
    n_clusters: int
    loss: float
    factor: int
    labels: NDArray[np.unsignedinteger] | None
    seconds: float | None
    seconds_left: float | None
    where: str
    is_paused: bool = False
    is_over: bool = False
    hierarchy_share: float | None = None


def preload() -> threading.Thread:
    """Load torch, and all else that a run and its plots need, out of the window's way.

    Returns
    -------
    threading.Thread
        Alive until everything is loaded. A run that begins before waits for it.
    """
    thread = threading.Thread(target=_load)
    thread.start()
    return thread


def _load() -> None:
    for name in ("napari_unsupseg.segmenter", "pyqtgraph"):
        importlib.import_module(name)


def run(
    request: RunRequest, control: RunControl
) -> Generator[RunUpdate | float, None, RunResult | None]:
    """Train on an image, and yield as often as there is something to show.

    Parameters
    ----------
    request : Request
        What to run.
    control : Control
        Has it pause, go on and end, after the iteration under way.

    Yields
    ------
    Update
        After an iteration, and from time to time while it is paused.
    float
        Share of the image that has labels, while a region's clusters are found in all of it.

    Returns
    -------
    Outcome or None
        None if stopped before there were labels, or abandoned.

    Raises
    ------
    UnsupsegError
        If the image cannot be segmented or memory runs out.
    RunError
        If anything else goes wrong.
    """
    with translate_worker_errors("the run failed: "):
        image = load_if_small(request.image)
        part = TrainingRegion(
            image,
            request.axes,
            request.spatial_ndim,
            request.settings.seed,
            request.region,
            request.pyramid,
        )
        segmenter, history, steps = _begin(request, part)
        pace, pictures = IterationTimer(), PictureThrottle(request.update_every)
        step = None
        iteration = n_steps = 0
        is_whole, is_steered = True, request.strokes is not None
        with contextlib.closing(_to_the_end(steps, segmenter, control)) as steps:
            for step in steps:
                n_steps += is_whole  # until it is stopped
                is_over = step.iteration == iteration  # training is: only labels change now
                if step.hierarchy_share is not None:  # not even they do
                    if pictures.text_is_due():
                        pictures.text_shown()
                        yield _update(segmenter, step, pace, is_over=True)
                else:
                    pace.count(step.factor)
                    iteration = step.iteration
                    labels = None
                    if request.update_every and pictures.is_due(iteration):
                        control.wait_until_drawn()
                    if is_over or (pictures.is_due(iteration) and control.is_picture_drawn):
                        with pictures.timing_picture():
                            labels = part.embed_labels(step.labels)
                            history.add(iteration, labels)
                        control.picture_sent()
                    if labels is not None or pictures.text_is_due():
                        pictures.text_shown()
                        yield _update(segmenter, step, pace, labels=labels, is_over=is_over)
                    while control.is_paused:
                        yield _update(segmenter, step, pace, is_paused=True)
                        control.wait_while_paused()
                        pace.forget()
                    is_steered |= _steer(segmenter, control, part)
                if control.is_stopped:
                    is_whole = False
                    if control.is_abandoned or step.hierarchy_share is not None:
                        break  # what is made of the labels is left off
                    # the labels so far at once: those to keep take a moment
                    labels = part.embed_labels(step.labels)
                    yield _update(segmenter, step, pace, labels=labels, is_over=True)
        if step is None or control.is_abandoned:
            return None
        labels = part.embed_labels(step.labels)
        # the labels are ready; those of all the image, and their hierarchy, may take a moment
        yield _update(segmenter, step, pace, labels=labels, is_over=True)
        record = segmenter.record(step)
        on_demand = hierarchy = None
        is_everywhere = True

        def is_wanted() -> bool:
            return not control.is_stopped

        def show(share: float) -> RunUpdate:
            assert step is not None
            return _update(segmenter, step.with_hierarchy_share(share), pace, is_over=True)

        if request.pyramid is not None:
            on_demand = segmenter.lazy_labels(image, axes=request.axes)
        elif request.region is not None:
            finding = segmenter.predict_generator(image, axes=request.axes)
            found = yield from run_while(finding, is_wanted)
            is_everywhere = found is not None
            if found is not None:
                labels = _with_strokes(found, segmenter, part)
                record["clusters"] = np.count_nonzero(np.bincount(labels.ravel())[1:])
                yield _update(segmenter, step, pace, labels=labels, is_over=True)
                making = segmenter.predict_hierarchy_generator(
                    image, axes=request.axes, labels=found
                )
                hierarchy = yield from run_while(map_yields(making, show), is_wanted)
        else:
            making = segmenter.hierarchy_generator()
            hierarchy = yield from run_while(map_yields(making, show), is_wanted)
        if control.is_abandoned:
            return None
        history.add(iteration, labels)
        if request.region is not None:
            rows, columns = request.region
            record["region"] = {
                "y": [rows.start, rows.stop],
                "x": [columns.start, columns.stop],
            }
        parts = [RunLeg(n_steps, is_whole, not is_whole and step.hierarchy_share is None)]
        if request.earlier:
            parts = [*request.earlier.parts, *parts]
            is_steered |= request.earlier.is_steered
        record |= {"strokes": is_steered}
        return RunResult(
            record,
            hierarchy,
            history,
            segmenter,
            tuple(parts),
            is_steered=is_steered,
            is_everywhere=is_everywhere,
            on_demand=on_demand,
        )


def load_if_small(image: Any) -> Any:
    """Return a lazy image computed, unless it is large.

    Parameters
    ----------
    image : array_like
        Data of an Image layer.

    Returns
    -------
    array_like
        A dask array only if it is too large to be loaded.
    """
    return image.compute() if is_lazy(image) and not is_large(image) else image


def _begin(
    request: RunRequest, part: TrainingRegion
) -> tuple["Segmenter", LabelHistory, Generator["Step", None, None]]:
    """Return what a run needs to begin, or to go on."""
    # here, not above: torch takes seconds to load and the window must not wait
    from napari_unsupseg.segmenter import Segmenter

    earlier = request.earlier
    strokes = None if request.strokes is None else part.crop_labels(request.strokes)
    if earlier is not None:
        earlier.segmenter.strokes = strokes
        return earlier.segmenter, earlier.history, earlier.segmenter.resume()
    segmenter = Segmenter(request.settings, device=request.device)
    steps = segmenter.steps(
        part.image,
        axes=request.axes,
        spatial_ndim=request.spatial_ndim,
        spacing=request.spacing,
        strokes=strokes,
    )
    return segmenter, LabelHistory(request.history_bytes), steps


def _to_the_end(
    steps: Generator["Step", None, None], segmenter: "Segmenter", control: RunControl
) -> Generator["Step", None, None]:
    """Yield the steps of a run until it is stopped, and those in which it then ends."""
    with contextlib.closing(steps):  # its memory is given back before segments are made
        for step in steps:
            yield step
            if control.is_stopped and step.hierarchy_share is None:
                break
        else:
            return
    control.clear_stop()
    yield from segmenter.finish()


def _with_strokes(labels: Labels, segmenter: "Segmenter", part: TrainingRegion) -> Labels:
    """Return labels of an image with the strokes in a region of it as they were drawn."""
    drawn = labels.copy()
    inside = part.crop_labels(drawn)
    inside[...] = apply_strokes(inside, segmenter.strokes)
    return drawn


def _steer(segmenter: "Segmenter", control: RunControl, part: TrainingRegion) -> bool:
    """Have a run follow the strokes that were drawn since; return whether there are any."""
    is_steered = False
    for strokes in control.new_strokes():
        try:
            segmenter.strokes = None if strokes is None else part.crop_labels(strokes)
            is_steered = strokes is not None
        except StrokesError as error:  # the run goes on with those it has
            warnings.warn(str(error), stacklevel=2)
    return is_steered


def _update(
    segmenter: "Segmenter",
    step: "Step",
    pace: IterationTimer,
    *,
    labels: NDArray[np.unsignedinteger] | None = None,
    is_paused: bool = False,
    is_over: bool = False,
) -> RunUpdate:
    seconds = pace.seconds
    return RunUpdate(
        iteration=step.iteration,
        n_iterations=step.iteration + segmenter.iterations_left_,
        n_clusters=step.n_clusters,
        loss=step.loss,
        factor=step.factor,
        labels=labels,
        seconds=seconds,
        seconds_left=None if seconds is None else segmenter.seconds_left(seconds),
        where=f"{segmenter.device}, {segmenter.record()['precision']}",
        is_paused=is_paused,
        is_over=is_over,
        hierarchy_share=step.hierarchy_share,
    )


def run_while(
    parts: Generator[LayerSnapshot, None, Result], is_wanted: Callable[[], bool]
) -> Generator[LayerSnapshot, None, Result | None]:
    """Go through the parts of a work, as long as it is wanted.

    Parameters
    ----------
    parts : generator
        Says after each part how far it is.
    is_wanted : callable
        Asked before each part.

    Yields
    ------
    object
        What the generator does, not so often that a window would be busy with it.

    Returns
    -------
    object
        What the generator returns; None if it was left off.
    """
    words = PictureThrottle(0)
    while is_wanted():
        try:
            share = next(parts)
        except StopIteration as end:
            result: Result = end.value
            return result
        if words.text_is_due():
            words.text_shown()
            yield share
    return None


@contextlib.contextmanager
def translate_worker_errors(beginning: str = "") -> Iterator[None]:
    """See that no error in a worker is lost.

    Parameters
    ----------
    beginning : str
        Of the sentence on an error that nobody foresaw.

    Yields
    ------
    None
        For the work.

    Raises
    ------
    UnsupsegError
        As it is raised.
    RunError
        In place of any other error.
    """
    try:
        yield
    except UnsupsegError:
        raise
    except Exception as error:
        raise RunError(f"{beginning}{error}") from error
