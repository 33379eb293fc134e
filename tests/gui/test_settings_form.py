from napari_unsupseg import Settings
from napari_unsupseg.settings import PRESETS, setting_specs

from .conftest import click


def test_a_preset_sets_the_settings(viewer, panel):
    assert panel.preset.value == "custom"  # the quick settings of these tests
    for name in PRESETS:
        panel.preset.value = name
        values = {name: control.value for name, control in panel.settings.items()}
        assert Settings.from_dict(values) == Settings.from_preset(name, {})
        assert panel.preset.value == name
    panel.settings["seed"].value = 5
    assert panel.preset.value == "custom"
    panel.settings["seed"].value = 0
    assert panel.preset.value == name


def test_controls_come_from_the_settings(panel):
    assert list(panel.settings) == list(setting_specs())
    for name, spec in setting_specs().items():
        control = panel.settings[name]
        assert spec.sentence in control.tooltip
        if spec.choices:
            assert control.choices == spec.choices
        else:
            assert (control.min, control.max) == (spec.minimum, spec.maximum)


def test_the_panel_starts_with_the_defaults(viewer):
    _, panel = viewer.window.add_plugin_dock_widget("napari-unsupseg")
    values = {name: control.value for name, control in panel.settings.items()}
    assert Settings.from_dict(values) == Settings()


def test_all_settings_lie_under_a_heading_that_unfolds(viewer, panel, qtbot):
    visible = {name: control.native.isVisible for name, control in panel.settings.items()}
    assert not any(is_visible() for is_visible in visible.values())
    for fold in panel.folds.values():
        click(qtbot, fold.heading)
    assert all(is_visible() for is_visible in visible.values())
    for fold in panel.folds.values():
        click(qtbot, fold.heading)
    assert not any(is_visible() for is_visible in visible.values())
