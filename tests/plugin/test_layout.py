"""The axes of an image in its layers."""

import numpy as np
import pytest

from napari_unsupseg.plugin.layout import Layout

KINDS = [
    pytest.param((7, 8), "yx", False, (7, 8), id="grey"),
    pytest.param((7, 8, 3), "yxs", True, (7, 8), id="colour"),
    pytest.param((2, 7, 8), "cyx", False, (7, 8), id="channels first"),
    pytest.param((7, 2, 8), "ycx", False, (7, 2, 8), id="channels between"),
    pytest.param((7, 8, 2), "yxc", False, (7, 8, 2), id="channels last"),
    pytest.param((5, 2, 7, 8), "zcyx", False, (5, 2, 7, 8), id="stack of channels"),
]


@pytest.mark.parametrize(("shape", "axes", "rgb", "expected"), KINDS)
def test_blank_labels_have_the_axes_of_their_layer(shape, axes, rgb, expected):
    layout = Layout(shape, axes, rgb)
    labels = layout.blank_labels(300)
    assert labels.shape == expected
    assert labels.dtype == np.uint16
    assert not labels.any()
    pyramid = layout.blank_pyramid(300)
    assert pyramid.levels[0].shape == expected
    assert pyramid.levels[0].dtype == np.uint16


@pytest.mark.parametrize(("shape", "axes", "rgb", "expected"), KINDS)
def test_labels_go_to_the_axes_of_a_layer_and_back(shape, axes, rgb, expected):
    layout = Layout(shape, axes, rgb)
    lengths = [n for n, axis in zip(shape, axes, strict=True) if axis not in "cs"]
    labels = np.random.default_rng(0).integers(1, 9, lengths).astype(np.uint8)
    data = layout.to_layer(labels)
    assert data.shape == expected
    np.testing.assert_array_equal(layout.from_layer(data), labels)
