import inspect
from typing import Annotated, TypedDict

import pytest

from napari_unsupseg.options import (
    AxesOptions,
    CutOptions,
    ImageOptions,
    Option,
    documented,
    options_of,
)


class Sizes(TypedDict, total=False):
    height: Annotated[float, Option("float", "How high it is.", 2.5)]
    width: Annotated[int | None, Option("int, optional", "How wide it is.")]


class Colours(TypedDict, total=False):
    hue: Annotated[str | None, Option("str, optional", "Its hue.")]


def test_a_function_names_the_options_that_it_passes_on():
    @documented(Sizes, Colours)
    def draw(shape, *, fill=True, **options):
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
        "spacing",
        "strokes",
    ]


@pytest.mark.parametrize("kind", [ImageOptions, CutOptions])
def test_every_option_is_described_in_sentences(kind):
    for option in options_of(kind).values():
        assert option.text[0].isupper() or option.text[0].isdigit()
        assert option.text.endswith(".")
        assert (option.default is None) == option.kind.endswith("optional")
