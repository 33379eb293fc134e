"""One run of self-training: its image, its network, what it has gone through, what it keeps."""

import copy
import dataclasses
import math
import warnings
from collections.abc import Generator, Iterator, Sequence
from typing import Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from napari_unsupseg._generators import map_yields
from napari_unsupseg._typing import Labels
from napari_unsupseg.errors import ImageError, SettingError, StrokesError
from napari_unsupseg.image.axes import resolve_axes
from napari_unsupseg.image.channels import ImageChannels, load_or_crop, split_channels
from napari_unsupseg.image.image_list import (
    GivenImage,
    check_same_channels,
    is_image_list,
    join_images,
    join_maps,
    list_given,
    name_error,
    one_for_each,
    split_images,
    split_maps,
)
from napari_unsupseg.image.normalize import NormalizedImage, normalize_image
from napari_unsupseg.image.tiling import is_lazy, load_if_small
from napari_unsupseg.learning.checkpoint import Checkpoint
from napari_unsupseg.learning.companions import train_companions
from napari_unsupseg.learning.cost import (
    companion_seconds,
    finishing_seconds,
    hierarchy_bytes,
    training_bytes,
)
from napari_unsupseg.learning.devices import (
    check_memory,
    empty_cache,
    resolve_precision,
    translate_out_of_memory,
)
from napari_unsupseg.learning.distillation import fit_to_labels
from napari_unsupseg.learning.inference import predict
from napari_unsupseg.learning.network import Components, Network, build_network
from napari_unsupseg.learning.schedule import HISTORY_ITERATIONS
from napari_unsupseg.learning.staged_training import TrainingState, train
from napari_unsupseg.learning.step import Step
from napari_unsupseg.learning.threads import count_threads
from napari_unsupseg.regions.hierarchy import Hierarchy
from napari_unsupseg.regions.hierarchy_builder import build_hierarchy_generator, precompile
from napari_unsupseg.regions.small_regions import merge_small_regions
from napari_unsupseg.regions.strokes import apply_strokes, check_strokes
from napari_unsupseg.regions.uncertainty import cluster_uncertainty
from napari_unsupseg.settings import NETWORK_SIZE, Settings

__all__ = ["Run"]


