import copy
import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch

from benchmarks.plain import plain_network, plain_self_train
from napari_unsupseg import Segmenter
from napari_unsupseg.errors import OutOfMemoryError
from napari_unsupseg.learning.network import Network
from napari_unsupseg.learning.trainer import Trainer
from napari_unsupseg.settings import Settings

from .helpers import network_for, run_whole, whole_sample

FAITHFUL_ITERATIONS = 40


def both_runs(image: np.ndarray, settings: Settings, dtype: torch.dtype):
    """Yield step and plain clusters of every iteration, from the same weights."""
    sample = whole_sample(image, settings)
    network = network_for(sample, settings).to(dtype)
    tensor = torch.from_numpy(sample.values).to(dtype)
    plain = plain_network(
        tensor.shape[1], settings.components, settings.filters, settings.max_clusters
    ).to(dtype)
    with torch.no_grad():
        for theirs, ours in zip(plain.parameters(), network.parameters(), strict=True):
            theirs.copy_(ours)
    network.precision = dtype
    steps = Trainer(network, settings).run(sample, settings.iterations)
    return zip(steps, plain_self_train(plain, tensor, sample.superpixels[0]), strict=False)


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


def test_pixels_that_take_no_part_have_no_cluster(rgb, small):
    mask = np.ones(rgb.shape[:2], bool)
    mask[:30] = False
    sample = whole_sample(rgb, small, mask)
    step = next(Trainer(network_for(sample, small), small).run(sample, 1))
    np.testing.assert_array_equal(step.labels[0] > 0, mask)
    assert step.n_clusters == len(np.unique(step.labels[0, mask]))


def test_the_loss_falls(rgb):
    settings = Settings(iterations=30, filters=16, max_clusters=20, superpixels=150)
    losses = [step.loss for step in run_whole(rgb, settings)]
    assert losses[-1] < losses[0] / 2


def test_a_run_stops_at_min_clusters(rgb):
    settings = Settings(min_clusters=8, filters=16, max_clusters=20, superpixels=150)
    counts = [step.n_clusters for step in run_whole(rgb, settings)]
    assert counts[-1] <= 8
    assert min(counts[:-1]) > 8


def test_a_run_goes_on_over_another_sample(rgb, small):
    sample, other = whole_sample(rgb, small), whole_sample(rgb[::2, ::2], small)
    trainer = Trainer(network_for(sample, small), small)
    *_, last = trainer.run(sample, 8)
    *_, next_last = trainer.run(other, 4)
    assert next_last.iteration == 12
    assert next_last.n_clusters < last.n_clusters


def test_a_run_can_be_left_between_any_two_iterations(rgb, small):
    whole = [step.labels for step in run_whole(rgb, small)]
    part = list(itertools.islice(run_whole(rgb, small), 3))
    np.testing.assert_array_equal(part[-1].labels, whole[2])


def test_a_caller_may_be_in_inference_mode(grey, small):
    expected = [step.labels for step in run_whole(grey, small)]
    sample = whole_sample(grey, small)
    network = network_for(sample, small)
    with torch.inference_mode():
        steps = Trainer(network, small).run(sample, small.iterations)
        labels = [step.labels for step in steps]
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (
            RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes"),
            True,
        ),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("XPU out of memory"), True),
        (RuntimeError("std::bad_alloc"), True),
        (MemoryError(), True),
        (MemoryError("Unable to allocate 8 TiB for an array"), True),
        (RuntimeError("shapes do not match"), False),
    ],
    ids=lambda value: f"{type(value).__name__} {value}" if isinstance(value, Exception) else "",
)
def test_out_of_memory_is_told_from_other_errors(rgb, small, monkeypatch, error, is_memory):
    def fail(*_):
        raise error

    steps = run_whole(rgb, small)
    next(steps)
    monkeypatch.setattr(Network, "forward", fail)
    with pytest.raises(OutOfMemoryError if is_memory else RuntimeError) as caught:
        next(steps)
    assert ("fewer filters" in str(caught.value)) == is_memory


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


def most_frequent(labels: np.ndarray) -> int:
    return int(np.bincount(labels.ravel()).argmax())


@pytest.fixture
def trained(rgb, small):
    """Return a trainer after some iterations, its sample, and the labels at the next one."""
    sample = whole_sample(rgb, small)
    trainer = Trainer(network_for(sample, small), small)
    list(trainer.run(sample, 5))
    step = next(copy.deepcopy(trainer).run(sample, 1))
    return trainer, sample, step.labels


def test_a_stroke_that_swaps_two_clusters_changes_nothing_but_their_numbers(trained):
    trainer, sample, labels = trained
    there = most_frequent(labels)
    other = next(label for label in range(1, 21) if label != there and (labels == label).any())
    is_stroke = (labels == there) & (np.indices(labels.shape)[2] % 5 == 0)
    runs = []
    for label in (there, other):
        strokes = np.where(is_stroke, label, 0).astype(np.uint8)
        runs.append(list(copy.deepcopy(trainer).run(sample, 4, strokes=strokes)))
    swapped = np.arange(256)
    swapped[[there, other]] = other, there
    for plain, step in zip(*runs, strict=True):
        # but for rounding: sums over clusters have another order
        assert np.mean(step.labels == swapped[plain.labels]) > 0.999
        assert step.loss == pytest.approx(plain.loss, rel=1e-4)


def test_a_cluster_stays_with_the_first_stroke_that_was_drawn_on_it(trained):
    trainer, sample, labels = trained
    on_it = np.flatnonzero(labels == most_frequent(labels))
    strokes = np.zeros(labels.shape, np.uint8)
    strokes.flat[on_it[:40]], strokes.flat[on_it[40:80]] = 12, 17
    for _ in range(2):  # the numbers are given once
        step = next(copy.deepcopy(trainer).run(sample, 1, strokes=strokes))
        assert set(step.labels.flat[on_it]) == {12}
        *_, step = trainer.run(sample, 8, strokes=strokes)
        labels = next(copy.deepcopy(trainer).run(sample, 1)).labels
        on_it = np.flatnonzero(labels == 12)


def test_a_second_stroke_takes_the_cluster_that_most_of_the_rest_of_it_is_drawn_on(trained):
    trainer, sample, labels = trained
    counts = np.bincount(labels.ravel())
    first, second = np.argsort(counts)[:-3:-1]
    strokes = np.zeros(labels.shape, np.uint8)
    on_first, on_second = (np.flatnonzero(labels == label) for label in (first, second))
    strokes.flat[on_first[:40]] = 12
    strokes.flat[on_first[40:80]] = strokes.flat[on_second[:10]] = 17
    step = next(trainer.run(sample, 1, strokes=strokes))
    assert set(step.labels.flat[on_first]) == {12}
    assert set(step.labels.flat[on_second]) == {17}
