import re

import pytest
import typer
from imageio.v3 import imwrite
from typer.testing import CliRunner

from napari_unsupseg import Segmenter
from napari_unsupseg.cli_options import with_image_options, with_settings
from napari_unsupseg.options import AxesOptions, CutOptions, ImageOptions, options_of
from napari_unsupseg.settings import PRESETS, Settings, setting_specs

from .conftest import SMALL
from .test_cli import call


def run(command, *arguments: object):
    """Run a function as a command of its own."""
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "300"})


def words_of_help(*command: str) -> str:
    """Return what the help says, without its frames and line breaks."""
    return " ".join(re.sub("[│╭╮╰╯─]", " ", call(*command, "--help").stdout).split())


def test_typed_dictionaries_become_options():
    seen = {}

    @with_image_options
    def command(path: str, *, cut: CutOptions, image: AxesOptions) -> None:
        seen.update(path=path, cut=cut, image=image)

    result = run(command, "--granularity", 0.3, "--axes", "zyx", "a.png")
    assert result.exit_code == 0, result.output
    assert seen == {
        "path": "a.png",
        "cut": {"granularity": 0.3, "n_segments": None},
        "image": {"axes": "zyx", "channel_axis": None},
    }


def test_a_paragraph_of_the_help_is_broken_where_the_terminal_ends():
    @with_image_options
    def command(*, cut: CutOptions) -> None:
        """Do something.

        A sentence that goes on
        in the next line of the source.
        """

    assert (
        "A sentence that goes on in the next line of the source." in run(command, "--help").output
    )


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        pytest.param([], {}, id="nothing"),
        pytest.param(["--seed", 3], {"seed": 3}, id="one setting"),
        pytest.param(["--preset", "paper-2020"], PRESETS["paper-2020"].values, id="preset"),
        pytest.param(
            ["--preset", "paper-2020", "--continuity", 0],
            {**PRESETS["paper-2020"].values, "continuity": 0},
            id="the default goes before a preset where it is said",
        ),
    ],
)
def test_settings_become_options(arguments, values):
    seen = []

    @with_settings
    def command(settings: Settings) -> None:
        seen.append(settings)

    result = run(command, *arguments)
    assert result.exit_code == 0, result.output
    assert seen == [Settings.from_dict(values)]


@pytest.mark.parametrize("kind", [ImageOptions, CutOptions])
def test_options_are_described_as_in_the_library(kind):
    text = words_of_help("segment")
    for name in {"axes", "channel_axis", "spatial_ndim", "granularity", "n_segments"} & set(
        options_of(kind)
    ):
        assert f"--{name.replace('_', '-')} " in text
        plain = options_of(kind)[name].text.replace("``", "").replace("`axes`", "--axes")
        assert plain in text


def test_arrays_are_no_options():
    text = words_of_help("segment")
    assert "--mask" not in text
    assert "--spacing" not in text
    assert "`" not in text


def test_every_setting_is_an_option():
    text = words_of_help("segment")
    for name, spec in setting_specs().items():
        assert f"--{name.replace('_', '-')} " in text
        assert f"[default: {spec.default}]" in text
        assert spec.sentence in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["--spatial-ndim", 4], "'--spatial-ndim'", id="axes of a frame"),
        pytest.param(["--z-spacing", 0], "0.0 must be above 0", id="distance of slices"),
        pytest.param(["--pixel-size", 0], "0.0 must be above 0", id="pixel size"),
        pytest.param(["--min-area", "nan"], "nan must be above 0", id="area"),
        pytest.param(["--pixel-size", "inf"], "inf must be above 0, and not infinite", id="inf"),
        pytest.param(["--workers", 0], "'--workers'", id="workers"),
        pytest.param(["--workers", 10**20], "'--workers'", id="more workers than anybody has"),
        pytest.param(["--components", 9], "must be a whole number from 1 to 5, got 9", id="M"),
    ],
)
def test_values_out_of_range(arguments, sentence):
    result = call("segment", "a.png", "-o", "o.tif", *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_what_a_network_knows_is_no_option_of_apply():
    text = words_of_help("apply")
    assert "--axes" in text
    assert not re.search("--(spatial-ndim|preset|seed|separate) ", text)


def test_a_smallest_segment_out_of_range(tmp_path, grey):
    Segmenter(Settings.from_dict(SMALL)).fit(grey).save(tmp_path / "n.unsupseg")
    imwrite(tmp_path / "a.png", grey)
    arguments = [tmp_path / "n.unsupseg", tmp_path / "a.png", "-o", tmp_path / "o.tif"]
    result = call("apply", *arguments, "--min-size", 10**11)
    assert result.exit_code == 2
    assert "'--min-size'" in result.stderr
