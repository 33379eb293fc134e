"""The command ``napari-unsupseg``."""

import contextlib
import dataclasses
import importlib.util
import inspect
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    track,
)

from napari_unsupseg import __version__
from napari_unsupseg.errors import DeviceError, SettingError, UnsupsegError
from napari_unsupseg.settings import PRESETS, Settings, SettingSpec, setting_specs

if TYPE_CHECKING:
    from napari_unsupseg.batch.jobs import Job, JobOptions
    from napari_unsupseg.batch.pipeline import Report
    from napari_unsupseg.image.tiling import Slices
    from napari_unsupseg.learning.checkpoint import Checkpoint
    from napari_unsupseg.learning.step import Step

__all__ = ["app"]

FAILED = 1

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Segment images that nobody has labelled.",
)


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each setting, in place of its parameter ``settings``."""

    def wrapper(context: typer.Context, preset: str, **arguments: Any) -> None:
        values = {name: arguments.pop(name) for name in setting_specs()}
        for name in setting_specs():
            source = context.get_parameter_source(name)
            if source is not None and source.name == "DEFAULT":
                del values[name]  # it is the preset's to say
        command(settings=_checked_settings(preset, values), **arguments)

    own = inspect.signature(command).parameters.values()
    parameters = [_keyword("context", typer.Context)]
    parameters += [p.replace(kind=p.KEYWORD_ONLY) for p in own if p.name != "settings"]
    parameters += [_preset_option()]
    parameters += [_option(name, spec) for name, spec in setting_specs().items()]
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
    return wrapper


def _option(name: str, spec: SettingSpec) -> inspect.Parameter:
    option = typer.Option(
        "--" + name.replace("_", "-"),
        help=_sentence(spec),
        rich_help_panel="Settings",
    )
    kind = Literal[spec.choices] if spec.choices else spec.kind
    return _keyword(name, Annotated[kind, option], spec.default)


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


def _sentence(spec: SettingSpec) -> str:
    """Return what the help says of a setting: what it does, its range and its symbol."""
    if spec.choices:
        return spec.sentence
    symbol = f", {spec.symbol} of the paper" if spec.symbol else ""
    return f"{spec.sentence} {spec.minimum:,} to {spec.maximum:,}{symbol}."


ImagesArgument = Annotated[
    list[Path], typer.Argument(metavar="IMAGE", help="Image files, and folders of them.")
]
OutputOption = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        help="TIFF or OME-Zarr (.ome.zarr) for the labels; a folder for those of several images.",
    ),
]
PreviewOption = Annotated[
    Path | None,
    typer.Option(
        help="PNG of the labels over the image, or its middle plane; a folder for those of several."
    ),
]
TableOption = Annotated[
    Path | None,
    typer.Option(
        help="CSV with area, centroid and mean intensities of each label; a folder for those "
        "of several images."
    ),
]
ConnectedOption = Annotated[
    bool, typer.Option("--connected", help="Label connected components instead of clusters.")
]
SegmentsOption = Annotated[
    bool, typer.Option("--segments", help="Label the segments of a hierarchy.")
]
GranularityOption = Annotated[
    float | None,
    typer.Option(help="The same, from 0 (finest) to 1 (a single one); --segments takes 0.5."),
]
NSegmentsOption = Annotated[
    int | None, typer.Option(help="The same, cut into this many; fewer if it has fewer.")
]
PixelSizeOption = Annotated[
    float | None,
    typer.Option(
        help="Side of a pixel in µm, for the table and --min-area; by default what the file says.",
    ),
]
MinAreaOption = Annotated[
    float | None,
    typer.Option(help="--min-size in physical units: those of the pixel size, squared."),
]
AxesOption = Annotated[
    str | None,
    typer.Option(
        help="What each axis is, such as zyx or tcyx: y and x, c for channels, s for the samples "
        "of RGB; any other runs over planes. By default what the file says, else two axes are "
        "grey and a last axis of 3 or 4 is RGB(A)."
    ),
]
ChannelAxisOption = Annotated[
    int | None, typer.Option(help="In place of --axes: the axis that holds the channels.")
]
DeviceOption = Annotated[
    str, typer.Option(help="auto (a GPU if there is one), cpu, cuda, cuda:1, mps or xpu.")
]
WorkersOption = Annotated[
    int, typer.Option(min=1, help="Processes to work on several images at once.")
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
    images: ImagesArgument,
    output: OutputOption,
    preview: PreviewOption = None,
    connected: ConnectedOption = False,
    segments: SegmentsOption = False,
    granularity: GranularityOption = None,
    n_segments: NSegmentsOption = None,
    table: TableOption = None,
    save: Annotated[
        Path | None,
        typer.Option(
            help="File for the trained network (.unsupseg), to apply to other images; a folder "
            "for those of several."
        ),
    ] = None,
    strokes: Annotated[
        Path | None,
        typer.Option(
            metavar="LABELS",
            help="Labels drawn on some pixels of the image, 0 on all others: pixels of one label "
            "get that label, and with them what looks like them.",
        ),
    ] = None,
    start_from: Annotated[
        Path | None,
        typer.Option(metavar="NETWORK", help="Go on training a network from --save."),
    ] = None,
    pixel_size: PixelSizeOption = None,
    min_area: MinAreaOption = None,
    axes: AxesOption = None,
    channel_axis: ChannelAxisOption = None,
    spatial_ndim: Annotated[
        int,
        typer.Option(
            min=2,
            max=3,
            help="2 for a network that sees planes, 3 for one that sees volumes.",
        ),
    ] = 2,
    joint: Annotated[
        bool,
        typer.Option(
            "--joint/--separate",
            help="One network for all planes of a stack or movie, with the same numbers in each, "
            "or one for each plane.",
        ),
    ] = True,
    z_spacing: Annotated[
        float | None,
        typer.Option(
            help="Distance of slices over that of pixels, for --spatial-ndim 3; by default what "
            "the file says."
        ),
    ] = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = 1,
    scheduler: SchedulerOption = None,
    summary: SummaryOption = None,
    overwrite: OverwriteOption = False,
    *,
    settings: Settings,
) -> None:
    """Segment images and write their labels as TIFF.

    Images that a call with the same options has done already are skipped. Ctrl-C ends a run early
    and keeps the labels so far.
    """
    from napari_unsupseg.batch.jobs import JobOptions

    if start_from:
        known = _known(start_from).settings
        fixed = {name: getattr(known, name) for name in ("components", "filters", "max_clusters")}
        settings = dataclasses.replace(settings, **fixed)
    options = JobOptions(
        settings=settings,
        device=_checked_device(device),
        axes=axes,
        channel_axis=channel_axis,
        spatial_ndim=spatial_ndim,
        joint=joint,
        z_spacing=z_spacing,
        strokes=strokes.absolute() if strokes else None,
        known=start_from.absolute() if start_from else None,
        connected=connected,
        segments=segments,
        granularity=granularity,
        n_segments=n_segments,
        pixel_size=pixel_size,
        min_area=min_area,
        overwrite=overwrite,
    )
    one = save or start_from
    _refuse(one is not None and not joint, f"{one}: is one network, and --separate has many")
    many = len(images) > 1 or _is_folder(images[0]) or not joint
    _refuse(strokes is not None and many, f"{strokes}: is drawn on one image, and there are many")
    _work(images, options, (output, preview, table, save), summary, workers, scheduler)


@app.command()
def apply(
    network: Annotated[Path, typer.Argument(help="A trained network, from segment --save.")],
    images: ImagesArgument,
    output: OutputOption,
    preview: PreviewOption = None,
    connected: ConnectedOption = False,
    segments: SegmentsOption = False,
    granularity: GranularityOption = None,
    n_segments: NSegmentsOption = None,
    table: TableOption = None,
    pixel_size: PixelSizeOption = None,
    min_size: Annotated[int, typer.Option(min=0, help=setting_specs()["min_size"].sentence)] = 0,
    min_area: MinAreaOption = None,
    axes: AxesOption = None,
    channel_axis: ChannelAxisOption = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = 1,
    scheduler: SchedulerOption = None,
    summary: SummaryOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Find the clusters of a trained network in other images, with the same numbers."""
    from napari_unsupseg.batch.jobs import JobOptions

    model = _known(network)
    options = JobOptions(
        settings=dataclasses.replace(model.settings, min_size=min_size),
        device=_checked_device(device),
        axes=axes,
        channel_axis=channel_axis,
        spatial_ndim=model.spatial_ndim,
        known=network.absolute(),
        is_applied=True,
        connected=connected,
        segments=segments,
        granularity=granularity,
        n_segments=n_segments,
        pixel_size=pixel_size,
        min_area=min_area,
        overwrite=overwrite,
    )
    _work(images, options, (output, preview, table, None), summary, workers, scheduler)


