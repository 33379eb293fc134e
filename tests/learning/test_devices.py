"""On every device that is there: the CPU, and a GPU if it has one."""

import contextlib

import numpy as np
import pytest
import torch

from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.learning.devices import available_devices, processor_name, resolve_device

from ..conftest import SMALL

MEGABYTES = 2


def bytes_taken(device: str) -> int:
    """Return the memory that tensors take on a device; a CPU has no account of it."""
    if device == "cpu":
        return 0
    return int(torch.get_device_module(resolve_device(device)).memory_allocated())


@pytest.fixture(params=available_devices())
def device(request) -> str:
    return request.param


def test_two_kinds_of_tissue_come_apart(device):
    random = np.random.default_rng(0)
    truth = np.zeros((96, 128), dtype=bool)
    truth[20:70, 30:90] = True
    image = random.normal(np.where(truth, 0.8, 0.2), 0.05)
    settings = Settings.from_dict(SMALL | {"settle": 0.1, "final_clusters": 2})
    labels = Segmenter(settings, device=device).fit(image).labels_
    assert np.mean(labels == truth + 1) > 0.97


@pytest.mark.parametrize("is_left", [False, True], ids=["at its end", "left in the middle"])
def test_a_run_gives_its_memory_back(device, is_left):
    before = bytes_taken(device)
    image = np.random.default_rng(0).random((512, 512))
    segmenter = Segmenter(Settings(**SMALL), device=device)
    steps = segmenter.steps(image)
    step = next(steps)
    if is_left:
        steps.close()
    else:
        *_, step = steps
    # the network, its momentum, and no maps
    assert bytes_taken(device) - before < MEGABYTES * 2**20
    assert step.labels.shape == image.shape
    assert len(np.unique(step.labels)) >= step.n_clusters


def test_a_network_goes_from_one_device_to_another(device, rgb, tmp_path):
    segmenter = Segmenter(Settings(**SMALL), device=device).fit(rgb)
    segmenter.save(tmp_path / "tissue.unsupseg")
    elsewhere = Segmenter.load(tmp_path / "tissue.unsupseg", device="cpu")
    same = elsewhere.predict(rgb) == segmenter.predict(rgb)
    assert same.mean() > 0.99


def test_volumes_on_a_cpu_are_computed_in_single_precision():
    volume = np.random.default_rng(0).integers(0, 255, (8, 40, 64)).astype(np.uint8)
    found = []
    for precision in ("float32", "bfloat16"):
        segmenter = Segmenter(Settings(**SMALL | {"precision": precision}), device="cpu")
        expected = pytest.warns(UserWarning, match="float32 on a CPU")
        with expected if precision == "bfloat16" else contextlib.nullcontext():
            segmenter.fit(volume, axes="zyx", spatial_ndim=3)
        assert segmenter.record()["precision"] == "float32"
        found.append(segmenter.labels_)
    np.testing.assert_array_equal(*found)


def test_images_can_be_computed_in_half_precision(device, rgb):
    settings = Settings(**SMALL | {"precision": "bfloat16"})
    segmenter = Segmenter(settings, device=device).fit(rgb)
    assert segmenter.record()["precision"] == "bfloat16"
    assert len(np.unique(segmenter.labels_)) > 1


def test_a_record_says_what_computed(device):
    processor = processor_name(torch.device(device))
    assert Segmenter(device=device).record()["processor"] == processor
    assert processor
