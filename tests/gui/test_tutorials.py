"""The clicks of each tutorial, by its own images, and what the window must show after them."""

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import scipy.ndimage as ndi
from napari.layers import Labels
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog
from skimage.measure import regionprops

from napari_unsupseg import sample_images
from napari_unsupseg.plugin.session import View

from ..conftest import SMALL
from .conftest import WAIT, choose, click, labels_of, on_canvas, seen, wait_until_ready

SIZE = 1280, 800
THEMES = ("dark", "light")
ROUNDING = 6  # of 255, of a colour that is drawn over another
NEAR = 60  # of 255, a colour of a theme: the edges of letters are between two


class Tutorial:
    """A window of 1280 × 800 pixels with the panel, and the hands of a user."""

    def __init__(self, viewer, qtbot):
        self.viewer, self.qtbot = viewer, qtbot
        viewer.window.resize(*SIZE)
        _, self.panel = viewer.window.add_plugin_dock_widget("napari-unsupseg")

    def open_sample(self, key):
        [image] = self.viewer.open_sample("napari-unsupseg", key)
        return image

    def run(self):
        click(self.qtbot, self.panel.run_button)
        wait_until_ready(self.qtbot, self.panel)

    def find_objects(self, image) -> Labels:
        choose(self.qtbot, self.panel, View.OBJECTS)
        layer = self.viewer.layers[f"{image.name} objects"]
        self.qtbot.waitUntil(lambda: "score" in layer.features, timeout=WAIT)
        return layer

    def canvas(self, theme):
        """Return the canvas in a theme, in a window that has not grown."""
        self.viewer.theme = theme
        self.qtbot.wait(100)
        main = self.panel.native.window()
        assert (main.width(), main.height()) == SIZE
        return self.viewer.screenshot(flash=False)[..., :3].astype(float)

    def assert_seen(self, layer, places):
        """Check that places have the colours of their labels on the screen, in both themes."""
        assert len(places)
        corners = [on_canvas(self.viewer, layer, place) for place in places]
        ys, xs = np.array([(corner.y(), corner.x()) for corner in corners]).T
        labels = [label_at(layer, place) for place in places]
        colours = np.array([layer.get_color(label)[:3] for label in labels]) * 255
        for theme in THEMES:
            layer.visible = False
            below = self.canvas(theme)[ys, xs]
            layer.visible = True
            drawn = layer.opacity * colours + (1 - layer.opacity) * below
            np.testing.assert_allclose(self.canvas(theme)[ys, xs], drawn, atol=ROUNDING)
            self.assert_readable(theme)

    def assert_readable(self, theme):
        """Check that the status line is seen, in the colours of a theme."""
        text, background = (
            np.array(getattr(get_theme(theme), name).as_rgb_tuple()[:3])
            for name in ("text", "background")
        )
        pixels = seen(self.viewer, self.panel.status.native).reshape(-1, 3).astype(int)
        shares = [
            (np.abs(pixels - colour).max(axis=1) < NEAR).mean() for colour in (text, background)
        ]
        assert shares[0] > 0.005
        assert shares[1] > 0.5


@pytest.fixture
def tutorial(viewer, qtbot):
    return Tutorial(viewer, qtbot)


