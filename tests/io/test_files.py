import os
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from imageio.v3 import imread, imwrite

from napari_unsupseg.errors import FileError
from napari_unsupseg.io.paths import check_writable
from napari_unsupseg.io.pixel_size import PixelSize
from napari_unsupseg.io.readers import read_image
from napari_unsupseg.io.tiff import (
    read_tiff_axes,
    read_tiff_pixel_size,
    read_tiff_record,
    write_labels,
)
from napari_unsupseg.io.writers import write_picture

LABELS = np.arange(1, 201, dtype=np.uint8).reshape(10, 20)
RECORD = {"version": "0", "settings": {"seed": 3}}


@pytest.mark.parametrize(
    ("name", "dtype", "shape", "options"),
    [
        pytest.param("a.png", np.uint8, (9, 8), {}, id="png, grey"),
        pytest.param("a.png", np.uint16, (9, 8), {}, id="png, 16 bit"),
        pytest.param("a.png", np.uint8, (9, 8, 3), {}, id="png, RGB"),
        pytest.param("a.png", np.uint8, (9, 8, 4), {}, id="png, RGBA"),
        pytest.param("a.TIF", np.float32, (9, 8), {}, id="tiff, float"),
        pytest.param("a.tiff", np.uint16, (3, 9, 8), {"compression": "lzw"}, id="tiff, LZW stack"),
        pytest.param("a.tif", np.uint8, (9, 8, 3), {"compression": "zstd"}, id="tiff, zstd RGB"),
    ],
)
def test_images_are_read_as_they_are_stored(tmp_path, name, dtype, shape, options):
    image = np.random.default_rng(0).integers(0, 255, shape).astype(dtype)
    if name.endswith(".png"):
        imwrite(tmp_path / name, image)
    else:
        colour = "rgb" if shape[-1] == 3 else "minisblack"
        tifffile.imwrite(tmp_path / name, image, photometric=colour, **options)
    read = read_image(tmp_path / name)
    np.testing.assert_array_equal(read, image)
    assert read.dtype == dtype


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"resolution": (72, 72), "resolutionunit": 2}, None, id="dots an inch"),
        pytest.param(
            {"imagej": True, "resolution": (4, 2), "metadata": {"unit": "micron"}},
            PixelSize(0.5, 0.25, "um"),
            id="ImageJ",
        ),
        pytest.param(
            {"imagej": True, "resolution": (4, 2), "metadata": {"unit": "pixel"}},
            None,
            id="ImageJ, pixels",
        ),
        pytest.param(
            {
                "ome": True,
                "metadata": {
                    "PhysicalSizeX": 2, "PhysicalSizeXUnit": "nm",
                    "PhysicalSizeY": 3, "PhysicalSizeYUnit": "nm",
                },
            },
            PixelSize(3, 2, "nm"),
            id="OME",
        ),
        pytest.param(
            {"ome": True, "metadata": {"PhysicalSizeX": 2, "PhysicalSizeY": 3}},
            PixelSize(3, 2, "um"),
            id="OME's own unit",
        ),
        pytest.param({"ome": True, "metadata": {"PhysicalSizeX": 2}}, None, id="OME, one side"),
    ],
)  # fmt: skip
def test_how_large_a_pixel_is(tmp_path, options, expected):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 9), np.uint16), **options)
    assert read_tiff_pixel_size(tmp_path / "a.tif") == expected
    imwrite(tmp_path / "a.png", np.zeros((8, 9), np.uint8))
    assert read_tiff_pixel_size(tmp_path / "a.png") is None


def text(path: Path) -> None:
    path.write_text("not an image")


def half(path: Path) -> None:
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
        pytest.param("text.png", text, "damaged or of another kind", id="text named .png"),
        pytest.param("text.tif", text, "damaged or of another kind", id="text named .tif"),
        pytest.param("empty.tif", Path.touch, "damaged or of another kind", id="empty file"),
        pytest.param("half.tif", half, "the file ends at byte", id="truncated tiff"),
        pytest.param("half.png", half, "damaged or of another kind", id="truncated png"),
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


