"""Objects of images larger than memory, which are found block by block."""

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.regions.block_objects import (
    find_part_objects,
    halo_of_objects,
    measure_by_windows,
    stitch_objects,
)
from napari_unsupseg.regions.foreground import ForegroundModel
from napari_unsupseg.regions.hierarchy_builder import build_hierarchy
from napari_unsupseg.regions.labels import label_regions
from napari_unsupseg.regions.measure import SHAPES, measure_objects
from napari_unsupseg.regions.objects import link_objects, make_objects, select_objects
from napari_unsupseg.regions.splitting import find_basins
from tests.regions.helpers import PLANE, ball

from .test_stitching import same_partition, untracked

SHAPE = (150, 170)
NO_BORDER = np.zeros(0, dtype=np.int64)


def scattered(seed, shape=SHAPE, n=40, radii=(3, 6)):
    """Return noisy discs, of which some touch, and where they are."""
    random = np.random.default_rng(seed)
    foreground = np.zeros(shape, bool)
    for _ in range(n):
        centre = random.uniform(0, shape)
        foreground |= ball(shape, centre, random.uniform(*radii, 2))
    return foreground * 0.6 + random.normal(0, 0.05, shape), foreground


class Parts:
    """An image whose parts are normalised alike, and counted when they are read."""

    def __init__(self, image, foreground, chunks):
        self.image = normalize_image(split_channels(image, "tyx"[-image.ndim :]))
        self.clusters = zarr.array(foreground + np.uint8(1), chunks=chunks)
        self.shape, self.chunks, self.n_reads = image.shape, chunks, 0

    def read(self, part):
        self.n_reads += 1
        values, valid = self.image.values[:, *part], self.image.valid[part]
        return self.image.__class__(values, valid, is_rgb=False)

    def find(self, model):
        return lambda part: find_part_objects(self.read, self.clusters, part, model)

    def whole(self, model):
        return self.find(model)(tuple(slice(0, length) for length in self.shape))

    def stitched(self, model, halo=None, **options):
        stored = zarr.full(shape=self.shape, chunks=self.chunks, dtype="uint32", fill_value=0)
        stored[:] = 7  # as if an earlier call had been stopped
        halo = halo_of_objects(model, (1000, 1000)) if halo is None else halo
        n_objects = stitch_objects(self.find(model), stored, halo, untracked, **options)
        assert set(np.unique(stored[:])) | {0} == set(range(n_objects + 1))
        return stored[:]


def model_of(radius, extent=20.0):
    return ForegroundModel(np.array([2], np.uint8), np.ones(1), radius, extent, PLANE)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    rows=st.integers(40, 150),
    columns=st.integers(40, 170),
    radius=st.sampled_from([3.0, 4.5, 14.0]),
)
def test_objects_do_not_depend_on_the_blocks_they_are_found_in(seed, rows, columns, radius):
    parts = Parts(*scattered(seed), (rows, columns))
    model = model_of(radius)
    whole = parts.whole(model)
    chosen = select_objects(np.bincount(whole.ravel()), NO_BORDER)[whole]
    stitched = parts.stitched(model)
    assert stitched.max() == chosen.max()
    assert same_partition(stitched, chosen)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("chunk", [(25, 25), (30, 70), (60, 33)], ids=str)
def test_objects_of_a_movie_have_the_numbers_of_one_that_fits_into_memory(seed, chunk):
    image, foreground = scattered(seed, (60, 70), 8)
    movie = np.stack([np.roll(image, shift, 1) for shift in (0, 2, 9)])
    moving = np.stack([np.roll(foreground, shift, 1) for shift in (0, 2, 9)])
    parts = Parts(movie, moving, (1, *chunk))
    model = model_of(3.0)
    whole = parts.whole(model)
    chosen = select_objects(np.bincount(whole.ravel()), NO_BORDER)[whole]
    linked, stitched = link_objects(chosen, 2), parts.stitched(model)
    assert stitched.max() == linked.max()
    assert same_partition(stitched, linked)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="specks are left out"),
        pytest.param({"min_size": 1}, id="unless asked for"),
        pytest.param({"min_size": 90}, id="smallest"),
        pytest.param({"max_size": 80}, id="largest"),
        pytest.param({"exclude_border": True}, id="not at the border"),
        pytest.param({"split": 0.9, "exclude_border": True, "max_size": 100}, id="all"),
    ],
)
def test_options_mean_what_they_mean_of_the_whole(options):
    _, foreground = scattered(3, n=60)
    foreground[5, 5] = foreground[100, 120] = True  # specks
    basins = find_basins(foreground, PLANE)
    expected = make_objects(basins, 2, **options)
    every = make_objects(basins, 2, split=options.get("split", 0.5), min_size=1)
    stored = zarr.zeros(shape=SHAPE, chunks=(32, 48), dtype="uint32")
    n_objects = stitch_objects(lambda part: every[part], stored, (20, 20), untracked, **options)
    assert n_objects == expected.max() > 0
    assert same_partition(stored[:], expected)


@pytest.mark.parametrize("first", [1, 2, 3])
def test_outlines_of_a_part_are_those_of_the_whole(first):
    shape = (260, 280)
    image, foreground = scattered(1, shape, n=80, radii=(5, 12))
    noisy = image + np.random.default_rng(0).normal(0, 0.2, shape)
    parts, model = Parts(noisy, foreground, shape), model_of(14.0)
    part = parts.find(model)(tuple(slice(first, length) for length in shape))
    np.testing.assert_array_equal(part > 0, parts.whole(model)[first:, first:] > 0)


