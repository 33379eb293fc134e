"""Files in, files out: one image's work, and many of them side by side, here or on a cluster."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg.axes import describe_axes, resolve_axes
from napari_unsupseg.errors import FileError, ImageError, UnsupsegError
from napari_unsupseg.files import (
    PixelSize,
    read_axes,
    read_image,
    read_pixel_size,
    read_record,
    require_writable,
    write_labels,
    write_picture,
    write_table,
)
from napari_unsupseg.hierarchy import Hierarchy
from napari_unsupseg.images import ImageChannels, prepare, split_channels
from napari_unsupseg.preview import overlay
from napari_unsupseg.segmenter import Segmenter
from napari_unsupseg.segments import connected_components, region_table
from napari_unsupseg.settings import Settings
from napari_unsupseg.training import Labels, Step

__all__ = ["Job", "Options", "Report", "attempt", "is_done", "run_job"]

Report = dict[str, Any]
Watch = Callable[[Iterator[Step], str], tuple[Step, bool]]


@dataclasses.dataclass(frozen=True)
class Job:
    """One image to segment and where its results go.

    Attributes
    ----------
    image : Path
        The image file.
    labels : Path
        TIFF file for the labels.
    preview : Path or None
        PNG file for a picture of them.
    table : Path or None
        CSV file for what their regions measure.
    model : Path or None
        File for the trained network.
    """

    image: Path
    labels: Path
    preview: Path | None = None
    table: Path | None = None
    model: Path | None = None

    @property
    def results(self) -> list[Path]:
        """Every file that is to be written."""
        return [path for path in (self.labels, self.preview, self.table, self.model) if path]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What holds for every image of one call.

    Attributes
    ----------
    settings : Settings
        Of the runs.
    device : str
        As in `napari_unsupseg.segment`, like `axes`, `channel_axis`, `spatial_ndim`,
        `granularity` and `n_segments`.
    z_spacing : float or None
        Distance of slices over that of pixels, in place of what a file says.
    known : Path or None
        File of a trained network.
    is_applied : bool
        Whether that network is applied as it is; otherwise runs go on from it.
    connected : bool
        Whether to label the connected components of clusters.
    segments : bool
        Whether to label the segments of the hierarchy.
    pixel_size : float or None
        Side of a pixel in µm, in place of what a file says.
    min_area : float or None
        Smallest segment in physical units.
    overwrite : bool
        Whether files that exist may be replaced.
    """

    settings: Settings
    device: str
    axes: str | None = None
    channel_axis: int | None = None
    spatial_ndim: int = 2
    z_spacing: float | None = None
    known: Path | None = None
    is_applied: bool = False
    connected: bool = False
    segments: bool = False
    granularity: float | None = None
    n_segments: int | None = None
    pixel_size: float | None = None
    min_area: float | None = None
    overwrite: bool = False

    @property
    def is_cut(self) -> bool:
        """Whether segments of the hierarchy are wanted in place of clusters."""
        return self.segments or self.granularity is not None or self.n_segments is not None

    def to_dict(self) -> dict[str, Any]:
        """Return what decides the labels, beside settings and image, fit for JSON."""
        names = (
            "axes", "channel_axis", "spatial_ndim", "z_spacing", "connected", "segments",
            "granularity", "n_segments", "min_area", "pixel_size",
        )  # fmt: skip
        known = {"network": self.known.name if self.known else None, "applied": self.is_applied}
        return {name: getattr(self, name) for name in names} | known


def run_job(job: Job, options: Options, watch: Watch | None = None) -> Report:
    """Segment one image and write its results.

    Parameters
    ----------
    job : Job
        The image.
    options : Options
        How to segment it.
    watch : callable, optional
        Goes through the steps of a run, and returns the last one and whether the user ended it.

    Returns
    -------
    dict
        What was done, fit for JSON.

    Raises
    ------
    UnsupsegError
        If the image cannot be read or segmented, or a result not be written.
    """
    for path in job.results:
        require_writable(path, overwrite=options.overwrite)
    image = read_image(job.image)
    axes = _axes(job.image, image.shape, options)
    channels = split_channels(image, axes)
    pixel_size = _pixel_size(job.image, options)
    settings = _with_min_area(options, pixel_size, job.image)
    start = time.perf_counter()
    segmenter = _segmenter(settings, options)
    if options.is_applied:
        labels, interrupted = _apply(segmenter, image, axes, options), False
        record = segmenter.record() | {"clusters": len(np.unique(labels[labels > 0]))}
    else:
        steps = segmenter.steps(
            image,
            axes=axes,
            spatial_ndim=options.spatial_ndim,
            spacing=_spacing(pixel_size, options),
            warm_start=bool(options.known),
        )
        step, interrupted = (watch or _unwatched)(steps, job.image.name)
        labels, record = _labels(segmenter, step, options), segmenter.record(step)
    seconds = time.perf_counter() - start
    record |= {"image": job.image.name, "options": options.to_dict()}
    if options.connected or options.is_cut:
        record |= {"segments": int(labels.max())}
    if interrupted:
        record |= {"interrupted": True}
    if job.model:
        segmenter.save(job.model)
    if job.table:
        write_table(job.table, _table(labels, channels, pixel_size))
    if job.preview:
        write_picture(job.preview, overlay(prepare(channels, None, settings.intensity), labels))
    write_labels(job.labels, labels, channels.axes, record)  # last: they say that all is done
    files = {"labels": job.labels, "preview": job.preview, "table": job.table, "network": job.model}
    return {
        "image": str(job.image),
        "axes": describe_axes(image.shape, axes),
        **{kind: str(path) if path else None for kind, path in files.items()},
        "clusters": record["clusters"],
        "segments": record.get("segments"),
        "iterations": record.get("iterations"),
        "seconds": round(seconds, 3),
        "device": options.device,
        "precision": record["precision"],
        "interrupted": interrupted,
    }


