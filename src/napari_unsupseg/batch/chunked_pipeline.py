"""An image larger than memory: trained on by crops, labelled chunk by chunk."""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg._typing import Labels, Track
from napari_unsupseg.batch.jobs import (
    Job,
    JobImage,
    JobOptions,
    Record,
    TrainedSegmenter,
    resolve_spacing,
)
from napari_unsupseg.batch.measured_files import wants_measurements, write_measurements
from napari_unsupseg.errors import FileError, ImageError
from napari_unsupseg.image.channels import ImageChannels, split_channels
from napari_unsupseg.image.normalize import NormalizedImage, find_valid_pixels, normalize_image
from napari_unsupseg.image.tiling import Slices, block_slices, check_large_image
from napari_unsupseg.io.label_store import CHUNK, RECORD, UNFINISHED, LabelStore
from napari_unsupseg.io.ome_zarr import translate_zarr_errors
from napari_unsupseg.io.overlay import draw_label_overlay
from napari_unsupseg.io.paths import digest_of, hidden_path, is_unchanged, is_zarr
from napari_unsupseg.io.writers import write_png
from napari_unsupseg.learning.lazy_inference import LazyLabels
from napari_unsupseg.regions.block_objects import (
    find_part_objects,
    halo_of_objects,
    measure_by_windows,
    stitch_objects,
)
from napari_unsupseg.regions.foreground import ForegroundModel
from napari_unsupseg.regions.graph_builder import relative_spacing
from napari_unsupseg.regions.hierarchy_builder import build_hierarchy
from napari_unsupseg.regions.labels import label_dtype
from napari_unsupseg.regions.measure import combine_measurements, measure_objects, measure_regions
from napari_unsupseg.regions.stitching import label_regions_by_chunks, stitch_segments
from napari_unsupseg.segmenter import Segmenter

__all__ = ["is_resumable", "run_job_in_chunks"]


def run_job_in_chunks(
    job: Job,
    image: JobImage,
    options: JobOptions,
    train: Callable[[], TrainedSegmenter],
    track: Track[Slices],
) -> Record:
    """Write the labels of an image that is not computed whole.

    Parameters
    ----------
    job : Job
        The image and its results.
    image : JobImage
        The image; its values are a dask array.
    options : JobOptions
        How to segment it.
    train : callable
        Returns a segmenter for it. It is not called where an earlier call was stopped while it
        wrote labels.
    track : callable
        Goes through the chunks, and shows how far.

    Returns
    -------
    dict
        How the labels were made.

    Raises
    ------
    FileError
        If the labels are to go to something else than OME-Zarr, or a file cannot be written.
    ImageError
        If something is asked for that needs the whole image.
    """
    _check_large_job(job, options)
    channels = split_channels(image.values, image.axes)
    resumable = _open_resumable(job, options)
    # an image of the same name may have been replaced by another
    if resumable is None or resumable[0].level(0).shape != channels.values.shape[1:]:
        resumable = _begin(job, image, channels, options, train)
    store, segmenter = resumable
    record = store.record | _write_labels(channels, image, store, segmenter, options, track)
    store.write_pyramid()
    if wants_measurements(job):
        table = _measure(channels, store, image, options, track)
        write_measurements(job, store.level(0), channels.axes, table)
    if job.preview:
        write_png(job.preview, _draw_preview(channels, store, segmenter))
    store.mark_complete(record)
    network = _network_file(job, options)
    if network not in (job.saved_network, options.network):  # nobody asked for it
        network.unlink(missing_ok=True)
    return record


def is_resumable(job: Job, options: JobOptions) -> bool:
    """Tell whether a call with the same options was stopped while it wrote labels.

    Parameters
    ----------
    job : Job
        The image and its results.
    options : JobOptions
        How to segment it.

    Returns
    -------
    bool
        Whether `run_job_in_chunks` would go on from there; or begin anew, where the store says so
        but its arrays are damaged.
    """
    if not is_zarr(job.labels):
        return False
    record = _read_unfinished(job.labels)
    return record is not None and _load_network(job, options, record) is not None


