import dataclasses
import itertools
import json
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import napari_unsupseg.learning.schedule
import napari_unsupseg.learning.staged_training
from napari_unsupseg import Segmenter, Settings, segment
from napari_unsupseg.errors import (
    DeviceError,
    ImageDtypeError,
    ImageError,
    OutOfMemoryError,
    SettingError,
)
from napari_unsupseg.learning import cost, devices
from napari_unsupseg.learning.threads import CoreThreads

from .conftest import SMALL


def quadrants(values: tuple[float, ...] = (0, 80, 160, 240)) -> np.ndarray:
    """Return four flat squares with a little noise, shape (64, 64), and which is which."""
    which = np.kron([[0, 1], [2, 3]], np.ones((32, 32), int))
    noise = np.random.default_rng(0).normal(0, 2, which.shape)
    return np.asarray(values)[which] + noise, which


def test_flat_regions_are_told_apart_exactly():
    image, which = quadrants()
    labels = segment(image, iterations=40, superpixels=256, compactness=1)
    inner = np.pad(np.ones((24, 24), bool), 4)  # a border's width is a matter of taste
    found = [set(labels[np.tile(inner, (2, 2)) & (which == k)]) for k in range(4)]
    assert [len(ids) for ids in found] == [1, 1, 1, 1]
    assert len(set.union(*found)) == 4


