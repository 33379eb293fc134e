"""Clusters to segments: the connected regions of an image's labels, and what they measure."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import skimage.measure
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "connected_components",
    "join_tables",
    "label_dtype",
    "number_regions",
    "region_table",
    "stack_frames",
]


def label_dtype(n_labels: int) -> type[np.unsignedinteger]:
    """Return the smallest data type that holds labels 0 to `n_labels`.

    Parameters
    ----------
    n_labels : int
        The greatest label.

    Returns
    -------
    type
        `numpy.uint8`, `numpy.uint16` or `numpy.uint32`.
    """
    if n_labels < 2**8:
        return np.uint8
    return np.uint16 if n_labels < 2**16 else np.uint32


def connected_components(
    labels: NDArray[np.unsignedinteger], spatial_ndim: int = 2
) -> NDArray[np.unsignedinteger]:
    """Give every connected region of a cluster a label of its own.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (..., Y, X)
        Clusters; 0 is left out.
    spatial_ndim : int
        Axes along which pixels are neighbours, the last ones.

    Returns
    -------
    ndarray of uint8, uint16 or uint32, shape (..., Y, X)
        Segments from 1, 0 where `labels` is 0. Pixels are neighbours across their sides, not
        across their corners.

    Examples
    --------
    >>> connected_components(np.array([[1, 1, 0], [2, 1, 1], [1, 2, 2]], dtype=np.uint8))
    array([[1, 1, 0],
           [2, 1, 1],
           [3, 4, 4]], dtype=uint8)
    """
    segments = number_regions(labels, spatial_ndim)
    return segments.astype(label_dtype(int(segments.max())))


def number_regions(labels: NDArray[np.integer], spatial_ndim: int = 2) -> NDArray[np.int64]:
    """Give every connected region a number, frame after frame.

    Parameters
    ----------
    labels : ndarray of int, shape (..., Y, X)
        Labels; 0 is left out.
    spatial_ndim : int
        Axes of a frame, the last ones.

    Returns
    -------
    ndarray of int64, shape (..., Y, X)
        Regions from 1, 0 where `labels` is 0.
    """
    regions = np.empty(labels.shape, dtype=np.int64)
    frames = labels.reshape(-1, *labels.shape[-spatial_ndim:])
    n_regions = 0
    for frame, numbered in zip(frames, regions.reshape(frames.shape), strict=True):
        found, n_found = skimage.measure.label(frame, connectivity=1, return_num=True)
        numbered[...] = np.where(found > 0, found + n_regions, 0)
        n_regions += n_found
    return regions


def stack_frames(
    frames: Sequence[NDArray[np.unsignedinteger]], leading: Sequence[int], *, are_numbered: bool
) -> NDArray[np.unsignedinteger]:
    """Put the labels of frames that were segmented one by one together.

    Parameters
    ----------
    frames : sequence of ndarray of unsigned integers, shape ([Z,] Y, X)
        Labels of each frame.
    leading : sequence of int
        Lengths of the axes that the frames lie along.
    are_numbered : bool
        Whether a label is a segment, whose number no segment of another frame may have.

    Returns
    -------
    ndarray of uint8, uint16 or uint32, shape (..., Y, X)
        The labels.

    Examples
    --------
    >>> frames = np.array([[[1, 2]], [[1, 1]]], dtype=np.uint8)
    >>> stack_frames(frames, [2], are_numbered=True).tolist()
    [[[1, 2]], [[3, 3]]]
    """
    stack = np.stack([frame.astype(np.int64) for frame in frames])
    if are_numbered:
        found = 0
        for frame in stack:
            n_segments = int(frame.max())
            frame[frame > 0] += found
            found += n_segments
    return stack.reshape(*leading, *stack.shape[1:]).astype(label_dtype(int(stack.max())))


def region_table(
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
    >>> region_table(labels, [[[10, 20, 40]]])["mean_intensity"]
    array([15., 40.])
    """
    intensities = np.moveaxis(np.asarray(channels, dtype=np.float64), 0, -1)
    steps = (*[1] * (labels.ndim - 2), *spacing)
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


def join_tables(
    tables: Iterable[Mapping[str, NDArray[np.number]]],
) -> dict[str, NDArray[np.number]]:
    """Join what was measured in parts of an image.

    Parameters
    ----------
    tables : iterable of mapping of str to ndarray, shape (labels,)
        One at least, by `region_table`. A region may lie in several parts.

    Returns
    -------
    dict of str to ndarray, shape (labels,)
        Each label once: areas are added up, all else is averaged by area.

    Examples
    --------
    >>> left = {"label": [1, 2], "area": [3, 1], "mean": [5, 0]}
    >>> right = {"label": [1], "area": [1], "mean": [1]}
    >>> {name: column.tolist() for name, column in join_tables([left, right]).items()}
    {'label': [1, 2], 'area': [4.0, 1.0], 'mean': [4.0, 0.0]}
    """
    kept = list(tables)
    columns = {name: np.concatenate([table[name] for table in kept]) for name in kept[0]}
    area = next(name for name in columns if name.startswith("area"))
    labels, region = np.unique(columns.pop("label"), return_inverse=True)
    parts = columns.pop(area)
    areas = np.bincount(region, parts)
    means = {name: np.bincount(region, parts * of) / areas for name, of in columns.items()}
    return {"label": labels, area: areas, **means}
