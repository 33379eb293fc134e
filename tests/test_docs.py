"""What the documentation's pages tell to type is typed, on small images of the names they use."""

import itertools
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from imageio.v3 import imwrite

from napari_unsupseg import Segmenter, Settings, sample_images

from .conftest import SMALL
from .io.test_ome_zarr import write_ome
from .test_cli import QUICK, call

ROOT = Path(__file__).parents[1]
TAKE_LONG = {"performance", "quality"}  # and data sets
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("tutorials/*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    if page.stem in TAKE_LONG:
        return []
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL)


SCRIPTS = {page.stem: "\n".join(blocks(page, "python")) for page in PAGES}
COMMANDS = {
    page.stem: [
        re.sub(r"--workers \d+", "", line)  # has tests of its own
        for block in blocks(page, "sh")
        for line in block.replace("srun ", "").splitlines()
        if line.startswith("napari-unsupseg ") and "--scheduler" not in line
    ]
    for page in PAGES
}


@pytest.fixture(scope="session")
def _written(tmp_path_factory, rgb) -> Path:
    """Write the files that the pages name."""
    folder = tmp_path_factory.mktemp("pages")
    picture = rgb[:40, :40]
    series = np.repeat(picture[None, ..., 0], 4, axis=0)
    for name in ("cells", "first", "fourth"):
        tifffile.imwrite(folder / f"{name}.tif", picture, photometric="rgb")
    tifffile.imwrite(folder / "slide.tif", rgb, photometric="rgb")
    for name, axes in {"stack": "ZYX", "movie": "TYX", "channels": "CYX"}.items():
        tifffile.imwrite(folder / f"{name}.tif", series, imagej=True, metadata={"axes": axes})
    for name, axes in {"nuclei": "YX", "moving_nuclei": "TYX", "nuclei_volume": "ZYX"}.items():
        corner = getattr(sample_images, name)()[..., :20, :20]
        tifffile.imwrite(folder / f"{name}.tif", corner, imagej=True, metadata={"axes": axes})
    imwrite(folder / "tissue.png", picture)
    strokes = np.zeros(picture.shape[:2], np.uint8)
    strokes[5, 5:20] = 1
    tifffile.imwrite(folder / "drawn.tif", strokes)
    for name in ("one", "two"):
        imwrite(folder / f"{name}.png", picture)
    (folder / "FOLDER").mkdir()
    imwrite(folder / "FOLDER" / "three.png", picture)
    write_ome(folder / "slide.ome.zarr", np.moveaxis(rgb, -1, 0), "cyx")
    zarr.save_array(folder / "slide.zarr", rgb)
    Segmenter(Settings.from_dict(SMALL)).fit(picture).save(folder / "cells.unsupseg")
    return folder


@pytest.fixture
def _beside_files(_written, tmp_path, monkeypatch):
    shutil.copytree(_written, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "napari_unsupseg.image.tiling.LOADED_VALUES", 10_000
    )  # the slides have more


@pytest.fixture
def _tables(_beside_files):
    """Write the tables that scripts read, as a command of the same page does."""
    objects = ["--objects", "--table", "all.csv", "--counts", "counts.csv"]
    assert call("segment", "FOLDER", "-o", "counted", *objects, *QUICK).exit_code == 0


@pytest.mark.usefixtures("_tables")
@pytest.mark.filterwarnings("ignore:superpixels is")  # of images as small as these
@pytest.mark.parametrize(
    "page", [name for name, script in SCRIPTS.items() if script and name != "README"]
)
def test_the_python_of_a_page_runs_as_printed(page, monkeypatch):
    for name, value in SMALL.items():
        monkeypatch.setitem(Settings.__init__.__kwdefaults__, name, value)
    exec(SCRIPTS[page], {})


@pytest.mark.usefixtures("_beside_files")
@pytest.mark.parametrize("page", [name for name, lines in COMMANDS.items() if lines])
def test_the_commands_of_a_page_run_as_printed_one_after_the_other(page):
    if any("--save" in line for line in COMMANDS[page]):
        Path("cells.unsupseg").unlink()
    for line in COMMANDS[page]:
        _, *words = shlex.split(line, comments=True)
        names = [sorted(map(str, Path().glob(word))) or [word] for word in words]
        arguments = list(itertools.chain.from_iterable(names))
        result = call(*arguments, *(QUICK if arguments[0] == "segment" else []))
        assert result.exit_code == 0, (line, result.output)
