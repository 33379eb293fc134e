"""SLIC superpixels, and the majority vote within them."""

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.segmentation import slic

from napari_unsupseg.image.normalize import NormalizedImage

__all__ = ["compute_superpixels", "majority_vote"]

# CIELAB lightness runs from 0 to 100; grey values and channels are scaled to that range, so that
# one compactness means the same for every kind of image
LIGHTNESS_RANGE = 100.0


def compute_superpixels(
    image: NormalizedImage, n_superpixels: int, compactness: float
) -> NDArray[np.int64]:
    """Divide an image into small regions of even size that keep to its edges (SLIC [1]_).

    Parameters
    ----------
    image : NormalizedImage
        One frame or tile; the colours of RGB are compared in CIELAB.
    n_superpixels : int
        K of the paper, at most the number of pixels; SLIC gives about as many.
    compactness : float
        Weight of the distance in space against the difference of intensities.

    Returns
    -------
    ndarray of int64, shape ([Z,] Y, X)
        Superpixel of each pixel, from 0 without gaps.

    References
    ----------
    .. [1] R. Achanta et al., "SLIC superpixels compared to state-of-the-art superpixel methods",
       IEEE TPAMI 34 (2012). :doi:`10.1109/TPAMI.2012.120`
    """
    values = np.moveaxis(image.values, 0, -1)  # ([Z,] Y, X, C)
    superpixels: NDArray[np.int64] = slic(
        values if image.is_rgb else values * LIGHTNESS_RANGE,
        n_segments=n_superpixels,
        compactness=compactness,
        convert2lab=image.is_rgb,
        channel_axis=-1,
        spacing=image.spacing or None,
        start_label=0,
    )
    return superpixels


def majority_vote(
    clusters: torch.Tensor, superpixels: torch.Tensor, n_superpixels: int, n_clusters: int
) -> torch.Tensor:
    """Give every pixel the most frequent cluster of its superpixel, c' of the paper.

    Parameters
    ----------
    clusters : Tensor of int64, shape (N,)
        Cluster c of each pixel, 0 to `n_clusters` - 1.
    superpixels : Tensor of int64, shape (N,)
        Superpixel of each pixel, 0 to `n_superpixels` - 1.
    n_superpixels, n_clusters : int
        K and q of the paper.

    Returns
    -------
    Tensor of int64, shape (N,)
        The refined clusters c'; on a tie the lowest of the most frequent ones.

    Notes
    -----
    The inner loop of Algorithm 1 [1]_, as one scatter-add into a table of K × q counts.

    References
    ----------
    .. [1] A. Kanezaki, "Unsupervised image segmentation by backpropagation",
       IEEE ICASSP 2018. :doi:`10.1109/ICASSP.2018.8462533`

    Examples
    --------
    >>> majority_vote(torch.tensor([2, 1, 1, 0, 3]), torch.tensor([0, 0, 0, 1, 1]), 2, 4)
    tensor([1, 1, 1, 0, 0])
    """
    # whole numbers, whose sum does not depend on the order that a GPU adds them in
    counts = torch.zeros(n_superpixels * n_clusters, dtype=torch.int32, device=clusters.device)
    ones = torch.ones((), dtype=torch.int32, device=clusters.device).expand_as(clusters)
    counts.scatter_add_(0, superpixels * n_clusters + clusters, ones)
    winners = counts.view(n_superpixels, n_clusters).argmax(dim=1)  # (K,)
    return winners[superpixels]
