"""How uncertain the cluster of each pixel is, by the labels that a run has gone through."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg._typing import Labels

__all__ = ["cluster_uncertainty"]


def cluster_uncertainty(clusters: Labels, history: Sequence[Labels]) -> NDArray[np.float32]:
    """Say for each pixel how far labels of a run disagree with the cluster that it has.

    Parameters
    ----------
    clusters : ndarray of unsigned integers, shape (..., Y, X)
        Clusters from 1, 0 at pixels that take no part.
    history : sequence of ndarray of unsigned integers, shape (..., Y, X)
        One at least: other labels of the same pixels, of any number and order.

    Returns
    -------
    ndarray of float32, shape (..., Y, X)
        From 0, certain, to 1; 0 at pixels that take no part.

    Notes
    -----
    Each of the labels of the history stands for the clusters that its pixels have: of a pixel whose
    label mostly lies in its own cluster, that one is sure; of one whose label mostly lies in
    another, it is not. This is one less the share of its own cluster, in the mean over the history:
    the labels vote as an ensemble of clusterings whose numbers need not be matched [1]_.

    References
    ----------
    .. [1] A. Strehl, J. Ghosh, "Cluster ensembles: a knowledge reuse framework for combining
       multiple partitions", JMLR 3 (2002). https://www.jmlr.org/papers/v3/strehl02a.html

    Examples
    --------
    >>> clusters = np.array([[1, 1, 1, 2, 2]])
    >>> cluster_uncertainty(clusters, [np.array([[3, 3, 3, 3, 5]])]).tolist()
    [[0.25, 0.25, 0.25, 0.75, 0.0]]
    """
    valid = clusters > 0
    own = clusters[valid].astype(np.int64)
    n_clusters = int(own.max(initial=0)) + 1
    agreement = np.zeros(len(own))
    for labels in history:
        pairs = labels[valid].astype(np.int64) * n_clusters + own
        agreement += np.bincount(pairs)[pairs] / np.bincount(labels[valid])[labels[valid]]
    uncertainty = np.zeros(clusters.shape, dtype=np.float32)
    uncertainty[valid] = 1 - agreement / len(history)
    return uncertainty
