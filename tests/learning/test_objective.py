import copy
import dataclasses

import numpy as np
import pytest
import torch

from napari_unsupseg import Segmenter
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.learning.objective import cluster_weights, continuity_loss
from napari_unsupseg.learning.sampling import make_training_sample
from napari_unsupseg.learning.superpixels import majority_vote
from napari_unsupseg.learning.trainer import Trainer
from napari_unsupseg.regions.labels import connected_components
from napari_unsupseg.settings import Settings

from .helpers import network_for, whole_sample


def test_weights_of_clusters_have_the_mean_one():
    target = torch.tensor([[0, 0, 0, 0, 0, 0, 2, 2, 3]])
    inside = torch.tensor([[True] * 6 + [True, True, False]])
    for balance in (0.0, 0.3, 1.0):
        weights = cluster_weights(target, inside, 4, balance)
        assert weights[target[inside]].mean() == pytest.approx(1)
    # by then every cluster counts as much as any other
    assert weights[0] * 6 == pytest.approx(weights[2] * 2)


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="cross-entropy"),
        pytest.param({"continuity": 5.0}, id="continuity"),
        pytest.param({"balance": 1.0}, id="balance"),
    ],
)
def test_the_loss_is_that_of_its_formula(rgb, small, settings, masked):
    small = dataclasses.replace(small, **settings)
    mask = np.ones(rgb.shape[:2], bool)
    mask[:20, 10:] = not masked
    sample = whole_sample(rgb, small, mask)
    network = network_for(sample, small)
    known = copy.deepcopy(network)
    inside = torch.from_numpy(sample.valid)
    step = next(Trainer(network, small).run(sample, 1))
    responses = known(torch.from_numpy(sample.values), inside)
    clusters = torch.from_numpy(step.labels.astype(np.int64) - 1).clamp(min=0)
    patches = torch.from_numpy(
        np.where(sample.valid, sample.superpixels, sample.superpixels.max() + 1)
    )
    n_patches, q = int(patches.max()) + 1, small.max_clusters
    target = majority_vote(clusters.flatten(), patches.flatten(), n_patches, q).view_as(clusters)
    losses = torch.nn.functional.cross_entropy(responses, target, reduction="none")
    if "balance" in settings:
        weights = 1 / target[inside].bincount(minlength=q)[target]
        expected = (losses * weights)[inside].sum() / weights[inside].sum()
    else:
        expected = losses[inside].mean()
    for axis in (1, 2) if "continuity" in settings else ():
        steps = responses.diff(dim=axis + 1).abs()
        near, far = (inside.narrow(axis, at, inside.shape[axis] - 1) for at in (0, 1))
        expected = expected + 5 * steps.movedim(1, -1)[near & far].mean()
    assert step.loss == pytest.approx(expected.item(), rel=1e-5)


def test_without_superpixels_continuity_draws_neighbours_together(rgb):
    settings = Settings(iterations=30, filters=16, max_clusters=20, superpixels=0)
    image = np.clip(rgb + np.random.default_rng(0).normal(0, 30, rgb.shape), 0, 255)
    sample = make_training_sample(
        normalize_image(split_channels(image.astype(np.uint8)), None), factor=1, max_pixels=10**6,
        superpixels=0, compactness=10, seed=0,
    )  # fmt: skip
    n_segments = []
    for continuity in (0.0, 5.0):
        chosen = dataclasses.replace(settings, continuity=continuity)
        *_, step = Trainer(network_for(sample, chosen), chosen).run(sample, chosen.iterations)
        n_segments.append(connected_components(step.labels[0]).max())
    assert n_segments[1] < n_segments[0] / 3


def test_balance_keeps_small_clusters(grey):
    runs = {
        balance: [
            step.n_clusters
            for step in Segmenter(
                Settings(balance=balance, iterations=40, settle=0, filters=32, superpixels=400)
            ).steps(grey)
        ][-1]
        for balance in (0.0, 0.5, 1.0)
    }
    assert runs[0.0] < runs[0.5] < runs[1.0]


@pytest.mark.parametrize(
    ("responses", "inside", "expected"),
    [
        # along y: |4 - 1| and |6 - 2|; along x: |2 - 1| and |6 - 4|
        pytest.param([[1, 2], [4, 6]], None, 3.5 + 1.5, id="all take part"),
        pytest.param([[1, 2], [4, 6]], [[1, 1], [1, 0]], 3 + 1, id="pairs of which both do"),
        pytest.param([[1, 2], [4, 6]], [[1, 0], [0, 1]], 0, id="no pair"),
        pytest.param([[1, 2, 4]], None, 1.5, id="an axis of one pixel"),
        pytest.param([[[1]], [[3]]], None, 2, id="volume"),
    ],
)
def test_continuity_is_the_mean_difference_of_neighbours_summed_over_axes(
    responses, inside, expected
):
    responses = torch.tensor(responses, dtype=torch.float32)[None, None]
    responses = torch.cat([responses, responses + 5], dim=1)  # two clusters, as far apart
    if inside is not None:
        inside = torch.tensor(inside, dtype=torch.bool)[None]
    assert continuity_loss(responses, inside).item() == pytest.approx(expected)


def test_a_cluster_without_pixels_has_a_weight():
    weights = cluster_weights(torch.tensor([[0, 0, 2]]), torch.ones(1, 3, dtype=torch.bool), 3, 1.0)
    # 1/2, 1 and 1, times 3 / 2 for a mean of 1 over the pixels
    assert weights.tolist() == pytest.approx([0.75, 1.5, 1.5])
