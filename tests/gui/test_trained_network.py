import numpy as np
import pytest
import tifffile
from imageio.v3 import imwrite
from napari.layers import Labels
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_unsupseg import Segmenter, Settings

from ..conftest import SMALL
from .conftest import MOMENT, WAIT, click, wait_until_ready


@pytest.fixture
def network(rgb, tmp_path):
    """Return the file of a trained network."""
    path = tmp_path / "network.unsupseg"
    Segmenter(Settings.from_dict(SMALL)).fit(rgb).save(path)
    return path


def test_a_network_is_saved_loaded_and_applied(viewer, panel, qtbot, rgb, chosen):
    viewer.add_image(rgb, name="tissue")
    click(qtbot, panel.folds["Trained network"].heading)
    assert not panel.network.save_button.enabled
    assert not panel.network.apply_button.enabled
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    click(qtbot, panel.network.save_button)
    assert not panel.run_button.enabled
    qtbot.waitUntil(lambda: panel.status.value == "tissue.unsupseg is saved", timeout=WAIT)
    expected = Segmenter.load(chosen)
    other = viewer.add_image(rgb[::-1, ::-1], name="other", scale=(2, 2))
    panel.image.value = other
    for source in ("run", "file"):
        if source == "file":
            click(qtbot, panel.network.load_button)
            qtbot.waitUntil(lambda: panel.network.about.value == chosen.name, timeout=WAIT)
        n_layers = len(viewer.layers)
        click(qtbot, panel.network.apply_button)
        qtbot.waitUntil(lambda n=n_layers: len(viewer.layers) == n + 1, timeout=WAIT)
        labels = viewer.layers[-1]
        assert labels.name.startswith("other segmentation")
        np.testing.assert_array_equal(labels.data, expected.predict(other.data))
        np.testing.assert_array_equal(labels.scale, other.scale)


def test_errors_are_told(viewer, panel, qtbot, rgb, chosen, notes):
    chosen.write_bytes(b"no network")
    click(qtbot, panel.folds["Trained network"].heading)
    click(qtbot, panel.network.load_button)
    qtbot.waitUntil(lambda: "is no network" in panel.status.value, timeout=WAIT)
    assert "is no network" in notes[-1].message
    assert panel.network.load_button.enabled


def test_a_network_needs_the_channels_it_was_trained_on(viewer, panel, qtbot, grey, network):
    viewer.add_image(grey)
    panel.load_network(network)
    qtbot.waitUntil(lambda: panel.network.apply_button.enabled, timeout=WAIT)
    click(qtbot, panel.network.apply_button)
    qtbot.waitUntil(lambda: "image has 1 channel and" in panel.status.value, timeout=WAIT)
    assert len(viewer.layers) == 1


def test_a_network_is_applied_to_files(panel, qtbot, rgb, network, tmp_path, monkeypatch, notes):
    files, folder = [tmp_path / name for name in ("a.png", "b.tif", "c.png")], tmp_path / "out"
    imwrite(files[0], rgb)
    imwrite(files[1], rgb[::-1])
    files[2].write_text("no image")
    chosen = files[:2]
    monkeypatch.setattr(
        QFileDialog, "getOpenFileNames", lambda *_, **__: ([str(path) for path in chosen], "")
    )
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, **__: str(folder))
    panel.load_network(network)
    qtbot.waitUntil(lambda: panel.network.files_button.enabled, timeout=WAIT)
    click(qtbot, panel.network.files_button)
    qtbot.waitUntil(lambda: panel.status.value == f"labelled 2 files, in {folder}", timeout=WAIT)
    expected = Segmenter.load(network)
    for name, image in (("a_labels.tif", rgb), ("b_labels.tif", rgb[::-1])):
        np.testing.assert_array_equal(tifffile.imread(folder / name), expected.predict(image))
    chosen.append(files[2])
    click(qtbot, panel.network.files_button)
    qtbot.waitUntil(lambda: panel.status.value.endswith("labelled 2 files"), timeout=WAIT)
    assert panel.status.value.startswith(f"{files[2]}: ")
    assert notes[-1].message == panel.status.value
    chosen[:] = [files[0], tmp_path / "a.tif"]
    click(qtbot, panel.network.files_button)
    qtbot.waitUntil(lambda: "two of the images would have it" in notes[-1].message, timeout=WAIT)


@pytest.fixture
def movie(viewer, panel, qtbot, rgb, network):
    """Return a layer of many frames that a network is about to be applied to."""
    layer = viewer.add_image(np.tile(rgb, (400, 1, 1, 1)), name="movie")
    panel.load_network(network)
    qtbot.waitUntil(lambda: panel.network.apply_button.enabled, timeout=WAIT)
    return layer


