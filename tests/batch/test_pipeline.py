import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from imageio.v3 import imread, imwrite

from napari_unsupseg import Segmenter, Settings, segment
from napari_unsupseg.batch.jobs import Job, JobOptions
from napari_unsupseg.batch.pipeline import is_done, run_job, try_run_job
from napari_unsupseg.io.paths import remove
from napari_unsupseg.io.tiff import read_tiff_record

from ..conftest import SMALL
from ..test_cli import QUICK, call


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
    assert set(after) == set(before)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"2_labels.tif", "2_preview.png", "3_preview.png"}
    assert "0.png: done already" in result.stderr
    reports = json.loads(result.stdout)["images"]
    assert [bool(report.get("skipped")) for report in reports] == [True, True, False, False, True]


def test_labels_made_otherwise_are_not_taken_for_done(folder, tmp_path):
    out = tmp_path / "out"
    assert call("segment", folder, "-o", out, *QUICK).exit_code == 0
    for name, changed in {
        "seed": ["--seed", 5],
        "connected": ["--connected"],
        "min_size": ["--min-size", 9],
    }.items():
        result = call("segment", folder, "-o", out, *QUICK, *changed)
        assert result.exit_code == 1
        assert (
            f"0_labels.tif: exists already, made with other options ({name}); choose another place,"
            " or overwrite it (--overwrite)" in result.stderr
        )
    assert call("segment", folder, "-o", out, *QUICK, "--seed", 5, "--overwrite").exit_code == 0


def end_at_once(steps, _name):
    """Take one step, as if the user ended the run then."""
    return next(steps), True


@pytest.mark.parametrize("how", [{}, {"joint": False}], ids=["jointly", "separately"])
def test_pixels_that_are_fully_transparent_have_label_0(tmp_path, rgb, small, how):
    picture = np.dstack([rgb, np.full(rgb.shape[:2], 128, np.uint8)])
    picture[:, :5, 3] = 0
    imwrite(tmp_path / "a.png", picture)
    job = Job(tmp_path / "a.png", tmp_path / "labels.tif")
    n_pixels = 5 * len(picture)
    with (
        pytest.warns(UserWarning, match="has an alpha channel, which is left out"),
        pytest.warns(UserWarning, match=f"a.png: {n_pixels} fully transparent pixels left out"),
    ):
        run_job(job, JobOptions(settings=small, device="cpu", **how))
    np.testing.assert_array_equal(tifffile.imread(job.labels) == 0, picture[..., 3] == 0)


@pytest.mark.parametrize(
    ("hidden", "sentence"),
    [
        pytest.param(slice(1, 2), None, id="one of three"),
        pytest.param(slice(None), "no pixel to segment", id="all"),
    ],
)
def test_a_transparent_frame_is_left_out_of_separate_runs(tmp_path, rgb, hidden, sentence):
    series = np.stack([np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])] * 3)
    series[hidden, ..., 3] = 0
    path, out = tmp_path / "s.tif", tmp_path / "o.tif"
    tifffile.imwrite(
        path, series, photometric="rgb", extrasamples=["unassalpha"], metadata={"axes": "TYXS"}
    )
    result = call("segment", path, "-o", out, *QUICK, "--separate")
    if sentence is not None:
        assert result.exit_code == 1
        assert sentence in result.stderr
        return
    assert result.exit_code == 0, result.stderr
    np.testing.assert_array_equal(tifffile.imread(out) > 0, series[..., 3] > 0)


@pytest.mark.parametrize("name", ["labels.tif", "labels.ome.zarr"])
def test_labels_of_an_interrupted_run_are_not_taken_for_done(tmp_path, grey, small, name):
    imwrite(tmp_path / "a.png", grey)
    job = Job(tmp_path / "a.png", tmp_path / name)
    options = JobOptions(settings=small, device="cpu")
    assert not is_done(job, options)
    report = run_job(job, options, end_at_once)
    assert (report["iterations"], report["interrupted"]) == (1, True)
    assert not is_done(job, options)
    run_job(job, dataclasses.replace(options, overwrite=True))
    assert is_done(job, options)


