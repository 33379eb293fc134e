"""What the network trains on: an image, made smaller or not, or tiles of it."""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from napari_unsupseg.images import PreparedImage
from napari_unsupseg.superpixels import compute_superpixels

__all__ = ["View", "enlarge", "make_view", "shrink", "shrink_strokes"]

Place = tuple[int, tuple[slice, ...]]  # a frame, and what part of it

MIN_SUPERPIXEL = 16  # pixels; fewer of a small view's pixels cannot outvote each other
TILE = {2: 32, 3: 16}  # pixels, side of tiles in 2D and 3D


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """Frames or tiles of an image to train on, all of one size, and their superpixels.

    Attributes
    ----------
    values : ndarray of float32, shape (N, C, [z,] y, x)
        Their intensities.
    valid : ndarray of bool, shape (N, [z,] y, x)
        Pixels that take part.
    superpixels : ndarray of int64, shape (N, [z,] y, x), or None
        Superpixel of each pixel, from 0; None if there are none.
    factor : int
        Pixels of the whole image along a side of one pixel of the view.
    is_whole : bool
        Whether the view has all of the image: the N are its frames.
    places : tuple of (int, tuple of slice)
        Frame of the image, and part of that at the view's size, that each of the N is.
    """

    values: NDArray[np.float32]
    valid: NDArray[np.bool_]
    superpixels: NDArray[np.int64] | None
    factor: int = 1
    is_whole: bool = True
    places: tuple[Place, ...] = ((0, ()),)

    def lay_strokes(
        self, strokes: NDArray[np.unsignedinteger], image: PreparedImage
    ) -> NDArray[np.unsignedinteger]:
        """Return strokes (..., Y, X) of the whole image as the view has them, (N, [z,] y, x)."""
        smaller = shrink_strokes(strokes, image, self.factor)
        frames = smaller.reshape(-1, *smaller.shape[-image.spatial_ndim :])
        return np.stack([frames[frame][part] for frame, part in self.places])


