"""A training sample on the network's device, and the clusters that its pixels are trained to."""

import dataclasses
from typing import Self

import numpy as np
import torch

from napari_unsupseg._typing import Labels
from napari_unsupseg.learning.sampling import TrainingSample
from napari_unsupseg.learning.superpixels import majority_vote

__all__ = ["DeviceSample", "StrokeTargets"]


@dataclasses.dataclass(frozen=True, eq=False)
class StrokeTargets:
    """Pixels under strokes and the clusters that they are trained to.

    Attributes
    ----------
    is_stroke : Tensor of bool, shape (N, [z,] y, x)
        Pixels that take part and lie under a stroke; there is at least one.
    clusters : Tensor of int64, shape (N, [z,] y, x)
        Cluster that a stroke gives each pixel, the stroke's label minus 1; -1 where there is none.
    share : float
        Pixels under strokes, as a fraction of those that take part.
    """

    is_stroke: torch.Tensor
    clusters: torch.Tensor
    share: float

    @classmethod
    def from_strokes(cls, strokes: Labels | None, inside: torch.Tensor) -> Self | None:
        """Bring strokes (N, [z,] y, x) to the device of `inside`; None if no pixel is under one."""
        if strokes is None:
            return None
        labels = torch.from_numpy(strokes.astype(np.int64)).to(inside.device)
        is_stroke = (labels > 0) & inside
        share = int(is_stroke.count_nonzero()) / int(inside.count_nonzero())
        return cls(is_stroke, labels - 1, share) if share else None

    def draw_over(self, target: torch.Tensor) -> torch.Tensor:
        """Return a target (N, [z,] y, x) with the clusters of the strokes in place of its own."""
        return torch.where(self.is_stroke, self.clusters, target)

    def weigh(self, weights: torch.Tensor | None, stroke_weight: float) -> torch.Tensor:
        """Return weights of pixels that give the strokes a loss term of their own.

        As in Kim et al. (2020), :doi:`10.1109/TIP.2020.3011269`. The loss is a sum over all pixels
        divided by their number; to be a mean over the strokes' pixels, their part of it has to be
        divided by their share.

        Parameters
        ----------
        weights : Tensor, shape (N, [z,] y, x), or None
            Weights without strokes; None if all are 1.
        stroke_weight : float
            Weight of the strokes' mean loss.

        Returns
        -------
        Tensor of float32, shape (N, [z,] y, x)
            The weights.
        """
        if weights is None:
            weights = torch.ones(
                self.is_stroke.shape, dtype=torch.float32, device=self.is_stroke.device
            )
        return weights.masked_fill(self.is_stroke, stroke_weight / self.share)


@dataclasses.dataclass(frozen=True, eq=False)
class DeviceSample:
    """A training sample on the network's device, with all that its pixels are trained to.

    Attributes
    ----------
    sample : TrainingSample
        The sample, in the computer's memory.
    image : Tensor of float32, shape (N, C, [z,] y, x)
        Intensities.
    inside : Tensor of bool, shape (N, [z,] y, x), or None
        Pixels that take part; None if all do.
    n_inside : int
        How many pixels take part.
    superpixels : Tensor of int64, shape (N · z · y · x,), or None
        Superpixel of each pixel; those that take no part have one of their own, the last.
    n_superpixels : int
        How many there are.
    target : Tensor of int64, shape (N, [z,] y, x), or None
        Cluster that each pixel should have; None for the vote of its superpixel.
    strokes : StrokeTargets or None
        The strokes; None if there are none.
    """

    sample: TrainingSample
    image: torch.Tensor
    inside: torch.Tensor | None
    n_inside: int
    superpixels: torch.Tensor | None
    n_superpixels: int
    target: torch.Tensor | None
    strokes: StrokeTargets | None

    @classmethod
    @torch.inference_mode(False)  # a caller may be in it, and its tensors cannot be trained with
    def from_sample(
        cls,
        sample: TrainingSample,
        device: torch.device,
        *,
        target: torch.Tensor | None = None,
        strokes: Labels | None = None,
    ) -> Self:
        """Bring a sample to a device.

        Parameters
        ----------
        sample : TrainingSample
            The sample.
        device : torch.device
            The network's device.
        target : Tensor of int64, shape (N, [z,] y, x), optional
            Cluster that each pixel should have, on that device.
        strokes : ndarray of unsigned integers, shape (N, [z,] y, x), optional
            Label that a stroke gives each pixel, 0 where there is none.

        Returns
        -------
        DeviceSample
            The sample on the device.
        """
        valid = torch.from_numpy(sample.valid).to(device)
        superpixels, n_superpixels = None, 0
        if sample.superpixels is not None:
            n_superpixels = int(sample.superpixels.max()) + 1
            numbers = np.where(sample.valid, sample.superpixels, n_superpixels)
            superpixels = torch.from_numpy(numbers.ravel()).to(device)
        return cls(
            sample=sample,
            image=torch.from_numpy(sample.values).to(device),
            inside=None if sample.valid.all() else valid,
            n_inside=int(sample.valid.sum()),
            superpixels=superpixels,
            n_superpixels=n_superpixels + 1,
            target=target,
            strokes=StrokeTargets.from_strokes(strokes, valid),
        )

    def vote(self, clusters: torch.Tensor, n_clusters: int) -> torch.Tensor:
        """Return the cluster that each pixel is trained to, c' of the paper, but for strokes.

        Parameters
        ----------
        clusters : Tensor of int64, shape (N, [z,] y, x)
            Cluster c of each pixel, from 0.
        n_clusters : int
            q of the paper.

        Returns
        -------
        Tensor of int64, shape (N, [z,] y, x)
            The target if the sample has one; else the most frequent cluster of each superpixel;
            without superpixels, each pixel's own.
        """
        if self.target is not None:
            return self.target
        if self.superpixels is None:
            return clusters
        voted = majority_vote(clusters.flatten(), self.superpixels, self.n_superpixels, n_clusters)
        return voted.view_as(clusters)
