import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch

from benchmarks.plain import plain_network, plain_self_train
from napari_unsupseg.errors import OutOfMemoryError
from napari_unsupseg.images import prepare, split_channels
from napari_unsupseg.network import Network, build_network
from napari_unsupseg.settings import Settings
from napari_unsupseg.superpixels import compute_superpixels
from napari_unsupseg.training import self_train

FAITHFUL_ITERATIONS = 40


def start(image, settings):
    """Return everything that a run begins from."""
    prepared = prepare(split_channels(image))
    superpixels = compute_superpixels(prepared, settings.superpixels, settings.compactness)
    tensor = torch.from_numpy(prepared.values).unsqueeze(0)
    network = build_network(tensor, settings)
    return network, tensor, superpixels, prepared.valid


@pytest.mark.parametrize("name", ["grey", "rgb"])
@pytest.mark.parametrize("components", [1, 2, 3])
def test_every_iteration_is_that_of_the_plain_algorithm(name, components, request):
    settings = Settings(
        iterations=FAITHFUL_ITERATIONS, components=components, filters=32, max_clusters=40,
        superpixels=300,
    )  # fmt: skip
    network, tensor, superpixels, valid = start(request.getfixturevalue(name), settings)
    plain = plain_network(tensor.shape[1], components, settings.filters, settings.max_clusters)
    with torch.no_grad():
        for theirs, ours in zip(plain.parameters(), network.parameters(), strict=True):
            theirs.copy_(ours)
    steps = self_train(network, tensor, superpixels, valid, settings)
    n_clusters = []
    for step, clusters in zip(steps, plain_self_train(plain, tensor, superpixels), strict=False):
        np.testing.assert_array_equal(step.labels, clusters + 1, f"iteration {step.iteration}")
        n_clusters.append(step.n_clusters)
    assert len(n_clusters) == FAITHFUL_ITERATIONS
    assert n_clusters[-1] < n_clusters[0] / 2, "the run did nothing worth comparing"


def test_labels_of_a_step_stay_as_they_were(rgb, small):
    steps = self_train(*start(rgb, small), small)
    first = next(steps)
    before = first._clusters.clone()
    next(steps)
    np.testing.assert_array_equal(first.labels[first.labels > 0], before.numpy() + 1)


def test_a_step_knows_its_clusters_and_loss(rgb, small):
    for step in self_train(*start(rgb, small), small):
        assert step.n_clusters == len(np.unique(step.labels))
        assert 0 < step.loss < 10


def test_the_loss_falls(rgb):
    settings = Settings(iterations=30, filters=16, max_clusters=20, superpixels=150)
    losses = [step.loss for step in self_train(*start(rgb, settings), settings)]
    assert losses[-1] < losses[0] / 2


def test_a_run_stops_at_min_clusters(rgb):
    settings = Settings(min_clusters=8, filters=16, max_clusters=20, superpixels=150)
    counts = [step.n_clusters for step in self_train(*start(rgb, settings), settings)]
    assert counts[-1] <= 8
    assert min(counts[:-1]) > 8


def test_a_run_can_be_left_between_any_two_iterations(rgb, small):
    whole = [step.labels for step in self_train(*start(rgb, small), small)]
    part = list(itertools.islice(self_train(*start(rgb, small), small), 3))
    np.testing.assert_array_equal(part[-1].labels, whole[2])


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param("[enforce fail] DefaultCPUAllocator: can't allocate memory", True, id="CPU"),
        pytest.param("shapes do not match", False, id="another error"),
    ],
)
def test_out_of_memory_is_told_from_other_errors(rgb, small, monkeypatch, message, expected):
    def fail(*_):
        raise RuntimeError(message)

    run = self_train(*start(rgb, small), small)
    next(run)
    monkeypatch.setattr(Network, "forward", fail)
    with pytest.raises(OutOfMemoryError if expected else RuntimeError) as caught:
        next(run)
    assert ("fewer filters" in str(caught.value)) == expected


def test_the_same_seed_gives_the_same_bytes_in_two_processes():
    script = (
        "import sys; from skimage.data import coins; from napari_unsupseg import segment;"
        "labels = segment(coins()[::4, ::4], iterations=12, superpixels=400, filters=40);"
        "sys.stdout.buffer.write(labels)"
    )
    first, second = (
        subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
        for _ in range(2)
    )
    assert len(first) == 76 * 96
    assert first == second
