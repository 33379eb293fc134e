import numpy as np
import pytest

from napari_unsupseg.regions.stability import outline_stability

# four fragments of 4, 4, 8 and 16 pixels: the first two are one from .1 on, with the third from .5
FRAGMENTS = np.repeat([0, 1, 2, 3], [4, 4, 8, 16]).reshape(1, 32)
MERGES = np.array([[0, 1], [4, 2], [5, 3]])
GRANULARITIES = np.array([0.1, 0.5, 0.9])


def objects_of(*ranges):
    objects = np.zeros((1, 32), np.uint8)
    for number, (start, end) in enumerate(ranges, start=1):
        objects[0, start:end] = number
    return objects


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param([(0, 8)], [1], id="a node that lasts"),
        # alone to .1, then a half of what it is merged into
        pytest.param([(0, 4)], [0.5 * 1 + 0.5 * 0.5], id="a node that does not last"),
        pytest.param([(16, 32)], [1], id="a fragment"),
        pytest.param([(2, 8)], [6 / 8], id="a part"),
        pytest.param([(0, 12)], [12 / 16], id="half of two nodes"),
        pytest.param([(12, 20)], [4 / 8 / 1.5], id="nothing that is there"),
        pytest.param([(0, 8), (8, 16)], [1, 1], id="two"),
        pytest.param([], [], id="none"),
    ],
)
def test_stability_is_the_overlap_over_a_fifth_of_the_levels(objects, expected):
    found = outline_stability(objects_of(*objects), FRAGMENTS, MERGES, GRANULARITIES)
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param([(0, 8)], [0.5], id="half of an object"),
        pytest.param([(0, 2)], [0], id="all of the only object"),
        pytest.param([(0, 2), (16, 32)], [0, 1], id="all of one of two"),
    ],
)
def test_pixels_that_take_no_part_are_in_no_segment(objects, expected):
    fragments = FRAGMENTS.copy()
    fragments[0, :4] = -1
    found = outline_stability(objects_of(*objects), fragments, MERGES, GRANULARITIES)
    np.testing.assert_allclose(found, expected)


def test_an_image_of_one_fragment():
    whole = np.zeros((1, 4), int)
    found = outline_stability(whole + 1, whole, np.empty((0, 2), np.int64), np.empty(0))
    assert found.tolist() == [1]
