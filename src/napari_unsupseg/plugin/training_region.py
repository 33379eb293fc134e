"""The part of an image that a run trains on, and where its labels lie in the whole."""

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Shapes
from numpy.typing import NDArray

from napari_unsupseg.errors import ImageError
from napari_unsupseg.plugin.layers import layer_array

if TYPE_CHECKING:
    import napari.viewer
from napari_unsupseg.image.axes import CHANNELS, SAMPLES
from napari_unsupseg.image.tiling import Slices, crop_slices, is_large, shift_slices

if TYPE_CHECKING:
    from napari_unsupseg.plugin.large.pyramid import LabelPyramid
from napari_unsupseg._typing import Labels

__all__ = [
    "RECTANGLE",
    "REGIONS",
    "SCREEN",
    "WHOLE",
    "Region",
    "TrainingRegion",
    "crop",
    "find_region",
]

WHOLE, SCREEN, RECTANGLE = REGIONS = (
    "whole image",
    "what is on the screen",
    "selected rectangle",
)
SMALLEST = 32  # pixels along each side
Region = tuple[slice, slice]  # along y and x


def find_region(
    viewer: "napari.viewer.Viewer", image: Image, axes: str, kind: str
) -> Region | None:
    """Return the pixels of an image that a run is to train on.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the image and the rectangle are.
    image : napari.layers.Image
        The image.
    axes : str
        One letter for each of its axes.
    kind : str
        One of `REGIONS`.

    Returns
    -------
    tuple of slice or None
        Along y and x; None for all of them.

    Raises
    ------
    ImageError
        If there is no such region, or it is too small.
    """
    if kind == WHOLE:
        return None
    y, x = axes.index("y"), axes.index("x")
    if kind == SCREEN:
        corners = _screen(viewer, image, (y, x))
    else:
        corners = _rectangle(viewer, image)[:, [y, x]]
    shape = [layer_array(image).shape[axis] for axis in (y, x)]
    region = rows, columns = _pixels(corners, shape)
    height, width = (along.stop - along.start for along in region)
    if min(height, width) < SMALLEST and (height, width) != tuple(shape):
        raise ImageError(
            f"the part of {image.name} to train on has {height} × {width} pixels; at least "
            f"{SMALLEST} × {SMALLEST} are needed: zoom out, or draw a larger rectangle on it"
        )
    return None if [rows.stop - rows.start, columns.stop - columns.start] == shape else region


def crop(array: Any, axes: str, region: Region) -> Any:
    """Cut a region out of an array.

    Parameters
    ----------
    array : array_like
        The array.
    axes : str
        One letter for each of its axes.
    region : tuple of slice
        Along y and x.

    Returns
    -------
    array_like
        A view.
    """
    along = dict(zip("yx", region, strict=True))
    return array[tuple(along.get(axis, slice(None)) for axis in axes)]


