"""Files as other programs write them; `tests/make_data.py` makes them."""

import re
import warnings
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import skimage.color

from napari_unsupseg.errors import FileError
from napari_unsupseg.io.pixel_size import PixelSize
from napari_unsupseg.io.readers import open_image

DATA = Path(__file__).parents[1] / "data"

rows, columns = np.mgrid[:24, :32]
DISC = (rows - 11) ** 2 + (columns - 13) ** 2 < 49
GREY = np.where(DISC, 200, 40).astype(np.uint8)
RGB = np.stack([GREY, np.where(DISC, 60, 120), np.where(DISC, 30, 220)], -1).astype(np.uint8)
NEAR_INFRARED = np.where(DISC, 10, 250).astype(np.uint8)
TWO = np.stack([GREY, NEAR_INFRARED])
LEFT_OUT = "alpha channel, which is left out$"
TRANSPARENT = {  # at the left edge
    "grey_alpha.png", "rgba.png", "grey_alpha.tif", "rgba.tif", "transparent.gif"
}  # fmt: skip
RGB16 = RGB.astype(np.uint16) * 257 + 3
MOVIE = np.stack([np.roll(RGB, 3 * i, axis=1) for i in range(3)])
TURNED = r"is to be turned or mirrored when it is shown \(orientation 6\)"