@dataclasses.dataclass(eq=False)
class Run:
    """A run on one image or on several, which can be left and gone on with at any iteration.

    Attributes
    ----------
    settings : Settings
        Those it was begun with.
    image : NormalizedImage
        The image as the network sees it; several images are laid together as its frames.
    network : Network
        Trained in place.
    pixels : list of ndarray or None
        Each image as it was given, for whoever saves the run; None if it was not loaded.
    axes : list of str
        One letter for each axis of these.
    is_cropped : bool
        Whether the image is crops of one that is too large to be loaded.
    state : TrainingState
        The stages that are left, with the momentum and the number of iterations.
    strokes : ndarray of unsigned integers, shape (..., Y, X), or None
        The strokes to follow from the next iteration on.
    history : dict of int to ndarray of unsigned integers, shape (..., Y, X)
        Labels at `HISTORY_ITERATIONS`, by iteration.
    companions : list of ndarray of unsigned integers, shape (..., Y, X), or None
        Labels of further networks, see `train_companions`; None before they are asked for.
    last_step : Step or None
        The last iteration, with the network's own clusters.
    result : Step or None
        The last step with the labels to keep; before `finish` it is `last_step`.
    followed_strokes : ndarray of unsigned integers, shape (..., Y, X), or None
        The strokes that the labels of `last_step` follow.
    hierarchy : Hierarchy or None
        That of the labels at hand, of all images together, once it is made.
    hierarchies : list of Hierarchy
        Those of several images, each by itself, once they are made.
    learned : Checkpoint or None
        The network that has learned the labels at hand, once it has.
    """

    settings: Settings
    image: NormalizedImage
    network: Network
    pixels: list[NDArray[np.generic] | None] = dataclasses.field(default_factory=list)
    axes: list[str] = dataclasses.field(default_factory=list)
    is_cropped: bool = False
    state: TrainingState = dataclasses.field(default_factory=TrainingState)
    strokes: Labels | None = None
    history: dict[int, Labels] = dataclasses.field(default_factory=dict)
    companions: list[Labels] | None = None
    last_step: Step | None = None
    result: Step | None = None
    followed_strokes: Labels | None = None
    hierarchy: Hierarchy | None = None
    hierarchies: list[Hierarchy] = dataclasses.field(default_factory=list)
    learned: Checkpoint | None = None
    _generation: int = 0  # of those who have asked for steps, the last

    @classmethod
    def begin(
        cls,
        image: ArrayLike,
        settings: Settings,
        device: torch.device,
        *,
        features: nn.Module | None = None,
        known: Checkpoint | None = None,
        axes: str | Sequence[str | None] | None = None,
        channel_axis: int | None = None,
        spatial_ndim: int = 2,
        spacing: Sequence[float] | None = None,
        mask: ArrayLike | Sequence[ArrayLike | None] | None = None,
        strokes: ArrayLike | Sequence[ArrayLike | None] | None = None,
    ) -> Self:
        """Begin a run: check what is given, and build its network.

        Parameters
        ----------
        image : array_like or list of array_like
            Bool, integers or floats; an array or a dask array, or several to be trained on
            together.
        settings : Settings
            The settings.
        device : torch.device
            Where to train.
        features : torch.nn.Module, optional
            In place of the paper's convolution components.
        known : Checkpoint, optional
            The network to begin with; by default a new one.
        axes, channel_axis, spatial_ndim, spacing, mask, strokes
            See `napari_unsupseg.options.ImageOptions`.

        Returns
        -------
        Run
            Before its first iteration.

        Raises
        ------
        UnsupsegError
            If the image, its mask or strokes cannot be segmented as given, memory is too small, or
            the known network does not fit.
        """
        given = [
            one._replace(image=load_if_small(one.image))
            for one in list_given(image, axes=axes, mask=mask, strokes=strokes)
        ]
        channels, is_cropped = _load(given, channel_axis, spatial_ndim, settings)
        _check_memory(channels, spatial_ndim, settings, device, is_whole=features is not None)
        normalized = []
        for one, of_one in zip(given, channels, strict=True):
            with name_error(one.name):
                normalized.append(
                    normalize_image(
                        of_one, one.mask, settings.intensity, spatial_ndim, spacing=spacing
                    )
                )
        together = join_images(normalized) if is_image_list(image) else normalized[0]
        _warn(together, settings)
        with translate_out_of_memory(device):
            network = _first_network(together, settings, device, features, known)
            network.precision = resolve_precision(settings.precision, device, spatial_ndim)
        run = cls(
            settings,
            together,
            network,
            [None if is_lazy(one.image) else np.asarray(one.image) for one in given],
            [resolve_axes(np.shape(one.image), one.axes, channel_axis) for one in given],
            is_cropped,
        )
        run.set_strokes(strokes)
        return run

    def set_strokes(self, strokes: ArrayLike | Sequence[ArrayLike | None] | None) -> None:
        """Have other strokes followed from the next iteration on; a copy is taken.

        Parameters
        ----------
        strokes : array_like of int, shape (..., Y, X), or None
            Labels from 1 drawn on some pixels, 0 on all others; None for none. Of several images a
            list with one for each.

        Raises
        ------
        StrokesError
            If they do not fit the image.
        """
        new = self._check_strokes(strokes)
        # the same strokes again must not send the run back to its first stage
        if new is None or self.strokes is None or not np.array_equal(new, self.strokes):
            self.strokes = new

    def _check_strokes(
        self, strokes: ArrayLike | Sequence[ArrayLike | None] | None
    ) -> Labels | None:
        """Return a copy of strokes, laid together as the images are; None if there are none."""
        max_clusters, shapes = self.settings.max_clusters, self.image.image_shapes
        if not shapes:
            return check_strokes(cast("ArrayLike | None", strokes), self.image.valid, max_clusters)
        of_each = one_for_each("strokes", strokes, len(shapes), StrokesError)
        valid = split_maps(self.image.valid, self.image)
        checked = []
        for index, (drawn, own) in enumerate(zip(of_each, valid, strict=True)):
            with name_error(f"images[{index}]"):
                checked.append(check_strokes(drawn, own, max_clusters))
        return join_maps(checked, self.image)

    def steps(self) -> Iterator[Step]:
        """Train to the end, from where the run stands, and yield the steps.

        Those of an earlier call end where these begin: there is one network to train. A GPU's
        memory is free when they end or are left.

        Yields
        ------
        Step
            After each iteration, and those of `finish`.
        """
        self.leave()
        generation = self._generation
        try:
            for step in self._train_and_finish():
                yield step
                if self._generation != generation:
                    return
        finally:
            for kept in (self.last_step, self.result):
                if kept is not None:
                    kept.leave_device()
            empty_cache(self.network.device)

    def leave(self) -> None:
        """Have those who take steps of this run now get no more."""
        self._generation += 1

    def _train_and_finish(self) -> Iterator[Step]:
        if self.image.is_constant:
            yield self._keep(self._constant_step())
            return
        for step in train(
            self.network, self.image, self.settings, self.state, lambda: self.strokes
        ):
            yield self._keep(step)
            if self.n_final_clusters:
                precompile()  # while there is something to look at
        yield from self.finish()

    def finish(self) -> Generator[Step, None, None]:
        """End the run where it stands: make the labels to keep from what it has gone through.

        Yields
        ------
        Step
            Some while the hierarchy is made, and one with the labels. Where the network's own
            clusters are kept as they are there may be none.
        """
        if self.image.is_constant:
            return
        step = self._last_step()
        if step.network is not None:  # it has seen tiles only, and all else is a preview
            step = self._keep(step.relabelled(predict(step.network, self.image)))
            yield step
        elif self.followed_strokes is not self.strokes:
            self._keep(step)
        labels = step.labels
        if self.n_final_clusters:
            hierarchy = yield from map_yields(self.hierarchy_generator(), step.with_hierarchy_share)
            labels = hierarchy.run_clusters.copy()
        if self.settings.min_size > 1:
            labels = merge_small_regions(labels, self.image, self.settings.min_size)
        labels = apply_strokes(labels, self.followed_strokes)
        if labels is not step.labels:
            self.result = step.relabelled(labels)
            self.learned = None  # of the labels before
            yield self.result

    def hierarchies_generator(self) -> Generator[float, None, list[Hierarchy]]:
        """Make the hierarchy of each image, a part at a time, unless they are made.

        Yields
        ------
        float
            Share that is done, from 0 to 1.

        Returns
        -------
        list of Hierarchy
            One for each image: segments at every granularity. Their clusters are common.
        """
        if len(self.image.image_shapes) <= 1:
            return [(yield from self.hierarchy_generator())]
        if not self.hierarchies:
            together = yield from map_yields(self.hierarchy_generator(), lambda share: share / 2)
            self.hierarchies = yield from map_yields(
                self._hierarchies_apart(together), lambda share: (1 + share) / 2
            )
        return self.hierarchies

    def _hierarchies_apart(self, together: Hierarchy) -> Generator[float, None, list[Hierarchy]]:
        """Make the hierarchy of each image by itself, with the clusters of all together.

        What an image ends with, such as objects at its border, depends on its own shape.
        """
        clusters = split_maps(together.run_clusters, self.image)
        hierarchies: list[Hierarchy] = []
        for index, (image, snapshots, strokes) in enumerate(self.split()):
            made = build_hierarchy_generator(
                image,
                snapshots,
                min_size=self.settings.min_size,
                strokes=strokes,
                n_clusters=self.n_final_clusters,
            )
            n_images = len(self.image.image_shapes)
            hierarchy = yield from map_yields(made, lambda share: (index + share) / n_images)  # noqa: B023
            hierarchy.run_clusters = clusters[index]
            hierarchies.append(hierarchy)
        return hierarchies

    def split(self) -> Iterator[tuple[NormalizedImage, list[Labels], Labels | None]]:
        """Take several images apart again.

        Yields
        ------
        NormalizedImage, list of Labels, Labels or None
            Each image, with its `snapshots` and the strokes that its labels follow.
        """
        snapshots = [split_maps(labels, self.image) for labels in self.snapshots]
        strokes = self.followed_strokes
        for index, image in enumerate(split_images(self.image)):
            drawn = None if strokes is None else split_maps(strokes, self.image)[index]
            yield (
                image,
                [labels[index] for labels in snapshots],
                drawn if drawn is not None and drawn.any() else None,
            )

    def hierarchy_generator(self) -> Generator[float, None, Hierarchy]:
        """Make the hierarchy of the labels so far, a part at a time, unless it is made.

        Yields
        ------
        float
            Share that is done, from 0 to 1.

        Returns
        -------
        Hierarchy
            Segments at every granularity, of all images together.
        """
        if self.hierarchy is None:
            begins_at = 0.0
            if self._has_companions_to_train:
                begins_at = self._share_of_companions()
                self.companions = yield from map_yields(
                    train_companions(
                        self.network, self.image, self.settings, self._last_step().iteration
                    ),
                    lambda share: begins_at * share,
                )
            built = build_hierarchy_generator(
                self.image,
                self.snapshots,
                min_size=self.settings.min_size,
                strokes=self.followed_strokes,
                n_clusters=self.n_final_clusters,
            )
            self.hierarchy = yield from map_yields(
                built, lambda share: begins_at + (1 - begins_at) * share
            )
        return self.hierarchy

    @property
    def _has_companions_to_train(self) -> bool:
        """Whether other networks are to be trained, for as long as the first has been by now."""
        # what a caller's module would begin with instead, nobody knows
        is_own = isinstance(self.network.features, Components)
        has_others = self.settings.networks > 1 and not self.image.is_constant
        return self.companions is None and has_others and is_own

    def _share_of_companions(self) -> float:
        """Estimate how much of what follows the iterations other networks take, from 0 to 1."""
        size = self.image.frame_shape, self.image.n_frames
        seconds = companion_seconds(*size, self.settings, count_threads(self.network.device))
        return seconds / (seconds + finishing_seconds(*size))

    def uncertainty(self) -> NDArray[np.float32]:
        """Return how far the labels so far disagree with those to keep, from 0 to 1.

        Returns
        -------
        ndarray of float32, shape (..., Y, X)
            See `cluster_uncertainty`.
        """
        assert self.result is not None, "a run has a result from its first step on"
        return cluster_uncertainty(self.result.labels, self._own_snapshots)

    def checkpoint(self) -> Checkpoint:
        """Return the network after it has learned the labels to keep, which takes a few seconds.

        Returns
        -------
        Checkpoint
            A copy of the network, which the run can go on without; kept for the next call.
        """
        if self.learned is None:
            assert self.result is not None, "a run has a result from its first step on"
            network, labels = self.network, self.result.labels
            if not self.image.is_constant:
                network = fit_to_labels(network, self.image, labels, self.settings)
            n_channels = len(self.image.values)
            self.learned = Checkpoint(
                network, self.settings, n_channels, self.image.is_rgb, int(labels.max())
            )
        return self.learned

    @property
    def iterations_left(self) -> int:
        """Iterations left at most."""
        return self.state.iterations_left

    def seconds_left(self, seconds: float) -> float:
        """Estimate how long the rest of the training takes at most, if an iteration takes so long.

        Those of later stages, at another size, take longer or shorter.
        """
        return self.state.seconds_left(seconds, self.image)

    @property
    def snapshots(self) -> list[Labels]:
        """Labels that the hierarchy is made from, each of shape (..., Y, X).

        Those of other networks, once they are trained, those of the history, and the last.
        """
        return [*(self.companions or []), *self._own_snapshots]

    @property
    def _own_snapshots(self) -> list[Labels]:
        """Labels of the history, and the last."""
        return [*self.history.values(), self._last_step().labels]

    @property
    def n_final_clusters(self) -> int:
        """Clusters that are made of segments when the run ends; 0 for the network's own."""
        return _count_final_clusters(self.settings)

    def _last_step(self) -> Step:
        assert self.last_step is not None, "a run has a step once it has been asked for one"
        return self.last_step

    def _keep(self, step: Step) -> Step:
        """Keep what hierarchy and checkpoint are made from, and return the step."""
        self.last_step = self.result = step
        self.followed_strokes = self.strokes
        if step.iteration in HISTORY_ITERATIONS:
            self.history[step.iteration] = step.labels
        self.hierarchy = self.learned = None
        self.hierarchies = []
        return step

    def _constant_step(self) -> Step:
        """Return the only step of an image with nothing to tell apart: one cluster, and strokes."""
        valid = self.image.valid
        clusters = torch.zeros(valid.shape, dtype=torch.int64)
        step = Step(
            0, clusters, torch.zeros((), dtype=torch.float32), valid, self.settings.max_clusters
        )
        return step.relabelled(apply_strokes(step.labels, self.strokes))


