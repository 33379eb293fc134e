import numpy as np
import pytest

from napari_unsupseg.plugin.session import View

from .conftest import WAIT, choose, click, colour_of, wait_until_ready


@pytest.fixture
def tissue(viewer, rgb):
    return viewer.add_image(rgb, name="tissue", scale=(2, 3), translate=(5, 0))


@pytest.fixture
def strokes(viewer, panel, qtbot, tissue):
    """Return the layer to draw on."""
    click(qtbot, panel.strokes_button)
    return viewer.layers["tissue strokes"]


def apply_strokes(layer, label, row, columns):
    """Paint a line as the brush does."""
    layer.brush_size = 1
    for column in columns:
        layer.paint((row, column), label)


def labels_under(viewer, strokes, label):
    return set(np.unique(viewer.layers["tissue segmentation"].data[strokes.data == label]))


def test_strokes_have_a_layer_ready_to_paint_on(viewer, panel, qtbot, tissue, strokes):
    assert strokes.mode == "paint"
    assert viewer.layers.selection.active is strokes
    assert strokes.data.shape == tissue.data.shape[:2]
    np.testing.assert_array_equal(strokes.extent.world, tissue.extent.world)
    viewer.layers.selection.active = tissue
    click(qtbot, panel.strokes_button)
    assert viewer.layers.selection.active is strokes
    assert len(viewer.layers) == 2


def mark(panel, layer, kind, row, columns):
    """Choose a kind in the list, and paint a line of it."""
    panel.marks.kinds.setCurrentRow(kind)
    apply_strokes(layer, layer.selected_label, row, columns)


def test_labels_of_the_last_run_follow_strokes_at_once(viewer, panel, qtbot, strokes):
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    click(qtbot, panel.strokes_button)
    clusters, hierarchy = viewer.layers["tissue segmentation"], panel.results.run.result.hierarchy
    trained = clusters.data.copy()

    def follows():
        return np.array_equal(clusters.data, hierarchy.kinds(strokes.data))

    mark(panel, strokes, 0, 10, range(5, 30))
    qtbot.wait(400)
    np.testing.assert_array_equal(clusters.data, trained, err_msg="one kind says nothing")
    mark(panel, strokes, 1, 50, range(20, 60))
    qtbot.waitUntil(follows, timeout=WAIT)
    assert panel.status.value.startswith("by your strokes: object ")
    assert panel.results.clusters.table.item(1, 2).text() == "background"
    assert viewer.layers.selection.active is strokes, "the next stroke can follow"
    click(qtbot, panel.marks.add_button)
    assert strokes.selected_label == 3
    panel.marks.kinds.item(2).setText("vessel")
    mark(panel, strokes, 2, 30, range(5, 30))
    qtbot.waitUntil(follows, timeout=WAIT)
    assert panel.results.clusters.table.item(2, 2).text() == "vessel"
    for _ in range(25):  # napari counts each pixel of this line as a stroke
        click(qtbot, panel.marks.undo_button)
    qtbot.waitUntil(lambda: follows() and clusters.data.max() == 2, timeout=WAIT)
    click(qtbot, panel.marks.redo_button)
    qtbot.waitUntil(lambda: follows() and clusters.data.max() == 3, timeout=WAIT)
    panel.marks.live.value = False
    before = clusters.data.copy()
    mark(panel, strokes, 1, 5, range(40, 60))
    qtbot.wait(400)
    np.testing.assert_array_equal(clusters.data, before)
    panel.marks.live.value = True
    qtbot.waitUntil(follows, timeout=WAIT)
    assert len(viewer.layers) == 3, "no layer more for each stroke"
    strokes.data = np.zeros_like(strokes.data)
    qtbot.waitUntil(lambda: np.array_equal(clusters.data, trained), timeout=WAIT)


