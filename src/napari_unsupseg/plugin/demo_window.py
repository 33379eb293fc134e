"""A napari window on an image and its labels."""

from pathlib import Path

import napari

from napari_unsupseg.io.readers import read_image

__all__ = ["show"]


def show(image: Path, labels: Path) -> None:
    """Open an image and its labels in napari, and wait until the window is closed.

    Parameters
    ----------
    image : Path
        Image file.
    labels : Path
        TIFF file of its labels.
    """
    viewer = napari.Viewer()
    viewer.add_image(read_image(image), name=image.stem)
    viewer.add_labels(read_image(labels), name=f"{image.stem} segmentation")
    napari.run()
