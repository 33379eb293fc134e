"""Strokes from end to end: what a run that they steer gives."""

import copy
import itertools
import threading

import numpy as np
import pytest
import skimage.data
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_unsupseg.learning.cost
import napari_unsupseg.learning.schedule
import napari_unsupseg.learning.staged_training
from napari_unsupseg import Segmenter, Settings, segment
from napari_unsupseg.errors import SettingError, StrokesError
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.learning.network import build_network
from napari_unsupseg.learning.sampling import TrainingSample
from napari_unsupseg.learning.trainer import Trainer

from .conftest import SMALL

SETTLED = SMALL | {"settle": 0.02}


def bands(*values: float) -> np.ndarray:
    """Return flat vertical bands of 24 columns with a little noise, shape (48, 24 n)."""
    noise = np.random.default_rng(0).normal(0, 2, (48, 24 * len(values)))
    return np.repeat(values, 24) + noise


def drawn_on(shape: tuple[int, ...], *strokes: tuple[int, tuple]) -> np.ndarray:
    """Return strokes, each a label and where it is drawn."""
    array = np.zeros(shape, dtype=int)
    for label, place in strokes:
        array[place] = label
    return array


def assert_followed(labels: np.ndarray, strokes: np.ndarray) -> None:
    np.testing.assert_array_equal(labels[strokes > 0], strokes[strokes > 0])


@pytest.fixture(scope="module")
def coins():
    """Coins, shape (303, 384)."""
    return skimage.data.coins()


@pytest.mark.parametrize("keywords", [SMALL, SETTLED], ids=["the paper's run", "settled"])
def test_strokes_of_nothing_change_no_byte(grey, keywords):
    without = segment(grey, **keywords)
    np.testing.assert_array_equal(without, segment(grey, strokes=np.zeros_like(grey), **keywords))


@settings(max_examples=10, deadline=None)
@given(
    lines=st.lists(
        st.tuples(st.integers(1, 20), st.integers(0, 59), st.integers(0, 70)),
        min_size=1,
        max_size=5,
    ),
    keywords=st.sampled_from(
        [SMALL, SETTLED, SETTLED | {"final_clusters": 1}, SETTLED | {"min_size": 40}]
    ),
)
def test_pixels_under_a_stroke_have_its_label(grey, lines, keywords):
    places = [(label, np.s_[row, column : column + 6]) for label, row, column in lines]
    strokes = drawn_on(grey.shape, *places)
    assert_followed(segment(grey, strokes=strokes, **keywords), strokes)


def test_what_looks_like_a_stroke_has_its_label():
    image = bands(0, 80, 160, 240, 0, 80, 160, 240)
    strokes = drawn_on(
        image.shape,
        (1, np.s_[20, 5:18]),
        (1, np.s_[30, 77:90]),
        (2, np.s_[10:30, 36]),
        (2, np.s_[10:30, 60]),
    )
    labels = segment(
        image, strokes=strokes, iterations=60, filters=32, superpixels=400, final_clusters=2
    )
    expected = np.repeat([1, 2, 2, 1, 1, 2, 2, 1], 24)
    assert np.mean(labels == expected) > 0.95


def test_what_a_stroke_only_ends_in_is_named_by_what_it_looks_like():
    image = bands(0, 180, 0, 240)
    strokes = drawn_on(image.shape, (1, np.s_[20, 4:26]), (2, np.s_[20, 76:90]))
    labels = segment(
        image, strokes=strokes, iterations=60, filters=32, superpixels=400, final_clusters=2
    )
    expected = np.repeat([1, 2, 1, 2], 24)
    assert np.mean(labels == expected) > 0.95


def test_there_is_a_cluster_for_every_stroke_and_only_free_numbers_for_others(grey):
    strokes = drawn_on(grey.shape, (2, np.s_[3, :5]), (9, np.s_[30, :5]), (15, np.s_[50, 60:70]))
    few = segment(grey, strokes=strokes, **SETTLED | {"final_clusters": 2})
    assert set(np.unique(few)) == {2, 9, 15}
    many = segment(grey, strokes=strokes, **SETTLED | {"final_clusters": 6})
    assert {2, 9, 15} < set(np.unique(many)) <= {1, 2, 3, 4, 5, 6, 9, 15}


def test_segments_never_hold_strokes_of_two_labels(grey, small):
    strokes = drawn_on(grey.shape, (1, np.s_[10, 5:9]), (2, np.s_[11, 5:9]), (3, np.s_[40, 8:30]))
    hierarchy = Segmenter(small).fit(grey, strokes=strokes).hierarchy_
    for level in (0, 0.3, 0.5, 0.99):
        segments = hierarchy.cut(granularity=level)
        under = [set(segments[strokes == label]) for label in (1, 2, 3)]
        assert len(set.union(*under)) == sum(map(len, under))


