"""The stages of a run: at reduced size until labels settle, then at full size."""

import dataclasses
import math

from napari_unsupseg.settings import Settings

__all__ = ["COMPANION_ITERATIONS", "HISTORY_ITERATIONS", "MAX_WHOLE_PIXELS", "Stage", "plan_stages"]

REDUCED_PIXELS = 12_000  # about what a frame is reduced to, and what tiles have together
MAX_REDUCED_PIXELS = 2**15  # a reduced image of more is trained on in tiles
MAX_FACTOR = 4  # with a greater one small objects would be lost
WHOLE_PIXELS = 400**2  # what tiles have together if all iterations are at full size
MAX_WHOLE_PIXELS = 2**19  # an image of more is trained on in tiles; the paper's network takes 2 GB
FINISHING_ITERATIONS = 5  # at full size, after those at reduced size
COMPANION_ITERATIONS = 100  # of a companion; labels that settle at all have done so by then
# after which labels are kept: early ones tell fine differences, late ones great differences
HISTORY_ITERATIONS = (10, 15, 20, 30, 40, 60)


@dataclasses.dataclass(frozen=True)
class Stage:
    """Iterations at one size of the image.

    Attributes
    ----------
    factor : int
        Side of the blocks that the image is averaged over, in pixels; 1 is full size.
    max_pixels : int
        Pixels to train on: all of the image, or tiles of it if it has more at that size.
    iterations : int
        The most that the stage may take.
    settle : float
        Fraction of pixels: the stage ends when fewer have changed cluster in ten iterations. 0 for
        a stage that takes all its iterations.
    """

    factor: int
    max_pixels: int
    iterations: int
    settle: float


def plan_stages(
    frame_shape: tuple[int, ...], n_frames: int, settings: Settings, n_images: int = 1
) -> list[Stage]:
    """Divide a run into stages.

    Parameters
    ----------
    frame_shape : tuple of int
        Pixels along each axis of a frame, (Y, X) or (Z, Y, X).
    n_frames : int
        Frames of the image.
    settings : Settings
        T (`iterations`) and `settle` are read.
    n_images : int
        Images that these are the frames of. Each has a share of tiles as large as if it were alone,
        up to what memory allows.

    Returns
    -------
    list of Stage
        First to last: one at full size for a small image or where labels are not to settle, as in
        the paper; else one at reduced size and a short one at full size.
    """
    n_dim = len(frame_shape)
    frame_pixels = math.prod(frame_shape)
    n_pixels = frame_pixels * n_frames
    factor = min(MAX_FACTOR, round((frame_pixels / REDUCED_PIXELS) ** (1 / n_dim)))
    # a series of small frames has too many pixels together: it is "reduced" to tiles
    whole, reduced, max_reduced = (
        min(n_images * pixels, MAX_WHOLE_PIXELS)
        for pixels in (WHOLE_PIXELS, REDUCED_PIXELS, MAX_REDUCED_PIXELS)
    )
    is_small = factor <= 1 and (n_frames == 1 or n_pixels <= max_reduced)
    if is_small or not settings.settle or settings.iterations == 1:
        max_pixels = MAX_WHOLE_PIXELS if n_pixels <= MAX_WHOLE_PIXELS else whole
        return [Stage(1, max_pixels, settings.iterations, settings.settle)]
    factor = max(1, factor)
    n_reduced = n_pixels / factor**n_dim
    max_pixels = max_reduced if n_reduced <= max_reduced else reduced
    # a short run keeps most of its iterations for the reduced size, which is where it learns
    n_finishing = min(FINISHING_ITERATIONS, max(1, settings.iterations // 4))
    return [
        Stage(factor, max_pixels, settings.iterations - n_finishing, settings.settle),
        Stage(1, reduced, n_finishing, 0),
    ]
