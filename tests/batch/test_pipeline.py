"""Many images: the command line with folders, workers and networks."""

import json
import os
import signal
import time
from pathlib import Path

import distributed
import numpy as np
import pytest
import tifffile
from imageio.v3 import imwrite
from skimage.filters import gaussian

from napari_unsupseg import Settings, segment
from napari_unsupseg.batch.distributed import run_distributed
from napari_unsupseg.batch.jobs import Job, JobOptions
from napari_unsupseg.io.tiff import read_tiff_record

from ..conftest import SMALL
from ..test_cli import QUICK, call


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


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_folder_is_all_its_images(folder, tmp_path):
    out = tmp_path / "out"
    assert call("segment", folder, "-o", out, *QUICK).exit_code == 0
    assert sorted(times(out)) == [f"{seed}_labels.tif" for seed in range(5)]


def test_what_is_done_is_not_done_again(folder, tmp_path):
    out = tmp_path / "out"
    arguments = ["segment", folder, "-o", out, *QUICK, "--preview", out]
    assert call(*arguments).exit_code == 0
    before = times(out)
    (out / "2_labels.tif").unlink()
    (out / "2_preview.png").unlink()
    (out / "3_preview.png").unlink()
    result = call(*arguments, "--json", "-")
    after = times(out)
    assert set(after) == set(before) - {"3_preview.png"}, "labels of 3 stay: they are in the way"
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"2_labels.tif", "2_preview.png"}
    assert "0.png: done already" in result.stderr
    reports = json.loads(result.stdout)["images"]
    assert [bool(report.get("skipped")) for report in reports] == [True, True, False, False, True]
    assert "3_labels.tif: exists already" in reports[3]["error"]


def test_labels_made_otherwise_are_not_taken_for_done(folder, tmp_path):
    out = tmp_path / "out"
    assert call("segment", folder, "-o", out, *QUICK).exit_code == 0
    for changed in (["--seed", 5], ["--connected"], ["--min-size", 9]):
        result = call("segment", folder, "-o", out, *QUICK, *changed)
        assert result.exit_code == 1
        assert (
            "exists already; choose another place, or overwrite it (--overwrite)" in result.stderr
        )
    assert call("segment", folder, "-o", out, *QUICK, "--seed", 5, "--overwrite").exit_code == 0


def test_a_network_is_applied_to_a_folder(folder, tmp_path):
    network = tmp_path / "net.unsupseg"
    image = folder / "0.png"
    result = call("segment", image, "-o", tmp_path / "o.tif", *QUICK, "--save", network)
    assert result.exit_code == 0
    assert f"network  {network}" in result.stdout
    out = tmp_path / "out"
    result = call("apply", network, folder, "-o", out, "--table", out, "--json", "-")
    assert result.exit_code == 0, result.stderr
    assert len(times(out)) == 10
    record = read_tiff_record(out / "3_labels.tif")
    assert record["options"]["network"] == "net.unsupseg"
    assert record["options"]["applied"]
    result = call("apply", network, folder, "-o", out, "--table", out)
    assert result.stdout.count("done already") == 5
    cut = call("apply", network, image, "-o", tmp_path / "cut.tif", "--n-segments", 6)
    assert cut.exit_code == 0
    assert tifffile.imread(tmp_path / "cut.tif").max() == 6


def test_training_goes_on_from_a_file(folder, tmp_path):
    network, out = tmp_path / "net.unsupseg", tmp_path / "o.tif"
    assert call("segment", folder / "0.png", "-o", out, *QUICK, "--save", network).exit_code == 0
    options = ["--start-from", network, "--iterations", 2, "--settle", 0, "--overwrite"]
    result = call("segment", folder / "1.png", "-o", out, *options)
    assert result.exit_code == 0, result.stderr
    record = read_tiff_record(out)
    assert record["settings"]["filters"] == SMALL["filters"]
    assert record["iterations"] == 2


