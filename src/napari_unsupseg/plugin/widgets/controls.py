"""The panel's controls: one for each setting, folded away under plain headings."""

import collections
import decimal
from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard, cast

from magicgui.widgets import (
    Container,
    FloatSlider,
    Label,
    PushButton,
    Widget,
    create_widget,
)
from magicgui.widgets.bases import ButtonWidget, ValueWidget
from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QFrame,
    QLabel,
    QScrollArea,
    QScrollBar,
    QSizePolicy,
    QSlider,
    QWidget,
)

from napari_unsupseg.settings import SettingSpec, setting_specs

__all__ = [
    "CollapsibleSection",
    "Sentence",
    "fill_row",
    "fit_labels",
    "make_accessible",
    "make_scrollable",
    "narrow_readout",
    "row",
    "setting_control",
    "settings_under",
    "value_widget",
]

CLOSED, OPEN = "▸", "▾"
READOUT_FRAME = 8  # pixels beside a number
MIN_HEIGHT = 380  # pixels that another dock below leaves to what scrolls
MIN_MENU_LETTERS = 4  # of an entry, that a menu shows at least
# napari's own style does not show which control has the focus
FOCUS_STYLE = (
    "QPushButton:focus, QCheckBox:focus, QComboBox:focus, QAbstractSpinBox:focus, "
    "QSlider:focus {border: 1px solid palette(highlight)}"
)


class CollapsibleSection(Container[Widget]):
    """Widgets under a heading that shows and hides them; hidden at first.

    superqt's `QCollapsible` does not do: it hides its content by a height of 0, so that Tab still
    leads to the hidden controls, and fixes the height of what it shows, which clips sentences that
    grow by a line.

    Parameters
    ----------
    heading : str
        A word or two.
    widgets : sequence of Widget
        What lies under it.
    tooltip : str
        A sentence on what that is.
    """

    def __init__(self, heading: str, widgets: Sequence[Widget], tooltip: str) -> None:
        super().__init__(labels=False)
        self._text = heading
        self._is_open = False
        self.heading = PushButton(text=f"{CLOSED} {heading}", tooltip=tooltip)
        self.heading.native.setFlat(True)
        self.heading.native.setStyleSheet("text-align: left")
        self.heading.native.setAccessibleName(heading)  # without the sign
        self.content = Container[Widget](visible=False)
        self.content.extend(widgets)  # given at once their labels would differ in width
        self.extend([self.heading, self.content])
        self.margins = (0, 0, 0, 0)
        self.content.margins = (12, 0, 0, 0)
        self.heading.changed.connect(self._toggle)

    def unfold(self) -> None:
        """Show what lies under the heading."""
        if not self._is_open:
            self._toggle()

    def _toggle(self) -> None:
        self.content.visible = self._is_open = not self._is_open
        self.heading.text = f"{OPEN if self._is_open else CLOSED} {self._text}"


class Sentence(Label):
    """A label as wide as the dock and no wider, with as many lines as its sentence needs."""

    def __init__(self) -> None:
        super().__init__(value="")
        self.native.setWordWrap(True)
        self.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)


def settings_under(heading: str) -> list[str]:
    """Return the names of the settings that lie under a heading.

    Parameters
    ----------
    heading : str
        One of `GROUPS`.

    Returns
    -------
    list of str
        In the order of `setting_specs`.
    """
    return [name for name, spec in setting_specs().items() if spec.group == heading]


def row(widgets: Iterable[Widget]) -> Container[Widget]:
    """Return widgets side by side.

    Parameters
    ----------
    widgets : iterable of Widget
        Buttons.

    Returns
    -------
    Container
        Without margins.
    """
    side_by_side = Container[Widget](widgets=list(widgets), layout="horizontal", labels=False)
    side_by_side.margins = (0, 0, 0, 0)
    return side_by_side


def make_scrollable(outer: Container[Widget], inner: Container[Widget]) -> None:
    """Give a widget in another one a scroll bar when it is too high, and let it be narrow.

    Parameters
    ----------
    outer : Container
        Where it lies.
    inner : Container
        What may be too high.
    """
    # magicgui's own scrollable containers lose their scroll bar in a dock of napari
    area = _FittingScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # it follows the control that has the focus
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    outer.native.layout().replaceWidget(inner.native, area)
    area.setWidget(inner.native)
    for menu in inner.native.findChildren(QComboBox):  # an entry may be wider than the dock
        menu.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        menu.setMinimumContentsLength(MIN_MENU_LETTERS)
    _WheelGuard(inner.native)