def opened(name: str, **options):
    """Open a file; return what is in it, and the warnings that it gave."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with open_image(DATA / name, **options) as source:
            values = np.asarray(source.values)
    return source._replace(values=values), [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    ("name", "axes", "expected", "warning"),
    [
        pytest.param("grey.png", "yx", GREY, None, id="grey PNG"),
        pytest.param("grey16.png", "yx", GREY.astype(np.uint16) * 200, None, id="PNG of 16 bits"),
        pytest.param("one_bit.png", "yx", DISC.astype(np.uint8) * 255, None, id="PNG of 1 bit"),
        pytest.param("grey_alpha.png", "yx", GREY, LEFT_OUT, id="grey PNG with alpha"),
        pytest.param("rgb.png", "yxs", RGB, None, id="RGB PNG"),
        pytest.param("rgba.png", "yxs", RGB, LEFT_OUT, id="RGBA PNG"),
        pytest.param("opaque.png", "yxs", RGB, LEFT_OUT, id="RGBA PNG, opaque"),
        pytest.param("palette.png", "yxs", RGB, None, id="PNG with a palette"),
        pytest.param("movie.gif", "tyxs", MOVIE, None, id="GIF"),
        pytest.param("movie.png", "tyxs", MOVIE, None, id="animated PNG"),
        pytest.param("movie.webp", "tyxs", MOVIE, LEFT_OUT, id="animated WebP"),
        pytest.param("still.gif", "yxs", RGB, None, id="GIF of one frame"),
        pytest.param("transparent.gif", "yxs", RGB, LEFT_OUT, id="transparent GIF"),
        pytest.param("rgb.jp2", "yxs", RGB, None, id="JPEG 2000"),
        pytest.param("rgb16.jp2", "yxs", RGB16, None, id="JPEG 2000 of 16 bits"),
        pytest.param("rgb16.ppm", "yxs", RGB16, None, id="PPM of 16 bits"),
        pytest.param("grey12.pgm", "yx", GREY.astype(np.uint16) * 16, None, id="PGM of 12 bits"),
        pytest.param("letters.pgm", "yx", GREY, None, id="PGM in letters"),
        pytest.param("turned.png", "yxs", RGB, TURNED, id="turned PNG"),
        pytest.param("turned.tif", "yxs", RGB, TURNED, id="turned TIFF"),
        pytest.param("stack.npy", None, np.stack([GREY] * 4), None, id="array of NumPy"),
        pytest.param("one.npz", None, GREY, None, id="the only array of an archive"),
        pytest.param("grey.tif", "yx", 255 - GREY, None, id="grey TIFF"),
        pytest.param("grey_alpha.tif", "yx", GREY, LEFT_OUT, id="grey TIFF with alpha"),
        pytest.param("palette.tif", "yxs", RGB, None, id="TIFF with a palette"),
        pytest.param("rgba.tif", "yxs", RGB, LEFT_OUT, id="RGBA TIFF"),
        pytest.param(
            "near_infrared.tif", "yxc", np.dstack([RGB, NEAR_INFRARED]), None, id="near infrared"
        ),
        pytest.param(
            "five_bands.tif", "yxc", np.dstack([RGB, NEAR_INFRARED, GREY]), None, id="five bands"
        ),
        pytest.param("rgb_planar.tif", "syx", np.moveaxis(RGB, -1, 0), None, id="planar RGB"),
        pytest.param("cmyk.tif", "yxs", RGB, "is CMYK, and is converted to RGB", id="CMYK TIFF"),
        pytest.param("white_is_zero.tif", "yx", 255 - GREY, None, id="white is 0"),
        pytest.param("imagej.tif", "zyx", np.stack([GREY] * 4), None, id="ImageJ"),
        pytest.param(
            "ome_zarr_py_04.ome.zarr",
            "cyx",
            np.stack([GREY, NEAR_INFRARED]),
            None,
            id="OME-Zarr 0.4",
        ),
        pytest.param(
            "ome_zarr_py_05.ome.zarr",
            "cyx",
            np.stack([GREY, NEAR_INFRARED]),
            None,
            id="OME-Zarr 0.5",
        ),
        pytest.param("bioio_04.ome.zarr", "tczyx", GREY[None, None, None], None, id="bioio, 0.4"),
        pytest.param("bioio_05.ome.zarr", "tczyx", GREY[None, None, None], None, id="bioio, 0.5"),
    ],
)
def test_pixels_are_what_the_file_says(name, axes, expected, warning):
    source, warned = opened(name)
    assert source.axes == axes
    np.testing.assert_array_equal(source.values, expected)
    assert source.values.dtype == expected.dtype
    if warning is None:
        assert warned == []
    else:
        [message] = warned
        assert message.startswith(str(DATA / name))
        assert re.search(warning, message)
    if name in TRANSPARENT:
        np.testing.assert_array_equal(source.mask, columns >= 4)
    else:
        assert source.mask is None


@pytest.mark.parametrize(
    ("name", "converted"),
    [
        pytest.param("rgb.jpg", None, id="JPEG"),
        pytest.param("cmyk.jpg", "CMYK", id="CMYK JPEG"),
        pytest.param("ycbcr.tif", None, id="JPEG in TIFF"),
        pytest.param("ycbcr_jpeg.tif", None, id="YCbCr as JPEG in TIFF"),
        pytest.param("ycbcr_raw.tif", None, id="YCbCr"),
        pytest.param("lab.tif", "CIELab", id="Lab"),
    ],
)
def test_colours_are_nearly_those_that_were_written(name, converted):
    source, warned = opened(name)
    assert source.axes == "yxs"
    apart = skimage.color.deltaE_ciede2000(*map(skimage.color.rgb2lab, (source.values, RGB)))
    assert np.percentile(apart, 85) < 4
    sentence = f"{DATA / name}: is {converted}, and is converted to RGB"
    assert warned == ([sentence] if converted else [])


def test_of_several_pictures_the_first_is_taken():
    source, [message] = opened("three.mpo")
    assert source.values.shape == RGB.shape
    assert message.startswith(f"{DATA / 'three.mpo'}: holds 3 images, of which the first is taken")


@pytest.mark.parametrize("name", ["rgb.png", "rgb.jpg", "movie.gif"])
def test_a_picture_may_be_large(name, monkeypatch):
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 100)
    source, warned = opened(name)
    assert source.values.shape[-3:] == RGB.shape
    assert warned == []
    assert PIL.Image.MAX_IMAGE_PIXELS == 100


def test_several_arrays_are_named():
    with pytest.raises(FileError, match=r"two\.npz: holds 2 arrays \(image, mask\)"):
        opened("two.npz")


def test_a_jpeg_without_an_ending_and_one_that_is_turned():
    np.testing.assert_array_equal(opened("no_ending")[0].values, opened("grey.jpg")[0].values)
    assert re.search(TURNED, opened("turned.jpg")[1][0])


@pytest.mark.parametrize("name", ["rgba.png", "near_infrared.tif", "cmyk.tif"])
def test_samples_stay_as_they_are_stored_for_those_who_say_what_they_are(name):
    source, warned = opened(name, as_stored=True)
    assert source.values.shape == (24, 32, 4)
    assert source.mask is None
    assert warned == []


@pytest.mark.parametrize(
    ("name", "series", "shape", "warning"),
    [
        pytest.param("thumbnail_first.tif", None, (24, 32), r"1 \(24 × 32\) is taken", id="thumb"),
        pytest.param("appended.tif", None, (24, 32, 3), r"not 0 \(24 × 32\)", id="appended"),
        pytest.param("positions.ome.tif", None, (24, 32), r"not 0 \(12 × 32\)", id="positions"),
        pytest.param("positions.ome.tif", 0, (12, 32), None, id="the one asked for"),
    ],
)
def test_of_several_images_the_largest_is_taken_and_the_others_are_named(
    name, series, shape, warning
):
    source, warned = opened(name, series=series)
    assert source.values.shape == shape
    if warning is None:
        assert warned == []
    else:
        [message] = warned
        assert re.search(warning, message)
        assert message.endswith("choose another with --series")


@pytest.mark.parametrize(
    ("name", "n_series"),
    [("positions.ome.tif", 2), ("rgb.png", 1), ("cmyk.jpg", 1), ("bioio_04.ome.zarr", 1)],
)
def test_an_image_that_a_file_does_not_hold_is_refused(name, n_series):
    with pytest.raises(FileError, match=f"has no image 5; it has {n_series}, counted from 0"):
        opened(name, series=5)


def test_of_a_file_that_is_not_there_no_image_is_counted():
    with pytest.raises(FileError, match=r"none\.tif: no such file"):
        opened("none.tif", series=5)


@pytest.mark.parametrize(
    "name",
    [
        "rgba.tif", "grey_alpha.tif", "cmyk.tif", "palette.tif", "rgb_planar.tif", "five_bands.tif",
        "ycbcr_raw.tif", "lab.tif",
    ],
)  # fmt: skip
def test_pixels_of_a_file_too_large_to_be_loaded_are_the_same(name, monkeypatch):
    loaded, _ = opened(name)
    monkeypatch.setattr("napari_unsupseg.image.tiling.LOADED_VALUES", 100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with open_image(DATA / name) as source:
            assert source.axes == loaded.axes
            assert source.values.shape == loaded.values.shape
            np.testing.assert_array_equal(source.values.compute(), loaded.values)


def test_of_alpha_and_colours_that_can_be_loaded_without_it_pixels_are_masked(monkeypatch):
    monkeypatch.setattr("napari_unsupseg.image.tiling.LOADED_VALUES", 3 * 24 * 32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with open_image(DATA / "rgba.tif") as source:
            mask, values = source.mask, source.values
    assert isinstance(values, np.ndarray)
    np.testing.assert_array_equal(mask, columns >= 4)


def test_a_file_that_is_no_image_is_named_without_words_and_warnings_of_libraries():
    sentence = "of another kind; TIFF, OME-Zarr, PNG, JPEG and NumPy's .npy can be read$"
    with pytest.raises(FileError, match=sentence), open_image(DATA / "README.md"):
        pass


def test_a_stack_of_imagej_that_is_cut_short_is_refused():
    with pytest.raises(FileError, match="the file ends at byte"):
        opened("imagej_cut_short.tif")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("imagej.tif", PixelSize(0.25, 0.25, "um", 2.0), id="ImageJ"),
        pytest.param("imagej_negative.tif", PixelSize(0.25, 0.25, "um", 2.0), id="downwards"),
        pytest.param("positions.ome.tif", PixelSize(0.5, 0.5, "um"), id="OME-TIFF"),
        pytest.param("ome_zarr_py_04.ome.zarr", PixelSize(0.5, 0.25, "um"), id="OME-Zarr 0.4"),
        pytest.param("ome_zarr_py_05.ome.zarr", PixelSize(0.5, 0.25, "um"), id="OME-Zarr 0.5"),
        pytest.param("bioio_04.ome.zarr", PixelSize(0.5, 0.25, "um", 2.0), id="bioio, 0.4"),
        pytest.param("bioio_05.ome.zarr", PixelSize(0.5, 0.25, "um", 2.0), id="bioio, 0.5"),
        pytest.param("rgb.png", None, id="PNG"),
    ],
)
def test_how_large_a_pixel_is(name, expected):
    assert opened(name)[0].pixel_size == expected
