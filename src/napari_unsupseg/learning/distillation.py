"""A network learns the clusters that a run has kept, so that it finds them in other images too."""

import copy
import dataclasses

import numpy as np
import torch

from napari_unsupseg._typing import Labels
from napari_unsupseg.image.normalize import NormalizedImage
from napari_unsupseg.learning.network import Network
from napari_unsupseg.learning.sampling import make_training_sample
from napari_unsupseg.learning.trainer import Trainer
from napari_unsupseg.settings import Settings

__all__ = ["fit_to_labels"]

PIXELS = 2**15  # to learn from, in tiles at full size from all over the image
ITERATIONS = 60
BALANCE = 0.3  # the rarer a cluster the more its pixels count


@torch.inference_mode(False)  # in which a caller may be
def fit_to_labels(
    network: Network, image: NormalizedImage, labels: Labels, settings: Settings
) -> Network:
    """Train a copy of a network on labels as they are, in place of the vote of its own.

    Parameters
    ----------
    network : Network
        As self-training has left it.
    image : NormalizedImage
        The image.
    labels : ndarray of unsigned integers, shape (..., Y, X)
        Its labels, at most q of them; 0 at pixels that take no part.
    settings : Settings
        Those of the run.

    Returns
    -------
    Network
        Its greatest response at a pixel is the label's, minus 1.
    """
    # as one more channel the labels go where the pixels go
    both = np.concatenate([image.values, labels[np.newaxis].astype(np.float32)])
    view = make_training_sample(
        dataclasses.replace(image, values=both),
        factor=1,
        max_pixels=PIXELS,
        superpixels=0,
        compactness=settings.compactness,
        seed=settings.seed,
        strokes=_one_pixel_of_each(labels, settings.seed),  # so that a tile has it
    )
    target = torch.from_numpy(view.values[:, -1].astype(np.int64)).sub_(1).clamp_(min=0)
    seen = dataclasses.replace(view, values=np.ascontiguousarray(view.values[:, :-1]))
    taught = copy.deepcopy(network)
    learning = dataclasses.replace(settings, balance=BALANCE, continuity=0, min_clusters=0)
    training = Trainer(taught, learning)
    for _ in training.run(seen, ITERATIONS, target=target.to(network.device)):
        pass
    training.update_statistics(seen)
    return taught


def _one_pixel_of_each(labels: Labels, seed: int) -> Labels:
    """Return labels at one pixel of each, drawn at random, and 0 elsewhere."""
    random = np.random.default_rng(seed)
    drawn = np.zeros_like(labels)
    for label in np.unique(labels[labels > 0]):
        drawn.flat[random.choice(np.flatnonzero(labels == label))] = label
    return drawn
