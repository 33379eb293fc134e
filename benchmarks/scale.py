"""How far it reaches: hierarchies of any size, a volume, a slide larger than memory, a folder.

python -m benchmarks.scale hierarchy --image micrograph.png
python -m benchmarks.scale volume --image stack.tif
python -m benchmarks.scale slide --image tissue.png --side 20000
python -m benchmarks.scale folder --image photograph.jpg --count 50
"""

import dataclasses
import enum
import itertools
import json
import os
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import torch
import typer
import zarr
from imageio.v3 import imwrite
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.ndimage import gaussian_filter

from benchmarks.options import SetOption, settings_from
from benchmarks.speed import mirrored, peak_memory
from napari_unsupseg import Segmenter, Settings, Step
from napari_unsupseg.batch.distributed import run_distributed
from napari_unsupseg.batch.jobs import Job, JobOptions
from napari_unsupseg.batch.pipeline import Report, run_job, try_run_job
from napari_unsupseg.image.normalize import NormalizedImage
from napari_unsupseg.image.tiling import Slices
from napari_unsupseg.io.readers import read_image
from napari_unsupseg.learning.schedule import HISTORY_ITERATIONS
from napari_unsupseg.regions.hierarchy_builder import build_hierarchy

VOLUME = (64, 512, 512)
CHUNK = 1024  # pixels, side of the slide's chunks

REGIONS: dict[str, dict[str, Any]] = {"segments": {"segments": True}, "objects": {"objects": {}}}

SIDES = (256, 512, 1024, 2048, 4096)  # pixels, of images whose hierarchy is made
DEPTH = 25  # planes of a volume whose hierarchy is made

What = enum.StrEnum("What", ["hierarchy", "volume", "slide", "folder"])


def main(
    what: What,
    image: Annotated[Path, typer.Option(help="Image file, continued in mirrors.")],
    side: Annotated[
        int, typer.Option(min=3400, help="Pixels along a side of the slide, too many to be loaded.")
    ] = 20_000,
    count: Annotated[int, typer.Option(help="Images in the folder.")] = 50,
    set_: SetOption = [],  # noqa: B006
    json_: Annotated[Path | None, typer.Option("--json", help="Write the report here.")] = None,
) -> None:
    """Print seconds and the most memory that this process has had."""
    settings = settings_from("standard", set_)
    pixels = read_image(image)
    if what is What.hierarchy:
        show_hierarchies(measure_hierarchies(pixels, settings), json_)
        return
    if what is What.volume:
        report = measure_volume(pixels, settings)
    elif what is What.slide:
        report = measure_slide(pixels, side, settings)
    else:
        report = measure_folder(pixels, count, settings)
    report["most memory, GB"] = peak_memory() / 1e9
    table = Table(title=f"{what}, {os.cpu_count()} cores", show_header=False)
    for name, value in report.items():
        table.add_row(name, f"{value:,.2f}" if isinstance(value, float) else str(value))
    Console().print(table)
    if json_:
        json_.write_text(json.dumps(report, indent=1))


def measure_hierarchies(pixels: NDArray[np.generic], settings: Settings) -> list[dict[str, Any]]:
    """Make hierarchies of images and volumes of many sizes, with a run's history and without.

    Parameters
    ----------
    pixels : ndarray, shape (Y, X) or (Y, X, 3)
        One of the images is it and its mirrors.
    settings : Settings
        Of the runs.

    Returns
    -------
    list of dict
        Seconds, and the memory that was taken beyond the image's and the history's, for each.
    """
    images: dict[str, Callable[[int], NDArray[np.generic]]] = {
        "bright spots on black": spots,
        "Poisson noise": lambda side: np.random.default_rng(0).poisson(20, (side, side)),
        "the image, mirrored": lambda side: mirrored(pixels, side),
    }
    tasks = [(name, images[name](side), 2) for name in images for side in SIDES]
    tasks += [("spots in a volume", spots(side, depth=DEPTH), 3) for side in (128, 256, 512)]
    rows = []
    for name, image, spatial_ndim in track(tasks, console=Console(stderr=True)):
        axes = "zyx" if spatial_ndim == 3 else "yxs"[: image.ndim]
        segmenter, history = Segmenter(settings), []
        for step in segmenter.steps(image, axes=axes, spatial_ndim=spatial_ndim):
            if step.hierarchy_share is not None:
                break
            if step.iteration in HISTORY_ITERATIONS:
                history.append(step.labels)
        history.append(step.labels)
        for kind, labels in (("a run's", history), ("none", [np.ones_like(history[0])])):
            measured = measure_hierarchy(segmenter.image_, labels)
            size = " × ".join(map(str, step.labels.shape))
            rows.append({"image": name, "size": size, "history": kind, **measured})
    return rows


