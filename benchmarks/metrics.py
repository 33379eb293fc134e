"""How well segments agree with those that people drew: the measures of BSDS500, and of objects."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr
from scipy.stats import rankdata

__all__ = [
    "Agreement",
    "Human",
    "Matches",
    "PrecisionRecall",
    "average_precision",
    "compare",
    "compare_tables",
    "coverings",
    "dice",
    "f_measures",
    "foreground",
    "match_objects",
    "mean_iou",
    "objects_and_parts",
    "precision_recall",
    "roc_auc",
    "shared_pixels",
]

Labels = NDArray[np.integer]
Whose = Literal["all", "fine", "coarse"]

# of objects and parts, as published
OBJECT = 0.9  # share of both regions that their intersection has if they are one object
PART = 0.25  # share of the whole that a part has at least
PART_WORTH = 0.1  # of a part, where an object counts 1
CANDIDATES = 0.99  # of the image, which the largest regions have; the rest are left out


class PrecisionRecall(NamedTuple):
    """Precision and recall.

    Attributes
    ----------
    precision, recall : float
        From 0 to 1.
    """

    precision: float
    recall: float

    @property
    def f(self) -> float:
        """Their harmonic mean, 0 if both are 0."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class Agreement:
    """What one image's segmentation shares with every annotator's.

    Attributes
    ----------
    areas : ndarray of int, shape (S,)
        Pixels of each segment.
    iou : ndarray of float, shape (S,)
        Best intersection over union of each segment with any human segment.
    people : list of Human
        One an annotator.
    rand_index : float
        Probabilistic Rand index: share of pairs of pixels that are together, or apart, in both;
        mean over annotators.
    variation_of_information : float
        What one segmentation does not tell of the other, in bits; mean over annotators.
    objects_and_parts : PrecisionRecall
        See `objects_and_parts`.
    """

    areas: NDArray[np.int64]
    iou: NDArray[np.float64]
    people: list["Human"]
    rand_index: float
    variation_of_information: float
    objects_and_parts: PrecisionRecall


@dataclasses.dataclass(frozen=True, eq=False)
class Human:
    """One annotator's segments, and the best of ours for each.

    Attributes
    ----------
    areas : ndarray of int, shape (H,)
        Pixels of each human segment.
    iou : ndarray of float, shape (H,)
        Best intersection over union of each with any of ours.
    best : ndarray of int, shape (H,)
        Which of ours that is; above an IoU of one half there is no other.
    """

    areas: NDArray[np.int64]
    iou: NDArray[np.float64]
    best: NDArray[np.int64]


def compare(segments: Labels, annotations: Sequence[Labels]) -> Agreement:
    """Compare one image's segments with the annotators'.

    Parameters
    ----------
    segments : ndarray of int, shape (Y, X)
        One id a segment.
    annotations : sequence of ndarray of int, shape (Y, X)
        One an annotator, one id a human segment.

    Returns
    -------
    Agreement
        How they agree.

    Examples
    --------
    >>> compare(np.array([[1, 1, 2]]), [np.array([[5, 5, 5]])]).iou.round(2)
    array([0.67, 0.33])
    """
    return compare_tables([shared_pixels(segments, annotation) for annotation in annotations])


def shared_pixels(segments: Labels, annotation: Labels) -> NDArray[np.int64]:
    """Count the pixels that each segment shares with each of an annotator's.

    Parameters
    ----------
    segments, annotation : ndarray of int, shape (Y, X)
        One id a segment.

    Returns
    -------
    ndarray of int64, shape (S, H)
        In the order of the ids.
    """
    ids, ours = np.unique(segments, return_inverse=True)
    human_ids, theirs = np.unique(annotation, return_inverse=True)
    pairs = ours.ravel() * human_ids.size + theirs.ravel()
    shared = np.bincount(pairs, minlength=ids.size * human_ids.size)
    return shared.reshape(ids.size, human_ids.size)


