"""Self-training: the network learns the vote of its own labels, one iteration at a time."""

import collections
import copy
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.backends import cudnn
from torch.nn.functional import cross_entropy

from napari_unsupseg.devices import naming_out_of_memory
from napari_unsupseg.network import Network
from napari_unsupseg.segments import label_dtype
from napari_unsupseg.settings import Settings
from napari_unsupseg.superpixels import majority_vote
from napari_unsupseg.threads import Threads
from napari_unsupseg.views import View

__all__ = ["Labels", "SelfTraining", "Settling", "Spread", "Step", "cluster_weights"]

Labels = NDArray[np.unsignedinteger]

SETTLING = 10  # iterations over which changes of cluster are counted
CHECKED_EVERY = 5  # iterations; each look makes a GPU wait
STEADY = 40  # iterations at the learning rate as it is set; if labels are to settle it then falls
HALVED_IN = 10  # iterations


@dataclasses.dataclass(frozen=True, eq=False)
class Spread:
    """How labels of a view become labels of the whole image.

    Attributes
    ----------
    make : callable
        Makes the latter from the former; by default they are the same.
    network : Network or None
        The network as it was, if the view is of tiles only, and all else has labels of a preview.
    """

    make: Callable[[Labels], Labels] = np.asarray
    network: Network | None = None


class Step:
    """One iteration of a run: what is known of it is fetched from the device when asked for.

    Parameters
    ----------
    iteration : int
        Number of the iteration, from 1.
    clusters : Tensor of int64, shape (N, [z,] y, x)
        Cluster of each pixel of the view that the iteration trained on, from 0.
    loss : Tensor, shape ()
        Mean cross-entropy between responses and vote.
    valid : ndarray of bool, shape (N, [z,] y, x)
        Pixels of the view that take part.
    max_clusters : int
        q, which decides the labels' data type.
    factor : int
        Pixels of the image along a side of each of the view's.
    spread : Spread
        How labels of the whole image are made from those of the view.

    Attributes
    ----------
    iteration : int
        Number of the iteration, from 1.
    factor : int
        Pixels of the image along a side of each that was trained on: 1 at full size.
    hierarchy_share : float or None
        While the hierarchy is made, after the last iteration: how much of it is, from 0 to 1.
    """

    hierarchy_share: float | None = None

    def __init__(
        self,
        iteration: int,
        clusters: torch.Tensor,
        loss: torch.Tensor,
        valid: NDArray[np.bool_],
        max_clusters: int,
        factor: int = 1,
        spread: Spread = Spread(),
    ) -> None:
        self.iteration = iteration
        self.factor = factor
        self._clusters = clusters
        self._loss = loss
        self._valid = valid
        self._max_clusters = max_clusters
        self._spread = spread

    def relabelled(self, labels: Labels) -> "Step":
        """Return this step with other labels, shape (..., Y, X), at full size."""
        clusters = torch.from_numpy(labels.astype(np.int64)) - 1
        return Step(self.iteration, clusters, self._loss, labels > 0, self._max_clusters)

    def with_hierarchy_share(self, share: float) -> "Step":
        """Return this step while so much of the hierarchy is made."""
        step = copy.copy(self)
        step.hierarchy_share = share
        return step

    def leave_device(self) -> None:
        """Fetch what has not been asked for yet, so that a GPU's memory is free."""
        self._clusters, self._loss = self._clusters.cpu(), self._loss.cpu()

    @functools.cached_property
    def labels(self) -> Labels:
        """Labels of this iteration, shape (..., Y, X): 1 to q, 0 at pixels that take no part."""
        return self._spread.make(self._view_labels)

    @property
    def network(self) -> Network | None:
        """The network that labels all of the image as this iteration does its tiles, if it has."""
        return self._spread.network

    @functools.cached_property
    def _view_labels(self) -> Labels:
        labels = (self._clusters.cpu().numpy() + 1).astype(label_dtype(self._max_clusters))
        return labels * self._valid

    @functools.cached_property
    def n_clusters(self) -> int:
        """Number of clusters that are left among the pixels trained on."""
        return int(np.bincount(self._view_labels[self._valid]).astype(bool).sum())

    @functools.cached_property
    def loss(self) -> float:
        """Mean cross-entropy between the responses and the vote, in nats."""
        return float(self._loss)


