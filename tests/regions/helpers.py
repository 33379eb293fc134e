"""Images, hierarchies and what tests measure of them."""

import numpy as np

from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.regions.hierarchy import Hierarchy
from napari_unsupseg.regions.hierarchy_builder import build_hierarchy
from napari_unsupseg.regions.labels import connected_components

GRANULARITIES = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)
PLANE = np.ones(2)  # distance of neighbours along both axes


def picture(*rows: str) -> np.ndarray:
    """Return the labels that digits draw; a dot is ground."""
    return np.array([[int(sign) for sign in row.replace(".", "0")] for row in rows], np.uint16)


def quadrants() -> np.ndarray:
    """Return four noisy squares of 30 pixels a side."""
    truth = np.kron([[1, 2], [3, 4]], np.ones((30, 30), dtype=np.uint8))
    noise = np.random.default_rng(0).normal(0, 0.02, truth.shape)
    return (np.array([0, 0.1, 0.4, 0.7, 0.95])[truth] + noise).astype(np.float32)


def hierarchy_of(image: np.ndarray, mask: np.ndarray | None = None, history=()) -> Hierarchy:
    prepared = normalize_image(split_channels(image), mask, "auto")
    return build_hierarchy(prepared, history or [np.ones(prepared.valid.shape, dtype=np.uint8)])


def refines(fine: np.ndarray, coarse: np.ndarray) -> bool:
    """Whether every segment of one lies in one segment of the other."""
    pairs = np.unique(np.stack([fine.ravel(), coarse.ravel()]), axis=1)
    return len(np.unique(pairs[0])) == pairs.shape[1]


def agree(found: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of pixels that lie in the segment most of whose pixels are as they are."""
    counts = np.zeros((found.max() + 1, truth.max() + 1))
    np.add.at(counts, (found, truth), 1)
    return counts.max(axis=1).sum() / truth.size


def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Return an image of three dim and three bright squares on dark ground, and which is which."""
    truth = np.ones((60, 90), dtype=np.uint8)
    for column, kind in ((8, 2), (38, 3), (68, 2)):
        truth[8:24, column : column + 16] = kind
        truth[36:52, column : column + 16] = 5 - kind
    noise = np.random.default_rng(0).normal(0, 0.02, truth.shape)
    return (np.array([0, 0.1, 0.4, 0.9])[truth] + noise).astype(np.float32), truth


def sizes(labels: np.ndarray) -> np.ndarray:
    """Return the pixels of each connected region."""
    return np.bincount(connected_components(labels)[labels > 0])[1:]


def ball(shape, centre, radii):
    """Return the pixels of an ellipse or ellipsoid."""
    steps = np.ogrid[tuple(slice(n) for n in shape)]
    return sum(((s - c) / r) ** 2 for s, c, r in zip(steps, centre, radii, strict=True)) <= 1
