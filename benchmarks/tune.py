"""Search the constants of the hierarchy's dissimilarity, on photographs and on micrographs.

python -m benchmarks.tune --root BSDS500 --keep KEPT --limit 34
python -m benchmarks.tune --root BSDS500 --keep KEPT --seeds 3 --micrographs DATA --json out.json
python -m benchmarks.tune --root BSDS500 --keep KEPT --without LABEL_CHANGE

Runs are trained once and kept, and so are their fragments, as the constants of now make them: a
setting then takes a few hundredths of a second an image. The search draws settings from normal
distributions, which it moves to the best of them (the cross-entropy method [1]_). The objective is
the mean of scores at one level for all images, each divided by an aim.

Of five folds each is judged by the setting that is best for the other four, of all that were drawn;
so the gain that is printed is one on photographs that had no say. In the end hierarchies are built
anew, by today's constants and by the best of all, and objects are found in micrographs. What a cue
is worth is told by a search without it; a run gives LABEL_HISTOGRAM and LABEL_CHANGE.

.. [1] P.-T. de Boer et al., "A tutorial on the cross-entropy method", Annals of Operations Research
   134 (2005). :doi:`10.1007/s10479-005-5724-z`
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from unittest.mock import patch

import joblib
import numpy as np
import torch
import typer
from imageio.v3 import imread
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.bsds500 import Judgement, field_scores, fingerprint, read_annotations
from benchmarks.metrics import (
    Agreement,
    average_precision,
    compare,
    compare_tables,
    f_measures,
    shared_pixels,
)
from benchmarks.microscopy import find_images
from benchmarks.objects import judge as judge_objects
from benchmarks.objects import summarize
from benchmarks.options import SetOption, settings_from
from napari_unsupseg import Settings
from napari_unsupseg._generators import run_to_end
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import NormalizedImage, normalize_image
from napari_unsupseg.learning.run import Run
from napari_unsupseg.regions import dissimilarity, hierarchy_builder
from napari_unsupseg.regions.colours import perceptual_colours
from napari_unsupseg.regions.dissimilarity import (
    Borders,
    HistogramBins,
    RegionStatistics,
    make_weights,
)
from napari_unsupseg.regions.graph import RegionGraph, groups_from_merges
from napari_unsupseg.regions.graph_builder import COLOUR_BINS, SLOPE_BINS, build_region_graph
from napari_unsupseg.regions.hierarchy import Hierarchy
from napari_unsupseg.regions.hierarchy_builder import build_hierarchy_generator

Setting = dict[str, float]  # by name of a constant of `regions.dissimilarity`

SEARCHED = (
    "LABEL_HISTOGRAM",
    "LABEL_CHANGE",
    "MEAN_COLOUR",
    "COLOUR_HISTOGRAM",
    "SLOPE_HISTOGRAM",
    "EDGE",
    "RARITY",
    "SPECTRAL",
    "ENCLOSED",
    "SMALL_SIDE",
    "SMALL_SHARE",
    "SIZE_EXPONENT",
    "VARIANCE",
)
# by what scores are divided before their mean is the objective
AIMS = {"AP .5": 0.215, "AP .7": 0.11, "F .5": 0.34, "F .7": 0.23, "covering": 0.61, "F_op": 0.36}
LEVELS = np.geomspace(0.75, 1.75, 8)  # times the dissimilarity at which the default cuts today
N_FOLDS = 5
DRAWN = 18  # settings of a generation
BEST = 5  # of these, around which the next is drawn
SPREAD = 0.35  # standard deviations of the first generation, as shares of today's constants
LEAST_SPREAD = 0.03  # of any, likewise


class Photograph(NamedTuple):
    """The fragments of a photograph by a run, and what people see in it.

    Attributes
    ----------
    regions : RegionStatistics
        Of the fragments.
    borders : Borders
        Of the fragments.
    n_snapshots : int
        Of the history.
    shared : list of ndarray of int64, shape (F, H)
        Pixels that fragments share with each annotator's segments.
    """

    regions: RegionStatistics
    borders: Borders
    n_snapshots: int
    shared: list[NDArray[np.int64]]


class Trial(NamedTuple):
    """A setting and how good it is.

    Attributes
    ----------
    setting : dict of str to float
        Constants by name.
    levels : ndarray of float64, shape (L,)
        Dissimilarities at which hierarchies were cut.
    scores : list of list of dict, L times N_FOLDS
        Scores at each level on each fold.
    """

    setting: Setting
    levels: NDArray[np.float64]
    scores: list[list[dict[str, float]]]

    @property
    def objectives(self) -> NDArray[np.float64]:
        """What is to be great, shape (L, N_FOLDS)."""
        shares = [
            [[scores[name] / aim for name, aim in AIMS.items()] for scores in of_level]
            for of_level in self.scores
        ]
        return np.mean(shares, axis=-1)


def main(
    root: Annotated[Path, typer.Option(help="Folder with images/SPLIT and groundTruth/SPLIT.")],
    keep: Annotated[Path, typer.Option(help="Folder that keeps runs and fragments.")],
    split: str = "val",
    limit: Annotated[int, typer.Option(help="Take this many images, evenly spread.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each image.")] = 1,
    generations: Annotated[int, typer.Option(help=f"Each draws {DRAWN} settings.")] = 10,
    micrographs: Annotated[
        Path | None, typer.Option(help="Folder with nuclei/ and particles/, for objects.")
    ] = None,
    without: Annotated[list[str], typer.Option(help="Constants to hold at 0.")] = [],  # noqa: B006
    set_: SetOption = [],  # noqa: B006
    json_: Annotated[Path | None, typer.Option("--json", help="Write all figures here.")] = None,
) -> None:
    """Print the best setting, and what it gains on photographs that had no say."""
    if unknown := set(without) - set(SEARCHED):
        raise typer.BadParameter(f"{unknown.pop()} is none of {', '.join(SEARCHED)}")
    paths = sorted((root / "images" / split).glob("*.jpg"))
    if limit:
        paths = [paths[i] for i in np.linspace(0, len(paths) - 1, limit).round().astype(int)]
    if len(paths) < N_FOLDS:
        raise typer.BadParameter(f"{root / 'images' / split} has no {N_FOLDS} images *.jpg")
    memory, console = joblib.Memory(keep, verbose=0), Console(stderr=True)
    of_seeds = [
        settings_from("standard", [*set_, f"seed={seed}"]).to_dict() for seed in range(seeds)
    ]
    code = fingerprint() + "".join(without)
    runs = [(path, values) for values in of_seeds for path in paths]
    with contextlib.ExitStack() as held:
        for name in without:
            held.enter_context(patch.object(dissimilarity, name, 0.0))
        photographs = [
            memory.cache(describe, ignore=["memory"])(memory, path, values, code)
            for path, values in track(runs, "runs", console=console)
        ]
        folds = np.tile(np.arange(len(paths)) % N_FOLDS, seeds)  # all runs of an image lie in one
        searched = search(photographs, folds, generations)
        trials = [*track(searched, "settings", 1 + generations * DRAWN, console=console)]
        trial, level = best(trials, range(N_FOLDS))
        settings = {"today": today(), "best": (trial.setting, float(trial.levels[level]))}
        report: dict[str, Any] = {
            "settings": settings,
            "folds": cross_validate(trials),
            "photographs": {
                name: score_rebuilt(memory, runs, *one) for name, one in settings.items()
            },
        }
        if micrographs:
            report["objects"] = {
                name: score_objects(memory, micrographs, of_seeds, *one)
                for name, one in settings.items()
            }
    show(report)
    if json_:
        json_.write_text(json.dumps(report, indent=1))


def train(path: Path, values: dict[str, Any], code: str) -> tuple[list[NDArray[np.integer]], int]:
    """Train on an image; return the networks' labels, and the clusters that a run ends with."""
    settings = Settings.from_dict(values)
    run = Run.begin(imread(path), settings, torch.device("cpu"))
    for _ in run.steps():
        pass
    return run.snapshots, settings.final_clusters


