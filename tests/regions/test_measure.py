"""What is measured of labels, in pixels and units, in one piece and in parts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unsupseg.errors import ImageError
from napari_unsupseg.regions.measure import (
    average_frames,
    combine_measurements,
    count_regions,
    measure_objects,
    measure_regions,
)

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


def test_an_axis_along_which_places_become_less_changes_centroids_alone():
    labels = np.zeros((12, 10), np.uint8)
    labels[2:6, 1:4], labels[7:10, 5:9] = 1, 2
    there, back = (
        measure_objects(labels, labels[np.newaxis], spacing={"y": side, "x": 0.5}, unit="um")
        for side in (0.5, -0.5)
    )
    np.testing.assert_array_equal(back.pop("centroid_y_um"), -there.pop("centroid_y_um"))
    assert back.keys() == there.keys()
    for name, column in there.items():
        np.testing.assert_allclose(back[name], column, err_msg=name)


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


def test_objects_of_a_movie_have_a_row_in_each_frame():
    labels = np.zeros((2, 40, 40), dtype=np.uint8)
    labels[:, 5:15, 5:25], labels[0, 20:30, 38:], labels[1, 30:34, 4:8] = 1, 2, 3
    channels = np.stack([labels * 10.0, np.where(labels > 0, np.arange(40.0), 0)])
    table = measure_objects(labels, channels, axes="tyx", spacing={"y": 0.5, "x": 0.5}, unit="um")
    assert table["t"].tolist() == [0, 0, 1, 1]
    assert table["label"].tolist() == [1, 2, 1, 3]
    assert table["area_um2"].tolist() == [50, 5, 50, 4]
    assert table["touches_border"].tolist() == [0, 1, 0, 0]
    assert table["perimeter_um"][[0, 2, 3]].tolist() == [28, 28, 6]  # through centres of pixels
    diameters = 2 * np.sqrt(table["area_um2"] / np.pi)
    np.testing.assert_allclose(table["equivalent_diameter_area_um"], diameters)
    # the side of a rectangle of n pixels has the variance (n^2 - 1) / 12, with a pixel's n^2 / 12
    np.testing.assert_allclose(table["axis_major_length_um"][0], 0.5 * 4 * np.sqrt(399 / 12))
    np.testing.assert_allclose(table["axis_minor_length_um"][0], 0.5 * 4 * np.sqrt(99 / 12))
    np.testing.assert_allclose(table["eccentricity"][0], np.sqrt(1 - 99 / 399))
    assert table["solidity"].tolist() == [1, 1, 1, 1]
    np.testing.assert_allclose(abs(table["orientation"][0]), np.pi / 2)  # from the rows
    assert table["min_intensity_0"].tolist() == [10, 20, 10, 30]
    assert table["max_intensity_0"].tolist() == [10, 20, 10, 30]
    assert (table["min_intensity_1"][0], table["max_intensity_1"][0]) == (5, 24)
    np.testing.assert_allclose(table["std_intensity_1"][0], np.sqrt(399 / 12))


@pytest.mark.parametrize(
    ("spacing", "has_lengths"),
    [
        pytest.param({"z": 2.0, "y": 0.5, "x": 0.5}, True, id="all known"),
        pytest.param({"y": 0.5, "x": 0.5}, False, id="slices unknown"),
    ],
)
def test_objects_of_a_volume(spacing, has_lengths):
    labels = np.zeros((6, 20, 20), dtype=np.uint8)
    labels[1:4, 3:9, 3:9], labels[:, 12:16, 12:16] = 1, 2
    table = measure_objects(
        labels, labels[np.newaxis], axes="zyx", spatial_ndim=3, spacing=spacing, unit="um"
    )
    assert ("axis_major_length_um" in table) == has_lengths
    assert not {"perimeter_um", "solidity", "orientation"} & set(table)
    assert table["touches_border"].tolist() == [0, 1]
    if has_lengths:
        assert table["volume_um3"].tolist() == [54, 48]


def test_of_pixels_longer_along_one_axis_the_perimeter_is_not_known():
    labels = np.pad(np.ones((3, 4), np.uint8), 2)
    table = measure_objects(labels, labels[np.newaxis], spacing={"y": 1.0, "x": 2.0}, unit="um")
    assert "perimeter_um" not in table
    assert table["solidity"].tolist() == [1]


def test_no_objects_have_all_columns():
    none = np.zeros((9, 9), np.uint8)
    one = np.pad(np.ones((3, 3), np.uint8), 3)
    empty = measure_objects(none, none[np.newaxis])
    assert list(empty) == list(measure_objects(one, one[np.newaxis]))
    assert {len(column) for column in empty.values()} == {0}


def test_an_object_has_its_bounding_box_and_the_cluster_of_most_of_its_pixels():
    labels = np.zeros((2, 6, 7), np.uint8)
    labels[0, 1:3, 2:6], labels[1, 4, 6], labels[1, 0, :3] = 2, 2, 5
    clusters = np.full(labels.shape, 3, np.uint8)
    clusters[0, 1, 2:6], clusters[0, 2, 2] = 7, 1  # four of eight pixels, and one of three left
    clusters[1, 0, :3] = [4, 9, 9]
    table = measure_objects(labels, labels[np.newaxis], axes="tyx", clusters=clusters)
    assert list(table)[:3] == ["t", "label", "cluster"]
    assert table["cluster"].tolist() == [7, 3, 9]
    boxes = [table[f"bbox_{side}_{axis}"].tolist() for side in ("min", "max") for axis in "yx"]
    assert boxes == [[1, 4, 0], [2, 6, 0], [3, 5, 1], [6, 7, 3]]
    assert table["touches_border"].tolist() == [0, 1, 1]


def test_of_two_clusters_with_as_many_pixels_an_object_has_the_lower_one():
    labels = np.array([[1, 1, 1, 1]], np.uint8)
    table = measure_objects(labels, labels[np.newaxis], clusters=np.array([[8, 2, 2, 8]], np.uint8))
    assert table["cluster"].tolist() == [2]


@pytest.mark.parametrize(
    ("names", "endings"),
    [
        pytest.param(["DAPI", "GFP"], ["_DAPI", "_GFP"], id="names"),
        pytest.param(["Alexa 488 (1)", "µ-tubulin"], ["_Alexa_488_1", "_µ_tubulin"], id="words"),
        pytest.param(["GFP", "GFP"], ["_GFP_0", "_GFP_1"], id="twice the same"),
        pytest.param(["--", "b"], ["_0", "_b"], id="no letter"),
        pytest.param([], ["_0", "_1"], id="none"),
    ],
)
def test_columns_have_the_names_of_channels(names, endings):
    labels = np.ones((2, 3), np.uint8)
    table = measure_objects(labels, np.stack([labels, 2 * labels]), channel_names=names)
    for statistic, values in [("mean", [1, 2]), ("min", [1, 2]), ("max", [1, 2]), ("std", [0, 0])]:
        assert [table[f"{statistic}_intensity{ending}"][0] for ending in endings] == values


def test_names_are_those_of_all_channels():
    labels = np.ones((2, 3), np.uint8)
    assert "mean_intensity_DAPI" in measure_regions(
        labels, labels[np.newaxis], channel_names=["DAPI"]
    )
    with pytest.raises(ImageError, match=r"2 names for 1 channel$"):
        measure_regions(labels, labels[np.newaxis], channel_names=["DAPI", "GFP"])


@settings(deadline=None)
@given(labels, st.integers(1, 6))
def test_what_can_be_joined_of_objects_in_two_parts_is_that_of_the_whole(objects, row):
    rng = np.random.default_rng(0)
    channels = rng.random((1, *objects.shape))

    def measured(part, first):
        table = measure_objects(objects[part], channels[:, part])
        shifted = {name: table[name] + first for name in ("bbox_min_y", "bbox_max_y")}
        return table | shifted

    joined = combine_measurements([measured(np.s_[:row], 0), measured(np.s_[row:], row)])
    whole = measured(np.s_[:], 0)
    assert joined.keys() == whole.keys()
    for name in whole:
        if name.startswith(("label", "area", "bbox", "mean", "min", "max", "std")):
            np.testing.assert_allclose(joined[name], whole[name], atol=1e-9, err_msg=name)


def test_a_region_in_parts_has_the_cluster_of_the_largest_of_them():
    parts = [
        {"label": np.array([4, 9]), "area": np.array([5, 1]), "cluster": np.array([2, 3])},
        {"label": np.array([4, 4]), "area": np.array([3, 3]), "cluster": np.array([1, 1])},
    ]
    assert combine_measurements(parts)["cluster"].tolist() == [1, 3]


def test_an_object_of_a_movie_has_the_means_of_its_frames():
    labels = np.zeros((3, 20, 20), np.uint8)
    labels[0, 2:4, 2:4], labels[1, 2:6, 3:7], labels[1, 10:13, 10:12] = 1, 1, 2
    channels = labels[np.newaxis] * np.array([10.0, 30, 0]).reshape(1, 3, 1, 1)
    table = measure_objects(labels, channels, axes="tyx", clusters=labels + 4)
    del table["t"]
    averaged = average_frames(table)
    assert averaged["label"].tolist() == [1, 2]
    assert averaged["area"].tolist() == [10, 6]
    assert averaged["mean_intensity"].tolist() == [20, 60]
    assert (averaged["min_intensity"][0], averaged["max_intensity"][0]) == (10, 30)
    assert (averaged["bbox_min_x"][0], averaged["bbox_max_x"][0]) == (2, 7)
    assert averaged["cluster"].tolist() == [5, 6]


@pytest.mark.parametrize(
    ("angles", "expected"),
    [
        pytest.param([0.2, 0.4], 0.3, id="between"),
        pytest.param([1.5, -1.4], (1.5 + np.pi - 1.4) / 2, id="beyond a quarter turn"),
        pytest.param([np.nan, 0.4], np.nan, id="unknown"),
    ],
)
def test_the_mean_of_orientations_is_that_of_lines(angles, expected):
    table = {"label": [1, 1], "area": [9, 9], "orientation": angles}
    [found] = average_frames(table)["orientation"]
    assert np.tan(found) == pytest.approx(np.tan(expected), nan_ok=True)


def test_regions_are_counted_by_frame_and_cluster():
    labels = np.zeros((2, 4, 6), np.uint8)
    labels[0, 0, :2], labels[0, 2, :4], labels[0, 0, 4:], labels[1, 3, 3:] = 1, 2, 3, 1
    clusters = np.where(labels == 3, 8, 5).astype(np.uint8)
    channels = np.stack([labels, np.zeros_like(labels)])
    table = count_regions(
        labels, channels, clusters, axes="tyx", spacing={"y": 2, "x": 0.5}, unit="um",
        channel_names=["DAPI", "GFP"],
    )  # fmt: skip
    assert table["t"].tolist() == [0, 0, 1, 1]
    assert table["cluster"].tolist() == [5, 8, 5, 8]
    assert table["count"].tolist() == [2, 1, 1, 0]
    assert table["total_area_um2"].tolist() == [6, 2, 3, 0]
    np.testing.assert_equal(table["mean_area_um2"], [3, 2, 3, np.nan])
    # of pixels, not of regions: two of 1 and four of 2
    np.testing.assert_allclose(table["mean_intensity_DAPI"], [10 / 6, 3, 1, np.nan])
    np.testing.assert_equal(table["mean_intensity_GFP"], [0, 0, 0, np.nan])


def test_an_image_without_regions_has_a_count_of_none():
    none = np.zeros((2, 4, 4), np.uint8)
    table = count_regions(none, none[np.newaxis], none, axes="tyx")
    assert (table["t"].tolist(), table["cluster"].tolist()) == ([0, 1], [0, 0])
    assert table["count"].tolist() == [0, 0]
