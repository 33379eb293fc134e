"""Regions and segments of labels that are larger than memory, joined where chunks meet."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_unsupseg._typing import Track
from napari_unsupseg.image.tiling import Slices, add_halo, block_slices
from napari_unsupseg.regions.labels import label_regions

if TYPE_CHECKING:
    import zarr

__all__ = ["label_regions_by_chunks", "stitch_segments"]

Edges = NDArray[np.int64]  # (2, E), pairs of numbers that are one

BAND = {2: 32, 3: 8}  # pixels beyond a chunk in which its segments are held against the next's


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
    Those of each chunk are numbered first; the regions that touch across a border of chunks are
    the edges of a graph, whose components get the numbers that are kept. In memory are one chunk,
    or the two lines at one border, and a number for each region.
    """
    found = 0
    for place in track(block_slices(labels.shape, labels.chunks), "regions"):
        of_chunk = label_regions(np.asarray(labels[place]), spatial_ndim)
        regions[place] = np.where(of_chunk > 0, of_chunk + found, 0)
        found += int(of_chunk.max())
    return _join(regions, list(_touching(labels, regions, spatial_ndim)), found, track)


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
    found = 0
    edges: list[Edges] = []
    halo = [0] * (segments.ndim - spatial_ndim) + [BAND[spatial_ndim]] * spatial_ndim
    for place in track(block_slices(segments.shape, segments.chunks), "segments"):
        outer, inner = add_halo(place, halo, segments.shape)
        of_part = cut(outer)
        numbers = np.zeros(int(of_part.max()) + 1, dtype=np.int64)  # of those in the chunk
        ids = np.unique(of_part[inner])
        ids = ids[ids > 0]
        numbers[ids] = np.arange(found + 1, found + len(ids) + 1)
        segments[place] = numbers[of_part[inner]]
        found += len(ids)
        for axis in range(segments.ndim - spatial_ndim, segments.ndim):
            # no further than the next chunk, which is written already
            depth = min(inner[axis].start, segments.chunks[axis])
            before = slice(place[axis].start - depth, place[axis].start)
            theirs = segments[(*place[:axis], before, *place[axis + 1 :])]
            before = slice(inner[axis].start - depth, inner[axis].start)
            own = (*inner[:axis], before, *inner[axis + 1 :])
            edges.append(_matching(numbers[of_part[own]], np.asarray(theirs, dtype=np.int64)))
    return _join(segments, edges, found, track)


def _matching(ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> Edges:
    """Return the pairs whose overlap is more than half of their union."""
    both = np.stack([ours, theirs])[:, (ours > 0) & (theirs > 0)]
    pairs, overlaps = np.unique(both, axis=1, return_counts=True)
    areas = [np.bincount(side.ravel())[of] for side, of in zip((ours, theirs), pairs, strict=True)]
    unions = areas[0] + areas[1] - overlaps
    matching: Edges = pairs[:, 2 * overlaps > unions]
    return matching


def _join(regions: "zarr.Array[Any]", edges: list[Edges], found: int, track: Track[Slices]) -> int:
    """Give regions that are joined by edges one number, without gaps; return how many are left."""
    ends = np.concatenate([np.empty((2, 0), np.int64), *edges], axis=1)
    graph = coo_array((np.ones(ends.shape[1]), tuple(ends)), shape=(found + 1, found + 1))
    n_components, numbers = connected_components(graph, directed=False)
    for place in track(block_slices(regions.shape, regions.chunks), "joining chunks"):
        regions[place] = numbers[np.asarray(regions[place])]  # 0 is no end of an edge and stays 0
    return int(n_components) - 1


def _touching(
    labels: "zarr.Array[Any]", regions: "zarr.Array[Any]", spatial_ndim: int
) -> Iterator[Edges]:
    """Yield the pairs of regions of one label that touch across borders of chunks."""
    for axis in range(labels.ndim - spatial_ndim, labels.ndim):
        for border in range(labels.chunks[axis], labels.shape[axis], labels.chunks[axis]):
            for place in _along(labels, axis, border):
                of_label, of_region = np.asarray(labels[place]), np.asarray(regions[place])
                near, far = np.take(of_region, 0, axis), np.take(of_region, 1, axis)
                alike = np.take(of_label, 0, axis) == np.take(of_label, 1, axis)
                pairs = np.stack([near[alike & (near > 0)], far[alike & (near > 0)]])
                yield np.unique(pairs, axis=1).astype(np.int64)


def _along(array: "zarr.Array[Any]", axis: int, border: int) -> Iterator[Slices]:
    """Yield the two lines at a border of chunks, chunk by chunk along the other axes."""
    for place in block_slices(array.shape, array.chunks):
        if place[axis].start == border:
            yield (*place[:axis], slice(border - 1, border + 1), *place[axis + 1 :])
