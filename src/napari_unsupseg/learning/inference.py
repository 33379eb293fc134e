"""A trained network on an image of any size, tile by tile."""

import itertools
import math
import warnings
from collections.abc import Generator

import numpy as np
import torch
from numpy.typing import NDArray

from napari_unsupseg._generators import run_to_end
from napari_unsupseg.errors import OutOfMemoryError
from napari_unsupseg.image.normalize import NormalizedImage
from napari_unsupseg.image.tiling import Slices, add_halo, block_slices, shift_slices
from napari_unsupseg.learning.cost import inference_bytes_per_pixel
from napari_unsupseg.learning.devices import free_bytes, translate_out_of_memory
from napari_unsupseg.learning.network import Components, Network
from napari_unsupseg.learning.threads import CoreThreads
from napari_unsupseg.regions.labels import label_dtype

__all__ = ["predict", "predict_generator"]

# values of a tile's features; those of larger ones leave the cache of a core
LARGEST_MAP = {"cpu": 2**20}
LARGEST_MAP_ELSEWHERE = 2**28
SMALLEST_TILE = 32


def predict(
    network: Network,
    image: NormalizedImage,
    *,
    n_labels: int | None = None,
    tile: int | None = None,
) -> NDArray[np.unsignedinteger]:
    """Label every pixel of an image by a trained network.

    Parameters
    ----------
    network : Network
        Its normalisations hold the statistics to use, and take no others from here on. A caller's
        module in the place of the components sees the image whole.
    image : NormalizedImage
        The image, of any size.
    n_labels : int, optional
        Labels to choose from, the first ones; by default all q.
    tile : int, optional
        Side of the tiles in pixels, squares or cubes; by default as the free memory allows. It
        does not change the labels. When memory runs out it is halved, with a warning.

    Returns
    -------
    ndarray of uint8 or uint16, shape (..., Y, X)
        Labels 1 to q, 0 at pixels that take no part.

    Raises
    ------
    OutOfMemoryError
        If not even the smallest tile fits.
    """
    return run_to_end(predict_generator(network, image, n_labels=n_labels, tile=tile))


def predict_generator(
    network: Network,
    image: NormalizedImage,
    *,
    n_labels: int | None = None,
    tile: int | None = None,
) -> Generator[float, None, NDArray[np.unsignedinteger]]:
    """Label an image as `predict` does, some tiles at a time.

    Parameters
    ----------
    network : Network
        As in `predict`.
    image : NormalizedImage
        As in `predict`.
    n_labels : int, optional
        As in `predict`.
    tile : int, optional
        As in `predict`.

    Yields
    ------
    float
        Share of the pixels that have labels, up to 1.

    Returns
    -------
    ndarray of uint8 or uint16, shape (..., Y, X)
        As of `predict`.

    Raises
    ------
    OutOfMemoryError
        As `predict`.
    """
    network.eval()
    labels = np.zeros(image.valid.shape, dtype=label_dtype(len(network.classifier.weight)))
    is_tiled = isinstance(network.features, Components)
    whole = tuple(slice(0, length) for length in image.frame_shape)
    side = max(image.frame_shape)
    if is_tiled:
        side = tile or _tile_side(network, image.spatial_ndim)
    n_labelled = 0
    with CoreThreads(network.device, None if is_tiled else 1) as threads:
        for of_frame, frame in zip(
            labels.reshape(-1, *image.frame_shape), image.frames(), strict=True
        ):

            def label(place: Slices, frame: NormalizedImage = frame) -> NDArray[np.unsignedinteger]:
                with translate_out_of_memory(network.device):
                    return _label(network, frame, place, n_labels)

            pending = _split(whole, side)
            while pending:
                places = pending[: threads.n_threads]
                try:
                    for place, found in zip(places, threads.map(label, places), strict=True):
                        of_frame[place] = found
                        n_labelled += found.size
                except OutOfMemoryError:
                    if not is_tiled or side <= SMALLEST_TILE:
                        raise
                    side //= 2
                    size = " × ".join([str(side)] * image.spatial_ndim)
                    warnings.warn(
                        f"{network.device} ran out of memory: labels are made in tiles of {size} "
                        "pixels from here on",
                        stacklevel=2,
                    )
                    pending = list(itertools.chain.from_iterable(_split(p, side) for p in pending))
                else:
                    del pending[: threads.n_threads]
                    yield n_labelled / labels.size
    return labels


def _split(part: Slices, side: int) -> list[Slices]:
    """Cut a part of a frame into tiles of at most `side` along each axis, about as large."""
    lengths = [along.stop - along.start for along in part]
    sides = [math.ceil(length / math.ceil(length / side)) for length in lengths]
    return [shift_slices(tile, part) for tile in block_slices(lengths, sides)]


def _tile_side(network: Network, spatial_ndim: int) -> int:
    """Return the side of tiles whose maps take no more than a quarter of the free memory."""
    weight = network.classifier.weight
    n_clusters, n_features = weight.shape[:2]
    per_pixel = inference_bytes_per_pixel(
        n_features, n_clusters, network.precision.itemsize, weight.element_size()
    )
    largest = LARGEST_MAP.get(weight.device.type, LARGEST_MAP_ELSEWHERE) // n_features
    n_pixels = min(largest, free_bytes(weight.device) // 4 // per_pixel)
    return max(SMALLEST_TILE, int(n_pixels ** (1 / spatial_ndim)))


@torch.no_grad()
def _label(
    network: Network, image: NormalizedImage, place: Slices, n_labels: int | None
) -> NDArray[np.unsignedinteger]:
    """Return the labels of one tile."""
    halo = len(network.features) if isinstance(network.features, Components) else 0
    outer, inner = add_halo(place, [halo] * len(place), image.valid.shape)
    valid = image.valid[outer]
    # an array of its own: the tile is a view with gaps, and the image may be read-only
    tile = torch.from_numpy(image.values[:, *outer].copy()).to(network.device)[None]
    inside = None if valid.all() else torch.from_numpy(valid.copy()).to(network.device)[None]
    responses = network(tile, inside)[0, :n_labels].movedim(0, -1)
    # argmax takes twice as long on a CPU
    clusters = responses[inner].max(-1).indices.cpu().numpy()
    labels: NDArray[np.unsignedinteger] = (clusters + 1) * image.valid[place]
    return labels