def _screen(
    viewer: "napari.viewer.Viewer", image: Image, axes: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the corners of what the screen shows of an image."""
    offset = viewer.dims.ndim - image.ndim
    if viewer.dims.ndisplay != 2 or {axis + offset for axis in axes} != set(viewer.dims.displayed):
        raise ImageError(
            f"the screen does not show {image.name} along y and x, in two dimensions: turn it so, "
            "or train on a rectangle"
        )
    if image.multiscale and hasattr(viewer, "canvas"):  # napari has it from 0.9 on
        return _camera(viewer, image)[:, list(axes)]
    # of a multiscale image that is what napari has loaded, somewhat more than it shows
    level = image.data_level if image.multiscale else 0
    scale = image.downsample_factors[level][list(axes)]
    low, high = image.corner_pixels[:, list(axes)]
    return np.array([low * scale, (high + 1) * scale - 1])


def _camera(viewer: "napari.viewer.Viewer", image: Image) -> NDArray[np.float64]:
    """Return the corners of the canvas, in pixels of an image."""
    camera = viewer.scene.camera
    half = np.array(viewer.canvas.size) / camera.zoom / 2
    corners = []
    for signs in itertools.product((-1, 1), repeat=2):
        world = np.array(viewer.dims.point)
        world[list(viewer.dims.displayed)] = camera.center[-2:] + half * signs
        corners.append(image.world_to_data(world))
    return np.array(corners)


def _rectangle(viewer: "napari.viewer.Viewer", image: Image) -> NDArray[np.float64]:
    """Return the corners of the selected shape, in pixels of an image."""
    layers = [layer for layer in viewer.layers if isinstance(layer, Shapes) and layer.nshapes]
    selected = [(layer, index) for layer in layers for index in layer.selected_data]
    if not selected and len(layers) == 1 and layers[0].nshapes == 1:
        selected = [(layers[0], 0)]
    if len(selected) != 1:
        found = "no rectangle is" if not selected else f"{len(selected)} rectangles are"
        raise ImageError(
            f"{found} selected: draw one on {image.name} in a Shapes layer, and select it there"
        )
    [(layer, index)] = selected
    corners = []
    for corner in layer.data[index]:
        world = np.array(viewer.dims.point)
        world[viewer.dims.ndim - layer.ndim :] = layer.data_to_world(corner)
        corners.append(image.world_to_data(world))
    return np.array(corners)


def _pixels(corners: NDArray[np.float64], shape: list[int]) -> Region:
    """Return the pixels whose centres lie in what corners enclose, along y and x."""
    lows = np.clip(np.ceil(np.round(corners.min(axis=0), 6)), 0, shape)
    highs = np.clip(np.floor(np.round(corners.max(axis=0), 6)) + 1, lows, shape)
    rows, columns = (slice(int(low), int(high)) for low, high in zip(lows, highs, strict=True))
    return rows, columns


class TrainingRegion:
    """All of an image, a region of it, or crops of either if it is too large to be loaded.

    Parameters
    ----------
    image : array_like
        The image.
    axes : str
        One letter for each of its axes.
    spatial_ndim : int
        Axes of a frame.
    seed : int
        Decides which crops.
    region : tuple of slice, optional
        Along y and x.
    pyramid : LabelPyramid, optional
        Where the labels go of an image that is too large to be loaded.

    Attributes
    ----------
    image : array_like
        What to take steps on.
    """

    def __init__(
        self,
        image: Any,
        axes: str,
        spatial_ndim: int,
        seed: int,
        region: Region | None = None,
        pyramid: "LabelPyramid | None" = None,
    ) -> None:
        self.image = image if region is None else crop(image, axes, region)
        self._pyramid = pyramid
        self._shape, shape = _labels_shape(image, axes), _labels_shape(self.image, axes)
        self._has_crops = is_large(self.image)
        self._places: list[Slices] = [tuple(slice(0, n) for n in shape)]
        if self._has_crops:
            self._places = crop_slices(shape, spatial_ndim, seed)
        if region is not None:
            self._places = [
                (*place[:-2], *shift_slices(place[-2:], region)) for place in self._places
            ]

    def crop_labels(self, labels: Labels) -> Labels:
        """Return labels of the whole image where the part lies, unless it has crops."""
        [place] = self._places
        return labels[place]

    def embed_labels(self, labels: Labels) -> Labels:
        """Put labels of the part to where they lie in the image.

        Parameters
        ----------
        labels : ndarray of unsigned integers
            Of a step.

        Returns
        -------
        ndarray of unsigned integers, shape (..., Y, X)
            Labels of the image, 0 outside the part; those given if they are in the pyramid.
        """
        if self._pyramid is not None:
            of_places = labels if self._has_crops else [labels]
            for place, found in zip(self._places, of_places, strict=True):
                lengths = [along.stop - along.start for along in place]
                self._pyramid.write(place, found.reshape(lengths))
            return labels
        if labels.shape == self._shape:
            return labels
        whole = np.zeros(self._shape, labels.dtype)
        whole[self._places[0]] = labels
        return whole


def _labels_shape(image: Any, axes: str) -> tuple[int, ...]:
    lengths = zip(axes, image.shape, strict=True)
    return tuple(n for axis, n in lengths if axis not in CHANNELS + SAMPLES)
