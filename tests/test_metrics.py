import numpy as np
import pytest

from benchmarks.boundaries import (
    BoundaryMatches,
    boundary_average_precision,
    boundary_map,
    match_boundaries,
)
from benchmarks.metrics import (
    PrecisionRecall,
    average_precision,
    compare,
    coverings,
    dice,
    f_measures,
    foreground,
    match_objects,
    mean_iou,
    precision_recall,
    roc_auc,
)

HALVES = np.repeat([[1, 1, 2, 2]], 4, axis=0)
QUARTERS = np.kron([[1, 2], [3, 4]], np.ones((2, 2), int))
WHOLE = np.ones((4, 4), int)


@pytest.mark.parametrize(
    ("segments", "annotations", "ap", "f", "cover"),
    [
        pytest.param(HALVES, [HALVES], 1, 1, 1, id="the same"),
        pytest.param(HALVES + 7, [HALVES], 1, 1, 1, id="other ids"),
        pytest.param(WHOLE, [HALVES], 0, 0, 0.5, id="IoU of one half is not above one half"),
        pytest.param(QUARTERS, [HALVES], 0, 0, 0.5, id="too fine"),
        pytest.param(HALVES, [HALVES, WHOLE], 2 / 3, 0.8, 0.75, id="two annotators"),
        pytest.param(
            np.where(WHOLE.cumsum(0) > 3, 3, HALVES), [HALVES], 1, 0.8, 0.75, id="a crumb"
        ),
    ],
)
def test_known_answers(segments, annotations, ap, f, cover):
    agreement = [compare(segments, annotations)]
    assert average_precision(agreement, 0.5) == pytest.approx(ap)
    assert f_measures(agreement, 0.5) == pytest.approx(f)
    assert coverings(agreement) == pytest.approx(cover)


def test_large_segments_come_first_across_images():
    right, wrong = compare(HALVES, [HALVES]), compare(WHOLE, [QUARTERS])
    # the wrong one has 16 pixels, the right ones 8 each: precision 1/2, then 2/3, of 6 humans
    assert average_precision([right, wrong], 0.5) == pytest.approx((1 / 2 + 2 / 3) / 6)


def test_precision_and_recall_of_each_segment():
    right, wrong = compare(HALVES, [HALVES]), compare(WHOLE, [QUARTERS])
    precision, recall = precision_recall([right, wrong], 0.5)
    np.testing.assert_allclose(precision, [0, 1 / 2, 2 / 3])
    np.testing.assert_allclose(recall, [0, 1 / 6, 2 / 6])


def test_scores_are_of_each_image():
    agreements = [compare(HALVES, [HALVES]), compare(WHOLE, [HALVES])]
    np.testing.assert_allclose(f_measures(agreements, 0.5), [1, 0])
    np.testing.assert_allclose(coverings(agreements), [1, 0.5])


@pytest.mark.parametrize(
    ("whose", "expected"), [("all", (2 / 2 + 4 / 4 + 1) / 7), ("fine", 1 / 4), ("coarse", 1)]
)
def test_whose_segments_are_covered(whose, expected):
    # one sees a single thing, one two, one four
    agreement = compare(WHOLE, [HALVES, QUARTERS, WHOLE])
    assert mean_iou([agreement], whose) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("segments", "annotations", "rand_index", "variation"),
    [
        pytest.param(HALVES, [HALVES], 1, 0, id="the same"),
        # of 120 pairs 2 * 28 are together in both, and none is apart in both
        pytest.param(WHOLE, [HALVES], 56 / 120, 1, id="too coarse"),
        # 4 * 6 are together in both, and all 64 between the halves are apart
        pytest.param(QUARTERS, [HALVES], 88 / 120, 1, id="too fine"),
        pytest.param(HALVES.T, [HALVES], 56 / 120, 2, id="nothing in common"),
        pytest.param(HALVES, [HALVES, WHOLE], (1 + 56 / 120) / 2, 1 / 2, id="two annotators"),
    ],
)
def test_pairs_and_bits(segments, annotations, rand_index, variation):
    agreement = compare(segments, annotations)
    assert agreement.rand_index == pytest.approx(rand_index)
    assert agreement.variation_of_information == pytest.approx(variation)


def rows(*lengths):
    """Return a row of segments of some lengths."""
    return np.repeat(np.arange(len(lengths)), lengths)[np.newaxis]


@pytest.mark.parametrize(
    ("segments", "annotations", "precision", "recall"),
    [
        pytest.param(HALVES, [HALVES], 1, 1, id="the same"),
        pytest.param(QUARTERS, [HALVES], 0.1, 1, id="parts, of which the whole is put together"),
        pytest.param(WHOLE, [HALVES], 1, 0.1, id="a whole, whose parts are not told apart"),
        pytest.param(WHOLE, [HALVES, WHOLE], 1, 1.2 / 3, id="an object of one annotator"),
        pytest.param(HALVES, [QUARTERS, WHOLE], 0.1, 0.4 / 5 + 1 / 5, id="parts with one of them"),
        pytest.param(HALVES.T, [HALVES], 0, 0, id="nothing in common"),
        pytest.param(rows(99, 1), [rows(100)], 1, 1, id="the last hundredth does not count"),
        pytest.param(rows(98, 2), [rows(100)], 0.5, 1, id="more than that does"),
        pytest.param(rows(90, 10), [rows(100)], 0.5, 1, id="an object by nine tenths"),
        pytest.param(rows(89, 11), [rows(100)], 0.05, 1, id="a part, and less than a part"),
        pytest.param(rows(50, 25, 25), [rows(50, 50)], 1.2 / 3, 1, id="parts by a half"),
        pytest.param(
            rows(40, 60), [rows(60, 40)], (2 / 3 + 0.1) / 2, (2 / 3 + 0.1) / 2, id="a part of each"
        ),
    ],
)
def test_objects_and_parts(segments, annotations, precision, recall):
    found = compare(segments, annotations).objects_and_parts
    assert found == pytest.approx((precision, recall))


