"""A button with a menu of Image layers, of which any can be ticked."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from magicgui.widgets import PushButton
from napari.layers import Image
from qtpy.QtWidgets import QMenu

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["LayersButton"]


class LayersButton(PushButton):
    """A button whose menu lists the Image layers that something can be done with too.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the layers are.
    text, tooltip : str
        What the button says.
    nothing : str
        What the menu says where no layer fits.
    fits : callable
        Tells whether it can be done with a layer.
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
        text: str,
        tooltip: str,
        nothing: str,
        fits: Callable[[Image], bool],
        on_change: Callable[[Sequence[Image]], None],
    ) -> None:
        super().__init__(text=text, tooltip=tooltip)
        self._viewer, self._fits, self._on_change = viewer, fits, on_change
        self._nothing = nothing
        self._chosen: list[Image] = []
        self.menu = QMenu(self.native)
        self.menu.aboutToShow.connect(self._list_layers)
        self.native.setMenu(self.menu)

    @property
    def chosen(self) -> list[Image]:
        """The layers that are ticked, of those that are there and fit."""
        fitting = self.fitting
        return [layer for layer in self._chosen if layer in fitting]

    @property
    def fitting(self) -> list[Image]:
        """The layers that the menu lists."""
        return [one for one in self._viewer.layers if isinstance(one, Image) and self._fits(one)]

    def _list_layers(self) -> None:
        self.menu.clear()
        layers, self._chosen = self.fitting, self.chosen
        for layer in layers:
            action = self._add_action(layer.name)
            action.setCheckable(True)
            action.setChecked(layer in self._chosen)
            action.toggled.connect(lambda is_chosen, layer=layer: self._choose(layer, is_chosen))
        if not layers:
            self._add_action(self._nothing).setEnabled(False)

    def _add_action(self, text: str) -> Any:
        action = self.menu.addAction(text)
        assert action is not None
        return action

    def _choose(self, layer: Image, is_chosen: bool) -> None:
        self._chosen = [one for one in self._chosen if one is not layer]
        if is_chosen:
            self._chosen.append(layer)
        self._on_change(self._chosen)