def test_applying_shows_how_far_it_is_and_can_be_stopped(viewer, panel, qtbot, movie, slowly):
    shares = []
    panel.progress.changed.connect(shares.append)
    click(qtbot, panel.network.apply_button)
    qtbot.waitUntil(lambda: panel.progress.value > 2, timeout=WAIT)
    assert panel.progress.native.isVisible()
    assert not panel.run_button.enabled
    click(qtbot, panel.stop_button)
    wait_until_ready(qtbot, panel)
    assert len(slowly) < len(movie.data)
    assert panel.status.value == "stopped: no layer was added"
    assert list(viewer.layers) == [movie]
    assert not panel.progress.native.isVisible()
    assert not panel.stop_button.enabled
    assert shares == sorted(shares)
    slowly.clear()
    movie.data = movie.data[:30]
    click(qtbot, panel.network.apply_button)
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=WAIT)
    assert len(slowly) == 30
    assert viewer.layers[1].data.all()


def remove(viewer, movie):
    viewer.layers.remove(movie)


def shorten(viewer, movie):
    movie.data = movie.data[:3, :30]


def flatten(viewer, movie):
    movie.data = movie.data[0]


@pytest.mark.parametrize("change", [remove, shorten, flatten])
def test_an_image_that_is_gone_has_no_labels(viewer, panel, qtbot, movie, slowly, change):
    n_frames = len(movie.data)
    click(qtbot, panel.network.apply_button)
    qtbot.waitUntil(lambda: panel.progress.value > 2, timeout=WAIT)
    change(viewer, movie)
    qtbot.waitUntil(lambda: panel.network.load_button.enabled, timeout=WAIT)
    assert panel.status.value == (
        "movie was removed or given other data meanwhile: no layer was added"
    )
    assert len(slowly) < n_frames
    assert all(layer is movie for layer in viewer.layers)
    assert not panel.progress.native.isVisible()


def test_closing_the_viewer_ends_what_a_network_is_applied_to(viewer, panel, qtbot, movie, slowly):
    click(qtbot, panel.network.apply_button)
    qtbot.waitUntil(lambda: panel.progress.value > 2, timeout=WAIT)
    viewer.close()
    n_labelled = len(slowly)
    qtbot.wait(int(10 * MOMENT * 1000))
    assert len(slowly) <= n_labelled + 1


def test_files_labelled_before_a_stop_stay(panel, qtbot, rgb, network, tmp_path, slowly):
    images = [tmp_path / f"{index}.png" for index in range(60)]
    for path in images:
        imwrite(path, rgb)
    panel.load_network(network)
    qtbot.waitUntil(lambda: panel.network.files_button.enabled, timeout=WAIT)
    panel.network.apply_to_files(images, tmp_path / "out")
    qtbot.waitUntil(lambda: panel.progress.value > 2, timeout=WAIT)
    click(qtbot, panel.stop_button)
    qtbot.waitUntil(lambda: panel.network.files_button.enabled, timeout=WAIT)
    n_labelled = len(list((tmp_path / "out").glob("*_labels.tif")))
    assert 0 < n_labelled < len(images)
    assert f"stopped after {n_labelled} of 60: " in panel.status.value


def drop(widget, path):
    """Drop a file on a widget."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    how = (Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton)
    no_key = Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(widget, QDragEnterEvent(QPoint(20, 20), *how, no_key))
    QApplication.sendEvent(widget, QDropEvent(QPointF(20, 20), *how, no_key))


def test_a_network_dropped_on_the_window_opens_the_panel(viewer, qtbot, rgb, network):
    viewer.add_image(rgb)
    canvases = (w for w in QApplication.allWidgets() if type(w).__name__ == "QtViewer")
    [canvas] = [widget for widget in canvases if widget.isVisible()]
    drop(canvas, network)
    qtbot.waitUntil(lambda: len(viewer.window.dock_widgets) == 1, timeout=10_000)
    [panel] = viewer.window.dock_widgets.values()
    qtbot.waitUntil(lambda: panel.network.about.value == "network.unsupseg", timeout=WAIT)
    assert panel.network.apply_button.native.isVisible()
    click(qtbot, panel.network.apply_button)
    qtbot.waitUntil(lambda: isinstance(viewer.layers[-1], Labels), timeout=WAIT)
    np.testing.assert_array_equal(viewer.layers[-1].data, Segmenter.load(network).predict(rgb))
