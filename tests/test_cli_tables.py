"""Tables that the command writes: of objects, of a folder, and counts."""

import importlib.util
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from imageio.v3 import imread, imwrite
from skimage.data import coins

from napari_unsupseg import Segmenter, Settings, cli
from napari_unsupseg.batch import pipeline
from napari_unsupseg.io.paths import remove
from napari_unsupseg.regions.measure import measure_objects

from .conftest import SMALL
from .test_cli import QUICK, call

OBJECTS = ("--objects", *QUICK)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the current folder; in its folder of images one has nothing in it."""
    monkeypatch.chdir(tmp_path)
    images = tmp_path / "images"
    images.mkdir()
    imwrite(images / "a.png", coins()[:150, :160])
    imwrite(images / "b.png", coins()[140:290, 200:360])
    imwrite(images / "c.png", np.full((40, 40), 7, np.uint8))
    return tmp_path


def segment(*arguments, exit_code=0):
    result = call("segment", *arguments, *OBJECTS)
    assert result.exit_code == exit_code, result.output
    return result


def test_an_object_has_its_cluster_and_its_score(folder):
    segment("images/a.png", "-o", "o.tif", "--table", "o.csv")
    image, objects = imread("images/a.png"), tifffile.imread("o.tif")
    segmenter = Segmenter(Settings.from_dict(SMALL)).fit(image)
    expected = measure_objects(objects, image[np.newaxis], clusters=segmenter.labels_)
    expected |= segmenter.hierarchy_.score_objects(objects)
    table = pd.read_csv("o.csv")
    assert list(table) == list(expected)
    assert len(table) == objects.max() > 3
    for name, column in expected.items():
        np.testing.assert_allclose(table[name], column, err_msg=name)
    assert table["score"].between(0, 1).all()
    assert all(name.isidentifier() for name in table)  # as R takes names, too


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("how", [(), ("--workers", 2)], ids=["one by one", "side by side"])
def test_a_folder_has_one_tidy_table(folder, ending, how):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    result = segment("images", "-o", "out", "--table", f"all.{ending}", *how)
    assert f"all.{ending}: rows of 3 images" in result.stdout
    table = (pd.read_csv if ending == "csv" else pd.read_parquet)(f"all.{ending}")
    segment("images", "-o", "each", "--table", "tables")
    parts = {name: pd.read_csv(f"tables/{name}_table.csv") for name in "abc"}
    assert len(parts["c"]) == 0
    expected = pd.concat([part.assign(image=f"{name}.png") for name, part in parts.items()])
    assert list(table) == ["image", *parts["a"]]
    assert table["image"].tolist() == expected["image"].tolist()
    for name in parts["a"]:
        np.testing.assert_allclose(table[name], expected[name].astype(float), err_msg=name)
    assert table["label"].dtype == np.int64


def test_images_with_other_columns_have_empty_cells(folder):
    movie = np.stack([imread("images/a.png")] * 2)
    tifffile.imwrite(
        "images/m.tif", movie, photometric="minisblack", ome=True,
        metadata={"axes": "TYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5},
    )  # fmt: skip
    segment("images/a.png", "images/m.tif", "-o", "out", "--table", "all.csv")
    table = pd.read_csv("all.csv")
    assert list(table)[:3] == ["image", "t", "label"]
    of_movie = table["image"] == "m.tif"
    assert table["t"].isna().tolist() == (~of_movie).tolist()
    assert table["area"].isna().tolist() == table["area_um2"].notna().tolist() == of_movie.tolist()
    assert set(table["t"].dropna()) == {0, 1}


def test_a_call_that_was_stopped_goes_on_with_the_table(folder, monkeypatch):
    run_job = pipeline.run_job
    done = []

    def stop_at_the_second(job, *arguments):
        if done:
            raise KeyboardInterrupt
        done.append(job)
        return run_job(job, *arguments)

    arguments = ("images", "-o", "out", "--table", "all.csv", "--counts", "counts.csv")
    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "run_job", stop_at_the_second)
        result = segment(*arguments, exit_code=1)
    assert "stopped before 2 of 3 images: " in result.stderr
    first = pd.read_csv("all.csv")
    assert set(first["image"]) == {"a.png"}
    result = segment(*arguments)
    assert "a.png: done already" in result.stdout
    table = pd.read_csv("all.csv")
    assert table["image"].unique().tolist() == ["a.png", "b.png"]
    pd.testing.assert_frame_equal(table[table["image"] == "a.png"], first)
    assert set(pd.read_csv("counts.csv")["image"]) == {"a.png", "b.png", "c.png"}


def test_an_image_that_ended_early_has_no_rows_until_it_is_done(folder, monkeypatch):
    show_training = cli.show_training

    def end_at_once(steps, name, *arguments):
        if name == "b.png":
            return next(steps), True
        return show_training(steps, name, *arguments)

    arguments = ("images", "-o", "out", "--table", "all.csv")
    with monkeypatch.context() as patched:
        patched.setattr(cli, "show_training", end_at_once)
        result = call("segment", *arguments, *QUICK)
    assert "all.csv: rows of 1 image\n" in result.stdout
    assert "all.csv: no rows of images/b.png, which ended early" in result.stdout
    assert set(pd.read_csv("all.csv")["image"]) == {"a.png"}
    result = call("segment", *arguments, *QUICK)
    assert "all.csv: rows of 3 images" in result.stdout


def test_a_call_that_was_killed_before_it_joined_goes_on(folder):
    arguments = ("images", "-o", "out", "--table", "all.csv")
    segment(*arguments)
    whole = (folder / "all.csv").read_bytes()
    (folder / "all.csv").unlink()
    result = segment(*arguments)
    assert result.stdout.count("done already") == 3
    assert (folder / "all.csv").read_bytes() == whole


def test_an_image_that_is_added_gets_rows_and_the_others_keep_theirs(folder):
    arguments = ("images", "-o", "out", "--table", "all.csv")
    segment(*arguments)
    before = pd.read_csv("all.csv")
    shutil.copy("images/a.png", "images/aa.png")
    result = segment(*arguments)
    assert result.stdout.count("done already") == 3
    table = pd.read_csv("all.csv")
    assert table["image"].unique().tolist() == ["a.png", "aa.png", "b.png"]
    pd.testing.assert_frame_equal(table[table["image"] != "aa.png"].reset_index(drop=True), before)


@pytest.mark.parametrize("is_added", [False, True], ids=["nothing new", "an image more"])
def test_a_table_that_was_changed_since_is_not_replaced(folder, is_added):
    arguments = ("images", "-o", "out", "--table", "all.csv")
    segment(*arguments)
    (folder / "all.csv").write_text("edited")
    if is_added:
        shutil.copy("images/a.png", "images/aa.png")
    result = segment(*arguments, exit_code=1)
    assert "all.csv: is not as it was joined" in result.stderr
    assert "rows of" not in result.stdout
    assert (folder / "all.csv").read_text() == "edited"
    segment(*arguments, "--overwrite")
    assert len(pd.read_csv("all.csv")) > 6


def test_the_table_of_one_image_in_its_place_is_not_taken_for_that_of_all(folder):
    arguments = ("images", "-o", "out", "--table", "all.csv")
    segment(*arguments)
    segment("images/a.png", "-o", "a.tif", "--table", "all.csv", "--overwrite")
    one = (folder / "all.csv").read_bytes()
    result = segment(*arguments, exit_code=1)
    assert "all.csv: is not as it was joined" in result.stderr
    assert (folder / "all.csv").read_bytes() == one


@pytest.mark.parametrize(
    "lost",
    [
        pytest.param(["out/b_labels.tif"], id="labels"),
        pytest.param([".all.csv.*.rows/b.png.table.csv"], id="rows"),
        pytest.param([".all.csv.*.rows", "all.csv"], id="all rows"),
        pytest.param(
            ["out/b_labels.tif", ".all.csv.*.rows/b.png.table.csv", "all.csv"], id="all of one"
        ),
    ],
)
def test_what_was_deleted_is_made_again(folder, lost):
    arguments = ("images", "-o", "out", "--table", "all.csv")
    segment(*arguments)
    paths = [*(folder / "out").iterdir(), folder / "all.csv"]
    before = {path: path.read_bytes() for path in paths}
    for pattern in lost:
        [path] = folder.glob(pattern)
        remove(path)
    kept = {path: path.stat().st_mtime_ns for path in paths[:-1] if path.exists()}
    result = segment(*arguments)
    assert "all.csv: rows of 3 images" in result.stdout
    assert {path: path.read_bytes() for path in paths} == before
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_results_that_are_asked_for_later_are_added_to_labels(folder):
    segment("images/a.png", "-o", "o.tif")
    before = (folder / "o.tif").stat().st_mtime_ns
    more = ("--table", "o.csv", "--geojson", "o.geojson", "--save", "n.unsupseg")
    result = segment("images/a.png", "-o", "o.tif", *more)
    assert (folder / "o.tif").stat().st_mtime_ns == before
    assert pd.read_csv("o.csv")["label"].max() == tifffile.imread("o.tif").max()
    assert (folder / "o.geojson").is_file()
    assert (folder / "n.unsupseg").is_file()
    assert "o.geojson" in result.stdout
    assert "done already" in segment("images/a.png", "-o", "o.tif", *more).stdout


@pytest.mark.parametrize("name", ["o.tif", "o.ome.zarr"])
def test_nothing_is_measured_of_labels_that_were_edited(folder, name):
    segment("images/a.png", "-o", name)
    if name == "o.tif":
        with tifffile.TiffFile(name) as tiff:
            labels, description = tiff.asarray(), tiff.pages.first.description
        labels[:99] = 0
        tifffile.imwrite(name, labels, description=description, metadata=None)
    else:
        zarr.open_group(name)["0"][:99] = 0
    result = segment("images/a.png", "-o", name, "--table", "o.csv", exit_code=1)
    assert f"{name}: is not what the same options make now" in result.stderr
    assert not (folder / "o.csv").exists()


def test_rows_of_labels_that_are_gone_are_not_joined(folder):
    segment("images", "-o", "out", "--table", "all.csv")
    segment("images", "-o", "out", "--exclude-border", "--overwrite")
    segment("images", "-o", "out", "--exclude-border", "--table", "all.csv")
    segment("images", "-o", "out2", "--exclude-border", "--table", "expected.csv")
    assert (folder / "all.csv").read_bytes() == (folder / "expected.csv").read_bytes()
    assert segment("images", "-o", "out", "--exclude-border").stdout.count("done already") == 3


def test_options_that_made_other_labels_are_named(folder):
    segment("images/a.png", "-o", "o.tif")
    result = segment("images/a.png", "-o", "o.tif", "--split", 0.9, "--seed", 3, exit_code=1)
    assert "o.tif: exists already, made with other options (seed, split)" in result.stderr


def test_an_image_that_fails_is_named_and_has_no_rows(folder):
    (folder / "images/b.png").write_bytes(b"no image")
    result = segment("images", "-o", "out", "--table", "all.csv", exit_code=1)
    assert "1 of 3 images failed: images/b.png" in result.stderr
    assert "all.csv: rows of 2 images" in result.stdout
    assert set(pd.read_csv("all.csv")["image"]) == {"a.png"}


@pytest.mark.parametrize(
    ("arguments", "there", "sentence"),
    [
        pytest.param(["--table", "t.csv"], "t.csv", "t.csv: exists already", id="somebody's"),
        pytest.param(["--counts", "t.csv"], "t.csv", "t.csv: exists already", id="counts"),
        pytest.param(["--table", "t.txt"], "", "must end in .csv or .parquet, or in /", id="text"),
        pytest.param(["--counts", "t.txt"], "", "--counts t.txt: must end in .csv or .parquet",
                     id="counts as text"),
        pytest.param(["--table", "t.csv", "--counts", "t.csv"], "", "two results would be written",
                     id="both to one file"),
        pytest.param(["--table", "mine/t.csv"], "mine", "cannot be written", id="no folder"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_written_is_refused_before_the_work(
    folder, arguments, there, sentence
):
    if there:
        (folder / there).write_text("mine")
    result = call("segment", "images", "-o", "out", *arguments, *OBJECTS)
    assert result.exit_code in (1, 2)
    assert sentence in result.stderr
    assert not (folder / "out").exists()
    assert not there or (folder / there).read_text() == "mine"


def test_rows_of_other_images_are_not_lost(folder):
    segment("images", "-o", "out", "--table", "all.csv")
    before = (folder / "all.csv").read_bytes()
    one = ("images/a.png", "images/b.png", "-o", "out", "--table", "all.csv")
    result = segment(*one, exit_code=1)
    assert "all.csv: has rows of other images, such as c.png:" in result.stderr
    assert (folder / "all.csv").read_bytes() == before
    segment(*one, "--overwrite")
    assert set(pd.read_csv("all.csv")["image"]) == {"a.png", "b.png"}


def test_without_pyarrow_parquet_is_refused(folder, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pyarrow" else find(name)
    )
    for table in (["--table", "t.parquet"], ["--counts", "t.parquet"]):
        result = segment("images/a.png", "-o", "o.tif", *table, exit_code=1)
        assert "pip install 'napari-unsupseg[parquet]'" in result.stderr
    assert not (folder / "o.tif").exists()


def test_the_table_of_one_image_can_be_parquet(folder):
    pytest.importorskip("pyarrow")
    segment("images/a.png", "-o", "o.tif", "--table", "o.parquet")
    table = pd.read_parquet("o.parquet")
    assert table["label"].tolist() == list(range(1, tifffile.imread("o.tif").max() + 1))


@pytest.mark.parametrize(
    "kind", [OBJECTS, ("--segments", *QUICK), ("--connected", *QUICK)], ids=lambda kind: kind[0]
)
def test_what_is_found_is_counted_by_image(folder, kind):
    tables = ("--table", "all.csv", "--counts", "counts.csv")
    result = call("segment", "images", "-o", "out", *tables, *kind)
    assert result.exit_code == 0, result.output
    counts, found = pd.read_csv("counts.csv"), pd.read_csv("all.csv")
    # clusters of two images have nothing to do with each other: none of them is a row
    assert list(counts) == ["image", "count", "total_area", "mean_area", "mean_intensity"]
    assert counts["image"].tolist() == ["a.png", "b.png", "c.png"]
    expected = found.groupby("image").agg(
        count=("label", "size"), total_area=("area", "sum"), mean_area=("area", "mean")
    )
    of_image = counts.set_index("image")
    pd.testing.assert_frame_equal(
        of_image.loc[expected.index, list(expected)], expected, check_dtype=False
    )
    # an image without any is not left out
    assert of_image["count"].sum() == len(found)


def test_counts_are_named_in_the_report(folder):
    result = segment(
        "images/a.png", "-o", "o.tif", "--table", "o.csv", "--counts", "n.csv", "--json", "s.json"
    )
    [report] = json.loads((folder / "s.json").read_text())["images"]
    assert (report["table"], report["counts"]) == ("o.csv", "n.csv")
    assert "n.csv: rows of 1 image" in result.stdout


def test_of_clusters_connected_regions_are_counted_in_every_frame(folder):
    movie = np.zeros((2, 40, 60), np.uint8)
    movie[:, 5:15, 5:15], movie[:, 25:35, 40:50], movie[1, 5:15, 40:50] = 200, 200, 200
    tifffile.imwrite("m.tif", movie, photometric="minisblack", metadata={"axes": "TYX"})
    result = call(
        "segment", "m.tif", "-o", "o.tif", "--counts", "counts.csv", *QUICK, "--final-clusters", 2
    )
    assert result.exit_code == 0, result.output
    clusters, counts = tifffile.imread("o.tif"), pd.read_csv("counts.csv")
    assert counts.columns[:4].tolist() == ["image", "t", "cluster", "count"]
    for row in counts.itertuples():
        assert row.total_area == (clusters[row.t] == row.cluster).sum()
    bright = counts[counts["cluster"] == clusters[0, 10, 10]]
    assert bright["count"].tolist() == [2, 3]


def test_frames_that_are_segmented_separately_have_no_common_clusters(folder):
    movie = np.stack([imread("images/a.png"), imread("images/b.png")])
    tifffile.imwrite("m.tif", movie, photometric="minisblack", metadata={"axes": "TYX"})
    tables = ("--table", "o.csv", "--counts", "counts.csv")
    segment("m.tif", "-o", "o.tif", "--separate", *tables)
    table, counts = pd.read_csv("o.csv"), pd.read_csv("counts.csv")
    assert "cluster" not in table
    assert "score" not in table
    assert counts["t"].tolist() == [0, 1]
    assert counts["count"].tolist() == table.groupby("t").size().tolist()


def test_a_trained_network_scores_objects_too(folder):
    call("segment", "images/a.png", "-o", "o.tif", "--save", "n.unsupseg", *QUICK)
    result = call(
        "apply", "n.unsupseg", "images/b.png", "-o", "b.tif", "--objects", "--table", "b.csv"
    )
    assert result.exit_code == 0, result.output
    table = pd.read_csv("b.csv")
    assert {"cluster", "score", "stability"} <= set(table)
