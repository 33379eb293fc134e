"""The algorithm in pictures: what each step makes of the tissue sample."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from napari.utils.colormaps import label_colormap
from numpy.typing import NDArray
from skimage.segmentation import find_boundaries

from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.learning.network import build_network
from napari_unsupseg.learning.sampling import TrainingSample
from napari_unsupseg.learning.superpixels import compute_superpixels, majority_vote
from napari_unsupseg.learning.trainer import Trainer
from napari_unsupseg.sample_images import tissue

from .window import Rgb, side_by_side, write_picture

__all__ = ["make_algorithm"]

SETTINGS = Settings(superpixels=1000)  # large enough to be seen
LOOKED_AT = 8  # iteration whose responses are shown
ITERATIONS = (1, 5, 10, 20, 40)
LEVELS = (0.1, 0.2, 0.35, 0.5)
SHOWN = 4  # responses


def make_algorithm(out: Path) -> None:
    """Write a row of pictures for one iteration, for a run and for its hierarchy."""
    picture = tissue()
    _draw_iteration(out, picture)
    _draw_run(out, picture)


def _draw_iteration(out: Path, picture: Rgb) -> None:
    """Image, superpixels, responses, clusters, and their vote."""
    image = normalize_image(split_channels(picture), None, SETTINGS.intensity)
    superpixels = compute_superpixels(image, SETTINGS.superpixels, SETTINGS.compactness)
    values = torch.from_numpy(image.values)[None]
    network = build_network(values, SETTINGS)
    view = TrainingSample(
        image.values[np.newaxis], image.valid[np.newaxis], superpixels[np.newaxis]
    )
    for _ in Trainer(network, SETTINGS).run(view, LOOKED_AT):
        pass
    with torch.no_grad():
        responses = network(values)[0]
    clusters = responses.argmax(0)
    patches = torch.from_numpy(superpixels)
    voted = majority_vote(
        clusters.flatten(), patches.flatten(), int(patches.max()) + 1, SETTINGS.max_clusters
    ).view_as(clusters)
    outlined = _enlarged(picture)
    outlined[find_boundaries(_enlarged(superpixels), mode="inner")] = 0
    largest = np.bincount(clusters.flatten()).argsort()[::-1][:SHOWN]
    of_largest = [_grey(responses[cluster].numpy()) for cluster in largest]
    painted = [_enlarged(_colour(labels.numpy() + 1)) for labels in (clusters, voted)]
    write_picture(out / "how_superpixels.png", side_by_side([_enlarged(picture), outlined]))
    write_picture(out / "how_responses.png", side_by_side(of_largest, 2))
    write_picture(out / "how_vote.png", side_by_side(painted))


def _draw_run(out: Path, picture: Rgb) -> None:
    """Labels over the iterations, then boundaries and cuts of the hierarchy."""
    segmenter = Segmenter()
    labels = {step.iteration: step.labels for step in segmenter.steps(picture)}
    kept = [labels[n] for n in ITERATIONS if n in labels] + [labels[max(labels)]]
    write_picture(out / "how_iterations.png", side_by_side([_colour(one) for one in kept], 2))
    hierarchy = segmenter.hierarchy_
    lines = 255 - (255 * hierarchy.boundaries()).astype(np.uint8)
    lines = np.repeat(lines[..., None], 3, axis=-1)
    write_picture(out / "how_boundaries.png", side_by_side([_enlarged(picture), _enlarged(lines)]))
    cuts = [_mean_colours(hierarchy.cut(granularity=level), picture) for level in LEVELS]
    write_picture(out / "how_cuts.png", side_by_side(cuts, 2))


def _enlarged(array: NDArray[Any]) -> NDArray[Any]:
    """Show each pixel as four."""
    return array.repeat(2, axis=0).repeat(2, axis=1)


def _grey(response: NDArray[np.float32]) -> Rgb:
    low, high = np.percentile(response, (1, 99))
    levels = np.clip(255 * (response - low) / (high - low), 0, 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=-1)


def _colour(labels: NDArray[np.unsignedinteger]) -> Rgb:
    """Paint labels as napari does."""
    colours = label_colormap(49, background_value=0).map(labels)
    return (255 * colours[..., :3]).astype(np.uint8)


def _mean_colours(segments: NDArray[np.unsignedinteger], picture: Rgb) -> Rgb:
    """Give each segment its mean colour, and outlines in white."""
    counts = np.bincount(segments.ravel())
    sums = [
        np.bincount(segments.ravel(), channel.ravel()) for channel in np.moveaxis(picture, -1, 0)
    ]
    means = np.stack(sums, axis=-1) / np.maximum(counts, 1)[:, None]
    painted = means[segments].astype(np.uint8)
    painted[find_boundaries(segments, mode="inner")] = 255
    return painted