def measure_hierarchy(
    image: NormalizedImage, history: list[NDArray[np.unsignedinteger]]
) -> dict[str, float]:
    """Make a hierarchy, once all is compiled, and say how long it took and how much memory."""
    corner = (..., slice(32), slice(32))
    small = dataclasses.replace(image, values=image.values[corner], valid=image.valid[corner])
    build_hierarchy(small, [labels[corner] for labels in history])
    sizes, is_over = [resident_memory()], threading.Event()

    def watch() -> None:  # the most memory that a process has had never falls
        while not is_over.wait(0.002):
            sizes.append(resident_memory())

    watching = threading.Thread(target=watch)
    watching.start()
    start = time.perf_counter()
    hierarchy = build_hierarchy(image, history)
    seconds = time.perf_counter() - start
    is_over.set()
    watching.join()
    return {
        "seconds": seconds,
        "seconds a megapixel": seconds / image.valid.size * 1e6,
        "bytes a pixel": (max(sizes) - sizes[0]) / image.valid.size,
        "segments": int(hierarchy.cut().max()),
    }


def resident_memory() -> int:
    """Return the memory that this process has now, in bytes."""
    return int(psutil.Process().memory_info().rss)


def spots(side: int, depth: int = 1) -> NDArray[np.float32]:
    """Return bright spots on black, one for 400 pixels of a plane, (Y, X) or (Z, Y, X)."""
    rng = np.random.default_rng(0)
    image = np.zeros((depth, side, side), dtype=np.float32)
    places = rng.integers(0, image.shape, (image.size // 400 // min(depth, 10), 3))
    image[tuple(places.T)] = 1
    return gaussian_filter(image, 1.0 if depth > 1 else (0, 1, 1)).squeeze()


def show_hierarchies(rows: list[dict[str, Any]], json_: Path | None) -> None:
    """Print a row a hierarchy."""
    table = Table(*rows[0], title=f"hierarchies, {os.cpu_count()} cores")
    for row in rows:
        table.add_row(*(f"{x:,.2f}" if isinstance(x, float) else str(x) for x in row.values()))
    Console(width=160).print(table)
    if json_:
        json_.write_text(json.dumps(rows, indent=1))


def measure_volume(stack: NDArray[np.generic], settings: Settings) -> dict[str, Any]:
    """Segment a volume of 64 × 512 × 512.

    Parameters
    ----------
    stack : ndarray, shape (Z, Y, X)
        Mirrored to that size.
    settings : Settings
        Of the run.

    Returns
    -------
    dict
        Seconds and iterations.
    """
    beyond = [(0, max(0, n - have)) for n, have in zip(VOLUME, stack.shape, strict=True)]
    volume = np.pad(stack, beyond, mode="symmetric")[tuple(map(slice, VOLUME))]
    start = time.perf_counter()
    segmenter = Segmenter(settings).fit(volume, axes="zyx", spatial_ndim=3)
    return {
        "voxels": " × ".join(map(str, volume.shape)),
        "settled, s": time.perf_counter() - start,
        "iterations": segmenter.n_iterations_,
        "clusters": len(np.unique(segmenter.labels_)),
    }


def measure_slide(tile: NDArray[np.uint8], side: int, settings: Settings) -> dict[str, Any]:
    """Segment a slide on disk, and write its labels.

    Parameters
    ----------
    tile : ndarray of uint8, shape (y, x, 3)
        The slide is made of it and its mirrors.
    side : int
        Pixels along a side of the slide.
    settings : Settings
        Of the run.

    Returns
    -------
    dict
        Seconds and megapixels a second.
    """
    pair = np.concatenate([tile, tile[::-1]])
    period = np.concatenate([pair, pair[:, ::-1]], axis=1)
    with tempfile.TemporaryDirectory() as folder:
        slide_path = f"{folder}/slide.zarr"
        slide = zarr.create_array(
            slide_path, shape=(side, side, 3), chunks=(CHUNK, CHUNK, 3), dtype="uint8"
        )
        for top in range(0, side, CHUNK):
            rows = np.arange(top, min(top + CHUNK, side)) % len(period)
            slide[top : top + CHUNK] = period[
                rows[:, np.newaxis], np.arange(side) % period.shape[1]
            ]
        options = JobOptions(settings=settings, device="cpu")
        network = Path(folder) / "slide.unsupseg"
        job = Job(Path(slide_path), Path(folder) / "labels.ome.zarr", saved_network=network)
        report, seconds = _timed(job, options)
        by_network = dataclasses.replace(options, network=network, apply_only=True)
        speeds = {}
        for kind, asked in REGIONS.items():
            job = Job(Path(slide_path), Path(folder) / f"{kind}.ome.zarr")
            begun = time.process_time()
            regions, times = _timed(job, dataclasses.replace(by_network, **asked))
            speeds |= {
                kind: regions[kind],
                f"{kind}, clusters included, s": times["written"],
                f"{kind}, s of the processor": time.process_time() - begun,
            }
    return {
        "pixels": f"{side} × {side}",
        "trained, s": seconds["trained"],
        "iterations": report["iterations"],
        "the network has learned the clusters, s": seconds["distilled"],
        "predicted and written, s": seconds["written"],
        "megapixels a second": side**2 / 1e6 / seconds["written"],
        **speeds,
    }


def _timed(job: Job, options: JobOptions) -> tuple[Report, dict[str, float]]:
    """Do a job as the command line does it, and say how long its parts took."""
    begun = time.perf_counter()
    ends: dict[str, float] = {}

    def watch(steps: Iterator[Step], _name: str) -> tuple[Step, bool]:
        step = deque(steps, maxlen=1).pop()
        ends["trained"] = time.perf_counter()
        return step, False

    def track(chunks: Sequence[Slices], _name: str) -> Sequence[Slices]:
        ends.setdefault("distilled", time.perf_counter())
        return chunks

    report = run_job(job, options, watch, track)
    ends["written"] = time.perf_counter()
    return report, dict(zip(ends, np.diff([begun, *ends.values()]).tolist(), strict=True))


def measure_folder(pixels: NDArray[np.generic], count: int, settings: Settings) -> dict[str, Any]:
    """Segment as many images as asked for on one core, by one worker and by two.

    Parameters
    ----------
    pixels : ndarray, shape (Y, X) or (Y, X, 3)
        The images are parts of it, a quarter of its size.
    count : int
        How many.
    settings : Settings
        Of the runs.

    Returns
    -------
    dict
        Seconds, and their ratio.
    """
    height, width = (n // 2 for n in pixels.shape[:2])
    random = np.random.default_rng(0)
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        jobs = []
        for index in range(count):
            top, left = random.integers(height), random.integers(width)
            path = Path(folder) / f"{index}.png"
            imwrite(path, pixels[top : top + height, left : left + width])
            jobs.append(Job(path, Path(folder) / f"{index}.tif"))
        options = JobOptions(settings=settings, device="cpu", overwrite=True)
        n_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        seconds.append(_timed_batch(map(try_run_job, jobs, itertools.repeat(options))))
        torch.set_num_threads(n_threads)
        for workers in (1, 2):
            seconds.append(_timed_batch(run_distributed(jobs, options, workers)))
    return {
        "images": f"{count} of {height} × {width}",
        "one core, s": seconds[0],
        "one worker with all cores, s": seconds[1],
        "two workers that share them, s": seconds[2],
        "times as fast as one core": seconds[0] / seconds[2],
        "times as fast as one worker": seconds[1] / seconds[2],
    }


def _timed_batch(reports: Iterable[Report]) -> float:
    """Return the seconds until all reports are there, none of them an error."""
    start = time.perf_counter()
    for report in reports:
        if "error" in report:
            raise SystemExit(report["error"])
    return time.perf_counter() - start


if __name__ == "__main__":
    typer.run(main)
