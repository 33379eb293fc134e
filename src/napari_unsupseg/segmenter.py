"""The rooms put in order: an image goes in, labels come out."""

import copy
import dataclasses
import functools
import math
import os
import warnings
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

import napari_unsupseg
from napari_unsupseg._generators import map_yields, run_to_end
from napari_unsupseg._typing import Labels
from napari_unsupseg.errors import ImageError, SettingError, StrokesError
from napari_unsupseg.image.channels import ImageChannels, split_channels, split_frames
from napari_unsupseg.image.normalize import NormalizedImage, normalize_image
from napari_unsupseg.image.tiling import compute_crops, is_large, is_lazy
from napari_unsupseg.learning.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from napari_unsupseg.learning.cost import training_bytes
from napari_unsupseg.learning.devices import (
    check_memory,
    empty_cache,
    processor_name,
    resolve_device,
    resolve_precision,
    translate_out_of_memory,
)
from napari_unsupseg.learning.distillation import fit_to_labels
from napari_unsupseg.learning.inference import predict, predict_generator
from napari_unsupseg.learning.lazy_inference import LazyLabels
from napari_unsupseg.learning.network import Network, build_network
from napari_unsupseg.learning.staged_training import TrainingState, train
from napari_unsupseg.learning.step import Step
from napari_unsupseg.regions.hierarchy import Hierarchy, check_cut
from napari_unsupseg.regions.hierarchy_builder import build_hierarchy_generator, precompile
from napari_unsupseg.regions.labels import stack_frames
from napari_unsupseg.regions.small_regions import merge_small_regions
from napari_unsupseg.regions.strokes import apply_strokes, check_strokes
from napari_unsupseg.settings import Settings

__all__ = ["Segmenter", "segment"]

HISTORY_ITERATIONS = (10, 15, 20, 30, 40, 60)  # iterations whose labels the hierarchy is made from


