"""What is left after an edit, pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_unsupseg.regions.object_edits import (
    draw_path,
    find_alike,
    join_objects,
    remove_objects,
    split_object,
)

from .helpers import picture

LABELS = arrays(np.uint16, (6, 7), elements=st.integers(0, 4))


def line(*rows: str) -> np.ndarray:
    """Return where an x is."""
    return np.array([[sign == "x" for sign in row] for row in rows])


@pytest.mark.parametrize(
    ("labels", "path", "expected"),
    [
        pytest.param(
            picture("1111111", "1111111"), line("..x....", "..x...."),
            picture("9911111", "9911111"), id="the larger part keeps its number and the line",
        ),
        pytest.param(
            picture("1111", "1111", "1111"), line("x...", ".x..", "..x."),
            picture("1111", "9111", "9911"), id="corner to corner",
        ),
        pytest.param(
            picture("11111", "11111"), line("..x..", "....."), picture("11111", "11111"),
            id="a line that ends inside splits nothing",
        ),
        pytest.param(
            picture("111.222", "111.222"), line(".x.....", ".x....."),
            picture("119.222", "119.222"), id="another object stays",
        ),
        pytest.param(
            picture("1111.11", "1111.11"), line(".x.....", ".x....."),
            picture("9111.11", "9111.11"), id="a piece that no line crosses stays",
        ),
        pytest.param(
            picture("11.11"), line("..x.."), picture("11.11"), id="a line beside it splits nothing",
        ),
        pytest.param(
            picture("1111111111"), line("..x...x.x."), picture("9911111111"),
            id="two parts, whatever crumbs there are",
        ),
    ],
)  # fmt: skip
def test_an_object_is_split_where_a_line_crosses_it(labels, path, expected):
    split = split_object(labels, 1, path, 9)
    np.testing.assert_array_equal(split, expected)
    assert split.dtype == labels.dtype


def test_a_volume_is_split_by_a_surface():
    labels = np.ones((3, 2, 5), np.uint16)
    path = np.zeros(labels.shape, bool)
    path[:, :, 1] = True
    expected = np.ones_like(labels)
    expected[:, :, 0] = 2
    found = split_object(labels, 1, path, 2)
    np.testing.assert_array_equal(found[..., 2:], expected[..., 2:])
    assert (found[..., 0] == 2).all()


@given(LABELS, arrays(bool, (6, 7)))
def test_a_split_moves_no_outline(labels, path):
    split = split_object(labels, 1, path, 9)
    np.testing.assert_array_equal(np.where(split == 9, 1, split), labels)


@given(LABELS, st.sets(st.integers(1, 4)))
def test_only_what_is_removed_goes(labels, removed):
    left = remove_objects(labels, removed)
    gone = np.isin(labels, list(removed))
    assert not left[gone].any()
    np.testing.assert_array_equal(left[~gone], labels[~gone])


@given(LABELS)
def test_joined_objects_have_the_first_number(labels):
    joined = join_objects(labels, 1, 2)
    np.testing.assert_array_equal(joined == 1, (labels == 1) | (labels == 2))
    np.testing.assert_array_equal(joined[labels != 2], labels[labels != 2])


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        pytest.param([[0, 0], [0, 3]], line("xxxx", "....", "...."), id="along a row"),
        pytest.param([[0, 0], [2, 2]], line("x...", ".x..", "..x."), id="a diagonal"),
        pytest.param([[0.4, 0], [0, 1], [2, 1]], line("xx..", ".x..", ".x.."), id="a corner"),
        pytest.param([[-2, 1], [4, 1]], line(".x..", ".x..", ".x.."), id="beyond the image"),
        pytest.param([[1, 1]], line("....", "....", "...."), id="a point is no line"),
    ],
)
def test_a_path_is_drawn(points, expected):
    np.testing.assert_array_equal(draw_path(points, (3, 4)), expected)


FEATURES = {
    "index": [2, 3, 5, 7],
    "area_um2": [100, 100, 100, 1000],
    "mean_intensity_0": [1, 1, 9, 1],
    "mean_intensity_1": [4, 4, 4, 4],  # says nothing
    "axis_major_length_um": [10, 20, 10, 10],
    "axis_minor_length_um": [10, 10, 10, 10],
    "solidity": [1, 1, 1, 1],
}


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        pytest.param(["area_um2"], [2, 3, 5], id="size"),
        pytest.param(["mean_intensity_0", "mean_intensity_1"], [2, 3, 7], id="brightness"),
        pytest.param(
            ["solidity", "axis_minor_length_um", "axis_major_length_um"], [2, 5, 7], id="shape"
        ),
        pytest.param(list(FEATURES)[1:], [2], id="all of them"),
    ],
)
def test_alike_are_those_of_which_nothing_differs_much(columns, expected):
    features = {name: FEATURES[name] for name in ["index", *columns]}
    assert find_alike(features, 2, 0.5).tolist() == expected
    assert find_alike(features, 2, 0).tolist() == [2, 3, 5, 7]


def test_similarity_falls_with_standard_deviations():
    # logarithms of 0, 1 and 2, of which the standard deviation is √(2/3)
    features = {"index": [1, 2, 3], "area": np.exp([0, 1, 2])}
    similarity = 1 / (1 + 1 / np.sqrt(2 / 3))
    assert find_alike(features, 1, similarity + 0.01).tolist() == [1]
    assert find_alike(features, 1, similarity - 0.01).tolist() == [1, 2]
