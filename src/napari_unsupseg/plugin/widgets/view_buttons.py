"""Three buttons of which one is down: the views of a run."""

from collections.abc import Callable

from magicgui.widgets import Container, PushButton, Widget

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
        for view, button in self.buttons.items():
            button.native.setCheckable(True)
            button.native.clicked.connect(lambda _checked, view=view: on_choose(view))
        self.show_view(View.CLUSTERS)

    def show_view(self, view: View) -> None:
        """Have the button of a view be down, and no other.

        Parameters
        ----------
        view : View
            The view.
        """
        # not by a group of Qt's: Tab would lead to the one that is down alone
        for of_view, button in self.buttons.items():
            button.native.setChecked(of_view is view)
