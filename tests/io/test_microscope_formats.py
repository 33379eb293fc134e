"""Formats of microscopes' makers; bioio is not installed here, and a stand-in takes its place."""

import sys
import types
from typing import NamedTuple

import dask.array as da
import numpy as np
import pytest

from napari_unsupseg.errors import FileError
from napari_unsupseg.io.pixel_size import PixelSize
from napari_unsupseg.io.readers import list_files, open_image


class Sizes(NamedTuple):
    Z: float | None
    Y: float | None
    X: float | None


class UnsupportedFileFormatError(Exception):
    pass


class BioImage:
    """What of bioio's class is used; its scenes are of several shapes."""

    SHAPES = ((1, 2, 1, 20, 30), (3, 1, 5, 20, 30))
    SIZES = (Sizes(None, 0.5, 0.25), Sizes(2.0, 0.5, 0.25))
    scenes = ("first", "second")

    def __init__(self, path):
        if path.suffix == ".lif":
            raise UnsupportedFileFormatError
        if path.suffix == ".dv":
            raise ValueError("bad magic number")
        self.set_scene(0)

    def set_scene(self, index):
        self.shape, self.physical_pixel_sizes = self.SHAPES[index], self.SIZES[index]
        self.dims = types.SimpleNamespace(order="TCZYX")
        self.dask_data = da.arange(np.prod(self.shape)).reshape(self.shape)


@pytest.fixture
def bioio(monkeypatch):
    monkeypatch.setitem(sys.modules, "bioio", types.SimpleNamespace(BioImage=BioImage))


@pytest.mark.parametrize(
    ("series", "axes", "shape", "pixel_size"),
    [
        pytest.param(0, "cyx", (2, 20, 30), PixelSize(0.5, 0.25, "um"), id="first scene"),
        pytest.param(1, "tzyx", (3, 5, 20, 30), PixelSize(0.5, 0.25, "um", 2.0), id="second"),
    ],
)
def test_a_scene_comes_with_its_axes_and_pixel_size(
    tmp_path, bioio, series, axes, shape, pixel_size
):
    (tmp_path / "a.CZI").touch()
    with open_image(tmp_path / "a.CZI", series=series) as source:
        assert (source.axes, source.values.shape, source.pixel_size) == (axes, shape, pixel_size)
        np.testing.assert_array_equal(source.values.ravel(), np.arange(np.prod(shape)))


def test_of_several_scenes_the_first_is_taken_with_a_warning(tmp_path, bioio):
    (tmp_path / "a.czi").touch()
    sentence = r"a\.czi: holds 2 images; 0, the first, is taken: choose another with --series$"
    with pytest.warns(UserWarning, match=sentence), open_image(tmp_path / "a.czi") as source:
        pass
    assert source.values.shape == (2, 20, 30)


@pytest.mark.parametrize(
    ("name", "series", "sentence"),
    [
        pytest.param("a.lif", None, "is not installed, .*: pip install bioio-lif", id="lif"),
        pytest.param("a.dv", None, "of another kind .bad magic number.$", id="damaged"),
        pytest.param("a.nd2", 2, "has no image 2; it has 2, counted from 0", id="no such scene"),
    ],
)
def test_what_cannot_be_opened_is_told_in_one_sentence(tmp_path, bioio, name, series, sentence):
    (tmp_path / name).touch()
    with (
        pytest.raises(FileError, match=f"{name}: .*{sentence}"),
        open_image(tmp_path / name, series=series),
    ):
        pass


def test_without_bioio_its_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bioio", None)
    (tmp_path / "a.czi").touch()
    with (
        pytest.raises(FileError, match="not installed: pip install bioio bioio-czi"),
        open_image(tmp_path / "a.czi"),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "folder"), [("a.oif", "a.oif.files"), ("a.vsi", "_a_")], ids=["OIF", "VSI"]
)
def test_the_folder_beside_a_file_belongs_to_it(tmp_path, name, folder):
    (tmp_path / folder).mkdir()
    assert list_files(tmp_path / name) == [tmp_path / name, tmp_path / folder]
