"""Seconds an iteration: the plain Algorithm 1 and the package, in turn on one image.

python -m benchmarks.speed --image FILE --iterations 10 --json speed.json
"""

import json
import platform
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.plain import plain_network, plain_self_train
from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.devices import resolve_device
from napari_unsupseg.files import read_image
from napari_unsupseg.images import prepare, split_channels
from napari_unsupseg.superpixels import compute_superpixels

WARM_UP = 1


def main(
    image: Annotated[Path, typer.Option(help="Image file.")],
    iterations: Annotated[int, typer.Option(help="Iterations timed of each.", min=1)] = 10,
    components: Annotated[int, typer.Option(help="M.", min=1, max=5)] = 2,
    device: Annotated[str, typer.Option(help="As in napari-unsupseg segment.")] = "auto",
    json_: Annotated[Path | None, typer.Option("--json", help="Write the table here.")] = None,
) -> None:
    """Print median seconds an iteration of the baseline and the package, and their ratio."""
    settings = Settings(components=components, iterations=iterations + WARM_UP)
    pixels = read_image(image)
    target = resolve_device(device)
    runs = {
        "plain": plain_steps(pixels, settings, target),
        "package": Segmenter(settings, device=device).steps(pixels),
    }
    seconds = time_in_turn(runs, iterations, target)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    report = {
        "image": image.name,
        "shape": list(pixels.shape),
        "iterations": iterations,
        "components": components,
        "device": describe(target),
        "torch": torch.__version__,
        "rows": [
            {
                "name": name,
                "median_s": medians[name],
                "min_s": min(times),
                "max_s": max(times),
                "ratio": medians["plain"] / medians[name],
            }
            for name, times in seconds.items()
        ],
    }
    show(report)
    if json_:
        json_.write_text(json.dumps(report, indent=1) + "\n")


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


def describe(device: torch.device) -> str:
    """Return a device's name, or a CPU's instruction set and the threads in use."""
    if device.type == "cpu":
        capability = torch.backends.cpu.get_cpu_capability()
        return f"{platform.machine()} with {capability}, {torch.get_num_threads()} threads"
    return torch.get_device_module(device).get_device_name(device)


def show(report: dict[str, Any]) -> None:
    """Print a report as a table."""
    size = " × ".join(map(str, report["shape"]))
    table = Table(
        title=f"{report['image']} ({size}), M = {report['components']}, {report['device']}"
    )
    for heading in ("", "median s", "min s", "max s", "times as fast"):
        table.add_column(heading, justify="right")
    for row in report["rows"]:
        figures = (row["median_s"], row["min_s"], row["max_s"])
        table.add_row(row["name"], *(f"{x:.3f}" for x in figures), f"{row['ratio']:.2f}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
