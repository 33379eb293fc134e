import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from imageio.v3 import imread, imwrite
from typer.testing import CliRunner

import napari_unsupseg.batch.pipeline
from napari_unsupseg import Settings, __version__, segment
from napari_unsupseg.cli import app
from napari_unsupseg.io.readers import open_image
from napari_unsupseg.io.tiff import read_tiff_record
from napari_unsupseg.regions.labels import connected_components

from .conftest import SMALL

QUICK = [word for name, value in SMALL.items() for word in (f"--{name.replace('_', '-')}", value)]


def read_rows(table):
    """Return the rows of a CSV file, each by the names of its columns."""
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def read_labels(path):
    with open_image(path) as labels:
        return np.asarray(labels.values)


def call(*arguments: object):
    """Run the command as a terminal wide enough not to break lines would."""
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "300"})


@pytest.fixture
def image_file(tmp_path, rgb) -> Path:
    path = tmp_path / "tissue.png"
    imwrite(path, rgb)
    return path


def test_labels_are_those_of_the_library(image_file, rgb, tmp_path):
    out = tmp_path / "out.tif"
    result = call("segment", image_file, "-o", out, *QUICK)
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(tifffile.imread(out), segment(rgb, **SMALL))
    assert re.search(r"\d+ clusters after 8 iterations, [\d.]+ s on cpu", result.stdout)
    assert str(out) in result.stdout


def test_endings_may_be_capitals(image_file, tmp_path):
    out, preview = tmp_path / "OUT.TIF", tmp_path / "OUT.PNG"
    result = call("segment", image_file, "-o", out, "--preview", preview, *QUICK)
    assert result.exit_code == 0, result.output
    assert tifffile.imread(out).any()
    assert imread(preview).any()


def test_a_preset_and_what_is_given_beside_it(image_file, tmp_path):
    out = tmp_path / "out.tif"
    options = ["--preset", "paper-2020", "--filters", 16, "--iterations", 3, "--seed", 0]
    result = call("segment", image_file, "-o", out, *options)
    assert result.exit_code == 0, result.output
    found = Settings.from_dict(read_tiff_record(out)["settings"])
    assert found == Settings.from_preset("paper-2020", {"filters": 16, "iterations": 3})
    # what is given goes before the preset, also where it is the default
    call("segment", image_file, "-o", out, *options, "--continuity", 0, "--overwrite")
    assert read_tiff_record(out)["settings"]["continuity"] == 0


def test_the_file_says_how_it_was_made(image_file, tmp_path):
    out = tmp_path / "out.tif"
    call("segment", image_file, "-o", out, *QUICK, "--seed", 3)
    record = read_tiff_record(out)
    assert record["version"] == __version__
    assert record["device"] == "cpu"
    assert record["image"] == "tissue.png"
    assert Settings.from_dict(record["settings"]) == Settings.from_dict(SMALL | {"seed": 3})


def test_json_goes_to_stdout_and_the_rest_to_stderr(image_file, tmp_path):
    out = tmp_path / "out.tif"
    result = call("segment", image_file, "-o", out, *QUICK, "--json", "-")
    summary = json.loads(result.stdout)
    [report] = summary["images"]
    assert report["clusters"] == len(np.unique(tifffile.imread(out)))
    assert report["iterations"] == SMALL["iterations"]
    assert report["seconds"] > 0
    assert report["device"] == summary["device"] == "cpu"
    assert Settings.from_dict(summary["settings"]) == Settings.from_dict(SMALL)
    assert "clusters after" in result.stderr


