"""The command ``napari-unsupseg``."""

import contextlib
import dataclasses
import importlib.util
import inspect
import json
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from napari_unsupseg import __version__
from napari_unsupseg.errors import DeviceError, FileError, SettingError, UnsupsegError
from napari_unsupseg.presets import PRESETS
from napari_unsupseg.settings import Knob, Settings, knobs

if TYPE_CHECKING:
    from napari_unsupseg.files import PixelSize
    from napari_unsupseg.segmenter import Segmenter
    from napari_unsupseg.training import Labels, Step

__all__ = ["app"]

FAILED = 1

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Segment images that nobody has labelled.",
)


@dataclasses.dataclass(frozen=True)
class Job:
    """One image to segment and where its results go."""

    image: Path
    labels: Path
    preview: Path | None
    table: Path | None = None


@dataclasses.dataclass(frozen=True)
class Options:
    """What holds for every image of one call."""

    settings: Settings
    device: str
    channel_axis: int | None = None
    connected: bool = False
    segments: bool = False
    granularity: float | None = None
    n_segments: int | None = None
    pixel_size: float | None = None
    min_area: float | None = None
    overwrite: bool = False

    @property
    def is_cut(self) -> bool:
        """Whether segments of the hierarchy are wanted in place of clusters."""
        return self.segments or self.granularity is not None or self.n_segments is not None


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each setting, in place of its parameter ``settings``."""

    def wrapper(context: typer.Context, preset: str, **arguments: Any) -> None:
        values = {name: arguments.pop(name) for name in knobs()}
        for name in knobs():
            source = context.get_parameter_source(name)
            if source is not None and source.name == "DEFAULT":
                del values[name]  # it is the preset's to say
        command(settings=_checked_settings(preset, values), **arguments)

    own = inspect.signature(command).parameters.values()
    parameters = [_keyword("context", typer.Context)]
    parameters += [p.replace(kind=p.KEYWORD_ONLY) for p in own if p.name != "settings"]
    parameters += [_preset_option()]
    parameters += [_option(name, knob) for name, knob in knobs().items()]
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
    return wrapper


def _option(name: str, knob: Knob) -> inspect.Parameter:
    option = typer.Option(
        "--" + name.replace("_", "-"),
        help=_sentence(knob),
        rich_help_panel="Settings",
    )
    kind = Literal[knob.choices] if knob.choices else knob.kind
    return _keyword(name, Annotated[kind, option], knob.default)


def _preset_option() -> inspect.Parameter:
    sentences = " ".join(f"{name}: {preset.sentence}" for name, preset in PRESETS.items())
    option = typer.Option(
        help=f"Settings that go together; any of them can be given beside it. {sentences}",
        rich_help_panel="Settings",
    )
    return _keyword("preset", Annotated[Literal[tuple(PRESETS)], option], "standard")


def _keyword(
    name: str, annotation: Any, default: Any = inspect.Parameter.empty
) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _sentence(knob: Knob) -> str:
    """Return what the help says of a setting: what it does, its range and its symbol."""
    if knob.choices:
        return knob.sentence
    symbol = f", {knob.symbol} of the paper" if knob.symbol else ""
    return f"{knob.sentence} {knob.minimum:,} to {knob.maximum:,}{symbol}."


DeviceOption = Annotated[
    str, typer.Option(help="auto (a GPU if there is one), cpu, cuda, cuda:1, mps or xpu.")
]


@app.callback(invoke_without_command=True)
def main(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Segment images that nobody has labelled."""
    if version:
        typer.echo(f"napari-unsupseg {__version__}")
        raise typer.Exit


