import contextlib
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import roifile
import tifffile
import yaozarrs
import zarr

from napari_unsupseg import Segmenter
from napari_unsupseg.image.tiling import CROP
from napari_unsupseg.io.label_store import CHUNK, LabelStore
from napari_unsupseg.io.readers import open_image, read_image
from napari_unsupseg.regions.block_objects import find_part_objects
from napari_unsupseg.regions.labels import label_regions
from napari_unsupseg.regions.measure import measure_objects, measure_regions

from ..io.test_object_files import fill_roi, polygons_of, read_features
from ..io.test_ome_zarr import RGB, write_ome
from ..io.test_outlines import fill
from ..learning.test_lazy_inference import wide
from ..regions.test_stitching import same_partition
from ..test_cli import QUICK, call, read_rows

TWO = [*QUICK, "--final-clusters", 2, "--settle", 0.1]


@pytest.fixture
def small_limits(monkeypatch):
    """Have small images taken for large ones, and chunks and crops small."""
    monkeypatch.setattr("napari_unsupseg.image.tiling.LOADED_VALUES", 1000)
    monkeypatch.setattr("napari_unsupseg.image.tiling.CROPS_PIXELS", 60 * 70 * 4)
    monkeypatch.setitem(CROP, 2, (60, 70))
    monkeypatch.setitem(CHUNK, 2, (64, 64))
    monkeypatch.setattr("napari_unsupseg.io.label_store.TOP_LEVEL", 100)


@pytest.fixture
def slide(tmp_path):
    return write_ome(tmp_path / "slide.ome.zarr", wide()[0].astype(np.float32))


def labels_of(path: Path) -> np.ndarray:
    return zarr.open_group(path)["0"][:]


@pytest.mark.parametrize("kind", ["zarr", "tiff"])
def test_a_slide_is_labelled_chunk_by_chunk(tmp_path, slide, small_limits, kind):
    image, truth = wide()
    if kind == "tiff":
        slide = tmp_path / "slide.tif"
        tifffile.imwrite(slide, image.astype(np.float32), tile=(32, 32), compression="zlib")
    out = tmp_path / "out.ome.zarr"
    result = call("segment", slide, "-o", out, *TWO, "--preview", tmp_path / "p.png")
    assert result.exit_code == 0, result.stderr
    assert np.mean(labels_of(out) == truth + 1) > 0.97
    assert (tmp_path / "p.png").stat().st_size > 0
    yaozarrs.validate_zarr_store(str(out))
    record = zarr.open_group(out).attrs["unsupseg"]
    assert record["clusters"] == 2
    assert "unfinished" not in record
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_the_preview_of_a_series_whose_middle_plane_is_empty_is_black(tmp_path, small_limits):
    image = np.stack([wide(2)[0]] * 3).astype(np.float32)
    image[1] = np.nan
    movie, out = write_ome(tmp_path / "movie.ome.zarr", image, "tyx"), tmp_path / "out.ome.zarr"
    result = call("segment", movie, "-o", out, *TWO, "--preview", tmp_path / "p.png")
    assert result.exit_code == 0, result.stderr
    assert not read_image(tmp_path / "p.png").any()
    assert labels_of(out).any(axis=(1, 2)).tolist() == [True, False, True]


@pytest.fixture
def stop_after(monkeypatch):
    """Have the user press Ctrl-C after some chunks, within ``with stop_after(5):``."""
    write = LabelStore.write_missing_chunks

    @contextlib.contextmanager
    def stop(n_chunks):
        def stopped(self, target, labels, _track):
            def some(chunks, _name):
                yield from chunks[:n_chunks]
                raise KeyboardInterrupt

            write(self, target, labels, some)

        with monkeypatch.context() as patch:
            patch.setattr(LabelStore, "write_missing_chunks", stopped)
            yield

    return stop


