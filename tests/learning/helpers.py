"""A whole image as a training sample, and a network for it."""

import numpy as np
import torch

from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.learning.network import Network, build_network
from napari_unsupseg.learning.sampling import TrainingSample
from napari_unsupseg.learning.superpixels import compute_superpixels
from napari_unsupseg.learning.trainer import Trainer
from napari_unsupseg.settings import Settings


def whole_sample(
    image: np.ndarray, settings: Settings, mask: np.ndarray | None = None
) -> TrainingSample:
    """Return an image whole, to train on."""
    prepared = normalize_image(split_channels(image), mask)
    superpixels = compute_superpixels(prepared, settings.superpixels, settings.compactness)
    return TrainingSample(
        prepared.values[np.newaxis], prepared.valid[np.newaxis], superpixels[np.newaxis]
    )


def network_for(sample: TrainingSample, settings: Settings) -> Network:
    """Return a network with its first weights."""
    return build_network(torch.from_numpy(sample.values), settings)


def run_whole(image: np.ndarray, settings: Settings, **keywords):
    """Return the steps of a run on an image whole."""
    sample = whole_sample(image, settings)
    trainer = Trainer(network_for(sample, settings), settings)
    return trainer.run(sample, settings.iterations, **keywords)
