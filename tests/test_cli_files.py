"""Where the command writes results, and which of the files it is given are images to segment."""

from pathlib import Path

import pytest
from imageio.v3 import imwrite

from .test_cli import QUICK, call


@pytest.fixture
def place(tmp_path, grey, monkeypatch) -> Path:
    """Return the current folder, which has two images and two folders of them."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png", "one/c.png", "two/d.png", "two/e.png"):
        Path(name).parent.mkdir(exist_ok=True)
        imwrite(name, grey)
    Path("there.tif").mkdir()
    return tmp_path


def line_of(text: str) -> str:
    """Return what typer has broken into the lines of a box."""
    return " ".join(text.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "results"),
    [
        pytest.param("a.png -o out", ["out/a_labels.tif"], id="no ending"),
        pytest.param("a.png -o out.v1", ["out.v1/a_labels.tif"], id="a dot"),
        pytest.param("a.png -o 2027.01.31", ["2027.01.31/a_labels.tif"], id="a day"),
        pytest.param("a.png b.png -o out.v1", ["out.v1/a_labels.tif", "out.v1/b_labels.tif"],
                     id="a dot, for two"),
        pytest.param("a.png -o out.tif/", ["out.tif/a_labels.tif"], id="a slash"),
        pytest.param("a.png -o there.tif", ["there.tif/a_labels.tif"], id="a folder that is there"),
        pytest.param("a.png -o out.zarr/", ["out.zarr/zarr.json"], id="a store and a slash"),
        pytest.param("one -o out", ["out/c_labels.tif"], id="a folder of one"),
        pytest.param("one -o c.tif", ["c.tif"], id="a file for a folder of one"),
        pytest.param(
            "a.png -o o.tif --preview p.v1 --table t --save n/",
            ["o.tif", "p.v1/a_preview.png", "t/a_table.csv", "n/a.unsupseg"], id="each kind",
        ),
        pytest.param(
            "a.png -o o.tif --segments --geojson g --rois r.v1",
            ["o.tif", "g/a.geojson", "r.v1/a_rois.zip"], id="outlines",
        ),
        pytest.param(
            "a.png -o o.tif --segments --geojson g.geojson --rois r.zip",
            ["o.tif", "g.geojson", "r.zip"], id="outlines with an ending",
        ),
    ],
)  # fmt: skip
def test_what_has_no_ending_of_a_file_is_a_folder(place, arguments, results):
    result = call("segment", *arguments.split(), *QUICK)
    assert result.exit_code == 0, result.output
    assert all((place / name).is_file() for name in results), result.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param("a.png b.png -o o.tif",
                     "--output o.tif: is one file, and there are 2 images: name a folder",
                     id="file"),
        pytest.param("two -o o.ome.zarr",
                     "--output o.ome.zarr: is one file, and there are 2 images: name a folder",
                     id="store for a folder"),
        pytest.param("two -o out --preview p.png",
                     "--preview p.png: is one file, and there are 2 images: name a folder",
                     id="preview"),
        pytest.param("a.png -o o.jpg",
                     "--output o.jpg: must end in .tif, .tiff or .zarr, or in / for a folder",
                     id="ending of another file"),
        pytest.param("a.png -o o --table t.txt",
                     "--table t.txt: must end in .csv or .parquet, or in / for a folder",
                     id="table"),
        pytest.param("a.png -o o --objects --geojson g.zip",
                     "--geojson g.zip: must end in .geojson, or in / for a folder", id="geojson"),
        pytest.param("a.png -o o --table t.xlsx",
                     "--table t.xlsx: must end in .csv or .parquet, or in / for a folder",
                     id="spreadsheet"),
        pytest.param("two -o o --table w/t.xlsx",
                     "--table w/t.xlsx: must end in .csv or .parquet, or in / for a folder",
                     id="spreadsheet of two"),
        pytest.param("a.png -o o --objects --rois x.roi",
                     "--rois x.roi: must end in .zip, or in / for a folder", id="one roi"),
        pytest.param("a.png -o o --save net.pt",
                     "--save net.pt: must end in .unsupseg, or in / for a folder", id="network"),
        pytest.param("a.png -o o --objects --geojson g.geojson.gz",
                     "--geojson g.geojson.gz: must end in .geojson, or in / for a folder",
                     id="packed"),
        pytest.param("a.png -o o.h5",
                     "--output o.h5: must end in .tif, .tiff or .zarr, or in / for a folder",
                     id="labels as HDF5"),
        pytest.param("a.png one/../a.png -o out", "a.png: is given twice", id="twice"),
        pytest.param("a.png -o o.tif --uncertainty o.tif",
                     "o.tif: two results would be written to this file", id="two to one file"),
    ],
)  # fmt: skip
def test_places_that_cannot_be(place, arguments, sentence):
    result = call("segment", *arguments.split(), *QUICK)
    assert result.exit_code == 2
    assert sentence in line_of(result.stderr)


@pytest.mark.parametrize(
    ("first", "second", "folder"),
    [
        pytest.param("cuts/cut.png", "cuts/cut.tif", "out", id="endings"),
        pytest.param("cuts/x.png", "more/x.png", "out", id="folders"),
        pytest.param("cuts/x.png", "more/x.png", "cuts", id="a folder of images"),
    ],
)
def test_images_whose_results_would_be_one_file_are_named(place, grey, first, second, folder):
    for name in (first, second):
        Path(name).parent.mkdir(exist_ok=True)
        imwrite(name, grey)
    result = call("segment", "cuts", *{"more"} & {Path(second).parent.name}, "-o", folder, *QUICK)
    assert result.exit_code == 2
    labels = Path(folder, f"{Path(first).stem}_labels.tif")
    assert (
        f"{first} and {second}: both would have their results in {labels}; rename one, or give "
        "each a command and a folder of its own" in line_of(result.stderr)
    )


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param("two -o two", id="labels"),
        pytest.param("two -o two --preview two --table two --save two", id="all kinds"),
        pytest.param("two -o two/", id="a slash"),
        pytest.param("* -o two --preview two", id="glob"),
    ],
)
def test_results_beside_images_are_not_segmented(place, arguments):
    def words() -> list[str]:
        images = sorted(map(str, Path("two").glob("*.*")))
        return [name for word in arguments.split() for name in (images if word == "*" else [word])]

    assert call("segment", *words(), *QUICK).exit_code == 0
    before = sorted(Path("two").iterdir())
    again = call("segment", *words(), *QUICK)
    assert again.exit_code == 0, again.output
    assert again.stdout == "two/d.png: done already\ntwo/e.png: done already\n"
    assert again.stderr == ""
    assert sorted(Path("two").iterdir()) == before


def test_other_results_beside_images_are_left_out_and_named(place):
    assert call("segment", "two", "-o", "two", "--preview", "two", *QUICK).exit_code == 0
    result = call("segment", "two", "-o", "out", *QUICK)
    assert result.exit_code == 0, result.output
    assert {path.name for path in Path("out").iterdir()} == {"d_labels.tif", "e_labels.tif"}
    assert result.stderr == (
        "warning: two/d_labels.tif: is left out, since it is named as a result of an image beside "
        "it, as 3 more are; to segment it, name it without that image\n"
    )
    alone = call("segment", "two/d_labels.tif", "-o", "out", *QUICK)
    assert alone.exit_code == 0, alone.output
    assert Path("out/d_labels_labels.tif").is_file()


def test_files_named_like_results_are_not_replaced(place, grey):
    imwrite("two/d_labels.tif", grey)
    before = Path("two/d_labels.tif").read_bytes()
    result = call("segment", "two", "-o", "two", *QUICK)
    assert result.exit_code == 1
    assert "two/d_labels.tif: exists already" in result.stderr
    assert Path("two/d_labels.tif").read_bytes() == before
