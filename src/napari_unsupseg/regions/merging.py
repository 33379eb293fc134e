"""Neighbouring regions merged, the two that differ least first, in near-linear time."""

import copy
import heapq
import math
from collections.abc import Generator
from typing import NamedTuple

import numpy as np

from napari_unsupseg._typing import Floats, Integers
from napari_unsupseg.regions.compiling import jit
from napari_unsupseg.regions.dissimilarity import (
    Borders,
    DissimilarityWeights,
    RegionStatistics,
    border_dissimilarities,
    dissimilarity,
)
from napari_unsupseg.regions.pair_table import find, make_table, put

__all__ = ["Merging", "merge_regions"]

Waiting = tuple[int, Integers, Floats, Floats, Integers]  # a place in a queue, it, and a heap
PARTS = 32  # of a merging, between which it can be left


class Merging(NamedTuple):
    """How regions have merged.

    Attributes
    ----------
    merges : ndarray of int64, shape (m, 2)
        What merges, in order: regions, or from n on what an earlier merge made.
    dissimilarities : ndarray of float64, shape (m,)
        How far apart they were.
    n_evaluations : int
        How often two regions were compared.
    """

    merges: Integers
    dissimilarities: Floats
    n_evaluations: int


def merge_regions(
    regions: RegionStatistics,
    borders: Borders,
    weights: DissimilarityWeights,
    *,
    n_left: int = 1,
    smaller_than: float = math.inf,
    joins_apart: bool = True,
    growth: float = 1.1,
) -> Generator[float, None, Merging]:
    """Merge the two neighbours that differ least, again and again.

    Parameters
    ----------
    regions : RegionStatistics
        The regions, n of them.
    borders : Borders
        Where they touch; each pair of regions once.
    weights : Weights
        What tells them apart.
    n_left : int
        Regions at which to end.
    smaller_than : float
        Area in pixels that one of the two must be below.
    joins_apart : bool
        Whether in the end what touches nowhere, or has strokes of several labels, merges too.
    growth : float
        Regions are compared with their neighbours anew once they have grown by this factor since
        they last were, 1 or more; 1 compares them after every merge, infinity never.

    Yields
    ------
    float
        Share that is done; the rest can be left off.

    Returns
    -------
    Merging
        n - `n_left` merges, unless too few regions touch.

    Notes
    -----
    Of all borders that with the least dissimilarity goes first, of equal ones the first. What was
    on both sides becomes one region. Where both parts had a border with the same neighbour the two
    become one, with the number of the first, and are compared anew. So are all borders of a part
    when the union's area is more than `growth` times what the part's was when its borders were last
    compared; the rest keep their dissimilarities. Where strokes of several labels lie on the two
    sides it is infinite.

    A region has neighbours in a linked list, that of the fewer is moved into that of the more, and
    a hash table finds the common ones: n log n moves. A border is compared as often as one of
    its sides has grown by `growth`: n log n comparisons. A star's hub, which would otherwise be
    compared with all that is left at each merge, is what this is for.
    """
    n_regions, n_borders = len(regions.areas), len(borders.lengths)
    regions, borders = copy.deepcopy((regions, borders))
    values = border_dissimilarities(regions, borders, weights)
    n_evaluations = n_borders
    compared_at = regions.areas.copy()
    nodes = np.arange(n_regions)
    n_merges = max(0, n_regions - n_left)
    merges = np.empty((n_merges, 2), dtype=np.int64)
    dissimilarities = np.empty(n_merges)
    # those compared at the outset wait in order, and in a heap only what is compared since
    queue = np.argsort(values, kind="stable")
    waiting = 0, queue, values[queue], np.empty(0), np.empty(0, dtype=np.int64)
    lists = _neighbour_lists(borders.pairs, n_regions)
    table, n_pairs = _number_pairs(borders.pairs, values)
    done, is_over = 0, n_merges == 0
    while not is_over:
        part = done + max(1000, n_merges // PARTS)
        found, n_compared, n_pairs, waiting, is_over = _merge_some(
            regions, borders, weights, values, compared_at, nodes, lists, table, n_pairs, waiting,
            merges[done:part], dissimilarities[done:part], n_regions + done,
            smaller_than, joins_apart, growth,
        )  # fmt: skip
        if 2 * n_pairs >= len(table):
            table, n_pairs = _number_pairs(borders.pairs, values)
        done += found
        n_evaluations += n_compared
        is_over |= done == n_merges
        yield done / n_merges
    return Merging(merges[:done], dissimilarities[:done], n_evaluations)


@jit()
def _merge_some(
    regions: RegionStatistics,
    borders: Borders,
    weights: DissimilarityWeights,
    values: Floats,
    compared_at: Floats,
    nodes: Integers,
    lists: tuple[Integers, Integers, Integers],
    table: Integers,
    n_pairs: int,
    waiting: Waiting,
    merges: Integers,
    dissimilarities: Floats,
    first_node: int,
    smaller_than: float,
    joins_apart: bool,
    growth: float,
) -> tuple[int, int, int, Waiting, bool]:
    """Fill `merges`, or as much as there is room for in the table of pairs.

    Return the numbers of merges, of comparisons and of pairs in the table, the borders that wait,
    and whether all is done.
    A border that is gone has a value of NaN. Half-edge 2b + s is border b as side s sees it: it
    lies in the list of the region `pairs[b, s]`.
    """
    pairs, strokes, areas = borders.pairs, regions.strokes, regions.areas
    first, following, degrees = lists
    place, queue, queued, heap_values, heap_borders = waiting
    heap = [(heap_values[index], heap_borders[index]) for index in range(len(heap_values))]
    n_merges, n_compared = 0, 0
    while n_merges < len(merges) and 2 * n_pairs < len(table):
        if place < len(queue) and (len(heap) == 0 or (queued[place], queue[place]) < heap[0]):
            value, border = queued[place], queue[place]
            place += 1
        elif len(heap) > 0:
            value, border = heapq.heappop(heap)
        else:
            break
        if value != values[border]:  # gone, or compared anew since
            continue
        one, other = pairs[border, 0], pairs[border, 1]
        is_contested = strokes[one] != strokes[other] and min(strokes[one], strokes[other]) > 0
        if is_contested and not math.isinf(value):
            values[border] = math.inf
            heapq.heappush(heap, (math.inf, border))
            continue
        if (math.isinf(value) and not joins_apart) or min(areas[one], areas[other]) >= smaller_than:
            continue
        if degrees[one] < degrees[other]:
            one, other = other, one  # of what they become this is the number
        merges[n_merges, 0], merges[n_merges, 1] = nodes[one], nodes[other]
        dissimilarities[n_merges] = value
        nodes[one] = first_node + n_merges
        n_merges += 1
        values[border] = math.nan
        degrees[one] += degrees[other] - 2
        area = areas[one] + areas[other]
        has_grown = area > growth * compared_at[one]
        other_has_grown = area > growth * compared_at[other]
        compared_at[one] = min(
            area if has_grown else compared_at[one], area if other_has_grown else compared_at[other]
        )
        _add(regions, one, other, borders.lengths[border])
        own = first[one]
        half = first[other]
        while half >= 0:
            after, border, side = following[half], half // 2, half % 2
            if not math.isnan(values[border]):
                far = pairs[border, 1 - side]
                common = find(table, one, far)
                kept = border
                is_compared = other_has_grown
                if common >= 0:
                    kept, gone = min(border, common), max(border, common)
                    borders.lengths[kept] += borders.lengths[gone]
                    borders.edges[kept] += borders.edges[gone]
                    borders.changes[kept] += borders.changes[gone]
                    values[gone] = math.nan
                    values[kept] = math.inf
                    degrees[one] -= 1
                    degrees[far] -= 1
                    is_compared = kept == border or not has_grown
                if kept == border:
                    pairs[border, side] = one
                    following[half] = first[one]
                    first[one] = half
                n_pairs += put(table, one, far, kept)
                if is_compared:
                    value = dissimilarity(one, far, kept, regions, borders, weights)
                    n_compared += 1
                    values[kept] = value
                    heapq.heappush(heap, (value, kept))
            half = after
        if has_grown:
            before, half = -1, own
            while half >= 0:
                border, after = half // 2, following[half]
                if not math.isnan(values[border]):
                    far = pairs[border, 1 - half % 2]
                    value = dissimilarity(one, far, border, regions, borders, weights)
                    n_compared += 1
                    values[border] = value
                    heapq.heappush(heap, (value, border))
                    before = half
                elif before >= 0:
                    following[before] = after
                half = after
    left_values, left_borders = np.empty(len(heap)), np.empty(len(heap), dtype=np.int64)
    for index, (value, border) in enumerate(heap):
        left_values[index], left_borders[index] = value, border
    waiting = place, queue, queued, left_values, left_borders
    return n_merges, n_compared, n_pairs, waiting, place == len(queue) and len(heap) == 0


@jit()
def _add(regions: RegionStatistics, one: int, other: int, border: float) -> None:
    """Make the first of two regions that share a border of such a length what both are."""
    regions.areas[one] += regions.areas[other]
    regions.perimeters[one] += regions.perimeters[other] - 2 * border
    for channel in range(regions.colours.shape[1]):
        regions.colours[one, channel] += regions.colours[other, channel]
    regions.squares[one] += regions.squares[other]
    for k in range(regions.counts.shape[1]):
        regions.counts[one, k] += regions.counts[other, k]
    regions.strokes[one] = max(regions.strokes[one], regions.strokes[other])


@jit()
def _neighbour_lists(pairs: Integers, n_regions: int) -> tuple[Integers, Integers, Integers]:
    """Return the first half-edge of each region, what follows each, and regions' degrees."""
    first = np.full(n_regions, -1)
    following = np.full(2 * len(pairs), -1)
    degrees = np.zeros(n_regions, dtype=np.int64)
    for border in range(len(pairs)):
        for side in range(2):
            region = pairs[border, side]
            following[2 * border + side] = first[region]
            first[region] = 2 * border + side
            degrees[region] += 1
    return first, following, degrees


@jit()
def _number_pairs(pairs: Integers, values: Floats) -> tuple[Integers, int]:
    """Return a table of the borders that there are, with room for as many more, and how many."""
    n_pairs = len(values) - np.isnan(values).sum()
    table = make_table(4 * n_pairs)
    for border in range(len(pairs)):
        if not math.isnan(values[border]):
            put(table, pairs[border, 0], pairs[border, 1], border)
    return table, n_pairs
