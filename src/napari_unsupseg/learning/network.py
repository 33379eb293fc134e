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

__all__ = [
    "Component",
    "Components",
    "Network",
    "PixelNorm",
    "build_network",
    "network_shapes",
]

EPSILON = 1e-5  # added to variances: the scale of an axis that does not vary stays finite
# numbers in all but the last axis of a single volume's maps, up to which torch on a CPU has another
# way of finding gradients, ten times as slow (at::native::ConvParams::use_mkldnn)
SLOW_NUMBERS = 20_480


class PixelNorm(nn.Module):
    """Batch normalisation over the pixels of one image, for each channel of a map.

    In training mode a map is normalised by the mean and variance of its own pixels, which are
    stored; in evaluation mode by those stored last. A learned scale and shift follow: without them
    the responses stay too small for the loss to merge clusters.

    Parameters
    ----------
    n_channels : int
        Channels of the maps, which the paper calls axes of the response.

    Attributes
    ----------
    weight, bias : Parameter of float32, shape (n_channels,)
        The learned scale and shift, 1 and 0 at first.
    mean, variance : Tensor of float32, shape (n_channels,)
        Statistics of the pixels seen last in training mode.
    """

    mean: torch.Tensor
    variance: torch.Tensor

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_channels))
        self.bias = nn.Parameter(torch.zeros(n_channels))
        self.register_buffer("mean", torch.zeros(n_channels))
        self.register_buffer("variance", torch.ones(n_channels))

    def forward(self, maps: torch.Tensor, inside: torch.Tensor | None = None) -> torch.Tensor:
        """Normalise maps (N, C, [Z,] Y, X); where `inside` (N, [Z,] Y, X) is False they are 0."""
        if not self.training:
            normalised = self._normalise_by_stored(maps)
            return normalised if inside is None else normalised * inside[:, None]
        if inside is None:
            return self._normalise_by_own(maps)
        # pixels that take no part must not count in the statistics: only the others are gathered
        pixels = maps.movedim(1, -1)  # (N, [Z,] Y, X, C)
        normalised = torch.zeros_like(pixels)
        normalised[inside] = self._normalise_by_own(pixels[inside])  # (inside, C)
        return normalised.movedim(-1, 1)

    def _normalise_by_stored(self, maps: torch.Tensor) -> torch.Tensor:
        """Normalise by the stored statistics, as x · scale + shift."""
        scale = self.weight * (self.variance + EPSILON).rsqrt()
        shift = self.bias - self.mean * scale
        per_channel = (-1, *[1] * (maps.ndim - 2))  # broadcasts over pixels: (C, [1,] 1, 1)
        scale, shift = (values.to(maps.dtype).view(per_channel) for values in (scale, shift))
        return torch.addcmul(shift, maps, scale)

    def _normalise_by_own(self, maps: torch.Tensor) -> torch.Tensor:
        """Normalise by the maps' own statistics, and store these."""
        # F.batch_norm refuses a single pixel, which is what a small mask may leave
        normalised, mean, inverse_std = torch.native_batch_norm(
            maps, self.weight, self.bias, None, None, True, 0.0, EPSILON
        )
        self.mean, self.variance = mean.detach(), inverse_std.detach() ** -2 - EPSILON
        return normalised


class Component(nn.Module):
    """One convolution component of the paper: convolution, ReLU, batch normalisation.

    The kernel is 3 pixels wide along each axis of a frame.

    Parameters
    ----------
    n_in, n_out : int
        Channels before and after.
    spatial_ndim : int
        Axes of a frame, 2 or 3.
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
    """The paper's features: M components of p filters each.

    Parameters
    ----------
    n_channels : int
        Channels of the image.
    n_components, n_filters : int
        M and p.
    spatial_ndim : int
        Axes of a frame, 2 or 3.
    """

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
    """Linear classifier of each pixel's features: a convolution by 1 pixel.

    It has no bias: the normalisation that follows would subtract it again.
    """

    def __init__(self, n_in: int, n_out: int, spatial_ndim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_out, n_in, *[1] * spatial_ndim))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map features (N, p, [Z,] Y, X) to (N, q, [Z,] Y, X)."""
        return convolve(features.to(self.weight.dtype), self.weight)


class Network(nn.Module):
    """The network of the paper: from an image's pixels to their normalised responses y'.

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
        Data type that the paper's components compute in, float32 or bfloat16; responses have
        that of the parameters, float32.
    """

    precision = torch.float32

    def __init__(
        self, features: nn.Module, n_features: int, n_clusters: int, spatial_ndim: int
    ) -> None:
        super().__init__()
        self.features = features
        self.classifier = Classifier(n_features, n_clusters, spatial_ndim)
        self.normalisation = PixelNorm(n_clusters)
        # a caller may have set parts of the module to evaluation, such as pretrained batch norms
        self._trainable = [module for module in self.modules() if module.training]

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
            In training mode each of the q has mean 0 and variance 1 over the pixels that take
            part, before its learned scale and shift.
        """
        if isinstance(self.features, Components):
            features = self.features(image.to(self.precision), inside)
        else:
            features = self.features(image)
        return cast(torch.Tensor, self.normalisation(self.classifier(features), inside))

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all modules but those that a caller gave in evaluation mode."""
        for module in self._trainable:
            module.training = mode
        return self

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return self.classifier.weight.device


