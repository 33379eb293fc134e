import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from napari_unsupseg.regions.splitting import cut_basins, find_basins, split_touching
from tests.regions.helpers import PLANE, ball


def touching_discs(n_discs, radius=12, apart=20):
    shape = (2 * radius + 6, apart * (n_discs - 1) + 2 * radius + 6)
    centres = [(radius + 3, radius + 3 + apart * index) for index in range(n_discs)]
    return np.any([ball(shape, centre, (radius, radius)) for centre in centres], axis=0)


@pytest.mark.parametrize(
    ("foreground", "n_objects"),
    [
        pytest.param(np.zeros((9, 9), bool), 0, id="nothing"),
        pytest.param(np.ones((9, 9), bool), 1, id="everything"),
        pytest.param(ball((30, 30), (15, 15), (12, 12)), 1, id="a disc"),
        pytest.param(touching_discs(2), 2, id="two discs"),
        pytest.param(touching_discs(5), 5, id="five discs in a row"),
        pytest.param(ball((40, 140), (20, 70), (9, 66)), 1, id="a long ellipse"),
        pytest.param(np.pad(np.ones((14, 100), bool), 5), 1, id="a rod"),
        pytest.param(
            np.pad(np.tri(60, dtype=bool) & ~np.tri(60, k=-9, dtype=bool), 5), 1, id="slanted"
        ),
        pytest.param(np.kron([[1, 0], [1, 1]], np.ones((8, 30))) > 0, 1, id="an angle"),
    ],
)
def test_round_things_that_touch_are_split_and_long_ones_are_not(foreground, n_objects):
    objects = split_touching(foreground, PLANE)
    assert objects.max() == n_objects
    np.testing.assert_array_equal(objects > 0, foreground)


def test_the_cut_runs_through_the_waist():
    discs = touching_discs(2)
    objects = split_touching(discs, PLANE)
    middle = discs.shape[1] // 2
    assert len(np.unique(objects[:, : middle - 2])) == 2  # ground and one object
    assert len(np.unique(objects[:, middle + 3 :])) == 2


@pytest.mark.parametrize(("split", "n_objects"), [(0, 1), (0.05, 1), (0.5, 2), (1, 2)])
def test_the_more_readily_the_more_objects(split, n_objects):
    assert split_touching(touching_discs(2), PLANE, split).max() == n_objects


def test_balls_of_a_volume_with_thick_planes_are_split():
    shape, spacing = (16, 40, 64), np.array([2.0, 1, 1])
    balls = ball(shape, (8, 20, 20), (6, 12, 12)) | ball(shape, (8, 20, 41), (6, 12, 12))
    assert split_touching(balls, spacing).max() == 2


def test_frames_have_no_object_in_common():
    frames = np.stack([touching_discs(2), np.zeros_like(touching_discs(2)), touching_discs(2)])
    objects = split_touching(frames, PLANE)
    assert [np.unique(frame[frame > 0]).tolist() for frame in objects] == [[1, 2], [], [3, 4]]


def test_basins_climb_to_the_nearest_maximum_and_merge_from_the_widest_pass_on():
    # discs of three sizes: 1 and 2 have a pass of five pixels, 2 and 3 one of three
    discs = np.zeros((27, 64), bool)
    for column, radius in ((11, 10), (29, 9), (46, 9)):
        discs |= ball(discs.shape, (13, column), (radius, radius))
    basins = find_basins(discs, PLANE)
    assert (basins.numbers < 0).tolist() == (~discs).tolist()
    first, second, third = (basins.numbers[13, column] for column in (11, 29, 46))
    assert len({first, second, third}) == 3
    assert basins.numbers[13, 2] == first
    assert basins.numbers[13, 54] == third
    assert set(basins.merges[0]) == {first, second}
    assert set(basins.merges[-1]) == {third, 3}
    np.testing.assert_array_equal(basins.areas[:3], np.bincount(basins.numbers[discs]))
    assert basins.areas[-1] == discs.sum()


@settings(deadline=None)  # what is compiled takes seconds
@given(foreground=arrays.arrays("?", st.sampled_from([(12, 13), (2, 8, 9)])))
def test_one_set_of_basins_serves_every_split(foreground):
    basins = find_basins(foreground, PLANE)
    counts = [int(cut_basins(basins, split).max()) for split in (0, 0.2, 0.5, 0.8, 1)]
    assert counts == sorted(counts)
    frames = foreground.reshape(-1, *foreground.shape[-2:])
    assert counts[0] == sum(ndimage.label(frame)[1] for frame in frames)


@settings(deadline=None)  # what is compiled takes seconds
@given(
    foreground=arrays.arrays("?", st.sampled_from([(2, 2), (2, 9), (12, 13), (4, 5, 6)])),
    split=st.sampled_from([0.01, 0.5, 1.0]),
)
def test_each_pixel_of_the_foreground_is_in_one_object(foreground, split):
    spacing = np.ones(foreground.ndim)
    objects = split_touching(foreground, spacing, split)
    np.testing.assert_array_equal(objects > 0, foreground)
    np.testing.assert_array_equal(np.unique(objects[foreground]), np.arange(objects.max()) + 1)
    # split objects lie inside those that are not split
    components = split_touching(foreground, spacing, 0)
    pairs = np.unique(np.stack([objects[foreground], components[foreground]]), axis=1)
    assert pairs.shape[1] == objects.max()


def test_what_is_thin_beside_something_thick_is_kept():
    mask = np.zeros((96, 128), bool)
    mask[10], mask[12:60] = True, True
    assert split_touching(mask, PLANE).max() == 2
