"""The options of the command ``napari-unsupseg``: name, type, default and help of each.

Settings, and what `napari_unsupseg.options` knows of an image and a cut, are described there; this
module makes options of the command line from them.
"""

import inspect
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints, is_typeddict

import typer

from napari_unsupseg.errors import SettingError
from napari_unsupseg.options import options_of
from napari_unsupseg.settings import PRESETS, Settings, SettingSpec, setting_specs

__all__ = [
    "ConnectedOption",
    "CountsOption",
    "DemoFolderOption",
    "DeviceOption",
    "GeojsonOption",
    "ImagesArgument",
    "IterationsOption",
    "JointOption",
    "MinAreaOption",
    "MinSizeOption",
    "NetworkArgument",
    "NoGuiOption",
    "ObjectsOption",
    "OutputOption",
    "OverwriteOption",
    "PixelSizeOption",
    "PreviewOption",
    "RoisOption",
    "SaveOption",
    "SchedulerOption",
    "SegmentsOption",
    "SeriesOption",
    "StartFromOption",
    "StrokesOption",
    "SummaryOption",
    "TableOption",
    "TogetherOption",
    "UncertaintyOption",
    "VersionOption",
    "WorkersOption",
    "ZSpacingOption",
    "check_settings",
    "with_image_options",
    "with_settings",
]

Command = Callable[..., None]

# of `napari_unsupseg.options` those that the command line has, and what their help adds; the others
# are arrays: strokes come from a file, spacing from --z-spacing
ADDED_HELP = {
    "axes": "What the file says goes before this default.",
    "channel_axis": "",
    "spatial_ndim": "",
    "granularity": "",
    "n_segments": "",
    "split": "",
    "max_size": "",
    "exclude_border": "",
}
RANGES: dict[str, Any] = {"spatial_ndim": {"min": 2, "max": 3}}


def with_settings(command: Command) -> Command:
    """Give a command an option for each setting, in place of its parameter ``settings``.

    Parameters
    ----------
    command : callable
        Takes ``settings``, of type `Settings`, beside options of its own.

    Returns
    -------
    callable
        The same command for typer, with ``--preset`` and the settings behind its own options.
    """

    def wrapper(context: typer.Context, preset: str, **arguments: Any) -> None:
        values = {name: arguments.pop(name) for name in setting_specs()}
        for name in setting_specs():
            source = context.get_parameter_source(name)
            if source is not None and source.name == "DEFAULT":
                # nobody has said it, so that the preset's value holds
                del values[name]
        command(settings=check_settings(preset, values), **arguments)

    own = [p for p in inspect.signature(command).parameters.values() if p.name != "settings"]
    flags = [_setting_parameter(name, spec) for name, spec in setting_specs().items()]
    context = _keyword("context", typer.Context)
    return _with_signature(wrapper, command, [context, *own, _preset_parameter(), *flags])


def with_image_options(command: Command) -> Command:
    """Give a command an option for each member of its parameters that are typed dictionaries.

    Parameters
    ----------
    command : callable
        Takes kinds of options of `napari_unsupseg.options`, such as ``cut: CutOptions``.

    Returns
    -------
    callable
        The same command for typer, with an option for each that can be typed, in their places.
    """
    parameters: list[inspect.Parameter] = []
    members: dict[str, list[str]] = {}  # names of the options that each dictionary has
    for parameter in inspect.signature(command).parameters.values():
        if is_typeddict(parameter.annotation):
            flags = _image_parameters(parameter.annotation)
            members[parameter.name] = [p.name for p in flags]
            parameters += flags
        else:
            parameters.append(parameter)

    def wrapper(**arguments: Any) -> None:
        grouped = {
            name: {member: arguments.pop(member) for member in names}
            for name, names in members.items()
        }
        command(**arguments, **grouped)

    return _with_signature(wrapper, command, parameters)


def check_settings(preset: str, values: Mapping[str, Any]) -> Settings:
    """Build settings from those of a preset and others.

    Parameters
    ----------
    preset : str
        Name of a preset.
    values : mapping of str to int, float or str
        Settings by name, which go before those of the preset.

    Returns
    -------
    Settings
        The settings.

    Raises
    ------
    typer.BadParameter
        If a value is not allowed.
    """
    try:
        return Settings.from_preset(preset, values)
    except SettingError as error:
        raise typer.BadParameter(str(error)) from error


def _with_signature(
    wrapper: Command, command: Command, parameters: list[inspect.Parameter]
) -> Command:
    """Have a wrapper look to typer like a command of other parameters, all of them keywords."""
    keywords = [p.replace(kind=p.KEYWORD_ONLY) for p in parameters]
    wrapper.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in keywords}
    wrapper.__name__ = command.__name__
    # typer keeps the line breaks of the source
    wrapper.__doc__ = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.getdoc(command) or "")
    return wrapper


def _keyword(
    name: str, annotation: Any, default: Any = inspect.Parameter.empty
) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _setting_parameter(name: str, spec: SettingSpec) -> inspect.Parameter:
    """Return the parameter for a setting; the help has its range and its symbol too."""
    text = spec.sentence
    if not spec.choices:
        symbol = f", {spec.symbol} of the paper" if spec.symbol else ""
        text += f" {spec.minimum:,} to {spec.maximum:,}{symbol}."
    kind = Literal[spec.choices] if spec.choices else spec.kind
    option = typer.Option(help=text, rich_help_panel="Settings")
    return _keyword(name, Annotated[kind, option], spec.default)


def _preset_parameter() -> inspect.Parameter:
    sentences = " ".join(f"{name}: {preset.sentence}" for name, preset in PRESETS.items())
    option = typer.Option(
        help=f"Settings that go together; any of them can be given beside it. {sentences}",
        rich_help_panel="Settings",
    )
    return _keyword("preset", Annotated[Literal[tuple(PRESETS)], option], "standard")


