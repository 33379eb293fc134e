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
    table = measure_regions(labels, labels[np.newaxis], spacing={"y": 2, "x": 0.5}, unit="um")
    assert table["area_um2"].tolist() == [2, 3]
    assert table["centroid_y_um"].tolist() == pytest.approx([2, 2 / 3])
    assert table["centroid_x_um"].tolist() == pytest.approx([0.75, 1 / 6])
    assert table["mean_intensity"].tolist() == [1, 3]


def test_centroids_are_where_the_image_lies():
    where = {"spacing": {"y": 2, "x": 0.5}, "origin": {"y": 100, "x": -1}}
    table = measure_regions(np.ones((3, 5), np.uint8), np.zeros((1, 3, 5)), **where)
    assert (table["centroid_y"], table["centroid_x"]) == ([102], [0])


@pytest.mark.parametrize(
    ("axes", "spacing", "unit", "column", "size"),
    [
        pytest.param("zyx", {}, "", "volume", 24, id="voxels"),
        pytest.param("zyx", {"z": 3, "y": 2, "x": 2}, "um", "volume_um3", 288, id="um3"),
        pytest.param("zyx", {"y": 2, "x": 2}, "um", "area_um2", 96, id="slices of who knows what"),
        pytest.param("tyx", {"y": 2, "x": 2}, "um", "area_um2", 96, id="movie"),
    ],
)
def test_a_stack_has_a_volume(axes, spacing, unit, column, size):
    labels = np.ones((2, 3, 4), np.uint8)
    table = measure_regions(labels, labels[np.newaxis], axes=axes, spacing=spacing, unit=unit)
    assert table[column] == [size]
    assert sum(name.startswith(("area", "volume")) for name in table) == 1


def test_a_movie_of_stacks_is_measured():
    labels = np.zeros((2, 3, 4, 5), np.uint8)
    labels[0, 0, 0, 0] = labels[1, 2, 3, 4] = 7
    labels[1, :, :, 0] = 2
    intensities = np.arange(labels.size, dtype=float).reshape(1, *labels.shape)
    table = measure_regions(labels, intensities, axes="tzyx")
    assert table["label"].tolist() == [2, 7]
    assert table["volume"].tolist() == [12, 2]
    assert table["centroid_t"].tolist() == [1, 0.5]
    assert table["centroid_z"].tolist() == [1, 1]
    assert table["centroid_x"].tolist() == [0, 2]
    assert table["mean_intensity"][1] == intensities[0][labels == 7].mean()


@settings(deadline=None)
@given(labels, st.integers(1, 6), st.integers(1, 7))
def test_the_tables_of_parts_are_the_table_of_the_whole(clusters, row, column):
    channels = np.random.default_rng(0).random((2, *clusters.shape))
    units = {"spacing": {"y": 2, "x": 0.5}, "unit": "um", "origin": {"x": 3}}
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
