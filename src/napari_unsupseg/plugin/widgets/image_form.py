"""The form for the image: which layer, what its axes are, and which part to train on."""

from typing import Any

import napari.layers
from magicgui.widgets import CheckBox, ComboBox, Container, Widget

from napari_unsupseg.errors import ImageError, UnsupsegError
from napari_unsupseg.image.axes import CHANNELS, SAMPLES
from napari_unsupseg.image.tiling import is_large
from napari_unsupseg.options import ImageOptions
from napari_unsupseg.plugin.layers import (
    axes_choices,
    check_image_layer,
    layer_array,
    voxel_spacing,
)
from napari_unsupseg.plugin.training_region import REGIONS
from napari_unsupseg.plugin.widgets.controls import fill_row, value_widget

__all__ = ["ImageForm"]

ASKING_STYLE = "QComboBox {background: #b3261e; color: white}"  # red, in both of napari's themes
BESIDE_ENTRIES = 30  # pixels of a list beside its entries: its frame, and room for a scroll bar


class ImageForm(Container[Widget]):
    """Menus for the image and its axes; they hide what the chosen image has no use for."""

    def __init__(self) -> None:
        super().__init__()
        self.margins = (0, 0, 0, 0)
        self.image = value_widget(
            annotation=napari.layers.Image,
            name="image",
            label="image",
            options={"tooltip": "The Image layer to segment."},
        )
        self.axes = ComboBox(
            label="axes",
            choices=self._axes_choices,
            tooltip="What the axes of the image are. Slices and time points are segmented one by "
            "one, all by one network.",
        )
        self.volumes = CheckBox(
            text="as volumes",
            tooltip="Have the network look at the slices above and below a pixel too, and segment "
            "the stack in three dimensions; else each slice is segmented by itself.",
        )
        self.region = ComboBox(
            label="train on",
            choices=REGIONS,
            tooltip="Where the network trains; its clusters are then found in all of the image.",
        )
        self.extend([self.image, self.axes, self.volumes, self.region])
        fill_row(self.axes)  # as wide as "48 time points × 13 slices"
        self._followed: napari.layers.Image | None = None
        self.image.changed.connect(self._on_image_changed)
        self.axes.changed.connect(self._on_axes_changed)
        self._on_image_changed()

    @property
    def spatial_ndim(self) -> int:
        """Axes that the network sees: 3 for volumes, else 2."""
        return 3 if self._has_volumes and self.volumes.value else 2

    def problem(self) -> str:
        """Say in a sentence why the chosen image cannot be segmented; empty if it can, or if none.

        It is found anew each time, since an array may change behind napari's back.
        """
        if self.image.value is None:
            return ""
        try:
            check_image_layer(self.image.value)
        except UnsupsegError as error:
            return str(error)
        return ""

    @property
    def asks_for_axes(self) -> bool:
        """Whether the user has to say what the axes of the chosen image are."""
        return bool(self.axes.choices) and self.axes.value is None

    def can_be_learned_with(self, other: napari.layers.Image) -> bool:
        """Tell whether one network can train on the chosen image and another one together.

        Parameters
        ----------
        other : napari.layers.Image
            An image of any size.

        Returns
        -------
        bool
            Whether it can be loaded, and has the same axes and as many channels.
        """
        image, axes = self.image.value, self.axes.value
        if image is None or axes is None or other == image or self.problem():
            return False
        try:
            check_image_layer(other)
        except UnsupsegError:
            return False
        arrays = layer_array(image), layer_array(other)
        if other.rgb != image.rgb or other.ndim != image.ndim or any(map(is_large, arrays)):
            return False
        channels = [at for at, letter in enumerate(axes) if letter in CHANNELS + SAMPLES]
        ours, theirs = ([array.shape[at] for at in channels] for array in arrays)
        return bool(ours == theirs)

    def choose(self, image: napari.layers.Image, axes: str, spatial_ndim: int) -> None:
        """Choose an image of which all is known, such as that of a run that was opened.

        Parameters
        ----------
        image : napari.layers.Image
            The image.
        axes : str
            One letter for each of its axes.
        spatial_ndim : int
            Axes of a frame, 2 or 3.
        """
        self.image.value = image
        if axes in self.axes.choices:
            self.axes.value = axes
        self.volumes.value = spatial_ndim == 3

    def known_axes(self) -> str:
        """Return one letter for each axis of the image.

        Raises
        ------
        UnsupsegError
            If the image cannot be segmented, or its axes have to be chosen first.
        """
        image, axes = self.image.value, self.axes.value
        check_image_layer(image)
        if axes is None:
            raise ImageError(f"{image.name} has {image.ndim} axes: choose what they are under axes")
        letters: str = axes
        return letters

    def image_options(self) -> ImageOptions:
        """Return the options of the image, without strokes; it raises as `known_axes` does."""
        axes = self.known_axes()
        options: ImageOptions = {"axes": axes, "spatial_ndim": self.spatial_ndim}
        if self.spatial_ndim == 3:
            options["spacing"] = voxel_spacing(self.image.value, axes)
        return options

    def reset_choices(self, *event: Any) -> None:
        """Offer the images that are there now; the menu says nothing when its last one goes."""
        super().reset_choices(*event)
        self._on_image_changed()

    def _on_image_changed(self) -> None:
        """Follow the chosen image, which may be given data of other axes."""
        if self._followed is not None:
            self._followed.events.data.disconnect(self._update_axes)
            self._followed.events.axis_labels.disconnect(self._update_axes)
        self._followed = self.image.value
        if self._followed is not None:
            self._followed.events.data.connect(self._update_axes)
            self._followed.events.axis_labels.connect(self._update_axes)
        self._update_axes()

    def _update_axes(self) -> None:
        """Offer the axes that the chosen image may have."""
        self.axes.reset_choices()
        # an image of two axes leaves nothing to choose
        self.axes.visible = bool(self.axes.choices) and self.image.value.ndim > 2
        self._widen_list()
        # other data may have the same axes, and more to be said of
        self.axes.changed.emit(self.axes.value)

    def _widen_list(self) -> None:
        """Have the list that drops down from the menu of axes show its entries in full."""
        menu = self.axes.native
        menu.ensurePolished()  # or its font is not yet napari's
        entries = (menu.itemText(index) for index in range(menu.count()))
        widest = max(map(menu.fontMetrics().horizontalAdvance, entries), default=0)
        menu.view().setMinimumWidth(widest + BESIDE_ENTRIES)

    @property
    def _has_volumes(self) -> bool:
        # wherever the channels are
        return "zyx" in (self.axes.value or "").replace(CHANNELS, "")

    def _on_axes_changed(self) -> None:
        self.volumes.visible = self._has_volumes
        self.axes.native.setStyleSheet(ASKING_STYLE if self.asks_for_axes else "")

    def _axes_choices(self, _widget: object) -> list[tuple[str, Any]]:
        image = self.image.value
        return [] if image is None or self.problem() else axes_choices(image)
