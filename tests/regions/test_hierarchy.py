"""Cuts, clusters and boundaries of a hierarchy."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unsupseg import Segmenter, Settings, segment
from napari_unsupseg.errors import SettingError
from napari_unsupseg.regions.hierarchy import Hierarchy
from napari_unsupseg.regions.labels import connected_components

from ..conftest import SMALL
from .helpers import GRANULARITIES, blobs, hierarchy_of, quadrants, refines


@pytest.fixture(scope="module")
def run(grey) -> Segmenter:
    return Segmenter(Settings.from_dict(SMALL)).fit(grey)


def test_a_coarser_cut_only_merges(run):
    cuts = [run.hierarchy_.cut(granularity=granularity) for granularity in GRANULARITIES]
    assert all(refines(fine, coarse) for fine, coarse in itertools.pairwise(cuts))
    assert cuts[0].max() > cuts[-1].max() == 1


@settings(max_examples=20, deadline=None)
@given(n_segments=st.integers(1, 40))
def test_as_many_segments_as_asked_for(run, n_segments):
    found = run.hierarchy_.cut(n_segments=n_segments)
    np.testing.assert_array_equal(np.unique(found), np.arange(1, n_segments + 1))
    assert found.dtype == np.uint8
    # each is one connected region
    assert connected_components(found).max() == n_segments


def test_more_segments_than_there_are(run):
    finest = run.hierarchy_.n_fragments
    expected = f"n_segments is 100,000 but the finest cut has {finest:,} segments"
    with pytest.warns(UserWarning, match=expected):
        assert run.hierarchy_.cut(n_segments=100_000).max() == finest


@pytest.mark.parametrize(
    ("image", "n_finest"),
    [
        pytest.param(np.full((60, 80), 7), 1, id="constant"),
        pytest.param(np.kron([[1, 2], [3, 4]], np.ones((30, 30))), None, id="flat squares"),
    ],
)
def test_what_nothing_tells_apart_is_never_cut(image, n_finest):
    hierarchy = hierarchy_of(image)
    finest = hierarchy.cut(granularity=0)
    with pytest.warns(UserWarning, match="n_segments is 1,000 but the finest cut has"):
        np.testing.assert_array_equal(hierarchy.cut(n_segments=1000), finest)
    assert finest.max() == hierarchy.n_fragments
    assert n_finest in (None, finest.max())


def test_the_default_granularity(run):
    np.testing.assert_array_equal(
        run.hierarchy_.cut(), run.hierarchy_.cut(granularity=Hierarchy.default_granularity)
    )


def test_boundaries_are_where_cuts_part(run):
    boundaries = run.hierarchy_.boundaries()
    assert boundaries.shape == run.labels_.shape
    assert boundaries.dtype == np.float32
    for granularity in GRANULARITIES[1:]:
        cut = run.hierarchy_.cut(granularity=granularity)
        expected = np.zeros(cut.shape, dtype=bool)
        expected[:-1] |= cut[:-1] != cut[1:]
        expected[:, :-1] |= cut[:, :-1] != cut[:, 1:]
        np.testing.assert_array_equal(boundaries > granularity, expected)


def test_segments_that_look_alike_share_a_cluster():
    image, truth = blobs()
    found = hierarchy_of(image).clusters(3)
    np.testing.assert_array_equal(np.unique(found), [1, 2, 3])
    # from the darkest, wherever they lie
    assert (found == truth).mean() > 0.98


def test_clusters_of_colours_are_numbered_from_the_darkest():
    dark_yellow, bright_blue = [110, 110, 0], [120, 140, 255]
    image = np.zeros((40, 60, 3), dtype=np.uint8)
    image[:, :30], image[:, 30:] = bright_blue, dark_yellow
    np.testing.assert_array_equal(hierarchy_of(image).clusters(2)[0, ::30], [2, 1])


@pytest.mark.parametrize("n_clusters", [1, 2, 3, 4])
def test_as_many_clusters_as_asked_for(n_clusters):
    # SciPy before 1.15 gave two of four for three
    hierarchy = hierarchy_of(quadrants())
    assert hierarchy.cut(granularity=0.45).max() == 4
    assert hierarchy.clusters(n_clusters).max() == n_clusters


def test_fewer_clusters_than_asked_for():
    image, _ = blobs()
    found = hierarchy_of(image).clusters(200)
    np.testing.assert_array_equal(np.unique(found), np.arange(1, found.max() + 1))
    assert found.max() == hierarchy_of(image).cut(granularity=0.3).max() < 200
    assert hierarchy_of(image).clusters(1).max() == 1


def test_segment_returns_the_cut(grey, run):
    np.testing.assert_array_equal(
        segment(grey, n_segments=12, **SMALL), run.hierarchy_.cut(n_segments=12)
    )
    np.testing.assert_array_equal(
        segment(grey, granularity=0.3, **SMALL), run.hierarchy_.cut(granularity=0.3)
    )


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ({"n_segments": 0}, "n_segments must be a whole number from 1, got 0"),
        ({"n_segments": 2.5}, "n_segments must be a whole number from 1, got 2.5"),
        ({"granularity": 1.5}, "granularity must be a number from 0 to 1, got 1.5"),
        ({"granularity": "fine"}, "granularity must be a number from 0 to 1, got 'fine'"),
        ({"granularity": 0.5, "n_segments": 5}, "both say where to cut"),
    ],
)
def test_cuts_that_cannot_be(grey, where, sentence):
    with pytest.raises(SettingError, match=sentence):
        segment(grey, **where)


def test_a_granularity_that_cannot_be(run):
    with pytest.raises(SettingError, match="granularity must be a number from 0 to 1, got 2"):
        run.hierarchy_.cut(granularity=2)


@pytest.mark.parametrize("n_clusters", [0, 2.5, True])
def test_clusters_that_cannot_be(run, n_clusters):
    with pytest.raises(
        SettingError, match=f"n_clusters must be a whole number from 1, got {n_clusters}"
    ):
        run.hierarchy_.clusters(n_clusters)
