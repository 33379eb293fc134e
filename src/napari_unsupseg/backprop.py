"""Forward and backward passes of the network over one frame, strip of rows by strip of rows.

The gradients are those of autograd, written out: the only maps that are kept are each layer's, in
buffers taken once. Maps are (Y, X, axes), or (Z, Y, X, axes), where a row is a plane. Normalisation
is never stored; x · scale + shift is cheaper made anew.
"""

import dataclasses
import itertools
import math
import operator
from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F

from napari_unsupseg.network import Component, Components, Network, PixelNorm
from napari_unsupseg.strips import (
    Band,
    Bands,
    Frame,
    Moments,
    Rows,
    axes_first,
    both,
    sum_over_pixels,
    sums_with,
)

__all__ = ["Backpropagation"]

BLOCK_PIXELS = 2**11  # of a matrix product, which keeps to the cache of one core

let_through = torch.ops.aten.threshold_backward.grad_input
convolution_backward = torch.ops.aten.convolution_backward


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
        bands = Bands(Frame.of(image, mask))
        self.features: Features
        if isinstance(network.features, Components):
            self.features = ComponentsPass(network.features, image, bands, precision)
        else:
            self.features = ReplacedPass(network.features, image, bands)
        self.head = HeadPass(network, self.features, bands, continuity)

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
class MapGradient:
    """Gradient of the loss at a layer's maps after their normalisation.

    Attributes
    ----------
    rows : callable
        Given a band, returns the gradient from a first row to the one after the last.
    total, product : Tensor, shape (axes,)
        Its sum over the pixels, and that of its product with the maps before normalisation.
    """

    rows: Callable[[Band, int, int], Rows]
    total: torch.Tensor
    product: torch.Tensor


