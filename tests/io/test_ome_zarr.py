import json
from pathlib import Path

import numpy as np
import pytest
import zarr
from yaozarrs import DimSpec, v05
from yaozarrs.write.v05 import write_image

from napari_unsupseg.errors import FileError
from napari_unsupseg.io.ome_zarr import open_zarr
from napari_unsupseg.io.pixel_size import PixelSize

WINDOW = {"min": 0, "max": 255, "start": 0, "end": 255}
CHANNELS = [{"color": colour, "window": WINDOW} for colour in ("FF0000", "00FF00", "0000FF")]
RGB = {"omero": {"channels": CHANNELS}}


def write_ome(
    path: Path,
    image: np.ndarray,
    axes: str = "yx",
    unit: str | dict[str, str | None] = "micrometer",
    translation: tuple[float, ...] | None = None,
    **metadata: object,
) -> Path:
    """Write an image as OME-Zarr with pixels of 0.5 × 0.5 and two levels."""
    units = unit if isinstance(unit, dict) else dict.fromkeys("zyx", unit)
    starts = translation or [None] * len(axes)
    dims = [
        DimSpec(name=axis, scale=0.5, unit=units.get(axis), translation=start)
        if axis in "zyx"
        else DimSpec(name=axis)
        for axis, start in zip(axes, starts, strict=True)
    ]
    multiscale = v05.Multiscale.from_dims(dims, n_levels=2)
    half = image[..., ::2, ::2] if "z" not in axes else image[..., ::2, ::2, ::2]
    write_image(path, v05.Image(multiscales=[multiscale], **metadata), [image, half])
    return path


@pytest.mark.parametrize(
    ("shape", "axes", "metadata", "expected"),
    [
        pytest.param((1, 1, 1, 9, 8), "tczyx", {}, ("tczyx", (1, 1, 1, 9, 8)), id="of length 1"),
        pytest.param((2, 6, 20, 30), "czyx", {}, ("czyx", (2, 6, 20, 30)), id="channels, stack"),
        pytest.param((5, 20, 30), "tyx", {}, ("tyx", (5, 20, 30)), id="movie"),
        pytest.param((3, 20, 30), "cyx", {}, ("cyx", (3, 20, 30)), id="three channels"),
        pytest.param((3, 20, 30), "cyx", RGB, ("syx", (3, 20, 30)), id="colours"),
    ],
)
def test_the_finest_level_and_its_axes(tmp_path, shape, axes, metadata, expected):
    image = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    path = write_ome(tmp_path / "i.zarr", image, axes, **metadata)
    values, letters, pixel_size = open_zarr(path)
    assert (letters, values.shape) == expected
    np.testing.assert_array_equal(values, image.reshape(expected[1]))
    assert pixel_size == PixelSize(0.5, 0.5, "um", 0.5 if "z" in axes else None)


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        pytest.param({"y": "nanometer", "x": "nanometer"}, PixelSize(0.5, 0.5, "nm"), id="nm"),
        pytest.param({"y": "angstrom", "x": "angstrom"}, PixelSize(0.5, 0.5, "angstrom"), id="Å"),
        pytest.param({"y": "inch", "x": "inch"}, PixelSize(0.5, 0.5, "in"), id="inch"),
        pytest.param(
            {"z": "millimeter", "y": "micrometer", "x": "nanometer"},
            PixelSize(0.5, 0.0005, "um", 500, (0, 20, 0.016)),
            id="mixed",
        ),
        pytest.param(
            {"z": None, "y": None, "x": None},
            PixelSize(0.5, 0.5, "pixel", 0.5, (0, 20, 16)),
            id="none",
        ),
    ],
)
def test_how_large_a_pixel_is(tmp_path, units, expected):
    image = np.zeros((4, 20, 30)[-len(units) :], np.uint8)
    starts = (0, 20, 16) if "z" in units else None
    path = write_ome(tmp_path / "i.zarr", image, "".join(units), units, starts)
    assert open_zarr(path)[2] == expected


@pytest.mark.parametrize(
    ("units", "said"),
    [
        pytest.param({"y": "parsec", "x": "parsec"}, "in parsec,", id="unknown"),
        pytest.param({"y": "micrometer", "x": None}, "in micrometer and no unit", id="half"),
    ],
)
def test_units_that_are_not_known_are_told(tmp_path, units, said):
    path = write_ome(tmp_path / "i.zarr", np.zeros((20, 30), np.uint8), unit=units)
    with pytest.warns(UserWarning, match=rf"i\.zarr: gives the size of its pixels {said}"):
        pixel_size = open_zarr(path)[2]
    assert pixel_size == PixelSize(0.5, 0.5, "pixel")


