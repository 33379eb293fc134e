import json

import numpy as np
import pytest
from imageio.v3 import imwrite

pytest.importorskip("resource", reason="peak memory is read in the Unix way")

from benchmarks import profile_iteration, speed


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
