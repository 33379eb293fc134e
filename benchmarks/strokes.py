"""Five strokes on nuclei and particle images: what they change, beside other uses of them.

python -m benchmarks.strokes --root DATA
python -m benchmarks.strokes --root DATA --limit 4 --set stroke_weight=2 --json out.json
"""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from imageio.v3 import imread
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from scipy.spatial import KDTree
from skimage.draw import line
from skimage.filters import gaussian
from skimage.segmentation import random_walker

from benchmarks.metrics import dice
from benchmarks.microscopy import SCORES, find_images, judge, show
from benchmarks.options import SetOption, settings_from
from napari_unsupseg import Segmenter

__all__ = ["draw_strokes", "nearest_pixels", "walk"]

BACKGROUND, FOREGROUND = 1, 2
STROKES = (FOREGROUND, BACKGROUND, FOREGROUND, BACKGROUND, FOREGROUND)
LONGEST = 40  # pixels
TRIES = 50
BLURS = (0, 1, 2, 4)  # pixels; a pixel's features are its intensities after each
NEIGHBOURS = 5


def main(
    root: Annotated[
        Path, typer.Option(help="Folder with nuclei/ and particles/: NAME.png, NAME_instances.png.")
    ],
    limit: Annotated[int, typer.Option(help="Take this many images of each group.")] = 0,
    without: Annotated[bool, typer.Option(help="Measure runs without strokes too.")] = True,
    preset: str = "standard",
    set_: SetOption = [],  # noqa: B006
    json_: Annotated[Path | None, typer.Option("--json", help="Write the table here.")] = None,
) -> None:
    """Print Dice and AP as `benchmarks.microscopy` does, and Dice of the best label alone."""
    settings = settings_from(preset, set_)
    groups = {name: paths[: limit or None] for name, paths in find_images(root).items()}
    tasks = [(group, path) for group, paths in groups.items() for path in paths]
    found: dict[str, dict[str, list[tuple[float, ...]]]] = {}
    for group, path in track(tasks, console=Console(stderr=True)):
        image = imread(path)
        instances = imread(path.with_name(f"{path.stem}_instances.png"))
        strokes = draw_strokes(instances)
        segmenter = Segmenter(settings)
        labels = {
            "random walker": walk(image, strokes),
            "nearest stroked pixels": nearest_pixels(image, strokes),
            "ours": segmenter.fit(image, strokes=strokes).labels_,
        }
        if without:
            labels["ours, no strokes"] = segmenter.fit(image).labels_
        for name, one in labels.items():
            scores = (*judge(one, instances), best_label(one, instances > 0))
            found.setdefault(name, {}).setdefault(group, []).append(scores)
    rows = {
        name: {
            group: dict(zip((*SCORES, "one label"), np.mean(scores, axis=0).tolist(), strict=True))
            for group, scores in by_group.items()
        }
        for name, by_group in found.items()
    }
    show(rows, {group: len(paths) for group, paths in groups.items()})
    if json_:
        json_.write_text(json.dumps({"settings": settings.to_dict(), "rows": rows}, indent=1))


def best_label(labels: NDArray[np.integer], truth: NDArray[np.bool_]) -> float:
    """Return the Dice of the one label that is most like the foreground."""
    return max(dice(labels == label, truth) for label in np.unique(labels))


def walk(image: NDArray[np.uint8], strokes: NDArray[np.uint8]) -> NDArray[np.integer]:
    """Label pixels by the stroke that a random walker from them reaches first."""
    channel_axis = -1 if image.ndim == 3 else None
    # only which probability is greatest matters, not that all of them end within 0 to 1
    return random_walker(image / 255, strokes, mode="cg_j", prob_tol=1, channel_axis=channel_axis)


def nearest_pixels(image: NDArray[np.uint8], strokes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Label pixels by most of the stroked pixels whose blurred intensities are nearest."""
    channels = np.atleast_3d(image).astype(np.float32)
    features = np.concatenate([gaussian(channels, s, channel_axis=-1) for s in BLURS], axis=-1)
    drawn = strokes > 0
    _, nearest = KDTree(features[drawn]).query(features.reshape(-1, features.shape[-1]), NEIGHBOURS)
    share = (strokes[drawn][nearest] == FOREGROUND).mean(axis=1).reshape(strokes.shape)
    return np.where(share > 0.5, FOREGROUND, BACKGROUND).astype(np.uint8)


def draw_strokes(instances: NDArray[np.integer], seed: int = 0) -> NDArray[np.uint8]:
    """Draw short straight lines inside objects and on the background, as a user might.

    Parameters
    ----------
    instances : ndarray of int, shape (Y, X)
        Objects, one id each, 0 for the background.
    seed : int
        Decides which objects and where.

    Returns
    -------
    ndarray of uint8, shape (Y, X)
        1 on strokes on the background, 2 inside objects, 0 where nothing is drawn.
    """
    random = np.random.default_rng(seed)
    strokes = np.zeros(instances.shape, dtype=np.uint8)
    objects = random.permutation(np.setdiff1d(instances, 0)).tolist()
    for index, label in enumerate(STROKES):
        owner = objects[index % len(objects)] if label == FOREGROUND else 0
        strokes[_longest_line(instances == owner, random)] = label
    return strokes


def _longest_line(
    region: NDArray[np.bool_], random: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the pixels of the longest of some random lines that lie in a region."""
    pixels = np.argwhere(region)
    best = tuple(random.choice(pixels)[:, np.newaxis])
    for _ in range(TRIES):
        first = random.choice(pixels)
        near = pixels[np.abs(pixels - first).max(axis=1) < LONGEST]
        pixel = line(*first, *random.choice(near))
        if region[pixel].all() and len(pixel[0]) > len(best[0]):
            best = pixel
    return best


if __name__ == "__main__":
    typer.run(main)
