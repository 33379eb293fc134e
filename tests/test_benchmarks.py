import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from imageio.v3 import imread, imwrite

pytest.importorskip("resource", reason="peak memory is read in the Unix way")

import joblib
from scipy.io import savemat

from benchmarks import (
    ablation,
    baselines,
    bsds500,
    levels,
    microscopy,
    objects,
    speed,
    stability,
    strokes,
    tune,
)
from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.regions import dissimilarity, graph_builder

from .conftest import SMALL, threads_of_torch

QUICK = [f"{name}={value}" for name, value in SMALL.items()]


def test_speed_is_measured_beside_other_methods(tmp_path, rgb, capsys):
    paths = [tmp_path / "tissue.png", tmp_path / "grey.png"]
    image = np.tile(rgb, (2, 2, 1))
    imwrite(paths[0], image)
    imwrite(paths[1], image[..., 0])
    out = tmp_path / "speed.json"
    with threads_of_torch(1):
        speed.main(images=paths, seeds=1, device="cpu", json_=out)
    report = json.loads(out.read_text())
    rows = {row["name"]: row for row in report["rows"]}
    assert rows["ours, 1 thread"]["n"] == rows["Felzenszwalb"]["n"] == 2
    for row in rows.values():
        assert 0 < row["median_s"] <= row["worst_s"]
    parts = [rows[f"{name}, 1 thread"] for name in ("first labels", "ours")]
    assert parts[0]["worst_s"] < parts[1]["worst_s"]
    assert len(report["iterations"]) in (2, 4)  # on a machine of one core, and of more
    assert "2 images" in capsys.readouterr().out


def test_what_follows_the_training_is_timed_part_by_part(tmp_path, grey, capsys):
    image, out = tmp_path / "coins.png", tmp_path / "speed.json"
    imwrite(image, grey)
    with threads_of_torch(1):
        speed.main(images=[image], seeds=2, parts=True, device="cpu", json_=out)
    report = json.loads(out.read_text())
    assert len(report["iterations"]) == 2
    rows = {row["name"]: row for row in report["rows"]}
    assert all(0 < row["cpu_median_s"] <= row["cpu_worst_s"] for row in rows.values())
    assert {row["n"] for row in rows.values()} == {2}
    seconds = {name: row["cpu_median_s"] for name, row in rows.items()}
    parts = ("its fragments", "the graph of these", "their merges, eigenvectors included")
    whole = seconds["the hierarchy: these four"]
    assert whole / 3 < sum(seconds[name] for name in parts) < 3 * whole
    assert "1 images" in capsys.readouterr().out


def test_runs_are_compared_by_seed_noise_and_crop(tmp_path, rgb, capsys):
    image, out = tmp_path / "tissue.png", tmp_path / "stability.json"
    imwrite(image, rgb)
    stability.main(images=[image], seeds=2, set_=QUICK, json_=out)
    report = json.loads(out.read_text())
    assert report["iterations"] == [SMALL["iterations"]] * 2
    (of_kinds,) = report["errors"]
    assert set(of_kinds) == {"clusters", "segments"}
    for errors in of_kinds.values():
        assert set(errors) == {"seeds", "noise", "crop"}
        assert all(0 <= value < 1 for value in errors.values())
    assert "1 images" in capsys.readouterr().out


def test_noise_is_a_step_at_most_and_the_same_in_all_channels(rgb):
    image = np.zeros_like(rgb)
    image[32:] = 255
    steps = stability.add_noise(image).astype(int) - image
    assert set(np.unique(steps[:32])) == {0, 1}  # nothing below black
    assert set(np.unique(steps[32:])) == {-1, 0}
    assert (steps == steps[..., :1]).all()


def test_the_error_of_the_same_parts_is_0_whatever_their_numbers():
    halves = np.repeat([[1, 1, 2, 2]], 4, axis=0)
    assert stability.error(halves, 3 - halves) == 0
    assert stability.error(halves, np.ones_like(halves)) == pytest.approx(0.3636, abs=1e-4)


