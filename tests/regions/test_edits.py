"""Corrections made again: on the labels that they were made on, and on others."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_unsupseg.regions.edits import (
    EditHistory,
    Join,
    Remove,
    Repaint,
    Split,
    describe_edit,
)

from .helpers import picture

LABELS = arrays(np.uint8, (5, 6), elements=st.integers(0, 4))


def made_on(*states: np.ndarray) -> EditHistory:
    """Return the edits that lead from one state of labels to the next."""
    history = EditHistory()
    for before, after in itertools.pairwise(states):
        edit = describe_edit(before, after)
        history = history if edit is None else history.add(edit)
    return history


@pytest.mark.parametrize(
    ("before", "after", "kind", "text"),
    [
        pytest.param("11.22.", "11.22.", type(None), None, id="nothing"),
        pytest.param("11.22.3", "......3", Remove, "removed 2 cells", id="removed"),
        pytest.param("11.22.3", "11.11.3", Join, "joined 2 cells", id="joined"),
        pytest.param("11.22.3", "33.33.3", Join, "joined 3 cells", id="all joined"),
        pytest.param("1111.22", "1133.22", Split, "split one cell", id="split"),
        pytest.param("1111.22", "1122.22", Repaint, "painted 2 pixels", id="a part of another"),
        pytest.param("11.22", ".1.22", Repaint, "erased 1 pixel", id="erased"),
        pytest.param("11122", "11.22", Repaint, "erased 1 pixel", id="the first ground"),
        pytest.param("11.22", "11122", Repaint, "painted 1 pixel", id="a gap filled"),
        pytest.param("11..22", "113322", Repaint, "painted 2 pixels", id="a new region"),
        pytest.param("1111..", "11333.", Repaint, "painted 3 pixels", id="new, half on ground"),
        pytest.param("11.22", "44.22", Repaint, "painted 2 pixels", id="another number"),
        pytest.param("11.22", "11144", Repaint, "painted 3 pixels", id="two numbers"),
        pytest.param(
            "11.22", "..322", Repaint, "painted 1 pixel and erased 2 pixels", id="moved"
        ),
    ],
)  # fmt: skip
def test_an_edit_is_known_by_what_it_did(before, after, kind, text):
    edit = describe_edit(picture(before), picture(after))
    assert type(edit) is kind
    assert edit is None or edit.text("cell") == text


@pytest.mark.parametrize(
    ("before", "after", "others", "expected"),
    [
        # removed
        pytest.param("11.22.3", "11....3", "33.11.2", "33....2", id="removed, of another number"),
        pytest.param("1111.22", ".....22", ".234..1", "......1", id="removed, in parts"),
        pytest.param("1111.22", ".....22", "..11111", "..11111", id="not removed with much more"),
        pytest.param("1111.22", ".....22", "11111.2", "......2", id="removed, somewhat larger"),
        pytest.param("1111.22", ".....22", ".....22", ".....22", id="removed, gone before"),
        # joined: the number is that of the first
        pytest.param("11.22.3", "11.11.3", "22.33.1", "22.22.1", id="joined, of other numbers"),
        pytest.param("11.22.3", "22.22.3", "22.33.1", "33.33.1", id="joined, the other way round"),
        pytest.param("1111222", "1111111", "1234567", "1111111", id="joined, in parts"),
        pytest.param("11122.3", "11111.3", "11111.3", "11111.3", id="joined, one already"),
        pytest.param("1112223", "1111113", "1111222", "1111111", id="joined, larger"),
        pytest.param("1122333", "1111333", "1122222", "1111111", id="joined to what it is part of"),
        pytest.param("11.22.3", "11.11.3", "...22.3", "...22.3", id="joined, one is gone"),
        # split: the new number is the one it was, or the next that is not used
        pytest.param("111122.", "111322.", "222211.", "222311.", id="split, of another number"),
        pytest.param("1111...", "1122...", "11111..", "11222..", id="split, larger"),
        pytest.param("111111.", "111222.", ".3333..", ".3322..", id="split, smaller"),
        pytest.param("1111...", "1122...", "1133...", "1133...", id="split, two already"),
        pytest.param("1111...", "1122...", "11.....", "11.....", id="split, a piece is gone"),
        # painted
        pytest.param("111.22.", "1111.2.", "222.11.", "2222.1.", id="painted, of another number"),
        pytest.param("111....", "1111...", "111222.", "111122.", id="painted over another"),
        pytest.param("111..2.", "1111.2.", ".....1.", ".....1.", id="its region is gone"),
        pytest.param("111....", "111.22.", "222.11.", "222.33.", id="new, of another number"),
        pytest.param("111....", "111.44.", "222.11.", "222.44.", id="new, its number is not used"),
        pytest.param("111.22.", "1.1.22.", "2222222", "2.22222", id="erased"),
        pytest.param("11.22.3", "...1122", "33.11.2", "...3311", id="all painted"),
    ],
)  # fmt: skip
def test_an_edit_is_made_again_on_other_labels(before, after, others, expected):
    history = made_on(picture(before), picture(after))
    given = picture(others)
    edited, applied = history.apply(given)
    np.testing.assert_array_equal(edited, picture(expected))
    assert applied == (others != expected,)
    np.testing.assert_array_equal(given, picture(others))  # which stay as they are


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param(("111222", "111222"), ("114222", "114222"), id="as it was"),
        pytest.param(("111111", "111111"), ("114444", "114444"), id="in a chain"),
        pytest.param(("111111", *["111111"] * 7), ("111111", *["111111"] * 7), id="much larger"),
    ],
)  # fmt: skip
def test_a_region_is_split_where_the_cut_is(others, expected):
    before, after = ("111222", "111222"), ("114222", "114222")
    rows = ["......"] * (len(others) - 2)
    history = made_on(picture(*before, *rows), picture(*after, *rows))
    edited, _ = history.apply(picture(*others))
    is_parted = edited == edited[0, 2] if "4" in expected[0] else np.zeros_like(edited, bool)
    np.testing.assert_array_equal(is_parted, picture(*expected) == 4)


def test_a_new_region_has_a_number_where_a_data_type_has_none():
    after = np.arange(256, dtype=np.uint8)
    before, others = after.copy(), after.copy()
    before[9], others[9:11] = 8, (8, 9)
    edited, applied = made_on(before, after).apply(others)
    assert applied == (True,)
    assert edited[8:12].tolist() == [8, 256, 9, 11]


def test_a_volume_is_edited():
    before = np.zeros((3, 4, 5), np.uint16)
    before[:2, :, :2], before[1:, :, 3:] = 1, 2
    removed, painted = np.where(before == 2, 0, before), before.copy()
    painted[2, 0, 0] = 1
    for after in (removed, painted):
        np.testing.assert_array_equal(made_on(before, after).apply(before)[0], after)


def remove(labels: np.ndarray, chosen: set[int], _: np.ndarray) -> np.ndarray:
    return np.where(np.isin(labels, list(chosen)), 0, labels)


def join(labels: np.ndarray, chosen: set[int], _: np.ndarray) -> np.ndarray:
    return np.where(np.isin(labels, list(chosen)), max(chosen), labels)


def split(labels: np.ndarray, chosen: set[int], mask: np.ndarray) -> np.ndarray:
    return np.where(mask & (labels == max(chosen)), labels.max() + 1, labels)


def erase(labels: np.ndarray, _: set[int], mask: np.ndarray) -> np.ndarray:
    return np.where(mask, 0, labels)


def paint(labels: np.ndarray, chosen: set[int], mask: np.ndarray) -> np.ndarray:
    return np.where(mask, max(chosen), labels)


STEPS = st.tuples(
    st.sampled_from([remove, join, split, erase, paint]),
    st.sets(st.integers(1, 4), min_size=1),
    arrays(bool, (5, 6)),
)


@settings(deadline=None)
@given(LABELS, st.lists(STEPS, max_size=5), LABELS)
def test_edits_on_the_same_labels_give_what_was_seen(labels, steps, last):
    states = [labels]
    for change, chosen, mask in steps:
        states.append(change(states[-1], chosen, mask))
    history = made_on(*states, last)  # the last step is any at all
    np.testing.assert_array_equal(history.apply(labels)[0], last)
    for state in reversed(states):
        if describe_edit(state, history.apply(labels)[0]):
            history = history.undo()
        np.testing.assert_array_equal(history.apply(labels)[0], state)
    assert history.done == ()
    while history.undone:
        history = history.redo()
    np.testing.assert_array_equal(history.apply(labels)[0], last)


@settings(deadline=None)
@given(LABELS, STEPS.filter(lambda step: step[0] is not paint), LABELS)
def test_what_is_done_twice_is_as_if_done_once(labels, step, others):
    change, chosen, mask = step
    history = made_on(labels, change(labels, chosen, mask))
    # a new region gets a new number each time
    assume(not any(isinstance(edit, Repaint) and edit.targets for edit in history.done))
    once, _ = history.apply(others)
    twice, applied = history.apply(once)
    np.testing.assert_array_equal(twice, once)
    assert not any(applied)


def test_edits_are_undone_from_the_last_one_back():
    states = [picture(row) for row in ("11.22.33", "11.11.33", "11.11...", "11.11..4")]
    history = made_on(*states)
    assert history.redo().done == history.done
    for state in states[-2::-1]:
        history = history.undo()
        np.testing.assert_array_equal(history.apply(states[0])[0], state)
    assert history.undo().undone == history.undone
    for state in states[1:3]:
        history = history.redo()
        np.testing.assert_array_equal(history.apply(states[0])[0], state)
    assert history.add(history.done[0]).undone == ()


def test_each_edit_says_whether_it_had_anything_to_do():
    history = made_on(*map(picture, ("11.22.3", "11.11.3", "11.11..", "11111..")))
    edited, applied = history.apply(picture("11111.3"))
    np.testing.assert_array_equal(edited, picture("11111.."))
    assert applied == (False, True, False)
