"""Labels layers, saved and opened again as napari does, without a window."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import roifile
import tifffile
import yaozarrs
import zarr
from napari.layers import Labels, Layer
from npe2 import PluginManager, read, write

from napari_unsupseg.errors import FileError, ImageError
from napari_unsupseg.io.readers import open_image
from napari_unsupseg.plugin.contributions import write_tiff
from napari_unsupseg.plugin.saved_labels import PLACE, save_labels_layer

from ..io.test_object_files import fill_roi, polygons_of, read_features
from ..io.test_outlines import as_labels, fill

PLUGIN = "napari-unsupseg"
RING = as_labels("00000 01110 01010 01110 00003")
FEATURES = {
    "index": [1, 3],
    "area_um2": [2.0, 0.1],
    "perimeter_um": [np.nan, 1.5],
    "touches_border": [0, 1],
    "orientation": [np.nan, np.nan],
    "name": ["ring, “é”", ""],
}
UM = {"scale": (0.25, 0.5), "units": ("um", "um"), "translate": (3, -4.5)}
LAYERS = [
    pytest.param(RING, {}, id="a plane in pixels"),
    pytest.param(RING, {"scale": (2, 2)}, id="a scale without a unit"),
    pytest.param(RING.astype(np.int64), UM, id="a plane in µm"),
    pytest.param(RING, {"rotate": 30, "shear": [0.2], "units": ("mm", "nm")}, id="turned"),
    pytest.param(RING, {"affine": [[0, -1, 5], [1, 0, 2], [0, 0, 1]]}, id="an affine"),
    pytest.param(RING, {"scale": (-1, 1), "units": ("um", "um")}, id="mirrored"),
    pytest.param(
        np.stack([RING, RING[::-1]]),
        {"scale": (2, 1, 1), "units": ("um",) * 3, "axis_labels": ("z", "y", "x")},
        id="a volume",
    ),
    pytest.param(
        np.stack([RING, RING[::-1]]),
        {"scale": (9, 1, 1), "units": ("second", "um", "um"), "axis_labels": ("t", "y", "x")},
        id="a movie",
    ),
    pytest.param(np.stack([[RING, RING[::-1]]] * 3), {}, id="four axes without names"),
    pytest.param(RING[None, None], {"scale": (5, 4, 3, 2)}, id="axes of length one"),
    pytest.param(np.stack([RING] * 2)[:, None, None], {}, id="five axes"),
    pytest.param(RING * np.uint32(70_000), {}, id="labels of four bytes"),
]


@pytest.fixture(autouse=True)
def _manifest():
    """Have npe2 know the plugin, as napari does."""
    PluginManager.instance().discover()


def opened(path: Path) -> Layer:
    [(data, attributes, kind)] = read([str(path)], stack=False, plugin_name=PLUGIN)
    return Layer.create(data, attributes, kind)


@pytest.mark.parametrize("ending", [".tif", ".tiff", ".zarr", ".ome.zarr"])
@pytest.mark.parametrize(("labels", "place"), LAYERS)
def test_nothing_of_a_layer_is_lost(tmp_path, labels, place, ending):
    how = {
        "objects": {"split": 0.3},
        "names": {1: "ring"},
        "classes": {3: "x"},
        "foreground": np.int64(3),
    }
    layer = Labels(labels, features=FEATURES, metadata={PLUGIN: how}, **place)
    path = str(tmp_path / f"my objects{ending}")
    assert write(path, [layer], plugin_name=PLUGIN) == [path]
    again = opened(Path(path))
    assert isinstance(again, Labels)
    assert again.name == "my objects"
    assert again.data.dtype.kind == "u"
    np.testing.assert_array_equal(again.data, layer.data)
    for name in PLACE:
        before, after = getattr(layer, name), getattr(again, name)
        if name in ("units", "axis_labels"):
            assert after == before
        else:
            np.testing.assert_array_equal(np.asarray(after), np.asarray(before), err_msg=name)
    pd.testing.assert_frame_equal(again.features, layer.features)
    assert again.metadata[PLUGIN]["objects"] == {"split": 0.3}
    assert again.metadata[PLUGIN]["names"] == {1: "ring"}
    assert again.metadata[PLUGIN]["classes"] == {3: "x"}


@pytest.mark.parametrize("ending", [".tif", ".ome.zarr"])
def test_files_say_the_size_of_pixels_as_such_files_do(tmp_path, ending):
    layer = Labels(
        np.stack([RING] * 2),
        scale=(2, 0.25, 0.5),
        units=("um",) * 3,
        translate=(1, 3, -4.5),
        axis_labels=("z", "y", "x"),
    )
    path = tmp_path / f"a{ending}"
    save_labels_layer(path, layer)
    with open_image(path) as image:
        assert image.axes == "zyx"
        size = image.pixel_size
    assert (size.depth, size.height, size.width, size.unit) == (2, 0.25, 0.5, "um")
    if ending == ".ome.zarr":
        assert size.origin == (1, 3, -4.5)
    else:
        with tifffile.TiffFile(path) as file:
            assert 'PositionX="-4.5"' in file.ome_metadata


def test_ome_zarr_has_the_table_where_others_look_for_it(tmp_path):
    path = tmp_path / "a.ome.zarr"
    save_labels_layer(path, Labels(RING, features=FEATURES))
    yaozarrs.validate_zarr_store(str(path))
    rows = zarr.open_group(path).attrs["ome"]["image-label"]["properties"]
    assert [row["label-value"] for row in rows] == [1, 3]
    assert [row["area_um2"] for row in rows] == [2.0, 0.1]
    assert "NaN" not in (path / "zarr.json").read_text()
    np.testing.assert_array_equal(zarr.open_group(path)["0"][:], RING)


def test_a_tiff_is_read_by_others(tmp_path):
    save_labels_layer(tmp_path / "a.tif", Labels(RING, features=FEATURES, **UM))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        np.testing.assert_array_equal(file.asarray(), RING)
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
    assert (pixels["PhysicalSizeY"], pixels["PhysicalSizeX"]) == (0.25, 0.5)


def test_outlines_have_the_features_and_are_in_pixels(tmp_path):
    layer = Labels(RING.astype(np.int32), features=FEATURES, **UM)
    for ending in (".geojson", ".zip"):
        write(str(tmp_path / f"a{ending}"), [layer], plugin_name=PLUGIN)
    filled = np.zeros_like(RING)
    for feature in read_features(tmp_path / "a.geojson"):
        pixels = fill(polygons_of(feature["geometry"]), RING.shape)
        filled[pixels] = int(feature["properties"]["name"])
    np.testing.assert_array_equal(filled, RING)
    assert feature["properties"]["measurements"] == {
        "area_um2": 0.1,
        "perimeter_um": 1.5,
        "touches_border": 1.0,
    }
    ring, pixel = roifile.roiread(tmp_path / "a.zip")
    np.testing.assert_array_equal(fill_roi(ring, RING.shape), RING == 1)
    assert pixel.properties["perimeter_um"] == 1.5


@pytest.mark.parametrize("ending", [".geojson", ".zip", ".tif", ".zarr"])
def test_a_layer_without_features_is_saved(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    save_labels_layer(path, Labels(RING))
    if ending == ".geojson":
        assert "measurements" not in json.loads(path.read_text())["features"][0]["properties"]
    elif ending != ".zip":
        assert opened(path).features.empty


def test_a_name_without_an_ending_gets_that_of_the_chosen_format(tmp_path):
    layer_data = Labels(RING).as_layer_data_tuple()[:2]
    for writer in PluginManager.instance().iter_compatible_writers(["labels"]):
        if writer.plugin_name == PLUGIN:
            writer.exec(args=(str(tmp_path / "my.objects"), *layer_data))
    names = {path.name for path in tmp_path.iterdir()}
    endings = {".tif", ".ome.zarr", ".geojson", ".zip"}
    assert names == {f"my.objects{ending}" for ending in endings}
    with pytest.raises(FileError, match=r"my\.objects\.tif: exists already"):
        write_tiff(str(tmp_path / "my.objects"), *layer_data)


def test_labels_of_the_command_open_as_labels(tmp_path):
    from ..test_cli import QUICK, call

    image = tmp_path / "a.tif"
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40), np.uint8)
    tifffile.imwrite(image, pixels, photometric="minisblack")
    for name in ("o.tif", "o.ome.zarr"):
        result = call("segment", image, "-o", tmp_path / name, "--pixel-size", 0.5, *QUICK)
        assert result.exit_code == 0, result.output
        layer = opened(tmp_path / name)
        assert isinstance(layer, Labels)
        assert layer.scale.tolist() == [0.5, 0.5]
        assert [str(unit) for unit in layer.units] == ["micrometer"] * 2
        assert layer.axis_labels == ("y", "x")


def test_labels_that_are_too_large_to_be_loaded_open_as_a_pyramid(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_unsupseg.io.label_store.TOP_LEVEL", 10)
    labels = np.kron(RING, np.ones((8, 8), np.uint16))
    save_labels_layer(tmp_path / "a.zarr", Labels(labels, features=FEATURES, **UM))
    monkeypatch.setattr("napari_unsupseg.image.tiling.LOADED_VALUES", 100)
    layer = opened(tmp_path / "a.zarr")
    assert layer.multiscale
    assert [level.shape for level in layer.data] == [(40, 40), (20, 20), (10, 10)]
    np.testing.assert_array_equal(layer.data[0], labels)
    assert layer.scale.tolist() == [0.25, 0.5]
    with pytest.raises(ImageError, match="too large to be saved from here"):
        save_labels_layer(tmp_path / "b.tif", layer)


@pytest.mark.parametrize(
    ("name", "labels", "error", "sentence"),
    [
        pytest.param("a.png", RING, FileError, "is no kind of file that labels", id="ending"),
        pytest.param("file/a.tif", RING, FileError, "cannot be written", id="in a file"),
        pytest.param("folder.tif", RING, FileError, "is a folder", id="a folder"),
        pytest.param("image.zarr", RING, FileError, "holds no labels", id="another store"),
        pytest.param("a.geojson", RING * 0, ImageError, "has no labels", id="GeoJSON of nothing"),
        pytest.param("a.zip", RING * 0, ImageError, "has no labels", id="ROIs of nothing"),
        pytest.param("a.tif", RING.astype(int) - 1, ImageError, "has label -1", id="below 0"),
        pytest.param("a.tif", RING.astype(int) << 33, ImageError, "has label 25769", id="large"),
        pytest.param("a.tif", RING[None, None, None, None], ImageError, "6 axes", id="6 axes"),
    ],
)
def test_what_cannot_be_saved_is_said(tmp_path, name, labels, error, sentence):
    (tmp_path / "file").touch()
    (tmp_path / "folder.tif").mkdir()
    zarr.save_array(tmp_path / "image.zarr", RING)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=sentence):
        save_labels_layer(tmp_path / name, Labels(labels))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("ending", [".tif", ".zarr"])
def test_saved_labels_may_be_saved_again(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    for labels in (RING, RING[::-1]):
        save_labels_layer(path, Labels(labels, features=FEATURES))
    np.testing.assert_array_equal(opened(path).data, RING[::-1])


@pytest.mark.parametrize("name", ["grey.tif", "ome_zarr_py_05.ome.zarr"])
def test_images_are_not_taken_for_labels(name):
    from napari_unsupseg.plugin.saved_labels import read_labels_layer

    assert read_labels_layer(Path(__file__).parents[1] / "data" / name) is None