@pytest.mark.parametrize("command", ["apply", "segment"])
def test_what_is_no_network_is_named(folder, tmp_path, command):
    text = folder / "notes.txt"
    tail = [folder / "0.png", "-o", tmp_path / "o.tif"]
    given = [text, *tail] if command == "apply" else [*tail, "--start-from", text]
    result = call(command, *given)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {text}: is no network of napari-unsupseg")


@pytest.mark.parametrize(
    ("axes", "options", "shape", "words"),
    [
        pytest.param("ZYX", [], (4, 30, 40), "4 slices × 30 × 40 pixels", id="stack"),
        pytest.param("TYX", [], (4, 30, 40), "4 time points × 30 × 40 pixels", id="movie"),
        pytest.param("CYX", [], (30, 40), "4 channels × 30 × 40 pixels", id="channels"),
        pytest.param("CYX", ["--axes", "zyx"], (4, 30, 40), "4 slices", id="overruled"),
        pytest.param("ZYX", ["--spatial-ndim", 3], (4, 30, 40), "4 slices", id="volume"),
        pytest.param("ZYX", ["--channel-axis", 0], (30, 40), "4 channels", id="channel axis"),
    ],
)
def test_axes_come_from_the_file(tmp_path, axes, options, shape, words):
    stack = np.random.default_rng(0).integers(0, 4000, (4, 30, 40), np.uint16)
    tifffile.imwrite(tmp_path / "image.tif", stack, imagej=True, metadata={"axes": axes})
    out = tmp_path / "o.tif"
    result = call(
        "segment", tmp_path / "image.tif", "-o", out, *QUICK, *options,
        "--preview", tmp_path / "p.png", "--table", tmp_path / "t.csv",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert words in result.stdout
    assert tifffile.imread(out).shape == shape
    header = (tmp_path / "t.csv").read_text().splitlines()[0]
    assert ("centroid_z" in header) == (len(shape) == 3 and axes != "TYX")


def test_several_workers_give_the_same_labels(folder, tmp_path):
    outs = tmp_path / "one", tmp_path / "two"
    (folder / "4.png").write_text("not an image")
    large = np.random.default_rng(0).integers(0, 255, (260, 280), np.uint8)  # begins reduced
    imwrite(folder / "3.png", gaussian(large, 4, preserve_range=True).astype(np.uint8))
    settled = [*QUICK, "--settle", 0.02, "--iterations", 20]
    for workers, out in zip((1, 2), outs, strict=True):
        result = call("segment", folder, "-o", out, *settled, "--workers", workers, "--json", "-")
        assert result.exit_code == 1
        assert "1 of 5 images failed" in result.stderr
        reports = json.loads(result.stdout)["images"]
        assert [Path(report["image"]).name for report in reports] == [f"{k}.png" for k in range(5)]
        assert "error" in reports[4]
    for seed in range(4):
        one, two = (tifffile.imread(out / f"{seed}_labels.tif") for out in outs)
        np.testing.assert_array_equal(one, two)


def test_the_images_of_a_dead_worker_are_done_by_another(folder, tmp_path):
    settings = Settings.from_dict({**SMALL, "iterations": 60})
    options = JobOptions(settings=settings, device="cpu")
    jobs = [
        Job(path, tmp_path / "out" / f"{path.stem}.tif") for path in sorted(folder.glob("*.png"))
    ]
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0"
    ) as cluster:
        done = run_distributed(jobs, options, scheduler=cluster.scheduler_address)
        reports = [next(done)]
        victim = next(iter(cluster.workers.values()))
        os.kill(victim.pid, signal.SIGKILL)
        reports += done
    assert {report["image"] for report in reports} == {str(job.image) for job in jobs}
    assert not [report for report in reports if "error" in report]
    image = tifffile.imread(jobs[2].labels)
    assert image.shape == (40, 50)
    assert not [path for path in (tmp_path / "out").iterdir() if "partial" in path.name]


