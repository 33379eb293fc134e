"""A run in napari's thread worker: steps of the library in, small updates out."""

import dataclasses
import importlib
import threading
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unsupseg.errors import UnsupsegError
from napari_unsupseg.plugin.history import LabelHistory
from napari_unsupseg.settings import Settings

if TYPE_CHECKING:
    from napari_unsupseg.hierarchy import Hierarchy

__all__ = ["Outcome", "Request", "RunError", "Update", "preload", "run"]


class RunError(Exception):
    """A run failed in a way that nobody foresaw.

    Not a `RuntimeError`, since superqt takes those for deleted Qt objects and drops them.
    """


@dataclasses.dataclass(frozen=True, eq=False)
class Request:
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
        Iterations from one update of the labels to the next.
    history_bytes : int
        Memory that labels shown on the way may take.
    """

    image: ArrayLike
    axes: str
    spatial_ndim: int
    spacing: tuple[float, ...] | None
    settings: Settings
    device: str
    update_every: int
    history_bytes: int


@dataclasses.dataclass(frozen=True, eq=False)
class Update:
    """What the panel shows of an iteration.

    Attributes
    ----------
    iteration : int
        Number of the iteration.
    n_clusters : int
        Clusters left.
    factor : int
        Pixels of the image along a side of each that was trained on.
    labels : ndarray of uint8 or uint16, shape (..., Y, X), or None
        Labels, at every N-th iteration and after the last one.
    is_over : bool
        Whether the training is, and segments are being made.
    """

    iteration: int
    n_clusters: int
    factor: int
    labels: NDArray[np.unsignedinteger] | None
    is_over: bool


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """What a run leaves behind.

    Attributes
    ----------
    record : dict
        How the last labels were made.
    hierarchy : Hierarchy
        Segments at every granularity.
    history : LabelHistory
        The labels that were shown, and the last ones.
    """

    record: dict[str, Any]
    hierarchy: "Hierarchy"
    history: LabelHistory


def preload() -> threading.Thread:
    """Load torch and all else that a run needs, out of the window's way.

    Returns
    -------
    threading.Thread
        Alive until everything is loaded. A run that begins before waits for it.
    """
    thread = threading.Thread(target=importlib.import_module, args=["napari_unsupseg.segmenter"])
    thread.start()
    return thread


def run(request: Request, stop: threading.Event) -> Generator[Update, None, Outcome | None]:
    """Train on an image, and yield after each iteration.

    Parameters
    ----------
    request : Request
        What to run.
    stop : threading.Event
        Set from any thread to end the run after the iteration under way.

    Yields
    ------
    Update
        After each iteration.

    Returns
    -------
    Outcome or None
        None if stopped before there were labels.

    Raises
    ------
    UnsupsegError
        If the image cannot be segmented or memory runs out.
    RunError
        If anything else goes wrong.
    """
    try:
        # here, not above: torch takes seconds to load and the window must not wait
        from napari_unsupseg.segmenter import Segmenter

        segmenter = Segmenter(request.settings, device=request.device)
        step = None
        iteration = 0
        history = LabelHistory(request.history_bytes)
        steps = segmenter.steps(
            request.image,
            axes=request.axes,
            spatial_ndim=request.spatial_ndim,
            spacing=request.spacing,
        )
        for step in steps:
            is_over = step.iteration == iteration  # training is: only labels change now
            iteration = step.iteration
            shown = is_over or iteration == 1 or iteration % request.update_every == 0
            labels = step.labels if shown else None
            if labels is not None:
                history.add(iteration, labels)
            yield Update(iteration, step.n_clusters, step.factor, labels, is_over)
            if stop.is_set():
                break
        if step is None:
            return None
        history.add(iteration, step.labels)
        # the labels are ready; their hierarchy may take a moment
        yield Update(iteration, step.n_clusters, step.factor, step.labels, is_over=True)
        return Outcome(segmenter.record(step), segmenter.hierarchy_, history)
    except UnsupsegError:
        raise
    except Exception as error:
        raise RunError(f"the run failed: {error}") from error
