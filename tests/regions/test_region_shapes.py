import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_unsupseg.regions import region_shapes
from napari_unsupseg.regions.region_shapes import (
    measure_roundness,
    node_shapes,
    object_shapes,
    quantize,
)
from tests.regions.helpers import PLANE, ball


def ring_around(region, spacing):
    distance = ndimage.distance_transform_edt(~region, sampling=spacing)
    return (distance > 0) & (distance <= region_shapes.RING)


def contrasts(intensities, inside, ring, valid):
    """Return how much brighter and darker a region is, straight from its pixels."""
    low, high = np.quantile(intensities[valid], [0.001, 0.999])
    scaled = (intensities - low) / max(high - low, 1e-6) * region_shapes.BINS
    bins, deviation = scaled.clip(0, region_shapes.BINS - 1).astype(int), scaled[valid].std()

    def quantile(pixels, share):
        counts = np.cumsum(np.bincount(bins[pixels], minlength=region_shapes.BINS))
        return np.count_nonzero(counts < share * counts[-1])

    if not (ring & valid).any():
        return 0.0, 0.0
    return (
        (quantile(inside, 0.45) - quantile(ring & valid, 0.75)) / deviation,
        (quantile(ring & valid, 0.25) - quantile(inside, 0.55)) / deviation,
    )


@settings(deadline=None)  # what is compiled takes seconds
@given(
    seed=st.integers(0, 1000),
    shape=st.sampled_from([(9, 11), (2, 8, 9), (5, 7, 8)]),
    share_valid=st.sampled_from([1.0, 0.8]),
)
def test_nodes_are_measured_as_their_pixels_are(seed, shape, share_valid):
    random = np.random.default_rng(seed)
    spacing = np.array([2.0, 1, 1]) if shape[0] == 5 else PLANE
    frame_ndim, n_fragments = len(spacing), 7
    fragments = random.integers(0, n_fragments, shape)
    fragments.flat[:n_fragments] = np.arange(n_fragments)
    valid = random.random(shape) < share_valid
    valid.flat[:n_fragments] = True
    fragments[~valid] = -1
    intensities = random.random(shape)
    merges, roots = [], list(range(n_fragments))
    while len(roots) > 1:
        pair = [roots.pop(random.integers(len(roots))) for _ in range(2)]
        roots.append(n_fragments + len(merges))
        merges.append(pair)
    nodes = node_shapes(quantize(intensities, valid), fragments, np.array(merges), spacing)
    inside = [fragments == fragment for fragment in range(n_fragments)]
    for one, other in merges:
        inside.append(inside[one] | inside[other])
    for node, region in enumerate(inside):
        ring = np.zeros(shape, bool)
        for frame in np.ndindex(shape[:-frame_ndim]):
            if region[frame].any():
                ring[frame] = ring_around(region[frame], spacing)
        expected = contrasts(intensities, region, ring, valid)
        assert nodes.areas[node] == region.sum()
        np.testing.assert_allclose((nodes.brighter[node], nodes.darker[node]), expected)


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        pytest.param(ball((60, 60), (30, 30), (20, 20)), 1.0, id="a disc"),
        pytest.param(ball((60, 90), (30, 45), (10, 40)), 1.0, id="an ellipse"),
        pytest.param(ball((40, 40, 40), (20, 20, 20), (18, 12, 9)), 1.0, id="an ellipsoid"),
        pytest.param(np.ones((20, 50), bool), np.pi / 3, id="a rectangle"),
    ],
)
def test_roundness_is_that_of_the_shape(region, expected):
    expected = min(expected, 1 / expected)
    _, roundness = measure_roundness(
        region.astype(int) - 1, np.empty((0, 2), np.int64), region.ndim
    )
    assert roundness[0] == pytest.approx(expected, abs=0.02)


def test_objects_are_compared_with_ground_alone():
    image = np.zeros((20, 60))
    image[:, 20:] = 10.0  # a bright object at the right, and a dim one that touches it
    objects = np.zeros(image.shape, int)
    objects[5:15, 10:20], objects[5:15, 20:30] = 1, 2
    image[5:15, 10:20], image[:, 20:30] = 5.0, 0
    image[5:15, 20:30] = 10.0
    shapes = object_shapes(quantize(image, np.ones(image.shape, bool)), objects, PLANE)
    deviation = image.std() / np.ptp(image) * region_shapes.BINS
    assert shapes.brighter[0] == pytest.approx(region_shapes.BINS / 2 / deviation)
    assert shapes.areas.tolist() == [100, 100]


@pytest.mark.parametrize(("share_of_gaps", "stands_out"), [(0.4, True), (0.5, False)])
def test_a_heap_that_is_half_of_gaps_does_not_stand_out(share_of_gaps, stands_out):
    heap = np.zeros((30, 30), int)
    heap[5:25, 5:25] = 1
    image = np.zeros(heap.shape)
    image[5:25, 5:25] = np.arange(20) >= share_of_gaps * 20
    shapes = object_shapes(quantize(image, heap >= 0), heap, PLANE)
    assert (shapes.brighter[0] > 0) == stands_out
    assert shapes.darker[0] <= 0


def test_what_fills_all_has_no_contrast():
    everything = np.ones((8, 8), int)
    shapes = object_shapes(quantize(np.eye(8), everything > 0), everything, PLANE)
    assert (shapes.brighter[0], shapes.darker[0]) == (0, 0)
