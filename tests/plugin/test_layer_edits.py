"""What is noted of a layer, whoever changes it, and what files keep of it."""

import json

import numpy as np
import pytest
from napari.layers import Labels

from napari_unsupseg.plugin.layer_edits import LayerEdits
from napari_unsupseg.plugin.saved_edits import pack_edits, unpack_edits
from napari_unsupseg.regions.edits import EditHistory

BASE = np.repeat(np.array([[1, 1, 0, 2, 2, 2, 0, 3]], np.uint16), 3, axis=0)


@pytest.fixture
def edits(qapp):
    """Return the edits of a layer, and how often they have told of a change."""
    layer = Labels(BASE.copy())
    told = []
    edits = LayerEdits(layer, BASE.copy(), EditHistory(), lambda: told.append(1))
    edits.told = told
    return edits


def write_in_place(layer):
    layer.data[:, 7] = 0
    layer.refresh()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param(lambda layer: layer.fill((0, 7), 0), "removed 1 cell", id="fill"),
        pytest.param(lambda layer: layer.fill((0, 3), 1), "joined 2 cells", id="fill with another"),
        pytest.param(
            lambda layer: layer.paint((1, 2), 1), "painted 6 pixels", id="paint"
        ),
        pytest.param(
            lambda layer: layer.data_setitem((np.array([0]), np.array([0])), 0),
            "erased 1 pixel", id="setitem",
        ),
        pytest.param(
            lambda layer: setattr(layer, "data", np.where(BASE == 3, 0, BASE).astype(np.int64)),
            "removed 1 cell", id="other data",
        ),
        pytest.param(write_in_place, "removed 1 cell", id="in place"),
    ],
)  # fmt: skip
def test_whatever_changes_a_layer_is_noted_and_made_again(edits, change, text):
    edits.layer.brush_size = 3
    change(edits.layer)
    seen = edits.layer.data.copy()
    edits.undo()
    np.testing.assert_array_equal(edits.layer.data, BASE)
    [edit] = edits.history.undone
    assert edit.text("cell") == text
    edits.redo()
    np.testing.assert_array_equal(edits.layer.data, seen)
    other_numbers = np.array([0, 7, 5, 6], np.uint16)
    edits.rebase(other_numbers[BASE])
    np.testing.assert_array_equal(edits.layer.data > 0, seen > 0)
    assert edits.applied == (True,)


def test_each_change_is_told_once(edits):
    edits.undo()
    assert not edits.told
    edits.layer.fill((0, 7), 0)
    edits.note()
    edits.note()
    assert len(edits.told) == 1
    edits.undo()
    edits.undo_all()
    assert len(edits.told) == 2


def test_data_of_another_shape_are_left_alone(edits):
    edits.layer.data = np.ones((2, 2), np.uint16)
    assert not edits.fits
    edits.note()
    assert edits.history.done == ()


def test_a_layer_that_is_left_is_naparis_alone(edits):
    edits.close()
    edits.layer.fill((0, 7), 0)
    edits.note()
    assert edits.history.done == ()
    assert not edits.layer.keymap
    edits.layer.undo()
    np.testing.assert_array_equal(edits.layer.data, BASE)


def test_corrections_go_through_a_file(edits):
    layer = edits.layer
    layer.brush_size = 3
    for change in (
        lambda: layer.fill((0, 7), 0),
        lambda: layer.fill((0, 3), 1),
        lambda: layer.data_setitem((np.array([0, 1, 2]), np.array([5, 5, 5])), 9),
        lambda: layer.paint((1, 6), 1),
        lambda: layer.paint((1, 7), 12),
    ):
        change()
        edits.note()
    records, arrays = pack_edits(edits.history, "of a view.")
    again = unpack_edits(json.loads(json.dumps(records)), arrays | {"of another.0.0": BASE},
                         "of a view.")  # fmt: skip
    for labels in (BASE, np.where(BASE == 2, 3, BASE), BASE[:, ::-1]):
        for mine, others in zip(again.apply(labels), edits.history.apply(labels), strict=True):
            np.testing.assert_array_equal(mine, others)
    assert [edit.text("cell") for edit in again.done] == [
        edit.text("cell") for edit in edits.history.done
    ]
    with pytest.raises(ValueError, match="no correction is called melt"):
        unpack_edits([{"kind": "melt", "starts": []}], {}, "")
