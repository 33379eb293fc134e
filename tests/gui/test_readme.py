import re
from pathlib import Path

import napari
import numpy as np

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_python_examples_run_as_printed(make_napari_viewer, monkeypatch):
    viewer = make_napari_viewer(show=True)
    monkeypatch.setattr(napari, "Viewer", lambda: viewer)
    names: dict = {}
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert "viewer.add_labels(segment(" in blocks[0]
    for block in blocks:
        exec(block, names)
    assert [layer.name for layer in viewer.layers] == ["img", "Labels"]
    n_clusters = len(np.unique(viewer.layers["Labels"].data))
    assert 1 < n_clusters < 100
    assert names["labels"].shape == names["img"].shape[:2]
    assert names["step"].n_clusters <= 12 or names["step"].iteration == 100
