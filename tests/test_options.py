"""Options are the same wherever they are given."""

import inspect
from typing import Annotated, TypedDict

import pytest

from napari_unsupseg import Segmenter, segment
from napari_unsupseg.learning.run import Run
from napari_unsupseg.options import (
    AxesOptions,
    CutOptions,
    ImageOptions,
    Option,
    documented,
    options_of,
)

PREDICT = {**options_of(AxesOptions), **options_of(CutOptions)}


class Sizes(TypedDict, total=False):
    height: Annotated[float, Option("float", "How high it is.", 2.5)]
    width: Annotated[int | None, Option("int, optional", "How wide it is.")]


class Colours(TypedDict, total=False):
    hue: Annotated[str | None, Option("str, optional", "Its hue.")]


def test_a_function_names_the_options_that_it_passes_on():
    @documented(Sizes, Colours)
    def draw(shape: str, *, fill: bool = True, **options: object) -> tuple[object, ...]:
        """Draw a shape.

        Parameters
        ----------
        shape : str
            Its name.
        {options}
        fill : bool
            Whether to fill it.
        """
        return shape, fill, options

    assert inspect.getdoc(draw) == inspect.cleandoc(
        """Draw a shape.

        Parameters
        ----------
        shape : str
            Its name.
        height : float
            How high it is.
        width : int, optional
            How wide it is.
        hue : str, optional
            Its hue.
        fill : bool
            Whether to fill it.
        """
    )
    assert str(inspect.signature(draw)) == (
        "(shape, *, height=2.5, width=None, hue=None, fill=True)"
    )
    assert draw("disk", hue="red") == ("disk", True, {"hue": "red"})


def test_kinds_of_options_take_in_those_that_they_are_made_of():
    assert list(options_of(ImageOptions)) == [
        *options_of(AxesOptions),
        "spatial_ndim",
        "strokes",
    ]


@pytest.mark.parametrize("kind", [ImageOptions, CutOptions])
def test_every_option_is_described_in_sentences(kind):
    for option in options_of(kind).values():
        assert option.text[0].isupper() or option.text[0].isdigit()
        assert option.text.endswith(".")
        assert (option.default is None) == option.kind.endswith("optional")


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
