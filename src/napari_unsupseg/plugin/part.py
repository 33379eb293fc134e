"""The part of an image that a run trains on, and where its labels lie in the whole."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg.axes import CHANNELS, SAMPLES
from napari_unsupseg.lazy import Place, crop_places, is_large
from napari_unsupseg.plugin.region import Region, cropped

if TYPE_CHECKING:
    from napari_unsupseg.plugin.pyramid import LabelPyramid

__all__ = ["TrainedPart"]

Labels = NDArray[np.unsignedinteger]


class TrainedPart:
    """All of an image, a region of it, or crops of either if it is too large to be loaded.

    Parameters
    ----------
    image : array_like
        The image.
    axes : str
        One letter for each of its axes.
    spatial_ndim : int
        Axes of a frame.
    seed : int
        Decides which crops.
    region : tuple of slice, optional
        Along y and x.
    pyramid : LabelPyramid, optional
        Where the labels go of an image that is too large to be loaded.

    Attributes
    ----------
    image : array_like
        What to take steps on.
    """

    def __init__(
        self,
        image: Any,
        axes: str,
        spatial_ndim: int,
        seed: int,
        region: Region | None = None,
        pyramid: "LabelPyramid | None" = None,
    ) -> None:
        self.image = image if region is None else cropped(image, axes, region)
        self._pyramid = pyramid
        self._shape, shape = _labels_shape(image, axes), _labels_shape(self.image, axes)
        self._has_crops = is_large(self.image)
        self._places: list[Place] = [tuple(slice(0, n) for n in shape)]
        if self._has_crops:
            self._places = crop_places(shape, spatial_ndim, seed)
        if region is not None:
            self._places = [_shifted(place, region) for place in self._places]

    def in_region(self, labels: Labels) -> Labels:
        """Return labels of the whole image where the part lies, unless it has crops."""
        [place] = self._places
        return labels[place]

    def whole(self, labels: Labels) -> Labels:
        """Put labels of the part to where they lie in the image.

        Parameters
        ----------
        labels : ndarray of unsigned integers
            Of a step.

        Returns
        -------
        ndarray of unsigned integers, shape (..., Y, X)
            Labels of the image, 0 outside the part; those given if they are in the pyramid.
        """
        if self._pyramid is not None:
            of_places = labels if self._has_crops else [labels]
            for place, found in zip(self._places, of_places, strict=True):
                lengths = [along.stop - along.start for along in place]
                self._pyramid.write(place, found.reshape(lengths))
            return labels
        if labels.shape == self._shape:
            return labels
        whole = np.zeros(self._shape, labels.dtype)
        whole[self._places[0]] = labels
        return whole


def _labels_shape(image: Any, axes: str) -> tuple[int, ...]:
    lengths = zip(axes, image.shape, strict=True)
    return tuple(n for axis, n in lengths if axis not in CHANNELS + SAMPLES)


def _shifted(place: Place, region: Region) -> Place:
    """Return a part of a region as a part of the image."""
    within = (
        slice(along.start + by.start, along.stop + by.start)
        for along, by in zip(place[-2:], region, strict=True)
    )
    return (*place[:-2], *within)
