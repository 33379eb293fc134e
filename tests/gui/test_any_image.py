"""Image layers that napari shows and that cannot be segmented: the panel says so, and goes on."""

import dask.array as da
import numpy as np
import pytest

from .conftest import WAIT, click, labels_of, wait_until_ready


class ClosedFile:
    """An array in a file: nothing of it can be had once the file is closed."""

    ndim = 2  # napari itself asks for it at any time

    def __init__(self) -> None:
        self.is_open = True

    @property
    def shape(self):
        if not self.is_open:
            raise ValueError("not a dataset")
        return (40, 50)

    @property
    def dtype(self):
        return np.dtype(np.uint8)

    def __getitem__(self, part):
        return np.zeros(self.shape, np.uint8)[part]

    def __array__(self, *_args, **_kwargs):
        return np.zeros(self.shape, np.uint8)


REFUSED = [
    pytest.param(np.ones((2, 2, 2, 2, 20, 20)), {}, "odd has 6 axes (2 × 2", id="6 axes"),
    pytest.param(np.ones((2, 1, 1, 2, 2, 20, 20)), {}, "odd has 7 axes", id="7 axes"),
    pytest.param(
        [np.ones((2, 2, 2, 2, side, side)) for side in (20, 10)], {"multiscale": True},
        "odd has 6 axes", id="6 axes in levels",
    ),
    pytest.param(
        np.ones((2, 2, 2, 20, 20, 3)), {"rgb": True}, "odd has 5 axes beside its colours",
        id="5 axes of colours",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("data", "kwargs", "sentence"), REFUSED)
def test_what_cannot_be_segmented_is_said_and_nothing_else_suffers(
    viewer, panel, qtbot, rgb, notes, data, kwargs, sentence
):
    layer = viewer.add_image(data, contrast_limits=(0, 1), name="odd", **kwargs)
    assert panel.image.value is layer
    assert sentence in panel.notice.value
    assert panel.notice.native.isVisible()
    assert not panel.axes.visible
    for button in (panel.run_button, panel.strokes_button):
        click(qtbot, button)
        assert notes[-1].message == panel.notice.value
    assert list(viewer.layers) == [layer]
    panel.image.value = viewer.add_image(rgb, name="tissue")
    assert not panel.notice.value
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    assert labels_of(viewer).data.all()


def test_an_image_that_is_given_other_data_is_judged_anew(viewer, panel, grey):
    layer = viewer.add_image(grey, name="odd")
    assert not panel.notice.value
    layer.data = np.ones((2, 2, 2, 2, 20, 20))
    assert "odd has 6 axes" in panel.notice.value
    layer.data = grey
    assert not panel.notice.value
    assert panel.axes.value == "yx"


def test_a_file_that_was_closed_is_told(viewer, panel, qtbot, notes):
    data = ClosedFile()
    viewer.add_image(data, contrast_limits=(0, 1), name="odd")
    data.is_open = False
    panel.settings["iterations"].value += 1
    assert panel.notice.value == "odd cannot be read (not a dataset): open its file anew"
    click(qtbot, panel.run_button)
    assert notes[-1].message == panel.notice.value
    data.is_open = True


def test_pixels_that_cannot_be_read_are_told_and_the_panel_goes_on(
    viewer, panel, qtbot, rgb, notes
):
    broken = da.ones((40, 50), chunks=20)
    layer = viewer.add_image(broken, contrast_limits=(0, 1), name="odd")

    def fail(_block):
        raise OSError("the disk is gone")

    with layer.events.blocker_all():  # napari would show it at once
        layer._data = broken.map_blocks(fail, dtype=float, meta=np.zeros((0, 0)))
    click(qtbot, panel.run_button)
    qtbot.waitUntil(lambda: "the disk is gone" in panel.status.value, timeout=WAIT)
    assert notes[-1].message == panel.status.value
    assert list(viewer.layers) == [layer]
    panel.image.value = viewer.add_image(rgb, name="tissue")
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    assert labels_of(viewer).data.all()
