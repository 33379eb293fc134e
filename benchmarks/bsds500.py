"""Agreement with people on BSDS500: ours, by any settings, beside other methods.

python -m benchmarks.bsds500 --root BSDS500 --limit 20
python -m benchmarks.bsds500 --root BSDS500 --workers 2 --keep DONE --curves curves.png
python -m benchmarks.bsds500 --root BSDS500 --limit 10 --set settle=0 --at 30 --at 50
python -m benchmarks.bsds500 --root BSDS500 --limit 10 --paper --keep DONE --curves curves.png

"ours, segments" is the hierarchy cut at a level, "ours, clusters" the connected components of the
clusters at an iteration. gPb-owt-ucm is there if ROOT has ucm2/. What DONE holds is not made again:
a run by the defaults as long as the package is the same, one by a paper's preset, each image and M
by itself, as long as its rooms `image` and `learning` are. Matching boundaries takes most of the
time, and is left out unless --boundaries asks for it.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import joblib
import numpy as np
import typer
from imageio.v3 import imread
from matplotlib import colormaps
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.io import loadmat
from skimage.measure import label
from skimage.segmentation import felzenszwalb
from skimage.transform import downscale_local_mean, resize

import napari_unsupseg
from benchmarks.baselines import k_means, otsu, slic_linkage
from benchmarks.boundaries import BoundaryMatches, boundary_average_precision, match_boundaries
from benchmarks.metrics import (
    Agreement,
    PrecisionRecall,
    average_precision,
    compare,
    coverings,
    f_measures,
    mean_iou,
    precision_recall,
)
from benchmarks.options import SetOption, settings_from
from napari_unsupseg import Hierarchy, Segmenter, Settings
from napari_unsupseg.regions.labels import connected_components


class Judgement(NamedTuple):
    """How one image's segments agree with people's.

    Attributes
    ----------
    agreement : Agreement
        Of the segments.
    boundaries : BoundaryMatches or None
        Of their boundaries, if these were matched.
    """

    agreement: Agreement
    boundaries: BoundaryMatches | None


class OwnRun(NamedTuple):
    """A run of ours, and what of it is judged.

    Attributes
    ----------
    name : str
        What its rows are called.
    values : dict
        Settings by name.
    downsample : int
        Side of the squares that the image is averaged over.
    at : tuple of int
        Iterations whose clusters are judged as well as the last.
    levels : tuple of float
        Granularities at which segments are judged.
    code : str
        The `fingerprint` of the code that decides what comes out.
    """

    name: str
    values: dict[str, Any]
    downsample: int
    at: tuple[int, ...]
    levels: tuple[float, ...]
    code: str


# by method and by what it was given: a scale, a level, an iteration, k
Judged = dict[tuple[str, float], Judgement]
Judge = Callable[[np.ndarray], Judgement]

SCALES = (100, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 5000, 10_000, 20_000)
CLASSES = (2, 3, 4)
FURTHEST = (20, 30, 40, 50, 60, 80)
GPB_LEVELS = tuple(np.linspace(0.02, 0.4, 20).round(2).tolist())
LEVELS = tuple(np.linspace(0.05, 0.95, 19).round(2).tolist())
OURS = ("ours, segments", Hierarchy.default_granularity)
RIVALS = ("Felzenszwalb", "gPb-owt-ucm")
MEASURES = ("AP .5", "AP .7", "F .5", "F .7", "mIoU", "fine", "coarse", "covering")
FIELD = ("covering", "PRI", "VI", "F_op", "F_b")
WINDOWS = (1, 3, 5, 7)
MEANS = range(2, 21)
PAPER_COMPONENTS = range(1, 6)


def main(
    root: Annotated[Path, typer.Option(help="Folder with images/SPLIT and groundTruth/SPLIT.")],
    split: str = "val",
    limit: Annotated[int, typer.Option(help="Take this many images, evenly spread.")] = 0,
    downsample: Annotated[int, typer.Option(help="Average over squares of this side.")] = 1,
    at: Annotated[list[int], typer.Option(help="Iterations to judge as well.")] = [],  # noqa: B006
    preset: str = "standard",
    set_: SetOption = [],  # noqa: B006
    paper: Annotated[
        bool,
        typer.Option("--paper", help="The papers' rows too: k-means, M = 1…5 and continuity."),
    ] = False,
    boundaries: Annotated[
        bool, typer.Option("--boundaries", help="Match boundaries too, for F_b.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes; each takes an image at a time.")] = 1,
    keep: Annotated[Path | None, typer.Option(help="Folder that keeps what is done.")] = None,
    curves: Annotated[Path | None, typer.Option(help="Draw precision over recall here.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write all scores here.")] = None,
) -> None:
    """Segment each image and print AP, F, IoU and covering of each method."""
    settings = settings_from(preset, set_)
    paths = sorted((root / "images" / split).glob("*.jpg"))
    if not paths:
        raise typer.BadParameter(f"{root / 'images' / split} has no *.jpg")
    if limit:
        paths = [paths[i] for i in np.linspace(0, len(paths) - 1, limit).round().astype(int)]
    runs = [
        OwnRun("ours", settings.to_dict(), downsample, tuple(at), LEVELS, fingerprint()),
        *(paper_runs(set_, downsample) if paper else ()),
    ]
    memory = joblib.Memory(keep, verbose=0)
    work = joblib.delayed(judge_image)
    tasks = (work(memory, path, runs, paper, boundaries) for path in paths)
    of_images = joblib.Parallel(workers, return_as="generator")(tasks)
    found: dict[tuple[str, float], list[Judgement]] = {}
    for judged in track(of_images, total=len(paths), console=Console(stderr=True)):
        for key, judgement in judged.items():
            found.setdefault(key, []).append(judgement)
    rows = [score(method, value, judgements) for (method, value), judgements in found.items()]
    report = {
        "images": [path.stem for path in paths],
        "downsample": downsample,
        "settings": settings.to_dict(),
        "rows": rows,
        "methods": best_levels(found),
    }
    shown = [row for row in rows if is_shown(row, rows)]
    best = [best_row(method, rows) for method in (*RIVALS, OURS[0]) if method in report["methods"]]
    show([*shown, *best], len(paths))
    show_field(rows, report["methods"])
    if curves:
        draw_curves({(row["method"], row["at"]) for row in shown}, found, curves)
    if json_:
        json_.write_text(json.dumps(report, indent=1))


def paper_runs(pairs: list[str], downsample: int) -> list[OwnRun]:
    """Return the runs of the papers: Algorithm 1 of 2018 by M, and continuity of 2020."""
    variants = {f"M = {m}": ("paper-2018", {"components": m}) for m in PAPER_COMPONENTS}
    variants["continuity"] = ("paper-2020", {})
    code = fingerprint("image", "learning")
    runs = []
    for name, (preset, changed) in variants.items():
        values = settings_from(preset, pairs).to_dict() | changed
        values["superpixels"] //= downsample**2  # each of as many pixels as at full size
        runs.append(OwnRun(name, values, downsample, (), (), code))
    return runs


def judge_image(
    memory: joblib.Memory, path: Path, runs: Sequence[OwnRun], means: bool, boundaries: bool
) -> Judged:
    """Compare every method's segments of an image with people's, unless that was done before."""
    judged: Judged = memory.cache(judge_others)(path, boundaries)
    if means:
        judged |= memory.cache(judge_means)(path, boundaries)
    for run in runs:
        judged |= memory.cache(judge_ours)(run, path, boundaries)
    return judged


def judge_by(path: Path, boundaries: bool) -> Judge:
    """Return what judges segments of an image."""
    annotations = read_annotations(path)

    def judge(segments: np.ndarray) -> Judgement:
        return Judgement(
            compare(segments, annotations),
            match_boundaries(segments, annotations) if boundaries else None,
        )

    return judge


def judge_others(path: Path, boundaries: bool) -> Judged:
    """Judge the methods that are not ours."""
    image, judge = imread(path), judge_by(path, boundaries)
    judged = {
        ("Felzenszwalb", float(scale)): judge(
            felzenszwalb(image, scale=scale, sigma=0.5, min_size=20)
        )
        for scale in SCALES
    }
    for classes in CLASSES:
        judged["multi-Otsu", classes] = judge(connected_components(otsu(image, classes) + 1))
    for furthest in FURTHEST:
        judged["SLIC, average linkage", furthest] = judge(slic_linkage(image, furthest=furthest))
    ucm = beside(path, "ucm2")
    if ucm.exists():
        for level in GPB_LEVELS:
            judged["gPb-owt-ucm", level] = judge(read_ucm(ucm, level))
    return judged


def judge_means(path: Path, boundaries: bool) -> Judged:
    """Judge the connected components of k-means."""
    image, judge = imread(path), judge_by(path, boundaries)
    return {
        (f"k-means, α = {window}", float(k)): judge(
            connected_components(k_means(image, k, window) + 1)
        )
        for window in WINDOWS
        for k in MEANS
    }


def judge_ours(run: OwnRun, path: Path, boundaries: bool) -> Judged:
    """Judge a run: its clusters at some iterations and at the end, its segments at some levels."""
    image, judge = imread(path), judge_by(path, boundaries)
    judged: Judged = {}

    def judge_as(kind: str, value: float, segments: np.ndarray) -> None:
        full = resize(segments, image.shape[:2], order=0, preserve_range=True)
        judged[f"{run.name}, {kind}", value] = judge(full)

    segmenter = Segmenter(Settings.from_dict(run.values))
    for step in segmenter.steps(average_squares(image, run.downsample)):
        if step.iteration in run.at:
            judge_as(f"clusters at {step.iteration}", 0, connected_components(step.labels))
    judge_as("clusters", 0, connected_components(step.labels))
    for level in run.levels:
        judge_as("segments", level, segmenter.hierarchy_.cut(granularity=level))
    return judged


def fingerprint(*rooms: str) -> str:
    """Return what changes whenever the code of some rooms of the package does, or of them all."""
    package = Path(napari_unsupseg.__file__).parent
    sources = sorted(path for room in rooms or ("",) for path in (package / room).rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def beside(path: Path, kind: str) -> Path:
    """Return the file of another kind that belongs to an image."""
    return path.parents[2] / kind / path.parent.name / f"{path.stem}.mat"


def read_annotations(path: Path) -> list[np.ndarray]:
    """Read every annotator's segments of an image of BSDS500."""
    cells = loadmat(beside(path, "groundTruth"))["groundTruth"][0]
    return [cell["Segmentation"][0, 0].astype(np.int64) for cell in cells]


