"""What the benchmarks' command lines share."""

import json
from typing import Annotated

import typer

from napari_unsupseg import Settings

__all__ = ["SetOption", "settings_from"]

SetOption = Annotated[list[str], typer.Option("--set", help="A setting, as NAME=VALUE.")]


def settings_from(preset: str, pairs: list[str]) -> Settings:
    """Return a preset's settings but for those given as NAME=VALUE.

    Parameters
    ----------
    preset : str
        Name of a preset.
    pairs : list of str
        Settings, their values as JSON.

    Returns
    -------
    Settings
        The settings.
    """
    values = (pair.split("=", 1) for pair in pairs)
    return Settings.from_preset(preset, {name: json.loads(value) for name, value in values})
