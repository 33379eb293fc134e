"""The command ``napari-unsupseg``."""

# PyTorch takes long to import, and --help has to be fast: the rooms that need it are imported in
# the functions below
import dataclasses
import importlib.util
import json
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import track

from napari_unsupseg import __version__
from napari_unsupseg._words import count
from napari_unsupseg.cli_options import (
    ConnectedOption,
    CountsOption,
    DemoFolderOption,
    DeviceOption,
    GeojsonOption,
    ImagesArgument,
    IterationsOption,
    JointOption,
    MinAreaOption,
    MinSizeOption,
    NetworkArgument,
    NoGuiOption,
    ObjectsOption,
    OutputOption,
    OverwriteOption,
    PixelSizeOption,
    PreviewOption,
    RoisOption,
    SaveOption,
    SchedulerOption,
    SegmentsOption,
    SeriesOption,
    StartFromOption,
    StrokesOption,
    SummaryOption,
    TableOption,
    TogetherOption,
    UncertaintyOption,
    VersionOption,
    WorkersOption,
    ZSpacingOption,
    check_settings,
    with_image_options,
    with_settings,
)
from napari_unsupseg.cli_output import (
    FAILED,
    allow_any_file_name,
    exit_on_error,
    print_error,
    print_report,
    print_warnings,
    show_images,
    show_training,
    terminate_like_ctrl_c,
    wait_for_workers,
)
from napari_unsupseg.errors import DeviceError, SettingError
from napari_unsupseg.options import AxesOptions, CutOptions, ImageOptions, ObjectOptions, options_of
from napari_unsupseg.settings import NETWORK_SIZE, Settings

if TYPE_CHECKING:
    from napari_unsupseg.batch.jobs import Job, JobOptions
    from napari_unsupseg.batch.joint_tables import RowsKind
    from napari_unsupseg.batch.pipeline import Report
    from napari_unsupseg.image.tiling import Slices
    from napari_unsupseg.learning.checkpoint import Checkpoint
    from napari_unsupseg.learning.step import Step

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Segment images that nobody has labelled.",
)


@app.callback(invoke_without_command=True)
def main(version: VersionOption = False) -> None:
    """Segment images that nobody has labelled."""
    allow_any_file_name()
    if version:
        typer.echo(f"napari-unsupseg {__version__}")
        raise typer.Exit


@app.command()
@with_settings
@with_image_options
def segment(
    images: ImagesArgument,
    output: OutputOption,
    *,
    preview: PreviewOption = None,
    connected: ConnectedOption = False,
    segments: SegmentsOption = False,
    cut: CutOptions,
    objects: ObjectsOption = False,
    which: ObjectOptions,
    table: TableOption = None,
    counts: CountsOption = None,
    geojson: GeojsonOption = None,
    rois: RoisOption = None,
    uncertainty: UncertaintyOption = None,
    save: SaveOption = None,
    strokes: StrokesOption = None,
    start_from: StartFromOption = None,
    pixel_size: PixelSizeOption = None,
    min_area: MinAreaOption = None,
    image: ImageOptions,
    series: SeriesOption = None,
    joint: JointOption = True,
    together: TogetherOption = False,
    z_spacing: ZSpacingOption = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = 1,
    scheduler: SchedulerOption = None,
    summary: SummaryOption = None,
    overwrite: OverwriteOption = False,
    settings: Settings,
) -> None:
    """Segment images and write their labels as TIFF or OME-Zarr.

    Images that a call with the same options has done already are skipped. Ctrl-C ends a run early
    and keeps the labels so far.
    """
    from napari_unsupseg.batch.jobs import JobOptions

    if start_from:  # its network has its size, whatever the settings say
        known = _load_network(start_from).settings
        fixed = {name: getattr(known, name) for name in NETWORK_SIZE}
        settings = dataclasses.replace(settings, **fixed)
    if z_spacing:
        image["spacing"] = (z_spacing, 1, 1)
    options = JobOptions(
        settings=settings,
        device=_check_device(device),
        image=image,
        cut=cut,
        series=series,
        joint=joint,
        strokes=strokes.absolute() if strokes else None,
        network=start_from.absolute() if start_from else None,
        connected=connected,
        segments=segments,
        objects=_check_objects(which, settings.min_size, wanted=objects),
        pixel_size=pixel_size,
        min_area=min_area,
        overwrite=overwrite,
    )
    one = save or start_from
    _refuse_if(one is not None and not joint, f"{one}: is one network, and --separate has many")
    many = together or len(images) > 1 or _is_folder(images[0]) or not joint
    _refuse_if(strokes and many, f"{strokes}: is drawn on one image, and there are many")
    _refuse_if(
        uncertainty is not None and not joint,
        f"{uncertainty}: is of one run, and --separate has many",
    )
    if together:
        _check_together(save, scheduler, workers, joint=joint)
    outputs = {
        "labels": output,
        "preview": preview,
        "table": table,
        "geojson": geojson,
        "rois": rois,
        "uncertainty": uncertainty,
        "saved_network": save,
    }
    _run(images, options, outputs, counts, summary, workers, scheduler, together=together)


