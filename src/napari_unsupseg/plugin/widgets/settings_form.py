"""The form for the settings: presets, and a control for each setting under plain headings."""

from magicgui.widgets import ComboBox, SpinBox, Widget

from napari_unsupseg.plugin.preferences import read_preferences
from napari_unsupseg.plugin.widgets.controls import (
    CollapsibleSection,
    setting_control,
    settings_under,
)
from napari_unsupseg.settings import GROUPS, PRESETS, Settings, setting_specs

__all__ = ["SettingsForm"]

DEVICES = ("auto", "cpu", "cuda", "mps", "xpu")
CUSTOM = "custom"


class SettingsForm:
    """Controls for how a run goes; the panel puts the preset and the sections in their places.

    Attributes
    ----------
    preset : ComboBox
        It names the preset that the settings are, or ``custom``.
    controls : dict of str to ValueWidget
        A control for each setting, by its name.
    device, update_every, history_memory : ValueWidget
        What is no setting, since labels do not depend on it.
    sections : dict of str to CollapsibleSection
        All controls but the preset, under the headings of `GROUPS`.
    """

    def __init__(self) -> None:
        preferences = read_preferences()
        self._default = self._suggested = preferences.preset
        self.preset = ComboBox(
            label="preset",
            choices=[*((name.replace("-", " "), name) for name in PRESETS), (CUSTOM, CUSTOM)],
            tooltip="\n".join(f"{name}: {preset.sentence}" for name, preset in PRESETS.items()),
        )
        self.controls = {
            name: setting_control(name, spec) for name, spec in setting_specs().items()
        }
        self.device = ComboBox(
            label="device",
            choices=DEVICES,
            value=preferences.device,
            tooltip="Where the network runs; auto takes a GPU if there is one.",
        )
        self.update_every = SpinBox(
            label="update every",
            value=preferences.update_every,
            min=0,
            max=1_000_000,
            tooltip="Iterations from one picture to the next; 0 shows about five each second.",
        )
        self.history_memory = SpinBox(
            label="history memory",
            value=preferences.history_memory,
            min=0,
            max=1_000_000,
            tooltip="Megabytes for the labels shown on the way; beyond it every second is dropped.",
        )
        others: dict[str, list[Widget]] = {
            "Device": [self.device],
            "Output": [self.update_every, self.history_memory],
        }
        self.sections: dict[str, CollapsibleSection] = {}
        for heading in GROUPS:
            controls = [self.controls[name] for name in settings_under(heading)]
            widgets = [*controls, *others.get(heading, [])]
            tooltip = f"Show or hide: {', '.join(widget.label for widget in widgets)}."
            self.sections[heading] = CollapsibleSection(heading, widgets, tooltip)
        self.preset.changed.connect(self._apply_preset)
        for control in self.controls.values():
            control.changed.connect(self._on_setting_changed)
        self.preset.value = preferences.preset

    def settings(self) -> Settings:
        """Return the settings as the controls show them."""
        return Settings.from_dict({name: control.value for name, control in self.controls.items()})

    def show(self, settings: Settings) -> None:
        """Have the controls show settings, such as those of a run that was opened.

        Parameters
        ----------
        settings : Settings
            The settings.
        """
        for name, value in settings.to_dict().items():
            self.controls[name].value = value

    def suggest_preset(self, name: str | None) -> None:
        """Choose the preset that suits an image, unless another was chosen by hand.

        Parameters
        ----------
        name : str or None
            A preset; None for the one that panels begin with.
        """
        preset = name or self._default
        if self.preset.value == self._suggested:  # the user has left it as it was
            self.preset.value = preset
        self._suggested = preset

    def _apply_preset(self, preset: str) -> None:
        if preset != CUSTOM:
            self.show(Settings.from_preset(preset, {}))

    def _on_setting_changed(self) -> None:
        """Name the preset that the settings are now, if they are one."""
        settings = self.settings()
        names = (name for name in PRESETS if Settings.from_preset(name, {}) == settings)
        with self.preset.changed.blocked():  # or it would set all controls once more
            self.preset.value = next(names, CUSTOM)
