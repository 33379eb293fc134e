"""Labels of an image larger than memory, computed where they are asked for."""

import dataclasses
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from napari_unsupseg._typing import Labels
from napari_unsupseg.image.channels import ImageChannels
from napari_unsupseg.image.normalize import (
    NormalizedImage,
    find_valid_pixels,
    normalize_crops,
    normalize_image,
)
from napari_unsupseg.image.tiling import Slices, add_halo, map_chunks_with_halo
from napari_unsupseg.learning.checkpoint import Checkpoint
from napari_unsupseg.learning.inference import predict
from napari_unsupseg.regions.labels import label_dtype

__all__ = ["LazyLabels"]


class LazyLabels:
    """Labels of a dask array by a trained network, any part of them at any time.

    Parameters
    ----------
    channels : ImageChannels
        The image; its values are a dask array, shape (C, ..., Y, X).
    checkpoint : Checkpoint
        The trained network.

    Attributes
    ----------
    shape : tuple of int
        Shape of the labels, (..., Y, X).
    dtype : type
        Data type of the labels.
    spatial_ndim : int
        Axes of a frame, the last ones.
    crops : NormalizedImage
        Crops from all over the image. The intensities that become 0 and 1 in them do so in every
        part of the image.
    """

    def __init__(self, channels: ImageChannels, checkpoint: Checkpoint) -> None:
        self._channels = channels
        self._checkpoint = checkpoint
        settings = checkpoint.settings
        self.shape = channels.values.shape[1:]
        self.dtype = label_dtype(settings.max_clusters)
        self.spatial_ndim = checkpoint.spatial_ndim
        self.crops = normalize_crops(
            channels, settings.intensity, checkpoint.spatial_ndim, settings.seed
        )

    def array(self) -> Any:
        """Return the labels of all of the image.

        Returns
        -------
        dask array of unsigned integers, shape (..., Y, X)
            The labels, of which nothing is computed yet.
        """
        return map_chunks_with_halo(
            self._channels.values,
            self._label,
            halo=self._checkpoint.halo,
            spatial_ndim=self.spatial_ndim,
            dtype=self.dtype,
        )

    def label_crops(self) -> Labels:
        """Return the labels of the crops.

        Returns
        -------
        ndarray of unsigned integers, shape (crops, y, x) or (crops, z, y, x)
            0 where a pixel takes no part.
        """
        return self._predict(self.crops)

    def compute(self, part: Slices, step: int = 1) -> Labels:
        """Compute the labels of a part of the image.

        Parameters
        ----------
        part : tuple of slice
            The part, along each axis of the labels.
        step : int
            Distance along y and x, in pixels, from one pixel that is labelled to the next. The
            labels are those that the pixels have in the whole image. Where a step is longer than
            what the network sees of a pixel, all pixels between are left out of the computation.

        Returns
        -------
        ndarray of unsigned integers, shape (..., y, x)
            Labels of ``[part][..., ::step, ::step]``.
        """
        # nothing beyond the last pixel that is labelled: it may lie in a chunk less to read
        *leading, rows, columns = part
        part = (*leading, *(_up_to_last_step(along, step) for along in (rows, columns)))
        halo = self._checkpoint.halo
        halos = [0] * (len(part) - self.spatial_ndim) + [halo] * self.spatial_ndim
        outer, inner = add_halo(part, halos, self.shape)
        lazy: Any = self._channels.values[:, *outer]
        # the caller has a thread of its own for this already
        values = lazy.compute(scheduler="sync")  # (C, ..., y, x)
        if self.spatial_ndim == 2 and step > 2 * halo + 1:
            return self._label_every(values, inner, step)
        labels: Labels = self._label(values)[inner][..., ::step, ::step]
        return labels

    def _label(self, values: NDArray[np.generic]) -> Labels:
        """Label a part of the image, (C, ..., y, x), as if it were all."""
        if _is_empty(values):
            return np.zeros(values.shape[1:], dtype=self.dtype)
        return self._predict(self._normalize(values))

    def _label_every(self, values: NDArray[np.generic], inner: Slices, step: int) -> Labels:
        """Label every `step`-th pixel of the part `inner` of some values (C, ..., y, x).

        The network gets a mosaic: what it sees of each of these pixels, a window, side by side.
        """
        rows, columns = inner[-2:]
        shape = [len(range(along.start, along.stop, step)) for along in (rows, columns)]
        if _is_empty(values):
            return np.zeros((*values.shape[1:-2], *shape), dtype=self.dtype)
        normalized = self._normalize(values)
        # at the image's borders the halo is cut off: it is filled up with pixels that take no part
        halo = self._checkpoint.halo
        window = 2 * halo + 1
        padding = [
            (halo - along.start, along.stop + halo - length)
            for along, length in zip((rows, columns), values.shape[-2:], strict=True)
        ]
        mosaic = dataclasses.replace(
            normalized,
            values=_mosaic(_pad_last(normalized.values, padding), window, step),
            valid=_mosaic(_pad_last(normalized.valid, padding), window, step),
        )
        labels = self._predict(mosaic)
        return labels[..., halo::window, halo::window]  # the centre of each window

    def _predict(self, image: NormalizedImage) -> Labels:
        """Label a normalised image by the clusters that the run has kept."""
        return predict(self._checkpoint.network, image, n_labels=self._checkpoint.n_labels)

    def _normalize(self, values: NDArray[np.generic]) -> NormalizedImage:
        """Scale the intensities of a part as those of all others."""
        return normalize_image(
            dataclasses.replace(self._channels, values=values),
            None,
            self._checkpoint.settings.intensity,
            self.spatial_ndim,
            self.crops.limits,
        )


def _up_to_last_step(along: slice, step: int) -> slice:
    """Return a slice that ends with the last pixel a whole number of steps from its first."""
    n_steps = (along.stop - along.start - 1) // step
    return slice(along.start, along.start + n_steps * step + 1)


def _is_empty(values: NDArray[np.generic]) -> bool:
    """Tell whether no pixel of a part (C, ..., y, x) takes part."""
    return not find_valid_pixels(values, None).any()


def _pad_last(array: NDArray[Any], padding: list[tuple[int, int]]) -> NDArray[Any]:
    """Pad the last two axes of an array by zeros."""
    return np.pad(array, [(0, 0)] * (array.ndim - 2) + padding)


def _mosaic(array: NDArray[Any], window: int, step: int) -> NDArray[Any]:
    """Lay the windows of an array, one each `step` along its last two axes, side by side."""
    windows = sliding_window_view(array, (window, window), axis=(-2, -1))
    windows = windows[..., ::step, ::step, :, :]  # (..., rows, columns, window, window)
    rows, columns = windows.shape[-4:-2]
    return windows.swapaxes(-3, -2).reshape(*array.shape[:-2], rows * window, columns * window)
