"""A run in a file: all that it needs to be looked at again, and to be gone on with."""

import contextlib
import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import napari_unsupseg
from napari_unsupseg._typing import Labels
from napari_unsupseg.errors import (
    FileError,
    ImageError,
    OutOfMemoryError,
    UnsupsegError,
    first_line,
)
from napari_unsupseg.image.axes import CHANNELS, SAMPLES
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.image_list import join_images, split_images, split_maps
from napari_unsupseg.image.normalize import NormalizedImage, normalize_image
from napari_unsupseg.io.run_archive import pack_arrays, pack_json, read_part, unpack_arrays
from napari_unsupseg.learning.checkpoint import NETWORK_PART, load_checkpoint, pack_checkpoint
from napari_unsupseg.learning.convergence import ConvergenceMonitor
from napari_unsupseg.learning.devices import resolve_precision
from napari_unsupseg.learning.network import Network
from napari_unsupseg.learning.run import Run
from napari_unsupseg.learning.schedule import Stage
from napari_unsupseg.learning.staged_training import TrainingState, preview_upsampler
from napari_unsupseg.learning.step import Step
from napari_unsupseg.learning.trainer import Trainer
from napari_unsupseg.learning.upsampler import LabelUpsampler
from napari_unsupseg.regions.hierarchy import Hierarchy
from napari_unsupseg.regions.hierarchy_builder import restore_hierarchy
from napari_unsupseg.settings import Settings

__all__ = ["load_run", "pack_run"]

HEADER_PART, ARRAYS_PART = "run.json", "run.safetensors"
VERSION = 1  # of the format; a program reads those up to its own

Header = dict[str, Any]
Arrays = dict[str, NDArray[Any]]


def pack_run(run: Run) -> dict[str, bytes]:
    """Return a run as the parts of a file.

    Parameters
    ----------
    run : Run
        After its first iteration; it stays as it is.

    Returns
    -------
    dict of str to bytes
        For `write_archive`: ``run.json`` and ``run.safetensors``, from which `load_run` makes the
        run again, and ``network.safetensors``, the network that has learned its labels.

    Raises
    ------
    ImageError
        If it has trained on crops of an image that is too large to be loaded.
    SettingError
        If a caller's module is part of the network.
    """
    if run.is_cropped:
        raise ImageError(
            "a run on an image as large as this has trained on crops, and has no labels of the "
            "rest that could be saved: save its network, without run=True"
        )
    network = pack_checkpoint(run.checkpoint())  # first, since it may be refused
    assert run.last_step is not None, "a run is saved after its first step"
    assert run.result is not None, "a run has a result from its first step on"
    training, arrays = _pack_training(run.state)
    strokes, stroke_arrays = _pack_strokes(run)
    arrays |= stroke_arrays | {
        "labels": run.result.labels,
        **{f"history.{iteration}": labels for iteration, labels in run.history.items()},
        **{f"companions.{index}": labels for index, labels in enumerate(run.companions or [])},
        **_with_prefix("network", _arrays_of(run.network)),
    }
    if run.last_step is not run.result:
        arrays["last_labels"] = run.last_step.labels
    if run.last_step.network is not None:
        arrays |= _with_prefix("preview_network", _arrays_of(run.last_step.network))
    for index, image in enumerate(split_images(run.image)):
        stored = _stored_image(image, run.pixels[index], run.axes[index], run.settings)
        arrays |= _with_prefix(f"images.{index}", stored)
    for index, hierarchy in enumerate(run.hierarchies):
        arrays |= _with_prefix(f"hierarchies.{index}", hierarchy.tree())
    if run.hierarchy is not None:
        arrays |= _with_prefix("hierarchy", run.hierarchy.tree())
    header = {
        "format_version": VERSION,
        "version": napari_unsupseg.__version__,
        "settings": run.settings.to_dict(),
        "axes": run.axes,
        "is_list": bool(run.image.image_shapes),
        "spatial_ndim": run.image.spatial_ndim,
        "spacing": run.image.spacing,
        "iteration": run.last_step.iteration,
        "loss": run.last_step.loss,
        "history": list(run.history),
        "n_companions": None if run.companions is None else len(run.companions),
        "training": training,
        "strokes": strokes,
    }
    return {
        HEADER_PART: pack_json(header),
        ARRAYS_PART: pack_arrays(arrays),
        NETWORK_PART: network,
    }


