"""What the finest segments are: basins that follow edges, not noise."""

import numpy as np
import pytest

from napari_unsupseg._generators import run_to_end
from napari_unsupseg.regions.fragments import estimate_noise, oversegment, watershed_basins
from napari_unsupseg.regions.labels import connected_components

ALL = np.ones((96, 128), dtype=bool)


def noisy(level: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, level, (*ALL.shape, 1))
    return noise.astype(np.float32)


@pytest.mark.parametrize("level", [0.01, 0.1, 0.3])
def test_noise_is_estimated_beside_edges(level):
    image = noisy(level)
    image[:, 64:] += 1
    assert estimate_noise(image, ALL) == pytest.approx(level, rel=0.05)
    both = np.concatenate([image, image], axis=-1)
    assert estimate_noise(both, ALL) == pytest.approx(level * 2**0.5, rel=0.05)


def test_pixels_that_take_no_part_are_no_noise():
    image, valid = noisy(0.1), ALL.copy()
    valid[:, 40:] = False
    image[:, 40:] = 0
    assert estimate_noise(image, valid) == pytest.approx(0.1, rel=0.1)
    assert estimate_noise(image, np.zeros_like(valid)) == 0


def test_the_more_noise_the_fewer_basins():
    counts = [watershed_basins(noisy(level), ALL).max() for level in (0.001, 0.05, 0.2)]
    assert counts[0] > counts[1] > 2 * counts[2]
    assert counts[2] < ALL.size / 20


def test_basins_are_connected_and_end_at_edges():
    image = noisy(0.01)
    rows, columns = np.ogrid[:96, :128]
    disc = (rows - 48) ** 2 + (columns - 64) ** 2 < 30**2
    image[disc] += 0.5
    found = watershed_basins(image, ALL)
    np.testing.assert_array_equal(
        np.unique(connected_components(found + 1)), np.arange(1, found.max() + 2)
    )
    shares = np.bincount(found.ravel(), disc.ravel()) / np.bincount(found.ravel())
    assert ((shares[found] > 0.5) == disc).mean() > 0.995


def test_even_slopes_are_divided_by_a_grid():
    ramp = np.linspace(0, 1, 128, dtype=np.float32)[np.newaxis, :, np.newaxis].repeat(96, axis=0)
    for image in (ramp, np.zeros_like(ramp)):
        found = watershed_basins(image, ALL)
        assert found.max() >= ALL.size / 64 - 1
        assert np.bincount(found.ravel()).max() <= 4 * 64


def test_an_even_image_is_a_grid():
    rows, columns = np.mgrid[:20, :30]
    found = watershed_basins(np.zeros((20, 30, 1), np.float32), np.ones((20, 30), dtype=bool))
    np.testing.assert_array_equal(found, rows // 8 * 4 + columns // 8)


def test_pixels_that_take_no_part_are_in_no_basin():
    mask = ALL.copy()
    mask[:, 60:70] = False
    found = watershed_basins(noisy(0.1), mask)
    np.testing.assert_array_equal(found >= 0, mask)
    assert not set(np.unique(found[:, :60])) & set(np.unique(found[:, 70:]))


def test_planes_far_apart_are_not_blurred_into_each_other():
    image = np.random.default_rng(0).normal(0, 0.1, (9, 30, 30, 1)).astype(np.float32)
    image[3:6] += 0.5
    mask = np.ones(image.shape[:3], dtype=bool)
    bright = np.zeros_like(mask)
    bright[3:6] = True
    right = []
    for spacing in ((1, 1, 1), (5, 1, 1)):
        found = watershed_basins(image, mask, spacing)
        shares = np.bincount(found.ravel(), bright.ravel()) / np.bincount(found.ravel())
        right.append(((shares[found] > 0.5) == bright).mean())
    assert right[1] > 0.95 > right[0]


@pytest.mark.parametrize("has_strokes", [False, True], ids=["without strokes", "with strokes"])
def test_fragments_are_about_a_hundred_pixels_each(has_strokes):
    image, history = noisy(0.05), [np.ones(ALL.shape, dtype=np.uint8)]
    strokes = np.zeros(ALL.shape, dtype=np.uint8)
    strokes[10, 10:50], strokes[11, 10:50] = 1, 2
    fragments = run_to_end(oversegment(image, ALL, history, [1], strokes if has_strokes else None))
    n = fragments.max() + 1
    assert n == pytest.approx(ALL.size / 100, rel=0.05)
    assert connected_components(fragments + 1).max() == n
    if has_strokes:
        pairs = np.unique(np.stack([fragments[strokes > 0], strokes[strokes > 0]]), axis=1)
        assert len(np.unique(pairs[0])) == pairs.shape[1], "a fragment has strokes of one label"


@pytest.mark.parametrize(("width", "n_fragments"), [(9, 1), (19, 1), (20, 2), (35, 3)])
def test_the_number_of_fragments(width, n_fragments):
    colours = np.zeros((10, width, 1), dtype=np.float32)
    valid, history = np.ones((10, width), dtype=bool), [np.ones((10, width), dtype=np.uint8)]
    fragments = run_to_end(oversegment(colours, valid, history, [1]))
    np.testing.assert_array_equal(np.unique(fragments), np.arange(n_fragments))
    valid[:3, :4] = False
    without = run_to_end(oversegment(colours, valid, history, [1]))
    np.testing.assert_array_equal(without == -1, ~valid)
    assert without.min() == -1
