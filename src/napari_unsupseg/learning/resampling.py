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
    """Average an image over squares, or over cubes.

    Parameters
    ----------
    image : NormalizedImage
        The image.
    factor : int
        Side of the squares; those at the end of rows and columns may be smaller. Along axes on
        which pixels lie further apart fewer of them are averaged.

    Returns
    -------
    NormalizedImage
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


def downsample_strokes(
    strokes: NDArray[np.unsignedinteger], image: NormalizedImage, factor: int
) -> NDArray[np.unsignedinteger]:
    """Draw strokes on what `downsample` makes of an image, however thin they are.

    Parameters
    ----------
    strokes : ndarray of unsigned integers, shape (..., Y, X)
        Label of each pixel under a stroke, 0 where there is none.
    image : NormalizedImage
        The whole image.
    factor : int
        As given to `downsample`.

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


def upsample_labels(
    labels: NDArray[np.unsignedinteger], factor: int, image: NormalizedImage
) -> NDArray[np.unsignedinteger]:
    """Give every pixel of an image the label of its square in the smaller one.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (..., y, x)
        Labels from 1 of what `downsample` made of the image.
    factor : int
        As given to `downsample`.
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
    factors = [1] * len(leading) + list(image.factors(factor))
    places = (np.arange(n) // by for n, by in zip(valid.shape, factors, strict=True))
    larger: NDArray[np.unsignedinteger] = labels[np.ix_(*places)] * valid.astype(labels.dtype)
    return larger
