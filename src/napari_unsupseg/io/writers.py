"""PNG files and tables beside the labels."""

import csv
import importlib.util
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import imageio.v3
import numpy as np
from numpy.typing import NDArray

from napari_unsupseg.errors import FileError
from napari_unsupseg.io.paths import atomic_write, digest_of

__all__ = [
    "TABLE_SUFFIXES",
    "check_table_format",
    "is_joined_table",
    "join_tables",
    "write_png",
    "write_table",
]

TABLE_SUFFIXES = (".csv", ".parquet")
IMAGE_COLUMN = "image"  # the first of a table of several images


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a colour image as PNG.

    Parameters
    ----------
    path : Path
        The PNG file to write or replace.
    pixels : ndarray of uint8, shape (Y, X, 3)
        RGB.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    with atomic_write(path) as partial:
        imageio.v3.imwrite(partial, pixels, extension=".png")


def check_table_format(path: Path) -> None:
    """Raise before a run whose table could not be written.

    Parameters
    ----------
    path : Path
        The table to be written.

    Raises
    ------
    FileError
        If it is Parquet and PyArrow is not installed.
    """
    if _is_parquet(path) and importlib.util.find_spec("pyarrow") is None:
        raise FileError(
            f"{path}: Parquet needs PyArrow: pip install 'napari-unsupseg[parquet]', or name a "
            "file that ends in .csv"
        )


def write_table(path: Path, columns: Mapping[str, NDArray[np.number]]) -> None:
    """Write a table of measurements as CSV or Parquet.

    Parameters
    ----------
    path : Path
        The file to write or replace, Parquet if it ends in .parquet.
    columns : mapping of str to ndarray, shape (rows,)
        Columns by name. In CSV a cell is empty where a column is NaN.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    with atomic_write(path) as partial:
        if _is_parquet(path):
            import pyarrow as pa

            _write_parquet(partial, pa.table(dict(columns)))
            return
        with _open_csv(partial) as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            cells = ([_cell(value) for value in column.tolist()] for column in columns.values())
            writer.writerows(zip(*cells, strict=True))


def join_tables(path: Path, parts: Mapping[str, Path], log: Path) -> None:
    """Write one tidy table of the tables of several images.

    Parameters
    ----------
    path : Path
        The file to write or replace, Parquet if it ends in .parquet.
    parts : mapping of str to Path
        CSV file of each image, by the name of the image, in the order of the rows.
    log : Path
        File that remembers the table for `is_joined_table`.

    Raises
    ------
    FileError
        If the file cannot be written.

    Notes
    -----
    A first column ``image`` has the names; then come the axes of frames, which have one letter, and
    all columns that any image has. Cells are empty where an image lacks one.
    """
    headers = [_read_header(part) for part in parts.values()]
    names = sorted(dict.fromkeys(name for header in headers for name in header), key=_is_no_axis)
    with atomic_write(path) as partial:
        if _is_parquet(path):
            with io.StringIO(newline="") as file:
                _write_joined(file, names, parts)
                _write_parquet(partial, _parse_csv(file.getvalue()))
        else:
            with _open_csv(partial) as file:
                _write_joined(file, names, parts)
        # before the table is in its place: a process may be killed in between
        with log.open("a", encoding="ascii") as lines:
            lines.write(f"{digest_of(partial)}\n")


def is_joined_table(path: Path, log: Path) -> bool:
    """Tell whether a table is as `join_tables` has written it, at any time.

    Parameters
    ----------
    path : Path
        The table.
    log : Path
        File that remembers tables; it need not exist.

    Returns
    -------
    bool
        False where somebody has changed or replaced it, or nothing is there.
    """
    if not (path.is_file() and log.is_file()):
        return False
    return digest_of(path) in log.read_text(encoding="ascii").split()


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _is_no_axis(name: str) -> bool:
    return len(name) > 1


def _open_csv(path: Path) -> TextIO:
    # a file's name may have bytes that are no text
    return path.open("w", newline="", encoding="utf-8", errors="backslashreplace")


def _cell(value: float) -> float | str:
    """Return what a cell has: nothing for NaN, which CSV has no common word for."""
    return "" if value != value else value


def _read_header(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file))


def _write_joined(file: TextIO, names: list[str], parts: Mapping[str, Path]) -> None:
    writer = csv.DictWriter(file, [IMAGE_COLUMN, *names])
    writer.writeheader()
    for image, part in parts.items():
        with part.open(newline="", encoding="utf-8") as rows:
            writer.writerows({IMAGE_COLUMN: image, **row} for row in csv.DictReader(rows))


def _parse_csv(text: str) -> Any:
    """Return a table of PyArrow, with numbers as whole ones or fractions."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    encoded = text.encode("utf-8", errors="backslashreplace")
    options = arrow_csv.ConvertOptions(
        column_types={IMAGE_COLUMN: pa.string()}, strings_can_be_null=False
    )
    return arrow_csv.read_csv(pa.BufferReader(encoded), convert_options=options)


def _write_parquet(path: Path, table: Any) -> None:
    from pyarrow import parquet

    parquet.write_table(table, path)
