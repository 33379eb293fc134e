"""The clusters of a run, one a line: selected, named, merged, hidden, made background."""

import collections
import dataclasses
import itertools
from collections.abc import Iterable
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
    QTableWidgetSelectionRange,
    QWidget,
)

from napari_unsupseg._typing import Labels
from napari_unsupseg.plugin.labels_layers import replace_labels, show_names
from napari_unsupseg.plugin.widgets.controls import row

__all__ = ["ClusterTable"]

MAX_UNDO = 20  # changes that can be taken back
HEIGHT = 160  # pixels of the table
SWATCH_SIDE = 12  # pixels
NUMBER, AREA, NAME = range(3)  # columns


@dataclasses.dataclass(frozen=True, eq=False)
class Change:
    """One change of the table, with what it takes to undo it.

    Attributes
    ----------
    before, after : ndarray of unsigned integers
        Data of the layer.
    names : dict of int to str
        Names of clusters before, by label.
    hidden : frozenset of int
        Labels hidden before.
    """

    before: Labels
    after: Labels
    names: dict[int, str]
    hidden: frozenset[int]


class ClusterTable(Container[Widget]):
    """A table with a row for each label of a layer, and buttons for the selected ones."""

    def __init__(self) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._layer: napari.layers.Labels | None = None
        self._colormap: Any = None  # the layer's own
        self._hiding: tuple[Any, frozenset[int]] = None, frozenset()  # the one that hides these
        self._areas: NDArray[np.intp] = np.zeros(1, dtype=np.intp)  # by label
        self._row_labels: list[int] = []
        self._names: dict[int, str] = {}
        self._hidden: frozenset[int] = frozenset()
        self._changes: collections.deque[Change] = collections.deque(maxlen=MAX_UNDO)
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
        self.table.itemSelectionChanged.connect(self._on_selection_changed)
        self.table.itemChanged.connect(self._on_item_changed)
        self.merge_button.changed.connect(self._merge)
        self.hide_button.changed.connect(self._toggle_hidden)
        self.background_button.changed.connect(self._make_background)
        self.undo_button.changed.connect(self._undo)

    def order_tabs(self) -> None:
        """Have Tab lead to the table before its buttons; Qt forgets it when a parent moves."""
        buttons = self.merge_button, self.hide_button, self.background_button, self.undo_button
        for one, next_one in itertools.pairwise([self.table, *(b.native for b in buttons)]):
            QWidget.setTabOrder(one, next_one)

    def show_layer(self, layer: napari.layers.Labels | None) -> None:
        """Show the clusters of a layer by its names, without what was known of those before.

        Parameters
        ----------
        layer : napari.layers.Labels or None
            The layer; None to show none.
        """
        self.show_all()
        self.close()
        self._layer = layer
        if layer is not None:
            layer.events.colormap.connect(self._on_colormap)
        metadata = {} if layer is None else layer.metadata.get("napari-unsupseg", {})
        self._names = dict(metadata.get("names", {}))
        self._changes.clear()
        self._fill()

    def close(self) -> None:
        """Follow the colours of the layer no more."""
        if self._layer is not None:
            self._layer.events.colormap.disconnect(self._on_colormap)

    def leave(self, layer: napari.layers.Labels) -> None:
        """Show no clusters any more if they are those of a layer that is gone.

        Parameters
        ----------
        layer : napari.layers.Labels
            The layer.
        """
        if self._layer == layer:
            self.show_layer(None)

    def show_all(self) -> None:
        """Show the hidden clusters again."""
        if self._layer is not None and self._hidden:
            self._set_hidden(frozenset())
            self._fill()

    @property
    def selected(self) -> list[int]:
        """The labels selected."""
        rows = {index.row() for index in self.table.selectedIndexes()}
        return [self._row_labels[index] for index in sorted(rows)]

    def select(self, labels: Iterable[int]) -> None:
        """Select clusters, and no others.

        Parameters
        ----------
        labels : iterable of int
            Their labels.
        """
        chosen = set(labels)
        for index, label in enumerate(self._row_labels):
            cells = QTableWidgetSelectionRange(index, NUMBER, index, NAME)
            self.table.setRangeSelected(cells, label in chosen)

    def _fill(self) -> None:
        """Write all rows anew."""
        self._areas = self._count_pixels()
        labels = self._row_labels = np.flatnonzero(self._areas).tolist()
        self.table.blockSignals(True)  # nobody has selected or renamed anything
        self.table.clearSelection()
        self.table.setRowCount(len(labels))
        for index, label in enumerate(labels):
            self.table.setItem(index, NUMBER, self._number_item(label))
            self.table.setItem(index, AREA, _read_only_item(self._area_text(label)))
            self.table.setItem(index, NAME, QTableWidgetItem(self._names.get(label, "")))
        self.table.blockSignals(False)
        self._on_selection_changed()

    def _count_pixels(self) -> NDArray[np.intp]:
        """Return the pixels of each label, shape (labels,); 0 for the background."""
        if self._layer is None:
            return np.zeros(1, dtype=np.intp)
        areas = np.bincount(self._layer.data.ravel())
        areas[0] = 0
        return areas

    def _area_text(self, label: int) -> str:
        assert self._layer is not None
        share = f"{self._areas[label] / self._layer.data.size:.0%}"
        return f"{self._areas[label]:,} ({'<1%' if share == '0%' else share})"

    def update_areas(self) -> None:
        """Show the areas as they are now; keep the selection where no row comes or goes."""
        areas = self._count_pixels()
        if np.array_equal(areas, self._areas):
            return
        if np.flatnonzero(areas).tolist() == self._row_labels:
            self._areas = areas
            for index, label in enumerate(self._row_labels):
                self.table.setItem(index, AREA, _read_only_item(self._area_text(label)))
        else:
            self._fill()

    def _on_colormap(self) -> None:
        """Show the colours that the layer has now; those of somebody else hide nothing."""
        assert self._layer is not None
        colormap, hidden = self._hiding
        self._hidden = hidden if self._layer.colormap is colormap else frozenset()
        for index, label in enumerate(self._row_labels):
            self.table.setItem(index, NUMBER, self._number_item(label))

    def _number_item(self, label: int) -> QTableWidgetItem:
        """Return a cell with a label beside its colour, struck out if it is hidden."""
        assert self._layer is not None
        item = _read_only_item(str(label))
        swatch = QPixmap(SWATCH_SIDE, SWATCH_SIDE)
        colormap = self._colormap if self._hidden else self._layer.colormap
        swatch.fill(QColor.fromRgbF(*_colour(colormap, label)))
        item.setIcon(QIcon(swatch))
        font = item.font()
        font.setStrikeOut(label in self._hidden)
        item.setFont(font)
        return item

    def _on_selection_changed(self) -> None:
        selected = self.selected
        self.merge_button.enabled = len(selected) > 1
        self.hide_button.enabled = self.background_button.enabled = bool(selected)
        self.hide_button.text = "Show" if set(selected) & self._hidden else "Hide"
        self.undo_button.enabled = bool(self._changes)
        if self._layer is not None and selected:
            self._layer.selected_label = selected[0]

    def _on_item_changed(self, item: QTableWidgetItem) -> None:
        if item.column() == NAME and self._layer is not None:
            self._remember(self._layer.data)
            self._names[self._row_labels[item.row()]] = item.text()
            self._store_names()
            self._on_selection_changed()

    def _merge(self) -> None:
        first, *others = self.selected
        names = [self._names[label] for label in self.selected if self._names.get(label)]
        self._relabel(others, first)
        if names:
            self._names[first] = names[0]
        self._after_change()

    def _make_background(self) -> None:
        self._relabel(self.selected, 0)
        self._after_change()

    def _toggle_hidden(self) -> None:
        assert self._layer is not None
        selected = frozenset(self.selected)
        self._remember(self._layer.data)
        has_hidden = bool(selected & self._hidden)
        self._set_hidden(self._hidden - selected if has_hidden else self._hidden | selected)
        self._after_change()

    def _undo(self) -> None:
        assert self._layer is not None
        change = self._changes.pop()
        if not np.array_equal(change.before, change.after):
            unpainted = self._layer.data == change.after  # what was painted since stays
            replace_labels(self._layer, np.where(unpainted, change.before, self._layer.data))
        self._names = change.names
        self._set_hidden(change.hidden)
        self._after_change()

    def _relabel(self, labels: Iterable[int], new: int) -> None:
        """Give pixels another label."""
        assert self._layer is not None
        data = self._layer.data
        new_labels = np.arange(int(data.max()) + 1, dtype=data.dtype)  # by the old ones
        new_labels[list(labels)] = new
        relabelled = new_labels[data]
        self._remember(relabelled)
        replace_labels(self._layer, relabelled)

    def _remember(self, after: Labels) -> None:
        """Note the table as it is, before a change that leads to these labels."""
        assert self._layer is not None
        before = self._layer.data.copy()
        self._changes.append(Change(before, after.copy(), dict(self._names), self._hidden))

    def _after_change(self) -> None:
        """Show the table as it is after a change."""
        self._store_names()
        self._fill()

    def _set_hidden(self, hidden: frozenset[int]) -> None:
        """Hide these labels and no others, by a colormap of their own."""
        assert self._layer is not None
        if not self._hidden:  # the layer has the user's own
            self._colormap = self._layer.colormap
        had_hidden, self._hidden = bool(self._hidden), hidden
        if hidden:
            self._hiding = self._visible_colours(), hidden
            self._layer.colormap = self._hiding[0]
        elif had_hidden:
            self._layer.colormap = self._colormap

    def _visible_colours(self) -> DirectLabelColormap:
        assert self._layer is not None
        colours: dict[int | None, Any] = {None: "transparent"}
        for label in range(1, int(self._layer.data.max()) + 1):
            is_visible = label not in self._hidden
            colours[label] = _colour(self._colormap, label) if is_visible else "transparent"
        return DirectLabelColormap(color_dict=colours)

    def _store_names(self) -> None:
        """Write the names into the metadata of the layer, and its table of features."""
        assert self._layer is not None
        names = {label: name for label, name in self._names.items() if name}
        self._layer.metadata["napari-unsupseg"]["names"] = names
        show_names(self._layer)


def _colour(colormap: Any, label: int) -> tuple[float, ...]:
    """Return the colour of a label: red, green, blue and alpha, from 0 to 1."""
    # plain numbers: what a plugin gets of a layer is in a proxy of napari's, which Qt refuses
    return tuple(map(float, colormap.map(label)))


def _empty_table() -> QTableWidget:
    table = QTableWidget(0, 3)
    table.setHorizontalHeaderLabels(["cluster", "pixels", "name"])
    table.setAccessibleName("clusters")
    table.setTabKeyNavigation(False)  # Tab leads out of it, arrows from line to line
    header, numbers = table.horizontalHeader(), table.verticalHeader()
    if header is not None and numbers is not None:  # every table has both; its type does not say so
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        numbers.hide()
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.setFixedHeight(HEIGHT)
    return table


def _read_only_item(text: str) -> QTableWidgetItem:
    """Return a cell that cannot be edited."""
    item = QTableWidgetItem(text)
    item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
    return item
