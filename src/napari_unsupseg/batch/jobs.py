"""What one call is to do: images, results, and what holds for all of them."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg._typing import Labels
from napari_unsupseg.io.paths import result_file_name
from napari_unsupseg.io.pixel_size import NO_UNIT, PixelSize
from napari_unsupseg.io.readers import is_chunked
from napari_unsupseg.learning.step import Step
from napari_unsupseg.options import CutOptions, ImageOptions, ObjectOptions
from napari_unsupseg.regions.hierarchy import Hierarchy
from napari_unsupseg.segmenter import Segmenter
from napari_unsupseg.settings import Settings

__all__ = [
    "PREVIEW_ENDING",
    "UNCERTAINTY_ENDING",
    "Job",
    "JobImage",
    "JobOptions",
    "Record",
    "TrainedSegmenter",
    "find_results",
    "labels_file_name",
    "resolve_spacing",
]

# what the names of results end in, of several images, that are images too
TIFF_ENDING = "_labels.tif"
ZARR_ENDING = "_labels.ome.zarr"
PREVIEW_ENDING = "_preview.png"
UNCERTAINTY_ENDING = "_uncertainty.tif"

# how what may be written beside the labels is asked for
FLAGS = {
    "preview": "--preview",
    "table": "--table",
    "geojson": "--geojson",
    "rois": "--rois",
    "uncertainty": "--uncertainty",
    "saved_network": "--save",
    "table_rows": "--table",
    "counts_rows": "--counts",
}

Record = dict[str, Any]  # how labels were made, fit for JSON; it is stored beside them


@dataclasses.dataclass(frozen=True)
class Job:
    """One image to segment and where its results go.

    Attributes
    ----------
    image : Path
        The image file.
    labels : Path
        TIFF file or OME-Zarr store for the labels.
    preview : Path or None
        PNG file for the labels drawn over the image.
    table : Path or None
        CSV file for what their regions measure.
    geojson : Path or None
        GeoJSON for their outlines and what they measure.
    rois : Path or None
        ZIP of ImageJ's regions of interest, for the same.
    uncertainty : Path or None
        TIFF file for how uncertain the cluster of each pixel is.
    saved_network : Path or None
        File for the trained network.
    table_rows : Path or None
        CSV file for what `table` has, to be joined with that of other images.
    counts_rows : Path or None
        CSV file for what the regions of each frame and cluster measure together, likewise.
    """

    image: Path
    labels: Path
    preview: Path | None = None
    table: Path | None = None
    geojson: Path | None = None
    rois: Path | None = None
    uncertainty: Path | None = None
    saved_network: Path | None = None
    table_rows: Path | None = None
    counts_rows: Path | None = None

    @property
    def results(self) -> list[Path]:
        """Every file that is to be written."""
        others = (*self.beside.values(), self.table_rows, self.counts_rows)
        return [self.labels, *(path for path in others if path)]

    def missing(self) -> Self:
        """Return the job with what is not there yet, and the labels."""
        there = {name: None for name in FLAGS if getattr(self, name) and self._has(name)}
        return dataclasses.replace(self, **cast("dict[str, Any]", there))

    @property
    def is_complete(self) -> bool:
        """Whether all that is asked for beside the labels is there."""
        return not self.missing().flags

    def mark_rows(self) -> None:
        """Have rows be newer than the labels that they are of."""
        for rows in (self.table_rows, self.counts_rows):
            if rows:
                rows.touch()

    def _has(self, name: str) -> bool:
        """Tell whether a result is there; rows may be of other labels that were there before."""
        path: Path = getattr(self, name)
        if not path.exists() or path not in (self.table_rows, self.counts_rows):
            return path.exists()
        written = self.labels / "zarr.json" if self.labels.is_dir() else self.labels
        return path.stat().st_mtime_ns >= written.stat().st_mtime_ns

    @property
    def flags(self) -> list[str]:
        """What its results beside the labels are asked for by."""
        return [flag for name, flag in FLAGS.items() if getattr(self, name)]

    @property
    def beside(self) -> dict[str, Path | None]:
        """Every kind of file that may be written beside the labels, as a user is told it."""
        return {
            "preview": self.preview,
            "table": self.table,
            "geojson": self.geojson,
            "rois": self.rois,
            "uncertainty": self.uncertainty,
            "network": self.saved_network,
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobOptions:
    """What holds for every image of one call.

    Attributes
    ----------
    settings : Settings
        Settings of the runs.
    device : str
        Where to compute, such as ``'cpu'`` or ``'cuda'``; ``'auto'`` for the GPU if there is one.
    image : ImageOptions
        What the images are, without arrays: there is no mask, and strokes come from a file. It
        goes before what a file says.
    cut : CutOptions
        Where to cut the hierarchy into segments.
    joint : bool
        Whether to train one network on all frames of a series, or one on each.
    together : tuple of str
        Names of the images that one network is trained on together; none if each has its own.
    series : int or None
        Which image of a file with several, from 0; by default as `open_image` chooses.
    strokes : Path or None
        File of labels drawn on some pixels of the image.
    network : Path or None
        File of a trained network, which training goes on from.
    apply_only : bool
        Whether that network labels the images as it is, without training.
    connected : bool
        Whether to label the connected components of clusters.
    segments : bool
        Whether to label the segments of the hierarchy; `cut` says so too.
    objects : ObjectOptions or None
        Which objects to label, if objects are asked for.
    pixel_size : float or None
        Side of a pixel in µm, in place of what a file says.
    min_area : float or None
        Smallest segment in the unit of the pixel size, squared.
    overwrite : bool
        Whether files that exist may be replaced.
    """

    settings: Settings
    device: str
    image: ImageOptions = dataclasses.field(default_factory=ImageOptions)
    cut: CutOptions = dataclasses.field(default_factory=CutOptions)
    joint: bool = True
    together: tuple[str, ...] = ()
    series: int | None = None
    strokes: Path | None = None
    network: Path | None = None
    apply_only: bool = False
    connected: bool = False
    segments: bool = False
    objects: ObjectOptions | None = None
    pixel_size: float | None = None
    min_area: float | None = None
    overwrite: bool = False

    @property
    def spatial_ndim(self) -> int:
        """Axes of a frame: 2 for planes, 3 for volumes."""
        return self.image.get("spatial_ndim", 2)

    @property
    def wants_segments(self) -> bool:
        """Whether segments of the hierarchy are asked for in place of clusters."""
        return self.segments or any(value is not None for value in self.cut.values())

    @property
    def wants_regions(self) -> bool:
        """Whether each label is one thing: an object, a segment, or a component of a cluster."""
        return self.connected or self.wants_hierarchy

    @property
    def wants_hierarchy(self) -> bool:
        """Whether labels come from the hierarchy: segments or objects."""
        return self.wants_segments or self.objects is not None

    def label_by_hierarchy(self, hierarchy: Hierarchy, min_size: int) -> Labels:
        """Return the objects, of so many pixels at least, or the segments that are asked for."""
        if self.objects is None:
            return hierarchy.cut(**self.cut)
        return hierarchy.objects(min_size=min_size or None, **self.objects)

    def to_dict(self) -> dict[str, Any]:
        """Return what decides the labels, beside settings and image, fit for JSON.

        It is stored with the labels, and labels count as done where it is the same: a name that is
        changed here has the labels of older versions made again.
        """
        spacing = self.image.get("spacing")
        return {
            "axes": self.image.get("axes"),
            "channel_axis": self.image.get("channel_axis"),
            "spatial_ndim": self.spatial_ndim,
            "joint": self.joint,
            "z_spacing": spacing[0] / spacing[-1] if spacing else None,
            "connected": self.connected,
            "segments": self.segments,
            "granularity": self.cut.get("granularity"),
            "n_segments": self.cut.get("n_segments"),
            "min_area": self.min_area,
            "pixel_size": self.pixel_size,
            "network": self.network.name if self.network else None,
            "strokes": self.strokes.name if self.strokes else None,
            "applied": self.apply_only,
        } | {
            name: value
            for name, value in (
                ("series", self.series),
                ("objects", self.objects),
                ("together", list(self.together) or None),
            )
            if value is not None
        }

    def have_made(self, record: Record) -> bool:
        """Tell whether these options would make labels as a record says they were made."""
        made = record.get("settings")
        if not isinstance(made, dict):
            return False
        settings = self.settings.to_dict()
        if self.min_area is not None:
            # the record has it in pixels, the options in physical units, which are compared too
            settings["min_size"] = made.get("min_size", 0)
        return made == settings and record.get("options") == self.to_dict()

    def differences(self, record: Record) -> list[str]:
        """Name the options and settings that are not as a record says that labels were made."""
        made, settings = record.get("options"), record.get("settings")
        if not (isinstance(made, dict) and isinstance(settings, dict)):
            return []
        ours = _flatten(self.to_dict(), self.settings.to_dict())
        theirs = _flatten(made, settings)
        return [name for name in ours | theirs if ours.get(name) != theirs.get(name)]

    def build_segmenter(self, settings: Settings) -> Segmenter:
        """Return a segmenter with these settings, and with the trained network if there is one."""
        if self.network is None:
            return Segmenter(settings, device=self.device)
        segmenter = Segmenter.load(self.network, device=self.device)
        segmenter.settings = settings
        return segmenter


def _flatten(options: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Return what decides labels by the names of the options that say it."""
    objects = options.get("objects")
    return settings | options | (objects or {}) | {"objects": objects is not None}


