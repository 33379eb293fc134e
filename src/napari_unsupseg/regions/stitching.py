"""Regions and segments of labels that are larger than memory, joined where chunks meet."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg._typing import Track
from napari_unsupseg.image.tiling import Slices, add_halo, block_slices
from napari_unsupseg.regions.labels import label_regions, number_connected

if TYPE_CHECKING:
    import zarr

__all__ = ["label_regions_by_chunks", "match_segments", "renumber", "stitch_segments"]

Edges = NDArray[np.int64]  # (2, E), pairs of numbers that are one

# pixels beyond a chunk in which its segments are compared with its neighbours', by spatial axes
BAND = {2: 32, 3: 8}


def label_regions_by_chunks(
    labels: "zarr.Array[Any]", regions: "zarr.Array[Any]", spatial_ndim: int, track: Track[Slices]
) -> int:
    """Give every connected region of stored labels a number.

    Parameters
    ----------
    labels : zarr.Array of unsigned integers, shape (..., Y, X)
        Labels; 0 is left out.
    regions : zarr.Array of uint32, shape (..., Y, X)
        Where the regions go, from 1; of the same chunks.
    spatial_ndim : int
        Axes of a frame, the last ones; regions do not reach from frame to frame.
    track : callable
        Goes through the chunks.

    Returns
    -------
    int
        How many there are.

    Notes
    -----
    The regions of each chunk are numbered first. Those that touch across a border of chunks are
    the edges of a graph, whose components then give the final numbers. In memory are one chunk, or
    the two lines of pixels at one border, and a number for each region.
    """
    n_regions = 0
    for block in track(block_slices(labels.shape, labels.chunks), "regions"):
        block_regions = label_regions(np.asarray(labels[block]), spatial_ndim)
        regions[block] = np.where(block_regions > 0, block_regions + n_regions, 0)
        n_regions += int(block_regions.max())
    edges = list(_touching_regions(labels, regions, spatial_ndim))
    return _merge_connected(regions, edges, n_regions, track)


def stitch_segments(
    cut: Callable[[Slices], NDArray[np.unsignedinteger]],
    segments: "zarr.Array[Any]",
    spatial_ndim: int,
    track: Track[Slices],
) -> int:
    """Give every segment of an image a number, each chunk's being found with what is around it.

    Parameters
    ----------
    cut : callable
        Segments of a part of the image, from 1; 0 at pixels that take no part.
    segments : zarr.Array of uint32, shape (..., Y, X)
        Where the segments go, from 1.
    spatial_ndim : int
        Axes of a frame, the last ones; segments do not reach from frame to frame.
    track : callable
        Goes through the chunks.

    Returns
    -------
    int
        How many there are.

    Notes
    -----
    Each chunk's segments are found in a band of its neighbours too. A segment that reaches into
    the band, and a segment that the neighbour found there, are one if more than half of the pixels
    that either has in the band are in both; so each has at most one such partner.
    """
    n_segments = 0
    edges: list[Edges] = []
    axes = range(segments.ndim - spatial_ndim, segments.ndim)
    halo = [0] * axes.start + [BAND[spatial_ndim]] * spatial_ndim
    for block in track(block_slices(segments.shape, segments.chunks), "segments"):
        outer, inner = add_halo(block, halo, segments.shape)
        local = cut(outer)  # numbered within the block and its halo
        numbers = _number_inside(local, inner, n_segments)
        n_segments = max(n_segments, int(numbers.max()))
        segments[block] = numbers[local[inner]]
        for axis in axes:
            # the halo before the block, no further than one chunk, which is written already
            depth = min(inner[axis].start, segments.chunks[axis])
            written = np.asarray(segments[_band_before(block, axis, depth)], dtype=np.int64)
            edges.append(match_segments(numbers[local[_band_before(inner, axis, depth)]], written))
    return _merge_connected(segments, edges, n_segments, track)


def _number_inside(
    local: NDArray[np.unsignedinteger], inner: Slices, n_segments: int
) -> NDArray[np.int64]:
    """Return a number for each local segment: from `n_segments` + 1, 0 outside `inner`."""
    numbers = np.zeros(int(local.max()) + 1, dtype=np.int64)
    inside = np.unique(local[inner])
    inside = inside[inside > 0]
    numbers[inside] = np.arange(n_segments + 1, n_segments + len(inside) + 1)
    return numbers


def _band_before(block: Slices, axis: int, depth: int) -> Slices:
    """Return the pixels before a block along an axis, as many as `depth`."""
    start = block[axis].start
    return (*block[:axis], slice(start - depth, start), *block[axis + 1 :])


def match_segments(ours: NDArray[np.integer], theirs: NDArray[np.integer]) -> Edges:
    """Return the pairs of segments whose overlap is more than half of their union.

    Parameters
    ----------
    ours, theirs : ndarray of int, shape (..., Y, X)
        Segments from 1 of the same part of an image, found twice; 0 elsewhere.

    Returns
    -------
    ndarray of int64, shape (2, P)
        Each segment is in one pair at most.
    """
    both = np.stack([ours, theirs])[:, (ours > 0) & (theirs > 0)]
    pairs, overlaps = np.unique(both, axis=1, return_counts=True)
    our_areas = np.bincount(ours.ravel())[pairs[0]]
    their_areas = np.bincount(theirs.ravel())[pairs[1]]
    unions = our_areas + their_areas - overlaps
    matching: Edges = pairs[:, 2 * overlaps > unions]
    return matching


def _merge_connected(
    regions: "zarr.Array[Any]", edges: list[Edges], n_regions: int, track: Track[Slices]
) -> int:
    """Give regions that edges connect one number, without gaps; return how many are left."""
    n_left, numbers = number_connected(edges, n_regions)
    renumber(regions, numbers, track)
    return n_left


def renumber(
    regions: "zarr.Array[Any]", numbers: NDArray[np.integer], track: Track[Slices]
) -> None:
    """Give stored regions other numbers.

    Parameters
    ----------
    regions : zarr.Array of uint32, shape (..., Y, X)
        The regions.
    numbers : ndarray of int, shape (regions + 1,)
        New number of each, and of 0.
    track : callable
        Goes through the chunks.
    """
    for block in track(block_slices(regions.shape, regions.chunks), "joining chunks"):
        regions[block] = numbers[np.asarray(regions[block])]


def _touching_regions(
    labels: "zarr.Array[Any]", regions: "zarr.Array[Any]", spatial_ndim: int
) -> Iterator[Edges]:
    """Yield the pairs of regions of one label that touch across borders of chunks."""
    for axis in range(labels.ndim - spatial_ndim, labels.ndim):
        for block in block_slices(labels.shape, labels.chunks):
            start = block[axis].start
            if start == 0:
                continue
            # the two lines of pixels at the border before the block
            lines = (*block[:axis], slice(start - 1, start + 1), *block[axis + 1 :])
            near, far = np.moveaxis(np.asarray(regions[lines]), axis, 0)
            near_label, far_label = np.moveaxis(np.asarray(labels[lines]), axis, 0)
            touch = (near_label == far_label) & (near > 0)
            yield np.unique(np.stack([near[touch], far[touch]]), axis=1).astype(np.int64)
