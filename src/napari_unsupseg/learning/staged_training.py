"""A run, stage by stage: it can be left, gone on with, and steered by strokes."""

import copy
import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from napari_unsupseg._typing import Labels
from napari_unsupseg.image.normalize import NormalizedImage
from napari_unsupseg.learning.convergence import ConvergenceMonitor
from napari_unsupseg.learning.inference import predict
from napari_unsupseg.learning.network import Components, Network
from napari_unsupseg.learning.resampling import downsample, upsample_labels
from napari_unsupseg.learning.sampling import TrainingSample, make_training_sample
from napari_unsupseg.learning.schedule import Stage, plan_stages
from napari_unsupseg.learning.step import LabelUpsampler, Step
from napari_unsupseg.learning.trainer import Trainer
from napari_unsupseg.settings import Settings

__all__ = ["TrainingState", "train"]

PREVIEW_PIXELS = 2**17  # of the image that labels are previewed on while it trains on tiles


@dataclasses.dataclass(eq=False)
class TrainingState:
    """Where a run stands, so that it can be left and gone on with.

    Attributes
    ----------
    training : Trainer or None
        The training, with its momentum and number of iterations; None before the first.
    stages : list of Stage
        Those that are left.
    settling : ConvergenceMonitor
        How far the first of them is.
    end : int
        The last iteration at most.
    strokes : ndarray of unsigned integers, shape (..., Y, X), or None
        The strokes that it follows.
    """

    training: Trainer | None = None
    stages: list[Stage] = dataclasses.field(default_factory=list)
    settling: ConvergenceMonitor = dataclasses.field(default_factory=ConvergenceMonitor)
    end: int = 0
    strokes: Labels | None = None

    def follow(
        self, strokes: Labels | None, iterations: int, stages_of: Callable[[int], list[Stage]]
    ) -> None:
        """Take up what is left; all stages if nothing is; with other strokes they begin again.

        Parameters
        ----------
        strokes : ndarray of unsigned integers, shape (..., Y, X), or None
            The strokes to follow.
        iterations : int
            Of a whole run at most.
        stages_of : callable
            Returns the stages for a number of iterations.
        """
        assert self.training is not None
        done = self.training.iteration
        if not self.iterations_left:
            self.end = done + iterations
            self.begin(stages_of(iterations))
        elif strokes is not self.strokes:
            self.begin(stages_of(max(1, self.end - done)))
        self.strokes = strokes

    def begin(self, stages: list[Stage]) -> None:
        """Begin with the first of some stages."""
        self.stages = stages
        self.settling = ConvergenceMonitor(stages[0].settle if stages else 0)

    @property
    def iterations_of_stages(self) -> list[int]:
        """Iterations left at most of each stage."""
        counts = [stage.iterations for stage in self.stages]
        return [counts[0] - self.settling.done, *counts[1:]] if counts else []

    @property
    def iterations_left(self) -> int:
        """Iterations left at most."""
        return sum(self.iterations_of_stages)

    def seconds_left(self, seconds: float, image: NormalizedImage) -> float:
        """Estimate how long the rest of a run may take, if an iteration takes so long now."""
        n_pixels, axes = image.valid.size, image.spatial_ndim
        sizes = [min(stage.max_pixels, n_pixels / stage.factor**axes) for stage in self.stages]
        work = sum(n * left for n, left in zip(sizes, self.iterations_of_stages, strict=True))
        return seconds * work / sizes[0] if sizes else 0.0


def train(
    network: Network,
    image: NormalizedImage,
    settings: Settings,
    standing: TrainingState | None = None,
    strokes: Callable[[], Labels | None] = lambda: None,
) -> Iterator[Step]:
    """Train a network on an image, stage by stage.

    Parameters
    ----------
    network : Network
        Trained in place. If a caller's module takes the place of the components it sees the image
        whole and at its own size.
    image : NormalizedImage
        The image.
    settings : Settings
        The settings.
    standing : TrainingState, optional
        Where the run stands, kept up to date. Stages that are left in it are done, or else all.
    strokes : callable
        Returns the strokes (..., Y, X) to follow, or None. After each iteration it is asked for
        others: with these the stages begin again, for the iterations that are left.

    Yields
    ------
    Step
        After each iteration.
    """
    standing = standing or TrainingState()
    stages_of = functools.partial(_plan, network, image, settings)
    if standing.training is None:
        standing.training = Trainer(network, settings)
    with ThreadPoolExecutor(max_workers=1) as background:
        views = _SampleCache(image, settings, background)
        try:
            is_steered = True
            while is_steered:
                drawn = strokes()
                standing.follow(drawn, settings.iterations, stages_of)
                is_steered = False
                for step in _run(standing, views):
                    yield step
                    is_steered = strokes() is not drawn and step.iteration < standing.end
                    if is_steered:
                        break
        finally:
            background.shutdown(cancel_futures=True)


