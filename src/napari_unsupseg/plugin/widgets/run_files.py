"""The last run, kept in a file and opened again; saved by itself when napari closes, if wanted."""

import itertools
import logging
import os
import re
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

from magicgui.widgets import CheckBox, Container, PushButton, Widget
from qtpy.QtCore import QEvent, QObject, QStandardPaths
from qtpy.QtWidgets import QApplication, QFileDialog, QWidget

from napari_unsupseg.errors import UnsupsegError
from napari_unsupseg.io.paths import file_kind
from napari_unsupseg.plugin.preferences import read_preferences
from napari_unsupseg.plugin.refusals import tell_refusals
from napari_unsupseg.plugin.run_data import RunResult
from napari_unsupseg.plugin.saved_run import PanelState, read_run, write_run
from napari_unsupseg.plugin.session import Actions, LayerRun
from napari_unsupseg.plugin.widgets.controls import row
from napari_unsupseg.plugin.widgets.settings_form import SettingsForm
from napari_unsupseg.plugin.widgets.trained_network import SUFFIX, StartJob, in_one_part

__all__ = ["RunFiles"]

logger = logging.getLogger(__name__)

FILTER = f"Runs (*{SUFFIX})"
DOCUMENTS = QStandardPaths.StandardLocation.DocumentsLocation
FOLDER = "napari-unsupseg"  # in that of the user's documents, for images that have no folder


class RunFiles(Container[Widget]):
    """Buttons that save a run and open one, and a box to tick for those who forget it.

    Parameters
    ----------
    find_run : callable
        Returns the last run that has left labels, and what the panel shows of it; None if there is
        none that nothing changes now.
    on_opened : callable
        Given a run that was opened, and what the panel is to show of it.
    start_job : callable
        Does something in another thread, see `TrainedNetwork.start_job`.
    show_status : callable
        Shows in a sentence what is done.
    settings_form : SettingsForm
        It says where a run that is opened goes on.
    """

    def __init__(
        self,
        find_run: Callable[[], tuple[LayerRun, PanelState] | None],
        on_opened: Callable[[RunResult, PanelState], None],
        start_job: StartJob,
        show_status: Callable[[str], None],
        settings_form: SettingsForm,
    ) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._find_run = find_run
        self._on_opened = on_opened
        self._start_job = start_job
        self._show_status = show_status
        self._settings_form = settings_form
        # files of runs, by the segmenter that each goes on with; one that begins anew has another
        self._files: weakref.WeakKeyDictionary[object, Path] = weakref.WeakKeyDictionary()
        self.save_button = PushButton(
            text="Save run…",
            tooltip="Write the run that is shown to a file: image, labels, segments at every "
            "granularity, strokes and network. It can be opened again and gone on with.",
        )
        self.open_button = PushButton(
            text="Open run…", tooltip=f"Open a run from a {SUFFIX} file, and go on with it."
        )
        self.by_itself = CheckBox(
            text="save when napari closes",
            value=read_preferences().save_runs,
            tooltip="Save the last run again to its file when the window is closed. A run that has "
            "none goes to a new file beside its image; one on several images, or on one too large "
            "to be loaded, is not saved.",
        )
        self.extend([row([self.save_button, self.open_button]), self.by_itself])
        self.save_button.changed.connect(self._ask_where)
        self.open_button.changed.connect(self._ask_which)
        self._saving: threading.Thread | None = None
        self._closing = _CloseWatcher(self.native, self._save_at_close)
        self.by_itself.changed.connect(self.follow_window)

    def show_actions(self, actions: Actions) -> None:
        """Switch the buttons on or off.

        Parameters
        ----------
        actions : Actions
            What is possible now.
        """
        self.save_button.enabled = actions.save_run
        self.open_button.enabled = actions.open_run

    def follow_window(self) -> None:
        """Save when the window is closed that the panel is in now, if that is wanted."""
        self._closing.watch(self.by_itself.value)

    def save(self, path: Path) -> None:
        """Save the last run.

        Parameters
        ----------
        path : Path
            The file to write or replace; it is given the suffix ``.unsupseg`` if it has none.
        """
        found = self._find_run()
        if found is None:
            return
        run, state = found
        assert run.result is not None, "only a run with a result can be saved"
        path = path if path.suffix else path.with_suffix(SUFFIX)

        segmenter = run.result.segmenter

        def on_saved(_: object) -> None:
            self._files[segmenter] = path
            self._show_status(f"{path.name} is saved")

        self._start_job(
            f"saving {path.name}…", on_saved, in_one_part(write_run), path, run.result, state
        )

    def open(self, path: Path) -> None:
        """Open a run.

        Parameters
        ----------
        path : Path
            The file.
        """

        def on_read(found: tuple[RunResult, PanelState]) -> None:
            result, state = found
            self._files[result.segmenter] = path
            self._on_opened(result, state)

        form = self._settings_form
        device, history_bytes = form.device.value, form.history_memory.value * 10**6
        self._start_job(
            f"opening {path.name}…", on_read, in_one_part(read_run), path, device, history_bytes
        )

    @tell_refusals
    def _ask_where(self) -> None:
        found = self._find_run()
        if found is None:
            return
        chosen, _ = QFileDialog.getSaveFileName(
            self.native, "Save the run", str(self._file_of(found[0])), FILTER
        )
        if chosen:
            self.save(Path(chosen))

    def _ask_which(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self.native, "Open a run", "", FILTER)
        if chosen:
            self.open(Path(chosen))

    def _file_of(self, run: LayerRun) -> Path:
        """Return the file of a run; that of one without a file is new, beside its image."""
        assert run.result is not None, "only a run with a result can be saved"
        if run.result.segmenter in self._files:
            return self._files[run.result.segmenter]
        source = run.image.source.path
        folder = Path(source).parent if source else None
        if folder is None or not os.access(folder, os.W_OK):
            folder = Path(QStandardPaths.writableLocation(DOCUMENTS)) / FOLDER
        name = Path(source).stem if source else re.sub(r"[^\w .-]", "_", run.image.name)
        names = itertools.chain([name], (f"{name} ({number})" for number in itertools.count(2)))
        files = (folder / f"{name}{SUFFIX}" for name in names)
        return next(file for file in files if file_kind(file) == "nothing")

    def _save_at_close(self) -> None:
        """Save the last run in a thread that the window does not wait for, but the program does."""
        try:
            found = self._find_run()
        except UnsupsegError as error:  # there is no window any more to say it in
            logger.warning("%s", error)
            return
        if found is None or (self._saving is not None and self._saving.is_alive()):
            return
        run, state = found
        path = self._file_of(run)
        assert run.result is not None, "only a run with a result can be saved"
        self._files[run.result.segmenter] = path  # the window may be closed once more
        self._saving = threading.Thread(target=_save, args=(path, run.result, state))
        self._saving.start()
        app = QApplication.instance()
        assert app is not None, "it has a window"
        # Python is about to end, and would give threads no work any more
        app.aboutToQuit.connect(self._saving.join)


