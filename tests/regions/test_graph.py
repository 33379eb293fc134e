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


def graph_of_three(means=(0.1, 0.5, 0.9), history=((1, 1, 2),)):
    """Return the graph of three regions of four pixels in a row."""
    regions = np.repeat([[0, 1, 2]], 2, axis=0).repeat(2, axis=1)
    colours = np.array(means, dtype=np.float32)[regions][..., np.newaxis]
    snapshots = [np.array(labels, dtype=np.uint8)[regions] for labels in history]
    return build_region_graph(regions, colours, snapshots, [1])


def test_features_are_colours_contrasts_and_labels():
    found = graph_of_three(means=(0.1, 0.5, 0.8), history=((1, 1, 2), (4, 3, 3))).features()
    np.testing.assert_allclose(found[:, 0], [0.1, 0.5, 0.8], rtol=1e-6)
    # the neighbours of the one in the middle have a mean of 0.45
    np.testing.assert_allclose(found[:, 1], [-0.4, 0.05, 0.3], rtol=1e-6)
    # of two snapshots the first two agree in the first, the last two in the second
    labels = found[:, 2:]
    distances = np.linalg.norm(labels[:, np.newaxis] - labels, axis=2)
    a_half = 0.33 * 0.5**0.5
    np.testing.assert_allclose(
        distances, [[0, a_half, 0.33], [a_half, 0, a_half], [0.33, a_half, 0]], atol=1e-6
    )


def test_a_region_without_neighbours_has_no_contrast():
    regions = np.array([[0, -1, 1]])
    colours = np.array([[[0.2], [0], [0.9]]], dtype=np.float32)
    graph = build_region_graph(regions, colours, [np.ones((1, 3), np.uint8)], [1])
    assert graph.features()[:, 1].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("means", "n_clusters", "among", "expected"),
    [
        pytest.param((0.1, 0.5, 0.9), 3, None, [0, 1, 2], id="all"),
        pytest.param((0.9, 0.5, 0.1), 3, None, [2, 1, 0], id="from the darkest"),
        pytest.param((0.9, 0.1, 0.8), 2, None, [1, 0, 1], id="what looks alike"),
        pytest.param((0.9, 0.1, 0.8), 7, None, [2, 0, 1], id="no more than there are"),
        pytest.param((0.9, 0.1, 0.8), 7, [True, False, True], [1, 0], id="some of them"),
        pytest.param((0.9, 0.1, 0.8), 1, [False, True, True], [0, 0], id="one of some"),
    ],
)
def test_clusters_of_regions(means, n_clusters, among, expected):
    graph = graph_of_three(means)
    found = graph.cluster_ward(n_clusters, None if among is None else np.array(among))
    assert found.tolist() == expected


def test_small_regions_merge_with_what_they_touch():
    regions = np.array([[0, 0, 0, 0, 1, 2, 2, 2, -1, 3]])
    colours = np.array([0.1, 0.3, 0.9, 0.5, 0], np.float32)[regions][..., np.newaxis]
    graph = build_region_graph(regions, colours, [np.ones_like(regions, np.uint8)], [1])
    for min_pixels, expected in ((1, [0, 1, 2, 3]), (2, [0, 0, 1, 2]), (4, [0, 0, 0, 1])):
        groups = graph.merge_small(min_pixels)
        same = groups[:, np.newaxis] == groups
        np.testing.assert_array_equal(same, np.equal.outer(expected, expected))
        assert set(groups) == set(expected)


def test_groups_of_strokes_have_their_label():
    regions = np.array([[0, 1, 2, 3]])
    strokes = np.array([[0, 7, 0, 2]], dtype=np.uint8)
    flat, ones = np.zeros((1, 4, 1), np.float32), [np.ones((1, 4), np.uint8)]
    graph = build_region_graph(regions, flat, ones, [1], strokes=strokes)
    contracted = graph.contract(np.array([1, 1, 0, 0]))
    assert contracted.sums.strokes.tolist() == [2, 7]
    assert contracted.borders.lengths.tolist() == [1]
