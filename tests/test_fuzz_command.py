"""Whatever is typed behind the command, it does that or says in one sentence why not."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import tifffile
import typer
from hypothesis import given
from hypothesis import strategies as st
from imageio.v3 import imwrite
from typer.testing import Result

from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.cli import app
from napari_unsupseg.io.paths import is_zarr

from .fuzzing import TEXTS, fuzzed
from .io.test_ome_zarr import write_ome
from .test_cli import call

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands
SMALL = {"iterations": 2, "superpixels": 9, "filters": 4, "max_clusters": 4, "settle": 0}
QUICK = [word for name, value in SMALL.items() for word in (f"--{name.replace('_', '-')}", value)]
IMAGES = ["grey.png", "é 1.tif", "stack.tif", "strokes.tif", "i.ome.zarr", "images"]
INPUTS = [*IMAGES, "a.unsupseg", "text.png", "table.csv", "empty", ".", "no.tif", "no/where.tif",
          "text.png/o.tif", "i.ome.zarr/0", "é 1.tif.gz", "\udcff.tif"]  # fmt: skip
OUTPUTS = ["o.tif", "O.TIFF", "o.ome.zarr", "out", "é\u3000o.tif", "o.png", "o.csv", "o.unsupseg",
           "out/o.json", "o", "n" * 300 + ".tif", "i.ome.zarr/o.tif", "\udcffo.tif"]  # fmt: skip
# a file name may hold all but these; what is typed cannot hold NUL
WORDS = st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"]), max_size=9)
NUMBERS = (
    st.integers(-2, 9)
    | st.integers()
    | st.floats(0, 1)
    | st.floats()
    | st.sampled_from(["1e400", "-1e400", "1e-400", "0x10", "1_000", "\u0661", "1,5", "10" * 200])
).map(str)
CHOICES = st.sampled_from(
    ["yx", "zyx", "yxc", "yxs", "cyx", "tyx", "auto", "cpu", "cuda:99", "mps", "paper-2018",
     "range", "percentile", "float32", "bfloat16", "-"]
)  # fmt: skip
TYPED = [text for text in TEXTS if not {"/", "\0", "\ud800"} & set(text)]
VALUES = NUMBERS | CHOICES | WORDS | st.sampled_from([*TYPED, *INPUTS, *OUTPUTS])
# what starts processes, waits for other computers or takes long is left to tests of its own
FEW = {
    "workers": st.sampled_from(["1", "0", "-1", "1025", "2.5", "nan", "", "two", "1" * 400]),
    "scheduler": st.sampled_from(["", " ", ":", "tcp://", "tcp://a:x", "abacus://a", "é", "1"]),
    "iterations": st.sampled_from(
        ["1", "2", "0", "-1", "1000001", "2.0", "nan", "", "١", "9" * 400]
    ),
}
FITTING = {
    "output": st.sampled_from(["o.tif", "o.ome.zarr", "out"]),
    "preview": st.sampled_from(["p.png", "out"]),
    "table": st.sampled_from(["t.csv", "out"]),
    "geojson": st.sampled_from(["g.geojson", "out"]),
    "rois": st.sampled_from(["r.zip", "out"]),
    "save": st.sampled_from(["n.unsupseg", "out"]),
    "summary": st.sampled_from(["s.json", "-"]),
    "strokes": st.sampled_from(["strokes.tif", "grey.png"]),
    "start_from": st.just("a.unsupseg"),
    **dict.fromkeys(["axes", "device", "preset", "intensity", "precision"], CHOICES),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Return a folder of images, and of files of other kinds."""
    folder = tmp_path_factory.mktemp("files")
    grey = skimage.data.coins()[60:180:6, 100:244:6]
    (folder / "empty").mkdir()
    (folder / "images").mkdir()
    for name in ("grey.png", "images/0.png", "images/1.png"):
        imwrite(folder / name, grey)
    tifffile.imwrite(folder / "é 1.tif", np.dstack([grey, 255 - grey, grey]))
    tifffile.imwrite(folder / "stack.tif", np.stack([grey, grey[::-1]]), imagej=True)
    tifffile.imwrite(folder / "strokes.tif", np.where(grey > 150, 2, grey < 40).astype(np.uint8))
    write_ome(folder / "i.ome.zarr", grey)
    (folder / "text.png").write_text("no image")
    (folder / "table.csv").write_text("a,b\n1,2\n")
    Segmenter(Settings(**SMALL)).fit(grey).save(folder / "a.unsupseg")
    return folder


