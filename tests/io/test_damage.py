"""What lies on a disk may be damaged anywhere: each damage gives one sentence, or is repaired."""

import contextlib
import json
import os
import struct
import sys
from functools import partial
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr

from napari_unsupseg.errors import FileError, OutOfMemoryError
from napari_unsupseg.io.label_store import CHUNK, LabelStore, check_zarr_axes, read_zarr_record
from napari_unsupseg.io.ome_zarr import open_zarr
from napari_unsupseg.io.readers import is_chunked, open_image
from napari_unsupseg.io.tiff import check_tiff_axes, read_tiff_record, write_tiff_labels

from .test_label_store import LABELS, PLANE, RECORD, all_at_once
from .test_ome_zarr import write_ome

DAMAGES = {
    "cut short": lambda data: data[: len(data) // 2],
    "one byte": lambda data: data[:12] + bytes([data[12] ^ 0xFF]) + data[13:],
    "empty": lambda _: b"",
    "zeros": lambda data: bytes(len(data)),
}


@pytest.fixture(params=DAMAGES.values(), ids=DAMAGES.keys())
def damage(request):
    """Return a function that damages a file."""

    def change(path: Path) -> None:
        path.write_bytes(request.param(path.read_bytes()))

    return change


def chunks_of(store: Path) -> list[Path]:
    return sorted(path for path in (store / "0" / "c").rglob("*") if path.is_file())


def test_a_damaged_chunk_of_an_image_is_named(tmp_path, damage):
    image = np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8)
    path = write_ome(tmp_path / "i.zarr", image)
    damage(chunks_of(path)[0])
    with pytest.raises(FileError, match=rf"{path.name}: .*(is damaged|cannot be read)"):
        np.asarray(open_zarr(path)[0])
    with pytest.raises(FileError, match=path.name), open_image(path):
        pass


def test_a_damaged_chunk_of_labels_is_written_again(tmp_path, damage, monkeypatch):
    monkeypatch.setitem(CHUNK, 2, (4, 8))
    store = LabelStore.create(tmp_path / "o.zarr", LABELS.shape, np.uint8, record=RECORD, **PLANE)
    labels = da.from_array(LABELS, chunks=LABELS.shape)
    store.write_missing_chunks(store.level(0), labels, all_at_once)
    damage(chunks_of(store.path)[1])
    again = LabelStore.from_path(store.path)
    again.write_missing_chunks(again.level(0), labels, all_at_once)
    np.testing.assert_array_equal(again.level(0), LABELS)


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param({"unsupseg": 3}, id="a number"),
        pytest.param({"unsupseg": ["unfinished"]}, id="a list"),
        pytest.param({"unsupseg": {"settings": "fast"}}, id="settings in a word"),
        pytest.param({"unsupseg": {"unfinished": True}}, id="no arrays"),
    ],
)
def test_the_attributes_of_others(tmp_path, attributes):
    zarr.open_group(tmp_path / "o.zarr", mode="w").attrs.update(attributes)
    assert LabelStore.from_path(tmp_path / "o.zarr") is None
    assert read_zarr_record(tmp_path / "o.zarr") is None


@pytest.mark.parametrize("part", ["zarr.json", "0/zarr.json"])
def test_labels_with_damaged_metadata_are_not_gone_on_with(tmp_path, damage, part):
    path = tmp_path / "o.zarr"
    LabelStore.create(path, LABELS.shape, np.uint8, record=RECORD, **PLANE)
    (path / part).write_text((path / part).read_text().replace(" ", ""))
    damage(path / part)
    assert LabelStore.from_path(path) is None


@pytest.mark.parametrize(
    ("shape", "chunks", "sentence"),
    [
        pytest.param([8, 9], [0, 9], "is damaged", id="chunks of nothing"),
        pytest.param([8, 9], [-4, 9], "is damaged", id="chunks of less than nothing"),
        pytest.param([10**12, 10**12], [1000, 1000], "2,000,000 is the most", id="many"),
        pytest.param([10**12, 10**12], [10**12] * 2, "more than this computer's memory", id="huge"),
    ],
)  # fmt: skip
def test_chunks_that_cannot_be(tmp_path, shape, chunks, sentence):
    path = tmp_path / "i.zarr"
    zarr.create_array(path, shape=(8, 9), chunks=(4, 9), dtype=np.uint16)
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["shape"] = shape
    metadata["chunk_grid"]["configuration"]["chunk_shape"] = chunks
    (path / "zarr.json").write_text(json.dumps(metadata))
    with pytest.raises(FileError, match=sentence):
        open_zarr(path)


