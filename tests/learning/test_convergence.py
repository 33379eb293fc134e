import numpy as np
import pytest
import torch

from napari_unsupseg.learning.convergence import ConvergenceMonitor
from napari_unsupseg.learning.trainer import Trainer
from napari_unsupseg.settings import Settings

from .helpers import network_for, run_whole, whole_sample

PIXELS = torch.zeros(1, 10, 10, dtype=torch.int64)


def count_iterations(monitor: ConvergenceMonitor, n: int, n_changing: int = 0) -> None:
    """Have some of a hundred pixels change their cluster at every fifth iteration."""
    for iteration in range(1, n + 1):
        clusters = PIXELS.clone()
        clusters.view(-1)[:n_changing] = iteration // 5
        monitor.update(clusters, None, clusters.numel())


@pytest.mark.parametrize(
    ("settle", "n_iterations", "factor"),
    [
        pytest.param(0.02, 0, 1, id="at first"),
        pytest.param(0.02, 40, 1, id="the last at the full rate"),
        pytest.param(0.02, 41, 0.5**0.1, id="it falls"),
        pytest.param(0.02, 50, 0.5, id="half"),
        pytest.param(0.02, 70, 0.125, id="an eighth"),
        pytest.param(0, 70, 1, id="never settles"),
    ],
)
def test_the_learning_rate_halves_every_ten_iterations_after_forty(settle, n_iterations, factor):
    monitor = ConvergenceMonitor(settle)
    count_iterations(monitor, n_iterations, n_changing=50)
    assert monitor.n_iterations == n_iterations
    assert monitor.learning_rate_factor == pytest.approx(factor)


@pytest.mark.parametrize(
    ("settle", "n_iterations", "n_changing", "has_converged"),
    [
        pytest.param(0.05, 14, 0, False, id="ten iterations have not passed"),
        pytest.param(0.05, 15, 0, True, id="nothing changed in ten iterations"),
        pytest.param(0.05, 15, 4, True, id="four of a hundred"),
        pytest.param(0.05, 15, 5, False, id="five of a hundred are no less"),
        pytest.param(0.05, 60, 5, False, id="for ever"),
        pytest.param(0, 60, 0, False, id="never settles"),
    ],
)
def test_labels_have_settled_when_few_pixels_change(
    settle, n_iterations, n_changing, has_converged
):
    monitor = ConvergenceMonitor(settle)
    count_iterations(monitor, n_iterations, n_changing)
    assert monitor.has_converged == has_converged


@pytest.mark.parametrize(
    ("clusters", "has_converged"),
    [
        pytest.param([0, 0, 0], True, id="none changed"),
        pytest.param([0, 1, 1], False, id="in the first five iterations"),
        pytest.param([0, 0, 1], False, id="in the last five iterations"),
        pytest.param([0, 1, 0], True, id="and back again"),
        pytest.param([2, 0, 1, 1], False, id="in the last ten of more"),
        pytest.param([2, 1, 1, 1], True, id="longer ago"),
    ],
)
def test_changes_are_counted_over_ten_iterations(clusters, has_converged):
    monitor = ConvergenceMonitor(0.05)
    for cluster in clusters:
        for _ in range(5):
            monitor.update(PIXELS + cluster, None, 100)
    assert monitor.has_converged == has_converged


def test_only_pixels_that_take_part_are_counted():
    inside = torch.ones(PIXELS.shape, dtype=torch.bool)
    inside.view(-1)[:90] = False
    for n_changing, has_converged in ((90, True), (91, False)):
        monitor = ConvergenceMonitor(0.1)
        for iteration in range(1, 16):
            clusters = PIXELS.clone()
            clusters.view(-1)[:n_changing] = iteration
            monitor.update(clusters, inside, 10)
        assert monitor.has_converged == has_converged


def test_a_run_stops_when_labels_have_settled(rgb):
    settings = Settings(filters=16, max_clusters=20, superpixels=150)
    labels = [step.labels for step in run_whole(rgb, settings, monitor=ConvergenceMonitor(0.04))]
    changed = [np.mean(labels[i] != labels[i - 10]) for i in range(14, len(labels), 5)]
    assert 15 <= len(labels) < settings.iterations
    assert changed[-1] < 0.04
    assert min(changed[:-1], default=1) >= 0.04


def test_pixels_outside_the_mask_do_not_count_as_settled(rgb):
    settings = Settings(filters=16, max_clusters=20, superpixels=150)
    image = np.pad(rgb, ((0, 200), (0, 0), (0, 0)))
    mask = np.pad(np.ones(rgb.shape[:2], bool), ((0, 200), (0, 0)))
    sample = whole_sample(image, settings, mask)
    trainer = Trainer(network_for(sample, settings), settings)
    steps = trainer.run(sample, 500, monitor=ConvergenceMonitor(0.1))
    labels = [step.labels[0, mask] for step in steps]
    assert np.mean(labels[-1] != labels[-11]) < 0.1
    assert np.mean(labels[-6] != labels[-16]) >= 0.1
