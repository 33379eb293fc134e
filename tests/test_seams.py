"""Connected regions across chunks."""

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unsupseg.seams import number_regions_by_chunks
from napari_unsupseg.segments import number_regions


def untracked(chunks, _name):
    return chunks


def numbered(labels, chunks, spatial_ndim):
    stored = zarr.array(labels, chunks=chunks)
    regions = zarr.zeros(shape=labels.shape, chunks=chunks, dtype="uint32")
    n_regions = number_regions_by_chunks(stored, regions, spatial_ndim, untracked)
    return n_regions, regions[:]


def same_partition(one, other) -> bool:
    """Tell whether two labellings are the same but for the numbers."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return all(len(np.unique(side)) == pairs.shape[1] for side in pairs)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), spatial_ndim=st.sampled_from([2, 3]))
def test_chunks_are_the_whole(data, spatial_ndim):
    shape = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9))
    labels = data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 2)))
    chunks = tuple(data.draw(st.integers(1, n)) for n in shape)
    expected = number_regions(labels, spatial_ndim)
    n_regions, regions = numbered(labels, chunks, spatial_ndim)
    assert n_regions == expected.max()
    np.testing.assert_array_equal(regions == 0, labels == 0)
    assert same_partition(regions, expected)
    assert set(np.unique(regions)) - {0} == set(range(1, n_regions + 1))


@pytest.mark.parametrize("chunk", [7, 16, 100], ids=str)
def test_a_spiral_through_many_chunks_is_one_region(chunk):
    labels = np.zeros((61, 61), np.uint8)
    row, column, step = 0, 0, (0, 1)
    labels[row, column] = 1
    for length in [60, 60, 60, *np.repeat(range(58, 1, -2), 2)]:
        for _ in range(length):
            row, column = row + step[0], column + step[1]
            labels[row, column] = 1
        step = step[1], -step[0]
    n_regions, regions = numbered(labels, (chunk, chunk), 2)
    assert n_regions == 1
    np.testing.assert_array_equal(regions, labels)
