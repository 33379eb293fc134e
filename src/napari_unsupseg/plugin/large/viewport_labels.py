"""Labels of a large image in a layer: made where they are looked at, and only there."""

import collections
import math
import time
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, QTimer

from napari_unsupseg.image.tiling import Slices, block_slices
from napari_unsupseg.plugin.large.pyramid import LabelPyramid
from napari_unsupseg.plugin.worker import translate_worker_errors

if TYPE_CHECKING:
    import napari.viewer

    from napari_unsupseg.learning.lazy_inference import LazyLabels

__all__ = ["ViewportLabeler"]

BLOCK = {2: 256, 3: 128}  # pixels along the sides of labels made in one go, at full size
LARGEST_BLOCK = {2: 1024, 3: 256}  # of the image, for labels at reduced size
DEPTH = 8  # slices of a block of a volume
LOOK_MS = 150  # from one look at what is on the screen to the next
REFRESH = 0.3  # seconds from one refresh of the screen to the next at least


class ViewportLabeler:
    """Fills a layer with the labels of what is on the screen, out of the window's way.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the layer is.
    layer : napari.layers.Labels
        It shows the pyramid.
    pyramid : LabelPyramid
        Where labels are put.
    labels : LazyLabels
        Where they come from.
    say : callable
        Told in a sentence how far it is.
    parent : QObject
        It lives no longer than that.
    """

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        layer: Labels,
        pyramid: LabelPyramid,
        labels: "LazyLabels",
        say: Callable[[str], None],
        parent: QObject,
    ) -> None:
        self._viewer = viewer
        self.layer = layer
        self._pyramid = pyramid
        self._labels = labels
        self._say = say
        self._wanted: collections.deque[tuple[int, Slices]] = collections.deque()
        self._done: set[tuple[int, tuple[int, ...]]] = set()
        self._is_working = self._is_over = False
        self._refreshed = 0.0
        self._last: tuple[int, list[slice]] | None = None
        self._timer = QTimer(parent)
        self._timer.timeout.connect(self._look)
        self._timer.start(LOOK_MS)

    def end(self) -> None:
        """Make no more labels; those there are stay."""
        self._is_over = True
        self._wanted.clear()

    def _look(self) -> None:
        """Want what is on the screen and not labelled yet, the middle first."""
        if self._is_over or self.layer not in self._viewer.layers:
            self._timer.stop()
            self.end()
            return
        seen = self._seen()
        if seen == self._last:
            return
        self._last = seen
        self._wanted = collections.deque(self._missing(*seen) if seen else [])
        self._work()

    def _work(self) -> None:
        """Begin to make what is wanted, unless that is going on."""
        if self._wanted and not self._is_working:
            self._is_working = True
            create_worker(
                self._make,
                _connect={
                    "yielded": self._on_made,
                    "returned": self._on_all_made,
                    "errored": self._on_errored,
                },
            )

    def _seen(self) -> tuple[int, list[slice]] | None:
        """Return the level that is on the screen, and which part of the image."""
        layer, dims = self.layer, self._viewer.dims
        axes = tuple(range(dims.ndim - 2, dims.ndim))
        if not layer.visible or dims.ndisplay != 2 or dims.displayed != axes:
            return None
        level = layer.data_level
        corners = layer.corner_pixels[:, -2:] * 2**level
        at = np.rint(layer.world_to_data(dims.point)).astype(int).tolist()[:-2]
        if self._pyramid.channels:
            at.pop(self._pyramid.channels[0])
        part = [slice(index, index + 1) for index in at]
        part += [slice(low, high + 2**level) for low, high in corners.T.tolist()]
        return level, part

    def _missing(self, level: int, part: list[slice]) -> list[tuple[int, Slices]]:
        """Return the blocks of a part that are not made yet, those in the middle first."""
        middle = _centre(part)
        places = [
            place
            for place in self._blocks(part, level)
            if (level, _corner(place)) not in self._done
        ]
        places.sort(key=lambda place: math.dist(_centre(place), middle))
        return [(level, place) for place in places]

    def _blocks(self, seen: Sequence[slice], level: int) -> list[Slices]:
        """Return the blocks of a level that a part of the image has a share in."""
        shape, ndim = self._pyramid.shape, self._labels.spatial_ndim
        side = min(BLOCK[ndim] << level, LARGEST_BLOCK[ndim])
        sides = [1] * (len(shape) - 2) + [side, side]
        if ndim == 3:
            sides[-3] = DEPTH
        return block_slices(shape, sides, within=seen)

    def _make(self) -> Generator[int, None, None]:
        """Make labels until none are wanted."""
        while True:
            try:
                level, place = self._wanted.popleft()
            except IndexError:  # also when another look has just wanted nothing
                return
            with translate_worker_errors():
                self._pyramid.write(place, self._labels.compute(place, 2**level), level)
            self._done.add((level, _corner(place)))
            yield len(self._wanted)

    def _on_made(self, n_left: int) -> None:
        if not self._is_over and time.perf_counter() - self._refreshed > REFRESH:
            self._refresh()
            self._say(f"labels of what is on the screen: {n_left} parts are left")

    def _on_all_made(self) -> None:
        self._is_working = False
        if self._is_over:
            return
        self._refresh()
        if self._wanted:  # since the last look
            self._work()
            return
        self._say("all that is on the screen is labelled; move or zoom, and the rest follows")

    def _on_errored(self, error: Exception) -> None:
        self._is_working = False
        if self._is_over:
            return
        self.end()
        show_error(str(error))
        self._say(str(error))

    def _refresh(self) -> None:
        self.layer.refresh(extent=False)
        self._refreshed = time.perf_counter()


def _corner(place: Slices) -> tuple[int, ...]:
    return tuple(along.start for along in place)


def _centre(place: Sequence[slice]) -> tuple[float, ...]:
    return tuple((along.start + along.stop) / 2 for along in place[-2:])