class SelfTraining:
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
        view: View,
        iterations: int,
        *,
        settling: "Settling | None" = None,
        target: torch.Tensor | None = None,
        spread: Callable[[Network], Spread] = lambda _: Spread(),
        strokes: Labels | None = None,
    ) -> Iterator[Step]:
        """Train on a view.

        Parameters
        ----------
        view : View
            What to train on.
        iterations : int
            The most that this may take.
        settling : Settling, optional
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
        settling = settling or Settling()
        _keep_freed_blocks()
        with Threads(device, 1) as core:
            with naming_out_of_memory(device):
                pixels = _Pixels.of(view, strokes, device)
                vote = self._vote(view) if target is None else lambda _: target
                if pixels.marks:
                    self._number_clusters(core.do(self._label, pixels), pixels.marks)
            for _ in range(iterations):
                if settling.has_settled:
                    return
                with naming_out_of_memory(device):
                    clusters, loss, show = core.do(self._iterate, pixels, vote, spread, settling)
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
        pixels: "_Pixels",
        vote: Callable[[torch.Tensor], torch.Tensor],
        spread: Callable[[Network], Spread],
        settling: "Settling",
    ) -> tuple[torch.Tensor, torch.Tensor, Spread]:
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
            self._descend(gradients, self._settings.learning_rate * settling.cooling)
        # here, where nobody who interrupts the run comes in between
        self.iteration += 1
        settling.count(clusters, pixels.inside, pixels.n_inside)
        return clusters, loss.detach(), show

    def _loss(
        self, responses: torch.Tensor, target: torch.Tensor, pixels: "_Pixels"
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
            loss = loss + self._settings.continuity * _differences(responses, pixels.inside)
        return loss

    def _weights(self, target: torch.Tensor, pixels: "_Pixels") -> torch.Tensor | None:
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
    def _number_clusters(self, clusters: torch.Tensor, marks: "_Marks") -> None:
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

    def take_statistics(self, view: View) -> None:
        """Have the normalisations take those of a view, with the weights as they are now."""
        device = self._network.device
        with naming_out_of_memory(device), Threads(device, 1) as core:
            core.do(self._label, _Pixels.of(view, None, device))

    @torch.no_grad()
    def _label(self, pixels: "_Pixels") -> torch.Tensor:
        """Return the cluster of each pixel by the network as it is."""
        self._network.train()
        responses: torch.Tensor = self._network(pixels.image, pixels.inside)
        return responses.max(1).indices

    def _vote(self, view: View) -> Callable[[torch.Tensor], torch.Tensor]:
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


def _keep_freed_blocks() -> None:
    """Have the C library keep the blocks of memory that maps come and go in.

    It spares a fifth of an iteration's time.

    glibc hands a block back to the kernel when it is freed, to be cleared and mapped anew at the
    next iteration, unless it is smaller than one of up to 32 MB that was freed before.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


@dataclasses.dataclass(frozen=True, eq=False)
class _Pixels:
    """A view on the network's device.

    Attributes
    ----------
    image : Tensor of float32, shape (N, C, [z,] y, x)
        Intensities.
    inside : Tensor of bool, shape (N, [z,] y, x), or None
        Pixels that take part; None if all do.
    n_inside : int
        How many these are.
    marks : _Marks or None
        The strokes, if there are any.
    """

    image: torch.Tensor
    inside: torch.Tensor | None
    n_inside: int
    marks: "_Marks | None"

    @classmethod
    @torch.inference_mode(False)
    def of(cls, view: View, strokes: Labels | None, device: torch.device) -> "_Pixels":
        """Bring a view to a device."""
        image = torch.from_numpy(view.values).to(device)
        valid = torch.from_numpy(view.valid).to(device)
        inside = None if view.valid.all() else valid
        return cls(image, inside, int(view.valid.sum()), _Marks.of(strokes, valid))


