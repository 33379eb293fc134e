"""What a new panel begins with, as the user has set it in napari's preferences."""

import dataclasses

__all__ = ["Preferences", "read_preferences"]

PLUGIN, SECTION = "napari-unsupseg", "runs"  # as the manifest has them


@dataclasses.dataclass(frozen=True)
class Preferences:
    """Values of controls in a panel that is opened.

    Attributes
    ----------
    preset : str
        Name of a preset.
    device : str
        Where networks run; ``auto`` for a GPU if there is one.
    update_every : int
        Iterations from one picture to the next; 0 for about five each second.
    history_memory : int
        Megabytes for the labels shown on the way.
    save_runs : bool
        Whether the last run is saved by itself when napari closes.
    """

    preset: str = "standard"
    device: str = "auto"
    update_every: int = 0
    history_memory: int = 200
    save_runs: bool = False


def read_preferences() -> Preferences:
    """Read what is set under *Preferences → Plugin settings* in napari.

    Returns
    -------
    Preferences
        The defaults where napari has none of plugins, as before 0.9.
    """
    try:
        from napari.settings import get_plugin_settings
    except ImportError:
        return Preferences()
    try:
        section = getattr(get_plugin_settings(PLUGIN), SECTION)
    except KeyError:  # a viewer without plugins, or a plugin that was installed just now
        return Preferences()
    names = [field.name for field in dataclasses.fields(Preferences)]
    return Preferences(**{name: getattr(section, name) for name in names})
