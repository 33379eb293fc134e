"""The stages of a run: at reduced size until labels settle, then at full size."""

import copy
import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from napari_unsupseg.images import PreparedImage
from napari_unsupseg.network import Components, Network, activation_bytes
from napari_unsupseg.prediction import predict
from napari_unsupseg.settings import Settings
from napari_unsupseg.training import Labels, SelfTraining, Settling, Spread, Step
from napari_unsupseg.views import View, enlarge, make_view, shrink

__all__ = ["Stage", "Standing", "plan", "required_bytes", "train"]

REDUCED_PIXELS = 12_000  # about what an image is reduced to, and tiles of it have
MAX_REDUCED_PIXELS = 2**15  # beyond these tiles are trained on
GREATEST_FACTOR = 4  # beyond it small things would be lost
WHOLE_PIXELS = 400**2  # of tiles where all iterations are at full size, as in the paper
MAX_WHOLE_PIXELS = 2**19  # beyond these tiles are trained on; the paper's network takes 2 GB
PREVIEW_PIXELS = 2**17  # of the image that labels are previewed on while it trains on tiles
FINISHING = 5  # iterations at full size


@dataclasses.dataclass(frozen=True)
class Stage:
    """Iterations at one size.

    Attributes
    ----------
    factor : int
        Side of the squares that the image is averaged over; 1 is full size.
    max_pixels : int
        Pixels to train on, in tiles if the image has more at that size.
    iterations : int
        The most that the stage may take.
    settle : float
        As in `Settings`.
    """

    factor: int
    max_pixels: int
    iterations: int
    settle: float


@dataclasses.dataclass(eq=False)
class Standing:
    """Where a run stands, so that it can be left and gone on with.

    Attributes
    ----------
    training : SelfTraining or None
        The training, with its momentum and number of iterations; None before the first.
    stages : list of Stage
        Those that are left.
    settling : Settling
        How far the first of them is.
    end : int
        The last iteration at most.
    strokes : ndarray of unsigned integers, shape (..., Y, X), or None
        The strokes that it follows.
    """

    training: SelfTraining | None = None
    stages: list[Stage] = dataclasses.field(default_factory=list)
    settling: Settling = dataclasses.field(default_factory=Settling)
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
        self.settling = Settling(stages[0].settle if stages else 0)

    @property
    def of_stages(self) -> list[int]:
        """Iterations left at most of each stage."""
        counts = [stage.iterations for stage in self.stages]
        return [counts[0] - self.settling.done, *counts[1:]] if counts else []

    @property
    def iterations_left(self) -> int:
        """Iterations left at most."""
        return sum(self.of_stages)

    def seconds_left(self, seconds: float, image: PreparedImage) -> float:
        """Estimate how long the rest of a run may take, if an iteration takes so long now."""
        n_pixels, axes = image.valid.size, image.spatial_ndim
        sizes = [min(stage.max_pixels, n_pixels / stage.factor**axes) for stage in self.stages]
        work = sum(n * left for n, left in zip(sizes, self.of_stages, strict=True))
        return seconds * work / sizes[0] if sizes else 0.0


def plan(frame_shape: tuple[int, ...], n_frames: int, settings: Settings) -> list[Stage]:
    """Divide a run into stages.

    Parameters
    ----------
    frame_shape : tuple of int
        Pixels along each axis of a frame.
    n_frames : int
        Frames of the image.
    settings : Settings
        T and `settle`.

    Returns
    -------
    list of Stage
        First to last.
    """
    of_frame = math.prod(frame_shape)
    n_pixels = of_frame * n_frames
    factor = min(GREATEST_FACTOR, round((of_frame / REDUCED_PIXELS) ** (1 / len(frame_shape))))
    is_small = factor <= 1 and (n_frames == 1 or n_pixels <= MAX_REDUCED_PIXELS)
    if is_small or not settings.settle or settings.iterations == 1:
        most = MAX_WHOLE_PIXELS if n_pixels <= MAX_WHOLE_PIXELS else WHOLE_PIXELS
        return [Stage(1, most, settings.iterations, settings.settle)]
    factor = max(1, factor)
    n_reduced = n_pixels / factor ** len(frame_shape)
    finishing = min(FINISHING, max(1, settings.iterations // 4))
    most = MAX_REDUCED_PIXELS if n_reduced <= MAX_REDUCED_PIXELS else REDUCED_PIXELS
    return [
        Stage(factor, most, settings.iterations - finishing, settings.settle),
        Stage(1, REDUCED_PIXELS, finishing, 0),
    ]


def train(
    network: Network,
    image: PreparedImage,
    settings: Settings,
    standing: Standing | None = None,
    strokes: Callable[[], Labels | None] = lambda: None,
) -> Iterator[Step]:
    """Train a network on an image, stage by stage.

    Parameters
    ----------
    network : Network
        Trained in place. If a caller's module takes the place of the components it sees the image
        whole and at its own size.
    image : PreparedImage
        The image.
    settings : Settings
        The settings.
    standing : Standing, optional
        Where the run stands, kept up to date. Stages that are left in it are done, or else all.
    strokes : callable
        Returns the strokes (..., Y, X) to follow, or None. After each iteration it is asked for
        others: with these the stages begin again, for the iterations that are left.

    Yields
    ------
    Step
        After each iteration.
    """
    standing = standing or Standing()
    stages_of = functools.partial(_plan, network, image, settings)
    if standing.training is None:
        standing.training = SelfTraining(network, settings)
    with ThreadPoolExecutor(max_workers=1) as background:
        views = _Views(image, settings, background)
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
    network: Network, image: PreparedImage, settings: Settings, iterations: int
) -> list[Stage]:
    """Return the stages of a run of so many iterations."""
    if isinstance(network.features, Components):
        settings = dataclasses.replace(settings, iterations=iterations)
        return plan(image.frame_shape, image.n_frames, settings)
    return [Stage(1, image.valid.size, iterations, settings.settle)]


def _run(standing: Standing, views: "_Views") -> Iterator[Step]:
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
            standing.of_stages[0],
            settling=standing.settling,
            spread=_Spreading(views.image, view).by,
            strokes=None if strokes is None else view.lay_strokes(strokes, views.image),
        )
        standing.begin(standing.stages[1:])


