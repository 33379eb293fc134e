import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_unsupseg.plugin.label_history import LabelHistory


def noise(seed: int) -> np.ndarray:
    """Return labels that do not compress well."""
    return np.random.default_rng(seed).integers(0, 60_000, (20, 30), dtype=np.uint16)


@given(n_added=st.integers(1, 40), n_kept=st.integers(0, 20))
def test_labels_come_back_as_they_were_within_the_limit(n_added, n_kept):
    history = LabelHistory(max_bytes=n_kept * noise(0).nbytes * 2)
    for iteration in range(1, n_added + 1):
        history.add(iteration, noise(iteration))
    assert history.iterations[0] == 1
    assert history.iterations[-1] == n_added
    assert min(n_added, n_kept) <= len(history.iterations)
    for index, iteration in enumerate(history.iterations):
        labels = history.labels(index)
        np.testing.assert_array_equal(labels, noise(iteration))
        assert labels.dtype == np.uint16
        assert labels.flags.writeable


@given(n_added=st.integers(1, 40))
def test_without_memory_the_first_and_the_last_are_kept(n_added):
    history = LabelHistory(max_bytes=0)
    for iteration in range(1, n_added + 1):
        history.add(iteration, noise(iteration))
    assert history.iterations == sorted({1, n_added})


def test_the_last_labels_of_an_iteration_count():
    history = LabelHistory(max_bytes=10**6)
    for seed in range(3):
        history.add(5, noise(seed))
    assert history.iterations == [5]
    np.testing.assert_array_equal(history.labels(0), noise(2))
