import hashlib
import json
import struct

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from napari_unsupseg import Segmenter, Settings, segment
from napari_unsupseg.errors import FileError, ImageError, SettingError
from napari_unsupseg.learning.checkpoint import load_checkpoint

QUICK = {
    "filters": 16, "max_clusters": 20, "superpixels": 500, "iterations": 40, "precision": "float32",
}  # fmt: skip


def cells(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return bright discs on dark ground, and where they are."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:70, :90]
    truth = np.zeros(rows.shape, bool)
    for _ in range(6):
        centre = random.integers((10, 10), (60, 80))
        truth |= np.hypot(rows - centre[0], columns - centre[1]) < 8
    return np.where(truth, 180, 60) + random.normal(0, 8, truth.shape), truth


@pytest.fixture(scope="module")
def fitted():
    return Segmenter(Settings(final_clusters=2, **QUICK)).fit(cells(0)[0])


@pytest.fixture
def path(fitted, tmp_path):
    path = tmp_path / "cells.unsupseg"
    fitted.save(path)
    return path


def test_a_network_finds_the_same_clusters_in_another_image(fitted):
    for seed in range(4):
        image, truth = cells(seed)
        assert np.mean(fitted.predict(image) == truth + 1) > 0.97


def test_a_loaded_network_gives_the_same_labels(fitted, path):
    loaded = Segmenter.load(path)
    assert loaded.settings == fitted.settings
    image, _ = cells(1)
    np.testing.assert_array_equal(loaded.predict(image), fitted.predict(image))


def test_the_same_network_is_the_same_file(fitted, path, tmp_path):
    other = tmp_path / "other.unsupseg"
    for _ in range(5):
        Segmenter.load(path).save(other)
        assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("shape", "axes", "spatial_ndim"),
    [
        pytest.param((30, 40, 3), "yxs", 2, id="RGB"),
        pytest.param((3, 30, 40), "zyx", 2, id="stack"),
        pytest.param((2, 4, 30, 40), "czyx", 3, id="volume of channels"),
    ],
)
def test_every_kind_of_network_can_be_kept(tmp_path, shape, axes, spatial_ndim):
    image = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    segmenter = Segmenter(Settings(**QUICK | {"iterations": 3}))
    segmenter.fit(image, axes=axes, spatial_ndim=spatial_ndim).save(tmp_path / "a.unsupseg")
    loaded = Segmenter.load(tmp_path / "a.unsupseg")
    labels = loaded.predict(image, axes=axes)
    np.testing.assert_array_equal(labels, segmenter.predict(image, axes=axes))


def test_another_image_has_no_labels_but_those_of_the_run(path):
    noise = np.random.default_rng(0).normal(0, 255, (60, 60))
    assert set(np.unique(Segmenter.load(path).predict(noise))) <= {1, 2}


def test_segments_of_another_image(path):
    image, _ = cells(1)
    loaded = Segmenter.load(path)
    assert loaded.predict(image, n_segments=7).max() == 7
    assert loaded.predict(image, granularity=1).max() == 1


def test_training_goes_on_from_a_loaded_network(path):
    image, truth = cells(2)
    loaded = Segmenter.load(path)
    before = {name: value.clone() for name, value in load_file(path).items()}
    first = next(loaded.steps(image, warm_start=True))
    assert np.mean(first.labels == truth + 1) > 0.9, "it begins with what it knows"
    loaded.fit(image, warm_start=True).save(path)
    assert any(not torch.equal(before[name], value) for name, value in load_file(path).items())


def test_a_run_that_was_left_early_can_predict(fitted):
    image, _ = cells(0)
    segmenter = Segmenter(Settings(**QUICK))
    for step in segmenter.steps(image):
        if step.iteration == 20:
            break
    agreement = np.mean(segmenter.predict(image) == step.labels)
    assert agreement > 0.8


def test_there_is_nothing_to_save_before_a_run(tmp_path):
    for use in (lambda s: s.save(tmp_path / "a"), lambda s: s.predict(cells(0)[0])):
        with pytest.raises(SettingError, match="no network yet: fit an image"):
            use(Segmenter())


def test_a_module_of_ones_own_is_not_saved(tmp_path):
    features = nn.Conv2d(1, 5, 3, padding=1)
    segmenter = Segmenter(Settings(**QUICK | {"iterations": 2}), features=features)
    with pytest.raises(SettingError, match="features of your own"):
        segmenter.fit(cells(0)[0]).save(tmp_path / "a.unsupseg")


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        pytest.param(np.zeros((9, 9, 3), np.uint8), "3 channels and the network .* on 1", id="RGB"),
        pytest.param(np.zeros((4, 9, 9)), "say what they are", id="axes"),
    ],
)
def test_images_of_another_kind(fitted, image, sentence):
    with pytest.raises(ImageError, match=sentence):
        fitted.predict(image)


def test_volumes_do_not_go_with_planes(path):
    volume = np.random.default_rng(0).random((4, 20, 20))
    with pytest.raises(ImageError, match="spatial_ndim is 3 and the network was trained with 2"):
        Segmenter.load(path).fit(volume, axes="zyx", spatial_ndim=3, warm_start=True)


