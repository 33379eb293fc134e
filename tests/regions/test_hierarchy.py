import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import napari_unsupseg.regions.hierarchy_builder
from napari_unsupseg import Segmenter, Settings, segment
from napari_unsupseg._generators import run_to_end
from napari_unsupseg.errors import SettingError
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.regions.dissimilarity import border_dissimilarities
from napari_unsupseg.regions.graph_builder import build_region_graph
from napari_unsupseg.regions.hierarchy import Hierarchy
from napari_unsupseg.regions.hierarchy_builder import build_hierarchy
from napari_unsupseg.regions.labels import connected_components
from napari_unsupseg.regions.merging import merge_regions
from napari_unsupseg.regions.small_regions import merge_small_regions

from ..conftest import SMALL

LEVELS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)


def quadrants() -> np.ndarray:
    """Return four noisy squares of 30 pixels a side."""
    truth = np.kron([[1, 2], [3, 4]], np.ones((30, 30), dtype=np.uint8))
    noise = np.random.default_rng(0).normal(0, 0.02, truth.shape)
    return (np.array([0, 0.1, 0.4, 0.7, 0.95])[truth] + noise).astype(np.float32)


def hierarchy_of(image: np.ndarray, mask: np.ndarray | None = None, history=()) -> Hierarchy:
    prepared = normalize_image(split_channels(image), mask, "auto")
    return build_hierarchy(prepared, history or [np.ones(prepared.valid.shape, dtype=np.uint8)])


@pytest.fixture(scope="module")
def run(grey) -> Segmenter:
    return Segmenter(Settings.from_dict(SMALL)).fit(grey)


def refines(fine: np.ndarray, coarse: np.ndarray) -> bool:
    """Whether every segment of one lies in one segment of the other."""
    pairs = np.unique(np.stack([fine.ravel(), coarse.ravel()]), axis=1)
    return len(np.unique(pairs[0])) == pairs.shape[1]


