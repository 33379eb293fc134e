"""Where an object is in a layer, to look at it."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Labels

__all__ = ["is_loaded", "look_at_object"]


def is_loaded(layer: "Labels") -> bool:
    """Tell whether the pixels of a layer are in memory, so that objects can be searched in it."""
    return isinstance(layer.data, np.ndarray)


def look_at_object(viewer: "napari.viewer.Viewer", layer: "Labels", label: int) -> None:
    """Move the view to the middle of an object, which may be in another plane or frame.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer.
    layer : napari.layers.Labels
        A layer that is loaded and has the object.
    label : int
        Label of the object.
    """
    dims = viewer.dims
    first = dims.ndim - layer.ndim  # axis of the viewer that is the first one of the layer
    displayed = [axis - first for axis in dims.displayed if axis >= first]
    sliced = [axis for axis in range(layer.ndim) if axis not in displayed]
    pixels = np.argwhere(layer.data == label)
    here = np.round(layer.world_to_data(dims.point)).astype(int)[-layer.ndim :]
    # the plane or frame that has the object and is the least way to go
    nearest = pixels[np.abs(pixels - here)[:, sliced].sum(axis=1).argmin()]
    in_plane = pixels[(pixels == nearest)[:, sliced].all(axis=1)]
    middle = np.array(layer.data_to_world(in_plane.mean(axis=0)))
    for axis in sliced:
        dims.set_point(first + axis, middle[axis])
    camera = getattr(viewer, "scene", viewer).camera  # napari before 0.9 has no scene
    centre = np.array(camera.center, dtype=float)
    centre[-len(displayed) :] = middle[displayed]
    camera.center = tuple(centre)