def segment(
    image: ArrayLike,
    *,
    axes: str | None = None,
    channel_axis: int | None = None,
    spatial_ndim: int = 2,
    joint: bool = True,
    spacing: Sequence[float] | None = None,
    mask: ArrayLike | None = None,
    strokes: ArrayLike | None = None,
    granularity: float | None = None,
    n_segments: int | None = None,
    device: str = "auto",
    preset: str = "standard",
    **settings: Any,
) -> NDArray[np.unsignedinteger]:
    """Segment an image that nobody has labelled.

    Parameters
    ----------
    image : array_like, shape (Y, X), (Y, X, 3) or (Y, X, 4), or of more axes
        Bool, integers or floats. Of a dask array of more than 2²⁵ values crops are trained on,
        and labels are a dask array too, computed chunk by chunk when they are asked for.
    axes : str, optional
        What each axis is, one letter an axis: ``y`` and ``x``, ``c`` for channels, ``s`` for the
        samples of RGB; any other, such as ``z`` or ``t``, runs over planes. By default two axes
        are a grey image, a last axis of 3 is RGB, and a last axis of 4 is RGBA, whose alpha is
        left out with a warning; all else must be said.
    channel_axis : int, optional
        In place of `axes`: the axis that holds the channels.
    spatial_ndim : int
        2 for a network that sees planes; 3 for one that sees volumes (axes z, y and x).
    joint : bool
        Train one network on all planes of a series, or all its volumes, together, so that a
        cluster has the same number in each; False trains one on each by itself.
    spacing : sequence of float, optional
        Distance of neighbours along each axis of a frame, such as ``(3, 1, 1)`` for slices three
        times as far apart as pixels: superpixels, and the reduced size that a run begins at,
        follow it. By default all are alike.
    mask : array_like of bool, shape (..., Y, X), optional
        True where a pixel takes part; by default all that are not NaN.
    strokes : array_like of int, shape (..., Y, X), optional
        Labels from 1 to q drawn on some pixels, 0 on all others [2]_. These pixels have them in
        the end, and what looks like them has too; the other clusters have other numbers.
    granularity : float, optional
        Return segments of the run's hierarchy in place of clusters: 0 gives the finest, 0.5 suits
        most images, 1 gives a single one.
    n_segments : int, optional
        Return about this many segments of the hierarchy: fewer if it has fewer.
    device : str
        ``'auto'`` for the GPU if there is one, ``'cpu'``, ``'cuda'``, ``'mps'``, ``'xpu'``.
    preset : str
        Settings that go together, by a plain name, such as ``'paper-2018'``.
    **settings
        Any of `Settings`, such as ``iterations=100`` or ``seed=1``.

    Returns
    -------
    ndarray of uint8, uint16 or uint32, shape (..., Y, X)
        Without the axis of channels. At most `final_clusters` clusters from 1, the darkest, each
        of segments that look alike and may lie in many places, or as many as strokes have labels
        if these are more, which keep their numbers; the network's own, 1 to q
        (`max_clusters`), if `final_clusters` or `settle` is 0. 0 where a pixel takes no part;
        uint16 if q is above 255. With `granularity` or `n_segments`: segments, each a connected
        region with a number of its own.

    Raises
    ------
    ImageError
        If the image, its axes or its mask cannot be segmented, or memory is too small.
    ImageDtypeError
        If the image holds anything but bool, integers or floats.
    SettingError
        If a setting or the preset is unknown, or a value out of its range.
    StrokesError
        If strokes do not fit the image or have a label above `max_clusters`.
    DeviceError
        If there is no such device.
    OutOfMemoryError
        If memory runs out during the run.

    References
    ----------
    .. [1] A. Kanezaki, "Unsupervised image segmentation by backpropagation",
       IEEE ICASSP 2018. :doi:`10.1109/ICASSP.2018.8462533`
    .. [2] W. Kim, A. Kanezaki, M. Tanaka, "Unsupervised learning of image segmentation based on
       differentiable feature clustering", IEEE TIP 29 (2020). :doi:`10.1109/TIP.2020.3011269`

    Examples
    --------
    >>> from skimage.data import coins
    >>> labels = segment(coins()[::4, ::4], iterations=5, superpixels=500)
    >>> labels.shape, labels.dtype
    ((76, 96), dtype('uint8'))
    >>> segments = segment(coins()[::4, ::4], n_segments=20, iterations=5, superpixels=500)
    >>> int(segments.max())
    20
    """
    check_cut(n_segments, granularity)
    segmenter = Segmenter(Settings.from_preset(preset, settings), device=device)
    if not joint:
        channels = split_channels(image, axes, channel_axis)
        return _segment_separately(
            channels,
            {"mask": mask, "strokes": strokes},
            spatial_ndim=spatial_ndim,
            spacing=spacing,
            granularity=granularity,
            n_segments=n_segments,
            device=device,
            preset=preset,
            **settings,
        )
    segmenter.fit(
        image,
        axes=axes,
        channel_axis=channel_axis,
        spatial_ndim=spatial_ndim,
        spacing=spacing,
        mask=mask,
        strokes=strokes,
    )
    if granularity is None and n_segments is None:
        return segmenter.labels_
    return segmenter.hierarchy_.cut(n_segments=n_segments, granularity=granularity)


def _segment_separately(
    channels: ImageChannels, drawn: dict[str, ArrayLike | None], *, spatial_ndim: int, **how: Any
) -> Labels:
    """Segment each frame of a series by a run of its own, with its part of what is drawn on it."""
    frames, axes = split_frames(channels, spatial_ndim)
    leading, size = channels.values.shape[1:-spatial_ndim], channels.values.shape[-spatial_ndim:]
    of_frames: list[dict[str, Any]] = [{} for _ in frames]
    for name, array in drawn.items():
        if array is not None:
            if np.shape(array) != (*leading, *size):
                raise ImageError(
                    f"{name} has shape {np.shape(array)} and the image {(*leading, *size)} without "
                    "its channels: give one of that shape"
                )
            for of_frame, part in zip(of_frames, np.reshape(array, (-1, *size)), strict=True):
                of_frame[name] = part
    labels = []
    for frame, of_frame in zip(frames, of_frames, strict=True):
        mask = np.asarray(of_frame.get("mask", True))
        if mask.any():
            labels.append(segment(frame, axes=axes, spatial_ndim=spatial_ndim, **of_frame, **how))
        else:  # nothing in it takes part
            labels.append(np.zeros(size, dtype=np.uint8))
    is_cut = how["granularity"] is not None or how["n_segments"] is not None
    return stack_frames(labels, leading, are_numbered=is_cut)