def test_the_stability_of_images_of_16_bits_is_not_measured(tmp_path):
    path = tmp_path / "deep.png"
    imwrite(path, np.zeros((8, 8), dtype=np.uint16))
    with pytest.raises(typer.BadParameter, match=r"deep\.png has no values of 8 bits"):
        stability.main(images=[path])


def test_a_large_image_is_the_small_one_mirrored(rgb):
    large = speed.mirrored(rgb, 150)
    assert large.shape == (150, 150, 3)
    assert (large[:64, :72] == rgb).all()
    assert (large[64:128, :72] == rgb[::-1]).all()
    assert (large[128:, 144:] == rgb[:22, :6]).all()


def write_bsds500(root, rgb, names="ab"):
    """Write photographs of which people saw a left and a right half."""
    for folder in ("images/val", "groundTruth/val", "ucm2/val"):
        (root / folder).mkdir(parents=True)
    people = np.repeat([[1] * 36 + [2] * 36], 64, axis=0)
    cells = np.empty((1, 2), dtype=object)
    for index in range(2):
        cells[0, index] = np.array([[(people,)]], dtype=[("Segmentation", object)])
    borders = np.zeros((129, 145))
    borders[:, 72] = 1  # between columns 35 and 36, where people drew it
    for name in names:
        imwrite(root / f"images/val/{name}.jpg", rgb)
        savemat(root / f"groundTruth/val/{name}.mat", {"groundTruth": cells})
        savemat(root / f"ucm2/val/{name}.mat", {"ucm2": borders})


def test_bsds500_sets_methods_beside_each_other(tmp_path, rgb, capsys, monkeypatch):
    write_bsds500(tmp_path, rgb)
    out, curves, kept = tmp_path / "out.json", tmp_path / "curves.png", tmp_path / "kept"
    options = {"root": tmp_path, "at": [2], "set_": QUICK, "keep": kept}
    bsds500.main(**options, boundaries=True, workers=2, json_=out, curves=curves)
    report = json.loads(out.read_text())
    rows = {(row["method"], row["at"]): row for row in report["rows"]}
    assert {method for method, _ in rows} == {
        "Felzenszwalb", "multi-Otsu", "SLIC, average linkage", "gPb-owt-ucm",
        "ours, clusters at 2", "ours, clusters", "ours, segments",
    }  # fmt: skip
    perfect = rows["gPb-owt-ucm", 0.12]
    assert perfect["F .5 of each image"] == [1, 1]
    assert perfect["segments"] == 2
    for score in ("AP .5", "AP .7", "F .5", "F .7", "mIoU", "fine", "coarse", *bsds500.FIELD):
        assert perfect[score] == pytest.approx(0 if score == "VI" else 1)
    assert 0 < rows["ours, segments", 0.5]["covering"] < 1
    best = report["methods"]["ours, segments"]
    found = [row for (method, _), row in rows.items() if method == "ours, segments"]
    for measure in ("covering", "PRI", "F_op", "F_b"):
        assert best[measure]["OIS"] >= best[measure]["ODS"]
        assert best[measure]["ODS"] == max(row[measure] for row in found)
    assert best["VI"]["OIS"] <= best["VI"]["ODS"] == min(row["VI"] for row in found)
    assert 0 < best["F_b"]["AP"] < 1
    assert "gPb-owt-ucm" in capsys.readouterr().out
    assert imread(curves).shape[:2] == (500, 2100)
    # once more, from what was kept: nothing is segmented
    monkeypatch.setattr(bsds500, "Segmenter", None)
    again = tmp_path / "again.json"
    bsds500.main(**options, boundaries=True, json_=again)
    assert json.loads(again.read_text()) == report


