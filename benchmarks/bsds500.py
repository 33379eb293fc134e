"""Agreement with people on BSDS500, for any settings, at the end of a run and on its way.

python -m benchmarks.bsds500 --root BSDS500 --limit 10
python -m benchmarks.bsds500 --root BSDS500 --limit 10 --set settle=0 --at 30 --at 50
"""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from imageio.v3 import imread
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.io import loadmat
from skimage.transform import downscale_local_mean, resize

from benchmarks.metrics import Agreement, average_precision, compare, covering, mean_f
from napari_unsupseg import Segmenter, Settings, Step
from napari_unsupseg.segments import connected_components


def main(
    root: Annotated[Path, typer.Option(help="Folder with images/SPLIT and groundTruth/SPLIT.")],
    split: str = "val",
    limit: Annotated[int, typer.Option(help="Take this many images, evenly spread.")] = 0,
    downsample: Annotated[int, typer.Option(help="Average over squares of this side.")] = 1,
    at: Annotated[list[int], typer.Option(help="Iterations to judge as well.")] = [],  # noqa: B006
    set_: Annotated[list[str], typer.Option("--set", help="A setting, as NAME=VALUE.")] = [],  # noqa: B006
    json_: Annotated[Path | None, typer.Option("--json", help="Write the table here.")] = None,
) -> None:
    """Train on each image and print AP, F and covering of the clusters' connected components."""
    settings = Settings.from_dict(
        {name: json.loads(value) for name, value in (pair.split("=") for pair in set_)}
    )
    paths = sorted((root / "images" / split).glob("*.jpg"))
    if limit:
        paths = [paths[i] for i in np.linspace(0, len(paths) - 1, limit).round().astype(int)]
    judged: dict[int | str, Judged] = {key: Judged() for key in [*at, "end"]}
    for path in track(paths, console=Console(stderr=True)):
        annotations = read_annotations(root / "groundTruth" / split / f"{path.stem}.mat")
        seen = set()
        for step in Segmenter(settings).steps(shrink(imread(path), downsample)):
            if step.iteration in at and step.iteration not in seen:
                judged[step.iteration].add(step, annotations)
                seen.add(step.iteration)
        judged["end"].add(step, annotations)
    rows = [{"iteration": key, **found.scores()} for key, found in judged.items() if found.steps]
    report = {
        "images": len(paths),
        "downsample": downsample,
        "settings": settings.to_dict(),
        "rows": rows,
    }
    show(report)
    if json_:
        json_.write_text(json.dumps(report, indent=1))


class Judged:
    """Labels of many images, each at one point of its run."""

    def __init__(self) -> None:
        self.agreements: list[Agreement] = []
        self.steps: list[tuple[int, int]] = []

    def add(self, step: Step, annotations: list[np.ndarray]) -> None:
        """Compare one image's labels with people's segments."""
        full = resize(step.labels, annotations[0].shape, order=0, preserve_range=True)
        segments = connected_components(full.astype(step.labels.dtype))
        self.agreements.append(compare(segments, annotations))
        self.steps.append((step.iteration, step.n_clusters))

    def scores(self) -> dict[str, float]:
        """Return every score over the images."""
        means = zip(("iterations", "clusters"), np.mean(self.steps, axis=0).tolist(), strict=True)
        return judge(self.agreements) | dict(means) | {"images": len(self.steps)}


def read_annotations(path: Path) -> list[np.ndarray]:
    """Read every annotator's segments from a ground-truth file of BSDS500."""
    cells = loadmat(path)["groundTruth"][0]
    return [cell["Segmentation"][0, 0].astype(np.int64) for cell in cells]


def shrink(image: np.ndarray, factor: int) -> np.ndarray:
    """Average an 8-bit RGB image over squares."""
    if factor == 1:
        return image
    return downscale_local_mean(image, (factor, factor, 1)).round().astype(np.uint8)


def judge(agreements: list[Agreement]) -> dict[str, float]:
    """Return every score of a method over many images."""
    return {
        "AP .5": average_precision(agreements, 0.5),
        "AP .7": average_precision(agreements, 0.7),
        "F .5": mean_f(agreements, 0.5),
        "F .7": mean_f(agreements, 0.7),
        "covering": covering(agreements),
        "segments": float(np.mean([agreement.areas.size for agreement in agreements])),
    }


def show(report: dict[str, Any]) -> None:
    """Print a report as a table."""
    table = Table(title=f"{report['images']} images, {report['settings']}")
    for name in report["rows"][0]:
        table.add_column(name, justify="right")
    for row in report["rows"]:
        table.add_row(
            *(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values())
        )
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