def rewritten(path, change_header=None, change_tensors=None):
    """Write a network anew with some of it changed."""
    tensors = load_file(path)
    with safe_open(path, framework="pt") as file:
        ((name, content),) = file.metadata().items()
    header = json.loads(content)
    if change_header:
        change_header(header)
    if change_tensors:
        change_tensors(tensors)
    save_file(tensors, path, {name: json.dumps(header)})


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-50] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        pytest.param(lambda path: path.unlink(), "no such file", id="missing"),
        pytest.param(lambda path: path.write_text("hello"), "is no network or run of", id="text"),
        pytest.param(lambda path: path.write_bytes(b""), "is no network or run of", id="empty"),
        pytest.param(
            lambda path: path.write_bytes(struct.pack("<Q", 1002) + b'"' + b"a" * 1000 + b'"'),
            "is no network or run of napari-unsupseg, or damaged",
            id="a text that the library quotes",
        ),
        pytest.param(
            truncate, "is no network or run of napari-unsupseg, or damaged", id="truncated"
        ),
        pytest.param(flip, "weights are not those that were written", id="a byte"),
        pytest.param(
            lambda path: save_file({"a": torch.zeros(2)}, path),
            "is no network or run of",
            id="another's",
        ),
        pytest.param(
            lambda path: rewritten(path, lambda header: header.update(format_version=3)),
            "by a newer napari-unsupseg",
            id="newer",
        ),
        pytest.param(
            lambda path: rewritten(path, lambda header: header.update(format_version="?")),
            "damaged or was changed",
            id="version",
        ),
        pytest.param(
            lambda path: rewritten(path, lambda header: header["settings"].update(components=9)),
            "from 1 to 5, got 9",
            id="setting out of range",
        ),
        pytest.param(
            lambda path: rewritten(path, lambda header: header["settings"].update(filters=17)),
            "damaged or was changed",
            id="other size",
        ),
        pytest.param(
            lambda path: rewritten(path, lambda header: header.pop("channels")),
            "damaged or was changed",
            id="header incomplete",
        ),
        pytest.param(
            lambda path: rewritten(path, None, lambda tensors: tensors.popitem()),
            "weights are not of the shapes",
            id="weights missing",
        ),
        pytest.param(
            lambda path: rewritten(path, lambda header: header["settings"].update(seed=7)),
            "settings or weights are not those that were written",
            id="another seed",
        ),
        pytest.param(
            lambda path: rewritten(path, lambda header: header.update(rgb=True)),
            "settings or weights are not those that were written",
            id="colours",
        ),
        pytest.param(
            lambda path: rewritten(path, lambda header: header.update(format_version=1)),
            "settings or weights are not those that were written",
            id="older",
        ),
        pytest.param(
            lambda path: rewritten(path, lambda header: header.update(channels=10**12)),
            "its number of channels is 1000000000000; expected 1 to 100,000",
            id="memory that nobody has",
        ),
        pytest.param(
            lambda path: rewritten(path, lambda header: header.update(channels=99_999)),
            "weights are not of the shapes",
            id="channels",
        ),
        pytest.param(
            lambda path: rewritten(path, lambda header: header["settings"].update(filters=1024)),
            "weights are not of the shapes",
            id="filters",
        ),
        pytest.param(
            lambda path: rewritten(path, lambda header: header.update(labels=21)),
            "its number of labels is 21; expected 1 to 20",
            id="labels",
        ),
        pytest.param(
            lambda path: rewritten(path, lambda header: header.update(spatial_ndim=4)),
            "its axes or its colours are none that there are",
            id="axes",
        ),
        pytest.param(
            lambda path: rewritten(path, lambda header: header.update(settings=[1])),
            "damaged or was changed",
            id="settings in a list",
        ),
        pytest.param(
            lambda path: rewritten(path, lambda header: header.update(format_version=1e999)),
            "damaged or was changed",
            id="infinite version",
        ),
    ],
)
def test_files_that_are_no_networks(path, spoil, sentence):
    spoil(path)
    with pytest.raises(FileError, match=sentence) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_file_of_the_first_format_is_read(fitted, path):
    """Its SHA-256 is that of the weights alone."""
    digest = hashlib.sha256()
    for name, tensor in sorted(load_file(path).items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode() + tensor.numpy().tobytes())
    rewritten(path, lambda h: h.update(format_version=1, sha256=digest.hexdigest()))
    image, _ = cells(1)
    np.testing.assert_array_equal(Segmenter.load(path).predict(image), fitted.predict(image))


def test_nothing_in_a_file_runs(path):
    """safetensors hold numbers and text; a pickle is refused as a file of another kind."""
    torch.save({"weights": torch.zeros(2)}, path)
    with pytest.raises(FileError, match="is no network or run of"):
        load_checkpoint(path)


def test_the_paper_way_can_predict_too():
    image, _ = cells(0)
    settings = Settings.from_preset("paper-2018", QUICK | {"iterations": 20})
    segmenter = Segmenter(settings).fit(image)
    assert np.mean(segmenter.predict(image) == segmenter.labels_) > 0.8


def test_predicting_leaves_the_run_as_it_is():
    image, _ = cells(0)
    segmenter = Segmenter(Settings(**QUICK)).fit(image)
    expected = segment(image, granularity=0.4, **QUICK)
    segmenter.predict(cells(1)[0])
    np.testing.assert_array_equal(segmenter.hierarchy_.cut(granularity=0.4), expected)
