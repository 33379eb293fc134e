"""Options are the same wherever they are given."""

import inspect

import pytest

from napari_unsupseg import Segmenter, segment
from napari_unsupseg.learning.run import Run
from napari_unsupseg.options import AxesOptions, CutOptions, ImageOptions, options_of

PREDICT = {**options_of(AxesOptions), **options_of(CutOptions)}


@pytest.mark.parametrize(
    ("function", "options"),
    [
        pytest.param(segment, {**options_of(ImageOptions), **options_of(CutOptions)}, id="segment"),
        pytest.param(Segmenter.fit, options_of(ImageOptions), id="fit"),
        pytest.param(Segmenter.steps, options_of(ImageOptions), id="steps"),
        pytest.param(Segmenter.predict, PREDICT, id="predict"),
        pytest.param(Segmenter.predict_generator, PREDICT, id="predict_generator"),
        pytest.param(Segmenter.predict_hierarchy, options_of(AxesOptions), id="predict_hierarchy"),
    ],
)
def test_help_names_and_describes_every_option(function, options):
    parameters = inspect.signature(function).parameters
    for name, option in options.items():
        assert parameters[name].default == option.default
        assert f"{name} : {option.kind}\n" in function.__doc__
    assert "{options}" not in function.__doc__


def test_a_run_takes_the_options_with_the_defaults_that_help_names():
    taken = inspect.signature(Run.begin).parameters
    for name, option in options_of(ImageOptions).items():
        assert taken[name].default == option.default