def test_a_scheduler_that_does_not_answer_is_named(folder, tmp_path):
    started = time.monotonic()
    result = call(
        "segment", folder, "-o", tmp_path / "out", *QUICK, "--scheduler", "tcp://127.0.0.1:9"
    )
    assert result.exit_code == 1
    assert "tcp://127.0.0.1:9: no dask scheduler answers there" in result.stderr
    assert time.monotonic() - started < 60


def test_the_command_line_and_the_library_agree_on_a_stack(tmp_path):
    stack = np.random.default_rng(0).integers(0, 255, (3, 30, 40), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    out = tmp_path / "o.tif"
    result = call("segment", tmp_path / "a.tif", "-o", out, *QUICK, "--axes", "zyx")
    assert result.exit_code == 0, result.stderr
    np.testing.assert_array_equal(tifffile.imread(out), segment(stack, axes="zyx", **SMALL))


@pytest.mark.parametrize(
    ("options", "spacing"),
    [
        pytest.param([], (2.5, 0.5, 0.5), id="as the file says"),
        pytest.param(["--z-spacing", 4], (4, 1, 1), id="as the user says"),
    ],
)
def test_volumes_follow_their_spacing(tmp_path, options, spacing):
    volume = np.random.default_rng(0).integers(0, 4000, (6, 30, 40), np.uint16)
    tifffile.imwrite(
        tmp_path / "v.tif", volume, imagej=True, resolution=(2, 2),
        metadata={"axes": "ZYX", "unit": "um", "spacing": 2.5},
    )  # fmt: skip
    out = tmp_path / "o.tif"
    result = call("segment", tmp_path / "v.tif", "-o", out, *QUICK, "--spatial-ndim", 3, *options)
    assert result.exit_code == 0, result.stderr
    expected = segment(volume, axes="zyx", spatial_ndim=3, spacing=spacing, **SMALL)
    np.testing.assert_array_equal(tifffile.imread(out), expected)


def test_a_network_of_volumes_is_applied_to_volumes(tmp_path):
    volume = np.random.default_rng(0).integers(0, 4000, (6, 30, 40), np.uint16)
    path, network, out = (tmp_path / name for name in ("v.tif", "net.unsupseg", "o.tif"))
    tifffile.imwrite(path, volume, imagej=True, metadata={"axes": "ZYX"})
    arguments = [path, "-o", out, *QUICK, "--spatial-ndim", 3, "--save", network]
    assert call("segment", *arguments).exit_code == 0
    result = call("apply", network, path, "-o", out, "--connected", "--overwrite")
    assert result.exit_code == 0, result.stderr
    of_volume = tifffile.imread(out)
    assert any(set(np.unique(of_volume[0])) & set(np.unique(of_volume[1])) - {0})


@pytest.mark.parametrize("options", [[], ["--connected"]], ids=["clusters", "connected"])
def test_planes_may_be_segmented_separately(tmp_path, options):
    stack = np.random.default_rng(0).integers(0, 255, (2, 30, 40), np.uint8)
    path, out = tmp_path / "v.tif", tmp_path / "o.tif"
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "ZYX"})
    result = call("segment", path, "-o", out, *QUICK, "--separate", *options)
    assert result.exit_code == 0, result.stderr
    labels = tifffile.imread(out)
    if options:
        assert set(np.unique(labels)) == set(range(1, labels.max() + 1))
        assert not set(np.unique(labels[0])) & set(np.unique(labels[1]))
    else:
        np.testing.assert_array_equal(labels, segment(stack, axes="zyx", joint=False, **SMALL))
    assert "done already" in call("segment", path, "-o", out, *QUICK, "--separate", *options).stdout


def test_separate_networks_are_not_saved(tmp_path):
    arguments = ["-o", tmp_path / "o.tif", "--separate", "--save", tmp_path / "n.unsupseg"]
    result = call("segment", tmp_path / "v.tif", *arguments)
    assert result.exit_code == 2
    assert "is one network, and --separate has many" in " ".join(result.stderr.split())
