"""The widget *Measurements*: objects coloured, filtered and chosen by what is measured of them."""

from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    FloatSpinBox,
    LineEdit,
    PushButton,
    Widget,
)
from napari.layers import Labels
from napari.utils.colormaps import ensure_colormap
from napari.utils.theme import get_theme
from numpy.typing import NDArray
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget
from superqt.utils import QSignalDebouncer, QSignalThrottler

from napari_unsupseg._typing import Colours, Floats
from napari_unsupseg._words import count
from napari_unsupseg.errors import MeasurementsError
from napari_unsupseg.plugin.label_painter import LabelPainter
from napari_unsupseg.plugin.labels_layers import give_class
from napari_unsupseg.plugin.measurement_table import MeasurementTable, read_table
from napari_unsupseg.plugin.object_editor import write_labels
from napari_unsupseg.plugin.object_places import is_loaded, look_at_object
from napari_unsupseg.plugin.widgets.controls import (
    Sentence,
    make_accessible,
    make_scrollable,
    row,
)
from napari_unsupseg.plugin.widgets.histogram import Histogram
from napari_unsupseg.plugin.widgets.scatter import Scatter
from napari_unsupseg.regions.object_edits import remove_objects
from napari_unsupseg.regions.object_selection import (
    in_polygon,
    in_range,
    most_doubtful_first,
    to_unit_range,
)

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["MeasurementPlots"]

# what is shown first, by the beginnings of the names that this package and scikit-image give
SIZES, INTENSITIES = ("area", "volume"), ("mean_intensity", "intensity_mean")
SCORE = "score"  # column of how certain objects are, from 0 (doubtful) to 1
COLORMAP = "viridis"
NOT_MEASURED = (0.5, 0.5, 0.5, 1.0)  # colour of an object without a value
DIMMED = 0.25  # share of its opacity that an object outside the lasso keeps
PAINT_MS = 30  # from one picture of the objects in the range to the next, while it is dragged
DIGITS, MAX_DECIMALS = 4, 12  # of the ends of a range
READ_MS = 100  # after the last change of a table or of labels
PANEL = "napari-unsupseg"  # name of the panel among the widgets of its window
NO_LAYER = "Add or select a Labels layer: what is measured of its objects is shown here."
NOT_BEGUN = -1.0, 0  # before any score and label
TABLE_EVENTS = ("features", "data", "paint", "set_data", "name")


