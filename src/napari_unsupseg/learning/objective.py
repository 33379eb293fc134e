"""What the network is trained to: weights of pixels, strokes, and the continuity of responses."""

import dataclasses

import numpy as np
import torch

from napari_unsupseg._typing import Labels

__all__ = ["StrokeTargets", "cluster_weights", "continuity_loss"]


@dataclasses.dataclass(frozen=True, eq=False)
class StrokeTargets:
    """Pixels under strokes: where, the cluster that each should have, their share of all."""

    drawn: torch.Tensor
    clusters: torch.Tensor
    share: float

    @classmethod
    def of(cls, strokes: Labels | None, inside: torch.Tensor) -> "StrokeTargets | None":
        """Return those that take part; None if there is none."""
        if strokes is None:
            return None
        labels = torch.from_numpy(strokes.astype(np.int64)).to(inside.device)
        drawn = (labels > 0) & inside
        share = int(drawn.count_nonzero()) / int(inside.count_nonzero())
        return cls(drawn, labels - 1, share) if share else None

    def over(self, target: torch.Tensor) -> torch.Tensor:
        """Return a target with the strokes drawn over it."""
        return torch.where(self.drawn, self.clusters, target)

    def weighed(self, weights: torch.Tensor | None, of_strokes: float) -> torch.Tensor:
        """Return weights of pixels by which the strokes' have a mean loss of their own."""
        if weights is None:
            weights = torch.ones(self.drawn.shape, device=self.drawn.device)
        # all of the loss is divided by the pixels that take part
        return weights.masked_fill(self.drawn, of_strokes / self.share)


def continuity_loss(responses: torch.Tensor, inside: torch.Tensor | None) -> torch.Tensor:
    """Return the mean difference of neighbours' responses along each axis, summed over the axes."""
    total = responses.new_zeros(())
    for axis in range(2, responses.ndim):
        steps = responses.diff(dim=axis).abs()
        if inside is not None:
            near, far = (inside.narrow(axis - 1, at, steps.shape[axis]) for at in (0, 1))
            steps = steps.movedim(1, -1)[near & far]
        if steps.numel():
            total = total + steps.mean()
    return total


def cluster_weights(
    target: torch.Tensor, inside: torch.Tensor, n_clusters: int, balance: float
) -> torch.Tensor:
    """Weigh clusters so that small ones are not lost in large ones.

    Parameters
    ----------
    target : Tensor of int64, shape (Y, X)
        Cluster that each pixel should have.
    inside : Tensor of bool, shape (Y, X)
        Pixels that take part.
    n_clusters : int
        q.
    balance : float
        0 for pixels that all count alike, 1 for clusters that do.

    Returns
    -------
    Tensor of float32, shape (q,)
        The number of its pixels to the power of minus `balance`, times what makes the mean over
        the pixels 1.

    Examples
    --------
    >>> target = torch.tensor([[0, 0, 0, 0, 0, 0, 0, 0, 0, 1]])
    >>> cluster_weights(target, target >= 0, 2, 1.0)
    tensor([0.5556, 5.0000])
    """
    counts = torch.zeros(n_clusters, device=target.device)
    # whole numbers, whose sum does not depend on the order on a GPU
    counts.scatter_add_(0, target.flatten(), inside.flatten().to(counts))
    weights = counts.clamp(min=1) ** -balance
    return weights * (counts.sum() / (counts * weights).sum())
