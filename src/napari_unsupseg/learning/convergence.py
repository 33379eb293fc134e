"""When the labels of a run have settled, and how its steps become smaller until they do."""

import collections

import torch

__all__ = ["ConvergenceMonitor"]

SETTLING = 10  # iterations over which changes of cluster are counted
CHECKED_EVERY = 5  # iterations; each look makes a GPU wait
STEADY = 40  # iterations at the learning rate as it is set; if labels are to settle it then falls
HALVED_IN = 10  # iterations


class ConvergenceMonitor:
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
    has_converged : bool
        Whether its labels have.
    """

    def __init__(self, settle: float = 0) -> None:
        self._settle = settle
        self.done = 0
        self.has_converged = False
        n_kept = SETTLING // CHECKED_EVERY + 1
        self._kept: collections.deque[torch.Tensor] = collections.deque(maxlen=n_kept)

    @property
    def learning_rate_factor(self) -> float:
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
            self.has_converged = int(changed.count_nonzero()) < self._settle * n_inside