def read(path: Path) -> NormalizedImage:
    """Read an image as a run sees it."""
    channels = split_channels(imread(path), None, None)
    return normalize_image(channels, None, Settings().intensity)


def build(
    memory: joblib.Memory, path: Path, values: dict[str, Any], setting: Setting, level: float
) -> Hierarchy:
    """Build the hierarchy of an image by a setting, from a run that is kept."""
    history, n_clusters = memory.cache(train)(path, values, fingerprint("image", "learning"))
    with (
        patch.multiple(dissimilarity, **setting),
        patch.object(hierarchy_builder, "TYPICAL_DISSIMILARITY", level),
    ):
        return run_to_end(build_hierarchy_generator(read(path), history, n_clusters=n_clusters))


def describe(memory: joblib.Memory, path: Path, values: dict[str, Any], code: str) -> Photograph:
    """Describe the fragments of a photograph, as they are by today's constants."""
    setting, level = today()
    hierarchy = build(memory, path, values, setting, level)
    fragments = hierarchy.cut(n_segments=hierarchy.n_fragments).astype(np.int32) - 1
    history, _ = memory.cache(train)(path, values, fingerprint("image", "learning"))
    colours, lightness = perceptual_colours(read(path))
    graph = build_region_graph(fragments, colours, history, lightness)
    shared = [shared_pixels(fragments, annotation) for annotation in read_annotations(path)]
    return Photograph(graph.sums, graph.borders, len(history), shared)


