import io
import warnings
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import typer
from rich.console import Console

from napari_unsupseg.cli_output import exit_on_error, print_report, print_warnings, show_training
from napari_unsupseg.errors import FileError

REPORT = {
    "image": "[a].png",
    "axes": "8 × 9 pixels",
    "clusters": 3,
    "segments": None,
    "objects": None,
    "iterations": 7,
    "seconds": 1.26,
    "device": "cpu",
    "precision": "float32",
    "interrupted": False,
    "labels": "o.tif",
    "preview": None,
    "table": None,
    "geojson": None,
    "rois": None,
    "uncertainty": None,
    "network": "n.unsupseg",
}


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        pytest.param({}, "3 clusters after 7 iterations, 1.3 s on cpu in float32", id="clusters"),
        pytest.param(
            {"segments": 5, "iterations": None},
            "5 segments of 3 clusters, 1.3 s on cpu in float32",
            id="segments by a known network",
        ),
        pytest.param(
            {"clusters": 1, "iterations": 1, "segments": 1},
            "1 segment of 1 cluster after 1 iteration, 1.3 s on cpu in float32",
            id="one of each",
        ),
        pytest.param(
            {"objects": 0},
            "0 objects of 3 clusters after 7 iterations, 1.3 s on cpu in float32",
            id="no objects",
        ),
        pytest.param(
            {"interrupted": True},
            "3 clusters after 7 iterations, 1.3 s on cpu in float32, stopped by you",
            id="stopped",
        ),
    ],
)
def test_what_became_of_an_image(changed, line):
    text = io.StringIO()
    print_report(REPORT | changed, Console(file=text, width=200))
    assert text.getvalue().splitlines() == [
        f"[a].png: 8 × 9 pixels; {line}",
        "  labels   o.tif",
        "  network  n.unsupseg",
    ]


def test_what_was_done_before_is_said():
    text = io.StringIO()
    print_report({"image": "[a].png", "skipped": True}, Console(file=text, width=200))
    assert text.getvalue() == "[a].png: done already\n"


def test_errors_go_to_stderr(capsys):
    print_report({"image": "a.png", "error": "a.png: no such file"}, Console())
    assert capsys.readouterr() == ("", "error: a.png: no such file\n")


def steps(n: int) -> Iterator[SimpleNamespace]:
    """Yield some steps, and then have the user press Ctrl-C."""
    for iteration in range(1, n + 1):
        yield SimpleNamespace(iteration=iteration, factor=2, n_clusters=4, hierarchy_share=None)
    raise KeyboardInterrupt


def test_a_run_that_the_user_ends_has_its_last_step():
    step, is_interrupted = show_training(steps(3), "a", 10, Console(file=io.StringIO()))
    assert (step.iteration, is_interrupted) == (3, True)


def test_before_the_first_step_there_is_nothing_to_keep():
    with pytest.raises(KeyboardInterrupt):
        show_training(steps(0), "a", 10, Console(file=io.StringIO()))


def test_warnings_are_one_line(capsys):
    with print_warnings():
        warnings.warn("image is constant", stacklevel=1)
    assert capsys.readouterr() == ("", "warning: image is constant\n")


def test_errors_that_a_user_can_mend_end_the_command(capsys):
    with pytest.raises(typer.Exit) as caught, exit_on_error():
        raise FileError("a.png: no such file")
    assert caught.value.exit_code == 1
    assert capsys.readouterr() == ("", "error: a.png: no such file\n")
