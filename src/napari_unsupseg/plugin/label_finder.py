"""Finds labels in what a run has left, in another thread, as they were asked for last."""

from collections.abc import Callable, Mapping
from typing import Any

from napari.qt.threading import create_worker

from napari_unsupseg._typing import Labels
from napari_unsupseg.plugin.background import translate_worker_errors
from napari_unsupseg.plugin.session import LayerRun
from napari_unsupseg.regions.hierarchy import Hierarchy

__all__ = ["LabelFinder"]


class LabelFinder:
    """Finds labels, one search at a time; of those asked for meanwhile only the last is made.

    Parameters
    ----------
    find : callable
        A method of `Hierarchy` that returns labels of the image.
    on_found : callable
        Called with the run, the options and the labels.
    on_failed : callable
        Called with a sentence where there can be none.

    Attributes
    ----------
    is_searching : bool
        Whether labels are being found.
    """

    def __init__(
        self,
        find: Callable[..., Labels],
        on_found: Callable[[LayerRun, dict[str, Any], Labels], None],
        on_failed: Callable[[str], None],
    ) -> None:
        self._find_labels = find
        self._on_found = on_found
        self._on_failed = on_failed
        self.is_searching = False
        self._search: object | None = None  # the one whose labels are wanted
        self._next: tuple[LayerRun, dict[str, Any]] | None = None

    def find(self, run: LayerRun, options: dict[str, Any]) -> None:
        """Find labels as soon as an earlier search has ended.

        Parameters
        ----------
        run : LayerRun
            A run that has left a hierarchy.
        options : dict
            Keywords of the method.
        """
        if self.is_searching:
            self._next = run, options
            return
        assert run.result is not None
        assert run.result.hierarchy is not None
        self.is_searching = True
        search = self._search = object()

        def on_found(labels: Labels) -> None:
            if search is self._search:
                self._on_found(run, options, labels)

        def on_failed(error: Exception) -> None:
            if search is self._search:
                self._on_failed(str(error))

        create_worker(
            _find,
            self._find_labels,
            run.result.hierarchy,
            options,
            _connect={
                "returned": on_found,
                "errored": on_failed,
                "finished": self._on_end,
            },
        )

    def leave(self) -> None:
        """Tell nobody of what is being found: the panel is closed."""
        self._search, self._next = None, None

    def _on_end(self) -> None:
        self.is_searching = False
        if self._next is not None:
            waiting, self._next = self._next, None
            self.find(*waiting)


def _find(find: Callable[..., Labels], hierarchy: Hierarchy, options: Mapping[str, Any]) -> Labels:
    with translate_worker_errors("labels cannot be found: "):
        return find(hierarchy, **options)