@pytest.mark.parametrize(
    "shape",
    [pytest.param([1, 8, 9], id="fewer"), pytest.param([1, 1, 1, 8, 9], id="more")],
)
def test_an_array_of_other_axes_than_its_metadata_says(tmp_path, shape):
    path = write_ome(tmp_path / "i.zarr", np.ones((1, 1, 8, 9), np.uint8), "czyx")
    metadata = json.loads((path / "0" / "zarr.json").read_text())
    metadata["shape"] = metadata["chunk_grid"]["configuration"]["chunk_shape"] = shape
    del metadata["dimension_names"]
    (path / "0" / "zarr.json").write_text(json.dumps(metadata))
    sentence = f"says that its axes are c, z, y, x, and its array has {len(shape)}$"
    with pytest.raises(FileError, match=sentence), open_image(path):
        pass


def test_an_index_of_chunks_that_asks_for_more_memory_than_there_is(tmp_path):
    path, values = tmp_path / "i.zarr", np.arange(32 * 32, dtype=np.uint16).reshape(32, 32)
    zarr.create_array(path, data=values, chunks=(8, 32), shards=(32, 32), compressors=None)
    shard = path / "c" / "0" / "0"
    content = bytearray(shard.read_bytes())
    metadata = json.loads((path / "zarr.json").read_text())
    # without its checksum the index is believed: where each chunk begins, and its length
    metadata["codecs"][0]["configuration"]["index_codecs"].pop()
    struct.pack_into("<QQ", content, len(content) - 4 - 64, 0, 2**60)
    shard.write_bytes(content[:-4])
    (path / "zarr.json").write_text(json.dumps(metadata))
    with (
        pytest.raises(OutOfMemoryError, match=rf"{path.name}: takes more memory"),
        open_image(path),
    ):
        pass


def write_pages(path: Path, image: np.ndarray) -> None:
    """Write planes one after the other, with nothing that says what they are."""
    with tifffile.TiffWriter(path) as tiff:
        for plane in image:
            tiff.write(plane, metadata=None, contiguous=False)


OME = {"ome": True, "metadata": {"axes": "CYX", "PhysicalSizeX": 0.3, "PhysicalSizeY": 0.3}}


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(partial(tifffile.imwrite, **OME), id="ome"),
        pytest.param(partial(tifffile.imwrite, **OME, compression="zlib"), id="compressed"),
        pytest.param(partial(tifffile.imwrite, **OME, bigtiff=True), id="bigtiff"),
        pytest.param(partial(tifffile.imwrite, imagej=True), id="imagej"),
        pytest.param(write_pages, id="pages"),
    ],
)
def test_a_file_that_is_cut_short_is_never_read_in_part(tmp_path, write):
    path = tmp_path / "a.tif"
    write(path, np.random.default_rng(0).integers(0, 255, (3, 9, 8), np.uint8))
    content = path.read_bytes()
    with open_image(path) as whole:
        expected = np.asarray(whole.values).tobytes(), whole.axes, whole.pixel_size
    for n_bytes in range(8, len(content), 3):
        path.write_bytes(content[:n_bytes])
        with contextlib.suppress(FileError), open_image(path) as part:
            found = np.asarray(part.values).tobytes(), part.axes, part.pixel_size
            assert found == expected, f"cut after {n_bytes} bytes of {len(content)}"