def test_a_kind_that_is_renamed_names_the_clusters_that_follow_it(viewer, panel, qtbot, strokes):
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    click(qtbot, panel.strokes_button)
    mark(panel, strokes, 0, 10, range(5, 30))
    mark(panel, strokes, 1, 50, range(20, 60))
    table = panel.results.clusters.table
    qtbot.waitUntil(lambda: table.item(0, 2).text() == "object", timeout=WAIT)
    panel.marks.kinds.item(0).setText("nuclei")
    qtbot.waitUntil(lambda: table.item(0, 2).text() == "nuclei", timeout=WAIT)
    assert panel.status.value.startswith("by your strokes: nuclei ")
    assert len(viewer.layers) == 3


def test_the_list_shows_what_is_drawn_and_its_colours(viewer, panel, strokes):
    strokes.selected_label = 7
    strokes.paint((10, 5), 7)
    strokes.new_colormap()  # as napari's button for other colours
    kinds = [panel.marks.kinds.item(index) for index in range(panel.marks.kinds.count())]
    assert [kind.text() for kind in kinds] == ["object", "background", "kind 7"]
    for kind, label in zip(kinds, (1, 2, 7), strict=True):
        np.testing.assert_allclose(colour_of(kind), strokes.get_color(label), atol=0.03)


def test_objects_are_made_of_strokes_as_soon_as_there_are_some(viewer, panel, qtbot, strokes):
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    choose(qtbot, panel, View.OBJECTS)
    click(qtbot, panel.strokes_button)
    objects, hierarchy = viewer.layers["tissue objects"], panel.results.run.result.hierarchy
    mark(panel, strokes, 0, 10, range(5, 30))
    mark(panel, strokes, 1, 50, range(20, 60))
    expected = hierarchy.objects(strokes=strokes.data)
    qtbot.waitUntil(lambda: np.array_equal(objects.data, expected), timeout=WAIT)
    foreground = panel.results.objects_section.foreground
    assert foreground.value == "strokes"
    assert viewer.layers[-1] is strokes, "strokes are seen above what is made of them"

    # until all are gone, and from the next ones on
    drawn = strokes.data.copy()
    strokes.data = np.zeros_like(drawn)
    found = hierarchy.objects()
    qtbot.waitUntil(lambda: np.array_equal(objects.data, found), timeout=WAIT)
    assert foreground.value == "automatic"
    choose(qtbot, panel, View.CLUSTERS)
    strokes.data = drawn
    choose(qtbot, panel, View.OBJECTS)
    qtbot.waitUntil(lambda: np.array_equal(objects.data, expected), timeout=WAIT)
    # what is chosen by hand stays, whatever is drawn and removed after
    foreground.value = "automatic"
    mark(panel, strokes, 1, 55, range(20, 60))
    qtbot.wait(400)
    assert foreground.value == "automatic"
    foreground.value = "clusters"
    viewer.layers.remove(strokes)
    qtbot.wait(400)
    assert foreground.value == "clusters"


def test_nothing_is_found_any_more_when_all_layers_are_removed(viewer, panel, qtbot, strokes):
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    mark(panel, strokes, 0, 10, range(5, 30))
    mark(panel, strokes, 1, 50, range(20, 60))
    choose(qtbot, panel, View.OBJECTS)
    assert panel.results.objects_section.foreground.value == "strokes"
    qtbot.wait(400)  # vispy cannot draw what is gone before it was drawn once
    viewer.layers.clear()
    qtbot.wait(1000)
    assert not viewer.layers


def test_the_brush_keeps_its_size_on_the_screen(viewer, panel, strokes):
    camera = getattr(viewer, "scene", viewer).camera  # napari before 0.9 has no scene
    for size, zoom, pixels in ((12, 1, 6), (12, 0.5, 12), (40, 2, 10), (1, 8, 1)):
        panel.marks.brush.value = size
        camera.zoom = zoom
        assert strokes.brush_size == pixels, "a pixel of the image is two wide"


