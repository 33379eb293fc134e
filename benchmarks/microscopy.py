"""Foreground and single objects in nuclei and particle images, beside the classical methods.

python -m benchmarks.microscopy --root DATA
python -m benchmarks.microscopy --root DATA --limit 4 --set settle=0 --json out.json
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from imageio.v3 import imread
from rich.console import Console
from rich.progress import track
from rich.table import Table
from skimage.segmentation import felzenszwalb

from benchmarks.baselines import k_means, otsu
from benchmarks.metrics import dice, foreground, match_objects, roc_auc
from benchmarks.options import SetOption, settings_from
from napari_unsupseg import Segmenter
from napari_unsupseg.regions.labels import connected_components

SPECK = 15  # pixels; smaller objects are left out
SCORES = ("Dice", "AP .5", "labels")


def main(
    root: Annotated[
        Path, typer.Option(help="Folder with nuclei/ and particles/: NAME.png, NAME_instances.png.")
    ],
    limit: Annotated[int, typer.Option(help="Take this many images of each group.")] = 0,
    baselines: Annotated[bool, typer.Option(help="Measure the classical methods too.")] = True,
    preset: str = "standard",
    set_: SetOption = [],  # noqa: B006
    json_: Annotated[Path | None, typer.Option("--json", help="Write the table here.")] = None,
) -> None:
    """Print Dice and AP of every method, where a label is foreground if most of its pixels are."""
    settings = settings_from(preset, set_)
    groups = {name: paths[: limit or None] for name, paths in find_images(root).items()}
    tasks = [(group, path) for group, paths in groups.items() for path in paths]
    found: dict[str, dict[str, list[tuple[float, ...]]]] = {}
    aucs: dict[str, list[float]] = {group: [] for group in groups}
    for group, path in track(tasks, console=Console(stderr=True)):
        image = imread(path)
        instances = imread(path.with_name(f"{path.stem}_instances.png"))
        labels = {name: method(image) for name, method in CLASSICAL.items() if baselines}
        ours = Segmenter(settings).fit(image)
        wrong = foreground(ours.labels_, instances > 0) != (instances > 0)
        aucs[group].append(roc_auc(ours.uncertainty().ravel(), wrong.ravel()))
        labels |= {"ours, clusters": ours.labels_, "ours, segments": ours.hierarchy_.cut()}
        for name, one in labels.items():
            found.setdefault(name, {}).setdefault(group, []).append(judge(one, instances))
    rows = {
        name: {
            group: dict(zip(SCORES, np.mean(scores, axis=0).tolist(), strict=True))
            for group, scores in by_group.items()
        }
        for name, by_group in found.items()
    }
    show(rows, {group: len(paths) for group, paths in groups.items()})
    uncertain = {
        group: float(np.nanmean(of_images)) for group, of_images in aucs.items() if of_images
    }
    told = ", ".join(f"{group} {auc:.3f}" for group, auc in uncertain.items())
    Console().print(f"AUC of the uncertainty of pixels on the wrong side of the foreground: {told}")
    if json_:
        report = {"settings": settings.to_dict(), "rows": rows, "uncertainty AUC": uncertain}
        json_.write_text(json.dumps(report, indent=1))


def find_images(root: Path) -> dict[str, list[Path]]:
    """Return the images of each kind; stained tissue is what has colours."""
    groups: dict[str, list[Path]] = {"fluorescence": [], "tissue": [], "particles": []}
    for path in sorted((root / "nuclei").glob("*.png")):
        if not path.stem.endswith("_instances"):
            groups["tissue" if imread(path).ndim == 3 else "fluorescence"].append(path)
    for path in sorted((root / "particles").glob("*.png")):
        if not path.stem.endswith("_instances"):
            groups["particles"].append(path)
    if not any(groups.values()):
        raise typer.BadParameter(f"{root} has neither nuclei/*.png nor particles/*.png")
    return groups


def judge(labels: np.ndarray, instances: np.ndarray) -> tuple[float, float, float]:
    """Return Dice of the foreground, AP .5 of its objects, and the number of labels."""
    found = foreground(labels, instances > 0)
    objects = connected_components(found.astype(np.uint8))
    return (
        dice(found, instances > 0),
        match_objects(objects, instances, SPECK).ap(),
        len(np.unique(labels)),
    )


CLASSICAL: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Otsu": lambda image: otsu(image, 2),
    "Otsu, 3 classes": lambda image: otsu(image, 3),
    "3-means": lambda image: k_means(image, 3),
    "5-means": lambda image: k_means(image, 5),
    "Felzenszwalb": lambda image: felzenszwalb(image, scale=500, sigma=0.5, min_size=20),
}


def show(rows: dict[str, dict[str, dict[str, float]]], sizes: dict[str, int]) -> None:
    """Print the scores, a row a method."""
    table = Table("method")
    scores = list(next(iter(next(iter(rows.values())).values())))
    for group, size in sizes.items():
        for score in scores:
            table.add_column(f"{group} ({size})\n{score}", justify="right")
    for name, groups in rows.items():
        cells = (
            f"{value:.1f}" if score == "labels" else f"{value:.3f}"
            for scores in groups.values()
            for score, value in scores.items()
        )
        table.add_row(name, *cells)
    Console(width=250).print(table)


if __name__ == "__main__":
    typer.run(main)
