"""Segments of the last run: how fine they are, how many that makes, and their corrections."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from magicgui.widgets import Container, FloatSlider, SpinBox, Widget

from napari_unsupseg._words import count
from napari_unsupseg.plugin.object_editor import EditMode
from napari_unsupseg.plugin.shortcuts import SHORTCUTS
from napari_unsupseg.plugin.widgets.controls import Sentence, fill_row, narrow_readout
from napari_unsupseg.plugin.widgets.edit_buttons import EditButtons
from napari_unsupseg.plugin.widgets.slider_ticks import SliderTicks

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["SegmentsSection"]


class SegmentsSection(Container[Widget]):
    """A slider as wide as the panel under the number of segments, and their smallest size.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the segments are.
    on_change : callable
        Called when the segments are to be others.

    Attributes
    ----------
    granularity : FloatSlider
        From 0, the finest segments, to 1, a single one.
    ticks : SliderTicks
        Granularities worth looking at.
    smallest : SpinBox
        Pixels of the smallest segment.
    editing : EditButtons
        Edits of single segments.
    """

    def __init__(self, viewer: "napari.viewer.Viewer", on_change: Callable[[], None]) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self.granularity = FloatSlider(
            label="granularity",
            value=0.5,
            min=0,
            max=1,
            step=0.01,
            tooltip="Segments of the run, from 0 (the finest) to 1 (a single one). Finer "
            f"({SHORTCUTS['finer']}) and coarser ({SHORTCUTS['coarser']}) by keys too.",
        )
        narrow_readout(self.granularity, "0.00")
        self.ticks = SliderTicks(self.granularity)
        self.smallest = SpinBox(
            label="smallest",
            value=0,
            min=0,
            max=1_000_000,
            tooltip="Pixels of the smallest segment; smaller ones join what they resemble most.",
        )
        self.heading = Sentence()
        form = Container[Widget]()
        form.extend([self.granularity, self.smallest])  # given at once labels would differ in width
        form.margins = (0, 0, 0, 0)
        fill_row(self.granularity)
        self.editing = EditButtons(viewer, "segment", [EditMode.SPLIT, EditMode.JOIN])
        self.extend([self.heading, form, self.editing])
        self.granularity.changed.connect(lambda _value: on_change())
        self.smallest.changed.connect(lambda _value: on_change())

    @property
    def cut(self) -> dict[str, Any]:
        """How the hierarchy is to be cut, as keywords of `Hierarchy.cut`."""
        cut: dict[str, Any] = {"granularity": self.granularity.value}
        return cut | {"min_size": self.smallest.value} if self.smallest.value else cut

    def show_count(self, n_segments: int) -> None:
        """Say how many segments the granularity makes.

        Parameters
        ----------
        n_segments : int
            How many.
        """
        self.heading.value = f"granularity: {count(n_segments, 'segment')}"