def test_ground_is_not_even_read():
    image, foreground = scattered(0)
    foreground[:, :110] = False
    parts = Parts(image, foreground, (50, 50))
    assert parts.stitched(model_of(3.0), (10, 10))[:, :100].max() == 0
    assert parts.n_reads == 6  # of twelve chunks


def test_an_object_larger_than_any_halo_is_one():
    foreground = np.zeros(SHAPE, bool)
    foreground[60:80, 10:160] = True
    image = foreground + np.random.default_rng(0).normal(0, 0.05, SHAPE)
    stitched = Parts(image, foreground, (32, 32)).stitched(model_of(5.0), (16, 16), split=0)
    assert stitched.max() == 1


def test_a_chunk_has_no_say_on_what_others_have_found():
    """The left chunk sees one object, the right one two: what is there first stays, uncut."""
    seen = {24: [0, 1, 1, 0], 40: [0, 1, 2, 0]}  # a chunk's end with its halo

    def find(part):
        found = np.zeros((8, 40), np.int64)
        found[2:6, 10:17], found[2:6, 17:22] = seen[part[1].stop][1:3]
        return found[part]

    stored = zarr.zeros(shape=(8, 40), chunks=(8, 16), dtype="uint32")
    assert stitch_objects(find, stored, (8, 8), untracked) == 1
    np.testing.assert_array_equal(stored[3, 8:24], np.repeat([0, 1, 0], [2, 12, 2]))


def test_the_foreground_is_decided_by_the_image_its_parts_are_of():
    image, foreground = map(np.stack, zip(*map(scattered, range(2)), strict=True))
    dark = normalize_image(split_channels(1 - image, "tyx"))
    clusters = np.where(foreground, 3, 1).astype(np.uint8)
    model = build_hierarchy(dark, [clusters]).foreground_model()
    assert model.clusters.tolist() == [3]
    assert model.axis.tolist() == [1]
    assert 3 <= model.radius <= 6
    sizes = np.sort(np.bincount(label_regions(foreground.astype(np.uint8)).ravel())[1:])
    assert sizes[len(sizes) // 2] < model.extent**2 < sizes[-1]
    assert halo_of_objects(model, (10, 1000)) == [
        5,
        round(6 * model.radius + 2 * model.extent + 0.5),
    ]


def measured(objects, channels, clusters, chunks):
    """Return the table of a whole, and that of the same in chunks."""
    axes = "tyx"[-objects.ndim :]
    options = {"axes": axes, "spacing": {"y": 0.5, "x": 0.5}, "unit": "um", "origin": {"y": 7.0}}

    def measure(part, some):
        return measure_objects(
            some,
            channels[:, *part],
            clusters=clusters[part],
            corner=[along.start for along in part],
            whole_shape=objects.shape,
            **options,
        )

    whole = measure_objects(objects, channels, clusters=clusters, **options)
    stored = zarr.array(objects, chunks=chunks)
    return whole, measure_by_windows(stored, 2, measure, untracked)


@pytest.fixture(scope="module")
def counted():
    """Return a movie of objects, the channels of its image, and clusters."""
    random = np.random.default_rng(0)
    objects = np.stack([label_regions(scattered(s)[1].astype(np.uint8)) for s in range(3)])
    objects[1, 40:60, 5:165] = objects.max() + 3  # in all chunks of a row, and of a later number
    channels = random.random((2, *objects.shape))
    return objects.astype(np.uint32), channels, random.integers(1, 4, objects.shape, np.uint8)


@pytest.mark.parametrize("chunk", [(150, 170), (40, 40), (64, 170), (11, 90)], ids=str)
@pytest.mark.parametrize("frame", [slice(None), 0], ids=["movie", "image"])
def test_objects_are_measured_as_in_one_piece(counted, frame, chunk):
    objects, channels, clusters = counted
    movie = objects[frame], channels[:, frame], clusters[frame]
    whole, table = measured(*movie, (*[1] * (movie[0].ndim - 2), *chunk))
    assert list(table) == list(whole)
    for name, column in whole.items():
        np.testing.assert_allclose(table[name], column, rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("frame", [slice(1, 2), 1], ids=["movie", "image"])
def test_of_an_object_too_large_to_be_loaded_shapes_are_left_out(counted, monkeypatch, frame):
    objects, channels, clusters = counted
    movie = objects[frame], channels[:, frame], clusters[frame]
    monkeypatch.setattr("napari_unsupseg.regions.block_objects.MEASURED_PIXELS", 20 * 160 - 1)
    whole, table = measured(*movie, (*[1] * (movie[0].ndim - 2), 32, 32))
    assert list(table) == list(whole)
    for name, column in whole.items():
        assert table[name].dtype == column.dtype or name.startswith(SHAPES)
        row = slice(-1) if name.startswith(SHAPES) else slice(None)
        np.testing.assert_allclose(table[name][row], column[row], rtol=1e-6, err_msg=name)
        assert np.isnan(table[name][-1]) == name.startswith(SHAPES)


def test_of_no_objects_there_are_the_names_of_columns(counted):
    objects, channels, clusters = counted
    whole, table = measured(0 * objects[0], channels[:, 0], clusters[0], (64, 64))
    assert {name: len(column) for name, column in table.items()} == dict.fromkeys(whole, 0)
