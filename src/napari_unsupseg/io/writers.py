"""PNG and CSV files beside the labels."""

import csv
from collections.abc import Mapping
from pathlib import Path

import imageio.v3
import numpy as np
from numpy.typing import NDArray

from napari_unsupseg.io.paths import atomic_write

__all__ = ["write_png", "write_table"]


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


def write_table(path: Path, columns: Mapping[str, NDArray[np.number]]) -> None:
    """Write a table of measurements as CSV.

    Parameters
    ----------
    path : Path
        The CSV file to write or replace.
    columns : mapping of str to ndarray, shape (rows,)
        Columns by name.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    with atomic_write(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
