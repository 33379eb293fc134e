import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from napari_unsupseg.plugin.run_data import Phase, RunResult, RunUpdate
from napari_unsupseg.plugin.widgets.progress_text import objects_text, progress_text, result_text

UPDATE = RunUpdate(Phase.TRAINING, 7, 100, 12, 0.5, 1, "cpu")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param({}, "iteration 7 of at most 100, 12 clusters\ncpu", id="first"),
        pytest.param(
            {"iteration_seconds": 0.04, "seconds_left": 200.0},
            "iteration 7 of at most 100, 12 clusters\n"
            "25 iterations/s, at most 3 min of training left, cpu",
            id="with its speed",
        ),
        pytest.param(
            {"factor": 4, "phase": Phase.PAUSED},
            "paused at iteration 7 of at most 100 at 1/4 size, 12 clusters\ncpu",
            id="paused at reduced size",
        ),
        pytest.param(
            {"phase": Phase.PREDICTING, "share": 0.5},
            "finding the clusters in all of cells…",
            id="predicting",
        ),
        pytest.param({"phase": Phase.SEGMENTING}, "making segments…", id="segments"),
        pytest.param(
            {"phase": Phase.SEGMENTING, "share": 0.125}, "making segments… 12%", id="their share"
        ),
    ],
)
def test_how_far_a_run_is(changes, text):
    assert progress_text(dataclasses.replace(UPDATE, **changes), "cells") == text


@pytest.mark.parametrize(
    ("at_most", "about", "said"),
    [
        pytest.param(
            90.0, 20.0, "about 20 s left, at most 90 s of training, cpu", id="fewer than the most"
        ),
        pytest.param(20.0, 31.0, "about 31 s left, cpu", id="all iterations and what follows"),
    ],
)
def test_how_long_a_run_may_take(at_most, about, said):
    update = dataclasses.replace(UPDATE, iteration_seconds=0.1, seconds_left=at_most)
    assert progress_text(update, "cells", about).endswith(f"10 iterations/s, {said}")


def test_how_long_segments_may_take():
    update = dataclasses.replace(UPDATE, phase=Phase.SEGMENTING, share=0.25)
    assert progress_text(update, "cells", 9.0) == "making segments… 25%, about 9 s left"


RECORD = {"clusters": 5, "iterations": 30}
SENTENCE = "5 clusters after 30 iterations"


@pytest.mark.parametrize(
    ("changes", "left_off"),
    [
        pytest.param({}, "", id="all of it"),
        pytest.param({"hierarchy": None, "lazy_labels": SimpleNamespace()}, "", id="large image"),
        pytest.param(
            {"hierarchy": None}, ", no segments: stopped while they were made", id="no segments"
        ),
        pytest.param(
            {"hierarchy": None, "covers_image": False},
            ", found only where it has trained",
            id="a region only",
        ),
    ],
)
def test_what_a_run_has_left(changes, left_off):
    left = RunResult(RECORD, SimpleNamespace(), None, None, (), is_steered=False)
    assert result_text(dataclasses.replace(left, **changes)) == SENTENCE + left_off


def square(side, *, of=100, n_objects=1):
    """Return objects that share a square with this side, in an image that is a square too."""
    labels = np.zeros((of, of), np.uint16)
    labels[:side, :side] = np.arange(side) % n_objects + 1
    return labels


@pytest.mark.parametrize(
    ("objects", "options", "said"),
    [
        pytest.param(square(30, n_objects=2), {}, "2 objects", id="some"),
        pytest.param(square(10), {}, "1 object", id="a small one"),
        pytest.param(square(71, n_objects=3), {}, "3 objects, 50% of the image: if this is the g…",
                     id="more than half of the image"),
        pytest.param(square(71, n_objects=3), {"strokes": 0}, "3 objects",
                     id="more than half of the image, as drawn"),
        pytest.param(square(32), {}, "1 object, 10% of the image: if these are several, move \"spl"
                     "it touching\" to the right, or under \"made of\"…", id="a single large one"),
        pytest.param(square(32), {"foreground": [1]}, "1 object, 10% of the image: if these are "
                     'several, move "split touching" to the right', id="one, chosen"),
        pytest.param(square(0), {}, "no objects: nothing stands out…", id="none"),
        pytest.param(square(0), {"exclude_border": True}, "no objects: none has such a size and p…",
                     id="none within limits"),
        pytest.param(square(0), {"strokes": 0}, "no objects: nothing is left of…", id="no such"),
    ],
)  # fmt: skip
def test_what_objects_there_are_and_what_to_do(objects, options, said):
    sentence, beginning = objects_text(objects, options), said.removesuffix("…")
    assert sentence.startswith(beginning)
    assert (sentence == beginning) == (said == beginning)
