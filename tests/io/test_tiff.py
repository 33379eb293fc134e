from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_unsupseg.io.pixel_size import PixelSize
from napari_unsupseg.io.readers import open_image
from napari_unsupseg.io.tiff import read_tiff_record, write_tiff_labels

LABELS = np.arange(1, 201, dtype=np.uint8).reshape(10, 20)
RECORD = {"version": "0", "settings": {"seed": 3}}


@pytest.mark.parametrize(
    ("shape", "options", "expected"),
    [
        pytest.param((8, 9), {}, "yx", id="plane"),
        pytest.param((8, 9, 3), {"photometric": "rgb"}, "yxs", id="RGB"),
        pytest.param((4, 8, 9), {"photometric": "minisblack"}, None, id="a stack of what?"),
        pytest.param((4, 8, 9), {"imagej": True, "metadata": {"axes": "TYX"}}, "tyx", id="ImageJ"),
        pytest.param((4, 8, 9), {"ome": True, "metadata": {"axes": "CYX"}}, "cyx", id="OME"),
    ],
)
def test_what_the_axes_are(tmp_path, shape, options, expected):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(shape, np.uint8), **options)
    with open_image(tmp_path / "a.tif") as source:
        assert source.axes == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"resolution": (72, 72), "resolutionunit": 2}, None, id="dots an inch"),
        pytest.param({"resolution": (1200, 1200), "resolutionunit": 2}, None, id="fine print"),
        pytest.param(
            {"resolution": (40_000, 20_000), "resolutionunit": 3},
            PixelSize(0.5, 0.25, "um"),
            id="a microscope's, in centimetres",
        ),
        pytest.param(
            {"resolution": (50_800, 50_800), "resolutionunit": 2},
            PixelSize(0.5, 0.5, "um"),
            id="a microscope's, in inches",
        ),
        pytest.param({"resolution": (40_000, 20_000), "resolutionunit": 1}, None, id="of no unit"),
        pytest.param(
            {"imagej": True, "resolution": (4, 2), "metadata": {"unit": "micron"}},
            PixelSize(0.5, 0.25, "um"),
            id="ImageJ",
        ),
        pytest.param(
            {"imagej": True, "resolution": (4, 2), "metadata": {"unit": "pixel"}},
            None,
            id="ImageJ, pixels",
        ),
        pytest.param(
            {
                "ome": True,
                "metadata": {
                    "PhysicalSizeX": 2, "PhysicalSizeXUnit": "nm",
                    "PhysicalSizeY": 3, "PhysicalSizeYUnit": "nm",
                },
            },
            PixelSize(3, 2, "nm"),
            id="OME",
        ),
        pytest.param(
            {"ome": True, "metadata": {"PhysicalSizeX": 2, "PhysicalSizeY": 3}},
            PixelSize(3, 2, "um"),
            id="OME's own unit",
        ),
        pytest.param({"ome": True, "metadata": {"PhysicalSizeX": 2}}, None, id="OME, one side"),
        pytest.param(
            {
                "ome": True,
                "metadata": {
                    "PhysicalSizeX": 2, "PhysicalSizeXUnit": "nm",
                    "PhysicalSizeY": 3, "PhysicalSizeYUnit": "mm",
                },
            },
            PixelSize(3, 2e-6, "mm"),
            id="OME, two units",
        ),
        pytest.param(
            {
                "ome": True,
                "metadata": {
                    "PhysicalSizeX": 2, "PhysicalSizeXUnit": "nm",
                    "PhysicalSizeY": 2, "PhysicalSizeYUnit": "nm",
                    "PhysicalSizeZ": 1, "PhysicalSizeZUnit": "µm",
                },
            },
            PixelSize(2, 2, "nm", 1000),
            id="OME, slices in another unit",
        ),
        pytest.param(
            {
                "ome": True,
                "metadata": {
                    "PhysicalSizeX": 2, "PhysicalSizeXUnit": "pixel",
                    "PhysicalSizeY": 3, "PhysicalSizeYUnit": "pixel",
                },
            },
            PixelSize(3, 2, "pixel"),
            id="OME, no unit",
        ),
        pytest.param(
            {
                "imagej": True, "resolution": (4, 2),
                "metadata": {"unit": "micrometer", "yunit": "nm"},
            },
            PixelSize(0.5, 250, "nm"),
            id="ImageJ, two units",
        ),
        pytest.param(
            {"imagej": True, "resolution": (4, 2), "metadata": {"unit": "um", "finterval": 3}},
            PixelSize(0.5, 0.25, "um", interval=3),
            id="ImageJ, time",
        ),
        pytest.param(
            {"ome": True, "metadata": {"TimeIncrement": 2, "TimeIncrementUnit": "min"}},
            PixelSize(1, 1, "pixel", interval=120),
            id="OME, time alone",
        ),
        pytest.param(
            {"imagej": True, "resolution": ((0, 1), (2, 1)), "metadata": {"unit": "micron"}},
            None,
            id="ImageJ, no pixel in a unit",
        ),
    ],
)  # fmt: skip
def test_how_large_a_pixel_is(tmp_path, options, expected):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 9), np.uint16), **options)
    with open_image(tmp_path / "a.tif") as source:
        assert source.pixel_size == expected


