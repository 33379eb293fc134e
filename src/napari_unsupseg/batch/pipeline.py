"""Files in, files out: one image's work, and many of them side by side, here or on a cluster."""

import contextlib
import dataclasses
import functools
import itertools
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_unsupseg._generators import map_yields
from napari_unsupseg._typing import Labels, Track
from napari_unsupseg.batch.chunked_pipeline import is_resumable, run_job_in_chunks
from napari_unsupseg.batch.jobs import Job, JobImage, JobOptions, TrainedSegmenter
from napari_unsupseg.errors import FileError, ImageError, UnsupsegError
from napari_unsupseg.image.axes import describe_axes, resolve_axes
from napari_unsupseg.image.channels import split_channels, split_frames
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.image.tiling import Slices, is_large
from napari_unsupseg.io.label_store import read_zarr_record, write_label_store
from napari_unsupseg.io.overlay import draw_label_overlay
from napari_unsupseg.io.paths import check_writable, is_zarr
from napari_unsupseg.io.pixel_size import PixelSize
from napari_unsupseg.io.readers import ImageSource, open_image, read_image
from napari_unsupseg.io.tiff import read_tiff_record, write_labels
from napari_unsupseg.io.writers import write_png, write_table
from napari_unsupseg.learning.step import Step
from napari_unsupseg.regions.hierarchy import Hierarchy
from napari_unsupseg.regions.labels import connected_components, stack_frames
from napari_unsupseg.regions.measure import measure_regions
from napari_unsupseg.segmenter import Segmenter
from napari_unsupseg.settings import Settings

__all__ = ["Report", "is_done", "run_job", "try_run_job"]

Report = dict[str, Any]
Watch = Callable[[Iterator[Step], str], tuple[Step, bool]]


def run_job(
    job: Job, options: JobOptions, watch: Watch | None = None, track: Track[Slices] | None = None
) -> Report:
    """Segment one image and write its results.

    Parameters
    ----------
    job : Job
        The image.
    options : Options
        How to segment it.
    watch : callable, optional
        Goes through the steps of a run, and returns the last one and whether the user ended it.
    track : callable, optional
        Goes through the chunks of an image that is too large to be loaded.

    Returns
    -------
    dict
        What was done, fit for JSON.

    Raises
    ------
    UnsupsegError
        If the image cannot be read or segmented, or a result not be written.
    """
    may_replace = options.overwrite or is_resumable(job, options)
    for path in job.results:
        check_writable(path, overwrite=may_replace)
    start = time.perf_counter()
    with open_image(job.image) as opened:
        image = _resolve_metadata(job, opened, options)
        if is_large(image.values):
            train = functools.partial(_train, job, image, options, watch or _watch_silently)
            record = run_job_in_chunks(job, image, options, train, track or _track_silently)
        else:
            record = _run_whole(job, image, options, watch or _watch_silently)
    files = {"labels": job.labels, "preview": job.preview, "table": job.table, "network": job.model}
    return {
        "image": str(job.image),
        "axes": describe_axes(image.values.shape, image.axes),
        **{kind: str(path) if path else None for kind, path in files.items()},
        "clusters": record["clusters"],
        "segments": record.get("segments"),
        "iterations": record.get("iterations"),
        "seconds": round(time.perf_counter() - start, 3),
        "device": options.device,
        "precision": record["precision"],
        "interrupted": "interrupted" in record,
    }


def is_done(job: Job, options: JobOptions) -> bool:
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
    record = read_zarr_record(job.labels) if is_zarr(job.labels) else read_tiff_record(job.labels)
    if record is None or "interrupted" in record:
        return False
    settings = options.settings.to_dict()
    if options.min_area is not None:  # the file has it in pixels, the options in physical units
        settings["min_size"] = record["settings"]["min_size"]
    return bool(record["settings"] == settings and record.get("options") == options.to_dict())


def try_run_job(
    job: Job, options: JobOptions, watch: Watch | None = None, track: Track[Slices] | None = None
) -> Report:
    """Segment one image, unless it is done; report what is wrong with it where it fails.

    Parameters
    ----------
    job : Job
        The image.
    options : Options
        How to segment it.
    watch : callable, optional
        As in `run_job`, like `track`.

    Returns
    -------
    dict
        As of `run_job`, or with ``skipped`` or ``error``.
    """
    try:
        if is_done(job, options):
            return {"image": str(job.image), "labels": str(job.labels), "skipped": True}
        return run_job(job, options, watch, track)
    except (UnsupsegError, MemoryError) as error:
        return {"image": str(job.image), "error": str(error)}


def _watch_silently(steps: Iterator[Step], _name: str) -> tuple[Step, bool]:
    for step in steps:  # noqa: B007
        pass
    return step, False


def _track_silently(chunks: Sequence[Slices], _name: str) -> Sequence[Slices]:
    return chunks


def _resolve_metadata(job: Job, source: ImageSource, options: JobOptions) -> JobImage:
    """Say what an image is; what the user says of it goes before what its file says."""
    try:
        if options.axes is None and options.channel_axis is None:
            axes = resolve_axes(source.values.shape, source.axes)
        else:
            axes = resolve_axes(source.values.shape, options.axes, options.channel_axis)
    except ImageError as error:
        raise ImageError(f"{job.image}: {error}") from error
    pixel_size = source.pixel_size
    if options.pixel_size:
        pixel_size = PixelSize(options.pixel_size, options.pixel_size, "um")
    return JobImage(source.values, axes, pixel_size)


