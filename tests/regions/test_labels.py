import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unsupseg.regions.labels import connected_components, label_dtype

labels = hnp.arrays(np.uint8, (7, 8), elements=st.integers(0, 3))


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
