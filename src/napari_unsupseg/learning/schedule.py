"""The stages of a run: at reduced size until labels settle, then at full size."""

import dataclasses
import math

from napari_unsupseg.settings import Settings

__all__ = ["Stage", "plan_stages"]

REDUCED_PIXELS = 12_000  # about what an image is reduced to, and tiles of it have
MAX_REDUCED_PIXELS = 2**15  # beyond these tiles are trained on
GREATEST_FACTOR = 4  # beyond it small things would be lost
WHOLE_PIXELS = 400**2  # of tiles where all iterations are at full size, as in the paper
MAX_WHOLE_PIXELS = 2**19  # beyond these tiles are trained on; the paper's network takes 2 GB
FINISHING = 5  # iterations at full size


@dataclasses.dataclass(frozen=True)
class Stage:
    """Iterations at one size.

    Attributes
    ----------
    factor : int
        Side of the squares that the image is averaged over; 1 is full size.
    max_pixels : int
        Pixels to train on, in tiles if the image has more at that size.
    iterations : int
        The most that the stage may take.
    settle : float
        As in `Settings`.
    """

    factor: int
    max_pixels: int
    iterations: int
    settle: float


def plan_stages(frame_shape: tuple[int, ...], n_frames: int, settings: Settings) -> list[Stage]:
    """Divide a run into stages.

    Parameters
    ----------
    frame_shape : tuple of int
        Pixels along each axis of a frame.
    n_frames : int
        Frames of the image.
    settings : Settings
        T and `settle`.

    Returns
    -------
    list of Stage
        First to last.
    """
    of_frame = math.prod(frame_shape)
    n_pixels = of_frame * n_frames
    factor = min(GREATEST_FACTOR, round((of_frame / REDUCED_PIXELS) ** (1 / len(frame_shape))))
    is_small = factor <= 1 and (n_frames == 1 or n_pixels <= MAX_REDUCED_PIXELS)
    if is_small or not settings.settle or settings.iterations == 1:
        most = MAX_WHOLE_PIXELS if n_pixels <= MAX_WHOLE_PIXELS else WHOLE_PIXELS
        return [Stage(1, most, settings.iterations, settings.settle)]
    factor = max(1, factor)
    n_reduced = n_pixels / factor ** len(frame_shape)
    finishing = min(FINISHING, max(1, settings.iterations // 4))
    most = MAX_REDUCED_PIXELS if n_reduced <= MAX_REDUCED_PIXELS else REDUCED_PIXELS
    return [
        Stage(factor, most, settings.iterations - finishing, settings.settle),
        Stage(1, REDUCED_PIXELS, finishing, 0),
    ]
