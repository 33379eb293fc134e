import numpy as np
import torch

from napari_unsupseg.learning.device_sample import DeviceSample
from napari_unsupseg.learning.sampling import TrainingSample

CPU = torch.device("cpu")
CLUSTERS = torch.tensor([[[0, 3, 3], [1, 1, 2]]])
SUPERPIXELS = np.array([[[0, 0, 0], [1, 1, 1]]])


def make_sample(superpixels: np.ndarray | None, valid: list | None = None) -> TrainingSample:
    valid = np.ones((1, 2, 3), bool) if valid is None else np.array(valid, bool)
    return TrainingSample(np.zeros((1, 1, 2, 3), np.float32), valid, superpixels)


def test_pixels_vote_within_their_superpixel():
    sample = DeviceSample.from_sample(make_sample(SUPERPIXELS), CPU)
    assert sample.vote(CLUSTERS, 4).tolist() == [[[3, 3, 3], [1, 1, 1]]]
    assert sample.inside is None
    assert sample.n_inside == 6


def test_pixels_that_take_no_part_have_no_vote_in_the_superpixels_of_others():
    valid = [[[1, 0, 0], [1, 0, 1]]]
    sample = DeviceSample.from_sample(make_sample(SUPERPIXELS, valid), CPU)
    voted = sample.vote(CLUSTERS, 4)
    assert voted[0, 0, 0] == 0  # outvoted before
    assert voted[0, 1].tolist()[::2] == [1, 1]  # a tie of 1 and 2
    assert sample.inside.tolist() == np.array(valid, bool).tolist()
    assert sample.n_inside == 3


def test_without_superpixels_pixels_keep_their_cluster():
    sample = DeviceSample.from_sample(make_sample(None), CPU)
    assert torch.equal(sample.vote(CLUSTERS, 4), CLUSTERS)


def test_a_target_goes_before_the_vote():
    target = torch.tensor([[[2, 2, 2], [2, 2, 2]]])
    sample = DeviceSample.from_sample(make_sample(SUPERPIXELS), CPU, target=target)
    assert torch.equal(sample.vote(CLUSTERS, 4), target)


def test_strokes_are_drawn_over_the_target():
    strokes = np.array([[[0, 4, 0], [0, 0, 1]]], np.uint8)
    sample = DeviceSample.from_sample(make_sample(SUPERPIXELS), CPU, strokes=strokes)
    assert sample.strokes.draw_over(CLUSTERS).tolist() == [[[0, 3, 3], [1, 1, 0]]]
