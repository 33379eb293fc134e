"""Sizes, positions, masks and axes go from a file to labels and tables."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_unsupseg.io.pixel_size import PixelSize
from napari_unsupseg.io.readers import open_image

from ..io.test_ome_zarr import write_ome
from ..test_cli import QUICK, call, read_rows

DATA = Path(__file__).parents[1] / "data"


def segmented(image: Path, out: Path, *options: object) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Segment a file; return labels and table."""
    table = out.with_suffix(".csv")
    result = call("segment", image, "-o", out, "--table", table, *QUICK, *options)
    assert result.exit_code == 0, result.stderr
    rows = read_rows(table)
    columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    with open_image(out) as source:
        return np.asarray(source.values), columns


@pytest.mark.parametrize(
    ("options", "voxel"),
    [
        pytest.param([], 0.25 * 0.25 * 2, id="of the file"),
        pytest.param(["--pixel-size", 0.1], 0.1 * 0.1 * 2, id="slices as far apart as before"),
    ],
)
def test_a_stack_of_imagej_has_volumes(tmp_path, options, voxel):
    labels, table = segmented(DATA / "imagej.tif", tmp_path / "o.tif", *options)
    assert table["volume_um3"].sum() == pytest.approx(labels.size * voxel)
    assert table["centroid_z_um"].max() == pytest.approx(3.0)
    with open_image(tmp_path / "o.tif") as source:
        assert source.pixel_size.depth == 2.0


def test_position_and_axes_of_a_store_stay(tmp_path, grey):
    image = grey[np.newaxis, np.newaxis, np.newaxis]
    path = write_ome(tmp_path / "i.ome.zarr", image, "tczyx", translation=(0, 0, 7, 100, 200))
    labels, table = segmented(path, tmp_path / "o.ome.zarr")
    assert labels.shape == (1, 1, *grey.shape)
    with open_image(tmp_path / "o.ome.zarr") as source:
        assert source.axes == "tzyx"
        assert source.pixel_size == PixelSize(0.5, 0.5, "um", 0.5, (7, 100, 200))
    weights = table["volume_um3"] / table["volume_um3"].sum()
    assert table["centroid_x_um"] @ weights == pytest.approx(200 + 0.5 * (grey.shape[1] - 1) / 2)
    assert set(table["centroid_z_um"]) == {7.0}


@pytest.mark.parametrize("out", ["o.tif", "o.ome.zarr"])
def test_the_time_between_time_points_stays(tmp_path, grey, out):
    movie, metadata = np.stack([grey, grey]), {"axes": "TYX", "unit": "um", "finterval": 30}
    options = {"imagej": True, "resolution": (4, 4), "metadata": metadata}
    tifffile.imwrite(tmp_path / "i.tif", movie, **options)
    segmented(tmp_path / "i.tif", tmp_path / out)
    with open_image(tmp_path / out) as source:
        assert source.pixel_size == PixelSize(0.25, 0.25, "um", interval=30)


def test_a_size_given_by_hand_leaves_the_position(tmp_path, grey):
    path = write_ome(tmp_path / "i.ome.zarr", grey, translation=(100, 200))
    segmented(path, tmp_path / "o.ome.zarr", "--pixel-size", 0.25)
    with open_image(tmp_path / "o.ome.zarr") as source:
        assert source.pixel_size == PixelSize(0.25, 0.25, "um", None, (0, 100, 200))


def test_a_size_without_a_unit_stays_and_tables_count_pixels(tmp_path, grey):
    path = write_ome(tmp_path / "i.ome.zarr", grey, unit={}, translation=(100, 200))
    labels, table = segmented(path, tmp_path / "o.ome.zarr")
    with open_image(tmp_path / "o.ome.zarr") as source:
        assert source.pixel_size == PixelSize(0.5, 0.5, "pixel", None, (0, 100, 200))
    assert table["area"].sum() == labels.size
    result = call("segment", path, "-o", tmp_path / "p.ome.zarr", "--min-area", 9, *QUICK)
    assert "does not say how large a pixel is" in result.stderr


@pytest.mark.parametrize("options", [[], ["--connected"]], ids=["clusters", "regions"])
def test_transparent_pixels_take_no_part(tmp_path, options):
    labels, table = segmented(DATA / "rgba.png", tmp_path / "o.tif", *options)
    assert not labels[:, :4].any()
    assert labels[:, 4:].all()
    assert table["area"].sum() == labels.size - 24 * 4


def test_transparent_pixels_take_no_part_where_a_network_is_applied(tmp_path):
    network = tmp_path / "n.unsupseg"
    assert call("segment", DATA / "rgb.png", "-o", tmp_path / "a.tif", "--save", network, *QUICK)
    result = call("apply", network, DATA / "rgba.png", "-o", tmp_path / "o.tif")
    assert result.exit_code == 0, result.stderr
    labels = tifffile.imread(tmp_path / "o.tif")
    assert not labels[:, :4].any()
    assert labels[:, 4:].all()


def test_who_names_the_axes_has_all_samples(tmp_path):
    result = call("segment", DATA / "rgba.png", "-o", tmp_path / "o.tif", "--axes", "yxc", *QUICK)
    assert "4 channels × 24 × 32 pixels" in result.stdout
    assert "alpha" not in result.stderr
    assert tifffile.imread(tmp_path / "o.tif").all()


def test_a_series_is_chosen(tmp_path):
    for series, shape in ((None, (24, 32)), (0, (12, 32))):
        options = [] if series is None else ["--series", series]
        labels, _ = segmented(DATA / "positions.ome.tif", tmp_path / f"{series}.tif", *options)
        assert labels.shape == shape