class _Views:
    """The views of a run's stages, made in the background, each kept while it will do."""

    def __init__(
        self, image: PreparedImage, settings: Settings, background: ThreadPoolExecutor
    ) -> None:
        self.image = image
        self.settings = settings
        self._background = background
        self._made: dict[tuple[int, int], tuple[Future[View], Labels | None]] = {}

    def begin(self, stage: Stage, strokes: Labels | None) -> None:
        """Have the view of a stage made, unless it is."""
        key = stage.factor, stage.max_pixels
        if key not in self._made:
            self._made[key] = self._background.submit(self._make, stage, strokes), strokes

    def take(self, stage: Stage, strokes: Labels | None) -> View:
        """Return the view of a stage; made anew if it has tiles, and those of other strokes."""
        key = stage.factor, stage.max_pixels
        promise, drawn = self._made[key]
        if drawn is not strokes and not promise.result().is_whole:
            del self._made[key]
            self.begin(stage, strokes)
        return self._made[key][0].result()

    def _make(self, stage: Stage, strokes: Labels | None) -> View:
        return make_view(
            self.image,
            factor=stage.factor,
            max_pixels=stage.max_pixels,
            superpixels=self.settings.superpixels,
            compactness=self.settings.compactness,
            seed=self.settings.seed,
            strokes=strokes,
        )


def required_bytes(
    n_channels: int,
    frame_shape: tuple[int, ...],
    n_frames: int,
    settings: Settings,
    *,
    is_whole: bool = False,
) -> int:
    """Estimate the memory that a run takes.

    Parameters
    ----------
    n_channels : int
        Channels of the image.
    frame_shape : tuple of int
        As in `plan`.
    n_frames : int
        As in `plan`.
    settings : Settings
        The settings.
    is_whole : bool
        Whether it trains on all of the image at full size whatever the settings, as a caller's
        module does; of its own maps nobody knows, and those of the components stand for them.

    Returns
    -------
    int
        Bytes: three copies of the image in float32, while it is prepared, and the greatest view's
        share.
    """
    n_pixels = math.prod(frame_shape) * n_frames
    view = (
        n_pixels
        if is_whole
        else max(
            min(stage.max_pixels, n_pixels // stage.factor ** len(frame_shape))
            for stage in plan(frame_shape, n_frames, settings)
        )
    )
    return 12 * n_channels * n_pixels + activation_bytes(n_channels, view, settings)


class _Spreading:
    """Says how labels of a whole image are made from those of a view of it."""

    def __init__(self, image: PreparedImage, view: View) -> None:
        self._image = image
        self._view = view

    @functools.cached_property
    def _preview(self) -> PreparedImage:
        return shrink(self._image, self._preview_factor)

    @property
    def _preview_factor(self) -> int:
        ratio: float = self._image.valid.size / PREVIEW_PIXELS
        return math.ceil(math.pow(ratio, 1 / self._image.spatial_ndim))

    def by(self, network: Network) -> Spread:
        """Return it for the labels of an iteration at which the network is as it is now."""
        if self._view.is_whole:
            return Spread(lambda labels: self._enlarge(labels, self._view.factor))
        as_it_is = copy.deepcopy(network)  # the other one moves on

        def label(_: Labels) -> Labels:
            return self._enlarge(predict(as_it_is, self._preview), self._preview_factor)

        return Spread(label, as_it_is)

    def _enlarge(self, labels: Labels, factor: int) -> Labels:
        if labels.size == self._image.valid.size:
            return labels.reshape(self._image.valid.shape)
        return enlarge(labels, factor, self._image)
