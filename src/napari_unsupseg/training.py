"""Self-training: the network learns the vote of its own labels, one iteration at a time."""

import collections
import copy
import dataclasses
import functools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch.backends import cudnn

from napari_unsupseg.backprop import Backpropagation
from napari_unsupseg.devices import naming_out_of_memory
from napari_unsupseg.network import Network
from napari_unsupseg.segments import label_dtype
from napari_unsupseg.settings import Settings
from napari_unsupseg.superpixels import majority_vote
from napari_unsupseg.views import View

__all__ = ["Labels", "SelfTraining", "Spread", "Step", "cluster_weights"]

Labels = NDArray[np.unsignedinteger]
Spread = Callable[[Labels], Labels]

SETTLING = 10  # iterations over which changes of cluster are counted
CHECKED_EVERY = 5  # iterations; each look makes a GPU wait


class Step:
    """One iteration of a run: what is known of it is fetched from the device when asked for.

    Parameters
    ----------
    iteration : int
        Number of the iteration, from 1.
    clusters : Tensor of int64, shape ([z,] y, x)
        Cluster of each pixel of the view that the iteration trained on, from 0.
    target : Tensor of int64, shape ([z,] y, x)
        The vote of their superpixels.
    loss : Tensor, shape ()
        Mean cross-entropy between responses and vote.
    valid : ndarray of bool, shape ([z,] y, x)
        Pixels of the view that take part.
    max_clusters : int
        q, which decides the labels' data type.
    factor : int
        Pixels of the image along a side of each of the view's.
    spread : callable
        Makes labels of the whole image from those of the view.

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
        target: torch.Tensor,
        loss: torch.Tensor,
        valid: NDArray[np.bool_],
        max_clusters: int,
        factor: int = 1,
        spread: Spread = np.asarray,
    ) -> None:
        self.iteration = iteration
        self.factor = factor
        self._clusters = clusters
        self._target = target
        self._loss = loss
        self._valid = valid
        self._max_clusters = max_clusters
        self._spread = spread

    def relabelled(self, labels: Labels) -> "Step":
        """Return this step with other labels, shape (..., Y, X), at full size."""
        clusters = torch.from_numpy(labels.astype(np.int64)) - 1
        return Step(self.iteration, clusters, clusters, self._loss, labels > 0, self._max_clusters)

    def with_hierarchy_share(self, share: float) -> "Step":
        """Return this step while so much of the hierarchy is made."""
        step = copy.copy(self)
        step.hierarchy_share = share
        return step

    def voted(self) -> "Step":
        """Return this step with the vote of its superpixels in place of its clusters."""
        return Step(
            self.iteration, self._target, self._target, self._loss,
            self._valid, self._max_clusters, self.factor, self._spread,
        )  # fmt: skip

    def leave_device(self) -> None:
        """Fetch what has not been asked for yet, so that a GPU's memory is free."""
        self._clusters, self._target = self._clusters.cpu(), self._target.cpu()
        self._loss = self._loss.cpu()

    @functools.cached_property
    def labels(self) -> Labels:
        """Labels of this iteration, shape (..., Y, X): 1 to q, 0 at pixels that take no part."""
        return self._spread(self._view_labels)

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
    precision : torch.dtype
        Of the features: that of the network's parameters, or bfloat16.

    Attributes
    ----------
    iteration : int
        How many iterations have begun.

    References
    ----------
    .. [1] A. Kanezaki, "Unsupervised image segmentation by backpropagation",
       IEEE ICASSP 2018, Algorithm 1. :doi:`10.1109/ICASSP.2018.8462533`
    .. [2] W. Kim, A. Kanezaki, M. Tanaka, "Unsupervised learning of image segmentation based on
       differentiable feature clustering", IEEE TIP 29 (2020). :doi:`10.1109/TIP.2020.3011269`
    """

    def __init__(
        self, network: Network, settings: Settings, precision: torch.dtype = torch.float32
    ) -> None:
        self._network = network
        self._settings = settings
        self._precision = precision
        self._velocities = [torch.zeros_like(p) for p in network.parameters()]
        self.iteration = 0
        self._stroked: set[int] = set()  # clusters that a stroke has had

    def run(
        self,
        view: View,
        iterations: int,
        *,
        settle: float = 0,
        target: torch.Tensor | None = None,
        spread: Callable[[Network], Spread] = lambda _: np.asarray,
        strokes: Labels | None = None,
    ) -> Iterator[Step]:
        """Train on a view.

        Parameters
        ----------
        view : View
            What to train on.
        iterations : int
            The most that this may take.
        settle : float
            End when less than this fraction of the pixels changed cluster in ten iterations;
            0 never does.
        target : Tensor of int64, shape ([z,] y, x), optional
            Cluster that each pixel should have; by default the vote of its superpixel.
        spread : callable
            Given the network as it is at an iteration, returns what makes labels of the whole
            image from those of the view; by default the view's are the image's.
        strokes : ndarray of unsigned integers, shape ([z,] y, x), optional
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
        history = _History(view.image.valid, settle)
        # the same bytes every time on CUDA too; the flags end here, as they are nobody else's
        careful = functools.partial(cudnn.flags, enabled=True, deterministic=True)
        with naming_out_of_memory(self._network.device), careful():
            inside = self._inside(view)
            passes = self._passes(view)
            vote = self._vote(view) if target is None else lambda _: target
            marks = _Marks.of(strokes, inside)
            if marks:
                self._number_clusters(passes.forward(), marks)
        for _ in range(iterations):
            self.iteration += 1
            with naming_out_of_memory(self._network.device), careful():
                clusters = passes.forward().clone()  # the buffer is the next iteration's
                show = spread(self._network)  # before the network moves on
                wanted = marks.over(vote(clusters)) if marks else vote(clusters)
                loss = passes.backward(wanted, self._weights(wanted, inside, marks))
                self._descend()
            step = Step(
                self.iteration, clusters, wanted, loss,
                view.image.valid, max_clusters, view.factor, show,
            )  # fmt: skip
            yield step
            if history.has_settled(clusters):
                return
            if min_clusters and step.n_clusters <= min_clusters:
                return

    def _weights(
        self, target: torch.Tensor, inside: torch.Tensor, marks: "_Marks | None"
    ) -> torch.Tensor | None:
        """Return how much each pixel counts, or None if all count alike."""
        weights = None
        if self._settings.balance:
            n_clusters, balance = self._settings.max_clusters, self._settings.balance
            weights = cluster_weights(target, inside, n_clusters, balance)[target]
        if marks:
            return marks.weighed(weights, self._settings.stroke_weight)
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
        # the head's parameters are the last ones
        for values in [*head, *self._velocities[-len(head) :]]:
            values.copy_(values[order.to(values.device)])

    @torch.no_grad()
    def _descend(self) -> None:
        """Take one step of stochastic gradient descent with momentum."""
        # torch.optim would do the same, and load two seconds' worth of compiler first
        for parameter, velocity in zip(self._network.parameters(), self._velocities, strict=True):
            if parameter.grad is not None:
                velocity.mul_(self._settings.momentum).add_(parameter.grad)
                parameter.sub_(velocity, alpha=self._settings.learning_rate)

    def take_statistics(self, view: View) -> None:
        """Have the normalisations take those of a view, with the weights as they are now."""
        with naming_out_of_memory(self._network.device):
            self._passes(view).forward()

    def _inside(self, view: View) -> torch.Tensor:
        return torch.from_numpy(view.image.valid).to(self._network.device)

    def _passes(self, view: View) -> Backpropagation:
        """Return the network's passes over a view."""
        image = torch.from_numpy(view.image.values).to(self._network.classifier.weight)[None]
        mask = None if view.image.valid.all() else self._inside(view)
        return Backpropagation(
            self._network, image, mask, self._precision, self._settings.continuity
        )

    def _vote(self, view: View) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return what gives pixels the cluster of their superpixel; their own if there is none."""
        if view.superpixels is None:
            return lambda clusters: clusters
        n_patches = int(view.superpixels.max()) + 1
        # pixels that take no part vote too, in a superpixel of their own
        own = np.where(view.image.valid, view.superpixels, n_patches)
        patches = torch.from_numpy(own.ravel()).to(self._network.device)

        def vote(clusters: torch.Tensor) -> torch.Tensor:
            n_clusters = self._settings.max_clusters
            voted = majority_vote(clusters.flatten(), patches, n_patches + 1, n_clusters)
            return voted.view_as(clusters)

        return vote


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


class _History:
    """The last iterations' clusters, to tell when they settle."""

    def __init__(self, valid: NDArray[np.bool_], settle: float) -> None:
        self._most_changes = settle * int(valid.sum())
        self._valid = None if valid.all() else torch.from_numpy(valid)
        self._seen = 0
        self._kept: collections.deque[torch.Tensor] = collections.deque(
            maxlen=SETTLING // CHECKED_EVERY + 1
        )

    def has_settled(self, clusters: torch.Tensor) -> bool:
        """Take note of an iteration; return whether the image has settled by now."""
        self._seen += 1
        if not self._most_changes or self._seen % CHECKED_EVERY:
            return False
        self._kept.append(clusters)
        if len(self._kept) <= SETTLING // CHECKED_EVERY:
            return False
        changed = self._kept[-1] != self._kept[0]
        if self._valid is not None:
            changed &= self._valid.to(changed.device)
        return int(changed.count_nonzero()) < self._most_changes
