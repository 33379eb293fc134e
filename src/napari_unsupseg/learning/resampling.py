"""Images made smaller, and labels made larger again."""

import dataclasses
import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from napari_unsupseg.image.normalize import NormalizedImage

__all__ = ["downsample", "downsample_strokes", "upsample_labels"]


def downsample(image: NormalizedImage, factor: int) -> NormalizedImage:
    """Average an image over blocks: squares, or cubes in a volume.

    Parameters
    ----------
    image : NormalizedImage
        The image.
    factor : int
        Side of the blocks in pixels, at least 1; those at the end of an axis may be smaller. Along
        axes on which pixels lie further apart blocks have fewer of them.

    Returns
    -------
    NormalizedImage
        Each pixel is the mean over those pixels of a block that take part; one takes part where
        the block has any.
    """
    if factor == 1:
        return image
    frame_shape, sides = image.frame_shape, image.factors(factor)
    # pooling takes one batch of maps: channels and frames go into the same axis, n = C · frames
    valid = torch.from_numpy(image.valid).to(torch.float32)
    weights = _pool(valid.reshape(-1, *frame_shape), sides)  # (frames, [z,] y, x)
    sums = _pool((torch.from_numpy(image.values) * valid).reshape(-1, *frame_shape), sides)
    reduced_shape = weights.shape[1:]
    # where no pixel takes part the sum is 0, and so is the mean
    means = sums.view(len(image.values), -1, *reduced_shape) / weights.clamp(min=1e-6)
    leading = image.valid.shape[: -image.spatial_ndim]
    return dataclasses.replace(
        image,
        values=means.numpy().reshape(len(image.values), *leading, *reduced_shape),
        valid=(weights > 0).numpy().reshape(*leading, *reduced_shape),
    )


def downsample_strokes(
    strokes: NDArray[np.unsignedinteger], image: NormalizedImage, factor: int
) -> NDArray[np.unsignedinteger]:
    """Bring strokes to the size of a downsampled image; thin ones stay.

    Parameters
    ----------
    strokes : ndarray of unsigned integers, shape (..., Y, X)
        Label of each pixel under a stroke, 0 where there is none.
    image : NormalizedImage
        The whole image.
    factor : int
        Side of the blocks, as `downsample` takes it.

    Returns
    -------
    ndarray of unsigned integers, shape (..., y, x)
        The most frequent label of each block, 0 where it has none. On a tie the highest.
    """
    if factor == 1:
        return strokes
    sides = _block_sides(image, factor)
    reduced_shape = [
        math.ceil(length / side) for length, side in zip(strokes.shape, sides, strict=True)
    ]
    reduced = np.zeros(reduced_shape, strokes.dtype)
    pixels = np.nonzero(strokes)
    blocks = np.ravel_multi_index(
        tuple(index // side for index, side in zip(pixels, sides, strict=True)), reduced_shape
    )
    # (2, n): each block with each of its labels
    pairs, counts = np.unique(np.stack([blocks, strokes[pixels]]), axis=1, return_counts=True)
    # numpy keeps the last of several values for one block: the most frequent label goes last
    by_count = pairs[:, np.argsort(counts, kind="stable")]
    reduced.flat[by_count[0]] = by_count[1]
    return reduced


def upsample_labels(
    labels: NDArray[np.unsignedinteger], factor: int, image: NormalizedImage
) -> NDArray[np.unsignedinteger]:
    """Give every pixel of an image the label of its block in the downsampled image.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (..., y, x)
        Labels from 1 of the downsampled image.
    factor : int
        Side of the blocks, as `downsample` takes it.
    image : NormalizedImage
        The whole image.

    Returns
    -------
    ndarray of unsigned integers, shape (..., Y, X)
        Labels, 0 at pixels that take no part.
    """
    valid = image.valid
    leading = valid.shape[: -image.spatial_ndim]
    labels = labels.reshape(*leading, *labels.shape[-image.spatial_ndim :])
    sides = _block_sides(image, factor)
    blocks = (np.arange(length) // side for length, side in zip(valid.shape, sides, strict=True))
    upsampled: NDArray[np.unsignedinteger] = labels[np.ix_(*blocks)] * valid.astype(labels.dtype)
    return upsampled


def _block_sides(image: NormalizedImage, factor: int) -> list[int]:
    """Return the sides of blocks along all axes but channels; 1 along those over frames."""
    return [1] * (image.valid.ndim - image.spatial_ndim) + list(image.factors(factor))


def _pool(maps: torch.Tensor, sides: tuple[int, ...]) -> torch.Tensor:
    """Average maps (n, [Z,] Y, X) over blocks."""
    pool = F.avg_pool2d if maps.ndim == 3 else F.avg_pool3d
    pooled: torch.Tensor = pool(maps[:, None], sides, ceil_mode=True)[:, 0]
    return pooled
