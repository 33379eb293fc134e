"""How long a run makes napari's window wait: the gaps of its event loop.

python -m benchmarks.window --side 2048

A timer of 1 ms notes when the window next gets to run it, while the panel segments stained tissue
and shows its labels. Without a display it needs Xvfb.
"""

import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

import napari
import numpy as np
import typer
from qtpy.QtCore import QTimer
from qtpy.QtTest import QTest
from rich.console import Console
from rich.table import Table

from benchmarks.options import SetOption
from benchmarks.speed import mirrored
from napari_unsupseg.sample_images import tissue

LONG = 0.05  # seconds, a gap that is felt
AFTER_MS = 5000  # of the time after the run, in which regions are measured
PICTURES = 20  # that napari draws without a run, to compare with
PARTS = ("napari alone", "start", "training", "segments", "after")


def main(
    side: Annotated[int, typer.Option(help="Pixels along a side of the image.")] = 2048,
    set_: SetOption = [],  # noqa: B006
    json_: Annotated[Path | None, typer.Option("--json", help="Write the report here.")] = None,
) -> None:
    """Print the gaps of each part of a run."""
    viewer = napari.Viewer(show=True)
    viewer.add_image(mirrored(tissue(), side), rgb=True, name="tissue")
    _, panel = viewer.window.add_plugin_dock_widget("napari-unsupseg")
    for pair in set_:
        name, value = pair.split("=", 1)
        panel.settings[name].value = json.loads(value)
    QTest.qWait(AFTER_MS)  # until PyTorch is loaded and the window drawn
    gaps: dict[str, list[float]] = {part: [] for part in PARTS}
    begun = 0.0
    last = time.perf_counter()

    def note() -> None:
        nonlocal last
        now = time.perf_counter()
        gaps[part_of(panel) if begun else "napari alone"].append(now - last)
        last = now

    timer = QTimer()
    timer.timeout.connect(note)
    timer.start(1)
    draw_alone(viewer, side)
    begun = last = time.perf_counter()
    panel.run_button.native.click()
    while panel.stop_button.enabled:
        QTest.qWait(20)
    seconds = time.perf_counter() - begun
    QTest.qWait(AFTER_MS)
    timer.stop()
    report = [row(part, gaps[part]) for part in PARTS if gaps[part]]
    viewer.close()
    table = Table(title=f"{side} × {side}, {seconds:.0f} s, {os.cpu_count()} cores")
    for name in report[0]:
        table.add_column(name)
    for entry in report:
        table.add_row(
            *(
                f"{value:.3f}" if isinstance(value, float) else str(value)
                for value in entry.values()
            )
        )
    Console().print(table)
    if json_:
        json_.write_text(json.dumps({"seconds": seconds, "gaps": report}, indent=1))


def draw_alone(viewer: napari.Viewer, side: int) -> None:
    """Have napari draw a layer of labels anew, five times a second, and take it away."""
    random = np.random.default_rng(0)
    layer = viewer.add_labels(np.zeros((side, side), np.uint8))
    for _ in range(PICTURES):
        tiles = random.integers(0, 100, (-(-side // 32),) * 2, dtype=np.uint8)
        layer.data = np.kron(tiles, np.ones((32, 32), np.uint8))[:side, :side]
        QTest.qWait(200)
    viewer.layers.remove(layer)


def part_of(panel: Any) -> str:
    """Return which part of a run the panel is in."""
    if not panel.stop_button.enabled:
        return "after"
    if panel.status.value.startswith("making segments"):
        return "segments"
    return "training" if panel.progress.value else "start"


def row(part: str, gaps: list[float]) -> dict[str, Any]:
    """Return the figures of one part of a run."""
    return {
        "part": part,
        "longest, s": float(np.max(gaps)),
        "99.9 %, s": float(np.percentile(gaps, 99.9)),
        "over 50 ms": int(np.sum(np.greater(gaps, LONG))),
        "share of time over 50 ms": float(
            np.sum([gap for gap in gaps if gap > LONG]) / np.sum(gaps)
        ),
    }


if __name__ == "__main__":
    typer.run(main)
