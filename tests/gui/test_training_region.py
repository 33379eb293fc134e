import numpy as np
import pytest
import tifffile
from imageio.v3 import imwrite

from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.plugin.training_region import RECTANGLE, SCREEN, WHOLE, find_region

from ..conftest import SMALL
from ..plugin.test_training_region import HALF, rectangle
from .conftest import WAIT, click, wait_until_ready
from .test_script import run_copied


def look_at(viewer, qtbot, centre, zoom):
    """Look at a point so near that the canvas has a side of this many units of the world."""
    camera = getattr(viewer, "scene", viewer).camera  # napari before 0.9 has no scene
    camera.center = centre
    camera.zoom = zoom
    qtbot.wait(200)  # until napari has drawn it


@pytest.mark.parametrize(("multiscale", "scale"), [(False, 0.5), (True, 2)])
def test_what_is_on_the_screen(viewer, qtbot, multiscale, scale):
    if multiscale and not hasattr(viewer, "canvas"):
        pytest.skip("this napari does not say what it shows of a multiscale image")
    pixels = np.zeros((4000, 4000), np.uint8)
    data = [pixels, pixels[::2, ::2], pixels[::4, ::4]] if multiscale else pixels
    image = viewer.add_image(
        data, multiscale=multiscale, scale=(scale, scale), contrast_limits=(0, 1)
    )
    qtbot.wait(100)
    assert find_region(viewer, image, "yx", WHOLE) is None
    assert find_region(viewer, image, "yx", SCREEN) is None, "all of it is shown"
    for zoom in (4, 2):
        look_at(viewer, qtbot, (0, 1000 * scale, 1500 * scale), zoom / scale)
        region = find_region(viewer, image, "yx", SCREEN)
        canvas = viewer.screenshot(flash=False).shape[:2]
        for along, centre, length in zip(region, (1000, 1500), canvas, strict=True):
            assert (along.start + along.stop - 1) / 2 == pytest.approx(centre, abs=1)
            assert along.stop - along.start == pytest.approx(length / zoom, abs=3)


@pytest.fixture
def tissue(viewer, panel, rgb):
    """Return an image of which a rectangle is to be trained on."""
    image = viewer.add_image(np.tile(rgb, (2, 2, 1)), name="tissue", scale=(2, 2))
    viewer.add_shapes([rectangle(HALF)], scale=(2, 2))
    panel.region.value = RECTANGLE
    panel.image.value = image
    return image


def test_a_run_on_a_rectangle_is_found_in_all(viewer, panel, qtbot, tissue):
    pictures, sentences = [], []
    panel.progress.changed.connect(lambda _: sentences.append(panel.status.value))
    click(qtbot, panel.run_button)
    labels = viewer.layers["tissue segmentation"]
    labels.events.data.connect(lambda: pictures.append(labels.data))
    wait_until_ready(qtbot, panel)
    assert "finding the clusters in all of tissue…" in sentences
    segmenter = Segmenter(Settings.from_dict(SMALL))
    *_, last = segmenter.steps(tissue.data[HALF])
    expected = segmenter.predict(tissue.data)
    np.testing.assert_array_equal(labels.data, expected)
    *live, trained, _ = pictures
    np.testing.assert_array_equal(trained[HALF], last.labels)
    for picture in live:
        assert picture[HALF].all(), "shown where it lies"
        outside = picture.copy()
        outside[HALF] = 0
        assert not outside.any()
    record = labels.metadata["napari-unsupseg"]
    assert record["region"] == {"y": [8, 56], "x": [20, 76]}
    assert record["clusters"] == len(np.unique(expected))
    qtbot.waitUntil(lambda: len(labels.features) == record["clusters"], timeout=WAIT)
    panel.results.granularity.value = 0.4
    segments = viewer.layers["tissue segments"]
    np.testing.assert_array_equal(segments.data, segmenter.predict(tissue.data, granularity=0.4))
    panel.results.history.value = 0
    assert not viewer.layers["tissue segmentation"].data[60:].any()


def test_a_run_on_a_rectangle_as_python(viewer, panel, qtbot, tissue, rgb, tmp_path):
    imwrite(tmp_path / "tissue.png", tissue.data)
    [image] = viewer.open(tmp_path / "tissue.png", plugin="napari", scale=(2, 2))
    panel.image.value = image
    panel.settings["iterations"].value = 6
    for button in (panel.run_button, panel.continue_button):
        click(qtbot, button)
        wait_until_ready(qtbot, panel)
        labels = viewer.layers[f"{image.name} segmentation"]
        assert run_copied(qtbot, panel, tmp_path).tobytes() == labels.data.tobytes()
    panel.results.granularity.value = 0.3
    found = run_copied(qtbot, panel, tmp_path, "segments")
    segments = viewer.layers[f"{image.name} segments"]
    np.testing.assert_array_equal(found, segments.data)


