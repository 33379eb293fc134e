"""The course of a run: its clusters and its loss by iteration, in two small plots."""

import dataclasses
from typing import TYPE_CHECKING, Any

from magicgui.widgets import Container, Widget
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSizePolicy
from superqt.utils import QSignalThrottler

from napari_unsupseg.plugin.worker import RunUpdate

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["TrainingCurve", "TrainingCurvePlot"]

REDRAW_MS = 250  # of a run of a second or two; each takes 10 to 20 ms, nearly all for the axes
HEIGHT = 140  # pixels
TICK_DENSITY = 0.5  # of pyqtgraph's own, which is for larger plots
AXIS_WIDTH = 52  # pixels, the same in both plots, so that iterations lie below each other


@dataclasses.dataclass(eq=False)
class TrainingCurve:
    """What a run has gone through.

    Attributes
    ----------
    iterations : list of int
        Those that something is known of.
    clusters : list of int
        Clusters that were left.
    loss : list of float
        The loss.
    """

    iterations: list[int] = dataclasses.field(default_factory=list)
    clusters: list[int] = dataclasses.field(default_factory=list)
    loss: list[float] = dataclasses.field(default_factory=list)

    def add(self, update: RunUpdate) -> bool:
        """Note an iteration, unless it is known already or the training is over.

        Parameters
        ----------
        update : Update
            From the run.

        Returns
        -------
        bool
            Whether it was noted.
        """
        if update.is_over or update.iteration in self.iterations[-1:]:
            return False
        self.iterations.append(update.iteration)
        self.clusters.append(update.n_clusters)
        self.loss.append(update.loss)
        return True


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
        self._course = TrainingCurve()
        self._plots: dict[str, Any] = {}
        self._drawing = QSignalThrottler(parent=self.native)
        self._drawing.setTimeout(REDRAW_MS)
        self._drawing.triggered.connect(self._draw)
        viewer.events.theme.connect(self._paint)
        self.native.destroyed.connect(self._forget_theme)

    def begin(self, course: TrainingCurve) -> None:
        """Draw a run from here on.

        Parameters
        ----------
        course : Course
            What it has gone through so far.
        """
        self._course = course
        self._draw()

    def add(self, update: RunUpdate) -> None:
        """Note an iteration, to be drawn soon.

        Parameters
        ----------
        update : Update
            From the run.
        """
        if self._course.add(update):
            self._drawing.throttle()

    def _draw(self) -> None:
        course = self._course
        if course.iterations and not self._plots:
            self._make()
        for name, plot in self._plots.items():
            values = getattr(course, name)
            plot.listDataItems()[0].setData(course.iterations, values)
            plot.setYRange(0, max(values, default=1))  # from a run's start on about the same

    def _make(self) -> None:
        """Make the plots, when there is something to show: their library takes a while to load."""
        import pyqtgraph

        view = pyqtgraph.GraphicsLayoutWidget()
        view.setFixedHeight(HEIGHT)
        view.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        view.setBackground(None)
        view.ci.setContentsMargins(0, 0, 0, 0)
        view.ci.setSpacing(6)
        view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        view.setAccessibleName("clusters and loss by iteration")
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
        self._paint()

    def _paint(self) -> None:
        """Take the colours of the theme."""
        text = get_theme(self._viewer.theme).text.as_hex()
        for plot in self._plots.values():
            plot.listDataItems()[0].setPen(text)
            for side in ("left", "bottom"):
                axis = plot.getAxis(side)
                axis.setPen(text)
                axis.setTextPen(text)

    def _forget_theme(self) -> None:
        self._viewer.events.theme.disconnect(self._paint)
