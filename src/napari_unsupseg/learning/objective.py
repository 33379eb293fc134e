"""The loss: cross-entropy to the target, weighted by pixel, and continuity of the responses."""

import torch
from torch.nn.functional import cross_entropy

from napari_unsupseg.learning.device_sample import DeviceSample
from napari_unsupseg.settings import Settings

__all__ = ["cluster_weights", "continuity_loss", "training_loss"]


def training_loss(
    responses: torch.Tensor, target: torch.Tensor, sample: DeviceSample, settings: Settings
) -> torch.Tensor:
    """Return the loss of one iteration, over the pixels that take part.

    Parameters
    ----------
    responses : Tensor, shape (N, q, [z,] y, x)
        Normalised responses y'.
    target : Tensor of int64, shape (N, [z,] y, x)
        Cluster that each pixel is trained to, c', with strokes drawn over it.
    sample : DeviceSample
        What is trained on.
    settings : Settings
        `balance`, `continuity`, `stroke_weight` and q are read.

    Returns
    -------
    Tensor, shape ()
        Mean cross-entropy between responses and target, in nats, plus `continuity` times the
        continuity loss.
    """
    pixels = responses.movedim(1, -1).flatten(0, -2)  # (N · z · y · x, q)
    weights = _pixel_weights(target, sample, settings)
    if weights is None:
        loss = cross_entropy(pixels, target.flatten())
    else:
        losses = cross_entropy(pixels, target.flatten(), reduction="none")
        loss = (losses * weights.flatten()).sum() / sample.n_inside
    if settings.continuity:
        loss = loss + settings.continuity * continuity_loss(responses, sample.inside)
    return loss


def _pixel_weights(
    target: torch.Tensor, sample: DeviceSample, settings: Settings
) -> torch.Tensor | None:
    """Return the weight of each pixel, (N, [z,] y, x), 0 if it takes no part; None if all are 1."""
    inside = sample.inside
    weights = None if inside is None else inside.to(torch.float32)
    if settings.balance:
        if inside is None:
            inside = torch.ones_like(target, dtype=torch.bool)
        per_cluster = cluster_weights(target, inside, settings.max_clusters, settings.balance)
        weights = per_cluster[target] * inside
    if sample.strokes is not None:
        return sample.strokes.weigh(weights, settings.stroke_weight)
    return weights


def continuity_loss(responses: torch.Tensor, inside: torch.Tensor | None) -> torch.Tensor:
    """Return the mean absolute difference of neighbours' responses, summed over the axes.

    The spatial continuity of Kim et al. (2020), :doi:`10.1109/TIP.2020.3011269`.

    Parameters
    ----------
    responses : Tensor, shape (N, q, [z,] y, x)
        Normalised responses y'.
    inside : Tensor of bool, shape (N, [z,] y, x), or None
        Pixels that take part, None for all; pairs of neighbours count in which both do.

    Returns
    -------
    Tensor, shape ()
        The loss; axes without a pair of neighbours add nothing.
    """
    total = responses.new_zeros(())
    for axis in range(2, responses.ndim):
        differences = responses.diff(dim=axis).abs()
        if inside is not None:
            n_pairs = differences.shape[axis]
            # the axis is one earlier than in the responses, which have q before it
            first, second = (inside.narrow(axis - 1, start, n_pairs) for start in (0, 1))
            differences = differences.movedim(1, -1)[first & second]  # (pairs, q)
        # the mean of no pair would be NaN
        if differences.numel():
            total = total + differences.mean()
    return total


def cluster_weights(
    target: torch.Tensor, inside: torch.Tensor, n_clusters: int, balance: float
) -> torch.Tensor:
    """Weigh clusters so that small ones are not lost in large ones.

    Parameters
    ----------
    target : Tensor of int64, shape (N, [z,] y, x)
        Cluster that each pixel is trained to.
    inside : Tensor of bool, shape (N, [z,] y, x)
        Pixels that take part.
    n_clusters : int
        q of the paper.
    balance : float
        From 0, by which all pixels count the same, to 1, by which all clusters do.

    Returns
    -------
    Tensor of float32, shape (q,)
        The number of a cluster's pixels to the power of minus `balance`, scaled so that the mean
        over the pixels is 1.

    Examples
    --------
    >>> target = torch.tensor([[0, 0, 0, 0, 0, 0, 0, 0, 0, 1]])
    >>> cluster_weights(target, target >= 0, 2, 1.0)
    tensor([0.5556, 5.0000])
    """
    counts = torch.zeros(n_clusters, dtype=torch.float32, device=target.device)
    # whole numbers, whose sum does not depend on the order that a GPU adds them in
    counts.scatter_add_(0, target.flatten(), inside.flatten().to(counts))
    weights = counts.clamp(min=1) ** -balance
    return weights * (counts.sum() / (counts * weights).sum())
