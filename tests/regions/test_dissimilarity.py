"""How far apart two regions are, by hand."""

import math

import numpy as np
import pytest

from napari_unsupseg._generators import run_to_end
from napari_unsupseg.regions.dissimilarity import (
    Borders,
    DissimilarityWeights,
    HistogramBins,
    RegionStatistics,
    border_dissimilarities,
    dissimilarity,
    make_weights,
    perimeters,
    prepare_average_linkage,
)
from napari_unsupseg.regions.merging import merge_regions

# two regions, of 4 and 2 pixels, whose mean colours are 0.5 and 0.2, with a border of 2
REGIONS = RegionStatistics(
    areas=np.array([4.0, 2]),
    perimeters=np.array([8.0, 5]),
    colour_sums=np.array([[2.0], [0.4]]),
    square_sums=np.array([1.0, 0.08]),  # no variance within
    histograms=np.array([[3, 1], [0, 2]], dtype=np.float32),
    strokes=np.zeros(2, dtype=np.int64),
)
BORDERS = Borders(np.array([[0, 1]]), *np.array([[2.0], [0.6], [1.0], [0.8], [1.4]]))


def weights(*histograms: float, **terms: float) -> DissimilarityWeights:
    none = DissimilarityWeights(
        mean_colour=0, histograms=np.array(histograms or (0, 0), dtype=np.float32), edge=0,
        change=0, rarity=0, spectral=0, enclosed=0, small_area=1, size_exponent=0, variance=0,
    )  # fmt: skip
    return none._replace(**terms)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        pytest.param(weights(mean_colour=2), 2 * 0.3, id="distance of mean colours"),
        pytest.param(weights(2, 4), 2 * 0.75 + 4 * 0.75, id="shares of pixels in each bin"),
        pytest.param(weights(edge=2), 2 * 0.6 / 2, id="mean step across the border"),
        pytest.param(weights(change=3), 3 * 1 / 2, id="mean change of label across it"),
        pytest.param(weights(rarity=5), 5 * 0.8 / 2, id="mean rarity of changes across it"),
        pytest.param(weights(spectral=4), 4 * 1.4 / 2, id="mean step of eigenvectors across it"),
        pytest.param(
            weights(2, 4, mean_colour=2, edge=2, change=3, rarity=5, spectral=4),
            0.6 + 4.5 + 0.6 + 1.5 + 2.0 + 2.8,
            id="their sum",
        ),
        pytest.param(weights(change=3, enclosed=0.5), 1.5 * (1 - 0.5 * 2 / 5), id="enclosed"),
        pytest.param(weights(change=3, small_area=8, size_exponent=0.5), 1.5, id="small but clear"),
    ],
)
def test_each_term_by_hand(chosen, expected):
    found = dissimilarity(0, 1, 0, REGIONS, BORDERS, chosen)
    assert found == pytest.approx(expected, rel=1e-6)
    assert dissimilarity(1, 0, 0, REGIONS, BORDERS, chosen) == pytest.approx(found)


@pytest.mark.parametrize(
    ("small_area", "factor"),
    [
        pytest.param(8, (2 / 8) ** (3 * 0.5), id="a quarter of small"),
        pytest.param(2, 1, id="just small"),
        pytest.param(1, 1, id="larger than small"),
    ],
)
def test_small_regions_that_are_not_clearly_apart_are_less_far_apart(small_area, factor):
    # variances within of 0.01 and 0.02 add up to 0.03; times 3 they are 0.09, as 0.3 squared is
    noisy = REGIONS._replace(square_sums=np.array([1.0 + 4 * 0.01, 0.08 + 2 * 0.02]))
    chosen = weights(change=3, small_area=small_area, size_exponent=3, variance=3)
    found = dissimilarity(0, 1, 0, noisy, BORDERS, chosen)
    assert found == pytest.approx(1.5 * factor)


