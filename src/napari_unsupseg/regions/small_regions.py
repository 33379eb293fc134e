"""Small regions of labels, merged into what they resemble most."""

import numpy as np

from napari_unsupseg._typing import Labels
from napari_unsupseg.image.normalize import NormalizedImage
from napari_unsupseg.regions.colours import perceptual_colours
from napari_unsupseg.regions.compiling import translate_interrupts
from napari_unsupseg.regions.graph_builder import build_region_graph
from napari_unsupseg.regions.labels import label_regions

__all__ = ["merge_small_regions"]


@translate_interrupts()
def merge_small_regions(labels: Labels, image: NormalizedImage, min_size: int) -> Labels:
    """Merge small regions of an image's labels into the neighbour they resemble most.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (..., Y, X)
        Clusters or segments, 0 at pixels that take no part.
    image : NormalizedImage
        The image.
    min_size : int
        Pixels of the smallest connected region, unless it touches no other.

    Returns
    -------
    ndarray of unsigned integers, shape (..., Y, X)
        Labels; of regions that merge, that of the largest.
    """
    colours, lightness = perceptual_colours(image)
    regions = label_regions(labels, image.spatial_ndim) - 1
    graph = build_region_graph(
        regions,
        colours,
        [np.zeros_like(labels)],
        lightness,
        image.spatial_ndim,
        spacing=image.spacing,
    )
    groups = graph.merge_small(min_size)
    inside = labels > 0
    of_regions = np.zeros(graph.n_regions + 1, dtype=labels.dtype)  # the last one is for -1
    of_regions[regions[inside]] = labels[inside]
    by_area = np.argsort(np.bincount(regions[inside]), kind="stable")
    of_groups = np.empty(graph.n_regions, dtype=labels.dtype)
    of_groups[groups[by_area]] = of_regions[by_area]
    of_regions[:-1] = of_groups[groups]
    return of_regions[regions]
