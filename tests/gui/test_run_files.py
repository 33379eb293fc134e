"""A run that is saved, and opened in another window another day."""

import copy
import subprocess
import sys

import numpy as np
import pytest
from imageio.v3 import imwrite
from napari.layers import Labels

from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.plugin.session import View
from napari_unsupseg.plugin.training_region import RECTANGLE
from napari_unsupseg.plugin.widgets.cluster_table import NAME

from ..conftest import SMALL
from ..plugin.test_training_region import HALF, rectangle
from .conftest import WAIT, choose, click, wait_until_ready

SETTLING = SMALL | {"settle": 0.02, "final_clusters": 4}


@pytest.fixture
def run_of_script(rgb, tmp_path):
    """Return the file of a run that never was in a window."""
    path = tmp_path / "script.unsupseg"
    Segmenter(Settings.from_dict(SETTLING)).fit(rgb).save(path, run=True)
    return path


def run_to_end(qtbot, panel):
    """Run on the chosen image, until clusters of segments are there."""
    for name, value in SETTLING.items():
        panel.settings[name].value = value
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    assert panel.results.run is not None


def opened(viewer, qtbot, path):
    """Open a file as File → Open does, and return the panel that shows its run."""
    viewer.open(path, plugin="napari-unsupseg")
    qtbot.waitUntil(lambda: len(viewer.window.dock_widgets) == 1, timeout=WAIT)
    [panel] = viewer.window.dock_widgets.values()
    qtbot.waitUntil(lambda: panel.results.run is not None, timeout=WAIT)
    return panel


def seen_layers(viewer):
    """Return what the layers of a viewer show, by their names."""
    return {
        layer.name: {
            "data": layer.data.tolist(),
            "visible": layer.visible,
            "metadata": copy.deepcopy(layer.metadata),
            "scale": layer.scale.tolist(),
            "units": layer.units,
            "features": list(layer.features) if isinstance(layer, Labels) else None,
        }
        for layer in viewer.layers
    }


def test_a_run_is_gone_on_with_in_another_window(
    viewer, panel, qtbot, rgb, chosen, make_napari_viewer
):
    grey = rgb[..., 0].astype(np.uint16) * 5
    place = {"scale": (0.5, 0.25), "units": ("um", "um"), "contrast_limits": (10, 900)}
    image = viewer.add_image(grey, name="tissue", colormap="magenta", **place)
    click(qtbot, panel.folds["Saved runs"].heading)
    assert not panel.run_files.save_button.enabled
    click(qtbot, panel.strokes_button)
    viewer.layers["tissue strokes"].data[10:14, 5:30] = 1
    run_to_end(qtbot, panel)
    choose(qtbot, panel, View.SEGMENTS)
    panel.results.granularity.value = 0.3
    segments = viewer.layers["tissue segments"]
    segments.data[:20, :20] = 77
    segments.refresh()
    choose(qtbot, panel, View.OBJECTS)
    panel.results.objects_section.split.value = 0.9
    panel.results.objects_section.exclude_border.value = True
    qtbot.waitUntil(lambda: not panel.results._finder.is_searching, timeout=WAIT)
    choose(qtbot, panel, View.SEGMENTS)
    panel.results.clusters.table.item(0, NAME).setText("nuclei")
    click(qtbot, panel.run_files.save_button)
    qtbot.waitUntil(lambda: panel.status.value == "tissue.unsupseg is saved", timeout=WAIT)
    before, curve = seen_layers(viewer), panel.results.run.curve
    pictures = [panel.results.run.result.history.labels(i) for i in range(2)]
    viewer.close()

    viewer = make_napari_viewer(show=True)
    panel = opened(viewer, qtbot, chosen)

    def are_measured() -> bool:
        after = seen_layers(viewer)
        return all(after[name]["features"] == looks["features"] for name, looks in before.items())

    qtbot.waitUntil(are_measured, timeout=WAIT)
    after = seen_layers(viewer)
    assert set(after) == set(before)
    for name, looks in before.items():
        for what, expected in looks.items():
            assert after[name][what] == expected, (name, what)
    image = viewer.layers["tissue"]
    assert (image.colormap.name, list(image.contrast_limits)) == ("magenta", [10, 900])
    results, original = panel.results, Segmenter.load(chosen)
    assert panel.image.value is viewer.layers["tissue"]
    assert panel.settings["final_clusters"].value == 4
    assert results.layers.view is View.SEGMENTS
    assert results.granularity.value == 0.3
    assert (results.run.curve.iterations, results.run.curve.loss) == (curve.iterations, curve.loss)
    for index, picture in enumerate(pictures):
        np.testing.assert_array_equal(results.run.result.history.labels(index), picture)
    choose(qtbot, panel, View.OBJECTS)
    np.testing.assert_array_equal(
        viewer.layers["tissue objects"].data,
        original.hierarchy_.objects(split=0.9, exclude_border=True),
    )
    assert len(viewer.layers) == len(before), "the objects were there already"
    choose(qtbot, panel, View.SEGMENTS)
    results.granularity.value = 0.6
    cut = original.hierarchy_.cut(granularity=0.6)
    segments = viewer.layers["tissue segments"].data
    assert (segments[:20, :20] == 77).all(), "what was painted stays"
    np.testing.assert_array_equal(segments[20:], cut[20:])
    undo = results.segments_section.editing.corrections.undo_button
    qtbot.waitUntil(lambda: undo.native.height() > 0, timeout=WAIT)  # it has just come
    click(qtbot, undo)
    np.testing.assert_array_equal(viewer.layers["tissue segments"].data, cut)
    click(qtbot, panel.continue_button)
    wait_until_ready(qtbot, panel)
    *_, last = original.resume()
    np.testing.assert_array_equal(panel.results.run.labels.data, last.labels)
    assert panel.results.run.result.legs[0].ran_to_end
    assert len(panel.results.run.result.legs) == 2
    click(qtbot, panel.start_over_button)
    wait_until_ready(qtbot, panel)
    assert len(panel.results.run.result.legs) == 1