def load_run(path: Path, device: torch.device) -> Run:
    """Read a run from a file.

    Parameters
    ----------
    path : Path
        A file with the parts of `pack_run`.
    device : torch.device
        Where to train on.

    Returns
    -------
    Run
        It goes on as if it had never been left.

    Raises
    ------
    FileError
        If the file is of another kind, damaged, changed, or of a newer version.
    OutOfMemoryError
        If it takes more memory than there is.
    """
    try:
        try:
            header = json.loads(read_part(path, HEADER_PART))
        except KeyError:
            raise FileError(
                f"{path}: is no run of napari-unsupseg; save one with Segmenter.save(…, run=True)"
            ) from None
        version = int(header["format_version"])
        if version > VERSION:
            raise FileError(
                f"{path}: was written by a newer napari-unsupseg (format {version}, this one knows "
                f"{VERSION}); update napari-unsupseg"
            )
        return _restore_run(path, header, unpack_arrays(read_part(path, ARRAYS_PART)), device)
    except FileError:
        raise
    except MemoryError as error:
        raise OutOfMemoryError(f"{path}: takes more memory than there is") from error
    # a file that is not as it was written can be wrong in any way
    except Exception as error:
        raise FileError(f"{path}: is damaged or was changed ({first_line(error)})") from error


def _restore_run(path: Path, header: Header, arrays: Arrays, device: torch.device) -> Run:
    """Return the run of a header and arrays; any error says that they do not fit together."""
    settings = Settings.from_dict(header["settings"])
    stored = [_without_prefix(f"images.{index}", arrays) for index in range(len(header["axes"]))]
    images = [
        normalize_image(
            split_channels(one["pixels"], axes),
            one["valid"],
            settings.intensity,
            header["spatial_ndim"],
            one["limits"],
            header["spacing"] or None,
        )
        for one, axes in zip(stored, header["axes"], strict=True)
    ]
    image = join_images(images) if header["is_list"] else images[0]
    labels = {name: arrays[name] for name in arrays if _is_labels(name)}
    for name, values in labels.items():
        _check_labels(name, values, image, settings)
    strokes = {
        name: None if number is None else labels[f"strokes.{number}"]
        for name, number in header["strokes"].items()
    }
    known = load_checkpoint(path)
    known.check_image(image)
    if known.settings != settings:
        raise ValueError("its settings are not those of its network")
    network = _restore_network(known.network, _without_prefix("network", arrays), settings, device)
    run = Run(
        settings,
        image,
        network,
        [one["pixels"] for one in stored],
        header["axes"],
        state=_restore_training(header["training"], arrays, network, settings, strokes["trained"]),
        strokes=strokes["current"],
        history={number: labels[f"history.{number}"] for number in header["history"]},
        companions=_restore_companions(header["n_companions"], labels),
        followed_strokes=strokes["followed"],
        learned=known.to(device),
    )
    run.result = run.last_step = _restore_step(labels["labels"], header, settings)
    if "last_labels" in labels:
        run.last_step = _restore_step(labels["last_labels"], header, settings)
    if preview := _without_prefix("preview_network", arrays):
        upsampler = preview_upsampler(image).snapshot(
            _restore_network(known.network, preview, settings, device)
        )
        run.result = run.last_step = _restore_step(labels["labels"], header, settings, upsampler)
    if tree := _without_prefix("hierarchy", arrays):
        run.hierarchy = restore_hierarchy(
            tree,
            image,
            run.snapshots,
            strokes=run.followed_strokes,
            n_clusters=run.n_final_clusters,
        )
        run.hierarchies = _restore_hierarchies(run, run.hierarchy, arrays)
    return run


def _restore_companions(number: int | None, labels: dict[str, Labels]) -> list[Labels] | None:
    """Return the labels of other networks; None if these were not trained."""
    return None if number is None else [labels[f"companions.{index}"] for index in range(number)]


def _restore_hierarchies(run: Run, together: Hierarchy, arrays: Arrays) -> list[Hierarchy]:
    """Return the hierarchies of several images, each by itself; none if they were not made."""
    trees = [_without_prefix(f"hierarchies.{index}", arrays) for index in range(len(run.pixels))]
    if not all(trees):
        return []
    hierarchies = []
    clusters = split_maps(together.run_clusters, run.image)
    for tree, own, (image, snapshots, strokes) in zip(trees, clusters, run.split(), strict=True):
        hierarchy = restore_hierarchy(
            tree, image, snapshots, strokes=strokes, n_clusters=run.n_final_clusters
        )
        hierarchy.run_clusters = own
        hierarchies.append(hierarchy)
    return hierarchies


def _stored_image(
    image: NormalizedImage, pixels: NDArray[Any] | None, axes: str, settings: Settings
) -> Arrays:
    """Return an image as it was given, its mask, and which intensities are 0 and 1."""
    if pixels is not None:
        with contextlib.suppress(UnsupsegError):
            again = normalize_image(
                split_channels(pixels, axes),
                image.valid,
                settings.intensity,
                image.spatial_ndim,
                spacing=image.spacing or None,
            )
            if np.array_equal(again.values, image.values):
                return {"pixels": pixels, "valid": image.valid, "limits": again.limits}
    # the array was never loaded as it is, or its owner has written another image into it since
    letter = next((axis for axis in axes if axis in CHANNELS + SAMPLES), None)
    values = image.values
    return {
        "pixels": values[0] if letter is None else np.moveaxis(values, 0, axes.index(letter)),
        "valid": image.valid,
        "limits": np.tile([0.0, 1.0], (len(values), 1)),
    }