def test_marking_in_the_view_of_segments_shows_clusters(viewer, panel, qtbot, tissue):
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    choose(qtbot, panel, View.SEGMENTS)
    click(qtbot, panel.strokes_button)
    assert panel.results.layers.view is View.CLUSTERS
    assert viewer.layers.selection.active is viewer.layers["tissue strokes"]
    viewer.layers.remove("tissue strokes")
    assert not panel.marks.kinds.isVisible()


def test_marking_an_image_that_has_other_pixels_since_its_run_promises_nothing(
    panel, qtbot, tissue
):
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    image, heading = tissue.data, "Run on tissue, in the layer tissue segmentation"
    tissue.data = image[::-1].copy()
    said = f"{heading}; tissue has other pixels since: press Run to segment them"
    assert panel.results.heading.value == said
    click(qtbot, panel.strokes_button)
    assert panel.status.value.endswith("; then press Run")
    tissue.data = image
    assert panel.results.heading.value == heading
    click(qtbot, panel.strokes_button)
    assert panel.status.value.endswith("; labels follow, and Continue trains on them")


def test_strokes_steer_a_run(viewer, panel, qtbot, strokes):
    apply_strokes(strokes, 3, 10, range(5, 30))
    apply_strokes(strokes, 8, 50, range(20, 60))
    click(qtbot, panel.run_button)
    assert viewer.layers.selection.active is strokes, "the next stroke can follow"
    wait_until_ready(qtbot, panel)
    assert labels_under(viewer, strokes, 3) == {3}
    assert labels_under(viewer, strokes, 8) == {8}
    assert viewer.layers["tissue segmentation"].metadata["napari-unsupseg"]["strokes"]


def test_strokes_count_in_a_paused_run(viewer, panel, qtbot, strokes):
    panel.settings["iterations"].value = 30
    click(qtbot, panel.run_button)
    qtbot.waitUntil(lambda: "iteration" in panel.status.value, timeout=WAIT)
    click(qtbot, panel.pause_button)
    qtbot.waitUntil(lambda: "paused" in panel.status.value, timeout=WAIT)
    apply_strokes(strokes, 5, 10, range(5, 30))
    apply_strokes(strokes, 6, 50, range(20, 60))
    qtbot.wait(300)
    click(qtbot, panel.pause_button)
    wait_until_ready(qtbot, panel)
    assert labels_under(viewer, strokes, 5) == {5}
    assert labels_under(viewer, strokes, 6) == {6}


def test_strokes_count_when_a_run_is_gone_on_with(viewer, panel, qtbot, strokes):
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    click(qtbot, panel.strokes_button)
    apply_strokes(strokes, 9, 10, range(5, 30))
    click(qtbot, panel.continue_button)
    wait_until_ready(qtbot, panel)
    assert labels_under(viewer, strokes, 9) == {9}


def test_strokes_taken_back_do_not_count(viewer, panel, qtbot, strokes):
    apply_strokes(strokes, 3, 10, [5])
    strokes.undo()
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    assert not viewer.layers["tissue segmentation"].metadata["napari-unsupseg"]["strokes"]


def test_a_label_that_cannot_be_is_told_and_the_run_goes_on(viewer, panel, qtbot, strokes, notes):
    panel.settings["iterations"].value = 30
    click(qtbot, panel.run_button)
    qtbot.waitUntil(lambda: "iteration" in panel.status.value, timeout=WAIT)
    apply_strokes(strokes, 200, 10, range(5, 30))
    wait_until_ready(qtbot, panel)
    assert any("200" in str(note) for note in notes)
    assert viewer.layers["tissue segmentation"].data.any()


@pytest.fixture
def stack(viewer, panel):
    layer = viewer.add_image(np.random.default_rng(0).random((3, 40, 50)), name="stack")
    panel.axes.value = "zyx"
    return layer


