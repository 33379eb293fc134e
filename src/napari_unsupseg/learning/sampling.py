"""What the network trains on: an image, made smaller or not, or tiles of it."""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg._typing import Labels
from napari_unsupseg.image.normalize import NormalizedImage
from napari_unsupseg.image.tiling import Slices, block_slices
from napari_unsupseg.learning.resampling import downsample, downsample_strokes
from napari_unsupseg.learning.superpixels import compute_superpixels

__all__ = ["TrainingSample", "make_training_sample"]

TileLocation = tuple[int, Slices]  # index of a frame and the part of it; no slices: all of it
MIN_SUPERPIXEL = 16  # pixels of a reduced image; fewer are no majority that could outvote noise
TILE = {2: 32, 3: 16}  # side of tiles in pixels, by the axes of a frame


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingSample:
    """Frames or tiles of an image to train on, all of one size, and their superpixels.

    Attributes
    ----------
    values : ndarray of float32, shape (N, C, [z,] y, x)
        Intensities in [0, 1], 0 at pixels that take no part.
    valid : ndarray of bool, shape (N, [z,] y, x)
        Pixels that take part.
    superpixels : ndarray of int64, shape (N, [z,] y, x), or None
        Superpixel of each pixel, from 0; None to train without.
    factor : int
        Pixels of the whole image along a side of one pixel of the sample.
    is_whole : bool
        Whether the sample has all of the image: the N are its frames.
    locations : tuple of (int, tuple of slice)
        Where each of the N lies in the downsampled image: index of its frame, and its slices there;
        no slices if it is all of the frame.
    """

    values: NDArray[np.float32]
    valid: NDArray[np.bool_]
    superpixels: NDArray[np.int64] | None
    factor: int = 1
    is_whole: bool = True
    locations: tuple[TileLocation, ...] = ((0, ()),)

    def sample_strokes(self, strokes: Labels, image: NormalizedImage) -> Labels:
        """Cut strokes as the sample was cut.

        Parameters
        ----------
        strokes : ndarray of unsigned integers, shape (..., Y, X)
            Label of each pixel of the whole image under a stroke, 0 where there is none.
        image : NormalizedImage
            The whole image.

        Returns
        -------
        ndarray of unsigned integers, shape (N, [z,] y, x)
            Label of each pixel of the sample, 0 where there is no stroke.
        """
        reduced = downsample_strokes(strokes, image, self.factor)
        frames = reduced.reshape(-1, *reduced.shape[-image.spatial_ndim :])
        return np.stack([frames[frame][slices] for frame, slices in self.locations])


