"""Objects of the last run: which there are, and how those that touch are split."""

from collections.abc import Callable
from typing import Any

from magicgui.widgets import CheckBox, ComboBox, FloatSlider, PushButton, SpinBox
from magicgui.widgets.bases import ValueWidget

from napari_unsupseg.plugin.widgets.controls import CollapsibleSection, narrow_readout

__all__ = ["ObjectsSection"]

AUTOMATIC, SELECTED = "automatic", "selected clusters"
MOST_PIXELS = 1_000_000_000


class ObjectsSection(CollapsibleSection):
    """A button that finds objects, and controls that say which.

    Parameters
    ----------
    on_find : callable
        Called when the button is clicked.
    on_change : callable
        Called when the objects are to be others.
    """

    def __init__(self, on_find: Callable[[], None], on_change: Callable[[], None]) -> None:
        self.find_button = PushButton(
            text="Find objects",
            tooltip="Find what stands out as round things do, such as nuclei or particles, and "
            "count it.",
        )
        self.foreground = ComboBox(
            label="made of",
            choices=[AUTOMATIC, SELECTED],
            tooltip="What objects are made of: what stands out, or the clusters selected in the "
            "table above.",
        )
        self.split = FloatSlider(
            label="split",
            value=0.5,
            min=0,
            max=1,
            step=0.05,
            tooltip="How readily touching objects are split, from 0 (never) to 1 (at every waist).",
        )
        narrow_readout(self.split, "0.00")
        self.min_size = SpinBox(
            label="smallest",
            value=0,
            max=MOST_PIXELS,
            tooltip="Pixels of the smallest object; 0 leaves out what is below a tenth of a "
            "typical one.",
        )
        self.max_size = SpinBox(
            label="largest",
            value=0,
            max=MOST_PIXELS,
            tooltip="Pixels of the largest object; 0 for no limit.",
        )
        self.exclude_border = CheckBox(
            label="not at the border",
            tooltip="Leave out objects that touch the border of the image.",
        )
        controls: list[ValueWidget[Any]] = [
            self.foreground,
            self.split,
            self.min_size,
            self.max_size,
            self.exclude_border,
        ]
        super().__init__("Objects", [self.find_button, *controls])
        self.find_button.changed.connect(lambda _clicked: on_find())
        for control in controls:
            control.changed.connect(lambda _value: on_change())

    @property
    def is_automatic(self) -> bool:
        """Whether what objects are made of is found, and not said."""
        return bool(self.foreground.value == AUTOMATIC)

    @property
    def keywords(self) -> dict[str, Any]:
        """What the controls say, as keywords of `Hierarchy.objects` that differ from the defaults.

        What objects are made of is not among them.
        """
        chosen = {
            "split": self.split.value if self.split.value != 0.5 else None,
            "min_size": self.min_size.value or None,
            "max_size": self.max_size.value or None,
            "exclude_border": self.exclude_border.value or None,
        }
        return {name: value for name, value in chosen.items() if value is not None}
