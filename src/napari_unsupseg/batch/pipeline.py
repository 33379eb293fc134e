"""Files in, files out: one image read, segmented and written."""

import contextlib
import dataclasses
import functools
import itertools
import math
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg._generators import map_yields
from napari_unsupseg._typing import Labels, Track
from napari_unsupseg._words import count
from napari_unsupseg.batch.chunked_pipeline import is_resumable, run_job_in_chunks
from napari_unsupseg.batch.interrupts import handle_interrupts
from napari_unsupseg.batch.jobs import (
    Job,
    JobImage,
    JobOptions,
    Record,
    TrainedSegmenter,
    resolve_spacing,
)
from napari_unsupseg.batch.measured_files import wants_measurements, write_measurements
from napari_unsupseg.errors import FileError, ImageError, UnsupsegError, first_line
from napari_unsupseg.image.axes import describe_axes, resolve_axes
from napari_unsupseg.image.channels import ImageChannels, split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.image.tiling import Slices, is_large
from napari_unsupseg.io.label_store import (
    check_zarr_axes,
    read_zarr_record,
    write_zarr_labels,
)
from napari_unsupseg.io.overlay import draw_label_overlay
from napari_unsupseg.io.paths import check_writable, identify_file, is_unchanged, is_zarr
from napari_unsupseg.io.pixel_size import NO_UNIT, PixelSize
from napari_unsupseg.io.readers import ImageSource, open_image, read_image
from napari_unsupseg.io.tiff import check_tiff_axes, read_tiff_record, write_tiff_labels
from napari_unsupseg.io.writers import write_png, write_table
from napari_unsupseg.learning.step import Step
from napari_unsupseg.options import AxesOptions, ImageOptions
from napari_unsupseg.regions.hierarchy import Hierarchy
from napari_unsupseg.regions.labels import connected_components
from napari_unsupseg.regions.measure import count_regions, measure_objects, measure_regions
from napari_unsupseg.regions.objects import link_objects
from napari_unsupseg.segment_function import label_frames
from napari_unsupseg.segmenter import Segmenter
from napari_unsupseg.settings import Settings, setting_specs

__all__ = ["Report", "is_done", "run_job", "run_together", "try_run_job", "try_run_together"]

Report = dict[str, Any]  # what became of an image, for the user; fit for JSON


class _Prepared(NamedTuple):
    """A job of which it is known what an earlier call has done."""

    job: Job  # without what is there already
    is_done: bool = False
    labels_stay: bool = False  # other results are missing


class _Labelled(NamedTuple):
    """The labels that were asked for, and what they come from."""

    labels: Labels
    clusters: Labels | None = None  # None if they mean another thing in each frame
    hierarchy: Hierarchy | None = None  # None if there is none, or one for each frame


# goes through the steps of a run; returns the last one and whether the user ended the run
Watch = Callable[[Iterator[Step], str], tuple[Step, bool]]


def run_job(
    job: Job, options: JobOptions, watch: Watch | None = None, track: Track[Slices] | None = None
) -> Report:
    """Segment one image and write its results, unless that is done.

    Parameters
    ----------
    job : Job
        The image and its results.
    options : JobOptions
        How to segment it.
    watch : callable, optional
        Goes through the steps of a run, and returns the last one and whether the user ended it.
    track : callable, optional
        Goes through the chunks of an image that is too large to be loaded, and shows how far.

    Returns
    -------
    dict
        What was done: the files written, how many clusters, segments and iterations, seconds,
        device and precision, and whether the user ended the run. With ``skipped``, true, if an
        earlier call has done it, see `is_done`.

    Raises
    ------
    UnsupsegError
        If the image cannot be read or segmented, or a result not be written.
    """
    prepared = _prepare(job, options)
    if prepared.is_done:
        return _skipped(job)
    start, watch = time.perf_counter(), watch or _watch_silently
    with _open(prepared.job, options) as image:
        if is_large(image.values):
            if prepared.labels_stay:
                raise FileError(
                    f"{job.labels}: is there without {' and '.join(prepared.job.flags)}, and of an "
                    "image that is too large to be loaded nothing is added to labels; choose "
                    "another place, or overwrite it (--overwrite)"
                )
            train = functools.partial(_train, [prepared.job], [image], options, watch)
            record = run_job_in_chunks(
                prepared.job, image, options, train, track or _track_silently
            )
        elif options.joint:
            [record] = _run_in_memory([prepared], [image], options, watch)
        else:
            record = _run_separately(prepared, image, options, watch)
    return _report(prepared.job, image, options, record, start)