def test_f_of_precision_and_recall():
    assert PrecisionRecall(0.5, 1).f == pytest.approx(2 / 3)
    assert PrecisionRecall(0, 0).f == 0


def columns(*edges):
    """Return 100 × 100 pixels (a tolerance of 1.06) divided after some columns."""
    return np.searchsorted(edges, np.arange(100) + 0.5)[np.newaxis].repeat(100, axis=0)


@pytest.mark.parametrize(
    ("segments", "annotations", "expected"),
    [
        pytest.param(columns(50), [columns(50)], (100, 100, 100, 100), id="the same"),
        pytest.param(columns(51), [columns(50)], (100, 100, 100, 100), id="a pixel away"),
        pytest.param(columns(52), [columns(50)], (0, 100, 0, 100), id="two pixels away"),
        pytest.param(columns(49, 51), [columns(50)], (100, 200, 100, 100), id="one partner each"),
        pytest.param(
            columns(20, 50), [columns(20), columns(50)], (200, 200, 200, 200), id="two annotators"
        ),
        pytest.param(columns(20), [columns(20)] * 2, (100, 100, 200, 200), id="two of one mind"),
        pytest.param(columns(), [columns(20)], (0, 0, 0, 100), id="none of ours"),
        pytest.param(columns(20), [columns()], (0, 100, 0, 0), id="none of theirs"),
    ],
)
def test_boundaries_are_matched(segments, annotations, expected):
    assert match_boundaries(segments, annotations) == expected


def test_precision_and_recall_of_boundaries():
    assert BoundaryMatches(1, 4, 3, 6).precision_recall == (0.25, 0.5)
    assert BoundaryMatches(0, 0, 0, 6).precision_recall == (1, 0)
    assert BoundaryMatches(0, 4, 0, 0).precision_recall == (0, 1)


def test_boundaries_are_lines_of_one_pixel():
    squares = np.kron([[1, 2], [3, 4]], np.ones((3, 3), int))
    expected = np.zeros((6, 6), bool)
    expected[2, :], expected[:, 2] = True, True
    np.testing.assert_array_equal(boundary_map(squares), expected)


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        pytest.param([(1, 0), (1, 1)], 1.01, id="always right, 101 recalls"),
        pytest.param([(0.5, 1), (1, 0)], 0.01 * (101 * 0.75), id="falls evenly, in any order"),
        pytest.param([(0.8, 0.2), (0.8, 0.5)], 0.8 * 0.31, id="nothing beyond the curve"),
        pytest.param([(0.2, 0.5), (0.6, 0.5)], 0.6 * 0.01, id="the better of one recall"),
    ],
)
def test_average_precision_of_boundaries(curve, expected):
    points = [PrecisionRecall(*point) for point in curve]
    assert boundary_average_precision(points) == pytest.approx(expected)


def test_foreground_is_what_is_mostly_inside():
    labels = np.array([[1, 1, 1, 2, 2, 2], [3, 3, 3, 3, 3, 3]])
    truth = np.array(
        [[True, True, False, False, False, True], [True, True, True, False, False, False]]
    )
    # half is not most
    np.testing.assert_array_equal(foreground(labels, truth), labels == 1)


def test_dice():
    found = np.array([True, True, False, False])
    assert dice(found, np.array([True, False, True, False])) == 0.5
    assert dice(found, found) == 1
    assert dice(found & False, found & False) == 1


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param([1, 1, 1, 1, 0, 2, 2, 2, 2], 1.0, id="all found"),
        pytest.param([1, 1, 1, 1, 0, 0, 0, 0, 0], 1 / 2, id="one missed"),
        pytest.param([1, 1, 0, 0, 0, 2, 2, 2, 2], 1 / 3, id="half of one is not enough"),
        pytest.param([1, 1, 1, 1, 1, 1, 1, 1, 1], 0.0, id="two in one"),
        pytest.param([1, 1, 1, 1, 3, 2, 2, 2, 2], 1.0, id="a speck is left out"),
    ],
)
def test_instances(objects, expected):
    truth = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2]])
    assert match_objects(np.array([objects]), truth, speck=2).ap() == expected


def test_what_is_right_is_in_a_pair():
    truth = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2]])
    found = np.array([[5, 5, 5, 0, 9, 7, 7, 0, 0]])
    assert match_objects(found, truth, speck=2).is_right.tolist() == [True, False]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        pytest.param([0.9, 0.8, 0.2, 0.1], 1, id="told apart"),
        pytest.param([0.1, 0.2, 0.8, 0.9], 0, id="the wrong way round"),
        pytest.param([0.5, 0.5, 0.5, 0.5], 0.5, id="all the same"),
        pytest.param([0.9, 0.3, 0.3, 0.1], 3.5 / 4, id="two the same"),
    ],
)
def test_scores_tell_right_from_wrong(scores, expected):
    is_right = np.array([True, True, False, False])
    assert roc_auc(np.array(scores), is_right) == expected
    assert np.isnan(roc_auc(np.array(scores), is_right | True))