class JobImage(NamedTuple):
    """An image of a job, opened and understood.

    Attributes
    ----------
    values : ndarray or dask array
        A dask array if it is too large to be loaded.
    axes : str
        One letter for each of its axes.
    pixel_size : PixelSize or None
        None if neither the file nor the user says it.
    mask : ndarray of bool, shape (..., Y, X), or None
        False where a pixel takes no part, since it is fully transparent.
    identity : dict or None
        What tells its file from another, see `identify_file`.
    """

    values: Any
    axes: str
    pixel_size: PixelSize | None
    mask: NDArray[np.bool_] | None = None
    identity: dict[str, int | str] | None = None

    @property
    def units(self) -> dict[str, Any]:
        """Size, unit and origin of a pixel, as `measure_regions` takes them; else pixels count."""
        if self.pixel_size is None or self.pixel_size.unit == NO_UNIT:
            return {}
        size = self.pixel_size
        spacing = {"y": size.height, "x": size.width} | ({"z": size.depth} if size.depth else {})
        origin = dict(zip("zyx", size.origin, strict=True))
        return {"spacing": spacing, "unit": size.unit, "origin": origin}


def resolve_spacing(image: JobImage, options: JobOptions) -> Sequence[float] | None:
    """Say how far apart voxels are.

    Parameters
    ----------
    image : JobImage
        The image, whose file may say it.
    options : JobOptions
        What the user says goes before that.

    Returns
    -------
    sequence of float or None
        Along z, y and x; None if nobody says it, or there are no voxels.
    """
    if options.spatial_ndim == 2:
        return None
    if spacing := options.image.get("spacing"):
        return spacing
    if image.pixel_size is None or image.pixel_size.depth is None:
        return None
    return image.pixel_size.depth, image.pixel_size.height, image.pixel_size.width