def agree(found: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of pixels that lie in the segment most of whose pixels are as they are."""
    counts = np.zeros((found.max() + 1, truth.max() + 1))
    np.add.at(counts, (found, truth), 1)
    return counts.max(axis=1).sum() / truth.size


def test_squares_are_found_exactly():
    truth = np.kron([[1, 2], [3, 4]], np.ones((30, 30), dtype=np.uint8))
    assert agree(hierarchy_of(quadrants()).cut(n_segments=4), truth) == 1


def test_a_history_tells_what_colours_do_not():
    regions = np.kron(np.arange(24).reshape(4, 6), np.ones((10, 10), dtype=np.int64))
    colours = np.random.default_rng(0).random((*regions.shape, 1)).astype(np.float32)
    halves = np.repeat([[1] * 30 + [2] * 30], 40, axis=0).astype(np.uint8)
    graph = build_region_graph(regions, colours, [halves] * 3, [1])
    merging = run_to_end(graph.merge())
    levels = np.maximum.accumulate(merging.dissimilarities)
    hierarchy = Hierarchy(regions, merging.merges, levels, graph, colours, halves)
    assert agree(hierarchy.cut(n_segments=2), halves) == 1


def test_a_coarser_cut_only_merges(run):
    cuts = [run.hierarchy_.cut(granularity=level) for level in LEVELS]
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
    with pytest.warns(UserWarning, match=f"n_segments is 100,000 but there are {finest:,} "):
        assert run.hierarchy_.cut(n_segments=100_000).max() == finest


def test_the_default_level(run):
    np.testing.assert_array_equal(
        run.hierarchy_.cut(), run.hierarchy_.cut(granularity=Hierarchy.default_granularity)
    )


def test_boundaries_are_where_cuts_part(run):
    boundaries = run.hierarchy_.boundaries()
    assert boundaries.shape == run.labels_.shape
    assert boundaries.dtype == np.float32
    for level in LEVELS[1:]:
        cut = run.hierarchy_.cut(granularity=level)
        expected = np.zeros(cut.shape, dtype=bool)
        expected[:-1] |= cut[:-1] != cut[1:]
        expected[:, :-1] |= cut[:, :-1] != cut[:, 1:]
        np.testing.assert_array_equal(boundaries > level, expected)


def test_segments_that_look_alike_share_a_cluster():
    image, truth = blobs()
    found = hierarchy_of(image).clusters(3)
    np.testing.assert_array_equal(np.unique(found), [1, 2, 3])
    # from the darkest, wherever they lie
    assert (found == truth).mean() > 0.98


def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Return an image of three dim and three bright squares on dark ground, and which is which."""
    truth = np.ones((60, 90), dtype=np.uint8)
    for column, kind in ((8, 2), (38, 3), (68, 2)):
        truth[8:24, column : column + 16] = kind
        truth[36:52, column : column + 16] = 5 - kind
    noise = np.random.default_rng(0).normal(0, 0.02, truth.shape)
    return (np.array([0, 0.1, 0.4, 0.9])[truth] + noise).astype(np.float32), truth


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


def sizes(labels: np.ndarray) -> np.ndarray:
    """Return the pixels of each connected region."""
    return np.bincount(connected_components(labels)[labels > 0])[1:]


@pytest.mark.parametrize("min_size", [30, 200])
def test_no_cut_has_smaller_segments_than_asked_for(grey, min_size):
    image = grey.astype(float) + np.random.default_rng(0).normal(0, 20, grey.shape)
    prepared = normalize_image(split_channels(image), None, "auto")
    hierarchies = {
        size: build_hierarchy(prepared, [np.ones(grey.shape, dtype=np.uint8)], min_size=size)
        for size in (0, min_size)
    }
    assert sizes(hierarchies[0].cut(granularity=0)).min() < min_size
    for level in LEVELS:
        assert sizes(hierarchies[min_size].cut(granularity=level)).min() >= min_size
        cut = hierarchies[0].cut(granularity=level)
        merged = hierarchies[0].cut(granularity=level, min_size=min_size)
        assert sizes(merged).min() >= min_size
        for number in np.unique(cut):
            assert len(np.unique(merged[cut == number])) == 1


def test_small_regions_join_the_neighbour_they_resemble():
    labels = np.ones((20, 20), dtype=np.uint8)
    labels[:, 10:] = 2
    image = np.where(labels == 1, 0.2, 0.8)
    labels[5:8, 8:10] = 3  # like the left
    labels[12:14, 9:12] = 4  # over the border, brighter than either
    image[12:14, 9:12] = 0.9
    labels[0, :3] = labels[19, 17:] = 5  # one label, far apart
    labels[1, :3] = 0
    labels[0, 3] = 0  # which leaves one of the two without neighbours
    prepared = normalize_image(split_channels(image), labels > 0, "auto")
    expected = labels.copy()
    expected[5:8, 8:10] = 1
    expected[12:14, 9:12] = 2
    expected[19, 17:] = 2
    np.testing.assert_array_equal(merge_small_regions(labels, prepared, 7), expected)


@settings(max_examples=20, deadline=None)
@given(data=st.data(), min_size=st.integers(0, 40))
def test_small_regions_are_gone_and_labels_are_as_before(data, min_size):
    labels = data.draw(hnp.arrays(np.uint8, (9, 11), elements=st.integers(1, 3)))
    image = data.draw(hnp.arrays(np.uint8, (9, 11)))
    found = merge_small_regions(
        labels, normalize_image(split_channels(image), None, "auto"), min_size
    )
    assert sizes(found).min() >= min_size
    assert refines(connected_components(labels), connected_components(found))
    assert set(np.unique(found)) <= set(np.unique(labels))


@pytest.mark.parametrize("own", [{"final_clusters": 0}, {"settle": 0}, {}], ids=str)
def test_a_run_keeps_no_small_segments(grey, own):
    chosen = SMALL | own
    assert sizes(segment(grey, **chosen)).min() < 25
    assert sizes(segment(grey, min_size=25, **chosen)).min() >= 25
    assert sizes(segment(grey, min_size=25, granularity=0.1, **chosen)).min() >= 25


@pytest.mark.parametrize(
    "mask",
    [
        pytest.param(np.arange(60) > 20, id="a side left out"),
        pytest.param((np.arange(60) < 20) | (np.arange(60) > 40), id="two parts"),
        pytest.param(np.arange(60) % 2 == 0, id="stripes"),
    ],
)
def test_masked_pixels_take_no_part(mask):
    mask = np.tile(mask, (60, 1))
    hierarchy = hierarchy_of(quadrants(), mask)
    for level in LEVELS:
        np.testing.assert_array_equal(hierarchy.cut(granularity=level) > 0, mask)
    assert hierarchy.cut(granularity=1).max() == 1
    np.testing.assert_array_equal(hierarchy.clusters(3) > 0, mask)
    assert hierarchy.boundaries().max() <= 1


@pytest.mark.parametrize("shape", [(2, 2), (2, 9), (9, 2), (17, 5)], ids=str)
def test_small_images(shape):
    image = np.arange(np.prod(shape)).reshape(shape)
    cut = hierarchy_of(image).cut(granularity=0)
    assert cut.shape == shape
    assert cut.min() == 1


@pytest.mark.parametrize("seed", range(4))
def test_borders_that_are_alike_but_for_rounding(seed):
    rows, columns = np.mgrid[:60, :60]
    stripes = np.where(columns < 30, rows // 2 % 2, columns // 2 % 2)
    rng = np.random.default_rng(seed)
    blocks = rng.integers(1, 6, (7, 20, 20)).repeat(3, axis=1).repeat(3, axis=2)
    hierarchy = hierarchy_of(stripes, history=list(blocks.astype(np.uint8)))
    cuts = [hierarchy.cut(n_segments=n) for n in (30, 10, 2)]
    assert [cut.max() for cut in cuts] == [30, 10, 2]
    assert refines(cuts[0], cuts[1])


def test_a_constant_image_is_one_segment():
    with pytest.warns(UserWarning, match="constant"):
        assert segment(np.full((30, 40), 7), granularity=0.5).max() == 1
    constant = hierarchy_of(np.full((5, 6), 7))
    assert not constant.boundaries().any()
    assert (constant.clusters(5) == 1).all()


@pytest.mark.parametrize("seed", range(5))
def test_regions_merge_as_if_all_were_measured_anew_each_time(seed):
    rng = np.random.default_rng(seed)
    regions = np.kron(np.arange(12).reshape(3, 4), np.ones((4, 4), dtype=np.int64))
    colours = rng.random((*regions.shape, 2)).astype(np.float32)
    history = [rng.integers(1, 5, regions.shape).astype(np.uint8) for _ in range(3)]
    graph = build_region_graph(regions, colours, history, [1, 1])
    merging = run_to_end(merge_regions(graph.sums, graph.borders, graph.weights, growth=1))
    for expected in merging.dissimilarities:
        anew = build_region_graph(regions, colours, history, [1, 1])
        found = border_dissimilarities(anew.sums, anew.borders, anew.weights)
        assert found.min() == pytest.approx(expected, rel=1e-5)
        one, other = anew.borders.pairs[found.argmin()]
        regions[regions == other] = one
        regions = np.unique(regions, return_inverse=True)[1].reshape(regions.shape)
    assert regions.max() == 0


def test_groups_of_regions_are_as_if_described_anew():
    rng = np.random.default_rng(0)
    regions = np.kron(np.arange(12).reshape(3, 4), np.ones((4, 4), dtype=np.int64))
    groups = np.array([0, 0, 1, 1, 0, 2, 2, 1, 3, 3, 2, 2])
    colours = rng.random((*regions.shape, 2)).astype(np.float32)
    history = [rng.integers(1, 5, regions.shape).astype(np.uint8) for _ in range(3)]
    found = build_region_graph(regions, colours, history, [1, 1]).contract(groups)
    anew = build_region_graph(groups[regions], colours, history, [1, 1])
    for one, other in zip(found.sums + found.borders, anew.sums + anew.borders, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_channels_count():
    image = np.zeros((2, 30, 40), dtype=np.float32)
    image[0, :15], image[1, :, :20] = 1, 1
    prepared = normalize_image(split_channels(image, channel_axis=0), None, "auto")
    found = build_hierarchy(prepared, [np.ones((30, 40), dtype=np.uint8)]).cut(n_segments=4)
    assert agree(found, 2 * (image[0] > 0) + (image[1] > 0)) == 1


def test_segment_returns_the_cut(grey, run):
    np.testing.assert_array_equal(
        segment(grey, n_segments=12, **SMALL), run.hierarchy_.cut(n_segments=12)
    )
    np.testing.assert_array_equal(
        segment(grey, granularity=0.3, **SMALL), run.hierarchy_.cut(granularity=0.3)
    )


def test_a_hierarchy_follows_the_run(grey):
    segmenter = Segmenter(Settings.from_dict(SMALL | {"iterations": 40}))
    steps = segmenter.steps(grey)
    next(steps)
    early = segmenter.hierarchy_
    for _ in steps:
        pass
    assert segmenter.hierarchy_ is not early
    assert segmenter.hierarchy_ is segmenter.hierarchy_


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


def test_an_interrupt_is_told_as_what_it_is(monkeypatch):
    def interrupted(*_, **__):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interrupt:
            raise SystemError("returned a result with an exception set") from interrupt

    monkeypatch.setattr(
        napari_unsupseg.regions.hierarchy_builder, "build_region_graph", interrupted
    )
    with pytest.raises(KeyboardInterrupt):
        hierarchy_of(quadrants())
