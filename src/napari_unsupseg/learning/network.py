"""The network: convolution components, a linear classifier, and responses normalised per axis."""

import copy
import itertools
from collections.abc import Iterator
from typing import Self, cast

import torch
import torch.nn.functional as F
from torch import nn

from napari_unsupseg.errors import SettingError
from napari_unsupseg.settings import Settings

__all__ = ["Component", "Components", "Network", "PixelNorm", "activation_bytes", "build_network"]

EPSILON = 1e-5  # keeps the scale of an axis that does not vary finite


class PixelNorm(nn.Module):
    """Batch normalisation over the pixels of one image, x ↦ x · scale + shift for each axis.

    In training by the statistics of the pixels at hand, which it keeps; else by those it has kept.
    A learned scale and shift are part of it, without which the responses stay too small for the
    loss to merge clusters.
    """

    mean: torch.Tensor
    variance: torch.Tensor

    def __init__(self, n_axes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_axes))
        self.bias = nn.Parameter(torch.zeros(n_axes))
        self.register_buffer("mean", torch.zeros(n_axes))
        self.register_buffer("variance", torch.ones(n_axes))

    def forward(self, maps: torch.Tensor, inside: torch.Tensor | None = None) -> torch.Tensor:
        """Normalise maps (N, axes, [Z,] Y, X); where `inside` is False they are 0."""
        if not self.training:
            scale = self.weight * (self.variance + EPSILON).rsqrt()
            shift = self.bias - self.mean * scale
            of_axes = (-1, *[1] * (maps.ndim - 2))
            scale, shift = (values.to(maps.dtype).view(of_axes) for values in (scale, shift))
            normalised = torch.addcmul(shift, maps, scale)
            return normalised if inside is None else normalised * inside[:, None]
        if inside is None:
            return self._by_own_statistics(maps)
        rows = maps.movedim(1, -1)
        laid = torch.zeros_like(rows)
        laid[inside] = self._by_own_statistics(rows[inside])
        return laid.movedim(-1, 1)

    def _by_own_statistics(self, maps: torch.Tensor) -> torch.Tensor:
        # unlike F.batch_norm it can do with a single pixel
        normalised, mean, reciprocal = torch.native_batch_norm(
            maps, self.weight, self.bias, None, None, True, 0.0, EPSILON
        )
        self.mean, self.variance = mean.detach(), reciprocal.detach() ** -2 - EPSILON
        return normalised


class Component(nn.Module):
    """One convolution component of the paper: convolution, ReLU, batch normalisation.

    The kernel is 3 pixels wide along each axis of a frame.
    """

    def __init__(self, n_in: int, n_out: int, spatial_ndim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_out, n_in, *[3] * spatial_ndim))
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.normalisation = PixelNorm(n_out)

    def forward(self, maps: torch.Tensor, inside: torch.Tensor | None = None) -> torch.Tensor:
        """Map (N, n_in, [Z,] Y, X) to (N, n_out, [Z,] Y, X), 0 where `inside` is False."""
        maps = F.relu(convolve(maps, self.weight, self.bias), inplace=True)
        return cast(torch.Tensor, self.normalisation(maps, inside))


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

    def forward(self, maps: torch.Tensor, inside: torch.Tensor | None = None) -> torch.Tensor:
        """Map intensities (N, C, [Z,] Y, X) to features (N, p, [Z,] Y, X)."""
        for component in self:
            maps = component(maps, inside)
        return maps

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

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map features (N, p, [Z,] Y, X) to (N, q, [Z,] Y, X)."""
        return convolve(features.to(self.weight.dtype), self.weight)


class Network(nn.Module):
    """An image's pixels to their normalised responses y'.

    Parameters
    ----------
    features : Module
        `Components`, or a caller's module that maps (N, C, [Z,] Y, X) to (N, p, [Z,] Y, X).
    n_features : int
        p, the features of a pixel.
    n_clusters : int
        q, the responses of a pixel.
    spatial_ndim : int
        Axes of a frame, 2 or 3.

    Attributes
    ----------
    precision : torch.dtype
        Of the features; responses have that of the parameters.
    """

    precision = torch.float32

    def __init__(
        self, features: nn.Module, n_features: int, n_clusters: int, spatial_ndim: int
    ) -> None:
        super().__init__()
        self.features = features
        # no bias: the normalisation that follows would take it away again
        self.classifier = Classifier(n_features, n_clusters, spatial_ndim)
        self.normalisation = PixelNorm(n_clusters)
        self._trained = [part for part in self.modules() if part.training]

    def forward(self, image: torch.Tensor, inside: torch.Tensor | None = None) -> torch.Tensor:
        """Return the responses to frames or tiles.

        Parameters
        ----------
        image : Tensor of float32, shape (N, C, [Z,] Y, X)
            Intensities in [0, 1], 0 at pixels that take no part.
        inside : Tensor of bool, shape (N, [Z,] Y, X), optional
            True where a pixel takes part; by default all do.

        Returns
        -------
        Tensor, shape (N, q, [Z,] Y, X)
            In training each axis has mean 0 and variance 1 over the pixels that take part, but for
            a learned scale and shift.
        """
        if isinstance(self.features, Components):
            features = self.features(image.to(self.precision), inside)
        else:
            features = self.features(image)
        return cast(torch.Tensor, self.normalisation(self.classifier(features), inside))

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all parts but those of a caller's module that are not to be trained."""
        for part in self._trained:
            part.training = mode
        return self

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.classifier.weight.device