@pytest.mark.parametrize(
    "pixel_size",
    [
        pytest.param(None, id="unknown"),
        pytest.param(PixelSize(0.5, 0.25, "um"), id="um"),
        pytest.param(PixelSize(2, 2, "angstrom"), id="angstrom"),
        pytest.param(PixelSize(30, 30, "nm", 100), id="with slices"),
    ],
)
def test_labels_carry_how_they_were_made_and_their_pixel_size(tmp_path, pixel_size):
    path = tmp_path / "labels.tif"
    volume = np.stack([LABELS, LABELS[::-1]])
    write_labels(path, volume, "zyx", RECORD, pixel_size)
    assert read_tiff_record(path) == RECORD
    assert read_tiff_pixel_size(path) == pixel_size
    assert read_tiff_axes(path) == "zyx"
    with tifffile.TiffFile(path) as tiff:
        np.testing.assert_array_equal(tiff.asarray(), volume)
        assert tiff.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE


def test_the_same_labels_make_the_same_file(tmp_path):
    names = ("a.tif", "b.tif", "other.tif")
    for name, labels in zip(names, (LABELS, LABELS, LABELS[::-1]), strict=True):
        write_labels(tmp_path / name, labels, "yx", RECORD)
    one, two, other = ((tmp_path / name).read_bytes() for name in names)
    assert one == two != other


def test_a_record_is_found_only_in_labels(tmp_path):
    comment = {"Namespace": "another", "Value": "{}"}
    for name, options in {
        "plain.tif": {},
        "ome.tif": {"ome": True},
        "another.tif": {"ome": True, "metadata": {"CommentAnnotation": comment}},
    }.items():
        tifffile.imwrite(tmp_path / name, LABELS, **options)
        assert read_tiff_record(tmp_path / name) is None, name
    assert read_tiff_record(tmp_path / "missing.tif") is None


def test_a_picture_is_written_and_replaced(tmp_path):
    path = tmp_path / "picture.png"
    for value in (1, 2):
        write_picture(path, np.full((4, 5, 3), value, np.uint8))
        assert (imread(path) == value).all()


def test_a_failed_write_leaves_the_old_file_and_no_crumbs(tmp_path):
    path = tmp_path / "labels.tif"
    write_labels(path, LABELS, "yx", RECORD)
    with pytest.raises(TypeError):
        write_labels(path, LABELS, "yx", RECORD | {"not json": object()})
    np.testing.assert_array_equal(tifffile.imread(path), LABELS)
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_has_left_goes_with_the_next_write(tmp_path):
    left, other = tmp_path / ".a[1].99.partial.tif", tmp_path / ".b.99.partial.tif"
    for path in (left, other):
        path.touch()
    write_labels(tmp_path / "a[1].tif", LABELS, "yx", RECORD)
    assert sorted(tmp_path.iterdir()) == [other, tmp_path / "a[1].tif"]


def read_only_folder(tmp_path: Path) -> Path:
    """Return a folder in which this user may write nothing, root included."""
    if sys.platform.startswith("linux") and os.geteuid() == 0:
        return Path("/proc")
    (tmp_path / "locked").mkdir(mode=0o500)
    return tmp_path / "locked"


def test_where_nothing_may_be_written(tmp_path):
    with pytest.raises(FileError, match="cannot be written"):
        check_writable(read_only_folder(tmp_path) / "labels.tif", overwrite=False)


@pytest.mark.parametrize(
    ("name", "overwrite", "sentence"),
    [
        pytest.param("there.tif", False, "exists already", id="exists"),
        pytest.param("folder", True, "is a folder", id="folder"),
        pytest.param("there.tif/labels.tif", True, "cannot be written", id="file for a folder"),
    ],
)
def test_what_may_not_be_written(tmp_path, name, overwrite, sentence):
    (tmp_path / "there.tif").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileError, match=sentence):
        check_writable(tmp_path / name, overwrite=overwrite)


def test_folders_are_made(tmp_path):
    check_writable(tmp_path / "new" / "er" / "labels.tif", overwrite=False)
    assert (tmp_path / "new" / "er").is_dir()