def test_the_network_finds_the_clusters_of_strokes_elsewhere():
    image = bands(0, 120, 240)
    strokes = drawn_on(image.shape, (7, np.s_[20, 4:20]), (3, np.s_[20, 28:44]))
    chosen = Settings(iterations=60, filters=32, superpixels=300, final_clusters=2)
    segmenter = Segmenter(chosen).fit(image, strokes=strokes)
    found = segmenter.predict(np.flip(image, axis=1))
    assert np.mean(found == np.flip(segmenter.labels_, axis=1)) > 0.9


def test_strokes_outside_the_mask_count_for_nothing(grey, small):
    mask = np.ones(grey.shape, bool)
    mask[:20] = False
    strokes = drawn_on(grey.shape, (4, np.s_[:30, 10]))
    labels = Segmenter(small).fit(grey, mask=mask, strokes=strokes).labels_
    np.testing.assert_array_equal(labels == 0, ~mask)
    np.testing.assert_array_equal(labels[20:30, 10], 4)


@pytest.mark.parametrize("spatial_ndim", [2, 3], ids=["series", "volume"])
def test_strokes_on_one_frame_of_many(grey, spatial_ndim):
    stack = np.stack([grey[:24, :30]] * 3)
    strokes = drawn_on(stack.shape, (5, np.s_[1, 4, 3:12]), (6, np.s_[2, 3:12, 25]))
    labels = segment(stack, axes="zyx", spatial_ndim=spatial_ndim, strokes=strokes, **SETTLED)
    assert_followed(labels, strokes)


def test_a_constant_image_can_be_drawn_on():
    strokes = drawn_on((20, 30), (3, np.s_[5, 5:9]))
    with pytest.warns(UserWarning, match="constant"):
        labels = segment(np.full((20, 30), 7), strokes=strokes)
    np.testing.assert_array_equal(labels, np.where(strokes, 3, 1))


def test_strokes_drawn_in_mid_run_count_from_the_next_iteration_on(grey, small):
    plain = [step.labels for step in Segmenter(small).steps(grey)]
    segmenter = Segmenter(small)
    strokes = drawn_on(grey.shape, (1, np.s_[10:20, 40]), (2, np.s_[50, 5:30]))
    seen = []
    for step in segmenter.steps(grey):
        seen.append(step)
        if step.iteration == 3:
            segmenter.strokes = strokes
    for before, step in zip(plain[:3], seen, strict=False):
        np.testing.assert_array_equal(before, step.labels)
    assert (plain[3] != seen[3].labels).any()
    assert max(step.iteration for step in seen) == small.iterations
    assert_followed(seen[-1].labels, strokes)
    np.testing.assert_array_equal(segmenter.strokes, strokes)


def test_a_new_stroke_takes_over_the_cluster_that_it_is_drawn_on(grey, small):
    segmenter = Segmenter(small)
    steps = segmenter.steps(grey)
    *_, before = itertools.islice(steps, 4)
    there = before.labels == np.bincount(before.labels.ravel()).argmax()
    strokes = np.where(there, 13, 0)
    strokes[:, 20:] = 0
    segmenter.strokes = strokes
    after = next(steps)
    assert np.mean(after.labels[there] == 13) > 0.7


def test_strokes_bring_a_run_back_to_reduced_size(coins):
    segmenter = Segmenter(Settings.from_dict(SETTLED | {"iterations": 20, "final_clusters": 0}))
    strokes = drawn_on(coins.shape, (1, np.s_[10, 10:60]))
    factors, iterations = [], []
    for step in segmenter.steps(coins):
        factors.append(step.factor)
        iterations.append(step.iteration)
        if step.factor == 1 and segmenter.strokes is None:
            segmenter.strokes = strokes
    assert [factor for factor, _ in itertools.groupby(factors)] == [3, 1, 3, 1]
    assert iterations == sorted(iterations)
    assert max(iterations) == 20
    assert_followed(step.labels, strokes)


def test_strokes_can_be_set_from_another_thread(grey):
    segmenter = Segmenter(Settings.from_dict(SETTLED | {"iterations": 25}))
    strokes = [drawn_on(grey.shape, (label, np.s_[20, 5:40])) for label in (1, 2, 3)]
    steps = segmenter.steps(grey)
    next(steps)

    def draw() -> None:
        for one in strokes:
            segmenter.strokes = one

    thread = threading.Thread(target=draw)
    thread.start()
    *_, last = steps
    thread.join()
    assert_followed(last.labels, strokes[-1])


def test_strokes_are_copied_and_can_be_taken_back(grey, small):
    strokes = drawn_on(grey.shape, (1, np.s_[20, 5:40]))
    segmenter = Segmenter(small)
    steps = segmenter.steps(grey, strokes=strokes)
    next(steps)
    strokes[:] = 2
    assert segmenter.strokes.max() == 1
    segmenter.strokes = None
    assert segmenter.strokes is None
    *_, last = steps
    assert last.iteration == small.iterations


