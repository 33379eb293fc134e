"""The bar that shows how far a run is, or what is done with a network."""

from magicgui.widgets import ProgressBar

from napari_unsupseg.plugin.run_data import RunUpdate

__all__ = ["RunProgress"]

PERCENT = 100


class RunProgress(ProgressBar):
    """Counts iterations, and the share that is done of all else; hidden until something begins."""

    def __init__(self) -> None:
        super().__init__(label="progress", visible=False)

    def show_update(self, update: RunUpdate) -> None:
        """Show how far a run is.

        Parameters
        ----------
        update : RunUpdate
            From the run.
        """
        if update.share is None:
            self.max = update.n_iterations
            self.value = update.iteration
        else:
            self.show_share(update.share)

    def show_share(self, share: float) -> None:
        """Show how much is done.

        Parameters
        ----------
        share : float
            From 0 to 1.
        """
        self.max = PERCENT
        self.value = round(share * PERCENT)