def _known(network: Path) -> "Checkpoint":
    """Return a trained network from its file."""
    from napari_unsupseg.learning.checkpoint import load_checkpoint

    with _failing():
        return load_checkpoint(network)


def _work(
    images: list[Path],
    options: "JobOptions",
    outputs: tuple[Path, Path | None, Path | None, Path | None],
    summary: Path | None,
    workers: int,
    scheduler: str | None,
) -> None:
    """Do what a command asks for, and exit with an error if any of it failed."""
    from napari_unsupseg.io.paths import check_writable

    many = len(images) > 1 or _is_folder(images[0])
    with _failing():
        images = _files(images)
    jobs = _plan(images, many, *outputs, summary)
    _check_labelling(options)
    to_stdout = str(summary) == "-"
    if summary and not to_stdout:
        with _failing():
            check_writable(summary, overwrite=options.overwrite)
    console = Console(stderr=to_stdout, highlight=False, soft_wrap=True)
    if scheduler or workers > 1:
        reports = _run_side_by_side(jobs, options, console, workers, scheduler)
    else:
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
    iterations: Annotated[
        int, typer.Option(help=setting_specs()["iterations"].sentence)
    ] = setting_specs()["iterations"].default,
    device: DeviceOption = "auto",
    no_gui: Annotated[
        bool, typer.Option("--no-gui", help="Do not open the result in napari.")
    ] = False,
) -> None:
    """Segment a stained tissue section that comes with scikit-image."""
    from napari_unsupseg.batch.jobs import Job, JobOptions
    from napari_unsupseg.io.paths import check_writable
    from napari_unsupseg.io.writers import write_png
    from napari_unsupseg.sample_images import tissue

    job = Job(output / "tissue.png", output / "labels.tif", output / "preview.png")
    settings = _checked_settings("standard", {"iterations": iterations})
    options = JobOptions(settings=settings, device=_checked_device(device), overwrite=True)
    with _failing():
        check_writable(job.image, overwrite=True)
        write_png(job.image, tissue())
    reports = _run_jobs([job], options, Console(highlight=False, soft_wrap=True))
    if not reports or "error" in reports[0]:
        raise typer.Exit(FAILED)
    if not no_gui and _has_display() and importlib.util.find_spec("napari"):
        from napari_unsupseg.plugin.demo_window import show

        show(job.image, job.labels)


