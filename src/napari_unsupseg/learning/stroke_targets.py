"""Strokes as part of the loss: the clusters that their pixels are trained to, and their weights."""

import dataclasses
from typing import Self

import numpy as np
import torch

from napari_unsupseg._typing import Labels

__all__ = ["StrokeTargets"]


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