def test_a_stopped_call_goes_on(tmp_path, slide, small_limits, monkeypatch, stop_after):
    whole, out = tmp_path / "whole.ome.zarr", tmp_path / "out.ome.zarr"
    assert call("segment", slide, "-o", whole, *TWO).exit_code == 0
    with stop_after(5):
        result = call("segment", slide, "-o", out, *TWO)
    assert result.exit_code == 1
    assert "the same command goes on from here" in result.stderr
    done = {
        path: path.stat().st_mtime_ns for path in (out / "0" / "c").rglob("*") if path.is_file()
    }
    assert len(done) == 5

    def untrained(*_arguments, **_keywords):
        raise AssertionError("trained again")

    monkeypatch.setattr(Segmenter, "steps", untrained)
    other = call("segment", slide, "-o", out, *TWO, "--seed", 3)
    assert "exists already; choose another place, or overwrite it (--overwrite)" in other.stderr
    result = call("segment", slide, "-o", out, *TWO)
    assert result.exit_code == 0, result.stderr
    assert all(path.stat().st_mtime_ns == time for path, time in done.items())
    np.testing.assert_array_equal(labels_of(out), labels_of(whole))
    assert "done already" in call("segment", slide, "-o", out, *TWO).stdout


@pytest.mark.parametrize(
    ("damaged", "goes_on"),
    [
        pytest.param("0/zarr.json", True, id="labels"),
        pytest.param("1/zarr.json", True, id="pyramid"),
        pytest.param("zarr.json", False, id="what says whose labels these are"),
    ],
)
@pytest.mark.parametrize("left", [0, 20], ids=["empty", "cut short"])
def test_a_stopped_call_whose_store_is_damaged(
    tmp_path, slide, small_limits, stop_after, damaged, goes_on, left
):
    out = tmp_path / "out.ome.zarr"
    with stop_after(5):
        assert call("segment", slide, "-o", out, *TWO).exit_code == 1
    content = (out / damaged).read_bytes()
    (out / damaged).write_bytes(content[:left])
    other = call("segment", slide, "-o", out, *TWO, "--seed", 3)
    assert "exists already; choose another place, or overwrite it (--overwrite)" in other.stderr
    result = call("segment", slide, "-o", out, *TWO)
    if goes_on:
        assert result.exit_code == 0, result.stderr
        assert labels_of(out).all()
    else:
        sentence = f"{out}: exists already; choose another place, or overwrite it (--overwrite)"
        assert sentence in result.stderr
        assert (out / damaged).read_bytes() == content[:left]


def test_a_stopped_call_does_not_go_on_with_another_network(
    tmp_path, slide, small_limits, stop_after
):
    network, out = tmp_path / "n.unsupseg", tmp_path / "out.ome.zarr"
    save = ["segment", slide, "-o", tmp_path / "first.ome.zarr", *TWO, "--save", network]
    assert call(*save).exit_code == 0
    apply = ["apply", network, slide, "-o", out]
    with stop_after(2):
        assert call(*apply).exit_code == 1
    before = network.read_bytes()
    assert call(*save, "--seed", 1, "--overwrite").exit_code == 0
    assert "exists already" in call(*apply).stderr
    network.write_bytes(before)
    assert call(*apply).exit_code == 0


def test_regions_go_across_chunks(tmp_path, slide, small_limits):
    clusters, regions = tmp_path / "clusters.ome.zarr", tmp_path / "regions.ome.zarr"
    network = tmp_path / "n.unsupseg"
    assert call("segment", slide, "-o", clusters, *TWO, "--save", network).exit_code == 0
    result = call("apply", network, slide, "-o", regions, "--connected", "--json", "-")
    assert result.exit_code == 0, result.stderr
    expected = label_regions(labels_of(clusters))
    assert same_partition(labels_of(regions), expected)
    assert labels_of(regions).dtype == np.uint32  # however few there are: nobody knows before
    (report,) = json.loads(result.stdout)["images"]
    assert report["segments"] == expected.max()
    assert "scratch" not in zarr.open_group(regions)


def test_segments_go_across_chunks(tmp_path, slide, small_limits):
    """Cells that a border of chunks cuts are as whole as the others."""
    out = tmp_path / "segments.ome.zarr"
    result = call("segment", slide, "-o", out, *TWO, "--granularity", 0.6, "--json", "-")
    assert result.exit_code == 0, result.stderr
    segments = labels_of(out)
    (report,) = json.loads(result.stdout)["images"]
    assert report["segments"] == segments.max()
    cells = label_regions(wide()[1].astype(np.uint8))
    whole = [np.bincount(segments[cells == cell]).max() for cell in range(1, cells.max() + 1)]
    shares = np.array(whole) / np.bincount(cells.ravel())[1:]
    cut_by_a_border = set(cells[[63, 64]].ravel()) | set(cells[:, 63:512:64].ravel()) - {0}
    assert len(cut_by_a_border) > 4
    assert np.median([shares[cell - 1] for cell in cut_by_a_border - {0}]) > 0.9


