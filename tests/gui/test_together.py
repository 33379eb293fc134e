"""One network for several layers, in a real window."""

import numpy as np
from qtpy.QtWidgets import QApplication

from napari_unsupseg import segment
from napari_unsupseg.plugin.session import View

from ..conftest import SMALL
from .conftest import WAIT, choose, click, wait_until_ready


def test_several_layers_are_learned_on_together(viewer, panel, qtbot, grey, rgb):
    images = {"first": grey, "second": grey[:50, 20:], "third": grey[::-1]}
    layers = {name: viewer.add_image(image, name=name) for name, image in images.items()}
    viewer.add_image(rgb, name="colour")
    panel.image.value = layers["first"]
    others = panel.other_images
    others.menu.aboutToShow.emit()
    assert [action.text() for action in others.menu.actions()] == ["second", "third"]
    seconds = panel.plan.seconds()
    others.menu.actions()[0].trigger()
    assert others.text == "Learn also on 1 image…"
    assert panel.plan.seconds() == 2 * seconds
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    given = [grey, grey[:50, 20:]]
    expected = segment(given, **SMALL)
    shown = [viewer.layers[f"{name} segmentation"] for name in ("first", "second")]
    for layer, labels in zip(shown, expected, strict=True):
        np.testing.assert_array_equal(layer.data, labels)
        assert layer.editable
        assert layer.metadata["napari-unsupseg"]["iterations"] == SMALL["iterations"]
        qtbot.waitUntil(lambda layer=layer: "index" in layer.features, timeout=WAIT)
        assert set(np.unique(labels)) == set(layer.features["index"]) - {0}
    # segments are of the chosen image
    choose(qtbot, panel, View.SEGMENTS)
    panel.results.granularity.value = 0.3
    cut = segment(given, granularity=0.3, **SMALL)[0]
    np.testing.assert_array_equal(viewer.layers["first segments"].data, cut)
    panel.image.value = layers["second"]
    assert "second" in panel.results.heading.value
    of_second = segment(given, granularity=0.3, **SMALL)[1]
    np.testing.assert_array_equal(viewer.layers["second segments"].data, of_second)
    click(qtbot, panel.results.copy_button)
    made = {}
    exec(QApplication.clipboard().text(), made)
    np.testing.assert_array_equal(made["labels"], expected[1])
    np.testing.assert_array_equal(made["segments"], of_second)
    panel.image.value = layers["first"]
    panel.results.granularity.value = 0.4  # in the layer of before
    cut = segment(given, granularity=0.4, **SMALL)[0]
    np.testing.assert_array_equal(viewer.layers["first segments"].data, cut)
    panel.image.value = layers["second"]
    # and the run goes on in both layers
    n_layers = len(viewer.layers)
    click(qtbot, panel.continue_button)
    wait_until_ready(qtbot, panel)
    assert len(viewer.layers) == n_layers
    for layer in shown:
        assert layer.metadata["napari-unsupseg"]["iterations"] == 2 * SMALL["iterations"]
    # a layer that goes is learned on no more
    viewer.layers.remove("second")
    assert not others.chosen
    assert others.text == "Learn also on…"
