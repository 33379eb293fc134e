import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import dask.array as da
import distributed
import numpy as np
import pytest
import tifffile
from imageio.v3 import imwrite
from skimage.filters import gaussian

from napari_unsupseg import Settings
from napari_unsupseg.batch.distributed import run_distributed
from napari_unsupseg.batch.jobs import Job, JobOptions

from ..conftest import SMALL
from ..test_cli import QUICK, call


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


def test_workers_name_files_as_the_user_does(folder, tmp_path, monkeypatch):
    (folder / "1.png").write_text("not an image")
    imwrite(folder / "0.png", np.full((9, 9), 7, np.uint8))
    monkeypatch.chdir(folder.parent)
    paths = [f"{folder.name}/{seed}.png" for seed in (0, 1)]
    result = call("segment", *paths, "-o", "out", "--workers", 2, "--preview", "out", *QUICK)
    assert f"{paths[0]}: 9 × 9 pixels" in result.stdout
    assert "  labels   out/0_labels.tif\n  preview  out/0_preview.png\n" in result.stdout
    assert f"warning: {paths[0]}: image is constant" in result.stderr
    assert f"error: {paths[1]}: cannot be read as an image" in result.stderr


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
        # dask can wait for ever when it is to close while it starts a worker in place of a dead one
        with distributed.Client(cluster, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
    assert {report["image"] for report in reports} == {str(job.image) for job in jobs}
    assert not [report for report in reports if "error" in report]
    image = tifffile.imread(jobs[2].labels)
    assert image.shape == (40, 50)
    assert not [path for path in (tmp_path / "out").iterdir() if "partial" in path.name]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("address", ["a", "tcp://", "abacus://a:1", "tls://127.0.0.1:9"])
def test_an_address_that_no_scheduler_has(folder, tmp_path, address):
    result = call("segment", folder, "-o", tmp_path / "out", *QUICK, "--scheduler", address)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {address}: no dask scheduler answers there (")
    assert result.stderr.count("\n") == 1
    assert da.ones(3).sum().compute() == 3, "dask does not wait for it"


def test_a_scheduler_that_does_not_answer_is_named(folder, tmp_path):
    started = time.monotonic()
    result = call(
        "segment", folder, "-o", tmp_path / "out", *QUICK, "--scheduler", "tcp://127.0.0.1:9"
    )
    assert result.exit_code == 1
    assert "tcp://127.0.0.1:9: no dask scheduler answers there" in result.stderr
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    ("number", "to_all"),
    [
        pytest.param(signal.SIGINT, True, id="Ctrl-C in a terminal"),
        pytest.param(signal.SIGINT, False, id="SIGINT"),
        pytest.param(signal.SIGTERM, True, id="Slurm"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no Ctrl-C for one process alone")
def test_ctrl_c_keeps_the_labels_so_far_of_all_workers(folder, tmp_path, number, to_all):
    imwrite(folder / "0.png", np.full((9, 9), 7, np.uint8))  # constant: done at once
    out, summary = tmp_path / "out", tmp_path / "s.json"
    arguments = ["segment", folder, "-o", out, "--json", summary, *QUICK, "--workers", 2]
    arguments += ["--iterations", 100_000]
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_unsupseg", *map(str, arguments)],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env=os.environ | {"COLUMNS": "200", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    while "0.png" not in (line := process.stdout.readline()):
        assert line, process.communicate()
    time.sleep(3)  # each worker that is up by now has one of the others in work
    (os.killpg if to_all else os.kill)(process.pid, number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 1, stderr
    n_kept = stdout.count("stopped by you")
    assert n_kept in (1, 2)
    assert stderr.count("\n") == 3, stderr
    warning, stopping, rest = stderr.splitlines()
    assert warning == f"warning: {folder / '0.png'}: image is constant: all of it is one cluster"
    assert stopping.startswith("stopping: images in work keep the labels so far")
    begun, named = rest.removesuffix("; the same command goes on").split(" images: ")
    assert begun == f"error: stopped before {4 - n_kept} of 5"
    reports = json.loads(summary.read_text())["images"]
    assert [report["interrupted"] for report in reports] == [False, *[True] * n_kept]
    images = {report["image"] for report in reports} | set(named.split(", "))
    assert images == set(map(str, folder.glob("*.png")))
    assert sorted(map(str, out.iterdir())) == [report["labels"] for report in reports]
    again = call(*arguments[:-1], 8)
    assert again.exit_code == 1  # other options do not replace what is kept
    assert "exists already" in again.stderr


def test_a_call_that_is_stopped_at_once_does_nothing(folder, tmp_path):
    options = JobOptions(settings=Settings.from_dict(SMALL), device="cpu")
    jobs = [Job(path, tmp_path / f"{path.stem}.tif") for path in folder.glob("*.png")]
    stop = threading.Event()
    stop.set()
    assert list(run_distributed(jobs, options, 2, stop=stop)) == []
    assert not list(tmp_path.glob("*.tif"))


def test_a_call_that_no_worker_has_begun_can_be_stopped(folder, tmp_path):
    options = JobOptions(settings=Settings.from_dict(SMALL), device="cpu")
    jobs = [Job(path, tmp_path / f"{path.stem}.tif") for path in folder.glob("*.png")]
    stop = threading.Event()
    stop.set()
    with distributed.LocalCluster(n_workers=0, dashboard_address=":0") as cluster:
        done = run_distributed(jobs, options, scheduler=cluster.scheduler_address, stop=stop)
        assert list(done) == []