def run_together(
    jobs: Sequence[Job], options: JobOptions, watch: Watch | None = None
) -> list[Report]:
    """Segment several images by one run, with the same clusters in all, and write their results.

    Parameters
    ----------
    jobs : sequence of Job
        The images and their results. The first has the network's file, if it is to be saved.
    options : JobOptions
        How to segment them; `together` has the names of all.
    watch : callable, optional
        Goes through the steps of the run, as `run_job` has it.

    Returns
    -------
    list of dict
        The reports of all, as `run_job` returns them. What an earlier call has done of them stays:
        those images are trained on again, for the others.

    Raises
    ------
    UnsupsegError
        If one of the images cannot be read or segmented, or a result not be written.
    """
    prepared = [_prepare(job, options) for job in jobs]
    if all(one.is_done for one in prepared):
        return [_skipped(job) for job in jobs]
    start = time.perf_counter()
    with contextlib.ExitStack() as stack:
        images = [stack.enter_context(_open(one.job, options)) for one in prepared]
        records = _run_in_memory(prepared, images, options, watch or _watch_silently)
    return [
        _skipped(one.job) if one.is_done else _report(one.job, image, options, record, start)
        for one, image, record in zip(prepared, images, records, strict=True)
    ]


def is_done(job: Job, options: JobOptions) -> bool:
    """Tell whether an earlier call has written all results of a job, with the same options.

    Parameters
    ----------
    job : Job
        The image and its results.
    options : JobOptions
        How to segment it.

    Returns
    -------
    bool
        Whether there is nothing to do. Labels of a run that the user ended early do not count,
        nor those of an image that another one has replaced.
    """
    return _find_earlier(job, options) == "done"


def try_run_job(
    job: Job, options: JobOptions, watch: Watch | None = None, track: Track[Slices] | None = None
) -> Report:
    """Segment one image, unless that is done; report what is wrong with it where it fails.

    Parameters
    ----------
    job : Job
        The image and its results.
    options : JobOptions
        How to segment it.
    watch : callable, optional
        Goes through the steps of a run, see `run_job`.
    track : callable, optional
        Goes through the chunks of an image that is too large to be loaded.

    Returns
    -------
    dict
        The report of `run_job`; or one with ``error``, a sentence.
    """
    try:
        return run_job(job, options, watch, track)
    except UnsupsegError as error:
        named = [str(path) for path in (job.image, *job.results, options.strokes, options.network)]
        sentence = str(error)
        if not sentence.startswith(tuple(named)):
            sentence = f"{job.image}: {sentence}"
    # what goes wrong with one image must not keep the others from being segmented
    except Exception as error:
        sentence = f"{job.image}: failed ({type(error).__name__}: {first_line(error)})"
    return {"image": str(job.image), "error": sentence}


def try_run_together(
    jobs: Sequence[Job], options: JobOptions, watch: Watch | None = None
) -> list[Report]:
    """Segment several images by one run; report what is wrong where it fails.

    Parameters
    ----------
    jobs : sequence of Job
        The images and their results.
    options : JobOptions
        How to segment them.
    watch : callable, optional
        Goes through the steps of the run, see `run_job`.

    Returns
    -------
    list of dict
        The reports of `run_together`; or, for each image, one with ``error``, the same sentence.
    """
    try:
        return run_together(jobs, options, watch)
    except UnsupsegError as error:
        # the library knows no files
        sentence = re.sub(
            r"\bimages\[(\d+)\]", lambda index: str(jobs[int(index[1])].image), str(error)
        )
    except Exception as error:
        sentence = f"{jobs[0].image}: failed ({type(error).__name__}: {first_line(error)})"
    return [{"image": str(job.image), "error": sentence} for job in jobs]


def _prepare(job: Job, options: JobOptions) -> _Prepared:
    """Say what is left to do, or raise if results could not be written or would be lost."""
    earlier = _find_earlier(job, options)
    if earlier == "done":
        return _Prepared(job, is_done=True)
    # what a user ended early, or is of an image that is gone, is kept until it is done again
    may_replace = options.overwrite or earlier == "outdated" or is_resumable(job, options)
    if not (may_replace or earlier):
        _refuse_other_labels(job, options)
    labels_stay = earlier == "incomplete"
    if labels_stay:
        job = job.missing()
    for path in job.results:
        # rows lie in a hidden folder, which is ours
        is_kept = labels_stay and path == job.labels
        is_own = path in (job.table_rows, job.counts_rows)
        if not is_kept:
            check_writable(path, overwrite=may_replace or is_own)
    return _Prepared(job, labels_stay=labels_stay)