@app.command()
@with_settings
def segment(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Image files.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="TIFF file for the labels; a folder for those of several images."
        ),
    ],
    preview: Annotated[
        Path | None,
        typer.Option(help="PNG of the labels over the image; a folder for those of several."),
    ] = None,
    connected: Annotated[
        bool, typer.Option("--connected", help="Label connected components instead of clusters.")
    ] = False,
    segments: Annotated[
        bool, typer.Option("--segments", help="Label the segments of the run's hierarchy.")
    ] = False,
    granularity: Annotated[
        float | None,
        typer.Option(help="The same, from 0 (finest) to 1 (a single one); --segments takes 0.5."),
    ] = None,
    n_segments: Annotated[
        int | None, typer.Option(help="The same, cut into this many; fewer if it has fewer.")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            help="CSV with area, centroid and mean intensities of each label; a folder for those "
            "of several images."
        ),
    ] = None,
    pixel_size: Annotated[
        float | None,
        typer.Option(
            help="Side of a pixel in µm, for the table and --min-area; by default what the file "
            "says.",
        ),
    ] = None,
    min_area: Annotated[
        float | None,
        typer.Option(help="--min-size in physical units: those of the pixel size, squared."),
    ] = None,
    channel_axis: Annotated[
        int | None,
        typer.Option(
            help="Axis that holds the channels; by default two axes are grey, a last axis of 3 "
            "or 4 is RGB(A)."
        ),
    ] = None,
    device: DeviceOption = "auto",
    summary: Annotated[
        Path | None, typer.Option("--json", help="Write a summary as JSON here; - prints it.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that exist.")
    ] = False,
    *,
    settings: Settings,
) -> None:
    """Segment images and write their labels as TIFF.

    Ctrl-C ends a run early and keeps the labels so far.
    """
    from napari_unsupseg.files import require_writable

    jobs = _plan(images, output, preview, table, summary)
    options = Options(
        settings, _checked_device(device), channel_axis, connected, segments, granularity,
        n_segments, pixel_size, min_area, overwrite,
    )  # fmt: skip
    _check_labelling(options)
    to_stdout = str(summary) == "-"
    if summary and not to_stdout:
        with _failing():
            require_writable(summary, overwrite=overwrite)
    console = Console(stderr=to_stdout, highlight=False, soft_wrap=True)
    reports = _run_jobs(jobs, options, console)
    if summary:
        _write_summary(summary, options, reports)
    failed = [report["image"] for report in reports if "error" in report]
    if failed and len(jobs) > 1:
        _complain(f"{len(failed)} of {len(jobs)} images failed: {', '.join(failed)}")
    if failed or len(reports) < len(jobs):
        raise typer.Exit(FAILED)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path(
        "unsupseg-demo"
    ),
    iterations: Annotated[int, typer.Option(help=knobs()["iterations"].sentence)] = knobs()[
        "iterations"
    ].default,
    device: DeviceOption = "auto",
    no_gui: Annotated[
        bool, typer.Option("--no-gui", help="Do not open the result in napari.")
    ] = False,
) -> None:
    """Segment a stained tissue section that comes with scikit-image."""
    from napari_unsupseg.files import require_writable, write_picture
    from napari_unsupseg.samples import tissue

    job = Job(output / "tissue.png", output / "labels.tif", output / "preview.png")
    settings = _checked_settings("standard", {"iterations": iterations})
    options = Options(settings, _checked_device(device), overwrite=True)
    with _failing():
        require_writable(job.image, overwrite=True)
        write_picture(job.image, tissue())
    reports = _run_jobs([job], options, Console(highlight=False, soft_wrap=True))
    if not reports or "error" in reports[0]:
        raise typer.Exit(FAILED)
    if not no_gui and _has_display() and importlib.util.find_spec("napari"):
        from napari_unsupseg.plugin.show import show

        show(job.image, job.labels)


def _check_labelling(options: Options) -> None:
    """Refuse options that ask for two kinds of labels, or for a cut that cannot be."""
    from napari_unsupseg.hierarchy import check_cut

    both = options.connected and options.is_cut
    _refuse(both, "--connected and --segments are two kinds of labels: choose one")
    for name in ("pixel_size", "min_area"):
        value = getattr(options, name)
        option = "--" + name.replace("_", "-")
        _refuse(value is not None and not value > 0, f"{option} {value}: must be above 0")
    twice = options.min_area is not None and options.settings.min_size > 0
    _refuse(twice, "--min-size and --min-area both give a smallest segment: choose one")
    try:
        check_cut(options.n_segments, options.granularity)
    except SettingError as error:
        raise typer.BadParameter(str(error)) from error


