"""How fast: runs by the defaults beside other methods, what follows training, napari's start.

python -m benchmarks.speed PHOTOGRAPHS/*.jpg --take 10
python -m benchmarks.speed NUCLEI/*.png --size 256
python -m benchmarks.speed NUCLEI/*.png --parts
python -m benchmarks.speed MICROGRAPH.png --size 2048 --seeds 1
python -m benchmarks.speed --start-up
"""

import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from skimage.segmentation import felzenszwalb

from benchmarks.baselines import otsu, slic_linkage
from benchmarks.plain import plain_network, plain_self_train
from napari_unsupseg import Segmenter, Settings
from napari_unsupseg._generators import run_to_end
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.io.readers import read_image
from napari_unsupseg.learning.companions import train_companions
from napari_unsupseg.learning.devices import processor_name, resolve_device
from napari_unsupseg.learning.run import Run
from napari_unsupseg.learning.superpixels import compute_superpixels
from napari_unsupseg.regions.colours import perceptual_colours
from napari_unsupseg.regions.fragments import oversegment
from napari_unsupseg.regions.graph_builder import build_region_graph
from napari_unsupseg.regions.hierarchy_builder import build_hierarchy
from napari_unsupseg.regions.measure import measure_objects

WARM_UP = 1
PLAIN_ITERATIONS = 3  # timed; a run has as many as the paper says
PAPER = Settings.from_preset("paper-2018", {})
LEVELS = (0.2, 0.5, 0.8)  # of the hierarchy's cuts

START = """
import time; begin = time.perf_counter()
import importlib.metadata as metadata
if {hidden}:
    every = metadata.distributions
    metadata.distributions = lambda **keywords: (
        d for d in every(**keywords) if d.metadata["Name"] != "napari-unsupseg"
    )
import napari
viewer = napari.Viewer(show=True)
print(time.perf_counter() - begin)
viewer.close()
"""


Result = TypeVar("Result")
Seconds = tuple[float, float]  # by the clock, and of all cores together
Times = dict[str, list[Seconds]]


def main(
    images: Annotated[list[Path] | None, typer.Argument(help="Image files.")] = None,
    take: Annotated[int, typer.Option(help="Take this many of them, evenly spread.")] = 0,
    seeds: Annotated[int, typer.Option(help="Runs of each image, by one seed each.", min=1)] = 3,
    size: Annotated[int, typer.Option(help="Mirror or cut them to this many pixels a side.")] = 0,
    plain: Annotated[bool, typer.Option(help="Time Algorithm 1, written plainly, too.")] = True,
    parts: Annotated[
        bool, typer.Option("--parts", help="Time what follows the training, on one thread.")
    ] = False,
    start_up: Annotated[
        bool, typer.Option("--start-up", help="Time napari's start with the plugin and without.")
    ] = False,
    device: Annotated[str, typer.Option(help="As in napari-unsupseg segment.")] = "auto",
    json_: Annotated[Path | None, typer.Option("--json", help="Write the table here.")] = None,
) -> None:
    """Print median and worst seconds, all in turn in this process."""
    if bool(images) == start_up:
        raise typer.BadParameter("give image files or --start-up")
    target = resolve_device(device)
    report: dict[str, Any] = {"device": describe(target), "torch": torch.__version__}
    if start_up or images is None:
        report["rows"] = start_rows(9)
    else:
        if take:
            places = np.linspace(0, len(images) - 1, take).round().astype(int)
            images = [images[place] for place in places]
        report["images"] = [path.name for path in images]
        if parts:
            report["rows"], report["iterations"] = time_parts(images, seeds, size, target)
        else:
            report["rows"], report["iterations"] = time_all(images, seeds, size, target, plain)
        report["peak_memory_gb"] = peak_memory() / 1e9
    show(report)
    if json_:
        json_.write_text(json.dumps(report, indent=1) + "\n")


