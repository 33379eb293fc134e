import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from napari_unsupseg.linkage import link_regions


@pytest.fixture
def grid():
    """Return regions on a grid of 50 × 50: their number, neighbours, weights and lengths."""
    numbers = np.arange(2500).reshape(50, 50)
    right = np.stack([numbers[:, :-1], numbers[:, 1:]], axis=-1).reshape(-1, 2)
    below = np.stack([numbers[:-1], numbers[1:]], axis=-1).reshape(-1, 2)
    pairs = np.concatenate([right, below])
    weights, lengths = np.random.default_rng(0).random((2, len(pairs))) + 0.1
    return 2500, pairs, weights, lengths


def test_a_thread_has_the_same_groups_made_by_another_process(grid, monkeypatch):
    calls = []
    begin = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: calls.append(a) or begin(*a, **k))
    expected = link_regions(*grid, 40)
    assert not calls
    assert len(np.unique(expected)) == 40
    with ThreadPoolExecutor() as pool:
        groups = pool.submit(link_regions, *grid, 40).result()
    assert len(calls) == 1
    np.testing.assert_array_equal(groups, expected)


def test_groups_are_made_where_no_process_can_be_begun(grid, monkeypatch):
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with ThreadPoolExecutor() as pool:
        groups = pool.submit(link_regions, *grid, 40).result()
    np.testing.assert_array_equal(groups, link_regions(*grid, 40))
