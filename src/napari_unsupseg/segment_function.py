"""The function `segment`: an image goes in, labels come out, in one call."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unsupseg._typing import Labels
from napari_unsupseg.errors import SettingError
from napari_unsupseg.image.channels import (
    ImageChannels,
    split_annotation,
    split_channels,
    split_frames,
)
from napari_unsupseg.image.image_list import is_image_list
from napari_unsupseg.image.normalize import find_valid_pixels, no_pixel_error
from napari_unsupseg.image.tiling import check_large_image, is_large, load_if_small
from napari_unsupseg.options import (
    CutOptions,
    ImageOptions,
    ObjectOptions,
    check_flag,
    documented,
    is_cut,
    pick_options,
)
from napari_unsupseg.regions.hierarchy import check_cut, check_objects
from napari_unsupseg.regions.labels import stack_frames
from napari_unsupseg.regions.objects import link_objects
from napari_unsupseg.segmenter import Segmenter
from napari_unsupseg.settings import Settings

__all__ = ["label_frames", "segment"]


@documented(ImageOptions, CutOptions, ObjectOptions)
def segment(
    image: ArrayLike,
    *,
    objects: bool = False,
    joint: bool = True,
    device: str = "auto",
    preset: str = "standard",
    **options: Any,
) -> Any:
    """Segment an image that nobody has labelled, or several with the same clusters in all.

    Parameters
    ----------
    image : array_like, shape (Y, X), (Y, X, 3) or (Y, X, 4), or of more axes; or list of them
        Bool, integers or floats. Of a dask array of more than 2²⁵ values crops are trained on,
        and labels are a dask array too, computed chunk by chunk when they are asked for. A list of
        arrays is several images, which one network is trained on: see `Segmenter.fit`.
    {options}
    objects : bool
        Return objects, such as nuclei or particles, in place of clusters, touching ones apart;
        `min_size` is that of the smallest, and `split`, `max_size` and `exclude_border` say which.
    joint : bool
        Train one network on all planes of a series, or all its volumes, together, so that a
        cluster has the same number in each; False trains one on each by itself.
    device : str
        ``'auto'`` for the GPU if there is one, ``'cpu'``, ``'cuda'``, ``'mps'``, ``'xpu'``.
    preset : str
        Settings that go together, by a plain name, such as ``'paper-2018'``.
    **options
        Any of `Settings`, such as ``iterations=100`` or ``seed=1``.

    Returns
    -------
    ndarray of uint8, uint16 or uint32, shape (..., Y, X), or list of them
        Of several images a list in their order. Without the axis of channels. At most
        `final_clusters` clusters from 1, the darkest, each of segments that look alike and may lie
        in many places, or as many as strokes have labels if these are more, which keep their
        numbers; the network's own, 1 to q (`max_clusters`), if `final_clusters` or `settle` is 0. 0
        where a pixel takes no part; uint16 if q is above 255. With `granularity` or `n_segments`:
        segments, each a connected region with a number of its own. With `objects`: objects from 1,
        0 elsewhere, each with one number over the frames of a series as long as it overlaps itself.

    Raises
    ------
    ImageError
        If the image, its axes or its mask cannot be segmented, memory is too small, or what needs
        all of an image is asked for of one that is too large to be loaded.
    ImageDtypeError
        If the image holds anything but bool, integers or floats.
    SettingError
        If a setting or the preset is unknown, a value out of its range, or two kinds of labels are
        asked for.
    StrokesError
        If strokes do not fit the image or have a label above `max_clusters`.
    DeviceError
        If there is no such device.
    OutOfMemoryError
        If memory runs out during the run.

    References
    ----------
    .. [1] A. Kanezaki, "Unsupervised image segmentation by backpropagation",
       IEEE ICASSP 2018. :doi:`10.1109/ICASSP.2018.8462533`
    .. [2] W. Kim, A. Kanezaki, M. Tanaka, "Unsupervised learning of image segmentation based on
       differentiable feature clustering", IEEE TIP 29 (2020). :doi:`10.1109/TIP.2020.3011269`

    Examples
    --------
    >>> from skimage.data import coins
    >>> labels = segment(coins()[::4, ::4], iterations=5, superpixels=500)
    >>> labels.shape, labels.dtype
    ((76, 96), dtype('uint8'))
    >>> segments = segment(coins()[::4, ::4], n_segments=20, iterations=5, superpixels=500)
    >>> int(segments.max())
    20
    >>> objects = segment(coins()[::4, ::4], objects=True, iterations=5, superpixels=500)
    >>> int(objects.max()) > 10
    True
    """
    image_options, cut = pick_options(options, ImageOptions), pick_options(options, CutOptions)
    object_options = pick_options(options, ObjectOptions)
    check_flag("objects", objects)
    check_flag("joint", joint)
    _check_labels(cut, object_options, objects=objects)
    segmenter = Segmenter(Settings.from_preset(preset, options), device=device)
    min_size = segmenter.settings.min_size or None
    check_objects(min_size, **object_options)
    if objects:  # what is merged before they are found could be part of one
        segmenter.settings = dataclasses.replace(segmenter.settings, min_size=0)

    def labels_of(segmenter: Segmenter) -> Any:
        if not (objects or is_cut(cut)):
            return segmenter.labels_
        labels = [
            hierarchy.objects(min_size=min_size, **object_options)
            if objects
            else hierarchy.cut(**cut)
            for hierarchy in segmenter.hierarchies_
        ]
        return labels if is_image_list(image) else labels[0]

    if is_image_list(image) and not joint:
        raise SettingError(
            "images in a list are trained on together: with joint=False segment each by a call of "
            "its own"
        )
    if not joint:
        are_numbered = objects or is_cut(cut)
        labels = _segment_separately(segmenter, image, image_options, labels_of, are_numbered)
        return link_objects(labels, image_options.get("spatial_ndim", 2)) if objects else labels
    if is_large(image):
        check_large_image("image", **cut, objects=objects)
    return labels_of(segmenter.fit(image, **image_options))


def _check_labels(cut: CutOptions, object_options: ObjectOptions, *, objects: bool) -> None:
    """Refuse to be asked for two kinds of labels, or for some objects but not for objects."""
    check_cut(**cut)
    if objects and is_cut(cut):
        raise SettingError(
            f"objects and {' and '.join(cut)} ask for two kinds of labels: give one of them"
        )
    if object_options and not objects:
        raise SettingError(
            f"{' and '.join(object_options)}: for objects alone, give objects=True too"
        )


def _segment_separately(
    segmenter: Segmenter,
    image: ArrayLike,
    options: ImageOptions,
    labels_of: Callable[[Segmenter], Labels],
    are_numbered: bool,
) -> Labels:
    """Segment each frame of a series by a run of its own, with its part of mask and strokes."""

    def label_frame(frame: NDArray[np.generic], axes: str, mask: Any, strokes: Any) -> Labels:
        of_frame: ImageOptions = {
            **options, "axes": axes, "channel_axis": None, "mask": mask, "strokes": strokes
        }  # fmt: skip
        return labels_of(segmenter.fit(frame, **of_frame))

    channels = split_channels(
        load_if_small(image), options.get("axes"), options.get("channel_axis")
    )
    return label_frames(channels, label_frame, options, are_numbered=are_numbered)


def label_frames(
    image: ImageChannels,
    label_frame: Callable[[NDArray[np.generic], str, Any, Any], Labels | None],
    options: ImageOptions,
    *,
    are_numbered: bool,
) -> Labels:
    """Label each frame of a series by itself.

    Parameters
    ----------
    image : ImageChannels
        The series.
    label_frame : callable
        Takes a frame, shape (C, [Z,] Y, X), its axes, and its mask and strokes or None for them,
        and returns its labels, or None to leave it out. It is not asked for a frame of which no
        pixel takes part.
    options : dict
        What the series is; `spatial_ndim`, `mask` and `strokes` are read.
    are_numbered : bool
        Whether a label is a segment, whose number no segment of another frame may have.

    Returns
    -------
    ndarray of uint8, uint16 or uint32, shape (..., Y, X)
        Labels, 0 in frames that are left out.

    Raises
    ------
    ImageError
        If there are no such frames, no pixel of any takes part, or the mask or the strokes have
        another shape.
    """
    spatial_ndim = options.get("spatial_ndim", 2)
    frames, axes = split_frames(image, spatial_ndim)
    masks = split_annotation("mask", options.get("mask"), image, spatial_ndim)
    strokes = split_annotation("strokes", options.get("strokes"), image, spatial_ndim)
    take_part = [find_valid_pixels(*frame).any() for frame in zip(frames, masks, strict=True)]
    if not any(take_part):
        raise no_pixel_error(image.values)
    labels = []
    for frame, mask, drawn, takes_part in zip(frames, masks, strokes, take_part, strict=True):
        found = label_frame(frame, axes, mask, drawn) if takes_part else None
        labels.append(np.zeros(frame.shape[1:], dtype=np.uint8) if found is None else found)
    return stack_frames(labels, image.values.shape[1:-spatial_ndim], are_numbered=are_numbered)
