"""How long a run may take: by what its image has, then by what its iterations have taken."""

import dataclasses
from typing import Self

from napari_unsupseg.learning.cost import (
    companion_seconds,
    count_cores,
    finishing_seconds,
    stage_costs,
)
from napari_unsupseg.plugin.layers import training_frames
from napari_unsupseg.plugin.run_data import Phase, RunRequest, RunUpdate
from napari_unsupseg.settings import Settings

__all__ = ["RunEstimate"]

LONGER = 4  # a stage past what most images need is taken to go on for a quarter of its time so far


class RunEstimate:
    """What a run has left to do, and how fast this computer does it now.

    Parameters
    ----------
    frame_shape : tuple of int
        Pixels along each axis of a frame.
    n_frames : int
        Frames of the image.
    settings : Settings
        Those of the run.

    Attributes
    ----------
    slowness : float or None
        Times as long as was expected that an iteration takes; None before the first ones.

    Examples
    --------
    >>> estimate = RunEstimate((100, 100), 1, Settings(iterations=40, settle=0))
    >>> estimate.seconds_left() is None
    True
    >>> for iteration in (1, 31):
    ...     estimate.add(
    ...         RunUpdate(
    ...             Phase.TRAINING, iteration, 40, 5, 0.1, 1, "cpu", iteration_seconds=0.5
    ...         )
    ...     )
    >>> estimate.seconds_left() > 10 * 0.5  # and what follows the iterations
    True
    """

    def __init__(self, frame_shape: tuple[int, ...], n_frames: int, settings: Settings) -> None:
        self._size, self._settings = (frame_shape, n_frames), settings
        self._stages = stage_costs(frame_shape, n_frames, settings)
        self._share: float | None = None  # that is done of what follows the iterations
        self._device = "cpu"
        self._current = 0  # the stage under way
        self._begun: int | None = None  # its first iteration
        self._iteration = 0
        self.slowness: float | None = None

    @classmethod
    def of(cls, request: RunRequest) -> Self:
        """Return the estimate of a run before its first iteration.

        Parameters
        ----------
        request : RunRequest
            What is to be run.

        Returns
        -------
        RunEstimate
            Without a slowness.
        """
        spatial_ndim = request.options.get("spatial_ndim", 2)
        frame_shape, n_frames = training_frames(request.image, request.axes, spatial_ndim)
        if request.region is not None:
            sides = [along.stop - along.start for along in request.region]
            frame_shape = (*frame_shape[: -len(sides)], *sides)
        settings, previous = request.settings, request.previous
        if previous is not None and previous.hierarchy is not None:  # its other networks stay
            settings = dataclasses.replace(settings, networks=1)
        return cls(frame_shape, n_frames, settings)

    def add(self, update: RunUpdate) -> None:
        """Take over how far the run is.

        Parameters
        ----------
        update : RunUpdate
            From the run.
        """
        self._device = update.device
        if update.phase is Phase.PREDICTING:  # trained on a region, of an image of any size
            self._begun = None
        elif update.phase is Phase.SEGMENTING:
            self._share = update.share or self._share or 0.0
        if update.phase is not Phase.TRAINING:
            return
        if update.factor != self._stages[self._current].factor:  # also back, for new strokes
            factors = [stage.factor for stage in self._stages]
            self._current, self._begun = factors.index(update.factor), None
        if self._begun is None:
            self._begun = update.iteration
        self._iteration = update.iteration
        # the few iterations at full size are timed with what prepares them
        if update.iteration_seconds is not None and (self.slowness is None or not self._current):
            expected = self._stages[self._current].iteration_seconds
            self.slowness = update.iteration_seconds / expected

    def seconds_left(self) -> float | None:
        """Estimate how long the run may still take, if it settles as most do; None at first."""
        if self.slowness is None or self._begun is None:
            return None
        if self._share is not None:
            return (1 - self._share) * self._seconds_after()
        current, *later = self._stages[self._current :]
        n_done = self._iteration - self._begun
        n_left = max(current.iterations - n_done, n_done // LONGER)
        training = n_left * current.iteration_seconds
        training += sum(stage.iterations * stage.iteration_seconds for stage in later)
        return training * self.slowness + self._seconds_after()

    def _seconds_after(self) -> float:
        """Estimate what follows the iterations: other networks, then what is done on the CPU."""
        assert self.slowness is not None
        is_on_cpu = self._device == "cpu"
        n_threads = count_cores() if is_on_cpu else 1
        companions = companion_seconds(*self._size, self._settings, n_threads)
        finishing = finishing_seconds(*self._size)
        return companions * self.slowness + finishing * (self.slowness if is_on_cpu else 1.0)
