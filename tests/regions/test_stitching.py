"""Connected regions across chunks."""

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.segmentation import relabel_sequential

from napari_unsupseg.regions.labels import label_regions
from napari_unsupseg.regions.stitching import (
    BAND,
    label_regions_by_chunks,
    stitch_segments,
)


def untracked(chunks, _name):
    return chunks


def numbered(labels, chunks, spatial_ndim):
    stored = zarr.array(labels, chunks=chunks)
    regions = zarr.zeros(shape=labels.shape, chunks=chunks, dtype="uint32")
    n_regions = label_regions_by_chunks(stored, regions, spatial_ndim, untracked)
    return n_regions, regions[:]


def same_partition(one, other) -> bool:
    """Tell whether two labellings are the same but for the numbers."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return all(len(np.unique(side)) == pairs.shape[1] for side in pairs)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), spatial_ndim=st.sampled_from([2, 3]))
def test_chunks_are_the_whole(data, spatial_ndim):
    shape = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=7))
    labels = data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 2)))
    chunks = tuple(data.draw(st.integers(1, n)) for n in shape)
    expected = label_regions(labels, spatial_ndim)
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


@settings(max_examples=25, deadline=None)
@given(data=st.data(), spatial_ndim=st.sampled_from([2, 3]))
def test_segments_that_do_not_depend_on_what_is_around_them_are_the_whole(data, spatial_ndim):
    shape = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=7))
    labels = data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 2)))
    chunks = tuple(data.draw(st.integers(1, n)) for n in shape)
    if spatial_ndim == 2:
        chunks = (1, *chunks[1:])
    expected = label_regions(labels, spatial_ndim)
    stored = zarr.zeros(shape=shape, chunks=chunks, dtype="uint32")

    def cut(place):
        return relabel_sequential(expected[place])[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BAND, spatial_ndim, data.draw(st.integers(1, 4)))
        n_segments = stitch_segments(cut, stored, spatial_ndim, untracked)
    assert n_segments == expected.max()
    assert same_partition(stored[:], expected)


@pytest.mark.parametrize(
    ("border", "expected"),
    [
        pytest.param(10, np.repeat([1, 2, 3], [10, 50, 4]), id="seen by both"),
        pytest.param(29, np.repeat([1, 2, 1, 3], [29, 3, 28, 4]), id="mostly the left one"),
        pytest.param(28, np.repeat([1, 2, 3, 4], [28, 4, 28, 4]), id="half and half"),
    ],
)
def test_a_segment_is_one_with_what_it_mostly_covers(border, expected):
    stored = zarr.zeros(shape=(4, 64), chunks=(4, 32), dtype="uint32")
    seen = {40: np.repeat([1, 2], [border, 40 - border]), 64: np.repeat([1, 2], [60, 4])}

    def cut(place):
        return np.tile(seen[place[1].stop][place[1]], (4, 1))

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BAND, 2, 8)
        assert stitch_segments(cut, stored, 2, untracked) == expected.max()
    np.testing.assert_array_equal(stored[0], expected)
