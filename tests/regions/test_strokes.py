"""Which segments get the label of which stroke."""

import numpy as np
import pytest

from napari_unsupseg.regions.strokes import (
    apply_strokes,
    find_kinds,
    find_stroked_objects,
    propagate_strokes,
    split_by_stroke,
)


def row(*runs: tuple[int, int]) -> np.ndarray:
    """Return an image of one row: runs of a value and how often it comes."""
    values, lengths = zip(*runs, strict=True)
    return np.repeat(values, lengths)[np.newaxis]


SEGMENTS = row((0, 10), (1, 10), (2, 10), (3, 10))
FEATURES = np.array([[0.0], [0.1], [0.6], [1.0]])


@pytest.mark.parametrize(
    ("strokes", "labels", "label_all", "expected"),
    [
        pytest.param(
            row((2, 5), (0, 25), (7, 5), (0, 5)), row((2, 20), (7, 20)), False, [2, 2, 7, 7],
            id="by the network and by features",
        ),
        pytest.param(
            row((2, 5), (0, 25), (7, 5), (0, 5)), row((2, 10), (4, 20), (7, 10)), False,
            [2, 0, 0, 7], id="none where the network gives another label",
        ),
        pytest.param(
            row((2, 5), (0, 25), (7, 5), (0, 5)), row((2, 10), (4, 20), (7, 10)), True,
            [2, 2, 7, 7], id="the nearest everywhere",
        ),
        pytest.param(
            row((2, 5), (0, 25), (7, 5), (0, 5)), row((2, 10), (4, 5), (2, 5), (7, 20)), False,
            [2, 2, 7, 7], id="half of the pixels are enough",
        ),
        pytest.param(
            row((2, 5), (0, 25), (7, 5), (0, 5)), row((2, 10), (4, 6), (2, 4), (7, 20)), False,
            [2, 0, 7, 7], id="less than half are not",
        ),
    ],
)  # fmt: skip
def test_segments_get_the_labels_of_strokes(strokes, labels, label_all, expected):
    found = propagate_strokes(
        SEGMENTS, FEATURES, strokes.astype(np.uint8), labels.astype(np.uint8), label_all=label_all
    )
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("strokes", "labels", "expected"),
    [
        pytest.param(
            row((0, 3), (5, 9), (0, 18), (6, 10)), row((5, 10), (4, 10), (6, 20)), [5, 6, 6, 6],
            id="not where it has less than a third of its greatest part",
        ),
        pytest.param(
            row((0, 4), (5, 8), (0, 18), (6, 10)), row((5, 10), (4, 10), (6, 20)), [5, 5, 6, 6],
            id="where it has a third",
        ),
        pytest.param(
            row((5, 9), (0, 2), (5, 2), (0, 17), (6, 10)), row((5, 10), (4, 10), (6, 20)),
            [5, 5, 6, 6], id="where a stroke of its own lies, however short",
        ),
        pytest.param(
            row((5, 9), (0, 2), (5, 8), (0, 11), (6, 10)), row((5, 10), (6, 30)), [5, 6, 6, 6],
            id="not where the network gives most pixels to another stroke",
        ),
        pytest.param(
            row((5, 9), (0, 2), (5, 8), (0, 11), (6, 10)), row((5, 10), (6, 4), (4, 6), (6, 20)),
            [5, 5, 6, 6], id="where it gives less than half to another stroke",
        ),
        pytest.param(
            row((0, 10), (5, 8), (0, 12), (6, 10)), row((5, 10), (6, 30)), [5, 5, 5, 6],
            id="where else there would be no such segment",
        ),
    ],
)  # fmt: skip
def test_a_stroke_names_the_segment_under_it(strokes, labels, expected):
    # but for the first all segments look like the last
    features = np.array([[0.0], [0.97], [0.98], [1.0]])
    strokes, labels = strokes.astype(np.uint8), labels.astype(np.uint8)
    found = propagate_strokes(SEGMENTS, features, strokes, labels, label_all=True)
    assert found.tolist() == expected