def make_view(
    image: PreparedImage,
    *,
    factor: int,
    max_pixels: int,
    superpixels: int,
    compactness: float,
    seed: int,
    strokes: NDArray[np.unsignedinteger] | None = None,
) -> View:
    """Make an image smaller, and take tiles of it if it still has too many pixels.

    Parameters
    ----------
    image : PreparedImage
        The whole image.
    factor : int
        Side of the squares to average over; 1 leaves the image as it is.
    max_pixels : int
        Pixels that the view may have.
    superpixels : int
        K, superpixels of a whole frame; 0 for none.
    compactness : float
        Of the superpixels.
    seed : int
        Decides which tiles are taken.
    strokes : ndarray of unsigned integers, shape (..., Y, X), optional
        Not 0 where tiles have to be taken; up to half of all are for these.

    Returns
    -------
    View
        What to train on.
    """
    smaller = shrink(image, factor)
    n_pixels = smaller.valid.size
    of_frame = math.prod(smaller.frame_shape)
    if factor > 1:
        superpixels = min(superpixels, max(1, of_frame // MIN_SUPERPIXEL))
    is_whole = n_pixels <= max_pixels
    if is_whole:
        places: list[Place] = [(frame, ()) for frame in range(smaller.n_frames)]
    else:
        drawn = None if strokes is None else shrink_strokes(strokes, image, factor) > 0
        places = _draw_places(smaller, max_pixels, seed, drawn)
    frames = list(smaller.frames())
    tiles = [_cut(frames[frame], part) for frame, part in places]
    patches = None
    if superpixels:
        share = max(1, round(superpixels * tiles[0].valid.size / of_frame))
        of_tiles = [compute_superpixels(tile, share, compactness) for tile in tiles]
        firsts = itertools.accumulate((own.max() + 1 for own in of_tiles), initial=0)
        patches = np.stack([own + first for own, first in zip(of_tiles, firsts, strict=False)])
    return View(
        np.stack([tile.values for tile in tiles]),
        np.stack([tile.valid for tile in tiles]),
        patches,
        factor,
        is_whole,
        tuple(places),
    )


def shrink(image: PreparedImage, factor: int) -> PreparedImage:
    """Average an image over squares, or over cubes.

    Parameters
    ----------
    image : PreparedImage
        The image.
    factor : int
        Side of the squares; those at the end of rows and columns may be smaller. Along axes on
        which pixels lie further apart fewer of them are averaged.

    Returns
    -------
    PreparedImage
        Its pixels are means over those of a square that take part, if any does.
    """
    if factor == 1:
        return image
    # channels and frames alike are a batch to the pooling
    frames, factors = image.frame_shape, image.factors(factor)
    valid = torch.from_numpy(image.valid).to(torch.float32)
    weights = _pool(valid.reshape(-1, *frames), factors)
    sums = _pool((torch.from_numpy(image.values) * valid).reshape(-1, *frames), factors)
    smaller = weights.shape[1:]
    values = sums.view(len(image.values), -1, *smaller) / weights.clamp(min=1e-6)
    others = image.valid.shape[: -image.spatial_ndim]
    return dataclasses.replace(
        image,
        values=values.numpy().reshape(len(image.values), *others, *smaller),
        valid=(weights > 0).numpy().reshape(*others, *smaller),
    )


def shrink_strokes(
    strokes: NDArray[np.unsignedinteger], image: PreparedImage, factor: int
) -> NDArray[np.unsignedinteger]:
    """Draw strokes on what `shrink` makes of an image, however thin they are.

    Parameters
    ----------
    strokes : ndarray of unsigned integers, shape (..., Y, X)
        Label of each pixel under a stroke, 0 where there is none.
    image : PreparedImage
        The whole image.
    factor : int
        As given to `shrink`.

    Returns
    -------
    ndarray of unsigned integers, shape (..., y, x)
        The most frequent of a square's strokes, 0 where it has none.
    """
    if factor == 1:
        return strokes
    leading = strokes.ndim - image.spatial_ndim
    factors = [1] * leading + list(image.factors(factor))
    smaller = np.zeros(
        [math.ceil(n / by) for n, by in zip(strokes.shape, factors, strict=True)], strokes.dtype
    )
    places = np.nonzero(strokes)
    squares = np.ravel_multi_index(
        tuple(at // by for at, by in zip(places, factors, strict=True)), smaller.shape
    )
    pairs, counts = np.unique(np.stack([squares, strokes[places]]), axis=1, return_counts=True)
    # of those written to one square the last one stays
    by_count = pairs[:, np.argsort(counts, kind="stable")]
    smaller.flat[by_count[0]] = by_count[1]
    return smaller


def _pool(maps: torch.Tensor, factors: tuple[int, ...]) -> torch.Tensor:
    pool = F.avg_pool2d if maps.ndim == 3 else F.avg_pool3d
    pooled: torch.Tensor = pool(maps[:, None], factors, ceil_mode=True)[:, 0]
    return pooled


def enlarge(
    labels: NDArray[np.unsignedinteger], factor: int, image: PreparedImage
) -> NDArray[np.unsignedinteger]:
    """Give every pixel of an image the label of its square in the smaller one.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (..., y, x)
        Labels from 1 of what `shrink` made of the image.
    factor : int
        As given to `shrink`.
    image : PreparedImage
        The whole image.

    Returns
    -------
    ndarray of unsigned integers, shape (..., Y, X)
        Labels, 0 at pixels that take no part.
    """
    valid = image.valid
    leading = valid.shape[: -image.spatial_ndim]
    labels = labels.reshape(*leading, *labels.shape[-image.spatial_ndim :])
    factors = [1] * len(leading) + list(image.factors(factor))
    places = (np.arange(n) // by for n, by in zip(valid.shape, factors, strict=True))
    larger: NDArray[np.unsignedinteger] = labels[np.ix_(*places)] * valid.astype(labels.dtype)
    return larger


def _draw_places(
    image: PreparedImage, max_pixels: int, seed: int, strokes: NDArray[np.bool_] | None
) -> list[Place]:
    """Draw as many tiles as `max_pixels` holds, among those in which a pixel takes part."""
    side = TILE[image.spatial_ndim]
    lengths = [min(side, length) for length in image.frame_shape]
    steps = [
        range(0, n - length + 1, length)
        for n, length in zip(image.frame_shape, lengths, strict=True)
    ]
    frames = list(image.frames())
    corners = itertools.product(range(len(frames)), *steps)
    taking_part = [
        place
        for place in (_tile(corner, lengths) for corner in corners)
        if frames[place[0]].valid[place[1]].any()
    ]
    if not taking_part:  # all that does lies beside the last whole tiles
        valid = image.valid.reshape(-1, *image.frame_shape)
        taking_part = [_tile(corner, lengths) for corner in _corners_over(valid, lengths).tolist()]
    n_tiles = min(len(taking_part), max(1, max_pixels // math.prod(lengths)))
    random = np.random.default_rng(seed)
    drawn = random.choice(len(taking_part), n_tiles, replace=False)
    if strokes is None:
        return [taking_part[index] for index in sorted(drawn)]
    under = _corners_over(strokes.reshape(-1, *image.frame_shape), lengths)
    stroked = [_tile(corner, lengths) for corner in random.permutation(under).tolist()]
    stroked = stroked[: (n_tiles + 1) // 2]
    others = [taking_part[index] for index in drawn if taking_part[index] not in stroked]
    return stroked + others[: n_tiles - len(stroked)]


def _corners_over(pixels: NDArray[np.bool_], lengths: Sequence[int]) -> NDArray[np.int64]:
    """Return frame and first pixel of the tiles that hold all of some pixels, (n, 1 + axes)."""
    frame, *places = np.nonzero(pixels)
    # what is left of an image beside its last whole tile is in one that reaches back
    corners = [
        np.minimum(at // length * length, n - length)
        for at, length, n in zip(places, lengths, pixels.shape[1:], strict=True)
    ]
    return np.unique(np.stack([frame, *corners], axis=1), axis=0)


def _tile(corner: Sequence[int], lengths: Sequence[int]) -> Place:
    frame, *firsts = corner
    return frame, tuple(slice(at, at + n) for at, n in zip(firsts, lengths, strict=True))


def _cut(image: PreparedImage, place: tuple[slice, ...]) -> PreparedImage:
    if not place:
        return image
    return dataclasses.replace(image, values=image.values[:, *place], valid=image.valid[place])
