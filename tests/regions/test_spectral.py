"""Where the eigenvectors of a graph change, by hand and by laws."""

import itertools

import numpy as np
import pytest
from skimage.metrics import adapted_rand_error
from threadpoolctl import ThreadpoolController

from napari_unsupseg._generators import run_to_end
from napari_unsupseg.regions import graph as graph_module
from napari_unsupseg.regions import spectral
from napari_unsupseg.regions.graph import groups_from_merges
from napari_unsupseg.regions.graph_builder import build_region_graph
from napari_unsupseg.regions.spectral import eigenvector_steps


def grid(n_rows: int, n_columns: int) -> np.ndarray:
    """Return the pairs of neighbours in a grid, (E, 2)."""
    numbers = np.arange(n_rows * n_columns).reshape(n_rows, n_columns)
    return np.concatenate(
        [
            np.stack([numbers[:, :-1].ravel(), numbers[:, 1:].ravel()], axis=1),
            np.stack([numbers[:-1].ravel(), numbers[1:].ravel()], axis=1),
        ]
    )


def steps_of(pairs, dissimilarities, lengths=None):
    lengths = np.ones(len(pairs)) if lengths is None else lengths
    return run_to_end(eigenvector_steps(pairs, lengths, dissimilarities, int(pairs.max()) + 1))


@pytest.mark.parametrize(
    ("side", "solver"), [pytest.param(5, "eigh", id="few"), pytest.param(25, "eigsh", id="many")]
)
def test_eigenvectors_take_one_thread_and_leave_the_number_as_it_was(side, solver, monkeypatch):
    def n_threads():
        return {one.num_threads for one in libraries.lib_controllers}

    def solve(*args, **keywords):
        during.append(n_threads())
        return original(*args, **keywords)

    libraries = ThreadpoolController().select(user_api="blas")
    if not libraries.lib_controllers:
        pytest.skip("libraries whose number of threads nobody can ask for")
    original, during = getattr(spectral, solver), []
    monkeypatch.setattr(spectral, solver, solve)
    pairs = grid(side, side)
    with libraries.limit(limits=2):
        steps_of(pairs, np.ones(len(pairs)))
        assert during == [{1}]
        assert n_threads() == {2}


def spots(side: int, every: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a grid's pairs, and whether each is of a spot and of the ground around it."""
    pairs = grid(side, side)
    is_spot = np.all([line % every // 2 == 1 for line in np.divmod(pairs, side)], axis=0)
    return pairs, is_spot[:, 0] != is_spot[:, 1]


def blocks(side: int, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a grid's pairs, and whether each is of two blocks."""
    pairs = grid(side, side)
    rows, columns = np.divmod(pairs, side)
    of_pixels = rows // block * side + columns // block
    return pairs, of_pixels[:, 0] != of_pixels[:, 1]


def test_a_gap_in_an_outline_is_closed_and_an_edge_that_leads_nowhere_is_not_followed():
    pairs, outline = blocks(16, 8)
    dissimilarities = np.where(outline, 5.0, 0.2)
    gap = np.flatnonzero(outline)[4]  # in the middle of a side
    dissimilarities[gap] = 0.2
    stray = np.flatnonzero(~outline)[100]
    dissimilarities[stray] = 5.0
    steps = steps_of(pairs, dissimilarities)
    assert steps[gap] > steps[stray]
    assert steps[outline].mean() > 2 * steps[stray]


@pytest.mark.parametrize(
    ("parts", "least", "greatest"),
    [
        pytest.param(blocks(40, 20), 0.7, 1.0, id="four blocks stand out"),
        pytest.param(spots(40, 20), 0.7, 1.0, id="four spots do"),
        pytest.param(spots(40, 5), 0.0, 0.5, id="sixty-four do, each as much as the others"),
    ],
)
def test_steps_are_small_where_no_few_parts_stand_out(parts, least, greatest):
    pairs, outline = parts
    steps = steps_of(pairs, np.where(outline, 8.0, 0.1))
    assert least < steps.mean() < greatest


def test_parts_that_touch_nowhere_are_each_as_if_alone():
    rng = np.random.default_rng(0)
    pairs = grid(5, 6)
    first, second = rng.random((2, len(pairs)))
    link = [[29, 30]]
    both = steps_of(
        np.concatenate([pairs, pairs + 30, link]),
        np.concatenate([first, second, [np.inf]]),
        np.concatenate([np.ones(2 * len(pairs)), [0]]),
    )
    alone = [steps_of(pairs, values) for values in (first, second)]
    np.testing.assert_allclose(both, [*alone[0], *alone[1], 0], atol=1e-9)


def test_eigenvectors_one_by_one_are_those_of_the_whole_matrix(monkeypatch):
    pairs = grid(15, 17)
    dissimilarities = np.random.default_rng(1).random(len(pairs)) * 3
    lengths = np.random.default_rng(2).integers(1, 9, len(pairs)).astype(float)
    dense = steps_of(pairs, dissimilarities, lengths)
    monkeypatch.setattr(spectral, "MANY", 100)
    np.testing.assert_allclose(steps_of(pairs, dissimilarities, lengths), dense, atol=1e-6)


@pytest.mark.parametrize("n", [2, 3, 5, 21, 22, 23])
def test_few_regions(n):
    pairs = np.array(list(itertools.pairwise(range(n))))
    steps = steps_of(pairs, np.ones(len(pairs)))
    assert steps.shape == (n - 1,)
    assert np.isfinite(steps).all()
    assert (steps >= 0).all()


def test_many_regions_have_the_steps_of_the_groups_that_they_merge_into(monkeypatch):
    regions = np.arange(900).reshape(30, 30).repeat(3, axis=0).repeat(3, axis=1)
    parts = np.kron([[0, 1], [2, 3]], np.ones((45, 45)))
    noise = np.random.default_rng(0).normal(0, 0.2, parts.shape)
    colours = ((parts + noise) / 4).astype(np.float32)[..., np.newaxis]
    graph = build_region_graph(regions, colours, [np.ones(parts.shape, dtype=np.uint8)], [1])
    for most in (900, 100):
        monkeypatch.setattr(graph_module, "MAX_EMBEDDED", most)
        _, whole = run_to_end(graph.merge())
        groups = groups_from_merges(900, whole.merges[:-3])  # four are left
        assert adapted_rand_error(parts.astype(int) + 1, groups[regions] + 1)[0] < 0.1