@app.command()
@with_image_options
def apply(
    network: NetworkArgument,
    images: ImagesArgument,
    output: OutputOption,
    *,
    preview: PreviewOption = None,
    connected: ConnectedOption = False,
    segments: SegmentsOption = False,
    cut: CutOptions,
    objects: ObjectsOption = False,
    which: ObjectOptions,
    table: TableOption = None,
    counts: CountsOption = None,
    geojson: GeojsonOption = None,
    rois: RoisOption = None,
    pixel_size: PixelSizeOption = None,
    min_size: MinSizeOption = 0,
    min_area: MinAreaOption = None,
    image: AxesOptions,
    series: SeriesOption = None,
    z_spacing: ZSpacingOption = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = 1,
    scheduler: SchedulerOption = None,
    summary: SummaryOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Find the clusters of a trained network in other images, with the same numbers."""
    from napari_unsupseg.batch.jobs import JobOptions

    model = _load_network(network)
    options = JobOptions(
        settings=dataclasses.replace(model.settings, min_size=min_size),
        device=_check_device(device),
        image={
            "axes": image["axes"],
            "channel_axis": image["channel_axis"],
            "spatial_ndim": model.spatial_ndim,
            "spacing": (z_spacing, 1, 1) if z_spacing else None,
        },
        cut=cut,
        series=series,
        network=network.absolute(),
        apply_only=True,
        connected=connected,
        segments=segments,
        objects=_check_objects(which, min_size, wanted=objects),
        pixel_size=pixel_size,
        min_area=min_area,
        overwrite=overwrite,
    )
    outputs = {
        "labels": output,
        "preview": preview,
        "table": table,
        "geojson": geojson,
        "rois": rois,
    }
    _run(images, options, outputs, counts, summary, workers, scheduler)


@app.command()
def demo(
    output: DemoFolderOption = Path("unsupseg-demo"),
    iterations: IterationsOption = Settings.iterations,
    device: DeviceOption = "auto",
    no_gui: NoGuiOption = False,
) -> None:
    """Segment a stained tissue section that comes with scikit-image."""
    from napari_unsupseg.batch.jobs import Job, JobOptions
    from napari_unsupseg.io.paths import check_writable
    from napari_unsupseg.io.tiff import read_tiff_record
    from napari_unsupseg.io.writers import write_png
    from napari_unsupseg.sample_images import tissue

    job = Job(output / "tissue.png", output / "labels.tif", output / "preview.png")
    # those of an earlier demo, and no others
    may_replace = read_tiff_record(job.labels) is not None
    settings = check_settings("standard", {"iterations": iterations})
    options = JobOptions(settings=settings, device=_check_device(device), overwrite=True)
    with exit_on_error():
        for path in (job.image, *job.results):
            check_writable(path, overwrite=may_replace)
        write_png(job.image, tissue())
    reports = _run_one_by_one([job], options, Console(highlight=False, soft_wrap=True))
    if not reports or "error" in reports[0]:
        raise typer.Exit(FAILED)
    if not no_gui and _has_display() and importlib.util.find_spec("napari"):
        from napari_unsupseg.plugin.demo_window import show

        show(job.image, job.labels)


def _run(
    images: list[Path],
    options: "JobOptions",
    outputs: Mapping[str, str | None],
    counts: Path | None,
    summary: Path | None,
    workers: int,
    scheduler: str | None,
    *,
    together: bool = False,
) -> None:
    """Do what a command asks for, and exit with an error if any of it failed."""
    from napari_unsupseg.batch.joint_tables import join_rows, with_rows
    from napari_unsupseg.io.paths import check_writable

    are_many = len(images) > 1 or _is_folder(images[0])
    with exit_on_error():
        images = _expand_folders(images)
    joint = _plan_joint_tables(outputs["table"], counts, are_many=are_many)
    if "table_rows" in joint:
        outputs = {**outputs, "table": None}
    jobs = with_rows(_plan_jobs(images, outputs, together=together), joint)
    if together:
        options = dataclasses.replace(options, together=tuple(job.image.name for job in jobs))
    to_stdout = str(summary) == "-"
    images = _list_all([job.image for job in jobs])
    read = [path for path in (*images, options.strokes, options.network) if path]
    alone = [summary] if summary and not to_stdout else []
    _refuse_clashes(read, jobs, [*alone, *joint.values()])
    _check_labelling(options, outlined=jobs[0].geojson or jobs[0].rois)
    if summary and not to_stdout:
        with exit_on_error():
            is_ours = _is_of_stopped_call(summary, options, len(jobs))
            check_writable(summary, overwrite=options.overwrite or is_ours)
    _prepare_tables(jobs, joint, overwrite=options.overwrite)
    # stdout then has the summary alone, for a program to read
    console = Console(stderr=to_stdout, highlight=False, soft_wrap=True)
    with terminate_like_ctrl_c():
        if together:
            reports = _run_together(jobs, options, console)
        elif scheduler or workers > 1:
            reports = _run_side_by_side(jobs, options, console, workers, scheduler)
        else:
            reports = _run_one_by_one(jobs, options, console)
    for kind, path in joint.items():
        with exit_on_error():
            joined = join_rows(kind, path, jobs, options, reports)
        if joined:
            console.print(f"{path}: rows of {count(len(joined), 'image')}", markup=False)
        early = {report["image"] for report in reports if report.get("interrupted")}
        for image in sorted(early - {str(image) for image in joined}):
            sentence = f"{path}: no rows of {image}, which ended early; the same command goes on"
            console.print(sentence, markup=False)
        for report in reports:
            if report["image"] in {str(image) for image in joined}:
                report[kind.removesuffix("_rows")] = str(path)
    if summary:
        _write_summary(summary, options, reports)
    failed = [report["image"] for report in reports if "error" in report]
    if failed and len(jobs) > 1:
        print_error(f"{len(failed)} of {count(len(jobs), 'image')} failed: {', '.join(failed)}")
    rest = _not_reported(jobs, reports)
    if rest and len(jobs) > 1:
        print_error(
            f"stopped before {len(rest)} of {count(len(jobs), 'image')}: {', '.join(rest)}; the "
            "same command goes on"
        )
    if failed or rest:
        raise typer.Exit(FAILED)


def _plan_joint_tables(
    table: str | None, counts: Path | None, *, are_many: bool
) -> "dict[RowsKind, Path]":
    """Return the tables that many images share, by what a job calls its rows for them."""
    from napari_unsupseg.io.writers import TABLE_SUFFIXES

    joint: dict[RowsKind, Path] = {}
    if table is not None and are_many and not _names_folder(table):
        joint["table_rows"] = Path(table)
    if counts is not None:
        joint["counts_rows"] = counts
    for kind, path in joint.items():
        flag, other = (
            ("--table", ", or in / for a folder") if kind == "table_rows" else ("--counts", "")
        )
        _refuse_if(
            path.suffix.lower() not in TABLE_SUFFIXES,
            f"{flag} {path}: must end in {' or '.join(TABLE_SUFFIXES)}{other}",
        )
    return joint


def _prepare_tables(
    jobs: "list[Job]", joint: "Mapping[RowsKind, Path]", *, overwrite: bool
) -> None:
    """Refuse tables that could not be written, before any work."""
    from napari_unsupseg.batch.joint_tables import prepare_joint_table
    from napari_unsupseg.io.writers import check_table_format

    with exit_on_error():
        for job in jobs:
            if job.table:
                check_table_format(job.table)
        for kind, path in joint.items():
            prepare_joint_table(kind, path, jobs, overwrite=overwrite)


def _run_one_by_one(jobs: "list[Job]", options: "JobOptions", console: Console) -> "list[Report]":
    """Segment every image; one that fails is named, and the rest go on; Ctrl-C ends them all."""
    from napari_unsupseg.batch.pipeline import try_run_job

    reports: list[Report] = []

    def watch(steps: "Iterator[Step]", name: str) -> "tuple[Step, bool]":
        return show_training(steps, name, options.settings.iterations, console)

    def track_chunks(chunks: "Sequence[Slices]", name: str) -> "Iterable[Slices]":
        return track(chunks, name, console=console, transient=True)

    for job in jobs:
        try:
            with print_warnings(job.image):
                report = try_run_job(job, options, watch, track_chunks)
        except KeyboardInterrupt:
            rest = "; the same command goes on from here" if job.labels.exists() else ""
            print_error(f"{job.image}: stopped before all labels were there{rest}")
            break
        print_report(report, console)
        reports.append(report)
        if report.get("interrupted"):
            break
    return reports


def _run_together(jobs: "list[Job]", options: "JobOptions", console: Console) -> "list[Report]":
    """Segment all images by one run; Ctrl-C ends it."""
    from napari_unsupseg.batch.pipeline import try_run_together

    def watch(steps: "Iterator[Step]", name: str) -> "tuple[Step, bool]":
        return show_training(steps, name, options.settings.iterations, console)

    try:
        with print_warnings():
            reports = try_run_together(jobs, options, watch)
    except KeyboardInterrupt:
        print_error("stopped before any labels were there")
        return []
    for report in reports[:1] if "error" in reports[0] else reports:
        print_report(report, console)
    return reports


def _run_side_by_side(
    jobs: "list[Job]", options: "JobOptions", console: Console, workers: int, scheduler: str | None
) -> "list[Report]":
    """Segment images in several processes, of this machine or a cluster's."""
    from napari_unsupseg.batch.distributed import run_distributed

    with exit_on_error(), print_warnings(), wait_for_workers() as stop:
        reports = show_images(
            run_distributed(jobs, options, workers, scheduler, stop), len(jobs), console
        )
    order = [str(job.image) for job in jobs]
    return sorted(reports, key=lambda report: order.index(report["image"]))


def _not_reported(jobs: "list[Job]", reports: "list[Report]") -> list[str]:
    """Return the images that Ctrl-C has kept from having any labels."""
    reported = {report["image"] for report in reports}
    return [str(job.image) for job in jobs if str(job.image) not in reported]


def _write_summary(path: Path, options: "JobOptions", reports: "list[Report]") -> None:
    """Write what was done as JSON, or print it where the path is ``-``."""
    from napari_unsupseg.io.paths import atomic_write

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
        with exit_on_error(), atomic_write(path) as partial:
            partial.write_text(text + "\n", encoding="utf-8")


def _is_of_stopped_call(path: Path, options: "JobOptions", n_jobs: int) -> bool:
    """Tell whether a summary is that of a call with the same settings that did not do all."""
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        reports = summary["images"]
        is_stopped = len(reports) < n_jobs or any(
            "interrupted" in report and report["interrupted"] for report in reports
        )
        return is_stopped and summary["settings"] == options.settings.to_dict()
    # what others have written can be anything
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _plan_jobs(
    images: list[Path], outputs: Mapping[str, str | None], *, together: bool = False
) -> "list[Job]":
    """Name every file to be written, of all images but those that are results of others."""
    from napari_unsupseg.batch.jobs import (
        PREVIEW_ENDING,
        UNCERTAINTY_ENDING,
        Job,
        find_results,
        labels_file_name,
    )
    from napari_unsupseg.io.paths import result_file_name
    from napari_unsupseg.io.writers import TABLE_SUFFIXES

    left_out = find_results(images)
    images = [image for image in images if image not in left_out]
    # how each kind of result is asked for, what its name ends in in a folder, and how it may end
    kinds = {
        "labels": ("--output", None, (".tif", ".tiff", ".zarr")),
        "preview": ("--preview", PREVIEW_ENDING, (".png",)),
        "table": ("--table", "_table.csv", TABLE_SUFFIXES),
        "geojson": ("--geojson", ".geojson", (".geojson",)),
        "rois": ("--rois", "_rois.zip", (".zip",)),
        "uncertainty": ("--uncertainty", UNCERTAINTY_ENDING, (".tif", ".tiff")),
        "saved_network": ("--save", ".unsupseg", (".unsupseg",)),
    }
    results: dict[str, list[Path]] = {}
    for kind, text in outputs.items():
        if text is None:
            continue
        flag, ending, suffixes = kinds[kind]
        path = Path(text)
        if _names_folder(text):
            results[kind] = [
                path / (result_file_name(image, ending) if ending else labels_file_name(image))
                for image in images
            ]
            continue
        *others, last = suffixes
        allowed = f"{', '.join(others)} or {last}" if others else last
        _refuse_if(
            path.suffix.lower() not in suffixes,
            f"{flag} {path}: must end in {allowed}, or in / for a folder",
        )
        _refuse_if(
            len(images) > 1 and not (together and kind == "saved_network"),
            f"{flag} {path}: is one file, and there are {len(images)} images: name a folder",
        )
        results[kind] = [path]
    jobs = [
        Job(image, **{kind: paths[index] for kind, paths in results.items() if index < len(paths)})
        for index, image in enumerate(images)
    ]
    _tell_left_out([path for path in left_out if not any(path in job.results for job in jobs)])
    return jobs


def _names_folder(text: str) -> bool:
    """Tell whether a user means a folder for results, and not a file or a zarr store."""
    from napari_unsupseg.io.paths import is_zarr

    path = Path(text)
    if text.endswith(("/", os.sep)) and not is_zarr(path):
        return True
    # any ending may be one that a user takes for that of such a file, but for days and versions
    is_file = re.fullmatch(r"\.(?!v?\d+$)\w+", path.suffix, re.IGNORECASE)
    return not is_file or _is_folder(path)


def _tell_left_out(paths: list[Path]) -> None:
    """Say which files are not segmented, that an earlier call may have written."""
    if paths:
        more = {1: "", 2: ", as 1 more is"}.get(len(paths), f", as {len(paths) - 1} more are")
        with print_warnings():
            warnings.warn(
                f"{paths[0]}: is left out, since it is named as a result of an image beside it"
                f"{more}; to segment it, name it without that image",
                stacklevel=2,
            )


def _refuse_clashes(read: list[Path], jobs: "list[Job]", others: list[Path]) -> None:
    """Refuse results that would be written over each other or over what is read."""
    from napari_unsupseg.io.paths import find_clash

    owners = {id(path): job for job in jobs for path in job.results}
    written = [path for job in jobs for path in job.results] + others
    if clash := find_clash(written, read):
        path, relation, other = clash
        _refuse_if(
            True,
            f"{path}: {relation} {other}, which this command reads; name another place",
        )
    if clash := find_clash(written, written):
        path, relation, other = clash
        wrong = f"{path}: {relation} {other}, another result; name another place"
        _refuse_if(relation != "is", wrong)
        both = [owners.get(id(result)) for result in (path, other)]
        of_two = None not in both and both[0] is not both[1]
        _refuse_if(not of_two, f"{path}: two results would be written to this file")
        first, second = (job.image for job in both if job)
        _refuse_if(first.resolve() == second.resolve(), f"{second}: is given twice")
        _refuse_if(
            True,
            f"{first} and {second}: both would have their results in {path}; rename one, or give "
            "each a command and a folder of its own",
        )


def _check_objects(which: ObjectOptions, min_size: int, *, wanted: bool) -> ObjectOptions | None:
    """Return which objects are wanted, if any; refuse what there cannot be."""
    from napari_unsupseg.regions.hierarchy import check_objects

    given = [
        f"--{name.replace('_', '-')}"
        for name, option in options_of(ObjectOptions).items()
        if which.get(name, option.default) != option.default
    ]
    if not wanted:
        _refuse_if(given, f"{' and '.join(given)}: for objects alone, give --objects too")
        return None
    try:
        check_objects(min_size or None, **which)
    except SettingError as error:
        raise typer.BadParameter(str(error)) from error
    return which


def _check_together(save: str | None, scheduler: str | None, workers: int, *, joint: bool) -> None:
    """Refuse what there cannot be of one network for all images."""
    _refuse_if(not joint, "--together is one network for all images, and --separate has many")
    _refuse_if(
        workers > 1 or scheduler,
        "--together is one run, which one process does: leave --workers and --scheduler out",
    )
    _refuse_if(
        save is not None and _names_folder(save),
        f"--save {save}: is a folder, and --together has one network: name a file (.unsupseg)",
    )


def _check_labelling(options: "JobOptions", outlined: Path | None) -> None:
    """Refuse two kinds of labels, a cut that cannot be, and outlines of what is no single thing."""
    from napari_unsupseg.regions.hierarchy import check_cut

    cut = next((name for name, value in options.cut.items() if value is not None), "segments")
    kinds = {
        "--connected": options.connected,
        f"--{cut.replace('_', '-')}": options.wants_segments,
        "--objects": options.objects is not None,
    }
    wanted = [flag for flag, is_wanted in kinds.items() if is_wanted]
    several = "two kinds" if len(wanted) == 2 else "three kinds"
    _refuse_if(len(wanted) > 1, f"{' and '.join(wanted)} are {several} of labels: choose one")
    _refuse_if(
        outlined and not options.wants_regions,
        f"{outlined}: outlines are those of single things, and a cluster has many: give --objects, "
        "--segments or --connected too",
    )
    twice = options.min_area is not None and options.settings.min_size > 0
    _refuse_if(twice, "--min-size and --min-area both give a smallest segment: choose one")
    try:
        check_cut(**options.cut)
    except SettingError as error:
        raise typer.BadParameter(str(error)) from error


def _check_device(name: str) -> str:
    """Return the name of a device that is there."""
    from napari_unsupseg.learning.devices import resolve_device

    try:
        return str(resolve_device(name))
    except DeviceError as error:
        raise typer.BadParameter(str(error)) from error


def _refuse_if(wrong: object, sentence: str) -> None:
    """End the command as typer does on wrong use."""
    if wrong:
        raise typer.BadParameter(sentence)


def _load_network(path: Path) -> "Checkpoint":
    """Return a trained network from its file."""
    from napari_unsupseg.learning.checkpoint import load_checkpoint

    with exit_on_error():
        return load_checkpoint(path)


def _expand_folders(images: list[Path]) -> list[Path]:
    """Return image files, those in folders too."""
    from napari_unsupseg.io.paths import list_images

    return [file for path in images for file in (list_images(path) if _is_folder(path) else [path])]


def _list_all(images: list[Path]) -> list[Path]:
    """Return every file that images are read from."""
    from napari_unsupseg.io.readers import list_files

    parts: set[Path] = set()
    for image in images:
        if image.absolute() not in parts:  # all files of an image name the same ones
            parts.update(list_files(image)[1:])
    return [*images, *parts]


def _is_folder(path: Path) -> bool:
    """Tell a folder of images from one that is an image."""
    from napari_unsupseg.io.paths import file_kind, is_zarr

    return file_kind(path) == "folder" and not is_zarr(path)


def _has_display() -> bool:
    """Tell whether a window can be opened."""
    return sys.platform in ("darwin", "win32") or any(
        variable in os.environ for variable in ("DISPLAY", "WAYLAND_DISPLAY")
    )
