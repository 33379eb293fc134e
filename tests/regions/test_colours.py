import numpy as np
import pytest

from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.regions.colours import perceptual_colours


def test_rgb_is_lab_from_black_to_white():
    image = np.array([[[0, 0, 0], [255, 255, 255]], [[255, 0, 0], [0, 0, 255]]], dtype=np.uint8)
    colours, lightness = perceptual_colours(normalize_image(split_channels(image)))
    assert colours.dtype == np.float32
    expected = [[[0, 0, 0], [1, 0, 0]], [[0.532, 0.801, 0.672], [0.323, 0.792, -1.079]]]
    np.testing.assert_allclose(colours, expected, atol=1e-3)
    assert lightness == [1, 0, 0]


@pytest.mark.parametrize("n_channels", [1, 3])
def test_intensities_stay_as_they_are_and_all_count(n_channels):
    image = np.random.default_rng(0).random((n_channels, 4, 5))
    prepared = normalize_image(split_channels(image, channel_axis=0))
    colours, lightness = perceptual_colours(prepared)
    np.testing.assert_array_equal(np.moveaxis(colours, -1, 0), prepared.values)
    assert lightness == [1] * n_channels
