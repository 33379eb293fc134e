"""The network: convolution components, a linear classifier, and responses normalised per axis."""

import copy
import itertools
from collections.abc import Iterator
from typing import cast

import torch
from torch import nn

from napari_unsupseg.errors import SettingError
from napari_unsupseg.settings import Settings

__all__ = ["Component", "Components", "Network", "PixelNorm", "activation_bytes", "build_network"]

EPSILON = 1e-5  # keeps the scale of an axis that does not vary finite


class PixelNorm(nn.Module):
    """Batch normalisation over the pixels of one image, x ↦ x · scale + shift for each axis.

    A learned scale and shift are part of it, without which the responses stay too small for the
    loss to merge clusters.
    """

    mean: torch.Tensor
    variance: torch.Tensor

    def __init__(self, n_axes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_axes))
        self.bias = nn.Parameter(torch.zeros(n_axes))
        self.take(torch.zeros(n_axes), torch.ones(n_axes))

    @torch.no_grad()
    def take(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Take over the statistics of an image, each (axes,)."""
        self.register_buffer("mean", mean)
        self.register_buffer("variance", variance)
        self.reciprocal = (variance + EPSILON).rsqrt()
        self.scale = self.weight * self.reciprocal
        self.shift = self.bias - mean * self.scale


class Component(nn.Module):
    """One convolution component of the paper: convolution, ReLU, batch normalisation.

    The kernel is 3 pixels wide along each axis of a frame.

    Like all of a network it only holds parameters: `backprop` trains them, `prediction` uses them.
    """

    def __init__(self, n_in: int, n_out: int, spatial_ndim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_out, n_in, *[3] * spatial_ndim))
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.normalisation = PixelNorm(n_out)


class Components(nn.Module):
    """The paper's features: M components of p filters each."""

    def __init__(
        self, n_channels: int, n_components: int, n_filters: int, spatial_ndim: int
    ) -> None:
        super().__init__()
        widths = [n_channels] + [n_filters] * n_components
        self.components = nn.ModuleList(
            Component(n_in, n_out, spatial_ndim) for n_in, n_out in itertools.pairwise(widths)
        )

    def __iter__(self) -> Iterator[Component]:
        """Yield the components, first to last."""
        return cast(Iterator[Component], iter(self.components))

    def __len__(self) -> int:
        """Return M."""
        return len(self.components)


class Classifier(nn.Module):
    """Linear classifier of each pixel's features: convolution by 1 pixel, without bias."""

    def __init__(self, n_in: int, n_out: int, spatial_ndim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_out, n_in, *[1] * spatial_ndim))


class Network(nn.Module):
    """An image's pixels to their normalised responses y'.

    Parameters
    ----------
    features : Module
        `Components`, or a caller's module that maps (1, C, [Z,] Y, X) to (1, p, [Z,] Y, X).
    n_features : int
        p, the features of a pixel.
    n_clusters : int
        q, the responses of a pixel.
    spatial_ndim : int
        Axes of a frame, 2 or 3.
    """

    def __init__(
        self, features: nn.Module, n_features: int, n_clusters: int, spatial_ndim: int
    ) -> None:
        super().__init__()
        self.features = features
        # no bias: the normalisation that follows would take it away again
        self.classifier = Classifier(n_features, n_clusters, spatial_ndim)
        self.normalisation = PixelNorm(n_clusters)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.classifier.weight.device


def build_network(
    image: torch.Tensor, settings: Settings, features: nn.Module | None = None
) -> Network:
    """Build a network for an image, with its first weights.

    Parameters
    ----------
    image : Tensor of float32, shape (1, C, [Z,] Y, X)
        A frame of the image it will train on; its device is the network's.
    settings : Settings
        M, p, q and the seed.
    features : Module, optional
        In place of the paper's components: any module that maps (1, C, [Z,] Y, X) to
        (1, p', [Z,] Y, X). A copy of it is trained, from the weights it has.

    Returns
    -------
    Network
        Weights drawn by Xavier's uniform rule from a generator of its own, biases 0; the global
        random state stays as it was.

    Raises
    ------
    SettingError
        If `features` cannot take the image or does not keep its size.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    spatial_ndim, n_clusters = image.ndim - 2, settings.max_clusters
    if features is None:
        n_features = settings.filters
        components = Components(image.shape[1], settings.components, n_features, spatial_ndim)
        network = Network(components, n_features, n_clusters, spatial_ndim)
    else:
        replaced = copy.deepcopy(features).to(image.device)
        network = Network(replaced, _count_features(features, image), n_clusters, spatial_ndim)
    _initialise(network, generator)
    return network.to(image.device)


def activation_bytes(n_channels: int, n_pixels: int, settings: Settings) -> int:
    """Estimate the memory that training on some pixels takes.

    Parameters
    ----------
    n_channels, n_pixels : int
        Size of what is trained on.
    settings : Settings
        M, p, q and K.

    Returns
    -------
    int
        Bytes: the maps of each component and of the classifier are kept, and the gradients of all
        but the first; each superpixel has a row of votes.
    """
    features = (2 * settings.components - 1) * settings.filters
    per_pixel = n_channels + features + 2 * settings.max_clusters
    votes = min(settings.superpixels, n_pixels) * settings.max_clusters
    return 4 * (n_pixels * per_pixel + votes)


def _initialise(network: Network, generator: torch.Generator) -> None:
    for part in network.modules():
        if isinstance(part, Component | Classifier):
            nn.init.xavier_uniform_(part.weight, generator=generator)


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
    if output.ndim != image.ndim or output.shape[2:] != image.shape[2:]:
        raise SettingError(
            f"features must keep the size of a frame: from an image of shape {tuple(image.shape)} "
            f"it made {tuple(output.shape)}"
        )
    return int(output.shape[1])
