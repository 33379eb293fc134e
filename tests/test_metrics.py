import numpy as np
import pytest

from benchmarks.metrics import (
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
