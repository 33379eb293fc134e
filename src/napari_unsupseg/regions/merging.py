"""Neighbouring regions merged, the two that differ least first, in near-linear time.

Each region has its borders in a linked list, and a hash table says which border two regions have.
When two merge, the list of the one with fewer borders is moved into that of the other: n log n
moves in all. Dissimilarities are computed anew only once a region has grown by some factor:
n log n comparisons. This is for the hub of a star, which would otherwise be compared with all that
are left at each of its merges.
"""

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

Heap = list[tuple[float, int]]  # dissimilarities and borders, for heapq
N_PARTS = 32  # of a merging, between which it can be left
MIN_PART = 1000  # merges of a part; fewer would take less time than to set them up


class Merging(NamedTuple):
    """How regions have merged.

    Attributes
    ----------
    merges : ndarray of int64, shape (m, 2)
        What merges, in order: a region, below n, or n + i for what merge i made.
    dissimilarities : ndarray of float64, shape (m,)
        How far apart they were.
    n_evaluations : int
        How often two regions were compared.
    """

    merges: Integers
    dissimilarities: Floats
    n_evaluations: int


class _Limits(NamedTuple):
    """Which regions may merge and when they are compared anew, as `merge_regions` takes it."""

    smaller_than: float
    joins_apart: bool
    growth: float


class _NeighbourLists(NamedTuple):
    """A linked list of borders for each region.

    Half-edge 2b + s is border b as seen from its side s. It lies in the list of the region
    ``pairs[b, s]``; what is gone stays in a list until that is gone through.

    Attributes
    ----------
    first : ndarray of int64, shape (n,)
        First half-edge in the list of each region, -1 if it is empty.
    following : ndarray of int64, shape (2E,)
        Half-edge behind each in its list, -1 at the end.
    degrees : ndarray of int64, shape (n,)
        Neighbours of each region.
    """

    first: Integers
    following: Integers
    degrees: Integers


class _Graph(NamedTuple):
    """Regions that merge, changed in place: what two become has the number of one of them.

    Attributes
    ----------
    regions : RegionStatistics
        Sums over regions.
    borders : Borders
        Sums along borders.
    weights : DissimilarityWeights
        What tells regions apart.
    values : ndarray of float64, shape (E,)
        Dissimilarity at each border, NaN where it is gone.
    lists : _NeighbourLists
        Borders of each region.
    compared_at : ndarray of float64, shape (n,)
        Area of each region when its borders were last compared.
    nodes : ndarray of int64, shape (n,)
        Node of the hierarchy that each region is now.
    """

    regions: RegionStatistics
    borders: Borders
    weights: DissimilarityWeights
    values: Floats
    lists: _NeighbourLists
    compared_at: Floats
    nodes: Integers


class _Queue(NamedTuple):
    """Borders that wait to be merged across.

    Attributes
    ----------
    position : int
        First of the sorted ones that still waits.
    sorted_values : ndarray of float64, shape (E,)
        Dissimilarities at the outset, ascending.
    sorted_borders : ndarray of int64, shape (E,)
        Their borders.
    heap_values : ndarray of float64, shape (h,)
        Dissimilarities that were computed since, in the order of a heap.
    heap_borders : ndarray of int64, shape (h,)
        Their borders.
    """

    position: int
    sorted_values: Floats
    sorted_borders: Integers
    heap_values: Floats
    heap_borders: Integers


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
    weights : DissimilarityWeights
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
    Of all borders that with the least dissimilarity goes first, of equal ones the first. Where both
    parts had a border with the same neighbour these become one, with the number of the first, and
    are compared anew. So are all borders of a part when the union's area is more than `growth`
    times what the part's was when its borders were last compared; the rest keep their
    dissimilarities. Between strokes of different labels the dissimilarity is infinite.
    """
    n_regions = len(regions.areas)
    graph = _make_graph(regions, borders, weights)
    n_merges = max(0, n_regions - n_left)
    merges = np.empty((n_merges, 2), dtype=np.int64)
    dissimilarities = np.empty(n_merges)
    # most borders wait in sorted order, which is faster than a heap of them all
    order = np.argsort(graph.values, kind="stable")
    queue = _Queue(0, graph.values[order], order, np.empty(0), np.empty(0, dtype=np.int64))
    table, n_pairs = _number_pairs(borders.pairs, graph.values)
    limits = _Limits(float(smaller_than), joins_apart, float(growth))
    n_done, n_evaluations, is_over = 0, len(borders.lengths), n_merges == 0
    while not is_over:
        end = n_done + max(MIN_PART, n_merges // N_PARTS)
        n_merged, n_compared, n_pairs, queue = _merge_some(
            graph, table, n_pairs, queue, limits,
            merges[n_done:end], dissimilarities[n_done:end], n_regions + n_done,
        )  # fmt: skip
        if 2 * n_pairs >= len(table):  # borders that are gone fill it too, so it is made anew
            table, n_pairs = _number_pairs(graph.borders.pairs, graph.values)
        n_done += n_merged
        n_evaluations += n_compared
        is_empty = queue.position == len(queue.sorted_values) and len(queue.heap_values) == 0
        is_over = is_empty or n_done == n_merges
        yield n_done / n_merges
    return Merging(merges[:n_done], dissimilarities[:n_done], n_evaluations)


def _make_graph(
    regions: RegionStatistics, borders: Borders, weights: DissimilarityWeights
) -> _Graph:
    """Return a graph that can be changed, with the dissimilarities at the outset."""
    n_regions = len(regions.areas)
    return _Graph(
        copy.deepcopy(regions),
        copy.deepcopy(borders),
        weights,
        border_dissimilarities(regions, borders, weights),
        _list_neighbours(borders.pairs, n_regions),
        regions.areas.copy(),
        np.arange(n_regions),
    )


@jit()
def _list_neighbours(pairs: Integers, n_regions: int) -> _NeighbourLists:
    """Return the list of each region's borders."""
    first = np.full(n_regions, -1)
    following = np.full(2 * len(pairs), -1)
    degrees = np.zeros(n_regions, dtype=np.int64)
    for border in range(len(pairs)):
        for side in range(2):
            region = pairs[border, side]
            following[2 * border + side] = first[region]
            first[region] = 2 * border + side
            degrees[region] += 1
    return _NeighbourLists(first, following, degrees)