def test_stop_leaves_the_labels_where_it_has_trained(viewer, panel, qtbot, rgb, tmp_path, slowly):
    movie = np.tile(rgb, (60, 1, 1, 1))
    tifffile.imwrite(tmp_path / "movie.tif", movie, photometric="rgb")
    viewer.open(tmp_path / "movie.tif", plugin="napari")
    viewer.add_shapes([rectangle(HALF)])
    panel.axes.value = "zyxs"
    panel.region.value = RECTANGLE
    panel.settings["iterations"].value = 10_000
    panel.settings["settle"].value = 0
    click(qtbot, panel.run_button)
    qtbot.waitUntil(lambda: panel.progress.value > 3, timeout=WAIT)
    click(qtbot, panel.stop_button)  # the training, which keeps its labels
    slowly.clear()
    qtbot.waitUntil(lambda: panel.status.value.startswith("finding the clusters"), timeout=WAIT)
    assert not panel.pause_button.enabled
    click(qtbot, panel.stop_button)
    assert panel.status.value == "stopping…"
    wait_until_ready(qtbot, panel)
    assert len(slowly) < 60
    assert panel.status.value.endswith(", found only where it has trained")
    labels = viewer.layers["movie segmentation"].data
    rows, columns = HALF
    assert labels[:, rows, columns].all()
    assert np.count_nonzero(labels) == labels[:, rows, columns].size
    assert run_copied(qtbot, panel, tmp_path).tobytes() == labels.tobytes()
    click(qtbot, panel.continue_button)
    qtbot.waitUntil(lambda: panel.progress.native.isVisible(), timeout=WAIT)
    click(qtbot, panel.stop_button)
    wait_until_ready(qtbot, panel)
    assert viewer.layers["movie segmentation"].data.all(), "found in all of it"
    assert panel.results.granularity.enabled


def test_strokes_in_the_rectangle(viewer, panel, qtbot, tissue):
    click(qtbot, panel.strokes_button)
    strokes = viewer.layers["tissue strokes"]
    strokes.brush_size = 1
    for column in range(25, 70):
        strokes.paint((10, column), 3)
        strokes.paint((50, column), 8)
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    labels = viewer.layers["tissue segmentation"].data
    for label in (3, 8):
        assert set(labels[strokes.data == label]) == {label}


def test_a_stack_is_trained_on_in_a_rectangle_of_all_planes(viewer, panel, qtbot, rgb):
    stack = np.stack([rgb[..., channel] for channel in range(3)])
    viewer.add_image(stack, name="stack")
    viewer.add_shapes([rectangle(HALF)])
    panel.axes.value = "zyx"
    panel.region.value = RECTANGLE
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    segmenter = Segmenter(Settings.from_dict(SMALL)).fit(stack[:, *HALF], axes="zyx")
    expected = segmenter.predict(stack, axes="zyx")
    np.testing.assert_array_equal(viewer.layers["stack segmentation"].data, expected)


def test_what_is_wrong_with_a_region_is_told(viewer, panel, qtbot, rgb, notes):
    viewer.add_image(rgb, name="tissue")
    panel.region.value = RECTANGLE
    click(qtbot, panel.run_button)
    assert "no rectangle is selected: draw one on tissue" in notes[-1].message
    assert len(viewer.layers) == 1
    assert panel.run_button.enabled


def test_start_over_does_not_wait_until_all_is_found(viewer, panel, qtbot, rgb, slowly):
    viewer.add_image(np.tile(rgb, (60, 1, 1, 1)), name="movie")
    viewer.add_shapes([rectangle(HALF)])
    panel.region.value = RECTANGLE
    panel.settings["iterations"].value = 10_000
    panel.settings["settle"].value = 0
    click(qtbot, panel.run_button)
    qtbot.waitUntil(lambda: panel.progress.value > 3, timeout=WAIT)
    slowly.clear()
    panel.region.value = WHOLE
    panel.settings["iterations"].value = 4
    click(qtbot, panel.start_over_button)
    wait_until_ready(qtbot, panel)
    assert not slowly
    assert viewer.layers["movie segmentation"].data.all()


def test_what_cannot_begin_ends_nothing(viewer, panel, qtbot, rgb, notes):
    viewer.add_image(rgb, name="tissue")
    panel.settings["iterations"].value = 10_000
    click(qtbot, panel.run_button)
    qtbot.waitUntil(lambda: panel.progress.value > 3, timeout=WAIT)
    panel.region.value = RECTANGLE
    click(qtbot, panel.start_over_button)
    assert "no rectangle is selected" in notes[-1].message
    assert panel.pause_button.enabled
    click(qtbot, panel.stop_button)
    wait_until_ready(qtbot, panel)
    assert panel.continue_button.enabled


def test_of_a_region_alone_no_uncertainty_is_known(viewer, panel, qtbot, tissue):
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    click(qtbot, panel.results.uncertainty_button)
    assert "train on all of the image" in panel.status.value
    assert "tissue uncertainty" not in viewer.layers