def test_a_run_saves_itself_when_napari_closes(
    viewer, panel, qtbot, rgb, tmp_path, make_napari_viewer
):
    imwrite(tmp_path / "a.png", rgb)
    (tmp_path / "a.unsupseg").write_text("of another day")
    panel.run_files.by_itself.value = True
    viewer.open(tmp_path / "a.png", plugin="napari")
    run_to_end(qtbot, panel)
    expected = panel.results.run.labels.data.copy()
    viewer.close()
    file = tmp_path / "a (2).unsupseg"
    qtbot.waitUntil(file.exists, timeout=WAIT)
    assert (tmp_path / "a.unsupseg").read_text() == "of another day"

    viewer = make_napari_viewer(show=True)
    panel = opened(viewer, qtbot, file)
    np.testing.assert_array_equal(panel.results.run.labels.data, expected)
    panel.run_files.by_itself.value = True
    choose(qtbot, panel, View.SEGMENTS)
    panel.results.granularity.value = 0.9
    before = file.read_bytes()
    viewer.close()
    qtbot.waitUntil(lambda: file.read_bytes() != before, timeout=WAIT)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a (2).unsupseg",
        "a.png",
        "a.unsupseg",
    ]


def test_clusters_that_strokes_have_made_are_known_as_such_another_day(
    viewer, panel, qtbot, rgb, chosen, make_napari_viewer
):
    viewer.add_image(rgb, name="tissue")
    run_to_end(qtbot, panel)
    click(qtbot, panel.strokes_button)
    clusters, drawn = viewer.layers["tissue segmentation"], np.zeros(rgb.shape[:2], np.uint8)
    drawn[10:12, 5:30], drawn[50:52, 20:60] = 1, 2
    viewer.layers["tissue strokes"].data = drawn
    qtbot.waitUntil(lambda: panel.status.value.startswith("by your strokes"), timeout=WAIT)
    kinds = clusters.data.copy()
    panel.folds["Saved runs"].unfold()
    click(qtbot, panel.run_files.save_button)
    qtbot.waitUntil(lambda: panel.status.value.endswith("is saved"), timeout=WAIT)
    viewer.close()

    viewer = make_napari_viewer(show=True)
    panel = opened(viewer, qtbot, chosen)
    clusters, strokes = (viewer.layers[f"tissue {name}"] for name in ("segmentation", "strokes"))
    np.testing.assert_array_equal(clusters.data, kinds)
    assert panel.results.clusters.table.item(1, NAME).text() == "background"
    assert panel.marks.kinds.isVisible()
    click(qtbot, panel.results.copy_button)
    assert "no script can draw them" in panel.status.value
    panel.results.clusters.select([1])
    panel.results.objects_section.foreground.value = "clusters"
    choose(qtbot, panel, View.OBJECTS)
    expected = panel.results.run.result.hierarchy.objects(kinds == 1)
    np.testing.assert_array_equal(viewer.layers["tissue objects"].data, expected)
    assert expected.any()
    choose(qtbot, panel, View.CLUSTERS)
    strokes.brush_size = 20
    for column in (40, 50):  # what a program paints is told before it is done
        strokes.paint((30, column), 1)
    follow = panel.results.run.result.hierarchy.kinds(strokes.data)
    assert not np.array_equal(follow, kinds)
    qtbot.waitUntil(lambda: np.array_equal(clusters.data, follow), timeout=WAIT)


