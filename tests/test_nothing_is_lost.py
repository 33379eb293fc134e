"""What a command reads stays as it is, and what an interrupted one has written may be replaced."""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from imageio.v3 import imwrite

import napari_unsupseg.batch.pipeline
from napari_unsupseg import Segmenter
from napari_unsupseg.io.tiff import read_tiff_record

from .io.test_ome_zarr import write_ome
from .test_cli import QUICK, call


def content_of(path: Path) -> dict[str, bytes]:
    files = path.rglob("*") if path.is_dir() else [path]
    return {str(file): file.read_bytes() for file in files if file.is_file()}


@pytest.fixture
def place(tmp_path, grey, monkeypatch) -> Path:
    """Return the current folder, with an image, strokes, a network, a store and a link to it."""
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("a.tif", grey)
    imwrite("p.png", grey)
    tifffile.imwrite("s.tif", np.where(grey > 100, 1, 0).astype(np.uint8))
    assert call("segment", "a.tif", "-o", "n.tif", "--save", "n.unsupseg", *QUICK).exit_code == 0
    write_ome(tmp_path / "i.ome.zarr", grey)
    (tmp_path / "link").symlink_to(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "stays"),
    [
        pytest.param("a.tif -o link/a.tif", "a.tif", id="image, through a link"),
        pytest.param("a.tif --strokes s.tif -o s.tif", "s.tif", id="strokes"),
        pytest.param("p.png -o o.tif --preview link/p.png", "p.png", id="preview"),
        pytest.param("a.tif -o o.tif --json a.tif", "a.tif", id="summary onto the image"),
        pytest.param("a.tif -o o.tif --strokes s.tif --json s.tif", "s.tif", id="onto strokes"),
        pytest.param("a.tif -o o.tif --start-from n.unsupseg --save n.unsupseg", "n.unsupseg",
                     id="network"),
        pytest.param("i.ome.zarr/0 -o i.ome.zarr", "i.ome.zarr", id="around the image"),
        pytest.param("i.ome.zarr -o i.ome.zarr/o.ome.zarr", "i.ome.zarr", id="in the image"),
        pytest.param("i.ome.zarr -o o.tif --objects --rois i.ome.zarr/r.zip", "i.ome.zarr",
                     id="regions"),
        pytest.param("i.ome.zarr -o o.tif --table i.ome.zarr/t.csv", "i.ome.zarr", id="table"),
    ],
)  # fmt: skip
def test_what_is_read_stays(place, arguments, stays):
    before = content_of(place / stays)
    result = call("segment", *arguments.split(), *QUICK, "--overwrite")
    assert result.exit_code == 2, result.output
    assert "which this command reads" in " ".join(result.stderr.replace("│", " ").split())
    assert content_of(place / stays) == before


def test_one_result_is_not_written_into_another(place):
    result = call("segment", "a.tif", "-o", "o.zarr", "--table", "o.zarr/t.csv", *QUICK)
    assert result.exit_code == 2
    assert "holds o.zarr/t.csv, another result" in " ".join(result.stderr.split())


def test_the_demo_replaces_its_own_files_alone(tmp_path):
    labels = tmp_path / "labels.tif"
    labels.write_text("mine")
    result = call("demo", "-o", tmp_path, "--no-gui", "--iterations", 2)
    assert result.exit_code == 1
    assert f"{labels}: exists already" in result.stderr
    assert labels.read_text() == "mine"
    labels.unlink()
    assert not (tmp_path / "tissue.png").exists()


def test_a_summary_that_cannot_be_written_leaves_the_old_one(place, monkeypatch):
    summary = place / "s.json"
    summary.write_text("old")

    def fail(*_arguments, **_keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)
    result = call("segment", "a.tif", "-o", "o.tif", "--json", summary, "--overwrite", *QUICK)
    assert result.exit_code == 1
    assert f"{summary}: cannot be written (No space left on device)" in result.stderr
    assert summary.read_text() == "old"


