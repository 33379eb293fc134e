import copy
import dataclasses
import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch

from benchmarks.plain import plain_network, plain_self_train
from napari_unsupseg import Segmenter
from napari_unsupseg.errors import OutOfMemoryError
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.learning.convergence import ConvergenceMonitor
from napari_unsupseg.learning.network import Network, build_network
from napari_unsupseg.learning.objective import cluster_weights
from napari_unsupseg.learning.sampling import TrainingSample, make_training_sample
from napari_unsupseg.learning.superpixels import compute_superpixels, majority_vote
from napari_unsupseg.learning.trainer import Trainer
from napari_unsupseg.regions.labels import connected_components
from napari_unsupseg.settings import Settings

FAITHFUL_ITERATIONS = 40


def view_of(
    image: np.ndarray, settings: Settings, mask: np.ndarray | None = None
) -> TrainingSample:
    """Return an image whole, to train on."""
    prepared = normalize_image(split_channels(image), mask)
    superpixels = compute_superpixels(prepared, settings.superpixels, settings.compactness)
    return TrainingSample(
        prepared.values[np.newaxis], prepared.valid[np.newaxis], superpixels[np.newaxis]
    )


def network_for(view: TrainingSample, settings: Settings) -> Network:
    return build_network(torch.from_numpy(view.values), settings)


def run(image: np.ndarray, settings: Settings, **keywords):
    """Return the steps of a run on an image whole."""
    view = view_of(image, settings)
    training = Trainer(network_for(view, settings), settings)
    return training.run(view, settings.iterations, **keywords)


def both_runs(image: np.ndarray, settings: Settings, dtype: torch.dtype):
    """Yield step and plain clusters of every iteration, from the same weights."""
    view = view_of(image, settings)
    network = network_for(view, settings).to(dtype)
    tensor = torch.from_numpy(view.values).to(dtype)
    plain = plain_network(
        tensor.shape[1], settings.components, settings.filters, settings.max_clusters
    ).to(dtype)
    with torch.no_grad():
        for theirs, ours in zip(plain.parameters(), network.parameters(), strict=True):
            theirs.copy_(ours)
    network.precision = dtype
    steps = Trainer(network, settings).run(view, settings.iterations)
    return zip(steps, plain_self_train(plain, tensor, view.superpixels[0]), strict=False)


@pytest.mark.parametrize("name", ["grey", "rgb"])
@pytest.mark.parametrize("components", [1, 2, 3])
def test_every_iteration_is_that_of_the_plain_algorithm(name, components, request):
    settings = Settings(
        iterations=FAITHFUL_ITERATIONS, components=components, filters=32, max_clusters=40,
        superpixels=300,
    )  # fmt: skip
    n_clusters = []
    for step, clusters in both_runs(request.getfixturevalue(name), settings, torch.float64):
        np.testing.assert_array_equal(step.labels[0], clusters + 1, f"iteration {step.iteration}")
        n_clusters.append(step.n_clusters)
    assert len(n_clusters) == FAITHFUL_ITERATIONS
    assert n_clusters[-1] < n_clusters[0] / 2, "the run did nothing worth comparing"


@pytest.mark.parametrize(
    ("name", "seed"),
    # seeds of which no pixel's two greatest responses are as close as rounding, which would decide
    [pytest.param("grey", 119, id="grey"), pytest.param("rgb", 6, id="rgb")],
)
def test_the_paper_s_preset_is_the_plain_algorithm(name, seed, request):
    image = request.getfixturevalue(name)[:24, :32]
    small = {"iterations": 30, "filters": 16, "max_clusters": 12, "superpixels": 60, "seed": seed}
    settings = Settings.from_preset("paper-2018", small)
    segmenter = Segmenter(settings, device="cpu")
    found = [step.labels for step in segmenter.steps(image)]
    plain = [clusters for _, clusters in both_runs(image, settings, torch.float32)]
    assert len(found) == len(plain) == settings.iterations
    np.testing.assert_array_equal(found, np.add(plain, 1))


def test_labels_of_a_step_stay_as_they_were(rgb, small):
    steps = run(rgb, small)
    first = next(steps)
    before = first._clusters.clone()
    next(steps)
    np.testing.assert_array_equal(first.labels, before.numpy() + 1)


def test_a_step_knows_its_clusters_and_loss(rgb, small):
    for step in run(rgb, small):
        assert step.n_clusters == len(np.unique(step.labels))
        assert 0 < step.loss < 10


def test_pixels_that_take_no_part_have_no_cluster(rgb, small):
    mask = np.ones(rgb.shape[:2], bool)
    mask[:30] = False
    view = view_of(rgb, small, mask)
    step = next(Trainer(network_for(view, small), small).run(view, 1))
    np.testing.assert_array_equal(step.labels[0] > 0, mask)
    assert step.n_clusters == len(np.unique(step.labels[0, mask]))


def test_the_loss_falls(rgb):
    settings = Settings(iterations=30, filters=16, max_clusters=20, superpixels=150)
    losses = [step.loss for step in run(rgb, settings)]
    assert losses[-1] < losses[0] / 2