def _check_labelling(options: "JobOptions") -> None:
    """Refuse options that ask for two kinds of labels, or for a cut that cannot be."""
    from napari_unsupseg.regions.hierarchy import check_cut

    both = options.connected and options.is_cut
    _refuse(both, "--connected and --segments are two kinds of labels: choose one")
    for name in ("pixel_size", "min_area", "z_spacing"):
        value = getattr(options, name)
        option = "--" + name.replace("_", "-")
        _refuse(value is not None and not value > 0, f"{option} {value}: must be above 0")
    twice = options.min_area is not None and options.settings.min_size > 0
    _refuse(twice, "--min-size and --min-area both give a smallest segment: choose one")
    try:
        check_cut(options.n_segments, options.granularity)
    except SettingError as error:
        raise typer.BadParameter(str(error)) from error


def _files(images: list[Path]) -> list[Path]:
    """Return image files, those in folders too."""
    from napari_unsupseg.io.paths import list_images

    return [file for path in images for file in (list_images(path) if _is_folder(path) else [path])]


def _is_folder(path: Path) -> bool:
    """Tell a folder of images from one that is an image."""
    from napari_unsupseg.io.paths import is_zarr

    return path.is_dir() and not is_zarr(path)


def _plan(
    images: list[Path],
    many: bool,
    output: Path,
    preview: Path | None,
    table: Path | None,
    network: Path | None,
    summary: Path | None,
) -> "list[Job]":
    """Name every file to be written, and refuse names that clash."""
    from napari_unsupseg.batch.jobs import Job, labels_file_name
    from napari_unsupseg.io.paths import result_file_name

    _refuse(many and output.suffix != "", f"--output {output}: name a folder for several images")
    kinds = [
        ("--output", output, labels_file_name, (".tif", ".tiff", ".zarr")),
        ("--preview", preview, lambda image: result_file_name(image, "_preview.png"), (".png",)),
        ("--table", table, lambda image: result_file_name(image, "_table.csv"), (".csv",)),
        ("--save", network, lambda image: result_file_name(image, ".unsupseg"), (".unsupseg",)),
    ]
    named = [
        _named(images, many, option, out, name, suffixes) if out else [None] * len(images)
        for option, out, name, suffixes in kinds
    ]
    jobs = [Job(*paths) for paths in zip(images, *named, strict=True)]
    written = [path for job in jobs for path in job.results] + ([summary] if summary else [])
    for path in written:
        _refuse(written.count(path) > 1, f"{path}: two results would be written to this file")
        clash = any(image.exists() and path.exists() and path.samefile(image) for image in images)
        _refuse(clash, f"{path}: is one of the images and would be overwritten")
    return jobs


