"""How well segments agree with those that people drew: AP, F and covering of BSDS500."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Agreement",
    "average_precision",
    "compare",
    "covering",
    "dice",
    "foreground",
    "instance_score",
    "mean_f",
]

Labels = NDArray[np.integer]


@dataclasses.dataclass(frozen=True, eq=False)
class Agreement:
    """What one image's segmentation shares with every annotator's.

    Attributes
    ----------
    areas : ndarray of int, shape (S,)
        Pixels of each segment.
    human_areas : list of ndarray of int
        Pixels of each human segment, an array an annotator.
    iou : list of ndarray of float, shape (S, H)
        Intersection over union of segments and human segments, an array an annotator.
    """

    areas: NDArray[np.int64]
    human_areas: list[NDArray[np.int64]]
    iou: list[NDArray[np.float64]]


def compare(segments: Labels, annotations: Iterable[Labels]) -> Agreement:
    """Compare one image's segments with the annotators'.

    Parameters
    ----------
    segments : ndarray of int, shape (Y, X)
        One id a segment.
    annotations : iterable of ndarray of int, shape (Y, X)
        One an annotator, one id a human segment.

    Returns
    -------
    Agreement
        Areas and intersections over unions.

    Examples
    --------
    >>> compare(np.array([[1, 1, 2]]), [np.array([[5, 5, 5]])]).iou[0].round(2)
    array([[0.67],
           [0.33]])
    """
    _, ours = np.unique(segments, return_inverse=True)
    areas = np.bincount(ours.ravel())
    human_areas, tables = [], []
    for annotation in annotations:
        _, theirs = np.unique(annotation, return_inverse=True)
        human = np.bincount(theirs.ravel())
        pairs = ours.ravel() * human.size + theirs.ravel()
        shared = np.bincount(pairs, minlength=areas.size * human.size)
        shared = shared.reshape(areas.size, human.size)
        human_areas.append(human)
        tables.append(shared / (areas[:, np.newaxis] + human - shared))
    return Agreement(areas, human_areas, tables)


def average_precision(agreements: Sequence[Agreement], threshold: float) -> float:
    """Average precision of the segments of many images, largest first.

    Parameters
    ----------
    agreements : sequence of Agreement
        One an image.
    threshold : float
        A segment is right when its best IoU with any human segment of its image exceeds this;
        a human segment is found when any segment's IoU with it does.

    Returns
    -------
    float
        Sum of precision times the step in recall, over the segments sorted by area.
    """
    areas = np.concatenate([agreement.areas for agreement in agreements])
    right = np.concatenate([_is_right(agreement, threshold) for agreement in agreements])
    order = np.argsort(-areas, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, areas.size + 1)
    newly_found = np.concatenate([_newly_found(agreement, threshold) for agreement in agreements])
    n_human = sum(human.size for agreement in agreements for human in agreement.human_areas)
    return float((precision * newly_found[order]).sum() / n_human)


def mean_f(agreements: Sequence[Agreement], threshold: float) -> float:
    """F-measure of right segments and found human segments, averaged over images.

    Parameters
    ----------
    agreements : sequence of Agreement
        One an image.
    threshold : float
        As in `average_precision`.

    Returns
    -------
    float
        Mean of 2PR / (P + R), 0 for an image with nothing right.
    """
    scores = []
    for agreement in agreements:
        precision = _is_right(agreement, threshold).mean()
        found = np.concatenate([(iou > threshold).any(axis=0) for iou in agreement.iou])
        recall = found.mean()
        total = precision + recall
        scores.append(2 * precision * recall / total if total else 0.0)
    return float(np.mean(scores))


def covering(agreements: Sequence[Agreement]) -> float:
    """Share of the human segments' area covered by their best segment, averaged over images.

    Parameters
    ----------
    agreements : sequence of Agreement
        One an image.

    Returns
    -------
    float
        Mean over images and annotators of the area-weighted best IoU.

    References
    ----------
    .. [1] P. Arbeláez et al., "Contour detection and hierarchical image segmentation",
       IEEE TPAMI 33 (2011), eq. 8. :doi:`10.1109/TPAMI.2010.161`
    """
    scores = [
        np.mean(
            [
                (human * iou.max(axis=0)).sum() / human.sum()
                for human, iou in zip(agreement.human_areas, agreement.iou, strict=True)
            ]
        )
        for agreement in agreements
    ]
    return float(np.mean(scores))


def _is_right(agreement: Agreement, threshold: float) -> NDArray[np.bool_]:
    return np.any([(iou > threshold).any(axis=1) for iou in agreement.iou], axis=0)


def _newly_found(agreement: Agreement, threshold: float) -> NDArray[np.int64]:
    """Count, for each segment, the human segments that no larger segment has found."""
    order = np.argsort(-agreement.areas, kind="stable")
    counts = np.zeros(agreement.areas.size, dtype=np.int64)
    for iou in agreement.iou:
        hits = iou[order] > threshold
        first = hits.argmax(axis=0)[hits.any(axis=0)]
        counts += np.bincount(order[first], minlength=counts.size)
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


def instance_score(objects: Labels, instances: Labels, speck: int = 0) -> float:
    """Return true / (true + false + missed) objects at an IoU above one half.

    Parameters
    ----------
    objects, instances : ndarray of int, shape (Y, X)
        Found and true objects, 0 is background.
    speck : int
        Objects of fewer pixels are left out, found and true alike.

    Returns
    -------
    float
        From 0 to 1; 1 if there is nothing to find and nothing was found.

    Examples
    --------
    >>> instance_score(np.array([[1, 1, 0, 2]]), np.array([[1, 1, 0, 0]]))
    0.5
    """
    objects, n_found = _without_specks(objects, speck)
    instances, n_true = _without_specks(instances, speck)
    shared = np.zeros((n_found + 1, n_true + 1))
    np.add.at(shared, (objects, instances), 1)
    union = shared.sum(1, keepdims=True) + shared.sum(0) - shared
    # above one half no object can match two others
    matched = int((shared[1:, 1:] > 0.5 * union[1:, 1:]).sum())
    total = n_found + n_true - matched
    return matched / total if total else 1.0


def _without_specks(objects: Labels, speck: int) -> tuple[NDArray[np.int64], int]:
    """Renumber objects of at least `speck` pixels from 1; return their number too."""
    areas = np.bincount(objects.ravel())
    kept = areas >= max(speck, 1)
    kept[0] = False
    numbers = np.cumsum(kept) * kept
    return numbers[objects], int(kept.sum())
