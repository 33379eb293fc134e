"""Networks that train beside the first, each from weights of its own, for second opinions."""

import dataclasses
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import torch

from napari_unsupseg._typing import Labels
from napari_unsupseg.image.normalize import NormalizedImage
from napari_unsupseg.learning.network import Network, build_network
from napari_unsupseg.learning.schedule import COMPANION_ITERATIONS, HISTORY_ITERATIONS
from napari_unsupseg.learning.staged_training import train
from napari_unsupseg.learning.threads import count_threads
from napari_unsupseg.settings import Settings

__all__ = ["train_companions"]

INTERVAL = 0.05  # seconds between two looks at how far training is


def train_companions(
    first: Network, image: NormalizedImage, settings: Settings, iterations: int
) -> Generator[float, None, list[Labels]]:
    """Train networks that differ from the first one of a run by their first weights alone.

    What one network happens to divide or to join, others do not: labels of several tell more
    about where things end than those of one, and depend less on its seed.

    Parameters
    ----------
    first : Network
        That of the run, which is left as it is; they train on its device. On a CPU each has a core
        for itself, as far as there are some.
    image : NormalizedImage
        The image.
    settings : Settings
        Those of the run, whose seed decides the seeds of the companions.
    iterations : int
        The most that each may take, and no more than 100.

    Yields
    ------
    float
        Share that is done, from 0 to 1. Close the generator to end the training.

    Returns
    -------
    list of ndarray of unsigned integers, shape (..., Y, X)
        Labels at `HISTORY_ITERATIONS` and at the end, one network after another.
    """
    # half of 32 bits, as far as seeds go
    seeds = np.random.SeedSequence(settings.seed).generate_state(settings.networks - 1) // 2
    iterations = min(iterations, COMPANION_ITERATIONS)
    frame = torch.from_numpy(next(image.frames()).values)[None]  # (1, C, [Z,] Y, X)
    n_done = [0] * len(seeds)
    is_left = threading.Event()

    @torch.inference_mode(False)  # in which a caller may be, and nothing can be trained
    def train_one(index: int) -> list[Labels]:
        own = dataclasses.replace(settings, seed=int(seeds[index]), iterations=iterations)
        network = build_network(frame, own).to(first.device)
        network.precision = first.precision
        snapshots = []
        for step in train(network, image, own):
            if is_left.is_set():
                break
            n_done[index] = step.iteration
            if step.iteration in HISTORY_ITERATIONS:
                snapshots.append(step.labels)
        n_done[index] = iterations  # it may have settled before
        return [*snapshots, step.labels]

    with ThreadPoolExecutor(count_threads(first.device), "unsupseg") as pool:
        futures = [pool.submit(train_one, index) for index in range(len(seeds))]
        try:
            while wait(futures, INTERVAL).not_done:
                yield sum(n_done) / (len(seeds) * iterations)
        finally:
            is_left.set()
    return [labels for future in futures for labels in future.result()]
