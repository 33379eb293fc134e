"""What the panel is doing, and what its user can do now; no widget is known here.

A `Session` is frozen: an event makes another one, and `available_actions` reads off it which
controls are switched on. The widgets only show that.
"""

import dataclasses
import enum
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from napari_unsupseg.plugin.label_history import LabelHistory
from napari_unsupseg.plugin.layers import has_array
from napari_unsupseg.plugin.layout import Layout
from napari_unsupseg.plugin.run_control import RunControl
from napari_unsupseg.plugin.run_data import RunRequest, RunResult, TrainingCurve

if TYPE_CHECKING:
    import napari.layers

__all__ = [
    "Actions",
    "Event",
    "LayerRun",
    "NetworkJob",
    "OtherLayers",
    "Session",
    "State",
    "View",
    "available_actions",
]


class State(enum.Enum):
    """What a session is doing."""

    IDLE = enum.auto()  # no run has left labels yet
    TRAINING = enum.auto()
    PAUSED = enum.auto()
    FINISHING = enum.auto()  # trained: what follows from the labels is made
    STOPPING = enum.auto()
    ENDED = enum.auto()


class Event(enum.Enum):
    """What happens to a run between its start and its end."""

    PAUSE = enum.auto()
    RESUME = enum.auto()
    FINISH = enum.auto()  # the training is over, what follows is under way
    STOP = enum.auto()


# any other event leaves the state as it is
TRANSITIONS = {
    (State.TRAINING, Event.PAUSE): State.PAUSED,
    (State.PAUSED, Event.RESUME): State.TRAINING,
    (State.TRAINING, Event.FINISH): State.FINISHING,
    (State.PAUSED, Event.FINISH): State.FINISHING,
    # a run that was stopped while it trained still makes the labels to keep
    (State.STOPPING, Event.FINISH): State.FINISHING,
    (State.TRAINING, Event.STOP): State.STOPPING,
    (State.PAUSED, Event.STOP): State.STOPPING,
    (State.FINISHING, Event.STOP): State.STOPPING,
}


class View(enum.Enum):
    """What is seen of a run that has ended."""

    CLUSTERS = "Clusters"
    SEGMENTS = "Segments"
    OBJECTS = "Objects"


class NetworkJob(enum.Enum):
    """What is being done with the trained network; a run may go on meanwhile."""

    NONE = enum.auto()
    BRIEF = enum.auto()  # loading or saving it, or the end of a job that was stopped
    STOPPABLE = enum.auto()  # applying it


class OtherLayers(NamedTuple):
    """The layers of an image that is trained on together with another one.

    Attributes
    ----------
    image : napari.layers.Image
        The image.
    labels : napari.layers.Labels
        What shows its labels.
    """

    image: "napari.layers.Image"
    labels: "napari.layers.Labels"


@dataclasses.dataclass(frozen=True, eq=False)
class LayerRun:
    """What one run acts on, and what it has produced.

    Attributes
    ----------
    image : napari.layers.Image
        The layer that is segmented.
    request : RunRequest
        What was asked for; it has the axes of the image.
    labels : napari.layers.Labels
        The layer that shows the labels while they change.
    control : RunControl
        Stops and pauses the run in its thread.
    curve : TrainingCurve
        Clusters and loss by iteration so far.
    result : RunResult or None
        What the run left behind; None before its end.
    successor : RunRequest or None
        What begins in the same layer as soon as this run has ended.
    others : tuple of OtherLayers
        The layers of `request.others`, in their order.
    image_index : int
        Which of the images of a run on several this one is, from 0.
    """

    image: "napari.layers.Image"
    request: RunRequest
    labels: "napari.layers.Labels"
    control: RunControl = dataclasses.field(default_factory=RunControl)
    curve: TrainingCurve = dataclasses.field(default_factory=TrainingCurve)
    result: RunResult | None = None
    successor: RunRequest | None = None
    others: tuple[OtherLayers, ...] = ()
    image_index: int = 0

    @property
    def of_others(self) -> "list[LayerRun]":
        """What the run acts on beside its image: the same for each of the other images."""
        return [
            dataclasses.replace(
                self,
                image=layers.image,
                labels=layers.labels,
                request=dataclasses.replace(self.request, image=other.image),
                others=(),
                image_index=index,
            )
            for index, (layers, other) in enumerate(
                zip(self.others, self.request.others, strict=True), start=1
            )
        ]

    def results_of_others(self) -> "list[LayerRun]":
        """Return what the run has left for each of the other images, as if it were of that one."""
        result = self.result
        assert result is not None, "the run has ended"
        runs = []
        for run, hierarchy in zip(self.of_others, result.other_hierarchies, strict=False):
            history = LabelHistory(0)  # their labels on the way are not kept
            history.add(result.record["iterations"], run.layout.from_layer(run.labels.data))
            of_image = dataclasses.replace(result, hierarchy=hierarchy, history=history)
            runs.append(dataclasses.replace(run, result=of_image))
        return runs

    @property
    def layout(self) -> Layout:
        """The axes of what was segmented, whatever data its layer has by now."""
        return Layout(np.shape(self.request.image), self.request.axes, bool(self.image.rgb))

    @property
    def is_image_replaced(self) -> bool:
        """Whether the layer of the image has other data than those that were segmented."""
        return not has_array(self.image, self.request.image)

    @property
    def is_blank(self) -> bool:
        """Whether its layer has no labels yet."""
        pyramid = self.request.pyramid
        return not self.labels.data.any() if pyramid is None else pyramid.is_blank

    @property
    def has_segments(self) -> bool:
        """Whether it has left a hierarchy, which needs an image that can be loaded."""
        return self.result is not None and self.result.hierarchy is not None


