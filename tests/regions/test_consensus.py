import numpy as np
import pytest

from napari_unsupseg._generators import run_to_end
from napari_unsupseg.regions.consensus import add_consensus, to_granularities
from napari_unsupseg.regions.dissimilarity import (
    Borders,
    DissimilarityWeights,
    HistogramBins,
    RegionStatistics,
)

BINS = HistogramBins(2, 1, 2)
N_MEMBERS = 8  # five terms and factors, and three histograms


def weights(**terms: float) -> DissimilarityWeights:
    return DissimilarityWeights(
        mean_colour=0, histograms=np.zeros(sum(BINS), np.float32), edge=1, change=0, consensus=2,
        enclosed=0, small_area=1, size_exponent=0, variance=0,
    )._replace(**terms)  # fmt: skip


def regions(*grey: float) -> RegionStatistics:
    """Return even regions of 100 pixels."""
    grey, n = np.array(grey), len(grey)
    return RegionStatistics(
        areas=np.full(n, 100.0),
        perimeters=np.full(n, 20.0),
        colour_sums=100 * grey[:, np.newaxis],
        square_sums=100 * grey**2,
        histograms=np.zeros((n, sum(BINS)), np.float32),
        strokes=np.zeros(n, np.int64),
    )


def row_of(lengths, steps, changes) -> Borders:
    """Return the borders of regions in a row."""
    lengths = np.array(lengths, float)
    first = np.arange(len(lengths))
    pairs = np.stack([first, first + 1], axis=1)
    return Borders(pairs, lengths, lengths * steps, lengths * changes)


def lasting(one: RegionStatistics, borders: Borders, chosen: DissimilarityWeights):
    """Return the mean granularity up to which each border lasts."""
    added = run_to_end(add_consensus(one, borders, chosen, BINS)).edge_sums - borders.edge_sums
    return added / borders.lengths * chosen.edge / chosen.consensus


def test_a_border_of_one_term_by_hand():
    # the only term is the edge, of 1.1, the typical dissimilarity; without it there is nothing
    found = lasting(regions(0, 0), row_of([4], [1.1], [0]), weights())
    assert found == pytest.approx([(N_MEMBERS - 1) / N_MEMBERS * 0.5])


def test_what_is_left_out_does_not_make_borders_weaker():
    # edge and change make up a half each, so that without one of them all is half as far apart
    found = lasting(regions(0, 0), row_of([4], [0.55], [0.55]), weights(change=1))
    assert found == pytest.approx([0.5])


def test_what_all_terms_say_lasts_longer_than_what_one_says():
    # both have the same dissimilarity, twice the typical: of two terms by halves, and of one alone
    borders = row_of([4, 4, 4], [1.1, 2.2, 1.1], [1.1, 0, 1.1])
    agreed, single, _ = lasting(regions(0, 0, 0, 0), borders, weights(change=1))
    # with a term left out: 2 of 2 halves each, and 0 and 4; without any other: 2
    of_two, of_four = 1 - 1 / 9, 1 - 1 / 65
    assert agreed == pytest.approx(of_two)
    assert single == pytest.approx((6 * of_two + of_four) / N_MEMBERS)


def test_links_get_nothing_and_nothing_is_a_consensus_of_none():
    linked = row_of([4, 0], [1, 0], [0, 0])
    found = run_to_end(add_consensus(regions(0, 0, 0), linked, weights(), BINS))
    assert found.edge_sums[0] > 4
    assert found.edge_sums[1] == 0
    for alone in (row_of([], [], []), row_of([0], [0], [0])):
        found = run_to_end(
            add_consensus(regions(*[0] * (len(alone.lengths) + 1)), alone, weights(), BINS)
        )
        assert found is alone


def test_granularities_never_fall():
    found = to_granularities(np.array([0.5, 1, 0.7, np.inf]), 1.0)
    np.testing.assert_allclose(found, [1 / 9, 0.5, 0.5, 1])
