import json

import numpy as np
import pytest
from imageio.v3 import imwrite

pytest.importorskip("resource", reason="peak memory is read in the Unix way")

from scipy.io import savemat

from benchmarks import baselines, bsds500, microscopy, profile_iteration, speed

from .conftest import SMALL

QUICK = [f"{name}={value}" for name, value in SMALL.items()]


def test_speed_compares_with_the_plain_algorithm(tmp_path, rgb, capsys):
    image, out = tmp_path / "tissue.png", tmp_path / "speed.json"
    imwrite(image, np.tile(rgb, (2, 2, 1)))
    speed.main(image=image, iterations=2, components=1, runs=1, device="cpu", json_=out)
    report = json.loads(out.read_text())
    names = [row["name"] for row in report["rows"]]
    assert names[:2] == ["one iteration, plain", "one iteration, float32"]
    assert names[-2] == "first labels"
    assert names[-1].startswith("settled, after")
    plain, own, *_, settled = report["rows"]
    assert own["ratio"] == pytest.approx(plain["median_s"] / own["median_s"])
    assert settled["ratio"] == pytest.approx(500 * plain["median_s"] / settled["median_s"])
    assert "tissue.png" in capsys.readouterr().out


def test_a_large_image_is_the_small_one_mirrored(rgb):
    large = speed.mirrored(rgb, 150)
    assert large.shape == (150, 150, 3)
    assert (large[:64, :72] == rgb).all()
    assert (large[64:128, :72] == rgb[::-1]).all()
    assert (large[128:, 144:] == rgb[:22, :6]).all()


def test_a_profile_has_its_kinds(tmp_path, rgb, capsys):
    image = tmp_path / "tissue.png"
    imwrite(image, np.tile(rgb, (2, 2, 1)))
    profile_iteration.main(image=image, iterations=1)
    printed = capsys.readouterr().out
    assert "all else" in printed
    assert "for comparison" in printed


def test_bsds500_sets_methods_beside_each_other(tmp_path, rgb, capsys):
    for folder in ("images/val", "groundTruth/val", "ucm2/val"):
        (tmp_path / folder).mkdir(parents=True)
    people = np.repeat([[1] * 36 + [2] * 36], 64, axis=0)
    cells = np.empty((1, 2), dtype=object)
    for index in range(2):
        cells[0, index] = np.array([[(people,)]], dtype=[("Segmentation", object)])
    borders = np.zeros((129, 145))
    borders[:, 72] = 1  # between columns 35 and 36, where people drew it
    for name in ("a", "b"):
        imwrite(tmp_path / f"images/val/{name}.jpg", rgb)
        savemat(tmp_path / f"groundTruth/val/{name}.mat", {"groundTruth": cells})
        savemat(tmp_path / f"ucm2/val/{name}.mat", {"ucm2": borders})
    out = tmp_path / "out.json"
    bsds500.main(root=tmp_path, at=[2], set_=QUICK, json_=out)
    report = json.loads(out.read_text())
    rows = {row.pop("method"): row for row in report["rows"]}
    assert list(rows) == ["Felzenszwalb", "gPb-owt-ucm", 2, "end", "segments"]
    assert report["iterations"] == SMALL["iterations"]
    perfect = {"AP .5": 1, "AP .7": 1, "F .5": 1, "F .7": 1, "covering": 1, "segments": 2}
    assert rows["gPb-owt-ucm"] == perfect
    assert 0 < rows["segments"]["covering"] < 1
    assert "gPb-owt-ucm" in capsys.readouterr().out


def test_microscopy_sets_methods_beside_each_other(tmp_path, capsys):
    instances = np.zeros((48, 60), dtype=np.uint16)
    instances[5:20, 5:20], instances[28:42, 30:52] = 1, 2
    noise = np.random.default_rng(0).integers(-5, 6, instances.shape)
    image = (40 + noise + 150 * (instances > 0)).astype(np.uint8)
    colours = np.stack([255 - image, image, image], axis=-1)
    for name, one in (("nuclei/f", image), ("nuclei/t", colours), ("particles/p", image)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        imwrite(tmp_path / f"{name}.png", one)
        imwrite(tmp_path / f"{name}_instances.png", instances)
    out = tmp_path / "out.json"
    microscopy.main(root=tmp_path, set_=QUICK, json_=out)
    rows = json.loads(out.read_text())["rows"]
    assert list(rows) == [*microscopy.CLASSICAL, "ours, clusters", "ours, segments"]
    for method in ("Otsu", "ours, segments"):
        for group in ("fluorescence", "tissue", "particles"):
            assert rows[method][group]["Dice"] > 0.99
            assert rows[method][group]["AP .5"] == 1
    assert "ours, segments" in capsys.readouterr().out


def test_k_means_finds_levels():
    levels = np.repeat([[10, 90, 200]], 5, axis=0).repeat(4, axis=1).astype(np.uint8)
    found = baselines.k_means(levels, 3)
    assert found.shape == levels.shape
    assert len({(int(a), int(b)) for a, b in zip(found.flat, levels.flat, strict=True)}) == 3
    assert baselines.k_means(np.stack([levels] * 3, axis=-1), 3, window=3).shape == levels.shape