def compare_tables(tables: Sequence[NDArray[np.int64]]) -> Agreement:
    """Compare one image's segments with the annotators', from the pixels that they share.

    Parameters
    ----------
    tables : sequence of ndarray of int64, shape (S, H)
        Of `shared_pixels`, one an annotator.

    Returns
    -------
    Agreement
        How they agree.
    """
    areas = tables[0].sum(axis=1)
    iou, people = np.zeros(areas.size), []
    for shared in tables:
        human = shared.sum(axis=0)
        table = shared / (areas[:, np.newaxis] + human - shared)
        iou = np.maximum(iou, table.max(axis=1))
        people.append(Human(human, table.max(axis=0), table.argmax(axis=0)))
    return Agreement(
        areas,
        iou,
        people,
        float(np.mean([_rand_index(shared) for shared in tables])),
        float(np.mean([_variation_of_information(shared) for shared in tables])),
        objects_and_parts(tables),
    )


def _rand_index(shared: NDArray[np.int64]) -> float:
    """Return the share of pairs of pixels that are together, or apart, in both segmentations."""
    n_pixels = float(shared.sum())
    together, ours, theirs = (
        np.square(counts, dtype=np.float64).sum()
        for counts in (shared, shared.sum(axis=1), shared.sum(axis=0))
    )
    return float(1 - (ours + theirs - 2 * together) / (n_pixels * (n_pixels - 1)))


def _variation_of_information(shared: NDArray[np.int64]) -> float:
    """Return the entropies of either segmentation given the other, added up, in bits."""
    joint, ours, theirs = (
        entr(counts / shared.sum()).sum()
        for counts in (shared, shared.sum(axis=1), shared.sum(axis=0))
    )
    return float((2 * joint - ours - theirs) / math.log(2))


def objects_and_parts(tables: Sequence[NDArray[np.int64]]) -> PrecisionRecall:
    """Precision and recall for objects and parts of one image [1]_.

    Parameters
    ----------
    tables : sequence of ndarray of int64, shape (S, H)
        Of `shared_pixels`, one an annotator.

    Returns
    -------
    PrecisionRecall
        Shares of our segments, and of all annotators', that are objects; parts count a tenth, and
        what is put together from parts of it by the share that these have.

    Notes
    -----
    Two segments are an object if their intersection has `OBJECT` of both. One of which the other
    has `OBJECT`, and which has `PART` of the other, is a part. Of what is neither, those segments
    count that lie in it by `OBJECT`, by their share of its area.

    References
    ----------
    .. [1] J. Pont-Tuset, F. Marques, "Supervised evaluation of image segmentation and object
       proposal techniques", IEEE TPAMI 38 (2016). :doi:`10.1109/TPAMI.2015.2481406`
    """
    areas = tables[0].sum(axis=1)
    ours = _candidates(areas)
    is_object, is_part, fragments = (np.zeros(areas.size, dtype) for dtype in (bool, bool, float))
    worth_of_theirs, n_theirs = 0.0, 0
    for shared in tables:
        human = shared.sum(axis=0)
        theirs = _candidates(human)
        of_ours, of_theirs = shared / areas[:, np.newaxis], shared / human
        fills_ours, fills_theirs = of_ours >= OBJECT, of_theirs >= OBJECT
        both = ours[:, np.newaxis] & theirs
        is_object |= (fills_ours & fills_theirs & both).any(axis=1)
        is_part |= (fills_ours & (of_theirs >= PART) & both).any(axis=1)
        fragments += np.where(fills_theirs & ~fills_ours, of_ours, 0).sum(axis=1)
        worth_of_theirs += _worth(
            (fills_ours & fills_theirs & both).any(axis=0),
            (fills_theirs & (of_ours >= PART) & both).any(axis=0),
            np.where(fills_ours & ~fills_theirs, of_theirs, 0).sum(axis=0),
            theirs,
        )
        n_theirs += np.count_nonzero(theirs)
    worth_of_ours = _worth(is_object, is_part, fragments / len(tables), ours)
    return PrecisionRecall(worth_of_ours / np.count_nonzero(ours), worth_of_theirs / n_theirs)


