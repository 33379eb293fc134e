"""The buttons that begin, pause, end and continue a run."""

from magicgui.widgets import Container, PushButton, Widget

from napari_unsupseg.plugin.session import Actions
from napari_unsupseg.plugin.shortcuts import with_shortcut
from napari_unsupseg.plugin.widgets.controls import row

__all__ = ["RunButtons"]


class RunButtons(Container[Widget]):
    """Two rows of buttons."""

    def __init__(self) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self.run = PushButton(
            text="Run", tooltip=with_shortcut("Segment the image, into a new layer.", "run")
        )
        self.pause = PushButton(
            text="Pause", tooltip=with_shortcut("Wait, or go on after a pause.", "pause")
        )
        self.stop = PushButton(text="Stop", tooltip="End the run and keep its labels.")
        self.continue_training = PushButton(
            text="Continue", tooltip="Go on training where the run stopped, in its layer."
        )
        self.start_over = PushButton(
            text="Start over",
            tooltip="Begin anew in the same layer, with the settings as they are now.",
        )
        self.append(row([self.run, self.pause, self.stop]))
        self.append(row([self.continue_training, self.start_over]))

    def show_actions(self, actions: Actions, *, is_paused: bool) -> None:
        """Switch the buttons on or off.

        Parameters
        ----------
        actions : Actions
            What is possible now.
        is_paused : bool
            Whether *Pause* is to be *Resume*.
        """
        self.run.enabled = actions.run
        self.pause.enabled = actions.pause
        self.stop.enabled = actions.stop
        self.continue_training.enabled = actions.continue_training
        self.start_over.enabled = actions.start_over
        self.pause.text = "Resume" if is_paused else "Pause"
