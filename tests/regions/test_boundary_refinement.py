import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unsupseg.regions import boundary_refinement
from napari_unsupseg.regions.boundary_refinement import refine_boundaries


def disc(radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:50, :60]
    return (np.hypot(rows - 25, columns - 30) < radius).astype(np.int64)


def seen(truth: np.ndarray, noise: float) -> np.ndarray:
    """Return colours (Y, X, 1) of dark ground and a bright disc."""
    random = np.random.default_rng(0).normal(0, noise, truth.shape)
    return (np.where(truth == 1, 0.8, 0.3) + random)[..., np.newaxis].astype(np.float32)


MEANS = np.array([[0.3], [0.8]])


@pytest.mark.parametrize("radius", [13, 17], ids=["too small", "too large"])
def test_an_outline_moves_to_the_edge(radius):
    truth, before = disc(15), disc(radius)
    found = refine_boundaries(before, seen(truth, noise=0.02), MEANS)
    assert (found != truth).sum() < (before != truth).sum() / 10


def test_noise_does_not_fray_it():
    truth = disc(15)
    found = refine_boundaries(truth, seen(truth, noise=0.1), MEANS)
    assert (found != truth).mean() < 0.005


def test_frames_do_not_change_each_other():
    frames = [disc(13), disc(17), np.roll(disc(14), 7, axis=1)]
    colours = [seen(disc(15), noise=0.05), seen(disc(16), noise=0.1), seen(disc(14), noise=0.02)]
    found = refine_boundaries(np.stack(frames), np.stack(colours), MEANS)
    for frame, own, one in zip(frames, colours, found, strict=True):
        np.testing.assert_array_equal(one, refine_boundaries(frame, own, MEANS))


def test_pixels_taken_a_few_at_a_time_end_where_all_at_once_do(monkeypatch):
    before, colours = disc(13), seen(disc(15), noise=0.1)
    at_once = refine_boundaries(before, colours, MEANS)
    monkeypatch.setattr(boundary_refinement, "BATCH", 7)
    np.testing.assert_array_equal(refine_boundaries(before, colours, MEANS), at_once)


def test_a_volume_is_refined_along_all_its_axes():
    planes, rows, columns = np.ogrid[:20, :24, :22]
    ball = (planes - 10) ** 2 + (rows - 12) ** 2 + (columns - 11) ** 2
    truth, before = (ball < 49).astype(np.int64), (ball < 36).astype(np.int64)
    found = refine_boundaries(before, seen(truth, noise=0.02), MEANS, 3)
    assert (found != truth).sum() < (before != truth).sum() / 10
    # towards the first and the last plane as towards all others
    assert (found[:5].sum(), found[15:].sum()) == (truth[:5].sum(), truth[15:].sum())


def naive(segments: np.ndarray, colours: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Move outlines by one pixel, pixel by pixel."""
    height, width = segments.shape
    result = segments.copy()
    for y, x in np.ndindex(segments.shape):
        if segments[y, x] < 0:
            continue
        around = [
            segments[y + dy, x + dx]
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
            if (dy or dx) and 0 <= y + dy < height and 0 <= x + dx < width
        ]
        beside = [
            segments[y + dy, x + dx]
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0))
            if 0 <= y + dy < height and 0 <= x + dx < width
        ]
        choices = [segments[y, x], *(s for s in beside if s >= 0)]
        costs = [
            np.linalg.norm(colours[y, x] - means[s])
            + 0.03 * sum(other not in (s, -1) for other in around)
            for s in choices
        ]
        result[y, x] = choices[int(np.argmin(costs))]
    return result


@settings(max_examples=30, deadline=None)
@given(
    segments=hnp.arrays(np.int64, (6, 7), elements=st.integers(-1, 3)), seed=st.integers(0, 1000)
)
def test_each_iteration_is_that_of_its_naive_twin(segments, seed):
    rng = np.random.default_rng(seed)
    colours, means = rng.random((6, 7, 2), dtype=np.float32), rng.random((4, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_unsupseg.regions.boundary_refinement.ITERATIONS", 1)
        patch.setattr("napari_unsupseg.regions.boundary_refinement.BLUR", 0)
        found = refine_boundaries(segments, colours, means)
    np.testing.assert_array_equal(found, naive(segments, colours, means))
