import json
import os
import signal
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
