"""Other networks, whose labels say where segments end."""

import threading

import numpy as np
import pytest
import torch

from napari_unsupseg import Segmenter, Settings

from ..conftest import SMALL

QUICK = SMALL | {"networks": 3, "iterations": 20, "settle": 0.02, "final_clusters": 4}


def boundaries(image, n_networks: int, **settings) -> np.ndarray:
    values = QUICK | {"networks": n_networks} | settings
    return Segmenter(Settings(**values)).fit(image).hierarchy_.boundaries()


def test_other_networks_change_the_hierarchy_and_not_the_network(rgb):
    alone, three = (Segmenter(Settings(**QUICK | {"networks": n})).fit(rgb) for n in (1, 3))
    assert not np.array_equal(alone.hierarchy_.boundaries(), three.hierarchy_.boundaries())
    steps = [
        [step.loss for step in Segmenter(Settings(**QUICK | {"networks": n})).steps(rgb)][:20]
        for n in (1, 3)
    ]
    assert steps[0] == steps[1]


def test_any_number_of_threads_gives_the_same_hierarchy(rgb):
    n_threads = torch.get_num_threads()
    found = []
    for number in (1, 2):
        torch.set_num_threads(number)
        try:
            found.append(boundaries(rgb, 3))
        finally:
            torch.set_num_threads(n_threads)
    np.testing.assert_array_equal(*found)


def test_a_seed_has_companions_of_its_own(rgb):
    first, second = (
        Segmenter(Settings(**QUICK | {"seed": seed})).fit(rgb).hierarchy_.boundaries()
        for seed in (0, 1)
    )
    assert not np.array_equal(first, second)


def test_a_run_that_is_left_while_they_train_leaves_no_thread(rgb):
    segmenter = Segmenter(Settings(**QUICK))
    steps = segmenter.steps(rgb)
    for step in steps:
        if step.hierarchy_share is not None:  # they train now
            break
    steps.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("unsupseg")]
    # and the run can be ended later
    *_, last = segmenter.finish()
    np.testing.assert_array_equal(last.labels, Segmenter(Settings(**QUICK)).fit(rgb).labels_)


def test_a_caller_s_module_has_none(rgb):
    module = torch.nn.Conv2d(3, 8, 3, padding=1)
    runs = [
        Segmenter(Settings(**QUICK | {"networks": n}), features=module).fit(rgb) for n in (1, 3)
    ]
    np.testing.assert_array_equal(*(run.hierarchy_.boundaries() for run in runs))


@pytest.mark.parametrize("networks", [0, 101])
def test_numbers_of_networks_that_cannot_be(networks):
    with pytest.raises(ValueError, match="networks must be a whole number from 1 to 100"):
        Settings(networks=networks)