def make_training_sample(
    image: NormalizedImage,
    *,
    factor: int,
    max_pixels: int,
    superpixels: int,
    compactness: float,
    seed: int,
    strokes: Labels | None = None,
) -> TrainingSample:
    """Downsample an image, and take tiles of it if it still has too many pixels.

    Parameters
    ----------
    image : NormalizedImage
        The whole image.
    factor : int
        Side of the blocks to average over, in pixels; 1 leaves the image as it is.
    max_pixels : int
        Pixels that the sample may have.
    superpixels : int
        K of the paper, superpixels of a whole frame; 0 for none.
    compactness : float
        Compactness of the superpixels, as `compute_superpixels` takes it.
    seed : int
        Decides which tiles are taken.
    strokes : ndarray of unsigned integers, shape (..., Y, X), optional
        Not 0 at pixels that tiles have to hold, for which up to half of all tiles are taken.

    Returns
    -------
    TrainingSample
        What to train on.
    """
    reduced = downsample(image, factor)
    is_whole = reduced.valid.size <= max_pixels
    if is_whole:
        locations: list[TileLocation] = [(frame, ()) for frame in range(reduced.n_frames)]
    else:
        is_stroke = None if strokes is None else downsample_strokes(strokes, image, factor) > 0
        locations = _choose_tiles(reduced, max_pixels, seed, is_stroke)
    frames = list(reduced.frames())
    tiles = [_crop(frames[frame], slices) for frame, slices in locations]
    frame_pixels = math.prod(reduced.frame_shape)
    if factor > 1:
        superpixels = min(superpixels, max(1, frame_pixels // MIN_SUPERPIXEL))
    share = superpixels * tiles[0].valid.size / frame_pixels  # of a tile
    return TrainingSample(
        values=np.stack([tile.values for tile in tiles]),
        valid=np.stack([tile.valid for tile in tiles]),
        superpixels=_superpixels_of_tiles(tiles, share, compactness),
        factor=factor,
        is_whole=is_whole,
        locations=tuple(locations),
    )


def _superpixels_of_tiles(
    tiles: list[NormalizedImage], share: float, compactness: float
) -> NDArray[np.int64] | None:
    """Compute superpixels, `share` in each tile, numbered on from tile to tile; None if it is 0."""
    if not share:
        return None
    n_superpixels = max(1, round(share))
    per_tile = [compute_superpixels(tile, n_superpixels, compactness) for tile in tiles]
    # a superpixel votes for itself: its number must not come again in another tile
    firsts = itertools.accumulate((own.max() + 1 for own in per_tile), initial=0)
    return np.stack([own + first for own, first in zip(per_tile, firsts, strict=False)])


def _choose_tiles(
    image: NormalizedImage, max_pixels: int, seed: int, is_stroke: NDArray[np.bool_] | None
) -> list[TileLocation]:
    """Draw as many tiles as `max_pixels` holds, among those in which a pixel takes part.

    Each of several images has the same share of them. Up to half of all, rounded up, hold pixels
    where `is_stroke`, shape (..., Y, X), is True.
    """
    side = TILE[image.spatial_ndim]
    lengths = [min(side, length) for length in image.frame_shape]
    images = [_tiles_that_take_part(image, frames, lengths) for frames in image.frames_of_images]
    share = max_pixels // math.prod(lengths) // len(images)
    random = np.random.default_rng(seed)
    drawn = [
        random.choice(len(tiles), min(len(tiles), max(1, share)), replace=False) for tiles in images
    ]
    if is_stroke is None:
        return [
            tiles[index] for tiles, own in zip(images, drawn, strict=True) for index in sorted(own)
        ]
    corners = _corners_over(is_stroke.reshape(-1, *image.frame_shape), lengths)
    stroked = [_tile_at(corner, lengths) for corner in random.permutation(corners).tolist()]
    n_tiles = sum(map(len, drawn))
    stroked = stroked[: (n_tiles + 1) // 2]
    # one of each image in turn, as those at the end are left out
    in_turn = itertools.zip_longest(
        *([tiles[index] for index in own] for tiles, own in zip(images, drawn, strict=True))
    )
    others = [tile for turn in in_turn for tile in turn if tile and tile not in stroked]
    return stroked + others[: n_tiles - len(stroked)]


def _tiles_that_take_part(
    image: NormalizedImage, frames: Sequence[int], lengths: Sequence[int]
) -> list[TileLocation]:
    """Return the whole tiles of some frames in which a pixel takes part."""
    tiles = block_slices(image.frame_shape, lengths, only_whole=True)
    valid = image.valid.reshape(-1, *image.frame_shape)
    taking_part = [(index, tile) for index in frames for tile in tiles if valid[index][tile].any()]
    if taking_part:
        return taking_part
    # all pixels that take part lie beside the last whole tiles
    corners = _corners_over(valid[frames[0] : frames[-1] + 1], lengths)
    return [_tile_at((frames[0] + frame, *firsts), lengths) for frame, *firsts in corners.tolist()]


def _corners_over(pixels: NDArray[np.bool_], lengths: Sequence[int]) -> NDArray[np.int64]:
    """Return frame and first pixel of the tiles that hold all pixels that are True, (n, 1 + d)."""
    frame, *indices = np.nonzero(pixels)
    # what an axis has left after its last whole tile is in one that reaches back
    corners = [
        np.minimum(index // length * length, n - length)
        for index, length, n in zip(indices, lengths, pixels.shape[1:], strict=True)
    ]
    return np.unique(np.stack([frame, *corners], axis=1), axis=0)


def _tile_at(corner: Sequence[int], lengths: Sequence[int]) -> TileLocation:
    """Return the tile that begins at a frame's pixel."""
    frame, *firsts = corner
    return frame, tuple(slice(first, first + n) for first, n in zip(firsts, lengths, strict=True))


def _crop(image: NormalizedImage, slices: Slices) -> NormalizedImage:
    """Cut a part out of a frame."""
    return dataclasses.replace(image, values=image.values[:, *slices], valid=image.valid[slices])