def read_ucm(path: Path, level: float) -> np.ndarray:
    """Return the segments of a gPb-owt-ucm hierarchy, cut at a level."""
    # the borders lie between pixels, in a map of twice the size
    return label(loadmat(path)["ucm2"] <= level, connectivity=1)[1::2, 1::2]


def average_squares(image: np.ndarray, factor: int) -> np.ndarray:
    """Average an 8-bit RGB image over squares."""
    if factor == 1:
        return image
    return downscale_local_mean(image, (factor, factor, 1)).round().astype(np.uint8)


def score(method: str, value: float, judgements: Sequence[Judgement]) -> dict[str, Any]:
    """Return every score of a method over many images."""
    agreements = [judgement.agreement for judgement in judgements]
    return {
        "method": method,
        "at": value,
        "AP .5": average_precision(agreements, 0.5),
        "AP .7": average_precision(agreements, 0.7),
        "F .5": float(f_measures(agreements, 0.5).mean()),
        "F .7": float(f_measures(agreements, 0.7).mean()),
        "mIoU": mean_iou(agreements),
        "fine": mean_iou(agreements, "fine"),
        "coarse": mean_iou(agreements, "coarse"),
        "segments": float(np.mean([agreement.areas.size for agreement in agreements])),
        "F .5 of each image": f_measures(agreements, 0.5).tolist(),
    } | field_scores(judgements)


