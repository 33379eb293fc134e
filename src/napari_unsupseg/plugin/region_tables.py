"""Tables of regions: the features of Labels layers, kept true to what the layers show."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from napari.layers import Image, Labels
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error
from numpy.typing import ArrayLike, NDArray
from qtpy.QtCore import QObject
from superqt.utils import QSignalDebouncer

from napari_unsupseg._typing import Labels as LabelsArray
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.plugin.background import translate_worker_errors
from napari_unsupseg.plugin.labels_layers import PLACE_EVENTS, show_names
from napari_unsupseg.plugin.layout import Layout
from napari_unsupseg.regions.measure import average_frames, measure_objects, measure_regions

if TYPE_CHECKING:
    from napari_unsupseg.plugin.session import LayerRun
    from napari_unsupseg.regions.hierarchy import Hierarchy

__all__ = ["Calibration", "RegionTables", "calibration_of", "can_measure_in", "region_features"]

MEASURE_DELAY = 200  # milliseconds after the last touch of a brush or a slider
EDIT_EVENTS = ("paint", "set_data")  # the second comes of an undo, and of much else
STALE_EVENTS = ("data", *PLACE_EVENTS)  # after which no table is true any more


class Calibration(TypedDict):
    """Where the pixels of a layer lie: keywords of `measure_regions`.

    Attributes
    ----------
    spacing, origin : dict of str to float
        Size of a pixel, and place of the first one, along the axes z, y and x that have the unit.
    unit : str
        Unit of both; empty for pixels.
    """

    spacing: dict[str, float]
    origin: dict[str, float]
    unit: str


def calibration_of(layer: Labels, layout: Layout) -> Calibration:
    """Return where the pixels of a Labels layer lie, and their unit.

    Parameters
    ----------
    layer : napari.layers.Labels
        Labels of an image.
    layout : Layout
        Axes of the image.

    Returns
    -------
    Calibration
        Without spacing, origin and unit if the layer has no unit of length; without an origin if
        the layer is turned, sheared or moved by an affine, since places are along its own axes.
    """
    axes = layout.labels_axes
    units = {axis: layer.units[axes.index(axis)] for axis in "zyx" if axis in axes}
    # in pixels where there is no unit of length, or another along y than along x
    if units["y"] != units["x"] or not units["y"].is_compatible_with("meter"):
        return {"spacing": {}, "origin": {}, "unit": ""}
    alike = [axis for axis, own in units.items() if own == units["y"]]
    placed = [] if _is_turned(layer) else alike
    return {
        "spacing": {axis: float(layer.scale[axes.index(axis)]) for axis in alike},
        "origin": {axis: float(layer.translate[axes.index(axis)]) for axis in placed},
        "unit": f"{units['y']:~}".replace("µ", "u"),  # part of a column's name
    }


def _is_turned(layer: Labels) -> bool:
    """Tell whether more than a scale and a translation lead from pixels to the world."""
    turns = layer.rotate, layer.affine.affine_matrix
    are_none = all(np.allclose(turn, np.eye(len(turn))) for turn in turns)
    return bool(np.any(layer.shear)) or not are_none


def region_features(
    data: LabelsArray,
    image: ArrayLike,
    layout: Layout,
    calibration: Calibration,
    *,
    objects_ndim: int | None = None,
    clusters: LabelsArray | None = None,
    hierarchy: "Hierarchy | None" = None,
    name: str = "",
    other_channels: Mapping[str, ArrayLike] | None = None,
) -> dict[str, NDArray[np.number]]:
    """Measure the regions of a Labels layer.

    Parameters
    ----------
    data : ndarray of unsigned integers
        Data of the layer.
    image : array_like
        The image that the labels are of.
    layout : Layout
        Its axes.
    calibration : Calibration
        Where the pixels lie, and their unit.
    objects_ndim : int or None
        Axes of a frame, if the regions are objects.
    clusters : ndarray of unsigned integers, optional
        Data of the layer with the clusters that objects are of.
    hierarchy : Hierarchy, optional
        What objects are scored by.
    name : str
        The image's name, which its columns have beside those of other channels.
    other_channels : mapping of str to array_like, shape (..., Y, X), optional
        What the intensities of objects are measured in too, by name.

    Returns
    -------
    dict of str to ndarray, shape (labels,)
        Features for the layer: those of `measure_regions`; of objects those of `measure_objects`
        and of `Hierarchy.score_objects`, in a series the means over its frames: a layer has a line
        for each label, not for each of its frames.

    Raises
    ------
    UnsupsegError
        If memory runs out.
    RunError
        If anything else goes wrong.
    """
    with translate_worker_errors("regions cannot be measured: "):
        channels = split_channels(image, layout.axes)
        labels = layout.from_layer(data)
        if objects_ndim is None:
            table = measure_regions(labels, channels.values, axes=channels.axes, **calibration)
        else:
            values, names = np.asarray(channels.values), []
            if other_channels:
                numbers = [f"{name}_{k}" for k in range(len(values))]
                names = [*([name] if len(values) == 1 else numbers), *other_channels]
                values = np.stack([*values, *map(np.asarray, other_channels.values())])
            table = measure_objects(
                labels,
                values,
                axes=channels.axes,
                spatial_ndim=objects_ndim,
                channel_names=names,
                clusters=None if clusters is None else layout.from_layer(clusters),
                **calibration,
            )
            if hierarchy is not None:
                table |= hierarchy.score_objects(labels, by_frame=True)
            for axis in channels.axes[:-objects_ndim]:
                del table[axis]
            if labels.ndim > objects_ndim:
                table = average_frames(table)
        return {"index": table.pop("label"), **table}  # the name that napari looks labels up by


def can_measure_in(image: Image, run: "LayerRun") -> bool:
    """Tell whether objects of a run can be measured in another image.

    Parameters
    ----------
    image : napari.layers.Image
        Any image.
    run : LayerRun
        The run.

    Returns
    -------
    bool
        Whether it is another one, of one channel and of the shape of the labels.
    """
    layout = run.layout
    has_channels_inside = bool(layout.channel_axis)
    is_plain = not image.rgb and not image.multiscale and not has_channels_inside
    return is_plain and image != run.image and np.shape(image.data) == layout.labels_shape


class RegionTables:
    """Measures the regions of layers, and again whenever their labels change.

    Parameters
    ----------
    on_edit : callable
        Called with a layer whose labels were edited.
    parent : QObject
        Layers are measured no longer than it lives.
    """

    def __init__(self, on_edit: Callable[[Labels], None], parent: QObject) -> None:
        self._on_edit = on_edit
        self._parent = parent
        self._tables: dict[Labels, _RegionTable] = {}
        self._other_images: Sequence[Image] = ()

    def measure_in(self, images: Sequence[Image]) -> None:
        """Measure the intensities of objects in other images too.

        Parameters
        ----------
        images : sequence of napari.layers.Image
            The layers; one that has another shape than objects, or is gone, is left out.
        """
        self._other_images = images
        for table in self._tables.values():
            table.measure_again()

    def follow(self, layer: Labels, run: "LayerRun", *, objects_ndim: int | None = None) -> None:
        """Measure a layer now and whenever its labels change.

        Parameters
        ----------
        layer : napari.layers.Labels
            The layer.
        run : LayerRun
            The run whose image the labels are of.
        objects_ndim : int or None
            Axes of a frame, if the regions are objects, whose shapes are measured too.
        """
        self.leave(layer)
        timer = QSignalDebouncer(parent=self._parent)
        timer.setTimeout(MEASURE_DELAY)
        self._tables[layer] = _RegionTable(
            layer, run, self._on_edit, timer, objects_ndim, lambda: self._other_images
        )

    def leave(self, layer: Labels) -> None:
        """Measure a layer no more, as it is gone or a run writes into it.

        Parameters
        ----------
        layer : napari.layers.Labels
            The layer; nothing happens if it is not followed.
        """
        if layer in self._tables:
            table = self._tables.pop(layer)
            table.close()
            table.timer.deleteLater()

    def close(self) -> None:
        """Measure nothing more: the panel is gone."""
        for table in self._tables.values():
            table.close()
        self._tables.clear()


class _RegionTable:
    """The table of one layer."""

    def __init__(
        self,
        layer: Labels,
        run: "LayerRun",
        on_edit: Callable[[Labels], None],
        timer: QSignalDebouncer,
        objects_ndim: int | None,
        other_images: Callable[[], Sequence[Image]],
    ) -> None:
        self._layer, self._run, self._on_edit, self.timer = layer, run, on_edit, timer
        self._objects_ndim, self._other_images = objects_ndim, other_images
        self._is_stale = True
        self._measured: LabelsArray | None = layer.data.copy()
        timer.triggered.connect(self._measure_if_edited)
        for name in EDIT_EVENTS:
            getattr(layer.events, name).connect(self._on_touched)
        for name in STALE_EVENTS:
            getattr(layer.events, name).connect(self._on_stale)
        self._on_stale()

    def measure_again(self) -> None:
        """Measure objects once more, as other images are to be measured too."""
        if self._objects_ndim is not None:
            self._on_stale()

    def close(self) -> None:
        """Follow the layer no more, and drop what is being measured."""
        for name in EDIT_EVENTS:
            getattr(self._layer.events, name).disconnect(self._on_touched)
        for name in STALE_EVENTS:
            getattr(self._layer.events, name).disconnect(self._on_stale)
        self._measured = None  # the timer may be gone with the panel, and is not asked to stop

    def _on_touched(self) -> None:
        self.timer.throttle()

    def _on_stale(self) -> None:
        self._is_stale = True
        self._layer.features = None
        self.timer.throttle()

    def _measure_if_edited(self) -> None:
        """Measure the layer, unless it has a table of the labels that it shows."""
        data, before = self._layer.data, self._measured
        if before is None:  # closed
            return
        # napari sends the event of an undo also when a user moves to another plane
        is_edited = not np.array_equal(data, before)
        if not is_edited and not self._is_stale:
            return
        self._is_stale = False
        labels = self._measured = data.copy()  # the user may paint meanwhile
        self._layer.features = None  # those of what it showed before

        def set_features(features: dict[str, NDArray[np.number]]) -> None:
            if labels is self._measured:
                self._layer.features = features
                show_names(self._layer)

        layout, result = self._run.layout, self._run.result
        create_worker(
            region_features,
            labels,
            self._run.request.image,
            layout,
            calibration_of(self._layer, layout),
            objects_ndim=self._objects_ndim,
            clusters=_array_of(self._run.labels),
            hierarchy=result.hierarchy if result else None,
            name=self._run.image.name,
            other_channels={
                image.name: image.data
                for image in self._other_images()
                if can_measure_in(image, self._run)
            },
            _connect={"returned": set_features, "errored": _show_error},
        )
        if is_edited:
            self._on_edit(self._layer)


def _show_error(error: Exception) -> None:
    show_error(str(error))


def _array_of(layer: Labels) -> LabelsArray | None:
    """Return a copy of a layer's data, unless it is a pyramid."""
    return layer.data.copy() if isinstance(layer.data, np.ndarray) else None