def time_all(
    paths: Sequence[Path], seeds: int, size: int, device: torch.device, plain: bool
) -> tuple[list[dict[str, Any]], list[int]]:
    """Time every method on every image; return rows, and the iterations of our runs."""
    times: Times = {}
    iterations = []
    segmented(Segmenter(Settings(iterations=12)), np.eye(128), {}, "")  # what is done but once
    for path in track(paths, console=Console(stderr=True)):
        pixels = read_image(path)
        pixels = mirrored(pixels, size) if size else pixels
        for n_threads, seed in itertools.product(sorted({1, os.cpu_count() or 1}), range(seeds)):
            torch.set_num_threads(n_threads)
            segmenter = Segmenter(Settings(seed=seed), device=str(device))
            of_threads = f", {n_threads} thread{'s' if n_threads > 1 else ''}"
            iterations.append(segmented(segmenter, pixels, times, of_threads))
        for name, method in CLASSICAL.items():
            times.setdefault(name, []).append(timed(lambda: method(pixels)))  # noqa: B023
        if plain:
            steps = plain_steps(pixels, PAPER, device)
            next(steps)
            clock, cpu = timed(lambda: list(itertools.islice(steps, PLAIN_ITERATIONS)))  # noqa: B023
            ratio = PAPER.iterations / PLAIN_ITERATIONS
            whole = ratio * clock, ratio * cpu
            times.setdefault("Algorithm 1, plainly (estimated)", []).append(whole)
    return [row(name, found) for name, found in times.items()], iterations


def segmented(segmenter: Segmenter, pixels: np.ndarray, times: Times, of_threads: str) -> int:
    """Segment an image, add how long the parts of it took, and return its iterations."""
    begin = time.perf_counter(), time.process_time()
    marks: dict[str, Seconds] = {}
    for step in segmenter.steps(pixels):
        if step.iteration == 1 and not marks:
            step.labels  # noqa: B018
            marks["first labels"] = since(begin)
        if step.hierarchy_share is None and "trained" not in marks:
            trained = time.perf_counter(), time.process_time()
        elif step.hierarchy_share == 1:
            marks["the hierarchy"] = since(trained)
    step.labels  # noqa: B018
    marks["ours"] = since(begin)
    for name in ("ours", "first labels", "the hierarchy"):
        times.setdefault(f"{name}{of_threads}", []).append(marks[name])
    for level in LEVELS:
        cut = timed(lambda: segmenter.hierarchy_.cut(granularity=level))  # noqa: B023
        times.setdefault(f"a cut of it{of_threads}", []).append(cut)
    return step.iteration


def time_parts(
    paths: Sequence[Path], seeds: int, size: int, device: torch.device
) -> tuple[list[dict[str, Any]], list[int]]:
    """Time what follows the training of every image; return rows, and the iterations of runs."""
    times: Times = {}
    iterations = []
    torch.set_num_threads(1)
    parts_timed(np.eye(128), Settings(iterations=12), device, {})  # what is done but once
    for path in track(paths, console=Console(stderr=True)):
        pixels = read_image(path)
        pixels = mirrored(pixels, size) if size else pixels
        for seed in range(seeds):
            iterations.append(parts_timed(pixels, Settings(seed=seed), device, times))
    return [row(name, found) for name, found in times.items()], iterations


def parts_timed(pixels: np.ndarray, settings: Settings, device: torch.device, times: Times) -> int:
    """Segment an image, add how long each part takes again, and return its iterations."""
    run = Run.begin(pixels, settings, device)
    *_, step = run.steps()
    image, history = run.image, run.snapshots

    def add(name: str, work: Callable[[], Result]) -> Result:
        begin = time.perf_counter(), time.process_time()
        result = work()
        times.setdefault(name, []).append(since(begin))
        return result

    add(
        "its further networks",
        lambda: run_to_end(train_companions(run.network, image, settings, step.iteration)),
    )
    colours, lightness = add("its perceptual colours", lambda: perceptual_colours(image))
    fragments = add(
        "its fragments",
        lambda: run_to_end(oversegment(colours, image.valid, history, lightness)),
    )
    graph = add(
        "the graph of these", lambda: build_region_graph(fragments, colours, history, lightness)
    )
    add("their merges, eigenvectors included", lambda: run_to_end(graph.merge()))
    hierarchy = add("the hierarchy: these four", lambda: build_hierarchy(image, history))
    add("its boundaries", hierarchy.boundaries)
    add("its clusters", lambda: hierarchy.clusters(settings.final_clusters))
    objects = add("its objects", hierarchy.objects)
    add("these, split more readily", lambda: hierarchy.objects(split=0.8))
    add("their scores", lambda: hierarchy.score_objects(objects))
    add("their table", lambda: measure_objects(objects, image.values))
    return step.iteration


