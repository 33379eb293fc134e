"""The rooms put in order: an image goes in, labels come out."""

import functools
import math
import warnings
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

import napari_unsupseg
from napari_unsupseg.devices import (
    naming_out_of_memory,
    require_memory,
    resolve_device,
    resolve_precision,
)
from napari_unsupseg.hierarchy import Hierarchy, build_hierarchy, check_cut, without_small
from napari_unsupseg.images import PreparedImage, prepare, split_channels
from napari_unsupseg.network import build_network
from napari_unsupseg.settings import Settings
from napari_unsupseg.stages import required_bytes, train
from napari_unsupseg.training import Labels, Step

__all__ = ["Segmenter", "segment"]

REMEMBERED = (10, 15, 20, 30, 40, 60)  # iterations whose labels the hierarchy is made from


def segment(
    image: ArrayLike,
    *,
    channel_axis: int | None = None,
    mask: ArrayLike | None = None,
    granularity: float | None = None,
    n_segments: int | None = None,
    device: str = "auto",
    preset: str = "standard",
    **settings: Any,
) -> NDArray[np.unsignedinteger]:
    """Segment an image that nobody has labelled.

    Parameters
    ----------
    image : array_like, shape (Y, X), (Y, X, 3) or (Y, X, 4), or with channels on any axis
        Bool, integers or floats.
    channel_axis : int, optional
        The axis that holds the channels. By default two axes are a grey image, a last axis of 3
        is RGB, and a last axis of 4 is RGBA, whose alpha is left out with a warning.
    mask : array_like of bool, shape (Y, X), optional
        True where a pixel takes part; by default all that are not NaN.
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
    ndarray of uint8, uint16 or uint32, shape (Y, X)
        At most `final_clusters` clusters from 1, the darkest, each of segments that look alike and
        may lie in many places; the network's own, 1 to q (`max_clusters`), if `final_clusters` or
        `settle` is 0. 0 where a pixel takes no part; uint16 if q is above 255. With `granularity`
        or `n_segments`: segments, each a connected region with a number of its own.

    Raises
    ------
    ImageError
        If the image, its axes or its mask cannot be segmented, or memory is too small.
    ImageDtypeError
        If the image holds anything but bool, integers or floats.
    SettingError
        If a setting or the preset is unknown, or a value out of its range.
    DeviceError
        If there is no such device.
    OutOfMemoryError
        If memory runs out during the run.

    References
    ----------
    .. [1] A. Kanezaki, "Unsupervised image segmentation by backpropagation",
       IEEE ICASSP 2018. :doi:`10.1109/ICASSP.2018.8462533`

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
    segmenter.fit(image, channel_axis=channel_axis, mask=mask)
    if granularity is None and n_segments is None:
        return segmenter.labels_
    return segmenter.hierarchy_.cut(n_segments=n_segments, level=granularity)


class Segmenter:
    """A segmentation in steps, or with a network of your own.

    Parameters
    ----------
    settings : Settings, optional
        The defaults if left out.
    features : torch.nn.Module, optional
        Replaces the paper's convolution components: any module that maps (1, C, Y, X) to
        (1, p, Y, X). Each run trains a copy of it, from the weights it has.
    device : str
        ``'auto'`` for the GPU if there is one, ``'cpu'``, ``'cuda'``, ``'mps'``, ``'xpu'``.

    Attributes
    ----------
    image_ : PreparedImage
        From the first step on: the image as the network sees it.
    labels_ : ndarray of uint8 or uint16, shape (Y, X)
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

    image_: PreparedImage
    labels_: NDArray[np.unsignedinteger]
    n_iterations_: int

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
        self, image: ArrayLike, *, channel_axis: int | None = None, mask: ArrayLike | None = None
    ) -> Self:
        """Train on an image to the end.

        Parameters
        ----------
        image : array_like
            As in `segment`.
        channel_axis : int, optional
            As in `segment`.
        mask : array_like of bool, shape (Y, X), optional
            As in `segment`.

        Returns
        -------
        Segmenter
            Itself, with `labels_` and `n_iterations_`.
        """
        for step in self.steps(image, channel_axis=channel_axis, mask=mask):  # noqa: B007
            pass
        self.labels_, self.n_iterations_ = step.labels, step.iteration
        return self

    def steps(
        self, image: ArrayLike, *, channel_axis: int | None = None, mask: ArrayLike | None = None
    ) -> Iterator[Step]:
        """Train on an image, one iteration at a time.

        Parameters
        ----------
        image : array_like
            As in `segment`.
        channel_axis : int, optional
            As in `segment`.
        mask : array_like of bool, shape (Y, X), optional
            As in `segment`.

        Yields
        ------
        Step
            After each iteration, with its labels, number of clusters and loss, and after the
            last, where they differ, with labels of all its pixels and with those to keep. Leave
            the loop at any time: the step at hand has the labels so far.
        """
        self._history: dict[int, Labels] = {}
        channels = split_channels(image, channel_axis)
        n_channels, *plane = channels.values.shape
        n_bytes = required_bytes(n_channels, math.prod(plane), self.settings)
        require_memory(n_bytes, self.device)
        self.image_ = prepare(channels, mask, self.settings.intensity)
        if self.image_.is_constant:
            warnings.warn("image is constant: all of it is one cluster", stacklevel=2)
            step = _constant_step(self.image_, self.settings)
            self._remember(step)
            yield step
            return
        n_pixels = self.image_.valid.size
        if self.settings.superpixels > n_pixels:
            warnings.warn(
                f"superpixels is {self.settings.superpixels:,} but the image has {n_pixels:,} "
                f"pixels: {n_pixels:,} are used",
                stacklevel=2,
            )
        tensor = torch.from_numpy(self.image_.values).unsqueeze(0)
        with naming_out_of_memory(self.device):
            network = build_network(tensor, self.settings, self.features).to(self.device)
        for step in train(network, self.image_, self.settings, self.precision):
            self._remember(step)
            yield step
        n_clusters = min(self.settings.final_clusters, self.settings.max_clusters)
        kept = step
        if self.settings.settle and n_clusters:
            kept = step.relabelled(self.hierarchy_.clusters(n_clusters))
        if self.settings.min_size > 1:
            labels = without_small(kept.labels, self.image_, self.settings.min_size)
            kept = step.relabelled(labels)
        if kept is not step:
            yield kept

    def _remember(self, step: Step) -> None:
        """Keep what the hierarchy is made from: the labels on the way, and the last ones."""
        self._last = step
        if step.iteration in REMEMBERED:
            self._history[step.iteration] = step.labels
        self.__dict__.pop("hierarchy_", None)

    @functools.cached_property
    def hierarchy_(self) -> Hierarchy:
        """Segments of the run at every granularity, made from what it has gone through so far."""
        history = [*self._history.values(), self._last.labels]
        return build_hierarchy(self.image_, history, min_size=self.settings.min_size)

    def record(self, step: Step) -> dict[str, Any]:
        """Say how the labels of a step were made, to be kept beside them.

        Parameters
        ----------
        step : Step
            A step of this segmenter.

        Returns
        -------
        dict
            Versions, device, settings, iterations and clusters; fit for JSON.
        """
        return {
            "version": napari_unsupseg.__version__,
            "torch": torch.__version__,
            "device": str(self.device),
            "precision": str(self.precision).removeprefix("torch."),
            "settings": self.settings.to_dict(),
            "iterations": step.iteration,
            "clusters": step.n_clusters,
        }


def _constant_step(image: PreparedImage, settings: Settings) -> Step:
    clusters = torch.zeros(image.valid.shape, dtype=torch.int64)
    return Step(0, clusters, clusters, torch.zeros(()), image.valid, settings.max_clusters)
