"""The trained network: kept in a file, read from one, and applied to the chosen image."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import Container, Label, PushButton, Widget
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error
from numpy.typing import ArrayLike, NDArray
from qtpy.QtWidgets import QFileDialog

from napari_unsupseg.errors import UnsupsegError
from napari_unsupseg.plugin.controls import row
from napari_unsupseg.plugin.worker import guarded

if TYPE_CHECKING:
    from napari_unsupseg.segmenter import Segmenter

__all__ = ["SUFFIX", "TrainedNetwork"]

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
    """

    def __init__(self, say: Callable[[str], None], on_change: Callable[[], None]) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._say = say
        self._on_change = on_change
        self.segmenter: Segmenter | None = None
        self.is_busy = False
        self.about = Label(value="none yet: press Run, or load one")
        self.save_button = PushButton(
            text="Save…", tooltip="Write the network to a file, to be used on other images."
        )
        self.load_button = PushButton(text="Load…", tooltip=f"Read a network from a {SUFFIX} file.")
        self.apply_button = PushButton(
            text="Apply", tooltip="Find its clusters in the image chosen above, into a new layer."
        )
        self.extend([self.about, row([self.save_button, self.load_button, self.apply_button])])
        self._is_gone = False
        self.native.destroyed.connect(self._on_gone)
        self.save_button.changed.connect(self._ask_where_to_save)
        self.load_button.changed.connect(self._ask_what_to_load)

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

        self._work(f"loading {path.name}…", take, _load, path)

    def apply(
        self, image: ArrayLike, axes: str, show: Callable[[NDArray[np.unsignedinteger]], None]
    ) -> None:
        """Find the network's clusters in an image.

        Parameters
        ----------
        image : array_like
            As in `Segmenter.predict`.
        axes : str
            As in `Segmenter.predict`.
        show : callable
            Given the labels.
        """
        if self.segmenter is not None:
            self._work("applying the network…", show, _predict, self.segmenter, image, axes)

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
                self.segmenter.save,
                path,
            )

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

    def _work(
        self,
        sentence: str,
        take: Callable[[Any], None],
        function: Callable[..., Any],
        *arguments: Any,
    ) -> None:
        """Do something out of the window's way, and take what comes of it."""

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
        self._set_busy(True)
        create_worker(
            guarded, function, *arguments, _connect={"returned": returned, "errored": errored}
        )

    def _on_gone(self) -> None:
        self._is_gone = True

    def _set_busy(self, is_busy: bool) -> None:
        self.is_busy = is_busy
        self._on_change()


def _load(path: Path) -> "Segmenter":
    from napari_unsupseg.segmenter import Segmenter

    return Segmenter.load(path)


def _predict(segmenter: "Segmenter", image: ArrayLike, axes: str) -> NDArray[np.unsignedinteger]:
    return np.asarray(segmenter.predict(image, axes=axes))  # of a dask array they are one
