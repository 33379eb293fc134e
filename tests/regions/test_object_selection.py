import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unsupseg.regions.object_selection import (
    in_polygon,
    in_range,
    most_doubtful_first,
    nearest_point,
    to_unit_range,
)

NAN = float("nan")
HOUSE = [(0, 0), (4, 0), (4, 3), (2, 5), (0, 3)]


def test_both_ends_are_in_a_range_and_nan_is_not():
    assert in_range([1, 2, 2.5, 3, 3.1, NAN], 2, 3).tolist() == [
        False, True, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("x", "y", "is_in"),
    [
        pytest.param(1, 1, True, id="in the square"),
        pytest.param(2, 4.5, True, id="below the top"),
        pytest.param(0.5, 4.5, False, id="in the box around, beside the roof"),
        pytest.param(5, 1, False, id="beside"),
        pytest.param(NAN, 1, False, id="no x"),
        pytest.param(1, NAN, False, id="no y"),
    ],
)
def test_points_in_a_polygon(x, y, is_in):
    assert in_polygon([x], [y], HOUSE).tolist() == [is_in]
    assert in_polygon([x], [y], HOUSE[::-1]).tolist() == [is_in]  # whichever way it was drawn


def test_what_an_outline_goes_round_twice_is_outside():
    square = [(0, 0), (4, 0), (4, 4), (0, 4)]
    inner = [(1, 1), (3, 1), (3, 3), (1, 3)]
    twice = [*square, square[0], *inner, inner[0]]
    assert in_polygon([0.5, 2], [0.5, 2], twice).tolist() == [True, False]


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), max_size=20), st.floats(1e-6, 1e6))
def test_units_of_an_axis_change_nothing(points, factor):
    x, y = np.array(points).reshape(-1, 2).T
    x = x[np.abs(x - 4) > 1e-3]
    y = y[: len(x)]
    x = x[: len(y)]
    off_edges = np.min([np.abs(x - edge) for edge in (0, 2, 4)], axis=0, initial=9) > 1e-6
    scaled = in_polygon(x * factor, y, [(a * factor, b) for a, b in HOUSE])
    np.testing.assert_array_equal(scaled[off_edges], in_polygon(x, y, HOUSE)[off_edges])


@pytest.mark.parametrize(
    ("at", "nearest"),
    [
        pytest.param((0.4, 30), 0, id="beside the first"),
        pytest.param((9.5, 1000), 1, id="beside the second"),
        pytest.param((5, 500), None, id="beside none"),
        pytest.param((1.5, 150), None, id="in reach of x and of y, but not of both"),
        pytest.param((1, 0), 0, id="just in reach"),
    ],
)
def test_the_nearest_point_in_reach(at, nearest):
    assert nearest_point([0, 10, NAN], [0, 1000, 1], at, reach=(2, 200)) == nearest


def test_no_point_is_nearest_where_there_is_none():
    assert nearest_point([], [], (0, 0), (1, 1)) is None
    assert nearest_point([NAN], [0], (0, 0), (1, 1)) is None


def test_the_lowest_score_comes_first_and_none_without_one():
    assert most_doubtful_first([0.5, NAN, 0.1, 0.5, 0]).tolist() == [4, 2, 0, 3]
    assert most_doubtful_first([]).tolist() == []


def test_colours_span_all_but_a_hundredth_at_each_end():
    positions = to_unit_range([0, 1, 50, 99, 100, NAN], reference=[*range(101), NAN])
    np.testing.assert_allclose(positions, [0, 0, 0.5, 1, 1, NAN])


def test_one_value_has_the_colour_of_the_middle():
    np.testing.assert_array_equal(to_unit_range([3, NAN], [3, 3]), [0.5, NAN])
