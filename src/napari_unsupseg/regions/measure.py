"""What the regions of labels measure."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import skimage.measure
from numpy.typing import ArrayLike, NDArray

__all__ = ["combine_measurements", "measure_objects", "measure_regions"]


MEASURED_NDIM = 3  # axes of what scikit-image measures at most
LENGTHS = ("equivalent_diameter_area", "axis_major_length", "axis_minor_length")
PLANE_SHAPES = ("eccentricity", "solidity", "orientation")
INTENSITIES = ("intensity_min", "intensity_max", "intensity_std")


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


def measure_objects(
    labels: NDArray[np.unsignedinteger],
    channels: ArrayLike,
    *,
    axes: str = "yx",
    spatial_ndim: int = 2,
    spacing: Mapping[str, float] | None = None,
    unit: str = "",
    origin: Mapping[str, float] | None = None,
) -> dict[str, NDArray[np.number]]:
    """Measure sizes, shapes and intensities of objects, with a row for each in every frame.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (..., [Z,] Y, X)
        Objects; 0 is left out.
    channels : array_like, shape (C, ..., [Z,] Y, X)
        Intensities.
    axes, spacing, unit, origin
        As in `measure_regions`.
    spatial_ndim : int
        Axes of a frame, 2 or 3, the last ones.

    Returns
    -------
    dict of str to ndarray, shape (rows,)
        Columns: a letter for each axis that frames lie along, such as ``t``, with the index of the
        frame; those of `measure_regions`; and by the names of
        `skimage.measure.regionprops` ``equivalent_diameter_area``, ``axis_major_length``,
        ``axis_minor_length``, of planes ``perimeter`` too unless pixels are longer along one
        axis, ``eccentricity``, ``solidity`` and ``orientation`` in radians; ``touches_border``, 1
        where an object may go on beyond the frame; and ``min_intensity``, ``max_intensity`` and
        ``std_intensity``. A unit of length is part of the names.

    Examples
    --------
    >>> labels = np.array([[1, 1, 0], [1, 1, 0]], dtype=np.uint8)
    >>> measure_objects(labels, labels[np.newaxis])["perimeter"]
    array([4.])
    """
    intensities, spacing = np.asarray(channels, dtype=np.float64), spacing or {}
    frame_axes, leading = axes[-spatial_ndim:], axes[:-spatial_ndim]
    tables: list[dict[str, NDArray[np.number]]] = []
    for index in np.ndindex(*labels.shape[:-spatial_ndim]):
        frame, frame_channels = labels[index], intensities[:, *index]
        table = measure_regions(
            frame, frame_channels, axes=frame_axes, spacing=spacing, unit=unit, origin=origin
        )
        n_rows = len(table["label"])
        at = {axis: np.full(n_rows, place) for axis, place in zip(leading, index, strict=True)}
        tables.append(
            at | table | _measure_shapes(frame, frame_channels, frame_axes, spacing, unit)
        )
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def _measure_shapes(
    frame: NDArray[np.unsignedinteger],
    channels: NDArray[np.float64],
    axes: str,
    spacing: Mapping[str, float],
    unit: str,
) -> dict[str, NDArray[np.number]]:
    """Return the columns that objects have beside those of other regions."""
    steps = [spacing.get(axis, 1.0) for axis in axes]
    # no length is known in a unit that not all axes have
    lengths = [] if unit and not set(axes) <= set(spacing) else list(LENGTHS)
    shapes = PLANE_SHAPES if frame.ndim == 2 else ()
    if frame.ndim == 2 and lengths and steps[0] == steps[1]:  # all that scikit-image knows
        lengths.append("perimeter")
    columns = skimage.measure.regionprops_table(
        frame,
        np.moveaxis(channels, 0, -1),
        [*lengths, *shapes, "bbox", *INTENSITIES],
        spacing=steps,
    )
    named = {name + (f"_{unit}" if unit else ""): columns[name] for name in lengths}
    named |= {name: columns[name] for name in shapes}
    firsts = [columns[f"bbox-{axis}"] == 0 for axis in range(frame.ndim)]
    lasts = [columns[f"bbox-{frame.ndim + k}"] == side for k, side in enumerate(frame.shape)]
    named["touches_border"] = np.any([*firsts, *lasts], axis=0).astype(np.uint8)
    for name in columns:
        statistic, _, channel = name.removeprefix("intensity_").partition("-")
        if name.startswith("intensity_"):
            number = f"_{channel}" if len(channels) > 1 else ""
            named[f"{statistic}_intensity{number}"] = columns[name]
    return named


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
