"""Labels of an image larger than memory, found where they are asked for."""

import dataclasses
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from napari_unsupseg._typing import Labels
from napari_unsupseg.image.channels import ImageChannels
from napari_unsupseg.image.normalize import NormalizedImage, normalize_crops, normalize_image
from napari_unsupseg.image.tiling import Slices, add_halo, map_chunks_with_halo
from napari_unsupseg.learning.checkpoint import Checkpoint
from napari_unsupseg.learning.inference import predict
from napari_unsupseg.regions.labels import label_dtype

__all__ = ["LazyLabels"]


class LazyLabels:
    """What a trained network finds in a dask array, any part of it at any time.

    Parameters
    ----------
    channels : ImageChannels
        Its values a dask array.
    model : Model
        The network.

    Attributes
    ----------
    shape : tuple of int
        Of the labels.
    dtype : type
        Of the labels.
    spatial_ndim : int
        Axes of a frame, the last ones.
    prepared : NormalizedImage
        Crops from all over the image, whose intensities are brought to 0…1 as all others are.
    """

    def __init__(self, channels: ImageChannels, model: Checkpoint) -> None:
        self._channels = channels
        self._model = model
        settings = model.settings
        self.shape = channels.values.shape[1:]
        self.dtype = label_dtype(settings.max_clusters)
        self.spatial_ndim = model.spatial_ndim
        self.prepared = normalize_crops(
            channels, settings.intensity, model.spatial_ndim, settings.seed
        )

    def array(self) -> Any:
        """Return all labels.

        Returns
        -------
        dask array, shape (..., Y, X)
            Nothing of it is computed yet.
        """
        return map_chunks_with_halo(
            self._channels.values,
            self._label,
            halo=self._model.halo,
            spatial_ndim=self.spatial_ndim,
            dtype=self.dtype,
        )

    def compute(self, place: Slices, step: int = 1) -> Labels:
        """Find the labels of a part of the image.

        Parameters
        ----------
        place : tuple of slice
            The part.
        step : int
            Along y and x, from one pixel to label to the next. The labels are those of the whole;
            far fewer pixels are looked at than it has where the network sees less than a step.

        Returns
        -------
        ndarray of unsigned integers, shape (..., y, x)
            Labels of ``[place][..., ::step, ::step]``.
        """
        halo, values = self._model.halo, self._channels.values
        # no further than the last pixel to label: a chunk less to read
        ends = [along.start + (along.stop - along.start - 1) // step * step + 1 for along in place]
        within = [slice(p.start, end) for p, end in zip(place[-2:], ends[-2:], strict=True)]
        place = (*place[:-2], *within)
        around = [0] * (len(place) - self.spatial_ndim) + [halo] * self.spatial_ndim
        outer, inner = add_halo(place, around, self.shape)
        part: Any = values[:, *outer]
        part = part.compute(scheduler="sync")  # this thread is beside the window already
        window = 2 * halo + 1
        if self.spatial_ndim == 2 and step > window:
            return self._sample(part, inner, step)
        labels: Labels = self._label(part)[inner][..., ::step, ::step]
        return labels

    def _label(self, part: NDArray[np.generic]) -> Labels:
        """Label a part of the image, channels first, as if it were all."""
        if _is_empty(part):
            return np.zeros(part.shape[1:], dtype=self.dtype)
        return self._predict(self._prepare(part))

    def _sample(self, part: NDArray[np.generic], inner: Slices, step: int) -> Labels:
        """Label every so manyth pixel: a mosaic of what the network sees of each, side by side."""
        halo = self._model.halo
        window = 2 * halo + 1
        sampled = tuple(len(range(place.start, place.stop, step)) for place in inner[-2:])
        if _is_empty(part):
            return np.zeros((*part.shape[1:-2], *sampled), dtype=self.dtype)
        prepared = self._prepare(part)
        # what lies beyond the image is as invalid as a pixel without a value
        missing = [
            (halo - place.start, place.stop + halo - length)
            for place, length in zip(inner[-2:], part.shape[-2:], strict=True)
        ]
        mosaics = [
            _mosaic(np.pad(array, [*[(0, 0)] * (array.ndim - 2), *missing]), window, step)
            for array in (prepared.values, prepared.valid)
        ]
        mosaic = dataclasses.replace(prepared, values=mosaics[0], valid=mosaics[1])
        labels = self._predict(mosaic)
        return labels[..., halo::window, halo::window]

    def _predict(self, image: NormalizedImage) -> Labels:
        model = self._model
        return predict(model.network, image, n_labels=model.n_labels)

    def _prepare(self, part: NDArray[np.generic]) -> NormalizedImage:
        return normalize_image(
            dataclasses.replace(self._channels, values=part),
            None,
            self._model.settings.intensity,
            self.spatial_ndim,
            self.prepared.limits,
        )


def _is_empty(part: NDArray[np.generic]) -> bool:
    """Tell whether no pixel of a part, channels first, takes part."""
    return part.dtype.kind == "f" and bool(np.isnan(part).any(axis=0).all())


def _mosaic(array: NDArray[np.generic], window: int, step: int) -> NDArray[Any]:
    """Put the windows of an array, one each step along its last two axes, side by side."""
    windows = sliding_window_view(array, (window, window), axis=(-2, -1))[..., ::step, ::step, :, :]
    rows, columns = windows.shape[-4:-2]
    return windows.swapaxes(-3, -2).reshape(*array.shape[:-2], rows * window, columns * window)
