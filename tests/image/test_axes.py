import re

import pytest

from napari_unsupseg.errors import ImageError
from napari_unsupseg.image.axes import describe_axes, resolve_axes


@pytest.mark.parametrize(
    ("shape", "axes", "channel_axis", "expected"),
    [
        pytest.param((5, 6), None, None, "yx", id="grey"),
        pytest.param((5, 6, 3), None, None, "yxs", id="RGB"),
        pytest.param((5, 6, 4), None, None, "yxs", id="RGBA"),
        pytest.param((5, 6, 3), None, -1, "yxs", id="three channels last"),
        pytest.param((5, 6, 2), None, 2, "yxc", id="two channels last"),
        pytest.param((2, 5, 6), None, 0, "cyx", id="channels first"),
        pytest.param((2, 5, 3), None, 0, "cyx", id="channels first, three pixels wide"),
        pytest.param((4, 2, 5, 6), None, 1, "zcyx", id="stack of channels"),
        pytest.param((7, 4, 5, 6, 3), None, -1, "tzyxs", id="movie of RGB stacks"),
        pytest.param((4, 5, 6), "ZYX", None, "zyx", id="capitals"),
        pytest.param((4, 5, 6), "myx", None, "myx", id="mosaic"),
        pytest.param((5, 6, 3), "zyx", None, "zyx", id="three pixels wide"),
    ],
)
def test_axes(shape, axes, channel_axis, expected):
    assert resolve_axes(shape, axes, channel_axis) == expected


@pytest.mark.parametrize(
    ("shape", "axes", "channel_axis", "sentence"),
    [
        pytest.param((4, 5, 6), None, None, "with axes: zyx for a stack, tyx", id="ambiguous"),
        pytest.param((2, 4, 5, 6), None, None, "for example tzyx", id="four axes"),
        pytest.param((6,), None, None, "1 axis (6)", id="one axis"),
        pytest.param((4, 5, 6), "yx", None, "2 letters for the 3 axes of 4 × 5 × 6", id="few"),
        pytest.param((6,), "yx", None, "2 letters for the 1 axis of 6", id="one axis, named"),
        pytest.param((4, 5), "y", None, "1 letter for the 2 axes of 4 × 5", id="one letter"),
        pytest.param((4, 5, 6), "yyx", None, "a letter twice", id="twice"),
        pytest.param((4, 5, 6), "z-x", None, "something else than a letter", id="sign"),
        pytest.param((4, 5, 6), "xyz", None, "no y and x", id="order"),
        pytest.param((4, 5, 6), "yxz", None, "no y and x", id="planes last"),
        pytest.param((4, 5, 6, 3), "cyxs", None, "both c and s", id="two kinds of channels"),
        pytest.param((4, 5, 6), "zyx", 0, "give one of them", id="said twice"),
    ],
)
def test_axes_that_cannot_be(shape, axes, channel_axis, sentence):
    with pytest.raises(ImageError, match=re.escape(sentence)):
        resolve_axes(shape, axes, channel_axis)


@pytest.mark.parametrize(
    ("shape", "axes", "words"),
    [
        ((5, 6), "yx", "5 × 6 pixels"),
        ((5, 6, 3), "yxs", "RGB × 5 × 6 pixels"),
        ((1, 5, 6), "cyx", "1 channel × 5 × 6 pixels"),
        ((7, 4, 3, 5, 6), "tzcyx", "7 time points × 4 slices × 3 channels × 5 × 6 pixels"),
        ((9, 5, 6), "myx", "9 planes along m × 5 × 6 pixels"),
        ((1, 1, 1, 5, 6), "tzmyx", "1 time point × 1 slice × 1 plane along m × 5 × 6 pixels"),
    ],
)
def test_axes_in_words(shape, axes, words):
    assert describe_axes(shape, axes) == words
