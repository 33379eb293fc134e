import dataclasses
import math
import sys

import pytest

from napari_unsupseg import Settings
from napari_unsupseg.learning import schedule
from napari_unsupseg.learning.cost import (
    activation_bytes,
    companion_seconds,
    expected_seconds,
    hierarchy_bytes,
    inference_bytes_per_pixel,
    stage_costs,
    training_bytes,
)

from ..conftest import run_python

SETTINGS = Settings(components=2, filters=10, max_clusters=7, superpixels=50, settle=0, networks=1)


def test_maps_and_votes_are_counted():
    # of each pixel: 3 channels, 2 · 2 · 10 + 3 · 7 values for autograd, 3 · 10 at a time;
    # 7 votes of each superpixel
    assert activation_bytes(3, 1000, SETTINGS) == 4 * (1000 * (3 + 61 + 30) + 50 * 7)


def test_there_are_no_more_superpixels_than_pixels():
    assert activation_bytes(1, 20, SETTINGS) == 4 * (20 * (1 + 61 + 30) + 20 * 7)


@pytest.mark.parametrize(
    ("frame_shape", "n_frames", "settle", "is_whole", "n_trained"),
    [
        pytest.param((90, 110), 1, 0.02, False, 9900, id="small"),
        pytest.param((240, 480), 1, 0.02, False, 12_800, id="at a third of its size"),
        pytest.param((20, 60, 100), 1, 0.02, False, 15_000, id="volume at half its size"),
        pytest.param((100, 100), 20, 0.02, False, 12_000, id="tiles of a movie"),
        pytest.param((1000, 1000), 1, 0, False, 160_000, id="tiles at full size"),
        pytest.param((1000, 1000), 1, 0.02, True, 10**6, id="a caller's module"),
    ],
)
def test_training_takes_the_image_thrice_and_its_greatest_sample(
    frame_shape, n_frames, settle, is_whole, n_trained
):
    settings = dataclasses.replace(SETTINGS, settle=settle)
    n_bytes = training_bytes(2, frame_shape, n_frames, settings, n_threads=4, is_whole=is_whole)
    n_pixels = math.prod(frame_shape) * n_frames
    assert n_bytes == 3 * 4 * 2 * n_pixels + activation_bytes(2, n_trained, settings)


@pytest.mark.parametrize(
    ("networks", "n_threads", "is_whole", "n_at_once"),
    [
        pytest.param(2, 4, False, 1, id="one beside the first, which has settled"),
        pytest.param(6, 4, False, 4, id="as many as threads"),
        pytest.param(6, 8, False, 5, id="all"),
        pytest.param(6, 4, True, 1, id="none beside a caller's module"),
    ],
)
def test_each_network_that_trains_at_the_same_time_takes_its_own_maps(
    networks, n_threads, is_whole, n_at_once
):
    settings = dataclasses.replace(SETTINGS, networks=networks)
    n_bytes = training_bytes(1, (100, 100), 1, settings, n_threads=n_threads, is_whole=is_whole)
    assert n_bytes == 3 * 4 * 10**4 + n_at_once * activation_bytes(1, 10**4, SETTINGS)


def test_a_tile_has_three_maps_of_features_and_two_of_responses():
    assert inference_bytes_per_pixel(100, 50, 2, 4) == 3 * 100 * 2 + 2 * 50 * 4


@pytest.mark.parametrize(
    ("shape", "n_frames", "settle", "expected"),
    [
        # 2 · 10 + 7 channels; 9 · 10² + 10 · 7 weights, or 27 · 10² + 10 · 7; 150 iterations
        pytest.param(
            (100, 100), 1, 0, 150 * 10**4 * (27 * 8.5e-9 + 970 * 3.9e-11) + 0.025, id="as the paper"
        ),
        pytest.param(
            (100, 100), 1, 0.02, 50 * 10**4 * (27 * 8.5e-9 + 970 * 3.9e-11) + 0.025, id="settles"
        ),
        pytest.param(
            (10, 20, 20), 2, 0, 150 * 8000 * (27 * 8.5e-9 + 2770 * 3.9e-11) + 0.02, id="volumes"
        ),
        pytest.param(
            (240, 480),
            1,
            0.02,
            (50 * 12_800 + 5 * 12_000) * (27 * 8.5e-9 + 970 * 3.9e-11) + 115_200 * 2.5e-6,
            id="reduced, then tiles at full size",
        ),
    ],
)
def test_the_time_follows_pixels_iterations_channels_and_weights(shape, n_frames, settle, expected):
    settings = dataclasses.replace(SETTINGS, settle=settle)
    assert expected_seconds(shape, n_frames, settings, 2) == pytest.approx(expected)


