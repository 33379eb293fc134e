import numpy as np
import pytest
import torch

from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.learning.distillation import fit_to_labels
from napari_unsupseg.learning.inference import predict
from napari_unsupseg.learning.network import build_network
from napari_unsupseg.settings import Settings

SETTINGS = Settings(filters=16, max_clusters=9, precision="float32", min_clusters=5, continuity=3)


def bands(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image of a dark, a grey and a narrow bright band, and its labels, 4, 2 and 7."""
    labels = np.full((height, width), 4, np.uint8)
    labels[:, width // 2 :], labels[:, -3:] = 2, 7
    levels = np.zeros(8)
    levels[[4, 2, 7]] = 0.1, 0.5, 0.9
    return levels[labels] + np.random.default_rng(0).normal(0, 0.03, labels.shape), labels


def fit(image: np.ndarray, labels: np.ndarray):
    channel_axis = None if image.ndim == labels.ndim else 0
    prepared = normalize_image(split_channels(image, channel_axis=channel_axis), labels > 0)
    network = build_network(torch.from_numpy(prepared.values)[None], SETTINGS)
    return network, prepared, fit_to_labels(network, prepared, labels, SETTINGS)


@pytest.mark.parametrize("size", [(40, 50), (300, 400)], ids=["whole", "tiles"])
def test_a_network_learns_labels_as_they_are(size):
    image, labels = bands(*size)
    labels[:10, :20] = 0  # takes no part
    _, prepared, fitted = fit(image, labels)
    predicted = predict(fitted, prepared)
    assert np.mean(predicted == labels) > 0.98
    assert np.mean(predicted[labels == 7] == 7) > 0.9, "the rare one"


def test_labels_are_told_from_channels():
    image, labels = bands(40, 50)
    noise = np.random.default_rng(1).random(labels.shape)
    _, prepared, fitted = fit(np.stack([noise, image, noise]), labels)
    assert np.mean(predict(fitted, prepared) == labels) > 0.9


def test_the_network_that_is_given_stays_as_it_is():
    image, labels = bands(40, 50)
    network, _, fitted = fit(image, labels)
    first = build_network(torch.zeros(1, 1, 40, 50), SETTINGS)
    for name, value in first.state_dict().items():
        assert torch.equal(network.state_dict()[name], value)
        assert not torch.equal(fitted.state_dict()[name], value)


@pytest.mark.parametrize("corner", [(20, 40), (150, 30), (250, 120)])
def test_a_label_that_lies_in_one_place_is_learned(corner):
    image, labels = bands(300, 400)
    square = tuple(slice(start, start + 10) for start in corner)
    image[square], labels[square] = 0.7, 9
    _, prepared, fitted = fit(image, labels)
    # without a tile that holds it there would be no 9 at all
    assert np.mean(predict(fitted, prepared)[square] == 9) > 0.2


def test_a_caller_may_be_in_inference_mode():
    image, labels = bands(20, 30)
    with torch.inference_mode():
        _, _, fitted = fit(image, labels)
    assert not any(value.is_inference() for value in fitted.parameters())
