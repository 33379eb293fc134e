import os
import subprocess
import sys
from collections import Counter

import pytest

from napari_unsupseg.regions.compiling import translate_interrupts

# what images, strokes and cuts people have
SEGMENT_ALL_KINDS = """
import numpy as np
from napari_unsupseg import Segmenter, Settings, segment

random = np.random.default_rng(0).random
strokes = np.zeros((48, 48), dtype=np.uint8)
strokes[4:6], strokes[40:42] = 1, 2
for shape, options in [
    ((48, 48), {}),
    ((48, 48), {"strokes": strokes}),
    ((48, 48, 3), {}),
    ((2, 48, 48), {"axes": "cyx"}),
    ((6, 24, 24), {"axes": "zyx"}),
    ((3, 24, 24), {"axes": "tyx"}),
]:
    for dtype in (np.float32, np.float64):
        segmenter = Segmenter(Settings(iterations=4)).fit(random(shape).astype(dtype), **options)
        segmenter.hierarchy_.cut(n_segments=3)
        hierarchy = segmenter.hierarchy_
        hierarchy.cut(granularity=0.2, min_size=20)
        hierarchy.score_objects(hierarchy.objects())
        mask = random(hierarchy.cut(n_segments=1).shape) < 0.7
        hierarchy.objects(mask, split=1.0, exclude_border=True)
segment(random((48, 48)), iterations=4, min_size=20)
"""


@pytest.mark.parametrize(
    ("cause", "expected"), [(KeyboardInterrupt(), KeyboardInterrupt), (ValueError(), SystemError)]
)
def test_only_an_interrupt_takes_the_place_of_an_error(cause, expected):
    with pytest.raises(expected), translate_interrupts():
        raise SystemError("returned a result with an exception set") from cause


def test_a_function_is_compiled_for_one_list_of_types(tmp_path):
    # two processes that compile for two at a time give their files the same name
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", SEGMENT_ALL_KINDS], env=environment, check=True)
    compiled = Counter(path.name.split(".py")[0] for path in tmp_path.rglob("*.nbc"))
    assert "merging._merge_some" in str(compiled)
    assert {name for name, n_files in compiled.items() if n_files > 1} == set()


def test_objects_need_no_more_than_is_compiled_ahead(tmp_path):
    compile_ahead = (
        "from napari_unsupseg.regions.hierarchy_builder import precompile_objects\n"
        "precompile_objects()"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}

    def run_and_list(code):
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        return {path.name for path in tmp_path.rglob("*.nbc")}

    ahead = run_and_list(compile_ahead)
    assert ahead
    assert run_and_list(SEGMENT_ALL_KINDS) == ahead