@pytest.mark.parametrize("watch", [None, end_at_once], ids=["done", "interrupted"])
def test_what_is_there_is_read_once(tmp_path, grey, small, monkeypatch, watch):
    imwrite(tmp_path / "a.png", grey)
    job = Job(tmp_path / "a.png", tmp_path / "labels.tif")
    options = JobOptions(settings=small, device="cpu")
    run_job(job, options, watch)
    read = []
    monkeypatch.setattr(
        "napari_unsupseg.batch.pipeline.read_tiff_record",
        lambda path: read.append(path) or read_tiff_record(path),
    )
    report = try_run_job(job, options)
    assert "error" not in report
    assert report.get("skipped", False) is (watch is None)
    assert read == [job.labels]


def test_an_interrupted_run_keeps_final_clusters(tmp_path, grey):
    """The labels to keep are made of the iterations so far, though the user has ended the run."""
    imwrite(tmp_path / "a.png", grey)
    settings = Settings.from_dict({**SMALL, "settle": 0.1, "final_clusters": 2})
    job, calls = Job(tmp_path / "a.png", tmp_path / "o.tif"), []

    def watch(steps, name):
        calls.append(name)
        return end_at_once(steps, name) if len(calls) == 1 else (list(steps)[-1], False)

    report = run_job(job, JobOptions(settings=settings, device="cpu"), watch)
    assert report["iterations"] == 1
    assert report["clusters"] == tifffile.imread(job.labels).max() == 2


def test_of_an_unfinished_hierarchy_there_are_no_labels(tmp_path, grey, small):
    imwrite(tmp_path / "a.png", grey)
    job = Job(tmp_path / "a.png", tmp_path / "o.tif")

    def watch(steps, _name):
        return next(step for step in steps if step.hierarchy_share is not None), True

    with pytest.raises(KeyboardInterrupt):
        run_job(job, JobOptions(settings=small, device="cpu", segments=True), watch)
    assert not job.labels.exists()


@pytest.mark.parametrize(
    ("changed", "done"),
    [
        pytest.param({}, True, id="nothing"),
        pytest.param({"image": {"axes": None, "spatial_ndim": 2}}, True, id="defaults said"),
        pytest.param({"image": {"axes": "yx"}}, False, id="axes"),
        pytest.param({"cut": {"n_segments": 5}}, False, id="cut"),
        pytest.param({"joint": False}, False, id="joint"),
        pytest.param({"network": Path("net.unsupseg")}, False, id="network"),
        pytest.param({"overwrite": True}, False, id="overwrite"),
        pytest.param({"settings": Settings.from_dict(SMALL | {"seed": 1})}, False, id="settings"),
    ],
)
def test_labels_are_done_where_all_that_decides_them_is_the_same(
    tmp_path, grey, small, changed, done
):
    imwrite(tmp_path / "a.png", grey)
    job = Job(tmp_path / "a.png", tmp_path / "o.tif")
    options = JobOptions(settings=small, device="cpu")
    run_job(job, options)
    assert is_done(job, dataclasses.replace(options, **changed)) is done


