import dataclasses

import pytest

from napari_unsupseg.plugin.run_data import Phase, RunUpdate, TrainingCurve

UPDATE = RunUpdate(Phase.TRAINING, 1, 10, 7, 0.5, 1, "cpu")


def test_a_curve_has_each_iteration_once():
    curve = TrainingCurve()
    assert curve.add(UPDATE)
    assert not curve.add(UPDATE)
    assert curve.add(dataclasses.replace(UPDATE, iteration=3, n_clusters=5, loss=0.25))
    assert (curve.iterations, curve.clusters, curve.loss) == ([1, 3], [7, 5], [0.5, 0.25])


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
def test_a_curve_ends_with_the_training(phase):
    is_training = phase in (Phase.TRAINING, Phase.PAUSED)
    assert TrainingCurve().add(dataclasses.replace(UPDATE, phase=phase)) == is_training