def _plan(
    network: Network, image: NormalizedImage, settings: Settings, iterations: int
) -> list[Stage]:
    """Return the stages of a run of so many iterations."""
    if isinstance(network.features, Components):
        settings = dataclasses.replace(settings, iterations=iterations)
        return plan_stages(image.frame_shape, image.n_frames, settings)
    return [Stage(1, image.valid.size, iterations, settings.settle)]


def _run(standing: TrainingState, views: "_SampleCache") -> Iterator[Step]:
    """Train through all stages that are left."""
    assert standing.training is not None
    strokes = standing.strokes
    # the superpixels of one stage are made while the stage before it trains
    for stage in standing.stages:
        views.begin(stage, strokes)
    while standing.stages:
        stage = standing.stages[0]
        view = views.take(stage, strokes)
        yield from standing.training.run(
            view,
            standing.iterations_of_stages[0],
            settling=standing.settling,
            spread=_UpsamplerFactory(views.image, view).by,
            strokes=None if strokes is None else view.sample_strokes(strokes, views.image),
        )
        standing.begin(standing.stages[1:])


class _SampleCache:
    """The views of a run's stages, made in the background, each kept while it will do."""

    def __init__(
        self, image: NormalizedImage, settings: Settings, background: ThreadPoolExecutor
    ) -> None:
        self.image = image
        self.settings = settings
        self._background = background
        self._made: dict[tuple[int, int], tuple[Future[TrainingSample], Labels | None]] = {}

    def begin(self, stage: Stage, strokes: Labels | None) -> None:
        """Have the view of a stage made, unless it is."""
        key = stage.factor, stage.max_pixels
        if key not in self._made:
            self._made[key] = self._background.submit(self._make, stage, strokes), strokes

    def take(self, stage: Stage, strokes: Labels | None) -> TrainingSample:
        """Return the view of a stage; made anew if it has tiles, and those of other strokes."""
        key = stage.factor, stage.max_pixels
        promise, drawn = self._made[key]
        if drawn is not strokes and not promise.result().is_whole:
            del self._made[key]
            self.begin(stage, strokes)
        return self._made[key][0].result()

    def _make(self, stage: Stage, strokes: Labels | None) -> TrainingSample:
        return make_training_sample(
            self.image,
            factor=stage.factor,
            max_pixels=stage.max_pixels,
            superpixels=self.settings.superpixels,
            compactness=self.settings.compactness,
            seed=self.settings.seed,
            strokes=strokes,
        )


class _UpsamplerFactory:
    """Says how labels of a whole image are made from those of a view of it."""

    def __init__(self, image: NormalizedImage, view: TrainingSample) -> None:
        self._image = image
        self._view = view

    @functools.cached_property
    def _preview(self) -> NormalizedImage:
        return downsample(self._image, self._preview_factor)

    @property
    def _preview_factor(self) -> int:
        ratio: float = self._image.valid.size / PREVIEW_PIXELS
        return math.ceil(math.pow(ratio, 1 / self._image.spatial_ndim))

    def by(self, network: Network) -> LabelUpsampler:
        """Return it for the labels of an iteration at which the network is as it is now."""
        if self._view.is_whole:
            return LabelUpsampler(lambda labels: self._enlarge(labels, self._view.factor))
        as_it_is = copy.deepcopy(network)  # the other one moves on

        def label(_: Labels) -> Labels:
            return self._enlarge(predict(as_it_is, self._preview), self._preview_factor)

        return LabelUpsampler(label, as_it_is)

    def _enlarge(self, labels: Labels, factor: int) -> Labels:
        if labels.size == self._image.valid.size:
            return labels.reshape(self._image.valid.shape)
        return upsample_labels(labels, factor, self._image)