def test_regions_of_one_colour_are_not_clearly_apart():
    even = REGIONS._replace(colour_sums=np.zeros((2, 1)), square_sums=np.zeros(2))
    chosen = weights(change=3, small_area=8, size_exponent=1, variance=3)
    assert dissimilarity(0, 1, 0, even, BORDERS, chosen) == pytest.approx(1.5 / 4)


def test_a_link_is_infinitely_long():
    link = Borders(np.array([[0, 1]]), *np.zeros((5, 1)))
    assert dissimilarity(0, 1, 0, REGIONS, link, weights(1, 1, mean_colour=1)) == math.inf


@pytest.mark.parametrize(
    ("n_pixels", "pixel_size", "small_area"),
    [
        pytest.param(3 * 100_000, [1, 1], 28**2, id="a plane"),
        pytest.param(3 * 50_000, [1, 1], 400, id="a small frame"),
        pytest.param(3 * 10_000_000, [1, 1, 1], 28**3, id="a volume"),
        pytest.param(3 * 10_000_000, [3, 1, 1], 28**3 / 3, id="a volume of thick slices"),
    ],
)
def test_weights_of_a_graph(n_pixels, pixel_size, small_area):
    found = make_weights(
        HistogramBins(4, 3, 5),
        n_channels=2,
        n_snapshots=5,
        n_pixels=n_pixels,
        n_frames=3,
        pixel_size=np.array(pixel_size),
        are_tiny=False,
    )
    # two histograms without a bin in common differ by 2 on each channel and in each snapshot
    expected = [1.15 / 4] * 4 + [0.75 / 2] * 3 + [0.33 / 10] * 5
    np.testing.assert_allclose(found.histograms, expected, rtol=1e-6)
    assert found.small_area == pytest.approx(small_area)
    without = found._replace(histograms=None, small_area=None)
    assert without == DissimilarityWeights(0.53, None, 2.9, 0.97, 0, 0.22, 0.33, None, 0.34, 2.2)


def test_weights_of_tiny_regions():
    found = make_weights(
        HistogramBins(0, 0, 0),
        n_channels=1,
        n_snapshots=1,
        n_pixels=1e6,
        n_frames=1,
        pixel_size=np.ones(2),
        are_tiny=True,
    )
    assert found.histograms.shape == (0,)
    assert (found.mean_colour, found.size_exponent) == (2.1, 0)


# three regions in a row, 0 | 1 | 2, and a link from 2 to 3
ROW = Borders(
    np.array([[0, 1], [1, 2], [2, 3]]),
    np.array([2.0, 3, 0]),
    np.array([0.2, 0.9, 0]),
    np.array([1.0, 0, 0]),
    np.zeros(3),
    np.zeros(3),
)


def four_regions() -> RegionStatistics:
    ones = np.ones(4)
    return RegionStatistics(
        ones, perimeters(ROW, 4), ones[:, np.newaxis], ones,
        np.zeros((4, 0), np.float32), np.zeros(4, np.int64),
    )  # fmt: skip


def test_perimeters_are_sums_of_borders():
    assert perimeters(ROW, 4).tolist() == [2, 5, 3, 0]


def test_each_border_has_a_dissimilarity():
    chosen = weights(edge=1, change=0.1)._replace(histograms=np.zeros(0, np.float32))
    found = border_dissimilarities(four_regions(), ROW, chosen)
    np.testing.assert_allclose(found, [0.1 + 0.05, 0.3, math.inf])


def test_average_linkage_is_of_what_regions_differ_by_at_the_outset():
    chosen = weights(edge=1, change=0.1)._replace(histograms=np.zeros(0, np.float32))
    linked = prepare_average_linkage(four_regions(), ROW, chosen)
    np.testing.assert_allclose(border_dissimilarities(*linked), [0.15, 0.3, math.inf])
    merging = run_to_end(merge_regions(*linked, growth=1))
    np.testing.assert_allclose(merging.dissimilarities, [0.15, 0.3, math.inf])