def convolve(
    maps: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Convolve maps, with zeros beyond the borders, so that they keep their size.

    Parameters
    ----------
    maps : Tensor, shape (N, n_in, [Z,] Y, X)
        Their data type is that of the result.
    weight : Tensor, shape (n_out, n_in, k, ..., k)
        The kernel; its side k is odd.
    bias : Tensor, shape (n_out,), optional
        By default 0.

    Returns
    -------
    Tensor, shape (N, n_out, [Z,] Y, X)
        Channels last in memory.
    """
    spatial_ndim, padding = maps.ndim - 2, weight.shape[2] // 2
    # with channels last a pixel's channels lie together: convolutions on a CPU are faster
    layout = torch.channels_last if spatial_ndim == 2 else torch.channels_last_3d
    maps = maps.contiguous(memory_format=layout)
    weight = weight.to(maps.dtype).contiguous(memory_format=layout)
    bias = None if bias is None else bias.to(maps.dtype)
    is_double = maps.dtype == torch.float64
    if maps.device.type == "cpu" and torch.backends.mkldnn.is_available() and not is_double:
        is_one_volume = spatial_ndim == 3 and len(maps) == 1
        if is_one_volume and torch.is_grad_enabled() and maps[..., 0].numel() <= SLOW_NUMBERS:
            return convolve(torch.cat([maps, torch.zeros_like(maps)]), weight, bias)[:1]
        # conv2d chooses another algorithm by the size of a tile, which changes the last digits
        paddings, ones = [padding] * spatial_ndim, [1] * spatial_ndim
        return torch.mkldnn_convolution(maps, weight, bias, paddings, ones, ones, 1)
    convolution = F.conv2d if spatial_ndim == 2 else F.conv3d
    return convolution(maps, weight, bias, padding=padding)


def build_network(
    image: torch.Tensor, settings: Settings, features: nn.Module | None = None
) -> Network:
    """Build a network for an image, with its first weights.

    Parameters
    ----------
    image : Tensor of float32, shape (1, C, [Z,] Y, X)
        A frame of the image it will train on; its device is the network's.
    settings : Settings
        M, p, q and the seed are read.
    features : Module, optional
        In place of the paper's components: any module that maps (N, C, [Z,] Y, X) to
        (N, p', [Z,] Y, X). A copy of it is trained, from the weights it has.

    Returns
    -------
    Network
        Weights drawn by Xavier's uniform rule [1]_ from a generator of its own, biases 0. The
        global random state stays as it was.

    Raises
    ------
    SettingError
        If `features` is no module, cannot take the image, or does not keep its size.

    References
    ----------
    .. [1] X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
       networks", AISTATS 2010.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    spatial_ndim, n_clusters = image.ndim - 2, settings.max_clusters
    if not isinstance(features, nn.Module | None):
        raise SettingError(f"features must be a torch.nn.Module, got {features!r}")
    with torch.device("cpu"):  # where the generator is; a caller may have set another
        if features is None:
            n_features = settings.filters
            own: nn.Module = Components(
                image.shape[1], settings.components, n_features, spatial_ndim
            ).float()
        else:
            n_features = _count_features(features, image)
            own = copy.deepcopy(features).to(image.device)
        network = Network(own, n_features, n_clusters, spatial_ndim)
    # a caller may have changed torch's default data type; the module keeps the one that it has
    network.classifier.float()
    network.normalisation.float()
    _initialise_weights(network, generator)
    return network.to(image.device)


def network_shapes(
    n_channels: int, settings: Settings, spatial_ndim: int
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors of a network of the paper's components.

    Parameters
    ----------
    n_channels : int
        Channels of the images it takes.
    settings : Settings
        M, p and q are read.
    spatial_ndim : int
        Axes of a frame, 2 or 3.

    Returns
    -------
    dict of str to tuple of int
        By the name in the network's state. No memory is taken for the tensors.
    """
    with torch.device("meta"):
        components = Components(n_channels, settings.components, settings.filters, spatial_ndim)
        network = Network(components, settings.filters, settings.max_clusters, spatial_ndim)
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _initialise_weights(network: Network, generator: torch.Generator) -> None:
    """Draw the weights of all but a caller's module."""
    for module in network.modules():
        if isinstance(module, Component | Classifier):
            nn.init.xavier_uniform_(module.weight, generator=generator)


def _count_features(features: nn.Module, image: torch.Tensor) -> int:
    """Return how many features a caller's module gives a pixel."""
    # on a copy: a batch norm in it would store the statistics of this call
    probe = copy.deepcopy(features).to(image.device)
    try:
        with torch.no_grad():
            output = probe(image)
    except Exception as error:  # a caller's code can fail in any way
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