def test_a_table_is_measured_chunk_by_chunk(tmp_path, slide, small_limits):
    out, table = tmp_path / "regions.ome.zarr", tmp_path / "regions.csv"
    result = call("segment", slide, "-o", out, *TWO, "--connected", "--table", table)
    assert result.exit_code == 0, result.stderr
    rows = read_rows(table)
    image = wide()[0].astype(np.float32)
    expected = measure_regions(
        labels_of(out), image[np.newaxis], spacing={"y": 0.5, "x": 0.5}, unit="um"
    )
    for name, column in expected.items():
        found = [float(row[name]) for row in rows]
        np.testing.assert_allclose(found, column, rtol=1e-5, err_msg=name)


def test_outlines_go_across_chunks(tmp_path, slide, small_limits, monkeypatch):
    monkeypatch.setattr("napari_unsupseg.io.outlines.BLOCK", 100)
    out, geojson, rois = (tmp_path / name for name in ("o.ome.zarr", "o.geojson", "o.zip"))
    files = ["-o", out, "--geojson", geojson, "--rois", rois]
    result = call("segment", slide, *files, "--connected", *TWO)
    assert result.exit_code == 0, result.stderr
    labels = labels_of(out)
    in_features, in_regions = np.zeros_like(labels), np.zeros_like(labels)
    for feature in read_features(geojson):
        pixels = fill(polygons_of(feature["geometry"]), labels.shape)
        in_features[pixels] = int(feature["properties"]["name"])
        assert feature["properties"]["measurements"]["area_um2"] == pixels.sum() / 4
    for roi in roifile.roiread(rois):
        in_regions[fill_roi(roi, labels.shape)] = int(roi.name)
    np.testing.assert_array_equal(in_features, labels)
    np.testing.assert_array_equal(in_regions, labels)


def test_a_folder_may_hold_both_kinds(tmp_path, small_limits):
    folder, out = tmp_path / "images", tmp_path / "out"
    folder.mkdir()
    write_ome(folder / "a.ome.zarr", wide(2)[0].astype(np.float32))
    tifffile.imwrite(folder / "b.tif", wide(2)[0].astype(np.float32), tile=(32, 32))
    tifffile.imwrite(folder / "c.tif", wide(1)[0][:20, :40].astype(np.float32))
    result = call("segment", folder, "-o", out, *TWO)
    assert result.exit_code == 0, result.stderr
    names = sorted(path.name for path in out.iterdir())
    assert names == ["a_labels.ome.zarr", "b_labels.ome.zarr", "c_labels.tif"]


def test_a_small_image_goes_to_a_store_too(tmp_path, grey):
    path, out, tiff = (tmp_path / name for name in ("a.ome.zarr", "o.ome.zarr", "o.tif"))
    write_ome(path, grey)
    assert call("segment", path, "-o", out, *QUICK, "--segments").exit_code == 0
    assert call("segment", path, "-o", tiff, *QUICK, "--segments").exit_code == 0
    np.testing.assert_array_equal(labels_of(out), tifffile.imread(tiff))
    assert "done already" in call("segment", path, "-o", out, *QUICK, "--segments").stdout
    again = call("segment", path, "-o", out, *QUICK, "--overwrite")
    assert again.exit_code == 0, again.stderr
    yaozarrs.validate_zarr_store(str(out))


def test_a_plain_array_needs_its_axes_said(tmp_path):
    stack = np.random.default_rng(0).integers(0, 255, (4, 20, 30), np.uint8)
    zarr.save_array(tmp_path / "a.zarr", stack)
    out = tmp_path / "o.tif"
    assert "say what they are" in call("segment", tmp_path / "a.zarr", "-o", out, *QUICK).stderr
    result = call("segment", tmp_path / "a.zarr", "-o", out, *QUICK, "--axes", "zyx")
    assert result.exit_code == 0, result.stderr
    assert tifffile.imread(out).shape == (4, 20, 30)


