"""What the network trains on: an image whole, made smaller, or a montage of its tiles."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from napari_unsupseg.images import PreparedImage
from napari_unsupseg.superpixels import compute_superpixels

__all__ = ["View", "enlarge", "make_view", "shrink"]

Scalar = TypeVar("Scalar", bound=np.generic)

MIN_SUPERPIXEL = 16  # pixels; fewer of a small view's pixels cannot outvote each other
TILE = 32  # pixels, side of a montage's tiles


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """Pixels to train on, and their superpixels.

    Attributes
    ----------
    image : PreparedImage
        Their intensities, shape (C, y, x), and which of them take part.
    superpixels : ndarray of int64, shape (y, x), or None
        Superpixel of each pixel, from 0; None if there are none.
    factor : int
        Pixels of the whole image along a side of one pixel of the view.
    is_montage : bool
        Whether the view is made of tiles from here and there, rather than all of the image.
    """

    image: PreparedImage
    superpixels: NDArray[np.int64] | None
    factor: int = 1
    is_montage: bool = False


def make_view(
    image: PreparedImage,
    *,
    factor: int,
    max_pixels: int,
    superpixels: int,
    compactness: float,
    seed: int,
) -> View:
    """Make an image smaller, and take a montage of tiles if it still has too many pixels.

    Parameters
    ----------
    image : PreparedImage
        The whole image.
    factor : int
        Side of the squares to average over; 1 leaves the image as it is.
    max_pixels : int
        Pixels that the view may have.
    superpixels : int
        K, superpixels of the whole image; 0 for none.
    compactness : float
        Of the superpixels.
    seed : int
        Decides which tiles are taken.

    Returns
    -------
    View
        What to train on.
    """
    smaller = shrink(image, factor)
    n_pixels = smaller.valid.size
    if factor > 1:
        superpixels = min(superpixels, max(1, n_pixels // MIN_SUPERPIXEL))
    if n_pixels <= max_pixels:
        patches = compute_superpixels(smaller, superpixels, compactness) if superpixels else None
        return View(smaller, patches, factor)
    tiles = _draw_tiles(smaller, max_pixels, seed)
    montage = _montage([tile.values for tile in tiles]), _montage([tile.valid for tile in tiles])
    whole = PreparedImage(*montage, image.is_rgb)
    patches = None
    if superpixels:
        share = max(1, round(superpixels * tiles[0].valid.size / n_pixels))
        of_tiles = [compute_superpixels(tile, share, compactness) for tile in tiles]
        firsts = itertools.accumulate((own.max() + 1 for own in of_tiles), initial=0)
        patches = _montage([own + first for own, first in zip(of_tiles, firsts, strict=False)])
    return View(whole, patches, factor, is_montage=True)


def shrink(image: PreparedImage, factor: int) -> PreparedImage:
    """Average an image over squares.

    Parameters
    ----------
    image : PreparedImage
        The image.
    factor : int
        Side of the squares; those at the end of rows and columns may be smaller.

    Returns
    -------
    PreparedImage
        Its pixels are means over those of a square that take part, if any does.
    """
    if factor == 1:
        return image
    valid = torch.from_numpy(image.valid).to(torch.float32)[None]
    weights = _pool(valid, factor)
    values = _pool(torch.from_numpy(image.values) * valid, factor) / weights.clamp(min=1e-6)
    inside = weights[0] > 0
    return PreparedImage(values.numpy(), inside.numpy(), image.is_rgb)


def _pool(maps: torch.Tensor, factor: int) -> torch.Tensor:
    return F.avg_pool2d(maps, factor, ceil_mode=True)


def enlarge(
    labels: NDArray[np.unsignedinteger], factor: int, valid: NDArray[np.bool_]
) -> NDArray[np.unsignedinteger]:
    """Give every pixel of an image the label of its square in the smaller one.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (y, x)
        Labels from 1 of an image that `shrink` made.
    factor : int
        As given to `shrink`.
    valid : ndarray of bool, shape (Y, X)
        Pixels of the whole image that take part.

    Returns
    -------
    ndarray of unsigned integers, shape (Y, X)
        Labels, 0 at pixels that take no part.
    """
    rows, columns = (np.arange(n) // factor for n in valid.shape)
    return labels[rows[:, np.newaxis], columns] * valid.astype(labels.dtype)


def _draw_tiles(image: PreparedImage, max_pixels: int, seed: int) -> list[PreparedImage]:
    """Draw as many tiles as `max_pixels` holds, among those in which a pixel takes part."""
    height, width = (min(TILE, length) for length in image.valid.shape)
    corners = [
        (row, column)
        for row in range(0, image.valid.shape[0] - height + 1, height)
        for column in range(0, image.valid.shape[1] - width + 1, width)
        if image.valid[row : row + height, column : column + width].any()
    ]
    n_tiles = min(len(corners), max(1, max_pixels // (height * width)))
    drawn = np.random.default_rng(seed).choice(len(corners), n_tiles, replace=False)
    return [
        _cut(image, slice(row, row + height), slice(column, column + width))
        for row, column in (corners[index] for index in sorted(drawn))
    ]


def _cut(image: PreparedImage, rows: slice, columns: slice) -> PreparedImage:
    return PreparedImage(image.values[:, rows, columns], image.valid[rows, columns], image.is_rgb)


def _montage(tiles: Sequence[NDArray[Scalar]]) -> NDArray[Scalar]:
    """Lay maps (…, Y, X) of tiles side by side, with a line of zeros between them.

    Such a line is to each layer of the network what the end of an image is.
    """
    *others, height, width = tiles[0].shape
    n_columns = math.ceil(math.sqrt(len(tiles)))
    n_rows = math.ceil(len(tiles) / n_columns)
    shape = (*others, n_rows * (height + 1) - 1, n_columns * (width + 1) - 1)
    montage = np.zeros(shape, dtype=tiles[0].dtype)
    for index, tile in enumerate(tiles):
        row, column = (index // n_columns) * (height + 1), (index % n_columns) * (width + 1)
        montage[..., row : row + height, column : column + width] = tile
    return montage
