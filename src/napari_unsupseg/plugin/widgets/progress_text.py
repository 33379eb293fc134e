"""What the panel says of a run: how far it is, how fast, and how long it may take."""

import math

from napari_unsupseg.plugin.worker import RunUpdate
from napari_unsupseg.settings import Settings

__all__ = ["duration", "expected_seconds", "progress_text", "segments_text", "slow_notice"]

# of one iteration, fitted to seven networks on an AMD EPYC (AVX-512), times 1.7: a Xeon took 2.8
SECONDS_A_CHANNEL = 8.5e-9  # of a pixel: its activations
SECONDS_A_WEIGHT = 3.9e-11  # of a pixel: its multiplications
SECONDS_A_PIXEL = 2.5e-6  # of the image, once: superpixels, labels of all of it, segments
SETTLED = 60  # iterations in which most images settle
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


def progress_text(update: RunUpdate) -> str:
    """Say how far a run is.

    Parameters
    ----------
    update : Update
        From the run.

    Returns
    -------
    str
        One line on where it stands, one on its speed.
    """
    size = f" at 1/{update.factor} size" if update.factor > 1 else ""
    paused = "paused at " if update.is_paused else ""
    stands = (
        f"{paused}iteration {update.iteration} of at most {update.n_iterations}{size}, "
        f"{update.n_clusters} clusters"
    )
    speed = [update.where]
    if update.seconds and update.seconds_left is not None:
        speed.insert(0, f"{1 / update.seconds:.3g} iterations/s")
        speed.insert(1, f"at most {duration(update.seconds_left)} left")
    return f"{stands}\n{', '.join(speed)}"


def segments_text(update: RunUpdate) -> str:
    """Say how far segments are.

    Parameters
    ----------
    update : Update
        From the run, after its last iteration.

    Returns
    -------
    str
        A line.
    """
    share = update.hierarchy_share
    return "making segments…" + ("" if share is None else f" {share:.0%}")


def slow_notice(frame_shape: tuple[int, ...], n_frames: int, settings: Settings) -> str:
    """Warn of a run that would take long on a CPU, and say what to do.

    Parameters
    ----------
    frame_shape : tuple of int
        Pixels along each axis of a frame.
    n_frames : int
        Frames of the image.
    settings : Settings
        The settings.

    Returns
    -------
    str
        Empty if it would be quick.
    """
    seconds = expected_seconds(frame_shape, n_frames, settings)
    if seconds < SLOW:
        return ""
    remedy = "" if settings.settle else "set settle to 0.02 to end when labels have settled, or "
    return (
        f"On this CPU the run may take about {duration(seconds)}: {remedy}take a smaller image or "
        "a crop of it."
    )


def expected_seconds(frame_shape: tuple[int, ...], n_frames: int, settings: Settings) -> float:
    """Estimate how long a run takes on a CPU, within a factor of about two.

    Parameters
    ----------
    frame_shape : tuple of int
        Pixels along each axis of a frame.
    n_frames : int
        Frames of the image.
    settings : Settings
        The settings.

    Returns
    -------
    float
        Seconds, if labels settle as soon as those of most images.
    """
    from napari_unsupseg.learning.schedule import plan_stages

    n_pixels = math.prod(frame_shape) * n_frames
    window = 3 ** len(frame_shape)
    width, n_components = settings.filters, settings.components
    channels = n_components * width + settings.max_clusters
    weights = window * width**2 * (n_components - 1) + width * settings.max_clusters
    a_pixel: float = SECONDS_A_CHANNEL * channels + SECONDS_A_WEIGHT * weights
    trained_on = 0.0
    for stage in plan_stages(frame_shape, n_frames, settings):
        iterations = min(stage.iterations, SETTLED) if stage.settle else stage.iterations
        reduced = n_pixels / stage.factor ** len(frame_shape)
        trained_on += iterations * min(stage.max_pixels, reduced)
    return trained_on * a_pixel + n_pixels * SECONDS_A_PIXEL