@pytest.mark.parametrize("is_list", [False, True], ids=["one", "several"])
def test_strokes_that_are_drawn_on_further_count(grey, small, is_list):
    strokes = drawn_on(grey.shape, (1, np.s_[20, 5:40]))
    found = []
    for own in (lambda drawn: drawn, np.copy):
        segmenter = Segmenter(small)
        image, given = ([grey, grey], [strokes, None]) if is_list else (grey, strokes)
        steps = segmenter.steps(image, strokes=given)
        next(steps)
        drawn = [own(one) for one in (segmenter.strokes if is_list else [segmenter.strokes])]
        drawn[0][40, 5:40] = 2
        segmenter.strokes = drawn if is_list else drawn[0]
        *_, last = steps
        found.append(last.labels)
    np.testing.assert_array_equal(*found)


def test_strokes_on_a_large_image_are_trained_on_wherever_they_are(coins, monkeypatch):
    for name in ("MAX_REDUCED_PIXELS", "REDUCED_PIXELS"):
        monkeypatch.setattr(napari_unsupseg.learning.schedule, name, 10_000)
    segmenter = Segmenter(Settings.from_dict(SETTLED | {"iterations": 20, "final_clusters": 0}))
    # the image's last rows and columns are in no whole tile
    strokes = drawn_on(coins.shape, (1, np.s_[-2:, -40:]), (2, np.s_[80:95, 60:90]))
    steps = segmenter.steps(coins, strokes=strokes)
    step = next(steps)
    assert step.labels.shape == coins.shape
    *_, last = steps
    assert_followed(last.labels, strokes)


def test_the_loss_is_that_of_the_paper(rgb):
    chosen = Settings(filters=7, max_clusters=6, superpixels=0, stroke_weight=0.7)
    image = normalize_image(split_channels(rgb))
    strokes = drawn_on(rgb.shape[:2], (2, np.s_[5, 4:30])).astype(np.uint8)
    tensor = torch.from_numpy(image.values)[None].double()
    network = build_network(tensor.float(), chosen).double()
    before = copy.deepcopy(network)
    network.precision = before.precision = torch.float64
    view = TrainingSample(image.values[np.newaxis], image.valid[np.newaxis], None)
    step = next(Trainer(network, chosen).run(view, 1, strokes=strokes[np.newaxis]))
    found = before(tensor)[0].flatten(1).T
    # the stroke's number was given to the cluster under it, in exchange for its own
    taken = int(found.argmax(1).view(rgb.shape[:2])[5, 4:30].bincount().argmax())
    found[:, [1, taken]] = found[:, [taken, 1]]
    clusters, drawn = found.argmax(1), torch.from_numpy(strokes > 0).flatten()
    np.testing.assert_array_equal(step.labels.ravel(), clusters + 1)
    of_all = F.cross_entropy(found[~drawn], clusters[~drawn], reduction="sum") / len(found)
    of_strokes = F.cross_entropy(found[drawn], torch.ones_like(clusters[drawn]))
    assert step.loss == pytest.approx((of_all + 0.7 * of_strokes).item())


def test_a_cluster_that_has_the_number_of_one_stroke_is_left_to_it():
    # all pixels have one response, and so one cluster, on which both strokes are drawn
    image = np.full((1, 20, 30), 0.5, dtype=np.float32)
    strokes = drawn_on((20, 30), (3, np.s_[5, 4:10]), (5, np.s_[15, 2:28])).astype(np.uint8)
    chosen = Settings(filters=7, max_clusters=6, superpixels=0)
    network = build_network(torch.from_numpy(image)[None], chosen)
    view = TrainingSample(image[np.newaxis], np.ones((1, 20, 30), dtype=bool), None)
    step = next(Trainer(network, chosen).run(view, 1, strokes=strokes[np.newaxis]))
    np.testing.assert_array_equal(np.unique(step.labels[0][strokes > 0]), [3])


@pytest.mark.parametrize(
    ("strokes", "sentence"),
    [
        pytest.param(np.ones((5, 5), int), r"shape \(5, 5\).*\(60, 76\)", id="shape"),
        pytest.param(np.ones((60, 76)), "float64; expected .* integers", id="floats"),
        pytest.param(np.full((60, 76), -1), "label -1; draw with labels from 1", id="negative"),
        pytest.param(np.full((60, 76), 21), "label 21, but there are 20 clusters", id="too many"),
    ],
)
def test_bad_strokes_are_refused_with_one_sentence(grey, small, strokes, sentence):
    segmenter = Segmenter(small)
    with pytest.raises(StrokesError, match=sentence):
        segmenter.fit(grey, strokes=strokes)
    next(segmenter.steps(grey))
    with pytest.raises(StrokesError, match=sentence):
        segmenter.strokes = strokes


def test_strokes_need_an_image(small):
    with pytest.raises(StrokesError, match="no image to draw on"):
        Segmenter(small).strokes = np.ones((5, 5), int)


def test_the_weight_of_strokes_has_a_range():
    with pytest.raises(SettingError, match="stroke_weight"):
        Settings(stroke_weight=-1)
