"""A picture a step of the first two minutes."""

from pathlib import Path

import numpy as np

from napari_unsupseg.plugin.session import View
from napari_unsupseg.sample_images import tissue

from .window import Window, write_picture

__all__ = ["make_first_steps"]

LIVE = 12  # iteration at which the run is photographed
LEVEL = 0.35
NAMES = ("ground", "gland")  # of the largest clusters


def make_first_steps(out: Path) -> None:
    """Open, run, look at segments, name clusters, each in one window."""
    with Window(tissue(), "tissue", rgb=True) as window:
        results = window.panel.results
        write_picture(out / "first_open.png", window.picture())
        window.run_until(LIVE)
        window.panel.pause_button.native.click()
        window.wait_until(lambda: "paused" in window.panel.status.value)
        write_picture(out / "first_run.png", window.picture())
        window.panel.pause_button.native.click()
        window.wait_until_ended()
        write_picture(out / "first_end.png", window.picture())
        window.choose(View.SEGMENTS)
        results.granularity.value = LEVEL
        write_picture(out / "first_granularity.png", window.picture())
        window.choose(View.CLUSTERS)
        areas = np.bincount(window.labels.data.ravel())[1:]
        for line, name in zip(areas.argsort()[::-1], NAMES, strict=False):
            results.clusters.table.item(int(line), 2).setText(name)
        write_picture(out / "first_clusters.png", window.picture())