def is_done(job: Job, options: Options) -> bool:
    """Tell whether an earlier call has written all results of a job, with the same options.

    Parameters
    ----------
    job : Job
        The image.
    options : Options
        How to segment it.

    Returns
    -------
    bool
        Whether there is nothing to do.
    """
    if options.overwrite or not all(path.exists() for path in job.results):
        return False
    record = read_record(job.labels)
    if record is None or "interrupted" in record:
        return False
    settings = options.settings.to_dict()
    if options.min_area is not None:  # the file has it in pixels, the options in physical units
        settings["min_size"] = record["settings"]["min_size"]
    return bool(record["settings"] == settings and record.get("options") == options.to_dict())


def attempt(job: Job, options: Options, watch: Watch | None = None) -> Report:
    """Segment one image, unless it is done; report what is wrong with it where it fails.

    Parameters
    ----------
    job : Job
        The image.
    options : Options
        How to segment it.
    watch : callable, optional
        As in `run_job`.

    Returns
    -------
    dict
        As of `run_job`, or with ``skipped`` or ``error``.
    """
    try:
        if is_done(job, options):
            return {"image": str(job.image), "labels": str(job.labels), "skipped": True}
        return run_job(job, options, watch)
    except (UnsupsegError, MemoryError) as error:
        return {"image": str(job.image), "error": str(error)}


def _unwatched(steps: Iterator[Step], _name: str) -> tuple[Step, bool]:
    for step in steps:  # noqa: B007
        pass
    return step, False


def _table(
    labels: Labels, channels: ImageChannels, pixel_size: PixelSize | None
) -> dict[str, NDArray[np.number]]:
    """Measure the labels' regions, in physical units where they are known."""
    spacing, unit = (pixel_size[:2], pixel_size.unit) if pixel_size else ((1, 1), "")
    return region_table(labels, channels.values, axes=channels.axes, spacing=spacing, unit=unit)


def _axes(path: Path, shape: tuple[int, ...], options: Options) -> str:
    """Return the axes of an image: those that the user gave, or its file, or the usual ones."""
    given = options.axes, options.channel_axis
    try:
        if given == (None, None):
            return resolve_axes(shape, read_axes(path))
        return resolve_axes(shape, *given)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error


def _pixel_size(image: Path, options: Options) -> PixelSize | None:
    """Return how large a pixel is, if anybody says it."""
    if options.pixel_size:
        return PixelSize(options.pixel_size, options.pixel_size, "um")
    return read_pixel_size(image)


def _spacing(pixel_size: PixelSize | None, options: Options) -> tuple[float, ...] | None:
    """Return how far apart voxels are, if anybody says it."""
    if options.spatial_ndim == 2:
        return None
    if options.z_spacing:
        return options.z_spacing, 1, 1
    if pixel_size is None or pixel_size.depth is None:
        return None
    return pixel_size.depth, pixel_size.height, pixel_size.width


def _with_min_area(options: Options, pixel_size: PixelSize | None, image: Path) -> Settings:
    """Return the settings with the smallest area in pixels."""
    if options.min_area is None:
        return options.settings
    if pixel_size is None:
        raise FileError(
            f"{image}: does not say how large a pixel is, which --min-area needs: give "
            "--pixel-size, or --min-size in pixels"
        )
    min_size = math.ceil(options.min_area / (pixel_size.height * pixel_size.width))
    return dataclasses.replace(options.settings, min_size=min_size)


def _segmenter(settings: Settings, options: Options) -> Segmenter:
    """Return a segmenter with these settings, and the known network if there is one."""
    if options.known is None:
        return Segmenter(settings, device=options.device)
    segmenter = Segmenter.load(options.known, device=options.device)
    segmenter.settings = settings
    return segmenter


def _apply(segmenter: Segmenter, image: NDArray[np.generic], axes: str, options: Options) -> Labels:
    """Return the kind of labels that was asked for, by the known network."""
    level = options.granularity
    if options.is_cut and level is None and options.n_segments is None:
        level = Hierarchy.default_level
    labels = segmenter.predict(image, axes=axes, granularity=level, n_segments=options.n_segments)
    return connected_components(labels, options.spatial_ndim) if options.connected else labels


def _labels(segmenter: Segmenter, step: Step, options: Options) -> Labels:
    """Return the kind of labels that was asked for, of a run."""
    if options.is_cut:
        return segmenter.hierarchy_.cut(n_segments=options.n_segments, level=options.granularity)
    if options.connected:
        return connected_components(step.labels, options.spatial_ndim)
    return step.labels
