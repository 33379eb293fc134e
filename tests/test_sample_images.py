"""As many objects as nuclei were drawn, in an image, each frame of a movie, and a volume."""

import numpy as np
import pytest

from napari_unsupseg import sample_images, segment

OPTIONS = {
    "nuclei": {},
    "moving_nuclei": {"axes": "tyx"},
    "nuclei_volume": {"axes": "zyx", "spatial_ndim": 3, "spacing": (2, 1, 1)},
}


@pytest.mark.parametrize("name", sample_images.N_NUCLEI)
def test_the_nuclei_that_were_drawn_are_counted(name):
    image = getattr(sample_images, name)()
    objects = segment(image, objects=True, **OPTIONS[name])
    frames = objects if name == "moving_nuclei" else [objects]
    drawn = sample_images.N_NUCLEI[name]
    for frame in frames:
        assert abs(len(np.unique(frame)) - 1 - drawn) <= 0.05 * drawn
    assert objects.max() <= 1.05 * drawn  # a nucleus that moves keeps its number