@dataclasses.dataclass(frozen=True, eq=False)
class _Marks:
    """Pixels under strokes: where, the cluster that each should have, their share of all."""

    drawn: torch.Tensor
    clusters: torch.Tensor
    share: float

    @classmethod
    def of(cls, strokes: Labels | None, inside: torch.Tensor) -> "_Marks | None":
        """Return those that take part; None if there is none."""
        if strokes is None:
            return None
        labels = torch.from_numpy(strokes.astype(np.int64)).to(inside.device)
        drawn = (labels > 0) & inside
        share = int(drawn.count_nonzero()) / int(inside.count_nonzero())
        return cls(drawn, labels - 1, share) if share else None

    def over(self, target: torch.Tensor) -> torch.Tensor:
        """Return a target with the strokes drawn over it."""
        return torch.where(self.drawn, self.clusters, target)

    def weighed(self, weights: torch.Tensor | None, of_strokes: float) -> torch.Tensor:
        """Return weights of pixels by which the strokes' have a mean loss of their own."""
        if weights is None:
            weights = torch.ones(self.drawn.shape, device=self.drawn.device)
        # all of the loss is divided by the pixels that take part
        return weights.masked_fill(self.drawn, of_strokes / self.share)


def _differences(responses: torch.Tensor, inside: torch.Tensor | None) -> torch.Tensor:
    """Return the mean difference of neighbours' responses along each axis, summed over the axes."""
    total = responses.new_zeros(())
    for axis in range(2, responses.ndim):
        steps = responses.diff(dim=axis).abs()
        if inside is not None:
            near, far = (inside.narrow(axis - 1, at, steps.shape[axis]) for at in (0, 1))
            steps = steps.movedim(1, -1)[near & far]
        if steps.numel():
            total = total + steps.mean()
    return total


def cluster_weights(
    target: torch.Tensor, inside: torch.Tensor, n_clusters: int, balance: float
) -> torch.Tensor:
    """Weigh clusters so that small ones are not lost in large ones.

    Parameters
    ----------
    target : Tensor of int64, shape (Y, X)
        Cluster that each pixel should have.
    inside : Tensor of bool, shape (Y, X)
        Pixels that take part.
    n_clusters : int
        q.
    balance : float
        0 for pixels that all count alike, 1 for clusters that do.

    Returns
    -------
    Tensor of float32, shape (q,)
        The number of its pixels to the power of minus `balance`, times what makes the mean over
        the pixels 1.

    Examples
    --------
    >>> target = torch.tensor([[0, 0, 0, 0, 0, 0, 0, 0, 0, 1]])
    >>> cluster_weights(target, target >= 0, 2, 1.0)
    tensor([0.5556, 5.0000])
    """
    counts = torch.zeros(n_clusters, device=target.device)
    # whole numbers, whose sum does not depend on the order on a GPU
    counts.scatter_add_(0, target.flatten(), inside.flatten().to(counts))
    weights = counts.clamp(min=1) ** -balance
    return weights * (counts.sum() / (counts * weights).sum())


class Settling:
    """How far the training on a view is, and whether its labels have settled.

    From the 40th iteration on the learning rate halves every ten, without which two clusters that
    fit a region equally well can swap it for ever.

    Parameters
    ----------
    settle : float
        Labels have settled when less than this fraction of the pixels changed cluster in ten
        iterations; 0 for labels that never do, and a learning rate that stays as it is.

    Attributes
    ----------
    done : int
        Iterations on the view.
    has_settled : bool
        Whether its labels have.
    """

    def __init__(self, settle: float = 0) -> None:
        self._settle = settle
        self.done = 0
        self.has_settled = False
        n_kept = SETTLING // CHECKED_EVERY + 1
        self._kept: collections.deque[torch.Tensor] = collections.deque(maxlen=n_kept)

    @property
    def cooling(self) -> float:
        """What the learning rate is to be multiplied by."""
        return float(0.5 ** (max(0, self.done - STEADY) / HALVED_IN)) if self._settle else 1.0

    def count(self, clusters: torch.Tensor, inside: torch.Tensor | None, n_inside: int) -> None:
        """Take note of an iteration, and of its clusters from time to time."""
        self.done += 1
        if not self._settle or self.done % CHECKED_EVERY:
            return
        # where a GPU's memory is not taken by a run that is left
        self._kept.append(clusters.to("cpu", torch.int32))
        if len(self._kept) == self._kept.maxlen:
            changed = self._kept[-1] != self._kept[0]
            if inside is not None:
                changed &= inside.cpu()
            self.has_settled = int(changed.count_nonzero()) < self._settle * n_inside
