"""The network learns the labels that a run has kept, so that it finds them in other images too."""

import copy
import dataclasses

import numpy as np
import torch

from napari_unsupseg._typing import Labels
from napari_unsupseg.image.normalize import NormalizedImage
from napari_unsupseg.learning.network import Network
from napari_unsupseg.learning.sampling import make_training_sample
from napari_unsupseg.learning.schedule import MAX_WHOLE_PIXELS
from napari_unsupseg.learning.trainer import Trainer
from napari_unsupseg.settings import Settings

__all__ = ["fit_to_labels"]

MAX_PIXELS = 2**15  # of an image to learn from, in tiles at full size from all over it
ITERATIONS = 60
BALANCE = 0.3  # the rarer a label the more its pixels count, as `cluster_weights` has it


@torch.inference_mode(False)  # a caller may be in it, and nothing made in it can be trained
def fit_to_labels(
    network: Network, image: NormalizedImage, labels: Labels, settings: Settings
) -> Network:
    """Train a copy of a network on labels that stay as they are, in place of its own vote.

    Parameters
    ----------
    network : Network
        As self-training has left it; it stays as it is.
    image : NormalizedImage
        The image.
    labels : ndarray of unsigned integers, shape (..., Y, X)
        Labels of the image, 1 to q at the most; 0 at pixels that take no part.
    settings : Settings
        Those of the run.

    Returns
    -------
    Network
        The copy. At each pixel the index of its greatest response, plus 1, is the label.

    Raises
    ------
    OutOfMemoryError
        If the device runs out of memory.
    """
    # labels are one more channel, so that they are cut into tiles as the image is
    values = np.concatenate([image.values, labels[np.newaxis].astype(np.float32)])
    sample = make_training_sample(
        dataclasses.replace(image, values=values),
        factor=1,
        max_pixels=min(MAX_PIXELS * len(image.frames_of_images), MAX_WHOLE_PIXELS),
        superpixels=0,
        compactness=settings.compactness,
        seed=settings.seed,
        strokes=_one_pixel_of_each(labels, settings.seed),  # a tile has to hold it
    )
    target = torch.from_numpy(sample.values[:, -1].astype(np.int64)).sub_(1).clamp_(min=0)
    sample = dataclasses.replace(sample, values=np.ascontiguousarray(sample.values[:, :-1]))
    fitted = copy.deepcopy(network)
    # the labels are given: nothing is to merge them, and no number of them ends the training
    settings = dataclasses.replace(settings, balance=BALANCE, continuity=0, min_clusters=0)
    trainer = Trainer(fitted, settings)
    for _ in trainer.run(sample, ITERATIONS, target=target.to(network.device)):
        pass
    trainer.update_statistics(sample)
    return fitted


def _one_pixel_of_each(labels: Labels, seed: int) -> Labels:
    """Return labels at one pixel of each, drawn at random, and 0 elsewhere."""
    random = np.random.default_rng(seed)
    chosen = np.zeros_like(labels)
    for label in np.unique(labels[labels > 0]):
        chosen.flat[random.choice(np.flatnonzero(labels == label))] = label
    return chosen
