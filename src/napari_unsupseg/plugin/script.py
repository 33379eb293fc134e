"""A run as Python: the script that makes its labels again."""

from collections.abc import Iterator
from pathlib import Path

import napari.layers

from napari_unsupseg.image.tiling import is_large, is_lazy
from napari_unsupseg.plugin.layers import layer_array
from napari_unsupseg.plugin.training_region import Region
from napari_unsupseg.plugin.worker import RunRequest, RunResult
from napari_unsupseg.settings import Settings

__all__ = ["python_script"]


def python_script(
    request: RunRequest,
    outcome: RunResult,
    image: napari.layers.Image,
    cut: dict[str, float] | None,
) -> str:
    """Write the script that makes the labels of a run again, on one kind of CPU byte for byte.

    Parameters
    ----------
    request : Request
        What was run.
    outcome : Outcome
        What came of it.
    image : napari.layers.Image
        The image. A script that cannot read it from a file takes it from napari's window.
    cut : dict or None
        How its hierarchy is cut into segments, if it is: keywords of `Hierarchy.cut`.

    Returns
    -------
    str
        Python, that ends with `labels`, and `segments` if there are any.
    """
    lines = [
        f"# made on {outcome.record['processor']} with torch {outcome.record['torch']}",
        *_reading(image, outcome),
        "",
        f"segmenter = Segmenter({_settings(outcome)}, device={outcome.record['device']!r})",
        *_training(request, outcome),
        _labels(request, outcome),
    ]
    if cut is not None:
        keywords = ", ".join(f"{name}={value!r}" for name, value in cut.items())
        hierarchy = "segmenter.hierarchy_"
        if request.region is not None:
            hierarchy = f"segmenter.predict_hierarchy(image, axes={request.axes!r}, labels=labels)"
        lines.append(f"segments = {hierarchy}.cut({keywords})")
    return "\n".join([*lines, ""])


def _reading(image: napari.layers.Image, outcome: RunResult) -> Iterator[str]:
    """Yield the imports, and what makes `image`."""
    path = image.source.path
    level = "[0]" if image.multiscale else ""
    array = layer_array(image)
    is_computed = is_lazy(array) and not is_large(array)
    yield "from itertools import islice"
    yield ""
    if is_computed or not outcome.is_everywhere:
        yield "import numpy"
    if path is None or image.multiscale or is_lazy(array):
        source = f"napari.current_viewer().layers[{image.name!r}].data{level}"
        if is_large(array):
            yield "import dask.array"
            source = f"dask.array.asarray({source})"
        elif is_computed:
            source = f"numpy.asarray({source})"
        yield "import napari"
    elif Path(path).suffix.lower() in (".tif", ".tiff"):
        yield "import tifffile"
        source = f"tifffile.imread({path!r})"
    else:
        yield "import imageio.v3"
        source = f"imageio.v3.imread({path!r})"
    yield "from napari_unsupseg import Segmenter, Settings"
    yield ""
    yield f"image = {source}"


def _settings(outcome: RunResult) -> str:
    """Say which settings are others than the defaults, and the precision that was taken."""
    default = Settings().to_dict()
    settings = outcome.segmenter.settings.to_dict() | {"precision": outcome.record["precision"]}
    chosen = {name: value for name, value in settings.items() if value != default[name]}
    return f"Settings({', '.join(f'{name}={value!r}' for name, value in chosen.items())})"


def _training(request: RunRequest, outcome: RunResult) -> Iterator[str]:
    """Yield a loop for each part of a run: the first, and those that went on with it."""
    image = f"image{_cropping(request)}, axes={request.axes!r}"
    if request.spatial_ndim == 3:
        image += f", spatial_ndim=3, spacing={request.spacing!r}"
    for index, part in enumerate(outcome.parts):
        steps = "segmenter.resume()" if index else f"segmenter.steps({image})"
        if not part.is_whole:
            steps = f"islice({steps}, {part.n_steps})"
        yield f"for step in {steps}:"
        yield "    pass"
    if outcome.parts[-1].is_finished:
        yield "for step in segmenter.finish():"
        yield "    pass"


def _cropping(request: RunRequest) -> str:
    """Say how a region is cut out of the image."""
    if request.region is None:
        return ""
    along = dict(zip("yx", request.region, strict=True))
    parts = (
        f"{along[axis].start}:{along[axis].stop}" if axis in along else ":"
        for axis in request.axes.rstrip("cs")
    )
    return f"[{', '.join(parts)}]"


def _around(region: Region, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return how many pixels lie before and behind a region of labels, along each axis."""
    height, width = shape[-2:]
    rows, columns = region
    beside = [(rows.start, height - rows.stop), (columns.start, width - columns.stop)]
    return [(0, 0)] * len(shape[:-2]) + beside


def _labels(request: RunRequest, outcome: RunResult) -> str:
    """Say where the labels of the image come from."""
    if request.region is None and outcome.on_demand is None:
        return "labels = step.labels"
    if request.region is not None and not outcome.is_everywhere:
        around = _around(request.region, outcome.history.labels(-1).shape)
        return f"labels = numpy.pad(step.labels, {around})"
    return f"labels = segmenter.predict(image, axes={request.axes!r})"
