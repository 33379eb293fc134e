"""Outlines of labels along the edges of their pixels."""

from collections.abc import Iterator

import numpy as np
import skimage.measure
from numpy.typing import NDArray

from napari_unsupseg._typing import Integers

__all__ = ["Polygon", "trace_outlines"]

Polygon = list[Integers]  # rings, the outer one first, then those of holes


def trace_outlines(labels: NDArray[np.unsignedinteger]) -> dict[int, list[Polygon]]:
    """Return the polygons that each label of a plane fills exactly.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (Y, X)
        Labels; 0 is left out.

    Returns
    -------
    dict of int to list of list of ndarray of int64, shape (corners, 2)
        For each label, in their order, a polygon for each of its parts; parts and holes that touch
        at a corner alone are two. A polygon is a list of rings: the outer one, then those of its
        holes. A ring is a list of corners x, y, the first not repeated at its end, and touches
        itself nowhere. The top left corner of the first pixel is 0, 0. Outer rings go round
        clockwise where y points down, holes the other way.

    Examples
    --------
    >>> [[ring]] = trace_outlines(np.array([[0, 0, 0], [0, 7, 7]], dtype=np.uint8))[7]
    >>> ring.tolist()
    [[3, 1], [3, 2], [1, 2], [1, 1]]
    """
    # a part is of pixels that share edges, so that it has one outer ring
    parts = np.pad(skimage.measure.label(labels, background=0, connectivity=1), 1)
    polygons: dict[int, dict[int, Polygon]] = {}  # of each label, of each of its parts
    label_of = np.pad(labels, 1).ravel()
    for pixel, corners in _follow_edges(parts):
        of_label = polygons.setdefault(int(label_of[pixel]), {})
        rings = of_label.setdefault(int(parts.flat[pixel]), [])
        for ring in _split_at_touches(corners):
            y, x = np.divmod(ring, parts.shape[1])
            rings.append(np.stack([x, y], axis=-1) - 1)
    for of_label in polygons.values():
        for rings in of_label.values():
            rings.sort(key=_signed_area, reverse=True)  # those of holes are below 0
    return {label: list(polygons[label].values()) for label in sorted(polygons)}


def _follow_edges(parts: Integers) -> Iterator[tuple[int, list[int]]]:
    """Yield each closed way along the edges of connected parts, which have a border of 0.

    A way is a pixel to its right and its corners, both as flat indices; a corner has that of the
    pixel below and right of it. What follows an edge depends on the two pixels ahead alone.
    """
    width, flat = parts.shape[1], parts.ravel()
    outward = np.array([-width, 1, width, -1])  # across the top, right, bottom and left of a pixel
    onward = np.array([1, width, -1, -width])  # along them, clockwise
    inside = flat > 0
    borders = [np.flatnonzero(inside & (flat != np.roll(flat, -step))) for step in outward]
    edges = np.sort(np.concatenate([4 * pixels + side for side, pixels in enumerate(borders)]))
    pixel, side = np.divmod(edges, 4)
    ahead = pixel + onward[side]
    diagonal = ahead + outward[side]
    # to turn right where it can be keeps parts apart that touch at a corner
    following = np.where(
        flat[ahead] != flat[pixel],
        4 * pixel + (side + 1) % 4,
        np.where(flat[diagonal] == flat[pixel], 4 * diagonal + (side - 1) % 4, 4 * ahead + side),
    )
    is_corner = (following % 4 != side).tolist()
    end = (pixel + np.array([1, width + 1, width, 0])[side]).tolist()
    pixels, successor = pixel.tolist(), np.searchsorted(edges, following).tolist()
    is_done = [False] * len(edges)
    for first in range(len(edges)):
        corners, edge = [], first
        while not is_done[edge]:
            is_done[edge] = True
            if is_corner[edge]:
                corners.append(end[edge])
            edge = successor[edge]
        if corners:
            yield pixels[first], corners


def _split_at_touches(corners: list[int]) -> list[list[int]]:
    """Return rings that touch themselves nowhere, of one that may.

    >>> _split_at_touches([1, 2, 3, 2, 4])
    [[2, 3], [1, 2, 4]]
    """
    rings: list[list[int]] = []
    way: list[int] = []
    place: dict[int, int] = {}  # in the way, of each of its corners
    for corner in corners:
        if corner in place:
            ring = way[place[corner] :]
            rings.append(ring)
            del way[-len(ring) :]
            for passed in ring:
                del place[passed]
        place[corner] = len(way)
        way.append(corner)
    return [*rings, way]


def _signed_area(ring: Integers) -> int:
    """Return twice the area in a ring, below 0 if it goes round a hole."""
    x, y = ring.T
    return int(x @ np.roll(y, -1) - y @ np.roll(x, -1))
