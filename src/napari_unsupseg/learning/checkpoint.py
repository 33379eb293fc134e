"""A trained network in a file: its weights, what it was trained with, and nothing that runs."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

import napari_unsupseg
from napari_unsupseg.errors import FileError, ImageError, SettingError
from napari_unsupseg.image.normalize import NormalizedImage
from napari_unsupseg.io.paths import atomic_write
from napari_unsupseg.learning.network import Components, Network, build_network
from napari_unsupseg.settings import Settings

__all__ = ["Checkpoint", "load_checkpoint", "save_checkpoint"]

ENTRY = "napari-unsupseg"  # of the metadata
VERSION = 1  # of the format; a reader knows those up to its own


@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained network, and what its labels depend on beside it.

    Attributes
    ----------
    network : Network
        Its greatest response at a pixel is the label's, minus 1.
    settings : Settings
        Those of its run.
    n_channels : int
        Channels of the images it takes.
    is_rgb : bool
        Whether it was trained on red, green and blue.
    n_labels : int
        Labels that its run has kept, the first ones.
    """

    network: Network
    settings: Settings
    n_channels: int
    is_rgb: bool
    n_labels: int

    @property
    def spatial_ndim(self) -> int:
        """Axes of a frame, 2 or 3."""
        return self.network.classifier.weight.ndim - 2

    @property
    def halo(self) -> int:
        """Pixels around a pixel that its label depends on, along each axis."""
        if not isinstance(self.network.features, Components):
            raise SettingError("nobody knows how far features of your own see: use a NumPy array")
        return len(self.network.features)

    def check_image(self, image: NormalizedImage) -> None:
        """Raise an `ImageError` unless an image has the channels and axes it was trained on."""
        n_channels = len(image.values)
        if n_channels != self.n_channels:
            raise ImageError(
                f"image has {n_channels} channels and the network was trained on "
                f"{self.n_channels}; give it the same channels"
            )
        if image.spatial_ndim != self.spatial_ndim:
            raise ImageError(
                f"spatial_ndim is {image.spatial_ndim} and the network was trained with "
                f"{self.spatial_ndim}"
            )


def save_checkpoint(path: Path, model: Checkpoint) -> None:
    """Write a trained network.

    Parameters
    ----------
    path : Path
        The file to write or replace; usually it ends in ``.unsupseg``.
    model : Model
        What to write.

    Raises
    ------
    SettingError
        If a caller's module is part of the network: a file could not say how to build it.
    FileError
        If the file cannot be written.
    """
    if not isinstance(model.network.features, Components):
        raise SettingError("a network with features of your own cannot be saved: save your module")
    tensors = _tensors(model.network)
    header = {
        "format_version": VERSION,
        "version": napari_unsupseg.__version__,
        "settings": model.settings.to_dict(),
        "channels": model.n_channels,
        "rgb": model.is_rgb,
        "labels": model.n_labels,
        "spatial_ndim": model.spatial_ndim,
        "sha256": _digest(tensors),
    }
    with atomic_write(path) as partial:
        # one entry: safetensors writes several in an order that changes from call to call
        partial.write_bytes(save(tensors, {ENTRY: json.dumps(header)}))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a trained network.

    Parameters
    ----------
    path : Path
        A file that `save_checkpoint` wrote.

    Returns
    -------
    Model
        On the CPU.

    Raises
    ------
    FileError
        If the file is missing, of another kind, damaged, changed, or of a newer version.
    """
    if not path.is_file():
        raise FileError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise FileError(
            f"{path}: is no network of napari-unsupseg, or damaged ({error})"
        ) from error
    if ENTRY not in metadata:
        raise FileError(f"{path}: is no network of napari-unsupseg; save one with Segmenter.save")
    try:
        header = json.loads(metadata[ENTRY])
        version = int(header["format_version"])
        if version > VERSION:
            raise FileError(
                f"{path}: was written by a newer napari-unsupseg (format {version}, this one knows "
                f"{VERSION}); update napari-unsupseg"
            )
        if header["sha256"] != _digest(tensors):
            raise ValueError("its weights are not those that were written")
        settings = Settings.from_dict(header["settings"])
        network = _network(header, settings, tensors)
        n_channels, n_labels = int(header["channels"]), int(header["labels"])
        return Checkpoint(network, settings, n_channels, bool(header["rgb"]), n_labels)
    except FileError:
        raise
    # a header that is not as it was written can be wrong in any way
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise FileError(f"{path}: is damaged or was changed ({reason})") from error


def _network(
    header: dict[str, Any], settings: Settings, tensors: dict[str, torch.Tensor]
) -> Network:
    """Build the network of a header, with given tensors."""
    # any frame will do: it tells the network its channels and axes
    frame = torch.zeros(1, header["channels"], *[1] * header["spatial_ndim"])
    network = build_network(frame, settings)
    network.load_state_dict(tensors)
    return network


def _tensors(network: Network) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}


def _digest(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()
