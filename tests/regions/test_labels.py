import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unsupseg.regions.labels import (
    connected_components,
    label_dtype,
    label_regions,
    map_labels,
    stack_frames,
)

labels = hnp.arrays(np.uint8, (7, 8), elements=st.integers(0, 3))


@settings(deadline=None)
@given(labels)
def test_a_segment_lies_in_one_cluster_and_is_whole(clusters):
    segments = connected_components(clusters)
    np.testing.assert_array_equal(segments == 0, clusters == 0)
    for segment in range(1, segments.max() + 1):
        assert len(np.unique(clusters[segments == segment])) == 1
    for axis in (0, 1):
        pairs = [np.moveaxis(array, axis, 0) for array in (clusters, segments)]
        same_cluster, same_segment = (array[1:] == array[:-1] for array in pairs)
        np.testing.assert_array_equal(same_cluster, same_segment)


@pytest.mark.parametrize(
    ("n_labels", "dtype"),
    [(255, np.uint8), (256, np.uint16), (65_535, np.uint16), (65_536, np.uint32)],
)
def test_the_dtype_is_the_smallest_that_holds_the_labels(n_labels, dtype):
    assert label_dtype(n_labels) is dtype
    assert np.iinfo(dtype).max >= n_labels


def test_many_segments_keep_their_ids():
    clusters = np.indices((40, 40)).sum(axis=0) % 2 + 1
    segments = connected_components(clusters.astype(np.uint8))
    assert segments.dtype == np.uint16
    np.testing.assert_array_equal(np.unique(segments), np.arange(1, 1601))


@pytest.mark.parametrize(
    ("are_numbered", "expected"),
    [
        (True, [[[0, 1, 2]], [[3, 0, 3]], [[4, 4, 0]]]),
        (False, [[[0, 1, 2]], [[1, 0, 1]], [[1, 1, 0]]]),
    ],
    ids=["segments", "clusters"],
)
def test_frames_are_stacked(are_numbered, expected):
    frames = [np.array([row], dtype=np.uint8) for row in ([0, 1, 2], [1, 0, 1], [1, 1, 0])]
    found = stack_frames(frames, [3], are_numbered=are_numbered)
    assert found.tolist() == expected
    assert stack_frames(frames, [3, 1], are_numbered=are_numbered).shape == (3, 1, 1, 3)
    assert found.dtype == np.uint8


def test_stacked_segments_have_the_dtype_that_they_need():
    frames = [np.arange(1, 201, dtype=np.uint8)[np.newaxis]] * 2
    found = stack_frames(frames, [2], are_numbered=True)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found.ravel(), np.arange(1, 401))


@pytest.mark.parametrize(("greatest", "dtype"), [(254, np.uint8), (255, np.uint16)])
def test_numbers_of_regions_are_labels_from_1(greatest, dtype):
    found = map_labels(np.array([greatest, 0]), np.array([[1, 0, -1]]))
    assert found.dtype == dtype
    assert found.tolist() == [[1, greatest + 1, 0]]


@pytest.mark.parametrize(
    ("spatial_ndim", "expected"),
    [
        pytest.param(2, [[[1, 0, 2]], [[3, 0, 4]], [[0, 5, 5]]], id="frames"),
        pytest.param(3, [[[1, 0, 2]], [[1, 0, 3]], [[0, 4, 4]]], id="a volume"),
    ],
)
def test_regions_are_numbered_frame_after_frame(spatial_ndim, expected):
    labels = np.array([[[1, 0, 2]], [[1, 0, 1]], [[0, 3, 3]]])
    assert label_regions(labels, spatial_ndim).tolist() == expected
