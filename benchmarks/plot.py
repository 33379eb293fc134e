"""What the panel's plots of clusters and loss take from a run.

python -m benchmarks.plot --side 384 --runs 7

Runs with the plots and without them take turns. Their pace is compared, and the processor time of
the window's thread: what the plots take of that is what they can take from the run at most.
Without a display it needs Xvfb.
"""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import napari
import numpy as np
import typer
from qtpy.QtTest import QTest
from rich.console import Console
from rich.table import Table

from benchmarks.options import SetOption
from benchmarks.speed import mirrored
from napari_unsupseg.sample_images import tissue

START_MS = 5000  # until PyTorch is loaded and the window drawn
LOOK_MS = 20


def main(
    side: Annotated[int, typer.Option(help="Pixels along a side of the image.")] = 384,
    runs: Annotated[int, typer.Option(help="Runs of either kind.")] = 7,
    set_: SetOption = [],  # noqa: B006
    json_: Annotated[Path | None, typer.Option("--json", help="Write the report here.")] = None,
) -> None:
    """Print the medians of both kinds, and of what differs from one run to the next."""
    viewer = napari.Viewer(show=True)
    viewer.add_image(mirrored(tissue(), side), rgb=True, name="tissue")
    _, panel = viewer.window.add_plugin_dock_widget("napari-unsupseg")
    for pair in set_:
        name, value = pair.split("=", 1)
        panel.settings[name].value = json.loads(value)
    QTest.qWait(START_MS)
    train(panel)  # the first run loads what the others find loaded
    add = panel.plot.add
    with_plots, without = [], []
    kinds = [(add, with_plots), (lambda _: None, without)]
    for _ in range(runs):
        for take, measured in kinds:
            panel.plot.add = take
            measured.append(train(panel))
        kinds.reverse()  # neither kind goes first in every pair
    viewer.close()
    a_run, window = (np.array([with_plots, without])[..., k] for k in range(2))
    report: dict[str, Any] = {
        "iterations/s with": float(np.median(a_run[0])),
        "iterations/s without": float(np.median(a_run[1])),
        "slower by": float(np.median(1 - a_run[0] / a_run[1])),
        "of the window's time": float(np.median(window[0] - window[1])),
    }
    table = Table(title=f"{side} × {side}, medians of {runs} pairs")
    for name in report:
        table.add_column(name)
    table.add_row(*(f"{value:.3f}" for value in report.values()))
    Console().print(table)
    if json_:
        json_.write_text(json.dumps(report | {"with": with_plots, "without": without}, indent=1))


def train(panel: Any) -> tuple[float, float]:
    """Return the iterations that a run does in a second, and its window's share of a processor."""
    panel.run_button.native.click()
    while not panel.progress.value:
        QTest.qWait(LOOK_MS)
    first, begun, busy = panel.progress.value, time.perf_counter(), time.thread_time()
    while panel.stop_button.enabled and not panel.status.value.startswith("making segments"):
        last, now, spent = panel.progress.value, time.perf_counter(), time.thread_time()
        QTest.qWait(LOOK_MS)
    while not panel.run_button.enabled:
        QTest.qWait(LOOK_MS)
    return (last - first) / (now - begun), (spent - busy) / (now - begun)


if __name__ == "__main__":
    typer.run(main)