def _load(
    given: Sequence[GivenImage], channel_axis: int | None, spatial_ndim: int, settings: Settings
) -> tuple[list[ImageChannels], bool]:
    """Return the channels of each image, and whether they are crops of one that is too large."""
    channels = []
    for one in given:
        with name_error(one.name):
            of_one, is_cropped = load_or_crop(
                split_channels(one.image, one.axes, channel_axis),
                spatial_ndim,
                settings.seed,
                mask=one.mask,
                strokes=one.strokes,
                min_size=settings.min_size,
            )
            if is_cropped and one.name:
                raise ImageError(
                    "is too large to be loaded, which images are that are trained on together: "
                    "crop it"
                )
        channels.append(of_one)
    check_same_channels(channels, [one.name for one in given])
    return channels, is_cropped


def _check_memory(
    channels: Sequence[ImageChannels],
    spatial_ndim: int,
    settings: Settings,
    device: torch.device,
    *,
    is_whole: bool,
) -> None:
    """Raise before a run that could not fit; a module of the caller's own sees images whole.

    On a CPU both needs are of one memory, one after the other.
    """
    sizes = [image.values.shape[1:] for image in channels]
    frame_shape = tuple(np.max([size[-spatial_ndim:] for size in sizes], axis=0).tolist())
    n_frames = sum(math.prod(size[:-spatial_ndim]) for size in sizes)
    n_channels, n_threads = len(channels[0].values), count_threads(device)
    if _count_final_clusters(settings):
        check_memory(
            hierarchy_bytes(
                n_channels, n_frames * math.prod(frame_shape), settings, n_threads=n_threads
            ),
            torch.device("cpu"),
            "for its segments",
            "or fewer channels, or close other programs",
        )
    n_bytes = training_bytes(
        n_channels,
        frame_shape,
        n_frames,
        settings,
        n_threads=n_threads,
        n_images=len(channels),
        is_whole=is_whole,
    )
    remedy = "fewer channels, or fewer filters or max_clusters"
    check_memory(n_bytes, device, "to train on", remedy)


