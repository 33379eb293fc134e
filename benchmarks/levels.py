"""How good the best of a few granularities is, chosen in one way or another.

python -m benchmarks.levels --root BSDS500 --micrographs DATA --seeds 3 --workers 2

Of the cuts at n granularities that which is most like what people drew counts, as if a user had
looked at all n.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import joblib
import numpy as np
import typer
from imageio.v3 import imread
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.bsds500 import read_annotations
from benchmarks.metrics import shared_pixels
from benchmarks.microscopy import find_images
from benchmarks.options import SetOption, settings_from
from napari_unsupseg import Segmenter, Settings

COUNTS = (1, 3, 5, 7)  # of granularities
STEPS = 100  # of all granularities
DRAWS = 100  # of granularities at random


class Cuts(NamedTuple):
    """The cuts of a hierarchy at each hundredth of granularity.

    Attributes
    ----------
    coverings : ndarray of float64, shape (STEPS + 1,)
        How like what people drew each is, 0 to 1.
    n_segments : ndarray of int64, shape (STEPS + 1,)
        Segments of each.
    named : dict of int to ndarray of int64
        Indices of those that the hierarchy names, by their number.
    """

    coverings: NDArray[np.float64]
    n_segments: NDArray[np.int64]
    named: dict[int, NDArray[np.int64]]


def main(
    root: Annotated[Path, typer.Option(help="Folder with images/SPLIT and groundTruth/SPLIT.")],
    split: str = "val",
    limit: Annotated[int, typer.Option(help="Take this many images, evenly spread.")] = 0,
    micrographs: Annotated[
        Path | None, typer.Option(help="Folder with nuclei/ and particles/, beside photographs.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each image.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes; each takes an image at a time.")] = 1,
    set_: SetOption = [],  # noqa: B006
    json_: Annotated[Path | None, typer.Option("--json", help="Write all figures here.")] = None,
) -> None:
    """Print the covering at the best of n granularities: named, evenly spread, and so on."""
    paths = sorted((root / "images" / split).glob("*.jpg"))
    if not paths:
        raise typer.BadParameter(f"{root / 'images' / split} has no images *.jpg")
    if limit:
        paths = [paths[i] for i in np.linspace(0, len(paths) - 1, limit).round().astype(int)]
    tasks = {"photographs": [(path, read_annotations) for path in paths]}
    if micrographs:
        found = find_images(micrographs).values()
        tasks["micrographs"] = [(path, read_instances) for of_kind in found for path in of_kind]
    settings = [settings_from("standard", [*set_, f"seed={seed}"]) for seed in range(seeds)]
    report = {}
    for name, of_group in tasks.items():
        jobs = [joblib.delayed(cut)(*task, one) for one in settings for task in of_group]
        done = joblib.Parallel(workers, return_as="generator")(jobs)
        cuts = [*track(done, name, len(jobs), console=Console(stderr=True))]
        report[name] = {row: best_of(cuts, choose) for row, choose in CHOICES.items()}
        show(f"{name}, {len(cuts)} runs", report[name])
    if json_:
        json_.write_text(json.dumps(report, indent=1))


def read_instances(path: Path) -> list[np.ndarray]:
    """Read the objects of a micrograph, -1 where there is none."""
    return [imread(path.with_name(f"{path.stem}_instances.png")).astype(int) - 1]


def cut(path: Path, read_truth: Callable[[Path], list[np.ndarray]], settings: Settings) -> Cuts:
    """Segment an image and cut its hierarchy everywhere."""
    hierarchy = Segmenter(settings).fit(imread(path)).hierarchy_
    levels = np.arange(STEPS + 1) / STEPS
    cuts = [hierarchy.cut(granularity=level) for level in levels]
    return Cuts(
        coverings(cuts, read_truth(path)),
        np.array([segments.max() for segments in cuts]),
        {
            n: (hierarchy.representative_granularities(n) * STEPS).round().astype(int)
            for n in COUNTS
        },
    )


def coverings(cuts: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> NDArray[np.float64]:
    """Return the covering by each cut, of those that only merge what the first one has.

    Regions of the truths are numbered from 0, and what has a number below is none of them.
    """
    _, firsts = np.unique(cuts[0], return_index=True)
    tables = []
    for truth in truths:
        shared = shared_pixels(cuts[0], truth)
        tables.append((shared, shared.sum(axis=0), np.unique(truth) >= 0))
    found = []
    for segments in cuts:
        groups = segments.ravel()[firsts] - 1
        of_truths = []
        for shared, areas, are_regions in tables:
            inside = np.zeros((segments.max(), len(areas)))
            np.add.at(inside, groups, shared)
            ious = inside / (inside.sum(axis=1, keepdims=True) + areas - inside)
            best = ious.max(axis=0)[are_regions]
            of_truths.append(np.average(best, weights=areas[are_regions]))
        found.append(np.mean(of_truths))
    return np.array(found)


def best_of(cuts: Sequence[Cuts], choose: "Choice") -> list[float]:
    """Return the mean covering at each image's best of the chosen granularities, by COUNTS."""
    found = []
    for n in COUNTS:
        chosen = choose(cuts, n)
        scores = [
            one.coverings[of].max(axis=-1).mean() for one, of in zip(cuts, chosen, strict=True)
        ]
        found.append(float(np.mean(scores)))
    return found


