"""What is measured of labels, in pixels and units, in one piece and in parts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unsupseg.regions.measure import combine_measurements, measure_regions

labels = hnp.arrays(np.uint8, (7, 8), elements=st.integers(0, 3))


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


@settings(deadline=None)
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
