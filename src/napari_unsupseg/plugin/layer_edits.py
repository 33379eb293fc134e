"""Corrections on a layer: noted as the user makes them, and made again on other labels."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from app_model.types import KeyCode, KeyMod
from qtpy.QtCore import QTimer

from napari_unsupseg._typing import Labels as LabelsArray
from napari_unsupseg.plugin.labels_layers import replace_labels
from napari_unsupseg.regions.edits import EditHistory, describe_edit
from napari_unsupseg.regions.labels import count_labels

if TYPE_CHECKING:
    from napari.layers import Labels

__all__ = ["LayerEdits"]

EDIT_EVENTS = ("paint", "data")  # of a layer; the first comes after each stroke, fill or polygon
UNDO, REDO = (KeyMod.CtrlCmd | shift | KeyCode.KeyZ for shift in (0, KeyMod.Shift))


class LayerEdits:
    """Notes whatever changes the labels of a layer, and makes it again on other labels.

    It need not know whether that is a brush of napari, a button of ours or another plugin. It takes
    the layer's keys for undo and redo, since napari forgets its own steps when labels change.

    Parameters
    ----------
    layer : napari.layers.Labels
        The layer, which shows the labels with all edits.
    base : ndarray of unsigned integers
        Labels that nobody has edited, in the shape of the layer.
    history : EditHistory
        The edits so far.
    on_change : callable
        Called after each edit, undo and redo.

    Attributes
    ----------
    history : EditHistory
        The edits.
    applied : tuple of bool
        Of each that holds whether it had anything to do on the labels below.
    """

    def __init__(
        self,
        layer: "Labels",
        base: LabelsArray,
        history: EditHistory,
        on_change: Callable[[], None],
    ) -> None:
        self.layer = layer
        self.history = history
        self._base = base
        self._seen, self.applied = history.apply(base)
        self._on_change = on_change
        self._is_open = True
        for name in EDIT_EVENTS:
            getattr(layer.events, name).connect(self._on_event)
        layer.bind_key(UNDO, lambda _layer: self.undo(), overwrite=True)
        layer.bind_key(REDO, lambda _layer: self.redo(), overwrite=True)

    def close(self) -> None:
        """Leave the layer to napari as it is."""
        self._is_open = False
        for name in EDIT_EVENTS:
            getattr(self.layer.events, name).disconnect(self._on_event)
        for key in (UNDO, REDO):
            self.layer.bind_key(key, None)

    @property
    def fits(self) -> bool:
        """Whether the layer has labels of the image, and no others that a program has put there."""
        return bool(np.shape(self.layer.data) == self._base.shape)

    def _on_event(self) -> None:
        self.note()
        # what a program paints or fills is told before it is done, a stroke of the mouse after it
        QTimer.singleShot(0, self.note)

    def note(self) -> None:
        """Note what has changed since the last time, if anything has."""
        can_note = self._is_open and self.fits
        edit = describe_edit(self._seen, self.layer.data) if can_note else None
        if edit is not None:
            self._seen = self.layer.data.copy()  # the user paints on the array that the layer has
            self.history = self.history.add(edit)
            self.applied += (True,)
            self._on_change()

    def count_labels(self) -> int:
        """Return how many labels there are with all edits, besides 0."""
        return count_labels(self._seen)

    def rebase(self, base: LabelsArray) -> None:
        """Show other labels, edited as those before.

        Parameters
        ----------
        base : ndarray of unsigned integers
            Labels that nobody has edited.
        """
        self.note()
        self._base = base
        self._write()

    def undo(self) -> None:
        """Take back the last edit."""
        self._replace(EditHistory.undo)

    def redo(self) -> None:
        """Make the edit again that was taken back last."""
        self._replace(EditHistory.redo)

    def undo_all(self) -> None:
        """Take back all edits."""
        self._replace(EditHistory.undo_all)

    def _replace(self, change: Callable[[EditHistory], EditHistory]) -> None:
        """Change the history, and show what follows from it."""
        self.note()
        history = change(self.history)
        if len(history.done) != len(self.history.done):
            self.history = history
            self._write()
            self._on_change()

    def _write(self) -> None:
        """Show the labels with all edits."""
        self._seen, self.applied = self.history.apply(self._base)
        replace_labels(self.layer, self._seen.copy())
