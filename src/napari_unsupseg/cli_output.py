"""What the command ``napari-unsupseg`` prints: progress, reports, warnings and errors."""

import contextlib
import io
import signal
import sys
import threading
import unicodedata
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from napari_unsupseg._words import count
from napari_unsupseg.batch.interrupts import handle_interrupts
from napari_unsupseg.errors import UnsupsegError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_unsupseg.batch.pipeline import Report
    from napari_unsupseg.learning.step import Step

__all__ = [
    "FAILED",
    "allow_any_file_name",
    "exit_on_error",
    "print_error",
    "print_report",
    "print_warnings",
    "show_images",
    "show_training",
    "terminate_like_ctrl_c",
    "wait_for_workers",
]

CONTROLS = ("Cc", "Zl", "Zp")  # categories of Unicode: control characters and ends of lines
FAILED = 1  # exit code where an image failed; typer's own, for wrong use, is 2


def print_error(sentence: str) -> None:
    """Print an error to stderr.

    Parameters
    ----------
    sentence : str
        What is wrong.
    """
    typer.echo(f"error: {_in_one_line(sentence)}", err=True)


def print_report(report: "Report", console: Console) -> None:
    """Print what became of an image.

    Parameters
    ----------
    report : dict
        A report of `napari_unsupseg.batch.pipeline.try_run_job`.
    console : Console
        Where to print it; errors go to stderr.
    """
    image = _in_one_line(report["image"])
    if "error" in report:
        print_error(report["error"])
        return
    # paths may have brackets, which rich takes for markup
    if report.get("skipped"):
        console.print(f"{image}: done already", markup=False)
        return
    iterations = report["iterations"]
    parts = [
        f"{count(report[f'{kind}s'], kind)} of "
        for kind in ("segment", "object")
        if report[f"{kind}s"] is not None
    ]
    console.print(
        f"{image}: {report['axes']}; "
        + "".join(parts)
        + count(report["clusters"], "cluster")
        + (f" after {count(iterations, 'iteration')}" if iterations is not None else "")
        + f", {report['seconds']:.1f} s on {report['device']} in {report['precision']}"
        + (", stopped by you" if report["interrupted"] else ""),
        markup=False,
    )
    for kind in ("labels", "preview", "table", "geojson", "rois", "uncertainty", "network"):
        if report[kind]:
            console.print(f"  {kind:<8} {_in_one_line(report[kind])}", markup=False)


def _in_one_line(text: str) -> str:
    r"""Spell out what would end a line or steer a terminal: file names may have it too.

    >>> _in_one_line("a\nb.tif")
    'a\\nb.tif'
    """
    return "".join(
        ascii(letter)[1:-1] if unicodedata.category(letter) in CONTROLS else letter
        for letter in text
    )


def show_training(
    steps: "Iterator[Step]", name: str, iterations: int, console: Console
) -> tuple["Step", bool]:
    """Follow a run on a progress bar, until it ends or Ctrl-C ends it.

    Parameters
    ----------
    steps : iterator of Step
        The run.
    name : str
        What the bar calls it, such as the name of the image.
    iterations : int
        Greatest number of iterations.
    console : Console
        Where to show the bar.

    Returns
    -------
    step : Step
        The last step.
    is_interrupted : bool
        Whether Ctrl-C ended the run.

    Raises
    ------
    KeyboardInterrupt
        If it comes before the first step: there are no labels to keep.
    """
    step = None
    text = TextColumn("{task.description}", markup=False)
    columns = text, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(name, total=iterations)
        try:
            for step in steps:
                size = f" at 1/{step.factor} size" if step.factor > 1 else ""
                description = f"{name}: {count(step.n_clusters, 'cluster')}{size}"
                completed, total = step.iteration, iterations
                if step.hierarchy_share is not None:
                    description = f"{name}: segments, %"
                    completed, total = round(100 * step.hierarchy_share), 100
                progress.update(task, completed=completed, total=total, description=description)
        except KeyboardInterrupt:
            if step is None:
                raise
            return step, True
    assert step is not None  # a run has at least one step
    return step, False


def show_images(reports: "Iterator[Report]", n_images: int, console: Console) -> "list[Report]":
    """Follow many images on one progress bar, and print the report of each as it comes.

    Parameters
    ----------
    reports : iterator of dict
        Reports of `napari_unsupseg.batch.pipeline.try_run_job`.
    n_images : int
        How many there will be.
    console : Console
        Where to show the bar.

    Returns
    -------
    list of dict
        The reports, in the order in which they came; those so far where Ctrl-C ends it.
    """
    shown = []
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("images", total=n_images)
        with contextlib.suppress(KeyboardInterrupt):
            for report in reports:
                shown.append(report)
                print_report(report, progress.console)
                progress.advance(task)
    return shown


def allow_any_file_name() -> None:
    """Have stdout spell out characters that it cannot show, as stderr does, and not fail on them.

    A name may have letters that a terminal lacks, or bytes that are no text.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def print_warnings(image: "Path | None" = None) -> Iterator[None]:
    """Print warnings as one line each, without the code they came from.

    Parameters
    ----------
    image : Path, optional
        What they are about, which each is to name.
    """

    def show(message: Warning | str, *_: object, **__: object) -> None:
        sentence = _in_one_line(str(message))
        name = "" if image is None or sentence.startswith(f"{image}: ") else f"{image}: "
        typer.echo(f"warning: {name}{sentence}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show
        yield


@contextlib.contextmanager
def terminate_like_ctrl_c() -> Iterator[None]:
    """Have SIGTERM, which ends jobs of a cluster, do what Ctrl-C does: labels so far are kept.

    Raises
    ------
    KeyboardInterrupt
        When the signal comes.
    """

    def stop(*_: object) -> None:
        print_error("was told to end (SIGTERM)")
        raise KeyboardInterrupt

    with handle_interrupts(stop, [signal.SIGTERM]):
        yield


@contextlib.contextmanager
def wait_for_workers() -> Iterator[threading.Event]:
    """Have the first Ctrl-C or SIGTERM ask workers to end, and the second one not wait for them.

    Yields
    ------
    Event
        Set by the first.

    Raises
    ------
    KeyboardInterrupt
        When the second comes.
    """
    told = threading.Event()

    def stop(*_: object) -> None:
        if told.is_set():
            raise KeyboardInterrupt
        told.set()
        typer.echo(
            "stopping: images in work keep the labels so far; again to end at once", err=True
        )

    with handle_interrupts(stop):
        yield told


@contextlib.contextmanager
def exit_on_error() -> Iterator[None]:
    """End the command with one sentence on an error that a user can mend.

    Raises
    ------
    typer.Exit
        In place of any error of this package.
    """
    try:
        yield
    except UnsupsegError as error:
        print_error(str(error))
        raise typer.Exit(FAILED) from error