def test_a_run_stops_at_min_clusters(rgb):
    settings = Settings(min_clusters=8, filters=16, max_clusters=20, superpixels=150)
    counts = [step.n_clusters for step in run(rgb, settings)]
    assert counts[-1] <= 8
    assert min(counts[:-1]) > 8


def test_a_run_stops_when_labels_have_settled(rgb):
    settings = Settings(filters=16, max_clusters=20, superpixels=150)
    labels = [step.labels for step in run(rgb, settings, monitor=ConvergenceMonitor(0.04))]
    changed = [np.mean(labels[i] != labels[i - 10]) for i in range(14, len(labels), 5)]
    assert 15 <= len(labels) < settings.iterations
    assert changed[-1] < 0.04
    assert min(changed[:-1], default=1) >= 0.04


def test_pixels_outside_the_mask_do_not_count_as_settled(rgb):
    settings = Settings(filters=16, max_clusters=20, superpixels=150)
    image = np.pad(rgb, ((0, 200), (0, 0), (0, 0)))
    mask = np.pad(np.ones(rgb.shape[:2], bool), ((0, 200), (0, 0)))
    view = view_of(image, settings, mask)
    training = Trainer(network_for(view, settings), settings)
    steps = training.run(view, 500, monitor=ConvergenceMonitor(0.1))
    labels = [step.labels[0, mask] for step in steps]
    assert np.mean(labels[-1] != labels[-11]) < 0.1
    assert np.mean(labels[-6] != labels[-16]) >= 0.1


def test_a_run_goes_on_over_another_view(rgb, small):
    view, other = view_of(rgb, small), view_of(rgb[::2, ::2], small)
    training = Trainer(network_for(view, small), small)
    *_, last = training.run(view, 8)
    *_, next_last = training.run(other, 4)
    assert next_last.iteration == 12
    assert next_last.n_clusters < last.n_clusters


def test_a_run_can_be_left_between_any_two_iterations(rgb, small):
    whole = [step.labels for step in run(rgb, small)]
    part = list(itertools.islice(run(rgb, small), 3))
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

    steps = run(rgb, small)
    next(steps)
    monkeypatch.setattr(Network, "forward", fail)
    with pytest.raises(OutOfMemoryError if expected else RuntimeError) as caught:
        next(steps)
    assert ("fewer filters" in str(caught.value)) == expected


def test_the_same_seed_gives_the_same_bytes_in_two_processes():
    script = (
        "import sys; from skimage.data import coins; from napari_unsupseg import segment;"
        "labels = segment(coins()[::2, ::2], iterations=12, superpixels=400, filters=40,"
        "                 precision='float32');"
        "sys.stdout.buffer.write(labels)"
    )
    first, second = (
        subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
        for _ in range(2)
    )
    assert len(first) == 152 * 192
    assert first == second


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


def test_without_superpixels_continuity_draws_neighbours_together(rgb):
    settings = Settings(iterations=30, filters=16, max_clusters=20, superpixels=0)
    image = np.clip(rgb + np.random.default_rng(0).normal(0, 30, rgb.shape), 0, 255)
    view = make_training_sample(
        normalize_image(split_channels(image.astype(np.uint8)), None), factor=1, max_pixels=10**6,
        superpixels=0, compactness=10, seed=0,
    )  # fmt: skip
    n_segments = []
    for continuity in (0.0, 5.0):
        chosen = dataclasses.replace(settings, continuity=continuity)
        *_, step = Trainer(network_for(view, chosen), chosen).run(view, chosen.iterations)
        n_segments.append(connected_components(step.labels[0]).max())
    assert n_segments[1] < n_segments[0] / 3


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
    view = view_of(rgb, small, mask)
    network = network_for(view, small)
    known = copy.deepcopy(network)
    inside = torch.from_numpy(view.valid)
    step = next(Trainer(network, small).run(view, 1))
    responses = known(torch.from_numpy(view.values), inside)
    clusters = torch.from_numpy(step.labels.astype(np.int64) - 1).clamp(min=0)
    patches = torch.from_numpy(np.where(view.valid, view.superpixels, view.superpixels.max() + 1))
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


LABELS = """
import sys, torch
from skimage.data import coins
from napari_unsupseg import Segmenter, Settings
torch.set_num_threads({threads})
segmenter = Segmenter(Settings(iterations=30, filters=20, max_clusters=20)).fit(coins())
sys.stdout.buffer.write(segmenter.labels_)
sys.stdout.buffer.write(segmenter.hierarchy_.cut())
sys.stdout.buffer.write(segmenter.predict(coins()[50:250, :300]))
assert torch.get_num_threads() == {threads}
"""


def test_labels_do_not_depend_on_the_number_of_threads():
    found = [
        subprocess.run(
            [sys.executable, "-c", LABELS.format(threads=threads)],
            capture_output=True,
            check=True,
        ).stdout
        for threads in (1, 2, 4)
    ]
    assert found[0]
    assert found[0] == found[1] == found[2]
