"""What is computed with matrices is the same by any number of threads."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from threadpoolctl import threadpool_limits

from napari_unsupseg.regions.foreground import principal_axis
from napari_unsupseg.regions.rarity import quantize_colours


@pytest.mark.parametrize(
    ("compute", "n_channels"),
    [
        pytest.param(quantize_colours, 12, id="palette"),
        pytest.param(quantize_colours, 40, id="palette of many channels"),
        pytest.param(principal_axis, 100, id="principal axis"),
    ],
)
def test_the_number_of_threads_changes_no_byte(compute, n_channels):
    noise = np.random.default_rng(0).random((300, 303, n_channels), dtype=np.float32)
    colours = gaussian_filter(noise * np.arange(1, n_channels + 1, dtype=np.float32), (3, 3, 0))
    found = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads, user_api="blas"):
            found.append(compute(colours, np.ones(colours.shape[:2], dtype=bool)))
    np.testing.assert_array_equal(*found)