def test_textures_of_equal_mean_are_told_apart():
    rows, columns = np.mgrid[:64, :64]
    image = np.where(columns < 32, rows // 2 % 2, columns // 2 % 2) * 255
    labels = segment(image.astype(np.uint8), iterations=60, superpixels=256)
    left, right = (np.bincount(half.ravel(), minlength=101) for half in np.hsplit(labels, 2))
    assert np.minimum(left, right).sum() / left.sum() < 0.1


@pytest.mark.parametrize(
    "dtype",
    ["bool", "uint8", "uint16", "uint32", "int16", "float16", "float32", "float64"],
)
def test_every_dtype(grey, dtype):
    image = grey > 100 if dtype == "bool" else (grey // 2).astype(dtype)
    labels = segment(image, **SMALL)
    assert labels.shape == grey.shape
    assert labels.dtype == np.uint8
    assert labels.min() >= 1
    assert len(np.unique(labels)) > 1


@pytest.mark.parametrize(
    ("shape", "channel_axis"),
    [
        pytest.param((32, 40), None, id="grey"),
        pytest.param((32, 40, 3), None, id="RGB"),
        pytest.param((2, 32, 40), 0, id="2 channels first"),
        pytest.param((32, 40, 7), -1, id="7 channels last"),
    ],
)
def test_channels(shape, channel_axis):
    image = np.random.default_rng(0).integers(0, 4000, shape)
    assert segment(image, channel_axis=channel_axis, **SMALL).shape == (32, 40)


@pytest.mark.parametrize(
    ("max_clusters", "dtype"),
    [
        pytest.param(255, np.uint8, id="255 clusters"),
        pytest.param(256, np.uint16, id="256 clusters"),
    ],
)
def test_the_dtype_holds_every_cluster(rgb, max_clusters, dtype):
    labels = segment(rgb, **SMALL | {"max_clusters": max_clusters, "iterations": 1})
    assert labels.dtype == dtype
    assert 1 <= labels.min() <= labels.max() <= max_clusters


def test_nan_and_masked_pixels_get_label_zero(grey):
    image, mask = grey.astype(float), np.ones(grey.shape, bool)
    image[10:20, 10:20] = np.nan
    mask[:, 50:] = False
    labels = segment(image, mask=mask, **SMALL)
    np.testing.assert_array_equal(labels == 0, np.isnan(image) | ~mask)


def test_what_lies_under_the_mask_does_not_matter(grey):
    mask = np.ones(grey.shape, bool)
    mask[:, 50:] = False
    other = np.where(mask, grey, 255 - grey)
    first, second = (segment(image, mask=mask, **SMALL) for image in (grey, other))
    np.testing.assert_array_equal(first, second)


@settings(max_examples=8, deadline=None)
@given(height=st.integers(2, 40), width=st.integers(2, 40), seed=st.integers(0, 100))
def test_any_size_gets_labels_from_one(height, width, seed):
    image = np.random.default_rng(seed).random((height, width))
    labels = segment(image, iterations=2, filters=4, max_clusters=6, superpixels=4, seed=seed)
    assert labels.shape == (height, width)
    assert 1 <= labels.min() <= labels.max() <= 6


def test_a_constant_image_is_one_cluster_and_says_so():
    with pytest.warns(UserWarning, match="constant"):
        labels = segment(np.full((20, 30), 7))
    np.testing.assert_array_equal(labels, np.ones((20, 30)))


def test_more_superpixels_than_pixels_are_clipped_and_said():
    image = np.arange(16).reshape(4, 4)
    with pytest.warns(UserWarning, match="16 are used"):
        labels = segment(image, **SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(labels, segment(image, **SMALL | {"superpixels": 16}))


@pytest.mark.filterwarnings("error")
def test_the_default_of_superpixels_is_clipped_without_a_word():
    segment(np.arange(16).reshape(4, 4), iterations=2)


def test_steps_end_where_fit_ends(rgb, small):
    *_, last = Segmenter(small).steps(rgb)
    segmenter = Segmenter(small).fit(rgb)
    np.testing.assert_array_equal(segmenter.labels_, last.labels)
    assert segmenter.n_iterations_ == last.iteration == small.iterations


def test_a_segmenter_can_be_fitted_again(rgb, grey, small):
    segmenter = Segmenter(small)
    first = segmenter.fit(rgb).labels_
    segmenter.fit(grey)
    np.testing.assert_array_equal(segmenter.fit(rgb).labels_, first)


def test_the_seed_matters(rgb):
    assert (segment(rgb, **SMALL, seed=0) != segment(rgb, **SMALL, seed=1)).any()


class EncoderDecoder(nn.Module):
    """A small fully convolutional network that halves and doubles the size."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 12, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(12, 9, 2, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.up(torch.relu(self.down(x))))


def test_features_can_be_replaced(rgb, small):
    torch.manual_seed(0)
    module = EncoderDecoder()
    before = [parameter.clone() for parameter in module.parameters()]
    segmenter = Segmenter(small, features=module)
    steps = list(segmenter.steps(rgb))
    assert steps[-1].labels.shape == rgb.shape[:2]
    assert steps[-1].loss < steps[0].loss
    for parameter, old in zip(module.parameters(), before, strict=True):
        assert torch.equal(parameter, old)
    np.testing.assert_array_equal(segmenter.fit(rgb).labels_, steps[-1].labels)


def test_a_record_says_how_labels_were_made(rgb, small):
    segmenter = Segmenter(small, device="cpu")
    *_, last = segmenter.steps(rgb)
    record = json.loads(json.dumps(segmenter.record(last)))
    assert record["device"] == "cpu"
    assert record["iterations"] == small.iterations
    assert record["clusters"] == len(np.unique(last.labels))
    assert Settings.from_dict(record["settings"]) == small


@pytest.mark.parametrize(
    ("image", "keywords", "error", "sentence"),
    [
        pytest.param(np.zeros((0, 0)), {}, ImageError, "empty", id="empty"),
        pytest.param(np.zeros((1, 9)), {}, ImageError, "2 × 2", id="one pixel high"),
        pytest.param(np.full((9, 9), np.nan), {}, ImageError, "no pixel", id="all NaN"),
        pytest.param(np.full((9, 9), np.inf), {}, ImageError, "infinite", id="inf"),
        pytest.param(np.zeros((9, 9), complex), {}, ImageDtypeError, "np.abs", id="complex"),
        pytest.param([["a", "b"]], {}, ImageDtypeError, "dtype", id="strings"),
        pytest.param([[{}, {}]], {}, ImageDtypeError, "object", id="objects"),
        pytest.param(np.zeros((9, 9)), {"channel_axis": 5}, ImageError, "axis", id="axis"),
        pytest.param(np.zeros((9, 9)), {"filters": 0}, SettingError, "1 to 1,024", id="p"),
        pytest.param(np.zeros((9, 9)), {"iteration": 1}, SettingError, "iterations", id="typo"),
        pytest.param(np.zeros((9, 9)), {"device": "abacus"}, DeviceError, "cpu", id="device"),
    ],
)
def test_bad_input_is_told_in_one_sentence(image, keywords, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        segment(image, **keywords)
    assert isinstance(caught.value, ValueError | TypeError)
    assert "\n" not in str(caught.value)


def test_more_channels_than_memory_allows():
    image = np.broadcast_to(np.zeros((1, 1, 1), np.uint8), (10_000_000, 900, 900))
    with pytest.raises(ImageError, match=r"needs about [\d.]+ GB .* fewer channels"):
        segment(image, channel_axis=0)


@pytest.mark.parametrize(
    ("settle", "change", "purpose"),
    [
        pytest.param(0, {"filters": 100}, "to train on", id="training"),
        pytest.param(0.02, {"networks": 2}, "for its segments", id="segments"),
    ],
)
def test_an_image_that_just_fits_is_not_refused(rgb, small, monkeypatch, settle, change, purpose):
    fits = dataclasses.replace(small, settle=settle)
    n_pixels = rgb[..., 0].size
    free = 5_000_000 if settle == 0 else cost.hierarchy_bytes(3, n_pixels, fits, n_threads=1)
    monkeypatch.setattr(devices, "free_bytes", lambda _: free)
    Segmenter(fits).fit(rgb)
    with pytest.raises(ImageError, match=rf"GB of memory {purpose} and this computer has .* use a"):
        Segmenter(dataclasses.replace(fits, **change)).fit(rgb)


def test_predict_tells_how_far_it_is(grey, small):
    segmenter = Segmenter(small).fit(grey)
    movie = np.stack([grey, grey[::-1], grey[:, ::-1]])
    parts, shares = segmenter.predict_generator(movie, axes="tyx"), []
    while True:
        try:
            shares.append(next(parts))
        except StopIteration as end:
            labels = end.value
            break
    np.testing.assert_array_equal(labels, segmenter.predict(movie, axes="tyx"))
    np.testing.assert_allclose(shares, [1 / 3, 2 / 3, 1])


@pytest.mark.parametrize("min_size", [0, 40])
def test_clusters_that_are_known_are_not_found_again(grey, min_size):
    segmenter = Segmenter(Settings.from_dict(SMALL | {"min_size": min_size})).fit(grey)
    found = segmenter.predict_hierarchy(grey).cut(granularity=0.3)
    labels = segmenter.predict(grey)
    np.testing.assert_array_equal(
        segmenter.predict_hierarchy(grey, labels=labels).cut(granularity=0.3), found
    )
    np.testing.assert_array_equal(segmenter.predict(grey, granularity=0.3), found)
    others = segmenter.predict_hierarchy(grey, labels=np.ones_like(labels)).cut(granularity=0.3)
    assert not np.array_equal(others, found)
    with pytest.raises(ImageError, match=r"labels have shape \(9, 76\) and the image \(60, 76\)"):
        segmenter.predict_hierarchy(grey, labels=labels[:9])


def test_the_clusters_kept_are_those_of_the_hierarchy(grey):
    settled = SMALL | {"settle": 0.02}
    segmenter = Segmenter(Settings.from_dict(settled | {"final_clusters": 4}))
    *_, own, kept = segmenter.steps(grey)
    np.testing.assert_array_equal(kept.labels, segmenter.hierarchy_.clusters(4))
    assert kept.n_clusters == 4
    assert kept.iteration == own.iteration
    without = Segmenter(Settings.from_dict(settled | {"final_clusters": 0})).fit(grey)
    np.testing.assert_array_equal(without.labels_, own.labels)


@pytest.mark.parametrize(
    "asked", [{"settle": 0.02, "max_clusters": 5}, {"max_clusters": 5}], ids=str
)
def test_never_more_clusters_than_at_the_beginning(grey, asked):
    assert segment(grey, **SMALL | asked).max() <= 5


def test_dim_nuclei_are_not_lost_in_the_background():
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:128, :128]
    nuclei = np.zeros((128, 128))
    for row, column in itertools.product(range(12, 128, 26), repeat=2):
        inside = (rows - row) ** 2 + (columns - column) ** 2 < rng.uniform(4, 7) ** 2
        nuclei[inside] = rng.choice([18, 25, 120])  # most of them dim
    image = (8 + nuclei + rng.normal(0, 2, nuclei.shape)).clip(0, 255).astype(np.uint8)
    labels = segment(image, iterations=60, superpixels=2000)
    background = labels == np.bincount(labels.ravel()).argmax()
    assert labels.max() <= 12
    found, true = ~background, nuclei > 0
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.9


@pytest.mark.parametrize(("row", "column"), [(40, 244), (100, 100), (200, 60)])
def test_the_rarest_cluster_is_found_again_in_another_image(row, column):
    image = np.full((256, 256, 3), 90.0)
    image[128:] = 150
    square = np.s_[row : row + 12, column : column + 12]
    image[square] = 30, 60, 200
    noise = np.random.default_rng(0).normal(0, 4, image.shape)
    image = (image + noise).clip(0, 255).astype(np.uint8)
    asked = SMALL | {"superpixels": 800, "iterations": 60, "settle": 0.02, "final_clusters": 3}
    segmenter = Segmenter(Settings.from_dict(asked)).fit(image)
    rarest = segmenter.labels_[square].max()
    assert np.mean(segmenter.labels_[square] == rarest) == 1
    found = segmenter.predict(image[::-1])[::-1]
    assert np.mean(found[square] == rarest) > 0.9
    assert np.mean(found == segmenter.labels_) > 0.99


@pytest.mark.parametrize("left_at", [1, 3, 7])
def test_a_run_that_was_left_goes_on_as_if_it_had_not_been(rgb, small, left_at):
    *_, expected = Segmenter(small).steps(rgb)
    segmenter = Segmenter(small)
    for step in segmenter.steps(rgb):
        if step.iteration == left_at:
            break
    assert segmenter.iterations_left_ == small.iterations - left_at
    *_, last = segmenter.resume()
    assert last.iteration == small.iterations
    np.testing.assert_array_equal(last.labels, expected.labels)
    assert segmenter.iterations_left_ == 0


@pytest.mark.parametrize("left_at", [[7], [33], [45], [3, 24, 25, 41]], ids=str)
def test_a_run_settles_where_it_would_have_if_it_had_not_been_left(rgb, left_at):
    image = np.tile(rgb, (4, 4, 1))
    settings = Settings.from_dict(SMALL | {"settle": 0.03, "iterations": 90, "final_clusters": 0})
    *_, expected = Segmenter(settings).steps(image)
    assert 45 < expected.iteration < 90, "it has settled"
    segmenter = Segmenter(settings)
    steps = segmenter.steps(image)
    for leave in left_at:
        for step in steps:
            if step.iteration == leave:
                break
        steps.close()
        steps = segmenter.resume()
    *_, last = steps
    assert last.iteration == expected.iteration
    np.testing.assert_array_equal(last.labels, expected.labels)


def test_steps_end_where_others_are_taken(rgb, small):
    segmenter = Segmenter(small)
    first = segmenter.steps(rgb)
    next(first)
    others = segmenter.resume()
    next(others)
    assert list(first) == []
    assert [step.iteration for step in others] == list(range(3, small.iterations + 1))


def test_a_run_can_go_on_after_an_interrupt_within_an_iteration(rgb, small, monkeypatch):
    *_, expected = Segmenter(small).steps(rgb)
    segmenter = Segmenter(small)
    steps = segmenter.steps(rgb)
    next(steps)
    real = CoreThreads.run

    def interrupted(self, work, *args):
        real(self, work, *args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(CoreThreads, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(steps)
    *_, last = segmenter.resume()
    assert last.iteration == expected.iteration
    np.testing.assert_array_equal(last.labels, expected.labels)


def test_a_run_goes_on_from_reduced_to_full_size(rgb):
    image = np.tile(rgb, (4, 4, 1))
    settings = Settings.from_dict(SMALL | {"settle": 1e-6, "iterations": 12})
    expected = Segmenter(settings).fit(image)
    segmenter = Segmenter(settings)
    steps = iter(segmenter.steps(image))
    assert next(steps).factor == 2
    assert segmenter.iterations_left_ == 11
    # 8 more on all of it at half size, and 3 on tiles of 12 000 pixels
    at_half_size = image[::2, ::2, 0].size
    assert segmenter.seconds_left(0.5) == pytest.approx((8 + 3 * 12_000 / at_half_size) / 2)
    steps.close()
    factors = [step.factor for step in segmenter.resume()]
    assert (factors[0], factors[-1]) == (2, 1)
    np.testing.assert_array_equal(segmenter.predict(image), expected.predict(image))


def test_a_run_that_is_left_can_be_finished(rgb):
    image = np.tile(rgb, (4, 4, 1))
    segmenter = Segmenter(Settings.from_dict(SMALL | {"settle": 1e-6, "final_clusters": 5}))
    left = next(segmenter.steps(image))
    assert left.n_clusters > 5
    *making, last = segmenter.finish()
    assert [step.hierarchy_share is None for step in making] == [False] * len(making)
    assert making[-1].hierarchy_share == 1
    assert 2 <= last.n_clusters == len(np.unique(last.labels)) <= 5
    assert last.labels.shape == image.shape[:2]
    assert not (last.labels[::2] == last.labels[1::2]).all(), "blocks of the reduced size"
    assert segmenter.predict(image).max() <= 5
    *_, resumed = segmenter.resume()
    assert resumed.iteration == SMALL["iterations"]


def test_a_run_on_tiles_that_is_left_labels_all_of_the_image(rgb, monkeypatch):
    monkeypatch.setattr(napari_unsupseg.learning.schedule, "MAX_WHOLE_PIXELS", 20_000)
    monkeypatch.setattr(napari_unsupseg.learning.schedule, "WHOLE_PIXELS", 10_000)
    monkeypatch.setattr(napari_unsupseg.learning.staged_training, "PREVIEW_PIXELS", 5_000)
    image = np.tile(rgb, (4, 4, 1))
    segmenter = Segmenter(Settings(**SMALL))
    left = next(segmenter.steps(image))
    assert (left.labels[::2] == left.labels[1::2]).all(), "a preview"
    [last] = segmenter.finish()
    assert not (last.labels[::2] == last.labels[1::2]).all()


def test_there_is_nothing_to_finish_before_a_run(small):
    with pytest.raises(SettingError, match="no run to end"):
        next(Segmenter(small).finish())


def test_a_run_that_has_ended_trains_as_long_again(rgb, small):
    segmenter = Segmenter(small).fit(rgb)
    long = dataclasses.replace(small, iterations=2 * small.iterations)
    *_, last = segmenter.resume()
    assert last.iteration == long.iterations
    np.testing.assert_array_equal(last.labels, Segmenter(long).fit(rgb).labels_)


def test_a_run_left_after_its_last_iteration_trains_as_long_again(rgb, small):
    segmenter = Segmenter(small)
    steps = segmenter.steps(rgb)
    for _ in range(small.iterations):
        next(steps)
    steps.close()
    *_, last = segmenter.resume()
    assert last.iteration == 2 * small.iterations


def test_there_must_be_a_run_to_go_on_with(small):
    with pytest.raises(SettingError, match="no run to go on with"):
        next(Segmenter(small).resume())


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode], ids=str)
def test_a_caller_s_mode_of_torch_does_not_matter(rgb, small, context):
    expected = Segmenter(small).fit(rgb)
    with context():
        found = Segmenter(small).fit(rgb)
        predicted = found.predict(rgb)
    np.testing.assert_array_equal(found.labels_, expected.labels_)
    np.testing.assert_array_equal(predicted, expected.predict(rgb))


def test_torch_s_default_data_type_does_not_matter(rgb, small):
    expected = segment(rgb, **small.to_dict())
    torch.set_default_dtype(torch.float64)
    try:
        np.testing.assert_array_equal(segment(rgb, **small.to_dict()), expected)
    finally:
        torch.set_default_dtype(torch.float32)


class FilterBank(nn.Module):
    """Six features without a parameter."""

    def forward(self, image):
        return torch.cat([image, image.roll(1, -1)], dim=1)


@pytest.mark.parametrize(
    "features",
    [
        pytest.param(FilterBank(), id="without parameters"),
        pytest.param(
            nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 8, 3, padding=1)), id="norm first"
        ),
        pytest.param(nn.Conv2d(3, 12, 3, padding=1, groups=3), id="depthwise"),
        pytest.param(nn.Sequential(nn.Conv2d(3, 8, 1), nn.Dropout(0.5)), id="dropout"),
    ],
)
def test_features_of_one_s_own_are_found_in_other_images(rgb, small, features):
    segmenter = Segmenter(small, features=features).fit(rgb)
    first, second = (segmenter.predict(rgb[:40]) for _ in range(2))
    assert first.shape == (40, 72)
    np.testing.assert_array_equal(first, second)
    segmenter.fit(rgb, warm_start=True)


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        pytest.param(len, "must be a torch.nn.Module", id="a function"),
        pytest.param(nn.Identity, "must be a torch.nn.Module", id="a class"),
        pytest.param(nn.ModuleDict(), "cannot take an image", id="no forward"),
        pytest.param(
            nn.MaxPool2d(3, 1, 1, return_indices=True), "must return a tensor", id="two tensors"
        ),
    ],
)
def test_what_is_no_module_for_images(rgb, small, features, sentence):
    with pytest.raises(SettingError, match=sentence):
        Segmenter(small, features=features).fit(rgb)


@pytest.mark.parametrize("changed", [{"max_clusters": 8}, {"filters": 20}, {"components": 3}])
def test_a_network_goes_on_with_the_settings_it_was_made_with(rgb, small, changed):
    segmenter = Segmenter(small).fit(rgb)
    segmenter.settings = dataclasses.replace(small, **changed)
    with pytest.raises(SettingError, match=f"{next(iter(changed))} is .* was made with"):
        segmenter.fit(rgb, warm_start=True)


@pytest.mark.parametrize("shape", [(60, 40, 3), (40, 60), (3, 40, 59)], ids=str)
@pytest.mark.parametrize("joint", [True, False])
def test_a_mask_of_another_shape_is_refused(shape, joint):
    movie = np.random.default_rng(0).random((3, 40, 60))
    with pytest.raises(ImageError, match="mask has shape"):
        segment(movie, axes="tyx", joint=joint, mask=np.ones(shape, bool), **SMALL)


@pytest.mark.parametrize("how", ["mask", "masked array", "NaN", "transparent"])
def test_a_frame_of_which_nothing_takes_part_has_no_labels(how):
    movie = np.random.default_rng(0).random((3, 40, 60))
    mask = np.ones(movie.shape, bool)
    mask[1] = False
    options = {"axes": "tyx"}
    if how == "mask":
        options["mask"] = mask
    elif how == "masked array":
        movie = np.ma.MaskedArray(movie, ~mask)
    elif how == "NaN":
        movie[1] = np.nan
    else:
        movie, options = np.stack([movie, movie, movie, mask], axis=-1), {"axes": "tyxs"}
    labels = segment(movie, joint=False, **options, **SMALL)
    np.testing.assert_array_equal(labels > 0, mask)


def test_a_series_of_which_nothing_takes_part_is_refused():
    movie = np.full((3, 40, 60), np.nan)
    with pytest.raises(ImageError, match="no pixel to segment"):
        segment(movie, axes="tyx", joint=False, **SMALL)


@pytest.mark.parametrize("with_strokes", [False, True])
def test_what_takes_part_beside_the_last_whole_tile_is_segmented(with_strokes):
    image = np.random.default_rng(0).random((300, 310)).astype(np.float32)
    image[:290] = np.nan
    strokes = np.zeros(image.shape, np.uint8)
    strokes[295, :40] = 1
    labels = segment(image, iterations=8, strokes=strokes if with_strokes else None)
    np.testing.assert_array_equal(labels > 0, ~np.isnan(image))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda segmenter, image: segmenter.fit(image), id="fit"),
        pytest.param(lambda segmenter, _: list(segmenter.resume()), id="resume"),
        pytest.param(lambda segmenter, _: list(segmenter.finish()), id="finish"),
        pytest.param(lambda segmenter, _: segmenter.hierarchy_, id="hierarchy"),
        pytest.param(lambda segmenter, image: segmenter.predict_hierarchy(image), id="predict"),
    ],
)
def test_memory_that_runs_out_is_told_as_what_it_is(grey, monkeypatch, make):
    def build(*_args, **_keywords):
        raise MemoryError("Unable to allocate 8 TiB for an array")
        yield

    segmenter = Segmenter(Settings.from_dict(SMALL | {"settle": 0.1}))
    next(segmenter.steps(grey))
    for module in ("run", "predictor"):
        monkeypatch.setattr(f"napari_unsupseg.learning.{module}.build_hierarchy_generator", build)
    with pytest.raises(OutOfMemoryError, match="ran out of memory; use a smaller"):
        make(segmenter, grey)


@pytest.mark.parametrize("is_list", [False, True], ids=["one", "several"])
def test_a_user_may_write_into_labels(grey, tmp_path, is_list):
    settings = Settings.from_dict(SMALL | {"iterations": 12, "settle": 0.1})
    segmenter = Segmenter(settings).fit([grey, grey] if is_list else grey)
    segmenter.save(tmp_path / "run.unsupseg", run=True)
    for one in (segmenter, Segmenter.load(tmp_path / "run.unsupseg")):
        before = one.uncertainty()
        for labels in one.labels_ if is_list else [one.labels_]:
            labels[:] = 1
        np.testing.assert_array_equal(one.uncertainty(), before)
