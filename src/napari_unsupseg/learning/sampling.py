"""What the network trains on: an image, made smaller or not, or tiles of it."""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg.image.normalize import NormalizedImage
from napari_unsupseg.image.tiling import Slices, block_slices
from napari_unsupseg.learning.resampling import downsample, downsample_strokes
from napari_unsupseg.learning.superpixels import compute_superpixels

__all__ = ["TrainingSample", "make_training_sample"]

TileLocation = tuple[int, Slices]  # a frame, and what part of it
MIN_SUPERPIXEL = 16  # pixels; fewer of a small view's pixels cannot outvote each other
TILE = {2: 32, 3: 16}  # pixels, side of tiles in 2D and 3D


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingSample:
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
    places: tuple[TileLocation, ...] = ((0, ()),)

    def sample_strokes(
        self, strokes: NDArray[np.unsignedinteger], image: NormalizedImage
    ) -> NDArray[np.unsignedinteger]:
        """Return strokes (..., Y, X) of the whole image as the view has them, (N, [z,] y, x)."""
        smaller = downsample_strokes(strokes, image, self.factor)
        frames = smaller.reshape(-1, *smaller.shape[-image.spatial_ndim :])
        return np.stack([frames[frame][part] for frame, part in self.places])


def make_training_sample(
    image: NormalizedImage,
    *,
    factor: int,
    max_pixels: int,
    superpixels: int,
    compactness: float,
    seed: int,
    strokes: NDArray[np.unsignedinteger] | None = None,
) -> TrainingSample:
    """Make an image smaller, and take tiles of it if it still has too many pixels.

    Parameters
    ----------
    image : NormalizedImage
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
    smaller = downsample(image, factor)
    n_pixels = smaller.valid.size
    of_frame = math.prod(smaller.frame_shape)
    if factor > 1:
        superpixels = min(superpixels, max(1, of_frame // MIN_SUPERPIXEL))
    is_whole = n_pixels <= max_pixels
    if is_whole:
        places: list[TileLocation] = [(frame, ()) for frame in range(smaller.n_frames)]
    else:
        drawn = None if strokes is None else downsample_strokes(strokes, image, factor) > 0
        places = _draw_places(smaller, max_pixels, seed, drawn)
    frames = list(smaller.frames())
    tiles = [_cut(frames[frame], part) for frame, part in places]
    patches = None
    if superpixels:
        share = max(1, round(superpixels * tiles[0].valid.size / of_frame))
        of_tiles = [compute_superpixels(tile, share, compactness) for tile in tiles]
        firsts = itertools.accumulate((own.max() + 1 for own in of_tiles), initial=0)
        patches = np.stack([own + first for own, first in zip(of_tiles, firsts, strict=False)])
    return TrainingSample(
        np.stack([tile.values for tile in tiles]),
        np.stack([tile.valid for tile in tiles]),
        patches,
        factor,
        is_whole,
        tuple(places),
    )


def _draw_places(
    image: NormalizedImage, max_pixels: int, seed: int, strokes: NDArray[np.bool_] | None
) -> list[TileLocation]:
    """Draw as many tiles as `max_pixels` holds, among those in which a pixel takes part."""
    side = TILE[image.spatial_ndim]
    lengths = [min(side, length) for length in image.frame_shape]
    frames = list(image.frames())
    tiles = block_slices(image.frame_shape, lengths, only_whole=True)
    taking_part = [
        (index, tile)
        for index, frame in enumerate(frames)
        for tile in tiles
        if frame.valid[tile].any()
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


def _tile(corner: Sequence[int], lengths: Sequence[int]) -> TileLocation:
    frame, *firsts = corner
    return frame, tuple(slice(at, at + n) for at, n in zip(firsts, lengths, strict=True))


def _cut(image: NormalizedImage, place: tuple[slice, ...]) -> NormalizedImage:
    if not place:
        return image
    return dataclasses.replace(image, values=image.values[:, *place], valid=image.valid[place])
