"""The script of a run, line by line; tests/gui/test_script.py runs such scripts."""

import warnings
from pathlib import Path
from types import SimpleNamespace

import dask.array as da
import imageio.v3
import numpy as np
import pytest
import tifffile
from napari.layers import Image

from napari_unsupseg import Settings
from napari_unsupseg.plugin.contributions import get_reader
from napari_unsupseg.plugin.label_history import LabelHistory
from napari_unsupseg.plugin.run_data import RunLeg, RunRequest, RunResult
from napari_unsupseg.plugin.script import python_script

DATA = Path(__file__).parents[1] / "data"
RECORD = {"processor": "a CPU", "torch": "2.7", "device": "cpu", "precision": "float32"}
WHOLE_LEG = RunLeg(9, ran_to_end=True)
REGION = (slice(1, 5), slice(2, 6))


def script(
    *,
    image=None,
    path=None,
    options=None,
    region=None,
    legs=(WHOLE_LEG,),
    covers_image=True,
    settings=None,
    cut=None,
) -> list[str]:
    """Return the lines of the script of a run."""
    layer = Image(np.zeros((7, 8), np.uint8) if image is None else image, name="cells")
    if path is not None:  # as napari says of a layer that it has read from a file
        source = SimpleNamespace(path=str(path))
        layer = SimpleNamespace(data=layer.data, name="cells", multiscale=False, source=source)
    settings = Settings(**settings or {})
    history = LabelHistory(1000)
    history.add(1, np.ones((7, 8), np.uint8))
    request = RunRequest(
        layer.data, {"axes": "yx"} | (options or {}), settings, "auto", 0, 1000, region=region
    )
    segmenter = SimpleNamespace(settings=settings)
    result = RunResult(RECORD, None, history, segmenter, legs, False, covers_image=covers_image)
    return python_script(request, result, layer, cut).splitlines()


def test_the_script_of_a_plain_run():
    assert script() == [
        "# made on a CPU with torch 2.7",
        "from itertools import islice",
        "",
        "import napari",
        "from napari_unsupseg import Segmenter, Settings",
        "",
        "image = napari.current_viewer().layers['cells'].data",
        "",
        "segmenter = Segmenter(Settings(precision='float32'), device='cpu')",
        "for step in segmenter.steps(image, axes='yx'):",
        "    pass",
        "labels = step.labels",
    ]


@pytest.mark.parametrize(
    ("options", "written"),
    [
        pytest.param({"spatial_ndim": 2, "spacing": None, "strokes": None}, "", id="defaults"),
        pytest.param(
            {"spatial_ndim": 3, "spacing": (3.0, 1.0, 1.0)},
            ", spatial_ndim=3, spacing=(3.0, 1.0, 1.0)",
            id="volumes",
        ),
        pytest.param({"channel_axis": 1}, ", channel_axis=1", id="what no widget asks for yet"),
    ],
)
def test_options_are_written_that_differ_from_their_defaults(options, written):
    assert f"for step in segmenter.steps(image, axes='yx'{written}):" in script(options=options)


@pytest.mark.parametrize(
    ("legs", "loops"),
    [
        pytest.param([WHOLE_LEG], ["segmenter.steps(image, axes='yx')"], id="to the end"),
        pytest.param(
            [RunLeg(4, ran_to_end=False, is_finished=True)],
            ["islice(segmenter.steps(image, axes='yx'), 4)", "segmenter.finish()"],
            id="stopped",
        ),
        pytest.param(
            [RunLeg(4, ran_to_end=False, is_finished=True), RunLeg(6, ran_to_end=False)],
            ["islice(segmenter.steps(image, axes='yx'), 4)", "islice(segmenter.resume(), 6)"],
            id="continued, and stopped while segments were made",
        ),
    ],
)
def test_each_leg_of_a_run_has_a_loop(legs, loops):
    found = [line for line in script(legs=tuple(legs)) if line.startswith("for step in")]
    assert found == [f"for step in {loop}:" for loop in loops]


def test_settings_are_written_that_differ_from_their_defaults():
    line = "segmenter = Segmenter(Settings(filters=20, seed=3, precision='float32'), device='cpu')"
    assert line in script(settings={"seed": 3, "filters": 20})


@pytest.mark.parametrize(
    ("covers_image", "labels", "segments"),
    [
        pytest.param(
            True,
            "labels = segmenter.predict(image, axes='yx')",
            "segments = segmenter.predict_hierarchy(image, axes='yx', labels=labels)"
            ".cut(granularity=0.5)",
            id="found in all of it",
        ),
        pytest.param(
            False, "labels = numpy.pad(step.labels, [(1, 2), (2, 2)])", None, id="only there"
        ),
    ],
)
def test_a_region_is_cut_out_and_its_clusters_are_found(covers_image, labels, segments):
    cut = {"granularity": 0.5} if segments else None
    lines = script(region=REGION, covers_image=covers_image, cut=cut)
    assert "for step in segmenter.steps(image[1:5, 2:6], axes='yx'):" in lines
    assert labels in lines
    assert ("import numpy" in lines) == (not covers_image)
    if segments:
        assert lines[-1] == segments


def test_segments_around_a_region_of_a_volume_follow_its_spacing():
    options = {"axes": "zyx", "spatial_ndim": 3, "spacing": (6.0, 1.0, 1.0)}
    lines = script(image=np.zeros((3, 7, 8)), options=options, region=REGION, cut={})
    of_image = "image, axes='zyx', spacing=(6.0, 1.0, 1.0)"
    assert lines[-2:] == [
        f"labels = segmenter.predict({of_image})",
        f"segments = segmenter.predict_hierarchy({of_image}, labels=labels).cut()",
    ]


def test_a_cut_is_written_with_its_numbers():
    lines = script(cut={"granularity": 0.25, "min_size": 12})
    assert lines[-1] == "segments = segmenter.hierarchy_.cut(granularity=0.25, min_size=12)"


@pytest.mark.parametrize(
    ("name", "read"),
    [
        pytest.param("rgb.png", imageio.v3.imread, id="PNG"),
        pytest.param("imagej.tif", tifffile.imread, id="stack"),
    ],
)
def test_a_file_is_read_as_its_library_reads_it(name, read):
    lines = script(image=read(DATA / name), path=DATA / name)
    assert f"image = {read.__module__.split('.')[0]}" in "\n".join(lines)
    assert not any("napari.current_viewer" in line for line in lines)


@pytest.mark.parametrize(
    "name", ["grey_alpha.png", "palette.tif", "appended.tif", "cmyk.tif", "rgb_planar.tif"]
)
def test_pixels_that_no_library_reads_as_the_layer_has_them_come_from_the_window(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of alpha, CMYK and several images
        [(values, _, _)] = get_reader(str(DATA / name))(str(DATA / name))
    lines = script(image=values, path=DATA / name)
    assert "image = napari.current_viewer().layers['cells'].data" in lines


def test_an_image_whose_file_is_gone_comes_from_the_window(tmp_path):
    lines = script(path=tmp_path / "gone.png")
    assert "image = napari.current_viewer().layers['cells'].data" in lines


def test_a_small_lazy_image_is_loaded_as_the_run_has_loaded_it():
    lines = script(image=da.zeros((7, 8), np.uint8))
    assert "image = numpy.asarray(napari.current_viewer().layers['cells'].data)" in lines
    assert "import numpy" in lines