def _plan(
    images: list[Path],
    output: Path,
    preview: Path | None,
    table: Path | None,
    summary: Path | None,
) -> list[Job]:
    """Name every file to be written, and refuse names that clash."""
    many = len(images) > 1
    _refuse(many and output.suffix != "", f"--output {output}: name a folder for several images")
    none: list[Path | None] = [None] * len(images)
    labels = _named(images, "--output", output, "_labels.tif", (".tif", ".tiff"))
    previews = _named(images, "--preview", preview, "_preview.png", (".png",)) if preview else none
    tables = _named(images, "--table", table, "_table.csv", (".csv",)) if table else none
    written = [path for path in [*labels, *previews, *tables, summary] if path]
    for path in written:
        _refuse(written.count(path) > 1, f"{path}: two results would be written to this file")
        clash = any(image.exists() and path.exists() and path.samefile(image) for image in images)
        _refuse(clash, f"{path}: is one of the images and would be overwritten")
    return [Job(*paths) for paths in zip(images, labels, previews, tables, strict=True)]


def _named(
    images: list[Path], option: str, out: Path, ending: str, suffixes: tuple[str, ...]
) -> list[Path]:
    """Return the file that each image's results of one kind go to."""
    in_folder = len(images) > 1 or out.is_dir()
    paths = [out / (image.stem + ending) for image in images] if in_folder else [out]
    for path in paths:
        allowed = " or ".join(suffixes)
        _refuse(path.suffix.lower() not in suffixes, f"{option} {path}: must end in {allowed}")
    return paths


def _refuse(wrong: bool, sentence: str) -> None:
    if wrong:
        raise typer.BadParameter(sentence)


def _checked_settings(preset: str, values: dict[str, Any]) -> Settings:
    try:
        return Settings.from_preset(preset, values)
    except SettingError as error:
        raise typer.BadParameter(str(error)) from error


def _checked_device(name: str) -> str:
    """Return the name of a device that is there."""
    from napari_unsupseg.devices import resolve_device

    try:
        return str(resolve_device(name))
    except DeviceError as error:
        raise typer.BadParameter(str(error)) from error


def _run_jobs(jobs: list[Job], options: Options, console: Console) -> list[dict[str, Any]]:
    """Segment every image; one that fails or is interrupted is named, and the rest go on."""
    reports: list[dict[str, Any]] = []
    for job in jobs:
        try:
            with _plain_warnings():
                report = _run_job(job, options, console)
        except (UnsupsegError, MemoryError) as error:
            _complain(str(error))
            report = {"image": str(job.image), "error": str(error)}
        except KeyboardInterrupt:
            _complain(f"{job.image}: stopped before there were labels")
            break
        reports.append(report)
        if report.get("interrupted"):
            break
    return reports


def _run_job(job: Job, options: Options, console: Console) -> dict[str, Any]:
    """Segment one image, write its results and report on them."""
    from napari_unsupseg.files import (
        read_image,
        require_writable,
        write_labels,
        write_picture,
        write_table,
    )
    from napari_unsupseg.images import split_channels
    from napari_unsupseg.preview import overlay
    from napari_unsupseg.segmenter import Segmenter
    from napari_unsupseg.segments import region_table

    for path in filter(None, (job.labels, job.preview, job.table)):
        require_writable(path, overwrite=options.overwrite)
    image = read_image(job.image)
    start = time.perf_counter()
    pixel_size = _pixel_size(job.image, options)
    settings = _with_min_area(options, pixel_size, job.image)
    segmenter = Segmenter(settings, device=options.device)
    steps = segmenter.steps(image, channel_axis=options.channel_axis)
    step, interrupted = _watch(steps, job.image.name, options.settings.iterations, console)
    labels = _labels(segmenter, step, options)
    seconds = time.perf_counter() - start
    n_segments = int(labels.max()) if options.connected or options.is_cut else None
    labelling = {
        "connected": options.connected,
        "granularity": options.granularity,
        "segments": n_segments,
    }
    record = segmenter.record(step) | {"image": job.image.name} | labelling
    write_labels(job.labels, labels, record)
    if job.table:
        channels = split_channels(image, options.channel_axis).values
        spacing, unit = (pixel_size[:2], pixel_size.unit) if pixel_size else ((1, 1), "")
        write_table(job.table, region_table(labels, channels, spacing=spacing, unit=unit))
    if job.preview:
        write_picture(job.preview, overlay(segmenter.image_, labels))
    console.print(
        f"{job.image}: "
        + (f"{n_segments} segments of " if n_segments else "")
        + f"{step.n_clusters} clusters after {step.iteration} iterations, "
        f"{seconds:.1f} s on {options.device} in {record['precision']}"
        + (", stopped by you" if interrupted else ""),
        markup=False,
    )
    console.print(f"  labels   {job.labels}", markup=False)
    if job.preview:
        console.print(f"  preview  {job.preview}", markup=False)
    if job.table:
        console.print(f"  table    {job.table}", markup=False)
    return {
        "image": str(job.image),
        "labels": str(job.labels),
        "preview": str(job.preview) if job.preview else None,
        "table": str(job.table) if job.table else None,
        "clusters": step.n_clusters,
        "segments": n_segments,
        "iterations": step.iteration,
        "seconds": round(seconds, 3),
        "device": options.device,
        "precision": record["precision"],
        "interrupted": interrupted,
    }


