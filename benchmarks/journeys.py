"""How many clicks a user needs in napari's window, and how long they take.

python -m benchmarks.journeys nuclei/NAME.png --pixel 0.5

Three journeys, each in a real window whose panel is open: from a fluorescence image to a CSV of
nuclei in µm²; from the last of eight dabs of the brush to labels that follow it; from the file of a
run to segments at another granularity. Buttons are clicked by the mouse, and a press of *Save* or
*Open* in a file dialog, which is answered without being shown, counts as a click. Dabs are drawn
by the function that napari's brush calls. Nobody reads or thinks: the seconds are those that the
program takes. Without a display it needs Xvfb.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import imageio.v3
import napari
import numpy as np
import tifffile
import typer
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog
from rich.console import Console
from rich.table import Table
from skimage.filters import threshold_otsu

from benchmarks.speed import mirrored
from napari_unsupseg.plugin.session import View

PATIENCE = 120  # seconds, of whatever is waited for
LOADING_MS = 5000  # until PyTorch is loaded and the window drawn
SETTLED_MS = 3000  # after the last dab: nothing follows any more
DABS = {1: 5, 2: 3}  # on nuclei, and on the ground
BRUSH = 6  # pixels of the image
LEVEL = 0.3  # of granularity, which is dialled


class User:
    """Hands at a window with the panel, which count their clicks."""

    def __init__(self) -> None:
        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(1280, 800)
        _, self.panel = self.viewer.window.add_plugin_dock_widget("napari-unsupseg")
        self.clicks = 0

    def click(self, button: Any) -> None:
        """Click a button of the panel."""
        self.clicks += 1
        QTest.mouseClick(button.native, Qt.MouseButton.LeftButton)

    def answer(self, button: Any, path: Path) -> None:
        """Click a button that asks for a file, and the one in its dialog."""
        self.clicks += 1
        dialogs = "getSaveFileName", "getOpenFileName"
        answers = {
            name: lambda *_, **__: (str(path), "label TIFF (*.tif *.tiff)") for name in dialogs
        }
        with patch.multiple(QFileDialog, **answers):
            self.click(button)

    def run(self) -> None:
        """Click Run, and wait for its end."""
        self.click(self.panel.run_button)
        wait_until(lambda: self.panel.run_button.enabled)

    def begin_anew(self) -> None:
        """Have an empty window."""
        self.viewer.layers.clear()
        QTest.qWait(300)
        self.clicks = 0


def wait_until(is_true: Callable[[], Any]) -> None:
    """Wait while the window goes on."""
    end = time.perf_counter() + PATIENCE
    while not is_true():
        if time.perf_counter() > end:
            raise TimeoutError("what was waited for did not come")
        QTest.qWait(2)


def image_to_csv(user: User, folder: Path, image: NDArray[Any], pixel: float) -> tuple[int, float]:
    """Return clicks and seconds from an image that is open to a table of its nuclei."""
    source, table = folder / "nuclei.tif", folder / "nuclei.csv"
    table.unlink(missing_ok=True)
    tifffile.imwrite(
        source, image, imagej=True, resolution=(1 / pixel,) * 2, metadata={"unit": "um"}
    )
    [layer] = user.viewer.open(source, plugin="napari-unsupseg")
    QTest.qWait(300)
    begun = time.perf_counter()
    user.run()
    user.click(user.panel.results.view_buttons.buttons[View.OBJECTS])
    name = f"{layer.name} objects"
    wait_until(lambda: name in user.viewer.layers and len(user.viewer.layers[name].features))
    user.answer(user.panel.results.save_button, table)
    wait_until(table.exists)
    seconds = time.perf_counter() - begun
    if "area_um2" not in table.read_text().splitlines()[0]:
        raise RuntimeError("the table has no areas in µm²")
    return user.clicks, seconds


def strokes_to_labels(user: User, image: NDArray[Any]) -> tuple[int, float]:
    """Return clicks and seconds from the last dab to labels that follow it."""
    layer = user.viewer.add_image(image, name="nuclei")
    user.run()
    user.clicks = 0
    user.click(user.panel.strokes_button)
    strokes = user.viewer.layers[f"{layer.name} strokes"]
    shown: list[float] = []
    clusters = user.viewer.layers[f"{layer.name} segmentation"]
    clusters.events.data.connect(lambda: shown.append(time.perf_counter()))
    strokes.brush_size = BRUSH
    random, is_bright = np.random.default_rng(0), image > threshold_otsu(image)
    for row, (kind, n_dabs) in enumerate(DABS.items()):
        user.panel.marks.kinds.setCurrentRow(row)
        places = np.argwhere(is_bright == (kind == 1))
        for place in random.choice(places, n_dabs):
            user.clicks += 1
            strokes.paint(tuple(place), kind)
            last = time.perf_counter()
            QTest.qWait(200)
    QTest.qWait(SETTLED_MS)
    if not user.panel.status.value.startswith("by your strokes"):
        raise RuntimeError("the labels follow no strokes")
    return user.clicks, shown[-1] - last


def file_to_segments(user: User, file: Path) -> tuple[int, float]:
    """Return clicks and seconds from the file of a run to its segments at another granularity."""
    panel = user.panel
    panel.folds["Saved runs"].unfold()
    QTest.qWait(100)
    begun = time.perf_counter()
    user.answer(panel.run_files.open_button, file)
    wait_until(lambda: panel.results.view_buttons.enabled and len(user.viewer.layers) >= 2)
    user.click(panel.results.view_buttons.buttons[View.SEGMENTS])
    user.clicks += 1  # on the slider
    panel.results.granularity.value = LEVEL
    segments = user.viewer.layers[-1]
    wait_until(lambda: segments.metadata["napari-unsupseg"].get("granularity") == LEVEL)
    user.viewer.screenshot(flash=False)  # it is drawn
    return user.clicks, time.perf_counter() - begun


def main(
    image: Annotated[Path, typer.Argument(help="Fluorescent nuclei, in grey or in colour.")],
    pixel: Annotated[float, typer.Option(help="Micrometres along a side of a pixel.")] = 0.5,
    repeats: Annotated[int, typer.Option(help="Times that each journey is made.")] = 5,
    json_: Annotated[Path | None, typer.Option("--json", help="Write the report here.")] = None,
) -> None:
    """Print the clicks of each journey, and the median and the worst of its seconds."""
    pixels = imageio.v3.imread(image)
    grey = pixels if pixels.ndim == 2 else pixels[..., :3].max(axis=-1)
    user = User()
    QTest.qWait(LOADING_MS)
    report = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = folder / "run.unsupseg"
        user.viewer.add_image(mirrored(grey, 1024), name="nuclei")
        user.run()
        user.panel.run_files.save(run)
        wait_until(lambda: user.panel.status.value == f"{run.name} is saved")
        journeys: dict[str, Callable[[], tuple[int, float]]] = {
            f"image of {' × '.join(map(str, grey.shape))} to CSV": lambda: image_to_csv(
                user, folder, grey, pixel
            ),
            "last dab to labels, 512 × 512": lambda: strokes_to_labels(user, mirrored(grey, 512)),
            "file of a run to segments, 1024 × 1024": lambda: file_to_segments(user, run),
        }
        for journey, go in journeys.items():
            made = []
            for _ in range(repeats):
                user.begin_anew()
                made.append(go())
            [clicks] = {n_clicks for n_clicks, _ in made}
            seconds = [one for _, one in made]
            report[journey] = {
                "clicks": clicks,
                "median, s": statistics.median(seconds),
                "worst, s": max(seconds),
            }
    user.viewer.close()
    table = Table(title=f"{repeats} times each, {os.cpu_count()} cores")
    for column in ("journey", "clicks", "median, s", "worst, s"):
        table.add_column(column)
    for journey, figures in report.items():
        table.add_row(
            journey,
            *(f"{one:.2f}" if isinstance(one, float) else str(one) for one in figures.values()),
        )
    Console().print(table)
    if json_:
        json_.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    typer.run(main)