CLASSICAL: dict[str, Callable[[np.ndarray], object]] = {
    "Felzenszwalb": lambda image: felzenszwalb(image, scale=500, sigma=0.5, min_size=20),
    "SLIC, average linkage": slic_linkage,
    "Otsu, 3 classes": lambda image: otsu(image, 3),
}


def start_rows(repetitions: int) -> list[dict[str, Any]]:
    """Time napari from its import to its window, with the plugin and without, in turn."""
    seconds: Times = {"without": [], "with": []}
    for _ in track(range(WARM_UP + repetitions), console=Console(stderr=True)):
        for name, times in seconds.items():
            script = START.format(hidden=name == "without")
            command = [sys.executable, "-c", script]
            output = subprocess.run(command, capture_output=True, check=True, text=True).stdout
            times.append((float(output.split()[-1]), 0.0))
    return [row(f"napari's start {name} the plugin", t[WARM_UP:]) for name, t in seconds.items()]


def since(begin: Seconds) -> Seconds:
    """Return the seconds since a moment."""
    return time.perf_counter() - begin[0], time.process_time() - begin[1]


def timed(work: Callable[[], object]) -> Seconds:
    """Return the seconds that something takes."""
    begin = time.perf_counter(), time.process_time()
    work()
    return since(begin)


def row(name: str, times: list[Seconds]) -> dict[str, Any]:
    """Return a row of the table."""
    clock, cpu = zip(*times, strict=True)
    return {
        "name": name,
        "median_s": statistics.median(clock),
        "worst_s": max(clock),
        "cpu_median_s": statistics.median(cpu),
        "cpu_worst_s": max(cpu),
        "n": len(times),
    }


def mirrored(pixels: np.ndarray, size: int) -> np.ndarray:
    """Continue an image beyond its sides as in a mirror, to `size` pixels a side."""
    height, width = pixels.shape[:2]
    beyond = [(0, max(0, size - height)), (0, max(0, size - width))] + [(0, 0)] * (pixels.ndim - 2)
    return np.pad(pixels, beyond, mode="symmetric")[:size, :size]


def plain_steps(pixels: Any, settings: Settings, device: torch.device) -> Iterator[Any]:
    """Prepare an image as the package does, and run the plain algorithm on it."""
    prepared = normalize_image(split_channels(pixels))
    superpixels = compute_superpixels(prepared, settings.superpixels, settings.compactness)
    torch.manual_seed(settings.seed)
    n_channels = prepared.values.shape[0]
    network = plain_network(
        n_channels, settings.components, settings.filters, settings.max_clusters
    )
    tensor = torch.from_numpy(prepared.values).unsqueeze(0).to(device)
    return plain_self_train(network.to(device), tensor, superpixels)


def peak_memory() -> int:
    """Return the most memory that this process has had, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def describe(device: torch.device) -> str:
    """Return what computes, and how many cores there are beside it."""
    return f"{processor_name(device)}, {os.cpu_count()} cores"


def show(report: dict[str, Any]) -> None:
    """Print a report as a table."""
    title = report["device"]
    if "images" in report:
        iterations = report["iterations"]
        title = (
            f"{len(report['images'])} images, {title}, at most {report['peak_memory_gb']:.1f} GB; "
            f"{statistics.median(iterations):g} iterations, at most {max(iterations)}"
        )
    table = Table(title=title)
    headings = ("", "median s", "worst s", "CPU median s", "CPU worst s", "times timed")
    for heading in headings:
        table.add_column(heading, justify="right")
    for line in report["rows"]:
        name, *seconds, n_times = line.values()
        table.add_row(name, *(f"{x:.3f}" for x in seconds), str(n_times))
    Console(width=120).print(table)


if __name__ == "__main__":
    typer.run(main)
