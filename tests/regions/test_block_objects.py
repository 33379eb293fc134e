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
    stitch_objects,
)
from napari_unsupseg.regions.foreground import ForegroundModel
from napari_unsupseg.regions.hierarchy_builder import build_hierarchy
from napari_unsupseg.regions.labels import label_regions
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
        found[2:6, 10:14], found[2:6, 14:22] = seen[part[1].stop][1:3]
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
