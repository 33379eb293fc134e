import pytest
import torch
from torch import nn

from napari_unsupseg.errors import SettingError
from napari_unsupseg.network import build_network
from napari_unsupseg.settings import Settings

IMAGE = torch.rand(1, 3, 12, 17, generator=torch.Generator().manual_seed(0))


def order_of_operations(network: nn.Module, image: torch.Tensor) -> list[str]:
    """Return the operations that a forward pass records, first to last."""
    node, names = network(image).grad_fn, []
    while node is not None:
        names.append(node.name())
        node = next((parent for parent, _ in node.next_functions if parent is not None), None)
    wanted = {"ConvolutionBackward0": "convolution", "ReluBackward0": "ReLU"}
    norms = {"NativeBatchNormBackward0": "norm"}
    known = wanted | norms
    return [known[name] for name in reversed(names) if name in known]


@pytest.mark.parametrize("components", [1, 2, 5])
def test_components_are_convolution_then_relu_then_batch_norm(components):
    network = build_network(IMAGE, Settings(components=components, filters=4, max_clusters=5))
    component = ["convolution", "ReLU", "norm"]
    assert order_of_operations(network, IMAGE) == component * components + ["convolution", "norm"]


@pytest.mark.parametrize("pixels", [None, torch.arange(0, 200, 3)], ids=["all", "some"])
def test_responses_are_normalised_over_the_pixels_that_take_part(pixels):
    network = build_network(IMAGE, Settings(filters=6, max_clusters=7))
    responses = network(IMAGE, pixels).detach()
    assert responses.shape == (12 * 17 if pixels is None else len(pixels), 7)
    assert responses.dtype == torch.float32
    torch.testing.assert_close(responses.mean(dim=0), torch.zeros(7), atol=1e-5, rtol=0)
    torch.testing.assert_close(responses.var(dim=0, correction=0), torch.ones(7), atol=1e-2, rtol=0)


def test_pixels_that_take_no_part_do_not_reach_the_others():
    network = build_network(IMAGE, Settings(filters=6, max_clusters=7))
    inside = torch.arange(12 * 17).reshape(12, 17)[:, :8].flatten()
    other = IMAGE.clone()
    other[..., 8:] = 0
    changed = other.clone()
    changed[..., 12:] = 1  # further away than the network looks
    torch.testing.assert_close(network(other, inside), network(changed, inside))


def test_weights_follow_xaviers_uniform_rule_and_biases_are_zero():
    network = build_network(IMAGE, Settings(filters=64, max_clusters=50))
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    assert len(convolutions) == 3
    for convolution in convolutions:
        weight = convolution.weight.detach()
        n_out, n_in, height, width = weight.shape
        bound = (6 / ((n_in + n_out) * height * width)) ** 0.5
        assert weight.abs().max() <= bound
        assert weight.abs().max() > 0.95 * bound
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)
        assert convolution.bias is None or not convolution.bias.any()


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
        pytest.param(nn.Conv2d(3, 8, 3), "must keep height and width", id="shrinks"),
        pytest.param(nn.Conv2d(1, 8, 3, padding=1), "cannot take an image", id="other channels"),
        pytest.param(nn.Flatten(), "must keep height and width", id="no image"),
    ],
)
def test_features_that_do_not_fit(features, sentence):
    with pytest.raises(SettingError, match=sentence):
        build_network(IMAGE, Settings(), features)
