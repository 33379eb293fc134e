import subprocess
from contextvars import copy_context

import numpy as np
import pytest

from napari_unsupseg.linkage import BESIDE_WINDOW, link_regions


def link_beside_a_window(*arguments):
    def link():
        BESIDE_WINDOW.set(True)
        return link_regions(*arguments)

    return copy_context().run(link)


@pytest.fixture
def grid():
    """Return regions on a grid of 50 × 50: their number, neighbours, weights and lengths."""
    numbers = np.arange(2500).reshape(50, 50)
    right = np.stack([numbers[:, :-1], numbers[:, 1:]], axis=-1).reshape(-1, 2)
    below = np.stack([numbers[:-1], numbers[1:]], axis=-1).reshape(-1, 2)
    pairs = np.concatenate([right, below])
    weights, lengths = np.random.default_rng(0).random((2, len(pairs))) + 0.1
    return 2500, pairs, weights, lengths


def test_beside_a_window_another_process_makes_the_same_groups(grid, monkeypatch):
    calls = []
    begin = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: calls.append(a) or begin(*a, **k))
    expected = link_regions(*grid, 40)
    assert not calls
    assert len(np.unique(expected)) == 40
    groups = link_beside_a_window(*grid, 40)
    assert len(calls) == 1
    np.testing.assert_array_equal(groups, expected)


def test_groups_are_made_where_no_process_can_be_begun(grid, monkeypatch):
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    groups = link_beside_a_window(*grid, 40)
    np.testing.assert_array_equal(groups, link_regions(*grid, 40))
