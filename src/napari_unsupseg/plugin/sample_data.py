"""Sample images as napari layers."""

from typing import Any

from numpy.typing import NDArray

from napari_unsupseg import sample_images

__all__ = [
    "cell",
    "galaxies",
    "moving_nuclei",
    "nuclei",
    "nuclei_volume",
    "retina",
    "tissue",
]

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


def nuclei() -> list[LayerData]:
    """Return simulated fluorescent nuclei.

    Returns
    -------
    list of one tuple
        Data, keywords and type of an Image layer, with the size of a pixel.
    """
    return _layer(sample_images.nuclei(), "nuclei", axes="yx")


def moving_nuclei() -> list[LayerData]:
    """Return a movie of simulated nuclei.

    Returns
    -------
    list of one tuple
        Data, keywords and type of an Image layer, with its axes and the size of a pixel.
    """
    return _layer(sample_images.moving_nuclei(), "moving nuclei", axes="tyx")


def nuclei_volume() -> list[LayerData]:
    """Return a volume of simulated nuclei.

    Returns
    -------
    list of one tuple
        Data, keywords and type of an Image layer, with its axes and the size of a voxel.
    """
    return _layer(sample_images.nuclei_volume(), "nuclei volume", axes="zyx")


def _layer(
    picture: NDArray[Any], name: str, preset: str = "standard", axes: str = ""
) -> list[LayerData]:
    """Return an Image layer that names the preset which suits it; the panel takes it up.

    With `axes` it has those, and pixels as large as those of the simulated nuclei are.
    """
    keywords = {
        "name": name,
        "rgb": picture.shape[-1] == 3,
        "metadata": {"napari-unsupseg": {"preset": preset}},
    }
    if axes:
        sizes = {"t": 1, "z": 2 * sample_images.MICROMETRES}
        keywords["scale"] = [sizes.get(axis, sample_images.MICROMETRES) for axis in axes]
        keywords["units"] = ["pixel" if axis == "t" else "micrometer" for axis in axes]
        keywords["axis_labels"] = tuple(axes)
    return [(picture, keywords, "image")]