def test_bsds500_is_a_command_whose_processes_keep_what_they_made(tmp_path, rgb):
    write_bsds500(tmp_path, rgb)
    out, kept = tmp_path / "out.json", tmp_path / "kept"
    command = [sys.executable, "-m", "benchmarks.bsds500", "--root", tmp_path, "--keep", kept]
    settings = [word for pair in QUICK for word in ("--set", pair)]
    root = Path(__file__).parents[1]
    process = subprocess.run(
        [*command, "--workers", "2", "--json", out, *settings],
        cwd=root, capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert "Unable to cache" not in process.stderr
    assert json.loads(out.read_text())["images"] == ["a", "b"]
    assert len([*kept.rglob("output.pkl")]) == 4  # ours and the others, of each


def test_bsds500_has_the_papers_rows(tmp_path, rgb, monkeypatch):
    write_bsds500(tmp_path, rgb, "a")
    monkeypatch.setattr(bsds500, "PAPER_COMPONENTS", (1, 2))
    monkeypatch.setattr(bsds500, "MEANS", (2, 3))
    begun = []

    class Killed(bsds500.Segmenter):
        def __init__(self, settings):
            begun.append(settings.components)
            if len(begun) == 3:
                raise KeyboardInterrupt
            super().__init__(settings)

    monkeypatch.setattr(bsds500, "Segmenter", Killed)
    out = tmp_path / "out.json"
    options = {"root": tmp_path, "set_": QUICK, "paper": True, "keep": tmp_path / "kept"}
    with pytest.raises(KeyboardInterrupt):
        bsds500.main(**options)
    bsds500.main(**options, json_=out)
    rows = {(row["method"], row["at"]) for row in json.loads(out.read_text())["rows"]}
    assert {(f"k-means, α = {window}", k) for window in (1, 3, 5, 7) for k in (2, 3)} <= rows
    assert {("M = 1, clusters", 0), ("M = 2, clusters", 0), ("continuity, clusters", 0)} <= rows
    # our own run and that of M = 1 were kept, and M = 2 went on after the run that was lost
    assert begun == [2, 1, 2, 2, 2]


@pytest.mark.parametrize(
    ("name", "preset", "values"),
    [
        ("M = 1", "paper-2018", {"components": 1, "superpixels": 2500}),
        ("M = 5", "paper-2018", {"components": 5, "superpixels": 2500}),
        ("continuity", "paper-2020", {}),
    ],
)
def test_the_papers_runs_are_by_their_presets(name, preset, values):
    [run] = (run for run in bsds500.paper_runs(["seed=3"], downsample=2) if run.name == name)
    assert run.values == Settings.from_preset(preset, {**values, "seed": 3}).to_dict()


def test_settings_of_the_hierarchy_are_searched(tmp_path, rgb, capsys, monkeypatch):
    write_bsds500(tmp_path, rgb, "abcde")
    write_micrographs(tmp_path)
    monkeypatch.setattr(tune, "DRAWN", 4)
    monkeypatch.setattr(tune, "BEST", 2)
    before = tune.today()
    out = tmp_path / "out.json"
    tune.main(
        root=tmp_path,
        keep=tmp_path / "kept",
        generations=1,
        micrographs=tmp_path,
        without=["LABEL_CHANGE"],
        set_=QUICK,
        json_=out,
    )
    report = json.loads(out.read_text())
    assert tune.today() == before
    assert report["settings"]["today"] == [before[0] | {"LABEL_CHANGE": 0}, before[1]]
    best, _ = report["settings"]["best"]
    assert {name: value > 0 for name, value in best.items()} == {
        name: name != "LABEL_CHANGE" for name in tune.SEARCHED
    }
    assert len(report["folds"]) == 5
    for scores in report["photographs"].values():
        assert set(tune.AIMS) <= set(scores)
    for groups in report["objects"].values():
        assert set(groups) == {"fluorescence", "tissue", "particles"}
    assert "folds" in capsys.readouterr().out


def test_a_setting_is_tried_as_a_hierarchy_is_built(tmp_path, rgb):
    write_bsds500(tmp_path, rgb, "a")
    path, memory = tmp_path / "images/val/a.jpg", joblib.Memory(tmp_path / "kept", verbose=0)
    values = Settings(**SMALL).to_dict()
    photograph = tune.describe(memory, path, values, "")
    setting, level = tune.today()
    built = tune.build(memory, path, values, setting, level).cut()
    [tried] = tune.cut(photograph, setting, [level])
    assert sorted(tried.areas) == sorted(np.bincount(built.ravel())[1:])
    other = setting | {"EDGE": 0.0, "COLOUR_HISTOGRAM": 0.0}
    [tried] = tune.cut(photograph, other, [level])
    assert sorted(tried.areas) != sorted(np.bincount(built.ravel())[1:])


def test_a_cue_to_do_without_is_one_of_those_searched(tmp_path):
    with pytest.raises(typer.BadParameter, match="HUE is none of LABEL_HISTOGRAM, "):
        tune.main(root=tmp_path, keep=tmp_path, without=["HUE"])


def test_a_history_of_one_label_counts_no_labels(tmp_path, rgb, monkeypatch):
    path, memory = tmp_path / "a.png", joblib.Memory(None, verbose=0)
    imwrite(path, rgb)
    values = Settings(**SMALL).to_dict()
    without = ablation.build(memory, "one label", path, values)
    monkeypatch.setattr(dissimilarity, "LABEL_HISTOGRAM", 0.0)
    monkeypatch.setattr(dissimilarity, "LABEL_CHANGE", 0.0)
    of_colours = dissimilarity.RARITY * graph_builder.COLOUR_SHARE
    monkeypatch.setattr(dissimilarity, "RARITY", of_colours)
    monkeypatch.setattr(graph_builder, "COLOUR_SHARE", 1.0)
    uncounted = ablation.build(memory, "trained", path, values)
    for level in ablation.LEVELS:
        np.testing.assert_array_equal(
            without.cut(granularity=level), uncounted.cut(granularity=level)
        )


def test_a_fold_is_judged_by_what_is_best_for_the_others():
    def trial(*of_folds):
        scores = [{name: aim * share for name, aim in tune.AIMS.items()} for share in of_folds]
        return tune.Trial({}, np.ones(1), [scores])

    # the second is best for any four folds with the first, and worst on all the others
    trials = [trial(0.5, 0.5, 0.5, 0.5, 0.5), trial(0.9, 0.4, 0.4, 0.4, 0.4)]
    folds = tune.cross_validate(trials)
    shares = [fold["best"]["F_op"] / tune.AIMS["F_op"] for fold in folds]
    np.testing.assert_allclose(shares, [0.5, 0.4, 0.4, 0.4, 0.4])
    assert [fold["today"]["F_op"] for fold in folds] == [0.5 * tune.AIMS["F_op"]] * 5


def write_micrographs(root) -> None:
    """Write one image of each group, two bright squares each."""
    instances = np.zeros((48, 60), dtype=np.uint16)
    instances[5:20, 5:20], instances[28:42, 30:52] = 1, 2
    noise = np.random.default_rng(0).integers(-5, 6, instances.shape)
    image = (40 + noise + 150 * (instances > 0)).astype(np.uint8)
    colours = np.stack([255 - image, image, image], axis=-1)
    for name, one in (("nuclei/f", image), ("nuclei/t", colours), ("particles/p", image)):
        (root / name).parent.mkdir(exist_ok=True)
        imwrite(root / f"{name}.png", one)
        imwrite(root / f"{name}_instances.png", instances)


def test_other_labels_are_put_in_place_of_the_network_s(tmp_path, rgb, capsys):
    write_bsds500(tmp_path, rgb, "a")
    write_micrographs(tmp_path)
    out = tmp_path / "out.json"
    values = [*QUICK, "final_clusters=4"]
    ablation.main(root=tmp_path, micrographs=tmp_path, seeds=2, set_=values, json_=out)
    report = json.loads(out.read_text())
    assert {name: len(seeds) for name, seeds in report.items()} == {
        "one label": 1, "untrained": 2, "k-means": 2, "trained": 2,
    }  # fmt: skip
    for scores in (scores for seeds in report.values() for scores in seeds):
        default, best = (scores[f"photographs, {at}"] for at in ("by default", "at the best level"))
        assert default["VI"] >= best["VI"]
        assert all(0 <= default[name] <= best[name] <= 1 for name in ("AP .5", "F .7", "covering"))
        for group in ("fluorescence", "tissue", "particles"):
            assert scores[f"{group}, clusters"]["Dice"] > 0.99  # there are two bright squares
            assert scores[f"{group}, objects"]["AP .5"] == scores[f"{group}, objects"]["count"] == 1
    assert "tissue, objects" in capsys.readouterr().out


def test_histories_are_what_they_are_called(tmp_path, rgb, grey):
    for name, image in (("rgb", rgb), ("grey", grey)):
        path = tmp_path / f"{name}.png"
        imwrite(path, image)
        values = Settings(**SMALL).to_dict()
        made = {name: make(path, values, "") for name, make in ablation.HISTORIES.items()}
        first, *_, last = Segmenter(Settings(**SMALL)).steps(image)
        np.testing.assert_array_equal(made["untrained"], [first.labels])
        np.testing.assert_array_equal(made["trained"][-1], last.labels)
        assert (made["one label"][0] == 1).all()
        assert [one.max() for one in made["k-means"]] == list(ablation.MEANS)
        assert all(one.shape == image.shape[:2] and one.min() == 1 for one in made["k-means"])
        others = ablation.means(path, values | {"seed": 1}, "")
        assert (others[0] != made["k-means"][0]).any()


def test_microscopy_sets_methods_beside_each_other(tmp_path, capsys):
    write_micrographs(tmp_path)
    out = tmp_path / "out.json"
    microscopy.main(root=tmp_path, set_=QUICK, json_=out)
    rows = json.loads(out.read_text())["rows"]
    assert list(rows) == [*microscopy.CLASSICAL, "ours, clusters", "ours, segments"]
    for method in ("Otsu", "ours, segments"):
        for group in ("fluorescence", "tissue", "particles"):
            assert rows[method][group]["Dice"] > 0.99
            assert rows[method][group]["AP .5"] == 1
    assert "ours, segments" in capsys.readouterr().out


def test_strokes_are_set_beside_other_uses_of_them(tmp_path):
    write_micrographs(tmp_path)
    out = tmp_path / "out.json"
    strokes.main(root=tmp_path, set_=QUICK, json_=out)
    rows = json.loads(out.read_text())["rows"]
    assert "random walker" in rows  # it does not reach objects without a stroke
    for method in ("nearest stroked pixels", "ours", "ours, no strokes"):
        for group in ("fluorescence", "tissue", "particles"):
            assert rows[method][group]["Dice"] > 0.9
            assert 0.5 < rows[method][group]["one label"] <= 1


def test_five_strokes_lie_where_their_labels_are():
    instances = np.zeros((60, 80), dtype=np.uint16)
    instances[5:25, 5:25], instances[30:50, 40:70] = 1, 2
    drawn = strokes.draw_strokes(instances, seed=3)
    assert ((drawn == 2) <= (instances > 0)).all()
    assert ((drawn == 1) <= (instances == 0)).all()
    assert {0, 1, 2} == set(np.unique(drawn))
    np.testing.assert_array_equal(drawn, strokes.draw_strokes(instances, seed=3))


def test_k_means_finds_levels():
    levels = np.repeat([[10, 90, 200]], 5, axis=0).repeat(4, axis=1).astype(np.uint8)
    found = baselines.k_means(levels, 3)
    assert found.shape == levels.shape
    assert len({(int(a), int(b)) for a, b in zip(found.flat, levels.flat, strict=True)}) == 3
    assert baselines.k_means(np.stack([levels] * 3, axis=-1), 3, window=3).shape == levels.shape


def test_objects_of_methods_are_set_beside_each_other(tmp_path, capsys):
    write_micrographs(tmp_path)
    out = tmp_path / "out.json"
    objects.main(root=tmp_path, seeds=2, set_=QUICK, json_=out)
    report = json.loads(out.read_text())
    rows = report["rows"]
    assert list(report["score AUC"]) == list(rows["Otsu"])
    assert list(rows) == [*objects.OTHERS, "ours, seed 0", "ours, seed 1"]
    for groups in rows.values():
        for scores in groups.values():
            assert list(scores) == list(objects.SCORES)
            assert all(0 <= scores[name] <= 1 for name in ("AP .5", "F1 .7", "mean F1", "Dice"))
    assert "ours" in capsys.readouterr().out


@pytest.mark.parametrize("is_dark", [False, True])
def test_the_rivals_find_discs_that_do_not_touch(is_dark):
    image = np.zeros((60, 90), np.uint8)
    truth = np.zeros(image.shape, int)
    rows, columns = np.ogrid[:60, :90]
    for number, (y, x) in enumerate([(15, 20), (40, 45), (20, 70)], start=1):
        truth[(rows - y) ** 2 + (columns - x) ** 2 <= 100] = number
    image[truth > 0] = 200
    image = 255 - image if is_dark else image
    for name in ("Otsu", "Li", "Otsu, watershed 10"):
        assert objects.judge(objects.OTHERS[name](image), truth)[:3] == [1, 1, 1], name


@pytest.mark.parametrize(
    "benchmark", [bsds500, levels, microscopy, objects, strokes], ids=lambda one: one.__name__
)
def test_a_folder_without_images_is_told(benchmark, tmp_path):
    with pytest.raises(typer.BadParameter, match=rf"{tmp_path}.* (no|neither) "):
        benchmark.main(root=tmp_path)


def test_granularities_that_are_chosen_are_set_beside_each_other(tmp_path, rgb, capsys):
    write_bsds500(tmp_path, rgb, "a")
    write_micrographs(tmp_path)
    out = tmp_path / "out.json"
    levels.main(root=tmp_path, micrographs=tmp_path, set_=QUICK, json_=out)
    report = json.loads(out.read_text())
    assert set(report) == {"photographs", "micrographs"}
    for rows in report.values():
        assert set(rows) == set(levels.CHOICES)
        for scores in rows.values():
            assert 0 < scores[0] <= scores[-1] <= rows["all hundred"][0] <= 1
    # two bright squares that most cuts have
    assert report["micrographs"]["named"][1] > 0.9 > report["photographs"]["all hundred"][0]
    assert "evenly spread" in capsys.readouterr().out


def test_the_covering_of_each_cut():
    fine = np.array([[1, 1, 2, 2, 3, 3, 3, 3]])
    cuts = [fine, np.array([[1, 1, 1, 1, 2, 2, 2, 2]]), np.ones_like(fine)]
    truth = np.array([[0, 0, 0, 0, 1, 1, -1, -1]])  # the last two are of nothing
    expected = [(4 * 0.5 + 2 * 0.5) / 6, (4 * 1 + 2 * 0.5) / 6, (4 * 0.5 + 2 * 0.25) / 6]
    np.testing.assert_allclose(levels.coverings(cuts, [truth]), expected)
    # of several people the mean
    both = levels.coverings(cuts, [truth, np.zeros_like(truth)])
    np.testing.assert_allclose(both, np.mean([expected, [0.5, 0.5, 1]], axis=0))
