import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unsupseg.regions.optimal_cut import optimal_cut


@st.composite
def forests(draw):
    """Draw merges of a few leaves into one or more trees, and small whole values of the nodes."""
    n_leaves = draw(st.integers(1, 6))
    roots, merges = list(range(n_leaves)), []
    for _ in range(draw(st.integers(0, n_leaves - 1))):
        pair = draw(st.permutations(roots))[:2]
        roots = [root for root in roots if root not in pair] + [n_leaves + len(merges)]
        merges.append(pair)
    n_nodes = n_leaves + len(merges)
    values = draw(st.lists(st.integers(-3, 9), min_size=n_nodes, max_size=n_nodes))
    return np.array(merges, dtype=np.int64).reshape(-1, 2), np.array(values, dtype=float)


def leaves_of(node, merges, n_leaves):
    if node < n_leaves:
        return {node}
    return set().union(*(leaves_of(part, merges, n_leaves) for part in merges[node - n_leaves]))


def best_by_trying_all(merges, values):
    n_leaves, best = len(values) - len(merges), 0.0
    inside = [leaves_of(node, merges, n_leaves) for node in range(len(values))]
    for n_picked in range(1, n_leaves + 1):
        for picked in itertools.combinations(range(len(values)), n_picked):
            if sum(len(inside[node]) for node in picked) == len(
                set().union(*(inside[node] for node in picked))
            ):
                best = max(best, sum(values[node] for node in picked))
    return best


@settings(deadline=None)  # what is compiled takes seconds
@given(forest=forests())
def test_no_other_disjoint_nodes_have_a_larger_sum(forest):
    merges, values = forest
    nodes, total = optimal_cut(merges, values)
    assert total == best_by_trying_all(merges, values)
    picked = np.unique(nodes[nodes >= 0])
    assert values[picked].sum() == total
    for node in picked:
        assert leaves_of(node, merges, len(nodes)) == set(np.flatnonzero(nodes == node))


@pytest.mark.parametrize(
    ("margin", "expected"),
    [
        pytest.param(0.0, [0, 1], id="parts are worth more"),
        pytest.param(1.5, [2, 2], id="but not so much more"),
    ],
)
def test_parts_must_be_worth_more_by_the_margin(margin, expected):
    nodes, _ = optimal_cut(np.array([[0, 1]]), np.array([2.0, 2, 3]), np.array([margin]))
    assert nodes.tolist() == expected
