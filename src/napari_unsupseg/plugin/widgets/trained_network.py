"""The trained network: kept in a file, read from one, applied to the chosen image or to files."""

import hashlib
import logging
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from magicgui.widgets import Container, Label, PushButton, Widget
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error
from numpy.typing import ArrayLike, NDArray
from qtpy.QtWidgets import QFileDialog

from napari_unsupseg.errors import FileError, UnsupsegError
from napari_unsupseg.image.tiling import is_large
from napari_unsupseg.plugin.widgets.controls import row
from napari_unsupseg.plugin.worker import load_if_small, run_while, translate_worker_errors

if TYPE_CHECKING:
    from napari_unsupseg.learning.lazy_inference import LazyLabels
    from napari_unsupseg.segmenter import Segmenter

    Found = NDArray[np.unsignedinteger] | LazyLabels

__all__ = ["SUFFIX", "TrainedNetwork"]

Result = TypeVar("Result")

logger = logging.getLogger(__name__)

SUFFIX = ".unsupseg"
FILTER = f"Trained networks (*{SUFFIX})"


class TrainedNetwork(Container[Widget]):
    """Buttons for the network of the last run, or one from a file.

    Parameters
    ----------
    say : callable
        Told in a sentence what is done.
    on_change : callable
        Called when something begins or ends, so that others may switch on or off.
    on_share : callable
        Told the share of an image, or of files, that has been labelled, up to 1.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        on_change: Callable[[], None],
        on_share: Callable[[float], None],
    ) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._say = say
        self._on_change = on_change
        self._on_share = on_share
        self._stopped = threading.Event()
        self.segmenter: Segmenter | None = None
        self.is_busy = False
        self.can_stop = False
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
        self._is_gone = False
        self.native.destroyed.connect(self.abandon)
        self.save_button.changed.connect(self._ask_where_to_save)
        self.load_button.changed.connect(self._ask_what_to_load)
        self.files_button.changed.connect(self._ask_which_files)

    def offer(self, segmenter: "Segmenter", name: str = "of the last run") -> None:
        """Take over a trained network.

        Parameters
        ----------
        segmenter : Segmenter
            It has the network.
        name : str
            Where the network is from.
        """
        self.segmenter = segmenter
        self.about.value = name

    def allow(self, allowed: bool, has_image: bool) -> None:
        """Switch the buttons on where they make sense, or off.

        Parameters
        ----------
        allowed : bool
            Off while a run is going on, which changes the network.
        has_image : bool
            Whether there is an image to apply it to.
        """
        is_free = allowed and not self.is_busy
        self.load_button.enabled = is_free
        self.save_button.enabled = is_free and self.segmenter is not None
        self.files_button.enabled = is_free and self.segmenter is not None
        self.apply_button.enabled = is_free and self.segmenter is not None and has_image

    def load(self, path: Path) -> None:
        """Read a network.

        Parameters
        ----------
        path : Path
            A file that *Save* or `Segmenter.save` wrote.
        """

        def take(segmenter: "Segmenter") -> None:
            self.offer(segmenter, path.name)
            self._say(f"{path.name} is loaded: choose an image and press Apply")

        self._work(f"loading {path.name}…", take, _at_once(_load), path)

    def apply(self, image: ArrayLike, axes: str, show: Callable[["Found"], None]) -> None:
        """Find the network's clusters in an image.

        Parameters
        ----------
        image : array_like
            As in `Segmenter.predict`.
        axes : str
            As in `Segmenter.predict`.
        show : callable
            Given the labels; of an image that is too large to be loaded, what finds them.
        """

        def take(found: "Found | None") -> None:
            if found is None:
                self._say("stopped: no layer was added")
            else:
                show(found)

        if self.segmenter is not None:
            self._work(
                "applying the network…",
                take,
                _predict,
                self.segmenter,
                image,
                axes,
                can_stop=True,
            )

    def save(self, path: Path) -> None:
        """Write the network to a file.

        Parameters
        ----------
        path : Path
            The file; it is given the suffix if it has none.
        """
        if self.segmenter is not None:
            path = path if path.suffix else path.with_suffix(SUFFIX)
            self._work(
                f"saving {path.name}…",
                lambda _: self._say(f"{path.name} is saved"),
                _at_once(self.segmenter.save),
                path,
            )

    def apply_to_files(self, images: Sequence[Path], folder: Path) -> None:
        """Find the network's clusters in image files.

        Parameters
        ----------
        images : sequence of Path
            The files.
        folder : Path
            Where their labels go; files that are there already stay as they are.
        """
        if self.segmenter is not None:
            n_files = f"{len(images)} files" if len(images) > 1 else images[0].name
            self._work(
                f"applying the network to {n_files}…",
                lambda sentence: self._say(f"{sentence}, in {folder}"),
                _apply_to_files,
                self.segmenter,
                images,
                folder,
                can_stop=True,
            )

    def stop(self) -> None:
        """Leave off what is going on; files that have labels by then keep them."""
        self._stopped.set()
        self.can_stop = False
        self._on_change()

    def abandon(self) -> None:
        """Leave off what is going on, and tell nobody: the panel is gone."""
        self._is_gone = True
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

    def _work(
        self,
        sentence: str,
        take: Callable[[Any], None],
        parts: Callable[..., Generator[float, None, Any]],
        *arguments: Any,
        can_stop: bool = False,
    ) -> None:
        """Do something out of the window's way, and take what comes of it."""
        stopped = self._stopped = threading.Event()

        def yielded(share: float) -> None:
            if not self._is_gone:
                self._on_share(share)

        def returned(result: Any) -> None:
            if self._is_gone:
                return
            self._set_busy(False)
            take(result)
            self._on_change()

        def errored(error: Exception) -> None:
            if self._is_gone:
                return
            self._set_busy(False)
            show_error(str(error))
            self._say(str(error))
            if not isinstance(error, UnsupsegError):
                logger.error("%s failed", sentence, exc_info=error)

        self._say(sentence)
        self._on_share(0)
        self._set_busy(True, can_stop)
        create_worker(
            _told,
            parts,
            *arguments,
            *([stopped] if can_stop else []),
            _connect={"yielded": yielded, "returned": returned, "errored": errored},
        )

    def _set_busy(self, is_busy: bool, can_stop: bool = False) -> None:
        self.is_busy, self.can_stop = is_busy, can_stop
        self._on_change()


