"""Lines across objects of movies, volumes and repeated channels."""

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_unsupseg.plugin.object_editor import EditMode, ObjectEditor


def draw(viewer, layer, place, *points):
    """Draw a line with the mouse in the slice at a place, and return what the panel says."""
    said = []
    editor = ObjectEditor(viewer, said.append, list)
    editor.start(EditMode.SPLIT, layer, place["whole_axes"])
    shown = place.get("dims_displayed", (layer.ndim - 2, layer.ndim - 1))

    def event(kind, point):
        position = np.append(place.get("at", ()), point)
        return SimpleNamespace(
            type=kind, button=1, pos=(0, 0), position=position, dims_displayed=shown
        )

    first, *others = points
    pressed = event("mouse_press", first)
    line = layer.mouse_drag_callbacks[-1](layer, pressed)
    list_of_kinds = ["mouse_move"] * len(others) + ["mouse_release"]
    if next(line, "refused") != "refused":
        for kind, point in zip(list_of_kinds, [*others, others[-1]], strict=True):
            vars(pressed).update(vars(event(kind, point)))  # napari gives the same event again
            next(line, None)
    editor.stop()
    return said[-1]


@pytest.mark.parametrize(
    ("whole_axes", "split_planes"),
    [
        pytest.param((1, 2), [1], id="a frame of a movie"),
        pytest.param((0, 1, 2), [0, 1, 2], id="a volume"),
    ],
)
def test_a_line_splits_what_belongs_together(whole_axes, split_planes):
    viewer = ViewerModel()
    layer = viewer.add_labels(np.ones((3, 5, 7), np.uint16))
    said = draw(viewer, layer, {"whole_axes": whole_axes, "at": [1]}, (0, 3), (4, 3))
    assert said.endswith("other frames stay as they are") == (split_planes == [1])
    expected = np.ones((3, 5, 7), int)
    expected[split_planes, :, :3] = 2
    changed = layer.data[split_planes]
    assert set(np.unique(layer.data)) == {1, 2}
    assert (layer.data == 2).any(axis=(1, 2)).nonzero()[0].tolist() == split_planes
    assert all((plane[:, :3] == plane[0, 0]).all() for plane in changed)
    assert all((plane[:, 4:] == plane[0, 6]).all() for plane in changed)
    layer.undo()
    assert (layer.data == 1).all()


def test_no_line_is_drawn_in_3d():
    viewer = ViewerModel(ndisplay=3)
    layer = viewer.add_labels(np.ones((3, 5, 7), np.uint16))
    place = {"whole_axes": (0, 1, 2), "at": [1], "dims_displayed": (0, 1, 2)}
    said = draw(viewer, layer, place, (0, 3), (4, 3))
    assert said == "lines are drawn on slices: switch the view to 2D"
    assert (layer.data == 1).all()
