"""What napari is given of a file, without a window."""

import warnings
from pathlib import Path

import napari.layers
import numpy as np
import pytest
import yaml

import napari_unsupseg
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.plugin.contributions import IMAGE_SUFFIXES, get_reader

DATA = Path(__file__).parents[1] / "data"


def layer_of(path: Path) -> napari.layers.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        [(values, keywords, kind)] = get_reader(str(path))(str(path))
    assert kind == "image"
    return napari.layers.Image(values, **keywords)


@pytest.mark.parametrize("name", ["rgba.png", "grey_alpha.tif", "rgba.tif", "grey_alpha.png"])
def test_what_is_fully_transparent_in_a_file_is_so_in_its_layer(name):
    layer = layer_of(DATA / name)
    assert layer.rgb
    assert layer.data.dtype == np.uint8
    hidden = np.ma.getmaskarray(split_channels(layer.data, "yxs").values)
    np.testing.assert_array_equal(hidden, np.broadcast_to(np.arange(32) < 4, hidden.shape))


def test_opaque_files_have_no_alpha():
    assert layer_of(DATA / "opaque.png").data.shape == (24, 32, 3)
    assert layer_of(DATA / "grey.png").data.shape == (24, 32)


def test_napari_is_told_of_all_endings_that_are_read():
    manifest = Path(napari_unsupseg.__file__).with_name("napari.yaml").read_text()
    reader, *_ = yaml.safe_load(manifest)["contributions"]["readers"]
    assert reader["filename_patterns"] == [f"*{suffix}" for suffix in IMAGE_SUFFIXES]