@pytest.mark.parametrize(("between", "expected"), [(0.44, 1), (0.56, 2)])
def test_of_two_strokes_the_nearer_one_names_a_segment(between, expected):
    # the network is of two minds: its half and half is as far from the one as from the other
    segments, labels = row((0, 4), (1, 4), (2, 4)), row((1, 6), (2, 6))
    strokes = row((1, 4), (0, 4), (2, 4))
    features = np.array([[0.0], [between], [1.0]])
    found = propagate_strokes(segments, features, strokes, labels)
    assert found.tolist() == [1, expected, 2]


def test_pixels_that_take_no_part_do_not_count():
    segments = row((0, 4), (-1, 20), (1, 4))
    strokes = row((1, 4), (0, 20), (2, 4))
    labels = row((1, 4), (0, 20), (2, 4))
    assert propagate_strokes(segments, np.zeros((2, 1)), strokes, labels).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("groups", "strokes", "expected"),
    [
        pytest.param([0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 1, 1], id="no stroke"),
        pytest.param([0, 0, 1, 1], [3, 0, 3, 3], [0, 0, 1, 1], id="one label each"),
        pytest.param([0, 0, 1, 1], [0, 2, 1, 2], [0, 0, 3, 5], id="two in one"),
        pytest.param([-1, 0, 0, 0], [0, 1, 2, 0], [-1, 1, 2, 0], id="one is in no group"),
    ],
)
def test_groups_are_divided_where_strokes_differ(groups, strokes, expected):
    assert split_by_stroke(np.array(groups), np.array(strokes)).tolist() == expected


def test_pixels_under_strokes_get_their_labels():
    labels = np.array([[1, 2, 3]], dtype=np.uint8)
    assert apply_strokes(labels, None) is labels
    assert apply_strokes(labels, np.array([[0, 9, 0]], np.uint8)).tolist() == [[1, 9, 3]]


DABS = row((1, 5), (0, 25), (2, 5), (0, 5))


@pytest.mark.parametrize(
    ("strokes", "guess", "expected"),
    [
        pytest.param(DABS, [0, 0, 0, 0], [1, 1, 0, 0], id="by features alone"),
        pytest.param(DABS, [1, 1, 1, 0], [1, 1, 1, 0], id="a guess that fits helps"),
        pytest.param(DABS, [0, 0, 0, 1], [1, 1, 1, 0], id="the opposite of one that does not"),
        pytest.param(DABS, [1, 0, 1, 1], [1, 1, 0, 0], id="one that tells neither"),
        pytest.param(
            row((1, 5), (2, 5), (0, 20), (2, 10)), [0] * 4, [0, 0, 0, 0], id="a tie is ground"
        ),
    ],
)
def test_segments_like_stroked_ones_are_objects(strokes, guess, expected):
    is_guessed = np.repeat(np.array(guess, bool), 10)[np.newaxis]
    features = np.array([[0.0], [0.1], [0.52], [1.0]])
    found = find_stroked_objects(SEGMENTS, features, strokes.astype(np.uint8), is_guessed)
    assert found.tolist() == [bool(one) for one in expected]


@pytest.mark.parametrize(
    ("strokes", "expected"),
    [
        pytest.param(row((2, 5), (0, 25), (7, 5), (0, 5)), [2, 2, 7, 7], id="the nearest"),
        pytest.param(row((0, 5), (7, 5), (0, 25), (2, 5)), [7, 7, 2, 2], id="greater labels first"),
        pytest.param(row((2, 9), (7, 1), (0, 20), (7, 10)), [2, 2, 7, 7], id="most of the pixels"),
        pytest.param(row((2, 10), (2, 3), (0, 17), (7, 9), (0, 1)), [2, 2, 7, 7], id="an end"),
        pytest.param(row((2, 5), (0, 5), (3, 5), (0, 20), (7, 5)), [2, 3, 7, 7], id="three kinds"),
    ],
)
def test_each_segment_is_of_the_kind_that_it_looks_like(strokes, expected):
    assert find_kinds(SEGMENTS, FEATURES, strokes.astype(np.uint8)).tolist() == expected