def _told(
    parts: Callable[..., Generator[float, None, Result]], *arguments: Any
) -> Generator[float, None, Result]:
    """Do a work in parts, so that none of its errors is lost."""
    with translate_worker_errors():
        return (yield from parts(*arguments))


def _at_once(function: Callable[..., Result]) -> Callable[..., Generator[float, None, Result]]:
    """Return a function as a work of a single part."""

    def parts(*arguments: Any) -> Generator[float, None, Result]:
        yield from ()
        return function(*arguments)

    return parts


def _load(path: Path) -> "Segmenter":
    from napari_unsupseg.segmenter import Segmenter

    return Segmenter.load(path)


def _predict(
    segmenter: "Segmenter", image: ArrayLike, axes: str, stopped: threading.Event
) -> Generator[float, None, "Found | None"]:
    """Yield how far it is; return an image's labels, or None if stopped before they were found."""
    if is_large(image):
        return segmenter.lazy_labels(image, axes=axes)
    finding = segmenter.predict_generator(load_if_small(image), axes=axes)
    return (yield from run_while(finding, lambda: not stopped.is_set()))


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
    sentence = "1 file is labelled" if n_done == 1 else f"{n_done} files are labelled"
    if len(reports) < len(images):
        sentence = f"stopped after {len(reports)} of {len(images)}: {sentence}"
    if failures:
        raise FileError("; ".join([*failures, sentence]))
    return sentence


def _label_files(
    segmenter: "Segmenter", images: Sequence[Path], folder: Path
) -> Iterator[dict[str, Any]]:
    from napari_unsupseg.batch.jobs import Job, JobOptions, labels_file_name
    from napari_unsupseg.batch.pipeline import try_run_job
    from napari_unsupseg.learning.checkpoint import load_checkpoint

    jobs = [Job(image, folder / labels_file_name(image)) for image in images]
    names = [job.labels.name for job in jobs]
    for name in names:
        if names.count(name) > 1:
            raise FileError(f"{name}: two of the images would have it; choose one of them")
    with tempfile.TemporaryDirectory() as place:
        written = Path(place) / f"network{SUFFIX}"
        segmenter.save(written)
        # by its content: labels of another network are not taken for this one's
        digest = hashlib.sha256(written.read_bytes()).hexdigest()[:16]
        network = written.rename(written.with_name(f"{digest}{SUFFIX}"))
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
