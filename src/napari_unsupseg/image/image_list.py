"""Several images that one network is trained on: given in a list, laid together, taken apart again.

A run knows one `NormalizedImage`. Several images are the frames of one, each in the first corner of
a frame as large as the largest of them; pixels beside an image take no part.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeGuard, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg._words import count
from napari_unsupseg.errors import ImageError, StrokesError, UnsupsegError
from napari_unsupseg.image.channels import ImageChannels
from napari_unsupseg.image.normalize import NormalizedImage

__all__ = [
    "GivenImage",
    "check_same_channels",
    "is_image_list",
    "join_images",
    "join_maps",
    "list_given",
    "name_error",
    "one_for_each",
    "split_images",
    "split_maps",
]

AnyDtype = TypeVar("AnyDtype", bound=np.generic)


class GivenImage(NamedTuple):
    """An image as it was given, and what was said of it alone.

    Attributes
    ----------
    image : array_like
        Its values.
    axes : str or None
        One letter an axis.
    mask, strokes : array_like, shape (..., Y, X), or None
        See `napari_unsupseg.options.ImageOptions`.
    name : str
        What it is called in the sentence of an error; empty if it is the only one.
    """

    image: Any
    axes: str | None
    mask: Any
    strokes: Any
    name: str


def is_image_list(image: object) -> TypeGuard[Sequence[Any]]:
    """Tell whether several images are given rather than one.

    Parameters
    ----------
    image : object
        An image, or a list or tuple of images.

    Returns
    -------
    bool
        True for a list or tuple of arrays with two axes or more. Lists of numbers, or of rows, are
        an image.

    Examples
    --------
    >>> is_image_list([np.zeros((4, 4)), np.zeros((5, 6))]), is_image_list([[0, 1], [1, 0]])
    (True, False)
    """
    return isinstance(image, list | tuple) and any(getattr(one, "ndim", 0) > 1 for one in image)


def list_given(
    image: object, *, axes: object = None, mask: object = None, strokes: object = None
) -> list[GivenImage]:
    """Return each of several images with what is said of it.

    Parameters
    ----------
    image : array_like, or list of array_like
        An image, or several.
    axes : str or None, or list of them
        Of several images: one for all, or a list with one for each.
    mask, strokes : array_like or None, or list of them
        Of several images: a list with one for each.

    Returns
    -------
    list of GivenImage
        One item for one image.

    Raises
    ------
    ImageError, StrokesError
        If there is no list of masks or strokes for several images, or one of another length.
    """
    if not is_image_list(image):
        return [GivenImage(image, axes, mask, strokes, "")]  # type: ignore[arg-type]
    n_images = len(image)
    if axes is None or isinstance(axes, str):
        axes = [axes] * n_images
    return [
        GivenImage(*one)
        for one in zip(
            image,
            one_for_each("axes", axes, n_images),
            one_for_each("mask", mask, n_images),
            one_for_each("strokes", strokes, n_images, StrokesError),
            [f"images[{index}]" for index in range(n_images)],
            strict=True,
        )
    ]


def one_for_each(
    name: str, given: object, n_images: int, error_class: type[UnsupsegError] = ImageError
) -> Sequence[Any]:
    """Return what is given for several images, or raise.

    Parameters
    ----------
    name : str
        What it is, for the sentence of an error.
    given : list or None
        One for each image; None for none at all.
    n_images : int
        How many images there are.
    error_class : type
        Class of the error.

    Returns
    -------
    list
        As long as there are images.

    Raises
    ------
    UnsupsegError
        Of the given class, if it is no list, or of another length.
    """
    if given is None:
        return [None] * n_images
    if not isinstance(given, list | tuple) or len(given) != n_images:
        raise error_class(
            f"{name} must be a list with one for each of the {count(n_images, 'image')}, None for "
            "those without"
        )
    return given


@contextlib.contextmanager
def name_error(name: str) -> Iterator[None]:
    """Have the sentences of errors begin with the image that they are about.

    Parameters
    ----------
    name : str
        Its name; empty if there is no other.
    """
    try:
        yield
    except UnsupsegError as error:
        if not name:
            raise
        raise type(error)(f"{name}: {error}") from error


def check_same_channels(images: Sequence[ImageChannels], names: Sequence[str]) -> None:
    """Refuse images that no single network can take.

    Parameters
    ----------
    images : sequence of ImageChannels
        The images.
    names : sequence of str
        What each is called.

    Raises
    ------
    ImageError
        If two have other channels; the sentence names both.

    Examples
    --------
    >>> grey = ImageChannels(np.zeros((1, 4, 4)), False, "yx")
    >>> check_same_channels([grey, ImageChannels(np.zeros((3, 4, 4)), True, "yx")], ["a", "b"])
    Traceback (most recent call last):
    napari_unsupseg.errors.ImageError: a has 1 channel and b is RGB: one network takes images of \