class MeasurementPlots(Container[Widget]):
    """Dock widget that shows the objects of a Labels layer by their measurements.

    The layer is the one that was active last. It has its own colours again when another one is
    active, and when the widget is closed.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Given by napari.
    """

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__(labels=False)
        # a proxy, as plugins get it, would hand out a new object each time it is asked for one
        self._viewer = getattr(viewer, "__wrapped__", viewer)
        self._layer: Labels | None = None
        self._painter: LabelPainter | None = None
        self._table: MeasurementTable | None = None
        self._columns: list[str] = []  # of the last table
        self._ranges: dict[str, tuple[float, float]] = {}  # by measurement
        self._lasso: Floats | None = None
        self._marked: int | None = None  # a label
        self._passed = NOT_BEGUN
        self._selected = 0  # the label that is selected in the layer
        self._make_controls()
        self._lay_out()
        self._painting = QSignalThrottler(parent=self.native)
        self._painting.setTimeout(PAINT_MS)
        self._reading = QSignalDebouncer(parent=self.native)
        self._reading.setTimeout(READ_MS)
        self._connect()
        self._apply_theme()
        self._follow_active()

    def _make_controls(self) -> None:
        self.sentence = Sentence()
        self.object_sentence = Sentence()
        self.measurement = ComboBox(
            label="measurement",
            choices=self._names,
            tooltip="What the histogram shows, and objects are filtered by.",
        )
        self.colour = CheckBox(
            text="colour objects by it",
            tooltip="Colour the objects by their measurement, from dark (little) to light (much).",
        )
        self.histogram = Histogram(self._on_range_dragged)
        self.low = FloatSpinBox(label="from", tooltip="Objects below this are not shown.")
        self.high = FloatSpinBox(label="to", tooltip="Objects above this are not shown.")
        self.x = ComboBox(
            label="x", choices=self._names, tooltip="The measurement along the plot below."
        )
        self.y = ComboBox(
            label="y", choices=self._names, tooltip="The measurement up the plot below."
        )
        self.scatter = Scatter(self.choose_in, self._on_point)
        self.keep_button = PushButton(
            text="Keep only these",
            tooltip="Remove all other objects from the layer; Ctrl+Z in the layer takes it back.",
        )
        self.remove_button = PushButton(
            text="Remove these",
            tooltip="Remove these objects from the layer; Ctrl+Z in the layer takes it back.",
        )
        self.all_button = PushButton(
            text="Show all", tooltip="Choose all objects again: no range, and no line around them."
        )
        self.class_name = LineEdit(
            label="class", tooltip="A name for these objects, in the column class of the table."
        )
        self.class_button = PushButton(
            text="Name these", tooltip="Write the class of these objects into the table."
        )
        self.doubtful_button = PushButton(
            text="Next doubtful",
            tooltip="Look at the objects one by one, from the lowest score up.",
        )

    def _lay_out(self) -> None:
        self._of_table = [
            _labelled(self.measurement),
            self.colour,
            self.histogram,
            _labelled(self.low, self.high),
            _labelled(self.x, self.y),
            self.scatter,
            row([self.keep_button, self.remove_button]),
            row([_labelled(self.class_name), self.class_button]),
            row([self.all_button, self.doubtful_button]),
            self.object_sentence,
        ]
        body = Container[Widget](widgets=[self.sentence, *self._of_table], labels=False)
        self.append(body)
        self.margins = (0, 0, 0, 0)
        body.native.layout().addStretch()
        make_scrollable(self, body)
        make_accessible(body)

    def _connect(self) -> None:
        viewer = self._viewer
        self._painting.triggered.connect(self._show_chosen)
        self._reading.triggered.connect(self._read_table)
        self.measurement.changed.connect(self._on_measurement_chosen)
        self.colour.changed.connect(self._on_colour_changed)
        for number in (self.low, self.high):
            number.changed.connect(self._on_number_typed)
        for choice in (self.x, self.y):
            choice.changed.connect(self._on_axis_chosen)
        self.keep_button.changed.connect(self._keep)
        self.remove_button.changed.connect(self._remove)
        self.all_button.changed.connect(self._choose_all)
        self.class_button.changed.connect(self._name_class)
        self.doubtful_button.changed.connect(self._show_next_doubtful)
        viewer.layers.selection.events.active.connect(self._follow_active)
        viewer.layers.events.removed.connect(self._follow_active)
        viewer.events.theme.connect(self._apply_theme)
        viewer.mouse_move_callbacks.append(self._on_mouse_move)
        self.native_parent_changed.connect(self._on_parent_changed)
        self.native.destroyed.connect(self._close)

    # the layer

    def _follow_active(self) -> None:
        """Show the active Labels layer, or go on with the last one."""
        layers = self._viewer.layers
        active = layers.selection.active
        if isinstance(active, Labels):
            self._show_layer(active)
        elif self._layer not in layers:
            self._show_layer(next((one for one in reversed(layers) if _is_labels(one)), None))

    def _show_layer(self, layer: Labels | None) -> None:
        if layer is self._layer and layer is not None:
            return
        self._leave_layer()
        self._layer = layer
        for widget in self._of_table:
            widget.visible = False  # until there is something to show
        if layer is not None:
            self._selected = layer.selected_label
            self._painter = LabelPainter(layer, self._on_colours_replaced)
            for name in TABLE_EVENTS:
                getattr(layer.events, name).connect(self._on_touched)
            layer.events.selected_label.connect(self._on_label_selected)
        self._read_table()

    def _leave_layer(self) -> None:
        """Give the layer its own colours back, and forget what was chosen in it."""
        if self._layer is not None and self._painter is not None:
            self._painter.close()
            for name in TABLE_EVENTS:
                getattr(self._layer.events, name).disconnect(self._on_touched)
            self._layer.events.selected_label.disconnect(self._on_label_selected)
        self._layer = self._painter = self._table = self._lasso = self._marked = None
        self._ranges, self._passed = {}, NOT_BEGUN

    def _on_touched(self) -> None:
        self._reading.throttle()

    def _read_table(self) -> None:
        """Show the table of the layer as it is now; say why, if there is nothing to show."""
        try:
            if self._layer is None:
                raise MeasurementsError(NO_LAYER)
            table = read_table(self._layer)
        except MeasurementsError as error:
            self.sentence.value = str(error)
            self._forget_table()
            return
        if self._table is not None and _are_same(table, self._table):
            return  # what was touched were colours, or the plane that is seen
        self._table = table
        for widget in self._of_table:
            widget.visible = widget.enabled = True
        axes = self.x.value, self.y.value
        self._offer_columns(list(table.columns))
        if axes != (self.x.value, self.y.value):
            self._lasso = None
        self._draw_histogram()
        self._draw_scatter()
        self._show_chosen()

    def _forget_table(self) -> None:
        """Show the layer as it is, and let nothing be done, until there is a table again."""
        self._table = None
        for widget in self._of_table:
            widget.enabled = False
        if self._painter is not None:
            self._painter.restore()

    def _offer_columns(self, names: list[str]) -> None:
        """Offer these measurements, with those chosen before where they are still there."""
        self._columns = names
        size = _first(names, SIZES, default=names[0])
        brightness = _first(names, INTENSITIES, default=names[-1])
        for choice, first in ((self.measurement, size), (self.x, size), (self.y, brightness)):
            before = choice.value
            with choice.changed.blocked():
                choice.reset_choices()
                choice.value = before if before in names else first
        self._ranges = {name: ends for name, ends in self._ranges.items() if name in names}
        self.doubtful_button.visible = SCORE in names

    def _names(self, _widget: object) -> list[str]:
        return self._columns

    # what is chosen

    def _chosen(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Tell which objects are in all ranges, and which of them in the lasso too."""
        assert self._table is not None
        columns = self._table.columns
        is_in = np.ones(len(self._table.labels), dtype=bool)
        for name, ends in self._ranges.items():
            is_in &= in_range(columns[name], *ends)
        if self._lasso is None:
            return is_in, is_in
        return is_in, is_in & in_polygon(columns[self.x.value], columns[self.y.value], self._lasso)

    def _show_chosen(self) -> None:
        """Show in the layer and in the plots which objects are chosen."""
        if self._table is None or self._painter is None:
            return
        is_in, chosen = self._chosen()
        colours = self._colours()
        colours[~chosen, 3] *= DIMMED
        colours[~is_in, 3] = 0
        if self._are_coloured or not chosen.all():
            self._painter.paint(self._table.labels, colours)
        else:
            self._painter.restore()
        self.scatter.choose(chosen)
        self._show_count(int(chosen.sum()))

    def _show_count(self, n_chosen: int) -> None:
        """Say how many are chosen and why, and offer what can be done with them."""
        assert self._table is not None
        assert self._layer is not None
        n_all = len(self._table.labels)
        some = "" if n_chosen == n_all else f"{n_chosen:,} of "
        reasons = [_range_text(name, *ends) for name, ends in self._ranges.items()]
        if self._lasso is not None:
            reasons.append("those in the line")
        why = f" ({', '.join(reasons)})" if reasons else ""
        if np.isnan(self._values).all():
            why = f"; none has a value of {self.measurement.value}: choose another measurement"
        self.sentence.value = f"{self._layer.name}: {some}{count(n_all, 'object')}{why}"
        can_edit = is_loaded(self._layer) and self._layer.editable
        self.keep_button.enabled = self.remove_button.enabled = can_edit and 0 < n_chosen < n_all
        self.class_button.enabled = n_chosen > 0
        self.doubtful_button.enabled = n_chosen > 0 and is_loaded(self._layer)
        self.all_button.enabled = bool(reasons)

    def _colours(self) -> Colours:
        """Return the colours of all objects, as if all were chosen."""
        assert self._table is not None
        assert self._painter is not None
        if self._are_coloured:
            return _colours_of(self._values, self._values)
        return self._painter.own_colours(self._table.labels)

    @property
    def _are_coloured(self) -> bool:
        """Whether objects have the colours of their measurement."""
        return self.colour.value and self._table is not None and not np.isnan(self._values).all()

    def _on_colour_changed(self) -> None:
        self._colour_bars()
        self._show_chosen()

    def _colour_bars(self) -> None:
        """Colour the histogram as the objects are coloured."""
        if self._are_coloured:
            middles = (self.histogram.edges[1:] + self.histogram.edges[:-1]) / 2
            self.histogram.colour_bars(_colours_of(middles, self._values))
        else:
            grey = get_theme(self._viewer.theme).secondary.as_rgb_tuple()[:3]
            self.histogram.colour_bars((np.array([grey]) / 255).astype(np.float32))

    @property
    def _values(self) -> Floats:
        """The measurement that the histogram shows."""
        assert self._table is not None
        return self._table.columns[self.measurement.value]

    # the histogram

    def _on_measurement_chosen(self) -> None:
        if self._table is not None:
            self._draw_histogram()
            self._show_chosen()

    def _draw_histogram(self) -> None:
        """Draw the chosen measurement, with the range that it has."""
        name = self.measurement.value
        values = self._values[~np.isnan(self._values)]
        for widget in (self.histogram, self.low, self.high, self.colour):
            widget.enabled = len(values) > 0
        if len(values):
            self.histogram.show_values(values)
            _set_limits((self.low, self.high), float(values.min()), float(values.max()))
            if name in self._ranges:
                self.histogram.set_range(*np.clip(self._ranges[name], values.min(), values.max()))
            self._write_range()
            self._colour_bars()
        self._show_mark()

    def _write_range(self) -> None:
        """Write the ends of the range into their fields."""
        for number, end in zip((self.low, self.high), self.histogram.range, strict=True):
            with number.changed.blocked():
                number.value = end

    def _on_range_dragged(self) -> None:
        self._write_range()
        self._set_range(*self.histogram.range)

    def _on_number_typed(self) -> None:
        """Take the number that was typed; the other end stays as exact as it was dragged."""
        ends = [
            number.value if round(end, _decimals(number)) != number.value else end
            for number, end in zip((self.low, self.high), self.histogram.range, strict=True)
        ]
        self.histogram.set_range(*ends)
        self._write_range()
        self._set_range(*self.histogram.range)

    def _set_range(self, low: float, high: float) -> None:
        if self._table is None:  # it went while the range was dragged
            return
        # an end that leaves out none of the objects leaves out none that are to come
        low = -np.inf if low <= np.nanmin(self._values) else low
        high = np.inf if high >= np.nanmax(self._values) else high
        if np.isinf([low, high]).all():
            self._ranges.pop(self.measurement.value, None)  # with those that have no value
        else:
            self._ranges[self.measurement.value] = low, high
        self._painting.throttle()

    # the scatter plot

    def _draw_scatter(self) -> None:
        """Draw the two measurements chosen for it."""
        assert self._table is not None
        columns, names = self._table.columns, (self.x.value, self.y.value)
        self.scatter.show_values(columns[names[0]], columns[names[1]], names)
        self.scatter.show_lasso(self._lasso)
        self._show_mark()

    def _on_axis_chosen(self) -> None:
        """Draw other measurements, without the line around some of those before."""
        if self._table is not None:
            self._draw_scatter()
            self.choose_in(None)

    def choose_in(self, polygon: Floats | None) -> None:
        """Choose the objects whose points in the scatter plot lie within an outline.

        Parameters
        ----------
        polygon : ndarray of float64, shape (corners, 2)
            The outline, as pairs of x and y; None to choose all again.
        """
        self._lasso = polygon
        self.scatter.show_lasso(polygon)
        self._show_chosen()

    def _on_point(self, index: int) -> None:
        if self._table is not None:
            self._look_at(int(self._table.labels[index]))

    # one object

    def _look_at(self, label: int) -> None:
        """Show an object in the middle of the view, and select its label."""
        assert self._layer is not None
        self._layer.selected_label = label
        self._mark(label)
        if is_loaded(self._layer):
            look_at_object(self._viewer, self._layer, label)

    def _show_next_doubtful(self) -> None:
        """Look at the chosen object that comes next by its score, or at the first after all."""
        assert self._table is not None
        _, chosen = self._chosen()
        scores, labels = self._table.columns[SCORE], self._table.labels
        order = most_doubtful_first(np.where(chosen, scores, np.nan))
        # a score, as the object that it was of may be gone
        places = list(zip(scores[order].tolist(), labels[order].tolist(), strict=True))
        if places:
            self._passed = next((place for place in places if place > self._passed), places[0])
            self._look_at(self._passed[1])

    def _on_label_selected(self) -> None:
        assert self._layer is not None
        if self._layer.selected_label != self._selected:  # napari tells of new colours so, too
            self._selected = self._layer.selected_label
            self._mark(self._selected)

    def _on_mouse_move(self, _viewer: Any, event: Any) -> None:
        """Mark the object below the mouse."""
        if self._layer is None or self._table is None or not self._layer.visible:
            return
        value = self._layer.get_value(
            event.position,
            view_direction=event.view_direction,
            dims_displayed=event.dims_displayed,
            world=True,
        )
        label = value[1] if isinstance(value, tuple) else value  # the first is a level
        if label:
            self._mark(int(label))

    def _mark(self, label: int) -> None:
        if self._table is not None and label in self._table.labels:
            self._marked = label
            self._show_mark()

    def _show_mark(self) -> None:
        """Show the marked object in the plots, and what is measured of it."""
        assert self._table is not None
        indices = np.flatnonzero(self._table.labels == self._marked)
        index = int(indices[0]) if len(indices) else None
        self.scatter.mark(index)
        self.histogram.mark(np.nan if index is None else self._values[index])
        names = dict.fromkeys([self.measurement.value, self.x.value, self.y.value, SCORE])
        shown = [
            f"{name} {self._table.columns[name][index]:.4g}"
            for name in names
            if index is not None and name in self._table.columns
        ]
        self.object_sentence.value = f"object {self._marked}: {', '.join(shown)}" if shown else ""

    # what is done with the chosen ones

    def _choose_all(self) -> None:
        self._ranges = {}
        self._draw_histogram()
        self.choose_in(None)

    def _keep(self) -> None:
        self._remove_where(keep=True)

    def _remove(self) -> None:
        self._remove_where(keep=False)

    def _remove_where(self, *, keep: bool) -> None:
        """Remove the chosen objects from the layer, or all others."""
        assert self._table is not None
        assert self._layer is not None
        _, chosen = self._chosen()
        labels = self._table.labels[~chosen if keep else chosen]
        self._choose_all()  # and so the layer is shown with all that stay
        write_labels(self._layer, remove_objects(self._layer.data, labels.tolist()))

    def _name_class(self) -> None:
        assert self._table is not None
        assert self._layer is not None
        _, chosen = self._chosen()
        give_class(self._layer, self._table.labels[chosen].tolist(), self.class_name.value)

    # colours and the end

    def _on_colours_replaced(self) -> None:
        """Show the layer in the colours that a user has just given it."""
        with self.colour.changed.blocked():
            self.colour.value = False
        self._on_colour_changed()

    def _apply_theme(self) -> None:
        theme = get_theme(self._viewer.theme)
        self.histogram.apply_theme(theme)
        self.scatter.apply_theme(theme)
        self._colour_bars()

    def _on_parent_changed(self) -> None:
        if self.native.parent() is None:  # napari takes the widget out of a dock that is closed
            self._close()
        else:
            QTimer.singleShot(0, self._join_panel)  # napari is about to place the dock

    def _join_panel(self) -> None:
        """Be a tab beside the panel where that is docked on the same side of the window."""
        dock = self.native.parent()
        window = dock.parent() if isinstance(dock, QDockWidget) else None
        if not isinstance(window, QMainWindow):
            return
        for other in window.findChildren(QDockWidget):
            if other.findChild(QWidget, PANEL) is None or other in window.tabifiedDockWidgets(dock):
                continue
            if window.dockWidgetArea(other) == window.dockWidgetArea(dock):
                window.tabifyDockWidget(other, dock)
                dock.raise_()

    def _close(self) -> None:
        """Leave the layer as it was, and the viewer alone."""
        viewer = self._viewer
        if self._on_mouse_move in viewer.mouse_move_callbacks:
            viewer.mouse_move_callbacks.remove(self._on_mouse_move)
            viewer.layers.selection.events.active.disconnect(self._follow_active)
            viewer.layers.events.removed.disconnect(self._follow_active)
            viewer.events.theme.disconnect(self._apply_theme)
            self._leave_layer()


def _range_text(name: str, low: float, high: float) -> str:
    """Say which values of a measurement are in a range, one end of which may be open."""
    if np.isinf(high):
        return f"{name} from {low:.4g} on"
    return f"{name} up to {high:.4g}" if np.isinf(low) else f"{name} {low:.4g} to {high:.4g}"


def _first(names: list[str], beginnings: tuple[str, ...], default: str) -> str:
    """Return the first name with one of these beginnings."""
    return next((name for name in names if name.startswith(beginnings)), default)


def _is_labels(layer: Any) -> bool:
    return isinstance(layer, Labels)


def _are_same(one: MeasurementTable, other: MeasurementTable) -> bool:
    """Tell whether two tables have the same objects and measurements."""
    return (
        np.array_equal(one.labels, other.labels)
        and list(one.columns) == list(other.columns)
        and all(
            np.array_equal(values, other.columns[name], equal_nan=True)
            for name, values in one.columns.items()
        )
    )


def _colours_of(values: Floats, reference: Floats) -> Colours:
    """Return the colours of measurements, by a colormap over the range of all, shape (n, 4)."""
    positions = to_unit_range(values, reference)
    colours = np.asarray(ensure_colormap(COLORMAP).map(positions), dtype=np.float32)
    colours[np.isnan(positions)] = NOT_MEASURED
    return colours


def _labelled(*widgets: Widget) -> Container[Widget]:
    """Return controls below each other, with their labels."""
    form = Container[Widget](widgets=list(widgets))
    form.margins = (0, 0, 0, 0)
    return form


def _set_limits(numbers: tuple[FloatSpinBox, ...], low: float, high: float) -> None:
    """Have fields take numbers of a range, with about four digits of its width."""
    width = high - low or abs(high) or 1.0
    decimals = int(np.clip(DIGITS - 1 - np.floor(np.log10(width)), 0, MAX_DECIMALS))
    factor = 10.0**decimals
    for number in numbers:
        with number.changed.blocked():
            number.native.setDecimals(decimals)
            number.native.setSingleStep(10 / factor)
            number.native.setRange(np.floor(low * factor) / factor, np.ceil(high * factor) / factor)


def _decimals(number: FloatSpinBox) -> int:
    return int(number.native.decimals())
