"""One table of many images: each image's rows in a file of their own, joined at the end.

So images can be done in any order and by any process, a call can be killed at any moment, and the
same call goes on: an image whose labels and rows are there is done.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from napari_unsupseg.batch.jobs import Job, JobOptions
from napari_unsupseg.batch.pipeline import Report, is_done
from napari_unsupseg.errors import FileError
from napari_unsupseg.io.paths import check_writable, hidden_path, remove, result_file_name
from napari_unsupseg.io.writers import check_table_format, join_tables

__all__ = ["JointTables", "RowsKind", "join_rows", "prepare_joint_table", "with_rows"]

RowsKind = Literal["table_rows", "counts_rows"]  # of a job
JointTables = Mapping[RowsKind, Path]
ENDINGS: dict[RowsKind, str] = {"table_rows": "_table.csv", "counts_rows": "_counts.csv"}


def with_rows(jobs: Iterable[Job], tables: JointTables) -> list[Job]:
    """Return jobs that write their rows for tables of many images.

    Parameters
    ----------
    jobs : iterable of Job
        The images and their results.
    tables : mapping of str to Path
        The tables, by what a job calls its rows.

    Returns
    -------
    list of Job
        Their rows go to a hidden folder beside each table.
    """
    return [
        dataclasses.replace(
            job,
            **{
                kind: _rows_folder(path) / result_file_name(job.image, ENDINGS[kind])
                for kind, path in tables.items()
            },
        )
        for job in jobs
    ]


def prepare_joint_table(path: Path, rows: Sequence[Path], *, overwrite: bool) -> None:
    """Raise before any work if a table of many images could not be written, or would lose rows.

    Parameters
    ----------
    path : Path
        The table.
    rows : sequence of Path
        Files of rows that it is to be joined from.
    overwrite : bool
        Whether what is there may be replaced; rows of an earlier call are removed then.

    Raises
    ------
    FileError
        If it cannot be written, is there already and of another origin, or has rows of images that
        are none of these.
    """
    check_table_format(path)
    folder = _rows_folder(path)
    if overwrite:
        remove(folder)
    if others := sorted(set(folder.glob("*.csv")) - set(rows)):
        raise FileError(
            f"{path}: has rows of other images, such as {others[0].stem}: give these too, choose "
            "another place, or overwrite it (--overwrite)"
        )
    check_writable(path, overwrite=overwrite or folder.is_dir())


def join_rows(
    kind: RowsKind,
    path: Path,
    jobs: Sequence[Job],
    options: JobOptions,
    reports: Sequence[Report],
) -> int:
    """Write the table of all images that are done, by this call or an earlier one.

    Parameters
    ----------
    kind : {'table_rows', 'counts_rows'}
        Which rows.
    path : Path
        The table to write or replace. One that is newer than all rows stays as it is.
    jobs : sequence of Job
        All images, in the order of the rows.
    options : JobOptions
        How they were to be segmented.
    reports : sequence of dict
        What became of those that were come to.

    Returns
    -------
    int
        Images that the table has rows of.

    Raises
    ------
    FileError
        If the table cannot be written.
    """
    failed = {report["image"]: "error" in report for report in reports}
    parts = {}
    for job in jobs:
        rows = getattr(job, kind)
        if not failed.get(str(job.image), not is_done(job, options)) and rows.is_file():
            parts[job.image.name] = rows
    if parts and (not path.exists() or _changed(path) <= max(map(_changed, parts.values()))):
        join_tables(path, parts)
    return len(parts)


def _rows_folder(path: Path) -> Path:
    return hidden_path(path, ".rows")


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns
