import json
import re
from pathlib import Path

import napari
import numpy as np
import pandas as pd

from napari_unsupseg import sample_images

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
NOTEBOOK = json.loads((ROOT / "docs/tutorials/notebook.ipynb").read_text("utf-8"))


def test_the_python_examples_run_as_printed(make_napari_viewer, monkeypatch):
    viewer = make_napari_viewer(show=True)
    monkeypatch.setattr(napari, "Viewer", lambda: viewer)
    shown = []
    monkeypatch.setattr(napari, "run", lambda: shown.append(len(viewer.layers)))
    names: dict = {}
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert "viewer.add_labels(segment(" in blocks[0]
    for block in blocks:
        exec(block, names)
    assert [layer.name for layer in viewer.layers] == ["img", "Labels"]
    assert shown == [2]  # a script would end at once, and its window with it
    n_clusters = len(np.unique(viewer.layers["Labels"].data))
    assert 1 < n_clusters < 100
    assert names["labels"].shape == names["img"].shape[:2]
    assert names["step"].n_clusters <= 12 or names["step"].iteration == 100


def test_the_notebook_runs_and_counts_what_it_says(make_napari_viewer, monkeypatch, tmp_path):
    viewer = make_napari_viewer(show=True)
    monkeypatch.setattr(napari, "Viewer", lambda: viewer)
    monkeypatch.chdir(tmp_path)
    cells = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    said = "".join("".join(output.get("text", "")) for cell in cells for output in cell["outputs"])
    assert f"{sample_images.N_NUCLEI['nuclei']} objects" in said
    names: dict = {}
    for cell in cells[:-1]:  # the last one closes the window
        exec("".join(cell["source"]), names)
    assert f"{names['objects'].max()} objects" in said
    assert len(pd.read_csv("nuclei.csv")) == names["objects"].max()
    assert len(np.unique(viewer.layers["doubtful"].data)) == 1 + 5