def _check_large_job(job: Job, options: JobOptions) -> None:
    """Refuse, before any work, what cannot be had of an image that is never loaded whole."""
    if not is_zarr(job.labels):
        raise FileError(
            f"{job.image}: is too large to be loaded, and its labels go chunk by chunk to "
            "OME-Zarr: name an --output that ends in .ome.zarr"
        )
    needing_all = {"--uncertainty": job.uncertainty, "--counts": job.counts_rows}
    if flag := next((flag for flag, path in needing_all.items() if path), None):
        raise ImageError(f"{job.image}: is too large to be loaded, which {flag} needs; crop it")
    flags = {
        "strokes": "--strokes",
        "joint": "--separate",
        "n_segments": "--n-segments",
        "min_size": "--min-size" if options.min_area is None else "--min-area",
    }
    min_size = options.settings.min_size if options.min_area is None else sys.maxsize
    check_large_image(
        str(job.image),
        strokes=options.strokes,
        joint=options.joint,
        # how many pixels an area has does not matter: a segment of any size may cross chunks
        min_size=min_size if options.objects is None else 0,
        is_stitched=True,
        spelling=flags.__getitem__,
        **options.cut,
    )


def _network_file(job: Job, options: JobOptions) -> Path:
    """Return where the network is that an interrupted call would go on with."""
    if options.apply_only:
        assert options.network is not None
        return options.network
    return job.saved_network or hidden_path(job.labels, ".unsupseg")


def _open_resumable(job: Job, options: JobOptions) -> tuple[LabelStore, Segmenter] | None:
    """Return the labels that a call with the same options has begun, and their network."""
    store = LabelStore.from_path(job.labels)
    if store is None or store.is_complete:
        return None
    segmenter = _load_network(job, options, store.record)
    return None if segmenter is None else (store, segmenter)


def _read_unfinished(path: Path) -> Record | None:
    """Return how the labels of a store are made, if they are not complete; it may be damaged."""
    if not (path / "zarr.json").is_file():
        return None
    try:
        with translate_zarr_errors(path):
            import zarr

            record: Any = zarr.open_group(path, mode="r").attrs.get(RECORD)
    except FileError:
        return None
    return record if isinstance(record, dict) and UNFINISHED in record else None


def _load_network(job: Job, options: JobOptions, record: Record) -> Segmenter | None:
    """Return the network that labels are made with, if a call with the same options began them."""
    network = _network_file(job, options)
    if not network.is_file():
        return None
    # the network by its content: another may have been written to the same file since
    same = {"image": job.image.name, "sha256": digest_of(network)}
    is_alike = all(record.get(name) == value for name, value in same.items())
    is_alike = is_alike and is_unchanged(job.image, record.get("file"))
    if not (is_alike and options.have_made(record)):
        return None
    segmenter = Segmenter.load(network, device=options.device)
    # an applied network has that of its own run; that of objects counts when all are found
    segmenter.settings = dataclasses.replace(segmenter.settings, min_size=0)
    return segmenter


def _begin(
    job: Job,
    image: JobImage,
    channels: ImageChannels,
    options: JobOptions,
    train: Callable[[], TrainedSegmenter],
) -> tuple[LabelStore, Segmenter]:
    """Train, keep the network for a call that goes on, and return it with an empty store."""
    segmenter, _, record = train()
    network = _network_file(job, options)
    if not options.apply_only:
        segmenter.save(network)
    # how many regions there will be nobody knows yet: more than uint16 holds
    n_labels = 2**16 if options.wants_regions else segmenter.settings.max_clusters
    store = LabelStore.create(
        job.labels,
        channels.values.shape[1:],
        label_dtype(n_labels),
        axes=channels.axes,
        pixel_size=image.pixel_size,
        spatial_ndim=options.spatial_ndim,
        record=record | {"sha256": digest_of(network)},
    )
    return store, segmenter


