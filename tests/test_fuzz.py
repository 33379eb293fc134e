"""Any image, any options and any file give labels or an `UnsupsegError` in one sentence."""

import random
import shutil
import warnings
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_unsupseg import segment
from napari_unsupseg.errors import UnsupsegError
from napari_unsupseg.io.readers import is_chunked, open_image

from .fuzzing import IS_LONG, SEED, fuzzed, is_one_sentence

DATA = Path(__file__).parent / "data"
N_FOLDERS = 1000 if IS_LONG else 4
FILES = sorted(
    path for path in DATA.rglob("*") if path.is_file() and path.suffix not in (".md", ".py")
)
QUICK = {"iterations": 2, "superpixels": 9, "filters": 4, "settle": 0}

DTYPES = ["?", "u1", "<u2", ">u2", "i4", "u8", "f2", "f4", ">f8", "g", "c8", "O", "U2", "M8[s]"]
SHAPES = st.lists(st.integers(0, 6), max_size=5).map(tuple) | st.sampled_from(
    [(8, 9), (8, 9, 3), (8, 9, 4), (3, 8, 9), (2, 3, 8, 9)]
)
OTHERS = st.sampled_from(
    [None, True, False, 0, 1, 2, 3, -1, 2.5, 10**400, float("nan"), float("inf"), "", "a", "yx",
     "2", b"yx", [], [1, 2], [[1, 2], [3]], (1, 1), (1e300, 1, 1), {}, {1, 2}, 1j, object()]
)  # fmt: skip
ANY_OPTION = {
    "axes": st.sampled_from(["yx", "zyx", "tyx", "cyx", "yxc", "yxs", "tzyx", "czyx", "iyx", "xy"]),
    "channel_axis": st.integers(-6, 6),
    "spatial_ndim": st.integers(1, 4),
    "spacing": st.lists(st.floats(), max_size=4),
    "granularity": st.floats(),
    "n_segments": st.integers(-1, 9),
    "objects": st.booleans(),
    "split": st.floats(),
    "max_size": st.integers(-1, 99),
    "exclude_border": st.booleans(),
    "joint": st.booleans(),
    "preset": st.sampled_from(["standard", "paper-2018", "slow"]),
    "device": st.sampled_from(["cpu", "auto", "cuda:99", "tpu"]),
    "max_clusters": st.integers(0, 9),
    "min_size": st.integers(-1, 9),
    "final_clusters": st.integers(-1, 9),
    "intensity": st.sampled_from(["auto", "range", "percentile"]),
    "continuity": st.floats(),
    "balance": st.floats(),
    "seed": st.integers(),
}


def an_image(dtype: str) -> st.SearchStrategy[Any]:
    if dtype == "O":
        return SHAPES.map(lambda shape: np.full(shape, None))
    return arrays.arrays(dtype, SHAPES)


@st.composite
def images(draw) -> Any:
    image = draw(st.sampled_from(DTYPES).flatmap(an_image))
    kind = draw(st.sampled_from(["array", "array", "list", "masked", "dask", "reversed"]))
    if kind == "list":
        return image.tolist()
    if kind == "masked":
        return np.ma.array(image, mask=draw(arrays.arrays("?", image.shape)))
    if kind == "dask" and image.dtype != object:
        return da.from_array(image, chunks=2)
    return image[::-1] if kind == "reversed" and image.ndim else image


@st.composite
def options(draw, image: Any) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from([*ANY_OPTION, "mask", "strokes"]), max_size=4))
    shape = np.shape(image) if isinstance(image, np.ndarray) else (8, 9)
    drawn = {
        "mask": arrays.arrays("?", st.sampled_from([shape, shape[:2], shape[1:]])),
        "strokes": arrays.arrays("u1", st.sampled_from([shape, shape[:2], shape[1:]]),
                                 elements=st.integers(0, 3)),
    }  # fmt: skip
    return {name: draw((ANY_OPTION | drawn)[name] | OTHERS) for name in names}


@pytest.mark.parametrize("always", [{}, {"objects": True}], ids=["labels", "objects"])
@fuzzed(150, 60_000)
@given(st.data())
def test_any_image_and_any_options(always, data):
    image = data.draw(images())
    given_options = data.draw(options(image))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sentence, labels = "", None
        try:
            labels = segment(image, **QUICK | always | given_options)
        except UnsupsegError as error:
            sentence = str(error)
            assert is_one_sentence(sentence)
    assert sentence or np.asarray(labels).dtype.kind == "u"


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Return the content of a file with some of it changed, mostly at its ends: there it says what
    it holds.
    """
    changed = bytearray(content)
    kind = chance.choice(["bits", "bits", "digit", "cut", "zeros"])
    places = [chance.randrange(len(content)), chance.randrange(min(len(content), 300)),
              len(content) - 1 - chance.randrange(min(len(content), 600))]  # fmt: skip
    if kind == "bits":
        for _ in range(chance.choice([1, 1, 10])):
            changed[chance.choice(places)] ^= 1 << chance.randrange(8)
    elif kind == "digit":
        digits = [place for place, byte in enumerate(content) if chr(byte).isdecimal()]
        if digits:
            changed[chance.choice(digits)] = ord(chance.choice("0123456789-"))
    elif kind == "cut":
        del changed[places[0] :]
    else:
        changed[places[0] : places[0] + 20] = bytes(20)
    return bytes(changed)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("start", range(N_FOLDERS))
def test_files_that_are_damaged_anywhere(tmp_path, start):
    chance = random.Random(f"{SEED} {start}")
    for number in range(60):
        file = chance.choice(FILES)
        original = DATA / file.relative_to(DATA).parts[0]
        copy = tmp_path / str(number) / original.name
        if original.is_dir():
            shutil.copytree(original, copy)
        else:
            copy.parent.mkdir()
            shutil.copy(original, copy)
        target = copy.parent / file.relative_to(DATA)
        target.write_bytes(damaged(file.read_bytes(), chance))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sentence = f"{copy}: "
            try:
                is_chunked(copy)
                with open_image(copy):
                    pass
            except UnsupsegError as error:
                sentence = str(error)
        assert sentence.startswith(f"{copy}: ")
        assert is_one_sentence(sentence)
