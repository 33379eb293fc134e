"""Steps of a graph's eigenvectors across its borders, which say where the whole image divides."""

from collections.abc import Generator, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse import csr_array, diags_array, eye_array
from scipy.sparse.linalg import eigsh

from napari_unsupseg._typing import Floats, Integers
from napari_unsupseg.regions.dissimilarity import label_parts
from napari_unsupseg.regions.one_thread import one_matrix_thread

__all__ = ["eigenvector_steps"]

N_EIGENVECTORS = 20  # about as many as an image has segments
SIGMA = 1.4  # dissimilarity at which the affinity of two regions has fallen to 1/e
MANY = 400  # regions above which the eigenvectors are found one by one
SHIFT = -1e-5  # the eigenvalues nearest to it are the least ones; 0 itself is one
LEAST_EIGENVALUE = 1e-4  # below which parts that hardly touch would outweigh all else


def eigenvector_steps(
    pairs: Integers, lengths: Floats, dissimilarities: Floats, n_regions: int
) -> Generator[float, None, Floats]:
    """Return how far apart the eigenvectors of a graph are on both sides of each border.

    Parameters
    ----------
    pairs : ndarray of int64, shape (E, 2)
        Regions on both sides of a border.
    lengths : ndarray of float64, shape (E,)
        Pixel pairs along it; 0 for a link of what touches nowhere.
    dissimilarities : ndarray of float64, shape (E,)
        How far apart the two regions are.
    n_regions : int
        n, regions from 0.

    Yields
    ------
    float
        Share that is done, from 0 to 1.

    Returns
    -------
    ndarray of float64, shape (E,)
        Steps, 0 at links. Their mean along all borders of what hangs together is near 1 where a few
        parts of it stand out, and near 0 where many stand out as much as each other.

    Notes
    -----
    A gap in an outline is closed by what lies around it, and a strong edge inside a texture leads
    nowhere: the eigenvectors of the normalised Laplacian with the least eigenvalues, which divide
    a graph where little affinity is cut [1]_, change steeply at the one and not at the other. Here
    the graph is that of the regions, and the affinity of neighbours falls exponentially with their
    dissimilarity. The step is the Euclidean distance of the two regions in the space that these
    eigenvectors span, the square along each divided by its eigenvalue, as contour detectors weigh
    them [2]_, less what the first that is left out would have; so it does not matter where in a row
    of like eigenvalues they end. Steps are scaled to a mean of the root of the share that this
    leaves of the sum of all inverse eigenvalues: of many like spots no twenty stand out, and there
    are hardly any steps.

    References
    ----------
    .. [1] J. Shi, J. Malik, "Normalized cuts and image segmentation", IEEE TPAMI 22 (2000).
       :doi:`10.1109/34.868688`
    .. [2] P. Arbeláez, M. Maire, C. Fowlkes, J. Malik, "Contour detection and hierarchical image
       segmentation", IEEE TPAMI 33 (2011), section 3.2. :doi:`10.1109/TPAMI.2010.161`

    Examples
    --------
    Four regions in a row, of which the middle two differ:

    >>> from napari_unsupseg._generators import run_to_end
    >>> pairs = np.array([[0, 1], [1, 2], [2, 3]])
    >>> run_to_end(eigenvector_steps(pairs, np.ones(3), np.array([0, 3, 0]), 4)).round(1)
    array([0.2, 2.4, 0.2])
    """
    steps = np.zeros(len(pairs))
    parts = list(_connected_parts(pairs, lengths > 0, n_regions))
    for index, borders in enumerate(parts):
        members, numbers = np.unique(pairs[borders], return_inverse=True)
        affinities = np.exp(-dissimilarities[borders] / SIGMA) * np.sqrt(lengths[borders])
        ones, others = numbers.reshape(-1, 2).T
        with one_matrix_thread():
            values, vectors = _smoothest_eigenvectors(ones, others, affinities, len(members))
        squares = (vectors[ones] - vectors[others]) ** 2
        excess = 1 / values - 1 / values[-1]
        if excess.any():
            distances = np.sqrt(squares @ excess)
            clearness = np.sqrt(excess.sum() / (1 / values).sum())
            steps[borders] = clearness * distances / np.average(distances, weights=lengths[borders])
        yield (index + 1) / len(parts)
    return steps


def _connected_parts(
    pairs: Integers, touches: NDArray[np.bool_], n_regions: int
) -> Iterator[Integers]:
    """Yield the borders of each part of a graph that hangs together by those that touch."""
    touching = np.flatnonzero(touches)
    parts = label_parts(pairs[touching], n_regions)[pairs[touching, 0]]
    order = np.argsort(parts, kind="stable")
    ends = np.flatnonzero(np.diff(parts[order])) + 1
    if len(touching):
        yield from np.split(touching[order], ends)


def _smoothest_eigenvectors(
    ones: Integers, others: Integers, affinities: Floats, n_regions: int
) -> tuple[Floats, Floats]:
    """Return the least eigenvalues but the first, (k,), and their eigenvectors, (n, k)."""
    affinity = csr_array((affinities, (ones, others)), (n_regions, n_regions))
    affinity += affinity.T
    scale = 1 / np.sqrt(affinity.sum(axis=1))
    by_degree = diags_array(scale)
    laplacian = eye_array(n_regions) - by_degree @ affinity @ by_degree
    n_eigenvectors = min(N_EIGENVECTORS + 1, n_regions - 1)
    if n_regions <= MANY:
        values, vectors = eigh(laplacian.toarray(), subset_by_index=(0, n_eigenvectors))
    else:
        values, vectors = eigsh(
            laplacian.tocsc(),
            n_eigenvectors + 1,
            sigma=SHIFT,
            v0=np.ones(n_regions),  # at random otherwise
        )
        order = np.argsort(values)
        values, vectors = values[order], vectors[:, order]
    # the first is constant; the least eigenvalues are of parts that hardly touch the rest
    return np.maximum(values[1:], LEAST_EIGENVALUE), vectors[:, 1:] * scale[:, np.newaxis]
