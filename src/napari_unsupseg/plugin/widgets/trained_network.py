"""The trained network: kept in a file, read from one, applied to the chosen image or to files."""

import hashlib
import logging
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from magicgui.widgets import Container, Label, PushButton, Widget
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error
from numpy.typing import ArrayLike
from qtpy.QtWidgets import QFileDialog

from napari_unsupseg._words import count
from napari_unsupseg.errors import FileError, UnsupsegError
from napari_unsupseg.image.tiling import is_large, load_if_small
from napari_unsupseg.plugin.background import (
    run_until_stopped,
    translate_worker_errors,
)
from napari_unsupseg.plugin.session import Actions, NetworkJob
from napari_unsupseg.plugin.widgets.controls import row

if TYPE_CHECKING:
    from napari_unsupseg._typing import Labels
    from napari_unsupseg.learning.lazy_inference import LazyLabels
    from napari_unsupseg.segmenter import Segmenter

    ImageLabels = Labels | LazyLabels

__all__ = ["SUFFIX", "StartJob", "TrainedNetwork", "in_one_part"]

Result = TypeVar("Result")
StartJob = Callable[..., None]

logger = logging.getLogger(__name__)

SUFFIX = ".unsupseg"
FILTER = f"Trained networks (*{SUFFIX})"


