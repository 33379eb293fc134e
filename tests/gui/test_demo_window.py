import napari
import numpy as np
from imageio.v3 import imwrite

from napari_unsupseg.io.tiff import write_tiff_labels
from napari_unsupseg.plugin.demo_window import show


def test_the_demo_shows_image_and_labels(make_napari_viewer, monkeypatch, tmp_path, rgb):
    viewer = make_napari_viewer(show=True)
    waited = []
    monkeypatch.setattr(napari, "Viewer", lambda: viewer)
    monkeypatch.setattr(napari, "run", lambda: waited.append(True))
    labels = np.arange(1, 31, dtype=np.uint8).reshape(5, 6)
    imwrite(tmp_path / "tissue.png", rgb)
    write_tiff_labels(tmp_path / "labels.tif", labels, "yx", {"version": "0"})
    show(tmp_path / "tissue.png", tmp_path / "labels.tif")
    assert [layer.name for layer in viewer.layers] == ["tissue", "tissue segmentation"]
    np.testing.assert_array_equal(viewer.layers[0].data, rgb)
    np.testing.assert_array_equal(viewer.layers[1].data, labels)
    assert waited
