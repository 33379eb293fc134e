import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import points_in_poly

import napari_unsupseg.io.outlines
from napari_unsupseg.io.outlines import trace_outlines


def fill(polygons, shape):
    """Return the pixels whose centres lie in polygons with holes."""
    centres = np.indices(shape).reshape(2, -1).T[:, ::-1] + 0.5
    filled = np.zeros(shape, bool)
    for outer, *holes in polygons:
        inside = points_in_poly(centres, outer)
        for hole in holes:
            inside &= ~points_in_poly(centres, hole)
        filled |= inside.reshape(shape)
    return filled


def signed_area(ring):
    x, y = np.asarray(ring).T
    return (x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def as_labels(drawing):
    return np.array([[int(pixel) for pixel in row] for row in drawing.split()], dtype=np.uint16)


@given(
    labels=hnp.arrays(
        np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 3)
    )
)
@pytest.mark.parametrize("block", [3, 2048], ids=["in blocks", "at once"])
def test_polygons_filled_again_are_the_labels(labels, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(napari_unsupseg.io.outlines, "BLOCK", block)
        outlines = trace_outlines(labels)
    assert list(outlines) == (np.unique(labels[labels > 0])).tolist()
    for label, polygons in outlines.items():
        np.testing.assert_array_equal(fill(polygons, labels.shape), labels == label)
        areas = [[signed_area(ring) for ring in polygon] for polygon in polygons]
        assert sum(map(sum, areas)) == (labels == label).sum()
        # one outer ring each, and a hole goes round the other way
        assert all(outer > 0 and all(hole < 0 for hole in holes) for outer, *holes in areas)
        for ring in (ring for polygon in polygons for ring in polygon):
            assert len(np.unique(ring, axis=0)) == len(ring)  # it does not touch itself
            steps = np.roll(ring, -1, axis=0) - ring
            assert ((steps == 0).sum(axis=1) == 1).all()  # along the edges of pixels
            assert ((steps == 0) != (np.roll(steps, 1, axis=0) == 0)).all()  # corners alone


@pytest.mark.parametrize(
    ("drawing", "expected"),
    [
        pytest.param("1", [[[(0, 0), (1, 0), (1, 1), (0, 1)]]], id="one pixel"),
        pytest.param(
            "10 01",
            [[[(0, 0), (1, 0), (1, 1), (0, 1)]], [[(1, 1), (2, 1), (2, 2), (1, 2)]]],
            id="two pixels that touch at a corner",
        ),
        pytest.param(
            "111 101 111",
            [[[(0, 0), (3, 0), (3, 3), (0, 3)], [(1, 1), (1, 2), (2, 2), (2, 1)]]],
            id="a hole",
        ),
        pytest.param(
            "111 101 110",
            [
                [
                    [(0, 0), (3, 0), (3, 2), (2, 2), (2, 3), (0, 3)],
                    [(1, 1), (1, 2), (2, 2), (2, 1)],
                ]
            ],
            id="a hole that touches the outside at a corner",
        ),
        pytest.param(
            "1111 1011 1101 1111",
            [
                [
                    [(0, 0), (4, 0), (4, 4), (0, 4)],
                    [(1, 1), (1, 2), (2, 2), (2, 1)],
                    [(2, 2), (2, 3), (3, 3), (3, 2)],
                ]
            ],
            id="two holes that touch at a corner",
        ),
        pytest.param("000 000", None, id="nothing"),
    ],
)
def test_rings_go_along_the_edges_of_pixels(drawing, expected):
    outlines = trace_outlines(as_labels(drawing))
    if expected is None:
        assert outlines == {}
        return
    traced = [[list(map(tuple, ring.tolist())) for ring in polygon] for polygon in outlines[1]]
    assert in_one_order(traced) == in_one_order(expected)


def in_one_order(polygons):
    """Return polygons whose rings begin at their first corner."""
    turned = [
        [ring[ring.index(min(ring)) :] + ring[: ring.index(min(ring))] for ring in polygon]
        for polygon in polygons
    ]
    return sorted([outer, *sorted(holes)] for outer, *holes in turned)


def test_labels_side_by_side_share_their_edge():
    outlines = trace_outlines(as_labels("1122 1122"))
    edges = [{(2, 0), (2, 2)} & {tuple(c) for c in outlines[k][0][0].tolist()} for k in (1, 2)]
    assert edges == [{(2, 0), (2, 2)}] * 2
