"""Classical methods that a self-trained network is measured beside."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

__all__ = ["k_means"]

FITTED = 20_000  # pixels that the means are fitted to


def k_means(image: NDArray[np.uint8], k: int, window: int = 1) -> NDArray[np.int64]:
    """Cluster pixels by the intensities in a window around each.

    Parameters
    ----------
    image : ndarray of uint8, shape (Y, X) or (Y, X, 3)
        The image.
    k : int
        Clusters.
    window : int
        α, the odd side of the window.

    Returns
    -------
    ndarray of int64, shape (Y, X)
        Clusters from 0.
    """
    channels = image if image.ndim == 3 else image[..., np.newaxis]
    edge = window // 2
    padded = np.pad(channels, ((edge, edge), (edge, edge), (0, 0)), mode="reflect")
    windows = sliding_window_view(padded, (window, window), axis=(0, 1))
    vectors = windows.reshape(image.shape[0] * image.shape[1], -1).astype(np.float32)
    rng = np.random.default_rng(0)
    sample = vectors[rng.permutation(len(vectors))[:FITTED]]
    means, _ = kmeans2(sample, k, iter=30, minit="++", seed=rng)
    lengths = np.square(means).sum(1)
    nearest = [
        np.argmin(lengths - 2 * part @ means.T, axis=1)
        for part in np.array_split(vectors, 16)  # all distances at once would take much memory
    ]
    return np.concatenate(nearest).reshape(image.shape[:2])
