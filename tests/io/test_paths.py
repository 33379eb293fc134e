import os
import sys
from pathlib import Path

import pytest

from napari_unsupseg.errors import FileError
from napari_unsupseg.io.paths import atomic_write, check_writable, is_zarr, list_images


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


def test_a_failed_write_leaves_the_old_file_and_no_crumbs(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("old")
    with pytest.raises(TypeError), atomic_write(path) as partial:  # noqa: PT012
        partial.write_text("ne")
        raise TypeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_has_left_goes_with_the_next_write(tmp_path):
    left, other = tmp_path / ".a[1].99.partial.txt", tmp_path / ".b.99.partial.txt"
    for path in (left, other):
        path.touch()
    with atomic_write(tmp_path / "a[1].txt") as partial:
        partial.write_text("new")
    assert sorted(tmp_path.iterdir()) == [other, tmp_path / "a[1].txt"]
    assert (tmp_path / "a[1].txt").read_text() == "new"


def test_the_images_of_a_folder(tmp_path):
    for name in ("b.png", "a.TIF", "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    for name in ("c.ome.zarr", "folder"):
        (tmp_path / name).mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["a.TIF", "b.png", "c.ome.zarr"]
    with pytest.raises(FileError, match=r"folder: has no image files \(\.tif, "):
        list_images(tmp_path / "folder")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("a.zarr", True, id="store"),
        pytest.param("a.OME.ZARR", True, id="capitals"),
        pytest.param("plate.zarr/A/1/0", True, id="image in a store"),
        pytest.param("zarr/a.tif", False, id="folder of that name"),
    ],
)
def test_what_is_a_zarr_store(path, expected):
    assert is_zarr(Path(path)) is expected