def today() -> tuple[Setting, float]:
    """Return the constants as they are."""
    setting = {name: getattr(dissimilarity, name) for name in SEARCHED}
    return setting, hierarchy_builder.TYPICAL_DISSIMILARITY


def cut(photograph: Photograph, setting: Setting, levels: Sequence[float]) -> list[Agreement]:
    """Merge a photograph's fragments by a setting; compare cuts at some dissimilarities."""
    regions, borders, n_snapshots, shared = photograph
    n_channels, n_columns = regions.colour_sums.shape[1], regions.histograms.shape[1]
    n_colours = n_channels * COLOUR_BINS
    n_labels = n_columns - n_colours - SLOPE_BINS
    with patch.multiple(dissimilarity, **setting):
        weights = make_weights(
            HistogramBins(n_colours, SLOPE_BINS, n_labels),
            n_channels=n_channels,
            n_snapshots=n_snapshots,
            n_pixels=regions.areas.sum(),
            n_frames=1,
            pixel_size=np.ones(2),
            are_tiny=False,
        )
    graph = RegionGraph(regions, borders, weights, n_labels, n_snapshots, [1] * n_channels)
    local, merging = run_to_end(graph.merge())
    # a cut has as many segments as that of neighbours alone
    altitudes = np.maximum.accumulate(local.dissimilarities)
    agreements = []
    for n_merges in np.searchsorted(altitudes, levels, side="right"):
        groups = groups_from_merges(len(regions.areas), merging.merges[:n_merges])
        order = np.argsort(groups, kind="stable")
        firsts = np.unique(groups[order], return_index=True)[1]
        agreements.append(
            compare_tables([np.add.reduceat(table[order], firsts) for table in shared])
        )
    return agreements


def score(agreements: Sequence[Agreement]) -> dict[str, float]:
    """Return the scores of many images' segments."""
    return {
        "AP .5": average_precision(agreements, 0.5),
        "AP .7": average_precision(agreements, 0.7),
        "F .5": float(f_measures(agreements, 0.5).mean()),
        "F .7": float(f_measures(agreements, 0.7).mean()),
    } | field_scores([Judgement(agreement, None) for agreement in agreements])


def try_setting(
    photographs: Sequence[Photograph], folds: NDArray[np.int64], setting: Setting
) -> Trial:
    """Score a setting at all levels on each fold."""
    levels = LEVELS * hierarchy_builder.TYPICAL_DISSIMILARITY
    cuts = [cut(photograph, setting, levels) for photograph in photographs]
    scores = [
        [score([cuts[i][k] for i in np.flatnonzero(folds == fold)]) for fold in range(N_FOLDS)]
        for k in range(len(levels))
    ]
    return Trial(setting, levels, scores)


