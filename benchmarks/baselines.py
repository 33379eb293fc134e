"""Classical methods that a self-trained network is measured beside."""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from skimage.color import rgb2gray
from skimage.filters import threshold_multiotsu
from skimage.graph import merge_hierarchical, rag_mean_color
from skimage.segmentation import slic

__all__ = ["k_means", "otsu", "slic_linkage"]

FITTED = 20_000  # pixels that the means are fitted to


def k_means(
    image: NDArray[np.uint8], k: int, window: int = 1, *, seed: int = 0
) -> NDArray[np.int64]:
    """Cluster pixels by the intensities in a window around each.

    Parameters
    ----------
    image : ndarray of uint8, shape (Y, X) or (Y, X, 3)
        The image.
    k : int
        Clusters.
    window : int
        α, the odd side of the window.
    seed : int
        Of the means to begin with.

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
    rng = np.random.default_rng(seed)
    sample = vectors[rng.permutation(len(vectors))[:FITTED]]
    means, _ = kmeans2(sample, k, iter=30, minit="++", seed=rng)
    lengths = np.square(means).sum(1)
    nearest = [
        np.argmin(lengths - 2 * part @ means.T, axis=1)
        for part in np.array_split(vectors, 16)  # all distances at once would take much memory
    ]
    return np.concatenate(nearest).reshape(image.shape[:2])


def otsu(image: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Divide brightness by Otsu's thresholds.

    Parameters
    ----------
    image : ndarray of uint8, shape (Y, X) or (Y, X, 3)
        The image.
    classes : int
        How many classes of brightness to have.

    Returns
    -------
    ndarray of int64, shape (Y, X)
        Class of each pixel from 0.
    """
    grey = (rgb2gray(image) * 255).round().astype(np.uint8) if image.ndim == 3 else image
    return np.digitize(grey, threshold_multiotsu(grey, classes), right=True)


def slic_linkage(
    image: NDArray[np.uint8], n_superpixels: int = 1000, furthest: float = 40
) -> NDArray[np.int64]:
    """Merge neighbouring superpixels whose mean colours are close, the closest first.

    Parameters
    ----------
    image : ndarray of uint8, shape (Y, X) or (Y, X, 3)
        The image.
    n_superpixels : int
        Superpixels to begin with.
    furthest : float
        Distance of mean colours, 255 from black to white, up to which they merge.

    Returns
    -------
    ndarray of int64, shape (Y, X)
        Segments from 0.
    """
    colours = image if image.ndim == 3 else np.stack([image] * 3, axis=-1)
    superpixels = slic(colours, n_segments=n_superpixels, start_label=0)

    def distance(graph: Any, one: int, other: int, neighbour: int) -> dict[str, float]:
        between = graph.nodes[other]["mean color"] - graph.nodes[neighbour]["mean color"]
        return {"weight": float(np.linalg.norm(between))}

    def merge(graph: Any, source: int, target: int) -> None:
        into, gone = graph.nodes[target], graph.nodes[source]
        for key in ("total color", "pixel count"):
            into[key] += gone[key]
        into["mean color"] = into["total color"] / into["pixel count"]

    merged: NDArray[np.int64] = merge_hierarchical(
        superpixels,
        rag_mean_color(colours, superpixels),
        thresh=furthest,
        rag_copy=False,
        in_place_merge=True,
        merge_func=merge,
        weight_func=distance,
    )
    return merged
