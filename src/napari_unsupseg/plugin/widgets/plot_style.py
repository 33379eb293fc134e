"""How all plots look."""

from typing import Any

from napari.utils.theme import Theme
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGraphicsView, QSizePolicy

__all__ = ["colour_axes", "fit_in_dock", "lay_out"]

MARGINS = (0, 8, 4, 0)  # pixels left, above, right and below, where numbers would be cut off


def fit_in_dock(view: Any, name: str, height: int) -> None:
    """Give a view of plots its place in a narrow dock, and the dock's background.

    Parameters
    ----------
    view : pyqtgraph.GraphicsView
        One plot, or several.
    name : str
        What is seen, for screen readers.
    height : int
        Its height in pixels.
    """
    view.setFixedHeight(height)
    view.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    view.setAccessibleName(name)
    view.setBackground(None)
    # what pyqtgraph keeps of the background would outlive napari's theme
    view.setCacheMode(QGraphicsView.CacheModeFlag.CacheNone)


def lay_out(plot: Any, name: str, height: int) -> None:
    """Give a single plot its place, with margins and plain numbers.

    Parameters
    ----------
    plot : pyqtgraph.PlotWidget
        The plot.
    name : str
        What it is, for screen readers.
    height : int
        Its height in pixels.
    """
    fit_in_dock(plot, name, height)
    plot.hideButtons()
    plot.getPlotItem().layout.setContentsMargins(*MARGINS)
    for side in ("left", "bottom"):
        plot.getAxis(side).enableAutoSIPrefix(False)  # units are in the names


def colour_axes(plot: Any, theme: Theme) -> None:
    """Draw the axes of a plot of pyqtgraph's in the colours of a theme of napari's.

    Parameters
    ----------
    plot : pyqtgraph.PlotWidget or pyqtgraph.PlotItem
        The plot.
    theme : napari.utils.theme.Theme
        The theme.
    """
    text = theme.text.as_hex()
    for side in ("left", "bottom"):
        axis = plot.getAxis(side)
        axis.setPen(text)
        axis.setTextPen(text)
