"""A histogram with a range that can be dragged."""

from collections.abc import Callable

import numpy as np
import pyqtgraph
from magicgui.widgets import Container, Widget
from napari.utils.theme import Theme
from qtpy.QtCore import Qt

from napari_unsupseg._typing import Colours, Floats
from napari_unsupseg.plugin.widgets.plot_style import colour_axes, lay_out

__all__ = ["Histogram"]

HEIGHT = 110  # pixels
MIN_BINS, MAX_BINS = 10, 40
MARGIN = 0.03  # of the range, beside its ends, where they can be grasped


class Histogram(Container[Widget]):
    """How many objects have which value, and the range of values that is chosen.

    Parameters
    ----------
    on_range : callable
        Called when a user drags the range.
    """

    def __init__(self, on_range: Callable[[], None]) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self.plot = pyqtgraph.PlotWidget(enableMenu=False)
        lay_out(self.plot, "histogram of the measurement", HEIGHT)
        self.plot.setMouseEnabled(False, False)
        self.edges: Floats = np.zeros(2)
        self._bars = pyqtgraph.BarGraphItem(x0=[], x1=[], height=[], pen=None)
        self.region = pyqtgraph.LinearRegionItem()
        self._mark = pyqtgraph.InfiniteLine(movable=False)
        for item in (self._bars, self.region, self._mark):
            self.plot.addItem(item)
        self.region.sigRegionChanged.connect(on_range)
        self.native.layout().addWidget(self.plot)

    @property
    def range(self) -> tuple[float, float]:
        """The ends of the range."""
        low, high = self.region.getRegion()
        return float(low), float(high)

    def show_values(self, values: Floats) -> None:
        """Draw the histogram of other values, of which the range then has all.

        Parameters
        ----------
        values : ndarray of float64, shape (n,)
            The values, one of them at least; none is NaN.
        """
        n_bins = int(np.clip(np.sqrt(len(values)), MIN_BINS, MAX_BINS))
        counts, self.edges = np.histogram(values, n_bins)
        self._bars.setOpts(x0=self.edges[:-1], x1=self.edges[1:], height=counts)
        ends = float(values.min()), float(values.max())
        self.plot.setXRange(self.edges[0], self.edges[-1], padding=MARGIN)
        self.plot.setYRange(0, int(counts.max()), padding=0)
        self.region.blockSignals(True)  # nobody has dragged it
        self.region.setBounds(ends)
        self.region.blockSignals(False)
        self.set_range(*ends)

    def set_range(self, low: float, high: float) -> None:
        """Choose another range."""
        self.region.blockSignals(True)
        self.region.setRegion((low, high))
        self.region.blockSignals(False)

    def mark(self, value: float) -> None:
        """Show where a value is; none for NaN."""
        self._mark.setVisible(not np.isnan(value))
        if not np.isnan(value):
            self._mark.setValue(value)

    def colour_bars(self, colours: Colours) -> None:
        """Give the bars colours, shape (bars, 4) or (1, 4) for all: a legend of the layer's."""
        rgb = (colours[:, :3] * 255).round().astype(int).tolist()
        brushes = [pyqtgraph.mkBrush(*colour) for colour in rgb]
        self._bars.setOpts(brushes=brushes * (len(self.edges) - 1) if len(rgb) == 1 else brushes)

    def apply_theme(self, theme: Theme) -> None:
        """Draw in the colours of a theme of napari's."""
        colour_axes(self.plot, theme)
        text = theme.text.as_hex("long")
        self._mark.setPen(text, width=2, style=Qt.PenStyle.DotLine)  # no end of the range
        self.region.setBrush(pyqtgraph.mkBrush(text + "28"))
        self.region.setHoverBrush(pyqtgraph.mkBrush(text + "40"))
        for line in self.region.lines:
            line.setPen(text, width=2)
            line.setHoverPen(theme.current.as_hex("long"), width=4)