@pytest.mark.skipif(sys.platform == "win32", reason="has no pipes with names")
@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_a_pipe_keeps_nobody_waiting(tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert not is_chunked(tmp_path / name)
    with pytest.raises(FileError, match="is a device or a pipe"), open_image(tmp_path / name):
        pass


def test_a_file_that_micro_manager_never_closed_is_read(tmp_path):
    path, image = tmp_path / "a.tif", np.arange(72, dtype=np.uint8).reshape(9, 8)
    tifffile.imwrite(path, image, metadata=None, extratags=[(51123, "s", 0, '{"a": 1}', True)])
    with tifffile.TiffFile(path) as tiff:
        page, byte_order = tiff.pages[0], tiff.byteorder
        assert page.is_micromanager
        place = page.offset + 2 + 12 * len(page.tags)
    content = bytearray(path.read_bytes())
    struct.pack_into(f"{byte_order}I", content, place, len(content))
    path.write_bytes(content)
    with open_image(path) as source:
        np.testing.assert_array_equal(source.values, image)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("target", [0, 1, 2, 3])
def test_pages_that_go_in_a_circle_are_read_once(tmp_path, target):
    path = tmp_path / "a.tif"
    stack = np.arange(4 * 6 * 7, dtype=np.uint8).reshape(4, 6, 7)
    tifffile.imwrite(path, stack, imagej=True)
    with tifffile.TiffFile(path) as tiff:
        offsets = [page.offset for page in tiff.pages]
        byte_order, n_tags = tiff.byteorder, len(tiff.pages[3].tags)
    # where the last page says which comes next; each tag takes 12 bytes
    place = offsets[3] + 2 + 12 * n_tags
    data = bytearray(path.read_bytes())
    struct.pack_into(f"{byte_order}I", data, place, offsets[target])
    path.write_bytes(data)
    with open_image(path) as image:
        np.testing.assert_array_equal(image.values, stack)


@pytest.mark.parametrize("name", ["n" * 300 + ".tif", "n" * 300 + ".zarr", "n" * 300 + ".png"])
def test_a_name_that_no_file_can_have(tmp_path, name):
    with pytest.raises(FileError, match="no such file"), open_image(tmp_path / name):
        pass


@pytest.mark.parametrize("size", ["NaN", "INF", "0", "-1", "1e-400"])
def test_a_pixel_size_that_no_pixel_has(tmp_path, size):
    sizes = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25}
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, LABELS, ome=True, metadata={"axes": "YX", **sizes})
    old = b'PhysicalSizeX="0.25"'
    new = f'PhysicalSizeX="{size}"'.encode().ljust(len(old))
    if len(new) > len(old):
        new, old = new + b" ", old + b' PhysicalSizeY="0.25"'
        new = new.ljust(len(old))
    path.write_bytes(path.read_bytes().replace(old, new))
    with open_image(path) as source:
        assert source.pixel_size is None


@pytest.mark.parametrize(
    ("axes", "stored"),
    [
        pytest.param("iyx", "TYX", id="unknown"),
        pytest.param("syx", "TYX", id="samples"),
        pytest.param("izyx", "TZYX", id="with slices"),
        pytest.param("btyx", "ZTYX", id="with time points"),
        pytest.param("abqyx", "TZCYX", id="three"),
        pytest.param("tzyx", "TZYX", id="known"),
    ],
)
def test_labels_along_axes_that_ome_tiff_lacks(tmp_path, axes, stored):
    labels = np.broadcast_to(LABELS, (*(2, 3, 4)[: len(axes) - 2], *LABELS.shape)).copy()
    path = tmp_path / "o.tif"
    check_tiff_axes(path, axes)
    write_tiff_labels(path, labels, axes, RECORD)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.series[0].axes == stored
        np.testing.assert_array_equal(tiff.asarray(), labels)
    assert read_tiff_record(path) == RECORD


def test_axes_that_no_file_has(tmp_path):
    with pytest.raises(FileError, match="cannot hold labels along p, q, t, z, y, x"):
        check_tiff_axes(tmp_path / "o.tif", "pqtzyx")
    for axes in ("ztyx", "pqtzyx"):
        with pytest.raises(FileError, match=f"cannot hold labels along {', '.join(axes)}: it has"):
            check_zarr_axes(tmp_path / "o.zarr", axes)
    for axes in ("yx", "iyx", "tzyx", "abcyx"):
        check_zarr_axes(tmp_path / "o.zarr", axes)
