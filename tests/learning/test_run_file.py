"""A run that is saved and opened again goes on as if it had never been left."""

import contextlib
import itertools
import json
import zipfile
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.errors import FileError, ImageError, SettingError
from napari_unsupseg.io.run_archive import (
    pack_arrays,
    pack_json,
    read_part,
    unpack_arrays,
    write_archive,
)
from napari_unsupseg.learning.checkpoint import load_checkpoint

from ..conftest import SMALL

RANDOM = np.random.default_rng(0)
STROKES = np.zeros((60, 76), np.uint8)
STROKES[10:14, 10:20], STROKES[40:44, 50:60] = 1, 2
ON_ONE = np.zeros((60, 76), np.uint8)  # both on the ground
ON_ONE[:3, :20], ON_ONE[:3, 30:50] = 1, 2
LARGER = np.ones((6, 6), np.uint8)
RGBA = RANDOM.integers(0, 255, (40, 48, 4), np.uint8)
RGBA[:9, :9, 3] = 0


def reopened(segmenter: Segmenter, path: Path) -> Segmenter:
    """Return what is read of a run that is written."""
    segmenter.save(path, run=True)
    return Segmenter.load(path)


def left(segmenter: Segmenter, image: np.ndarray, after: int, **options) -> Segmenter:
    """Return a segmenter whose run was left after some steps."""
    for _ in itertools.islice(segmenter.steps(image, **options), after):
        pass
    return segmenter


def rest(segmenter: Segmenter) -> list[tuple[int, float, bytes]]:
    """Train to the end, and return number, loss and labels of each step."""
    return [(step.iteration, step.loss, step.labels.tobytes()) for step in segmenter.resume()]


def assert_same(ours: Segmenter, original: Segmenter) -> None:
    """Compare all that can be seen of two runs, and then all that comes of them."""
    np.testing.assert_array_equal(ours.labels_, original._run.result.labels)
    assert ours.settings == original.settings
    assert ours.iterations_left_ == original.iterations_left_
    for name in ("values", "valid", "spacing", "is_rgb"):
        np.testing.assert_array_equal(
            getattr(ours.image_, name), getattr(original.image_, name), strict=True
        )
    np.testing.assert_array_equal(ours.uncertainty(), original.uncertainty())
    for granularity in (0.2, 0.5, 0.8):
        np.testing.assert_array_equal(
            ours.hierarchy_.cut(granularity=granularity),
            original.hierarchy_.cut(granularity=granularity),
        )
    np.testing.assert_array_equal(ours.hierarchy_.run_clusters, original.hierarchy_.run_clusters)
    np.testing.assert_array_equal(ours.hierarchy_.objects(), original.hierarchy_.objects())
    assert rest(ours) == rest(original)
    np.testing.assert_array_equal(ours.hierarchy_.boundaries(), original.hierarchy_.boundaries())


SETTLING = {"settle": 0.02, "iterations": 24}


@pytest.mark.parametrize(
    ("changes", "after", "shape", "options"),
    [
        pytest.param({}, 100, "grey", {}, id="at its end"),
        pytest.param({}, 3, "grey", {}, id="in the middle"),
        pytest.param(SETTLING, 100, "grey", {}, id="settled"),
        pytest.param(SETTLING | {"settle": 0.5}, 12, "large", {}, id="before it settles"),
        pytest.param(SETTLING | {"settle": 0.5}, 15, "large", {}, id="as it settles"),
        pytest.param(
            SETTLING, 21, "large", {"strokes": np.kron(STROKES, LARGER)}, id="strokes on tiles"
        ),
        pytest.param(SETTLING, 100, "grey", {"strokes": STROKES}, id="strokes to the end"),
        pytest.param({}, 1, "grey", {"strokes": ON_ONE}, id="strokes on one cluster"),
        pytest.param({"min_size": 30}, 100, "grey", {}, id="no small regions"),
        pytest.param({}, 100, "grey", {"mask": STROKES == 0}, id="mask"),
        pytest.param({}, 100, "rgb", {}, id="RGB"),
        pytest.param({}, 100, "rgba", {"axes": "yxs"}, id="RGBA"),
        pytest.param({}, 100, "movie", {"axes": "tycx"}, id="channels between"),
        pytest.param(
            {},
            4,
            "volume",
            {"axes": "zyx", "spatial_ndim": 3, "spacing": (3.3, 1.1, 1.1)},
            id="volume",
        ),
    ],
)
def test_a_run_goes_on(grey, rgb, tmp_path, changes, after, shape, options):
    images = {
        "grey": grey,
        "large": np.kron(grey, LARGER),
        "rgb": rgb,
        "rgba": RGBA,
        "movie": RANDOM.normal(100, 20, (2, 30, 3, 32)).astype(np.float32),
        "volume": RANDOM.integers(0, 60_000, (5, 24, 26), np.uint16),
    }
    segmenter = left(
        Segmenter(Settings.from_dict(SMALL | changes)), images[shape], after, **options
    )
    assert_same(reopened(segmenter, tmp_path / "run.unsupseg"), segmenter)


