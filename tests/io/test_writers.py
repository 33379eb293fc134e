import numpy as np
from imageio.v3 import imread

from napari_unsupseg.io.writers import write_png, write_table


def test_a_png_is_written_and_replaced(tmp_path):
    path = tmp_path / "a.png"
    for value in (1, 2):
        write_png(path, np.full((4, 5, 3), value, np.uint8))
        np.testing.assert_array_equal(imread(path), np.full((4, 5, 3), value))


def test_a_table_has_whole_numbers_and_fractions_as_they_are(tmp_path):
    write_table(tmp_path / "a.csv", {"label": np.array([1, 2]), "area": np.array([0.25, 1e-9])})
    assert (tmp_path / "a.csv").read_text("utf-8").splitlines() == [
        "label,area",
        "1,0.25",
        "2,1e-09",
    ]