class Segmenter:
    """A segmentation in steps, or with a network of your own.

    Parameters
    ----------
    settings : Settings, optional
        The defaults if left out.
    features : torch.nn.Module, optional
        Replaces the paper's convolution components: any module that maps (1, C, [Z,] Y, X) to
        (1, p, [Z,] Y, X). Each run trains a copy of it, from the weights it has.
    device : str
        ``'auto'`` for the GPU if there is one, ``'cpu'``, ``'cuda'``, ``'mps'``, ``'xpu'``.

    Attributes
    ----------
    image_ : NormalizedImage
        From the first step on: the image as the network sees it.
    labels_ : ndarray of uint8 or uint16, shape (..., Y, X)
        After `fit`: the labels.
    n_iterations_ : int
        After `fit`: the number of iterations done.
    hierarchy_ : Hierarchy
        After the first step: segments at every granularity, made when first asked for.

    Raises
    ------
    DeviceError
        If there is no such device.

    Examples
    --------
    >>> from skimage.data import coins
    >>> segmenter = Segmenter(Settings(iterations=5, superpixels=500))
    >>> for step in segmenter.steps(coins()[::4, ::4]):
    ...     if step.n_clusters < 50:
    ...         break
    >>> step.labels.shape
    (76, 96)
    """

    image_: NormalizedImage
    labels_: NDArray[np.unsignedinteger]
    n_iterations_: int
    _made_with: Settings  # those of the run at hand
    _turn: object  # of those who take steps
    _last: Step  # of the training
    _kept: Step  # with the labels to keep
    _strokes: Labels | None = None  # to follow from the next iteration on
    _followed: Labels | None = None  # those that the labels at hand agree with
    _hierarchy: Hierarchy | None = None  # of the labels at hand, once it is made

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        features: nn.Module | None = None,
        device: str = "auto",
    ) -> None:
        self.settings = settings or Settings()
        self.features = features
        self.device = resolve_device(device)
        self.precision = resolve_precision(self.settings.precision, self.device)

    def fit(
        self,
        image: ArrayLike,
        *,
        axes: str | None = None,
        channel_axis: int | None = None,
        spatial_ndim: int = 2,
        spacing: Sequence[float] | None = None,
        mask: ArrayLike | None = None,
        strokes: ArrayLike | None = None,
        warm_start: bool = False,
    ) -> Self:
        """Train on an image to the end.

        Parameters
        ----------
        image : array_like
            As in `segment`.
        axes : str, optional
            As in `segment`.
        channel_axis : int, optional
            As in `segment`.
        spatial_ndim : int
            As in `segment`.
        spacing : sequence of float, optional
            As in `segment`.
        mask : array_like of bool, shape (..., Y, X), optional
            As in `segment`.
        strokes : array_like of int, shape (..., Y, X), optional
            As in `segment`; they can be changed during the run, see `strokes`.
        warm_start : bool
            Go on from the network at hand, from `load` or an earlier run, with the clusters that
            it knows; by default begin anew.

        Returns
        -------
        Segmenter
            Itself, with `labels_` and `n_iterations_`.
        """
        for step in self.steps(  # noqa: B007
            image,
            axes=axes,
            channel_axis=channel_axis,
            spatial_ndim=spatial_ndim,
            spacing=spacing,
            mask=mask,
            strokes=strokes,
            warm_start=warm_start,
        ):
            pass
        self.labels_, self.n_iterations_ = step.labels, step.iteration
        if is_large(image):
            self.labels_ = self.predict(image, axes=axes, channel_axis=channel_axis)
        return self

    def steps(
        self,
        image: ArrayLike,
        *,
        axes: str | None = None,
        channel_axis: int | None = None,
        spatial_ndim: int = 2,
        spacing: Sequence[float] | None = None,
        mask: ArrayLike | None = None,
        strokes: ArrayLike | None = None,
        warm_start: bool = False,
    ) -> Generator[Step, None, None]:
        """Train on an image, one iteration at a time.

        Parameters
        ----------
        image : array_like
            As in `segment`.
        axes : str, optional
            As in `segment`.
        channel_axis : int, optional
            As in `segment`.
        spatial_ndim : int
            As in `segment`.
        spacing : sequence of float, optional
            As in `segment`.
        mask : array_like of bool, shape (..., Y, X), optional
            As in `segment`.
        strokes : array_like of int, shape (..., Y, X), optional
            As in `segment`; they can be changed during the run, see `strokes`.
        warm_start : bool
            As in `fit`.

        Yields
        ------
        Step
            After each iteration, with its labels, number of clusters and loss. After the last:
            some with its labels while the hierarchy is made that the labels to keep come from, and
            one with these. Leave the loop at any time: the step at hand has the labels so far.
        """
        known = self._model if warm_start else None
        channels = split_channels(image, axes, channel_axis)
        if is_lazy(channels.values):
            channels, mask = self._loaded(channels, spatial_ndim, mask, strokes)
        self._made_with = self.settings
        n_channels, *size = channels.values.shape
        n_frames = math.prod(size[:-spatial_ndim])
        n_bytes = training_bytes(
            n_channels,
            tuple(size[-spatial_ndim:]),
            n_frames,
            self.settings,
            is_whole=self.features is not None,
        )
        check_memory(n_bytes, self.device)
        self._history: dict[int, Labels] = {}
        self.image_ = normalize_image(
            channels, mask, self.settings.intensity, spatial_ndim, spacing=spacing
        )
        self.precision = resolve_precision(self.settings.precision, self.device, spatial_ndim)
        self._strokes = None
        self.strokes = strokes
        if self.image_.is_constant:
            warnings.warn("image is constant: all of it is one cluster", stacklevel=2)
        n_pixels = math.prod(self.image_.frame_shape)
        if self.settings.superpixels > n_pixels and not self.image_.is_constant:
            warnings.warn(
                f"superpixels is {self.settings.superpixels:,} but the image has {n_pixels:,} "
                f"pixels: {n_pixels:,} are used",
                stacklevel=2,
            )
        with translate_out_of_memory(self.device):
            self._network = self._first_network(known)
            self._network.precision = self.precision
        self._standing = TrainingState()
        yield from self._train()

    def resume(self) -> Generator[Step, None, None]:
        """Go on with a run where it was left, with its network, momentum and count of iterations.

        Yields
        ------
        Step
            As `steps` does. A run that was left does what is left of it; one that had come to its
            end trains as long again at most.

        Raises
        ------
        SettingError
            If there is no run to go on with.

        Examples
        --------
        >>> from skimage.data import coins
        >>> segmenter = Segmenter(Settings(iterations=5, superpixels=500))
        >>> first = next(segmenter.steps(coins()[::4, ::4]))
        >>> *_, last = segmenter.resume()
        >>> first.iteration, last.iteration
        (1, 5)
        """
        if not hasattr(self, "_standing"):
            raise SettingError("there is no run to go on with: take steps on an image, or fit it")
        yield from self._train()

    @property
    def iterations_left_(self) -> int:
        """Iterations left of the run at most."""
        return self._standing.iterations_left

    def seconds_left(self, seconds: float) -> float:
        """Estimate how long the rest of the run may take.

        Parameters
        ----------
        seconds : float
            What an iteration takes now; those at another size take longer or shorter.

        Returns
        -------
        float
            Seconds at most, without what comes after the last iteration.
        """
        return self._standing.seconds_left(seconds, self.image_)

    @property
    def strokes(self) -> Labels | None:
        """Labels drawn on some pixels, shape (..., Y, X), 0 on all others; None if there are none.

        Those of the run at hand. They can be set at any time and from any thread, between two
        steps or during one, and count from the next iteration on: the run goes back to reduced
        size, if it began at that, for the iterations that are left. The array is copied.

        Raises
        ------
        StrokesError
            If no image has been given yet, or strokes do not fit it.
        """
        return self._strokes

    @strokes.setter
    def strokes(self, strokes: ArrayLike | None) -> None:
        if not hasattr(self, "image_"):
            raise StrokesError("there is no image to draw on yet: give strokes to fit or to steps")
        drawn = check_strokes(strokes, self.image_.valid, self.settings.max_clusters)
        if drawn is None or self._strokes is None or not np.array_equal(drawn, self._strokes):
            self._strokes = drawn

    def _loaded(
        self,
        channels: ImageChannels,
        spatial_ndim: int,
        mask: ArrayLike | None,
        strokes: ArrayLike | None,
    ) -> tuple[ImageChannels, ArrayLike | None]:
        """Return a lazy image computed whole, or crops of it if it is large."""
        values: Any = channels.values
        if not is_large(values):
            return dataclasses.replace(channels, values=values.compute()), mask
        if mask is not None:
            raise ImageError(
                "a mask cannot go with an image that is too large to load; set what it leaves out "
                "to NaN"
            )
        if strokes is not None:
            raise StrokesError(
                "strokes cannot go with an image that is too large to load; draw on a part of it, "
                "and apply the network to all"
            )
        crops = compute_crops(values, spatial_ndim, self.settings.seed)
        axes = "n" + channels.axes[-spatial_ndim:]
        return dataclasses.replace(channels, values=crops, axes=axes), None

    @torch.inference_mode(False)  # in which a caller may be, and nothing can be trained
    def _first_network(self, known: Checkpoint | None) -> Network:
        """Return the network that a run begins with."""
        if known is None:
            frame = torch.from_numpy(next(self.image_.frames()).values)[None]
            return build_network(frame, self.settings, self.features).to(self.device)
        _require_same_kind(known, self.image_)
        for name in ("components", "filters", "max_clusters"):
            had, asked_for = (getattr(one, name) for one in (known.settings, self.settings))
            if had != asked_for:
                raise SettingError(
                    f"{name} is {asked_for} and the network at hand was made with {had}: leave it "
                    "as it was, or begin anew without warm_start"
                )
        return copy.deepcopy(known.network)

    def _train(self) -> Iterator[Step]:
        """Yield the steps of a run; the device's memory is free when it ends or is left.

        Those of an earlier call end where others are taken: there is one network to train.
        """
        turn = self._turn = object()
        try:
            for step in self._train_on_device():
                yield step
                if self._turn is not turn:
                    return
        finally:
            if hasattr(self, "_last"):
                self._last.leave_device()
                self._kept.leave_device()
            empty_cache(self.device)

    def _train_on_device(self) -> Iterator[Step]:
        """Yield the steps of a run, and one more with the labels to keep where they are others."""
        if self.image_.is_constant:
            step = _constant_step(self.image_, self.settings)
            step = step.relabelled(apply_strokes(step.labels, self._strokes))
            self._remember(step)
            yield step
            return
        for step in train(
            self._network, self.image_, self.settings, self._standing, lambda: self._strokes
        ):
            self._remember(step)
            yield step
            if self._final_clusters:
                precompile()
        yield from self.finish()

    @property
    def _final_clusters(self) -> int:
        """Clusters that are made of segments when a run ends; 0 for the network's own."""
        settings = self.settings
        return min(settings.final_clusters, settings.max_clusters) if settings.settle else 0

    def finish(self) -> Generator[Step, None, None]:
        """End a run where it was left: make the labels to keep from what it has gone through.

        Yields
        ------
        Step
            As `steps` does after the last iteration: some while the hierarchy is made, and one with
            the labels. Of a run that keeps the network's own clusters there may be none.

        Raises
        ------
        SettingError
            If there is no run to end.

        Examples
        --------
        >>> from skimage.data import coins
        >>> segmenter = Segmenter(Settings(iterations=50, superpixels=500))
        >>> for step in segmenter.steps(coins()[::4, ::4]):
        ...     if step.iteration == 10:
        ...         break
        >>> *_, last = segmenter.finish()
        >>> int(last.labels.max()) <= segmenter.settings.final_clusters
        True
        """
        if not hasattr(self, "_last"):
            raise SettingError("there is no run to end: take steps on an image first")
        if self.image_.is_constant:
            return
        step = self._last
        if step.network is not None:
            step = step.relabelled(predict(step.network, self.image_))
            self._remember(step)
            yield step
        elif self._followed is not self._strokes:
            self._remember(step)
        kept = step
        if self._final_clusters:
            hierarchy = yield from map_yields(self.hierarchy_generator(), step.with_hierarchy_share)
            kept = step.relabelled(hierarchy.clusters(self._final_clusters))
        if self.settings.min_size > 1:
            labels = merge_small_regions(kept.labels, self.image_, self.settings.min_size)
            kept = step.relabelled(labels)
        painted = apply_strokes(kept.labels, self._followed)
        if painted is not kept.labels:
            kept = step.relabelled(painted)
        if kept is not step:
            self._kept = kept
            yield kept

    def _remember(self, step: Step) -> None:
        """Keep what hierarchy and model are made from: the labels on the way, and the last ones."""
        self._last = self._kept = step
        self._followed = self._strokes
        if step.iteration in HISTORY_ITERATIONS:
            self._history[step.iteration] = step.labels
        self._hierarchy = None
        self.__dict__.pop("_model", None)

    @property
    def hierarchy_(self) -> Hierarchy:
        """Segments of the run at every granularity, made from what it has gone through so far."""
        return run_to_end(self.hierarchy_generator())

    def hierarchy_generator(self) -> Generator[float, None, Hierarchy]:
        """Make the hierarchy of the run, a part at a time, unless it is made.

        For those who want to know how far it is, or to leave off.

        Yields
        ------
        float
            Share that is done, from 0 to 1.

        Returns
        -------
        Hierarchy
            As `hierarchy_`.

        Raises
        ------
        SettingError
            If there is no run yet.

        Examples
        --------
        >>> from skimage.data import coins
        >>> segmenter = Segmenter(Settings(iterations=5, superpixels=500))
        >>> first = next(segmenter.steps(coins()[::4, ::4]))
        >>> *_, last = segmenter.hierarchy_generator()
        >>> last
        1.0
        """
        if not hasattr(self, "_last"):
            raise SettingError("there is no run to make segments of: fit an image first")
        if self._hierarchy is None:
            self._hierarchy = yield from build_hierarchy_generator(
                self.image_,
                [*self._history.values(), self._last.labels],
                min_size=self.settings.min_size,
                strokes=self._followed,
            )
        return self._hierarchy

    @functools.cached_property
    def _model(self) -> Checkpoint:
        """The network of the run, having learned the labels that the run has kept."""
        if not hasattr(self, "_kept"):
            raise SettingError("there is no network yet: fit an image, or load a network")
        network, labels = self._network, self._kept.labels
        if not self.image_.is_constant:
            network = fit_to_labels(network, self.image_, labels, self._made_with)
        n_channels = len(self.image_.values)
        return Checkpoint(
            network, self._made_with, n_channels, self.image_.is_rgb, int(labels.max())
        )

    def predict(
        self,
        image: ArrayLike,
        *,
        axes: str | None = None,
        channel_axis: int | None = None,
        mask: ArrayLike | None = None,
        granularity: float | None = None,
        n_segments: int | None = None,
    ) -> Labels:
        """Find the clusters of a run in another image.

        The first call after a run has the network learn, for some seconds, the clusters that the
        run has kept. Intensities are brought to 0…1 by those of the other image.

        Parameters
        ----------
        image : array_like
            An image of any size, of the same channels, or a series of them. Labels of a dask
            array are a dask array.
        axes : str, optional
            As in `segment`.
        channel_axis : int, optional
            As in `segment`.
        mask : array_like of bool, shape (..., Y, X), optional
            As in `segment`.
        granularity : float, optional
            As in `segment`.
        n_segments : int, optional
            As in `segment`.

        Returns
        -------
        ndarray of uint8, uint16 or uint32, shape (..., Y, X)
            Labels with the numbers they have in the run; segments with `granularity` or
            `n_segments`.

        Raises
        ------
        SettingError
            If there is no network yet.
        ImageError
            If the image has other channels or axes than the one trained on.

        Examples
        --------
        >>> from skimage.data import coins
        >>> segmenter = Segmenter(Settings(iterations=5, superpixels=500))
        >>> segmenter.fit(coins()[::4, ::4]).predict(coins()[:50, :60]).shape
        (50, 60)
        """
        return run_to_end(
            self.predict_generator(
                image,
                axes=axes,
                channel_axis=channel_axis,
                mask=mask,
                granularity=granularity,
                n_segments=n_segments,
            )
        )

    def predict_generator(
        self,
        image: ArrayLike,
        *,
        axes: str | None = None,
        channel_axis: int | None = None,
        mask: ArrayLike | None = None,
        granularity: float | None = None,
        n_segments: int | None = None,
    ) -> Generator[float, None, Labels]:
        """Find the clusters of a run in another image, a part at a time.

        For those who want to know how far it is, or to leave off.

        Parameters
        ----------
        image : array_like
            As in `predict`.
        axes : str, optional
            As in `segment`.
        channel_axis : int, optional
            As in `segment`.
        mask : array_like of bool, shape (..., Y, X), optional
            As in `segment`.
        granularity : float, optional
            As in `segment`.
        n_segments : int, optional
            As in `segment`.

        Yields
        ------
        float
            Share that is done, up to 1; none of a dask array, whose labels are computed later.

        Returns
        -------
        ndarray of uint8, uint16 or uint32, shape (..., Y, X)
            As of `predict`.

        Raises
        ------
        SettingError
            As `predict`.
        ImageError
            As `predict`.

        Examples
        --------
        >>> from skimage.data import coins
        >>> segmenter = Segmenter(Settings(iterations=5, superpixels=500)).fit(coins()[::4, ::4])
        >>> *_, last = segmenter.predict_generator(coins()[:100, :200])
        >>> last
        1.0
        """
        check_cut(n_segments, granularity)
        is_cut = granularity is not None or n_segments is not None
        channels = split_channels(image, axes, channel_axis)
        if is_lazy(channels.values):
            labels: Labels = self._lazy_labels(channels, mask, is_cut=is_cut).array()
            return labels
        prepared = self._prepared(channels, mask)
        if is_cut:
            hierarchy = yield from self._hierarchy_of_image(prepared)
            return hierarchy.cut(n_segments=n_segments, granularity=granularity)
        labels = yield from self._find(prepared)
        if self.settings.min_size > 1:
            labels = merge_small_regions(labels, prepared, self.settings.min_size)
        return labels

    def predict_hierarchy(
        self,
        image: ArrayLike,
        *,
        axes: str | None = None,
        channel_axis: int | None = None,
        mask: ArrayLike | None = None,
        labels: Labels | None = None,
    ) -> Hierarchy:
        """Find segments of another image at every granularity, by the clusters of a run.

        Parameters
        ----------
        image : array_like
            As in `predict`, but no dask array.
        axes : str, optional
            As in `segment`.
        channel_axis : int, optional
            As in `segment`.
        mask : array_like of bool, shape (..., Y, X), optional
            As in `segment`.
        labels : ndarray of unsigned integers, shape (..., Y, X), optional
            What `predict` found in the image, which need not be found again then.

        Returns
        -------
        Hierarchy
            Its cuts are what `predict` returns with `granularity` or `n_segments`, each in an
            instant.

        Raises
        ------
        SettingError
            If there is no network yet.
        ImageError
            If the image has other channels or axes than the one trained on, or labels another
            shape than it.
        """
        return run_to_end(
            self.predict_hierarchy_generator(
                image, axes=axes, channel_axis=channel_axis, mask=mask, labels=labels
            )
        )

    def predict_hierarchy_generator(
        self,
        image: ArrayLike,
        *,
        axes: str | None = None,
        channel_axis: int | None = None,
        mask: ArrayLike | None = None,
        labels: Labels | None = None,
    ) -> Generator[float, None, Hierarchy]:
        """Find segments of another image as `predict_hierarchy` does, a part at a time.

        Parameters
        ----------
        image : array_like
            As in `predict`, but no dask array.
        axes : str, optional
            As in `segment`.
        channel_axis : int, optional
            As in `segment`.
        mask : array_like of bool, shape (..., Y, X), optional
            As in `segment`.
        labels : ndarray of unsigned integers, shape (..., Y, X), optional
            As in `predict_hierarchy`.

        Yields
        ------
        float
            Share that is done, from 0 to 1.

        Returns
        -------
        Hierarchy
            As of `predict_hierarchy`.
        """
        prepared = self._prepared(split_channels(image, axes, channel_axis), mask)
        if labels is not None and labels.shape != prepared.valid.shape:
            raise ImageError(
                f"labels have shape {labels.shape} and the image {prepared.valid.shape}: give "
                "those that predict found in it"
            )
        return (yield from self._hierarchy_of_image(prepared, labels))

    def _hierarchy_of_image(
        self, image: NormalizedImage, labels: Labels | None = None
    ) -> Generator[float, None, Hierarchy]:
        """Yield how far it is, and return the hierarchy of an image by the clusters found in it."""
        begun = 0.0
        if labels is None:
            begun = 0.5
            labels = yield from map_yields(self._find(image), lambda share: begun * share)
        parts = build_hierarchy_generator(image, [labels], min_size=self.settings.min_size)
        return (yield from map_yields(parts, lambda share: begun + (1 - begun) * share))

    def _prepared(self, channels: ImageChannels, mask: ArrayLike | None) -> NormalizedImage:
        """Return an image as the network sees it."""
        model = self._model
        prepared = normalize_image(channels, mask, self.settings.intensity, model.spatial_ndim)
        _require_same_kind(model, prepared)
        return prepared

    def _find(self, image: NormalizedImage) -> Generator[float, None, Labels]:
        """Yield how far it is, and return the clusters found in an image."""
        model = self._model
        labels = yield from predict_generator(model.network, image, n_labels=model.n_labels)
        return labels

    def lazy_labels(self, image: ArrayLike, *, axes: str | None = None) -> LazyLabels:
        """Find the clusters of a run in a dask array, one part at a time.

        Parameters
        ----------
        image : dask array
            As in `predict`.
        axes : str, optional
            As in `segment`.

        Returns
        -------
        LazyLabels
            Of which any part can be computed; it keeps the network as it is now.

        Raises
        ------
        SettingError
            If there is no network yet.
        ImageError
            If the image has other channels or axes than the one trained on.
        """
        return self._lazy_labels(split_channels(image, axes), None, is_cut=False)

    def _lazy_labels(
        self, channels: ImageChannels, mask: ArrayLike | None, *, is_cut: bool
    ) -> LazyLabels:
        """Return labels of a lazy image, unless more is asked for than can be had of it."""
        if mask is not None or is_cut or self.settings.min_size > 1:
            raise ImageError(
                "of a dask array only clusters can be predicted, without mask, granularity, "
                "n_segments or min_size; compute a part of it for these"
            )
        model = self._model
        labels = LazyLabels(channels, model)
        _require_same_kind(model, labels.prepared)
        return labels

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network of a run, to be used on other images.

        Parameters
        ----------
        path : path-like
            The file to write or replace; by custom it ends in ``.unsupseg``. It holds numbers
            and text only, in the format of safetensors.

        Raises
        ------
        SettingError
            If there is no network yet, or it has features of your own.
        FileError
            If the file cannot be written.
        """
        save_checkpoint(Path(path), self._model)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str = "auto") -> Self:
        """Read a network that `save` wrote.

        Parameters
        ----------
        path : path-like
            The file.
        device : str
            As in `Segmenter`.

        Returns
        -------
        Segmenter
            With the settings of the run; it can `predict`, and `fit` with ``warm_start=True``.

        Raises
        ------
        FileError
            If the file is missing, of another kind, damaged, changed, or of a newer version.
        DeviceError
            If there is no such device.
        """
        model = load_checkpoint(Path(path))
        segmenter = cls(model.settings, device=device)
        segmenter.precision = resolve_precision(
            model.settings.precision, segmenter.device, model.spatial_ndim
        )
        network = model.network.to(segmenter.device)
        network.precision = segmenter.precision
        segmenter._model = dataclasses.replace(model, network=network)
        return segmenter

    def record(self, step: Step | None = None) -> dict[str, Any]:
        """Say how the labels of a step were made, to be kept beside them.

        Parameters
        ----------
        step : Step, optional
            A step of this segmenter.

        Returns
        -------
        dict
            Versions, processor and settings, and iterations and clusters of a step; fit for JSON.
        """
        made: dict[str, Any] = {
            "version": napari_unsupseg.__version__,
            "torch": torch.__version__,
            "device": str(self.device),
            "processor": processor_name(self.device),
            "precision": str(self.precision).removeprefix("torch."),
            "settings": self.settings.to_dict(),
        }
        if step is not None:
            made |= {"iterations": step.iteration, "clusters": step.n_clusters}
        return made


def _constant_step(image: NormalizedImage, settings: Settings) -> Step:
    clusters = torch.zeros(image.valid.shape, dtype=torch.int64)
    return Step(0, clusters, torch.zeros(()), image.valid, settings.max_clusters)


def _require_same_kind(model: Checkpoint, image: NormalizedImage) -> None:
    """Raise unless an image has the channels and axes that a network was trained on."""
    n_channels = len(image.values)
    if n_channels != model.n_channels:
        raise ImageError(
            f"image has {n_channels} channels and the network was trained on {model.n_channels}; "
            "give it the same channels"
        )
    if image.spatial_ndim != model.spatial_ndim:
        raise ImageError(
            f"spatial_ndim is {image.spatial_ndim} and the network was trained with "
            f"{model.spatial_ndim}"
        )
