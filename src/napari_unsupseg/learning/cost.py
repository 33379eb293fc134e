"""What a run costs: memory and time, estimated before it begins.

The panel asks while somebody types settings, so nothing here needs torch.
"""

import dataclasses
import math
import os
import sys
from typing import NamedTuple

from napari_unsupseg.learning.schedule import (
    COMPANION_ITERATIONS,
    HISTORY_ITERATIONS,
    Stage,
    plan_stages,
)
from napari_unsupseg.settings import Settings

__all__ = [
    "StageCost",
    "activation_bytes",
    "companion_seconds",
    "count_cores",
    "expected_seconds",
    "finishing_seconds",
    "hierarchy_bytes",
    "inference_bytes_per_pixel",
    "stage_costs",
    "training_bytes",
]

FLOAT32_BYTES = 4
# while the hierarchy is made: fitted to images of 512 to 4096 pixels a side, on 2 threads
WORKING_BYTES = 110_000_000  # of each network that trains beside others: blocks that torch keeps
BYTES_PER_PIXEL = 72  # of the image: segments, where they meet, and the sorting of that
BYTES_PER_INTENSITY = 14  # of each channel of a pixel: it, its colour, and a copy of both

# seconds of one iteration on a CPU: fitted to seven networks on an AMD EPYC with AVX-512, then
# times 1.7, since a Xeon took 2.8 times as long and the estimate is to be right within two
SECONDS_PER_CHANNEL = 8.5e-9  # and pixel: its activations
SECONDS_PER_WEIGHT = 3.9e-11  # and pixel: its multiplications
SECONDS_PER_PIXEL = 2.5e-6  # of the image, once: superpixels, labels of all of it, segments
TYPICAL_ITERATIONS = 50  # after which labels have settled: of micrographs sooner, photographs later


class StageCost(NamedTuple):
    """What a stage of a run costs on a CPU.

    Attributes
    ----------
    factor : int
        Pixels of the image along a side of each that is trained on.
    iterations : int
        Those that it takes on most images.
    iteration_seconds : float
        What one of them takes.
    """

    factor: int
    iterations: int
    iteration_seconds: float