the same channels
    """
    kinds = [
        "is RGB" if image.is_rgb else f"has {count(len(image.values), 'channel')}"
        for image in images
    ]
    for name, kind in zip(names, kinds, strict=True):
        if kind != kinds[0]:
            raise ImageError(
                f"{names[0]} {kinds[0]} and {name} {kind}: one network takes images of the same "
                "channels"
            )


def join_images(images: Sequence[NormalizedImage]) -> NormalizedImage:
    """Lay several images together as the frames of one.

    Parameters
    ----------
    images : sequence of NormalizedImage
        One or more, of the same channels, axes of a frame and spacing.

    Returns
    -------
    NormalizedImage
        Its `image_shapes` are those of the images; `split_maps` takes maps of it apart again.
    """
    first, shapes = images[0], tuple(image.valid.shape for image in images)
    if len(images) == 1:
        return dataclasses.replace(first, image_shapes=shapes)
    joined = dataclasses.replace(first, image_shapes=shapes, limits=np.zeros((0, 2)))
    channels = [
        _join([image.values[channel] for image in images], shapes, first.spatial_ndim)
        for channel in range(len(first.values))
    ]
    valid = _join([image.valid for image in images], shapes, first.spatial_ndim)
    return dataclasses.replace(joined, values=np.stack(channels), valid=valid)


def join_maps(
    maps: Sequence[NDArray[AnyDtype] | None], image: NormalizedImage
) -> NDArray[AnyDtype] | None:
    """Lay maps of several images together as `join_images` has laid the images.

    Parameters
    ----------
    maps : sequence of ndarray, shape (..., Y, X), or None
        One for each image, such as strokes; None counts as 0 everywhere.
    image : NormalizedImage
        The images, together.

    Returns
    -------
    ndarray, shape (frames, [Z,] Y, X), or None
        0 beside the images. Of one image its own map; None if all are None.
    """
    given = [one for one in maps if one is not None]
    if not given or len(image.image_shapes) <= 1:
        return maps[0]
    filled = [
        np.zeros(shape, given[0].dtype) if one is None else one
        for one, shape in zip(maps, image.image_shapes, strict=True)
    ]
    return _join(filled, image.image_shapes, image.spatial_ndim)


def split_maps(maps: NDArray[AnyDtype], image: NormalizedImage) -> list[NDArray[AnyDtype]]:
    """Take maps of images that were laid together apart again.

    Parameters
    ----------
    maps : ndarray, shape (frames, [Z,] Y, X)
        A value for each pixel, such as labels.
    image : NormalizedImage
        The images, together.

    Returns
    -------
    list of ndarray, shape (..., Y, X)
        The map of each image, of its own shape.
    """
    frames = maps.reshape(-1, *image.frame_shape)
    return [
        np.ascontiguousarray(frames[place]).reshape(shape)
        for place, shape in zip(_places(image), image.image_shapes, strict=True)
    ]


def split_images(image: NormalizedImage) -> list[NormalizedImage]:
    """Take images that were laid together apart again.

    Parameters
    ----------
    image : NormalizedImage
        The images, together.

    Returns
    -------
    list of NormalizedImage
        Each as it was before; the image itself if it is the only one.
    """
    if not image.image_shapes:
        return [image]
    channels = [split_maps(channel, image) for channel in image.values]
    return [
        dataclasses.replace(image, values=np.stack(values), valid=valid, image_shapes=())
        for *values, valid in zip(*channels, split_maps(image.valid, image), strict=True)
    ]


def _join(
    maps: Sequence[NDArray[AnyDtype]], shapes: Sequence[tuple[int, ...]], spatial_ndim: int
) -> NDArray[AnyDtype]:
    """Lay maps into the first corners of frames as large as the largest."""
    frame_shape = np.max([shape[-spatial_ndim:] for shape in shapes], axis=0)
    n_frames = sum(math.prod(shape[:-spatial_ndim]) for shape in shapes)
    joined = np.zeros((n_frames, *frame_shape), dtype=maps[0].dtype)
    for one, place in zip(maps, _place(shapes, spatial_ndim), strict=True):
        joined[place] = one.reshape(joined[place].shape)
    return joined


def _places(image: NormalizedImage) -> Iterator[tuple[slice, ...]]:
    return _place(image.image_shapes, image.spatial_ndim)


def _place(shapes: Sequence[tuple[int, ...]], spatial_ndim: int) -> Iterator[tuple[slice, ...]]:
    """Yield where each image lies among all frames: its frames, and its part of these."""
    first = 0
    for shape in shapes:
        after = first + math.prod(shape[:-spatial_ndim])
        yield slice(first, after), *(slice(0, length) for length in shape[-spatial_ndim:])
        first = after
