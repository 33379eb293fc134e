"""Self-training: the network learns the vote of its own labels, one iteration at a time."""

import functools
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from napari_unsupseg.devices import naming_out_of_memory
from napari_unsupseg.network import Network
from napari_unsupseg.segments import label_dtype
from napari_unsupseg.settings import Settings
from napari_unsupseg.superpixels import majority_vote

__all__ = ["Step", "self_train"]


class Step:
    """One iteration of a run: what is known of it is fetched from the device when asked for.

    Parameters
    ----------
    iteration : int
        Number of the iteration, from 1.
    clusters : Tensor of int64, shape (N,)
        Cluster of each pixel that takes part.
    loss : Tensor of float32, shape ()
        Mean cross-entropy between responses and vote.
    valid : ndarray of bool, shape (Y, X)
        Pixels that take part.
    max_clusters : int
        q, which decides the labels' data type.
    """

    def __init__(
        self,
        iteration: int,
        clusters: torch.Tensor,
        loss: torch.Tensor,
        valid: NDArray[np.bool_],
        max_clusters: int,
    ) -> None:
        self.iteration = iteration
        self._clusters = clusters
        self._loss = loss
        self._valid = valid
        self._max_clusters = max_clusters

    @functools.cached_property
    def labels(self) -> NDArray[np.unsignedinteger]:
        """Labels of this iteration, shape (Y, X): 1 to q, 0 at pixels that take no part."""
        labels = np.zeros(self._valid.shape, dtype=label_dtype(self._max_clusters))
        labels[self._valid] = self._clusters.cpu().numpy() + 1
        return labels

    @functools.cached_property
    def n_clusters(self) -> int:
        """Number of clusters that are left."""
        present = torch.zeros(self._max_clusters, dtype=torch.bool, device=self._clusters.device)
        present[self._clusters] = True
        return int(present.count_nonzero())

    @functools.cached_property
    def loss(self) -> float:
        """Mean cross-entropy between the responses and the vote, in nats."""
        return float(self._loss)


def self_train(
    network: Network,
    image: torch.Tensor,
    superpixels: NDArray[np.int64],
    valid: NDArray[np.bool_],
    settings: Settings,
) -> Iterator[Step]:
    """Train a network on one image, by the labels it gives itself.

    Parameters
    ----------
    network : Network
        Trained in place.
    image : Tensor of float32, shape (1, C, Y, X)
        Intensities in [0, 1], on the network's device.
    superpixels : ndarray of int64, shape (Y, X)
        Superpixel of each pixel, from 0.
    valid : ndarray of bool, shape (Y, X)
        Pixels that take part.
    settings : Settings
        Learning rate, momentum, q, and when to stop.

    Yields
    ------
    Step
        After each iteration; its labels are those that the iteration began from, as in
        Algorithm 1. Close the generator, or just stop asking, to end the run.

    Raises
    ------
    OutOfMemoryError
        If the device runs out of memory.

    References
    ----------
    .. [1] A. Kanezaki, "Unsupervised image segmentation by backpropagation",
       IEEE ICASSP 2018, Algorithm 1. :doi:`10.1109/ICASSP.2018.8462533`
    """
    device = image.device
    pixels = None if valid.all() else torch.from_numpy(np.flatnonzero(valid)).to(device)
    patches = torch.from_numpy(superpixels[valid]).to(device)
    optimiser = torch.optim.SGD(
        network.parameters(), lr=settings.learning_rate, momentum=settings.momentum
    )
    n_superpixels = int(superpixels.max()) + 1
    for iteration in range(1, settings.iterations + 1):
        with naming_out_of_memory(device):
            clusters, loss = _iterate(
                network, image, pixels, patches, n_superpixels, settings.max_clusters, optimiser
            )
        step = Step(iteration, clusters, loss, valid, settings.max_clusters)
        yield step
        if settings.min_clusters and step.n_clusters <= settings.min_clusters:
            return


def _iterate(
    network: Network,
    image: torch.Tensor,
    pixels: torch.Tensor | None,
    superpixels: torch.Tensor,
    n_superpixels: int,
    max_clusters: int,
    optimiser: torch.optim.Optimizer,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Label the pixels, vote, and take one step towards the vote."""
    # the same bytes every time on CUDA too; flags, as they end with the step, are nobody else's
    with torch.backends.cudnn.flags(enabled=True, deterministic=True):
        responses = network(image, pixels)  # (N, q)
        clusters = responses.detach().argmax(dim=1)
        target = majority_vote(clusters, superpixels, n_superpixels, max_clusters)
        loss = F.cross_entropy(responses, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return clusters, loss.detach()
