"""Self-training: the network learns the vote of its own labels, one iteration at a time."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch.backends import cudnn
from torch.nn.functional import cross_entropy

from napari_unsupseg._typing import Labels
from napari_unsupseg.learning.convergence import ConvergenceMonitor
from napari_unsupseg.learning.devices import translate_out_of_memory
from napari_unsupseg.learning.network import Network
from napari_unsupseg.learning.objective import StrokeTargets, cluster_weights, continuity_loss
from napari_unsupseg.learning.sampling import TrainingSample
from napari_unsupseg.learning.step import LabelUpsampler, Step
from napari_unsupseg.learning.superpixels import majority_vote
from napari_unsupseg.learning.threads import CoreThreads
from napari_unsupseg.settings import Settings

__all__ = ["Trainer"]


class Trainer:
    """The training of one network, on one view of an image after another.

    Parameters
    ----------
    network : Network
        Trained in place, on the device it is on.
    settings : Settings
        Learning rate, momentum, q, and when to stop.

    Attributes
    ----------
    iteration : int
        How many iterations have been done.

    Notes
    -----
    On a CPU all is computed by one thread, however many cores there are: sums over pixels that
    threads share out are rounded otherwise by two threads than by one, and a difference in the
    last digit grows from iteration to iteration until other labels come of it.

    References
    ----------
    .. [1] A. Kanezaki, "Unsupervised image segmentation by backpropagation",
       IEEE ICASSP 2018, Algorithm 1. :doi:`10.1109/ICASSP.2018.8462533`
    .. [2] W. Kim, A. Kanezaki, M. Tanaka, "Unsupervised learning of image segmentation based on
       differentiable feature clustering", IEEE TIP 29 (2020). :doi:`10.1109/TIP.2020.3011269`
    """

    @torch.inference_mode(False)  # in which a caller may be, and nothing can be trained
    def __init__(self, network: Network, settings: Settings) -> None:
        self._network = network
        self._settings = settings
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        self._velocities = [torch.zeros_like(p) for p in self._parameters]
        self.iteration = 0
        self._stroked: set[int] = set()  # clusters that a stroke has had

    def run(
        self,
        view: TrainingSample,
        iterations: int,
        *,
        settling: "ConvergenceMonitor | None" = None,
        target: torch.Tensor | None = None,
        spread: Callable[[Network], LabelUpsampler] = lambda _: LabelUpsampler(),
        strokes: Labels | None = None,
    ) -> Iterator[Step]:
        """Train on a view.

        Parameters
        ----------
        view : View
            What to train on.
        iterations : int
            The most that this may take.
        settling : ConvergenceMonitor, optional
            Kept up to date; ends the training when labels have settled. By default none do.
        target : Tensor of int64, shape (N, [z,] y, x), optional
            Cluster that each pixel should have; by default the vote of its superpixel.
        spread : callable
            Given the network as it is at an iteration, says how labels of the whole image are made
            from those of the view; by default the view's are the image's.
        strokes : ndarray of unsigned integers, shape (N, [z,] y, x), optional
            Label that a stroke gives each pixel, 0 where there is none.

        Yields
        ------
        Step
            After each iteration; its labels are those that the iteration began from, as in
            Algorithm 1. Close the generator, or just stop asking, to end the run.

        Raises
        ------
        OutOfMemoryError
            If the device runs out of memory.
        """
        max_clusters, min_clusters = self._settings.max_clusters, self._settings.min_clusters
        device = self._network.device
        settling = settling or ConvergenceMonitor()
        _keep_freed_memory()
        with CoreThreads(device, 1) as core:
            with translate_out_of_memory(device):
                pixels = DeviceSample.of(view, strokes, device)
                vote = self._vote(view) if target is None else lambda _: target
                if pixels.marks:
                    self._number_clusters(core.run(self._label, pixels), pixels.marks)
            for _ in range(iterations):
                if settling.has_converged:
                    return
                with translate_out_of_memory(device):
                    clusters, loss, show = core.run(self._iterate, pixels, vote, spread, settling)
                step = Step(
                    self.iteration, clusters, loss, view.valid, max_clusters, view.factor, show
                )
                yield step
                if min_clusters and step.n_clusters <= min_clusters:
                    return

    @torch.inference_mode(False)
    @torch.enable_grad()
    def _iterate(
        self,
        pixels: "DeviceSample",
        vote: Callable[[torch.Tensor], torch.Tensor],
        spread: Callable[[Network], LabelUpsampler],
        settling: "ConvergenceMonitor",
    ) -> tuple[torch.Tensor, torch.Tensor, LabelUpsampler]:
        """Take one iteration of Algorithm 1; return c, the loss, and how labels are made of c."""
        # the same bytes every time on CUDA too
        with cudnn.flags(enabled=True, deterministic=True):
            self._network.train()
            responses = self._network(pixels.image, pixels.inside)  # y', (N, q, [z,] y, x)
            clusters = responses.detach().max(1).indices  # c; argmax takes twice as long on a CPU
            show = spread(self._network)  # before the network moves on
            target = vote(clusters)  # c'
            if pixels.marks:
                target = pixels.marks.over(target)
            loss = self._loss(responses, target, pixels)
            gradients = torch.autograd.grad(loss, self._parameters, allow_unused=True)
            self._descend(gradients, self._settings.learning_rate * settling.learning_rate_factor)
        # here, where nobody who interrupts the run comes in between
        self.iteration += 1
        settling.count(clusters, pixels.inside, pixels.n_inside)
        return clusters, loss.detach(), show

    def _loss(
        self, responses: torch.Tensor, target: torch.Tensor, pixels: "DeviceSample"
    ) -> torch.Tensor:
        """Return the mean cross-entropy between responses and target, and the continuity term."""
        rows = responses.movedim(1, -1).flatten(0, -2)  # a pixel each
        weights = self._weights(target, pixels)
        if weights is None:
            loss = cross_entropy(rows, target.flatten())
        else:
            losses = cross_entropy(rows, target.flatten(), reduction="none")
            loss = (losses * weights.flatten()).sum() / pixels.n_inside
        if self._settings.continuity:
            loss = loss + self._settings.continuity * continuity_loss(responses, pixels.inside)
        return loss

    def _weights(self, target: torch.Tensor, pixels: "DeviceSample") -> torch.Tensor | None:
        """Return how much each pixel counts, or None if all count alike."""
        weights = None if pixels.inside is None else pixels.inside.to(torch.float32)
        if self._settings.balance:
            every = torch.ones_like(target, dtype=torch.bool)
            inside = every if pixels.inside is None else pixels.inside
            n_clusters, balance = self._settings.max_clusters, self._settings.balance
            weights = cluster_weights(target, inside, n_clusters, balance)[target] * inside
        if pixels.marks:
            return pixels.marks.weighed(weights, self._settings.stroke_weight)
        return weights

    @torch.no_grad()
    def _number_clusters(self, clusters: torch.Tensor, marks: "StrokeTargets") -> None:
        """Give the number of each new stroke to the cluster that most of it was drawn on.

        So a stroke steers the cluster that is there rather than fights it. One that another
        stroke has already is left to that one.
        """
        wanted, under = marks.clusters[marks.drawn].cpu(), clusters[marks.drawn].cpu()
        for number in wanted.unique().tolist():
            if number in self._stroked:
                continue
            counts = torch.bincount(under[wanted == number], minlength=self._settings.max_clusters)
            counts[list(self._stroked)] = 0
            if counts.any():
                order = torch.arange(len(counts))
                order[[number, int(counts.argmax())]] = order[[int(counts.argmax()), number]]
                self._reorder(order)
                under = order[under]
            self._stroked.add(number)

    def _reorder(self, order: torch.Tensor) -> None:
        """Take the clusters in another order."""
        head = [self._network.classifier.weight, *self._network.normalisation.parameters()]
        for parameter, velocity in zip(self._parameters, self._velocities, strict=True):
            if any(parameter is one for one in head):
                for values in (parameter, velocity):
                    values.copy_(values[order.to(values.device)])

    @torch.no_grad()
    def _descend(self, gradients: Sequence[torch.Tensor | None], learning_rate: float) -> None:
        """Take one step of stochastic gradient descent with momentum."""
        # torch.optim would do the same, and load two seconds' worth of compiler first
        for parameter, velocity, gradient in zip(
            self._parameters, self._velocities, gradients, strict=True
        ):
            if gradient is not None:
                velocity.mul_(self._settings.momentum).add_(gradient)
                parameter.sub_(velocity, alpha=learning_rate)

    def update_statistics(self, view: TrainingSample) -> None:
        """Have the normalisations take those of a view, with the weights as they are now."""
        device = self._network.device
        with translate_out_of_memory(device), CoreThreads(device, 1) as core:
            core.run(self._label, DeviceSample.of(view, None, device))

    @torch.no_grad()
    def _label(self, pixels: "DeviceSample") -> torch.Tensor:
        """Return the cluster of each pixel by the network as it is."""
        self._network.train()
        responses: torch.Tensor = self._network(pixels.image, pixels.inside)
        return responses.max(1).indices

    def _vote(self, view: TrainingSample) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return what gives pixels the cluster of their superpixel; their own if there is none."""
        if view.superpixels is None:
            return lambda clusters: clusters
        n_patches = int(view.superpixels.max()) + 1
        # pixels that take no part vote too, in a superpixel of their own
        own = np.where(view.valid, view.superpixels, n_patches)
        patches = torch.from_numpy(own.ravel()).to(self._network.device)

        def vote(clusters: torch.Tensor) -> torch.Tensor:
            n_clusters = self._settings.max_clusters
            voted = majority_vote(clusters.flatten(), patches, n_patches + 1, n_clusters)
            return voted.view_as(clusters)

        return vote


