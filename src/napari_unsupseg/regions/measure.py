"""What the regions of labels measure."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import skimage.measure
from numpy.typing import ArrayLike, NDArray

__all__ = ["combine_measurements", "measure_regions"]


def measure_regions(
    labels: NDArray[np.unsignedinteger],
    channels: ArrayLike,
    *,
    axes: str = "yx",
    spacing: tuple[float, float] = (1, 1),
    unit: str = "",
    corner: Sequence[int] | None = None,
) -> dict[str, NDArray[np.number]]:
    """Measure every label's region.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (..., Y, X)
        Clusters or segments; 0 is left out.
    channels : array_like, shape (C, ..., Y, X)
        Intensities.
    axes : str
        A letter for each axis of the labels, the last two ``y`` and ``x``.
    spacing : tuple of float
        Height and width of a pixel.
    unit : str
        Their unit; without one the unit is the pixel.
    corner : sequence of int, optional
        Index of their first pixel in a larger image, from whose first pixel centroids then count.

    Returns
    -------
    dict of str to ndarray, shape (labels,)
        Columns: ``label``; ``area``, over all planes; ``centroid_y`` and ``centroid_x`` from the
        first pixel's centre, and ``centroid_z`` or what else planes lie along, in planes;
        ``mean_intensity``, or ``mean_intensity_0`` and so on for several channels. With a unit
        its name is part of the columns': ``area_um2``, ``centroid_y_um``.

    Examples
    --------
    >>> labels = np.array([[1, 1, 2]], dtype=np.uint8)
    >>> measure_regions(labels, [[[10, 20, 40]]])["mean_intensity"]
    array([15., 40.])
    """
    intensities = np.moveaxis(np.asarray(channels, dtype=np.float64), 0, -1)
    steps = (*[1] * (labels.ndim - 2), *spacing)  # planes are counted, not measured
    columns: dict[str, NDArray[np.number]] = skimage.measure.regionprops_table(
        labels,
        intensities,
        ("label", "area", "centroid", "intensity_mean"),
        spacing=steps,
    )
    for index, first in enumerate(corner or ()):
        name = f"centroid-{index}"
        columns[name] = columns[name] + first * steps[index]
    length, area = (f"_{unit}", f"_{unit}2") if unit else ("", "")
    names = {"area": f"area{area}"}
    for index, axis in enumerate(axes):
        names[f"centroid-{index}"] = f"centroid_{axis}" + (length if axis in "yx" else "")
    for channel in range(intensities.shape[-1]):
        number = f"_{channel}" if intensities.shape[-1] > 1 else ""
        names[f"intensity_mean-{channel}"] = f"mean_intensity{number}"
    return {names.get(name, name): column for name, column in columns.items()}


def combine_measurements(
    tables: Iterable[Mapping[str, NDArray[np.number]]],
) -> dict[str, NDArray[np.number]]:
    """Join what was measured in parts of an image.

    Parameters
    ----------
    tables : iterable of mapping of str to ndarray, shape (labels,)
        One at least, by `measure_regions`. A region may lie in several parts.

    Returns
    -------
    dict of str to ndarray, shape (labels,)
        Each label once: areas are added up, all else is averaged by area.

    Examples
    --------
    >>> left = {"label": [1, 2], "area": [3, 1], "mean": [5, 0]}
    >>> right = {"label": [1], "area": [1], "mean": [1]}
    >>> {name: column.tolist() for name, column in combine_measurements([left, right]).items()}
    {'label': [1, 2], 'area': [4.0, 1.0], 'mean': [4.0, 0.0]}
    """
    parts = list(tables)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    area_name = next(name for name in columns if name.startswith("area"))  # with or without unit
    labels, region = np.unique(columns.pop("label"), return_inverse=True)
    part_areas = columns.pop(area_name)
    areas = np.bincount(region, part_areas)
    means = {
        name: np.bincount(region, part_areas * column) / areas for name, column in columns.items()
    }
    return {"label": labels, area_name: areas, **means}
