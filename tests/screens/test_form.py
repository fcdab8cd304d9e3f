"""The form without a screen: values typed, changed, undone, adopted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from warptui.engine.config.checks import SECTIONS
from warptui.engine.config.settings import Config
from warptui.engine.errors import SettingsError
from warptui.engine.stages.movie.average import AverageSettings
from warptui.screens.settings import form
from warptui.screens.settings.cost import about, cost
from warptui.screens.settings.form import Draft, Field, Kind, all_fields

FIELDS = {field.name: field for field in all_fields()}


def draft(**base: Any) -> Draft:
    made = Draft(all_fields(), {}, Path("/project"))
    made.rebase(base)
    return made


def test_every_setting_of_the_models_is_a_field_with_help_and_bounds() -> None:
    names = [f"{s}.{key}" for s, model in SECTIONS.items() for key in model.model_fields]
    assert list(FIELDS) == names
    assert all(field.help and field.allowed for field in FIELDS.values())
    assert FIELDS["motion.b_factor"].unit == "Å²"
    assert "at least -10000 and at most 0" in FIELDS["motion.b_factor"].allowed


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("input.recursive", Kind.SWITCH),
        ("average.dose_weighting", Kind.CHOICE),
        ("input.pixel_size", Kind.NUMBER),
        ("input.gain", Kind.PATH),
        ("compute.scheduler", Kind.TEXT),
        ("input.pattern", Kind.TOML),
        ("motion.local_grid", Kind.TOML),
        ("compute.devices", Kind.TOML),
    ],
)
def test_fields_are_edited_as_their_type_asks_for(name: str, kind: Kind) -> None:
    assert FIELDS[name].kind is kind


def test_what_is_shown_is_read_back_as_the_same_value() -> None:
    values = Config().to_json()
    for field in FIELDS.values():
        if field.kind is not Kind.SWITCH:
            value = values[field.section].get(field.key)
            assert field.read(field.show(value)) == value, field.name


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("input.pixel_size", "0,83", "expected a number at least 0 and at most 1000 (Å/px)"),
        ("input.pixel_size", "", "expected a number"),
        ("input.pixel_size", "nan", "expected a number"),
        ("motion.global_nodes", "1.5", "expected a whole number"),
        ("motion.b_factor", "5", "expected a number at least -10000 and at most 0 (Å²)"),
        ("motion.local_grid", "5", "expected a list of 3"),
        ("motion.local_grid", "[5, 5, 99]", "three whole numbers from 1 to 64"),
        ("compute.devices", '["gpu"]', "expected auto, cpu, or a list"),
        ("motion.fit_max_resolution", "600", "expected less than motion.fit_min_resolution = 500"),
    ],
)
def test_a_wrong_value_is_told_in_the_words_of_the_file(name: str, text: str, words: str) -> None:
    field = FIELDS[name]
    assert words in draft().check((field, field.read(text)))[name]


def test_a_list_that_is_no_toml_is_told() -> None:
    with pytest.raises(SettingsError, match="no list as TOML"):
        FIELDS["input.pattern"].read('["*.tif"')


def test_a_value_equal_to_the_files_is_no_change() -> None:
    made = draft(optics={"cs": 2.7})
    made.set(FIELDS["optics.cs"], 0.5)
    made.set(FIELDS["motion.b_factor"], -200.0)
    assert made.changes == {"optics": {"cs": 0.5}, "motion": {"b_factor": -200.0}}
    made.set(FIELDS["optics.cs"], 2.7)
    made.undo(FIELDS["motion.b_factor"])
    assert (made.changes, made.n_changes) == ({}, 0)


def test_changes_that_the_file_took_over_are_none_any_more() -> None:
    made = draft()
    made.set(FIELDS["optics.cs"], 0.5)
    made.set(FIELDS["optics.voltage"], 200.0)
    made.rebase({"optics": {"cs": 0.5}})
    assert made.changes == {"optics": {"voltage": 200.0}}


def test_a_path_that_means_the_same_file_is_no_change() -> None:
    made = draft(input={"gain": "gain.mrc", "folder": "."})
    made.set(FIELDS["input.gain"], "/project/gain.mrc")
    assert made.n_changes == 0
    made.set(FIELDS["input.gain"], "/other/gain.mrc")
    assert made.n_changes == 1


def test_choices_and_switches_cycle() -> None:
    weighting = FIELDS["average.dose_weighting"]
    seen = ["gaussian"]
    for _ in range(3):
        seen.append(weighting.next(seen[-1]))
    assert seen == ["gaussian", "critical", "none", "gaussian"]
    assert FIELDS["input.recursive"].next(False) is True


def test_settings_of_an_item_are_adopted_without_the_hashes() -> None:
    made = draft(input={"gain": "gain.mrc"})
    detail = {
        "motion": {
            "motion": {"b_factor": -200.0, "local_grid": [5, 5, 5]},
            "input": {"gain": "/project/gain.mrc", "gain_hash": "ab", "binning": 2.0},
        },
        "average": {"optics": {"voltage": 300.0}},
    }
    assert made.take(form.adopted(detail)) == []
    assert made.changes == {"motion": {"b_factor": -200.0}, "input": {"binning": 2.0}}


def test_an_unknown_setting_of_a_preset_is_named_and_the_rest_taken() -> None:
    made = draft()
    strange = made.take({"motion": {"b_factor": -5.0, "speed": 3}, "warp": {"x": 1}, "y": 2})
    assert strange == ["motion.speed", "warp.x", "y"]
    assert made.changes == {"motion": {"b_factor": -5.0}}


def test_an_optional_number_may_be_empty() -> None:
    field = Field("filters", "motion_max", Kind.NUMBER, "Å", "", "", None, optional=True)
    assert field.read("") is None
    assert field.read("1.5") == 1.5
    assert field.show(None) == ""


def test_the_cost_is_said_in_one_phrase() -> None:
    told = {"n_items": 1244, "outdated": {"motion": 1244, "average": 1244}, "seconds": 3480.0}
    assert cost(told) == "1,244 items outdated: motion and average, about 58 min"
    assert cost({"n_items": 0, "outdated": {}}) == "no item becomes outdated"
    one = {"n_items": 1, "outdated": {"motion": 0, "average": 1}, "seconds": None, "n_restored": 2}
    assert cost(one) == (
        "1 item outdated: average, for an unknown time; 2 outdated items are current again"
    )
    assert [about(s) for s in (0.2, 89.0, 4000.0, 9000.0, 300_000.0)] == [
        "about 1 s", "about 89 s", "about 67 min", "about 2.5 h", "about 3.5 days",
    ]  # fmt: skip


@pytest.mark.parametrize("wanted", [[], [1.5, 0.8, 250.0]])
def test_what_the_ctf_stage_was_told_of_the_deconvolution_is_adopted_too(wanted) -> None:
    values = form.adopted({"ctf": {"average": {"deconvolution": wanted}}})["average"]
    made = AverageSettings.model_validate(values)
    assert made.deconvolution == wanted