def convolve(
    maps: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Convolve maps, zeros beyond the borders.

    Parameters
    ----------
    maps : Tensor, shape (N, n_in, [Z,] Y, X)
        Their data type is that of the result.
    weight : Tensor, shape (n_out, n_in, k, ..., k)
        The kernel, its side k odd.
    bias : Tensor, shape (n_out,), optional
        By default 0.

    Returns
    -------
    Tensor, shape (N, n_out, [Z,] Y, X)
        Axes last in memory.
    """
    n_axes, padding = maps.ndim - 2, weight.shape[2] // 2
    layout = torch.channels_last if n_axes == 2 else torch.channels_last_3d
    maps = maps.contiguous(memory_format=layout)
    weight = weight.to(maps.dtype).contiguous(memory_format=layout)
    bias = None if bias is None else bias.to(maps.dtype)
    is_double = maps.dtype == torch.float64
    if maps.device.type == "cpu" and torch.backends.mkldnn.is_available() and not is_double:
        # conv2d changes its arithmetic with the size of a tile, and with it the last digits
        once, edge = [1] * n_axes, [padding] * n_axes
        return torch.mkldnn_convolution(maps, weight, bias, edge, once, once, 1)
    along_all = F.conv2d if n_axes == 2 else F.conv3d
    return along_all(maps, weight, bias, padding=padding)


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
        In place of the paper's components: any module that maps (N, C, [Z,] Y, X) to
        (N, p', [Z,] Y, X). A copy of it is trained, from the weights it has.

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
    if not isinstance(features, nn.Module | None):
        raise SettingError(f"features must be a torch.nn.Module, got {features!r}")
    if features is None:
        n_features = settings.filters
        components = Components(image.shape[1], settings.components, n_features, spatial_ndim)
        network = Network(components.float(), n_features, n_clusters, spatial_ndim)
    else:
        replaced = copy.deepcopy(features).to(image.device)
        network = Network(replaced, _count_features(features, image), n_clusters, spatial_ndim)
    # whatever torch's default data type is
    network.classifier.float()
    network.normalisation.float()
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
        Bytes: autograd keeps two maps of each component and three of the classifier, and at the
        most three more are at hand; each superpixel has a row of votes.
    """
    kept = 2 * settings.components * settings.filters + 3 * settings.max_clusters
    per_pixel = n_channels + kept + 3 * max(settings.filters, settings.max_clusters)
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
    except Exception as error:  # of a caller's code, which can fail in any way
        raise SettingError(
            f"features cannot take an image of shape {tuple(image.shape)}: {error}"
        ) from error
    if not isinstance(output, torch.Tensor):
        raise SettingError(f"features must return a tensor, not {type(output).__name__}")
    if output.ndim != image.ndim or output.shape[2:] != image.shape[2:]:
        raise SettingError(
            f"features must keep the size of a frame: from an image of shape {tuple(image.shape)} "
            f"it made {tuple(output.shape)}"
        )
    return int(output.shape[1])
