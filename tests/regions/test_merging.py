"""The order in which regions merge, held against a naive twin, and how often they are compared."""

import itertools
import math

import numpy as np
import pytest

from napari_unsupseg._generators import run_to_end
from napari_unsupseg.regions.dissimilarity import (
    Borders,
    DissimilarityWeights,
    RegionStatistics,
    dissimilarity,
    prepare_average_linkage,
)
from napari_unsupseg.regions.merging import Merging, merge_regions

N_COLOURS, N_BINS = 2, 6


def weights(**changed) -> DissimilarityWeights:
    bins = np.full(N_BINS, 0.3, dtype=np.float32)
    usual = DissimilarityWeights(
        1,
        bins,
        edge=2.2,
        change=0.8,
        rarity=0.7,
        spectral=0.3,
        enclosed=0.15,
        small_area=50,
        size_exponent=0.4,
        variance=2,
    )
    return usual._replace(**changed)


def described(pairs: np.ndarray, seed: int, *, are_few: bool = False, has_strokes: bool = True):
    """Return regions and borders with random sums; with few values where many are to be equal."""
    rng = np.random.default_rng(seed)
    n = int(pairs.max()) + 1

    def values(*shape):
        return rng.integers(1, 3, shape).astype(float) if are_few else rng.random(shape)

    lengths = rng.integers(1, 9, len(pairs)).astype(float)
    if has_strokes:
        lengths[rng.random(len(pairs)) < 0.05] = 0  # mere links
    areas = rng.integers(1, 20, n).astype(float)
    colours = values(n, N_COLOURS)
    regions = RegionStatistics(
        areas,
        np.bincount(pairs.ravel(), lengths.repeat(2), n).astype(float),
        colours * areas[:, np.newaxis],
        ((colours**2).sum(axis=1) + values(n)) * areas,
        (values(n, N_BINS) * areas[:, np.newaxis]).astype(np.float32),
        np.where(rng.random(n) < 0.2 * has_strokes, rng.integers(1, 3, n), 0),
    )
    along = (values(len(pairs)) * lengths for _ in range(4))
    return regions, Borders(pairs, lengths, *along)


def chain_and_more(n: int, seed: int) -> np.ndarray:
    """Return the pairs of a connected graph."""
    rng = np.random.default_rng(seed)
    pairs = itertools.combinations(range(n), 2)
    return np.array([(i, j) for i, j in pairs if j == i + 1 or rng.random() < 3 / n])


class Twin:
    """The definition of `merge_regions`, in as plain words as can be."""

    def __init__(
        self, regions: RegionStatistics, borders: Borders, weights: DissimilarityWeights
    ) -> None:
        self.weights = weights
        self.regions = [[sums[i] for sums in regions] for i in range(len(regions.areas))]
        self.borders = {
            number: [set(map(int, pair)), np.array(sums)]
            for number, (pair, *sums) in enumerate(zip(*borders, strict=True))
        }
        self.values = {number: self.compare(number) for number in self.borders}
        self.compared_at = [region[0] for region in self.regions]

    def compare(self, number: int) -> float:
        pair, along = self.borders[number]
        areas, perimeters, *rest = zip(*(self.regions[i] for i in pair), strict=True)
        sums = RegionStatistics(np.array(areas), np.array(perimeters), *map(np.array, rest))
        border = Borders(np.array([[0, 1]]), *along[:, np.newaxis])
        return dissimilarity(0, 1, 0, sums, border, self.weights)

    def merge(self, n_left: int, smaller_than: float, joins_apart: bool, growth: float):
        n_alive = len(self.regions)
        while n_alive > n_left:
            candidates = [
                (self.values[number], number)
                for number, (pair, _) in self.borders.items()
                if min(self.regions[i][0] for i in pair) < smaller_than
                and (joins_apart or math.isfinite(self.values[number]))
            ]
            if not candidates:
                return
            value, number = min(candidates)
            strokes = {self.regions[i][5] for i in self.borders[number][0]} - {0}
            if len(strokes) > 1 and math.isfinite(value):
                self.values[number] = math.inf
                continue
            yield self.borders[number][0], value
            self.unite(number, growth)
            n_alive -= 1

    def unite(self, number: int, growth: float) -> None:
        pair, (length, *_) = self.borders.pop(number)
        one, other = (self.regions[i] for i in pair)
        union = [a + b for a, b in zip(one, other, strict=True)]
        union[1] -= 2 * length
        union[5] = max(one[5], other[5])
        new = len(self.regions)
        self.regions.append(union)
        grown = {i for i in pair if union[0] > growth * self.compared_at[i]}
        self.compared_at.append(min(union[0] if i in grown else self.compared_at[i] for i in pair))
        beside: dict[int, list[int]] = {}
        parts = {}
        for at, (ends, _) in self.borders.items():
            if ends & pair:
                [far] = ends - pair
                [parts[at]] = ends & pair
                beside.setdefault(far, []).append(at)
        for far, common in beside.items():
            sums = sum(self.borders[at][1] for at in common)
            for at in common[1:]:
                del self.borders[at]
            self.borders[common[0]] = [{new, far}, sums]
            if len(common) > 1 or parts[common[0]] in grown:
                self.values[common[0]] = self.compare(common[0])


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"growth": 1.0}, id="compared after every merge"),
        pytest.param({"growth": 1.1}, id="compared when grown by a tenth"),
        pytest.param({"growth": 2.0}, id="compared when doubled"),
        pytest.param({"growth": math.inf}, id="never compared again"),
        pytest.param({"n_left": 5}, id="five left"),
        pytest.param({"smaller_than": 25.0}, id="small ones only"),
        pytest.param({"smaller_than": 25.0, "joins_apart": False}, id="small ones that touch"),
        pytest.param({"joins_apart": False}, id="what touches"),
    ],
)
@pytest.mark.parametrize("are_few", [False, True], ids=["all differ", "many are equal"])
def test_regions_merge_in_the_order_that_is_defined(how, are_few):
    usual = {"n_left": 1, "smaller_than": math.inf, "joins_apart": True, "growth": 1.1}
    for seed, n in enumerate([2, 3, 5, 8, 13, 21, 34]):
        given = (*described(chain_and_more(n, seed), seed, are_few=are_few), weights())
        found = run_to_end(merge_regions(*given, **how))
        expected = list(Twin(*given).merge(**usual | how))
        assert [set(pair) for pair in found.merges.tolist()] == [pair for pair, _ in expected]
        np.testing.assert_allclose(found.dissimilarities, [v for _, v in expected], rtol=1e-5)