def _write_labels(
    channels: ImageChannels,
    image: JobImage,
    store: LabelStore,
    segmenter: Segmenter,
    options: JobOptions,
    track: Track[Slices],
) -> Record:
    """Write the finest labels; return how many clusters, segments or objects there are."""
    spatial_ndim = options.spatial_ndim
    values: Any = channels.values
    n_leading = values.ndim - 1 - spatial_ndim
    # all channels in one chunk, frame by frame, and along its axes as the labels are stored
    lazy = values.rechunk((len(values), *[1] * n_leading, *CHUNK[spatial_ndim]))
    labels = segmenter.lazy_labels(lazy, axes="c" + channels.axes)
    finest = store.level(0)
    # regions replace clusters chunk by chunk, and have to look at the clusters beyond a chunk
    clusters = store.temporary_array(labels.dtype) if options.wants_regions else finest
    store.write_missing_chunks(clusters, labels.array(), track)
    counts = {"clusters": len(_unique_labels(clusters))}
    spacing = resolve_spacing(image, options)

    def read(part: Slices) -> NormalizedImage:
        crop = dataclasses.replace(channels, values=values[:, *part].compute(scheduler="sync"))
        # the same limits for all parts: by its own a dark one would have edges of noise
        limits, intensity = labels.crops.limits, segmenter.settings.intensity
        return normalize_image(crop, None, intensity, spatial_ndim, limits, spacing)

    if options.connected:
        counts["segments"] = label_regions_by_chunks(clusters, finest, spatial_ndim, track)
    elif options.wants_segments:
        cut = _cut_by_parts(read, clusters, options)
        counts["segments"] = stitch_segments(cut, finest, spatial_ndim, track)
    elif options.objects is not None:
        model = _learn_foreground(labels, spacing)
        split = options.objects.get("split", 0.5)
        counts["objects"] = stitch_objects(
            lambda part: find_part_objects(read, clusters, part, model, split),
            finest,
            halo_of_objects(model, finest.chunks[-spatial_ndim:]),
            track,
            min_size=store.record["settings"]["min_size"] or None,
            **options.objects,
        )
    return counts


def _cut_by_parts(
    read: Callable[[Slices], NormalizedImage], clusters: Any, options: JobOptions
) -> Callable[[Slices], Labels]:
    """Return a function that finds the segments of a part of an image, from its clusters."""

    def cut(part: Slices) -> Labels:
        labels = np.asarray(clusters[part])
        if not labels.any():  # NaN alone cannot be normalised
            return labels
        return build_hierarchy(read(part), [labels]).cut(**options.cut)

    return cut


def _learn_foreground(labels: LazyLabels, spacing: Sequence[float] | None) -> ForegroundModel:
    """Decide for all of an image what its objects are made of, by crops from all over it."""
    steps = relative_spacing(spacing or (), labels.spatial_ndim)
    crops = dataclasses.replace(labels.crops, spacing=tuple(steps.tolist()))
    return build_hierarchy(crops, [labels.label_crops()]).foreground_model()


def _measure(
    channels: ImageChannels,
    store: LabelStore,
    image: JobImage,
    options: JobOptions,
    track: Track[Slices],
) -> dict[str, Any]:
    """Measure every label's region, which may reach over many chunks."""
    values: Any = channels.values
    labels = store.level(0)

    def where(part: Slices) -> dict[str, Any]:
        corner = [along.start for along in part]
        return {"axes": channels.axes, "corner": corner, **image.units}

    def measure(chunk: Slices) -> dict[str, Any]:
        of_chunk = values[:, *chunk].compute(scheduler="sync")
        return measure_regions(np.asarray(labels[chunk]), of_chunk, **where(chunk))

    def measure_some(part: Slices, objects: Labels) -> dict[str, Any]:
        return measure_objects(
            objects,
            values[:, *part].compute(scheduler="sync"),
            spatial_ndim=options.spatial_ndim,
            clusters=np.asarray(clusters[part]),
            whole_shape=labels.shape,
            **where(part),
        )

    if options.objects is None:
        chunks = block_slices(labels.shape, labels.chunks)
        return combine_measurements(map(measure, track(chunks, "measuring")))
    clusters = store.temporary_array(labels.dtype.type)  # as they were written
    return measure_by_windows(labels, options.spatial_ndim, measure_some, track)


def _unique_labels(labels: Any) -> set[int]:
    """Return the labels that are there, without 0."""
    unique: set[int] = set()
    for chunk in block_slices(labels.shape, labels.chunks):
        unique.update(np.unique(np.asarray(labels[chunk])).tolist())
    return unique - {0}


def _draw_preview(
    channels: ImageChannels, store: LabelStore, segmenter: Segmenter
) -> NDArray[np.uint8]:
    """Draw the coarsest labels over the middle plane."""
    labels = store.level(store.n_levels - 1)
    step = 2 ** (store.n_levels - 1)
    middle = tuple(length // 2 for length in labels.shape[:-2])
    values: Any = channels.values
    plane = values[:, *middle, ::step, ::step].compute(scheduler="sync")
    if not find_valid_pixels(plane, None).any():  # there is nothing to normalise
        return np.zeros((*plane.shape[-2:], 3), dtype=np.uint8)
    image = ImageChannels(plane, channels.is_rgb, "yx")
    normalized = normalize_image(image, None, segmenter.settings.intensity)
    return draw_label_overlay(normalized, np.asarray(labels[middle]))
