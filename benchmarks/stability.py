"""How alike runs are that should not differ: other seeds, a little noise, a crop by one pixel.

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
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from skimage.metrics import adapted_rand_error

from benchmarks.options import SetOption, settings_from
from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.io.readers import read_image

Image = NDArray[np.uint8]
Labels = NDArray[np.integer]
Errors = dict[str, dict[str, float]]  # by what differs, and what is compared

KINDS = ("clusters", "segments")


def main(
    images: Annotated[list[Path], typer.Argument(help="Image files of 8 bits.")],
    take: Annotated[int, typer.Option(help="Take this many of them, evenly spread.")] = 0,
    seeds: Annotated[int, typer.Option(help="Runs of each image.", min=2)] = 3,
    workers: Annotated[int, typer.Option(help="Processes; each takes an image at a time.")] = 1,
    preset: str = "standard",
    set_: SetOption = [],  # noqa: B006
    json_: Annotated[Path | None, typer.Option("--json", help="Write all figures here.")] = None,
) -> None:
    """Print adapted Rand errors of runs of the same image, and iterations until settled.

    Of every pair of seeds; of the first seed's run, and one of the image with noise of -1, 0 or 1;
    of that run, and one of the image without its first row and column.
    """
    if take:
        images = [images[i] for i in np.linspace(0, len(images) - 1, take).round().astype(int)]
    settings = settings_from(preset, set_)
    work = joblib.delayed(compare_runs)
    found = joblib.Parallel(workers, return_as="generator")(
        work(path, settings, range(seeds)) for path in images
    )
    of_images: list[Errors] = []
    iterations: list[int] = []
    for errors, counts in track(found, total=len(images), console=Console(stderr=True)):
        of_images.append(errors)
        iterations += counts
    show(of_images, iterations)
    if json_:
        json_.write_text(json.dumps({"errors": of_images, "iterations": iterations}, indent=1))


def compare_runs(path: Path, settings: Settings, seeds: Sequence[int]) -> tuple[Errors, list[int]]:
    """Return the errors of runs of an image, and the iterations of those that differ by seed."""
    image = read_image(path)
    if image.dtype != np.uint8:
        raise typer.BadParameter(f"{path} has no values of 8 bits, but of {image.dtype}")
    runs, iterations = [], []
    for seed in seeds:
        labels, n_iterations = run(image, settings, seed)
        runs.append(labels)
        iterations.append(n_iterations)
    noisy, _ = run(add_noise(image), settings, seeds[0])
    cropped, _ = run(image[1:, 1:], settings, seeds[0])
    errors = {}
    for kind in KINDS:
        of_seeds = [labels[kind] for labels in runs]
        errors[kind] = {
            "seeds": statistics.fmean(
                error(one, other) for one, other in itertools.combinations(of_seeds, 2)
            ),
            "noise": error(of_seeds[0], noisy[kind]),
            "crop": error(of_seeds[0][1:, 1:], cropped[kind]),
        }
    return errors, iterations


def run(image: Image, settings: Settings, seed: int) -> tuple[dict[str, Labels], int]:
    """Return the labels of a run and its iterations."""
    segmenter = Segmenter(Settings.from_dict(settings.to_dict() | {"seed": seed})).fit(image)
    labels = {"clusters": segmenter.labels_, "segments": segmenter.hierarchy_.cut()}
    return labels, segmenter.n_iterations_


def add_noise(image: Image) -> Image:
    """Return an image with -1, 0 or 1 added to each pixel, the same to all of its channels."""
    noise = np.random.default_rng(0).integers(-1, 2, image.shape[:2])
    noise = noise.reshape(*noise.shape, *[1] * (image.ndim - 2))
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def error(one: Labels, other: Labels) -> float:
    """Return the adapted Rand error of two labellings, 0 for the same parts."""
    return float(adapted_rand_error(one, other)[0])


def show(of_images: list[Errors], iterations: list[int]) -> None:
    """Print the errors."""
    of_median = max(iterations) / statistics.median(iterations)
    table = Table(
        title=f"{len(of_images)} images; {statistics.median(iterations):g} iterations, "
        f"at most {max(iterations)}, {of_median:.2f} times the median"
    )
    table.add_column("adapted Rand error, mean (worst image)")
    names = [*of_images[0][KINDS[0]]]
    for name in names:
        table.add_column(name, justify="right")
    for kind in KINDS:
        values = [[errors[kind][name] for errors in of_images] for name in names]
        table.add_row(kind, *(f"{statistics.fmean(of):.3f} ({max(of):.3f})" for of in values))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
