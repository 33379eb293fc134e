"""Small real images and settings that run in a second."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import skimage.data
import torch
from numpy.typing import NDArray

from napari_unsupseg import Settings

from .fuzzing import IS_LONG

# one needs libraries that the project does not, the others take their time: tox -e fuzz
collect_ignore = ["make_data.py"] + ([] if IS_LONG else ["fuzz"])

torch.set_num_threads(1)  # on images this small a second thread only waits

SMALL = {
    "networks": 1,
    "filters": 16,
    "max_clusters": 20,
    "superpixels": 150,
    "iterations": 8,
    "settle": 0,
}


def run_python(script: str) -> str:
    """Return what a script prints in a process of its own."""
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()


@contextlib.contextmanager
def threads_of_torch(n: int) -> Iterator[None]:
    """Have torch use some threads on a CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture(scope="session")
def grey() -> NDArray[np.uint8]:
    """Coins, shape (60, 76)."""
    return skimage.data.coins()[::5, ::5][:60, :76].copy()


@pytest.fixture(scope="session")
def rgb() -> NDArray[np.uint8]:
    """Stained tissue, shape (64, 72, 3)."""
    return skimage.data.immunohistochemistry()[256:512:4, 100:388:4].copy()


@pytest.fixture
def small() -> Settings:
    """Settings for a network that trains in a moment."""
    return Settings.from_dict(SMALL)
