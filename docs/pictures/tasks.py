"""Pictures of the tasks: objects, channels, a volume, a movie, a slide, strokes, a network."""

from collections.abc import Sequence
from pathlib import Path

import dask.array as da
import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from skimage.data import coins, immunohistochemistry

from napari_unsupseg.io.readers import open_image, read_image
from napari_unsupseg.plugin.session import View
from napari_unsupseg.sample_images import tissue

from .window import Window, side_by_side, write_picture

__all__ = [
    "ANGLES",
    "draw_strokes",
    "make_channels",
    "make_measurements",
    "make_movie",
    "make_network",
    "make_objects",
    "make_slide",
    "make_strokes",
    "make_volume",
]

BANANA = np.s_[:, 170:300, 40:300]  # there is nothing around it
ITERATIONS = 40  # of the volume, which is enough for it
PLANES = (0.3, 0.5, 0.7)  # of all slices
FRAMES = (0, 2, 4)
HIGHER = (1180, 780)  # of the window, for a widget of many rows
BESIDE = 264  # pixels from one image to the next
ANGLES = (-20, 35, 60)  # of the camera, for the volume
SLIDE_SIDE = 16_384  # pixels
CHUNK = 1024  # pixels, of the slide
NEARER = (8, 32)  # times as near as when all of the slide is seen
Stroke = tuple[int, tuple[float, float], tuple[float, float]]
STROKES: tuple[Stroke, ...] = (  # label, begin and end: ground, two nuclei, a gland
    (1, (28, 25), (55, 100)),
    (2, (92, 57), (116, 61)),
    (2, (163, 81), (181, 99)),
    (3, (120, 190), (210, 225)),
)


def make_objects(out: Path) -> None:
    """Count coins."""
    with Window(coins(), "coins") as window:
        window.run()
        window.choose(View.OBJECTS)
        window.wait_until(lambda: "coins objects" in window.viewer.layers)
        write_picture(out / "objects.png", window.picture())


def make_measurements(out: Path) -> None:
    """Colour coins by their area, and choose some by a line around their points."""
    with Window(coins(), "coins", size=HIGHER) as window:
        viewer = window.viewer
        window.run()
        window.choose(View.OBJECTS)
        window.wait_until(lambda: "coins objects" in viewer.layers)
        layer = viewer.layers["coins objects"]
        window.wait_until(lambda: "score" in layer.features)
        _, plots = viewer.window.add_plugin_dock_widget("napari-unsupseg", "Measurements")
        window.hide_other_docks(plots.native)
        window.wait_until(lambda: plots.colour.enabled)
        plots.colour.value = True
        points = layer.features[["area", "mean_intensity"]].to_numpy()
        angles = np.linspace(0, 2 * np.pi, 60)
        round_line = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        plots.choose_in(points.mean(axis=0) + round_line * points.std(axis=0))
        window.rest()
        viewer.reset_view()
        write_picture(out / "measurements.png", window.picture())


def make_channels(out: Path, data: Path) -> None:
    """Segment three channels as one image."""
    path = data / "hela_3channel_cyx.tif"
    with Window(read_image(path), "cells", axis_labels=tuple("cyx")) as window:
        with open_image(path) as source:
            window.panel.axes.value = source.axes or "cyx"
        window.run()
        write_picture(out / "channels.png", window.picture())


