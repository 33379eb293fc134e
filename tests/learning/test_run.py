"""What a run keeps, and what it forgets."""

import dask.array as da
import numpy as np
import pytest
import skimage.data

from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.errors import ImageError, SettingError
from napari_unsupseg.learning.schedule import HISTORY_ITERATIONS
from napari_unsupseg.regions.uncertainty import cluster_uncertainty

from ..conftest import SMALL


def test_another_run_begins_with_a_history_of_its_own(rgb):
    settings = Settings(**SMALL | {"iterations": HISTORY_ITERATIONS[1]})
    again = Segmenter(settings).fit(rgb[::-1])
    again.fit(rgb)
    expected = Segmenter(settings).fit(rgb).hierarchy_
    np.testing.assert_array_equal(again.hierarchy_.boundaries(), expected.boundaries())


def test_the_history_tells_more_than_the_last_labels():
    image = skimage.data.coins()[::4, ::4]
    segmenter = Segmenter(Settings(iterations=HISTORY_ITERATIONS[2], superpixels=500))
    for step in segmenter.steps(image):
        if step.iteration == HISTORY_ITERATIONS[2]:
            break
    of_run = segmenter.hierarchy_.boundaries()
    of_last_labels = segmenter.predict_hierarchy(image, labels=step.labels).boundaries()
    assert not np.array_equal(of_run, of_last_labels)


def test_a_network_learns_the_labels_that_are_kept_after_it_was_asked_before(grey):
    settings = Settings(**SMALL | {"settle": 0.02, "final_clusters": 2})

    def left_early(asks: bool) -> np.ndarray:
        segmenter = Segmenter(settings)
        steps = segmenter.steps(grey)
        for step in steps:
            if step.iteration == 4:
                break
        if asks:
            segmenter.predict(grey)  # of the many clusters there are then
        *_, last = segmenter.finish()
        assert last.labels.max() == 2
        return segmenter.predict(grey)

    np.testing.assert_array_equal(left_early(asks=True), left_early(asks=False))


@pytest.mark.parametrize("way", ["fit", "steps"])
def test_an_option_that_there_is_not_is_refused(grey, small, way):
    with pytest.raises(TypeError, match="unexpected keyword argument 'axis'"):
        list(getattr(Segmenter(small), way)(grey, axis="yx"))


def test_pixels_that_change_are_uncertain(grey):
    settings = Settings(**SMALL | {"iterations": HISTORY_ITERATIONS[1]})
    segmenter = Segmenter(settings)
    labels = {step.iteration: step.labels for step in segmenter.steps(grey)}
    history = [labels[iteration] for iteration in (*HISTORY_ITERATIONS[:2], settings.iterations)]
    final = segmenter.fit(grey).labels_
    np.testing.assert_array_equal(segmenter.uncertainty(), cluster_uncertainty(final, history))
    assert 0 < segmenter.uncertainty().mean() < 0.9


def test_before_a_run_nothing_is_uncertain(grey, monkeypatch):
    with pytest.raises(SettingError, match="fit an image first"):
        Segmenter().uncertainty()
    monkeypatch.setattr("napari_unsupseg.image.tiling.LOADED_VALUES", 100)
    lazy = da.from_array(grey, chunks=32)
    with pytest.raises(ImageError, match="crops of an image"):
        Segmenter(Settings(**SMALL)).fit(lazy).uncertainty()
