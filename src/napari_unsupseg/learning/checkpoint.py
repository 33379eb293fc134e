"""A trained network in a file: its weights and its settings, and no code that could run."""

import contextlib
import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

import napari_unsupseg
from napari_unsupseg._words import count
from napari_unsupseg.errors import FileError, ImageError, SettingError, first_line
from napari_unsupseg.image.normalize import NormalizedImage
from napari_unsupseg.io.paths import atomic_write, file_kind
from napari_unsupseg.io.run_archive import holds_run, read_part
from napari_unsupseg.learning.devices import resolve_precision
from napari_unsupseg.learning.network import Components, Network, build_network, network_shapes
from napari_unsupseg.settings import Settings

__all__ = ["NETWORK_PART", "Checkpoint", "load_checkpoint", "pack_checkpoint", "save_checkpoint"]

ENTRY = "napari-unsupseg"  # key of the header in the metadata of the file
# version of the format; a program reads those up to its own. 1 had no header in its SHA-256
VERSION = 2
NETWORK_PART = "network.safetensors"  # of the file of a run
MAX_CHANNELS = 100_000  # more than any spectrometer has


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

    def to(self, device: torch.device) -> Self:
        """Return it on a device, with the precision that its settings ask for there."""
        network = self.network.to(device)
        network.precision = resolve_precision(self.settings.precision, device, self.spatial_ndim)
        return dataclasses.replace(self, network=network)

    def check_image(self, image: NormalizedImage) -> None:
        """Raise an `ImageError` unless an image has the channels and axes it was trained on."""
        n_channels = len(image.values)
        if n_channels != self.n_channels:
            raise ImageError(
                f"image has {count(n_channels, 'channel')} and the network was trained on "
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
    content = pack_checkpoint(checkpoint)
    with atomic_write(path) as partial:
        partial.write_bytes(content)


def pack_checkpoint(checkpoint: Checkpoint) -> bytes:
    """Return the content of the file that `save_checkpoint` writes; it raises a `SettingError`."""
    if not isinstance(checkpoint.network.features, Components):
        raise SettingError("a network with features of your own cannot be saved: save your module")
    state = checkpoint.network.state_dict()
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    header: dict[str, Any] = {
        "format_version": VERSION,
        "version": napari_unsupseg.__version__,
        "settings": checkpoint.settings.to_dict(),
        "channels": checkpoint.n_channels,
        "rgb": checkpoint.is_rgb,
        "labels": checkpoint.n_labels,
        "spatial_ndim": checkpoint.spatial_ndim,
    }
    header["sha256"] = _digest(tensors, header)
    # one entry: safetensors writes several in an order that changes from call to call
    return save(tensors, {ENTRY: json.dumps(header)})


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a trained network from a file.

    Parameters
    ----------
    path : Path
        A file that `save_checkpoint` wrote, or that of a run, which has its network in it.

    Returns
    -------
    Checkpoint
        The trained network, on the CPU.

    Raises
    ------
    FileError
        If the file is missing, of another kind, damaged, changed, or of a newer version.
    """
    kind = file_kind(path)
    if kind != "file":
        problem = (
            "no such file" if kind == "nothing" else f"is a {kind}; name a saved network or run"
        )
        raise FileError(f"{path}: {problem}")
    try:
        with _network_file(path) as network, safe_open(network, framework="pt") as file:
            metadata = file.metadata() or {}
            if ENTRY not in metadata:
                raise _no_network(path)
            return _read_checkpoint(file, json.loads(metadata[ENTRY]), path)
    except FileError:
        raise
    except (SafetensorError, OSError) as error:
        raise FileError(
            f"{path}: is no network or run of napari-unsupseg, or damaged ({first_line(error)})"
        ) from error
    # a header that is not as it was written can be wrong in any way
    except Exception as error:
        raise FileError(f"{path}: is damaged or was changed ({first_line(error)})") from error


@contextlib.contextmanager
def _network_file(path: Path) -> Iterator[Path]:
    """Give the file of a network: the one named, or a copy of the one in the file of a run."""
    if not holds_run(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / NETWORK_PART
        try:
            copy.write_bytes(read_part(path, NETWORK_PART))
        except KeyError:
            raise _no_network(path) from None
        yield copy


def _no_network(path: Path) -> FileError:
    return FileError(
        f"{path}: is no network or run of napari-unsupseg; save one with Segmenter.save"
    )


def _read_checkpoint(file: Any, header: dict[str, Any], path: Path) -> Checkpoint:
    """Read the network that a header describes, after the header has been checked."""
    version = int(header["format_version"])
    if version > VERSION:
        raise FileError(
            f"{path}: was written by a newer napari-unsupseg (format {version}, this one knows "
            f"{VERSION}); update napari-unsupseg"
        )
    settings = Settings.from_dict(header["settings"])
    n_channels = _check_count("channels", header["channels"], MAX_CHANNELS)
    n_labels = _check_count("labels", header["labels"], settings.max_clusters)
    if header["spatial_ndim"] not in (2, 3) or header["rgb"] not in (True, False):
        raise ValueError("its axes or its colours are none that there are")
    # before anything takes memory: a header may promise a network of any size
    shapes = network_shapes(n_channels, settings, header["spatial_ndim"])
    stored = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    if shapes != stored:
        raise ValueError("its weights are not of the shapes that its settings give them")
    tensors = {name: file.get_tensor(name) for name in shapes}
    if header["sha256"] != _digest(tensors, header if version > 1 else {}):
        raise ValueError("its settings or weights are not those that were written")
    if not all(t.dtype == torch.float32 and t.isfinite().all() for t in tensors.values()):
        raise ValueError("its weights are no numbers")
    # any frame will do: the network takes from it its numbers of channels and axes
    frame = torch.zeros(1, n_channels, *[1] * header["spatial_ndim"], dtype=torch.float32)
    network = build_network(frame, settings)
    network.load_state_dict(tensors)
    return Checkpoint(network, settings, n_channels, bool(header["rgb"]), n_labels)


def _check_count(name: str, value: Any, maximum: int) -> int:
    """Return a number of a header, or raise unless it is a whole number from 1."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= maximum:
        raise ValueError(f"its number of {name} is {value!r}; expected 1 to {maximum:,}")
    return value


def _digest(tensors: dict[str, torch.Tensor], header: dict[str, Any]) -> str:
    """Return the SHA-256 of tensors, of their names and shapes, and of all else in the header."""
    digest = hashlib.sha256()
    if rest := {name: value for name, value in header.items() if name != "sha256"}:
        digest.update(json.dumps(rest, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()