def test_average_linkage_by_hand():
    # a chain whose first two merge; 2 then touches both of what they are, over borders of 1 and 3
    pairs = np.array([[0, 1], [0, 2], [1, 2], [2, 3]])
    regions, borders = described(pairs, 0, has_strokes=False)
    borders = borders._replace(
        lengths=np.array([1.0, 1, 3, 1]), edge_sums=np.array([0.1, 1, 6, 1.8])
    )
    only_edges = weights(
        mean_colour=0,
        histograms=np.zeros(N_BINS, np.float32),
        edge=1,
        change=0,
        rarity=0,
        spectral=0,
        size_exponent=0,
    )
    linked = prepare_average_linkage(regions, borders, only_edges._replace(enclosed=0))
    found = run_to_end(merge_regions(*linked, growth=math.inf))
    assert [set(pair) for pair in found.merges.tolist()] == [{0, 1}, {2, 4}, {3, 5}]
    np.testing.assert_allclose(found.dissimilarities, [0.1, 1.75, 1.8])


def star(n: int) -> np.ndarray:
    return np.stack([np.zeros(n - 1, dtype=np.int64), np.arange(1, n)], axis=1)


def grid(n: int) -> np.ndarray:
    side = math.isqrt(n)
    numbers = np.arange(side**2).reshape(side, side)
    right = np.stack([numbers[:, :-1], numbers[:, 1:]], axis=-1).reshape(-1, 2)
    return np.concatenate([right, np.stack([numbers[:-1], numbers[1:]], axis=-1).reshape(-1, 2)])


def stars_in_a_star(n: int) -> np.ndarray:
    """Return a hub that touches hubs, each of which touches many."""
    numbers = np.arange(1, n)
    hubs = (numbers - 1) // math.isqrt(n) * math.isqrt(n) + 1
    hubs[hubs == numbers] = 0
    return np.stack([hubs, numbers], axis=1)


@pytest.mark.parametrize("graph", [star, grid, stars_in_a_star], ids=lambda graph: graph.__name__)
@pytest.mark.parametrize("n", [1000, 8000, 32_000])
def test_comparisons_grow_hardly_faster_than_regions(graph, n):
    pairs = graph(n)
    regions, borders = described(pairs, 0, has_strokes=False)
    merging = run_to_end(merge_regions(regions, borders, weights()))
    assert len(merging.merges) == pairs.max()
    # by the growth of 1.1: log 2 / log 1.1 is 7.3 for each doubling, of one side and the other
    assert merging.n_evaluations < 8 * len(pairs) * math.log2(n)


def test_what_is_given_stays_as_it_is():
    regions, borders = described(chain_and_more(20, 0), 0)
    before = [sums.copy() for sums in regions + borders]
    run_to_end(merge_regions(regions, borders, weights()))
    for sums, was in zip(regions + borders, before, strict=True):
        np.testing.assert_array_equal(sums, was)


def test_shares_rise_and_the_rest_can_be_left_off():
    given = (*described(grid(40_000), 0, has_strokes=False), weights())
    shares = list(merge_regions(*given))
    assert len(shares) > 10
    assert shares == sorted(shares)
    assert shares[-1] == 1
    left = merge_regions(*given)
    next(left)
    left.close()


@pytest.mark.parametrize("n_regions", [1, 2])
def test_few_regions(n_regions):
    regions, borders = described(np.array([[0, 1]]), 0, has_strokes=False)
    if n_regions == 1:
        regions = RegionStatistics(*(sums[:1] for sums in regions))
        borders = Borders(*(sums[:0] for sums in borders))
    merging = run_to_end(merge_regions(regions, borders, weights()))
    assert isinstance(merging, Merging)
    assert np.sort(merging.merges).tolist() == [[0, 1]][: n_regions - 1]
