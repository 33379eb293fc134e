"""One table of many images: each image's rows in a file of their own, joined at the end.

So images can be done in any order and by any process, a call can be killed at any moment, and the
same call goes on: an image whose labels and rows are there is done. The files of rows stay, since
the table does not say which images have none, nor, as Parquet, what the cells were.
"""

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from napari_unsupseg.batch.jobs import Job, JobOptions
from napari_unsupseg.batch.pipeline import Report, is_done
from napari_unsupseg.errors import FileError
from napari_unsupseg.io.paths import check_writable, hidden_path, remove
from napari_unsupseg.io.writers import check_table_format, is_joined_table, join_tables

__all__ = ["JointTables", "RowsKind", "join_rows", "prepare_joint_table", "with_rows"]

RowsKind = Literal["table_rows", "counts_rows"]  # of a job
JointTables = Mapping[RowsKind, Path]
# after the name of an image, so that one who names one table for both is told of it
ENDINGS: dict[RowsKind, str] = {"table_rows": ".table.csv", "counts_rows": ".counts.csv"}


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
                kind: _rows_folder(path) / f"{job.image.name}{ENDINGS[kind]}"
                for kind, path in tables.items()
            },
        )
        for job in jobs
    ]


def prepare_joint_table(
    kind: RowsKind, path: Path, jobs: Sequence[Job], *, overwrite: bool
) -> None:
    """Raise before any work if a table of many images could not be written, or would lose rows.

    Parameters
    ----------
    kind : {'table_rows', 'counts_rows'}
        Which rows.
    path : Path
        The table.
    jobs : sequence of Job
        All images whose rows it is to have.
    overwrite : bool
        Whether what is there may be replaced; rows of an earlier call are removed then.

    Raises
    ------
    FileError
        If it cannot be written, is there already and not as it was joined, or has rows of images
        that are none of these.
    """
    check_table_format(path)
    folder = _rows_folder(path)
    if overwrite:
        remove(folder)
    known = {getattr(job, kind) for job in jobs}
    if others := sorted(set(folder.glob(f"*{ENDINGS[kind]}")) - known):
        image = others[0].name.removesuffix(ENDINGS[kind])
        raise FileError(
            f"{path}: has rows of other images, such as {image}: give these too, choose another "
            "place, or overwrite it (--overwrite)"
        )
    is_ours = is_joined_table(path, _log(path))
    if path.is_file() and folder.is_dir() and not (is_ours or overwrite):
        raise FileError(
            f"{path}: is not as it was joined, and what it has now would be lost; choose another "
            "place, or overwrite it (--overwrite)"
        )
    check_writable(path, overwrite=overwrite or is_ours)


def join_rows(
    kind: RowsKind,
    path: Path,
    jobs: Sequence[Job],
    options: JobOptions,
    reports: Sequence[Report],
) -> list[Path]:
    """Write the table of all images that are done, by this call or an earlier one.

    Parameters
    ----------
    kind : {'table_rows', 'counts_rows'}
        Which rows.
    path : Path
        The table to write or replace.
    jobs : sequence of Job
        All images, in the order of the rows.
    options : JobOptions
        How they were to be segmented.
    reports : sequence of dict
        What became of those that were come to.

    Returns
    -------
    list of Path
        Images that the table has rows of.

    Raises
    ------
    FileError
        If the table cannot be written.
    """
    failed = {report["image"] for report in reports if "error" in report}
    found = dataclasses.replace(options, overwrite=False)  # of which nothing is done ever
    done = [job for job in jobs if str(job.image) not in failed and is_done(job, found)]
    if done:
        join_tables(path, {job.image.name: getattr(job, kind) for job in done}, _log(path))
    with contextlib.suppress(OSError):
        _rows_folder(path).rmdir()  # of a call that has done nothing
    return [job.image for job in done]


def _rows_folder(path: Path) -> Path:
    return hidden_path(path, ".rows")


def _log(path: Path) -> Path:
    return _rows_folder(path) / "joined.sha256"
