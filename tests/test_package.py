import itertools
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import napari_unsupseg

from .conftest import run_python

ROOT = Path(__file__).parents[1]
EXTRAS = ("cluster", "large", "napari", "parquet")  # that have a lower bound of their own
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("statement", ["import napari_unsupseg", "import napari_unsupseg.cli"])
def test_importing_loads_neither_torch_nor_napari(statement):
    heavy = "{'torch', 'napari', 'qtpy', 'skimage'}"
    assert run_python(f"import sys; {statement}; print({heavy} & set(sys.modules))") == "set()"


def test_the_library_segments_without_napari_or_qt():
    script = """
import sys
for name in ("napari", "qtpy", "magicgui", "superqt", "PyQt6"):
    sys.modules[name] = None
import numpy as np, napari_unsupseg
image = np.arange(600).reshape(20, 30)
print(napari_unsupseg.segment(image, iterations=2, superpixels=50).shape)
"""
    assert run_python(script) == "(20, 30)"


def test_public_names():
    names = {"Hierarchy", "Segmenter", "Settings", "Step", "__version__", "segment"}
    assert set(napari_unsupseg.__all__) == names
    for name in names:
        assert getattr(napari_unsupseg, name)


@pytest.mark.skipif(sys.platform == "win32", reason="git on Windows writes links as text")
def test_the_manifest_at_the_root_is_the_packages():
    assert (ROOT / "napari.yaml").samefile(ROOT / "src/napari_unsupseg/napari.yaml")


def test_the_citation_names_both_papers():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    works = [citation["preferred-citation"], *citation["references"]]
    assert {"10.1109/ICASSP.2018.8462533", "10.1109/TIP.2020.3011269"} <= {
        work["doi"] for work in works
    }
    assert citation["license"] == PROJECT["license"]


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    pairs = [line.split("==") for line in lines if "==" in line]
    return {canonicalize_name(name): version for name, version in pairs}


def test_lowest_constraints_are_the_lower_bounds():
    extras = PROJECT["optional-dependencies"]
    groups = [PROJECT["dependencies"], *(extras[name] for name in EXTRAS)]
    lowest = pins("constraints-lowest.txt")
    for requirement in map(Requirement, itertools.chain(*groups)):
        [bound] = requirement.specifier
        assert bound.operator == ">="
        pinned = lowest.pop(requirement.name)
        if requirement.name == "torch":
            assert requirement.specifier.contains(pinned)
        else:
            assert pinned == bound.version
    assert not lowest


def test_constraints_hold_every_dependency_within_its_range():
    pinned = pins("constraints.txt")
    for requirement in map(Requirement, PROJECT["dependencies"]):
        assert requirement.specifier.contains(pinned[requirement.name])


def test_it_works_where_nothing_compiled_can_be_kept():
    script = """
import numba.core.caching as caching
caching.CompileResultCacheImpl._locator_classes = []
import numpy as np
from napari_unsupseg.regions.pair_table import find, make_table, put
table = make_table(8)
put(table, 3, 1, 7)
print(find(table, 1, 3))
"""
    assert run_python(script) == "7"
