import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unsupseg.regions.labels import connected_components, label_dtype
from napari_unsupseg.regions.measure import combine_measurements, measure_regions

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


def test_a_region_table_measures_each_label():
    labels = np.array([[3, 3, 0], [3, 1, 1]], dtype=np.uint8)
    table = measure_regions(labels, np.array([[[1, 2, 9], [6, 4, 8]], [[0, 0, 9], [0, 1, 1]]]))
    assert table["label"].tolist() == [1, 3]
    assert table["area"].tolist() == [2, 3]
    assert table["centroid_y"].tolist() == pytest.approx([1, 1 / 3])
    assert table["centroid_x"].tolist() == pytest.approx([1.5, 1 / 3])
    assert table["mean_intensity_0"].tolist() == [6, 3]
    assert table["mean_intensity_1"].tolist() == [1, 0]


def test_a_region_table_in_physical_units():
    labels = np.array([[3, 3, 0], [3, 1, 1]], dtype=np.uint8)
    table = measure_regions(labels, labels[np.newaxis], spacing=(2, 0.5), unit="um")
    assert table["area_um2"].tolist() == [2, 3]
    assert table["centroid_y_um"].tolist() == pytest.approx([2, 2 / 3])
    assert table["centroid_x_um"].tolist() == pytest.approx([0.75, 1 / 6])
    assert table["mean_intensity"].tolist() == [1, 3]


@given(labels, st.integers(1, 6), st.integers(1, 7))
def test_the_tables_of_parts_are_the_table_of_the_whole(clusters, row, column):
    channels = np.random.default_rng(0).random((2, *clusters.shape))
    units = {"spacing": (2, 0.5), "unit": "um"}
    parts = [
        measure_regions(
            clusters[tuple(map(slice, corner, end))],
            channels[:, *map(slice, corner, end)],
            corner=corner,
            **units,
        )
        for corner, end in [
            ((0, 0), (row, column)), ((0, column), (row, 8)),
            ((row, 0), (7, column)), ((row, column), (7, 8)),
        ]
    ]  # fmt: skip
    joined, whole = combine_measurements(parts), measure_regions(clusters, channels, **units)
    assert joined.keys() == whole.keys()
    for name, expected in whole.items():
        np.testing.assert_allclose(joined[name], expected, err_msg=name)