def _named(
    images: list[Path],
    many: bool,
    option: str,
    out: Path,
    name: Callable[[Path], str],
    suffixes: tuple[str, ...],
) -> "Sequence[Path | None]":
    """Return the file that each image's results of one kind go to."""
    paths = [out]
    if many or _is_folder(out):
        paths = [out / name(image) for image in images]
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
    from napari_unsupseg.learning.devices import resolve_device

    try:
        return str(resolve_device(name))
    except DeviceError as error:
        raise typer.BadParameter(str(error)) from error


def _run_jobs(jobs: "list[Job]", options: "JobOptions", console: Console) -> "list[Report]":
    """Segment every image; one that fails or is interrupted is named, and the rest go on."""
    from napari_unsupseg.batch.pipeline import try_run_job

    reports: list[Report] = []

    def watch(steps: "Iterator[Step]", name: str) -> "tuple[Step, bool]":
        return _watch(steps, name, options.settings.iterations, console)

    def track_chunks(chunks: "Sequence[Slices]", name: str) -> "Iterable[Slices]":
        return track(chunks, name, console=console, transient=True)

    for job in jobs:
        try:
            with _plain_warnings():
                report = try_run_job(job, options, watch, track_chunks)
        except KeyboardInterrupt:
            rest = "; the same command goes on from here" if job.labels.exists() else ""
            _complain(f"{job.image}: stopped before all labels were there{rest}")
            break
        _tell(report, console)
        reports.append(report)
        if report.get("interrupted"):
            break
    return reports


def _run_side_by_side(
    jobs: "list[Job]", options: "JobOptions", console: Console, workers: int, scheduler: str | None
) -> "list[Report]":
    """Segment images in several processes, of this machine or a cluster's."""
    from napari_unsupseg.batch.distributed import run_distributed

    reports = []
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with _failing(), Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("images", total=len(jobs))
        for report in run_distributed(jobs, options, workers, scheduler):
            _tell(report, progress.console)
            progress.advance(task)
            reports.append(report)
    order = [str(job.image) for job in jobs]
    return sorted(reports, key=lambda report: order.index(report["image"]))


def _tell(report: "Report", console: Console) -> None:
    """Say what became of an image."""
    image = report["image"]
    if "error" in report:
        _complain(report["error"])
        return
    if report.get("skipped"):
        console.print(f"{image}: done already", markup=False)
        return
    segments, iterations = report["segments"], report["iterations"]
    console.print(
        f"{image}: {report['axes']}; "
        + (f"{segments} segments of " if segments else "")
        + f"{report['clusters']} clusters"
        + (f" after {iterations} iterations" if iterations is not None else "")
        + f", {report['seconds']:.1f} s on {report['device']} in {report['precision']}"
        + (", stopped by you" if report["interrupted"] else ""),
        markup=False,
    )
    for kind in ("labels", "preview", "table", "network"):
        if report[kind]:
            console.print(f"  {kind:<8} {report[kind]}", markup=False)


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
                done, most = step.iteration, iterations
                if step.hierarchy_share is not None:
                    description = f"{name}: segments, %"
                    done, most = round(100 * step.hierarchy_share), 100
                progress.update(task, completed=done, total=most, description=description)
        except KeyboardInterrupt:
            if step is None:
                raise
            return step, True
    assert step is not None  # a run has at least one step
    return step, False


def _write_summary(path: Path, options: "JobOptions", reports: "list[Report]") -> None:
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
