"""What is inside regions and along their borders, by hand."""

import numpy as np
import pytest

from napari_unsupseg.regions.graph_builder import build_region_graph, relative_spacing

# two rows of six pixels: two regions side by side
HALVES = np.array([[0, 0, 0, 1, 1, 1]] * 2)


def labels(*row: int, n_rows: int = 2) -> np.ndarray:
    return np.array([row] * n_rows, dtype=np.uint8)


def colours(*row: float, n_rows: int = 2) -> np.ndarray:
    return np.array([row] * n_rows, dtype=np.float32)[..., np.newaxis]


FLAT = colours(*[0.5] * 6)
ONE_LABEL = [labels(*[1] * 6)]


def test_sums_over_regions():
    image = colours(0.1, 0.2, 0.3, 0.8, 0.9, 1.0)
    strokes = labels(0, 4, 0, 0, 0, 0)
    sums = build_region_graph(HALVES, image, ONE_LABEL, [1], strokes=strokes).sums
    assert sums.areas.tolist() == [6, 6]
    assert sums.perimeters.tolist() == [2, 2]
    np.testing.assert_allclose(sums.colour_sums[:, 0], [1.2, 5.4], rtol=1e-6)
    np.testing.assert_allclose(sums.square_sums, [2 * 0.14, 2 * 2.45], rtol=1e-6)
    assert sums.strokes.tolist() == [4, 0]


def test_colours_are_counted_in_ten_bins_from_the_darkest_to_the_brightest():
    image = np.stack([colours(0.1, 0.15, 0.3, 0.3, 0.6, 1.1)[..., 0], np.zeros((2, 6))], axis=-1)
    found = build_region_graph(HALVES, image.astype(np.float32), ONE_LABEL, [1, 1]).sums.histograms
    one, other = np.zeros((2, 20))
    one[[0, 2, 10]] = 4, 2, 6  # the second channel has one value only
    other[[2, 5, 9, 10]] = 2, 2, 2, 6  # the brightest is in the last bin
    np.testing.assert_array_equal(found[:, :20], [one, other])


def test_slopes_are_counted_in_bins_of_as_many_pixels():
    image = np.random.default_rng(0).random((40, 40, 1), dtype=np.float32)
    regions = np.repeat([[0] * 10 + [1] * 30], 40, axis=0)
    found = build_region_graph(regions, image, [labels(*[1] * 40, n_rows=40)], [1]).sums.histograms
    assert found[:, 10:18].sum(axis=0).tolist() == [200] * 8
    # slopes that rise from left to right
    image[...] = (np.arange(40)[:, np.newaxis] / 40) ** 2
    found = build_region_graph(regions, image, [labels(*[1] * 40, n_rows=40)], [1]).sums.histograms
    assert found[0, 10:18].tolist() == [200, 200, 0, 0, 0, 0, 0, 0]


def test_labels_are_counted_for_each_snapshot():
    history = [labels(2, 2, 5, 5, 5, 5), labels(1, 1, 1, 1, 1, 3)]
    graph = build_region_graph(HALVES, FLAT, history, [1])
    assert graph.sums.histograms[:, 18:].tolist() == [[4, 2, 6, 0], [0, 6, 4, 2]]
    np.testing.assert_allclose(
        graph.weights.histograms, [0.575] * 10 + [0.375] * 8 + [0.0825] * 4, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("history", "changes"),
    [
        pytest.param([labels(1, 1, 1, 2, 2, 2)], 2, id="at the border"),
        pytest.param([labels(1, 1, 2, 2, 2, 2)], 2, id="a pixel beside it"),
        pytest.param([labels(1, 2, 2, 2, 2, 2)], 0, id="two pixels beside it"),
        pytest.param([labels(1, 1, 1, 1, 2, 2)], 2, id="a pixel behind it"),
        pytest.param([labels(1, 1, 1, 1, 1, 2)], 0, id="two pixels behind it"),
        pytest.param([labels(1, 1, 1, 2, 2, 2), labels(*[1] * 6)], 1, id="in one snapshot of two"),
    ],
)
def test_changes_of_label_across_a_border(history, changes):
    [found] = build_region_graph(HALVES, FLAT, history, [1]).borders.change_sums
    assert found == pytest.approx(changes)


