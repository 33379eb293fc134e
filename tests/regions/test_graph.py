"""Groups of regions, and how they look."""

import numpy as np
import pytest

from napari_unsupseg._generators import run_to_end
from napari_unsupseg.regions.dissimilarity import border_dissimilarities
from napari_unsupseg.regions.graph_builder import build_region_graph
from napari_unsupseg.regions.merging import merge_regions


@pytest.mark.parametrize("seed", range(5))
def test_regions_merge_as_if_all_were_measured_anew_each_time(seed):
    rng = np.random.default_rng(seed)
    regions = np.kron(np.arange(12).reshape(3, 4), np.ones((4, 4), dtype=np.int64))
    colours = rng.random((*regions.shape, 2)).astype(np.float32)
    history = [rng.integers(1, 5, regions.shape).astype(np.uint8) for _ in range(3)]
    graph = build_region_graph(regions, colours, history, [1, 1])
    merging = run_to_end(merge_regions(graph.sums, graph.borders, graph.weights, growth=1))
    for expected in merging.dissimilarities:
        anew = build_region_graph(regions, colours, history, [1, 1])
        found = border_dissimilarities(anew.sums, anew.borders, anew.weights)
        assert found.min() == pytest.approx(expected, rel=1e-5)
        one, other = anew.borders.pairs[found.argmin()]
        regions[regions == other] = one
        regions = np.unique(regions, return_inverse=True)[1].reshape(regions.shape)
    assert regions.max() == 0


def test_groups_of_regions_are_as_if_described_anew():
    rng = np.random.default_rng(0)
    regions = np.kron(np.arange(12).reshape(3, 4), np.ones((4, 4), dtype=np.int64))
    groups = np.array([0, 0, 1, 1, 0, 2, 2, 1, 3, 3, 2, 2])
    colours = rng.random((*regions.shape, 2)).astype(np.float32)
    history = [rng.integers(1, 5, regions.shape).astype(np.uint8) for _ in range(3)]
    found = build_region_graph(regions, colours, history, [1, 1]).contract(groups)
    anew = build_region_graph(groups[regions], colours, history, [1, 1])
    for one, other in zip(found.sums + found.borders, anew.sums + anew.borders, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
