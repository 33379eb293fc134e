"""Algorithm 1 of Kanezaki (2018), written plainly: the baseline of speed and of faithfulness.

Shares no code with the package; both stand on torch alone.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

__all__ = ["plain_network", "plain_self_train"]


def plain_network(n_channels: int, components: int, filters: int, clusters: int) -> nn.Sequential:
    """Build M components of convolution, ReLU and batch normalisation, and a linear classifier."""
    layers: list[nn.Module] = []
    for component in range(components):
        n_in = n_channels if component == 0 else filters
        layers += [nn.Conv2d(n_in, filters, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(filters)]
    layers += [nn.Conv2d(filters, clusters, 1, bias=False), nn.BatchNorm2d(clusters)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def plain_self_train(
    network: nn.Module,
    image: torch.Tensor,
    superpixels: NDArray[np.int64],
    learning_rate: float = 0.1,
    momentum: float = 0.9,
) -> Iterator[NDArray[np.int64]]:
    """Yield the clusters of every iteration, without end.

    Parameters
    ----------
    network : Module
        From `plain_network`, trained in place.
    image : Tensor of float32, shape (1, C, Y, X)
        Intensities in [0, 1].
    superpixels : ndarray of int64, shape (Y, X)
        Superpixel of each pixel, from 0.
    learning_rate, momentum : float
        Of stochastic gradient descent.

    Yields
    ------
    ndarray of int64, shape (Y, X)
        Cluster of each pixel, from 0.
    """
    members = [np.flatnonzero(superpixels == k) for k in range(superpixels.max() + 1)]
    optimiser = torch.optim.SGD(network.parameters(), lr=learning_rate, momentum=momentum)
    cross_entropy = nn.CrossEntropyLoss()
    while True:
        optimiser.zero_grad()
        response_map = network(image)[0]
        responses = response_map.permute(1, 2, 0).reshape(-1, response_map.shape[0])
        clusters = responses.argmax(dim=1).cpu().numpy()
        target = np.empty_like(clusters)
        for pixels in members:
            found, counts = np.unique(clusters[pixels], return_counts=True)
            target[pixels] = found[counts.argmax()]
        loss = cross_entropy(responses, torch.from_numpy(target).to(responses.device))
        loss.backward()
        optimiser.step()
        yield clusters.reshape(superpixels.shape)
