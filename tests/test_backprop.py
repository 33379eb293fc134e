import threading
import time

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import napari_unsupseg.strips
from napari_unsupseg.backprop import Backpropagation
from napari_unsupseg.network import Network, build_network
from napari_unsupseg.settings import Settings
from napari_unsupseg.strips import Bands, Frame, Moments

from .conftest import threads_of_torch


def responses(network: Network, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Compute (N, q) by torch's own layers, whose gradients autograd knows."""
    inside = mask.flatten()
    convolve = F.conv2d if mask.ndim == 2 else F.conv3d
    maps = image
    for component in network.features:
        maps = F.relu(convolve(maps, component.weight, component.bias, padding=1))
        maps = at_pixels(maps, inside, component.normalisation)
    maps = at_pixels(convolve(maps, network.classifier.weight), inside, network.normalisation)
    return maps.flatten(2)[0, :, inside].T


def steps_between_neighbours(found: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean differences along each axis together, of responses (N, q)."""
    maps = found.new_zeros(*mask.shape, found.shape[1])
    maps[mask] = found
    total = 0
    for axis in range(mask.ndim):
        near, far = (at.moveaxis(axis, 0) for at in (maps, mask))
        steps = (near[1:] - near[:-1])[far[1:] & far[:-1]].abs()
        total += steps.mean() if steps.numel() else 0
    return total


def at_pixels(maps: torch.Tensor, inside: torch.Tensor, norm: nn.Module) -> torch.Tensor:
    flat = maps.flatten(2)[:, :, inside]
    normal = F.batch_norm(flat, None, None, norm.weight, norm.bias, training=True)
    result = torch.zeros_like(maps).flatten(2)
    result[:, :, inside] = normal
    return result.view_as(maps)


def some_case(components: int, size: tuple[int, ...], share: float, seed: int):
    """Return a network with weights of all sorts, an image, a mask and a target, in float64."""
    generator = torch.Generator().manual_seed(seed)
    draw = {"generator": generator, "dtype": torch.float64}
    mask = torch.rand(size, **draw) < share
    mask.view(-1)[[0, -1]] = True
    image = torch.rand(1, 3, *size, **draw) * mask
    network = build_network(image, Settings(components=components, filters=7, max_clusters=6))
    network.double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, **draw)
    return network, image, mask, torch.randint(6, size, generator=generator)


@settings(max_examples=40, deadline=None)
@given(
    components=st.integers(1, 4),
    size=st.one_of(
        st.tuples(st.integers(2, 14), st.integers(2, 14)),
        st.tuples(st.integers(1, 5), st.integers(2, 7), st.integers(2, 6)),
    ),
    share=st.sampled_from([0.6, 1.0]),
    strip_pixels=st.integers(1, 100),
    threads=st.integers(1, 3),
    weights=st.sampled_from([None, (0.5, 1, 2, 0, 3, 1)]),
    continuity=st.sampled_from([0, 5]),
    seed=st.integers(0, 1000),
)
def test_gradients_are_those_of_autograd(
    components, size, share, strip_pixels, threads, weights, continuity, seed
):
    network, image, mask, target = some_case(components, size, share, seed)
    expected = responses(network, image, mask)
    weights = weights and torch.tensor(weights, dtype=torch.float64)
    loss = F.cross_entropy(expected, target[mask], weights, reduction="sum") / mask.sum()
    loss += continuity * steps_between_neighbours(expected, mask)
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    with pytest.MonkeyPatch.context() as patch, threads_of_torch(threads):
        patch.setitem(napari_unsupseg.strips.STRIP_PIXELS, "cpu", strip_pixels)
        patch.setattr(napari_unsupseg.strips, "BAND_PIXELS", 1)
        passes = Backpropagation(
            network, image, None if mask.all() else mask, torch.float64, continuity
        )
        clusters = passes.forward()
        assert torch.equal(clusters[mask], expected.argmax(1))
        of_pixels = weights if weights is None else weights[target]
        torch.testing.assert_close(passes.backward(target, of_pixels), loss.detach())
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-6, atol=1e-9)


def test_a_replaced_module_gets_the_gradients_of_autograd():
    module = nn.Conv2d(3, 5, 3, padding=1).double()
    image = torch.rand(1, 3, 9, 11, dtype=torch.float64)
    network = build_network(image, Settings(max_clusters=6), module).double()
    target = torch.randint(6, (9, 11))
    maps = F.conv2d(network.features(image), network.classifier.weight).flatten(2)
    norm = network.normalisation
    expected = F.batch_norm(maps, None, None, norm.weight, norm.bias, training=True)[0].T
    loss = F.cross_entropy(expected, target.flatten())
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    passes = Backpropagation(network, image, None, torch.float64)
    passes.forward()
    torch.testing.assert_close(passes.backward(target), loss.detach())
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_a_map_far_from_zero_is_normalised_as_well():
    network, image, mask, _ = some_case(1, (12, 13), 1.0, 0)
    with torch.no_grad():
        network.features.components[0].bias += 300
    expected = responses(network, image, mask).argmax(1)
    single = Backpropagation(network.float(), image.float())
    agreement = (single.forward().flatten() == expected).float().mean()
    assert agreement > 0.95


def test_what_lies_outside_the_mask_does_not_matter():
    network, image, mask, target = some_case(3, (20, 16), 1.0, 0)
    mask[:, 9:] = False
    results = []
    for value in (0, 5):
        other = image.clone()
        other[..., 10:] = value  # the column beside the mask's edge is 0, as images are prepared
        other[..., 9] = 0
        passes = Backpropagation(network, other, mask, torch.float64)
        results.append((passes.forward()[mask], passes.backward(target)))
    assert torch.equal(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]


@pytest.mark.parametrize("share", [1.0, 0.7], ids=["whole", "masked"])
def test_bfloat16_features_give_nearly_the_same_gradients(share):
    network, image, mask, target = some_case(2, (32, 35), share, 0)
    mask = None if mask.all() else mask
    network.float()
    gradients = []
    for precision in (torch.float32, torch.bfloat16):
        passes = Backpropagation(network, image.float(), mask, precision)
        passes.forward()
        passes.backward(target)
        gradients.append([parameter.grad.flatten() for parameter in network.parameters()])
    for exact, rounded in zip(*gradients, strict=True):
        if exact.norm() > 1e-6:  # the last shift has no gradient: the next normalisation undoes it
            assert F.cosine_similarity(exact, rounded, dim=0) > 0.95
            assert rounded.norm() == pytest.approx(exact.norm().item(), rel=0.1)


@pytest.fixture
def in_three_bands(monkeypatch):
    monkeypatch.setattr(napari_unsupseg.strips, "BAND_PIXELS", 1)
    with threads_of_torch(3):
        yield


def test_an_error_in_one_band_is_told_when_all_have_ended(in_three_bands):
    bands, ended = Bands(Frame.of(torch.zeros(1, 3, 30, 10), None)), []

    def fail_in_the_first(band):
        if next(iter(band.strips()))[0] == 0:
            raise MemoryError("no room")
        time.sleep(0.05)
        ended.append(band)

    with pytest.raises(MemoryError, match="no room"):
        bands.each(fail_in_the_first)
    assert len(ended) == 2


def test_no_thread_outlives_the_passes(in_three_bands):
    network, image, _, target = some_case(2, (30, 20), 1.0, 0)
    before = set(threading.enumerate())
    passes = Backpropagation(network, image, precision=image.dtype)
    passes.forward()
    passes.backward(target)
    own = {one for one in threading.enumerate() if one.name.startswith("unsupseg")} - before
    assert own
    del passes
    for thread in own:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("share", [0.05, 0.9, 1.0])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("mean", "deviation"), [(0, 1), (30, 1), (30, 0), (0.01, 1e-4)])
def test_moments_are_those_of_pixels_that_take_part(
    in_three_bands, share, precision, mean, deviation
):
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 1, 60, 40, generator=generator)
    mask = torch.rand(60, 40, generator=generator) < share
    values = mean + deviation * torch.randn(60, 40, 20, generator=generator)
    maps = (values * mask[..., None]).to(precision)
    bands = Bands(Frame.of(image, None if share == 1 else mask))

    def gather(band):
        moments = Moments(band)
        for first, last in band.strips():
            moments.add(maps[first:last], first, last)
        return moments

    found_mean, found_variance = Moments.pooled(bands.each(gather))
    inside = maps[mask].double()
    assert found_variance.dtype == torch.float32
    assert (found_variance >= 0).all()
    torch.testing.assert_close(found_mean, inside.mean(0).float(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        found_variance,
        inside.var(0, correction=0).float(),
        rtol=1e-4,
        atol=1e-5 * max(mean, 1e-3) ** 2,
    )
