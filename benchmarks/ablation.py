"""What the trained network's labels are worth to the hierarchy: others are put in their place.

python -m benchmarks.ablation --root BSDS500 --micrographs DATA --keep KEPT --limit 34
python -m benchmarks.ablation --root BSDS500 --micrographs DATA --keep KEPT --json out.json

Hierarchies are built by the same constants from the history of labels of a run, from the labels of
the network before its first step, from those of k-means, and from one label everywhere, by which
colours and edges are alone. Segments of photographs are judged by default and at the level that is
best for all of them; of micrographs clusters and objects. Means over seeds and their standard
deviation are printed. What KEPT holds is not made again.
"""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import joblib
import numpy as np
import torch
import typer
from imageio.v3 import imread
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.baselines import k_means
from benchmarks.bsds500 import LEVELS, fingerprint, read_annotations
from benchmarks.metrics import Agreement, compare
from benchmarks.microscopy import find_images
from benchmarks.microscopy import judge as judge_clusters
from benchmarks.objects import judge as judge_objects
from benchmarks.objects import summarize
from benchmarks.options import SetOption, settings_from
from benchmarks.tune import read, score, train
from napari_unsupseg import Hierarchy, Settings
from napari_unsupseg._generators import run_to_end
from napari_unsupseg.learning.run import Run
from napari_unsupseg.regions.hierarchy_builder import build_hierarchy_generator

History = list[NDArray[np.integer]]
Scores = dict[str, dict[str, float]]  # by what is judged, and by measure

MEANS = (32, 16, 8, 4)  # clusters of k-means; the fine come first, as in a run
WINDOW = 3  # pixels a side that k-means sees around each


def main(
    root: Annotated[Path, typer.Option(help="Folder with images/SPLIT and groundTruth/SPLIT.")],
    micrographs: Annotated[Path, typer.Option(help="Folder with nuclei/ and particles/.")],
    keep: Annotated[Path | None, typer.Option(help="Folder that keeps what is done.")] = None,
    split: str = "val",
    limit: Annotated[int, typer.Option(help="Take this many photographs, evenly spread.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Histories of each kind.")] = 3,
    set_: SetOption = [],  # noqa: B006
    json_: Annotated[Path | None, typer.Option("--json", help="Write all scores here.")] = None,
) -> None:
    """Print the scores of hierarchies by what their history is."""
    paths = sorted((root / "images" / split).glob("*.jpg"))
    if not paths:
        raise typer.BadParameter(f"{root / 'images' / split} has no *.jpg")
    if limit:
        paths = [paths[i] for i in np.linspace(0, len(paths) - 1, limit).round().astype(int)]
    groups = {"photographs": paths, **find_images(micrographs)}
    groups = {group: of_group for group, of_group in groups.items() if of_group}
    memory, code = joblib.Memory(keep, verbose=0), fingerprint()
    report: dict[str, list[Scores]] = {}
    for name in HISTORIES:
        for seed in range(seeds if name != "one label" else 1):
            values = settings_from("standard", [*set_, f"seed={seed}"]).to_dict()
            scores: Scores = {}
            for group, of_group in groups.items():
                judge, summarize_group = (
                    (judge_photograph, score_photographs)
                    if group == "photographs"
                    else (judge_micrograph, score_micrographs)
                )
                kept = memory.cache(judge, ignore=["memory"])
                shown = track(of_group, f"{name}, {seed}, {group}", console=Console(stderr=True))
                judged = [kept(memory, name, path, values, code) for path in shown]
                scores |= summarize_group(group, judged)
            report.setdefault(name, []).append(scores)
    show(report, {group: len(of_group) for group, of_group in groups.items()})
    if json_:
        json_.write_text(json.dumps(report, indent=1))


def one_label(path: Path, values: dict[str, Any], code: str) -> History:
    """Return a history that tells nothing apart."""
    return [np.ones(imread(path).shape[:2], dtype=np.uint8)]


