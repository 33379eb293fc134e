"""Sample images as napari layers."""

from typing import Any

from napari_unsupseg import samples

__all__ = ["cell", "tissue"]

LayerData = tuple[Any, dict[str, Any], str]


def tissue() -> list[LayerData]:
    """Return the stained tissue section.

    Returns
    -------
    list of one tuple
        Data, keywords and type of an Image layer.
    """
    return [(samples.tissue(), {"name": "tissue", "rgb": True}, "image")]


def cell() -> list[LayerData]:
    """Return the cell.

    Returns
    -------
    list of one tuple
        Data, keywords and type of an Image layer.
    """
    return [(samples.cell(), {"name": "cell"}, "image")]
