"""Images larger than memory, as dask arrays."""

import dask
import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unsupseg import Segmenter, Settings, segment
from napari_unsupseg.errors import ImageError
from napari_unsupseg.image.tiling import CROP, compute_crops
from napari_unsupseg.learning.network import Network

from .test_checkpoint import QUICK, cells


def wide(n: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Return several images of cells in a row, and where the cells are."""
    images, truths = zip(*map(cells, range(n)), strict=True)
    return np.hstack(images), np.hstack(truths)


@pytest.fixture(scope="module")
def fitted():
    return Segmenter(Settings(final_clusters=2, **QUICK)).fit(cells(0)[0])


@pytest.fixture
def few(monkeypatch):
    """Have small images taken for large ones, and crops small."""
    monkeypatch.setattr("napari_unsupseg.image.tiling.LOADED_VALUES", 1000)
    monkeypatch.setattr("napari_unsupseg.image.tiling.CROPS_PIXELS", 60 * 70 * 4)
    monkeypatch.setitem(CROP, 2, (60, 70))


@settings(max_examples=15, deadline=None)
@given(rows=st.integers(1, 80), columns=st.integers(1, 80))
def test_chunks_are_the_whole(fitted, rows, columns):
    image, _ = cells(1)
    lazy = da.from_array(image, chunks=(rows, columns))
    labels = fitted.predict(lazy)
    assert isinstance(labels, da.Array)
    assert labels.shape == image.shape
    np.testing.assert_array_equal(labels.compute(scheduler="sync"), fitted.predict(image))


@pytest.mark.parametrize(
    ("shape", "axes", "spatial_ndim", "chunks"),
    [
        pytest.param((40, 50, 3), "yxs", 2, (13, 17, 1), id="RGB"),
        pytest.param((2, 5, 30, 40), "ctyx", 2, (1, 2, 11, 40), id="movie of channels"),
        pytest.param((9, 30, 40), "zyx", 3, (2, 16, 9), id="volume"),
        pytest.param((3, 6, 30, 40), "tzyx", 3, (1, 1, 30, 7), id="movie of volumes"),
    ],
)
def test_chunks_are_the_whole_for_every_kind(shape, axes, spatial_ndim, chunks):
    image = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    segmenter = Segmenter(Settings(**QUICK | {"iterations": 4, "superpixels": 100}))
    segmenter.fit(image, axes=axes, spatial_ndim=spatial_ndim)
    labels = segmenter.predict(da.from_array(image, chunks=chunks), axes=axes)
    expected = segmenter.predict(image, axes=axes)
    np.testing.assert_array_equal(labels.compute(scheduler="sync"), expected)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), step=st.sampled_from([1, 2, 5, 6, 8, 16, 64]), has_nan=st.booleans())
def test_every_so_manyth_label_is_that_of_the_whole(fitted, data, step, has_nan):
    image = cells(1)[0].copy()
    if has_nan:
        image[:30, 5:50] = np.nan
        image[41, 7] = np.nan
    starts = [data.draw(st.integers(0, length - 1)) for length in image.shape]
    place = tuple(
        slice(start, data.draw(st.integers(start + 1, length)))
        for start, length in zip(starts, image.shape, strict=True)
    )
    lazy = fitted.lazy_labels(da.from_array(image, chunks=(33, 20)))
    expected = fitted.predict(image)[place][::step, ::step]
    np.testing.assert_array_equal(lazy.compute(place, step), expected)


@pytest.mark.parametrize("step", [1, 4, 8])
def test_every_so_manyth_label_of_a_movie_of_channels(step):
    image = np.random.default_rng(0).integers(0, 255, (2, 5, 30, 40), np.uint8)
    segmenter = Segmenter(Settings(**QUICK | {"iterations": 4, "superpixels": 100}))
    segmenter.fit(image, axes="ctyx")
    lazy = segmenter.lazy_labels(da.from_array(image, chunks=(1, 2, 11, 40)), axes="ctyx")
    place = (slice(1, 4), slice(3, 30), slice(0, 33))
    expected = segmenter.predict(image, axes="ctyx")[place][..., ::step, ::step]
    np.testing.assert_array_equal(lazy.compute(place, step), expected)


def test_only_what_is_asked_for_is_computed(fitted, few):
    asked = []

    def chunk(block_info):
        asked.append(block_info[None]["chunk-location"])
        return cells(0)[0][:35, :45]

    lazy = da.map_blocks(chunk, chunks=((35,) * 8, (45,) * 10), dtype=float, meta=np.empty((0, 0)))
    labels, parts = fitted.predict(lazy), fitted.lazy_labels(lazy)
    asked.clear()
    labels[:30, :30].compute(scheduler="sync")
    parts.compute((slice(0, 30), slice(0, 30)))
    assert set(asked) <= {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_a_large_image_is_trained_on_by_crops(few):
    image, truth = wide()
    lazy = da.from_array(image, chunks=(70, 90))
    labels = segment(lazy, final_clusters=2, **QUICK)
    assert isinstance(labels, da.Array)
    assert np.mean(labels.compute(scheduler="sync") == truth + 1) > 0.97


def test_a_small_lazy_image_is_as_good_as_an_array():
    image, _ = cells(0)
    lazy = da.from_array(image, chunks=(20, 20))
    labels = segment(lazy, **QUICK)
    assert isinstance(labels, np.ndarray)
    np.testing.assert_array_equal(labels, segment(image, **QUICK))


def test_steps_of_a_large_image_show_its_crops(few):
    lazy = da.from_array(wide()[0], chunks=(70, 90))
    step = next(Segmenter(Settings(**QUICK)).steps(lazy))
    assert step.labels.shape == (4, 60, 70)


@given(
    height=st.integers(2, 300), width=st.integers(2, 300), n_frames=st.integers(1, 5),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_crops_come_from_all_over(height, width, n_frames, seed):
    image = np.arange(n_frames * height * width).reshape(1, n_frames, height, width)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_unsupseg.image.tiling.CROPS_PIXELS", 20_000)
        patch.setitem(CROP, 2, (50, 60))
        crops = compute_crops(da.from_array(image, chunks=-1), 2, seed)[0]
    assert crops.shape[1:] == (min(50, height), min(60, width))
    assert len(crops) == 1 or crops.size <= 20_000
    assert len(np.unique(crops)) == crops.size, "no pixel twice"
    corners = [int(crop[0, 0]) // (height * width) for crop in crops]
    assert corners == sorted(corners)


def test_pixels_that_are_nan_take_no_part(fitted):
    image, _ = cells(1)
    image[:40, :50] = np.nan
    labels = fitted.predict(da.from_array(image, chunks=(20, 25))).compute(scheduler="sync")
    np.testing.assert_array_equal(labels > 0, ~np.isnan(image))


@pytest.fixture(scope="module")
def rgba():
    """Return colours of which a corner, wider than a crop and a chunk, is fully transparent."""
    image = np.random.default_rng(0).integers(1, 255, (150, 190, 4)).astype(np.uint8)
    image[:75, :90, 3] = 0
    return image


@pytest.fixture(scope="module")
def fitted_to_colours(rgba):
    return Segmenter(Settings(**QUICK | {"iterations": 4})).fit(rgba, axes="yxs")


@pytest.mark.parametrize("chunks", [(40, 50, 4), (40, 50, 1), (150, 190, 3)])
def test_what_is_fully_transparent_has_no_labels(rgba, fitted_to_colours, chunks):
    lazy = da.from_array(rgba, chunks=chunks)
    expected = fitted_to_colours.predict(rgba, axes="yxs")
    assert (expected > 0).sum() == np.count_nonzero(rgba[..., 3])
    labels = fitted_to_colours.predict(lazy, axes="yxs").compute(scheduler="sync")
    np.testing.assert_array_equal(labels, expected)
    part = (slice(60, 120), slice(3, 170))
    labels = fitted_to_colours.lazy_labels(lazy, axes="yxs").compute(part, step=16)
    np.testing.assert_array_equal(labels, expected[part][::16, ::16])


@pytest.mark.parametrize("joint", [True, False])
def test_a_small_dask_array_is_segmented_as_an_array_is(rgba, joint):
    options = {"axes": "yxs", "joint": joint, **QUICK, "iterations": 4}
    labels = segment(da.from_array(rgba, chunks=(40, 50, 4)), **options)
    assert isinstance(labels, np.ndarray)
    np.testing.assert_array_equal(labels, segment(rgba, **options))


def test_what_is_fully_transparent_of_a_large_image_has_no_labels(few, rgba):
    lazy = da.from_array(rgba, chunks=(40, 50, 4))
    labels = segment(lazy, axes="yxs", **QUICK | {"iterations": 4})
    np.testing.assert_array_equal(labels.compute(scheduler="sync") > 0, rgba[..., 3] > 0)


@pytest.mark.parametrize(
    "keywords",
    [{"granularity": 0.5}, {"n_segments": 4}, {"mask": np.ones((70, 90), bool)}],
    ids=["granularity", "n_segments", "mask"],
)
def test_what_needs_the_whole_is_refused(fitted, keywords):
    with pytest.raises(ImageError, match="only clusters can be predicted"):
        fitted.predict(da.from_array(cells(0)[0]), **keywords)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param({"mask": np.ones((70, 90), bool)}, "mask would need: set the", id="mask"),
        pytest.param({"strokes": np.ones((70, 90), int)}, "strokes would need: draw", id="strokes"),
        pytest.param({"granularity": 0.5}, "granularity would need: leave", id="granularity"),
        pytest.param({"n_segments": 5}, "n_segments would need: leave", id="segments"),
        pytest.param({"min_size": 5}, "min_size would need: leave", id="smallest segment"),
    ],
)
def test_what_needs_a_whole_image_is_refused_before_any_training(
    few, options, sentence, monkeypatch
):
    monkeypatch.setattr(Network, "forward", None)  # nothing can be trained
    lazy = da.from_array(cells(0)[0])
    with pytest.raises(ImageError, match=f"image is too large to be loaded, which {sentence}"):
        segment(lazy, **options, **QUICK)


def test_labels_can_be_written_by_chunks(fitted, tmp_path):
    image, _ = wide(2)
    labels = fitted.predict(da.from_array(image, chunks=(35, 45)))
    with dask.config.set(scheduler="sync"):
        labels.to_zarr(str(tmp_path / "labels.zarr"))
    stored = zarr.open(str(tmp_path / "labels.zarr"))[:]
    np.testing.assert_array_equal(stored, labels.compute(scheduler="sync"))