@dataclasses.dataclass(frozen=True, eq=False)
class Session:
    """All that the panel knows of its runs at one moment.

    Attributes
    ----------
    state : State
        What it is doing.
    run : LayerRun or None
        The run that is going on.
    last : LayerRun or None
        The last run that has left labels, with its result, or an earlier one that was chosen.
    job : NetworkJob
        What is being done with the trained network.
    """

    state: State = State.IDLE
    run: LayerRun | None = None
    last: LayerRun | None = None
    job: NetworkJob = NetworkJob.NONE

    def start(self, run: LayerRun) -> Self:
        """Return the session after a run has begun."""
        return dataclasses.replace(self, state=State.TRAINING, run=run)

    def after(self, event: Event) -> Self:
        """Return the session after an event; the same state where the event means nothing."""
        return dataclasses.replace(self, state=TRANSITIONS.get((self.state, event), self.state))

    def replace_run(self, successor: RunRequest | None) -> Self:
        """Return the session with another request that is to follow its run, or with none."""
        assert self.run is not None
        return dataclasses.replace(self, run=dataclasses.replace(self.run, successor=successor))

    def end(self, result: RunResult | None) -> Self:
        """Return the session after its run has ended; without a result the last run stays."""
        assert self.run is not None
        last = self.last if result is None else dataclasses.replace(self.run, result=result)
        state = State.IDLE if last is None else State.ENDED
        return dataclasses.replace(self, state=state, run=None, last=last)

    def turn_to(self, last: LayerRun) -> Self:
        """Return the session after a run was opened, or an earlier one chosen, with its result."""
        return dataclasses.replace(self, state=State.ENDED, last=last)

    def with_job(self, job: NetworkJob) -> Self:
        """Return the session while something else is done with the network."""
        return dataclasses.replace(self, job=job)


@dataclasses.dataclass(frozen=True)
class Actions:
    """What the user can do; True where the control is switched on.

    Attributes
    ----------
    run, pause, stop, continue_training, start_over, draw_strokes : bool
        The buttons of runs; *Pause* is *Resume* while a run is paused.
    cut_segments : bool
        The views of a run, with all that is in them but the next.
    show_history : bool
        Labels of earlier iterations.
    copy_script : bool
        The last run as Python.
    open_run, save_run : bool
        A run from and to a file.
    load_network, save_network, apply_network : bool
        The trained network from and to a file (and applied to files), and on the chosen image.
    see_progress : bool
        Whether the bar is shown.
    """

    run: bool
    pause: bool
    stop: bool
    continue_training: bool
    start_over: bool
    draw_strokes: bool
    cut_segments: bool
    show_history: bool
    copy_script: bool
    open_run: bool
    save_run: bool
    load_network: bool
    save_network: bool
    apply_network: bool
    see_progress: bool


def available_actions(
    session: Session,
    *,
    has_image: bool,
    has_last_image: bool,
    has_network: bool,
    asks_for_axes: bool = False,
) -> Actions:
    """Decide which controls are switched on: the one place where that is said.

    Parameters
    ----------
    session : Session
        What the panel is doing.
    has_image : bool
        Whether an image is chosen.
    has_last_image : bool
        Whether the image of the last run is still in the viewer.
    has_network : bool
        Whether there is a trained network, of a run or from a file.
    asks_for_axes : bool
        Whether the user has to say first what the axes of the image are.

    Returns
    -------
    Actions
        What the user can do.
    """
    has_run = session.state not in (State.IDLE, State.ENDED)
    can_stop_run = has_run and session.state is not State.STOPPING
    can_stop_job = session.job is NetworkJob.STOPPABLE
    # a run changes the network that a job would use, and the other way round
    is_free = not has_run and session.job is NetworkJob.NONE
    last = None if has_run else session.last
    shows_its_image = last is not None and not last.is_image_replaced
    can_continue = is_free and shows_its_image and has_last_image
    has_segments = shows_its_image and last is not None and last.has_segments
    n_pictures = len(last.result.history.iterations) if last and last.result else 0
    return Actions(
        run=is_free and has_image and not asks_for_axes,
        pause=session.state in (State.TRAINING, State.PAUSED),
        stop=can_stop_run or can_stop_job,
        continue_training=can_continue,
        start_over=can_stop_run or can_continue,
        draw_strokes=has_image and not asks_for_axes,
        cut_segments=has_segments,
        show_history=has_segments and n_pictures > 1,
        copy_script=last is not None,
        open_run=is_free,
        save_run=is_free and last is not None,
        load_network=is_free,
        save_network=is_free and has_network,
        apply_network=is_free and has_network and has_image and not asks_for_axes,
        see_progress=has_run or can_stop_job,
    )
