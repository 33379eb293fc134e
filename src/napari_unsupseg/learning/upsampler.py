"""Labels of the whole image while the network trains on a sample of it."""

import copy
import dataclasses
from typing import Self

from napari_unsupseg._typing import Labels
from napari_unsupseg.image.normalize import NormalizedImage
from napari_unsupseg.learning.inference import predict
from napari_unsupseg.learning.network import Network
from napari_unsupseg.learning.resampling import upsample_labels

__all__ = ["LabelUpsampler"]


@dataclasses.dataclass(frozen=True, eq=False)
class LabelUpsampler:
    """Makes labels of the whole image from those of a training sample.

    A whole sample has a label for each block of the image. A sample of tiles has none for most of
    the image: the network labels a preview, the image made smaller, in their place.

    Attributes
    ----------
    image : NormalizedImage
        The whole image.
    factor : int
        Side of the blocks that the sample, or the preview, was averaged over.
    preview : NormalizedImage or None
        What is labelled in place of the sample; None if the sample is whole.
    network : Network or None
        The network that labels the preview.
    """

    image: NormalizedImage
    factor: int
    preview: NormalizedImage | None = None
    network: Network | None = None

    def snapshot(self, network: Network) -> Self:
        """Return an upsampler for the labels of a network as it is now; training may go on."""
        if self.preview is None:
            return self
        return dataclasses.replace(self, network=copy.deepcopy(network))

    def upsample(self, labels: Labels) -> Labels:
        """Return labels of the whole image.

        Parameters
        ----------
        labels : ndarray of unsigned integers, shape (N, [z,] y, x)
            Labels of the sample, which tell nothing if there is a preview.

        Returns
        -------
        ndarray of unsigned integers, shape (..., Y, X)
            Labels from 1, 0 at pixels that take no part.
        """
        if self.preview is not None and self.network is not None:
            labels = predict(self.network, self.preview)
        if labels.size == self.image.valid.size:  # at full size already
            return labels.reshape(self.image.valid.shape)
        return upsample_labels(labels, self.factor, self.image)
