"""Three buttons of which one is down: the views of a run."""

from collections.abc import Callable

from magicgui.widgets import Container, PushButton, Widget
from qtpy.QtWidgets import QButtonGroup

from napari_unsupseg.plugin.session import View

__all__ = ["ViewButtons"]

TOOLTIPS = {
    View.CLUSTERS: "Kinds of stuff: name, merge and hide them, and look at earlier iterations.",
    View.SEGMENTS: "Connected regions, as fine or coarse as you like.",
    View.OBJECTS: "Things that can be counted, such as nuclei or particles.",
}


class ViewButtons(Container[Widget]):
    """Chooses what is seen of a run.

    Parameters
    ----------
    on_choose : callable
        Called with a view whose button is clicked, also when it is down already.
    """

    def __init__(self, on_choose: Callable[[View], None]) -> None:
        super().__init__(layout="horizontal", labels=False)
        self.margins = (0, 0, 0, 0)
        self.buttons = {
            view: PushButton(text=view.value, tooltip=tooltip) for view, tooltip in TOOLTIPS.items()
        }
        self.extend(list(self.buttons.values()))
        self._group = QButtonGroup(self.native)  # exclusive
        for view, button in self.buttons.items():
            button.native.setCheckable(True)
            self._group.addButton(button.native)
            button.native.clicked.connect(lambda _checked, view=view: on_choose(view))
        self.show_view(View.CLUSTERS)

    def show_view(self, view: View) -> None:
        """Have the button of a view be down.

        Parameters
        ----------
        view : View
            The view.
        """
        self.buttons[view].native.setChecked(True)