def field_scores(judgements: Sequence[Judgement]) -> dict[str, float]:
    """Return the scores that the field reports, of one segmentation of each image.

    Precision and recall of objects and parts are averaged over images, and boundaries added up.
    """
    agreements = [judgement.agreement for judgement in judgements]
    scores = {
        "covering": float(coverings(agreements).mean()),
        "PRI": float(np.mean([agreement.rand_index for agreement in agreements])),
        "VI": float(np.mean([agreement.variation_of_information for agreement in agreements])),
        "F_op": mean_objects_and_parts(agreements).f,
    }
    if judgements[0].boundaries is not None:
        scores["F_b"] = boundary_curve_point(judgements).f
    return scores


def mean_objects_and_parts(agreements: Sequence[Agreement]) -> PrecisionRecall:
    """Return the means over images."""
    found = [agreement.objects_and_parts for agreement in agreements]
    return PrecisionRecall(*np.mean(found, axis=0).tolist())


def boundary_curve_point(judgements: Sequence[Judgement]) -> PrecisionRecall:
    """Return precision and recall of the boundaries of all images."""
    counts = np.sum([judgement.boundaries for judgement in judgements], axis=0)
    return BoundaryMatches(*counts.tolist()).precision_recall


def best_levels(
    found: dict[tuple[str, float], list[Judgement]],
) -> dict[str, dict[str, dict[str, float]]]:
    """Return each method's scores at the level best for all images, and at each image's best."""
    by_method: dict[str, list[list[Judgement]]] = {}
    for (method, _), judgements in found.items():
        by_method.setdefault(method, []).append(judgements)
    best: dict[str, dict[str, dict[str, float]]] = {}
    for method, levels in by_method.items():
        for measure in field_scores(levels[0]):
            best.setdefault(method, {})[measure] = {
                "ODS": max((field_scores(level)[measure] for level in levels), key=better(measure)),
                "OIS": field_scores(
                    [best_of(image, measure) for image in zip(*levels, strict=True)]
                )[measure],
            }
        if levels[0][0].boundaries is not None:
            curve = [boundary_curve_point(level) for level in levels]
            best[method]["F_b"]["AP"] = boundary_average_precision(curve)
    return best


