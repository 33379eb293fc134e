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

from napari_unsupseg._words import count
from napari_unsupseg.image.tiling import Slices, block_slices
from napari_unsupseg.plugin.background import translate_worker_errors
from napari_unsupseg.plugin.large.pyramid import LabelPyramid

if TYPE_CHECKING:
    import napari.viewer

    from napari_unsupseg.learning.lazy_inference import LazyLabels

__all__ = ["ViewportLabeler"]

# pixels along y and x of the blocks that are labelled one by one, by the axes of a frame
BLOCK_SIDE = {2: 256, 3: 128}  # at full size
MAX_BLOCK_SIDE = {2: 1024, 3: 256}  # at reduced size, in pixels of full size
BLOCK_DEPTH = 8  # slices of a block of a volume
POLL_MS = 150  # from one look at what is on the screen to the next
REFRESH_SECONDS = 0.3  # from one refresh of the screen to the next at least


class ViewportLabeler:
    """Fills a layer with the labels of what is on the screen, in another thread.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the layer is.
    layer : napari.layers.Labels
        It shows the pyramid.
    pyramid : LabelPyramid
        Where labels go.
    lazy_labels : LazyLabels
        Where they come from.
    show_status : callable
        Shows in a sentence how far it is.
    parent : QObject
        Labels are made no longer than it lives.
    """

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        layer: Labels,
        pyramid: LabelPyramid,
        lazy_labels: "LazyLabels",
        show_status: Callable[[str], None],
        parent: QObject,
    ) -> None:
        self._viewer = viewer
        self._layer = layer
        self._pyramid = pyramid
        self._lazy_labels = lazy_labels
        self._show_status = show_status
        # blocks to label, by level, the middle of the screen first; a worker takes them from the
        # left while the window replaces them, so each look at them must be a single call
        self._queue: collections.deque[tuple[int, Slices]] = collections.deque()
        self._labelled: set[tuple[int, tuple[int, ...]]] = set()  # blocks, by level and corner
        self._is_working = self._has_ended = False
        self._last_refresh = 0.0
        self._last_view: tuple[int, list[slice]] | None = None
        self._poll = QTimer(parent)
        self._poll.timeout.connect(self._on_poll)
        self._poll.start(POLL_MS)

    def end(self) -> None:
        """Make no more labels; those there are stay."""
        self._has_ended = True
        self._queue.clear()

    def _on_poll(self) -> None:
        """Queue what is on the screen and not labelled yet."""
        if self._has_ended or self._layer not in self._viewer.layers:
            self._poll.stop()
            self.end()
            return
        view = self._view()
        if view == self._last_view:
            return
        self._last_view = view
        self._queue = collections.deque(self._missing_blocks(*view) if view else [])
        self._start_worker()

    def _start_worker(self) -> None:
        """Have the queue worked off, unless a worker is at it."""
        if self._queue and not self._is_working:
            self._is_working = True
            create_worker(
                self._label_queue,
                _connect={
                    "yielded": self._on_block,
                    "returned": self._on_queue_empty,
                    "errored": self._on_errored,
                },
            )

    def _view(self) -> tuple[int, list[slice]] | None:
        """Return the level that is on the screen, and which part of the image at full size."""
        layer, dims = self._layer, self._viewer.dims
        in_plane = tuple(range(dims.ndim - 2, dims.ndim))
        if not layer.visible or dims.ndisplay != 2 or dims.displayed != in_plane:
            return None
        level = layer.data_level
        corners = layer.corner_pixels[:, -2:] * 2**level
        plane = np.rint(layer.world_to_data(dims.point)).astype(int).tolist()[:-2]
        if self._pyramid.channels:  # labels are those of all channels
            plane.pop(self._pyramid.channels[0])
        part = [slice(index, index + 1) for index in plane]
        part += [slice(low, high + 2**level) for low, high in corners.T.tolist()]
        return level, part

    def _missing_blocks(self, level: int, part: list[slice]) -> list[tuple[int, Slices]]:
        """Return the blocks of a part that are not labelled yet, those in the middle first."""
        middle = _centre(part)
        blocks = [
            block
            for block in self._blocks(part, level)
            if (level, _corner(block)) not in self._labelled
        ]
        blocks.sort(key=lambda block: math.dist(_centre(block), middle))
        return [(level, block) for block in blocks]

    def _blocks(self, part: Sequence[slice], level: int) -> list[Slices]:
        """Return the blocks of a level that a part of the image has a share in."""
        shape, ndim = self._pyramid.shape, self._lazy_labels.spatial_ndim
        side = min(BLOCK_SIDE[ndim] << level, MAX_BLOCK_SIDE[ndim])
        sides = [1] * (len(shape) - 2) + [side, side]
        if ndim == 3:
            sides[-3] = BLOCK_DEPTH
        return block_slices(shape, sides, within=part)

    def _label_queue(self) -> Generator[int, None, None]:
        """Label blocks until the queue is empty; yield how many are left."""
        while True:
            try:
                level, block = self._queue.popleft()
            except IndexError:  # also when the window has just replaced the queue by an empty one
                return
            with translate_worker_errors():
                labels = self._lazy_labels.compute(block, 2**level)
                self._pyramid.write(block, labels, level)
            self._labelled.add((level, _corner(block)))
            yield len(self._queue)

    def _on_block(self, n_left: int) -> None:
        is_due = time.perf_counter() - self._last_refresh > REFRESH_SECONDS
        if not self._has_ended and is_due:
            self._refresh()
            self._show_status(f"labels of what is on the screen: {count(n_left, 'part')} left")

    def _on_queue_empty(self) -> None:
        self._is_working = False
        if self._has_ended:
            return
        self._refresh()
        if self._queue:  # the user has moved on since
            self._start_worker()
            return
        self._show_status(
            "all that is on the screen is labelled; move or zoom, and the rest follows"
        )

    def _on_errored(self, error: Exception) -> None:
        self._is_working = False
        if self._has_ended:
            return
        self.end()
        show_error(str(error))
        self._show_status(str(error))

    def _refresh(self) -> None:
        self._layer.refresh(extent=False)
        self._last_refresh = time.perf_counter()


def _corner(block: Slices) -> tuple[int, ...]:
    return tuple(along.start for along in block)


def _centre(part: Sequence[slice]) -> tuple[float, ...]:
    """Return the middle of a part along y and x."""
    return tuple((along.start + along.stop) / 2 for along in part[-2:])
