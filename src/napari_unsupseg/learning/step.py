"""One iteration of a run, for whoever asked for the run."""

import copy
import functools
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from napari_unsupseg._typing import Labels
from napari_unsupseg.learning.network import Network
from napari_unsupseg.learning.upsampler import LabelUpsampler
from napari_unsupseg.regions.labels import label_dtype

__all__ = ["Step"]


class Step:
    """One iteration of a run. Labels and loss are fetched from the device when they are asked for.

    Parameters
    ----------
    iteration : int
        Number of the iteration, from 1.
    clusters : Tensor of int64, shape (N, [z,] y, x)
        Cluster of each pixel of the sample that the iteration trained on, from 0.
    loss : Tensor, shape ()
        The loss of the iteration, in nats.
    valid : ndarray of bool, shape (N, [z,] y, x)
        Pixels of the sample that take part.
    max_clusters : int
        q of the paper, which decides the labels' data type.
    factor : int
        Pixels of the image along a side of each pixel of the sample.
    upsampler : LabelUpsampler, optional
        Makes labels of the whole image from those of the sample; by default these are the image's.

    Attributes
    ----------
    iteration : int
        Number of the iteration, from 1.
    factor : int
        Pixels of the image along a side of each pixel that was trained on: 1 at full size.
    hierarchy_share : float or None
        Share of the hierarchy that is built, from 0 to 1, in the steps after the last iteration;
        None in all others.
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
        upsampler: LabelUpsampler | None = None,
    ) -> None:
        self.iteration = iteration
        self.factor = factor
        self._clusters = clusters
        self._loss = loss
        self._valid = valid
        self._max_clusters = max_clusters
        self._upsampler = upsampler

    def relabelled(self, labels: Labels) -> "Step":
        """Return this step with other labels, shape (..., Y, X), at full size."""
        clusters = torch.from_numpy(labels.astype(np.int64)) - 1
        return Step(self.iteration, clusters, self._loss, labels > 0, self._max_clusters)

    def with_hierarchy_share(self, share: float) -> Self:
        """Return this step with the share of the hierarchy that is built, from 0 to 1."""
        step = copy.copy(self)
        step.hierarchy_share = share
        return step

    def leave_device(self) -> None:
        """Fetch what has not been asked for yet, so that a GPU's memory is free."""
        self._clusters, self._loss = self._clusters.cpu(), self._loss.cpu()

    @functools.cached_property
    def labels(self) -> Labels:
        """Labels of this iteration, shape (..., Y, X): 1 to q, 0 at pixels that take no part."""
        if self._upsampler is None:
            return self._sample_labels
        return self._upsampler.upsample(self._sample_labels)

    @property
    def network(self) -> Network | None:
        """The network of this iteration if it trained on tiles only, to label the image with."""
        return None if self._upsampler is None else self._upsampler.network

    @functools.cached_property
    def _sample_labels(self) -> Labels:
        labels = (self._clusters.cpu().numpy() + 1).astype(label_dtype(self._max_clusters))
        return labels * self._valid

    @functools.cached_property
    def n_clusters(self) -> int:
        """Number of clusters that are left among the pixels trained on."""
        return int(np.bincount(self._sample_labels[self._valid]).astype(bool).sum())

    @functools.cached_property
    def loss(self) -> float:
        """Mean cross-entropy of responses and vote, in nats, and what the settings add to it."""
        return float(self._loss)
