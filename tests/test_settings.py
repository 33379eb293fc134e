import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unsupseg.errors import SettingError
from napari_unsupseg.settings import PRESETS, Settings, SettingSpec, setting_specs

NUMBERS = {name: spec for name, spec in setting_specs().items() if not spec.choices}


def values_of(spec: SettingSpec) -> st.SearchStrategy:
    if spec.choices:
        return st.sampled_from(spec.choices)
    strategy = st.integers if spec.kind is int else st.floats
    return strategy(spec.minimum, spec.maximum)


everything = st.fixed_dictionaries(
    {name: values_of(spec) for name, spec in setting_specs().items()}
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("iterations", 500, id="T"),
        pytest.param("filters", 100, id="p"),
        pytest.param("max_clusters", 100, id="q"),
        pytest.param("superpixels", 10_000, id="K"),
        pytest.param("learning_rate", 0.1, id="learning rate"),
        pytest.param("momentum", 0.9, id="momentum"),
        pytest.param("min_clusters", 0, id="off, since the paper has none"),
        pytest.param("settle", 0, id="all iterations, at full size"),
        pytest.param("final_clusters", 0, id="the network's own clusters"),
    ],
)
def test_a_preset_is_the_paper_s(name, value):
    assert getattr(Settings.from_preset("paper-2018", {}), name) == value


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_can_be_had_and_changed(preset):
    settings = Settings.from_preset(preset, {"seed": 7})
    assert settings == Settings.from_dict({**PRESETS[preset].values, "seed": 7})
    for name, value in PRESETS[preset].values.items():
        assert value != setting_specs()[name].default, "a preset says only what it changes"
        kept = Settings.from_preset(preset, {name: setting_specs()[name].default})
        assert getattr(kept, name) == setting_specs()[name].default


def test_a_preset_that_is_not_there():
    with pytest.raises(SettingError, match=r"preset must be one of 'standard', .* got 'best'"):
        Settings.from_preset("best", {})


@given(everything)
def test_json_round_trip(values):
    settings = Settings.from_dict(values)
    assert Settings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("end", ["minimum", "maximum"])
def test_ends_of_a_range_are_allowed(name, end):
    value = getattr(NUMBERS[name], end)
    assert getattr(Settings.from_dict({name: value}), name) == value


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("side", [-1, 1], ids=["below", "above"])
def test_out_of_range_names_setting_range_and_value(name, side):
    spec = NUMBERS[name]
    value = spec.minimum - 1 if side < 0 else spec.maximum + 1
    with pytest.raises(SettingError) as caught:
        Settings.from_dict({name: value})
    for part in (name, f"{spec.minimum:,}", f"{spec.maximum:,}", repr(value)):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("iterations", 5.0, id="float for int"),
        pytest.param("iterations", True, id="bool"),
        pytest.param("iterations", "5", id="word for number"),
        pytest.param("learning_rate", float("nan"), id="nan"),
        pytest.param("learning_rate", None, id="none"),
        pytest.param("intensity", "bright", id="unknown choice"),
        pytest.param("intensity", 3, id="number for word"),
    ],
)
def test_wrong_type_or_word(name, value):
    with pytest.raises(SettingError, match=rf"{name}.*got"):
        Settings.from_dict({name: value})


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        pytest.param("iteration", "did you mean 'iterations'", id="near"),
        pytest.param("learningrate", "did you mean 'learning_rate'", id="underscore"),
        pytest.param("zzz", "there are iterations, components", id="far"),
    ],
)
def test_unknown_setting_suggests_the_nearest(name, suggestion):
    with pytest.raises(SettingError, match=suggestion):
        Settings.from_dict({name: 1})


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().seed = 1


@pytest.mark.parametrize("name", setting_specs())
def test_every_knob_speaks_in_one_sentence(name):
    sentence = setting_specs()[name].sentence
    assert sentence.endswith(".")
    assert sentence[0].isupper()
