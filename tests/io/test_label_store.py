import dask.array as da
import numpy as np
import pytest
import yaozarrs
import zarr

from napari_unsupseg.errors import FileError
from napari_unsupseg.io.label_store import (
    CHUNK,
    LabelStore,
    read_zarr_record,
    write_zarr_labels,
)
from napari_unsupseg.io.pixel_size import PixelSize

from .test_ome_zarr import write_ome

LABELS = np.random.default_rng(0).integers(1, 200, (9, 22), np.uint8)
PLANE = {"axes": "yx", "pixel_size": PixelSize(0.5, 0.25, "nm"), "spatial_ndim": 2}
RECORD = {"version": "0"}


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setitem(CHUNK, 2, (4, 8))
    monkeypatch.setattr("napari_unsupseg.io.label_store.TOP_LEVEL", 8)


@pytest.fixture
def store(tmp_path) -> LabelStore:
    return LabelStore.create(tmp_path / "o.zarr", LABELS.shape, np.uint8, record=RECORD, **PLANE)


def all_at_once(chunks, _name):
    return chunks


def test_a_store_has_a_pyramid_with_pixel_sizes(tmp_path):
    path = tmp_path / "o.ome.zarr"
    write_zarr_labels(path, LABELS, record=RECORD, **PLANE)
    yaozarrs.validate_zarr_store(str(path))
    (multiscale,) = yaozarrs.open_group(str(path)).ome_metadata().multiscales
    assert [axis.unit for axis in multiscale.axes] == ["nanometer"] * 2
    scales = [dataset.scale_transform.scale for dataset in multiscale.datasets]
    assert scales == [[0.5, 0.25], [1, 0.5], [2, 1]]
    group = zarr.open_group(path)
    for index, dataset in enumerate(multiscale.datasets):
        np.testing.assert_array_equal(group[dataset.path], LABELS[:: 2**index, :: 2**index])


@pytest.mark.parametrize(
    ("axes", "spatial_ndim", "chunks"),
    [
        pytest.param("zyx", 2, (1, 4, 8), id="planes"),
        pytest.param("zyx", 3, (2, 3, 5), id="volume"),
        pytest.param("tzyx", 3, (1, 2, 3, 5), id="series of volumes"),
    ],
)
def test_a_chunk_lies_in_one_frame(tmp_path, monkeypatch, axes, spatial_ndim, chunks):
    monkeypatch.setitem(CHUNK, 3, (2, 3, 5))
    labels = np.arange(9 * 8 * 9).reshape((3,) * (len(axes) - 2) + (8, -1)).astype(np.uint16)
    path, pixel_size = tmp_path / "o.zarr", PixelSize(2, 2, "um", 5)
    write_zarr_labels(
        path, labels, axes=axes, pixel_size=pixel_size, spatial_ndim=spatial_ndim, record=RECORD
    )
    assert zarr.open_group(path)["0"].chunks == chunks
    (multiscale,) = yaozarrs.open_group(str(path)).ome_metadata().multiscales
    assert multiscale.datasets[0].scale_transform.scale[-3:] == [5, 2, 2]
    np.testing.assert_array_equal(zarr.open_group(path)["0"], labels)


def test_a_record_is_that_of_complete_labels(store):
    assert not store.is_complete
    assert store.record == RECORD
    assert read_zarr_record(store.path) is None
    store.mark_complete(RECORD | {"clusters": 3})
    assert store.is_complete
    assert read_zarr_record(store.path) == RECORD | {"clusters": 3}


def test_written_chunks_are_not_computed_again(store):
    def some(chunks, _name):
        yield from chunks[:2]
        raise KeyboardInterrupt

    labels = da.from_array(LABELS, chunks=LABELS.shape)
    with pytest.raises(KeyboardInterrupt):
        store.write_missing_chunks(store.level(0), labels, some)
    again = LabelStore.from_path(store.path)
    again.write_missing_chunks(again.level(0), labels + 1, all_at_once)
    expected = LABELS + 1
    expected[:4, :16] = LABELS[:4, :16]
    np.testing.assert_array_equal(again.level(0), expected)


def test_the_temporary_array_stays_until_all_is_written(store):
    store.temporary_array(np.uint8)[:] = LABELS
    again = LabelStore.from_path(store.path)
    np.testing.assert_array_equal(again.temporary_array(np.uint8), LABELS)
    assert not np.any(again.level(0))
    again.mark_complete(RECORD)
    assert set(zarr.open_group(store.path).array_keys()) == {"0", "1", "2"}


@pytest.mark.parametrize("kind", ["nothing", "folder", "another image"])
def test_what_others_have_made_is_no_label_store(tmp_path, kind):
    path = tmp_path / "a.zarr"
    if kind == "folder":
        path.mkdir()
    elif kind == "another image":
        write_ome(path, LABELS)
    assert LabelStore.from_path(path) is None
    assert read_zarr_record(path) is None


def test_a_store_is_replaced(tmp_path):
    path = tmp_path / "o.zarr"
    write_zarr_labels(path, LABELS, record=RECORD, **PLANE)
    write_zarr_labels(path, LABELS[:5], record=RECORD | {"clusters": 3}, **PLANE)
    np.testing.assert_array_equal(zarr.open_group(path)["0"], LABELS[:5])
    assert read_zarr_record(path) == RECORD | {"clusters": 3}
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_store_and_no_crumbs(tmp_path):
    path = tmp_path / "o.zarr"
    write_zarr_labels(path, LABELS, record=RECORD, **PLANE)
    with pytest.raises(FileError, match="not JSON serializable"):
        write_zarr_labels(path, LABELS, record={"not json": object()}, **PLANE)
    assert read_zarr_record(path) == RECORD
    assert list(tmp_path.iterdir()) == [path]
