"""How the axes of an image lie in napari's layers: its labels have no channels, a layer may."""

import dataclasses
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg._typing import Labels
from napari_unsupseg.image.axes import CHANNELS, SAMPLES, labels_shape
from napari_unsupseg.plugin.large.pyramid import LabelPyramid
from napari_unsupseg.plugin.layers import layer_array
from napari_unsupseg.regions.labels import label_dtype

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["Layout"]

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclasses.dataclass(frozen=True)
class Layout:
    """The axes of an image and of its layers.

    It asks no layer, since the layer of an image may have other data by the end of a run.

    Attributes
    ----------
    shape : tuple of int
        Shape of the image.
    axes : str
        One letter for each of its axes.
    is_rgb : bool
        Whether napari shows the last axis as colours; it is no axis of the layer then.
    """

    shape: tuple[int, ...]
    axes: str
    is_rgb: bool

    @classmethod
    def of(cls, layer: "Image", axes: str) -> Self:
        """Return the layout of an Image layer as it is now.

        Parameters
        ----------
        layer : napari.layers.Image
            The image.
        axes : str
            One letter for each of its axes.

        Returns
        -------
        Layout
            Its layout.
        """
        return cls(layer_array(layer).shape, axes, bool(layer.rgb))

    @property
    def layer_axes(self) -> str:
        """One letter for each axis of the Image layer."""
        return self.axes[:-1] if self.is_rgb else self.axes

    @property
    def channel_axis(self) -> int | None:
        """The axis of the Image layer that holds channels."""
        found = (self.layer_axes.find(letter) for letter in CHANNELS + SAMPLES)
        return next((axis for axis in found if axis >= 0), None)

    @property
    def kept_axes(self) -> list[int]:
        """Axes of the Image layer that its Labels layer has too.

        A leading channel axis is left out. napari aligns layers by their last axes, so labels are
        repeated along one that lies behind or between others.
        """
        return list(range(len(self.layer_axes)))[1 if self.channel_axis == 0 else 0 :]

    @property
    def labels_axes(self) -> str:
        """One letter for each axis of the Labels layer."""
        return "".join(self.layer_axes[axis] for axis in self.kept_axes)

    @property
    def labels_shape(self) -> tuple[int, ...]:
        """Shape of the data of the Labels layer."""
        return tuple(self.shape[axis] for axis in self.kept_axes)

    def axes_within_frames(self, spatial_ndim: int) -> list[int]:
        """Return the axes of the Labels layer that no frames lie along.

        Parameters
        ----------
        spatial_ndim : int
            Axes of a frame, 2 or 3.

        Returns
        -------
        list of int
            Those of a frame, and of channels.
        """
        within = "zyx"[-spatial_ndim:] + CHANNELS + SAMPLES
        return [axis for axis, letter in enumerate(self.labels_axes) if letter in within]

    def to_layer(self, labels: NDArray[Scalar]) -> NDArray[Scalar]:
        """Give labels of the image the axes that their layer has.

        Parameters
        ----------
        labels : ndarray, shape (..., Y, X)
            Labels of the image, or what is known of each.

        Returns
        -------
        ndarray
            The labels, repeated along a channel axis that lies behind or between others.
        """
        axis = self.channel_axis
        if not axis:
            return labels
        return np.repeat(np.expand_dims(labels, axis), self.shape[axis], axis=axis)

    def from_layer(self, data: Labels) -> Labels:
        """Give data of a Labels layer the axes that labels of the image have.

        It is the inverse of `to_layer`.

        Parameters
        ----------
        data : ndarray of unsigned integers
            Data of a Labels layer.

        Returns
        -------
        ndarray of unsigned integers, shape (..., Y, X)
            Labels of the image; the greatest of a pixel's, where they differ among channels.
        """
        axis = self.channel_axis
        if not axis:
            return data
        without_channels: Labels = data.max(axis=axis)
        return without_channels

    def blank_labels(self, max_clusters: int) -> Labels:
        """Return the data of a Labels layer before the first iteration.

        Parameters
        ----------
        max_clusters : int
            q, which decides the data type.

        Returns
        -------
        ndarray of uint8 or uint16
            Zeros.
        """
        return np.zeros(self.labels_shape, dtype=label_dtype(max_clusters))

    def blank_pyramid(self, max_clusters: int) -> LabelPyramid:
        """Return the labels of an image that is too large to be loaded, before the first iteration.

        Parameters
        ----------
        max_clusters : int
            q, which decides the data type.

        Returns
        -------
        LabelPyramid
            Zeros, repeated along a channel axis as by `to_layer`.

        Raises
        ------
        FileError
            If a package is missing.
        """
        shape = labels_shape(self.shape, self.axes)
        axis = self.channel_axis
        channels = (axis, self.shape[axis]) if axis else None
        return LabelPyramid(shape, label_dtype(max_clusters), channels)
