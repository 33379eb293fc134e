"""A trained network on an image of any size, tile by tile."""

import functools
import math
import warnings
from collections.abc import Callable, Generator, Iterator

import numpy as np
import torch

from napari_unsupseg._generators import run_to_end
from napari_unsupseg._typing import Labels
from napari_unsupseg.errors import OutOfMemoryError
from napari_unsupseg.image.normalize import NormalizedImage
from napari_unsupseg.image.tiling import Slices, add_halo, block_slices, shift_slices
from napari_unsupseg.learning.cost import inference_bytes_per_pixel
from napari_unsupseg.learning.devices import free_bytes, translate_out_of_memory
from napari_unsupseg.learning.network import Components, Network
from napari_unsupseg.learning.threads import CoreThreads
from napari_unsupseg.regions.labels import label_dtype

__all__ = ["predict", "predict_generator"]

# values of a tile's map of features; on a CPU, those of a larger one leave a core's cache
MAX_MAP_VALUES = {"cpu": 2**20}
MAX_MAP_VALUES_ELSEWHERE = 2**28
MIN_TILE = 32  # pixels, the side below which tiles are not made smaller


def predict(
    network: Network,
    image: NormalizedImage,
    *,
    n_labels: int | None = None,
    tile: int | None = None,
) -> Labels:
    """Label every pixel of an image by a trained network.

    Parameters
    ----------
    network : Network
        Its normalisations use the statistics that they have stored; it is left in evaluation mode.
        A caller's module in place of the components sees each frame whole.
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
) -> Generator[float, None, Labels]:
    """Label an image as `predict` does, some tiles at a time, so that it can be left off.

    Parameters
    ----------
    network, image, n_labels, tile
        As `predict` takes them.

    Yields
    ------
    float
        Share of the pixels that have labels, up to 1.

    Returns
    -------
    ndarray of uint8 or uint16, shape (..., Y, X)
        Labels 1 to q, 0 at pixels that take no part.

    Raises
    ------
    OutOfMemoryError
        If not even the smallest tile fits.
    """
    network.eval()
    labels = np.zeros(image.valid.shape, dtype=label_dtype(len(network.classifier.weight)))
    tiling = _Tiling(network, image, tile)
    n_labelled = 0
    # a frame that is seen whole is one tile, for which one thread is enough
    with CoreThreads(network.device, None if tiling.is_tiled else 1) as threads:
        frames = zip(labels.reshape(-1, *image.frame_shape), image.frames(), strict=True)
        for frame_labels, frame in frames:
            label = functools.partial(_label_tile, network, n_labels, frame)
            for tile_labels in tiling.map(label, threads):
                for slices, found in tile_labels:
                    frame_labels[slices] = found
                    n_labelled += found.size
                yield n_labelled / labels.size
    return labels


class _Tiling:
    """The tiles of an image's frames: as large as memory allows, smaller once it has run out.

    Parameters
    ----------
    network : Network
        The network that labels the tiles.
    image : NormalizedImage
        The image.
    side : int, optional
        Side of the tiles in pixels; by default as the free memory allows.

    Attributes
    ----------
    is_tiled : bool
        False for a caller's module: nobody knows how far it sees, so that a tile is a whole frame.
    """

    def __init__(self, network: Network, image: NormalizedImage, side: int | None) -> None:
        self.is_tiled = isinstance(network.features, Components)
        self._device = network.device
        self._frame_shape = image.frame_shape
        self._side = max(image.frame_shape)
        if self.is_tiled:
            self._side = side or _tile_side(network, image.spatial_ndim)

    def map(
        self, label: Callable[[Slices], Labels], threads: CoreThreads
    ) -> Iterator[list[tuple[Slices, Labels]]]:
        """Label the tiles of one frame.

        Parameters
        ----------
        label : callable
            Labels of a tile, given its slices.
        threads : CoreThreads
            They label a tile each.

        Yields
        ------
        list of (tuple of slice, ndarray of unsigned integers)
            The tiles labelled at one time, with their labels.

        Raises
        ------
        OutOfMemoryError
            If not even the smallest tile fits.
        """
        pending = self._split(tuple(slice(0, length) for length in self._frame_shape))
        while pending:
            tiles = pending[: threads.n_threads]
            try:
                labels = threads.map(label, tiles)
            except OutOfMemoryError:
                if not self.is_tiled or self._side <= MIN_TILE:
                    raise
                self._halve_side()
                # the tiles that failed, and all that follow
                pending = [smaller for tile in pending for smaller in self._split(tile)]
            else:
                del pending[: len(tiles)]
                yield list(zip(tiles, labels, strict=True))

    def _halve_side(self) -> None:
        """Make tiles smaller from here on, in later frames too, and say so."""
        self._side //= 2
        size = " × ".join([str(self._side)] * len(self._frame_shape))
        warnings.warn(
            f"{self._device} ran out of memory: labels are made in tiles of {size} pixels from "
            "here on",
            stacklevel=4,
        )

    def _split(self, part: Slices) -> list[Slices]:
        """Cut a part of a frame into tiles of about one size, at most the side along each axis."""
        lengths = [along.stop - along.start for along in part]
        sides = [math.ceil(length / math.ceil(length / self._side)) for length in lengths]
        return [shift_slices(tile, part) for tile in block_slices(lengths, sides)]


def _tile_side(network: Network, spatial_ndim: int) -> int:
    """Return the side of tiles whose maps take no more than a quarter of the free memory."""
    weight = network.classifier.weight
    n_clusters, n_features = weight.shape[:2]
    bytes_per_pixel = inference_bytes_per_pixel(
        n_features, n_clusters, network.precision.itemsize, weight.element_size()
    )
    max_pixels = MAX_MAP_VALUES.get(weight.device.type, MAX_MAP_VALUES_ELSEWHERE) // n_features
    n_pixels = min(max_pixels, free_bytes(weight.device) // 4 // bytes_per_pixel)
    return max(MIN_TILE, int(n_pixels ** (1 / spatial_ndim)))


def _label_tile(
    network: Network, n_labels: int | None, frame: NormalizedImage, tile: Slices
) -> Labels:
    """Return the labels of one tile of a frame.

    The network sees the tile with a halo around it as wide as it looks, one pixel a component, so
    that the labels are those of the whole frame.
    """
    halo = len(network.features) if isinstance(network.features, Components) else 0
    outer, inner = add_halo(tile, [halo] * len(tile), frame.valid.shape)
    # torch gets copies: an image may be read-only, which a tensor cannot be
    values, valid = frame.values[:, *outer].copy(), frame.valid[outer]
    with translate_out_of_memory(network.device), torch.no_grad():
        image = torch.from_numpy(values).to(network.device)[None]  # (1, C, [z,] y, x)
        inside = None if valid.all() else torch.from_numpy(valid.copy()).to(network.device)[None]
        responses = network(image, inside)[0, :n_labels].movedim(0, -1)  # ([z,] y, x, labels)
        # argmax takes twice as long as max on a CPU
        clusters = responses[inner].max(-1).indices.cpu().numpy()
    labels: Labels = (clusters + 1) * frame.valid[tile]
    return labels
