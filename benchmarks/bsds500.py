"""Agreement with people on BSDS500: ours, by any settings, beside other methods.

python -m benchmarks.bsds500 --root BSDS500 --limit 10
python -m benchmarks.bsds500 --root BSDS500 --limit 10 --set settle=0 --at 30 --at 50

Rows named by a number are the clusters' connected components at that iteration, "end" those of the
last; "segments" is the hierarchy cut at its default level. gPb-owt-ucm is there if ROOT has ucm2/.
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
from skimage.measure import label
from skimage.segmentation import felzenszwalb
from skimage.transform import downscale_local_mean, resize

from benchmarks.metrics import Agreement, average_precision, compare, covering, mean_f
from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.segments import connected_components

# the best of one value for all images of val
FELZENSZWALB = 500
GPB_LEVEL = 0.12


def main(
    root: Annotated[Path, typer.Option(help="Folder with images/SPLIT and groundTruth/SPLIT.")],
    split: str = "val",
    limit: Annotated[int, typer.Option(help="Take this many images, evenly spread.")] = 0,
    downsample: Annotated[int, typer.Option(help="Average over squares of this side.")] = 1,
    at: Annotated[list[int], typer.Option(help="Iterations to judge as well.")] = [],  # noqa: B006
    set_: Annotated[list[str], typer.Option("--set", help="A setting, as NAME=VALUE.")] = [],  # noqa: B006
    json_: Annotated[Path | None, typer.Option("--json", help="Write the table here.")] = None,
) -> None:
    """Segment each image and print AP, F and covering of each method."""
    settings = Settings.from_dict(
        {name: json.loads(value) for name, value in (pair.split("=") for pair in set_)}
    )
    paths = sorted((root / "images" / split).glob("*.jpg"))
    if limit:
        paths = [paths[i] for i in np.linspace(0, len(paths) - 1, limit).round().astype(int)]
    judged: dict[int | str, list[Agreement]] = {}
    steps: list[tuple[int, int]] = []
    for path in track(paths, console=Console(stderr=True)):
        image = imread(path)
        annotations = read_annotations(root / "groundTruth" / split / f"{path.stem}.mat")

        def judge_as(name: int | str, segments: np.ndarray) -> None:
            full = resize(segments, annotations[0].shape, order=0, preserve_range=True)  # noqa: B023
            judged.setdefault(name, []).append(compare(full, annotations))  # noqa: B023

        ucm = root / "ucm2" / split / f"{path.stem}.mat"
        judge_as("Felzenszwalb", felzenszwalb(image, scale=FELZENSZWALB, sigma=0.5, min_size=20))
        if ucm.exists():
            judge_as("gPb-owt-ucm", read_ucm(ucm))
        seen = set()
        segmenter = Segmenter(settings)
        for step in segmenter.steps(shrink(image, downsample)):
            if step.iteration in at and step.iteration not in seen:
                judge_as(step.iteration, connected_components(step.labels))
                seen.add(step.iteration)
        judge_as("end", connected_components(step.labels))
        judge_as("segments", segmenter.hierarchy_.cut())
        steps.append((step.iteration, step.n_clusters))
    rows = [{"method": name, **judge(found)} for name, found in judged.items()]
    iterations, clusters = np.mean(steps, axis=0).tolist()
    report = {
        "images": len(paths),
        "downsample": downsample,
        "settings": settings.to_dict(),
        "iterations": iterations,
        "clusters": clusters,
        "rows": rows,
    }
    show(report)
    if json_:
        json_.write_text(json.dumps(report, indent=1))


def read_annotations(path: Path) -> list[np.ndarray]:
    """Read every annotator's segments from a ground-truth file of BSDS500."""
    cells = loadmat(path)["groundTruth"][0]
    return [cell["Segmentation"][0, 0].astype(np.int64) for cell in cells]


def read_ucm(path: Path) -> np.ndarray:
    """Return the segments of a gPb-owt-ucm hierarchy, cut at one level for all images."""
    # the borders lie between pixels, in a map of twice the size
    inside = loadmat(path)["ucm2"] <= GPB_LEVEL
    return label(inside, connectivity=1)[1::2, 1::2]


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
    table = Table(
        title=f"{report['images']} images; ours: {report['iterations']:.0f} iterations, "
        f"{report['clusters']:.1f} clusters"
    )
    for name in report["rows"][0]:
        table.add_column(name, justify="right")
    for row in report["rows"]:
        table.add_row(
            *(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values())
        )
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