@pytest.mark.parametrize(
    ("scale", "unit", "expected"),
    [
        pytest.param(3, "minute", 180, id="minutes"),
        pytest.param(1, "second", 1, id="a second"),
        pytest.param(1, None, None, id="nothing"),
    ],
)
def test_how_much_time_lies_between_time_points(tmp_path, scale, unit, expected):
    dims = [DimSpec(name="t", scale=scale, unit=unit), DimSpec(name="y"), DimSpec(name="x")]
    image = v05.Image(multiscales=[v05.Multiscale.from_dims(dims, n_levels=1)])
    write_image(tmp_path / "i.zarr", image, [np.zeros((4, 20, 30), np.uint8)])
    pixel_size = open_zarr(tmp_path / "i.zarr")[2]
    assert pixel_size == (expected and PixelSize(1, 1, "pixel", interval=expected))


def test_a_time_without_a_known_unit_is_told(tmp_path):
    dims = [DimSpec(name="t", scale=3), DimSpec(name="y"), DimSpec(name="x")]
    image = v05.Image(multiscales=[v05.Multiscale.from_dims(dims, n_levels=1)])
    write_image(tmp_path / "i.zarr", image, [np.zeros((4, 20, 30), np.uint8)])
    with pytest.warns(UserWarning, match=r"i\.zarr: gives the time .* as 3 of no unit"):
        assert open_zarr(tmp_path / "i.zarr")[2] is None


def test_pixels_of_size_1_without_a_unit_say_nothing(tmp_path):
    path = write_ome(tmp_path / "i.zarr", np.zeros((20, 30), np.uint8), unit={})
    text = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text(text.replace("0.5,", "1,").replace("0.5\n", "1\n"))
    assert open_zarr(path)[2] is None


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(None, None, id="no names"),
        pytest.param(("Z", "Y", "X"), "zyx", id="letters"),
        pytest.param(("depth", "row", "column"), None, id="words"),
    ],
)
def test_a_plain_array_has_the_axes_that_it_names(tmp_path, names, expected):
    stack = np.random.default_rng(0).integers(0, 255, (4, 20, 30), np.uint8)
    zarr.create_array(tmp_path / "a.zarr", data=stack, dimension_names=names)
    values, axes, pixel_size = open_zarr(tmp_path / "a.zarr")
    np.testing.assert_array_equal(values, stack)
    assert (axes, pixel_size) == (expected, None)


def test_what_is_no_image_is_named(tmp_path):
    plate, folder = tmp_path / "plate.zarr", tmp_path / "folder.zarr"
    zarr.open_group(plate).create_group("A")
    nested = write_ome(tmp_path / "nested.zarr" / "0", np.zeros((20, 30), np.uint8))
    folder.mkdir()
    cases = {
        tmp_path / "none.zarr": "no such file",
        plate: "holds no image itself",
        nested.parent: "is no zarr store",
        folder: "is no zarr store",
    }
    for path, problem in cases.items():
        with pytest.raises(FileError) as caught:
            open_zarr(path)
        assert str(caught.value).startswith(f"{path}: {problem}")
        assert "\n" not in str(caught.value)
    assert open_zarr(nested)[1] == "yx"


@pytest.mark.parametrize("place", ["0", "A/1/0", "image"])
def test_where_a_store_has_its_first_image_is_told(tmp_path, place):
    store = tmp_path / "i.zarr"
    if place == "image":
        zarr.open_group(store)
        zarr.create_array(store / place, data=np.zeros((20, 30), np.uint8))
    else:
        write_ome(store / place, np.zeros((20, 30), np.uint8))
        for folder in (store, *(store / place).parents):
            if folder.is_relative_to(store):
                zarr.open_group(folder).attrs["layout"] = 3
    with pytest.raises(FileError, match=f"; name one of its images, such as {place}$"):
        open_zarr(store)
    assert open_zarr(store / place)[0].shape == (20, 30)


def test_transformations_of_the_level_come_before_those_of_the_pyramid(tmp_path, grey):
    path = write_ome(tmp_path / "i.zarr", grey, "yx")
    attributes = json.loads((path / "zarr.json").read_text())
    [multiscale] = attributes["attributes"]["ome"]["multiscales"]
    multiscale["datasets"][0]["coordinateTransformations"] = [
        {"type": "scale", "scale": [0.25, 0.5]},
        {"type": "translation", "translation": [10, 20]},
    ]
    multiscale["coordinateTransformations"] = [
        {"type": "scale", "scale": [4, 2]},
        {"type": "translation", "translation": [7, 0]},
    ]
    (path / "zarr.json").write_text(json.dumps(attributes))
    assert open_zarr(path)[2] == PixelSize(1, 1, "um", None, (0, 47, 40))