def count_cores() -> int:
    """Return how many cores this process may use, of a container or a queue's job its share."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def training_bytes(
    n_channels: int,
    frame_shape: tuple[int, ...],
    n_frames: int,
    settings: Settings,
    *,
    n_threads: int,
    n_images: int = 1,
    is_whole: bool = False,
) -> int:
    """Estimate the memory that a run takes to train.

    Parameters
    ----------
    n_channels : int
        Channels of the image.
    frame_shape : tuple of int
        Pixels along each axis of a frame, (Y, X) or (Z, Y, X).
    n_frames : int
        Frames of the image.
    settings : Settings
        Those of the run.
    n_threads : int
        Networks that can train at the same time, once the first has settled.
    n_images : int
        Images that these are the frames of.
    is_whole : bool
        Whether the run trains on all of the image at full size whatever the settings, as it does
        with a caller's module, and has that network alone. Nobody knows the memory of that module's
        own maps; those of the paper's components stand for them.

    Returns
    -------
    int
        Bytes: three copies of the image in float32, which exist while it is prepared, and the
        activations of the stage with the most pixels, for each network that trains beside others.
    """
    n_pixels = math.prod(frame_shape) * n_frames
    n_trained, n_networks = n_pixels, 1
    if not is_whole:
        stages = plan_stages(frame_shape, n_frames, settings, n_images)
        n_trained = max(int(_sample_pixels(stage, frame_shape, n_frames)) for stage in stages)
        n_networks = _count_at_once(settings, n_threads)
    image_bytes = 3 * FLOAT32_BYTES * n_channels * n_pixels
    return image_bytes + n_networks * activation_bytes(n_channels, n_trained, settings)


def hierarchy_bytes(n_channels: int, n_pixels: int, settings: Settings, *, n_threads: int) -> int:
    """Estimate the memory that a run takes while its hierarchy is made.

    Parameters
    ----------
    n_channels : int
        Channels of the image.
    n_pixels : int
        Pixels of the image, of all its frames.
    settings : Settings
        Those of the run.
    n_threads : int
        Networks that can train at the same time.

    Returns
    -------
    int
        Bytes, the image and labels of the history among them.
    """
    n_snapshots = settings.networks * (len(HISTORY_ITERATIONS) + 1)
    label_bytes = 1 if settings.max_clusters < 2**8 else 2
    per_pixel = BYTES_PER_PIXEL + BYTES_PER_INTENSITY * n_channels + n_snapshots * label_bytes
    return _count_at_once(settings, n_threads) * WORKING_BYTES + per_pixel * n_pixels


def _count_at_once(settings: Settings, n_threads: int) -> int:
    """Return how many networks train at the same time, once the first has settled."""
    return max(1, min(settings.networks - 1, n_threads))


def activation_bytes(n_channels: int, n_pixels: int, settings: Settings) -> int:
    """Estimate the memory of the maps that one iteration of training makes.

    Parameters
    ----------
    n_channels : int
        Channels of the image.
    n_pixels : int
        Pixels that are trained on.
    settings : Settings
        M, p, q and K of the paper are read.

    Returns
    -------
    int
        Bytes. Autograd keeps two maps of each component and three of the classifier until the
        backward pass; that pass holds at most three more at a time. The vote has a row of q counts
        for each superpixel.
    """
    n_filters, n_clusters = settings.filters, settings.max_clusters
    n_stored = 2 * settings.components * n_filters + 3 * n_clusters
    values_per_pixel = n_channels + n_stored + 3 * max(n_filters, n_clusters)
    n_votes = min(settings.superpixels, n_pixels) * n_clusters
    return FLOAT32_BYTES * (n_pixels * values_per_pixel + n_votes)


def inference_bytes_per_pixel(
    n_features: int, n_clusters: int, feature_bytes: int, response_bytes: int
) -> int:
    """Estimate the memory that labelling a tile takes, for each of its pixels.

    Parameters
    ----------
    n_features, n_clusters : int
        p and q of the paper.
    feature_bytes, response_bytes : int
        Size of one feature and of one response: 2 for bfloat16, 4 for float32.

    Returns
    -------
    int
        Bytes: three maps of features, one of them a convolution's own copy, and two of responses.
    """
    return 3 * n_features * feature_bytes + 2 * n_clusters * response_bytes


def expected_seconds(
    frame_shape: tuple[int, ...], n_frames: int, settings: Settings, n_threads: int
) -> float:
    """Estimate how long a run takes on a CPU, within a factor of about two.

    Parameters
    ----------
    frame_shape : tuple of int
        Pixels along each axis of a frame, (Y, X) or (Z, Y, X).
    n_frames : int
        Frames of the image.
    settings : Settings
        Those of the run.
    n_threads : int
        Cores.

    Returns
    -------
    float
        Seconds, if labels settle as soon as those of most images.
    """
    training = _training_seconds(frame_shape, n_frames, settings)
    companions = companion_seconds(frame_shape, n_frames, settings, n_threads)
    return training + companions + finishing_seconds(frame_shape, n_frames)


def companion_seconds(
    frame_shape: tuple[int, ...], n_frames: int, settings: Settings, n_threads: int
) -> float:
    """Estimate how long all networks of a run but the first take on a CPU.

    Parameters
    ----------
    frame_shape, n_frames, settings
        As in `expected_seconds`.
    n_threads : int
        Networks that train at the same time.

    Returns
    -------
    float
        Seconds; 0 if there is no other network.
    """
    iterations = min(settings.iterations, COMPANION_ITERATIONS)
    own = dataclasses.replace(settings, iterations=iterations)
    n_turns = math.ceil((settings.networks - 1) / n_threads)
    return n_turns * _training_seconds(frame_shape, n_frames, own)


def _training_seconds(frame_shape: tuple[int, ...], n_frames: int, settings: Settings) -> float:
    """Return what all iterations of one network take."""
    stages = stage_costs(frame_shape, n_frames, settings)
    return sum(stage.iterations * stage.iteration_seconds for stage in stages)


def finishing_seconds(frame_shape: tuple[int, ...], n_frames: int) -> float:
    """Estimate how long all takes on a CPU that a run does but train networks.

    Parameters
    ----------
    frame_shape, n_frames
        As in `expected_seconds`.

    Returns
    -------
    float
        Seconds.
    """
    return math.prod(frame_shape) * n_frames * SECONDS_PER_PIXEL


def stage_costs(frame_shape: tuple[int, ...], n_frames: int, settings: Settings) -> list[StageCost]:
    """Estimate what each stage of a run costs on a CPU.

    Parameters
    ----------
    frame_shape, n_frames, settings
        As in `expected_seconds`.

    Returns
    -------
    list of StageCost
        First to last.
    """
    kernel_size: int = 3 ** len(frame_shape)
    n_filters, n_components = settings.filters, settings.components
    n_channels = n_components * n_filters + settings.max_clusters
    n_weights = kernel_size * n_filters**2 * (n_components - 1) + n_filters * settings.max_clusters
    seconds = SECONDS_PER_CHANNEL * n_channels + SECONDS_PER_WEIGHT * n_weights
    return [
        StageCost(
            stage.factor,
            # a stage that does not settle takes all of its iterations
            min(stage.iterations, TYPICAL_ITERATIONS) if stage.settle else stage.iterations,
            _sample_pixels(stage, frame_shape, n_frames) * seconds,
        )
        for stage in plan_stages(frame_shape, n_frames, settings)
    ]


def _sample_pixels(stage: Stage, frame_shape: tuple[int, ...], n_frames: int) -> float:
    """Return how many pixels a stage trains on; the borders of squares are left out of account."""
    n_reduced = math.prod(frame_shape) * n_frames / float(stage.factor) ** len(frame_shape)
    return min(stage.max_pixels, n_reduced)
