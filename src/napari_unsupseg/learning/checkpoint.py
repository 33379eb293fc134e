"""A trained network in a file: its weights and its settings, and no code that could run."""

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

ENTRY = "napari-unsupseg"  # key of the header in the metadata of the file
VERSION = 1  # version of the format; a program reads those up to its own


@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained network, and all else that its labels depend on.

    Attributes
    ----------
    network : Network
        At each pixel the index of its greatest response, plus 1, is the label.
    settings : Settings
        Those of the run that trained it.
    n_channels : int
        Channels of the images that it takes.
    is_rgb : bool
        Whether the channels are red, green and blue.
    n_labels : int
        Labels that the run has kept, the first ones: there are no others.
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


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a trained network to a file.

    Parameters
    ----------
    path : Path
        The file to write or replace; usually it ends in ``.unsupseg``.
    checkpoint : Checkpoint
        The trained network.

    Raises
    ------
    SettingError
        If a caller's module is part of the network: a file could not say how to build it.
    FileError
        If the file cannot be written.
    """
    if not isinstance(checkpoint.network.features, Components):
        raise SettingError("a network with features of your own cannot be saved: save your module")
    state = checkpoint.network.state_dict()
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    header = {
        "format_version": VERSION,
        "version": napari_unsupseg.__version__,
        "settings": checkpoint.settings.to_dict(),
        "channels": checkpoint.n_channels,
        "rgb": checkpoint.is_rgb,
        "labels": checkpoint.n_labels,
        "spatial_ndim": checkpoint.spatial_ndim,
        "sha256": _digest(tensors),
    }
    with atomic_write(path) as partial:
        # one entry: safetensors writes several in an order that changes from call to call
        partial.write_bytes(save(tensors, {ENTRY: json.dumps(header)}))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a trained network from a file.

    Parameters
    ----------
    path : Path
        A file that `save_checkpoint` wrote.

    Returns
    -------
    Checkpoint
        The trained network, on the CPU.

    Raises
    ------
    FileError
        If the file is missing, of another kind, damaged, changed, or of a newer version.
    """
    if not path.is_file():
        raise FileError(f"{path}: no such file")
    tensors, metadata = _read(path)
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
        return _build_checkpoint(header, tensors)
    # a header that is not as it was written can be wrong in any way
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise FileError(f"{path}: is damaged or was changed ({reason})") from error


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read tensors and metadata of a file of safetensors."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise FileError(
            f"{path}: is no network of napari-unsupseg, or damaged ({error})"
        ) from error


def _build_checkpoint(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Checkpoint:
    """Build what a header describes, with given tensors."""
    if header["sha256"] != _digest(tensors):
        raise ValueError("its weights are not those that were written")
    settings = Settings.from_dict(header["settings"])
    # any frame will do: the network takes from it its numbers of channels and axes
    frame = torch.zeros(1, header["channels"], *[1] * header["spatial_ndim"])
    network = build_network(frame, settings)
    network.load_state_dict(tensors)
    return Checkpoint(
        network=network,
        settings=settings,
        n_channels=int(header["channels"]),
        is_rgb=bool(header["rgb"]),
        n_labels=int(header["labels"]),
    )


def _digest(tensors: dict[str, torch.Tensor]) -> str:
    """Return the SHA-256 of tensors, of their names and shapes too."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()
