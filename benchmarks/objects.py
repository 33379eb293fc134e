"""Single objects in nuclei and particle images, which nobody has labelled, beside other methods.

python -m benchmarks.objects --root DATA
python -m benchmarks.objects --root DATA --seeds 3 --json out.json

No method is told anything of an image: thresholds take the side with fewer pixels for the objects.
Beside ours: how well its scores tell right objects from wrong ones.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from imageio.v3 import imread
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from scipy import ndimage
from skimage.color import rgb2gray
from skimage.feature import blob_log, peak_local_max
from skimage.filters import threshold_li, threshold_local, threshold_otsu
from skimage.measure import label
from skimage.segmentation import watershed

from benchmarks.metrics import dice, match_objects, roc_auc
from benchmarks.microscopy import SPECK, find_images, show
from benchmarks.options import SetOption, settings_from
from napari_unsupseg import Segmenter

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Objects = NDArray[np.integer]

THRESHOLDS = np.arange(0.5, 1, 0.05)
SCORES = ("AP .5", "F1 .7", "mean F1", "Dice", "count")
APART = (3, 5, 10, 20)  # pixels between maxima of the distance, of which the best is shown
BLOCK = 101  # pixels a side that a local threshold looks at


def main(
    root: Annotated[
        Path, typer.Option(help="Folder with nuclei/ and particles/: NAME.png, NAME_instances.png.")
    ],
    seeds: Annotated[int, typer.Option(min=1, help="Runs of ours of each image.")] = 3,
    limit: Annotated[int, typer.Option(help="Take this many images of each group.")] = 0,
    baselines: Annotated[bool, typer.Option(help="Measure the other methods too.")] = True,
    preset: str = "standard",
    set_: SetOption = [],  # noqa: B006
    json_: Annotated[Path | None, typer.Option("--json", help="Write the table here.")] = None,
) -> None:
    """Print how well each method finds objects, the median of found over true ones, and our AUC."""
    groups = {name: paths[: limit or None] for name, paths in find_images(root).items()}
    tasks = [(group, path) for group, paths in groups.items() for path in paths]
    found: dict[str, dict[str, list[list[float]]]] = {}
    scored: dict[str, list[tuple[Floats, Mask]]] = {group: [] for group in groups}
    for group, path in track(tasks, console=Console(stderr=True)):
        image = imread(path)
        instances = imread(path.with_name(f"{path.stem}_instances.png"))
        objects = {name: method(image) for name, method in OTHERS.items() if baselines}
        for seed in range(seeds):
            settings = settings_from(preset, [*set_, f"seed={seed}"])
            hierarchy = Segmenter(settings).fit(image).hierarchy_
            ours = objects[f"ours, seed {seed}"] = hierarchy.objects()
            scored[group].append(score(hierarchy.score_objects(ours)["score"], ours, instances))
        for name, one in objects.items():
            found.setdefault(name, {}).setdefault(group, []).append(judge(one, instances))
    rows = {
        name: {group: summarize(scores) for group, scores in by_group.items()}
        for name, by_group in found.items()
    }
    show(rows, {group: len(paths) for group, paths in groups.items()})
    aucs = {
        group: roc_auc(*map(np.concatenate, zip(*pairs, strict=True)))
        for group, pairs in scored.items()
        if pairs
    }
    Console().print(
        "AUC of our scores: " + ", ".join(f"{group} {auc:.3f}" for group, auc in aucs.items())
    )
    if json_:
        report = {"preset": preset, "set": set_, "rows": rows, "score AUC": aucs}
        json_.write_text(json.dumps(report, indent=1))


def score(scores: Floats, objects: Objects, instances: Objects) -> tuple[Floats, Mask]:
    """Return the scores of the objects that count, and whether each of these is a true one."""
    counts = np.bincount(objects.ravel(), minlength=len(scores) + 1)[1:] >= SPECK
    return scores[counts], match_objects(objects, instances, SPECK).is_right


def judge(objects: Objects, instances: Objects) -> list[float]:
    """Return AP .5, F1 at .7, the mean of F1 from .5 to .95, Dice, and found over true objects."""
    matches = match_objects(objects, instances, SPECK)
    return [
        matches.ap(),
        matches.f1(0.7),
        float(np.mean([matches.f1(threshold) for threshold in THRESHOLDS])),
        dice(objects > 0, instances > 0),
        matches.n_found / max(matches.n_true, 1),
    ]


def summarize(scores: list[list[float]]) -> dict[str, float]:
    """Return the means over images; of counts the median, since one image can have thousands."""
    *means, _ = np.mean(scores, axis=0).tolist()
    counts = [count for *_, count in scores]
    return dict(zip(SCORES, [*means, float(np.median(counts))], strict=True))


def threshold(image: Image, find: Callable[[Image], float | Image]) -> Mask:
    """Return the pixels on the side of a threshold that has fewer."""
    grey = rgb2gray(image) if image.ndim == 3 else image / 255
    bright: Mask = grey > find(grey)
    return bright if bright.mean() <= 0.5 else ~bright


def split_by_distance(mask: Mask, apart: int) -> Objects:
    """Split objects by a watershed from the maxima of the distance to the outside."""
    distance = ndimage.distance_transform_edt(mask)
    peaks = peak_local_max(distance, min_distance=apart, labels=label(mask), exclude_border=False)
    markers = np.zeros(mask.shape, int)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return watershed(-distance, markers, mask=mask)


def split_by_blobs(image: Image) -> Objects:
    """Split the foreground of Otsu's threshold by a watershed from blobs of many sizes."""
    mask = threshold(image, threshold_otsu)
    grey = rgb2gray(image) if image.ndim == 3 else image / 255
    is_bright = grey[mask].mean() > grey[~mask].mean() if mask.any() else True
    blobs = blob_log(grey if is_bright else 1 - grey, min_sigma=3, max_sigma=20, num_sigma=8)
    markers = np.zeros(mask.shape, int)
    places = blobs[:, :2].astype(int)
    markers[tuple(places.T)] = np.arange(1, len(places) + 1)
    return watershed(-ndimage.distance_transform_edt(mask), markers, mask=mask)


def local(grey: Image) -> Image:
    """Return a threshold that follows uneven ground."""
    return threshold_local(grey, BLOCK)


OTHERS: dict[str, Callable[[Image], Objects]] = {
    "Otsu": lambda image: label(threshold(image, threshold_otsu)),
    "Li": lambda image: label(threshold(image, threshold_li)),
    "local threshold": lambda image: label(threshold(image, local)),
    "Otsu, LoG blobs": split_by_blobs,
    **{
        f"Otsu, watershed {apart}": (
            lambda image, apart=apart: split_by_distance(threshold(image, threshold_otsu), apart)
        )
        for apart in APART
    },
}

if __name__ == "__main__":
    typer.run(main)