def _count_final_clusters(settings: Settings) -> int:
    """Return how many clusters are made of segments in the end; 0 for the network's own."""
    return min(settings.final_clusters, settings.max_clusters) if settings.settle else 0


def _warn(image: NormalizedImage, settings: Settings) -> None:
    """Say what a user would not expect of an image by these settings."""
    n_pixels = math.prod(image.frame_shape)
    if image.is_constant:
        warnings.warn("image is constant: all of it is one cluster", stacklevel=3)
    # of the default nobody has asked how many that is
    elif n_pixels < settings.superpixels != Settings().superpixels:
        warnings.warn(
            f"superpixels is {settings.superpixels:,} but the image has {n_pixels:,} "
            f"pixels: {n_pixels:,} are used",
            stacklevel=3,
        )


@torch.inference_mode(False)  # in which a caller may be, and nothing can be trained
def _first_network(
    image: NormalizedImage,
    settings: Settings,
    device: torch.device,
    features: nn.Module | None,
    known: Checkpoint | None,
) -> Network:
    """Return the network that a run begins with: a new one, or a copy of the known one."""
    if known is None:
        frame = torch.from_numpy(next(image.frames()).values)[None]  # (1, C, [Z,] Y, X)
        return build_network(frame, settings, features).to(device)
    known.check_image(image)
    for name in NETWORK_SIZE:
        before, now = (getattr(one, name) for one in (known.settings, settings))
        if before != now:
            raise SettingError(
                f"{name} is {now} and the network at hand was made with {before}: leave it "
                "as it was, or begin anew without warm_start"
            )
    return copy.deepcopy(known.network)