def fewer_axes(panel, strokes):
    strokes.data = np.ones((40, 50), np.uint8)


def more_axes(panel, strokes):
    strokes.data = np.ones((2, 3, 40, 50), np.uint8)


def other_size(panel, strokes):
    strokes.data = np.ones((3, 40, 20), np.uint8)


def channels(panel, strokes):
    panel.axes.value = "cyx"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (fewer_axes, "has 40 × 50 pixels where stack, of the axes zyx, needs 3 × 40 × 50"),
        (more_axes, "has 2 × 3 × 40 × 50 pixels where stack, of the axes zyx, needs 3 × 40"),
        (other_size, "has 3 × 40 × 20 pixels where stack, of the axes zyx, needs 3 × 40"),
        (channels, "has 3 × 40 × 50 pixels where stack, of the axes cyx, needs 40 × 50"),
    ],
)
def test_strokes_that_do_not_fit_are_told_before_the_run(
    viewer, panel, qtbot, stack, notes, change, sentence
):
    click(qtbot, panel.strokes_button)
    strokes = viewer.layers["stack strokes"]
    strokes.paint((0, 20, 20), 1)
    change(panel, strokes)
    click(qtbot, panel.run_button)
    assert notes[-1].message.startswith(f"stack strokes {sentence}")
    assert "press Mark for a layer" in notes[-1].message
    assert list(viewer.layers) == [stack, strokes]
    click(qtbot, panel.strokes_button)
    assert viewer.layers.selection.active.data.shape == stack.data.shape[-strokes_ndim(panel) :]
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    assert viewer.layers["stack segmentation"].data.all()


def strokes_ndim(panel):
    return len(panel.axes.value.replace("c", ""))


def test_a_step_in_the_history_of_strokes_that_is_not_there_is_said(panel, qtbot, strokes):
    nothing = (
        "there is no stroke to take back",
        "no stroke was taken back that could be drawn again",
    )
    steps = panel.marks.undo_button, panel.marks.redo_button
    qtbot.wait(100)  # they have just come
    for button, said in zip(steps, nothing, strict=True):
        click(qtbot, button)
        assert panel.status.value == said
    apply_strokes(strokes, 1, 10, [5])
    panel.status.value = ""
    for button in steps:
        click(qtbot, button)
        assert panel.status.value not in nothing
    assert strokes.data[10, 5] == 1


def test_strokes_in_a_stack_are_drawn_on_its_slices(viewer, panel, qtbot, stack):
    viewer.dims.ndisplay = 3
    click(qtbot, panel.strokes_button)
    assert panel.status.value.startswith("switch the view to 2D, and paint a few dabs")
    viewer.dims.ndisplay = 2
    click(qtbot, panel.strokes_button)
    assert panel.status.value.startswith("paint a few dabs")


def test_strokes_that_come_not_to_fit_leave_a_run_and_stop_a_continuation(
    viewer, panel, qtbot, stack, notes
):
    panel.settings["iterations"].value = 30
    click(qtbot, panel.strokes_button)
    strokes = viewer.layers["stack strokes"]
    click(qtbot, panel.run_button)
    qtbot.waitUntil(lambda: "iteration" in panel.status.value, timeout=WAIT)
    fewer_axes(panel, strokes)
    qtbot.waitUntil(lambda: len(notes) == 1, timeout=WAIT)
    assert notes[0].message.startswith("stack strokes has 40 × 50 pixels where")
    wait_until_ready(qtbot, panel)
    assert viewer.layers["stack segmentation"].data.all()
    click(qtbot, panel.continue_button)
    assert notes[-1].message.startswith("stack strokes has 40 × 50 pixels where")
    assert panel.run_button.enabled


def test_a_steered_run_is_no_script(panel, qtbot, strokes):
    apply_strokes(strokes, 3, 10, range(5, 30))
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    click(qtbot, panel.results.copy_button)
    assert "no script can draw them" in panel.status.value
