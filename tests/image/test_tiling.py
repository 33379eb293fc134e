import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unsupseg.errors import ImageError
from napari_unsupseg.image.tiling import (
    add_halo,
    block_slices,
    check_large_image,
    crop_slices,
    is_large,
    is_lazy,
    load_if_small,
    map_chunks_with_halo,
    shift_slices,
)

shapes_and_sides = st.integers(1, 3).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(1, 12), min_size=n, max_size=n),
        st.lists(st.integers(1, 7), min_size=n, max_size=n),
    )
)


@given(shapes_and_sides)
def test_every_pixel_is_in_one_block(shape_and_sides):
    shape, sides = shape_and_sides
    count = np.zeros(shape, int)
    for block in block_slices(shape, sides):
        count[block] += 1
        assert all(part.start % side == 0 for part, side in zip(block, sides, strict=True))
    assert (count == 1).all()


@given(shapes_and_sides, st.data())
def test_blocks_of_a_window_are_those_that_it_meets(shape_and_sides, data):
    shape, sides = shape_and_sides
    window = []
    for length in shape:
        start = data.draw(st.integers(-3, length - 1))
        window.append(slice(start, data.draw(st.integers(max(0, start) + 1, length + 3))))
    inside = np.zeros(shape, bool)
    inside[tuple(slice(max(0, part.start), part.stop) for part in window)] = True
    expected = [block for block in block_slices(shape, sides) if inside[block].any()]
    assert block_slices(shape, sides, within=window) == expected


def test_smaller_blocks_at_the_ends_may_be_left_out():
    whole = block_slices((5, 7), (2, 3), only_whole=True)
    assert [(rows.start, columns.start) for rows, columns in whole] == [
        (0, 0), (0, 3), (2, 0), (2, 3),
    ]  # fmt: skip


@given(shapes_and_sides, st.integers(0, 4))
def test_a_part_lies_where_its_halo_says(shape_and_sides, halo):
    shape, sides = shape_and_sides
    array = np.arange(np.prod(shape)).reshape(shape)
    for block in block_slices(shape, sides):
        outer, inner = add_halo(block, [halo] * len(shape), shape)
        np.testing.assert_array_equal(array[outer][inner], array[block])
        assert shift_slices(inner, outer) == block
        for wide, part, length in zip(outer, block, shape, strict=True):
            assert (wide.start, wide.stop) == (
                max(0, part.start - halo), min(length, part.stop + halo),
            )  # fmt: skip


@pytest.mark.parametrize(
    ("image", "lazy", "large"),
    [
        pytest.param(np.zeros(11), False, False, id="numpy"),
        pytest.param(da.zeros(10), True, False, id="small dask"),
        pytest.param(da.zeros(11), True, True, id="large dask"),
        pytest.param([0] * 11, False, False, id="list"),
    ],
)
def test_what_is_not_computed_whole(monkeypatch, image, lazy, large):
    monkeypatch.setattr("napari_unsupseg.image.tiling.LOADED_VALUES", 10)
    assert (is_lazy(image), is_large(image)) == (lazy, large)


@pytest.mark.parametrize(
    ("options", "spelled"),
    [
        pytest.param({"mask": np.ones(3)}, "mask", id="mask"),
        pytest.param({"strokes": np.ones(3)}, "strokes", id="strokes"),
        pytest.param({"joint": False}, "joint", id="separate"),
        pytest.param({"n_segments": 5, "is_stitched": True}, "n_segments", id="number"),
        pytest.param({"granularity": 0.0}, "granularity", id="granularity"),
        pytest.param({"min_size": 2}, "min_size", id="smallest segment"),
        pytest.param({"min_size": 2, "spelling": "--{}".format}, "--min_size", id="spelled"),
    ],
)
def test_what_a_large_image_cannot_have(options, spelled):
    sentence = f"^a.tif is too large to be loaded, which {spelled} would need: "
    with pytest.raises(ImageError, match=sentence):
        check_large_image("a.tif", **options)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"min_size": 1}, id="every pixel may be a segment"),
        pytest.param({"granularity": 0.5, "is_stitched": True}, id="stitched segments"),
    ],
)
def test_what_a_large_image_can_have(options):
    check_large_image("a.tif", **options)


def test_crops_are_spread_over_the_frames_and_the_same_for_a_seed():
    crops = crop_slices((4, 1024, 1024), 2, seed=3)
    # 8 of 512 × 512 make 2**21 pixels; there are 16, two of each pair of neighbours
    assert len(crops) == 8
    assert [frame.start for frame, _, _ in crops] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert crops == crop_slices((4, 1024, 1024), 2, seed=3) != crop_slices((4, 1024, 1024), 2, 4)


def test_crops_of_a_movie_of_billions_of_frames_are_chosen_at_once():
    crops = crop_slices((10**9, 512, 1024), 2, seed=0)
    assert len(crops) == 8
    assert crops[-1][0].start > 8 * 10**8


@pytest.mark.parametrize(
    ("shape", "spatial_ndim"), [((2, 9, 40, 50), 2), ((2, 9, 40, 50), 3)], ids=["planes", "volume"]
)
def test_chunks_see_what_is_around_them_in_their_frame(shape, spatial_ndim):
    """Labels that are sums of neighbours within the halo are the same by chunks and whole."""
    image = np.random.default_rng(0).integers(0, 9, shape)
    size = (1,) * (4 - 1 - spatial_ndim) + (5,) * spatial_ndim

    def add_neighbours(part):
        padded = np.pad(part.sum(0), [(n // 2, n // 2) for n in size])
        return np.lib.stride_tricks.sliding_window_view(padded, size).sum((-3, -2, -1))

    labels = map_chunks_with_halo(
        da.from_array(image, chunks=(1, 4, 16, 16)),
        add_neighbours,
        halo=2,
        spatial_ndim=spatial_ndim,
        dtype=np.int64,
    )
    np.testing.assert_array_equal(labels, add_neighbours(image))


def test_only_a_lazy_image_that_is_small_is_loaded(monkeypatch):
    pixels = np.arange(12).reshape(3, 4)
    assert load_if_small(pixels) is pixels
    lazy = da.from_array(pixels)
    loaded = load_if_small(lazy)
    assert isinstance(loaded, np.ndarray)
    np.testing.assert_array_equal(loaded, pixels)
    monkeypatch.setattr("napari_unsupseg.image.tiling.LOADED_VALUES", 11)
    assert load_if_small(lazy) is lazy
