import numpy as np

from .conftest import WAIT


def test_a_slow_run_is_announced_with_what_to_do(viewer, panel, qtbot, rgb):
    panel.preset.value = "standard"
    panel.device.value = "cpu"
    viewer.add_image(rgb, name="small")
    large = np.zeros((9000, 9000), np.uint8)
    panel.image.value = viewer.add_image(large, contrast_limits=(0, 1), name="large")
    qtbot.waitUntil(lambda: "min: take a smaller image" in panel.notice.value, timeout=WAIT)
    assert panel.notice.native.isVisible()
    panel.preset.value = "paper-2018"
    assert "set settle to 0.02" in panel.notice.value
    panel.image.value = viewer.layers["small"]
    panel.preset.value = "standard"
    assert not panel.notice.native.isVisible()


def test_without_an_image_the_panel_says_what_is_missing(viewer, panel, rgb):
    assert panel.notice.value.startswith("Open an image first")
    assert panel.notice.native.isVisible()
    image = viewer.add_image(rgb)
    assert not panel.notice.native.isVisible()
    viewer.layers.remove(image)
    assert panel.notice.value.startswith("Open an image first")
