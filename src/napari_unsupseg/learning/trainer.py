"""Self-training: the network learns the vote of its own labels, one iteration at a time."""

from collections.abc import Iterator, Sequence

import torch
from torch.backends import cudnn

from napari_unsupseg._typing import Labels
from napari_unsupseg.learning.convergence import ConvergenceMonitor
from napari_unsupseg.learning.device_sample import DeviceSample
from napari_unsupseg.learning.devices import translate_out_of_memory
from napari_unsupseg.learning.network import Network
from napari_unsupseg.learning.objective import training_loss
from napari_unsupseg.learning.sampling import TrainingSample
from napari_unsupseg.learning.step import Step
from napari_unsupseg.learning.stroke_targets import StrokeTargets
from napari_unsupseg.learning.threads import CoreThreads
from napari_unsupseg.learning.upsampler import LabelUpsampler
from napari_unsupseg.settings import Settings

__all__ = ["Trainer"]


class Trainer:
    """Trains one network, on one sample of an image after another.

    Parameters
    ----------
    network : Network
        Trained in place, on the device it is on.
    settings : Settings
        Learning rate, momentum, q, the terms of the loss and `min_clusters` are read.

    Attributes
    ----------
    iteration : int
        Iterations so far, over all samples.
    velocities : list of Tensor
        Momentum of each parameter that is trained.
    stroked : set of int
        Clusters that have been given to a stroke.

    Notes
    -----
    On a CPU one thread computes everything, however many cores there are. Sums over pixels that
    threads share out are rounded otherwise by two threads than by one, and a difference in the
    last digit grows from iteration to iteration until it changes labels.

    References
    ----------
    .. [1] A. Kanezaki, "Unsupervised image segmentation by backpropagation",
       IEEE ICASSP 2018, Algorithm 1. :doi:`10.1109/ICASSP.2018.8462533`
    .. [2] W. Kim, A. Kanezaki, M. Tanaka, "Unsupervised learning of image segmentation based on
       differentiable feature clustering", IEEE TIP 29 (2020). :doi:`10.1109/TIP.2020.3011269`
    """

    @torch.inference_mode(False)  # a caller may be in it, and nothing made in it can be trained
    def __init__(self, network: Network, settings: Settings) -> None:
        self._network = network
        self._settings = settings
        # those of a caller's module may be frozen
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        self.velocities = [torch.zeros_like(p) for p in self._parameters]
        self.iteration = 0
        self.stroked: set[int] = set()

    def run(
        self,
        sample: TrainingSample,
        iterations: int,
        *,
        monitor: ConvergenceMonitor | None = None,
        target: torch.Tensor | None = None,
        upsampler: LabelUpsampler | None = None,
        strokes: Labels | None = None,
    ) -> Iterator[Step]:
        """Train on a sample.

        Parameters
        ----------
        sample : TrainingSample
            What to train on.
        iterations : int
            The most that this may take.
        monitor : ConvergenceMonitor, optional
            Kept up to date; training ends when labels have settled. By default they never do.
        target : Tensor of int64, shape (N, [z,] y, x), optional
            Cluster that each pixel should have; by default the vote of its superpixel.
        upsampler : LabelUpsampler, optional
            Makes labels of the whole image from those of the sample; by default these are the
            image's.
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
        device, min_clusters = self._network.device, self._settings.min_clusters
        monitor = monitor or ConvergenceMonitor()
        _keep_freed_memory()
        with CoreThreads(device, 1) as core:
            with translate_out_of_memory(device):
                on_device = DeviceSample.from_sample(sample, device, target=target, strokes=strokes)
                if on_device.strokes is not None:
                    clusters = core.run(self._predict_clusters, on_device)
                    self._give_clusters_to_strokes(clusters, on_device.strokes)
            for _ in range(iterations):
                if monitor.has_converged:
                    return
                with translate_out_of_memory(device):
                    step = core.run(self._iterate, on_device, monitor, upsampler)
                yield step
                # `n_clusters` makes a GPU wait: not to be asked for unless it decides something
                if min_clusters and step.n_clusters <= min_clusters:
                    return

    def update_statistics(self, sample: TrainingSample) -> None:
        """Have the normalisations store the statistics of a sample under the weights as they are.

        Those that training leaves are of the weights before its last step.
        """
        device = self._network.device
        with translate_out_of_memory(device), CoreThreads(device, 1) as core:
            core.run(self._predict_clusters, DeviceSample.from_sample(sample, device))

    @torch.inference_mode(False)
    @torch.enable_grad()
    def _iterate(
        self, sample: DeviceSample, monitor: ConvergenceMonitor, upsampler: LabelUpsampler | None
    ) -> Step:
        """Take one iteration of Algorithm 1."""
        n_clusters = self._settings.max_clusters
        # the same bytes every time on CUDA too
        with cudnn.flags(enabled=True, deterministic=True):
            self._network.train()
            responses = self._network(sample.image, sample.inside)  # y', (N, q, [z,] y, x)
            # argmax takes twice as long as max on a CPU
            clusters = responses.detach().max(1).indices  # c, (N, [z,] y, x)
            if upsampler is not None:  # labels are asked for after the weights have changed
                upsampler = upsampler.snapshot(self._network)
            target = sample.vote(clusters, n_clusters)  # c', (N, [z,] y, x)
            if sample.strokes is not None:
                target = sample.strokes.draw_over(target)
            loss = training_loss(responses, target, sample, self._settings)  # ()
            # a caller's module may have parameters that its features do not depend on
            gradients = torch.autograd.grad(loss, self._parameters, allow_unused=True)
            self._descend(gradients, self._settings.learning_rate * monitor.learning_rate_factor)
        # counted in the same call as the step is taken: an interrupt cannot come between the two
        self.iteration += 1
        monitor.update(clusters, sample.inside, sample.n_inside)
        valid, factor = sample.sample.valid, sample.sample.factor
        return Step(self.iteration, clusters, loss.detach(), valid, n_clusters, factor, upsampler)

    @torch.no_grad()
    def _descend(self, gradients: Sequence[torch.Tensor | None], learning_rate: float) -> None:
        """Take one step of stochastic gradient descent with momentum."""
        # torch.optim would do the same, but loading it takes two seconds: it loads torch's compiler
        for parameter, velocity, gradient in zip(
            self._parameters, self.velocities, gradients, strict=True
        ):
            if gradient is not None:
                velocity.mul_(self._settings.momentum).add_(gradient)
                parameter.sub_(velocity, alpha=learning_rate)

    @torch.no_grad()
    def _predict_clusters(self, sample: DeviceSample) -> torch.Tensor:
        """Return the cluster of each pixel, (N, [z,] y, x), by the network as it is."""
        self._network.train()
        responses: torch.Tensor = self._network(sample.image, sample.inside)
        return responses.max(1).indices

    @torch.no_grad()
    def _give_clusters_to_strokes(self, clusters: torch.Tensor, strokes: StrokeTargets) -> None:
        """Swap numbers so that each new stroke has the cluster that most of it was drawn on.

        A stroke then steers the cluster that is there, where otherwise it would have to build up
        another one against it. A cluster that another stroke has been given stays with that one.
        """
        wanted = strokes.clusters[strokes.is_stroke].cpu()  # (pixels under strokes,)
        under = clusters[strokes.is_stroke].cpu()
        for number in wanted.unique().tolist():
            if number in self.stroked:
                continue
            counts = torch.bincount(under[wanted == number], minlength=self._settings.max_clusters)
            counts[list(self.stroked)] = 0
            if counts.any():
                most_frequent = int(counts.argmax())
                order = torch.arange(len(counts))
                order[number], order[most_frequent] = most_frequent, number
                self._reorder_clusters(order)
                under = order[under]
            self.stroked.add(number)

    def _reorder_clusters(self, order: torch.Tensor) -> None:
        """Give the classifier's outputs another order, and their momentum with them."""
        outputs = [self._network.classifier.weight, *self._network.normalisation.parameters()]
        for parameter, velocity in zip(self._parameters, self.velocities, strict=True):
            if any(parameter is output for output in outputs):
                for values in (parameter, velocity):  # (q, ...)
                    values.copy_(values[order.to(values.device)])


def _keep_freed_memory() -> None:
    """Have the C library keep the blocks of memory that an iteration frees for the next one.

    It spares a fifth of an iteration's time. glibc gives a large block back to the kernel when it
    is freed, to be cleared and mapped anew at the next iteration. "Large" is what exceeds the
    greatest block of up to 32 MB that was freed before: here one of 31 MB is made and freed.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)
