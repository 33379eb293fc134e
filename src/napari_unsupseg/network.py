"""The network: convolution components, a linear classifier, and responses normalised per axis."""

import copy
import itertools
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from napari_unsupseg.errors import SettingError
from napari_unsupseg.settings import Settings

__all__ = ["Network", "activation_bytes", "build_network"]


def pixel_norm(n_axes: int) -> nn.Module:
    """Return batch normalisation over the pixels of one image: (1, axes, N) to the same.

    Statistics are always those of the image at hand. A learned scale and shift follow, without
    which the responses stay too small for the loss to merge clusters.
    """
    return nn.BatchNorm1d(n_axes, track_running_stats=False)


def convolution(n_in: int, n_out: int, size: int, *, bias: bool) -> nn.Conv2d:
    """Return a convolution that keeps the image's size, its weights yet to be drawn."""
    # skip_init: torch's own first weights would be drawn from the global random state
    layer = nn.utils.skip_init(
        nn.Conv2d, n_in, n_out, kernel_size=size, padding=size // 2, bias=bias
    )
    return cast(nn.Conv2d, layer)


class Component(nn.Module):
    """One convolution component of the paper: 3 × 3 convolution, ReLU, batch normalisation."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.convolution = convolution(n_in, n_out, 3, bias=True)
        self.normalisation = pixel_norm(n_out)

    def forward(self, x: torch.Tensor, pixels: torch.Tensor | None) -> torch.Tensor:
        """Map (1, n_in, Y, X) to (1, n_out, Y, X), 0 at pixels that take no part."""
        x = F.relu(self.convolution(x))
        flat = x.flatten(2)
        if pixels is not None:
            flat = flat[:, :, pixels]
        inside: torch.Tensor = self.normalisation(flat)
        if pixels is None:
            return inside.view_as(x)
        outside = torch.zeros_like(x).flatten(2)
        return outside.index_copy(2, pixels, inside).view_as(x)


class Components(nn.Module):
    """The paper's features: M components of p filters each."""

    def __init__(self, n_channels: int, n_components: int, n_filters: int) -> None:
        super().__init__()
        widths = [n_channels] + [n_filters] * n_components
        self.components = nn.ModuleList(
            Component(n_in, n_out) for n_in, n_out in itertools.pairwise(widths)
        )

    def forward(self, x: torch.Tensor, pixels: torch.Tensor | None) -> torch.Tensor:
        """Map (1, C, Y, X) to (1, p, Y, X)."""
        for component in self.components:
            x = component(x, pixels)
        return x


class ReplacedFeatures(nn.Module):
    """A caller's module in the place of `Components`."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor, pixels: torch.Tensor | None) -> torch.Tensor:
        """Map (1, C, Y, X) to (1, p', Y, X); the module's own statistics see all pixels."""
        features: torch.Tensor = self.module(x)
        return features


class Network(nn.Module):
    """An image's pixels to their normalised responses y'.

    Parameters
    ----------
    features : Components or ReplacedFeatures
        Maps (1, C, Y, X) to (1, p, Y, X).
    n_features : int
        p, the features of a pixel.
    n_clusters : int
        q, the responses of a pixel.
    """

    def __init__(self, features: nn.Module, n_features: int, n_clusters: int) -> None:
        super().__init__()
        self.features = features
        # no bias: the normalisation that follows would take it away again
        self.classifier = convolution(n_features, n_clusters, 1, bias=False)
        self.normalisation = pixel_norm(n_clusters)

    def forward(self, image: torch.Tensor, pixels: torch.Tensor | None = None) -> torch.Tensor:
        """Compute the responses of the pixels that take part.

        Parameters
        ----------
        image : Tensor of float32, shape (1, C, Y, X)
            Intensities in [0, 1].
        pixels : Tensor of int64, shape (N,), optional
            Flat indices of the pixels that take part, in statistics as in responses; by default
            all N = Y·X.

        Returns
        -------
        Tensor of float32, shape (N, q)
            Responses, normalised per axis over the N pixels (eq. 2 of Kanezaki, 2018), then
            scaled and shifted by what the network has learned.
        """
        responses = self.classifier(self.features(image, pixels)).flatten(2)  # (1, q, Y·X)
        if pixels is not None:
            responses = responses[:, :, pixels]
        normalised: torch.Tensor = self.normalisation(responses)
        return normalised[0].T


def build_network(
    image: torch.Tensor, settings: Settings, features: nn.Module | None = None
) -> Network:
    """Build a network for an image, with its first weights.

    Parameters
    ----------
    image : Tensor of float32, shape (1, C, Y, X)
        The image it will train on; its device is the network's.
    settings : Settings
        M, p, q and the seed.
    features : Module, optional
        In place of the paper's components: any module that maps (1, C, Y, X) to (1, p', Y, X).
        A copy of it is trained, from the weights it has.

    Returns
    -------
    Network
        Weights drawn by Xavier's uniform rule from a generator of its own, biases 0; the global
        random state stays as it was.

    Raises
    ------
    SettingError
        If `features` cannot take the image or does not keep its height and width.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    if features is None:
        components = Components(image.shape[1], settings.components, settings.filters)
        _initialise(components, generator)
        network = Network(components, settings.filters, settings.max_clusters)
    else:
        replaced = ReplacedFeatures(copy.deepcopy(features).to(image.device))
        network = Network(replaced, _count_features(features, image), settings.max_clusters)
    _initialise(network.classifier, generator)
    return network.to(image.device)


def activation_bytes(n_channels: int, n_pixels: int, settings: Settings) -> int:
    """Estimate the memory that one training iteration needs.

    Parameters
    ----------
    n_channels, n_pixels : int
        Size of the image.
    settings : Settings
        M, p, q and K.

    Returns
    -------
    int
        Bytes: each component keeps two maps of features for its gradients, which need one more;
        the responses are there three times, and each superpixel has a row of votes.
    """
    features = (2 * settings.components + 1) * settings.filters
    per_pixel = n_channels + features + 3 * settings.max_clusters
    votes = min(settings.superpixels, n_pixels) * settings.max_clusters
    return 4 * (n_pixels * per_pixel + votes)


def _initialise(module: nn.Module, generator: torch.Generator) -> None:
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.xavier_uniform_(part.weight, generator=generator)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def _count_features(features: nn.Module, image: torch.Tensor) -> int:
    """Return how many features a caller's module gives a pixel, on a copy of it."""
    probe = copy.deepcopy(features).to(image.device)
    try:
        with torch.no_grad():
            output = probe(image)
    except (RuntimeError, TypeError, ValueError) as error:
        raise SettingError(
            f"features cannot take an image of shape {tuple(image.shape)}: {error}"
        ) from error
    if output.ndim != 4 or output.shape[2:] != image.shape[2:]:
        raise SettingError(
            f"features must keep height and width: from an image of shape {tuple(image.shape)} "
            f"it made {tuple(output.shape)}"
        )
    return int(output.shape[1])
