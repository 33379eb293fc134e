import math

import numpy as np
import pytest
from scipy import ndimage

from napari_unsupseg.regions import foreground as foreground_module
from napari_unsupseg.regions.foreground import principal_intensities, refine_outlines
from napari_unsupseg.regions.splitting import split_touching
from tests.regions.helpers import PLANE, ball, hierarchy_of

CENTRES = [(20, 20), (22, 75), (60, 45), (90, 22), (92, 90)]


def discs(radius=11, shape=(112, 112)):
    return np.any([ball(shape, centre, (radius, radius)) for centre in CENTRES], axis=0)


def noisy(image, sigma=0.03):
    return image + np.random.default_rng(0).normal(0, sigma, image.shape)


def clusters_of(image, n_levels=3):
    """Return about what a run finds: levels of the smoothed image."""
    smooth = ndimage.gaussian_filter(image, 1)
    edges = np.linspace(smooth.min(), smooth.max(), n_levels + 1)[1:-1]
    return (np.digitize(smooth, edges) + 1).astype(np.uint8)


def iou(found, truth):
    return (found & truth).sum() / (found | truth).sum()


@pytest.mark.parametrize(
    ("image", "truth"),
    [
        pytest.param(discs() * 0.8, discs(), id="bright"),
        pytest.param(1 - discs() * 0.8, discs(), id="dark"),
        pytest.param(discs() * 0.8 + np.linspace(0, 0.4, 112), discs(), id="uneven ground"),
        pytest.param(discs() * 0.5 + (discs() & ~discs(8)) * 0.5, discs(), id="with bright rims"),
    ],
)
def test_what_stands_out_is_found_bright_or_dark(image, truth):
    image = noisy(image)
    hierarchy = hierarchy_of(image, history=[clusters_of(image, 4)])
    objects = hierarchy.objects()
    assert objects.max() == len(CENTRES)
    assert iou(objects > 0, truth) > 0.9


@pytest.mark.parametrize("is_dark", [False, True], ids=["bright walls", "dark walls"])
@pytest.mark.parametrize("thickness", [1, 2, 6], ids="walls of {} pixels".format)
def test_cells_that_fill_the_image_are_told_apart_by_their_walls(thickness, is_dark):
    side, n_cells = 160, 5
    rows, columns = np.indices((side, side)) * n_cells / side % 1
    off_middle = np.maximum(abs(rows - 0.5), abs(columns - 0.5)) * side / n_cells
    walls = off_middle > (side / n_cells - thickness) / 2
    image = noisy(ndimage.gaussian_filter(walls.astype(float), 0.7))
    image = 1 - image if is_dark else image
    # the network has a cluster for what is far from walls, and one for all that is near them
    clusters = np.where(ndimage.uniform_filter(walls.astype(float), 3) > 0.99, 2, 1).astype(
        np.uint8
    )
    objects = hierarchy_of(image, history=[clusters]).objects()
    assert objects.max() == n_cells**2
    assert iou(objects > 0, ~walls) > 0.8


@pytest.mark.parametrize("step", [2, 3])
def test_of_rivals_in_a_large_frame_some_pixels_tell_the_better(step, monkeypatch):
    image = noisy(discs() * 0.8 + 0.4 * ~ndimage.binary_dilation(discs(), iterations=4))
    whole = hierarchy_of(image, history=[clusters_of(image, 4)]).objects()
    seen = []

    def count(foreground, spacing):
        seen.append((foreground.shape, tuple(spacing)))
        return split_touching(foreground, spacing)

    monkeypatch.setattr(foreground_module, "split_touching", count)
    monkeypatch.setattr(foreground_module, "JUDGED_PIXELS", image.size / step**2)
    sampled = hierarchy_of(image, history=[clusters_of(image, 4)]).objects()
    side = math.ceil(112 / step)
    assert set(seen) == {((side, side), (step, step))}
    np.testing.assert_array_equal(sampled, whole)


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(np.ones((40, 40)), id="constant"),
        pytest.param(np.random.default_rng(0).random((96, 96)), id="noise"),
        pytest.param(np.tile(np.linspace(0, 1, 96), (96, 1)), id="a ramp"),
        pytest.param(np.kron(np.arange(2), np.ones((96, 48))), id="two halves"),
    ],
)
def test_an_image_without_objects_has_none(image):
    assert hierarchy_of(image, history=[clusters_of(image)]).objects().max() == 0


def test_outlines_lie_half_way_up_a_blurred_edge():
    image = noisy(ndimage.gaussian_filter(discs().astype(float), 2), 0.01)
    valid = np.ones(image.shape, bool)
    for wrong in (discs(8), discs(14)):
        refined = refine_outlines(wrong, image, valid, PLANE)
        assert iou(refined, discs()) > 0.9 > 0.7 > iou(wrong, discs())


def test_small_holes_are_filled_and_large_ones_are_not():
    image = noisy(discs() * 0.8)
    small, large = ball(image.shape, (20, 20), (2, 2)), ball(image.shape, (60, 45), (5, 5))
    image[small | large] = 0
    refined = refine_outlines(discs() & ~small & ~large, image, np.ones(image.shape, bool), PLANE)
    assert refined[20, 20]
    assert not refined[60, 45]


@pytest.mark.parametrize("foreground", [np.zeros((9, 9), bool), np.ones((9, 9), bool)])
def test_without_objects_or_ground_there_is_no_outline_to_move(foreground):
    image = np.random.default_rng(0).random((9, 9))
    refined = refine_outlines(foreground, image, np.ones((9, 9), bool), PLANE)
    np.testing.assert_array_equal(refined, foreground)


def test_what_takes_no_part_is_no_object():
    image = noisy(discs() * 0.8)
    valid = np.ones(image.shape, bool)
    valid[:, :25] = False
    hierarchy = hierarchy_of(image, valid, [np.where(valid, clusters_of(image), 0)])
    assert not hierarchy.objects()[~valid].any()


def test_of_several_channels_that_counts_which_varies_most():
    random = np.random.default_rng(0).random
    varied, even = random((20, 20)), np.full((20, 20), 0.5)
    colours = np.stack([even, varied, even], axis=-1).astype(np.float32)
    found = principal_intensities(colours, np.ones((20, 20), bool))
    np.testing.assert_allclose(found, varied - varied.mean(), atol=1e-6)
