"""What one call is to do: images, results, and what holds for all of them."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

from napari_unsupseg.io.paths import result_file_name
from napari_unsupseg.io.pixel_size import PixelSize
from napari_unsupseg.io.readers import is_chunked
from napari_unsupseg.learning.step import Step
from napari_unsupseg.segmenter import Segmenter
from napari_unsupseg.settings import Settings

__all__ = ["Job", "JobImage", "JobOptions", "TrainedSegmenter", "labels_file_name"]


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
class JobOptions:
    """What holds for every image of one call.

    Attributes
    ----------
    settings : Settings
        Of the runs.
    device : str
        As in `napari_unsupseg.segment`, like `axes`, `channel_axis`, `spatial_ndim`, `joint`,
        `granularity` and `n_segments`.
    z_spacing : float or None
        Distance of slices over that of pixels, in place of what a file says.
    strokes : Path or None
        File of labels drawn on some pixels of the image.
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
    joint: bool = True
    z_spacing: float | None = None
    strokes: Path | None = None
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

    @property
    def is_numbered(self) -> bool:
        """Whether each label is a region by itself."""
        return self.connected or self.is_cut

    def to_dict(self) -> dict[str, Any]:
        """Return what decides the labels, beside settings and image, fit for JSON."""
        names = (
            "axes", "channel_axis", "spatial_ndim", "joint", "z_spacing", "connected", "segments",
            "granularity", "n_segments", "min_area", "pixel_size",
        )  # fmt: skip
        files = {"network": self.known, "strokes": self.strokes}
        named = {kind: path.name if path else None for kind, path in files.items()}
        return {name: getattr(self, name) for name in names} | named | {"applied": self.is_applied}

    def segmenter(self, settings: Settings) -> Segmenter:
        """Return a segmenter with these settings, and the known network if there is one."""
        if self.known is None:
            return Segmenter(settings, device=self.device)
        segmenter = Segmenter.load(self.known, device=self.device)
        segmenter.settings = settings
        return segmenter


class JobImage(NamedTuple):
    """An image of a job, opened and understood.

    Attributes
    ----------
    values : ndarray or dask array
        A dask array if it is too large to be loaded.
    axes : str
        One letter for each of its axes.
    pixel_size : PixelSize or None
        If anybody says it.
    """

    values: Any
    axes: str
    pixel_size: PixelSize | None

    @property
    def units(self) -> dict[str, Any]:
        """In what its regions are measured, as keywords of `measure_regions`."""
        if self.pixel_size is None:
            return {}
        return {"spacing": self.pixel_size[:2], "unit": self.pixel_size.unit}


class TrainedSegmenter(NamedTuple):
    """A network for a job.

    Attributes
    ----------
    segmenter : Segmenter
        Has the network.
    step : Step or None
        The last of its run; None if it was trained before.
    record : dict
        How its labels are made, fit for JSON.
    """

    segmenter: Segmenter
    step: Step | None
    record: dict[str, Any]


def labels_file_name(image: Path) -> str:
    """Name the labels of one of many images.

    Parameters
    ----------
    image : Path
        An image file.

    Returns
    -------
    str
        Of a TIFF file, or of an OME-Zarr store if the image is too large to be loaded.
    """
    return result_file_name(image, "_labels.ome.zarr" if is_chunked(image) else "_labels.tif")