def test_strokes_drawn_after_a_run_was_left_count_when_it_goes_on(grey, small, tmp_path):
    segmenter = left(Segmenter(small), grey, 4)
    segmenter.strokes = STROKES
    ours = reopened(segmenter, tmp_path / "run.unsupseg")
    np.testing.assert_array_equal(ours.strokes, STROKES)
    assert ours._run.state.trainer.stroked == segmenter._run.state.trainer.stroked
    assert rest(ours) == rest(segmenter)
    assert (ours._run.result.labels[STROKES > 0] == STROKES[STROKES > 0]).all()


@pytest.mark.parametrize("factor", [pytest.param(1, id="whole"), pytest.param(6, id="on tiles")])
def test_a_run_that_was_left_can_be_ended(grey, tmp_path, factor):
    settling = Settings.from_dict(SMALL | {"settle": 0.02})
    segmenter = left(Segmenter(settling), np.kron(grey, LARGER[:factor, :factor]), 7)
    ours = reopened(segmenter, tmp_path / "run.unsupseg")
    expected, last = list(segmenter.finish()), list(ours.finish())
    np.testing.assert_array_equal(last[0].labels, expected[0].labels)
    np.testing.assert_array_equal(last[-1].labels, expected[-1].labels)


def test_one_cluster_is_a_run_too(small, tmp_path):
    with pytest.warns(UserWarning, match="constant"):
        segmenter = Segmenter(small).fit(np.full((20, 30), 7, np.uint8))
    ours = reopened(segmenter, tmp_path / "run.unsupseg")
    assert (ours.labels_ == 1).all()
    assert ours.hierarchy_.cut().max() == 1


def test_what_is_saved_is_what_was_trained_on(grey, small, tmp_path):
    """Whoever owns the array may have written the next image into it."""
    image = grey.copy()
    segmenter = left(Segmenter(small), image, 4)
    image[...] = 0
    assert_same(reopened(segmenter, tmp_path / "run.unsupseg"), segmenter)


def test_the_image_is_in_the_file_as_it_came(rgb, small, tmp_path):
    Segmenter(small).fit(rgb).save(tmp_path / "run.unsupseg", run=True)
    stored = unpack_arrays(read_part(tmp_path / "run.unsupseg", "run.safetensors"))
    np.testing.assert_array_equal(stored["images.0.pixels"], rgb, strict=True)


def test_a_lazy_image_that_fits_memory_is_saved(grey, small, tmp_path):
    segmenter = Segmenter(small).fit(da.from_array(grey, chunks=32))
    assert_same(reopened(segmenter, tmp_path / "run.unsupseg"), segmenter)


def test_a_run_on_several_images_goes_on(grey, tmp_path):
    images = [grey, grey[::-1, :50]]
    settling = Settings.from_dict(SMALL | {"settle": 0.02, "iterations": 12})
    segmenter = Segmenter(settling).fit(images, strokes=[STROKES, None])
    assert len(segmenter.hierarchies_) == 2
    ours = reopened(segmenter, tmp_path / "run.unsupseg")
    np.testing.assert_array_equal(ours.strokes[0], STROKES)
    for step in range(2):
        for one, expected in zip(ours.labels_, segmenter.labels_, strict=True):
            np.testing.assert_array_equal(one, expected)
        for one, expected in zip(ours.hierarchies_, segmenter.hierarchies_, strict=True):
            np.testing.assert_array_equal(one.boundaries(), expected.boundaries())
            np.testing.assert_array_equal(one.run_clusters, expected.run_clusters)
        if not step:
            assert rest(ours) == rest(segmenter)