def untrained(path: Path, values: dict[str, Any], code: str) -> History:
    """Return the labels by a run's network as it is before its first step."""
    run = Run.begin(imread(path), Settings.from_dict(values), torch.device("cpu"))
    with contextlib.closing(run.steps()) as steps:
        return [next(steps).labels]


def means(path: Path, values: dict[str, Any], code: str) -> History:
    """Return the labels of k-means, of several k."""
    image = imread(path)
    clusters = [k_means(image, k, WINDOW, seed=values["seed"]) for k in MEANS]
    return [one.astype(np.uint8) + 1 for one in clusters]


def trained(path: Path, values: dict[str, Any], code: str) -> History:
    """Return the history of a run."""
    return train(path, values, code)[0]


HISTORIES: dict[str, Callable[[Path, dict[str, Any], str], History]] = {
    "one label": one_label,
    "untrained": untrained,
    "k-means": means,
    "trained": trained,
}


def build(memory: joblib.Memory, name: str, path: Path, values: dict[str, Any]) -> Hierarchy:
    """Build the hierarchy of an image from a history of some kind, which is kept."""
    make = memory.cache(HISTORIES[name])
    history = make(path, values, fingerprint("image", "learning"))
    return run_to_end(
        build_hierarchy_generator(read(path), history, n_clusters=values["final_clusters"])
    )


def judge_photograph(
    memory: joblib.Memory, name: str, path: Path, values: dict[str, Any], code: str
) -> dict[float, Agreement]:
    """Compare the segments at each level with people's."""
    hierarchy, annotations = build(memory, name, path, values), read_annotations(path)
    return {
        level: compare(hierarchy.cut(granularity=level), annotations)
        for level in (*LEVELS, Hierarchy.default_granularity)
    }


def judge_micrograph(
    memory: joblib.Memory, name: str, path: Path, values: dict[str, Any], code: str
) -> tuple[tuple[float, float, float], list[float]]:
    """Compare clusters and objects with the true objects."""
    hierarchy = build(memory, name, path, values)
    instances = imread(path.with_name(f"{path.stem}_instances.png"))
    clusters = judge_clusters(hierarchy.run_clusters, instances)
    return clusters, judge_objects(hierarchy.objects(), instances)


def score_photographs(group: str, judged: list[dict[float, Agreement]]) -> Scores:
    """Return the scores of the default cut, and of the cut best for all by each measure."""
    levels = {level: score([one[level] for one in judged]) for level in judged[0]}
    default = levels[Hierarchy.default_granularity]
    best = {
        measure: (min if measure == "VI" else max)(scores[measure] for scores in levels.values())
        for measure in default
    }
    areas = [one[Hierarchy.default_granularity].areas for one in judged]
    default = default | {"segments": float(np.mean([one.size for one in areas]))}
    return {f"{group}, by default": default, f"{group}, at the best level": best}


def score_micrographs(
    group: str, judged: list[tuple[tuple[float, float, float], list[float]]]
) -> Scores:
    """Return the scores of clusters and of objects."""
    clusters, objects = zip(*judged, strict=True)
    dice, ap, _ = np.mean(clusters, axis=0).tolist()
    return {
        f"{group}, clusters": {"Dice": dice, "AP .5": ap},
        f"{group}, objects": summarize(list(objects)),
    }


def show(report: dict[str, list[Scores]], sizes: dict[str, int]) -> None:
    """Print the scores, a column a kind of history."""
    title = ", ".join(f"{size} {group}" for group, size in sizes.items())
    table = Table("", "", *report, title=title)
    for group, measures in report["trained"][0].items():
        for number, measure in enumerate(measures):
            of_kinds = [[scores[group][measure] for scores in seeds] for seeds in report.values()]
            table.add_row("" if number else group, measure, *map(format_spread, of_kinds))
        table.add_section()
    Console(width=160).print(table)


def format_spread(values: list[float]) -> str:
    """Return the mean, and the standard deviation if there is one."""
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values):.3f}" if len(values) > 1 else "")


if __name__ == "__main__":
    typer.run(main)
