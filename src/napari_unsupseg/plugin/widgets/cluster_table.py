"""The clusters of a run, one a line: selected, named, merged, hidden, made background."""

import collections
import dataclasses
import itertools
from collections.abc import Callable, Iterable
from typing import Any

import napari.layers
import numpy as np
from magicgui.widgets import Container, PushButton, Widget
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)
from superqt.utils import QSignalDebouncer

from napari_unsupseg._typing import Labels
from napari_unsupseg.plugin.layers import show_names
from napari_unsupseg.plugin.widgets.controls import row

__all__ = ["ClusterTable"]

UNDONE = 20  # steps back at most
COUNTED_AFTER = 150  # milliseconds after somebody has painted on the layer
HEIGHT = 160  # pixels of the list
SWATCH = 12
NUMBER, AREA, NAME = range(3)  # columns


@dataclasses.dataclass(frozen=True, eq=False)
class Change:
    """One change of a list, and what it was before."""

    before: Labels
    after: Labels
    names: dict[int, str]
    hidden: frozenset[int]


class ClusterTable(Container[Widget]):
    """A line for each label of a layer.

    Parameters
    ----------
    on_change : callable
        Called with the layer after its labels have changed.
    """

    def __init__(self, on_change: Callable[[napari.layers.Labels], None]) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._on_change = on_change
        self._layer: napari.layers.Labels | None = None
        self._colormap: Any = None
        self._areas: NDArray[np.intp] = np.zeros(1, dtype=np.intp)  # by label
        self._listed: list[int] = []  # of the lines
        self._names: dict[int, str] = {}
        self._hidden: frozenset[int] = frozenset()
        self._changes: collections.deque[Change] = collections.deque(maxlen=UNDONE)
        self.table = _empty_table()
        self.merge_button = PushButton(text="Merge", tooltip="Make one cluster of those selected.")
        self.hide_button = PushButton(text="Hide", tooltip="Hide those selected, or show them.")
        self.background_button = PushButton(
            text="Background", tooltip="Give the pixels of those selected label 0."
        )
        self.undo_button = PushButton(text="Undo", tooltip="Take back the last of these changes.")
        self.append(row([self.merge_button, self.hide_button]))
        self.append(row([self.background_button, self.undo_button]))
        self.native.layout().insertWidget(0, self.table)
        self.table.itemSelectionChanged.connect(self._on_selected)
        self.table.itemChanged.connect(self._on_renamed)
        self.merge_button.changed.connect(self._merge)
        self.hide_button.changed.connect(self._hide)
        self.background_button.changed.connect(self._make_background)
        self.undo_button.changed.connect(self._undo)
        self._painting = QSignalDebouncer(parent=self.native)
        self._painting.setTimeout(COUNTED_AFTER)
        self._painting.triggered.connect(self._count_again)

    def order_tabs(self) -> None:
        """Have Tab lead to the list before its buttons; Qt forgets it when a parent moves."""
        buttons = self.merge_button, self.hide_button, self.background_button, self.undo_button
        for one, next_one in itertools.pairwise([self.table, *(b.native for b in buttons)]):
            QWidget.setTabOrder(one, next_one)

    def show_layer(self, layer: napari.layers.Labels) -> None:
        """List the labels of a layer.

        Parameters
        ----------
        layer : napari.layers.Labels
            The layer, whose labels have all been replaced.
        """
        self.show_all()
        if self._layer is not None:
            self._layer.events.paint.disconnect(self._on_painted)
            self._layer.events.set_data.disconnect(self._on_painted)
        layer.events.paint.connect(self._on_painted)
        self._layer = layer
        self._names = {}
        self._changes.clear()
        self._fill()

    def show_all(self) -> None:
        """Show again what is hidden."""
        if self._layer is not None and self._hidden:
            self._set_hidden(frozenset())
            self._fill()

    @property
    def selected(self) -> list[int]:
        """The labels selected."""
        rows = {index.row() for index in self.table.selectedIndexes()}
        return [self._listed[line] for line in sorted(rows)]

    def _fill(self) -> None:
        """Write the lines anew."""
        self._areas = self._count()
        labels = self._listed = np.flatnonzero(self._areas).tolist()
        self.table.blockSignals(True)
        self.table.clearSelection()
        self.table.setRowCount(len(labels))
        for line, label in enumerate(labels):
            self.table.setItem(line, NUMBER, self._numbered(label))
            self.table.setItem(line, AREA, _fixed(self._area(label)))
            self.table.setItem(line, NAME, QTableWidgetItem(self._names.get(label, "")))
        self.table.blockSignals(False)
        self._on_selected()

    def _count(self) -> NDArray[np.intp]:
        """Return the area of each label, but of none at 0."""
        assert self._layer is not None
        areas = np.bincount(self._layer.data.ravel())
        areas[0] = 0
        return areas

    def _area(self, label: int) -> str:
        assert self._layer is not None
        return f"{self._areas[label]:,} ({self._areas[label] / self._layer.data.size:.0%})"

    def _on_painted(self) -> None:
        assert self._layer is not None
        # what was painted may be taken back, which has no event of its own
        self._layer.events.set_data.connect(self._on_painted)
        self._painting.throttle()

    def _count_again(self) -> None:
        """Write what somebody has painted, and leave what else is in the lines."""
        if self._layer is None or not self.enabled:
            return
        areas = self._count()
        if np.array_equal(areas, self._areas):
            return
        if np.flatnonzero(areas).tolist() == self._listed:
            self._areas = areas
            for line, label in enumerate(self._listed):
                self.table.setItem(line, AREA, _fixed(self._area(label)))
        else:
            self._fill()
        self._on_change(self._layer)

    def _numbered(self, label: int) -> QTableWidgetItem:
        """Return the number of a label beside its colour, struck out if it is hidden."""
        assert self._layer is not None
        item = _fixed(str(label))
        swatch = QPixmap(SWATCH, SWATCH)
        colormap = self._colormap if self._hidden else self._layer.colormap
        swatch.fill(QColor.fromRgbF(*_colour(colormap, label)))
        item.setIcon(QIcon(swatch))
        font = item.font()
        font.setStrikeOut(label in self._hidden)
        item.setFont(font)
        return item

    def _on_selected(self) -> None:
        selected = self.selected
        self.merge_button.enabled = len(selected) > 1
        self.hide_button.enabled = self.background_button.enabled = bool(selected)
        self.hide_button.text = "Show" if set(selected) & self._hidden else "Hide"
        self.undo_button.enabled = bool(self._changes)
        if self._layer is not None and selected:
            self._layer.selected_label = selected[0]

    def _on_renamed(self, item: QTableWidgetItem) -> None:
        if item.column() == NAME and self._layer is not None:
            self._remember(self._layer.data)
            self._names[self._listed[item.row()]] = item.text()
            self._note_names()
            self._on_selected()

    def _merge(self) -> None:
        first, *others = self.selected
        named = [self._names[label] for label in self.selected if self._names.get(label)]
        self._relabel(others, first)
        if named:
            self._names[first] = named[0]
        self._finish()

    def _make_background(self) -> None:
        self._relabel(self.selected, 0)
        self._finish()

    def _hide(self) -> None:
        assert self._layer is not None
        selected = frozenset(self.selected)
        self._remember(self._layer.data)
        shows = bool(selected & self._hidden)
        self._set_hidden(self._hidden - selected if shows else self._hidden | selected)
        self._finish()

    def _undo(self) -> None:
        assert self._layer is not None
        change = self._changes.pop()
        # what was painted since stays
        untouched = self._layer.data == change.after
        if not np.array_equal(change.before, change.after):
            self._layer.data = np.where(untouched, change.before, self._layer.data)
        self._names = change.names
        self._set_hidden(change.hidden)
        self._finish()

    def _relabel(self, labels: Iterable[int], new: int) -> None:
        """Give pixels another label."""
        assert self._layer is not None
        data = self._layer.data
        of_labels = np.arange(int(data.max()) + 1, dtype=data.dtype)
        of_labels[list(labels)] = new
        self._remember(of_labels[data])
        self._layer.data = of_labels[data]

    def _remember(self, after: Labels) -> None:
        assert self._layer is not None
        before = self._layer.data.copy()
        self._changes.append(Change(before, after.copy(), dict(self._names), self._hidden))

    def _finish(self) -> None:
        """Show what has changed."""
        assert self._layer is not None
        self._note_names()
        self._fill()
        self._on_change(self._layer)

    def _set_hidden(self, hidden: frozenset[int]) -> None:
        """Hide labels, and no others."""
        assert self._layer is not None
        if not self._hidden:
            self._colormap = self._layer.colormap
        had_hidden, self._hidden = bool(self._hidden), hidden
        if hidden:
            self._layer.colormap = self._visible_colours()
        elif had_hidden:
            self._layer.colormap = self._colormap

    def _visible_colours(self) -> DirectLabelColormap:
        assert self._layer is not None
        colours: dict[int | None, Any] = {None: "transparent"}
        for label in range(1, int(self._layer.data.max()) + 1):
            shown = label not in self._hidden
            colours[label] = _colour(self._colormap, label) if shown else "transparent"
        return DirectLabelColormap(color_dict=colours)

    def _note_names(self) -> None:
        assert self._layer is not None
        names = {label: name for label, name in self._names.items() if name}
        self._layer.metadata["napari-unsupseg"]["names"] = names
        show_names(self._layer)


def _colour(colormap: Any, label: int) -> tuple[float, ...]:
    """Return the colour of a label, four plain numbers: a plugin's layers give no plain arrays."""
    return tuple(map(float, colormap.map(label)))


def _empty_table() -> QTableWidget:
    table = QTableWidget(0, 3)
    table.setHorizontalHeaderLabels(["cluster", "pixels", "name"])
    table.setAccessibleName("clusters")
    table.setTabKeyNavigation(False)  # Tab leads out of it, arrows from line to line
    header, numbers = table.horizontalHeader(), table.verticalHeader()
    if header is not None and numbers is not None:  # as they are in every table
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        numbers.hide()
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.setFixedHeight(HEIGHT)
    return table


def _fixed(text: str) -> QTableWidgetItem:
    """Return a cell that cannot be edited."""
    item = QTableWidgetItem(text)
    item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
    return item