def search(
    photographs: Sequence[Photograph], folds: NDArray[np.int64], n_generations: int
) -> Iterator[Trial]:
    """Try today's constants, and settings that are drawn ever closer to the best."""
    rng = np.random.default_rng(0)
    yield (first := try_setting(photographs, folds, today()[0]))
    start = np.array([*first.setting.values()], dtype=float)
    mean, spread = start, SPREAD * start
    for _ in range(n_generations):
        drawn = np.abs(rng.normal(mean, spread, (DRAWN, len(SEARCHED))))
        trials = [
            try_setting(photographs, folds, dict(zip(SEARCHED, values, strict=True)))
            for values in drawn.tolist()
        ]
        yield from trials
        values = [trial.objectives.mean(axis=1).max() for trial in trials]
        best_drawn = drawn[np.argsort(values)[-BEST:]]
        mean = best_drawn.mean(axis=0)
        spread = np.maximum(best_drawn.std(axis=0), LEAST_SPREAD * start)


def best(trials: Sequence[Trial], folds: Sequence[int]) -> tuple[Trial, int]:
    """Return the trial that is best for some folds at a level for all, and the level's index."""
    found = np.array([trial.objectives[:, folds].mean(axis=1) for trial in trials])
    index, level = np.unravel_index(found.argmax(), found.shape)
    return trials[index], int(level)


def cross_validate(trials: Sequence[Trial]) -> list[dict[str, dict[str, float]]]:
    """Score each fold by today's constants and by the setting that is best for the others."""
    scores = []
    for fold in range(N_FOLDS):
        others = [other for other in range(N_FOLDS) if other != fold]
        of_fold = {}
        for name, among in (("today", trials[:1]), ("best", trials)):
            trial, level = best(among, others)
            of_fold[name] = trial.scores[level][fold]
        scores.append(of_fold)
    return scores


def score_rebuilt(
    memory: joblib.Memory,
    runs: Sequence[tuple[Path, dict[str, Any]]],
    setting: Setting,
    level: float,
) -> dict[str, float]:
    """Score the default cut of hierarchies that are built anew, fragments and all."""
    return score(
        [
            compare(build(memory, path, values, setting, level).cut(), read_annotations(path))
            for path, values in runs
        ]
    )


def score_objects(
    memory: joblib.Memory,
    root: Path,
    of_seeds: list[dict[str, Any]],
    setting: Setting,
    level: float,
) -> dict[str, dict[str, float]]:
    """Score the objects of micrographs, by group."""
    found: dict[str, dict[str, float]] = {}
    for group, paths in find_images(root).items():
        scores = [
            judge_objects(
                build(memory, path, values, setting, level).objects(),
                imread(path.with_name(f"{path.stem}_instances.png")),
            )
            for path in paths
            for values in of_seeds
        ]
        found[group] = summarize(scores)
    return found


def show(report: dict[str, Any]) -> None:
    """Print what the search has found."""
    console = Console(width=160)
    names = [*report["photographs"]["today"]]
    table = Table(title="folds, by the best for the others; then all, built anew")
    for name in ("", *names):
        table.add_column(name, justify="right")
    for name in ("today", "best"):
        of_folds = [[fold[name][measure] for measure in names] for fold in report["folds"]]
        means, spreads = np.mean(of_folds, axis=0), np.std(of_folds, axis=0)
        cells = (f"{m:.3f} ± {s:.3f}" for m, s in zip(means, spreads, strict=True))
        table.add_row(f"{name}, folds", *cells)
        rebuilt = report["photographs"][name].values()
        table.add_row(f"{name}, all", *(f"{value:.3f}" for value in rebuilt))
    gains = [
        [fold["best"][measure] - fold["today"][measure] for fold in report["folds"]]
        for measure in names
    ]
    table.add_row("gain of each fold", *("\n".join(f"{gain:+.3f}" for gain in of) for of in gains))
    console.print(table)
    for name, groups in report.get("objects", {}).items():
        for group, scores in groups.items():
            cells = (f"{measure} {value:.3f}" for measure, value in scores.items())
            console.print(f"objects, {name}, {group}:", *cells)
    for name, (setting, level) in report["settings"].items():
        values = {**setting, "TYPICAL_DISSIMILARITY": level}
        console.print(f"{name}:", ", ".join(f"{key} {value:.3g}" for key, value in values.items()))


if __name__ == "__main__":
    typer.run(main)
