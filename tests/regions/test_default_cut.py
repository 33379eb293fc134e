"""The default cut says something of what microscopes see, and nothing of what is not there."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.filters import threshold_otsu

from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.regions.hierarchy_builder import build_hierarchy
from napari_unsupseg.regions.labels import connected_components


def points(side: int, sigma: float, pixels_each: int, seed: int) -> np.ndarray:
    """Return blurred points on black, their greatest value 1."""
    rng = np.random.default_rng(seed)
    image = np.zeros((side, side))
    places = rng.integers(0, side, (side**2 // pixels_each, 2))
    image[tuple(places.T)] = 1
    image = gaussian_filter(image, sigma)
    return image / image.max()


def with_noise(image: np.ndarray, level: float) -> np.ndarray:
    return image + np.random.default_rng(0).normal(0, level, image.shape)


def histories(image) -> dict[str, list[np.ndarray]]:
    """Return a history that says nothing, and one of thresholds."""
    values = image.values[0]
    thresholds = [np.digitize(gaussian_filter(values, s), (0.2, 0.5)) + 1 for s in (0, 1, 2)]
    return {
        "nothing": [np.ones(values.shape, dtype=np.uint8)],
        "thresholds": [labels.astype(np.uint8) for labels in thresholds],
    }


@pytest.mark.parametrize("history", ["nothing", "thresholds"])
@pytest.mark.parametrize(
    "image",
    [
        pytest.param(points(256, 1, 400, 0), id="spots on exact black"),
        pytest.param(points(512, 1, 400, 0), id="spots on exact black, four times as many"),
        pytest.param(with_noise(points(256, 2, 1600, 1), 0.02), id="spots in noise"),
        pytest.param(with_noise(points(256, 5, 6400, 2), 0.05), id="blobs in noise"),
        pytest.param(255 - 200 * points(256, 5, 6400, 2), id="dark blobs"),
    ],
)
def test_what_otsu_finds_is_found(image, history):
    prepared = normalize_image(split_channels(image))
    cut = build_hierarchy(prepared, histories(prepared)[history]).cut()
    foreground = image > threshold_otsu(image)
    if np.median(image) > image.mean():
        foreground = ~foreground
    things = connected_components(foreground.astype(np.uint8))
    sizes = np.bincount(things.ravel())
    both = np.zeros((things.max() + 1, cut.max() + 1))
    np.add.at(both, (things, cut), 1)
    overlap = both / (sizes[:, np.newaxis] + both.sum(axis=0) - both)
    found = overlap[1:, 1:].max(axis=1)[sizes[1:] >= 8] > 0.3
    assert found.mean() > 0.8
    # and not much else
    assert cut.max() < 2 * len(sizes)


@pytest.mark.parametrize("side", [256, 512])
@pytest.mark.parametrize("kind", ["Poisson", "normal", "uniform"])
def test_noise_has_no_segments(kind, side):
    rng = np.random.default_rng(0)
    draw = {"Poisson": lambda s: rng.poisson(20, s), "normal": lambda s: rng.normal(0, 1, s)}
    image = draw.get(kind, rng.random)((side, side))
    prepared = normalize_image(split_channels(image))
    assert build_hierarchy(prepared, histories(prepared)["nothing"]).cut().max() < 5


def test_a_thing_in_a_volume_of_thick_slices():
    rng = np.random.default_rng(0)
    planes, rows, columns = np.ogrid[:9, :60, :60]
    ball = ((planes - 4) * 4) ** 2 + (rows - 30) ** 2 + (columns - 30) ** 2 < 14**2
    image = ball + rng.normal(0, 0.1, ball.shape)
    prepared = normalize_image(split_channels(image, "zyx"), spatial_ndim=3, spacing=(4, 1, 1))
    cut = build_hierarchy(prepared, [np.ones(ball.shape, dtype=np.uint8)]).cut()
    inside = np.bincount(cut[ball]).argmax()
    assert ((cut == inside) & ball).sum() / ((cut == inside) | ball).sum() > 0.8
