"""The rooms put in order by `Segmenter`: an image goes in, labels come out, step by step."""

import os
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar, Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

import napari_unsupseg
from napari_unsupseg._generators import run_to_end
from napari_unsupseg.errors import ImageError, SettingError, StrokesError
from napari_unsupseg.image.image_list import is_image_list, split_maps
from napari_unsupseg.image.normalize import NormalizedImage
from napari_unsupseg.io.run_archive import holds_run, write_archive
from napari_unsupseg.learning.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from napari_unsupseg.learning.devices import (
    processor_name,
    resolve_device,
    resolve_precision,
    translate_out_of_memory,
)
from napari_unsupseg.learning.predictor import Predictor
from napari_unsupseg.learning.run import Run
from napari_unsupseg.learning.run_file import load_run, pack_run
from napari_unsupseg.learning.step import Step
from napari_unsupseg.options import ImageOptions, check_flag, documented
from napari_unsupseg.regions.hierarchy import Hierarchy
from napari_unsupseg.settings import Settings

__all__ = ["Segmenter"]

AnyDtype = TypeVar("AnyDtype", bound=np.generic)


class Segmenter(Predictor):
    """A segmentation in steps, or with a network of your own.

    Parameters
    ----------
    settings : Settings, optional
        The defaults if left out.
    features : torch.nn.Module, optional
        Replaces the paper's convolution components: any module that maps (1, C, [Z,] Y, X) to
        (1, p, [Z,] Y, X). Each run trains a copy of it, from the weights it has.
    device : str
        ``'auto'`` for the GPU if there is one, ``'cpu'``, ``'cuda'``, ``'mps'``, ``'xpu'``.

    Attributes
    ----------
    labels_ : ndarray of uint8 or uint16, shape (..., Y, X), or list of them
        After `fit`: the labels; of several images a list in their order.
    n_iterations_ : int
        After `fit`: the number of iterations done.

    Raises
    ------
    SettingError
        If `settings` is something else.
    DeviceError
        If there is no such device.

    Examples
    --------
    >>> from skimage.data import coins
    >>> segmenter = Segmenter(Settings(iterations=5, superpixels=500))
    >>> for step in segmenter.steps(coins()[::4, ::4]):
    ...     if step.n_clusters < 50:
    ...         break
    >>> step.labels.shape
    (76, 96)
    """

    labels_: Any  # Labels; a list of them where a list of images was given
    n_iterations_: int

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        features: nn.Module | None = None,
        device: str = "auto",
    ) -> None:
        if not isinstance(settings, Settings | None):
            raise SettingError(
                f"settings must be made by Settings, such as Settings(iterations=50), got "
                f"{settings!r}"
            )
        self.settings = settings or Settings()
        self.features = features
        self.device = resolve_device(device)
        self.precision = resolve_precision(self.settings.precision, self.device)
        self._run: Run | None = None
        self._loaded: Checkpoint | None = None  # from a file

    @documented(ImageOptions)
    def fit(
        self,
        image: ArrayLike,
        *,
        warm_start: bool = False,
        **options: Unpack[ImageOptions],
    ) -> Self:
        """Train on an image, or on several together, to the end.

        Parameters
        ----------
        image : array_like, shape (Y, X), (Y, X, 3) or (Y, X, 4), or of more axes; or list of them
            Bool, integers or floats. Of a dask array of more than 2²⁵ values crops are trained on,
            and `labels_` is a dask array too. A list of arrays is several images, of any sizes and
            the same channels: one network is trained on all of them, a cluster has the same number
            in each [1]_, and `labels_` is a list in their order. Then `axes` is one for all or a
            list, and `mask` and `strokes` are lists with one for each image or None. Intensities of
            each are brought to 0…1 by its own, as `predict` brings those of another image.
        {options}
        warm_start : bool
            Go on from the network at hand, from `load` or an earlier run, with the clusters that
            it knows; by default begin anew.

        Returns
        -------
        Segmenter
            Itself, with `labels_` and `n_iterations_`.

        Raises
        ------
        UnsupsegError
            As `segment` raises it.

        References
        ----------
        .. [1] W. Kim, A. Kanezaki, M. Tanaka, "Unsupervised learning of image segmentation based
           on differentiable feature clustering", IEEE TIP 29 (2020), which calls them reference
           images. :doi:`10.1109/TIP.2020.3011269`

        Examples
        --------
        >>> from skimage.data import coins
        >>> left, right = coins()[::4, :160:4], coins()[::4, 160::4]
        >>> segmenter = Segmenter(Settings(iterations=5, superpixels=500)).fit([left, right])
        >>> [labels.shape for labels in segmenter.labels_]
        [(76, 40), (76, 56)]
        """
        for step in self.steps(image, warm_start=warm_start, **options):  # noqa: B007
            pass
        self._take_labels(step, is_list=is_image_list(image))
        if self._run is not None and self._run.is_cropped:
            axes, channel_axis = options.get("axes"), options.get("channel_axis")
            self.labels_ = self.lazy_labels(image, axes=axes, channel_axis=channel_axis).array()
        return self

    @documented(ImageOptions)
    def steps(
        self,
        image: ArrayLike,
        *,
        warm_start: bool = False,
        **options: Unpack[ImageOptions],
    ) -> Generator[Step, None, None]:
        """Train on an image, or on several together, one iteration at a time.

        Parameters
        ----------
        image : array_like, shape (Y, X), (Y, X, 3) or (Y, X, 4), or of more axes; or list of them
            Bool, integers or floats. Of a dask array of more than 2²⁵ values crops are trained on.
            Several images are given as to `fit`; the labels of a step are those of all of them,
            which `split` divides.
        {options}
        warm_start : bool
            Go on from the network at hand, from `load` or an earlier run, with the clusters that
            it knows; by default begin anew.

        Yields
        ------
        Step
            After each iteration, with its labels, number of clusters and loss. After the last:
            some with its labels while the hierarchy is made that the labels to keep come from, and
            one with these. Leave the loop at any time: the step at hand has the labels so far.
            Strokes can be changed between two steps, see `strokes`.

        Raises
        ------
        UnsupsegError
            As `segment` raises it.
        """
        check_flag("warm_start", warm_start)
        known = self._checkpoint() if warm_start else None
        if self._run is not None:
            self._run.leave()
        with translate_out_of_memory(self.device):
            run = Run.begin(
                image, self.settings, self.device, features=self.features, known=known, **options
            )
            self._run, self.precision = run, run.network.precision
            yield from run.steps()

    def split(self, labels: NDArray[AnyDtype]) -> list[NDArray[AnyDtype]]:
        """Divide the labels of a step among the images of the run.

        Parameters
        ----------
        labels : ndarray, shape (frames, [Z,] Y, X)
            Those of all images, frame by frame, each in the first corner of a frame that is as
            large as the largest. Of one image its own.

        Returns
        -------
        list of ndarray, shape (..., Y, X)
            The labels of each image, of its shape.

        Raises
        ------
        SettingError
            If there is no run yet.

        Examples
        --------
        >>> from skimage.data import coins
        >>> left, right = coins()[::4, :160:4], coins()[::4, 160::4]
        >>> segmenter = Segmenter(Settings(iterations=5, superpixels=500))
        >>> step = next(segmenter.steps([left, right]))
        >>> step.labels.shape, segmenter.split(step.labels)[0].shape
        ((2, 76, 56), (76, 40))
        """
        image = self.image_
        return split_maps(labels, image) if image.image_shapes else [labels]

    def resume(self) -> Generator[Step, None, None]:
        """Go on with a run where it was left, with its network, momentum and count of iterations.

        Yields
        ------
        Step
            As `steps` does. A run that was left does what is left of it; one that had come to its
            end trains as long again at most.

        Raises
        ------
        SettingError
            If there is no run to go on with.

        Examples
        --------
        >>> from skimage.data import coins
        >>> segmenter = Segmenter(Settings(iterations=5, superpixels=500))
        >>> first = next(segmenter.steps(coins()[::4, ::4]))
        >>> *_, last = segmenter.resume()
        >>> first.iteration, last.iteration
        (1, 5)
        """
        if self._run is None:
            raise SettingError("there is no run to go on with: take steps on an image, or fit it")
        with translate_out_of_memory(self.device):
            yield from self._run.steps()

    def finish(self) -> Generator[Step, None, None]:
        """End a run where it was left: make the labels to keep from what it has gone through.

        Yields
        ------
        Step
            As `steps` does after the last iteration: some while the hierarchy is made, and one with
            the labels. Of a run that keeps the network's own clusters there may be none.

        Raises
        ------
        SettingError
            If there is no run to end.

        Examples
        --------
        >>> from skimage.data import coins
        >>> segmenter = Segmenter(Settings(iterations=50, superpixels=500))
        >>> for step in segmenter.steps(coins()[::4, ::4]):
        ...     if step.iteration == 10:
        ...         break
        >>> *_, last = segmenter.finish()
        >>> int(last.labels.max()) <= segmenter.settings.final_clusters
        True
        """
        run = self._begun_run("there is no run to end: take steps on an image first")
        with translate_out_of_memory(self.device):
            yield from run.finish()

    @property
    def image_(self) -> NormalizedImage:
        """The image of the run as the network sees it, from the first step on.

        Several images are the frames of one, each in the first corner of a frame as large as the
        largest.
        """
        return self._begun_run("there is no run yet: fit an image first").image

    @property
    def given_(self) -> list[tuple[NDArray[Any] | None, str]]:
        """Each image of the run as it was given, and one letter for each of its axes.

        None in place of an image that was never loaded as it is.
        """
        run = self._begun_run("there is no run yet: fit an image first")
        return list(zip(run.pixels, run.axes, strict=True))

    @property
    def iterations_left_(self) -> int:
        """Iterations left of the run at most."""
        return self._begun_run("there is no run yet: fit an image first").iterations_left

    def seconds_left(self, seconds: float) -> float:
        """Estimate how long the rest of the run may take.

        Parameters
        ----------
        seconds : float
            What an iteration takes now; those at another size take longer or shorter.

        Returns
        -------
        float
            Seconds at most, without what comes after the last iteration.
        """
        return self._begun_run("there is no run yet: fit an image first").seconds_left(seconds)

    @property
    def strokes(self) -> Any:
        """Labels drawn on some pixels, shape (..., Y, X), 0 on all others; None if there are none.

        Those of the run at hand; of several images a list with one for each. They can be set at any
        time and from any thread, between two steps or during one, and count from the next iteration
        on: the run goes back to reduced size, if it began at that, for the iterations that are
        left. The array is copied.

        Raises
        ------
        StrokesError
            If no image has been given yet, or strokes do not fit it.
        """
        if self._run is None or self._run.strokes is None:
            return None
        # a copy: what is drawn on it counts once it is set
        drawn, image = self._run.strokes.copy(), self._run.image
        return split_maps(drawn, image) if image.image_shapes else drawn

    @strokes.setter
    def strokes(self, strokes: ArrayLike | Sequence[ArrayLike | None] | None) -> None:
        if self._run is None:
            raise StrokesError("there is no image to draw on yet: give strokes to fit or to steps")
        self._run.set_strokes(strokes)

    @property
    def hierarchy_(self) -> Hierarchy:
        """Segments of the run at every granularity, made from what it has gone through so far."""
        return run_to_end(self.hierarchy_generator())

    @property
    def hierarchies_(self) -> list[Hierarchy]:
        """The hierarchy of each image of the run, one for one image; their clusters are common."""
        return run_to_end(self.hierarchies_generator())

    def hierarchy_generator(self) -> Generator[float, None, Hierarchy]:
        """Make the hierarchy of the run, a part at a time, unless it is made.

        For those who want to know how far it is, or to leave off.

        Yields
        ------
        float
            Share that is done, from 0 to 1.

        Returns
        -------
        Hierarchy
            Segments of the run at every granularity.

        Raises
        ------
        SettingError
            If there is no run yet, or it is of several images.

        Examples
        --------
        >>> from skimage.data import coins
        >>> segmenter = Segmenter(Settings(iterations=5, superpixels=500))
        >>> first = next(segmenter.steps(coins()[::4, ::4]))
        >>> *_, last = segmenter.hierarchy_generator()
        >>> last
        1.0
        """
        run = self._begun_run("there is no run to make segments of: fit an image first")
        if (n_images := len(run.image.image_shapes)) > 1:
            raise SettingError(
                f"the run is of {n_images} images, and each has a hierarchy of its own: take "
                "hierarchies_"
            )
        [hierarchy] = yield from self.hierarchies_generator()
        return hierarchy

    def hierarchies_generator(self) -> Generator[float, None, list[Hierarchy]]:
        """Make the hierarchy of each image of the run as `hierarchy_generator` does.

        Yields
        ------
        float
            Share that is done, from 0 to 1.

        Returns
        -------
        list of Hierarchy
            One for each image.

        Raises
        ------
        SettingError
            If there is no run yet.
        """
        run = self._begun_run("there is no run to make segments of: fit an image first")
        with translate_out_of_memory(self.device):
            return (yield from run.hierarchies_generator())

    def uncertainty(self) -> Any:
        """Say how uncertain the cluster of each pixel is, by how it changed over the run.

        Returns
        -------
        ndarray of float32, shape (..., Y, X), or list of them
            Of several images a list. From 0, certain, to 1: how far the run's labels, at some
            iterations and at the last, disagree with the cluster that the pixel has in the end. 0
            at pixels that take no part.

        Raises
        ------
        SettingError
            If there is no run yet.
        ImageError
            If the image is too large to be loaded, of which crops alone were trained on.

        Notes
        -----
        `napari_unsupseg.regions.uncertainty` says how labels are compared whose numbers differ.

        Examples
        --------
        >>> from skimage.data import coins
        >>> segmenter = Segmenter(Settings(iterations=15, superpixels=500)).fit(coins()[::4, ::4])
        >>> segmenter.uncertainty().shape
        (76, 96)
        """
        run = self._begun_run("there is no run yet: fit an image first")
        if run.is_cropped:
            raise ImageError(
                "uncertainty is known where a run has trained, which are crops of an image as "
                "large as this: fit a part of it"
            )
        uncertainty = run.uncertainty()
        return self.split(uncertainty) if run.image.image_shapes else uncertainty

    def save(self, path: str | os.PathLike[str], *, run: bool = False) -> None:
        """Write the network of a run, to be used on other images, or all of the run.

        Parameters
        ----------
        path : path-like
            The file to write or replace; by custom it ends in ``.unsupseg``. It holds numbers
            and text only, in the format of safetensors; of a run in a zip archive.
        run : bool
            Whether to write the image, its labels, their hierarchy and history, the strokes and
            where the training stands too. Such a run can be looked at and gone on with; by
            default there is the network alone.

        Raises
        ------
        SettingError
            If there is no network or no run yet, or it has features of your own.
        ImageError
            If the run is to be written, and its image is too large to be loaded.
        FileError
            If the file cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> from skimage.data import coins
        >>> file = tempfile.gettempdir() + "/coins.unsupseg"
        >>> Segmenter(Settings(iterations=5, superpixels=500)).fit(coins()[::4, ::4]).save(
        ...     file, run=True
        ... )
        >>> segments = Segmenter.load(file).hierarchy_.cut(n_segments=30)
        >>> int(segments.max())
        30
        """
        check_flag("run", run)
        if run:
            write_archive(Path(path), self.run_parts())
        else:
            save_checkpoint(Path(path), self._checkpoint())

    def run_parts(self) -> dict[str, bytes]:
        """Return the run as the parts of a file, for whoever writes others beside them.

        Returns
        -------
        dict of str to bytes
            For `napari_unsupseg.io.run_archive.write_archive`.

        Raises
        ------
        SettingError
            If there is no run yet, or the network has features of your own.
        ImageError
            If the image is too large to be loaded.
        """
        return pack_run(self._begun_run("there is no run to save: fit an image first"))

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str = "auto") -> Self:
        """Read a network or a run that `save` wrote.

        Parameters
        ----------
        path : path-like
            The file.
        device : str
            ``'auto'`` for the GPU if there is one, ``'cpu'``, ``'cuda'``, ``'mps'``, ``'xpu'``.

        Returns
        -------
        Segmenter
            With the settings of the run; it can `predict`, and `fit` with ``warm_start=True``.
            Of a run it has all that it had when it was saved: `labels_`, `hierarchy_`, and
            `resume` goes on as if it had never been left.

        Raises
        ------
        FileError
            If the file is missing, of another kind, damaged, changed, or of a newer version.
        DeviceError
            If there is no such device.
        """
        resolved, file = resolve_device(device), Path(path)
        if holds_run(file):
            run = load_run(file, resolved)
            segmenter = cls(run.settings, device=device)
            segmenter._run, segmenter.precision = run, run.network.precision
            assert run.result is not None, "a run is saved after its first step"
            segmenter._take_labels(run.result, is_list=bool(run.image.image_shapes))
            return segmenter
        loaded = load_checkpoint(file).to(resolved)
        segmenter = cls(loaded.settings, device=device)
        segmenter._loaded, segmenter.precision = loaded, loaded.network.precision
        return segmenter

    def record(self, step: Step | None = None) -> dict[str, Any]:
        """Say how the labels of a step were made, to be kept beside them.

        Parameters
        ----------
        step : Step, optional
            A step of this segmenter.

        Returns
        -------
        dict
            Versions, processor and settings, and iterations and clusters of a step; fit for JSON.
        """
        made: dict[str, Any] = {
            "version": napari_unsupseg.__version__,
            "torch": torch.__version__,
            "device": str(self.device),
            "processor": processor_name(self.device),
            "precision": str(self.precision).removeprefix("torch."),
            "settings": self.settings.to_dict(),
        }
        if step is not None:
            made |= {"iterations": step.iteration, "clusters": step.n_clusters}
        return made

    def _take_labels(self, step: Step, *, is_list: bool) -> None:
        """Have the labels of a step, into which a user may write: copies."""
        labels = [of_image.copy() for of_image in self.split(step.labels)]
        self.labels_, self.n_iterations_ = labels if is_list else labels[0], step.iteration

    def _begun_run(self, otherwise: str) -> Run:
        """Return the run at hand, or raise with a sentence if it has no step yet."""
        if self._run is None or self._run.last_step is None:
            raise SettingError(otherwise)
        return self._run

    def _checkpoint(self) -> Checkpoint:
        """Return the network of the run, having learned its labels, or the one from a file."""
        if self._run is not None and self._run.last_step is not None:
            return self._run.checkpoint()
        if self._loaded is None:
            raise SettingError("there is no network yet: fit an image, or load a network")
        return self._loaded
