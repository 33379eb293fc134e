"""Take the documentation's pictures: a napari window before, during and after a run, and its cuts.

    python docs/make_pictures.py [--image FILE --axes zyx] [--volumes] [--out FOLDER]

Writes the window at each moment, and the canvases side by side; of a stack or movie also at other
planes, and in 3D. Without a display it needs
Xvfb: ``xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_pictures.py``.
"""

import argparse
from pathlib import Path

import napari
import numpy as np
from imageio.v3 import imwrite
from qtpy.QtTest import QTest

from napari_unsupseg.files import read_axes, read_image
from napari_unsupseg.samples import tissue

PLUGIN = "napari-unsupseg"
WINDOW = (1200, 800)
SCALE = 1.5
UPDATES = {"early": 5, "late": 20}
LEVELS = (0.2, 0.35, 0.5)
PLANES = (0.3, 0.5, 0.7)  # of all
TICK_MS = 20
REDRAW_MS = 300


def main() -> None:
    """Run the panel on an image as a user would, and keep what is seen."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--image", type=Path, help="image file; by default the tissue sample")
    parser.add_argument("--axes", help="one letter an axis; by default as the file says")
    parser.add_argument("--volumes", action="store_true", help="segment volumes, not planes")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    name = options.image.stem if options.image else "tissue"
    image = read_image(options.image) if options.image else tissue()

    viewer = napari.Viewer(show=True)
    viewer.window.resize(*WINDOW)
    viewer.add_image(image, name=name)
    _, panel = viewer.window.add_plugin_dock_widget(PLUGIN)
    axes = options.axes or (options.image and read_axes(options.image))
    if axes:
        panel.axes.value = axes
    panel.volumes.value = options.volumes
    canvases = []

    def shoot(moment: str) -> None:
        QTest.qWait(REDRAW_MS)
        path = options.out / f"{name}_{moment}.png"
        imwrite(path, viewer.screenshot(canvas_only=False, flash=False)[..., :3])
        canvases.append(viewer.export_figure(scale_factor=SCALE, flash=False)[..., :3])
        print(path, panel.status.value)  # noqa: T201

    shoot("before")
    panel.run_button.native.click()
    labels = viewer.layers[-1]
    seen = []
    for moment, iteration in UPDATES.items():
        while panel.progress.value < iteration:
            QTest.qWait(TICK_MS)
        shoot(moment)
        seen.append(labels.data.copy())
    while panel.stop_button.enabled:
        QTest.qWait(TICK_MS)
    shoot("after")
    imwrite(options.out / f"{name}.png", np.hstack(canvases))
    labels.visible = False
    canvases.clear()
    for level in LEVELS:
        panel.results.granularity.value = level
        shoot(f"granularity_{level}")
    imwrite(options.out / f"{name}_segments.png", np.hstack(canvases))
    if viewer.dims.ndim > 2:
        viewer.layers[-1].visible, labels.visible = False, True
        canvases.clear()
        for share in PLANES:
            viewer.dims.set_current_step(0, int(share * viewer.dims.nsteps[0]))
            shoot(f"plane_{share}")
        viewer.dims.ndisplay = 3
        shoot("3d")
        imwrite(options.out / f"{name}_planes.png", np.hstack(canvases))
    viewer.close()
    if np.array_equal(*seen):
        raise SystemExit("the labels did not change from one update to the next")


if __name__ == "__main__":
    main()
