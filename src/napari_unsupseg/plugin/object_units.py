"""The unit that sizes of objects are shown in."""

import math

from napari.layers import Labels

from napari_unsupseg.plugin.layout import Layout
from napari_unsupseg.plugin.region_tables import calibration_of

__all__ = ["object_unit"]

POWERS = {2: "²", 3: "³"}


def object_unit(layer: Labels, layout: Layout, spatial_ndim: int) -> tuple[str, float]:
    """Return the unit of the areas or volumes of a layer, and what a pixel has of it.

    Parameters
    ----------
    layer : napari.layers.Labels
        Labels of an image.
    layout : Layout
        Axes of the image.
    spatial_ndim : int
        Axes of a frame, 2 or 3.

    Returns
    -------
    unit : str
        Such as ``µm²``; ``pixels`` or ``voxels`` if the layer has no unit of length.
    pixel_size : float
        Area of a pixel, or volume of a voxel.
    """
    calibration = calibration_of(layer, layout)
    spacing = [calibration["spacing"].get(axis) for axis in "zyx"[-spatial_ndim:]]
    lengths = [length for length in spacing if length is not None]
    if not calibration["unit"] or len(lengths) < spatial_ndim:
        return ("pixels" if spatial_ndim == 2 else "voxels"), 1.0
    unit = calibration["unit"].replace("um", "µm") + POWERS[spatial_ndim]
    return unit, math.prod(map(abs, lengths))
