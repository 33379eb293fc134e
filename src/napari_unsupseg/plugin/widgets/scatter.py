"""A scatter plot in which objects are chosen by a line drawn around them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyqtgraph
from magicgui.widgets import Container, Widget
from napari.utils.theme import Theme
from numpy.typing import NDArray
from qtpy.QtCore import Qt

from napari_unsupseg._typing import Floats
from napari_unsupseg.plugin.widgets.plot_style import colour_axes, lay_out
from napari_unsupseg.regions.object_selection import nearest_point

__all__ = ["Scatter"]

HEIGHT = 200  # pixels
POINT, MARK = 7, 14  # pixels across
REACH = 8  # pixels from a click to a point that it means


Corners = list[tuple[float, float]]


class Scatter(Container[Widget]):
    """A point for each object, at two of its measurements.

    Parameters
    ----------
    on_lasso : callable
        Called with the outline that a user has drawn, shape (corners, 2); with None after a click
        beside all points, which means all of them.
    on_point : callable
        Called with the index of a point that a user has clicked.
    """

    def __init__(
        self,
        on_lasso: Callable[[Floats | None], None],
        on_point: Callable[[int], None],
    ) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._x: Floats = np.zeros(0)
        self._y: Floats = np.zeros(0)
        self._on_lasso, self._on_point = on_lasso, on_point
        self._view = _LassoViewBox(self._on_drawing, self._on_drawn)
        self.plot = pyqtgraph.PlotWidget(viewBox=self._view)
        lay_out(self.plot, "scatter plot of two measurements", HEIGHT)
        self.plot.setMouseEnabled(False, False)  # the wheel scrolls the dock
        self._all, self._chosen, self._mark = (
            pyqtgraph.ScatterPlotItem(pen=None, size=size) for size in (POINT, POINT, MARK)
        )
        self._lasso = pyqtgraph.PlotCurveItem()
        for item in (self._all, self._chosen):
            self.plot.addItem(item)
        for item in (self._lasso, self._mark):
            self.plot.addItem(item, ignoreBounds=True)  # they move no axis
        # of the scene, as points would keep their clicks from the area that they lie in
        self.plot.scene().sigMouseClicked.connect(self._on_click)
        self.native.layout().addWidget(self.plot)

    def show_values(self, x: Floats, y: Floats, names: tuple[str, str]) -> None:
        """Draw other points.

        Parameters
        ----------
        x, y : ndarray of float64, shape (n,)
            Where they are; NaN for one that is nowhere.
        names : tuple of str
            What x and y are, with their units.
        """
        self._x, self._y = x, y
        for side, name in zip(("bottom", "left"), names, strict=True):
            self.plot.setLabel(side, name)
        is_seen = np.isfinite(x) & np.isfinite(y)
        self._all.setData(x[is_seen], y[is_seen])
        self._chosen.clear()
        self._view.autoRange()

    def choose(self, chosen: NDArray[np.bool_]) -> None:
        """Show which points are chosen, shape (n,)."""
        is_seen = np.isfinite(self._x) & np.isfinite(self._y) & chosen
        self._chosen.setData(self._x[is_seen], self._y[is_seen])

    def show_lasso(self, polygon: Floats | None) -> None:
        """Show the outline that points are chosen by, or none."""
        corners = np.zeros((0, 2)) if polygon is None else np.vstack([polygon, polygon[:1]])
        self._lasso.setData(*corners.T)

    def mark(self, index: int | None) -> None:
        """Mark one point, or none."""
        indices = [] if index is None or np.isnan(self._x[index] + self._y[index]) else [index]
        self._mark.setData(self._x[indices], self._y[indices])

    def apply_theme(self, theme: Theme) -> None:
        """Draw in the colours of a theme of napari's."""
        colour_axes(self.plot, theme)
        text = theme.text.as_hex("long")
        self._chosen.setBrush(text + "c0")
        self._all.setBrush(text + "30")
        self._mark.setPen(theme.icon.as_hex("long"), width=2)
        self._mark.setBrush(None)
        self._lasso.setPen(theme.text.as_hex("long"), width=1, style=Qt.PenStyle.DashLine)

    def _on_drawing(self, corners: Corners) -> None:
        self.show_lasso(np.array(corners))

    def _on_drawn(self, corners: Corners) -> None:
        self._on_lasso(np.array(corners) if len(corners) > 2 else None)

    def _on_click(self, event: Any) -> None:
        is_left = event.button() == Qt.MouseButton.LeftButton
        if not is_left or not self._view.sceneBoundingRect().contains(event.scenePos()):
            return
        place = self._view.mapSceneToView(event.scenePos())
        width, height = self._view.viewPixelSize()
        reach = REACH * width, REACH * height
        index = nearest_point(self._x, self._y, (place.x(), place.y()), reach)
        if index is None:
            self._on_lasso(None)
        else:
            self._on_point(index)


class _LassoViewBox(pyqtgraph.ViewBox):  # type: ignore[misc]  # pyqtgraph has no types
    """A plot's area in which dragging draws a line, in place of moving the plot."""

    def __init__(
        self,
        on_drawing: Callable[[Corners], None],
        on_drawn: Callable[[Corners], None],
    ) -> None:
        super().__init__(enableMenu=False)
        self._on_drawing, self._on_drawn = on_drawing, on_drawn
        self._corners: Corners = []

    def mouseDragEvent(self, event: Any, axis: int | None = None) -> None:  # noqa: N802
        if event.button() != Qt.MouseButton.LeftButton or axis is not None:
            super().mouseDragEvent(event, axis)
            return
        event.accept()
        if event.isStart():
            self._corners = [self._place(event.buttonDownPos())]
        self._corners.append(self._place(event.pos()))
        (self._on_drawn if event.isFinish() else self._on_drawing)(self._corners)

    def _place(self, position: Any) -> tuple[float, float]:
        """Return x and y of the mouse in the units of the plot."""
        place = self.mapToView(position)
        return place.x(), place.y()
