"""How seldom labels and colours are neighbours."""

import numpy as np
import pytest

from napari_unsupseg.regions.graph_builder import build_region_graph
from napari_unsupseg.regions.rarity import (
    DISTANCE,
    N_COLOURS,
    neighbour_rarities,
    quantize_colours,
    sample_pairs,
)

ALL = np.ones((30, 40), dtype=bool)


@pytest.mark.parametrize(
    ("steps", "distances"),
    [
        pytest.param([1.0, 1], [DISTANCE, DISTANCE], id="the same along both axes"),
        pytest.param([1.0, 4], [DISTANCE, DISTANCE // 4], id="pixels four times as long"),
        pytest.param([100.0, 1], [1, DISTANCE], id="at least a pixel"),
    ],
)
def test_pairs_lie_apart_along_each_axis(steps, distances):
    near, far = sample_pairs(ALL, np.array(steps))
    rows, columns = np.array(np.divmod(far, 40)) - np.divmod(near, 40)
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == {
        (distances[0], 0),
        (0, distances[1]),
    }
    assert len(near) == (30 - distances[0]) * 40 + 30 * (40 - distances[1])


def test_pairs_are_of_pixels_that_take_part_and_frames_have_their_own():
    valid = np.random.default_rng(0).random((3, 30, 40)) < 0.5
    pairs = sample_pairs(valid, np.ones(2))
    assert valid.ravel()[pairs].all()
    frames = pairs // (30 * 40)
    np.testing.assert_array_equal(*frames)


def test_pairs_of_a_large_image_are_evenly_spread():
    near, _ = sample_pairs(np.ones((600, 700), dtype=bool), np.ones(2))
    assert 100_000 < len(near) < 200_000
    in_quarters = np.bincount(near // (600 * 700 // 4), minlength=4) / len(near)
    assert in_quarters.min() > 0.24


def test_pairs_of_an_image_that_is_smaller_than_their_distance():
    assert sample_pairs(np.ones((3, 5), dtype=bool), np.ones(2)).shape == (2, 0)


def test_a_boundary_is_rare_and_a_texture_is_not():
    labels = np.tile(np.arange(40) // 4 % 2, (30, 1)).astype(np.uint8)  # stripes of 0 and 1
    labels[:, 28:] = 2  # and a thing
    rarities = neighbour_rarities(labels, sample_pairs(ALL, np.array([1.0, 2])), 4)
    assert rarities.shape == (4, 4)
    np.testing.assert_array_equal(rarities, rarities.T)
    assert (np.diag(rarities) == 0).all()
    assert rarities[0, 1] < 0.5 < rarities[1, 2]
    assert rarities[0, 3] == 1  # there is no 3


@pytest.mark.parametrize("n", [1, 2, N_COLOURS, 60])
def test_a_palette_has_the_colours_of_the_image_if_these_are_few(n):
    colours = np.random.default_rng(0).random((n, 3), dtype=np.float32)
    of = np.arange(30 * 40).reshape(30, 40) % n
    shades = quantize_colours(colours[of], ALL)
    assert shades.dtype == np.uint8
    n_shades = len(np.unique(shades))
    assert n_shades == min(n, N_COLOURS)
    assert len(np.unique(np.stack([shades, of]).reshape(2, -1), axis=1).T) == n


def test_pixels_that_take_no_part_have_no_say_in_a_palette():
    colours = np.zeros((30, 40, 1), dtype=np.float32)
    colours[:, 20:] = 1
    colours[:15] = np.random.default_rng(0).random((15, 40, 1))
    valid = ALL.copy()
    valid[:15] = False
    shades = quantize_colours(colours, valid)
    assert len(np.unique(shades)) == 2


def test_rarities_along_borders_are_means_of_labels_and_colours():
    # four quarters: labels change from left to right, colours from top to bottom
    regions = np.kron([[0, 1], [2, 3]], np.ones((20, 20), dtype=np.int64))
    history = [(1 + regions % 2).astype(np.uint8)] * 3
    colours = (regions // 2).astype(np.float32)[..., np.newaxis]
    borders = build_region_graph(regions, colours, history, [1]).borders
    found = dict(zip(map(tuple, borders.pairs), borders.rarity_sums / borders.lengths, strict=True))
    # along rows 320 pairs are of both labels and 480 of either with itself, along columns 640 are
    assert found[0, 1] == pytest.approx(0.4 * (1 - 320 / (2 * (480 + 640))))
    assert found[2, 3] == pytest.approx(found[0, 1])
    # a blurred step is of some shades, which are neighbours elsewhere too, or never
    assert 0.3 < found[0, 2] < 0.601
    tiny = build_region_graph(regions, colours, history, [1], are_tiny=True)
    assert tiny.borders.rarity_sums.tolist() == [0] * len(tiny.borders.pairs)
