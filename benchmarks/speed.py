"""How fast: one iteration, first and settled labels, the hierarchy, a large image, napari's start.

python -m benchmarks.speed --image FILE --json speed.json
python -m benchmarks.speed --image FILE --size 2048
python -m benchmarks.speed --start-up
"""

import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.plain import plain_network, plain_self_train
from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.devices import resolve_device, resolve_precision
from napari_unsupseg.files import read_image
from napari_unsupseg.images import prepare, split_channels
from napari_unsupseg.superpixels import compute_superpixels

WARM_UP = 1
PAPER_ITERATIONS = 500
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


def main(
    image: Annotated[Path | None, typer.Option(help="Image file.")] = None,
    iterations: Annotated[int, typer.Option(help="Iterations timed of each.", min=1)] = 9,
    components: Annotated[int, typer.Option(help="M.", min=1, max=5)] = 2,
    runs: Annotated[int, typer.Option(help="Runs timed from start to settled.", min=1)] = 3,
    size: Annotated[
        int, typer.Option(help="Mirror the image to this many pixels a side, and leave out plain.")
    ] = 0,
    start_up: Annotated[
        bool, typer.Option("--start-up", help="Time napari's start with the plugin and without.")
    ] = False,
    device: Annotated[str, typer.Option(help="As in napari-unsupseg segment.")] = "auto",
    json_: Annotated[Path | None, typer.Option("--json", help="Write the table here.")] = None,
) -> None:
    """Print medians, and ratios to the plain algorithm run in turn in the same process."""
    if (image is None) == (not start_up):
        raise typer.BadParameter("give --image FILE or --start-up")
    target = resolve_device(device)
    report: dict[str, Any] = {"device": describe(target), "torch": torch.__version__}
    if start_up or image is None:
        report["rows"] = start_rows(iterations)
    else:
        pixels = read_image(image)
        if size:
            pixels = mirrored(pixels, size)
        report |= {"image": image.name, "shape": list(pixels.shape), "components": components}
        settings = Settings(components=components)
        rows = [] if size else iteration_rows(pixels, settings, iterations, target)
        report["rows"] = rows + settled_rows(pixels, settings, runs, target, rows)
        report["peak_memory_gb"] = peak_memory() / 1e9
    show(report)
    if json_:
        json_.write_text(json.dumps(report, indent=1) + "\n")


def iteration_rows(
    pixels: Any, settings: Settings, iterations: int, device: torch.device
) -> list[dict[str, Any]]:
    """Time iterations at full size: plain, float32, and bfloat16 where that is fast."""
    contenders = {"plain": plain_steps(pixels, settings, device)}
    precisions = ["float32"]
    if resolve_precision("auto", device) == torch.bfloat16:
        precisions.append("bfloat16")
    for precision in precisions:
        own = Settings(components=settings.components, settle=0, precision=precision)
        contenders[precision] = Segmenter(own, device=str(device)).steps(pixels)
    seconds = time_in_turn(contenders, iterations, device)
    plain = statistics.median(seconds["plain"])
    return [
        row(f"one iteration, {name}", times, plain / statistics.median(times))
        for name, times in seconds.items()
    ]


def settled_rows(
    pixels: Any, settings: Settings, runs: int, device: torch.device, iterations: list[Any]
) -> list[dict[str, Any]]:
    """Time whole runs by the defaults: the first labels, those to keep, the hierarchy, its cuts."""
    first, settled, counts, built, cuts = [], [], [], [], []
    for _ in range(runs):
        segmenter = Segmenter(settings, device=str(device))
        start = time.perf_counter()
        for step in segmenter.steps(pixels):
            if step.iteration == 1:
                step.labels  # noqa: B018
                first.append(time.perf_counter() - start)
            if step.hierarchy_share is None:
                trained = time.perf_counter()
            elif step.hierarchy_share == 1:
                built.append(time.perf_counter() - trained)
        step.labels  # noqa: B018
        settled.append(time.perf_counter() - start)
        counts.append(step.iteration)
        cuts += [timed(lambda: segmenter.hierarchy_.cut(level=level)) for level in LEVELS]  # noqa: B023
    whole = PAPER_ITERATIONS * iterations[0]["median_s"] if iterations else None
    ratio = whole / statistics.median(settled) if whole else None
    return [
        row("first labels", first),
        row(f"settled, after {'/'.join(map(str, counts))} iterations", settled, ratio),
        row("the hierarchy", built),
        row("a cut of it", cuts),
    ]


