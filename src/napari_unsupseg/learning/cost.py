"""What a run costs: memory and time, estimated before it begins."""

import math

from napari_unsupseg.learning.network import activation_bytes
from napari_unsupseg.learning.schedule import plan_stages
from napari_unsupseg.settings import Settings

__all__ = ["training_bytes"]


def training_bytes(
    n_channels: int,
    frame_shape: tuple[int, ...],
    n_frames: int,
    settings: Settings,
    *,
    is_whole: bool = False,
) -> int:
    """Estimate the memory that a run takes.

    Parameters
    ----------
    n_channels : int
        Channels of the image.
    frame_shape : tuple of int
        As in `plan_stages`.
    n_frames : int
        As in `plan_stages`.
    settings : Settings
        The settings.
    is_whole : bool
        Whether it trains on all of the image at full size whatever the settings, as a caller's
        module does; of its own maps nobody knows, and those of the components stand for them.

    Returns
    -------
    int
        Bytes: three copies of the image in float32, while it is prepared, and the greatest view's
        share.
    """
    n_pixels = math.prod(frame_shape) * n_frames
    view = (
        n_pixels
        if is_whole
        else max(
            min(stage.max_pixels, n_pixels // stage.factor ** len(frame_shape))
            for stage in plan_stages(frame_shape, n_frames, settings)
        )
    )
    return 12 * n_channels * n_pixels + activation_bytes(n_channels, view, settings)