def _keep_freed_memory() -> None:
    """Have the C library keep the blocks of memory that maps come and go in.

    It spares a fifth of an iteration's time.

    glibc hands a block back to the kernel when it is freed, to be cleared and mapped anew at the
    next iteration, unless it is smaller than one of up to 32 MB that was freed before.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


@dataclasses.dataclass(frozen=True, eq=False)
class DeviceSample:
    """A view on the network's device.

    Attributes
    ----------
    image : Tensor of float32, shape (N, C, [z,] y, x)
        Intensities.
    inside : Tensor of bool, shape (N, [z,] y, x), or None
        Pixels that take part; None if all do.
    n_inside : int
        How many these are.
    marks : StrokeTargets or None
        The strokes, if there are any.
    """

    image: torch.Tensor
    inside: torch.Tensor | None
    n_inside: int
    marks: "StrokeTargets | None"

    @classmethod
    @torch.inference_mode(False)
    def of(
        cls, view: TrainingSample, strokes: Labels | None, device: torch.device
    ) -> "DeviceSample":
        """Bring a view to a device."""
        image = torch.from_numpy(view.values).to(device)
        valid = torch.from_numpy(view.valid).to(device)
        inside = None if view.valid.all() else valid
        return cls(image, inside, int(view.valid.sum()), StrokeTargets.of(strokes, valid))