@st.composite
def options(draw: Any, command: str) -> list[str]:
    """Return some of the options of a command, with values that may be none of theirs."""
    chosen = []
    known = [p for p in COMMANDS[command].params if p.param_type_name == "option"]
    for option in draw(st.lists(st.sampled_from(known), max_size=3)):
        flag = draw(st.sampled_from([*option.opts, *option.secondary_opts]))
        if option.is_flag:
            chosen.append(flag)
            continue
        fitting = FITTING.get(option.name, NUMBERS)
        value = draw(FEW.get(option.name, fitting | fitting | VALUES))
        chosen += [f"{flag}={value}"] if draw(st.booleans()) else [flag, value]
    return chosen


def contents(folder: Path) -> dict[Path, bytes]:
    """Return what is in each file of a folder."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path: (folder / path).read_bytes() for path in paths}


def run_command(*arguments: object) -> Result:
    """Run the command, which has to do what it is asked for, or to say in sentences why not."""
    result = call(*arguments)
    assert isinstance(result.exception, SystemExit | None), repr(result.exception)
    lines = result.stderr.splitlines()
    assert "Traceback" not in result.stderr
    # of what nobody has foreseen, the sentence begins so
    assert ": failed (" not in result.stderr, result.stderr
    if result.exit_code == 1:
        assert any(line.startswith("error: ") for line in lines)
        # which brings the reports of what went well to stderr
        if not any(str(word).startswith("--json") for word in arguments):
            assert all(line.startswith(("error: ", "warning: ")) for line in lines), result.stderr
    else:
        assert result.exit_code in (0, 2)
    return result


@fuzzed(80, 4000)
@given(st.data())
def test_any_options_of_the_command(files, data):
    name = data.draw(st.sampled_from(["segment"] * 12 + ["apply"] * 6 + ["demo"]))
    images = data.draw(
        st.lists(st.sampled_from(IMAGES), min_size=1, max_size=2)
        | st.lists(st.sampled_from(IMAGES[:2]), min_size=1, max_size=1)
        | st.lists(st.sampled_from(INPUTS) | WORDS, min_size=1, max_size=2)
    )
    network = data.draw(st.sampled_from(["a.unsupseg"] * 9 + INPUTS))
    begun: dict[str, list[Any]] = {
        "segment": [*images, *QUICK],
        "apply": [network, *images],
        "demo": ["--iterations", 2, "--no-gui"],
    }
    usual = ["out"] if len(images) > 1 or name == "demo" else ["o.tif", "o.ome.zarr"]
    out = data.draw(st.sampled_from(usual) | st.sampled_from(usual) | st.sampled_from(OUTPUTS))
    words = [*map(str, begun[name]), "-o", out, *data.draw(options(name))]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "files"
        shutil.copytree(files, place)
        with contextlib.chdir(place):
            result = run_command(name, *words)
            if result.exit_code == 2:
                assert contents(place) == contents(files)
                return
            known = COMMANDS[name].make_context(name, words).params
            is_kept = is_kept_by(known)
            after = contents(place)
            for path, content in contents(files).items():
                assert after.get(path) == content or not is_kept(path), path
            if result.exit_code == 0:
                for kind in ("output", "preview", "table", "geojson", "rois", "save", "summary"):
                    path = known.get(kind)
                    assert path is None or str(path) == "-" or Path(path).exists()


def is_kept_by(known: dict[str, Any]) -> Callable[[Path], bool]:
    """Return a function that tells a file that a call has to leave as it is."""
    if not known.get("overwrite"):
        return lambda path: True
    # some versions of typer make paths of words only where the command is called
    read = [Path(known[kind]) for kind in ("strokes", "start_from", "network") if known.get(kind)]
    for path in map(Path, known.get("images", [])):
        inside = [] if is_zarr(path) or not path.is_dir() else path.iterdir()
        read += [path, *(file for file in inside if file.suffix in (".png", ".tif", ".zarr"))]
    places = {path.resolve() for path in read}
    places -= {path for path in places if path.is_dir() and not is_zarr(path)}
    return lambda path: any(place in (path.resolve(), *path.resolve().parents) for place in places)
