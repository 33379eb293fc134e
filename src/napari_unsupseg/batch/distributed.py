"""Many images side by side: in processes of this machine, or on a dask cluster."""

import contextlib
import dataclasses
import logging
import threading
import time
import uuid
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_unsupseg.batch import interrupts
from napari_unsupseg.batch.jobs import Job, JobOptions
from napari_unsupseg.batch.pipeline import Report, try_run_job
from napari_unsupseg.errors import DeviceError, first_line
from napari_unsupseg.image.tiling import Slices
from napari_unsupseg.learning.cost import count_cores
from napari_unsupseg.learning.step import Step

if TYPE_CHECKING:
    import distributed

__all__ = ["run_distributed"]

# dask has its processes give memory back so eagerly that each iteration takes all of it anew
MALLOC_TRIM_KEY = "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_"
POLL_SECONDS = 0.05

stopped_calls: set[str] = set()  # of a worker's process, which may serve many calls


def run_distributed(
    jobs: Sequence[Job],
    options: JobOptions,
    workers: int = 1,
    scheduler: str | None = None,
    stop: threading.Event | None = None,
) -> Iterator[Report]:
    """Segment images in several processes.

    Parameters
    ----------
    jobs : sequence of Job
        The images and their results.
    options : JobOptions
        How to segment them.
    workers : int
        Processes to start on this machine, which share its cores; no more than there are images.
    scheduler : str, optional
        In their place: the address of the scheduler of a dask cluster whose workers see the same
        files.
    stop : Event, optional
        Once it is set, each run in work ends early and keeps its labels so far, no other is begun,
        and images without labels have no report.

    Yields
    ------
    dict
        What became of each image, a report of `napari_unsupseg.batch.pipeline.try_run_job`, as
        soon as it is done. The images of a process that dies are done by another.

    Raises
    ------
    DeviceError
        If dask.distributed is not installed, or there is no such scheduler.
    """
    try:
        import dask.config
        import distributed
    except ImportError as error:
        raise DeviceError(
            "several workers need dask.distributed: pip install 'napari-unsupseg[cluster]'"
        ) from error
    # the threads of a cluster's workers are for the cluster to say
    n_threads = None if scheduler else max(1, count_cores() // workers)
    with dask.config.set({MALLOC_TRIM_KEY: None}), contextlib.ExitStack() as stack:
        try:
            address = scheduler or stack.enter_context(
                distributed.LocalCluster(
                    n_workers=min(workers, len(jobs)),
                    threads_per_worker=1,
                    dashboard_address=":0",
                    preload=interrupts.__name__,
                    # what goes wrong with an image its report says
                    silence_logs=logging.CRITICAL,
                )
            )
            # not the default, which dask would go on with after one that never connected
            client = stack.enter_context(
                distributed.Client(address, timeout="10s", set_as_default=False)
            )
        # it is of any type, by the protocol that the address names
        except Exception as error:
            raise DeviceError(
                f"{scheduler}: no dask scheduler answers there ({first_line(error)})"
            ) from error
        call = uuid.uuid4().hex
        futures = {
            # pure=False: else dask takes two jobs that look the same for one
            client.submit(
                _run_in_worker, _with_absolute_paths(job), options, n_threads, call, pure=False
            ): job
            for job in jobs
        }
        for future in _finished(client, list(futures), call, stop or threading.Event()):
            image, failure = str(futures[future].image), future.exception()
            if failure is not None:
                yield {"image": image, "error": f"{image}: the worker failed ({failure})"}
            elif report := future.result():
                for sentence in report.pop("warnings", []):
                    warnings.warn(f"{image}: {sentence}", stacklevel=2)
                yield _with_paths_as_given(report, futures[future])


def _finished(
    client: "distributed.Client",
    futures: "list[distributed.Future[Report | None]]",
    call: str,
    stop: threading.Event,
) -> "Iterator[distributed.Future[Report | None]]":
    """Yield jobs as they end, and have workers end them once the user wants it."""
    import distributed

    finished, is_told = distributed.as_completed(futures, loop=client.loop), False
    while finished.count():
        if stop.is_set() and not is_told:
            is_told = True
            # workers are told, since those that wait for one end at once in it, and nothing ends
            # those in work but themselves; where there are no workers all wait
            if client.nthreads():
                client.run(_stop_in_worker, call, on_error="ignore")
            else:
                client.cancel(futures)
        batch = finished.next_batch(block=False)
        yield from (future for future in batch if not future.cancelled())
        if not batch:
            time.sleep(POLL_SECONDS)


def _with_absolute_paths(job: Job) -> Job:
    """Return a job whose files do not depend on where a process was started."""
    paths = {
        field.name: Path.absolute(path)
        for field in dataclasses.fields(job)
        if (path := getattr(job, field.name)) is not None
    }
    return dataclasses.replace(job, **paths)


def _with_paths_as_given(report: Report, job: Job) -> Report:
    """Return a report that names files as the user wrote them, not as the worker had them."""
    absolute = _with_absolute_paths(job)
    had, wrote = (map(str, (one.image, *one.results)) for one in (absolute, job))
    given = dict(zip(had, wrote, strict=True))
    named = {key: given.get(value, value) for key, value in report.items()}
    if "error" in report:
        path, colon, sentence = report["error"].partition(": ")
        named["error"] = f"{given.get(path, path)}{colon}{sentence}"
    return named


def _stop_in_worker(call: str) -> None:
    """Have the jobs of a call end early that the process of a worker has or will get."""
    stopped_calls.add(call)


def _run_in_worker(
    job: Job, options: JobOptions, n_threads: int | None, call: str
) -> Report | None:
    """Do a job in the process of a worker, with its share of the cores.

    None if the call was stopped before there were labels.
    """
    import torch

    if n_threads:
        torch.set_num_threads(n_threads)
    is_stopped = False  # once: what follows a run that was ended makes labels to keep of it

    def watch(steps: Iterator[Step], _name: str) -> tuple[Step, bool]:
        nonlocal is_stopped
        for step in steps:
            if call in stopped_calls and not is_stopped:
                is_stopped = True
                return step, True
        return step, False

    def track(chunks: Sequence[Slices], _name: str) -> Iterator[Slices]:
        for chunk in chunks:
            if call in stopped_calls and not is_stopped:
                raise KeyboardInterrupt
            yield chunk

    if call in stopped_calls:
        return None
    with contextlib.ExitStack() as stack:
        caught = []
        if n_threads:  # the threads of a cluster's worker would catch each other's
            caught = stack.enter_context(warnings.catch_warnings(record=True))
            warnings.simplefilter("default")
        try:
            report = try_run_job(job, options, watch, track)
        except KeyboardInterrupt:
            return None
    sentences = [str(warning.message).removeprefix(f"{job.image}: ") for warning in caught]
    return report | {"warnings": sentences}