AND_CLOSE = """
import sys
import napari
from qtpy.QtCore import QTimer

viewer = napari.Viewer()
_, panel = viewer.window.add_plugin_dock_widget("napari-unsupseg")
panel.run_files.by_itself.value = True
for name, value in {settings}.items():
    panel.settings[name].value = value
viewer.open(sys.argv[1], plugin="napari")
panel.start()


def close_at_the_end():
    if panel.results.run is not None:
        viewer.close()


timer = QTimer()
timer.timeout.connect(close_at_the_end)
timer.start(20)
napari.run()
"""


def test_a_run_is_saved_though_python_ends_with_the_window(rgb, tmp_path):
    image, script = tmp_path / "a.png", tmp_path / "and_close.py"
    imwrite(image, rgb)
    script.write_text(AND_CLOSE.format(settings=SETTLING))
    said = subprocess.run(
        [sys.executable, script, image], capture_output=True, text=True, timeout=WAIT / 1000
    )
    assert "Traceback" not in said.stderr
    assert Segmenter.load(tmp_path / "a.unsupseg").labels_.max() == 4


def test_each_run_saves_itself_to_the_file_that_it_was_opened_from(
    viewer, qtbot, run_of_script, tmp_path
):
    other = tmp_path / "other.unsupseg"
    other.write_bytes(run_of_script.read_bytes())
    panel = opened(viewer, qtbot, run_of_script)
    panel.open_run(other)
    qtbot.waitUntil(lambda: "other" in viewer.layers, timeout=WAIT)
    viewer.layers.selection.active = viewer.layers["script"]
    panel.run_files.by_itself.value = True
    before = run_of_script.read_bytes()
    viewer.close()
    qtbot.waitUntil(lambda: run_of_script.read_bytes() != before, timeout=WAIT)
    assert other.read_bytes() == before
    assert set(tmp_path.iterdir()) == {run_of_script, other}


def test_a_run_of_a_script_is_shown(viewer, panel, qtbot, run_of_script, rgb):
    panel = opened(viewer, qtbot, run_of_script)
    assert [layer.name for layer in viewer.layers] == ["script", "script segmentation"]
    original = Segmenter.load(run_of_script)
    np.testing.assert_array_equal(viewer.layers[0].data, rgb)
    np.testing.assert_array_equal(viewer.layers[1].data, original.labels_)
    choose(qtbot, panel, View.SEGMENTS)
    np.testing.assert_array_equal(viewer.layers[2].data, original.hierarchy_.cut())
    click(qtbot, panel.continue_button)
    panel.open_run(run_of_script)  # while a run goes on
    wait_until_ready(qtbot, panel)
    assert len(viewer.layers) == 3
    *_, last = original.resume()
    np.testing.assert_array_equal(viewer.layers[1].data, last.labels)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        pytest.param(lambda path: path.unlink(), "no such file", id="missing"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:999]), "damaged", id="cut"),
        pytest.param(
            lambda path: Segmenter.load(path).save(path), "is a network alone", id="network"
        ),
    ],
)
def test_files_that_cannot_be_opened_change_nothing(
    viewer, panel, qtbot, run_of_script, spoil, sentence
):
    spoil(run_of_script)
    panel.open_run(run_of_script)
    qtbot.waitUntil(lambda: sentence in panel.status.value, timeout=WAIT)
    assert not viewer.layers
    assert panel.run_files.open_button.enabled