def make_volume(out: Path, data: Path) -> None:
    """Segment a stack as a volume, and show some slices of it, and all in 3D."""
    path = data / "banana_mri_zyx.tif"
    with Window(read_image(path)[BANANA], "banana", axis_labels=tuple("zyx")) as window:
        viewer, panel = window.viewer, window.panel
        panel.axes.value, panel.volumes.value = "zyx", True
        panel.settings["iterations"].value = ITERATIONS
        window.run()
        clusters = panel.results.clusters
        clusters.table.selectRow(int(np.bincount(window.labels.data.ravel())[1:].argmax()))
        clusters.background_button.native.click()
        canvases = []
        for share in PLANES:
            viewer.dims.set_current_step(0, int(share * viewer.dims.nsteps[0]))
            canvases.append(window.canvas_as_seen())
        window.image.visible = False
        viewer.dims.ndisplay = 3
        window.rest()
        viewer.camera.angles = ANGLES
        canvases.append(window.canvas_as_seen())
        quarter = min(map(len, canvases)) // 4  # in 3D there is no slider below
        middle = [canvas[quarter : 3 * quarter] for canvas in canvases]
        write_picture(out / "volume_planes.png", side_by_side(middle, 2))


def make_movie(out: Path, data: Path) -> None:
    """Segment a movie, and show frames of it above their labels."""
    path = data / "membrane_tyx.tif"
    with Window(read_image(path), "membranes", axis_labels=tuple("tyx")) as window:
        window.panel.axes.value = "tyx"
        window.run()
        canvases = []
        for is_labelled in (False, True):
            window.labels.visible = is_labelled
            for frame in FRAMES:
                window.viewer.dims.set_current_step(0, frame)
                canvases.append(window.canvas(1))
        write_picture(out / "movie.png", side_by_side(canvases, 2))


def make_slide(out: Path) -> None:
    """Label a slide that is larger than memory where it is looked at, nearer and nearer."""
    section = immunohistochemistry()
    height, width, _ = section.shape
    mirrored = np.pad(section, ((0, height), (0, width), (0, 0)), mode="symmetric")
    n_times = SLIDE_SIDE // len(mirrored)
    slide = da.tile(da.from_array(mirrored), (n_times, n_times, 1)).rechunk((CHUNK, CHUNK, 3))
    levels = [slide[:: 2**level, :: 2**level] for level in range(5)]
    with Window(levels, "slide", rgb=True, multiscale=True) as window:
        window.hide_other_docks()
        window.run()
        camera = window.viewer.scene.camera
        farthest = camera.zoom
        canvases = []
        for times in NEARER:
            camera.zoom = farthest * times
            window.rest()
            window.wait_until(lambda: _seen(window.labels).all())
            canvases.append(window.canvas_as_seen())
        write_picture(out / "slide.png", side_by_side(canvases))


def _seen(labels: Labels) -> NDArray[np.integer]:
    """Return the labels of a multiscale layer that are on the screen."""
    place = tuple(slice(low, high + 1) for low, high in labels.corner_pixels[:, -2:].T)
    return np.asarray(labels.data[labels.data_level][place])


def make_strokes(out: Path) -> None:
    """Draw strokes on an image, and have a run follow them."""
    with Window(tissue(), "tissue", rgb=True) as window:
        draw_strokes(window, STROKES)
        write_picture(out / "strokes.png", window.picture())
        before = window.canvas()
        window.run()
        write_picture(out / "strokes_followed.png", side_by_side([before, window.canvas()]))


def draw_strokes(window: Window, strokes: Sequence[Stroke]) -> None:
    """Press *Mark*, and draw lines."""
    window.panel.strokes_button.native.click()
    layer = window.viewer.layers[-1]
    for label, begin, end in strokes:
        for place in np.linspace(begin, end, 60):
            layer.paint(tuple(place), label)


def make_network(out: Path) -> None:
    """Apply the network of one part of a section to another."""
    other = immunohistochemistry()[:256, :256]
    with Window(tissue(), "first", rgb=True) as window:
        window.run()
        viewer, panel = window.viewer, window.panel
        second = viewer.add_image(other, name="second", rgb=True, translate=(0, BESIDE))
        panel.folds["Trained network"].unfold()
        panel.image.value = second
        panel.network.apply_button.native.click()
        window.wait_until(lambda: "second segmentation" in viewer.layers)
        viewer.reset_view()
        write_picture(out / "network.png", window.picture())
