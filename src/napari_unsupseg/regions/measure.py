"""What the regions of labels measure."""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import skimage.measure
from numpy.typing import ArrayLike, NDArray

from napari_unsupseg._typing import Floats, Integers
from napari_unsupseg._words import count
from napari_unsupseg.errors import ImageError

__all__ = [
    "average_frames",
    "combine_measurements",
    "count_regions",
    "measure_objects",
    "measure_regions",
]

Table = dict[str, NDArray[np.number]]

MEASURED_NDIM = 3  # axes of what scikit-image measures at most
MINIMA = ("min_intensity", "bbox_min_")  # what columns of a region begin with whose parts have
MAXIMA = ("max_intensity", "bbox_max_", "touches_border")  # the least, or greatest, of theirs
LENGTHS = ("equivalent_diameter_area", "axis_major_length", "axis_minor_length")
PLANE_SHAPES = ("eccentricity", "solidity", "orientation")
SHAPES = (*LENGTHS, "perimeter", *PLANE_SHAPES)  # what the parts of an object do not say of it
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
    channel_names: Sequence[str] = (),
) -> Table:
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
        Distance of pixels along each axis that has one, such as ``{"y": 0.5, "x": 0.5}``, below 0
        where places become less from pixel to pixel; along all others, such as ``t``, planes are
        counted.
    unit : str
        Unit of these distances; without one the unit is the pixel.
    origin : mapping of str to float, optional
        Where the centre of the image's first pixel lies along these axes; by default at 0.
    corner : sequence of int, optional
        Index of the labels' first pixel in a larger image, where the centroids then are.
    channel_names : sequence of str, optional
        A name for each channel, which its columns end in: letters, digits and underscores of it.

    Returns
    -------
    dict of str to ndarray, shape (labels,)
        Columns: ``label``; ``volume`` of labels with an axis ``z``, or ``area`` if there is none
        or the distance of its slices is not known where that of the pixels is, over all planes;
        ``centroid_y``, ``centroid_x`` and so on for each axis; ``mean_intensity``, or
        ``mean_intensity_0`` and so on for several channels without names. A unit is part of the
        names: ``area_um2``, ``volume_um3``, ``centroid_y_um``.

    Raises
    ------
    ImageError
        If there are not as many names as channels.

    Examples
    --------
    >>> labels = np.array([[1, 1, 2]], dtype=np.uint8)
    >>> measure_regions(labels, [[[10, 20, 40]]])["mean_intensity"]
    array([15., 40.])
    """
    spacing, origin = spacing or {}, origin or {}
    intensities = np.asarray(channels, dtype=np.float64)
    endings = _channel_endings(len(intensities), channel_names)
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
            spacing=np.abs(steps[n_leading:]),
        )
        n_labels = len(columns["label"])
        signs = np.sign(steps[n_leading:])  # centroids are as far in the other direction
        within = [columns[f"centroid-{k}"] * sign for k, sign in enumerate(signs)]
        along = [np.full(n_labels, at * step) for at, step in zip(index, steps, strict=False)]
        centroids = np.array([*along, *within]).T + firsts * steps + starts  # (labels, axes)
        tables.append(_name_columns(columns, centroids, axes, spacing, unit, endings))
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
    channel_names: Sequence[str] = (),
    clusters: NDArray[np.unsignedinteger] | None = None,
    corner: Sequence[int] | None = None,
    whole_shape: Sequence[int] | None = None,
) -> Table:
    """Measure sizes, shapes and intensities of objects, with a row for each in every frame.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (..., [Z,] Y, X)
        Objects; 0 is left out.
    channels : array_like, shape (C, ..., [Z,] Y, X)
        Intensities.
    axes, spacing, unit, origin, channel_names
        As in `measure_regions`.
    spatial_ndim : int
        Axes of a frame, 2 or 3, the last ones.
    clusters : ndarray of unsigned integers, shape (..., [Z,] Y, X), optional
        Cluster of each pixel; 0 for none.
    corner : sequence of int, optional
        Index of the labels' first pixel in a larger image, where frames, centroids and bounding
        boxes then are.
    whole_shape : sequence of int, optional
        Shape of that image, (..., [Z,] Y, X), whose borders count.

    Returns
    -------
    dict of str to ndarray, shape (rows,)
        Columns: a letter for each axis that frames lie along, such as ``t``, with the index of the
        frame; those of `measure_regions`; with clusters ``cluster``, the one that most of the
        pixels have; and by the names of `skimage.measure.regionprops`
        ``equivalent_diameter_area``, ``axis_major_length``, ``axis_minor_length``, of planes
        ``perimeter`` too unless pixels are longer along one axis, ``eccentricity``, ``solidity``
        and ``orientation`` in radians; ``bbox_min_y``, ``bbox_min_x``, ``bbox_max_y`` and so on,
        the first pixel of the bounding box along each axis and the one after the last;
        ``touches_border``, 1 where an object may go on beyond the frame; and ``min_intensity``,
        ``max_intensity`` and ``std_intensity``. A unit of length is part of the names.

    Raises
    ------
    ImageError
        If there are not as many names as channels.

    Examples
    --------
    >>> labels = np.array([[1, 1, 0], [1, 1, 0]], dtype=np.uint8)
    >>> measure_objects(labels, labels[np.newaxis])["perimeter"]
    array([4.])
    """
    intensities, spacing = np.asarray(channels, dtype=np.float64), spacing or {}
    endings = _channel_endings(len(intensities), channel_names)
    frame_axes, leading = axes[-spatial_ndim:], axes[:-spatial_ndim]
    corner = [0] * labels.ndim if corner is None else corner
    firsts, ends = corner[-spatial_ndim:], (whole_shape or labels.shape)[-spatial_ndim:]
    tables: list[Table] = []
    for index in np.ndindex(*labels.shape[:-spatial_ndim]):
        frame, frame_channels = labels[index], intensities[:, *index]
        table = measure_regions(
            frame,
            frame_channels,
            axes=frame_axes,
            spacing=spacing,
            unit=unit,
            origin=origin,
            corner=firsts,
            channel_names=channel_names,
        )
        n_rows, places = len(table["label"]), np.add(corner[:-spatial_ndim], index).astype(int)
        at = {axis: np.full(n_rows, place) for axis, place in zip(leading, places, strict=True)}
        parents = {} if clusters is None else {"cluster": _main_clusters(frame, clusters[index])}
        shapes = _measure_shapes(frame, frame_channels, frame_axes, spacing, unit, endings)
        _place_boxes(shapes, frame_axes, firsts, ends)
        tables.append(at | {"label": table.pop("label")} | parents | table | shapes)
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def _main_clusters(
    frame: NDArray[np.unsignedinteger], clusters: NDArray[np.unsignedinteger]
) -> Integers:
    """Return the cluster that most pixels of each label have."""
    inside = frame > 0
    return _most_common(frame[inside], clusters[inside])


def _most_common(
    regions: NDArray[np.integer],
    values: NDArray[np.integer],
    weights: NDArray[np.number] | None = None,
) -> Integers:
    """Return the value that has the largest weight in each region, of two the lower one."""
    n_values = int(values.max(initial=0)) + 1
    pairs, which = np.unique(regions.astype(np.int64) * n_values + values, return_inverse=True)
    pairs = pairs[np.argsort(-np.bincount(which, weights), kind="stable")]
    _, firsts = np.unique(pairs // n_values, return_index=True)
    most_common: Integers = pairs[firsts] % n_values
    return most_common


def _measure_shapes(
    frame: NDArray[np.unsignedinteger],
    channels: NDArray[np.float64],
    axes: str,
    spacing: Mapping[str, float],
    unit: str,
    endings: Sequence[str],
) -> Table:
    """Return the columns that objects have beside those of other regions."""
    steps = [abs(spacing.get(axis, 1.0)) for axis in axes]
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
    for side, first in (("min", 0), ("max", frame.ndim)):
        named |= {
            f"bbox_{side}_{axis}": columns[f"bbox-{first + k}"] for k, axis in enumerate(axes)
        }
    named["touches_border"] = np.zeros(len(columns["bbox-0"]), dtype=np.uint8)
    for name in INTENSITIES:
        statistic = name.removeprefix("intensity_")
        of_channels = [column for column in columns if column.startswith(name)]
        named |= {
            f"{statistic}_intensity{ending}": columns[column]
            for ending, column in zip(endings, of_channels, strict=True)
        }
    return named


def _place_boxes(columns: Table, axes: str, firsts: Sequence[int], ends: Sequence[int]) -> None:
    """Move bounding boxes to where they are in the whole image, and say which touch its border."""
    for axis, first, end in zip(axes, firsts, ends, strict=True):
        low, high = f"bbox_min_{axis}", f"bbox_max_{axis}"
        columns[low], columns[high] = columns[low] + first, columns[high] + first
        touches = (columns[low] == 0) | (columns[high] == end)
        columns["touches_border"] = np.maximum(columns["touches_border"], touches)


def count_regions(
    labels: NDArray[np.unsignedinteger],
    channels: ArrayLike,
    clusters: NDArray[np.unsignedinteger] | None = None,
    *,
    axes: str = "yx",
    spatial_ndim: int = 2,
    spacing: Mapping[str, float] | None = None,
    unit: str = "",
    origin: Mapping[str, float] | None = None,
    channel_names: Sequence[str] = (),
) -> Table:
    """Count regions, and measure them together, by frame and cluster.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (..., [Z,] Y, X)
        Regions, such as objects; 0 is left out.
    channels : array_like, shape (C, ..., [Z,] Y, X)
        Intensities.
    clusters : ndarray of unsigned integers, shape (..., [Z,] Y, X), optional
        Cluster of each pixel; a region belongs to the one that most of its pixels have.
    axes, spacing, unit, origin, channel_names
        As in `measure_regions`.
    spatial_ndim : int
        Axes of a frame, 2 or 3, the last ones.

    Returns
    -------
    dict of str to ndarray, shape (frames × clusters,)
        Columns: a letter for each axis that frames lie along; with clusters ``cluster``; ``count``,
        ``total_area`` and ``mean_area``, or of volumes, with a unit as in `measure_regions`; and
        mean intensities of all their pixels. There is a row for each cluster that any frame has
        regions of, also where it has none: the means are NaN there. Without any regions there is
        one for each frame, of cluster 0.

    Raises
    ------
    ImageError
        If there are not as many names as channels.

    Examples
    --------
    >>> labels = np.array([[1, 1, 0, 2]], dtype=np.uint8)
    >>> table = count_regions(labels, [[[5, 7, 0, 3]]])
    >>> {name: column.tolist() for name, column in table.items()}
    {'count': [2], 'total_area': [3.0], 'mean_area': [1.5], 'mean_intensity': [5.0]}
    """
    intensities = np.asarray(channels, dtype=np.float64)
    leading, frames = axes[:-spatial_ndim], list(np.ndindex(*labels.shape[:-spatial_ndim]))
    tables, parents = [], []
    for index in frames:
        table = measure_regions(
            labels[index],
            intensities[:, *index],
            axes=axes[-spatial_ndim:],
            spacing=spacing,
            unit=unit,
            origin=origin,
            channel_names=channel_names,
        )
        n_rows = len(table["label"])
        tables.append(table)
        parents.append(
            np.zeros(n_rows, dtype=np.int64)
            if clusters is None
            else _main_clusters(labels[index], clusters[index])
        )
    found = np.unique(np.concatenate(parents))
    kinds = found if len(found) else np.zeros(1, dtype=np.int64)
    rows = np.concatenate(
        [at * len(kinds) + np.searchsorted(kinds, of) for at, of in enumerate(parents)]
    )
    n_rows = len(frames) * len(kinds)
    places: Integers = np.repeat(np.array(frames).reshape(len(frames), -1), len(kinds), axis=0)
    counted: Table = dict(zip(leading, places.T, strict=True))
    if clusters is not None:
        counted["cluster"] = np.tile(kinds, len(frames))
    columns = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    size = _size_column(columns)
    areas, counts = columns[size], np.bincount(rows, minlength=n_rows)
    totals = np.bincount(rows, areas, n_rows)
    means = [name for name in columns if name.startswith("mean_intensity")]
    with np.errstate(invalid="ignore"):  # means of none
        return counted | {
            "count": counts,
            f"total_{size}": totals,
            f"mean_{size}": totals / counts,
            **{name: np.bincount(rows, areas * columns[name], n_rows) / totals for name in means},
        }


def _size_column(columns: Iterable[str]) -> str:
    """Return the name of the column with the sizes of regions."""
    return next(name for name in columns if name.startswith(("area", "volume")))


def _name_columns(
    columns: Mapping[str, NDArray[np.number]],
    centroids: NDArray[np.float64],
    axes: str,
    spacing: Mapping[str, float],
    unit: str,
    endings: Sequence[str],
) -> Table:
    """Return the columns of scikit-image under names that say their unit."""
    length = f"_{unit}" if unit else ""
    is_volume = "z" in axes and (not unit or "z" in spacing)
    size = ("volume" if is_volume else "area") + (length + "23"[is_volume] if unit else "")
    named = {"label": columns["label"], size: columns["area"]}
    for axis, positions in zip(axes, centroids.T, strict=True):
        named[f"centroid_{axis}" + (length if axis in spacing else "")] = positions
    means = [name for name in columns if name.startswith("intensity_mean")]
    named |= {
        f"mean_intensity{ending}": columns[name]
        for ending, name in zip(endings, means, strict=True)
    }
    return named


def _channel_endings(n_channels: int, names: Sequence[str]) -> list[str]:
    """Return what the columns of each channel end in: a name of its own, or its number."""
    if not names:
        return [f"_{channel}" for channel in range(n_channels)] if n_channels > 1 else [""]
    if len(names) != n_channels:
        raise ImageError(
            f"channel_names has {count(len(names), 'name')} for {count(n_channels, 'channel')}"
        )
    # what R and pandas take for a name
    plain = [re.sub(r"\W+", "_", name).strip("_") for name in names]
    return [
        f"_{name}" if name and plain.count(name) == 1 else f"_{name}_{channel}".replace("__", "_")
        for channel, name in enumerate(plain)
    ]


def combine_measurements(
    tables: Iterable[Mapping[str, NDArray[np.number]]],
) -> Table:
    """Join what was measured in parts of an image.

    Parameters
    ----------
    tables : iterable of mapping of str to ndarray, shape (labels,)
        One at least, by `measure_regions`. A region may lie in several parts.

    Returns
    -------
    dict of str to ndarray, shape (labels,)
        Each label once: areas or volumes are added up; of least and greatest intensities and of
        bounding boxes there are the least and the greatest; a border is touched if a part touches
        it; of clusters there is the one with the largest area; standard deviations are those of all
        pixels. All else is averaged by areas.

    Examples
    --------
    >>> left = {"label": [1, 2], "area": [3, 1], "mean": [5, 0]}
    >>> right = {"label": [1], "area": [1], "mean": [1]}
    >>> {name: column.tolist() for name, column in combine_measurements([left, right]).items()}
    {'label': [1, 2], 'area': [4.0, 1.0], 'mean': [4.0, 0.0]}
    """
    parts = list(tables)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    size = _size_column(columns)
    joined = _join_rows(columns, columns[size])
    _, regions = np.unique(columns["label"], return_inverse=True)
    return joined | {size: np.bincount(regions, columns[size])}


def average_frames(table: Mapping[str, NDArray[np.number]]) -> Table:
    """Return one row for each object of a series, for layers that have no more.

    Parameters
    ----------
    table : mapping of str to ndarray, shape (rows,)
        By `measure_objects`, without the columns that say in which frame a row is.

    Returns
    -------
    dict of str to ndarray, shape (labels,)
        Each label once, with means over the frames that it is in; in place of means what
        `combine_measurements` has.

    Examples
    --------
    >>> table = {"label": [1, 2, 1], "area": [3, 1, 5], "touches_border": [0, 0, 1]}
    >>> {name: column.tolist() for name, column in average_frames(table).items()}
    {'label': [1, 2], 'area': [4.0, 1.0], 'touches_border': [1, 0]}
    """
    columns = {name: np.asarray(column) for name, column in table.items()}
    return _join_rows(columns, np.ones(len(columns["label"])))


def _join_rows(columns: Table, weights: NDArray[np.number]) -> Table:
    """Return one row for each label, of the weighted means of its rows, and what is no mean."""
    labels, regions = np.unique(columns["label"], return_inverse=True)
    totals = np.bincount(regions, weights)
    order = np.argsort(regions, kind="stable")
    firsts = np.searchsorted(regions[order], np.arange(len(labels)))

    def mean(column: NDArray[np.number]) -> Floats:
        means: Floats = np.bincount(regions, weights * column) / totals
        return means

    joined: Table = {}
    for name, column in columns.items():
        if name == "label":
            joined[name] = labels
        elif len(name) == 1 or name.startswith(MINIMA):  # a letter is of the frame of all parts
            joined[name] = np.minimum.reduceat(column[order], firsts)
        elif name.startswith(MAXIMA):
            joined[name] = np.maximum.reduceat(column[order], firsts)
        elif name == "cluster":
            joined[name] = _most_common(regions, column.astype(np.int64), weights)
        elif name.startswith("std_intensity"):
            means = columns[f"mean{name.removeprefix('std')}"]
            squares = mean(column**2 + means**2)
            joined[name] = np.sqrt(np.maximum(squares - mean(means) ** 2, 0))
        elif name == "orientation":  # half a turn on it is the same
            sine, cosine = mean(np.sin(2 * column)), mean(np.cos(2 * column))
            joined[name] = np.arctan2(sine, cosine) / 2
        else:
            joined[name] = mean(column)
    return joined