def _train(job: Job, image: JobImage, options: JobOptions, watch: Watch) -> TrainedSegmenter:
    """Return a segmenter with a network for an image, and how its labels are made."""
    settings = _with_min_area(options, image.pixel_size, job.image)
    segmenter, step, interrupted = options.segmenter(settings), None, False
    if not options.is_applied:
        steps: Iterator[Step] = segmenter.steps(
            image.values,
            axes=image.axes,
            spatial_ndim=options.spatial_ndim,
            spacing=_spacing(image.pixel_size, options),
            strokes=read_image(options.strokes) if options.strokes else None,
            warm_start=bool(options.known),
        )
        if options.is_cut:
            steps = _with_hierarchy(segmenter, steps)
        step, interrupted = watch(steps, job.image.name)
        if interrupted and step.hierarchy_share is None:
            step, _ = watch(itertools.chain([step], segmenter.finish()), job.image.name)
    record = segmenter.record(step)
    record |= {"image": job.image.name, "options": options.to_dict()}
    if interrupted:
        record |= {"interrupted": True}
    return TrainedSegmenter(segmenter, step, record)


def _with_hierarchy(segmenter: Segmenter, steps: Iterator[Step]) -> Iterator[Step]:
    """Yield the steps of a run, and some more while its hierarchy is made."""
    for step in steps:
        yield step
    yield from map_yields(segmenter.hierarchy_generator(), step.with_hierarchy_share)


def _run_whole(job: Job, image: JobImage, options: JobOptions, watch: Watch) -> Report:
    """Segment an image that is in memory and write its results; return how they were made."""
    if options.joint:
        segmenter, step, record = _train(job, image, options, watch)
        with _holding_interrupts(record):
            if step is None:
                labels = _apply(segmenter, image, options)
                record |= {"clusters": len(np.unique(labels[labels > 0]))}
            else:
                labels = _labels(segmenter, step, options)
            if job.model:
                segmenter.save(job.model)
            _write(job, image, options, labels, record)
    else:
        labels, record = _label_separately(job, image, options, watch)
        with _holding_interrupts(record):
            _write(job, image, options, labels, record)
    return record


@contextlib.contextmanager
def _holding_interrupts(record: Report) -> Iterator[None]:
    """Have Ctrl-C wait until all is written, and then be told in the record."""
    came = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # which alone hears it
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: came.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
    if came.is_set():
        record |= {"interrupted": True}


def _write(job: Job, image: JobImage, options: JobOptions, labels: Labels, record: Report) -> None:
    """Write all that was asked for of an image's labels."""
    channels = split_channels(image.values, image.axes)
    if options.is_numbered:
        record |= {"segments": int(labels.max())}
    if job.table:
        table = measure_regions(labels, channels.values, axes=channels.axes, **image.units)
        write_table(job.table, table)
    if job.preview:
        prepared = normalize_image(channels, None, options.settings.intensity)
        write_png(job.preview, draw_label_overlay(prepared, labels))
    # last: they say that all is done
    if is_zarr(job.labels):
        write_label_store(
            job.labels,
            labels,
            axes=channels.axes,
            pixel_size=image.pixel_size,
            spatial_ndim=options.spatial_ndim,
            record=record,
        )
    else:
        write_labels(job.labels, labels, channels.axes, record, image.pixel_size)


def _label_separately(
    job: Job, image: JobImage, options: JobOptions, watch: Watch
) -> tuple[Labels, Report]:
    """Return the labels of each frame by a run of its own, and how they were made."""
    channels = split_channels(image.values, image.axes)
    frames, axes = split_frames(channels, options.spatial_ndim)
    labels, steps = [], []
    for frame in frames:
        part = JobImage(frame, axes, image.pixel_size)
        segmenter, step, record = _train(job, part, options, watch)
        assert step is not None
        labels.append(_labels(segmenter, step, options))
        steps.append(step)
        if "interrupted" in record:
            break
    labels += [np.zeros_like(labels[-1])] * (len(frames) - len(labels))
    leading = channels.values.shape[1 : -options.spatial_ndim]
    stack = stack_frames(labels, leading, are_numbered=options.is_numbered)
    record |= {
        "iterations": max(step.iteration for step in steps),
        "clusters": max(step.n_clusters for step in steps),
    }
    return stack, record


def _spacing(pixel_size: PixelSize | None, options: JobOptions) -> tuple[float, ...] | None:
    """Return how far apart voxels are, if anybody says it."""
    if options.spatial_ndim == 2:
        return None
    if options.z_spacing:
        return options.z_spacing, 1, 1
    if pixel_size is None or pixel_size.depth is None:
        return None
    return pixel_size.depth, pixel_size.height, pixel_size.width


def _with_min_area(options: JobOptions, pixel_size: PixelSize | None, image: Path) -> Settings:
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


def _apply(segmenter: Segmenter, image: JobImage, options: JobOptions) -> Labels:
    """Return the kind of labels that was asked for, by the known network."""
    level = options.granularity
    if options.is_cut and level is None and options.n_segments is None:
        level = Hierarchy.default_granularity
    labels = segmenter.predict(
        image.values, axes=image.axes, granularity=level, n_segments=options.n_segments
    )
    return connected_components(labels, options.spatial_ndim) if options.connected else labels


def _labels(segmenter: Segmenter, step: Step, options: JobOptions) -> Labels:
    """Return the kind of labels that was asked for, of a run."""
    if options.is_cut:
        if step.hierarchy_share is not None and step.hierarchy_share < 1:
            raise KeyboardInterrupt  # of a part of a hierarchy there is no cut
        return segmenter.hierarchy_.cut(
            n_segments=options.n_segments, granularity=options.granularity
        )
    if options.connected:
        return connected_components(step.labels, options.spatial_ndim)
    return step.labels
