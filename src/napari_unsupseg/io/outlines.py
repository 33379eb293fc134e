"""Outlines of labels along the edges of their pixels."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from skimage.measure import points_in_poly

from napari_unsupseg._typing import Integers
from napari_unsupseg.image.tiling import block_slices

__all__ = ["Polygon", "trace_outlines"]

Polygon = list[Integers]  # rings, the outer one first, then those of holes

BLOCK = 2048  # pixels along the sides of what is loaded at once
# of the top, right, bottom and left edge of a pixel, as steps along y and x: across it, along it
# clockwise, and from the pixel's top left corner to the end of the edge
ACROSS = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)])
ALONG = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])
END = np.array([(0, 1), (1, 1), (1, 0), (0, 0)])


class _Edges(NamedTuple):
    """Edges of pixels with other labels across them; the pixel lies to the right of its edge.

    Attributes
    ----------
    number, following : ndarray of int64, shape (edges,)
        Number of each edge, and of the one that follows it around its label.
    label : ndarray of int64, shape (edges,)
        Label of its pixel.
    """

    number: Integers
    following: Integers
    label: Integers


def trace_outlines(labels: Any, plane: tuple[int, ...] = ()) -> dict[int, list[Polygon]]:
    """Return the polygons that each label of a plane fills exactly.

    Parameters
    ----------
    labels : array of unsigned integers, shape (..., Y, X)
        Labels, of which a part is loaded at a time; 0 is left out.
    plane : tuple of int
        Index of the plane along all axes but the last two.

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
    width = labels.shape[-1] + 1  # of corners
    rings: dict[int, list[Integers]] = {}
    for label, way in _follow(_find_edges(labels, plane), width):
        for corners in _split_at_touches(way):
            y, x = np.divmod(corners, width)
            rings.setdefault(label, []).append(np.stack([x, y], axis=-1))
    return {label: _group(rings[label]) for label in sorted(rings)}


def _find_edges(labels: Any, plane: tuple[int, ...]) -> _Edges:
    """Return the edges of a plane, sorted by their numbers.

    What follows an edge depends on the two pixels ahead alone, so that it is known block by block.
    """
    shape = labels.shape[-2:]
    found = [_Edges(*np.zeros((3, 0), dtype=np.int64))]
    for rows, columns in block_slices(shape, (BLOCK, BLOCK)):
        around = [slice(max(along.start - 1, 0), along.stop + 1) for along in (rows, columns)]
        missing = [
            (int(along.start == 0), int(along.stop == length))
            for along, length in zip((rows, columns), shape, strict=True)
        ]
        block = np.pad(np.asarray(labels[(*plane, *around)]), missing)
        inside = block[1:-1, 1:-1]
        for side, across, along in zip(range(4), ACROSS, ALONG, strict=True):
            beyond = block[1 + across[0] :, 1 + across[1] :][: inside.shape[0], : inside.shape[1]]
            at = np.argwhere((inside != 0) & (inside != beyond))
            own, ahead = inside[*at.T], at + along
            goes_on = block[*(ahead + 1).T] == own
            turns_left = goes_on & (block[*(ahead + across + 1).T] == own)
            # to turn right where it can be keeps parts apart that touch at a corner
            pixel = np.select([turns_left[:, None], goes_on[:, None]], [ahead + across, ahead], at)
            next_side = np.select([turns_left, goes_on], [(side - 1) % 4, side], (side + 1) % 4)
            first = (rows.start, columns.start)
            found.append(
                _Edges(
                    _number(at + first, shape) + side,
                    _number(pixel + first, shape) + next_side,
                    own.astype(np.int64),
                )
            )
    edges = _Edges(*map(np.concatenate, zip(*found, strict=True)))
    order = np.argsort(edges.number)
    return _Edges(*(column[order] for column in edges))


def _number(pixels: Integers, shape: tuple[int, int]) -> Integers:
    """Return the numbers of the top edges of pixels y, x; a row has as many as it has corners."""
    number: Integers = 4 * (pixels[:, 0] * (shape[1] + 1) + pixels[:, 1])
    return number


def _follow(edges: _Edges, width: int) -> Iterator[tuple[int, list[int]]]:
    """Yield each closed way along edges: its label, and its corners as flat indices."""
    pixel, side = np.divmod(edges.number, 4)
    # lists would take five times the memory
    end = (pixel + END[side] @ (width, 1)).data
    is_corner = (edges.following % 4 != side).data
    successor = np.searchsorted(edges.number, edges.following).data
    is_done = bytearray(len(successor))
    for first, label in enumerate(edges.label.data):
        corners, edge = [], first
        while not is_done[edge]:
            is_done[edge] = True
            if is_corner[edge]:
                corners.append(end[edge])
            edge = successor[edge]
        if corners:
            yield label, corners


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


def _group(rings: list[Integers]) -> list[Polygon]:
    """Return the polygons of a label, each with the holes in it."""
    # of two outer rings around a hole, the smaller is that of the part that has it
    rings = sorted(rings, key=_signed_area)
    is_outer = [_signed_area(ring) > 0 for ring in rings]
    polygons = [[ring] for ring, outer in zip(rings, is_outer, strict=True) if outer]
    least = np.array([outer.min(axis=0) for [outer] in polygons])
    most = np.array([outer.max(axis=0) for [outer] in polygons])
    for hole in (ring for ring, outer in zip(rings, is_outer, strict=True) if not outer):
        start, step = hole[0], np.sign(hole[1] - hole[0])
        pixel = start + 0.5 * step + 0.5 * np.array([-step[1], step[0]])  # beside the hole
        near = np.flatnonzero(np.all((least < pixel) & (pixel < most), axis=1))
        number = next(k for k in near if points_in_poly([pixel], polygons[k][0])[0])
        polygons[number].append(hole)
    return polygons


def _signed_area(ring: Integers) -> int:
    """Return twice the area in a ring, below 0 if it goes round a hole."""
    x, y = ring.T
    return int(x @ np.roll(y, -1) - y @ np.roll(x, -1))