def _save(path: Path, result: RunResult, state: PanelState) -> None:
    """Save a run; where that fails only the log can say so."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_run(path, result, state)
    except Exception:  # there is no window any more
        logger.exception("%s could not be saved", path)


class _CloseWatcher(QObject):
    """Tells when the window that a widget is in is about to be closed; napari says it nowhere.

    Parameters
    ----------
    widget : QWidget
        The widget.
    on_close : callable
        Called before the window is closed, which nothing that it does can prevent.
    """

    def __init__(self, widget: QWidget, on_close: Callable[[], None]) -> None:
        super().__init__(widget)
        self._widget = widget
        self._on_close = on_close
        self._window: weakref.ref[QWidget] | None = None

    def watch(self, is_wanted: bool) -> None:
        """Watch the window, or leave off.

        Parameters
        ----------
        is_wanted : bool
            Whether anybody wants to know.
        """
        former = None if self._window is None else self._window()
        if former is not None:
            former.removeEventFilter(self)
        self._window = None
        if is_wanted:
            window = self._widget
            while (parent := window.parentWidget()) is not None:  # a dock that floats is a window
                window = parent
            window.installEventFilter(self)
            self._window = weakref.ref(window)  # a window that is closed is not to be kept

    def eventFilter(self, window: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Look at an event of the window, and let it pass; the name is Qt's."""
        if event is not None and event.type() == QEvent.Type.Close:
            try:
                self._on_close()
            except Exception:
                logger.exception("a run could not be saved")
        return False