@pytest.mark.parametrize("limit", [2**25, 100], ids=["loaded", "lazy"])
def test_channels_of_colours_are_channels(tmp_path, monkeypatch, limit):
    monkeypatch.setattr("napari_unsupseg.image.tiling.LOADED_VALUES", limit)
    colours = np.random.default_rng(0).integers(0, 255, (4, 2, 8, 9, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.ome.tif", colours, photometric="rgb", metadata={"axes": "ZCYXS"})
    with open_image(tmp_path / "a.ome.tif") as source:
        assert source.axes == "zcyx"
        expected = np.moveaxis(colours, -1, 2).reshape(4, 6, 8, 9)
        np.testing.assert_array_equal(np.asarray(source.values), expected)


def pixel_size_of(path: Path) -> PixelSize | None:
    with open_image(path) as source:
        return source.pixel_size


def test_a_unit_that_is_not_known_is_told(tmp_path):
    metadata = {"unit": "furlong"}
    tifffile.imwrite(tmp_path / "a.tif", LABELS, imagej=True, resolution=(4, 2), metadata=metadata)
    with pytest.warns(UserWarning, match=r"a\.tif: .* in furlong, not in known units"):
        pixel_size = pixel_size_of(tmp_path / "a.tif")
    assert pixel_size == PixelSize(0.5, 0.25, "pixel")


@pytest.mark.parametrize(
    "pixel_size",
    [
        pytest.param(None, id="unknown"),
        pytest.param(PixelSize(0.5, 0.25, "um"), id="um"),
        pytest.param(PixelSize(2, 2, "angstrom"), id="angstrom"),
        pytest.param(PixelSize(30, 30, "nm", 100), id="with slices"),
        pytest.param(PixelSize(0.5, 0.25, "pixel"), id="no unit"),
        pytest.param(PixelSize(0.5, 0.25, "um", interval=30), id="time"),
    ],
)
def test_labels_carry_how_they_were_made_and_their_pixel_size(tmp_path, pixel_size):
    path = tmp_path / "labels.tif"
    volume = np.stack([LABELS, LABELS[::-1]])
    write_tiff_labels(path, volume, "zyx", RECORD, pixel_size)
    assert read_tiff_record(path) == RECORD
    with open_image(path) as source:
        assert (source.pixel_size, source.axes) == (pixel_size, "zyx")
    with tifffile.TiffFile(path) as tiff:
        np.testing.assert_array_equal(tiff.asarray(), volume)
        assert tiff.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE


def test_labels_carry_where_their_image_lies(tmp_path):
    pixel_size = PixelSize(0.5, 0.25, "um", 2, (7, -20, 30.5))
    write_tiff_labels(tmp_path / "o.tif", np.stack([LABELS] * 3), "zyx", RECORD, pixel_size)
    with tifffile.TiffFile(tmp_path / "o.tif") as tiff:
        planes = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]["Plane"]
    assert len(planes) == 3
    for plane in planes:
        assert [plane[f"Position{axis}"] for axis in "ZYX"] == [7, -20, 30.5]
        assert {plane[f"Position{axis}Unit"] for axis in "ZYX"} == {"µm"}


def test_the_same_labels_make_the_same_file(tmp_path):
    names = ("a.tif", "b.tif", "other.tif")
    for name, labels in zip(names, (LABELS, LABELS, LABELS[::-1]), strict=True):
        write_tiff_labels(tmp_path / name, labels, "yx", RECORD)
    one, two, other = ((tmp_path / name).read_bytes() for name in names)
    assert one == two != other


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(None, id="no file"),
        pytest.param({}, id="plain"),
        pytest.param({"ome": True}, id="OME"),
        pytest.param(
            {
                "ome": True,
                "metadata": {"CommentAnnotation": {"Namespace": "another", "Value": "{}"}},
            },
            id="another's annotation",
        ),
    ],
)
def test_a_record_is_found_only_in_labels(tmp_path, options):
    if options is not None:
        tifffile.imwrite(tmp_path / "a.tif", LABELS, **options)
    assert read_tiff_record(tmp_path / "a.tif") is None