def _pack_strokes(run: Run) -> tuple[dict[str, int | None], Arrays]:
    """Return which strokes are which, and each of them once: who they are decides what is next."""
    by_use = {
        "current": run.strokes,
        "followed": run.followed_strokes,
        "trained": run.state.strokes,
    }
    different = {id(strokes): strokes for strokes in by_use.values() if strokes is not None}
    numbers = {identity: number for number, identity in enumerate(different)}
    return (
        {use: numbers.get(id(strokes)) for use, strokes in by_use.items()},
        {f"strokes.{numbers[identity]}": strokes for identity, strokes in different.items()},
    )


def _pack_training(state: TrainingState) -> tuple[Header | None, Arrays]:
    """Return where the training stands; None if it never began."""
    trainer, monitor = state.trainer, state.monitor
    if trainer is None:
        return None, {}
    header = {
        "iteration": trainer.iteration,
        "last_iteration": state.last_iteration,
        "stroked": sorted(trainer.stroked),
        "stages": [dataclasses.asdict(stage) for stage in state.stages],
        "settle": monitor.settle,
        "n_iterations": monitor.n_iterations,
        "has_converged": monitor.has_converged,
    }
    tensors = {
        **{f"momentum.{index}": values for index, values in enumerate(trainer.velocities)},
        **{f"snapshots.{index}": values for index, values in enumerate(monitor.snapshots)},
    }
    return header, {name: tensor.cpu().numpy() for name, tensor in tensors.items()}


def _restore_training(
    header: Header | None,
    arrays: Arrays,
    network: Network,
    settings: Settings,
    strokes: Labels | None,
) -> TrainingState:
    """Return where the training stood, with a trainer for the network."""
    if header is None:
        return TrainingState()
    trainer = Trainer(network, settings)
    trainer.iteration, trainer.stroked = header["iteration"], set(header["stroked"])
    momentum = _without_prefix("momentum", arrays)
    if len(momentum) != len(trainer.velocities):
        raise ValueError("its momentum is not that of its network")
    for index, velocity in enumerate(trainer.velocities):
        velocity.copy_(torch.from_numpy(momentum[str(index)]))
    monitor = ConvergenceMonitor(header["settle"])
    monitor.n_iterations, monitor.has_converged = header["n_iterations"], header["has_converged"]
    snapshots = _without_prefix("snapshots", arrays)
    monitor.snapshots.extend(
        torch.from_numpy(snapshots[str(index)]) for index in range(len(snapshots))
    )
    stages = [Stage(**stage) for stage in header["stages"]]
    return TrainingState(trainer, stages, monitor, header["last_iteration"], strokes)


def _restore_network(
    like: Network, arrays: Arrays, settings: Settings, device: torch.device
) -> Network:
    """Return a network of other weights."""
    network = copy.deepcopy(like)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    network = network.to(device)
    spatial_ndim = network.classifier.weight.ndim - 2
    network.precision = resolve_precision(settings.precision, device, spatial_ndim)
    return network


def _restore_step(
    labels: Labels, header: Header, settings: Settings, upsampler: LabelUpsampler | None = None
) -> Step:
    """Return the last step, with labels at full size."""
    return Step(
        header["iteration"],
        torch.from_numpy(labels.astype(np.int64)) - 1,
        torch.tensor(header["loss"], dtype=torch.float32),
        labels > 0,
        settings.max_clusters,
        upsampler=upsampler,
    )


def _is_labels(name: str) -> bool:
    """Tell whether an array has a label for each pixel."""
    return name.split(".")[0] in ("labels", "last_labels", "history", "companions", "strokes")


def _check_labels(name: str, labels: Labels, image: NormalizedImage, settings: Settings) -> None:
    """Raise unless labels are of an image, and none that there cannot be."""
    is_of_image = labels.dtype.kind == "u" and labels.shape == image.valid.shape
    if not is_of_image or labels.max() > settings.max_clusters:
        raise ValueError(f"its {name} are not of its image")


def _arrays_of(network: Network) -> Arrays:
    """Return the weights and the statistics of a network by name."""
    return {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}


def _with_prefix(prefix: str, arrays: Arrays) -> Arrays:
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def _without_prefix(prefix: str, arrays: Arrays) -> Arrays:
    """Return the arrays whose names begin with a prefix, without it."""
    start = f"{prefix}."
    return {name[len(start) :]: arrays[name] for name in arrays if name.startswith(start)}