@contextlib.contextmanager
def _open(job: Job, options: JobOptions) -> Iterator[JobImage]:
    """Open the image of a job, of which its file and the user say what it is."""
    # who says what the axes are says what the samples of a pixel are
    as_stored = any(options.image.get(name) is not None for name in ("axes", "channel_axis"))
    with open_image(job.image, series=options.series, as_stored=as_stored) as opened:
        image = _resolve_metadata(job, opened, options)
        check_axes = check_zarr_axes if is_zarr(job.labels) else check_tiff_axes
        check_axes(job.labels, split_channels(image.values, image.axes).axes)
        yield image


def _skipped(job: Job) -> Report:
    return {"image": str(job.image), "labels": str(job.labels), "skipped": True}


def _report(job: Job, image: JobImage, options: JobOptions, record: Record, start: float) -> Report:
    """Say what was done of a job, begun at a time of `time.perf_counter`."""
    job.mark_rows()
    return {
        "image": str(job.image),
        "axes": describe_axes(image.values.shape, image.axes),
        "labels": str(job.labels),
        **{kind: str(path) if path else None for kind, path in job.beside.items()},
        "counts": None,  # as a table of many images it is written later
        "clusters": record["clusters"],
        "segments": record.get("segments"),
        "objects": record.get("objects"),
        "iterations": record.get("iterations"),
        "seconds": round(time.perf_counter() - start, 3),
        "device": options.device,
        "precision": record["precision"],
        "interrupted": "interrupted" in record,
    }


def _read_record(job: Job) -> Record | None:
    """Return how the labels of a job were made, if they are there."""
    return read_zarr_record(job.labels) if is_zarr(job.labels) else read_tiff_record(job.labels)


def _refuse_other_labels(job: Job, options: JobOptions) -> None:
    """Raise if labels are there of another image, or made by other options, and say which."""
    record = _read_record(job) or {}
    if _is_of_other_image(job, record):
        reason = f"with labels of {record['image']}"
    elif names := options.differences(record):
        reason = f"made with other options ({', '.join(names)})"
    else:
        return
    raise FileError(
        f"{job.labels}: exists already, {reason}; choose another place, or overwrite it "
        "(--overwrite)"
    )


def _is_of_other_image(job: Job, record: Record) -> bool:
    """Tell whether labels are of an image by another name, and of other content."""
    of_name = record.get("image", job.image.name) == job.image.name
    return not (of_name or is_unchanged(job.image, record.get("file")))


def _find_earlier(
    job: Job, options: JobOptions
) -> Literal["done", "incomplete", "outdated"] | None:
    """Tell how far an earlier call with the same options came, if its labels may stay."""
    record = None if options.overwrite else _read_record(job)
    if record is None or not options.have_made(record) or _is_of_other_image(job, record):
        return None
    if "interrupted" in record or not is_unchanged(job.image, record.get("file")):
        return "outdated"
    return "done" if job.is_complete else "incomplete"


def _watch_silently(steps: Iterator[Step], _name: str) -> tuple[Step, bool]:
    for step in steps:  # noqa: B007
        pass
    return step, False


def _track_silently(chunks: Sequence[Slices], _name: str) -> Sequence[Slices]:
    return chunks


def _resolve_metadata(job: Job, source: ImageSource, options: JobOptions) -> JobImage:
    """Say what an image is; what the user says of it goes before what its file says."""
    axes, channel_axis = options.image.get("axes"), options.image.get("channel_axis")
    if axes is None and channel_axis is None:
        axes = source.axes
    try:
        axes = resolve_axes(source.values.shape, axes, channel_axis)
    except ImageError as error:
        raise ImageError(f"{job.image}: {error}") from error
    if source.mask is not None:
        transparent = count(int((~source.mask).sum()), "fully transparent pixel")
        warnings.warn(f"{job.image}: {transparent} left out, with label 0", stacklevel=4)
    pixel_size = source.pixel_size
    if options.pixel_size:
        pixel_size = (pixel_size or PixelSize(1, 1, NO_UNIT)).with_side(options.pixel_size)
    if options.spatial_ndim == 3 and pixel_size is not None:
        pixel_size = _resolve_depth(job, pixel_size, options)
    identity = identify_file(job.image)
    return JobImage(source.values, axes, pixel_size, source.mask, identity)