@pytest.mark.parametrize(
    ("keywords", "axes"),
    [pytest.param({"rgb": True}, "yxs", id="rgb"), pytest.param({"rgb": False}, "cyx", id="cyx")],
)
def test_a_run_on_a_region_is_gone_on_with(
    viewer, panel, qtbot, rgb, chosen, make_napari_viewer, keywords, axes
):
    pixels = np.tile(rgb, (2, 2, 1))
    image = viewer.add_image(
        pixels if keywords["rgb"] else np.moveaxis(pixels, -1, 0).copy(), name="tissue", **keywords
    )
    viewer.add_shapes([rectangle(HALF)], visible=False)
    panel.image.value, panel.axes.value, panel.region.value = image, axes, RECTANGLE
    run_to_end(qtbot, panel)
    choose(qtbot, panel, View.SEGMENTS)
    panel.results.granularity.value = 0.6
    coarse = viewer.layers["tissue segments"].data.copy()
    panel.results.granularity.value = 0.3
    click(qtbot, panel.run_files.save_button)
    qtbot.waitUntil(lambda: panel.status.value == "tissue.unsupseg is saved", timeout=WAIT)
    del viewer.layers["Shapes"]
    made = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    qtbot.waitUntil(lambda: all(len(layer.features) for layer in made), timeout=WAIT)
    before = seen_layers(viewer)
    click(qtbot, panel.continue_button)
    wait_until_ready(qtbot, panel)
    continued = panel.results.run.labels.data.copy()
    viewer.close()

    viewer = make_napari_viewer(show=True)
    panel = opened(viewer, qtbot, chosen)
    qtbot.waitUntil(lambda: seen_layers(viewer) == before, timeout=WAIT)  # measured, too
    assert panel.results.run.request.region == HALF
    panel.results.granularity.value = 0.6
    np.testing.assert_array_equal(viewer.layers["tissue segments"].data, coarse)
    click(qtbot, panel.continue_button)
    wait_until_ready(qtbot, panel)
    np.testing.assert_array_equal(panel.results.run.labels.data, continued)


def test_a_run_that_has_labels_of_a_region_alone_is_opened_so(
    viewer, panel, qtbot, rgb, chosen, slowly, make_napari_viewer
):
    viewer.add_image(np.tile(rgb, (60, 1, 1, 1)), name="tissue", rgb=True)
    viewer.add_shapes([rectangle(HALF)])
    panel.image.value = viewer.layers["tissue"]
    panel.axes.value, panel.region.value = "zyxs", RECTANGLE
    panel.settings["iterations"].value = 5
    click(qtbot, panel.run_button)
    qtbot.waitUntil(lambda: panel.progress.value > 3, timeout=WAIT)
    slowly.clear()
    qtbot.waitUntil(lambda: panel.status.value.startswith("finding the clusters"), timeout=WAIT)
    click(qtbot, panel.stop_button)
    wait_until_ready(qtbot, panel)
    click(qtbot, panel.run_files.save_button)
    qtbot.waitUntil(lambda: panel.status.value == "tissue.unsupseg is saved", timeout=WAIT)
    labels = viewer.layers["tissue segmentation"].data.copy()
    viewer.close()

    viewer = make_napari_viewer(show=True)
    panel = opened(viewer, qtbot, chosen)
    np.testing.assert_array_equal(viewer.layers["tissue segmentation"].data, labels)
    assert not labels[:, 60:].any()
    assert not panel.results.granularity.enabled


def test_several_images_are_no_run_to_save(viewer, panel, qtbot, rgb, notes, chosen, caplog):
    for name in ("one", "other"):
        viewer.add_image(rgb, name=name)
    panel.other_images.menu.aboutToShow.emit()
    panel.other_images.menu.actions()[0].trigger()
    run_to_end(qtbot, panel)
    click(qtbot, panel.run_files.save_button)
    assert "a run on several images" in notes[-1].message
    assert not chosen.exists()
    panel.run_files.by_itself.value = True
    viewer.close()
    [said] = [one for one in caplog.records if one.name.endswith("run_files")]
    assert (said.getMessage(), said.exc_info) == (notes[-1].message, None)