def _image_parameters(kind: type) -> list[inspect.Parameter]:
    """Return a parameter for each option of a typed dictionary that can be typed."""
    types = get_type_hints(kind)
    return [
        _keyword(
            name,
            Annotated[
                types[name],
                typer.Option(
                    help=f"{_plain_text(option.text)} {ADDED_HELP[name]}".strip(),
                    **RANGES.get(name, {}),
                ),
            ],
            option.default,
        )
        for name, option in options_of(kind).items()
        if name in ADDED_HELP
    ]


def _plain_text(text: str) -> str:
    """Return a text of a docstring for a terminal: `axes` is --axes, ``zyx`` is zyx.

    >>> _plain_text("In place of `n_segments`: ``0.5``.")
    'In place of --n-segments: 0.5.'
    """
    text = re.sub(r"``(.+?)``", r"\1", text)
    return re.sub(r"`(\w+)`", lambda match: "--" + match[1].replace("_", "-"), text)


def _check_above_zero(value: float | None) -> float | None:
    """Refuse a length or an area that is none."""
    if value is not None and not 0 < value < math.inf:
        raise typer.BadParameter(f"{value} must be above 0, and not infinite")
    return value


ImagesArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="IMAGE", help="Image files, and folders of them, without those in these."
    ),
]
NetworkArgument = Annotated[Path, typer.Argument(help="A trained network, from segment --save.")]
# a Path would not know of a / at its end
OutputOption = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="TIFF or OME-Zarr (.ome.zarr) for the labels; or a folder, as for several images: "
        "any name without an ending, or with a / at its end.",
    ),
]
PreviewOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="PNG of the labels over the image, or its middle plane; or a folder.",
    ),
]
TableOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="CSV or Parquet with area (volume of a stack), centroid and mean intensities of each "
        "label, and shapes and scores of objects. Of several images one table, with a column "
        "image; or a folder, for a CSV of each.",
    ),
]
CountsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="CSV or Parquet with the number of objects or segments, their area and mean "
        "intensities, for each image and frame; of clusters the same of the connected regions of "
        "each.",
    ),
]
GeojsonOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="GeoJSON (.geojson) with the outline and the measurements of each object, segment or "
        "component, as QuPath imports it; or a folder.",
    ),
]
RoisOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="ZIP (.zip) of the same as regions of interest, for the ROI Manager of ImageJ; or a "
        "folder.",
    ),
]
UncertaintyOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="TIFF (.tif) of how uncertain the cluster of each pixel is, from 0 to 1, by how it "
        "changed over the run; or a folder.",
    ),
]
SaveOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="File for the trained network (.unsupseg), to apply to other images; or a folder.",
    ),
]
StartFromOption = Annotated[
    Path | None,
    typer.Option(metavar="NETWORK", help="Go on training a network from --save."),
]
StrokesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="LABELS",
        help="Labels drawn on some pixels of the image, 0 on all others: pixels of one label "
        "get that label, and with them what looks like them.",
    ),
]
ConnectedOption = Annotated[
    bool, typer.Option("--connected", help="Label connected components instead of clusters.")
]
ObjectsOption = Annotated[
    bool,
    typer.Option(
        "--objects",
        help="Label objects, such as nuclei or particles, touching ones apart; --min-size is that "
        "of the smallest.",
    ),
]
SegmentsOption = Annotated[
    bool,
    typer.Option(
        "--segments", help="Label the segments of a hierarchy, as --granularity 0.5 does."
    ),
]
PixelSizeOption = Annotated[
    float | None,
    typer.Option(
        callback=_check_above_zero,
        help="Side of a pixel in µm, for the table and --min-area; by default what the file says.",
    ),
]
MIN_SIZE = setting_specs()["min_size"]
MinSizeOption = Annotated[
    int, typer.Option(min=MIN_SIZE.minimum, max=MIN_SIZE.maximum, help=MIN_SIZE.sentence)
]
MinAreaOption = Annotated[
    float | None,
    typer.Option(
        callback=_check_above_zero,
        help="--min-size in physical units: those of the pixel size, squared.",
    ),
]
SeriesOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Which image of a file that holds several, counted from 0; by default the largest of "
        "a TIFF file, and the first of a microscope's.",
    ),
]
JointOption = Annotated[
    bool,
    typer.Option(
        "--joint/--separate",
        help="One network for all planes of a stack or movie, with the same numbers in each, "
        "or one for each plane.",
    ),
]
TogetherOption = Annotated[
    bool,
    typer.Option(
        "--together",
        help="One network for all images, which a cluster has the same number in; --save writes "
        "it to one file.",
    ),
]
ZSpacingOption = Annotated[
    float | None,
    typer.Option(
        callback=_check_above_zero,
        help="Distance of slices over that of pixels, for volumes; by default what the file says.",
    ),
]
IterationsOption = Annotated[int, typer.Option(help=setting_specs()["iterations"].sentence)]
DeviceOption = Annotated[
    str, typer.Option(help="auto (a GPU if there is one), cpu, cuda, cuda:1, mps or xpu.")
]
WorkersOption = Annotated[
    int, typer.Option(min=1, max=1024, help="Processes to work on several images at once.")
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="A dask cluster to work on, such as tcp://host:8786, that sees the same files.",
    ),
]
SummaryOption = Annotated[
    Path | None, typer.Option("--json", help="Write a summary as JSON here; - prints it.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
VersionOption = Annotated[bool, typer.Option("--version", help="Print the version.")]
DemoFolderOption = Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")]
NoGuiOption = Annotated[bool, typer.Option("--no-gui", help="Do not open the result in napari.")]
