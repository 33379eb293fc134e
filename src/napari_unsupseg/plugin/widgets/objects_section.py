"""Objects of the last run: which there are, and how those that touch are split."""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, ComboBox, Container, FloatSlider, FloatSpinBox, Widget
from magicgui.widgets.bases import ValueWidget

from napari_unsupseg.errors import SettingError
from napari_unsupseg.plugin.object_editor import EditMode
from napari_unsupseg.plugin.widgets.controls import fit_labels, narrow_readout, row
from napari_unsupseg.plugin.widgets.edit_buttons import EditButtons

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["ObjectsSection"]

AUTOMATIC, SELECTED, STROKES = "automatic", "clusters", "strokes"
CONTROLS = ("foreground", "split", "min_size", "max_size", "exclude_border")
MOST = 1_000_000_000  # of any unit
MOST_DECIMALS = 6
ROUNDING = 1e-6  # pixels


class ObjectsSection(Container[Widget]):
    """Controls that say which objects there are, and room for buttons of what is done with them.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the objects are.
    on_change : callable
        Called when the objects are to be others.

    Attributes
    ----------
    editing : EditButtons
        Edits of single objects.
    buttons : Container
        A row, for buttons of what is done with the objects that were found.
    """

    def __init__(self, viewer: "napari.viewer.Viewer", on_change: Callable[[], None]) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._pixel_size = 1.0
        self._has_strokes = False
        self._without_strokes: str | None = None  # what objects were made of before they had any
        self.foreground = ComboBox(
            label="made of",
            choices=[AUTOMATIC, SELECTED, STROKES],
            tooltip="What objects are made of: what stands out as round things do; the clusters "
            "that are selected in the table; or what looks like your strokes of the first kind, "
            "and not like those of the other kinds.",
        )
        self.split = FloatSlider(
            label="split touching",
            value=0.5,
            min=0,
            max=1,
            step=0.05,
            tooltip="How readily touching objects are split, from 0 (never) to 1 (wherever one "
            "narrows).",
        )
        narrow_readout(self.split, "0.00")
        self.min_size = _size_control(
            "smallest",
            "auto",
            "The smallest object; auto leaves out what is below a tenth of a typical one.",
        )
        self.max_size = _size_control("largest", "any", "The largest object.")
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
        form = Container[Widget]()
        form.extend(controls)  # given at once their labels would differ in width
        form.margins = (0, 0, 0, 0)
        self.editing = EditButtons(viewer, "object", EditMode)
        self.buttons = row([])
        self.extend([form, self.editing, self.buttons])
        self.show_unit("pixels", 1.0)
        self.foreground.changed.connect(self._keep_choice)
        for control in controls:
            control.changed.connect(lambda _value: on_change())

    def show_unit(self, unit: str, pixel_size: float) -> None:
        """Have sizes be in a unit; those that are chosen stay as large as they are.

        Parameters
        ----------
        unit : str
            The unit.
        pixel_size : float
            What a pixel, or voxel, has of it.
        """
        factor, self._pixel_size = pixel_size / self._pixel_size, pixel_size
        self._unit = unit
        decimals = min(MOST_DECIMALS, max(0, 1 - math.floor(math.log10(pixel_size))))
        for control, name in ((self.min_size, "smallest"), (self.max_size, "largest")):
            control.label = f"{name} ({unit})"
            with control.changed.blocked():  # the objects are the same
                control.native.setDecimals(decimals if pixel_size != 1 else 0)
                control.value *= factor
        fit_labels(self.native)

    def save(self) -> dict[str, Any]:
        """Return what the controls say, for `restore`."""
        return {name: getattr(self, name).value for name in CONTROLS} | {
            "has_strokes": self._has_strokes,
            "without_strokes": self._without_strokes,
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Have the controls say what they said; nobody is told.

        Parameters
        ----------
        saved : mapping
            From `save`, of the same unit.
        """
        for name in CONTROLS:
            control = getattr(self, name)
            with control.changed.blocked():
                control.value = saved[name]
        self._has_strokes = saved.get("has_strokes", False)
        self._without_strokes = saved.get("without_strokes")

    @property
    def is_of_clusters(self) -> bool:
        """Whether objects are made of the clusters that are selected."""
        return bool(self.foreground.value == SELECTED)

    @property
    def is_of_strokes(self) -> bool:
        """Whether strokes say what objects are made of."""
        return bool(self.foreground.value == STROKES)

    def follow_strokes(self, *, has_strokes: bool) -> bool:
        """Have objects be made of strokes from when there are some, and again as before without.

        What the user has chosen meanwhile stays. Nobody is told.

        Parameters
        ----------
        has_strokes : bool
            Whether there are strokes that say what objects are.

        Returns
        -------
        bool
            Whether objects are made of something else than before.
        """
        before, said = self.foreground.value, None
        if has_strokes and not self._has_strokes:
            said, self._without_strokes = STROKES, before
        elif self._has_strokes and not has_strokes:
            said, self._without_strokes = self._without_strokes, None
        self._has_strokes = has_strokes
        if said is not None:
            with self.foreground.changed.blocked():
                self.foreground.value = said
        return bool(self.foreground.value != before)

    def _keep_choice(self) -> None:
        """Leave what the user chooses as it is when strokes go."""
        self._without_strokes = None

    @property
    def keywords(self) -> dict[str, Any]:
        """What the controls say, as keywords of `Hierarchy.objects` that differ from the defaults.

        What objects are made of is not among them. Sizes are pixels.

        Raises
        ------
        SettingError
            If no size lies between the smallest and the largest.
        """
        sizes = self.min_size, self.max_size
        smallest, largest = (control.value / self._pixel_size for control in sizes)
        min_size = math.ceil(smallest - ROUNDING)
        max_size = max(1, math.floor(largest + ROUNDING)) if largest else None
        if max_size is not None and min_size > max_size:
            small, large = (f"{control.native.text()} {self._unit}" for control in sizes)
            raise SettingError(f"smallest is {small} and largest {large}: no object fits")
        chosen = {
            "split": self.split.value if self.split.value != 0.5 else None,
            "min_size": min_size or None,
            "max_size": max_size,
            "exclude_border": self.exclude_border.value or None,
        }
        return {name: value for name, value in chosen.items() if value is not None}


def _size_control(name: str, zero: str, tooltip: str) -> FloatSpinBox:
    """Return a control of a size, in which a word stands for 0."""
    control = FloatSpinBox(label=name, value=0, max=MOST, step=None, tooltip=tooltip)
    control.native.setSpecialValueText(zero)
    return control
