"""Clusters and loss by iteration, in two small plots."""

from typing import TYPE_CHECKING, Any

from magicgui.widgets import Container, Widget
from napari.utils.theme import get_theme
from superqt.utils import QSignalThrottler

from napari_unsupseg.plugin.run_data import RunUpdate, TrainingCurve
from napari_unsupseg.plugin.widgets.plot_style import colour_axes, fit_in_dock

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["TrainingCurvePlot"]

REDRAW_MS = 250  # each drawing takes 10 to 20 ms of the window, nearly all of them for the axes
HEIGHT = 140  # pixels
TICK_DENSITY = 0.5  # of pyqtgraph's own, which is for larger plots
AXIS_WIDTH = 52  # pixels, the same in both plots, so that iterations lie below each other


class TrainingCurvePlot(Container[Widget]):
    """Two plots below each other, in the colours of napari's theme.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        It has the theme.
    """

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._viewer = viewer
        self._curve = TrainingCurve()
        self._plots: dict[str, Any] = {}
        self._drawing = QSignalThrottler(parent=self.native)
        self._drawing.setTimeout(REDRAW_MS)
        self._drawing.triggered.connect(self._draw)
        viewer.events.theme.connect(self._apply_theme)
        self.native.destroyed.connect(self._disconnect_theme)

    def begin(self, curve: TrainingCurve) -> None:
        """Draw another run from here on.

        Parameters
        ----------
        curve : TrainingCurve
            Its iterations so far; those that follow are added to it.
        """
        self._curve = curve
        self._draw()

    def add(self, update: RunUpdate) -> None:
        """Add an iteration, to be drawn soon.

        Parameters
        ----------
        update : RunUpdate
            From the run.
        """
        if self._curve.add(update):
            self._drawing.throttle()

    def _draw(self) -> None:
        curve = self._curve
        if curve.iterations and not self._plots:
            self._make_plots()
        for name, plot in self._plots.items():
            values = getattr(curve, name)
            plot.listDataItems()[0].setData(curve.iterations, values)
            # both are greatest at the start of a run, so that this range hardly ever moves
            plot.setYRange(0, max(values, default=1))

    def _make_plots(self) -> None:
        """Make the plots, when there is something to show: their library takes a while to load."""
        import pyqtgraph

        view = pyqtgraph.GraphicsLayoutWidget()
        fit_in_dock(view, "clusters and loss by iteration", HEIGHT)
        view.ci.setContentsMargins(0, 0, 0, 0)
        view.ci.setSpacing(6)
        self._plots = {
            name: view.addPlot(line, 0, enableMenu=False)
            for line, name in enumerate(("clusters", "loss"))
        }
        for name, plot in self._plots.items():
            plot.plot(antialias=True, autoDownsample=True, downsampleMethod="peak")
            plot.setLabel("left", name)
            plot.getAxis("left").setWidth(AXIS_WIDTH)
            plot.getAxis("left").setTickDensity(TICK_DENSITY)
            plot.setMouseEnabled(False, False)
            plot.hideButtons()
        self._plots["clusters"].setXLink(self._plots["loss"])
        self._plots["clusters"].hideAxis("bottom")
        self._plots["loss"].setLabel("bottom", "iteration")
        self.native.layout().addWidget(view)
        self._apply_theme()

    def _apply_theme(self) -> None:
        """Draw in the colours of the theme of napari."""
        theme = get_theme(self._viewer.theme)
        for plot in self._plots.values():
            plot.listDataItems()[0].setPen(theme.text.as_hex())
            colour_axes(plot, theme)

    def _disconnect_theme(self) -> None:
        self._viewer.events.theme.disconnect(self._apply_theme)