def _resolve_depth(job: Job, pixel_size: PixelSize, options: JobOptions) -> PixelSize:
    """Return the size of a voxel, whose slices are as far apart as the user says."""
    if spacing := options.image.get("spacing"):
        return pixel_size._replace(depth=pixel_size.height * spacing[0] / spacing[1])
    if pixel_size.depth is None and pixel_size.unit != NO_UNIT:
        warnings.warn(
            f"{job.image}: does not say how far apart its slices are: volumes are areas of slices, "
            "added up; give --z-spacing",
            stacklevel=4,
        )
    return pixel_size


def _resolve_settings(job: Job, image: JobImage, options: JobOptions) -> Settings:
    """Return the settings, with the smallest area in pixels."""
    if options.min_area is None:
        return options.settings
    if image.pixel_size is None or image.pixel_size.unit == NO_UNIT:
        raise FileError(
            f"{job.image}: does not say how large a pixel is, which --min-area needs: give "
            "--pixel-size, or --min-size in pixels"
        )
    pixel_area = image.pixel_size.height * image.pixel_size.width
    n_pixels = options.min_area / pixel_area if pixel_area else math.inf
    most = setting_specs()["min_size"].maximum
    assert most is not None
    if n_pixels > most:
        raise FileError(
            f"{job.image}: --min-area {options.min_area:g} is more than {most:,} pixels, of which "
            f"one has {pixel_area:g}: check it, and --pixel-size"
        )
    # rounded up: no segment may be smaller than what was asked for
    min_size = math.ceil(n_pixels)
    largest = (options.objects or {}).get("max_size")
    if largest is not None and min_size > largest:
        raise FileError(
            f"{job.image}: --min-area {options.min_area:g} is {count(min_size, 'pixel')} and "
            f"--max-size {largest:,}: no object fits"
        )
    return dataclasses.replace(options.settings, min_size=min_size)


def _train(
    jobs: Sequence[Job], images: Sequence[JobImage], options: JobOptions, watch: Watch
) -> TrainedSegmenter:
    """Return a segmenter with a network for an image or several, and how labels are made."""
    settings = _resolve_common_settings(jobs, images, options)
    # the smallest object is chosen once all are found: what is merged before could be part of one
    segmenter = options.build_segmenter(
        settings if options.objects is None else dataclasses.replace(settings, min_size=0)
    )
    step, is_interrupted = None, False
    if not options.apply_only:
        given: dict[str, Any] = {
            "image": [image.values for image in images],
            "axes": [image.axes for image in images],
            "mask": [image.mask for image in images],
        }
        if not options.together:
            given = {name: value for name, [value] in given.items()}
        steps: Iterator[Step] = segmenter.steps(
            **given,
            spatial_ndim=options.spatial_ndim,
            spacing=_resolve_common_spacing(jobs, images, options),
            strokes=read_image(options.strokes) if options.strokes else None,
            warm_start=options.network is not None,
        )
        if options.wants_hierarchy:
            steps = _followed_by_hierarchy(steps, segmenter)
        name = count(len(jobs), "image") if options.together else jobs[0].image.name
        step, is_interrupted = watch(steps, name)
        if is_interrupted and step.hierarchy_share is None:
            # the labels to keep are made of the run as far as it has come
            step, _ = watch(itertools.chain([step], segmenter.finish()), name)
    record = segmenter.record(step) | {"settings": settings.to_dict()}
    record |= {"image": jobs[0].image.name, "file": images[0].identity}
    record |= {"options": options.to_dict()}
    if is_interrupted:
        record |= {"interrupted": True}
    return TrainedSegmenter(segmenter, step, record)


def _resolve_common_settings(
    jobs: Sequence[Job], images: Sequence[JobImage], options: JobOptions
) -> Settings:
    """Return the settings, or raise if images of one run would need different ones."""
    first, *others = (
        _resolve_settings(job, image, options) for job, image in zip(jobs, images, strict=True)
    )
    for job, other in zip(jobs[1:], others, strict=True):
        if other != first:
            raise FileError(
                f"{jobs[0].image} and {job.image}: have pixels of different sizes, so that "
                f"--min-area {options.min_area:g} is {first.min_size:,} and {other.min_size:,} of "
                "them: give --min-size in pixels"
            )
    return first


