"""How steady labels are from frame to frame of a movie, or from slice to slice of a stack.

python -m benchmarks.series membrane.tif migration.tif
"""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from tifffile import imread

from benchmarks.options import SetOption, settings_from
from napari_unsupseg import Segmenter, Settings


def main(
    files: Annotated[list[Path], typer.Argument(help="TIFF files with axes (frames, y, x).")],
    set_: SetOption = [],  # noqa: B006
    json_: Annotated[Path | None, typer.Option("--json", help="Write the table here.")] = None,
) -> None:
    """Print the share of pixels that have another number in the next frame."""
    settings = settings_from("standard", set_)
    rows = {path.name: measure(imread(path), settings) for path in files}
    table = Table(title="pixels with another number in the next frame")
    for column in ("movie", *next(iter(rows.values()))):
        table.add_column(column)
    for name, row in rows.items():
        table.add_row(name, *(f"{share:.1%}" for share in row.values()))
    Console().print(table)
    if json_:
        json_.write_text(json.dumps(rows, indent=1))


def measure(movie: NDArray[np.generic], settings: Settings) -> dict[str, float]:
    """Return the share for each way to segment a movie.

    Parameters
    ----------
    movie : ndarray, shape (T, Y, X)
        The frames.
    settings : Settings
        Of the runs.

    Returns
    -------
    dict of str to float
        0 to 1.
    """
    middle = Segmenter(settings).fit(movie[len(movie) // 2])
    ways = {
        "one run of all frames": Segmenter(settings).fit(movie, axes="tyx").labels_,
        "a run of the middle one, applied": middle.predict(movie, axes="tyx"),
        "a run of each": np.stack([Segmenter(settings).fit(frame).labels_ for frame in movie]),
    }
    return {name: float(np.mean(labels[1:] != labels[:-1])) for name, labels in ways.items()}


if __name__ == "__main__":
    typer.run(main)
