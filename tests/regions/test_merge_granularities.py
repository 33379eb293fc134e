import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unsupseg.regions.merge_granularities import MergeGranularities


@settings(deadline=None)
@given(n=st.integers(2, 40), seed=st.integers(0, 1000))
def test_granularities_are_those_of_the_first_merge_that_has_both(n, seed):
    rng = np.random.default_rng(seed)
    granularities = np.sort(rng.random(n - 1))
    members = {node: {node} for node in range(n)}
    merges, expected = [], np.zeros((n, n))
    for index, granularity in enumerate(granularities):
        one, other = rng.choice(sorted(members), 2, replace=False).tolist()
        merges.append((one, other))
        for a in members[one]:
            for b in members[other]:
                expected[a, b] = expected[b, a] = granularity
        members[n + index] = members.pop(one) | members.pop(other)
    ones, others = np.nonzero(~np.eye(n, dtype=bool))
    found = MergeGranularities(np.array(merges), granularities).between(ones, others)
    np.testing.assert_array_equal(found, expected[ones, others])