def test_colours_of_a_store_are_those_of_a_picture(tmp_path, rgb):
    path = write_ome(tmp_path / "i.zarr", np.moveaxis(rgb, -1, 0), "cyx", **RGB)
    out, png = tmp_path / "o.tif", tmp_path / "i.tif"
    tifffile.imwrite(png, rgb)
    assert call("segment", path, "-o", out, *QUICK).exit_code == 0
    labels = tifffile.imread(out)
    assert call("segment", png, "-o", out, *QUICK, "--overwrite").exit_code == 0
    np.testing.assert_array_equal(labels, tifffile.imread(out))


@pytest.mark.parametrize(
    ("out", "options", "problem"),
    [
        pytest.param("o.tif", [], "name an --output that ends in .ome.zarr", id="TIFF"),
        pytest.param("o.zarr", ["--n-segments", 5], "--n-segments would need", id="number"),
        pytest.param("o.zarr", ["--separate"], "--separate would need", id="separate"),
        pytest.param("o.zarr", ["--min-size", 2], "--min-size would need", id="pixels"),
        pytest.param(
            "o.zarr", ["--min-area", 0.01, "--granularity", 0.3], "--min-area would need", id="area"
        ),
        pytest.param("o.zarr", ["--strokes", "drawn.tif"], "--strokes would need", id="strokes"),
    ],
)
def test_what_needs_the_whole_is_refused_before_it_is_trained(
    tmp_path, slide, small_limits, monkeypatch, out, options, problem
):
    def untrained(*_arguments, **_keywords):
        raise AssertionError("trained")

    monkeypatch.setattr(Segmenter, "steps", untrained)
    monkeypatch.chdir(tmp_path)
    result = call("segment", slide, "-o", tmp_path / out, *TWO, *options)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {slide}")
    assert "is too large to be loaded, " in result.stderr
    assert problem in result.stderr
    assert not (tmp_path / out).exists()


def test_other_stores_are_not_replaced(tmp_path, slide, grey):
    other = write_ome(tmp_path / "other.zarr", grey)
    result = call("segment", slide, "-o", other, *QUICK)
    assert "exists already; choose another place, or overwrite it (--overwrite)" in result.stderr
    with open_image(other) as source:
        assert source.values.shape == grey.shape
    result = call("segment", slide, "-o", slide, *QUICK, "--overwrite")
    assert "which this command reads" in " ".join(result.stderr.replace("│", " ").split())


def test_objects_go_across_chunks(tmp_path, slide, small_limits):
    """Each cell is one object, wherever chunks meet, and none is twice."""
    out = tmp_path / "objects.ome.zarr"
    result = call("segment", slide, "-o", out, *TWO, "--objects", "--split", 0, "--json", "-")
    assert result.exit_code == 0, result.stderr
    objects = labels_of(out)
    (report,) = json.loads(result.stdout)["images"]
    assert report["objects"] == objects.max() == len(np.unique(objects)) - 1
    cells = label_regions(wide()[1].astype(np.uint8))
    overlaps = np.unique(np.stack([cells, objects])[:, (cells > 0) & (objects > 0)], axis=1)
    areas = np.bincount(cells.ravel())
    whole = areas > 0.2 * np.median(areas[1:])  # smaller ones may be specks
    assert np.isin(np.flatnonzero(whole[1:]) + 1, overlaps[0]).all()
    assert "scratch" not in zarr.open_group(out)


def test_the_smallest_and_largest_object_are_those_of_the_whole(
    tmp_path, slide, small_limits, stop_after
):
    every, some = tmp_path / "every.ome.zarr", tmp_path / "some.ome.zarr"
    objects = ["segment", slide, *TWO, "--objects"]
    assert call(*objects, "-o", every, "--min-size", 1).exit_code == 0
    sizes = np.bincount(labels_of(every).ravel())[1:]
    low, high = np.quantile(sizes, [0.2, 0.8]).astype(int)
    chosen = ["--min-size", low, "--max-size", high]
    with stop_after(5):
        assert call(*objects, "-o", some, *chosen).exit_code == 1
    other = call(*objects, "-o", some, *chosen[:2])
    assert "exists already" in other.stderr
    assert call(*objects, "-o", some, *chosen).exit_code == 0
    is_chosen = (sizes >= low) & (sizes <= high)
    np.testing.assert_array_equal(
        labels_of(some) > 0, np.append(False, is_chosen)[labels_of(every)]
    )
    assert "done already" in call(*objects, "-o", some, *chosen).stdout
    area = ["--min-area", low / 4, "--max-size", high]  # a pixel is half a µm wide
    again = tmp_path / "area.ome.zarr"
    assert call(*objects, "-o", again, *area).exit_code == 0
    np.testing.assert_array_equal(labels_of(again), labels_of(some))