@pytest.mark.parametrize("row", [(0, 1, 1, 1, 1, 1), (0, 0, 0, 0, 0, 1)], ids=str)
def test_changes_of_label_at_the_edge_of_the_image(row):
    # there is no pixel beyond: labels are compared at the border itself
    regions, history = np.array([row] * 2), [labels(*(1 + label for label in row))]
    assert build_region_graph(regions, FLAT, history, [1]).borders.change_sums.tolist() == [2]


def test_steps_in_colour_are_those_of_the_blurred_image():
    # half of a step of 1 between pixels is left of it by a Gaussian of one pixel: erf(1 / sqrt(8))
    image = np.zeros((3, 40, 2), dtype=np.float32)
    image[:, 20:] = 0.6, 0.8
    regions = np.repeat([[0] * 20 + [1] * 20], 3, axis=0)
    borders = build_region_graph(regions, image, [labels(*[1] * 40, n_rows=3)], [1, 1]).borders
    assert borders.lengths.tolist() == [3]
    assert borders.edge_sums[0] == pytest.approx(3 * 0.39894, rel=0.01)


def test_borders_of_three_regions_and_a_part_that_touches_nowhere():
    regions = np.array([[2, 2, 0, -1, 3], [2, 1, 0, -1, 3]])
    flat, ones = np.zeros((2, 5, 1), np.float32), [np.ones((2, 5), np.uint8)]
    borders = build_region_graph(regions, flat, ones, [1]).borders
    assert borders.pairs.tolist() == [[0, 1], [0, 2], [1, 2], [0, 3]]
    assert borders.lengths.tolist() == [1, 1, 2, 0]


def test_sides_count_by_their_area():
    regions = np.array([[[0, 0], [0, 1]], [[2, 2], [2, 1]]])
    flat, ones = np.zeros((2, 2, 2, 1), np.float32), [np.ones((2, 2, 2), np.uint8)]
    borders = build_region_graph(regions, flat, ones, [1], 3, spacing=(3, 1, 2)).borders
    # sides across z are of 1 x 2, across y of 3 x 2, across x of 3 x 1
    assert borders.pairs.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert borders.lengths.tolist() == [6 + 3, 3 * 2, 6 + 3]


def test_frames_do_not_touch():
    regions = np.array([[[0, 1]], [[2, 3]]])
    flat, ones = np.zeros((2, 1, 2, 1), np.float32), [np.ones((2, 1, 2), np.uint8)]
    borders = build_region_graph(regions, flat, ones, [1]).borders
    assert borders.pairs.tolist() == [[0, 1], [2, 3], [0, 2]]
    assert borders.lengths.tolist() == [1, 1, 0]


def test_there_is_room_for_many_borders():
    # each cell of a volume has a region of its own: six borders, three of them its own
    regions = np.arange(6**3).reshape(6, 6, 6)
    flat = np.zeros((6, 6, 6, 1), np.float32)
    graph = build_region_graph(regions, flat, [np.ones((6, 6, 6), np.uint8)], [1], 3)
    assert len(graph.borders.pairs) == 3 * 6 * 6 * 5
    # a layer that all cells of two others touch has more borders than there is room for at first
    stack = np.concatenate([np.full((1, 30, 30), 0), np.arange(1, 901).reshape(1, 30, 30)])
    flat, ones = np.zeros((2, 30, 30, 1), np.float32), [np.ones((2, 30, 30), np.uint8)]
    borders = build_region_graph(stack, flat, ones, [1], 3).borders
    assert len(borders.pairs) == 900 + 2 * 30 * 29


def test_tiny_regions_have_no_histograms():
    graph = build_region_graph(HALVES, FLAT, ONE_LABEL, [1], are_tiny=True)
    assert graph.sums.histograms.shape == (2, 0)
    assert (graph.weights.mean_colour, graph.weights.size_exponent) == (2.1, 0)


def test_what_is_small_is_a_share_of_a_frame():
    regions = np.array([HALVES, HALVES + 2])
    image, history = np.stack([FLAT] * 2), [np.stack(ONE_LABEL * 2)]
    for frames, many, snapshots in ((HALVES, FLAT, ONE_LABEL), (regions, image, history)):
        small = build_region_graph(frames, many, snapshots, [1]).weights.small_area
        assert small == pytest.approx(0.008 * 12)


@pytest.mark.parametrize(
    ("spacing", "expected"), [((), [1, 1]), ((4, 2), [2, 1]), ((0.1, 0.4), [1, 4])], ids=str
)
def test_spacing_in_units_of_the_least(spacing, expected):
    np.testing.assert_allclose(relative_spacing(spacing, 2), expected)