# each returns indices of granularities for each image, shape (n,), or (draws, n)

Choice = Callable[[Sequence[Cuts], int], list[NDArray[np.int64]]]


def named(cuts: Sequence[Cuts], n: int) -> list[NDArray[np.int64]]:
    """Those that the hierarchy names."""
    return [one.named[n] for one in cuts]


def evenly_spread(cuts: Sequence[Cuts], n: int) -> list[NDArray[np.int64]]:
    """Thirds for two, quarters for three, and so on."""
    return [(np.arange(1, n + 1) * STEPS / (n + 1)).round().astype(int)] * len(cuts)


def at_random(cuts: Sequence[Cuts], n: int) -> list[NDArray[np.int64]]:
    """Any, many times."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, STEPS + 1, (DRAWS, n)) for _ in cuts]


def longest_lived(cuts: Sequence[Cuts], n: int) -> list[NDArray[np.int64]]:
    """Those whose cut stays the same for longest, however much alike they are."""
    found = []
    for one in cuts:
        _, firsts, lives = np.unique(-one.n_segments, return_index=True, return_counts=True)
        found.append(firsts[np.argsort(-lives, kind="stable")[:n]])
    return found


def same_for_all(cuts: Sequence[Cuts], n: int) -> list[NDArray[np.int64]]:
    """Those that are best for just these images, one after the other."""
    curves, chosen = np.array([one.coverings for one in cuts]), []
    best = np.zeros((len(cuts), 1))
    for _ in range(n):
        chosen.append(int(np.maximum(best, curves).mean(axis=0).argmax()))
        best = np.maximum(best, curves[:, chosen[-1:]])
    return [np.array(chosen)] * len(cuts)


def all_of_them(cuts: Sequence[Cuts], n: int) -> list[NDArray[np.int64]]:
    """Every hundredth, which no choice is better than."""
    return [np.arange(STEPS + 1)] * len(cuts)


CHOICES: dict[str, Choice] = {
    "named": named,
    "evenly spread": evenly_spread,
    "at random": at_random,
    "longest-lived": longest_lived,
    "the same for all, best for these": same_for_all,
    "all hundred": all_of_them,
}


def show(title: str, rows: dict[str, list[float]]) -> None:
    """Print the covering at the best, a row a choice."""
    table = Table(title=title)
    for heading in ("covering at the best of", *map(str, COUNTS)):
        table.add_column(heading, justify="right")
    for name, scores in rows.items():
        table.add_row(name, *(f"{score:.3f}" for score in scores))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
