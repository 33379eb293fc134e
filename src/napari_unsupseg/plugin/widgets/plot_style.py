"""How all plots of measurements look."""

from typing import Any

from napari.utils.theme import Theme
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSizePolicy

__all__ = ["colour_axes", "lay_out"]

MARGINS = (0, 8, 4, 0)  # pixels left, above, right and below, where numbers would be cut off


def lay_out(plot: Any, name: str, height: int) -> None:
    """Give a plot its place in a narrow dock.

    Parameters
    ----------
    plot : pyqtgraph.PlotWidget
        The plot.
    name : str
        What it is, for screen readers.
    height : int
        Its height in pixels.
    """
    plot.setFixedHeight(height)
    plot.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    plot.setAccessibleName(name)
    plot.getPlotItem().layout.setContentsMargins(*MARGINS)
    for side in ("left", "bottom"):
        plot.getAxis(side).enableAutoSIPrefix(False)  # units are in the names


def colour_axes(plot: Any, theme: Theme) -> None:
    """Draw the axes of a plot of pyqtgraph's in the colours of a theme of napari's.

    Parameters
    ----------
    plot : pyqtgraph.PlotWidget
        The plot.
    theme : napari.utils.theme.Theme
        The theme.
    """
    text = theme.text.as_hex()
    for side in ("left", "bottom"):
        axis = plot.getAxis(side)
        axis.setPen(text)
        axis.setTextPen(text)
