"""The best of all cuts through a hierarchy: its nodes need not be of one level."""

import numpy as np

from napari_unsupseg._typing import Floats, Integers
from napari_unsupseg.regions.compiling import jit

__all__ = ["optimal_cut"]


def optimal_cut(
    merges: Integers, values: Floats, margins: Floats | None = None
) -> tuple[Integers, float]:
    """Pick disjoint nodes of a hierarchy whose values have the largest sum.

    Parameters
    ----------
    merges : ndarray of int64, shape (M, 2)
        Nodes that merge, in order; nodes below n are leaves, node n + i is what merge i made. Nodes
        that nothing merges are roots, of which there may be many.
    values : ndarray of float64, shape (n + M,)
        Value of each node; none of 0 or less is picked.
    margins : ndarray of float64, shape (M,), optional
        By how much nodes inside of what each merge made must be worth more than that, to be picked
        in its place; by default at all.

    Returns
    -------
    nodes : ndarray of int64, shape (n,)
        The picked node that each leaf lies in, -1 if it lies in none.
    total : float
        Sum of the values of those picked.

    Notes
    -----
    The best of a node is its own value or the sum of its parts' best, whichever is more: dynamic
    programming from the leaves to the roots [1]_, [2]_.

    References
    ----------
    .. [1] L. Guigues, J. P. Cocquerez, H. Le Men, "Scale-sets image analysis", IJCV 68 (2006).
       :doi:`10.1007/s11263-005-6299-0`
    .. [2] C. Arteta et al., "Learning to detect cells using non-overlapping extremal regions",
       MICCAI (2012). :doi:`10.1007/978-3-642-33415-3_43`

    Examples
    --------
    >>> nodes, total = optimal_cut(np.array([[0, 1], [2, 3]]), np.array([1.0, 1, 0, 3, 0]))
    >>> nodes.tolist(), total
    ([3, 3, -1], 3.0)
    """
    if margins is None:
        margins = np.zeros(len(merges))
    return _optimal_cut(merges, values, margins)


@jit()
def _optimal_cut(merges: Integers, values: Floats, margins: Floats) -> tuple[Integers, float]:
    n_nodes, n_leaves = len(values), len(values) - len(merges)
    best = np.maximum(values, 0.0)
    is_own = values > 0
    is_root = np.ones(n_nodes, dtype=np.bool_)
    for index in range(len(merges)):
        node, one, other = n_leaves + index, merges[index, 0], merges[index, 1]
        is_root[one] = is_root[other] = False
        of_parts = best[one] + best[other]
        if of_parts >= best[node] + margins[index]:
            best[node] = of_parts
            is_own[node] = False
    total = 0.0
    picked = np.full(n_nodes, -1)
    for node in range(n_nodes - 1, -1, -1):  # from the roots down
        if is_root[node]:
            total += best[node]
        if picked[node] < 0 and is_own[node]:
            picked[node] = node
        if node >= n_leaves:
            picked[merges[node - n_leaves, 0]] = picked[node]
            picked[merges[node - n_leaves, 1]] = picked[node]
    return picked[:n_leaves], total
