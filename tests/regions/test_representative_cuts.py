"""Which granularities stand for all others."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import variation_of_information

from napari_unsupseg import Hierarchy
from napari_unsupseg.errors import SettingError
from napari_unsupseg.regions.graph import groups_from_merges
from napari_unsupseg.regions.representative_cuts import representative_granularities

from .helpers import blobs, hierarchy_of

LEVELS = np.arange(1, 100) / 100
# four fragments merge two by two, the second two soon after the first, then all
PAIRS, BRIEF = [[0, 1], [2, 3], [4, 5]], [0.4, 0.41, 0.8]
# one takes up the others, one after the other
CHAIN, ONE_BY_ONE = [[0, 1], [4, 2], [5, 3]], [0.3, 0.5, 0.55]


def pairs(merges):
    return np.array(merges, dtype=int).reshape(-1, 2)


def chosen(merges, granularities, areas, n):
    return representative_granularities(
        pairs(merges), np.array(granularities), np.array(areas), n
    ).tolist()


@pytest.mark.parametrize(
    ("merges", "granularities", "areas", "n", "expected"),
    [
        pytest.param(PAIRS, BRIEF, [25] * 4, 1, [0.6], id="the longest, amid the others"),
        pytest.param(PAIRS, BRIEF, [25] * 4, 2, [0.2, 0.6], id="the two longest"),
        pytest.param(PAIRS, BRIEF, [25] * 4, 3, [0.2, 0.6, 0.89], id="all but the brief one"),
        pytest.param(PAIRS, BRIEF, [25] * 4, 9, [0.2, 0.4, 0.6, 0.89], id="all that there are"),
        # fragment 1 is a crumb: with or without it the cut is the same, however long either lives
        pytest.param(CHAIN, ONE_BY_ONE, [499, 1, 250, 250], 3, [0.39, 0.52, 0.77], id="no crumb"),
        pytest.param(CHAIN, ONE_BY_ONE, [250] * 4, 3, [0.15, 0.39, 0.77], id="a part of the image"),
        pytest.param(PAIRS, [0.5, 0.5, 0.5], [25] * 4, 3, [0.25, 0.74], id="all at once"),
        pytest.param([], [], [100], 5, [0.5], id="one fragment"),
    ],
)
def test_what_lives_long_and_is_unlike_the_rest_is_chosen(
    merges, granularities, areas, n, expected
):
    assert chosen(merges, granularities, areas, n) == pytest.approx(expected)


@st.composite
def hierarchies(draw):
    """Return merges, granularities and areas of a few fragments."""
    n_fragments = draw(st.integers(1, 7))
    roots, merges = list(range(n_fragments)), []
    for node in range(n_fragments, 2 * n_fragments - 1):
        pair = [roots.pop(draw(st.integers(0, len(roots) - 1))) for _ in range(2)]
        merges.append(pair)
        roots.append(node)
    numbers = st.lists(st.floats(0, 1), min_size=n_fragments - 1, max_size=n_fragments - 1)
    areas = st.lists(st.integers(1, 9), min_size=n_fragments, max_size=n_fragments)
    return merges, sorted(draw(numbers)), draw(areas)


@settings(max_examples=60, deadline=None)
@given(hierarchies(), st.integers(1, 4))
def test_no_other_cuts_are_nearer_to_all(hierarchy, n):
    merges, granularities, areas = hierarchy
    found = chosen(merges, granularities, areas, n)
    n_merges = np.searchsorted(granularities, LEVELS, side="right")
    cuts, of_levels = np.unique(n_merges, return_inverse=True)
    pixels = [
        np.repeat(groups_from_merges(len(areas), pairs(merges)[:count]), areas) for count in cuts
    ]
    apart = np.array(
        [[sum(variation_of_information(one, other)) for one in pixels] for other in pixels]
    )
    weights = (LEVELS * (1 - LEVELS)) ** 2

    def cost(some):
        return weights @ apart[list(some)].min(axis=0)[of_levels]

    indices = of_levels[np.searchsorted(LEVELS, np.array(found) - 1e-9)]
    assert len(set(indices)) == len(found) == min(n, len(cuts))
    least = min(cost(some) for some in itertools.combinations(range(len(cuts)), len(found)))
    assert cost(indices) == pytest.approx(least, abs=1e-9)


def test_a_hierarchy_names_levels_whose_cuts_differ():
    hierarchy = hierarchy_of(blobs()[0])
    levels = hierarchy.representative_granularities(3)
    numbers = [hierarchy.cut(granularity=level).max() for level in levels]
    assert len(levels) == 3
    assert numbers == sorted(set(numbers), reverse=True)
    assert 7 in numbers  # six squares and the ground
    assert len(hierarchy.representative_granularities()) <= 5


@pytest.mark.parametrize("n", [0, 2.5, True])
def test_numbers_that_cannot_be(n):
    hierarchy: Hierarchy = hierarchy_of(np.zeros((8, 8), np.float32))
    with pytest.raises(SettingError, match="n must be a whole number from 1"):
        hierarchy.representative_granularities(n)
