"""A run as Python: the script that makes its labels again."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import imageio.v3
import napari.layers
import numpy as np
import tifffile

from napari_unsupseg.image.axes import CHANNELS, SAMPLES
from napari_unsupseg.image.tiling import is_large, is_lazy
from napari_unsupseg.io.paths import is_tiff
from napari_unsupseg.options import ImageOptions, options_of
from napari_unsupseg.plugin.layers import layer_array
from napari_unsupseg.plugin.run_data import RunRequest, RunResult
from napari_unsupseg.plugin.training_region import Region
from napari_unsupseg.settings import Settings

__all__ = ["python_script"]


def python_script(
    request: RunRequest,
    result: RunResult,
    image: napari.layers.Image,
    cut: dict[str, float] | None,
    objects: dict[str, Any] | None = None,
    *,
    others: Sequence[napari.layers.Image] = (),
    index: int = 0,
) -> str:
    """Write the script that makes the labels of a run again, on one kind of CPU byte for byte.

    Parameters
    ----------
    request : RunRequest
        What was run, without strokes: no script can draw them.
    result : RunResult
        What came of it.
    image : napari.layers.Image
        The image. A script that cannot read it from a file takes it from napari's window.
    cut : dict or None
        How its hierarchy is cut into segments, if it is: keywords of `Hierarchy.cut`.
    objects : dict or None
        Which objects are found, if any are: keywords of `Hierarchy.objects`.
    others : sequence of napari.layers.Image
        Images that were trained on together with it.
    index : int
        Which of all of them the labels are of, from 0, the image itself.

    Returns
    -------
    str
        Python, that ends with `labels`, and `segments` and `objects` if there are any.
    """
    lines = [
        f"# made on {result.record['processor']} with torch {result.record['torch']}",
        *_image_lines([image, *others], result),
        "",
        f"segmenter = Segmenter({_settings(result)}, device={result.record['device']!r})",
        *_training_lines(request, result),
        _labels_line(request, result, index),
    ]
    hierarchy = f"segmenter.hierarchies_[{index}]" if request.others else "segmenter.hierarchy_"
    if request.region is not None:
        hierarchy = f"segmenter.predict_hierarchy(image, {_axes_keywords(request)}, labels=labels)"
    if cut is not None:
        lines.append(f"segments = {hierarchy}.cut({_keywords(cut)})")
    if objects is not None:
        lines.append(f"objects = {hierarchy}.objects({_keywords(objects)})")
    return "\n".join([*lines, ""])


def _keywords(values: Mapping[str, object]) -> str:
    """Write keywords as in a call."""
    return ", ".join(f"{name}={value!r}" for name, value in values.items())


def _image_lines(images: Sequence[napari.layers.Image], result: RunResult) -> Iterator[str]:
    """Yield the imports, and what makes `image`, which is a list if there are several."""
    sources, modules = zip(*map(_source, images), strict=True)
    yield "from itertools import islice"
    yield ""
    needed = [] if result.covers_image else ["numpy"]
    yield from (f"import {module}" for module in dict.fromkeys(itertools.chain(needed, *modules)))
    yield "from napari_unsupseg import Segmenter, Settings"
    yield ""
    yield f"image = {sources[0]}" if len(images) == 1 else f"image = [{', '.join(sources)}]"


def _source(image: napari.layers.Image) -> tuple[str, list[str]]:
    """Write where an image comes from, with the modules that it takes."""
    array = layer_array(image)
    reader = None if image.multiscale or is_lazy(array) else _file_reader(image.source.path, array)
    if reader is not None:
        return f"{reader}.imread({image.source.path!r})", [reader]
    level = "[0]" if image.multiscale else ""
    source = f"napari.current_viewer().layers[{image.name!r}].data{level}"
    if is_large(array):
        return f"dask.array.asarray({source})", ["dask.array", "napari"]
    if is_lazy(array):  # it is loaded first, as the run itself does
        return f"numpy.asarray({source})", ["numpy", "napari"]
    return source, ["napari"]


def _file_reader(path: str | None, array: Any) -> str | None:
    """Name the module whose `imread` gives the pixels of a layer; None if there is none.

    A palette, alpha or several images in a file are read otherwise by this plugin, and the file
    may have changed since.
    """
    if path is None:
        return None
    module = tifffile if is_tiff(Path(path)) else imageio.v3
    try:
        is_same = np.array_equal(module.imread(path), array)
    except Exception:  # what a reader raises on a file that is gone or damaged depends on both
        return None
    return module.__name__ if is_same else None


def _settings(result: RunResult) -> str:
    """Write the settings that differ from the defaults; ``auto`` as the precision it became."""
    default = Settings().to_dict()
    # on another machine "auto" may be another precision, and labels others
    settings = result.segmenter.settings.to_dict() | {"precision": result.record["precision"]}
    chosen = {name: value for name, value in settings.items() if value != default[name]}
    return f"Settings({_keywords(chosen)})"


def _training_lines(request: RunRequest, result: RunResult) -> Iterator[str]:
    """Yield a loop for each leg of a run."""
    for index, leg in enumerate(result.legs):
        first = f"segmenter.steps(image{_cropping(request)}, {_image_options(request)})"
        steps = "segmenter.resume()" if index else first
        if not leg.ran_to_end:  # stopped after some of its steps
            steps = f"islice({steps}, {leg.n_steps})"
        yield f"for step in {steps}:"
        yield "    pass"
    # what the earlier legs finished with does not change what follows
    if result.legs[-1].is_finished:
        yield "for step in segmenter.finish():"
        yield "    pass"


def _image_options(request: RunRequest) -> str:
    """Write the options of the image that differ from the defaults, whichever there are."""
    default = {name: option.default for name, option in options_of(ImageOptions).items()}
    return _keywords(
        {name: value for name, value in request.options.items() if value != default[name]}
    )


def _cropping(request: RunRequest) -> str:
    """Write how a region is cut out of the image."""
    if request.region is None:
        return ""
    slices = dict(zip("yx", request.region, strict=True))
    parts = (
        f"{slices[axis].start}:{slices[axis].stop}" if axis in slices else ":"
        for axis in request.axes.rstrip(CHANNELS + SAMPLES)
    )
    return f"[{', '.join(parts)}]"


def _pad_width(region: Region, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return how many pixels lie before and behind a region of labels, along each axis."""
    height, width = shape[-2:]
    rows, columns = region
    in_plane = [(rows.start, height - rows.stop), (columns.start, width - columns.stop)]
    return [(0, 0)] * len(shape[:-2]) + in_plane


def _labels_line(request: RunRequest, result: RunResult, index: int) -> str:
    """Write where the labels of the image come from."""
    if request.others:
        return f"labels = segmenter.split(step.labels)[{index}]"
    if request.region is None and result.lazy_labels is None:
        return "labels = step.labels"
    if request.region is not None and not result.covers_image:
        # 0 around the region, as the run that was stopped left its layer
        pad_width = _pad_width(request.region, result.history.labels(-1).shape)
        return f"labels = numpy.pad(step.labels, {pad_width})"
    return f"labels = segmenter.predict(image, {_axes_keywords(request)})"


def _axes_keywords(request: RunRequest) -> str:
    """Write what the axes of the image are, and how far apart its pixels if that was said."""
    given = {"axes": request.axes, "spacing": request.options.get("spacing")}
    return _keywords({name: value for name, value in given.items() if value is not None})
