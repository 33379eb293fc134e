"""Small connected regions of labels join a neighbour."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.regions.labels import connected_components
from napari_unsupseg.regions.small_regions import merge_small_regions

from .helpers import refines, sizes


def test_small_regions_join_the_neighbour_they_resemble():
    labels = np.ones((20, 20), dtype=np.uint8)
    labels[:, 10:] = 2
    image = np.where(labels == 1, 0.2, 0.8)
    labels[5:8, 8:10] = 3  # like the left
    labels[12:14, 9:12] = 4  # over the border, brighter than either
    image[12:14, 9:12] = 0.9
    labels[0, :3] = labels[19, 17:] = 5  # one label, far apart
    labels[1, :3] = 0
    labels[0, 3] = 0  # which leaves one of the two without neighbours
    prepared = normalize_image(split_channels(image), labels > 0, "auto")
    expected = labels.copy()
    expected[5:8, 8:10] = 1
    expected[12:14, 9:12] = 2
    expected[19, 17:] = 2
    np.testing.assert_array_equal(merge_small_regions(labels, prepared, 7), expected)


@settings(max_examples=20, deadline=None)
@given(data=st.data(), min_size=st.integers(0, 40))
def test_small_regions_are_gone_and_labels_are_as_before(data, min_size):
    labels = data.draw(hnp.arrays(np.uint8, (9, 11), elements=st.integers(1, 3)))
    image = data.draw(hnp.arrays(np.uint8, (9, 11)))
    found = merge_small_regions(
        labels, normalize_image(split_channels(image), None, "auto"), min_size
    )
    assert sizes(found).min() >= min_size
    assert refines(connected_components(labels), connected_components(found))
    assert set(np.unique(found)) <= set(np.unique(labels))
