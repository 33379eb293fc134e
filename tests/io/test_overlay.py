import numpy as np
import pytest
from skimage.segmentation import find_boundaries

from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.io.overlay import draw_label_overlay, label_colours


@pytest.mark.parametrize("name", ["grey", "rgb"])
def test_borders_are_white_and_clusters_have_their_colours(name, request):
    image = normalize_image(split_channels(request.getfixturevalue(name)))
    labels = np.zeros(image.valid.shape, np.uint8)
    labels[10:50, 10:30], labels[10:50, 30:60] = 1, 2
    pixels = draw_label_overlay(image, labels)
    assert pixels.shape == (*labels.shape, 3)
    assert pixels.dtype == np.uint8
    border = find_boundaries(labels, mode="inner")
    assert (pixels[border] == 255).all()
    background = np.moveaxis(np.broadcast_to(image.values, (3, *labels.shape)), 0, -1) * 255
    outside = (labels == 0) & ~border
    np.testing.assert_allclose(pixels[outside], background[outside], atol=1)
    tint = [(pixels - background)[(labels == k) & ~border].mean(axis=0) for k in (1, 2)]
    assert np.abs(tint[0] - tint[1]).max() > 20


def test_colours_of_neighbouring_labels_differ():
    colours = label_colours(100)
    assert colours.shape == (101, 3)
    assert not colours[0].any()
    assert np.abs(np.diff(colours, axis=0)).max(axis=1).min() > 0.2
    assert len(np.unique(colours.round(3), axis=0)) == 101


def test_a_stack_shows_its_middle_plane():
    stack = np.broadcast_to(np.arange(5, dtype=np.uint8)[:, None, None], (5, 8, 9))
    image = normalize_image(split_channels(stack, "zyx"))
    labels = np.zeros(stack.shape, np.uint8)
    labels[2, 2:5, 2:5], labels[3] = 1, 7
    pixels = draw_label_overlay(image, labels)
    border = find_boundaries(labels[2], mode="inner")
    assert (pixels[border] == 255).all()
    assert set(pixels[(labels[2] == 0) & ~border].ravel()) == {128}  # grey, half of 0 to 4
