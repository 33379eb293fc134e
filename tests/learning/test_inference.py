import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import napari_unsupseg.learning.inference
from napari_unsupseg.errors import OutOfMemoryError
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.learning.inference import predict
from napari_unsupseg.learning.network import build_network
from napari_unsupseg.settings import Settings

from ..conftest import threads_of_torch


def trained(image, mask=None, components=2, filters=24, features=None, seed=0):
    """Return a network that has seen an image, the image, and its clusters in training."""
    prepared = normalize_image(split_channels(image), mask)
    tensor = torch.from_numpy(prepared.values)[None]
    settings = Settings(components=components, filters=filters, max_clusters=30, seed=seed)
    network = build_network(tensor, settings, features)
    inside = None if mask is None else torch.from_numpy(mask)[None]
    return network, prepared, network(tensor, inside)[0].argmax(0).numpy()


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(2, 90),
    width=st.integers(2, 90),
    tile=st.integers(1, 100),
    components=st.integers(1, 4),
    masked=st.booleans(),
    threads=st.integers(1, 3),
    seed=st.integers(0, 100),
)
def test_tiles_are_the_whole(height, width, tile, components, masked, threads, seed):
    random = np.random.default_rng(seed)
    image = random.random((height, width, 3))
    mask = random.random((height, width)) < 0.8 if masked else None
    if mask is not None:
        mask[0, 0] = True
    network, prepared, _ = trained(image, mask, components, seed=seed)
    whole = predict(network, prepared, tile=1000)
    with threads_of_torch(threads):
        np.testing.assert_array_equal(predict(network, prepared, tile=tile), whole)
    np.testing.assert_array_equal(whole > 0, prepared.valid)


def test_labels_are_chosen_from_the_first_ones(rgb):
    network, prepared, _ = trained(rgb)
    free, bound = predict(network, prepared), predict(network, prepared, n_labels=7)
    assert free.max() > 7 == bound.max()
    np.testing.assert_array_equal(bound[free <= 7], free[free <= 7])
    assert bound.dtype == free.dtype


@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
def test_a_network_labels_its_own_image_as_it_did_in_training(rgb, components, masked):
    mask = np.ones(rgb.shape[:2], bool)
    mask[20:30, :50] = not masked
    network, prepared, clusters = trained(rgb, mask, components)
    labels = predict(network, prepared, tile=32)
    assert np.mean(labels[mask] == clusters[mask] + 1) > 0.999  # but for rounding
    assert not labels[~mask].any()


def test_a_replaced_module_sees_the_image_whole(rgb):
    module = nn.Sequential(nn.Conv2d(3, 8, 7, padding=3), nn.ReLU())
    network, prepared, clusters = trained(rgb, features=module)
    assert np.mean(predict(network, prepared, tile=16) == clusters + 1) > 0.999


def fail_above(monkeypatch, n_pixels):
    """Have memory run out for tiles of more than so many pixels."""
    real = napari_unsupseg.learning.inference._label

    def label(network, image, place, *rest):
        rows, columns = place
        if (rows.stop - rows.start) * (columns.stop - columns.start) > n_pixels:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return real(network, image, place, *rest)

    monkeypatch.setattr(napari_unsupseg.learning.inference, "_label", label)


def test_tiles_are_halved_until_they_fit(grey, monkeypatch):
    image = np.tile(grey, (3, 3))
    network, prepared, _ = trained(image)
    whole = predict(network, prepared)
    fail_above(monkeypatch, 50 * 50)
    with pytest.warns(UserWarning, match=r"tiles of \d+ × \d+") as caught:
        labels = predict(network, prepared, tile=128)
    assert [re.search(r"\d+", str(warning.message))[0] for warning in caught] == ["64", "32"]
    np.testing.assert_array_equal(labels, whole)


@pytest.mark.filterwarnings("ignore:.*tiles of:UserWarning")
def test_memory_too_small_for_the_smallest_tile(grey, monkeypatch):
    network, prepared, _ = trained(grey)
    fail_above(monkeypatch, 0)
    with pytest.raises(OutOfMemoryError, match="fewer filters"):
        predict(network, prepared)


def test_the_tile_follows_the_free_memory(grey, monkeypatch):
    network, prepared, _ = trained(np.tile(grey, (4, 4)))
    places = []
    real = napari_unsupseg.learning.inference._label

    def label(network, image, place, *rest):
        places.append(place)
        return real(network, image, place, *rest)

    monkeypatch.setattr(napari_unsupseg.learning.inference, "_label", label)
    for free in (10**12, 10**7):
        places.clear()
        monkeypatch.setattr(
            napari_unsupseg.learning.inference, "free_bytes", lambda _, free=free: free
        )
        predict(network, prepared)
        side = max(rows.stop - rows.start for rows, _ in places)
        assert (side > 64) == (free == 10**12)
