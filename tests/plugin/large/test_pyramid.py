import itertools
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unsupseg.errors import FileError
from napari_unsupseg.plugin.large.pyramid import LabelPyramid


@pytest.mark.parametrize("channels", [None, (1, 2)])
def test_a_pyramid_holds_every_second_label(channels):
    whole = np.random.default_rng(0).integers(1, 9, (3, 601, 407)).astype(np.uint8)
    pyramid = LabelPyramid(whole.shape, np.uint8, channels)
    assert pyramid.is_blank
    for place in (
        (slice(0, 1), slice(0, 250), slice(0, 407)),
        (slice(0, 1), slice(250, 601), slice(0, 133)),
        (slice(0, 1), slice(250, 601), slice(133, 407)),
    ):
        pyramid.write(place, whole[place])
    corner = (slice(2, 3), slice(256, 512), slice(0, 256))
    pyramid.write(corner, whole[corner][:, ::2, ::2], level=1)
    assert not pyramid.is_blank
    for level, array in enumerate(pyramid.levels):
        step = 2**level
        for channel in range(2 if channels else 1):
            found = array[:, channel] if channels else array
            np.testing.assert_array_equal(found[0], whole[0, ::step, ::step])
            assert not found[1].any()
            if level:
                within = (
                    2,
                    *(slice(along.start // step, along.stop // step) for along in corner[1:]),
                )
                np.testing.assert_array_equal(found[within], whole[:, ::step, ::step][within])
            else:
                assert not found[2].any()


@settings(deadline=None)  # the first example imports
@given(side=st.integers(1, 5000))
def test_the_coarsest_level_is_small_and_each_is_half_the_finer_one(side):
    shapes = [level.shape for level in LabelPyramid((side, 3), np.uint16).levels]
    assert len(shapes) >= 2
    assert shapes[0] == (side, 3)
    assert shapes[-1][0] <= 512
    for (finer, _), (coarser, _) in itertools.pairwise(shapes):
        assert coarser == -(-finer // 2)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(FileError, match=r"pip install 'napari-unsupseg\[large\]'"):
        LabelPyramid((9, 9), np.uint8)