def test_the_same_run_is_the_same_file(grey, small, tmp_path):
    one, two = tmp_path / "one.unsupseg", tmp_path / "two.unsupseg"
    reopened(Segmenter(small).fit(grey), one).save(two, run=True)
    assert one.read_bytes() == two.read_bytes()


def test_the_file_of_a_run_has_its_network(grey, rgb, small, tmp_path):
    segmenter = Segmenter(small).fit(grey)
    ours = reopened(segmenter, tmp_path / "run.unsupseg")
    segmenter.save(tmp_path / "network.unsupseg")
    ours.save(tmp_path / "again.unsupseg")
    expected = (tmp_path / "network.unsupseg").read_bytes()
    assert (tmp_path / "again.unsupseg").read_bytes() == expected
    model = load_checkpoint(tmp_path / "run.unsupseg")
    assert model.n_labels == segmenter.labels_.max()
    np.testing.assert_array_equal(ours.predict(grey.T), segmenter.predict(grey.T))
    ours.fit(grey.T, warm_start=True)
    segmenter.fit(grey.T, warm_start=True)
    np.testing.assert_array_equal(ours.labels_, segmenter.labels_)
    with pytest.raises(ImageError, match="3 channels"):
        ours.predict(rgb)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        pytest.param(lambda _: Segmenter(), SettingError, "no run to save: fit", id="no run"),
        pytest.param(
            lambda grey: Segmenter(Settings(**SMALL), features=torch.nn.Conv2d(1, 5, 1)).fit(grey),
            SettingError,
            "features of your own cannot be saved",
            id="a module",
        ),
        pytest.param(
            lambda grey: Segmenter(Settings(**SMALL)).fit(da.from_array(grey, chunks=32)),
            ImageError,
            "has trained on crops",
            id="crops",
        ),
    ],
)
def test_runs_that_cannot_be_saved(grey, tmp_path, monkeypatch, make, error, sentence):
    monkeypatch.setattr("napari_unsupseg.image.tiling.LOADED_VALUES", 4000)
    (tmp_path / "run.unsupseg").write_bytes(b"before")
    with pytest.raises(error, match=sentence):
        make(grey).save(tmp_path / "run.unsupseg", run=True)
    assert (tmp_path / "run.unsupseg").read_bytes() == b"before"
    with pytest.raises(SettingError, match="run must be True or False"):
        Segmenter().save(tmp_path / "run.unsupseg", run="all")


@pytest.fixture(scope="module")
def parts(grey):
    segmenter = Segmenter(Settings.from_dict(SMALL)).fit(grey, strokes=STROKES)
    assert segmenter.hierarchy_.n_fragments > 2
    return segmenter.run_parts()


def changed(change_header=None, **change_arrays):
    """Return what changes the header, or arrays by their name, of a run."""

    def change(parts):
        header, arrays = json.loads(parts["run.json"]), unpack_arrays(parts["run.safetensors"])
        if change_header:
            change_header(header)
        for name, change_array in change_arrays.items():
            [known] = [known for known in arrays if known.replace(".", "_") == name]
            arrays[known] = change_array(arrays[known])
        new = {"run.json": pack_json(header), "run.safetensors": pack_arrays(arrays)}
        return parts | new

    return change


