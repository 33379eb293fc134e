import numpy as np
import pytest
from napari.utils.theme import get_theme
from qtpy.QtWidgets import QScrollArea

from napari_unsupseg import Segmenter, Settings

from ..conftest import SMALL, run_python
from .conftest import WAIT, click, seen, wait_until_ready


def plots(panel):
    """Return the plots that are seen, from above."""
    from pyqtgraph import GraphicsLayoutWidget, PlotItem

    views = panel.native.findChildren(GraphicsLayoutWidget)
    found = [item for view in views for item in view.scene().items() if isinstance(item, PlotItem)]
    return sorted(found, key=lambda plot: plot.scenePos().y())


def wait_until_drawn(qtbot, panel, iteration):
    """Wait until a run has ended and all of it is drawn."""
    wait_until_ready(qtbot, panel)
    qtbot.waitUntil(lambda: drawn(panel)[0][-1] == iteration, timeout=WAIT)


def drawn(panel):
    """Return what is drawn: iterations, clusters, loss; zeros while there is nothing."""
    lines = [plot.listDataItems()[0].getData() for plot in plots(panel)]
    if not lines or lines[0][0] is None:
        return np.zeros((3, 1))
    (above, clusters), (below, loss) = lines
    np.testing.assert_array_equal(above, below)
    return above, clusters, loss


def test_clusters_and_loss_are_drawn_while_they_change(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb)
    assert not panel.plot.native.isVisible()
    panel.settings["iterations"].value = 100_000
    click(qtbot, panel.run_button)
    qtbot.waitUntil(lambda: panel.progress.value >= 8, timeout=WAIT)
    qtbot.waitUntil(lambda: drawn(panel)[0][-1] >= 8, timeout=WAIT)
    n_drawn = len(drawn(panel)[0])
    qtbot.waitUntil(lambda: len(drawn(panel)[0]) > n_drawn, timeout=WAIT)
    click(qtbot, panel.stop_button)
    wait_until_ready(qtbot, panel)


def test_what_is_drawn_is_what_the_library_says(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb)
    click(qtbot, panel.run_button)
    wait_until_drawn(qtbot, panel, 8)
    steps = {step.iteration: step for step in Segmenter(Settings(**SMALL)).steps(rgb)}
    iterations, clusters, loss = drawn(panel)
    assert {1, 2, 4, 6, 8} <= set(iterations)
    assert clusters.tolist() == [steps[iteration].n_clusters for iteration in iterations]
    np.testing.assert_allclose(loss, [steps[iteration].loss for iteration in iterations])


def test_the_axes_have_names(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb)
    click(qtbot, panel.run_button)
    wait_until_drawn(qtbot, panel, 8)
    above, below = plots(panel)
    assert [plot.getAxis("left").labelText for plot in (above, below)] == ["clusters", "loss"]
    assert below.getAxis("bottom").labelText == "iteration"


def test_a_new_run_clears_the_plots_and_one_that_goes_on_does_not(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb)
    panel.settings["iterations"].value = 6
    click(qtbot, panel.run_button)
    wait_until_drawn(qtbot, panel, 6)
    first = drawn(panel)[2]
    click(qtbot, panel.continue_button)
    wait_until_drawn(qtbot, panel, 12)
    iterations, _, loss = drawn(panel)
    assert (np.diff(iterations) > 0).all()
    np.testing.assert_array_equal(loss[: len(first)], first)
    click(qtbot, panel.run_button)
    assert all(plot.listDataItems()[0].getData()[0] is None for plot in plots(panel))
    wait_until_drawn(qtbot, panel, 6)


def test_plots_can_be_folded_away_and_go_on(viewer, panel, qtbot, rgb):
    viewer.add_image(rgb)
    click(qtbot, panel.run_button)
    click(qtbot, panel.curve_section.heading)
    assert not panel.plot.native.isVisible()
    wait_until_drawn(qtbot, panel, 8)
    click(qtbot, panel.curve_section.heading)
    assert panel.plot.native.isVisible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_plots_have_the_colours_of_the_theme(viewer, panel, qtbot, rgb, theme):
    viewer.add_image(rgb)
    click(qtbot, panel.run_button)
    wait_until_drawn(qtbot, panel, 8)
    viewer.theme = theme
    expected = get_theme(theme).text.as_hex("long")
    for plot in plots(panel):
        assert plot.getAxis("left").textPen().color().name() == expected
        assert plot.listDataItems()[0].opts["pen"].color().name() == expected


def test_the_background_follows_the_theme(viewer, panel, qtbot, rgb):
    from pyqtgraph import GraphicsLayoutWidget

    viewer.theme = "dark"
    viewer.add_image(rgb)
    click(qtbot, panel.run_button)
    wait_until_drawn(qtbot, panel, 8)
    view = panel.plot.native.findChild(GraphicsLayoutWidget)
    for theme in ("dark", "light"):
        viewer.theme = theme
        qtbot.wait(200)  # until all is laid out and drawn
        panel.native.findChild(QScrollArea).ensureWidgetVisible(view)
        background = get_theme(theme).background.as_rgb_tuple()[:3]
        corner = seen(viewer, view)[2, 2].astype(int)
        assert np.abs(corner - background).max() <= 8  # of a screen with five bits a colour


def test_the_panel_opens_without_the_plots_library():
    loaded = "import sys; print('pyqtgraph' in sys.modules)"
    assert run_python(f"import napari_unsupseg.plugin.panel; {loaded}") == "False"