def test_after_ctrl_c_the_same_command_goes_on(place, monkeypatch):
    """With labels and what lies beside them; and other options do not replace them."""
    folder = place / "images"
    folder.mkdir()
    for name in ("a.tif", "b.tif"):
        (folder / name).write_bytes((place / "a.tif").read_bytes())
    arguments = ["segment", folder, "-o", "out", "--preview", "out", "--table", "out", *QUICK]
    arguments += ["--json", "s.json"]
    with monkeypatch.context() as patch:
        patch.setattr("napari_unsupseg.cli.show_training", lambda steps, *_: (next(steps), True))
        assert call(*arguments).exit_code == 1
    kept = {"a_labels.tif", "a_preview.png", "a_table.csv"}
    assert {path.name for path in (place / "out").iterdir()} == kept
    assert "s.json: exists already" in call(*arguments, "--seed", 5).stderr
    assert "a_labels.tif: exists already" in call(*arguments[:-2], "--seed", 5).stderr
    (place / "out" / "b_labels.tif").unlink()  # which the other seed has made
    (place / "out" / "b_preview.png").unlink()
    (place / "out" / "b_table.csv").unlink()
    result = call(*arguments)
    assert result.exit_code == 0, result.stderr
    assert "done already" not in result.stdout
    assert call(*arguments[:-2]).stdout.count("done already") == 2
    assert "s.json: exists already" in call(*arguments).stderr


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM cannot be caught there")
def test_sigterm_ends_a_run_like_ctrl_c(place, monkeypatch):
    steps_of = Segmenter.steps

    def steps(self, *arguments, **options):
        for step in steps_of(self, *arguments, **options):
            if step.iteration == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            yield step

    monkeypatch.setattr(Segmenter, "steps", steps)
    before = signal.getsignal(signal.SIGTERM)
    result = call("segment", "a.tif", "-o", "o.tif", *QUICK)
    assert "was told to end (SIGTERM)" in result.stderr
    assert "stopped by you" in result.stdout
    assert read_tiff_record(place / "o.tif")["interrupted"]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        pytest.param(ZeroDivisionError("by 0\nat"), "failed (ZeroDivisionError: by 0)", id="any"),
        pytest.param(MemoryError(), "failed (MemoryError: MemoryError)", id="without a text"),
    ],
)
def test_a_batch_goes_on_after_any_failure(place, monkeypatch, failure, sentence):
    open_image = napari_unsupseg.batch.pipeline.open_image

    def open_or_fail(path, **options):
        if path.name == "a.tif":
            raise failure
        return open_image(path, **options)

    monkeypatch.setattr("napari_unsupseg.batch.pipeline.open_image", open_or_fail)
    result = call("segment", "a.tif", "p.png", "-o", "out", *QUICK, "--json", "-")
    assert result.exit_code == 1
    failed, done = json.loads(result.stdout)["images"]
    assert failed["error"] == f"a.tif: {sentence}"
    assert done["clusters"] > 1
    assert "1 of 2 images failed: a.tif" in result.stderr


def test_what_is_wrong_with_an_image_names_it(place):
    tifffile.imwrite("nan.tif", np.full((8, 9), np.nan))
    result = call("segment", "nan.tif", "p.png", "-o", "out", *QUICK)
    assert "error: nan.tif: image has no pixel to segment" in result.stderr


@pytest.mark.parametrize("kind", [["--segments"], ["--connected"]], ids=["segments", "connected"])
def test_an_applied_network_reports_clusters_and_segments(place, kind):
    reports = []
    for options in ([], kind):
        arguments = ["n.unsupseg", "a.tif", "-o", "o.tif", "--overwrite", "--json", "-"]
        result = call("apply", *arguments, *options)
        reports += json.loads(result.stdout)["images"]
    assert reports[1]["clusters"] == reports[0]["clusters"]
    assert reports[1]["segments"] == tifffile.imread("o.tif").max() > reports[1]["clusters"]


@pytest.mark.parametrize("area", ["1e300", "1e12"])
def test_an_area_of_more_pixels_than_there_can_be(place, area):
    arguments = ["--pixel-size", "1e-200", "--min-area", area]
    result = call("segment", "a.tif", "-o", "o.tif", *QUICK, *arguments)
    assert result.exit_code == 1
    assert f"a.tif: --min-area {float(area):g} is more than 100,000,000 pixels" in result.stderr


@pytest.mark.parametrize("length", [225, 246])
def test_long_names(place, length):
    name = "n" * length
    Path("a.tif").rename(f"{name}.tif")
    result = call("segment", f"{name}.tif", "-o", f"{name[1:]}.tif", *QUICK)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    result = call("segment", f"{name}.tif", "p.png", "-o", "out", "--preview", "out", *QUICK)
    assert ("File name too long" in result.stderr) == (length == 246)
    assert (place / "out" / "p_labels.tif").exists()
