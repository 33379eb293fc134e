"""Labels of a layer shown in colours of our choice, and again in the user's own."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap

from napari_unsupseg._typing import Colours, Integers

if TYPE_CHECKING:
    from napari.layers import Labels

__all__ = ["LabelPainter"]

MAX_CYCLE = 2**16 - 1  # colours that napari's cyclic colormap holds, and can shuffle


class LabelPainter:
    """Gives labels colours, and keeps the layer's own to give them back.

    Parameters
    ----------
    layer : napari.layers.Labels
        The layer.
    on_replaced : callable
        Called when a user has given the layer other colours than ours.
    """

    def __init__(self, layer: "Labels", on_replaced: Callable[[], None]) -> None:
        self._layer = layer
        self._on_replaced = on_replaced
        self._take(layer.colormap)
        self._painted: Any = None  # the colormap that is ours; None while the layer has its own
        # ours and the layer's own, before somebody else replaced them
        self._replaced: tuple[Any, Any] = (None, None)
        layer.events.colormap.connect(self._on_colormap)

    def close(self) -> None:
        """Give the layer its own colours back, and follow it no more."""
        self.restore()
        self._layer.events.colormap.disconnect(self._on_colormap)

    def own_colours(self, labels: Integers) -> Colours:
        """Return the colours that labels have of themselves.

        Parameters
        ----------
        labels : ndarray of int64, shape (n,)
            The labels.

        Returns
        -------
        ndarray of float32, shape (n, 4)
            Red, green, blue and alpha, from 0 to 1.
        """
        own = self._own_colours
        if isinstance(own, DirectLabelColormap):  # label by label: for arrays it compiles code
            colours = np.array([own.map(label) for label in labels.tolist()], dtype=np.float32)
            return colours.reshape(-1, 4)
        mapped: Colours = own.map(labels).astype(np.float32)
        return mapped

    def paint(self, labels: Integers, colours: Colours) -> None:
        """Show labels in these colours, and all others in their own.

        Parameters
        ----------
        labels : ndarray of int64, shape (n,)
            The labels.
        colours : ndarray of float32, shape (n, 4)
            Red, green, blue and alpha of each, from 0 to 1.
        """
        if int(labels.max(initial=0)) < MAX_CYCLE:
            # thirty times as fast as a DirectLabelColormap: a table with a colour for each label
            table = self.own_colours(np.arange(MAX_CYCLE))
            table[labels] = colours
            colormap: Any = CyclicLabelColormap(colors=table)
        else:
            by_label = dict(zip(labels.tolist(), colours, strict=True))
            colormap = DirectLabelColormap(color_dict={None: "gray", 0: "transparent"} | by_label)
        self._set(colormap)

    def restore(self) -> None:
        """Show all labels in their own colours."""
        if self._painted is not None:
            self._set(self._own)
            self._painted = None

    def _set(self, colormap: Any) -> None:
        # napari leaves it to a new colormap whether only the selected label is shown
        colormap.use_selection = self._layer.show_selected_label
        colormap.selection = self._layer.selected_label
        self._painted = colormap
        self._layer.colormap = colormap

    def _on_colormap(self) -> None:
        """Take colours that somebody else gives the layer for its own."""
        colormap = self._layer.colormap
        if colormap is self._painted:
            return
        if self._painted is None and colormap is not self._replaced[0]:
            self._take(colormap)
            return
        if colormap is self._replaced[0]:  # given back, as by what dims objects for a while
            self._painted = colormap
            self._take(self._replaced[1])
            self.restore()
        elif len(colormap.colors) > MAX_CYCLE / 2:
            # napari's button has shuffled our colours, and is meant for the user's
            self.restore()
            self._layer.new_colormap()
        else:
            self._replaced = self._painted, self._own
            self._painted = None
            self._take(colormap)
        self._on_replaced()

    def _take(self, own: Any) -> None:
        self._own = own
        self._own_colours = _without_selection(own)


def _without_selection(colormap: Any) -> Any:
    """Return a copy of a colormap that shows all labels, not the selected one alone."""
    return type(colormap)(**{**colormap.model_dump(), "use_selection": False})
