"""Pictures of the tutorials, made by the clicks that these name."""

from pathlib import Path

import numpy as np
from imageio.v3 import imread
from napari.layers import Labels

from napari_unsupseg.plugin.session import View

from .tasks import ANGLES, draw_strokes
from .window import Window, side_by_side, write_picture

__all__ = ["make_real_nuclei", "make_tutorials"]

TABLE_HEIGHT = 170  # pixels
COARSE = 0.35
TIMES = (0, 2, 5)
STROKES = (  # label, begin and end: two nuclei, the ground
    (1, (92, 57), (116, 61)),
    (1, (163, 81), (181, 99)),
    (2, (28, 25), (55, 100)),
    (2, (120, 190), (210, 225)),
)


def make_tutorials(out: Path) -> None:
    """Make the pictures of samples."""
    _count_nuclei(out)
    _separate_tissue(out)
    _follow_cells(out)
    _show_volume(out)
    _correct_with_strokes(out)


def make_real_nuclei(out: Path, data: Path) -> None:
    """Find nuclei in a real micrograph, and show it without and with them."""
    micrograph = imread(data / "nuclei.png")
    with Window(micrograph[..., 0] if micrograph.ndim == 3 else micrograph, "nuclei") as window:
        before = window.canvas()
        window.run()
        _find_objects(window)
        write_picture(out / "tutorial_nuclei_real.png", side_by_side([before, window.canvas()]))


def _find_objects(window: Window) -> Labels:
    """Press *Objects*, and return their layer, once it has its table."""
    window.choose(View.OBJECTS)
    layers, name = window.viewer.layers, f"{window.image.name} objects"
    window.wait_until(lambda: name in layers and "score" in layers[name].features)
    return layers[name]


def _count_nuclei(out: Path) -> None:
    with Window.of_sample("nuclei") as window:
        write_picture(out / "tutorial_nuclei_open.png", window.picture())
        window.run()
        _find_objects(window)
        dock, _ = window.viewer.window.add_plugin_dock_widget("napari", "Features table widget")
        window.place_below(dock, TABLE_HEIGHT)
        window.viewer.reset_view()
        write_picture(out / "tutorial_nuclei_objects.png", window.picture())


def _separate_tissue(out: Path) -> None:
    with Window.of_sample("tissue") as window:
        window.run()
        results = window.panel.results
        window.choose(View.SEGMENTS)
        results.granularity.value = COARSE
        write_picture(out / "tutorial_tissue_segments.png", window.picture())
        window.choose(View.CLUSTERS)
        table = results.clusters.table
        ground, gland = np.argsort(np.bincount(window.labels.data.ravel())[1:])[:-3:-1]
        table.selectRow(int(ground))
        results.clusters.background_button.native.click()
        window.rest()
        line = int(gland) - int(ground < gland)  # the ground has no line any more
        table.item(line, 2).setText("gland")
        table.scrollToItem(table.item(line, 2))
        write_picture(out / "tutorial_tissue_clusters.png", window.picture())


def _follow_cells(out: Path) -> None:
    with Window.of_sample("moving_nuclei") as window:
        window.run()
        _find_objects(window)
        canvases = []
        for time in TIMES:
            window.viewer.dims.set_current_step(0, time)
            canvases.append(window.canvas(3))
        write_picture(out / "tutorial_movie.png", side_by_side(canvases))


def _show_volume(out: Path) -> None:
    with Window.of_sample("nuclei_volume") as window:
        window.panel.volumes.value = True
        window.run()
        _find_objects(window)
        window.image.visible = False
        window.viewer.dims.ndisplay = 3
        window.rest()
        window.viewer.camera.angles = ANGLES
        window.viewer.reset_view()
        write_picture(out / "tutorial_volume.png", window.picture())


def _correct_with_strokes(out: Path) -> None:
    with Window.of_sample("tissue") as window:
        window.run()
        draw_strokes(window, STROKES)
        window.wait_until(lambda: "by your strokes" in window.panel.status.value)
        write_picture(out / "tutorial_strokes.png", window.picture())
        _find_objects(window)  # of strokes, as there are some
        write_picture(out / "tutorial_strokes_followed.png", window.picture())
