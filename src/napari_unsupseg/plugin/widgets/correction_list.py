"""The corrections of segments or objects: listed in their order, undone and done again."""

from collections.abc import Callable

from magicgui.widgets import Container, PushButton, Widget
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem

from napari_unsupseg._words import count
from napari_unsupseg.plugin.layer_edits import LayerEdits
from napari_unsupseg.plugin.widgets.controls import Sentence, row

__all__ = ["CorrectionList"]

MAX_ROWS = 4  # that are seen without scrolling
IDLE = "Nothing to do here now: it counts again where what it was made on is there again."


class CorrectionList(Container[Widget]):
    """A line for each correction that holds, and buttons for the last of them; hidden while empty.

    Parameters
    ----------
    noun : str
        What is corrected, one of them.
    """

    def __init__(self, noun: str) -> None:
        super().__init__(labels=False, visible=False)
        self.margins = (0, 0, 0, 0)
        self._noun = noun
        self._edits: LayerEdits | None = None
        self.heading = Sentence()
        self.list = QListWidget()
        self.list.setAccessibleName("corrections")
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.undo_button = PushButton(
            text="Undo", tooltip="Take back the last correction (Ctrl-Z in the layer)."
        )
        self.redo_button = PushButton(
            text="Redo",
            tooltip="Make the correction again that was taken back last (Ctrl-Shift-Z in the "
            "layer).",
        )
        self.clear_button = PushButton(
            text="Undo all", tooltip="Take back all corrections; Redo makes them again one by one."
        )
        buttons = [self.undo_button, self.redo_button, self.clear_button]
        self.extend([self.heading, row(buttons)])
        self.native.layout().insertWidget(1, self.list)
        for button, act in zip(
            buttons, (LayerEdits.undo, LayerEdits.redo, LayerEdits.undo_all), strict=True
        ):
            button.changed.connect(lambda _pressed, act=act: self._act(act))

    def follow(self, edits: LayerEdits | None) -> None:
        """Show the corrections of a layer from now on.

        Parameters
        ----------
        edits : LayerEdits or None
            The corrections; None if there is no layer.
        """
        self._edits = edits
        self.refresh()

    def refresh(self) -> None:
        """Show the corrections as they are now."""
        if self._edits is None:
            self.visible = False
            return
        history, applied = self._edits.history, self._edits.applied
        n_idle = applied.count(False)
        self.visible = bool(history.done or history.undone)
        n_done, has = len(history.done), "has" if n_idle == 1 else "have"
        of_which = "which" if n_idle == n_done else f"of which {n_idle}"
        self.heading.value = count(n_done, "correction") + (
            f", {of_which} {has} nothing to do here" if n_idle else ""
        )
        self.list.clear()
        for edit, is_applied in zip(history.done, applied, strict=True):
            item = QListWidgetItem(edit.text(self._noun))
            if not is_applied:
                font = item.font()
                font.setStrikeOut(True)
                item.setFont(font)
                item.setToolTip(IDLE)
            self.list.addItem(item)
        self.list.scrollToBottom()
        n_rows = min(self.list.count(), MAX_ROWS)
        frame = 2 * self.list.frameWidth()
        self.list.setFixedHeight(n_rows * max(0, self.list.sizeHintForRow(0)) + frame)
        self.list.setVisible(n_rows > 0)
        self.undo_button.enabled = self.clear_button.enabled = bool(history.done)
        self.redo_button.enabled = bool(history.undone)

    def _act(self, act: Callable[[LayerEdits], None]) -> None:
        if self._edits is not None:
            act(self._edits)
