"""Sample images as napari layers."""

from typing import Any

from numpy.typing import NDArray

from napari_unsupseg import sample_images

__all__ = ["cell", "galaxies", "retina", "tissue"]

LayerData = tuple[Any, dict[str, Any], str]


def tissue() -> list[LayerData]:
    """Return the stained tissue section.

    Returns
    -------
    list of one tuple
        Data, keywords and type of an Image layer.
    """
    return _layer(sample_images.tissue(), "tissue")


def cell() -> list[LayerData]:
    """Return the cell.

    Returns
    -------
    list of one tuple
        Data, keywords and type of an Image layer.
    """
    return _layer(sample_images.cell(), "cell", preset="paper-2020")


def retina() -> list[LayerData]:
    """Return the detail of a retina.

    Returns
    -------
    list of one tuple
        Data, keywords and type of an Image layer.
    """
    return _layer(sample_images.retina(), "retina")


def galaxies() -> list[LayerData]:
    """Return the galaxies.

    Returns
    -------
    list of one tuple
        Data, keywords and type of an Image layer.
    """
    return _layer(sample_images.galaxies(), "galaxies")


def _layer(picture: NDArray[Any], name: str, preset: str = "standard") -> list[LayerData]:
    """Return an Image layer that names the preset which suits it; the panel takes it up."""
    keywords = {
        "name": name,
        "rgb": picture.ndim == 3,
        "metadata": {"napari-unsupseg": {"preset": preset}},
    }
    return [(picture, keywords, "image")]
