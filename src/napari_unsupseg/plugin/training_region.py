"""The part of an image that a run trains on, and where its labels lie in the whole."""

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Shapes
from numpy.typing import NDArray

from napari_unsupseg._typing import Labels
from napari_unsupseg.errors import ImageError
from napari_unsupseg.image.axes import labels_shape
from napari_unsupseg.image.tiling import Slices, crop_slices, is_large, shift_slices
from napari_unsupseg.plugin.layers import layer_array

if TYPE_CHECKING:
    import napari.viewer

    from napari_unsupseg.plugin.large.pyramid import LabelPyramid

__all__ = [
    "RECTANGLE",
    "REGIONS",
    "SCREEN",
    "WHOLE",
    "Region",
    "TrainingRegion",
    "find_region",
]

WHOLE, SCREEN, RECTANGLE = REGIONS = (
    "whole image",
    "what is on the screen",
    "selected rectangle",
)
MIN_SIDE = 32  # pixels of a region along y and x
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
        corners = _visible_corners(viewer, image, (y, x))
    else:
        corners = _rectangle_corners(viewer, image)[:, [y, x]]
    shape = tuple(layer_array(image).shape[axis] for axis in (y, x))
    region = _pixels_between(corners, shape)
    rows, columns = region
    height, width = rows.stop - rows.start, columns.stop - columns.start
    if (height, width) == shape:
        return None
    if min(height, width) < MIN_SIDE:
        raise ImageError(
            f"the part of {image.name} to train on has {height} × {width} pixels; at least "
            f"{MIN_SIDE} × {MIN_SIDE} are needed: zoom out, or draw a larger rectangle on it"
        )
    return region


def _visible_corners(
    viewer: "napari.viewer.Viewer", image: Image, axes: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the corners of what the screen shows of an image, in pixels, shape (corners, 2)."""
    offset = viewer.dims.ndim - image.ndim
    if viewer.dims.ndisplay != 2 or {axis + offset for axis in axes} != set(viewer.dims.displayed):
        raise ImageError(
            f"the screen does not show {image.name} along y and x, in two dimensions: turn it so, "
            "or train on a rectangle"
        )
    if image.multiscale and hasattr(viewer, "canvas"):  # napari has it from 0.9 on
        return _canvas_corners(viewer, image)[:, list(axes)]
    # corner_pixels is what the canvas shows; of a multiscale image, what napari has loaded for it,
    # which is somewhat more
    level = image.data_level if image.multiscale else 0
    scale = image.downsample_factors[level][list(axes)]
    low, high = image.corner_pixels[:, list(axes)]
    return np.array([low * scale, (high + 1) * scale - 1])


def _canvas_corners(viewer: "napari.viewer.Viewer", image: Image) -> NDArray[np.float64]:
    """Return the corners of the canvas, in pixels of an image, shape (4, ndim)."""
    camera = viewer.scene.camera
    half = np.array(viewer.canvas.size) / camera.zoom / 2
    corners = []
    for signs in itertools.product((-1, 1), repeat=2):
        world = np.array(viewer.dims.point)
        world[list(viewer.dims.displayed)] = camera.center[-2:] + half * signs
        corners.append(image.world_to_data(world))
    return np.array(corners)


def _rectangle_corners(viewer: "napari.viewer.Viewer", image: Image) -> NDArray[np.float64]:
    """Return the corners of the selected shape, in pixels of an image, shape (corners, ndim)."""
    layers = [layer for layer in viewer.layers if isinstance(layer, Shapes) and layer.nshapes]
    selected = [(layer, index) for layer in layers for index in layer.selected_data]
    if not selected and len(layers) == 1 and layers[0].nshapes == 1:
        selected = [(layers[0], 0)]  # there is no other that could be meant
    if len(selected) != 1:
        subject = f"{len(selected)} rectangles are" if selected else "no rectangle is"
        raise ImageError(
            f"{subject} selected: draw one on {image.name} in a Shapes layer, and select it there"
        )
    [(layer, index)] = selected
    corners = []
    for corner in layer.data[index]:
        world = np.array(viewer.dims.point)  # layers are aligned by their last axes
        world[viewer.dims.ndim - layer.ndim :] = layer.data_to_world(corner)
        corners.append(image.world_to_data(world))
    return np.array(corners)


def _pixels_between(corners: NDArray[np.float64], shape: tuple[int, ...]) -> Region:
    """Return the pixels whose centres lie in the rectangle around corners, along y and x."""
    # napari has the centre of a pixel at whole numbers; rounded, since transforms are not exact
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
        Along y and x; by default everywhere.
    pyramid : LabelPyramid, optional
        Where the labels go of an image that is too large to be loaded.

    Attributes
    ----------
    image : array_like
        What to train on: a view of the image given.
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
        self.image = image if region is None else _crop(image, axes, region)
        self._pyramid = pyramid
        self._shape, shape = labels_shape(image.shape, axes), labels_shape(self.image.shape, axes)
        self._has_crops = is_large(self.image)
        # where labels lie in those of the whole image; crops are those that the library trains on
        self._parts: list[Slices] = [tuple(slice(0, n) for n in shape)]
        if self._has_crops:
            self._parts = crop_slices(shape, spatial_ndim, seed)
        if region is not None:
            self._parts = [(*part[:-2], *shift_slices(part[-2:], region)) for part in self._parts]

    def crop_labels(self, labels: Labels) -> Labels:
        """Return the part of an image's labels that is trained on; there must be no crops.

        Parameters
        ----------
        labels : ndarray of unsigned integers, shape (..., Y, X)
            Labels of the whole image.

        Returns
        -------
        ndarray of unsigned integers, shape (..., y, x)
            A view.
        """
        [part] = self._parts
        return labels[part]

    def embed_labels(self, labels: Labels) -> Labels:
        """Put labels of what is trained on to where they lie in the image.

        Parameters
        ----------
        labels : ndarray of unsigned integers, shape (..., y, x)
            Labels of a step; of crops, shape (crops, ..., y, x).

        Returns
        -------
        ndarray of unsigned integers, shape (..., Y, X)
            Labels of the image, 0 elsewhere. With a pyramid, the labels given: the pyramid holds
            them where they lie.
        """
        if self._pyramid is not None:
            labels_of_parts = labels if self._has_crops else [labels]
            for part, labels_of_part in zip(self._parts, labels_of_parts, strict=True):
                lengths = [along.stop - along.start for along in part]
                self._pyramid.write(part, labels_of_part.reshape(lengths))
            return labels
        if labels.shape == self._shape:
            return labels
        whole = np.zeros(self._shape, labels.dtype)
        whole[self._parts[0]] = labels
        return whole


def _crop(image: Any, axes: str, region: Region) -> Any:
    """Return a region of an image, as a view."""
    slices = dict(zip("yx", region, strict=True))
    return image[tuple(slices.get(axis, slice(None)) for axis in axes)]