def test_preview_and_json_files(image_file, tmp_path):
    preview, summary = tmp_path / "p.png", tmp_path / "s.json"
    result = call(
        "segment", image_file, "-o", tmp_path / "o.tif", *QUICK, "--preview", preview,
        "--json", summary,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert imread(preview).shape == (64, 72, 3)
    assert json.loads(summary.read_text())["images"][0]["preview"] == str(preview)


def test_connected_components(image_file, rgb, tmp_path):
    out = tmp_path / "out.tif"
    result = call("segment", image_file, "-o", out, *QUICK, "--connected", "--json", "-")
    expected = connected_components(segment(rgb, **SMALL))
    np.testing.assert_array_equal(tifffile.imread(out), expected)
    assert json.loads(result.stdout)["images"][0]["segments"] == expected.max()


@pytest.mark.parametrize(
    ("options", "cut"),
    [
        (["--segments"], {"granularity": 0.5}),
        (["--granularity", 0.3], {"granularity": 0.3}),
        (["--n-segments", 9], {"n_segments": 9}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_segments_of_the_hierarchy(image_file, rgb, tmp_path, options, cut):
    out = tmp_path / "out.tif"
    result = call("segment", image_file, "-o", out, *QUICK, *options, "--json", "-")
    assert result.exit_code == 0, result.output
    expected = segment(rgb, **cut, **SMALL)
    np.testing.assert_array_equal(tifffile.imread(out), expected)
    assert json.loads(result.stdout)["images"][0]["segments"] == expected.max()
    assert f"{expected.max()} segments of " in result.stderr


def test_more_segments_than_there_are_is_said(image_file, tmp_path):
    out = tmp_path / "out.tif"
    result = call("segment", image_file, "-o", out, *QUICK, "--n-segments", 100_000)
    assert result.exit_code == 0, result.output
    assert "n_segments is 100,000 but the finest cut has" in result.stderr


def test_a_table_of_regions(image_file, rgb, tmp_path):
    out, table = tmp_path / "out.tif", tmp_path / "regions.csv"
    result = call("segment", image_file, "-o", out, *QUICK, "--n-segments", 9, "--table", table)
    assert result.exit_code == 0, result.output
    rows = read_rows(table)
    labels = tifffile.imread(out)
    assert [int(row["label"]) for row in rows] == list(range(1, 10))
    for row in rows:
        inside = labels == int(row["label"])
        assert float(row["area"]) == inside.sum()
        assert float(row["centroid_y"]) == pytest.approx(np.nonzero(inside)[0].mean())
        for channel in range(3):
            mean = rgb[inside, channel].mean()
            assert float(row[f"mean_intensity_{channel}"]) == pytest.approx(mean)


@pytest.mark.parametrize(
    ("stored", "options"),
    [
        pytest.param({"resolution": (4, 4), "metadata": {"unit": "um"}}, [], id="from the file"),
        pytest.param({}, ["--pixel-size", 0.25], id="by hand"),
    ],
)
def test_physical_units(grey, tmp_path, stored, options):
    image, out, table = (tmp_path / name for name in ("a.tif", "out.tif", "regions.csv"))
    tifffile.imwrite(image, grey, imagej=True, **stored)
    options = [*options, "--granularity", 0.1, "--min-area", 2.1, "--table", table]
    result = call("segment", image, "-o", out, *QUICK, *options)
    assert result.exit_code == 0, result.output
    rows = read_rows(table)
    areas = np.bincount(tifffile.imread(out).ravel())[1:]
    np.testing.assert_allclose([float(row["area_um2"]) for row in rows], areas / 16)
    assert areas.min() >= 34  # pixels of 1/16 µm²
    assert read_tiff_record(out)["settings"]["min_size"] == 34
    assert "centroid_x_um" in rows[0]


def test_an_area_needs_a_pixel_size(image_file, tmp_path):
    out = tmp_path / "out.tif"
    result = call("segment", image_file, "-o", out, *QUICK, "--min-area", 5)
    assert result.exit_code == 1
    assert "tissue.png: does not say how large a pixel is" in result.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--connected", "--segments"], "two kinds of labels"),
        (["--objects", "--n-segments", 3], "--n-segments and --objects are two kinds of labels"),
        (["--n-segments", 0], "n_segments must be a whole number from 1, got 0"),
        (["--granularity", 2], "granularity must be a number from 0 to 1, got 2.0"),
        (["--granularity", 0.2, "--n-segments", 3], "both say where to cut"),
        (["--table", "regions.txt"], "must end in .csv"),
        (["--min-size", 9, "--min-area", 4], "both give a smallest segment"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_labellings_that_cannot_be(image_file, tmp_path, options, sentence):
    result = call("segment", image_file, "-o", tmp_path / "out.tif", *QUICK, *options)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_channel_axis(tmp_path):
    stack = np.random.default_rng(0).integers(0, 4000, (2, 30, 40), np.uint16)
    tifffile.imwrite(tmp_path / "cyx.tif", stack)
    result = call("segment", tmp_path / "cyx.tif", "-o", tmp_path / "o.tif", *QUICK)
    assert result.exit_code == 1
    assert "cyx.tif: image has 3 axes (2 × 30 × 40): say what they are" in result.stderr
    out = tmp_path / "o.tif"
    result = call("segment", tmp_path / "cyx.tif", "-o", out, *QUICK, "--channel-axis", 0)
    assert result.exit_code == 0, result.output
    assert tifffile.imread(out).shape == (30, 40)


def test_one_bad_file_among_ten(tmp_path, rgb):
    images = [tmp_path / f"{k}.png" for k in range(10)]
    for path in images:
        imwrite(path, rgb)
    images[4].write_text("not an image")
    folder = tmp_path / "out"
    result = call("segment", *images, "-o", folder, *QUICK, "--iterations", 1, "--json", "-")
    assert result.exit_code == 1
    expected = {f"{k}_labels.tif" for k in range(10) if k != 4}
    assert {path.name for path in folder.iterdir()} == expected
    assert f"1 of 10 images failed: {images[4]}" in result.stderr
    reports = json.loads(result.stdout)["images"]
    assert [("error" in report) for report in reports] == [k == 4 for k in range(10)]


def test_previews_of_several_images(tmp_path, rgb):
    images = [tmp_path / name for name in ("a.png", "b.png")]
    for path in images:
        imwrite(path, rgb)
    folder = tmp_path / "out"
    result = call("segment", *images, "-o", folder, "--preview", folder, *QUICK)
    assert result.exit_code == 0, result.output
    names = {"a_labels.tif", "a_preview.png", "b_labels.tif", "b_preview.png"}
    assert {path.name for path in folder.iterdir()} == names


def test_nothing_is_replaced_unless_asked(image_file, tmp_path):
    out = tmp_path / "out.tif"
    out.write_text("precious")
    result = call("segment", image_file, "-o", out, *QUICK)
    assert result.exit_code == 1
    assert f"{out}: exists already" in result.stderr
    assert out.read_text() == "precious"
    assert call("segment", image_file, "-o", out, *QUICK, "--overwrite").exit_code == 0
    assert tifffile.imread(out).shape == (64, 72)


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_names_that_are_no_text(image_file, tmp_path):
    out = tmp_path / "\udcff.tif"
    result = call("segment", image_file, "-o", out, *QUICK)
    assert result.exit_code == 0, result.output
    assert "\\udcff.tif" in result.stdout
    assert tifffile.imread(out).any()


@pytest.mark.parametrize(
    ("letter", "spelled"),
    [
        pytest.param("\n", "\\n", id="end of line"),
        pytest.param("\x85", "\\x85", id="end of line of other systems"),
        pytest.param("\u2028", "\\u2028", id="end of line of Unicode"),
        pytest.param("\x1b[2J", "\\x1b[2J", id="clears a terminal"),
    ],
)
def test_a_sentence_is_one_line_whatever_names_have(tmp_path, letter, spelled):
    missing = tmp_path / f"a{letter}.png"
    result = call("segment", missing, "-o", tmp_path / "o.tif")
    assert result.exit_code == 1
    assert result.stderr == f"error: {tmp_path / 'a'}{spelled}.png: no such file\n"


@pytest.mark.skipif(sys.platform == "win32", reason="no name has it there")
def test_a_report_has_names_in_one_line(image_file, tmp_path):
    result = call("segment", image_file, "-o", tmp_path / "a\nb.tif", *QUICK)
    assert result.exit_code == 0, result.output
    assert f"  labels   {tmp_path}/a\\nb.tif\n" in result.stdout


@pytest.mark.parametrize("name", ["o.tif", "o.ome.zarr"])
def test_labels_of_another_image_are_not_replaced_unless_asked(image_file, grey, tmp_path, name):
    out, other = tmp_path / name, tmp_path / "other.png"
    imwrite(other, grey)
    call("segment", image_file, "-o", out, *QUICK)
    before = read_labels(out)
    result = call("segment", other, "-o", out, *QUICK)
    assert result.exit_code == 1
    assert f"{out}: exists already, with labels of {image_file.name}; " in result.stderr
    np.testing.assert_array_equal(read_labels(out), before)
    assert call("segment", other, "-o", out, *QUICK, "--overwrite").exit_code == 0
    assert read_labels(out).shape == grey.shape


def test_a_summary_is_not_replaced_unless_asked(image_file, tmp_path):
    summary = tmp_path / "s.json"
    summary.write_text("precious")
    arguments = ["segment", image_file, "-o", tmp_path / "o.tif", *QUICK, "--json", summary]
    result = call(*arguments)
    assert result.exit_code == 1
    assert f"{summary}: exists already" in result.stderr
    assert summary.read_text() == "precious"
    assert call(*arguments, "--overwrite").exit_code == 0
    assert json.loads(summary.read_text())["images"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["missing.png", "-o", "o.tif"], "missing.png: no such file", id="missing"),
        pytest.param(["empty", "-o", "o"], "empty: has no image files", id="empty folder"),
        pytest.param(["text.png", "-o", "o.tif"], "text.png: cannot be read", id="text"),
        pytest.param(["tissue.png", "-o", "text.png/o.tif"], "folders is a file", id="no folder"),
        pytest.param(["thin.tif", "-o", "o.tif"], "at least 2 × 2", id="thin"),
        pytest.param(["nan.tif", "-o", "o.tif"], "no pixel to segment", id="all NaN"),
    ],
)
def test_bad_input_exits_with_1(arguments, sentence, image_file, monkeypatch):
    monkeypatch.chdir(image_file.parent)
    Path("text.png").write_text("not an image")
    Path("empty").mkdir()
    tifffile.imwrite("thin.tif", np.zeros((1, 40), np.uint8))
    tifffile.imwrite("nan.tif", np.full((4, 40), np.nan, np.float32))
    result = call("segment", *arguments, *QUICK)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param([], "Missing argument", id="no image"),
        pytest.param(["a.png"], "Missing option", id="no output"),
        pytest.param(["a.png", "-o", "o.png"], "must end in .tif", id="labels not TIFF"),
        pytest.param(["a.png", "b.png", "-o", "o.tif"], "name a folder", id="file for two"),
        pytest.param(["a/x.png", "b/x.png", "-o", "o"], "both would have", id="names clash"),
        pytest.param(["tissue.tif", "-o", "tissue.tif", "--overwrite"], "which this command reads",
                     id="labels over the image"),
        pytest.param(["a.png", "-o", "o.tif", "--preview", "p.jpg"], ".png", id="preview"),
        pytest.param(["a.png", "-o", "o.tif", "--components", "9"], "from 1 to 5, got 9", id="M"),
        pytest.param(["a.png", "-o", "o.tif", "--filters", "0"], "from 1 to 1,024, got 0", id="p"),
        pytest.param(["a.png", "-o", "o.tif", "--iterations", "x"], "valid integer", id="T"),
        pytest.param(["a.png", "-o", "o.tif", "--learning-rate", "-1"], "got -1.0", id="rate"),
        pytest.param(["a.png", "-o", "o.tif", "--iteration", "9"], "--iterations", id="typo"),
        pytest.param(["a.png", "-o", "o.tif", "--device", "abacus"], "abacus", id="device"),
        pytest.param(["a.png", "-o", "o.tif", "--intensity", "loud"], "percentile", id="word"),
    ],
)  # fmt: skip
def test_wrong_use_exits_with_2(arguments, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("tissue.tif", np.zeros((9, 9), np.uint8))
    result = call("segment", *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_constant_images_are_labelled_with_a_warning_that_names_each(tmp_path):
    files = [tmp_path / name for name in ("a.png", "b.png")]
    for file in files:
        imwrite(file, np.full((20, 20), 7, np.uint8))
    result = call("segment", *files, "-o", tmp_path / "o")
    assert result.exit_code == 0
    for file in files:
        assert f"warning: {file}: image is constant" in result.stderr
        assert (tifffile.imread(tmp_path / "o" / f"{file.stem}_labels.tif") == 1).all()


def test_version():
    assert call("--version").stdout == f"napari-unsupseg {__version__}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no Ctrl-C for one process alone")
def test_ctrl_c_keeps_the_labels_so_far(tmp_path, rgb):
    imwrite(tmp_path / "big.png", np.tile(rgb, (2, 2, 1)))
    out, summary = tmp_path / "o.tif", tmp_path / "s.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_unsupseg", "segment", tmp_path / "big.png", "-o", out,
         "--json", summary, *map(str, QUICK), "--iterations", "100000"],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env=os.environ | {"FORCE_COLOR": "1", "COLUMNS": "200", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    read = ""
    while not re.search(r"[2-9]\S*/100000", plain(read)):
        character = process.stdout.read(1)
        assert character, process.communicate()
        read += character
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert "stopped by you" in plain(stdout)
    [report] = json.loads(summary.read_text())["images"]
    assert report["interrupted"]
    assert 2 <= report["iterations"] < 100_000
    assert len(np.unique(tifffile.imread(out))) == report["clusters"] > 1


def test_ctrl_c_waits_until_labels_are_written(tmp_path, rgb, monkeypatch):
    imwrite(tmp_path / "a.png", rgb)
    imwrite(tmp_path / "b.png", rgb)
    real = napari_unsupseg.batch.pipeline.write_tiff_labels

    def interrupted(*args):
        os.kill(os.getpid(), signal.SIGINT)
        real(*args)

    monkeypatch.setattr(napari_unsupseg.batch.pipeline, "write_tiff_labels", interrupted)
    out, summary = tmp_path / "out", tmp_path / "s.json"
    result = call("segment", tmp_path, "-o", out, *QUICK, "--json", summary)
    assert "stopped by you" in result.stdout
    [report] = json.loads(summary.read_text())["images"]
    assert report["interrupted"]
    assert [path.name for path in out.iterdir()] == ["a_labels.tif"]
    again = call("segment", tmp_path, "-o", out, *QUICK)
    assert "a.png: done already" in again.output


def plain(text: str) -> str:
    """Return what a terminal shows, without its colours."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_the_demo_shows_where_its_results_are(tmp_path):
    result = call("demo", "-o", tmp_path, "--iterations", 3, "--no-gui")
    assert result.exit_code == 0, result.output
    for name in ("labels.tif", "preview.png"):
        assert str(tmp_path / name) in result.stdout
    assert imread(tmp_path / "preview.png").shape == (256, 256, 3)
    assert len(np.unique(tifffile.imread(tmp_path / "labels.tif"))) > 1


@pytest.mark.parametrize(
    ("arguments", "exit_code", "sentence"),
    [
        pytest.param(["--iterations", "0"], 2, "iterations (T) must be", id="iterations"),
        pytest.param(["-o", "file/demo"], 1, "cannot be written", id="no folder"),
    ],
)
def test_what_the_demo_refuses(tmp_path, monkeypatch, arguments, exit_code, sentence):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    result = call("demo", *arguments, "--no-gui")
    assert result.exit_code == exit_code
    assert sentence in result.stderr


def test_strokes_steer(tmp_path, grey):
    image, out, drawn = (tmp_path / name for name in ("i.png", "o.tif", "s.tif"))
    imwrite(image, grey)
    strokes = np.zeros(grey.shape, np.uint8)
    strokes[5, 5:30], strokes[40, 20:50] = 4, 7
    tifffile.imwrite(drawn, strokes)
    result = call("segment", image, "-o", out, *QUICK, "--strokes", drawn)
    assert result.exit_code == 0, result.stderr
    labels = tifffile.imread(out)
    np.testing.assert_array_equal(labels, segment(grey, strokes=strokes, **SMALL))
    assert set(np.unique(labels[5, 5:30])) == {4}
    tifffile.imwrite(drawn, strokes[:9])
    result = call("segment", image, "-o", out, *QUICK, "--strokes", drawn, "--overwrite")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    result = call("segment", image, image, "-o", tmp_path, *QUICK, "--strokes", drawn)
    assert result.exit_code == 2
    assert "is drawn on one image" in " ".join(result.stderr.split())
