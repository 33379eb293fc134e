"""Which objects are meant, by their measurements: in a range, in a drawn outline, doubtful ones."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from skimage.measure import points_in_poly

from napari_unsupseg._typing import Floats, Integers

__all__ = ["in_polygon", "in_range", "most_doubtful_first", "nearest_point", "to_unit_range"]

PERCENTILES = (1, 99)  # of the values, that the ends of a colormap stand for


def in_range(values: ArrayLike, low: float, high: float) -> NDArray[np.bool_]:
    """Tell which values lie in a range.

    Parameters
    ----------
    values : array_like, shape (n,)
        A measurement of each object, in its unit; NaN where there is none.
    low, high : float
        The range, with both ends, in the same unit.

    Returns
    -------
    ndarray of bool, shape (n,)
        False for NaN.

    Examples
    --------
    >>> in_range([1, 2, 3, float("nan")], 2, 3).tolist()
    [False, True, True, False]
    """
    values = np.asarray(values, dtype=float)
    return (low <= values) & (values <= high)


def in_polygon(x: ArrayLike, y: ArrayLike, polygon: ArrayLike) -> NDArray[np.bool_]:
    """Tell which points lie within a closed outline.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        Two measurements of each object; NaN where there is none.
    polygon : array_like, shape (corners, 2)
        The outline, as pairs of x and y; the last corner is joined to the first.

    Returns
    -------
    ndarray of bool, shape (n,)
        False for NaN. Where the outline crosses itself, what it goes round twice is outside.

    Examples
    --------
    >>> in_polygon([1, 5], [1, 1], [(0, 0), (3, 0), (3, 3), (0, 3)]).tolist()
    [True, False]
    """
    points = np.column_stack([x, y]).astype(float)
    inside: NDArray[np.bool_] = points_in_poly(points, np.asarray(polygon, dtype=float))
    inside[np.isnan(points).any(axis=1)] = False
    return inside


def nearest_point(
    x: ArrayLike, y: ArrayLike, at: tuple[float, float], reach: tuple[float, float]
) -> int | None:
    """Return the point that is nearest to a place.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        The points; NaN for one that is nowhere.
    at : tuple of float
        The place, as x and y.
    reach : tuple of float
        How far away a point may be along x and along y. Distances are measured by it, since x and y
        may have different units.

    Returns
    -------
    int or None
        Index of the point; None if there is none in reach.

    Examples
    --------
    >>> nearest_point([0, 10], [0, 1000], at=(9, 900), reach=(2, 200))
    1
    """
    offsets = (np.column_stack([x, y]).astype(float) - at) / reach
    distances = np.hypot(*offsets.T)
    distances[np.isnan(distances)] = np.inf
    nearest = int(distances.argmin()) if len(distances) else -1
    return nearest if nearest >= 0 and distances[nearest] <= 1 else None


def most_doubtful_first(scores: ArrayLike) -> Integers:
    """Order objects by their scores.

    Parameters
    ----------
    scores : array_like, shape (n,)
        Score of each object, from 0 (doubtful) to 1; NaN where there is none.

    Returns
    -------
    ndarray of int64, shape (m,)
        Indices from the lowest score to the greatest, without those of NaN; equal ones in order.

    Examples
    --------
    >>> most_doubtful_first([0.9, float("nan"), 0.2, 0.9]).tolist()
    [2, 0, 3]
    """
    scores = np.asarray(scores, dtype=float)
    order = np.argsort(scores, kind="stable")  # NaN last
    return order[: np.count_nonzero(~np.isnan(scores))].astype(np.int64)


def to_unit_range(values: ArrayLike, reference: ArrayLike) -> Floats:
    """Map values to a range from 0 to 1, which a few extreme ones do not spoil.

    Parameters
    ----------
    values : array_like, shape (n,)
        The values; NaN where there is none.
    reference : array_like, shape (m,)
        Values whose percentiles 1 and 99 become 0 and 1; at least one of them finite.

    Returns
    -------
    ndarray of float64, shape (n,)
        From 0 to 1, clipped there, and NaN; 0.5 for all if the percentiles are the same.

    Examples
    --------
    >>> to_unit_range([-5, 0, 25, 100], reference=range(101)).round(2).tolist()
    [0.0, 0.0, 0.24, 1.0]
    """
    values = np.asarray(values, dtype=float)
    low, high = np.nanpercentile(np.asarray(reference, dtype=float), PERCENTILES)
    if low == high:
        return np.where(np.isnan(values), np.nan, 0.5)
    positions: Floats = np.clip((values - low) / (high - low), 0, 1)
    return positions
