import math
import re
from types import SimpleNamespace

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
from napari_unsupseg.learning.inference import predict, predict_generator
from napari_unsupseg.learning.network import Network, build_network
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


@pytest.fixture
def tiles_seen(monkeypatch):
    """Return the sizes of the tiles that a network sees, and have memory run out on some."""
    seen = SimpleNamespace(shapes=[], max_pixels=math.inf)
    forward = Network.forward

    def see(network, image, inside=None):
        shape = tuple(image.shape[2:])
        seen.shapes.append(shape)
        if math.prod(shape) > seen.max_pixels:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return forward(network, image, inside)

    monkeypatch.setattr(Network, "forward", see)
    return seen


def test_tiles_are_halved_until_they_fit(grey, tiles_seen):
    image = np.tile(grey, (3, 3))
    network, prepared, _ = trained(image)
    whole = predict(network, prepared)
    tiles_seen.max_pixels = 50 * 50
    with pytest.warns(UserWarning, match=r"tiles of \d+ × \d+") as caught:
        labels = predict(network, prepared, tile=128)
    assert [re.search(r"\d+", str(warning.message))[0] for warning in caught] == ["64", "32"]
    np.testing.assert_array_equal(labels, whole)


def test_tiles_stay_small_in_the_frames_that_follow(grey, tiles_seen):
    movie = normalize_image(split_channels(np.stack([np.tile(grey, (2, 2))] * 3), "tyx"))
    network, _, _ = trained(grey)
    tiles_seen.max_pixels = 70 * 70
    with pytest.warns(UserWarning, match="64 × 64 pixels from here on") as caught:
        predict(network, movie, tile=128)
    assert len(caught) == 1


def test_tiles_are_labelled_once_each(grey, tiles_seen):
    network, prepared, _ = trained(grey)  # 60 × 76
    tiles_seen.shapes.clear()
    shares = list(predict_generator(network, prepared, tile=40))
    # halves of 30 and 38 pixels, and two components' two pixels more at each inner side
    assert tiles_seen.shapes == [(32, 40)] * 4
    assert shares[-1] == 1
    assert shares == sorted(set(shares))


@pytest.mark.filterwarnings("ignore:.*tiles of:UserWarning")
def test_memory_too_small_for_the_smallest_tile(grey, tiles_seen):
    network, prepared, _ = trained(grey)
    tiles_seen.max_pixels = 0
    with pytest.raises(OutOfMemoryError, match="fewer filters"):
        predict(network, prepared)
    assert min(map(min, tiles_seen.shapes)) >= 16


def test_a_caller_s_module_is_not_given_tiles_when_memory_runs_out(rgb, tiles_seen):
    network, prepared, _ = trained(rgb, features=nn.Conv2d(3, 8, 3, padding=1))
    tiles_seen.max_pixels = rgb.size // 6
    with pytest.raises(OutOfMemoryError):
        predict(network, prepared)


@pytest.mark.parametrize(
    ("free", "side"),
    [
        # 24 features and 30 clusters in float32 take 3 · 24 · 4 + 2 · 30 · 4 = 528 bytes a pixel
        pytest.param(4 * 528 * 50**2, 50, id="a quarter of the free memory"),
        pytest.param(4 * 528 * 50**2 - 1, 49, id="just below"),
        pytest.param(10**5, 32, id="never less than the smallest"),
        pytest.param(10**12, 209, id="what a core's cache holds"),  # ⌊√(2²⁰ / 24)⌋
    ],
)
def test_the_tile_follows_the_free_memory(free, side, grey, tiles_seen, monkeypatch):
    network, _, _ = trained(grey)
    # as wide as five tiles along both axes, so that they have just that side
    image = normalize_image(split_channels(np.resize(grey, (5 * side, 5 * side))))
    monkeypatch.setattr(napari_unsupseg.learning.inference, "free_bytes", lambda _: free)
    tiles_seen.shapes.clear()
    predict(network, image)
    assert len(tiles_seen.shapes) == 25
    assert max(tiles_seen.shapes) == (side + 4, side + 4)


def a_network(image, components):
    frame = torch.from_numpy(next(image.frames()).values.copy())[None]
    network = build_network(
        frame, Settings(components=components, filters=12, max_clusters=15, precision="float32")
    )
    network(frame)
    return network


@settings(max_examples=20, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(2, 20), st.integers(2, 20)),
    tile=st.integers(1, 12),
    spatial_ndim=st.sampled_from([2, 3]),
    components=st.integers(1, 3),
    masked=st.booleans(),
)
def test_tiles_of_series_and_volumes_are_the_whole(shape, tile, spatial_ndim, components, masked):
    random = np.random.default_rng(0)
    mask = random.random(shape) < 0.8 if masked else np.ones(shape, bool)
    mask[0, 0, 0] = True
    image = normalize_image(
        split_channels(random.random(shape), "zyx"), mask, spatial_ndim=spatial_ndim
    )
    network = a_network(image, components)
    whole = predict(network, image, tile=1000)
    np.testing.assert_array_equal(predict(network, image, tile=tile), whole)
    np.testing.assert_array_equal(whole > 0, mask)


def test_frames_are_predicted_one_by_one():
    movie = np.random.default_rng(0).random((3, 60, 70))
    image = normalize_image(split_channels(movie, "tyx"))
    network = a_network(image, 2)
    labels = predict(network, image)
    for frame, alone in zip(labels, image.frames(), strict=True):
        np.testing.assert_array_equal(frame, predict(network, alone))