class TrainedNetwork(Container[Widget]):
    """Buttons for the network of the last run, or one from a file.

    Parameters
    ----------
    show_status : callable
        Shows in a sentence what is done.
    on_job : callable
        Told what is being done with the network, when that begins or ends.
    show_share : callable
        Shows the share of an image, or of files, that has been labelled, from 0 to 1.

    Attributes
    ----------
    segmenter : Segmenter or None
        It has the network.
    """

    def __init__(
        self,
        show_status: Callable[[str], None],
        on_job: Callable[[NetworkJob], None],
        show_share: Callable[[float], None],
    ) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._show_status = show_status
        self._on_job = on_job
        self._show_share = show_share
        self._stopped = threading.Event()
        self._is_abandoned = False
        self.segmenter: Segmenter | None = None
        self.about = Label(value="none yet: press Run, or load one")
        self.save_button = PushButton(
            text="Save…", tooltip="Write the network to a file, to be used on other images."
        )
        self.load_button = PushButton(text="Load…", tooltip=f"Read a network from a {SUFFIX} file.")
        self.apply_button = PushButton(
            text="Apply", tooltip="Find its clusters in the image chosen above, into a new layer."
        )
        self.files_button = PushButton(
            text="Apply to files…",
            tooltip="Find its clusters in image files; their labels go to a folder.",
        )
        self.extend([self.about, row([self.save_button, self.load_button, self.apply_button])])
        self.append(self.files_button)
        self.native.destroyed.connect(self.abandon)
        self.save_button.changed.connect(self._ask_where_to_save)
        self.load_button.changed.connect(self._ask_what_to_load)
        self.files_button.changed.connect(self._ask_which_files)

    def set_network(self, segmenter: "Segmenter", name: str = "of the last run") -> None:
        """Replace the trained network by another one.

        Parameters
        ----------
        segmenter : Segmenter
            It has the network.
        name : str
            Where the network is from.
        """
        self.segmenter = segmenter
        self.about.value = name

    def show_actions(self, actions: Actions) -> None:
        """Switch the buttons on or off.

        Parameters
        ----------
        actions : Actions
            What is possible now.
        """
        self.load_button.enabled = actions.load_network
        self.save_button.enabled = self.files_button.enabled = actions.save_network
        self.apply_button.enabled = actions.apply_network

    def load(self, path: Path) -> None:
        """Read a network.

        Parameters
        ----------
        path : Path
            A file that *Save* or `Segmenter.save` wrote.
        """

        def on_loaded(segmenter: "Segmenter") -> None:
            self.set_network(segmenter, path.name)
            self._show_status(f"{path.name} is loaded: choose an image and press Apply")

        self.start_job(f"loading {path.name}…", on_loaded, in_one_part(_load), path)

    def apply(
        self,
        image: ArrayLike,
        axes: str,
        on_end: Callable[["ImageLabels | None"], None],
        is_wanted: Callable[[], bool],
    ) -> None:
        """Find the clusters of the network in an image.

        Parameters
        ----------
        image : array_like
            Data of an Image layer.
        axes : str
            One letter for each of its axes.
        on_end : callable
            Given the labels, shape (..., Y, X); of an image that is too large to be loaded, the
            `LazyLabels` that find them; None after a stop.
        is_wanted : callable
            Asked now and then whether anybody waits for the labels: if not, it stops.
        """
        if self.segmenter is not None:
            self.start_job(
                "applying the network…",
                on_end,
                _predict,
                self.segmenter,
                image,
                axes,
                can_stop=True,
                is_wanted=is_wanted,
            )

    def save(self, path: Path) -> None:
        """Write the network to a file.

        Parameters
        ----------
        path : Path
            The file; it is given the suffix ``.unsupseg`` if it has none.
        """
        if self.segmenter is not None:
            path = path if path.suffix else path.with_suffix(SUFFIX)
            self.start_job(
                f"saving {path.name}…",
                lambda _: self._show_status(f"{path.name} is saved"),
                in_one_part(self.segmenter.save),
                path,
            )

    def apply_to_files(self, images: Sequence[Path], folder: Path) -> None:
        """Find the clusters of the network in image files.

        Parameters
        ----------
        images : sequence of Path
            The files.
        folder : Path
            Where their labels go; files that are there already stay as they are.
        """
        if self.segmenter is not None:
            files = f"{len(images)} files" if len(images) > 1 else images[0].name
            self.start_job(
                f"applying the network to {files}…",
                lambda sentence: self._show_status(f"{sentence}, in {folder}"),
                _apply_to_files,
                self.segmenter,
                images,
                folder,
                can_stop=True,
            )

    def stop(self) -> None:
        """Leave off applying the network; files that have labels by then keep them."""
        self._stopped.set()
        self._on_job(NetworkJob.BRIEF)

    def abandon(self) -> None:
        """Leave off what is going on, and show nothing of it: the panel is gone."""
        self._is_abandoned = True
        self._stopped.set()

    def _ask_where_to_save(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(
            self.native, "Save the network", f"network{SUFFIX}", FILTER
        )
        if chosen:
            self.save(Path(chosen))

    def _ask_what_to_load(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self.native, "Load a network", "", FILTER)
        if chosen:
            self.load(Path(chosen))

    def _ask_which_files(self) -> None:
        chosen, _ = QFileDialog.getOpenFileNames(self.native, "Images to apply the network to")
        if chosen:
            folder = QFileDialog.getExistingDirectory(self.native, "Folder for their labels")
            if folder:
                self.apply_to_files([Path(path) for path in chosen], Path(folder))

    def start_job(
        self,
        sentence: str,
        on_result: Callable[[Any], None],
        job: Callable[..., Generator[float, None, Any]],
        *arguments: Any,
        can_stop: bool = False,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Do something with a network in another thread, and hand over its result.

        Parameters
        ----------
        sentence : str
            Says what is done.
        on_result : callable
            Given the result, unless the panel is gone.
        job : callable
            Yields the share that is done, from 0 to 1, and returns the result.
        *arguments
            Those of the job. One that can be stopped is given a `threading.Event` as its last.
        can_stop : bool
            Whether it can.
        is_wanted : callable
            Asked now and then whether anybody waits for the result: if not, the job is stopped.
        """
        # a new one for each job, so that a stop reaches the job at hand and no later one
        stopped = self._stopped = threading.Event()

        # the widgets that these would write to are gone with the panel
        def on_share(share: float) -> None:
            if self._is_abandoned:
                return
            self._show_share(share)
            if not is_wanted():
                self.stop()

        def on_returned(result: Any) -> None:
            if not self._is_abandoned:
                self._on_job(NetworkJob.NONE)
                on_result(result)
                self._on_job(NetworkJob.NONE)  # once more: there may be a network now

        def on_errored(error: Exception) -> None:
            if self._is_abandoned:
                return
            self._on_job(NetworkJob.NONE)
            show_error(str(error))
            self._show_status(str(error))
            if not isinstance(error, UnsupsegError):
                logger.error("%s failed", sentence, exc_info=error)

        self._show_status(sentence)
        self._show_share(0)
        self._on_job(NetworkJob.STOPPABLE if can_stop else NetworkJob.BRIEF)
        create_worker(
            _with_errors_translated,
            job,
            *arguments,
            *([stopped] if can_stop else []),
            _connect={"yielded": on_share, "returned": on_returned, "errored": on_errored},
        )


def _with_errors_translated(
    job: Callable[..., Generator[float, None, Result]], *arguments: Any
) -> Generator[float, None, Result]:
    """Do a job so that none of its errors is lost."""
    with translate_worker_errors():
        return (yield from job(*arguments))


def in_one_part(
    function: Callable[..., Result],
) -> Callable[..., Generator[float, None, Result]]:
    """Return a function as a job that cannot tell how far it is.

    Parameters
    ----------
    function : callable
        Any function.

    Returns
    -------
    callable
        For `TrainedNetwork.start_job`; it takes the same arguments.
    """

    def job(*arguments: Any) -> Generator[float, None, Result]:
        yield from ()  # makes it a generator, as all jobs are
        return function(*arguments)

    return job


def _load(path: Path) -> "Segmenter":
    from napari_unsupseg.segmenter import Segmenter

    return Segmenter.load(path)


def _predict(
    segmenter: "Segmenter", image: ArrayLike, axes: str, stopped: threading.Event
) -> Generator[float, None, "ImageLabels | None"]:
    """Yield how far it is; return the labels of an image, or None if stopped."""
    if is_large(image):
        return segmenter.lazy_labels(image, axes=axes)
    prediction = segmenter.predict_generator(load_if_small(image), axes=axes)
    return (yield from run_until_stopped(prediction, stopped.is_set))


def _apply_to_files(
    segmenter: "Segmenter", images: Sequence[Path], folder: Path, stopped: threading.Event
) -> Generator[float, None, str]:
    """Label files one by one as the command line does; say how many, or raise what failed."""
    reports = []
    for report in _label_files(segmenter, images, folder):
        reports.append(report)
        yield len(reports) / len(images)
        if stopped.is_set():
            break
    failures = [report["error"] for report in reports if "error" in report]
    n_done = len(reports) - len(failures)
    sentence = f"labelled {count(n_done, 'file')}"
    if len(reports) < len(images):
        sentence = f"stopped after {len(reports)} of {len(images)}: {sentence}"
    if failures:
        raise FileError("; ".join([*failures, sentence]))
    return sentence


def _label_files(
    segmenter: "Segmenter", images: Sequence[Path], folder: Path
) -> Iterator[dict[str, Any]]:
    """Yield the report of each file as soon as its labels are written."""
    # here, not above: PyTorch takes seconds to load and the window must not wait
    from napari_unsupseg.batch.jobs import Job, JobOptions, labels_file_name
    from napari_unsupseg.batch.pipeline import try_run_job
    from napari_unsupseg.learning.checkpoint import load_checkpoint

    jobs = [Job(image, folder / labels_file_name(image)) for image in images]
    names = [job.labels.name for job in jobs]
    for name in names:  # one would overwrite the labels of the other
        if names.count(name) > 1:
            raise FileError(f"{name}: two of the images would have it; choose one of them")
    with tempfile.TemporaryDirectory() as directory:
        saved = Path(directory) / f"network{SUFFIX}"
        segmenter.save(saved)
        # named by its content: labels of another network are not taken for those of this one
        digest = hashlib.sha256(saved.read_bytes()).hexdigest()[:16]
        network = saved.rename(saved.with_name(f"{digest}{SUFFIX}"))
        model = load_checkpoint(network)
        options = JobOptions(
            settings=model.settings,
            device=str(segmenter.device),
            image={"spatial_ndim": model.spatial_ndim},
            network=network,
            apply_only=True,
        )
        for job in jobs:
            yield try_run_job(job, options)