class Features(Protocol):
    """The feature part of a network in training: maps, normalised by scale and shift."""

    n_axes: int
    dtype: torch.dtype

    def forward(self) -> None:
        """Compute the maps."""

    def rows(self, first: int, last: int) -> Rows:
        """Return the maps before normalisation."""

    def affine(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scale and shift of the normalisation, each (axes,)."""

    def backward(self, gradient: MapGradient) -> None:
        """Set the parameters' gradients."""


def _backward_of_norm(
    norm: PixelNorm, total: torch.Tensor, product: torch.Tensor, n_pixels: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Set a normalisation's gradients; return a, b, c of dx = a · dz + b · x + c for each axis."""
    along = norm.reciprocal * (product - norm.mean * total)
    norm.weight.grad, norm.bias.grad = along, total
    slope = norm.scale * norm.reciprocal * along / n_pixels
    return norm.scale, -slope, slope * norm.mean - norm.scale * total / n_pixels


class ComponentsPass:
    """The paper's components, first to last."""

    def __init__(
        self, components: Components, image: torch.Tensor, bands: Bands, precision: torch.dtype
    ) -> None:
        self._passes: list[ComponentPass] = []
        for component in components:
            convolution = (
                InnerConvolution(component, self._passes[-1], bands.frame)
                if self._passes
                else FirstConvolution(component, image, bands.frame, precision)
            )
            self._passes.append(ComponentPass(component, convolution, bands, precision))
        self._last = self._passes[-1]
        self.n_axes = self._last.n_axes
        self.dtype = precision

    def forward(self) -> None:
        for component in self._passes:
            component.forward()

    def rows(self, first: int, last: int) -> Rows:
        return self._last.maps[first:last]

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
        bands: Bands,
        precision: torch.dtype,
    ) -> None:
        self._bands, self._frame = bands, bands.frame
        self._convolution = convolution
        self.norm = component.normalisation
        self.n_axes = len(component.weight)
        self.maps = self._frame.empty(self.n_axes, precision)

    def forward(self) -> None:
        self._convolution.prepare()
        self.norm.take(*Moments.pooled(self._bands.each(self._forward_in)))
        self._affine = [part.to(self.maps.dtype) for part in (self.norm.scale, self.norm.shift)]

    def _forward_in(self, band: Band) -> Moments:
        moments = Moments(band)
        for first, last in band.strips():
            strip = self.maps[first:last]
            torch.clamp_min(self._convolution.forward(band, first, last), 0, out=strip)  # ReLU
            moments.add(self._frame.leave_out(strip, first, last), first, last)
        return moments

    def write_normalised(self, first: int, last: int, out: Rows) -> None:
        scale, shift = self._affine
        torch.addcmul(shift, self.maps[first:last], scale, out=out)
        self._frame.leave_out(out, first, last)

    def backward(self, gradient: MapGradient) -> MapGradient | None:
        """Set the gradients of this component; return that at the maps of the one below."""
        total, product, dtype = gradient.total, gradient.product, self.maps.dtype
        slopes = _backward_of_norm(self.norm, total, product, self._frame.n_pixels)
        a, b, c = (slope.to(dtype) for slope in slopes)

        def backward_in(band: Band) -> tuple[torch.Tensor, ...]:
            def write(first: int, last: int, out: Rows) -> None:
                maps = self.maps[first:last]
                strip = band.scratch(last - first, self.n_axes, "at output", dtype)
                torch.addcmul(c, maps, b, out=strip).addcmul_(gradient.rows(band, first, last), a)
                let_through(strip, maps, 0, grad_input=out)  # ReLU, where it was positive

            sums = self._convolution.no_gradients()
            for rows in band.strips():
                padded = band.padded(rows, self.n_axes, dtype, "gradient", write)
                self._convolution.backward(band, padded, rows, sums)
            return sums

        return self._convolution.finish_backward(*self._bands.summed(backward_in))


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
        weight, bias = self._layer.weight.flatten(1), self._layer.bias
        self._weight = torch.cat([weight, bias[:, None]], 1).T

    def _patches(self, first: int, last: int) -> torch.Tensor:
        """Return (pixels, 9 C + 1), or (pixels, 27 C + 1), the last ones 1 for the bias."""
        windows = self._image[:, first : last + 2]
        n_axes = len(self._frame.shape)
        for axis in range(1, n_axes + 1):
            windows = windows.unfold(axis, 3, 1)
        in_kernels_order = windows.permute(
            0, *range(n_axes + 1, 2 * n_axes + 1), *range(1, n_axes + 1)
        )
        patches = windows.new_ones(len(self._weight), math.prod(in_kernels_order.shape[-n_axes:]))
        patches[:-1].view(in_kernels_order.shape).copy_(in_kernels_order)
        return patches.T

    def forward(self, band: Band, first: int, last: int) -> Rows:
        strip = band.scratch(last - first, self._weight.shape[1], "wide")
        torch.mm(self._patches(first, last), self._weight, out=strip.flatten(0, -2))
        return strip.to(self._precision)

    def no_gradients(self) -> tuple[torch.Tensor, ...]:
        return (torch.zeros_like(self._weight.T),)

    def backward(
        self, band: Band, padded: Rows, rows: tuple[int, int], sums: tuple[torch.Tensor, ...]
    ) -> None:
        [parameters] = sums
        strip = band.wide(self._frame.inside(padded[1:-1])).flatten(0, -2)
        parameters.addmm_(strip.T, self._patches(*rows))

    def finish_backward(self, parameters: torch.Tensor) -> None:
        weight, bias = parameters[:, :-1], parameters[:, -1]
        self._layer.weight.grad = weight.reshape(self._layer.weight.shape)
        self._layer.bias.grad = bias.contiguous()


class InnerConvolution:
    """Convolution of the normalised maps of the component below."""

    def __init__(self, component: Component, below: ComponentPass, frame: Frame) -> None:
        self._layer = component
        self._below = below
        self._frame = frame
        self._gradient = torch.empty_like(below.maps)

    def prepare(self) -> None:
        dtype = self._below.maps.dtype
        n_axes = len(self._frame.shape)
        layout = torch.channels_last if n_axes == 2 else torch.channels_last_3d
        self._weight = self._layer.weight.to(dtype, memory_format=layout)
        self._bias = self._layer.bias.to(dtype)
        # the gradient at a convolution's input is a convolution with its flipped kernel, and the
        # kernel's layout decides that of the maps
        flipped = self._weight.flip(*range(2, self._weight.ndim)).transpose(0, 1)
        self._flipped = flipped.contiguous(memory_format=layout)

    def _input(self, band: Band, rows: tuple[int, int]) -> Rows:
        below = self._below
        return band.padded(rows, below.n_axes, below.maps.dtype, "maps", below.write_normalised)

    def forward(self, band: Band, first: int, last: int) -> Rows:
        return self._convolve(self._input(band, (first, last)), self._weight, self._bias)

    def no_gradients(self) -> tuple[torch.Tensor, ...]:
        n_out, n_in, *kernel = self._layer.weight.shape
        shapes = (*kernel, n_in, n_out), (n_out,), (n_in,), (n_in,)
        return tuple(self._frame.zeros(*shape) for shape in shapes)

    def backward(
        self, band: Band, padded: Rows, rows: tuple[int, int], sums: tuple[torch.Tensor, ...]
    ) -> None:
        weight, bias, total, product = sums
        _add_parameters_gradients(self._input(band, rows), padded, self._weight, weight, bias)
        strip = self._frame.leave_out(self._convolve(padded, self._flipped), *rows)
        kept = self._gradient[slice(*rows)].copy_(strip)
        of_strip = sums_with(kept, self._below.maps[slice(*rows)], self._frame.dtype)
        total += of_strip[0]
        product += of_strip[1]

    def _convolve(
        self, padded: Rows, weight: torch.Tensor, bias: torch.Tensor | None = None
    ) -> Rows:
        """Convolve (rows + 2, ..., at least X + 2, n_in) to (rows, ..., X, n_out)."""
        convolve = F.conv2d if padded.ndim == 3 else F.conv3d
        strip = convolve(axes_first(padded), weight, bias)[0].movedim(0, -1)
        return strip.narrow(-2, 0, self._frame.shape[-1])

    def finish_backward(
        self, weight: torch.Tensor, bias: torch.Tensor, total: torch.Tensor, product: torch.Tensor
    ) -> MapGradient:
        self._layer.weight.grad = weight.movedim((-1, -2), (0, 1)).contiguous()
        self._layer.bias.grad = bias
        rows = self._gradient
        return MapGradient(lambda _, first, last: rows[first:last], total, product)


def _add_parameters_gradients(
    maps: Rows, gradient: Rows, kernel: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> None:
    """Add a strip's share of the gradients at a convolution's kernel and bias.

    Parameters
    ----------
    maps, gradient : Tensor, shape (rows + 2, ..., X + 2, n_in) and (rows + 2, ..., X + 2, n_out)
        The convolution's input, and the gradient at its output, 0 at its first and last pixel
        along all axes but the first.
    kernel : Tensor, shape (n_out, n_in, 3, ..., 3)
        Its weights.
    weight, bias : Tensor, shape (3, ..., 3, n_in, n_out) and (n_out,)
        Added to.
    """
    n_axes = maps.ndim - 1
    if maps.dtype != weight.dtype:  # torch's own is the faster one with AMX
        inputs = map(axes_first, (gradient[1:-1], maps))
        around = [0] + [1] * (n_axes - 1)
        _, of_kernel, of_bias = convolution_backward(
            *inputs, kernel, [len(kernel)], [1] * n_axes, around, [1] * n_axes,
            False, [0] * n_axes, 1, [False, True, True],
        )  # fmt: skip
        weight += of_kernel.movedim((0, 1), (-1, -2))
        bias += of_bias
        return
    bias += sum_over_pixels(gradient[1:-1])
    lengths = maps.shape[:-1]
    strides = [math.prod(lengths[axis + 1 :]) for axis in range(n_axes)]
    # in flat order a shift of the kernel is an offset, and the zeros end each row's reach
    centre = sum(strides)
    flat_gradient = gradient.flatten(0, -2)[centre:-centre]
    flat_maps = maps.flatten(0, -2)
    for block in range(0, len(flat_gradient), BLOCK_PIXELS):
        there = flat_gradient[block : block + BLOCK_PIXELS]
        for place in itertools.product(range(3), repeat=n_axes):
            offset = block + sum(map(operator.mul, place, strides))
            weight[place].addmm_(flat_maps[offset:][: len(there)].T, there)


class ReplacedPass:
    """A caller's module as the features; autograd has its gradients."""

    def __init__(self, module: torch.nn.Module, image: torch.Tensor, bands: Bands) -> None:
        self._module, self._image, self._bands = module, image, bands
        self._output = image
        self.n_axes = 0
        self.dtype = image.dtype

    @torch.enable_grad()
    def forward(self) -> None:
        self._output = self._module(self._image)
        self.n_axes = self._output.shape[1]

    def rows(self, first: int, last: int) -> Rows:
        strip: Rows = self._output.detach()[0, :, first:last].movedim(0, -1)
        return strip.to(self.dtype)

    def affine(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self._image.new_ones(self.n_axes), self._image.new_zeros(self.n_axes)

    def backward(self, gradient: MapGradient) -> None:
        for parameter in self._module.parameters():
            parameter.grad = None
        if self._output.requires_grad:

            def write(band: Band) -> None:
                for first, last in band.strips():
                    rows[first:last] = gradient.rows(band, first, last)

            rows = self._bands.frame.empty(self.n_axes, self.dtype)
            self._bands.each(write)
            self._output.backward(axes_first(rows).to(self._output.dtype))
        self._output = self._image  # its graph is spent


class HeadPass:
    """The classifier, and the normalisation that makes its maps the responses.

    What all pixels of a map have in common is left out of it, since the normalisation would take
    it away: adding it is a pass over all of them.
    """

    def __init__(
        self, network: Network, features: Features, bands: Bands, continuity: float
    ) -> None:
        self._bands, self._features = bands, features
        frame = self._frame = bands.frame
        self._layer, self._norm = network.classifier, network.normalisation
        n_clusters = self._n_clusters = len(self._layer.weight)
        # of each neighbour along each axis; all of the loss is divided by the pixels further on
        self._continuity = [
            continuity * frame.n_pixels / (max(1, frame.n_pairs(axis)) * n_clusters)
            for axis in (range(len(frame.shape)) if continuity else ())
        ]
        self._maps = frame.empty(n_clusters, frame.dtype)
        self._gradient = frame.empty(n_clusters, features.dtype)
        self._clusters = torch.empty(frame.shape, dtype=torch.int64, device=frame.device)

    def forward(self) -> None:
        weight = self._layer.weight.flatten(1)  # (q, p)
        scale, shift = self._features.affine()
        folded, self._bias = (weight * scale).T.contiguous(), weight @ shift

        def forward_in(band: Band) -> Moments:
            moments = Moments(band)
            for first, last in band.strips():
                strip = self._maps[first:last]
                maps = band.wide(self._features.rows(first, last)).flatten(0, -2)
                torch.mm(maps, folded, out=strip.flatten(0, -2))
                moments.add(self._frame.leave_out(strip, first, last), first, last)
            return moments

        mean, variance = Moments.pooled(self._bands.each(forward_in))
        norm = self._norm
        norm.take(mean + self._bias, variance)
        self._affine = norm.scale, norm.shift + self._bias * norm.scale

    def _responses(self, band: Band, first: int, last: int) -> Rows:
        responses = band.scratch(last - first, self._n_clusters, "responses")
        scale, shift = self._affine
        return torch.addcmul(shift, self._maps[first:last], scale, out=responses)

    def clusters(self) -> torch.Tensor:
        """Return the axis of the greatest response, ([Z,] Y, X)."""

        def label(band: Band) -> None:
            for first, last in band.strips():
                # argmax takes twice as long on a CPU
                greatest = self._responses(band, first, last).max(-1)
                self._clusters[first:last] = greatest.indices

        self._bands.each(label)
        return self._clusters

    def loss(self, target: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        """Return the loss, and keep its gradient at the responses."""
        frame = self._frame
        tiny = torch.finfo(frame.dtype).tiny

        def loss_in(band: Band) -> tuple[torch.Tensor, ...]:
            loss, total, product = frame.zeros(1), *frame.zeros(2, self._n_clusters)
            for first, last in band.strips():
                wanted = target[first:last, ..., None]
                kept = self._gradient[first:last]
                strip = kept
                if kept.dtype != frame.dtype:
                    strip = band.scratch(len(kept), self._n_clusters, "at responses")
                torch.softmax(self._responses(band, first, last), -1, out=strip)
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
                    loss += self._add_continuity(band, strip, first, last)
                of_strip = sums_with(strip, self._maps[first:last], frame.dtype)
                total += of_strip[0]
                product += of_strip[1]
                kept.copy_(strip)
            return loss, total, product

        n_pixels = frame.n_pixels  # the gradient's rows are divided by it further on
        loss, self._total, product = (sums / n_pixels for sums in self._bands.summed(loss_in))
        self._product = product + self._bias * self._total
        return loss[0]

    def _add_continuity(self, band: Band, gradient: Rows, first: int, last: int) -> torch.Tensor:
        """Add the gradient of a strip's share of the continuity loss; return the share."""
        frame = self._frame
        low, high = max(first - 1, 0), min(last + 1, frame.shape[0])
        responses, own = self._responses(band, low, high), slice(first - low, last - low)
        loss = frame.zeros(1)
        for axis, weight in enumerate(self._continuity):
            steps = responses.diff(dim=axis)
            if frame.mask is not None:
                steps *= both(frame.mask[low:high], axis)
            loss += weight * steps[own].abs().sum()
            pull = steps.sign_().mul_(weight)
            around = [0, 0] * (len(frame.shape) - 1 - axis)
            before, after = F.pad(pull, (0, 0, *around, 1, 0)), F.pad(pull, (0, 0, *around, 0, 1))
            gradient += (before - after)[own]
        return loss

    def backward(self) -> MapGradient:
        """Set the head's gradients; return that at the features."""
        features, n_pixels = self._features, self._frame.n_pixels
        a, b, c = _backward_of_norm(self._norm, self._total, self._product, n_pixels)
        c += b * self._bias

        def correlate(band: Band) -> tuple[torch.Tensor]:
            correlation = self._frame.zeros(self._n_clusters, features.n_axes)
            for first, last in band.strips():
                kept = self._gradient[first:last]
                strip = band.scratch(last - first, self._n_clusters, "wide")
                torch.addcmul(c, self._maps[first:last], b, out=strip)
                strip.addcmul_(band.wide(kept, "at responses"), a / n_pixels)
                kept.copy_(self._frame.leave_out(strip, first, last))
                flat, maps = kept.flatten(0, -2), features.rows(first, last).flatten(0, -2)
                if maps.dtype == correlation.dtype:
                    correlation.addmm_(flat.T, maps)
                else:
                    correlation += flat.T @ maps
            return (correlation,)

        (correlation,) = self._bands.summed(correlate)
        weight = self._layer.weight.flatten(1)
        # normalisation has made each axis of the gradient sum to 0, and so it does at the features
        gradient = correlation * features.affine()[0]
        self._layer.weight.grad = gradient.view_as(self._layer.weight)
        product = (weight * correlation).sum(0)
        short = weight.to(features.dtype)

        def rows(band: Band, first: int, last: int) -> Rows:
            strip = band.scratch(last - first, features.n_axes, "at features", features.dtype)
            torch.mm(self._gradient[first:last].flatten(0, -2), short, out=strip.flatten(0, -2))
            return strip

        return MapGradient(rows, torch.zeros_like(product), product)
