import dask.array as da
import numpy as np
import pytest
import zarr
from qtpy.QtWidgets import QApplication

from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.image.tiling import CROP, crop_slices
from napari_unsupseg.plugin.large.viewport_labels import BLOCK_SIDE, MAX_BLOCK_SIDE
from napari_unsupseg.plugin.training_region import RECTANGLE

from ..batch.test_chunked_pipeline import write_ome
from ..conftest import SMALL
from ..plugin.test_training_region import rectangle
from .conftest import WAIT, click, labels_of, wait_until_ready

SIDE = 420


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Have small images taken for large ones, and crops small."""
    monkeypatch.setattr("napari_unsupseg.image.tiling.LOADED_VALUES", 100_000)
    monkeypatch.setattr("napari_unsupseg.image.tiling.CROPS_PIXELS", 60 * 70 * 4)
    monkeypatch.setitem(CROP, 2, (60, 70))
    monkeypatch.setitem(BLOCK_SIDE, 2, 64)
    monkeypatch.setitem(MAX_BLOCK_SIDE, 2, 128)
    monkeypatch.setattr("napari_unsupseg.plugin.large.pyramid.MAX_COARSEST_SIDE", 128)
    monkeypatch.setattr("napari_unsupseg.plugin.large.pyramid.CHUNK_SIDE", 64)


@pytest.fixture
def pixels(rgb):
    """Return stained tissue again and again, shape (420, 420, 3)."""
    return np.tile(rgb, (7, 6, 1))[:SIDE, :SIDE]


def expected_of(image, axes="yxs", **how):
    """Return the labels that the library finds in a large image."""
    segmenter = Segmenter(Settings.from_dict(SMALL))
    for _ in segmenter.steps(image, axes=axes, **how):
        pass
    return segmenter.predict(image, axes=axes).compute(scheduler="sync")


def wait_until_labelled(qtbot, panel):
    qtbot.waitUntil(lambda: panel.status.value.startswith("all that is on the"), timeout=WAIT)


def at_pixel(labels, level, expected):
    """Return the labels of a level beside those of the whole."""
    step = 2**level
    return np.asarray(labels.data[level]), expected[..., ::step, ::step]


@pytest.mark.parametrize("kind", ["zarr", "multiscale"])
def test_labels_are_made_where_they_are_looked_at(viewer, panel, qtbot, pixels, kind):
    slide = da.from_array(pixels, chunks=(110, 90, 3))
    stored = zarr.create_array({}, data=pixels, chunks=(110, 90, 3))
    data = stored if kind == "zarr" else [slide, slide[::2, ::2]]
    viewer.add_image(data, rgb=True, name="slide", scale=(2, 2), multiscale=kind == "multiscale")
    camera = getattr(viewer, "scene", viewer).camera  # napari before 0.9 has no scene
    camera.zoom = 0.1
    click(qtbot, panel.run_button)
    labels = labels_of(viewer)
    assert labels.multiscale
    np.testing.assert_array_equal(labels.extent.world, viewer.layers["slide"].extent.world)
    wait_until_ready(qtbot, panel)
    assert "clusters after 8 iterations" in panel.status.value
    assert not panel.results.granularity.enabled
    assert not panel.results.history.enabled
    assert labels.metadata["napari-unsupseg"]["iterations"] == 8
    wait_until_labelled(qtbot, panel)
    expected = expected_of(slide)
    level = labels.data_level
    assert level > 0
    found, wanted = at_pixel(labels, level, expected)
    np.testing.assert_array_equal(found, wanted)
    assert not np.asarray(labels.data[0]).any(), "nobody has looked at full size"
    camera.center, camera.zoom = (0, 2 * 310, 2 * 110), 4
    qtbot.waitUntil(lambda: labels.data_level == 0, timeout=WAIT)
    corners = labels.corner_pixels[:, -2:]
    seen = tuple(slice(low, high + 1) for low, high in corners.T)
    qtbot.waitUntil(lambda: np.asarray(labels.data[0][seen]).all(), timeout=WAIT)
    wait_until_labelled(qtbot, panel)
    np.testing.assert_array_equal(labels.data[0][seen], expected[seen])
    assert not np.asarray(labels.data[0][:64, -64:]).any()


def test_crops_are_seen_to_change_where_they_lie(viewer, panel, qtbot, pixels):
    slide = da.from_array(pixels, chunks=(110, 90, 3))
    viewer.add_image(slide, rgb=True)
    panel.settings["iterations"].value = 10_000
    click(qtbot, panel.run_button)
    labels = labels_of(viewer)
    qtbot.waitUntil(lambda: "iteration" in panel.status.value, timeout=WAIT)
    click(qtbot, panel.pause_button)
    qtbot.waitUntil(lambda: "paused" in panel.status.value, timeout=WAIT)
    found = np.asarray(labels.data[0]) > 0
    expected = np.zeros(found.shape, bool)
    for place in crop_slices(found.shape, 2, 0):
        expected[place] = True
    np.testing.assert_array_equal(found, expected)
    click(qtbot, panel.stop_button)
    wait_until_ready(qtbot, panel)
    assert labels in viewer.layers


def test_a_run_goes_on_and_over_in_its_layer(viewer, panel, qtbot, pixels):
    slide = da.from_array(pixels, chunks=(110, 90, 3))
    viewer.add_image(slide, rgb=True)
    for button in (panel.run_button, panel.continue_button, panel.start_over_button):
        click(qtbot, button)
        wait_until_ready(qtbot, panel)
        wait_until_labelled(qtbot, panel)
    labels = labels_of(viewer)
    found, wanted = at_pixel(labels, labels.data_level, expected_of(slide))
    np.testing.assert_array_equal(found, wanted)
    viewer.layers.remove(labels)
    click(qtbot, panel.continue_button)
    wait_until_ready(qtbot, panel)
    assert labels_of(viewer) is not labels


def test_a_movie_of_channels_is_labelled_plane_by_plane(viewer, panel, qtbot, pixels):
    movie = np.stack([pixels[..., 0], pixels[::-1, ..., 0], pixels[..., 1]])
    movie = da.from_array(np.stack([movie, movie[::-1]], axis=1), chunks=(1, 1, 110, 90))
    viewer.add_image(movie, name="movie")
    panel.axes.value = "zcyx"
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    wait_until_labelled(qtbot, panel)
    labels = labels_of(viewer)
    assert labels.data.shape == movie.shape
    expected = expected_of(movie, "zcyx")
    level = labels.data_level
    for plane in (viewer.dims.current_step[0], 2):
        viewer.dims.set_current_step(0, plane)
        wanted = expected[plane, :: 2**level, :: 2**level]
        for channel in range(2):
            qtbot.waitUntil(
                lambda at=(plane, channel), wanted=wanted: np.array_equal(
                    labels.data[level][at], wanted
                ),
                timeout=WAIT,
            )
    assert not labels.data[level][0].any()


def test_a_rectangle_of_a_slide_is_trained_on(viewer, panel, qtbot, pixels):
    slide = da.from_array(pixels, chunks=(110, 90, 3))
    viewer.add_image(slide, rgb=True)
    region = (slice(100, 200), slice(300, 420))
    viewer.add_shapes([rectangle(region)])
    panel.region.value = RECTANGLE
    click(qtbot, panel.run_button)
    labels = labels_of(viewer)
    qtbot.waitUntil(lambda: labels.data[0][region].any(), timeout=WAIT)
    wait_until_ready(qtbot, panel)
    wait_until_labelled(qtbot, panel)
    segmenter = Segmenter(Settings.from_dict(SMALL)).fit(pixels[region])
    expected = segmenter.predict(slide).compute(scheduler="sync")
    found, wanted = at_pixel(labels, labels.data_level, expected)
    np.testing.assert_array_equal(found, wanted)
    assert labels.metadata["napari-unsupseg"]["region"] == {"y": [100, 200], "x": [300, 420]}


def test_a_slide_as_python(viewer, panel, qtbot, pixels, monkeypatch):
    slide = da.from_array(pixels, chunks=(110, 90, 3))
    viewer.add_image([slide, slide[::2, ::2]], rgb=True, multiscale=True)
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    wait_until_labelled(qtbot, panel)
    click(qtbot, panel.results.copy_button)
    made = {}
    exec(QApplication.clipboard().text(), made)  # it takes the image from this window
    labels = labels_of(viewer)
    level = labels.data_level
    expected = made["labels"][:: 2**level, :: 2**level].compute(scheduler="sync")
    assert expected.tobytes() == np.asarray(labels.data[level]).tobytes()


def test_a_network_is_applied_to_an_ome_zarr(viewer, panel, qtbot, pixels, tmp_path):
    segmenter = Segmenter(Settings.from_dict(SMALL)).fit(pixels[:100, :100, 0])
    segmenter.save(tmp_path / "grey.unsupseg")
    path = write_ome(tmp_path / "slide.ome.zarr", pixels[..., 0])
    [image] = viewer.open(path, plugin="napari")
    panel.load_network(tmp_path / "grey.unsupseg")
    qtbot.waitUntil(lambda: panel.network.apply_button.enabled, timeout=WAIT)
    click(qtbot, panel.network.apply_button)
    wait_until_labelled(qtbot, panel)
    labels = labels_of(viewer)
    expected = segmenter.predict(image.data[0]).compute(scheduler="sync")
    found, wanted = at_pixel(labels, labels.data_level, expected)
    np.testing.assert_array_equal(found, wanted)


def test_what_needs_the_whole_is_refused(viewer, panel, qtbot, pixels, notes):
    viewer.add_image(da.from_array(pixels), rgb=True, name="slide")
    click(qtbot, panel.strokes_button)
    assert "slide is too large to be loaded, which strokes would need" in notes[-1].message
    panel.settings["min_size"].value = 5
    click(qtbot, panel.run_button)
    assert "which min size would need" in notes[-1].message
    assert len(viewer.layers) == 1
    assert panel.run_button.enabled
