"""How alike runs of one image are that differ by their seed alone.

python -m benchmarks.stability PHOTOGRAPHS/*.jpg --take 15 --seeds 3
"""

import itertools
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import joblib
import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from skimage.metrics import adapted_rand_error

from benchmarks.options import SetOption, settings_from
from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.io.readers import read_image

KINDS = ("clusters", "segments")


def main(
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    take: Annotated[int, typer.Option(help="Take this many of them, evenly spread.")] = 0,
    seeds: Annotated[int, typer.Option(help="Runs of each image.", min=2)] = 3,
    workers: Annotated[int, typer.Option(help="Processes; each takes an image at a time.")] = 1,
    preset: str = "standard",
    set_: SetOption = [],  # noqa: B006
    json_: Annotated[Path | None, typer.Option("--json", help="Write all figures here.")] = None,
) -> None:
    """Print the mean adapted Rand error of each pair of seeds, and iterations until settled."""
    if take:
        images = [images[i] for i in np.linspace(0, len(images) - 1, take).round().astype(int)]
    settings = settings_from(preset, set_)
    work = joblib.delayed(compare_seeds)
    found = joblib.Parallel(workers, return_as="generator")(
        work(path, settings, range(seeds)) for path in images
    )
    errors: dict[str, list[float]] = {kind: [] for kind in KINDS}
    iterations: list[int] = []
    for of_kinds, counts in track(found, total=len(images), console=Console(stderr=True)):
        for kind, of_pairs in of_kinds.items():
            errors[kind].append(statistics.fmean(of_pairs))
        iterations += counts
    show(errors, iterations)
    if json_:
        json_.write_text(json.dumps({"errors": errors, "iterations": iterations}, indent=1))


def compare_seeds(
    path: Path, settings: Settings, seeds: Sequence[int]
) -> tuple[dict[str, list[float]], list[int]]:
    """Return the errors of all pairs of runs of an image, and the iterations of each run."""
    labels: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
    iterations = []
    for seed in seeds:
        values = settings.to_dict() | {"seed": seed}
        segmenter = Segmenter(Settings.from_dict(values)).fit(read_image(path))
        labels["clusters"].append(segmenter.labels_)
        labels["segments"].append(segmenter.hierarchy_.cut())
        iterations.append(segmenter.n_iterations_)
    errors = {
        kind: [float(adapted_rand_error(*pair)[0]) for pair in itertools.combinations(runs, 2)]
        for kind, runs in labels.items()
    }
    return errors, iterations


def show(errors: dict[str, list[float]], iterations: list[int]) -> None:
    """Print the errors."""
    of_median = max(iterations) / statistics.median(iterations)
    table = Table(
        title=f"{len(errors['clusters'])} images; {statistics.median(iterations):g} iterations, "
        f"at most {max(iterations)}, {of_median:.2f} times the median"
    )
    for heading in ("adapted Rand error of two seeds", "mean", "of the worst image"):
        table.add_column(heading, justify="right")
    for kind, of_images in errors.items():
        table.add_row(kind, f"{statistics.fmean(of_images):.3f}", f"{max(of_images):.3f}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
