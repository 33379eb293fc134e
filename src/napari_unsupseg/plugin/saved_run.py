"""A run in a file with what the panel shows of it: layers, controls, strokes, earlier labels."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from napari.layers import Image
from napari.utils.colormaps import AVAILABLE_COLORMAPS
from numpy.typing import ArrayLike, NDArray

from napari_unsupseg._typing import Labels
from napari_unsupseg.errors import FileError, first_line
from napari_unsupseg.image.axes import SAMPLES, labels_shape
from napari_unsupseg.io.run_archive import (
    holds_run,
    pack_arrays,
    pack_json,
    read_part,
    unpack_arrays,
    write_archive,
)
from napari_unsupseg.plugin.label_history import LabelHistory
from napari_unsupseg.plugin.layout import Layout
from napari_unsupseg.plugin.run_data import RunLeg, RunResult, TrainingCurve
from napari_unsupseg.plugin.saved_edits import pack_edits, unpack_edits
from napari_unsupseg.plugin.saved_labels import place_of
from napari_unsupseg.plugin.training_region import Region
from napari_unsupseg.regions.edits import EditHistory
from napari_unsupseg.regions.labels import count_labels

if TYPE_CHECKING:
    from napari_unsupseg.segmenter import Segmenter

__all__ = [
    "PanelState",
    "SavedView",
    "WholeImage",
    "image_keywords",
    "image_layer",
    "read_run",
    "write_run",
]

HEADER_PART, ARRAYS_PART = "panel.json", "panel.safetensors"


@dataclasses.dataclass(frozen=True, eq=False)
class SavedView:
    """What the layer of a view shows.

    Attributes
    ----------
    labels : ndarray of unsigned integers, shape (..., Y, X)
        Its labels as they are, without `edits`.
    written : ndarray of unsigned integers, shape (..., Y, X)
        As they were made; the same array but of clusters that were changed by hand.
    record : dict
        How they were made, and what users have called them; fit for JSON.
    sentence : str
        What the panel says of them.
    names : dict of int to str
        Names that labels were given as they were made.
    edits : EditHistory
        What the user has corrected of segments or objects.
    """

    labels: Labels
    written: Labels
    record: dict[str, Any]
    sentence: str
    names: dict[int, str]
    edits: EditHistory = dataclasses.field(default_factory=EditHistory)


class WholeImage(NamedTuple):
    """The image of a run that has trained on a region of it; the run itself knows that alone.

    Attributes
    ----------
    pixels : array_like
        Data of its layer.
    axes : str
        One letter for each of their axes.
    region : tuple of slice
        Where the run has trained, along y and x.
    """

    pixels: ArrayLike
    axes: str
    region: Region


@dataclasses.dataclass(frozen=True, eq=False)
class PanelState:
    """What the panel shows of a run, beside what the run itself holds.

    Attributes
    ----------
    name : str
        Name of the image.
    layer : dict
        Keywords of its layer, fit for JSON.
    curve : TrainingCurve
        Clusters and loss by iteration.
    view : str
        Name of the view that is seen.
    views : dict of str to SavedView
        What its views show, by their names.
    controls : dict
        What its controls say, fit for JSON.
    strokes : ndarray of unsigned integers, shape (..., Y, X), or None
        What is drawn on the image.
    kinds : dict of int to str
        Names of what is drawn, by label.
    whole : WholeImage or None
        All of the image, where the run has trained on a region.
    """

    name: str
    layer: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    curve: TrainingCurve = dataclasses.field(default_factory=TrainingCurve)
    view: str = "CLUSTERS"
    views: Mapping[str, SavedView] = dataclasses.field(default_factory=dict)
    controls: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    strokes: Labels | None = None
    kinds: Mapping[int, str] = dataclasses.field(default_factory=dict)
    whole: WholeImage | None = None


def write_run(path: Path, result: RunResult, state: PanelState) -> None:
    """Write a run to a file, which scripts can open too.

    Parameters
    ----------
    path : Path
        The file to write or replace.
    result : RunResult
        The run.
    state : PanelState
        What the panel shows of it.

    Raises
    ------
    UnsupsegError
        If the run cannot be saved, or the file not be written.
    """
    history = result.history.entries
    edits = {name: pack_edits(view.edits, f"edits.{name}.") for name, view in state.views.items()}
    header = {
        "name": state.name,
        "layer": state.layer,
        "record": result.record,
        "legs": [dataclasses.asdict(leg) for leg in result.legs],
        "is_steered": result.is_steered,
        "curve": dataclasses.asdict(state.curve),
        "history_bytes": result.history.max_bytes,
        "history": [[iteration, shape, dtype.str] for iteration, _, shape, dtype in history],
        "view": state.view,
        "views": {
            name: {
                "record": view.record,
                "sentence": view.sentence,
                "names": view.names,
                "edits": edits[name][0],
            }
            for name, view in state.views.items()
        },
        "controls": state.controls,
        "kinds": dict(state.kinds),
    }
    arrays: dict[str, NDArray[Any]] = {
        f"history.{index}": np.frombuffer(packed, np.uint8)
        for index, (_, packed, *_) in enumerate(history)
    }
    for name, view in state.views.items():
        arrays[f"views.{name}.labels"] = view.labels
        if view.written is not view.labels:
            arrays[f"views.{name}.written"] = view.written
        arrays |= edits[name][1]
    if state.strokes is not None:
        arrays["strokes"] = state.strokes
    if state.whole is not None:
        arrays["pixels"] = np.asarray(state.whole.pixels)
        header["whole"] = {
            "axes": state.whole.axes,
            "region": [[along.start, along.stop] for along in state.whole.region],
            "covers_image": result.covers_image,
            "has_segments": result.hierarchy is not None,
        }
    parts = {HEADER_PART: pack_json(header), ARRAYS_PART: pack_arrays(arrays)}
    write_archive(path, result.segmenter.run_parts() | parts)


def read_run(path: Path, device: str, history_bytes: int) -> tuple[RunResult, PanelState]:
    """Read a run from a file that `write_run` or a script has written.

    Parameters
    ----------
    path : Path
        The file.
    device : str
        Where to train on: ``auto``, or one that PyTorch knows.
    history_bytes : int
        Memory that the history of labels may take, of a run of a script.

    Returns
    -------
    RunResult, PanelState
        The run, and what the panel is to show of it.

    Raises
    ------
    UnsupsegError
        If there is no such run in the file, or the panel cannot show it.
    """
    # here, not above: PyTorch takes seconds to load and the window must not wait
    from napari_unsupseg.segmenter import Segmenter

    segmenter = Segmenter.load(path, device=device)  # it says what is wrong with any other file
    if not holds_run(path):
        raise FileError(
            f"{path}: is a network alone, without the run that it is of: press Load… under "
            "Trained network"
        )
    if len(segmenter.given_) > 1:
        raise FileError(
            f"{path}: is a run on {len(segmenter.given_)} images, and the panel shows one: open "
            "it in Python, with Segmenter.load"
        )
    try:
        header = json.loads(read_part(path, HEADER_PART))
    except KeyError:
        return _result_of_script(segmenter, history_bytes), PanelState(path.stem)
    except Exception as error:  # a file that is not as it was written can be wrong in any way
        raise _damaged(path, error) from error
    try:
        arrays = unpack_arrays(read_part(path, ARRAYS_PART))
        whole = _restore_whole(segmenter, header, arrays)
        pixels, axes = _layer_data(segmenter, whole)
        shape = labels_shape(pixels.shape, axes)
        is_of_image = (
            array.shape == shape and array.dtype.kind == "u"
            for name, array in arrays.items()
            if not name.startswith(("history.", "edits.", "pixels"))
        )
        if not all(is_of_image):
            raise ValueError("its layers are not of its image")
        state = dataclasses.replace(_restore_state(header, arrays), whole=whole)
        _check_edits(segmenter, state)
        return _restore_result(segmenter, header, arrays, whole), state
    except Exception as error:
        raise _damaged(path, error) from error


def image_keywords(image: Image) -> dict[str, Any]:
    """Return where the layer of an image lies, and in which colours it is seen.

    Parameters
    ----------
    image : napari.layers.Image
        The layer.

    Returns
    -------
    dict
        Keywords of `napari.layers.Image`, fit for JSON.
    """
    colours: dict[str, Any] = {}
    if not image.rgb:
        colours["contrast_limits"] = [float(limit) for limit in image.contrast_limits]
        if image.colormap.name in AVAILABLE_COLORMAPS:
            colours["colormap"] = image.colormap.name
    return place_of(image) | colours


def image_layer(segmenter: "Segmenter", state: PanelState) -> tuple[Image, str]:
    """Make a layer of the image of a run that was opened.

    Parameters
    ----------
    segmenter : Segmenter
        It has the run, of one image.
    state : PanelState
        Where the layer was.

    Returns
    -------
    napari.layers.Image, str
        The layer, and one letter for each axis of its data.
    """
    pixels, axes = _layer_data(segmenter, state.whole)
    is_rgb = segmenter.image_.is_rgb
    layer_axes = tuple(axes[:-1] if is_rgb else axes)
    keywords = {"axis_labels": layer_axes, **state.layer}
    return Image(pixels, name=state.name, rgb=is_rgb, **keywords), axes


def _layer_data(segmenter: "Segmenter", whole: WholeImage | None) -> tuple[NDArray[Any], str]:
    """Return the pixels of an image, colours last, and one letter for each of their axes."""
    if whole is not None:
        return np.asarray(whole.pixels), whole.axes
    [(pixels, axes)] = segmenter.given_
    assert pixels is not None, "a file has them"
    if segmenter.image_.is_rgb:  # napari wants colours last
        pixels = np.moveaxis(pixels, axes.index(SAMPLES), -1)
        axes = axes.replace(SAMPLES, "") + SAMPLES
    return pixels, axes


def _check_edits(segmenter: "Segmenter", state: PanelState) -> None:
    """Raise unless corrections fit the layers that they are of."""
    pixels, axes = _layer_data(segmenter, state.whole)
    layout = Layout(pixels.shape, axes, segmenter.image_.is_rgb)
    for view in state.views.values():
        view.edits.apply(layout.to_layer(view.labels))


def _result_of_script(segmenter: "Segmenter", history_bytes: int) -> RunResult:
    """Return what a run that never was in the panel would have left there."""
    labels, is_steered = segmenter.labels_, segmenter.strokes is not None
    history = LabelHistory(history_bytes)
    history.add(segmenter.n_iterations_, labels)
    record = segmenter.record() | {
        "iterations": segmenter.n_iterations_,
        "clusters": count_labels(labels),
        "strokes": is_steered,
    }
    leg = RunLeg(segmenter.n_iterations_, not segmenter.iterations_left_)
    return RunResult(record, segmenter.hierarchy_, history, segmenter, (leg,), is_steered)


def _restore_whole(
    segmenter: "Segmenter", header: dict[str, Any], arrays: dict[str, NDArray[Any]]
) -> WholeImage | None:
    """Return all of the image of a run on a region; None of a run on all of it."""
    if "whole" not in header:
        return None
    pixels, axes = arrays["pixels"], header["whole"]["axes"]
    rows, columns = (slice(*ends) for ends in header["whole"]["region"])
    trained_on = np.empty(labels_shape(pixels.shape, axes), bool)[..., rows, columns]
    if trained_on.shape != segmenter.image_.valid.shape:
        raise ValueError("its region is not of its image")
    return WholeImage(pixels, axes, (rows, columns))


def _restore_result(
    segmenter: "Segmenter",
    header: dict[str, Any],
    arrays: dict[str, NDArray[Any]],
    whole: WholeImage | None,
) -> RunResult:
    """Return the result of a run as the panel had it."""
    history = LabelHistory(header["history_bytes"])
    history.entries = [
        (iteration, arrays[f"history.{index}"].tobytes(), tuple(shape), np.dtype(dtype))
        for index, (iteration, shape, dtype) in enumerate(header["history"])
    ]
    legs = tuple(RunLeg(**leg) for leg in header["legs"])
    result = RunResult(header["record"], None, history, segmenter, legs, header["is_steered"])
    if whole is None:
        return dataclasses.replace(result, hierarchy=segmenter.hierarchy_)
    hierarchy = None
    if header["whole"]["has_segments"]:  # as the run has made them
        spacing = segmenter.image_.spacing or None
        hierarchy = segmenter.predict_hierarchy(whole.pixels, axes=whole.axes, spacing=spacing)
    covers_image = header["whole"]["covers_image"]
    return dataclasses.replace(result, hierarchy=hierarchy, covers_image=covers_image)


def _restore_state(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> PanelState:
    """Return what the panel showed."""
    views = {}
    for name, view in header["views"].items():
        labels = arrays[f"views.{name}.labels"]
        written = arrays.get(f"views.{name}.written", labels)
        record = view["record"]
        for given in {"names", "classes"} & record.keys():
            record[given] = _by_label(record[given])
        names = _by_label(view["names"])
        edits = unpack_edits(view.get("edits", []), arrays, f"edits.{name}.")
        views[name] = SavedView(labels, written, record, view["sentence"], names, edits)
    return PanelState(
        header["name"],
        header["layer"],
        TrainingCurve(**header["curve"]),
        header["view"],
        views,
        header["controls"],
        arrays.get("strokes"),
        _by_label(header["kinds"]),
    )


def _by_label(names: Mapping[str, str]) -> dict[int, str]:
    """Return names by label, of which JSON has made text."""
    return {int(label): name for label, name in names.items()}


def _damaged(path: Path, error: Exception) -> FileError:
    return FileError(f"{path}: is damaged or was changed ({first_line(error)})")
