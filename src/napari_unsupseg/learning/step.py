"""One iteration of a run, as those see it who asked for the run."""

import copy
import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from napari_unsupseg._typing import Labels
from napari_unsupseg.learning.network import Network
from napari_unsupseg.regions.labels import label_dtype

__all__ = ["LabelUpsampler", "Step"]


@dataclasses.dataclass(frozen=True, eq=False)
class LabelUpsampler:
    """How labels of a view become labels of the whole image.

    Attributes
    ----------
    make : callable
        Makes the latter from the former; by default they are the same.
    network : Network or None
        The network as it was, if the view is of tiles only, and all else has labels of a preview.
    """

    make: Callable[[Labels], Labels] = np.asarray
    network: Network | None = None


class Step:
    """One iteration of a run: what is known of it is fetched from the device when asked for.

    Parameters
    ----------
    iteration : int
        Number of the iteration, from 1.
    clusters : Tensor of int64, shape (N, [z,] y, x)
        Cluster of each pixel of the view that the iteration trained on, from 0.
    loss : Tensor, shape ()
        Mean cross-entropy between responses and vote.
    valid : ndarray of bool, shape (N, [z,] y, x)
        Pixels of the view that take part.
    max_clusters : int
        q, which decides the labels' data type.
    factor : int
        Pixels of the image along a side of each of the view's.
    spread : Spread
        How labels of the whole image are made from those of the view.

    Attributes
    ----------
    iteration : int
        Number of the iteration, from 1.
    factor : int
        Pixels of the image along a side of each that was trained on: 1 at full size.
    hierarchy_share : float or None
        While the hierarchy is made, after the last iteration: how much of it is, from 0 to 1.
    """

    hierarchy_share: float | None = None

    def __init__(
        self,
        iteration: int,
        clusters: torch.Tensor,
        loss: torch.Tensor,
        valid: NDArray[np.bool_],
        max_clusters: int,
        factor: int = 1,
        spread: LabelUpsampler = LabelUpsampler(),
    ) -> None:
        self.iteration = iteration
        self.factor = factor
        self._clusters = clusters
        self._loss = loss
        self._valid = valid
        self._max_clusters = max_clusters
        self._spread = spread

    def relabelled(self, labels: Labels) -> "Step":
        """Return this step with other labels, shape (..., Y, X), at full size."""
        clusters = torch.from_numpy(labels.astype(np.int64)) - 1
        return Step(self.iteration, clusters, self._loss, labels > 0, self._max_clusters)

    def with_hierarchy_share(self, share: float) -> "Step":
        """Return this step while so much of the hierarchy is made."""
        step = copy.copy(self)
        step.hierarchy_share = share
        return step

    def leave_device(self) -> None:
        """Fetch what has not been asked for yet, so that a GPU's memory is free."""
        self._clusters, self._loss = self._clusters.cpu(), self._loss.cpu()

    @functools.cached_property
    def labels(self) -> Labels:
        """Labels of this iteration, shape (..., Y, X): 1 to q, 0 at pixels that take no part."""
        return self._spread.make(self._view_labels)

    @property
    def network(self) -> Network | None:
        """The network that labels all of the image as this iteration does its tiles, if it has."""
        return self._spread.network

    @functools.cached_property
    def _view_labels(self) -> Labels:
        labels = (self._clusters.cpu().numpy() + 1).astype(label_dtype(self._max_clusters))
        return labels * self._valid

    @functools.cached_property
    def n_clusters(self) -> int:
        """Number of clusters that are left among the pixels trained on."""
        return int(np.bincount(self._view_labels[self._valid]).astype(bool).sum())

    @functools.cached_property
    def loss(self) -> float:
        """Mean cross-entropy between the responses and the vote, in nats."""
        return float(self._loss)
