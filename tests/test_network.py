import pytest
import torch
from torch import nn

from napari_unsupseg.errors import SettingError
from napari_unsupseg.network import build_network
from napari_unsupseg.settings import Settings

IMAGE = torch.rand(1, 3, 12, 17, generator=torch.Generator().manual_seed(0))


def test_weights_follow_xaviers_uniform_rule_and_biases_are_zero():
    network = build_network(IMAGE, Settings(filters=64, max_clusters=50))
    layers = [*network.features, network.classifier]
    assert len(layers) == 3
    for layer in layers:
        weight = layer.weight.detach()
        n_out, n_in, height, width = weight.shape
        bound = (6 / ((n_in + n_out) * height * width)) ** 0.5
        assert weight.abs().max() <= bound
        assert weight.abs().max() > 0.95 * bound
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)
    assert not any(component.bias.any() for component in network.features)


def test_the_global_random_state_is_left_alone():
    before = torch.random.get_rng_state()
    build_network(IMAGE, Settings(seed=3))
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_seed_decides_the_weights():
    first, same, other = (build_network(IMAGE, Settings(seed=seed)) for seed in (1, 1, 2))
    weights = [torch.cat([p.flatten() for p in n.parameters()]) for n in (first, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        pytest.param(nn.Conv2d(3, 8, 3), "must keep the size", id="shrinks"),
        pytest.param(nn.Conv2d(1, 8, 3, padding=1), "cannot take an image", id="other channels"),
        pytest.param(nn.Flatten(), "must keep the size", id="no image"),
    ],
)
def test_features_that_do_not_fit(features, sentence):
    with pytest.raises(SettingError, match=sentence):
        build_network(IMAGE, Settings(), features)
