"""What a trained network finds in images: clusters, and a hierarchy of segments made of them."""

import abc
from collections.abc import Generator, Sequence
from typing import Unpack

from numpy.typing import ArrayLike

from napari_unsupseg._generators import map_yields, run_to_end
from napari_unsupseg._typing import Labels
from napari_unsupseg.errors import ImageError
from napari_unsupseg.image.channels import ImageChannels, as_array, split_channels
from napari_unsupseg.image.normalize import NormalizedImage, normalize_image
from napari_unsupseg.image.tiling import is_lazy
from napari_unsupseg.learning.checkpoint import Checkpoint
from napari_unsupseg.learning.devices import translate_out_of_memory
from napari_unsupseg.learning.inference import predict_generator
from napari_unsupseg.learning.lazy_inference import LazyLabels
from napari_unsupseg.options import AxesOptions, PredictOptions, documented
from napari_unsupseg.regions.hierarchy import Hierarchy, check_cut
from napari_unsupseg.regions.hierarchy_builder import build_hierarchy_generator
from napari_unsupseg.regions.small_regions import merge_small_regions
from napari_unsupseg.settings import Settings

__all__ = ["Predictor"]


class Predictor(abc.ABC):
    """Finds the clusters of a trained network in images.

    Attributes
    ----------
    settings : Settings
        How intensities are brought to 0…1, and the smallest segment.
    """

    settings: Settings

    @abc.abstractmethod
    def _checkpoint(self) -> Checkpoint:
        """Return the trained network, or raise a `SettingError` if there is none yet."""

    @documented(PredictOptions)
    def predict(self, image: ArrayLike, **options: Unpack[PredictOptions]) -> Labels:
        """Find the clusters of a run in another image.

        The first call after a run has the network learn, for some seconds, the clusters that the
        run has kept. Intensities are brought to 0…1 by those of the other image.

        Parameters
        ----------
        image : array_like
            An image of any size, of the same channels, or a series of them. Labels of a dask
            array are a dask array.
        {options}

        Returns
        -------
        ndarray of uint8, uint16 or uint32, shape (..., Y, X)
            Labels with the numbers they have in the run; segments with `granularity` or
            `n_segments`.

        Raises
        ------
        SettingError
            If there is no network yet.
        ImageError
            If the image has other channels or axes than the one trained on.

        Examples
        --------
        >>> from skimage.data import coins
        >>> from napari_unsupseg import Segmenter, Settings
        >>> segmenter = Segmenter(Settings(iterations=5, superpixels=500))
        >>> segmenter.fit(coins()[::4, ::4]).predict(coins()[:50, :60]).shape
        (50, 60)
        """
        return run_to_end(self.predict_generator(image, **options))

    @documented(PredictOptions)
    def predict_generator(
        self,
        image: ArrayLike,
        *,
        granularity: float | None = None,
        n_segments: int | None = None,
        **options: Unpack[AxesOptions],
    ) -> Generator[float, None, Labels]:
        """Find the clusters of a run in another image, a part at a time.

        For those who want to know how far it is, or to leave off.

        Parameters
        ----------
        image : array_like
            An image of any size, of the same channels, or a series of them. Labels of a dask
            array are a dask array.
        {options}

        Yields
        ------
        float
            Share that is done, up to 1; none of a dask array, whose labels are computed later.

        Returns
        -------
        ndarray of uint8, uint16 or uint32, shape (..., Y, X)
            Labels with the numbers they have in the run; segments with `granularity` or
            `n_segments`.

        Raises
        ------
        SettingError
            If there is no network yet.
        ImageError
            If the image has other channels or axes than the one trained on.

        Examples
        --------
        >>> from skimage.data import coins
        >>> from napari_unsupseg import Segmenter, Settings
        >>> segmenter = Segmenter(Settings(iterations=5, superpixels=500)).fit(coins()[::4, ::4])
        >>> *_, last = segmenter.predict_generator(coins()[:100, :200])
        >>> last
        1.0
        """
        check_cut(n_segments, granularity)
        cuts = granularity is not None or n_segments is not None
        channels, mask, spacing = _split(image, **options)
        if is_lazy(channels.values):
            labels: Labels = self._lazy_labels(channels, mask, cuts=cuts).array()
            return labels
        normalized = self._normalize(channels, mask, spacing)
        if cuts:
            hierarchy = yield from self._hierarchy_of_image(normalized)
            return hierarchy.cut(n_segments=n_segments, granularity=granularity)
        return (yield from self._clusters_of_image(normalized))

    @documented(AxesOptions)
    def predict_hierarchy(
        self, image: ArrayLike, *, labels: Labels | None = None, **options: Unpack[AxesOptions]
    ) -> Hierarchy:
        """Find segments of another image at every granularity, by the clusters of a run.

        Parameters
        ----------
        image : array_like
            An image of any size, of the same channels, or a series of them, but no dask array.
        {options}
        labels : ndarray of unsigned integers, shape (..., Y, X), optional
            What `predict` found in the image, which need not be found again then.

        Returns
        -------
        Hierarchy
            Its cuts are what `predict` returns with `granularity` or `n_segments`, each in an
            instant.

        Raises
        ------
        SettingError
            If there is no network yet.
        ImageError
            If the image has other channels or axes than the one trained on, or labels another
            shape than it.
        """
        return run_to_end(self.predict_hierarchy_generator(image, labels=labels, **options))

    @documented(AxesOptions)
    def predict_hierarchy_generator(
        self, image: ArrayLike, *, labels: Labels | None = None, **options: Unpack[AxesOptions]
    ) -> Generator[float, None, Hierarchy]:
        """Find segments of another image as `predict_hierarchy` does, a part at a time.

        Parameters
        ----------
        image : array_like
            An image of any size, of the same channels, or a series of them, but no dask array.
        {options}
        labels : ndarray of unsigned integers, shape (..., Y, X), optional
            What `predict` found in the image, which need not be found again then.

        Yields
        ------
        float
            Share that is done, from 0 to 1.

        Returns
        -------
        Hierarchy
            Segments of the image at every granularity.
        """
        normalized = self._normalize(*_split(image, **options))
        if labels is not None:
            labels = as_array("labels", labels)
        if labels is not None and labels.shape != normalized.valid.shape:
            raise ImageError(
                f"labels have shape {labels.shape} and the image {normalized.valid.shape}: give "
                "those that predict found in it"
            )
        return (yield from self._hierarchy_of_image(normalized, labels))

    def lazy_labels(
        self, image: ArrayLike, *, axes: str | None = None, channel_axis: int | None = None
    ) -> LazyLabels:
        """Find the clusters of a run in a dask array, one part at a time.

        Parameters
        ----------
        image : dask array
            An image of any size, of the same channels, or a series of them.
        axes : str, optional
            What each axis is, one letter an axis, as in `segment`.
        channel_axis : int, optional
            In place of `axes`: the axis that holds the channels.

        Returns
        -------
        LazyLabels
            Of which any part can be computed; it keeps the network as it is now.

        Raises
        ------
        SettingError
            If there is no network yet.
        ImageError
            If the image has other channels or axes than the one trained on.
        """
        return self._lazy_labels(split_channels(image, axes, channel_axis), None, cuts=False)

    def _normalize(
        self, channels: ImageChannels, mask: ArrayLike | None, spacing: Sequence[float] | None
    ) -> NormalizedImage:
        """Return an image as the network sees it, unless it is of another kind than its own."""
        checkpoint = self._checkpoint()
        normalized = normalize_image(
            channels, mask, self.settings.intensity, checkpoint.spatial_ndim, spacing=spacing
        )
        checkpoint.check_image(normalized)
        return normalized

    def _clusters_of_image(self, image: NormalizedImage) -> Generator[float, None, Labels]:
        """Yield how far it is, and return the clusters found in an image."""
        checkpoint = self._checkpoint()
        labels = yield from predict_generator(
            checkpoint.network, image, n_labels=checkpoint.n_labels
        )
        if self.settings.min_size > 1:
            labels = merge_small_regions(labels, image, self.settings.min_size)
        return labels

    def _hierarchy_of_image(
        self, image: NormalizedImage, labels: Labels | None = None
    ) -> Generator[float, None, Hierarchy]:
        """Yield how far it is, and return the hierarchy of an image by the clusters found in it."""
        begun = 0.0
        if labels is None:
            begun = 0.5  # finding clusters and making the hierarchy take about as long
            labels = yield from map_yields(
                self._clusters_of_image(image), lambda share: begun * share
            )
        parts = build_hierarchy_generator(image, [labels], min_size=self.settings.min_size)
        with translate_out_of_memory(self._checkpoint().network.device):
            return (yield from map_yields(parts, lambda share: begun + (1 - begun) * share))

    def _lazy_labels(
        self, channels: ImageChannels, mask: ArrayLike | None, *, cuts: bool
    ) -> LazyLabels:
        """Return labels of a lazy image, unless more is asked for than can be had of it."""
        if mask is not None or cuts or self.settings.min_size > 1:
            raise ImageError(
                "of a dask array only clusters can be predicted, without mask, granularity, "
                "n_segments or min_size; compute a part of it for these"
            )
        labels = LazyLabels(channels, self._checkpoint())
        self._checkpoint().check_image(labels.crops)
        return labels


def _split(
    image: ArrayLike,
    *,
    axes: str | None = None,
    channel_axis: int | None = None,
    mask: ArrayLike | None = None,
    spacing: Sequence[float] | None = None,
) -> tuple[ImageChannels, ArrayLike | None, Sequence[float] | None]:
    """Return an image with its channels first, and the mask and the spacing that go with it."""
    return split_channels(image, axes, channel_axis), mask, spacing
