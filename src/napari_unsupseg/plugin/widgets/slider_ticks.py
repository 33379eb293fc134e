"""Ticks at a few values of a slider, from one to the next of which it steps."""

from magicgui.widgets import FloatSlider
from qtpy.QtCore import QEvent, QObject, QPoint, QRect, Qt
from qtpy.QtGui import QMouseEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import QAbstractSlider, QSlider, QStyle, QStyleOptionSlider, QWidget

from napari_unsupseg._typing import Floats

__all__ = ["SliderTicks"]

WIDTH, HEIGHT = 2, 5  # of a tick, in pixels
REACH = 4  # pixels from a click to a tick that it means
HELP = (
    "The ticks are values worth looking at: any other gives much the same as one of them. Page Up "
    "and Page Down go from tick to tick, and a click on one goes to it."
)


class SliderTicks(QWidget):
    """Ticks below the groove of a slider, at values that need not be evenly spread.

    Those that Qt can draw are evenly spread. A page, which is what Page Up, Page Down and a click
    on the groove go, leads to the next tick, and beyond the last one to the end.

    Parameters
    ----------
    slider : FloatSlider
        It lies along; its tooltip comes to say what ticks are.
    """

    def __init__(self, slider: FloatSlider) -> None:
        bar = slider.native.findChild(QSlider)
        super().__init__(bar)
        self._slider, self._bar = slider, bar
        self._positions: list[int] = []  # in the units of Qt's slider
        slider.tooltip = f"{slider.tooltip} {HELP}"
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        bar.installEventFilter(self)
        bar.actionTriggered.connect(self._on_action)

    def show_values(self, values: Floats) -> None:
        """Have ticks at other values.

        Parameters
        ----------
        values : ndarray of float64, shape (n,)
            They rise; none to have no ticks, and pages as they were.
        """
        low, high = self._slider.min, self._slider.max
        length = self._bar.maximum() - self._bar.minimum()
        self._positions = [
            self._bar.minimum() + round((value - low) / (high - low) * length)
            for value in values.tolist()
        ]
        self.update()

    def paintEvent(self, _: QPaintEvent | None) -> None:  # noqa: N802
        """Draw the ticks."""
        painter = QPainter(self)
        colour = self._bar.palette().color(self._bar.foregroundRole())
        for position in self._positions:
            x = self._handle_at(position).center().x()
            painter.fillRect(x - WIDTH // 2, self.height() - HEIGHT, WIDTH, HEIGHT, colour)

    def eventFilter(self, bar: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Be as large as the slider, and take clicks on ticks."""
        if event and event.type() == QEvent.Type.Resize:
            self.resize(self._bar.size())
        is_press = event and event.type() == QEvent.Type.MouseButtonPress
        if is_press and isinstance(event, QMouseEvent):
            place = event.position().toPoint()
            is_left = event.button() == Qt.MouseButton.LeftButton
            if is_left and not self._handle_at(self._bar.sliderPosition()).contains(place):
                return self._go_to_tick(place)
        return False

    def _go_to_tick(self, place: QPoint) -> bool:
        """Move the handle to the tick at a place, if there is one."""
        for position in self._positions:
            if abs(self._handle_at(position).center().x() - place.x()) <= REACH:
                self._bar.setValue(position)
                return True
        return False

    def _on_action(self, action: int) -> None:
        """Have a page end at a tick; Qt has not told anybody yet where the handle is to be."""
        if not self._positions:
            return
        now, stops = self._bar.value(), [self._bar.minimum(), *self._positions, self._bar.maximum()]
        kind = QAbstractSlider.SliderAction(action)
        if kind == QAbstractSlider.SliderAction.SliderPageStepAdd:
            self._bar.setSliderPosition(next((stop for stop in stops if stop > now), stops[-1]))
        elif kind == QAbstractSlider.SliderAction.SliderPageStepSub:
            stops.reverse()
            self._bar.setSliderPosition(next((stop for stop in stops if stop < now), stops[-1]))

    def _handle_at(self, position: int) -> QRect:
        """Return where the handle would be."""
        option = QStyleOptionSlider()
        self._bar.initStyleOption(option)
        option.sliderPosition = position
        handle: QRect = self._bar.style().subControlRect(
            QStyle.ComplexControl.CC_Slider, option, QStyle.SubControl.SC_SliderHandle, self._bar
        )
        return handle