def _candidates(areas: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which regions are the largest, those that have `CANDIDATES` of the image."""
    order = np.argsort(-areas, kind="stable")
    larger = np.cumsum(areas[order]) - areas[order]
    is_candidate = np.empty(areas.size, dtype=bool)
    is_candidate[order] = larger < CANDIDATES * areas.sum()
    return is_candidate


def _worth(
    is_object: NDArray[np.bool_],
    is_part: NDArray[np.bool_],
    fragments: NDArray[np.float64],
    candidates: NDArray[np.bool_],
) -> float:
    """Add up what regions count as objects, as parts, or for the fragments in them."""
    worth = np.where(is_object, 1, np.where(is_part, PART_WORTH, fragments))
    return float(worth[candidates].sum())


def precision_recall(
    agreements: Sequence[Agreement], threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision and recall as the segments of many images are taken in, largest first.

    Parameters
    ----------
    agreements : sequence of Agreement
        One an image.
    threshold : float
        From one half on. A segment is right when its best IoU with any human segment of its
        image exceeds this; a human segment is found when any segment's IoU with it does.

    Returns
    -------
    precision, recall : ndarray of float, shape (all segments,)
        Both from 0 to 1; recall never falls.
    """
    areas = np.concatenate([agreement.areas for agreement in agreements])
    right = np.concatenate([agreement.iou > threshold for agreement in agreements])
    found = np.concatenate([_found(agreement, threshold) for agreement in agreements])
    n_human = sum(human.areas.size for agreement in agreements for human in agreement.people)
    order = np.argsort(-areas, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, areas.size + 1)
    return precision, np.cumsum(found[order]) / n_human


def average_precision(agreements: Sequence[Agreement], threshold: float) -> float:
    """Average precision of the segments of many images, largest first.

    Parameters
    ----------
    agreements : sequence of Agreement
        One an image.
    threshold : float
        As in `precision_recall`.

    Returns
    -------
    float
        Sum of precision times the step in recall, over the segments sorted by area.
    """
    precision, recall = precision_recall(agreements, threshold)
    return float((precision * np.diff(recall, prepend=0)).sum())


def f_measures(agreements: Sequence[Agreement], threshold: float) -> NDArray[np.float64]:
    """F-measure of right segments and found human segments of each image.

    Parameters
    ----------
    agreements : sequence of Agreement
        One an image.
    threshold : float
        As in `precision_recall`.

    Returns
    -------
    ndarray of float, shape (images,)
        2PR / (P + R), 0 for an image with nothing right.
    """
    scores = []
    for agreement in agreements:
        precision = (agreement.iou > threshold).mean()
        recall = np.concatenate([human.iou > threshold for human in agreement.people]).mean()
        total = precision + recall
        scores.append(2 * precision * recall / total if total else 0.0)
    return np.array(scores)


def coverings(agreements: Sequence[Agreement]) -> NDArray[np.float64]:
    """Share of the human segments' area covered by their best segment, of each image.

    Parameters
    ----------
    agreements : sequence of Agreement
        One an image.

    Returns
    -------
    ndarray of float, shape (images,)
        Mean over annotators of the area-weighted best IoU.

    References
    ----------
    .. [1] P. Arbeláez et al., "Contour detection and hierarchical image segmentation",
       IEEE TPAMI 33 (2011), eq. 8. :doi:`10.1109/TPAMI.2010.161`
    """
    return np.array(
        [
            np.mean([np.average(human.iou, weights=human.areas) for human in agreement.people])
            for agreement in agreements
        ]
    )


def mean_iou(agreements: Sequence[Agreement], whose: Whose = "all") -> float:
    """Mean best IoU of human segments, averaged over images.

    Parameters
    ----------
    agreements : sequence of Agreement
        One an image.
    whose : {'all', 'fine', 'coarse'}
        Of all annotators, of the one who drew the most segments, or of the one who drew fewest.

    Returns
    -------
    float
        From 0 to 1.
    """
    means = []
    for agreement in agreements:
        by_number = sorted(agreement.people, key=lambda human: human.areas.size)
        people = {"all": by_number, "fine": by_number[-1:], "coarse": by_number[:1]}[whose]
        means.append(np.concatenate([human.iou for human in people]).mean())
    return float(np.mean(means))


def _found(agreement: Agreement, threshold: float) -> NDArray[np.int64]:
    """Count, for each segment, the human segments that it finds."""
    counts = np.zeros(agreement.areas.size, dtype=np.int64)
    for human in agreement.people:
        counts += np.bincount(human.best[human.iou > threshold], minlength=counts.size)
    return counts


def foreground(labels: Labels, truth: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Take as foreground every label most of whose pixels are.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        Clusters or segments.
    truth : ndarray of bool, shape (Y, X)
        The true foreground.

    Returns
    -------
    ndarray of bool, shape (Y, X)
        The foreground that the labels could tell apart.

    Examples
    --------
    >>> foreground(np.array([[1, 1, 1, 2]]), np.array([[True, True, False, False]]))
    array([[ True,  True,  True, False]])
    """
    _, ids = np.unique(labels, return_inverse=True)
    ids = ids.reshape(labels.shape)
    inside = np.bincount(ids.ravel(), truth.ravel()) * 2 > np.bincount(ids.ravel())
    return inside[ids]


def dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Return twice the shared pixels over the sum of both; 1 if both are empty.

    Parameters
    ----------
    found, truth : ndarray of bool, shape (Y, X)
        Two foregrounds.

    Returns
    -------
    float
        From 0 to 1.
    """
    total = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / total if total else 1.0


class Matches(NamedTuple):
    """Found objects beside true ones.

    Attributes
    ----------
    ious : ndarray of float64
        IoU of each pair whose IoU is above one half; no object is in two.
    n_found, n_true : int
        Objects that were found, and true ones.
    is_right : ndarray of bool, shape (n_found,)
        Whether a found object is in a pair.
    """

    ious: NDArray[np.float64]
    n_found: int
    n_true: int
    is_right: NDArray[np.bool_]

    def ap(self, threshold: float = 0.5) -> float:
        """Return true / (true + false + missed) objects; 1 if there are none and none was found."""
        n_matched = np.count_nonzero(self.ious > threshold)
        total = self.n_found + self.n_true - n_matched
        return n_matched / total if total else 1.0

    def f1(self, threshold: float = 0.5) -> float:
        """Return 2 true / (found + true ones); 1 if there are none and none was found."""
        total = self.n_found + self.n_true
        return 2 * np.count_nonzero(self.ious > threshold) / total if total else 1.0


def match_objects(objects: Labels, instances: Labels, speck: int = 0) -> Matches:
    """Match found objects with true ones.

    Parameters
    ----------
    objects, instances : ndarray of int, shape (Y, X)
        Found and true objects, 0 is background.
    speck : int
        Objects of fewer pixels are left out, found and true alike.

    Returns
    -------
    Matches
        The pairs whose IoU is above one half.

    Examples
    --------
    >>> match_objects(np.array([[1, 1, 0, 2]]), np.array([[1, 1, 0, 0]]))
    Matches(ious=array([1.]), n_found=2, n_true=1, is_right=array([ True, False]))
    """
    objects, n_found = _without_specks(objects, speck)
    instances, n_true = _without_specks(instances, speck)
    shared = np.zeros((n_found + 1, n_true + 1))
    np.add.at(shared, (objects, instances), 1)
    union = shared.sum(1, keepdims=True) + shared.sum(0) - shared
    ious = shared[1:, 1:] / union[1:, 1:]
    return Matches(ious[ious > 0.5], n_found, n_true, (ious > 0.5).any(axis=1))


def roc_auc(scores: NDArray[np.floating], is_right: NDArray[np.bool_]) -> float:
    """Return how often what is right has a higher score than what is wrong.

    Parameters
    ----------
    scores : ndarray of float, shape (n,)
        Scores; of two that are equal each counts half.
    is_right : ndarray of bool, shape (n,)
        What is right.

    Returns
    -------
    float
        Area under the receiver operating characteristic, .5 for chance; NaN if all is right, or
        nothing.

    Examples
    --------
    >>> roc_auc(np.array([0.9, 0.5, 0.4, 0.1]), np.array([True, False, True, False]))
    0.75
    """
    n_right = np.count_nonzero(is_right)
    n_pairs = n_right * (len(scores) - n_right)
    above = rankdata(scores)[is_right].sum() - n_right * (n_right + 1) / 2
    return float(above / n_pairs) if n_pairs else float("nan")


def _without_specks(objects: Labels, speck: int) -> tuple[NDArray[np.int64], int]:
    """Renumber objects of at least `speck` pixels from 1; return their number too."""
    areas = np.bincount(objects.ravel())
    kept = areas >= max(speck, 1)
    kept[0] = False
    numbers = np.cumsum(kept) * kept
    return numbers[objects], int(kept.sum())