def _pixel_size(image: Path, options: Options) -> "PixelSize | None":
    """Return how large a pixel is, if anybody says it."""
    from napari_unsupseg.files import PixelSize, read_pixel_size

    if options.pixel_size:
        return PixelSize(options.pixel_size, options.pixel_size, "um")
    return read_pixel_size(image)


def _with_min_area(options: Options, pixel_size: "PixelSize | None", image: Path) -> Settings:
    """Return the settings with the smallest area in pixels."""
    if options.min_area is None:
        return options.settings
    if pixel_size is None:
        raise FileError(
            f"{image}: does not say how large a pixel is, which --min-area needs: give "
            "--pixel-size, or --min-size in pixels"
        )
    min_size = math.ceil(options.min_area / (pixel_size.height * pixel_size.width))
    return dataclasses.replace(options.settings, min_size=min_size)


def _labels(segmenter: "Segmenter", step: "Step", options: Options) -> "Labels":
    """Return the kind of labels that was asked for."""
    from napari_unsupseg.segments import connected_components

    if options.is_cut:
        return segmenter.hierarchy_.cut(n_segments=options.n_segments, level=options.granularity)
    return connected_components(step.labels) if options.connected else step.labels


def _watch(
    steps: "Iterator[Step]", name: str, iterations: int, console: Console
) -> tuple["Step", bool]:
    """Follow a run on a progress bar; return its last step and whether Ctrl-C ended it."""
    step = None
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(name, total=iterations)
        try:
            for step in steps:
                size = f" at 1/{step.factor} size" if step.factor > 1 else ""
                description = f"{name}: {step.n_clusters} clusters{size}"
                progress.update(task, completed=step.iteration, description=description)
        except KeyboardInterrupt:
            if step is None:
                raise
            return step, True
    assert step is not None  # a run has at least one step
    return step, False


def _write_summary(path: Path, options: Options, reports: list[dict[str, Any]]) -> None:
    summary = {
        "version": __version__,
        "device": options.device,
        "settings": options.settings.to_dict(),
        "images": reports,
    }
    text = json.dumps(summary, indent=1)
    if str(path) == "-":
        typer.echo(text)
    else:
        path.write_text(text + "\n")


def _complain(sentence: str) -> None:
    typer.echo(f"error: {sentence}", err=True)


@contextlib.contextmanager
def _failing() -> Iterator[None]:
    """End the command with one sentence on an error that a user can mend."""
    try:
        yield
    except UnsupsegError as error:
        _complain(str(error))
        raise typer.Exit(FAILED) from error


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    """Print warnings as one line each, without the code they came from."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = lambda message, *_: typer.echo(f"warning: {message}", err=True)
        yield


def _has_display() -> bool:
    return sys.platform in ("darwin", "win32") or any(
        variable in os.environ for variable in ("DISPLAY", "WAYLAND_DISPLAY")
    )
