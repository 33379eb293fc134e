from pathlib import Path

import dask.array as da
import imagecodecs
import numpy as np
import pytest
import tifffile
from imageio.v3 import imwrite

from napari_unsupseg.errors import FileError
from napari_unsupseg.io.readers import is_chunked, open_image, read_image

from .test_ome_zarr import write_ome


@pytest.mark.parametrize(
    ("name", "dtype", "shape", "options"),
    [
        pytest.param("a.png", np.uint8, (9, 8), {}, id="png, grey"),
        pytest.param("a.png", np.uint16, (9, 8), {}, id="png, 16 bit"),
        pytest.param("a.png", np.uint8, (9, 8, 3), {}, id="png, RGB"),
        pytest.param("a.png", np.uint16, (9, 8, 3), {}, id="png, RGB of 16 bits"),
        pytest.param("a.TIF", np.float32, (9, 8), {}, id="tiff, float"),
        pytest.param("a.tiff", np.uint16, (3, 9, 8), {"compression": "lzw"}, id="tiff, LZW stack"),
        pytest.param("a.tif", np.uint8, (9, 8, 3), {"compression": "zstd"}, id="tiff, zstd RGB"),
    ],
)
def test_images_are_read_as_they_are_stored(tmp_path, name, dtype, shape, options):
    image = np.random.default_rng(0).integers(0, 255, shape).astype(dtype)
    if name.endswith(".png"):
        (tmp_path / name).write_bytes(imagecodecs.png_encode(image))
    else:
        colour = "rgb" if shape[-1] == 3 else "minisblack"
        tifffile.imwrite(tmp_path / name, image, photometric=colour, **options)
    read = read_image(tmp_path / name)
    np.testing.assert_array_equal(read, image)
    assert read.dtype == dtype


@pytest.mark.parametrize("name", ["a.lsm", "a.stk", "a.btf", "a.svs", "a.ome.tf2", "a.png", "a"])
@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"byteorder": ">"}], ids=str)
def test_tiff_is_known_by_its_content(tmp_path, name, options):
    stack = np.random.default_rng(0).integers(0, 255, (7, 9, 8), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stack, metadata={"axes": "ZYX"}, **options)
    (tmp_path / "a.tif").rename(tmp_path / name)
    with open_image(tmp_path / name) as source:
        assert source.axes == "zyx"
        np.testing.assert_array_equal(source.values, stack)


def write_text(path: Path) -> None:
    path.write_text("not an image")


def write_half(path: Path) -> None:
    """Write the first half of an image file."""
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    imwrite(path, noise) if path.suffix == ".png" else tifffile.imwrite(
        path, noise, photometric="rgb"
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("name", "make", "sentence"),
    [
        pytest.param("missing.png", None, "no such file", id="missing"),
        pytest.param("folder", Path.mkdir, "is a folder", id="folder"),
        pytest.param("folder.tif", Path.mkdir, "is a folder", id="folder named .tif"),
        pytest.param("text.png", write_text, "damaged or of another kind", id="text named .png"),
        pytest.param("text.tif", write_text, "damaged or of another kind", id="text named .tif"),
        pytest.param("empty.tif", Path.touch, "damaged or of another kind", id="empty file"),
        pytest.param("half.tif", write_half, "the file ends at byte", id="truncated tiff"),
        pytest.param("half.png", write_half, "damaged or of another kind", id="truncated png"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, make, sentence):
    path = tmp_path / name
    if make:
        make(path)
    with pytest.raises(FileError, match=sentence) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["image.ome.zarr", "image.tif"])
@pytest.mark.parametrize(
    ("limit", "array_type"),
    [
        pytest.param(629, da.Array, id="one value too many"),
        pytest.param(630, np.ndarray, id="just not"),
    ],
)
def test_large_images_are_opened_lazily(tmp_path, monkeypatch, name, limit, array_type):
    monkeypatch.setattr("napari_unsupseg.image.tiling.LOADED_VALUES", limit)
    image = np.random.default_rng(0).integers(0, 255, (21, 30), np.uint8)
    path = tmp_path / name
    if path.suffix == ".zarr":
        write_ome(path, image)
    else:
        tifffile.imwrite(path, image, tile=(16, 16))
    with open_image(path) as source:
        assert isinstance(source.values, array_type)
        np.testing.assert_array_equal(np.asarray(source.values), image)
        assert source.axes == "yx"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("none.zarr", True, id="zarr, need not exist"),
        pytest.param("large.tif", True, id="large TIFF"),
        pytest.param("small.tif", False, id="small TIFF"),
        pytest.param("text.tif", False, id="no TIFF"),
        pytest.param("none.tif", False, id="no file"),
        pytest.param("large.png", False, id="PNG is always loaded whole"),
    ],
)
def test_whose_labels_go_chunk_by_chunk(tmp_path, monkeypatch, name, expected):
    monkeypatch.setattr("napari_unsupseg.image.tiling.LOADED_VALUES", 100)
    tifffile.imwrite(tmp_path / "large.tif", np.zeros((10, 11), np.uint8))
    tifffile.imwrite(tmp_path / "small.tif", np.zeros((10, 10), np.uint8))
    imwrite(tmp_path / "large.png", np.zeros((10, 11), np.uint8))
    write_text(tmp_path / "text.tif")
    assert is_chunked(tmp_path / name) is expected


def test_a_truncated_tiff_is_named_also_where_it_is_opened_lazily(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_unsupseg.image.tiling.LOADED_VALUES", 100)
    write_half(tmp_path / "half.tif")
    with (
        pytest.raises(FileError, match=r"half\.tif: .*the file ends at byte"),
        open_image(tmp_path / "half.tif"),
    ):
        pass
