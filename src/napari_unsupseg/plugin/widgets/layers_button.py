"""A button with a menu of Image layers, of which any can be chosen."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from magicgui.widgets import PushButton
from napari.layers import Image
from qtpy.QtWidgets import QMenu

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["LayersButton"]


class LayersButton(PushButton):
    """A button whose menu lists the Image layers that objects can be measured in.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the layers are.
    fits : callable
        Tells whether objects can be measured in a layer.
    on_change : callable
        Called with the layers that are chosen, whenever these change.

    Attributes
    ----------
    menu : QMenu
        An action for each layer that fits, ticked if it is chosen; made when it is opened.
    """

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        fits: Callable[[Image], bool],
        on_change: Callable[[Sequence[Image]], None],
    ) -> None:
        super().__init__(
            text="Measure in…",
            tooltip="Other images of the same size, such as further channels, in which the "
            "intensities of objects are measured too.",
        )
        self._viewer, self._fits, self._on_change = viewer, fits, on_change
        self._chosen: list[Image] = []
        self.menu = QMenu(self.native)
        self.menu.aboutToShow.connect(self._list_layers)
        self.native.setMenu(self.menu)

    def _list_layers(self) -> None:
        self.menu.clear()
        layers = [one for one in self._viewer.layers if isinstance(one, Image) and self._fits(one)]
        self._chosen = [layer for layer in self._chosen if layer in layers]
        for layer in layers:
            action = self._add_action(layer.name)
            action.setCheckable(True)
            action.setChecked(layer in self._chosen)
            action.toggled.connect(lambda is_chosen, layer=layer: self._choose(layer, is_chosen))
        if not layers:
            self._add_action("no other image of this size").setEnabled(False)

    def _add_action(self, text: str) -> Any:
        action = self.menu.addAction(text)
        assert action is not None
        return action

    def _choose(self, layer: Image, is_chosen: bool) -> None:
        self._chosen = [one for one in self._chosen if one is not layer]
        if is_chosen:
            self._chosen.append(layer)
        self._on_change(self._chosen)
