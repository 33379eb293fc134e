"""The options of an image and of a cut, each named, typed and described once.

Functions take them by ``**options: Unpack[ImageOptions]``, and `documented` writes them into
signature and docstring; the command line, jobs, the panel's requests and the copied script hold the
same names.
"""

import dataclasses
import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypedDict, TypeVar, cast, get_type_hints

import numpy as np
from numpy.typing import ArrayLike

from napari_unsupseg.errors import SettingError

__all__ = [
    "AxesOptions",
    "CutOptions",
    "ImageOptions",
    "Option",
    "PredictOptions",
    "check_flag",
    "documented",
    "is_cut",
    "options_of",
    "pick_options",
]

WIDTH = 100  # characters of a line of a docstring

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class Option:
    """What there is to know of one option.

    Attributes
    ----------
    kind : str
        Its type, as numpydoc writes it.
    text : str
        What it means, in reStructuredText.
    default : object
        Its value where it is left out.
    """

    kind: str
    text: str
    default: Any = None


class AxesOptions(TypedDict, total=False):
    """What the axes of an image are, how far apart its pixels are, and which take part."""

    axes: Annotated[
        str | None,
        Option(
            "str, optional",
            "What each axis is, one letter an axis: ``y`` and ``x``, ``c`` for channels, ``s`` for "
            "the samples of RGB; any other, such as ``z`` or ``t``, runs over planes. By default "
            "two axes are a grey image, a last axis of 3 is RGB, and a last axis of 4 is RGBA, "
            "whose alpha is left out with a warning, and so are fully transparent pixels; all else "
            "must be said.",
        ),
    ]
    channel_axis: Annotated[
        int | None,
        Option("int, optional", "In place of `axes`: the axis that holds the channels."),
    ]
    mask: Annotated[
        ArrayLike | None,
        Option(
            "array_like of bool, shape (..., Y, X), optional",
            "True where a pixel takes part; by default all that are not NaN.",
        ),
    ]
    spacing: Annotated[
        Sequence[float] | None,
        Option(
            "sequence of float, optional",
            "Distance of neighbours along each axis of a frame, such as ``(3, 1, 1)`` for slices "
            "three times as far apart as pixels: superpixels, the reduced size that a run begins "
            "at, segments and objects follow it. By default all are alike.",
        ),
    ]


class ImageOptions(AxesOptions, total=False):
    """All that an image is trained on by, beside the settings."""

    spatial_ndim: Annotated[
        int,
        Option(
            "int",
            "2 for a network that sees planes; 3 for one that sees volumes (axes z, y and x).",
            2,
        ),
    ]
    strokes: Annotated[
        ArrayLike | None,
        Option(
            "array_like of int, shape (..., Y, X), optional",
            "Labels from 1 to q drawn on some pixels, 0 on all others (Kim et al. 2020). These "
            "pixels have them in the end, and what looks like them has too; the other clusters "
            "have other numbers.",
        ),
    ]


class CutOptions(TypedDict, total=False):
    """Where to cut the hierarchy into segments; clusters are given where neither is said."""

    granularity: Annotated[
        float | None,
        Option(
            "float, optional",
            "Return segments of the hierarchy in place of clusters: 0 gives the finest, 0.5 suits "
            "most images, 1 gives a single one.",
        ),
    ]
    n_segments: Annotated[
        int | None,
        Option(
            "int, optional",
            "Return about this many segments of the hierarchy: fewer if it has fewer.",
        ),
    ]


class ObjectOptions(TypedDict, total=False):
    """Which of the things that stand out are objects, each with a number of its own."""

    split: Annotated[
        float,
        Option(
            "float",
            "How readily touching objects are split: 0 never, 1 at every waist.",
            0.5,
        ),
    ]
    max_size: Annotated[
        int | None,
        Option("int, optional", "Pixels of the largest object; by default there is no limit."),
    ]
    exclude_border: Annotated[
        bool,
        Option("bool", "Leave out objects that touch the border of the image.", False),
    ]


class PredictOptions(AxesOptions, CutOptions, total=False):
    """What an image is labelled by where the network is trained already."""


Options = TypeVar("Options", ImageOptions, CutOptions, ObjectOptions)


def options_of(kind: type) -> dict[str, Option]:
    """Return what there is to know of the options of one kind.

    Parameters
    ----------
    kind : type
        `AxesOptions`, `ImageOptions` or `CutOptions`.

    Returns
    -------
    dict of str to Option
        By name.

    Examples
    --------
    >>> options_of(CutOptions)["n_segments"].kind
    'int, optional'
    """
    hints = get_type_hints(kind, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items()}


def pick_options(options: dict[str, Any], kind: type[Options]) -> Options:
    """Take the options of one kind out of those of several.

    Parameters
    ----------
    options : dict
        Options by name; those taken are gone from it.
    kind : type
        Kind to take.

    Returns
    -------
    dict
        Of that kind, those that are given.
    """
    return cast(Options, {name: options.pop(name) for name in options_of(kind) if name in options})


def is_cut(options: CutOptions) -> bool:
    """Tell whether segments are asked for in place of clusters.

    Parameters
    ----------
    options : CutOptions
        Where to cut, if anywhere.

    Returns
    -------
    bool
        Whether one of them is given.
    """
    return any(value is not None for value in options.values())


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False: ``'no'`` would count as True.

    Parameters
    ----------
    name : str
        What the flag is called.
    value : object
        What was given.

    Raises
    ------
    SettingError
        If it is no bool.
    """
    if not isinstance(value, bool | np.bool_):
        raise SettingError(f"{name} must be True or False, got {value!r}")


def documented(*kinds: type) -> Callable[[Function], Function]:
    """Have a function's signature and docstring name the options that it passes on.

    Parameters
    ----------
    *kinds : type
        Kinds of options, in the order to name them. The docstring has ``{options}`` in their place.

    Returns
    -------
    callable
        The decorator.
    """
    options = {name: option for kind in kinds for name, option in options_of(kind).items()}

    def decorate(function: Function) -> Function:
        if function.__doc__:  # python -OO has none
            function.__doc__ = _fill_in(function.__doc__, options)
        # help(), editors and Sphinx show this signature in place of **options
        signature = inspect.signature(function)
        passed_on = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option.default)
            for name, option in options.items()
            if name not in signature.parameters
        ]
        own = list(signature.parameters.values())
        rest = [own.pop()] if own[-1].annotation is Any else []  # more than options is passed on
        parameters = passed_on + [p for p in own if p.kind is not p.VAR_KEYWORD]
        parameters.sort(key=lambda parameter: parameter.kind)  # positional ones first
        # the docstring has the types in words; ArrayLike would take four lines of help()
        bare = [p.replace(annotation=inspect.Parameter.empty) for p in parameters + rest]
        signature = inspect.Signature(bare)
        function.__signature__ = signature  # type: ignore[attr-defined]
        return function

    return decorate


def _fill_in(docstring: str, options: dict[str, Option]) -> str:
    """Return a docstring with its options where it has a place for them."""
    before, _, after = docstring.partition("{options}")
    indent = before[before.rindex("\n") + 1 :]
    lines = []
    for name, option in options.items():
        inner = f"{indent}    "
        text = textwrap.fill(
            option.text,
            WIDTH,
            initial_indent=inner,
            subsequent_indent=inner,
            break_on_hyphens=False,
        )
        lines += [f"{indent}{name} : {option.kind}", text]
    return before.removesuffix(indent) + "\n".join(lines) + after
