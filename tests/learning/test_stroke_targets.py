import numpy as np
import pytest
import torch

from napari_unsupseg.learning.stroke_targets import StrokeTargets


@pytest.mark.parametrize(
    ("strokes", "valid"),
    [
        pytest.param(None, [[[1, 1]]], id="none"),
        pytest.param([[[0, 0]]], [[[1, 1]]], id="nothing drawn"),
        pytest.param([[[0, 5]]], [[[1, 0]]], id="only where no pixel takes part"),
    ],
)
def test_there_may_be_no_strokes(strokes, valid):
    strokes = None if strokes is None else np.array(strokes, np.uint8)
    assert StrokeTargets.from_strokes(strokes, torch.tensor(valid, dtype=torch.bool)) is None


def test_strokes_have_a_mean_loss_of_their_own():
    strokes = np.array([[[0, 4, 0], [0, 0, 1]]], np.uint8)
    inside = torch.tensor([[[1, 1, 1], [1, 0, 0]]], dtype=torch.bool)
    targets = StrokeTargets.from_strokes(strokes, inside)
    assert targets.share == 1 / 4
    # one of four pixels: to count 0.5 in the mean over four its weight is 2
    weighed = targets.weigh(None, 0.5)
    assert weighed.tolist() == [[[1, 2, 1], [1, 1, 1]]]
    weighed = targets.weigh(inside * 3.0, 0.5)
    assert weighed.tolist() == [[[3, 2, 3], [3, 0, 0]]]
