"""Calls that are killed at any moment: the same command gives what an undisturbed one does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import tifffile
import zarr

SIGNALS = [signal.SIGINT, signal.SIGTERM] + ([] if sys.platform == "win32" else [signal.SIGKILL])
MOMENTS = [index / 10 for index in range(1, 11)]  # of the time that an undisturbed call takes
QUICK = ["--iterations", "15", "--superpixels", "300", "--filters", "16", "--max-clusters", "16"]
ONE_CORE = os.environ | {"OMP_NUM_THREADS": "1"}


def start(arguments: Sequence[object]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "napari_unsupseg", "segment", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ONE_CORE
    )


def finish(arguments: Sequence[object]) -> str:
    """Run a call to its end; return what it said."""
    process = start(arguments)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return out


def labels_in(out: Path) -> dict[str, np.ndarray]:
    """Return all labels that were written, by the name of their file."""
    if out.suffix == ".zarr":
        return {"0": zarr.open_array(out / "0", mode="r")[:]}
    assert not [path for path in out.iterdir() if path.name.startswith(".")], "nothing is left"
    return {path.name: tifffile.imread(path) for path in sorted(out.glob("*.tif"))}


def killed_and_again(arguments: list[object], out: Path, moment: float, sent: int) -> None:
    """Kill a call after some seconds, and have the same command finish it."""
    process = start([*arguments, "-o", out])
    time.sleep(moment)
    process.send_signal(sent)
    process.communicate(timeout=600)
    # an interrupted run keeps the labels so far, and the same command makes those of a whole one
    finish([*arguments, "-o", out])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> tuple[list[object], dict[str, np.ndarray], float]:
    """Return arguments for three images, their labels, and how long these take."""
    images = tmp_path_factory.mktemp("images")
    coins = skimage.data.coins()
    for index in range(3):
        tifffile.imwrite(images / f"{index}.tif", coins[60 * index : 60 * index + 120, :150])
    arguments: list[object] = [images, *QUICK]
    begun = time.perf_counter()
    finish([*arguments, "-o", images.parent / "undisturbed"])
    return arguments, labels_in(images.parent / "undisturbed"), time.perf_counter() - begun


@pytest.fixture(scope="module")
def slide(tmp_path_factory) -> tuple[list[object], dict[str, np.ndarray], float]:
    """Return arguments for an image that is not loaded, its labels, and how long these take."""
    place = tmp_path_factory.mktemp("slide")
    coins = np.tile(skimage.data.coins(), (20, 16))[:5900, :5900]
    array = zarr.create_array(
        place / "slide.zarr", shape=coins.shape, chunks=(1024, 1024), dtype="u1",
        dimension_names=["y", "x"],
    )  # fmt: skip
    array[:] = coins
    arguments: list[object] = [place / "slide.zarr", *QUICK, "--connected"]
    begun = time.perf_counter()
    finish([*arguments, "-o", place / "undisturbed.ome.zarr"])
    return arguments, labels_in(place / "undisturbed.ome.zarr"), time.perf_counter() - begun


@pytest.mark.timeout(900)
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("sent", SIGNALS, ids=lambda sent: signal.Signals(sent).name)
def test_a_folder_is_finished_by_the_same_command(folder, tmp_path, moment, sent):
    arguments, expected, seconds = folder
    killed_and_again(arguments, tmp_path / "out", moment * seconds, sent)
    found = labels_in(tmp_path / "out")
    assert found.keys() == expected.keys()
    for name, labels in expected.items():
        np.testing.assert_array_equal(found[name], labels, err_msg=name)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("sent", SIGNALS, ids=lambda sent: signal.Signals(sent).name)
def test_a_slide_is_finished_by_the_same_command(slide, tmp_path, moment, sent):
    arguments, expected, seconds = slide
    killed_and_again(arguments, tmp_path / "out.ome.zarr", moment * seconds, sent)
    np.testing.assert_array_equal(labels_in(tmp_path / "out.ome.zarr")["0"], expected["0"])
