from pathlib import Path

import numpy as np
import pytest
from imageio.v3 import imwrite


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return a folder of five images, and other files beside them."""
    folder = tmp_path / "images"
    folder.mkdir()
    for seed in range(5):
        image = np.random.default_rng(seed).integers(0, 255, (40, 50), np.uint8)
        imwrite(folder / f"{seed}.png", image)
    (folder / "notes.txt").write_text("not an image")
    return folder
