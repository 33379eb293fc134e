"""What the panel says of a run: how far it is, how fast, and how long it may take."""

from collections.abc import Mapping

import numpy as np

from napari_unsupseg._typing import Labels
from napari_unsupseg._words import count
from napari_unsupseg.image.axes import format_shape
from napari_unsupseg.plugin.run_data import Phase, RunResult, RunUpdate
from napari_unsupseg.settings import Settings

__all__ = ["duration", "objects_text", "plan_text", "progress_text", "result_text", "slow_notice"]

MOST = 0.5  # of an image that objects rarely have
WHOLE = 0.1  # of an image that a single object rarely has
SLOW = 60  # seconds; a run that may take longer is announced


def duration(seconds: float) -> str:
    """Say how long something takes, roughly.

    Parameters
    ----------
    seconds : float
        How long.

    Returns
    -------
    str
        One number and its unit.

    Examples
    --------
    >>> duration(0.4), duration(42), duration(200), duration(9000)
    ('1 s', '42 s', '3 min', '2.5 h')
    """
    if seconds < 99.5:
        return f"{max(1, round(seconds))} s"
    if seconds < 99.5 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def progress_text(update: RunUpdate, image_name: str, seconds_left: float | None = None) -> str:
    """Say how far a run is.

    Parameters
    ----------
    update : RunUpdate
        From the run.
    image_name : str
        Name of the image.
    seconds_left : float, optional
        What the run may still take, if it goes as most do.

    Returns
    -------
    str
        While it trains, one line on where it stands and one on its speed; after that, one line on
        what it makes.
    """
    if update.phase is Phase.PREDICTING:
        return f"finding the clusters in all of {image_name}…"
    if update.phase is Phase.SEGMENTING:
        share = "" if update.share is None else f" {update.share:.0%}"
        time = "" if seconds_left is None else f", about {duration(seconds_left)} left"
        return f"making segments…{share}{time}"
    size = f" at 1/{update.factor} size" if update.factor > 1 else ""
    paused = "paused at " if update.phase is Phase.PAUSED else ""
    stands = (
        f"{paused}iteration {update.iteration} of at most {update.n_iterations}{size}, "
        f"{count(update.n_clusters, 'cluster')}"
    )
    speed = [update.device]
    if update.iteration_seconds and update.seconds_left is not None:
        speed.insert(0, f"{1 / update.iteration_seconds:.3g} iterations/s")
        left = [] if seconds_left is None else [f"about {duration(seconds_left)} left"]
        # what most images need can be more than is left of the iterations, with what follows them
        if seconds_left is None or update.seconds_left > seconds_left:
            most = f"at most {duration(update.seconds_left)} of training"
            left.append(most if left else f"{most} left")
        speed[1:1] = left
    return f"{stands}\n{', '.join(speed)}"


def result_text(result: RunResult) -> str:
    """Say what a run has left behind.

    Parameters
    ----------
    result : RunResult
        The result of the run.

    Returns
    -------
    str
        A line; it names what was left off because the run was stopped.
    """
    record = result.record
    has_segments = result.hierarchy is not None or result.lazy_labels is not None
    left_off = ""
    if not result.covers_image:
        left_off = ", found only where it has trained"
    elif not has_segments:
        left_off = ", no segments: stopped while they were made"
    return (
        f"{count(record['clusters'], 'cluster')} after "
        f"{count(record['iterations'], 'iteration')}{left_off}"
    )


def plan_text(
    frame_shape: tuple[int, ...], n_frames: int, channels: str, part: str, seconds: float | None
) -> str:
    """Say what *Run* will do.

    Parameters
    ----------
    frame_shape : tuple of int
        Pixels along each axis of a frame.
    n_frames : int
        Frames of the image.
    channels : str
        How many channels it has, in words.
    part : str
        What of it the network trains on; empty for all of it.
    seconds : float or None
        How long it may take; None if that is not known.

    Returns
    -------
    str
        A line.

    Examples
    --------
    >>> plan_text((512, 512), 48, "1 channel", "", 130)
    'Run segments 48 frames of 512 × 512 pixels, 1 channel: about 2 min'
    >>> plan_text((20, 90, 80), 1, "2 channels", "selected rectangle", None)
    'Run segments 20 × 90 × 80 voxels, 2 channels, and trains on the selected rectangle'
    """
    frames = f"{count(n_frames, 'frame')} of " if n_frames > 1 else ""
    unit = "pixels" if len(frame_shape) == 2 else "voxels"
    size = f"{frames}{format_shape(frame_shape)} {unit}, {channels}"
    trained_on = part if part.startswith("what") else f"the {part}"
    where = f", and trains on {trained_on}" if part else ""
    time = "" if seconds is None else f": about {duration(seconds)}"
    return f"Run segments {size}{where}{time}"


def slow_notice(seconds: float, settings: Settings) -> str:
    """Warn of a run that would take long on a CPU, and say what to do.

    Parameters
    ----------
    seconds : float
        How long it may take.
    settings : Settings
        The settings.

    Returns
    -------
    str
        Empty if it would be quick.
    """
    if seconds < SLOW:
        return ""
    remedy = "" if settings.settle else "set settle to 0.02 to end when labels have settled, or "
    return (
        f"On this CPU the run may take about {duration(seconds)}: {remedy}take a smaller image or "
        "a crop of it."
    )


def objects_text(objects: Labels, options: Mapping[str, object]) -> str:
    """Say how many objects there are, and what to do where they are hardly what was meant.

    Parameters
    ----------
    objects : ndarray of unsigned integers, shape (..., Y, X)
        Objects from 1, without gaps.
    options : mapping of str to object
        The keywords of `Hierarchy.objects` that they were found by.

    Returns
    -------
    str
        A sentence.

    Examples
    --------
    >>> objects_text(np.array([[0, 0, 1, 2, 0]], dtype=np.uint8), {})
    '2 objects'
    >>> objects_text(np.array([[1, 1, 0]], dtype=np.uint8), {})  # doctest: +ELLIPSIS
    '1 object, 67% of the image: if this is the ground, ...'
    """
    n_objects = int(objects.max(initial=0))
    is_chosen = bool(options.keys() & {"foreground", "strokes"})  # what they are made of
    other = 'under "made of" choose the clusters that objects are made of, or strokes'
    if not n_objects:
        if options.keys() & {"min_size", "max_size", "exclude_border"}:
            limits = '"smallest", "largest" or "not at the border"'
            return f"no objects: none has such a size and place; change {limits}"
        if is_chosen:
            return "no objects: nothing is left of what they are made of; choose or draw other ones"
        return f"no objects: nothing stands out as round things do; {other}"
    share = np.count_nonzero(objects) / objects.size
    sentence = count(n_objects, "object")
    if share > MOST and not is_chosen:
        sentence += f", {share:.0%} of the image: if this is the ground, {other}"
    elif n_objects == 1 and share > WHOLE:
        sentence += (
            f', {share:.0%} of the image: if these are several, move "split touching" to the right'
            f"{'' if is_chosen else f', or {other}'}"
        )
    return sentence
