"""Whatever is given in place of an image or an option gets labels, or one sentence before the work.

`test_fuzz.py` looks for more of the kind.
"""

import re

import dask.array as da
import numpy as np
import pytest
import torch

from napari_unsupseg import Segmenter, Settings, segment
from napari_unsupseg.errors import ImageError, SettingError, StrokesError, UnsupsegError

from .conftest import SMALL, threads_of_torch

UNEVEN = [[1, 2], [3]]


def refuse(error: type[UnsupsegError], sentence: str, image: object, **options: object) -> None:
    """Assert that an image is refused with a sentence that has these words."""
    with pytest.raises(error, match=re.escape(sentence)) as caught:
        segment(image, **SMALL | options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("axes", [3, 2.5, ("y", "x"), b"yx", np.array("yx")], ids=repr)
def test_axes_that_are_no_text(grey, axes):
    refuse(ImageError, "axes must be a text or None", grey, axes=axes)


@pytest.mark.parametrize(
    "spacing",
    [2, "11", "ab", (None, 1), (1,), ((1, 2), (1, 2)), UNEVEN, {1, 2}, (np.nan, 1), (0, 1)],
    ids=repr,
)
def test_spacing_that_is_no_numbers(grey, spacing):
    refuse(ImageError, "spacing must be 2 numbers above 0", grey, spacing=spacing)


@pytest.mark.parametrize("spacing", [(1e300, 1, 1), (1e-300, 1, 1), (1, 1, 1001)], ids=repr)
def test_spacing_that_no_microscope_has(spacing):
    volume = np.random.default_rng(0).random((4, 8, 9))
    options = {"axes": "zyx", "spatial_ndim": 3, "spacing": spacing}
    refuse(ImageError, "has axes more than 1,000 times as far apart", volume, **options)


@pytest.mark.parametrize("unit", [0.125, 1e-300, 1e300], ids=repr)
def test_spacing_is_in_any_unit(unit):
    volume = np.random.default_rng(0).random((6, 12, 13))
    options = {"axes": "zyx", "spatial_ndim": 3, **SMALL}
    expected = segment(volume, spacing=(3, 1, 1), **options)
    labels = segment(volume, spacing=(3 * unit, unit, unit), **options)
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("spatial_ndim", ["2", 2.0, None, True, [2], 4], ids=repr)
def test_spatial_ndim_that_is_no_2_or_3(grey, spatial_ndim, joint):
    options = {"spatial_ndim": spatial_ndim, "joint": joint}
    refuse(ImageError, "spatial_ndim must be 2 or 3, got", grey, **options)


@pytest.mark.parametrize(
    ("joint", "error"), [(True, StrokesError), (False, ImageError)], ids=["joint", "separate"]
)
def test_rows_of_different_lengths(grey, joint, error):
    sentence = "must be an array of the image's shape, and its rows have different lengths"
    refuse(ImageError, f"mask {sentence}", grey, mask=UNEVEN, joint=joint)
    refuse(error, f"strokes {sentence}", grey, strokes=UNEVEN, joint=joint)


def test_what_is_masked_in_strokes_is_not_drawn(grey):
    drawn = np.zeros(grey.shape, np.uint8)
    drawn[10:20, 10:20], drawn[40:50, 40:50] = 1, 2
    masked = np.ma.masked_equal(drawn, 2)
    expected = segment(grey, strokes=np.where(drawn == 1, 1, 0), **SMALL)
    np.testing.assert_array_equal(segment(grey, strokes=masked, **SMALL), expected)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param({"joint": "no"}, "joint must be True or False, got 'no'", id="joint"),
        pytest.param({"preset": ["standard"]}, "preset must be one of", id="preset"),
        pytest.param({"granularity": True}, "granularity must be a number", id="granularity"),
        pytest.param({"settle": 10**400}, "settle must be a number from 0.0 to 1.0", id="settle"),
    ],
)
def test_options_of_another_type(grey, options, sentence):
    refuse(SettingError, sentence, grey, **options)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        pytest.param([[1e308, -1e308]] * 2, "from -1e+308 to 1e+308, farther apart", id="range"),
        pytest.param(
            np.array([["1e4000", "0"]] * 2).astype(np.longdouble),
            "image has 2 infinite values",
            id="beyond float64",
            marks=pytest.mark.skipif(
                np.dtype(np.longdouble).itemsize <= 8, reason="no longer floats here"
            ),
        ),
    ],
)
def test_values_that_floats_do_not_hold(image, sentence):
    refuse(ImageError, sentence, image)


def test_a_dask_array_of_unknown_size():
    lazy = da.from_array(np.random.default_rng(0).random((40, 12)), chunks=10)
    refuse(ImageError, "call compute_chunk_sizes() on it", lazy[lazy[:, 0] > 0.2])


def test_a_segmenter_of_no_settings(grey):
    with pytest.raises(SettingError, match="settings must be made by Settings"):
        Segmenter({"iterations": 3})
    with pytest.raises(SettingError, match="warm_start must be True or False, got 'no'"):
        Segmenter().fit(grey, warm_start="no")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_labels_do_not_depend_on_what_a_caller_has_set_in_torch(grey, dtype):
    """Its default data type, inference mode and the number of threads."""
    strokes = np.zeros(grey.shape, np.uint8)
    strokes[5:9, 5:9], strokes[40:44, 40:44] = 1, 2
    options = SMALL | {"balance": 0.5, "continuity": 1.0, "strokes": strokes}

    def all_labels() -> list[np.ndarray]:
        segmenter = Segmenter(Settings(**SMALL)).fit(grey)
        return [segment(grey, **options), segmenter.labels_, segmenter.predict(grey[::-1])]

    expected = all_labels()
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.inference_mode(), threads_of_torch(3):
            found = all_labels()
            assert torch.get_num_threads() == 3
    finally:
        torch.set_default_dtype(before)
    for labels, same in zip(found, expected, strict=True):
        np.testing.assert_array_equal(labels, same)