@pytest.mark.parametrize(
    ("changed", "size", "done"),
    [
        pytest.param("nothing", None, True, id="nothing"),
        pytest.param("time", None, True, id="a copy of the same"),
        pytest.param("content", None, False, id="another of the same size and shape"),
        pytest.param("content", 40, False, id="another size"),
        pytest.param("gone", None, True, id="gone"),
    ],
)
@pytest.mark.parametrize("name", ["a.tif", "a.ome.zarr"])
def test_labels_of_an_image_that_was_replaced_are_not_taken_for_done(
    tmp_path, grey, small, name, changed, size, done
):
    path = tmp_path / name

    def write(image):
        if name == "a.tif":
            tifffile.imwrite(path, image)
        else:
            remove(path)
            zarr.save_group(path, **{"0": image})
            axes = [{"name": axis, "type": "space"} for axis in "yx"]
            scale = [{"type": "scale", "scale": [1, 1]}]
            zarr.open_group(path).attrs["ome"] = {
                "version": "0.5",
                "multiscales": [
                    {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
                ],
            }  # fmt: skip

    write(grey)
    job, options = Job(path, tmp_path / "o.tif"), JobOptions(settings=small, device="cpu")
    run_job(job, options)
    before = tifffile.imread(job.labels)
    if changed == "content":
        write(np.where(grey > 90, 0, grey)[:size])
        os.utime(path, ns=(0, 0))  # a copy may be older than the labels
    elif changed == "time":
        os.utime(path if name == "a.tif" else path / "zarr.json", ns=(0, 0))
    elif changed == "gone":
        remove(path)
    assert is_done(job, options) is done
    if changed != "gone":
        run_job(job, options)
        after = tifffile.imread(job.labels)
        assert np.array_equal(after, before) is done
        assert is_done(job, options)


@pytest.mark.parametrize(
    ("min_area", "min_size"),
    [
        pytest.param(2.1, 34, id="33.6 pixels are rounded up"),
        pytest.param(2.0, 32, id="exact"),
    ],
)
def test_a_smallest_area_is_no_smaller_in_pixels(tmp_path, grey, small, min_area, min_size):
    imwrite(tmp_path / "a.png", grey)
    job = Job(tmp_path / "a.png", tmp_path / "o.tif")
    options = JobOptions(settings=small, device="cpu", pixel_size=0.25, min_area=min_area)
    run_job(job, options)
    assert read_tiff_record(job.labels)["settings"]["min_size"] == min_size
    assert is_done(job, options)
    assert not is_done(job, dataclasses.replace(options, min_area=min_area + 0.01))


def test_what_is_wrong_with_an_image_is_in_its_report(tmp_path, small):
    job = Job(tmp_path / "none.png", tmp_path / "o.tif")
    report = try_run_job(job, JobOptions(settings=small, device="cpu"))
    assert report == {"image": str(job.image), "error": f"{job.image}: no such file"}


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


@pytest.mark.parametrize(
    ("options", "cut"),
    [
        pytest.param(["--segments"], {"granularity": 0.5}, id="segments"),
        pytest.param(["--granularity", 0.2], {"granularity": 0.2}, id="granularity"),
        pytest.param(["--n-segments", 6], {"n_segments": 6}, id="number"),
        pytest.param([], {}, id="clusters"),
    ],
)
def test_an_applied_network_cuts_as_in_the_library(folder, tmp_path, options, cut):
    network, image, out = tmp_path / "net.unsupseg", folder / "0.png", tmp_path / "o.tif"
    segmenter = Segmenter(Settings.from_dict(SMALL)).fit(imread(image))
    segmenter.save(network)
    assert call("apply", network, image, "-o", out, *options).exit_code == 0
    expected = Segmenter.load(network).predict(imread(image), **cut)
    np.testing.assert_array_equal(tifffile.imread(out), expected)


def test_training_goes_on_from_a_file(folder, tmp_path):
    """With the size of its network, whatever the defaults are."""
    network, out = tmp_path / "net.unsupseg", tmp_path / "o.tif"
    size = {"filters": 8, "components": 1, "max_clusters": 9}
    flags = [word for name, n in size.items() for word in (f"--{name.replace('_', '-')}", n)]
    arguments = ["segment", folder / "0.png", "-o", tmp_path / "0.tif", *QUICK, *flags]
    assert call(*arguments, "--save", network).exit_code == 0
    arguments = ["segment", folder / "1.png", "-o", out, "--start-from", network]
    arguments += ["--iterations", 2, "--settle", 0]
    result = call(*arguments, "--json", "-")
    assert result.exit_code == 0, result.stderr
    record = read_tiff_record(out)
    assert record["iterations"] == 2
    assert size.items() <= record["settings"].items()
    assert size.items() <= json.loads(result.stdout)["settings"].items()
    assert "done already" in call(*arguments).stdout


@pytest.mark.parametrize("command", ["apply", "segment"])
def test_what_is_no_network_is_named(folder, tmp_path, command):
    text = folder / "notes.txt"
    tail = [folder / "0.png", "-o", tmp_path / "o.tif"]
    given = [text, *tail] if command == "apply" else [*tail, "--start-from", text]
    result = call(command, *given)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {text}: is no network or run of napari-unsupseg")


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


def test_the_command_line_and_the_library_agree_on_a_stack(tmp_path):
    stack = np.random.default_rng(0).integers(0, 255, (3, 30, 40), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    out = tmp_path / "o.tif"
    result = call("segment", tmp_path / "a.tif", "-o", out, *QUICK, "--axes", "zyx")
    assert result.exit_code == 0, result.stderr
    np.testing.assert_array_equal(tifffile.imread(out), segment(stack, axes="zyx", **SMALL))


@pytest.mark.parametrize(
    ("options", "spatial_ndim", "spacing"),
    [
        pytest.param([], 3, (2.5, 0.5, 0.5), id="as the file says"),
        pytest.param(["--z-spacing", 4], 3, (4, 1, 1), id="as the user says"),
        pytest.param(["--z-spacing", 4], 2, None, id="planes have none"),
    ],
)
def test_volumes_follow_their_spacing(tmp_path, options, spatial_ndim, spacing):
    volume = np.random.default_rng(0).integers(0, 4000, (6, 30, 40), np.uint16)
    tifffile.imwrite(
        tmp_path / "v.tif", volume, imagej=True, resolution=(2, 2),
        metadata={"axes": "ZYX", "unit": "um", "spacing": 2.5},
    )  # fmt: skip
    out = tmp_path / "o.tif"
    options = ["--spatial-ndim", spatial_ndim, *options]
    result = call("segment", tmp_path / "v.tif", "-o", out, *QUICK, *options)
    assert result.exit_code == 0, result.stderr
    expected = segment(volume, axes="zyx", spatial_ndim=spatial_ndim, spacing=spacing, **SMALL)
    np.testing.assert_array_equal(tifffile.imread(out), expected)


def test_a_network_of_volumes_is_applied_to_volumes(tmp_path):
    volume = np.random.default_rng(0).integers(0, 4000, (6, 30, 40), np.uint16)
    path, network, out = (tmp_path / name for name in ("v.tif", "net.unsupseg", "o.tif"))
    tifffile.imwrite(path, volume, imagej=True, metadata={"axes": "ZYX"})
    arguments = [path, "-o", out, *QUICK, "--spatial-ndim", 3, "--save", network]
    assert call("segment", *arguments).exit_code == 0
    result = call("apply", network, path, "-o", out, "--connected", "--overwrite")
    assert result.exit_code == 0, result.stderr
    labels = tifffile.imread(out)
    assert any(set(np.unique(labels[0])) & set(np.unique(labels[1])) - {0})


@pytest.mark.parametrize(
    ("options", "spacing"),
    [
        pytest.param([], (2.5, 0.5, 0.5), id="as the file says"),
        pytest.param(["--z-spacing", 9], (9, 1, 1), id="as the user says"),
    ],
)
def test_segments_of_an_applied_network_follow_the_spacing(tmp_path, options, spacing):
    volume = np.random.default_rng(0).integers(0, 4000, (6, 30, 40), np.uint16)
    path, network, out = (tmp_path / name for name in ("v.tif", "net.unsupseg", "o.tif"))
    tifffile.imwrite(
        path, volume, imagej=True, resolution=(2, 2),
        metadata={"axes": "ZYX", "unit": "um", "spacing": 2.5},
    )  # fmt: skip
    segmenter = Segmenter(Settings.from_dict(SMALL)).fit(volume, axes="zyx", spatial_ndim=3)
    segmenter.save(network)
    result = call("apply", network, path, "-o", out, "--granularity", 0.4, *options)
    assert result.exit_code == 0, result.stderr
    expected = segmenter.predict(volume, axes="zyx", spacing=spacing, granularity=0.4)
    np.testing.assert_array_equal(tifffile.imread(out), expected)


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
