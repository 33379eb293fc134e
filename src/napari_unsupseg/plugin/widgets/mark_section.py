"""The step Mark: strokes of some kinds, whose names, brush and history are at hand."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from magicgui.widgets import CheckBox, Container, PushButton, Slider, Widget
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem

from napari_unsupseg.plugin.shortcuts import with_shortcut
from napari_unsupseg.plugin.stroke_layers import add_kind, kind_names, rename_kind
from napari_unsupseg.plugin.widgets.controls import narrow_readout, row

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["MarkSection"]

BRUSH = 12  # pixels of the screen
MAX_BRUSH = 80
MAX_KINDS_SEEN = 4  # at a time; the list of more scrolls
SWATCH_SIDE = 14  # pixels


class MarkSection(Container[Widget]):
    """A button that begins to mark, and what is needed for it once there is a layer for strokes.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the layer is; the brush keeps its size on the screen whatever the zoom.
    on_live : callable
        Called when labels are to follow strokes from now on.
    show_status : callable
        Shows in a sentence why nothing was done.

    Attributes
    ----------
    button : PushButton
        Begins to mark.
    live : CheckBox
        Whether the labels of the last run follow the strokes.
    kinds : QListWidget
        A line with colour and name for each kind; the one that is selected is drawn.
    """

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        on_live: Callable[[], None],
        show_status: Callable[[str], None],
    ) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._viewer = viewer
        self._show_status = show_status
        self._layer: Labels | None = None
        self._slots = {  # by the events of the layer
            "selected_label": self._on_label_selected,
            "paint": self._on_painted,
            "set_data": self._on_painted,
            "colormap": self._fill,
        }
        self._kind_labels: list[int] = []  # line by line
        self.button = PushButton(
            text="Mark",
            tooltip=with_shortcut(
                "Paint a few dabs on some of each kind, such as objects and background: what looks "
                "like them becomes of that kind. On the layer of strokes: the next kind.",
                "next stroke",
            ),
        )
        self.kinds = _empty_list()
        self.add_button = PushButton(
            text="Add kind", tooltip="Draw another kind; a double click on a name changes it."
        )
        self.undo_button = PushButton(text="Undo", tooltip="Take the last stroke back.")
        self.redo_button = PushButton(
            text="Redo", tooltip="Draw the stroke again that was taken back last."
        )
        self.brush = Slider(
            label="brush",
            value=BRUSH,
            min=1,
            max=MAX_BRUSH,
            tooltip="Width of the brush in pixels of the screen, whatever the zoom.",
        )
        narrow_readout(self.brush, "00")
        self.live = CheckBox(
            text="live",
            value=True,
            tooltip="Have the labels of the last run follow each stroke at once, without training. "
            "Continue then trains the network on the strokes.",
        )
        form = Container[Widget]()
        form.extend([self.brush])
        form.margins = (0, 0, 0, 0)
        self._body = Container[Widget](
            widgets=[row([self.add_button, self.undo_button, self.redo_button]), form, self.live],
            labels=False,
            visible=False,
        )
        self._body.margins = (0, 0, 0, 0)
        self._body.native.layout().insertWidget(0, self.kinds)
        self.extend([self.button, self._body])
        self.kinds.currentRowChanged.connect(self._on_chosen)
        self.kinds.itemChanged.connect(self._on_renamed)
        self.add_button.changed.connect(self._add)
        self.undo_button.changed.connect(self._undo)
        self.redo_button.changed.connect(self._redo)
        self.brush.changed.connect(self._fit_brush)
        self.live.changed.connect(on_live)
        # napari before 0.9 has no scene
        getattr(viewer, "scene", viewer).camera.events.zoom.connect(self._fit_brush)

    def show_layer(self, layer: Labels | None) -> None:
        """Show the kinds of a layer for strokes, or nothing but the button.

        Parameters
        ----------
        layer : napari.layers.Labels or None
            The layer.
        """
        if layer != self._layer:
            for name, slot in self._slots.items():
                if self._layer is not None:
                    getattr(self._layer.events, name).disconnect(slot)
                if layer is not None:
                    getattr(layer.events, name).connect(slot)
            self._layer = layer
        self._body.visible = layer is not None
        self._fill()
        self._fit_brush()

    def next_kind(self) -> None:
        """Have the brush draw the next kind of the list, the first one after the last."""
        self.kinds.setCurrentRow((self.kinds.currentRow() + 1) % self.kinds.count())

    def close(self) -> None:
        """Follow the zoom no more: the panel is gone."""
        getattr(self._viewer, "scene", self._viewer).camera.events.zoom.disconnect(self._fit_brush)
        self.show_layer(None)

    def _fill(self) -> None:
        """Write all lines anew."""
        layer = self._layer
        self.kinds.blockSignals(True)  # nobody has chosen or renamed anything
        self.kinds.clear()
        self._kind_labels = [] if layer is None else list(kind_names(layer))
        if layer is not None:
            for label, name in kind_names(layer).items():
                item = QListWidgetItem(_swatch(layer, label), name)
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
                self.kinds.addItem(item)
            n_seen = min(MAX_KINDS_SEEN, len(self._kind_labels))
            height = n_seen * self.kinds.sizeHintForRow(0) + 2 * self.kinds.frameWidth()
            self.kinds.setFixedHeight(height)
            self._select_row()
        self.kinds.blockSignals(False)

    def _select_row(self) -> None:
        assert self._layer is not None
        label = self._layer.selected_label
        if label in self._kind_labels:
            self.kinds.setCurrentRow(self._kind_labels.index(label))

    def _on_chosen(self, line: int) -> None:
        """Have the brush draw the kind of a line."""
        if self._layer is not None and line >= 0:
            self._layer.selected_label = self._kind_labels[line]
            self._layer.mode = "paint"

    def _on_label_selected(self) -> None:
        """Follow a label that was chosen elsewhere, such as by napari's key for the next one."""
        self.kinds.blockSignals(True)
        self._select_row()
        self.kinds.blockSignals(False)

    def _on_painted(self) -> None:
        """Show a kind that is drawn without having been added."""
        assert self._layer is not None
        if self._layer.selected_label not in self._kind_labels and self._layer.selected_label:
            self._fill()

    def _on_renamed(self, item: QListWidgetItem) -> None:
        if self._layer is not None:
            rename_kind(self._layer, self._kind_labels[self.kinds.row(item)], item.text())

    def _add(self) -> None:
        """Add a kind, choose it, and let its name be typed."""
        if self._layer is None:
            return
        self._layer.selected_label = add_kind(self._layer)
        self._layer.mode = "paint"
        self._fill()
        self.kinds.editItem(self.kinds.currentItem())

    def _undo(self) -> None:
        self._step(Labels.undo, "there is no stroke to take back")

    def _redo(self) -> None:
        self._step(Labels.redo, "no stroke was taken back that could be drawn again")

    def _step(self, step: Callable[[Labels], None], nothing: str) -> None:
        """Take a step in the history of strokes, or say that there is none."""
        if self._layer is None:
            return
        before = self._layer.data.copy()
        step(self._layer)
        if np.array_equal(self._layer.data, before):
            self._show_status(nothing)

    def _fit_brush(self) -> None:
        """Give the brush of the layer its size on the screen."""
        if self._layer is None:
            return
        zoom = getattr(self._viewer, "scene", self._viewer).camera.zoom  # pixels a unit of space
        pixel = float(np.abs(self._layer.scale[-2:]).min()) * zoom
        self._layer.brush_size = max(1, round(self.brush.value / pixel))


def _empty_list() -> QListWidget:
    kinds = QListWidget()
    kinds.setAccessibleName("kinds")
    kinds.setToolTip("The kind that the brush draws; a double click on a name changes it.")
    kinds.setEditTriggers(
        QAbstractItemView.EditTrigger.DoubleClicked | QAbstractItemView.EditTrigger.EditKeyPressed
    )
    kinds.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return kinds


def _swatch(layer: Labels, label: int) -> QIcon:
    """Return a square of the colour of a label."""
    swatch = QPixmap(SWATCH_SIDE, SWATCH_SIDE)
    # plain numbers: what a plugin gets of a layer is in a proxy of napari's, which Qt refuses
    swatch.fill(QColor.fromRgbF(*map(float, layer.get_color(label))))
    return QIcon(swatch)
