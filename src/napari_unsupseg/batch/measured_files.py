"""Files of a job that hold what its labels measure: tables and outlines."""

from typing import Any

from napari_unsupseg.batch.jobs import Job
from napari_unsupseg.io.object_files import Columns, write_geojson, write_imagej_rois
from napari_unsupseg.io.writers import write_table

__all__ = ["wants_measurements", "write_measurements"]


def wants_measurements(job: Job) -> bool:
    """Tell whether any file is asked for that `write_measurements` writes.

    Parameters
    ----------
    job : Job
        The job.

    Returns
    -------
    bool
        Whether its labels have to be measured.
    """
    return any((job.table, job.table_rows, job.geojson, job.rois))


def write_measurements(job: Job, labels: Any, axes: str, table: Columns) -> None:
    """Write every file of a job that holds what its labels measure.

    Parameters
    ----------
    job : Job
        The job.
    labels : array of unsigned integers, shape (..., Y, X)
        Its labels, of which a part is loaded at a time.
    axes : str
        A letter for each of their axes.
    table : mapping of str to ndarray, shape (rows,)
        What they measure.

    Raises
    ------
    FileError
        If a file cannot be written.
    """
    for path in (job.table, job.table_rows):
        if path:
            write_table(path, table)
    if job.geojson:
        write_geojson(job.geojson, labels, axes, table)
    if job.rois:
        write_imagej_rois(job.rois, labels, axes, table)
