"""The animation at the head of the README: a run from Run to segments, in one window."""

from pathlib import Path

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QSlider

from napari_unsupseg.sample_images import tissue

from .window import Rgb, Window, quantised

__all__ = ["make_animation"]

SIZE = (1100, 510)
WIDTH = 940  # pixels of the animation
COLOURS = 192
SAMPLED = 6  # every so many frames decide the palette
EVERY = 2  # iterations from one frame to the next
GAP = 8  # pixels of the image between it and its copy
LEVELS = np.linspace(0.2, 0.6, 16)
LIVE, HELD, CUT = 140, 1500, 180  # milliseconds of a frame
ARROW = [(0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12)]


def make_animation(out: Path) -> None:
    """Press Run, let labels settle beside the image, then move the granularity slider."""
    picture = tissue()
    with Window(picture, "tissue", SIZE, rgb=True) as window:
        frames, durations = _film(window, picture)
    palette = quantised(Picture.fromarray(np.vstack(frames[::SAMPLED])), COLOURS)
    small = [
        Picture.fromarray(frame).quantize(palette=palette, dither=Picture.Dither.NONE)
        for frame in frames
    ]
    path = out / "live.gif"
    first, *others = small
    first.save(path, save_all=True, append_images=others, duration=durations, loop=0, optimize=True)
    print(f"{path}: {len(frames)} frames, {path.stat().st_size // 1000} kB")  # noqa: T201


def _film(window: Window, picture: Rgb) -> tuple[list[Rgb], list[int]]:
    """Return the frames, and how long each is to be seen."""
    viewer, panel = window.viewer, window.panel
    window.hide_other_docks()
    beside = picture.shape[1] + GAP
    viewer.add_image(picture, name="beside", rgb=True, translate=(0, -beside))
    panel.image.value = window.image
    window.rest()
    viewer.reset_view()
    frames, durations = [], []

    def shoot(duration: int, pointer: QPoint) -> None:
        frames.append(_shrunk(_pointed(window.picture(), pointer)))
        durations.append(duration)

    panel.update_every.value = EVERY
    on_run = window.place_of(panel.run_button.native).center()
    shoot(HELD, on_run)
    panel.run_button.native.click()
    seen = window.labels.data
    while not panel.run_button.enabled:
        window.rest(1)
        if window.labels.data is not seen:
            seen = window.labels.data
            shoot(LIVE, on_run)
    shoot(HELD, on_run)
    window.labels.visible = False
    slider = panel.results.granularity
    groove = slider.native.findChild(QSlider)
    for level in LEVELS:
        slider.value = level
        place = window.place_of(groove)
        shoot(CUT, QPoint(place.left() + int(level * place.width()), place.center().y()))
    durations[-1] = 2 * HELD
    return frames, durations


def _pointed(picture: Rgb, place: QPoint) -> Rgb:
    """Draw the mouse's pointer, which no screenshot has."""
    drawn = Picture.fromarray(picture)
    arrow = [(place.x() + x, place.y() + y) for x, y in ARROW]
    ImageDraw.Draw(drawn).polygon(arrow, fill="white", outline="black")
    return np.asarray(drawn)


def _shrunk(picture: Rgb) -> Rgb:
    height = round(len(picture) * WIDTH / picture.shape[1])
    return np.asarray(
        Picture.fromarray(picture).resize((WIDTH, height), Picture.Resampling.LANCZOS)
    )
