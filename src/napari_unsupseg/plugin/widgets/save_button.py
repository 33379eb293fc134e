"""A button that saves a Labels layer with its table, in a format that the user chooses."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from magicgui.widgets import PushButton
from napari.layers import Labels
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QFileDialog

from napari_unsupseg.plugin.background import translate_worker_errors
from napari_unsupseg.plugin.refusals import tell_refusals
from napari_unsupseg.plugin.saved_labels import FORMATS, save_labels_layer, with_ending

__all__ = ["SaveButton"]


class SaveButton(PushButton):
    """A button that asks where objects are to be saved, and saves them in another thread.

    Parameters
    ----------
    find_layer : callable
        Returns their layer; None if there is none.
    show_status : callable
        Shows in a sentence what was saved.
    """

    def __init__(
        self, find_layer: Callable[[], Labels | None], show_status: Callable[[str], None]
    ) -> None:
        super().__init__(
            text="Save objects…",
            tooltip="Save the objects and their table: as label TIFF, OME-Zarr, GeoJSON for QuPath "
            "or ImageJ ROIs; or the table alone, as CSV.",
        )
        self._find_layer = find_layer
        self._show_status = show_status
        self.changed.connect(self._ask_where_objects_go)

    def save(self, path: Path, layer: Labels) -> None:
        """Save a layer as it is now.

        Parameters
        ----------
        path : Path
            A file that `save_labels_layer` can write.
        layer : napari.layers.Labels
            The layer.
        """
        data, attributes, _ = layer.as_layer_data_tuple()
        # the user may paint meanwhile
        copy = Labels(data.copy() if isinstance(data, np.ndarray) else data, **attributes)
        self._show_status(f"saving {path.name}…")
        create_worker(
            _save,
            path,
            copy,
            _connect={
                "returned": lambda _: self._show_status(f"saved {path.name}"),
                "errored": self._show_error,
            },
        )

    def _ask_where_objects_go(self) -> None:
        layer = self._find_layer()
        if layer is None:
            self._show_status("there are no objects to save yet")
        else:
            self.ask_where(layer)

    @tell_refusals
    def ask_where(self, layer: Labels) -> None:
        """Ask where a layer is to be saved, and in which format, and save it.

        Parameters
        ----------
        layer : napari.layers.Labels
            The layer.
        """
        kinds = {
            f"{kind} ({' '.join(f'*{ending}' for ending in endings)})": kind
            for kind, endings in FORMATS.items()
        }
        chosen, chosen_kind = QFileDialog.getSaveFileName(
            self.native, "Save labels", layer.name, ";;".join(kinds)
        )
        if chosen:
            self.save(with_ending(chosen, kinds[chosen_kind]), layer)

    def _show_error(self, error: Exception) -> None:
        self._show_status("nothing was saved")
        show_error(str(error))


def _save(path: Path, layer: Labels) -> None:
    with translate_worker_errors(f"{path} cannot be saved: "):
        save_labels_layer(path, layer)