class TrainedSegmenter(NamedTuple):
    """A segmenter that can label the image of a job.

    Attributes
    ----------
    segmenter : Segmenter
        It has the network.
    step : Step or None
        The last step of its run; None if the network was trained before.
    record : dict
        How its labels are made, fit for JSON.
    """

    segmenter: Segmenter
    step: Step | None
    record: Record


def labels_file_name(image: Path) -> str:
    """Name the labels of one of many images.

    Parameters
    ----------
    image : Path
        An image file.

    Returns
    -------
    str
        Name of a TIFF file, or of an OME-Zarr store if the image is in one too or is too large to
        be loaded.
    """
    return result_file_name(image, ZARR_ENDING if is_chunked(image) else TIFF_ENDING)


def find_results(images: Sequence[Path]) -> list[Path]:
    """Find the files that are named as results of others beside them.

    Parameters
    ----------
    images : sequence of Path
        Image files.

    Returns
    -------
    list of Path
        Labels, previews and images of uncertainty.

    Examples
    --------
    >>> names = find_results([Path("a.png"), Path("a_labels.tif"), Path("b_labels.tif")])
    >>> [path.name for path in names]
    ['a_labels.tif']
    """
    names = {
        image.with_name(result_file_name(image, ending))
        for image in images
        for ending in (TIFF_ENDING, ZARR_ENDING, PREVIEW_ENDING, UNCERTAINTY_ENDING)
    }
    return [image for image in images if image in names]
