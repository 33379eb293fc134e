"""Edits objects or segments of a layer where the user clicks; each edit is one step."""

import enum
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_unsupseg._typing import Labels as LabelsArray
from napari_unsupseg._words import count
from napari_unsupseg.regions.object_edits import (
    draw_path,
    find_alike,
    join_objects,
    remove_objects,
    split_object,
)

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Labels

__all__ = ["EditMode", "ObjectEditor", "write_labels"]

CLICK = 5  # pixels of the screen by which the mouse may move in a click
DIMMED = 0.15  # of their opacity, of objects that are not alike
STOP_EVENTS = ("mode", "visible")  # of the layer: the user does something else


class EditMode(enum.Enum):
    """What a click on an object does."""

    ALIKE = "Find alike"
    REMOVE = "Remove"
    SPLIT = "Split"
    JOIN = "Join"


HINTS = {
    EditMode.ALIKE: "click {a}: those like it in size, brightness and shape stand out",
    EditMode.REMOVE: "click the {one}s that are to go",
    EditMode.SPLIT: "draw a line across {a}, from side to side",
    EditMode.JOIN: "click two {one}s that are one",
}


class ObjectEditor:
    """Has clicks on a layer of objects edit it, in one mode at a time.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the layer is.
    show_hint : callable
        Shows in a sentence what to click.
    on_stop : callable
        Called when a mode has ended, by whatever.
    noun : str
        What is edited, one of them.

    Attributes
    ----------
    mode : EditMode or None
        What a click does now.
    similarity : float
        How alike objects must be to be found, 0 to 1.
    alike : list of int
        Labels of the objects that were found alike; empty before a click.
    """

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        show_hint: Callable[[str], None],
        on_stop: Callable[[], None],
        noun: str = "object",
    ) -> None:
        self._viewer = viewer
        self._noun = noun
        self._show_hint = show_hint
        self._on_stop = on_stop
        self.mode: EditMode | None = None
        self.similarity = 0.5
        self._layer: Labels | None = None
        self._whole_axes: Sequence[int] = ()
        self._picked: int | None = None  # the object that was clicked first
        self.alike: list[int] = []
        self._colormap: Any = None  # the layer's own, while objects are dimmed

    def start(self, mode: EditMode, layer: "Labels", whole_axes: Sequence[int]) -> None:
        """Have clicks edit a layer.

        Parameters
        ----------
        mode : EditMode
            What they do.
        layer : napari.layers.Labels
            The layer, which becomes the active one.
        whole_axes : sequence of int
            Axes of the layer along which an object is split all the way, as slices of a volume are.
        """
        self.stop()
        self.mode, self._layer, self._whole_axes = mode, layer, whole_axes
        layer.visible = True
        self._viewer.layers.selection.active = layer
        layer.mode = "pan_zoom"
        layer.mouse_pan = mode is not EditMode.SPLIT
        layer.mouse_drag_callbacks.append(self._on_press)
        for event in STOP_EVENTS:
            getattr(layer.events, event).connect(self.stop)
        layer.events.features.connect(self._show_alike)
        self._viewer.layers.selection.events.active.connect(self._on_other_layer)
        self._show_hint(self._hint(mode))

    def stop(self) -> None:
        """Have clicks edit nothing."""
        layer, self._layer = self._layer, None
        if layer is None:
            return
        self._undim(layer)
        self.mode, self._picked, self.alike = None, None, []
        self._viewer.layers.selection.events.active.disconnect(self._on_other_layer)
        layer.events.features.disconnect(self._show_alike)
        for event in STOP_EVENTS:
            getattr(layer.events, event).disconnect(self.stop)
        layer.mouse_drag_callbacks.remove(self._on_press)
        layer.mouse_pan = layer.mode == "pan_zoom"
        self._on_stop()

    def set_similarity(self, similarity: float) -> None:
        """Find objects that are more or less alike.

        Parameters
        ----------
        similarity : float
            See `napari_unsupseg.regions.object_edits.find_alike`.
        """
        self.similarity = similarity
        self._show_alike()

    def remove_alike(self, *, others: bool = False) -> None:
        """Remove the objects that were found alike.

        Parameters
        ----------
        others : bool
            Whether all but these are removed.
        """
        if self._layer is None:
            return
        data = self._layer.data
        removed = np.setdiff1d(np.unique(data), self.alike) if others else self.alike
        self._picked, self.alike = None, []
        self._undim(self._layer)
        write_labels(self._layer, remove_objects(data, removed))
        self._show_hint(self._hint(EditMode.ALIKE))

    def _on_other_layer(self) -> None:
        if self._viewer.layers.selection.active != self._layer:
            self.stop()

    def _on_press(self, layer: "Labels", event: Any) -> Iterator[None]:
        """Take a click, or a line, from the press of the mouse's button to its release."""
        if event.button != 1:
            return
        if self.mode is EditMode.SPLIT:
            yield from self._draw_line(layer, event)
            return
        pressed = np.asarray(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        if np.abs(np.asarray(event.pos) - pressed).max() > CLICK:
            return  # the view was moved
        label = layer.get_value(
            event.position,
            view_direction=event.view_direction,
            dims_displayed=event.dims_displayed,
            world=True,
        )
        if label:
            self._click(int(label))

    def _click(self, label: int) -> None:
        """Do to an object what the mode says."""
        assert self._layer is not None
        data = self._layer.data
        if self.mode is EditMode.REMOVE:
            write_labels(self._layer, remove_objects(data, [label]))
        elif self.mode is EditMode.ALIKE:
            self._picked = label
            self._show_alike()
        elif self._picked is None:
            self._picked = label
            self._show_hint(f"{self._noun} {label}: now click the other part of it")
        else:
            first, self._picked = self._picked, None
            write_labels(self._layer, join_objects(data, first, label))
            self._show_hint(self._hint(EditMode.JOIN))

    def _draw_line(self, layer: "Labels", event: Any) -> Iterator[None]:
        """Show a line while it is drawn, as ground, and split the object that it crosses."""
        shift = len(event.position) - layer.ndim  # the layer has the last axes of the viewer's
        displayed = sorted(axis - shift for axis in event.dims_displayed)
        points = [np.asarray(layer.world_to_data(event.position))]
        if len(displayed) > 2:
            self._show_hint("lines are drawn on slices: switch the view to 2D")
            return
        along = sorted({*displayed, *self._whole_axes})
        place = tuple(
            slice(None) if axis in along else round(float(points[0][axis]))
            for axis in range(layer.ndim)
        )
        before, new_label = layer.data[place].copy(), int(layer.data.max()) + 1
        sides = [layer.data.shape[axis] for axis in displayed]
        beside = [index for index, axis in enumerate(along) if axis not in displayed]

        def drawn() -> NDArray[np.bool_]:
            path = draw_path(np.stack(points)[:, displayed], sides)
            return np.broadcast_to(np.expand_dims(path, beside), before.shape)

        with layer.block_history():  # all that follows is one step of undo
            yield
            while event.type == "mouse_move":
                points.append(np.asarray(layer.world_to_data(event.position)))
                write_labels(layer, np.where(drawn(), 0, before), place)
                yield
            path = drawn()
            crossed = np.bincount(before[path], minlength=2)
            crossed[0] = 0
            after = before
            if crossed.any():
                after = split_object(before, int(crossed.argmax()), path, new_label)
            write_labels(layer, after, place)
        if after is before:
            layer.undo()  # what only showed the line
            self._show_hint("that split nothing: draw a line from one side to another")
        else:
            self._show_hint(self._hint(EditMode.SPLIT))

    def _hint(self, mode: EditMode) -> str:
        """Say what to do in a mode, and where an object is not split."""
        assert self._layer is not None
        article = "an" if self._noun[0] in "aeiou" else "a"
        hint = HINTS[mode].format(one=self._noun, a=f"{article} {self._noun}")
        has_frames = len(self._whole_axes) < self._layer.ndim
        is_partial = mode is EditMode.SPLIT and has_frames
        return hint + ("; other frames stay as they are" if is_partial else "")

    def _show_alike(self) -> None:
        """Have the objects that are like the one that was clicked stand out."""
        layer = self._layer
        if layer is None or self._picked is None:
            return
        features = layer.features
        if "index" not in features:
            self.alike = []
            self._show_hint("measuring the objects…")  # the layer tells when they are measured
        elif self._picked not in features["index"].tolist():  # it is gone
            self._undim(layer)
            self._picked, self.alike = None, []
            self._show_hint(self._hint(EditMode.ALIKE))
        else:
            self.alike = find_alike(features, self._picked, self.similarity).tolist()
            self._dim_others(layer)
            self._show_hint(f"{count(len(self.alike), 'object')} like object {self._picked}")

    def _dim_others(self, layer: "Labels") -> None:
        """Show the objects that are alike as before, and the others faintly."""
        if self._colormap is None:
            self._colormap = layer.colormap
        labels = np.arange(1, int(layer.data.max()) + 1)
        colours = np.array(self._colormap.map(labels))
        colours[~np.isin(labels, self.alike), 3] *= DIMMED
        by_label: dict[int | None, Any] = dict(zip(labels.tolist(), colours, strict=True))
        layer.colormap = DirectLabelColormap(color_dict={None: "transparent"} | by_label)

    def _undim(self, layer: "Labels") -> None:
        """Give a layer its own colours again."""
        if self._colormap is not None:
            layer.colormap, self._colormap = self._colormap, None


def write_labels(
    layer: "Labels", labels: LabelsArray, place: tuple[Any, ...] | None = None
) -> None:
    """Write labels into a layer, as one edit that napari's undo takes back.

    Parameters
    ----------
    layer : napari.layers.Labels
        A layer that is loaded and can be edited.
    labels : ndarray of unsigned integers
        Its labels, or those of a part of it.
    place : tuple of slice and int or None
        Index of the part, one for each axis of the layer; None for all of it.
    """
    place = (slice(None),) * layer.ndim if place is None else place
    changed = np.nonzero(layer.data[place] != labels)
    of_slices = iter(changed)
    indices = [
        next(of_slices) if isinstance(at, slice) else np.full(len(changed[0]), at) for at in place
    ]
    layer.data_setitem(tuple(indices), labels[changed])
