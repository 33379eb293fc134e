import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_unsupseg.errors import FileError
from napari_unsupseg.io.paths import (
    atomic_write,
    check_writable,
    find_clash,
    is_zarr,
    list_images,
)


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


HELD = """
import sys
from pathlib import Path
from napari_unsupseg.io.paths import atomic_write
with atomic_write(Path(sys.argv[1])) as partial:
    partial.write_text("new")
    print("written", flush=True)
    sys.stdin.read()
"""


def start_to_write(path: Path) -> subprocess.Popen:
    """Return a process that has written a file and has yet to put it in its place."""
    command = [sys.executable, "-c", HELD, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "written\n"
    return process


@pytest.mark.parametrize("name", ["a[1].txt", "a*?.txt", "n" * 240 + ".txt", "ä" * 120 + ".txt"])
def test_what_a_killed_process_has_left_goes_with_the_next_write(tmp_path, name):
    path = tmp_path / name
    with start_to_write(path) as process:
        process.kill()
    assert len(list(tmp_path.iterdir())) == 1
    with atomic_write(path) as partial:
        partial.write_text("new")
    assert list(tmp_path.iterdir()) == [path]


def test_two_processes_may_write_one_file(tmp_path):
    path = tmp_path / "a.txt"
    with start_to_write(path) as process:
        with atomic_write(path) as partial:
            partial.write_text("mine")
        assert path.read_text() == "mine"
        process.communicate()
    assert process.returncode == 0
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("written", "kept", "relation"),
    [
        pytest.param("a/b.tif", "a/../a/b.tif", "is", id="dots"),
        pytest.param("link/b.tif", "a/b.tif", "is", id="a link to its folder"),
        pytest.param("hard.tif", "a/b.tif", "is", id="a hard link"),
        pytest.param("link/new.tif", "a/new.tif", "is", id="to be written"),
        pytest.param("link/o.zarr/0", "a/o.zarr", "lies in", id="in a store"),
        pytest.param("a/o.zarr", "link/o.zarr/0", "holds", id="around it"),
        pytest.param("a/b.tif", "a/b.tiff", None, id="others"),
        pytest.param("a/o.zarr", "a/b.tif", None, id="neighbours"),
    ],
)
def test_paths_are_compared_as_files(tmp_path, written, kept, relation):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.tif").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "hard.tif").hardlink_to(tmp_path / "a" / "b.tif")
    written, kept = tmp_path / written, tmp_path / kept
    expected = (written, relation, kept) if relation else None
    assert find_clash([tmp_path / "c", written], [kept, tmp_path / "d"]) == expected


def test_a_file_does_not_clash_with_itself(tmp_path):
    one, other, again = tmp_path / "o.zarr", tmp_path / "p.zarr", tmp_path / "o.zarr"
    assert find_clash([one, other], [one, other]) is None
    assert find_clash([one, other, again], [one, other, again]) == (one, "is", again)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_name_that_is_too_long(tmp_path, overwrite):
    with pytest.raises(FileError, match=r"n\.tif: cannot be written \(File name too long\)"):
        check_writable(tmp_path / ("n" * 300 + ".tif"), overwrite=overwrite)


@pytest.mark.skipif(sys.platform == "win32", reason="has no pipes with names")
def test_a_pipe_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "o.tif")
    with pytest.raises(FileError, match="is a device or a pipe"):
        check_writable(tmp_path / "o.tif", overwrite=True)


def test_the_images_of_a_folder(tmp_path):
    for name in ("b.png", "a.TIF", "d.lsm", "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    for name in ("c.ome.zarr", "folder"):
        (tmp_path / name).mkdir()
    names = [path.name for path in list_images(tmp_path)]
    assert names == ["a.TIF", "b.png", "c.ome.zarr", "d.lsm"]
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