def label_at(layer, place):
    """Return the label of a pixel; of a layer of several sizes, as the one that is shown has it."""
    if layer.multiscale:
        step = 2**layer.data_level
        return int(layer.data[layer.data_level][tuple(np.array(place) // step)])
    return layer.data[tuple(place)]


def middles(labels):
    """Return a place in each object, as good as in its middle."""
    return [region.coords[len(region.coords) // 2] for region in regionprops(labels)]


def test_count_nuclei(viewer, qtbot, tutorial, tmp_path, monkeypatch):
    image = tutorial.open_sample("nuclei")
    tutorial.run()
    layer = tutorial.find_objects(image)
    drawn = sample_images.N_NUCLEI["nuclei"]
    assert tutorial.panel.status.value == f"{drawn} objects"
    tutorial.assert_seen(layer, middles(layer.data))
    _, table = viewer.window.add_plugin_dock_widget("napari", "Features table widget")
    path = tmp_path / "nuclei.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), ""))
    qtbot.mouseClick(table.save, Qt.MouseButton.LeftButton)
    saved = pd.read_csv(path)
    assert len(saved) == drawn
    pixel_area = sample_images.MICROMETRES**2
    assert saved["area_um2"].sum() == pytest.approx((layer.data > 0).sum() * pixel_area)


def test_separate_tissue(viewer, qtbot, tutorial):
    tutorial.open_sample("tissue")
    tutorial.run()
    results = tutorial.panel.results
    choose(qtbot, tutorial.panel, View.SEGMENTS)
    segments = viewer.layers["tissue segments"]
    n_segments = []
    for granularity in (0.2, 0.35, 0.7):
        results.granularity.value = granularity
        n_segments.append(segments.data.max())
    assert n_segments[0] > n_segments[1] > n_segments[2]
    tutorial.assert_seen(segments, middles(segments.data))
    choose(qtbot, tutorial.panel, View.CLUSTERS)
    clusters = viewer.layers["tissue segmentation"]
    ground = np.bincount(clusters.data.ravel()).argmax()
    was_ground = clusters.data == ground
    results.clusters.table.selectRow(int(ground) - 1)
    click(qtbot, results.clusters.background_button)
    assert not clusters.data[was_ground].any()
    y, x = np.argwhere(was_ground)[was_ground.sum() // 2]
    corner = on_canvas(viewer, clusters, (y, x))
    shown = tutorial.canvas("dark")[corner.y(), corner.x()]
    np.testing.assert_allclose(shown, viewer.layers["tissue"].data[y, x], atol=ROUNDING)


def test_cells_in_a_movie(viewer, tutorial):
    image = tutorial.open_sample("moving_nuclei")
    assert tutorial.panel.axes.value == "tyx"
    tutorial.run()
    layer = tutorial.find_objects(image)
    n_nuclei = sample_images.N_NUCLEI["moving_nuclei"]
    assert tutorial.panel.status.value == f"{n_nuclei} objects"
    for time in (0, len(layer.data) - 1):
        viewer.dims.set_current_step(0, time)
        places = [(time, *place) for place in middles(layer.data[time])]
        assert len(places) == n_nuclei
        tutorial.assert_seen(layer, places)


def test_a_volume(viewer, qtbot, tutorial):
    image = tutorial.open_sample("nuclei_volume")
    assert tutorial.panel.axes.value == "zyx"
    tutorial.panel.volumes.value = True
    tutorial.run()
    layer = tutorial.find_objects(image)
    n_nuclei = sample_images.N_NUCLEI["nuclei_volume"]
    assert tutorial.panel.status.value == f"{n_nuclei} objects"
    assert layer.features["volume_um3"].sum() == pytest.approx(
        (layer.data > 0).sum() * 2 * sample_images.MICROMETRES**3
    )
    middle = len(layer.data) // 2
    viewer.dims.set_current_step(0, middle)
    tutorial.assert_seen(layer, [(middle, *place) for place in middles(layer.data[middle])])
    image.visible = False
    viewer.dims.ndisplay = 3
    for theme in THEMES:
        assert (tutorial.canvas(theme).sum(axis=-1) > 0).mean() > 0.05  # what is behind is black


def test_a_slide(viewer, qtbot, tutorial, monkeypatch):
    monkeypatch.setattr("napari_unsupseg.image.tiling.LOADED_VALUES", 100_000)
    tile = np.pad(sample_images.tissue(), ((0, 256), (0, 256), (0, 0)), mode="symmetric")
    viewer.add_image(da.from_array(tile, chunks=(256, 256, 3)), name="slide", rgb=True)
    for name, value in SMALL.items():
        tutorial.panel.settings[name].value = value
    viewer.reset_view()
    tutorial.run()
    done = "all that is on the"
    qtbot.waitUntil(lambda: tutorial.panel.status.value.startswith(done), timeout=WAIT)
    labels = labels_of(viewer)
    assert labels.multiscale
    step, shown = 2**labels.data_level, np.asarray(labels.data[labels.data_level])
    assert shown.all()
    highest, lowest = (
        find(shown, 9, mode="constant") for find in (ndi.maximum_filter, ndi.minimum_filter)
    )
    inner = np.argwhere(highest == lowest) * step  # away from borders, whose pixels are cut
    tutorial.assert_seen(labels, inner[:: len(inner) // 20])


def test_correct_with_strokes(viewer, qtbot, tutorial):
    image = tutorial.open_sample("tissue")
    tutorial.run()
    panel, labels = tutorial.panel, viewer.layers["tissue segmentation"]
    assert len(np.unique(labels.data)) > 2
    click(qtbot, panel.strokes_button)
    strokes = viewer.layers["tissue strokes"]
    for kind, begin, end in (
        (0, (92, 57), (116, 61)),
        (0, (163, 81), (181, 99)),
        (1, (28, 25), (55, 100)),
        (1, (120, 190), (210, 225)),
    ):
        panel.marks.kinds.setCurrentRow(kind)
        for place in np.linspace(begin, end, 60):
            strokes.paint(tuple(place), strokes.selected_label)
    qtbot.waitUntil(lambda: set(np.unique(labels.data)) == {1, 2}, timeout=WAIT)
    assert 0.01 < (labels.data == 1).mean() < 0.2  # dark nuclei, and not all of the image
    objects = tutorial.find_objects(image)
    assert panel.results.objects_section.foreground.value == "strokes"
    dabbed = (104, 172), (59, 90)
    qtbot.waitUntil(lambda: bool(objects.data[dabbed].all()), timeout=WAIT)
    assert not objects.data[165, 207]
    strokes.visible = False
    tutorial.assert_seen(objects, [(104, 59), (172, 90)])
