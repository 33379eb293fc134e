import re

import pytest
import torch
from torch import nn

from napari_unsupseg.errors import SettingError
from napari_unsupseg.learning.network import build_network
from napari_unsupseg.settings import Settings

from ..conftest import run_python

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


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
def test_gradients_of_a_single_small_volume_are_found_the_fast_way():
    script = """
import torch
from torch.backends import mkldnn
from napari_unsupseg.learning.network import build_network
from napari_unsupseg.settings import Settings
image = torch.rand(1, 1, 9, 20, 20)
features = build_network(image, Settings(filters=4)).features(image)
with mkldnn.verbose(mkldnn.VERBOSE_ON):
    features.sum().backward()
"""
    # of the weights of both components, and of the maps between them
    assert len(re.findall("backward_(?:data|weights)", run_python(script))) == 3


def some_case(shape: tuple[int, ...], share: float = 1.0):
    """Return a network with weights of all sorts, an image, and where it takes part."""
    generator = torch.Generator().manual_seed(0)
    inside = torch.rand(2, *shape, generator=generator) < share
    image = torch.rand(2, 3, *shape, generator=generator) * inside[:, None]
    network = build_network(image, Settings(components=3, filters=7, max_clusters=6))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return network, image, inside


@pytest.mark.parametrize("shape", [(12, 17), (5, 9, 8)], ids=["planes", "volumes"])
@pytest.mark.parametrize("share", [1.0, 0.6], ids=["whole", "masked"])
def test_responses_are_those_of_torch_s_own_layers(shape, share):
    network, image, inside = some_case(shape, share)
    convolution = torch.conv2d if len(shape) == 2 else torch.conv3d

    def normalise(maps, norm):
        rows = maps.movedim(1, -1)[inside]
        mean, variance = rows.mean(0), rows.var(0, correction=0)
        laid = torch.zeros_like(maps).movedim(1, -1)
        laid[inside] = (rows - mean) / (variance + 1e-5).sqrt() * norm.weight + norm.bias
        return laid.movedim(-1, 1)

    maps = image
    for component in network.features:
        maps = convolution(maps, component.weight, component.bias, padding=1).relu()
        maps = normalise(maps, component.normalisation)
    expected = normalise(convolution(maps, network.classifier.weight), network.normalisation)
    torch.testing.assert_close(
        network(image, None if share == 1 else inside), expected, rtol=1e-4, atol=1e-4
    )
    # by the statistics that it has taken
    again = network.eval()(image, inside).movedim(1, -1)[inside]
    torch.testing.assert_close(again, expected.movedim(1, -1)[inside], rtol=1e-4, atol=1e-4)


def test_what_lies_outside_the_mask_does_not_matter():
    network, image, inside = some_case((20, 16))
    inside[..., 9:] = False
    found = []
    for value in (0, 5):
        image[..., 10:] = value  # the column beside the mask's edge is 0, as images are prepared
        image[..., 9] = 0
        found.append(network(image, inside).movedim(1, -1)[inside])
    assert torch.equal(*found)


def test_a_map_far_from_zero_is_normalised_as_well():
    network, image, _ = some_case((12, 13))
    with torch.no_grad():
        network.features.components[0].bias += 300
    single = network(image).argmax(1)
    network.double().precision = torch.float64
    assert (network(image).argmax(1) == single).float().mean() > 0.95


def test_a_single_pixel_that_takes_part_has_responses():
    network, image, inside = some_case((4, 4))
    inside[...] = False
    inside[0, 1, 2] = True
    assert network(image, inside).isfinite().all()


@pytest.mark.parametrize("share", [1.0, 0.7], ids=["whole", "masked"])
def test_bfloat16_features_give_nearly_the_same_responses(share):
    network, image, inside = some_case((32, 35), share)
    exact = network(image, inside)
    network.precision = torch.bfloat16
    rounded = network(image, inside)
    assert rounded.dtype == torch.float32
    agreement = (exact.argmax(1) == rounded.argmax(1))[inside].float().mean()
    assert 0.9 < agreement < 1


def test_a_module_of_one_s_own_stays_in_its_mode():
    module = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)).eval()
    network = build_network(IMAGE, Settings(), module)
    network.train()
    assert network.normalisation.training
    assert not network.features.training