def test_objects_are_measured_whole(tmp_path, slide, small_limits):
    out, table = tmp_path / "objects.ome.zarr", tmp_path / "objects.csv"
    result = call("segment", slide, "-o", out, *TWO, "--objects", "--table", table)
    assert result.exit_code == 0, result.stderr
    rows = read_rows(table)
    image = wide()[0].astype(np.float32)
    expected = measure_objects(
        labels_of(out), image[np.newaxis], spacing={"y": 0.5, "x": 0.5}, unit="um"
    )
    for name, column in expected.items():
        found = [float(row[name]) for row in rows]
        np.testing.assert_allclose(found, column, rtol=1e-5, atol=1e-6, err_msg=name)
    assert {row["cluster"] for row in rows} <= {"1", "2"}


def test_a_call_that_was_stopped_while_it_found_objects_goes_on(
    tmp_path, slide, small_limits, monkeypatch
):
    whole, out = tmp_path / "whole.ome.zarr", tmp_path / "out.ome.zarr"
    objects = ["segment", slide, *TWO, "--objects"]
    assert call(*objects, "-o", whole).exit_code == 0
    parts = itertools.count()

    def find_some(*arguments):
        if next(parts) == 5:
            raise KeyboardInterrupt
        return find_part_objects(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("napari_unsupseg.batch.chunked_pipeline.find_part_objects", find_some)
        stopped = call(*objects, "-o", out)
    assert "the same command goes on from here" in stopped.stderr
    assert labels_of(out).any()
    monkeypatch.setattr(Segmenter, "steps", None)  # nothing is trained again
    assert call(*objects, "-o", out).exit_code == 0
    np.testing.assert_array_equal(labels_of(out), labels_of(whole))


def test_an_object_of_a_movie_has_one_number_in_all_chunks(tmp_path, small_limits):
    cell = wide(1)[0]
    movie = np.stack([np.roll(cell, shift, 1) for shift in (0, 2, 4)]).astype(np.float32)
    path, out = write_ome(tmp_path / "movie.ome.zarr", movie, "tyx"), tmp_path / "out.ome.zarr"
    table = tmp_path / "table.csv"
    result = call("segment", path, "-o", out, *TWO, "--objects", "--table", table)
    assert result.exit_code == 0, result.stderr
    first, _, last = labels_of(out)
    sizes = np.bincount(first.ravel())[1:]
    large = np.flatnonzero(sizes > np.median(sizes)) + 1
    assert len(large)
    moved = np.roll(first, 4, 1)[:, 4:]
    followed = [np.mean(last[:, 4:][moved == number] == number) for number in large]
    assert np.median(followed) > 0.8
    assert {row["t"] for row in read_rows(table)} == {"0", "1", "2"}


def test_objects_of_a_large_volume_are_volumes(tmp_path, small_limits, monkeypatch):
    monkeypatch.setitem(CROP, 3, (8, 60, 70))
    monkeypatch.setitem(CHUNK, 3, (8, 32, 32))
    image = wide(1)[0]
    volume = np.stack([image] * 12 + [np.full_like(image, np.median(image))] * 4)
    volume = (volume + np.random.default_rng(0).normal(0, 0.01, volume.shape)).astype(np.float32)
    path, out = write_ome(tmp_path / "volume.ome.zarr", volume, "zyx"), tmp_path / "o.ome.zarr"
    options = ["--objects", "--spatial-ndim", 3, "--z-spacing", 2]
    result = call("segment", path, "-o", out, *TWO, *options)
    assert result.exit_code == 0, result.stderr
    objects = labels_of(out)
    assert objects.max() > 1
    through = [len(np.unique(np.nonzero(objects == n)[0])) for n in range(1, objects.max() + 1)]
    assert np.median(through) >= 10  # of chunks of eight planes
