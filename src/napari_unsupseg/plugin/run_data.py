"""What goes into a run, what it says on its way, and what comes out of it; no widget among them."""

import dataclasses
import enum
from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import ArrayLike

from napari_unsupseg._typing import Labels
from napari_unsupseg.options import ImageOptions
from napari_unsupseg.plugin.label_history import LabelHistory
from napari_unsupseg.settings import Settings

if TYPE_CHECKING:
    from napari_unsupseg.learning.lazy_inference import LazyLabels
    from napari_unsupseg.plugin.large.pyramid import LabelPyramid
    from napari_unsupseg.plugin.training_region import Region
    from napari_unsupseg.regions.hierarchy import Hierarchy
    from napari_unsupseg.segmenter import Segmenter

__all__ = ["OtherImage", "Phase", "RunLeg", "RunRequest", "RunResult", "RunUpdate", "TrainingCurve"]


@dataclasses.dataclass(frozen=True)
class RunLeg:
    """One leg of a run: from its start, or from where it was continued, to a stop or the end.

    Attributes
    ----------
    n_steps : int
        Steps taken before a stop.
    ran_to_end : bool
        Whether there were no more to take.
    is_finished : bool
        Whether a stopped leg made the labels to keep, as `Segmenter.finish` does.
    """

    n_steps: int
    ran_to_end: bool
    is_finished: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class RunResult:
    """What a run leaves behind.

    Attributes
    ----------
    record : dict
        How the last labels were made; fit for JSON.
    hierarchy : Hierarchy or None
        Segments at every granularity; None of an image that is too large to be loaded, of one that
        has labels only where the run has trained, and if the run was stopped while it was made.
    history : LabelHistory
        The labels that were shown, and the last ones; of a large image those of its crops.
    segmenter : Segmenter
        Its network, which can be trained on.
    legs : tuple of RunLeg
        The run, and each time it was continued.
    is_steered : bool
        Whether it followed strokes.
    covers_image : bool
        Whether there are labels of the whole image, not only of the region trained on.
    lazy_labels : LazyLabels or None
        Labels of any part of an image that is too large to be loaded.
    other_hierarchies : tuple of Hierarchy
        Those of the images that were trained on with it, if it has one.
    """

    record: dict[str, Any]
    hierarchy: "Hierarchy | None"
    history: LabelHistory
    segmenter: "Segmenter"
    legs: tuple[RunLeg, ...]
    is_steered: bool
    covers_image: bool = True
    lazy_labels: "LazyLabels | None" = None
    other_hierarchies: "tuple[Hierarchy, ...]" = ()


class OtherImage(NamedTuple):
    """An image that is trained on together with another one, of the same axes and channels.

    Attributes
    ----------
    image : array_like
        Data of its layer.
    strokes : ndarray of unsigned integers, shape (..., Y, X), or None
        The strokes on it.
    """

    image: ArrayLike
    strokes: Labels | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class RunRequest:
    """All that a run needs, read from the panel before the run leaves its thread.

    Attributes
    ----------
    image : array_like
        Data of the Image layer.
    options : ImageOptions
        Keywords of `Segmenter.steps`: axes at least. Strokes are those of the whole image.
    settings : Settings
        The settings.
    device : str
        ``auto``, or one that PyTorch knows.
    update_every : int
        Iterations from one update of the labels to the next; 0 for about five updates a second.
    history_bytes : int
        Memory that the history of labels may take.
    previous : RunResult or None
        A run to continue.
    region : tuple of slice or None
        Where to train, along y and x; None for everywhere.
    pyramid : LabelPyramid or None
        Where the labels of an image go that is too large to be loaded.
    others : tuple of OtherImage
        Images that are trained on together with this one; those of a region or of crops are not.
    """

    image: ArrayLike
    options: ImageOptions
    settings: Settings
    device: str
    update_every: int
    history_bytes: int
    previous: RunResult | None = None
    region: "Region | None" = None
    pyramid: "LabelPyramid | None" = None
    others: tuple[OtherImage, ...] = ()

    @property
    def axes(self) -> str:
        """One letter for each axis of the image."""
        axes = self.options.get("axes")
        assert axes is not None  # the panel asks for them first
        return axes


class Phase(enum.Enum):
    """What a run is doing."""

    TRAINING = enum.auto()
    PAUSED = enum.auto()
    PREDICTING = enum.auto()  # trained on a region, it labels the whole image
    SEGMENTING = enum.auto()


@dataclasses.dataclass(frozen=True, eq=False)
class RunUpdate:
    """What the panel shows of a run at one moment.

    Attributes
    ----------
    phase : Phase
        What the run is doing.
    iteration : int
        Number of the last iteration, from 1.
    n_iterations : int
        The greatest number that it may reach.
    n_clusters : int
        Clusters left.
    loss : float
        Mean cross-entropy between responses and vote, in nats.
    factor : int
        Pixels of the image along a side of each that was trained on: 1 at full size.
    device : str
        Where it trains.
    labels : ndarray of uint8 or uint16, shape (..., Y, X), or None
        Labels of the image, if it is time for a picture, and after the last iteration.
    other_labels : tuple of ndarray
        Those of the images that are trained on with it, if there are `labels`.
    share : float or None
        How much of a phase after the training is done, from 0 to 1, if that is known.
    iteration_seconds : float or None
        What an iteration takes; None while that is not known.
    seconds_left : float or None
        What the training may still take at most.
    """

    phase: Phase
    iteration: int
    n_iterations: int
    n_clusters: int
    loss: float
    factor: int
    device: str
    labels: Labels | None = None
    other_labels: tuple[Labels, ...] = ()
    share: float | None = None
    iteration_seconds: float | None = None
    seconds_left: float | None = None


@dataclasses.dataclass(eq=False)
class TrainingCurve:
    """Clusters and loss by iteration.

    Attributes
    ----------
    iterations : list of int
        Numbers of the iterations that an update came of, ascending.
    clusters : list of int
        Clusters left after each of these.
    loss : list of float
        Loss of each of these, in nats.
    """

    iterations: list[int] = dataclasses.field(default_factory=list)
    clusters: list[int] = dataclasses.field(default_factory=list)
    loss: list[float] = dataclasses.field(default_factory=list)

    def add(self, update: RunUpdate) -> bool:
        """Add an iteration, unless it is there already or the training is over.

        Parameters
        ----------
        update : RunUpdate
            From the run.

        Returns
        -------
        bool
            Whether it was added.
        """
        is_trained = update.phase not in (Phase.TRAINING, Phase.PAUSED)
        if is_trained or update.iteration in self.iterations[-1:]:
            return False
        self.iterations.append(update.iteration)
        self.clusters.append(update.n_clusters)
        self.loss.append(update.loss)
        return True