@jit()
def _number_pairs(pairs: Integers, values: Floats) -> tuple[Integers, int]:
    """Return a table of the borders that there are, with room for as many more, and how many."""
    n_pairs = len(values) - np.isnan(values).sum()
    table = make_table(4 * n_pairs)
    for border in range(len(pairs)):
        if not math.isnan(values[border]):
            put(table, pairs[border, 0], pairs[border, 1], border)
    return table, n_pairs


# What runs for each border takes arrays, and none of it a whole `_Graph`: numba counts references
# to all arrays in a tuple at each call and at each look into it, which took as long as the merging.


@jit()
def _merge_some(
    graph: _Graph,
    table: Integers,
    n_pairs: int,
    queue: _Queue,
    limits: _Limits,
    merges: Integers,
    dissimilarities: Floats,
    first_node: int,
) -> tuple[int, int, int, _Queue]:
    """Fill `merges`, or as much as there is room for in the table of pairs.

    Return the numbers of merges, of comparisons and of pairs in the table, and what still waits.
    """
    regions, borders, weights, values, lists, compared_at, nodes = graph
    first, following, degrees = lists
    pairs, areas, strokes = borders.pairs, regions.areas, regions.strokes
    position, sorted_values, sorted_borders, heap_values, heap_borders = queue
    heap = [(heap_values[index], heap_borders[index]) for index in range(len(heap_values))]
    changed = np.empty(len(values), dtype=np.int64)  # borders to compare anew after a merge
    n_merges, n_compared = 0, 0
    while n_merges < len(merges) and 2 * n_pairs < len(table):
        value, border, position = _pop_nearest(sorted_values, sorted_borders, position, heap)
        if border < 0:
            break
        if value != values[border]:  # gone, or compared anew since it was put here
            continue
        one, other = pairs[border, 0], pairs[border, 1]
        if _are_contested(strokes[one], strokes[other]) and not math.isinf(value):
            _set_value(values, heap, border, math.inf)  # it waits until all else is done
            continue
        if math.isinf(value) and not limits.joins_apart:
            continue
        if min(areas[one], areas[other]) >= limits.smaller_than:
            continue
        if degrees[one] < degrees[other]:
            one, other = other, one  # the shorter list is moved into the longer
        merges[n_merges, 0], merges[n_merges, 1] = nodes[one], nodes[other]
        dissimilarities[n_merges] = value
        nodes[one] = first_node + n_merges
        n_merges += 1
        values[border] = math.nan
        degrees[one] += degrees[other] - 2  # their border was in both lists
        grown = _grow(compared_at, one, other, areas[one] + areas[other], limits.growth)
        _add_region(regions, one, other, borders.lengths[border])
        own_half = first[one]  # the list before what is moved comes in front of it
        n_new, n_changed = _move_borders(borders, values, lists, table, one, other, grown, changed)
        if grown[0]:
            n_changed = _add_list(following, values, own_half, changed, n_changed)
        for index in range(n_changed):
            border = changed[index]
            far = pairs[border, 0] if pairs[border, 1] == one else pairs[border, 1]
            value = dissimilarity(one, far, border, regions, borders, weights)
            _set_value(values, heap, border, value)
        n_pairs += n_new
        n_compared += n_changed
    left = _Queue(position, sorted_values, sorted_borders, *_heap_to_arrays(heap))
    return n_merges, n_compared, n_pairs, left


