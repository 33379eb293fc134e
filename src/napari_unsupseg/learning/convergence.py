"""When the labels of a run have settled, and how its steps become smaller until they do."""

import collections

import torch

__all__ = ["ConvergenceMonitor"]

WINDOW = 10  # iterations over which changes of cluster are counted
CHECK_INTERVAL = 5  # iterations; each check makes a GPU wait
CONSTANT_RATE = 40  # iterations at the learning rate of the settings, before it falls
HALF_LIFE = 10  # iterations in which the falling learning rate halves


class ConvergenceMonitor:
    """Counts the iterations on one training sample and tells whether its labels have settled.

    After 40 iterations the learning rate halves every ten. Without that two clusters that fit a
    region equally well can swap it for ever.

    Parameters
    ----------
    settle : float
        Labels have settled when less than this fraction of the pixels changed cluster in ten
        iterations. 0 for labels that never settle and a learning rate that never falls.

    Attributes
    ----------
    settle : float
        As given.
    n_iterations : int
        Iterations on the sample so far.
    has_converged : bool
        Whether its labels have settled.
    snapshots : deque of Tensor of int32, shape (N, [z,] y, x)
        Clusters at the last iterations that were checked.
    """

    def __init__(self, settle: float = 0) -> None:
        self.settle = settle
        self.n_iterations = 0
        self.has_converged = False
        n_checks = WINDOW // CHECK_INTERVAL + 1  # the first and the last are a window apart
        self.snapshots: collections.deque[torch.Tensor] = collections.deque(maxlen=n_checks)

    @property
    def learning_rate_factor(self) -> float:
        """Factor of the learning rate for the next iteration, from 1 down to 0."""
        if not self.settle:
            return 1.0
        return float(0.5 ** (max(0, self.n_iterations - CONSTANT_RATE) / HALF_LIFE))

    def update(self, clusters: torch.Tensor, inside: torch.Tensor | None, n_inside: int) -> None:
        """Count an iteration, and check at every fifth whether labels have settled.

        Parameters
        ----------
        clusters : Tensor of int64, shape (N, [z,] y, x)
            Cluster of each pixel at this iteration.
        inside : Tensor of bool, shape (N, [z,] y, x), or None
            Pixels that take part; None if all do.
        n_inside : int
            How many pixels take part.
        """
        self.n_iterations += 1
        if not self.settle or self.n_iterations % CHECK_INTERVAL:
            return
        # in the computer's memory: a run that is left early must not fill that of a GPU
        self.snapshots.append(clusters.to("cpu", torch.int32))
        if len(self.snapshots) == self.snapshots.maxlen:
            changed = self.snapshots[-1] != self.snapshots[0]
            if inside is not None:
                changed &= inside.cpu()
            self.has_converged = int(changed.count_nonzero()) < self.settle * n_inside
