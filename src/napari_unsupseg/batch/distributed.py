"""Many images side by side: in processes of this machine, or on a dask cluster."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from napari_unsupseg.batch.jobs import Job, JobOptions
from napari_unsupseg.batch.pipeline import Report, try_run_job
from napari_unsupseg.errors import DeviceError, first_line

__all__ = ["run_distributed"]

# dask has its processes give memory back so eagerly that each iteration takes all of it anew
MALLOC_TRIM_KEY = "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_"


def run_distributed(
    jobs: Sequence[Job], options: JobOptions, workers: int = 1, scheduler: str | None = None
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
    n_threads = None if scheduler else max(1, (os.cpu_count() or 1) // workers)
    with dask.config.set({MALLOC_TRIM_KEY: None}), contextlib.ExitStack() as stack:
        try:
            address = scheduler or stack.enter_context(
                distributed.LocalCluster(
                    n_workers=min(workers, len(jobs)), threads_per_worker=1, dashboard_address=":0"
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
        futures = {
            # pure=False: else dask takes two jobs that look the same for one
            client.submit(
                _run_in_worker, _with_absolute_paths(job), options, n_threads, pure=False
            ): job
            for job in jobs
        }
        for future in distributed.as_completed(futures, loop=client.loop):
            # the path as the user wrote it, not the absolute one that the worker had
            image, failure = str(futures[future].image), future.exception()
            if failure is None:
                yield future.result() | {"image": image}
            else:
                yield {"image": image, "error": f"{image}: the worker failed ({failure})"}


def _with_absolute_paths(job: Job) -> Job:
    """Return a job whose files do not depend on where a process was started."""
    paths = {
        field.name: Path.absolute(path)
        for field in dataclasses.fields(job)
        if (path := getattr(job, field.name)) is not None
    }
    return dataclasses.replace(job, **paths)


def _run_in_worker(job: Job, options: JobOptions, n_threads: int | None) -> Report:
    """Do a job in the process of a worker, with its share of the cores."""
    import torch

    if n_threads:
        torch.set_num_threads(n_threads)
    return try_run_job(job, options)