@jit()
def _heap_to_arrays(heap: Heap) -> tuple[Floats, Integers]:
    """Return the dissimilarities and the borders of a heap."""
    values, borders = np.empty(len(heap)), np.empty(len(heap), dtype=np.int64)
    for index, (value, border) in enumerate(heap):
        values[index], borders[index] = value, border
    return values, borders


@jit()
def _pop_nearest(
    sorted_values: Floats, sorted_borders: Integers, position: int, heap: Heap
) -> tuple[float, int, int]:
    """Return the least dissimilarity that waits, its border, -1 if none does, and the position."""
    if position < len(sorted_values):
        value, border = sorted_values[position], sorted_borders[position]
        if len(heap) == 0 or (value, border) < heap[0]:
            return value, border, position + 1
    if len(heap) > 0:
        value, border = heapq.heappop(heap)
        return value, border, position
    return math.nan, -1, position


@jit()
def _are_contested(label: int, other_label: int) -> bool:
    """Tell whether two regions have strokes, of different labels."""
    return label != other_label and min(label, other_label) > 0


@jit()
def _set_value(values: Floats, heap: Heap, border: int, value: float) -> None:
    """Put a border into the queue with a new dissimilarity; its old entry counts no more."""
    values[border] = value
    heapq.heappush(heap, (value, border))


@jit()
def _grow(
    compared_at: Floats, one: int, other: int, area: float, growth: float
) -> tuple[bool, bool]:
    """Return whether each of two regions is to be compared anew, as they get a common area."""
    one_has_grown = area > growth * compared_at[one]
    other_has_grown = area > growth * compared_at[other]
    compared_at[one] = min(
        area if one_has_grown else compared_at[one],
        area if other_has_grown else compared_at[other],
    )
    return one_has_grown, other_has_grown


@jit()
def _move_borders(
    borders: Borders,
    values: Floats,
    lists: _NeighbourLists,
    table: Integers,
    one: int,
    other: int,
    grown: tuple[bool, bool],
    changed: Integers,
) -> tuple[int, int]:
    """Move the borders of region `other` into the list of `one`; fill in what is to be compared.

    Return how many pairs are new in the table, and how many borders have changed.
    """
    pairs = borders.pairs
    first, following, degrees = lists
    one_has_grown, other_has_grown = grown
    n_new, n_changed = 0, 0
    half = first[other]
    while half >= 0:
        after, border, side = following[half], half // 2, half % 2
        if not math.isnan(values[border]):
            far = pairs[border, 1 - side]
            common = find(table, one, far)
            kept = border
            has_changed = other_has_grown
            if common >= 0:  # both have a border with this neighbour
                kept = _join_borders(borders, values, border, common)
                degrees[one] -= 1
                degrees[far] -= 1
                # what was in the list of `one` is compared with all of it, if that has grown
                has_changed = kept == border or not one_has_grown
            if kept == border:
                pairs[border, side] = one
                following[half] = first[one]
                first[one] = half
            n_new += put(table, one, far, kept)
            if has_changed:
                changed[n_changed] = kept
                n_changed += 1
        half = after
    return n_new, n_changed


@jit()
def _add_list(
    following: Integers, values: Floats, half: int, changed: Integers, n_changed: int
) -> int:
    """Add the borders of a list, from a half-edge on, to those to compare; return their number."""
    before = -1
    while half >= 0:
        border, after = half // 2, following[half]
        if not math.isnan(values[border]):
            changed[n_changed] = border
            n_changed += 1
            before = half
        elif before >= 0:
            following[before] = after  # what is gone need not be passed again
        half = after
    return n_changed


@jit()
def _add_region(regions: RegionStatistics, one: int, other: int, length: float) -> None:
    """Add what a region sums up to another, with which it has a border of such a length."""
    regions.areas[one] += regions.areas[other]
    regions.perimeters[one] += regions.perimeters[other] - 2 * length
    for channel in range(regions.colour_sums.shape[1]):
        regions.colour_sums[one, channel] += regions.colour_sums[other, channel]
    regions.square_sums[one] += regions.square_sums[other]
    for k in range(regions.histograms.shape[1]):
        regions.histograms[one, k] += regions.histograms[other, k]
    regions.strokes[one] = max(regions.strokes[one], regions.strokes[other])


@jit()
def _join_borders(borders: Borders, values: Floats, border: int, common: int) -> int:
    """Make one of two borders with the same neighbour; return its number, the lower."""
    kept, gone = min(border, common), max(border, common)
    borders.lengths[kept] += borders.lengths[gone]
    borders.edge_sums[kept] += borders.edge_sums[gone]
    borders.change_sums[kept] += borders.change_sums[gone]
    borders.rarity_sums[kept] += borders.rarity_sums[gone]
    borders.spectral_sums[kept] += borders.spectral_sums[gone]
    values[gone] = math.nan
    values[kept] = math.inf  # until it is compared: its entries in the queue are out of date
    return kept
