import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unsupseg.regions.uncertainty import cluster_uncertainty

labels = hnp.arrays(np.uint8, (6, 7), elements=st.integers(0, 4))


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        pytest.param([[1, 1, 1, 1, 2, 2]], [0] * 6, id="the same"),
        pytest.param([[9, 9, 9, 9, 4, 4]], [0] * 6, id="other numbers"),
        pytest.param([[1, 1, 3, 3, 2, 2]], [0] * 6, id="finer"),
        # a quarter of the first cluster has the label of a third as many pixels
        pytest.param([[1, 5, 5, 5, 2, 2]], [1 / 3, 0, 0, 0, 0, 0], id="finer in one place"),
        # the second cluster has half as many pixels of the label as the first
        pytest.param([[7, 7, 7, 7, 7, 7]], [0] * 4 + [1 / 4] * 2, id="coarser"),
        # one of four, where three have another label; its label is as frequent in both clusters
        pytest.param([[1, 1, 1, 6, 2, 6]], [0, 0, 0, 1 / 3, 0, 0], id="two changed"),
        pytest.param(
            [[1, 1, 1, 6, 2, 6], [1, 1, 1, 1, 2, 2]], [0, 0, 0, 1 / 6, 0, 0], id="the mean"
        ),
    ],
)
def test_what_changed_over_the_run_is_uncertain(history, expected):
    clusters = np.array([[1, 1, 1, 1, 2, 2]], np.uint8)
    found = cluster_uncertainty(clusters, [np.array([one], np.uint8) for one in history])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [expected], atol=1e-6)


def test_pixels_that_take_no_part_say_nothing():
    clusters = np.array([[0, 0, 1, 1, 2]], np.uint8)
    found = cluster_uncertainty(clusters, [np.array([[3, 3, 3, 3, 3]], np.uint8)])
    np.testing.assert_allclose(found, [[0, 0, 0, 0, 0.25]])


@settings(deadline=None)
@given(labels, st.lists(labels, min_size=1, max_size=3), st.permutations(range(5)))
def test_numbers_of_labels_do_not_matter(clusters, history, order):
    found = cluster_uncertainty(clusters, history)
    assert ((found >= 0) & (found <= 1)).all()
    renumbered = [np.array(order, np.uint8)[one] for one in history]
    np.testing.assert_allclose(cluster_uncertainty(clusters, renumbered), found, atol=1e-6)
