"""Small connected regions of labels, merged into the neighbour they resemble most."""

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
    region_labels = np.zeros(graph.n_regions + 1, dtype=labels.dtype)  # the last one is for -1
    region_labels[regions[inside]] = labels[inside]
    # of the values assigned to a group the last one stays, which is that of its largest region
    by_area = np.argsort(np.bincount(regions[inside]), kind="stable")
    group_labels = np.empty(graph.n_regions, dtype=labels.dtype)
    group_labels[groups[by_area]] = region_labels[by_area]
    region_labels[:-1] = group_labels[groups]
    return region_labels[regions]
