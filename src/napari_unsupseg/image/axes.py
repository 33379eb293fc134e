"""Which axis of an array is what, and how to say it."""

from collections.abc import Sequence

import numpy as np

from napari_unsupseg._words import count
from napari_unsupseg.errors import ImageError

__all__ = [
    "CHANNELS",
    "LEADING",
    "SAMPLES",
    "axes_from_channel",
    "describe_axes",
    "format_shape",
    "labels_shape",
    "resolve_axes",
]

CHANNELS, SAMPLES = "c", "s"  # samples are those of a colour: red, green, blue and alpha
LEADING = "tzyx"  # the axes that are left when the channels are known, from the last
NAMES = {"z": "slice", "t": "time point"}
LETTERS = (
    "one letter an axis: y, x, c for channels, s for the samples of RGB, and z, t or any other "
    "for what runs over planes"
)


def resolve_axes(
    shape: Sequence[int], axes: str | None = None, channel_axis: int | None = None
) -> str:
    """Say what each axis of an array is, or refuse to guess.

    Parameters
    ----------
    shape : sequence of int
        Shape of the array.
    axes : str, optional
        One letter an axis, such as ``'zyx'`` or ``'tcyx'``: ``y`` and ``x`` of a plane, ``c`` for
        channels, ``s`` for the samples of RGB or RGBA; any other runs over planes.
    channel_axis : int, optional
        In place of `axes`: the axis that holds the channels. Those before the last two others run
        over planes.

    Returns
    -------
    str
        One letter an axis. If neither is given, two axes are ``'yx'``, and three whose last has a
        length of 3 or 4 are ``'yxs'``.

    Raises
    ------
    ImageError
        If the axes given do not fit, or none are given where they are needed.

    Examples
    --------
    >>> resolve_axes((512, 512, 3))
    'yxs'
    >>> resolve_axes((25, 2, 384, 384), channel_axis=1)
    'zcyx'
    """
    if axes is not None and channel_axis is not None:
        raise ImageError("axes and channel_axis both say where the channels are: give one of them")
    if axes is not None:
        return _check_letters(axes, shape)
    if channel_axis is not None:
        return axes_from_channel(shape, channel_axis)
    if len(shape) == 2:
        return "yx"
    # three or four slices would be the first axis, hardly the last
    if len(shape) == 3 and shape[-1] in (3, 4):
        return "yxs"
    raise ImageError(_ask_for_axes(shape))


def axes_from_channel(shape: Sequence[int], channel_axis: int) -> str:
    """Say what each axis is where it is known which holds the channels.

    Parameters
    ----------
    shape : sequence of int
        Shape of the array.
    channel_axis : int
        The axis that holds the channels.

    Returns
    -------
    str
        One letter an axis; three channels behind all other axes are taken for RGB.

    Raises
    ------
    ImageError
        If there is no such axis, or too few or too many others.
    """
    n_axes = len(shape)
    # True and False are integers to Python
    if isinstance(channel_axis, bool) or not isinstance(channel_axis, (int, np.integer)):
        raise ImageError(f"channel_axis must be a whole number or None, got {channel_axis!r}")
    if not -n_axes <= channel_axis < n_axes:
        raise ImageError(
            f"channel_axis {channel_axis} is not an axis of an image of shape {tuple(shape)}; "
            f"expected {-n_axes} to {n_axes - 1}"
        )
    if not 2 <= n_axes - 1 <= len(LEADING):
        raise ImageError(
            f"image has {count(n_axes - 1, 'axis')} beside its channels ({format_shape(shape)} in "
            f"all) where 2 to {len(LEADING)} were expected; name them all with axes, {LETTERS}"
        )
    position = int(channel_axis) % n_axes
    letters = list(LEADING[-(n_axes - 1) :])
    is_rgb = position == n_axes - 1 and shape[-1] == 3
    letters.insert(position, SAMPLES if is_rgb else CHANNELS)
    return "".join(letters)


def describe_axes(shape: Sequence[int], axes: str) -> str:
    """Say in words what an array is taken for.

    Parameters
    ----------
    shape : sequence of int
        Shape of the array.
    axes : str
        One letter for each of its axes, as `resolve_axes` returns them.

    Returns
    -------
    str
        How many planes, channels and pixels it has.

    Examples
    --------
    >>> describe_axes((25, 2, 384, 384), "zcyx")
    '25 slices × 2 channels × 384 × 384 pixels'
    """
    lengths = dict(zip(axes, shape, strict=True))
    parts = [
        count(lengths[axis], NAMES[axis])
        if axis in NAMES
        else f"{count(lengths[axis], 'plane')} along {axis}"
        for axis in axes
        if axis not in "csyx"
    ]
    if SAMPLES in lengths:
        parts.append("RGB" if lengths[SAMPLES] in (3, 4) else count(lengths[SAMPLES], "channel"))
    if CHANNELS in lengths:
        parts.append(count(lengths[CHANNELS], "channel"))
    return " × ".join([*parts, f"{lengths['y']} × {lengths['x']} pixels"])


def format_shape(shape: Sequence[int]) -> str:
    """Write a shape as people do.

    Parameters
    ----------
    shape : sequence of int
        Shape of an array.

    Returns
    -------
    str
        Such as ``512 × 512``.
    """
    return " × ".join(map(str, shape))


def labels_shape(shape: Sequence[int], axes: str) -> tuple[int, ...]:
    """Return the shape that labels of an image have: its own without channels.

    Parameters
    ----------
    shape : sequence of int
        Shape of the image.
    axes : str
        One letter for each of its axes, as `resolve_axes` returns them.

    Returns
    -------
    tuple of int
        The lengths of the other axes.

    Examples
    --------
    >>> labels_shape((25, 2, 384, 384), "zcyx")
    (25, 384, 384)
    """
    lengths = zip(axes, shape, strict=True)
    return tuple(length for axis, length in lengths if axis not in CHANNELS + SAMPLES)


def _check_letters(axes: str, shape: Sequence[int]) -> str:
    """Return the letters in lower case, or raise unless they can be the axes of the array."""
    if not isinstance(axes, str):
        raise ImageError(f"axes must be a text or None, {LETTERS}; got {axes!r}")
    letters = axes.lower()
    problem = ""
    if not letters.isalpha() or len(set(letters)) < len(letters):
        problem = "a letter twice, or something else than a letter"
    elif len(letters) != len(shape):
        needed = f"the {count(len(shape), 'axis')} of {format_shape(shape)}"
        problem = f"{count(len(letters), 'letter')} for {needed}"
    elif not letters.translate({ord(a): None for a in "cs"}).endswith("yx"):
        problem = "no y and x, in this order, behind all other axes but those of channels"
    elif {CHANNELS, SAMPLES} <= set(letters):
        problem = "both c and s"
    if problem:
        raise ImageError(f"axes {axes!r} has {problem}; expected {LETTERS}")
    return letters


def _ask_for_axes(shape: Sequence[int]) -> str:
    """Say what there is to say of the axes of an array that can be many things."""
    size = format_shape(shape)
    if len(shape) < 2:
        return f"image has {count(len(shape), 'axis')} ({size}) where 2 or more were expected"
    if len(shape) > 3:
        return (
            f"image has {len(shape)} axes ({size}): say what they are with axes, {LETTERS}, "
            "for example tzyx or zcyx"
        )
    return (
        f"image has 3 axes ({size}): say what they are with axes: zyx for a stack, tyx for a "
        "movie, cyx or yxc for channels"
    )