def test_few_iterations_are_not_taken_for_fifty():
    quick, quicker = (dataclasses.replace(SETTINGS, settle=0.02, iterations=n) for n in (30, 15))
    assert expected_seconds((100, 100), 1, quick, 2) - 0.025 == pytest.approx(
        2 * (expected_seconds((100, 100), 1, quicker, 2) - 0.025)
    )


@pytest.mark.parametrize(
    ("networks", "n_threads", "n_turns"),
    [
        pytest.param(1, 2, 0, id="none"),
        pytest.param(3, 1, 2, id="one after another"),
        pytest.param(3, 2, 1, id="side by side"),
        pytest.param(4, 2, 2, id="one is left over"),
    ],
)
def test_other_networks_take_as_many_turns_as_the_threads_ask_for(networks, n_threads, n_turns):
    alone = dataclasses.replace(SETTINGS, settle=0.02)
    several = dataclasses.replace(alone, networks=networks)
    training = expected_seconds((100, 100), 1, alone, n_threads) - 0.025
    assert expected_seconds((100, 100), 1, several, n_threads) == pytest.approx(
        training + n_turns * training + 0.025
    )


def test_other_networks_take_a_hundred_iterations_at_most():
    settings = dataclasses.replace(SETTINGS, networks=2, iterations=150)
    *_, stage = stage_costs((100, 100), 1, settings)
    assert companion_seconds((100, 100), 1, settings, 1) == pytest.approx(
        100 * stage.iteration_seconds
    )


def test_a_large_image_needs_no_more_memory_to_train_on(monkeypatch):
    for name in ("MAX_REDUCED_PIXELS", "REDUCED_PIXELS"):
        monkeypatch.setattr(schedule, name, 10_000)
    small, large = (
        training_bytes(1, (side, side), 1, Settings(), n_threads=2) for side in (200, 2000)
    )
    assert large - small == pytest.approx(12 * (2000**2 - 200**2), rel=0.1)


@pytest.mark.skipif(sys.platform != "linux", reason="gives processes cores by their numbers")
def test_cores_are_those_that_a_process_may_use():
    script = (
        "import os; from napari_unsupseg.learning.cost import count_cores;"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "print(count_cores())"
    )
    assert run_python(script) == "1"


def test_costs_are_estimated_without_loading_torch():
    script = "import sys, napari_unsupseg.learning.cost; print('torch' in sys.modules)"
    assert run_python(script) == "False"


@pytest.mark.parametrize(
    ("max_clusters", "networks", "n_at_once", "n_snapshot_bytes"),
    [
        pytest.param(255, 1, 1, 7, id="a byte a label"),
        pytest.param(256, 1, 1, 14, id="two bytes"),
        pytest.param(255, 3, 2, 21, id="of three networks"),
    ],
)
def test_a_hierarchy_takes_networks_pixels_intensities_and_the_history(
    max_clusters, networks, n_at_once, n_snapshot_bytes
):
    settings = dataclasses.replace(SETTINGS, max_clusters=max_clusters, networks=networks)
    n_bytes = hierarchy_bytes(2, 10**6, settings, n_threads=2)
    assert n_bytes == n_at_once * 110 * 10**6 + 10**6 * (72 + 2 * 14 + n_snapshot_bytes)


@pytest.mark.skipif(sys.platform != "linux", reason="says what a process has had at most")
def test_a_run_takes_as_much_memory_as_is_estimated():
    script = (
        "import re; import numpy as np; import torch; torch.set_num_threads(2);"
        "from napari_unsupseg import segment;"
        "random = np.random.default_rng(0);"
        "image = np.kron(random.random((48, 48, 3)), np.ones((32, 32, 1)));"
        "image += random.normal(0, 0.05, image.shape);"
        # getrusage would count what the process that began this one has had
        "status = lambda: open('/proc/self/status').read();"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', status())[1]);"
        "segment(image[:64, :64], iterations=10);"  # what has to be loaded is loaded
        "before = peak();"
        "segment(image, iterations=60);"
        "print(1024 * (peak() - before))"
    )
    estimate = hierarchy_bytes(3, (48 * 32) ** 2, Settings(), n_threads=2)
    assert int(run_python(script)) == pytest.approx(estimate, rel=0.5)