def best_of(judgements: Sequence[Judgement], measure: str) -> Judgement:
    """Return the best of one image's segmentations."""
    return max(
        judgements, key=lambda judgement: better(measure)(field_scores([judgement])[measure])
    )


def better(measure: str) -> Callable[[float], float]:
    """Return what is greater the better a score is."""
    return (lambda score: -score) if measure == "VI" else (lambda score: score)


def is_shown(row: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    """Whether a row is its method's: of ours by default, of rivals that of as many segments.

    Of all others it is that of the best AP, as in the paper.
    """
    [ours] = (r for r in rows if (r["method"], r["at"]) == OURS)
    of_method = [r for r in rows if r["method"] == row["method"]]
    if row["method"] == OURS[0]:
        return row is ours
    if row["method"] in RIVALS:
        return row is min(of_method, key=lambda r: abs(r["segments"] - ours["segments"]))
    return bool(row["AP .5"] == max(r["AP .5"] for r in of_method))


def best_row(method: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a row of the best of each measure, each at the level that is best for it."""
    of_method = [row for row in rows if row["method"] == method]
    best = {measure: max(row[measure] for row in of_method) for measure in MEASURES}
    return {"method": method, "at": "best of each", **best, "segments": "", "of each image": []}


def show(rows: list[dict[str, Any]], n_images: int) -> None:
    """Print a row a method."""
    table = Table(title=f"{n_images} images")
    names = ["method", "at", *MEASURES, "segments"]
    for name in names:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(format_cell(row[name]) for name in names))
    Console(width=160).print(table)


def show_field(rows: list[dict[str, Any]], methods: dict[str, dict[str, dict[str, float]]]) -> None:
    """Print the scores that the field reports: a row a method, and ours by default."""
    [ours] = (row for row in rows if (row["method"], row["at"]) == OURS)
    measures = [measure for measure in FIELD if measure in ours]
    table = Table(title="at the level best for all images / for each image (/ AP)")
    for name in ("method", *measures):
        table.add_column(name, justify="right")
    for method, best in methods.items():
        cells = [" / ".join(map(format_cell, best[measure].values())) for measure in measures]
        table.add_row(method, *cells)
    table.add_row(f"{OURS[0]} at {OURS[1]:g}", *(format_cell(ours[name]) for name in measures))
    Console(width=160).print(table)


def format_cell(value: str | float) -> str:
    """Return a score to three places, anything that is a level shorter."""
    return value if isinstance(value, str) else f"{value:.3f}".removesuffix(".000")


def draw_curves(
    shown: set[tuple[str, float]], found: dict[tuple[str, float], list[Judgement]], path: Path
) -> None:
    """Draw precision over recall at an IoU of one half, of objects and parts, of boundaries."""
    titles = ["segments, IoU above .5", "objects and parts"]
    if any(judgements[0].boundaries is not None for judgements in found.values()):
        titles.append("boundaries")
    figure = Figure(figsize=(7 * len(titles), 5), layout="constrained")
    segments, *others = figure.subplots(ncols=len(titles))
    colours = colormaps["tab20"].colors  # of pairs, a dark and a light one each
    for axes in (segments, *others):
        axes.set_prop_cycle(color=colours[::2] + colours[1::2])
    curves: dict[str, list[list[PrecisionRecall]]] = {}
    for (method, value), judgements in found.items():
        agreements = [judgement.agreement for judgement in judgements]
        if (method, value) in shown:
            precision, recall = precision_recall(agreements, 0.5)
            segments.plot(recall, precision, label=method)
        points = [mean_objects_and_parts(agreements)]
        if len(others) > 1:
            points.append(boundary_curve_point(judgements))
        curves.setdefault(method, []).append(points)
    for method, of_levels in curves.items():
        for axes, curve in zip(others, zip(*of_levels, strict=True), strict=True):
            precision, recall = np.transpose(curve)
            axes.plot(recall, precision, ".-", label=method)
    for axes, title in zip((segments, *others), titles, strict=True):
        axes.set(title=title, xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1))
    segments.legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    # what is kept is named after its module, and other processes have another `__main__`
    from benchmarks import bsds500

    typer.run(bsds500.main)
