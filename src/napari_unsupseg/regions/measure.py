"""What the regions of labels measure."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import skimage.measure
from numpy.typing import ArrayLike, NDArray

__all__ = ["combine_measurements", "measure_regions"]


MEASURED_NDIM = 3  # axes of what scikit-image measures at most


def measure_regions(
    labels: NDArray[np.unsignedinteger],
    channels: ArrayLike,
    *,
    axes: str = "yx",
    spacing: Mapping[str, float] | None = None,
    unit: str = "",
    origin: Mapping[str, float] | None = None,
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
    spacing : mapping of str to float, optional
        Distance of pixels along each axis that has one, such as ``{"y": 0.5, "x": 0.5}``; along
        all others, such as ``t``, planes are counted.
    unit : str
        Unit of these distances; without one the unit is the pixel.
    origin : mapping of str to float, optional
        Where the centre of the image's first pixel lies along these axes; by default at 0.
    corner : sequence of int, optional
        Index of the labels' first pixel in a larger image, where the centroids then are.

    Returns
    -------
    dict of str to ndarray, shape (labels,)
        Columns: ``label``; ``volume`` of labels with an axis ``z``, or ``area`` if there is none
        or the distance of its slices is not known where that of the pixels is, over all planes;
        ``centroid_y``, ``centroid_x`` and so on for each axis; ``mean_intensity``, or
        ``mean_intensity_0`` and so on for several channels. A unit is part of the names:
        ``area_um2``, ``volume_um3``, ``centroid_y_um``.

    Examples
    --------
    >>> labels = np.array([[1, 1, 2]], dtype=np.uint8)
    >>> measure_regions(labels, [[[10, 20, 40]]])["mean_intensity"]
    array([15., 40.])
    """
    spacing, origin = spacing or {}, origin or {}
    intensities = np.asarray(channels, dtype=np.float64)
    steps = np.array([spacing.get(axis, 1.0) for axis in axes])
    starts = np.array([origin.get(axis, 0.0) for axis in axes])
    firsts = np.zeros(labels.ndim) if corner is None else np.asarray(corner)
    n_leading = max(0, labels.ndim - MEASURED_NDIM)
    tables = []
    for index in np.ndindex(*labels.shape[:n_leading]):  # one by one: a single () without any
        columns = skimage.measure.regionprops_table(
            labels[index],
            np.moveaxis(intensities[:, *index], 0, -1),
            ("label", "area", "centroid", "intensity_mean"),
            spacing=steps[n_leading:],
        )
        n_labels = len(columns["label"])
        within = [columns[f"centroid-{k}"] for k in range(labels.ndim - n_leading)]
        along = [np.full(n_labels, at * step) for at, step in zip(index, steps, strict=False)]
        centroids = np.array([*along, *within]).T + firsts * steps + starts  # (labels, axes)
        tables.append(_name_columns(columns, centroids, axes, spacing, unit))
    return combine_measurements(tables) if len(tables) > 1 else tables[0]


def _name_columns(
    columns: Mapping[str, NDArray[np.number]],
    centroids: NDArray[np.float64],
    axes: str,
    spacing: Mapping[str, float],
    unit: str,
) -> dict[str, NDArray[np.number]]:
    """Return the columns of scikit-image under names that say their unit."""
    length = f"_{unit}" if unit else ""
    is_volume = "z" in axes and (not unit or "z" in spacing)
    size = ("volume" if is_volume else "area") + (length + "23"[is_volume] if unit else "")
    named = {"label": columns["label"], size: columns["area"]}
    for axis, positions in zip(axes, centroids.T, strict=True):
        named[f"centroid_{axis}" + (length if axis in spacing else "")] = positions
    means = [name for name in columns if name.startswith("intensity_mean")]
    for channel, name in enumerate(means):
        number = f"_{channel}" if len(means) > 1 else ""
        named[f"mean_intensity{number}"] = columns[name]
    return named


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
        Each label once: areas or volumes are added up, all else is averaged by these.

    Examples
    --------
    >>> left = {"label": [1, 2], "area": [3, 1], "mean": [5, 0]}
    >>> right = {"label": [1], "area": [1], "mean": [1]}
    >>> {name: column.tolist() for name, column in combine_measurements([left, right]).items()}
    {'label': [1, 2], 'area': [4.0, 1.0], 'mean': [4.0, 0.0]}
    """
    parts = list(tables)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    area_name = next(name for name in columns if name.startswith(("area", "volume")))
    labels, region = np.unique(columns.pop("label"), return_inverse=True)
    part_areas = columns.pop(area_name)
    areas = np.bincount(region, part_areas)
    means = {
        name: np.bincount(region, part_areas * column) / areas for name, column in columns.items()
    }
    return {"label": labels, area_name: areas, **means}
