import numpy as np
import pytest
import torch

from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.learning.inference import predict
from napari_unsupseg.learning.network import build_network
from napari_unsupseg.learning.resampling import downsample, upsample_labels
from napari_unsupseg.learning.upsampler import LabelUpsampler
from napari_unsupseg.settings import Settings


@pytest.fixture
def image(rgb):
    mask = np.ones(rgb.shape[:2], bool)
    mask[:9, :20] = False
    return normalize_image(split_channels(rgb), mask)


@pytest.fixture
def network(image):
    settings = Settings(filters=8, max_clusters=9)
    return build_network(torch.from_numpy(image.values)[None], settings)


def test_labels_at_full_size_are_the_image_s(image, network):
    labels = np.arange(image.valid.size, dtype=np.uint16).reshape(1, *image.valid.shape)
    upsampler = LabelUpsampler(image, 1).snapshot(network)
    np.testing.assert_array_equal(upsampler.upsample(labels), labels[0])
    assert upsampler.network is None


def test_every_pixel_has_the_label_of_its_block(image, network):
    labels = np.arange(1, 16 * 18 + 1, dtype=np.uint16).reshape(1, 16, 18)
    upsampled = LabelUpsampler(image, 4).snapshot(network).upsample(labels)
    expected = labels[0].repeat(4, axis=0).repeat(4, axis=1) * image.valid
    np.testing.assert_array_equal(upsampled, expected)


def test_a_preview_is_labelled_by_the_network_as_it_was(image, network):
    preview = downsample(image, 3)
    expected = upsample_labels(predict(network, preview), 3, image)
    upsampler = LabelUpsampler(image, 3, preview).snapshot(network)
    with torch.no_grad():
        network.classifier.weight.neg_()  # training goes on
    tiles = np.zeros((5, 7, 7), np.uint8)
    np.testing.assert_array_equal(upsampler.upsample(tiles), expected)
    assert not np.array_equal(upsample_labels(predict(network, preview), 3, image), expected)
