import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unsupseg.regions.pair_table import find, make_table, put

regions = st.integers(0, 2**31 - 1) | st.integers(0, 20)


@settings(deadline=None)
@given(st.lists(st.tuples(regions, regions, st.integers(0, 1000)), max_size=40))
def test_a_table_is_a_dict_of_unordered_pairs(entries):
    table, expected = make_table(80), {}
    for one, other, number in entries:
        pair = frozenset((one, other))
        assert put(table, one, other, number) == (pair not in expected)
        expected[pair] = number
        assert find(table, one, other) == find(table, other, one) == number
    for one, other, _ in entries:
        assert find(table, one, other) == expected[frozenset((one, other))]
        assert find(table, one, 2**31 - 2) == expected.get(frozenset((one, 2**31 - 2)), -1)


@pytest.mark.parametrize(("size", "n_rows"), [(0, 16), (16, 16), (17, 32), (1000, 1024)])
def test_the_rows_of_a_table(size, n_rows):
    assert make_table(size).shape == (n_rows, 2)


def test_pairs_are_spread():
    # half full, a pair is as a rule a row or two from where it should be
    numbers = np.arange(512)
    table = make_table(2048)
    for number in numbers:
        put(table, number, number + 1, number)
        put(table, number, number + 32, number)
    runs = np.split(table[:, 0] >= 0, np.flatnonzero(np.diff(table[:, 0] >= 0)) + 1)
    assert max(len(run) for run in runs if run[0]) < 64
