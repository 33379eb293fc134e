"""Where the time of an iteration goes, and how far it is from its convolutions alone.

python -m benchmarks.profile_iteration --image FILE
python -m benchmarks.profile_iteration --image FILE --precision bfloat16
"""

import itertools
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch.profiler import profile

from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.files import read_image

KINDS = {
    "mkldnn_convolution": "3 × 3 convolutions, forward and at their input",
    "convolution_backward": "3 × 3 convolutions, at their weights",
    "addmm_": "matrix products: at weights",
    "mm": "matrix products: first convolution and classifier",
}


def main(
    image: Annotated[Path, typer.Option(help="Image file.")],
    iterations: Annotated[int, typer.Option(help="Iterations to profile.", min=1)] = 5,
    precision: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
) -> None:
    """Profile iterations at full size on one thread of the CPU, M = 2."""
    torch.set_num_threads(1)  # the profiler sees only the thread that it was begun in
    pixels = read_image(image)
    settings = Settings(settle=0, precision=precision)
    steps = Segmenter(settings, device="cpu").steps(pixels)
    next(steps)
    start = time.perf_counter()
    with profile() as records:
        for _ in itertools.islice(steps, iterations):
            pass
    whole = (time.perf_counter() - start) / iterations
    seconds: Counter[str] = Counter()
    for record in records.key_averages():
        kind = KINDS.get(record.key.removeprefix("aten::"), "all else, in passes over strips")
        seconds[kind] += record.self_cpu_time_total / 1e6 / iterations
    floor = convolutions_alone(*pixels.shape[:2], settings.filters, getattr(torch, precision))
    show(image.name, seconds, whole, floor)


def convolutions_alone(
    height: int, width: int, filters: int, precision: torch.dtype
) -> dict[str, float]:
    """Return the seconds that torch takes for one 3 × 3 convolution and its two gradients."""
    layout = torch.channels_last
    maps = torch.rand(1, filters, height, width).to(precision, memory_format=layout)
    weight = torch.rand(filters, filters, 3, 3).to(precision, memory_format=layout)

    def gradient(of_input: bool) -> object:
        return torch.ops.aten.convolution_backward(
            maps, maps, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1,
            [of_input, not of_input, False],
        )  # fmt: skip

    with torch.no_grad():
        return {
            "forward": median(lambda: torch.conv2d(maps, weight, padding=1)),
            "at its input": median(lambda: gradient(of_input=True)),
            "at its weights": median(lambda: gradient(of_input=False)),
        }


def median(call: Callable[[], object], repetitions: int = 5) -> float:
    """Return the median seconds of a call, after one that is not counted."""
    seconds = []
    for _ in range(1 + repetitions):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def show(name: str, seconds: Counter[str], whole: float, floor: dict[str, float]) -> None:
    """Print the shares of an iteration, and torch's own convolutions beside them."""
    table = Table("", "s", "share", title=f"{name}: {whole:.2f} s an iteration under the profiler")
    for kind, spent in seconds.most_common():
        table.add_row(kind, f"{spent:.3f}", f"{spent / seconds.total():.0%}")
    for kind, spent in floor.items():
        table.add_row(f"for comparison: torch's 3 × 3 convolution, {kind}", f"{spent:.3f}", "")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