def _resolve_common_spacing(
    jobs: Sequence[Job], images: Sequence[JobImage], options: JobOptions
) -> Sequence[float] | None:
    """Return the distance of voxels, or raise if that of images of one run differs."""
    first, *others = (resolve_spacing(image, options) or () for image in images)
    for job, other in zip(jobs[1:], others, strict=True):
        ours, theirs = (np.array(spacing) / min(spacing, default=1) for spacing in (first, other))
        if len(first) != len(other) or not np.allclose(ours, theirs, rtol=0.05):
            raise FileError(
                f"{jobs[0].image} and {job.image}: have voxels of different shapes: give "
                "--z-spacing, or segment each by a command of its own"
            )
    return first or None


def _followed_by_hierarchy(steps: Iterator[Step], segmenter: Segmenter) -> Iterator[Step]:
    """Yield the steps of a run, and its last one again while the hierarchy is built."""
    for step in steps:
        yield step
    yield from map_yields(segmenter.hierarchies_generator(), step.with_hierarchy_share)


def _run_in_memory(
    jobs: Sequence[_Prepared], images: Sequence[JobImage], options: JobOptions, watch: Watch
) -> list[Record]:
    """Segment images in memory by one network and write results; return how they were made."""
    segmenter, step, of_all = _train([one.job for one in jobs], images, options, watch)
    records = [
        of_all | {"image": one.job.image.name, "file": image.identity}
        for one, image in zip(jobs, images, strict=True)
    ]
    with _defer_interrupts(records):
        for index, ((job, is_done, labels_stay), image, record) in enumerate(
            zip(jobs, images, records, strict=True)
        ):
            if is_done:
                continue
            if step is None:
                labelled = _predict_labels(segmenter, image, options, record)
                assert labelled.clusters is not None
                record |= {"clusters": len(np.setdiff1d(labelled.clusters, [0]))}
            else:
                labelled = _select_labels(segmenter, step, options, record, index)
            if labels_stay:
                _check_same(job, labelled.labels, record)
            if job.saved_network:
                segmenter.save(job.saved_network)
            if job.uncertainty:
                axes = split_channels(image.values, image.axes).axes
                uncertainty = segmenter.uncertainty()
                if options.together:
                    uncertainty = uncertainty[index]
                write_tiff_labels(job.uncertainty, uncertainty, axes, record, image.pixel_size)
            _write_results(job, image, options, labelled, record, labels_stay=labels_stay)
    return records


def _run_separately(
    prepared: _Prepared, image: JobImage, options: JobOptions, watch: Watch
) -> Record:
    """Segment each frame of an image by a run of its own and write its results."""
    job, _, labels_stay = prepared
    labels, record = _label_separately(job, image, options, watch)
    if labels_stay:
        _check_same(job, labels, record)
    with _defer_interrupts([record]):
        _write_results(job, image, options, _Labelled(labels), record, labels_stay=labels_stay)
    return record


def _check_same(job: Job, labels: Labels, record: Record) -> None:
    """Raise if labels that are there are not those that other results would be of."""
    if "interrupted" in record:
        raise KeyboardInterrupt  # what a run has come to is not what it ends with
    if not np.array_equal(np.squeeze(read_image(job.labels)), np.squeeze(labels)):
        raise FileError(
            f"{job.labels}: is not what the same options make now, so {' and '.join(job.flags)} "
            "would not be of it: it was edited, or made by another device or version; choose "
            "another place, or overwrite it (--overwrite)"
        )


def _label_separately(
    job: Job, image: JobImage, options: JobOptions, watch: Watch
) -> tuple[Labels, Record]:
    """Return the labels of each frame by a run of its own, and how they were made."""
    steps: list[Step] = []
    record: Record = {}

    def label_frame(
        frame: NDArray[np.generic], axes: str, mask: NDArray[np.bool_] | None, _strokes: None
    ) -> Labels | None:
        nonlocal record
        if "interrupted" in record:
            return None
        frame_image = image._replace(values=frame, axes=axes, mask=mask)
        segmenter, step, record = _train([job], [frame_image], options, watch)
        assert step is not None
        steps.append(step)
        return _select_labels(segmenter, step, options, record).labels

    series: ImageOptions = {"spatial_ndim": options.spatial_ndim, "mask": image.mask}
    channels = split_channels(image.values, image.axes)
    labels = label_frames(channels, label_frame, series, are_numbered=options.wants_regions)
    if options.objects is not None:
        labels = link_objects(labels, options.spatial_ndim)
    record |= {
        "iterations": max(step.iteration for step in steps),
        "clusters": max(step.n_clusters for step in steps),
    }
    return labels, record


