"""Buttons that say what a click on an object or segment does, and the list of what was done."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import napari.layers
from magicgui.widgets import Container, FloatSlider, PushButton, Widget

from napari_unsupseg.plugin.layer_edits import LayerEdits
from napari_unsupseg.plugin.object_editor import EditMode, ObjectEditor
from napari_unsupseg.plugin.widgets.controls import Sentence, narrow_readout, row
from napari_unsupseg.plugin.widgets.correction_list import CorrectionList

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["EditButtons"]

TOOLTIPS = {
    EditMode.ALIKE: "Find the {}s that are like one of them, to keep or to remove all of them.",
    EditMode.REMOVE: "Remove {}s.",
    EditMode.SPLIT: "Split one {} by a line.",
    EditMode.JOIN: "Make one {} of two.",
}


class EditButtons(Container[Widget]):
    """A button for each way to edit objects or segments, of which one may be down.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where they are.
    noun : str
        What they are called, one of them.
    modes : iterable of EditMode
        The ways.

    Attributes
    ----------
    corrections : CorrectionList
        What was done.
    """

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        noun: str,
        modes: Iterable[EditMode],
    ) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._viewer = viewer
        self._layer: napari.layers.Labels | None = None
        self._whole_axes: Sequence[int] = ()
        self.buttons = {
            mode: PushButton(
                text=mode.value, tooltip=f"{TOOLTIPS[mode].format(noun)} Ctrl-Z takes it back."
            )
            for mode in modes
        }
        self._noun = noun
        self.corrections = CorrectionList(noun)
        self.similarity = FloatSlider(
            label="how alike",
            value=0.5,
            min=0,
            max=1,
            step=0.01,
            tooltip="How alike objects must be in size, brightness and shape, whichever differs "
            "most: 1 finds the one that was clicked alone, 0 all.",
        )
        narrow_readout(self.similarity, "0.00")
        self.keep_button = PushButton(text="Keep only these", tooltip="Remove all others.")
        self.remove_button = PushButton(text="Remove these", tooltip="Keep all others.")
        slider = Container[Widget](widgets=[self.similarity])
        slider.margins = (0, 0, 0, 0)
        self._alike = Container[Widget](
            widgets=[slider, row([self.keep_button, self.remove_button])],
            labels=False,
            visible=False,
        )
        self._alike.margins = (0, 0, 0, 0)
        self.hint = Sentence()
        self.extend([row(self.buttons.values()), self.hint, self._alike, self.corrections])
        self._editor = ObjectEditor(viewer, self._show_hint, self._show_mode, noun)
        for mode, button in self.buttons.items():
            button.native.setCheckable(True)
            button.native.clicked.connect(lambda is_down, mode=mode: self._choose(mode, is_down))
        self.similarity.changed.connect(self._editor.set_similarity)
        self.keep_button.changed.connect(lambda: self._editor.remove_alike(others=True))
        self.remove_button.changed.connect(lambda: self._editor.remove_alike())
        self._show_mode()

    def follow(self, edits: LayerEdits | None, whole_axes: Sequence[int]) -> None:
        """Edit the objects of a layer from now on.

        Parameters
        ----------
        edits : LayerEdits or None
            The layer, with what was done to it; None if there is none yet.
        whole_axes : sequence of int
            Axes of the layer along which an object is split all the way, as slices of a volume are.
        """
        self._layer = None if edits is None else edits.layer
        self._whole_axes = whole_axes
        self.corrections.follow(edits)
        self._show_mode()

    def stop(self) -> None:
        """Have clicks edit nothing."""
        self._editor.stop()

    def _choose(self, mode: EditMode, is_down: bool) -> None:
        layer, refusal = self._layer, ""
        if not is_down:
            self._editor.stop()
        elif layer is None or layer not in self._viewer.layers:
            noun = self._noun
            refusal = f"there is no layer of {noun}s: press {noun.capitalize()}s to find them"
        elif not layer.data.any():
            refusal = f"there are no {self._noun}s in {layer.name}"
        else:
            self._editor.start(mode, layer, self._whole_axes)
        self._show_mode()
        if refusal:
            self._show_hint(refusal)
            self.hint.visible = True

    def _show_mode(self) -> None:
        """Show which mode is on, and the controls of that one."""
        for mode, button in self.buttons.items():
            button.native.setChecked(mode is self._editor.mode)
        self.hint.visible = self._editor.mode is not None
        self._alike.visible = self._editor.mode is EditMode.ALIKE

    def _show_hint(self, sentence: str) -> None:
        self.hint.value = sentence
        self.keep_button.enabled = self.remove_button.enabled = bool(self._editor.alike)
