"""A run, stage by stage: it can be left, resumed, and steered by strokes."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from napari_unsupseg._typing import Labels
from napari_unsupseg.image.normalize import NormalizedImage
from napari_unsupseg.learning.convergence import ConvergenceMonitor
from napari_unsupseg.learning.network import Components, Network
from napari_unsupseg.learning.resampling import downsample
from napari_unsupseg.learning.sampling import TrainingSample, make_training_sample
from napari_unsupseg.learning.schedule import Stage, plan_stages
from napari_unsupseg.learning.step import Step
from napari_unsupseg.learning.trainer import Trainer
from napari_unsupseg.learning.upsampler import LabelUpsampler
from napari_unsupseg.settings import Settings

__all__ = ["TrainingState", "preview_upsampler", "train"]

PREVIEW_PIXELS = 2**17  # of the image that is labelled while the network trains on tiles

StagePlan = Callable[[int], list[Stage]]  # stages for a number of iterations


@dataclasses.dataclass(eq=False)
class TrainingState:
    """Where a run stands, so that it can be left and resumed.

    Attributes
    ----------
    trainer : Trainer or None
        Has the momentum and the number of iterations; None before the first iteration.
    stages : list of Stage
        Stages that are left, the current one first.
    monitor : ConvergenceMonitor
        Iterations of the current stage so far, and whether its labels have settled.
    last_iteration : int
        Number of the iteration that the run ends with at the latest.
    strokes : ndarray of unsigned integers, shape (..., Y, X), or None
        The strokes that the run follows.
    """

    trainer: Trainer | None = None
    stages: list[Stage] = dataclasses.field(default_factory=list)
    monitor: ConvergenceMonitor = dataclasses.field(default_factory=ConvergenceMonitor)
    last_iteration: int = 0
    strokes: Labels | None = None

    def resume(self, strokes: Labels | None, iterations: int, plan: StagePlan) -> None:
        """Decide which stages come next: those left, or all of them if none is.

        Other strokes than before have the stages begin again, for the iterations that are left.

        Parameters
        ----------
        strokes : ndarray of unsigned integers, shape (..., Y, X), or None
            The strokes to follow.
        iterations : int
            Iterations of a whole run at most.
        plan : callable
            Returns the stages for a number of iterations.
        """
        iteration = self.trainer.iteration if self.trainer else 0
        if not self.iterations_left:
            self.last_iteration = iteration + iterations
            self.start_stages(plan(iterations))
        elif strokes is not self.strokes:
            # at least one iteration: the new strokes are to count
            self.start_stages(plan(max(1, self.last_iteration - iteration)))
        self.strokes = strokes

    def start_stages(self, stages: list[Stage]) -> None:
        """Take these stages as those that are left, the first of them at its beginning."""
        self.stages = stages
        self.monitor = ConvergenceMonitor(stages[0].settle if stages else 0)

    @property
    def iterations_per_stage(self) -> list[int]:
        """Iterations that each stage has left at most."""
        if not self.stages:
            return []
        current, *later = [stage.iterations for stage in self.stages]
        return [current - self.monitor.n_iterations, *later]

    @property
    def iterations_left(self) -> int:
        """Iterations that the run has left at most."""
        return sum(self.iterations_per_stage)

    def seconds_left(self, seconds: float, image: NormalizedImage) -> float:
        """Estimate how long the rest of the run takes at most.

        Parameters
        ----------
        seconds : float
            How long an iteration of the current stage takes.
        image : NormalizedImage
            The image trained on.

        Returns
        -------
        float
            Seconds, if an iteration's time is proportional to its pixels.
        """
        n_pixels, n_dim = image.valid.size, image.spatial_ndim
        sizes = [min(stage.max_pixels, n_pixels / stage.factor**n_dim) for stage in self.stages]
        work = sum(n * left for n, left in zip(sizes, self.iterations_per_stage, strict=True))
        return seconds * work / sizes[0] if sizes else 0.0


def train(
    network: Network,
    image: NormalizedImage,
    settings: Settings,
    state: TrainingState | None = None,
    strokes: Callable[[], Labels | None] = lambda: None,
) -> Iterator[Step]:
    """Train a network on an image, stage by stage.

    Parameters
    ----------
    network : Network
        Trained in place. A caller's module in place of the components sees the image whole and at
        its own size.
    image : NormalizedImage
        The image.
    settings : Settings
        Those of the run.
    state : TrainingState, optional
        Where the run stands, kept up to date. Stages that are left in it are run, or else all.
    strokes : callable
        Returns the strokes (..., Y, X) to follow, or None. It is asked after each iteration: when
        it returns another array the stages begin again, for the iterations that are left.

    Yields
    ------
    Step
        After each iteration.
    """
    state = state or TrainingState()
    state.trainer = state.trainer or Trainer(network, settings)
    plan = functools.partial(_plan_stages, network, image, settings)
    with ThreadPoolExecutor(max_workers=1) as background:
        samples = _SampleCache(image, settings, background)
        try:
            while True:
                current = strokes()
                state.resume(current, settings.iterations, plan)
                for step in _run_stages(state, state.trainer, samples):
                    yield step
                    if strokes() is not current and step.iteration < state.last_iteration:
                        break
                else:  # all stages are done
                    return
        finally:
            background.shutdown(cancel_futures=True)


def _plan_stages(
    network: Network, image: NormalizedImage, settings: Settings, iterations: int
) -> list[Stage]:
    """Return the stages of a run of so many iterations."""
    if isinstance(network.features, Components):
        settings = dataclasses.replace(settings, iterations=iterations)
        n_images = len(image.frames_of_images)
        return plan_stages(image.frame_shape, image.n_frames, settings, n_images)
    # nobody knows how far a caller's module sees, and so how small tiles may be
    return [Stage(1, image.valid.size, iterations, settings.settle)]


def _run_stages(state: TrainingState, trainer: Trainer, samples: "_SampleCache") -> Iterator[Step]:
    """Train through all stages that are left."""
    image, strokes = samples.image, state.strokes
    # superpixels take long: those of one stage are computed while the stage before it trains
    for stage in state.stages:
        samples.prefetch(stage, strokes)
    while state.stages:
        sample = samples.get(state.stages[0], strokes)
        yield from trainer.run(
            sample,
            state.iterations_per_stage[0],
            monitor=state.monitor,
            upsampler=_make_upsampler(image, sample),
            strokes=None if strokes is None else sample.sample_strokes(strokes, image),
        )
        state.start_stages(state.stages[1:])


def _make_upsampler(image: NormalizedImage, sample: TrainingSample) -> LabelUpsampler:
    """Return what makes labels of the whole image while the network trains on a sample."""
    return LabelUpsampler(image, sample.factor) if sample.is_whole else preview_upsampler(image)


def preview_upsampler(image: NormalizedImage) -> LabelUpsampler:
    """Return what makes labels of the whole image while the network trains on tiles of it.

    Parameters
    ----------
    image : NormalizedImage
        The image.

    Returns
    -------
    LabelUpsampler
        It has no network yet.
    """
    ratio: float = image.valid.size / PREVIEW_PIXELS
    factor = math.ceil(math.pow(ratio, 1 / image.spatial_ndim))
    return LabelUpsampler(image, factor, preview=downsample(image, factor))


class _SampleCache:
    """The training samples of a run's stages, made in the background.

    A sample depends on its stage's size; one of tiles depends on the strokes too, for which it has
    tiles of its own.
    """

    def __init__(
        self, image: NormalizedImage, settings: Settings, background: ThreadPoolExecutor
    ) -> None:
        self.image = image
        self._settings = settings
        self._background = background
        # by factor and number of pixels: the sample, and the strokes that it was made for
        self._samples: dict[tuple[int, int], tuple[Future[TrainingSample], Labels | None]] = {}

    def prefetch(self, stage: Stage, strokes: Labels | None) -> None:
        """Begin to make the sample of a stage, unless there is one."""
        key = stage.factor, stage.max_pixels
        if key not in self._samples:
            self._samples[key] = self._background.submit(self._make, stage, strokes), strokes

    def get(self, stage: Stage, strokes: Labels | None) -> TrainingSample:
        """Return the sample of a stage that was prefetched, with tiles for these strokes."""
        key = stage.factor, stage.max_pixels
        future, known_strokes = self._samples[key]
        if known_strokes is not strokes and not future.result().is_whole:
            del self._samples[key]
            self.prefetch(stage, strokes)
        return self._samples[key][0].result()

    def _make(self, stage: Stage, strokes: Labels | None) -> TrainingSample:
        return make_training_sample(
            self.image,
            factor=stage.factor,
            max_pixels=stage.max_pixels,
            superpixels=self._settings.superpixels,
            compactness=self._settings.compactness,
            seed=self._settings.seed,
            strokes=strokes,
        )