def start_rows(repetitions: int) -> list[dict[str, Any]]:
    """Time napari from its import to its window, with the plugin and without, in turn."""
    seconds: dict[str, list[float]] = {"without": [], "with": []}
    for _ in track(range(WARM_UP + repetitions), console=Console(stderr=True)):
        for name, times in seconds.items():
            script = START.format(hidden=name == "without")
            command = [sys.executable, "-c", script]
            output = subprocess.run(command, capture_output=True, check=True, text=True).stdout
            times.append(float(output.split()[-1]))
    return [row(f"napari's start {name} the plugin", t[WARM_UP:]) for name, t in seconds.items()]


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def row(name: str, times: list[float], ratio: float | None = None) -> dict[str, Any]:
    """Return a row of the table."""
    figures = {"median_s": statistics.median(times), "min_s": min(times), "max_s": max(times)}
    return {"name": name, **figures, "ratio": ratio}


def mirrored(pixels: np.ndarray, size: int) -> np.ndarray:
    """Continue an image beyond its sides as in a mirror, to `size` pixels a side."""
    height, width = pixels.shape[:2]
    beyond = [(0, max(0, size - height)), (0, max(0, size - width))] + [(0, 0)] * (pixels.ndim - 2)
    return np.pad(pixels, beyond, mode="symmetric")[:size, :size]


def plain_steps(pixels: Any, settings: Settings, device: torch.device) -> Iterator[Any]:
    """Prepare an image as the package does, and run the plain algorithm on it."""
    prepared = prepare(split_channels(pixels))
    superpixels = compute_superpixels(prepared, settings.superpixels, settings.compactness)
    torch.manual_seed(settings.seed)
    n_channels = prepared.values.shape[0]
    network = plain_network(
        n_channels, settings.components, settings.filters, settings.max_clusters
    )
    tensor = torch.from_numpy(prepared.values).unsqueeze(0).to(device)
    return plain_self_train(network.to(device), tensor, superpixels)


def time_in_turn(
    runs: dict[str, Iterator[Any]], iterations: int, device: torch.device
) -> dict[str, list[float]]:
    """Return the seconds of each iteration of each run, one iteration of each in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in track(range(WARM_UP + iterations), console=Console(stderr=True)):
        for name, steps in runs.items():
            start = time.perf_counter()
            next(steps)
            if device.type != "cpu":
                torch.accelerator.synchronize()
            seconds[name].append(time.perf_counter() - start)
    return {name: times[WARM_UP:] for name, times in seconds.items()}


def peak_memory() -> int:
    """Return the most memory that this process has had, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def describe(device: torch.device) -> str:
    """Return a device's name, or a CPU's instruction set and the threads in use."""
    if device.type == "cpu":
        report: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        capability = torch.backends.cpu.get_cpu_capability()
        also = " and AMX" if report.get("amx_bf16") else ""
        return f"{platform.machine()} with {capability}{also}, {torch.get_num_threads()} threads"
    return torch.get_device_module(device).get_device_name(device)


def show(report: dict[str, Any]) -> None:
    """Print a report as a table."""
    title = report["device"]
    if "image" in report:
        size = " × ".join(map(str, report["shape"]))
        title = (
            f"{report['image']} ({size}), M = {report['components']}, {title}, "
            f"at most {report['peak_memory_gb']:.1f} GB"
        )
    table = Table(title=title)
    for heading in ("", "median s", "min s", "max s", "times as fast"):
        table.add_column(heading, justify="right")
    for line in report["rows"]:
        figures = (line["median_s"], line["min_s"], line["max_s"])
        ratio = f"{line['ratio']:.2f}" if line["ratio"] else ""
        table.add_row(line["name"], *(f"{x:.3f}" for x in figures), ratio)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
