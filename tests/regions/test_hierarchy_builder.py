"""What hierarchies are built of an image, its mask, its channels and a history."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import napari_unsupseg.regions.hierarchy_builder
from napari_unsupseg import Segmenter, Settings, segment
from napari_unsupseg._generators import run_to_end
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import NormalizedImage, normalize_image
from napari_unsupseg.regions.graph_builder import build_region_graph
from napari_unsupseg.regions.hierarchy import Hierarchy
from napari_unsupseg.regions.hierarchy_builder import build_hierarchy, restore_hierarchy
from napari_unsupseg.regions.merge_tree import MergeTree

from ..conftest import SMALL
from .helpers import GRANULARITIES, agree, hierarchy_of, quadrants, refines, sizes


def test_squares_are_found_exactly():
    truth = np.kron([[1, 2], [3, 4]], np.ones((30, 30), dtype=np.uint8))
    assert agree(hierarchy_of(quadrants()).cut(n_segments=4), truth) == 1


def test_a_history_tells_what_colours_do_not():
    regions = np.kron(np.arange(24).reshape(4, 6), np.ones((10, 10), dtype=np.int64))
    colours = np.random.default_rng(0).random((*regions.shape, 1)).astype(np.float32)
    halves = np.repeat([[1] * 30 + [2] * 30], 40, axis=0).astype(np.uint8)
    graph = build_region_graph(regions, colours, [halves] * 3, [1])
    for merging in run_to_end(graph.merge()):
        tree = MergeTree(merging.merges, np.maximum.accumulate(merging.dissimilarities))
        hierarchy = Hierarchy(regions, tree, tree, graph, colours, halves)
        assert agree(hierarchy.cut(n_segments=2), halves) == 1


@pytest.mark.parametrize("min_size", [30, 200])
def test_no_cut_has_smaller_segments_than_asked_for(grey, min_size):
    image = grey.astype(float) + np.random.default_rng(0).normal(0, 20, grey.shape)
    prepared = normalize_image(split_channels(image), None, "auto")
    hierarchies = {
        size: build_hierarchy(prepared, [np.ones(grey.shape, dtype=np.uint8)], min_size=size)
        for size in (0, min_size)
    }
    assert sizes(hierarchies[0].cut(granularity=0)).min() < min_size
    for granularity in GRANULARITIES:
        assert sizes(hierarchies[min_size].cut(granularity=granularity)).min() >= min_size
        cut = hierarchies[0].cut(granularity=granularity)
        merged = hierarchies[0].cut(granularity=granularity, min_size=min_size)
        assert sizes(merged).min() >= min_size
        for number in np.unique(cut):
            assert len(np.unique(merged[cut == number])) == 1


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
    for granularity in GRANULARITIES:
        np.testing.assert_array_equal(hierarchy.cut(granularity=granularity) > 0, mask)
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


def test_channels_count():
    image = np.zeros((2, 30, 40), dtype=np.float32)
    image[0, :15], image[1, :, :20] = 1, 1
    prepared = normalize_image(split_channels(image, channel_axis=0), None, "auto")
    found = build_hierarchy(prepared, [np.ones((30, 40), dtype=np.uint8)]).cut(n_segments=4)
    assert agree(found, 2 * (image[0] > 0) + (image[1] > 0)) == 1


@pytest.mark.parametrize("own", [{"final_clusters": 0}, {"settle": 0}, {}], ids=str)
def test_a_run_keeps_no_small_segments(grey, own):
    chosen = SMALL | own
    assert sizes(segment(grey, **chosen)).min() < 25
    assert sizes(segment(grey, min_size=25, **chosen)).min() >= 25
    assert sizes(segment(grey, min_size=25, granularity=0.1, **chosen)).min() >= 25


def test_a_hierarchy_follows_the_run(grey):
    segmenter = Segmenter(Settings.from_dict(SMALL | {"iterations": 40}))
    steps = segmenter.steps(grey)
    next(steps)
    early = segmenter.hierarchy_
    for _ in steps:
        pass
    assert segmenter.hierarchy_ is not early
    assert segmenter.hierarchy_ is segmenter.hierarchy_


@pytest.mark.parametrize("seed", [65, 68, 103])
def test_a_tree_of_many_strokes_can_be_restored(seed):
    random = np.random.default_rng(seed)
    image = gaussian_filter(random.random((80, 80)), 3)
    image = ((image - image.min()) / np.ptp(image)).astype(np.float32)
    strokes = np.zeros(image.shape, dtype=np.uint8)
    for _ in range(random.integers(4, 25)):
        row, column = random.integers(0, 74, 2)
        strokes[row : row + 6, column : column + 6] = random.integers(1, 3 + seed % 3)
    prepared = NormalizedImage(image[np.newaxis], np.ones(image.shape, dtype=bool), is_rgb=False)
    history = [(np.digitize(image, [0.3, 0.5, 0.7]) + 1).astype(np.uint8)]
    hierarchy = build_hierarchy(prepared, history, strokes=strokes)
    again = restore_hierarchy(hierarchy.tree(), prepared, history, strokes=strokes)
    np.testing.assert_array_equal(again.cut(), hierarchy.cut())
    # of what strokes keep apart nothing is one below a granularity of 1
    finest = hierarchy.cut(granularity=0.999)
    labels = [np.setdiff1d(strokes[finest == number], 0) for number in np.unique(finest)]
    assert max(map(len, labels)) == 1


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
