"""Forward and backward passes of the network over one frame, strip of rows by strip of rows.

The gradients are those of autograd, written out: a strip passes through a whole layer while it lies
in the processor's cache, and the only maps that are kept are each layer's, in buffers taken once.
Maps are (Y, X, axes), or (Z, Y, X, axes), where a row is a plane. Normalisation is never stored;
x · scale + shift is cheaper made anew.
"""

import dataclasses
import itertools
import math
import operator
from collections.abc import Callable, Iterator
from typing import Protocol

import torch
import torch.nn.functional as F

from napari_unsupseg.network import Component, Components, Network, PixelNorm

__all__ = ["Backpropagation"]

# 100 axes of a strip are 3 MB on a CPU: they stay in the cache, and malloc keeps them at hand
STRIP_PIXELS = {"cpu": 2**13}
STRIP_PIXELS_ELSEWHERE = 2**18
BLOCK_PIXELS = 2**11  # of a matrix product, which keeps to the cache of one core


class Backpropagation:
    """Responses of a network on one image, and the gradients that follow from a target.

    Parameters
    ----------
    network : Network
        Its normalisations take over the image's statistics, its parameters the gradients.
    image : Tensor of float32, shape (1, C, [Z,] Y, X)
        Intensities in [0, 1], on the network's device. Responses and loss are of its data type.
    mask : Tensor of bool, shape ([Z,] Y, X), optional
        True where a pixel takes part; by default all do.
    precision : torch.dtype
        Of the features: that of the image, or bfloat16.
    continuity : float
        Weight in the loss of the mean absolute difference between responses of neighbours along
        an axis, summed over the axes.
    """

    def __init__(
        self,
        network: Network,
        image: torch.Tensor,
        mask: torch.Tensor | None = None,
        precision: torch.dtype = torch.float32,
        continuity: float = 0,
    ) -> None:
        _keep_freed_blocks()
        frame = Frame.of(image, mask)
        self.features: Features
        if isinstance(network.features, Components):
            self.features = ComponentsPass(network.features, image, frame, precision)
        else:
            self.features = ReplacedPass(network.features, image)
        self.head = HeadPass(network, self.features, frame, continuity)

    @torch.no_grad()
    def forward(self) -> torch.Tensor:
        """Label the pixels by their greatest response.

        Returns
        -------
        Tensor of int64, shape ([Z,] Y, X)
            Clusters from 0; the next call overwrites them.
        """
        self.features.forward()
        self.head.forward()
        return self.head.clusters()

    @torch.no_grad()
    def backward(self, target: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Set the gradients of every parameter.

        Parameters
        ----------
        target : Tensor of int64, shape ([Z,] Y, X)
            Cluster that each pixel should have; any at pixels that take no part.
        weights : Tensor, shape ([Z,] Y, X), optional
            How much each pixel counts; by default 1.

        Returns
        -------
        Tensor, shape ()
            Mean over the pixels of their weighted cross-entropy between responses and target,
            and the term of continuity.
        """
        loss = self.head.loss(target, weights)
        self.features.backward(self.head.backward())
        return loss


def _keep_freed_blocks() -> None:
    """Have the C library keep the blocks of memory that strips come and go in.

    glibc hands a block back to the kernel when it is freed, to be cleared and mapped anew at the
    next strip, unless it is smaller than one of up to 32 MB that was freed before.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """What every layer needs to know of the image.

    Attributes
    ----------
    shape : tuple of int
        Pixels along each axis.
    mask : Tensor, shape ([Z,] Y, X, 1), or None
        1 where a pixel takes part; None if all do.
    n_pixels : int
        N, the pixels that take part.
    device : torch.device
        Where the image is.
    dtype : torch.dtype
        Of the image, the responses and the parameters.
    """

    shape: tuple[int, ...]
    mask: torch.Tensor | None
    n_pixels: int
    device: torch.device
    dtype: torch.dtype

    @classmethod
    def of(cls, image: torch.Tensor, mask: torch.Tensor | None) -> "Frame":
        """Describe an image (1, C, [Z,] Y, X)."""
        shape = tuple(image.shape[2:])
        if mask is None:
            return cls(shape, None, math.prod(shape), image.device, image.dtype)
        weights = mask.to(image.dtype)[..., None]
        n_pixels = int(mask.count_nonzero())
        return cls(shape, weights, n_pixels, image.device, image.dtype)

    @property
    def strip_height(self) -> int:
        """Rows in a strip."""
        pixels = STRIP_PIXELS.get(self.device.type, STRIP_PIXELS_ELSEWHERE)
        return min(self.shape[0], max(1, pixels // math.prod(self.shape[1:])))

    def strips(self) -> Iterator[tuple[int, int]]:
        """Yield the first row of each strip, and the one after its last."""
        for first in range(0, self.shape[0], self.strip_height):
            yield first, min(first + self.strip_height, self.shape[0])

    def empty(self, n_axes: int, dtype: torch.dtype) -> torch.Tensor:
        """Return a map to be filled, ([Z,] Y, X, n_axes)."""
        return torch.empty(*self.shape, n_axes, dtype=dtype, device=self.device)

    def zeros(self, *shape: int) -> torch.Tensor:
        """Return zeros of the image's data type on its device."""
        return torch.zeros(*shape, dtype=self.dtype, device=self.device)

    def n_pairs(self, axis: int) -> int:
        """Return how many neighbours along an axis both take part."""
        if self.mask is None:
            return self.n_pixels - self.n_pixels // self.shape[axis]
        return int(_both(self.mask, axis).count_nonzero())

    def leave_out(self, strip: torch.Tensor, first: int, last: int) -> torch.Tensor:
        """Set a strip to 0 at pixels that take no part."""
        return strip if self.mask is None else strip.mul_(self.mask[first:last])

    def padded(self, n_axes: int, dtype: torch.dtype) -> torch.Tensor:
        """Return zeros for a strip and one pixel around it, (rows + 2, ..., X + 2, n_axes)."""
        lengths = (length + 2 for length in (self.strip_height, *self.shape[1:]))
        return torch.zeros(*lengths, n_axes, dtype=dtype, device=self.device)

    def fill(
        self, padded: torch.Tensor, first: int, last: int, write: "Callable[[int, int, Rows], None]"
    ) -> torch.Tensor:
        """Have a strip and its neighbouring rows written into `padded`, zeros beyond the image."""
        padded = padded[: last - first + 2]
        low, high = max(first - 1, 0), min(last + 1, self.shape[0])
        if low == first:
            padded[0] = 0
        if high == last:
            padded[-1] = 0
        write(low, high, self.inside(padded[low - first + 1 : high - first + 1]))
        return padded

    def inside(self, padded: torch.Tensor) -> torch.Tensor:
        """Return rows without the pixels around them, (rows, ..., X, axes)."""
        for axis, length in enumerate(self.shape[1:], start=1):
            padded = padded.narrow(axis, 1, length)
        return padded


Rows = torch.Tensor  # (rows, X, axes) or (planes, Y, X, axes), some rows of a map


def _sum(strip: Rows, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Sum over pixels, (axes,)."""
    return strip.sum(tuple(range(strip.ndim - 1)), dtype=dtype)


def _both(mask: torch.Tensor, axis: int) -> torch.Tensor:
    """Return 1 where a pixel and the next along an axis take part."""
    n_pairs = mask.shape[axis] - 1
    return mask.narrow(axis, 0, n_pairs) * mask.narrow(axis, 1, n_pairs)


@dataclasses.dataclass(frozen=True, eq=False)
class MapGradient:
    """Gradient of the loss at a layer's maps after their normalisation.

    Attributes
    ----------
    rows : callable
        Returns the gradient from a first row to the one after the last.
    total, product : Tensor, shape (axes,)
        Its sum over the pixels, and that of its product with the maps before normalisation.
    """

    rows: Callable[[int, int], Rows]
    total: torch.Tensor
    product: torch.Tensor


class Features(Protocol):
    """The feature part of a network in training: maps, normalised by scale and shift."""

    n_axes: int

    def forward(self) -> None:
        """Compute the maps."""

    def rows(self, first: int, last: int) -> Rows:
        """Return the maps before normalisation, in the image's data type."""

    def affine(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scale and shift of the normalisation, each (axes,)."""

    def backward(self, gradient: MapGradient) -> None:
        """Set the parameters' gradients."""


class Moments:
    """Mean and variance over the pixels that take part, gathered strip by strip (Chan et al.)."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._parts: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def add(self, strip: Rows, first: int, last: int) -> None:
        """Take in a strip, 0 at pixels that take no part."""
        mask = self._frame.mask
        if mask is None:
            count = strip.new_full((1,), math.prod(strip.shape[:-1]))
        else:
            count = mask[first:last].sum()[None]
        mean = _sum(strip) / count.clamp(min=1)
        deviations = self._frame.leave_out(strip - mean, first, last)
        self._parts.append((count, mean, _sum(deviations.square_())))

    def result(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and variance, each (axes,)."""
        counts, means, squares = (torch.stack(part) for part in zip(*self._parts, strict=True))
        n_pixels = self._frame.n_pixels
        mean = (counts * means).sum(0) / n_pixels
        between = (counts * (means - mean).square()).sum(0)
        return mean, (squares.sum(0) + between) / n_pixels


def _backward_of_norm(
    norm: PixelNorm, gradient: MapGradient, n_pixels: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Set a normalisation's gradients; return a, b, c of dx = a · dz + b · x + c for each axis."""
    along = norm.reciprocal * (gradient.product - norm.mean * gradient.total)
    norm.weight.grad, norm.bias.grad = along, gradient.total
    slope = norm.scale * norm.reciprocal * along / n_pixels
    return norm.scale, -slope, slope * norm.mean - norm.scale * gradient.total / n_pixels


class ComponentsPass:
    """The paper's components, first to last."""

    def __init__(
        self, components: Components, image: torch.Tensor, frame: Frame, precision: torch.dtype
    ) -> None:
        self._passes: list[ComponentPass] = []
        for component in components:
            convolution = (
                InnerConvolution(component, self._passes[-1], frame)
                if self._passes
                else FirstConvolution(component, image, frame, precision)
            )
            self._passes.append(ComponentPass(component, convolution, frame, precision))
        self._frame = frame
        self._last = self._passes[-1]
        self.n_axes = self._last.n_axes

    def forward(self) -> None:
        for component in self._passes:
            component.forward()

    def rows(self, first: int, last: int) -> Rows:
        return self._last.maps[first:last].to(self._frame.dtype)

    def affine(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self._last.norm.scale, self._last.norm.shift

    def backward(self, gradient: MapGradient) -> None:
        for component in reversed(self._passes):
            below = component.backward(gradient)
            if below is not None:
                gradient = below


class ComponentPass:
    """One component; keeps its maps after convolution and ReLU."""

    def __init__(
        self,
        component: Component,
        convolution: "FirstConvolution | InnerConvolution",
        frame: Frame,
        precision: torch.dtype,
    ) -> None:
        self._frame = frame
        self._convolution = convolution
        self.norm = component.normalisation
        self.n_axes = len(component.weight)
        self.maps = frame.empty(self.n_axes, precision)
        self._padded = frame.padded(self.n_axes, precision)

    def forward(self) -> None:
        self._convolution.prepare()
        moments = Moments(self._frame)
        for first, last in self._frame.strips():
            strip = self.maps[first:last]
            torch.clamp_min(self._convolution.forward(first, last), 0, out=strip)  # ReLU
            self._frame.leave_out(strip, first, last)
            moments.add(strip.to(self._frame.dtype), first, last)
        self.norm.take(*moments.result())

    def write_normalised(self, first: int, last: int, out: Rows) -> None:
        maps = self.maps[first:last].to(self._frame.dtype)
        torch.addcmul(self.norm.shift, maps, self.norm.scale, out=out)
        self._frame.leave_out(out, first, last)

    def backward(self, gradient: MapGradient) -> MapGradient | None:
        """Set the gradients of this component; return that at the maps of the one below."""
        a, b, c = _backward_of_norm(self.norm, gradient, self._frame.n_pixels)

        def write(first: int, last: int, out: Rows) -> None:
            maps = self.maps[first:last].to(self._frame.dtype)
            strip = torch.addcmul(c, maps, b).addcmul_(gradient.rows(first, last), a)
            torch.mul(strip, maps.sign(), out=out)  # ReLU lets through where it was positive

        self._convolution.start_backward()
        for first, last in self._frame.strips():
            padded = self._frame.fill(self._padded, first, last, write)
            self._convolution.backward(padded, first, last)
        return self._convolution.finish_backward()


class FirstConvolution:
    """Convolution of the image: its few channels make every pixel's patch one short row."""

    def __init__(
        self, component: Component, image: torch.Tensor, frame: Frame, precision: torch.dtype
    ) -> None:
        self._layer = component
        self._image = F.pad(image[0], (1, 1) * len(frame.shape))
        self._frame = frame
        self._precision = precision

    def prepare(self) -> None:
        self._weight = self._layer.weight.flatten(1).T

    def _patches(self, first: int, last: int) -> torch.Tensor:
        """Return (pixels, 9 C), or (pixels, 27 C)."""
        windows = self._image[:, first : last + 2]
        n_axes = len(self._frame.shape)
        for axis in range(1, n_axes + 1):
            windows = windows.unfold(axis, 3, 1)
        in_kernels_order = windows.permute(
            0, *range(n_axes + 1, 2 * n_axes + 1), *range(1, n_axes + 1)
        )
        return in_kernels_order.reshape(len(self._image) * 3**n_axes, -1).T

    def forward(self, first: int, last: int) -> Rows:
        flat = torch.addmm(self._layer.bias, self._patches(first, last), self._weight)
        return flat.view(last - first, *self._frame.shape[1:], -1).to(self._precision)

    def start_backward(self) -> None:
        self._weight_gradient = torch.zeros_like(self._layer.weight).flatten(1)
        self._bias_gradient = torch.zeros_like(self._layer.bias)

    def backward(self, padded: Rows, first: int, last: int) -> None:
        strip = self._frame.inside(padded[1:-1]).to(self._image.dtype).flatten(0, -2)
        self._weight_gradient.addmm_(strip.T, self._patches(first, last))
        self._bias_gradient += strip.sum(0)

    def finish_backward(self) -> None:
        self._layer.weight.grad = self._weight_gradient.view_as(self._layer.weight)
        self._layer.bias.grad = self._bias_gradient


class InnerConvolution:
    """Convolution of the normalised maps of the component below."""

    def __init__(self, component: Component, below: ComponentPass, frame: Frame) -> None:
        self._layer = component
        self._below = below
        self._frame = frame
        self._padded = frame.padded(below.n_axes, below.maps.dtype)
        self._gradient = torch.empty_like(below.maps)

    def prepare(self) -> None:
        dtype = self._below.maps.dtype
        n_axes = len(self._frame.shape)
        layout = torch.channels_last if n_axes == 2 else torch.channels_last_3d
        self._weight = self._layer.weight.to(dtype, memory_format=layout)
        self._bias = self._layer.bias.to(dtype)

    def _input(self, first: int, last: int) -> Rows:
        return self._frame.fill(self._padded, first, last, self._below.write_normalised)

    def forward(self, first: int, last: int) -> Rows:
        return _convolve(self._input(first, last), self._weight, self._bias)

    def start_backward(self) -> None:
        n_out, n_in, *kernel = self._layer.weight.shape
        # the gradient at a convolution's input is a convolution with its flipped kernel
        self._flipped = self._weight.flip(*range(2, self._weight.ndim)).transpose(0, 1)
        self._weight_gradient = self._frame.zeros(*kernel, n_in, n_out)
        self._bias_gradient = self._frame.zeros(n_out)
        self._total, self._product = self._frame.zeros(n_in), self._frame.zeros(n_in)

    def backward(self, padded: Rows, first: int, last: int) -> None:
        _add_weight_gradient(self._input(first, last), padded, self._weight_gradient)
        # over the padding as well, which is 0
        self._bias_gradient += _sum(padded[1:-1], self._frame.dtype)
        strip = self._frame.leave_out(_convolve(padded, self._flipped), first, last)
        self._gradient[first:last] = strip
        self._total += _sum(strip, self._frame.dtype)
        self._product += _sum(strip.to(self._frame.dtype) * self._below.maps[first:last])

    def finish_backward(self) -> MapGradient:
        of_kernel = range(self._weight_gradient.ndim - 2)
        self._layer.weight.grad = self._weight_gradient.permute(-1, -2, *of_kernel).contiguous()
        self._layer.bias.grad = self._bias_gradient
        rows = self._gradient
        return MapGradient(lambda first, last: rows[first:last], self._total, self._product)


def _convolve(padded: Rows, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Rows:
    """Convolve (rows + 2, ..., X + 2, n_in) to (rows, ..., X, n_out)."""
    convolve = F.conv2d if padded.ndim == 3 else F.conv3d
    return convolve(padded.movedim(-1, 0)[None], weight, bias)[0].movedim(0, -1)


def _add_weight_gradient(maps: Rows, gradient: Rows, total: torch.Tensor) -> None:
    """Add a strip's share of the gradient at a kernel.

    Parameters
    ----------
    maps, gradient : Tensor, shape (rows + 2, ..., X + 2, n_in) and (rows + 2, ..., X + 2, n_out)
        The convolution's input, and the gradient at its output, 0 at its first and last pixel
        along all axes but the first.
    total : Tensor, shape (3, ..., 3, n_in, n_out)
        Added to.
    """
    lengths = maps.shape[:-1]
    strides = [math.prod(lengths[axis + 1 :]) for axis in range(len(lengths))]
    # in flat order a shift of the kernel is an offset, and the zeros end each row's reach
    centre = sum(strides)
    flat_gradient = gradient.flatten(0, -2)[centre:-centre]
    flat_maps = maps.flatten(0, -2)
    for block in range(0, len(flat_gradient), BLOCK_PIXELS):
        there = flat_gradient[block : block + BLOCK_PIXELS]
        for place in itertools.product(range(3), repeat=len(lengths)):
            offset = block + sum(map(operator.mul, place, strides))
            shifted = flat_maps[offset:][: len(there)]
            if maps.dtype == total.dtype:
                total[place].addmm_(shifted.T, there)
            else:
                total[place] += shifted.T @ there


class ReplacedPass:
    """A caller's module as the features; autograd has its gradients."""

    def __init__(self, module: torch.nn.Module, image: torch.Tensor) -> None:
        self._module, self._image = module, image
        self._output = image
        self.n_axes = 0

    @torch.enable_grad()
    def forward(self) -> None:
        self._output = self._module(self._image)
        self.n_axes = self._output.shape[1]

    def rows(self, first: int, last: int) -> Rows:
        strip: Rows = self._output.detach()[0, :, first:last].movedim(0, -1)
        return strip.to(self._image.dtype)

    def affine(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self._image.new_ones(self.n_axes), self._image.new_zeros(self.n_axes)

    def backward(self, gradient: MapGradient) -> None:
        for parameter in self._module.parameters():
            parameter.grad = None
        if self._output.requires_grad:
            rows = gradient.rows(0, self._output.shape[2])
            self._output.backward(rows.movedim(-1, 0)[None].to(self._output.dtype))
        self._output = self._image  # its graph is spent


class HeadPass:
    """The classifier, and the normalisation that makes its maps the responses."""

    def __init__(
        self, network: Network, features: Features, frame: Frame, continuity: float
    ) -> None:
        self._frame, self._features = frame, features
        self._layer, self._norm = network.classifier, network.normalisation
        n_clusters = len(self._layer.weight)
        # of each neighbour along each axis; all of the loss is divided by the pixels further on
        self._continuity = [
            continuity * frame.n_pixels / (max(1, frame.n_pairs(axis)) * n_clusters)
            for axis in (range(len(frame.shape)) if continuity else ())
        ]
        self._maps = frame.empty(n_clusters, frame.dtype)
        self._gradient = frame.empty(n_clusters, frame.dtype)
        self._clusters = torch.empty(frame.shape, dtype=torch.int64, device=frame.device)

    def forward(self) -> None:
        weight = self._layer.weight.flatten(1)  # (q, p)
        scale, shift = self._features.affine()
        folded, bias = (weight * scale).T.contiguous(), weight @ shift
        moments = Moments(self._frame)
        for first, last in self._frame.strips():
            strip = self._maps[first:last]
            maps = self._features.rows(first, last).flatten(0, -2)
            torch.addmm(bias, maps, folded, out=strip.flatten(0, -2))
            moments.add(self._frame.leave_out(strip, first, last), first, last)
        self._norm.take(*moments.result())

    def _responses(self, first: int, last: int) -> Rows:
        return torch.addcmul(self._norm.shift, self._maps[first:last], self._norm.scale)

    def clusters(self) -> torch.Tensor:
        """Return the axis of the greatest response, ([Z,] Y, X)."""
        for first, last in self._frame.strips():
            torch.argmax(self._responses(first, last), -1, out=self._clusters[first:last])
        return self._clusters

    def loss(self, target: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        """Return the loss, and keep its gradient at the responses."""
        frame = self._frame
        loss, total, product = frame.zeros(1), *frame.zeros(2, self._maps.shape[-1])
        tiny = torch.finfo(frame.dtype).tiny
        for first, last in frame.strips():
            wanted = target[first:last, ..., None]
            strip = self._gradient[first:last]
            torch.softmax(self._responses(first, last), -1, out=strip)
            at_wanted = strip.gather(-1, wanted)
            likelihood = at_wanted.clamp(min=tiny).log_()
            strip.scatter_(-1, wanted, at_wanted.sub_(1))
            if weights is not None:
                of_pixels = weights[first:last, ..., None]
                likelihood *= of_pixels
                strip *= of_pixels
            loss -= frame.leave_out(likelihood, first, last).sum()
            frame.leave_out(strip, first, last)
            if self._continuity:
                loss += self._add_continuity(strip, first, last)
            total += _sum(strip)
            product += _sum(strip * self._maps[first:last])
        n_pixels = frame.n_pixels  # the gradient's rows are divided by it further on
        self._at_responses = MapGradient(self._gradient_rows, total / n_pixels, product / n_pixels)
        return loss[0] / n_pixels

    def _add_continuity(self, gradient: Rows, first: int, last: int) -> torch.Tensor:
        """Add the gradient of a strip's share of the continuity loss; return the share."""
        frame = self._frame
        low, high = max(first - 1, 0), min(last + 1, frame.shape[0])
        responses, own = self._responses(low, high), slice(first - low, last - low)
        loss = frame.zeros(1)
        for axis, weight in enumerate(self._continuity):
            steps = responses.diff(dim=axis)
            if frame.mask is not None:
                steps *= _both(frame.mask[low:high], axis)
            loss += weight * steps[own].abs().sum()
            pull = steps.sign_().mul_(weight)
            around = [0, 0] * (len(frame.shape) - 1 - axis)
            before, after = F.pad(pull, (0, 0, *around, 1, 0)), F.pad(pull, (0, 0, *around, 0, 1))
            gradient += (before - after)[own]
        return loss

    def _gradient_rows(self, first: int, last: int) -> Rows:
        return self._gradient[first:last]

    def backward(self) -> MapGradient:
        """Set the head's gradients; return that at the features."""
        a, b, c = _backward_of_norm(self._norm, self._at_responses, self._frame.n_pixels)
        correlation = self._frame.zeros(self._maps.shape[-1], self._features.n_axes)
        for first, last in self._frame.strips():
            strip = self._gradient[first:last].mul_(a / self._frame.n_pixels)
            strip.addcmul_(self._maps[first:last], b).add_(c)
            flat = self._frame.leave_out(strip, first, last).flatten(0, -2)
            correlation.addmm_(flat.T, self._features.rows(first, last).flatten(0, -2))
        weight = self._layer.weight.flatten(1)
        # normalisation has made each axis of the gradient sum to 0, and so it does at the features
        gradient = correlation * self._features.affine()[0]
        self._layer.weight.grad = gradient.view_as(self._layer.weight)
        return MapGradient(
            lambda first, last: torch.matmul(self._gradient[first:last], weight),
            torch.zeros_like(correlation[0]),
            (weight * correlation).sum(0),
        )
