"""Where the network runs, and how much memory is free there."""

import contextlib
import platform
import re
import warnings
from collections.abc import Iterator

import psutil
import torch

from napari_unsupseg.errors import DeviceError, ImageError, OutOfMemoryError
from napari_unsupseg.settings import Precision

__all__ = [
    "available_devices",
    "check_memory",
    "empty_cache",
    "free_bytes",
    "processor_name",
    "resolve_device",
    "resolve_precision",
    "translate_out_of_memory",
]


# as torch words it on CPUs, CUDA, MPS and XPU, and the libraries that it calls
OUT_OF_MEMORY = re.compile(
    r"allocate memory|out of (\w+ )?memory|(not enough|insufficient) memory|bad_?alloc|"
    r"alloc_failed|could not (create a )?memory|failed to allocate",
    re.IGNORECASE,
)


def available_devices() -> list[str]:
    """Return the names of the devices of this computer, the fastest first.

    Returns
    -------
    list of str
        For example ``['cuda', 'cuda:0', 'cuda:1', 'cpu']``.
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None:
        return ["cpu"]
    numbered = [f"{accelerator.type}:{index}" for index in range(torch.accelerator.device_count())]
    return [accelerator.type, *numbered, "cpu"]


def resolve_device(name: str = "auto") -> torch.device:
    """Return the device of a name.

    Parameters
    ----------
    name : str
        ``'auto'`` for the accelerator (CUDA, MPS, XPU) if there is one and the CPU if not, or one
        of `available_devices`.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    DeviceError
        If the computer has no such device; the message names those that it has.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    available = available_devices()
    if name == "auto":
        return torch.device(available[0])
    if name not in available:
        raise DeviceError(f"device {name!r} is not there; choose auto, {', '.join(available)}")
    return torch.device(name)


def resolve_precision(name: Precision, device: torch.device, spatial_ndim: int = 2) -> torch.dtype:
    """Return the data type that features are computed in.

    Parameters
    ----------
    name : {'auto', 'float32', 'bfloat16'}
        ``'auto'`` is bfloat16 on GPUs with instructions for it and float32 on all else.
    device : torch.device
        Where the network runs.
    spatial_ndim : int
        Axes of a frame, 2 or 3. Volumes on a CPU are computed in float32, with a warning if
        bfloat16 was asked for: torch 2.13 writes beyond its memory there.

    Returns
    -------
    torch.dtype
        `torch.float32` or `torch.bfloat16`.
    """
    if name == "bfloat16" and device.type == "cpu" and spatial_ndim == 3:
        warnings.warn("volumes are computed in float32 on a CPU, not in bfloat16", stacklevel=3)
        return torch.float32
    if name == "auto":
        # an emulated bfloat16 is slower than float32
        is_fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if is_fast else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def processor_name(device: torch.device) -> str:
    """Name the processor, since the last digits of a result, and so labels, may depend on it.

    Parameters
    ----------
    device : torch.device
        A device of this computer.

    Returns
    -------
    str
        A GPU's name, or the kind of a CPU and of the widest instructions that torch uses on it,
        such as ``'x86_64 with AVX512'``.
    """
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"{platform.machine()} with {torch.backends.cpu.get_cpu_capability()}"


def free_bytes(device: torch.device) -> int:
    """Return the memory that a device has free.

    Parameters
    ----------
    device : torch.device
        A device of this computer.

    Returns
    -------
    int
        Bytes; for a device that shares the computer's memory, those of the computer.
    """
    if device.type in ("cuda", "xpu"):
        return int(torch.get_device_module(device).mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def empty_cache(device: torch.device) -> None:
    """Give back the memory that torch keeps for later tensors.

    Parameters
    ----------
    device : torch.device
        A device of this computer; on a CPU torch keeps none.
    """
    if device.type != "cpu":
        torch.get_device_module(device).empty_cache()


def check_memory(n_bytes: int, device: torch.device, purpose: str, remedy: str) -> None:
    """Refuse a run that would not fit into the free memory, before it begins.

    Parameters
    ----------
    n_bytes : int
        Memory that the run needs, as `cost` estimates it.
    device : torch.device
        Where it needs that.
    purpose, remedy : str
        What for, and what helps beside a smaller image.

    Raises
    ------
    ImageError
        If the device has less than that free.
    """
    free = free_bytes(device)
    if n_bytes > free:
        place = "this computer" if device.type == "cpu" else str(device)
        raise ImageError(
            f"image needs about {n_bytes / 1e9:.1f} GB of memory {purpose} and {place} has "
            f"{free / 1e9:.1f} GB free: use a smaller or downsampled image, {remedy}"
        )


@contextlib.contextmanager
def translate_out_of_memory(device: torch.device) -> Iterator[None]:
    """Replace torch's error that memory ran out by one that says what to do.

    Parameters
    ----------
    device : torch.device
        The device that the block inside allocates on.

    Raises
    ------
    OutOfMemoryError
        In place of torch's `RuntimeError`, which often has no class of its own and is known by its
        message, and of the `MemoryError` of other libraries.
    """
    try:
        yield
    except OutOfMemoryError:
        raise
    except (RuntimeError, MemoryError) as error:
        is_known = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not is_known and not OUT_OF_MEMORY.search(str(error)):
            raise
        place = "the computer" if isinstance(error, MemoryError) else str(device)
        raise OutOfMemoryError(
            f"{place} ran out of memory; use a smaller or downsampled image, or fewer filters or "
            "max_clusters"
        ) from error