class _WheelGuard(QObject):
    """Has the mouse wheel turn the control that has the focus, and scroll over any other.

    Parameters
    ----------
    body : QWidget
        It has the controls, now or later; the guard lives as long.
    """

    def __init__(self, body: QWidget) -> None:
        super().__init__(body)
        self._body = body
        body.installEventFilter(self)
        self._guard_controls()

    def eventFilter(self, widget: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        kind = event and event.type()
        if kind == QEvent.Type.LayoutRequest and widget is self._body:  # controls may have come
            self._guard_controls()
        is_stray = kind == QEvent.Type.Wheel and _is_turned(widget) and not _has_focus(widget)
        if event and is_stray:
            event.ignore()  # so it goes on to the scroll area
        return is_stray

    def _guard_controls(self) -> None:
        for control in filter(_is_turned, self._body.findChildren(QWidget)):
            if control.focusPolicy() == Qt.FocusPolicy.WheelFocus:
                control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # by a click, or by Tab
            control.installEventFilter(self)  # once, however often it is asked to


def _is_turned(widget: QObject | None) -> TypeGuard[QWidget]:
    """Tell whether a widget takes the mouse wheel for another value."""
    kinds = QComboBox, QAbstractSpinBox, QAbstractSlider
    return isinstance(widget, kinds) and not isinstance(widget, QScrollBar)


def _has_focus(widget: QWidget) -> bool:
    window = widget.window()
    return window is not None and window.focusWidget() is widget


class _FittingScrollArea(QScrollArea):
    """A scroll area that is never narrower than what lies in it and its scroll bar.

    Nor is it much lower, or Qt would give all of the height to a table that is docked below.
    """

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        inner, bar, area = self.widget(), self.verticalScrollBar(), self.viewport()
        if inner is None or bar is None or area is None:
            return super().minimumSizeHint()
        beside = self.width() - area.width() if bar.isVisible() else bar.sizeHint().width()
        height = min(inner.sizeHint().height(), MIN_HEIGHT)
        return QSize(inner.minimumSizeHint().width() + beside, height)

    def eventFilter(self, widget: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        if event and event.type() == QEvent.Type.LayoutRequest:  # a section was unfolded
            self.updateGeometry()
        return super().eventFilter(widget, event)


def fill_row(control: ValueWidget[Any]) -> None:
    """Give a control that lies in a form all of its row, which its label leaves to it.

    Parameters
    ----------
    control : ValueWidget
        It stands in a container that has labels; screen readers are still told its own.
    """
    labelled_row = control.native.parentWidget()
    labelled_row.findChild(QLabel, options=Qt.FindChildOption.FindDirectChildrenOnly).hide()


def narrow_readout(slider: Widget, widest: str) -> None:
    """Leave to a slider what the number beside it does not need.

    Parameters
    ----------
    slider : Widget
        A slider beside its number.
    widest : str
        The widest number.
    """
    readout = slider.native.findChild(QAbstractSpinBox)
    width = readout.fontMetrics().horizontalAdvance(widest) + READOUT_FRAME
    # by a style sheet, since napari's own gives every such field a width
    readout.setStyleSheet(f"min-width: {width}px; max-width: {width}px; padding: 0px")


def make_accessible(container: Container[Widget]) -> None:
    """Give controls names for screen readers, labels in full, a visible focus, and the Enter key.

    Parameters
    ----------
    container : Container
        It has the controls, directly or in containers within it.
    """
    container.native.setStyleSheet(FOCUS_STYLE)
    container.native.installEventFilter(_LabelWidths(container.native))
    _name_controls(container)


def _name_controls(container: Container[Widget]) -> None:
    """Give controls their labels as names, and their tooltips as descriptions."""
    for widget in container:
        if isinstance(widget, Container):
            _name_controls(widget)
        elif isinstance(widget, PushButton):
            widget.native.setAutoDefault(True)  # Enter presses it, not only the space bar
        elif not isinstance(widget, ButtonWidget):  # the text of a button is its name
            # what takes the focus may lie within, such as a slider beside its number
            for native in (widget.native, *widget.native.findChildren(QWidget)):
                native.setAccessibleName(widget.label)
                native.setAccessibleDescription(widget.tooltip)
            if isinstance(widget, FloatSlider):
                _set_page(widget.native.findChild(QSlider))


def _set_page(slider: QSlider) -> None:
    """Have a page be a tenth of a slider: magicgui's is so small that the wheel turns nothing."""
    slider.setPageStep((slider.maximum() - slider.minimum()) // 10)


def fit_labels(widget: QWidget) -> None:
    """Give the labels of each column the width of the widest.

    magicgui measures them in another font than napari's: they would be clipped in a narrow dock.

    Parameters
    ----------
    widget : QWidget
        It has the labels.
    """
    columns = collections.defaultdict(list)
    for label in widget.findChildren(QLabel):
        labelled_row = label.parentWidget()
        if labelled_row and not label.wordWrap():  # a sentence stands in no column
            label.ensurePolished()
            columns[labelled_row.parentWidget()].append(label)
    for labels in columns.values():
        widest = max(label.sizeHint().width() for label in labels)
        for label in labels:
            label.setMinimumWidth(widest)


class _LabelWidths(QObject):
    """Fits labels as soon as their font is known."""

    def eventFilter(self, widget: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        is_styled = event and event.type() in (QEvent.Type.Show, QEvent.Type.StyleChange)
        if is_styled and isinstance(widget, QWidget):
            fit_labels(widget)
        return False


def setting_control(name: str, spec: SettingSpec) -> ValueWidget[Any]:
    """Return the control of a setting, with its range, its default and its sentence.

    Parameters
    ----------
    name : str
        Name of the setting.
    spec : SettingSpec
        What is known of it.

    Returns
    -------
    ValueWidget
        A number or a menu.
    """
    options: dict[str, Any] = {
        "tooltip": f"{spec.sentence} ({spec.symbol} in the paper)" if spec.symbol else spec.sentence
    }
    if spec.choices:
        options["choices"] = spec.choices
    else:
        options |= {"min": spec.minimum, "max": spec.maximum}
    if spec.kind is float:
        options["step"] = _resolution(spec)
    return value_widget(
        value=spec.default,
        annotation=str if spec.choices else spec.kind,
        label=name.replace("_", " "),
        options=options,
    )


def value_widget(**arguments: Any) -> ValueWidget[Any]:
    """Return the widget that magicgui makes for a value.

    Parameters
    ----------
    **arguments
        Those of `magicgui.widgets.create_widget`.

    Returns
    -------
    ValueWidget
        The widget.
    """
    return cast(ValueWidget[Any], create_widget(**arguments))


def _resolution(spec: SettingSpec) -> float:
    """Return the greatest power of ten, 1 at most, that both ends of a range are multiples of."""
    ends = (decimal.Decimal(str(end)).normalize() for end in (spec.minimum, spec.maximum))
    return 10.0 ** min(0, *(int(end.as_tuple().exponent) for end in ends))
