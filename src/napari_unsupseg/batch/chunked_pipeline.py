"""An image larger than memory: trained on by crops, labelled chunk by chunk."""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_unsupseg._typing import Labels, Track
from napari_unsupseg.batch.jobs import Job, JobImage, JobOptions, TrainedSegmenter
from napari_unsupseg.errors import FileError
from napari_unsupseg.image.channels import ImageChannels, split_channels
from napari_unsupseg.image.normalize import normalize_crops, normalize_image
from napari_unsupseg.image.tiling import Slices, block_slices
from napari_unsupseg.io.label_store import CHUNK, LabelStore
from napari_unsupseg.io.overlay import draw_label_overlay
from napari_unsupseg.io.paths import is_zarr
from napari_unsupseg.io.writers import write_png, write_table
from napari_unsupseg.regions.hierarchy_builder import build_hierarchy
from napari_unsupseg.regions.labels import label_dtype
from napari_unsupseg.regions.measure import combine_measurements, measure_regions
from napari_unsupseg.regions.stitching import label_regions_by_chunks, stitch_segments
from napari_unsupseg.segmenter import Segmenter

__all__ = ["is_resumable", "run_job_in_chunks"]

Record = dict[str, Any]


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
        The image.
    image : JobImage
        Its values a dask array.
    options : Options
        How to segment it.
    train : callable
        Returns a network for it.
    track : callable
        Goes through the chunks, and shows how far.

    Returns
    -------
    dict
        How the labels were made.

    Raises
    ------
    FileError
        If more is asked for than can be had of such an image, or a file cannot be written.
    """
    _refuse_what_needs_the_whole(job, options)
    channels = split_channels(image.values, image.axes)
    values: Any = channels.values
    spatial_ndim = options.spatial_ndim
    leading = [1] * (values.ndim - 1 - spatial_ndim)
    lazy = values.rechunk((len(values), *leading, *CHUNK[spatial_ndim]))
    network = _network_file(job, options)
    begun = _begun(job, options)
    if begun:
        store, segmenter = begun
    else:
        segmenter, _, record = train()
        if not options.is_applied:
            segmenter.save(network)
        n_labels = 2**16 if options.is_numbered else segmenter.settings.max_clusters
        store = LabelStore.create(
            job.labels,
            lazy.shape[1:],
            label_dtype(n_labels),
            axes=channels.axes,
            pixel_size=image.pixel_size,
            spatial_ndim=spatial_ndim,
            record=record | {"sha256": _digest(network)},
        )
    record = store.record
    labels = segmenter.predict(lazy, axes="c" + channels.axes)
    finest = store.level(0)
    clusters = store.temporary_array(labels.dtype.type) if options.is_numbered else finest
    store.write_missing_chunks(clusters, labels, track)
    record |= {"clusters": len(_present(clusters))}
    if options.connected:
        n_regions = label_regions_by_chunks(clusters, finest, spatial_ndim, track)
        record |= {"segments": n_regions}
    elif options.is_cut:
        cut = _cut(channels, clusters, segmenter, options)
        n_segments = stitch_segments(cut, finest, spatial_ndim, track)
        record |= {"segments": n_segments}
    store.write_pyramid()
    if job.table:
        write_table(job.table, _measure(channels, finest, image, track))
    if job.preview:
        write_png(job.preview, _preview(channels, store, segmenter))
    store.mark_complete(record)
    if network not in (job.model, options.known):
        network.unlink(missing_ok=True)
    return record


def is_resumable(job: Job, options: JobOptions) -> bool:
    """Tell whether a call with the same options was stopped while it wrote labels.

    Parameters
    ----------
    job : Job
        The image.
    options : Options
        How to segment it.

    Returns
    -------
    bool
        Whether `run_job_in_chunks` would go on from there.
    """
    return is_zarr(job.labels) and _begun(job, options) is not None


def _refuse_what_needs_the_whole(job: Job, options: JobOptions) -> None:
    if not is_zarr(job.labels):
        raise FileError(
            f"{job.image}: is too large to be loaded, and its labels go chunk by chunk to "
            "OME-Zarr: name an --output that ends in .ome.zarr"
        )
    wants = {
        "--n-segments": options.n_segments,
        "--separate": not options.joint,
        "--min-size or --min-area": options.settings.min_size > 1 or options.min_area,
    }
    for option, is_wanted in wants.items():
        if is_wanted:
            raise FileError(
                f"{job.image}: is too large to be loaded, which {option} needs; "
                "--segments, --granularity and --connected do not, and a cropped image can have all"
            )


def _cut(
    channels: ImageChannels, clusters: Any, segmenter: Segmenter, options: JobOptions
) -> Callable[[Slices], Labels]:
    """Return what finds the segments of a part of an image, by the clusters of all of it."""
    intensity, spatial_ndim = segmenter.settings.intensity, options.spatial_ndim
    limits = normalize_crops(channels, intensity, spatial_ndim, segmenter.settings.seed).limits

    def cut(place: Slices) -> Labels:
        labels = np.asarray(clusters[place])
        if not labels.any():
            return labels
        values: Any = channels.values
        part = dataclasses.replace(channels, values=values[:, *place].compute(scheduler="sync"))
        prepared = normalize_image(part, None, intensity, spatial_ndim, limits)
        return build_hierarchy(prepared, [labels]).cut(granularity=options.granularity)

    return cut


def _measure(
    channels: ImageChannels, labels: Any, image: JobImage, track: Track[Slices]
) -> dict[str, Any]:
    """Measure every label's region, chunk by chunk."""
    values: Any = channels.values

    def table(place: Slices) -> dict[str, Any]:
        part = values[:, *place].compute(scheduler="sync")
        corner = [along.start for along in place]
        return measure_regions(
            np.asarray(labels[place]), part, axes=channels.axes, corner=corner, **image.units
        )

    return combine_measurements(
        map(table, track(block_slices(labels.shape, labels.chunks), "measuring"))
    )