def without(name):
    return lambda parts: {other: part for other, part in parts.items() if other != name}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param(without("run.json"), "is no run of napari-unsupseg; save one", id="other zip"),
        pytest.param(without("run.safetensors"), "damaged or was changed", id="no arrays"),
        pytest.param(without("network.safetensors"), "is no network or run of", id="no network"),
        pytest.param(
            changed(lambda header: header.update(format_version=2)),
            r"a newer napari-unsupseg \(format 2, this one knows 1\); update",
            id="newer",
        ),
        pytest.param(
            lambda parts: parts | {"run.json": b"[1]"}, "damaged or was changed", id="a list"
        ),
        pytest.param(
            lambda parts: parts | {"run.json": b"{"}, "damaged or was changed", id="no JSON"
        ),
        pytest.param(
            changed(lambda header: header.pop("strokes")), "damaged or was changed", id="no strokes"
        ),
        pytest.param(
            changed(lambda header: header["settings"].update(filters=17)),
            "its settings are not those of its network",
            id="other settings",
        ),
        pytest.param(
            changed(lambda header: header["training"]["stages"].clear() or header.clear()),
            "damaged or was changed",
            id="nothing in it",
        ),
        pytest.param(
            changed(images_0_pixels=lambda image: np.stack([image] * 3, -1)),
            "damaged or was changed",
            id="image of other axes",
        ),
        pytest.param(
            changed(labels=lambda labels: labels[1:]),
            "its labels are not of its image",
            id="labels",
        ),
        pytest.param(
            changed(labels=lambda labels: labels * 0 + 21), "labels are not of its image", id="many"
        ),
        pytest.param(
            changed(strokes_0=lambda strokes: strokes.astype(float)),
            "its strokes.0 are not of its image",
            id="strokes",
        ),
        pytest.param(
            changed(hierarchy_fragments=lambda fragments: fragments[:, ::-1] * 0),
            "its fragments are not those that it merges",
            id="fragments",
        ),
        pytest.param(
            changed(hierarchy_fragments=lambda fragments: fragments[1:]),
            "its fragments are not of its image",
            id="fragments of another image",
        ),
        pytest.param(
            changed(hierarchy_merges=lambda merges: merges[::-1]),
            "its merges are none that there can be",
            id="merges",
        ),
        pytest.param(
            changed(hierarchy_merges=lambda merges: merges + 10**9),
            "its merges are none that there can be",
            id="merges of what there is not",
        ),
        pytest.param(
            changed(hierarchy_granularities=lambda granularities: granularities[::-1]),
            "its granularities do not rise",
            id="granularities",
        ),
        pytest.param(
            changed(hierarchy_granularities=lambda granularities: granularities * np.nan),
            "its granularities do not rise",
            id="no granularities",
        ),
        pytest.param(
            changed(momentum_0=lambda momentum: momentum[1:]),
            "damaged or was changed",
            id="momentum",
        ),
    ],
)
def test_files_that_are_no_runs(parts, tmp_path, change, sentence):
    path = tmp_path / "run.unsupseg"
    write_archive(path, change(parts))
    with pytest.raises(FileError, match=sentence) as caught:
        Segmenter.load(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_a_damaged_file_is_refused_or_whole(parts, tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "run.unsupseg"
    write_archive(path, parts)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(4, len(content) - 1))
    if data.draw(st.booleans()):
        del content[place:]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with contextlib.suppress(FileError):  # it is whole where the byte is one of a date, say
        expected = unpack_arrays(parts["run.safetensors"])["labels"]
        np.testing.assert_array_equal(Segmenter.load(path).labels_, expected)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8),
        arrays.arrays(
            st.one_of(
                arrays.boolean_dtypes(),
                arrays.integer_dtypes(),
                arrays.unsigned_integer_dtypes(),
                arrays.floating_dtypes(),
            ),
            arrays.array_shapes(min_dims=0, min_side=0),
        ),
        max_size=4,
    )
)
def test_arrays_come_back_as_they_were(values):
    again = unpack_arrays(pack_arrays({name: array.T for name, array in values.items()}))
    assert again.keys() == values.keys()
    for name, array in values.items():
        np.testing.assert_array_equal(again[name], array.T)
        assert again[name].dtype == array.dtype.newbyteorder("=")


def test_no_code_is_in_a_file(parts, tmp_path):
    write_archive(tmp_path / "run.unsupseg", parts)
    with zipfile.ZipFile(tmp_path / "run.unsupseg") as archive:
        assert sorted(archive.namelist()) == ["network.safetensors", "run.json", "run.safetensors"]