def _select_labels(
    segmenter: Segmenter, step: Step, options: JobOptions, record: Record, index: int = 0
) -> _Labelled:
    """Return the kind of labels that was asked for, of one of the images of a run."""
    clusters = segmenter.split(step.labels)[index]
    if options.wants_hierarchy:
        if step.hierarchy_share is not None and step.hierarchy_share < 1:
            raise KeyboardInterrupt  # an unfinished hierarchy cannot be cut
        hierarchy = segmenter.hierarchies_[index]
        labels = options.label_by_hierarchy(hierarchy, record["settings"]["min_size"])
        return _Labelled(labels, clusters, hierarchy)
    return _label_clusters(clusters, options)


def _predict_labels(
    segmenter: Segmenter, image: JobImage, options: JobOptions, record: Record
) -> _Labelled:
    """Return the labels that were asked for, by a trained network."""
    of_image: AxesOptions = {
        "axes": image.axes,
        "mask": image.mask,
        "spacing": resolve_spacing(image, options),
    }
    clusters = segmenter.predict(image.values, **of_image)
    if options.wants_hierarchy:
        hierarchy = segmenter.predict_hierarchy(image.values, labels=clusters, **of_image)
        labels = options.label_by_hierarchy(hierarchy, record["settings"]["min_size"])
        return _Labelled(labels, clusters, hierarchy)
    return _label_clusters(clusters, options)


def _label_clusters(clusters: Labels, options: JobOptions) -> _Labelled:
    """Return clusters, or their connected components if these were asked for."""
    if options.connected:
        return _Labelled(connected_components(clusters, options.spatial_ndim), clusters)
    return _Labelled(clusters, clusters)


@contextlib.contextmanager
def _defer_interrupts(records: Sequence[Record]) -> Iterator[None]:
    """Have Ctrl-C and SIGTERM wait until all is written, and then be told in the records."""
    interrupted = threading.Event()
    with handle_interrupts(lambda *_: interrupted.set()):
        yield
    if interrupted.is_set():
        for record in records:
            record |= {"interrupted": True}


def _write_results(
    job: Job,
    image: JobImage,
    options: JobOptions,
    labelled: _Labelled,
    record: Record,
    *,
    labels_stay: bool,
) -> None:
    """Write all that was asked for of an image's labels."""
    channels, labels = split_channels(image.values, image.axes), labelled.labels
    if options.wants_regions:
        kind = "segments" if options.objects is None else "objects"
        record |= {kind: int(labels.max())}
    if wants_measurements(job):
        table = _measure(labelled, channels, image, options)
        write_measurements(job, labels, channels.axes, table)
    if job.counts_rows:
        write_table(job.counts_rows, _count(labelled, channels, image, options))
    if job.preview:
        normalized = normalize_image(channels, image.mask, options.settings.intensity)
        write_png(job.preview, draw_label_overlay(normalized, labels))
    if labels_stay:
        return
    # last, since a job whose labels are there counts as done
    if is_zarr(job.labels):
        write_zarr_labels(
            job.labels,
            labels,
            axes=channels.axes,
            pixel_size=image.pixel_size,
            spatial_ndim=options.spatial_ndim,
            record=record,
        )
    else:
        write_tiff_labels(job.labels, labels, channels.axes, record, image.pixel_size)


def _measure(
    labelled: _Labelled, channels: ImageChannels, image: JobImage, options: JobOptions
) -> dict[str, NDArray[np.number]]:
    """Measure what was asked for; objects have a score too."""
    labels, clusters, hierarchy = labelled
    if options.objects is None:
        return measure_regions(labels, channels.values, axes=channels.axes, **image.units)
    table = measure_objects(
        labels,
        channels.values,
        axes=channels.axes,
        spatial_ndim=options.spatial_ndim,
        clusters=clusters,
        **image.units,
    )
    return table | (hierarchy.score_objects(labels, by_frame=True) if hierarchy else {})


def _count(
    labelled: _Labelled, channels: ImageChannels, image: JobImage, options: JobOptions
) -> dict[str, NDArray[np.number]]:
    """Count objects or segments of each frame; of clusters, of each too, connected components."""
    labels, clusters = labelled.labels, None
    if not options.wants_regions:
        clusters, labels = labels, connected_components(labels, options.spatial_ndim)
    return count_regions(
        labels,
        channels.values,
        clusters,
        axes=channels.axes,
        spatial_ndim=options.spatial_ndim,
        **image.units,
    )
