import numpy as np
import pytest
import torch

from napari_unsupseg.learning.step import Step

from .helpers import run_whole

CLUSTERS = torch.tensor([[[0, 1, 4], [4, 4, 2]]])
VALID = np.array([[[True, True, True], [True, True, False]]])


def make_step(max_clusters: int = 5) -> Step:
    return Step(7, CLUSTERS, torch.tensor(1.5), VALID, max_clusters, factor=3)


def test_labels_of_a_step_stay_as_they_were(rgb, small):
    steps = run_whole(rgb, small)
    first = next(steps)
    before = first._clusters.clone()
    next(steps)
    np.testing.assert_array_equal(first.labels, before.numpy() + 1)


def test_a_step_knows_its_clusters_and_loss(rgb, small):
    for step in run_whole(rgb, small):
        assert step.n_clusters == len(np.unique(step.labels))
        assert 0 < step.loss < 10


def test_labels_count_from_one_and_are_0_where_a_pixel_takes_no_part():
    step = make_step()
    assert step.labels.tolist() == [[[1, 2, 5], [5, 5, 0]]]
    assert step.n_clusters == 3
    assert (step.iteration, step.loss, step.factor, step.network) == (7, 1.5, 3, None)


@pytest.mark.parametrize(("max_clusters", "dtype"), [(255, np.uint8), (256, np.uint16)])
def test_the_number_of_clusters_decides_the_data_type(max_clusters, dtype):
    assert make_step(max_clusters).labels.dtype == dtype


def test_other_labels_are_at_full_size():
    labels = np.array([[3, 0], [3, 4]], np.uint8)
    step = make_step().relabelled(labels)
    np.testing.assert_array_equal(step.labels, labels)
    assert step.n_clusters == 2
    assert (step.iteration, step.loss, step.factor) == (7, 1.5, 1)


def test_a_share_of_the_hierarchy_is_that_of_a_copy():
    step = make_step()
    shown = step.with_hierarchy_share(0.25)
    assert (shown.hierarchy_share, step.hierarchy_share) == (0.25, None)
    np.testing.assert_array_equal(shown.labels, step.labels)


def test_labels_and_loss_are_there_after_the_device_is_left():
    step = make_step()
    step.leave_device()
    np.testing.assert_array_equal(step.labels, make_step().labels)
    assert step.loss == 1.5