def _network_file(job: Job, options: JobOptions) -> Path:
    """Return where the network is that an interrupted call would go on with."""
    if options.is_applied:
        assert options.known is not None
        return options.known
    return job.model or job.labels.with_name(f".{job.labels.name}.unsupseg")


def _begun(job: Job, options: JobOptions) -> tuple[LabelStore, Segmenter] | None:
    """Return the labels that a call with the same options has begun, and their network."""
    store, network = LabelStore.from_path(job.labels), _network_file(job, options)
    if store is None or store.is_complete or not network.is_file():
        return None
    same = {"image": job.image.name, "options": options.to_dict(), "sha256": _digest(network)}
    record = store.record
    if any(record.get(name) != value for name, value in same.items()):
        return None
    segmenter = Segmenter.load(network, device=options.device)
    if not options.is_applied and segmenter.settings != options.settings:
        return None
    return store, segmenter


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _present(labels: Any) -> set[int]:
    """Return the labels there are, but 0."""
    found: set[int] = set()
    for place in block_slices(labels.shape, labels.chunks):
        found.update(np.unique(np.asarray(labels[place])).tolist())
    return found - {0}


def _preview(channels: ImageChannels, store: LabelStore, segmenter: Segmenter) -> Any:
    """Draw the coarsest labels over the middle plane."""
    labels = store.level(store.n_levels - 1)
    step = 2 ** (store.n_levels - 1)
    middle = tuple(length // 2 for length in labels.shape[:-2])
    values: Any = channels.values
    plane = values[:, *middle, ::step, ::step].compute(scheduler="sync")
    found = ImageChannels(plane, channels.is_rgb, "yx")
    image = normalize_image(found, None, segmenter.settings.intensity)
    return draw_label_overlay(image, np.asarray(labels[middle]))
