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
    Numbers of labels need not be matched, as in ensembles of clusterings [1]_. By each labelling of
    the history a pixel is certain if its cluster is the most frequent one among the pixels of its
    label, and its label the most frequent one among those of its cluster. Where one of the two is
    less frequent than that, its part of the greatest frequency counts. The uncertainty is one less
    the mean of both over the history.

    References
    ----------
    .. [1] A. Strehl, J. Ghosh, "Cluster ensembles: a knowledge reuse framework for combining
       multiple partitions", JMLR 3 (2002). https://www.jmlr.org/papers/v3/strehl02a.html

    Examples
    --------
    >>> clusters = np.array([[1, 1, 1, 2, 2]])
    >>> cluster_uncertainty(clusters, [np.array([[3, 3, 3, 3, 5]])]).round(2)
    array([[0.  , 0.  , 0.  , 0.33, 0.  ]], dtype=float32)
    """
    valid = clusters > 0
    own = clusters[valid].astype(np.int64)
    n_clusters = int(own.max(initial=0)) + 1
    agreement = np.zeros(len(own))
    for labels in history:
        pairs = labels[valid].astype(np.int64) * n_clusters + own
        n_labels = int(labels.max(initial=0)) + 1
        shared = np.bincount(pairs, minlength=n_labels * n_clusters).reshape(n_labels, n_clusters)
        of_label, of_cluster = shared.max(axis=1, keepdims=True), shared.max(axis=0)
        shares = shared / np.maximum(of_label, 1) / 2 + shared / np.maximum(of_cluster, 1) / 2
        agreement += shares.ravel()[pairs]
    uncertainty = np.zeros(clusters.shape, dtype=np.float32)
    uncertainty[valid] = 1 - agreement / len(history)
    return uncertainty
