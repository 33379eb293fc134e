"""Connected regions of labels that are larger than memory, joined where chunks meet."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_unsupseg.segments import number_regions
from napari_unsupseg.zarr_files import Place, Track, places

if TYPE_CHECKING:
    import zarr

__all__ = ["number_regions_by_chunks"]


def number_regions_by_chunks(
    labels: "zarr.Array[Any]", regions: "zarr.Array[Any]", spatial_ndim: int, track: Track[Place]
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
    for place in track(places(labels), "regions"):
        of_chunk = number_regions(np.asarray(labels[place]), spatial_ndim)
        n_regions = int(of_chunk.max())
        regions[place] = np.where(of_chunk > 0, of_chunk + found, 0)
        found += n_regions
    edges = np.concatenate([np.empty((2, 0), np.int64), *_edges(labels, regions, spatial_ndim)], 1)
    ones = np.ones(edges.shape[1], dtype=np.int8)
    graph = coo_array((ones, (edges[0], edges[1])), shape=(found + 1, found + 1))
    n_components, numbers = connected_components(graph, directed=False)
    for place in track(places(labels), "joining regions"):
        regions[place] = numbers[np.asarray(regions[place])]  # 0 touches none and stays 0
    return int(n_components) - 1


def _edges(
    labels: "zarr.Array[Any]", regions: "zarr.Array[Any]", spatial_ndim: int
) -> Iterator[NDArray[np.int64]]:
    """Yield the pairs of regions of one label that touch across borders of chunks."""
    for axis in range(labels.ndim - spatial_ndim, labels.ndim):
        for border in range(labels.chunks[axis], labels.shape[axis], labels.chunks[axis]):
            for place in _along(labels, axis, border):
                of_label, of_region = np.asarray(labels[place]), np.asarray(regions[place])
                near, far = np.take(of_region, 0, axis), np.take(of_region, 1, axis)
                alike = np.take(of_label, 0, axis) == np.take(of_label, 1, axis)
                pairs = np.stack([near[alike & (near > 0)], far[alike & (near > 0)]])
                yield np.unique(pairs, axis=1).astype(np.int64)


def _along(array: "zarr.Array[Any]", axis: int, border: int) -> Iterator[Place]:
    """Yield the two lines at a border of chunks, chunk by chunk along the other axes."""
    for place in places(array):
        if place[axis].start == border:
            yield (*place[:axis], slice(border - 1, border + 1), *place[axis + 1 :])
