"""The panel's controls: one for each setting, folded away under plain headings."""

import collections
import decimal
from collections.abc import Iterable, Sequence
from typing import Any, cast

from magicgui.widgets import Container, PushButton, Widget, create_widget
from magicgui.widgets.bases import ButtonWidget, ValueWidget
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QComboBox, QFrame, QLabel, QScrollArea, QWidget

from napari_unsupseg.settings import SettingSpec, setting_specs

__all__ = [
    "CollapsibleSection",
    "make_accessible",
    "make_scrollable",
    "row",
    "setting_control",
    "settings_under",
    "value_widget",
]

CLOSED, OPEN = "▸", "▾"
MENU_LETTERS = 4  # of an entry, that a menu shows at least
# napari's own style does not show which control has the focus
FOCUS = (
    "QPushButton:focus, QCheckBox:focus, QComboBox:focus, QAbstractSpinBox:focus, "
    "QSlider:focus {border: 1px solid palette(highlight)}"
)


class CollapsibleSection(Container[Widget]):
    """Widgets under a heading that shows and hides them; hidden at first.

    Parameters
    ----------
    heading : str
        A word or two.
    widgets : sequence of Widget
        What lies under it.
    """

    def __init__(self, heading: str, widgets: Sequence[Widget]) -> None:
        super().__init__(labels=False)
        self._text = heading
        self._is_open = False
        self.heading = PushButton(text=f"{CLOSED} {heading}")
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
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # it follows the control that has the focus
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    outer.native.layout().replaceWidget(inner.native, area)
    area.setWidget(inner.native)
    for menu in inner.native.findChildren(QComboBox):  # an entry may be wider than the dock
        menu.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        menu.setMinimumContentsLength(MENU_LETTERS)


def make_accessible(container: Container[Widget]) -> None:
    """Have controls be named, in full and to screen readers, show the focus, and take Enter.

    Parameters
    ----------
    container : Container
        Whatever has the controls; those in others in it are meant too.
    """
    container.native.setStyleSheet(FOCUS)
    container.native.installEventFilter(_Columns(container.native))
    _describe(container)


def _describe(container: Container[Widget]) -> None:
    for widget in container:
        if isinstance(widget, Container):
            _describe(widget)
        elif isinstance(widget, PushButton):
            widget.native.setAutoDefault(True)
        elif not isinstance(widget, ButtonWidget):  # the text of a button is its name
            # what takes the focus may lie within, such as a slider beside its number
            for native in (widget.native, *widget.native.findChildren(QWidget)):
                native.setAccessibleName(widget.label)
                native.setAccessibleDescription(widget.tooltip)


class _Columns(QObject):
    """Gives the labels of each column the width of the widest, as soon as its font is known.

    magicgui measures them in another font than napari's: they would be clipped in a narrow dock.
    """

    def eventFilter(self, widget: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        if widget and event and event.type() in (QEvent.Type.Show, QEvent.Type.StyleChange):
            columns = collections.defaultdict(list)
            for label in widget.findChildren(QLabel):
                row = label.parentWidget()
                if row and not label.wordWrap():
                    label.ensurePolished()
                    columns[row.parentWidget()].append(label)
            for labels in columns.values():
                widest = max(label.sizeHint().width() for label in labels)
                for label in labels:
                    label.setMinimumWidth(widest)
        return False


def setting_control(name: str, spec: SettingSpec) -> ValueWidget[Any]:
    """Return the control of a setting: its range, its default, the paper's symbol.

    Parameters
    ----------
    name : str
        The setting.
    spec : SettingSpec
        Its spec.

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
    """Return the power of ten that both ends of a range are multiples of."""
    ends = (decimal.Decimal(str(end)).normalize() for end in (spec.minimum, spec.maximum))
    return 10.0 ** min(0, *(int(end.as_tuple().exponent) for end in ends))
