"""Settings that go together, under a plain name."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from napari_unsupseg.errors import SettingError

__all__ = ["PRESETS", "Preset", "preset_values"]


@dataclasses.dataclass(frozen=True)
class Preset:
    """Some settings; all others keep their default.

    Attributes
    ----------
    sentence : str
        What it is for.
    values : mapping of str to int, float or str
        Settings by name.
    """

    sentence: str
    values: Mapping[str, Any]


PRESETS = {
    "standard": Preset("Suits most images.", {}),
    "paper-2018": Preset(
        "The algorithm of Kanezaki (ICASSP 2018) as it was published; slow.",
        {
            "iterations": 500,
            "filters": 100,
            "max_clusters": 100,
            "settle": 0.0,
            "final_clusters": 0,
        },
    ),
    "paper-2020": Preset(
        "Continuity in place of superpixels, as in Kim et al. (IEEE TIP 2020); slow.",
        {
            "iterations": 500,
            "filters": 100,
            "max_clusters": 100,
            "settle": 0.0,
            "final_clusters": 0,
            "superpixels": 0,
            "continuity": 5.0,
            "min_clusters": 3,
        },
    ),
}


def preset_values(name: str) -> dict[str, Any]:
    """Return the settings of a preset.

    Parameters
    ----------
    name : str
        Its name.

    Returns
    -------
    dict of str to int, float or str
        Settings by name; those left out keep their default.

    Raises
    ------
    SettingError
        If there is no such preset.

    Examples
    --------
    >>> preset_values("paper-2020")["continuity"]
    5.0
    """
    if name not in PRESETS:
        raise SettingError(f"preset must be one of {', '.join(map(repr, PRESETS))}, got {name!r}")
    return dict(PRESETS[name].values)
