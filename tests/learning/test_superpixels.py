import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.learning.superpixels import compute_superpixels, majority_vote


def naive_vote(clusters: list[int], superpixels: list[int]) -> list[int]:
    """Look at every superpixel in turn and count."""
    result = list(clusters)
    for superpixel in set(superpixels):
        members = [i for i, s in enumerate(superpixels) if s == superpixel]
        votes = [clusters[i] for i in members]
        winner = min(set(votes), key=lambda cluster: (-votes.count(cluster), cluster))
        for i in members:
            result[i] = winner
    return result


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=60))
def test_vote_equals_its_naive_twin(pixels):
    clusters, superpixels = (list(column) for column in zip(*pixels, strict=True))
    voted = majority_vote(torch.tensor(clusters), torch.tensor(superpixels), 10, 7)
    assert voted.tolist() == naive_vote(clusters, superpixels)


@pytest.mark.parametrize(
    ("clusters", "winner"),
    [
        pytest.param([4, 2, 2, 4], 2, id="tie of two"),
        pytest.param([5, 3, 4], 3, id="tie of three"),
        pytest.param([0, 6, 6], 6, id="most frequent, not lowest"),
    ],
)
def test_ties_go_to_the_lowest_cluster(clusters, winner):
    voted = majority_vote(torch.tensor(clusters), torch.zeros(len(clusters), dtype=int), 1, 7)
    assert voted.tolist() == [winner] * len(clusters)


def test_superpixels_keep_to_a_sharp_edge():
    image = np.zeros((40, 40))
    image[:, 17:] = 1
    patches = compute_superpixels(normalize_image(split_channels(image)), 25, compactness=1)
    left, right = set(patches[:, :17].ravel()), set(patches[:, 17:].ravel())
    assert not left & right


@pytest.mark.parametrize("name", ["grey", "rgb"])
def test_superpixels_count_from_zero_without_gaps(name, request):
    prepared = normalize_image(split_channels(request.getfixturevalue(name)))
    patches = compute_superpixels(prepared, 100, compactness=10)
    n_patches = len(np.unique(patches))
    assert patches.min() == 0
    assert patches.max() == n_patches - 1
    assert 50 <= n_patches <= 200  # SLIC takes the number for a wish


def test_superpixels_keep_to_a_slice_where_slices_lie_apart():
    bright = np.zeros((12, 24, 24), bool)
    bright[:, 12:] = bright[6:] = True  # an edge along z and one across it
    image = np.where(bright, 0.6, 0.4) + np.random.default_rng(0).normal(0, 0.1, bright.shape)
    depths = []
    for spacing in ((1, 1, 1), (8, 1, 1)):
        prepared = normalize_image(split_channels(image, "zyx"), spatial_ndim=3, spacing=spacing)
        patches = compute_superpixels(prepared, 60, 1.0)
        depths.append(np.mean([np.ptp(np.nonzero(patches == k)[0]) for k in np.unique(patches)]))
    assert depths[1] < depths[0]
